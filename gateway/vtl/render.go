package vtl

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"strconv"
	"strings"
	"sync"
)

// Limits of one rendering; zero is the default.
type Limits struct {
	Output     int // bytes
	Iterations int // of one #foreach; 1000, as on the service
	Steps      int // nodes and expressions worked out
}

// Defaults of Limits.
const (
	DefaultOutput     = 10 << 20
	DefaultIterations = 1000
	DefaultSteps      = 1_000_000
)

// Input is what a template is rendered with.
type Input struct {
	Body           string // $input.body
	Path           map[string]string
	Query          map[string]string
	Header         map[string]string
	Context        *Map // $context: templates may set overrides in it
	StageVariables *Map
	Limits         Limits
	// NotJSON is set when the template asked for a part of a body that is no JSON; it
	// then had the body's text.
	NotJSON bool
}

var (
	errSteps     = errors.New("the template takes too many steps")
	errRecursion = errors.New("macros, definitions or #evaluate nest too deeply")
	errStop      = errors.New("#stop")
	errBreak     = errors.New("#break")
)

// maxRecursion bounds how deeply macros, definitions and #evaluate call each other.
const maxRecursion = 50

// Render appends the template's output to dst. An error is of a limit, with its line and
// column: what a template asks for and cannot have is the empty text.
func (t *Template) Render(dst []byte, in *Input) ([]byte, error) {
	if t.plain {
		return append(dst, t.text...), nil
	}
	r := renderers.Get().(*renderer)
	r.begin(t, in)
	r.out = dst
	r.most = len(dst) + r.limits.Output
	err := r.run(t.body)
	out := r.out
	r.end()
	if err == errStop || err == errBreak {
		err = nil
	}
	if p, ok := err.(*placed); ok {
		line, column := place(t.text, p.at)
		err = fmt.Errorf("line %d, column %d: %w", line, column, p.err)
	}
	return out, err
}

// renderers are those of renderings that are over, without anything of theirs.
var renderers = sync.Pool{New: func() any { return new(renderer) }}

func (r *renderer) begin(t *Template, in *Input) {
	r.in, r.macros, r.names, r.limits = in, t.macros, t.names, in.Limits
	r.vars = append(r.vars, make([]variable, len(t.names))...)
	if r.limits.Output == 0 {
		r.limits.Output = DefaultOutput
	}
	if r.limits.Iterations == 0 {
		r.limits.Iterations = DefaultIterations
	}
	if r.limits.Steps == 0 {
		r.limits.Steps = DefaultSteps
	}
}

// end makes the renderer another rendering's. The memory goes with it, unless something
// outside may have a part of it: the maps of $context and $stageVariables outlive the
// rendering, with what the template put into them.
func (r *renderer) end() {
	next := renderer{vars: emptied(r.vars), args: emptied(r.args), free: r.free}
	if !r.changed {
		next.memory = r.memory
		next.memory.clear()
	}
	*r = next
	renderers.Put(r)
}

type renderer struct {
	in     *Input
	macros map[string]*macro
	names  map[string]int // the template's; own: with those of what it evaluated
	own    bool
	vars   []variable // by slot
	args   []any      // of the methods being called, the innermost last
	free   []*arguments
	limits Limits
	out    []byte
	most   int
	steps  int
	depth  int
	loop   *loop
	json   any // the body, read once
	read   bool
	bytes  int // of texts and members that were made
	memory memory
	// changed says that a map or a list was given a value.
	changed bool
}

// variable is the value that a template gave a name, if it did.
type variable struct {
	v   any
	set bool
}

// loop is $foreach.
type loop struct {
	index, size int
	parent      *loop
}

// block is what #define gives a name to: it is rendered when it is printed.
type block struct{ body []node }

func (r *renderer) step() error {
	if r.steps++; r.steps > r.limits.Steps {
		return errSteps
	}
	return nil
}

// made counts memory that a template uses.
func (r *renderer) made(bytes int) error {
	if r.bytes += bytes; r.bytes > 4*r.limits.Output {
		return errOutput
	}
	return nil
}

func (r *renderer) put(s string) error {
	if len(r.out)+len(s) > r.most {
		return errOutput
	}
	r.out = append(r.out, s...)
	return nil
}

// print puts a value out as Java prints it.
func (r *renderer) print(v any) error {
	switch v := v.(type) {
	case string:
		return r.put(v)
	case int64:
		r.out = strconv.AppendInt(r.out, v, 10)
	case bool:
		r.out = strconv.AppendBool(r.out, v)
	case float64:
		r.out = appendDouble(r.out, v)
	default:
		p := printer{r.out, r.most}
		if err := p.java(v, 0); err != nil {
			return err
		}
		r.out = p.out
	}
	if len(r.out) > r.most {
		return errOutput
	}
	return nil
}

// appended counts what the output has since start, and takes it back when it is too much.
func (r *renderer) appended(start int) error {
	err := r.made(len(r.out) - start)
	if err == nil && len(r.out) > r.most {
		err = errOutput
	}
	if err != nil {
		r.out = r.out[:start]
	}
	return err
}

// capture renders to a text.
func (r *renderer) capture(body []node) (string, error) {
	if r.depth++; r.depth > maxRecursion {
		return "", errRecursion
	}
	defer func() { r.depth-- }()
	start := len(r.out)
	err := r.run(body)
	s := string(r.out[start:])
	r.out = r.out[:start]
	if err == nil {
		err = r.made(len(s))
	}
	return s, err
}

func (r *renderer) run(nodes []node) error {
	for i := range nodes {
		err := r.step()
		if err == nil {
			err = nodes[i].what.render(r)
		}
		if err != nil {
			return placedAt(int(nodes[i].at), err)
		}
	}
	return nil
}

