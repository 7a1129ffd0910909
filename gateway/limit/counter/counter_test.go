package counter

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/gateway/limit/counter/countertest"
	"tollgate/model"
)

// long is what a server has for an answer on a machine that does other things, too.
const long = 20 * time.Second

func open(t *testing.T, url string) *Counters {
	t.Helper()
	c, err := Open(url, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	c.Within(long)
	return c
}

// Several nodes on one bucket never let in more than the burst and the rate; what one
// bucket of a call refuses costs the others nothing; while the server is away there is an
// error, and soon after it is back there is none.
func TestCounters(t *testing.T) {
	url, run := countertest.Server(t)
	early := open(t, url) // before there is a server
	one := []Bucket{{"{a}", model.Throttle{Rate: 200, Burst: 50}}}
	if _, err := early.Take(t.Context(), one); err == nil {
		t.Error("a token from a server that is not there")
	}
	cmd := run()
	nodes := []*Counters{open(t, url), open(t, url), open(t, url)}
	var admitted atomic.Int64
	began := time.Now()
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			for range 150 {
				a, err := nodes[i%3].Take(t.Context(), one)
				switch {
				case err != nil:
					t.Error(err)
				case a.Refused == Passed:
					admitted.Add(1)
				case a.After <= 0 || a.After > 5*time.Millisecond:
					t.Errorf("a token in %v, at 200 a second", a.After)
				}
			}
		})
	}
	wg.Wait()
	most := 50 + int64(time.Since(began).Seconds()*200) + 1
	if n := admitted.Load(); n < 50 || n > most {
		t.Errorf("%d calls were let in, between 50 and %d may be", n, most)
	}

	wide := Bucket{"{b}", model.Throttle{Rate: 0.001, Burst: 3}}
	narrow := Bucket{"{b}n", model.Throttle{Rate: 0.001, Burst: 1}}
	got := ""
	for _, call := range [][]Bucket{{narrow, wide}, {narrow, wide}, {narrow, wide}, {wide}, {wide}, {wide}, {{"{b}none", model.Throttle{Rate: 1}}}} {
		a, err := nodes[0].Take(t.Context(), call)
		if err != nil {
			t.Fatal(err)
		}
		got += fmt.Sprint(a.Refused, a.After > 0, a.Left, " ")
	}
	if want := "-1 false 2 0 true 0 0 true 0 -1 false 1 -1 false 0 0 true 0 0 false 0 "; got != want {
		t.Errorf("narrow and wide: %s, want %s", got, want)
	}

	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	for range 3 {
		before := time.Now()
		if _, err := nodes[0].Take(t.Context(), one); err == nil || time.Since(before) > long/2 {
			t.Errorf("with the server killed: %v after %v", err, time.Since(before))
		}
	}
	run()
	for _, c := range append(nodes, early) {
		for try := 0; ; try++ {
			_, err := c.Take(t.Context(), one)
			if err == nil {
				break
			}
			if try == 2000 {
				t.Fatalf("the server is back, but: %v", err)
			}
			<-time.After(25 * time.Millisecond)
		}
	}
}

func TestCheck(t *testing.T) {
	for url, good := range map[string]bool{"redis://127.0.0.1:6379": true, "rediss://u:p@h:6379/1": true, "http://h": false, "redis://h:6379/x": false} {
		if err := Check(url); (err == nil) != good {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// A tenant's own user reaches the buckets of its subscriptions, and nothing else of the server; a
// server that forgot who that is lets nobody through until it is told again.
func TestShare(t *testing.T) {
	url, run := countertest.Server(t)
	cmd := run()
	share := func(user, password string, tenant uint32) string {
		t.Helper()
		address, err := Share(t.Context(), url, user, password, tenant)
		if err != nil {
			t.Fatal(err)
		}
		return address
	}
	address := share("acme", "one", 7)
	mine := open(t, address)
	buckets := func(tenant uint32) []Bucket {
		return []Bucket{{Name(tenant, 1) + ":api/dev", model.Throttle{Rate: 1000, Burst: 10}}, {Name(tenant, 1), model.Throttle{Rate: 1000, Burst: 10}}}
	}
	if a, err := mine.Take(t.Context(), buckets(7)); err != nil || a.Refused != Passed {
		t.Errorf("its own bucket: %+v, %v", a, err)
	}
	if again := share("acme", "one", 7); again != address {
		t.Errorf("shared again as %s, not %s", again, address)
	}
	all := open(t, url)
	if a, err := all.Take(t.Context(), buckets(7)); err != nil || a.Left != 9 && a.Left != 8 {
		t.Errorf("it is not the bucket of the others: %+v, %v", a, err)
	}
	client := *mine.client.Load()
	for _, words := range [][]string{{"GET", Name(70, 1)}, {"GET", Name(8, 1)}, {"SET", "other", "1"}, {"KEYS", "*"}, {"SCAN", "0"}, {"EVAL", "return 1", "0"}, {"FLUSHALL"}, {"CONFIG", "GET", "*"},
		{"ACL", "LIST"}, {"CLIENT", "LIST"}, {"SCRIPT", "FLUSH"}, {"MONITOR"}} {
		if err := client.Do(t.Context(), client.B().Arbitrary(words...).Build()).Error(); err == nil || !strings.Contains(err.Error(), "NOPERM") {
			t.Errorf("%v: %v", words, err)
		}
	}
	if _, err := mine.Take(t.Context(), buckets(8)); err == nil {
		t.Error("a token of another tenant's bucket")
	}

	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	run()
	late := open(t, address)
	if _, err := late.Take(t.Context(), buckets(7)); err == nil {
		t.Error("a token from a server that does not know who asks")
	}
	share("acme", "one", 7)
	for {
		if a, err := late.Take(t.Context(), buckets(7)); err == nil && a.Refused == Passed {
			break
		} else if t.Context().Err() != nil {
			t.Fatal(err)
		}
		<-time.After(rest)
	}
	if _, err := Share(t.Context(), address, "other", "x", 8); model.KindOf(err) != model.Unavailable {
		t.Errorf("a user made by who may not: %v", err)
	}
}
