// Package reference makes pages of documentation from an API's OpenAPI or Swagger
// document: what operations there are, their parameters, schemas, answers and
// samples, and a search over them. It is pure: bytes in, a Doc out, made once and
// read by any number of pages. Whatever a document says, its text never becomes
// markup that was not cleaned, and building a page is bounded.
package reference

import (
	"slices"
	"sort"
	"strconv"
	"strings"

	"tollgate/model"
	"tollgate/ui/markdown"
)

// Doc is an API's documentation, immutable.
type Doc struct {
	Title, Version string
	Description    string // clean HTML
	Format         string // "openapi 3.0.3", "swagger 2.0"; empty: made from the definition alone
	Tags           []Tag
	Operations     []*Operation // in the document's order

	root   *node
	v2     bool
	bySlug map[string]*Operation
	index  index
}

// Tag groups operations.
type Tag struct {
	Name        string
	Description string // clean HTML
	Operations  []*Operation
}

// Operation is one method in lists; Page has the rest.
type Operation struct {
	Slug        string // stable: the operationId's, else the method's and path's
	ID          string // operationId
	Verb, Path  string
	Summary     string
	Tag         string
	Deprecated  bool
	KeyRequired bool

	n, shared *node // the operation, and the path item it is in
}

// New reads a document. Only operations that the definition has are in it, so that
// what is shown is what is served; where the definition has more, they are shown by
// what it says of them. Without a document the definition is all there is.
func New(source []byte, d *model.Definition) (*Doc, error) {
	doc := &Doc{Title: d.Name, Version: d.Version, Description: markdown.HTML(d.Description), root: none, bySlug: map[string]*Operation{}}
	if len(source) > 0 {
		root, err := parse(source)
		if err != nil {
			return nil, err
		}
		doc.root = root
		doc.v2 = root.get("swagger").there()
		doc.Format = "openapi " + root.get("openapi").str()
		if doc.v2 {
			doc.Format = "swagger " + root.get("swagger").str()
		}
		info := root.get("info")
		if t := info.get("description").str(); t != "" {
			doc.Description = markdown.HTML(t)
		}
		if v := info.get("version").str(); v != "" {
			doc.Version = v
		}
	}
	served := map[string]*model.Method{}
	for i := range d.Resources {
		for verb, m := range d.Resources[i].Methods {
			served[shape(d.Resources[i].Path)+" "+verb] = &m
		}
	}
	doc.fromDocument(served)
	doc.fromDefinition(d, served)
	doc.group()
	doc.index = newIndex(doc)
	return doc, nil
}

// withQuery splits a path that some documents write a query behind, to tell
// operations of one route apart.
func withQuery(path string) (route, query string) {
	depth := 0
	for i := range len(path) {
		switch path[i] {
		case '{':
			depth++
		case '}':
			depth--
		case '?', '#':
			if depth <= 0 {
				return path[:i], path[i:]
			}
		}
	}
	return path, ""
}

// shape is a path without the names of its variables, which an import may change.
func shape(path string) string {
	var b strings.Builder
	in := false
	for _, c := range strings.TrimSuffix(path, "/") {
		switch c {
		case '{':
			in = true
			b.WriteString("{}")
		case '}':
			in = false
		case '+':
			if !in {
				b.WriteRune(c)
			}
		default:
			if !in {
				b.WriteRune(c)
			}
		}
	}
	if b.Len() == 0 {
		return "/"
	}
	return b.String()
}

var verbs = []string{"get", "post", "put", "patch", "delete", "head", "options"}

