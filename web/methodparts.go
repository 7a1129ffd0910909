package web

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
)

// methodPart is a station of a method's pipeline as it is edited.
type methodPart interface {
	show(d *model.Definition, m *model.Method)           // what the method has
	read(v *visit)                                       // what was typed
	apply(d *model.Definition, m *model.Method) problems // into the method
	form(p *methodPage) templ.Component                  // the fields
	acts(p *methodPage, d *model.Definition) []act       // as commands
}

// methodParts are by the name that they have in addresses. A key says which of
// several, as the statuses of responses; empty: a new one.
var methodParts = map[string]func(path, key string) methodPart{
	"request":     func(path, _ string) methodPart { return &requestPart{path: path} },
	"mapping":     func(path, _ string) methodPart { return &mappingPart{path: path} },
	"integration": func(path, _ string) methodPart { return &integrationPart{path: path} },
	"answer":      func(_, key string) methodPart { return &answerPart{Key: key} },
	"response":    func(_, key string) methodPart { return &responsePart{Key: key} },
}

// Names that the parts of a call have in expressions.
var (
	headerName     = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+.^_|~-]{1,256}$`)
	parameterName  = regexp.MustCompile(`^[^\s]{1,256}$`)
	requestSource  = regexp.MustCompile(`^('[^'\r\n]*'|method\.request\.(header|multivalueheader|querystring|multivaluequerystring|path)\.[^\s]+|method\.request\.body(\.[^\s]+)?|context\.[^\s]+|stageVariables\.[^\s]+)$`)
	responseSource = regexp.MustCompile(`^('[^'\r\n]*'|integration\.response\.(header|multivalueheader)\.[^\s]+|integration\.response\.body(\.[^\s]+)?|context\.[^\s]+|stageVariables\.[^\s]+)$`)
)

const sourceHint = "'text', method.request.querystring.page, method.request.header.X, method.request.path.id, method.request.body.field, context.requestId or stageVariables.name"

var (
	placeOptions  = []ui.Option{{Value: "querystring", Label: "Query"}, {Value: "header", Label: "Header"}, {Value: "path", Label: "Path"}, {Value: "multivaluequerystring", Label: "Query, many values"}, {Value: "multivalueheader", Label: "Header, many values"}}
	headerOptions = []ui.Option{{Value: "header", Label: "Header"}, {Value: "multivalueheader", Label: "Header, many values"}}
	mustOptions   = []ui.Option{{Value: "", Label: "optional"}, {Value: "true", Label: "required"}}
	mediaTypes    = []string{"application/json", "application/xml", "application/x-www-form-urlencoded", "text/plain", "$default"}

	templateColumns = []ui.Column{{Name: "type", Label: "Content type", List: mediaTypes}}
	paramColumns    = []ui.Column{{Name: "in", Label: "In", Options: placeOptions}, {Name: "name", Label: "Name"}, {Name: "must", Label: "Asked for", Options: mustOptions}}
	sourceColumns   = []ui.Column{{Name: "in", Label: "Into", Options: placeOptions}, {Name: "name", Label: "Name"}, {Name: "from", Label: "From"}}
	answerColumns   = []ui.Column{{Name: "in", Label: "Into", Options: headerOptions}, {Name: "name", Label: "Name"}, {Name: "from", Label: "From"}}
	headerColumns   = []ui.Column{{Name: "in", Label: "Kind", Options: headerOptions}, {Name: "name", Label: "Name"}}
	cacheKeyColumns = []ui.Column{{Name: "name", Label: "Parameter"}}
)

// modelColumns are of a content type and one of the API's models.
func modelColumns(d *model.Definition) []ui.Column {
	cols := []ui.Column{{Name: "type", Label: "Content type", List: mediaTypes}, {Name: "model", Label: "Model", Options: []ui.Option{{Value: "Empty", Label: "Empty"}}}}
	var all []ui.Option
	for _, m := range d.Models {
		all = append(all, ui.Option{Value: m.Name, Label: m.Name})
	}
	slices.SortFunc(all, func(a, b ui.Option) int { return strings.Compare(a.Label, b.Label) })
	cols[1].Options = append([]ui.Option{{Value: "", Label: "choose one"}}, all...)
	return cols
}

