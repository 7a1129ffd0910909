package reference

import (
	"fmt"
	"strings"

	"tollgate/ui/markdown"
)

// Page is everything one operation's page shows.
type Page struct {
	*Operation
	Description string // clean HTML
	Parameters  []Parameter
	Body        *Body
	Responses   []Response
	Samples     []Sample
}

// Parameter is one of an operation, or a header of a response.
type Parameter struct {
	Name, In    string // "path", "query", "header", "cookie", "form"
	Required    bool
	Deprecated  bool
	Description string
	Example     string
	Schema      *Schema
}

// Body is what a request carries.
type Body struct {
	Required    bool
	Description string
	Contents    []Content
}

// Content is a body of one media type.
type Content struct {
	Type     string
	Schema   *Schema
	Examples []Example
}

// Example is a body as it may look.
type Example struct{ Name, Text string }

// Response is an answer to an operation.
type Response struct {
	Status      string // "200", "4XX", "default"
	Description string
	Headers     []Parameter
	Contents    []Content
}

// Schema is a value's description as a tree, cut where it would go on for ever.
type Schema struct {
	Name        string // of the component it refers to
	Type        string // in words: "array of string", "integer (int64)"
	Description string // clean HTML
	Facts       []string
	Properties  []Property
	Items       *Schema
	Values      *Schema // of a map
	Choices     []Choice
	Cut         bool // it goes on: it is shown above, or deeper than pages go
	ReadOnly    bool
	WriteOnly   bool
	Deprecated  bool
}

// Property is a field of an object.
type Property struct {
	Name     string
	Required bool
	Schema   *Schema
}

// Choice is oneOf, anyOf or not.
type Choice struct {
	Kind    string // "one of", "any of", "not"
	Schemas []*Schema
}

// Operations are described by at most this much of a tree.
const (
	maxSchemaDepth = 7
	maxSchemaNodes = 800
)

type builder struct {
	d    *Doc
	left int
	path []*node // on the way to where it is: a schema in itself is cut
}

// Page builds an operation's. base is the address its calls go to.
func (d *Doc) Page(op *Operation, base string) Page {
	b := &builder{d: d, left: maxSchemaNodes}
	p := Page{Operation: op, Description: markdown.HTML(op.n.get("description").str())}
	b.parameters(&p)
	if !d.v2 {
		p.Body = b.body(d.follow(op.n.get("requestBody")))
	}
	rs := op.n.get("responses")
	for i, status := range rs.keys {
		if i < 60 && !strings.HasPrefix(status, "x-") {
			p.Responses = append(p.Responses, b.response(op, status, d.follow(rs.values[i])))
		}
	}
	p.Samples = samples(&p, base)
	return p
}

// parameters are the operation's own before those of its path.
func (b *builder) parameters(p *Page) {
	seen := map[string]bool{}
	for _, from := range []*node{p.n.get("parameters"), p.shared.get("parameters")} {
		for _, x := range from.items() {
			x = b.d.follow(x)
			name, in := x.get("name").str(), x.get("in").str()
			if name == "" || seen[in+" "+name] || len(seen) > 200 {
				continue
			}
			seen[in+" "+name] = true
			switch {
			case b.d.v2 && in == "body":
				p.Body = &Body{Required: x.get("required").yes(), Description: markdown.HTML(x.get("description").str()),
					Contents: []Content{b.content(b.consumes(p.Operation, "application/json"), x, x.get("schema"))}}
				continue
			case b.d.v2 && in == "formData":
				in = "form"
			}
			p.Parameters = append(p.Parameters, b.parameter(x, name, in))
		}
	}
	if p.n == none { // all that is known of a method made by hand
		for _, part := range strings.Split(p.Path, "/") {
			if i, j := strings.IndexByte(part, '{'), strings.IndexByte(part, '}'); i >= 0 && j > i {
				p.Parameters = append(p.Parameters, Parameter{Name: strings.TrimSuffix(part[i+1:j], "+"), In: "path", Required: true, Schema: &Schema{Type: "string"}})
			}
		}
	}
}

