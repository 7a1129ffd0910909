package gateway

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"strings"
	"time"

	"tollgate/gateway/aws"
	"tollgate/gateway/http1"
	"tollgate/gateway/lambda"
	"tollgate/gateway/mapping"
	"tollgate/gateway/policy"
	"tollgate/gateway/vtl"
	"tollgate/model"
)

// lambdaAuth is a Lambda authorizer: a function that says who calls, and by a policy what
// they may call.
type lambdaAuth struct {
	function
	name    string
	print   [sha256.Size]byte // of all that its answers depend on
	broken  string            // why it cannot be asked on this stage
	token   bool              // of type TOKEN; else REQUEST
	sources []identitySource
	valid   *regexp.Regexp // of a token; nil: any
	ttl     time.Duration
}

// identitySource is where a part of a caller's identity is.
type identitySource struct {
	kind string // header, querystring, context or stageVariables
	name string
}

const (
	defaultAuthTTL = 300 // seconds
	authTimeout    = 29 * time.Second
	maxMethodARN   = 1600 // bytes, as on Amazon API Gateway
	maxIdentities  = 50
)

// compileLambdaAuth is a method's authorizer on a stage with these variables. variables
// says that it uses them.
func compileLambdaAuth(d *model.Definition, m *model.Method, vars map[string]string, at aws.Endpoints, pools *http1.Upstreams) (a *lambdaAuth, variables bool, err error) {
	def := d.Authorizer(m.AuthorizerID)
	if def == nil {
		return nil, false, fmt.Errorf("there is no authorizer %q", m.AuthorizerID)
	}
	no := func(err error) (*lambdaAuth, bool, error) {
		return nil, false, fmt.Errorf("authorizer %s: %w", def.Name, err)
	}
	a = &lambdaAuth{name: def.Name, token: def.Type == model.AuthorizerToken, ttl: defaultAuthTTL * time.Second}
	if !a.token && def.Type != model.AuthorizerRequest {
		return no(fmt.Errorf("its type %s is not of authorization CUSTOM", def.Type))
	}
	if n := def.ResultTTLSeconds; n != nil {
		a.ttl = time.Duration(*n) * time.Second
	}
	if a.sources, err = identitySources(def.IdentitySource); err != nil {
		return no(err)
	}
	switch {
	case a.token && (len(a.sources) != 1 || a.sources[0].kind != "header"):
		return no(errors.New("an authorizer of type TOKEN has one header as its identity source"))
	case a.ttl > 0 && len(a.sources) == 0:
		return no(errors.New("without an identity source, what is kept of one caller would hold for all; set the TTL to 0, or name a source"))
	}
	if def.IdentityValidationExpression != "" && a.token {
		if a.valid, err = regexp.Compile(`^(?:` + def.IdentityValidationExpression + `)$`); err != nil {
			return no(fmt.Errorf("its validation expression is not a regular expression that is taken here: %w", err))
		}
	}
	g := &model.Integration{Type: model.IntegrationAWSProxy, HTTPMethod: "POST", URI: def.AuthorizerURI}
	variables = g.UsesVariables()
	if variables {
		staged, ok := g.OnStage(vars)
		if !ok {
			a.broken = "a stage variable of its uri is not set"
			return a, true, nil
		}
		g = staged
	}
	if err := checkFunction(g.URI); err != nil {
		if variables {
			a.broken = err.Error()
			return a, true, nil
		}
		return no(err)
	}
	if a.function, err = compileFunction(g.URI, def.AuthorizerCredentials, at, pools); err != nil {
		return no(err)
	}
	text, err := json.Marshal(def)
	if err != nil {
		return no(err)
	}
	a.print = sha256.Sum256(append(append(text, 0), g.URI...))
	return a, variables, nil
}

// checkLambdaAuth says why a method's authorizer cannot be asked.
func checkLambdaAuth(d *model.Definition, m *model.Method) error {
	trial := *d
	trial.Authorizers = nil
	if a := d.Authorizer(m.AuthorizerID); a != nil {
		one := *a
		one.AuthorizerURI = (&model.Integration{URI: a.AuthorizerURI}).OnTrial().URI
		trial.Authorizers = []model.Authorizer{one}
	}
	_, _, err := compileLambdaAuth(&trial, m, nil, nil, nil)
	return err
}

// checkFunction says why a URI calls no function that answers in one piece.
func checkFunction(uri string) error {
	t, err := aws.Parse(uri)
	if err != nil {
		return err
	}
	if arn, stream := t.Function(); arn == "" || stream {
		return errors.New("its uri must call a Lambda function: arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/{function}/invocations")
	}
	return nil
}

