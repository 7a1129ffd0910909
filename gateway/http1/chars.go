package http1

import "encoding/binary"

// Character classes of RFC 9110 and 9112, as one look-up per byte.
const (
	isToken = 1 << iota // field names, methods
	isValue             // field values: VCHAR, obs-text, space, tab
	isQuery             // VCHAR but "|", which Amazon API Gateway refuses unescaped
	isPath              // visible characters that do not quote, split or end a path
	isHost              // names and IPv4 addresses
)

var class = func() (t [256]byte) {
	for c := 'a'; c <= 'z'; c++ {
		t[c] |= isToken
		t[c-32] |= isToken
	}
	for c := '0'; c <= '9'; c++ {
		t[c] |= isToken
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		t[c] |= isToken
	}
	for c := 0; c < 256; c++ {
		if c == '\t' || (c >= ' ' && c != 0x7f) {
			t[c] |= isValue
		}
		if c > ' ' && c < 0x7f {
			if c != '|' {
				t[c] |= isQuery
			}
			// '{' and friends are sent unescaped by enough clients.
			if c != '|' && c != '"' && c != '<' && c != '>' && c != '#' && c != '\\' && c != '^' && c != '`' && c != '?' {
				t[c] |= isPath
			}
		}
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '.' || c == '_' {
			t[c] |= isHost
		}
	}
	return t
}()

// plainValue is all(b, isValue), eight bytes at a time: what it cannot clear at a
// glance (a tab, or a bad byte) it looks at closely.
func plainValue(b []byte) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	v := b
	for len(v) >= 8 {
		w := binary.LittleEndian.Uint64(v)
		del := w ^ 0x7f*ones
		if ((w-0x20*ones)&^w|(del-ones)&^del)&tops != 0 {
			return all(b, isValue)
		}
		v = v[8:]
	}
	return all(v, isValue)
}

func all(b []byte, want byte) bool {
	for _, c := range b {
		if class[c]&want == 0 {
			return false
		}
	}
	return true
}

// EqualFold reports whether b equals lower, an ASCII string in lower case,
// without regard to case.
func EqualFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := 0; i < len(lower); i++ {
		c := b[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

func trimOWS(buf []byte, s Span) Span {
	for s.Start < s.End && (buf[s.Start] == ' ' || buf[s.Start] == '\t') {
		s.Start++
	}
	for s.End > s.Start && (buf[s.End-1] == ' ' || buf[s.End-1] == '\t') {
		s.End--
	}
	return s
}

// eachListItem calls f for every non-empty item of a comma-separated value.
func eachListItem(v []byte, f func([]byte)) {
	for len(v) > 0 {
		i := 0
		for i < len(v) && v[i] != ',' {
			i++
		}
		s := trimOWS(v, Span{0, int32(i)})
		if s.Len() > 0 {
			f(s.Of(v))
		}
		if i == len(v) {
			return
		}
		v = v[i+1:]
	}
}
