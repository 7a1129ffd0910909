package http1

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"
)

// conn is one client connection. It is served by an event loop (loop.go) while
// nothing it does can block, and otherwise by a goroutine of its own.
type conn struct {
	s     *Server
	nc    net.Conn
	raw   syscall.RawConn // nil: through nc only
	watch watch
	ip    string
	shard uint32
	peer  *Peer // nil: no TLS

	x       *Exchange
	fd      int // the descriptor while inside RawConn.Read, else -1
	next    action
	pending bool // In holds bytes that were not looked at
	spoken  bool // a whole head has been seen
	begun   int64
	seen    int // bytes of an incomplete head that need no second look
	idle    atomic.Bool
	gone    bool // handed to another server
	looked  bool // the end of the stream was looked for in this idle wait
	unread  bool // the client may be sending still, after its answer

	// In an event loop, which then owns fd.
	l       *loop
	slot    int
	busy    bool   // a call is with its upstream
	again   bool   // there was an edge meanwhile
	drained bool   // the last read took all there was
	ended   bool   // the client has ended its side: read until it shows
	moves   uint8  // how often a body took the connection out of a loop
	rest    []byte // of an answer, what the socket did not take
	paused  int64  // until when, see Exchange.Pace; 0: not
}

type action uint8

const (
	wait    action = iota // for more bytes
	shut                  // close the connection
	blocked               // handle the parsed call outside RawConn.Read
	hand                  // hand the connection to the HTTP/2 server
	parked                // in a loop: the call goes on later, or elsewhere
	flush                 // in a loop: the rest of the answer must be waited for
	pausing               // in a loop: see Exchange.Pace
	home                  // back to the loop, nothing is under way
)

func (c *conn) serve() {
	defer c.end()
	c.arm(c.s.o.HeadTimeout)
	c.looked = true // a client that never spoke has HeadTimeout and no more
	if c.raw == nil {
		c.serveBlocking()
	} else {
		c.serveRaw()
	}
	c.last()
}

// last is what remains to be done when a connection is not served any more.
func (c *conn) last() {
	if c.next == hand {
		c.handOver()
	} else if c.unread {
		c.linger()
	}
}

func (c *conn) serveRaw() {
	ready := c.ready
	for {
		c.next = wait
		err := c.raw.Read(ready)
		c.fd = -1
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) && !c.s.draining.Load() && (!c.watch.due() || c.lookAgain()) {
				c.watch.undue()
				continue
			}
			return
		}
		switch c.next {
		case blocked:
			c.handle(c.x)
			if c.x.shut {
				c.next = shut
				return
			}
			c.settle(c.x)
			c.pending = true
			continue
		case home:
			if c.goHome() {
				return
			}
			continue
		}
		return
	}
}

// lookAgain is for a client that sent its request and the end of its stream in
// one edge: the read that drained the socket never saw the end. A second into an
// idle wait it is looked for once; then the rest of IdleTimeout runs.
func (c *conn) lookAgain() bool {
	if c.looked || !c.idle.Load() {
		return false
	}
	c.looked = true
	c.arm(c.s.o.IdleTimeout - endCheck)
	return true
}

const endCheck = time.Second

func (c *conn) end() {
	if r := recover(); r != nil {
		c.s.o.Log.Error("a call panicked; its connection is closed", "panic", r, "stack", string(debug.Stack()))
		if c.x != nil {
			c.x.dropUpstream()
		}
	} else if c.x != nil {
		if c.x.broken && c.x.Request.HTTP10 {
			c.reset()
		}
		c.s.put(c.x)
	}
	c.x = nil
	if c.gone {
		return
	}
	c.forget()
	_ = c.nc.Close()
	c.s.left()
}

// forget takes a connection out of what watches those with a goroutine.
func (c *conn) forget() {
	c.s.sweep.remove(&c.watch)
	c.s.mu.Lock()
	delete(c.s.conns, c)
	c.s.mu.Unlock()
}

// handOver passes a connection that began with the HTTP/2 preface on. From here
// on nothing of ours may touch it.
func (c *conn) handOver() {
	c.gone = true
	c.forget()
	c.watch.undue()
	c.s.h2.take(&replayed{Conn: c.nc, pre: bytes.Clone(c.x.In[:c.x.have])})
}