// placed is an error at the innermost piece of the template that it came of.
type placed struct {
	at  int
	err error
}

func (e *placed) Error() string { return e.err.Error() }

func placedAt(at int, err error) error {
	if _, ok := err.(*placed); ok || err == errStop || err == errBreak {
		return err
	}
	return &placed{at, err}
}

func (n textNode) render(r *renderer) error { return r.put(string(n)) }

func (ref *reference) render(r *renderer) error {
	v, err := r.follow(ref, ref.steps)
	if err != nil {
		return err
	}
	if b, ok := v.(*block); ok {
		return r.nested(b.body)
	}
	return r.print(v)
}

// nested renders what is called from elsewhere.
func (r *renderer) nested(body []node) error {
	if r.depth++; r.depth > maxRecursion {
		return errRecursion
	}
	err := r.run(body)
	r.depth--
	return err
}

func (n *escapeNode) render(r *renderer) error {
	if r.vars[n.ref.slot].set { // the template has the name for itself
		return n.ref.render(r)
	}
	s, err := r.argument(n.of)
	if err != nil {
		return err
	}
	start := len(r.out)
	r.out = appendEscaped(r.out, s)
	return r.appended(start)
}

func (n *jsonNode) render(r *renderer) error {
	if r.vars[n.ref.slot].set {
		return n.ref.render(r)
	}
	s, err := r.argument(n.of)
	if err != nil {
		return err
	}
	v, ok, err := r.path(n.path, s)
	if err != nil || !ok {
		return err
	}
	start := len(r.out)
	p := printer{r.out, r.most}
	if err := p.json(v, 0); err != nil {
		return err
	}
	r.out = p.out
	return r.appended(start)
}

// argument is the text of a method's only argument.
func (r *renderer) argument(e expr) (string, error) {
	if err := r.step(); err != nil {
		return "", err
	}
	return r.textOf(e)
}

func (n *setNode) render(r *renderer) error {
	v, err := r.eval(n.value)
	if err != nil {
		return err
	}
	return r.set(n.target, v)
}

func (n *ifNode) render(r *renderer) error {
	for i := range n.branches {
		b := &n.branches[i]
		if b.cond != nil {
			v, err := r.eval(b.cond)
			if err != nil {
				return err
			}
			if !truth(v) {
				continue
			}
		}
		return r.run(b.body)
	}
	return nil
}

func (n *defineNode) render(r *renderer) error {
	r.vars[n.slot] = variable{&block{n.body}, true}
	return nil
}

func (n *evaluateNode) render(r *renderer) error {
	s, err := r.textOf(n.of)
	if err != nil {
		return err
	}
	t, err := r.parse(s)
	if err != nil {
		return err
	}
	if t == nil {
		return nil // as what is not there
	}
	if t.plain {
		return r.put(t.text)
	}
	err = r.nested(t.body)
	if p, ok := err.(*placed); ok {
		return p.err // the place is #evaluate's, which the template's author sees
	}
	return err
}

func (stopNode) render(*renderer) error  { return errStop }
func (breakNode) render(*renderer) error { return errBreak }

// parse compiles what #evaluate has; nil: it is no template. Its variables are those of
// the template around it.
func (r *renderer) parse(src string) (*Template, error) {
	if !r.own { // others render the same template
		r.names, r.own = maps.Clone(r.names), true
	}
	t, err := parse(src, r.names)
	more := len(r.names) - len(r.vars)
	r.vars = append(r.vars, make([]variable, more)...)
	if err != nil {
		t = nil
	}
	return t, r.made(more * 64)
}

// truth is what Velocity takes for true: all but false. What is not there is the empty
// text, and so true.
func truth(v any) bool {
	b, ok := v.(bool)
	return !ok || b
}

func (n *foreachNode) render(r *renderer) error {
	in, err := r.eval(n.in)
	if err != nil {
		return err
	}
	var items []any
	switch v := in.(type) {
	case *List:
		items = v.Items
	case *Map:
		items = append(items, v.values...)
	default:
		return nil
	}
	before := r.vars[n.slot]
	around := r.loop
	r.loop = r.memory.loops.one()
	r.loop.size, r.loop.parent = len(items), around
	defer func() {
		r.loop = around
		r.vars[n.slot] = before
	}()
	for i, x := range items {
		if i >= r.limits.Iterations {
			return fmt.Errorf("#foreach has more than %d iterations", r.limits.Iterations)
		}
		r.loop.index = i
		r.vars[n.slot] = variable{x, true}
		if err := r.run(n.body); err == errBreak {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// render puts a macro out with its parameters set.
func (n *callNode) render(r *renderer) error {
	m := r.macros[n.name]
	if m == nil || m.body == nil && m.params == nil {
		return r.put(n.raw)
	}
	if r.depth++; r.depth > maxRecursion {
		return errRecursion
	}
	defer func() { r.depth-- }()
	type saved struct {
		slot int
		variable
	}
	var before []saved
	bind := func(slot int, v any) {
		before = append(before, saved{slot, r.vars[slot]})
		r.vars[slot] = variable{v, true}
	}
	args := make([]any, len(n.args))
	for i, a := range n.args {
		v, err := r.eval(a)
		if err != nil {
			return err
		}
		args[i] = v
	}
	for i, p := range m.params {
		if i < len(args) {
			bind(p, args[i])
		} else {
			bind(p, nil)
		}
	}
	if n.body != nil {
		bind(n.slot, &block{n.body})
	}
	err := r.run(m.body)
	for i := len(before) - 1; i >= 0; i-- {
		r.vars[before[i].slot] = before[i].variable
	}
	return err
}

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
	r.changed = true
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

func (e *binary) value(r *renderer) (any, error) {
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
	return arithmetic(e.op, a, b), nil
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
