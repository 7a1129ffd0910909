package schema

import (
	_ "embed"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Limits on models. The service takes models of up to 400 KB.
const (
	maxModel       = 400 << 10
	maxModels      = 4 << 20 // together, of those a model reaches
	maxSchemas     = 20_000
	maxPattern     = 4 << 10
	maxPatternSize = 20_000 // instructions of all patterns
	maxInPlace     = 128    // schemas inside each other that look at the same value
)

// Error tells what is wrong with a model.
type Error struct {
	Model   string // name of the model
	Pointer string // JSON pointer to the place, as a fragment: "#/properties/id"
	Reason  string
}

func (e *Error) Error() string {
	return fmt.Sprintf("model %s, at %s: %s", e.Model, e.Pointer, e.Reason)
}

// source is one JSON text schemas are read from.
type source struct {
	doc
	name string // the model's
	uri  *url.URL
}

// place is where a schema stands; pointer and base are for messages and references.
type place struct {
	src     *source
	at      uint32
	pointer string
	base    *url.URL
}

func (p place) value() *value { return &p.src.tape[p.at] }
func (p place) text() string  { return string(p.src.text(p.at)) }

func (p place) fail(format string, args ...any) error {
	return &Error{Model: p.src.name, Pointer: "#" + p.pointer, Reason: fmt.Sprintf(format, args...)}
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// down is the place of a member or element.
func (p place) down(at uint32, token string) place {
	p.pointer += "/" + pointerEscapes.Replace(token)
	p.at = at
	return p
}

func (p place) member(name string) (place, bool) {
	at, ok := p.src.find(p.at, name)
	return p.down(at, name), ok
}

// rebase takes up the place's own "id".
func (p place) rebase() place {
	if p.value().kind != objectKind {
		return p
	}
	if _, isRef := p.reference(); isRef {
		return p // draft 4: whatever stands beside $ref is ignored
	}
	if id, ok := p.member("id"); ok && id.value().kind == stringKind {
		if u, err := url.Parse(id.text()); err == nil {
			p.base = p.base.ResolveReference(u)
		}
	}
	return p
}

func (p place) reference() (string, bool) {
	if p.value().kind != objectKind {
		return "", false
	}
	ref, ok := p.member("$ref")
	if !ok || ref.value().kind != stringKind {
		return "", false
	}
	return ref.text(), true
}

const modelBase = "https://apigateway.amazonaws.com/restapis/_/models/"

//go:embed draft4.json
var draft4 []byte

const draft4URI = "http://json-schema.org/draft-04/schema"

type compiler struct {
	models   map[string]string  // texts by name
	texts    map[string]string  // texts by URI, for documents that are no models
	sources  map[string]*source // by URI
	ids      map[string]place   // by URI with fragment
	done     map[key]*schema
	all      []*schema
	places   []place // of all
	refs     map[*schema]*schema
	patterns map[string]*pattern
	size     int // of the texts read
	programs int // instructions of the patterns
}

type key struct {
	src *source
	at  uint32
}

// Compile reads the named model and those it refers to. models are JSON texts by
// name. Errors are of type *Error.
func Compile(models map[string]string, name string) (*Schema, error) {
	return compile(models, map[string]string{draft4URI: string(draft4)}, modelBase+url.PathEscape(name))
}

func compile(models, texts map[string]string, uri string) (*Schema, error) {
	c := &compiler{
		models: models, texts: texts,
		sources: map[string]*source{}, ids: map[string]place{}, done: map[key]*schema{},
		refs: map[*schema]*schema{}, patterns: map[string]*pattern{},
	}
	root, err := url.Parse(uri)
	if err != nil {
		return nil, &Error{Model: uri, Pointer: "#", Reason: "not a usable name"}
	}
	src, err := c.source(root)
	if err != nil {
		return nil, err
	}
	if src == nil {
		return nil, &Error{Model: strings.TrimPrefix(root.Path, "/restapis/_/models/"), Pointer: "#", Reason: "there is no such model"}
	}
	s, err := c.schema(place{src: src, base: src.uri})
	if err != nil {
		return nil, err
	}
	if err := c.link(); err != nil {
		return nil, err
	}
	return &Schema{root: c.target(s)}, nil
}

// modelName tells which model a URI means.
func modelName(u *url.URL) (string, bool) {
	if u.Scheme != "https" && u.Scheme != "http" || u.Host != "apigateway.amazonaws.com" {
		return "", false
	}
	parts := strings.Split(u.Path, "/")
	if len(parts) != 5 || parts[0] != "" || parts[1] != "restapis" || parts[3] != "models" {
		return "", false
	}
	return parts[4], true
}

// source gives the document of a URI (its fragment aside), nil if there is none.
func (c *compiler) source(u *url.URL) (*source, error) {
	bare := *u
	bare.Fragment, bare.RawFragment = "", ""
	name, isModel := modelName(&bare)
	if isModel {
		bare = url.URL{Scheme: "https", Host: "apigateway.amazonaws.com", Path: "/restapis/_/models/" + name}
	}
	uri := bare.String()
	if s := c.sources[uri]; s != nil {
		return s, nil
	}
	text, ok := c.texts[uri]
	if isModel {
		text, ok = c.models[name]
	} else {
		name = uri
	}
	if !ok {
		return nil, nil
	}
	s := &source{name: name, uri: &bare}
	at := place{src: s, base: s.uri}
	if c.size += len(text); len(text) > maxModel || c.size > maxModels {
		return nil, at.fail("a model may have %d KB, and the models it refers to %d KB together", maxModel>>10, maxModels>>10)
	}
	if err := s.parse([]byte(text), maxModelDepth); err != nil {
		return nil, at.fail("not valid JSON: %v", err)
	}
	c.sources[uri] = s
	c.register(at)
	return s, nil
}

// register notes the ids below a place, in the places where schemas stand only: an
// "id" inside an enum is a value, not an identifier.
func (c *compiler) register(p place) {
	if p.value().kind != objectKind {
		return
	}
	if _, isRef := p.reference(); isRef {
		return
	}
	if id, ok := p.member("id"); ok && id.value().kind == stringKind {
		p = p.rebase()
		if uri := p.base.String(); c.ids[uri].src == nil {
			c.ids[uri] = p
		}
		if p.base.Fragment != "" { // a name of the place, not a new base
			bare := *p.base
			bare.Fragment, bare.RawFragment = "", ""
			p.base = &bare
		}
	}
	p.src.members(p.at, func(n uint32) bool {
		name := string(p.src.text(n))
		q := p.down(n+1, name)
		switch name {
		case "items", "additionalItems", "additionalProperties", "not":
			c.register(q)
			if name == "items" {
				c.registerAll(q, arrayKind)
			}
		case "allOf", "anyOf", "oneOf":
			c.registerAll(q, arrayKind)
		case "properties", "patternProperties", "definitions", "dependencies":
			c.registerAll(q, objectKind)
		}
		return true
	})
}

func (c *compiler) registerAll(p place, k kind) {
	if p.value().kind == k {
		_ = p.each(func(q place) error { c.register(q); return nil })
	}
}

// each calls f for the members or elements of a place.
func (p place) each(f func(place) error) (err error) {
	if p.value().kind == objectKind {
		p.src.members(p.at, func(n uint32) bool {
			err = f(p.down(n+1, string(p.src.text(n))))
			return err == nil
		})
	} else {
		p.src.elements(p.at, func(n int, at uint32) bool {
			err = f(p.down(at, strconv.Itoa(n)))
			return err == nil
		})
	}
	return err
}

// resolve finds what a reference means. Nothing is ever fetched.
func (c *compiler) resolve(p place, ref string) (place, error) {
	at, _ := p.member("$ref")
	u, err := url.Parse(ref)
	if err != nil {
		return place{}, at.fail("%q is not a valid reference", ref)
	}
	u = p.base.ResolveReference(u)
	if q, ok := c.ids[u.String()]; ok {
		return q, nil
	}
	bare := *u
	bare.Fragment, bare.RawFragment = "", ""
	start, ok := c.ids[bare.String()]
	if !ok {
		src, err := c.source(u)
		if err != nil {
			return place{}, err
		}
		if src == nil {
			if name, isModel := modelName(u); isModel {
				return place{}, at.fail("there is no model %q", name)
			}
			return place{}, at.fail("%q is outside this API: a reference may point into the model (#/definitions/…) or to another one (%s{name}); nothing is fetched",
				ref, strings.Replace(modelBase, "/_/", "/{api-id}/", 1))
		}
		start = place{src: src, base: src.uri}
		if q, ok := c.ids[u.String()]; ok { // the document has just been read
			return q, nil
		}
	}
	if u.Fragment == "" {
		return start, nil
	}
	rest, isPointer := strings.CutPrefix(u.Fragment, "/")
	if !isPointer {
		return place{}, at.fail("there is no schema with the id %q", "#"+u.Fragment)
	}
	q := start
	for token := range strings.SplitSeq(rest, "/") {
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		q = q.rebase()
		next, err := q.src.pointed(q.at, token)
		if err != nil {
			return place{}, at.fail("%q leads to nothing", ref)
		}
		q = q.down(next, token)
	}
	return q, nil
}

// schema compiles what stands at a place, once.
func (c *compiler) schema(p place) (*schema, error) {
	k := key{p.src, p.at}
	if s := c.done[k]; s != nil {
		return s, nil
	}
	if p.value().kind != objectKind {
		return nil, p.fail("a schema must be a JSON object, not of type %s", p.value().kind)
	}
	if len(c.all) == maxSchemas {
		return nil, p.fail("more than %d schemas", maxSchemas)
	}
	s := &schema{}
	c.done[k] = s
	c.all, c.places = append(c.all, s), append(c.places, p)
	if ref, ok := p.reference(); ok {
		q, err := c.resolve(p, ref)
		if err != nil {
			return nil, err
		}
		c.refs[s], err = c.schema(q)
		return s, err
	}
	p = p.rebase()
	return s, p.each(func(q place) error {
		if q.pointer == p.pointer+"/$ref" {
			return q.fail("a reference must be a string")
		}
		return c.keyword(s, p, q)
	})
}

// keyword reads one keyword at q of the schema at p. Unknown ones mean nothing.
func (c *compiler) keyword(s *schema, p, q place) (err error) {
	switch name := q.pointer[len(p.pointer)+1:]; name {
	case "type":
		err = c.types(s, q)
	case "enum":
		if err = q.want(arrayKind); err == nil && q.value().end == 0 {
			err = q.fail("must have at least one value")
		}
		s.enum = &q
		s.enumText = string(q.src.appendJSON(nil, q.at, maxMessage))
	case "format":
		if err = q.want(stringKind); err == nil {
			s.format, s.formatName = formats[q.text()], q.text()
		}
	case "minimum":
		s.minimum, err = c.bound(p, q, "exclusiveMinimum")
	case "maximum":
		s.maximum, err = c.bound(p, q, "exclusiveMaximum")
	case "exclusiveMinimum", "exclusiveMaximum":
		if err = q.want(booleanKind); err == nil {
			if _, ok := p.member("m" + name[len("exclusiveM"):]); !ok {
				err = q.fail("must be paired with m%s", name[len("exclusiveM"):])
			}
		}
	case "multipleOf":
		if s.multipleOf, err = c.bound(p, q, ""); err == nil && compareNumbers(s.multipleOf.number, []byte("0")) <= 0 {
			err = q.fail("must be greater than 0")
		}
	case "minLength":
		s.minLength, err = q.count()
	case "maxLength":
		s.maxLength, err = q.limit()
	case "minItems":
		s.minItems, err = q.count()
	case "maxItems":
		s.maxItems, err = q.limit()
	case "minProperties":
		s.minProperties, err = q.count()
	case "maxProperties":
		s.maxProperties, err = q.limit()
	case "pattern":
		if err = q.want(stringKind); err == nil {
			s.pattern, err = c.pattern(q, q.text())
		}
	case "uniqueItems":
		if err = q.want(booleanKind); err == nil {
			s.unique = q.value().flags&flagTrue != 0
		}
	case "items":
		if q.value().kind == arrayKind {
			s.isTuple = true
			s.tuple, err = c.list(q, 0)
		} else {
			s.items, err = c.schema(q)
		}
	case "additionalItems":
		if q.value().kind != booleanKind {
			s.additionalItems, err = c.schema(q)
		} else {
			s.noMoreItems = q.value().flags&flagTrue == 0
		}
	case "properties":
		err = c.named(q, func(name string, _ place, v *schema) error {
			m := s.members[name]
			m.schema = v
			s.put(name, m)
			return nil
		})
	case "patternProperties":
		err = c.named(q, func(text string, r place, v *schema) error {
			re, err := c.pattern(r, text)
			s.patternProperties = append(s.patternProperties, patternProperty{re, v})
			return err
		})
		if err != nil {
			return err
		}
		slices.SortFunc(s.patternProperties, func(a, b patternProperty) int { return strings.Compare(a.text, b.text) })
	case "additionalProperties":
		if q.value().kind != booleanKind {
			s.additional, err = c.schema(q)
		} else {
			s.closed = q.value().flags&flagTrue == 0
		}
	case "required":
		if s.required, err = q.strings(1); err == nil {
			for _, name := range s.required {
				m := s.members[name]
				m.required = true
				s.put(name, m)
			}
		}
	case "dependencies":
		err = c.dependencies(s, q)
	case "allOf":
		s.allOf, err = c.list(q, 1)
	case "anyOf":
		s.anyOf, err = c.list(q, 1)
	case "oneOf":
		s.oneOf, err = c.list(q, 1)
	case "not":
		s.not, err = c.schema(q)
	}
	return err
}

func (p place) want(k kind) error {
	if p.value().kind != k {
		return p.fail("must be of type %s, not %s", k, p.value().kind)
	}
	return nil
}

func (p place) count() (int, error) {
	if err := p.want(integerKind); err != nil {
		return 0, err
	}
	n, ok := smallInt(p.src.text(p.at))
	if !ok || n < 0 || n > 1<<31-1 {
		return 0, p.fail("must be from 0 to %d", 1<<31-1)
	}
	return int(n), nil
}

func (p place) limit() (*int, error) {
	n, err := p.count()
	return &n, err
}

func (p place) strings(least uint32) (out []string, err error) {
	if err := p.want(arrayKind); err != nil {
		return nil, err
	}
	if p.value().end < least {
		return nil, p.fail("must have at least %d element", least)
	}
	err = p.each(func(q place) error {
		out = append(out, q.text())
		return q.want(stringKind)
	})
	slices.Sort(out)
	if n := len(out); err == nil && len(slices.Compact(out)) < n {
		err = p.fail("must not contain duplicate elements")
	}
	return out, err
}

func (c *compiler) types(s *schema, q place) error {
	add := func(q place) error {
		i := slices.Index(kindNames[:], q.text())
		if q.value().kind != stringKind || i < 0 {
			return q.fail("%s is not one of the types %s", q.src.appendJSON(nil, q.at, 100), strings.Join(kindNames[:], ", "))
		}
		s.types |= 1 << i
		return nil
	}
	var err error
	if q.value().kind == stringKind {
		err = add(q)
	} else if err = q.want(arrayKind); err == nil {
		if q.value().end == 0 {
			return q.fail("must have at least 1 element")
		}
		err = q.each(add)
	}
	if s.types&(1<<numberKind) != 0 {
		s.types |= 1 << integerKind
	}
	var names []string
	for k, name := range kindNames {
		if s.types&(1<<k) != 0 {
			names = append(names, strconv.Quote(name))
		}
	}
	s.typesText = "[" + strings.Join(names, ",") + "]"
	return err
}

func (c *compiler) bound(p, q place, exclusive string) (*bound, error) {
	if k := q.value().kind; k != integerKind && k != numberKind {
		return nil, q.fail("must be a number, not of type %s", k)
	}
	b := &bound{number: q.src.text(q.at)}
	if x, ok := p.member(exclusive); ok && exclusive != "" {
		b.exclusive = x.value().kind == booleanKind && x.value().flags&flagTrue != 0
	}
	// A whole number is printed as one, however the model writes it.
	if d := parseDecimal(nil, b.number); d.exp >= 0 && int64(len(d.digits))+d.exp <= 18 {
		text := string(d.digits) + strings.Repeat("0", int(d.exp))
		if d.neg {
			text = "-" + text
		}
		if text == "" {
			text = "0"
		}
		b.number, b.text = []byte(text), text
	} else {
		b.text = string(appendNumber(nil, b.number, q.value().kind))
	}
	return b, nil
}

func (c *compiler) pattern(q place, text string) (*pattern, error) {
	if re := c.patterns[text]; re != nil {
		return re, nil
	}
	re, err := compilePattern(text, maxPatternSize-c.programs)
	if err != nil {
		return nil, q.fail("pattern %.200q: %v", text, err)
	}
	c.programs += re.size
	c.patterns[text] = re
	return re, nil
}

func (c *compiler) list(q place, least uint32) (out []*schema, err error) {
	if err := q.want(arrayKind); err != nil {
		return nil, err
	}
	if q.value().end < least {
		return nil, q.fail("must have at least %d element", least)
	}
	err = q.each(func(r place) error {
		s, err := c.schema(r)
		out = append(out, s)
		return err
	})
	return out, err
}

// named compiles the schemas of an object and calls f for each.
func (c *compiler) named(q place, f func(string, place, *schema) error) error {
	if err := q.want(objectKind); err != nil {
		return err
	}
	var err error
	q.src.members(q.at, func(n uint32) bool {
		var s *schema
		r := q.down(n+1, string(q.src.text(n)))
		if s, err = c.schema(r); err == nil {
			err = f(string(q.src.text(n)), r, s)
		}
		return err == nil
	})
	return err
}

func (c *compiler) dependencies(s *schema, q place) error {
	if err := q.want(objectKind); err != nil {
		return err
	}
	var err error
	q.src.members(q.at, func(n uint32) bool {
		d := dependency{name: string(q.src.text(n))}
		if r := q.down(n+1, d.name); r.value().kind == objectKind {
			d.schema, err = c.schema(r)
		} else {
			d.names, err = r.strings(1)
		}
		s.dependencies = append(s.dependencies, d)
		return err == nil
	})
	// Of names first, then schemas, each sorted: the order the service looks at them.
	slices.SortFunc(s.dependencies, func(a, b dependency) int {
		if (a.schema == nil) != (b.schema == nil) {
			if a.schema == nil {
				return -1
			}
			return 1
		}
		return strings.Compare(a.name, b.name)
	})
	return err
}

// target follows references to the schema that has keywords.
func (c *compiler) target(s *schema) *schema {
	for range len(c.all) {
		next := c.refs[s]
		if next == nil {
			return s
		}
		s = next
	}
	return nil // a reference to itself
}

// link replaces references by what they mean and refuses schemas that would look at
// one value for ever: the service fails every request there.
func (c *compiler) link() error {
	for i, s := range c.all {
		if c.target(s) == nil {
			return c.places[i].fail("the reference leads back to itself")
		}
		s.each(func(sub **schema, _ bool) { *sub = c.target(*sub) })
	}
	where := map[*schema]place{}
	for i, s := range c.all {
		where[s] = c.places[i]
	}
	const entered = -1
	depth := map[*schema]int{}
	var walk func(s *schema) (int, error)
	walk = func(s *schema) (int, error) {
		if d := depth[s]; d > 0 {
			return d, nil
		} else if d == entered {
			return 0, where[s].fail("the schema applies itself to the same value again, without end")
		}
		depth[s] = entered
		deepest := 0
		var err error
		s.each(func(sub **schema, inPlace bool) {
			if inPlace && err == nil {
				var d int
				d, err = walk(*sub)
				deepest = max(deepest, d)
			}
		})
		if err == nil && deepest == maxInPlace {
			err = where[s].fail("more than %d schemas inside each other for one value", maxInPlace)
		}
		depth[s] = deepest + 1
		return deepest + 1, err
	}
	for _, s := range c.all {
		if _, err := walk(s); err != nil {
			return err
		}
	}
	return nil
}
