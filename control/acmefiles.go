package control

import (
	"context"
	"io/fs"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// ACMEFiles is where the client of a certificate authority keeps what it must not
// lose: sealed, in the database, for every process alike.
type ACMEFiles struct{ p *Plane }

// ACMEFiles are the installation's.
func (p *Plane) ACMEFiles() ACMEFiles { return ACMEFiles{p} }

// Put writes one.
func (f ACMEFiles) Put(ctx context.Context, key string, value []byte) error {
	return f.p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			insert into acme_file (key, value) values ($1, $2)
			on conflict (key) do update set value = excluded.value, modified_at = now()`, key, f.p.sealSecret("acme/"+key, string(value)))
		return err
	})
}

// Get reads one; fs.ErrNotExist: there is none.
func (f ACMEFiles) Get(ctx context.Context, key string) (value []byte, modified time.Time, err error) {
	var sealed []byte
	err = f.p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `select value, modified_at from acme_file where key = $1`, key).Scan(&sealed, &modified)
	})
	if model.KindOf(err) == model.NotFound {
		return nil, modified, fs.ErrNotExist
	}
	if err != nil {
		return nil, modified, err
	}
	text, err := f.p.openSecret("acme/"+key, sealed)
	return []byte(text), modified, err
}

// Delete forgets one, or all below it.
func (f ACMEFiles) Delete(ctx context.Context, key string) error {
	return f.p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `delete from acme_file where key = $1 or starts_with(key, $1 || '/')`, key)
		return err
	})
}

// Keys are those below a prefix, in order.
func (f ACMEFiles) Keys(ctx context.Context, prefix string) (keys []string, err error) {
	prefix = strings.TrimSuffix(prefix, "/")
	err = f.p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select key from acme_file where $1 = '' or starts_with(key, $1 || '/') order by key`, prefix)
		if err != nil {
			return err
		}
		keys, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	return keys, err
}

// lockFor is how long a lock stands without being renewed: longer than a
// certificate takes.
const lockFor = "5 minutes"

// TryLock takes a lock that nobody holds.
func (f ACMEFiles) TryLock(ctx context.Context, name, holder string) (taken bool, err error) {
	err = f.p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			insert into acme_lock as l (name, holder, expires_at) values ($1, $2, now() + interval '`+lockFor+`')
			on conflict (name) do update set holder = excluded.holder, expires_at = excluded.expires_at
				where l.expires_at < now() or l.holder = excluded.holder`, name, holder)
		taken = tag.RowsAffected() == 1
		return err
	})
	return taken, err
}

// Unlock gives a lock back.
func (f ACMEFiles) Unlock(ctx context.Context, name, holder string) error {
	return f.p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `delete from acme_lock where name = $1 and holder = $2`, name, holder)
		return err
	})
}

// SetChallenge lets the gateway answer a certificate authority's question about a
// name, or with an empty token no more. It returns when the nodes do so.
func (f ACMEFiles) SetChallenge(ctx context.Context, name, token, answer string) error {
	p := f.p
	var owner Actor
	err := p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			select o.tenant_id, t.account_id from owned_name o join tenant t using (tenant_id) where o.name = $1 and o.verified_at is not null`, name).
			Scan(&owner.Tenant, &owner.AccountID)
		return missing(err, "nobody owns %s", name)
	})
	if err != nil {
		return err
	}
	var gateway int32
	rev, err := p.writeTo(ctx, system(owner), everyTenant, owner.AccountID, func(w *write) error {
		gateway = w.gateway
		var err error
		if token == "" {
			_, err = w.Exec(ctx, `delete from acme_challenge where name = $1`, name)
		} else {
			_, err = w.Exec(ctx, `
				insert into acme_challenge as h (name, answers) values ($1, $2)
				on conflict (name) do update set answers = case when h.at < now() - interval '1 hour' then excluded.answers else h.answers || excluded.answers end, at = now()`,
				name, map[string]string{token: answer})
		}
		if err != nil {
			return err
		}
		return w.changedDomains(ctx, `select domain_num from owned_name where tenant_id = $1 and name = $2`, w.tenant, name)
	})
	if err != nil || token == "" {
		return err
	}
	_, err = p.await(ctx, gateway, owner.Tenant, rev)
	return err
}

