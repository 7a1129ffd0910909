package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/serve"
)

func (s *Server) documentationRoutes() []route {
	return []route{
		{method: "GET", pattern: "/apis/{api}/documentation", who: mayRead, handle: (*visit).documentation},
		{method: "GET", pattern: "/apis/{api}/documentation/part", who: mayRead, handle: (*visit).partPage},
		{method: "POST", pattern: "/apis/{api}/documentation/part", who: mayBuild, handle: (*visit).savePart, form: 2 << 20},
		{method: "POST", pattern: "/apis/{api}/documentation/versions", who: mayBuild, handle: (*visit).makeVersion},
		{method: "GET", pattern: "/apis/{api}/documentation/versions/{version}", who: mayRead, handle: (*visit).versionPage},
		{method: "GET", pattern: "/apis/{api}/documentation/versions/{version}/delete", who: mayBuild, handle: (*visit).confirmDeleteVersion},
		{method: "POST", pattern: "/apis/{api}/documentation/versions/{version}/delete", who: mayBuild, handle: (*visit).deleteVersion},
	}
}

// placesShown is how many places a page of the list has.
const placesShown = 100

// places is the list of an API's places, narrowed.
type places struct {
	all, written, missing int // of the whole API
	match, show           string
	rows                  []model.Place
	from, found           int
	next                  string
}

// placeKinds are the kinds of places, as people call them.
var placeKinds = map[string]string{
	"API": "API", "AUTHORIZER": "Authorizer", "MODEL": "Model", "RESOURCE": "Path", "METHOD": "Method",
	"PATH_PARAMETER": "Path parameter", "QUERY_PARAMETER": "Query parameter", "REQUEST_HEADER": "Header", "REQUEST_BODY": "Request body",
	"RESPONSE": "Response", "RESPONSE_HEADER": "Response header", "RESPONSE_BODY": "Response body",
}

func (v *visit) places(d *model.Definition) places {
	out := places{match: v.query("q"), show: v.query("show")}
	out.from, _ = strconv.Atoi(v.query("after"))
	out.from = max(0, out.from)
	for _, p := range d.Places() {
		out.all++
		state := "written"
		switch {
		case p.Part == nil:
			state = "missing"
			out.missing++
		case p.Inherited:
			state = "inherited"
		default:
			out.written++
		}
		if out.show != "" && out.show != state || !holds(&p, out.match) {
			continue
		}
		if out.found >= out.from && len(out.rows) < placesShown {
			out.rows = append(out.rows, p)
		}
		out.found++
	}
	if end := out.from + len(out.rows); end < out.found {
		q := url.Values{"after": {strconv.Itoa(end)}}
		for name, value := range map[string]string{"q": out.match, "show": out.show} {
			if value != "" {
				q.Set(name, value)
			}
		}
		out.next = "?" + q.Encode()
	}
	return out
}

// holds reports that a place's address, kind or words have a text in them.
func holds(p *model.Place, text string) bool {
	if text == "" {
		return true
	}
	has := strings.Join([]string{p.Method, p.Path, p.Name, p.StatusCode, placeKinds[p.Type]}, " ")
	if p.Part != nil {
		has += p.Part.Properties
	}
	return strings.Contains(strings.ToLower(has), strings.ToLower(text))
}

// versionForm is a documentation version to be made.
type versionForm struct {
	Version, Description, Stage string
	Problems                    []ui.Problem
}

func (v *visit) documentation() error { return v.documentationWith(200, versionForm{}) }

func (v *visit) documentationWith(status int, f versionForm) error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	versions, err := v.Plane.DocumentationVersions(v.ctx(), v.actor(), a.ID, control.Page{After: v.query("versions"), Limit: 50})
	if err != nil {
		return err
	}
	stages, err := v.Plane.Stages(v.ctx(), v.actor(), a.ID)
	if err != nil {
		return err
	}
	return v.renderAs(status, documentationView(v.apiPage(a.API), a.API, v.places(&a.Definition), versions, stages, f, v.may(control.ToBuild), v.Now()))
}

func partURL(id string, l model.DocumentationLocation) string {
	q := url.Values{"type": {l.Type}}
	for name, value := range map[string]string{"path": l.Path, "method": l.Method, "status": l.StatusCode, "name": l.Name} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return apiURL(id, "documentation", "part") + "?" + q.Encode()
}

// partForm is a documentation part as it is edited.
type partForm struct {
	Place                       model.Place
	Revision                    int64
	Summary, Description, Other string
	Preview                     bool // show the words as they are in the form
	Problems                    []ui.Problem
}

// summed are the kinds of places that have a line above their description.
func summed(kind string) bool { return kind == "METHOD" }

func (f *partForm) of(field string) string {
	for _, p := range f.Problems {
		if p.Name == field {
			return p.Text
		}
	}
	return ""
}

