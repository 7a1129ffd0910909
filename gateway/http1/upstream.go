package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Upstreams holds the connection pools of all upstreams a node talks to.
type Upstreams struct {
	s    *Server
	dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Named opens connections of pools whose key is Named, in place of dial.
	Named func(ctx context.Context, network, address string) (net.Conn, error)

	sweep *sweeper
	mu    sync.Mutex
	pools map[PoolKey]*Pool
}

// PoolKey names an upstream: connections are shared by whatever has equal keys.
type PoolKey struct {
	Address    string // host:port
	TLS        bool
	ServerName string
	Insecure   bool   // the certificate is not verified
	Client     string // names the certificate that is shown; "": none is
	HTTP2      bool   // spoken to the upstream: see bridge
	Named      bool   // the operator has named the address, no tenant
}

// Bounds of a pool and of waiting for an upstream.
const (
	maxIdlePerPool  = 1024
	upstreamIdle    = 55 * time.Second // below the 60 s many servers keep a connection
	dialTimeout     = 5 * time.Second
	upstreamHeadMax = 64 << 10
	upstreamBuffer  = 16 << 10
)

// NewUpstreams makes an empty set of pools. dial opens connections and is where
// forbidden networks are refused.
func NewUpstreams(s *Server, dial func(ctx context.Context, network, address string) (net.Conn, error)) *Upstreams {
	u := &Upstreams{s: s, dial: dial, sweep: s.sweep, pools: map[PoolKey]*Pool{}}
	s.ups.Store(u)
	s.sweep.mu.Lock()
	s.sweep.tasks = append(s.sweep.tasks, u.reap)
	s.sweep.mu.Unlock()
	return u
}

// Pool returns the pool for an upstream, the same one for equal keys. client is the
// certificate that k.Client names.
func (u *Upstreams) Pool(k PoolKey, client *tls.Certificate) *Pool {
	u.mu.Lock()
	defer u.mu.Unlock()
	p := u.pools[k]
	if p == nil {
		p = &Pool{u: u, key: k, home: make([][]*upConn, len(u.s.loops))}
		if k.TLS {
			p.tls = &tls.Config{ServerName: k.ServerName, InsecureSkipVerify: k.Insecure, NextProtos: []string{"http/1.1"}, ClientSessionCache: tls.NewLRUClientSessionCache(32)}
			if client != nil {
				p.tls.Certificates = []tls.Certificate{*client}
			}
		}
		if k.HTTP2 {
			p.bridge = newBridge(u, k, p.tls)
			p.tls = nil // the bridge's
		}
		u.pools[k] = p
	}
	return p
}

// Keep closes and forgets every pool that is not in use any more.
func (u *Upstreams) Keep(used map[PoolKey]bool) {
	u.mu.Lock()
	var gone []*Pool
	for k, p := range u.pools {
		if !used[k] {
			gone = append(gone, p)
			delete(u.pools, k)
		}
	}
	u.mu.Unlock()
	for _, p := range gone {
		p.retire()
	}
}

// reap closes connections that have been idle for too long.
func (u *Upstreams) reap(now int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, p := range u.pools {
		p.reap(now)
	}
}

// Pool is the idle connections of one upstream, last used first.
type Pool struct {
	u      *Upstreams
	key    PoolKey
	tls    *tls.Config
	bridge *bridge // nil: connections are the upstream's own
	mu     sync.Mutex
	idle   []*upConn
	home   [][]*upConn // by loop, touched by it alone
	dead   bool        // forgotten: connections are not kept any more
	Open   atomic.Int64
}

// upConn is one connection to an upstream.
type upConn struct {
	l     *loop // the event loop that owns fd; nil: nc is used
	fd    int
	moves uint8  // how often it came to a loop
	shard uint32 // of the client connection it last served
	ended bool   // the upstream has ended its side
	nc    net.Conn
	raw   syscall.RawConn // plain TCP where rawIO holds, else nil
	under syscall.RawConn // the TCP connection, also below TLS
	watch watch
	pool  *Pool
	used  bool  // has carried a call before
	since int64 // idle since

	// One round trip, run inside raw.Read by step.
	step  func(fd uintptr) bool
	req   []byte
	sent  int
	check bool // the socket must be empty before the request is sent
	x     *Exchange
	n     int // bytes in x.Up
	err   error
}

var (
	errStale    = errors.New("http1: pooled connection was closed or spoke out of turn")
	errUpstream = errors.New("http1: upstream sent no valid answer")
)

func (p *Pool) take() *upConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	return c
}

