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
	"math/big"
	"math/bits"
	"sync"
	"sync/atomic"

	"tollgate/model"
)

// Bucket is a token bucket. The zero Bucket lets everything pass. What a call needs of it
// lies together at its beginning, no longer than a cache line.
//
// Times are nanoseconds of a clock that does not jump, such as a monotonic one.
// A time earlier than one already seen adds no tokens.
type Bucket struct {
	level  atomic.Uint64 // a version, and the units drawn since base: see levelBits
	base   atomic.Int64  // as in fill
	rate   atomic.Uint64 // as in fill
	size   atomic.Uint64 // units in one token << 32 | burst in tokens; 0: unlimited
	shares *Shares       // whose nodes keep the limit together; nil: it is this node's alone
	asked  atomic.Int64  // calls since the last report, where there are several nodes
	nodes  atomic.Int32  // that the share was made for
	told   bool          // the share was told by the control plane; else it is an even one
	id     uint64        // by which nodes mean the same bucket
	set    sync.Mutex
	whole  model.Throttle // the limit of all nodes together
	share  float64        // of the whole that this node has
}

// fill is how a bucket fills. It counts in units that are whole fractions of a token and
// mostly about as long to refill as a nanosecond. The units poured in since base are
// computed from the time each time, never summed, so there is no drift; the bucket's level
// is what was drawn from them: in [poured, poured+capacity] when up to date.
type fill struct {
	base     int64  // time when nothing had been poured
	rate     uint64 // units a nanosecond, times 2^rateBits
	token    int64  // units in one token
	capacity int64  // units in the burst
}

const (
	rateBits = 61
	// horizon is how long a bucket goes on refilling after its last Set: 36 years.
	horizon = 1 << 60
	// most is the largest rate and burst, model.Throttle's bound: what is above
	// would overflow and is cut to it.
	most = 1e9
	// levelBits of a bucket's level are units. Above them is a version that every change
	// of its fill raises, so that who has read a fill cannot draw by it from the next (a call
	// would have to stand still between two instructions for exactly 2^18 changes): the fill
	// needs no memory of its own, where a call would have to look for it.
	levelBits = 46
	levelMask = 1<<levelBits - 1
	// changing stands in place of the units while a fill is exchanged.
	changing = levelMask
	// mostLevel is the highest level before base is moved; a burst is at most mostUnits.
	mostLevel = levelMask - 1
	mostUnits = 1 << (levelBits - 1)
)

// NewBucket is a full bucket.
func NewBucket(t model.Throttle, now int64) *Bucket {
	b := &Bucket{}
	b.Set(t, now)
	return b
}

