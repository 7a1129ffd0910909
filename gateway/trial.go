package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	"tollgate/gateway/http1"
	"tollgate/gateway/mapping"
	"tollgate/gateway/route"
	"tollgate/gateway/vtl"
	"tollgate/model"
)

const anyVerb = "ANY"

const (
	maxTrials     = 16 // at a time, of everybody
	maxTrialBody  = 10 << 20
	maxTrialEvent = 1024 // bytes of a body in the log, as on Amazon API Gateway
)

// Trials makes calls of methods that are not deployed, for those who build them.
type Trials struct {
	outward http.RoundTripper
	slots   chan struct{}
}

// NewTrials makes calls through outward, whose dialer keeps to the networks that
// upstreams may be in.
func NewTrials(outward http.RoundTripper) *Trials {
	return &Trials{outward: outward, slots: make(chan struct{}, maxTrials)}
}

// trial is one call under way.
type trial struct {
	model.TrialCall
	log bytes.Buffer
	now func() time.Time
}

func (t *trial) say(format string, a ...any) {
	t.log.WriteString(t.now().UTC().Format("Mon Jan 02 15:04:05 UTC 2006"))
	t.log.WriteString(" : ")
	fmt.Fprintf(&t.log, format, a...)
	t.log.WriteByte('\n')
}

// Try makes one call. What goes wrong on its way is its answer; an error says that
// it could not be tried.
func (s *Trials) Try(ctx context.Context, c model.TrialCall) (model.TrialAnswer, error) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return model.TrialAnswer{}, model.Errorf(model.Unavailable, "too many trials at once; try again shortly")
	}
	began := time.Now()
	t := &trial{TrialCall: c, now: time.Now}
	fmt.Fprintf(&t.log, "Execution log for request %s\n", c.ID)
	t.say("Starting execution for request: %s", c.ID)
	t.say("HTTP Method: %s, Resource Path: %s", c.Verb, c.Path)
	path, query, _ := strings.Cut(c.Target, "?")
	vars, err := t.pathVariables(path)
	if err != nil {
		return model.TrialAnswer{}, err
	}
	t.say("Method request path: %s", braces(vars))
	t.say("Method request query string: %s", queryText(query))
	t.say("Method request headers: %s", headerText(c.Headers))
	t.say("Method request body before transformations: %s", short(c.Body))
	a := s.run(ctx, t, vars, query)
	t.say("Method completed with status: %d", a.Status)
	a.Log, a.Latency = t.log.String(), time.Since(began)
	return a, nil
}

// run is the method's work.
func (s *Trials) run(ctx context.Context, t *trial, vars map[string]string, query string) model.TrialAnswer {
	m, ok := t.method()
	if !ok {
		return t.fail(missingToken, "there is no method for %s", t.Verb)
	}
	m.AuthorizationType = model.AuthNone // who builds the method may call it
	if why := m.Undeployable(t.Path); len(why) > 0 {
		return t.fail(configurationError, "%s", why[0])
	}
	g := m.Integration
	if g.Mapped() {
		return s.mapped(ctx, t, g, vars, query)
	}
	if g.Type == model.IntegrationMock {
		mock, err := model.ParseMock(g)
		if err != nil {
			return t.fail(configurationError, "No match for output mapping and no default output mapping configured. Endpoint Response Status Code: 200")
		}
		h := http.Header{}
		for _, line := range mock.Headers {
			h.Add(line[0], line[1])
		}
		return t.done(model.TrialAnswer{Status: mock.Status, Headers: h, Body: []byte(mock.Body)})
	}
	staged, ok := g.OnStage(t.Variables)
	if !ok {
		return t.fail(configurationError, "Invalid endpoint address")
	}
	up, err := model.ParseUpstream(staged, t.Path)
	if err != nil {
		return t.fail(configurationError, "Invalid endpoint address")
	}
	over, err := mapping.CompileOver(g)
	if err != nil || mapping.Framed(g) {
		return t.fail(configurationError, "the integration's parameters cannot be mapped")
	}
	var put mapping.Request
	if over != nil {
		if put = over.Request(t.call(vars, query)); climbs(put.Path) {
			return t.fail(badRequest, "%s", whyClimbs)
		}
	}
	return s.proxy(ctx, t, up, &put, time.Duration(g.Timeout())*time.Millisecond, vars, query)
}

func (t *trial) method() (m model.Method, ok bool) {
	for i := range t.Definition.Resources {
		if r := &t.Definition.Resources[i]; r.Path == t.Path {
			if m, ok = r.Methods[t.Verb]; !ok {
				m, ok = r.Methods[anyVerb]
			}
		}
	}
	return m, ok
}

// pathVariables are the values that a path has for the resource's variables. One
// that is not the resource's has none: as on Amazon API Gateway, they are empty.
func (t *trial) pathVariables(path string) (map[string]string, error) {
	tree, err := route.New([]route.Route{{Path: t.Path, Methods: map[string]int32{anyVerb: 0}}})
	if err != nil {
		return nil, model.Errorf(model.Invalid, "%v", err)
	}
	vars := map[string]string{}
	var m route.Match
	if path == "" || !tree.Match([]byte(path), []byte(t.Verb), &m) {
		return vars, nil
	}
	for _, v := range m.Vars[:m.N] {
		vars[v.Name] = path[v.Start:v.End]
	}
	return vars, nil
}

