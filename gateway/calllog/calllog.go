// Package calllog gathers what people read of calls on a node and hands it to the
// control plane, in the background and in bounds. It is not the journal: nothing is
// billed from it, and what has no room, or comes faster than a tenant's share, is left
// out and counted, for each stage exactly. It never makes a call wait.
package calllog

import (
	"sync"
	"sync/atomic"

	"tollgate/gateway/limit"
	"tollgate/model"
)

// Bounds. A tenant's share is so small against a shard's room that one tenant's flood
// cannot fill the time between two batches.
const (
	shards     = 8         // a power of two
	shardBytes = 256 << 10 // of encoded entries, between two batches
	wakeAt     = shardBytes / 4
	// DefaultRate is how many entries a second a tenant has on a node.
	DefaultRate = 100
	// errorShare is how many more it has for calls that went wrong, and traceRate for
	// traces.
	errorShare = 1
	traceRate  = 5
	traceBurst = 20
)

// Log is a node's. Its methods may be called from any goroutine.
type Log struct {
	rate   int
	shards [shards]shard
	wake   chan struct{}

	mu     sync.Mutex // over stages
	stages map[uint32]*Stage
}

type shard struct {
	mu  sync.Mutex
	buf []byte
	_   [96]byte
}

// Tenant is a tenant's share of a node's call log.
type Tenant struct{ plain, failed, traces limit.Bucket }

// Stage counts what a stage's calls did not get.
type Stage struct {
	tenant, num uint32
	of          *Tenant
	left, lines atomic.Uint64
	gone        int // over Log.mu: how often nothing was counted since the stage is not live; 0: it is
}

// Line says that a line of the stage's access log could not be written.
func (s *Stage) Line(n uint64) { s.lines.Add(n) }

// New makes a log of rate entries a second for each tenant; 0: none, all are left out.
func New(rate int) *Log {
	return &Log{rate: rate, wake: make(chan struct{}, 1), stages: map[uint32]*Stage{}}
}

// Tenant makes a tenant's share.
func (l *Log) Tenant(now int64) *Tenant {
	t := &Tenant{}
	t.plain.Set(model.Throttle{Rate: float64(l.rate), Burst: 2 * l.rate}, now)
	t.failed.Set(model.Throttle{Rate: float64(errorShare * l.rate), Burst: 2 * errorShare * l.rate}, now)
	t.traces.Set(model.Throttle{Rate: min(traceRate, float64(l.rate)), Burst: min(traceBurst, l.rate)}, now)
	return t
}

// Stage is where a stage's calls are counted, the same as long as the stage is kept.
func (l *Log) Stage(t *Tenant, tenant, num uint32) *Stage {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stages[num]
	if s == nil {
		s = &Stage{tenant: tenant, num: num, of: t}
		l.stages[num] = s
	}
	s.gone = 0
	return s
}

// Keep lets go of the stages that are not live, once what they count has been told.
func (l *Log) Keep(live func(num uint32) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for num, s := range l.stages {
		if !live(num) {
			s.gone = max(s.gone, 1)
		}
	}
}

// MayTrace takes from a tenant's share of traces.
func (s *Stage) MayTrace(now int64) bool { return s.of.traces.Take(now) }

// Admit says whether a call that has ended has an entry: else it is counted as left
// out. failed: the gateway itself answered it, or with 5xx.
func (l *Log) Admit(s *Stage, failed bool, now int64) bool {
	if s.of.plain.Take(now) || failed && s.of.failed.Take(now) {
		return true
	}
	s.left.Add(1)
	return false
}

// Append writes down a call that was admitted, or counts it as left out where there is
// no room. It copies what it keeps and allocates nothing. at spreads calls over shards.
func (l *Log) Append(at uint32, s *Stage, e *model.CallEntry) {
	h := &l.shards[at%shards]
	h.mu.Lock()
	if h.buf == nil {
		h.buf = make([]byte, 0, shardBytes) // with the first call that gets here
	}
	before := len(h.buf)
	if shardBytes-before < model.MaxCallEntry-model.MaxCallTrace+len(e.Trace) {
		h.mu.Unlock()
		s.left.Add(1)
		l.awake()
		return
	}
	h.buf = model.AppendCall(h.buf, e)
	after := len(h.buf)
	h.mu.Unlock()
	if before < wakeAt && after >= wakeAt {
		l.awake()
	}
}

func (l *Log) awake() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// take empties the shards into parts, whose buffers they go on with, and the counts into
// left. It reports whether there is anything.
func (l *Log) take(parts *[shards][]byte, left []model.CallsLeft) ([]model.CallsLeft, bool) {
	any := false
	for i := range l.shards {
		h := &l.shards[i]
		h.mu.Lock()
		if len(h.buf) > 0 {
			if parts[i] == nil {
				parts[i] = make([]byte, 0, shardBytes)
			}
			h.buf, parts[i] = parts[i][:0], h.buf
			any = true
		} else {
			parts[i] = parts[i][:0]
		}
		h.mu.Unlock()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for num, s := range l.stages {
		if len(left) == maxLeft {
			break // told with the next
		}
		calls, lines := s.left.Swap(0), s.lines.Swap(0)
		if calls > 0 || lines > 0 {
			left = append(left, model.CallsLeft{Tenant: s.tenant, Stage: num, Calls: calls, Lines: lines})
		} else if s.gone > 0 {
			if s.gone++; s.gone > linger {
				delete(l.stages, num)
			}
		}
	}
	return left, any || len(left) > 0
}

const (
	// maxLeft is how many stages a batch counts.
	maxLeft = 10_000
	// linger is for how many batches a stage that is gone may still have calls in flight.
	linger = 600
)
