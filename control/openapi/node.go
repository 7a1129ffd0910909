package openapi

import (
	"strconv"
	"strings"
)

type kind uint8

const (
	null kind = iota
	scalar
	mapping
	sequence
)

// node is one value of a document with its place in the source. Aliases and
// merge keys are resolved, so that a node may have several parents; it never is
// its own descendant.
type node struct {
	kind      kind
	line, col int32
	value     string  // of a scalar
	bare      bool    // a scalar that is a number or true or false, not a string
	entries   []entry // of a mapping, in the order of the source, repeated keys included
	items     []*node // of a sequence
	weight    int     // of a mapping or sequence: bytes it stands for once aliases are written out
}

type entry struct{ key, val *node }

// loc is a node with the pointer that leads to it. A loc without a node is what
// looking up an absent key gives; all its methods work.
type loc struct {
	node *node
	key  *node // the key it was found under: what a message points to
	at   string
}

func (l loc) there() bool { return l.node != nil }

func (l loc) is(k kind) bool { return l.node != nil && l.node.kind == k }

// get is the value under a key; the last one, where a key is repeated.
func (l loc) get(key string) loc {
	if l.is(mapping) {
		for i := len(l.node.entries) - 1; i >= 0; i-- {
			if e := l.node.entries[i]; e.key.value == key {
				return loc{node: e.val, key: e.key, at: l.at + "/" + escape(key)}
			}
		}
	}
	return loc{at: l.at + "/" + escape(key)}
}

// fields are the entries of a mapping, in order.
func (l loc) fields() []loc {
	if !l.is(mapping) {
		return nil
	}
	out := make([]loc, len(l.node.entries))
	for i, e := range l.node.entries {
		out[i] = loc{node: e.val, key: e.key, at: l.at + "/" + escape(e.key.value)}
	}
	return out
}

func (l loc) name() string {
	if l.key == nil {
		return ""
	}
	return l.key.value
}

// items are the values of a sequence.
func (l loc) items() []loc {
	if !l.is(sequence) {
		return nil
	}
	out := make([]loc, len(l.node.items))
	for i, n := range l.node.items {
		out[i] = loc{node: n, at: l.at + "/" + strconv.Itoa(i)}
	}
	return out
}

// size is the number of entries or items.
func (l loc) size() int {
	if l.node == nil {
		return 0
	}
	return len(l.node.entries) + len(l.node.items)
}

// text is a scalar's value, "" for anything else.
func (l loc) text() string {
	if l.is(scalar) {
		return l.node.value
	}
	return ""
}

func (l loc) isTrue() bool { return l.text() == "true" }

// place is where a message about l points: its key, or the value without one.
func (l loc) place() (line, col int) {
	switch {
	case l.key != nil:
		return int(l.key.line), int(l.key.col)
	case l.node != nil:
		return int(l.node.line), int(l.node.col)
	}
	return 0, 0
}

var pointerEscaper = strings.NewReplacer("~", "~0", "/", "~1")
var pointerUnescaper = strings.NewReplacer("~1", "/", "~0", "~")

func escape(key string) string {
	if strings.ContainsAny(key, "~/") {
		return pointerEscaper.Replace(key)
	}
	return key
}