func newFill(t model.Throttle, now int64) fill {
	f := fill{base: now, token: 1 << 30}
	r := new(big.Rat)
	if t.Rate > 0 { // else, and for what is not a number: refill nothing
		rate := min(t.Rate, most)
		f.token = int64(min(2e9/rate, 1<<30)) // the float may be beyond any integer
		r.SetFloat64(rate)
	}
	burst := int64(min(max(t.Burst, 0), most))
	f.token = min(f.token, mostUnits/max(burst, 1))
	f.capacity = f.token * burst
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

// fill is a mixture of two where it is exchanged meanwhile: then the level read before it
// has another version than the one after. Its token is 0 when the bucket is unlimited.
func (b *Bucket) fill() fill {
	size := b.size.Load()
	token := int64(size >> 32)
	return fill{b.base.Load(), b.rate.Load(), token, token * int64(uint32(size))}
}

// Take draws one token, or says that there is none.
func (b *Bucket) Take(now int64) bool {
	if b.shares != nil {
		b.shares.asked(b, now)
	}
	for {
		v := b.level.Load()
		f := b.fill()
		if f.token == 0 {
			return true
		}
		was := int64(v & levelMask)
		if was == changing {
			continue // the new fill is a few instructions away
		}
		in := f.poured(now)
		level := max(was, in) + f.token
		switch {
		case level > in+f.capacity:
			if b.level.Load()>>levelBits == v>>levelBits {
				return false
			}
		case level > mostLevel:
			b.rebase(now)
		case b.level.CompareAndSwap(v, v-uint64(was)+uint64(level)):
			return true
		}
	}
}

// Refund puts back the token of a call that Take admitted at about now and that
// was then refused by something else.
func (b *Bucket) Refund(now int64) {
	for {
		v := b.level.Load()
		f := b.fill()
		if f.token == 0 {
			return
		}
		was := int64(v & levelMask)
		if was == changing {
			continue
		}
		level := max(was-f.token, f.poured(now))
		if level >= was {
			if b.level.Load()>>levelBits == v>>levelBits {
				return
			}
		} else if b.level.CompareAndSwap(v, v-uint64(was)+uint64(level)) {
			return
		}
	}
}

// Left is how many tokens the bucket has at now, as far as this node can tell for all
// nodes together, and in how many nanoseconds it has another; 0: never.
func (b *Bucket) Left(now int64) (t model.Throttle, tokens, after int64) {
	b.set.Lock()
	defer b.set.Unlock()
	f := b.fill()
	if f.token == 0 {
		return model.Throttle{}, 0, 0
	}
	in := f.poured(now)
	held := in + f.capacity - max(int64(b.level.Load()&levelMask), in)
	tokens = min(int64(float64(held/f.token)/b.share), int64(b.whole.Burst))
	if rate := b.whole.Rate * b.share; rate > 0 && held < f.token {
		after = int64(float64(f.token-held) / float64(f.token) * 1e9 / rate)
	}
	return b.whole, max(tokens, 0), after
}

// Unlimited says that the bucket lets everything pass.
func (b *Bucket) Unlimited() bool { return b.size.Load() == 0 }

// Lift makes the bucket unlimited.
func (b *Bucket) Lift() {
	b.set.Lock()
	defer b.set.Unlock()
	version, _ := b.change()
	b.size.Store(0)
	b.level.Store(version)
}

// Set changes the limit at once. What the bucket holds stays, up to the new
// burst; a bucket that was unlimited becomes full.
func (b *Bucket) Set(t model.Throttle, now int64) {
	b.set.Lock()
	defer b.set.Unlock()
	unlimited := b.Unlimited()
	if !unlimited && b.whole == t {
		return
	}
	b.whole = t
	nodes := b.nodes.Load()
	switch {
	case b.shares == nil:
		b.share, nodes = 1, 1
	case unlimited:
		nodes = int32(b.shares.nodes.Load())
		b.share, b.told = 1/float64(nodes), false
	}
	b.refill(nodes, now)
}

// refill puts the bucket's share of its limit into effect. b.set is held.
func (b *Bucket) refill(nodes int32, now int64) {
	next, old := newFill(part(b.whole, b.share), now), b.fill()
	version, was := b.change()
	level := int64(0)
	if old.token != 0 {
		in := old.poured(now)
		held := max(in+old.capacity-max(was, in), 0)
		// held/old.token tokens, in new units, rounded down
		hi, lo := bits.Mul64(uint64(held), uint64(next.token))
		units, _ := bits.Div64(hi%uint64(old.token), lo, uint64(old.token))
		if hi >= uint64(old.token) || units > uint64(next.capacity) {
			units = uint64(next.capacity)
		}
		level = next.capacity - int64(units)
	}
	b.nodes.Store(nodes)
	b.base.Store(next.base)
	b.rate.Store(next.rate)
	b.size.Store(uint64(next.token)<<32 | uint64(next.capacity/next.token))
	b.level.Store(version | uint64(level))
}

// change begins to exchange the fill: nobody draws until a level of the new version is
// stored. was is the level before. b.set is held.
func (b *Bucket) change() (version uint64, was int64) {
	version = (b.level.Load()>>levelBits + 1) << levelBits
	return version, int64(b.level.Swap(version|changing) & levelMask)
}

// rebase moves base up to now, because the level does not fit in its bits any more: with
// units of a nanosecond, every ten hours.
func (b *Bucket) rebase(now int64) {
	b.set.Lock()
	defer b.set.Unlock()
	f := b.fill()
	in := f.poured(now)
	if f.token == 0 || in <= mostLevel-f.capacity {
		return // another did, or a Set
	}
	version, was := b.change()
	b.base.Store(now)
	b.level.Store(version | uint64(max(was-in, 0)))
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