// proxy sends the call to its upstream.
func (s *Trials) proxy(ctx context.Context, t *trial, up *model.Upstream, put *mapping.Request, timeout time.Duration, vars map[string]string, query string) model.TrialAnswer {
	var u strings.Builder
	u.WriteString(up.Scheme + "://" + up.Host)
	for _, p := range up.Path {
		switch {
		case p.Parameter != "":
			u.WriteString(escapePath(put.Path[p.Parameter]))
		case p.Variable != "":
			u.WriteString(vars[p.Variable])
		default:
			u.WriteString(p.Literal)
		}
	}
	if q := appendOverQuery(nil, up.Query, query, put.Query); len(q) > 0 {
		u.Write(q)
	}
	verb := up.Method
	if verb == "" || verb == anyVerb {
		verb = t.Verb
	}
	if verb == anyVerb {
		verb = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, verb, u.String(), bytes.NewReader(t.Body))
	if err != nil {
		return t.fail(configurationError, "Invalid endpoint address")
	}
	for k, vs := range t.Headers {
		if k = textproto.CanonicalMIMEHeaderKey(k); !ownHeader[k] {
			req.Header[k] = vs
		}
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "Tollgate")
	}
	for _, h := range put.Header {
		switch name := strings.ToLower(h.Name); {
		case name == "host":
			req.Host = h.Value
		case !notMapped[name]:
			req.Header.Set(h.Name, h.Value)
		}
	}
	resp, body, refused := s.ask(ctx, t, req, t.Body, timeout)
	if refused != nil {
		return *refused
	}
	for k := range ownHeader {
		resp.Header.Del(k)
	}
	return t.done(model.TrialAnswer{Status: resp.StatusCode, Headers: resp.Header, Body: body})
}

