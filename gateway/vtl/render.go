package vtl

import (
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
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
	errStopLoop  = errors.New("$foreach.stop()") // of renderer.stopped
)

// maxRoom bounds the room that is made for the output before there is any: that of the
// template, which is about what most put out.
const maxRoom = 8 << 10

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
	r.out = slices.Grow(dst, min(len(t.text), maxRoom))
	r.most = len(dst) + r.limits.Output
	err := r.run(t.body)
	out := r.out
	r.reset()
	renderers.Put(r)
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

// reset makes the renderer another rendering's. The memory goes with it, unless something
// outside may have a part of it: the maps of $context and $stageVariables outlive the
// rendering, with what the template put into them.
func (r *renderer) reset() {
	next := renderer{vars: emptied(r.vars), args: emptied(r.args), free: r.free}
	if !r.kept {
		next.memory = r.memory
		next.memory.clear()
	}
	*r = next
}

// keep is the value for a map or a list, which may have it longer than the rendering has
// its memory: a text or a number in memory of its own. Others may have parts anywhere in
// the rendering's, which is then left to them.
func (r *renderer) keep(v any) any {
	switch v := v.(type) {
	case nil, bool, *big.Int:
	case string:
		return v
	case int64:
		return v
	case float64:
		return v
	default:
		r.kept = true
	}
	return v
}

func (r *renderer) keepAll(values []any) {
	for i, v := range values {
		values[i] = r.keep(v)
	}
}

type renderer struct {
	in      *Input
	macros  map[string]*macro
	names   map[string]int // the template's; own: with those of what it evaluated
	own     bool
	vars    []variable // by slot
	args    []any      // of the methods being called, the innermost last
	free    []*arguments
	limits  Limits
	out     []byte
	most    int
	steps   int
	depth   int
	loop    *loop
	stopped *loop
	json    any // the body, read once
	read    bool
	bytes   int // of texts and members that were made
	memory  memory
	kept    bool // a part of the memory may have been put into something
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
	start := len(r.out)
	err := r.nested(body)
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
	if _, ok := err.(*placed); ok || err == errStop || err == errBreak || err == errStopLoop {
		return err
	}
	return &placed{at, err}
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
	r.steps += len(s) / 10
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
		r.steps += len(items) / 10
	default:
		return nil
	}
	before := r.vars[n.slot]
	around := r.loop
	r.loop = r.memory.loops.one()
	r.loop.size, r.loop.parent = len(items), around
	err = r.each(n, items)
	r.loop = around
	r.vars[n.slot] = before
	return err
}

// within says that the rendering is in a loop.
func (r *renderer) within(l *loop) bool {
	for at := r.loop; at != nil; at = at.parent {
		if at == l {
			return true
		}
	}
	return false
}

// each renders the loop's body for each of the items.
func (r *renderer) each(n *foreachNode, items []any) error {
	for i, x := range items {
		if i >= r.limits.Iterations {
			return fmt.Errorf("#foreach has more than %d iterations", r.limits.Iterations)
		}
		r.loop.index = i
		r.vars[n.slot] = variable{x, true}
		if err := r.run(n.body); err == errBreak || err == errStopLoop && r.stopped == r.loop {
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
