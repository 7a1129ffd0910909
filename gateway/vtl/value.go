package vtl

import (
	"bytes"
	"errors"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Values of templates are nil, bool, int64, *big.Int, float64, string, *List, *Map, and
// the objects of a rendering. nil is null of JSON, and what is not there: in a template
// both are the empty text.

// List is a list of Java. One that JSON has prints as JSON, one that a template makes as
// Java prints lists.
type List struct {
	Items []any
	JSON  bool
}

// Map is a map in the order of its making. Small ones, which most are, are searched; at
// holds the places of a larger one's keys.
type Map struct {
	keys   []string
	values []any
	at     map[string]int
	silent bool
}

// searched is how many keys a map has at most without an index.
const searched = 8

// NewMap makes an empty one.
func NewMap() *Map { return &Map{} }

// NewObject makes an empty one that is printed as nothing, as the objects in $context
// are.
func NewObject() *Map { return &Map{silent: true} }

// place is that of a key; -1: there is none.
func (m *Map) place(key string) int {
	if m.at != nil {
		if i, ok := m.at[key]; ok {
			return i
		}
		return -1
	}
	for i, k := range m.keys {
		if k == key {
			return i
		}
	}
	return -1
}

// Get is the value of a key.
func (m *Map) Get(key string) (any, bool) {
	if i := m.place(key); i >= 0 {
		return m.values[i], true
	}
	return nil, false
}

// Set gives a key a value.
func (m *Map) Set(key string, v any) {
	if i := m.place(key); i >= 0 {
		m.values[i] = v
		return
	}
	m.keys, m.values = append(m.keys, key), append(m.values, v)
	if m.at != nil {
		m.at[key] = len(m.keys) - 1
	} else if len(m.keys) > searched {
		m.index()
	}
}

func (m *Map) index() {
	m.at = make(map[string]int, 2*len(m.keys))
	for i, k := range m.keys {
		m.at[k] = i
	}
}

// Delete takes a key away.
func (m *Map) Delete(key string) {
	i := m.place(key)
	if i < 0 {
		return
	}
	m.keys = append(m.keys[:i:i], m.keys[i+1:]...)
	m.values = append(m.values[:i:i], m.values[i+1:]...)
	if m.at = nil; len(m.keys) > searched {
		m.index()
	}
}

// value is that of a key; nil: there is none.
func (m *Map) value(key string) any {
	v, _ := m.Get(key)
	return v
}

// Len is the number of keys.
func (m *Map) Len() int { return len(m.keys) }

// Keys are the keys in order.
func (m *Map) Keys() []string { return m.keys }

// maxNesting bounds how deeply values contain each other, when they are read and when
// they are printed: a template can put a map into itself.
const maxNesting = 200

var errNesting = errors.New("values nest too deeply")

// number is the value of a number's text: whole ones are exact, others doubles.
func number(s string) any {
	if strings.ContainsAny(s, ".eE") {
		return decimal(s)
	}
	return wholeNumber(s)
}

func wholeNumber(s string) any {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return i
	}
	if len(s) < 1000 {
		if b, ok := new(big.Int).SetString(s, 10); ok {
			return b
		}
	}
	return decimal(s)
}

func decimal(s string) any {
	f, _ := strconv.ParseFloat(s, 64) // ErrRange: infinite
	return f
}

// text is how Java prints a value.
func (r *renderer) text(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case *block:
		return r.capture(v.body)
	}
	p := printer{most: r.limits.Output}
	if err := p.java(v, 0); err != nil {
		return "", err
	}
	r.steps += len(p.out) / 100
	return string(p.out), r.step()
}

// Text is how Java prints a value that is no macro's; one that is too large is empty.
func Text(v any) string {
	switch v := v.(type) {
	case nil, *block:
		return ""
	case string:
		return v
	}
	p := printer{most: DefaultOutput}
	if p.java(v, 0) != nil {
		return ""
	}
	return string(p.out)
}

// printer appends values to a text of so many bytes at most.
type printer struct {
	out  []byte
	most int
}

var errOutput = errors.New("the output is larger than it may be")

func (p *printer) put(s string) error {
	if len(p.out)+len(s) > p.most {
		return errOutput
	}
	p.out = append(p.out, s...)
	return nil
}

// check is asked behind what is small, or bounded by what is there.
func (p *printer) check() error {
	if len(p.out) > p.most {
		return errOutput
	}
	return nil
}

// java appends a value as Java prints it.
func (p *printer) java(v any, depth int) error {
	if depth > maxNesting {
		return errNesting
	}
	switch v := v.(type) {
	case nil:
		return p.put("null")
	case string:
		return p.put(v)
	case bool:
		p.out = strconv.AppendBool(p.out, v)
	case int64:
		p.out = strconv.AppendInt(p.out, v, 10)
	case *big.Int:
		p.out = v.Append(p.out, 10)
	case float64:
		p.out = appendDouble(p.out, v)
	case *List:
		if v.JSON {
			return p.json(v, depth)
		}
		p.out = append(p.out, '[')
		for i, x := range v.Items {
			if i > 0 {
				p.out = append(p.out, ", "...)
			}
			if err := p.java(x, depth+1); err != nil {
				return err
			}
		}
		p.out = append(p.out, ']')
	case *Map:
		if v.silent {
			return nil
		}
		p.out = append(p.out, '{')
		for i, k := range v.keys {
			if i > 0 {
				p.out = append(p.out, ", "...)
			}
			if err := p.member(k, v.values[i], depth); err != nil {
				return err
			}
		}
		p.out = append(p.out, '}')
	case *entry:
		return p.member(v.key, v.m.value(v.key), depth)
	}
	return p.check()
}

