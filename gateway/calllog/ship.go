package calllog

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/model"
)

// every is how long entries wait to be handed in, and what tries to hand a batch in
// again are apart, at first and at last. A batch that could not be had for giveUpAfter
// is dropped and its calls are counted as left out: people want to see the calls of now.
const (
	every       = 500 * time.Millisecond
	firstPause  = 250 * time.Millisecond
	lastPause   = 5 * time.Second
	giveUpAfter = 30 * time.Second
	sendTimeout = 10 * time.Second
)

// Shipper hands a log's entries in, a batch after the other.
type Shipper struct {
	log    *Log
	send   func(ctx context.Context, encoded []byte) error
	boot   model.BootID
	slog   *slog.Logger
	seq    uint64
	parts  [shards][]byte
	out    []byte
	left   []model.CallsLeft
	cancel context.CancelFunc
	done   chan struct{}
	once   sync.Once

	sent, dropped atomic.Uint64 // batches
}

// Ship begins to hand entries in through send. It ends with Stop.
func (l *Log) Ship(boot model.BootID, send func(ctx context.Context, encoded []byte) error, log *slog.Logger) *Shipper {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Shipper{log: l, send: send, boot: boot, slog: log, cancel: cancel, done: make(chan struct{})}
	go s.run(ctx)
	return s
}

// Stats are how many batches were handed in and how many were dropped.
func (s *Shipper) Stats() (sent, dropped uint64) { return s.sent.Load(), s.dropped.Load() }

// Stop hands in what there is, while ctx lasts.
func (s *Shipper) Stop(ctx context.Context) {
	s.once.Do(func() {
		s.cancel()
		<-s.done
		ctx, cancel := context.WithTimeout(ctx, sendTimeout)
		defer cancel()
		for s.gather() {
			if err := s.send(ctx, s.out); err != nil {
				s.slog.Info("the last entries of the call log could not be handed in", "err", err)
				return
			}
			s.took()
		}
	})
}

func (s *Shipper) run(ctx context.Context) {
	defer close(s.done)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.log.wake:
		}
		if s.gather() && !s.deliver(ctx) {
			return
		}
	}
}

// gather makes the next batch; a batch that was not delivered is still there.
func (s *Shipper) gather() bool {
	if len(s.out) > 0 {
		return true
	}
	var some bool
	s.left, some = s.log.take(&s.parts, s.left[:0])
	if !some {
		return false
	}
	s.seq++
	b := model.CallBatch{Boot: s.boot, Seq: s.seq, Left: s.left}
	s.out = b.Encode(s.out[:0], s.parts[:]...)
	return true
}

// took is after a batch is in.
func (s *Shipper) took() {
	s.sent.Add(1)
	s.out = s.out[:0]
}

// deliver sends the batch until it is in, or given up. It reports false when ctx ends.
func (s *Shipper) deliver(ctx context.Context) bool {
	pause, until := firstPause, time.Now().Add(giveUpAfter)
	for {
		one, cancel := context.WithTimeout(ctx, sendTimeout)
		err := s.send(one, s.out)
		cancel()
		if err == nil {
			s.took()
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		kind := model.KindOf(err)
		verdict := kind == model.Invalid || kind == model.Denied || kind == model.NotFound || kind == model.Limit
		if verdict || time.Now().After(until) {
			s.drop(err)
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pause):
			pause = min(2*pause, lastPause)
		}
	}
}

// drop gives a batch up: what it would have told is counted as left out.
func (s *Shipper) drop(why error) {
	s.dropped.Add(1)
	s.slog.Warn("entries of the call log were dropped: the control plane did not take them", "bytes", len(s.out), "err", why)
	b, err := model.DecodeCallBatch(s.out)
	s.out = s.out[:0]
	if err != nil {
		return // too large to be one: cannot be, see shardBytes
	}
	l := s.log
	l.mu.Lock()
	defer l.mu.Unlock()
	count := func(tenant, num uint32, calls, lines uint64) {
		if st := l.stages[num]; st != nil && st.tenant == tenant {
			st.left.Add(calls)
			st.lines.Add(lines)
		}
	}
	for _, c := range b.Left {
		count(c.Tenant, c.Stage, c.Calls, c.Lines)
	}
	for i := range b.Calls {
		count(b.Calls[i].Tenant, b.Calls[i].Stage, 1, 0)
	}
}
