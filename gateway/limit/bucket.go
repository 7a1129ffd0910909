// Package limit decides whether a call may pass: token buckets for rates,
// gauges for what is in flight, and quotas leased in chunks from a ledger shared
// by all nodes.
//
// It must never admit more than it was given: a bucket never more than burst
// plus rate times the time, a quota never a call above its leases, not at a
// window's end and not when the ledger cannot be asked. The paths of an admitted
// and of a refused call take no lock and allocate nothing.
package limit

import (
	"math"
	"math/big"
	"math/bits"
	"sync"
	"sync/atomic"

	"tollgate/model"
)

// Bucket is a token bucket. The zero Bucket lets everything pass.
//
// Times are nanoseconds of a clock that does not jump, such as a monotonic one.
// A time earlier than one already seen adds no tokens.
type Bucket struct {
	fill   atomic.Pointer[fill] // nil: unlimited
	shares *Shares              // whose nodes keep the limit together; nil: it is this node's alone
	id     uint64               // by which nodes mean the same bucket
	set    sync.Mutex
	whole  model.Throttle // the limit of all nodes together
	share  float64        // of the whole that fill has
	told   bool           // the share was told by the control plane; else it is an even one
	_      [7]byte
}

// fill counts in units that are whole fractions of a token and about as long to
// refill as a nanosecond. The units poured in since base are computed from the
// time each time, never summed, so there is no drift; taken is the level of what
// was drawn from them.
type fill struct {
	taken    atomic.Int64 // in [poured, poured+capacity] when up to date
	base     int64        // time when nothing had been poured
	rate     uint64       // units a nanosecond, times 2^rateBits
	token    int64        // units in one token
	capacity int64        // units in the burst
	nodes    int64        // that the share was made for
	asked    atomic.Int64 // calls since the last report, where there are several nodes
	_        [8]byte
}

const (
	rateBits = 61
	// horizon is how long a bucket goes on refilling after its last Set: 36 years.
	horizon = 1 << 60
	// most is the largest rate and burst, model.Throttle's bound: what is above
	// would overflow and is cut to it.
	most = 1e9
	// gone marks a fill that Set has replaced.
	gone = math.MaxInt64
)

// NewBucket is a full bucket.
func NewBucket(t model.Throttle, now int64) *Bucket {
	b := &Bucket{}
	b.Set(t, now)
	return b
}

func newFill(t model.Throttle, now int64) *fill {
	f := &fill{base: now, nodes: 1, token: 1 << 30}
	r := new(big.Rat)
	if t.Rate > 0 { // else, and for what is not a number: refill nothing
		rate := min(t.Rate, most)
		f.token = int64(min(2e9/rate, 1<<30)) // the float may be beyond any integer
		r.SetFloat64(rate)
	}
	f.capacity = f.token * int64(min(max(t.Burst, 0), most))
	r.Mul(r, big.NewRat(f.token, 1e9))
	n := new(big.Int).Lsh(r.Num(), rateBits)
	f.rate = n.Quo(n, r.Denom()).Uint64()
	return f
}

// poured is the units that have come in by now.
func (f *fill) poured(now int64) int64 {
	d := min(max(now-f.base, 0), horizon)
	hi, lo := bits.Mul64(uint64(d), f.rate)
	return int64(hi<<(64-rateBits) | lo>>rateBits)
}

// Take draws one token, or says that there is none.
func (b *Bucket) Take(now int64) bool {
	if b.shares != nil {
		b.shares.asked(b, now)
	}
	for {
		f := b.fill.Load()
		if f == nil {
			return true
		}
		in := f.poured(now)
		was := f.taken.Load()
		if was == gone {
			continue // the new fill is a few instructions away
		}
		level := max(was, in) + f.token
		if level > in+f.capacity {
			return false
		}
		if f.taken.CompareAndSwap(was, level) {
			return true
		}
	}
}

// Refund puts back the token of a call that Take admitted at about now and that
// was then refused by something else.
func (b *Bucket) Refund(now int64) {
	for {
		f := b.fill.Load()
		if f == nil {
			return
		}
		was := f.taken.Load()
		if was == gone {
			continue
		}
		level := max(was-f.token, f.poured(now))
		if level >= was || f.taken.CompareAndSwap(was, level) {
			return
		}
	}
}

