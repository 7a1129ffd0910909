package route

import "bytes"

// Match is what Tree.Match found. It holds no memory of the path: a variable's
// value is path[Start:End], still percent-encoded.
type Match struct {
	Method int32 // index of the method; -1: none
	Route  int32 // index of the route whose path matched; -1: none
	N      int   // variables in Vars
	// Refused says that the path is not fit to be matched at all: it has a dot
	// segment, a broken percent escape or no leading slash.
	Refused bool
	Vars    [MaxVars]Var
}

// Var is the value of one path variable.
type Var struct {
	Name       string
	Start, End int32
}

// PathMatched says, after Match returned false, that the path is a resource's
// but the resource has no method for the verb.
func (m *Match) PathMatched() bool { return m.Route >= 0 }

// Match finds the method for a raw request path, relative to its stage and
// without the query. One trailing slash is ignored; an empty path is the root.
// A resource without a method for the verb leaves the call to the next less
// specific one that has it, such as OPTIONS of /{proxy+} (recorded so from Amazon
// API Gateway). When it returns false, m.PathMatched and m.Refused say more.
func (t *Tree) Match(path, verb []byte, m *Match) bool {
	m.Method, m.Route, m.N, m.Refused = -1, -1, 0, false
	escaped, ok := inspect(path)
	if !ok {
		m.Refused = true
		return false
	}
	end := t.root.end
	if len(path) > 1 {
		if path[len(path)-1] == '/' {
			path = path[:len(path)-1]
		}
		end = t.walk(&t.root, path, 1, 0, nil, escaped, m)
	}
	if end == nil {
		return false
	}
	m.take(end, verb)
	if m.Method < 0 && len(path) > 1 {
		found := *m
		if end = t.walk(&t.root, path, 1, 0, verb, escaped, m); end != nil {
			m.take(end, verb)
		} else {
			*m = found
		}
	}
	return m.Method >= 0
}

// take makes the match that of a resource.
func (m *Match) take(end *terminal, verb []byte) {
	m.Route = end.route
	m.N = len(end.names)
	for i, name := range end.names {
		m.Vars[i].Name = name
	}
	m.Method = end.method(verb)
}

// method is the index of the one for a verb, or -1.
func (t *terminal) method(verb []byte) int32 {
	for i := range t.verbs {
		if t.verbs[i].name == string(verb) {
			return t.verbs[i].method
		}
	}
	if !anyCovers(verb) {
		return -1
	}
	return t.any
}

// anyCovers says whether ANY stands for a verb: for those that methods can have, in their
// one spelling. Policies name them so, and what they deny must not be had by another.
func anyCovers(verb []byte) bool {
	switch string(verb) {
	case "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS":
		return true
	}
	return false
}

// serving is t if it has a method for the verb (nil: any resource serves).
func (t *terminal) serving(verb []byte) *terminal {
	if t == nil || verb == nil || t.method(verb) >= 0 {
		return t
	}
	return nil
}

// walk finds the resource for path from pos on, below n, one that serves the verb if
// there is one. vars is the number of variables filled so far; a deeper branch that
// fails leaves those before it as they were.
func (t *Tree) walk(n *node, path []byte, pos, vars int, verb []byte, escaped bool, m *Match) *terminal {
	for {
		if pos > len(path) {
			return n.end.serving(verb)
		}
		end := bytes.IndexByte(path[pos:], '/')
		if end < 0 {
			end = len(path)
		} else {
			end += pos
		}
		seg := path[pos:end]
		if len(seg) == 0 {
			return nil // no literal and no variable is empty
		}
		if len(n.lits.entries) > 0 {
			var next *node
			if escaped {
				next = t.escapedLiteral(&n.lits, seg)
			} else {
				next = t.literal(&n.lits, seg)
			}
			if next != nil {
				if n.alone {
					n, pos = next, end+1
					continue
				}
				if r := t.walk(next, path, end+1, vars, verb, escaped, m); r != nil {
					return r
				}
			}
		}
		for i := range n.shapes {
			next, from, to := t.mixedChild(&n.shapes[i], seg, escaped)
			if next == nil {
				continue
			}
			m.Vars[vars].Start, m.Vars[vars].End = int32(pos+from), int32(pos+to)
			if r := t.walk(next, path, end+1, vars+1, verb, escaped, m); r != nil {
				return r
			}
		}
		if n.v != nil {
			m.Vars[vars].Start, m.Vars[vars].End = int32(pos), int32(end)
			if n.greedy == nil {
				n, pos, vars = n.v, end+1, vars+1
				continue
			}
			if r := t.walk(n.v, path, end+1, vars+1, verb, escaped, m); r != nil {
				return r
			}
		}
		if n.greedy != nil {
			m.Vars[vars].Start, m.Vars[vars].End = int32(pos), int32(len(path))
		}
		return n.greedy.serving(verb)
	}
}

