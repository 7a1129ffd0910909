package cfn

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"tollgate/control/openapi"
	"tollgate/model"
)

// Plan is what a template asks for, as far as it can be had.
type Plan struct {
	Stack    string          `json:"stack"`
	APIs     []API           `json:"apis"`
	Keys     []Key           `json:"keys"`
	Plans    []UsagePlan     `json:"plans"`
	Problems []model.Problem `json:"problems"` // what could not be taken (errors), and what is worth knowing
}

// API is a definition with its stages.
type API struct {
	Logical    string            `json:"logicalId"`
	Definition model.Definition  `json:"definition"`
	Tags       map[string]string `json:"tags,omitempty"`
	Stages     []Stage           `json:"stages"`
}

// Stage is to be deployed.
type Stage struct {
	Name     string              `json:"name"`
	Settings model.StageSettings `json:"settings"`
	Tags     map[string]string   `json:"tags,omitempty"`
}

// Key is an API key.
type Key struct {
	Logical     string            `json:"logicalId"`
	Name        string            `json:"name"`
	Value       string            `json:"-"`
	Description string            `json:"description,omitempty"`
	CustomerID  string            `json:"customerId,omitempty"`
	Enabled     bool              `json:"enabled"`
	Tags        map[string]string `json:"tags,omitempty"`
}

// UsagePlan is a plan with the keys that join it. Its stages name APIs by their
// logical ids.
type UsagePlan struct {
	Logical     string            `json:"logicalId"`
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Throttle    *model.Throttle   `json:"throttle,omitempty"`
	Quota       *model.Quota      `json:"quota,omitempty"`
	Stages      []model.PlanStage `json:"stages"`
	Keys        []string          `json:"keys"` // logical ids
	Tags        map[string]string `json:"tags,omitempty"`
}

// Read works a template out.
func Read(src []byte, o Options) (*Plan, error) {
	root, err := read(src)
	if err != nil {
		return nil, err
	}
	t := &template{o: o, root: root, parameters: map[string]*value{}, conditions: map[string]*bool{}, resources: map[string]*value{}, budget: maxEvaluated, told: map[string]bool{}}
	if err := t.prepare(); err != nil {
		return nil, err
	}
	p := &planner{template: t, plan: &Plan{Stack: o.Stack, APIs: []API{}, Keys: []Key{}, Plans: []UsagePlan{}}, apis: map[string]*api{}, byKind: map[string][]*resource{}, all: map[string]*resource{}}
	p.resourcesByKind()
	for _, step := range []func(){p.restAPIs, p.serverless, p.parts, p.tree, p.methods, p.functions, p.stages, p.keys, p.usagePlans, p.others} {
		step()
	}
	for _, a := range p.order {
		p.finish(a)
	}
	sortProblems(t.problems)
	p.plan.Problems = t.problems
	if p.plan.Problems == nil {
		p.plan.Problems = []model.Problem{}
	}
	return p.plan, nil
}

// resource is one of the template whose condition holds, with its properties worked out.
type resource struct {
	logical, kind string
	props         *value
	at            place
	read          map[string]bool // properties that were looked at
	p             *planner
	failed        bool // it could not be taken
}

type api struct {
	*resource
	out   API
	paths map[string]string // of resources, by logical id
}

type planner struct {
	*template
	plan   *Plan
	apis   map[string]*api
	order  []*api
	byKind map[string][]*resource
	all    map[string]*resource
}

func (p *planner) resourcesByKind() {
	for _, f := range p.root.get("Resources").fields {
		kind := f.value.get("Type")
		if kind == nil {
			p.report(model.SeverityError, f.at, "Resources."+f.name, "the resource has no Type")
			continue
		}
		if c := f.value.get("Condition"); c != nil {
			yes, why := p.condition(c.text, c.at, 0)
			if why != "" {
				p.report(model.SeverityError, c.at, "Resources."+f.name, "not taken: %s", why)
				continue
			}
			if !yes {
				continue
			}
		}
		props := p.eval(f.value.get("Properties"), 0)
		if props == nil {
			props = &value{kind: object, at: f.at}
		}
		r := &resource{logical: f.name, kind: kind.text, props: props, at: f.at, read: map[string]bool{}, p: p}
		p.byKind[r.kind] = append(p.byKind[r.kind], r)
		p.all[f.name] = r
	}
}

// refuse reports that a resource is not taken.
func (r *resource) refuse(at place, property, format string, a ...any) {
	r.failed = true
	pointer := "Resources." + r.logical
	if property != "" {
		pointer += "." + property
	}
	r.p.report(model.SeverityError, at, pointer, "not taken: "+format, a...)
}

// rest reports properties that nobody looked at.
func (r *resource) rest() {
	for _, f := range r.props.fields {
		if !r.read[f.name] {
			r.p.report(model.SeverityWarning, f.at, "Resources."+r.logical+"."+f.name, "this property is not taken")
		}
	}
}

func (r *resource) value(name string) *value {
	r.read[name] = true
	v := r.props.get(name)
	if v != nil && v.kind == null {
		return nil
	}
	return v
}

func (r *resource) skip(names ...string) {
	for _, n := range names {
		r.read[n] = true
	}
}

func (r *resource) text(name string) string { return r.textOf(r.value(name), name) }

