package control

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// scope is whose rows a transaction sees: the value of tollgate.tenant that the
// row-level security policies compare with.
type scope string

const everyTenant scope = "*"

func (a Actor) scope() scope { return scope(strconv.FormatUint(uint64(a.Tenant), 10)) }

const setScope = `select set_config('tollgate.tenant', $1, true)`

// in runs fn in a transaction that sees the rows of s, again if the database
// asks for that.
func (p *Plane) in(ctx context.Context, s scope, o pgx.TxOptions, fn func(pgx.Tx) error) error {
	o.BeginQuery = begin(o, s)
	return retry(ctx, func() error { return pgx.BeginTxFunc(ctx, p.pool, o, fn) })
}

// begin begins a transaction in one round trip with its scope, which is a number or *.
func begin(o pgx.TxOptions, s scope) string {
	sql := "begin"
	if o.IsoLevel != "" {
		sql += " isolation level " + string(o.IsoLevel)
	}
	if o.AccessMode != "" {
		sql += " " + string(o.AccessMode)
	}
	return sql + "; set local tollgate.tenant = '" + string(s) + "'"
}

// read runs fn in a read-only transaction.
func (p *Plane) read(ctx context.Context, s scope, fn func(pgx.Tx) error) error {
	return p.in(ctx, s, pgx.TxOptions{AccessMode: pgx.ReadOnly}, fn)
}

// readAs reads what the actor's tenant has.
func (p *Plane) readAs(ctx context.Context, a Actor, fn func(pgx.Tx) error) error {
	if err := a.May(ToRead); err != nil {
		return err
	}
	return p.read(ctx, a.scope(), fn)
}

