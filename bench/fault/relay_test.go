package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"tollgate/gateway/journal"
)

// control is a control plane that only counts what arrives.
type control struct {
	mu      sync.Mutex
	batches map[string]int
	torn    int
}

func (c *control) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	b, err := io.ReadAll(q.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case q.URL.Path != usagePath:
		fmt.Fprintf(w, "%s %s", q.Method, q.URL.Path)
	case q.Header.Get("Authorization") != "Bearer t":
		w.WriteHeader(http.StatusUnauthorized)
	case err != nil:
		c.torn++
	default:
		c.batches[string(b)]++
		fmt.Fprint(w, "got it")
	}
}

func TestRelay(t *testing.T) {
	c := &control{batches: map[string]int{}}
	target := httptest.NewServer(c)
	defer target.Close()
	r, err := startRelay([]string{strings.TrimPrefix(target.URL, "http://")}, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	post := func(body string) (string, error) {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.addr+usagePath, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Authorization", "Bearer t")
		// Go's client repeats no POST by itself.
		res, err := http.DefaultClient.Do(q)
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		return fmt.Sprint(res.StatusCode, " ", string(b)), err
	}
	const n = 300
	cuts := 0
	for i := range n {
		for {
			got, err := post(fmt.Sprint("batch ", i))
			if err == nil {
				if got != "200 got it" {
					t.Fatalf("batch %d is answered with %q", i, got)
				}
				break
			}
			cuts++
		}
	}
	c.mu.Lock()
	many := 0
	for i := range n {
		if c.batches[fmt.Sprint("batch ", i)] > 1 {
			many++
		}
	}
	if len(c.batches) != n || many < n/4 || cuts < n/4 {
		t.Errorf("%d of %d batches arrived, %d of them again, %d deliveries were cut", len(c.batches), n, many, cuts)
	}
	c.mu.Unlock()
	for _, what := range []string{once, twice, atOnce, swallowed, refused, torn} {
		if r.counts[what] < n/20 {
			t.Errorf("%q happened %d times", what, r.counts[what])
		}
	}
	res, err := http.Get("http://" + r.addr + "/feed/v1/changes")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err != nil || string(b) != "GET /feed/v1/changes" {
		t.Errorf("what is no batch is answered with %q, %v", b, err)
	}
	r.rest()
	for range 100 {
		if _, err := post("last"); err != nil {
			t.Fatalf("a batch is mistreated after the accidents: %v", err)
		}
	}
	if err := r.again(t.Context()); err != nil || r.counts[redelivery] != 50 {
		t.Errorf("%d old batches were delivered again, %v", r.counts[redelivery], err)
	}
}

// A gateway that cuts a connection in each of the places where it may die.
func TestClientNotesWholeAnswersOnly(t *testing.T) {
	var mu sync.Mutex
	n := 0
	whole := map[journal.CallID]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		n++
		id := journal.CallID{14: byte(n >> 8), 15: byte(n)}
		answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nX-Amzn-RequestId: %s\r\nContent-Length: 10\r\n\r\n0123456789", id)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		if i := n % (len(answer) + 1); i < len(answer) {
			answer = answer[:i]
		} else {
			whole[id] = true
		}
		_, _ = io.Copy(conn, bytes.NewReader([]byte(answer)))
		conn.Close()
	}))
	defer server.Close()
	get := [][]byte{[]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")}
	l := &load{targets: []*target{{addr: strings.TrimPrefix(server.URL, "http://")}}, requests: get, scarce: get, hard: get}
	enough := make(chan struct{})
	var end sync.Once
	l.fail = func(err error) { t.Error(err); end.Do(func() { close(enough) }) }
	l.start(t.Context(), 2)
	go func() {
		defer end.Do(func() { close(enough) })
		for l.served.Load() < 5 && t.Context().Err() == nil {
			pause(t.Context(), 1e6)
		}
	}()
	<-enough
	got, _, statuses, broken := l.finish()
	mu.Lock()
	defer mu.Unlock()
	for _, id := range got {
		if !whole[id] {
			t.Errorf("the answer of call %s was cut, and is noted", id)
		}
		delete(whole, id)
	}
	if len(whole) > 0 || len(got) < 5 || statuses[200] != int64(len(got)) || broken < 500 {
		t.Errorf("%d answers noted, %v by status, %d cut; not noted: %v", len(got), statuses, broken, whole)
	}
}
