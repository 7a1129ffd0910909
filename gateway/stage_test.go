package gateway

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tollgate/model"
)

// mocked is a deployment whose methods answer with text.
func (r *rig) mocked(id, text string, methods ...string) model.StageConfig {
	st := r.content(id, "unused.example.com", methods...)
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	for i := range r.p.deployments[id].Definition.Resources {
		res := &r.p.deployments[id].Definition.Resources[i]
		for verb, m := range res.Methods {
			m.Integration = model.FixedMock(200, "text/plain", text)
			res.Methods[verb] = m
		}
	}
	return st
}

func (r *rig) serve(st model.StageConfig) {
	r.t.Helper()
	r.p.tell(r.t, model.Changes{Tenants: []model.TenantConfig{{Num: tenantNum, AccountID: "123456789012"}}, Stages: []model.StageConfig{st}})
}

// heard counts the answers to calls of GET /a.
func (r *rig) heard(calls int) map[string]int {
	r.t.Helper()
	out := map[string]int{}
	for range calls {
		_, _, body := r.call("GET", "/a", "")
		out[body]++
	}
	return out
}

// Methods with a throttle of their own have that one, the others the stage's; it
// changes at once, and a change gives nobody a fresh burst.
func TestMethodThrottles(t *testing.T) {
	r := newRig(t)
	st := r.mocked("d1", "ok", "GET /a", "GET /b", "GET /free", "ANY /")
	st.Throttle = &model.Throttle{Burst: 1}
	st.Throttles = map[string]*model.Throttle{"/b/GET": {Burst: 2}, "/free/GET": nil, "/ANY": {Burst: 0}, "/gone/GET": {Burst: 1}}
	r.serve(st)
	expect := func(path string, want ...int) {
		t.Helper()
		for i, w := range want {
			if got, _, _ := r.call("GET", path, ""); got != w {
				t.Errorf("call %d of %s: %d instead of %d", i+1, path, got, w)
			}
		}
	}
	expect("/a", 200, 429)
	expect("/b", 200, 200, 429)
	expect("/free", 200, 200, 200, 200)
	expect("/", 429)
	r.serve(st)
	expect("/b", 429)
	delete(st.Throttles, "/free/GET")
	st.Throttles = map[string]*model.Throttle{"/a/GET": nil}
	r.serve(st)
	expect("/a", 200, 200, 200)
	expect("/free", 200, 429)
}

// A canary gets its share of a stage's calls, by chance, with the routes of its own
// deployment, and keys and throttles hold in it as in the other.
func TestCanary(t *testing.T) {
	r := newRig(t)
	st := r.mocked("d1", "main", "GET /a", "GET /old", "GET /slow")
	r.mocked("d2", "canary", "GET /a", "!GET /old", "GET /slow")
	st.Canary = &model.CanaryConfig{DeploymentID: "d2"}
	r.serve(st)
	if got := r.heard(50); got["main"] != 50 {
		t.Errorf("a share of 0: %v", got)
	}
	st.Canary = &model.CanaryConfig{DeploymentID: "d2", Percent: 25}
	r.serve(st)
	// 1,000 calls at 25 %: six standard deviations are 82.
	if got := r.heard(1000); got["canary"] < 168 || got["canary"] > 332 || got["canary"]+got["main"] != 1000 {
		t.Errorf("a share of 25 in 100: %v", got)
	}
	st.Canary = &model.CanaryConfig{DeploymentID: "d2", Percent: 100}
	st.Throttles = map[string]*model.Throttle{"/slow/GET": {Burst: 1}}
	r.serve(st)
	if got := r.heard(50); got["canary"] != 50 {
		t.Errorf("a share of 100: %v", got)
	}
	if status, _, _ := r.call("GET", "/old", ""); status != 403 {
		t.Errorf("a method that the canary's deployment keys, without a key: %d", status)
	}
	if status, _, _ := r.call("GET", "/slow", ""); status != 200 {
		t.Errorf("the first call of a burst of one: %d", status)
	}
	// The method's bucket is the stage's, whichever deployment runs it.
	st.Canary = nil
	r.serve(st)
	if status, _, _ := r.call("GET", "/slow", ""); status != 429 {
		t.Errorf("the second call of a burst of one, without the canary: %d", status)
	}
	if got := r.heard(20); got["main"] != 20 {
		t.Errorf("the canary taken away: %v", got)
	}
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	if n := len(r.g.reg.programs); n != 1 {
		t.Errorf("%d programs are kept", n)
	}
}

