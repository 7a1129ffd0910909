package spans

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"tollgate/model"
)

// collector takes spans as one does, by the official definitions.
type collector struct {
	mu      sync.Mutex
	spans   []*tracepb.Span
	data    []*tracepb.TracesData
	answers []func(w http.ResponseWriter) // of its first requests
	header  http.Header
	asked   int
	s       *httptest.Server
}

func newCollector(t testing.TB) *collector {
	c := &collector{}
	c.s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			body, _ = gzip.NewReader(body)
		}
		b, err := io.ReadAll(body)
		var d tracepb.TracesData
		if err == nil {
			err = proto.UnmarshalOptions{}.Unmarshal(b, &d)
		}
		if err != nil || r.Method != "POST" || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("%s %s: %v", r.Method, r.Header, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.asked++
		c.header = r.Header
		w.Header().Set("Content-Type", "application/x-protobuf")
		if len(c.answers) > 0 {
			answer := c.answers[0]
			c.answers = c.answers[1:]
			answer(w)
			return
		}
		c.data = append(c.data, &d)
		for _, rs := range d.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				c.spans = append(c.spans, ss.Spans...)
			}
		}
	}))
	t.Cleanup(c.s.Close)
	return c
}

func exporter(t testing.TB, c *collector, change func(*Settings)) *Exporter {
	t.Helper()
	s := defaults()
	s.Endpoint = c.s.URL + "/"
	if change != nil {
		change(&s)
	}
	o, err := s.Options()
	if err != nil {
		t.Fatal(err)
	}
	o.Log, o.Version = slog.New(slog.DiscardHandler), "1.2.3"
	return New(*o)
}

func defaults() Settings {
	return Settings{Protocol: "http/protobuf", Timeout: 10_000, ServiceName: "gate", Every: 60_000, Queue: 100, PerAccount: 100}
}

func aCall(n byte) []Span {
	id := SpanID{n, 0, 0, 0, 0, 0, 0, 1}
	return []Span{
		{Trace: TraceID{9, n}, ID: id, Parent: SpanID{7}, Remote: true, Name: "GET", Kind: Server, Start: 1e18, End: 1e18 + 5, Failed: true,
			Attributes: []Attribute{{Key: "text", Text: "a\xff" + strings.Repeat("b", 2000)}, {Key: "number", Number: -3}}},
		{Trace: TraceID{9, n}, ID: id.Next(1), Parent: id, Name: "integration", Kind: Client, Start: 1e18 + 1, End: 1e18},
	}
}

func TestExport(t *testing.T) {
	c := newCollector(t)
	e := exporter(t, c, func(s *Settings) {
		s.Compression, s.Headers, s.Attributes = "gzip", "Authorization=Basic%20eA%3D%3D, x-one=1", "deployment.environment.name=test,service.name=other"
	})
	e.Put(aCall(1))
	e.Put(aCall(2))
	e.Stop(t.Context()) // sends what is there
	if s := e.Stats(); s != (Stats{Exported: 4}) || len(c.spans) != 4 || c.asked != 1 {
		t.Fatalf("%+v, %d spans in %d requests", s, len(c.spans), c.asked)
	}
	if c.header.Get("Authorization") != "Basic eA==" || c.header.Get("X-One") != "1" {
		t.Error(c.header)
	}
	var attributes []string
	for _, a := range c.data[0].ResourceSpans[0].Resource.Attributes {
		attributes = append(attributes, a.Key+"="+a.Value.GetStringValue())
	}
	scope := c.data[0].ResourceSpans[0].ScopeSpans[0].Scope
	if !slices.Equal(attributes, []string{"service.name=gate", "deployment.environment.name=test"}) || scope.Name != "tollgate/gateway" || scope.Version != "1.2.3" {
		t.Error(attributes, scope)
	}
	s, child := c.spans[0], c.spans[1]
	if fmt.Sprintf("%x %x %x", s.TraceId, s.SpanId, s.ParentSpanId) != "09010000000000000000000000000000 0100000000000001 0700000000000000" || s.Kind != tracepb.Span_SPAN_KIND_SERVER ||
		s.Name != "GET" || s.StartTimeUnixNano != 1e18 || s.EndTimeUnixNano != 1e18+5 || s.Status.GetCode() != tracepb.Status_STATUS_CODE_ERROR || s.Flags != 0x301 ||
		len(s.Attributes) != 2 || len(s.Attributes[0].Value.GetStringValue()) > maxText+2 || !strings.HasPrefix(s.Attributes[0].Value.GetStringValue(), "a\uFFFDb") || s.Attributes[1].Value.GetIntValue() != -3 {
		t.Error(s)
	}
	if string(child.ParentSpanId) != string(s.SpanId) || child.Kind != tracepb.Span_SPAN_KIND_CLIENT || child.Flags != 0x101 || child.Status != nil || child.EndTimeUnixNano != child.StartTimeUnixNano {
		t.Error(child)
	}
	if n := len(s.ProtoReflect().GetUnknown()) + len(c.data[0].ProtoReflect().GetUnknown()); n != 0 {
		t.Error("fields that the definition does not know")
	}
}

