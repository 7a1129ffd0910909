package web

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/serve"
)

func (s *Server) corsRoutes() []route {
	return []route{
		{method: "GET", pattern: "/apis/{api}/cors", who: mayBuild, handle: (*visit).corsPage},
		{method: "POST", pattern: "/apis/{api}/cors", who: mayBuild, handle: (*visit).cors},
	}
}

// corsForm says which pages of other sites may call a resource.
type corsForm struct {
	Path                            string
	Origin, Headers, Expose, MaxAge string
	Methods                         []string
	Credentials                     bool
	Failures                        []string // DEFAULT_4XX and DEFAULT_5XX
	Revision                        int64
	Preflight                       map[string]string // headers of the OPTIONS method that is made; nil: not asked yet
	Answers                         map[string]string // headers that answers get
	Given                           []string          // methods whose answers get them
	Proxies                         []string          // methods whose upstream has to send the header itself
	Options                         bool              // there is an OPTIONS method, which is replaced
	problems
}

// corsHeaders are those that AWS's console allows at first.
const corsHeaders = "Content-Type,X-Amz-Date,Authorization,X-Api-Key,X-Amz-Security-Token"

// corsVerbs are the resource's methods that pages may call.
func corsVerbs(r *model.Resource) []ui.Option {
	var out []ui.Option
	for _, verb := range sortedKeys(r.Methods) {
		if verb != "OPTIONS" {
			out = append(out, ui.Option{Value: verb, Label: verb})
		}
	}
	return out
}

// quotedText is a text as a mapping takes it as it is.
func quotedText(s string) string { return "'" + s + "'" }

// check says what the form must not be.
func (f *corsForm) check(r *model.Resource) problems {
	p := &f.problems
	for name, value := range map[string]string{"origin": f.Origin, "headers": f.Headers, "expose": f.Expose} {
		if strings.ContainsAny(value, "'\r\n") || len(value) > 2000 {
			p.say(name, "A header has no quotes and no line ends, and at most 2,000 characters")
		}
	}
	if u, err := url.Parse(f.Origin); f.Origin != "*" && (err != nil || u.Host == "" || u.Path != "" || strings.ContainsAny(f.Origin, " ,")) {
		p.say("origin", "%q is neither * nor one origin such as https://www.example.com", f.Origin)
	}
	if f.Credentials && f.Origin == "*" {
		p.say("origin", "Browsers send no credentials to an API that lets every origin in: name one")
	}
	if n, err := strconv.Atoi(f.MaxAge); f.MaxAge != "" && (err != nil || n < 0 || n > 86400) {
		p.say("max-age", "%q is not a number of seconds between 0 and 86,400", f.MaxAge)
	}
	for _, m := range f.Methods {
		if _, ok := r.Methods[m]; !ok || m == "OPTIONS" {
			p.say("methods", "%s has no method %s", f.Path, m)
		}
	}
	if len(f.Methods) == 0 {
		p.say("methods", "Choose at least one method")
	}
	return f.problems
}

// apply makes the preflight that AWS makes, and adds the headers to what else answers.
func (f *corsForm) apply(d *model.Definition) error {
	r := d.ByPath(f.Path)
	if r == nil {
		return model.Errorf(model.NotFound, "the API has no resource %s", f.Path)
	}
	if err := f.check(r).err(); err != nil {
		return err
	}
	origin := map[string]string{"Access-Control-Allow-Origin": f.Origin}
	if f.Credentials {
		origin["Access-Control-Allow-Credentials"] = "true"
	}
	preflight := maps.Clone(origin)
	verbs := append(slices.Clone(f.Methods), "OPTIONS")
	if slices.Contains(f.Methods, "ANY") {
		verbs = []string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}
	}
	slices.Sort(verbs)
	preflight["Access-Control-Allow-Methods"] = strings.Join(verbs, ",")
	if f.Headers != "" {
		preflight["Access-Control-Allow-Headers"] = f.Headers
	}
	if f.MaxAge != "" {
		preflight["Access-Control-Max-Age"] = f.MaxAge
	}
	if f.Expose != "" {
		origin["Access-Control-Expose-Headers"] = f.Expose
	}
	r.Methods = maps.Clone(r.Methods)
	r.Methods["OPTIONS"] = preflightMethod(d, preflight)
	f.Preflight, f.Answers, f.Given, f.Proxies = preflight, origin, nil, nil
	for _, verb := range f.Methods {
		m := r.Methods[verb]
		if m.Integration == nil || proxied(m.Integration) {
			f.Proxies = append(f.Proxies, verb)
			continue
		}
		r.Methods[verb] = withHeaders(m, origin)
		f.Given = append(f.Given, verb)
	}
	for _, kind := range f.Failures {
		x := d.GatewayResponses[kind]
		x.Parameters = maps.Clone(x.Parameters)
		for name, value := range origin {
			if x.Parameters == nil {
				x.Parameters = map[string]string{}
			}
			x.Parameters["gatewayresponse.header."+name] = quotedText(value)
		}
		if d.GatewayResponses == nil {
			d.GatewayResponses = map[string]model.GatewayResponse{}
		}
		d.GatewayResponses[kind] = x
	}
	return nil
}

