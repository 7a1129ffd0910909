package vtl

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

var (
	errJSON = errors.New("the text is not JSON")
	errMore = errors.New("more follows the value")
)

// ParseJSON reads a JSON text, with objects in order and numbers exact. It takes what
// encoding/json takes; texts without escapes are parts of the one that was read.
func ParseJSON(text string) (any, error) {
	p := jsonReader{text: text, keys: make([]string, 0, 16), values: make([]any, 0, 16)}
	// A guess of what a text of this length has in it.
	p.ownKeys.size, p.ownValues.size, p.maps.size, p.lists.size = len(text)/48, len(text)/32, len(text)/128, len(text)/192
	v, err := p.value(0)
	if err != nil {
		return nil, err
	}
	if p.space(); p.at < len(text) {
		return nil, errMore
	}
	return v, nil
}

type jsonReader struct {
	text string
	at   int
	// The members of what is being read, the innermost last. When their number is known
	// they move to their own place, many to a piece of memory.
	keys      []string
	values    []any
	ownKeys   pieces[string]
	ownValues pieces[any]
	maps      pieces[Map]
	lists     pieces[List]
}

// pieces hands out parts of larger pieces of memory.
type pieces[T any] struct {
	rest []T
	size int // of the next, about
}

// take is n of them; what is appended to it goes elsewhere.
func (p *pieces[T]) take(n int) []T {
	if n > len(p.rest) {
		p.size = min(max(p.size, 4), 256)
		p.rest = make([]T, max(n, p.size))
	}
	out := p.rest[:n:n]
	p.rest = p.rest[n:]
	return out
}

// space skips what may stand between tokens.
func (p *jsonReader) space() {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ', '\t', '\r', '\n':
			p.at++
		default:
			return
		}
	}
}

