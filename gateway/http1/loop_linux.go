package http1

import (
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// loop is an event loop: one thread that serves plain connections, clients' and
// upstreams', as long as nothing they do can block. Whatever must wait for
// something else than an edge (a dial, a large body, a slow reader, a quota)
// leaves with its connections for a goroutine, where net.Conn waits, and comes
// back when it is over. A call in a loop costs no goroutine switch and no stack,
// which is what counts with many connections.
//
// Everything of a loop is touched by its own thread, but for posts.
type loop struct {
	s      *Server
	id     int
	ep     int
	bell   int // an eventfd: there are posts
	src    []source
	all    []*conn
	swept  int64
	quit   bool
	closed chan struct{}

	mu    sync.Mutex
	posts []func()
	dead  bool
}

// source is what a descriptor belongs to.
type source struct {
	c *conn
	u *upConn
}

// maxMoves is after how many large bodies, up or down, a connection stays with its
// goroutine: a client that streams has no use of a loop.
const maxMoves = 8

const (
	edgeTriggered = 1 << 31 // EPOLLET, which syscall has as a negative number
	reading       = syscall.EPOLLIN | syscall.EPOLLRDHUP | edgeTriggered
)

// startLoops starts one loop per processor, and leaves one more for everything
// else, so that a busy loop holds up neither journal nor configuration.
func startLoops(s *Server) []*loop {
	n := runtime.GOMAXPROCS(0)
	out := make([]*loop, 0, n)
	for i := range n {
		l, err := newLoop(s, i)
		if err != nil {
			s.o.Log.Warn("no event loop; connections have goroutines", "err", err)
			return out
		}
		out = append(out, l)
	}
	onceMore.Do(func() { runtime.GOMAXPROCS(n + 1) })
	for _, l := range out {
		go l.run()
	}
	return out
}

var onceMore sync.Once

func newLoop(s *Server, id int) (*loop, error) {
	l := &loop{s: s, id: id, closed: make(chan struct{})}
	var err error
	if l.ep, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	r, _, e := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if e != 0 {
		_ = syscall.Close(l.ep)
		return nil, e
	}
	l.bell = int(r)
	return l, syscall.EpollCtl(l.ep, syscall.EPOLL_CTL_ADD, l.bell, &syscall.EpollEvent{Events: syscall.EPOLLIN | edgeTriggered, Fd: int32(l.bell)})
}

// post runs f on the loop's thread, or at once when the loop has ended.
func (l *loop) post(f func()) {
	l.mu.Lock()
	if l.dead {
		l.mu.Unlock()
		f()
		return
	}
	l.posts = append(l.posts, f)
	l.mu.Unlock()
	one := uint64(1)
	_, _, _ = syscall.RawSyscall(syscall.SYS_WRITE, uintptr(l.bell), uintptr(unsafe.Pointer(&one)), 8)
}

func (l *loop) stop() {
	l.post(func() { l.quit = true })
	<-l.closed
}

func (l *loop) run() {
	runtime.LockOSThread()
	defer close(l.closed)
	events := make([]syscall.EpollEvent, 256)
	for !l.quit {
		n := l.wait(events)
		for i := range events[:n] {
			l.event(int(events[i].Fd), events[i].Events)
		}
		if now := Now(); now-l.swept >= int64(Sweep) {
			l.swept = now
			l.sweep(now)
		}
	}
	l.cut()
	l.mu.Lock()
	l.dead = true
	posts := l.posts
	l.posts = nil
	l.mu.Unlock()
	for _, f := range posts {
		f()
	}
	_ = syscall.Close(l.bell)
	_ = syscall.Close(l.ep)
}

// wait asks without blocking first, which needs no word with the scheduler.
func (l *loop) wait(events []syscall.EpollEvent) int {
	at, room := uintptr(unsafe.Pointer(&events[0])), uintptr(len(events))
	n, _, e := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(l.ep), at, room, 0, 0, 0)
	if e == 0 && n == 0 {
		n, _, e = syscall.Syscall6(syscall.SYS_EPOLL_PWAIT, uintptr(l.ep), at, room, uintptr(Sweep/time.Millisecond), 0, 0)
	}
	if e != 0 {
		return 0
	}
	return int(n)
}

