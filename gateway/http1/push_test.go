package http1

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// pushing is a rig whose handler relays an upstream's answer by Pull and Push, upper
// case, and begins when the head is there.
func pushing(t testing.TB, upstream string) *rig {
	r := &rig{t: t}
	ask := func(x *Exchange) {
		began := false
		f := x.Pull(r.pool, []byte("POST / HTTP/1.1\r\nHost: u\r\nContent-Length: 0\r\n\r\n"), 5*time.Second, 5*time.Second, func() bool {
			began = x.Begin(x.Response.Code, []byte("x-seen: 1\r\n")) == nil
			return began
		}, func(p []byte) bool { return x.Push([]byte(strings.ToUpper(string(p)))) == nil })
		switch {
		case !began:
			_ = x.Reply(503, nil, fmt.Appendf(nil, "failure %d", f))
		case f == None:
			_ = x.Finish()
		default:
			x.Abort()
		}
	}
	r.open(upstream, func(o *Options) {
		o.Handler = func(x *Exchange) {
			x.Rec = nil
			if r.rec != nil {
				x.Rec = r.rec
			}
			if !x.MayBlock() {
				x.Block()
				return
			}
			ask(x)
		}
		if loopsInTests {
			o.Resume = func(x *Exchange, _ Failure) { ask(x) }
		}
	})
	return r
}

func TestPush(t *testing.T) {
	u := newRawUpstream(t, func(_ int64, c *client) {
		for c.request() != nil {
			c.send("HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
			c.send("2\r\nde\r\n0\r\n\r\n")
		}
	})
	r, rec := pushing(t, u.addr), &recorder{}
	r.rec = rec
	cl := dialClient(t, r.addr)
	for _, c := range []struct{ in, method, want, rec string }{
		{get, "GET", "201 ABCDE", "first 201 in=27, last 201 in=27"},
		{"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "HEAD", "201 ", "first 201 in=28, last 201 in=28"},
		{get, "GET", "201 ABCDE", "first 201 in=27, last 201 in=27"},
		{"GET / HTTP/1.0\r\nHost: a\r\n\r\n", "GET", "201 ABCDE close", "first 201 in=27, last 201 in=27"},
	} {
		cl.send(c.in)
		if got := cl.answer(c.method); got != c.want {
			t.Errorf("%q: %s", c.in, got)
		}
		var was string
		until(t, "the call to be recorded", func() bool { was += rec.take(); return strings.Contains(was, "last") })
		if strings.ReplaceAll(was, ", ", "") != strings.ReplaceAll(c.rec, ", ", "") {
			t.Errorf("%q: recorded %s", c.in, was)
		}
	}
	cl.closed(5 * time.Second)
	if n := u.conns.Load(); n != 1 {
		t.Errorf("%d upstream connections", n)
	}
	rec.failAt(First)
	cl = dialClient(t, r.addr)
	cl.send(get)
	if got := cl.answer("GET"); got != "503 failure 5" && !strings.HasPrefix(got, "<") { // the reply is not recorded either, but is sent: it is the first piece
		t.Error(got)
	}
	rec.failAt(Last)
	cl = dialClient(t, r.addr)
	cl.send(get)
	if got := cl.answer("GET"); !strings.HasSuffix(got, ">") {
		t.Errorf("looks complete: %s", got)
	}
	rec.failAt()
	for name, base := range map[string]string{"https": "https://" + r.serveTLS(), "http": "http://" + r.addr} {
		res, err := h2Client(t, name == "http").Get(base + "/")
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		if string(b) != "ABCDE" || err != nil || res.StatusCode != 201 || res.Header.Get("X-Seen") != "1" || res.ProtoMajor != 2 {
			t.Errorf("%s: %d %s %v", name, res.StatusCode, b, err)
		}
	}
}

// An answer that breaks off does not look whole.
func TestPushAborts(t *testing.T) {
	u := newRawUpstream(t, func(_ int64, c *client) {
		c.request()
		c.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
	})
	r := pushing(t, u.addr)
	for _, version := range []string{"1.1", "1.0"} {
		c := dialClient(t, r.addr)
		c.send("GET / HTTP/" + version + "\r\nHost: a\r\n\r\n")
		if got := c.answer("GET"); !strings.HasSuffix(got, ">") {
			t.Errorf("HTTP/%s: looks complete: %s", version, got)
		}
	}
	res, err := h2Client(t, true).Get("http://" + r.addr)
	if err == nil {
		_, err = io.ReadAll(res.Body)
	}
	if err == nil {
		t.Error("HTTP/2: looks complete")
	}
	until(t, "no upstream connection is left", func() bool { return r.pool.Open.Load() == 0 })
}

// Pieces reach the client as they come, and the client's pace is the upstream's.
func TestPushPace(t *testing.T) {
	var wrote atomic.Int64
	next := make(chan struct{})
	up := upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "a")
		_ = http.NewResponseController(w).Flush()
		<-next
		for range 1 << 12 {
			n, err := w.Write(make([]byte, 16<<10))
			if wrote.Add(int64(n)); err != nil {
				return
			}
		}
	})
	r := pushing(t, up)
	res, err := http.Get("http://" + r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var one [1]byte
	if _, err := io.ReadFull(res.Body, one[:]); err != nil || one[0] != 'A' {
		t.Fatalf("%q %v before the rest was there", one, err)
	}
	close(next)
	last := int64(-1)
	until(t, "the upstream to wait for the client", func() bool {
		<-time.After(50 * time.Millisecond)
		now := wrote.Load()
		still := now == last && now > 0
		last = now
		return still
	})
	if last >= 64<<20 {
		t.Errorf("%d bytes were taken for a client that reads none", last)
	}
	n, err := io.Copy(io.Discard, res.Body)
	if n != 64<<20 || err != nil && !errors.Is(err, io.EOF) {
		t.Errorf("%d bytes, %v", n, err)
	}
}
