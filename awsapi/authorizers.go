package awsapi

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tollgate/model"
)

var authorizers = handlers{
	"CreateAuthorizer": (*call).createAuthorizer,
	"GetAuthorizer":    (*call).getAuthorizer,
	"GetAuthorizers":   (*call).getAuthorizers,
	"UpdateAuthorizer": (*call).updateAuthorizer,
	"DeleteAuthorizer": (*call).deleteAuthorizer,
}

// authorizer is an authorizer's shape.
type authorizer struct {
	ID                           string          `json:"id"`
	Name                         string          `json:"name"`
	Type                         string          `json:"type"`
	ProviderARNs                 []string        `json:"providerARNs,omitempty"`
	AuthType                     string          `json:"authType,omitempty"`
	AuthorizerURI                string          `json:"authorizerUri,omitempty"`
	AuthorizerCredentials        string          `json:"authorizerCredentials,omitempty"`
	IdentitySource               string          `json:"identitySource,omitempty"`
	IdentityValidationExpression string          `json:"identityValidationExpression,omitempty"`
	ResultTTLSeconds             *int            `json:"authorizerResultTtlInSeconds,omitempty"`
	JWT                          json.RawMessage `json:"jwtConfiguration,omitempty"`
}

// Types of an authorizer.
const (
	authorizerToken   = "TOKEN"
	authorizerRequest = "REQUEST"
	authorizerCognito = "COGNITO_USER_POOLS"
	authorizerJWT     = "JWT"
)

// defaultTTL is how many seconds an authorizer's answer holds unless it says so.
const defaultTTL = 300

var authTypes = map[string]string{authorizerToken: "custom", authorizerRequest: "custom", authorizerCognito: "cognito_user_pools", authorizerJWT: "jwt"}

func asAuthorizer(a model.Authorizer) any {
	out := authorizer(a)
	if out.AuthType == "" {
		out.AuthType = authTypes[a.Type]
	}
	if out.ResultTTLSeconds == nil && (a.Type == authorizerToken || a.Type == authorizerRequest) {
		ttl := defaultTTL
		out.ResultTTLSeconds = &ttl
	}
	return out
}

var noAuthorizer = notFound("Invalid Authorizer identifier specified")

func (c *call) createAuthorizer() (any, error) {
	var in authorizer
	if err := c.in(&in); err != nil {
		return nil, err
	}
	bad := c.required("name", in.Name, "type", in.Type)
	if in.Type != "" && authTypes[in.Type] == "" {
		bad = append(bad, constraint{in.Type, c.input("type"), oneOf(authorizerRequest, authorizerToken, authorizerCognito)})
	}
	if len(bad) > 0 {
		return nil, invalid(bad...)
	}
	a := model.Authorizer(in)
	a.ID = model.NewID(6)
	if a.Type != authorizerJWT {
		a.JWT = nil
	}
	// The service answers so where the API is not there.
	noAPI := conflict("Unable to complete operation due to concurrent modification. Please try again later.")
	err := c.editPart(noAPI, func(d *model.Definition) error {
		d.Authorizers = append(d.Authorizers, a)
		return checkAuthorizer(d, &a)
	})
	if err != nil {
		return nil, err
	}
	return asAuthorizer(a), nil
}

var identityRef = regexp.MustCompile(`^(method\.request\.(header|querystring|multivalueheader|multivaluequerystring)\.[^\s,]+|stageVariables\.[^\s,]+|context\.[^\s,]+)$`)