func (r *resource) textOf(v *value, name string) string {
	if v == nil {
		return ""
	}
	if v.unknown != "" {
		r.refuse(v.at, name, "%s", v.unknown)
		return ""
	}
	if v.kind != scalar {
		r.refuse(v.at, name, "text was expected")
		return ""
	}
	return v.text
}

func (r *resource) flag(name string, otherwise bool) bool {
	v := r.value(name)
	if v == nil {
		return otherwise
	}
	switch strings.ToLower(r.textOf(v, name)) {
	case "true", "yes", "1":
		return true
	case "false", "no", "0":
		return false
	}
	r.refuse(v.at, name, "true or false was expected")
	return otherwise
}

// into decodes a property as JSON.
func (r *resource) into(name string, out any) bool {
	v := r.value(name)
	if v == nil {
		return false
	}
	return r.valueInto(v, name, out)
}

func (r *resource) valueInto(v *value, name string, out any) bool {
	b, err := v.json()
	if errors.Is(err, errUnknown) {
		r.refuse(v.at, name, "%s", strings.TrimPrefix(err.Error(), "not known: "))
		return false
	}
	if err == nil {
		err = json.Unmarshal(b, out)
	}
	if err != nil {
		r.refuse(v.at, name, "%v", err)
		return false
	}
	return true
}

// texts decodes an object of texts, whose values may be written as numbers or flags.
func (r *resource) texts(name string) map[string]string { return r.textsOf(r.value(name), name) }

func (r *resource) textsOf(v *value, name string) map[string]string {
	if v == nil {
		return nil
	}
	if v.kind != object {
		r.refuse(v.at, name, "an object was expected")
		return nil
	}
	out := map[string]string{}
	for _, f := range v.fields {
		if f.value.kind == object || f.value.kind == list { // a template written as an object
			var x any
			if r.valueInto(f.value, name+"."+f.name, &x) {
				b, _ := json.Marshal(x)
				out[f.name] = string(b)
			}
			continue
		}
		out[f.name] = r.textOf(f.value, name+"."+f.name)
	}
	return out
}

