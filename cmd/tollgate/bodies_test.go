package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// A body that stalls ends its connection, read or not; one that keeps coming, and an
// answer that waits for news, outlast the patience.
func TestBodiesInTime(t *testing.T) {
	t.Parallel()
	const patience = time.Second // for what comes at once, too, on a machine that does other things
	const early = 10 * bodyPace  // which gives the slow body ten seconds more
	const large = early + 10
	news, first, waits := make(chan bool), make(chan bool), make(chan bool)
	mux := http.NewServeMux()
	mux.HandleFunc("/unread", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	mux.HandleFunc("/read", func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); errors.Is(err, os.ErrDeadlineExceeded) {
			w.WriteHeader(http.StatusRequestTimeout)
		}
	})
	mux.HandleFunc("/large", func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadFull(r.Body, make([]byte, early)); err != nil {
			t.Error(err)
		}
		close(first)
		if n, err := io.Copy(io.Discard, r.Body); n != 10 || err != nil {
			t.Errorf("the end of a slow body: %d bytes, %v", n, err)
		}
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(waits)
		select {
		case <-news:
			fmt.Fprint(w, "news")
		case <-r.Context().Done():
			t.Error("whoever waits for news was cut off")
		}
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	server := controlServer(t.Context(), mux, patience)
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	open := func(path string, length int, body string) (net.Conn, *bufio.Reader) {
		t.Helper()
		c, err := net.Dial("tcp", l.Addr().String())
		must(t, err)
		t.Cleanup(func() { _ = c.Close() })
		must(t, c.SetDeadline(time.Now().Add(20*time.Second)))
		_, err = fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", path, length, body)
		must(t, err)
		return c, bufio.NewReader(c)
	}
	answer := func(r *bufio.Reader, status int, body string) {
		t.Helper()
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Errorf("no answer: %v", err)
			return
		}
		defer func() { _ = res.Body.Close() }()
		if b, err := io.ReadAll(res.Body); res.StatusCode != status || string(b) != body || err != nil {
			t.Errorf("%d %q, %v", res.StatusCode, b, err)
		}
	}

	poller, events := open("/events", 2, "{}")
	sender, slow := open("/large", large, strings.Repeat("x", early))
	<-waits
	<-first
	for path, status := range map[string]int{"/read": 408, "/unread": 403} { // asked later than those above
		_, r := open(path, 10, "x")
		answer(r, status, "")
		if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: the connection is still open: %v", path, err)
		}
	}
	_, err = sender.Write([]byte("the rest.."))
	must(t, err)
	answer(slow, 200, "")
	close(news)
	answer(events, 200, "news")
	// A connection lives on after a body that came in time.
	_, err = poller.Write([]byte("POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"))
	must(t, err)
	answer(events, 200, "")
}
