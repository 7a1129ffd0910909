package gateway

import (
	"strings"
	"testing"
	"time"

	"tollgate/model"
)

// A subscription is served as far as its money reaches, to the call; then it is told what
// to do, and served again as soon as there is more. Refused calls take nothing of the
// quota, and a node that is cut off serves what it holds.
func TestSpendCap(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.deploy("d1", echo(t), "!GET /k")
	r.p.quotas[1] = &model.Quota{Limit: 200, Period: model.Month}
	r.p.money[1] = 100
	s := r.shared(2, model.PlanConfig{Quota: r.p.quotas[1]})
	capped := model.SubscriptionConfig{ID: 1, PlanID: "p", Spend: model.SpendCap}
	tell := func(sub model.SubscriptionConfig) {
		t.Helper()
		r.p.tell(t, model.Changes{Keys: []model.KeyConfig{s.config(0, sub), s.config(1, sub)}})
	}
	passed := func(n int) (ok int) {
		t.Helper()
		for range n {
			switch status, _, body := r.call("GET", "/k", s.values[0]); {
			case status == 200:
				ok++
			case status != 402 && status != 429:
				t.Fatalf("status %d %s", status, body)
			}
		}
		return ok
	}
	tell(capped)
	if got := passed(120); got != 100 {
		t.Errorf("%d calls passed, want the 100 that the cap reaches for", got)
	}
	status, _, body := r.call("GET", "/k", s.values[1])
	if status != 402 || !strings.Contains(body, "raise it on the developer portal") {
		t.Errorf("beyond the cap: %d %s", status, body)
	}
	// The cap is raised: told with the keys, and asked for anyway.
	r.p.mu.Lock()
	r.p.money[1] = 110
	r.p.mu.Unlock()
	tell(capped)
	if got := passed(30); got != 10 {
		t.Errorf("%d calls passed after the cap was raised by 10", got)
	}
	// Another kind of money: the message is another.
	prepaid := capped
	prepaid.Spend = model.SpendPrepaid
	tell(prepaid)
	if status, _, body := r.call("GET", "/k", s.values[0]); status != 402 || !strings.Contains(body, "top it up") {
		t.Errorf("prepaid: %d %s", status, body)
	}
	r.p.mu.Lock()
	r.p.money[1] = 150
	r.p.mu.Unlock()
	until(t, "a call after a top-up nobody told of", func() bool { return passed(1) == 1 })
	// Cut off, the node serves what it holds and no more.
	r.p.mu.Lock()
	r.p.noLeases = true
	r.p.mu.Unlock()
	alone := 0
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); alone++ {
		if status, _, _ := r.call("GET", "/k", s.values[0]); status != 200 {
			if status != 503 {
				t.Errorf("cut off: %d", status)
			}
			break
		}
	}
	if alone > 39 {
		t.Errorf("cut off, it served %d calls of at most 39", alone)
	}
	r.p.mu.Lock()
	r.p.noLeases = false
	r.p.mu.Unlock()
	// Without a cap only the quota counts, of which refused calls took nothing.
	capped.Spend = ""
	tell(capped)
	var rest int
	until(t, "the quota to be used up", func() bool {
		status, _, _ := r.call("GET", "/k", s.values[0])
		if status == 200 {
			rest++
		}
		return status == 429
	})
	if got := 100 + 10 + 1 + alone + rest; got != 200 {
		t.Errorf("%d calls passed of the quota's 200", got)
	}
	until(t, "all calls to be handed in", func() bool { return r.p.metered(200) == 200 })
	var flagged, free uint64
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	for _, l := range r.p.lines {
		if l.Flags&model.FlagSpend != 0 {
			flagged += l.Calls
		}
		if l.Flags&model.FlagSpend != 0 && l.Status != 200 {
			free += l.Calls
		}
	}
	if flagged != uint64(111+alone) || free != 0 {
		t.Errorf("%d calls say that they took of the money, %d of them refused", flagged, free)
	}
}
