package http1

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// rig is a server that proxies every call to one upstream.
type rig struct {
	t    testing.TB
	s    *Server
	addr string
	up   *Upstreams
	pool *Pool
	rec  Recorder
}

func testOptions() Options {
	return Options{
		NewApp: func() any { return nil },
		Refused: func(x *Exchange, e *ParseError) {
			_ = x.Reply(e.Status, nil, []byte(e.Reason))
		},
		Limits:  Limits{Target: 10240, Headers: 10240},
		MaxBody: 10 << 20, MaxConns: 1000,
		HeadTimeout: 5 * time.Second, IdleTimeout: 30 * time.Second, BodyTimeout: 5 * time.Second,
		Log: slog.New(slog.DiscardHandler),
	}
}

func newRig(t testing.TB, upstream string, change ...func(*Options)) *rig {
	t.Helper()
	r := &rig{t: t}
	r.open(upstream, change...)
	return r
}

func (r *rig) open(upstream string, change ...func(*Options)) {
	r.t.Helper()
	o := testOptions()
	o.Handler = func(x *Exchange) {
		x.Rec = r.rec
		req := append(x.Out[:0], x.Request.Method.Of(x.In)...)
		req = append(req, ' ')
		req = append(req, x.Request.Path.Of(x.In)...)
		req = append(req, " HTTP/1.1\r\n"...)
		req = x.AppendForward(req, "upstream.test", nil)
		r.finish(x, x.Proxy(r.pool, req, []byte("x-seen: 1\r\n"), 5*time.Second))
	}
	if loopsInTests {
		o.Resume = r.finish
	}
	for _, f := range change {
		f(&o)
	}
	h := o.Handler
	o.Handler = func(x *Exchange) {
		edge.Load()
		h(x)
	}
	r.start(o, upstream)
}

// finish ends a call with what came of its upstream.
func (r *rig) finish(x *Exchange, f Failure) {
	switch f {
	case None, Broken, Parked:
	case TooLarge:
		_ = x.Reply(413, nil, nil)
	case BadBody:
		_ = x.Reply(400, nil, nil)
	default:
		_ = x.Reply(504, nil, fmt.Appendf(nil, "failure %d", f))
	}
}

func (r *rig) start(o Options, upstream string) {
	t := r.t
	t.Helper()
	r.s = NewServer(o)
	var d net.Dialer
	r.up = NewUpstreams(r.s, d.DialContext)
	r.pool = r.up.Pool(PoolKey{Address: upstream}, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().String()
	go func() { _ = r.s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		r.up.Keep(nil)
		_ = r.s.Drain(ctx)
	})
}

// raw sends bytes and reads until the server closes or n answers were read.
func (r *rig) raw(send string, n int) string {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, send); err != nil {
		r.t.Fatal(err)
	}
	br := bufio.NewReader(c)
	var out strings.Builder
	for range n {
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			fmt.Fprintf(&out, "<%v>", err)
			break
		}
		b, err := io.ReadAll(resp.Body)
		fmt.Fprintf(&out, "%d %s", resp.StatusCode, b)
		if err != nil {
			fmt.Fprintf(&out, "<%v>", err)
		}
		out.WriteByte('|')
	}
	return out.String()
}

func upstream(t testing.TB, h http.HandlerFunc) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func TestProxyPlain(t *testing.T) {
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %d %v", r.Method, r.URL.Path, r.Header.Get("X-Forwarded-For"), len(b), err)
	})
	r := newRig(t, up)
	got := r.raw("GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 4)
	want := "200 GET /a 127.0.0.1 0 <nil>|200 POST /b 127.0.0.1 3 <nil>|200 GET /c 127.0.0.1 0 <nil>|<unexpected EOF>"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestProxyLargeAndChunked(t *testing.T) {
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/flush" {
			_, _ = io.WriteString(w, "one")
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, "two")
			return
		}
		b, _ := io.ReadAll(r.Body) // whole first: net/http's server does not read and write at once
		_, _ = w.Write(b)
	})
	r := newRig(t, up)
	big := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	for name, send := range map[string]string{
		"length":  fmt.Sprintf("POST /e HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(big), big),
		"chunked": fmt.Sprintf("POST /e HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(big), big),
		"expect":  fmt.Sprintf("POST /e HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(big), big),
	} {
		got := r.raw(send+"GET /flush HTTP/1.1\r\nHost: x\r\n\r\n", 2)
		if want := "200 " + big + "|200 onetwo|"; got != want {
			t.Errorf("%s: got %d bytes %.80q…, want %d", name, len(got), got, len(want))
		}
	}
}
