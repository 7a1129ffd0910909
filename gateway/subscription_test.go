package gateway

import (
	"sync"
	"sync/atomic"
	"testing"

	"tollgate/model"
)

// shared tells the node of keys that share a subscription to plan p, and returns
// their values. A key told of with no subscription has lost it.
type shared struct {
	*rig
	values []string
}

func (r *rig) shared(n int, plan model.PlanConfig) *shared {
	s := &shared{rig: r}
	for range n {
		s.values = append(s.values, model.NewKeyValue(true))
	}
	plan.ID, plan.Tenant, plan.Stages = "p", tenantNum, []model.PlanStage{{APIID: "abc", Stage: "prod"}}
	r.p.tell(r.t, model.Changes{Plans: []model.PlanConfig{plan}})
	return s
}

func (s *shared) config(i int, subs ...model.SubscriptionConfig) model.KeyConfig {
	h := model.KeyHash(s.values[i])
	return model.KeyConfig{Num: uint32(i + 1), Tenant: tenantNum, Hash: h[:], Enabled: true, Subscriptions: subs}
}

// admitted makes n calls with every key at once and counts those that passed.
func (s *shared) admitted(n int) int {
	s.t.Helper()
	var ok atomic.Int64
	var wg sync.WaitGroup
	for _, v := range s.values {
		for range 8 {
			wg.Go(func() {
				for range n / 8 {
					switch status, _, body := s.call("GET", "/k", v); status {
					case 200:
						ok.Add(1)
					case 429:
					default:
						s.t.Errorf("status %d %s", status, body)
					}
				}
			})
		}
	}
	wg.Wait()
	return int(ok.Load())
}

// The keys of an app draw on one quota and one bucket, to the unit.
func TestKeysShareSubscription(t *testing.T) {
	t.Parallel()
	for name, plan := range map[string]model.PlanConfig{
		"quota": {Quota: &model.Quota{Limit: 100, Period: model.Month}},
		"burst": {Throttle: &model.Throttle{Burst: 100}},
		"both":  {Quota: &model.Quota{Limit: 100, Period: model.Month}, Throttle: &model.Throttle{Burst: 500}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.deploy("d1", echo(t), "!GET /k")
			if plan.Quota != nil {
				r.p.quotas[1] = plan.Quota
			}
			s := r.shared(2, plan)
			sub := model.SubscriptionConfig{ID: 1, PlanID: "p"}
			r.p.tell(t, model.Changes{Keys: []model.KeyConfig{s.config(0, sub), s.config(1, sub)}})
			if got := s.admitted(80); got != 100 {
				t.Errorf("two keys were admitted %d times, want 100", got)
			}
		})
	}
}

// Keys of a subscription come and go without the others noticing; with the
// subscription, all go.
func TestKeyLeavesSharedSubscription(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.deploy("d1", echo(t), "!GET /k")
	r.p.quotas[1] = &model.Quota{Limit: 6, Period: model.Month}
	s := r.shared(2, model.PlanConfig{Quota: r.p.quotas[1]})
	sub := model.SubscriptionConfig{ID: 1, PlanID: "p"}
	expect := func(what string, want ...int) {
		t.Helper()
		for i, w := range want {
			if got, _, body := r.call("GET", "/k", s.values[i]); got != w {
				t.Errorf("%s: key %d got %d %s, want %d", what, i, got, body, w)
			}
		}
	}
	tell := func(keys ...model.KeyConfig) { t.Helper(); r.p.tell(t, model.Changes{Keys: keys}) }
	tell(s.config(0, sub), s.config(1, sub))
	expect("both keys", 200, 200)
	tell(model.KeyConfig{Num: 1, Tenant: tenantNum, Deleted: true})
	expect("the first deleted", 403, 200)
	tell(s.config(0, sub))
	expect("the first added again", 200, 200)
	disabled := s.config(1, sub)
	disabled.Enabled = false
	tell(disabled)
	expect("the second disabled", 200, 403)
	expect("all six calls made", 429)
	tell(s.config(0), s.config(1))
	expect("the subscription ended", 403, 403)
	if got := r.p.metered(200); got > 6 {
		t.Errorf("%d calls of 6 were admitted", got)
	}
}

