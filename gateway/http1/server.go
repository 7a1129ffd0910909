package http1

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Options of a Server. Every wait has a bound and every size a limit.
type Options struct {
	Handler func(*Exchange) // answers the call by exactly one Reply or Proxy
	// Resume continues a Handler that returned after Proxy said Parked, or after
	// Block: with Proxy's outcome, or with Again. nil: nothing is ever parked, and
	// every connection has a goroutine.
	Resume func(*Exchange, Failure)
	NewApp func() any // makes Exchange.App
	// Refused answers a message that cannot be parsed; the connection closes
	// after it. It gets the reason, which is safe to show.
	Refused func(x *Exchange, e *ParseError)

	Limits      Limits
	MaxBody     int64         // request body bytes, decoded
	MaxConns    int           // connections at once; further ones are closed
	HeadTimeout time.Duration // from a head's first byte to its last
	IdleTimeout time.Duration // between calls
	BodyTimeout time.Duration // between two reads of a body, and for a blocked write; for all reads of one see bodyPace
	Log         *slog.Logger
}

// Server accepts connections and turns what they send into Exchanges.
type Server struct {
	o        Options
	sweep    *sweeper
	pool     sync.Pool
	draining atomic.Bool
	active   atomic.Int64 // connections open
	number   atomic.Uint32

	mu        sync.Mutex
	listeners []net.Listener
	conns     map[*conn]struct{}
	h2        *h2server
	loops     []*loop
	ups       atomic.Pointer[Upstreams]
	wg        sync.WaitGroup // connections, and calls by HTTP/2
	stopSweep sync.Once
}

// NewServer makes a server; Serve and ServeTLS start it.
func NewServer(o Options) *Server {
	s := &Server{o: o, sweep: newSweeper(), conns: map[*conn]struct{}{}}
	s.pool.New = func() any {
		return &Exchange{In: make([]byte, 4096), Out: make([]byte, 0, 2048), Up: make([]byte, 4096), App: o.NewApp(), s: s}
	}
	s.h2 = newH2Server(s)
	if o.Resume != nil {
		s.loops = startLoops(s)
	}
	return s
}

// Conns is the number of open connections.
func (s *Server) Conns() int64 { return s.active.Load() }

// Serve accepts plain connections until the listener is closed.
func (s *Server) Serve(l net.Listener) error { return s.accept(l, s.plain) }

func (s *Server) accept(l net.Listener, serve func(net.Conn)) error {
	s.mu.Lock()
	s.listeners = append(s.listeners, l)
	late := s.draining.Load()
	s.mu.Unlock()
	if late {
		return l.Close()
	}
	pause := time.Millisecond
	for {
		nc, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			// Out of descriptors, most likely: wait, never spin, never die.
			s.o.Log.Warn("accept failed", "err", err)
			time.Sleep(pause)
			if pause < time.Second {
				pause *= 2
			}
			continue
		}
		pause = time.Millisecond
		if !s.admit() {
			_ = nc.Close()
			continue
		}
		go serve(nc)
	}
}

// admit counts a connection in, unless there are too many or a drain has begun,
// which must see every one.
func (s *Server) admit() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active.Load() >= int64(s.o.MaxConns) || s.draining.Load() {
		return false
	}
	s.active.Add(1)
	s.wg.Add(1)
	return true
}

func (s *Server) left() {
	s.active.Add(-1)
	s.wg.Done()
}

func (s *Server) plain(nc net.Conn) {
	if s.adopt(nc) {
		return
	}
	c := s.newConn(nc)
	if tc, ok := nc.(*net.TCPConn); ok && rawIO {
		c.raw, _ = tc.SyscallConn()
	}
	c.serve()
}

func (s *Server) newConn(nc net.Conn) *conn {
	c := &conn{s: s, nc: nc, fd: -1, shard: s.number.Add(1)}
	if host, _, err := net.SplitHostPort(nc.RemoteAddr().String()); err == nil {
		c.ip = host
	}
	s.sweep.add(&c.watch, nc)
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	return c
}

// Drain stops accepting, closes idle connections and waits for calls in flight
// to end; what is left when ctx ends is cut.
func (s *Server) Drain(ctx context.Context) error {
	s.mu.Lock()
	s.draining.Store(true)
	for _, l := range s.listeners {
		_ = l.Close()
	}
	for c := range s.conns {
		if c.idle.Load() {
			_ = c.nc.SetReadDeadline(time.Unix(1, 0))
		}
	}
	s.mu.Unlock()
	for _, l := range s.loops {
		l.post(l.drain)
	}
	done := make(chan struct{})
	go func() { s.h2.drain(ctx); s.wg.Wait(); close(done) }()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
		// Closing a connection waits for the call inside its RawConn.Read, so calls
		// are ended where they wait instead.
		s.sweep.cut()
		for _, l := range s.loops {
			l.post(l.cut)
		}
		s.h2.cut()
		select {
		case <-done:
		case <-time.After(cutTime): // a handler that does not come back
		}
	}
	s.stopSweep.Do(func() {
		for _, l := range s.loops {
			l.stop()
		}
		s.sweep.close()
	})
	return err
}

// cutTime is how long calls have to end once all their waits have been cut.
const cutTime = 3 * time.Second
