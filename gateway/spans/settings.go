package spans

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"tollgate/model"
)

// Settings are those of the OpenTelemetry environment that a node acts on.
type Settings struct {
	Endpoint       string `env:"OTEL_EXPORTER_OTLP_ENDPOINT" help:"collector of spans, such as http://127.0.0.1:4318: stages with tracing enabled send theirs to /v1/traces there" shown:"none are sent"`
	TracesEndpoint string `env:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" help:"the whole URL instead, path included"`
	Headers        string `env:"OTEL_EXPORTER_OTLP_HEADERS" secret:"true" help:"headers for the collector, as name=value with commas, values percent-encoded"`
	TracesHeaders  string `env:"OTEL_EXPORTER_OTLP_TRACES_HEADERS" secret:"true" help:"headers instead of those"`
	Protocol       string `env:"OTEL_EXPORTER_OTLP_PROTOCOL" envDefault:"http/protobuf" help:"how the collector is spoken to; http/protobuf is the only one"`
	Compression    string `env:"OTEL_EXPORTER_OTLP_COMPRESSION" envDefault:"none" help:"gzip or none"`
	Timeout        int    `env:"OTEL_EXPORTER_OTLP_TIMEOUT" envDefault:"10000" help:"of a request to the collector, in milliseconds"`
	Certificate    string `env:"OTEL_EXPORTER_OTLP_CERTIFICATE" help:"file of certificates that the collector is verified by" shown:"the system's"`
	Exporter       string `env:"OTEL_TRACES_EXPORTER" envDefault:"otlp" help:"otlp, or none"`
	Sampler        string `env:"OTEL_TRACES_SAMPLER" help:"which calls of a traced stage have spans: always_on, always_off or traceidratio, with parentbased_ before it to keep to the caller's decision" shown:"the caller's decision, else the first call of each second and 5 % of the rest"`
	SamplerArg     string `env:"OTEL_TRACES_SAMPLER_ARG" help:"the share of traceidratio, or in place of the 5 %, between 0 and 1"`
	ServiceName    string `env:"OTEL_SERVICE_NAME" envDefault:"tollgate-gateway" help:"service.name of the spans"`
	Attributes     string `env:"OTEL_RESOURCE_ATTRIBUTES" help:"more about what the spans are of, as name=value with commas"`
	Every          int    `env:"OTEL_BSP_SCHEDULE_DELAY" envDefault:"5000" help:"how long spans may wait for others, in milliseconds"`
	Queue          int    `env:"OTEL_BSP_MAX_QUEUE_SIZE" envDefault:"2048" help:"calls whose spans may wait; more are dropped and counted"`
	Disabled       bool   `env:"OTEL_SDK_DISABLED" envDefault:"false" help:"true: no part is taken in traces"`
	PerAccount     int    `env:"TOLLGATE_TRACE_RATE" envDefault:"100" help:"calls a second of each account whose spans this node sends; more are dropped and counted"`
}

// Options checks the settings; nil: no spans are sent.
func (s *Settings) Options() (*Options, error) {
	sampler, err := ParseSampler(s.Sampler, s.SamplerArg)
	if err != nil {
		return nil, err
	}
	switch {
	case s.Exporter != "otlp" && s.Exporter != "none" && s.Exporter != "":
		return nil, model.Errorf(model.Invalid, "OTEL_TRACES_EXPORTER %.40q is not otlp or none", s.Exporter)
	case s.Disabled || s.Exporter == "none" || s.Endpoint == "" && s.TracesEndpoint == "":
		return nil, nil
	case s.Protocol != "http/protobuf" && s.Protocol != "":
		return nil, model.Errorf(model.Invalid, "OTEL_EXPORTER_OTLP_PROTOCOL %.40q is not spoken here: set http/protobuf, and the collector's port for it, usually 4318", s.Protocol)
	case s.Compression != "gzip" && s.Compression != "none" && s.Compression != "":
		return nil, model.Errorf(model.Invalid, "OTEL_EXPORTER_OTLP_COMPRESSION %.40q is not gzip or none", s.Compression)
	case s.Timeout < 1 || s.Timeout > 600_000 || s.Every < 1 || s.Every > 600_000:
		return nil, model.Errorf(model.Invalid, "OTEL_EXPORTER_OTLP_TIMEOUT and OTEL_BSP_SCHEDULE_DELAY are between 1 and 600,000 milliseconds")
	case s.Queue < 1 || s.Queue > 100_000 || s.PerAccount < 1 || s.PerAccount > 100_000:
		return nil, model.Errorf(model.Invalid, "OTEL_BSP_MAX_QUEUE_SIZE and TOLLGATE_TRACE_RATE are between 1 and 100,000 calls")
	}
	o := &Options{Timeout: time.Duration(s.Timeout) * time.Millisecond, Every: time.Duration(s.Every) * time.Millisecond, Compress: s.Compression == "gzip",
		Queue: s.Queue, PerAccount: s.PerAccount, Sampler: sampler, Resource: []Attribute{{Key: "service.name", Text: s.ServiceName}}}
	name, address := "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", s.TracesEndpoint
	if address == "" {
		name, address = "OTEL_EXPORTER_OTLP_ENDPOINT", strings.TrimSuffix(s.Endpoint, "/")+"/v1/traces"
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return nil, model.Errorf(model.Invalid, "%s is not an address such as http://127.0.0.1:4318", name)
	}
	o.URL = u.String()
	if o.Header, err = headers(s); err != nil {
		return nil, err
	}
	more, err := pairs("OTEL_RESOURCE_ATTRIBUTES", s.Attributes)
	if err != nil {
		return nil, err
	}
	for _, p := range more {
		if p[0] != "service.name" && p[1] != "" {
			o.Resource = append(o.Resource, Attribute{Key: p[0], Text: p[1]})
		}
	}
	if o.Client, err = s.client(); err != nil {
		return nil, err
	}
	return o, nil
}

// client reaches the collector, wherever the operator has it, and nothing else.
func (s *Settings) client() (*http.Client, error) {
	t := &http.Transport{MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 5 * time.Second, MaxResponseHeaderBytes: 64 << 10}
	if s.Certificate != "" {
		b, err := os.ReadFile(s.Certificate)
		if err != nil {
			return nil, model.Errorf(model.Invalid, "OTEL_EXPORTER_OTLP_CERTIFICATE: %v", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(b) {
			return nil, model.Errorf(model.Invalid, "OTEL_EXPORTER_OTLP_CERTIFICATE %s holds no certificate in PEM form", s.Certificate)
		}
		t.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, nil
}

func headers(s *Settings) (http.Header, error) {
	name, text := "OTEL_EXPORTER_OTLP_TRACES_HEADERS", s.TracesHeaders
	if text == "" {
		name, text = "OTEL_EXPORTER_OTLP_HEADERS", s.Headers
	}
	all, err := pairs(name, text)
	if err != nil {
		return nil, err
	}
	out := http.Header{"User-Agent": {"tollgate-gateway"}}
	for _, p := range all {
		if strings.ContainsAny(p[0], " \t\r\n:") || strings.ContainsAny(p[1], "\r\n\x00") {
			return nil, model.Errorf(model.Invalid, "%s has a name or a value that no header can have", name) // which are secret
		}
		out.Set(p[0], p[1])
	}
	return out, nil
}

// pairs reads name=value with commas, values percent-encoded. An error shows none of it.
func pairs(setting, text string) ([][2]string, error) {
	var out [][2]string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !ok || name == "" || err != nil {
			return nil, model.Errorf(model.Invalid, "%s is not name=value with commas", setting)
		}
		out = append(out, [2]string{name, value})
	}
	return out, nil
}