// linger closes our side and reads on for a moment: closing while the client is
// still sending would make the kernel answer with a reset, which can destroy the
// answer before the client has read it.
func (c *conn) linger() {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	end := Now() + int64(lingerTime)
	for left := lingerBytes; left > 0; {
		d := end - Now()
		if d <= 0 {
			return
		}
		n, err := c.read(c.x.In, time.Duration(d))
		if err != nil || n == 0 {
			return
		}
		left -= n
	}
}

const (
	lingerTime  = time.Second
	lingerBytes = 1 << 20
)

// reset ends an answer to HTTP/1.0 that broke off: its end is the connection's,
// so an orderly close would make it look complete.
func (c *conn) reset() {
	nc := c.nc
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	if t, ok := nc.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
		_ = t.Close()
	}
}

func (c *conn) arm(d time.Duration) { c.watch.deadline.Store(Now() + int64(d)) }

func (s *Server) get(c *conn) *Exchange {
	x := s.pool.Get().(*Exchange)
	x.c, x.h2, x.have, x.shut, x.sent, x.broken, x.Rec = c, nil, 0, false, false, false, nil
	x.Shard, x.RemoteIP, x.TLS, x.Peer, x.H2 = c.shard, c.ip, c.peer != nil, c.peer, false
	return x
}

func (s *Server) put(x *Exchange) {
	x.c, x.h2, x.Rec, x.l, x.up = nil, nil, nil, nil, nil
	if cap(x.In)+cap(x.Out)+cap(x.Up) <= 160<<10 {
		s.pool.Put(x)
	}
}

// ready runs inside RawConn.Read whenever the connection may have bytes. It
// returns false to wait for more: only after a read that drained the socket,
// because the next wake-up comes from a new edge.
func (c *conn) ready(fd uintptr) bool {
	c.fd = int(fd)
	c.idle.Store(false)
	if c.pending {
		c.pending = false
		if c.x.have > 0 && c.process() != wait {
			return true
		}
	}
	for {
		if c.x == nil {
			c.x = c.s.get(c)
		}
		x := c.x
		if x.have == len(x.In) && !c.grow() {
			return true
		}
		n, errno := readFD(fd, x.In[x.have:])
		if errno == syscall.EINTR {
			continue
		}
		if errno == syscall.EAGAIN {
			return c.park()
		}
		if errno != 0 || n <= 0 {
			c.next = shut
			return true
		}
		c.drained = n < len(x.In)-x.have && !c.ended
		x.have += n
		if c.process() != wait {
			return true
		}
		if c.drained {
			return c.park()
		}
	}
}

// park gives the buffers back before an idle wait.
func (c *conn) park() bool {
	if c.x != nil && c.x.have == 0 {
		c.s.put(c.x)
		c.x = nil
		c.idle.Store(true)
		if c.s.draining.Load() {
			c.next = shut
			return true
		}
		if c.l == nil && c.s.loops != nil && c.moves < maxMoves {
			c.next = home
			return true
		}
	}
	return false
}

// grow makes room for a longer head.
func (c *conn) grow() bool {
	x := c.x
	max := c.s.o.Limits.HeadMax()
	if len(x.In) >= max {
		c.refuse(x, errHeaders)
		return false
	}
	in := make([]byte, min(2*len(x.In), max))
	copy(in, x.In[:x.have])
	x.In = in
	return true
}

// process handles every whole call in the buffer. It sets and returns c.next.
func (c *conn) process() action {
	x := c.x
	for x.have > 0 {
		if x.In[0] == 'P' && !c.spoken && c.peer == nil {
			switch isPreface(x.In[:x.have]) {
			case prefaceMore:
				return c.more()
			case prefaceYes:
				return c.set(hand)
			}
		}
		// A head that comes in drops is not parsed anew for each of them.
		if c.seen > 0 && x.have < len(x.In) && bytes.IndexByte(x.In[c.seen:x.have], '\n') < 0 {
			return c.more()
		}
		e := x.Request.Parse(x.In[:x.have], c.s.o.Limits)
		if e == ErrMore {
			return c.more()
		}
		c.seen, c.spoken = 0, true
		if e != nil {
			c.refuse(x, e)
			return c.next
		}
		x.startBody()
		if c.fd >= 0 && (!x.buffered() || x.Request.Expect) {
			return c.set(blocked)
		}
		c.handle(x)
		switch {
		case x.parked != running:
			return c.set(parked)
		case len(c.rest) > 0:
			return c.set(flush)
		case x.shut:
			return c.set(shut)
		}
		c.settle(x)
		if c.paused != 0 {
			return c.set(pausing)
		}
	}
	return c.set(wait)
}

func (c *conn) set(a action) action { c.next = a; return a }

