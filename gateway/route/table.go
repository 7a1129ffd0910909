package route

import "hash/maphash"

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

func (t *Tree) hash(b []byte) uint64 { return maphash.Bytes(t.seed, b) }

// hash2 is the hash of a mixed part's texts before and after its variable.
func (t *Tree) hash2(before, after []byte) uint64 {
	return maphash.Bytes(t.seed, before)*0x9e3779b97f4a7c15 + maphash.Bytes(t.seed, after)
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