// put gives a connection back that has carried a call. After a call that was served by a
// goroutine since it had to wait, it stays where the next such call looks for one: a loop
// would not hand it out again.
func (p *Pool) put(c *upConn, now int64) {
	waited := c.x != nil && c.x.waited
	c.used, c.since, c.x, c.req = true, now, nil, nil
	c.watch.deadline.Store(0)
	if c.l != nil {
		c.l.keep(c)
		return
	}
	if !waited && c.goHome() {
		return
	}
	p.rest(c)
}

// rest keeps a connection for goroutines to take.
func (p *Pool) rest(c *upConn) {
	p.mu.Lock()
	if p.dead || len(p.idle) >= maxIdlePerPool {
		p.mu.Unlock()
		c.close()
		return
	}
	p.idle = append(p.idle, c)
	p.mu.Unlock()
}

func (p *Pool) retire() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.dead = nil, true
	p.mu.Unlock()
	for _, l := range p.u.s.loops {
		l.post(func() { l.drop(p) })
	}
	for _, c := range idle {
		c.close()
	}
	if p.bridge != nil {
		p.bridge.end()
	}
}

// reap runs under the sweeper's lock, so closing, which needs it, goes elsewhere.
func (p *Pool) reap(now int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for n < len(p.idle) && now-p.idle[n].since > int64(upstreamIdle) {
		n++
	}
	if n > 0 {
		old := append([]*upConn(nil), p.idle[:n]...)
		p.idle = p.idle[:copy(p.idle, p.idle[n:])]
		go func() {
			for _, c := range old {
				c.close()
			}
		}()
	}
}

func (p *Pool) dial(timeout time.Duration) (*upConn, error) {
	ctx, cancel := context.WithTimeout(p.u.sweep.ctx, min(timeout, dialTimeout))
	defer cancel()
	open := p.u.dial
	switch {
	case p.bridge != nil:
		open = p.bridge.dial
	case p.key.Named:
		open = p.u.Named
	}
	nc, err := open(ctx, "tcp", p.key.Address)
	if err != nil {
		return nil, err
	}
	c := &upConn{nc: nc, pool: p}
	if t, ok := nc.(*net.TCPConn); ok {
		c.under, _ = t.SyscallConn()
	}
	if p.tls != nil {
		tc := tls.Client(nc, p.tls)
		if err := tc.HandshakeContext(ctx); err != nil {
			_ = nc.Close()
			return nil, err
		}
		c.nc = tc
	} else if rawIO && c.under != nil {
		c.raw, c.step = c.under, c.stepRaw
	}
	p.Open.Add(1)
	p.u.sweep.add(&c.watch, c.nc)
	return c, nil
}

func (c *upConn) close() {
	if c.l != nil {
		c.l.closeUp(c)
		return
	}
	c.pool.u.sweep.remove(&c.watch)
	_ = c.nc.Close()
	c.pool.Open.Add(-1)
}

// exact is the timeout below which a wait gets a deadline of its own, since the
// sweeper looks only every Sweep. Waits in TLS always do, see watch.
const exact = 2 * time.Second

func (c *upConn) arm(start int64, d time.Duration) {
	c.watch.deadline.Store(start + int64(d))
	if d < exact || c.raw == nil {
		_ = c.nc.SetDeadline(started.Add(time.Duration(start) + d))
	}
}

// begin makes the connection x's, to read into its buffer.
func (c *upConn) begin(x *Exchange) { c.x, c.n, c.err, c.shard = x, 0, nil, x.Shard }

// roundTrip sends req and reads the answer's head into x.Up and x.Response; n is
// how many bytes are in x.Up. With check, the connection must be silent first:
// anything on it is an answer nobody asked for.
func (c *upConn) roundTrip(req []byte, check bool) (n int, err error) {
	c.req, c.sent, c.check = req, 0, check
	if c.raw == nil {
		return c.roundTripBlocking()
	}
	for {
		err := c.raw.Read(c.step)
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) && !c.watch.due() {
				c.watch.undue()
				continue
			}
			return c.n, err
		}
		if c.err == nil && c.sent < len(c.req) { // the socket's buffer is full
			if err := c.write(c.req[c.sent:]); err != nil {
				return c.n, err
			}
			c.sent = len(c.req)
			continue
		}
		return c.n, c.err
	}
}

