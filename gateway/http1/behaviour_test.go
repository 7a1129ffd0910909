package http1

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func echo(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %q", r.Method, r.URL.Path, b)
	if err != nil {
		fmt.Fprintf(w, " %v", err)
	}
	for k, v := range r.Trailer {
		fmt.Fprintf(w, " %s=%s", k, v[0])
	}
}

func TestPipelineSplitAnywhere(t *testing.T) {
	r := newRig(t, upstream(t, echo))
	for _, two := range []string{
		"GET /a HTTP/1.1\r\nHost: a\r\n\r\nPOST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
		"POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x\r\nbc\r\n0\r\nA: b\r\n\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		c := dialClient(t, r.addr)
		for i := 1; i < len(two); i++ {
			c.send(two[:i])
			// The second piece leaves when the first one has arrived: what can be
			// answered of it has been, or the server waits for more.
			got := ""
			if strings.Contains(two[:i], "GET /a HTTP/1.1\r\nHost: a\r\n\r\n") && strings.HasPrefix(two, "GET") {
				got = c.answer("GET")
			}
			c.send(two[i:])
			if got != "" {
				got += "|" + c.answer("POST")
			} else {
				got = c.answer("GET") + "|" + c.answer("GET")
			}
			want := `200 GET /a ""|200 POST /b "abc"`
			if strings.HasPrefix(two, "POST") {
				want = `200 POST /b "abc" A=b|200 GET /a ""`
			}
			if got != want {
				t.Fatalf("split at %d: got %s, want %s", i, got, want)
			}
		}
		for i := range len(two) {
			c.send(two[i : i+1])
		}
		if got := c.answer("GET") + c.answer("GET"); strings.Contains(got, "<") {
			t.Errorf("byte by byte: %s", got)
		}
	}
}

func TestRefusalIsAnsweredAndClosed(t *testing.T) {
	r := newRig(t, upstream(t, echo))
	for _, rc := range refusedRequests {
		if rc.status == 431 || rc.status == 414 {
			continue // the server's limits are others than the table's
		}
		c := dialClient(t, r.addr)
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n" + string(rc.head) + "GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
		if rc.name == "HTTP/2 preface out of place" {
			c.send(strings.Repeat("x", 100))
		}
		first, second := c.answer("GET"), c.answer("GET")
		if !strings.HasPrefix(first, "200 ") || !strings.HasPrefix(second, fmt.Sprint(rc.status)) || !strings.HasSuffix(second, " close") {
			t.Errorf("%s: %s, then %s", rc.name, first, second)
		}
		c.closed(5 * time.Second)
	}
	for _, c := range []struct {
		head   string
		status string
	}{
		{"GET /" + strings.Repeat("a", 30000) + " HTTP/1.1\r\nHost: a\r\n\r\n", "414"},
		{"GET / HTTP/1.1\r\nHost: a\r\nA: " + strings.Repeat("a", 30000) + "\r\n\r\n", "431"},
		{"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("a: b\r\n", 200) + "\r\n", "431"},
		{"GET /" + strings.Repeat("a", 1<<20), "414"}, // more than fits the socket: no reset may eat the answer
	} {
		cl := dialClient(t, r.addr)
		go func() { _, _ = io.WriteString(cl, c.head) }()
		if got := cl.answer("GET"); !strings.HasPrefix(got, c.status) {
			t.Errorf("%.40q: %s, want %s", c.head, got, c.status)
		}
	}
}

// A reused Exchange tells the time of its own call, also of one that is refused.
func TestTimesAreTheCalls(t *testing.T) {
	times := make(chan [2]int64, 8)
	note := func(x *Exchange) { times <- [2]int64{x.Wall.UnixNano(), x.Begun} }
	r := newRig(t, upstream(t, echo), func(o *Options) {
		h, refused := o.Handler, o.Refused
		o.Handler = func(x *Exchange) { note(x); h(x) }
		o.Refused = func(x *Exchange, e *ParseError) { note(x); refused(x, e) }
	})
	c := dialClient(t, r.addr)
	wall, begun := time.Now().UnixNano(), Now()
	for _, send := range []string{get, get, "GET / HTTP/3.0\r\n\r\n"} {
		c.send(send)
		_ = c.answer("GET")
		got := <-times
		if got[0] <= wall || got[1] <= begun {
			t.Errorf("%q at %v, the call before at %v", send, got, [2]int64{wall, begun})
		}
		wall, begun = got[0], got[1]
	}
}

func TestClientTimeouts(t *testing.T) {
	const short = 150 * time.Millisecond
	up := upstream(t, echo)
	for _, c := range []struct {
		name, send string
		change     func(*Options)
		answers    int
	}{
		{"nothing at all", "", func(o *Options) { o.HeadTimeout = short }, 0},
		{"half a head", "GET / HT", func(o *Options) { o.HeadTimeout = short }, 0},
		{"half a preface", "PRI", func(o *Options) { o.HeadTimeout = short }, 0},
		{"half a second head", get + "GET / HT", func(o *Options) { o.HeadTimeout = short }, 1},
		{"idle", get, func(o *Options) { o.IdleTimeout = short }, 1},
		{"half a body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab", func(o *Options) { o.BodyTimeout = short }, 1},
		{"half a chunk", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", func(o *Options) { o.BodyTimeout = short }, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, up, func(o *Options) { o.HeadTimeout, o.IdleTimeout, o.BodyTimeout = time.Hour, time.Hour, time.Hour }, c.change)
			cl := dialClient(t, r.addr)
			cl.send(c.send)
			for range c.answers {
				if got := cl.answer("GET"); strings.HasPrefix(got, "<") {
					t.Errorf("no answer: %s", got)
				}
			}
			cl.closed(15 * time.Second)
			until(t, "the connection is gone", func() bool { return r.s.Conns() == 0 })
		})
	}
}

