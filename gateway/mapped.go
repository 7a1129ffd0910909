package gateway

import (
	"bytes"
	"errors"
	"net"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"

	"tollgate/gateway/http1"
	"tollgate/gateway/mapping"
	"tollgate/gateway/vtl"
	"tollgate/model"
)

// mapped is how an integration's request and its answer are made of a call by the
// author's mapping.
type mapped struct {
	*mapping.Mapping
	target []model.UpstreamPart // of the path; their variables are the mapping's
	api    string
}

// reply is an answer in memory, before it is sent. The request id and the framing are
// added when it is.
type reply struct {
	status int
	header []mapping.Pair // Content-Type among them
	body   []byte
}

// whole answers a call in memory. It runs where waiting is allowed.
type whole func(c *call, x *http1.Exchange, out *reply) kind

// maxMappedAnswer bounds what an upstream may answer where all of it must be read first.
const maxMappedAnswer = 10 << 20

// wholly answers a call whose answer is made in memory before any of it is sent.
func (c *call) wholly(x *http1.Exchange) kind {
	if !x.MayBlock() {
		x.Block()
		return later
	}
	var out reply
	return c.finish(x, &out, c.run.m.whole(c, x, &out))
}

// proxyWhole answers a call of a proxy from memory.
func (c *call) proxyWhole(x *http1.Exchange) kind {
	if !x.MayBlock() {
		x.Block()
		return later
	}
	var out reply
	return c.finish(x, &out, c.proxyAnswer(x, &out))
}

// minStatus is the least status of an answer: behind one that is less a caller waits for
// the answer itself, or takes the connection for something else than HTTP.
const minStatus = 200

const whyInterim = "the status of the answer is one of those that come before an answer"

// finish sends an answer that is whole, unless it came to a failure. The id of the trace is
// added here: a cache, which has the answer already, keeps none of an earlier call.
func (c *call) finish(x *http1.Exchange, out *reply, k kind) kind {
	if k == proceed && out.status < minStatus {
		c.why = whyInterim
		k = configurationError
	}
	if k == proceed {
		own := c.cors() != nil
		if c.run.m.traced && !hasHeader(out.header)(traceHeader) {
			out.header = append(out.header, mapping.Pair{Name: traceHeader, Value: c.traceID(x)})
		}
		if c.trace != nil && c.trace.data() && !c.trace.trial {
			c.trace.say("Method response body after transformations: %s", short(out.body))
			c.saysHeaders("Method response", out.header)
		}
		for _, h := range out.header {
			if own && isCORS(h.Name) {
				continue
			}
			c.head = appendLine(c.head, h.Name, h.Value)
		}
		body := c.packed(x, out.body, hasHeader(out.header))
		_ = x.Reply(out.status, c.head, body)
		k = c.sent()
	}
	return c.charge(k)
}

// charge says whether a call is billed that its integration has ended.
func (c *call) charge(k kind) kind {
	if k != proceed && k != later && k != configurationError && k != integrationFailure && k != integrationTimeout && k != malformedAnswer {
		c.flags &^= flagBillable
	}
	return k
}

// sent is what came of a Reply: without its record nothing was sent.
func (c *call) sent() kind {
	if c.noRec {
		c.noRec = false
		c.flags &^= flagBillable
		c.why = "the call could not be written down"
		return unavailable
	}
	return proceed
}

const whyHeld = "the account holds as much memory on this node as it may"

// hold counts memory that the call takes beyond what it was admitted with.
func (c *call) hold(n int64) bool {
	if !c.tenant.buffered.Acquire(n, c.tenant.caps.Load().BufferedBytes) {
		return false
	}
	c.counts[1] += n
	return true
}

// mockAnswer is that of a mock which is not always the same.
func (c *call) mockAnswer(x *http1.Exchange, out *reply) kind {
	in, req, k := c.mapRequest(x)
	if k != proceed {
		return k
	}
	answer := &mapping.Answer{}
	var err error
	if answer.Status, err = mapping.MockStatus(req.Body); err != nil {
		return c.fails(err)
	}
	return c.mapAnswer(in, strconv.Itoa(answer.Status), answer, out)
}

// httpAnswer is that of an HTTP integration.
func (c *call) httpAnswer(x *http1.Exchange, out *reply) kind {
	in, req, k := c.mapRequest(x)
	if k != proceed {
		return k
	}
	answer := &mapping.Answer{}
	if k := c.fetch(x, req, answer); k != proceed {
		return k
	}
	return c.mapAnswer(in, strconv.Itoa(answer.Status), answer, out)
}

