package web

import (
	"strconv"
	"time"

	"tollgate/billing"
	"tollgate/billing/rate"
	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/money"
)

// planMove is the change of a developer's plan as it is asked for, and what it comes to.
type planMove struct {
	Plan, When string
	WholeFee   bool
	Terms      uint32
	Change     *money.Change // nil: not worked out
	Problems   []ui.Problem
}

// maxPlansOffered bounds the plans of a choice.
const maxPlansOffered = 500

func (v *visit) moveSubscriptionPage() error {
	return v.movePageWith(200, planMove{Plan: v.query("plan"), When: v.query("when"), WholeFee: v.query("whole") != ""})
}

func (v *visit) movePageWith(status int, f planMove) error {
	c, app, s, err := v.subscriptionOf()
	if err != nil {
		return err
	}
	l, err := v.Plane.Plans(v.ctx(), v.actor(), control.Page{Limit: maxPlansOffered})
	if err != nil {
		return err
	}
	var plans []control.Plan
	for _, p := range l.Items {
		if p.ID != s.PlanID {
			plans = append(plans, p)
		}
	}
	for i := range plans {
		if plans[i].ID != f.Plan {
			continue
		}
		if err := v.workOutMove(c.ID, s, &plans[i], &f); err != nil {
			if !invalid(err) {
				return err
			}
			f.Problems = append(f.Problems, ui.Problem{Name: "plan", Text: sentence(model.MessageOf(err))})
			status = 422
		}
	}
	return v.renderAs(status, moveSubscriptionView(v.developerPageOf("Move to another plan", c), c, app, s, plans, f))
}

// workOutMove fills in what a move to a plan comes to.
func (v *visit) workOutMove(developer string, s control.AppSubscription, to *control.Plan, f *planMove) error {
	_, end := rate.Month(v.Now())
	ask, month := control.PlanSwitch{Subscription: s.ID, PlanID: to.ID, WholeFee: f.WholeFee}, v.Now()
	if f.When == "end" {
		ask.At, month = end, end
	}
	scope := billing.Scope{Tenant: v.actor().Tenant, Developer: developer}
	var e control.SwitchEffect
	after, err := v.Billing.PreviewChange(v.ctx(), scope, month, v.Plane.TrySwitch(v.actor(), ask, &e))
	if err != nil {
		return err
	}
	before, err := v.Billing.Preview(v.ctx(), scope, month)
	if err != nil {
		return err
	}
	f.Terms, f.Change = e.Terms, &money.Change{From: e.From, To: e.To, Price: e.ToPrice, At: e.At, Later: e.Later, WholeFee: e.WholeFee, QuotaCarried: e.QuotaCarried,
		OldQuota: e.OldQuota, NewQuota: e.NewQuota, Before: before, After: after}
	return nil
}

func (v *visit) moveSubscription() error {
	c, _, s, err := v.subscriptionOf()
	if err != nil {
		return err
	}
	terms, err := strconv.ParseUint(v.value("terms"), 10, 32)
	ask := control.PlanSwitch{Subscription: s.ID, PlanID: v.value("plan"), Terms: uint32(terms), WholeFee: v.checked("whole")}
	if err == nil {
		ask.At, err = time.Parse(time.RFC3339Nano, v.value("at"))
	}
	if err != nil {
		return v.movePageWith(422, planMove{Plan: ask.PlanID, When: v.value("when"), WholeFee: ask.WholeFee, Problems: []ui.Problem{{Name: "plan", Text: "Look at what changes before you move it"}}})
	}
	err = v.Plane.MoveSubscription(v.ctx(), v.actor(), ask)
	if invalid(err) {
		return v.movePageWith(422, planMove{Plan: ask.PlanID, When: v.value("when"), WholeFee: ask.WholeFee, Problems: []ui.Problem{{Name: "plan", Text: sentence(model.MessageOf(err))}}})
	}
	message := "The subscription is moved; its keys stay."
	if ask.At.After(v.Now()) {
		message = "The plan changes with " + ui.Date(ask.At) + ". You or the developer can take that back until then."
	}
	return v.outcome(err, message, developerURL(c.ID))
}

func (v *visit) keepPlan() error {
	c, _, s, err := v.subscriptionOf()
	if err != nil {
		return err
	}
	return v.outcome(v.Plane.KeepPlan(v.ctx(), v.actor(), s.ID), "The subscription stays with "+s.Plan+".", developerURL(c.ID))
}

func moveOptions(plans []control.Plan) []ui.Option {
	out := make([]ui.Option, len(plans))
	for i, p := range plans {
		out[i] = ui.Option{Value: p.ID, Label: p.Name + " · " + ui.PriceText(p.Price)}
	}
	return out
}
