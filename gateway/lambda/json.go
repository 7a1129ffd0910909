package lambda

import (
	"unicode/utf16"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// appendString appends a text as a JSON string. Bytes that are no UTF-8 become U+FFFD.
func appendString[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			n := runeLen(s[i:])
			if n > 0 {
				i += n
				continue
			}
			dst = append(append(dst, s[from:i]...), "\uFFFD"...)
			i++
			from = i
			continue
		}
		dst = append(dst, s[from:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		from = i
	}
	return append(append(dst, s[from:]...), '"')
}

// runeLen is the length of the letter that s begins with; 0: it begins with none.
func runeLen[T string | []byte](s T) int {
	var b [utf8.UTFMax]byte
	n := copy(b[:], s)
	r, size := utf8.DecodeRune(b[:n])
	if r == utf8.RuneError && size == 1 {
		return 0
	}
	return size
}

// reader reads JSON that is as flat as answers are: it never recurses.
type reader struct {
	in  []byte
	pos int
}

func (r *reader) space() {
	for r.pos < len(r.in) {
		switch r.in[r.pos] {
		case ' ', '\t', '\n', '\r':
			r.pos++
		default:
			return
		}
	}
}

// peek is the next byte that is no blank; 0 at the end.
func (r *reader) peek() byte {
	r.space()
	if r.pos == len(r.in) {
		return 0
	}
	return r.in[r.pos]
}

// take takes a byte if it is next.
func (r *reader) take(c byte) bool {
	if r.peek() != c {
		return false
	}
	r.pos++
	return true
}

// word takes a literal if it is next.
func (r *reader) word(s string) bool {
	r.space()
	if len(r.in)-r.pos < len(s) || string(r.in[r.pos:r.pos+len(s)]) != s {
		return false
	}
	r.pos += len(s)
	return true
}

// object calls member at the value of each name. false: what is next is no object, or
// member has failed.
func (r *reader) object(member func(name string) bool) bool {
	if !r.take('{') {
		return false
	}
	if r.take('}') {
		return true
	}
	for {
		name, ok := r.text()
		if !ok || !r.take(':') || !member(string(name)) {
			return false
		}
		if r.take('}') {
			return true
		}
		if !r.take(',') {
			return false
		}
	}
}

// text reads a string. It is a view of the input where nothing in it was escaped.
func (r *reader) text() ([]byte, bool) {
	if !r.take('"') {
		return nil, false
	}
	start := r.pos
	for r.pos < len(r.in) {
		switch c := r.in[r.pos]; {
		case c == '"':
			r.pos++
			return r.in[start : r.pos-1], true
		case c == '\\':
			return r.escaped(start)
		case c < ' ':
			return nil, false
		}
		r.pos++
	}
	return nil, false
}

// escaped reads the rest of a string that began at start, from its first escape.
func (r *reader) escaped(start int) ([]byte, bool) {
	out := append(make([]byte, 0, 2*(r.pos-start)+64), r.in[start:r.pos]...)
	for r.pos < len(r.in) {
		c := r.in[r.pos]
		r.pos++
		switch {
		case c == '"':
			return out, true
		case c < ' ':
			return nil, false
		case c != '\\':
			from := r.pos - 1
			for r.pos < len(r.in) && r.in[r.pos] != '"' && r.in[r.pos] != '\\' && r.in[r.pos] >= ' ' {
				r.pos++
			}
			out = append(out, r.in[from:r.pos]...)
			continue
		}
		if r.pos == len(r.in) {
			return nil, false
		}
		c = r.in[r.pos]
		r.pos++
		switch c {
		case '"', '\\', '/':
			out = append(out, c)
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			u, ok := r.hex()
			if !ok {
				return nil, false
			}
			if utf16.IsSurrogate(u) {
				second := rune(-1)
				if r.pos+1 < len(r.in) && r.in[r.pos] == '\\' && r.in[r.pos+1] == 'u' {
					at := r.pos
					r.pos += 2
					if second, ok = r.hex(); !ok {
						return nil, false
					}
					if utf16.DecodeRune(u, second) == utf8.RuneError {
						r.pos = at // another letter's
					}
				}
				u = utf16.DecodeRune(u, second)
			}
			out = utf8.AppendRune(out, u)
		default:
			return nil, false
		}
	}
	return nil, false
}

func (r *reader) hex() (rune, bool) {
	if len(r.in)-r.pos < 4 {
		return 0, false
	}
	var u rune
	for _, c := range r.in[r.pos : r.pos+4] {
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
		u = u<<4 | rune(c)
	}
	r.pos += 4
	return u, true
}

// number reads a number as it is written.
func (r *reader) number() ([]byte, bool) {
	r.space()
	start := r.pos
	digits := func() bool {
		from := r.pos
		for r.pos < len(r.in) && r.in[r.pos] >= '0' && r.in[r.pos] <= '9' {
			r.pos++
		}
		return r.pos > from
	}
	is := func(set ...byte) bool {
		for _, c := range set {
			if r.pos < len(r.in) && r.in[r.pos] == c {
				r.pos++
				return true
			}
		}
		return false
	}
	is('-')
	if !is('0') && !digits() {
		return nil, false
	}
	if is('.') && !digits() {
		return nil, false
	}
	if is('e', 'E') {
		is('+', '-')
		if !digits() {
			return nil, false
		}
	}
	return r.in[start:r.pos], true
}

// scalar reads a text, a number or a boolean, as text. null is not there.
func (r *reader) scalar() (v []byte, there, ok bool) {
	switch c := r.peek(); {
	case c == '"':
		v, ok = r.text()
		return v, ok, ok
	case c == 't':
		return []byte("true"), true, r.word("true")
	case c == 'f':
		return []byte("false"), true, r.word("false")
	case c == 'n':
		return nil, false, r.word("null")
	}
	v, ok = r.number()
	return v, ok, ok
}

// end says whether nothing more follows.
func (r *reader) end() bool { return r.peek() == 0 && r.pos == len(r.in) }
