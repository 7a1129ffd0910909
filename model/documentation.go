package model

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// Limits of one documentation part, in bytes.
const (
	maxDocumentation = 400 << 10
	maxLocation      = 1024
)

// documented says which fields a location of each type has. A name is needed where
// there is one, but for a body's.
var documented = map[string]struct{ path, method, status, name, unnamed bool }{
	"API": {}, "AUTHORIZER": {name: true}, "MODEL": {name: true}, "RESOURCE": {path: true}, "METHOD": {path: true, method: true},
	"PATH_PARAMETER": {path: true, method: true, name: true}, "QUERY_PARAMETER": {path: true, method: true, name: true},
	"REQUEST_HEADER": {path: true, method: true, name: true}, "REQUEST_BODY": {path: true, method: true, name: true, unnamed: true},
	"RESPONSE": {path: true, method: true, status: true}, "RESPONSE_BODY": {path: true, method: true, status: true},
	"RESPONSE_HEADER": {path: true, method: true, status: true, name: true},
}

// DocumentationTypes are the kinds of places that documentation can be about, in
// the order in which Amazon's service lists them.
var DocumentationTypes = []string{"RESPONSE_BODY", "RESPONSE", "METHOD", "MODEL", "AUTHORIZER", "RESPONSE_HEADER", "RESOURCE",
	"PATH_PARAMETER", "REQUEST_BODY", "QUERY_PARAMETER", "API", "REQUEST_HEADER"}

var documentedStatus = regexp.MustCompile(`^([1-5]\d\d|\*)$`)

// Check reports the first thing that makes the part impossible.
func (p *DocumentationPart) Check() error {
	if err := p.Location.check(); err != nil {
		return err
	}
	if strings.TrimSpace(p.Properties) == "" {
		return Errorf(Invalid, "Documentation part properties must be non-empty")
	}
	if len(p.Properties) > maxDocumentation {
		return Errorf(Limit, "documentation part properties have %d bytes; at most %d are allowed", len(p.Properties), maxDocumentation)
	}
	if text := bytes.TrimSpace([]byte(p.Properties)); text[0] != '{' || !json.Valid(text) {
		return Errorf(Invalid, "Documentation part properties must be a JSON object")
	}
	return nil
}

func (l *DocumentationLocation) check() error {
	has, ok := documented[l.Type]
	if !ok {
		return Errorf(Invalid, "documentation type %.100q is not one of %s", l.Type, strings.Join(DocumentationTypes, ", "))
	}
	for _, f := range []struct {
		what, value string
		has         bool
	}{{"path", l.Path, has.path}, {"method", l.Method, has.method}, {"status code", l.StatusCode, has.status}, {"name", l.Name, has.name}} {
		if f.value != "" && !f.has {
			return Errorf(Invalid, "Invalid documentation location: type %s has no %s", l.Type, f.what)
		}
		if len(f.value) > maxLocation {
			return Errorf(Invalid, "Invalid documentation location: the %s exceeds %d characters", f.what, maxLocation)
		}
	}
	switch {
	case has.name && !has.unnamed && l.Name == "":
		return Errorf(Invalid, "Invalid documentation location: type %s needs a name", l.Type)
	case l.Path != "" && l.Path[0] != '/':
		return Errorf(Invalid, "Invalid documentation location: path %.200q does not begin with /", l.Path)
	case l.Method != "" && l.Method != "*" && !slices.Contains(Verbs, l.Method):
		return Errorf(Invalid, "Invalid documentation location: method %.100q is not * or one of %s", l.Method, strings.Join(Verbs, ", "))
	case l.StatusCode != "" && !documentedStatus.MatchString(l.StatusCode):
		return Errorf(Invalid, "Invalid documentation location: status code %.100q is not * or three digits", l.StatusCode)
	}
	return nil
}

// Full is the location with what stands for a field that was left out: the root,
// any method, any status.
func (l DocumentationLocation) Full() DocumentationLocation {
	has := documented[l.Type]
	if has.path && l.Path == "" {
		l.Path = "/"
	}
	if has.method && l.Method == "" {
		l.Method = "*"
	}
	if has.status && l.StatusCode == "" {
		l.StatusCode = "*"
	}
	return l
}

// DocumentationPart finds one by id; nil: there is none.
func (d *Definition) DocumentationPart(id string) *DocumentationPart {
	return find(d.Documentation, id)
}

func (p DocumentationPart) id() string { return p.ID }

// DocumentedAt finds the part that is about a location; nil: there is none.
func (d *Definition) DocumentedAt(l DocumentationLocation) *DocumentationPart {
	l = l.Full()
	for i := range d.Documentation {
		if d.Documentation[i].Location.Full() == l {
			return &d.Documentation[i]
		}
	}
	return nil
}

