package control_test

import (
	"fmt"
	"testing"
	"time"

	"tollgate/control"
	"tollgate/model"
)

// What a lost node holds comes back once its journal is in or given up, less what it drew;
// of a soft plan as soon as the node is lost. Nothing comes back twice.
func TestLostLeases(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, p, r := w.subscribed(&model.Quota{Limit: 100, Period: model.Month})
	const lost, other = "0197a000-0000-7000-8000-000000000001", "0197a000-0000-7000-8000-000000000002"
	ask := func(boot string, want, back, held int64) model.Lease {
		t.Helper()
		q := r
		q.Boot, q.Want, q.Return, q.Held = boot, want, back, held
		return w.lease(q)[0]
	}
	rest := func() (n int64) { // to the last unit, without handing any back
		for {
			l := ask(other, 1000, 0, 0)
			if l.Granted == 0 {
				if l.Recalling {
					t.Error("somebody to wait for, but nobody is there")
				}
				return n
			}
			n += l.Granted
		}
	}
	if g := ask(lost, 1000, 0, 0).Granted; g != 50 {
		t.Fatalf("granted %d", g)
	}
	if n := rest(); n != 50 {
		t.Fatalf("the other got %d", n)
	}
	w.exec(`insert into usage_boot (boot, gateway_id) values ($1, 1)`, lost)
	w.exec(`update quota_lease set used = null where boot = $1`, lost)
	w.must(w.GiveUpJournal(w.ctx, control.Operator(), lost))
	if n := rest(); n != 0 {
		t.Errorf("%d units came back of a lease of which it is not known what was used", n)
	}
	w.exec(`update quota_lease set used = 20 where boot = $1`, lost)
	if n := rest(); n != 30 {
		t.Errorf("%d of 30 unused units came back", n)
	}
	if g := ask(lost, 0, 30, 0).Granted; g != 0 || rest() != 0 { // it was not dead after all
		t.Errorf("units came back twice")
	}
	// A soft plan waits for no journal, but for as long as a live node may be silent.
	_, err := w.UpdatePlan(w.ctx, a, p.ID, func(s *control.PlanSpec) error { s.SoftQuota, s.Quota.Limit = true, 200; return nil })
	w.must(err)
	const third = "0197a000-0000-7000-8000-000000000003"
	w.changes(control.SharedNode("n3"), model.NodeHello{Boot: third})
	if g := ask(third, 1000, 0, 0).Granted; g != 50 {
		t.Fatalf("granted %d", g)
	}
	if n := drainLive(w, r, other); n != 50 {
		t.Errorf("the other got %d of 50", n)
	}
	w.exec(`update node set connected = false, seen_at = now() - interval '1 minute' where boot = $1`, third)
	w.exec(`update quota_lease set updated_at = now() - interval '1 minute', used = 7 where boot = $1`, third)
	if n := rest(); n != 43 {
		t.Errorf("%d of 43 units came back from a soft plan's lost node", n)
	}
}

// drainLive takes what there is while another node could still give some back, and sees
// that it is asked to.
func drainLive(w *world, r model.LeaseRequest, boot string) (n int64) {
	w.Helper()
	for {
		q := r
		q.Boot, q.Want = boot, 1000
		l := w.lease(q)[0]
		if l.Granted > 0 {
			n += l.Granted
			continue
		}
		var holder string
		w.all(`select boot from quota_lease where recalled_at is not null`, &holder)
		a, err := w.Limits(w.ctx, control.SharedNode("n3"), model.LimitReport{Boot: holder, Nodes: 1, Wait: time.Second})
		w.must(err)
		if !l.Recalling || l.Elsewhere != 50 || l.Limit != 200 || len(a.Recalls) != 1 || a.Recalls[0].Subscription != r.Subscription {
			w.Errorf("lease %+v, and the node that holds something is told %+v", l, a)
		}
		return n
	}
}

// What earlier starts of nodes were asked for does not pile up.
func TestDemandsArePruned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, boot := range []string{"over", "late", "live"} {
		_, err := w.Limits(w.ctx, control.SharedNode("n1"), model.LimitReport{Boot: boot, Buckets: []model.BucketDemand{{ID: 1, Demand: 1}}})
		w.must(err)
	}
	w.exec(`update node_demand set at = now() - interval '61 minutes' where boot = 'over'`)
	w.exec(`update node_demand set at = now() - interval '59 minutes' where boot = 'late'`)
	w.must(w.Prune(w.ctx))
	var left string
	if w.all(`select string_agg(boot, ' ' order by boot) from node_demand`, &left); left != "late live" {
		t.Errorf("left are %q", left)
	}
}

