package gateway

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/model"
)

// logged waits for the entry of a request and returns it.
func (r *rig) logged(id string) model.CallEntry {
	r.t.Helper()
	var out model.CallEntry
	until(r.t, "call "+id+" to be in the call log", func() bool {
		r.p.mu.Lock()
		defer r.p.mu.Unlock()
		for _, e := range r.p.logged {
			if callIDText(e.ID) == id {
				out = e
				return true
			}
		}
		return false
	})
	return out
}

func callIDText(id [16]byte) string { return model.BootID(id).String() }

// asked makes a call and returns its answer's status and request id.
func (r *rig) asked(verb, path, body string, header ...string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequest(verb, r.base+"/_aws/execute-api/abc/prod"+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	res, err := r.httpc.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	return res.StatusCode, res.Header.Get("x-amzn-RequestId")
}

// tellStage publishes a stage's configuration.
func (r *rig) tellStage(s model.StageConfig) {
	r.t.Helper()
	r.p.tell(r.t, model.Changes{Tenants: []model.TenantConfig{{Num: tenantNum, AccountID: "123456789012"}}, Stages: []model.StageConfig{s}})
}

// What happened to a call is told, by the step that ended it.
func TestCallLog(t *testing.T) {
	r := newRig(t)
	s := r.content("d1", echo(t), "GET /open/{id}", "!GET /keyed", "GET /throttled")
	s.Throttles = map[string]*model.Throttle{"/throttled/GET": {Rate: 0.001, Burst: 1}}
	s.TraceOneIn = -1 // by chance one in 1,000 is
	down := r.content("d2", deadPort(t), "GET /down")
	d := r.p.deployments["d1"]
	more := r.p.deployments["d2"].Definition.Resources[0]
	d.Definition.Resources = append(d.Definition.Resources, more)
	d.Methods = append(d.Methods, model.MethodNumber{Path: "/down", Verb: "GET", Num: 9})
	_ = down
	r.tellStage(s)
	key := r.key(5, model.PlanConfig{ID: "p", Quota: &model.Quota{Limit: 1, Period: model.Day}})

	code, id := r.asked("GET", "/open/7?token=in-the-query", "", "User-Agent", "tester/1.0", "X-Api-Key", key)
	e := r.logged(id)
	if code != 200 || e.Status != 200 || e.Kind != "" || e.Why != "" || string(e.Path) != "/open/7" || string(e.Verb) != "GET" || e.IP != "127.0.0.1" ||
		string(e.Agent) != "tester/1.0" || e.Tenant != tenantNum || e.Stage != 70 || e.Method != 1 || e.Integration == 0 || e.Integration > e.Latency+2 || e.BytesOut == 0 ||
		time.Since(time.UnixMicro(e.Time)) > time.Minute || len(e.Trace) > 0 {
		t.Errorf("%d %+v", code, e)
	}
	for _, c := range []struct {
		path, key       string
		status          int
		kind, step, why string
		keyNum          uint32
		traced          bool
	}{
		{"/open", "", 403, "MISSING_AUTHENTICATION_TOKEN", "match", "no method", 0, false},
		{"/keyed", "", 403, "INVALID_API_KEY", "API key", "none came", 0, false},
		{"/keyed", "wrong-wrong-wrong-wrong", 403, "INVALID_API_KEY", "API key", "no such", 0, false},
		{"/keyed", key, 200, "", "", "", 5, false},
		{"/keyed", key, 429, "QUOTA_EXCEEDED", "quota", "quota is used up", 5, false},
		{"/throttled", "", 200, "", "", "", 0, false},
		{"/throttled", "", 429, "THROTTLED", "throttle", "the stage's throttle", 0, false},
		{"/down", "", 504, "INTEGRATION_FAILURE", "integration", "no connection", 0, true},
	} {
		var h []string
		if c.key != "" {
			h = []string{"X-Api-Key", c.key}
		}
		code, id := r.asked("GET", c.path, "", h...)
		e := r.logged(id)
		if code != c.status || int(e.Status) != c.status || e.Kind != c.kind || e.Step != c.step || !strings.Contains(e.Why, c.why) || e.Key != c.keyNum || (len(e.Trace) > 0) != c.traced {
			t.Errorf("%s: %d %+v\n%s", c.path, code, e, e.Trace)
		}
		if c.traced && (!strings.Contains(string(e.Trace), "Execution failed: no connection") || !strings.Contains(string(e.Trace), "Gateway response type: INTEGRATION_FAILURE with status code: 504")) {
			t.Errorf("the trace is\n%s", e.Trace)
		}
	}
}

// What a method's settings ask for is traced, and no secret is in it.
func TestTraces(t *testing.T) {
	r := newRig(t)
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { // repeats what it was told
		w.Header().Set("Set-Cookie", "session=of-the-answer-1234")
		if q.URL.Path == "/bad" {
			w.WriteHeader(500)
		}
		_, _ = fmt.Fprintf(w, "%v %v", q.Header, q.URL.RawQuery)
	}))
	defer up.Close()
	s := r.content("d1", up.Listener.Addr().String(), "POST /info", "POST /error", "POST /bad", "POST /off", "POST /mapped", "GET /down")
	m := r.p.deployments["d1"].Definition.Resources[4].Methods["POST"]
	m.Integration.Type, m.Integration.HTTPMethod = model.IntegrationHTTP, "POST"
	m.Integration.Responses = map[string]model.IntegrationResponse{"200": {StatusCode: "200"}}
	r.p.deployments["d1"].Definition.Resources[4].Methods["POST"] = m
	s.Logging = map[string]*model.CallLogging{"/info/POST": {Info: true, Data: true}, "/error/POST": {}, "/bad/POST": {}, "/mapped/POST": {Info: true, Data: true}}
	s.TraceOneIn = -1
	r.tellStage(s)
	secrets := []string{"bearer-of-the-call", "cookie-of-the-call", "key-of-the-call-0123456789", "query-of-the-call"}
	for _, c := range []struct {
		path   string
		traced bool
	}{{"/info", true}, {"/error", false}, {"/bad", true}, {"/off", false}, {"/mapped", true}} {
		_, id := r.asked("POST", c.path+"?access_token="+secrets[3]+"&shown=1", "the body", "Authorization", "Bearer "+secrets[0], "Cookie", "a="+secrets[1], "X-Api-Key", secrets[2], "X-Plain", "plain-value", "Content-Type", "text/plain")
		e := r.logged(id)
		text := string(e.Trace)
		if (text != "") != c.traced {
			t.Errorf("%s: traced %q", c.path, text)
		}
		if c.path == "/info" || c.path == "/mapped" {
			for _, want := range []string{"HTTP Method: POST, Resource Path: " + c.path, "plain-value", "shown=1", "Authorization=******", "Method completed with status: 200"} {
				if !strings.Contains(text, want) {
					t.Errorf("%s: %q is not in the trace\n%s", c.path, want, text)
				}
			}
		}
		if c.path == "/mapped" && (!strings.Contains(text, "Endpoint response body before transformations: ") || strings.Contains(text, "of-the-answer")) {
			t.Errorf("%s", text)
		}
		for _, secret := range secrets {
			if strings.Contains(fmt.Sprintf("%s %s %s %s", text, e.Why, e.Path, e.Agent), secret) {
				t.Errorf("%s: %s was written down:\n%s", c.path, secret, text)
			}
		}
	}
	// By chance: of a stage that says every call.
	s.Logging, s.TraceOneIn = nil, 1
	r.tellStage(s)
	_, id := r.asked("POST", "/off", "x", "X-Plain", "plain-value")
	if text := string(r.logged(id).Trace); !strings.Contains(text, "Method completed") || strings.Contains(text, "plain-value") {
		t.Errorf("by chance: %q", text)
	}
}

