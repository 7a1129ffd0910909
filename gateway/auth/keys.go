// Package auth tells whose API key a request carries. A table maps a tenant and
// the SHA-256 of a key's value to what the gateway knows of the key; readers
// take no lock while writers change it.
//
// It must never hold or compare a key's value: only its hash, in constant time.
package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"math/bits"
	"sync"
	"sync/atomic"
)

const (
	shardBits = 9
	shards    = 1 << shardBits
	small     = 4 // slots of an empty shard
)

// Hash is the SHA-256 of a key's value.
type Hash = [sha256.Size]byte

// ID names a key within the table.
type ID struct {
	Tenant uint32
	Hash   Hash
}

// Key is a key with what belongs to it. Value is not nil.
type Key[T any] struct {
	ID
	Value *T
}

// Keys is a table of keys. Use New.
type Keys[T any] struct {
	seed  [2]uint64
	table atomic.Pointer[[shards]atomic.Pointer[shard[T]]]
	write sync.Mutex
}

// shard is a part of the table that is never changed, only replaced: an
// open-addressing table at most three quarters full. A look-up touches one cache
// line of it, mostly, because a key is found at its place or right behind.
type shard[T any] struct {
	slots []slot[T]
	used  int
}

type slot[T any] struct {
	hash   Hash
	value  *T // nil: free
	tenant uint32
	_      [20]byte // to a cache line
}

// New is an empty table. The places of keys in it depend on a random seed, so
// that no one can choose keys that collide.
func New[T any]() *Keys[T] {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	k := &Keys[T]{seed: [2]uint64{binary.LittleEndian.Uint64(b[:]) | 1, binary.LittleEndian.Uint64(b[8:])}}
	k.Replace(nil)
	return k
}

// Lookup finds a key by its value; nil if there is none, or if the value cannot
// be a key's.
func (k *Keys[T]) Lookup(tenant uint32, value []byte) *T {
	if !Plausible(value) {
		return nil
	}
	h := sha256.Sum256(value)
	return k.Find(tenant, &h)
}

// Find finds a key by its hash.
func (k *Keys[T]) Find(tenant uint32, h *Hash) *T {
	m := k.mix(tenant, h)
	s := k.table.Load()[part(m)].Load()
	return s.slots[s.place(m, tenant, h)].value
}

// part is the shard of a key mixed to m.
func part(m uint64) uint64 { return m >> (64 - shardBits) }

// home is where the key mixed to m would be best.
func (s *shard[T]) home(m uint64) int {
	return int(uint64(uint32(m)) * uint64(len(s.slots)) >> 32)
}

// place is the slot of a key, or the free one where it would go.
func (s *shard[T]) place(m uint64, tenant uint32, h *Hash) int {
	at := s.home(m)
	for s.slots[at].value != nil && !s.slots[at].is(tenant, h) {
		if at++; at == len(s.slots) {
			at = 0
		}
	}
	return at
}

// is compares in a time that does not depend on where the hashes differ.
func (e *slot[T]) is(tenant uint32, h *Hash) bool {
	le := binary.LittleEndian
	a, b := e.hash[:], h[:]
	d := le.Uint64(a) ^ le.Uint64(b)
	d |= le.Uint64(a[8:]) ^ le.Uint64(b[8:])
	d |= le.Uint64(a[16:]) ^ le.Uint64(b[16:])
	d |= le.Uint64(a[24:]) ^ le.Uint64(b[24:])
	return d|uint64(e.tenant^tenant) == 0
}

// mix spreads a key over 64 bits: its shard comes from the top, its slot from
// the lower half.
func (k *Keys[T]) mix(tenant uint32, h *Hash) uint64 {
	a := binary.LittleEndian.Uint64(h[:]) ^ k.seed[0]
	b := binary.LittleEndian.Uint64(h[8:]) ^ k.seed[1] ^ uint64(tenant)<<32
	hi, lo := bits.Mul64(a, b)
	return (hi ^ lo) * 0x9e3779b97f4a7c15
}