// stepRaw runs inside RawConn.Read: send first, then wait for the edge.
func (c *upConn) stepRaw(fd uintptr) bool {
	x := c.x
	if c.sent < len(c.req) {
		if c.check {
			if len(x.Up) == 0 {
				x.Up = make([]byte, 4096)
			}
			if _, errno := readFD(fd, x.Up[:1]); errno != syscall.EAGAIN && errno != syscall.EINTR {
				c.err = errStale
				return true
			}
			c.check = false
		}
		n, errno := writeFD(fd, c.req[c.sent:])
		if errno != 0 && errno != syscall.EAGAIN && errno != syscall.EINTR {
			if c.err = errno; c.sent == 0 {
				c.err = errStale // nothing has left
			}
			return true
		}
		if errno == 0 {
			c.sent += n
		}
		return c.sent < len(c.req)
	}
	for {
		if c.n == len(x.Up) && !c.grow() {
			return true
		}
		n, errno := readFD(fd, x.Up[c.n:])
		if errno == syscall.EAGAIN {
			return false
		}
		if errno == syscall.EINTR {
			continue
		}
		if errno != 0 {
			c.err = errno
			return true
		}
		if n == 0 {
			c.err = io.EOF
			return true
		}
		drained := n < len(x.Up)-c.n
		c.n += n
		if c.parsed() {
			return true
		}
		if drained {
			return false
		}
	}
}

// parsed reports that the final head is complete or that it never will be.
func (c *upConn) parsed() bool {
	x := c.x
	for {
		e := x.Response.Parse(x.Up[:c.n], upstreamHeadMax)
		if e == ErrMore {
			return false
		}
		if e != nil || x.Response.Code == 101 {
			c.err = errUpstream
			return true
		}
		if x.Response.Code >= 200 {
			return true
		}
		// 100, 102, 103: interim answers are swallowed.
		c.n = copy(x.Up, x.Up[x.Response.HeadLen:c.n])
	}
}

func (c *upConn) grow() bool {
	x := c.x
	if len(x.Up) >= upstreamHeadMax {
		c.err = errUpstream
		return false
	}
	up := make([]byte, max(4*len(x.Up), 4096))
	copy(up, x.Up[:c.n])
	x.Up = up
	return true
}

// quiet reports that nothing waits in the socket, not even its end.
func (c *upConn) quiet() bool {
	quiet := true
	if c.under != nil {
		_ = c.under.Control(func(fd uintptr) {
			var b [1]byte
			_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			quiet = err == syscall.EAGAIN
		})
	}
	return quiet
}

// silent reports that nothing waits to be read: neither in the socket nor in
// TLS's own buffer, which a read with a deadline in the past empties first.
func (c *upConn) silent() bool {
	if !c.quiet() {
		return false
	}
	if c.raw != nil {
		return true
	}
	var b [1]byte
	_ = c.nc.SetReadDeadline(time.Unix(1, 0))
	_, err := c.nc.Read(b[:])
	_ = c.nc.SetReadDeadline(started.Add(time.Duration(c.watch.deadline.Load())))
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// answered looks, without waiting, whether the final answer's head has come while
// the request is still being sent, or the connection's end.
func (c *upConn) answered() bool {
	if c.quiet() {
		return false
	}
	if c.n == len(c.x.Up) && !c.grow() {
		return true
	}
	if c.raw == nil { // what waits may be less than a TLS record, or no data at all
		_ = c.nc.SetReadDeadline(time.Now().Add(time.Millisecond))
		defer func() { _ = c.nc.SetReadDeadline(started.Add(time.Duration(c.watch.deadline.Load()))) }()
	}
	n, err := c.nc.Read(c.x.Up[c.n:])
	c.n += n
	if n == 0 {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return false
		}
		c.err = err
		return true
	}
	return c.parsed()
}

func (c *upConn) roundTripBlocking() (int, error) {
	if c.check && !c.silent() {
		return 0, errStale
	}
	if len(c.req) > 0 {
		if err := c.write(c.req); err != nil {
			return 0, err
		}
	}
	for {
		if c.n == len(c.x.Up) && !c.grow() {
			return c.n, c.err
		}
		n, err := c.read(c.x.Up[c.n:])
		c.n += n
		if n > 0 && c.parsed() {
			return c.n, c.err
		}
		if n == 0 && err != nil {
			return c.n, err
		}
	}
}

func (c *upConn) write(p []byte) error {
	for {
		n, err := c.nc.Write(p)
		p = p[n:]
		if err == nil {
			return nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || c.watch.due() || c.raw == nil {
			return err
		}
		c.watch.undue()
	}
}

func (c *upConn) read(p []byte) (int, error) {
	for {
		n, err := c.nc.Read(p)
		if n > 0 {
			return n, nil
		}
		if err != nil && errors.Is(err, os.ErrDeadlineExceeded) && !c.watch.due() {
			c.watch.undue()
			continue
		}
		return 0, err
	}
}