// A flood on one tenant's stage hides no other's entry, and entries and what was left out
// add up to the calls.
func TestCallLogFlood(t *testing.T) {
	r := newRig(t, func(o *Options) { o.CallLogRate = 20 })
	s := r.content("d1", echo(t), "GET /a")
	other := r.content("d2", echo(t), "GET /a")
	r.p.deployments["d2"].Tenant, r.p.deployments["d2"].APIID = 8, "xyz"
	other.Num, other.Tenant, other.APIID = 80, 8, "xyz"
	r.p.tell(t, model.Changes{Tenants: []model.TenantConfig{{Num: tenantNum, AccountID: "123456789012"}, {Num: 8, AccountID: "210987654321"}}, Stages: []model.StageConfig{s, other}})
	const flood, few = 3000, 30
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range flood / 8 {
				r.call("GET", "/a", "")
			}
		})
	}
	wg.Go(func() {
		for range few {
			res, err := r.httpc.Get(r.base + "/_aws/execute-api/xyz/prod/a")
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		}
	})
	wg.Wait()
	counts := func() (mine, left, others, othersLeft int) {
		r.p.mu.Lock()
		defer r.p.mu.Unlock()
		for _, e := range r.p.logged {
			if e.Stage == 70 {
				mine++
			} else {
				others++
			}
		}
		return mine, int(r.p.leftOut[70].Calls), others, int(r.p.leftOut[80].Calls)
	}
	until(t, "all calls to be accounted for", func() bool { m, l, o, ol := counts(); return m+l == flood && o+ol == few })
	m, l, o, ol := counts()
	if o != few || ol != 0 || l == 0 || m < 40 {
		t.Errorf("of the flood %d entries, %d left out; of the others %d, %d", m, l, o, ol)
	}
}

