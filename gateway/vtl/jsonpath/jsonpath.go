// Package jsonpath finds values of JSON by paths, with the answers of Jayway's JsonPath,
// which mapping templates are run with: a path that can lead to one place alone gives its
// value, or nothing; another gives the list of what it leads to, which may be empty.
package jsonpath

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxPath bounds a path's text, in bytes.
const MaxPath = 4096

const maxDepth = 50 // of filters within each other

// ErrWork says that a path leads through more values than it may.
var ErrWork = errors.New("the path leads through too many values")

// Tree reads and makes values.
type Tree interface {
	// Object gives the keys of an object, in order.
	Object(v any) (keys []string, ok bool)
	// Member gives the value of an object's key; it is called with objects alone.
	Member(v any, key string) (any, bool)
	// Array gives the members of an array.
	Array(v any) (items []any, ok bool)
	// List makes an array.
	List(items []any) any
	// Number gives a number.
	Number(v any) (float64, bool)
}

// Path is a parsed one.
type Path struct {
	steps    []step
	function string // at its end; "": none
	args     []operand
	definite bool
	straight bool
	size     int
}

// Size is that of the path's regular expressions together: what it took to compile them.
func (p *Path) Size() int { return p.size }

// Straight says that the path is nothing but names and places in arrays.
func (p *Path) Straight() bool { return p.straight }

type kind int

const (
	names kind = iota
	wildcard
	indexes
	slice
	filter
)

type step struct {
	kind     kind
	deep     bool // ..
	names    []string
	indexes  []int
	from, to *int
	test     test
}

// Parse reads a path.
func Parse(expr string) (*Path, error) {
	if len(expr) > MaxPath {
		return nil, fmt.Errorf("the path has %d bytes; at most %d are allowed", len(expr), MaxPath)
	}
	expr = strings.TrimSpace(expr)
	if expr == "" {
		return nil, errors.New("the path is empty")
	}
	if expr[0] != '$' && expr[0] != '@' {
		expr = "$." + expr
	}
	p := &parser{src: expr}
	path, err := p.path()
	if err != nil {
		return nil, err
	}
	if p.at < len(p.src) {
		return nil, p.fail("more follows the path")
	}
	path.size = p.size
	return path, nil
}

type parser struct {
	src   string
	at    int
	depth int
	size  int // of the regular expressions so far
}

func (p *parser) fail(format string, a ...any) error {
	return fmt.Errorf("at %d of %q: %s", p.at+1, p.src, fmt.Sprintf(format, a...))
}

func (p *parser) space() {
	for p.at < len(p.src) && (p.src[p.at] == ' ' || p.src[p.at] == '\t' || p.src[p.at] == '\n') {
		p.at++
	}
}

func (p *parser) take(s string) bool {
	if strings.HasPrefix(p.src[p.at:], s) {
		p.at += len(s)
		return true
	}
	return false
}

// path parses from $ or @ as far as it goes.
func (p *parser) path() (*Path, error) {
	p.at++ // $ or @
	out := &Path{definite: true}
	for p.at < len(p.src) {
		s := step{}
		switch {
		case p.take(".."):
			s.deep, out.definite = true, false
			if p.at < len(p.src) && p.src[p.at] == '[' {
				if err := p.bracket(&s); err != nil {
					return nil, err
				}
			} else if err := p.dotted(&s); err != nil {
				return nil, err
			}
		case p.src[p.at] == '.':
			p.at++
			if p.at < len(p.src) && p.src[p.at] == '[' {
				if err := p.bracket(&s); err != nil {
					return nil, err
				}
				break
			}
			if name, ok := p.called(); ok {
				out.function = name
				if err := p.arguments(out); err != nil {
					return nil, err
				}
				return out, nil
			}
			if err := p.dotted(&s); err != nil {
				return nil, err
			}
		case p.src[p.at] == '[':
			if err := p.bracket(&s); err != nil {
				return nil, err
			}
		default:
			return out, nil
		}
		switch s.kind {
		case names:
			out.definite = out.definite && len(s.names) == 1
		case indexes:
			out.definite = out.definite && len(s.indexes) == 1
		default:
			out.definite = false
		}
		out.steps = append(out.steps, s)
	}
	out.straight = out.definite
	// Several names at the end make one object of them.
	if n := len(out.steps); n > 0 && out.steps[n-1].kind == names && len(out.steps[n-1].names) > 1 && !out.steps[n-1].deep {
		out.definite = true
		for _, s := range out.steps[:n-1] {
			out.definite = out.definite && !s.deep && (s.kind == names && len(s.names) == 1 || s.kind == indexes && len(s.indexes) == 1)
		}
	}
	return out, nil
}

