package control_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tollgate/control"
	"tollgate/model"
)

// subscribed is a key under a plan with a quota, as leases name it.
func (w *world) subscribed(quota *model.Quota) (control.Actor, control.Plan, model.LeaseRequest) {
	w.Helper()
	a := w.tenant()
	p := w.plan(a, w.deployed(a, "prod"), quota)
	k := w.key(a, p.ID)
	return a, p, model.LeaseRequest{Boot: "boot-1", Tenant: a.Tenant, Subscription: k.Plans[0].Subscription, At: time.Now()}
}

func (w *world) lease(reqs ...model.LeaseRequest) []model.Lease {
	w.Helper()
	l, err := w.Leases(w.ctx, control.SharedNode("n1"), reqs)
	w.must(err)
	if len(l) != len(reqs) {
		w.Fatalf("%d leases for %d requests", len(l), len(reqs))
	}
	return l
}

func TestLeases(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, p, r := w.subscribed(&model.Quota{Limit: 100, Period: model.Month})
	ask := func(want, back int64) int64 {
		q := r
		q.Want, q.Return = want, back
		return w.lease(q)[0].Granted
	}
	if g := ask(1000, 0); g != 50 { // one node: half of what is left
		t.Errorf("granted %d of 100", g)
	}
	if g := ask(3, 0); g != 3 {
		t.Errorf("granted %d, wanted 3", g)
	}
	if g := ask(0, 13); g != 0 {
		t.Errorf("granted %d for a return", g)
	}
	if g := ask(1000, 1000); g != 50 { // only the 40 still held come back
		t.Errorf("granted %d of 100 after giving all back", g)
	}
	sum := int64(50)
	for {
		g := ask(1000, 0)
		if g == 0 {
			break
		}
		sum += g
	}
	if sum != 100 {
		t.Errorf("%d of 100 were granted in all", sum)
	}
	setLimit := func(n int64) {
		_, err := w.UpdatePlan(w.ctx, a, p.ID, func(s *control.PlanSpec) error { s.Quota.Limit = n; return nil })
		w.must(err)
	}
	setLimit(60)
	if g := ask(1, 0); g != 0 {
		t.Errorf("a lowered limit granted %d", g)
	}
	if g := ask(1, 30); g != 0 { // 70 are still out
		t.Errorf("granted %d while more than the limit is out", g)
	}
	if g := ask(1, 20); g != 1 {
		t.Errorf("granted %d with 50 of 60 out", g)
	}
	setLimit(0)
	if g := ask(1, 0); g != 0 {
		t.Errorf("a limit of 0 granted %d", g)
	}
	_, err := w.UpdatePlan(w.ctx, a, p.ID, func(s *control.PlanSpec) error { s.Quota = nil; return nil })
	w.must(err)
	if l := w.lease(r)[0]; !l.Unlimited || l.Granted != 0 {
		t.Errorf("without a quota: %+v", l)
	}
}

// Units come back to the window that they are of, and to no other: when a plan's period is
// changed, what a node holds of the month is nothing that the day gave out.
func TestLeasesReturnToTheirWindow(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 10, 5, 0, 0, 0, time.UTC)
	w := newWorldWith(t, control.Options{AckTimeout: time.Millisecond, Now: func() time.Time { return now }})
	a, p, r := w.subscribed(&model.Quota{Limit: 100, Period: model.Month})
	r.At, r.Want = now, 40
	month := w.lease(r)[0]
	_, err := w.UpdatePlan(w.ctx, a, p.ID, func(spec *control.PlanSpec) error {
		spec.Quota = &model.Quota{Limit: 100, Period: model.Day}
		return nil
	})
	w.must(err)
	sum := int64(0)
	for _, back := range []int64{0, month.Granted} { // the second is said before the node hears of the change
		q := r
		q.Want, q.Return, q.ReturnOf = 10, back, month.WindowStart
		l := w.lease(q)[0]
		if !l.WindowStart.Equal(now.Truncate(24 * time.Hour)) {
			t.Fatalf("the window is that of %s", l.WindowStart)
		}
		sum += l.Granted
	}
	for r.Want = 10; ; {
		g := w.lease(r)[0].Granted
		if g == 0 {
			break
		}
		sum += g
	}
	if sum != 100 {
		t.Errorf("%d of the day's 100 were granted", sum)
	}
}

func TestLeasesAreForNearWindowsOnly(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 0, 0, 30, 0, time.UTC)
	w := newWorldWith(t, control.Options{AckTimeout: time.Millisecond, Now: func() time.Time { return now }})
	a, p, r := w.subscribed(&model.Quota{Limit: 10, Period: model.Day})
	r.Want = 1
	at := func(d time.Duration) model.Lease {
		q := r
		q.At = now.Add(d)
		return w.lease(q)[0]
	}
	today, before := at(0), at(-time.Hour)
	if today.Granted != 1 || before.Granted != 1 || !before.WindowEnd.Equal(today.WindowStart) ||
		!today.WindowStart.Equal(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("today %+v, yesterday %+v", today, before)
	}
	if l := at(time.Hour); l.Granted != 0 {
		t.Errorf("an hour ahead: %+v", l)
	}
	if l := at(-25 * time.Hour); l.Granted != 0 {
		t.Errorf("long ago: %+v", l)
	}
	w.must(w.Unsubscribe(w.ctx, a, w.onlyKey(a).ID, p.ID))
	if l := at(0); l.Granted != 0 {
		t.Errorf("an ended subscription: %+v", l)
	}
}

