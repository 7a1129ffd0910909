package model

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSettingMethod(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"*/*": "* *", "~1pets/GET": "/pets GET", "pets/GET": "/pets GET", "~1a~1{b}/ANY": "/a/{b} ANY", "a/b/POST": "/a/b POST",
		"~1/GET": "/ GET", "/GET": "/ GET", "": "", "GET": "", "*/GET": "", "~1pets/*": "", "~1pets/get": "", "/": "",
	} {
		path, verb, ok := SettingMethod(key)
		got := ""
		if ok {
			got = path + " " + verb
		}
		if got != want {
			t.Errorf("%q: %q instead of %q", key, got, want)
		}
	}
}

// What nodes are told of a stage's settings.
func TestConfigureLogging(t *testing.T) {
	s := StageSettings{TraceOneIn: 7, AccessLog: &AccessLogSettings{Format: "$context.requestId"}, MethodSettings: map[string]MethodSetting{
		EveryMethod: {LoggingLevel: "ERROR"}, "~1a/GET": {LoggingLevel: "INFO", DataTraceEnabled: true}, "~1b/GET": {LoggingLevel: "OFF", DataTraceEnabled: true}}}
	var c StageConfig
	s.Configure(&c)
	if a := c.LoggingOf("/a/GET"); a == nil || !a.Info || !a.Data {
		t.Errorf("/a is logged as %+v", a)
	}
	if b := c.LoggingOf("/b/GET"); b != nil {
		t.Errorf("/b is off and logged as %+v", b)
	}
	if o := c.LoggingOf("/c/GET"); o == nil || o.Info || o.Data {
		t.Errorf("/c is logged as %+v", o)
	}
	if c.AccessLog != nil || c.TraceOneIn != 7 {
		t.Errorf("%+v", c) // a format without a destination goes nowhere
	}
}

// Metrics of their own have the methods whose settings say so, or those of every method.
func TestConfigureMetrics(t *testing.T) {
	t.Parallel()
	s := StageSettings{TracingEnabled: true, MethodSettings: map[string]MethodSetting{EveryMethod: {MetricsEnabled: true}, "~1a/GET": {}, "b/GET": {MetricsEnabled: true}}}
	var c StageConfig
	s.Configure(&c)
	if !c.Tracing || c.MetricsOf("/a/GET") || !c.MetricsOf("/b/GET") || !c.MetricsOf("/c/GET") {
		t.Errorf("%+v", c)
	}
	s.MethodSettings = map[string]MethodSetting{"~1a/GET": {}}
	c = StageConfig{}
	if s.Configure(&c); c.Metrics != nil || c.MetricsOf("/a/GET") {
		t.Errorf("%+v", c.Metrics)
	}
}