// mixedChild finds the child of a shape for seg, and where in seg the variable is.
func (t *Tree) mixedChild(s *shape, seg []byte, escaped bool) (next *node, from, to int) {
	if escaped {
		return t.escapedMixed(s, seg)
	}
	from, to = s.prefix, len(seg)-s.suffix
	if from >= to {
		return nil, 0, 0
	}
	return t.mixed(&s.kids, seg[:from], seg[to:]), from, to
}

// stackText is the length up to which an escaped part is decoded without
// allocating.
const stackText = 512

func (t *Tree) escapedLiteral(tb *table, seg []byte) *node {
	var buf [stackText]byte
	if bytes.IndexByte(seg, '%') < 0 {
		return t.literal(tb, seg)
	}
	out := buf[:0]
	for i := 0; i < len(seg); {
		if len(out) == tb.longest {
			return nil
		}
		c, n := unit(seg[i:])
		out = append(out, c)
		i += n
	}
	return t.literal(tb, out)
}

func (t *Tree) escapedMixed(s *shape, seg []byte) (next *node, from, to int) {
	var buf [stackText]byte
	out := buf[:0]
	for range s.prefix {
		if from == len(seg) {
			return nil, 0, 0
		}
		c, n := unit(seg[from:])
		out = append(out, c)
		from += n
	}
	to = len(seg)
	for range s.suffix {
		if to <= from {
			return nil, 0, 0
		}
		// A percent sign only ever starts an escape: inspect has seen to it.
		if to >= 3 && seg[to-3] == '%' {
			to -= 3
		} else {
			to--
		}
	}
	if from >= to {
		return nil, 0, 0
	}
	for i := to; i < len(seg); {
		c, n := unit(seg[i:])
		out = append(out, c)
		i += n
	}
	return t.mixed(&s.kids, out[:s.prefix], out[s.prefix:]), from, to
}

// inspect says whether path has escapes, and whether it is fit to be matched.
func inspect(path []byte) (escaped, ok bool) {
	if len(path) > 0 && path[0] != '/' {
		return false, false
	}
	if bytes.IndexByte(path, '%') >= 0 || bytes.IndexByte(path, '\\') >= 0 {
		return inspectDecoded(path)
	}
	for rest := path; ; {
		dot := bytes.IndexByte(rest, '.')
		if dot < 0 {
			return false, true
		}
		begins := rest[max(dot-1, 0)] == '/' // the path's slash keeps dot above 0 at first
		rest = rest[dot+1:]
		if !begins {
			continue
		}
		if len(rest) > 0 && rest[0] == '.' {
			rest = rest[1:]
		}
		if len(rest) == 0 || rest[0] == '/' {
			return false, false
		}
	}
}

// inspectDecoded is inspect for any path. An encoded slash and a backslash count
// as separators of dot segments, because servers behind may take them for one.
func inspectDecoded(path []byte) (escaped, ok bool) {
	dots := 0 // of the part so far; -1: it has something else
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' {
			n := 0
			if c, n = unit(path[i:]); n == 0 {
				return true, false
			}
			escaped = true
			i += n - 1
		}
		switch {
		case c == '/' || c == '\\':
			if dots == 1 || dots == 2 {
				return escaped, false
			}
			dots = 0
		case c == '.' && dots >= 0:
			dots++
		default:
			dots = -1
		}
	}
	return escaped, dots != 1 && dots != 2
}

// unit is the first character of b, decoded, and how many bytes it takes: 0 for
// a broken escape. b is not empty.
func unit(b []byte) (byte, int) {
	if b[0] != '%' {
		return b[0], 1
	}
	if len(b) < 3 {
		return 0, 0
	}
	hi, lo := hex(b[1]), hex(b[2])
	if hi > 15 || lo > 15 {
		return 0, 0
	}
	return hi<<4 | lo, 3
}

func hex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}