// words takes a part's properties apart into what is edited in fields of its own, and
// the rest. What is said of an API is in its info object.
func words(kind, properties string) (summary, description, other string) {
	all := map[string]json.RawMessage{}
	if json.Unmarshal([]byte(properties), &all) != nil {
		return "", "", properties
	}
	take := func(from map[string]json.RawMessage, name string) (text string) {
		if from[name] != nil && json.Unmarshal(from[name], &text) == nil {
			delete(from, name)
		}
		return text
	}
	if kind == "API" {
		info := map[string]json.RawMessage{}
		if all["info"] != nil && json.Unmarshal(all["info"], &info) == nil {
			if description = take(info, "description"); len(info) == 0 {
				delete(all, "info")
			} else {
				all["info"] = json.RawMessage(jsonText(info))
			}
		}
	} else {
		description = take(all, "description")
	}
	if summed(kind) {
		summary = take(all, "summary")
	}
	if len(all) > 0 {
		b, _ := json.MarshalIndent(all, "", "  ") // of what was read
		other = string(b)
	}
	return summary, description, other
}

// properties puts the fields together again.
func (f *partForm) properties() (string, error) {
	all := map[string]json.RawMessage{}
	if strings.TrimSpace(f.Other) != "" {
		if err := json.Unmarshal([]byte(f.Other), &all); err != nil || all == nil {
			why := "it is not an object"
			if e, ok := errors.AsType[*json.SyntaxError](err); ok {
				line, column := lineOf(f.Other, int(e.Offset))
				why = fmt.Sprintf("line %d, column %d: %v", line, column, e)
			}
			return "", model.Errorf(model.Invalid, "the other properties are not a JSON object such as {\"tags\": [\"pets\"]}: %s", why)
		}
	}
	into := all
	if f.Place.Type == "API" {
		into = map[string]json.RawMessage{}
		if all["info"] != nil && (json.Unmarshal(all["info"], &into) != nil || into == nil) {
			return "", model.Errorf(model.Invalid, "the info object in the other properties is not an object")
		}
	}
	for name, text := range map[string]string{"summary": f.Summary, "description": strings.ReplaceAll(f.Description, "\r\n", "\n")} {
		if strings.TrimSpace(text) == "" {
			continue
		}
		if into[name] != nil {
			return "", model.Errorf(model.Invalid, "the other properties hold a %s, which has a field of its own above", name)
		}
		into[name] = json.RawMessage(jsonText(text))
	}
	if f.Place.Type == "API" && len(into) > 0 {
		all["info"] = json.RawMessage(jsonText(into))
	}
	if len(all) == 0 {
		return "", model.Errorf(model.Invalid, "nothing is written; remove the text instead, or write a description")
	}
	return jsonText(all), nil
}

// lineOf is where an offset is in a text, both from 1.
func lineOf(text string, offset int) (line, column int) {
	before := text[:max(0, min(offset-1, len(text)))]
	return 1 + strings.Count(before, "\n"), len(before) - strings.LastIndexByte(before, '\n')
}

// place is the one that a form or a URL names, which must be possible.
func placeNamed(get func(string) string) (model.DocumentationLocation, error) {
	p := model.DocumentationPart{Location: model.DocumentationLocation{Type: get("type"), Path: get("path"), Method: get("method"), StatusCode: get("status"), Name: get("name")}, Properties: "{}"}
	if err := p.Check(); err != nil {
		return p.Location, model.Errorf(model.NotFound, "there is no such place to write about: %s", model.MessageOf(err))
	}
	return p.Location.Full(), nil
}

func (v *visit) partPage() error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	at, err := placeNamed(v.query)
	if err != nil {
		return err
	}
	f := partForm{Place: a.Definition.Place(at), Revision: a.Revision}
	if p := f.Place.Part; p != nil && !f.Place.Inherited {
		f.Summary, f.Description, f.Other = words(at.Type, p.Properties)
	}
	return v.render(partView(v.below(a.API, placeTitle(at), "documentation"), a.API, f, v.may(control.ToBuild)))
}