func (p *printer) member(key string, v any, depth int) error {
	if err := p.put(key); err != nil {
		return err
	}
	p.out = append(p.out, '=')
	return p.java(v, depth+1)
}

// json appends a value as JSON.
func (p *printer) json(v any, depth int) error {
	if depth > maxNesting {
		return errNesting
	}
	switch v := v.(type) {
	case string:
		p.out = appendQuoted(p.out, v)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return p.put("null")
		}
		p.out = appendDouble(p.out, v)
	case *List:
		p.out = append(p.out, '[')
		for i, x := range v.Items {
			if i > 0 {
				p.out = append(p.out, ',')
			}
			if err := p.json(x, depth+1); err != nil {
				return err
			}
		}
		p.out = append(p.out, ']')
	case *Map:
		p.out = append(p.out, '{')
		for i, k := range v.keys {
			if i > 0 {
				p.out = append(p.out, ',')
			}
			p.out = append(appendQuoted(p.out, k), ':')
			if err := p.json(v.values[i], depth+1); err != nil {
				return err
			}
		}
		p.out = append(p.out, '}')
	default:
		return p.java(v, depth)
	}
	return p.check()
}

// appendQuoted appends a text as JSON writes it, letters beyond ASCII as they are.
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0 // of what is as it was
	for i := 0; i < len(s); {
		c := s[i]
		if ordinary[c] {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		n := 1
		short := strings.IndexByte("\"\\\b\f\n\r\t", c)
		switch {
		case c >= utf8.RuneSelf:
			var r rune
			r, n = utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r)
		case short >= 0:
			dst = append(dst, '\\', `"\bfnrt`[short])
		default:
			dst = append(dst, '\\', 'u', '0', '0', '0'+c>>4, "0123456789abcdef"[c&15])
		}
		i += n
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}

// appendDouble appends a double as Double.toString prints it.
func appendDouble(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	case f == 0:
		if math.Signbit(f) {
			return append(dst, "-0.0"...)
		}
		return append(dst, "0.0"...)
	}
	start := len(dst)
	if a := math.Abs(f); a >= 1e-3 && a < 1e7 {
		// Few digits, as money has, are had without a search for the shortest text: a
		// text of up to 15 digits that reads as f is the only one.
		if n := math.Round(a * 1000); n/1000 == a {
			return appendThousandths(dst, f < 0, uint64(n))
		}
		dst = strconv.AppendFloat(dst, f, 'f', -1, 64)
		if bytes.IndexByte(dst[start:], '.') < 0 {
			dst = append(dst, ".0"...)
		}
		return dst
	}
	s := strconv.FormatFloat(f, 'e', -1, 64)
	mantissa, exponent, _ := strings.Cut(s, "e")
	dst = append(dst, mantissa...)
	if !strings.Contains(mantissa, ".") {
		dst = append(dst, ".0"...)
	}
	n, _ := strconv.Atoi(exponent)
	return strconv.AppendInt(append(dst, 'E'), int64(n), 10)
}

// appendThousandths appends n/1000 with as few digits as it needs, one behind the point.
func appendThousandths(dst []byte, minus bool, n uint64) []byte {
	if minus {
		dst = append(dst, '-')
	}
	dst = strconv.AppendUint(dst, n/1000, 10)
	n %= 1000
	dst = append(dst, '.', '0'+byte(n/100))
	if n%100 > 0 {
		dst = append(dst, '0'+byte(n/10%10))
	}
	if n%10 > 0 {
		dst = append(dst, '0'+byte(n%10))
	}
	return dst
}

// AppendJSON appends a value as JSON; one that nests too deeply, or is too large, as null.
func AppendJSON(dst []byte, v any) []byte {
	p := printer{dst, len(dst) + DefaultOutput}
	if p.json(v, 0) != nil {
		return append(dst, "null"...)
	}
	return p.out
}

// Clone is a copy that shares nothing which a template can change; nil of nil.
func (m *Map) Clone() *Map {
	if m == nil {
		return nil
	}
	out := &Map{keys: append([]string(nil), m.keys...), values: make([]any, len(m.values))}
	for i, v := range m.values {
		out.values[i] = clone(v)
	}
	if m.at != nil {
		out.index()
	}
	return out
}

func clone(v any) any {
	switch v := v.(type) {
	case *Map:
		return v.Clone()
	case *List:
		out := &List{Items: make([]any, len(v.Items)), JSON: v.JSON}
		for i, x := range v.Items {
			out.Items[i] = clone(x)
		}
		return out
	}
	return v
}