// ask sends a request and reads the answer. refused is the trial's end where none came.
func (s *Trials) ask(ctx context.Context, t *trial, req *http.Request, sent []byte, timeout time.Duration) (resp *http.Response, body []byte, refused *model.TrialAnswer) {
	fail := func(k kind, format string, a ...any) (*http.Response, []byte, *model.TrialAnswer) {
		answer := t.fail(k, format, a...)
		return nil, nil, &answer
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	t.say("Endpoint request URI: %s", req.URL)
	t.say("Endpoint request headers: %s", headerText(req.Header))
	t.say("Endpoint request body after transformations: %s", short(sent))
	t.say("Sending request to %s", req.URL)
	began := time.Now()
	resp, err := s.outward.RoundTrip(req.WithContext(ctx))
	if err == nil {
		defer resp.Body.Close()
		body, err = io.ReadAll(io.LimitReader(resp.Body, maxTrialBody+1))
	}
	switch {
	case errors.Is(err, http1.ErrForbidden):
		return fail(configurationError, "the endpoint is in a network that the gateway may not reach")
	case isNoHost(err):
		return fail(configurationError, "Invalid endpoint address")
	case ctx.Err() != nil:
		return fail(integrationTimeout, "the endpoint did not answer within %d ms", timeout.Milliseconds())
	case err != nil:
		return fail(integrationFailure, "Network error communicating with endpoint")
	case len(body) > maxTrialBody:
		return fail(integrationFailure, "the endpoint's answer has more than the %d bytes that a trial takes", maxTrialBody)
	}
	t.say("Received response. Status: %d, Integration latency: %d ms", resp.StatusCode, time.Since(began).Milliseconds())
	t.say("Endpoint response headers: %s", headerText(resp.Header))
	t.say("Endpoint response body before transformations: %s", short(body))
	return resp, body, nil
}

// call is the trial as mappings see it. Nothing is known of a caller: a trial has none.
func (t *trial) call(vars map[string]string, query string) *mapping.Call {
	in := &mapping.Call{Body: string(t.Body), Path: vars, Query: map[string]string{}, Queries: map[string][]string{}, Header: map[string]string{}, Headers: map[string][]string{}, Context: vtl.NewMap(), StageVariables: vtl.NewMap()}
	readQuery(in, query)
	for name, values := range t.Headers {
		known := textproto.CanonicalMIMEHeaderKey(name)
		in.Header[name], in.Headers[known] = values[len(values)-1], append(in.Headers[known], values...)
	}
	for name, value := range t.Variables {
		in.StageVariables.Set(name, value)
	}
	identity := vtl.NewMap()
	identity.Set("sourceIp", "test-invoke-source-ip")
	for _, pair := range [][2]string{{"requestId", t.ID}, {"extendedRequestId", t.ID}, {"apiId", t.APIID}, {"httpMethod", t.Verb}, {"resourcePath", t.Path}, {"stage", "test-invoke-stage"}, {"path", t.Path}} {
		in.Context.Set(pair[0], pair[1])
	}
	in.Context.Set("identity", identity)
	return in
}

// mapped tries an integration with a mapping.
func (s *Trials) mapped(ctx context.Context, t *trial, g *model.Integration, vars map[string]string, query string) model.TrialAnswer {
	m, err := mapping.Compile(g, t.Definition.BinaryMediaTypes)
	if err != nil {
		return t.fail(configurationError, "%v", err)
	}
	in := t.call(vars, query)
	req, err := m.Request(in)
	if err != nil {
		return t.fail(mappingKind(err), "%v", err)
	}
	answer := &mapping.Answer{}
	if g.Type == model.IntegrationMock {
		if answer.Status, err = mapping.MockStatus(req.Body); err != nil {
			return t.fail(configurationError, "%v", err)
		}
	} else if refused := s.askMapped(ctx, t, g, &req, answer); refused != nil {
		return *refused
	}
	out, err := m.Response(in, strconv.Itoa(answer.Status), answer)
	if err != nil {
		return t.fail(mappingKind(err), "%v", err)
	}
	h := http.Header{}
	for _, p := range out.Header {
		h.Set(p.Name, p.Value)
	}
	return t.done(model.TrialAnswer{Status: out.Status, Headers: h, Body: []byte(out.Body)})
}

// askMapped asks an HTTP integration's endpoint.
func (s *Trials) askMapped(ctx context.Context, t *trial, g *model.Integration, r *mapping.Request, answer *mapping.Answer) *model.TrialAnswer {
	wrong := func() *model.TrialAnswer {
		answer := t.fail(configurationError, "Invalid endpoint address")
		return &answer
	}
	staged, ok := g.OnStage(t.Variables)
	if !ok {
		return wrong()
	}
	up, err := model.ParseEndpoint(staged)
	if err != nil {
		return wrong()
	}
	target := appendTargetParts(nil, up.Path, up.Query, r)
	verb := up.Method
	if verb == "" {
		verb = t.Verb
	}
	if verb == anyVerb {
		verb = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, verb, up.Scheme+"://"+up.Host+string(target), strings.NewReader(r.Body))
	if err != nil {
		return wrong()
	}
	for _, h := range mappedHeaders(r, t.APIID) {
		req.Header[textproto.CanonicalMIMEHeaderKey(h.Name)] = []string{h.Value}
	}
	req.Host = mappedHost(r, up.Host)
	resp, body, refused := s.ask(ctx, t, req, []byte(r.Body), time.Duration(g.Timeout())*time.Millisecond)
	if refused != nil {
		return refused
	}
	answer.Status, answer.Headers, answer.Body = resp.StatusCode, resp.Header, string(body)
	return nil
}

// ownHeader are those of one connection, which do not travel on.
var ownHeader = map[string]bool{"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Te": true, "Trailer": true,
	"Transfer-Encoding": true, "Upgrade": true, "Content-Length": true, "Host": true, "Expect": true}

func isNoHost(err error) bool {
	_, ok := errors.AsType[*net.DNSError](err)
	return ok
}

func (t *trial) done(a model.TrialAnswer) model.TrialAnswer {
	t.say("Method response body after transformations: %s", short(a.Body))
	t.say("Method response headers: %s", headerText(a.Headers))
	t.say("Successfully completed execution")
	return a
}

// fail is the gateway's own answer of a kind.
func (t *trial) fail(k kind, format string, a ...any) model.TrialAnswer {
	what := "Execution failed: "
	switch k {
	case configurationError:
		what = "Execution failed due to configuration error: "
	case integrationTimeout:
		what = "Execution failed due to a timeout error: "
	}
	t.say("%s", what+fmt.Sprintf(format, a...))
	h := http.Header{}
	for line := range strings.SplitSeq(string(answers[k].head), "\r\n") {
		if name, value, ok := strings.Cut(line, ": "); ok && name != "Content-Type" {
			h[name] = []string{value} // as it is spelled
		}
	}
	return model.TrialAnswer{Status: answers[k].status, Headers: h, Body: answers[k].body}
}

func short(b []byte) string {
	if len(b) <= maxTrialEvent {
		return strings.ToValidUTF8(string(b), "\uFFFD")
	}
	return strings.ToValidUTF8(string(b[:maxTrialEvent]), "") + " [TRUNCATED]"
}

// braces is a map as Java prints one.
func braces(m map[string]string) string {
	parts := make([]string, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, k+"="+m[k])
	}
	return "{" + short([]byte(strings.Join(parts, ", "))) + "}"
}

func headerText(h map[string][]string) string {
	m := map[string]string{}
	for k, vs := range h {
		m[k] = strings.Join(vs, ",")
	}
	return braces(m)
}

func queryText(q string) string {
	m := map[string]string{}
	for part := range strings.SplitSeq(q, "&") {
		if k, v, _ := strings.Cut(part, "="); k != "" {
			m[k] = v
		}
	}
	return braces(m)
}
