package vtl

import (
	"cmp"
	"math"
	"math/big"
	"strings"
)

// set gives a variable, a property or a member a value.
func (r *renderer) set(ref *reference, v any) error {
	if err := r.made(16); err != nil {
		return err
	}
	if len(ref.steps) == 0 {
		switch ref.given {
		case givenInput, givenUtil, givenContext, givenStageVariables:
			return nil // they are the rendering's
		}
		r.vars[ref.slot] = variable{v, true}
		return nil
	}
	last := ref.steps[len(ref.steps)-1]
	of, err := r.follow(ref, ref.steps[:len(ref.steps)-1])
	if err != nil {
		return err
	}
	key := any(last.name)
	if last.index != nil {
		if key, err = r.eval(last.index); err != nil {
			return err
		}
	} else if last.method {
		return nil
	}
	v = r.keep(v)
	switch of := of.(type) {
	case *Map:
		k, err := r.text(key)
		if err != nil {
			return err
		}
		of.Set(k, v)
		return r.made(len(k) + 32)
	case *List:
		if i, ok := index(key, len(of.Items)); ok {
			of.Items[i] = v
		}
	}
	return nil
}

// value is what a reference comes to; the empty text when it comes to nothing.
func (ref *reference) value(r *renderer) (any, error) { return r.follow(ref, ref.steps) }

func (r *renderer) follow(ref *reference, steps []step) (any, error) {
	v, ok := r.variable(ref)
	for i := range steps {
		if err := r.step(); err != nil {
			return nil, err
		}
		if !ok || v == nil {
			return "", nil
		}
		s := &steps[i]
		var err error
		switch {
		case s.index != nil:
			key, e := r.eval(s.index)
			if e != nil {
				return nil, e
			}
			v, ok, err = r.member(v, key)
		case s.method:
			base := len(r.args)
			for _, a := range s.args {
				x, err := r.eval(a)
				if err != nil {
					return nil, err
				}
				r.args = append(r.args, x)
			}
			v, ok, err = r.method(v, s, r.args[base:])
			r.args = r.args[:base]
		default:
			v, ok, err = r.property(v, s.name)
		}
		if err != nil {
			return nil, err
		}
	}
	if !ok || v == nil {
		return "", nil
	}
	return v, nil
}

func (r *renderer) variable(ref *reference) (any, bool) {
	if v := &r.vars[ref.slot]; v.set {
		return v.v, true
	}
	switch ref.given {
	case givenInput:
		return inputObject{}, true
	case givenUtil:
		return utilObject{}, true
	case givenContext:
		return r.in.Context, r.in.Context != nil
	case givenStageVariables:
		return r.in.StageVariables, r.in.StageVariables != nil
	case givenForeach:
		return r.loop, r.loop != nil
	case givenCount:
		if r.loop != nil {
			return int64(r.loop.index + 1), true
		}
	case givenHasNext:
		if r.loop != nil {
			return r.loop.index+1 < r.loop.size, true
		}
	}
	return nil, false
}

// eval is what an expression comes to.
func (r *renderer) eval(e expr) (any, error) {
	if err := r.step(); err != nil {
		return nil, err
	}
	return e.value(r)
}

// textOf is the text of what an expression comes to.
func (r *renderer) textOf(e expr) (string, error) {
	v, err := r.eval(e)
	if err != nil {
		return "", err
	}
	return r.text(v)
}

func (e *literal) value(*renderer) (any, error) { return e.v, nil }

func (e *quotedBy) value(r *renderer) (any, error) { return r.capture(e.body) }

func (e *listOf) value(r *renderer) (any, error) {
	l := &List{Items: make([]any, 0, len(e.items))}
	for _, x := range e.items {
		v, err := r.eval(x)
		if err != nil {
			return nil, err
		}
		l.Items = append(l.Items, v)
	}
	return l, r.made(16 * len(l.Items))
}