// mapRequest makes the integration's request of the call.
func (c *call) mapRequest(x *http1.Exchange) (*mapping.Call, *mapping.Request, kind) {
	m := c.run.m.mapped
	if m.ReadsBody() {
		if k := c.readBody(x); k != proceed {
			return nil, nil, k
		}
	}
	in := c.mappingCall(x, string(c.body))
	var req mapping.Request
	var err error
	if !c.heavily(len(in.Body), func() { req, err = m.Request(in) }) {
		return nil, nil, unavailable
	}
	if err != nil {
		return nil, nil, c.fails(err)
	}
	if climbs(req.Path) {
		c.why = whyClimbs
		return nil, nil, badRequest
	}
	if c.trace != nil && c.trace.data() && !c.trace.trial {
		c.trace.say("Method request body before transformations: %s", short(c.body))
	}
	return in, &req, proceed
}

// mapAnswer makes the caller's answer of the integration's; selector is what selection
// patterns are tried on.
func (c *call) mapAnswer(in *mapping.Call, selector string, answer *mapping.Answer, out *reply) kind {
	var made mapping.Reply
	var err error
	if !c.heavily(len(answer.Body), func() { made, err = c.run.m.mapped.Response(in, selector, answer) }) {
		return unavailable
	}
	if err != nil {
		return c.fails(err)
	}
	out.status, out.header, out.body = made.Status, made.Header, []byte(made.Body)
	return proceed
}

// fails is the kind of answer for what a mapping could not do.
func (c *call) fails(err error) kind {
	c.why = err.Error()
	return mappingKind(err)
}

func mappingKind(err error) kind {
	switch {
	case errors.Is(err, mapping.ErrMediaType):
		return unsupportedMediaType
	case errors.Is(err, mapping.ErrBody):
		return badRequestBody
	}
	return configurationError
}

// fixedAnswer is a mock's that is always the same.
func (c *call) fixedAnswer(out *reply) kind {
	m := c.run.m.mock
	if m.status == 0 {
		c.why = m.why
		return configurationError
	}
	out.status, out.body = m.status, m.body
	for line := range bytes.SplitSeq(m.head, []byte("\r\n")) {
		if name, value, ok := bytes.Cut(line, []byte(": ")); ok {
			out.header = append(out.header, mapping.Pair{Name: string(name), Value: string(value)})
		}
	}
	return proceed
}

// proxyAnswer is that of an HTTP_PROXY integration where it is needed whole.
func (c *call) proxyAnswer(x *http1.Exchange, out *reply) kind {
	if k := c.readBody(x); k != proceed {
		return k
	}
	req, k := c.forward(x)
	if k != proceed {
		return k
	}
	req = bytes.Clone(req)
	body, k := c.fetchWhole(x, req, req, func() {
		s := &x.Response
		out.status = s.Code
		for i := range s.Fields[:s.N] {
			f := &s.Fields[i]
			name := string(f.Name.Of(x.Up))
			if f.Remap {
				name = http1.Remapped + name
			}
			if f.Remap || !f.Hop {
				out.header = append(out.header, mapping.Pair{Name: name, Value: string(f.Value.Of(x.Up))})
			}
		}
	})
	out.body = body
	return k
}

// fetchWhole asks the method's upstream and reads all of its answer; shown is what traces
// show of the request, and head is called when x.Response is there.
func (c *call) fetchWhole(x *http1.Exchange, req, shown []byte, head func()) ([]byte, kind) {
	if c.trace != nil {
		c.traceRequest(x, shown)
	}
	held := true
	var body []byte
	var f http1.Failure
	c.attempts = attempts{}
	for again := true; again; again = held && c.landed(x, f) {
		pool, timeout, k := c.aim(x)
		if k != proceed {
			return nil, k
		}
		body, f = x.Fetch(pool, req, nil, maxMappedAnswer, timeout, func() bool {
			if x.Heard != nil {
				x.Heard()
			}
			head()
			return true
		}, func(n int64) bool {
			held = c.hold(n)
			return held
		})
	}
	if !held {
		c.drop()
		c.why = whyHeld
		return nil, throttled
	}
	if f != http1.None {
		return nil, c.proxied(f)
	}
	if c.trace != nil {
		c.trace.sayBody("Endpoint response body before transformations: %s", body)
	}
	return body, proceed
}

// fetch asks the upstream for a mapped request.
func (c *call) fetch(x *http1.Exchange, r *mapping.Request, answer *mapping.Answer) kind {
	up := &c.run.m.out
	req := make([]byte, 0, 1024+len(r.Body))
	req = append(c.appendMappedTarget(req, x, r), " HTTP/1.1\r\n"...)
	line := func(name, value string) {
		req = append(append(append(append(req, name...), ": "...), value...), '\r', '\n')
	}
	traced, parent := false, c.parentOn()
	for _, h := range mappedHeaders(r, string(up.host), c.run.m.mapped.api) {
		line(h.Name, h.Value)
		traced = traced || strings.EqualFold(h.Name, "X-Amzn-Trace-Id")
		if strings.EqualFold(h.Name, "traceparent") {
			parent = ""
		}
	}
	if !traced {
		line("X-Amzn-Trace-Id", c.traceOn(x))
	}
	if parent != "" {
		line("traceparent", parent)
	}
	line("Content-Length", strconv.Itoa(len(r.Body)))
	req = append(append(req, '\r', '\n'), r.Body...)
	return c.askEndpoint(x, req, req, answer)
}

