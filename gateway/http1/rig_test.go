package http1

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// edge orders a test's assignments before the handler's reads for the race
// detector, which does not see the order that a network connection makes.
var edge atomic.Int64

// client is a raw connection to the server under test.
type client struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func dialClient(t testing.TB, addr string) *client {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return wrapClient(t, nc)
}

func wrapClient(t testing.TB, nc net.Conn) *client {
	edge.Add(1)
	_ = nc.SetDeadline(time.Now().Add(time.Minute))
	t.Cleanup(func() { _ = nc.Close() })
	return &client{Conn: nc, t: t, r: bufio.NewReader(nc)}
}

func (c *client) send(s string) {
	c.t.Helper()
	edge.Add(1)
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Fatal(err)
	}
}

// answer reads one answer to the method and renders it: status, body, whether the
// connection is to close, and what went wrong.
func (c *client) answer(method string) string {
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		return "<" + err.Error() + ">"
	}
	b, err := io.ReadAll(resp.Body)
	s := fmt.Sprintf("%d %s", resp.StatusCode, b)
	for k, v := range resp.Trailer {
		s += fmt.Sprintf(" %s=%s", k, v[0])
	}
	if resp.Close {
		s += " close"
	}
	if err != nil {
		s += " <" + err.Error() + ">"
	}
	return s
}

// closed waits for the server's end of the connection.
func (c *client) closed(within time.Duration) {
	c.t.Helper()
	start := time.Now()
	_ = c.SetReadDeadline(start.Add(within))
	b, err := c.r.ReadByte()
	if err == nil {
		c.t.Fatalf("byte %q, want the connection closed", b)
	}
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		c.t.Fatalf("the connection is open after %v", within)
	}
}

// rawUpstream is an upstream whose every connection is handled by f; it counts
// connections.
type rawUpstream struct {
	addr  string
	conns atomic.Int64
}

func newRawUpstream(t testing.TB, f func(n int64, c *client)) *rawUpstream {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &rawUpstream{addr: l.Addr().String()}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			c := &client{Conn: nc, t: t, r: bufio.NewReader(nc)}
			n := u.conns.Add(1)
			go func() {
				defer nc.Close()
				f(n, c)
			}()
		}
	}()
	return u
}

// request reads one request whole; nil at the end of the connection.
func (c *client) request() *http.Request {
	req, err := http.ReadRequest(c.r)
	if err != nil {
		return nil
	}
	b, err := io.ReadAll(req.Body)
	if err != nil {
		return nil
	}
	req.Body = io.NopCloser(strings.NewReader(string(b)))
	return req
}

// fixed answers every request with the same bytes.
func fixed(t testing.TB, answer string) *rawUpstream {
	return newRawUpstream(t, func(_ int64, c *client) {
		for c.request() != nil {
			if _, err := io.WriteString(c, answer); err != nil {
				return
			}
		}
	})
}

// until polls for a condition that has no event of its own.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	end := time.Now().Add(time.Minute) // a busy machine takes its time
	for !is() {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
		runtime.Gosched()
		<-time.After(2 * time.Millisecond)
	}
}

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
