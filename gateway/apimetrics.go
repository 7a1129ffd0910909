package gateway

import (
	"cmp"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"tollgate/gateway/http1"
	"tollgate/model"
)

// apiMetrics are those of Amazon API Gateway for a stage, or for a method on one where
// its settings enable metrics. They are made where changes are applied and live as long
// as what they are of is served, through every deployment; a call finds them by pointer.
type apiMetrics struct {
	latency, integration       histogram
	clientErrors, serverErrors atomic.Uint64
	cacheHits, cacheMisses     atomic.Uint64
}

// histogram counts durations by bounds.
type histogram struct {
	buckets [len(bounds) + 1]atomic.Uint64
	nanos   atomic.Uint64
}

func (h *histogram) observe(took int64) {
	i := 0
	for i < len(bounds) && took > bounds[i] {
		i++
	}
	h.buckets[i].Add(1)
	h.nanos.Add(uint64(took))
}

// lookUp is what came of looking into a stage's cache.
type lookUp uint8

const (
	notLookedUp lookUp = iota
	cacheHit
	cacheMiss
)

// measure counts a call at its end.
func (c *call) measure(x *http1.Exchange, status int, end int64) {
	took, waited := end-x.Begun, int64(c.waited(x, end))*1000
	if m := c.stage.metrics; m != nil {
		m.observe(status, took, waited, c.lookUp)
	}
	if c.run != nil && c.run.metrics != nil {
		c.run.metrics.observe(status, took, waited, c.lookUp)
	}
}

// observe counts a call. waited is how long its integration took; 0: it was not asked.
func (m *apiMetrics) observe(status int, took, waited int64, k lookUp) {
	m.latency.observe(took)
	if waited > 0 {
		m.integration.observe(waited)
	}
	switch {
	case status >= 500:
		m.serverErrors.Add(1)
	case status >= 400:
		m.clientErrors.Add(1)
	}
	switch k {
	case cacheHit:
		m.cacheHits.Add(1)
	case cacheMiss:
		m.cacheMisses.Add(1)
	}
}

// measured names what has metrics: a stage, or a method on one by its MethodKey.
type measured struct {
	stageName
	method string // "": the stage itself
}

// stageMetrics are a stage's.
func (r *registry) stageMetrics(name stageName) *apiMetrics {
	k := measured{stageName: name}
	m := r.measures[k]
	if m == nil {
		m = &apiMetrics{}
		r.measures[k] = m
	}
	return m
}

// methodMetrics are a method's; nil: it has none of its own, though wanted where that is
// for want of room. A tenant gets half of most methods.
func (r *registry) methodMetrics(t *tenant, cfg *model.StageConfig, m *method, most int) (_ *apiMetrics, wanted bool) {
	if !cfg.MetricsOf(m.throttleKey) {
		return nil, false
	}
	k := measured{stageName{cfg.Tenant, cfg.APIID, cfg.Stage}, m.throttleKey}
	if old := r.measures[k]; old != nil {
		return old, true
	}
	if r.measuredMethods >= most || t.measuredMethods >= max(1, most/2) {
		return nil, true
	}
	r.measuredMethods++
	t.measuredMethods++
	r.measures[k] = &apiMetrics{}
	return r.measures[k], true
}

// tidyMetrics forgets those of what is not served any more.
func (r *registry) tidyMetrics() {
	used := map[*apiMetrics]bool{}
	for _, s := range r.stages {
		s.eachMetrics(func(m *apiMetrics, _ string) { used[m] = true })
	}
	r.measuredMethods = 0
	for _, t := range r.tenants {
		t.measuredMethods = 0
	}
	for k, m := range r.measures {
		switch {
		case !used[m]:
			delete(r.measures, k)
		case k.method != "":
			r.measuredMethods++
			if t := r.tenants[k.tenant]; t != nil {
				t.measuredMethods++
			}
		}
	}
}

// eachMetrics calls f with the stage's metrics and then its methods', each once, with the
// method's MethodKey.
func (s *stage) eachMetrics(f func(m *apiMetrics, method string)) (unmeasured int) {
	f(s.metrics, "")
	seen := map[*apiMetrics]bool{nil: true}
	each := func(v *variant) {
		for i := range v.runs {
			r := &v.runs[i]
			if r.unmeasured {
				unmeasured++
			}
			if !seen[r.metrics] {
				seen[r.metrics] = true
				f(r.metrics, r.m.throttleKey)
			}
		}
	}
	if each(&s.variant); s.canary != nil {
		each(&s.canary.variant)
	}
	return unmeasured
}