func TestConfigureStage(t *testing.T) {
	t.Parallel()
	set := func(rate float64, burst int) MethodSetting {
		m := DefaultMethodSetting()
		m.ThrottlingRateLimit, m.ThrottlingBurstLimit = rate, burst
		return m
	}
	s := StageSettings{
		Variables: map[string]string{"a": "b"},
		MethodSettings: map[string]MethodSetting{"*/*": set(10, 5), "~1free/GET": set(-1, -1), "a/b/POST": set(2.5, -1), "both/GET": set(1, 1), "~1both/GET": set(2, 2),
			"~1/GET": set(0, 0)},
		Canary: &CanarySettings{PercentTraffic: 5, DeploymentID: "d2", Overrides: map[string]string{"a": "c"}},
	}
	var got StageConfig
	s.Configure(&got)
	want := StageConfig{Throttle: &Throttle{10, 5}, Throttles: map[string]*Throttle{"/free/GET": nil, "/a/b/POST": {2.5, 3}, "/both/GET": {2, 2}, "/GET": {0, 0}},
		Variables: s.Variables, Canary: &CanaryConfig{"d2", 5, map[string]string{"a": "c"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got.ThrottleOf("/free/GET") != nil || got.ThrottleOf("/other/GET").Rate != 10 || got.ThrottleOf("/both/GET").Rate != 2 {
		t.Errorf("throttles %+v", got)
	}
}

// A throttle that is taken away leaves nothing behind, or only what else was said.
func TestStageThrottle(t *testing.T) {
	t.Parallel()
	var s StageSettings
	s.SetThrottle(nil)
	s.SetThrottle(&Throttle{Rate: 7, Burst: 3})
	if *s.Throttle() != (Throttle{7, 3}) || s.MethodSettings["*/*"].CacheTTLSeconds != 300 {
		t.Errorf("set: %+v", s)
	}
	s.SetThrottle(nil)
	if len(s.MethodSettings) != 0 {
		t.Errorf("taken away: %+v", s)
	}
	m := s.Setting(EveryMethod)
	m.MetricsEnabled = true
	s.Set(EveryMethod, m)
	if *s.Throttle() != (Throttle{10_000, 5000}) {
		t.Errorf("the service's default: %+v", s.Throttle())
	}
	s.SetThrottle(nil)
	if s.Throttle() != nil || !s.MethodSettings["*/*"].MetricsEnabled {
		t.Errorf("what else was said: %+v", s)
	}
}

func TestStageSettingsRefused(t *testing.T) {
	t.Parallel()
	many := map[string]string{}
	for i := range MaxStageVariables + 1 {
		many[fmt.Sprint("v", i)] = "x"
	}
	setting := func(change func(*MethodSetting)) StageSettings {
		m := DefaultMethodSetting()
		change(&m)
		return StageSettings{MethodSettings: map[string]MethodSetting{"*/*": m}}
	}
	for want, s := range map[string]StageSettings{
		"at most 100 are allowed":         {Variables: many},
		"letters, digits and underscores": {Variables: map[string]string{"a-b": "c"}},
		"the value of stage variable":     {Variables: map[string]string{"a": "<script>"}},
		"override name":                   {Canary: &CanarySettings{Overrides: map[string]string{"": "c"}}},
		"between 0 and 100":               {Canary: &CanarySettings{PercentTraffic: 100.5}},
		"description has 1025 bytes":      {Description: strings.Repeat("d", 1025)},
		"cache cluster size":              {CacheClusterSize: "0.7"},
		"must contain $context.requestId": {AccessLog: &AccessLogSettings{Format: "$context.status"}},
		"goes to a log group":             {AccessLog: &AccessLogSettings{DestinationARN: "arn:aws:s3:::bucket"}},
		"cannot be traced":                {TraceOneIn: -2},
		"access log's format":             {AccessLog: &AccessLogSettings{Format: strings.Repeat("f", 4000)}},
		"does not name a path":            {MethodSettings: map[string]MethodSetting{"GET": DefaultMethodSetting()}},
		"rate limit -2":                   setting(func(m *MethodSetting) { m.ThrottlingRateLimit = -2 }),
		"burst limit 2000000000":          setting(func(m *MethodSetting) { m.ThrottlingBurstLimit = 2_000_000_000 }),
		"cache TTL 3601":                  setting(func(m *MethodSetting) { m.CacheTTLSeconds = 3601 }),
		"logging level":                   setting(func(m *MethodSetting) { m.LoggingLevel = "LOUD" }),
		"strategy":                        setting(func(m *MethodSetting) { m.UnauthorizedCacheControlHeaderStrategy = "" }),
	} {
		if err := s.Validate(); err == nil || KindOf(err) == "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%v instead of %q", err, want)
		}
	}
	ok := setting(func(m *MethodSetting) { m.ThrottlingRateLimit, m.ThrottlingBurstLimit = -1, -1 })
	ok.Variables = map[string]string{"url": "a.example.com:8080/v1?x=1&y=#,~"}
	if err := ok.Validate(); err != nil {
		t.Error(err)
	}
}

func TestUpstreamVariables(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"https://${stageVariables.host}/v1": "", "http://a.example.com:${stageVariables.port}/${stageVariables.base}?v=${stageVariables.v}": "",
		"${stageVariables.url}/x":                      "is not an http or https URL",
		"http://a.example.com/${context.stage}":        "for something else than stage variables",
		"http://a.example.com/${stageVariables['x']}":  "for something else than stage variables",
		"http://a.example.com/${stageVariables.x}/{y}": `integration uri "http://a.example.com/${stageVariables.x}/{y}" uses {y}`,
	} {
		err := CheckUpstream(&Integration{Type: IntegrationHTTPProxy, URI: uri}, "/")
		if got := MessageOf(err); (err == nil) != (want == "") || err != nil && !strings.Contains(got, want) {
			t.Errorf("%s: %v instead of %q", uri, err, want)
		}
	}
	g := &Integration{URI: "http://${stageVariables.a}.${stageVariables.b}/"}
	if out, ok := g.OnStage(map[string]string{"a": "x", "b": "example.com"}); !ok || out.URI != "http://x.example.com/" || g.URI == out.URI {
		t.Errorf("%+v %v", out, ok)
	}
	if _, ok := g.OnStage(map[string]string{"a": "x"}); ok {
		t.Error("a variable that is not set")
	}
	if _, err := ParseUpstream(g, "/"); err == nil {
		t.Error("an integration was read without its stage's variables")
	}
}