// more waits for the rest of a head, whose time runs from its first byte.
func (c *conn) more() action {
	c.seen = c.x.have
	if c.begun == 0 {
		c.begun = Now()
		c.watch.deadline.Store(c.begun + int64(c.s.o.HeadTimeout))
	}
	return c.set(wait)
}

func (c *conn) refuse(x *Exchange, e *ParseError) {
	x.Request.Head = Head{Close: true, HeadLen: x.have}
	x.start()
	x.BytesIn, x.Rec, x.sent, x.shut = int64(x.have), nil, false, true
	x.body = body{done: true, chunked: x.body.chunked}
	c.s.o.Refused(x, e)
	c.unread = x.sent
	c.next = shut
}

// handle runs the handler on the parsed call.
func (c *conn) handle(x *Exchange) {
	c.begun = 0
	x.start()
	x.sent, x.Rec = false, nil
	c.watch.deadline.Store(0)
	if x.body.mode == bodyLength {
		x.BytesIn += min(x.body.left, int64(x.have-x.body.off))
	}
	x.parked, x.l = running, c.l
	c.s.o.Handler(x)
	if x.parked == running {
		c.handled(x)
	}
}

// handled is what follows when the handler has answered.
func (c *conn) handled(x *Exchange) {
	if x.Pace > 0 {
		if c.l != nil {
			c.paused = Now() + int64(x.Pace)
		} else {
			select {
			case <-time.After(x.Pace):
			case <-c.s.sweep.ctx.Done():
			}
		}
		x.Pace = 0
	}
	if !x.sent || x.broken {
		x.shut = true
	} else if !x.rest() {
		x.shut, c.unread = true, true
	}
	x.shut = x.shut || x.Request.Close
}

// settle moves the bytes of the next call to the buffer's start and starts the
// idle clock.
func (c *conn) settle(x *Exchange) {
	n := 0
	if x.body.off < x.have {
		n = copy(x.In, x.In[x.body.off:x.have])
	}
	x.have = n
	idle := c.s.o.IdleTimeout
	if c.raw != nil || c.l != nil {
		c.looked = false
		idle = min(idle, endCheck)
	}
	c.watch.deadline.Store(x.Begun + int64(idle))
}

// write sends all of p.
func (c *conn) write(p []byte) error {
	if c.fd >= 0 {
		for {
			n, errno := writeFD(uintptr(c.fd), p)
			if errno == syscall.EINTR {
				continue
			}
			if errno != 0 && errno != syscall.EAGAIN {
				return errno
			}
			if errno == 0 {
				p = p[n:]
			}
			break
		}
		if len(p) == 0 {
			return nil
		}
	}
	if c.l != nil {
		c.rest = append(c.rest, p...) // a goroutine waits for the socket
		return nil
	}
	if c.peer != nil {
		_ = c.nc.SetWriteDeadline(time.Now().Add(c.s.o.BodyTimeout))
		_, err := c.nc.Write(p)
		return err
	}
	old := c.watch.deadline.Load()
	defer c.watch.deadline.Store(old)
	for {
		c.arm(c.s.o.BodyTimeout)
		n, err := c.nc.Write(p)
		p = p[n:]
		if err == nil {
			return nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || c.watch.due() {
			return err
		}
		c.watch.undue()
	}
}

// read blocks for body bytes, at most d between two arrivals.
func (c *conn) read(p []byte, d time.Duration) (int, error) {
	for {
		c.arm(d)
		n, err := c.nc.Read(p)
		if n > 0 {
			err = nil
		}
		if err != nil && errors.Is(err, os.ErrDeadlineExceeded) && !c.watch.due() {
			c.watch.undue()
			continue
		}
		c.watch.deadline.Store(0)
		return n, err
	}
}

// serveBlocking is the loop for connections without a raw descriptor: TLS, and
// every connection on other systems than Linux.
func (c *conn) serveBlocking() {
	c.x = c.s.get(c)
	for {
		if c.x.have > 0 && c.process() != wait {
			return
		}
		if c.x.have == len(c.x.In) && !c.grow() {
			return
		}
		c.idle.Store(c.x.have == 0)
		if c.s.draining.Load() && c.x.have == 0 {
			return
		}
		n, err := c.nc.Read(c.x.In[c.x.have:])
		c.idle.Store(false)
		c.x.have += n
		if n == 0 && err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) && !c.watch.due() && !c.s.draining.Load() {
				c.watch.undue()
				continue
			}
			return
		}
	}
}
