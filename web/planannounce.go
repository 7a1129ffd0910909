package web

import (
	"time"

	"tollgate/control"
	"tollgate/ui"
)

// announceForm is a price that a plan is to have from a day on, as it was typed.
type announceForm struct {
	*planForm
	From string // 2026-12-01
	Move string // "move" or "keep"
}

func (v *visit) announcePage() error {
	p, err := v.Plane.PlanDetail(v.ctx(), v.actor(), v.path("plan"))
	if err != nil {
		return err
	}
	y, m, _ := v.Now().UTC().Date()
	plan := newPlanForm(p, true)
	plan.Kept = 0 // whether they keep it is asked here
	f := &announceForm{plan, time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC).Format(time.DateOnly), "move"}
	return v.render(announceView(v.announcePageOf(p), p, f))
}

func (v *visit) announcePageOf(p control.PlanDetail) ui.Page {
	pg := v.planPageOf(p)
	pg.Title = "A price from a day on"
	return pg
}

// announce makes the change; the other buttons of the form only show it again, with one
// more tier or with what customers would pay.
func (v *visit) announce() error {
	p, err := v.Plane.PlanDetail(v.ctx(), v.actor(), v.path("plan"))
	if err != nil {
		return err
	}
	plan := v.readPlanForm(p)
	plan.Kept = 0
	f := &announceForm{plan, v.value("from"), v.value("move")}
	if act := v.value("act"); act != "" {
		if act == "whatif" {
			if err := v.tryOut(f.planForm); err != nil {
				return err
			}
		}
		f.pays()
		f.spare()
		return v.render(announceView(v.announcePageOf(p), p, f))
	}
	sheet := f.price()
	from, err := time.Parse(time.DateOnly, f.From)
	if err != nil {
		f.wrong("from", "%.20q is not a day such as 2026-12-01", f.From)
	}
	if sheet == nil && len(f.Problems) == 0 {
		f.wrong("fee", "The price is nothing: to make the plan free of charge, change the plan itself")
	}
	if f.Move != "move" && f.Move != "keep" {
		f.wrong("move", "Say whether running subscriptions go to the price")
	}
	if len(f.Problems) == 0 {
		err := v.Plane.AnnouncePrice(v.ctx(), v.actor(), p.ID, *sheet, from, f.Move == "move")
		if err == nil {
			message := "The price of " + p.Name + " changes with " + ui.Date(from) + "."
			if f.Move == "move" {
				message += " Its customers are written to within a minute or two."
			}
			return v.done(message, planURL(p.ID))
		}
		if !invalid(err) {
			return err
		}
		f.refused("from", err)
	}
	f.pays()
	f.spare()
	return v.renderAs(422, announceView(v.announcePageOf(p), p, f))
}

func (v *visit) takeBackPrice() error {
	err := v.Plane.TakeBackPrice(v.ctx(), v.actor(), v.path("plan"))
	return v.outcome(err, "The price stays as it is.", planURL(v.path("plan")))
}
