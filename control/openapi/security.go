package openapi

import (
	"strings"

	"tollgate/model"
)

// scheme is what a security scheme asks of the gateway: an API key, an
// authorizer, or nothing because the upstream checks it.
type scheme struct {
	at       loc
	key      bool
	authType string // "" without an authorizer
	id       string // of the authorizer
	what     string // in words
	used     int
}

func (im *importer) securitySchemes() {
	im.schemes = map[string]*scheme{}
	// Documents that were converted by hand have either under either version.
	all := append(im.root.get("securityDefinitions").fields(), im.root.get("components").get("securitySchemes").fields()...)
	for _, f := range all {
		l, ok := im.follow(f)
		if !ok {
			continue // undefined, as far as a requirement is concerned: fails closed
		}
		s := &scheme{at: f}
		kind, in, name := l.get("type").text(), l.get("in").text(), l.get("name").text()
		switch {
		case kind == "apiKey":
			s.what = "apiKey in " + in + " " + name
		case kind == "http":
			s.what = "http " + l.get("scheme").text()
		default:
			s.what = kind
		}
		s.authType = im.authorizerType(l)
		s.key = s.authType == "" && strings.EqualFold(kind, "apiKey") && strings.EqualFold(in, "header") && strings.EqualFold(name, "x-api-key")
		if s.authType != "" && s.authType != model.AuthIAM {
			s.id = im.authorizer(l, f.name())
		}
		im.schemes[f.name()] = s
	}
}

// authorizerType is the authorization a scheme's extensions ask for. What is not
// understood counts as a custom authorizer, so that it is never passed over.
func (im *importer) authorizerType(l loc) string {
	authType, authorizer := l.get("x-amazon-apigateway-authtype"), l.get("x-amazon-apigateway-authorizer")
	if !authType.there() && !authorizer.there() {
		return ""
	}
	im.handled[authType.node], im.handled[authorizer.node] = true, true
	if strings.EqualFold(authType.text(), "awsSigv4") {
		return model.AuthIAM
	}
	kind := authorizer.get("type").text()
	if kind == "" {
		kind = authType.text()
	}
	switch strings.ToLower(kind) {
	case "cognito_user_pools":
		return model.AuthCognito
	case "jwt":
		return model.AuthJWT
	}
	return model.AuthCustom
}

// secure sets what callers must show, from the operation's requirements or else
// the document's. Where requirements are alternatives, the method asks for every
// one the gateway checks: the other reading would let calls in without a key.
func (im *importer) secure(m *method, op loc) {
	requirements, inherited := op.get("security"), false
	if !requirements.there() || requirements.is(null) {
		requirements, inherited = im.security, true
	}
	alternatives := requirements.items()
	if requirements.is(mapping) || requirements.is(scalar) {
		im.warnOnce(requirements, "security is a list of requirements; this is read as a list of one")
		alternatives = []loc{requirements}
	}
	keyed, authorized := 0, false
	im.work -= len(alternatives)
	for _, a := range alternatives {
		key, auth := im.requirement(m, a)
		if key {
			keyed++
		}
		authorized = authorized || auth
	}
	if keyed > 0 {
		m.APIKeyRequired = true
		if keyed < len(alternatives) {
			im.tally(model.SeverityInfo, requirements, "an API key is one of several alternatives; the gateway requires it, as Amazon API Gateway does (operations: %d)")
		}
	}
	if inherited && (keyed > 0 || authorized) {
		im.tally(model.SeverityInfo, requirements, "the document's own security is applied to the operations that have none of theirs (%d); Amazon API Gateway would ignore it and leave them open")
	}
	im.auth(m, op.get("x-amazon-apigateway-auth"))
	if im.options.RequireKey {
		m.APIKeyRequired = true
	}
}

// requirement applies one alternative to the method.
func (im *importer) requirement(m *method, alternative loc) (key, authorized bool) {
	fields := alternative.fields()
	switch {
	case alternative.is(sequence), alternative.is(null):
		im.unserved(alternative, "a security requirement is an object of scheme names; this one cannot be read")
	case alternative.is(scalar):
		fields = []loc{{node: alternative.node, key: alternative.node, at: alternative.at}}
	}
	for _, f := range fields {
		im.work--
		s := im.schemes[f.name()]
		switch {
		case s == nil && f.name() == "NONE": // SAM's word for an operation without an authorizer
		case s == nil:
			im.unserved(f, "an operation requires the security scheme "+quote(f.name())+", which the document does not define")
		case s.key:
			s.used++
			key = true
		case s.authType != "":
			s.used++
			authorized = true
			if m.AuthorizationType != model.AuthNone {
				if m.AuthorizerID != s.id && m.AuthorizationType != s.authType {
					im.warnOnce(f, "a method has one authorizer; %s is not checked beside the first", quote(f.name()))
				}
				continue
			}
			m.AuthorizationType = s.authType
			if s.authType != model.AuthIAM {
				m.AuthorizerID = s.id
			}
			for _, scope := range f.items() {
				m.AuthorizationScopes = append(m.AuthorizationScopes, im.str(scope))
				im.weight -= len(scope.text())
				im.work--
			}
		default:
			s.used++
		}
	}
	return key, authorized
}

// auth applies x-amazon-apigateway-auth. It may ask for more than the security
// requirements do, never for less.
func (im *importer) auth(m *method, auth loc) {
	if !auth.there() || auth.is(null) {
		return
	}
	im.handled[auth.node] = true
	switch t := auth.get("type"); strings.ToUpper(t.text()) {
	case "":
		if t.there() || !auth.is(mapping) {
			m.AuthorizationType = model.AuthCustom
			im.say(model.SeverityWarning, auth, "the authorization type cannot be read; the method counts as one with an authorizer")
		}
	case "NONE":
		if m.AuthorizationType != model.AuthNone {
			im.say(model.SeverityWarning, auth, "type NONE contradicts the operation's security; the authorizer is kept")
		}
	case "AWS_IAM":
		m.AuthorizationType, m.AuthorizerID, m.AuthorizationScopes = model.AuthIAM, "", nil
	default:
		m.AuthorizationType, m.AuthorizerID = strings.ToUpper(truncate(t.text(), maxText, maxText)), ""
	}
}

func (im *importer) warnOnce(at loc, format string, a ...any) {
	if im.once(at.at + "\x00" + format) {
		im.say(model.SeverityWarning, at, format, a...)
	}
}

// schemesLeft says who checks the schemes that the gateway does not.
func (im *importer) schemesLeft() {
	for _, name := range sortedKeys(im.schemes) {
		switch s := im.schemes[name]; {
		case s.key && s.used == 0:
			im.say(model.SeverityInfo, s.at, "security scheme %s is an API key, but no operation requires it: only --require-key makes calls need one", quote(name))
		case s.key, s.used == 0, s.authType != "": // not there, or the gateway's to check
		default:
			im.say(model.SeverityInfo, s.at, "security scheme %s (%s) is checked by the upstream: the gateway passes it on and does not check it", quote(name), s.what)
		}
	}
}