// name is the length of a dotted name.
func (p *parser) name() int {
	n := 0
	for p.at+n < len(p.src) && strings.IndexByte(".[]() \t\n,)=<>!&|", p.src[p.at+n]) < 0 {
		n++
	}
	return n
}

func (p *parser) dotted(s *step) error {
	if p.take("*") {
		s.kind = wildcard
		return nil
	}
	n := p.name()
	if n == 0 {
		return p.fail("a name was expected")
	}
	s.names = []string{p.src[p.at : p.at+n]}
	p.at += n
	return nil
}

// called is the name of a function that is called here.
func (p *parser) called() (string, bool) {
	n := p.name()
	if n > 0 && p.at+n < len(p.src) && p.src[p.at+n] == '(' {
		name := p.src[p.at : p.at+n]
		switch name {
		case "length", "size", "min", "max", "avg", "stddev", "sum", "concat", "keys", "append", "first", "last", "index":
			p.at += n + 1
			return name, true
		}
	}
	return "", false
}

func (p *parser) arguments(out *Path) error {
	for {
		p.space()
		if p.take(")") {
			return nil
		}
		if len(out.args) > 0 && !p.take(",") {
			return p.fail("a ) is missing")
		}
		o, err := p.operand()
		if err != nil {
			return err
		}
		out.args = append(out.args, o)
	}
}

func (p *parser) bracket(s *step) error {
	p.at++ // [
	p.space()
	if p.at >= len(p.src) {
		return p.fail("a ] is missing")
	}
	switch c := p.src[p.at]; {
	case c == '*':
		p.at++
		s.kind = wildcard
	case c == '\'' || c == '"':
		for {
			t, err := p.quoted()
			if err != nil {
				return err
			}
			s.names = append(s.names, t)
			p.space()
			if !p.take(",") {
				break
			}
			p.space()
		}
	case c == '?':
		p.at++
		p.space()
		if !p.take("(") {
			return p.fail("a filter is ?( … )")
		}
		t, err := p.or()
		if err != nil {
			return err
		}
		p.space()
		if !p.take(")") {
			return p.fail("a ) is missing")
		}
		s.kind, s.test = filter, t
	default:
		if err := p.numbers(s); err != nil {
			return err
		}
	}
	p.space()
	if !p.take("]") {
		return p.fail("a ] is missing")
	}
	return nil
}

func (p *parser) integer() (*int, error) {
	p.space()
	n := 0
	if p.at < len(p.src) && p.src[p.at] == '-' {
		n++
	}
	for p.at+n < len(p.src) && p.src[p.at+n] >= '0' && p.src[p.at+n] <= '9' {
		n++
	}
	if n == 0 {
		return nil, nil
	}
	i, err := strconv.Atoi(p.src[p.at : p.at+n])
	if err != nil {
		return nil, p.fail("%q is no index", p.src[p.at:p.at+n])
	}
	p.at += n
	p.space()
	return &i, nil
}

