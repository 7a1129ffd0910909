package gateway

import (
	"strings"
	"testing"

	"tollgate/model"
)

// A mock answers itself, and is keyed, limited and metered like any other method.
func TestMock(t *testing.T) {
	r := newRig(t)
	st := r.content("d1", "unused.example.com", "GET /hello", "!POST /keyed", "GET /empty")
	r.p.mu.Lock()
	for i := range r.p.deployments["d1"].Definition.Resources {
		res := &r.p.deployments["d1"].Definition.Resources[i]
		for verb, m := range res.Methods {
			m.Integration = model.FixedMock(200, "text/plain", "hello "+res.Path)
			if res.Path == "/empty" {
				m.Integration = model.FixedMock(204, "", "")
			}
			res.Methods[verb] = m
		}
	}
	r.p.mu.Unlock()
	r.p.tell(t, model.Changes{Tenants: []model.TenantConfig{{Num: tenantNum, AccountID: "123456789012"}}, Stages: []model.StageConfig{st}})
	gold := r.key(1, model.PlanConfig{ID: "gold", Quota: &model.Quota{Limit: 1, Period: model.Month}})
	for _, c := range []struct {
		verb, path, key string
		status          int
		body            string
	}{
		{"GET", "/hello", "", 200, "hello /hello"},
		{"GET", "/empty", "", 204, ""},
		{"POST", "/keyed", "", 403, `{"message":"Forbidden"}`},
		{"POST", "/keyed", gold, 200, "hello /keyed"},
		{"POST", "/keyed", gold, 429, `{"message":"Limit Exceeded"}`},
	} {
		if status, _, body := r.call(c.verb, c.path, c.key); status != c.status || body != c.body {
			t.Errorf("%s %s: got %d %s, want %d %s", c.verb, c.path, status, body, c.status, c.body)
		}
	}
	until(t, "the calls to be metered", func() bool {
		return r.p.metered(200) == 2 && r.p.metered(204) == 1 && r.p.metered(403) == 1 && r.p.metered(429) == 1
	})
}

// Two keys of one app share its subscription: its quota is used up by both
// together, and one key's end leaves the other served.
func TestSharedSubscription(t *testing.T) {
	r := newRig(t)
	r.deploy("d1", echo(t), "!GET /a")
	plan := model.PlanConfig{ID: "gold", Tenant: tenantNum, Quota: &model.Quota{Limit: 5, Period: model.Month}, Stages: []model.PlanStage{{APIID: "abc", Stage: "prod"}}}
	one, two := model.NewKeyValue(true), model.NewKeyValue(true)
	config := func(num uint32, value string) model.KeyConfig {
		h := model.KeyHash(value)
		return model.KeyConfig{Num: num, Tenant: tenantNum, Hash: h[:], Enabled: true, Subscriptions: []model.SubscriptionConfig{{ID: 77, PlanID: "gold"}}}
	}
	r.p.mu.Lock()
	r.p.quotas[77] = plan.Quota
	r.p.mu.Unlock()
	r.p.tell(t, model.Changes{Plans: []model.PlanConfig{plan}, Keys: []model.KeyConfig{config(1, one), config(2, two)}})
	var got []string
	for range 2 {
		for _, k := range []string{one, two} {
			status, _, _ := r.call("GET", "/a", k)
			got = append(got, map[int]string{200: "yes", 429: "no"}[status])
		}
	}
	r.p.tell(t, model.Changes{Keys: []model.KeyConfig{{Num: 1, Tenant: tenantNum, Deleted: true}}})
	until(t, "the first key to be gone", func() bool { status, _, _ := r.call("GET", "/a", one); return status == 403 })
	for range 2 {
		status, _, _ := r.call("GET", "/a", two)
		got = append(got, map[int]string{200: "yes", 429: "no"}[status])
	}
	if s := strings.Join(got, " "); s != "yes yes yes yes yes no" {
		t.Errorf("of a quota of 5 for two keys, the calls were let in: %s", s)
	}
}
