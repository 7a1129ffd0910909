package web

import (
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"

	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/serve"
)

func (s *Server) methodRoutes() []route {
	return []route{
		{method: "GET", pattern: "/apis/{api}/routes", who: mayRead, handle: (*visit).apiRoutes},
		{method: "POST", pattern: "/apis/{api}/routes", who: mayBuild, handle: (*visit).addRoute},
		{method: "GET", pattern: "/apis/{api}/method", who: mayRead, handle: (*visit).methodPage},
		{method: "POST", pattern: "/apis/{api}/method", who: mayBuild, handle: (*visit).saveMethod, form: model.MaxMockBytes + 1<<20},
		{method: "POST", pattern: "/apis/{api}/method/{part}", who: mayBuild, handle: (*visit).saveMethodPart, form: model.MaxMockBytes + 4<<20},
		{method: "GET", pattern: "/apis/{api}/method/{part}/remove", who: mayBuild, handle: (*visit).confirmRemovePart},
		{method: "POST", pattern: "/apis/{api}/method/{part}/remove", who: mayBuild, handle: (*visit).removePart},
		{method: "POST", pattern: "/apis/{api}/method/test", who: mayBuild, handle: (*visit).tryMethod, form: 8 << 20},
		{method: "GET", pattern: "/apis/{api}/method/delete", who: mayBuild, handle: (*visit).confirmDeleteMethod},
		{method: "POST", pattern: "/apis/{api}/method/delete", who: mayBuild, handle: (*visit).deleteMethod},
		{method: "GET", pattern: "/apis/{api}/resource/delete", who: mayBuild, handle: (*visit).confirmDeleteResource},
		{method: "POST", pattern: "/apis/{api}/resource/delete", who: mayBuild, handle: (*visit).deleteResource},
	}
}

// flatRoute is a method of a definition in a list.
type flatRoute struct {
	verb, path string
	m          model.Method
}

// flat lists the methods of a definition by path and verb.
func flat(d *model.Definition) []flatRoute {
	var out []flatRoute
	for i := range d.Resources {
		for verb, m := range d.Resources[i].Methods {
			out = append(out, flatRoute{verb, d.Resources[i].Path, m})
		}
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].path != out[j].path {
			return out[i].path < out[j].path
		}
		return out[i].verb < out[j].verb
	})
	return out
}

// branch is a resource in the tree of paths.
type branch struct {
	path, part string
	methods    []flatRoute
	below      []*branch
}

// tree is the definition's paths, each below the one it continues.
func tree(d *model.Definition) *branch {
	root := &branch{path: "/", part: "/"}
	at := map[string]*branch{"/": root}
	paths := make([]string, 0, len(d.Resources))
	for i := range d.Resources {
		paths = append(paths, d.Resources[i].Path)
	}
	slices.Sort(paths)
	for _, p := range paths {
		if at[p] != nil {
			continue
		}
		parent := root
		for i := 1; i < len(p); i++ {
			if p[i] == '/' && at[p[:i]] != nil {
				parent = at[p[:i]]
			}
		}
		b := &branch{path: p, part: strings.TrimPrefix(p, strings.TrimSuffix(parent.path, "/"))}
		at[p] = b
		parent.below = append(parent.below, b)
	}
	for _, r := range flat(d) {
		b := at[r.path]
		b.methods = append(b.methods, r)
	}
	return root
}

func methodURL(id, path, verb string) string {
	return apiURL(id, "method") + "?path=" + url.QueryEscape(path) + "&verb=" + url.QueryEscape(verb)
}

// routeForm is a route to be added.
type routeForm struct {
	Path, Verb string
	Problems   []ui.Problem
}

func (v *visit) apiRoutes() error { return v.apiRoutesWith(200, routeForm{Verb: "GET"}) }

func (v *visit) apiRoutesWith(status int, f routeForm) error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	return v.renderAs(status, routesView(v.apiPage(a.API), a, tree(&a.Definition), f, v.may(control.ToBuild)))
}

