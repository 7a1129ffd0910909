package gateway

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/model"
)

// counting is an upstream that numbers its answers.
type counting struct {
	calls atomic.Int64
	hold  chan struct{} // answers wait for its end; nil: they do not
	s     *httptest.Server
}

func newCounting(t testing.TB, head func(r *http.Request, h http.Header) int) *counting {
	u := &counting{}
	u.s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := u.calls.Add(1)
		if u.hold != nil {
			<-u.hold
		}
		status := 200
		if head != nil {
			status = head(r, w.Header())
		}
		w.Header().Set("X-Number", fmt.Sprint(n))
		w.WriteHeader(status)
		_, _ = io.Copy(w, r.Body)
		fmt.Fprintf(w, "%s %d", r.URL.RequestURI(), n)
	}))
	t.Cleanup(u.s.Close)
	return u
}

// cachedStage has a cache in which the methods' answers are kept by query parameter
// kind, and by header X-Who.
func (r *rig) cachedStage(upstream string, setting model.CacheSetting, methods ...string) model.StageConfig {
	st := r.content("d1", upstream, methods...)
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	for i := range r.p.deployments["d1"].Definition.Resources {
		for verb, m := range r.p.deployments["d1"].Definition.Resources[i].Methods {
			m.Integration.CacheKeyParameters = []string{"method.request.querystring.kind", "method.request.header.X-Who"}
			r.p.deployments["d1"].Definition.Resources[i].Methods[verb] = m
		}
	}
	st.Cache = &model.CacheConfig{Bytes: 1 << 30, Methods: map[string]model.CacheSetting{model.EveryMethod: setting}}
	return st
}