func (r *resource) flagsOf(v *value, name string) map[string]bool {
	out := map[string]bool{}
	for k, s := range r.textsOf(v, name) {
		out[k] = strings.EqualFold(s, "true")
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func (r *resource) list(name string) (out []string) {
	v := r.value(name)
	if v == nil {
		return nil
	}
	if v.kind != list {
		return []string{r.textOf(v, name)}
	}
	for _, x := range v.items {
		out = append(out, r.textOf(x, name))
	}
	return out
}

func (r *resource) number(v *value, name string) int {
	var n int
	if v == nil {
		return 0
	}
	if _, err := fmt.Sscanf(r.textOf(v, name), "%d", &n); err != nil {
		r.refuse(v.at, name, "a whole number was expected")
	}
	return n
}

// tags are a list of Key and Value, or in SAM an object.
func (r *resource) tags() map[string]string {
	v := r.value("Tags")
	if v == nil {
		return nil
	}
	if v.kind == object {
		return r.textsOf(v, "Tags")
	}
	out := map[string]string{}
	for _, x := range v.items {
		out[r.textOf(x.get("Key"), "Tags")] = r.textOf(x.get("Value"), "Tags")
	}
	return out
}

// of is the logical id that a property refers to.
func (r *resource) of(name string) string {
	if v := r.value(name); v != nil {
		return v.ref
	}
	return ""
}

// id is one that stays the same from run to run.
func (p *planner) id(logical string, n int) string {
	sum := sha256.Sum256([]byte(p.o.Stack + "\x00" + logical))
	s := new(big.Int).SetBytes(sum[:]).Text(36)
	return s[:n]
}

// apiOf is the API that a part belongs to.
func (p *planner) apiOf(r *resource) *api {
	a := p.apis[r.of("RestApiId")]
	if a == nil {
		at := r.at
		if v := r.value("RestApiId"); v != nil {
			at = v.at
		}
		r.refuse(at, "RestApiId", "it is no part of an API of this template")
	}
	return a
}

func (p *planner) newAPI(r *resource) *api {
	a := &api{resource: r, paths: map[string]string{}}
	a.out.Logical, a.out.Stages = r.logical, []Stage{}
	d := &a.out.Definition
	d.Resources = []model.Resource{{ID: p.id(r.logical+"/", 10), Path: "/"}}
	p.apis[r.logical] = a
	p.order = append(p.order, a)
	return a
}

// document takes an OpenAPI document for the API, written in place or in a file.
func (p *planner) document(a *api, body *value, file *value) {
	var src []byte
	var at place
	switch {
	case body != nil:
		at = body.at
		var x any
		if !a.valueInto(body, "Body", &x) {
			return
		}
		src, _ = json.Marshal(x)
	case file != nil:
		at = file.at
		name := a.textOf(file, "file")
		if name == "" {
			if !a.failed {
				a.refuse(at, "", "the document is not named by a file")
			}
			return
		}
		if strings.HasPrefix(name, "s3:") || p.o.Open == nil {
			a.refuse(at, "", "the document %.100s is not a file beside the template", name)
			return
		}
		var err error
		if src, err = p.o.Open(name); err != nil {
			a.refuse(at, "", "the document cannot be read: %s", model.MessageOf(err))
			return
		}
	default:
		return
	}
	got, err := openapi.Import(src, openapi.Options{Wire: true})
	if err != nil {
		a.refuse(at, "Body", "%s", model.MessageOf(err))
		return
	}
	for _, x := range got.Problems {
		if x.Severity != model.SeverityInfo {
			p.report(x.Severity, at, "Resources."+a.logical, "its document: %s", x.Message)
		}
	}
	a.out.Definition = got.Definition
	// Parts have ids of their own in every import: they keep theirs from run to run.
	d := &a.out.Definition
	for i := range d.Resources {
		d.Resources[i].ID = p.id(a.logical+d.Resources[i].Path, 10)
	}
	swap := map[string]string{}
	for i := range d.Authorizers {
		swap[d.Authorizers[i].ID] = p.id(a.logical+" authorizer "+d.Authorizers[i].Name, 6)
		d.Authorizers[i].ID = swap[d.Authorizers[i].ID]
	}
	for i := range d.RequestValidators {
		swap[d.RequestValidators[i].ID] = p.id(a.logical+" validator "+d.RequestValidators[i].Name, 6)
		d.RequestValidators[i].ID = swap[d.RequestValidators[i].ID]
	}
	for i := range d.Models {
		d.Models[i].ID = p.id(a.logical+" model "+d.Models[i].Name, 6)
	}
	for i := range d.Documentation {
		d.Documentation[i].ID = p.id(fmt.Sprint(a.logical, " words ", i), 10)
	}
	for i := range d.Resources {
		for verb, m := range d.Resources[i].Methods {
			if id, ok := swap[m.AuthorizerID]; ok {
				m.AuthorizerID = id
			}
			if id, ok := swap[m.RequestValidatorID]; ok {
				m.RequestValidatorID = id
			}
			if m.Integration != nil && m.Integration.CacheNamespace != "" {
				m.Integration.CacheNamespace = d.Resources[i].ID
			}
			d.Resources[i].Methods[verb] = m
		}
	}
}

func (p *planner) restAPIs() {
	for _, r := range p.byKind["AWS::ApiGateway::RestApi"] {
		a := p.newAPI(r)
		file := r.value("BodyS3Location")
		if file != nil {
			file = file.get("Key")
		}
		p.document(a, r.value("Body"), file)
		p.common(a)
		r.skip("FailOnWarnings", "Mode", "Parameters", "CloneFrom")
		if r.props.get("CloneFrom") != nil {
			r.refuse(r.at, "CloneFrom", "APIs of another account are not here to be cloned")
		}
		r.rest()
	}
}

// common are the properties that an API has in both languages.
func (p *planner) common(a *api) {
	r, d := a.resource, &a.out.Definition
	if s := r.text("Name"); s != "" {
		d.Name = s
	}
	if d.Name == "" {
		d.Name = p.o.Stack + "-" + r.logical
	}
	if s := r.text("Description"); s != "" {
		d.Description = s
	}
	if s := r.text("ApiKeySourceType"); s != "" {
		d.APIKeySource = s
	}
	if l := r.list("BinaryMediaTypes"); len(l) > 0 {
		for i := range l {
			l[i] = strings.ReplaceAll(l[i], "~1", "/")
		}
		d.BinaryMediaTypes = l
	}
	if v := r.value("MinimumCompressionSize"); v != nil {
		n := r.number(v, "MinimumCompressionSize")
		d.MinimumCompressionSize = &n
	}
	if v := r.value("Policy"); v != nil {
		var x any
		if r.valueInto(v, "Policy", &x) {
			b, _ := json.Marshal(x)
			d.Policy = string(b)
		}
	}
	if r.flag("DisableExecuteApiEndpoint", false) {
		d.DisableDefaultEndpoint = true
	}
	if v := r.value("EndpointConfiguration"); v != nil {
		e := &model.Endpoint{}
		switch {
		case v.kind == scalar:
			e.Types = []string{r.textOf(v, "EndpointConfiguration")}
		default:
			if t := v.get("Types"); t != nil {
				_ = r.valueInto(t, "EndpointConfiguration.Types", &e.Types)
			}
			if t := v.get("Type"); t != nil {
				e.Types = []string{r.textOf(t, "EndpointConfiguration.Type")}
			}
			if t := v.get("VpcEndpointIds"); t != nil {
				_ = r.valueInto(t, "EndpointConfiguration.VpcEndpointIds", &e.VPCEndpointIDs)
			}
			if t := v.get("IpAddressType"); t != nil {
				e.IPAddressType = r.textOf(t, "EndpointConfiguration.IpAddressType")
			}
		}
		d.Endpoint = e
	}
	a.out.Tags = r.tags()
}

// serverless are AWS::Serverless::Api of SAM.
func (p *planner) serverless() {
	kinds := p.byKind["AWS::Serverless::Api"]
	implicit := false
	for _, f := range p.byKind["AWS::Serverless::Function"] {
		for _, e := range events(f) {
			implicit = implicit || e.props.get("RestApiId") == nil
		}
	}
	if implicit && p.all["ServerlessRestApi"] == nil {
		r := &resource{logical: "ServerlessRestApi", kind: "AWS::Serverless::Api", at: place{1, 1}, read: map[string]bool{}, p: p,
			props: &value{kind: object, fields: []field{{"StageName", text("Prod", place{1, 1}), place{1, 1}}}}}
		kinds = append(kinds, r)
		p.all[r.logical] = r
	}
	globals := p.eval(p.root.get("Globals").get("Api"), 0)
	for _, r := range kinds {
		if globals != nil {
			for _, f := range globals.fields {
				if r.props.get(f.name) == nil {
					r.props.fields = append(r.props.fields, f)
				}
			}
		}
		a := p.newAPI(r)
		p.document(a, r.value("DefinitionBody"), r.value("DefinitionUri"))
		p.common(a)
		stage := Stage{Name: r.text("StageName"), Tags: a.out.Tags}
		stage.Settings.Variables = r.texts("Variables")
		stage.Settings.TracingEnabled = r.flag("TracingEnabled", false)
		p.methodSettings(r, &stage.Settings)
		if stage.Name != "" {
			a.out.Stages = append(a.out.Stages, stage)
		}
		if auth := r.value("Auth"); auth != nil {
			p.auth(a, auth)
		}
		for _, name := range []string{"Cors", "Domain", "GatewayResponses", "Models"} {
			if v := r.value(name); v != nil {
				r.p.report(model.SeverityError, v.at, "Resources."+r.logical+"."+name, "not taken: write it in the document, with the extensions of Amazon API Gateway")
			}
		}
		r.skip("OpenApiVersion", "AlwaysDeploy", "MergeDefinitions")
		r.rest()
	}
}

// auth is what SAM says of who may call. What cannot be taken keeps the API from being
// deployed: nothing is open that its author closed.
func (p *planner) auth(a *api, auth *value) {
	d := &a.out.Definition
	for _, f := range auth.fields {
		if f.name == "ApiKeyRequired" || f.name == "AddDefaultAuthorizerToCorsPreflight" || f.name == "AddApiKeyRequiredToCorsPreflight" {
			continue
		}
		p.report(model.SeverityError, f.at, "Resources."+a.logical+".Auth."+f.name, "not taken, so the API is not deployed: write authorizers in the document")
		d.Unserved = append(d.Unserved, model.Unserved{Name: "Auth." + f.name, Reason: "the template's authorization was not taken: add it to the API, then deploy"})
		break
	}
}

// event is an Api event of a function.
type event struct {
	name  string
	props *value
	at    place
}

func events(f *resource) (out []event) {
	f.read["Events"] = true
	v := f.props.get("Events")
	if v == nil {
		return nil
	}
	for _, x := range v.fields {
		if k := x.value.get("Type"); k != nil && k.text == "Api" {
			props := x.value.get("Properties")
			if props == nil {
				props = &value{kind: object, at: x.at}
			}
			out = append(out, event{x.name, props, x.at})
		}
	}
	return out
}

// functions give their Api events methods.
func (p *planner) functions() {
	for _, f := range p.byKind["AWS::Serverless::Function"] {
		for _, e := range events(f) {
			logical := "ServerlessRestApi"
			if v := e.props.get("RestApiId"); v != nil {
				logical = v.ref
			}
			a := p.apis[logical]
			if a == nil {
				f.refuse(e.at, "Events."+e.name, "its API is not in this template")
				continue
			}
			path, verb := f.textOf(e.props.get("Path"), "Events."+e.name+".Path"), strings.ToUpper(f.textOf(e.props.get("Method"), "Events."+e.name+".Method"))
			if path == "" || verb == "" {
				f.refuse(e.at, "Events."+e.name, "an event has a Path and a Method")
				continue
			}
			m := model.Method{AuthorizationType: model.AuthNone, Integration: &model.Integration{Type: model.IntegrationAWSProxy, HTTPMethod: "POST",
				URI: "arn:aws:apigateway:" + p.o.Region + ":lambda:path/2015-03-31/functions/" + p.attribute(f.logical, "Arn", e.at).text + "/invocations"}}
			if auth := e.props.get("Auth"); auth != nil {
				for _, x := range auth.fields {
					if x.name == "ApiKeyRequired" {
						m.APIKeyRequired = strings.EqualFold(f.textOf(x.value, "Auth"), "true")
						continue
					}
					p.report(model.SeverityError, x.at, "Resources."+f.logical+".Events."+e.name+".Auth."+x.name, "not taken, so the API is not deployed")
					a.out.Definition.Unserved = append(a.out.Definition.Unserved, model.Unserved{Name: verb + " " + path, Reason: "the template's authorization was not taken: add it to the method, then deploy"})
				}
			}
			if key := p.all[logical].props.get("Auth").get("ApiKeyRequired"); key != nil && strings.EqualFold(key.text, "true") && e.props.get("Auth").get("ApiKeyRequired") == nil {
				m.APIKeyRequired = true
			}
			p.put(a, f, e.at, path, verb, m)
		}
	}
}

// put gives the API a method, making the resources on the way.
func (p *planner) put(a *api, r *resource, at place, path, verb string, m model.Method) {
	d := &a.out.Definition
	path = "/" + strings.Trim(path, "/")
	if _, err := model.Segments(path); err != nil {
		r.refuse(at, "", "%s", model.MessageOf(err))
		return
	}
	if !slices.Contains(model.Verbs, verb) {
		r.refuse(at, "", "%.20s is no method", verb)
		return
	}
	p.ensure(a, path)
	for i := range d.Resources {
		if d.Resources[i].Path == path {
			if d.Resources[i].Methods == nil {
				d.Resources[i].Methods = map[string]model.Method{}
			}
			d.Resources[i].Methods[verb] = m
		}
	}
}

func (p *planner) ensure(a *api, path string) {
	d := &a.out.Definition
	for i := 1; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			continue
		}
		at := path[:i]
		if !slices.ContainsFunc(d.Resources, func(r model.Resource) bool { return r.Path == at }) {
			d.Resources = append(d.Resources, model.Resource{ID: p.id(a.logical+at, 10), Path: at})
		}
	}
}