// Place is one place of an API that documentation can be about.
type Place struct {
	DocumentationLocation
	// Part is what is written there: its own, or one that it inherits; nil: nothing.
	Part      *DocumentationPart
	Inherited bool
	Gone      bool // a part is about it, but the API has it no more, or it stands for several places
}

// Places lists the places of the API with what is written about each, and after them
// those that parts are about and that are no places by themselves. A place inherits
// from that of a path above, of any method, of any status.
func (d *Definition) Places() []Place {
	parts := make(map[DocumentationLocation]*DocumentationPart, len(d.Documentation))
	for i := range d.Documentation {
		parts[d.Documentation[i].Location.Full()] = &d.Documentation[i]
	}
	all := d.documentable()
	out := make([]Place, 0, len(all))
	seen := make(map[DocumentationLocation]bool, len(all))
	for _, l := range all {
		p := placeOf(parts, l)
		seen[p.Full()] = true
		out = append(out, p)
	}
	for i := range d.Documentation {
		if l := d.Documentation[i].Location.Full(); !seen[l] {
			out = append(out, Place{DocumentationLocation: l, Part: &d.Documentation[i], Gone: true})
		}
	}
	return out
}

// Place is one place by itself, whether or not the API has it.
func (d *Definition) Place(l DocumentationLocation) Place {
	parts := make(map[DocumentationLocation]*DocumentationPart, len(d.Documentation))
	for i := range d.Documentation {
		parts[d.Documentation[i].Location.Full()] = &d.Documentation[i]
	}
	p := placeOf(parts, l.Full())
	p.Gone = !slices.ContainsFunc(d.documentable(), func(o DocumentationLocation) bool { return o.Full() == p.DocumentationLocation })
	return p
}

func placeOf(parts map[DocumentationLocation]*DocumentationPart, l DocumentationLocation) Place {
	out := Place{DocumentationLocation: l, Part: parts[l.Full()]}
	if out.Part != nil || l.Method == "" { // what has no method inherits from nothing
		return out
	}
	statuses := []string{l.StatusCode, "*"}
	if l.StatusCode == "" {
		statuses = statuses[:1]
	}
	for path := l.Path; ; path = Parent(path) {
		for _, verb := range []string{l.Method, "*"} {
			for _, status := range statuses {
				if p := parts[DocumentationLocation{l.Type, path, verb, status, l.Name}]; p != nil {
					out.Part, out.Inherited = p, true
					return out
				}
			}
		}
		if path == "/" {
			return out
		}
	}
}

// Undocumented lists the places of the API that no part is about, neither its own
// nor one that it inherits.
func (d *Definition) Undocumented() []DocumentationLocation {
	var out []DocumentationLocation
	for _, p := range d.Places() {
		if p.Part == nil {
			out = append(out, p.DocumentationLocation)
		}
	}
	return out
}

// documentable are all places of the API that there can be a part about.
func (d *Definition) documentable() []DocumentationLocation {
	out := []DocumentationLocation{{Type: "API"}}
	add := func(kind, path, verb, status, name string) {
		out = append(out, DocumentationLocation{kind, path, verb, status, name})
	}
	for i := range d.Authorizers {
		add("AUTHORIZER", "", "", "", d.Authorizers[i].Name)
	}
	for i := range d.Models {
		add("MODEL", "", "", "", d.Models[i].Name)
	}
	parameters := map[string]string{"path": "PATH_PARAMETER", "querystring": "QUERY_PARAMETER", "header": "REQUEST_HEADER"}
	for i := range d.Resources {
		r := &d.Resources[i]
		add("RESOURCE", r.Path, "", "", "")
		for _, verb := range sortedNames(r.Methods) {
			m := r.Methods[verb]
			add("METHOD", r.Path, verb, "", "")
			for _, p := range sortedNames(m.RequestParameters) {
				in, name, _ := strings.Cut(strings.TrimPrefix(p, "method.request."), ".")
				if kind := parameters[in]; kind != "" {
					add(kind, r.Path, verb, "", name)
				}
			}
			if len(m.RequestModels) > 0 {
				add("REQUEST_BODY", r.Path, verb, "", "")
			}
			for _, status := range sortedNames(m.Responses) {
				a := m.Responses[status]
				add("RESPONSE", r.Path, verb, status, "")
				for _, p := range sortedNames(a.Parameters) {
					add("RESPONSE_HEADER", r.Path, verb, status, strings.TrimPrefix(p, "method.response.header."))
				}
				if len(a.Models) > 0 {
					add("RESPONSE_BODY", r.Path, verb, status, "")
				}
			}
		}
	}
	return out
}
