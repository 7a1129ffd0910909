package gateway

import (
	"cmp"
	"fmt"
	"net/netip"

	"tollgate/gateway/http1"
	"tollgate/gateway/policy"
	"tollgate/gateway/token"
	"tollgate/gateway/vtl"
	"tollgate/model"
)

// caller is what authorization found out about who calls.
type caller struct {
	principal   string
	authorizer  *vtl.Map     // $context.authorizer; nil: none
	identity    [][2]string  // fields of $context.identity, beside those that every call has
	usageKey    string       // usageIdentifierKey: the API key that an authorizer gave
	invalidates func() bool  // may ask for a fresh answer in place of a cached one; nil: it may not
	token       *token.Token // that was shown; nil: none
	typed       bool         // its claims keep their types
}

// context is $context.authorizer, for templates, which may change it; nil: there is none.
func (w *caller) context() *vtl.Map {
	switch {
	case w.token != nil:
		return w.tokenContext()
	case w.authorizer != nil:
		return w.authorizer.Clone()
	}
	return nil
}

// authorize says whether a method may be called, and sets the call's caller. It may
// run twice for one call, where it has to wait: see Exchange.MayBlock.
type authorize func(c *call, x *http1.Exchange) kind

// access lets in those who may call the method. Nothing of the call was counted or
// acted upon before it.
//
// A resource policy is asked first, and its explicit deny ends the call before anybody
// else is asked. What else it says is joined with the method's authorization: one that
// judges by a policy of its own (judges) does that with permits; for others, and without
// any, the resource policy must allow explicitly.
func (c *call) access(x *http1.Exchange) kind {
	if c.span.sampled {
		return c.accessTimed(x)
	}
	return c.admitted(x)
}

func (c *call) admitted(x *http1.Exchange) kind {
	m, p := c.run.m, c.variant.prog.policy
	if p == nil {
		return m.auth(c, x)
	}
	if !m.signed { // those who sign are its principals: iam asks it
		r := c.policyRequest(x, nil, p)
		if c.ruling = p.Evaluate(r); c.ruling == policy.Deny || c.ruling == policy.Silent && !m.judges {
			return c.denied(r, c.ruling, p.Why(r))
		}
	}
	if m.auth == nil {
		return proceed
	}
	return m.auth(c, x)
}

// permits joins what a method's own authorization decided with the API's resource
// policy. foreign callers are of another account.
func (c *call) permits(own policy.Decision, foreign bool) policy.Decision {
	switch {
	case c.variant.prog.policy != nil:
		return policy.Combine(own, c.ruling, foreign)
	case foreign:
		return policy.Combine(own, policy.Silent, foreign)
	}
	return own
}

// policyRequest is the call as policies see it; those given are the ones that read it.
func (c *call) policyRequest(x *http1.Exchange, who *policy.Principal, readers ...*policy.Policy) *policy.Request {
	r := &policy.Request{Action: "execute-api:Invoke", Resource: c.methodARN(x), Principal: who, Now: c.now, Secure: x.TLS}
	if c.by != nil {
		r.Other = c.endpointKeys(x)
	} else {
		r.SourceIP, _ = netip.ParseAddr(x.RemoteIP)
	}
	for _, p := range readers {
		if p.Reads(policy.UserAgent) {
			r.UserAgent = string(header(x, "User-Agent"))
		}
		if p.Reads(policy.Referer) {
			r.Referer = string(header(x, "Referer"))
		}
	}
	return r
}

// denied refuses a call in the service's words.
func (c *call) denied(r *policy.Request, d policy.Decision, why string) kind {
	who := "anonymous"
	if r.Principal != nil {
		who = cmp.Or(r.Principal.ARN, who)
	}
	c.message = "User: " + who + " is not authorized to perform: " + r.Action + " on resource: " + masked(r.Resource)
	if d == policy.Deny {
		c.message += " with an explicit deny"
	}
	c.why = why
	if c.trace != nil {
		c.trace.say("Access denied for %s on %s: %s", who, r.Resource, why)
	}
	return accessDenied
}

// compilePolicy is an API's resource policy; nil: it has none.
func compilePolicy(d *model.Definition, arn string) (*policy.Policy, error) {
	if d.Policy == "" {
		return nil, nil
	}
	p, err := policy.Parse([]byte(d.Policy), policy.Resource, arn)
	if err != nil {
		return nil, fmt.Errorf("the resource policy cannot be acted on: %w", err)
	}
	return p, nil
}

// compileAuth is a method's authorization; nil: everybody may call it. Authorizers of
// tokens are kept in tokens.
func compileAuth(d *model.Definition, m *model.Method, tokens map[string]*tokenAuth) (authorize, error) {
	switch m.AuthorizationType {
	case "", model.AuthNone:
		return nil, nil
	case model.AuthCognito, model.AuthJWT:
		return compileToken(d, m, tokens)
	case model.AuthIAM:
		return (*call).iam, nil
	}
	return nil, fmt.Errorf("authorization %s is not served", m.AuthorizationType)
}
