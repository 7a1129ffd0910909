package gateway

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tollgate/model"
)

// A method that asks for it is called with what it needs alone: parameters are there, and
// bodies fit their model. What is let through goes on byte for byte.
func TestValidation(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		b, _ := io.ReadAll(q.Body)
		fmt.Fprintf(w, "%s %s %d %q %v", q.Method, q.URL, len(b), b[:min(len(b), 40)], q.TransferEncoding)
	}))
	defer up.Close()
	r := newRig(t)
	st := r.content("d1", strings.TrimPrefix(up.URL, "http://"), "POST /pets/{id}", "POST /mock", "PUT /pets/{id}", "!POST /keyed")
	r.p.mu.Lock()
	d := &r.p.deployments["d1"].Definition
	d.Models = []model.Schema{
		{ID: "m1", Name: "Pet", ContentType: "application/json", Schema: `{"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "tag": {"$ref": "https://apigateway.amazonaws.com/restapis/abc/models/Tag"}}}`},
		{ID: "m2", Name: "Tag", ContentType: "application/json", Schema: `{"type": "string", "maxLength": 3}`},
	}
	d.RequestValidators = []model.RequestValidator{{ID: "all", Body: true, Parameters: true}, {ID: "params", Parameters: true}, {ID: "none"}}
	change := func(verb, path string, edit func(*model.Method)) {
		m := d.Method(path, verb)
		edit(m)
		if err := d.SetMethod(path, verb, *m); err != nil {
			t.Fatal(err)
		}
	}
	all := func(m *model.Method) {
		m.RequestValidatorID, m.RequestModels = "all", map[string]string{"application/json": "Pet"}
		m.RequestParameters = map[string]bool{"method.request.header.X-Need": true, "method.request.querystring.q": true, "method.request.querystring.maybe": false}
	}
	change("POST", "/pets/{id}", all)
	change("POST", "/keyed", all)
	change("PUT", "/pets/{id}", func(m *model.Method) {
		m.RequestValidatorID, m.RequestModels = "none", map[string]string{"application/json": "Pet"}
	})
	change("POST", "/mock", func(m *model.Method) {
		all(m)
		m.Integration = model.FixedMock(200, "text/plain", "mock")
	})
	r.p.mu.Unlock()
	r.p.tell(t, model.Changes{Tenants: []model.TenantConfig{{Num: tenantNum, AccountID: "123456789012"}}, Stages: []model.StageConfig{st}})
	const good = `{"name": "Bo", "tag": "abc"}`
	for _, c := range []struct {
		verb, path, body string
		header           []string
		status           int
		answer           string
	}{
		{"POST", "/pets/7?q=1", good, []string{"X-Need", "1"}, 200, `POST /pets/7?q=1 28 "{\"name\": \"Bo\", \"tag\": \"abc\"}" []`},
		{"POST", "/mock?q=1", good, []string{"X-Need", "1"}, 200, "mock"},
		{"POST", "/pets/7", good, nil, 400, `{"message":"Missing required request parameters: [q, X-Need]"}`},
		{"POST", "/pets/7?q=", good, []string{"X-Need", " "}, 400, `{"message":"Missing required request parameters: [q, X-Need]"}`},
		{"POST", "/pets/7?q=%20", good, []string{"x-need", "1"}, 400, `{"message":"Missing required request parameters: [q]"}`},
		{"POST", "/pets/7?q=1", `{"tag": "abc"}`, []string{"X-Need", "1"}, 400, `{"message":"Invalid request body"}`},
		{"POST", "/pets/7?q=1", `{"name": "Bo", "tag": "long"}`, []string{"X-Need", "1"}, 400, `{"message":"Invalid request body"}`},
		{"POST", "/pets/7?q=1", `{"name": "Bo"`, []string{"X-Need", "1", "Content-Type", "application/json; charset=utf-8"}, 400, `{"message":"Invalid request body"}`},
		{"POST", "/pets/7?q=1", ``, []string{"X-Need", "1"}, 400, `{"message":"Invalid request body"}`},
		{"POST", "/mock?q=1", `[]`, []string{"X-Need", "1"}, 400, `{"message":"Invalid request body"}`},
		{"POST", "/pets/7?q=1", `<not json>`, []string{"X-Need", "1", "Content-Type", "application/xml"}, 200, `POST /pets/7?q=1 10 "<not json>" []`},
		{"PUT", "/pets/7", `anything`, nil, 200, `PUT /pets/7 8 "anything" []`},
		{"POST", "/keyed?q=1", good, []string{"X-Need", "1"}, 403, `{"message":"Forbidden"}`}, // the key comes first
	} {
		header := c.header
		if len(header) < 4 {
			header = append(header, "Content-Type", "application/json")
		}
		status, h, body := r.send(c.verb, c.path, c.body, header...)
		if status != c.status || body != c.answer || status == 400 && h.Get("x-amzn-ErrorType") != "BadRequestException" {
			t.Errorf("%s %s %s: %d %v %s", c.verb, c.path, c.body, status, h, body)
		}
	}
	// A body that comes in chunks is checked whole, and goes on with its length.
	for _, body := range []string{`{"name": "` + strings.Repeat("x", 1<<20) + `"}`, `{"name": ` + strings.Repeat("1", 1<<20) + `}`} {
		req, err := http.NewRequest("POST", r.base+"/_aws/execute-api/abc/prod/pets/7?q=1", io.MultiReader(strings.NewReader(body[:100]), strings.NewReader(body[100:])))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Need", "1")
		res, err := r.httpc.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if ok := body[9] == '"'; ok != (res.StatusCode == 200) || ok && !strings.Contains(string(b), fmt.Sprintf(" %d ", len(body))) {
			t.Errorf("%d %.200s", res.StatusCode, b)
		}
	}
	until(t, "the calls to be metered", func() bool { return r.p.metered(200) == 5 && r.p.metered(400) == 9 })
	// What is refused costs neither a unit of the quota nor money.
	r.p.mu.Lock()
	r.p.money[1001] = 3
	r.p.mu.Unlock()
	k := r.keyWith(1, model.PlanConfig{ID: "p", Quota: &model.Quota{Limit: 2, Period: model.Month}}, model.SpendCap)
	for i, want := range []int{400, 400, 400, 200, 400, 200, 429} {
		body := good
		if want == 400 {
			body = "{}"
		}
		if status, _, answer := r.send("POST", "/keyed?q=1", body, "x-api-key", k, "X-Need", "1", "Content-Type", "application/json"); status != want {
			t.Errorf("call %d: %d %s, want %d", i, status, answer, want)
		}
	}
}

