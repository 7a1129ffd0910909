package gateway

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"tollgate/model"
)

func TestAnswers(t *testing.T) {
	r := newRig(t)
	up := echo(t)
	r.deploy("d1", up, "GET /items/{id}", "!GET /keyed", "ANY /any/{rest+}", "GET /")
	gold := r.key(1, model.PlanConfig{ID: "gold"})
	none := r.key(2, model.PlanConfig{ID: "none", Quota: &model.Quota{Limit: 0, Period: model.Day}})
	slow := r.key(3, model.PlanConfig{ID: "slow", Throttle: &model.Throttle{}})
	for _, c := range []struct {
		verb, path, key string
		status          int
		errorType, body string
	}{
		{"GET", "/items/42?a=b", "", 200, "", "GET /items/42?a=b"},
		{"GET", "/items/4%2F2", "", 200, "", "GET /items/4%2F2"},
		{"GET", "/any/a/b/", "", 200, "", "GET /any/a/b/"},
		{"PATCH", "/any/x", "", 200, "", "PATCH /any/x"},
		{"GET", "/", "", 200, "", "GET /"},
		{"GET", "", "", 200, "", "GET /"},
		{"POST", "/items/42", "", 403, "MissingAuthenticationTokenException", `{"message":"Missing Authentication Token"}`},
		{"GET", "/nowhere", "", 403, "MissingAuthenticationTokenException", `{"message":"Missing Authentication Token"}`},
		{"GET", "/keyed", "", 403, "ForbiddenException", `{"message":"Forbidden"}`},
		{"GET", "/keyed", "tg_live_00000000000000000000000000000000000000", 403, "ForbiddenException", `{"message":"Forbidden"}`},
		{"GET", "/keyed", gold, 200, "", "GET /keyed"},
		{"GET", "/keyed", none, 429, "LimitExceededException", `{"message":"Limit Exceeded"}`},
		{"GET", "/keyed", slow, 429, "TooManyRequestsException", `{"message":"Too Many Requests"}`},
	} {
		status, et, body := r.call(c.verb, c.path, c.key)
		if status != c.status || et != c.errorType || body != c.body {
			t.Errorf("%s %s: got %d %q %s, want %d %q %s", c.verb, c.path, status, et, body, c.status, c.errorType, c.body)
		}
	}
	until(t, "the calls to be metered", func() bool {
		return r.p.metered(200) == 7 && r.p.metered(403) == 4 && r.p.metered(429) == 2
	})
}

func TestUpstreamDown(t *testing.T) {
	r := newRig(t)
	r.deploy("d1", deadPort(t), "GET /x")
	status, et, body := r.call("GET", "/x", "")
	if status != 504 || et != "InternalServerErrorException" || body != `{"message":"Network error communicating with endpoint"}` {
		t.Errorf("got %d %q %s", status, et, body)
	}
}

func TestForbiddenNetwork(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Allow = nil })
	r.deploy("d1", echo(t), "GET /x")
	status, _, body := r.call("GET", "/x", "")
	if status != 500 || body != `{"message":"Internal server error"}` {
		t.Errorf("loopback upstream without permission: got %d %s", status, body)
	}
}

// A quota of 1,000 under 64 parallel clients admits exactly 1,000 calls.
func TestQuotaExact(t *testing.T) {
	r := newRig(t)
	r.deploy("d1", echo(t), "!GET /q")
	k := r.key(1, model.PlanConfig{ID: "q", Quota: &model.Quota{Limit: 1000, Period: model.Month}})
	var ok, over atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range 20 {
				switch status, _, _ := r.call("GET", "/q", k); status {
				case 200:
					ok.Add(1)
				case 429:
					over.Add(1)
				default:
					t.Errorf("status %d", status)
				}
			}
		})
	}
	wg.Wait()
	if ok.Load() != 1000 || over.Load() != 280 {
		t.Errorf("admitted %d, refused %d; want 1000 and 280", ok.Load(), over.Load())
	}
}

// A node ends in order while the control plane cannot be reached for a moment: what it holds
// is the next start's, so its last batch must not come in before that is known, or the
// ledger would give the same units out again.
func TestDrainLeavesLeasesToTheNext(t *testing.T) {
	r := newRig(t)
	r.deploy("d1", echo(t), "!GET /q")
	k := r.key(1, model.PlanConfig{ID: "q", Quota: &model.Quota{Limit: 1_000_000, Period: model.Month}})
	for range 40 {
		if status, _, body := r.call("GET", "/q", k); status != 200 {
			t.Fatalf("%d %s", status, body)
		}
	}
	if r.g.stash == nil {
		if runtime.GOOS == "linux" {
			t.Fatal("the node has no file for its leases")
		}
		t.Skip("nothing of leases outlives a process on " + runtime.GOOS)
	}
	first := r.g.journal.Boot().String()
	r.p.mu.Lock()
	r.p.silent = true
	r.p.mu.Unlock()
	if err := r.g.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !r.g.leaser.Keeps() {
		t.Fatal("nothing is left to the next start: that shows nothing")
	}
	r.p.mu.Lock()
	if len(r.p.heard) > 0 {
		t.Errorf("at the end the control plane heard %q", r.p.heard)
	}
	r.p.mu.Unlock()
	o := r.g.o
	o.Addr, o.TLSAddr = "127.0.0.1:0", "127.0.0.1:0"
	next, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = next.Drain(context.Background()) }()
	all := "all is in of " + first
	until(t, "the first start's journal to be in", func() bool {
		r.p.mu.Lock()
		defer r.p.mu.Unlock()
		return slices.Contains(r.p.heard, all)
	})
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	if said := slices.Index(r.p.heard, "goes on with "+first); said < 0 || said > slices.Index(r.p.heard, all) {
		t.Errorf("the control plane heard %q", r.p.heard)
	}
	if n := r.p.calls[200]; n != 40 {
		t.Errorf("%d of 40 calls are in", n)
	}
}

// A deployment under load loses no call and serves none without its key check.
func TestDeployUnderLoad(t *testing.T) {
	r := newRig(t)
	up := echo(t)
	r.deploy("d0", up, "GET /open", "!GET /keyed")
	k := r.key(1, model.PlanConfig{ID: "p"})
	stop := make(chan struct{})
	var calls atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if s, _, b := r.call("GET", "/open", ""); s != 200 {
					t.Errorf("open: %d %s", s, b)
				}
				if s, _, b := r.call("GET", "/keyed", ""); s != 403 {
					t.Errorf("keyed without a key: %d %s", s, b)
				}
				if s, _, b := r.call("GET", "/keyed", k); s != 200 {
					t.Errorf("keyed with a key: %d %s", s, b)
				}
				calls.Add(3)
			}
		})
	}
	for i := range 50 {
		r.deploy(fmt.Sprint("d", i%3+1), up, "GET /open", "!GET /keyed", fmt.Sprintf("GET /extra%d", i%3))
		if n := calls.Load(); i == 25 && n == 0 {
			until(t, "calls to be made", func() bool { return calls.Load() > 0 })
		}
	}
	close(stop)
	wg.Wait()
	t.Logf("%d calls over 50 deployments", calls.Load())
}

func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := Start(t.Context(), Options{Addr: l.Addr().String(), DataDir: t.TempDir()}); err == nil {
		t.Fatal("started on a taken port")
	}
}
