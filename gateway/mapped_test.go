package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"tollgate/model"
)

// integrate gives a method of the API an integration, and deploys it.
func (r *rig) integrate(vars map[string]string, integrations map[string]string) {
	r.t.Helper()
	r.define(nil, vars, integrations)
}

// define is integrate for a definition that edit, if there is one, has changed.
func (r *rig) define(edit func(*model.Definition), vars map[string]string, integrations map[string]string) {
	r.t.Helper()
	r.serve(r.defined(edit, vars, integrations))
}

// defined is define without the stage being served.
func (r *rig) defined(edit func(*model.Definition), vars map[string]string, integrations map[string]string) model.StageConfig {
	r.t.Helper()
	methods := make([]string, 0, len(integrations))
	for m := range integrations {
		methods = append(methods, m)
	}
	st := r.content("d1", "unused.example.com", methods...)
	st.Variables = vars
	r.p.mu.Lock()
	d := &r.p.deployments["d1"].Definition
	for m, text := range integrations {
		verb, path, _ := strings.Cut(strings.TrimPrefix(m, "!"), " ")
		g := &model.Integration{}
		if err := json.Unmarshal([]byte(text), g); err != nil {
			r.t.Fatalf("%s: %v", text, err)
		}
		at := d.Method(path, verb)
		at.Integration = g
		if err := d.SetMethod(path, verb, *at); err != nil {
			r.t.Fatal(err)
		}
	}
	if edit != nil {
		edit(d)
	}
	r.p.mu.Unlock()
	return st
}

