package gateway

import (
	"crypto/tls"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/gateway/http1"
	"tollgate/model"
)

// special is how a method's upstream is asked where that is more than one connection to
// one address: through a link, more than once, or not at all while it fails.
type special struct {
	key    http1.PoolKey // of a link without the address
	client *tls.Certificate
	pools  *http1.Upstreams
	link   *linkRef // nil: the integration's own address
	// balancer is the ARN of the load balancer behind the link that is meant; "": any.
	balancer string
	ends     atomic.Pointer[ends]
	retries  *model.Retries // nil: none
	breaker  *breaker       // nil: none
	budget   budget
}

// ends are the pools of a link's targets, by their order.
type ends struct {
	of    *link
	pools []*http1.Pool
}

// attempts is a call's state with a special upstream.
type attempts struct {
	n     int // asked so far
	on    *target
	tried [4]*target
	probe bool // the breaker lets this one through to see
}

// maxFailover bounds how many targets of a link a call tries by itself.
const maxFailover = 3

// Each call earns a fifth of a retry's price: retries are at most a fifth of
// calls, beside the few that a quiet method may make.
const (
	budgetMost  = 100
	budgetStart = 20
	budgetPrice = 10
	budgetEarns = 2
)

// budget is what a method may spend on retries, in tenths of one.
type budget struct{ left atomic.Int64 }

func (b *budget) earn() {
	if b.left.Load() < budgetMost*budgetPrice {
		b.left.Add(budgetEarns)
	}
}

func (b *budget) spend() bool {
	if b.left.Add(-budgetPrice) >= 0 {
		return true
	}
	b.left.Add(budgetPrice)
	return false
}

// breaker is a circuit breaker's state on this node.
type breaker struct {
	model.Breaker
	mu       sync.Mutex
	row      int   // failures one after the other
	since    int64 // of the window
	calls    int
	failures int
	until    int64 // 0: closed; then when it is tried again
	probing  bool
}

const breakerWindow = 10 * time.Second

func newBreaker(b *model.Breaker) *breaker {
	k := &breaker{Breaker: *b}
	if k.MinCalls == 0 {
		k.MinCalls = 20
	}
	if k.OpenMillis == 0 {
		k.OpenMillis = 5000
	}
	return k
}

// allow says whether a call may be made; probe: as the one that shows whether the
// upstream is back.
func (b *breaker) allow(now int64) (ok, probe bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.until == 0:
		return true, false
	case now < b.until || b.probing:
		return false, false
	}
	b.probing = true
	return true, true
}

// done notes what came of a call: nothing can be said of one that is neither good nor
// bad.
func (b *breaker) done(now int64, good, bad, probe bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if probe {
		b.probing = false
		switch {
		case good:
			b.until, b.row, b.calls, b.failures, b.since = 0, 0, 0, 0, now
		case bad:
			b.until = now + int64(b.OpenMillis)*int64(time.Millisecond)
		}
		return
	}
	if b.until != 0 || !good && !bad { // it was made before the circuit opened
		return
	}
	if now-b.since > int64(breakerWindow) {
		b.since, b.calls, b.failures = now, 0, 0
	}
	b.calls++
	if good {
		b.row = 0
		return
	}
	b.row++
	b.failures++
	if b.Consecutive > 0 && b.row >= b.Consecutive || b.Ratio > 0 && b.calls >= b.MinCalls && float64(b.failures) >= b.Ratio*float64(b.calls) {
		b.until = now + int64(b.OpenMillis)*int64(time.Millisecond)
	}
}

// aim chooses where the next attempt goes, and how long it may take.
func (c *call) aim(x *http1.Exchange) (*http1.Pool, time.Duration, kind) {
	m := c.run.m
	s := m.special
	if s == nil {
		return m.out.pool, m.timeout, proceed
	}
	a := &c.attempts
	x.Reject, x.Since = nil, 0
	now := http1.Now()
	if a.n == 0 {
		s.budget.earn()
	} else {
		x.Since = now
	}
	left := m.timeout - time.Duration(now-x.Begun)
	if left <= 0 && a.n > 0 {
		return nil, 0, integrationTimeout
	}
	if left = max(left, time.Millisecond); a.n == 0 {
		left = m.timeout // which the server counts from the call's begin
	}
	if s.breaker != nil {
		var ok bool
		if ok, a.probe = s.breaker.allow(now); !ok {
			c.why = "the circuit breaker is open: the endpoint failed too often"
			return nil, 0, circuitOpen
		}
	}
	pool := m.out.pool
	if s.link != nil {
		l := s.link.Load()
		if l == nil || len(l.targets) == 0 {
			c.drop()
			c.why = "there is no VPC link of that id, or nothing is behind it"
			return nil, 0, configurationError
		}
		if s.balancer != "" && l.arn != "" && s.balancer != l.arn {
			c.drop()
			c.why = "the VPC link's addresses stand for " + l.arn + ", and the integration is for " + s.balancer
			return nil, 0, configurationError
		}
		t := l.pick(a.tried[:min(a.n, len(a.tried))])
		t.inFlight.Add(1)
		t.calls.Add(1)
		a.on, pool = t, s.pool(l, t)
	}
	if a.n < len(a.tried) {
		a.tried[a.n] = a.on
	}
	a.n++
	if r := s.retries; r != nil && a.n < r.Attempts {
		if r.PerTryMillis > 0 {
			left = min(left, time.Duration(r.PerTryMillis)*time.Millisecond)
		}
		if c.repeatable(x) {
			x.Reject = func(status int) bool {
				return r.RetriedStatus(status) && (c.body != nil || x.Resendable()) && s.budget.spend()
			}
		}
	}
	return pool, left, proceed
}

