package http1

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestUpstreamAnswers(t *testing.T) {
	chunks := strings.Repeat("1\r\na\r\n", 3000)
	for _, c := range []struct{ name, method, answer, want string }{
		{"by length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "200 abc"},
		{"empty", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200 "},
		{"chunked", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", "200 abc"},
		{"empty chunked", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "200 "},
		{"many small chunks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + "0\r\n\r\n", "200 " + strings.Repeat("a", 3000)},
		{"trailer", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\n", "200 a X-Sum=1"},
		{"204", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n", "204 "},
		{"304", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", "304 "},
		{"HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "200 "},
		{"HEAD chunked", "HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "200 "},
		{"interim answers", "GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\na", "201 a"},
		{"switching protocols", "GET", "HTTP/1.1 101 Switching\r\n\r\n", "504 failure 5"},
		{"no HTTP", "GET", "hello\r\n\r\n", "504 failure 5"},
		{"bad chunk in one piece", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "504 failure 5"},
		{"both framings", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "504 failure 5"},
		{"large head", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nA: " + strings.Repeat("b", 50000) + "\r\n\r\na", "200 a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, fixed(t, c.answer).addr)
			cl := dialClient(t, r.addr)
			for range 2 { // the second on whatever the first left behind
				cl.send(c.method + " / HTTP/1.1\r\nHost: a\r\n\r\n")
				if got := cl.answer(c.method); got != c.want {
					t.Errorf("%.200q, want %.200q", got, c.want)
				}
			}
		})
	}
}

// An upstream that dies in the middle: the client must be able to tell.
func TestUpstreamDiesMidBody(t *testing.T) {
	for name, answer := range map[string]string{
		"length":   "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
		"chunked":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
		"in chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc",
		"bad":      "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nabc",
	} {
		u := newRawUpstream(t, func(_ int64, c *client) {
			c.request()
			c.send(answer)
		})
		r := newRig(t, u.addr)
		for _, version := range []string{"1.1", "1.0"} {
			c := dialClient(t, r.addr)
			c.send("GET / HTTP/" + version + "\r\nHost: a\r\n\r\n")
			if got := c.answer("GET"); !strings.HasSuffix(got, ">") {
				t.Errorf("%s, HTTP/%s: looks complete: %s", name, version, got)
			}
		}
		until(t, "no upstream connection is left", func() bool { return r.pool.Open.Load() == 0 })
	}
}

func TestUpstreamCloseDelimited(t *testing.T) {
	u := newRawUpstream(t, func(_ int64, c *client) {
		c.request()
		c.send("HTTP/1.0 200 OK\r\n\r\nabc")
	})
	r := newRig(t, u.addr)
	c := dialClient(t, r.addr)
	c.send(get + "GET / HTTP/1.0\r\n\r\n")
	if got := c.answer("GET") + "|" + c.answer("GET"); got != "200 abc|200 abc close" {
		t.Error(got)
	}
}

// Bytes behind an answer, at once or later, are never taken for the next answer.
func TestSurplusBytesRetireTheConnection(t *testing.T) {
	const evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	for _, later := range []bool{false, true} {
		sent, now := make(chan struct{}, 8), make(chan struct{})
		u := newRawUpstream(t, func(n int64, c *client) {
			for c.request() != nil {
				ok := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d", n)
				if !later {
					c.send(ok + evil)
				} else {
					c.send(ok)
					<-now
					c.send(evil)
				}
				sent <- struct{}{}
			}
		})
		r := newRig(t, u.addr)
		c := dialClient(t, r.addr)
		for i := 1; i <= 3; i++ {
			c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx") // not idempotent: retried only because nothing was sent
			if got, want := c.answer("POST"), fmt.Sprintf("200 %d", i); got != want {
				t.Errorf("later=%v: %s, want %s", later, got, want)
			}
			if later {
				now <- struct{}{}
			}
			<-sent
		}
	}
}

// A pooled connection that the upstream closed costs the client nothing; one that
// breaks after a request was written costs only what may not be repeated.
func TestRetries(t *testing.T) {
	for _, c := range []struct {
		name   string
		method string
		after  bool // the upstream reads the second request, then closes
		want   string
	}{
		{"closed while idle, GET", "GET", false, "200 2"},
		{"closed while idle, POST", "POST", false, "200 2"},
		{"closed on request, GET", "GET", true, "200 2"},
		{"closed on request, PUT", "PUT", true, "200 2"},
		{"closed on request, POST", "POST", true, "504 failure 5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			closed := make(chan struct{})
			u := newRawUpstream(t, func(n int64, cl *client) {
				for cl.request() != nil {
					cl.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d", n))
					if n == 1 {
						if c.after {
							cl.request()
						}
						_ = cl.Close()
						close(closed)
						return
					}
				}
			})
			r := newRig(t, u.addr)
			cl := dialClient(t, r.addr)
			req := c.method + " / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"
			cl.send(req)
			if got := cl.answer(c.method); got != "200 1" {
				t.Fatal(got)
			}
			if !c.after {
				<-closed
			}
			until(t, "both connections are at rest", func() bool { return idleConns(r.s) == 1 })
			cl.send(req)
			if got := cl.answer(c.method); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// An upstream that answers before it has the body is heard, and gets no more of it.
func TestEarlyAnswer(t *testing.T) {
	u := newRawUpstream(t, func(_ int64, c *client) {
		if _, err := c.r.Peek(1); err == nil {
			for {
				if line, err := c.r.ReadString('\n'); err != nil || line == "\r\n" {
					break
				}
			}
			c.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno")
			_, _ = io.Copy(io.Discard, c.r)
		}
	})
	r := newRig(t, u.addr, func(o *Options) { o.MaxBody = 1 << 40 })
	c := dialClient(t, r.addr)
	go func() {
		_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000000\r\n\r\n")
		block := make([]byte, 32<<10)
		for {
			if _, err := c.Write(block); err != nil {
				return
			}
		}
	}()
	if got := c.answer("POST"); got != "401 no close" {
		t.Error(got)
	}
}

func TestUpstreamTimeout(t *testing.T) {
	quiet := make(chan struct{})
	u := newRawUpstream(t, func(_ int64, c *client) {
		c.request()
		<-quiet
	})
	defer close(quiet)
	for _, d := range []time.Duration{150 * time.Millisecond, 2100 * time.Millisecond} {
		took := make(chan time.Duration, 1)
		var r *rig
		r = newRig(t, u.addr, func(o *Options) {
			o.Resume = nil // it waits for the outcome
			o.Handler = func(x *Exchange) {
				req := x.AppendForward(append(x.Out[:0], "GET / HTTP/1.1\r\n"...), "a", nil)
				if f := x.Proxy(r.pool, req, nil, d); f != Timeout {
					t.Errorf("failure %d", f)
				}
				took <- time.Duration(Now() - x.Begun)
				_ = x.Reply(504, nil, nil)
			}
		})
		slack := 100 * time.Millisecond
		if d >= exact {
			slack += 2 * Sweep
		}
		best := time.Hour // a pause of the machine makes one late, not all
		for try := 0; try < 10 && best > d+slack; try++ {
			c := dialClient(t, r.addr)
			c.send(get)
			if got := c.answer("GET"); got != "504 " {
				t.Error(got)
			}
			got := <-took
			if got < d {
				t.Errorf("timeout of %v after %v", d, got)
			}
			best = min(best, got)
		}
		if best > d+slack {
			t.Errorf("timeout of %v after %v at best", d, best)
		}
	}
}

func TestDialFailures(t *testing.T) {
	const dead = "127.0.0.1:1" // of the system's own ports, which no test listens on
	for _, c := range []struct {
		name    string
		dial    func(context.Context, string, string) (net.Conn, error)
		timeout time.Duration
		want    Failure
	}{
		{"refused", (&net.Dialer{}).DialContext, 15 * time.Second, NoConn},
		{"forbidden", func(context.Context, string, string) (net.Conn, error) {
			return nil, fmt.Errorf("10.0.0.1: %w", ErrForbidden)
		}, 15 * time.Second, Forbidden},
		{"no such host", func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
		}, 15 * time.Second, NoHost},
		{"never", func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }, 200 * time.Millisecond, Timeout},
	} {
		var r *rig
		r = newRig(t, dead, func(o *Options) {
			o.Resume = nil // it waits for the outcome
			o.Handler = func(x *Exchange) {
				req := x.AppendForward(append(x.Out[:0], "GET / HTTP/1.1\r\n"...), "a", nil)
				if f := x.Proxy(r.pool, req, nil, c.timeout); f != c.want {
					t.Errorf("%s: failure %d, want %d", c.name, f, c.want)
				}
				_ = x.Reply(504, nil, nil)
			}
		})
		r.up.dial = c.dial
		cl := dialClient(t, r.addr)
		cl.send(get)
		if got := cl.answer("GET"); got != "504 " {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

func TestTLSUpstream(t *testing.T) {
	cert, roots := certificate(t)
	var conns atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(echo))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			conns.Add(1)
		}
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	addr := s.Listener.Addr().String()

	r := newRig(t, addr)
	r.pool = r.up.Pool(PoolKey{Address: addr, TLS: true, ServerName: "localhost"}, nil)
	c := dialClient(t, r.addr)
	c.send(get) // nobody vouches for the certificate yet
	if got := c.answer("GET"); got != "504 failure 3" {
		t.Error(got)
	}
	r.pool.tls.RootCAs = roots
	conns.Store(0)
	for _, send := range []string{
		get, get,
		"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
		"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
	} {
		c.send(send)
		if got := c.answer("GET"); !strings.HasPrefix(got, "200 ") {
			t.Error(got)
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d TLS connections for 4 calls in a row, want 1", n)
	}
	wrong := r.up.Pool(PoolKey{Address: addr, TLS: true, ServerName: "other.test"}, nil)
	wrong.tls.RootCAs = roots
	r.pool = wrong
	c.send(get)
	if got := c.answer("GET"); got != "504 failure 3" {
		t.Error(got)
	}
}

// 64 MiB each way through bounded buffers.
func TestStreamsLargeBodies(t *testing.T) {
	const size = 64 << 20
	u := newRawUpstream(t, func(_ int64, c *client) {
		req, err := http.ReadRequest(c.r)
		if err != nil {
			return
		}
		n, err := io.Copy(io.Discard, req.Body)
		if err != nil || n != size {
			t.Errorf("upstream got %d bytes, %v", n, err)
		}
		_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size)
		_, _ = io.CopyN(c, zeros{}, size)
	})
	var widest atomic.Int64
	r := newRig(t, u.addr, func(o *Options) {
		o.MaxBody = size
		h := o.Handler
		o.Handler = func(x *Exchange) {
			h(x)
			widest.Store(int64(cap(x.In) + cap(x.Out) + cap(x.Up)))
		}
	})
	c := dialClient(t, r.addr)
	go func() {
		_, _ = fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size)
		_, _ = io.CopyN(c, zeros{}, size)
	}()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
		t.Errorf("client got %d bytes, %v", n, err)
	}
	c.send("x")
	until(t, "the call is over", func() bool { return widest.Load() > 0 })
	if n := widest.Load(); n > 160<<10 {
		t.Errorf("the call held %d bytes of buffers", n)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A client that does not read holds its upstream up, and not for ever.
func TestBackPressure(t *testing.T) {
	var sent atomic.Int64
	u := newRawUpstream(t, func(_ int64, c *client) {
		c.request()
		c.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
		for block := make([]byte, 64<<10); ; {
			n, err := c.Write(block)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	r := newRig(t, u.addr, func(o *Options) { o.BodyTimeout = 500 * time.Millisecond })
	c := dialClient(t, r.addr)
	c.send(get)
	until(t, "the stalled connection is given up", func() bool { return r.s.Conns() == 0 })
	if n := sent.Load(); n > 64<<20 { // what the kernel's socket buffers hold, at most
		t.Errorf("the upstream could send %d bytes to a client that reads none", n)
	}
}

// An upstream that ends its side together with its answer, without having said
// so, is not asked again: not even a POST that may not be repeated notices.
func TestUnannouncedEnd(t *testing.T) {
	ended := make(chan struct{}, 30)
	u := newRawUpstream(t, func(n int64, c *client) {
		if c.request() != nil {
			c.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d", n%10))
			_ = c.Conn.(*net.TCPConn).CloseWrite()
			ended <- struct{}{}
			_, _ = io.Copy(io.Discard, c)
		}
	})
	r := newRig(t, u.addr)
	c := dialClient(t, r.addr)
	for i := 1; i <= 30; i++ {
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
		if got := c.answer("POST"); !strings.HasPrefix(got, "200 ") {
			t.Fatalf("call %d: %s", i, got)
		}
		<-ended
		until(t, "the connection rests", func() bool { return idleConns(r.s) == 1 })
	}
}
