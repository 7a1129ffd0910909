package gateway

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"tollgate/gateway/http1"
	"tollgate/gateway/spans"
	"tollgate/model"
)

// collected is a collector of spans.
type collected struct {
	mu    sync.Mutex
	spans []*tracepb.Span
	url   string
}

func newCollected(t testing.TB) *collected {
	c := &collected{}
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		var d tracepb.TracesData
		if err := proto.Unmarshal(b, &d); err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, rs := range d.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				c.spans = append(c.spans, ss.Spans...)
			}
		}
	}))
	t.Cleanup(s.Close)
	c.url = s.URL
	return c
}

// of waits for a call's span, and returns its others by name.
func (c *collected) of(t testing.TB, id string) (*tracepb.Span, map[string]*tracepb.Span) {
	var call *tracepb.Span
	others := map[string]*tracepb.Span{}
	until(t, "the spans of call "+id, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, s := range c.spans {
			if attributesOf(s)["tollgate.request_id"] == id {
				call = s
			}
		}
		if call == nil {
			return false
		}
		for _, s := range c.spans {
			if string(s.TraceId) == string(call.TraceId) && string(s.ParentSpanId) == string(call.SpanId) {
				others[s.Name] = s
			}
		}
		return true
	})
	return call, others
}

func attributesOf(s *tracepb.Span) map[string]string {
	out := map[string]string{}
	for _, a := range s.Attributes {
		if out[a.Key] = a.Value.GetStringValue(); out[a.Key] == "" {
			out[a.Key] = fmt.Sprint(a.Value.GetIntValue())
		}
	}
	return out
}

func sampling(t testing.TB, url string, change ...func(*spans.Settings)) func(*Options) {
	s := spans.Settings{Endpoint: url, Timeout: 10_000, ServiceName: "gate", Every: 5, Queue: 100, PerAccount: 1000}
	for _, f := range change {
		f(&s)
	}
	o, err := s.Options()
	if err != nil {
		t.Fatal(err)
	}
	return func(g *Options) { g.Spans = o }
}

const (
	came       = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	cameAmazon = "Root=1-0af76519-16cd43dd8448eb211c80319c"
)

// headersBack is an upstream that answers with the trace headers it got.
func headersBack(t testing.TB) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s|%s|%s", strings.Join(r.Header["Traceparent"], "&"), strings.Join(r.Header["Tracestate"], "&"), strings.Join(r.Header["X-Amzn-Trace-Id"], "&"))
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// Traces pass through a stage that takes no part in them; one that does continues them
// with its own place, the same in both headers.
func TestTraceHeaders(t *testing.T) {
	for _, mapped := range []bool{false, true} {
		r := newRig(t, sampling(t, newCollected(t).url, func(s *spans.Settings) { s.Sampler = "parentbased_always_off" }))
		st := r.content("d1", headersBack(t), "GET /a")
		if mapped {
			r.p.deployments["d1"].Definition.Resources[0].Methods["GET"].Integration.RequestParameters["integration.request.header.x-one"] = "'1'"
		}
		r.tellStage(st)
		ask := func(header ...string) []string {
			req, _ := http.NewRequest("GET", r.base+"/_aws/execute-api/abc/prod/a", nil)
			for i := 0; i < len(header); i += 2 {
				req.Header.Add(header[i], header[i+1])
			}
			res, err := r.httpc.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			body := string(b)
			parts := strings.Split(body, "|")
			if len(parts) != 3 {
				t.Fatal(body)
			}
			return parts
		}
		if got := ask("traceparent", "nonsense", "tracestate", "a=1"); got[0] != "nonsense" || got[1] != "a=1" || !strings.HasPrefix(got[2], "Root=1-") || len(got[2]) != len(cameAmazon) {
			t.Error("passing through:", got)
		}
		if got := ask("X-Amzn-Trace-Id", "anything"); got[0] != "" || got[2] != "anything" {
			t.Error("passing through:", got)
		}
		st.Tracing = true
		r.tellStage(st)
		for _, c := range []struct {
			header                []string
			trace, state, carried string
			sampled               bool
		}{
			{[]string{"traceparent", came, "tracestate", "a=1", "tracestate", "b=2"}, came[3:35], "a=1&b=2", "", true},
			{[]string{"Traceparent", came[:53] + "00"}, came[3:35], "", "", false},
			{[]string{"traceparent", came, "X-Amzn-Trace-Id", "Root=1-00000001-000000000000000000000002;Sampled=0;Lineage=x"}, came[3:35], "", ";Lineage=x", true},
			{[]string{"X-Amzn-Trace-Id", cameAmazon + ";Parent=b7ad6b7169203331;Sampled=1", "traceparent", "nonsense", "tracestate", "a=1"}, came[3:35], "", "", true},
			{[]string{"X-Amzn-Trace-Id", cameAmazon}, came[3:35], "", "", false},
			{[]string{"traceparent", came, "traceparent", came, "tracestate", "a=1"}, "", "", "", false},
			{nil, "", "", "", false},
		} {
			got := ask(c.header...)
			m := regexp.MustCompile(`^00-([0-9a-f]{32})-([0-9a-f]{16})-0([01])$`).FindStringSubmatch(got[0])
			if m == nil || c.trace != "" && m[1] != c.trace || m[2] == "b7ad6b7169203331" || (m[3] == "1") != c.sampled || got[1] != c.state ||
				got[2] != fmt.Sprintf("Root=1-%s-%s;Parent=%s;Sampled=%s%s", m[1][:8], m[1][8:], m[2], m[3], c.carried) {
				t.Errorf("%q: %q", c.header, got)
			}
		}
	}
}

