package gateway

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tollgate/gateway/http1"
)

// metrics are plain counters on the way of a call; Prometheus reads them when it
// scrapes. Labels are bounded: figures of keys come from the journal.
type metrics struct {
	class                  [6]atomic.Uint64 // answers by status class
	refused                [kinds]atomic.Uint64
	malformed              atomic.Uint64
	unrecorded             atomic.Uint64
	uncounted              atomic.Uint64
	cacheHits, cacheMisses atomic.Uint64
	duration               histogram
}

// bounds of the duration histogram, nanoseconds.
var bounds = [...]int64{1e6, 2.5e6, 5e6, 10e6, 25e6, 50e6, 100e6, 250e6, 500e6, 1e9, 2.5e9, 5e9, 10e9, 30e9}

func (m *metrics) observe(status int, took int64) {
	m.class[min(status/100, 5)].Add(1)
	m.duration.observe(took)
}

func nowNano() int64 { return http1.Now() }

// Register adds the node's metrics to a registry.
func (g *Gateway) Register(r prometheus.Registerer) error { return r.Register(collector{g}) }

type collector struct{ g *Gateway }

var (
	descCalls      = prometheus.NewDesc("tollgate_gateway_calls_total", "Calls answered, by status class.", []string{"class"}, nil)
	descDuration   = prometheus.NewDesc("tollgate_gateway_call_duration_seconds", "From a call's head to its answer's last byte.", nil, nil)
	descRefused    = prometheus.NewDesc("tollgate_gateway_responses_total", "Calls the gateway itself answered, by gateway-response type.", []string{"type"}, nil)
	descMalformed  = prometheus.NewDesc("tollgate_gateway_malformed_total", "Messages that were no acceptable HTTP.", nil, nil)
	descUnrecorded = prometheus.NewDesc("tollgate_gateway_unrecorded_total", "Calls kept back because the journal had no room.", nil, nil)
	descUncounted  = prometheus.NewDesc("tollgate_gateway_uncounted_total", "Calls under hard throttles whose counters could not be asked.", nil, nil)
	descNodes      = prometheus.NewDesc("tollgate_gateway_limit_nodes", "Nodes that keep throttles together, this one included.", nil, nil)
	descConns      = prometheus.NewDesc("tollgate_gateway_connections", "Client connections open.", nil, nil)
	descRevision   = prometheus.NewDesc("tollgate_gateway_revision", "Revision of the configuration in effect.", nil, nil)
	descAge        = prometheus.NewDesc("tollgate_gateway_feed_age_seconds", "Since the control plane last answered; -1: never.", nil, nil)
	descAhead      = prometheus.NewDesc("tollgate_gateway_clock_ahead_seconds", "How far the node's clock is ahead of the control plane's, to half a second.", nil, nil)
	descAppended   = prometheus.NewDesc("tollgate_journal_records_total", "Records written.", nil, nil)
	descSealed     = prometheus.NewDesc("tollgate_journal_records_sealed_total", "Records summed into batches.", nil, nil)
	descAcked      = prometheus.NewDesc("tollgate_journal_records_acknowledged_total", "Records whose batch the control plane has taken.", nil, nil)
	descBacklog    = prometheus.NewDesc("tollgate_journal_backlog_bytes", "Batches sealed and not acknowledged yet, of all boots.", nil, nil)
	descOldest     = prometheus.NewDesc("tollgate_journal_oldest_unacknowledged_seconds", "Age of the oldest record that is not acknowledged.", nil, nil)
	descAside      = prometheus.NewDesc("tollgate_journal_batches_set_aside_total", "Batches the control plane refused for good: usage that needs an operator.", nil, nil)
	descDamaged    = prometheus.NewDesc("tollgate_journal_records_damaged_total", "Records of earlier boots lost to damage on disk.", nil, nil)
	descCached     = prometheus.NewDesc("tollgate_gateway_cache_lookups_total", "Look-ups in stages' caches, by what came of them.", []string{"result"}, nil)
	descCacheBytes = prometheus.NewDesc("tollgate_gateway_cache_bytes", "Memory that stages' caches hold.", nil, nil)
	descTargetUp   = prometheus.NewDesc("tollgate_gateway_link_target_up", "Whether this node takes an address behind a VPC link to be there.", []string{"link", "target"}, nil)
	descTargetCall = prometheus.NewDesc("tollgate_gateway_link_target_calls_total", "Calls sent to an address behind a VPC link.", []string{"link", "target"}, nil)
	descTargetFail = prometheus.NewDesc("tollgate_gateway_link_target_failures_total", "Calls and checks that an address behind a VPC link did not answer.", []string{"link", "target"}, nil)
	descTargetBusy = prometheus.NewDesc("tollgate_gateway_link_target_in_flight", "Calls under way to an address behind a VPC link.", []string{"link", "target"}, nil)
	descLinkInfo   = prometheus.NewDesc("tollgate_gateway_link_info", "Always 1; whose VPC link it is.", []string{"link", "account"}, nil)
	descTargetLeft = prometheus.NewDesc("tollgate_gateway_link_targets_unmeasured", "Addresses behind VPC links that have no metrics for want of room.", nil, nil)
	descSpans      = prometheus.NewDesc("tollgate_trace_spans_exported_total", "Spans that the collector has taken.", nil, nil)
	descLost       = prometheus.NewDesc("tollgate_trace_spans_dropped_total", "Spans that did not come to the collector: no room in the queue, not taken by the collector, or more than the account's share.", []string{"reason"}, nil)
	descHeadroom   = prometheus.NewDesc("tollgate_journal_headroom_bytes", "What the journal can still take.", nil, nil)
)

