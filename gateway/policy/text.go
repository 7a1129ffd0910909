package policy

import (
	"strings"
	"unicode/utf8"
)

// In a compiled pattern these two bytes, which no valid text has, are the wildcards.
const (
	star     = 0xFE // any text
	question = 0xFF // any one character
)

// text is a value of a policy: a pattern or plain, with variables or without.
type text struct {
	s     string
	parts []part // with variables: s is not used
}

// part is a piece of pattern and the variable behind it, if any.
type part struct {
	s        string
	key      *ref
	fallback string // of the variable, where it has one
	defaults bool
}

// newText compiles a value. wild: * and ? are wildcards. variables: ${…} is one.
// Variables that are not understood are an error.
func (c *compiler) newText(v string, wild, variables bool) (text, error) {
	if !utf8.ValidString(v) {
		return text{}, c.errorf("is not valid UTF-8")
	}
	var t text
	var b strings.Builder
	for i := 0; i < len(v); i++ {
		switch {
		case wild && v[i] == '*':
			if s := b.String(); s == "" || s[len(s)-1] != star {
				b.WriteByte(star)
			}
		case wild && v[i] == '?':
			b.WriteByte(question)
		case variables && v[i] == '$' && i+1 < len(v) && v[i+1] == '{':
			end := strings.IndexByte(v[i:], '}')
			if end < 0 {
				return text{}, c.errorf("has a variable without its closing brace")
			}
			name := v[i+2 : i+end]
			i += end
			if name == "*" || name == "?" || name == "$" { // the character itself
				b.WriteString(name)
				continue
			}
			p := part{s: b.String()}
			b.Reset()
			name, rest, more := strings.Cut(name, ",")
			if more {
				rest = strings.TrimSpace(rest)
				if len(rest) < 2 || rest[0] != '\'' || rest[len(rest)-1] != '\'' {
					return text{}, c.errorf("has a variable whose default is not in single quotes")
				}
				p.fallback, p.defaults = rest[1:len(rest)-1], true
			}
			name = strings.TrimSpace(name)
			if name == "" || strings.ContainsAny(name, "{$*?' ") {
				return text{}, c.errorf("has a variable ${%s}, which is none", name)
			}
			p.key = c.ref(name)
			t.parts = append(t.parts, p)
		default:
			b.WriteByte(v[i])
		}
	}
	if t.parts == nil {
		t.s = b.String()
	} else if b.Len() > 0 {
		t.parts = append(t.parts, part{s: b.String()})
	}
	return t, nil
}

// expand is the pattern with the request's values in place of variables; not ok: one is
// not there.
func (t *text) expand(e *evaluation) (string, bool) {
	if t.parts == nil {
		return t.s, true
	}
	var b strings.Builder
	for i := range t.parts {
		p := &t.parts[i]
		b.WriteString(p.s)
		if p.key == nil {
			continue
		}
		var room [maxValue]byte
		v, ok := p.key.single(e.r, &room)
		switch {
		case ok:
			b.WriteString(strings.ToValidUTF8(v, "\uFFFD")) // never a wildcard
		case p.defaults:
			b.WriteString(p.fallback)
		default:
			return "", false
		}
	}
	e.left -= b.Len()
	return b.String(), true
}

// mayConcern says whether a pattern can match the ARN of anything below api, whatever its
// variables are. It is taken part by part, so that what stands for another API's id is not
// looked for in this one's paths.
func (t *text) mayConcern(api string) bool {
	pattern := t.s
	for i := range t.parts {
		if pattern += t.parts[i].s; t.parts[i].key != nil {
			pattern += string([]byte{star})
		}
	}
	if pattern == string([]byte{star}) {
		return true
	}
	want, have := strings.SplitN(pattern, ":", 6), strings.SplitN(api+"/", ":", 6)
	if len(want) != 6 || len(have) != 6 {
		return false
	}
	e := evaluation{left: maxSteps}
	for i := range 5 {
		if !e.glob(want[i], have[i], false) {
			return false
		}
	}
	return mayBegin(want[5], have[5])
}

// mayBegin says whether a pattern can match any text that begins with prefix, which is
// ASCII. at are the places of the pattern that what was read of the prefix can lead to.
func mayBegin(pattern, prefix string) bool {
	at := map[int]bool{0: true}
	for i := range len(prefix) {
		next := map[int]bool{}
		for j := range at {
			for ; j < len(pattern) && pattern[j] == star; j++ {
				next[j] = true
			}
			if j < len(pattern) && (pattern[j] == question || pattern[j] == prefix[i]) {
				next[j+1] = true
			}
		}
		at = next
	}
	return len(at) > 0
}

// glob matches a whole text against a pattern in time linear in both, but for runs with
// a question mark behind a star, where it is bounded by what the evaluation has left.
func (e *evaluation) glob(p, s string, fold bool) bool {
	i := strings.IndexByte(p, star)
	if i < 0 {
		n, ok := e.prefix(p, s, fold)
		return ok && n == len(s)
	}
	n, ok := e.prefix(p[:i], s, fold)
	if !ok {
		return false
	}
	s, p = s[n:], p[i+1:]
	for e.left >= 0 {
		i := strings.IndexByte(p, star)
		if i < 0 {
			return e.suffix(p, s, fold)
		}
		n := e.find(p[:i], s, fold)
		if n < 0 {
			return false
		}
		s, p = s[n:], p[i+1:]
	}
	return false
}

// prefix matches a pattern without stars at the beginning of s, n bytes of it.
func (e *evaluation) prefix(p, s string, fold bool) (n int, ok bool) {
	if !fold && strings.IndexByte(p, question) < 0 {
		e.left -= len(p)/16 + 1
		return len(p), strings.HasPrefix(s, p)
	}
	i := 0
	for ; i < len(p) && n < len(s); i++ {
		c := s[n]
		if p[i] == question {
			_, size := utf8.DecodeRuneInString(s[n:])
			n += size
			continue
		}
		if c != p[i] && !(fold && lower(c) == p[i]) {
			break
		}
		n++
	}
	e.left -= i/4 + 1
	return n, i == len(p)
}

// suffix matches a pattern without stars at the end of s. A question mark takes a whole
// character, so how many bytes that is depends on the text.
func (e *evaluation) suffix(p, s string, fold bool) bool {
	at := len(s)
	for i := len(p) - 1; i >= 0; i-- {
		if at == 0 {
			return false
		}
		e.left--
		if p[i] == question {
			_, size := utf8.DecodeLastRuneInString(s[:at])
			at -= size
			continue
		}
		at--
		if c := s[at]; c != p[i] && !(fold && lower(c) == p[i]) {
			return false
		}
	}
	return true
}

// find is where the first match of a pattern without stars ends in s, or -1.
func (e *evaluation) find(p, s string, fold bool) int {
	if p == "" {
		return 0
	}
	if !fold && strings.IndexByte(p, question) < 0 {
		i := strings.Index(s, p)
		if i < 0 {
			e.left -= len(s)/8 + 1
			return -1
		}
		e.left -= (i+len(p))/8 + 1
		return i + len(p)
	}
	for i := 0; i < len(s) && e.left >= 0; {
		if n, ok := e.prefix(p, s[i:], fold); ok {
			return i + n
		}
		_, size := utf8.DecodeRuneInString(s[i:])
		i += size
	}
	return -1
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
