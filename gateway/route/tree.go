// Package route finds which method of a deployment answers a request path. New
// compiles a definition's resources into an immutable tree; Match walks it
// without allocating and without locks.
//
// At every part of the path an exact literal goes before a part that mixes text
// with a variable (the longest text first), that before {v}, and that before
// {p+}. A branch that fails deeper is left for the next in this order, so a
// resource that exists is found. The number of branches one path can try is
// known when the tree is built, and New refuses a tree in which it is large.
//
// It must never let a path through that a server behind could read as another
// one: dot segments and broken percent escapes match nothing.
package route

import (
	"hash/maphash"
	"math/rand/v2"
	"sort"
	"strings"

	"tollgate/model"
)

const (
	// MaxVars is the largest number of variables in one path.
	MaxVars = 16
	// maxSteps bounds the nodes one match can visit. Ordinary APIs stay under 50.
	maxSteps = 1024
)

// Route is one resource: its path and, by verb, the index of its method. The
// verb "ANY" answers for those that have no method of their own.
type Route struct {
	Path    string
	Methods map[string]int32
}

// Tree is a compiled set of routes.
type Tree struct {
	root node
	seed [2]uint64    // of the hash of short texts
	long maphash.Seed // and of long ones
}

// node stands for the path parts walked so far.
type node struct {
	lits   table
	end    *terminal // a resource ends here
	v      *node     // {v}
	greedy *terminal // {p+}
	shapes []shape   // mixed parts, longest text first
	alone  bool      // only literals lead on: nothing to come back to
}

// shape holds the mixed parts with equally long texts before and after their
// variable. One path part fits at most one of them, which one look-up finds.
type shape struct {
	prefix, suffix int
	kids           table
}

// terminal is a resource with methods.
type terminal struct {
	route int32
	any   int32 // -1: none
	verbs []verb
	names []string // of its variables, in path order
}

type verb struct {
	name   string
	method int32
}

// part is one part of a route's path with escapes decoded. A variable part has
// a name; before and after are its literal text.
type part struct {
	before, after string
	name          string
	greedy        bool
}

// New compiles routes. A route without methods leads nowhere and is left out.
func New(routes []Route) (*Tree, error) {
	t := &Tree{seed: [2]uint64{rand.Uint64(), rand.Uint64()}, long: maphash.MakeSeed()}
	b := &builder{kids: map[*node]*children{}}
	for i, r := range routes {
		parts, err := parse(r.Path)
		if err != nil {
			return nil, err
		}
		if len(r.Methods) == 0 {
			continue
		}
		if err := b.add(&t.root, parts, r, int32(i)); err != nil {
			return nil, err
		}
	}
	if n := b.seal(t, &t.root); n > maxSteps {
		return nil, model.Errorf(model.Invalid, "the paths overlap too much: finding one could take %d steps, at most %d are allowed; use fewer variables beside literals at the same place", n, maxSteps)
	}
	return t, nil
}

func parse(path string) ([]part, error) {
	segs, err := model.Segments(path)
	if err != nil {
		return nil, err
	}
	out := make([]part, len(segs))
	vars := 0
	for i, s := range segs {
		if s.Variable {
			vars++
			out[i] = part{before: unescape(s.Prefix), after: unescape(s.Suffix), name: s.Name(), greedy: s.Greedy}
			continue
		}
		out[i] = part{before: unescape(s.Text)}
		if dotted(out[i].before) {
			return nil, model.Errorf(model.Invalid, "path %q has a dot segment, which no request may have", path)
		}
	}
	if vars > MaxVars {
		return nil, model.Errorf(model.Invalid, "path %q has %d variables; at most %d are allowed", path, vars, MaxVars)
	}
	return out, nil
}

// dotted says whether a decoded literal has a dot segment, which Match refuses.
func dotted(text string) bool {
	for s := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '/' || r == '\\' }) {
		if s == "." || s == ".." {
			return true
		}
	}
	return false
}

