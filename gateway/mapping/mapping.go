// Package mapping is what happens to a request on its way to an integration that is no
// proxy, and to the integration's answer on its way back: templates, parameters, the
// choice of a response, overrides. It is compiled once for a deployment, does no I/O,
// and holds to the order and the choices of Amazon API Gateway.
package mapping

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tollgate/gateway/vtl"
	"tollgate/model"
)

// What a call can fail with. The gateway answers each by a kind of its own.
var (
	// ErrMediaType: there is no template for the request's content type, and it may not
	// pass without one.
	ErrMediaType = errors.New("no template takes requests of this content type")
	// ErrBody: a template needs JSON, and the request's body is none.
	ErrBody = errors.New("the body is not JSON, which the template needs")
	// ErrConfiguration: what the author wrote gives no answer for this call.
	ErrConfiguration = errors.New("the integration's mapping gives no answer")
)

// Mapping is an integration's, compiled.
type Mapping struct {
	templates   templates
	passthrough string
	params      []parameter // of the request
	responses   []response  // those with a pattern by it, then the default
	binary      []string    // media types of payloads that are no text, in lower case
	handling    string      // of the request
	readsBody   bool        // of the request
	unsettable  map[string]bool
}

// Call is what mappings read of a call. A Context is made for one call alone: templates
// change its overrides.
type Call struct {
	Body           string
	Path           map[string]string
	Query, Header  map[string]string   // the last value of each
	Queries        map[string][]string // all values
	Headers        map[string][]string // by canonical name
	Context        *vtl.Map
	StageVariables *vtl.Map
}

// Request is what the integration is to get.
type Request struct {
	ContentType string
	Body        string
	Path        map[string]string // values of the URI's variables
	Query       []Pair
	Header      []Pair
}

// Pair is a name with a value.
type Pair struct{ Name, Value string }

// Answer is the integration's, as it came.
type Answer struct {
	Status  int
	Headers map[string][]string // by canonical name
	Body    string
}

// Reply is what the caller gets.
type Reply struct {
	Status int
	Header []Pair // Content-Type among them
	Body   string
}

type templates []template

type template struct {
	kind string // content type, in lower case
	of   *vtl.Template
}

type response struct {
	pattern   *regexp.Regexp // nil: the default
	status    int
	params    []parameter
	templates templates
	handling  string
}

// What contentHandling asks for.
const (
	toBinary = "CONVERT_TO_BINARY"
	toText   = "CONVERT_TO_TEXT"
)

// Compile compiles an integration's mapping, in an API with these binary media types.
// What it refuses, with the place of each template's error, no deployment may have.
func Compile(g *model.Integration, binary []string) (*Mapping, error) {
	m := &Mapping{passthrough: g.PassthroughBehavior, handling: g.ContentHandling, unsettable: framing}
	if g.Type == model.IntegrationAWS || g.Type == model.IntegrationAWSProxy {
		m.unsettable = signed
	}
	for _, kind := range binary {
		m.binary = append(m.binary, mediaType(kind))
	}
	var err error
	if err = checkHandling(g.ContentHandling); err != nil {
		return nil, err
	}
	if m.templates, err = compileTemplates("request template", g.RequestTemplates); err != nil {
		return nil, err
	}
	m.readsBody = len(m.templates) == 0
	for _, t := range m.templates {
		m.readsBody = m.readsBody || !t.of.Plain()
	}
	if m.params, err = compileParameters(g.RequestParameters, "integration.request.", requestTargets, requestSources); err != nil {
		return nil, err
	}
	for i := range m.params {
		m.readsBody = m.readsBody || m.params[i].source == fromRequestBody
	}
	for _, key := range slices.Sorted(maps.Keys(g.Responses)) {
		r, err := compileResponse(key, g.Responses[key])
		if err != nil {
			return nil, fmt.Errorf("integration response %s: %w", key, err)
		}
		m.responses = append(m.responses, r)
	}
	// The default is asked last. Of several the one named so is it.
	slices.SortStableFunc(m.responses, func(a, b response) int {
		return bit(a.pattern == nil) - bit(b.pattern == nil)
	})
	return m, nil
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Check is Compile for what a deployment asks.
func Check(g *model.Integration) error {
	_, err := Compile(g, nil)
	return err
}

func checkHandling(how string) error {
	if how == "" || how == toBinary || how == toText {
		return nil
	}
	return fmt.Errorf("contentHandling %q is not %s or %s", how, toBinary, toText)
}

// isBinary says whether payloads of a content type are no text.
func (m *Mapping) isBinary(contentType string) bool {
	kind := mediaType(contentType)
	return kind != "" && (slices.Contains(m.binary, kind) || slices.Contains(m.binary, "*/*"))
}

// wantsBinary says whether the first type that the caller accepts is a binary one.
func (m *Mapping) wantsBinary(c *Call) bool {
	first, _, _ := strings.Cut(one(c.Headers, "Accept"), ",")
	return m.isBinary(first)
}

func decode(body string) (string, error) {
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(body))
	if err != nil {
		return "", fmt.Errorf("%w: the payload is not base64 that can be turned into bytes", ErrConfiguration)
	}
	return string(b), nil
}

