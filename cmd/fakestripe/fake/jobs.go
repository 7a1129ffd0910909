package fake

import (
	"context"
	"slices"
	"time"
)

// job is something that happens at a later time, by the virtual clock.
type job struct {
	Due     int64  `json:"due"` // Unix seconds
	Seq     int64  `json:"seq"` // orders jobs of the same second
	Kind    string `json:"kind"`
	Account string `json:"account"`
	Object  string `json:"object"` // what it is about
	// Of a delivery:
	Endpoint string `json:"endpoint,omitempty"`
	Attempt  int    `json:"attempt,omitempty"` // failed ones so far
}

const (
	jobFinalize = "finalize" // a draft with auto_advance, an hour after it was made
	jobCollect  = "collect"  // a payment of an open invoice
	jobOverdue  = "overdue"  // the due date of an invoice that is sent
	jobExpire   = "expire"   // a Checkout session
	jobRefund   = "refund"   // a refund that fails
	jobDeliver  = "deliver"  // a webhook
)

// later puts a job into the queue.
func (c *call) later(kind string, o string, at int64) {
	c.st.enqueue(&job{Due: at, Kind: kind, Account: c.acct.ID, Object: o})
}

func (st *state) enqueue(j *job) {
	st.Seq++
	j.Seq = st.Seq
	i, _ := slices.BinarySearchFunc(st.Jobs, j, compareJobs)
	st.Jobs = slices.Insert(st.Jobs, i, j)
}

func compareJobs(a, b *job) int {
	if a.Due != b.Due {
		return int(min(1, max(-1, a.Due-b.Due)))
	}
	return int(min(1, max(-1, a.Seq-b.Seq)))
}

// cancel takes the jobs of a kind about an object out of the queue.
func (c *call) cancel(kind, o string) {
	c.st.Jobs = slices.DeleteFunc(c.st.Jobs, func(j *job) bool { return j.Kind == kind && j.Object == o && j.Account == c.acct.ID })
}

// Settle does everything that is due now, deliveries of webhooks too, and returns when nothing
// due is left.
func (s *Server) Settle(ctx context.Context) error { return s.Advance(ctx, 0) }

// Advance moves the virtual clock on and does on the way what falls due, each job at its own
// time.
func (s *Server) Advance(ctx context.Context, d time.Duration) error {
	select {
	case s.running <- struct{}{}:
		defer func() { <-s.running }()
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	until := s.now().Add(max(0, d))
	s.mu.Unlock()
	for ctx.Err() == nil {
		if !s.step(ctx, until) {
			return nil
		}
	}
	return ctx.Err()
}

// step does the next job due until then; false says there was none, and that the clock stands
// at until.
func (s *Server) step(ctx context.Context, until time.Time) bool {
	s.mu.Lock()
	var j *job
	if now := s.now(); now.After(until) { // real time goes on meanwhile, and what falls due in it is due now
		until = now
	}
	if len(s.st.Jobs) > 0 && s.st.Jobs[0].Due <= until.Unix() {
		j = s.st.Jobs[0]
		s.st.Jobs = s.st.Jobs[1:]
		until = time.Unix(j.Due, 0)
	}
	if late := until.Sub(s.now()); late > 0 {
		s.st.Offset += late
		s.dirty = true
	}
	if j == nil {
		s.forget()
		s.mu.Unlock()
		return false
	}
	s.dirty = true
	if j.Kind == jobDeliver {
		s.mu.Unlock()
		s.deliver(ctx, j)
		return true
	}
	defer s.mu.Unlock()
	s.do(j)
	return true
}

// do runs a job that needs nothing but the state.
func (s *Server) do(j *job) {
	c := &call{s: s, st: s.st, acct: s.st.account(j.Account)}
	o := c.acct.Objects[j.Object]
	if o == nil {
		return
	}
	switch j.Kind {
	case jobFinalize:
		if str(o, "status") == "draft" && flag(o, "auto_advance") {
			if err := c.finalize(o); err != nil {
				o["last_finalization_error"] = err.body()["error"]
				o["auto_advance"] = false
				c.emit("invoice.finalization_failed", o)
			}
		}
	case jobCollect:
		c.collect(o)
	case jobOverdue:
		if str(o, "status") == "open" {
			c.emit("invoice.overdue", o)
		}
	case jobRefund:
		c.failRefund(o)
	case jobExpire:
		if str(o, "status") == "open" {
			o["status"], o["url"] = "expired", nil
			c.emit("checkout.session.expired", o)
		}
	}
}

// Run does what falls due by the real clock until the context ends, and keeps the state's file
// up to date.
func (s *Server) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var next time.Time // to save: calls wait meanwhile, and a large state takes a while
	for {
		select {
		case <-ctx.Done():
			return s.Save()
		case <-tick.C:
		case <-s.wake:
		}
		if err := s.Settle(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		began := time.Now()
		if began.Before(next) {
			continue
		}
		if err := s.Save(); err != nil {
			s.opts.Logf("%v", err)
		}
		next = time.Now().Add(10 * time.Since(began))
	}
}

// nudge wakes Run after a call, so that its webhooks leave at once.
func (s *Server) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