// until waits for what another goroutine brings about.
func until(ok func() bool) {
	for tick := time.NewTicker(time.Millisecond); !ok(); <-tick.C {
		continue
	}
}

// What the collector does not take is counted, and offered again where that helps.
func TestExportRefused(t *testing.T) {
	c := newCollector(t)
	c.answers = []func(http.ResponseWriter){
		func(w http.ResponseWriter) { w.WriteHeader(400) },
		func(w http.ResponseWriter) { // 3 spans rejected, in a partial success
			partial := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 3)
			_, _ = w.Write(protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), partial))
		},
		func(w http.ResponseWriter) { w.Header().Set("Retry-After", "0"); w.WriteHeader(503) },
	}
	e := exporter(t, c, nil)
	for range 3 { // a batch each
		for i := range batchSpans / 2 {
			until(func() bool { return len(e.queue) < cap(e.queue) }) // the exporter may be behind
			e.Put(aCall(byte(i)))
		}
	}
	until(func() bool { return e.Stats().Exported == 2*batchSpans-3 })
	e.Stop(t.Context())
	if s := e.Stats(); s != (Stats{Exported: 2*batchSpans - 3, Refused: batchSpans + 3}) || c.asked != 4 {
		t.Errorf("%+v in %d requests", s, c.asked)
	}
}

// Who has spans never waits, and a collector that does not answer ends nothing but its
// spans.
func TestExportDead(t *testing.T) {
	hang, began := make(chan struct{}), make(chan struct{}, 10)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		began <- struct{}{}
		<-hang
	}))
	defer s.Close()
	defer close(hang)
	c := &collector{s: s}
	e := exporter(t, c, func(s *Settings) { s.Queue, s.Every = 10, 1 })
	e.Put(aCall(1))
	<-began
	for range 50 {
		e.Put(aCall(2))
	}
	if got := e.Stats(); got.QueueFull != 80 {
		t.Errorf("%+v", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	e.Stop(ctx)
	if got := e.Stats(); got != (Stats{QueueFull: 80, Refused: 22}) {
		t.Errorf("%+v", got)
	}
	e.Stop(ctx) // again
}

func TestSettings(t *testing.T) {
	for _, c := range []struct {
		change func(*Settings)
		err    string // "": nothing is sent
	}{
		{func(*Settings) {}, ""},
		{func(s *Settings) { s.Endpoint, s.Disabled = "http://a", true }, ""},
		{func(s *Settings) { s.Endpoint, s.Exporter = "http://a", "none" }, ""},
		{func(s *Settings) { s.Endpoint, s.Exporter = "http://a", "jaeger" }, "OTEL_TRACES_EXPORTER"},
		{func(s *Settings) { s.Endpoint, s.Protocol = "http://a", "grpc" }, "OTEL_EXPORTER_OTLP_PROTOCOL"},
		{func(s *Settings) { s.Endpoint, s.Compression = "http://a", "zstd" }, "OTEL_EXPORTER_OTLP_COMPRESSION"},
		{func(s *Settings) { s.Endpoint = "collector:4317" }, "OTEL_EXPORTER_OTLP_ENDPOINT"},
		{func(s *Settings) { s.TracesEndpoint = "http://u:secret@a/" }, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"},
		{func(s *Settings) { s.Endpoint, s.Headers = "http://a", "secret" }, "OTEL_EXPORTER_OTLP_HEADERS"},
		{func(s *Settings) { s.Endpoint, s.Headers = "http://a", "a=secret%0D%0Ab" }, "OTEL_EXPORTER_OTLP_HEADERS"},
		{func(s *Settings) { s.Endpoint, s.Attributes = "http://a", "=x" }, "OTEL_RESOURCE_ATTRIBUTES"},
		{func(s *Settings) { s.Endpoint, s.Certificate = "https://a", "/nowhere" }, "OTEL_EXPORTER_OTLP_CERTIFICATE"},
		{func(s *Settings) { s.Endpoint, s.Timeout = "http://a", 0 }, "OTEL_EXPORTER_OTLP_TIMEOUT"},
		{func(s *Settings) { s.Endpoint, s.Queue = "http://a", 1e6 }, "OTEL_BSP_MAX_QUEUE_SIZE"},
		{func(s *Settings) { s.Sampler = "xray" }, "OTEL_TRACES_SAMPLER"},
	} {
		s := defaults()
		c.change(&s)
		o, err := s.Options()
		if o != nil || c.err == "" && err != nil || c.err != "" && (err == nil || !strings.HasPrefix(model.MessageOf(err), c.err) || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%s: %+v %v", c.err, o, err)
		}
	}
	s := defaults()
	s.Endpoint, s.TracesEndpoint = "http://a:4318/x/", ""
	if o, err := s.Options(); err != nil || o.URL != "http://a:4318/x/v1/traces" {
		t.Error(o, err)
	}
	s.TracesEndpoint = "https://b/own?x=1"
	if o, err := s.Options(); err != nil || o.URL != "https://b/own?x=1" {
		t.Error(o, err)
	}
}
