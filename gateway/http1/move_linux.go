package http1

import (
	"net"
)

// Between a loop and a goroutine: how a connection leaves, and how it comes back.

// leave gives a connection, and the upstream's that its call holds, a goroutine
// of their own, which does f and serves on.
func (l *loop) leave(c *conn, u *upConn, f func()) {
	l.remove(c)
	l.release(c.fd)
	if u != nil {
		l.release(u.fd)
	}
	go c.leave(u, f)
}

func (c *conn) leave(u *upConn, f func()) {
	nc, err := open(c.fd)
	c.fd, c.l, c.busy, c.again = -1, nil, false, false
	if u != nil {
		u.l = nil
		if u.nc, _ = open(u.fd); u.nc != nil {
			u.under, _ = u.nc.(*net.TCPConn).SyscallConn()
			u.raw, u.step = u.under, u.stepRaw
			u.pool.u.sweep.add(&u.watch, u.nc)
		}
	}
	if err != nil || (u != nil && u.nc == nil) {
		c.lost(nc, u)
		return
	}
	c.nc = nc
	c.raw, _ = nc.(*net.TCPConn).SyscallConn()
	c.s.sweep.add(&c.watch, nc)
	c.s.mu.Lock()
	c.s.conns[c] = struct{}{}
	c.s.mu.Unlock()
	defer c.end()
	if c.x != nil {
		c.x.l, c.x.parked = nil, running
	}
	if len(c.rest) > 0 {
		err := c.write(c.rest)
		if c.rest = nil; err != nil {
			return
		}
	}
	if f != nil {
		f()
	}
	if c.next != shut && c.next != hand {
		c.pending = true
		c.serveRaw()
	}
	c.last()
}

// lost is the end of a connection for which there was no descriptor left.
func (c *conn) lost(nc net.Conn, u *upConn) {
	if nc != nil {
		_ = nc.Close()
	}
	if u != nil && u.nc != nil {
		u.close()
	} else if u != nil {
		u.pool.Open.Add(-1)
	}
	c.s.o.Log.Error("no descriptor left for a connection")
	c.s.left()
}

// goHome brings a connection that is idle back to a loop.
func (c *conn) goHome() bool {
	tc, ok := c.nc.(*net.TCPConn)
	if !ok {
		return false
	}
	fd := dup(tc)
	if fd < 0 {
		c.moves = maxMoves
		return false
	}
	c.forget()
	_ = c.nc.Close()
	c.gone = true // for the goroutine that ends now
	l := c.s.loops[int(c.shard)%len(c.s.loops)]
	n := &conn{s: c.s, l: l, fd: fd, ip: c.ip, shard: c.shard, spoken: c.spoken, looked: c.looked, moves: c.moves}
	n.watch.deadline.Store(c.watch.deadline.Load())
	n.idle.Store(true)
	l.post(func() { l.add(n) })
	return true
}

// goHome gives a plain upstream connection that is idle to a loop.
func (c *upConn) goHome() bool {
	loops := c.pool.u.s.loops
	if len(loops) == 0 || c.raw == nil || c.moves >= maxMoves {
		return false
	}
	tc, ok := c.nc.(*net.TCPConn)
	if !ok {
		return false
	}
	fd := dup(tc)
	if fd < 0 {
		return false
	}
	c.pool.u.sweep.remove(&c.watch)
	_ = c.nc.Close()
	l := loops[int(c.shard)%len(loops)]
	n := &upConn{l: l, fd: fd, pool: c.pool, used: true, since: c.since, moves: c.moves + 1}
	l.post(func() {
		if !l.watch(fd, source{u: n}) {
			l.closeUp(n)
			return
		}
		l.keep(n)
	})
	return true
}