func identitySources(text string) ([]identitySource, error) {
	var out []identitySource
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		s := identitySource{}
		rest, request := strings.CutPrefix(part, "method.request.")
		kind, name, ok := strings.Cut(rest, ".")
		s.kind, s.name = strings.TrimPrefix(kind, "multivalue"), name
		if !ok || name == "" || request != (s.kind == "header" || s.kind == "querystring") || !request && s.kind != "context" && s.kind != "stageVariables" {
			return nil, fmt.Errorf("the identity source %.100q is not method.request.header.…, method.request.querystring.…, context.… or stageVariables.…", part)
		}
		out = append(out, s)
	}
	if len(out) > maxIdentities {
		return nil, fmt.Errorf("it has %d identity sources; at most %d are allowed", len(out), maxIdentities)
	}
	return out, nil
}

// identity appends the parts of the caller's identity, each with its length; not ok: one
// is missing, which ends the call before the function is asked.
func (a *lambdaAuth) identity(dst []byte, c *call, x *http1.Exchange) (_ []byte, missing string) {
	for i := range a.sources {
		s := &a.sources[i]
		if !a.token {
			dst = s.appendEarlier(dst, x)
		}
		at := len(dst)
		dst = append(dst, 0, 0, 0, 0)
		switch s.kind {
		case "header":
			dst = append(dst, header(x, s.name)...)
		case "querystring":
			dst = append(dst, c.parameter(x, s.name)...)
		case "context":
			v, _ := mapping.Lookup(c.context(x), s.name)
			dst = append(dst, v...)
		case "stageVariables":
			dst = append(dst, c.variant.vars[s.name]...)
		}
		n := len(dst) - at - 4
		if n == 0 {
			return nil, s.name
		}
		binary.BigEndian.PutUint32(dst[at:], uint32(n))
	}
	return dst, ""
}

// earlier marks the length of a value that another one of its name comes after.
const earlier = 1 << 31

// appendEarlier appends the values of a source before its last. The event has all of them,
// so that the function may judge by any: what it says holds for no others.
func (s *identitySource) appendEarlier(dst []byte, x *http1.Exchange) []byte {
	at := -1 // of the value that was appended last
	add := func(v string) {
		at = len(dst)
		dst = append(binary.BigEndian.AppendUint32(dst, earlier|uint32(len(v))), v...)
	}
	switch s.kind {
	case "header":
		r := &x.Request
		for i := range r.N {
			if f := &r.Fields[i]; bytes.EqualFold(f.Name.Of(x.In), []byte(s.name)) {
				add(string(f.Value.Of(x.In)))
			}
		}
	case "querystring":
		for v := range parameters(x, s.name) {
			add(v)
		}
	}
	if at >= 0 {
		dst = dst[:at]
	}
	return dst
}

// parameters are the values of a parameter of the query.
func parameters(x *http1.Exchange, name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for part := range strings.FieldsFuncSeq(string(x.Request.Query.Of(x.In)), func(r rune) bool { return r == '&' || r == ';' }) {
			if n, v, _ := strings.Cut(part, "="); unescapeQuery(n) == name && !yield(unescapeQuery(v)) {
				return
			}
		}
	}
}

// parameter is the last value of a parameter of the query.
func (c *call) parameter(x *http1.Exchange, name string) (last string) {
	for v := range parameters(x, name) {
		last = v
	}
	return last
}

// known is the caller's identity, appended; a kind other than proceed ends the call before
// the function is asked.
func (a *lambdaAuth) known(dst []byte, c *call, x *http1.Exchange) ([]byte, kind) {
	if a.broken != "" {
		c.why = "authorizer " + a.name + ": " + a.broken
		return nil, authorizerConfiguration
	}
	id, missing := a.identity(dst, c, x)
	if missing != "" {
		c.why = "authorizer " + a.name + ": the identity source " + missing + " is missing"
		return nil, unauthorized
	}
	if a.valid != nil && !a.valid.Match(id[4:]) {
		c.why = "authorizer " + a.name + ": the token does not match the validation expression"
		return nil, unauthorized
	}
	return id, proceed
}

// authorize lets in those whom the function lets in. What it said of an identity is kept,
// and judged anew for each method.
func (a *lambdaAuth) authorize(c *call, x *http1.Exchange) kind {
	var room [512]byte
	id, k := a.known(room[:0], c, x)
	if k != proceed {
		return k
	}
	if a.ttl == 0 {
		if !x.MayBlock() {
			x.Block()
			return later
		}
		return a.judge(c, x, a.ask(c, x))
	}
	key := a.keyOf(c, id)
	cache := &c.tenant.authorizations
	if v := cache.get(&key, x.Begun); v != nil {
		if c.trace != nil {
			c.trace.say("Using cached authorizer result of %s", a.name)
		}
		return a.judge(c, x, v)
	}
	if !x.MayBlock() {
		x.Block()
		return later
	}
	v, f, own := cache.join(&key, http1.Now())
	if f == nil {
		return a.judge(c, x, v)
	}
	if !own {
		late := time.NewTimer(2 * authTimeout)
		defer late.Stop()
		select {
		case <-f.done:
			return a.judge(c, x, f.value)
		case <-late.C:
			c.why = "authorizer " + a.name + ": its answer to another call was waited for in vain"
			return authorizerFailure
		}
	}
	failed := &authorization{kind: authorizerFailure, why: "the call that asked the authorizer broke off"}
	defer func() { // also where asking panics: nobody may wait for ever
		now := http1.Now()
		cache.land(&key, f, failed, now, now+int64(a.ttl), &c.g.authBytes)
	}()
	failed = a.ask(c, x)
	return a.judge(c, x, failed)
}

