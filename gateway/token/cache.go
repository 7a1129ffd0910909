package token

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of the verified tokens that are remembered, in bytes.
const (
	maxRemembered       = 64 << 20 // by the node
	maxTenantRemembered = 16 << 20 // of one tenant: those above are verified each time
	shards              = 64
	recent              = 1 << 10
)

// id names a token as one verifier sees it: what one takes another may refuse.
type id struct {
	verifier uint64
	hash     [32]byte // SHA-256 of the token, which itself is not kept
}

// cache remembers tokens for as long as they are valid, and no longer than maxKept.
type cache struct {
	seed   uint64
	shards [shards]shard
	// recent are entries that were asked for lately, found without a lock: calls of
	// one client with one token come on many connections at once.
	recent [recent]atomic.Pointer[entry]
}

// shard has its tokens in the order in which they came, which is nearly that in which
// they are forgotten.
type shard struct {
	mu    sync.Mutex
	byID  map[id]*entry
	queue []*entry // from first on; those that are gone already are no longer in byID
	first int
	bytes int64
	_     [40]byte // shards do not share cache lines
}

type entry struct {
	id    id
	token *Token
	until time.Time
	held  *share
}

func newCache() *cache {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	c := &cache{seed: binary.LittleEndian.Uint64(b[:])}
	for i := range c.shards {
		c.shards[i].byID = map[id]*entry{}
	}
	return c
}

// place is where an entry is kept, and where it is when it was asked for lately. A token
// is in one shard for all verifiers: those of authorizers that are there no more make room
// for the next ones soon.
func (c *cache) place(k *id) (*shard, *atomic.Pointer[entry]) {
	const spread = 0x9e3779b97f4a7c15
	m := (binary.LittleEndian.Uint64(k.hash[:]) ^ c.seed) * spread
	return &c.shards[m>>58], &c.recent[(m^k.verifier)*spread>>54]
}

// good says whether an entry's token is still taken.
func (e *entry) good(now time.Time) bool { return e.until.After(now) && !e.token.key.gone.Load() }

func (c *cache) get(k id, now time.Time) *Token {
	s, lately := c.place(&k)
	if e := lately.Load(); e != nil && e.id == k && e.good(now) {
		return e.token
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byID[k]
	if e == nil {
		return nil
	}
	if !e.good(now) {
		c.drop(e)
		return nil
	}
	lately.Store(e) // under the lock: drop finds it
	return e.token
}

func (c *cache) put(held *share, k id, t *Token, now time.Time) {
	s, _ := c.place(&k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.byID[k]; old != nil {
		c.drop(old)
	}
	for s.first < len(s.queue) {
		e := s.queue[s.first]
		if s.byID[e.id] == e && e.until.After(now) && s.bytes+t.size <= maxRemembered/shards {
			break
		}
		c.drop(e)
		s.bytes -= e.token.size
		e.held.bytes.Add(-e.token.size)
		s.queue[s.first] = nil
		s.first++
	}
	if s.bytes+t.size > maxRemembered/shards || held.bytes.Load()+t.size > maxTenantRemembered {
		return
	}
	if 2*s.first > len(s.queue) {
		s.queue = append(make([]*entry, 0, len(s.queue)-s.first+8), s.queue[s.first:]...)
		s.first = 0
	}
	until := now.Add(maxKept)
	if t.expires.Before(until) {
		until = t.expires
	}
	e := &entry{k, t, until, held}
	s.byID[k] = e
	s.queue = append(s.queue, e)
	s.bytes += t.size
	held.bytes.Add(t.size)
}

// drop forgets an entry, whose shard is locked. It counts until it leaves the queue:
// till then its memory is taken.
func (c *cache) drop(e *entry) {
	s, lately := c.place(&e.id)
	if s.byID[e.id] == e {
		delete(s.byID, e.id)
	}
	lately.CompareAndSwap(e, nil)
}
