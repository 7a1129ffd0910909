package gateway

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"tollgate/gateway/aws"
	"tollgate/gateway/http1"
	"tollgate/gateway/lambda"
	"tollgate/gateway/mapping"
	"tollgate/gateway/vtl"
	"tollgate/model"
)

// function is a Lambda function that a method's integration or its authorizer calls, or
// the stream of Firehose that an integration writes to.
type function struct {
	*service
	pool *http1.Pool
	key  http1.PoolKey
}

// proxy is an integration of type AWS_PROXY.
type proxy struct {
	function
	post     bool             // the integration's method is POST, as it must be
	params   *mapping.Mapping // of the request; nil: none
	binary   lambda.Binary
	firehose bool
}

const (
	// maxPayload bounds a function's answer, in bytes, as on Lambda with what its framing
	// adds; maxStreamed how long an answer goes on that streams, and streamIdle how long it
	// may be silent.
	maxPayload  = 6<<20 + 64<<10
	maxStreamed = 15 * time.Minute
	streamIdle  = 5 * time.Minute
)

// compileFunction finds what a URI calls.
func compileFunction(uri, credentials string, at aws.Endpoints, pools *http1.Upstreams) (function, error) {
	s, err := parseService(&model.Integration{URI: uri, Credentials: credentials})
	if err != nil {
		return function{}, err
	}
	arn, _ := s.target.Function()
	s.function, s.endpoint = arn != "", at.Of(s.target)
	f := function{service: s, key: http1.PoolKey{Address: s.endpoint.Address, TLS: s.endpoint.TLS, Named: s.endpoint.Named}}
	if f.key.TLS {
		f.key.ServerName = serverName(f.key.Address)
	}
	if pools != nil {
		f.pool = pools.Pool(f.key, nil)
	}
	return f, nil
}

// checkProxy says what of an AWS_PROXY integration, its stage variables in place, cannot
// be acted on.
func checkProxy(g *model.Integration) error {
	s, err := parseService(g)
	if err != nil {
		return err
	}
	t := s.target
	arn, stream := t.Function()
	switch {
	case t.Service == "firehose" && (t.Action == "PutRecord" || t.Action == "PutRecordBatch"):
	case arn == "":
		return errors.New("integrations of type AWS_PROXY call a Lambda function, arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/{function}/invocations, or write to Firehose by the actions PutRecord and PutRecordBatch")
	}
	if stream != (g.ResponseTransferMode == "STREAM") {
		return errors.New("responseTransferMode STREAM and a uri that ends in response-streaming-invocations need each other")
	}
	_, err = compileProxyParameters(g)
	return err
}

// compileProxyParameters are the headers that an integration adds to its event; nil: none.
func compileProxyParameters(g *model.Integration) (*mapping.Mapping, error) {
	if len(g.RequestParameters) == 0 {
		return nil, nil
	}
	return mapping.Compile(&model.Integration{Type: g.Type, RequestParameters: g.RequestParameters}, nil)
}

// compileProxy makes m the one of an AWS_PROXY integration.
func compileProxy(m *method, g *model.Integration, binary []string, at aws.Endpoints, pools *http1.Upstreams) error {
	if err := checkProxy(g); err != nil {
		return err
	}
	f, err := compileFunction(g.URI, g.Credentials, at, pools)
	if err != nil {
		return err
	}
	p := &proxy{function: f, post: g.HTTPMethod == "POST", binary: lambda.NewBinary(binary), firehose: f.target.Service == "firehose"}
	if p.params, err = compileProxyParameters(g); err != nil {
		return err
	}
	m.proxy, m.whole = p, (*call).functionAnswer
	m.out = upstream{host: f.endpoint.Host, key: f.key, pool: f.pool}
	if g.ResponseTransferMode == "STREAM" {
		m.whole, m.stream = nil, (*call).functionStream
	}
	return nil
}

