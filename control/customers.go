package control

import (
	"cmp"
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// Customer is a developer of the account's portal, as the account sees them.
type Customer struct {
	ID            string    `json:"id"`
	Email         string    `json:"email"`
	Name          string    `json:"name"`
	Disabled      bool      `json:"disabled"`           // cannot sign in, and no key of theirs is let in
	OverdueAt     time.Time `json:"overdueAt,omitzero"` // since when an invoice is unpaid beyond the days of grace
	Apps          int       `json:"apps"`
	Subscriptions int       `json:"subscriptions"` // running
	Keys          int       `json:"keys"`
	CreatedAt     time.Time `json:"createdAt"`
}

// CustomerDetail is one developer with all that they hold.
type CustomerDetail struct {
	Customer
	Billing model.Party   `json:"billing"`
	Held    []CustomerApp `json:"held"`
}

// CustomerApp is a developer's app.
type CustomerApp struct {
	ID            string            `json:"id"`
	Name          string            `json:"name"`
	CreatedAt     time.Time         `json:"createdAt"`
	Subscriptions []AppSubscription `json:"subscriptions"`
	Loose         []AppKey          `json:"loose"` // keys without a running subscription: they open nothing
}

// AppSubscription is a running subscription of an app.
type AppSubscription struct {
	ID        uint64            `json:"id"`
	PlanID    string            `json:"planId"`
	Plan      string            `json:"plan"`            // its name
	Version   int               `json:"version"`         // of the price that it is charged by; 0: none
	Price     *model.PriceSheet `json:"price,omitempty"` // nil: nothing
	Current   bool              `json:"current"`         // new ones would be charged by the same
	StartedAt time.Time         `json:"startedAt"`
	Keys      []AppKey          `json:"keys"`

	Limit    SpendLimit     `json:"limit"`    // what was set for it
	Spending model.Spending `json:"spending"` // what its plan says
}

// Cap is what a month of it may cost, by what was set or by the plan; empty: what it will.
func (s *AppSubscription) Cap() model.Decimal {
	return cmp.Or(s.Limit.Cap, s.Spending.SpendCap, s.Spending.SpendMax)
}

// AppKey is a key of an app in a list.
type AppKey struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Prefix    string    `json:"prefix"`
	Last4     string    `json:"last4"`
	Enabled   bool      `json:"enabled"`
	CreatedAt time.Time `json:"createdAt"`
}

// customerSelect reads developers with what they hold in figures, in one round trip.
const customerSelect = `
	select d.developer_id, d.email, d.name, d.disabled, coalesce(d.overdue_at, '0001-01-01'),
		(select count(*) from app a where a.tenant_id = d.tenant_id and a.developer_id = d.developer_id and a.deleted_at is null),
		(select count(*) from app a join subscription s on (s.tenant_id, s.app_id) = (a.tenant_id, a.app_id) and s.ended_at is null
			where a.tenant_id = d.tenant_id and a.developer_id = d.developer_id),
		(select count(*) from app a join api_key k on (k.tenant_id, k.app_id) = (a.tenant_id, a.app_id) and k.deleted_at is null
			where a.tenant_id = d.tenant_id and a.developer_id = d.developer_id),
		d.created_at`

func (c *Customer) fields() []any {
	return []any{&c.ID, &c.Email, &c.Name, &c.Disabled, &c.OverdueAt, &c.Apps, &c.Subscriptions, &c.Keys, &c.CreatedAt}
}

// Customers lists the developers of the portal by their e-mail addresses. Match
// finds a part of the address or the name.
func (p *Plane) Customers(ctx context.Context, actor Actor, pg Page) (List[Customer], error) {
	from, limit, err := pg.bounds()
	if err != nil {
		return List[Customer]{}, err
	}
	var out List[Customer]
	err = p.readAs(ctx, actor, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, customerSelect+`, lower(d.email)
			from developer d
			where d.tenant_id = $1 and (lower(d.email), d.developer_id) > ($2, $3)
				and ($4 = '' or position(lower($4) in lower(d.email || ' ' || d.name)) > 0)
			order by lower(d.email), d.developer_id limit $5`, actor.Tenant, from.Name, from.ID, pg.Match, limit+1)
		if err != nil {
			return err
		}
		at := map[string]string{} // where each stands: only the database's lower case compares with its order
		items, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (c Customer, err error) {
			var lower string
			err = r.Scan(append(c.fields(), &lower)...)
			at[c.ID] = lower
			return c, err
		})
		out = page(items, limit, func(c *Customer) after { return after{at[c.ID], c.ID} })
		return err
	})
	return out, err
}

// appKeys is the JSON of []AppKey of the rows of k.
const appKeys = `coalesce(jsonb_agg(jsonb_build_object('id', k.key_id, 'name', k.name, 'prefix', k.prefix, 'last4', k.last4,
	'enabled', k.enabled, 'createdAt', k.created_at) order by k.created_at, k.key_id), '[]')`

