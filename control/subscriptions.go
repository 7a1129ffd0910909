package control

import (
	"context"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// subscribe ties a key to a plan, at the plan's present price, under a new number.
func (w *write) subscribe(ctx context.Context, keyNum uint32, keyID, planID string) (Subscription, error) {
	if err := planExists(ctx, w, w.tenant, planID); err != nil {
		return Subscription{}, err
	}
	s := Subscription{KeyID: keyID, PlanID: planID}
	err := w.QueryRow(ctx, `
		insert into subscription (tenant_id, plan_id, terms)
		select tenant_id, plan_id, coalesce(sheet_num, 0) from plan where tenant_id = $1 and plan_id = $2
		returning subscription_id, started_at`, w.tenant, planID).Scan(&s.ID, &s.StartedAt)
	if err != nil {
		return Subscription{}, err
	}
	return s, w.addKey(ctx, s.ID, keyNum, planID)
}

// addKey gives a subscription to a plan one more key.
func (w *write) addKey(ctx context.Context, subscription uint64, keyNum uint32, planID string) error {
	if err := w.notSubscribed(ctx, keyNum, planID); err != nil {
		return err
	}
	if _, err := w.Exec(ctx, `
		insert into subscription_key (tenant_id, subscription_id, key_num) values ($1, $2, $3)`, w.tenant, subscription, keyNum); err != nil {
		return err
	}
	w.changed(kindKey, int64(keyNum))
	return w.onePlanPerStage(ctx, planID, keyNum)
}

// notSubscribed refuses a second subscription of a key to a plan.
func (w *write) notSubscribed(ctx context.Context, keyNum uint32, planID string) error {
	var is bool
	err := w.QueryRow(ctx, `
		select exists (select from subscription s join subscription_key sk using (tenant_id, subscription_id)
			where s.tenant_id = $1 and s.plan_id = $3 and s.ended_at is null and sk.key_num = $2)`, w.tenant, keyNum, planID).Scan(&is)
	if err == nil && is {
		return model.Errorf(model.Conflict, "the key is subscribed to this plan already")
	}
	return err
}

// subscribeApp ties a developer's app to a plan, at the plan's present price.
// addKey gives it keys, which share its quota, rate and fee. Leaving a plan and
// coming back gives nobody what they had twice: within the month of the end, and
// at the same price, the ended subscription goes on, with its keys; else the new
// one takes over the quota that the developer left behind, and when the customer began:
// a trial, a free tier and a coupon go on from there.
func (w *write) subscribeApp(ctx context.Context, appID, planID string) (Subscription, error) {
	if err := planExists(ctx, w, w.tenant, planID); err != nil {
		return Subscription{}, err
	}
	var disabled, has bool
	err := w.QueryRow(ctx, `
		select d.disabled, exists (select from subscription s
			where s.tenant_id = a.tenant_id and s.app_id = a.app_id and s.plan_id = $3 and s.ended_at is null)
		from app a join developer d using (tenant_id, developer_id)
		where a.tenant_id = $1 and a.app_id = $2 and a.deleted_at is null`, w.tenant, appID, planID).Scan(&disabled, &has)
	switch {
	case err != nil:
		return Subscription{}, missing(err, "there is no app %q", appID)
	case disabled:
		return Subscription{}, model.Errorf(model.Conflict, "the app's developer is disabled; enable the developer first")
	case has:
		return Subscription{}, model.Errorf(model.Conflict, "the app is subscribed to this plan already")
	}
	left, ledger, goesOn, err := w.leftBehind(ctx, appID, planID)
	if err != nil {
		return Subscription{}, err
	}
	s := Subscription{AppID: appID, PlanID: planID}
	if goesOn {
		if err := w.QueryRow(ctx, `
			update subscription set ended_at = null, whole_fee = false, app_id = $3 where tenant_id = $1 and subscription_id = $2
			returning subscription_id, started_at`, w.tenant, left, appID).Scan(&s.ID, &s.StartedAt); err != nil {
			return Subscription{}, err
		}
		if err := w.changedKeysOf(ctx, s.ID); err != nil {
			return Subscription{}, err
		}
		return s, w.onePlanPerStage(ctx, planID, 0)
	}
	err = w.QueryRow(ctx, `
		insert into subscription (tenant_id, plan_id, terms, app_id, origin_id, first_at)
		select tenant_id, plan_id, coalesce(sheet_num, 0), $3, $4, (`+customerSince+` and s.subscription_id = $5)
		from plan where tenant_id = $1 and plan_id = $2
		returning subscription_id, started_at`, w.tenant, planID, appID, ledger, left).Scan(&s.ID, &s.StartedAt)
	return s, err
}

// customerSince is when the customer of subscription s of tenant $1 began.
const customerSince = `select coalesce(s.first_at, least(s.started_at, o.started_at)) from subscription s
	join subscription o on (o.tenant_id, o.subscription_id) = (s.tenant_id, s.ledger_id) where s.tenant_id = $1`

// leftBehind is a subscription to a plan that the app's developer has ended not
// long ago, and whose ledger nobody has taken over: the app's own before one of an
// app that is deleted, before another's. It may go on itself (goesOn), or only its
// ledger. All are nil where there is none.
func (w *write) leftBehind(ctx context.Context, appID, planID string) (id, ledger *int64, goesOn bool, err error) {
	err = w.QueryRow(ctx, `
		select s.subscription_id, s.ledger_id,
			(s.app_id = $2 or a.deleted_at is not null) and s.terms = coalesce(p.sheet_num, 0) and s.ended_at >= date_trunc('month', now(), 'UTC')
		from app mine
		join app a on (a.tenant_id, a.developer_id) = (mine.tenant_id, mine.developer_id)
		join subscription s on (s.tenant_id, s.app_id) = (a.tenant_id, a.app_id)
		join plan p on (p.tenant_id, p.plan_id) = (s.tenant_id, s.plan_id)
		where mine.tenant_id = $1 and mine.app_id = $2 and s.plan_id = $3 and s.ended_at > now() - interval '70 days' -- no quota's window is longer
			and not exists (select from subscription l where (l.tenant_id, l.ledger_id) = (s.tenant_id, s.ledger_id) and l.ended_at is null)
		order by 3 desc, s.app_id = $2 desc, a.deleted_at is null, s.ended_at desc
		limit 1`, w.tenant, appID, planID).Scan(&id, &ledger, &goesOn)
	if err == pgx.ErrNoRows {
		return nil, nil, false, nil
	}
	return id, ledger, goesOn, err
}

// endSubscription ends a running subscription: its keys open nothing by it from
// now on, on any node.
func (w *write) endSubscription(ctx context.Context, id uint64) error {
	tag, err := w.Exec(ctx, `
		with dropped as (delete from plan_change where tenant_id = $1 and subscription_id = $2)
		update subscription set ended_at = now() where tenant_id = $1 and subscription_id = $2 and ended_at is null`, w.tenant, id)
	if err != nil {
		return err
	}
	if tag.RowsAffected() == 0 {
		return model.Errorf(model.NotFound, "there is no running subscription %d", id)
	}
	return w.changedKeysOf(ctx, id)
}

// changedKeysOf notes all keys of a subscription.
func (w *write) changedKeysOf(ctx context.Context, id uint64) error {
	rows, err := w.Query(ctx, `
		select key_num::bigint from subscription_key where tenant_id = $1 and subscription_id = $2 order by key_num`, w.tenant, id)
	if err != nil {
		return err
	}
	nums, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	w.changedKeys(nums)
	return err
}

func (w *write) unsubscribe(ctx context.Context, keyNum uint32, keyID, planID string) error {
	var app *string
	err := w.QueryRow(ctx, `
		update subscription s set ended_at = now() from subscription_key sk
		where s.tenant_id = $1 and s.plan_id = $3 and s.ended_at is null
			and (sk.tenant_id, sk.subscription_id) = (s.tenant_id, s.subscription_id) and sk.key_num = $2
		returning s.app_id`, w.tenant, keyNum, planID).Scan(&app)
	if err == nil && app != nil {
		return model.Errorf(model.Conflict, "key %s is one of a developer's app, whose subscription it shares; end the app's subscription instead", keyID)
	}
	return missing(err, "key %s is not subscribed to plan %q", keyID, planID)
}

// Subscribe ties a key to a plan.
func (p *Plane) Subscribe(ctx context.Context, actor Actor, keyID, planID string) (Subscription, error) {
	var out Subscription
	_, err := p.writeAs(ctx, actor, ToSell, func(w *write) error {
		num, err := w.keyNum(ctx, keyID)
		if err != nil {
			return err
		}
		if out, err = w.subscribe(ctx, num, keyID, planID); err != nil {
			return err
		}
		w.changed(kindKey, int64(num))
		return w.audit(ctx, "key.subscribe", keyID, map[string]any{"plan": planID, "subscription": out.ID})
	})
	if err != nil {
		return Subscription{}, err
	}
	return out, nil
}

// Unsubscribe ends a key's subscription to a plan.
func (p *Plane) Unsubscribe(ctx context.Context, actor Actor, keyID, planID string) error {
	_, err := p.writeAs(ctx, actor, ToSell, func(w *write) error {
		num, err := w.keyNum(ctx, keyID)
		if err != nil {
			return err
		}
		if err := w.unsubscribe(ctx, num, keyID, planID); err != nil {
			return err
		}
		w.changed(kindKey, int64(num))
		return w.audit(ctx, "key.unsubscribe", keyID, map[string]any{"plan": planID})
	})
	return err
}

// MoveKey takes a key from one plan to another; no call falls between them. The
// new plan's quota starts unused.
func (p *Plane) MoveKey(ctx context.Context, actor Actor, keyID, fromPlan, toPlan string) (Subscription, error) {
	if fromPlan == toPlan {
		return Subscription{}, model.Errorf(model.Invalid, "the key is to be moved from plan %q to itself", toPlan)
	}
	var out Subscription
	_, err := p.writeAs(ctx, actor, ToSell, func(w *write) error {
		num, err := w.keyNum(ctx, keyID)
		if err != nil {
			return err
		}
		if err := w.unsubscribe(ctx, num, keyID, fromPlan); err != nil {
			return err
		}
		if out, err = w.subscribe(ctx, num, keyID, toPlan); err != nil {
			return err
		}
		w.changed(kindKey, int64(num))
		return w.audit(ctx, "key.move", keyID, map[string]any{"from": fromPlan, "to": toPlan, "subscription": out.ID})
	})
	if err != nil {
		return Subscription{}, err
	}
	return out, nil
}

// EndSubscription ends a developer's subscription in the developer's stead. Its
// keys stop opening the plan's stages at once.
func (p *Plane) EndSubscription(ctx context.Context, actor Actor, id uint64) error {
	_, err := p.writeAs(ctx, actor, ToSell, func(w *write) error {
		var app, plan string
		err := w.QueryRow(ctx, `
			select app_id, plan_id from subscription
			where tenant_id = $1 and subscription_id = $2 and ended_at is null and app_id is not null`, w.tenant, int64(id)).Scan(&app, &plan)
		if err != nil {
			return missing(err, "there is no running subscription %d of an app", id)
		}
		if err := w.endSubscription(ctx, id); err != nil {
			return err
		}
		return w.audit(ctx, "subscription.end", app, map[string]any{"subscription": id, "plan": plan})
	})
	return err
}
