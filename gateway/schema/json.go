package schema

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// kind is a JSON value's primitive type. The order is the alphabet's, which is the
// order in which a message lists allowed types.
type kind uint8

const (
	arrayKind kind = iota
	booleanKind
	integerKind
	nullKind
	numberKind
	objectKind
	stringKind
)

var kindNames = [...]string{"array", "boolean", "integer", "null", "number", "object", "string"}

func (k kind) String() string { return kindNames[k] }

func (k kind) container() bool { return k == arrayKind || k == objectKind }

const (
	flagEscaped = 1 << iota // the text is in doc.esc, not in doc.src
	flagTrue                // of booleans
	flagDead                // a member's name that is repeated later: the last one counts
)

// value is one JSON value, or the name of a member (which is followed by its value).
// 16 bytes: a body of the smallest values ("0,") takes eight times its own size.
type value struct {
	off, end uint32 // a scalar's text; a container's live members are counted in end
	next     uint32 // index of the first value behind this one and all it holds
	kind     kind
	flags    uint8
}

// doc is a parsed JSON text: values in the order they were read.
type doc struct {
	src  []byte
	esc  []byte // decoded text of strings that had escapes
	tape []value

	// table finds repeated names of a large object; kept between objects.
	table []uint32
}

const (
	maxBodyDepth  = 1000 // Jackson's default (StreamReadConstraints)
	maxModelDepth = 256
	maxNumber     = 1000 // characters; Jackson's default
	maxExponent   = 999_999_999
)

// seed makes hashes of what clients send unpredictable to them.
var seed = maphash.MakeSeed()

type syntaxError struct {
	offset int
	reason string
}

func (e *syntaxError) Error() string { return fmt.Sprintf("%s (byte %d)", e.reason, e.offset) }

// parse reads src as one JSON text. It keeps src.
func (d *doc) parse(src []byte, maxDepth int) error {
	d.src, d.esc, d.tape = src, d.esc[:0], d.tape[:0]
	p := parser{doc: d, maxDepth: maxDepth}
	if err := p.value(0); err != nil {
		return err
	}
	p.space()
	if p.at < len(src) {
		return p.fail("more text behind the JSON value")
	}
	return nil
}

type parser struct {
	*doc
	at       int
	maxDepth int
}

func (p *parser) fail(reason string) error { return &syntaxError{p.at, reason} }