// A sampled call's spans have the ids that went on, its parent, and when it was where.
func TestSpans(t *testing.T) {
	c := newCollected(t)
	f := newFunctions(t)
	r := lambdaRig(t, f, sampling(t, c.url))
	st := r.content("d1", headersBack(t), "GET /pets/{id}", "GET /guarded")
	r.p.deployments["d1"].Definition.Authorizers = []model.Authorizer{{ID: "auth1", Name: "guard", Type: model.AuthorizerToken, AuthorizerURI: functionURI("token"), IdentitySource: "method.request.header.Authorization"}}
	m := r.p.deployments["d1"].Definition.Resources[1].Methods["GET"]
	m.AuthorizationType, m.AuthorizerID = model.AuthCustom, "auth1"
	r.p.deployments["d1"].Definition.Resources[1].Methods["GET"] = m
	down := r.content("d2", deadPort(t), "GET /down").DeploymentID
	r.p.deployments["d1"].Definition.Resources = append(r.p.deployments["d1"].Definition.Resources, r.p.deployments[down].Definition.Resources[0])
	r.p.deployments["d1"].Methods = append(r.p.deployments["d1"].Methods, model.MethodNumber{Path: "/down", Verb: "GET", Num: 9})
	st.Tracing = true
	r.tellStage(st)

	before := time.Now()
	res, body := r.ask("GET", "/pets/in-the-header?token=in-the-query", "traceparent", came, "Authorization", "in-the-header")
	call, others := c.of(t, res.Header.Get("X-Amzn-Requestid"))
	integration := others["integration"]
	if hexOf(call.TraceId) != came[3:35] || hexOf(call.ParentSpanId) != "b7ad6b7169203331" || call.Flags != 0x301 || call.Kind != tracepb.Span_SPAN_KIND_SERVER || call.Name != "GET /pets/{id}" || call.Status != nil ||
		integration == nil || len(others) != 1 || !strings.HasPrefix(body, "00-"+came[3:35]+"-"+hexOf(integration.SpanId)+"-01|") {
		t.Fatalf("%s: %v %v", body, call, others)
	}
	if s, e := int64(call.StartTimeUnixNano), int64(call.EndTimeUnixNano); s < before.UnixNano() || e > time.Now().UnixNano() || e < s ||
		integration.StartTimeUnixNano < call.StartTimeUnixNano || integration.EndTimeUnixNano > call.EndTimeUnixNano || integration.EndTimeUnixNano <= integration.StartTimeUnixNano {
		t.Errorf("from %d to %d, %v %v", before.UnixNano(), time.Now().UnixNano(), call, integration)
	}
	for name, want := range map[string]string{"http.request.method": "GET", "http.route": "/pets/{id}", "http.response.status_code": "200", "url.path": "/_aws/execute-api/abc/prod/pets/******",
		"url.scheme": "http", "tollgate.account": "123456789012", "tollgate.api": "abc", "tollgate.stage": "prod", "error.type": ""} {
		if got := attributesOf(call)[name]; got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if a := attributesOf(integration); a["server.address"] != "127.0.0.1" || a["http.response.status_code"] != "200" || len(a) != 2 {
		t.Error(a)
	}
	for _, s := range []*tracepb.Span{call, integration} {
		if text := s.String(); strings.Contains(text, "in-the-header") || strings.Contains(text, "in-the-query") {
			t.Error(text)
		}
	}

	res, _ = r.ask("GET", "/guarded", "Authorization", "Allow *", "traceparent", came)
	call, others = c.of(t, res.Header.Get("X-Amzn-Requestid"))
	guard, integration := others["authorizer"], others["integration"]
	if res.StatusCode != 200 || len(others) != 2 || guard.Kind != tracepb.Span_SPAN_KIND_CLIENT || guard.StartTimeUnixNano < call.StartTimeUnixNano ||
		guard.EndTimeUnixNano <= guard.StartTimeUnixNano || guard.EndTimeUnixNano > integration.StartTimeUnixNano {
		t.Errorf("%d %v %v", res.StatusCode, call, others)
	}
	res, _ = r.ask("GET", "/guarded", "Authorization", "Deny *", "traceparent", came)
	call, others = c.of(t, res.Header.Get("X-Amzn-Requestid"))
	if a := others["authorizer"]; attributesOf(call)["error.type"] != "ACCESS_DENIED" || call.Status != nil || len(others) != 1 || attributesOf(a)["error.type"] != "ACCESS_DENIED" || a.Status.GetCode() != tracepb.Status_STATUS_CODE_ERROR {
		t.Errorf("%v %v", call, others)
	}
	res, _ = r.ask("GET", "/down", "traceparent", came)
	call, others = c.of(t, res.Header.Get("X-Amzn-Requestid"))
	if a := attributesOf(call); a["error.type"] != "INTEGRATION_FAILURE" || a["http.response.status_code"] != "504" && a["http.response.status_code"] != "502" && a["http.response.status_code"] != "500" ||
		call.Status.GetCode() != tracepb.Status_STATUS_CODE_ERROR || attributesOf(others["integration"])["error.type"] != "INTEGRATION_FAILURE" {
		t.Errorf("%v %v", call, others)
	}
	res, _ = r.ask("GET", "/nothing", "traceparent", came)
	call, others = c.of(t, res.Header.Get("X-Amzn-Requestid"))
	if a := attributesOf(call); a["error.type"] != "MISSING_AUTHENTICATION_TOKEN" || a["http.route"] != "" || len(others) != 0 {
		t.Errorf("%v %v", call, others)
	}
}

// A stage's first call of a second is sampled where nobody has decided, and what waits to
// be sent is sent at a drain.
func TestSpansAtDrain(t *testing.T) {
	c := newCollected(t)
	r := newRig(t, sampling(t, c.url, func(s *spans.Settings) { s.Every, s.SamplerArg = 60_000, "0" }))
	st := r.content("d1", headersBack(t), "GET /a")
	st.Tracing = true
	r.tellStage(st)
	_, body := r.ask("GET", "/a")
	if err := r.g.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.spans) != 2 || len(c.spans[0].ParentSpanId) != 0 || c.spans[0].Flags != 0x101 || !strings.HasPrefix(body, "00-"+hexOf(c.spans[0].TraceId)+"-"+hexOf(c.spans[1].SpanId)+"-01|") {
		t.Errorf("%s: %v", body, c.spans)
	}
}

