package http1

import (
	"bytes"
	"context"
	"io"
	"net"
	"runtime"
	"strconv"
	"testing"
	"time"
)

const plainAnswer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\nContent-Length: 13\r\n\r\n{\"ok\":\"true\"}"

var plainCall = []byte("GET /orders/8421/items?limit=50 HTTP/1.1\r\nHost: api.test\r\nUser-Agent: curl/8.0\r\nAccept: */*\r\nx-api-key: tg_live_0123456789abcdefghijklmnopqrstuv\r\n\r\n")

// bareUpstream answers every read with the same bytes and allocates nothing.
func bareUpstream(t testing.TB) string {
	u := newRawUpstream(t, func(_ int64, c *client) {
		buf, answer := make([]byte, 4096), []byte(plainAnswer)
		for {
			if n, err := c.Conn.Read(buf); err != nil || !bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
				return
			}
			if _, err := c.Conn.Write(answer); err != nil {
				return
			}
		}
	})
	return u.addr
}

// caller makes calls on one connection, without allocating.
func caller(t testing.TB, addr string) func() {
	c := dialClient(t, addr)
	_ = c.SetDeadline(time.Time{})
	buf := make([]byte, 4096)
	return func() {
		if _, err := c.Conn.Write(plainCall); err != nil {
			t.Fatal(err)
		}
		for n := 0; !bytes.HasSuffix(buf[:n], []byte(`"true"}`)); {
			k, err := c.Conn.Read(buf[n:])
			if err != nil {
				t.Fatal(err)
			}
			n += k
		}
	}
}

func costRig(t testing.TB) *rig {
	addr := bareUpstream(t)
	var r *rig
	r = newRig(t, addr, func(o *Options) {
		o.MaxConns = 5000
		extra := []byte("x-seen: 1\r\n")
		o.Handler = func(x *Exchange) {
			req := append(x.Out[:0], x.Request.Method.Of(x.In)...)
			req = append(req, ' ')
			req = append(req, x.Request.Path.Of(x.In)...)
			req = append(req, " HTTP/1.1\r\n"...)
			req = x.AppendForward(req, "upstream.test", nil)
			if f := x.Proxy(r.pool, req, extra, 5*time.Second); f != None && f != Parked {
				t.Errorf("failure %d", f)
			}
		}
		if loopsInTests {
			o.Resume = func(_ *Exchange, f Failure) {
				if f != None {
					t.Errorf("failure %d", f)
				}
			}
		}
	})
	return r
}

func TestPlainPathAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector a sync.Pool forgets at random")
	}
	call := caller(t, costRig(t).addr)
	for range 500 {
		call()
	}
	const calls = 10_000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	for range calls {
		call()
	}
	runtime.ReadMemStats(&after)
	// The Date of each second, and what a collection takes out of the pool, are not
	// the calls'.
	if n := after.Mallocs - before.Mallocs; n > calls/50+uint64(100*time.Since(began).Seconds()) {
		t.Errorf("%d allocations in %d calls", n, calls)
	} else {
		t.Logf("%d allocations in %d calls", n, calls)
	}
}

// An idle connection costs a small stack, its descriptor's bookkeeping and no buffer.
func TestIdleConnectionMemory(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector's shadow memory is not what is measured")
	}
	r := costRig(t)
	const n = 2000
	conns := make([]net.Conn, n)
	buf := make([]byte, 4096)
	for i := range conns { // the client's side first, so that it is not counted
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Skipf("connection %d: %v", i, err)
		}
		defer c.Close()
		conns[i] = c
		if i == 0 {
			for range 100 {
				speak(t, c, buf)
			}
		}
	}
	use := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	for _, c := range conns {
		speak(t, c, buf)
	}
	until(t, "all are idle", func() bool {
		return idleConns(r.s) == n
	})
	full := use()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = r.s.Drain(ctx)
	each := (full - min(full, use())) / n
	t.Logf("%d bytes per idle connection", each)
	if each == 0 || each > 10<<10 {
		t.Errorf("an idle connection takes %d bytes, want at most %d", each, 10<<10)
	}
}

// idleConns counts the connections that wait for a call, wherever they are.
func idleConns(s *Server) int {
	n := 0
	for _, l := range s.loops {
		done := make(chan struct{})
		l.post(func() {
			for _, c := range loopConns(l) {
				if c.idle.Load() {
					n++
				}
			}
			close(done)
		})
		<-done
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if c.idle.Load() {
			n++
		}
	}
	return n
}

func speak(t testing.TB, c net.Conn, buf []byte) {
	t.Helper()
	edge.Add(1)
	if _, err := c.Write(plainCall); err != nil {
		t.Fatal(err)
	}
	for n := 0; !bytes.HasSuffix(buf[:n], []byte(`"true"}`)); {
		k, err := c.Read(buf[n:])
		if err != nil {
			t.Fatal(err)
		}
		n += k
	}
}

func TestChurnLeavesNothing(t *testing.T) {
	r := costRig(t)
	caller(t, r.addr)()
	until(t, "one connection", func() bool { return r.s.Conns() == 1 })
	before := runtime.NumGoroutine()
	buf := make([]byte, 4096)
	for i := range 1000 {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		switch i % 4 {
		case 0: // says nothing
		case 1:
			_, _ = io.WriteString(c, "GET / HT")
		case 2:
			_, _ = io.WriteString(c, "GET / HTTP/9.9\r\n\r\n")
		case 3:
			speak(t, c, buf)
		}
		_ = c.Close()
	}
	until(t, "the connections are gone", func() bool { return r.s.Conns() == 1 })
	until(t, "their goroutines are gone", func() bool { return runtime.NumGoroutine() <= before+int(r.pool.Open.Load()) })
	r.s.sweep.mu.Lock()
	defer r.s.sweep.mu.Unlock()
	if n := len(r.s.sweep.all); !loopsInTests && n != 1+int(r.pool.Open.Load()) {
		t.Errorf("%d connections are watched, want %d", n, 1+r.pool.Open.Load())
	}
}

func BenchmarkProxyKeepAlive(b *testing.B) {
	for _, n := range []int{1, 8} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			r := costRig(b)
			b.ReportAllocs()
			b.SetParallelism(n)
			b.RunParallel(func(pb *testing.PB) {
				call := caller(b, r.addr)
				for pb.Next() {
					call()
				}
			})
		})
	}
}