// Left is how many tokens the bucket has at now, as far as this node can tell for all
// nodes together, and in how many nanoseconds it has another; 0: never.
func (b *Bucket) Left(now int64) (t model.Throttle, tokens, after int64) {
	b.set.Lock()
	defer b.set.Unlock()
	f := b.fill.Load()
	if f == nil {
		return model.Throttle{}, 0, 0
	}
	in := f.poured(now)
	held := in + f.capacity - max(f.taken.Load(), in)
	tokens = min(int64(float64(held/f.token)/b.share), int64(b.whole.Burst))
	if rate := b.whole.Rate * b.share; rate > 0 && held < f.token {
		after = int64(float64(f.token-held) / float64(f.token) * 1e9 / rate)
	}
	return b.whole, max(tokens, 0), after
}

// Unlimited says that the bucket lets everything pass.
func (b *Bucket) Unlimited() bool { return b.fill.Load() == nil }

// Lift makes the bucket unlimited.
func (b *Bucket) Lift() {
	b.set.Lock()
	defer b.set.Unlock()
	b.fill.Store(nil)
}

// Set changes the limit at once. What the bucket holds stays, up to the new
// burst; a bucket that was unlimited becomes full.
func (b *Bucket) Set(t model.Throttle, now int64) {
	b.set.Lock()
	defer b.set.Unlock()
	old := b.fill.Load()
	if old != nil && b.whole == t {
		return
	}
	b.whole = t
	nodes := int64(1)
	switch {
	case b.shares == nil:
		b.share = 1
	case old == nil:
		nodes = b.shares.nodes.Load()
		b.share, b.told = 1/float64(nodes), false
	default:
		nodes = old.nodes
	}
	b.refill(old, nodes, now)
}

// refill puts the bucket's share of its limit into effect. b.set is held.
func (b *Bucket) refill(old *fill, nodes, now int64) *fill {
	next := newFill(part(b.whole, b.share), now)
	next.nodes = nodes
	if old == nil {
		b.fill.Store(next)
		return next
	}
	in := old.poured(now)
	was := max(old.taken.Swap(gone), in)
	held := max(in+old.capacity-was, 0)
	// held/old.token tokens, in new units, rounded down
	hi, lo := bits.Mul64(uint64(held), uint64(next.token))
	units, _ := bits.Div64(hi%uint64(old.token), lo, uint64(old.token))
	if hi >= uint64(old.token) || units > uint64(next.capacity) {
		units = uint64(next.capacity)
	}
	next.taken.Store(next.capacity - int64(units))
	next.asked.Store(old.asked.Load())
	b.fill.Store(next)
	return next
}

// Chain is the buckets a call must pass, the narrowest first, so that one
// caller's flood is stopped before it drains what others share. Nil is passed.
type Chain []*Bucket

// Passed is what Chain.Take returns when every bucket admitted the call.
const Passed = -1

// Take draws a token from every bucket or from none. It returns Passed, or the
// index of the bucket that refused.
func (c Chain) Take(now int64) int {
	for i, b := range c {
		if b != nil && !b.Take(now) {
			c[:i].Refund(now)
			return i
		}
	}
	return Passed
}

// Refund puts back a token into every bucket.
func (c Chain) Refund(now int64) {
	for _, b := range c {
		if b != nil {
			b.Refund(now)
		}
	}
}

// Gauge counts what is held right now: calls in flight, bytes buffered.
type Gauge struct {
	held atomic.Int64
	_    [56]byte
}

// Acquire adds n unless that would exceed limit.
func (g *Gauge) Acquire(n, limit int64) bool {
	for {
		held := g.held.Load()
		if n > limit-held {
			return false
		}
		if g.held.CompareAndSwap(held, held+n) {
			return true
		}
	}
}

// Release gives n back.
func (g *Gauge) Release(n int64) { g.held.Add(-n) }

// Held is what is held now.
func (g *Gauge) Held() int64 { return g.held.Load() }