func (b *builder) parameter(x *node, name, in string) Parameter {
	s := x.get("schema")
	if !s.there() {
		if c := x.get("content"); len(c.values) > 0 {
			s = c.values[0].get("schema")
		} else if b.d.v2 {
			s = x
		}
	}
	p := Parameter{Name: name, In: in, Required: x.get("required").yes() || in == "path", Deprecated: x.get("deprecated").yes(),
		Description: markdown.HTML(x.get("description").str()), Schema: b.schema(s, 0)}
	if b.d.v2 && s == x {
		p.Schema.Description = ""
	}
	for _, e := range []*node{x.get("example"), first(x.get("examples")).get("value"), s.get("example")} {
		if e.there() && p.Example == "" {
			p.Example = plain(e)
		}
	}
	return p
}

func first(n *node) *node {
	if n.kind == object && len(n.values) > 0 {
		return n.values[0]
	}
	return none
}

// plain is a value as it stands in a URL or a table.
func plain(n *node) string {
	if n.kind == object || n.kind == array {
		s := strings.Join(strings.Fields(n.json()), " ")
		return s[:min(len(s), 200)]
	}
	return n.str()[:min(len(n.str()), 200)]
}

func (b *builder) consumes(op *Operation, fallback string) string {
	for _, n := range []*node{op.n.get("consumes"), b.d.root.get("consumes")} {
		if i := n.items(); len(i) > 0 {
			return i[0].str()
		}
	}
	return fallback
}

func (b *builder) body(x *node) *Body {
	if !x.there() {
		return nil
	}
	out := &Body{Required: x.get("required").yes(), Description: markdown.HTML(x.get("description").str())}
	c := x.get("content")
	for i, kind := range c.keys {
		if i < 8 {
			out.Contents = append(out.Contents, b.content(kind, c.values[i], c.values[i].get("schema")))
		}
	}
	return out
}

func (b *builder) content(kind string, x, schema *node) Content {
	c := Content{Type: kind, Schema: b.schema(schema, 0)}
	if e := x.get("example"); e.there() {
		c.Examples = append(c.Examples, Example{"", e.json()})
	}
	es := x.get("examples")
	for i, name := range es.keys {
		if v := b.d.follow(es.values[i]).get("value"); v.there() && len(c.Examples) < 8 {
			c.Examples = append(c.Examples, Example{name, v.json()})
		}
	}
	if len(c.Examples) == 0 && schema.there() && (kind == "" || strings.Contains(kind, "json") || strings.Contains(kind, "*")) {
		e := exampler{d: b.d, left: 300}
		c.Examples = append(c.Examples, Example{"", e.of(schema, 0).json()})
	}
	return c
}

func (b *builder) response(op *Operation, status string, x *node) Response {
	r := Response{Status: status, Description: markdown.HTML(x.get("description").str())}
	hs := x.get("headers")
	for i, name := range hs.keys {
		if i < 30 {
			r.Headers = append(r.Headers, b.parameter(b.d.follow(hs.values[i]), name, "header"))
		}
	}
	if b.d.v2 {
		if s := x.get("schema"); s.there() {
			kind := "application/json"
			for _, n := range []*node{op.n.get("produces"), b.d.root.get("produces")} {
				if i := n.items(); len(i) > 0 {
					kind = i[0].str()
					break
				}
			}
			c := b.content(kind, none, s)
			if e := first(x.get("examples")); e.there() {
				c.Examples = []Example{{"", e.json()}}
			}
			r.Contents = append(r.Contents, c)
		}
		return r
	}
	c := x.get("content")
	for i, kind := range c.keys {
		if i < 8 {
			r.Contents = append(r.Contents, b.content(kind, c.values[i], c.values[i].get("schema")))
		}
	}
	return r
}

// Keywords of a schema that become a fact of their own words.
var facts = [][2]string{{"minimum", "at least %s"}, {"maximum", "at most %s"}, {"exclusiveMinimum", "more than %s"}, {"exclusiveMaximum", "less than %s"},
	{"multipleOf", "a multiple of %s"}, {"minLength", "%s characters or more"}, {"maxLength", "at most %s characters"}, {"pattern", "matches %s"},
	{"minItems", "%s items or more"}, {"maxItems", "at most %s items"}, {"minProperties", "%s fields or more"}, {"maxProperties", "at most %s fields"},
	{"default", "default %s"}, {"const", "always %s"}, {"contentEncoding", "encoded as %s"}, {"contentMediaType", "holds %s"}}

