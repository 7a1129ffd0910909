package gateway

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tollgate/model"
)

// An API's own host answers the service's health check, whatever the case of its id, and
// a stage can answer a missing route with a true 404.
func TestStageOptions(t *testing.T) {
	up := echo(t)
	r := newRig(t)
	st := r.content("d1", up, "GET /a/{id}", "HEAD /a/{id}", "OPTIONS /a/{id}")
	tell := func() {
		r.p.tell(t, model.Changes{Tenants: []model.TenantConfig{{Num: tenantNum, AccountID: "123456789012"}}, Stages: []model.StageConfig{st}})
	}
	tell()
	on := func(host, verb, path string) (int, string) {
		req, _ := http.NewRequest(verb, r.base+path, nil)
		req.Host = host
		res, err := r.httpc.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		b, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(b)
	}
	for _, c := range []struct {
		host, verb, path string
		status           int
		body             string
	}{
		{"abc.execute-api.localhost", "GET", "/ping", 200, "healthy"}, {"ABC.Execute-API.localhost", "GET", "/sping", 200, "healthy"},
		{"ABC.execute-api.localhost", "GET", "/prod/a/1", 200, "GET /a/1"}, {"abc.execute-api.localhost", "GET", "/prod/a/1/", 200, "GET /a/1"}, {"abc.execute-api.localhost", "GET", "/prod/a/x%2Fy?p=1;q", 200, "GET /a/x%2Fy?p=1;q"},
		{"abc.execute-api.localhost", "HEAD", "/prod/a/1", 200, ""}, {"abc.execute-api.localhost", "OPTIONS", "/prod/a/1", 200, "OPTIONS /a/1"},
		{"abc.execute-api.localhost", "GET", "/prod/ping", 403, `{"message":"Missing Authentication Token"}`}, {"abc.execute-api.localhost", "GET", "/pings", 403, `{"message":"Forbidden"}`},
	} {
		if status, body := on(c.host, c.verb, c.path); status != c.status || body != c.body {
			t.Errorf("%s %s %s: %d %s", c.host, c.verb, c.path, status, body)
		}
	}
	st.RouteNotFound = true
	tell()
	for _, path := range []string{"/nothing", "/a", "/a/1/2"} {
		if status, kind, body := r.call("GET", path, ""); status != 404 || kind != "NotFoundException" || body != `{"message":"Not Found"}` {
			t.Errorf("%s: %d %s %s", path, status, kind, body)
		}
	}
	if status, _ := on("abc.execute-api.localhost", "GET", "/other/a"); status != 403 {
		t.Errorf("a stage that is not there: %d", status)
	}
	// What is sent unescaped and may not be is refused, as the service does.
	for _, target := range []string{"/a|b", "/a?x=1|2"} {
		nc, err := net.Dial("tcp", r.g.Addr())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(nc, "GET /_aws/execute-api/abc/prod%s HTTP/1.1\r\nHost: x\r\n\r\n", target)
		b, _ := io.ReadAll(nc)
		if !strings.HasPrefix(string(b), "HTTP/1.1 400 ") {
			t.Errorf("%s: %.40s", target, b)
		}
		_ = nc.Close()
	}
}