// addRoute adds a path, and goes on to the method on it.
func (v *visit) addRoute() error {
	f := routeForm{Path: v.value("path"), Verb: v.value("verb")}
	p := f.Path
	if p != "/" {
		p = strings.TrimSuffix(p, "/")
	}
	_, err := v.Plane.UpdateDefinition(v.ctx(), v.actor(), v.path("api"), 0, func(d *model.Definition) error {
		if !slices.Contains(model.Verbs, f.Verb) {
			return model.Errorf(model.Invalid, "%q is not one of %s", f.Verb, strings.Join(model.Verbs, ", "))
		}
		if d.Method(p, f.Verb) != nil {
			return model.Errorf(model.Conflict, "there is a method %s %s already", f.Verb, p)
		}
		if _, methods := d.Below(p); methods > 0 || slices.ContainsFunc(d.Resources, func(r model.Resource) bool { return r.Path == p }) {
			return nil // the path is there: only its method is missing
		}
		return d.AddResource(p)
	})
	if invalid(err) {
		f.Problems = []ui.Problem{{Name: "path", Text: sentence(model.MessageOf(err))}}
		return v.apiRoutesWith(serve.Status(err), f)
	}
	if err != nil {
		return err
	}
	return v.redirect(methodURL(v.path("api"), p, f.Verb))
}

// methodForm is a method as it is edited.
type methodForm struct {
	Path, Verb                     string
	Revision                       int64
	New                            bool
	Key                            bool
	Kind                           string // HTTP_PROXY or MOCK; another: kept as it is
	URI, UpstreamVerb, Timeout     string
	MockStatus, MockType, MockBody string
	Problems                       []ui.Problem
	Resource                       string             // id
	Unanswered                     bool               // the method does not declare the fixed answer's status
	Other                          *model.Integration // of a kind that is not edited here
}

func (f *methodForm) of(field string) string {
	for _, p := range f.Problems {
		if p.Name == field {
			return p.Text
		}
	}
	return ""
}

// simpleMethod is the form of a method in a few fields: of a new one, or of one that
// sends calls on, or answers them, always alike.
func (v *visit) simpleMethod(p *methodPage) error {
	f := methodForm{Path: p.Path, Verb: p.Verb, Revision: p.Revision}
	f.read(p.Method)
	f.declared(&p.API.Definition)
	if f.Other != nil {
		return v.showMethod(200, p)
	}
	return v.render(methodView(v.below(p.API.API, f.Verb+" "+f.Path, "routes"), p.API.API, f, p.Build))
}

// resourceID is the id of the resource at a path; empty: there is none.
func resourceID(d *model.Definition, path string) string {
	if r := d.ByPath(path); r != nil {
		return r.ID
	}
	return ""
}

// declared says what the commands need to know of the method as it is.
func (f *methodForm) declared(d *model.Definition) {
	f.Resource = resourceID(d, f.Path)
	m := d.Method(f.Path, f.Verb)
	if f.New = m == nil; f.New {
		return
	}
	_, declared := m.Responses[f.MockStatus]
	f.Unanswered = !declared
}

func (f *methodForm) read(m *model.Method) {
	f.Kind, f.UpstreamVerb, f.MockStatus, f.MockType = model.IntegrationHTTPProxy, f.Verb, "200", "application/json"
	if m == nil {
		f.New, f.Key = true, true
		return
	}
	f.Key = m.APIKeyRequired
	g := m.Integration
	if g == nil {
		return
	}
	f.Kind = g.Type
	switch g.Type {
	case model.IntegrationHTTPProxy:
		if g.ConnectionType == model.ConnectionVPCLink || g.Upstream != nil { // which the form has no fields for
			f.Other = g
			return
		}
		f.URI, f.UpstreamVerb, f.Timeout = g.URI, g.HTTPMethod, strconv.Itoa(g.Timeout())
	case model.IntegrationMock:
		k, err := model.ParseMock(g)
		if err != nil {
			f.Other = g
			return
		}
		f.MockStatus, f.MockBody = strconv.Itoa(k.Status), k.Body
		for _, h := range k.Headers {
			if strings.EqualFold(h[0], "Content-Type") {
				f.MockType = h[1]
			}
		}
	default:
		f.Other = g
	}
}

// integration is what the form asks for, on top of what was there.
func (f *methodForm) integration(was *model.Integration) (*model.Integration, error) {
	switch f.Kind {
	case model.IntegrationHTTPProxy:
		g := &model.Integration{}
		if was != nil && was.Type == model.IntegrationHTTPProxy {
			*g = *was
		}
		g.Type, g.URI, g.HTTPMethod = model.IntegrationHTTPProxy, f.URI, f.UpstreamVerb
		if f.Timeout != "" {
			ms, err := strconv.Atoi(f.Timeout)
			if err != nil {
				return nil, model.Errorf(model.Invalid, "the timeout %q is not a number of milliseconds", f.Timeout)
			}
			g.TimeoutMillis = ms
		}
		mapVariables(g, f.Path)
		err := model.CheckUpstream(g, f.Path)
		return g, err
	case model.IntegrationMock:
		status, err := strconv.Atoi(f.MockStatus)
		if err != nil {
			return nil, model.Errorf(model.Invalid, "the status %q is not a number between 200 and 599", f.MockStatus)
		}
		g := model.FixedMock(status, f.MockType, f.MockBody)
		_, err = model.ParseMock(g)
		return g, err
	}
	if was != nil && was.Type == f.Kind {
		return was, nil
	}
	return nil, model.Errorf(model.Invalid, "%q is not an integration that can be chosen here", f.Kind)
}

