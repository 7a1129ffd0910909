// Package changes compares two states of an API as its callers see them, and says which
// changes break them. Levels and the names of rules are those of oasdiff where it has
// them; authorization, keys, throttles and integrations, which documents of OpenAPI say
// nothing of, have rules of their own. It is pure and bounded: what tenants write is
// compared in time that grows with its size, whatever refers to what.
package changes

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sort"
	"strings"

	"tollgate/model"
)

// Level is how a change bears on who calls the API already.
type Level string

const (
	Error   Level = "error"   // calls that worked fail, or answers lack what was promised
	Warning Level = "warning" // some callers may notice
	Info    Level = "info"    // worth knowing
)

// Levels are all there are, the gravest first.
var Levels = []Level{Error, Warning, Info}

// Change is one difference. Method and Path are empty for the whole API.
type Change struct {
	Level  Level  `json:"level"`
	Rule   string `json:"rule"`
	Method string `json:"method,omitempty"`
	Path   string `json:"path,omitempty"`
	Text   string `json:"text"`
}

// State is an API at one time: its definition, and the settings of the stage that
// serves it, where one does.
type State struct {
	Definition *model.Definition
	Settings   *model.StageSettings
}

// MaxChanges are told at most; the last says that there are more.
const MaxChanges = 1000

// Compare lists what changes for callers, in the order of paths and verbs, the API's own
// first. Nothing between equal states.
func Compare(from, to State) []Change {
	c := &comparison{from: from.Definition, to: to.Definition, budget: 500_000}
	c.api()
	c.methods(configured(from.Settings), configured(to.Settings))
	slices.SortStableFunc(c.out, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method), cmp.Compare(slices.Index(Levels, a.Level), slices.Index(Levels, b.Level)))
	})
	if c.budget < 0 {
		c.out = append(c.out, Change{Warning, "comparison-incomplete", "", "", "The models are too large to compare whole: what is not listed may have changed too"})
	}
	if len(c.out) > MaxChanges {
		left := len(c.out) - (MaxChanges - 1)
		worst := Info
		for _, x := range c.out[MaxChanges-1:] {
			if slices.Index(Levels, x.Level) < slices.Index(Levels, worst) {
				worst = x.Level
			}
		}
		c.out = append(c.out[:MaxChanges-1], Change{worst, "more-changes", "", "", fmt.Sprintf("%d further changes are not listed", left)})
	}
	return c.out
}

// Worst is the gravest level among changes; empty when there are none.
func Worst(all []Change) Level {
	for _, l := range Levels {
		if slices.ContainsFunc(all, func(c Change) bool { return c.Level == l }) {
			return l
		}
	}
	return ""
}

type comparison struct {
	from, to     *model.Definition
	method, path string // that are compared
	out          []Change
	before       *side
	after        *side
	seen         map[pair]bool
	budget       int // schemas that may still be compared
}

func (c *comparison) add(l Level, rule, format string, a ...any) {
	if len(c.out) >= 20*MaxChanges { // more are not even counted
		c.budget = -1
		return
	}
	c.out = append(c.out, Change{l, rule, c.method, c.path, fmt.Sprintf(format, a...)})
}

// api compares what holds for every method.
func (c *comparison) api() {
	a, b := c.from, c.to
	switch {
	case a.Policy == b.Policy:
	case a.Policy == "":
		c.add(Error, "resource-policy-added", "A resource policy is added: callers it does not allow are refused")
	case b.Policy == "":
		c.add(Warning, "resource-policy-removed", "The resource policy is removed: callers it kept out are let in")
	default:
		c.add(Warning, "resource-policy-changed", "The resource policy changed: check whom it allows")
	}
	if a.DisableDefaultEndpoint != b.DisableDefaultEndpoint {
		if b.DisableDefaultEndpoint {
			c.add(Error, "default-endpoint-disabled", "The default endpoint is switched off: calls come in by custom domains alone")
		} else {
			c.add(Warning, "default-endpoint-enabled", "The default endpoint is switched on: calls come in beside custom domains")
		}
	}
	if x, y := cmp.Or(a.APIKeySource, "HEADER"), cmp.Or(b.APIKeySource, "HEADER"); x != y {
		c.add(Error, "api-key-source-changed", "API keys are taken from %s instead of %s", y, x)
	}
	if !reflect.DeepEqual(a.MinimumCompressionSize, b.MinimumCompressionSize) {
		c.add(Info, "compression-changed", "The size from which answers are compressed changed")
	}
	if !sameSet(a.BinaryMediaTypes, b.BinaryMediaTypes) {
		c.add(Warning, "binary-media-types-changed", "The media types taken for binary changed")
	}
	for _, t := range union(a.GatewayResponses, b.GatewayResponses) {
		if !reflect.DeepEqual(a.GatewayResponses[t], b.GatewayResponses[t]) {
			c.add(Warning, "gateway-response-changed", "The gateway's own answer %s changed", t)
		}
	}
	for i := range a.Authorizers { // by name: an imported document gives them other ids
		x := &a.Authorizers[i]
		if j := slices.IndexFunc(b.Authorizers, func(y model.Authorizer) bool { return y.Name == x.Name }); j >= 0 {
			c.authorizer(x, &b.Authorizers[j])
		}
	}
}

