package gateway

import (
	"bytes"
	"context"
	"crypto/x509"
	"time"

	"tollgate/gateway/cache"
	"tollgate/gateway/http1"
	"tollgate/gateway/journal"
	"tollgate/gateway/limit"
	"tollgate/gateway/limit/counter"
	"tollgate/gateway/policy"
	"tollgate/gateway/route"
	"tollgate/model"
)

// call is one call's way through the steps. It lives as long as its Exchange
// and is reused with it.
type call struct {
	g     *Gateway
	id    journal.CallID
	now   time.Time // when the call's head was complete
	match route.Match
	path  []byte // relative to the stage

	tenant  *tenant
	stage   *stage
	variant *variant // of the stage, that the call runs
	run     *run
	key     *key
	sub     *subscription
	plan    *plan
	cover   *planStage
	at      int        // the step it is at
	unit    limit.Unit // of the quota
	paid    limit.Unit // of what the money reaches for
	flags   uint8
	hard    bool // the counters were asked, and counted is what they said
	counted counter.Answer
	noRec   bool // the journal refused the record

	head    []byte                 // header lines for the client
	body    []byte                 // of the request, where a step has read it whole; nil: none has
	decoded bool                   // body was, see decode
	hash    string                 // of the body as it was sent, where the method's calls are signed
	caller  *caller                // nil: nobody is known
	own     caller                 // where caller may be kept
	ruling  policy.Decision        // of the API's resource policy
	by      *model.EndpointNetwork // that a call of a private API came by
	client  *x509.Certificate      // what the client showed to a domain with mutual TLS; nil: it is none
	trace   *trace                 // nil: the call is not traced
	span    span                   // its place in a distributed trace
	why     string                 // the gateway itself answers, for those who run the API; "": its kind says it
	// endpointID is the id that an AWS service gave the integration's request; "": none.
	endpointID string
	detail     string // why a body does not fit its model
	kind       kind   // of the gateway's own answer; 0: it did not answer itself
	known      *key   // that came with the call, let in or not
	again      bool   // a step had to wait
	headLen    int    // of the answer, where its access log asks
	lookUp     lookUp // what came of looking into the stage's cache
	message    string // of the gateway's own answer, where it is not its kind's
	challenge  string // its www-authenticate; "": none
	rec        journal.Record
	keyMaker   cache.KeyMaker
	attempts   attempts // where the method's upstream is special
	counts     [2]int64 // held of the tenant's gauges: calls, bytes
}

const (
	flagBillable = uint8(model.FlagBillable)
	flagKeyed    = uint8(model.FlagKeyed)
	flagQuota    = uint8(model.FlagQuota)
	flagAborted  = uint8(model.FlagAborted)
	flagSpend    = uint8(model.FlagSpend)
	flagDrawn    = flagQuota | flagSpend // units to be given back where the call is refused
)

// step continues (proceed), leaves the call for later, or fails with the kind of
// answer that ends it.
type step func(c *call, x *http1.Exchange) kind

// serve answers one call.
func (g *Gateway) serve(x *http1.Exchange) {
	c := x.App.(*call)
	c.begin(x, g.journal.Begin(x.Shard))
	over := false
	defer c.endIfNot(&over)
	if k := c.find(x); k != answered {
		c.advance(x, k)
	}
	over = true
}

// endIfNot is for a call that panics: what it holds of its account's caps goes back, and
// its place at an upstream.
func (c *call) endIfNot(over *bool) {
	if *over {
		return
	}
	if c.run != nil && c.run.m.special != nil {
		c.drop()
	}
	c.release()
}

// release gives back what the call holds of its account's caps.
func (c *call) release() {
	if t := c.tenant; t != nil {
		t.inFlight.Release(c.counts[0])
		t.buffered.Release(c.counts[1])
		c.counts = [2]int64{}
	}
}

