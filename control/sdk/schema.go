package sdk

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"tollgate/model"
)

type kind int

const (
	anyKind     kind = iota
	rawKind          // not JSON: text or bytes
	stringKind       // with enum: one of those
	integerKind      // 64 bits
	numberKind
	booleanKind
	listKind   // of elem
	mapKind    // of elem, by any name
	objectKind // declared
)

// schema is a type of a value of JSON.
type schema struct {
	kind     kind
	elem     *schema
	enum     []string
	nullable bool
	object   *declared
}

// declared is a type with a name: an object with its properties.
type declared struct {
	name   string
	about  string
	fields []*field
	open   *schema // of properties that are not declared; nil: there are none
}

type field struct {
	wire     string
	about    string
	schema   *schema
	required bool
}

// schemas reads models of a definition. A model that is an object becomes a
// declared type, as does an object within one; anything else stands for itself.
// What JSON Schema can say and a plain type cannot (a choice of types, a tuple) is
// any value.
type schemas struct {
	r       *reader
	roots   map[string]*node
	named   map[string]string    // name of a model: of its type
	made    map[string]*declared // by model and pointer
	inside  map[string]bool      // plain types being read, by model and pointer
	budget  int                  // properties that may still be read
	nesting int
}

// maxNesting bounds how deeply types contain each other without a name between.
const maxNesting = 60

func (s *schemas) init(r *reader) {
	*s = schemas{r: r, roots: map[string]*node{}, named: map[string]string{}, made: map[string]*declared{}, inside: map[string]bool{}, budget: maxFields}
	for i := range r.d.Models {
		name := r.d.Models[i].Name
		s.named[name] = r.names.typeName(typeWords(name))
	}
}

// where is a place in a model.
type where struct{ model, pointer string }

// model is the type of a model.
func (s *schemas) model(name string) *schema { return s.at(where{model: name}, s.named[name]) }

func (s *schemas) root(name string) *node {
	n, ok := s.roots[name]
	if !ok {
		if m := s.r.d.Model(name); m != nil {
			n = parse(m.Schema)
		}
		s.roots[name] = n
	}
	return n
}

// at is the type at a place that may be referred to, and so may contain itself.
func (s *schemas) at(w where, name string) *schema {
	n := s.root(w.model).at(w.pointer)
	id := w.model + "#" + w.pointer
	if d := s.made[id]; d != nil {
		return &schema{kind: objectKind, object: d}
	}
	if n == nil || s.inside[id] {
		return &schema{}
	}
	s.inside[id] = true
	defer delete(s.inside, id)
	return s.read(n, w, name, id)
}

// read is the type of a schema. name is what it would be called; id is not empty
// where it can be referred to.
func (s *schemas) read(n *node, w where, name, id string) *schema {
	s.nesting++
	defer func() { s.nesting-- }()
	if s.nesting > maxNesting || s.budget < 0 || n == nil {
		return &schema{}
	}
	s.budget--
	if ref := n.text("$ref"); ref != "" {
		to, called, ok := s.follow(ref, w)
		if !ok {
			return &schema{}
		}
		return s.at(to, called)
	}
	if all := n.get("allOf"); all != nil && len(all.items) == 1 && n.get("properties") == nil {
		return s.read(all.items[0], w, name, id)
	}
	for _, choice := range []string{"oneOf", "anyOf"} { // one thing, or null
		if c := n.get(choice); c != nil && n.get("properties") == nil && n.get("allOf") == nil {
			var others []*node
			for _, o := range c.items {
				if o.text("type") != "null" {
					others = append(others, o)
				}
			}
			if len(others) != 1 {
				return &schema{}
			}
			out := *s.read(others[0], w, name, id)
			out.nullable = out.nullable || len(others) < len(c.items)
			return &out
		}
	}
	kind, nullable := n.kind()
	out := &schema{nullable: nullable}
	switch kind {
	case "string":
		out.kind = stringKind
		if e := n.get("enum"); e != nil && len(e.items) <= 100 {
			for _, v := range e.items {
				if t, ok := v.value.(string); ok {
					out.enum = append(out.enum, t)
				} else if v.value != nil {
					out.enum = nil
					break
				}
			}
		}
	case "integer":
		out.kind = integerKind
	case "number":
		out.kind = numberKind
	case "boolean":
		out.kind = booleanKind
	case "array":
		out.kind = listKind
		out.elem = &schema{}
		if items := n.get("items"); items != nil && items.fields != nil {
			out.elem = s.read(items, w, name+"Item", "")
		}
	case "object":
		return s.object(n, w, name, id, nullable)
	}
	return out
}