// received is the request's body as its handling makes it.
func (m *Mapping) received(body, contentType string) (string, error) {
	switch binary := m.isBinary(contentType); {
	case binary && m.handling == toText:
		return base64.StdEncoding.EncodeToString([]byte(body)), nil
	case !binary && m.handling == toBinary:
		return decode(body)
	}
	return body, nil
}

// returned is the answer's body as its handling makes it for a caller who accepts
// bytes, or does not: the service's table of content type conversions.
func (m *Mapping) returned(r *response, c *Call, a *Answer) (string, error) {
	if len(m.binary) == 0 && r.handling == "" {
		return a.Body, nil
	}
	binary, wanted := m.isBinary(one(a.Headers, "Content-Type")), m.wantsBinary(c)
	switch {
	case !binary && (r.handling == toBinary || r.handling == "" && wanted):
		return decode(a.Body)
	case binary && (r.handling == toText || r.handling == "" && !wanted):
		return base64.StdEncoding.EncodeToString([]byte(a.Body)), nil
	}
	return a.Body, nil
}

func compileTemplates(what string, all map[string]string) (templates, error) {
	var out templates
	for _, kind := range slices.Sorted(maps.Keys(all)) {
		if kind == "" || !clean(kind) {
			return nil, fmt.Errorf("%s for %q: that is no content type", what, kind)
		}
		t, err := vtl.Parse(all[kind])
		if err != nil {
			return nil, fmt.Errorf("%s for %s: %w", what, kind, err)
		}
		out = append(out, template{strings.ToLower(kind), t})
	}
	return out, nil
}

func compileResponse(key string, r model.IntegrationResponse) (response, error) {
	var out response
	var err error
	if out.status, err = strconv.Atoi(r.StatusCode); err != nil || out.status < 100 || out.status > 599 {
		return out, fmt.Errorf("status code %q is not between 100 and 599", r.StatusCode)
	}
	pattern := r.Pattern()
	if pattern == "" && key != "default" && key != r.StatusCode {
		pattern = key // documents name responses by their patterns
	}
	if pattern != "" {
		// Java matches the whole text, and a dot no line's end, as RE2 does.
		if out.pattern, err = regexp.Compile(`^(?:` + pattern + `)$`); err != nil {
			return out, fmt.Errorf("selection pattern %q is not a regular expression that is taken here: %w", pattern, err)
		}
	}
	out.handling = r.ContentHandling
	if err = checkHandling(out.handling); err != nil {
		return out, err
	}
	if out.templates, err = compileTemplates("response template", r.ResponseTemplates); err != nil {
		return out, err
	}
	out.params, err = compileParameters(r.ResponseParameters, "method.response.", responseTargets, responseSources)
	return out, err
}

// ReadsBody says whether the request's body can matter.
func (m *Mapping) ReadsBody() bool { return m.readsBody }

