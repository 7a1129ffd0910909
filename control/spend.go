package control

import (
	"cmp"
	"context"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// moneyBound says that money bounds the calls of subscription s to plan p: it is of a
// developer's app, at a price, and prepaid or with a cap. It is null where there is none.
const moneyBound = `s.app_id is not null and s.terms <> 0 and (p.prepaid or p.spend_cap is not null or p.spend_max is not null
			or exists (select from spend_limit x where (x.tenant_id, x.subscription_id) = (s.tenant_id, s.ledger_id) and x.cap is not null))`

// moneyOf is model.SubscriptionConfig.Spend of subscription s to plan p.
const moneyOf = `case when not coalesce(` + moneyBound + `, false) then '' when p.prepaid then '` + model.SpendPrepaid + `' else '` + model.SpendCap + `' end`

// SpendLimit is what was set for a subscription of an app: how much a month of it may
// cost, and of what its developer is told. Amounts are in the currency of its price,
// before tax.
type SpendLimit struct {
	Cap   model.Decimal `json:"cap,omitempty"`   // empty: the plan's
	Alert model.Decimal `json:"alert,omitempty"` // mails at half, three quarters and all of it; empty: of the cap
}

// Check reports the first thing that is no limit, and which field it is.
func (l SpendLimit) Check() (field string, err error) {
	for _, f := range []struct {
		field, what string
		of          model.Decimal
	}{{"cap", "a spend cap", l.Cap}, {"alert", "an amount to be told of", l.Alert}} {
		if err := f.of.Validate(); err != nil {
			return f.field, err
		}
		if f.of != "" && f.of.Zero() {
			return f.field, model.Errorf(model.Invalid, "%s of 0 makes no sense; leave it empty to have none of your own", f.what)
		}
	}
	return "", nil
}

// SetSpendLimit sets a subscription's limit in its developer's stead, beyond the plan's
// highest too. Nodes keep to it at once; what they let in already stays.
func (p *Plane) SetSpendLimit(ctx context.Context, actor Actor, subscription uint64, l SpendLimit) error {
	if _, err := l.Check(); err != nil {
		return err
	}
	_, err := p.writeAs(ctx, actor, ToSell, func(w *write) error {
		var app string
		var ledger int64
		err := w.QueryRow(ctx, `
			select app_id, ledger_id from subscription
			where tenant_id = $1 and subscription_id = $2 and ended_at is null and app_id is not null`, w.tenant, int64(subscription)).Scan(&app, &ledger)
		if err != nil {
			return missing(err, "there is no running subscription %d of an app", subscription)
		}
		return w.setSpendLimit(ctx, app, subscription, ledger, l)
	})
	return err
}

// SetAppSpendLimit sets the limit of a subscription of the actor's, up to the highest cap
// that its plan allows.
func (p *Plane) SetAppSpendLimit(ctx context.Context, actor Actor, subscription uint64, l SpendLimit) error {
	if _, err := l.Check(); err != nil {
		return err
	}
	return p.buy(ctx, actor, func(w *write) error {
		app, _, err := w.ownSubscription(ctx, subscription)
		if err != nil {
			return err
		}
		var ledger int64
		var over bool
		var most string
		if err := w.QueryRow(ctx, `
			select s.ledger_id, coalesce(nullif($3, '')::text::numeric > p.spend_max, false), coalesce(trim_scale(p.spend_max)::text, '')
			from subscription s join plan p using (tenant_id, plan_id) where s.tenant_id = $1 and s.subscription_id = $2`,
			w.tenant, int64(subscription), string(l.Cap)).Scan(&ledger, &over, &most); err != nil {
			return err
		}
		if over {
			return model.Errorf(model.Invalid, "the plan allows a spend cap of at most %s", most)
		}
		return w.setSpendLimit(ctx, app, subscription, ledger, l)
	})
}

func (w *write) setSpendLimit(ctx context.Context, app string, subscription uint64, ledger int64, l SpendLimit) error {
	if _, err := w.Exec(ctx, `
		insert into spend_limit (tenant_id, subscription_id, cap, alert) values ($1, $2, nullif($3, '')::text::numeric, nullif($4, '')::text::numeric)
		on conflict (tenant_id, subscription_id) do update set cap = excluded.cap, alert = excluded.alert, updated_at = now()`,
		w.tenant, ledger, string(l.Cap), string(l.Alert)); err != nil {
		return err
	}
	if err := w.reckonAnew(ctx, []int64{ledger}); err != nil {
		return err
	}
	if err := w.changedKeysOf(ctx, subscription); err != nil {
		return err
	}
	return w.audit(ctx, "subscription.spend", app, map[string]any{"subscription": subscription, "cap": l.Cap, "alert": l.Alert})
}

// keepSpendLimit gives a subscription what was set for the one before it, unless something
// was set for itself; its plan's highest cap holds for either.
func (w *write) keepSpendLimit(ctx context.Context, from, to uint64) error {
	_, err := w.Exec(ctx, `
		insert into spend_limit (tenant_id, subscription_id, cap, alert)
		select l.tenant_id, n.ledger_id, l.cap, l.alert
		from subscription o join spend_limit l on (l.tenant_id, l.subscription_id) = (o.tenant_id, o.ledger_id)
		join subscription n on n.tenant_id = o.tenant_id and n.subscription_id = $3
		where o.tenant_id = $1 and o.subscription_id = $2
		on conflict do nothing`, w.tenant, from, to)
	if err != nil {
		return err
	}
	_, err = w.Exec(ctx, `
		update spend_limit l set cap = p.spend_max, updated_at = now() from subscription n join plan p using (tenant_id, plan_id)
		where n.tenant_id = $1 and n.subscription_id = $2 and (l.tenant_id, l.subscription_id) = (n.tenant_id, n.ledger_id) and l.cap > p.spend_max`, w.tenant, to)
	return err
}

// changedMoneyOf notes all keys of a plan's subscriptions that have a price, and has what
// their money reaches for reckoned anew.
func (w *write) changedMoneyOf(ctx context.Context, planID string) error {
	var keys, ledgers []int64
	err := w.QueryRow(ctx, `
		select coalesce((select array_agg(distinct sk.key_num::bigint order by sk.key_num::bigint) from subscription s join subscription_key sk using (tenant_id, subscription_id)
				where s.tenant_id = $1 and s.plan_id = $2 and s.ended_at is null and s.app_id is not null and s.terms <> 0), '{}'),
			coalesce((select array_agg(s.ledger_id) from subscription s
				where s.tenant_id = $1 and s.plan_id = $2 and s.ended_at is null and s.app_id is not null and s.terms <> 0), '{}')`,
		w.tenant, planID).Scan(&keys, &ledgers)
	if err != nil {
		return err
	}
	w.changedKeys(keys)
	return w.reckonAnew(ctx, ledgers)
}

// reckonAnew has what the money of ledgers reaches for worked out before any more of it is
// granted.
func (w *write) reckonAnew(ctx context.Context, ledgers []int64) error {
	_, err := w.Exec(ctx, `
		with stale as materialized (
			select tenant_id, subscription_id, kind, window_start from quota_window
			where tenant_id = $1 and subscription_id = any($2) and kind = 1 and computed_at is not null
			order by subscription_id, window_start for no key update)
		update quota_window w set computed_at = null from stale s
		where (w.tenant_id, w.subscription_id, w.kind, w.window_start) = (s.tenant_id, s.subscription_id, s.kind, s.window_start)`, w.tenant, ledgers)
	return err
}

// SpendAlert is the amount of the account's own bill, of a month, at which its owners are
// told: at half, three quarters and all of it; empty: they are not.
func (p *Plane) SpendAlert(ctx context.Context, actor Actor) (amount model.Decimal, err error) {
	if err := actor.May(ToBill); err != nil {
		return "", err
	}
	err = p.readAs(ctx, actor, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `select coalesce(trim_scale(spend_alert)::text, '') from tenant where tenant_id = $1`, actor.Tenant).Scan(&amount)
	})
	return amount, err
}

// SetSpendAlert sets it.
func (p *Plane) SetSpendAlert(ctx context.Context, actor Actor, amount model.Decimal) error {
	if err := amount.Validate(); err != nil {
		return err
	}
	_, err := p.writeAs(ctx, actor, ToBill, func(w *write) error {
		if amount.Zero() {
			amount = ""
		}
		if _, err := w.Exec(ctx, `update tenant set spend_alert = nullif($2, '')::text::numeric where tenant_id = $1`, w.tenant, string(amount)); err != nil {
			return err
		}
		return w.audit(ctx, "account.spend-alert", cmp.Or(string(amount), "none"), nil)
	})
	return err
}