func (r *rig) ask(verb, path string, header ...string) (*http.Response, string) {
	r.t.Helper()
	req, err := http.NewRequest(verb, r.base+"/_aws/execute-api/abc/prod"+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := r.httpc.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp, string(b)
}

// Answers are kept by what the author chose and by nothing else, of GETs unless a method
// has settings of its own, until the stage's cache is flushed.
func TestCache(t *testing.T) {
	u := newCounting(t, nil)
	r := newRig(t)
	on := model.CacheSetting{Enabled: true, TTLSeconds: 300}
	st := r.cachedStage(u.s.URL, on, "GET /a", "POST /a", "GET /never", "POST /own", "ANY /any")
	st.Cache.Methods["/never/GET"] = model.CacheSetting{}
	st.Cache.Methods["/own/POST"] = on
	r.serve(st)
	expect := func(want string, verb, path string, header ...string) {
		t.Helper()
		resp, got := r.ask(verb, path, header...)
		if _, number, _ := strings.Cut(got, " "); got != want || resp.Header.Get("X-Number") != number || resp.StatusCode != 200 {
			t.Errorf("%s %s %v: %q (number %s), want %q", verb, path, header, got, resp.Header.Get("X-Number"), want)
		}
	}
	expect("/a?kind=dog 1", "GET", "/a?kind=dog")
	expect("/a?kind=dog 1", "GET", "/a?kind=dog")
	expect("/a?kind=dog 1", "GET", "/a?other=1&kind=dog") // an unlisted parameter shares the entry
	expect("/a?kind=cat 2", "GET", "/a?kind=cat")
	expect("/a 3", "GET", "/a")
	expect("/a?kind= 4", "GET", "/a?kind=")
	expect("/a?kind=dog 5", "GET", "/a?kind=dog", "X-Who", "me")
	expect("/a?kind=dog 5", "GET", "/a?kind=dog", "X-Who", "me")
	expect("/a?kind=dog 1", "GET", "/a?kind=dog")
	expect("/a 6", "POST", "/a")
	expect("/a 7", "POST", "/a")
	expect("/never 8", "GET", "/never")
	expect("/never 9", "GET", "/never")
	expect("/own 10", "POST", "/own")
	expect("/own 10", "POST", "/own")
	expect("/any 11", "GET", "/any")
	expect("/any 11", "GET", "/any")
	expect("/any 12", "POST", "/any")
	expect("/any 13", "POST", "/any")
	expect("/a?kind=dog 14", "GET", "/a?kind=dog", "Range", "bytes=0-1")
	r.serve(st) // a change of something else keeps what there is
	expect("/a?kind=dog 1", "GET", "/a?kind=dog")
	st.Cache.Flushes++
	r.serve(st)
	expect("/a?kind=dog 15", "GET", "/a?kind=dog")
	if hits := r.g.metrics.cacheHits.Load(); hits != 7 {
		t.Errorf("%d hits", hits)
	}
	st.Cache = nil
	r.serve(st)
	expect("/a?kind=dog 16", "GET", "/a?kind=dog")
	until(t, "the memory to be given back", func() bool { return r.g.cacheBudget.Used() == 0 })
	// Each is a call like any other for those who count.
	until(t, "all calls to be metered", func() bool { return r.p.metered(200) == 23 })
}

// Failures, parts, and answers that begin a session are nobody else's.
func TestCacheKeepsOut(t *testing.T) {
	u := newCounting(t, func(r *http.Request, h http.Header) int {
		switch r.URL.Path {
		case "/cookie":
			h.Set("Set-Cookie", "session=1")
		case "/missing":
			return 404
		case "/broken":
			return 500
		}
		return 200
	})
	r := newRig(t)
	r.serve(r.cachedStage(u.s.URL, model.CacheSetting{Enabled: true, TTLSeconds: 300}, "GET /cookie", "GET /missing", "GET /broken"))
	for i, path := range []string{"/cookie", "/cookie", "/missing", "/missing", "/broken", "/broken"} {
		if _, got := r.ask("GET", path); got != fmt.Sprint(path, " ", i+1) {
			t.Errorf("%s: %q is another's answer", path, got)
		}
	}
}

// An answer is kept for its time.
func TestCacheEnds(t *testing.T) {
	u := newCounting(t, nil)
	r := newRig(t)
	r.serve(r.cachedStage(u.s.URL, model.CacheSetting{Enabled: true, TTLSeconds: 1, Encrypted: true}, "GET /a"))
	began := time.Now()
	if _, got := r.ask("GET", "/a"); got != "/a 1" {
		t.Fatalf("the first answer: %q", got)
	}
	until(t, "the entry's end", func() bool { _, got := r.ask("GET", "/a"); return got == "/a 2" })
	if took := time.Since(began); took < time.Second {
		t.Errorf("an answer that is kept for a second was kept for %v", took)
	}
}

// A fresh answer takes the permission, where the author said so.
func TestCacheControl(t *testing.T) {
	u := newCounting(t, nil)
	r := newRig(t)
	setting := model.CacheSetting{Enabled: true, TTLSeconds: 300, Guarded: true}
	for _, c := range []struct {
		guarded  bool
		strategy string
		status   int
		fresh    bool
		warning  bool
	}{
		{false, "", 200, true, false},
		{true, "FAIL_WITH_403", 403, false, false},
		{true, "SUCCEED_WITH_RESPONSE_HEADER", 200, false, true},
		{true, "SUCCEED_WITHOUT_RESPONSE_HEADER", 200, false, false},
	} {
		setting.Guarded, setting.Strategy = c.guarded, c.strategy
		r.serve(r.cachedStage(u.s.URL, setting, "GET /a"))
		_, before := r.ask("GET", "/a")
		resp, got := r.ask("GET", "/a", "Cache-Control", "max-age=0")
		if resp.StatusCode != c.status || c.status == 200 && (got != before) != c.fresh || (resp.Header.Get("Warning") != "") != c.warning {
			t.Errorf("%+v: %d, %q after %q, warning %q", c, resp.StatusCode, got, before, resp.Header.Get("Warning"))
		}
		if _, after := r.ask("GET", "/a"); c.fresh && after != got {
			t.Errorf("%+v: the fresh answer %q is not kept: %q", c, got, after)
		}
	}
}

// Of many who ask for the same at once one reaches the upstream.
func TestCacheSingleFlight(t *testing.T) {
	u := newCounting(t, nil)
	u.hold = make(chan struct{})
	r := newRig(t)
	r.serve(r.cachedStage(u.s.URL, model.CacheSetting{Enabled: true, TTLSeconds: 300}, "GET /a"))
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			if _, got := r.ask("GET", "/a"); got != "/a 1" {
				t.Errorf("%q", got)
			}
		})
	}
	until(t, "all to have come", func() bool { return r.g.metrics.cacheMisses.Load() == 40 })
	close(u.hold)
	wg.Wait()
	if n := u.calls.Load(); n != 1 {
		t.Errorf("the upstream was asked %d times", n)
	}
}

