package control_test

import (
	"strconv"
	"testing"
	"time"

	"tollgate/control"
	"tollgate/model"
)

// A subscription that goes on after it was left for a lower fee is charged like any other:
// where another price continues it, its fee is for the time up to then.
func TestComingBackIsChargedInParts(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, control.Options{AckTimeout: 50 * time.Millisecond})
	s := newShop(w)
	offer := func(name string, fee model.Decimal) control.Plan {
		p, err := s.CreatePlan(s.ctx, s.owner, control.PlanSpec{Name: name, Published: true, Price: &model.PriceSheet{Currency: "USD", MonthlyFee: fee},
			Stages: []model.PlanStage{{APIID: s.deployed.Stage.APIID, Stage: "prod"}}})
		s.must(err)
		return p
	}
	large, small := offer("Large", "30"), offer("Small", "10")
	app, _, err := s.CreateApp(s.ctx, s.dev, "Shop", large.ID)
	s.must(err)
	running := func() control.AppSubscription {
		apps, err := s.MyApps(s.ctx, s.dev)
		s.must(err)
		return apps[0].Subscriptions[0]
	}
	w.exec(`update subscription set started_at = now() - interval '40 days'`)
	s.must(s.ChangeAppPlan(s.ctx, s.dev, s.to(running().ID, small)))
	s.must(s.CancelAppSubscription(s.ctx, s.dev, running().ID))
	_, err = s.SubscribeApp(s.ctx, s.dev, app, large.ID)
	s.must(err)
	s.reprice(s.owner, large.ID, &model.PriceSheet{Currency: "USD", MonthlyFee: "31"})
	if n, err := s.MoveToCurrentPrice(s.ctx, s.owner, large.ID); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	var continued, whole int
	w.all(`select count(*), count(*) filter (where o.whole_fee) from subscription o join subscription n on n.ledger_id = o.ledger_id and n.started_at = o.ended_at`, &continued, &whole)
	if continued != 1 || whole != 0 {
		t.Errorf("%d subscriptions went on at another price, %d of them with the whole fee of the month", continued, whole)
	}
}

// Who comes back to a plan has been a customer since the first plan, and has no trial anew.
func TestComingBackIsNoTrial(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, control.Options{AckTimeout: 50 * time.Millisecond})
	s := newShop(w)
	trial, err := s.CreatePlan(s.ctx, s.owner, control.PlanSpec{Name: "Trial", Published: true, Price: &model.PriceSheet{Currency: "USD", MonthlyFee: "20", TrialDays: 30},
		Stages: []model.PlanStage{{APIID: s.deployed.Stage.APIID, Stage: "prod"}}})
	s.must(err)
	app, _, err := s.CreateApp(s.ctx, s.dev, "Shop", s.plan.ID)
	s.must(err)
	running := func() control.AppSubscription {
		apps, err := s.MyApps(s.ctx, s.dev)
		s.must(err)
		return apps[0].Subscriptions[0]
	}
	w.exec(`update subscription set started_at = now() - interval '200 days'`)
	s.must(s.ChangeAppPlan(s.ctx, s.dev, s.to(running().ID, trial)))
	s.must(s.CancelAppSubscription(s.ctx, s.dev, running().ID))
	s.reprice(s.owner, trial.ID, &model.PriceSheet{Currency: "USD", MonthlyFee: "21", TrialDays: 30}) // or the next month
	_, err = s.SubscribeApp(s.ctx, s.dev, app, trial.ID)
	s.must(err)
	since := func() (days int) {
		t.Helper()
		w.all(`select (now()::date - coalesce(s.first_at, least(s.started_at, o.started_at))::date)::int
			from subscription s join subscription o on o.subscription_id = s.ledger_id where s.ended_at is null`, &days)
		return days
	}
	if n := since(); n < 199 {
		t.Errorf("the customer began %d days ago", n)
	}
	// Nor has who goes there by way of another plan, as a customer of that who is new.
	s.must(s.CancelAppSubscription(s.ctx, s.dev, running().ID))
	w.exec(`update subscription set ended_at = now() - interval '40 days' where ended_at is not null`)
	_, err = s.SubscribeApp(s.ctx, s.dev, app, s.offer("Other", "1").ID)
	s.must(err)
	if n := since(); n > 1 {
		t.Fatalf("the customer of another plan began %d days ago", n)
	}
	s.must(s.ChangeAppPlan(s.ctx, s.dev, s.to(running().ID, trial)))
	if n := since(); n < 199 {
		t.Errorf("by way of another plan the customer began %d days ago", n)
	}
}

// A developer's own spend cap is not above what the plan allows that it goes to, whether the
// quota and with it the ledger goes on or not.
func TestSpendCapGoesOnUpToWhatThePlanAllows(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, control.Options{AckTimeout: 50 * time.Millisecond})
	s := newShop(w)
	offer := func(name string, most model.Decimal, q *model.Quota) control.Plan {
		p, err := s.CreatePlan(s.ctx, s.owner, control.PlanSpec{Name: name, Published: true, Quota: q, Spending: model.Spending{SpendMax: most},
			Price: &model.PriceSheet{Currency: "USD", Tiers: []model.PriceTier{{Price: "1"}}}, Stages: []model.PlanStage{{APIID: s.deployed.Stage.APIID, Stage: "prod"}}})
		s.must(err)
		return p
	}
	month := &model.Quota{Limit: 100, Period: model.Month}
	for i, next := range []*model.Quota{month, nil} {
		_, _, err := s.CreateApp(s.ctx, s.dev, "Shop "+strconv.Itoa(i), offer("Wide"+model.NewID(4), "1000", month).ID)
		s.must(err)
		running := func() control.AppSubscription {
			apps, err := s.MyApps(s.ctx, s.dev)
			s.must(err)
			return apps[len(apps)-1].Subscriptions[0]
		}
		sub := running()
		s.must(s.SetAppSpendLimit(s.ctx, s.dev, sub.ID, control.SpendLimit{Cap: "800", Alert: "500"}))
		s.must(s.ChangeAppPlan(s.ctx, s.dev, s.to(sub.ID, offer("Narrow"+model.NewID(4), "100", next))))
		var limit string
		w.all(`select trim_scale(l.cap)::text || ' ' || trim_scale(l.alert) from spend_limit l join subscription s on (s.tenant_id, s.ledger_id) = (l.tenant_id, l.subscription_id)
			where s.ended_at is null order by s.subscription_id desc limit 1`, &limit)
		if limit != "100 500" {
			t.Errorf("%d: the plan allows 100, and what goes on is %s", i, limit)
		}
	}
}
