package openapi

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tollgate/model"
)

// bodies notes the models of an operation's body and of its answers, and the
// headers of these.
func (im *importer) bodies(m *method, layers []loc, op loc) {
	use := func(set map[string]string, kind string, s loc) map[string]string {
		name := im.modelOf(s)
		if name == "" {
			return set
		}
		if set == nil {
			set = map[string]string{}
		}
		set[kind] = name
		im.weight -= len(kind) + len(name)
		return set
	}
	types := func(field string) []string {
		list := op.get(field)
		if !list.there() {
			list = im.root.get(field)
		}
		var out []string
		for _, t := range list.items() {
			im.work--
			out = append(out, t.text())
		}
		if out == nil {
			out = []string{"application/json"}
		}
		return out
	}
	if im.swagger {
		for _, owner := range append([]loc{op}, layers...) {
			for _, p := range owner.get("parameters").items() {
				if p, ok := im.follow(p); ok && p.get("in").text() == "body" && m.RequestModels == nil {
					for _, t := range types("consumes") {
						m.RequestModels = use(m.RequestModels, t, p.get("schema"))
					}
				}
			}
		}
	} else if body, ok := im.follow(op.get("requestBody")); ok {
		for _, t := range body.get("content").fields() {
			im.work--
			m.RequestModels = use(m.RequestModels, t.name(), t.get("schema"))
		}
	}
	for _, f := range op.get("responses").fields() {
		if im.work--; im.work < 0 || im.weight < 0 {
			return
		}
		a, ok := im.follow(f)
		if !ok || !model.ValidStatus(f.name()) {
			continue
		}
		var out model.MethodResponse
		for _, h := range a.get("headers").fields() {
			if out.Parameters == nil {
				out.Parameters = map[string]bool{}
			}
			out.Parameters["method.response.header."+h.name()] = false
			im.weight -= len(h.name()) + 30
		}
		if im.swagger {
			for _, t := range types("produces") {
				out.Models = use(out.Models, t, a.get("schema"))
			}
		}
		for _, t := range a.get("content").fields() {
			im.work--
			out.Models = use(out.Models, t.name(), t.get("schema"))
		}
		if m.Responses == nil {
			m.Responses = map[string]model.MethodResponse{}
		}
		m.Responses[f.name()] = out
		im.weight -= 40
	}
}

// requestValidators reads what the document's validators check.
func (im *importer) requestValidators(f loc) {
	for _, v := range f.fields() {
		if len(im.definition.RequestValidators) >= model.MaxRequestValidators {
			im.say(model.SeverityError, v, "there are more than %d request validators; this one is missing", model.MaxRequestValidators)
			return
		}
		if im.definition.RequestValidator(partID("validator", v.name())) == nil {
			im.definition.RequestValidators = append(im.definition.RequestValidators, model.RequestValidator{
				ID: partID("validator", v.name()), Name: v.name(), Body: v.get("validateRequestBody").isTrue(), Parameters: v.get("validateRequestParameters").isTrue()})
		}
	}
}