func (l *loop) event(fd int, what uint32) {
	if fd == l.bell {
		l.answerBell()
		return
	}
	if fd >= len(l.src) {
		return
	}
	// The end of a stream can come in one edge with the bytes before it; then a
	// read that takes them all has not taken it.
	ended := what&(syscall.EPOLLRDHUP|syscall.EPOLLHUP|syscall.EPOLLERR) != 0
	switch s := l.src[fd]; {
	case s.c != nil:
		s.c.ended = s.c.ended || ended
		l.guard(s.c, l.readable)
	case s.u != nil && s.u.x != nil:
		s.u.ended = s.u.ended || ended
		l.guard(s.u.x.c, l.answered)
	case s.u != nil:
		l.unasked(s.u)
	}
}

// guard keeps a panic in one call from ending the loop.
func (l *loop) guard(c *conn, f func(*conn)) {
	defer func() {
		if r := recover(); r != nil {
			l.s.o.Log.Error("a call panicked; its connection is closed", "panic", r, "stack", string(debug.Stack()))
			if c.x != nil {
				c.x.dropUpstream()
				c.x = nil // not to be used again
			}
			l.end(c)
		}
	}()
	f(c)
}

func (l *loop) answerBell() {
	var n uint64
	_, _, _ = syscall.RawSyscall(syscall.SYS_READ, uintptr(l.bell), uintptr(unsafe.Pointer(&n)), 8)
	l.mu.Lock()
	posts := l.posts
	l.posts = nil
	l.mu.Unlock()
	for _, f := range posts {
		f()
	}
}

// watch begins to watch a descriptor.
func (l *loop) watch(fd int, s source) bool {
	for fd >= len(l.src) {
		l.src = append(l.src, make([]source, max(64, fd+1-len(l.src)))...)
	}
	l.src[fd] = s
	if syscall.EpollCtl(l.ep, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: reading, Fd: int32(fd)}) != nil {
		l.src[fd] = source{}
		return false
	}
	return true
}

// release stops watching a descriptor that somebody else goes on with.
func (l *loop) release(fd int) {
	l.src[fd] = source{}
	_ = syscall.EpollCtl(l.ep, syscall.EPOLL_CTL_DEL, fd, nil)
}

// adopt takes a new connection into a loop.
func (s *Server) adopt(nc net.Conn) bool {
	tc, ok := nc.(*net.TCPConn)
	if !ok || len(s.loops) == 0 {
		return false
	}
	c := &conn{s: s, shard: s.number.Add(1)}
	if host, _, err := net.SplitHostPort(nc.RemoteAddr().String()); err == nil {
		c.ip = host
	}
	if c.fd = dup(tc); c.fd < 0 {
		return false
	}
	_ = nc.Close()
	c.l = s.loops[int(c.shard)%len(s.loops)]
	c.looked = true // a client that never spoke has HeadTimeout and no more
	c.arm(s.o.HeadTimeout)
	c.l.post(func() { c.l.add(c) })
	return true
}

// dup is another descriptor of the connection's socket, for a loop; -1: none.
func dup(tc syscall.Conn) int {
	fd := -1
	if raw, err := tc.SyscallConn(); err == nil {
		_ = raw.Control(func(p uintptr) {
			r, _, e := syscall.RawSyscall(syscall.SYS_FCNTL, p, syscall.F_DUPFD_CLOEXEC, 0)
			if e == 0 {
				fd = int(r)
			}
		})
	}
	return fd
}

// open is the net.Conn of a loop's descriptor, which it closes.
func open(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "tcp")
	defer f.Close()
	return net.FileConn(f)
}

func (l *loop) add(c *conn) {
	c.slot = len(l.all)
	l.all = append(l.all, c)
	if !l.watch(c.fd, source{c: c}) || l.quit {
		l.end(c)
		return
	}
	if l.s.draining.Load() && (c.x == nil || c.x.have == 0) {
		l.end(c)
	}
}

func (l *loop) remove(c *conn) {
	last := len(l.all) - 1
	l.all[c.slot] = l.all[last]
	l.all[c.slot].slot = c.slot
	l.all[last] = nil
	l.all = l.all[:last]
}