// functionAnswer is that of a proxy integration with a Lambda function.
func (c *call) functionAnswer(x *http1.Exchange, out *reply) kind {
	p := c.run.m.proxy
	req, async, k := c.functionRequest(x)
	if k != proceed {
		return k
	}
	status, failed := 0, false
	held := true
	payload, f := x.Fetch(p.pool, req, nil, maxPayload, c.run.m.timeout, func() bool {
		status, failed = x.Response.Code, answerHeader(x, "X-Amz-Function-Error") != nil
		c.endpointID = string(answerHeader(x, "X-Amzn-Requestid"))
		return true
	}, func(n int64) bool {
		held = c.hold(n)
		return held
	})
	switch {
	case !held:
		c.why = whyHeld
		return throttled
	case f != http1.None:
		return c.proxied(f)
	}
	if c.trace != nil {
		c.traceResponse(x)
		c.trace.sayBody("Endpoint response body before transformations: %s", payload)
	}
	if p.firehose {
		out.status, out.body = status, payload
		kind := answerHeader(x, "Content-Type")
		if kind == nil {
			kind = []byte("application/x-amz-json-1.1")
		}
		out.header = append(out.header, mapping.Pair{Name: "Content-Type", Value: string(kind)})
		return proceed
	}
	if k := c.invoked(status, failed, payload); k != proceed {
		return k
	}
	if async { // the function's answer is nobody's
		out.status, out.header = 200, append(out.header, mapping.Pair{Name: "Content-Type", Value: "application/json"})
		return proceed
	}
	r, err := lambda.ParseReply(payload)
	if err != nil {
		c.why = err.Error()
		return malformedAnswer
	}
	if out.body, err = r.Decode(p.binary.Wanted(header(x, "Accept"))); err != nil {
		c.why = err.Error()
		return configurationError
	}
	out.status = r.Status
	r.Sent(func(name, value string) { out.header = append(out.header, mapping.Pair{Name: name, Value: value}) })
	return proceed
}

// invoked is what came of asking for a function, but for its answer.
func (c *call) invoked(status int, failed bool, payload []byte) kind {
	switch {
	case failed:
		c.why = fmt.Sprintf("Lambda execution failed with status %d due to customer function error: %.200s", status, lambda.FailureMessage(payload))
		return malformedAnswer
	case status >= 200 && status < 300:
		return proceed
	case status == 403:
		c.why = "Invalid permissions on Lambda function"
		return configurationError
	case status >= 400 && status < 500:
		c.why = fmt.Sprintf("Lambda refused the invocation with status %d: %s", status, short(payload))
		return configurationError
	}
	c.why = fmt.Sprintf("Lambda answered with status %d: %s", status, short(payload))
	return malformedAnswer
}

// functionRequest is the signed request that a proxy integration sends.
func (c *call) functionRequest(x *http1.Exchange) (req []byte, async bool, k kind) {
	p := c.run.m.proxy
	if !p.post {
		c.why = "integrations of type AWS_PROXY must be called with POST"
		return nil, false, configurationError
	}
	if k := c.readBody(x); k != proceed {
		return nil, false, k
	}
	if !c.hold(4 * int64(len(c.body))) { // the event, and copies while it is signed
		return nil, false, throttled
	}
	var added []mapping.Pair
	if p.params != nil {
		in := c.mappingCall(x, string(c.body))
		m, err := p.params.Request(in)
		if err != nil {
			return nil, false, c.fails(err)
		}
		added = m.Header
	}
	body := string(c.body)
	if !p.firehose {
		e := c.event(x)
		e.Body, e.BinaryBody = c.body, p.binary.Has(x.Request.Type.Of(x.In))
		for _, h := range added {
			if strings.EqualFold(h.Name, "X-Amz-Invocation-Type") {
				async = h.Value == "Event"
			}
			e.Header = setField(e.Header, h)
		}
		body = string(e.AppendProxy(make([]byte, 0, 4096+len(c.body))))
	}
	req, k = c.signed(x, &p.function, body, async)
	if k == proceed && c.trace != nil {
		c.trace.sayBody("Endpoint request body after transformations: %s", []byte(body))
		c.trace.say("Sending request to %s", p.endpoint.Host)
		c.trace.asked = time.Now()
	}
	return req, async, k
}

func setField(all []lambda.Field, h mapping.Pair) []lambda.Field {
	out := all[:0]
	for _, f := range all {
		if !strings.EqualFold(string(f.Name), h.Name) {
			out = append(out, f)
		}
	}
	return append(out, lambda.Field{Name: []byte(h.Name), Value: []byte(h.Value)})
}