// object declares a type for an object that has properties; one without is a map.
func (s *schemas) object(n *node, w where, name, id string, nullable bool) *schema {
	var parts []part
	s.gather(n, w, &parts, 0)
	has := slices.ContainsFunc(parts, func(p part) bool { return p.n.get("properties") != nil && len(p.n.get("properties").keys) > 0 })
	if !has {
		if n.get("type") == nil && n.get("properties") == nil { // allOf of something that is no object, or of nobody knows what
			for _, p := range parts {
				if k, _ := p.n.kind(); k != "" && (k != "object" || p.n.get("type") != nil) {
					return s.read(p.n, p.where, name, "")
				}
			}
			return &schema{nullable: nullable}
		}
		elem := &schema{}
		if a := n.get("additionalProperties"); a != nil && a.fields != nil {
			elem = s.read(a, w, name+"Value", "")
		}
		return &schema{kind: mapKind, elem: elem, nullable: nullable}
	}
	d := &declared{about: n.text("description")}
	if id != "" && s.named[w.model] != "" && w.pointer == "" {
		d.name = s.named[w.model]
		if d.about == "" {
			d.about = s.r.d.Model(w.model).Description
		}
		if summary, about := s.r.documented(model.DocumentationLocation{Type: "MODEL", Name: w.model}); about+summary != "" {
			d.about = cmp.Or(about, summary)
		}
	} else {
		d.name = s.r.names.typeName(typeWords(name))
	}
	if id != "" {
		s.made[id] = d
	}
	s.r.types = append(s.r.types, d)
	byName := map[string]*field{}
	required := map[string]bool{}
	for _, p := range parts {
		if q := p.n.get("required"); q != nil {
			for _, v := range q.items {
				if t, ok := v.value.(string); ok {
					required[t] = true
				}
			}
		}
		if a := p.n.get("additionalProperties"); a != nil && d.open == nil {
			switch {
			case a.fields != nil:
				d.open = s.read(a, p.where, d.name+"Value", "")
			case a.value == true:
				d.open = &schema{}
			}
		}
		props := p.n.get("properties")
		if props == nil {
			continue
		}
		for _, wire := range props.keys {
			v := props.fields[wire]
			f := byName[wire]
			if f == nil {
				f = &field{wire: wire}
				byName[wire] = f
				d.fields = append(d.fields, f)
			} else if s.budget--; v.bare() { // said again, with nothing new
				continue
			}
			f.about = cmp.Or(v.text("description"), f.about)
			f.schema = s.read(v, p.where, d.name+pascal(typeWords(wire)), "")
		}
	}
	for _, f := range d.fields {
		f.required = required[f.wire]
	}
	return &schema{kind: objectKind, object: d, nullable: nullable}
}

// part is one of the schemas that make up an object.
type part struct {
	n *node
	where
}

// gather lists the schemas of allOf, references followed, those first that others
// add to.
func (s *schemas) gather(n *node, w where, out *[]part, depth int) {
	if n == nil || depth > 20 || s.budget < 0 {
		return
	}
	s.budget--
	if ref := n.text("$ref"); ref != "" {
		if to, _, ok := s.follow(ref, w); ok {
			s.gather(s.root(to.model).at(to.pointer), to, out, depth+1)
		}
		return
	}
	if all := n.get("allOf"); all != nil {
		for _, x := range all.items {
			s.gather(x, w, out, depth+1)
		}
	}
	*out = append(*out, part{n, w})
}