// mapVariables says for every variable of the path that the upstream's URI uses
// where its value comes from.
func mapVariables(g *model.Integration, path string) {
	segs, err := model.Segments(path)
	if err != nil {
		return
	}
	params := map[string]string{}
	for k, val := range g.RequestParameters {
		if !strings.HasPrefix(k, "integration.request.path.") {
			params[k] = val
		}
	}
	for _, s := range segs {
		if s.Variable && strings.Contains(g.URI, "{"+s.Name()+"}") {
			params["integration.request.path."+s.Name()] = "method.request.path." + s.Name()
		}
	}
	g.RequestParameters = params
}

func (v *visit) saveMethod() error {
	f := methodForm{Path: v.value("path"), Verb: v.value("verb"), Key: v.checked("key"), Kind: v.value("kind"), URI: v.value("uri"), UpstreamVerb: v.value("upstream-verb"),
		Timeout: v.value("timeout"), MockStatus: v.value("mock-status"), MockType: v.value("mock-type"), MockBody: v.raw("mock-body")}
	f.Revision, _ = strconv.ParseInt(v.value("revision"), 10, 64)
	a, err := v.Plane.UpdateDefinition(v.ctx(), v.actor(), v.path("api"), f.Revision, func(d *model.Definition) error {
		m := model.Method{AuthorizationType: model.AuthNone}
		if was := d.Method(f.Path, f.Verb); was != nil {
			m = *was
		}
		g, err := f.integration(m.Integration)
		if err != nil {
			return err
		}
		m.APIKeyRequired, m.Integration = f.Key, g
		return d.SetMethod(f.Path, f.Verb, m)
	})
	if err == nil {
		return v.done("Saved "+f.Verb+" "+f.Path+". It is served once it is deployed.", methodURL(a.ID, f.Path, f.Verb))
	}
	if !invalid(err) {
		return err
	}
	field := map[string]string{model.IntegrationHTTPProxy: "uri", model.IntegrationMock: "mock-status"}[f.Kind]
	if model.KindOf(err) == model.Conflict {
		field = ""
	}
	f.Problems = []ui.Problem{{Name: field, Text: sentence(model.MessageOf(err))}}
	now, e := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if e != nil {
		return e
	}
	f.Revision = now.Revision
	f.declared(&now.Definition)
	return v.renderAs(serve.Status(err), methodView(v.below(now.API, f.Verb+" "+f.Path, "routes"), now.API, f, true))
}

func (v *visit) confirmDeleteMethod() error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	path, verb := v.query("path"), v.query("verb")
	if a.Definition.Method(path, verb) == nil {
		return model.Errorf(model.NotFound, "there is no method %s %s", verb, path)
	}
	return v.render(deleteMethodView(v.below(a.API, "Remove "+verb+" "+path, "routes"), a.API, a.Definition.ByPath(path).ID, path, verb))
}

func (v *visit) deleteMethod() error {
	path, verb := v.value("path"), v.value("verb")
	_, err := v.Plane.UpdateDefinition(v.ctx(), v.actor(), v.path("api"), 0, func(d *model.Definition) error { return d.RemoveMethod(path, verb) })
	return v.outcome(err, verb+" "+path+" is removed. Stages answer it until you deploy.", apiURL(v.path("api"), "routes"))
}

func (v *visit) confirmDeleteResource() error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	path := v.query("path")
	resources, methods := a.Definition.Below(path)
	if resources == 0 || path == "/" {
		return model.Errorf(model.NotFound, "there is no resource %s to remove", path)
	}
	return v.render(deleteResourceView(v.below(a.API, "Remove "+path, "routes"), a.API, resourceID(&a.Definition, path), path, resources, methods))
}

func (v *visit) deleteResource() error {
	path := v.value("path")
	_, err := v.Plane.UpdateDefinition(v.ctx(), v.actor(), v.path("api"), 0, func(d *model.Definition) error { return d.RemoveResource(path) })
	return v.outcome(err, path+" is removed. Stages answer it until you deploy.", apiURL(v.path("api"), "routes"))
}
