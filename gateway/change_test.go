package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"tollgate/model"
)

// Limits, keys and tenants change without a deployment, and at once.
func TestLiveChanges(t *testing.T) {
	r := newRig(t)
	r.deploy("d1", echo(t), "!GET /k")
	plan := model.PlanConfig{ID: "p", Tenant: tenantNum, Stages: []model.PlanStage{{APIID: "abc", Stage: "prod"}}}
	v := r.key(1, plan)
	h := model.KeyHash(v)
	key := func(enabled bool, plan string) model.KeyConfig {
		return model.KeyConfig{Num: 1, Tenant: tenantNum, Hash: h[:], Enabled: enabled, Subscriptions: []model.SubscriptionConfig{{ID: 1001, PlanID: plan}}}
	}
	expect := func(what string, want int) {
		t.Helper()
		if got, _, body := r.call("GET", "/k", v); got != want {
			t.Errorf("%s: got %d %s, want %d", what, got, body, want)
		}
	}
	expect("as made", 200)
	r.p.tell(t, model.Changes{Keys: []model.KeyConfig{key(false, "p")}})
	expect("key disabled", 403)
	r.p.tell(t, model.Changes{Keys: []model.KeyConfig{key(true, "p")}})
	expect("key enabled", 200)
	limited := plan
	limited.Throttle = &model.Throttle{}
	r.p.tell(t, model.Changes{Plans: []model.PlanConfig{limited}})
	expect("plan throttled to nothing", 429)
	r.p.tell(t, model.Changes{Plans: []model.PlanConfig{plan}})
	expect("throttle lifted", 200)
	away := plan
	away.Stages = nil
	r.p.tell(t, model.Changes{Plans: []model.PlanConfig{away}})
	expect("stage taken out of the plan", 403)
	perMethod := plan
	perMethod.Stages = []model.PlanStage{{APIID: "abc", Stage: "prod", Throttle: map[string]model.Throttle{"/k/GET": {Burst: 1}}}}
	r.p.tell(t, model.Changes{Plans: []model.PlanConfig{perMethod}})
	expect("method throttle, first call", 200)
	expect("method throttle, second call", 429)
	r.p.tell(t, model.Changes{Plans: []model.PlanConfig{{ID: "p", Tenant: tenantNum, Deleted: true}}})
	expect("plan deleted", 403)
	r.p.tell(t, model.Changes{Plans: []model.PlanConfig{plan}})
	expect("plan made again", 200)
	r.p.tell(t, model.Changes{Tenants: []model.TenantConfig{{Num: tenantNum, AccountID: "123456789012", Suspended: true}}})
	expect("tenant suspended", 403)
	r.p.tell(t, model.Changes{Tenants: []model.TenantConfig{{Num: tenantNum, AccountID: "123456789012"}}})
	expect("tenant resumed", 200)
	r.p.tell(t, model.Changes{Keys: []model.KeyConfig{{Num: 1, Tenant: tenantNum, Deleted: true}}})
	expect("key deleted", 403)
	r.p.tell(t, model.Changes{Stages: []model.StageConfig{{Num: 70, Tenant: tenantNum, APIID: "abc", Stage: "prod", Deleted: true}}})
	expect("stage deleted", 403)
}

// Another tenant's key is no key, even with the same value.
func TestKeyOfAnotherTenant(t *testing.T) {
	r := newRig(t)
	r.deploy("d1", echo(t), "!GET /k")
	v := model.NewKeyValue(true)
	h := model.KeyHash(v)
	r.p.tell(t, model.Changes{
		Tenants: []model.TenantConfig{{Num: 8}},
		Plans:   []model.PlanConfig{{ID: "p", Tenant: 8, Stages: []model.PlanStage{{APIID: "abc", Stage: "prod"}}}},
		Keys:    []model.KeyConfig{{Num: 9, Tenant: 8, Hash: h[:], Enabled: true, Subscriptions: []model.SubscriptionConfig{{ID: 1, PlanID: "p"}}}},
	})
	if got, _, _ := r.call("GET", "/k", v); got != 403 {
		t.Errorf("a foreign tenant's key got %d", got)
	}
}

