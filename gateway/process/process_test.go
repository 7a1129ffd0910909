package process

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tollgate/model"
)

func TestTelemetry(t *testing.T) {
	file := filepath.Join(t.TempDir(), "headers")
	if err := os.WriteFile(file, []byte("Authorization=Bearer%20x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	base := []string{"TOLLGATE_FEED_URL=http://a", "TOLLGATE_NODE_TOKEN=t"}
	s, err := Load(append(base, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318", "OTEL_EXPORTER_OTLP_HEADERS_FILE="+file, "TOLLGATE_METHOD_METRICS=0"))
	if err != nil {
		t.Fatal(err)
	}
	if o := Spans(s.spans, "1.0"); o.URL != "http://127.0.0.1:4318/v1/traces" || o.Header.Get("Authorization") != "Bearer x" || o.Version != "1.0" || o.Queue != 2048 || MethodMetrics(s.MethodMetrics) >= 0 {
		t.Errorf("%+v", o)
	}
	if s, err := Load(base); err != nil || Spans(s.spans, "1.0") != nil {
		t.Error(s, err)
	}
	for _, bad := range []string{"TOLLGATE_METHOD_METRICS=-1", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_TRACES_SAMPLER=xray"} {
		name, _, _ := strings.Cut(bad, "=")
		if _, err := Load(append(base, "OTEL_EXPORTER_OTLP_ENDPOINT=http://a", bad)); err == nil || !strings.HasPrefix(model.MessageOf(err), name) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	help := Help("x")
	for _, name := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_SAMPLER", "TOLLGATE_TRACE_RATE", "TOLLGATE_METHOD_METRICS"} {
		if !strings.Contains(help, name) {
			t.Errorf("the help does not explain %s", name)
		}
	}
}