func (c *comparison) authorizer(a, b *model.Authorizer) {
	var what []string
	note := func(changed bool, name string) {
		if changed {
			what = append(what, name)
		}
	}
	note(a.Type != b.Type, "type")
	note(a.IdentitySource != b.IdentitySource, "identity source")
	note(a.IdentityValidationExpression != b.IdentityValidationExpression, "validation expression")
	note(a.AuthorizerURI != b.AuthorizerURI, "function")
	note(!sameSet(a.ProviderARNs, b.ProviderARNs), "providers")
	note(string(a.JWT) != string(b.JWT), "token settings")
	if len(what) > 0 {
		c.add(Warning, "authorizer-changed", "Authorizer %s changed: %s", b.Name, strings.Join(what, ", "))
	}
}

// at is the resource of a definition by its path without the names of variables.
type at map[string]*model.Resource

func resources(d *model.Definition) at {
	out := at{}
	for i := range d.Resources {
		out[shape(d.Resources[i].Path)] = &d.Resources[i]
	}
	return out
}

func shape(path string) string {
	segments, err := model.Segments(path)
	if err != nil {
		return path
	}
	var b strings.Builder
	for _, s := range segments {
		b.WriteByte('/')
		switch {
		case !s.Variable:
			b.WriteString(s.Text)
		case strings.HasSuffix(s.Text, "+}"):
			b.WriteString("{+}")
		default:
			b.WriteString(s.Prefix + "{}" + s.Suffix)
		}
	}
	return b.String()
}

// serves is the method that answers a verb: its own, or ANY.
func serves(r *model.Resource, verb string) (m model.Method, ok bool) {
	if r == nil {
		return m, false
	}
	if m, ok = r.Methods[verb]; !ok && verb != "ANY" {
		m, ok = r.Methods["ANY"]
	}
	return m, ok
}

// configured are a stage's settings as the gateway has them; nil: no stage.
func configured(s *model.StageSettings) *model.StageConfig {
	if s == nil {
		return nil
	}
	var out model.StageConfig
	s.Configure(&out)
	return &out
}

func (c *comparison) methods(was, is *model.StageConfig) {
	a, b := resources(c.from), resources(c.to)
	for _, s := range union(a, b) {
		x, y := a[s], b[s]
		var verbs []string
		if x != nil {
			verbs = slices.AppendSeq(verbs, maps.Keys(x.Methods))
		}
		if y != nil {
			verbs = slices.AppendSeq(verbs, maps.Keys(y.Methods))
		}
		slices.Sort(verbs)
		for _, verb := range slices.Compact(verbs) {
			m, before := serves(x, verb)
			n, after := serves(y, verb)
			c.method = verb
			if y != nil {
				c.path = y.Path
			} else {
				c.path = x.Path
			}
			switch {
			case !after:
				c.add(Error, "api-removed-without-deprecation", "The operation is removed")
			case !before:
				c.add(Info, "endpoint-added", "The operation is new")
			default:
				if x.Path != y.Path {
					c.add(Info, "path-parameter-renamed", "The path was %s: parameters of it are called otherwise", x.Path)
				}
				c.operation(&m, &n, x.Path != y.Path)
				c.throttle(was, is, x.Path, y.Path, verb)
			}
		}
	}
	c.method, c.path = "", ""
}

// throttle compares what a stage admits of a method, where both sides are stages.
func (c *comparison) throttle(was, is *model.StageConfig, before, after, verb string) {
	if was == nil || is == nil {
		return
	}
	a, b := was.ThrottleOf(model.MethodKey(before, verb)), is.ThrottleOf(model.MethodKey(after, verb))
	switch {
	case reflect.DeepEqual(a, b):
	case a == nil || b != nil && (b.Rate < a.Rate || b.Burst < a.Burst):
		c.add(Warning, "throttle-lowered", "Fewer calls are admitted: %s instead of %s", admits(b), admits(a))
	default:
		c.add(Info, "throttle-raised", "More calls are admitted: %s instead of %s", admits(b), admits(a))
	}
}

func admits(t *model.Throttle) string {
	if t == nil {
		return "as many as come"
	}
	return fmt.Sprintf("%v a second, %d at once", t.Rate, t.Burst)
}

