package route

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
)

// few is the number of children up to which comparing all is cheaper than
// hashing.
const few = 3

// table maps texts to nodes. With few entries slots is empty and entries is
// searched; with more, slots is an open-addressing index into entries, at most
// half full. The hash is seeded per tree, so that nobody can choose names that
// collide.
type table struct {
	entries []entry
	slots   []slot
	longest int
}

type entry struct {
	text string
	hash uint64
	next *node
}

type slot struct {
	tag uint32
	at  int32 // index into entries plus one; 0: free
}

func (t *table) index() {
	for i := range t.entries {
		t.longest = max(t.longest, len(t.entries[i].text))
	}
	if len(t.entries) <= few {
		return
	}
	size := 8
	for size < 2*len(t.entries) {
		size *= 2
	}
	t.slots = make([]slot, size)
	for i := range t.entries {
		h := t.entries[i].hash
		at := int(h) & (size - 1)
		for t.slots[at].at != 0 {
			at = (at + 1) & (size - 1)
		}
		t.slots[at] = slot{tag: uint32(h >> 32), at: int32(i + 1)}
	}
}

// hash of short texts, as most are, is one multiplication with the tree's seed.
func (t *Tree) hash(b []byte) uint64 {
	var x, y uint64
	le := binary.LittleEndian
	switch n := len(b); {
	case n > 16:
		return maphash.Bytes(t.long, b)
	case n >= 8:
		x, y = le.Uint64(b), le.Uint64(b[n-8:])
	case n >= 4:
		x, y = uint64(le.Uint32(b)), uint64(le.Uint32(b[n-4:]))
	case n > 0:
		x, y = uint64(b[0])|uint64(b[n/2])<<8, uint64(b[n-1])
	}
	hi, lo := bits.Mul64(x^t.seed[0], y^t.seed[1]^uint64(len(b))<<56)
	return hi ^ lo
}

// hash2 is the hash of a mixed part's texts before and after its variable.
func (t *Tree) hash2(before, after []byte) uint64 {
	return t.hash(before)*0x9e3779b97f4a7c15 + t.hash(after)
}

// literal finds the child for a whole part.
func (t *Tree) literal(tb *table, seg []byte) *node {
	if len(tb.slots) == 0 {
		for i := range tb.entries {
			if e := &tb.entries[i]; e.text == string(seg) {
				return e.next
			}
		}
		return nil
	}
	if len(seg) > tb.longest {
		return nil
	}
	h := t.hash(seg)
	mask := len(tb.slots) - 1
	for at := int(h) & mask; ; at = (at + 1) & mask {
		s := tb.slots[at]
		if s.at == 0 {
			return nil
		}
		if s.tag == uint32(h>>32) {
			if e := &tb.entries[s.at-1]; e.text == string(seg) {
				return e.next
			}
		}
	}
}

// mixed finds the child for the texts around a variable.
func (t *Tree) mixed(tb *table, before, after []byte) *node {
	if len(tb.slots) == 0 {
		for i := range tb.entries {
			if e := &tb.entries[i]; e.is(before, after) {
				return e.next
			}
		}
		return nil
	}
	h := t.hash2(before, after)
	mask := len(tb.slots) - 1
	for at := int(h) & mask; ; at = (at + 1) & mask {
		s := tb.slots[at]
		if s.at == 0 {
			return nil
		}
		if s.tag == uint32(h>>32) {
			if e := &tb.entries[s.at-1]; e.is(before, after) {
				return e.next
			}
		}
	}
}

func (e *entry) is(before, after []byte) bool {
	return e.text[:len(before)] == string(before) && e.text[len(before):] == string(after)
}