// end closes a connection.
func (l *loop) end(c *conn) {
	if c.x != nil {
		c.x.dropUpstream()
		c.x.l = nil
		l.s.put(c.x)
		c.x = nil
	}
	l.remove(c)
	l.src[c.fd] = source{}
	_ = syscall.Close(c.fd)
	l.s.left()
}

// readable serves what a client has sent.
func (l *loop) readable(c *conn) {
	if c.busy || c.paused != 0 {
		c.again = true
		return
	}
	c.next = wait
	if c.ready(uintptr(c.fd)) {
		l.act(c)
	}
}

// act does what serving a connection came to.
func (l *loop) act(c *conn) {
	switch c.next {
	case parked:
		l.park(c)
	case pausing:
	case shut:
		if len(c.rest) == 0 && !c.unread {
			l.end(c)
			return
		}
		l.leave(c, nil, nil)
	case hand:
		l.leave(c, nil, nil)
	case flush:
		l.leave(c, nil, func() {
			if c.x.shut {
				c.next = shut
			} else {
				c.settle(c.x)
			}
		})
	case blocked:
		c.moves++
		l.leave(c, nil, func() {
			c.handle(c.x)
			c.after()
		})
	}
}

// after says how a connection with a goroutine goes on behind a call.
func (c *conn) after() {
	if c.next = wait; c.x.shut {
		c.next = shut
		return
	}
	c.settle(c.x)
}

// park goes on with a call that its handler has left.
func (l *loop) park(c *conn) {
	x := c.x
	switch x.parked {
	case asked:
		c.busy = true
	case block:
		l.leave(c, nil, func() {
			c.s.o.Resume(x, Again)
			c.handled(x)
			c.after()
		})
	case proxy:
		l.leave(c, nil, func() {
			a := &x.ask
			c.s.o.Resume(x, x.proxy(a.pool, x.Out, a.extra, false, a.timeout))
			c.handled(x)
			c.after()
		})
	case relaying:
		c.moves++
		l.leave(c, x.up, func() {
			a := &x.ask
			c.s.o.Resume(x, a.down.answer(a.piece, false, a.extra))
			c.handled(x)
			c.after()
		})
	}
}

// send asks the upstream over a connection of this loop. false: it has none that
// is fit, or asking may take waiting.
func (l *loop) send(x *Exchange) bool {
	p := x.ask.pool
	if p.tls != nil || x.ask.timeout < exact {
		return false
	}
	for {
		own := p.home[l.id]
		if len(own) == 0 {
			return false
		}
		u := own[len(own)-1]
		own[len(own)-1] = nil
		p.home[l.id] = own[:len(own)-1]
		n, errno := writeFD(uintptr(u.fd), x.Out)
		if errno != 0 || n < len(x.Out) {
			// Dead, or full though idle: what did not arrive whole is no request.
			l.closeUp(u)
			continue
		}
		u.begin(x)
		x.up = u
		x.c.watch.deadline.Store(x.asked() + int64(x.ask.timeout))
		return true
	}
}

// answered reads what the upstream of a call has sent.
func (l *loop) answered(c *conn) {
	x := c.x
	u := x.up
	for {
		if u.n == len(x.Up) && !u.grow() {
			l.broken(c)
			return
		}
		n, errno := readFD(uintptr(u.fd), x.Up[u.n:])
		switch {
		case errno == syscall.EAGAIN:
			return
		case errno == syscall.EINTR:
			continue
		case errno != 0:
			u.err = errno
		case n == 0:
			u.err = io.EOF
		}
		if u.err != nil {
			l.broken(c)
			return
		}
		drained := n < len(x.Up)-u.n && !u.ended
		u.n += n
		if u.parsed() {
			break
		}
		if drained {
			return
		}
	}
	if u.err != nil {
		l.broken(c)
		return
	}
	if x.rejects() {
		l.over(c, Rejected)
		return
	}
	x.skip()
	f := x.relay(u, u.n, x.ask.extra, x.ask.timeout)
	if f == Parked {
		l.park(c)
		return
	}
	l.over(c, f)
}

// broken is a call whose upstream connection failed before its answer.
func (l *loop) broken(c *conn) {
	x := c.x
	used, n, err := x.up.used, x.up.n, x.up.err
	x.dropUpstream()
	if used && n == 0 && x.repeatable(err, false) {
		x.parked = proxy
		l.park(c)
		return
	}
	l.over(c, NoAnswer)
}