// begin makes the call ready for its first step.
func (c *call) begin(x *http1.Exchange, id journal.CallID) {
	c.id, c.now, c.at = id, x.Wall, 0
	c.tenant, c.stage, c.variant, c.run, c.key, c.sub, c.plan, c.cover = nil, nil, nil, nil, nil, nil, nil, nil
	c.match.Method, c.match.Route, c.match.N = -1, -1, 0 // until it is matched, it has none of an earlier call's
	c.flags, c.noRec, c.counts, c.unit, c.hard = 0, false, [2]int64{}, limit.Unit{}, false
	c.paid = limit.Unit{}
	c.decoded, c.hash = false, ""
	c.body, c.message, c.challenge, c.detail, c.why, c.endpointID, c.caller, c.trace, c.by, c.client = nil, "", "", "", "", "", nil, nil, nil, nil
	c.kind, c.known, c.again, c.headLen = 0, nil, false, 0
	c.span.on, c.span.sampled, c.lookUp = false, false, notLookedUp
	x.Rec, x.Heard, x.Without, x.Idle, x.Most = c, nil, "", 0, 0
}

// resume goes on with a call that a step has left for later: the same step again
// now that it may wait, or what follows with what came of the upstream.
func (g *Gateway) resume(x *http1.Exchange, f http1.Failure) {
	c := x.App.(*call)
	over := false
	defer c.endIfNot(&over)
	c.goOn(x, f)
	over = true
}

// goOn is resume.
func (c *call) goOn(x *http1.Exchange, f http1.Failure) {
	if f == http1.Again {
		c.again = true
		c.advance(x, proceed)
		return
	}
	if c.run.m.special != nil && c.landed(x, f) {
		if k := c.try(x); k != later {
			c.at++
			c.advance(x, k)
		}
		return
	}
	k := c.proxied(f)
	c.at++
	c.advance(x, k)
}

// advance takes a call through its steps to the end, or to where it must wait.
func (c *call) advance(x *http1.Exchange, k kind) {
	for k == proceed && c.at < len(c.run.steps) {
		if k = c.run.steps[c.at](c, x); k == later {
			return
		}
		c.at++
	}
	if k != proceed {
		c.render(x, k)
		if c.noRec {
			x.Rec = nil // nothing is served, so nothing is owed a record
			c.why = "the node's journal has no room for the call"
			c.render(x, unavailable)
			c.done(x, answers[unavailable].status, 0, http1.Now())
		}
	}
	c.release()
}

// uses says which steps a method has on a stage.
type uses uint8

const (
	usesAccess uses = 1 << iota
	usesKey
	usesThrottle
	usesValidator
	allUses
)

// The order of a call's steps. find runs for every call: host or path to API and
// stage; the tenant's hard caps, so that a flood costs next to nothing; sizes; the
// deployment, where a canary shares the stage; the method. The rest is composed once
// per method and stage (compose), leaving out what the method does not use.
var order = []struct {
	when uses // any of them; 0: always
	name string
	step step
}{
	// Who calls, before anything is counted: a stranger costs nobody anything.
	{usesAccess, "authorization", (*call).access},
	// Whom to count; an authorizer may have given the key.
	{usesKey, "API key", (*call).apiKey},
	// The plan's, before rates, as on Amazon API Gateway.
	{usesKey, "quota", (*call).quota},
	// What the developer's money reaches for.
	{usesKey, "spend", (*call).spend},
	// Narrow to wide, so that one caller's flood is stopped before it drains what
	// others share; gives the quota's unit back when it refuses.
	{usesKey | usesThrottle, "throttle", (*call).throttle},
	// Parameters, then the body against its model.
	{usesValidator, "request validation", (*call).validate},
	// The upstream, or a mock's answer.
	{0, "integration", (*call).integrate},
}

// stepLists are by uses, and shared: what a call reads on its way stays in the cache.
var stepLists, stepNames = func() (t [allUses][]step, names [allUses][]string) {
	for u := range t {
		for _, o := range order {
			if o.when == 0 || o.when&uses(u) != 0 {
				t[u], names[u] = append(t[u], o.step), append(names[u], o.name)
			}
		}
	}
	return t, names
}()

// compose says which steps a method has.
func compose(p *program, m *method, stageBucket *limit.Bucket) (u uses) {
	if m.auth != nil || p.policy != nil {
		u |= usesAccess
	}
	if m.keyed {
		u |= usesKey
	}
	if stageBucket != nil {
		u |= usesThrottle
	}
	if m.validator != nil {
		u |= usesValidator
	}
	return u
}

