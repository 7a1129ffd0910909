package limit

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"tollgate/model"
)

// Shares are this node's parts of the limits that the nodes of its gateway keep together.
// A bucket that is hardly used has an even part. Of the others the control plane is told
// how much calls ask for, and it tells the node's part: see Exchange. While there is one
// node, every limit is its alone and nothing is counted.
//
// In a steady state the parts never add up to more than the limit. When demand moves, the
// nodes it left keep their parts until they hear of it.
type Shares struct {
	nodes atomic.Int64

	mu       sync.Mutex
	touched  []*Bucket            // asked for the first time since the last report
	used     map[*Bucket]*use     // with demand, or a part that was told
	reported []*Bucket            // in the order of the last report
	last     int64                // when that was
	ready    []model.BucketDemand // its content
}

// use is how a bucket's share was used lately.
type use struct {
	demand float64 // of the limit's whole rate; 1: all of it
	fresh  bool    // it was used since the report before the last
}

const (
	// floor is the part of an even share below which a bucket's demand is not reported:
	// what all nodes together may admit unseen is as small a part of the limit.
	floor = 0.01
	// smooth is how much the demand of a moment counts against that before.
	smooth = 0.6
)

// NewShares is for a node that knows of no others yet.
func NewShares() *Shares {
	s := &Shares{used: map[*Bucket]*use{}}
	s.nodes.Store(1)
	return s
}

// BucketID is the number by which nodes mean the same bucket: a hash that nobody can aim
// at another's.
func BucketID(name string) uint64 {
	h := sha256.Sum256([]byte(name))
	return binary.BigEndian.Uint64(h[:])
}

// Bucket is a new one whose limit all nodes of s keep together. It has cache lines of its
// own: many calls at once may draw on it.
func (s *Shares) Bucket(id uint64) *Bucket {
	b := &struct {
		Bucket
		_ [32]byte
	}{}
	b.Share(s, id)
	return &b.Bucket
}

// Share has the bucket's limit kept by all nodes of s together. It is called before
// the bucket's first Set.
func (b *Bucket) Share(s *Shares, id uint64) { b.shares, b.id = s, id }

// part is a share of a throttle. Its burst is at least one call, or small limits could
// admit nothing anywhere.
func part(t model.Throttle, share float64) model.Throttle {
	if share == 1 {
		return t
	}
	p := model.Throttle{Rate: t.Rate * share, Burst: int(float64(t.Burst) * share)}
	if t.Burst > 0 {
		p.Burst = max(p.Burst, 1)
	}
	return p
}

// asked notes that a call asks for a token, and brings a bucket that was made for another
// number of nodes up to date.
func (s *Shares) asked(b *Bucket, now int64) {
	if b.Unlimited() {
		return
	}
	n := s.nodes.Load()
	if int64(b.nodes.Load()) != n {
		b.recount(n, now)
	}
	if n > 1 && b.asked.Add(1) == 1 {
		s.mu.Lock()
		s.touched = append(s.touched, b)
		s.mu.Unlock()
	}
}

// recount gives a bucket its even share among n nodes, unless it was told another that
// the next report is about to change.
func (b *Bucket) recount(n, now int64) {
	b.set.Lock()
	defer b.set.Unlock()
	if b.Unlimited() || int64(b.nodes.Load()) == n {
		return
	}
	if !b.told || n == 1 {
		b.share, b.told = 1/float64(n), false
	}
	b.refill(int32(n), now)
}

// give sets the node's share of the bucket; told: not an even one.
func (b *Bucket) give(share float64, told bool, now int64) {
	b.set.Lock()
	defer b.set.Unlock()
	if b.Unlimited() {
		return
	}
	b.told = told
	if d := share - b.share; d > -share/100 && d < share/100 {
		return
	}
	b.share = share
	b.refill(b.nodes.Load(), now)
}

// Nodes is how many keep the limits together.
func (s *Shares) Nodes() int { return int(s.nodes.Load()) }

// SetNodes says how many nodes keep the limits together, this one included. Buckets follow
// with their next call.
func (s *Shares) SetNodes(n int) { s.nodes.Store(int64(min(max(n, 1), math.MaxInt32))) }

// Report is the demand since the last report, for the control plane.
func (s *Shares) Report(now int64) []model.BucketDemand {
	s.mu.Lock()
	defer s.mu.Unlock()
	elapsed := float64(now-s.last) / 1e9
	first := s.last == 0 || elapsed > 5 // there were no reports for a while
	s.last = now
	for _, u := range s.used {
		u.fresh = false
	}
	for _, b := range s.touched {
		n := b.asked.Swap(0)
		if b.Unlimited() {
			continue
		}
		rate := b.limit().Rate
		if n == 0 || rate <= 0 || first || elapsed <= 0 {
			continue // where nothing refills, nothing is shared but the burst
		}
		d := min(float64(n)/elapsed/rate, 1e6)
		u := s.used[b]
		if u == nil {
			s.used[b] = &use{demand: d, fresh: true}
			continue
		}
		u.demand, u.fresh = smooth*d+(1-smooth)*u.demand, true
	}
	clear(s.touched)
	s.touched = s.touched[:0]
	s.ready, s.reported = s.ready[:0], s.reported[:0]
	least := floor / float64(s.nodes.Load())
	for b, u := range s.used {
		if !u.fresh {
			u.demand *= 1 - smooth
		}
		if u.demand < least {
			delete(s.used, b)
			b.give(1/float64(s.nodes.Load()), false, now)
			continue
		}
		s.ready = append(s.ready, model.BucketDemand{ID: b.id, Demand: float32(u.demand)})
		s.reported = append(s.reported, b)
	}
	s.cut(now)
	return s.ready
}

// cut keeps a report to its bound: the buckets with the most demand are in it.
func (s *Shares) cut(now int64) {
	if len(s.ready) <= model.MaxBuckets {
		return
	}
	order := make([]int, len(s.ready))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(s.ready[b].Demand, s.ready[a].Demand) })
	ready, reported := make([]model.BucketDemand, 0, model.MaxBuckets), make([]*Bucket, 0, model.MaxBuckets)
	for n, i := range order {
		if n < model.MaxBuckets {
			ready, reported = append(ready, s.ready[i]), append(reported, s.reported[i])
			continue
		}
		s.reported[i].give(1/float64(s.nodes.Load()), false, now)
	}
	s.ready, s.reported = ready, reported
}

// Apply takes in the answer to the last report.
func (s *Shares) Apply(a model.LimitAnswer, now int64) error {
	s.SetNodes(a.Nodes)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(a.Shares) != len(s.reported) {
		return model.Errorf(model.Unavailable, "the control plane answered %d shares for %d", len(a.Shares), len(s.reported))
	}
	for i, share := range a.Shares {
		if !(share >= 0 && share <= 1) {
			return model.Errorf(model.Invalid, "a share of %v is not between 0 and 1", share)
		}
		s.reported[i].give(float64(share), true, now)
	}
	return nil
}

// Even gives every bucket an even share again, because it is not known any more what
// other nodes are asked for.
func (s *Shares) Even(now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for b := range s.used {
		b.give(1/float64(s.nodes.Load()), false, now)
	}
	clear(s.used)
	s.reported = s.reported[:0]
}

func (b *Bucket) limit() model.Throttle {
	b.set.Lock()
	defer b.set.Unlock()
	return b.whole
}
