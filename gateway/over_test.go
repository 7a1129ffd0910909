package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// told is what mirror was asked.
type told struct {
	Verb, Target, Host, Body string
	Header                   http.Header
}

// mirror is an upstream that answers with what it was asked, as JSON.
func mirror(t testing.TB) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		b, _ := io.ReadAll(q.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Server", "mirror/1")
		_ = json.NewEncoder(w).Encode(told{q.Method, q.RequestURI, q.Host, string(b), q.Header})
	}))
	t.Cleanup(s.Close)
	return s
}

func toldBy(t testing.TB, status int, body string) (out told) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &out); err != nil || status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	return out
}

// told makes a call of an API whose upstream is a mirror.
func (r *rig) told(verb, path, body string, header ...string) told {
	r.t.Helper()
	status, _, got := r.send(verb, path, body, header...)
	return toldBy(r.t, status, got)
}

// A proxy's parameters go over what the client sent, and the rest goes on as it is.
func TestProxyParameters(t *testing.T) {
	up := mirror(t)
	host := strings.TrimPrefix(up.URL, "http://")
	r := newRig(t)
	r.integrate(map[string]string{"color": "blue"}, map[string]string{
		"ANY /a/{id}/{rest+}": `{"type": "HTTP_PROXY", "httpMethod": "ANY", "uri": "` + up.URL + `/v1/{id}/{color}/{rest}?fixed=1", "requestParameters": {
			"integration.request.path.id": "method.request.path.id", "integration.request.path.rest": "method.request.path.rest", "integration.request.path.color": "method.request.querystring.color",
			"integration.request.querystring.q": "method.request.header.x-q", "integration.request.querystring.stage": "context.stage", "integration.request.querystring.all": "method.request.multivaluequerystring.m",
			"integration.request.header.X-Static": "'a b'", "integration.request.header.X-Color": "stageVariables.color", "integration.request.header.X-Id": "context.requestId", "integration.request.header.x-kept": "'replaced'",
			"integration.request.header.X-Ids": "method.request.path.id", "integration.request.header.X-Missing": "method.request.header.nothing", "integration.request.header.Expect": "'x'", "integration.request.header.X-Forwarded-For": "'1.2.3.4'"}}`,
		"GET /query/{id}": `{"type": "HTTP_PROXY", "httpMethod": "GET", "uri": "` + up.URL + `/v1?id={id}&from=a{q}b", "requestParameters": {"integration.request.path.id": "method.request.path.id", "integration.request.path.q": "method.request.querystring.q"}}`,
		"GET /http/{id}":  `{"type": "HTTP", "httpMethod": "GET", "uri": "` + up.URL + `/v1?id={id}", "requestParameters": {"integration.request.path.id": "method.request.path.id"}, "integrationResponses": {"default": {"statusCode": "200"}}}`,
		"POST /body":      `{"type": "HTTP_PROXY", "httpMethod": "POST", "uri": "` + up.URL + `/", "requestParameters": {"integration.request.header.X-Name": "method.request.body.name", "integration.request.header.Host": "'other.example'"}}`,
		"GET /host":       `{"type": "HTTP_PROXY", "httpMethod": "GET", "uri": "` + up.URL + `/", "requestParameters": {"integration.request.header.Host": "method.request.querystring.h"}}`,
		"GET /framed":     `{"type": "HTTP_PROXY", "httpMethod": "GET", "uri": "` + up.URL + `/", "requestParameters": {"integration.request.header.Transfer-Encoding": "'chunked'"}}`,
	})
	status, h, body := r.send("POST", "/a/x%2Fy/b%20c/d/?color=dark+green&q=client&keep=%7C&m=1&m=2;q=again", "hello", "X-Q", "5&6", "X-Kept", "sent", "X-Plain", "stays")
	got := toldBy(t, status, body)
	if want := "/v1/x%2Fy/dark%20green/b%20c/d/?fixed=1&color=dark+green&keep=%7C&m=1&m=2&all=1%2C2&q=5%266&stage=prod"; got.Target != want || got.Verb != "POST" || got.Body != "hello" || got.Host != host {
		t.Errorf("%+v\nnot %s", got, want)
	}
	for name, want := range map[string]string{"X-Static": "a b", "X-Color": "blue", "X-Id": h.Get("x-amzn-RequestId"), "X-Kept": "replaced", "X-Plain": "stays", "X-Ids": "x/y", "X-Missing": "", "Expect": "", "X-Forwarded-For": "127.0.0.1"} {
		if v := strings.Join(got.Header[http.CanonicalHeaderKey(name)], "|"); v != want {
			t.Errorf("%s is %q, not %q", name, v, want)
		}
	}
	if h.Get("x-amzn-Remapped-Server") != "mirror/1" || h.Get("Server") != "" || h.Get("x-amzn-Remapped-Date") == "" || len(h.Values("Date")) != 1 || len(h.Get("x-amz-apigw-id")) != 16 {
		t.Errorf("%v", h)
	}
	for _, climb := range []string{"..", "a/../b", "%2e%2e", "%5c..%5cx"} {
		if status, _, body := r.send("GET", "/a/1/2?color="+climb, ""); status != 400 {
			t.Errorf("%s: %d %s", climb, status, body)
		}
	}
	// Variables of the address's query are values, never parameters of their own.
	for path, want := range map[string]string{"/query/1%262?q=%26x%3D1": "/v1?id=1%262&from=a%26x%3D1b&q=%26x%3D1", "/query/1": "/v1?id=1&from=ab", "/http/1%262?more=1": "/v1?id=1%262"} {
		if got := r.told("GET", path, ""); got.Target != want {
			t.Errorf("%s: %s, not %s", path, got.Target, want)
		}
	}
	// A body that a parameter reads goes on with its length, and so does one that streams.
	got = r.told("POST", "/body", `{"name": "ann"}`)
	if got.Header.Get("X-Name") != "ann" || got.Body != `{"name": "ann"}` || got.Host != "other.example" || got.Header.Get("Content-Length") != "15" {
		t.Errorf("%+v", got)
	}
	for sent, want := range map[string]string{"a.example": "a.example", "a%20b": host, "a@b": host, "": host} {
		if got := r.told("GET", "/host?h="+sent, ""); got.Host != want {
			t.Errorf("Host %q became %q, want %q", sent, got.Host, want)
		}
	}
	big := strings.Repeat("x", 1<<20)
	if got := r.told("PUT", "/a/1/2", big); got.Body != big {
		t.Errorf("%d bytes of a large body", len(got.Body))
	}
	if status, _, _ := r.send("GET", "/framed", ""); status != 500 {
		t.Errorf("a mapping of the framing: %d", status)
	}
	// The verb that a caller cannot send can be named.
	if got := r.told("POST", "/a/1/2", "", "X-HTTP-Method-Override", "PATCH"); got.Verb != "PATCH" {
		t.Errorf("%+v", got)
	}
	until(t, "the calls to be metered", func() bool { return r.p.metered(400) == 4 && r.p.metered(200) == 11 })
}

