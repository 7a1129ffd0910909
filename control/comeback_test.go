package control_test

import (
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