// parts are models, validators, authorizers, gateway responses and words.
func (p *planner) parts() {
	each := func(kind string, do func(*resource, *api)) {
		for _, r := range p.byKind["AWS::ApiGateway::"+kind] {
			if a := p.apiOf(r); a != nil {
				do(r, a)
				r.rest()
			}
		}
	}
	each("Model", func(r *resource, a *api) {
		m := model.Schema{ID: p.id(r.logical, 6), Name: r.text("Name"), Description: r.text("Description"), ContentType: r.text("ContentType")}
		if m.Name == "" {
			m.Name = "Model" + p.id(r.logical, 8)
		}
		if m.ContentType == "" {
			m.ContentType = "application/json"
		}
		if v := r.value("Schema"); v != nil && v.kind == scalar {
			m.Schema = r.textOf(v, "Schema")
		} else {
			var x any
			if r.into("Schema", &x) {
				b, _ := json.Marshal(x)
				m.Schema = string(b)
			}
		}
		if !r.failed {
			a.out.Definition.Models = append(a.out.Definition.Models, m)
		}
	})
	each("RequestValidator", func(r *resource, a *api) {
		v := model.RequestValidator{ID: p.id(r.logical, 6), Name: r.text("Name"), Body: r.flag("ValidateRequestBody", false), Parameters: r.flag("ValidateRequestParameters", false)}
		if v.Name == "" {
			v.Name = r.logical
		}
		if !r.failed {
			a.out.Definition.RequestValidators = append(a.out.Definition.RequestValidators, v)
		}
	})
	each("Authorizer", func(r *resource, a *api) {
		x := model.Authorizer{ID: p.id(r.logical, 6), Name: r.text("Name"), Type: r.text("Type"), AuthType: r.text("AuthType"), AuthorizerURI: r.text("AuthorizerUri"),
			AuthorizerCredentials: r.text("AuthorizerCredentials"), IdentitySource: r.text("IdentitySource"), IdentityValidationExpression: r.text("IdentityValidationExpression"), ProviderARNs: r.list("ProviderARNs")}
		if v := r.value("AuthorizerResultTtlInSeconds"); v != nil {
			n := r.number(v, "AuthorizerResultTtlInSeconds")
			x.ResultTTLSeconds = &n
		}
		if v := r.value("JwtConfiguration"); v != nil {
			var in any
			if r.valueInto(v, "JwtConfiguration", &in) {
				b, _ := json.Marshal(in)
				c, err := model.ParseJWT(b) // whatever the case of its names
				if err != nil {
					r.refuse(v.at, "JwtConfiguration", "%s", model.MessageOf(err))
				} else {
					x.JWT, _ = json.Marshal(c)
				}
			}
		}
		if !r.failed {
			a.out.Definition.Authorizers = append(a.out.Definition.Authorizers, x)
		}
	})
	each("GatewayResponse", func(r *resource, a *api) {
		d := &a.out.Definition
		if d.GatewayResponses == nil {
			d.GatewayResponses = map[string]model.GatewayResponse{}
		}
		d.GatewayResponses[r.text("ResponseType")] = model.GatewayResponse{StatusCode: r.text("StatusCode"), Parameters: r.texts("ResponseParameters"), Templates: r.texts("ResponseTemplates")}
	})
	each("DocumentationPart", func(r *resource, a *api) {
		l := r.value("Location")
		w := model.DocumentationPart{ID: p.id(r.logical, 10), Properties: r.text("Properties"), Location: model.DocumentationLocation{
			Type: r.textOf(l.get("Type"), "Location"), Path: r.textOf(l.get("Path"), "Location"), Method: r.textOf(l.get("Method"), "Location"),
			StatusCode: r.textOf(l.get("StatusCode"), "Location"), Name: r.textOf(l.get("Name"), "Location")}}
		if !r.failed {
			a.out.Definition.Documentation = append(a.out.Definition.Documentation, w)
		}
	})
}