// Hard throttles need counters; what a plan says of several nodes reaches them.
func TestPlanExactness(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, p, _ := w.subscribed(nil)
	hard := func(on *world, e model.Exactness, rate float64) error {
		_, err := on.UpdatePlan(on.ctx, a, p.ID, func(s *control.PlanSpec) error {
			s.Exactness, s.Throttle = e, &model.Throttle{Rate: rate, Burst: 5}
			return nil
		})
		return err
	}
	w.refused(hard(w, model.Exactness{Hard: true}, 5), model.Invalid, "TOLLGATE_REDIS_URL")
	other, err := control.New(control.Options{Pool: w.pool, SecretKey: make([]byte, 32), HardLimits: true, AckTimeout: time.Millisecond})
	w.must(err)
	with := &world{t, other, w.pool, w.ctx}
	w.refused(hard(with, model.Exactness{FailOpen: true}, 5), model.Invalid, "fail open")
	w.refused(hard(with, model.Exactness{Hard: true}, 0), model.Invalid, "above 0")
	all := model.Exactness{Hard: true, FailOpen: true, SoftQuota: true}
	w.must(hard(with, all, 5))
	got, err := w.Plan(w.ctx, a, p.ID)
	w.must(err)
	c := w.changes(control.SharedNode("n1"), hello(0))
	if got.Exactness != all || len(c.Plans) != 1 || c.Plans[0].Exactness != all || c.Nodes != 1 {
		t.Errorf("the plan is %+v, nodes are told %+v of %d", got.Exactness, c.Plans, c.Nodes)
	}
}

// A start of a node goes on with units of the start before it, and says so: it is one move
// however often it is said, nobody else can, and what had come back by then is granted
// beyond what there is.
func TestLeasesGoOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, _, r := w.subscribed(&model.Quota{Limit: 100, Period: model.Month})
	const first, second, third = "0197a000-0000-7000-8000-000000000001", "0197a000-0000-7000-8000-000000000002", "0197a000-0000-7000-8000-000000000003"
	r.Boot, r.Want = first, 1000
	l := w.lease(r)[0]
	if l.Granted != 50 {
		t.Fatalf("granted %d", l.Granted)
	}
	goesOn := func(boot, from string, n int64) model.LeaseRequest {
		return model.LeaseRequest{Boot: boot, Tenant: r.Tenant, Subscription: r.Subscription, At: l.WindowStart, From: from, Taken: n}
	}
	type held struct{ Granted, Net int64 }
	books := func() (window int64, of map[string]held) {
		t.Helper()
		of = map[string]held{}
		var boots []string
		var granted, net []int64
		w.all(`select array_agg(boot order by boot), array_agg(granted order by boot), array_agg(granted - returned order by boot) from quota_lease`, &boots, &granted, &net)
		for i, b := range boots {
			of[b] = held{granted[i], net[i]}
		}
		w.all(`select granted from quota_window`, &window)
		return window, of
	}
	want := func(what string, window int64, of map[string]held) {
		t.Helper()
		if n, got := books(); n != window || fmt.Sprint(got) != fmt.Sprint(of) {
			t.Errorf("%s: %d of the window are out, %v; not %d, %v", what, n, got, window, of)
		}
	}
	for range 2 { // an answer that does not come has it said again
		w.lease(goesOn(second, first, 30), goesOn(third, second, 10))
	}
	want("in turn", 50, map[string]held{first: {50, 20}, second: {30, 20}, third: {10, 10}})

	ask := r
	ask.Boot = second
	if g := w.lease(ask)[0].Granted; g != 25 {
		t.Errorf("granted %d of the 50 that are left", g)
	}
	want("and more", 75, map[string]held{first: {50, 20}, second: {55, 45}, third: {10, 10}})

	// Not of a lease that there is not, not of another's, not of another gateway's.
	const nobody = "0197a000-0000-7000-8000-000000000009"
	w.lease(goesOn(nobody, "0197a000-0000-7000-8000-000000000008", 5), goesOn(nobody, nobody, 5), goesOn(nobody, first, -5))
	other := control.SharedNode("n2")
	other.Tenant = r.Tenant + 1
	_, err := w.Leases(w.ctx, other, []model.LeaseRequest{goesOn(nobody, first, 5)})
	w.must(err)
	other.Tenant, other.Gateway = 0, other.Gateway+1
	_, err = w.Leases(w.ctx, other, []model.LeaseRequest{goesOn(nobody, first, 5)})
	w.must(err)
	want("what is not a node's own", 75, map[string]held{first: {50, 20}, second: {55, 45}, third: {10, 10}})

	// Given up before it was said: all 20 have come back, and are in use.
	w.exec(`update quota_lease set returned = granted, settled_at = now() where boot = $1`, first)
	w.exec(`update quota_window set granted = granted - 20`)
	w.lease(goesOn(nobody, first, 20))
	want("after it was given up", 75, map[string]held{first: {50, 0}, second: {55, 45}, third: {10, 10}, nobody: {20, 20}})
}
