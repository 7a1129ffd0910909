package gateway

import (
	"time"

	"tollgate/gateway/http1"
)

// Record writes the call down, before the bytes in question leave. It is the
// Recorder of every call.
func (c *call) Record(x *http1.Exchange, ph http1.Phase, status int, out int64) error {
	end := http1.Now()
	took := end - x.Begun
	if ph == http1.Whole || ph == http1.Last {
		x.Ended = end
	}
	r := &c.rec
	r.Time = c.now.Add(time.Duration(took)).UnixMicro()
	r.BytesIn, r.BytesOut = uint64(x.BytesIn), uint64(out)
	r.Duration = micros(took)
	r.Status, r.Flags = uint16(status), c.flags
	r.Tenant, r.Stage, r.Method, r.Key, r.Terms, r.Subscription = 0, 0, 0, 0, 0, 0
	if c.stage != nil {
		r.Tenant, r.Stage = c.tenant.num, c.stage.num
	}
	if c.run != nil {
		r.Method = c.run.m.num
	}
	if c.sub != nil {
		r.Key, r.Terms, r.Subscription = c.key.num, c.sub.terms, c.sub.id
	}
	var err error
	switch ph {
	case http1.Whole:
		err = c.g.journal.Append(c.id, r)
	case http1.First:
		x.Got = end
		c.heads(x)
		return c.recorded(c.g.journal.Start(c.id, r))
	case http1.Progress:
		return c.recorded(c.g.journal.Progress(c.id, r))
	case http1.Last:
		err = c.g.journal.End(c.id, r)
	}
	c.g.metrics.observe(status, took)
	if err == nil {
		if ph == http1.Whole {
			c.heads(x)
		}
		c.done(x, status, out, end)
	}
	return c.recorded(err)
}

func (c *call) recorded(err error) error {
	if err != nil {
		c.noRec = true
		c.g.metrics.unrecorded.Add(1)
	}
	return err
}

func micros(ns int64) uint32 {
	if us := ns / 1000; us < 1<<32-1 {
		return uint32(us)
	}
	return 1<<32 - 1
}
