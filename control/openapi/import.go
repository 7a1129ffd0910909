package openapi

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"tollgate/model"
)

// Options say what the document itself does not.
type Options struct {
	RequireKey bool   // every method requires an API key
	Upstream   string // base URL, instead of the document's servers
	BaseURL    string // where the document came from; relative servers start there
	Name       string // instead of the document's title

	// Wire reads the document as Amazon API Gateway does: servers are no upstreams,
	// and BasePath (ignore, prepend or split) says what becomes of their paths.
	Wire     bool
	BasePath string
	NoWords  bool // descriptions do not become documentation
}

// Result is what a document came to.
type Result struct {
	Definition model.Definition
	Format     string // "swagger 2.0", "openapi 3.0.3", …
	Problems   []model.Problem
	Operations int // operations in the document, those with an error included
	Tags       map[string]string
	Warnings   []string // what the wire is told: all that is missing or changed
}

const (
	maxText     = 1024 // characters of a description; bytes of a name
	maxProblems = 5000
	// maxWork bounds what references multiply: parameters read, layers followed.
	maxWork = 4 << 20
)

// Import reads a document. The error is for one that cannot be read at all; all
// else is in the result's problems, by place. The same bytes and options always
// give the same result, down to resource ids.
func Import(src []byte, o Options) (*Result, error) {
	root, found, err := decode(src)
	if err != nil {
		return nil, err
	}
	im := &importer{
		root: loc{node: root}, options: o, weight: model.MaxDefinitionBytes, work: maxWork,
		resources: map[string]*resource{}, operationIDs: map[string]loc{}, told: map[string]bool{},
		notes: map[string]*note{}, targets: map[string]loc{}, handled: map[*node]bool{},
	}
	if err := im.version(); err != nil {
		return nil, err
	}
	for _, f := range found {
		im.report(model.Problem{Severity: model.SeverityWarning, Line: f.line, Column: f.col, Message: f.message})
	}
	im.security = im.root.get("security")
	im.info()
	im.models()
	im.tags()
	if err := im.upstreams(); err != nil {
		return nil, err
	}
	im.securitySchemes()
	im.apiExtensions()
	if !im.options.NoWords {
		im.aboutAPI()
	}
	if err := im.paths(); err != nil {
		return nil, err
	}
	im.leftovers()
	return im.result()
}

// importer is one document on its way into a definition.
type importer struct {
	root    loc
	options Options
	swagger bool // 2.0; all else is 3.x

	res          Result
	definition   model.Definition
	tree         position
	resources    map[string]*resource // by final path
	operationIDs map[string]loc
	schemes      map[string]*scheme
	servers      servers
	validator    loc               // the API's own
	prefix       string            // of every path
	place        string            // where an integration is, in the wire's words
	kept         map[string]string // schemas of models, by name
	modelNames   map[string]string // by reference
	inline       map[*node]string  // names of models without one of their author's
	documented   map[model.DocumentationLocation]bool
	security     loc // the document's own requirements

	targets map[string]loc  // of references already followed
	told    map[string]bool // what is said once per place
	notes   map[string]*note
	handled map[*node]bool // extensions that have been read
	full    bool           // there are more than maxProblems
	weight  int            // bytes of strings the definition may still take
	work    int
}

// resource is a path on its way into the definition.
type resource struct {
	path    string
	methods map[string]*method
}

// method remembers where it came from and whom it calls, for the second
// operation that lands on it.
type method struct {
	model.Method
	from     loc
	upstream string // base URL; "" when the integration is the document's own
}