// A stage's CORS settings answer preflights, and are on all answers, in place of the
// upstream's.
func TestStageCORS(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "https://upstream.example")
		w.Header().Set("X-Up", "1")
		_, _ = io.WriteString(w, "hello")
	}))
	defer up.Close()
	r := newRig(t)
	st := r.content("d1", strings.TrimPrefix(up.URL, "http://"), "GET /", "!GET /keyed", "GET /mock")
	d := &r.p.deployments["d1"].Definition
	m := d.Method("/mock", "GET")
	m.Integration = model.FixedMock(200, "text/plain", "mock")
	resp := m.Integration.Responses["default"]
	resp.ResponseParameters = map[string]string{"method.response.header.Access-Control-Allow-Origin": "'https://mock.example'", "method.response.header.X-Up": "'2'"}
	m.Integration.Responses["default"] = resp
	if err := d.SetMethod("/mock", "GET", *m); err != nil {
		t.Fatal(err)
	}
	tell := func() {
		r.p.tell(t, model.Changes{Tenants: []model.TenantConfig{{Num: tenantNum, AccountID: "123456789012"}}, Stages: []model.StageConfig{st}})
	}
	st.CORS = &model.CORS{AllowOrigins: []string{"https://app.example.com", "https://*.dev.example.com"}, AllowMethods: []string{"GET", "PUT"}, AllowHeaders: []string{"X-Api-Key"}, ExposeHeaders: []string{"X-Up"}, AllowCredentials: true, MaxAge: 60}
	tell()
	for _, c := range []struct {
		path, origin string
		status       int
		allowed      string
	}{
		{"/", "https://app.example.com", 200, "https://app.example.com"}, {"/", "https://a.b.dev.example.com", 200, "https://a.b.dev.example.com"}, {"/mock", "HTTPS://APP.example.com", 200, "HTTPS://APP.example.com"},
		{"/keyed", "https://app.example.com", 403, "https://app.example.com"}, {"/nothing", "https://app.example.com", 403, "https://app.example.com"},
		{"/", "https://evil.example.com", 200, ""}, {"/", "https://.dev.example.com", 200, ""}, {"/", "https://app.example.com.evil.example", 200, ""}, {"/mock", "", 200, ""},
	} {
		head := []string{"X-None", "1"}
		if c.origin != "" {
			head = []string{"Origin", c.origin}
		}
		status, h, _ := r.send("GET", c.path, "", head...)
		if got := strings.Join(h.Values("Access-Control-Allow-Origin"), "|"); status != c.status || got != c.allowed || h.Get("Vary") != "Origin" || (h.Get("Access-Control-Allow-Credentials") == "true") != (c.allowed != "") {
			t.Errorf("%+v: %d %q %v", c, status, got, h)
		}
	}
	status, h, body := r.send("OPTIONS", "/keyed", "", "Origin", "https://app.example.com", "Access-Control-Request-Method", "PUT")
	if status != 204 || body != "" || h.Get("Access-Control-Allow-Methods") != "GET, PUT" || h.Get("Access-Control-Allow-Headers") != "X-Api-Key" || h.Get("Access-Control-Max-Age") != "60" || h.Get("Access-Control-Allow-Origin") != "https://app.example.com" {
		t.Errorf("%d %v", status, h)
	}
	if status, h, _ := r.send("OPTIONS", "/", "", "Origin", "https://evil.example", "Access-Control-Request-Method", "PUT"); status != 204 || h.Get("Access-Control-Allow-Methods") != "" {
		t.Errorf("%d %v", status, h)
	}
	st.CORS = &model.CORS{AllowOrigins: []string{"*"}, AllowHeaders: []string{"*"}}
	tell()
	status, h, _ = r.send("OPTIONS", "/", "", "Origin", "https://any.example", "Access-Control-Request-Method", "PATCH", "Access-Control-Request-Headers", "x-a, x-b")
	if status != 204 || h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Methods") != "PATCH" || h.Get("Access-Control-Allow-Headers") != "x-a, x-b" || h.Get("Vary") != "" {
		t.Errorf("%d %v", status, h)
	}
	// Without the settings the upstream's and the author's go on.
	st.CORS = nil
	tell()
	if _, h, _ := r.send("GET", "/", ""); h.Get("Access-Control-Allow-Origin") != "https://upstream.example" {
		t.Errorf("%v", h)
	}
	until(t, "the calls to be metered", func() bool { return r.p.metered(204) == 3 && r.p.metered(403) == 2 })
}

// An operator can let larger bodies and heads through; bodies stream.
func TestRaisedLimits(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		n, _ := io.Copy(io.Discard, q.Body)
		fmt.Fprint(w, n, len(q.Header.Get("X-Large")))
	}))
	defer up.Close()
	r := newRig(t, func(o *Options) { o.MaxBody, o.MaxHeaders = 64<<20, 64<<10 })
	r.deploy("d1", strings.TrimPrefix(up.URL, "http://"), "POST /")
	for _, chunked := range []bool{false, true} {
		req, _ := http.NewRequest("POST", r.base+"/_aws/execute-api/abc/prod/", io.LimitReader(zeros{}, 40<<20))
		if !chunked {
			req.ContentLength = 40 << 20
		}
		req.Header.Set("X-Large", strings.Repeat("x", 40<<10))
		res, err := r.httpc.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if string(b) != fmt.Sprint(40<<20, 40<<10) {
			t.Errorf("chunked %v: %d %s", chunked, res.StatusCode, b)
		}
	}
}