// fromNames takes names such as method.request.header.X apart into rows.
func fromNames[V any](prefix string, m map[string]V, last func(V) string) []ui.RowValues {
	var out []ui.RowValues
	for _, k := range sortedKeys(m) {
		in, name, _ := strings.Cut(strings.TrimPrefix(k, prefix), ".")
		out = append(out, ui.RowValues{Cells: []string{in, name, last(m[k])}})
	}
	return out
}

// toNames puts them together again.
func toNames(p *problems, field, prefix string, rows []ui.RowValues, check func(in, name, last string) string) map[string]string {
	out := map[string]string{}
	for i := range rows {
		r := &rows[i]
		in, name, last := r.Cells[0], r.Cells[1], ""
		if len(r.Cells) > 2 {
			last = r.Cells[2]
		}
		key := prefix + in + "." + name
		_, twice := out[key]
		switch header := strings.HasSuffix(in, "header"); {
		case !slices.ContainsFunc(placeOptions, func(o ui.Option) bool { return o.Value == in }):
			r.Error = "A parameter is in the query, a header or the path"
		case name == "":
			r.Error = "The name is missing"
		case header && !headerName.MatchString(name):
			r.Error = "A header's name has no blanks and no other signs than !#$%&'*+.^_|~-"
		case !parameterName.MatchString(name):
			r.Error = "A name has no blanks, and at most 256 characters"
		case twice:
			r.Error = "It is there twice"
		default:
			r.Error = check(in, name, last)
		}
		if r.Error != "" {
			p.say(field, "%s: %s", orName(name, "A row"), r.Error)
			continue
		}
		out[key] = last
	}
	return out
}

// requestPart is the method request: who may call, and with what.
type requestPart struct {
	path                       string
	Authorization, Scopes      string
	Key                        bool
	Validator, Operation       string
	Params, Models             []ui.RowValues
	problems                   problems
	authorizations, validators []ui.Option
	modelColumns               []ui.Column
}

// authorization is a method's as it is chosen: with the authorizer, if there is one.
func authorization(m *model.Method) string {
	if m.AuthorizerID != "" {
		return "authorizer:" + m.AuthorizerID
	}
	return orName(m.AuthorizationType, model.AuthNone)
}

// authorizationBy is the type of authorization that goes with a type of authorizer.
var authorizationBy = map[string]string{"TOKEN": model.AuthCustom, "REQUEST": model.AuthCustom, "COGNITO_USER_POOLS": model.AuthCognito, "JWT": model.AuthJWT}

// authorizerKinds are in words.
var authorizerKinds = map[string]string{"TOKEN": "Lambda, by token", "REQUEST": "Lambda, by request", "COGNITO_USER_POOLS": "Cognito user pool", "JWT": "JWT"}

func (f *requestPart) options(d *model.Definition) {
	f.authorizations = []ui.Option{{Value: model.AuthNone, Label: "None: whoever has the address"}, {Value: model.AuthIAM, Label: "AWS_IAM: signed with access keys"}}
	for _, a := range d.Authorizers {
		f.authorizations = append(f.authorizations, ui.Option{Value: "authorizer:" + a.ID, Label: a.Name + " (" + orName(authorizerKinds[a.Type], a.Type) + ")"})
	}
	f.authorizations = chosen(f.Authorization, f.authorizations)
	f.validators = []ui.Option{{Value: "", Label: "None: nothing is checked"}}
	for _, x := range d.RequestValidators {
		f.validators = append(f.validators, ui.Option{Value: x.ID, Label: validatorText(&x)})
	}
	f.validators = chosen(f.Validator, f.validators)
	f.modelColumns = modelColumns(d)
}

// validatorText is a request validator in words.
func validatorText(v *model.RequestValidator) string {
	what := "checks nothing"
	switch {
	case v.Body && v.Parameters:
		what = "body and parameters"
	case v.Body:
		what = "body"
	case v.Parameters:
		what = "parameters"
	}
	return orName(v.Name, v.ID) + " (" + what + ")"
}

func (f *requestPart) show(d *model.Definition, m *model.Method) {
	f.Authorization, f.Scopes, f.Key = authorization(m), strings.Join(m.AuthorizationScopes, " "), m.APIKeyRequired
	f.Validator, f.Operation = m.RequestValidatorID, m.OperationName
	f.Params = fromNames("method.request.", m.RequestParameters, func(b bool) string { return map[bool]string{true: "true"}[b] })
	f.Models = textRows(m.RequestModels, false)
	f.options(d)
}

