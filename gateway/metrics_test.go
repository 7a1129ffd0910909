package gateway

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"tollgate/model"
)

// nodeMetrics are all that a node has, by name with its labels' names. Whoever adds one
// writes it down here, and in the README where users are to look at it.
var nodeMetrics = []string{
	"tollgate_api_cache_hits_total api stage",
	"tollgate_api_cache_misses_total api stage",
	"tollgate_api_client_errors_total api stage",
	"tollgate_api_info account api stage",
	"tollgate_api_integration_latency_seconds api stage",
	"tollgate_api_latency_seconds api stage",
	"tollgate_api_method_cache_hits_total api method resource stage",
	"tollgate_api_method_cache_misses_total api method resource stage",
	"tollgate_api_method_client_errors_total api method resource stage",
	"tollgate_api_method_integration_latency_seconds api method resource stage",
	"tollgate_api_method_latency_seconds api method resource stage",
	"tollgate_api_method_requests_total api method resource stage",
	"tollgate_api_method_server_errors_total api method resource stage",
	"tollgate_api_requests_total api stage",
	"tollgate_api_server_errors_total api stage",
	"tollgate_gateway_cache_bytes",
	"tollgate_gateway_cache_lookups_total result",
	"tollgate_gateway_call_duration_seconds",
	"tollgate_gateway_calls_total class",
	"tollgate_gateway_clock_ahead_seconds",
	"tollgate_gateway_connections",
	"tollgate_gateway_feed_age_seconds",
	"tollgate_gateway_limit_nodes",
	"tollgate_gateway_link_info account link",
	"tollgate_gateway_link_target_calls_total link target",
	"tollgate_gateway_link_target_failures_total link target",
	"tollgate_gateway_link_target_in_flight link target",
	"tollgate_gateway_link_target_up link target",
	"tollgate_gateway_link_targets_unmeasured",
	"tollgate_gateway_malformed_total",
	"tollgate_gateway_methods_unmeasured",
	"tollgate_gateway_responses_total type",
	"tollgate_gateway_revision",
	"tollgate_gateway_uncounted_total",
	"tollgate_gateway_unrecorded_total",
	"tollgate_journal_backlog_bytes",
	"tollgate_journal_batches_set_aside_total",
	"tollgate_journal_headroom_bytes",
	"tollgate_journal_oldest_unacknowledged_seconds",
	"tollgate_journal_records_acknowledged_total",
	"tollgate_journal_records_damaged_total",
	"tollgate_journal_records_sealed_total",
	"tollgate_journal_records_total",
	"tollgate_trace_spans_dropped_total reason",
	"tollgate_trace_spans_exported_total",
}

// scrape is what Prometheus gets of a node.
func (r *rig) scrape() map[string]*dto.MetricFamily {
	r.t.Helper()
	reg := prometheus.NewPedanticRegistry()
	if err := r.g.Register(reg); err != nil {
		r.t.Fatal(err)
	}
	all, err := reg.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	out := map[string]*dto.MetricFamily{}
	for _, f := range all {
		out[f.GetName()] = f
	}
	return out
}

// valued are a family's values by its labels' values in order; of histograms the count.
func valued(f *dto.MetricFamily) map[string]float64 {
	out := map[string]float64{}
	for _, m := range f.GetMetric() {
		var labels []string
		for _, l := range m.Label {
			labels = append(labels, l.GetValue())
		}
		switch {
		case m.Counter != nil:
			out[strings.Join(labels, " ")] = m.Counter.GetValue()
		case m.Gauge != nil:
			out[strings.Join(labels, " ")] = m.Gauge.GetValue()
		default:
			out[strings.Join(labels, " ")] = float64(m.Histogram.GetSampleCount())
		}
	}
	return out
}