// A canary has a cache of its own, unless it is said to use the stage's.
func TestCacheOfCanary(t *testing.T) {
	u := newCounting(t, nil)
	r := newRig(t)
	st := r.cachedStage(u.s.URL, model.CacheSetting{Enabled: true, TTLSeconds: 300}, "GET /a")
	r.serve(st)
	if _, got := r.ask("GET", "/a"); got != "/a 1" {
		t.Fatal(got)
	}
	st.Canary = &model.CanaryConfig{DeploymentID: "d1", Percent: 100}
	r.serve(st)
	for range 2 {
		if _, got := r.ask("GET", "/a"); got != "/a 2" {
			t.Errorf("the canary: %q", got)
		}
	}
	shared := *st.Cache
	shared.Shared = true
	st.Cache = &shared
	r.serve(st)
	if _, got := r.ask("GET", "/a"); got != "/a 1" {
		t.Errorf("the canary with the stage's cache: %q", got)
	}
}

// A kept answer of a function, a service or an endpoint names the trace of the call that
// got it, unless its author has mapped the header.
func TestCacheNamesTrace(t *testing.T) {
	f := newFunctions(t)
	u := newCounting(t, nil)
	r := lambdaRig(t, f)
	answer := `"integrationResponses": {"200": {"statusCode": "200"`
	function := strings.Replace(lambdaProxy("echo", `, `, answer, `}}`), "AWS_PROXY", "AWS", 1)
	endpoint := `{"type": "HTTP", "httpMethod": "GET", "uri": "` + u.s.URL + `", ` + answer
	st := r.defined(nil, nil, map[string]string{
		"GET /proxy": lambdaProxy("raw"), "GET /function": function, "GET /http": endpoint + `}}}`,
		"GET /mapped": endpoint + `, "responseParameters": {"method.response.header.X-Amzn-Trace-Id": "'mine'"}}}}`,
		"GET /plain":  `{"type": "HTTP_PROXY", "httpMethod": "GET", "uri": "` + u.s.URL + `"}`,
	})
	st.Cache = &model.CacheConfig{Bytes: 1 << 30, Methods: map[string]model.CacheSetting{model.EveryMethod: {Enabled: true, TTLSeconds: 300}}}
	r.serve(st)
	const first, second = "Root=1-5759e988-000000000000000000000001", "Root=1-5759e988-000000000000000000000002"
	for path, want := range map[string][2]string{"/proxy": {first, second}, "/function": {first, second}, "/http": {first, second}, "/mapped": {"mine", "mine"}, "/plain": {"", ""}} {
		hits := r.g.metrics.cacheHits.Load()
		for i, sent := range []string{first, second} {
			status, h, body := r.send("GET", path, "{}", "X-Amzn-Trace-Id", sent)
			if got := strings.Join(h["X-Amzn-Trace-Id"], "|"); status != 200 || got != want[i] {
				t.Errorf("%s: %d, trace %q, not %q: %s", path, status, got, want[i], body)
			}
		}
		if n := r.g.metrics.cacheHits.Load() - hits; n != 1 {
			t.Errorf("%s: %d hits", path, n)
		}
	}
}