// unescape decodes percent escapes; a text that is not validly escaped stands
// for itself.
func unescape(s string) string {
	b := []byte(s)
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); {
		c, n := unit(b[i:])
		if n == 0 {
			return s
		}
		out = append(out, c)
		i += n
	}
	return string(out)
}

// builder keeps the children of nodes in maps until the tree is sealed.
type builder struct {
	kids map[*node]*children
}

type children struct {
	lits  map[string]*node
	mixed map[[2]string]*node
}

func (b *builder) of(n *node) *children {
	c := b.kids[n]
	if c == nil {
		c = &children{lits: map[string]*node{}, mixed: map[[2]string]*node{}}
		b.kids[n] = c
	}
	return c
}

func (b *builder) add(n *node, parts []part, r Route, index int32) error {
	t := &terminal{route: index, any: -1}
	slot := &n.end
	for _, p := range parts {
		if p.name != "" {
			t.names = append(t.names, p.name)
		}
		if p.greedy {
			slot = &n.greedy
			break // model.Segments has checked that it is the last
		}
		n = b.child(n, p)
		slot = &n.end
	}
	if *slot != nil {
		return model.Errorf(model.Conflict, "path %q stands for the same requests as another path of the API", r.Path)
	}
	for name, method := range r.Methods {
		if name == "ANY" {
			t.any = method
			continue
		}
		t.verbs = append(t.verbs, verb{name, method})
	}
	sort.Slice(t.verbs, func(i, j int) bool { return t.verbs[i].name < t.verbs[j].name })
	*slot = t
	return nil
}

func (b *builder) child(n *node, p part) *node {
	if p.name != "" && p.before == "" && p.after == "" {
		if n.v == nil {
			n.v = &node{}
		}
		return n.v
	}
	c := b.of(n)
	if p.name == "" {
		if c.lits[p.before] == nil {
			c.lits[p.before] = &node{}
		}
		return c.lits[p.before]
	}
	k := [2]string{p.before, p.after}
	if c.mixed[k] == nil {
		c.mixed[k] = &node{}
	}
	return c.mixed[k]
}

// seal turns the maps below n into tables and returns how many steps a match
// from n can take at most: one path part leads to at most one literal child and
// one child of each shape.
func (b *builder) seal(t *Tree, n *node) int {
	steps := 1
	if c := b.kids[n]; c != nil {
		deepest := 0
		for text, kid := range c.lits {
			deepest = max(deepest, b.seal(t, kid))
			n.lits.entries = append(n.lits.entries, entry{text: text, hash: t.hash([]byte(text)), next: kid})
		}
		steps += deepest
		n.lits.index()
		steps += b.sealShapes(t, n, c)
	}
	if n.v != nil {
		steps += b.seal(t, n.v)
	}
	n.alone = n.v == nil && n.greedy == nil && len(n.shapes) == 0
	return min(steps, 1<<30)
}

func (b *builder) sealShapes(t *Tree, n *node, c *children) int {
	at := map[[2]int]int{}
	deepest := map[[2]int]int{}
	for k, kid := range c.mixed {
		size := [2]int{len(k[0]), len(k[1])}
		i, ok := at[size]
		if !ok {
			i = len(n.shapes)
			at[size] = i
			n.shapes = append(n.shapes, shape{prefix: size[0], suffix: size[1]})
		}
		h := t.hash2([]byte(k[0]), []byte(k[1]))
		n.shapes[i].kids.entries = append(n.shapes[i].kids.entries, entry{text: k[0] + k[1], hash: h, next: kid})
		deepest[size] = max(deepest[size], b.seal(t, kid))
	}
	for i := range n.shapes {
		n.shapes[i].kids.index()
	}
	sort.Slice(n.shapes, func(i, j int) bool {
		x, y := &n.shapes[i], &n.shapes[j]
		if x.prefix+x.suffix != y.prefix+y.suffix {
			return x.prefix+x.suffix > y.prefix+y.suffix
		}
		return x.prefix > y.prefix
	})
	steps := len(n.shapes)
	for _, d := range deepest {
		steps += d
	}
	return steps
}