func (d *Doc) fromDocument(served map[string]*model.Method) {
	paths, seen := d.root.get("paths"), map[string][]string{} // by call, the queries it was written with
	for i, path := range paths.keys {
		route, query := withQuery(path)
		item := d.follow(paths.values[i])
		for j, key := range item.keys {
			verb := strings.ToUpper(key)
			if key == "x-amazon-apigateway-any-method" {
				verb = "ANY"
			} else if !slices.Contains(verbs, key) {
				continue
			}
			call := shape(route) + " " + verb
			m := served[call]
			if m == nil || slices.Contains(seen[call], query) {
				continue
			}
			seen[call] = append(seen[call], query)
			n := item.values[j]
			op := &Operation{Verb: verb, Path: path, ID: n.get("operationId").str(), Summary: strings.TrimSpace(n.get("summary").str()),
				Deprecated: n.get("deprecated").yes(), KeyRequired: m.APIKeyRequired, n: n, shared: item}
			if tags := n.get("tags").items(); len(tags) > 0 {
				op.Tag = tags[0].str()
			}
			d.add(op)
		}
	}
	for call := range seen {
		delete(served, call)
	}
}

// fromDefinition adds the methods that the document says nothing of.
func (d *Doc) fromDefinition(def *model.Definition, left map[string]*model.Method) {
	var ops []*Operation
	for i := range def.Resources {
		for verb, m := range def.Resources[i].Methods {
			if left[shape(def.Resources[i].Path)+" "+verb] != nil {
				ops = append(ops, &Operation{Verb: verb, Path: def.Resources[i].Path, ID: m.OperationName, KeyRequired: m.APIKeyRequired, n: none, shared: none})
			}
		}
	}
	sort.Slice(ops, func(i, j int) bool {
		if ops[i].Path != ops[j].Path {
			return ops[i].Path < ops[j].Path
		}
		return ops[i].Verb < ops[j].Verb
	})
	for _, op := range ops {
		d.add(op)
	}
}

func (d *Doc) add(op *Operation) {
	base := slug(op.ID)
	if base == "" {
		base = slug(op.Verb + " " + op.Path)
	}
	if base == "" {
		base = "root"
	}
	op.Slug = base
	for i := 2; d.bySlug[op.Slug] != nil || op.Slug == "openapi"; i++ { // that is the document's own address
		op.Slug = base + "-" + strconv.Itoa(i)
	}
	if op.Summary == "" {
		op.Summary = op.ID
	}
	if op.Summary == "" {
		op.Summary = op.Verb + " " + op.Path
	}
	d.bySlug[op.Slug] = op
	d.Operations = append(d.Operations, op)
}

// group puts operations under their tags, in the order that the document lists
// tags in, then as they come.
func (d *Doc) group() {
	at := map[string]int{}
	tag := func(name string) int {
		i, ok := at[name]
		if !ok {
			i = len(d.Tags)
			at[name] = i
			d.Tags = append(d.Tags, Tag{Name: name})
		}
		return i
	}
	for _, t := range d.root.get("tags").items() {
		if name := t.get("name").str(); name != "" {
			d.Tags[tag(name)].Description = markdown.HTML(t.get("description").str())
		}
	}
	for _, op := range d.Operations {
		i := tag(op.Tag)
		d.Tags[i].Operations = append(d.Tags[i].Operations, op)
	}
	d.Tags = slices.DeleteFunc(d.Tags, func(t Tag) bool { return len(t.Operations) == 0 })
	for i := range d.Tags {
		if d.Tags[i].Name == "" {
			d.Tags[i].Name = "Other operations"
			if len(d.Tags) == 1 {
				d.Tags[i].Name = "Operations"
			}
		}
	}
}

// Operation finds one by its slug; nil: there is none.
func (d *Doc) Operation(slug string) *Operation { return d.bySlug[slug] }

// slug is a text as a part of a URL.
func slug(s string) string {
	var b strings.Builder
	dash := false
	for _, c := range s {
		switch {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_':
			if dash && b.Len() > 0 {
				b.WriteByte('-')
			}
			dash = false
			b.WriteRune(c)
		default:
			dash = true
		}
		if b.Len() > 120 {
			break
		}
	}
	return b.String()
}

// follow resolves references inside the document; one that leads nowhere, out of
// the document or in circles is none.
func (d *Doc) follow(n *node) *node {
	for range 20 {
		ref := n.get("$ref").str()
		if ref == "" {
			return n
		}
		pointer, ok := strings.CutPrefix(ref, "#/")
		if !ok {
			return none
		}
		n = d.root.at(pointer)
	}
	return none
}
