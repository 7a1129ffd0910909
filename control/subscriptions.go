package control

import (
	"context"

	"tollgate/model"
)

// subscribe ties a key to a plan, at the plan's present price, under a new number.
func (w *write) subscribe(ctx context.Context, keyNum uint32, keyID, planID string) (Subscription, error) {
	if err := planExists(ctx, w, w.tenant, planID); err != nil {
		return Subscription{}, err
	}
	if err := w.notSubscribed(ctx, keyNum, planID); err != nil {
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

// addKey gives a subscription one more key.
func (w *write) addKey(ctx context.Context, subscription uint64, keyNum uint32, planID string) error {
	if _, err := w.Exec(ctx, `
		insert into subscription_key (tenant_id, subscription_id, key_num) values ($1, $2, $3)`, w.tenant, subscription, keyNum); err != nil {
		return err
	}
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
