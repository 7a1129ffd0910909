package pool

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"tollgate/migrations/pgtest"
)

// hanging stands before a database; connections of before hang from one moment on, and
// nobody is told.
type hanging struct {
	mu    sync.Mutex
	since int // connections up to this one hang
	n     int
}

func (h *hanging) serve(l net.Listener, target string) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		h.mu.Lock()
		h.n++
		n := h.n
		h.mu.Unlock()
		go func() {
			defer c.Close()
			to, err := net.Dial("tcp", target)
			if err != nil {
				return
			}
			defer to.Close()
			go io.Copy(c, to) //nolint:errcheck // ends with the connections
			buf := make([]byte, 32<<10)
			for {
				m, err := c.Read(buf)
				h.mu.Lock()
				hangs := n <= h.since
				h.mu.Unlock()
				if err != nil {
					return
				}
				if hangs {
					continue
				}
				if _, err := to.Write(buf[:m]); err != nil {
					return
				}
			}
		}()
	}
}

// A connection that hangs is found before it is used, and others are made in its place.
func TestHalfOpen(t *testing.T) {
	u, err := url.Parse(pgtest.New(t).Config().ConnString())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	h := &hanging{}
	go h.serve(l, u.Host)
	u.Host = l.Addr().String()
	p, err := Open(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ask := func(within time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		_, err := p.Exec(ctx, `select 1`)
		return err
	}
	if err := ask(time.Minute); err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	h.since = h.n
	h.mu.Unlock()
	<-time.After(1100 * time.Millisecond) // one that was used within a second is taken to be alive
	began := time.Now()
	if err := ask(time.Minute); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(began); d > 4*answer {
		t.Errorf("it took %v", d)
	}
}
