package main

import (
	"fmt"
	"net"
	"runtime"
	"runtime/debug"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	readSize = 64 << 10
	maxHead  = 64 << 10
)

// loop is one thread that waits for connections to become readable and answers.
type loop struct {
	poll, listener int
	conns          []*conn // by file descriptor
	buf            []byte
	whole, head    []byte // the answer, and the answer to HEAD
	posted         []byte // the answer to POST
}

type conn struct {
	in      []byte // the part of a request that has arrived, if not all
	skip    int    // body bytes still to come
	out     []byte // answers the kernel has not taken yet
	closing bool   // close once out is empty
}

func serve(addr, body, posted string) error {
	// Nothing else runs in this program: without a second thread and without
	// garbage collection, system calls need not be announced to the scheduler.
	runtime.GOMAXPROCS(1)
	runtime.LockOSThread()
	l, err := listen(addr)
	if err != nil {
		return fmt.Errorf("listen at %s: %w", addr, err)
	}
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	head := func(body string) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Sat, 22 Nov 2025 11:00:00 GMT\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: keep-alive\r\n\r\n", len(body))
	}
	s := &loop{poll: poll, listener: l, buf: make([]byte, readSize), whole: []byte(head(body) + body), head: []byte(head(body)), posted: []byte(head(posted) + posted)}
	if err := s.watch(unix.EPOLL_CTL_ADD, l, unix.EPOLLIN); err != nil {
		return err
	}
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(1 << 30) // a run that sends large bodies in pieces may still collect
	return s.run()
}

func listen(addr string) (int, error) {
	a, err := net.ResolveTCPAddr("tcp4", addr)
	if err != nil {
		return 0, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return 0, err
	}
	sa := &unix.SockaddrInet4{Port: a.Port}
	copy(sa.Addr[:], a.IP.To4())
	if err := unix.Bind(fd, sa); err != nil {
		return 0, err
	}
	return fd, unix.Listen(fd, 4096)
}

func (s *loop) watch(op, fd int, events uint32) error {
	return unix.EpollCtl(s.poll, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

func (s *loop) run() error {
	events := make([]unix.EpollEvent, 512)
	for {
		n, _, e := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(s.poll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), ^uintptr(0), 0, 0)
		if e == syscall.EINTR {
			continue
		}
		if e != 0 {
			return e
		}
		for i := range events[:n] {
			fd := int(events[i].Fd)
			switch {
			case fd == s.listener:
				s.accept()
			case len(s.conns[fd].out) > 0:
				s.flush(fd, s.conns[fd])
			default:
				s.read(fd, s.conns[fd])
			}
		}
	}
}

func (s *loop) accept() {
	for {
		fd, _, err := unix.Accept4(s.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return // none left, or the client has gone again
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		for len(s.conns) <= fd {
			s.conns = append(s.conns, nil)
		}
		s.conns[fd] = &conn{}
		if s.watch(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN) != nil {
			s.close(fd)
		}
	}
}

func (s *loop) close(fd int) {
	s.conns[fd] = nil
	_ = unix.Close(fd)
}

func (s *loop) read(fd int, c *conn) {
	n, _, e := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&s.buf[0])), readSize)
	if e == syscall.EAGAIN || e == syscall.EINTR {
		return
	}
	if e != 0 || n == 0 {
		s.close(fd)
		return
	}
	data := s.buf[:n]
	if len(c.in) > 0 {
		c.in = append(c.in, data...)
		data = c.in
	}
	rest := s.answer(c, data)
	if len(rest) > maxHead {
		s.close(fd)
		return
	}
	if len(rest) > 0 {
		c.in = append(c.in[:0], rest...)
	} else {
		c.in = c.in[:0]
	}
	if len(c.out) > 0 {
		s.write(fd, c)
	}
}

// answer consumes the whole requests in data, puts their answers into c.out and
// gives back what is left.
func (s *loop) answer(c *conn, data []byte) []byte {
	for len(data) > 0 && !c.closing {
		if c.skip > 0 {
			n := min(c.skip, len(data))
			c.skip -= n
			data = data[n:]
			continue
		}
		r, ok := parse(data)
		if !ok {
			return data
		}
		data = data[r.size:]
		c.skip = r.body
		c.closing = r.close || r.bad
		switch {
		case r.bad:
			c.out = append(c.out, "HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"...)
		case r.head:
			c.out = append(c.out, s.head...)
		case r.post:
			c.out = append(c.out, s.posted...)
		default:
			c.out = append(c.out, s.whole...)
		}
	}
	return data
}

// write hands answers to the kernel; what it does not take waits for room, and
// nothing more is read meanwhile.
func (s *loop) write(fd int, c *conn) {
	n, _, e := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&c.out[0])), uintptr(len(c.out)))
	switch {
	case e == 0 && int(n) == len(c.out):
		c.out = c.out[:0]
		if c.closing {
			s.close(fd)
		}
	case e == 0 || e == syscall.EAGAIN || e == syscall.EINTR:
		if e == 0 {
			c.out = append(c.out[:0], c.out[n:]...)
		}
		if s.watch(unix.EPOLL_CTL_MOD, fd, unix.EPOLLOUT) != nil {
			s.close(fd)
		}
	default:
		s.close(fd)
	}
}

func (s *loop) flush(fd int, c *conn) {
	s.write(fd, c)
	if s.conns[fd] == c && len(c.out) == 0 && s.watch(unix.EPOLL_CTL_MOD, fd, unix.EPOLLIN) != nil {
		s.close(fd)
	}
}