func (r *rig) send(verb, path, body string, header ...string) (int, http.Header, string) {
	r.t.Helper()
	req, err := http.NewRequest(verb, r.base+"/_aws/execute-api/abc/prod"+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := r.httpc.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(b)
}

// A mock's answer can depend on the call: which, by templates.
func TestMappedMock(t *testing.T) {
	r := newRig(t)
	r.integrate(map[string]string{"color": "blue"}, map[string]string{
		"ANY /pets/{id}": `{"type": "MOCK", "requestTemplates": {"application/json": "#set($context.requestOverride.path.body = $input.body){\"statusCode\": #if($input.params('fail') == 'yes')404#{else}200#end}"},
			"integrationResponses": {"default": {"statusCode": "200", "responseTemplates": {"application/json": "{\"id\": \"$input.params('id')\", \"q\": \"$input.params('q')\", \"color\": \"$stageVariables.color\", \"who\": \"$context.identity.userAgent\", \"was\": $context.requestOverride.path.body, \"at\": \"$context.stage $context.resourcePath $context.httpMethod $context.path $context.accountId\"}"},
				"responseParameters": {"method.response.header.X-Color": "stageVariables.color", "method.response.header.X-Id": "context.requestId"}},
			"404": {"statusCode": "404", "selectionPattern": "404", "responseTemplates": {"application/json": "none"}}}}`,
		"POST /strict": `{"type": "MOCK", "passthroughBehavior": "NEVER", "requestTemplates": {"application/json": "$input.json('$')"}, "integrationResponses": {"default": {"statusCode": "200"}}}`,
	})
	status, h, body := r.send("POST", "/pets/a%20b?q=x&q=y%2Bz", `{"n": 1}`, "User-Agent", "test", "Content-Type", "application/json")
	want := `{"id": "a b", "q": "y+z", "color": "blue", "who": "test", "was": {"n": 1}, "at": "prod /pets/{id} POST /abc/prod/pets/a%20b 123456789012"}`
	want = strings.Replace(want, "/abc/prod", "/prod", 1)
	if status != 200 || body != want || h.Get("X-Color") != "blue" || h.Get("X-Id") == "" || h.Get("X-Id") != h.Get("x-amzn-RequestId") || h.Get("Content-Type") != "application/json" {
		t.Errorf("%d %v\n%s\nnot\n%s", status, h, body, want)
	}
	if status, _, body := r.send("GET", "/pets/1?fail=yes", ""); status != 404 || body != "none" {
		t.Errorf("%d %s", status, body)
	}
	if status, h, body := r.send("POST", "/strict", `<x/>`, "Content-Type", "application/xml"); status != 415 || body != `{"message":"Unsupported Media Type"}` || h.Get("x-amzn-ErrorType") != "BadRequestException" {
		t.Errorf("%d %v %s", status, h, body)
	}
	if status, _, body := r.send("POST", "/strict", `{"statusCode": 201}`, "Content-Type", "application/json; charset=utf-8"); status != 200 || body != "" {
		t.Errorf("%d %s", status, body)
	}
	if status, _, body := r.send("POST", "/strict", "nothing", "Content-Type", "application/json"); status != 400 || body != `{"message":"Invalid request body"}` {
		t.Errorf("%d %s", status, body)
	}
	for _, bad := range []string{`{"statusCode": "x"}`, `[]`, ``} {
		if status, _, body := r.send("POST", "/strict", bad, "Content-Type", "application/json"); status != 500 || body != `{"message": "Internal server error"}` && body != `{"message":"Internal server error"}` {
			t.Errorf("%s: %d %s", bad, status, body)
		}
	}
	until(t, "the calls to be metered", func() bool {
		return r.p.metered(200) == 2 && r.p.metered(404) == 1 && r.p.metered(415) == 1 && r.p.metered(400) == 1 && r.p.metered(500) == 3
	})
}

// An HTTP integration sends what the mapping says, and answers what it says.
func TestMappedHTTP(t *testing.T) {
	var conns atomic.Int64
	up := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		b, _ := io.ReadAll(q.Body)
		switch q.URL.Path {
		case "/big":
			w.Header().Set("Content-Type", "text/plain")
			for range 300 {
				fmt.Fprint(w, strings.Repeat("0123456789", 100))
				w.(http.Flusher).Flush()
			}
		case "/huge":
			_, _ = io.Copy(w, io.LimitReader(zeros{}, 11<<20))
		case "/cut":
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "short")
		case "/v1/x%2Fy/a b", "/v1/a b/fixed":
			fallthrough
		default:
			w.Header().Add("X-Up", "one")
			w.Header().Add("X-Up", "two")
			w.Header().Set("Content-Type", "text/plain")
			if s := q.URL.Query().Get("status"); s != "" {
				var n int
				_, _ = fmt.Sscan(s, &n)
				w.WriteHeader(n)
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"verb": q.Method, "target": q.RequestURI, "body": string(b), "header": q.Header, "host": q.Host})
		}
	}))
	up.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	up.Start()
	defer up.Close()
	r := newRig(t)
	host := strings.TrimPrefix(up.URL, "http://")
	responses := `"integrationResponses": {"default": {"statusCode": "200", "responseParameters": {"method.response.header.X-Last": "integration.response.header.x-up", "method.response.header.X-All": "integration.response.multivalueheader.X-Up", "method.response.header.X-Verb": "integration.response.body.verb"}},
		"bad": {"statusCode": "400", "selectionPattern": "4\\d\\d", "responseTemplates": {"application/json": "{\"why\": \"$input.path('$.verb') was refused\"}"}}, "later": {"statusCode": "503", "selectionPattern": "5.*", "responseTemplates": {"application/json": "{}"}}}`
	r.integrate(map[string]string{"host": host}, map[string]string{
		"POST /a/{id}": `{"type": "HTTP", "httpMethod": "PUT", "uri": "http://` + host + `/v1/{one}/{two}?fixed=1", "requestParameters": {"integration.request.path.one": "method.request.path.id", "integration.request.path.two": "'a b'",
			"integration.request.querystring.status": "method.request.querystring.s", "integration.request.header.X-In": "method.request.header.x-in", "integration.request.header.Host": "'other.example'", "integration.request.header.Connection": "'close'", "integration.request.header.Max-Forwards": "'2'"},
			"requestTemplates": {"application/json": "{\"wrapped\": $input.json('$.n')}"}, ` + responses + `}`,
		"GET /climb":    `{"type": "HTTP", "httpMethod": "GET", "uri": "http://` + host + `/a/{b}", "requestParameters": {"integration.request.path.b": "method.request.querystring.b"}, "integrationResponses": {"default": {"statusCode": "200"}}}`,
		"GET /plain":    `{"type": "HTTP", "httpMethod": "GET", "uri": "http://${stageVariables.host}/v1", ` + responses + `}`,
		"GET /length":   `{"type": "HTTP", "httpMethod": "GET", "uri": "http://` + host + `/", "requestParameters": {"integration.request.header.content-length": "'1'"}, ` + responses + `}`,
		"GET /two":      `{"type": "HTTP", "httpMethod": "GET", "uri": "http://` + host + `/", "requestParameters": {"integration.request.header.host": "method.request.header.X-Host"}, ` + responses + `}`,
		"GET /big":      `{"type": "HTTP", "httpMethod": "GET", "uri": "http://` + host + `/big", "integrationResponses": {"default": {"statusCode": "200", "responseTemplates": {"text/plain": "$input.body.length()"}}}}`,
		"GET /huge":     `{"type": "HTTP", "httpMethod": "GET", "uri": "http://` + host + `/huge", "integrationResponses": {"default": {"statusCode": "200"}}}`,
		"GET /cut":      `{"type": "HTTP", "httpMethod": "GET", "uri": "http://` + host + `/cut", "integrationResponses": {"default": {"statusCode": "200"}}}`,
		"GET /gone":     `{"type": "HTTP", "httpMethod": "GET", "uri": "http://127.0.0.1:1/", "integrationResponses": {"default": {"statusCode": "200"}}}`,
		"GET /nowhere":  `{"type": "HTTP", "httpMethod": "GET", "uri": "http://` + host + `/", "integrationResponses": {"x": {"statusCode": "404", "selectionPattern": "404"}}}`,
		"!GET /limited": `{"type": "HTTP", "httpMethod": "GET", "uri": "http://` + host + `/", "integrationResponses": {"default": {"statusCode": "200"}}}`,
	})
	var got struct {
		Verb, Target, Body, Host string
		Header                   http.Header
	}
	status, h, body := r.send("POST", "/a/x%2Fy?s=200&other=1", `{"n": 5}`, "Content-Type", "application/json", "X-In", "in", "X-Secret", "kept", "Authorization", "kept")
	if err := json.Unmarshal([]byte(body), &got); err != nil || status != 200 {
		t.Fatalf("%d %s %v", status, body, err)
	}
	if got.Verb != "PUT" || got.Target != "/v1/x/y/a%20b?fixed=1&status=200" || got.Body != `{"wrapped": 5}` || got.Host != "other.example" {
		t.Errorf("%+v", got)
	}
	for name, want := range map[string]string{"X-In": "in", "X-Secret": "", "Authorization": "", "Accept": "application/json", "User-Agent": "AmazonAPIGateway_abc", "X-Amzn-Apigateway-Api-Id": "abc", "Content-Type": "application/json", "Content-Length": "14",
		"Max-Forwards": "2", "Connection": ""} {
		if got.Header.Get(name) != want {
			t.Errorf("%s is %q", name, got.Header.Get(name))
		}
	}
	if got.Header.Get("X-Amzn-Trace-Id") == "" {
		t.Error("no trace goes on")
	}
	if h.Get("X-Last") != "two" || h.Get("X-All") != "one,two" || h.Get("X-Verb") != "PUT" || h.Get("Content-Type") != "application/json" || h.Get("X-Up") != "" {
		t.Errorf("%v", h)
	}
	for _, c := range []struct {
		verb, path string
		status     int
		body       string
	}{
		{"POST", "/a/1?s=418", 400, `{"why": "PUT was refused"}`}, {"POST", "/a/1?s=502", 503, `{}`},
		{"GET", "/big", 200, "300000"}, {"GET", "/huge", 504, `{"message":"Network error communicating with endpoint"}`}, {"GET", "/cut", 504, `{"message":"Network error communicating with endpoint"}`},
		{"GET", "/gone", 504, `{"message":"Network error communicating with endpoint"}`}, {"GET", "/nowhere", 500, `{"message":"Internal server error"}`}, {"GET", "/length", 500, `{"message":"Internal server error"}`}, {"GET", "/limited", 403, `{"message":"Forbidden"}`},
		{"GET", "/climb?b=x/../y", 400, `{"message":"Bad Request"}`}, {"GET", "/climb?b=%2e.", 400, `{"message":"Bad Request"}`},
	} {
		if status, _, body := r.send(c.verb, c.path, `{}`, "Content-Type", "application/json"); status != c.status || body != c.body {
			t.Errorf("%s: %d %.300s", c.path, status, body)
		}
	}
	if status, _, body := r.send("GET", "/plain", ""); status != 200 || !strings.Contains(body, `"target":"/v1"`) {
		t.Errorf("%d %s", status, body)
	}
	if h.Get("X-Amzn-Trace-Id") == "" || len(h.Get("X-Amz-Apigw-Id")) != 16 {
		t.Errorf("%v", h)
	}
	// No caller names a host that is more than a host.
	for _, bad := range []string{"a/b", "a b", "a@b", strings.Repeat("a", 256)} {
		_, _, body := r.send("GET", "/two", "", "X-Host", bad)
		if err := json.Unmarshal([]byte(body), &got); err != nil || got.Host != host {
			t.Errorf("%s: %s", bad, body)
		}
	}
	before := conns.Load()
	for range 20 {
		r.send("GET", "/plain", "")
	}
	if n := conns.Load() - before; n > 1 {
		t.Errorf("%d connections for 20 calls one after the other: they are not used again", n)
	}
	// Large ones wait for each other, and all of them are answered.
	done := make(chan int)
	for range 6 {
		go func() {
			req, _ := http.NewRequest("POST", r.base+"/_aws/execute-api/abc/prod/a/1?s=200", strings.NewReader(`{"n": "`+strings.Repeat("x", 2<<20)+`"}`))
			req.Header.Set("Content-Type", "application/json")
			res, err := r.httpc.Do(req)
			if err != nil {
				done <- 0
				return
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			done <- res.StatusCode
		}()
	}
	for range 6 {
		if status := <-done; status != 200 {
			t.Errorf("a large call beside others: %d", status)
		}
	}
	for _, turns := range []*turns{r.g.large, r.g.medium} {
		turns.mu.Lock()
		if len(turns.has)+len(turns.waiting) != 0 {
			t.Errorf("turns are not given back: %v, %d wait", turns.has, len(turns.waiting))
		}
		turns.mu.Unlock()
	}
	// A large body, which arrives in pieces, goes through whole.
	big := `{"n": "` + strings.Repeat("x", 3<<20) + `"}`
	if status, _, body := r.send("POST", "/a/1?s=200", big, "Content-Type", "application/json"); status != 200 || len(body) < 3<<20 {
		t.Errorf("%d with %d bytes", status, len(body))
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// No answer has the status of an interim one, for which no caller stops waiting.
func TestInterimStatus(t *testing.T) {
	r := newRig(t)
	mock := func(status, template string) string {
		return `{"type": "MOCK", "requestTemplates": {"application/json": "{\"statusCode\": 200}"}, "integrationResponses": {"default": {"statusCode": "` + status + `", "responseTemplates": {"application/json": "` + template + `"}}}}`
	}
	r.define(func(d *model.Definition) {
		d.GatewayResponses = map[string]model.GatewayResponse{"MISSING_AUTHENTICATION_TOKEN": {StatusCode: "101"}}
	}, nil, map[string]string{"GET /fixed": mock("100", "x"), "GET /mapped": mock("101", "$context.stage"), "GET /over": mock("200", "#set($context.responseOverride.status = 103)x")})
	for path, want := range map[string]int{"/fixed": 500, "/mapped": 500, "/over": 500, "/none": 403} {
		if status, _, body := r.send("GET", path, ""); status != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

// Of a header that comes twice in different spellings templates have one, with the last
// value, as parameters do.
func TestSpellingsOfOneHeader(t *testing.T) {
	r := newRig(t)
	r.define(nil, nil, map[string]string{"GET /a": `{"type": "MOCK", "requestTemplates": {"application/json": "#set($x = 1){\"statusCode\": 200}"}, "integrationResponses": {"default": {"statusCode": "200",
		"responseTemplates": {"application/json": "$input.params('X-One') $input.params('x-ONE') $input.params().header.get('X-One') $input.params().header.containsKey('x-one')"}}}}`})
	for range 5 {
		c, err := net.Dial("tcp", r.g.Addr())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprint(c, "GET /_aws/execute-api/abc/prod/a HTTP/1.1\r\nHost: x\r\nX-One: 1\r\nx-one: 2\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(c)
		if err != nil || !strings.HasSuffix(string(b), "\r\n\r\n2 2 2 false") {
			t.Errorf("%v %s", err, b)
		}
		_ = c.Close()
	}
}
