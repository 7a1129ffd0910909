package jsonpath

import (
	"encoding/json"
	"math/big"
	"strings"
)

// test is a filter: all or any of several, a negation, or a comparison.
type test struct {
	op          string // "||", "&&", "!", "exists" or a comparison
	a, b        *test
	left, right operand
}

// operand is a path from the item (or the document), or a constant.
type operand struct {
	path     *Path
	fromRoot bool
	value    any
}

func (p *parser) or() (*test, error)  { return p.join("||", p.and) }
func (p *parser) and() (*test, error) { return p.join("&&", p.one) }

func (p *parser) join(op string, part func() (*test, error)) (*test, error) {
	t, err := part()
	for err == nil {
		p.space()
		if !p.take(op) {
			break
		}
		var b *test
		b, err = part()
		t = &test{op: op, a: t, b: b}
	}
	return t, err
}

func (p *parser) one() (*test, error) {
	if p.depth++; p.depth > 50 {
		return nil, p.fail("the filter nests deeper than 50: simplify it")
	}
	defer func() { p.depth-- }()
	p.space()
	if p.take("!") {
		t, err := p.one()
		return &test{op: "!", a: t}, err
	}
	if p.take("(") {
		t, err := p.or()
		if err != nil {
			return nil, err
		}
		p.space()
		if !p.take(")") {
			return nil, p.fail("expected )")
		}
		return t, nil
	}
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	p.space()
	for _, op := range []string{"==", "!=", "<=", ">=", "<", ">"} {
		if p.take(op) {
			right, err := p.operand()
			return &test{op: op, left: left, right: right}, err
		}
	}
	if left.path == nil {
		return nil, p.fail("expected ==, !=, <, <=, > or >=")
	}
	return &test{op: "exists", left: left}, nil
}

func (p *parser) operand() (operand, error) {
	p.space()
	if p.take("@") {
		path, err := p.steps(true)
		return operand{path: path}, err
	}
	if p.take("$") {
		path, err := p.steps(true)
		return operand{path: path, fromRoot: true}, err
	}
	if p.at < len(p.src) && (p.src[p.at] == '\'' || p.src[p.at] == '"') {
		s, err := p.quoted()
		return operand{value: s}, err
	}
	start := p.at
	for p.at < len(p.src) && !strings.ContainsRune(" \t)]=!<>&|,", rune(p.src[p.at])) {
		p.at++
	}
	word := p.src[start:p.at]
	v, err := Decode([]byte(word))
	if n, ok := v.(json.Number); err != nil || ok && len(n) > 40 || ok && exponent(string(n)) {
		p.at = start
		return operand{}, p.fail("expected @, $, a quoted text, a number, true, false or null")
	}
	return operand{value: v}, nil
}

// exponent keeps 1e999999999 from being worked out.
func exponent(n string) bool { return strings.ContainsAny(n, "eE") && len(n) > 12 || bigExponent(n) }

func bigExponent(n string) bool {
	i := strings.IndexAny(n, "eE")
	return i >= 0 && len(strings.TrimLeft(n[i+1:], "+-0")) > 3
}

func (r *run) value(o operand, item any) (any, bool, error) {
	if o.path == nil {
		return o.value, true, nil
	}
	if o.fromRoot {
		item = r.root
	}
	found, err := r.eval(o.path, item)
	if err != nil || !o.path.definite {
		return found, true, err
	}
	if len(found) == 0 {
		return nil, false, nil
	}
	return found[0], true, nil
}

func (r *run) holds(t *test, item any) (bool, error) {
	if r.left--; r.left < 0 {
		return false, ErrSteps
	}
	switch t.op {
	case "||", "&&":
		ok, err := r.holds(t.a, item)
		if err != nil || ok == (t.op == "||") {
			return ok, err
		}
		return r.holds(t.b, item)
	case "!":
		ok, err := r.holds(t.a, item)
		return !ok, err
	}
	a, okA, err := r.value(t.left, item)
	if err != nil || t.op == "exists" {
		return okA, err
	}
	b, okB, err := r.value(t.right, item)
	if err != nil {
		return false, err
	}
	c, comparable := 1, false
	if okA && okB {
		c, comparable = compare(a, b)
	}
	switch t.op {
	case "==":
		return comparable && c == 0, nil
	case "!=":
		return !comparable || c != 0, nil
	case "<":
		return comparable && c < 0, nil
	case "<=":
		return comparable && c <= 0, nil
	case ">":
		return comparable && c > 0, nil
	}
	return comparable && c >= 0, nil
}

// compare orders two texts or two numbers; other values are equal or not
// comparable.
func compare(a, b any) (int, bool) {
	switch a := a.(type) {
	case string:
		if b, ok := b.(string); ok {
			return strings.Compare(a, b), true
		}
	case json.Number:
		b, ok := b.(json.Number)
		if !ok {
			return 0, false
		}
		if a == b {
			return 0, true
		}
		if bigExponent(string(a)) || bigExponent(string(b)) || len(a) > 400 || len(b) > 400 {
			return 0, false
		}
		x, okX := new(big.Rat).SetString(string(a))
		y, okY := new(big.Rat).SetString(string(b))
		if okX && okY {
			return x.Cmp(y), true
		}
	case bool:
		return 0, a == b
	case nil:
		return 0, b == nil
	}
	return 0, false
}
