package web

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"

	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
)

func (s *Server) planRoutes() []route {
	return []route{
		{method: "GET", pattern: "/plans", who: mayRead, handle: (*visit).plans},
		{method: "GET", pattern: "/plans/new", who: maySell, handle: (*visit).newPlan},
		{method: "POST", pattern: "/plans/new", who: maySell, handle: (*visit).savePlan},
		{method: "POST", pattern: "/plans/pays", who: mayBill, handle: (*visit).planPays},
		{method: "GET", pattern: "/plans/{plan}", who: mayRead, handle: (*visit).plan},
		{method: "GET", pattern: "/plans/{plan}/edit", who: maySell, handle: (*visit).editPlan},
		{method: "POST", pattern: "/plans/{plan}/edit", who: maySell, handle: (*visit).savePlan},
		{method: "POST", pattern: "/plans/{plan}/publish", who: maySell, handle: (*visit).publishPlan},
		{method: "GET", pattern: "/plans/{plan}/reprice", who: mayBill, handle: (*visit).confirmReprice},
		{method: "POST", pattern: "/plans/{plan}/reprice", who: mayBill, handle: (*visit).repricePlan},
		{method: "GET", pattern: "/plans/{plan}/price", who: mayBill, handle: (*visit).announcePage},
		{method: "POST", pattern: "/plans/{plan}/price", who: mayBill, handle: (*visit).announce},
		{method: "POST", pattern: "/plans/{plan}/price/take-back", who: mayBill, handle: (*visit).takeBackPrice},
		{method: "GET", pattern: "/plans/{plan}/delete", who: maySell, handle: (*visit).confirmDeletePlan},
		{method: "POST", pattern: "/plans/{plan}/delete", who: maySell, handle: (*visit).deletePlan},
	}
}

var planCrumbs = []ui.Crumb{{Label: "Plans", URL: "/plans"}}

func planURL(id string) string { return "/plans/" + url.PathEscape(id) }

func (v *visit) plans() error {
	l, err := v.Plane.Plans(v.ctx(), v.actor(), control.Page{After: v.query("after"), Match: v.query("q")})
	if err != nil {
		return err
	}
	return v.render(plansPage(v.page("Plans"), l, v.query("q"), v.next(l.Next), v.may(control.ToSell)))
}

// next is the URL of a list's next page, with the same filters; empty on the last.
func (v *visit) next(after string) string {
	if after == "" {
		return ""
	}
	q := v.r.URL.Query()
	q.Set("after", after)
	return v.r.URL.Path + "?" + q.Encode()
}

func (v *visit) plan() error {
	p, err := v.Plane.PlanDetail(v.ctx(), v.actor(), v.path("plan"))
	if err != nil {
		return err
	}
	pg := v.page(p.Name)
	pg.Crumbs = planCrumbs
	return v.render(planPage(pg, p, planMay{sell: v.may(control.ToSell), bill: v.may(control.ToBill)}))
}

// planMay is what the visitor may do with a plan.
type planMay struct{ sell, bill bool }

func (v *visit) newPlan() error {
	p, err := v.Plane.PlanDetail(v.ctx(), v.actor(), "")
	if err != nil {
		return err
	}
	f := newPlanForm(p, v.may(control.ToBill))
	return v.render(planEditor(v.planPageOf(p), f))
}

func (v *visit) editPlan() error {
	p, err := v.Plane.PlanDetail(v.ctx(), v.actor(), v.path("plan"))
	if err != nil {
		return err
	}
	return v.render(planEditor(v.planPageOf(p), newPlanForm(p, v.may(control.ToBill))))
}

func (v *visit) planPageOf(p control.PlanDetail) ui.Page {
	pg := v.page("Make a plan")
	pg.Crumbs = planCrumbs
	if p.ID != "" {
		pg.Title = "Change " + p.Name
		pg.Crumbs = []ui.Crumb{planCrumbs[0], {Label: p.Name, URL: planURL(p.ID)}}
	}
	return pg
}