// follow finds what a reference is to: a model of the API, or a place in this one.
func (s *schemas) follow(ref string, w where) (to where, name string, ok bool) {
	base, pointer, _ := strings.Cut(ref, "#")
	to = where{model: w.model}
	if base != "" {
		i := strings.LastIndexByte(base, '/')
		if !strings.Contains(base, "/models/") {
			return to, "", false
		}
		to.model = base[i+1:]
	}
	if p, err := url.PathUnescape(pointer); err == nil {
		pointer = p
	}
	to.pointer = pointer
	if s.root(to.model).at(pointer) == nil {
		return to, "", false
	}
	name = s.named[to.model]
	if pointer != "" {
		last := unescapePointer.Replace(pointer[strings.LastIndexByte(pointer, '/')+1:])
		if strings.HasPrefix(pointer, "/definitions/") {
			name = last
		} else {
			name += capital(last)
		}
	}
	return to, name, true
}

var unescapePointer = strings.NewReplacer("~1", "/", "~0", "~")

// node is a value of JSON with its names in their author's order.
type node struct {
	keys   []string
	fields map[string]*node // of an object
	items  []*node          // of a list
	value  any              // of anything else; nil for null
}

// parse reads JSON; nil: it is none.
func parse(text string) *node {
	if !json.Valid([]byte(text)) { // which also bounds how deep it is
		return nil
	}
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	n, err := parseNext(d)
	if err != nil && err != io.EOF {
		return nil
	}
	return n
}

func parseNext(d *json.Decoder) (*node, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		n := &node{fields: map[string]*node{}}
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			name, _ := k.(string)
			v, err := parseNext(d)
			if err != nil {
				return nil, err
			}
			if n.fields[name] == nil {
				n.keys = append(n.keys, name)
			}
			n.fields[name] = v
		}
		_, err = d.Token()
		return n, err
	case json.Delim('['):
		n := &node{items: []*node{}}
		for d.More() {
			v, err := parseNext(d)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, v)
		}
		_, err = d.Token()
		return n, err
	}
	return &node{value: t}, nil
}

func (n *node) get(name string) *node {
	if n == nil {
		return nil
	}
	return n.fields[name]
}

func (n *node) text(name string) string {
	if v := n.get(name); v != nil {
		t, _ := v.value.(string)
		return t
	}
	return ""
}

// bare says that a schema says nothing of the type.
func (n *node) bare() bool {
	k, _ := n.kind()
	return k == "" && n.get("$ref") == nil && n.get("allOf") == nil
}

// at is what a JSON pointer points at.
func (n *node) at(pointer string) *node {
	if pointer == "" {
		return n
	}
	if pointer[0] != '/' {
		return nil
	}
	for p := range strings.SplitSeq(pointer[1:], "/") {
		if n == nil {
			return nil
		}
		p = unescapePointer.Replace(p)
		if i, err := strconv.Atoi(p); err == nil && n.items != nil {
			if i < 0 || i >= len(n.items) {
				return nil
			}
			n = n.items[i]
			continue
		}
		n = n.fields[p]
	}
	return n
}

// kind is the one type of a schema, "" where there is none or a choice.
func (n *node) kind() (kind string, nullable bool) {
	if n == nil {
		return "", false
	}
	if v := n.get("nullable"); v != nil && v.value == true {
		nullable = true
	}
	if t := n.get("type"); t != nil {
		if t.items == nil {
			kind, _ = t.value.(string)
			return kind, nullable
		}
		for _, v := range t.items {
			switch one, _ := v.value.(string); {
			case one == "null":
				nullable = true
			case kind != "":
				return "", nullable
			default:
				kind = one
			}
		}
		return kind, nullable
	}
	if n.get("properties") != nil || n.get("allOf") != nil {
		return "object", nullable
	}
	return "", nullable
}