// version tells the formats apart and refuses what is none of them.
func (im *importer) version() error {
	if !im.root.is(mapping) {
		return model.Errorf(model.Invalid, "this is not an OpenAPI document: it is not an object with an \"openapi\" or \"swagger\" field")
	}
	v := im.root.get("openapi")
	if v.there() {
		for _, known := range []string{"3.0", "3.1", "3.2"} {
			if v.text() == known || strings.HasPrefix(v.text(), known+".") {
				im.res.Format = "openapi " + quoteless(v.text())
				if known == "3.2" {
					im.say(model.SeverityInfo, v, "OpenAPI 3.2 is read as 3.1; what is new in it is reported where it matters")
				}
				return im.hasPaths()
			}
		}
		return im.refuse(v, "openapi version %s is not one of 3.0, 3.1, 3.2", quote(v.text()))
	}
	v = im.root.get("swagger")
	if !v.there() {
		return model.Errorf(model.Invalid, "this is not an OpenAPI document: it has neither an \"openapi\" nor a \"swagger\" field")
	}
	if t := v.text(); t != "2.0" && t != "2" {
		return im.refuse(v, "swagger version %s is not 2.0; convert the document to Swagger 2.0 or OpenAPI 3", quote(t))
	}
	im.swagger = true
	im.res.Format = "swagger 2.0"
	return im.hasPaths()
}

func (im *importer) hasPaths() error {
	p := im.root.get("paths")
	if !p.there() {
		return model.Errorf(model.Invalid, "the document has no \"paths\": it describes no operation a gateway could serve")
	}
	if !p.is(mapping) && !p.is(null) {
		return im.refuse(p, "\"paths\" is not an object")
	}
	return nil
}

// quoteless keeps a version short and plain, as it is shown to users.
func quoteless(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == utf8.RuneError {
			return -1
		}
		return r
	}, s[:min(len(s), 32)])
}

func (im *importer) refuse(at loc, format string, a ...any) error {
	line, col := at.place()
	return model.Errorf(model.Invalid, "line %d, column %d: %s", line, col, fmt.Sprintf(format, a...))
}

// aloud is say for a change that the wire is told of, too.
func (im *importer) aloud(at loc, format string, a ...any) {
	im.say(model.SeverityWarning, at, format, a...)
	im.res.Warnings = append(im.res.Warnings, fmt.Sprintf(format, a...))
}

func (im *importer) say(severity string, at loc, format string, a ...any) {
	line, col := at.place()
	im.report(model.Problem{Severity: severity, Line: line, Column: col, Pointer: at.at, Message: fmt.Sprintf(format, a...)})
}

func (im *importer) report(p model.Problem) {
	if len(im.res.Problems) >= maxProblems {
		im.full = true
		return
	}
	im.res.Problems = append(im.res.Problems, p)
}

// once is false from the second time on.
func (im *importer) once(key string) bool {
	if im.told[key] {
		return false
	}
	im.told[key] = true
	return true
}

// note is a message that stands for many places: it is said at the first, with
// their number.
type note struct {
	severity, format string
	first            loc
	count            int
}

func (im *importer) tally(severity string, at loc, format string) {
	n := im.notes[format]
	if n == nil {
		n = &note{severity: severity, format: format, first: at}
		im.notes[format] = n
	}
	n.count++
}

func (im *importer) info() {
	info := im.root.get("info")
	d := &im.definition
	d.Name = strings.TrimSpace(im.options.Name)
	if d.Name == "" {
		d.Name = strings.TrimSpace(info.get("title").text())
		if cut := truncate(d.Name, maxText, len(d.Name)); cut != d.Name {
			im.say(model.SeverityWarning, info.get("title"), "the title is cut to %d bytes", maxText)
			d.Name = cut
		}
	}
	if d.Name == "" {
		d.Name = "Untitled API"
		im.say(model.SeverityWarning, im.root.get("info"), "the document has no title; the API is named %q", d.Name)
	}
	d.Description = info.get("description").text()
	if cut := truncate(d.Description, len(d.Description), maxText); cut != d.Description {
		im.say(model.SeverityWarning, info.get("description"), "the description is cut to %d characters; the author's bytes keep the whole of it", maxText)
		d.Description = cut
	}
	d.Version = info.get("version").text()
	if cut := truncate(d.Version, len(d.Version), maxText); cut != d.Version {
		im.say(model.SeverityWarning, info.get("version"), "the version is cut to %d characters", maxText)
		d.Version = cut
	}
}