// keyOf names the stage as it was last flushed, the authorizer and the identity.
func (a *lambdaAuth) keyOf(c *call, id []byte) authKey {
	var room [640]byte
	b := binary.BigEndian.AppendUint32(append(room[:0], a.print[:]...), c.stage.num)
	b = binary.BigEndian.AppendUint64(b, c.stage.cfg.AuthorizerFlushes)
	return sha256.Sum256(append(b, id...))
}

// judge applies an authorizer's policy to the call.
func (a *lambdaAuth) judge(c *call, x *http1.Exchange, v *authorization) kind {
	if v.policy == nil {
		c.why = v.why
		return v.kind
	}
	c.caller = v.caller
	r := c.policyRequest(x, nil, v.policy)
	switch c.permits(v.policy.Evaluate(r), false) {
	case policy.Allow:
		return proceed
	case policy.Deny:
		c.message = "User is not authorized to access this resource with an explicit deny"
	default:
		c.message = "User is not authorized to access this resource"
	}
	c.why = "authorizer " + a.name + ": " + v.policy.Why(r)
	return accessDenied
}

// ask asks the function. What comes of it is not to be changed.
func (a *lambdaAuth) ask(c *call, x *http1.Exchange) *authorization {
	fails := func(k kind, format string, args ...any) *authorization {
		return &authorization{kind: k, why: "authorizer " + a.name + ": " + fmt.Sprintf(format, args...)}
	}
	arn := c.methodARN(x)
	if len(arn) > maxMethodARN {
		return fails(methodTooLong, "the method's ARN has %d bytes; at most %d are given to authorizers", len(arn), maxMethodARN)
	}
	var event []byte
	if a.token {
		event = lambda.AppendToken(nil, arn, string(header(x, a.sources[0].name)))
	} else {
		event = c.event(x).AppendRequest(make([]byte, 0, 4096), arn)
	}
	req, k := c.signed(x, &a.function, string(event), false)
	if k != proceed {
		return fails(authorizerConfiguration, "%s", c.why)
	}
	if c.trace != nil {
		c.trace.say("Sending request to authorizer %s", a.name)
		c.trace.sayBody("Authorizer request body: %s", event)
	}
	status, failed := 0, false
	began := time.Now()
	payload, f := x.Fetch(a.pool, req, nil, lambda.MaxAuthorization, authTimeout, func() bool {
		status, failed = x.Response.Code, answerHeader(x, "X-Amz-Function-Error") != nil
		return true
	}, func(n int64) bool { return c.hold(n) })
	took := time.Since(began)
	if f != http1.None {
		if f == http1.Forbidden || f == http1.NoHost {
			c.g.complain(a.key.Address, f)
		}
		return fails(authorizerFailure, "its function could not be asked: %s", failureText(f))
	}
	if c.trace != nil {
		c.trace.say("Authorizer %s answered with status %d in %d ms", a.name, status, took.Milliseconds())
		c.trace.sayBody("Authorizer response body: %s", payload)
	}
	switch {
	case failed && lambda.Unauthorized(payload):
		return fails(unauthorized, "the function says Unauthorized")
	case failed:
		return fails(authorizerFailure, "the function failed: %.200s", lambda.FailureMessage(payload))
	case status == 403 || status == 404:
		return fails(authorizerConfiguration, "the function may not be called, or is not there: status %d: %s", status, short(payload))
	case status < 200 || status >= 300:
		return fails(authorizerFailure, "its invocation ended with status %d: %s", status, short(payload))
	}
	out, err := lambda.ParseAuthorization(payload)
	if err != nil {
		return fails(authorizerConfiguration, "%v", err)
	}
	v := &authorization{text: out.Policy, size: authOverhead + int64(3*len(payload))}
	if v.policy, err = policy.Parse(out.Policy, policy.Authorizer, ""); err != nil {
		return fails(authorizerConfiguration, "its policy: %v", err)
	}
	m := vtl.NewMap()
	m.Set("principalId", out.Principal)
	for _, pair := range out.Context {
		m.Set(pair[0], pair[1])
	}
	m.Set("principalId", out.Principal)
	if _, ok := m.Get("integrationLatency"); !ok {
		m.Set("integrationLatency", took.Milliseconds())
	}
	v.caller = &caller{principal: out.Principal, authorizer: m, usageKey: out.UsageKey}
	return v
}

func failureText(f http1.Failure) string {
	switch f {
	case http1.Timeout:
		return "no answer in time"
	case http1.Forbidden:
		return "its endpoint is in a network that the gateway may not reach"
	case http1.NoHost:
		return invalidEndpoint
	case http1.NoConn:
		return "no connection could be made"
	}
	return "no answer that is one, or one too large"
}
