package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tollgate/bench/rig"
)

// The program runs as a process of its own, as in a benchmark: its loop keeps a
// thread from the runtime for good, which no test process could live with.
func start(t *testing.T, more ...string) string {
	t.Helper()
	r, err := rig.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	addr, err := r.StartUpstream(t.Context(), rig.AnyCPU, more...)
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

func TestRequestsInAnyPieces(t *testing.T) {
	addr := start(t)
	get := "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
	post := "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\nGET /body HTTP/1.1\r\n\r\nGET /body HTTP/1\r\n"
	large := fmt.Sprintf("PUT /a HTTP/1.1\r\nHost: x\r\ncontent-length: %d\r\n\r\n%s", 300_000, strings.Repeat("\r\n\r\n", 75_000))
	for name, c := range map[string]struct {
		send    string
		piece   int
		answers int
	}{
		"one":               {get, 1 << 20, 1},
		"byte by byte":      {get + get, 1, 2},
		"pipelined":         {strings.Repeat(get, 500), 1 << 20, 500},
		"body is skipped":   {post + get, 1 << 20, 2},
		"body in pieces":    {post + get + post, 7, 3},
		"large body, split": {large + get, 10_000, 2},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			go func() {
				for s := c.send; s != ""; {
					n := min(c.piece, len(s))
					if _, err := io.WriteString(conn, s[:n]); err != nil {
						return // the reading side reports it
					}
					s = s[n:]
				}
				_ = conn.(*net.TCPConn).CloseWrite()
			}()
			answers, rd := 0, bufio.NewReader(conn)
			for {
				if _, err := rd.Peek(1); err == io.EOF {
					break
				}
				res, err := http.ReadResponse(rd, nil)
				if err != nil {
					t.Fatalf("answer %d: %v", answers+1, err)
				}
				b, err := io.ReadAll(res.Body)
				if err != nil || res.StatusCode != 200 || len(b) != 128 {
					t.Fatalf("answer %d: status %d, %d bytes, %v", answers+1, res.StatusCode, len(b), err)
				}
				answers++
			}
			if answers != c.answers {
				t.Errorf("%d answers, want %d", answers, c.answers)
			}
		})
	}
}

// A POST is answered with its own document, where there is one.
func TestPosted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "document")
	if err := os.WriteFile(file, []byte("posted"), 0o644); err != nil {
		t.Fatal(err)
	}
	addr := start(t, "-post", file)
	for verb, want := range map[string]int{"GET": 128, "POST": 6, "PUT": 128} {
		req, err := http.NewRequest(verb, "http://"+addr+"/a", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || len(b) != want {
			t.Errorf("%s: %d bytes, %v", verb, len(b), err)
		}
	}
}

func TestParse(t *testing.T) {
	for in, want := range map[string]request{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n":                             {size: 27},
		"HEAD / HTTP/1.1\r\nConnection: Close\r\n\r\n":                  {size: 38, head: true, close: true},
		"POST / HTTP/1.1\r\nCONTENT-LENGTH:  12 \r\n\r\nxx":             {size: 41, body: 12, post: true},
		"POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\n":                 {size: 39, bad: true, post: true},
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n":         {size: 47, bad: true, post: true},
		"GET / HTTP/1.1\r\nX: Content-Length: 5\r\nCookie: a\r\n\r\nG ": {size: 51},
	} {
		got, ok := parse([]byte(in))
		if !ok || got != want {
			t.Errorf("%q: %+v %v, want %+v", in, got, ok, want)
		}
		if _, ok := parse([]byte(in[:want.size-1])); ok {
			t.Errorf("%q without its last byte counts as whole", in)
		}
	}
}
