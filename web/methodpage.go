package web

import (
	"context"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/serve"
)

// methodPage is a method's pipeline, with the editor of one of its stations open where
// one is asked for, and the panel that tries it.
type methodPage struct {
	API          control.APIDetail
	Path, Verb   string
	Resource     string // id
	Method       *model.Method
	Revision     int64
	Edit, Key    string // the station whose editor is open, and which of several
	Part         methodPart
	Problems     problems
	Stops        []model.Problem // what keeps this method from being deployed
	Doubts       []model.Problem // what can be deployed, but surely not as it is meant
	Trial        methodTrial
	Link         string // name of the VPC link that the integration goes through, if it is one of the account's
	Build, Tries bool
	Endpoint     string
}

// at is the address of the method's page, with an editor open.
func (p *methodPage) at(part, key string) string {
	u := methodURL(p.API.ID, p.Path, p.Verb)
	if part != "" {
		u += "&edit=" + part
	}
	if key != "" {
		u += "&key=" + url.QueryEscape(key)
	}
	return u
}

// editing reports that a station's editor is open: of all of its things, or of one.
func (p *methodPage) editing(part string) bool { return p.Part != nil && p.Edit == part }

// ofStation are the problems of a station.
func ofStation(part string, all []model.Problem) []string {
	var out []string
	for _, s := range all {
		if stationOf(s.Message) == part {
			out = append(out, s.Message)
		}
	}
	return out
}

// stationOf is where the reason of a refusal is edited.
func stationOf(message string) string {
	for _, w := range []struct{ word, part string }{
		{"integration response", "answer"}, {"request template", "mapping"}, {"request parameter", "mapping"}, {"contentHandling", "mapping"}, {"content handling", "mapping"}, {"cache key", "mapping"},
		{"integration", "integration"}, {"authorization", "request"}, {"authorizer", "request"}, {"request validator", "request"}, {"request model", "request"}, {"model", "request"},
	} {
		if strings.Contains(message, w.word) {
			return w.part
		}
	}
	return "integration"
}

// methodHere reads a method's page.
func (v *visit) methodHere(path, verb string) (*methodPage, error) {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return nil, err
	}
	r := a.Definition.ByPath(path)
	if r == nil || !slices.Contains(model.Verbs, verb) {
		return nil, model.Errorf(model.NotFound, "the API has no resource %s", path)
	}
	p := &methodPage{API: a, Path: path, Verb: verb, Resource: r.ID, Method: a.Definition.Method(path, verb), Revision: a.Revision,
		Build: v.may(control.ToBuild), Tries: v.Try != nil, Endpoint: strings.TrimSuffix(v.Console.String(), "/")}
	if p.Method == nil {
		return p, nil
	}
	stops, doubts := v.Plane.Undeployable(v.actor(), a.ID, &a.Definition)
	elsewhere := func(s model.Problem) bool { return s.Pointer != verb+" "+path }
	p.Stops, p.Doubts = slices.DeleteFunc(stops, elsewhere), slices.DeleteFunc(doubts, elsewhere)
	p.Trial = newTrial(p)
	if g := p.Method.Integration; g != nil && g.ConnectionType == model.ConnectionVPCLink && !g.UsesVariables() {
		l, err := v.Plane.VPCLink(v.ctx(), v.actor(), g.ConnectionID)
		if err != nil && model.KindOf(err) != model.NotFound {
			return nil, err
		}
		p.Link = l.Name
	}
	return p, nil
}

// open opens the editor of a station.
func (v *visit) open(p *methodPage, part, key string) error {
	make, ok := methodParts[part]
	if !ok {
		return model.Errorf(model.NotFound, "a method has no part %q", part)
	}
	p.Edit, p.Key, p.Part = part, key, make(p.Path, key)
	if g, ok := p.Part.(*integrationPart); ok {
		links, err := v.linkOptions()
		if err != nil {
			return err
		}
		g.links = links
	}
	return nil
}

func (v *visit) methodPage() error {
	p, err := v.methodHere(v.query("path"), v.query("verb"))
	if err != nil {
		return err
	}
	if p.Method == nil || v.query("edit") == "simple" {
		return v.simpleMethod(p)
	}
	if part := v.query("edit"); part != "" && p.Build {
		if err := v.open(p, part, v.query("key")); err != nil {
			return err
		}
		p.Part.show(&p.API.Definition, p.Method)
	}
	return v.showMethod(200, p)
}

func (v *visit) showMethod(status int, p *methodPage) error {
	if serve.IsPart(v.r) {
		return v.renderAs(status, pipeline(p))
	}
	return v.renderAs(status, pipelineView(v.below(p.API.API, p.Verb+" "+p.Path, "routes"), p))
}