// authorizer keeps what a security scheme says of its authorizer, and gives its id.
func (im *importer) authorizer(scheme loc, name string) string {
	x := scheme.get(aws + "authorizer")
	if followed, ok := im.follow(x); ok {
		x = followed
	}
	a := model.Authorizer{ID: partID("authorizer", name), Name: name, AuthType: scheme.get(aws + "authtype").text(),
		Type: strings.ToUpper(im.str(x.get("type"))), AuthorizerURI: im.str(x.get("authorizerUri")), AuthorizerCredentials: im.str(x.get("authorizerCredentials")),
		IdentitySource: im.str(x.get("identitySource")), IdentityValidationExpression: im.str(x.get("identityValidationExpression"))}
	for _, arn := range x.get("providerARNs").items() {
		a.ProviderARNs = append(a.ProviderARNs, im.str(arn))
	}
	if a.Type == "" {
		a.Type = "TOKEN"
		if strings.EqualFold(a.AuthType, "cognito_user_pools") {
			a.Type = model.AuthCognito
		}
	}
	if name, ok := strings.CutPrefix(a.IdentitySource, "$request."); ok { // as HTTP APIs write it
		a.IdentitySource = "method.request." + name
	}
	if a.IdentitySource == "" && (a.Type == "TOKEN" || a.Type == model.AuthCognito || a.Type == model.AuthJWT) && scheme.get("name").text() != "" {
		a.IdentitySource = "method.request.header." + scheme.get("name").text()
	}
	if t := x.get("authorizerResultTtlInSeconds"); t.is(scalar) {
		n, err := strconv.Atoi(t.text())
		if err != nil || n < 0 || n > 3600 {
			im.say(model.SeverityError, t, "authorizerResultTtlInSeconds %s is not between 0 and 3600; the default of 300 is used", quote(t.text()))
		} else {
			a.ResultTTLSeconds = &n
		}
	}
	if j := x.get("jwtConfiguration"); j.is(mapping) {
		im.weight -= j.node.weightOf()
		if im.weight >= 0 {
			a.JWT = json.RawMessage(im.schema(nil, j.node))
			if _, err := model.ParseJWT(a.JWT); err != nil {
				im.say(model.SeverityError, j, "%s", model.MessageOf(err))
			}
		}
	}
	if len(im.definition.Authorizers) >= model.MaxAuthorizers {
		im.unserved(scheme, "there are more authorizers than can be kept")
		return a.ID
	}
	if im.definition.Authorizer(a.ID) == nil {
		im.weight -= len(a.AuthorizerURI) + len(a.IdentitySource) + 200
		im.definition.Authorizers = append(im.definition.Authorizers, a)
	}
	return a.ID
}

func (im *importer) gatewayResponses(f loc) {
	for _, e := range f.fields() {
		if len(im.definition.GatewayResponses) > 100 {
			im.say(model.SeverityError, e, "there are more kinds of gateway responses than there can be; this one is missing")
			return
		}
		if im.definition.GatewayResponses == nil {
			im.definition.GatewayResponses = map[string]model.GatewayResponse{}
		}
		im.definition.GatewayResponses[strings.ToUpper(e.name())] = model.GatewayResponse{
			StatusCode: im.str(e.get("statusCode")), Parameters: im.strs(orNull(e.get("responseParameters"))), Templates: im.strs(orNull(e.get("responseTemplates")))}
		im.weight -= e.node.weightOf()
	}
}

// policy is kept as JSON text.
func (im *importer) policy(f loc) {
	im.weight -= f.node.weightOf()
	switch {
	case f.is(mapping) && f.node.weightOf() <= 4*model.MaxPolicyBytes:
		im.definition.Policy = string(im.schema(nil, f.node))
	case f.is(scalar):
		im.definition.Policy = f.text()
	}
	if p := im.definition.Policy; p == "" || len(p) > model.MaxPolicyBytes || !json.Valid([]byte(p)) {
		im.definition.Policy = ""
		im.unserved(f, "the resource policy is no JSON object that can be kept: without it the API would be open to callers it keeps out")
	}
}

func (im *importer) compression(f loc) {
	n, err := strconv.Atoi(f.text())
	if err != nil || n < 0 || n > 10<<20 {
		im.say(model.SeverityError, f, "the minimum compression size %s is not between 0 and 10485760; answers are not compressed", quote(f.text()))
		return
	}
	im.definition.MinimumCompressionSize = &n
}

// tags are those that have a value for Amazon API Gateway.
func (im *importer) tags() {
	for _, t := range im.root.get("tags").items() {
		v := t.get(aws + "tag-value")
		if !v.is(scalar) {
			continue
		}
		im.handled[v.node] = true
		if im.res.Tags == nil {
			im.res.Tags = map[string]string{}
		}
		im.res.Tags[t.get("name").text()] = v.text()
	}
}

