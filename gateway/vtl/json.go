package vtl

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

var (
	errJSON = errors.New("the text is not JSON")
	errMore = errors.New("more follows the value")
)

// ParseJSON reads a JSON text, with objects in order and numbers exact. It takes what
// encoding/json takes; texts without escapes are parts of the one that was read.
func ParseJSON(text string) (any, error) {
	m := memory{openKeys: make([]string, 0, 16), openValues: make([]any, 0, 16)}
	return m.parse(text)
}

func (m *memory) parse(text string) (any, error) {
	p := jsonReader{text: text, memory: m}
	v, err := p.value(0)
	if err != nil {
		m.openKeys, m.openValues = m.openKeys[:0], m.openValues[:0]
		return nil, err
	}
	if p.space(); p.at < len(p.text) {
		return nil, errMore
	}
	return v, nil
}

type jsonReader struct {
	text string
	at   int
	*memory
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
		s, err := p.string()
		if err != nil {
			return nil, err
		}
		return p.textValue(s), nil
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
	m := p.maps.one()
	if p.next() == '}' {
		p.at++
		return m, nil
	}
	firstKey, firstValue := len(p.openKeys), len(p.openValues)
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
		p.openKeys = append(p.openKeys, k)
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		p.openValues = append(p.openValues, v)
		switch p.next() {
		case ',':
			p.at++
		case '}':
			p.at++
			p.fill(m, p.openKeys[firstKey:], p.openValues[firstValue:])
			p.openKeys, p.openValues = p.openKeys[:firstKey], p.openValues[:firstValue]
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
	m.keys, m.values = p.keys.take(len(keys)), p.values.take(len(keys))
	copy(m.keys, keys)
	copy(m.values, values)
	seen, n := uint64(0), 0
	for i, k := range keys {
		// Keys are told apart by a bit each, most of the time.
		mark, at := uint64(1)<<keyBit(k), n
		if seen&mark != 0 {
			at = slices.Index(m.keys[:n], k)
		}
		if seen |= mark; at < 0 {
			at = n
		}
		if at == n {
			n++
		}
		if i != at {
			m.keys[at], m.values[at] = k, values[i]
		}
	}
	m.keys, m.values = m.keys[:n:n], m.values[:n:n]
}

// keyBit is one of 64 bits for a key.
func keyBit(k string) uint {
	if k == "" {
		return 0
	}
	return (uint(len(k)) + 7*uint(k[0]) + 13*uint(k[len(k)-1])) % 64
}

func (p *jsonReader) array(depth int) (any, error) {
	p.at++
	l := p.lists.one()
	l.JSON = true
	if p.next() == ']' {
		p.at++
		return l, nil
	}
	first := len(p.openValues)
	for {
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		p.openValues = append(p.openValues, v)
		switch p.next() {
		case ',':
			p.at++
		case ']':
			p.at++
			l.Items = p.values.take(len(p.openValues) - first)
			copy(l.Items, p.openValues[first:])
			p.openValues = p.openValues[:first]
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
	escapes, ascii := false, true
	for i := start; ; i++ {
		if i = ordinaryEnd(p.text, i); i >= len(p.text) {
			return "", errJSON
		}
		switch c := p.text[i]; {
		case c == '"':
			s := p.text[start:i]
			p.at = i + 1
			if escapes || !ascii && !utf8.ValidString(s) {
				return unescaped(s)
			}
			return s, nil
		case c == '\\':
			escapes = true
			i++ // what follows ends no text
		case c < ' ':
			return "", errJSON
		default:
			ascii = false
		}
	}
}

// ordinaryEnd is where the bytes from i on that mean themselves end. It looks at eight
// at a time: in each that is not ordinary, and in none before the first of those, the
// highest bit comes out set (Mycroft's test for a zero byte, Warren, Hacker's Delight 6-1).
func ordinaryEnd(s string, i int) int {
	const each, high = 0x0101010101010101, 0x8080808080808080
	b := unsafe.Slice(unsafe.StringData(s), len(s))
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		if found := ((w - ' '*each) | (w ^ '"'*each - each) | (w ^ '\\'*each - each) | w) & high; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for i < len(s) && ordinary[s[i]] {
		i++
	}
	return i
}

// ordinary are the bytes of a text that mean themselves.
var ordinary = func() (out [256]bool) {
	for c := range out {
		out[c] = c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\'
	}
	return out
}()

// unescaped is a text that is not as it is written between its quotes: with escapes, or
// with bytes that are no UTF-8, each of which is U+FFFD.
func unescaped(s string) (string, error) {
	var b strings.Builder
	b.Grow(len(s))
	start := 0 // of what is as it is written
	for i := 0; i < len(s); {
		c := s[i]
		if ordinary[c] {
			i++
			continue
		}
		b.WriteString(s[start:i])
		switch {
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRuneInString(s[i:])
			b.WriteRune(r)
			i += n
		case c != '\\' || i+1 == len(s):
			return "", errJSON
		default:
			i++
			if short := strings.IndexByte(`"\/bfnrt`, s[i]); short >= 0 {
				b.WriteByte("\"\\/\b\f\n\r\t"[short])
				i++
				break
			}
			r, ok := hex4(s[i:])
			if !ok {
				return "", errJSON
			}
			i += 5
			if utf16.IsSurrogate(r) {
				low, ok := rune(0), false
				if i < len(s) && s[i] == '\\' {
					low, ok = hex4(s[i+1:])
				}
				if r = utf16.DecodeRune(r, low); ok && r != utf8.RuneError {
					i += 6
				}
			}
			b.WriteRune(r)
		}
		start = i
	}
	b.WriteString(s[start:])
	return b.String(), nil
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

// digits reads digits behind those that n has, and counts them; n is of no meaning when
// there are more than maxDigits.
func (p *jsonReader) digits(n uint64) (uint64, int) {
	start := p.at
	for ; p.at < len(p.text); p.at++ {
		d := p.text[p.at] - '0'
		if d > 9 {
			break
		}
		n = 10*n + uint64(d)
	}
	return n, p.at - start
}

// maxDigits is how many digits every int64 can have; exactDigits how many of a double
// that are read as they are.
const (
	maxDigits   = 18
	exactDigits = 15
)

// tens are the powers of ten, which doubles have exactly.
var tens = [exactDigits + 1]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

func (p *jsonReader) is(c byte) bool { return p.at < len(p.text) && p.text[p.at] == c }

func (p *jsonReader) number() (any, error) {
	start := p.at
	minus := p.is('-')
	if minus {
		p.at++
	}
	n, count := uint64(0), 1
	if p.is('0') {
		p.at++
	} else if n, count = p.digits(0); count == 0 {
		return nil, errJSON
	}
	if !p.is('.') && !p.is('e') && !p.is('E') {
		if count > maxDigits {
			return wholeNumber(p.text[start:p.at]), nil
		}
		if minus {
			return p.wholeValue(-int64(n)), nil
		}
		return p.wholeValue(int64(n)), nil
	}
	behind := 0
	if p.is('.') {
		p.at++
		if n, behind = p.digits(n); behind == 0 {
			return nil, errJSON
		}
	}
	if p.is('e') || p.is('E') {
		if p.at++; p.is('+') || p.is('-') {
			p.at++
		}
		if _, count := p.digits(0); count == 0 {
			return nil, errJSON
		}
	} else if count+behind <= exactDigits {
		// Both are doubles, so that their quotient is the nearest one to the number
		// (Clinger, How to read floating point numbers accurately).
		f := float64(n) / tens[behind]
		if minus {
			f = -f
		}
		return p.doubleValue(f), nil
	}
	return decimal(p.text[start:p.at]), nil
}