// A deployment that does not compile leaves the stage as it was, says so, and
// holds up nobody else.
func TestFailedCompileKeepsOld(t *testing.T) {
	r := newRig(t)
	up := echo(t)
	r.deploy("good", up, "GET /a")
	bad := r.content("bad", up, "GET /b")
	r.p.deployments["bad"].Definition.Resources[0].Methods["GET"] = model.Method{AuthorizationType: "MAGIC",
		Integration: &model.Integration{Type: model.IntegrationHTTPProxy, URI: "http://" + up}}
	other := r.content("other", up, "GET /c")
	other.Num, other.Stage = 71, "beta"
	r.p.tell(t, model.Changes{Stages: []model.StageConfig{bad, other}})
	if got, _, _ := r.call("GET", "/a", ""); got != 200 {
		t.Errorf("the old deployment answered %d", got)
	}
	until(t, "the failure to be reported", func() bool {
		r.p.mu.Lock()
		defer r.p.mu.Unlock()
		f := r.p.hello.Failures
		return len(f) == 1 && f[0].Stage == 70 && f[0].DeploymentID == "bad" && strings.Contains(f[0].Reason, "MAGIC")
	})
	resp, err := r.httpc.Get(r.base + "/_aws/execute-api/ABC/beta/c")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("the other stage answered %d", resp.StatusCode)
	}
}

// A node whose control plane is away starts and serves from its disk.
func TestServesFromDisk(t *testing.T) {
	r := newRig(t)
	r.deploy("d1", echo(t), "!GET /k")
	v := r.key(1, model.PlanConfig{ID: "p"})
	r.p.tell(t, model.Changes{Tenants: []model.TenantConfig{{Num: 8}}}) // an entry behind the first
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := r.g.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	r.p.mu.Lock()
	r.p.down = true
	r.p.mu.Unlock()
	g, err := Start(t.Context(), Options{Addr: "127.0.0.1:0", DataDir: r.dir, Node: "test", Feed: r.p.feed(),
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if !g.Ready() {
		t.Error("not ready with a copy on disk")
	}
	r.g, r.base = g, "http://"+g.Addr()
	for key, want := range map[string]int{v: 200, "": 403} {
		if got, _, _ := r.call("GET", "/k", key); got != want {
			t.Errorf("with key %q: %d, want %d", key, got, want)
		}
	}
	if err := g.Drain(ctx); err != nil {
		t.Fatal(err)
	}
}

// 1,000 deployments leave goroutines, pools and heap where they were.
func TestRedeploysLeaveNothing(t *testing.T) {
	r := newRig(t)
	up := echo(t)
	deploy := func(i int) {
		id := fmt.Sprint("d", i)
		r.deploy(id, up, "GET /a/{x}", "!GET /k", fmt.Sprintf("POST /p%d", i%7))
		if i%50 == 0 {
			if got, _, _ := r.call("GET", "/a/1", ""); got != 200 {
				t.Fatalf("deployment %d: %d", i, got)
			}
		}
		r.p.mu.Lock()
		delete(r.p.deployments, fmt.Sprint("d", i-1))
		r.p.mu.Unlock()
	}
	measure := func() (int, uint64) {
		r.httpc.CloseIdleConnections()
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return runtime.NumGoroutine(), m.HeapAlloc
	}
	for i := range 50 {
		deploy(i)
	}
	g0, h0 := measure()
	for i := range 1000 {
		deploy(50 + i)
	}
	until(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= g0+3 })
	g1, h1 := measure()
	t.Logf("goroutines %d → %d, heap %d → %d KiB", g0, g1, h0>>10, h1>>10)
	if h1 > h0+1<<20 {
		t.Errorf("heap grew from %d to %d bytes over 1,000 deployments", h0, h1)
	}
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	if n := len(r.g.reg.programs); n != 1 {
		t.Errorf("%d programs are kept", n)
	}
}
