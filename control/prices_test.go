package control_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/control"
	"tollgate/model"
)

// priced is a sheet with a fee and one tier.
func priced(fee, call model.Decimal) *model.PriceSheet {
	return &model.PriceSheet{Currency: "EUR", MonthlyFee: fee, Included: 1000, Tiers: []model.PriceTier{{Price: call}}}
}

func (w *world) reprice(a control.Actor, plan string, s *model.PriceSheet) control.Plan {
	w.Helper()
	p, err := w.UpdatePlan(w.ctx, a, plan, func(spec *control.PlanSpec) error { spec.Price = s; return nil })
	w.must(err)
	return p
}

func (w *world) subscription(a control.Actor, key string) control.KeyUse {
	w.Helper()
	d, err := w.KeyDetail(w.ctx, a, key)
	w.must(err)
	if len(d.Uses) != 1 {
		w.Fatalf("key %s has %d subscriptions", key, len(d.Uses))
	}
	return d.Uses[0]
}

// A changed price is a new version, for new subscriptions; the others keep theirs
// until they are moved.
func TestPriceVersions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tenant()
	d := w.deployed(a, "prod")
	p, err := w.CreatePlan(w.ctx, a, control.PlanSpec{Name: "Gold", Price: priced("10", "0.002"), Published: true,
		Stages: []model.PlanStage{{APIID: d.Stage.APIID, Stage: "prod"}}})
	w.must(err)
	if p.Version != 1 || p.Price == nil || p.Price.MonthlyFee != "10" || !p.Published || p.Subscriptions != 0 {
		t.Errorf("made %+v", p)
	}
	early := w.key(a, p.ID)
	first := w.subscription(a, early.ID)
	if first.Version != 1 || !first.Current || first.Price.Tiers[0].Price != "0.002" {
		t.Errorf("first subscription %+v", first)
	}

	if p = w.reprice(a, p.ID, priced("10.00", "0.00200")); p.Version != 1 {
		t.Errorf("the same price written otherwise made version %d", p.Version)
	}
	// Changed in place, as a form does it.
	p, err = w.UpdatePlan(w.ctx, a, p.ID, func(s *control.PlanSpec) error { s.Price.MonthlyFee = "12.50"; return nil })
	w.must(err)
	if p.Version != 2 || p.Price.MonthlyFee != "12.5" || p.Subscriptions != 1 || p.OtherPrice != 1 {
		t.Errorf("changed %+v", p)
	}
	late := w.key(a, p.ID)
	if u := w.subscription(a, late.ID); u.Version != 2 || !u.Current {
		t.Errorf("new subscription %+v", u)
	}
	if u := w.subscription(a, early.ID); u.Version != 1 || u.Current || u.Price.MonthlyFee != "10" {
		t.Errorf("old subscription %+v", u)
	}
	detail, err := w.PlanDetail(w.ctx, a, p.ID)
	w.must(err)
	if v := detail.Versions; len(v) != 2 || v[0].Version != 2 || !v[0].Current || v[0].Subscriptions != 1 || v[0].CreatedBy != a.Name ||
		v[1].Version != 1 || v[1].Current || v[1].Subscriptions != 1 || v[1].Sheet.MonthlyFee != "10" {
		t.Errorf("versions %+v", detail.Versions)
	}
	if len(detail.Choices) != 1 || len(detail.Opens) != 1 || detail.Opens[0] != (control.StageName{APIID: d.Stage.APIID, API: "Pets", Stage: "prod"}) {
		t.Errorf("stages %+v, %+v", detail.Choices, detail.Opens)
	}

	// Free now, for those who come; a version 0 says who pays nothing.
	p = w.reprice(a, p.ID, nil)
	if p.Version != 0 || p.OtherPrice != 2 {
		t.Errorf("without a price %+v", p)
	}
	w.key(a, p.ID)
	detail, err = w.PlanDetail(w.ctx, a, p.ID)
	w.must(err)
	if v := detail.Versions; len(v) != 3 || v[2].Version != 0 || !v[2].Current || v[2].Subscriptions != 1 || v[0].Current {
		t.Errorf("versions %+v", v)
	}

	// Nothing can be rewritten, by whatever way.
	for _, sql := range []string{"update price_sheet set sheet = '{}'", "delete from price_sheet"} {
		tx, err := w.pool.Begin(w.ctx)
		w.must(err)
		_, err = tx.Exec(w.ctx, `select set_config('tollgate.tenant', $1, true)`, fmt.Sprint(a.Tenant))
		w.must(err)
		if _, err := tx.Exec(w.ctx, sql); err == nil {
			t.Errorf("%s was done", sql)
		}
		w.must(tx.Rollback(w.ctx))
	}
}

