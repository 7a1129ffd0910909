package gateway

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"net"
	"slices"
	"strconv"

	"tollgate/gateway/http1"
	"tollgate/gateway/spans"
	"tollgate/model"
)

// span is a call's own place in a distributed trace, where its stage takes part in one.
type span struct {
	on      bool // else nothing here means anything
	sampled bool
	remote  bool // there is a parent
	trace   spans.TraceID
	parent  spans.SpanID
	id      spans.SpanID // of the whole call; the authorizer's and the integration's follow
	came    []byte       // X-Amzn-Trace-Id; nil: none
	// access is when authorization began and ended, in http1.Now(); 0: it did not.
	access [2]int64
	asked  bool // authorization asked somebody
}

// tracing is a stage's that takes part in traces.
type tracing struct {
	sampler *spans.Sampler
	reserve *spans.Reserve
}

// tracingOf is what a stage is set to have; nil: traces pass through it, as they do
// where the node sends spans nowhere.
func (g *Gateway) tracingOf(cfg *model.StageConfig) *tracing {
	if g.spans == nil || !cfg.Tracing {
		return nil
	}
	r := &spans.Reserve{}
	if old := g.reg.stages[cfg.Num]; old != nil && old.tracing != nil {
		r = old.tracing.reserve
	}
	return &tracing{g.spans.Sampler(), r}
}

// spanOptions are the operator's, with what the node knows of itself.
func (g *Gateway) spanOptions() spans.Options {
	o := *g.o.Spans
	o.Log = g.log
	o.Resource = append(o.Resource[:len(o.Resource):len(o.Resource)],
		spans.Attribute{Key: "service.version", Text: cmp.Or(o.Version, "unknown")},
		spans.Attribute{Key: "service.instance.id", Text: cmp.Or(g.o.Node, "unknown")})
	return o
}

// Ids of a call's spans behind its own.
const (
	accessSpan      = 1
	integrationSpan = 2
)

// takePart continues the trace that came with a call, or begins one, and keeps what came
// from going on: whoever is asked gets the gateway's own place.
func (c *call) takePart(x *http1.Exchange, t *tracing) {
	var parent http1.Span
	parents := 0
	r := &x.Request
	for i := range r.Fields[:r.N] {
		f := &r.Fields[i]
		switch name := f.Name.Of(x.In); len(name) {
		case len("traceparent"):
			if http1.EqualFold(name, "traceparent") {
				f.Hop, parent = true, f.Value
				parents++
			}
		case len("x-amzn-trace-id"):
			f.Hop = f.Hop || http1.EqualFold(name, "x-amzn-trace-id")
		}
	}
	s := &c.span
	*s = span{on: true}
	if r.Trace.Len() > 0 {
		s.came = r.Trace.Of(x.In)
		r.Trace = http1.Span{} // so that the gateway's own is sent
	}
	var in spans.Context
	var ok bool
	if parents == 1 {
		in, ok = spans.ParseTraceparent(parent.Of(x.In))
	}
	if !ok {
		c.forgetTracestate(x) // it says nothing without its parent
		in, ok = spans.ParseAmazon(s.came)
	}
	if !ok {
		in.Trace = spans.NewTraceID(c.now.Unix())
	}
	s.trace, s.parent, s.remote, s.id = in.Trace, in.Span, in.Span != (spans.SpanID{}), spans.NewSpanID()
	s.sampled = t.sampler.Sample(&in, t.reserve, x.Begun)
}

func (c *call) forgetTracestate(x *http1.Exchange) {
	for i := range x.Request.Fields[:x.Request.N] {
		if f := &x.Request.Fields[i]; http1.EqualFold(f.Name.Of(x.In), "tracestate") {
			f.Hop = true
		}
	}
}