// truncate keeps whole characters within a number of bytes and of characters.
func truncate(s string, bytes, chars int) string {
	n := 0
	for i, r := range s {
		if n == chars || i+utf8.RuneLen(r) > bytes {
			return s[:i]
		}
		n++
	}
	return s
}

// result settles ids and order, and checks what no document may get past.
func (im *importer) result() (*Result, error) {
	if _, ok := im.resources["/"]; !ok {
		im.resources["/"] = &resource{path: "/"}
	}
	d := &im.definition
	for _, r := range im.resources {
		out := model.Resource{Path: r.path}
		for verb, m := range r.methods {
			if out.Methods == nil {
				out.Methods = map[string]model.Method{}
			}
			out.Methods[verb] = m.Method
		}
		d.Resources = append(d.Resources, out)
	}
	d.Complete()
	d.Sort()
	for i := range d.Resources {
		d.Resources[i].ID = ""
	}
	assignIDs(d.Resources)
	if err := d.Validate(); err != nil {
		return nil, model.Errorf(model.Invalid, "the document cannot be imported: %s", model.MessageOf(err))
	}
	b, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	if len(b) > model.MaxDefinitionBytes {
		return nil, model.Errorf(model.Invalid, "the definition takes %d bytes; at most %d are allowed", len(b), model.MaxDefinitionBytes)
	}
	for _, n := range im.notes {
		im.say(n.severity, n.first, n.format, n.count)
	}
	r := &im.res
	slices.SortStableFunc(r.Problems, func(a, b model.Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Pointer, b.Pointer), cmp.Compare(a.Message, b.Message))
	})
	if im.full {
		r.Problems = append(r.Problems, model.Problem{Severity: model.SeverityError, Message: fmt.Sprintf("there are more problems than the %d listed", maxProblems)})
	}
	for _, p := range r.Problems {
		if p.Severity == model.SeverityError {
			r.Warnings = append(r.Warnings, p.Message)
		}
	}
	r.Definition = *d
	return r, nil
}

// follow resolves local references. false: the reference has been reported, and
// the place means nothing.
func (im *importer) follow(l loc) (loc, bool) {
	for hops := 0; l.is(mapping); hops++ {
		ref := l.get("$ref")
		if !ref.is(scalar) {
			return l, true
		}
		if hops > 100 {
			im.refProblem(ref, "reference %s goes round in a circle", quote(ref.text()))
			return loc{}, false
		}
		next, ok := im.target(ref)
		if !ok {
			return loc{}, false
		}
		l = next
	}
	return l, true
}

// refProblem warns of a reference; what is missing for want of it is for whoever
// followed it to say.
func (im *importer) refProblem(ref loc, format string, a ...any) {
	if im.once(ref.at) {
		im.say(model.SeverityWarning, ref, format, a...)
	}
}

// target is the place one reference names.
func (im *importer) target(ref loc) (loc, bool) {
	text := ref.text()
	if !strings.HasPrefix(text, "#") {
		im.refProblem(ref, "reference %s leads out of the document; only references within it are followed: put what it names into the document", quote(text))
		return loc{}, false
	}
	fragment, err := url.PathUnescape(text[1:])
	if err != nil || fragment != "" && fragment[0] != '/' {
		im.refProblem(ref, "reference %s is not a JSON pointer (#/…)", quote(text))
		return loc{}, false
	}
	if l, ok := im.targets[fragment]; ok {
		return l, true
	}
	l := im.root
	if fragment == "" {
		return l, true
	}
	for _, part := range strings.Split(fragment[1:], "/") {
		part = pointerUnescaper.Replace(part)
		if im.work -= 1 + l.size()/8; im.work < 0 {
			return loc{}, false
		}
		next := l.get(part)
		if l.is(sequence) {
			for _, item := range l.items() {
				if item.at == l.at+"/"+part {
					next = item
				}
			}
		}
		if !next.there() {
			im.refProblem(ref, "reference %s names nothing in the document", quote(text))
			return loc{}, false
		}
		l = next
	}
	im.targets[fragment] = l
	return l, true
}