// Prices are for those who may bill: a developer of the account changes limits,
// not money.
func TestPricesTakeWhoMayBill(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tenant()
	p, err := w.CreatePlan(w.ctx, a, control.PlanSpec{Name: "Gold", Price: priced("1", "1")})
	w.must(err)
	dev := a
	dev.Role = control.RoleDeveloper
	_, err = w.CreatePlan(w.ctx, dev, control.PlanSpec{Name: "P", Price: priced("1", "1")})
	w.refused(err, model.Denied, "prices")
	for _, sheet := range []*model.PriceSheet{nil, priced("2", "1")} {
		_, err = w.UpdatePlan(w.ctx, dev, p.ID, func(s *control.PlanSpec) error { s.Price = sheet; return nil })
		w.refused(err, model.Denied, "prices")
	}
	_, err = w.MoveToCurrentPrice(w.ctx, dev, p.ID)
	w.refused(err, model.Denied, "prices")
	_, err = w.UpdatePlan(w.ctx, dev, p.ID, func(s *control.PlanSpec) error { s.Name, s.Price = "Silver", priced("1.0", "1"); return nil })
	w.must(err)
	_, err = w.CreatePlan(w.ctx, dev, control.PlanSpec{Name: "Free"})
	w.must(err)
	_, err = w.CreatePlan(w.ctx, a, control.PlanSpec{Name: "P", Price: &model.PriceSheet{Currency: "XXX"}})
	w.refused(err, model.Invalid, "currency")
	if after, err := w.Plan(w.ctx, a, p.ID); err != nil || after.Version != 1 || after.Name != "Silver" {
		t.Errorf("plan %+v, %v", after, err)
	}
}

// Moving to the current price ends subscriptions and begins others: what was used
// stays where it was, keys go on, and so does the quota, to the unit.
func TestMoveToCurrentPrice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tenant()
	d := w.deployed(a, "prod")
	p, err := w.CreatePlan(w.ctx, a, control.PlanSpec{Name: "Gold", Price: priced("10", "0.002"),
		Quota: &model.Quota{Limit: 100, Period: model.Month}, Stages: []model.PlanStage{{APIID: d.Stage.APIID, Stage: "prod"}}})
	w.must(err)
	own := w.key(a, p.ID)
	app := w.app(a, "dev@example.com")
	s, err := control.SubscribeApp(w.ctx, w.Plane, a, app, p.ID)
	w.must(err)
	k1, err := control.AddAppKey(w.ctx, w.Plane, a, s)
	w.must(err)
	k2, err := control.AddAppKey(w.ctx, w.Plane, a, s)
	w.must(err)
	n := control.SharedNode("n1")
	var node shadow
	w.follow(&node, n)

	old := node.keys[own.Num].Subscriptions[0]
	ask := func(c model.SubscriptionConfig, want, back int64) int64 {
		ledger := c.ID
		if c.Ledger != 0 {
			ledger = c.Ledger
		}
		return w.lease(model.LeaseRequest{Boot: "boot-1", Tenant: a.Tenant, Subscription: ledger, At: time.Now(), Want: want, Return: back})[0].Granted
	}
	if g := ask(old, 40, 0); g != 40 {
		t.Fatalf("granted %d", g)
	}

	if moved, err := w.MoveToCurrentPrice(w.ctx, a, p.ID); err != nil || moved != 0 {
		t.Errorf("moved %d, %v though all are at the current price", moved, err)
	}
	if c := w.follow(&node, n); !c.Empty() {
		t.Errorf("nodes were told %+v", c)
	}
	w.reprice(a, p.ID, priced("20", "0.001"))
	w.follow(&node, n)
	moved, err := w.MoveToCurrentPrice(w.ctx, a, p.ID)
	w.must(err)
	if moved != 2 {
		t.Errorf("moved %d", moved)
	}
	if c := w.follow(&node, n); len(c.Keys) != 3 || len(c.Plans) != 0 {
		t.Errorf("nodes were told %+v", c)
	}
	w.same(&node, n)
	now := node.keys[own.Num].Subscriptions[0]
	if now.ID == old.ID || now.Ledger != old.ID || now.Terms == old.Terms {
		t.Errorf("from %+v to %+v", old, now)
	}
	x, y := node.keys[k1.Num].Subscriptions[0], node.keys[k2.Num].Subscriptions[0]
	if x.ID == s.ID || x != y || x.Ledger != s.ID || x.Terms != now.Terms {
		t.Errorf("the app's keys have %+v and %+v", x, y)
	}
	if u := w.subscription(a, own.ID); u.Version != 2 || !u.Current || u.Given != 40 || u.Subscription != now.ID {
		t.Errorf("use %+v", u)
	}
	if u := w.subscription(a, k1.ID); u.Shared != 1 {
		t.Errorf("the app's use %+v", u)
	}

	// The node gives back under the ledger what it held; the limit is what it was.
	if g := ask(now, 0, 30); g != 0 {
		t.Errorf("granted %d for a return", g)
	}
	sum := int64(10)
	for g := ask(now, 1000, 0); g > 0; g = ask(now, 1000, 0) {
		sum += g
	}
	if sum != 100 {
		t.Errorf("%d of 100 units were granted in all", sum)
	}

	// A second move goes on with the same ledger.
	w.reprice(a, p.ID, nil)
	_, err = w.MoveToCurrentPrice(w.ctx, a, p.ID)
	w.must(err)
	w.follow(&node, n)
	last := node.keys[own.Num].Subscriptions[0]
	if last.Ledger != old.ID || last.Terms != 0 || last.ID == now.ID {
		t.Errorf("after two moves %+v", last)
	}
	if g := ask(last, 1, 0); g != 0 {
		t.Errorf("a move gave %d fresh units", g)
	}
	var rows, gap int
	w.all(fmt.Sprintf(`select count(*), count(*) filter (where ended_at is not null and not exists (
		select from subscription n where n.ledger_id = s.ledger_id and n.started_at = s.ended_at)) from subscription s where ledger_id = %d`, old.ID), &rows, &gap)
	if rows != 3 || gap != 0 {
		t.Errorf("%d subscriptions of the ledger, %d of them not continued at their end", rows, gap)
	}
	_, err = w.MoveToCurrentPrice(w.ctx, a, "nosuch")
	w.refused(err, model.NotFound, "nosuch")
}