func (f *requestPart) read(v *visit) {
	f.Authorization, f.Scopes, f.Key, f.Validator, f.Operation = v.value("authorization"), v.value("scopes"), v.checked("key"), v.value("validator"), v.value("operation")
	f.Params = v.rows("params", paramColumns)
	f.Models = v.rows("models", modelColumns(&model.Definition{}))
}

func (f *requestPart) apply(d *model.Definition, m *model.Method) problems {
	p := &f.problems
	f.options(d)
	if id, ok := strings.CutPrefix(f.Authorization, "authorizer:"); ok && id != m.AuthorizerID {
		a := d.Authorizer(id)
		if a == nil {
			p.say("authorization", "The authorizer is not there any more; choose another")
		} else {
			m.AuthorizerID, m.AuthorizationType = id, authorizationBy[a.Type]
		}
	} else if !ok && f.Authorization != authorization(m) {
		if f.Authorization != model.AuthNone && f.Authorization != model.AuthIAM {
			p.say("authorization", "%q is not a way of authorization", f.Authorization)
		}
		m.AuthorizerID, m.AuthorizationType = "", f.Authorization
	}
	m.AuthorizationScopes = listed(f.Scopes)
	if f.Validator != "" && d.RequestValidator(f.Validator) == nil {
		p.say("validator", "The request validator is not there any more; choose another")
	}
	if len(f.Operation) > 1024 {
		p.say("operation", "An operation's name has at most 1,024 characters")
	}
	m.APIKeyRequired, m.RequestValidatorID, m.OperationName = f.Key, f.Validator, f.Operation
	params := toNames(p, "params", "method.request.", f.Params, func(in, name, _ string) string {
		if in == "path" && !strings.Contains(f.path, "{"+name+"}") && !strings.Contains(f.path, "{"+name+"+}") {
			return "The path has no variable of this name"
		}
		return ""
	})
	m.RequestParameters = nil
	for k, must := range params {
		if m.RequestParameters == nil {
			m.RequestParameters = map[string]bool{}
		}
		m.RequestParameters[k] = must == "true"
	}
	m.RequestModels = namedModels(p, "models", d, f.Models)
	return f.problems
}

// namedModels reads rows of a content type and a model.
func namedModels(p *problems, field string, d *model.Definition, rows []ui.RowValues) map[string]string {
	out := map[string]string{}
	for i := range rows {
		r := &rows[i]
		kind, name := r.Cells[0], r.Cells[1]
		switch _, twice := out[kind]; {
		case kind == "" || strings.ContainsAny(kind, " \t"):
			r.Error = "A model needs a content type, such as application/json"
		case d.Model(name) == nil:
			r.Error = "Choose a model of the API"
		case twice:
			r.Error = "There are two for " + kind
		}
		if r.Error != "" {
			p.say(field, "%s", r.Error)
			continue
		}
		out[kind] = name
	}
	return orNil(out)
}

// mappingPart is the integration request: what of the call the integration gets.
type mappingPart struct {
	path                         string
	Params, Templates, CacheKeys []ui.RowValues
	Passthrough, Handling        string
	Namespace                    string
	problems                     problems
	none                         bool // the method has no integration yet
}

var (
	passthroughOptions = []ui.Option{{Value: "WHEN_NO_MATCH", Label: "Pass on bodies that no template is for"}, {Value: "WHEN_NO_TEMPLATES", Label: "Pass on only where there are no templates"}, {Value: "NEVER", Label: "Refuse bodies that no template is for (415)"}}
	handlingOptions    = []ui.Option{{Value: "", Label: "As it is"}, {Value: "CONVERT_TO_BINARY", Label: "To binary, from base64"}, {Value: "CONVERT_TO_TEXT", Label: "To text, as base64"}}
)

