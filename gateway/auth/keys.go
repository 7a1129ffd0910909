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

const shards = 256

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

// shard is a part of the table that is never changed, only replaced. slots is an
// open-addressing index into entries, at most half full.
type shard[T any] struct {
	slots   []uint64 // tag in the upper half, index plus one in the lower; 0: free
	entries []Key[T]
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
	s := k.table.Load()[m>>56].Load()
	if e := s.find(m, tenant, h); e != nil {
		return e.Value
	}
	return nil
}

func (s *shard[T]) find(m uint64, tenant uint32, h *Hash) *Key[T] {
	if len(s.slots) == 0 {
		return nil
	}
	mask := uint64(len(s.slots) - 1)
	for at := m & mask; ; at = (at + 1) & mask {
		slot := s.slots[at]
		if slot == 0 {
			return nil
		}
		if tag(m) != slot>>32 {
			continue
		}
		if e := &s.entries[uint32(slot)-1]; e.is(tenant, h) {
			return e
		}
	}
}

// is compares in a time that does not depend on where the hashes differ.
func (e *Key[T]) is(tenant uint32, h *Hash) bool {
	le := binary.LittleEndian
	a, b := e.Hash[:], h[:]
	d := le.Uint64(a) ^ le.Uint64(b)
	d |= le.Uint64(a[8:]) ^ le.Uint64(b[8:])
	d |= le.Uint64(a[16:]) ^ le.Uint64(b[16:])
	d |= le.Uint64(a[24:]) ^ le.Uint64(b[24:])
	return d|uint64(e.Tenant^tenant) == 0
}

// mix spreads a key over 64 bits: the shard from the top, the tag from the
// middle, the slot from the bottom.
func (k *Keys[T]) mix(tenant uint32, h *Hash) uint64 {
	a := binary.LittleEndian.Uint64(h[:]) ^ k.seed[0]
	b := binary.LittleEndian.Uint64(h[8:]) ^ k.seed[1] ^ uint64(tenant)<<32
	hi, lo := bits.Mul64(a, b)
	return (hi ^ lo) * 0x9e3779b97f4a7c15
}

func tag(m uint64) uint64 { return m >> 24 & 0xffffffff }

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
		n := k.mix(id.Tenant, &id.Hash) >> 56
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
	s := &shard[T]{entries: make([]Key[T], len(old.entries), len(old.entries)+len(upserts))}
	copy(s.entries, old.entries)
	gone := false
	for _, id := range deletes {
		if e := k.entry(s, old, id); e != nil {
			e.Value, gone = nil, true
		}
	}
	if gone {
		kept := s.entries[:0]
		for _, e := range s.entries {
			if e.Value != nil {
				kept = append(kept, e)
			}
		}
		clear(s.entries[len(kept):])
		s.entries = kept
	}
	s.index(k, len(s.entries)+len(upserts))
	for _, u := range upserts {
		m := k.mix(u.Tenant, &u.Hash)
		if e := s.find(m, u.Tenant, &u.Hash); e != nil {
			e.Value = u.Value
			continue
		}
		s.entries = append(s.entries, *u)
		s.insert(m, len(s.entries))
	}
	return s
}

// entry is the place in s of what old, whose order s still has, finds for id.
func (k *Keys[T]) entry(s, old *shard[T], id *ID) *Key[T] {
	e := old.find(k.mix(id.Tenant, &id.Hash), id.Tenant, &id.Hash)
	if e == nil {
		return nil
	}
	for i := range s.entries {
		if &old.entries[i] == e {
			return &s.entries[i]
		}
	}
	return nil
}

// index builds the slots for n entries.
func (s *shard[T]) index(k *Keys[T], n int) {
	if n == 0 {
		return
	}
	s.slots = make([]uint64, max(8, 1<<bits.Len(uint(2*n-1))))
	for i := range s.entries {
		e := &s.entries[i]
		s.insert(k.mix(e.Tenant, &e.Hash), i+1)
	}
}

func (s *shard[T]) insert(m uint64, number int) {
	mask := uint64(len(s.slots) - 1)
	at := m & mask
	for s.slots[at] != 0 {
		at = (at + 1) & mask
	}
	s.slots[at] = tag(m)<<32 | uint64(number)
}

// Replace makes all the whole table at once: no reader sees keys of before
// beside keys of after.
func (k *Keys[T]) Replace(all []Key[T]) {
	k.write.Lock()
	defer k.write.Unlock()
	var parts [shards][]*Key[T]
	for i := range all {
		n := k.mix(all[i].Tenant, &all[i].Hash) >> 56
		parts[n] = append(parts[n], &all[i])
	}
	table := new([shards]atomic.Pointer[shard[T]])
	empty := &shard[T]{}
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
		n += len(table[i].Load().entries)
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