// apiDescs are one set of metrics, with these labels.
type apiDescs struct {
	count, clientErrors, serverErrors, hits, misses, latency, integration *prometheus.Desc
}

func newAPIDescs(prefix, of string, labels ...string) (d apiDescs) {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(prefix+name, help+of, labels, nil)
	}
	d.count = desc("requests_total", "Calls")
	d.clientErrors = desc("client_errors_total", "Calls answered with a status of 400 to 499")
	d.serverErrors = desc("server_errors_total", "Calls answered with a status of 500 and above")
	d.hits = desc("cache_hits_total", "Calls answered from the stage's cache")
	d.misses = desc("cache_misses_total", "Calls for which the stage's cache had no answer")
	d.latency = desc("latency_seconds", "From a call's head to its answer's last byte,")
	d.integration = desc("integration_latency_seconds", "From asking an integration to its answer,")
	return d
}

var (
	stageDescs  = newAPIDescs("tollgate_api_", " of a stage.", "api", "stage")
	methodDescs = newAPIDescs("tollgate_api_method_", " of a method whose metrics are enabled.", "api", "stage", "method", "resource")
	descAPI     = prometheus.NewDesc("tollgate_api_info", "Always 1; whose stage it is.", []string{"api", "stage", "account"}, nil)
	descUnmeas  = prometheus.NewDesc("tollgate_gateway_methods_unmeasured", "Methods whose metrics are enabled, but have no room: see TOLLGATE_METHOD_METRICS.", nil, nil)
)

func (d *apiDescs) all() []*prometheus.Desc {
	return []*prometheus.Desc{d.count, d.clientErrors, d.serverErrors, d.hits, d.misses, d.latency, d.integration}
}

// collect reads m. cached says that there is a cache to speak of.
func (d *apiDescs) collect(ch chan<- prometheus.Metric, m *apiMetrics, cached bool, labels ...string) {
	count := func(desc *prometheus.Desc, n uint64) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), labels...)
	}
	count(d.count, m.latency.total())
	count(d.clientErrors, m.clientErrors.Load())
	count(d.serverErrors, m.serverErrors.Load())
	if hits, misses := m.cacheHits.Load(), m.cacheMisses.Load(); cached || hits+misses > 0 {
		count(d.hits, hits)
		count(d.misses, misses)
	}
	m.latency.collect(ch, d.latency, labels...)
	m.integration.collect(ch, d.integration, labels...)
}

func (h *histogram) total() (n uint64) {
	for i := range h.buckets {
		n += h.buckets[i].Load()
	}
	return n
}

func (h *histogram) collect(ch chan<- prometheus.Metric, d *prometheus.Desc, labels ...string) {
	var n uint64
	cum := make(map[float64]uint64, len(bounds))
	for i, b := range bounds {
		n += h.buckets[i].Load()
		cum[float64(b)/1e9] = n
	}
	n += h.buckets[len(bounds)].Load()
	ch <- prometheus.MustNewConstHistogram(d, n, float64(h.nanos.Load())/1e9, cum, labels...)
}

// collectAPIs reads the view, as calls do: a scrape waits for no change being applied.
func (g *Gateway) collectAPIs(ch chan<- prometheus.Metric) {
	unmeasured := 0
	for _, all := range g.view.Load().apis {
		for _, s := range all {
			api, name := s.cfg.APIID, s.cfg.Stage
			ch <- prometheus.MustNewConstMetric(descAPI, prometheus.GaugeValue, 1, api, name, s.tenant.account)
			unmeasured += s.eachMetrics(func(m *apiMetrics, method string) {
				if method == "" {
					stageDescs.collect(ch, m, s.cfg.Cache != nil, api, name)
					return
				}
				i := strings.LastIndexByte(method, '/')
				methodDescs.collect(ch, m, s.cfg.Cache != nil, api, name, method[i+1:], cmp.Or(method[:i], "/"))
			})
		}
	}
	ch <- prometheus.MustNewConstMetric(descUnmeas, prometheus.GaugeValue, float64(unmeasured))
}
