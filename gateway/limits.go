package gateway

import (
	"context"
	"math"
	"strconv"
	"time"

	"tollgate/gateway/http1"
	"tollgate/gateway/limit/counter"
	"tollgate/model"
)

// throttleHard takes a token from the stage's bucket of the method, which nodes share, and
// then from the plan's buckets in the counters that all nodes ask. While those cannot be
// asked, no call passes unless the plan lets the nodes go on with shares.
func (c *call) throttleHard(x *http1.Exchange) kind {
	var b [2]counter.Bucket
	all := b[:0]
	own := counter.Name(c.tenant.num, c.sub.id)
	method, ok := c.cover.methods[c.run.m.throttleKey]
	if ok {
		at := c.cover.ref.name
		all = append(all, counter.Bucket{Key: own + ":" + at.api + "/" + at.stage + c.run.m.throttleKey, Throttle: method})
	}
	if t := c.plan.throttle; t != nil {
		all = append(all, counter.Bucket{Key: own, Throttle: *t})
	}
	if len(all) == 0 {
		return c.throttleHere(x)
	}
	if !x.MayBlock() {
		x.Block()
		return later
	}
	if s := c.run.bucket; s != nil && !s.Take(x.Begun) {
		return c.refusedBy(stageThrottle)
	}
	var err error = counter.ErrResting
	if c.g.counters != nil {
		c.counted, err = c.g.counters.Take(context.Background(), all)
	}
	if err == nil && c.counted.Refused == counter.Passed {
		c.hard = true
		return proceed
	}
	if s := c.run.bucket; s != nil {
		s.Refund(x.Begun)
	}
	if err == nil {
		c.hard = true
		if ok && c.counted.Refused == 0 {
			return c.refusedBy("the usage plan's throttle of the method")
		}
		return c.refusedBy("the usage plan's throttle")
	}
	c.complainCounters(err)
	if c.plan.exact.FailOpen {
		return c.throttleHere(x)
	}
	c.why = "the counters of the usage plan's hard throttle could not be asked"
	return unavailable
}

// refusedBy ends a call that a throttle refused.
func (c *call) refusedBy(why string) kind {
	c.why = why
	return throttled
}

func (c *call) complainCounters(err error) {
	c.g.metrics.uncounted.Add(1)
	if c.g.said("counters") {
		return
	}
	if c.g.counters == nil {
		c.g.log.Warn("a usage plan has hard throttles, but TOLLGATE_REDIS_URL is not set on this node")
		return
	}
	c.g.log.Warn("the counters of hard throttles could not be asked", "err", err)
}

// appendLimits tells a caller what is left of its limits, as
// draft-ietf-httpapi-ratelimit-headers says: "quota" is the usage plan's quota, "rate" its
// throttle and "method" the stage's throttle of the method, of all nodes together as far
// as this one knows.
func (c *call) appendLimits(dst []byte, x *http1.Exchange) []byte {
	if c.run == nil {
		return dst
	}
	l := limitLines{now: c.now}
	if c.sub != nil && c.plan.quota != nil {
		if q := c.sub.quota.Load(); q != nil {
			if limit, left, end, ok := q.Left(c.now); ok {
				l.quota(c.plan.quota, limit, left, end, c.kind == quotaExceeded)
			}
		}
	}
	if c.sub != nil && c.plan.throttle != nil {
		switch {
		case c.hard:
			l.throttle("rate", *c.plan.throttle, c.counted.Left, int64(c.counted.After), c.kind == throttled)
		case !c.plan.exact.Hard:
			t, left, after := c.sub.bucket.Load().Left(http1.Now())
			l.throttle("rate", t, left, after, c.kind == throttled)
		}
	}
	if b := c.run.bucket; b != nil {
		t, left, after := b.Left(http1.Now())
		l.throttle("method", t, left, after, c.kind == throttled)
	}
	return l.append(dst)
}

// limitLines are the two headers as they grow.
type limitLines struct {
	now          time.Time
	policy, left [192]byte
	np, nl       int
	wait         int64 // seconds after which a refused call may pass; 0: not known
}

func (l *limitLines) quota(q *model.Quota, limit, left, end int64, refused bool) {
	start, until := q.Window(l.now)
	l.add("quota", limit, int64(until.Sub(start)/time.Second), left, wholeSeconds(end-l.now.UnixNano()))
	if refused {
		l.wait = max(l.wait, wholeSeconds(end-l.now.UnixNano()))
	}
}

// throttle says a rate as a number of calls in the least number of seconds that has any.
func (l *limitLines) throttle(name string, t model.Throttle, left, after int64, refused bool) {
	window := int64(1)
	if t.Rate > 0 && t.Rate < 1 {
		window = int64(min(math.Ceil(1/t.Rate), 1e9))
	}
	l.add(name, int64(t.Rate*float64(window)+1e-9), window, left, wholeSeconds(after))
	if refused && left == 0 {
		l.wait = max(l.wait, wholeSeconds(after))
	}
}

func wholeSeconds(nanos int64) int64 { return max(0, (nanos+1e9-1)/1e9) }

func (l *limitLines) add(name string, quota, window, left, reset int64) {
	p, r := l.policy[:l.np], l.left[:l.nl]
	if l.np > 0 {
		p, r = append(p, ", "...), append(r, ", "...)
	}
	p = append(append(append(p, '"'), name...), '"')
	r = append(append(append(r, '"'), name...), '"')
	p = strconv.AppendInt(append(p, ";q="...), quota, 10)
	p = strconv.AppendInt(append(p, ";w="...), window, 10)
	r = strconv.AppendInt(append(r, ";r="...), left, 10)
	if reset > 0 {
		r = strconv.AppendInt(append(r, ";t="...), reset, 10)
	}
	l.np, l.nl = len(p), len(r) // three of at most 60 bytes each fit
}

func (l *limitLines) append(dst []byte) []byte {
	if l.np == 0 {
		return dst
	}
	dst = append(append(append(dst, "RateLimit-Policy: "...), l.policy[:l.np]...), "\r\nRateLimit: "...)
	dst = append(append(dst, l.left[:l.nl]...), '\r', '\n')
	if l.wait > 0 {
		dst = append(strconv.AppendInt(append(dst, "Retry-After: "...), l.wait, 10), '\r', '\n')
	}
	return dst
}