func TestAccessLog(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, func(o *Options) { o.AccessLogs = dir })
	s := r.content("d1", echo(t), "GET /a/{id}", "!GET /keyed", "GET /down")
	r.p.deployments["d1"].Definition.Resources[2].Methods["GET"].Integration.URI = "http://" + deadPort(t)
	s.AccessLog = &model.AccessLogSettings{DestinationARN: "arn:aws:logs:us-east-1:123456789012:log-group:/aws/../x",
		Format: `{"id":"$context.requestId","m":"$context.httpMethod $context.resourcePath $context.path","s":$context.status,"ua":"$context.identity.userAgent","ip":"$context.identity.sourceIp","l":"$context.responseLength","il":"$context.integrationLatency","is":"$context.integration.status","e":"$context.error.responseType","em":$context.error.messageString,"k":"$context.identity.apiKey","ki":"$context.identity.apiKeyId","none":"$context.authorizer.x","at":"$context.requestTime","api":"$context.apiId/$context.stage","ie":"$context.integrationErrorMessage"}`}
	r.tellStage(s)
	key := r.key(5, model.PlanConfig{ID: "p"})
	var ids []string
	for _, c := range [][2]string{{"/a/7", ""}, {"/keyed", ""}, {"/keyed", key}, {"/down", ""}, {"/none", ""}} {
		h := []string{"User-Agent", `quo"te\`}
		if c[1] != "" {
			h = append(h, "X-Api-Key", c[1])
		}
		_, id := r.asked("GET", c[0], "", h...)
		ids = append(ids, id)
	}
	file := filepath.Join(dir, "123456789012", "%2Faws%2F..%2Fx.log")
	var lines []string
	until(t, "five lines in "+file, func() bool {
		b, _ := os.ReadFile(file)
		lines = strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
		return len(lines) == 5
	})
	for i, want := range [][]string{
		{`"m":"GET /a/{id} /prod/a/7","s":200,"ua":"quo\"te\\"`, `"ip":"127.0.0.1","l":"8"`, `"is":"200","e":"-","em":-,"k":"-","ki":"-","none":"-"`, `"api":"abc/prod"`, `"ie":"-"`},
		{`"m":"GET /keyed /prod/keyed","s":403`, `"l":"23","il":"-","is":"-","e":"INVALID_API_KEY","em":"Forbidden"`},
		{`"s":200`, `"k":"******` + key[len(key)-4:] + `","ki":"key-5"`},
		{`"s":504`, `"is":"-","e":"INTEGRATION_FAILURE"`, `"ie":"no connection to the endpoint could be made"`},
		{`"m":"GET - /prod/none","s":403`, `"e":"MISSING_AUTHENTICATION_TOKEN"`},
	} {
		for _, w := range append(want, ids[i]) {
			if !strings.Contains(lines[i], w) {
				t.Errorf("line %d: %s\n has no %s", i, lines[i], w)
			}
		}
	}
	if strings.Contains(strings.Join(lines, "\n"), key) {
		t.Error("a key's value is in the access log")
	}

	// To an address, in batches; what it does not take is counted.
	var mu sync.Mutex
	var got []string
	refuse := false
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		b, _ := io.ReadAll(q.Body)
		mu.Lock()
		defer mu.Unlock()
		if refuse {
			w.WriteHeader(400)
			return
		}
		if q.Header.Get("Content-Type") == "application/x-ndjson" {
			got = append(got, strings.Split(strings.TrimSpace(string(b)), "\n")...)
		}
	}))
	defer sink.Close()
	s.AccessLog = &model.AccessLogSettings{DestinationARN: sink.URL + "/in", Format: "$context.extendedRequestId,$context.customDomain.basePathMatched"}
	r.tellStage(s)
	_, h, _ := r.send("GET", "/a/1", "")
	until(t, "a line to be posted", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(got) == 1 && got[0] == h.Get("x-amz-apigw-id")+",-"
	})
	mu.Lock()
	refuse = true
	mu.Unlock()
	for range 3 {
		r.asked("GET", "/a/1", "")
	}
	until(t, "three lines to be counted as lost", func() bool { r.p.mu.Lock(); defer r.p.mu.Unlock(); return r.p.leftOut[70].Lines == 3 })
}
