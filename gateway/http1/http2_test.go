package http1

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// h2Client speaks HTTP/2 only: over TLS by ALPN, or in the clear by prior knowledge.
func h2Client(t *testing.T, clear bool) *http.Client {
	edge.Add(1)
	p := new(http.Protocols)
	p.SetHTTP2(!clear)
	p.SetUnencryptedHTTP2(clear)
	tr := &http.Transport{Protocols: p, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

func TestHTTP2(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/big":
			_, _ = w.Write(big)
		case "/trailer":
			w.Header().Set("Trailer", "X-Sum")
			_, _ = io.WriteString(w, "a")
			w.Header().Set("X-Sum", "1")
		case "/proto":
			_, _ = io.WriteString(w, r.Header.Get("X-Forwarded-Proto")+r.Header.Get("Connection"))
		case "/dies":
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "a")
		default:
			echo(w, r)
		}
	})
	r := newRig(t, up)
	r.rec = &recorder{}
	for name, base := range map[string]string{"https": "https://" + r.serveTLS(), "http": "http://" + r.addr} {
		hc := h2Client(t, name == "http")
		call := func(method, path string, body io.Reader, trailer http.Header) string {
			req, err := http.NewRequest(method, base+path, body)
			if err != nil {
				t.Fatal(err)
			}
			req.Trailer = trailer
			resp, err := hc.Do(req)
			if err != nil {
				return "<" + err.Error() + ">"
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if resp.ProtoMajor != 2 {
				t.Errorf("answered by %s", resp.Proto)
			}
			s := fmt.Sprintf("%d %s", resp.StatusCode, b)
			for k, v := range resp.Trailer {
				s += fmt.Sprintf(" %s=%s", k, v[0])
			}
			if err != nil {
				s += " <" + err.Error() + ">"
			}
			return s
		}
		for _, c := range []struct {
			method, path string
			body         io.Reader
			trailer      http.Header
			want         string
		}{
			{"GET", "/a", nil, nil, `200 GET /a ""`},
			{"HEAD", "/a", nil, nil, `200 `},
			{"POST", "/a", strings.NewReader("abc"), nil, `200 POST /a "abc"`},
			{"POST", "/a", io.MultiReader(strings.NewReader("abc")), nil, `200 POST /a "abc"`},
			{"POST", "/a", io.MultiReader(strings.NewReader("abc")), http.Header{"X-T": {"1"}}, `200 POST /a "abc" X-T=1`},
			// The trailer of the call before is not this one's.
			{"POST", "/a", io.MultiReader(strings.NewReader("abc")), nil, `200 POST /a "abc"`},
			{"GET", "/big", nil, nil, "200 " + string(big)},
			{"GET", "/trailer", nil, nil, "200 a X-Sum=1"},
			{"GET", "/proto", nil, nil, "200 " + name},
			{"POST", "/a", bytes.NewReader(make([]byte, 11<<20)), nil, "413 "},
		} {
			if got := call(c.method, c.path, c.body, c.trailer); got != c.want {
				t.Errorf("%s %s %s: got %.100q, want %.100q", name, c.method, c.path, got, c.want)
			}
		}
		if got := call("GET", "/dies", nil, nil); !strings.HasSuffix(got, ">") {
			t.Errorf("%s: an answer cut short looks complete: %s", name, got)
		}
		if got := call("GET", "/a#b", nil, nil); strings.Contains(got, "#") {
			t.Error(got)
		}
		until(t, "all connections are gone", func() bool {
			hc.CloseIdleConnections() // a refused upload may still be ending
			return r.s.Conns() == 0
		})
	}
}

// A client that resets its stream in the middle of an answer frees what it held.
func TestHTTP2Reset(t *testing.T) {
	gone := make(chan struct{})
	u := newRawUpstream(t, func(_ int64, c *client) {
		defer close(gone)
		c.request()
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
		_, _ = io.Copy(c, zeros{})
	})
	r := newRig(t, u.addr)
	hc := h2Client(t, true)
	ctx, cancel := context.WithCancel(context.Background())
	req, _ := http.NewRequestWithContext(ctx, "GET", "http://"+r.addr+"/", nil)
	resp, err := hc.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadFull(resp.Body, make([]byte, 1000))
	cancel()
	_ = resp.Body.Close()
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Error("the upstream is still being read for a stream that is gone")
	}
}

func TestHTTP2Drain(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	r := newRig(t, upstream(t, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		_, _ = io.WriteString(w, "ok")
	}))
	hc := h2Client(t, true)
	got := make(chan string)
	go func() {
		resp, err := hc.Get("http://" + r.addr)
		if err != nil {
			got <- err.Error()
			return
		}
		b, err := io.ReadAll(resp.Body)
		got <- fmt.Sprint(string(b), err)
	}()
	<-arrived
	done := make(chan error)
	go func() { done <- r.s.Drain(context.Background()) }()
	until(t, "drain has begun", r.s.draining.Load)
	close(release)
	if s := <-got; s != "ok<nil>" {
		t.Error(s)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", r.addr); err == nil {
		t.Error("still accepting")
	}
}

// The preface is for the start of a connection: later it is a bad request.
func TestPrefaceOutOfPlace(t *testing.T) {
	r := newRig(t, upstream(t, echo))
	c := dialClient(t, r.addr)
	c.send(get + clientPreface)
	if got := c.answer("GET") + "|" + c.answer("GET"); !strings.HasPrefix(got, `200 GET / ""|505 `) {
		t.Error(got)
	}
	c.closed(5 * time.Second)
	c = wrapClient(t, dialTLS(t, r.serveTLS(), "http/1.1"))
	c.send(clientPreface)
	if got := c.answer("GET"); !strings.HasPrefix(got, "505 ") {
		t.Error(got)
	}
}