// document keeps what the document says in words of a place, unless it has said
// something of it before.
func (im *importer) document(l model.DocumentationLocation, fields ...loc) {
	var b []byte
	for _, f := range fields {
		if !f.there() || f.is(null) || f.is(scalar) && strings.TrimSpace(f.text()) == "" || ofNoUse.MatchString(f.text()) {
			continue
		}
		im.weight -= f.node.weightOf()
		if im.weight < 0 {
			return
		}
		b = append(appendString(append(b, ','), f.name()), ':')
		b = im.schema(b, f.node)
	}
	if b == nil {
		return
	}
	b[0] = '{'
	im.keepPart(model.DocumentationPart{Location: l, Properties: string(append(b, '}'))})
}

// ofNoUse are descriptions that an export writes where there is none.
var ofNoUse = regexp.MustCompile(`^\d\d\d response$`)

func (im *importer) keepPart(p model.DocumentationPart) {
	p.Location = p.Location.Full()
	l := p.Location
	if im.documented == nil {
		im.documented = map[model.DocumentationLocation]bool{}
	}
	if im.documented[l] || p.Check() != nil {
		return
	}
	if len(im.definition.Documentation) >= model.MaxDocumentationParts {
		if im.once("\x00documentation") {
			im.say(model.SeverityWarning, im.root, "there are more than %d places in words; the others are kept in the author's bytes alone", model.MaxDocumentationParts)
		}
		return
	}
	im.documented[l] = true
	p.ID = partID("documentation", strings.Join([]string{l.Type, l.Path, l.Method, l.StatusCode, l.Name}, "\x00"))
	im.definition.Documentation = append(im.definition.Documentation, p)
}

// documentation reads the parts that the document lists; they go before what it
// says in passing.
func (im *importer) documentation(f loc) {
	im.weight -= f.node.weightOf()
	if im.weight < 0 {
		return
	}
	parts, warnings, err := Documentation(im.schema(nil, f.node))
	if err != nil {
		im.say(model.SeverityError, f, "%s", model.MessageOf(err))
		return
	}
	for _, w := range warnings {
		im.say(model.SeverityError, f, "%s", w)
	}
	for _, p := range slices.Backward(parts) { // of two for one place the later counts
		im.keepPart(p)
	}
	slices.Reverse(im.definition.Documentation)
}

// words notes what an operation says of itself.
func (im *importer) words(path, verb string, layers []loc, op loc) {
	if im.options.NoWords {
		return
	}
	at := func(kind, status, name string) model.DocumentationLocation {
		return model.DocumentationLocation{Type: kind, Path: path, Method: verb, StatusCode: status, Name: name}
	}
	im.document(at("METHOD", "", ""), op.get("tags"), op.get("summary"), op.get("description"), op.get("externalDocs"), op.get("deprecated"))
	kinds := map[string]string{"path": "PATH_PARAMETER", "query": "QUERY_PARAMETER", "header": "REQUEST_HEADER", "body": "REQUEST_BODY"}
	for _, owner := range append([]loc{op}, layers...) {
		for _, p := range owner.get("parameters").items() {
			if im.work--; im.work < 0 {
				return
			}
			p, ok := im.follow(p)
			kind, name := kinds[p.get("in").text()], p.get("name").text()
			if !ok || kind == "" {
				continue
			}
			if kind == "REQUEST_BODY" {
				name = ""
			}
			im.document(at(kind, "", name), p.get("description"))
		}
	}
	if body, ok := im.follow(op.get("requestBody")); ok {
		im.document(at("REQUEST_BODY", "", ""), body.get("description"))
	}
	for _, f := range op.get("responses").fields() {
		if im.work--; im.work < 0 {
			return
		}
		a, ok := im.follow(f)
		if !ok || !model.ValidStatus(f.name()) {
			continue
		}
		im.document(at("RESPONSE", f.name(), ""), a.get("description"))
		for _, h := range a.get("headers").fields() {
			if said, ok := im.follow(h); ok {
				im.document(at("RESPONSE_HEADER", f.name(), h.name()), said.get("description"))
			}
		}
	}
}
