package gateway

import (
	"net/http"
	"regexp"
	"testing"
	"time"

	"tollgate/gateway/limit/counter/countertest"
	"tollgate/model"
)

// A hard throttle is one for all nodes, on a real server; while that is away no call
// passes, or, where the plan says so, each node's share does.
func TestHardThrottle(t *testing.T) {
	url, run := countertest.Server(t)
	server := run()
	up := echo(t)
	plan := model.PlanConfig{ID: "p", Throttle: &model.Throttle{Rate: 0.001, Burst: 10}, Exactness: model.Exactness{Hard: true}}
	type node struct {
		*rig
		key string
	}
	var nodes []node
	for range 3 {
		r := newRig(t, func(o *Options) { o.Counters = url })
		r.g.counters.Within(20 * time.Second) // as long as a call has
		r.deploy("d1", up, "!GET /k")
		nodes = append(nodes, node{r, r.key(1, plan)})
	}
	count := func(calls int) (by map[int]int) {
		by = map[int]int{}
		for i := range calls {
			n := nodes[i%len(nodes)]
			status, _, _ := n.call("GET", "/k", n.key)
			by[status]++
		}
		return by
	}
	if by := count(40); by[200] != 10 || by[429] != 30 {
		t.Errorf("of 40 calls on three nodes: %v, the burst is 10", by)
	}
	_ = server.Process.Kill()
	_ = server.Wait()
	if by := count(6); by[503] != 6 {
		t.Errorf("with the counters away: %v", by)
	}
	open := plan
	open.FailOpen, open.Tenant, open.Stages = true, tenantNum, []model.PlanStage{{APIID: "abc", Stage: "prod"}}
	for _, n := range nodes {
		n.p.tell(t, model.Changes{Plans: []model.PlanConfig{open}})
	}
	if by := count(60); by[200] != 30 || by[429] != 30 { // each of the three took itself for the only one
		t.Errorf("with the counters away and a plan that goes on without: %v", by)
	}
	none := newRig(t)
	none.deploy("d1", up, "!GET /k")
	if status, _, _ := none.call("GET", "/k", none.key(1, plan)); status != 503 {
		t.Errorf("a hard plan on a node without counters: %d", status)
	}
}

// Stages that tell callers of their limits, and those that do not.
func TestRateLimitHeaders(t *testing.T) {
	r := newRig(t)
	st := r.content("d1", echo(t), "!GET /k", "GET /open")
	st.Throttles = map[string]*model.Throttle{"/open/GET": {Rate: 0.01, Burst: 2}}
	tell := func(on bool) {
		st.RateLimitHeaders = on
		r.p.tell(t, model.Changes{Tenants: []model.TenantConfig{{Num: tenantNum, AccountID: "123456789012"}}, Stages: []model.StageConfig{st}})
	}
	tell(false)
	key := r.key(1, model.PlanConfig{ID: "p", Throttle: &model.Throttle{Rate: 0.01, Burst: 4}, Quota: &model.Quota{Limit: 3, Period: model.Day}})
	ask := func(path string, status int, policy, left, retry string) {
		t.Helper()
		req, err := http.NewRequest("GET", r.base+"/_aws/execute-api/abc/prod"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if path == "/k" {
			req.Header.Set("x-api-key", key)
		}
		resp, err := r.httpc.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		for name, want := range map[string]string{"RateLimit-Policy": policy, "RateLimit": left, "Retry-After": retry} {
			if got := resp.Header.Get(name); !regexp.MustCompile("^" + want + "$").MatchString(got) {
				t.Errorf("%s answered %d with %s: %q, want %s", path, resp.StatusCode, name, got, want)
			}
		}
		if resp.StatusCode != status {
			t.Errorf("%s answered %d, want %d", path, resp.StatusCode, status)
		}
	}
	ask("/k", 200, "", "", "")
	tell(true)
	policy := `"quota";q=3;w=86400, "rate";q=1;w=100`
	ask("/k", 200, policy, `"quota";r=1;t=\d+, "rate";r=2`, "")
	ask("/k", 200, policy, `"quota";r=0;t=\d+, "rate";r=1`, "")
	ask("/k", 429, policy, `"quota";r=0;t=\d+, "rate";r=1`, `\d+`)
	const wait = `([1-9]\d|100)` // until the next token, one in 100 seconds
	ask("/open", 200, `"method";q=1;w=100`, `"method";r=1`, "")
	ask("/open", 200, `"method";q=1;w=100`, `"method";r=0;t=`+wait, "")
	ask("/open", 429, `"method";q=1;w=100`, `"method";r=0;t=`+wait, wait)
}
