package web

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/serve"
)

func (s *Server) authorizerRoutes() []route {
	return []route{
		{method: "GET", pattern: "/apis/{api}/authorizers", who: mayRead, handle: (*visit).authorizers},
		{method: "GET", pattern: "/apis/{api}/authorizers/new", who: mayBuild, handle: (*visit).newAuthorizer},
		{method: "POST", pattern: "/apis/{api}/authorizers/new", who: mayBuild, handle: (*visit).saveAuthorizer},
		{method: "GET", pattern: "/apis/{api}/authorizers/{authorizer}", who: mayRead, handle: (*visit).authorizer},
		{method: "POST", pattern: "/apis/{api}/authorizers/{authorizer}", who: mayBuild, handle: (*visit).saveAuthorizer},
		{method: "POST", pattern: "/apis/{api}/authorizers/{authorizer}/test", who: mayBuild, handle: (*visit).tryAuthorizer},
		{method: "GET", pattern: "/apis/{api}/authorizers/{authorizer}/delete", who: mayBuild, handle: (*visit).confirmDeleteAuthorizer},
		{method: "POST", pattern: "/apis/{api}/authorizers/{authorizer}/delete", who: mayBuild, handle: (*visit).deleteAuthorizer},
	}
}

// Types of authorizers.
const (
	byToken   = "TOKEN"
	byRequest = "REQUEST"
	byCognito = "COGNITO_USER_POOLS"
	byJWT     = "JWT"
)

var authorizerTypes = []ui.Option{{Value: byToken, Label: "Lambda, by a token in a header (TOKEN)"}, {Value: byRequest, Label: "Lambda, by the whole request (REQUEST)"},
	{Value: byCognito, Label: "Cognito user pools, or another OpenID provider in their place"}, {Value: byJWT, Label: "JWT: tokens of OpenID providers"}}

// usedBy are the methods of a definition that are so, as "GET /pets".
func usedBy(d *model.Definition, is func(*model.Method) bool) []string {
	var out []string
	for _, r := range flat(d) {
		if is(&r.m) {
			out = append(out, r.verb+" "+r.path)
		}
	}
	return out
}

// someOf names the first of a list and counts the rest.
func someOf(list []string) string {
	if len(list) <= 3 {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:3], ", "), len(list)-3)
}

// authorizerForm is an authorizer as it is edited.
type authorizerForm struct {
	ID, Name, Type        string
	Function, Credentials string
	Sources               []ui.RowValues
	Pattern, TTL          string
	Pools                 string
	jwtFields
	Revision int64
	Methods  []string
	Scoped   []scoped // those that ask for scopes
	Trial    authorizerTrial
	problems
}

// authorizerTrial is a call that the authorizer is asked about.
type authorizerTrial struct {
	Possible bool // of an authorizer that is a function
	Target   string
	Headers  []ui.RowValues
	Problems problems
	Answer   *model.AuthorizerAnswer
}

var sourceOptions = []ui.Option{{Value: "method.request.header.", Label: "Header"}, {Value: "method.request.querystring.", Label: "Query"}, {Value: "stageVariables.", Label: "Stage variable"}, {Value: "context.", Label: "Context"}}

var identityColumns = []ui.Column{{Name: "in", Label: "In", Options: sourceOptions}, {Name: "name", Label: "Name"}}

func (f *authorizerForm) show(d *model.Definition, a *model.Authorizer) {
	f.ID, f.Name, f.Type, f.Function, f.Credentials, f.Pattern = a.ID, a.Name, a.Type, a.AuthorizerURI, a.AuthorizerCredentials, a.IdentityValidationExpression
	for _, s := range listed(a.IdentitySource) {
		r := ui.RowValues{Cells: []string{"context.", s}}
		for _, o := range sourceOptions {
			if name, ok := strings.CutPrefix(s, o.Value); ok {
				r.Cells = []string{o.Value, name}
			}
		}
		f.Sources = append(f.Sources, r)
	}
	if a.ResultTTLSeconds != nil {
		f.TTL = strconv.Itoa(*a.ResultTTLSeconds)
	}
	f.Pools = strings.Join(a.ProviderARNs, "\n")
	if a.Type == byJWT {
		f.jwtFields.show(a.JWT)
	}
	f.Scoped = scopesOf(d, a.ID)
	f.Methods = usedBy(d, func(m *model.Method) bool { return m.AuthorizerID == a.ID })
	f.Trial = authorizerTrial{Possible: a.Type == byToken || a.Type == byRequest, Target: "/"}
	for _, s := range listed(a.IdentitySource) {
		if name, ok := strings.CutPrefix(s, "method.request.header."); ok {
			f.Trial.Headers = append(f.Trial.Headers, ui.RowValues{Cells: []string{name, ""}})
		}
	}
}

