package gateway

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"

	"tollgate/gateway/cache"
	"tollgate/gateway/calllog"
	"tollgate/gateway/limit"
	"tollgate/model"
)

// view is what is served right now, replaced as a whole.
type view struct {
	apis    map[string][]*stage // by API id in lower case; an API has few stages
	domains map[string]*domain  // by name in lower case
}

// stage finds a published stage without allocating. API ids match without
// regard to case.
func (v *view) stage(api, name []byte) *stage {
	var low [64]byte
	if len(api) > len(low) {
		return nil
	}
	for i, c := range api {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		low[i] = c
	}
	for _, s := range v.apis[string(low[:len(api)])] {
		if s.cfg.Stage == string(name) {
			return s
		}
	}
	return nil
}

// tenant is one tenant's caps and what it holds on this node.
type tenant struct {
	num       uint32
	account   string // AWS-style id
	share     *calllog.Tenant
	suspended atomic.Bool
	caps      atomic.Pointer[model.Caps]
	// credentials are what its integrations sign with, by name; nil: none.
	credentials atomic.Pointer[map[string]*credential]
	_           [64]byte // every call writes to what follows, and reads what is before
	bucket      limit.Bucket
	inFlight    limit.Gauge
	// authorizations are what its Lambda authorizers said.
	authorizations authCache
	buffered       limit.Gauge
	cache          *cache.Budget // of its stages' caches
	spans          limit.Bucket  // calls whose spans are sent
	// measuredMethods have metrics of their own; only where changes are applied.
	measuredMethods int
}

// stage is a published stage with the program it runs. What every call reads lies
// together, before the rest of the configuration.
type stage struct {
	tenant *tenant
	ref    *stageRef
	variant
	canary *canary // nil: none
	cors   *cors   // nil: none
	num    uint32
	limits bool // callers are told of them, see appendLimits
	logs   logs
	// metrics are never nil but in trials; tracing: nil where traces only pass through.
	metrics *apiMetrics
	tracing *tracing
	cfg     model.StageConfig
}

// variant is a program on a stage.
type variant struct {
	prog   *program
	runs   []run             // by method index of the program
	vars   map[string]string // the stage's variables, with a canary's overrides
	canary bool
}

// canary is the variant that a share of a stage's calls runs.
type canary struct {
	variant
	share uint64 // of 1<<32 calls
}

// chosen draws for one call.
func (k *canary) chosen() bool { return uint64(rand.Uint32()) < k.share }

// programs are those that the stage runs.
func (s *stage) programs() []*program {
	if s.canary == nil {
		return []*program{s.prog}
	}
	return []*program{s.prog, s.canary.prog}
}

// run is a method on a stage: its steps, composed.
type run struct {
	m      *method
	steps  []step
	names  []string      // of the steps
	bucket *limit.Bucket // the stage's throttle of this method; nil: none
	cache  *caching      // of its answers; nil: none

	logging    *model.CallLogging // which calls are traced; nil: by chance
	metrics    *apiMetrics        // of the method; nil: the stage's only
	unmeasured bool               // it has none for want of room
}

// stageRef stands for a stage's name, so that plans and stages meet by pointer
// whichever comes first.
type stageRef struct{ name stageName }

type stageName struct {
	tenant     uint32
	api, stage string
}

// planRef is where subscriptions find their plan's current form; nil inside: no
// such plan, and no call under it.
type planRef struct{ atomic.Pointer[plan] }

type planKey struct {
	tenant uint32
	id     string
}

// plan is a usage plan's current form, immutable.
type plan struct {
	throttle *model.Throttle
	quota    *model.Quota
	exact    model.Exactness
	stages   []planStage
}

type planStage struct {
	ref     *stageRef
	methods map[string]model.Throttle // by throttleKey; nil: none
}

// key is an API key, immutable; a change makes a new one with the same
// subscriptions. It is as large as a cache line.
type key struct {
	first   *subscription
	more    *[]*subscription // after the first; nil: none, as with most keys
	num     uint32
	tenant  uint32
	hash    [32]byte
	id      string
	enabled bool
}

// sub is the key's i-th subscription; nil: it has no so many.
func (k *key) sub(i int) *subscription {
	switch {
	case i == 0:
		return k.first
	case k.more == nil || i > len(*k.more):
		return nil
	}
	return (*k.more)[i-1]
}

func (k *key) subscribe(s *subscription) {
	switch {
	case k.first == nil:
		k.first = s
	case k.more == nil:
		k.more = &[]*subscription{s}
	default:
		*k.more = append(*k.more, s)
	}
}