// place is where the call is in its trace: at itself, or at what it asks now.
func (c *call) place(asks bool) spans.Context {
	p := spans.Context{Trace: c.span.trace, Span: c.span.id, Sampled: c.span.sampled, Decided: true}
	switch {
	case !asks:
	case c.at < len(c.run.steps)-1:
		p.Span = c.span.id.Next(accessSpan)
	default:
		p.Span = c.span.id.Next(integrationSpan)
	}
	return p
}

// appendTraceID appends the value of an X-Amzn-Trace-Id for who is asked, or for the
// caller.
func (c *call) appendTraceID(dst []byte, x *http1.Exchange, asks bool) []byte {
	switch {
	case c.span.on:
		p := c.place(asks)
		return p.AppendAmazon(dst, c.span.came)
	case x.Request.Trace.Len() > 0:
		return append(dst, x.Request.Trace.Of(x.In)...)
	}
	dst = append(dst, "Root=1-"...)
	s := uint32(c.now.Unix())
	dst = hex.AppendEncode(dst, []byte{byte(s >> 24), byte(s >> 16), byte(s >> 8), byte(s)})
	return hex.AppendEncode(append(dst, '-'), c.id[4:16])
}

// appendTrace appends the header lines by which the integration can continue the trace.
// The client's X-Amzn-Trace-Id goes on by itself where it does.
func (c *call) appendTrace(dst []byte, x *http1.Exchange) []byte {
	if x.Request.Trace.Len() > 0 {
		return dst
	}
	dst = append(c.appendTraceID(append(dst, "X-Amzn-Trace-Id: "...), x, true), '\r', '\n')
	return c.appendParent(dst)
}

// appendParent appends the traceparent line, where the call takes part in a trace.
func (c *call) appendParent(dst []byte) []byte {
	if !c.span.on {
		return dst
	}
	p := c.place(true)
	return append(p.AppendTraceparent(append(dst, "traceparent: "...)), '\r', '\n')
}

// traceLine bounds what appendTrace appends, but for what a caller added to its header.
const traceLine = 192

const traceHeader = "X-Amzn-Trace-Id"

// traceID is the call's X-Amzn-Trace-Id: the client's, one of its own, or its place in
// the trace.
func (c *call) traceID(x *http1.Exchange) string { return string(c.appendTraceID(nil, x, false)) }

// traceOn is the X-Amzn-Trace-Id for whom the call asks.
func (c *call) traceOn(x *http1.Exchange) string { return string(c.appendTraceID(nil, x, true)) }

// parentOn is the traceparent for whom the call asks; "": the gateway sends none.
func (c *call) parentOn() string {
	if !c.span.on {
		return ""
	}
	p := c.place(true)
	return string(p.AppendTraceparent(nil))
}

// accessTimed is access with its times, for a call that is sampled.
func (c *call) accessTimed(x *http1.Exchange) kind {
	s := &c.span
	if s.access[0] == 0 { // else it had to wait, and runs again
		s.access[0] = http1.Now()
	}
	k := c.admitted(x)
	if k != later {
		s.access[1], s.asked = http1.Now(), x.Asked != 0
	}
	return k
}

// exportSpans hands the call's spans to the exporter.
func (c *call) exportSpans(x *http1.Exchange, status int, end int64) {
	n, guarded, waited := 1, c.span.access[0] != 0, c.waited(x, end) > 0
	for _, more := range [...]bool{guarded, waited} {
		if more {
			n++
		}
	}
	if !c.tenant.spans.Take(x.Begun) {
		c.g.spans.OverShare(n)
		return
	}
	all := append(make([]spans.Span, 0, n), c.callSpan(x, status, end))
	if guarded {
		all = append(all, c.accessSpan(x, end))
	}
	if waited {
		all = append(all, c.integrationSpan(x, end))
	}
	c.g.spans.Put(all)
}