// checkAuthorizer reports what no authorizer of an API may be.
func checkAuthorizer(d *model.Definition, a *model.Authorizer) error {
	for i := range d.Authorizers {
		if o := &d.Authorizers[i]; o.Name == a.Name && o.ID != a.ID {
			return badRequest("Authorizer name must be unique. Authorizer %.200s already exists in this RestApi.", a.Name)
		}
	}
	if strings.TrimSpace(a.Name) == "" {
		return badRequest("Authorizer name cannot be blank")
	}
	for _, s := range []struct{ what, value string }{
		{"name", a.Name}, {"authType", a.AuthType}, {"authorizerUri", a.AuthorizerURI}, {"authorizerCredentials", a.AuthorizerCredentials},
		{"identitySource", a.IdentitySource}, {"identityValidationExpression", a.IdentityValidationExpression},
	} {
		if len(s.value) > maxName {
			return badRequest("Authorizer %s exceeds maximum size of %d characters", s.what, maxName)
		}
	}
	ttl := defaultTTL
	if a.ResultTTLSeconds != nil {
		ttl = *a.ResultTTLSeconds
	}
	if ttl < 0 || ttl > model.MaxAuthorizerTTLSeconds {
		return badRequest("Invalid authorizer result TTL specified: %d. It must be between 0 and %d seconds.", ttl, model.MaxAuthorizerTTLSeconds)
	}
	switch a.Type {
	case authorizerToken, authorizerRequest:
		if !model.IsInvocationURI(a.AuthorizerURI) {
			return badRequest("Invalid Authorizer URI: %s. Authorizer URI should be a valid API Gateway ARN that represents a Lambda function invocation.", a.AuthorizerURI)
		}
	case authorizerCognito:
		if err := checkPools(a.ProviderARNs); err != nil {
			return err
		}
	case authorizerJWT:
		return checkJWT(a)
	}
	return checkIdentity(a, ttl)
}

func checkPools(arns []string) error {
	const most = 1000
	if len(arns) == 0 || len(arns) > most {
		return badRequest("A COGNITO_USER_POOLS authorizer needs 1 to %d provider ARNs, not %d", most, len(arns))
	}
	for _, arn := range arns {
		if _, err := (model.UserPools)(nil).Issuer(arn); err != nil {
			return badRequest("%s", model.MessageOf(err))
		}
	}
	return nil
}

// checkIdentity says whether there is something in a call that tells callers apart:
// without it, what is kept of one caller's answer would hold for all.
func checkIdentity(a *model.Authorizer, ttl int) error {
	if a.IdentitySource == "" {
		if a.Type == authorizerRequest && ttl == 0 {
			return nil
		}
		return badRequest("An identity source is required for authorizers of type %s%s", a.Type,
			map[bool]string{true: " whose results are cached"}[a.Type == authorizerRequest])
	}
	sources := strings.Split(a.IdentitySource, ",")
	for _, s := range sources {
		if !identityRef.MatchString(strings.TrimSpace(s)) {
			return badRequest("Invalid mapping expression specified: %.200s", s)
		}
	}
	byQuery := a.Type == authorizerJWT && strings.HasPrefix(a.IdentitySource, "method.request.querystring.")
	if a.Type != authorizerRequest && !byQuery && (len(sources) > 1 || !strings.HasPrefix(a.IdentitySource, "method.request.header.")) {
		return badRequest("Authorizers of type %s take one header as their identity source, not %.200s", a.Type, a.IdentitySource)
	}
	return nil
}

// checkJWT says what is wrong with whom an authorizer trusts.
func checkJWT(a *model.Authorizer) error {
	if _, err := model.ParseJWT(a.JWT); err != nil {
		return badRequest("%s", model.MessageOf(err))
	}
	if a.IdentitySource == "" {
		return nil // Authorization
	}
	return checkIdentity(a, 0)
}

func (c *call) getAuthorizer() (any, error) {
	d, err := c.apiOr(noAuthorizer)
	if err != nil {
		return nil, err
	}
	a := d.Authorizer(c.args["authorizer_id"])
	if a == nil {
		return nil, noAuthorizer
	}
	return asAuthorizer(*a), nil
}

func (c *call) getAuthorizers() (any, error) {
	a, err := c.api()
	if err != nil {
		return nil, err
	}
	key := func(a model.Authorizer) string { return a.ID }
	all := slices.SortedFunc(slices.Values(a.Definition.Authorizers), func(x, y model.Authorizer) int { return strings.Compare(x.ID, y.ID) })
	return paged(c, all, key, asAuthorizer)
}