func (p *parser) space() {
	for p.at < len(p.src) {
		switch p.src[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

func (p *parser) value(depth int) error {
	p.space()
	if p.at == len(p.src) {
		return p.fail("unexpected end of the JSON text")
	}
	switch c := p.src[p.at]; {
	case c == '{' || c == '[':
		if depth == p.maxDepth {
			return p.fail(fmt.Sprintf("nested deeper than %d levels", p.maxDepth))
		}
		if c == '{' {
			return p.object(depth + 1)
		}
		return p.array(depth + 1)
	case c == '"':
		return p.string()
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	case c == 't':
		return p.word("true", booleanKind, flagTrue)
	case c == 'f':
		return p.word("false", booleanKind, 0)
	case c == 'n':
		return p.word("null", nullKind, 0)
	}
	return p.fail("a JSON value was expected")
}

func (p *parser) scalar(from int, k kind, flags uint8) {
	p.tape = append(p.tape, value{off: uint32(from), end: uint32(p.at), next: uint32(len(p.tape) + 1), kind: k, flags: flags})
}

func (p *parser) word(word string, k kind, flags uint8) error {
	if !bytes.HasPrefix(p.src[p.at:], []byte(word)) {
		return p.fail("a JSON value was expected")
	}
	p.at += len(word)
	p.scalar(p.at-len(word), k, flags)
	return nil
}

func (p *parser) digits() int {
	from := p.at
	for p.at < len(p.src) && p.src[p.at]-'0' <= 9 {
		p.at++
	}
	return p.at - from
}

func (p *parser) peek(cs string) bool {
	return p.at < len(p.src) && bytes.IndexByte([]byte(cs), p.src[p.at]) >= 0
}

func (p *parser) number() error {
	from, k := p.at, integerKind
	if p.peek("-") {
		p.at++
	}
	zero := p.peek("0")
	if n := p.digits(); n == 0 || zero && n > 1 {
		return p.fail("malformed number")
	}
	if p.peek(".") {
		p.at++
		k = numberKind
		if p.digits() == 0 {
			return p.fail("malformed number")
		}
	}
	if p.peek("eE") {
		p.at++
		k = numberKind
		if p.peek("+-") {
			p.at++
		}
		e := p.at
		if p.digits() == 0 {
			return p.fail("malformed number")
		}
		if n, ok := smallInt(bytes.TrimLeft(p.src[e:p.at], "0")); !ok || n > maxExponent {
			return p.fail("exponent out of range")
		}
	}
	if p.at-from > maxNumber {
		return p.fail(fmt.Sprintf("a number of more than %d characters", maxNumber))
	}
	p.scalar(from, k, 0)
	return nil
}

func (p *parser) string() error {
	p.at++
	from := p.at
	for p.at < len(p.src) {
		switch c := p.src[p.at]; {
		case c == '"':
			p.scalar(from, stringKind, 0)
			p.at++
			return nil
		case c == '\\':
			return p.escaped(from)
		case c < ' ':
			return p.fail("control character inside a string")
		}
		p.at++
	}
	return p.fail("a string without end")
}

// escaped reads a string that holds escapes from its start on.
func (p *parser) escaped(from int) error {
	start := len(p.esc)
	p.esc = append(p.esc, p.src[from:p.at]...)
	for p.at < len(p.src) {
		c := p.src[p.at]
		p.at++
		switch {
		case c == '"':
			p.tape = append(p.tape, value{off: uint32(start), end: uint32(len(p.esc)), next: uint32(len(p.tape) + 1), kind: stringKind, flags: flagEscaped})
			return nil
		case c < ' ':
			return p.fail("control character inside a string")
		case c != '\\':
			p.esc = append(p.esc, c)
			continue
		}
		if p.at == len(p.src) {
			break
		}
		c = p.src[p.at]
		p.at++
		if c == 'u' {
			r, ok := p.hex()
			if !ok {
				return p.fail("malformed escape")
			}
			if utf16.IsSurrogate(r) && bytes.HasPrefix(p.src[p.at:], []byte(`\u`)) {
				back := p.at
				p.at += 2
				low, ok := p.hex()
				if !ok {
					return p.fail("malformed escape")
				}
				if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
					r = both
				} else {
					p.at = back
				}
			}
			p.esc = utf8.AppendRune(p.esc, r)
			continue
		}
		i := bytes.IndexByte([]byte(`"\/bfnrt`), c)
		if i < 0 {
			return p.fail("malformed escape")
		}
		p.esc = append(p.esc, "\"\\/\b\f\n\r\t"[i])
	}
	return p.fail("a string without end")
}

func (p *parser) hex() (rune, bool) {
	if len(p.src)-p.at < 4 {
		return 0, false
	}
	var r rune
	for _, c := range p.src[p.at : p.at+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	p.at += 4
	return r, true
}

func (p *parser) array(depth int) error {
	self := len(p.tape)
	p.tape = append(p.tape, value{off: uint32(p.at), kind: arrayKind})
	p.at++
	n := uint32(0)
	if p.space(); p.peek("]") {
		p.at++
	} else {
		for more := true; more; n++ {
			err := p.value(depth)
			if err == nil {
				more, err = p.more(']')
			}
			if err != nil {
				return err
			}
		}
	}
	p.tape[self].end, p.tape[self].next = n, uint32(len(p.tape))
	return nil
}

func (p *parser) more(end byte) (bool, error) {
	p.space()
	if p.at < len(p.src) {
		p.at++
		switch p.src[p.at-1] {
		case ',':
			return true, nil
		case end:
			return false, nil
		}
		p.at--
	}
	return false, p.fail(fmt.Sprintf("%q or a comma was expected", end))
}

func (p *parser) object(depth int) error {
	self := len(p.tape)
	p.tape = append(p.tape, value{off: uint32(p.at), kind: objectKind})
	p.at++
	n := uint32(0)
	if p.space(); p.peek("}") {
		p.at++
	} else {
		for more := true; more; n++ {
			if p.space(); !p.peek(`"`) {
				return p.fail("a member's name was expected")
			}
			err := p.string()
			if err != nil {
				return err
			}
			if p.space(); !p.peek(":") {
				return p.fail("a colon was expected")
			}
			p.at++
			if err = p.value(depth); err != nil {
				return err
			}
			if more, err = p.more('}'); err != nil {
				return err
			}
		}
	}
	p.tape[self].end, p.tape[self].next = n, uint32(len(p.tape))
	if n > 1 {
		p.tape[self].end -= p.bury(uint32(self))
	}
	return nil
}

// bury marks the names of an object that are repeated later and counts them.
func (d *doc) bury(object uint32) (dead uint32) {
	const few = 8
	end := d.tape[object].next
	if d.tape[object].end <= few {
		for i := object + 1; i < end; i = d.tape[i+1].next {
			for j := d.tape[i+1].next; j < end; j = d.tape[j+1].next {
				if bytes.Equal(d.text(i), d.text(j)) {
					d.tape[i].flags |= flagDead
					dead++
					break
				}
			}
		}
		return dead
	}
	// Open addressing over a keyed hash: linear whatever names a client chooses.
	size := uint32(32)
	for size < 2*d.tape[object].end {
		size *= 2
	}
	if uint32(cap(d.table)) < size {
		d.table = make([]uint32, size)
	}
	t := d.table[:size]
	clear(t)
	for i := object + 1; i < end; i = d.tape[i+1].next {
		at := uint32(maphash.Bytes(seed, d.text(i))) & (size - 1)
		for t[at] != 0 && !bytes.Equal(d.text(t[at]), d.text(i)) {
			at = (at + 1) & (size - 1)
		}
		if t[at] != 0 {
			d.tape[t[at]].flags |= flagDead
			dead++
		}
		t[at] = i
	}
	return dead
}

// text is a scalar's text: a string decoded, a number as it was written.
func (d *doc) text(i uint32) []byte {
	v := &d.tape[i]
	if v.flags&flagEscaped != 0 {
		return d.esc[v.off:v.end]
	}
	return d.src[v.off:v.end]
}

// members calls f with the index of each live member's name until it returns false;
// the value's index is one more.
func (d *doc) members(object uint32, f func(name uint32) bool) bool {
	for i, end := object+1, d.tape[object].next; i < end; i = d.tape[i+1].next {
		if d.tape[i].flags&flagDead == 0 && !f(i) {
			return false
		}
	}
	return true
}

// elements calls f with the index of each element until it returns false.
func (d *doc) elements(array uint32, f func(n int, element uint32) bool) bool {
	n := 0
	for i, end := array+1, d.tape[array].next; i < end; i = d.tape[i].next {
		if !f(n, i) {
			return false
		}
		n++
	}
	return true
}

// find gives the index of a member's value.
func (d *doc) find(object uint32, name string) (at uint32, ok bool) {
	d.members(object, func(i uint32) bool {
		if string(d.text(i)) == name {
			at, ok = i+1, true
		}
		return !ok
	})
	return at, ok
}

// names lists the indexes of an object's live names, sorted by name.
func (d *doc) names(object uint32) []uint32 {
	out := make([]uint32, 0, d.tape[object].end)
	d.members(object, func(i uint32) bool { out = append(out, i); return true })
	slices.SortFunc(out, func(a, b uint32) int { return bytes.Compare(d.text(a), d.text(b)) })
	return out
}

// equal compares two values: numbers by value (1 is 1.0), objects without order.
// It costs no more than the smaller value's size, sorting apart.
func equal(d *doc, i uint32, e *doc, j uint32) bool {
	a, b := &d.tape[i], &e.tape[j]
	an, bn := a.kind == integerKind || a.kind == numberKind, b.kind == integerKind || b.kind == numberKind
	if an && bn {
		return compareNumbers(d.text(i), e.text(j)) == 0
	}
	if a.kind != b.kind {
		return false
	}
	switch a.kind {
	case stringKind:
		return bytes.Equal(d.text(i), e.text(j))
	case booleanKind:
		return a.flags == b.flags
	case arrayKind:
		if a.end != b.end {
			return false
		}
		j++
		return d.elements(i, func(_ int, x uint32) bool {
			ok := equal(d, x, e, j)
			j = e.tape[j].next
			return ok
		})
	case objectKind:
		if a.end != b.end {
			return false
		}
		x, y := d.names(i), e.names(j)
		for n := range x {
			if !bytes.Equal(d.text(x[n]), e.text(y[n])) {
				return false
			}
		}
		for n := range x {
			if !equal(d, x[n]+1, e, y[n]+1) {
				return false
			}
		}
	}
	return true
}

// hash is equal for equal values. memo keeps those of containers, so that nested
// arrays are hashed once.
func (d *doc) hash(i uint32, memo []uint64) uint64 {
	v := &d.tape[i]
	if v.kind.container() && memo[i] != 0 {
		return memo[i]
	}
	const prime = 0x9e3779b97f4a7c15
	h := uint64(v.kind+1) * prime
	mix := func(a, b uint64) uint64 { a = (a ^ b) * prime; return a ^ a>>29 }
	switch v.kind {
	case integerKind, numberKind:
		var buf [64]byte
		return maphash.Bytes(seed, canonical(buf[:0], d.text(i)))
	case stringKind:
		return mix(h, maphash.Bytes(seed, d.text(i)))
	case booleanKind:
		return mix(h, uint64(v.flags))
	case arrayKind:
		d.elements(i, func(_ int, x uint32) bool { h = mix(h, d.hash(x, memo)); return true })
	case objectKind:
		d.members(i, func(n uint32) bool {
			h += mix(maphash.Bytes(seed, d.text(n)), d.hash(n+1, memo))
			return true
		})
	default:
		return h
	}
	h |= 1 // 0 is "not known yet"
	memo[i] = h
	return h
}

// pointed follows a JSON pointer's reference tokens.
func (d *doc) pointed(at uint32, token string) (uint32, error) {
	switch d.tape[at].kind {
	case objectKind:
		if i, ok := d.find(at, token); ok {
			return i, nil
		}
	case arrayKind:
		n, ok := smallInt([]byte(token))
		if !ok || n < 0 || token != "0" && token[0] == '0' {
			break
		}
		found := uint32(0)
		d.elements(at, func(m int, x uint32) bool {
			if int64(m) == n {
				found = x
			}
			return found == 0
		})
		if found != 0 {
			return found, nil
		}
	}
	return 0, errors.New("nothing there")
}

// appendJSON writes a value as the service prints it: compact, numbers normalized.
// It stops soon after limit bytes.
func (d *doc) appendJSON(b []byte, i uint32, limit int) []byte {
	if len(b) > limit {
		return b
	}
	switch v := &d.tape[i]; v.kind {
	case stringKind:
		return appendQuoted(b, d.text(i), limit)
	case integerKind, numberKind:
		return appendNumber(b, d.text(i), v.kind)
	case arrayKind:
		b = append(b, '[')
		d.elements(i, func(n int, x uint32) bool {
			if n > 0 {
				b = append(b, ',')
			}
			b = d.appendJSON(b, x, limit)
			return len(b) <= limit
		})
		return append(b, ']')
	case objectKind:
		b = append(b, '{')
		first := true
		d.members(i, func(n uint32) bool {
			if !first {
				b = append(b, ',')
			}
			first = false
			b = appendQuoted(b, d.text(n), limit)
			b = append(b, ':')
			b = d.appendJSON(b, n+1, limit)
			return len(b) <= limit
		})
		return append(b, '}')
	default:
		return append(b, d.text(i)...)
	}
}

// appendQuoted writes a JSON string as Jackson does: other than quote, backslash and
// control characters, nothing is escaped.
func appendQuoted(b, s []byte, limit int) []byte {
	const hex = "0123456789ABCDEF"
	b = append(b, '"')
	for _, c := range s[:min(len(s), limit)] {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= ' ':
			b = append(b, c)
		default:
			if i := bytes.IndexByte([]byte("\b\t\n\f\r"), c); i >= 0 {
				b = append(b, '\\', "btnfr"[i])
			} else {
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
		}
	}
	return append(b, '"')
}