// savePlan makes or changes a plan; the other buttons of the form only show it
// again, with one more row or with what customers would pay.
func (v *visit) savePlan() error {
	p, err := v.Plane.PlanDetail(v.ctx(), v.actor(), v.path("plan"))
	if err != nil {
		return err
	}
	f := v.readPlanForm(p)
	if act := v.value("act"); act != "" {
		if act == "whatif" && f.Priced {
			if err := v.tryOut(f); err != nil {
				return err
			}
		}
		f.pays()
		f.spare()
		return v.render(planEditor(v.planPageOf(p), f))
	}
	if p.ID != "" && f.Seen != seenAt(p.Plan) {
		f.refused("", errPlanChanged)
		f.Seen = seenAt(p.Plan)
	}
	spec := f.spec(p.PlanSpec)
	var saved control.Plan
	if len(f.Problems) == 0 {
		if p.ID == "" {
			saved, err = v.Plane.CreatePlan(v.ctx(), v.actor(), spec)
		} else {
			saved, err = v.Plane.UpdatePlan(v.ctx(), v.actor(), p.ID, func(now *control.PlanSpec) error {
				if !sameSpec(*now, p.PlanSpec) {
					return errPlanChanged
				}
				*now = spec
				return nil
			})
		}
		switch {
		case err == nil:
			return v.done(savedPlan(p.Plan, saved), planURL(saved.ID))
		case !invalid(err) && model.KindOf(err) != model.NotFound:
			return err
		}
		f.refused("", err)
	}
	f.pays()
	f.spare()
	return v.renderAs(422, planEditor(v.planPageOf(p), f))
}

var errPlanChanged = model.Errorf(model.Conflict, "somebody else changed the plan meanwhile; compare with it as it is now, then save again")

// sameSpec reports that nothing of a plan differs.
func sameSpec(a, b control.PlanSpec) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// planPays is what customers pay by the price in the form, as it is being typed.
func (v *visit) planPays() error {
	f := v.readPlanForm(control.PlanDetail{})
	f.pays()
	return v.render(paysTable(f))
}

func savedPlan(was, now control.Plan) string {
	switch {
	case was.ID == "" && now.Published:
		return "Plan " + now.Name + " is made and offered on the portal. Nodes know it already."
	case was.ID == "":
		return "Plan " + now.Name + " is made. Nodes know it already: give it to a key, or offer it on the portal."
	case was.Version != now.Version && now.OtherPrice > 0:
		return "Saved. The new price is for new subscriptions; " + ui.Plural(now.OtherPrice, "running one keeps its", "running ones keep theirs") + " until you move them."
	}
	return "Saved. Nodes follow within a second."
}

func (v *visit) publishPlan() error {
	on := v.value("published") != ""
	p, err := v.Plane.UpdatePlan(v.ctx(), v.actor(), v.path("plan"), func(s *control.PlanSpec) error { s.Published = on; return nil })
	message := "Plan " + p.Name + " is on the portal."
	if !on {
		message = "Plan " + p.Name + " is off the portal. Who subscribed to it keeps it."
	}
	to := planURL(v.path("plan"))
	if v.value("from") == "portal" {
		to = "/portal-settings"
	}
	return v.outcome(err, message, to)
}

func (v *visit) confirmReprice() error {
	p, err := v.Plane.PlanDetail(v.ctx(), v.actor(), v.path("plan"))
	if err != nil {
		return err
	}
	pg := v.planPageOf(p)
	pg.Title = "Move subscriptions to the present price"
	return v.render(repricePage(pg, p))
}

func (v *visit) repricePlan() error {
	n, err := v.Plane.MoveToCurrentPrice(v.ctx(), v.actor(), v.path("plan"))
	return v.outcome(err, ui.Plural(n, "subscription is", "subscriptions are")+" charged by the present price from now on.", planURL(v.path("plan")))
}