func (f *mappingPart) show(_ *model.Definition, m *model.Method) {
	f.Passthrough = "WHEN_NO_MATCH"
	g := m.Integration
	if f.none = g == nil; f.none {
		return
	}
	f.Params = fromNames("integration.request.", g.RequestParameters, func(s string) string { return s })
	f.Templates = textRows(g.RequestTemplates, true)
	f.Passthrough, f.Handling, f.Namespace = orName(g.PassthroughBehavior, "WHEN_NO_MATCH"), g.ContentHandling, g.CacheNamespace
	for _, k := range g.CacheKeyParameters {
		f.CacheKeys = append(f.CacheKeys, ui.RowValues{Cells: []string{k}})
	}
}

func (f *mappingPart) read(v *visit) {
	f.Params, f.Templates, f.CacheKeys = v.rows("params", sourceColumns), v.rows("templates", templateColumns), v.rows("cache", cacheKeyColumns)
	f.Passthrough, f.Handling, f.Namespace = v.value("passthrough"), v.value("handling"), v.value("namespace")
}

// among reports that a value is one of options.
func among(value string, options []ui.Option) bool {
	return slices.ContainsFunc(options, func(o ui.Option) bool { return o.Value == value })
}

func (f *mappingPart) apply(_ *model.Definition, m *model.Method) problems {
	p := &f.problems
	if m.Integration == nil {
		p.say("", "Set the integration first: there is nothing yet that a request could be made for")
		return f.problems
	}
	g := *m.Integration
	if !slices.Contains(model.Passthroughs, f.Passthrough) {
		p.say("passthrough", "Choose what becomes of bodies that no template is for")
	}
	if f.Handling != "" && !slices.Contains(model.ContentHandlings, f.Handling) {
		p.say("handling", "Choose what becomes of binary bodies")
	}
	if f.Passthrough == "WHEN_NO_MATCH" && g.PassthroughBehavior == "" {
		f.Passthrough = "" // it is what holds
	}
	g.PassthroughBehavior, g.ContentHandling, g.CacheNamespace = f.Passthrough, f.Handling, f.Namespace
	if len(f.Namespace) > 256 {
		p.say("namespace", "A cache namespace has at most 256 characters")
	}
	g.RequestParameters = orNil(toNames(p, "params", "integration.request.", f.Params, func(_, _, from string) string {
		if !requestSource.MatchString(from) {
			return "What it is filled from is one of " + sourceHint
		}
		return ""
	}))
	g.RequestTemplates = orNil(byType(p, "templates", "template", f.Templates))
	g.CacheKeyParameters = nil
	for i := range f.CacheKeys {
		r := &f.CacheKeys[i]
		if !cacheKey.MatchString(r.Cells[0]) {
			r.Error = "A cache key is a parameter of the request, such as method.request.querystring.page"
			p.say("cache", "%s", r.Error)
		} else if !slices.Contains(g.CacheKeyParameters, r.Cells[0]) {
			g.CacheKeyParameters = append(g.CacheKeyParameters, r.Cells[0])
		}
	}
	m.Integration = &g
	return f.problems
}

var cacheKey = regexp.MustCompile(`^(method|integration)\.request\.(header|multivalueheader|querystring|multivaluequerystring|path)\.[^\s]{1,256}$`)

// integrationPart is what answers.
type integrationPart struct {
	path                            string
	Type, URI, Verb, Timeout        string
	Connection, Target, Credentials string
	Transfer                        string
	Insecure                        bool
	policyFields
	problems problems
	links    []ui.Option
}

var (
	typeOptions = []ui.Option{{Value: model.IntegrationHTTPProxy, Label: "HTTP_PROXY: an upstream, call and answer as they are"}, {Value: model.IntegrationHTTP, Label: "HTTP: an upstream, with mapping"},
		{Value: model.IntegrationMock, Label: "MOCK: the gateway answers by itself"}, {Value: model.IntegrationAWSProxy, Label: "AWS_PROXY: a Lambda function"}, {Value: model.IntegrationAWS, Label: "AWS: a service of AWS, with mapping"}}
	transferOptions = []ui.Option{{Value: "", Label: "Whole, up to 10 MiB"}, {Value: "STREAM", Label: "As it comes (STREAM)"}}
	functionARN     = regexp.MustCompile(`^arn:aws[a-z-]*:lambda:([a-z0-9-]+):\d{12}:function:[^\s/]+$`)
)