// Keywords that are not drawn: they are named, so that nobody takes the page for
// the whole truth.
var undrawn = []string{"if", "then", "else", "dependentSchemas", "dependentRequired", "dependencies", "propertyNames", "patternProperties",
	"unevaluatedProperties", "unevaluatedItems", "prefixItems", "contains", "$dynamicRef"}

func (b *builder) schema(x *node, depth int) *Schema {
	s := &Schema{}
	if ref := x.get("$ref").str(); ref != "" {
		s.Name = ref[strings.LastIndexByte(ref, '/')+1:]
		x = b.d.follow(x)
	}
	if x.kind == boolean {
		s.Type = map[bool]string{true: "anything", false: "nothing"}[x.yes()]
		return s
	}
	for _, up := range b.path {
		if up == x {
			s.Cut, s.Type = true, typeText(x)
			return s
		}
	}
	b.left--
	s.Type, s.Description = typeText(x), markdown.HTML(orStr(x.get("description").str(), x.get("title").str()))
	s.ReadOnly, s.WriteOnly, s.Deprecated = x.get("readOnly").yes(), x.get("writeOnly").yes(), x.get("deprecated").yes()
	b.facts(s, x)
	if b.left < 0 || depth >= maxSchemaDepth {
		s.Cut = x.get("properties").there() || x.get("items").there() || x.get("allOf").there()
		return s
	}
	b.path = append(b.path, x)
	b.fields(s, x, depth)
	if i := x.get("items"); i.there() {
		s.Items = b.schema(i, depth+1)
	}
	if a := x.get("additionalProperties"); a.kind == object {
		s.Values = b.schema(a, depth+1)
	}
	for _, k := range [][2]string{{"oneOf", "one of"}, {"anyOf", "any of"}} {
		if l := x.get(k[0]).items(); len(l) > 0 {
			c := Choice{Kind: k[1]}
			for i, v := range l {
				if i < 20 {
					c.Schemas = append(c.Schemas, b.schema(v, depth+1))
				}
			}
			s.Choices = append(s.Choices, c)
		}
	}
	if n := x.get("not"); n.there() {
		s.Choices = append(s.Choices, Choice{"not", []*Schema{b.schema(n, depth+1)}})
	}
	b.path = b.path[:len(b.path)-1]
	return s
}

// fields are an object's own and those of everything it is put together from.
func (b *builder) fields(s *Schema, x *node, depth int) {
	need := map[string]bool{}
	for _, r := range x.get("required").items() {
		need[r.str()] = true
	}
	ps := x.get("properties")
	for i, name := range ps.keys {
		if len(s.Properties) >= 200 {
			s.Cut = true
			break
		}
		s.Properties = append(s.Properties, Property{name, need[name], b.schema(ps.values[i], depth+1)})
	}
	for _, part := range x.get("allOf").items() {
		p := b.schema(part, depth)
		if s.Description == "" {
			s.Description = p.Description
		}
		if s.Type == "" || s.Type == "anything" {
			s.Type = p.Type
		}
		s.Facts = append(s.Facts, p.Facts...)
		for _, f := range p.Properties {
			f.Required = f.Required || need[f.Name]
			s.Properties = append(s.Properties, f)
		}
		s.Choices = append(s.Choices, p.Choices...)
		s.Cut = s.Cut || p.Cut
		if s.Items == nil {
			s.Items = p.Items
		}
		if s.Values == nil {
			s.Values = p.Values
		}
	}
}