// placeTitle names a place in a line.
func placeTitle(l model.DocumentationLocation) string {
	var parts []string
	for _, s := range []string{placeKinds[l.Type], l.Method, l.Path, l.StatusCode, l.Name} {
		if s != "" && !(s == "*" && (l.Method == "*" || l.StatusCode == "*")) {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, " ")
}

func (v *visit) savePart() error {
	at, err := placeNamed(v.value)
	if err != nil {
		return err
	}
	f := partForm{Summary: v.value("summary"), Description: v.raw("description"), Other: v.raw("other"), Preview: v.value("act") == "preview"}
	f.Revision, _ = strconv.ParseInt(v.value("revision"), 10, 64)
	list, status := apiURL(v.path("api"), "documentation"), 200
	f.Place.DocumentationLocation = at
	switch v.value("act") {
	case "preview":
	case "ask":
		a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
		if err != nil {
			return err
		}
		if f.Place = a.Definition.Place(at); f.Place.Part == nil || f.Place.Inherited {
			return v.redirect(partURL(a.ID, at))
		}
		return v.render(removePartView(v.below(a.API, "Remove "+placeTitle(at), "documentation"), a.API, f))
	case "remove":
		_, err := v.Plane.UpdateDefinition(v.ctx(), v.actor(), v.path("api"), f.Revision, func(d *model.Definition) error {
			p := d.DocumentedAt(at)
			if p == nil {
				return model.Errorf(model.Conflict, "there is nothing written any more")
			}
			id := p.ID
			d.Documentation = slices.DeleteFunc(slices.Clone(d.Documentation), func(p model.DocumentationPart) bool { return p.ID == id })
			return nil
		})
		return v.outcome(err, "Removed what was written about "+placeTitle(at)+".", list)
	default:
		properties, err := f.properties()
		if err == nil {
			_, err = v.Plane.UpdateDefinition(v.ctx(), v.actor(), v.path("api"), f.Revision, func(d *model.Definition) error {
				part := model.DocumentationPart{ID: model.NewID(6), Location: at, Properties: properties}
				if was := d.DocumentedAt(at); was != nil {
					was.Properties = properties
					part = *was
				} else {
					d.Documentation = append(d.Documentation, part)
				}
				return part.Check()
			})
		}
		if err == nil {
			return v.done("Saved what is written about "+placeTitle(at)+".", list)
		}
		if !invalid(err) {
			return err
		}
		field := "description"
		status = serve.Status(err)
		if strings.Contains(model.MessageOf(err), "other properties") {
			field = "other"
		}
		f.Problems = []ui.Problem{{Name: field, Text: sentence(model.MessageOf(err))}}
	}
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	if !f.Preview { // a draft is saved over what it was begun from
		f.Revision = a.Revision
	}
	f.Place = a.Definition.Place(at)
	return v.renderAs(status, partView(v.below(a.API, placeTitle(at), "documentation"), a.API, f, true))
}

func (v *visit) makeVersion() error {
	f := versionForm{Version: v.value("version"), Description: v.value("description"), Stage: v.value("stage")}
	_, err := v.Plane.CreateDocumentationVersion(v.ctx(), v.actor(), control.NewDocumentationVersion{APIID: v.path("api"), Version: f.Version, Description: f.Description, Stage: f.Stage})
	if invalid(err) {
		f.Problems = []ui.Problem{{Name: "version", Text: sentence(model.MessageOf(err))}}
		return v.documentationWith(serve.Status(err), f)
	}
	if err != nil {
		return err
	}
	return v.done("Version "+f.Version+" is kept as it is now.", apiURL(v.path("api"), "documentation"))
}

func versionURL(id, version string, more ...string) string {
	return apiURL(id, append([]string{"documentation", "versions", version}, more...)...)
}

// versionOf reads the API and one of its versions.
func (v *visit) versionOf() (control.APIDetail, control.DocumentationVersion, error) {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return a, control.DocumentationVersion{}, err
	}
	dv, err := v.Plane.DocumentationVersion(v.ctx(), v.actor(), a.ID, v.path("version"))
	return a, dv, err
}

func (v *visit) versionPage() error {
	a, dv, err := v.versionOf()
	if err != nil {
		return err
	}
	from, _ := strconv.Atoi(v.query("after"))
	from = min(max(0, from), len(dv.Parts))
	end, next := min(from+placesShown, len(dv.Parts)), ""
	if end < len(dv.Parts) {
		next = "?after=" + strconv.Itoa(end)
	}
	return v.render(versionView(v.below(a.API, "Version "+dv.Version, "documentation"), a.API, dv, dv.Parts[from:end], next, v.may(control.ToBuild)))
}

func (v *visit) confirmDeleteVersion() error {
	a, dv, err := v.versionOf()
	if err != nil {
		return err
	}
	return v.render(deleteVersionView(v.below(a.API, "Delete version "+dv.Version, "documentation"), a.API, dv))
}

func (v *visit) deleteVersion() error {
	err := v.Plane.DeleteDocumentationVersion(v.ctx(), v.actor(), v.path("api"), v.path("version"))
	return v.outcome(err, "Version "+v.path("version")+" is deleted.", apiURL(v.path("api"), "documentation"))
}

// shownOn are the stages that show a version.
func shownOn(stages []control.Stage, version string) []string {
	var out []string
	for _, s := range stages {
		if s.Settings.DocumentationVersion == version {
			out = append(out, s.Name)
		}
	}
	return out
}

// stages are those that may show the version at once.
func (f versionForm) stages(all []control.Stage) []ui.Option {
	out := []ui.Option{{Value: "", Label: "none"}}
	for _, s := range all {
		out = append(out, ui.Option{Value: s.Name, Label: s.Name})
	}
	return out
}

// firstWords begin what is written in a part.
func firstWords(p *model.DocumentationPart) string {
	summary, description, other := words(p.Location.Type, p.Properties)
	for _, s := range []string{summary, description, other} {
		if s = strings.Join(strings.Fields(s), " "); s != "" {
			return cutText(s, 140)
		}
	}
	return ""
}