func (f *integrationPart) show(_ *model.Definition, m *model.Method) {
	f.Type, f.Verb = model.IntegrationHTTPProxy, "ANY"
	g := m.Integration
	if g == nil {
		return
	}
	f.Type, f.URI, f.Verb, f.Credentials, f.Target, f.Insecure = g.Type, g.URI, orName(g.HTTPMethod, "ANY"), g.Credentials, g.IntegrationTarget, g.InsecureSkipVerify
	if f.Transfer = g.ResponseTransferMode; f.Transfer == "BUFFERED" {
		f.Transfer = ""
	}
	if g.TimeoutMillis != 0 {
		f.Timeout = strconv.Itoa(g.TimeoutMillis)
	}
	if g.ConnectionType == model.ConnectionVPCLink {
		f.Connection = g.ConnectionID
	}
	f.policyFields.show(g.Upstream)
}

func (f *integrationPart) read(v *visit) {
	f.Type, f.URI, f.Verb, f.Timeout = v.value("type"), v.value("uri"), v.value("upstream-verb"), v.value("timeout")
	f.Connection, f.Target, f.Credentials, f.Transfer, f.Insecure = v.value("connection"), v.value("target"), v.value("credentials"), v.value("transfer"), v.checked("insecure")
	f.policyFields.read(v)
}

func (f *integrationPart) apply(_ *model.Definition, m *model.Method) problems {
	p := &f.problems
	g := model.Integration{}
	if m.Integration != nil {
		g = *m.Integration
	}
	if !slices.Contains(model.IntegrationTypes, f.Type) {
		p.say("type", "%q is not one of HTTP_PROXY, HTTP, MOCK, AWS_PROXY and AWS", f.Type)
	}
	changed := g.Type != f.Type
	g.Type, g.TimeoutMillis = f.Type, 0
	if f.Timeout != "" {
		ms, err := strconv.Atoi(f.Timeout)
		if err != nil {
			p.say("timeout", "The timeout %q is not a whole number of milliseconds", f.Timeout)
		} else if ms == 0 {
			p.say("timeout", model.BadTimeout, model.MinTimeoutMillis, model.MaxTimeoutMillis)
		}
		g.TimeoutMillis = ms
	}
	if f.Type == model.IntegrationMock {
		g.URI, g.HTTPMethod, g.ConnectionType, g.ConnectionID, g.IntegrationTarget, g.Credentials, g.InsecureSkipVerify, g.ResponseTransferMode, g.Upstream = "", "", "", "", "", "", false, "", nil
		if changed && len(g.RequestTemplates) == 0 { // without it a mock answers 500
			g.RequestTemplates = map[string]string{"application/json": `{"statusCode": 200}`}
		}
		f.faults(&g)
		m.Integration = &g
		return f.problems
	}
	if f.Transfer != "" && !slices.Contains(model.TransferModes, f.Transfer) {
		p.say("transfer", "Choose how answers are passed on")
	}
	if len(f.URI)+len(f.Credentials)+len(f.Target) > 8192 {
		p.say("uri", "The address is too long")
	}
	g.HTTPMethod, g.Credentials, g.ResponseTransferMode = f.Verb, f.Credentials, f.Transfer
	switch f.Type {
	case model.IntegrationHTTP, model.IntegrationHTTPProxy:
		f.upstream(&g)
	default:
		f.service(&g)
	}
	f.faults(&g)
	m.Integration = &g
	return f.problems
}

// faults says at its field what the service would refuse, in its words, with what was
// typed and what it could be.
func (f *integrationPart) faults(g *model.Integration) {
	for _, x := range g.Faults() {
		switch x.Field {
		case "timeoutInMillis":
			f.problems.say("timeout", "%s; it is %q", x.Text, f.Timeout)
		case "httpMethod":
			f.problems.say("upstream-verb", "%s", x.Text)
		case "uri":
			such := "is not an address such as https://backend.example.com" + f.path
			if g.Type == model.IntegrationAWS || g.Type == model.IntegrationAWSProxy {
				such = "is neither a function's ARN nor one such as arn:aws:apigateway:us-east-1:dynamodb:action/GetItem"
			}
			f.problems.say("uri", "%s: %q %s", strings.TrimSuffix(x.Text, "."), f.URI, such)
		}
	}
}

