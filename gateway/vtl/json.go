package vtl

import (
	"errors"
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
	m := memory{openKeys: make([]string, 0, 16), openValues: make([]any, 0, 16)}
	return m.parse(text)
}

func (m *memory) parse(text string) (any, error) {
	p := jsonReader{text: text, memory: m}
	if m.texts.piece == nil {
		m.texts.piece = make([]string, min(len(text)/perText, maxPiece))
	}
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

// perText is how many bytes of JSON there are to a text, in most documents at least.
const perText = 24

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
		return p.memory.value(s), nil
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
	for i := start; i < len(p.text); i++ {
		c := p.text[i]
		if ordinary[c] {
			continue
		}
		switch {
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
	return "", errJSON
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
	if text := p.text[start:p.at]; whole {
		return wholeNumber(text), nil
	}
	return decimal(p.text[start:p.at]), nil
}