func (e *mapOf) value(r *renderer) (any, error) {
	m := NewMap()
	for i := range e.keys {
		key, err := r.textOf(e.keys[i])
		if err != nil {
			return nil, err
		}
		v, err := r.eval(e.values[i])
		if err != nil {
			return nil, err
		}
		m.Set(key, v)
	}
	return m, r.made(48 * m.Len())
}

func (e *rangeOf) value(r *renderer) (any, error) {
	a, err := r.eval(e.from)
	if err != nil {
		return nil, err
	}
	b, err := r.eval(e.to)
	if err != nil {
		return nil, err
	}
	from, ok1 := a.(int64)
	to, ok2 := b.(int64)
	if !ok1 || !ok2 {
		return "", nil
	}
	l := &List{}
	for i := from; ; {
		if len(l.Items) > r.limits.Iterations {
			break // a loop over it ends in the error
		}
		l.Items = append(l.Items, i)
		if i == to {
			break
		}
		if from < to {
			i++
		} else {
			i--
		}
	}
	return l, r.made(16 * len(l.Items))
}

func (e *not) value(r *renderer) (any, error) {
	v, err := r.eval(e.of)
	return !truth(v), err
}

func (e *operation) value(r *renderer) (any, error) {
	a, err := r.eval(e.left)
	if err != nil {
		return nil, err
	}
	switch e.op {
	case "&&":
		if !truth(a) {
			return false, nil
		}
		b, err := r.eval(e.right)
		return truth(b), err
	case "||":
		if truth(a) {
			return true, nil
		}
		b, err := r.eval(e.right)
		return truth(b), err
	}
	b, err := r.eval(e.right)
	if err != nil {
		return nil, err
	}
	switch e.op {
	case "==", "!=":
		same, err := r.same(a, b)
		return same == (e.op == "=="), err
	case "<", ">", "<=", ">=":
		c, ok := compare(a, b)
		if !ok {
			return false, nil
		}
		switch e.op {
		case "<":
			return c < 0, nil
		case ">":
			return c > 0, nil
		case "<=":
			return c <= 0, nil
		}
		return c >= 0, nil
	}
	if e.op == "+" {
		_, s1 := a.(string)
		_, s2 := b.(string)
		if s1 || s2 {
			x, err := r.text(a)
			if err != nil {
				return nil, err
			}
			y, err := r.text(b)
			if err != nil {
				return nil, err
			}
			return x + y, r.made(len(x) + len(y))
		}
	}
	n := bitsOf(a) + bitsOf(b)
	if r.steps += n / 64; r.steps > r.limits.Steps {
		return nil, errSteps
	}
	return arithmetic(e.op, a, b), r.made(n / 8)
}

// bitsOf is how long a whole number is that has outgrown 64 bits.
func bitsOf(v any) int {
	if n, large := v.(*big.Int); large {
		return n.BitLen()
	}
	return 0
}

// same is Velocity's ==: numbers by value, what is of two kinds by its text.
func (r *renderer) same(a, b any) (bool, error) {
	if c, ok := compare(a, b); ok {
		return c == 0, nil
	}
	if a == nil {
		a = ""
	}
	if b == nil {
		b = ""
	}
	switch x := a.(type) {
	case string:
		if y, ok := b.(string); ok {
			r.steps += min(len(x), len(y)) / 400
			return x == y, nil
		}
	case bool:
		if y, ok := b.(bool); ok {
			return x == y, nil
		}
	}
	x, err := r.text(a)
	if err != nil {
		return false, err
	}
	y, err := r.text(b)
	return x == y, err
}

// compare compares numbers by value; ok is false unless both are.
func compare(a, b any) (order int, ok bool) {
	if x, is := a.(int64); is {
		if y, is := b.(int64); is {
			return cmp.Compare(x, y), true
		}
	}
	x, ok := rational(a)
	if !ok {
		return 0, false
	}
	y, ok := rational(b)
	if !ok {
		return 0, false
	}
	return x.Cmp(y), true
}

