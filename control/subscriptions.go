package control

import (
	"context"

	"tollgate/model"
)

// subscribe ties a key to a plan under a new number.
func (w *write) subscribe(ctx context.Context, keyNum uint32, keyID, planID string) (Subscription, error) {
	if err := planExists(ctx, w, w.tenant, planID); err != nil {
		return Subscription{}, err
	}
	s := Subscription{KeyID: keyID, PlanID: planID}
	err := w.QueryRow(ctx, `
		insert into subscription (tenant_id, plan_id, key_num) values ($1, $2, $3)
		returning subscription_id, started_at`, w.tenant, planID, keyNum).Scan(&s.ID, &s.StartedAt)
	if err != nil {
		return Subscription{}, err
	}
	return s, w.onePlanPerStage(ctx, planID, keyNum)
}

func (w *write) unsubscribe(ctx context.Context, keyNum uint32, keyID, planID string) error {
	tag, err := w.Exec(ctx, `
		update subscription set ended_at = now()
		where tenant_id = $1 and key_num = $2 and plan_id = $3 and ended_at is null`, w.tenant, keyNum, planID)
	if err == nil && tag.RowsAffected() == 0 {
		return model.Errorf(model.NotFound, "key %s is not subscribed to plan %q", keyID, planID)
	}
	return err
}

// Subscribe ties a key to a plan.
func (p *Plane) Subscribe(ctx context.Context, actor Actor, keyID, planID string) (Subscription, error) {
	var out Subscription
	_, err := p.writeAs(ctx, actor, toSell, func(w *write) error {
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
	_, err := p.writeAs(ctx, actor, toSell, func(w *write) error {
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
	_, err := p.writeAs(ctx, actor, toSell, func(w *write) error {
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
