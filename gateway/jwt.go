package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf16"

	"tollgate/gateway/http1"
	"tollgate/gateway/token"
	"tollgate/gateway/vtl"
	"tollgate/model"
)

// tokenAuth is an authorizer of tokens: of type COGNITO_USER_POOLS or JWT. The methods of
// a program that name it share it.
type tokenAuth struct {
	id      string
	cognito bool
	header  string // that has the token, in lower case; "": query has it
	query   string
	pattern *regexp.Regexp // of the token; nil: any
	pools   []string       // ARNs of user pools, and issuers
	rules   token.Rules    // without the pools' issuers

	once sync.Once // over what follows
	v    *token.Verifier
	err  error
}

// maxIdentityPattern bounds an identityValidationExpression, in bytes.
const maxIdentityPattern = 1024

// compileToken is a method's authorization by tokens. Authorizers are kept in made, by
// their ids.
func compileToken(d *model.Definition, m *model.Method, made map[string]*tokenAuth) (authorize, error) {
	a := made[m.AuthorizerID]
	if a == nil {
		def := d.Authorizer(m.AuthorizerID)
		if def == nil {
			return nil, fmt.Errorf("there is no authorizer %q", m.AuthorizerID)
		}
		var err error
		if a, err = newTokenAuth(def); err != nil {
			return nil, fmt.Errorf("authorizer %s: %w", def.Name, err)
		}
		made[m.AuthorizerID] = a
	}
	if a.cognito != (m.AuthorizationType == model.AuthCognito) {
		return nil, fmt.Errorf("authorization %s takes an authorizer of that type, which %s is not", m.AuthorizationType, m.AuthorizerID)
	}
	scopes := m.AuthorizationScopes
	return func(c *call, x *http1.Exchange) kind { return a.authorize(c, x, scopes) }, nil
}

func newTokenAuth(def *model.Authorizer) (*tokenAuth, error) {
	a := &tokenAuth{id: def.ID, cognito: def.Type == model.AuthCognito}
	source := strings.TrimSpace(def.IdentitySource)
	if source == "" && !a.cognito {
		source = "method.request.header.Authorization"
	}
	if name, ok := strings.CutPrefix(source, "method.request.header."); ok && name != "" && !strings.Contains(name, ",") {
		a.header = strings.ToLower(name)
	} else if name, ok := strings.CutPrefix(source, "method.request.querystring."); ok && name != "" && !strings.Contains(name, ",") {
		a.query = name
	} else {
		return nil, fmt.Errorf("its identity source %q is no header or query parameter, such as method.request.header.Authorization", source)
	}
	var pattern *regexp.Regexp
	if e := def.IdentityValidationExpression; e != "" {
		if len(e) > maxIdentityPattern {
			return nil, fmt.Errorf("its identity validation expression has more than %d bytes", maxIdentityPattern)
		}
		var err error
		if pattern, err = regexp.Compile(`\A(?:` + e + `)\z`); err != nil {
			return nil, fmt.Errorf("its identity validation expression: %w", err)
		}
	}
	switch def.Type {
	case model.AuthCognito:
		a.rules.Audience = pattern // so the service has it for pools: of aud
		a.rules.Algorithms = algorithmSet(model.JWTAlgorithms)
		if len(def.ProviderARNs) == 0 || len(def.ProviderARNs) > token.MaxIssuers {
			return nil, fmt.Errorf("it has %d user pools; 1 to %d are served", len(def.ProviderARNs), token.MaxIssuers)
		}
		for _, p := range def.ProviderARNs {
			if _, err := (model.UserPools)(nil).Issuer(p); err != nil {
				return nil, err
			}
		}
		a.pools = def.ProviderARNs
	case model.AuthJWT:
		a.pattern = pattern
		c, err := model.ParseJWT(def.JWT)
		if err != nil {
			return nil, err
		}
		a.rules.Algorithms = algorithmSet(c.Algorithms)
		for _, i := range c.Issuers {
			t := token.Trust{Issuer: i.Issuer, Audiences: i.Audiences}
			for _, r := range i.Claims {
				t.Required = append(t.Required, token.Required{Name: r.Name, Values: r.Values, Always: r.Required})
			}
			a.rules.Trusted = append(a.rules.Trusted, t)
		}
	default:
		return nil, fmt.Errorf("its type %s takes no tokens", def.Type)
	}
	return a, nil
}