// retry repeats fn where the database gave up one transaction for another, or a
// random id was taken. It translates what is left.
func retry(ctx context.Context, fn func() error) error {
	for attempt := 1; ; attempt++ {
		err := fn()
		if err == nil || attempt == 5 || !again(err) {
			return translate(err)
		}
		pause := time.Duration(1+rand.IntN(10*attempt)) * time.Millisecond
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// Kinds of objects that nodes are told of.
const (
	kindTenant = "tenant"
	kindStage  = "stage"
	kindPlan   = "plan"
	kindKey    = "key"
	kindDomain = "domain"
	kindSigner = "signer" // a tenant's access keys, all of them

	kindCredential = "credential"
)

// change is a range of numbers of one kind that nodes of a gateway must look at.
type change struct {
	gateway     int32
	kind        string
	first, last int64
}

// write is a transaction that changes what one tenant has. The tenant's row is
// locked in it, so writes of one tenant come one after the other: checks that
// span rows (one plan per key and stage) need no further locks.
type write struct {
	pgx.Tx
	actor   Actor
	tenant  uint32
	gateway int32
	changes []change
	rev     uint64
}

// writeAs runs fn for a member of a tenant and returns the revision that nodes
// will acknowledge (0 if fn changed nothing that they serve).
func (p *Plane) writeAs(ctx context.Context, a Actor, need Permission, fn func(*write) error) (uint64, error) {
	if err := a.May(need); err != nil {
		return 0, err
	}
	return p.writeTo(ctx, a, a.scope(), a.AccountID, fn)
}

// operate runs fn for the operator on one account.
func (p *Plane) operate(ctx context.Context, a Actor, accountID string, fn func(*write) error) error {
	if err := a.May(ToOperate); err != nil {
		return err
	}
	_, err := p.writeTo(ctx, a, everyTenant, accountID, fn)
	return err
}

func (p *Plane) writeTo(ctx context.Context, a Actor, s scope, accountID string, fn func(*write) error) (uint64, error) {
	return p.writeAfter(ctx, a, s, accountID, nil, fn)
}

// writeAfter locks the account and runs fn. What first queues, if it is not nil, is read
// under the lock, in the same round trip.
func (p *Plane) writeAfter(ctx context.Context, a Actor, s scope, accountID string, first func(*pgx.Batch), fn func(*write) error) (uint64, error) {
	var rev uint64
	err := p.in(ctx, s, pgx.TxOptions{}, func(tx pgx.Tx) error {
		w := &write{Tx: tx, actor: a}
		b := &pgx.Batch{}
		b.Queue(`
			select tenant_id, gateway_id, suspended, suspended_reason from tenant
			where case when $2 = 0 then account_id = $1 else tenant_id = $2 end
			for no key update`, accountID, a.Tenant).QueryRow(func(r pgx.Row) error {
			var suspended bool
			var reason string
			if err := r.Scan(&w.tenant, &w.gateway, &suspended, &reason); err != nil {
				return missing(err, "there is no account %s", accountID)
			}
			if suspended && a.Role != RoleOperator {
				return model.Errorf(model.Denied, "account %s is suspended (%s): it can be looked at but not changed; ask the operator", accountID, reason)
			}
			return nil
		})
		if first != nil {
			first(b)
		}
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		if err := fn(w); err != nil {
			return err
		}
		if err := w.publish(ctx); err != nil {
			return err
		}
		rev = w.rev
		return nil
	})
	return rev, err
}

// changed notes that nodes of the tenant's gateway must look at one object.
func (w *write) changed(kind string, num int64) { w.changedRange(kind, num, num) }

func (w *write) changedRange(kind string, first, last int64) {
	w.changes = append(w.changes, change{w.gateway, kind, first, last})
}

// changedAll notes everything the tenant has, for the nodes of one gateway.
func (w *write) changedAll(gateway int32) {
	for _, kind := range []string{kindTenant, kindStage, kindPlan, kindKey, kindDomain, kindCredential, kindSigner} {
		w.changes = append(w.changes, change{gateway, kind, 0, math.MaxInt64})
	}
}

// publish takes the next revision and lists the changes under it. It comes last:
// the lock on feed_head, which makes revisions visible in order, is every
// tenant's, and is held until the commit.
func (w *write) publish(ctx context.Context) error {
	if len(w.changes) == 0 {
		return nil
	}
	var gateways []int32
	var kinds []string
	var first, last []int64
	seen := map[change]bool{}
	told := map[int32]bool{}
	for _, c := range w.changes {
		told[c.gateway] = true
		if key := (change{c.gateway, c.kind, c.first, 0}); !seen[key] {
			seen[key] = true
			gateways, kinds = append(gateways, c.gateway), append(kinds, c.kind)
			first, last = append(first, c.first), append(last, c.last)
		}
	}
	err := w.QueryRow(ctx, `
		with head as (update feed_head set rev = rev + 1 returning rev),
		stamped as (insert into feed_revision (rev) select rev from head),
		listed as (
			insert into feed_change (tenant_id, rev, gateway_id, kind, first_num, last_num)
			select $1, head.rev, c.* from head, unnest($2::integer[], $3::text[], $4::bigint[], $5::bigint[]) c)
		select rev from head`, w.tenant, gateways, kinds, first, last).Scan(&w.rev)
	if err != nil {
		return err
	}
	for g := range told {
		if _, err := w.Exec(ctx, `select pg_notify($1, $2)`, channelChange, strconv.Itoa(int(g))); err != nil {
			return err
		}
	}
	return nil
}

// audit records who did what to which thing, in the transaction that does it.
func (w *write) audit(ctx context.Context, action, target string, detail map[string]any) error {
	return audit(ctx, w.Tx, w.actor, &w.tenant, action, target, detail)
}

// queueAudit is audit in a batch.
func (w *write) queueAudit(b *pgx.Batch, action, target string, detail map[string]any) error {
	args, err := auditArgs(w.actor, &w.tenant, action, target, detail)
	if err == nil {
		b.Queue(auditRow, args...)
	}
	return err
}

func audit(ctx context.Context, tx pgx.Tx, a Actor, tenant *uint32, action, target string, detail map[string]any) error {
	args, err := auditArgs(a, tenant, action, target, detail)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, auditRow, args...)
	return err
}

const auditRow = `
	insert into audit (tenant_id, actor, actor_name, source, role, action, target, detail) values ($1, $2, $3, $4, $5, $6, $7, $8)`

func auditArgs(a Actor, tenant *uint32, action, target string, detail map[string]any) ([]any, error) {
	if detail == nil {
		detail = map[string]any{}
	}
	d, err := json.Marshal(detail)
	if err != nil {
		return nil, fmt.Errorf("audit detail of %s: %w", action, err)
	}
	return []any{tenant, a.Member, a.Name, a.Source, string(a.Role), action, target, d}, nil
}