// tree finds the paths of resources, whatever their order.
func (p *planner) tree() {
	left := slices.Clone(p.byKind["AWS::ApiGateway::Resource"])
	for len(left) > 0 {
		var later []*resource
		for _, r := range left {
			a := p.apiOf(r)
			if a == nil {
				continue
			}
			parent := r.of("ParentId")
			base, known := a.paths[parent]
			if parent == a.logical { // its RootResourceId
				base, known = "", true
			}
			if !known && p.all[parent] != nil && slices.Contains(left, p.all[parent]) {
				later = append(later, r)
				continue
			}
			part := r.text("PathPart")
			if !known || part == "" {
				r.refuse(r.at, "ParentId", "its parent is not taken, or it has no PathPart")
				continue
			}
			path := base + "/" + part
			if _, err := model.Segments(path); err != nil {
				r.refuse(r.at, "PathPart", "%s", model.MessageOf(err))
				continue
			}
			a.paths[r.logical] = path
			p.ensure(a, path)
			r.rest()
		}
		if len(later) == len(left) {
			for _, r := range later {
				r.refuse(r.at, "ParentId", "resources are each other's parents")
			}
			return
		}
		left = later
	}
}

func (p *planner) methods() {
	for _, r := range p.byKind["AWS::ApiGateway::Method"] {
		a := p.apiOf(r)
		if a == nil {
			continue
		}
		at := r.of("ResourceId")
		path, known := a.paths[at]
		if at == a.logical {
			path, known = "/", true
		}
		if !known {
			r.refuse(r.at, "ResourceId", "its resource is not taken")
			continue
		}
		m := model.Method{AuthorizationType: strings.ToUpper(r.text("AuthorizationType")), OperationName: r.text("OperationName"), APIKeyRequired: r.flag("ApiKeyRequired", false), AuthorizationScopes: r.list("AuthorizationScopes"),
			RequestParameters: r.flagsOf(r.value("RequestParameters"), "RequestParameters"), RequestModels: p.modelNames(r, r.value("RequestModels"), "RequestModels")}
		if m.AuthorizationType == "" {
			m.AuthorizationType = model.AuthNone
		}
		if v := r.value("AuthorizerId"); v != nil {
			if x := p.all[v.ref]; x == nil || x.failed || x.kind != "AWS::ApiGateway::Authorizer" {
				r.refuse(v.at, "AuthorizerId", "its authorizer is not taken")
			}
			m.AuthorizerID = p.id(v.ref, 6)
		}
		if v := r.value("RequestValidatorId"); v != nil {
			if x := p.all[v.ref]; x == nil || x.failed || x.kind != "AWS::ApiGateway::RequestValidator" {
				r.refuse(v.at, "RequestValidatorId", "its validator is not taken")
			}
			m.RequestValidatorID = p.id(v.ref, 6)
		}
		if v := r.value("MethodResponses"); v != nil {
			m.Responses = map[string]model.MethodResponse{}
			for _, x := range v.items {
				m.Responses[r.textOf(x.get("StatusCode"), "MethodResponses")] = model.MethodResponse{
					Parameters: r.flagsOf(x.get("ResponseParameters"), "MethodResponses"), Models: p.modelNames(r, x.get("ResponseModels"), "MethodResponses")}
			}
		}
		if v := r.value("Integration"); v != nil {
			m.Integration = p.integration(r, v)
		}
		verb := strings.ToUpper(r.text("HttpMethod"))
		r.rest()
		if !r.failed {
			p.put(a, r, r.at, path, verb, m)
		}
	}
}