func (v *visit) confirmDeletePlan() error {
	p, err := v.Plane.PlanDetail(v.ctx(), v.actor(), v.path("plan"))
	if err != nil {
		return err
	}
	pg := v.planPageOf(p)
	pg.Title = "Delete " + p.Name
	return v.render(deletePlanPage(pg, p))
}

func (v *visit) deletePlan() error {
	p, err := v.Plane.Plan(v.ctx(), v.actor(), v.path("plan"))
	if err != nil {
		return err
	}
	if err := v.Plane.DeletePlan(v.ctx(), v.actor(), p.ID); err != nil {
		return v.outcome(err, "", planURL(p.ID))
	}
	return v.done("Plan "+p.Name+" is deleted.", "/plans")
}

// exactText says how a plan's limits are kept where that is not as for most.
func exactText(e model.Exactness) string {
	var out []string
	if e.Hard {
		out = append(out, "rate and burst exact")
	}
	if e.FailOpen {
		out = append(out, "shares while the counter is away")
	}
	if e.SoftQuota {
		out = append(out, "a lost node's quota given out at once")
	}
	return strings.Join(out, "; ")
}

// spendText says what bounds the months of a plan's subscriptions.
func spendText(s model.Spending, price *model.PriceSheet) string {
	if price == nil {
		return "" // nothing has a price
	}
	var out []string
	if s.SpendCap != "" {
		out = append(out, ui.Amount(s.SpendCap, price.Currency))
	}
	if s.SpendMax != "" {
		out = append(out, "at most "+ui.Amount(s.SpendMax, price.Currency))
	}
	if s.Prepaid {
		out = append(out, "what was prepaid")
	}
	return strings.Join(out, "; ")
}

// planCommand is the plan on the command line.
func planCommand(p control.Plan) string {
	args := []string{"tollgate plan create --name", quoted(p.Name)}
	if p.Description != "" {
		args = append(args, "--description", quoted(p.Description))
	}
	if t := p.Throttle; t != nil {
		args = append(args, "--rate", number(t.Rate), "--burst", number(float64(t.Burst)))
	}
	if q := p.Quota; q != nil {
		args = append(args, "--quota", number(float64(q.Limit)), "--period", q.Period)
		if q.Offset > 0 {
			args = append(args, "--offset", number(float64(q.Offset)))
		}
	}
	for _, f := range []struct {
		on   bool
		flag string
	}{{p.Hard, "--hard"}, {p.FailOpen, "--fail-open"}, {p.SoftQuota, "--soft-quota"}, {p.Prepaid, "--prepaid"}} {
		if f.on {
			args = append(args, f.flag)
		}
	}
	if p.SpendCap != "" {
		args = append(args, "--spend-cap", string(p.SpendCap))
	}
	if p.SpendMax != "" {
		args = append(args, "--spend-max", string(p.SpendMax))
	}
	if s := p.Price; s != nil && !s.Plain() {
		sheet, _ := json.Marshal(s) // of plain fields: it cannot fail
		args = append(args, "--price", quoted(string(sheet)))
	} else if s != nil {
		args = append(args, "--currency", s.Currency)
		if !s.MonthlyFee.Zero() {
			args = append(args, "--monthly-fee", string(s.MonthlyFee))
		}
		if s.Included > 0 {
			args = append(args, "--included", number(float64(s.Included)))
		}
		for _, t := range s.Tiers {
			tier := ":" + string(t.Price)
			if t.UpTo > 0 {
				tier = number(float64(t.UpTo)) + tier
			}
			if t.Per > 1 {
				tier += "/" + number(float64(t.Per))
			}
			args = append(args, "--tier", tier)
		}
	}
	if p.Published {
		args = append(args, "--published")
	}
	for _, s := range p.Stages {
		args = append(args, "--stage", s.APIID+":"+s.Stage)
	}
	return strings.Join(args, " ")
}
