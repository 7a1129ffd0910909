package control

import "context"

// Prune runs at once what Start runs now and then.
func (p *Plane) Prune(ctx context.Context) error { return p.prune(ctx) }

// SubscribeApp is the step of a developer's subscription that is the plan's.
func SubscribeApp(ctx context.Context, p *Plane, a Actor, appID, planID string) (s Subscription, err error) {
	_, err = p.writeAs(ctx, a, ToSell, func(w *write) error {
		s, err = w.subscribeApp(ctx, appID, planID)
		return err
	})
	return s, err
}

// AddAppKey makes a key of an app and adds it to the app's subscription.
func AddAppKey(ctx context.Context, p *Plane, a Actor, s Subscription) (k CreatedKey, err error) {
	if k, err = p.CreateKey(ctx, a, NewKey{Name: "app's", Enabled: true}); err != nil {
		return k, err
	}
	_, err = p.writeAs(ctx, a, ToSell, func(w *write) error {
		if _, err := w.Exec(ctx, `update api_key set app_id = $3 where tenant_id = $1 and key_num = $2`, w.tenant, k.Num, s.AppID); err != nil {
			return err
		}
		return w.addKey(ctx, s.ID, k.Num, s.PlanID)
	})
	return k, err
}

// SwitchPlan is the step of a developer's change of plan.
func SwitchPlan(ctx context.Context, p *Plane, a Actor, id uint64, planID string) (s Subscription, err error) {
	_, err = p.writeAs(ctx, a, ToSell, func(w *write) error {
		c, err := w.readSwitch(ctx, id, planID)
		if err != nil {
			return err
		}
		if err := w.allow(ctx, &c, PlanSwitch{Subscription: id, PlanID: planID, Terms: c.terms}, p.now(), false); err != nil {
			return err
		}
		s, err = w.switchNow(ctx, &c)
		return err
	})
	return s, err
}

// MaintainCalls runs at once what Start runs now and then.
func MaintainCalls(ctx context.Context, p *Plane) error { return p.maintainCalls(ctx) }