// Subscriptions that run are never paid in another currency than they began with, whatever
// the plan is priced in by then: neither at once nor at an announced price's day.
func TestPriceInAnotherCurrency(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tenant()
	p, err := w.CreatePlan(w.ctx, a, control.PlanSpec{Name: "Gold", Price: priced("10", "0.002")})
	w.must(err)
	_, err = control.SubscribeApp(w.ctx, w.Plane, a, w.app(a, "dev@example.com"), p.ID)
	w.must(err)
	other := priced("8", "0.001")
	other.Currency = "USD"
	w.reprice(a, p.ID, other)
	_, err = w.MoveToCurrentPrice(w.ctx, a, p.ID)
	w.refused(err, model.Conflict, "paid in EUR")
	w.refused(w.AnnouncePrice(w.ctx, a, p.ID, model.PriceSheet{Currency: "USD", MonthlyFee: "9"}, time.Now().AddDate(0, 0, 2), true), model.Conflict, "paid in EUR")
	w.must(w.AnnouncePrice(w.ctx, a, p.ID, model.PriceSheet{Currency: "USD", MonthlyFee: "9"}, time.Now().AddDate(0, 0, 2), false))
	w.reprice(a, p.ID, priced("12", "0.001")) // euros again: now they may move
	if moved, err := w.MoveToCurrentPrice(w.ctx, a, p.ID); err != nil || moved != 1 {
		t.Errorf("moved %d, %v", moved, err)
	}
}

// Moving thousands tells nodes of a range instead of each.
func TestMoveManyToCurrentPrice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tenant()
	p := w.plan(a, w.deployed(a, "prod"), nil)
	keys := make([]control.NewKey, 1500)
	for i := range keys {
		keys[i] = control.NewKey{Value: fmt.Sprintf("bulk-key-value-%012d", i), Enabled: true}
	}
	_, err := w.ImportKeys(w.ctx, a, p.ID, keys)
	w.must(err)
	n := control.SharedNode("n1")
	var node shadow
	w.follow(&node, n)
	terms := w.reprice(a, p.ID, priced("1", "1"))
	moved, err := w.MoveToCurrentPrice(w.ctx, a, p.ID)
	w.must(err)
	c := w.follow(&node, n)
	w.same(&node, n)
	if moved != 1500 || len(c.Keys) != 1500 || terms.OtherPrice != 1500 {
		t.Errorf("%d moved of %d, nodes were told of %d", moved, terms.OtherPrice, len(c.Keys))
	}
	for _, k := range node.keys {
		if len(k.Subscriptions) != 1 || k.Subscriptions[0].Terms == 0 {
			t.Fatalf("key %+v", k)
		}
	}
}

// Nodes that lease while subscriptions are moved again and again are granted the
// quota's units in all: none twice, none lost.
func TestMoveWhileNodesLease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const limit = 300
	a, p, r := w.subscribed(&model.Quota{Limit: limit, Period: model.Month})
	var granted, asked atomic.Int64
	var wg sync.WaitGroup
	moved := make(chan struct{})
	for i := range 4 {
		wg.Go(func() {
			q := r
			q.Boot, q.Want = fmt.Sprintf("boot-%d", i), 3
			for done := false; ; {
				g := w.lease(q)[0].Granted
				granted.Add(g)
				asked.Add(1)
				if g == 0 && done {
					return // used up after the last move
				}
				select {
				case <-moved:
					done = true
				default:
				}
			}
		})
	}
	for i := range 10 {
		w.reprice(a, p.ID, priced(model.Decimal(fmt.Sprint(i+1)), "1"))
		n, err := w.MoveToCurrentPrice(w.ctx, a, p.ID)
		w.must(err)
		if n != 1 {
			t.Errorf("move %d moved %d", i, n)
		}
	}
	before := granted.Load()
	close(moved)
	wg.Wait()
	if granted.Load() != limit || before == 0 {
		t.Errorf("%d of %d units were granted, %d of them during the moves, in %d requests", granted.Load(), limit, before, asked.Load())
	}
}