// Metrics are those of the service, by stage, and by method where its settings enable
// them; they live through deployments and go with what they are of.
func TestAPIMetrics(t *testing.T) {
	r := newRig(t, sampling(t, newCollected(t).url))
	up := newCounting(t, nil).s.Listener.Addr().String()
	st := r.cachedStage(up, model.CacheSetting{}, "GET /pets/{id}", "POST /pets/{id}", "!GET /", "GET /kept")
	down := r.content("d2", deadPort(t), "GET /down").DeploymentID
	r.p.deployments["d1"].Definition.Resources = append(r.p.deployments["d1"].Definition.Resources, r.p.deployments[down].Definition.Resources[0])
	r.p.deployments["d1"].Methods = append(r.p.deployments["d1"].Methods, model.MethodNumber{Path: "/down", Verb: "GET", Num: 9})
	st.Cache.Methods["/kept/GET"] = model.CacheSetting{Enabled: true, TTLSeconds: 60}
	st.Metrics = map[string]bool{model.EveryMethod: true, "/pets/{id}/POST": false}
	st.Links = []model.LinkConfig{{ID: "l1", Targets: []string{up}}}
	r.tellStage(st)
	traffic := func() {
		for i := range 3 {
			r.call("GET", fmt.Sprint("/pets/", i, "?secret=x"), "")
		}
		r.call("POST", "/pets/1", "")
		r.call("GET", "/", "")       // 403
		r.call("GET", "/no/way", "") // 403, of no method
		r.call("GET", "/down", "")   // 5XX
		r.call("GET", "/kept", "")
		r.call("GET", "/kept", "")
	}
	traffic()
	all := r.scrape()
	var got []string
	for name, f := range all {
		for _, l := range f.Metric[0].Label {
			name += " " + l.GetName()
		}
		got = append(got, name)
		kind := f.GetType()
		switch {
		case (kind == dto.MetricType_COUNTER) != strings.HasSuffix(f.GetName(), "_total"):
			t.Errorf("%s is a %s", f.GetName(), kind)
		case kind == dto.MetricType_HISTOGRAM && !strings.HasSuffix(f.GetName(), "_seconds"):
			t.Errorf("%s has no unit", f.GetName())
		case f.GetHelp() == "" || len(f.Metric) > 50:
			t.Errorf("%s: %q, %d series", f.GetName(), f.GetHelp(), len(f.Metric))
		}
		for labels := range valued(f) {
			if strings.Contains(labels, "secret") || strings.Contains(labels, "/pets/1") || strings.Contains(labels, "way") {
				t.Errorf("%s has %s", f.GetName(), labels)
			}
		}
	}
	slices.Sort(got)
	if want := nodeMetrics; !slices.Equal(got, want) {
		t.Errorf("not what is written down:\n%s\ninstead of\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	is := func(name string, want map[string]float64) {
		t.Helper()
		if got := valued(r.scrape()["tollgate_api_"+name]); !maps.Equal(got, want) {
			t.Errorf("%s: %v", name, got)
		}
	}
	is("requests_total", map[string]float64{"abc prod": 9})
	is("client_errors_total", map[string]float64{"abc prod": 2})
	is("server_errors_total", map[string]float64{"abc prod": 1})
	is("cache_hits_total", map[string]float64{"abc prod": 1})
	is("cache_misses_total", map[string]float64{"abc prod": 1})
	is("latency_seconds", map[string]float64{"abc prod": 9})
	is("integration_latency_seconds", map[string]float64{"abc prod": 6})
	is("info", map[string]float64{"123456789012 abc prod": 1})
	is("method_requests_total", map[string]float64{"abc GET /pets/{id} prod": 3, "abc GET / prod": 1, "abc GET /down prod": 1, "abc GET /kept prod": 2})
	is("method_client_errors_total", map[string]float64{"abc GET /pets/{id} prod": 0, "abc GET / prod": 1, "abc GET /down prod": 0, "abc GET /kept prod": 0})
	is("method_server_errors_total", map[string]float64{"abc GET /pets/{id} prod": 0, "abc GET / prod": 0, "abc GET /down prod": 1, "abc GET /kept prod": 0})
	is("method_cache_hits_total", map[string]float64{"abc GET /pets/{id} prod": 0, "abc GET / prod": 0, "abc GET /down prod": 0, "abc GET /kept prod": 1})
	is("method_integration_latency_seconds", map[string]float64{"abc GET /pets/{id} prod": 3, "abc GET / prod": 0, "abc GET /down prod": 1, "abc GET /kept prod": 1})

	next := r.content("d3", up, "GET /pets/{id}", "GET /other")
	next.Metrics = st.Metrics
	next.Canary = &model.CanaryConfig{DeploymentID: "d1", Percent: 0}
	r.tellStage(next)
	r.call("GET", "/pets/9", "")
	is("requests_total", map[string]float64{"abc prod": 10})
	is("method_requests_total", map[string]float64{"abc GET /pets/{id} prod": 4, "abc GET / prod": 1, "abc GET /down prod": 1, "abc GET /kept prod": 2, "abc GET /other prod": 0})
	next.Canary, next.Metrics = nil, nil
	r.tellStage(next)
	is("method_requests_total", map[string]float64{})
	is("requests_total", map[string]float64{"abc prod": 10})
	r.tellStage(model.StageConfig{Num: next.Num, Tenant: tenantNum, Deleted: true})
	is("requests_total", map[string]float64{})
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	if n := len(r.g.reg.measures); n != 0 || r.g.reg.measuredMethods != 0 {
		t.Errorf("%d metrics are left", n)
	}
}

// Methods with metrics of their own are bounded, by tenant and in all.
func TestMethodMetricsRoom(t *testing.T) {
	r := newRig(t, func(o *Options) { o.MethodMetrics = 6 })
	st := r.content("d1", echo(t), "GET /a", "GET /b", "GET /c", "GET /d", "GET /e")
	st.Metrics = map[string]bool{model.EveryMethod: true}
	r.tellStage(st)
	if all := r.scrape(); len(all["tollgate_api_method_requests_total"].Metric) != 3 || valued(all["tollgate_gateway_methods_unmeasured"])[""] != 2 {
		t.Error(all["tollgate_api_method_requests_total"], all["tollgate_gateway_methods_unmeasured"])
	}
	st.Metrics = map[string]bool{"/e/GET": true}
	r.tellStage(st)
	r.tellStage(st) // what went has left its room
	if all := r.scrape(); len(all["tollgate_api_method_requests_total"].Metric) != 1 || valued(all["tollgate_gateway_methods_unmeasured"])[""] != 0 {
		t.Error(all["tollgate_api_method_requests_total"], all["tollgate_gateway_methods_unmeasured"])
	}
}

// BenchmarkObserve is what a call's metrics cost, and what they would with the library's
// own. Neither may allocate.
func BenchmarkObserve(b *testing.B) {
	b.Run("own", func(b *testing.B) {
		m := &apiMetrics{}
		if n := testing.AllocsPerRun(100, func() { m.observe(500, 2e6, 1e6, cacheMiss) }); n != 0 {
			b.Errorf("%v allocations", n)
		}
		for b.Loop() {
			m.observe(200, 2e6, 1e6, notLookedUp)
		}
	})
	b.Run("library", func(b *testing.B) {
		count := prometheus.NewCounter(prometheus.CounterOpts{Name: "n"})
		latency := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h"})
		for b.Loop() {
			count.Inc()
			latency.Observe(0.002)
			latency.Observe(0.001)
		}
	})
}
