package gateway

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"

	"tollgate/gateway/policy"
)

// authorization is what an authorizer said of an identity: immutable, shared by calls.
type authorization struct {
	caller *caller
	policy *policy.Policy
	text   []byte // of the policy
	size   int64  // estimated bytes
	// where there is none, because the authorizer failed
	kind kind
	why  string
}

// authKey names stage, authorizer and identity.
type authKey [sha256.Size]byte

// Bounds of the authorizations that are kept.
const (
	authShards    = 16
	maxTenantAuth = 16 << 20  // bytes, of one tenant on a node
	maxNodeAuth   = 256 << 20 // bytes, of all
	authOverhead  = 512       // bytes that one takes beside its texts
)

// authCache keeps a tenant's authorizations until they are too old, the oldest giving way
// to the newest. It is the tenant's alone, so that none ever meets another's, and stale
// ones are never asked for again: a stage that is flushed has other keys.
type authCache struct{ shards [authShards]authShard }

type authShard struct {
	mu      sync.Mutex
	entries map[authKey]*authEntry
	oldest  *authEntry // in the order they came
	newest  *authEntry
	bytes   int64
	flights map[authKey]*flight
}

type authEntry struct {
	key   authKey
	value *authorization
	until int64 // of http1.Now
	next  *authEntry
}

// flight is an authorizer being asked; whoever comes with the same identity waits for
// what it says.
type flight struct {
	done  chan struct{}
	value *authorization // there once done is closed
}

func (c *authCache) shard(k *authKey) *authShard { return &c.shards[k[0]%authShards] }

// get is what is kept for a key and holds at now; nil: nothing.
func (c *authCache) get(k *authKey, now int64) *authorization {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.get(k, now)
}

func (s *authShard) get(k *authKey, now int64) *authorization {
	if e := s.entries[*k]; e != nil && now < e.until {
		return e.value
	}
	return nil
}

// join is get, or else the flight that is to find the value: own says that the caller is
// the one to end it with land, others wait for it.
func (c *authCache) join(k *authKey, now int64) (v *authorization, f *flight, own bool) {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.get(k, now); v != nil {
		return v, nil, false
	}
	if f := s.flights[*k]; f != nil {
		return nil, f, false
	}
	if s.flights == nil {
		s.flights = map[authKey]*flight{}
	}
	f = &flight{done: make(chan struct{})}
	s.flights[*k] = f
	return nil, f, true
}

// land ends a flight. What was found is kept until a time, if it is worth keeping and
// there is room; node counts the bytes of all tenants.
func (c *authCache) land(k *authKey, f *flight, v *authorization, now, until int64, node *atomic.Int64) {
	s := c.shard(k)
	s.mu.Lock()
	f.value = v
	delete(s.flights, *k)
	if v.policy != nil {
		s.keep(k, v, now, until, node)
	}
	s.mu.Unlock()
	close(f.done)
}

func (s *authShard) keep(k *authKey, v *authorization, now, until int64, node *atomic.Int64) {
	for s.oldest != nil && (s.oldest.until <= now || s.bytes+v.size > maxTenantAuth/authShards || node.Load()+v.size > maxNodeAuth) {
		s.drop(node)
	}
	if s.bytes+v.size > maxTenantAuth/authShards || node.Load()+v.size > maxNodeAuth {
		return
	}
	if s.entries == nil {
		s.entries = map[authKey]*authEntry{}
	}
	e := &authEntry{key: *k, value: v, until: until}
	if s.newest == nil {
		s.oldest = e
	} else {
		s.newest.next = e
	}
	s.newest = e
	s.entries[*k] = e
	s.bytes += v.size
	node.Add(v.size)
}

// drop forgets the oldest.
func (s *authShard) drop(node *atomic.Int64) {
	e := s.oldest
	if s.oldest = e.next; s.oldest == nil {
		s.newest = nil
	}
	if s.entries[e.key] == e { // not a newer one of the same key
		delete(s.entries, e.key)
	}
	s.bytes -= e.value.size
	node.Add(-e.value.size)
}

// close gives back what the tenant has of the node's room.
func (c *authCache) close(node *atomic.Int64) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for s.oldest != nil {
			s.drop(node)
		}
		s.mu.Unlock()
	}
}