// pool is that of a link's target.
func (s *special) pool(l *link, t *target) *http1.Pool {
	e := s.ends.Load()
	if e == nil || e.of != l {
		e = &ends{of: l}
		for _, t := range l.targets {
			e.pools = append(e.pools, s.pools.Pool(s.keyOf(t), s.client))
		}
		s.ends.Store(e)
	}
	for i := range l.targets {
		if l.targets[i] == t {
			return e.pools[i]
		}
	}
	return s.pools.Pool(s.keyOf(t), s.client)
}

func (s *special) keyOf(t *target) http1.PoolKey {
	k := s.key
	k.Address = t.address
	return k
}

// repeatable says that the call may be made twice: its verb says so, or its author.
func (c *call) repeatable(x *http1.Exchange) bool {
	verb := c.run.m.out.verb
	if verb == "" {
		verb = string(c.verb(x))
	}
	switch verb {
	case "GET", "HEAD", "OPTIONS", "PUT", "DELETE":
		return true
	}
	return c.run.m.special.retries != nil && c.run.m.special.retries.NonIdempotent
}

// drop lets go of what an attempt holds.
func (c *call) drop() {
	a := &c.attempts
	if a.on != nil {
		a.on.inFlight.Add(-1)
		a.on = nil
	}
	if s := c.run.m.special; a.probe {
		a.probe = false
		s.breaker.done(http1.Now(), false, false, true)
	}
}

// landed notes what came of an attempt, and says whether to make another.
func (c *call) landed(x *http1.Exchange, f http1.Failure) (again bool) {
	s, a := c.run.m.special, &c.attempts
	if s == nil || f == http1.Parked {
		return false
	}
	bad := false
	switch f {
	case http1.NoConn, http1.NoHost, http1.Forbidden, http1.Timeout, http1.NoAnswer, http1.Rejected:
		bad = true
	case http1.None, http1.Broken:
		bad = x.Response.Code >= 500
	}
	good := f == http1.None && !bad
	if t := a.on; t != nil {
		switch {
		case f == http1.None || f == http1.Rejected:
			t.answered()
		case bad:
			t.fail(callFault(f))
		}
	}
	if s.breaker != nil {
		s.breaker.done(http1.Now(), good, bad, a.probe)
		a.probe = false
	}
	c.drop()
	unsent := f == http1.NoConn || f == http1.NoHost || f == http1.Forbidden && s.link != nil
	switch {
	case f == http1.Rejected:
		return true // which was decided and paid for then
	case !unsent && f != http1.NoAnswer && f != http1.Timeout, c.body == nil && !x.Resendable():
		return false
	case unsent && s.link != nil && a.n < maxFailover: // another target; this one cannot have acted on it
		return true
	case s.retries == nil || a.n >= s.retries.Attempts || !unsent && !c.repeatable(x):
		return false
	case http1.Now()-x.Begun >= int64(c.run.m.timeout):
		return false
	}
	return s.budget.spend()
}

// try asks a special upstream, as often as it takes.
func (c *call) try(x *http1.Exchange) kind {
	for {
		pool, timeout, k := c.aim(x)
		if k != proceed {
			return c.charge(k)
		}
		req, k := c.forward(x)
		if k != proceed {
			c.drop()
			return c.charge(k)
		}
		if c.trace != nil {
			c.traceRequest(x, req)
		}
		f := x.Proxy(pool, req, c.head, timeout)
		if !c.landed(x, f) {
			return c.proxied(f)
		}
	}
}

// poolKeys adds those of the method's pools.
func (m *method) poolKeys(to map[http1.PoolKey]bool) {
	if s := m.special; s != nil && s.link != nil {
		if l := s.link.Load(); l != nil {
			for _, t := range l.targets {
				to[s.keyOf(t)] = true
			}
		}
		return
	}
	to[m.out.key] = true
}