// find is the template for a content type.
func (t templates) find(kind string) *template {
	for i := range t {
		if t[i].kind == kind {
			return &t[i]
		}
	}
	return nil
}

func mediaType(header string) string {
	kind, _, _ := strings.Cut(header, ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

// Request maps a call's request. An error is ErrMediaType or ErrConfiguration, with why.
func (m *Mapping) Request(c *Call) (Request, error) {
	out := Request{ContentType: one(c.Headers, "Content-Type"), Path: map[string]string{}}
	if out.ContentType == "" {
		out.ContentType = "application/json"
	}
	t := m.templates.find(mediaType(out.ContentType))
	if t == nil {
		t = m.templates.find("$default")
	}
	override(c.Context, "requestOverride", "path", "header", "querystring")
	override(c.Context, "responseOverride", "header")
	body, err := m.received(c.Body, out.ContentType)
	if err != nil {
		return out, err
	}
	switch {
	case t != nil:
		var noJSON bool
		if out.Body, noJSON, err = c.render(t.of, body); err != nil {
			return out, fmt.Errorf("%w: the request template for %s: %w", ErrConfiguration, t.kind, err)
		}
		if noJSON {
			return out, ErrBody
		}
	case m.passthrough == "NEVER", m.passthrough == "WHEN_NO_TEMPLATES" && len(m.templates) > 0:
		return out, ErrMediaType
	default:
		out.Body = body
	}
	put := func(kind, name, value string) {
		switch kind {
		case "path":
			out.Path[name] = value
		case "querystring":
			out.Query = set(out.Query, name, value, false)
		case "header":
			out.Header = header(out.Header, name, value)
		}
	}
	for i := range m.params {
		if v, ok := m.params[i].value(c, nil); ok {
			put(m.params[i].kind, m.params[i].name, v)
		}
	}
	overridden(c.Context, "requestOverride", put)
	for _, h := range out.Header {
		if m.unsettable[strings.ToLower(h.Name)] {
			return out, fmt.Errorf("%w: the header %s of the integration's request cannot be set", ErrConfiguration, h.Name)
		}
	}
	return out, nil
}

// framing are headers that make calls fail whose mapping sets them, and signed those
// that do so too where requests are signed: as recorded from Amazon API Gateway.
var (
	framing = map[string]bool{"content-length": true, "transfer-encoding": true}
	signed  = map[string]bool{"content-length": true, "transfer-encoding": true, "authorization": true, "connection": true, "expect": true,
		"proxy-authenticate": true, "te": true}
)

// MockStatus is the status that a MOCK integration's request names.
func MockStatus(body string) (int, error) {
	v, err := vtl.ParseJSON(body)
	if err != nil {
		v, err = vtl.ParseJSON(model.RelaxedJSON(body))
	}
	if err != nil {
		return 0, fmt.Errorf("%w: Unable to parse statusCode. It should be an integer that is defined in the request template", ErrConfiguration)
	}
	if o, ok := v.(*vtl.Map); ok {
		if code, ok := o.Get("statusCode"); ok {
			if n, err := strconv.Atoi(strings.TrimSpace(vtl.Text(code))); err == nil {
				return n, nil
			}
		}
	}
	return 0, fmt.Errorf("%w: Unable to parse statusCode. It should be an integer that is defined in the request template", ErrConfiguration)
}

// Response maps an integration's answer; selector is what patterns are tried on: the
// status of HTTP and MOCK integrations.
func (m *Mapping) Response(c *Call, selector string, a *Answer) (Reply, error) {
	var r *response
	for i := range m.responses {
		if p := m.responses[i].pattern; p == nil || p.MatchString(selector) {
			r = &m.responses[i]
			break
		}
	}
	if r == nil {
		return Reply{}, fmt.Errorf("%w: No match for output mapping and no default output mapping configured. Endpoint Response Status Code: %d", ErrConfiguration, a.Status)
	}
	out, kind := Reply{Status: r.status}, "application/json"
	var err error
	if out.Body, err = m.returned(r, c, a); err != nil {
		return out, err
	}
	override(c.Context, "responseOverride", "header")
	if t := r.accepted(c.Header); t != nil {
		if out.Body, _, err = c.render(t.of, out.Body); err != nil {
			return out, fmt.Errorf("%w: the response template for %s of status %d: %w", ErrConfiguration, t.kind, r.status, err)
		}
		kind = t.kind
	}
	out.Header = []Pair{{"Content-Type", kind}}
	put := func(kind, name, value string) {
		if kind == "header" {
			out.Header = header(out.Header, name, value)
		}
	}
	for i := range r.params {
		if v, ok := r.params[i].value(c, a); ok {
			put("header", r.params[i].name, v)
		}
	}
	overridden(c.Context, "responseOverride", put)
	if o, ok := c.Context.Get("responseOverride"); ok {
		if o, ok := o.(*vtl.Map); ok {
			if s, ok := o.Get("status"); ok {
				n, err := strconv.Atoi(vtl.Text(s))
				if err != nil || n < 100 || n > 599 {
					return out, fmt.Errorf("%w: the overridden status %q is not between 100 and 599", ErrConfiguration, vtl.Text(s))
				}
				out.Status = n
			}
		}
	}
	sent := out.Header[:0]
	for _, h := range out.Header {
		if h.Name = model.MappedHeader(h.Name); h.Name != "" {
			sent = append(sent, h)
		}
	}
	out.Header = sent
	return out, nil
}

// accepted is the template that the caller asks for: of the first type of Accept that
// has one, else that of JSON, else the first.
func (r *response) accepted(header map[string]string) *template {
	for name, value := range header {
		if !strings.EqualFold(name, "Accept") {
			continue
		}
		for part := range strings.SplitSeq(value, ",") {
			for i := range r.templates {
				if r.templates[i].kind == mediaType(part) {
					return &r.templates[i]
				}
			}
		}
	}
	for i := range r.templates {
		if r.templates[i].kind == "application/json" {
			return &r.templates[i]
		}
	}
	if len(r.templates) > 0 {
		return &r.templates[0]
	}
	return nil
}

func (c *Call) render(t *vtl.Template, body string) (text string, noJSON bool, err error) {
	in := vtl.Input{Body: body, Path: c.Path, Query: c.Query, Header: c.Header, Context: c.Context, StageVariables: c.StageVariables}
	out, err := t.Render(nil, &in)
	if err != nil {
		return "", false, err
	}
	return strings.TrimSpace(string(out)), in.NotJSON, nil
}

// override makes the maps that templates set overrides in.
func override(context *vtl.Map, name string, kinds ...string) {
	if _, ok := context.Get(name); ok {
		return
	}
	m := vtl.NewObject()
	for _, k := range kinds {
		m.Set(k, vtl.NewObject())
	}
	context.Set(name, m)
}

// overridden gives what a template has set.
func overridden(context *vtl.Map, name string, put func(kind, name, value string)) {
	o, _ := context.Get(name)
	m, ok := o.(*vtl.Map)
	if !ok {
		return
	}
	for _, kind := range m.Keys() {
		v, _ := m.Get(kind)
		of, ok := v.(*vtl.Map)
		if !ok {
			continue
		}
		for _, n := range of.Keys() {
			value, _ := of.Get(n)
			put(kind, n, vtl.Text(value))
		}
	}
}

// header adds a line that is one: what a template makes of a body must not begin another.
func header(all []Pair, name, value string) []Pair {
	if !model.HeaderName(name) || !clean(value) {
		return all
	}
	return set(all, name, value, true)
}

func set(all []Pair, name, value string, fold bool) []Pair {
	for i := range all {
		if all[i].Name == name || fold && strings.EqualFold(all[i].Name, name) {
			all[i] = Pair{name, value}
			return all
		}
	}
	return append(all, Pair{name, value})
}

func one(all map[string][]string, name string) string {
	if v := all[name]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}