// askEndpoint sends the method's endpoint a request and takes its answer; shown is what traces
// show of the request.
func (c *call) askEndpoint(x *http1.Exchange, req, shown []byte, answer *mapping.Answer) kind {
	body, k := c.fetchWhole(x, req, shown, func() {
		s := &x.Response
		answer.Status, answer.Headers = s.Code, map[string][]string{}
		for i := range s.Fields[:s.N] {
			f := &s.Fields[i]
			name := textproto.CanonicalMIMEHeaderKey(string(f.Name.Of(x.Up)))
			answer.Headers[name] = append(answer.Headers[name], string(f.Value.Of(x.Up)))
		}
	})
	answer.Body = string(body)
	return k
}

// mappedHeaders are those that an endpoint gets: the mapping's, and what stands for
// those it leaves out. A mapping may name another host than the address it is sent to;
// without one the header is left out.
func mappedHeaders(r *mapping.Request, host, api string) []mapping.Pair {
	out, has := append(make([]mapping.Pair, 0, len(r.Header)+5), mapping.Pair{Name: "Host", Value: host}), map[string]bool{}
	for _, h := range r.Header {
		switch name := textproto.CanonicalMIMEHeaderKey(h.Name); {
		case notForwarded[name]:
		case name == "Host":
			if hostHeader(h.Value) {
				out[0].Value = h.Value
			}
		default:
			has[name] = true
			out = append(out, h)
		}
	}
	for _, h := range []mapping.Pair{{Name: "Accept", Value: "application/json"}, {Name: "User-Agent", Value: "AmazonAPIGateway_" + api}, {Name: "X-Amzn-Apigateway-Api-Id", Value: api}, {Name: "Content-Type", Value: r.ContentType}} {
		if !has[h.Name] && h.Value != "" && (h.Name != "Content-Type" || r.Body != "") {
			out = append(out, h)
		}
	}
	if host == "" {
		return out[1:]
	}
	return out
}

// appendMappedTarget is the request line up to the protocol. Values are put in escaped:
// they must not become path segments or parameters of their own.
func (c *call) appendMappedTarget(dst []byte, x *http1.Exchange, r *mapping.Request) []byte {
	up := &c.run.m.out
	if up.verb != "" {
		dst = append(dst, up.verb...)
	} else {
		dst = append(dst, c.verb(x)...)
	}
	dst = append(dst, ' ')
	return appendTargetParts(dst, c.run.m.mapped.target, up.ownQuery(r.Path), r)
}

// appendTargetParts appends path and query of an endpoint.
func appendTargetParts(dst []byte, path []model.UpstreamPart, query string, r *mapping.Request) []byte {
	for _, p := range path {
		if p.Variable == "" {
			dst = append(dst, p.Literal...)
			continue
		}
		dst = append(dst, escapePath(r.Path[p.Variable])...)
	}
	sep := byte('?')
	if query != "" {
		dst = append(append(dst, sep), query...)
		sep = '&'
	}
	for _, q := range r.Query {
		dst = append(append(append(append(dst, sep), url.QueryEscape(q.Name)...), '='), url.QueryEscape(q.Value)...)
		sep = '&'
	}
	return dst
}

// ownQuery is the query of the integration's URI with values for its variables, escaped.
func (up *upstream) ownQuery(values map[string]string) string {
	if up.asked == nil {
		return up.query
	}
	var b strings.Builder
	for _, p := range up.asked {
		b.WriteString(p.Literal)
		if p.Parameter != "" {
			b.WriteString(url.QueryEscape(values[p.Parameter]))
		}
	}
	return b.String()
}