// What could not be compiled is named, and no node serves it.
func TestCheck(t *testing.T) {
	d := &model.Definition{Resources: []model.Resource{{ID: "r", Path: "/a", Methods: map[string]model.Method{
		"GET":  {RequestValidatorID: "gone", Integration: model.FixedMock(200, "", "")},
		"POST": {RequestValidatorID: "v", RequestModels: map[string]string{"application/json": "Gone"}, Integration: model.FixedMock(200, "", "")},
		"PUT":  {RequestValidatorID: "v", RequestModels: map[string]string{"application/json": "Bad"}, Integration: &model.Integration{Type: "MOCK", RequestTemplates: map[string]string{"application/json": "#if("}}},
	}}}, RequestValidators: []model.RequestValidator{{ID: "v", Body: true}}, Models: []model.Schema{{ID: "b", Name: "Bad", ContentType: "application/json", Schema: `{"type": "nothing"}`}}}
	var got []string
	for _, p := range Check(d, testARN) {
		got = append(got, p.Pointer+": "+p.Message)
	}
	all := strings.Join(got, "\n")
	for _, want := range []string{`GET /a: there is no request validator "gone"`, `POST /a: there is no model "Gone"`, `PUT /a: request template for application/json: line 1`, `PUT /a: request model`} {
		if !strings.Contains(all, want) {
			t.Errorf("%s\nhas no %s", all, want)
		}
	}
	for _, verb := range []string{"GET", "POST", "PUT"} {
		one := *d
		one.Resources = []model.Resource{{ID: "r", Path: "/a", Methods: map[string]model.Method{verb: d.Resources[0].Methods[verb]}}}
		if _, err := compile(&model.DeploymentContent{ID: "d", Definition: one, Methods: []model.MethodNumber{{Path: "/a", Verb: verb, Num: 1}}}, nil, outward{}); err == nil {
			t.Errorf("%s was compiled", verb)
		}
	}
}