func algorithmSet(names []string) (out token.Algorithms) {
	for _, n := range names {
		if a, ok := token.ParseAlgorithm(n); ok {
			out = out.Add(a)
		}
	}
	return out
}

// issuers are those whose tokens are taken.
func (a *tokenAuth) issuers(pools model.UserPools) (out []string) {
	for _, p := range a.pools {
		if u, err := pools.Issuer(p); err == nil { // checked when it was made
			out = append(out, u)
		}
	}
	for _, t := range a.rules.Trusted {
		out = append(out, t.Issuer)
	}
	return out
}

// verifier is made at the first call: a program is compiled where there are no nodes, too.
func (a *tokenAuth) verifier(g *Gateway, tenant uint32) (*token.Verifier, error) {
	a.once.Do(func() {
		rules := a.rules
		if a.cognito {
			seen := map[string]bool{}
			for _, u := range a.issuers(g.o.UserPools) {
				if !seen[u] { // two pools may be one issuer here
					seen[u] = true
					rules.Trusted = append(rules.Trusted, token.Trust{Issuer: u})
				}
			}
		}
		a.v, a.err = g.tokens.Verifier(tenant, rules)
	})
	return a.v, a.err
}

// authorize lets in who has a good token with one of the scopes, if there are any. For
// user pools these say which token it is, too: an access token, and else an ID token.
func (a *tokenAuth) authorize(c *call, x *http1.Exchange, scopes []string) kind {
	text := a.identity(x)
	if len(text) == 0 {
		return a.refuse(c, "the call has no token", "")
	}
	v, err := a.verifier(c.g, c.tenant.num)
	if err != nil {
		c.why = err.Error()
		return authorizerFailure
	}
	t := v.Known(text, c.now)
	if t == nil {
		if !x.MayBlock() {
			x.Block()
			return later
		}
		if a.pattern != nil && !a.pattern.Match(text) {
			return a.refuse(c, "the token does not match the identity validation expression", "")
		}
		if t, err = v.Verify(text, c.now); err != nil {
			return a.failed(c, err)
		}
	}
	if a.cognito {
		if len(scopes) == 0 && t.Use == token.UseAccess {
			return a.refuse(c, "the method has no scopes, so it takes ID tokens, not access tokens", "")
		}
		if len(scopes) > 0 && t.Use == token.UseID {
			return a.refuse(c, "the method has scopes, so it takes access tokens, not ID tokens", "")
		}
	}
	if len(scopes) > 0 && !t.HasScope(scopes) {
		c.why = "the token has none of the method's scopes: " + strings.Join(scopes, " ")
		if !a.cognito {
			c.challenge = challenge("insufficient_scope", "the token does not have a scope that is required", scopes)
		}
		return accessDenied
	}
	if c.trace != nil {
		c.trace.say("Authorizer %s takes the token of %s", a.id, t.Subject)
	}
	c.own = caller{principal: t.Subject, token: t, typed: !a.cognito}
	c.caller = &c.own
	return proceed
}

// refuse answers a call without a good token.
func (a *tokenAuth) refuse(c *call, why, said string) kind {
	c.why, c.message = why, said
	if !a.cognito {
		c.challenge = challenge("invalid_token", why, nil)
	}
	return unauthorized
}

func (a *tokenAuth) failed(c *call, err error) kind {
	refused, ok := errors.AsType[token.Refused](err)
	if !ok {
		c.why = err.Error()
		return authorizerFailure
	}
	said := ""
	if refused == token.ErrExpired && a.cognito {
		said = "The incoming token has expired"
	}
	return a.refuse(c, string(refused), said)
}