func (w *world) onlyKey(a control.Actor) control.Key {
	w.Helper()
	l, err := w.Keys(w.ctx, a, control.KeyFilter{})
	w.must(err)
	if len(l.Items) != 1 {
		w.Fatalf("%d keys", len(l.Items))
	}
	return l.Items[0]
}

// The window in SQL is the one that model computes.
func TestLeaseWindowIsTheModels(t *testing.T) {
	t.Parallel()
	var now atomic.Int64
	w := newWorldWith(t, control.Options{AckTimeout: time.Millisecond, Now: func() time.Time { return time.Unix(now.Load(), 0) }})
	a, p, r := w.subscribed(&model.Quota{Limit: 1 << 40, Period: model.Day})
	r.Want = 1
	rapid.Check(t, func(t *rapid.T) {
		q := &model.Quota{Limit: 1 << 40, Period: rapid.SampledFrom([]string{model.Day, model.Week, model.Month}).Draw(t, "period")}
		q.Offset = rapid.IntRange(0, map[string]int{model.Day: 0, model.Week: 6, model.Month: 27}[q.Period]).Draw(t, "offset")
		if _, err := w.UpdatePlan(w.ctx, a, p.ID, func(s *control.PlanSpec) error { s.Quota = q; return nil }); err != nil {
			t.Fatal(err)
		}
		now.Store(rapid.Int64Range(946684800, 4102444800).Draw(t, "at")) // 2000 to 2100
		r := r
		r.At = time.Unix(now.Load(), 0)
		ls, err := w.Leases(w.ctx, control.SharedNode("n1"), []model.LeaseRequest{r})
		if err != nil {
			t.Fatal(err)
		}
		l := ls[0]
		start, end := q.Window(r.At)
		if !l.WindowStart.Equal(start) || !l.WindowEnd.Equal(end) {
			t.Fatalf("%+v at %v: got %v to %v, want %v to %v", q, r.At.UTC(), l.WindowStart, l.WindowEnd, start, end)
		}
	})
}

func TestLeasesInOneRequestAnswerInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, _, a := w.subscribed(&model.Quota{Limit: 10, Period: model.Day})
	_, _, b := w.subscribed(&model.Quota{Limit: 1000, Period: model.Week})
	a.Want, b.Want = 2, 7
	foreign, unnamed := a, a
	foreign.Tenant, unnamed.Boot = b.Tenant, ""
	l := w.lease(b, a, foreign, a, unnamed, b)
	for i, want := range []int64{7, 2, 0, 2, 0, 7} {
		if l[i].Granted != want {
			t.Errorf("lease %d granted %d, want %d", i, l[i].Granted, want)
		}
	}
	_, err := w.Leases(w.ctx, control.SharedNode("n1"), make([]model.LeaseRequest, control.MaxLeaseRequests+1))
	w.refused(err, model.Limit, "lease requests")
}

// Never one unit over, whoever asks and gives back how much at the same time; and
// nothing is lost: in the end all of it has been granted.
func TestLeasesNeverExceedTheLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const nodes, limit = 12, 1000
	_, _, first := w.subscribed(&model.Quota{Limit: limit, Period: model.Month})
	_, _, second := w.subscribed(&model.Quota{Limit: limit, Period: model.Month})
	var used [2]atomic.Int64
	var wg sync.WaitGroup
	for node := range nodes {
		wg.Go(func() {
			n := control.SharedNode(fmt.Sprintf("n%d", node))
			if _, err := w.Changes(w.ctx, n, model.NodeHello{Boot: n.Node}); err != nil {
				t.Error(err)
			}
			reqs := []model.LeaseRequest{first, second}
			if node%2 == 1 { // against each other's order of locks
				reqs[0], reqs[1] = reqs[1], reqs[0]
			}
			var held [2]int64
			for dry := 0; dry < 3; {
				for i := range reqs {
					reqs[i].Boot = n.Node
					reqs[i].Want = rand.Int64N(200)
					reqs[i].Return = 0
					if held[i] > 0 {
						reqs[i].Return = rand.Int64N(held[i] + 1)
					}
				}
				ls, err := w.Leases(w.ctx, n, reqs)
				if err != nil {
					t.Error(err)
					return
				}
				got := int64(0)
				for i, l := range ls {
					held[i] += l.Granted - reqs[i].Return
					spend := int64(0)
					if held[i] > 0 {
						spend = 1 + rand.Int64N(held[i])
					}
					held[i] -= spend
					which := 0
					if reqs[i].Subscription == second.Subscription {
						which = 1
					}
					if n := used[which].Add(spend); n > limit {
						t.Errorf("%d of %d used", n, limit)
					}
					got += l.Granted + held[i]
				}
				if got == 0 {
					dry++
				}
			}
		})
	}
	wg.Wait()
	for i, r := range []model.LeaseRequest{first, second} {
		var granted, net int64
		w.all(fmt.Sprintf(`select (select granted from quota_window where subscription_id = %d),
			(select sum(granted - returned) from quota_lease where subscription_id = %[1]d)`, r.Subscription), &granted, &net)
		if granted != net || granted > limit || used[i].Load() > granted {
			t.Errorf("granted %d, leases %d, used %d, limit %d", granted, net, used[i].Load(), limit)
		}
	}
	// Whoever comes last gets what others gave back, to the last unit.
	for i, r := range []model.LeaseRequest{first, second} {
		r.Want = 1
		for w.lease(r)[0].Granted == 1 {
			used[i].Add(1)
		}
		if used[i].Load() != limit {
			t.Errorf("%d of %d used in the end", used[i].Load(), limit)
		}
	}
}