// Apply deletes and then puts in keys; a key that is there already gets the new
// value. It copies the touched parts of the table only.
func (k *Keys[T]) Apply(upserts []Key[T], deletes []ID) {
	k.write.Lock()
	defer k.write.Unlock()
	type change struct {
		upserts []*Key[T]
		deletes []*ID
	}
	changes := map[uint64]*change{}
	of := func(id *ID) *change {
		n := part(k.mix(id.Tenant, &id.Hash))
		if changes[n] == nil {
			changes[n] = &change{}
		}
		return changes[n]
	}
	for i := range deletes {
		c := of(&deletes[i])
		c.deletes = append(c.deletes, &deletes[i])
	}
	for i := range upserts {
		c := of(&upserts[i].ID)
		c.upserts = append(c.upserts, &upserts[i])
	}
	table := k.table.Load()
	for n, c := range changes {
		table[n].Store(k.changed(table[n].Load(), c.upserts, c.deletes))
	}
}

// changed is a copy of old with keys deleted and put in.
func (k *Keys[T]) changed(old *shard[T], upserts []*Key[T], deletes []*ID) *shard[T] {
	s := k.copied(old, old.used+len(upserts))
	for _, id := range deletes {
		at := s.place(k.mix(id.Tenant, &id.Hash), id.Tenant, &id.Hash)
		if s.slots[at].value != nil {
			k.free(s, at)
		}
	}
	for _, u := range upserts {
		s.put(k.mix(u.Tenant, &u.Hash), slot[T]{hash: u.Hash, tenant: u.Tenant, value: u.Value})
	}
	return s
}

// copied is old with room for n keys: as it is if that fits well, else rebuilt.
func (k *Keys[T]) copied(old *shard[T], n int) *shard[T] {
	if size := len(old.slots); n <= size/4*3 && (n >= size/4 || size <= small) {
		return &shard[T]{slots: append([]slot[T](nil), old.slots...), used: old.used}
	}
	s := &shard[T]{slots: make([]slot[T], small+n+n/2)}
	for i := range old.slots {
		if e := &old.slots[i]; e.value != nil {
			s.put(k.mix(e.tenant, &e.hash), *e)
		}
	}
	return s
}

func (s *shard[T]) put(m uint64, e slot[T]) {
	at := s.place(m, e.tenant, &e.hash)
	if s.slots[at].value == nil {
		s.used++
	}
	s.slots[at] = e
}

// free empties a slot and moves up the keys behind it that are not at home.
func (k *Keys[T]) free(s *shard[T], at int) {
	s.used--
	n := len(s.slots)
	for next := (at + 1) % n; s.slots[next].value != nil; next = (next + 1) % n {
		e := &s.slots[next]
		home := s.home(k.mix(e.tenant, &e.hash))
		if (next-home+n)%n >= (next-at+n)%n {
			s.slots[at] = *e
			at = next
		}
	}
	s.slots[at] = slot[T]{}
}

// Replace makes all the whole table at once: no reader sees keys of before
// beside keys of after.
func (k *Keys[T]) Replace(all []Key[T]) {
	k.write.Lock()
	defer k.write.Unlock()
	var parts [shards][]*Key[T]
	for i := range all {
		n := part(k.mix(all[i].Tenant, &all[i].Hash))
		parts[n] = append(parts[n], &all[i])
	}
	table := new([shards]atomic.Pointer[shard[T]])
	empty := &shard[T]{slots: make([]slot[T], small)}
	for n := range table {
		if len(parts[n]) == 0 {
			table[n].Store(empty)
			continue
		}
		table[n].Store(k.changed(empty, parts[n], nil))
	}
	k.table.Store(table)
}

// Len is the number of keys.
func (k *Keys[T]) Len() int {
	n := 0
	table := k.table.Load()
	for i := range table {
		n += table[i].Load().used
	}
	return n
}

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// Plausible says what model.CheckKeyValue says, without a message and without
// allocating: whether a value can be a key's, so that one of ours that was
// mistyped or made up is not even hashed.
func Plausible(value []byte) bool {
	if len(value) < 20 || len(value) > 128 {
		return false
	}
	for _, c := range value {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	if p := string(value[:8]); p != "tg_live_" && p != "tg_test_" {
		return true
	}
	if len(value) != 46 {
		return false
	}
	c := crc32.ChecksumIEEE(value[:40])
	for i := 45; i >= 40; i-- {
		if value[i] != base62[c%62] {
			return false
		}
		c /= 62
	}
	return true
}