// modelNames are models by content type, which templates name by reference.
func (p *planner) modelNames(r *resource, v *value, name string) map[string]string {
	if v == nil || v.kind != object {
		return nil
	}
	out := map[string]string{}
	for _, f := range v.fields {
		if x := p.all[f.value.ref]; x != nil && x.kind == "AWS::ApiGateway::Model" {
			if out[f.name] = x.text("Name"); out[f.name] == "" {
				out[f.name] = "Model" + p.id(x.logical, 8)
			}
			continue
		}
		out[f.name] = r.textOf(f.value, name)
	}
	return out
}

func (p *planner) integration(r *resource, v *value) *model.Integration {
	get := func(name string) string { return r.textOf(v.get(name), "Integration."+name) }
	g := &model.Integration{Type: strings.ToUpper(get("Type")), HTTPMethod: get("IntegrationHttpMethod"), URI: get("Uri"), ConnectionType: get("ConnectionType"),
		Credentials: get("Credentials"), PassthroughBehavior: get("PassthroughBehavior"), ContentHandling: get("ContentHandling"), CacheNamespace: get("CacheNamespace"),
		RequestParameters: r.textsOf(v.get("RequestParameters"), "Integration.RequestParameters"), RequestTemplates: r.textsOf(v.get("RequestTemplates"), "Integration.RequestTemplates")}
	if x := v.get("ConnectionId"); x != nil {
		r.refuse(x.at, "Integration.ConnectionId", "VPC links are not made from templates")
	}
	if x := v.get("TimeoutInMillis"); x != nil {
		g.TimeoutMillis = r.number(x, "Integration.TimeoutInMillis")
	}
	if x := v.get("CacheKeyParameters"); x != nil {
		_ = r.valueInto(x, "Integration.CacheKeyParameters", &g.CacheKeyParameters)
	}
	if x := v.get("IntegrationResponses"); x != nil {
		g.Responses = map[string]model.IntegrationResponse{}
		for _, y := range x.items {
			out := model.IntegrationResponse{StatusCode: r.textOf(y.get("StatusCode"), "Integration.IntegrationResponses"), ContentHandling: r.textOf(y.get("ContentHandling"), "Integration.IntegrationResponses"),
				ResponseParameters: r.textsOf(y.get("ResponseParameters"), "Integration.IntegrationResponses"), ResponseTemplates: r.textsOf(y.get("ResponseTemplates"), "Integration.IntegrationResponses")}
			if s := y.get("SelectionPattern"); s != nil {
				pattern := r.textOf(s, "Integration.IntegrationResponses")
				out.SelectionPattern = &pattern
			}
			g.Responses[out.StatusCode] = out
		}
	}
	known := []string{"Type", "IntegrationHttpMethod", "Uri", "ConnectionType", "ConnectionId", "Credentials", "PassthroughBehavior", "ContentHandling", "CacheNamespace", "RequestParameters", "RequestTemplates", "TimeoutInMillis", "CacheKeyParameters", "IntegrationResponses"}
	for _, f := range v.fields {
		if !slices.Contains(known, f.name) {
			r.p.report(model.SeverityWarning, f.at, "Resources."+r.logical+".Integration."+f.name, "this property is not taken")
		}
	}
	return g
}