func (p *parser) numbers(s *step) error {
	i, err := p.integer()
	if err != nil {
		return err
	}
	if p.take(":") {
		s.kind, s.from = slice, i
		if s.to, err = p.integer(); err != nil {
			return err
		}
		if s.from == nil && s.to == nil {
			return p.fail("a slice has a begin or an end")
		}
		return nil
	}
	s.kind = indexes
	for {
		if i == nil {
			return p.fail("an index was expected")
		}
		s.indexes = append(s.indexes, *i)
		if !p.take(",") {
			return nil
		}
		if i, err = p.integer(); err != nil {
			return err
		}
	}
}

func (p *parser) quoted() (string, error) {
	if p.at >= len(p.src) || p.src[p.at] != '\'' && p.src[p.at] != '"' {
		return "", p.fail("a text in quotes was expected")
	}
	q := p.src[p.at]
	p.at++
	var b strings.Builder
	for p.at < len(p.src) {
		c := p.src[p.at]
		p.at++
		switch {
		case c == q:
			return b.String(), nil
		case c == '\\' && p.at < len(p.src):
			c = p.src[p.at]
			p.at++
			switch c {
			case 'n':
				c = '\n'
			case 't':
				c = '\t'
			case 'r':
				c = '\r'
			}
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	return "", p.fail("the text is not closed")
}

// Filters.

type test interface {
	holds(f *finder, at any) (bool, error)
}

type (
	either  struct{ a, b test }
	both    struct{ a, b test }
	neither struct{ of test }
	exists  struct{ path operand }
	compare struct {
		op          string
		left, right operand
	}
)

// operand is a path or a value.
type operand struct {
	path    *Path
	root    bool // it begins with $
	v       any  // string, float64, bool, nil or []operand
	pattern *regexp.Regexp
	size    int // of the pattern
}

func (p *parser) deeper() error {
	if p.depth++; p.depth > maxDepth {
		return p.fail("filters nest deeper than %d", maxDepth)
	}
	return nil
}

func (p *parser) or() (test, error) {
	if err := p.deeper(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	a, err := p.and()
	for err == nil {
		p.space()
		if !p.take("||") {
			return a, nil
		}
		var b test
		if b, err = p.and(); err == nil {
			a = either{a, b}
		}
	}
	return nil, err
}

func (p *parser) and() (test, error) {
	a, err := p.one()
	for err == nil {
		p.space()
		if !p.take("&&") {
			return a, nil
		}
		var b test
		if b, err = p.one(); err == nil {
			a = both{a, b}
		}
	}
	return nil, err
}

func (p *parser) one() (test, error) {
	p.space()
	if p.at < len(p.src) && p.src[p.at] == '!' && !strings.HasPrefix(p.src[p.at:], "!=") {
		p.at++
		if err := p.deeper(); err != nil {
			return nil, err
		}
		defer func() { p.depth-- }()
		of, err := p.one()
		return neither{of}, err
	}
	if p.take("(") {
		t, err := p.or()
		if err != nil {
			return nil, err
		}
		p.space()
		if !p.take(")") {
			return nil, p.fail("a ) is missing")
		}
		return t, nil
	}
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	p.space()
	for _, op := range []string{"==", "!=", "<=", ">=", "=~", "<", ">", "subsetof", "anyof", "noneof", "contains", "nin", "in", "size", "empty"} {
		if !p.take(op) {
			continue
		}
		right, err := p.operand()
		if err != nil {
			return nil, err
		}
		if op == "=~" && right.pattern == nil {
			return nil, p.fail("=~ needs a pattern: /…/")
		}
		return compare{op, left, right}, nil
	}
	if left.path == nil {
		return nil, p.fail("a comparison was expected")
	}
	return exists{left}, nil
}

func (p *parser) operand() (operand, error) {
	p.space()
	if p.at >= len(p.src) {
		return operand{}, p.fail("a value was expected")
	}
	if err := p.deeper(); err != nil {
		return operand{}, err
	}
	defer func() { p.depth-- }()
	rest := p.src[p.at:]
	switch c := rest[0]; {
	case c == '@' || c == '$':
		path, err := p.path()
		return operand{path: path, root: c == '$'}, err
	case c == '\'' || c == '"':
		s, err := p.quoted()
		return operand{v: s}, err
	case c == '/':
		end := 1
		for end < len(rest) && rest[end] != '/' {
			if rest[end] == '\\' {
				end++
			}
			end++
		}
		if end >= len(rest) {
			return operand{}, p.fail("the pattern is not closed")
		}
		expr := strings.ReplaceAll(rest[1:end], `\/`, `/`)
		p.at += end + 1
		if p.take("i") {
			expr = "(?i)" + expr
		}
		re, size, err := Compile(`\A(?:` + expr + `)\z`)
		if err != nil {
			return operand{}, p.fail("%v", err)
		}
		if p.size += size; p.size > maxInstructions {
			return operand{}, p.fail("%v", ErrPattern)
		}
		return operand{pattern: re, size: size}, nil
	case c == '[':
		p.at++
		l := []operand{}
		for {
			p.space()
			if p.take("]") {
				return operand{v: l}, nil
			}
			if len(l) > 0 && !p.take(",") {
				return operand{}, p.fail("the list needs a comma or a ]")
			}
			o, err := p.operand()
			if err != nil {
				return operand{}, err
			}
			l = append(l, o)
		}
	case strings.HasPrefix(rest, "true"):
		p.at += 4
		return operand{v: true}, nil
	case strings.HasPrefix(rest, "false"):
		p.at += 5
		return operand{v: false}, nil
	case strings.HasPrefix(rest, "null"):
		p.at += 4
		return operand{}, nil
	}
	n := 0
	for n < len(rest) && strings.IndexByte("0123456789+-.eE", rest[n]) >= 0 {
		n++
	}
	f, err := strconv.ParseFloat(rest[:n], 64)
	if err != nil {
		return operand{}, p.fail("%.20q is no value", rest)
	}
	p.at += n
	return operand{v: f}, nil
}

// finder walks over one document.
type finder struct {
	t      Tree
	root   any
	budget int
}

func (f *finder) spend(n int) error {
	if f.budget -= n; f.budget < 0 {
		return ErrWork
	}
	return nil
}

// Find gives what the path leads to in root. ok is false when a path to one place leads
// nowhere. budget bounds the values that are looked at.
func (p *Path) Find(t Tree, root any, budget int) (v any, ok bool, err error) {
	return p.FindWithin(t, root, &budget)
}

// FindWithin is Find that takes what it has looked at from a budget which others share.
func (p *Path) FindWithin(t Tree, root any, budget *int) (v any, ok bool, err error) {
	if p.straight {
		return p.walk(t, root, budget)
	}
	f := &finder{t, root, *budget}
	v, ok, err = f.find(p, root)
	*budget = f.budget
	return v, ok, err
}

// walk goes a straight path from v.
func (p *Path) walk(t Tree, v any, budget *int) (any, bool, error) {
	for i := range p.steps {
		s := &p.steps[i]
		if *budget--; *budget < 0 {
			return nil, false, ErrWork
		}
		if s.kind == names {
			if _, ok := t.Object(v); !ok {
				return nil, false, nil
			}
			var ok bool
			if v, ok = t.Member(v, s.names[0]); !ok {
				return nil, false, nil
			}
			continue
		}
		items, _ := t.Array(v)
		at := s.indexes[0]
		if at < 0 {
			at += len(items)
		}
		if at < 0 || at >= len(items) {
			return nil, false, nil
		}
		v = items[at]
	}
	return v, true, nil
}

func (f *finder) find(p *Path, from any) (v any, ok bool, err error) {
	if p.straight {
		return p.walk(f.t, from, &f.budget)
	}
	at := []any{from}
	for i := range p.steps {
		var next []any
		for _, v := range at {
			if next, err = f.step(&p.steps[i], v, next, i == len(p.steps)-1, 0); err != nil {
				return nil, false, err
			}
		}
		at = next
	}
	if p.definite {
		if len(at) == 0 {
			return nil, false, nil
		}
		v, ok = at[0], true
	} else {
		v, ok = f.t.List(at), true
	}
	if p.function != "" {
		return f.call(p, v)
	}
	return v, ok, nil
}

// step appends what one step leads to from v.
func (f *finder) step(s *step, v any, out []any, last bool, depth int) ([]any, error) {
	if err := f.spend(1); err != nil {
		return nil, err
	}
	var err error
	if s.deep && depth < 500 {
		// A value's own first, then those within it, in order.
		own := *s
		own.deep = false
		if out, err = f.step(&own, v, out, last, 0); err != nil {
			return nil, err
		}
		if items, ok := f.t.Array(v); ok {
			for _, x := range items {
				if out, err = f.step(s, x, out, last, depth+1); err != nil {
					return nil, err
				}
			}
		} else if keys, ok := f.t.Object(v); ok {
			for _, k := range keys {
				x, _ := f.t.Member(v, k)
				if out, err = f.step(s, x, out, last, depth+1); err != nil {
					return nil, err
				}
			}
		}
		return out, nil
	}
	items, array := f.t.Array(v)
	switch s.kind {
	case names:
		if _, ok := f.t.Object(v); !ok {
			return out, nil
		}
		if len(s.names) > 1 && last { // one object of them
			return append(out, chosen(f.t, v, s.names)), nil
		}
		for _, n := range s.names {
			if x, ok := f.t.Member(v, n); ok {
				out = append(out, x)
			}
		}
	case wildcard:
		if array {
			return append(out, items...), f.spend(len(items))
		}
		if keys, ok := f.t.Object(v); ok {
			for _, k := range keys {
				x, _ := f.t.Member(v, k)
				out = append(out, x)
			}
			return out, f.spend(len(keys))
		}
	case indexes:
		for _, i := range s.indexes {
			if i < 0 {
				i += len(items)
			}
			if i >= 0 && i < len(items) {
				out = append(out, items[i])
			}
		}
	case slice:
		from, to := 0, len(items)
		if s.from != nil {
			if from = *s.from; from < 0 {
				from = max(from+len(items), 0)
			}
		}
		if s.to != nil {
			if to = *s.to; to < 0 {
				to += len(items)
			}
			to = min(to, len(items))
		}
		if from < to {
			return append(out, items[from:to]...), f.spend(to - from)
		}
	case filter:
		if array {
			for _, x := range items {
				if err := f.spend(1); err != nil {
					return nil, err
				}
				yes, err := s.test.holds(f, x)
				if err != nil {
					return nil, err
				}
				if yes {
					out = append(out, x)
				}
			}
			return out, nil
		}
		if _, ok := f.t.Object(v); ok {
			yes, err := s.test.holds(f, v)
			if err != nil {
				return nil, err
			}
			if yes {
				out = append(out, v)
			}
		}
	}
	return out, nil
}

// Chooser is a Tree that can make objects; without it several names give their values.
type Chooser interface {
	Choose(v any, names []string) any
}

func chosen(t Tree, v any, names []string) any {
	if c, ok := t.(Chooser); ok {
		return c.Choose(v, names)
	}
	var out []any
	for _, n := range names {
		if x, ok := t.Member(v, n); ok {
			out = append(out, x)
		}
	}
	return t.List(out)
}

func (t either) holds(f *finder, at any) (bool, error) {
	yes, err := t.a.holds(f, at)
	if err != nil || yes {
		return yes, err
	}
	return t.b.holds(f, at)
}

func (t both) holds(f *finder, at any) (bool, error) {
	yes, err := t.a.holds(f, at)
	if err != nil || !yes {
		return false, err
	}
	return t.b.holds(f, at)
}

func (t neither) holds(f *finder, at any) (bool, error) {
	yes, err := t.of.holds(f, at)
	return !yes, err
}

func (t exists) holds(f *finder, at any) (bool, error) {
	v, ok, err := f.operand(t.path, at)
	if l, list := f.t.Array(v); list && ok && !t.path.path.definite {
		ok = len(l) > 0
	}
	return ok, err
}

// operand works a side of a comparison out; ok is false when a path leads nowhere.
func (f *finder) operand(o operand, at any) (v any, ok bool, err error) {
	if o.path == nil {
		return o.v, true, nil
	}
	if err := f.spend(1); err != nil {
		return nil, false, err
	}
	if o.root {
		at = f.root
	}
	return f.find(o.path, at)
}

func (t compare) holds(f *finder, at any) (bool, error) {
	a, okA, err := f.operand(t.left, at)
	if err != nil {
		return false, err
	}
	if t.right.pattern != nil {
		s, isText := a.(string)
		if err := f.spend(Matching(len(s), t.right.size)); err != nil {
			return false, err
		}
		return okA && isText && t.right.pattern.MatchString(s), nil
	}
	b, okB, err := f.operand(t.right, at)
	if err != nil {
		return false, err
	}
	switch t.op {
	case "==", "!=":
		same := okA == okB && (!okA || f.same(a, b))
		return same == (t.op == "=="), nil
	}
	if !okA || !okB {
		return t.op == "nin" && okB || t.op == "noneof" && okB, nil
	}
	switch t.op {
	case "<", ">", "<=", ">=":
		c, ok := f.order(a, b)
		switch {
		case !ok:
			return false, nil
		case t.op == "<":
			return c < 0, nil
		case t.op == ">":
			return c > 0, nil
		case t.op == "<=":
			return c <= 0, nil
		}
		return c >= 0, nil
	case "in", "nin":
		in, err := f.member(a, b, at)
		return in == (t.op == "in"), err
	case "contains":
		if s, ok := a.(string); ok {
			sub, ok := b.(string)
			return ok && strings.Contains(s, sub), f.spend(len(s) / 100)
		}
		return f.member(b, a, at)
	case "subsetof", "anyof", "noneof":
		items, ok := f.t.Array(a)
		if !ok {
			return false, nil
		}
		found := 0
		for _, x := range items {
			in, err := f.member(x, b, at)
			if err != nil {
				return false, err
			}
			if in {
				found++
			}
		}
		switch t.op {
		case "subsetof":
			return found == len(items), nil
		case "anyof":
			return found > 0, nil
		}
		return found == 0, nil
	case "size", "empty":
		n := -1
		if items, ok := f.t.Array(a); ok {
			n = len(items)
		} else if keys, ok := f.t.Object(a); ok {
			n = len(keys)
		} else if s, ok := a.(string); ok {
			n = utf8.RuneCountInString(s)
			if err := f.spend(n / 100); err != nil {
				return false, err
			}
		}
		if t.op == "empty" {
			want, _ := b.(bool)
			return n >= 0 && (n == 0) == want, nil
		}
		want, ok := f.number(b)
		return ok && float64(n) == want, nil
	}
	return false, nil
}

// member says whether v is among the members of list.
func (f *finder) member(v, list, at any) (bool, error) {
	if l, ok := list.([]operand); ok {
		for _, o := range l {
			x, ok, err := f.operand(o, at)
			if err != nil {
				return false, err
			}
			if err := f.spend(1); err != nil {
				return false, err
			}
			if ok && f.same(v, x) {
				return true, nil
			}
		}
		return false, nil
	}
	items, _ := f.t.Array(list)
	for _, x := range items {
		if err := f.spend(1); err != nil {
			return false, err
		}
		if f.same(v, x) {
			return true, nil
		}
	}
	return false, nil
}

func (f *finder) number(v any) (float64, bool) {
	if n, ok := v.(float64); ok {
		return n, true
	}
	return f.t.Number(v)
}

func (f *finder) same(a, b any) bool {
	if x, ok := f.number(a); ok {
		y, ok := f.number(b)
		return ok && x == y
	}
	switch x := a.(type) {
	case nil:
		return b == nil
	case string:
		y, ok := b.(string)
		return ok && f.spend(min(len(x), len(y))/100) == nil && x == y
	case bool:
		y, ok := b.(bool)
		return ok && x == y
	}
	x, ok1 := f.t.Array(a)
	if l, ok := b.([]operand); ok && ok1 {
		if len(x) != len(l) {
			return false
		}
		for i := range x {
			if l[i].path != nil || !f.same(x[i], l[i].v) {
				return false
			}
		}
		return true
	}
	y, ok2 := f.t.Array(b)
	if !ok1 || !ok2 || len(x) != len(y) || f.spend(len(x)) != nil {
		return false
	}
	for i := range x {
		if !f.same(x[i], y[i]) {
			return false
		}
	}
	return true
}

func (f *finder) order(a, b any) (int, bool) {
	if x, ok := f.number(a); ok {
		y, ok := f.number(b)
		switch {
		case !ok:
			return 0, false
		case x < y:
			return -1, true
		case x > y:
			return 1, true
		}
		return 0, true
	}
	x, ok1 := a.(string)
	y, ok2 := b.(string)
	return strings.Compare(x, y), ok1 && ok2
}

// call works out the function at the path's end.
func (f *finder) call(p *Path, v any) (any, bool, error) {
	items, array := f.t.Array(v)
	if err := f.spend(len(items) / 10); err != nil {
		return nil, false, err
	}
	switch p.function {
	case "length", "size":
		switch {
		case array:
			return int64(len(items)), true, nil
		default:
			if keys, ok := f.t.Object(v); ok {
				return int64(len(keys)), true, nil
			}
			if s, ok := v.(string); ok {
				return int64(utf8.RuneCountInString(s)), true, f.spend(len(s) / 100)
			}
		}
		return nil, false, nil
	case "keys":
		keys, ok := f.t.Object(v)
		if !ok {
			return nil, false, nil
		}
		out := make([]any, len(keys))
		for i, k := range keys {
			out[i] = k
		}
		return f.t.List(out), true, nil
	case "first", "last", "index":
		i := 0
		if p.function == "last" {
			i = len(items) - 1
		}
		if p.function == "index" && len(p.args) > 0 {
			n, _ := p.args[0].v.(float64)
			if i = int(n); i < 0 {
				i += len(items)
			}
		}
		if i < 0 || i >= len(items) {
			return nil, false, nil
		}
		return items[i], true, nil
	}
	var extra []any
	for _, a := range p.args {
		x, ok, err := f.operand(a, f.root)
		if err != nil {
			return nil, false, err
		}
		if !ok {
			continue
		}
		if l, isList := f.t.Array(x); isList {
			extra = append(extra, l...)
		} else {
			extra = append(extra, x)
		}
	}
	switch p.function {
	case "append":
		if !array {
			return nil, false, nil
		}
		return f.t.List(append(append([]any(nil), items...), extra...)), true, f.spend(len(items))
	case "concat":
		var b strings.Builder
		for _, x := range append(append([]any(nil), items...), extra...) {
			if s, ok := x.(string); ok {
				b.WriteString(s)
			}
		}
		return b.String(), true, f.spend(b.Len() / 100)
	}
	var all []float64
	for _, x := range append(append([]any(nil), items...), extra...) {
		if n, ok := f.number(x); ok {
			all = append(all, n)
		}
	}
	if len(all) == 0 {
		return nil, false, nil
	}
	sum, least, most := 0.0, all[0], all[0]
	for _, n := range all {
		sum, least, most = sum+n, math.Min(least, n), math.Max(most, n)
	}
	switch p.function {
	case "sum":
		return sum, true, nil
	case "min":
		return least, true, nil
	case "max":
		return most, true, nil
	}
	mean := sum / float64(len(all))
	if p.function == "avg" {
		return mean, true, nil
	}
	square := 0.0
	for _, n := range all {
		square += (n - mean) * (n - mean)
	}
	return math.Sqrt(square / float64(len(all))), true, nil
}
