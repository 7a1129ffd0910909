package http1

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Sweep is how often deadlines are looked at. Waits that must be exact set a
// deadline of their own.
const Sweep = 100 * time.Millisecond

var started = time.Now()

// Now is the monotonic time in nanoseconds since the program started: what all
// deadlines and durations here are measured in.
func Now() int64 { return int64(time.Since(started)) }

// watch is a connection's deadline. Setting one is an atomic store; a sweeper
// compares them ten times a second and wakes an overdue connection by moving its
// read and write deadlines into the past. The owner then asks due: a wake that
// came late, for a wait already over, is undone and ignored.
//
// A TLS connection is woken from reads only: a TLS write that was woken in vain
// can never be taken up again. Its writes have deadlines of their own.
type watch struct {
	deadline atomic.Int64 // 0: none
	nc       net.Conn
	s        *sweeper
	tls      bool
	slot     int
}

func (w *watch) due() bool {
	d := w.deadline.Load()
	return d != 0 && Now() >= d || w.s.cutting.Load()
}

// undue prepares the connection for another wait after a stale wake.
func (w *watch) undue() { w.set(time.Time{}) }

func (w *watch) set(t time.Time) {
	if w.tls && !w.s.cutting.Load() {
		_ = w.nc.SetReadDeadline(t)
	} else {
		_ = w.nc.SetDeadline(t)
	}
}

// sweeper wakes overdue connections and keeps the Date of the second.
type sweeper struct {
	mu    sync.Mutex
	all   []*watch
	stop  chan struct{}
	done  chan struct{}
	date  atomic.Pointer[[]byte]
	tasks []func(now int64)

	// The end of everything, when a drain has taken too long: all waits are due,
	// and dials and handshakes in progress are given up.
	cutting atomic.Bool
	ctx     context.Context
	cancel  context.CancelFunc
}

func newSweeper() *sweeper {
	s := &sweeper{stop: make(chan struct{}), done: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.setDate(time.Now())
	go s.run()
	return s
}

func (s *sweeper) setDate(t time.Time) {
	b := t.UTC().AppendFormat(nil, "Date: Mon, 02 Jan 2006 15:04:05 GMT\r\n")
	s.date.Store(&b)
}

func (s *sweeper) run() {
	defer close(s.done)
	t := time.NewTicker(Sweep)
	defer t.Stop()
	var sec int64
	for {
		select {
		case <-s.stop:
			return
		case now := <-t.C:
			if now.Unix() != sec {
				sec = now.Unix()
				s.setDate(now)
			}
			s.sweep(Now())
		}
	}
}

func (s *sweeper) sweep(now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.all {
		if d := w.deadline.Load(); d != 0 && now >= d || s.cutting.Load() {
			w.set(time.Unix(1, 0))
		}
	}
	for _, f := range s.tasks {
		f(now)
	}
}

func (s *sweeper) add(w *watch, nc net.Conn) {
	w.nc, w.s = nc, s
	_, w.tls = nc.(*tls.Conn)
	s.mu.Lock()
	w.slot = len(s.all)
	s.all = append(s.all, w)
	s.mu.Unlock()
}

// remove ends the watch; from its return on, the connection is not touched.
func (s *sweeper) remove(w *watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.slot < 0 {
		return
	}
	last := len(s.all) - 1
	s.all[w.slot] = s.all[last]
	s.all[w.slot].slot = w.slot
	s.all[last] = nil
	s.all = s.all[:last]
	w.slot = -1
}

// cut makes every wait due, now and from now on.
func (s *sweeper) cut() {
	s.cutting.Store(true)
	s.cancel()
	s.sweep(Now())
}

func (s *sweeper) close() {
	close(s.stop)
	<-s.done
	s.cancel()
}