// An answer that streams may pause for longer than its first byte is waited for.
func TestStreamPauses(t *testing.T) {
	const timeout = 2 * time.Second // the first byte has as long, too
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "one,")
		_ = http.NewResponseController(w).Flush()
		pause := time.After(timeout + 500*time.Millisecond)
		if r.URL.Path == "/never" {
			pause = nil
		}
		select {
		case <-pause:
			_, _ = io.WriteString(w, "two")
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(up.Close)
	r := newRig(t)
	to := func(path, more string) string {
		return fmt.Sprintf(`{"type": "HTTP_PROXY", "httpMethod": "GET", "timeoutInMillis": %d, "uri": "%s%s"%s}`, timeout.Milliseconds(), up.URL, path, more)
	}
	r.integrate(nil, map[string]string{"ANY /plain": to("/never", ""), "ANY /stream": to("/pauses", `, "responseTransferMode": "STREAM"`),
		"ANY /special": to("/pauses", `, "responseTransferMode": "STREAM", "x-tollgate-upstream": {"retries": {"attempts": 2}}`)})
	var wg sync.WaitGroup
	for path, want := range map[string]string{"/plain": "one,", "/stream": "one,two", "/special": "one,two"} {
		for _, sent := range []io.Reader{nil, io.MultiReader(strings.NewReader("without a length"))} {
			wg.Go(func() {
				res, err := r.httpc.Post(r.base+"/_aws/execute-api/abc/prod"+path, "text/plain", sent)
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if string(body) != want || (err == nil) != (want == "one,two") {
					t.Errorf("%s: %q, %v", path, body, err)
				}
			})
		}
	}
	wg.Wait()
}

// Headers that are the gateway's, or the connection's, do not go on.
func TestHeadersOfProxies(t *testing.T) {
	up := mirror(t)
	r := newRig(t)
	r.deploy("d1", strings.TrimPrefix(up.URL, "http://"), "GET /")
	status, h, body := r.send("GET", "/", "", "Server", "x", "Via", "x", "Content-MD5", "x", "WWW-Authenticate", "x", "Max-Forwards", "2", "Authorization", "AWS4-HMAC-SHA256 Credential=x", "X-Other", "y")
	got := toldBy(t, status, body)
	for _, name := range []string{"Server", "Via", "Content-Md5", "Www-Authenticate", "Max-Forwards", "Authorization"} {
		if got.Header.Get(name) != "" {
			t.Errorf("%s went on", name)
		}
	}
	if got.Header.Get("X-Other") != "y" || h.Get("X-Amzn-Trace-Id") != "" || h.Get("x-amzn-Remapped-Content-Length") == "" {
		t.Errorf("%v\n%v", got.Header, h)
	}
	got = r.told("GET", "/", "", "Authorization", "Bearer AWS4-")
	if got.Header.Get("Authorization") != "Bearer AWS4-" {
		t.Errorf("%v", got.Header)
	}
}