// appsOf is the JSON of []CustomerApp of developer d.
const appsOf = `coalesce((
				select jsonb_agg(jsonb_build_object('id', a.app_id, 'name', a.name, 'createdAt', a.created_at,
					'subscriptions', coalesce((
						select jsonb_agg(jsonb_build_object('id', s.subscription_id, 'planId', p.plan_id, 'plan', p.name,
								'version', coalesce(ps.version, 0), 'price', ps.sheet, 'current', s.terms = coalesce(p.sheet_num, 0), 'startedAt', s.started_at,
								'spending', jsonb_build_object('spendCap', coalesce(trim_scale(p.spend_cap)::text, ''), 'spendMax', coalesce(trim_scale(p.spend_max)::text, ''), 'prepaid', p.prepaid),
								'limit', (select jsonb_build_object('cap', coalesce(trim_scale(max(l.cap))::text, ''), 'alert', coalesce(trim_scale(max(l.alert))::text, ''))
									from spend_limit l where (l.tenant_id, l.subscription_id) = (s.tenant_id, s.ledger_id)),
								'keys', (select ` + appKeys + ` from subscription_key sk join api_key k using (tenant_id, key_num)
									where (sk.tenant_id, sk.subscription_id) = (s.tenant_id, s.subscription_id) and k.deleted_at is null))
							order by p.name, s.subscription_id)
						from subscription s join plan p using (tenant_id, plan_id)
						left join price_sheet ps on (ps.tenant_id, ps.sheet_num) = (s.tenant_id, s.terms)
						where (s.tenant_id, s.app_id) = (a.tenant_id, a.app_id) and s.ended_at is null), '[]'),
					'loose', (select ` + appKeys + ` from api_key k
						where (k.tenant_id, k.app_id) = (a.tenant_id, a.app_id) and k.deleted_at is null and not exists (
							select from subscription_key sk join subscription s using (tenant_id, subscription_id)
							where (sk.tenant_id, sk.key_num) = (k.tenant_id, k.key_num) and s.ended_at is null)))
					order by a.name, a.app_id)
				from app a where (a.tenant_id, a.developer_id) = (d.tenant_id, d.developer_id) and a.deleted_at is null), '[]')`

// Customer is one developer of the portal with apps, subscriptions and keys.
func (p *Plane) Customer(ctx context.Context, actor Actor, id string) (CustomerDetail, error) {
	var out CustomerDetail
	err := p.readAs(ctx, actor, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, customerSelect+`, d.billing, `+appsOf+`
			from developer d where d.tenant_id = $1 and d.developer_id = $2`, actor.Tenant, id).
			Scan(append(out.fields(), &out.Billing, &out.Held)...)
		return missing(err, "there is no developer %q", id)
	})
	if err != nil {
		return CustomerDetail{}, err
	}
	return out, nil
}

// SetCustomerDisabled keeps a developer out or lets them in again. Disabled, they
// are signed out and every key of theirs is refused, on all nodes at once; enabled
// again, all is as it was. What was used is still billed.
func (p *Plane) SetCustomerDisabled(ctx context.Context, actor Actor, id string, disabled bool) error {
	action := map[bool]string{true: "developer.disable", false: "developer.enable"}[disabled]
	_, err := p.writeAs(ctx, actor, ToSell, func(w *write) error {
		var email string
		if err := w.QueryRow(ctx, `
			update developer set disabled = $3 where tenant_id = $1 and developer_id = $2 returning email`,
			w.tenant, id, disabled).Scan(&email); err != nil {
			return missing(err, "there is no developer %q", id)
		}
		if disabled {
			if _, err := endSessions(ctx, w, RealmPortal, id, nil); err != nil {
				return err
			}
		}
		keys, err := w.changedKeysOfDeveloper(ctx, id)
		if err != nil {
			return err
		}
		return w.audit(ctx, action, id, map[string]any{"email": email, "keys": keys})
	})
	return err
}

// changedKeysOfDeveloper notes all keys of a developer's apps.
func (w *write) changedKeysOfDeveloper(ctx context.Context, id string) (int, error) {
	rows, err := w.Query(ctx, `
		select k.key_num::bigint from app a join api_key k using (tenant_id, app_id)
		where a.tenant_id = $1 and a.developer_id = $2 and k.deleted_at is null order by k.key_num`, w.tenant, id)
	if err != nil {
		return 0, err
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	w.changedKeys(keys)
	return len(keys), err
}

// SetOverdue says that a developer has not paid an invoice in time and beyond, or has
// paid by now: nodes are told at once what its keys open. It is for the books, who
// know; a suspended account's developers are let in all the same when they have paid.
func (p *Plane) SetOverdue(ctx context.Context, tenant uint32, id string, overdue bool) error {
	if tenant == 0 {
		return model.Errorf(model.Invalid, "a developer is one of an account")
	}
	a := system(Actor{Tenant: tenant})
	_, err := p.writeTo(ctx, a, a.scope(), "", func(w *write) error {
		var email string
		if err := w.QueryRow(ctx, `
			update developer set overdue_at = case when $3 then coalesce(overdue_at, $4) end where tenant_id = $1 and developer_id = $2 returning email`,
			w.tenant, id, overdue, p.now()).Scan(&email); err != nil {
			return missing(err, "there is no developer %q", id)
		}
		keys, err := w.changedKeysOfDeveloper(ctx, id)
		if err != nil {
			return err
		}
		action := map[bool]string{true: "developer.overdue", false: "developer.paid"}[overdue]
		return w.audit(ctx, action, id, map[string]any{"email": email, "keys": keys})
	})
	return err
}