const pathStyle = "/_aws/execute-api/"

// find resolves API, stage and method, and holds the tenant to its caps.
func (c *call) find(x *http1.Exchange) kind {
	r := &x.Request
	path := r.Path.Of(x.In)
	var api []byte
	if len(path) > len(pathStyle) && string(path[:len(pathStyle)]) == pathStyle {
		rest := path[len(pathStyle):]
		i := bytes.IndexByte(rest, '/')
		if i < 0 {
			return forbidden
		}
		api, path = rest[:i], rest[i:]
	} else if api = hostAPI(r.Host.Of(x.In)); api == nil {
		return c.findByDomain(x, path)
	} else if bytes.Contains(api, []byte("vpce-")) {
		api = endpointAPI(api, x)
	}
	if len(path) <= len("/sping") && (string(path) == "/ping" || string(path) == "/sping") {
		return c.healthy(x)
	}
	name, rest := segment(path)
	st := c.g.view.Load().stage(api, name)
	if st == nil {
		return forbidden
	}
	return c.enter(x, st, rest, true)
}

// healthy answers the paths that Amazon API Gateway reserves for its health check. That
// is no call of anybody's.
func (c *call) healthy(x *http1.Exchange) kind {
	x.Rec = nil
	c.head = c.appendID(append(c.head[:0], "Content-Type: text/plain\r\n"...))
	_ = x.Reply(200, c.head, []byte("healthy"))
	return answered
}

// segment is a path's first segment and what follows it.
func segment(path []byte) (name, rest []byte) {
	end := 1
	for end < len(path) && path[end] != '/' {
		end++
	}
	return path[1:end], path[end:]
}

// enter admits a call to a stage and finds the method for what is left of its path.
func (c *call) enter(x *http1.Exchange, st *stage, path []byte, byDefault bool) kind {
	r := &x.Request
	c.path = path
	c.stage, c.tenant = st, st.tenant
	if k := c.admit(x); k != proceed {
		return k
	}
	if r.ContentLength > c.g.o.MaxBody {
		c.why = c.tooLong(r.ContentLength, c.g.o.MaxBody)
		return tooLarge
	}
	if r.WebSocket {
		return noWebSocket
	}
	if t := r.Type.Of(x.In); len(t) >= 16 && http1.EqualFold(t[:16], "application/grpc") {
		return noGRPC
	}
	if st.cors != nil {
		x.Without = corsPrefix
		if asksPreflight(x) {
			if c.variant = &st.variant; c.variant.prog.private {
				if k := c.arrives(x); k != proceed {
					return k
				}
			}
			c.run = preflightRun
			return proceed
		}
	}
	v := &st.variant
	if st.canary != nil && st.canary.chosen() {
		v = &st.canary.variant
	}
	if byDefault && v.prog.noDefault {
		c.why = "the API's default endpoint is disabled: it is called by its custom domain names only"
		return forbidden
	}
	if byDefault && v.prog.tls != nil {
		if k := c.secured(x, v.prog); k != proceed {
			return k
		}
	}
	if c.variant = v; v.prog.private {
		if k := c.arrives(x); k != proceed {
			return k
		}
	}
	if st.tracing != nil {
		c.takePart(x, st.tracing)
	}
	if !v.prog.tree.Match(c.path, c.verb(x), &c.match) {
		c.why = "the deployment has no method for this path and verb"
		if st.cfg.RouteNotFound {
			return notFound
		}
		return missingToken
	}
	c.run = &v.runs[c.match.Method]
	c.traced(x)
	return proceed
}

// verb is what the call asks for: by X-HTTP-Method-Override, else by its method. It is what
// the call is matched, judged and written down by.
func (c *call) verb(x *http1.Exchange) []byte {
	if x.Request.Override.Len() > 0 {
		return x.Request.Override.Of(x.In)
	}
	return x.Request.Method.Of(x.In)
}

// hostAPI is the API id in a host of the form {api}.execute-api.…; nil if the
// host is another.
func hostAPI(host []byte) []byte {
	const label = "execute-api."
	i := bytes.IndexByte(host, '.')
	if i <= 0 || len(host) < i+1+len(label) || !http1.EqualFold(host[i+1:i+1+len(label)], label) {
		return nil
	}
	return host[:i]
}