// next is the next byte that is no space; 0 at the end.
func (p *jsonReader) next() byte {
	if p.at < len(p.text) && p.text[p.at] > ' ' {
		return p.text[p.at]
	}
	if p.space(); p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

func (p *jsonReader) word(s string, v any) (any, error) {
	if !strings.HasPrefix(p.text[p.at:], s) {
		return nil, errJSON
	}
	p.at += len(s)
	return v, nil
}

func (p *jsonReader) value(depth int) (any, error) {
	if depth > maxNesting {
		return nil, errNesting
	}
	switch c := p.next(); c {
	case '{':
		return p.object(depth)
	case '[':
		return p.array(depth)
	case '"':
		return p.string()
	case 't':
		return p.word("true", true)
	case 'f':
		return p.word("false", false)
	case 'n':
		return p.word("null", nil)
	default:
		return p.number()
	}
}

func (p *jsonReader) object(depth int) (any, error) {
	p.at++
	baseKeys, baseValues := len(p.keys), len(p.values)
	if p.next() == '}' {
		p.at++
		return &p.maps.take(1)[0], nil
	}
	for {
		if p.next() != '"' {
			return nil, errJSON
		}
		k, err := p.string()
		if err != nil {
			return nil, err
		}
		if p.next() != ':' {
			return nil, errJSON
		}
		p.at++
		p.keys = append(p.keys, k)
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		p.values = append(p.values, v)
		switch p.next() {
		case ',':
			p.at++
		case '}':
			p.at++
			m := &p.maps.take(1)[0]
			p.fill(m, p.keys[baseKeys:], p.values[baseValues:])
			p.keys, p.values = p.keys[:baseKeys], p.values[:baseValues]
			return m, nil
		default:
			return nil, errJSON
		}
	}
}

// fill gives a new map its members: of those with one key, the last one's value stands
// in the first one's place.
func (p *jsonReader) fill(m *Map, keys []string, values []any) {
	if len(keys) > searched {
		m.keys, m.values, m.at = make([]string, 0, len(keys)), make([]any, 0, len(keys)), make(map[string]int, len(keys))
		for i, k := range keys {
			m.Set(k, values[i])
		}
		return
	}
	m.keys, m.values = p.ownKeys.take(len(keys)), p.ownValues.take(len(keys))
	n := 0
	for i, k := range keys {
		at := 0
		for at < n && m.keys[at] != k {
			at++
		}
		if at == n {
			m.keys[n] = k
			n++
		}
		m.values[at] = values[i]
	}
	m.keys, m.values = m.keys[:n:n], m.values[:n:n]
}

func (p *jsonReader) array(depth int) (any, error) {
	p.at++
	l := &p.lists.take(1)[0]
	l.JSON = true
	if p.next() == ']' {
		p.at++
		return l, nil
	}
	base := len(p.values)
	for {
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		p.values = append(p.values, v)
		switch p.next() {
		case ',':
			p.at++
		case ']':
			p.at++
			l.Items = p.ownValues.take(len(p.values) - base)
			copy(l.Items, p.values[base:])
			p.values = p.values[:base]
			return l, nil
		default:
			return nil, errJSON
		}
	}
}

// string reads a text in quotes, at whose first one it stands.
func (p *jsonReader) string() (string, error) {
	p.at++
	start := p.at
	ascii := true
	for i := start; i < len(p.text); i++ {
		c := p.text[i]
		if ordinary[c] {
			continue
		}
		switch {
		case c == '"':
			s := p.text[start:i]
			p.at = i + 1
			if !ascii && !utf8.ValidString(s) {
				return p.unescaped(start)
			}
			return s, nil
		case c == '\\':
			return p.unescaped(start)
		case c < ' ':
			return "", errJSON
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return "", errJSON
}

// ordinary are the bytes of a text that mean themselves.
var ordinary = func() (out [256]bool) {
	for c := range out {
		out[c] = c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\'
	}
	return out
}()

// unescaped reads a text that is not as it is written: with escapes, or with bytes that
// are no UTF-8, each of which is U+FFFD.
func (p *jsonReader) unescaped(start int) (string, error) {
	var b strings.Builder
	for i := start; i < len(p.text); {
		c := p.text[i]
		switch {
		case c == '"':
			p.at = i + 1
			return b.String(), nil
		case c == '\\':
			if i++; i == len(p.text) {
				return "", errJSON
			}
			at := strings.IndexByte(`"\/bfnrt`, p.text[i])
			if at >= 0 {
				b.WriteByte("\"\\/\b\f\n\r\t"[at])
				i++
				continue
			}
			r, ok := hex4(p.text[i:])
			if !ok {
				return "", errJSON
			}
			i += 5
			if utf16.IsSurrogate(r) {
				low, ok := rune(0), false
				if i < len(p.text) && p.text[i] == '\\' {
					low, ok = hex4(p.text[i+1:])
				}
				if r = utf16.DecodeRune(r, low); ok && r != utf8.RuneError {
					i += 6
				}
			}
			b.WriteRune(r)
		case c < ' ':
			return "", errJSON
		case c < utf8.RuneSelf:
			b.WriteByte(c)
			i++
		default:
			r, n := utf8.DecodeRuneInString(p.text[i:])
			b.WriteRune(r)
			i += n
		}
	}
	return "", errJSON
}

// hex4 reads u and four hexadecimal digits.
func hex4(s string) (r rune, ok bool) {
	if len(s) < 5 || s[0] != 'u' {
		return 0, false
	}
	for _, c := range []byte(s[1:5]) {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

func (p *jsonReader) digits() bool {
	start := p.at
	for p.at < len(p.text) && '0' <= p.text[p.at] && p.text[p.at] <= '9' {
		p.at++
	}
	return p.at > start
}

func (p *jsonReader) is(c byte) bool { return p.at < len(p.text) && p.text[p.at] == c }

func (p *jsonReader) number() (any, error) {
	start := p.at
	whole := true
	if p.is('-') {
		p.at++
	}
	if p.is('0') {
		p.at++
	} else if !p.digits() {
		return nil, errJSON
	}
	if p.is('.') {
		whole = false
		if p.at++; !p.digits() {
			return nil, errJSON
		}
	}
	if p.is('e') || p.is('E') {
		whole = false
		if p.at++; p.is('+') || p.is('-') {
			p.at++
		}
		if !p.digits() {
			return nil, errJSON
		}
	}
	text := p.text[start:p.at]
	if whole {
		return number(text), nil
	}
	f, _ := strconv.ParseFloat(text, 64) // ErrRange: infinite
	return f, nil
}