func (c *comparison) operation(a, b *model.Method, renamed bool) {
	c.authorization(a, b)
	if a.APIKeyRequired != b.APIKeyRequired {
		if b.APIKeyRequired {
			c.add(Error, "api-key-required", "An API key is required")
		} else {
			c.add(Warning, "api-key-not-required", "No API key is required any more")
		}
	}
	if a.OperationName != b.OperationName && a.OperationName != "" {
		c.add(Info, "api-operation-id-changed", "The operation's name is %q instead of %q: client libraries call it so", b.OperationName, a.OperationName)
	}
	c.validation(a, b)
	c.parameters(a.RequestParameters, b.RequestParameters, renamed)
	c.bodies(request, "request body", a.RequestModels, b.RequestModels)
	c.responses(a, b)
	c.integration(a.Integration, b.Integration)
}

func (c *comparison) authorization(a, b *model.Method) {
	x, y := cmp.Or(a.AuthorizationType, model.AuthNone), cmp.Or(b.AuthorizationType, model.AuthNone)
	switch {
	case x == y:
	case x == model.AuthNone:
		c.add(Error, "authorization-added", "Callers must be authorized (%s)", y)
	case y == model.AuthNone:
		c.add(Warning, "authorization-removed", "Nobody needs to be authorized any more: %s is removed", x)
	default:
		c.add(Error, "authorization-changed", "Callers are authorized by %s instead of %s", y, x)
	}
	if p, q := name(c.from, a.AuthorizerID), name(c.to, b.AuthorizerID); x == y && p != q {
		c.add(Error, "authorizer-replaced", "Another authorizer decides: %s instead of %s", q, p)
	}
	if y == model.AuthNone {
		return
	}
	// One of the scopes is enough; without any, none is asked for.
	for _, s := range a.AuthorizationScopes {
		if len(b.AuthorizationScopes) > 0 && !slices.Contains(b.AuthorizationScopes, s) {
			c.add(Error, "authorization-scope-removed", "Scope %s is not enough any more", s)
		}
	}
	if len(a.AuthorizationScopes) == 0 && len(b.AuthorizationScopes) > 0 && x != model.AuthNone {
		c.add(Error, "authorization-scopes-required", "Tokens need one of the scopes %s", strings.Join(b.AuthorizationScopes, ", "))
	}
	if len(b.AuthorizationScopes) == 0 && len(a.AuthorizationScopes) > 0 {
		c.add(Warning, "authorization-scopes-not-required", "Tokens need no scope any more")
	}
}

func name(d *model.Definition, authorizer string) string {
	if a := d.Authorizer(authorizer); a != nil {
		return a.Name
	}
	return "none"
}

func (c *comparison) validation(a, b *model.Method) {
	x, y := c.from.RequestValidator(a.RequestValidatorID), c.to.RequestValidator(b.RequestValidatorID)
	var was, is model.RequestValidator
	if x != nil {
		was = *x
	}
	if y != nil {
		is = *y
	}
	for _, v := range []struct {
		was, is bool
		what    string
	}{{was.Body, is.Body, "bodies"}, {was.Parameters, is.Parameters, "parameters"}} {
		switch {
		case v.is && !v.was:
			c.add(Warning, "request-validation-added", "Request %s are checked: calls that were let through may be refused", v.what)
		case v.was && !v.is:
			c.add(Info, "request-validation-removed", "Request %s are not checked any more", v.what)
		}
	}
}

func (c *comparison) parameters(a, b map[string]bool, renamed bool) {
	for _, p := range union(a, b) {
		kind, called, _ := strings.Cut(strings.TrimPrefix(p, "method.request."), ".")
		if kind == "path" {
			if was, had := a[p]; !renamed && had != (b[p] || has(b, p)) && was {
				c.add(Info, "request-path-parameter-declaration-changed", "Path parameter %s is declared otherwise", called)
			}
			continue // there is no call without it
		}
		if kind == "querystring" {
			kind = "query"
		}
		was, had := a[p]
		is, there := b[p]
		switch {
		case !had && is:
			c.add(Error, "new-required-request-parameter", "A new %s parameter %s is required", kind, called)
		case !had:
			c.add(Info, "new-optional-request-parameter", "A new %s parameter %s may be sent", kind, called)
		case !there:
			c.add(Warning, "request-parameter-removed", "The %s parameter %s is removed", kind, called)
		case is && !was:
			c.add(Error, "request-parameter-became-required", "The %s parameter %s became required", kind, called)
		case was && !is:
			c.add(Info, "request-parameter-became-optional", "The %s parameter %s became optional", kind, called)
		}
	}
}

func has[V any](m map[string]V, k string) bool { _, ok := m[k]; return ok }

