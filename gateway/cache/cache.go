// Package cache keeps answers of integrations in memory, as a stage's cache does on
// Amazon API Gateway: by the parameters that the author chose, for a time, within a
// bound on bytes. Each stage has a Store of its own, so an answer can never be had
// through another stage, and a flush is a new Store.
//
// It must never hold more than its Budget allows, never wait for an upstream itself,
// and never give out an entry after its time.
package cache

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"sync/atomic"
)

// MaxEntry bounds one entry in bytes, as on Amazon API Gateway.
const MaxEntry = 1_048_576

// Entry is one answer, immutable.
type Entry struct {
	Status  int
	Head    []byte // header lines with CRLF
	Body    []byte
	Expires int64 // in the clock that Get is asked with
	Sealed  bool  // Body is encrypted by its Store
}

// overhead is what an entry takes beside its bytes: its key, its place in lists.
const overhead = 256

func (e *Entry) size() int64 { return int64(len(e.Head)+len(e.Body)) + overhead }

// Key names an entry within a Store.
type Key [sha256.Size]byte

// KeyMaker makes a Key of parts that are told apart by their lengths.
type KeyMaker struct{ buf []byte }

// Start begins a key.
func (m *KeyMaker) Start() { m.buf = m.buf[:0] }

// Add adds a part; one that is not there differs from an empty one.
func (m *KeyMaker) Add(part []byte, there bool) {
	n := uint32(len(part))
	if !there {
		n = 1<<32 - 1
	}
	m.buf = append(binary.BigEndian.AppendUint32(m.buf, n), part...)
}

// Key is what was added.
func (m *KeyMaker) Key() Key { return sha256.Sum256(m.buf) }

// Budget bounds the bytes of several Stores together; each is within its parent's.
type Budget struct {
	parent *Budget
	max    int64
	used   atomic.Int64
}

// NewBudget allows max bytes within parent, which may be nil.
func NewBudget(max int64, parent *Budget) *Budget { return &Budget{parent: parent, max: max} }

// Used are the bytes that are held.
func (b *Budget) Used() int64 { return b.used.Load() }

func (b *Budget) acquire(n int64) bool {
	if b == nil {
		return true
	}
	if b.used.Add(n) > b.max || !b.parent.acquire(n) {
		b.used.Add(-n)
		return false
	}
	return true
}

func (b *Budget) release(n int64) {
	for ; b != nil; b = b.parent {
		b.used.Add(-n)
	}
}

const shards = 16

// Store is one stage's entries.
type Store struct {
	budget *Budget
	max    int64 // of each shard
	seal   sealer
	shards [shards]shard
}

// shard is a share of the entries, with the one used last in front.
type shard struct {
	mu      sync.Mutex
	entries map[Key]*node
	front   node // of a ring
	bytes   int64
	flights map[Key]*Flight
	closed  bool
}

type node struct {
	key        Key
	entry      *Entry
	prev, next *node
}

// NewStore makes a store of at most max bytes within a budget.
func NewStore(max int64, budget *Budget) *Store {
	s := &Store{budget: budget, max: max / shards, seal: newSealer()}
	for i := range s.shards {
		h := &s.shards[i]
		h.front.prev, h.front.next = &h.front, &h.front
	}
	return s
}

func (s *Store) shard(k *Key) *shard { return &s.shards[k[0]%shards] }

// Get finds an entry that is good at now; nil: there is none.
func (s *Store) Get(k Key, now int64) *Entry {
	h := s.shard(&k)
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.entries[k]
	if n == nil {
		return nil
	}
	if n.entry.Expires <= now {
		s.drop(h, n)
		return nil
	}
	n.unlink()
	n.link(&h.front)
	return n.entry
}

// Body is an entry's, decrypted; nil, false: it was sealed by another Store.
func (s *Store) Body(k Key, e *Entry) ([]byte, bool) {
	if !e.Sealed {
		return e.Body, true
	}
	return s.seal.open(k, e.Body)
}

// Flight is a question that is under way for a key: others with the same key wait for
// its end rather than ask again.
type Flight struct {
	done  chan struct{}
	entry *Entry
}

// Done is closed when the question was answered.
func (f *Flight) Done() <-chan struct{} { return f.done }

// Entry is what came of it, once Done is closed; nil: nothing that others may have.
func (f *Flight) Entry() *Entry { return f.entry }

// Begin joins the flight of a key. first: there was none, and the caller asks, and ends
// it by End whatever happens.
func (s *Store) Begin(k Key) (f *Flight, first bool) {
	h := s.shard(&k)
	h.mu.Lock()
	defer h.mu.Unlock()
	if f = h.flights[k]; f != nil {
		return f, false
	}
	if h.flights == nil {
		h.flights = map[Key]*Flight{}
	}
	f = &Flight{done: make(chan struct{})}
	h.flights[k] = f
	return f, true
}

// End ends a flight with what came of it, which is kept if it fits; nil: nothing.
func (s *Store) End(k Key, f *Flight, e *Entry) {
	if e != nil {
		s.Put(k, e)
	}
	h := s.shard(&k)
	h.mu.Lock()
	defer h.mu.Unlock()
	f.entry = e
	delete(h.flights, k)
	close(f.done)
}

// Seal encrypts an entry that is not kept yet.
func (s *Store) Seal(k Key, e *Entry) { e.Body, e.Sealed = s.seal.seal(k, e.Body), true }

// Put keeps an entry in place of the one of the same key, and lets go of those used
// longest ago where there is no room. One that does not fit at all is not kept.
func (s *Store) Put(k Key, e *Entry) {
	size := e.size()
	h := s.shard(&k)
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := h.entries[k]; n != nil {
		s.drop(h, n)
	}
	if h.closed || size > s.max || size > MaxEntry+overhead {
		return
	}
	for h.bytes+size > s.max {
		s.drop(h, h.front.prev)
	}
	for !s.budget.acquire(size) {
		if h.front.prev == &h.front {
			return // others hold it all
		}
		s.drop(h, h.front.prev)
	}
	if h.entries == nil {
		h.entries = map[Key]*node{}
	}
	n := &node{key: k, entry: e}
	h.entries[k] = n
	h.bytes += size
	n.link(&h.front)
}

// Drop lets go of one entry.
func (s *Store) Drop(k Key) {
	h := s.shard(&k)
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := h.entries[k]; n != nil {
		s.drop(h, n)
	}
}

// Close lets go of everything, and keeps nothing any more.
func (s *Store) Close() {
	for i := range s.shards {
		h := &s.shards[i]
		h.mu.Lock()
		for h.front.next != &h.front {
			s.drop(h, h.front.next)
		}
		h.closed = true
		h.mu.Unlock()
	}
}

// Bytes that the entries take.
func (s *Store) Bytes() (n int64) {
	for i := range s.shards {
		h := &s.shards[i]
		h.mu.Lock()
		n += h.bytes
		h.mu.Unlock()
	}
	return n
}

func (s *Store) drop(h *shard, n *node) {
	n.unlink()
	delete(h.entries, n.key)
	size := n.entry.size()
	h.bytes -= size
	s.budget.release(size)
}

func (n *node) unlink() { n.prev.next, n.next.prev = n.next, n.prev }

func (n *node) link(front *node) {
	n.prev, n.next = front, front.next
	front.next.prev, front.next = n, n
}