func (f *authorizerForm) read(v *visit) {
	f.Name, f.Type, f.Function, f.Credentials = v.value("name"), v.value("type"), v.value("function"), v.value("credentials")
	f.Sources, f.Pattern, f.TTL, f.Pools = v.rows("source", identityColumns), v.value("pattern"), v.value("ttl"), v.text("pools")
	f.jwtFields.read(v)
	f.Revision, _ = strconv.ParseInt(v.value("revision"), 10, 64)
}

// apply makes an authorizer what the form says.
func (f *authorizerForm) apply(d *model.Definition, a *model.Authorizer) problems {
	p := &f.problems
	if f.Name == "" || len(f.Name) > 256 {
		p.say("name", "An authorizer needs a name of at most 256 characters")
	}
	for _, o := range d.Authorizers {
		if o.Name == f.Name && o.ID != a.ID {
			p.say("name", "There is an authorizer %q already", f.Name)
		}
	}
	if a.Type != f.Type {
		a.AuthType = "" // what a document called the type that it was
	}
	kept := a.JWT
	*a = model.Authorizer{ID: a.ID, Name: f.Name, Type: f.Type, AuthType: a.AuthType}
	switch f.Type {
	case byToken, byRequest:
		f.lambda(a)
	case byCognito:
		a.ProviderARNs = listed(f.Pools)
		if len(a.ProviderARNs) == 0 {
			p.say("pools", "Name at least one user pool, by its ARN")
		}
		for _, arn := range a.ProviderARNs {
			if _, err := (model.UserPools)(nil).Issuer(arn); err != nil {
				p.say("pools", "%s. Name a pool by its ARN, such as arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_AbCdEf, or an OpenID provider by its https address", model.MessageOf(err))
				break
			}
		}
	case byJWT:
		a.JWT = f.jwt(p, kept)
	default:
		p.say("type", "Choose a type of authorizer")
		return f.problems
	}
	f.identity(a)
	return f.problems
}

func (f *authorizerForm) lambda(a *model.Authorizer) {
	p := &f.problems
	if at := functionARN.FindStringSubmatch(f.Function); at != nil {
		f.Function = "arn:aws:apigateway:" + at[1] + ":lambda:path/2015-03-31/functions/" + f.Function + "/invocations"
	}
	if !model.IsInvocationURI(f.Function) {
		p.say("function", "%q is not the ARN of a Lambda function, such as arn:aws:lambda:us-east-1:123456789012:function:name", f.Function)
	}
	a.AuthorizerURI, a.AuthorizerCredentials = f.Function, f.Credentials
	if len(f.Function)+len(f.Credentials) > 2048 {
		p.say("function", "The ARNs are too long")
	}
	if f.TTL != "" {
		n, err := strconv.Atoi(f.TTL)
		if err != nil || n < 0 || n > model.MaxAuthorizerTTLSeconds {
			p.say("ttl", "%q is not a number of seconds between 0 and %d", f.TTL, model.MaxAuthorizerTTLSeconds)
		}
		a.ResultTTLSeconds = &n
	}
	if f.Type == byToken {
		if _, err := regexp.Compile(f.Pattern); err != nil || len(f.Pattern) > 1024 {
			p.say("pattern", "The pattern is no regular expression of at most 1,024 characters")
		}
		a.IdentityValidationExpression = f.Pattern
	}
}

// identity sets where the caller's identity is. Without it, what is kept of one caller's
// answer would hold for all.
func (f *authorizerForm) identity(a *model.Authorizer) {
	var out []string
	for i := range f.Sources {
		r := &f.Sources[i]
		switch {
		case !among(r.Cells[0], sourceOptions) || !parameterName.MatchString(r.Cells[1]) || strings.Contains(r.Cells[1], ","):
			r.Error = "A source has a name without blanks and commas"
		case f.Type == byJWT && r.Cells[0] == "method.request.querystring.":
		case f.Type != byRequest && r.Cells[0] != "method.request.header.":
			r.Error = "This type of authorizer looks into one header"
		}
		if r.Error != "" {
			f.say("source", "%s", r.Error)
		}
		if s := r.Cells[0] + r.Cells[1]; !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	cached := a.ResultTTLSeconds == nil || *a.ResultTTLSeconds > 0
	switch {
	case f.Type != byRequest && f.Type != byJWT && len(out) != 1:
		f.say("source", "This type of authorizer needs one header to look into, such as Authorization")
	case f.Type == byJWT && len(out) > 1:
		f.say("source", "This type of authorizer looks into one place; empty: the header Authorization")
	case f.Type == byRequest && len(out) == 0 && cached:
		f.say("source", "What is kept of answers needs something that tells callers apart: name it, or keep answers for 0 seconds")
	}
	a.IdentitySource = strings.Join(out, ",")
}

func (v *visit) authorizers() error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	return v.render(authorizersView(v.apiPage(a.API), a, v.may(control.ToBuild)))
}

