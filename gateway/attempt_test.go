package gateway

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// flaky fails as often as it is told to, by the call's query.
type flaky struct {
	*httptest.Server
	calls atomic.Int64
	fail  atomic.Int64
}

func newFlaky(t testing.TB) *flaky {
	f := &flaky{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		f.calls.Add(1)
		b, _ := io.ReadAll(q.Body)
		if f.fail.Add(-1) >= 0 {
			switch q.URL.Query().Get("how") {
			case "hang":
				<-q.Context().Done()
			case "cut":
				panic(http.ErrAbortHandler)
			default:
				w.WriteHeader(503)
				fmt.Fprint(w, "busy")
			}
			return
		}
		fmt.Fprintf(w, "%s %s", q.Method, b)
	}))
	t.Cleanup(f.Close)
	return f
}

// Calls that may be made twice are, within the budget, and others are not.
func TestRetries(t *testing.T) {
	f := newFlaky(t)
	r := newRig(t)
	with := func(policy string) string {
		return `{"type": "HTTP_PROXY", "httpMethod": "ANY", "uri": "` + f.URL + `/", "x-tollgate-upstream": ` + policy + `}`
	}
	r.integrate(nil, map[string]string{
		"ANY /a":    with(`{"retries": {"attempts": 3}}`),
		"ANY /slow": with(`{"retries": {"attempts": 3, "perTryTimeoutMillis": 2000}}`), // the try that is answered has as long
		"ANY /all":  with(`{"retries": {"attempts": 2, "nonIdempotent": true}}`),
		"ANY /some": with(`{"retries": {"attempts": 2, "onStatus": [500]}}`),
		"GET /http": `{"type": "HTTP", "httpMethod": "GET", "uri": "` + f.URL + `/", "x-tollgate-upstream": {"retries": {"attempts": 2}}, "integrationResponses": {"default": {"statusCode": "200"}}}`,
	})
	big := strings.Repeat("x", 300<<10)
	for _, c := range []struct {
		verb, path, body string
		fail             int64
		status           int
		calls            int64
	}{
		{"GET", "/a", "", 0, 200, 1}, {"GET", "/a", "", 2, 200, 3}, {"GET", "/a", "", 3, 503, 3}, {"PUT", "/a?how=cut", "small", 1, 200, 2}, {"GET", "/slow?how=hang", "", 2, 200, 3},
		{"POST", "/a", "b", 1, 503, 1}, {"POST", "/a?how=cut", "b", 1, 504, 1}, {"POST", "/all", "b", 1, 200, 2}, {"POST", "/all?how=cut", "b", 1, 200, 2},
		{"PUT", "/a", big, 1, 503, 1}, {"GET", "/some", "", 1, 503, 1}, {"GET", "/http", "", 1, 200, 2},
	} {
		f.calls.Store(0)
		f.fail.Store(c.fail)
		status, _, body := r.send(c.verb, c.path, c.body)
		if status != c.status || f.calls.Load() != c.calls || status == 200 && c.path != "/http" && body != c.verb+" "+c.body {
			t.Errorf("%s %s failing %d times: %d after %d calls, %.100s", c.verb, c.path, c.fail, status, f.calls.Load(), body)
		}
	}
	// The budget ends retries before they are another flood.
	f.fail.Store(1 << 40)
	f.calls.Store(0)
	for range 300 {
		if status, _, body := r.send("GET", "/some2", ""); status != 403 {
			t.Fatal(status, body)
		}
		r.send("GET", "/all", "")
	}
	if n := f.calls.Load(); n > 300+300/5+25 {
		t.Errorf("%d calls of the upstream for 300", n)
	}
	until(t, "no call under way", func() bool { return r.g.reg.tenants[tenantNum].inFlight.Held() == 0 })
}

