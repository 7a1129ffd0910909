package control_test

import (
	"testing"
	"time"

	"tollgate/control"
	"tollgate/model"
)

// A developer goes up at once and down at the end of the month, in which the fee of what
// is left is charged to its end or whole; what is used of the quota counts on, and
// nobody has what a plan includes twice by going to and fro.
func TestChangesOfPlan(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Second)
	w := newWorldWith(t, control.Options{AckTimeout: 50 * time.Millisecond, Now: func() time.Time { return now }})
	s := newShop(w)
	offer := func(name string, fee model.Decimal, currency string, q *model.Quota) control.Plan {
		p, err := s.CreatePlan(s.ctx, s.owner, control.PlanSpec{Name: name, Published: true, Quota: q, Price: &model.PriceSheet{Currency: currency, MonthlyFee: fee},
			Stages: []model.PlanStage{{APIID: s.deployed.Stage.APIID, Stage: "prod"}}})
		s.must(err)
		return p
	}
	small := offer("Small", "10", "USD", &model.Quota{Limit: 100, Period: model.Month})
	large := offer("Large", "30", "USD", &model.Quota{Limit: 1000, Period: model.Month})
	daily := offer("Daily", "40", "USD", &model.Quota{Limit: 10, Period: model.Day})
	euro := offer("Euro", "50", "EUR", nil)
	app, _, err := s.CreateApp(s.ctx, s.dev, "Shop", small.ID)
	s.must(err)
	running := func() control.AppSubscription {
		t.Helper()
		apps, err := s.MyApps(s.ctx, s.dev)
		s.must(err)
		if len(apps) != 1 || len(apps[0].Subscriptions) != 1 || len(apps[0].Subscriptions[0].Keys) != 1 {
			t.Fatalf("apps %+v", apps)
		}
		return apps[0].Subscriptions[0]
	}
	sub := running()
	w.exec(`update subscription set started_at = $2 where subscription_id = $1`, int64(sub.ID), now.Add(-40*24*time.Hour))

	// What cannot be.
	s.refused(s.ChangeAppPlan(s.ctx, s.dev, s.to(sub.ID, small)), model.Conflict, "already")
	s.refused(s.ChangeAppPlan(s.ctx, s.dev, s.to(sub.ID, euro)), model.Conflict, "priced in EUR")
	c := s.to(sub.ID, large)
	c.Terms = 0
	s.refused(s.ChangeAppPlan(s.ctx, s.dev, c), model.Conflict, "price of plan")
	c = s.to(sub.ID, large)
	for _, at := range []time.Time{now.Add(time.Hour), now.Add(-control.PreviewLife - time.Second), now.AddDate(0, -1, 0)} {
		c.At = at
		s.refused(s.ChangeAppPlan(s.ctx, s.dev, c), model.Conflict, "look at its lines again")
	}
	_, err = s.UpdatePlan(s.ctx, s.owner, large.ID, func(p *control.PlanSpec) error { p.Published = false; return nil })
	s.must(err)
	s.refused(s.ChangeAppPlan(s.ctx, s.dev, s.to(sub.ID, large)), model.NotFound, "no plan")
	_, err = s.UpdatePlan(s.ctx, s.owner, large.ID, func(p *control.PlanSpec) error { p.Published = true; return nil })
	s.must(err)
	w.exec(`update tenant set billing_rules = '{"cardFirst": true}' where tenant_id = $1`, s.owner.Tenant)
	w.exec(`insert into stripe_account (tenant_id, account) values ($1, 'acct_1')`, s.owner.Tenant)
	hidden, err := s.CreatePlan(s.ctx, s.owner, control.PlanSpec{Name: "Hidden", Price: priced("1", "1")})
	s.must(err)
	publish := func() error {
		_, err := s.UpdatePlan(s.ctx, s.owner, hidden.ID, func(p *control.PlanSpec) error { p.Published = !p.Published; return nil })
		return err
	}
	s.refused(publish(), model.Conflict, "takes no payments")
	if d, err := s.PlanDetail(s.ctx, s.owner, hidden.ID); err != nil || d.NotSellable == "" {
		t.Errorf("%+v, %v", d, err)
	}
	w.exec(`update tenant set billing_rules = '{"cardFirst": true, "byHand": true}' where tenant_id = $1`, s.owner.Tenant)
	s.must(publish())
	w.exec(`update tenant set billing_rules = '{"cardFirst": true}' where tenant_id = $1`, s.owner.Tenant)
	s.must(publish()) // off the portal it goes always
	w.exec(`update stripe_account set charges_enabled = true where tenant_id = $1`, s.owner.Tenant)
	s.must(publish())
	s.refused(s.ChangeAppPlan(s.ctx, s.dev, s.to(sub.ID, large)), model.Conflict, "save a card")
	_, err = s.SubscribeApp(s.ctx, s.dev, app, large.ID)
	s.refused(err, model.Conflict, "save a card")
	w.exec(`insert into stripe_customer (tenant_id, account, developer_id, customer, method) values ($1, 'acct_1', $2, 'cus_1', 'pm_1')`, s.owner.Tenant, s.dev.Member)

	// A try leaves nothing; up at once, at the instant that was shown.
	before := w.dump(s.owner)
	c = s.to(sub.ID, large)
	effect, err := s.try(s.dev, c)
	s.must(err)
	if effect.From != "Small" || effect.To != "Large" || effect.Lower || effect.WholeFee || effect.Later || !effect.QuotaCarried || !effect.At.Equal(now) {
		t.Errorf("%+v", effect)
	}
	if w.dump(s.owner) != before {
		t.Error("a try left something")
	}
	shown := now
	now = now.Add(time.Minute)
	if shown.Month() != now.Month() { // else the month has just turned
		shown = now
	}
	c.At = shown
	s.must(s.ChangeAppPlan(s.ctx, s.dev, c))
	up := running()
	var ended, started, first time.Time
	var sameLedger, whole bool
	w.all(`select o.ended_at, n.started_at, n.ledger_id = o.ledger_id, o.whole_fee, n.first_at from subscription n join subscription o on o.subscription_id = n.follows_id`,
		&ended, &started, &sameLedger, &whole, &first)
	if up.PlanID != large.ID || !ended.Equal(shown) || !started.Equal(shown) || !sameLedger || whole || !first.Before(shown) {
		t.Errorf("%+v: ended %s, began %s, same ledger %v, whole %v, first %s", up, ended, started, sameLedger, whole, first)
	}
	// Back at once it does not go, and down to another only with the fee whole.
	s.refused(s.ChangeAppPlan(s.ctx, s.dev, s.to(up.ID, small)), model.Conflict, "left plan")
	tiny := offer("Tiny", "1", "USD", nil)
	effect, err = s.try(s.dev, s.to(up.ID, tiny))
	s.must(err)
	if !effect.WholeFee || !effect.Lower || effect.QuotaCarried {
		t.Errorf("%+v", effect)
	}
	if effect, err = s.try(s.owner, s.to(up.ID, tiny)); err != nil || effect.WholeFee {
		t.Errorf("the seller may be kinder: %+v, %v", effect, err)
	}

	// At the end of the month, at the price of today; it can be taken back until then.
	end := time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC)
	c = s.to(up.ID, tiny)
	c.At = end
	s.refused(s.KeepAppPlan(s.ctx, s.dev, up.ID), model.NotFound, "no change ahead")
	s.must(s.ChangeAppPlan(s.ctx, s.dev, c))
	if next := running().Next; next == nil || next.PlanID != tiny.ID || !next.At.Equal(end) || next.Problem != "" {
		t.Errorf("%+v", next)
	}
	s.must(s.KeepAppPlan(s.ctx, s.dev, up.ID))
	if next := running().Next; next != nil {
		t.Errorf("%+v", next)
	}
	s.must(s.MoveSubscription(s.ctx, s.owner, c))
	s.must(s.KeepPlan(s.ctx, s.owner, up.ID))
	s.must(s.ChangeAppPlan(s.ctx, s.dev, c))
	s.reprice(s.owner, tiny.ID, &model.PriceSheet{Currency: "USD", MonthlyFee: "2"})
	s.reprice(s.owner, large.ID, &model.PriceSheet{Currency: "USD", MonthlyFee: "31"})
	_, err = s.MoveToCurrentPrice(s.ctx, s.owner, large.ID) // the change goes with it
	s.must(err)
	w.exec(`update subscription set started_at = $2 where subscription_id = $1`, int64(running().ID), now) // by this test's clock
	s.must(s.ChangePlans(s.ctx))
	if got := running(); got.PlanID != large.ID || got.Next == nil {
		t.Errorf("before its time: %+v", got)
	}
	now = end.Add(20 * time.Second)
	s.must(s.ChangePlans(s.ctx))
	s.must(s.ChangePlans(s.ctx))
	down := running()
	if down.PlanID != tiny.ID || !down.StartedAt.Equal(end) || down.Price.MonthlyFee != "1" || down.Next != nil || down.Current {
		t.Errorf("after its time: %+v", down)
	}

	// A price announced for a day is the plan's from its first instant on, and of those that
	// are moved; a change to it at the end of the month is agreed at the price then.
	s.refused(s.AnnouncePrice(s.ctx, s.owner, tiny.ID, model.PriceSheet{Currency: "USD", MonthlyFee: "3"}, now, true), model.Invalid, "day to come")
	s.refused(s.AnnouncePrice(s.ctx, s.owner, tiny.ID, model.PriceSheet{Currency: "EUR", MonthlyFee: "3"}, now.AddDate(0, 0, 2), true), model.Conflict, "paid in USD")
	s.refused(s.AnnouncePrice(s.ctx, s.owner, small.ID, *small.Price, now.AddDate(0, 0, 2), true), model.Conflict, "is the one")
	day := end.AddDate(0, 0, 9)
	s.must(s.AnnouncePrice(s.ctx, s.owner, tiny.ID, model.PriceSheet{Currency: "USD", MonthlyFee: "3"}, day.Add(5*time.Hour), true))
	s.refused(s.AnnouncePrice(s.ctx, s.owner, tiny.ID, model.PriceSheet{Currency: "USD", MonthlyFee: "4"}, day, true), model.Conflict, "take it back first")
	w.exec(`update price_change set told_at = now()`)
	s.must(s.TakeBackPrice(s.ctx, s.owner, tiny.ID))
	s.refused(s.TakeBackPrice(s.ctx, s.owner, tiny.ID), model.NotFound, "ahead")
	s.must(s.AnnouncePrice(s.ctx, s.owner, tiny.ID, model.PriceSheet{Currency: "USD", MonthlyFee: "3"}, day, true))
	s.must(s.AnnouncePrice(s.ctx, s.owner, small.ID, model.PriceSheet{Currency: "USD", MonthlyFee: "12"}, day, false))
	s.must(s.ChangePlans(s.ctx))
	if d, err := s.PlanDetail(s.ctx, s.owner, tiny.ID); err != nil || d.Ahead == nil || !d.Ahead.From.Equal(day) || d.Ahead.Told || d.Price.MonthlyFee != "2" || running().Price.MonthlyFee != "1" {
		t.Errorf("before the day: %+v, %v", d, err)
	}
	c = s.to(down.ID, small)
	c.At = end.AddDate(0, 1, 0)
	s.refused(s.ChangeAppPlan(s.ctx, s.dev, c), model.Conflict, "changed meanwhile")
	if effect, err := s.try(s.dev, c); err != nil || effect.ToPrice.MonthlyFee != "12" || effect.Terms == c.Terms {
		t.Errorf("%+v, %v", effect, err)
	}
	now = day.Add(time.Minute)
	s.must(s.ChangePlans(s.ctx))
	if d, err := s.PlanDetail(s.ctx, s.owner, tiny.ID); err != nil || d.Ahead != nil || d.Price.MonthlyFee != "3" || d.OtherPrice != 0 {
		t.Errorf("after the day: %+v, %v", d, err)
	}
	if got := running(); got.Price.MonthlyFee != "3" || !got.StartedAt.Equal(day) {
		t.Errorf("after the day: %+v", got)
	}
	down = running()

	// One that cannot be made says why. Ending the subscription drops what was ahead.
	c = s.to(down.ID, daily)
	c.At = end.AddDate(0, 1, 0)
	s.must(s.ChangeAppPlan(s.ctx, s.dev, c))
	s.must(s.DeletePlan(s.ctx, s.owner, daily.ID))
	now = c.At
	s.must(s.ChangePlans(s.ctx))
	if next := running().Next; next == nil || next.Problem == "" {
		t.Errorf("%+v", next)
	}
	s.must(s.CancelAppSubscription(s.ctx, s.dev, down.ID))
	var n int
	// Moved in the console, a price that is taken back, and a change that could not be made.
	if w.all(`select count(*) from mail where purpose = 'plan'`, &n); n != 3 {
		t.Errorf("%d letters about plans", n)
	}
	if w.all(`select count(*) from plan_change`, &n); n != 0 {
		t.Errorf("%d changes are left of what has ended", n)
	}
}

// try makes a change of plan and undoes it.
func (s *shop) try(a control.Actor, c control.PlanSwitch) (effect control.SwitchEffect, err error) {
	s.Helper()
	tx, err := s.pool.Begin(s.ctx)
	s.must(err)
	defer tx.Rollback(s.ctx)
	_, err = tx.Exec(s.ctx, `select set_config('tollgate.tenant', '*', true)`)
	s.must(err)
	return effect, s.TrySwitch(a, c, &effect)(s.ctx, tx)
}
