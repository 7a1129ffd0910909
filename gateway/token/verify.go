package token

import (
	"crypto/sha256"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// leeway is how far an issuer's clock may be ahead. Tokens end when they say.
	leeway = 30 * time.Second
	// maxKept is how long a verified token is taken without being verified again.
	maxKept = 5 * time.Minute
)

// Trust is what a verifier asks of one issuer's tokens.
type Trust struct {
	Issuer    string   // exactly as in tokens
	Audiences []string // the token is for one of them; none: for anybody
	Required  []Required
}

// Required is a claim whose value is a text.
type Required struct {
	Name   string
	Values []string // one of them is its value; none: any
	Always bool     // the token has it; else it counts where it is there
}

// Rules of a verifier.
type Rules struct {
	Algorithms Algorithms
	Trusted    []Trust
	Audience   *regexp.Regexp // matches the token's audience as a whole; nil: any
}

// Verifier verifies tokens by its rules. Use Ring.Verifier.
type Verifier struct {
	ring    *Ring
	id      uint64
	tenant  *tenant
	rules   Rules
	trusted map[string]*trusted
}

type trusted struct {
	*Trust
	issuer *Issuer
}

// Verifier makes one for a tenant's callers.
func (r *Ring) Verifier(tenant uint32, rules Rules) (*Verifier, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids++
	v := &Verifier{ring: r, id: r.ids, tenant: r.tenantOf(tenant), rules: rules, trusted: make(map[string]*trusted, len(rules.Trusted))}
	for n := range rules.Trusted {
		t := &rules.Trusted[n]
		i, err := r.issuer(v.tenant, t.Issuer)
		if err != nil {
			return nil, err
		}
		if v.trusted[t.Issuer] != nil {
			return nil, fmt.Errorf("issuer %.200q is there twice", t.Issuer)
		}
		v.trusted[t.Issuer] = &trusted{t, i}
	}
	return v, nil
}

// Uses of a token: what its issuer made it for.
const (
	UseAccess = "access" // to call APIs
	UseID     = "id"     // to tell who somebody is
)

// Token is one that was verified. It is shared by calls and never changed.
type Token struct {
	Subject string
	Claims  Claims
	Scopes  []string
	Use     string // UseAccess, UseID, or "" where the token does not say
	expires time.Time
	key     *key
	size    int64
}

// HasScope says whether the token has one of some scopes.
func (t *Token) HasScope(scopes []string) bool {
	return slices.ContainsFunc(scopes, func(s string) bool { return slices.Contains(t.Scopes, s) })
}

// Known is a token that was verified before and is valid still; nil: it must be
// verified. It neither waits nor allocates.
func (v *Verifier) Known(text []byte, now time.Time) *Token {
	if len(text) > MaxBytes {
		return nil
	}
	return v.ring.cache.get(id{v.id, sha256.Sum256(text)}, now)
}

// Verify reads a token and verifies it. It may wait for the issuer's keys. An error that
// is no Refused says nothing of the token.
func (v *Verifier) Verify(text []byte, now time.Time) (*Token, error) {
	p, err := parse(text)
	if err != nil {
		return nil, err
	}
	if !v.rules.Algorithms.Has(p.alg) {
		return nil, ErrAlgorithm
	}
	// What costs nothing comes first: signatures and fetches are for tokens that would
	// be taken with them.
	iss, _ := p.claims.Text("iss")
	trust := v.trusted[iss]
	if trust == nil {
		return nil, ErrIssuer
	}
	until, err := p.times(now)
	if err != nil {
		return nil, err
	}
	if err := v.audience(p, trust.Trust); err != nil {
		return nil, err
	}
	for n := range trust.Required {
		if !trust.Required[n].met(p.claims) {
			return nil, ErrClaim
		}
	}
	if p.kid == "" {
		return nil, ErrKeyID
	}
	keys, err := trust.issuer.keys(p.kid, now)
	if err != nil {
		return nil, err
	}
	err = ErrKey
	for _, k := range keys {
		if !k.algs.Has(p.alg) {
			continue
		}
		v.tenant.checks <- struct{}{}
		ok := p.alg.verify(k.public, p.signed, p.signature)
		<-v.tenant.checks
		if ok {
			t := p.token(k)
			t.expires = until
			v.ring.cache.put(&v.tenant.held, id{v.id, sha256.Sum256(text)}, t, now)
			return t, nil
		}
		err = ErrSignature
	}
	return nil, err
}

// times checks when the token is valid, and says until when it is.
func (p *parsed) times(now time.Time) (until time.Time, err error) {
	until, there, ok := p.claims.date("exp")
	if !there || !ok {
		return until, ErrMalformed // one without an end would be valid for ever
	}
	if !until.After(now) {
		return until, ErrExpired
	}
	for _, name := range []string{"nbf", "iat"} {
		at, there, ok := p.claims.date(name)
		if !ok {
			return until, ErrMalformed
		}
		if there && at.After(now.Add(leeway)) {
			return until, ErrEarly
		}
	}
	return until, nil
}

// audience checks for whom the token is: aud, or client_id where there is none, as
// access tokens of Amazon Cognito are.
func (v *Verifier) audience(p *parsed, t *Trust) error {
	name := "aud"
	if p.claims.JSON(name) == "" {
		name = "client_id"
	}
	aud, ok := p.claims.Texts(name)
	if t.Audiences != nil && (!ok || !slices.ContainsFunc(aud, func(a string) bool { return slices.Contains(t.Audiences, a) })) {
		return ErrAudience
	}
	if v.rules.Audience != nil && (!ok || !slices.ContainsFunc(aud, v.rules.Audience.MatchString)) {
		return ErrAudience
	}
	return nil
}

func (r *Required) met(c Claims) bool {
	if c.JSON(r.Name) == "" {
		return !r.Always
	}
	v, ok := c.Text(r.Name)
	return ok && (len(r.Values) == 0 || slices.Contains(r.Values, v))
}

func (p *parsed) token(k *key) *Token {
	t := &Token{Claims: p.claims, key: k}
	t.Subject, _ = p.claims.Text("sub")
	t.Use, _ = p.claims.Text("token_use")
	if t.Use == "" && p.access {
		t.Use = UseAccess
	}
	for _, name := range []string{"scope", "scp"} {
		list, _ := p.claims.Texts(name)
		for _, s := range list {
			t.Scopes = append(t.Scopes, strings.Fields(s)...)
		}
	}
	t.size = 512 // entry, token and the like
	for _, c := range t.Claims {
		t.size += int64(2*len(c.JSON)+len(c.Name)) + 64 // scopes are there twice
	}
	return t
}

// share is what one tenant's tokens take of the cache, in bytes.
type share struct{ bytes atomic.Int64 }