func (c *comparison) responses(a, b *model.Method) {
	for _, status := range union(a.Responses, b.Responses) {
		x, had := a.Responses[status]
		y, there := b.Responses[status]
		success := strings.HasPrefix(status, "2")
		switch {
		case !there && success:
			c.add(Error, "response-success-status-removed", "Status %s is not answered any more", status)
		case !there:
			c.add(Warning, "response-non-success-status-removed", "Status %s is not answered any more", status)
		case !had:
			c.add(Info, "response-status-added", "Status %s may be answered", status)
		default:
			for _, h := range union(x.Parameters, y.Parameters) {
				called := strings.TrimPrefix(h, "method.response.header.")
				switch was, is := x.Parameters[h], has(y.Parameters, h); {
				case has(x.Parameters, h) && !is && was:
					c.add(Error, "required-response-header-removed", "Answers %s lack the header %s", status, called)
				case has(x.Parameters, h) && !is:
					c.add(Warning, "optional-response-header-removed", "Answers %s may lack the header %s", status, called)
				case !has(x.Parameters, h):
					c.add(Info, "response-header-added", "Answers %s have the header %s", status, called)
				}
			}
			c.bodies(response, "body of answer "+status, x.Models, y.Models)
		}
	}
}

// bodies compares models by content type.
func (c *comparison) bodies(d direction, of string, a, b map[string]string) {
	for _, media := range union(a, b) {
		x, had := a[media]
		y, there := b[media]
		switch {
		case !there && d == request:
			c.add(Error, "request-body-media-type-removed", "The %s as %s is not described any more", of, media)
		case !there:
			c.add(Error, "response-media-type-removed", "The %s is not given as %s any more", of, media)
		case !had && d == request:
			c.add(Info, "request-body-media-type-added", "The %s may be sent as %s", of, media)
		case !had:
			c.add(Info, "response-media-type-added", "The %s is given as %s", of, media)
		default:
			c.models(d, of, x, y)
		}
	}
}

func (c *comparison) integration(a, b *model.Integration) {
	if a == nil || b == nil {
		if a != b {
			c.add(Warning, "integration-changed", "What answers the operation is added or removed")
		}
		return
	}
	var what []string
	note := func(same bool, name string) {
		if !same {
			what = append(what, name)
		}
	}
	note(a.Type == b.Type, "type "+b.Type+" instead of "+a.Type)
	note(a.URI == b.URI, "address")
	note(a.HTTPMethod == b.HTTPMethod, "method")
	note(cmp.Or(a.ConnectionType, "INTERNET") == cmp.Or(b.ConnectionType, "INTERNET") && a.ConnectionID == b.ConnectionID, "connection")
	note(a.Credentials == b.Credentials, "credentials")
	note(maps.Equal(a.RequestParameters, b.RequestParameters), "mapped parameters")
	note(maps.Equal(a.RequestTemplates, b.RequestTemplates), "request templates")
	note(cmp.Or(a.PassthroughBehavior, "WHEN_NO_MATCH") == cmp.Or(b.PassthroughBehavior, "WHEN_NO_MATCH"), "what passes without a template")
	note(a.ContentHandling == b.ContentHandling, "content handling")
	note(cmp.Or(a.ResponseTransferMode, "BUFFERED") == cmp.Or(b.ResponseTransferMode, "BUFFERED"), "transfer of answers")
	note(reflect.DeepEqual(a.Responses, b.Responses), "mapped answers")
	note(slices.Equal(a.CacheKeyParameters, b.CacheKeyParameters), "cache key")
	if len(what) > 0 {
		c.add(Info, "integration-changed", "What answers the operation changed: %s", strings.Join(what, ", "))
	}
	if a.InsecureSkipVerify != b.InsecureSkipVerify {
		if b.InsecureSkipVerify {
			c.add(Warning, "integration-not-verified", "The back end's certificate is not checked any more")
		} else {
			c.add(Info, "integration-verified", "The back end's certificate is checked")
		}
	}
	if x, y := a.Timeout(), b.Timeout(); y < x {
		c.add(Warning, "integration-timeout-lowered", "The back end has %d ms instead of %d", y, x)
	} else if y > x {
		c.add(Info, "integration-timeout-raised", "The back end has %d ms instead of %d", y, x)
	}
}

func union[M ~map[string]V, V any](a, b M) []string {
	out := make([]string, 0, len(a)+len(b))
	for k := range a {
		out = append(out, k)
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			out = append(out, k)
		}
	}
	sort.Strings(out)
	return out
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// parse reads a model's schema; nil is one that says nothing.
func parse(text string) any {
	var v any
	if json.Unmarshal([]byte(text), &v) != nil {
		return nil
	}
	return v
}