func hexOf(b []byte) string { return fmt.Sprintf("%x", b) }

// A collector that is not there, or takes nothing, changes nothing for callers, and what
// was not sent is counted. One account's calls are sent up to its share.
func TestDeadCollector(t *testing.T) {
	r := newRig(t, sampling(t, "http://"+deadPort(t), func(s *spans.Settings) { s.Sampler, s.Queue, s.PerAccount = "always_on", 5, 1 }))
	st := r.content("d1", echo(t), "GET /a")
	st.Tracing = true
	r.tellStage(st)
	for range 100 {
		if status, _, body := r.call("GET", "/a", ""); status != 200 || body != "GET /a" {
			t.Fatalf("%d %s", status, body)
		}
	}
	if s := r.g.spans.Stats(); s.OverShare < 100 || s.QueueFull+s.Refused+s.OverShare > 200 || s.Exported != 0 {
		t.Errorf("%+v", s)
	}
}

// What a call costs where its stage takes part in traces and it is not sampled, metrics
// included: nothing is allocated.
func TestUnsampledAllocatesNothing(t *testing.T) {
	r := newRig(t, sampling(t, newCollected(t).url, func(s *spans.Settings) { s.Sampler = "parentbased_always_off" }))
	once, _ := unsampled(t, r)
	if n := testing.AllocsPerRun(1000, once); n != 0 && !raceDetector {
		t.Errorf("%v allocations", n)
	}
}

