package gateway

import (
	"bytes"
	"math/rand/v2"

	"tollgate/gateway/calllog"
	"tollgate/gateway/http1"
	"tollgate/model"
)

// logs is what of a stage's calls is written down for people.
type logs struct {
	share  *calllog.Stage
	sample uint32 // of 1<<32 calls, that are traced by chance
	access *accessLog
}

// logsOf is what a stage is set to have.
func (g *Gateway) logsOf(t *tenant, cfg *model.StageConfig) (logs, error) {
	l := logs{share: g.calls.Stage(t.share, t.num, cfg.Num)}
	n := cfg.TraceOneIn
	if n == 0 {
		n = model.DefaultTraceOneIn
	}
	switch {
	case n == 1:
		l.sample = 1<<32 - 1
	case n > 1:
		l.sample = uint32(1 << 32 / int64(n))
	}
	var err error
	l.access, err = g.accessLogOf(t, cfg, l.share)
	return l, err
}

// byChance says whether this call is one that chance traces.
func (l *logs) byChance() bool { return l.sample != 0 && rand.Uint32() < l.sample }

// traced begins to write down a call's way where its method or chance asks for it.
func (c *call) traced(x *http1.Exchange) {
	st := c.stage
	set := c.run.logging
	if set == nil && (!st.logs.byChance() || !st.logs.share.MayTrace(x.Begun)) {
		return
	}
	c.trace = &trace{set: set}
	c.begins(x)
}

// done writes the call down for people, once its record is in the journal: into the
// call log, and into its stage's access log.
func (c *call) done(x *http1.Exchange, status int, out, end int64) {
	st := c.stage
	if st == nil {
		return // nobody's: there is no one to show it to
	}
	c.measure(x, status, end)
	if c.span.sampled {
		c.exportSpans(x, status, end)
	}
	failed := c.kind != 0 || status >= 500
	var text []byte
	if c.trace != nil || c.kind != 0 && (status >= 500 || c.run == nil && st.logs.byChance()) {
		text = c.story(x, status, end)
	}
	if st.logs.access != nil {
		st.logs.access.write(c, x, status, out, end)
	}
	if !c.g.calls.Admit(st.logs.share, failed, x.Begun) {
		return
	}
	e := model.CallEntry{ID: c.id, Time: c.now.UnixMicro() + (end-x.Begun)/1000, Tenant: c.tenant.num, Stage: st.num,
		BytesIn: uint64(x.BytesIn), BytesOut: uint64(out), Latency: micros(end - x.Begun), Integration: c.waited(x, end),
		Status: uint16(status), Flags: c.flags, Verb: c.verb(x), Path: c.path, IP: x.RemoteIP,
		Agent: header(x, "User-Agent"), Why: c.why, Trace: text}
	if c.run != nil {
		e.Method, e.Canary = c.run.m.num, c.variant.canary
	}
	if c.sub != nil {
		e.Subscription = c.sub.id
	}
	if c.known != nil {
		e.Key = c.known.num
	}
	if c.caller != nil {
		e.Principal = c.caller.principal
	}
	if c.kind != 0 {
		e.Kind, e.Step = answers[c.kind].name, c.step()
		e.Why = string(c.scrub(x, []byte(c.reason())))
	}
	c.g.calls.Append(x.Shard, st.logs.share, &e)
}

// asks notes that the integration is asked now: with the call's begin, where nothing
// had to be waited for since.
func (c *call) asks(x *http1.Exchange) {
	x.Asked = x.Begun
	if c.again || x.Waited() {
		x.Asked = http1.Now()
	}
}

// heads notes the length of the answer's head, where the stage's access log asks.
func (c *call) heads(x *http1.Exchange) {
	if c.stage == nil || c.stage.logs.access == nil {
		return
	}
	if x.H2 {
		c.headLen = len(c.head)
	} else if i := bytes.Index(x.Out, []byte("\r\n\r\n")); i >= 0 {
		c.headLen = i + 4
	}
}

// waited is how long the integration took, in microseconds and one more; 0: it was not
// asked.
func (c *call) waited(x *http1.Exchange, end int64) uint32 {
	if x.Asked == 0 || c.run == nil || c.endedAt() < len(c.run.steps)-1 {
		return 0 // or an authorizer was, and then the call went no further
	}
	if x.Got != 0 {
		end = x.Got
	}
	return micros(end-x.Asked) + 1
}

// endedAt is the index of the step that ended the call.
func (c *call) endedAt() int {
	if c.kind != 0 && c.at > 0 {
		return c.at - 1 // it was over when the gateway answered
	}
	return min(c.at, len(c.run.steps)-1)
}

// step is the name of the step that ended the call.
func (c *call) step() string {
	if c.run == nil {
		return "match"
	}
	return c.run.names[c.endedAt()]
}

// reason is why the gateway itself answered.
func (c *call) reason() string {
	switch {
	case c.why != "":
		return c.why
	case c.detail != "":
		return c.detail
	case c.message != "":
		return c.message
	}
	return answers[c.kind].message
}