func (v *visit) newAuthorizer() error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	f := authorizerForm{Type: byToken, Revision: a.Revision, jwtFields: jwtFields{Algorithms: []string{"RS256"}}, Sources: []ui.RowValues{{Cells: []string{"method.request.header.", "Authorization"}}}}
	return v.authorizerWith(200, a, f)
}

func (v *visit) authorizerWith(status int, a control.APIDetail, f authorizerForm) error {
	title := "New authorizer"
	if f.ID != "" {
		title = "Authorizer " + f.Name
	}
	return v.renderAs(status, authorizerView(v.below(a.API, title, "authorizers"), a.API, f, v.may(control.ToBuild)))
}

var noAuthorizer = model.Errorf(model.NotFound, "the API has no such authorizer")

func (v *visit) authorizer() error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	x := a.Definition.Authorizer(v.path("authorizer"))
	if x == nil {
		return noAuthorizer
	}
	f := authorizerForm{Revision: a.Revision}
	f.show(&a.Definition, x)
	return v.authorizerWith(200, a, f)
}

func (v *visit) saveAuthorizer() error {
	f := authorizerForm{ID: v.path("authorizer")}
	f.read(v)
	again := func(status int) error {
		a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
		if err != nil {
			return err
		}
		f.Revision = a.Revision
		return v.authorizerWith(status, a, f)
	}
	if v.more() {
		return again(200)
	}
	_, err := v.Plane.UpdateDefinition(v.ctx(), v.actor(), v.path("api"), f.Revision, func(d *model.Definition) error {
		if f.ID == "" {
			d.Authorizers = append(d.Authorizers, model.Authorizer{ID: model.NewID(6)})
		}
		a := d.Authorizer(f.ID)
		if f.ID == "" {
			a = &d.Authorizers[len(d.Authorizers)-1]
		}
		if a == nil {
			return noAuthorizer
		}
		if err := f.apply(d, a).err(); err != nil {
			return err
		}
		for _, r := range d.Resources { // they go with the type
			for verb, m := range r.Methods {
				if m.AuthorizerID == a.ID && m.AuthorizationType != authorizationBy[a.Type] {
					m.AuthorizationType = authorizationBy[a.Type]
					r.Methods[verb] = m
				}
			}
		}
		return nil
	})
	if invalid(err) {
		f.problems = f.with("name", err)
		return again(serve.Status(err))
	}
	if err != nil {
		return err
	}
	return v.done("Saved. It guards once it is deployed.", apiURL(v.path("api"), "authorizers"))
}

// tryAuthorizer asks the authorizer as it is saved, deployed or not.
func (v *visit) tryAuthorizer() error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	x := a.Definition.Authorizer(v.path("authorizer"))
	if x == nil {
		return noAuthorizer
	}
	f := authorizerForm{Revision: a.Revision}
	f.show(&a.Definition, x)
	t := &f.Trial
	t.Target, t.Headers = v.value("target"), v.rows("header", headerRows)
	if v.more() {
		return v.authorizerWith(200, a, f)
	}
	in := model.AuthorizerTrial{ID: model.NewRequestID(), AccountID: v.actor().AccountID, APIID: a.ID, Definition: &a.Definition, AuthorizerID: x.ID, Target: t.Target}
	in.Headers = readHeaders(&t.Problems, t.Headers)
	if v.TryAuthorizer == nil || !t.Possible {
		t.Problems.say("", "An authorizer of this type is tried by calling a method that it guards")
	}
	if !strings.HasPrefix(t.Target, "/") || len(t.Target) > maxTrialTarget || strings.ContainsAny(t.Target, " \r\n\t#") {
		t.Problems.say("target", "The path %q does not begin with a slash, or holds blanks", cutText(t.Target, 100))
	}
	if len(t.Problems) == 0 {
		ctx, cancel := context.WithTimeout(v.ctx(), trialTime)
		defer cancel()
		out, err := v.TryAuthorizer(ctx, in)
		switch {
		case err == nil:
			t.Answer = &out
		case invalid(err) || model.KindOf(err) == model.Unavailable:
			t.Problems.say("", "%s", sentence(model.MessageOf(err)))
		default:
			return err
		}
	}
	if len(t.Problems) > 0 {
		return v.authorizerWith(422, a, f)
	}
	return v.authorizerWith(200, a, f)
}

func (v *visit) confirmDeleteAuthorizer() error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	x := a.Definition.Authorizer(v.path("authorizer"))
	if x == nil {
		return noAuthorizer
	}
	f := authorizerForm{}
	f.show(&a.Definition, x)
	return v.render(deleteAuthorizerView(v.below(a.API, "Delete authorizer "+x.Name, "authorizers"), a.API, f))
}