func (p *planner) methodSettings(r *resource, s *model.StageSettings) {
	v := r.value("MethodSettings")
	if v == nil {
		return
	}
	for _, x := range v.items {
		path, verb := r.textOf(x.get("ResourcePath"), "MethodSettings"), r.textOf(x.get("HttpMethod"), "MethodSettings")
		key := model.EveryMethod
		if path != "/*" && path != "*" || verb != "*" {
			key = strings.ReplaceAll("/"+strings.TrimLeft(strings.ReplaceAll(path, "~1", "/"), "/"), "/", "~1") + "/" + verb
		}
		m := model.DefaultMethodSetting()
		for _, f := range x.fields {
			switch f.name {
			case "ThrottlingRateLimit":
				_ = r.valueInto(f.value, "MethodSettings."+f.name, &m.ThrottlingRateLimit)
			case "ThrottlingBurstLimit":
				m.ThrottlingBurstLimit = r.number(f.value, "MethodSettings."+f.name)
			case "LoggingLevel":
				m.LoggingLevel = r.textOf(f.value, "MethodSettings")
			case "MetricsEnabled":
				m.MetricsEnabled = strings.EqualFold(f.value.text, "true")
			case "DataTraceEnabled":
				m.DataTraceEnabled = strings.EqualFold(f.value.text, "true")
			case "CachingEnabled":
				m.CachingEnabled = strings.EqualFold(f.value.text, "true")
			case "CacheTtlInSeconds":
				m.CacheTTLSeconds = r.number(f.value, "MethodSettings."+f.name)
			case "ResourcePath", "HttpMethod":
			default:
				r.p.report(model.SeverityWarning, f.at, "Resources."+r.logical+".MethodSettings."+f.name, "this property is not taken")
			}
		}
		s.Set(key, m)
	}
}

// stages are those that deployments name, and stages by themselves.
func (p *planner) stages() {
	for _, r := range p.byKind["AWS::ApiGateway::Deployment"] {
		a := p.apiOf(r)
		if a == nil {
			continue
		}
		if name := r.text("StageName"); name != "" {
			s := Stage{Name: name}
			if d := r.value("StageDescription"); d != nil {
				inner := &resource{logical: r.logical, kind: r.kind, props: d, at: d.at, read: map[string]bool{}, p: p}
				p.stageSettings(inner, &s)
				inner.rest()
			}
			a.out.Stages = append(a.out.Stages, s)
		}
		r.skip("Description")
		r.rest()
	}
	for _, r := range p.byKind["AWS::ApiGateway::Stage"] {
		a := p.apiOf(r)
		if a == nil {
			continue
		}
		s := Stage{Name: r.text("StageName")}
		if s.Name == "" {
			s.Name = r.logical
		}
		r.skip("DeploymentId")
		p.stageSettings(r, &s)
		r.rest()
		if !r.failed {
			a.out.Stages = append(a.out.Stages, s)
		}
	}
}

func (p *planner) stageSettings(r *resource, s *Stage) {
	s.Settings.Description, s.Settings.Variables = r.text("Description"), r.texts("Variables")
	s.Settings.TracingEnabled, s.Settings.CacheClusterEnabled, s.Settings.CacheClusterSize = r.flag("TracingEnabled", false), r.flag("CacheClusterEnabled", false), r.text("CacheClusterSize")
	s.Settings.DocumentationVersion = r.text("DocumentationVersion")
	p.methodSettings(r, &s.Settings)
	s.Tags = r.tags()
	s.Settings.ClientCertificateID = r.text("ClientCertificateId")
}

func (p *planner) keys() {
	for _, r := range p.byKind["AWS::ApiGateway::ApiKey"] {
		k := Key{Logical: r.logical, Name: r.text("Name"), Value: r.text("Value"), Description: r.text("Description"), CustomerID: r.text("CustomerId"), Enabled: r.flag("Enabled", false), Tags: r.tags()}
		if k.Name == "" {
			k.Name = p.o.Stack + "-" + r.logical
		}
		r.skip("GenerateDistinctId")
		r.rest()
		if !r.failed {
			p.plan.Keys = append(p.plan.Keys, k)
		}
	}
}