// over resumes a call with what came of its upstream, and goes on with the
// connection.
func (l *loop) over(c *conn, f Failure) {
	x := c.x
	c.busy, x.parked = false, running
	l.s.o.Resume(x, f)
	if x.parked != running { // another attempt
		l.park(c)
		return
	}
	c.handled(x)
	switch {
	case len(c.rest) > 0:
		c.next = flush
	case x.shut:
		c.next = shut
	default:
		c.settle(x)
		l.goOn(c)
		return
	}
	l.act(c)
}

// goOn looks for another call, in the buffer and, if there was an edge or the
// last read left something, in the socket.
func (l *loop) goOn(c *conn) {
	if c.paused != 0 {
		return
	}
	if c.x.have == 0 && c.drained && !c.again {
		if c.park() {
			l.act(c)
		}
		return
	}
	c.again, c.pending = false, true
	l.readable(c)
}

// unasked is something on an idle upstream connection: its end, or an answer
// nobody asked for.
func (l *loop) unasked(u *upConn) {
	var b [1]byte
	if _, errno := readFD(uintptr(u.fd), b[:]); errno == syscall.EAGAIN || errno == syscall.EINTR {
		return
	}
	own := u.pool.home[l.id]
	for i := range own {
		if own[i] == u {
			u.pool.home[l.id] = append(own[:i], own[i+1:]...)
			break
		}
	}
	l.closeUp(u)
}

// keep puts an upstream connection by for the next call.
func (l *loop) keep(u *upConn) {
	p := u.pool
	u.x = nil
	p.mu.Lock()
	dead := p.dead
	p.mu.Unlock()
	if dead || u.ended || l.quit || len(p.home[l.id]) >= maxIdlePerPool {
		l.closeUp(u)
		return
	}
	p.home[l.id] = append(p.home[l.id], u)
}

func (l *loop) closeUp(u *upConn) {
	if u.fd < len(l.src) {
		l.src[u.fd] = source{}
	}
	_ = syscall.Close(u.fd)
	u.pool.Open.Add(-1)
}

// drop closes what is idle of a pool that is not in use any more.
func (l *loop) drop(p *Pool) {
	for _, u := range p.home[l.id] {
		l.closeUp(u)
	}
	p.home[l.id] = nil
}

// sweep looks at every connection's deadline.
func (l *loop) sweep(now int64) {
	for i := len(l.all) - 1; i >= 0; i-- {
		if i >= len(l.all) {
			continue
		}
		c := l.all[i]
		if c.paused != 0 && now >= c.paused {
			c.paused = 0
			l.guard(c, l.goOn)
			continue
		}
		if d := c.watch.deadline.Load(); d == 0 || now < d || c.paused != 0 {
			continue
		}
		switch {
		case c.busy:
			c.x.dropUpstream()
			l.guard(c, func(c *conn) { l.over(c, Timeout) })
		case c.lookAgain():
			l.guard(c, l.readable)
		default:
			l.end(c)
		}
	}
	for _, p := range l.pools() {
		l.reap(p, now)
	}
}

func (l *loop) pools() []*Pool {
	u := l.s.ups.Load()
	if u == nil {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	var out []*Pool
	for _, p := range u.pools {
		out = append(out, p)
	}
	return out
}

// reap closes upstream connections that have been idle for too long.
func (l *loop) reap(p *Pool, now int64) {
	own := p.home[l.id]
	n := 0
	for n < len(own) && now-own[n].since > int64(upstreamIdle) {
		l.closeUp(own[n])
		n++
	}
	if n > 0 {
		p.home[l.id] = append(own[:0], own[n:]...)
	}
}

// drain ends what is idle; the rest ends with its call.
func (l *loop) drain() {
	for i := len(l.all) - 1; i >= 0; i-- {
		if i < len(l.all) && !l.all[i].busy && l.all[i].idle.Load() {
			l.end(l.all[i])
		}
	}
}

// cut ends everything.
func (l *loop) cut() {
	for len(l.all) > 0 {
		l.end(l.all[len(l.all)-1])
	}
}