// saveMethodPart sets what one station has.
func (v *visit) saveMethodPart() error {
	path, verb := v.value("path"), v.value("verb")
	revision, _ := strconv.ParseInt(v.value("revision"), 10, 64)
	p := &methodPage{Path: path, Verb: verb}
	if err := v.open(p, v.path("part"), v.value("of")); err != nil {
		return err
	}
	p.Part.read(v)
	again := func(status int, found problems) error {
		now, err := v.methodHere(path, verb)
		if err != nil {
			return err
		}
		if now.Method == nil {
			return model.Errorf(model.NotFound, "there is no method %s %s", verb, path)
		}
		now.Edit, now.Key, now.Part, now.Problems = p.Edit, p.Key, p.Part, found
		if f, ok := p.Part.(interface{ options(*model.Definition) }); ok {
			f.options(&now.API.Definition)
		}
		return v.showMethod(status, now)
	}
	if v.more() {
		return again(200, nil)
	}
	var found problems
	a, err := v.Plane.UpdateDefinition(v.ctx(), v.actor(), v.path("api"), revision, func(d *model.Definition) error {
		was := d.Method(path, verb)
		if was == nil {
			return model.Errorf(model.NotFound, "there is no method %s %s", verb, path)
		}
		m := *was
		if found = p.Part.apply(d, &m); len(found) > 0 {
			return found.err()
		}
		return d.SetMethod(path, verb, m)
	})
	switch {
	case err == nil:
		p.API = a
		return v.done("Saved. It is served once it is deployed.", p.at("", "")+"#"+p.Edit)
	case invalid(err):
		return again(serve.Status(err), found.with("", err))
	}
	return err
}

// removable are the parts of which a method has several.
var removable = map[string]string{"answer": "integration response", "response": "method response"}

// removedPart is a method without one of its responses.
func removedPart(m model.Method, part, key string) (model.Method, error) {
	switch part {
	case "answer":
		if m.Integration != nil {
			if _, ok := m.Integration.Responses[key]; ok {
				g := *m.Integration
				g.Responses = maps.Clone(g.Responses)
				delete(g.Responses, key)
				m.Integration = &g
				return m, nil
			}
		}
	case "response":
		if _, ok := m.Responses[key]; ok {
			m.Responses = maps.Clone(m.Responses)
			delete(m.Responses, key)
			return m, nil
		}
	}
	return m, model.Errorf(model.NotFound, "the method has no such response")
}

func (v *visit) confirmRemovePart() error {
	p, err := v.methodHere(v.query("path"), v.query("verb"))
	if err != nil {
		return err
	}
	part, key := v.path("part"), v.query("key")
	if p.Method == nil {
		return model.Errorf(model.NotFound, "there is no method %s %s", p.Verb, p.Path)
	}
	if _, err := removedPart(*p.Method, part, key); err != nil {
		return err
	}
	p.Edit, p.Key = part, key
	return v.render(removeResponseView(v.below(p.API.API, "Remove the "+removable[part]+" "+key, "routes"), p))
}

func (v *visit) removePart() error {
	path, verb, part, key := v.value("path"), v.value("verb"), v.path("part"), v.value("key")
	_, err := v.Plane.UpdateDefinition(v.ctx(), v.actor(), v.path("api"), 0, func(d *model.Definition) error {
		m := d.Method(path, verb)
		if m == nil {
			return model.Errorf(model.NotFound, "there is no method %s %s", verb, path)
		}
		left, err := removedPart(*m, part, key)
		if err != nil {
			return err
		}
		return d.SetMethod(path, verb, left)
	})
	return v.outcome(err, "The "+removable[part]+" is removed. Stages answer with it until you deploy.", methodURL(v.path("api"), path, verb)+"#"+part)
}

// methodTrial is a method as it is tried without a deployment.
type methodTrial struct {
	Verb, Query, Body, Stage string
	Vars                     []ui.KeyValue
	Headers, Variables       []ui.RowValues
	Problems                 problems
	Answer                   *model.TrialAnswer
	Cut                      bool
}

var (
	headerRows   = []ui.Column{{Name: "name", Label: "Header"}, {Name: "value", Label: "Value"}}
	variableRows = []ui.Column{{Name: "name", Label: "Variable"}, {Name: "value", Label: "Value"}}
)

// newTrial has a field for each variable of the path.
func newTrial(p *methodPage) methodTrial {
	t := methodTrial{Verb: p.Verb}
	if t.Verb == "ANY" {
		t.Verb = "GET"
	}
	segs, _ := model.Segments(p.Path)
	for _, s := range segs {
		if s.Variable {
			t.Vars = append(t.Vars, ui.KeyValue{Key: s.Name(), Value: "1"})
		}
	}
	if len(p.API.Stages) > 0 {
		t.Stage = p.API.Stages[0].Name
	}
	return t
}

