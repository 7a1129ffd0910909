package counter

import (
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/model"
)

// server runs a real Redis or Valkey on a socket of its own and returns its address.
func server(t *testing.T) (url string, run func() *exec.Cmd) {
	t.Helper()
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		if bin, err = exec.LookPath("valkey-server"); err != nil {
			t.Fatal("neither redis-server nor valkey-server is here, and what hard throttles promise cannot be tested without: apt-get install redis-server")
		}
	}
	dir := t.TempDir()
	sock := filepath.Join(dir, "s")
	return "unix://" + sock, func() *exec.Cmd {
		cmd := exec.Command(bin, "--port", "0", "--unixsocket", sock, "--dir", dir, "--save", "")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		for range 1000 {
			if c, err := net.Dial("unix", sock); err == nil {
				_ = c.Close()
				return cmd
			}
			<-time.After(10 * time.Millisecond)
		}
		t.Fatal("the server does not answer")
		return nil
	}
}

func open(t *testing.T, url string) *Counters {
	t.Helper()
	c, err := Open(url, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// Several nodes on one bucket never let in more than the burst and the rate; what one
// bucket of a call refuses costs the others nothing; while the server is away there is an
// error, and soon after it is back there is none.
func TestCounters(t *testing.T) {
	url, run := server(t)
	early := open(t, url) // before there is a server
	one := []Bucket{{"{a}", model.Throttle{Rate: 200, Burst: 50}}}
	if _, _, err := early.Take(t.Context(), one); err == nil {
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
				refused, after, err := nodes[i%3].Take(t.Context(), one)
				switch {
				case err != nil:
					t.Error(err)
				case refused == Passed:
					admitted.Add(1)
				case after <= 0 || after > 5*time.Millisecond:
					t.Errorf("a token in %v, at 200 a second", after)
				}
			}
		})
	}
	wg.Wait()
	most := 50 + int64(time.Since(began).Seconds()*200) + 1
	if n := admitted.Load(); n < 50 || n > most {
		t.Errorf("%d calls were let in, between 50 and %d may be", n, most)
	}

	wide := Bucket{"{b}", model.Throttle{Rate: 1, Burst: 3}}
	narrow := Bucket{"{b}n", model.Throttle{Rate: 0.001, Burst: 1}}
	got := ""
	for _, call := range [][]Bucket{{narrow, wide}, {narrow, wide}, {narrow, wide}, {wide}, {wide}, {wide}, {{"{b}none", model.Throttle{Rate: 1}}}} {
		refused, after, err := nodes[0].Take(t.Context(), call)
		if err != nil {
			t.Fatal(err)
		}
		got += fmt.Sprint(refused, after > 0, " ")
	}
	if want := "-1 false 0 true 0 true -1 false -1 false 0 true 0 false "; got != want {
		t.Errorf("narrow and wide: %s, want %s", got, want)
	}

	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	for range 3 {
		before := time.Now()
		if _, _, err := nodes[0].Take(t.Context(), one); err == nil || time.Since(before) > 2*timeout {
			t.Errorf("with the server killed: %v after %v", err, time.Since(before))
		}
	}
	run()
	for _, c := range append(nodes, early) {
		for try := 0; ; try++ {
			_, _, err := c.Take(t.Context(), one)
			if err == nil {
				break
			}
			if try == 200 {
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