func (p *planner) usagePlans() {
	for _, r := range p.byKind["AWS::ApiGateway::UsagePlan"] {
		u := UsagePlan{Logical: r.logical, Name: r.text("UsagePlanName"), Description: r.text("Description"), Tags: r.tags(), Stages: []model.PlanStage{}, Keys: []string{}}
		if u.Name == "" {
			u.Name = p.o.Stack + "-" + r.logical
		}
		throttle := func(v *value, at string) *model.Throttle {
			if v == nil {
				return nil
			}
			t := &model.Throttle{}
			_ = r.valueInto(numbers(v), at, &struct {
				RateLimit  *float64
				BurstLimit *int
			}{&t.Rate, &t.Burst})
			return t
		}
		u.Throttle = throttle(r.value("Throttle"), "Throttle")
		if v := r.value("Quota"); v != nil {
			q := &model.Quota{}
			_ = r.valueInto(numbers(v), "Quota", q)
			u.Quota = q
		}
		if v := r.value("ApiStages"); v != nil {
			for _, x := range v.items {
				s := model.PlanStage{Stage: r.textOf(stageName(p, x.get("Stage")), "ApiStages.Stage")}
				if id := x.get("ApiId"); id == nil || p.apis[id.ref] == nil {
					r.refuse(x.at, "ApiStages", "its API is not in this template")
				} else {
					s.APIID = id.ref
				}
				if t := x.get("Throttle"); t != nil {
					s.Throttle = map[string]model.Throttle{}
					for _, f := range t.fields {
						if got := throttle(f.value, "ApiStages.Throttle"); got != nil {
							s.Throttle[f.name] = *got
						}
					}
				}
				u.Stages = append(u.Stages, s)
			}
		}
		for _, k := range p.byKind["AWS::ApiGateway::UsagePlanKey"] {
			if k.of("UsagePlanId") == r.logical {
				if key := p.all[k.of("KeyId")]; key != nil && !key.failed && key.kind == "AWS::ApiGateway::ApiKey" {
					u.Keys = append(u.Keys, key.logical)
				} else {
					k.refuse(k.at, "KeyId", "its key is not in this template")
				}
				k.skip("KeyType")
				k.rest()
			}
		}
		r.rest()
		if !r.failed {
			p.plan.Plans = append(p.plan.Plans, u)
		}
	}
}

// stageName is a stage's, where a template refers to the resource.
func stageName(p *planner, v *value) *value {
	if v != nil && v.ref != "" {
		if s := p.all[v.ref]; s != nil {
			if n := s.props.get("StageName"); n != nil {
				return n
			}
		}
	}
	return v
}

// numbers turns texts that are numbers into numbers, as parameters give them.
func numbers(v *value) *value {
	out := *v
	out.fields = slices.Clone(v.fields)
	for i, f := range out.fields {
		var n json.Number
		if f.value.kind == scalar && f.value.unknown == "" && json.Unmarshal([]byte(f.value.text), &n) == nil {
			c := *f.value
			c.plain = n
			out.fields[i].value = &c
		}
	}
	return &out
}

// taken are the kinds that are; ours are of API Gateway and yet are not.
var taken = []string{"RestApi", "Resource", "Method", "Model", "RequestValidator", "Authorizer", "GatewayResponse", "DocumentationPart", "Deployment", "Stage", "ApiKey", "UsagePlan", "UsagePlanKey"}

// others reports what is left: as an error what is of API Gateway, once for each other
// kind what is not.
func (p *planner) others() {
	elsewhere := map[string][]*resource{}
	for _, f := range p.root.get("Resources").fields {
		r := p.all[f.name]
		if r == nil {
			continue
		}
		name, ours := strings.CutPrefix(r.kind, "AWS::ApiGateway::")
		switch {
		case ours && !slices.Contains(taken, name):
			r.refuse(r.at, "", "%s", map[string]string{
				"DomainName":           "make the domain with `tollgate domain create`: its certificate is not in the template",
				"DomainNameV2":         "private domain names are not served: make it over the API, where it is kept",
				"BasePathMapping":      "map the path when the domain is made, with `tollgate domain map`",
				"VpcLink":              "there is no VPC here",
				"ClientCertificate":    "make it with `aws apigateway generate-client-certificate`, and name it in the stage",
				"Account":              "there is no IAM role to write logs with: calls are in the journal",
				"DocumentationVersion": "make it when the words are complete",
			}[name])
		case r.kind == "AWS::Serverless::Function" || r.kind == "AWS::Lambda::Function":
			elsewhere["functions"] = append(elsewhere["functions"], r)
		case !ours && r.kind != "AWS::Serverless::Api":
			elsewhere[r.kind] = append(elsewhere[r.kind], r)
		}
	}
	for kind, all := range elsewhere {
		names := make([]string, 0, 3)
		for _, r := range all[:min(3, len(all))] {
			names = append(names, r.logical)
		}
		more := ""
		if len(all) > 3 {
			more = fmt.Sprintf(" and %d more", len(all)-3)
		}
		if kind == "functions" {
			p.report(model.SeverityInfo, all[0].at, "Resources", "functions are not made here (%s%s): their ARNs are made of their names", strings.Join(names, ", "), more)
		} else {
			p.report(model.SeverityInfo, all[0].at, "Resources", "%s is no part of API Gateway (%s%s)", kind, strings.Join(names, ", "), more)
		}
	}
}

// finish checks an API as a whole.
func (p *planner) finish(a *api) {
	d := &a.out.Definition
	if a.failed { // a part of the API itself is missing: nothing of it may be served
		d.Unserved = append(d.Unserved, model.Unserved{Name: "Resources." + a.logical, Reason: "the template was not taken whole: complete the API, then deploy"})
	}
	d.Sort()
	if err := d.Validate(); err != nil {
		p.report(model.SeverityError, a.at, "Resources."+a.logical, "not taken: %s", model.MessageOf(err))
		return
	}
	if len(d.Policy) > 0 && !json.Valid([]byte(d.Policy)) {
		return
	}
	p.plan.APIs = append(p.plan.APIs, a.out)
}