// DueCertificate is one to be had, or had anew, from a certificate authority.
type DueCertificate struct {
	Tenant  uint32
	Account string
	ID      string
	Name    string
	Renew   bool
}

// Due are certificates of proved names without one, and those of whose time a third
// is left. After failures the pauses grow, as certificate authorities ask for.
func (f ACMEFiles) Due(ctx context.Context) (due []DueCertificate, err error) {
	if err := f.adopt(ctx); err != nil {
		return nil, err
	}
	err = f.p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select c.tenant_id, t.account_id, c.certificate_id, c.name, c.chain is not null
			from certificate c join tenant t using (tenant_id) join owned_name o on (o.tenant_id, o.name) = (c.tenant_id, c.name)
			where c.kind = 'acme' and o.verified_at is not null and not t.suspended
				and (c.not_after is null or c.not_after - (c.not_after - c.not_before) / 3 < now())
				and (c.tried_at is null or c.tried_at < now() - least(power(2, least(c.tries, 9)), 480) * interval '1 minute')
			order by c.not_after nulls first, c.tried_at nulls first limit 20`)
		if err != nil {
			return err
		}
		due, err = pgx.CollectRows(rows, pgx.RowToStructByPos[DueCertificate])
		return err
	})
	return due, err
}

// adopt asks for certificates of proved domains that have none.
func (f ACMEFiles) adopt(ctx context.Context) error {
	type bare struct {
		Tenant  uint32
		Account string
		Num     int64
		Name    string
	}
	var all []bare
	err := f.p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select d.tenant_id, t.account_id, d.domain_num, d.name from domain d join tenant t using (tenant_id) join owned_name o using (tenant_id, domain_num)
			where d.certificate_id is null and o.verified_at is not null and not t.suspended and d.name not like '*%' and d.name not like '%.localhost' limit 100`)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[bare])
		return err
	})
	for _, b := range all {
		_, err := f.p.writeTo(ctx, system(Actor{Tenant: b.Tenant, AccountID: b.Account}), everyTenant, b.Account, func(w *write) error {
			var none bool
			err := w.QueryRow(ctx, `select exists (select from domain where tenant_id = $1 and domain_num = $2 and certificate_id is null)`, w.tenant, b.Num).Scan(&none)
			if err != nil || !none {
				return err
			}
			id, err := w.requestCertificate(ctx, b.Name, true)
			if err != nil {
				return err
			}
			_, err = w.Exec(ctx, `update domain set certificate_id = $3 where tenant_id = $1 and domain_num = $2`, w.tenant, b.Num, id)
			return err
		})
		if err != nil {
			return err
		}
	}
	return err
}

// Issued keeps a certificate that was got, and the domains that have it follow.
func (f ACMEFiles) Issued(ctx context.Context, d DueCertificate, in *model.ServerCertificate) error {
	_, err := f.p.writeTo(ctx, system(Actor{Tenant: d.Tenant, AccountID: d.Account}), everyTenant, d.Account, func(w *write) error {
		tag, err := w.Exec(ctx, `
			update certificate set chain = $3, private_key = $4, not_before = $5, not_after = $6, issued_at = now(), message = '', tries = 0, tried_at = null
			where tenant_id = $1 and certificate_id = $2`,
			w.tenant, d.ID, in.Chain, f.p.sealSecret("certificate/"+d.ID, in.Key), in.Leaf.NotBefore, in.Leaf.NotAfter)
		if err != nil || tag.RowsAffected() == 0 { // deleted meanwhile
			return err
		}
		if err := w.changedDomains(ctx, `select domain_num from domain where tenant_id = $1 and certificate_id = $2 and not private`, w.tenant, d.ID); err != nil {
			return err
		}
		return w.audit(ctx, "certificate.issued", d.ID, map[string]any{"name": d.Name, "until": in.Leaf.NotAfter})
	})
	return err
}

// NotIssued notes why a certificate could not be had this time.
func (f ACMEFiles) NotIssued(ctx context.Context, d DueCertificate, why string) error {
	_, err := f.p.writeTo(ctx, system(Actor{Tenant: d.Tenant, AccountID: d.Account}), everyTenant, d.Account, func(w *write) error {
		_, err := w.Exec(ctx, `
			update certificate set message = left($3, 500), tries = tries + 1, tried_at = now() where tenant_id = $1 and certificate_id = $2`, w.tenant, d.ID, why)
		return err
	})
	return err
}
