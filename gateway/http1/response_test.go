package http1

import (
	"fmt"
	"strings"
	"testing"
)

func TestResponseRefused(t *testing.T) {
	var r Response
	for _, c := range []struct {
		name string
		head []byte
	}{
		{"HTTP/0.9", head("hello\n")},
		{"HTTP/2", head("HTTP/2.0 200 OK\n")},
		{"HTTP/1.2", head("HTTP/1.2 200 OK\n")},
		{"no status", head("HTTP/1.1 \n")},
		{"two digits", head("HTTP/1.1 20 OK\n")},
		{"four digits", head("HTTP/1.1 2000 OK\n")},
		{"signed status", head("HTTP/1.1 +20 OK\n")},
		{"status below 100", head("HTTP/1.1 099 OK\n")},
		{"two blanks", head("HTTP/1.1  200 OK\n")},
		{"blank first", head(" HTTP/1.1 200 OK\n")},
		{"control in the reason", head("HTTP/1.1 200 O\x01K\n")},
		{"bare CR in the reason", head("HTTP/1.1 200 O\rK\n")},
		{"bare LF", []byte("HTTP/1.1 200 OK\nA: b\r\n\r\n")},
		{"bare LF at the end", []byte("HTTP/1.1 200 OK\r\nA: b\r\n\n")},
		{"folded line", head("HTTP/1.1 200 OK\nA: b\n c\n")},
		{"blank before the colon", head("HTTP/1.1 200 OK\nA : b\n")},
		{"no colon", head("HTTP/1.1 200 OK\nA\n")},
		{"control in a name", head("HTTP/1.1 200 OK\n\x01A: b\n")},
		{"NUL in a value", head("HTTP/1.1 200 OK\nA: b\x00\n")},
		{"bare CR in a value", head("HTTP/1.1 200 OK\nA: b\rSet-Cookie: x\n")},
		{"two lengths", head("HTTP/1.1 200 OK\nContent-Length: 1\nContent-Length: 2\n")},
		{"two equal lengths", head("HTTP/1.1 200 OK\nContent-Length: 1\nContent-Length: 1\n")},
		{"length list", head("HTTP/1.1 200 OK\nContent-Length: 1,1\n")},
		{"signed length", head("HTTP/1.1 200 OK\nContent-Length: +1\n")},
		{"empty length", head("HTTP/1.1 200 OK\nContent-Length:\n")},
		{"huge length", head("HTTP/1.1 200 OK\nContent-Length: 99999999999999999999\n")},
		{"length and chunked", head("HTTP/1.1 200 OK\nContent-Length: 1\nTransfer-Encoding: chunked\n")},
		{"chunked twice", head("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked\n")},
		{"chunked list", head("HTTP/1.1 200 OK\nTransfer-Encoding: chunked, chunked\n")},
		{"other coding", head("HTTP/1.1 200 OK\nTransfer-Encoding: gzip, chunked\n")},
		{"chunked by HTTP/1.0", head("HTTP/1.0 200 OK\nTransfer-Encoding: chunked\n")},
		{"too large", head("HTTP/1.1 200 OK\nA: " + strings.Repeat("b", 2000) + "\n")},
		{"too large and unfinished", []byte("HTTP/1.1 200 OK\r\nA: " + strings.Repeat("b", 2000))},
		{"too many fields", head("HTTP/1.1 200 OK\n" + strings.Repeat("a: b\n", MaxFields+1))},
	} {
		if e := r.Parse(c.head, 2000); e == nil || e == ErrMore {
			t.Errorf("%s: %v, want a refusal", c.name, e)
		}
	}
}

func TestResponseAccepted(t *testing.T) {
	var r Response
	for _, c := range []struct{ head, want string }{
		{"HTTP/1.1 200 OK\n", "200 length=-1"},
		{"HTTP/1.1 200\n", "200 length=-1"},
		{"HTTP/1.1 599 \n", "599 length=-1"},
		{"HTTP/1.0 200 OK\nContent-Length: 3\n", "200 length=3 close remapped"},
		{"HTTP/1.1 200 d\xe9j\xe0 vu\nTransfer-Encoding: CHUNKED\nConnection: close\n", "200 length=-1 chunked close remapped"},
		{"HTTP/1.1 200 OK\nConnection: X, keep-alive\nKeep-Alive: 5\nX: 1\nY: 2\nDate: now\n", "200 length=-1 remapped [Y=2]"},
		{"HTTP/1.1 200 OK\nProxy-Connection: a\nUpgrade: b\nTrailer: c\nProxy-Authenticate: d\nx-amzn-RequestId: e\nSet-Cookie: f\nSet-Cookie: g\n", "200 length=-1 [Set-Cookie=f] [Set-Cookie=g]"},
	} {
		buf := head(c.head)
		if e := r.Parse(buf, 2000); e != nil {
			t.Errorf("%q: %v", c.head, e)
			continue
		}
		var s strings.Builder
		fmt.Fprintf(&s, "%d length=%d", r.Code, r.ContentLength)
		for _, f := range []struct {
			is   bool
			name string
		}{{r.Chunked, "chunked"}, {r.Close, "close"}, {r.Remapped, "remapped"}} {
			if f.is {
				s.WriteString(" " + f.name)
			}
		}
		for i := range r.Fields[:r.N] {
			if f := &r.Fields[i]; !f.Hop {
				fmt.Fprintf(&s, " [%s=%s]", f.Name.Of(buf), f.Value.Of(buf))
			}
		}
		if s.String() != c.want || r.HeadLen != len(buf) {
			t.Errorf("%q:\ngot  %s\nwant %s", c.head, s.String(), c.want)
		}
		for n := range buf {
			if e := r.Parse(buf[:n], 2000); e != ErrMore {
				t.Errorf("%q: first %d bytes: %v, want ErrMore", c.head, n, e)
				break
			}
		}
	}
}

func BenchmarkParseResponse(b *testing.B) {
	buf := head("HTTP/1.1 200 OK\nServer: nginx\nDate: Mon, 02 Jan 2006 15:04:05 GMT\nContent-Type: application/json; charset=utf-8\nContent-Length: 1024\nConnection: keep-alive\nCache-Control: no-cache, no-store, must-revalidate\n")
	var r Response
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if e := r.Parse(buf, upstreamHeadMax); e != nil {
			b.Fatal(e)
		}
	}
}