// upstream sets what an address on the web has.
func (f *integrationPart) upstream(g *model.Integration) {
	p := &f.problems
	g.URI, g.InsecureSkipVerify, g.ConnectionType, g.ConnectionID, g.IntegrationTarget = f.URI, f.Insecure, "", "", f.Target
	if f.Connection != "" {
		g.ConnectionType, g.ConnectionID = model.ConnectionVPCLink, f.Connection
		if !among(f.Connection, f.links) && !strings.HasPrefix(f.Connection, "${stageVariables.") {
			p.say("connection", "There is no VPC link %q", f.Connection)
		}
	}
	g.Upstream = f.policy(p)
	if g.Type == model.IntegrationHTTPProxy {
		mapVariables(g, f.path)
	}
}

// service sets what a service of AWS has. A function's own ARN is as good as the one
// that it is invoked by.
func (f *integrationPart) service(g *model.Integration) {
	p := &f.problems
	if at := functionARN.FindStringSubmatch(f.URI); at != nil {
		f.URI = "arn:aws:apigateway:" + at[1] + ":lambda:path/2015-03-31/functions/" + f.URI + "/invocations"
	}
	if f.Type == model.IntegrationAWSProxy && f.Verb != "POST" && strings.Contains(f.URI, ":lambda:") {
		p.say("upstream-verb", "Lambda is invoked by POST")
	}
	if f.Credentials != "" && !strings.HasPrefix(f.Credentials, "arn:") {
		p.say("credentials", "Credentials are the ARN of a role, or arn:aws:iam::*:user/* for the caller's own")
	}
	g.URI, g.InsecureSkipVerify, g.ConnectionType, g.ConnectionID, g.IntegrationTarget, g.Upstream = f.URI, false, "", "", "", nil
}

// linkOptions are the account's VPC links.
func (v *visit) linkOptions() ([]ui.Option, error) {
	l, err := v.Plane.VPCLinks(v.ctx(), v.actor(), control.Page{Limit: 200})
	if err != nil {
		return nil, err
	}
	out := []ui.Option{{Value: "", Label: "The internet"}}
	for _, x := range l.Items {
		out = append(out, ui.Option{Value: x.ID, Label: "VPC link " + x.Name})
	}
	return out, nil
}

// answerPart is an integration response: which answers of the integration it is for,
// and what the caller gets of them.
type answerPart struct {
	Key               string // where the integration holds it; empty: new
	Status, Pattern   string
	Handling          string
	Params, Templates []ui.RowValues
	problems          problems
	undeclared        bool
}

func (f *answerPart) show(_ *model.Definition, m *model.Method) {
	f.Status = "200"
	if m.Integration == nil {
		return
	}
	x, ok := m.Integration.Responses[f.Key]
	if !ok {
		f.Key = ""
		return
	}
	f.Status, f.Pattern, f.Handling = x.StatusCode, x.Pattern(), x.ContentHandling
	if f.Status == "" {
		f.Status = f.Key
	}
	f.Params = fromNames("method.response.", x.ResponseParameters, func(s string) string { return s })
	f.Templates = textRows(x.ResponseTemplates, true)
	_, declared := m.Responses[f.Status]
	f.undeclared = !declared
}

func (f *answerPart) read(v *visit) {
	f.Status, f.Pattern, f.Handling = v.value("status"), v.raw("pattern"), v.value("handling")
	f.Params, f.Templates = v.rows("params", answerColumns), v.rows("templates", templateColumns)
}