// challenge is the header by which a client learns what is wrong with its token
// (RFC 6750), as HTTP APIs of Amazon API Gateway send it.
func challenge(code, description string, scopes []string) string {
	for _, s := range scopes {
		if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '"' || r == '\\' }) {
			scopes = nil // cannot be said
		}
	}
	return `Bearer scope="` + strings.Join(scopes, " ") + `" error="` + code + `" error_description="` + description + `"`
}

// identity is the token of a call, bare or after Bearer; none: it has none.
func (a *tokenAuth) identity(x *http1.Exchange) []byte {
	r := &x.Request
	var text []byte
	if a.header != "" {
		for i := r.N - 1; i >= 0; i-- {
			if f := &r.Fields[i]; http1.EqualFold(f.Name.Of(x.In), a.header) {
				text = f.Value.Of(x.In)
				break
			}
		}
	} else {
		text = []byte(queryValue(string(r.Query.Of(x.In)), a.query))
	}
	text = bytes.TrimSpace(text)
	if len(text) > 7 && http1.EqualFold(text[:7], "bearer ") {
		text = bytes.TrimSpace(text[7:])
	}
	return text
}

// queryValue is the last value of a query parameter.
func queryValue(query, name string) (out string) {
	for part := range strings.FieldsFuncSeq(query, func(r rune) bool { return r == '&' || r == ';' }) {
		if n, v, _ := strings.Cut(part, "="); unescapeQuery(n) == name {
			out = unescapeQuery(v)
		}
	}
	return out
}

// tokenContext is $context.authorizer: claims as text for user pools, as JSON else.
func (w *caller) tokenContext() *vtl.Map {
	out, claims := vtl.NewMap(), vtl.NewMap()
	for _, c := range w.token.Claims {
		claims.Set(c.Name, w.claim(c))
	}
	out.Set("claims", claims)
	if w.principal != "" {
		out.Set("principalId", w.principal)
	}
	if w.typed {
		scopes := &vtl.List{JSON: true}
		for _, s := range w.token.Scopes {
			scopes.Items = append(scopes.Items, s)
		}
		out.Set("scopes", scopes)
	}
	return out
}

// claim is one of the caller's token, as text.
func (w *caller) claim(c token.Claim) string {
	if w.typed {
		return ascii(c.JSON)
	}
	return claimText(c)
}

// appendTokenEvent appends requestContext.authorizer of an event for a function: claims
// as text for user pools, with their JSON types else.
func (w *caller) appendTokenEvent(dst []byte) []byte {
	dst = append(dst, `{"claims":{`...)
	for i, c := range w.token.Claims {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(dst, jsonText(c.Name)...), ':')
		if w.typed {
			dst = append(dst, c.JSON...)
		} else {
			dst = append(dst, jsonText(claimText(c))...)
		}
	}
	dst = append(dst, '}')
	if w.typed {
		dst = append(dst, `,"scopes":[`...)
		for i, s := range w.token.Scopes {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, jsonText(s)...)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

// claimText is a claim as the service gives those of user pools: dates as Java prints
// them, lists with commas.
func claimText(c token.Claim) string {
	if c.Name == "exp" || c.Name == "iat" {
		const most = 1 << 36 // seconds: four digits of a year
		if f, err := strconv.ParseFloat(c.JSON, 64); err == nil && f >= 0 && f < most {
			return time.Unix(int64(f), 0).UTC().Format("Mon Jan 02 15:04:05 UTC 2006")
		}
	}
	list, ok := token.Claims{c}.Texts(c.Name)
	if !ok {
		return c.JSON
	}
	return strings.Join(list, ",")
}

// ascii is JSON with escapes for all that is not ASCII.
func ascii(text string) string {
	if strings.IndexFunc(text, func(r rune) bool { return r >= 0x80 }) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case r < 0x80:
			b.WriteRune(r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04X\u%04X`, hi, lo)
		}
	}
	return b.String()
}