// A body that drips in, each piece in time, holds its call no longer than twice the time
// between two of them.
func TestDrippingBody(t *testing.T) {
	r := newRig(t, upstream(t, echo), func(o *Options) { o.BodyTimeout = 500 * time.Millisecond })
	for name, p := range map[string]struct{ head, piece string }{
		"length":  {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n", "x"},
		"chunked": {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"},
	} {
		c := dialClient(t, r.addr)
		c.send(p.head)
		tick := time.NewTicker(20 * time.Millisecond)
		end := time.Now().Add(30 * time.Second)
		for ; time.Now().Before(end); <-tick.C {
			if _, err := io.WriteString(c, p.piece); err != nil {
				break
			}
		}
		tick.Stop()
		if !time.Now().Before(end) {
			t.Errorf("%s: a body that drips in is read for ever", name)
		}
	}
	until(t, "the connections are gone", func() bool { return r.s.Conns() == 0 })
}

// An answer that streams has times of its own: for each wait, and for all of it.
func TestStreamTimes(t *testing.T) {
	const head, piece = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "3\r\nabc\r\n"
	u := newRawUpstream(t, func(_ int64, c *client) {
		for req := c.request(); req != nil; req = c.request() {
			c.send(head + piece)
			for req.URL.Path == "/much" {
				if _, err := io.WriteString(c, piece); err != nil {
					return
				}
			}
		}
	})
	for _, c := range []struct {
		path       string
		idle, most time.Duration
	}{{"/silent", 100 * time.Millisecond, time.Hour}, {"/silent", time.Hour, 100 * time.Millisecond}, {"/much", time.Hour, 100 * time.Millisecond}} {
		r := newRig(t, u.addr, func(o *Options) {
			h := o.Handler
			o.Handler = func(x *Exchange) {
				x.Idle, x.Most = c.idle, c.most
				h(x)
			}
		})
		nc, began := dialClient(t, r.addr), time.Now()
		nc.send("GET " + c.path + " HTTP/1.1\r\nHost: a\r\n\r\n")
		if got, took := nc.answer("GET"), time.Since(began); !strings.HasPrefix(got, "200 abc") || !strings.HasSuffix(got, "<unexpected EOF>") || took < 100*time.Millisecond || took > 4*time.Second {
			t.Errorf("%s, %v, %v: %.20q… after %v", c.path, c.idle, c.most, got, took)
		}
	}
}

// A client that drips bytes does not live longer than one that stalls.
func TestSlowloris(t *testing.T) {
	r := newRig(t, upstream(t, echo), func(o *Options) { o.HeadTimeout = 300 * time.Millisecond })
	c := dialClient(t, r.addr)
	start := time.Now()
	for i := 0; ; i++ {
		if _, err := io.WriteString(c, "G"); err != nil {
			break
		}
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if _, err := c.r.ReadByte(); err != nil {
			var ne net.Error
			if !errors.As(err, &ne) || !ne.Timeout() {
				break
			}
		}
		if time.Since(start) > 5*time.Second {
			t.Fatal("still open after 5 s of drips")
		}
	}
}

// A client that sends a request and the end of its stream in one segment gets its
// answer and is let go soon, not at the idle timeout.
func TestHalfClosedClient(t *testing.T) {
	r := newRig(t, upstream(t, echo))
	c := dialClient(t, r.addr)
	c.send(get)
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got := c.answer("GET"); got != `200 GET / ""` {
		t.Error(got)
	}
	c.closed(15 * time.Second) // that is half the idle timeout
}

func TestTLSIdleOutlivesTheEndCheck(t *testing.T) {
	r := newRig(t, upstream(t, echo))
	c := wrapClient(t, dialTLS(t, r.serveTLS(), "http/1.1"))
	for range 2 {
		c.send(get)
		if got := c.answer("GET"); got != `200 GET / ""` {
			t.Fatal(got)
		}
		_ = c.SetReadDeadline(time.Now().Add(endCheck + 5*Sweep))
		if _, err := c.r.Peek(1); err == nil || err == io.EOF {
			t.Fatalf("idle TLS connection ended: %v", err)
		}
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	}
}

func TestContinue(t *testing.T) {
	up := upstream(t, echo)
	r := newRig(t, up)
	c := dialClient(t, r.addr)
	c.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
	line, err := c.r.ReadString('\n')
	if err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q %v", line, err)
	}
	_, _ = c.r.ReadString('\n')
	c.send("abc")
	if got, want := c.answer("POST"), `200 POST /a "abc"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// A body that came unasked needs no 100, and the connection goes on.
	c.send("POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc" + get)
	if got, want := c.answer("POST")+"|"+c.answer("GET"), `200 POST /b "abc"|200 GET / ""`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// A refused call gets its final status at once; the body may still come or not,
	// so the connection ends.
	r = newRig(t, up, func(o *Options) { o.Handler = func(x *Exchange) { _ = x.Reply(403, nil, []byte("no")) } })
	c = dialClient(t, r.addr)
	c.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
	if got, want := c.answer("POST"), "403 no close"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	c.closed(5 * time.Second)
}

func TestBodyTooLarge(t *testing.T) {
	var seen atomic.Int64
	up := newRawUpstream(t, func(_ int64, c *client) {
		n, _ := io.Copy(io.Discard, c)
		seen.Add(n)
	})
	r := newRig(t, up.addr, func(o *Options) { o.MaxBody = 100 })
	for _, send := range []string{
		"Content-Length: 101\r\n\r\n" + strings.Repeat("x", 101), // buffered
		"Content-Length: 1000000\r\n\r\nabc",                     // not
	} {
		c := dialClient(t, r.addr)
		c.send("POST / HTTP/1.1\r\nHost: a\r\n" + send)
		if got := c.answer("POST"); !strings.HasPrefix(got, "413 ") {
			t.Error(got)
		}
	}
	if up.conns.Load() != 0 {
		t.Error("a body known to be too large was sent on")
	}
	c := dialClient(t, r.addr)
	c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" + strings.Repeat("x", 0x65) + "\r\n0\r\n\r\n")
	if got := c.answer("POST"); !strings.HasPrefix(got, "413 ") {
		t.Error(got)
	}
}

func TestPanicClosesOneConnection(t *testing.T) {
	r := newRig(t, upstream(t, echo), func(o *Options) {
		h := o.Handler
		o.Handler = func(x *Exchange) {
			if string(x.Request.Path.Of(x.In)) == "/panic" {
				panic("on purpose")
			}
			h(x)
		}
	})
	other, c := dialClient(t, r.addr), dialClient(t, r.addr)
	other.send(get)
	_ = other.answer("GET")
	c.send("GET /panic HTTP/1.1\r\nHost: a\r\n\r\n")
	c.closed(5 * time.Second)
	other.send(get)
	if got := other.answer("GET"); got != `200 GET / ""` {
		t.Error(got)
	}
	until(t, "one connection is left", func() bool { return r.s.Conns() == 1 })
}

func TestMaxConns(t *testing.T) {
	r := newRig(t, upstream(t, echo), func(o *Options) { o.MaxConns = 2 })
	a, b := dialClient(t, r.addr), dialClient(t, r.addr)
	for _, c := range []*client{a, b} {
		c.send(get)
		_ = c.answer("GET")
	}
	dialClient(t, r.addr).closed(5 * time.Second)
	_ = a.Close()
	until(t, "a place is free", func() bool { return r.s.Conns() == 1 })
	c := dialClient(t, r.addr)
	c.send(get)
	if got := c.answer("GET"); got != `200 GET / ""` {
		t.Error(got)
	}
}

func TestDrain(t *testing.T) {
	arrived, release := make(chan struct{}, 10), make(chan struct{})
	up := newRawUpstream(t, func(_ int64, c *client) {
		for c.request() != nil {
			arrived <- struct{}{}
			<-release
			c.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	r := newRig(t, up.addr)
	idle, busy := dialClient(t, r.addr), dialClient(t, r.addr)
	idle.send("GET  HTTP/1.0\r\n\r") // not idle: half a head does not hold a drain up
	busy.send(get)
	<-arrived
	done := make(chan error)
	go func() { done <- r.s.Drain(context.Background()) }()
	until(t, "drain has begun", r.s.draining.Load)
	if c, err := net.Dial("tcp", r.addr); err == nil {
		wrapClient(t, c).closed(5 * time.Second)
	}
	_ = idle.Close()
	close(release)
	if got := busy.answer("GET"); got != "200 ok close" {
		t.Error(got)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	busy.closed(5 * time.Second)
}

func TestDrainClosesIdle(t *testing.T) {
	r := newRig(t, upstream(t, echo))
	addr := r.serveTLS()
	plain, secure := dialClient(t, r.addr), wrapClient(t, dialTLS(t, addr, "http/1.1"))
	for _, c := range []*client{plain, secure} {
		c.send(get)
		_ = c.answer("GET")
	}
	if err := r.s.Drain(context.Background()); err != nil {
		t.Error(err)
	}
	plain.closed(5 * time.Second)
	secure.closed(5 * time.Second)
}

// At its deadline a drain ends calls wherever they wait, also on an upstream.
func TestDrainDeadline(t *testing.T) {
	arrived, release := make(chan struct{}, 1), make(chan struct{})
	defer close(release)
	up := newRawUpstream(t, func(_ int64, c *client) {
		c.request()
		arrived <- struct{}{}
		<-release
	})
	r := newRig(t, up.addr)
	c := dialClient(t, r.addr)
	c.send(get)
	<-arrived
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if err := r.s.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("drain: %v", err)
	}
	if d := time.Since(start); d > 15*time.Second { // without one it lasts as long as the upstream, for ever
		t.Errorf("drain with a deadline of 50 ms took %v", d)
	}
	if got := c.answer("GET"); !strings.Contains(got, "close") && !strings.Contains(got, "EOF") {
		t.Error(got)
	}
}

// recorder notes the phases of calls and fails where it is told to.
type recorder struct {
	mu   sync.Mutex
	got  []string
	fail map[Phase]bool
	hook func(Phase)
}

func (r *recorder) Record(x *Exchange, ph Phase, status int, out int64) error {
	if r.hook != nil {
		r.hook(ph)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, fmt.Sprintf("%s %d in=%d", [...]string{"whole", "first", "progress", "last"}[ph], status, x.BytesIn))
	if r.fail[ph] {
		return errors.New("disk full")
	}
	return nil
}

func (r *recorder) failAt(phases ...Phase) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = map[Phase]bool{}
	for _, ph := range phases {
		r.fail[ph] = true
	}
}

func (r *recorder) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := strings.Join(r.got, ", ")
	r.got = nil
	return s
}

func TestRecorder(t *testing.T) {
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/large":
			_, _ = w.Write(make([]byte, progressEvery+1<<20))
		case "/end": // its length is not known in advance, however it arrives
			nc, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = fmt.Fprintf(nc, "HTTP/1.0 200 OK\r\n\r\n%s", b)
				_ = nc.Close()
			}
		}
	})
	rec := &recorder{}
	r := newRig(t, up)
	r.rec = rec
	for _, c := range []struct{ send, want string }{
		{get, "whole 200 in=27"},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" + get, "whole 200 in=50, whole 200 in=27"},
		{"POST /end HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + get, "first 200 in=72, last 200 in=72, whole 200 in=27"},
		{"GET /large HTTP/1.1\r\nHost: a\r\n\r\n", "first 200 in=32, progress 200 in=32, last 200 in=32"},
	} {
		cl := dialClient(t, r.addr)
		cl.send(c.send)
		for range strings.Count(c.send, "HTTP/1.1") {
			if got := cl.answer("GET"); !strings.HasPrefix(got, "200 ") || strings.HasSuffix(got, ">") {
				t.Errorf("%.100s", got)
			}
		}
		if got := rec.take(); got != c.want {
			t.Errorf("%.40q: %s, want %s", c.send, got, c.want)
		}
	}
}

// A call that cannot be written down is not answered with what the upstream said;
// saying why it was not is still possible.
func TestUnrecorded(t *testing.T) {
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/flush" {
			w.(http.Flusher).Flush()
		}
		_, _ = io.WriteString(w, "secret")
	})
	rec := &recorder{fail: map[Phase]bool{Whole: true, First: true}}
	var r *rig
	r = newRig(t, up, func(o *Options) {
		o.Resume = nil // it waits for the outcome
		o.Handler = func(x *Exchange) {
			x.Rec = rec
			if string(x.Request.Path.Of(x.In)) == "/own" {
				if err := x.Reply(200, nil, []byte("secret")); err == nil {
					t.Error("recorded")
				}
			} else {
				req := x.AppendForward(append(append(append(x.Out[:0], "GET "...), x.Request.Path.Of(x.In)...), " HTTP/1.1\r\n"...), "a", nil)
				if f := x.Proxy(r.pool, req, nil, 5*time.Second); f != Unrecorded {
					t.Errorf("failure %d", f)
				}
			}
			x.Rec = nil
			_ = x.Reply(503, nil, []byte("sorry"))
		}
	})
	for _, path := range []string{"/", "/flush", "/own"} {
		c := dialClient(t, r.addr)
		c.send("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n")
		if got := c.answer("GET"); got != "503 sorry" {
			t.Errorf("%s: %s", path, got)
		}
	}
}

// The record is there before the last byte can be.
func TestRecordComesFirst(t *testing.T) {
	var c *client
	rec := &recorder{}
	r := newRig(t, upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		_, _ = io.WriteString(w, "end")
	}))
	r.rec = rec
	c = dialClient(t, r.addr)
	early := make(chan string, 4)
	rec.hook = func(ph Phase) {
		if ph == Last || ph == Whole {
			_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			b, _ := io.ReadAll(c.r)
			early <- string(b)
		}
	}
	c.send(get)
	if got := <-early; strings.HasSuffix(got, "0\r\n\r\n") {
		t.Errorf("the end left before it was on record: %q", got)
	}
}
