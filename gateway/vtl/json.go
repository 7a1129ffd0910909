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
	p := jsonReader{text: text}
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
	m := &Map{keys: make([]string, 0, searched), values: make([]any, 0, searched)}
	if p.next() == '}' {
		p.at++
		return m, nil
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
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		m.Set(k, v)
		switch p.next() {
		case ',':
			p.at++
		case '}':
			p.at++
			return m, nil
		default:
			return nil, errJSON
		}
	}
}

func (p *jsonReader) array(depth int) (any, error) {
	p.at++
	l := &List{JSON: true, Items: []any{}}
	if p.next() == ']' {
		p.at++
		return l, nil
	}
	for {
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		l.Items = append(l.Items, v)
		switch p.next() {
		case ',':
			p.at++
		case ']':
			p.at++
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
		switch c := p.text[i]; {
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
	if p.is('-') {
		p.at++
	}
	if p.is('0') {
		p.at++
	} else if !p.digits() {
		return nil, errJSON
	}
	if p.is('.') {
		if p.at++; !p.digits() {
			return nil, errJSON
		}
	}
	if p.is('e') || p.is('E') {
		if p.at++; p.is('+') || p.is('-') {
			p.at++
		}
		if !p.digits() {
			return nil, errJSON
		}
	}
	return number(p.text[start:p.at]), nil
}