// A circuit opens by failures, refuses what it would have counted, and closes by one call
// that succeeds.
func TestCircuitBreaker(t *testing.T) {
	f := newFlaky(t)
	r := newRig(t)
	r.integrate(nil, map[string]string{
		"GET /row":   `{"type": "HTTP_PROXY", "httpMethod": "GET", "uri": "` + f.URL + `/", "x-tollgate-upstream": {"circuitBreaker": {"consecutiveFailures": 3, "openMillis": 60000}}}`,
		"GET /short": `{"type": "HTTP_PROXY", "httpMethod": "GET", "uri": "` + f.URL + `/", "x-tollgate-upstream": {"circuitBreaker": {"consecutiveFailures": 3, "openMillis": 300}}}`,
		"GET /ratio": `{"type": "HTTP_PROXY", "httpMethod": "GET", "uri": "` + f.URL + `/", "x-tollgate-upstream": {"circuitBreaker": {"failureRatio": 0.5, "minimumCalls": 4, "openMillis": 60000}}}`,
	})
	f.fail.Store(3)
	for range 3 {
		if status, _, _ := r.send("GET", "/row", ""); status != 503 {
			t.Fatal(status)
		}
	}
	before := f.calls.Load()
	status, h, body := r.send("GET", "/row", "")
	if status != 503 || body != `{"message":"Service Unavailable"}` || h.Get("x-amzn-ErrorType") != "ServiceUnavailableException" || f.calls.Load() != before {
		t.Errorf("%d %v %s", status, h, body)
	}
	// One try fails, which opens it for another while; the next closes it. However long
	// a call takes, the upstream is asked no more often, and no sooner.
	f.fail.Store(4)
	before = f.calls.Load()
	began := time.Now()
	until(t, "the circuit to close", func() bool { status, _, _ := r.send("GET", "/short", ""); return status == 200 })
	if n, took := f.calls.Load()-before, time.Since(began); n != 5 || took < 600*time.Millisecond {
		t.Errorf("%d calls in %v to find out that the upstream is down, and back", n, took)
	}
	if status, _, _ := r.send("GET", "/short", ""); status != 200 {
		t.Error(status)
	}
	for _, fail := range []int64{0, 1, 0, 1} {
		f.fail.Store(fail)
		r.send("GET", "/ratio", "")
	}
	f.fail.Store(0)
	if status, _, body := r.send("GET", "/ratio", ""); status != 503 || body != `{"message":"Service Unavailable"}` {
		t.Errorf("%d %s", status, body)
	}
}

// An upstream can be spoken to by HTTP/2, with bodies streaming both ways.
func TestUpstreamHTTP2(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("X-Proto", q.Proto)
		w.Header().Set("X-Host", q.Host)
		w.Header().Set("X-For", q.Header.Get("X-Forwarded-For"))
		w.Header().Set("X-Target", q.RequestURI)
		b, _ := io.ReadAll(q.Body) // an answer that comes earlier ends the upload
		_, _ = w.Write(b)
	})
	secure := httptest.NewUnstartedServer(handler)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	defer secure.Close()
	plain := httptest.NewUnstartedServer(handler)
	plain.Config.Protocols = new(http.Protocols)
	plain.Config.Protocols.SetUnencryptedHTTP2(true)
	plain.Start()
	defer plain.Close()
	old := httptest.NewUnstartedServer(handler)
	old.TLS = &tls.Config{NextProtos: []string{"http/1.1"}}
	old.StartTLS()
	defer old.Close()
	r := newRig(t)
	of := func(url string) string {
		return `{"type": "HTTP_PROXY", "httpMethod": "POST", "uri": "` + url + `/x%2Fy", "insecureSkipVerification": true, "x-tollgate-upstream": {"http2": true}}`
	}
	r.integrate(nil, map[string]string{"POST /secure": of(secure.URL), "POST /plain": of(plain.URL), "POST /old": of(old.URL), "POST /gone": of("http://" + deadPort(t))})
	big := strings.Repeat("0123456789", 100<<10)
	for path, proto := range map[string]string{"/secure": "HTTP/2.0", "/plain": "HTTP/2.0", "/old": "HTTP/1.1"} {
		for _, body := range []string{"small", big} {
			status, h, got := r.send("POST", path+"?a=1;b", body)
			if status != 200 || h.Get("X-Proto") != proto || got != body || h.Get("X-For") != "127.0.0.1" || h.Get("X-Target") != "/x%2Fy?a=1;b" {
				t.Errorf("%s: %d %v with %d bytes", path, status, h, len(got))
			}
		}
	}
	if status, _, _ := r.send("POST", "/gone", "x"); status != 504 {
		t.Errorf("%d", status)
	}
}