// unsampled is the gateway's own work for a call of a stage with metrics and traces: find,
// the request for the upstream, and what is counted at the end.
func unsampled(t testing.TB, r *rig) (func(), model.StageConfig) {
	st := r.content("d1", "127.0.0.1:1", "GET /a/{id}")
	st.Tracing, st.TraceOneIn, st.Metrics = true, -1, map[string]bool{model.EveryMethod: true}
	r.tellStage(st)
	r.p.tell(t, model.Changes{Tenants: []model.TenantConfig{{Num: tenantNum, AccountID: "123456789012", Caps: model.Caps{Rate: 1e9, Burst: 1e9}}}})
	x := &http1.Exchange{In: []byte("GET /_aws/execute-api/abc/prod/a/42 HTTP/1.1\r\nHost: localhost\r\ntraceparent: " + came[:53] + "00\r\ntracestate: a=1\r\n\r\n"), Out: make([]byte, 0, 4096)}
	c := &call{g: r.g}
	return func() {
		if e := x.Request.Parse(x.In, http1.Limits{Target: maxTarget, Headers: maxHeaders}); e != nil {
			t.Fatal(e)
		}
		x.Wall, x.Begun = time.Now(), http1.Now()
		c.begin(x, c.id)
		if k := c.find(x); k != proceed {
			t.Fatal(answers[k].name)
		}
		if req, _ := c.forward(x); len(req) < 100 {
			t.Fatal(string(req))
		}
		c.measure(x, 200, x.Begun+1e6)
		c.tenant.inFlight.Release(c.counts[0])
		c.tenant.buffered.Release(c.counts[1])
	}, st
}

// BenchmarkTraced is that work with traces passing through the stage, and with its part
// in them.
func BenchmarkTraced(b *testing.B) {
	r := newRig(b, sampling(b, newCollected(b).url, func(s *spans.Settings) { s.Sampler = "parentbased_always_off" }))
	once, st := unsampled(b, r)
	for _, on := range []bool{false, true} {
		st.Tracing = on
		r.tellStage(st)
		r.p.tell(b, model.Changes{Tenants: []model.TenantConfig{{Num: tenantNum, AccountID: "123456789012", Caps: model.Caps{Rate: 1e9, Burst: 1e9}}}})
		b.Run(fmt.Sprintf("on=%v", on), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				once()
			}
		})
	}
}