// rational is a number for comparisons.
func rational(v any) (*big.Rat, bool) {
	switch v := v.(type) {
	case int64:
		return new(big.Rat).SetInt64(v), true
	case *big.Int:
		return new(big.Rat).SetInt(v), true
	case float64:
		if q := new(big.Rat).SetFloat64(v); q != nil {
			return q, true
		}
	}
	return nil, false
}

// maxBits bounds whole numbers: products of products grow without end.
const maxBits = 1 << 16

// arithmetic works as Velocity's: whole numbers stay whole, and grow when they have to.
// What cannot be worked out is nothing.
func arithmetic(op string, a, b any) any {
	x, okX := whole(a)
	y, okY := whole(b)
	if okX && okY {
		out := new(big.Int)
		switch op {
		case "+":
			out.Add(x, y)
		case "-":
			out.Sub(x, y)
		case "*":
			if x.BitLen()+y.BitLen() > maxBits {
				return ""
			}
			out.Mul(x, y)
		case "/", "%":
			if y.Sign() == 0 {
				return ""
			}
			if op == "/" {
				out.Quo(x, y)
			} else {
				out.Rem(x, y)
			}
		}
		if out.IsInt64() {
			return out.Int64()
		}
		return out
	}
	f, okF := double(a)
	g, okG := double(b)
	if !okF || !okG {
		return ""
	}
	switch op {
	case "+":
		return f + g
	case "-":
		return f - g
	case "*":
		return f * g
	}
	if g == 0 {
		return ""
	}
	if op == "/" {
		return f / g
	}
	return math.Mod(f, g) // as Java's %
}

func whole(v any) (*big.Int, bool) {
	switch v := v.(type) {
	case int64:
		return big.NewInt(v), true
	case *big.Int:
		return v, true
	}
	return nil, false
}

func double(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case *big.Int:
		f, _ := new(big.Float).SetInt(v).Float64()
		return f, true
	case float64:
		return v, true
	}
	return 0, false
}

// index is a place in a list of n.
func index(v any, n int) (int, bool) {
	i, ok := v.(int64)
	if !ok {
		return 0, false
	}
	if i < 0 { // from the end, as Velocity has it
		i += int64(n)
	}
	if i < 0 || i >= int64(n) {
		return 0, false
	}
	return int(i), true
}

func (r *renderer) member(v, key any) (any, bool, error) {
	switch v := v.(type) {
	case *List:
		if i, ok := index(key, len(v.Items)); ok {
			return v.Items[i], true, nil
		}
		return nil, false, nil
	case *Map:
		k, err := r.text(key)
		if err != nil {
			return nil, false, err
		}
		x, ok := v.Get(k)
		return x, ok, nil
	}
	if s, ok := key.(string); ok {
		return r.property(v, s)
	}
	return nil, false, nil
}

// property is $v.name: a key of a map, or what a getter gives.
func (r *renderer) property(v any, name string) (any, bool, error) {
	switch v := v.(type) {
	case *Map:
		if x, ok := v.Get(name); ok {
			return x, true, nil
		}
		if name == "empty" {
			return v.Len() == 0, true, nil
		}
		return nil, false, nil
	case *List:
		if name == "empty" {
			return len(v.Items) == 0, true, nil
		}
	case string:
		switch name {
		case "empty":
			return v == "", true, nil
		case "blank":
			return strings.TrimSpace(v) == "", true, nil
		}
	case *entry:
		switch name {
		case "key":
			return v.key, true, nil
		case "value":
			return v.m.value(v.key), true, nil
		}
	case *loop:
		switch name {
		case "index":
			return int64(v.index), true, nil
		case "count":
			return int64(v.index + 1), true, nil
		case "hasNext":
			return v.index+1 < v.size, true, nil
		case "first":
			return v.index == 0, true, nil
		case "last":
			return v.index+1 == v.size, true, nil
		case "parent":
			return v.parent, v.parent != nil, nil
		case "topmost":
			for v.parent != nil {
				v = v.parent
			}
			return v, true, nil
		}
	case inputObject:
		if name == "body" {
			return r.in.Body, true, nil
		}
	}
	return nil, false, nil
}