// signed is a request to f, signed with the tenant's credential.
func (c *call) signed(x *http1.Exchange, f *function, body string, async bool) ([]byte, kind) {
	m := aws.Mapped{Verb: "POST", Body: body, ContentType: "application/json", Header: []aws.Field{{Name: "X-Amzn-Trace-Id", Value: c.traceOn(x)}}}
	if f.target.Service == "lambda" {
		mode := "RequestResponse"
		if async {
			mode = "Event"
		}
		m.Header = append(m.Header, aws.Field{Name: "X-Amz-Invocation-Type", Value: mode})
	}
	r, err := f.target.Request(f.endpoint, &m)
	if err != nil {
		c.why = err.Error()
		return nil, configurationError
	}
	keys, why := c.signer(f.service, r)
	if why != "" {
		c.why = why
		return nil, configurationError
	}
	if keys != nil {
		r.Sign(*keys, c.now)
	}
	return r.Append(make([]byte, 0, 1024+len(body))), proceed
}

// functionStream answers with what a function sends, as it comes.
func (c *call) functionStream(x *http1.Exchange) kind {
	req, _, k := c.functionRequest(x)
	if k != proceed {
		return k
	}
	var s lambda.Stream
	var p lambda.Prelude
	began, end := false, time.Now().Add(maxStreamed)
	ends := func(as kind, why string) bool {
		k, c.why = as, why
		return false
	}
	f := x.Pull(c.run.m.proxy.pool, req, c.run.m.timeout, streamIdle, func() bool {
		if c.trace != nil {
			c.traceResponse(x)
		}
		c.endpointID = string(answerHeader(x, "X-Amzn-Requestid"))
		k = c.invoked(x.Response.Code, answerHeader(x, "X-Amz-Function-Error") != nil, nil)
		return k == proceed
	}, func(in []byte) bool {
		for len(in) > 0 {
			piece, used, err := s.Next(in)
			if in = in[used:]; err != nil {
				return ends(malformedAnswer, err.Error())
			}
			if !p.Done && len(piece) > 0 {
				var r lambda.Reply
				if r, piece, err = p.Next(piece); err != nil {
					return ends(malformedAnswer, err.Error())
				}
				if p.Done {
					r.Sent(func(name, value string) { c.head = appendLine(c.head, name, value) })
					c.head = appendLine(c.head, "X-Amzn-Trace-Id", c.traceID(x))
					if x.Begin(r.Status, c.head) != nil {
						c.noRec = false
						return ends(unavailable, "the call could not be written down")
					}
					began = true
				}
			}
			if len(piece) > 0 && x.Push(piece) != nil {
				return false // the client went
			}
		}
		return time.Now().Before(end)
	})
	err := s.Close()
	switch {
	case began && f == http1.None && err == nil:
		_ = x.Finish()
		return proceed
	case began: // there is no other answer any more
		x.Abort()
		return proceed
	case k != proceed:
		return k
	case f != http1.None:
		return c.proxied(f)
	case err == nil:
		err = lambda.ErrMalformed
	}
	c.why = err.Error()
	return malformedAnswer
}

// streamed is wholly for an answer that is sent while it is made.
func (c *call) streamed(x *http1.Exchange) kind {
	if !x.MayBlock() {
		x.Block()
		return later
	}
	return c.charge(c.run.m.stream(c, x))
}

// answerHeader is the last value of a header of the upstream's answer.
func answerHeader(x *http1.Exchange, name string) []byte {
	r := &x.Response
	for i := r.N - 1; i >= 0; i-- {
		if f := &r.Fields[i]; f.Name.Len() == len(name) && strings.EqualFold(string(f.Name.Of(x.Up)), name) {
			return f.Value.Of(x.Up)
		}
	}
	return nil
}