// A key may have several plans: the one with the call's stage counts, whichever place it has.
func TestKeyOfSeveralPlans(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.deploy("d1", echo(t), "!GET /k")
	s := r.shared(1, model.PlanConfig{})
	for _, id := range []string{"x", "y"} {
		r.p.tell(t, model.Changes{Plans: []model.PlanConfig{{ID: id, Tenant: tenantNum}}})
	}
	x, y, p := model.SubscriptionConfig{ID: 7, PlanID: "x"}, model.SubscriptionConfig{ID: 8, PlanID: "y"}, model.SubscriptionConfig{ID: 1, PlanID: "p"}
	for i, subs := range [][]model.SubscriptionConfig{{p, x, y}, {x, p, y}, {x, y, p}, {x, y}, {x}, {}} {
		want := 403
		if i < 3 {
			want = 200
		}
		r.p.tell(t, model.Changes{Keys: []model.KeyConfig{s.config(0, subs...)}})
		if got, _, body := r.call("GET", "/k", s.values[0]); got != want {
			t.Errorf("subscriptions %v: %d %s, want %d", subs, got, body, want)
		}
	}
}

// A subscription that continues another at a new price goes on with its quota:
// what was used is used, what the node held is not lost, and calls are recorded
// under the price they were made at.
func TestContinuedSubscriptionKeepsQuota(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.deploy("d1", echo(t), "!GET /k")
	r.p.quotas[1] = &model.Quota{Limit: 200, Period: model.Month}
	s := r.shared(2, model.PlanConfig{Quota: r.p.quotas[1]})
	old := model.SubscriptionConfig{ID: 1, PlanID: "p", Terms: 10}
	r.p.tell(t, model.Changes{Keys: []model.KeyConfig{s.config(0, old), s.config(1, old)}})
	if got := s.admitted(32); got != 64 {
		t.Fatalf("%d of 64 calls were admitted", got)
	}
	next := model.SubscriptionConfig{ID: 2, PlanID: "p", Terms: 11, Ledger: 1}
	r.p.tell(t, model.Changes{Keys: []model.KeyConfig{s.config(0, next), s.config(1, next)}})
	if got := s.admitted(120); got != 136 {
		t.Errorf("%d calls were admitted after the move, want the 136 that were left of 200", got)
	}
	until(t, "200 calls to be handed in", func() bool { return r.p.metered(200) == 200 })
	calls := map[[2]uint64]uint64{}
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	for _, l := range r.p.lines {
		if l.Status == 200 {
			calls[[2]uint64{l.Subscription, uint64(l.Terms)}] += l.Calls
		}
	}
	if calls[[2]uint64{1, 10}] != 64 || calls[[2]uint64{2, 11}] != 136 || len(calls) != 2 {
		t.Errorf("calls by subscription and terms: %v", calls)
	}
}

// A restored database gives the numbers that it has forgotten to others: a subscription, and
// a tenant, are what they are said to be now, not what had their number.
func TestNumbersGivenOutAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.deploy("d1", echo(t), "!GET /k")
	s := r.shared(1, model.PlanConfig{Throttle: &model.Throttle{Burst: 100}})
	r.p.tell(t, model.Changes{Keys: []model.KeyConfig{s.config(0, model.SubscriptionConfig{ID: 1, PlanID: "p"})}})
	if got := s.admitted(8); got != 8 {
		t.Fatalf("%d of 8 calls", got)
	}
	small := model.PlanConfig{ID: "q", Tenant: tenantNum, Stages: []model.PlanStage{{APIID: "abc", Stage: "prod"}}, Throttle: &model.Throttle{Burst: 3}}
	r.p.tell(t, model.Changes{Plans: []model.PlanConfig{small}, Keys: []model.KeyConfig{s.config(0, model.SubscriptionConfig{ID: 1, PlanID: "q"})}})
	if got := s.admitted(8); got != 3 {
		t.Errorf("%d calls with the subscription to another plan, want 3", got)
	}
	r.p.tell(t, model.Changes{Tenants: []model.TenantConfig{{Num: tenantNum, AccountID: "999999999999"}}})
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	if got := r.g.reg.tenants[tenantNum].account; got != "999999999999" {
		t.Errorf("the tenant is still %s", got)
	}
}