const (
	// heldPlain and heldBody estimate the memory one call holds: its head and
	// both ways' buffers, and the window of a body that does not fit into them.
	heldPlain = 24 << 10
	heldBody  = 64 << 10
	// pace is how long a connection rests after its tenant's cap refused it, so
	// that a flood cannot buy CPU with refusals.
	pace = 10 * time.Millisecond
)

// admit holds a tenant to its hard caps on this node.
func (c *call) admit(x *http1.Exchange) kind {
	t := c.tenant
	if t.suspended.Load() {
		c.why = "the account is suspended"
		return forbidden
	}
	caps := t.caps.Load()
	held := int64(heldPlain)
	if x.Request.Chunked || x.Request.ContentLength > heldPlain {
		held += heldBody
	}
	if !t.inFlight.Acquire(1, int64(caps.InFlight)) {
		c.why = "the account's cap of calls in flight on this node"
		x.Pace = pace
		return throttled
	}
	c.counts[0] = 1
	if !t.buffered.Acquire(held, caps.BufferedBytes) {
		c.why = "the account's cap of memory on this node"
		x.Pace = pace
		return throttled
	}
	c.counts[1] = held
	if !t.bucket.Take(x.Begun) {
		c.why = "the account's cap of calls per second on this node"
		x.Pace = pace
		return throttled
	}
	return proceed
}

// keyValue is the API key that the call has: the caller's, or what an authorizer said.
func (c *call) keyValue(x *http1.Exchange) []byte {
	switch {
	case !c.variant.prog.authorizerKeys:
		return x.Request.APIKey.Of(x.In)
	case c.caller == nil:
		return nil
	}
	return []byte(c.caller.usageKey)
}

// apiKey finds the key and the plan under which it may call this stage.
func (c *call) apiKey(x *http1.Exchange) kind {
	k := c.g.keys.Lookup(c.tenant.num, c.keyValue(x))
	c.known = k
	if k == nil || !k.enabled {
		switch {
		case k != nil:
			c.why = "the API key is disabled"
		case len(c.keyValue(x)) == 0:
			c.why = "the method needs an API key and none came with the call"
		default:
			c.why = "the account has no such API key"
		}
		return invalidKey
	}
	for i := 0; k.sub(i) != nil; i++ {
		s := k.sub(i)
		p := s.plan.Load()
		if p == nil {
			continue
		}
		for i := range p.stages {
			if p.stages[i].ref == c.stage.ref {
				c.key, c.sub, c.plan, c.cover = k, s, p, &p.stages[i]
				c.flags |= flagKeyed
				if s.applied.Load() != p {
					s.sync(c.g, p)
				}
				if q := s.quota.Load(); q != nil && p.throttle != nil {
					q.Warm(s.bucket.Load())
				}
				if c.trace != nil {
					c.trace.say("API Key authorized: it has a usage plan with API Stage %s/%s", c.stage.cfg.APIID, c.stage.cfg.Stage)
				}
				return proceed
			}
		}
	}
	c.why = "the API key is in no usage plan with this stage"
	return invalidKey
}

// quota takes a unit of the plan's quota.
func (c *call) quota(x *http1.Exchange) kind {
	if c.plan.quota == nil {
		return proceed
	}
	q := c.sub.quota.Load()
	if q == nil {
		c.why = "the usage plan is being changed"
		return unavailable // fail closed, for an instant
	}
	unit, res, ok := q.Try(c.now)
	if !ok {
		if !x.MayBlock() {
			x.Block()
			return later
		}
		unit, res = q.Take(context.Background(), c.now)
	}
	switch res {
	case limit.Admitted:
		c.sub.unit(c, unit)
		if c.trace != nil {
			c.trace.say("Usage Plan check succeeded: the quota has a call left")
		}
		return proceed
	case limit.Exceeded:
		c.why = "the usage plan's quota is used up"
		return quotaExceeded
	}
	c.why = "the control plane could not be asked for more of the usage plan's quota"
	return unavailable
}