func (f *answerPart) apply(_ *model.Definition, m *model.Method) problems {
	p := &f.problems
	if m.Integration == nil {
		p.say("", "Set the integration first: nothing answers yet")
		return f.problems
	}
	g := *m.Integration
	was, there := g.Responses[f.Key]
	if !model.ValidStatus(f.Status) {
		p.say("status", "The status %q is not a number between 100 and 599", f.Status)
	}
	for key, x := range g.Responses {
		switch {
		case there && key == f.Key:
		case x.StatusCode == f.Status:
			p.say("status", "There is an integration response for %s already", f.Status)
		case x.Pattern() == f.Pattern && f.Pattern != "":
			p.say("pattern", "The integration response for %s has the same pattern", x.StatusCode)
		case x.Pattern() == "" && f.Pattern == "":
			p.say("pattern", "The integration response for %s is the default already: say which answers this one is for, such as 404 or 5\\d{2}", x.StatusCode)
		}
	}
	if _, err := regexp.Compile(f.Pattern); err != nil {
		p.say("pattern", "The pattern is no regular expression: %v", err)
	}
	if f.Handling != "" && !slices.Contains(model.ContentHandlings, f.Handling) {
		p.say("handling", "Choose what becomes of binary bodies")
	}
	x := was
	x.StatusCode, x.ContentHandling = f.Status, f.Handling
	if x.SelectionPattern = &f.Pattern; f.Pattern == "" && was.SelectionPattern == nil {
		x.SelectionPattern = nil
	}
	x.ResponseParameters = orNil(toNames(p, "params", "method.response.", f.Params, func(in, _, from string) string {
		switch {
		case !strings.HasSuffix(in, "header"):
			return "An answer has headers alone"
		case !responseSource.MatchString(from):
			return "What it is filled from is one of 'text', integration.response.header.X, integration.response.body.field, context.requestId or stageVariables.name"
		}
		return ""
	}))
	x.ResponseTemplates = orNil(byType(p, "templates", "template", f.Templates))
	if len(f.problems) > 0 {
		return f.problems
	}
	g.Responses = maps.Clone(g.Responses)
	if g.Responses == nil {
		g.Responses = map[string]model.IntegrationResponse{}
	}
	key := f.Key
	if !there || key == was.StatusCode {
		delete(g.Responses, f.Key)
		key = f.Status
	}
	g.Responses[key] = x
	f.Key, m.Integration = key, &g
	declare(m, f.Status, x.ResponseParameters)
	return nil
}

// declare adds to a method's responses what an integration response fills.
func declare(m *model.Method, status string, params map[string]string) {
	m.Responses = maps.Clone(m.Responses)
	if m.Responses == nil {
		m.Responses = map[string]model.MethodResponse{}
	}
	r := m.Responses[status]
	r.Parameters = maps.Clone(r.Parameters)
	for name := range params {
		if _, ok := r.Parameters[name]; !ok {
			if r.Parameters == nil {
				r.Parameters = map[string]bool{}
			}
			r.Parameters[name] = false
		}
	}
	m.Responses[status] = r
}

// responsePart is a method response: what the method is said to answer with a status.
type responsePart struct {
	Key, Status     string
	Headers, Models []ui.RowValues
	problems        problems
	modelColumns    []ui.Column
}

func (f *responsePart) show(d *model.Definition, m *model.Method) {
	f.Status, f.modelColumns = "200", modelColumns(d)
	r, ok := m.Responses[f.Key]
	if !ok {
		f.Key = ""
		return
	}
	f.Status = f.Key
	f.Headers = fromNames("method.response.", r.Parameters, func(bool) string { return "" })
	f.Models = textRows(r.Models, false)
}

func (f *responsePart) read(v *visit) {
	f.Status, f.Headers, f.Models = v.value("status"), v.rows("headers", headerColumns), v.rows("models", modelColumns(&model.Definition{}))
}

func (f *responsePart) apply(d *model.Definition, m *model.Method) problems {
	p := &f.problems
	f.modelColumns = modelColumns(d)
	if !model.ValidStatus(f.Status) {
		p.say("status", "The status %q is not a number between 100 and 599", f.Status)
	}
	if _, ok := m.Responses[f.Status]; ok && f.Status != f.Key {
		p.say("status", "There is a method response for %s already", f.Status)
	}
	was := m.Responses[f.Key]
	r := model.MethodResponse{Models: namedModels(p, "models", d, f.Models)}
	for name := range toNames(p, "headers", "method.response.", f.Headers, func(in, _, _ string) string {
		if !strings.HasSuffix(in, "header") {
			return "An answer has headers alone"
		}
		return ""
	}) {
		if r.Parameters == nil {
			r.Parameters = map[string]bool{}
		}
		r.Parameters[name] = was.Parameters[name]
	}
	if len(f.problems) > 0 {
		return f.problems
	}
	m.Responses = maps.Clone(m.Responses)
	if m.Responses == nil {
		m.Responses = map[string]model.MethodResponse{}
	}
	delete(m.Responses, f.Key)
	m.Responses[f.Status], f.Key = r, f.Status
	return nil
}