// target is the path as a client would send it.
func (t *methodTrial) target(path string) string {
	segs, _ := model.Segments(path)
	var b strings.Builder
	i := 0
	for _, s := range segs {
		if !s.Variable {
			b.WriteString("/" + s.Text)
			continue
		}
		value := url.PathEscape(t.Vars[i].Value)
		if strings.HasSuffix(strings.TrimSuffix(s.Text, "}"), "+") {
			value = strings.ReplaceAll(value, "%2F", "/")
		}
		b.WriteString("/" + s.Prefix + value + s.Suffix)
		i++
	}
	if b.Len() == 0 {
		b.WriteByte('/')
	}
	if q := strings.TrimPrefix(t.Query, "?"); q != "" {
		b.WriteString("?" + q)
	}
	return b.String()
}

// Limits of what a method is tried with.
const (
	maxTrialTarget = 10_240
	trialTime      = 40 * time.Second
)

// tryMethod tries the method as it is now, deployed or not.
func (v *visit) tryMethod() error {
	p, err := v.methodHere(v.value("path"), v.value("verb"))
	if err != nil {
		return err
	}
	if p.Method == nil {
		return model.Errorf(model.NotFound, "there is no method %s %s", p.Verb, p.Path)
	}
	t := &p.Trial
	t.Query, t.Body, t.Stage = v.value("query"), v.text("body"), v.value("stage")
	if p.Verb == "ANY" {
		t.Verb = v.value("as")
	}
	for i := range t.Vars {
		t.Vars[i].Value = v.value("var-" + t.Vars[i].Key)
	}
	t.Headers, t.Variables = v.rows("header", headerRows), v.rows("variable", variableRows)
	status := 200
	if !v.more() {
		if err := v.tried(p); err != nil {
			return err
		}
		if len(t.Problems) > 0 {
			status = 422
		}
	}
	if serve.IsPart(v.r) {
		return v.renderAs(status, trialAnswer(t))
	}
	return v.showMethod(status, p)
}

// readHeaders reads rows of headers to call with.
func readHeaders(p *problems, rows []ui.RowValues) http.Header {
	out := http.Header{}
	for i := range rows {
		r := &rows[i]
		if !headerName.MatchString(r.Cells[0]) || strings.ContainsAny(r.Cells[1], "\r\n") {
			r.Error = "A header's name has no blanks"
			p.say("header", "%s: %s", orName(r.Cells[0], "A header"), r.Error)
			continue
		}
		name := textproto.CanonicalMIMEHeaderKey(r.Cells[0])
		out[name] = append(out[name], r.Cells[1])
	}
	return out
}

func (v *visit) tried(p *methodPage) error {
	t := &p.Trial
	call := model.TrialCall{ID: model.NewRequestID(), AccountID: v.actor().AccountID, APIID: p.API.ID, Definition: &p.API.Definition, Path: p.Path, Verb: t.Verb, Target: t.target(p.Path), Body: []byte(t.Body), Variables: map[string]string{}}
	if v.Try == nil {
		t.Problems.say("", "No gateway runs beside this console; use the command line")
	}
	if !slices.Contains(model.Verbs, t.Verb) || t.Verb == "ANY" {
		t.Problems.say("as", "%q is not a method to call with", t.Verb)
	}
	if len(call.Target) > maxTrialTarget || strings.ContainsAny(call.Target, " \r\n\t#") {
		t.Problems.say("query", "A query has no blanks, and with the path at most %d bytes", maxTrialTarget)
	}
	call.Headers = readHeaders(&t.Problems, t.Headers)
	if t.Stage != "" {
		s, err := v.Plane.Stage(v.ctx(), v.actor(), p.API.ID, t.Stage)
		if err != nil {
			return err
		}
		maps.Copy(call.Variables, s.Settings.Variables)
	}
	for _, r := range t.Variables {
		call.Variables[r.Cells[0]] = r.Cells[1]
	}
	if len(t.Problems) > 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(v.ctx(), trialTime)
	defer cancel()
	a, err := v.Try(ctx, call)
	if err != nil {
		if !invalid(err) && model.KindOf(err) != model.Unavailable {
			return err
		}
		t.Problems.say("", "%s", sentence(model.MessageOf(err)))
		return nil
	}
	if t.Cut = len(a.Body) > maxAnswerShown; t.Cut {
		a.Body = a.Body[:maxAnswerShown]
	}
	t.Answer = &a
	return nil
}

// headerLines are an answer's headers, one a line.
func headerLines(h map[string][]string) string {
	var out []string
	for _, name := range sortedKeys(h) {
		for _, val := range h[name] {
			out = append(out, name+": "+strings.ToValidUTF8(val, "�"))
		}
	}
	return strings.Join(out, "\n")
}