// A function's answers are told apart by the key parameters, whatever they are parts of.
func TestCacheKeyOfFunction(t *testing.T) {
	f := newFunctions(t)
	r := lambdaRig(t, f)
	st := r.defined(nil, nil, map[string]string{"GET /{id}/x": lambdaProxy("raw",
		`, "requestParameters": {"integration.request.header.X-Sent": "method.request.header.X-Mapped"}, "cacheKeyParameters": ["method.request.querystring.q", "method.request.header.X-Who", "method.request.path.id", "integration.request.header.X-Sent"]`)})
	st.Cache = &model.CacheConfig{Bytes: 1 << 30, Methods: map[string]model.CacheSetting{model.EveryMethod: {Enabled: true, TTLSeconds: 300}}}
	r.serve(st)
	n := 0
	for _, c := range []struct {
		path   string
		header []string
		asks   bool
	}{
		{"/1/x", nil, true}, {"/1/x", nil, false}, {"/1/x?other=1", []string{"X-Other", "1"}, false},
		{"/2/x", nil, true}, {"/1/x?q=1", nil, true}, {"/1/x?q=2", nil, true}, {"/1/x?q=1", nil, false},
		{"/1/x", []string{"X-Who", "me"}, true}, {"/1/x", []string{"X-Who", "you"}, true}, {"/1/x", []string{"X-Who", "me"}, false},
		{"/1/x", []string{"X-Mapped", "a"}, true}, {"/1/x", []string{"X-Mapped", "b"}, true}, {"/1/x", []string{"X-Mapped", "a"}, false}, {"/1/x", nil, false},
	} {
		body := fmt.Sprintf(`{"body": "%s %v"}`, c.path, c.header)
		if status, _, got := r.send("GET", c.path, body, c.header...); status != 200 {
			t.Errorf("%s %v: %d %s", c.path, c.header, status, got)
		}
		if c.asks {
			n++
		}
		if asked := f.asked("raw"); asked != int64(n) {
			t.Fatalf("%s %v: the function was asked %d times, not %d", c.path, c.header, asked, n)
		}
	}
}

// What streams is as it is without a cache: each call is the integration's to answer, and
// a piece is there before the next is made.
func TestCacheLeavesStreams(t *testing.T) {
	f := newFunctions(t)
	next := make(chan struct{}, 1)
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "one,")
		_ = http.NewResponseController(w).Flush()
		<-next
		_, _ = io.WriteString(w, "two")
	}))
	t.Cleanup(up.Close)
	t.Cleanup(func() { close(next) })
	r := lambdaRig(t, f)
	st := r.defined(nil, nil, map[string]string{"GET /function": streamProxy("stream"), "GET /http": `{"type": "HTTP_PROXY", "httpMethod": "GET", "responseTransferMode": "STREAM", "uri": "` + up.URL + `"}`})
	st.Cache = &model.CacheConfig{Bytes: 1 << 30, Methods: map[string]model.CacheSetting{model.EveryMethod: {Enabled: true, TTLSeconds: 300}}}
	r.serve(st)
	for range 2 {
		if resp, body := r.ask("GET", "/function"); resp.StatusCode != 207 || body != "one,two" {
			t.Errorf("%d %q", resp.StatusCode, body)
		}
		res, err := r.httpc.Get(r.base + "/_aws/execute-api/abc/prod/http")
		if err != nil {
			t.Fatal(err)
		}
		one := make([]byte, 4)
		if _, err := io.ReadFull(res.Body, one); err != nil || string(one) != "one," {
			t.Fatalf("%q, %v", one, err)
		}
		next <- struct{}{}
		if rest, err := io.ReadAll(res.Body); err != nil || string(rest) != "two" {
			t.Errorf("%q, %v", rest, err)
		}
		_ = res.Body.Close()
	}
	if n, hits, misses := f.asked("stream"), r.g.metrics.cacheHits.Load(), r.g.metrics.cacheMisses.Load(); n != 2 || hits != 0 || misses != 0 {
		t.Errorf("the function was asked %d times; %d hits, %d misses", n, hits, misses)
	}
}

func BenchmarkCached(b *testing.B) {
	u := newCounting(b, nil)
	r := newRig(b)
	r.serve(r.cachedStage(u.s.URL, model.CacheSetting{Enabled: true, TTLSeconds: 3600}, "GET /a"))
	r.ask("GET", "/a?kind=dog")
	b.ResetTimer()
	for b.Loop() {
		r.ask("GET", "/a?kind=dog")
	}
}

func TestAsksFresh(t *testing.T) {
	for v, want := range map[string]bool{"max-age=0": true, "Max-Age=0": true, "no-cache, max-age = 0": true, `max-age="0"`: true, "max-age=05": false, "max-age=60": false,
		"s-max-age=0": false, "": false, ",": false, "max-age": false, "no-store,max-age=0,x": true} {
		if got := asksFresh([]byte(v)); got != want {
			t.Errorf("%q: %v", v, got)
		}
	}
}
