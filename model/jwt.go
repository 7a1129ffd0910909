package model

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// JWTConfiguration is what a JWT authorizer takes for a good token.
type JWTConfiguration struct {
	Algorithms []string    `json:"defaultAlgorithms"` // never empty
	Issuers    []JWTIssuer `json:"issuers"`
}

// JWTIssuer is one that is trusted, as an OpenID Connect issuer.
type JWTIssuer struct {
	Issuer    string     `json:"issuer"` // an https URL, exactly as in tokens
	Audiences []string   `json:"audiences"`
	Claims    []JWTClaim `json:"additionalClaims,omitempty"`
}

// JWTClaim is a claim that is a text, and what it may be.
type JWTClaim struct {
	Name     string   `json:"claimName"`
	Values   []string `json:"expectedValues,omitempty"` // one of them; none: any
	Format   string   `json:"format"`                   // SINGLE_STRING
	Required bool     `json:"required,omitempty"`       // else it counts where it is there
}

// Limits of a JWT authorizer.
const (
	MaxJWTBytes     = 64 << 10
	MaxJWTIssuers   = 20
	MaxJWTAudiences = 50
	MaxJWTClaims    = 20
	MaxJWTValues    = 20
	maxJWTText      = 2048
)

// JWTAlgorithms are those that tokens may be signed by: of Amazon API Gateway the first
// six.
var JWTAlgorithms = []string{"RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA", "Ed25519"}

// ParseJWT reads and checks an authorizer's jwtConfiguration. That of an HTTP API, with
// one issuer, is taken too.
func ParseJWT(text []byte) (*JWTConfiguration, error) {
	if len(text) > MaxJWTBytes {
		return nil, Errorf(Limit, "jwtConfiguration has %d bytes; at most %d are allowed", len(text), MaxJWTBytes)
	}
	var in struct {
		JWTConfiguration
		Issuer   string   `json:"issuer"`
		Audience []string `json:"audience"`
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return nil, Errorf(Invalid, "A JWT authorizer needs a jwtConfiguration with issuers")
	}
	c := &in.JWTConfiguration
	if in.Issuer != "" && len(c.Issuers) == 0 {
		c.Issuers = []JWTIssuer{{Issuer: in.Issuer, Audiences: in.Audience}}
	}
	if len(c.Algorithms) == 0 {
		c.Algorithms = []string{"RS256"}
	}
	for _, a := range c.Algorithms {
		if !slices.Contains(JWTAlgorithms, a) {
			return nil, Errorf(Invalid, "%.100q is no algorithm of tokens; use %s", a, strings.Join(JWTAlgorithms, ", "))
		}
	}
	switch n := len(c.Issuers); {
	case n == 0:
		return nil, Errorf(Invalid, "A JWT authorizer needs a jwtConfiguration with issuers")
	case n > MaxJWTIssuers:
		return nil, Errorf(Limit, "a JWT authorizer has at most %d issuers, not %d", MaxJWTIssuers, n)
	}
	seen := map[string]bool{}
	for i := range c.Issuers {
		if err := c.Issuers[i].check(); err != nil {
			return nil, err
		}
		if seen[c.Issuers[i].Issuer] {
			return nil, Errorf(Invalid, "issuer %q is there twice", c.Issuers[i].Issuer)
		}
		seen[c.Issuers[i].Issuer] = true
	}
	return c, nil
}