// subscription is the use of a plan by a key, or by all keys of an app together:
// its buckets and its quota live as long as it does, through every change of the
// plan.
type subscription struct {
	plan    *planRef
	applied atomic.Pointer[plan] // the form that bucket, quota and methods have
	bucket  atomic.Pointer[limit.Bucket]
	quota   atomic.Pointer[limit.Quota]
	spend   atomic.Pointer[spending] // nil: no money bounds its calls
	id      uint64
	tenant  uint32
	terms   uint32
	ledger  uint64 // of its quota
	mu      sync.Mutex
	methods map[methodOf]*limit.Bucket
	keys    int // that have it; only where changes are applied
}

// same says that s is what o is configured to be. A number alone does not: a restored
// database gives those that it has forgotten to others.
func (s *subscription) same(o *subscription) bool {
	return s.ledger == o.ledger && s.tenant == o.tenant && s.terms == o.terms && s.plan == o.plan
}

// spending is what a subscription's money reaches for.
type spending struct {
	*limit.Quota
	prepaid bool
}

// bound brings it to what money bounds the subscription's calls now. Where it is what it
// was, a cap may have been changed: what is held goes back.
func (s *subscription) bound(g *Gateway, by string) {
	was := s.spend.Load()
	switch {
	case by == "":
		s.spend.Store(nil)
	case was != nil && was.prepaid == (by == model.SpendPrepaid):
		was.Reset()
		return
	default:
		s.spend.Store(&spending{g.leaser.Money(s.tenant, s.ledger), by == model.SpendPrepaid})
	}
	if was != nil {
		was.Close()
	}
}

type methodOf struct {
	stage *stageRef
	key   string
}

// sync brings the subscription's limits to the plan's current form. It runs in
// the first call after a change.
func (s *subscription) sync(g *Gateway, p *plan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.applied.Load()
	if old == p {
		return
	}
	b, q, own := s.bucket.Load(), s.quota.Load(), (*limit.Quota)(nil)
	if p.throttle != nil && b == nil { // not before: a node has many keys that never call
		id := limit.BucketID("plan " + strconv.FormatUint(s.id, 10))
		if p.quota != nil && q == nil {
			a := &limit.Account{}
			b, own = &a.Bucket, &a.Quota
			b.Share(g.shares, id)
		} else {
			b = g.shares.Bucket(id)
		}
	}
	switch {
	case p.throttle != nil:
		b.Set(*p.throttle, nowNano())
		s.bucket.Store(b)
	case b != nil:
		b.Lift()
	}
	s.methods = nil
	switch {
	case p.quota == nil && q != nil:
		s.quota.Store(nil)
		q.Close()
	case p.quota != nil && q == nil:
		if own == nil {
			own = &limit.Quota{}
		}
		g.leaser.Open(own, s.tenant, s.ledger)
		s.quota.Store(own)
	case p.quota != nil && old != nil && (old.quota == nil || *old.quota != *p.quota):
		q.Reset()
	}
	s.applied.Store(p)
}

// close gives back what the subscription holds.
func (s *subscription) close() {
	if q := s.quota.Swap(nil); q != nil {
		q.Close()
	}
	if m := s.spend.Swap(nil); m != nil {
		m.Close()
	}
}

// methodBucket is the bucket of the plan's throttle for one method, if any.
func (s *subscription) methodBucket(ps *planStage, m *method, g *Gateway, now int64) *limit.Bucket {
	t, ok := ps.methods[m.throttleKey]
	if !ok {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	of := methodOf{ps.ref, m.throttleKey}
	b := s.methods[of]
	if b == nil {
		if s.methods == nil {
			s.methods = map[methodOf]*limit.Bucket{}
		}
		b = g.shares.Bucket(limit.BucketID(fmt.Sprint("plan method ", s.id, of.stage.name, of.key)))
		b.Set(t, now)
		s.methods[of] = b
	}
	return b
}

func (s *subscription) unit(c *call, u limit.Unit) {
	c.unit = u
	c.flags |= flagQuota
}

// refund gives back the units of a call that a later step refused.
func (s *subscription) refund(c *call) {
	if c.flags&flagQuota != 0 {
		if q := s.quota.Load(); q != nil {
			q.Refund(c.unit)
		}
	}
	if c.flags&flagSpend != 0 {
		if m := s.spend.Load(); m != nil {
			m.Refund(c.paid)
		}
	}
	c.flags &^= flagDrawn
}

func hashOf(b []byte) (h [32]byte, ok bool) {
	if len(b) != len(h) || bytes.Equal(b, h[:]) {
		return h, false
	}
	copy(h[:], b)
	return h, true
}