func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range append(append(stageDescs.all(), methodDescs.all()...), descAPI, descUnmeas, descSpans, descLost,
		descCalls, descDuration, descRefused, descMalformed, descUnrecorded, descUncounted, descNodes, descConns,
		descRevision, descAge, descAhead, descAppended, descSealed, descAcked, descBacklog, descOldest, descAside, descDamaged, descTargetUp, descTargetCall, descTargetFail, descTargetBusy, descLinkInfo, descTargetLeft, descHeadroom, descCached, descCacheBytes) {
		ch <- d
	}
}

func (c collector) Collect(ch chan<- prometheus.Metric) {
	g, m := c.g, &c.g.metrics
	count := func(d *prometheus.Desc, v uint64, l ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), l...)
	}
	gauge := func(d *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	for i, l := range []string{"", "1xx", "2xx", "3xx", "4xx", "5xx"} {
		if i > 1 {
			count(descCalls, m.class[i].Load(), l)
		}
	}
	refused := map[string]uint64{} // several kinds can be of one type
	for k := later + 1; k < kinds; k++ {
		refused[answers[k].name] += m.refused[k].Load()
	}
	for name, n := range refused {
		count(descRefused, n, name)
	}
	count(descCached, m.cacheHits.Load(), "hit")
	count(descCached, m.cacheMisses.Load(), "miss")
	gauge(descCacheBytes, float64(g.cacheBudget.Used()))
	count(descMalformed, m.malformed.Load())
	count(descUnrecorded, m.unrecorded.Load())
	count(descUncounted, m.uncounted.Load())
	gauge(descNodes, float64(g.shares.Nodes()))
	m.duration.collect(ch, descDuration)
	g.collectAPIs(ch)
	if g.spans != nil {
		s := g.spans.Stats()
		count(descSpans, s.Exported)
		count(descLost, s.QueueFull, "queue_full")
		count(descLost, s.Refused, "collector")
		count(descLost, s.OverShare, "account_share")
	}
	gauge(descConns, float64(g.server.Conns()))
	gauge(descRevision, float64(g.follower.Revision()))
	age := -1.0
	if a := g.follower.Age(time.Now()); a >= 0 {
		age = a.Seconds()
	}
	gauge(descAge, age)
	ahead := 0.0
	if f := g.o.Feed.Ahead; f != nil {
		ahead = f().Seconds()
	}
	gauge(descAhead, ahead)
	s := g.journal.Stats()
	count(descAppended, s.Appended)
	count(descSealed, s.Sealed)
	count(descAcked, s.Acked)
	count(descAside, s.SetAside)
	count(descDamaged, s.Damaged)
	gauge(descBacklog, float64(s.BacklogBytes))
	gauge(descOldest, s.Oldest.Seconds())
	gauge(descHeadroom, float64(s.Headroom))
	g.collectTargets(ch)
}

// measuredTargets of links have metrics on a node, one tenant's half of them at most.
const measuredTargets = 2000

func (g *Gateway) collectTargets(ch chan<- prometheus.Metric) {
	measured, left, whose := 0, 0, map[uint32]int{}
	links := map[linkKey]bool{}
	for _, t := range g.targets() {
		if measured == measuredTargets || whose[t.tenant] == measuredTargets/2 {
			left++
			continue
		}
		measured++
		whose[t.tenant]++
		links[linkKey{t.tenant, t.link}] = true
		up := 1.0
		if t.down.Load() {
			up = 0
		}
		ch <- prometheus.MustNewConstMetric(descTargetUp, prometheus.GaugeValue, up, t.link, t.address)
		ch <- prometheus.MustNewConstMetric(descTargetCall, prometheus.CounterValue, float64(t.calls.Load()), t.link, t.address)
		ch <- prometheus.MustNewConstMetric(descTargetFail, prometheus.CounterValue, float64(t.failures.Load()), t.link, t.address)
		ch <- prometheus.MustNewConstMetric(descTargetBusy, prometheus.GaugeValue, float64(t.inFlight.Load()), t.link, t.address)
	}
	ch <- prometheus.MustNewConstMetric(descTargetLeft, prometheus.GaugeValue, float64(left))
	g.mu.Lock()
	accounts := map[linkKey]string{}
	for k := range links {
		if t := g.reg.tenants[k.tenant]; t != nil {
			accounts[k] = t.account
		}
	}
	g.mu.Unlock()
	for k, account := range accounts {
		ch <- prometheus.MustNewConstMetric(descLinkInfo, prometheus.GaugeValue, 1, k.id, account)
	}
}
