package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"tollgate/model"
)

// vague is what differs from run to run in a trace.
var vague = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`(?m)^... ... .. ..:..:.. UTC .... : `), ""},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "ID"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "127.0.0.1:PORT"},
	{regexp.MustCompile(`\d+ ms`), "N ms"},
	{regexp.MustCompile(`after \d+(\.\d+)?[µm]?s`), "after N"},
	{regexp.MustCompile(`\d{8}T\d{6}Z`), "TIME"},
	{regexp.MustCompile(`\d{8}/us-east-1`), "DAY/us-east-1"},
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), "HASH"},
	{regexp.MustCompile(`Root=1-[0-9a-f]{8}-[0-9a-f]{24}`), "Root=ID"},
}

// Every answer that the gateway makes itself has a trace with the step, the reason and
// the place: testdata/traces.txt has them all. TOLLGATE_GOLDEN=write writes it anew.
func TestGoldenTraces(t *testing.T) {
	f := newFunctions(t)
	r := lambdaRig(t, f, func(o *Options) { o.MaxBody = 64 << 10 })
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		switch q.URL.Path {
		case "/hangs":
			<-q.Context().Done()
		case "/nonsense":
			c, _, _ := w.(http.Hijacker).Hijack()
			_, _ = io.WriteString(c, "220 ready\r\n")
			_ = c.Close()
		case "/busy":
			w.WriteHeader(503)
		default:
			_, _ = io.WriteString(w, `{"a": [1, 2]}`)
		}
	}))
	t.Cleanup(up.Close)
	at := func(kind, path, more string) string {
		return `{"type": "` + kind + `", "httpMethod": "POST", "uri": "` + up.URL + path + `"` + more + `}`
	}
	const answer = `"integrationResponses": {"default": {"statusCode": "200"}}`
	r.define(func(d *model.Definition) {
		d.Authorizers = []model.Authorizer{{ID: "auth1", Name: "guard", Type: model.AuthorizerToken, AuthorizerURI: functionURI("token"), IdentitySource: "method.request.header.Authorization"}}
		d.Models = []model.Schema{{ID: "m", Name: "Ship", ContentType: "application/json", Schema: `{"type": "object", "required": ["name"], "properties": {"tons": {"type": "integer"}}}`}}
		d.RequestValidators = []model.RequestValidator{{ID: "v", Body: true, Parameters: true}}
		for i := range d.Resources {
			for verb, m := range d.Resources[i].Methods {
				switch path := d.Resources[i].Path; {
				case strings.HasPrefix(path, "/signed"):
					m.AuthorizationType = model.AuthIAM
				case strings.HasPrefix(path, "/guarded"):
					m.AuthorizationType, m.AuthorizerID = model.AuthCustom, "auth1"
				case path == "/checked":
					m.RequestValidatorID, m.RequestModels, m.RequestParameters = "v", map[string]string{"application/json": "Ship"}, map[string]bool{"method.request.querystring.port": true}
				}
				d.Resources[i].Methods[verb] = m
			}
		}
	}, nil, map[string]string{
		"POST /open": at("HTTP_PROXY", "/", ""), "POST /throttled": at("HTTP_PROXY", "/", ""), "!POST /keyed": at("HTTP_PROXY", "/", ""),
		"POST /signed": at("HTTP_PROXY", "/", ""), "POST /guarded/{id}": at("HTTP_PROXY", "/", ""), "POST /checked": at("HTTP_PROXY", "/", ""),
		"POST /hangs": at("HTTP_PROXY", "/hangs", `, "timeoutInMillis": 60`), "POST /nonsense": at("HTTP_PROXY", "/nonsense", ""), "POST /refuses": `{"type": "HTTP_PROXY", "httpMethod": "POST", "uri": "http://` + deadPort(t) + `/"}`,
		"POST /private":  `{"type": "HTTP_PROXY", "httpMethod": "POST", "uri": "http://10.1.2.3/"}`,
		"POST /breaker":  at("HTTP_PROXY", "/busy", `, "x-tollgate-upstream": {"circuitBreaker": {"consecutiveFailures": 1, "openMillis": 60000}}`),
		"POST /mapped":   at("HTTP", "/", `, "passthroughBehavior": "NEVER", "requestTemplates": {"application/json": "{\"n\": $input.json('$.n')}\n#set($x = $util.parseJson($input.body))\n#foreach($i in [1..100000])$i#end"}, `+answer),
		"POST /answered": at("HTTP", "/", `, "integrationResponses": {"default": {"statusCode": "200", "responseTemplates": {"application/json": "#set($rows = [1..2000])\n one #foreach($i in $rows)$i#end"}}}`),
		"POST /mock":     `{"type": "MOCK", "requestTemplates": {"application/json": "{\"statusCode\": none}"}, ` + answer + `}`,
		"POST /function": lambdaProxy("raw"), "POST /fails": lambdaProxy("fails"),
	})
	r.p.mu.Lock()
	d := *r.p.deployments["d1"]
	d.ID, d.APIID, d.Definition.DisableDefaultEndpoint = "d2", "off", true
	r.p.deployments["d2"] = &d
	r.p.mu.Unlock()
	for _, s := range []model.StageConfig{
		{Num: 70, APIID: "abc", Stage: "prod", DeploymentID: "d1", Throttles: map[string]*model.Throttle{"/throttled/POST": {Rate: 0.001, Burst: 1}}},
		{Num: 71, APIID: "abc", Stage: "strict", DeploymentID: "d1", RouteNotFound: true},
		{Num: 72, APIID: "off", Stage: "prod", DeploymentID: "d2"},
	} {
		s.Tenant, s.TraceOneIn = tenantNum, 1
		r.tellStage(s)
	}
	key := r.key(5, model.PlanConfig{ID: "p", Quota: &model.Quota{Limit: 1, Period: model.Day}})
	capped, prepaid := r.keyWith(7, model.PlanConfig{ID: "c"}, model.SpendCap), r.keyWith(8, model.PlanConfig{ID: "d"}, model.SpendPrepaid)
	r.signers(tenantNum, signerOf(keyID, keySecret, time.Now()))

	send := func(path, body string, head ...string) *http.Request {
		req, err := http.NewRequest("POST", r.base+"/_aws/execute-api/abc/prod"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(head); i += 2 {
			req.Header.Set(head[i], head[i+1])
		}
		return req
	}
	to := func(other string, req *http.Request) *http.Request {
		req.URL.Path = strings.Replace(req.URL.Path, "/abc/prod", other, 1)
		return req
	}
	with := func(change func(*http.Request), req *http.Request) *http.Request {
		change(req)
		return req
	}
	json := []string{"Content-Type", "application/json"}
	var text strings.Builder
	told := map[string]bool{}
	for _, c := range []struct {
		name   string
		before *http.Request // a call that brings it about
		req    *http.Request
		status int
	}{
		{"the default endpoint is disabled", nil, to("/off/prod", send("/open", "")), 403},
		{"no method", nil, send("/nowhere", ""), 403},
		{"no method, on a stage that says so", nil, to("/abc/strict", send("/nowhere", "")), 404},
		{"a body above the limit", nil, send("/open", strings.Repeat("x", 65<<10)), 413},
		{"WebSocket", nil, send("/open", "", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version", "13"), 501},
		{"gRPC", nil, send("/open", "", "Content-Type", "application/grpc"), 501},
		{"no key", nil, send("/keyed", ""), 403},
		{"a key of nobody", nil, send("/keyed", "", "X-Api-Key", "wrong-wrong-wrong-wrong"), 403},
		{"quota used up", send("/keyed", "", "X-Api-Key", key), send("/keyed", "", "X-Api-Key", key), 429},
		{"a spend cap that is reached", nil, send("/keyed", "", "X-Api-Key", capped), 402},
		{"a prepaid balance that is used up", nil, send("/keyed", "", "X-Api-Key", prepaid), 402},
		{"throttle", send("/throttled", ""), send("/throttled", ""), 429},
		{"no identity", nil, send("/guarded/1", ""), 401},
		{"the authorizer denies", nil, send("/guarded/1", "", "Authorization", "Deny"), 403},
		{"the authorizer fails", nil, send("/guarded/1", "", "Authorization", "Wrong"), 500},
		{"the authorizer's policy is broken", nil, send("/guarded/1", "", "Authorization", "Broken"), 500},
		{"a path that is too long for authorizers", nil, send("/guarded/"+strings.Repeat("x", 1600), "", "Authorization", "Allow"), 414},
		{"not signed", nil, send("/signed", ""), 403},
		{"an incomplete signature", nil, send("/signed", "", "Authorization", "AWS4-HMAC-SHA256 Credential=x"), 403},
		{"a key nobody signs with", nil, with(func(q *http.Request) {
			q.Header.Set("Authorization", strings.Replace(q.Header.Get("Authorization"), keyID, "AKIAEXAMPLE000000009", 1))
		}, sign(send("/signed", ""), nil)), 403},
		{"a signature of something else", nil, with(func(q *http.Request) { q.URL.RawQuery = "more=1" }, sign(send("/signed", ""), nil)), 403},
		{"a session token", nil, with(func(q *http.Request) { q.Header.Set("X-Amz-Security-Token", "of-a-session") }, sign(send("/signed", ""), nil)), 403},
		{"a parameter is missing", nil, send("/checked", `{"name": "a"}`, json...), 400},
		{"a body that does not fit", nil, send("/checked?port=1", `{"tons": "many"}`, json...), 400},
		{"a body that is no JSON", nil, send("/checked?port=1", `{`, json...), 400},
		{"no template for the media type", nil, send("/mapped", "x", "Content-Type", "text/plain"), 415},
		{"a template that does too much", nil, send("/mapped", `{"n": 1}`, json...), 500},
		{"a template of the answer that fails", nil, send("/answered", `{}`, json...), 500},
		{"a mock without a status", nil, send("/mock", `{}`, json...), 500},
		{"a private network", nil, send("/private", ""), 500},
		{"nobody listens", nil, send("/refuses", ""), 504},
		{"an answer that is no HTTP", nil, send("/nonsense", ""), 504},
		{"too slow", nil, send("/hangs", ""), 504},
		{"an open circuit", send("/breaker", ""), send("/breaker", ""), 503},
		{"a function's answer that is none", nil, send("/function", `{"statusCode": 200, "wrong": 1}`, json...), 502},
		{"a function that fails", nil, send("/fails", ""), 502},
	} {
		if c.before != nil {
			res, err := r.httpc.Do(c.before)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
		}
		res, err := r.httpc.Do(c.req)
		if err != nil {
			t.Fatal(c.name, err)
		}
		_ = res.Body.Close()
		e := r.logged(res.Header.Get("X-Amzn-RequestId"))
		if res.StatusCode != c.status || int(e.Status) != c.status {
			t.Errorf("%s: %d, %+v\n%s", c.name, res.StatusCode, e, e.Trace)
		}
		told[e.Kind] = true
		write(&text, c.name, e)
	}
	// What no client of net/http can do.
	conn, err := net.Dial("tcp", r.g.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "POST /_aws/execute-api/abc/prod/mapped HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nno chunk\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	e := r.logged(res.Header.Get("X-Amzn-RequestId"))
	told[e.Kind] = true
	write(&text, "a malformed body", e)
	// Nobody is let through while it cannot be said that there is quota left.
	r.p.mu.Lock()
	r.p.noLeases = true
	r.p.mu.Unlock()
	key = r.key(6, model.PlanConfig{ID: "q", Quota: &model.Quota{Limit: 9, Period: model.Day}})
	res, err = r.httpc.Do(send("/keyed", "", "X-Api-Key", key))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	e = r.logged(res.Header.Get("X-Amzn-RequestId"))
	told[e.Kind] = true
	write(&text, "no lease of the quota", e)

	for k := range answers {
		if name := answers[k].name; name != "" && !told[name] && kind(k) != expiredToken { // no sessions are given out here
			t.Errorf("no case has a trace of %s", name)
		}
	}
	const golden = "testdata/traces.txt"
	got := text.String()
	if os.Getenv("TOLLGATE_GOLDEN") == "write" {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(want), "\n## ")
	for i, p := range strings.Split(got, "\n## ") {
		if i >= len(parts) || p != parts[i] {
			t.Errorf("the trace is now\n## %s\nand %s has another (TOLLGATE_GOLDEN=write takes it)", p, golden)
		}
	}
}

// write adds a call's entry to the golden file.
func write(w io.Writer, name string, e model.CallEntry) {
	clear := func(s string) string {
		for _, v := range vague {
			s = v.what.ReplaceAllString(s, v.by)
		}
		return s
	}
	fmt.Fprintf(w, "\n## %s\nstatus %d, type %s, step %s\nwhy %s\n%s", name, e.Status, e.Kind, e.Step, clear(e.Why), clear(string(e.Trace)))
}
