package portal

import (
	"slices"
	"strconv"
	"time"

	"tollgate/billing"
	"tollgate/billing/rate"
	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/money"
)

// changeForm is a change of plan as it is asked for, and what it comes to.
type changeForm struct {
	Plan, When string
	Terms      uint32
	Change     *money.Change // nil: not worked out
	Problems   []ui.Problem
}

// When a change takes effect.
const (
	atOnce  = "now"
	atEnd   = "end"
	asUsual = "" // at once where the fee rises, at the end of the month where it falls
)

func (v *visit) planPage() error {
	return v.planPageWith(200, changeForm{Plan: v.query("plan"), When: v.query("when")})
}

func (v *visit) planPageWith(status int, f changeForm) error {
	a, s, err := v.mySubscription()
	if err != nil {
		return err
	}
	c, err := v.Plane.Catalogue(v.ctx(), v.site)
	if err != nil {
		return err
	}
	left := others(c.Plans, a)
	if f.Plan != "" && !slices.ContainsFunc(left, func(p control.CataloguePlan) bool { return p.ID == f.Plan }) {
		return model.Errorf(model.NotFound, "there is no such plan to change to")
	}
	for _, p := range left {
		if p.ID != f.Plan {
			continue
		}
		if err := v.workOut(s, p, &f); err != nil {
			if !invalid(err) {
				return err
			}
			f.Problems = append(f.Problems, ui.Problem{Name: "plan", Text: sentence(model.MessageOf(err))})
			status = 422
		}
	}
	if f.Plan == "" && len(left) > 0 {
		f.Plan = left[0].ID
	}
	p := v.page("Change the plan")
	p.Crumbs = []ui.Crumb{{Label: "Apps", URL: v.link("/apps")}, {Label: a.Name, URL: v.appURL(a.ID)}}
	return v.renderAs(status, planView(p, v, a, s, left, f))
}

// workOut fills in what a change to a plan comes to.
func (v *visit) workOut(s control.AppSubscription, to control.CataloguePlan, f *changeForm) error {
	if v.Billing == nil {
		return model.Errorf(model.Conflict, "no invoices are made here, so nothing can be worked out")
	}
	_, end := rate.Month(v.Now())
	if f.When == asUsual {
		f.When = atOnce
		if lower(s.Price, to.Price) {
			f.When = atEnd
		}
	}
	ask := control.PlanSwitch{Subscription: s.ID, PlanID: to.ID}
	month := v.Now()
	if f.When == atEnd {
		ask.At, month = end, end
	}
	var effect control.SwitchEffect
	after, err := v.Billing.PreviewChange(v.ctx(), v.books(), month, v.Plane.TrySwitch(v.actor(), ask, &effect))
	if err != nil {
		return err
	}
	before, err := v.Billing.Preview(v.ctx(), v.books(), month)
	if err != nil {
		return err
	}
	f.Terms, f.Change = effect.Terms, shownChange(effect, before, after)
	return nil
}

func lower(was, now *model.PriceSheet) bool {
	return was != nil && (now == nil && !was.MonthlyFee.Zero() || now != nil && was.MonthlyFee.More(now.MonthlyFee))
}

func shownChange(e control.SwitchEffect, before, after []billing.InvoiceDetail) *money.Change {
	return &money.Change{From: e.From, To: e.To, Price: e.ToPrice, At: e.At, Later: e.Later, WholeFee: e.WholeFee, QuotaCarried: e.QuotaCarried,
		OldQuota: e.OldQuota, NewQuota: e.NewQuota, Before: before, After: after}
}

func (v *visit) changePlan() error {
	a, s, err := v.mySubscription()
	if err != nil {
		return err
	}
	terms, err := strconv.ParseUint(v.value("terms"), 10, 32)
	ask := control.PlanSwitch{Subscription: s.ID, PlanID: v.value("plan"), Terms: uint32(terms)}
	if err == nil {
		ask.At, err = time.Parse(time.RFC3339Nano, v.value("at"))
	}
	if err != nil {
		return v.planPageWith(422, changeForm{Plan: ask.PlanID, When: v.value("when"), Problems: []ui.Problem{{Name: "plan", Text: "Look at what changes before you change it"}}})
	}
	err = v.Plane.ChangeAppPlan(v.ctx(), v.actor(), ask)
	if invalid(err) {
		return v.planPageWith(422, changeForm{Plan: ask.PlanID, When: v.value("when"), Problems: []ui.Problem{{Name: "plan", Text: sentence(model.MessageOf(err))}}})
	}
	if err != nil {
		return err
	}
	if ask.At.After(v.Now()) {
		return v.done("The plan changes with "+ui.Date(ask.At)+". You can take that back until then.", "/apps/"+a.ID)
	}
	return v.done("The plan is changed; your keys stay.", "/apps/"+a.ID)
}

func (v *visit) keepPlan() error {
	a, s, err := v.mySubscription()
	if err != nil {
		return err
	}
	if err := v.Plane.KeepAppPlan(v.ctx(), v.actor(), s.ID); err != nil && model.KindOf(err) != model.NotFound {
		return err
	}
	return v.done("The subscription stays with "+s.Plan+".", "/apps/"+a.ID)
}