// newSpan is the nth below the call's own, 0: that itself; from begun to ended in
// http1.Now().
func (c *call) newSpan(x *http1.Exchange, n byte, name string, k spans.Kind, begun, ended int64) spans.Span {
	s, wall := &c.span, c.now.UnixNano()-x.Begun
	out := spans.Span{Trace: s.trace, ID: s.id.Next(n), Parent: s.id, Name: name, Kind: k, Start: wall + begun, End: wall + ended}
	if n == 0 {
		out.Parent, out.Remote = s.parent, s.remote
	}
	return out
}

// fails marks a span, with what its semantic conventions call the type of the error.
func fails(s *spans.Span, what string) {
	s.Failed = true
	s.Attributes = append(s.Attributes, spans.Attribute{Key: "error.type", Text: what})
}

// endedBy says that the gateway answered because of that step.
func (c *call) endedBy(step int) bool { return c.kind != 0 && c.endedAt() == step }

func (c *call) accessSpan(x *http1.Exchange, end int64) spans.Span {
	s := &c.span
	kind, until := spans.Internal, end
	if s.asked {
		kind = spans.Client
	}
	if s.access[1] != 0 {
		until = s.access[1]
	}
	out := c.newSpan(x, accessSpan, "authorizer", kind, s.access[0], until)
	if c.endedBy(0) {
		fails(&out, answers[c.kind].name)
	}
	return out
}

func (c *call) integrationSpan(x *http1.Exchange, end int64) spans.Span {
	if x.Got != 0 {
		end = x.Got
	}
	out := c.newSpan(x, integrationSpan, "integration", spans.Client, x.Asked, end)
	if host := c.run.m.host(); host != "" {
		out.Attributes = append(out.Attributes, spans.Attribute{Key: "server.address", Text: host})
	}
	if c.kind != 0 {
		fails(&out, answers[c.kind].name)
		return out
	}
	code := x.Response.Code
	out.Attributes = append(out.Attributes, spans.Attribute{Key: "http.response.status_code", Number: int64(code)})
	if code >= 400 {
		fails(&out, strconv.Itoa(code))
	}
	return out
}

// host is the name of the host that the method's integration is at; "": there is none.
func (m *method) host() string {
	host := m.out.host
	if m.proxy != nil {
		host = m.proxy.endpoint.Host
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}

// callSpan is the call's own. What a caller keeps secret is not in it, and its name is
// none of a caller's making.
func (c *call) callSpan(x *http1.Exchange, status int, end int64) spans.Span {
	r := &x.Request
	method, route, name := "_OTHER", "", "HTTP"
	if v := string(r.Method.Of(x.In)); slices.Contains(model.Verbs, v) {
		method, name = v, v
	}
	if c.run != nil {
		if route = c.resource(); route != "" {
			name += " " + route
		}
	}
	out := c.newSpan(x, 0, name, spans.Server, x.Begun, end)
	out.Attributes = append(make([]spans.Attribute, 0, 10),
		spans.Attribute{Key: "http.request.method", Text: method},
		spans.Attribute{Key: "http.response.status_code", Number: int64(status)},
		spans.Attribute{Key: "url.path", Text: string(c.scrub(x, bytes.Clone(r.Path.Of(x.In))))},
		spans.Attribute{Key: "url.scheme", Text: map[bool]string{false: "http", true: "https"}[x.TLS]},
		spans.Attribute{Key: "tollgate.account", Text: c.tenant.account},
		spans.Attribute{Key: "tollgate.api", Text: c.stage.cfg.APIID},
		spans.Attribute{Key: "tollgate.stage", Text: c.stage.cfg.Stage},
		spans.Attribute{Key: "tollgate.request_id", Text: c.id.String()})
	if route != "" {
		out.Attributes = append(out.Attributes, spans.Attribute{Key: "http.route", Text: route})
	}
	switch {
	case c.kind != 0:
		fails(&out, answers[c.kind].name)
	case status >= 500:
		fails(&out, strconv.Itoa(status))
	}
	out.Failed = status >= 500 // what callers do wrong is no failure of a server's
	return out
}
