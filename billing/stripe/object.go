package stripe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stripe/stripe-go/v79/form"

	"tollgate/model"
)

// Kinds of objects that are made at Stripe.
const (
	kindAccount  = "account"
	kindCustomer = "customer"
	kindInvoice  = "invoice"
	kindNote     = "credit_note"
)

// localID is the name of our id in an object's metadata.
const localID = "local_id"

// object is one that is to be at Stripe once, whatever happens on the way.
type object struct {
	tenant        uint32
	account, kind string
	local         string
}

// intent is what is known of an object and of the last time it was asked for.
type intent struct {
	remote  string
	rev     int
	hash    string
	spent   bool
	asked   *time.Time
	created time.Time
}

const (
	// keyLife is for how long Stripe surely knows an idempotency key, with a margin.
	keyLife = 23 * time.Hour
	// quiet is after how long a call that got no answer does nothing any more.
	quiet = 2 * time.Minute
)

// key names one attempt to do something to an object.
func (o object) key(op string, rev any) string { return fmt.Sprintf("tg:%s:%s:%v", op, o.local, rev) }

// intend reads what is known of an object; a new one is written down.
func (r *Rail) intend(ctx context.Context, o object) (i intent, err error) {
	err = r.in(ctx, o.tenant, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			insert into psp_object (tenant_id, account, kind, local_id, created_at, updated_at) values ($1, $2, $3, $4, $5, $5) on conflict do nothing`,
			o.tenant, o.account, o.kind, o.local, r.now()); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `
			select coalesce(remote_id, ''), rev, request_hash, spent, asked_at, created_at from psp_object
			where (tenant_id, account, kind, local_id) = ($1, $2, $3, $4)`, o.tenant, o.account, o.kind, o.local).
			Scan(&i.remote, &i.rev, &i.hash, &i.spent, &i.asked, &i.created)
	})
	return i, err
}

// create makes an object that is not there yet, and returns Stripe's id of it. params
// is what is asked for, and make asks for it under a key; find looks for one with our
// id among those made since a time, and returns "" if there is none.
func (r *Rail) create(ctx context.Context, o object, params any, find func(since time.Time) (string, error), make func(key string) (string, error)) (string, error) {
	i, err := r.intend(ctx, o)
	if err != nil || i.remote != "" {
		return i.remote, err
	}
	hash := hashOf(params)
	if i.asked != nil { // whether that made it is not known
		id, err := find(i.created.Add(-24 * time.Hour))
		if err != nil {
			return "", plain(err)
		}
		if id != "" {
			return id, r.made(ctx, o, id)
		}
		age := r.now().Sub(*i.asked)
		switch {
		case !i.spent && i.hash == hash && age < keyLife: // the same call: at worst it is answered again
		case !i.spent && age < quiet:
			return "", model.Errorf(model.Unavailable, "Stripe was asked for this a moment ago with other details, and has not answered; try again in two minutes")
		default:
			i.rev++
		}
	}
	if err := r.asking(ctx, o, i.rev, hash); err != nil {
		return "", err
	}
	id, err := make(o.key(o.kind+".create", i.rev))
	if err != nil {
		if lasting(err) {
			err = errors.Join(err, r.spend(ctx, o))
		}
		return "", plain(err)
	}
	return id, r.made(ctx, o, id)
}

// step is a call that changes an object at Stripe, which was looked at before. Its key
// stays the same until it is answered: then a next attempt is another one.
func (r *Rail) step(ctx context.Context, o object, op, what string, do func(key string) error) error {
	i, err := r.intend(ctx, o)
	if err != nil {
		return err
	}
	err = do(fmt.Sprintf("tg:%s:%s:%d", op, what, i.rev))
	if lasting(err) {
		err = errors.Join(err, r.in(context.WithoutCancel(ctx), o.tenant, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `
				update psp_object set rev = rev + 1, updated_at = $5 where (tenant_id, account, kind, local_id) = ($1, $2, $3, $4)`,
				o.tenant, o.account, o.kind, o.local, r.now())
			return err
		}))
	}
	return err
}

// lasting reports an answer that stays with its key: a 500 too, and a refusal whose
// reason may be gone the next time.
func lasting(err error) bool {
	e := answered(err)
	return e != nil && e.HTTPStatusCode != 409 && e.HTTPStatusCode != 429
}

func (r *Rail) asking(ctx context.Context, o object, rev int, hash string) error {
	return r.in(ctx, o.tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			update psp_object set rev = $5, request_hash = $6, spent = false, asked_at = $7, updated_at = $7
			where (tenant_id, account, kind, local_id) = ($1, $2, $3, $4)`, o.tenant, o.account, o.kind, o.local, rev, hash, r.now())
		return err
	})
}

func (r *Rail) spend(ctx context.Context, o object) error {
	return r.in(context.WithoutCancel(ctx), o.tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			update psp_object set spent = true, updated_at = $5 where (tenant_id, account, kind, local_id) = ($1, $2, $3, $4)`,
			o.tenant, o.account, o.kind, o.local, r.now())
		return err
	})
}

func (r *Rail) made(ctx context.Context, o object, remote string) error {
	return r.in(context.WithoutCancel(ctx), o.tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			update psp_object set remote_id = $5, problem = '', updated_at = $6
			where (tenant_id, account, kind, coalesce(head, local_id)) = ($1, $2, $3, $4)`, o.tenant, o.account, o.kind, o.local, remote, r.now())
		return err
	})
}

// forget is for an object that is not at Stripe any more: the next one is made anew.
func (r *Rail) forget(ctx context.Context, o object) error {
	return r.in(ctx, o.tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			update psp_object set remote_id = null, rev = rev + 1, asked_at = null, spent = false, state = '', url = '', updated_at = $5
			where (tenant_id, account, kind, coalesce(head, local_id)) = ($1, $2, $3, $4)`, o.tenant, o.account, o.kind, o.local, r.now())
		return err
	})
}

// hashOf is of what a call asks for, whatever it is sent under.
func hashOf(params any) string {
	var text string
	if s, ok := params.(string); ok {
		text = s
	} else {
		v := &form.Values{}
		form.AppendTo(v, params)
		text = v.Encode()
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// shortHash is of any values, for keys.
func shortHash(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "none"
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:10])
}