// event is the call as functions hear of it, without its body. It has views of the call's
// buffers.
func (c *call) event(x *http1.Exchange) *lambda.Call {
	r, v := &x.Request, c.variant
	e := &lambda.Call{Path: c.path, Method: c.verb(x), Query: r.Query.Of(x.In), StageVariables: v.vars}
	if i := c.match.Route; i >= 0 && int(i) < len(v.prog.resources) {
		e.Resource, e.Context.ResourceID = v.prog.resources[i].path, v.prog.resources[i].id
	}
	for _, p := range c.match.Vars[:c.match.N] {
		value := c.path[p.Start:p.End]
		if s, err := url.PathUnescape(string(value)); err == nil {
			value = []byte(s)
		}
		e.PathParameters = append(e.PathParameters, lambda.Field{Name: []byte(p.Name), Value: value})
	}
	e.Header = make([]lambda.Field, 0, r.N+4)
	add := func(name string, value []byte) {
		e.Header = append(e.Header, lambda.Field{Name: []byte(name), Value: value})
	}
	for i := range r.Fields[:r.N] {
		f := &r.Fields[i]
		name, value := f.Name.Of(x.In), f.Value.Of(x.In)
		if !unheard(name, value) && !(c.span.on && http1.EqualFold(name, "traceparent")) {
			e.Header = append(e.Header, lambda.Field{Name: name, Value: value})
		}
	}
	host := r.Host.Of(x.In)
	domain, port := host, map[bool]string{false: "80", true: "443"}[x.TLS]
	if h, p, err := net.SplitHostPort(string(host)); err == nil {
		domain, port = []byte(h), p
	}
	add("X-Amzn-Trace-Id", []byte(c.traceOn(x)))
	if parent := c.parentOn(); parent != "" {
		add("traceparent", []byte(parent))
	}
	from := []byte(x.RemoteIP)
	if r.Forwarded.Len() > 0 {
		from = append(append(append([]byte(nil), r.Forwarded.Of(x.In)...), ", "...), x.RemoteIP...)
	}
	add("X-Forwarded-For", from)
	add("X-Forwarded-Port", []byte(port))
	add("X-Forwarded-Proto", []byte(map[bool]string{false: "http", true: "https"}[x.TLS]))
	e.Context.Domain = domain
	e.Context.Path = r.Path.Of(x.In)
	byStyle := false
	if rest, ok := strings.CutPrefix(string(e.Context.Path), pathStyle); ok { // as it would be by host
		byStyle = true
		_, rest, _ = strings.Cut(rest, "/")
		e.Context.Path = []byte("/" + rest)
	}
	if !byStyle && hostAPI(host) == nil && c.g.journal != nil {
		e.Path = e.Context.Path // a domain's base path is the caller's
	}
	c.eventContext(x, &e.Context)
	return e
}

// unheard headers are of the connection, the framing, or the gateway's own to make.
func unheard(name, value []byte) bool {
	var room [32]byte
	if len(name) > len(room) {
		return false
	}
	low := room[:len(name)]
	for i, b := range name {
		if b >= 'A' && b <= 'Z' {
			b |= 0x20
		}
		low[i] = b
	}
	switch string(low) {
	case "connection", "content-length", "content-md5", "expect", "keep-alive", "max-forwards", "proxy-authenticate", "proxy-connection", "server", "te", "trailer",
		"transfer-encoding", "upgrade", "www-authenticate", "x-amzn-trace-id", "x-forwarded-for", "x-forwarded-port", "x-forwarded-proto":
		return true
	case "authorization":
		return strings.HasPrefix(string(value), "AWS4-HMAC-SHA256")
	}
	return false
}

// eventContext is $context as events have it.
func (c *call) eventContext(x *http1.Exchange, e *lambda.Context) {
	v := c.variant
	id := string(c.id.AppendText(nil))
	utc := c.now.UTC()
	e.AccountID, e.APIID, e.DeploymentID, e.Stage, e.RequestID = c.tenant.account, v.prog.api, v.prog.id, c.stage.cfg.Stage, id
	e.ExtendedRequestID = string(c.appendExtendedID(nil))
	e.OperationName = c.run.m.operation
	e.Protocol = "HTTP/1.1"
	if x.H2 {
		e.Protocol = "HTTP/2"
	}
	e.Time, e.TimeEpoch, e.SourceIP = utc.Format("02/Jan/2006:15:04:05 +0000"), utc.UnixMilli(), x.RemoteIP
	if c.stage.canary != nil {
		e.Canary = &v.canary
	}
	if c.key != nil {
		e.Identity = append(e.Identity, [2]string{"apiKey", string(c.keyValue(x))}, [2]string{"apiKeyId", c.key.id})
	}
	if c.client != nil {
		e.ClientCert = certText(c.client)
	}
	if c.by != nil {
		e.Identity = append(e.Identity, [2]string{"vpceId", c.by.ID}, [2]string{"vpcId", c.by.VPC})
	}
	w := c.caller
	if w == nil {
		return
	}
	e.Identity = append(e.Identity, w.identity...)
	if w.token != nil {
		e.AppendAuthorizer = w.appendTokenEvent
	} else if w.authorizer != nil {
		e.AppendAuthorizer = func(dst []byte) []byte { return vtl.AppendJSON(dst, w.authorizer) }
	}
}