// preflightMethod answers a browser that asks whether it may call.
func preflightMethod(d *model.Definition, headers map[string]string) model.Method {
	answer := model.MethodResponse{Parameters: map[string]bool{}}
	if d.Model("Empty") != nil {
		answer.Models = map[string]string{"application/json": "Empty"}
	}
	filled := map[string]string{}
	for name, value := range headers {
		answer.Parameters["method.response.header."+name] = false
		filled["method.response.header."+name] = quotedText(value)
	}
	return model.Method{AuthorizationType: model.AuthNone, Responses: map[string]model.MethodResponse{"200": answer},
		Integration: &model.Integration{Type: model.IntegrationMock, PassthroughBehavior: "WHEN_NO_MATCH", RequestTemplates: map[string]string{"application/json": `{"statusCode": 200}`},
			Responses: map[string]model.IntegrationResponse{"200": {StatusCode: "200", ResponseParameters: filled}}}}
}

// withHeaders is a method each of whose answers has the headers.
func withHeaders(m model.Method, headers map[string]string) model.Method {
	g := *m.Integration
	g.Responses = maps.Clone(g.Responses)
	for key, x := range g.Responses {
		x.ResponseParameters = maps.Clone(x.ResponseParameters)
		if x.ResponseParameters == nil {
			x.ResponseParameters = map[string]string{}
		}
		for name, value := range headers {
			x.ResponseParameters["method.response.header."+name] = quotedText(value)
		}
		g.Responses[key] = x
		declare(&m, orName(x.StatusCode, key), x.ResponseParameters)
	}
	m.Integration = &g
	return m
}

func (v *visit) corsPage() error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	r := a.Definition.ByPath(v.query("path"))
	if r == nil {
		return model.Errorf(model.NotFound, "the API has no resource %s", v.query("path"))
	}
	f := corsForm{Path: r.Path, Origin: "*", Headers: corsHeaders, Failures: []string{model.Default4XX, model.Default5XX}, Revision: a.Revision}
	for _, o := range corsVerbs(r) {
		f.Methods = append(f.Methods, o.Value)
	}
	return v.corsWith(200, a, f)
}

func (v *visit) corsWith(status int, a control.APIDetail, f corsForm) error {
	r := a.Definition.ByPath(f.Path)
	if r == nil {
		return model.Errorf(model.NotFound, "the API has no resource %s", f.Path)
	}
	_, f.Options = r.Methods["OPTIONS"]
	f.Revision = a.Revision
	return v.renderAs(status, corsView(v.below(a.API, "CORS of "+f.Path, "routes"), a.API, r, f))
}

// cors shows what enabling it comes to, and enables it.
func (v *visit) cors() error {
	f := corsForm{Path: v.value("path"), Origin: v.value("origin"), Headers: strings.ReplaceAll(v.value("headers"), " ", ""), Expose: v.value("expose"), MaxAge: v.value("max-age"),
		Methods: v.r.PostForm["methods"], Credentials: v.checked("credentials")}
	for _, kind := range v.r.PostForm["failures"] {
		if kind == model.Default4XX || kind == model.Default5XX {
			f.Failures = append(f.Failures, kind)
		}
	}
	f.Revision, _ = strconv.ParseInt(v.value("revision"), 10, 64)
	if !v.checked("apply") {
		return v.corsPreview(f)
	}
	_, err := v.Plane.UpdateDefinition(v.ctx(), v.actor(), v.path("api"), f.Revision, f.apply)
	if invalid(err) {
		f.problems = f.with("origin", err)
		a, e := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
		if e != nil {
			return e
		}
		return v.corsWith(serve.Status(err), a, f)
	}
	if err != nil {
		return err
	}
	return v.done("CORS is enabled on "+f.Path+". It is served once it is deployed.", methodURL(v.path("api"), f.Path, "OPTIONS"))
}

func (v *visit) corsPreview(f corsForm) error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	next, err := copyOf(&a.Definition)
	if err != nil {
		return err
	}
	if err := f.apply(next); err != nil {
		if !invalid(err) {
			return err
		}
		return v.corsWith(422, a, f)
	}
	return v.corsWith(200, a, f)
}

// copyOf is a definition of its own.
func copyOf(d *model.Definition) (*model.Definition, error) {
	b, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	out := &model.Definition{}
	return out, json.Unmarshal(b, out)
}

// corsActs make the preflight, as the commands that do it.
func corsActs(a control.API, r *model.Resource, f *corsForm) []act {
	d := &model.Definition{Resources: []model.Resource{{ID: r.ID, Path: r.Path, Methods: r.Methods}}}
	kept := *f
	kept.Failures = nil
	if kept.apply(d) != nil {
		return nil
	}
	m := d.Resources[0].Methods["OPTIONS"]
	p := &methodPage{API: control.APIDetail{API: a}, Path: r.Path, Verb: "OPTIONS", Resource: r.ID, Method: &m}
	method := methodAct(p, "put-method", "PUT", "", map[string]any{"authorizationType": "NONE"})
	method.terraform = block("aws_api_gateway_method", "method", about(p, map[string]any{"authorization": "NONE"}))
	answer := answerPart{Key: "200"}
	out := append([]act{method, putResponse(p, "200", m.Responses["200"])}, putIntegration(p, m.Integration)...)
	return append(out, answer.acts(p, d)...)
}