// spend takes a unit of what the subscription's money reaches for, where it is bounded.
func (c *call) spend(x *http1.Exchange) kind {
	m := c.sub.spend.Load()
	if m == nil {
		return proceed
	}
	unit, res, ok := m.Try(c.now)
	if !ok {
		if !x.MayBlock() {
			x.Block()
			return later
		}
		unit, res = m.Take(context.Background(), c.now)
	}
	if res == limit.Admitted {
		c.paid = unit
		c.flags |= flagSpend
		if c.trace != nil {
			c.trace.say("Spend check succeeded: the subscription's money reaches for a call")
		}
		return proceed
	}
	switch {
	case res != limit.Exceeded:
		c.why = "the control plane could not be asked what the subscription's money still reaches for"
		return unavailable
	case m.prepaid:
		c.why, c.message = "the developer's prepaid balance does not reach for another call", prepaidUsedUp
	default:
		c.why, c.message = "the subscription's spend cap of the month is reached", capReached
	}
	return spendLimit
}

// What callers are told to do.
const (
	capReached    = "The spend cap of this subscription is reached until the end of the month (UTC): raise it on the developer portal to go on"
	prepaidUsedUp = "The prepaid balance of this subscription is used up: top it up on the developer portal to go on"
)

// throttle takes a token from every bucket of the call, narrow to wide.
func (c *call) throttle(x *http1.Exchange) kind {
	if c.sub != nil && c.plan.exact.Hard {
		return c.throttleHard(x)
	}
	return c.throttleHere(x)
}

// throttleHere asks this node's buckets.
func (c *call) throttleHere(x *http1.Exchange) kind {
	var b [3]*limit.Bucket
	var whose [3]string
	n := 0
	if c.sub != nil {
		if c.cover.methods != nil {
			if m := c.sub.methodBucket(c.cover, c.run.m, c.g, x.Begun); m != nil {
				b[n], whose[n], n = m, "the usage plan's throttle of the method", n+1
			}
		}
		if c.run.bucket != nil {
			b[n], whose[n], n = c.run.bucket, stageThrottle, n+1
		}
		if c.plan.throttle != nil {
			b[n], whose[n], n = c.sub.bucket.Load(), "the usage plan's throttle", n+1
		}
	} else if c.run.bucket != nil {
		b[n], whose[n], n = c.run.bucket, stageThrottle, n+1
	}
	full := limit.Chain(b[:n]).Take(x.Begun)
	if full == limit.Passed {
		return proceed
	}
	c.why = whose[full]
	return throttled
}

const stageThrottle = "the stage's throttle of the method"

// integrate sends the call on.
func (c *call) integrate(x *http1.Exchange) kind {
	m := c.run.m
	x.Asked, x.Got = 0, 0                            // not of an authorizer
	if c.g.journal != nil && c.g.journal.Low(c.id) { // nobody acts on a call that cannot be written down
		c.why = "the node's journal has no room for the call"
		return unavailable
	}
	c.head = c.appendOwn(c.head[:0], x)
	c.flags |= flagBillable
	if k := c.run.cache; k != nil && k.keeps(x) {
		return c.cached(x, k)
	}
	if m.mock != nil {
		if m.mock.status == 0 {
			c.why = m.mock.why
			return configurationError
		}
		head := m.mock.head
		if c.cors() != nil {
			head = withoutCORS(head)
		}
		c.head = append(c.head, head...)
		body := c.packed(x, m.mock.body, hasLine(head))
		_ = x.Reply(m.mock.status, c.head, body)
		return c.sent()
	}
	if m.stream != nil {
		return c.streamed(x)
	}
	if m.whole != nil {
		return c.wholly(x)
	}
	if c.variant.prog.compress != never {
		if !m.streams && string(x.Request.Method.Of(x.In)) != "HEAD" && codingOf(header(x, "Accept-Encoding")) != "" {
			return c.proxyWhole(x)
		}
		if c.coded(x) {
			if !x.MayBlock() {
				x.Block()
				return later
			}
			if k := c.readBody(x); k != proceed {
				return c.charge(k)
			}
		}
	}
	if m.streams {
		x.Idle, x.Most = streamIdle, maxStreamed
	}
	c.asks(x)
	if m.special != nil {
		c.attempts = attempts{}
		return c.try(x)
	}
	req, k := c.forward(x)
	if k != proceed {
		return c.charge(k)
	}
	if c.trace != nil {
		c.traceRequest(x, req)
	}
	return c.proxied(x.Proxy(m.out.pool, req, c.head, m.timeout))
}