func (c *call) updateAuthorizer() (any, error) {
	steps, err := c.patches()
	if err != nil {
		return nil, err
	}
	var out model.Authorizer
	err = c.editPart(noAuthorizer, func(d *model.Definition) error {
		a := d.Authorizer(c.args["authorizer_id"])
		if a == nil {
			return noAuthorizer
		}
		if err := patch(steps, authorizerRules(c, a)); err != nil {
			return err
		}
		out = *a
		return checkAuthorizer(d, a)
	})
	if err != nil {
		return nil, err
	}
	return asAuthorizer(out), nil
}

func authorizerRules(c *call, a *model.Authorizer) []patchRule {
	return []patchRule{
		{ops: "replace", pattern: "/name", apply: setText(&a.Name)},
		{ops: "replace", pattern: "/type", apply: func(p *patchOp, _ []string) error {
			if authTypes[p.value()] == "" {
				return invalid(constraint{p.value(), c.input("type"), oneOf(authorizerRequest, authorizerToken, authorizerCognito)})
			}
			a.Type = p.value()
			return nil
		}},
		{ops: "replace", pattern: "/authType", apply: setText(&a.AuthType)},
		{ops: "replace", pattern: "/authorizerUri", apply: setText(&a.AuthorizerURI)},
		{ops: "replace", pattern: "/authorizerCredentials", apply: setText(&a.AuthorizerCredentials)},
		{ops: "replace", pattern: "/authorizerResultTtlInSeconds", apply: func(p *patchOp, _ []string) error {
			n, err := strconv.Atoi(p.value())
			if err != nil {
				return badRequest("Invalid authorizer result TTL specified: %.200s. It must be between 0 and %d seconds.", p.value(), model.MaxAuthorizerTTLSeconds)
			}
			a.ResultTTLSeconds = &n
			return nil
		}},
		{ops: "replace", pattern: "/identityValidationExpression", apply: setText(&a.IdentityValidationExpression)},
		{ops: "replace", pattern: "/identitySource", apply: setText(&a.IdentitySource)},
		{ops: "replace", pattern: "/jwtConfiguration", hidden: a.Type != authorizerJWT, apply: func(p *patchOp, _ []string) error {
			a.JWT = json.RawMessage(p.value())
			return checkJWT(a)
		}},
		{ops: "add", pattern: "/identitySource", hidden: true, apply: func(p *patchOp, _ []string) error {
			a.IdentitySource = strings.Trim(a.IdentitySource+","+p.value(), ",")
			return nil
		}},
		{ops: "remove", pattern: "/identitySource", hidden: true, apply: func(p *patchOp, _ []string) error {
			if p.value() == "" {
				a.IdentitySource = ""
				return nil
			}
			sources := slices.DeleteFunc(strings.Split(a.IdentitySource, ","), func(s string) bool { return strings.TrimSpace(s) == p.value() })
			a.IdentitySource = strings.Join(sources, ",")
			return nil
		}},
		{ops: "add", pattern: "/providerARNs", apply: func(p *patchOp, _ []string) error {
			if !slices.Contains(a.ProviderARNs, p.value()) {
				a.ProviderARNs = append(a.ProviderARNs, p.value())
			}
			return nil
		}},
		{ops: "remove", pattern: "/providerARNs", hidden: true, apply: func(p *patchOp, _ []string) error {
			a.ProviderARNs = slices.DeleteFunc(a.ProviderARNs, func(arn string) bool { return arn == p.value() })
			return nil
		}},
	}
}

func (c *call) deleteAuthorizer() (any, error) {
	id := c.args["authorizer_id"]
	return nil, c.editPart(noAuthorizer, func(d *model.Definition) error {
		i := slices.IndexFunc(d.Authorizers, func(a model.Authorizer) bool { return a.ID == id })
		if i < 0 {
			return noAuthorizer
		}
		if path, verb, used := methodUsing(d, func(m *model.Method) bool { return m.AuthorizerID == id }); used {
			return conflict("Cannot delete authorizer '%s', is referenced in method: %s/%s", d.Authorizers[i].Name, verb, path)
		}
		d.Authorizers = slices.Delete(d.Authorizers, i, i+1)
		return nil
	})
}