func (i *JWTIssuer) check() error {
	if !IssuerURL(i.Issuer) || len(i.Audiences) == 0 {
		return Errorf(Invalid, "Each issuer of a JWT authorizer has an https address without query or fragment, and audiences; %.200q has not", i.Issuer)
	}
	if len(i.Audiences) > MaxJWTAudiences || len(i.Claims) > MaxJWTClaims {
		return Errorf(Limit, "issuer %s has %d audiences and %d claims; at most %d and %d are allowed", i.Issuer, len(i.Audiences), len(i.Claims), MaxJWTAudiences, MaxJWTClaims)
	}
	if slices.Contains(i.Audiences, "") {
		return Errorf(Invalid, "issuer %s has an audience without text", i.Issuer)
	}
	for n := range i.Claims {
		c := &i.Claims[n]
		switch {
		case c.Name == "" || len(c.Name) > maxJWTText || slices.Contains([]string{"iss", "aud", "exp", "nbf", "iat", "scope", "scp"}, c.Name):
			return Errorf(Invalid, "issuer %s: claimName %.200q is empty, or a claim that is checked anyway", i.Issuer, c.Name)
		case c.Format != "SINGLE_STRING":
			return Errorf(Invalid, "issuer %s: claim %.200q has format %.100q; the only one is SINGLE_STRING", i.Issuer, c.Name, c.Format)
		case len(c.Values) > MaxJWTValues || slices.Contains(c.Values, ""):
			return Errorf(Invalid, "issuer %s: claim %.200q has an expected value without text, or more than %d", i.Issuer, c.Name, MaxJWTValues)
		}
	}
	return nil
}

// IssuerURL says whether a text is the address of an issuer behind TLS.
func IssuerURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "https" && strings.HasPrefix(text, "https://") && u.Hostname() != "" && u.User == nil &&
		!strings.ContainsAny(text, "?# \t\r\n") && len(text) <= maxJWTText
}

var (
	userPoolARN = regexp.MustCompile(`^arn:aws[a-z-]*:cognito-idp:([a-z0-9-]+):\d{12}:userpool/([\w-]+)$`)
	userPoolID  = regexp.MustCompile(`^[\w-]{1,100}$`)
)

// UserPoolARN takes apart the ARN of a user pool of Amazon Cognito.
func UserPoolARN(arn string) (region, pool string, ok bool) {
	m := userPoolARN.FindStringSubmatch(arn)
	if m == nil {
		return "", "", false
	}
	return m[1], m[2], true
}

// UserPools says who issues the tokens of a user pool, by the pool's ARN or id.
type UserPools map[string]string

// Issuer is that of a provider of a COGNITO_USER_POOLS authorizer: what the operator has
// set for the pool, or else Amazon's own. An https URL is an issuer itself.
func (p UserPools) Issuer(provider string) (string, error) {
	if IssuerURL(provider) {
		return provider, nil
	}
	region, pool, ok := UserPoolARN(provider)
	if !ok {
		return "", Errorf(Invalid, "Invalid Cognito User Pool ARN specified: %.200s", provider)
	}
	for _, name := range []string{provider, pool} {
		if u := p[name]; u != "" {
			return u, nil
		}
	}
	suffix := ""
	if strings.HasPrefix(region, "cn-") {
		suffix = ".cn"
	}
	return "https://cognito-idp." + region + ".amazonaws.com" + suffix + "/" + pool, nil
}

// ParseUserPools reads pools and their issuers: id=URL or ARN=URL, with commas. The
// operator may name an issuer without TLS, in a network that is trusted.
func ParseUserPools(text string) (UserPools, error) {
	out := UserPools{}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, issuer, ok := strings.Cut(part, "=")
		if _, _, arn := UserPoolARN(name); !ok || !arn && !userPoolID.MatchString(name) {
			return nil, Errorf(Invalid, "%.200q is not a user pool with its issuer, such as us-east-1_abc=https://issuer.example.com", part)
		}
		if !IssuerURL(issuer) && !(strings.HasPrefix(issuer, "http://") && IssuerURL("https"+strings.TrimPrefix(issuer, "http"))) {
			return nil, Errorf(Invalid, "user pool %s: %.200q is not the URL of an issuer", name, issuer)
		}
		if out[name] != "" {
			return nil, Errorf(Invalid, "user pool %s is there twice", name)
		}
		out[name] = issuer
	}
	return out, nil
}