// forward is the call as its upstream gets it; its body only where it was read.
func (c *call) forward(x *http1.Exchange) ([]byte, kind) {
	if c.run.m.over != nil {
		return c.forwardOver(x)
	}
	var trace [traceLine]byte
	req := c.appendTarget(x.Out[:0], x)
	if c.body != nil { // read whole: it goes on as it is, with its length
		x.Request.Chunked, x.Request.ContentLength = false, int64(len(c.body))
	}
	if c.decoded {
		req = x.AppendOver(req, c.run.m.out.host, nil, isCoding, c.appendTrace(trace[:0], x))
	} else {
		req = x.AppendForward(req, c.run.m.out.host, c.appendTrace(trace[:0], x))
	}
	return append(req, c.body...), proceed
}

// proxied is what came of the upstream.
func (c *call) proxied(f http1.Failure) kind {
	switch f {
	case http1.Parked:
		return later
	case http1.None, http1.Broken:
		return proceed
	case http1.Timeout:
		c.why = "the endpoint did not answer within " + c.run.m.timeout.String()
		return integrationTimeout
	case http1.Forbidden, http1.NoHost:
		c.g.complain(c.run.m.out.key.Address, f)
		c.why = invalidEndpoint
		if f == http1.Forbidden {
			c.why = "the endpoint is in a network that the gateway may not reach"
		}
		return configurationError
	case http1.TooLarge:
		c.flags &^= flagBillable
		c.why = "the request's body is larger than allowed"
		return tooLarge
	case http1.BadBody, http1.ClientWent:
		c.flags &^= flagBillable
		c.why = "the request's body is malformed"
		if f == http1.ClientWent {
			c.why = "the client went away before its request was complete"
		}
		return badRequest
	case http1.Unrecorded:
		c.noRec = false
		c.flags &^= flagBillable
		c.why = "the call could not be written down"
		return unavailable
	case http1.NoConn:
		c.why = "no connection to the endpoint could be made"
	default:
		c.why = "the endpoint closed the connection, or answered with something that is not HTTP"
	}
	return integrationFailure
}

// invalidEndpoint is Amazon API Gateway's word for an address that is none.
const invalidEndpoint = "Invalid endpoint address"

// appendTarget appends the upstream request line.
func (c *call) appendTarget(dst []byte, x *http1.Exchange) []byte {
	r := &x.Request
	up := &c.run.m.out
	if up.verb != "" {
		dst = append(dst, up.verb...)
	} else {
		dst = append(dst, c.verb(x)...)
	}
	dst = append(dst, ' ')
	if up.isSame && bytes.IndexByte(c.path, '%') < 0 {
		own := c.path
		if n := len(own) - 1; own[n] == '/' && !c.run.m.greedy {
			own = own[:n]
		}
		dst = append(append(dst, up.same...), own...)
	} else {
		dst = c.appendParts(dst, up)
	}
	sep := byte('?')
	if up.query != "" {
		dst = append(append(dst, sep), up.query...)
		sep = '&'
	}
	if r.Query.Len() > 0 {
		dst = append(append(dst, sep), r.Query.Of(x.In)...)
	}
	return append(dst, " HTTP/1.1\r\n"...)
}

func (c *call) appendParts(dst []byte, up *upstream) []byte {
	for i := range up.parts {
		dst = c.appendPart(dst, &up.parts[i])
	}
	return dst
}

func (c *call) appendPart(dst []byte, p *part) []byte {
	if p.variable < 0 {
		return append(dst, p.literal...)
	}
	v := &c.match.Vars[p.variable]
	end := int(v.End)
	if p.greedy && end < len(c.path) {
		end = len(c.path) // the trailing slash the match ignored
	}
	return append(dst, c.path[v.Start:end]...)
}