// mappingCall is the call as templates and parameters see it.
func (c *call) mappingCall(x *http1.Exchange, body string) *mapping.Call {
	r := &x.Request
	in := &mapping.Call{Body: body, Path: map[string]string{}, Query: map[string]string{}, Header: map[string]string{}, Queries: map[string][]string{}, Headers: map[string][]string{}, StageVariables: vtl.NewMap()}
	for _, v := range c.match.Vars[:c.match.N] {
		text := string(c.path[v.Start:v.End])
		if s, err := url.PathUnescape(text); err == nil {
			text = s
		}
		in.Path[v.Name] = text
	}
	readQuery(in, string(r.Query.Of(x.In)))
	for i := range r.Fields[:r.N] {
		f := &r.Fields[i]
		name, value := string(f.Name.Of(x.In)), string(f.Value.Of(x.In))
		if c.decoded && isCoding(f.Name.Of(x.In)) {
			continue
		}
		known := textproto.CanonicalMIMEHeaderKey(name)
		if unseen[known] {
			continue
		}
		if len(in.Headers[known]) > 0 { // names have no case: the last value counts, under the first one's
			for other := range in.Header {
				if strings.EqualFold(other, name) {
					name = other
					break
				}
			}
		}
		in.Header[name], in.Headers[known] = value, append(in.Headers[known], value)
	}
	for name, value := range c.variant.vars {
		in.StageVariables.Set(name, value)
	}
	in.Context = c.context(x)
	return in
}

// readQuery reads the parameters of a query, of which the last of a name counts.
func readQuery(in *mapping.Call, query string) {
	for part := range strings.FieldsFuncSeq(query, func(r rune) bool { return r == '&' || r == ';' }) {
		name, value, _ := strings.Cut(part, "=")
		name, value = unescapeQuery(name), unescapeQuery(value)
		in.Query[name], in.Queries[name] = value, append(in.Queries[name], value)
	}
}

func unescapeQuery(s string) string {
	if t, err := url.QueryUnescape(s); err == nil {
		return t
	}
	return s
}

// context is $context. What the gateway does not know of a caller is left out, which
// templates print as nothing.
func (c *call) context(x *http1.Exchange) *vtl.Map {
	r, v := &x.Request, c.variant
	var at resource
	if i := c.match.Route; i >= 0 && int(i) < len(v.prog.resources) {
		at = v.prog.resources[i]
	}
	out, identity := vtl.NewMap(), vtl.NewObject()
	for _, name := range identityFields {
		identity.Set(name, "")
	}
	set := func(m *vtl.Map, pairs ...string) {
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i+1] != "" {
				m.Set(pairs[i], pairs[i+1])
			}
		}
	}
	host := string(r.Host.Of(x.In))
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	prefix, _, _ := strings.Cut(host, ".")
	id, protocol := string(c.id.AppendText(nil)), "HTTP/1.1"
	if x.H2 {
		protocol = "HTTP/2"
	}
	utc := c.now.UTC()
	path := string(r.Path.Of(x.In))
	if rest, ok := strings.CutPrefix(path, pathStyle); ok { // as it would be by host
		_, path, _ = strings.Cut(rest, "/")
		path = "/" + path
	}
	set(out, "accountId", c.tenant.account, "apiId", v.prog.api, "deploymentId", v.prog.id, "domainName", host, "domainPrefix", prefix, "extendedRequestId", string(c.appendExtendedID(nil)),
		"httpMethod", string(c.verb(x)), "path", path, "protocol", protocol, "requestId", id, "requestTime", utc.Format("02/Jan/2006:15:04:05 +0000"),
		"requestTimeEpoch", strconv.FormatInt(utc.UnixMilli(), 10), "resourceId", at.id, "resourcePath", at.path, "stage", c.stage.cfg.Stage)
	if c.stage.canary != nil {
		set(out, "isCanaryRequest", strconv.FormatBool(v.canary))
	}
	set(identity, "sourceIp", x.RemoteIP, "userAgent", string(header(x, "User-Agent")))
	if c.key != nil {
		set(identity, "apiKey", string(c.keyValue(x)), "apiKeyId", c.key.id)
	}
	if c.client != nil {
		identity.Set("clientCert", certMap(certText(c.client)))
	}
	if c.by != nil {
		set(identity, "vpceId", c.by.ID, "vpcId", c.by.VPC)
	}
	if w := c.caller; w != nil {
		for _, f := range w.identity {
			set(identity, f[0], f[1])
		}
		if a := w.context(); a != nil {
			out.Set("authorizer", a)
		}
	}
	set(out, "awsEndpointRequestId", c.endpointID)
	out.Set("identity", identity)
	return out
}

// identityFields are in every call's $context.identity, empty where they are not known.
var identityFields = []string{"cognitoIdentityPoolId", "accountId", "cognitoIdentityId", "caller", "sourceIp", "principalOrgId", "accessKey",
	"cognitoAuthenticationType", "cognitoAuthenticationProvider", "userArn", "userAgent", "user"}

// header is the last value of a header of the request.
func header(x *http1.Exchange, name string) []byte {
	r := &x.Request
	for i := r.N - 1; i >= 0; i-- {
		if f := &r.Fields[i]; bytes.EqualFold(f.Name.Of(x.In), []byte(name)) {
			return f.Value.Of(x.In)
		}
	}
	return nil
}