func (v *visit) deleteAuthorizer() error {
	id := v.path("authorizer")
	_, err := v.Plane.UpdateDefinition(v.ctx(), v.actor(), v.path("api"), 0, func(d *model.Definition) error {
		i := slices.IndexFunc(d.Authorizers, func(a model.Authorizer) bool { return a.ID == id })
		if i < 0 {
			return noAuthorizer
		}
		if by := usedBy(d, func(m *model.Method) bool { return m.AuthorizerID == id }); len(by) > 0 {
			return model.Errorf(model.Conflict, "authorizer %q guards %s: give them another one first", d.Authorizers[i].Name, someOf(by))
		}
		d.Authorizers = slices.Delete(d.Authorizers, i, i+1)
		return nil
	})
	return v.outcome(err, "The authorizer is deleted.", apiURL(v.path("api"), "authorizers"))
}

func authorizerAct(api string, f *authorizerForm) act {
	a := model.Authorizer{}
	kept := *f
	if kept.Function == "" && kept.ID == "" {
		kept.Function = "arn:aws:lambda:us-east-1:123456789012:function:NAME"
	}
	kept.problems = nil
	if len(kept.Issuers) == 0 {
		kept.Issuers = []ui.RowValues{{Cells: []string{"https://login.example.com", "AUDIENCE"}}}
	}
	if kept.Name == "" {
		kept.Name = "NAME"
	}
	kept.apply(&model.Definition{}, &a)
	in := map[string]any{"name": a.Name, "type": a.Type}
	tf := map[string]any{"rest_api_id": api, "name": a.Name, "type": a.Type, "authorizer_uri": a.AuthorizerURI, "authorizer_credentials": a.AuthorizerCredentials, "identity_source": a.IdentitySource,
		"identity_validation_expression": a.IdentityValidationExpression, "provider_arns": a.ProviderARNs}
	for k, v := range map[string]string{"authorizerUri": a.AuthorizerURI, "authorizerCredentials": a.AuthorizerCredentials, "identitySource": a.IdentitySource, "identityValidationExpression": a.IdentityValidationExpression} {
		if v != "" {
			in[k] = v
		}
	}
	if len(a.ProviderARNs) > 0 {
		in["providerARNs"] = a.ProviderARNs
	}
	if len(a.JWT) > 0 {
		in["jwtConfiguration"] = a.JWT
	}
	if a.ResultTTLSeconds != nil {
		in["authorizerResultTtlInSeconds"], tf["authorizer_result_ttl_in_seconds"] = *a.ResultTTLSeconds, *a.ResultTTLSeconds
	}
	out := act{op: "create-authorizer", verb: "POST", path: "/restapis/" + url.PathEscape(api) + "/authorizers", ids: map[string]any{"restApiId": api}, in: in}
	if f.ID != "" {
		steps := []string{"replace", "/name", a.Name}
		for _, x := range [][2]string{{"/authorizerUri", a.AuthorizerURI}, {"/authorizerCredentials", a.AuthorizerCredentials}, {"/identitySource", a.IdentitySource}, {"/identityValidationExpression", a.IdentityValidationExpression}} {
			if x[1] != "" {
				steps = append(steps, "replace", x[0], x[1])
			}
		}
		for _, arn := range a.ProviderARNs {
			steps = append(steps, "add", "/providerARNs", arn)
		}
		if a.ResultTTLSeconds != nil {
			steps = append(steps, "replace", "/authorizerResultTtlInSeconds", strconv.Itoa(*a.ResultTTLSeconds))
		}
		if len(a.JWT) > 0 {
			steps = append(steps, "replace", "/jwtConfiguration", string(a.JWT))
		}
		out = act{op: "update-authorizer", verb: "PATCH", path: out.path + "/" + url.PathEscape(f.ID), ids: map[string]any{"restApiId": api, "authorizerId": f.ID}, in: patchAct(steps...)}
	}
	if f.Type != byJWT { // which the provider does not know
		out.terraform = block("aws_api_gateway_authorizer", "authorizer", tf)
	}
	return out
}

// shownAuthorizer is authorizerAct as it is shown. The AWS CLI cannot make one of type
// JWT; what is there it can change.
func shownAuthorizer(endpoint, api string, f *authorizerForm) []ui.Shown {
	out := shown(endpoint, authorizerAct(api, f))
	if f.Type == byJWT && f.ID == "" {
		return out[1:2]
	}
	return out
}

func deleteAuthorizerAct(api, id string) act {
	return act{op: "delete-authorizer", verb: "DELETE", path: "/restapis/" + url.PathEscape(api) + "/authorizers/" + url.PathEscape(id), ids: map[string]any{"restApiId": api, "authorizerId": id}}
}

// routeURL is the page of a method, as usedBy names it.
func routeURL(api, route string) string {
	verb, path, _ := strings.Cut(route, " ")
	return methodURL(api, path, verb)
}
