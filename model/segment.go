package model

import (
	"cmp"
	"strings"
)

// Segment is one part of a resource's path: a literal, a variable, a variable
// between a literal prefix and suffix ("{Sid}.json"), or a greedy variable. Text
// is the part as written, with braces; it is the part's identity among siblings.
type Segment struct {
	Text     string
	Variable bool
	Greedy   bool   // matches this part and all that follow; never with a prefix or suffix
	Prefix   string // literal text before the variable
	Suffix   string // literal text after the variable
}

// Name of a variable segment, without braces, plus sign, prefix and suffix; ""
// for a literal.
func (s Segment) Name() string {
	if !s.Variable {
		return ""
	}
	return strings.TrimSuffix(s.Text[len(s.Prefix)+1:len(s.Text)-len(s.Suffix)-1], "+")
}

// Mixed says whether the segment has literal text beside its variable.
func (s Segment) Mixed() bool { return s.Prefix != "" || s.Suffix != "" }

// Match says whether one part of a call's path fits the segment, and the value
// of its variable. A variable beside text never matches nothing: ".json" does
// not fit "{Sid}.json". It looks at one part, so a greedy variable's value is the
// first of its parts.
func (s Segment) Match(part string) (value string, ok bool) {
	if !s.Variable {
		return "", part == s.Text
	}
	if len(part) <= len(s.Prefix)+len(s.Suffix) ||
		!strings.HasPrefix(part, s.Prefix) || !strings.HasSuffix(part, s.Suffix) {
		return "", false
	}
	return part[len(s.Prefix) : len(part)-len(s.Suffix)], true
}

// CompareSegments orders siblings by which is tried first: a literal, then
// variables with the most literal text around them, then "{v}", then "{v+}".
// Where two could fit one part ("a{x}" and "{x}b") the longer prefix wins, then
// the text, so the order never depends on the document's.
func CompareSegments(a, b Segment) int {
	return cmp.Or(
		cmp.Compare(a.rank(), b.rank()),
		cmp.Compare(len(b.Prefix)+len(b.Suffix), len(a.Prefix)+len(a.Suffix)),
		cmp.Compare(len(b.Prefix), len(a.Prefix)),
		cmp.Compare(a.Text, b.Text),
	)
}

func (s Segment) rank() int {
	switch {
	case !s.Variable:
		return 0
	case s.Mixed():
		return 1
	case !s.Greedy:
		return 2
	}
	return 3
}

// Segments splits a resource path and checks its grammar.
func Segments(path string) ([]Segment, error) {
	if path == "/" {
		return nil, nil
	}
	if !strings.HasPrefix(path, "/") || strings.HasSuffix(path, "/") {
		return nil, Errorf(Invalid, "path %q must start with a slash and not end with one", path)
	}
	if len(path) > 4096 {
		return nil, Errorf(Invalid, "path %.40q… has %d characters; at most 4096 are allowed", path, len(path))
	}
	parts := strings.Split(path[1:], "/")
	out := make([]Segment, len(parts))
	for i, p := range parts {
		s, err := parseSegment(path, p)
		if err != nil {
			return nil, err
		}
		if s.Greedy && i != len(parts)-1 {
			return nil, Errorf(Invalid, "path %q: cannot create a child of a resource with a greedy path variable: %s", path, p)
		}
		out[i] = s
	}
	return out, nil
}

func parseSegment(path, p string) (Segment, error) {
	s := Segment{Text: p}
	if p == "" {
		return s, Errorf(Invalid, "path %q has an empty part", path)
	}
	open, shut := strings.IndexByte(p, '{'), strings.LastIndexByte(p, '}')
	if open < 0 && shut < 0 {
		return s, nil
	}
	if open < 0 || shut < open {
		return s, Errorf(Invalid, "path %q: part %q has a brace without its pair", path, p)
	}
	s.Variable, s.Prefix, s.Suffix = true, p[:open], p[shut+1:]
	name := p[open+1 : shut]
	if strings.ContainsAny(name, "{}") {
		return s, Errorf(Invalid, "path %q: part %q has more than one variable; a part holds one, with text before or after it", path, p)
	}
	name, s.Greedy = strings.CutSuffix(name, "+")
	if name == "" || strings.ContainsAny(name, "+ ") {
		return s, Errorf(Invalid, "path %q: %q is not a variable name", path, p)
	}
	if s.Greedy && s.Mixed() {
		return s, Errorf(Invalid, "path %q: part %q mixes text and a greedy variable; a greedy variable fills its whole part", path, p)
	}
	return s, nil
}