func (b *builder) facts(s *Schema, x *node) {
	if e := x.get("enum").items(); len(e) > 0 {
		var l []string
		for i, v := range e {
			if i == 30 {
				l = append(l, fmt.Sprintf("and %d more", len(e)-30))
				break
			}
			l = append(l, plain(v))
		}
		s.Facts = append(s.Facts, "one of "+strings.Join(l, ", "))
	}
	for _, f := range facts {
		if v := x.get(f[0]); v.there() && v.kind != boolean || v.kind == boolean && f[0] == "default" {
			s.Facts = append(s.Facts, fmt.Sprintf(f[1], plain(v)))
		}
	}
	if x.get("uniqueItems").yes() {
		s.Facts = append(s.Facts, "no two items alike")
	}
	if x.get("nullable").yes() {
		s.Facts = append(s.Facts, "may be null")
	}
	if a := x.get("additionalProperties"); a.kind == boolean && !a.yes() {
		s.Facts = append(s.Facts, "no other fields")
	}
	var also []string
	for _, k := range undrawn {
		if x.get(k).there() {
			also = append(also, k)
		}
	}
	if len(also) > 0 {
		s.Facts = append(s.Facts, "with further rules that are not shown: "+strings.Join(also, ", "))
	}
}

// typeText is a schema's type in words.
func typeText(x *node) string {
	t := x.get("type").str()
	if l := x.get("type").items(); len(l) > 0 {
		var names []string
		for _, v := range l {
			names = append(names, v.str())
		}
		t = strings.Join(names, " or ")
	}
	if t == "" {
		switch {
		case x.get("properties").there():
			t = "object"
		case x.get("items").there():
			t = "array"
		case x.get("oneOf").there(), x.get("anyOf").there(), x.get("allOf").there():
		default:
			t = "anything"
		}
	}
	if f := x.get("format").str(); f != "" {
		t += " (" + f + ")"
	}
	return t
}

func orStr(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// exampler makes up a value that a schema describes.
type exampler struct {
	d    *Doc
	left int
	path []*node
}

func text(s string) *node { return &node{kind: scalar, text: s} }

func (e *exampler) of(x *node, depth int) *node {
	x = e.d.follow(x)
	for _, k := range []string{"example", "default", "const"} {
		if v := x.get(k); v.there() {
			return v
		}
	}
	for _, k := range []string{"examples", "enum"} {
		if l := x.get(k).items(); len(l) > 0 {
			return l[0]
		}
	}
	e.left--
	for _, up := range e.path {
		if up == x {
			return none
		}
	}
	if e.left < 0 || depth > maxSchemaDepth {
		return none
	}
	e.path = append(e.path, x)
	defer func() { e.path = e.path[:len(e.path)-1] }()
	for _, k := range []string{"oneOf", "anyOf"} {
		if l := x.get(k).items(); len(l) > 0 && !x.get("properties").there() {
			return e.of(l[0], depth+1)
		}
	}
	t := x.get("type").str()
	if l := x.get("type").items(); len(l) > 0 {
		t = l[0].str()
	}
	switch {
	case t == "object" || x.get("properties").there() || x.get("allOf").there():
		o := &node{kind: object}
		for _, part := range x.get("allOf").items() {
			if p := e.of(part, depth+1); p.kind == object {
				o.keys, o.values = append(o.keys, p.keys...), append(o.values, p.values...)
			} else if p.there() && !x.get("properties").there() && len(o.keys) == 0 {
				return p
			}
		}
		ps := x.get("properties")
		for i, name := range ps.keys {
			if len(o.keys) >= 40 {
				break
			}
			o.keys, o.values = append(o.keys, name), append(o.values, e.of(ps.values[i], depth+1))
		}
		return o
	case t == "array" || x.get("items").there():
		return &node{kind: array, values: []*node{e.of(x.get("items"), depth+1)}}
	case t == "integer" || t == "number":
		if m := x.get("minimum"); m.kind == number {
			return m
		}
		return &node{kind: number, text: "1"}
	case t == "boolean":
		return &node{kind: boolean, text: "true"}
	}
	switch x.get("format").str() {
	case "date-time":
		return text("2026-01-31T12:00:00Z")
	case "date":
		return text("2026-01-31")
	case "uuid":
		return text("3fa85f64-5717-4562-b3fc-2c963f66afa6")
	case "email":
		return text("ada@example.com")
	case "uri", "url":
		return text("https://example.com")
	}
	return text("string")
}
