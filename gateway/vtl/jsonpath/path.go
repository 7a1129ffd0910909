package jsonpath

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// MaxPath is how long a path may be, in bytes.
const MaxPath = 4096

var (
	// ErrNotFound is a definite path's answer where it leads nowhere.
	ErrNotFound = errors.New("the path leads to nothing in this document")
	// ErrSteps is a path that visits more nodes than it may.
	ErrSteps = errors.New("the path visits too many nodes: make it more specific")
)

type kind uint8

const (
	names kind = iota
	wildcard
	indexes
	slice
	filter
)

type step struct {
	kind     kind
	deep     bool
	names    []string
	indexes  []int
	from, to *int
	filter   *test
}

// Path is a parsed JSONPath.
type Path struct {
	steps    []step
	definite bool
}

// Definite is whether the path names one place.
func (p *Path) Definite() bool { return p.definite }

type parser struct {
	src   string
	at    int
	depth int
}

func (p *parser) fail(what string) error {
	return fmt.Errorf("JSONPath column %d: %s", p.at+1, what)
}

func (p *parser) space() {
	for p.at < len(p.src) && (p.src[p.at] == ' ' || p.src[p.at] == '\t') {
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

// Parse reads a path such as $.store.book[0].title.
func Parse(src string) (*Path, error) {
	if len(src) > MaxPath {
		return nil, fmt.Errorf("JSONPath is longer than %d bytes: shorten it", MaxPath)
	}
	p := &parser{src: strings.TrimSpace(src)}
	if !p.take("$") {
		return nil, p.fail("a path starts with $")
	}
	path, err := p.steps(false)
	if err == nil && p.at < len(p.src) {
		err = p.fail("expected . or [")
	}
	return path, err
}

func (p *parser) steps(inFilter bool) (*Path, error) {
	path := &Path{definite: true}
	for p.at < len(p.src) {
		s := step{}
		switch {
		case p.take(".."):
			s.deep = true
		case p.take("."):
		case p.src[p.at] == '[':
		default:
			return path.settle(), nil
		}
		var err error
		if p.take("[") {
			err = p.bracket(&s)
		} else if p.take("*") {
			s.kind = wildcard
		} else {
			start := p.at
			stop := ".[*()"
			if inFilter {
				stop += " \t)]=!<>&|,"
			}
			for p.at < len(p.src) && !strings.ContainsRune(stop, rune(p.src[p.at])) {
				p.at++
			}
			if start == p.at {
				return nil, p.fail("expected a name, * or [")
			}
			s.names = []string{p.src[start:p.at]}
			if p.at < len(p.src) && p.src[p.at] == '(' {
				return nil, p.fail("functions are not supported: use the list's methods in the template")
			}
		}
		if err != nil {
			return nil, err
		}
		path.steps = append(path.steps, s)
	}
	return path.settle(), nil
}

// settle decides definiteness: several names at the end merge into one object.
func (p *Path) settle() *Path {
	for i, s := range p.steps {
		switch {
		case s.deep, s.kind == wildcard, s.kind == slice, s.kind == filter, len(s.indexes) > 1,
			len(s.names) > 1 && i < len(p.steps)-1:
			p.definite = false
		}
	}
	return p
}

func (p *parser) bracket(s *step) error {
	p.space()
	switch {
	case p.take("?"):
		p.space()
		if !p.take("(") {
			return p.fail("a filter is written [?(…)]")
		}
		t, err := p.or()
		if err != nil {
			return err
		}
		p.space()
		if !p.take(")") {
			return p.fail("expected ) after the filter")
		}
		s.kind, s.filter = filter, t
	case p.take("*"):
		s.kind = wildcard
	case p.at < len(p.src) && (p.src[p.at] == '\'' || p.src[p.at] == '"'):
		for {
			p.space()
			n, err := p.quoted()
			if err != nil {
				return err
			}
			s.names = append(s.names, n)
			p.space()
			if !p.take(",") {
				break
			}
		}
	default:
		n, err := p.number()
		if err != nil {
			return err
		}
		p.space()
		if p.take(":") {
			s.kind, s.from = slice, n
			p.space()
			if s.to, err = p.number(); err != nil {
				return err
			}
			if s.from == nil && s.to == nil {
				return p.fail("a slice names its start or its end")
			}
			break
		}
		s.kind = indexes
		for {
			if n == nil {
				return p.fail("expected an index, a quoted name, * or a filter")
			}
			s.indexes = append(s.indexes, *n)
			p.space()
			if !p.take(",") {
				break
			}
			p.space()
			if n, err = p.number(); err != nil {
				return err
			}
		}
	}
	p.space()
	if !p.take("]") {
		return p.fail("expected ]")
	}
	return nil
}

// number is nil where none is written.
func (p *parser) number() (*int, error) {
	start := p.at
	p.take("-")
	for p.at < len(p.src) && p.src[p.at] >= '0' && p.src[p.at] <= '9' {
		p.at++
	}
	if start == p.at {
		return nil, nil
	}
	n, err := strconv.ParseInt(p.src[start:p.at], 10, 32)
	if err != nil {
		return nil, p.fail("an index is a 32-bit number")
	}
	i := int(n)
	return &i, nil
}

func (p *parser) quoted() (string, error) {
	if p.at >= len(p.src) || p.src[p.at] != '\'' && p.src[p.at] != '"' {
		return "", p.fail("expected a quoted text")
	}
	q := p.src[p.at]
	var b []byte
	for p.at++; p.at < len(p.src); p.at++ {
		c := p.src[p.at]
		if c == q {
			p.at++
			return string(b), nil
		}
		if c == '\\' && p.at+1 < len(p.src) {
			p.at++
			c = p.src[p.at]
		}
		b = append(b, c)
	}
	return "", p.fail("the quote is not closed")
}

// Eval answers the path in a document, visiting at most steps nodes.
func (p *Path) Eval(root any, steps int) (any, error) {
	r := &run{root: root, left: steps}
	found, err := r.eval(p, root)
	if err != nil || !p.definite {
		if found == nil {
			found = []any{}
		}
		return found, err
	}
	if len(found) == 0 {
		return nil, ErrNotFound
	}
	return found[0], nil
}

type run struct {
	root any
	left int
}

func (r *run) eval(p *Path, from any) ([]any, error) {
	now := []any{from}
	for i := range p.steps {
		var next []any
		for _, v := range now {
			if err := r.step(&p.steps[i], i == len(p.steps)-1, v, &next); err != nil {
				return nil, err
			}
		}
		now = next
	}
	return now, nil
}

func (r *run) step(s *step, last bool, v any, out *[]any) error {
	if r.left--; r.left < 0 {
		return ErrSteps
	}
	if err := r.pick(s, last, v, out); err != nil || !s.deep {
		return err
	}
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			if err := r.step(s, last, x, out); err != nil {
				return err
			}
		}
	case *Object:
		for _, k := range v.Keys {
			if err := r.step(s, last, v.values[k], out); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *run) pick(s *step, last bool, v any, out *[]any) error {
	list, isList := v.([]any)
	o, isObject := v.(*Object)
	before := len(*out)
	switch {
	case s.kind == names && isObject && len(s.names) > 1 && last:
		merged := &Object{}
		for _, n := range s.names {
			if x, ok := o.Get(n); ok {
				merged.Set(n, x)
			}
		}
		*out = append(*out, merged)
	case s.kind == names && isObject:
		for _, n := range s.names {
			if x, ok := o.Get(n); ok {
				*out = append(*out, x)
			}
		}
	case s.kind == wildcard && isList:
		*out = append(*out, list...)
	case s.kind == wildcard && isObject:
		for _, k := range o.Keys {
			*out = append(*out, o.values[k])
		}
	case s.kind == indexes && isList:
		for _, i := range s.indexes {
			if i < 0 {
				i += len(list)
			}
			if i >= 0 && i < len(list) {
				*out = append(*out, list[i])
			}
		}
	case s.kind == slice && isList:
		from, to := bound(s.from, 0, len(list)), bound(s.to, len(list), len(list))
		if from < to {
			*out = append(*out, list[from:to]...)
		}
	case s.kind == filter && isList && !s.deep:
		for _, x := range list {
			ok, err := r.holds(s.filter, x)
			if err != nil {
				return err
			}
			if ok {
				*out = append(*out, x)
			}
		}
	case s.kind == filter && isObject:
		// An object is tested itself, not its members.
		ok, err := r.holds(s.filter, v)
		if err != nil {
			return err
		}
		if ok {
			*out = append(*out, v)
		}
	}
	if r.left -= len(*out) - before; r.left < 0 {
		return ErrSteps
	}
	return nil
}

func bound(i *int, none, n int) int {
	if i == nil {
		return none
	}
	if *i < 0 {
		return max(0, n+*i)
	}
	return min(*i, n)
}