// A canary that does not compile, or is another API's, changes nothing.
func TestFailedCanaryKeepsOld(t *testing.T) {
	r := newRig(t)
	st := r.mocked("d1", "main", "GET /a")
	r.serve(st)
	r.mocked("d2", "second", "GET /a")
	r.mocked("bad", "bad", "GET /a")
	r.mocked("foreign", "foreign", "GET /a")
	r.p.mu.Lock()
	r.p.deployments["bad"].Definition.Policy = "{}"
	r.p.deployments["foreign"].APIID = "xyz"
	r.p.mu.Unlock()
	for id, want := range map[string]string{"bad": "the resource policy cannot be acted on", "foreign": "of another API", "gone": "could not be had"} {
		try := st
		try.DeploymentID, try.Canary = "d2", &model.CanaryConfig{DeploymentID: id, Percent: 100}
		r.serve(try)
		if got := r.heard(5); got["main"] != 5 {
			t.Errorf("canary %s: %v", id, got)
		}
		until(t, "the failure to be reported", func() bool {
			r.p.mu.Lock()
			defer r.p.mu.Unlock()
			f := r.p.hello.Failures
			return len(f) == 1 && f[0].Stage == 70 && strings.Contains(f[0].Reason, "its canary: ") && strings.Contains(f[0].Reason, want)
		})
	}
}

// A node whose control plane is away serves the canary from its disk, too.
func TestCanaryFromDisk(t *testing.T) {
	r := newRig(t)
	st := r.mocked("d1", "main", "GET /a")
	r.mocked("d2", "canary", "GET /a")
	st.Canary = &model.CanaryConfig{DeploymentID: "d2", Percent: 100}
	r.serve(st)
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
	r.g, r.base = g, "http://"+g.Addr()
	if got := r.heard(5); got["canary"] != 5 {
		t.Errorf("from disk: %v", got)
	}
	if err := g.Drain(ctx); err != nil {
		t.Fatal(err)
	}
}

// A mock that has no answer is deployed, as on Amazon, and is an error of the
// API's configuration.
func TestUnansweredMock(t *testing.T) {
	r := newRig(t)
	st := r.content("d1", "unused.example.com", "GET /a")
	r.p.mu.Lock()
	m := r.p.deployments["d1"].Definition.Resources[0].Methods
	m["GET"] = model.Method{AuthorizationType: model.AuthNone, Integration: &model.Integration{Type: model.IntegrationMock}}
	r.p.mu.Unlock()
	r.serve(st)
	if status, kind, body := r.call("GET", "/a", ""); status != 500 || body != `{"message":"Internal server error"}` {
		t.Errorf("%d %s %s", status, kind, body)
	}
}

// Stage variables are part of where calls go: each stage of a deployment has its
// own, a canary overrides them, and a change takes effect at once. A method whose
// variable is not set, or makes no address, is closed; the others are served.
func TestStageVariables(t *testing.T) {
	r := newRig(t)
	up := echo(t)
	st := r.content("d1", "http://${stageVariables.host}/${stageVariables.base}", "GET /a", "GET /fixed")
	r.p.mu.Lock()
	for i := range r.p.deployments["d1"].Definition.Resources {
		if res := &r.p.deployments["d1"].Definition.Resources[i]; res.Path == "/fixed" {
			res.Methods["GET"] = model.Method{AuthorizationType: model.AuthNone, Integration: model.FixedMock(200, "text/plain", "fixed")}
		}
	}
	r.p.mu.Unlock()
	expect := func(what, want string) {
		t.Helper()
		if _, _, body := r.call("GET", "/a", ""); body != want {
			t.Errorf("%s: %s instead of %s", what, body, want)
		}
		if _, _, body := r.call("GET", "/fixed", ""); body != "fixed" {
			t.Errorf("%s: the other method answers %s", what, body)
		}
	}
	const closed = `{"message":"Internal server error"}`
	r.serve(st)
	expect("no variables", closed)
	st.Variables = map[string]string{"host": up, "base": "v1"}
	r.serve(st)
	expect("set", "GET /v1/a")
	st.Variables = map[string]string{"host": up, "base": "v2/x"}
	r.serve(st)
	expect("changed", "GET /v2/x/a")
	st.Variables = map[string]string{"host": "h:port", "base": "v2"}
	r.serve(st)
	expect("no address", closed)
	st.Variables = map[string]string{"host": up, "base": "v3"}
	st.Canary = &model.CanaryConfig{DeploymentID: "d1", Percent: 100, Overrides: map[string]string{"base": "canary"}}
	r.serve(st)
	expect("overridden", "GET /canary/a")
	st.Canary = nil
	r.serve(st)
	expect("no canary", "GET /v3/a")
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	if n := len(r.g.reg.programs); n != 1 {
		t.Errorf("%d programs are kept", n)
	}
}
