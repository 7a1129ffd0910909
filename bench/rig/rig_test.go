package rig

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func newRig(t *testing.T) *Rig {
	t.Helper()
	r, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func shell(t *testing.T, r *Rig, cpu int, script string) *Process {
	t.Helper()
	p, err := r.Start(Command{Name: "shell", Args: []string{"/bin/sh", "-c", script}, CPU: cpu})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// said waits for a process's output.
func said(t *testing.T, p *Process, what string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := Poll(ctx, p, what, func() bool { return strings.Contains(p.Tail(), what) }); err != nil {
		t.Fatal(err)
	}
}

func TestStop(t *testing.T) {
	r := newRig(t)
	if err := shell(t, r, AnyCPU, "exec sleep 60").Stop(10 * time.Second); err != nil {
		t.Errorf("a process that SIGTERM ends did not stop cleanly: %v", err)
	}
	p := shell(t, r, AnyCPU, `trap 'echo sorry; exit 3' TERM; echo here; while :; do sleep 0.01; done`)
	said(t, p, "here")
	if err := p.Stop(10 * time.Second); err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "sorry") {
		t.Errorf("an unclean end is reported as %v", err)
	}
	p = shell(t, r, AnyCPU, `trap 'echo no' TERM; echo deaf; while :; do sleep 0.01; done`)
	said(t, p, "deaf")
	if err := p.Stop(50 * time.Millisecond); err == nil || !strings.Contains(err.Error(), "was killed") {
		t.Errorf("a process that does not end is reported as %v", err)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	r, err := New()
	if err != nil {
		t.Fatal(err)
	}
	p := shell(t, r, AnyCPU, `sleep 60 & echo child $!; wait`)
	said(t, p, "child ")
	var child int
	if _, err := fmt.Sscanf(p.Tail(), "child %d\n", &child); err != nil {
		t.Fatal(err)
	}
	closed := false
	r.OnClose(func() {
		_, err := os.Stat(r.Dir)
		closed = err == nil
	})
	r.Close()
	if !closed {
		t.Error("what was to be done on closing was not done, or after the folder was gone")
	}
	select {
	case <-p.Done():
	default:
		t.Error("a process outlived its rig")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := Poll(ctx, nil, "the end of a process's child", func() bool { return ended(child) }); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(r.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the working folder is still there: %v", err)
	}
}

// ended says whether a process is gone, or dead and waiting to be noticed.
func ended(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(b), ") Z ")
}

func TestPollTellsWhy(t *testing.T) {
	r := newRig(t)
	p := shell(t, r, AnyCPU, "echo no such luck; exit 1")
	err := Poll(t.Context(), p, "better times", func() bool { return false })
	if err == nil || !strings.Contains(err.Error(), "better times") || !strings.Contains(err.Error(), "no such luck") {
		t.Errorf("waiting for a process that has ended: %v", err)
	}
}

func TestNoSettingsLeakIn(t *testing.T) {
	t.Setenv("TOLLGATE_REGION", "mars")
	t.Setenv("DATABASE_URL", "postgres://elsewhere")
	t.Setenv("TOLLGATE_PG_BIN", "/pg")
	p := shell(t, newRig(t), AnyCPU, `echo "$TOLLGATE_REGION|$DATABASE_URL|$TOLLGATE_PG_BIN|"; exec sleep 60`)
	said(t, p, "||/pg|")
}

func TestCost(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("costs are read from /proc, which this system does not have")
	}
	cores, err := Cores()
	if err != nil || len(cores) == 0 {
		t.Fatal(cores, err)
	}
	core := cores[len(cores)-1]
	r := newRig(t)
	// A child that works inside a shell that waits: both belong to the family.
	p := shell(t, r, core, `sh -c 'while :; do :; done' & wait`)
	before, err := Busy(core)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var pids []int
	err = Poll(ctx, p, "processor time", func() bool {
		if pids, err = Family(p.PID); err != nil {
			t.Fatal(err)
		}
		user, system, err := CPU(pids)
		if err != nil {
			t.Fatal(err)
		}
		return len(pids) == 2 && user+system >= 100*time.Millisecond
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(b), fmt.Sprintf("\nCpus_allowed_list:\t%d\n", core)) {
			t.Errorf("process %d is not pinned to core %d", pid, core)
		}
	}
	after, err := Busy(core)
	if err != nil || after-before < 90*time.Millisecond { // two clocks of 10 ms
		t.Errorf("the core was busy for %v while a process worked 100 ms on it, %v", after-before, err)
	}
	if alone, err := Family(p.PID, "sh"); err != nil || !slices.Equal(alone, []int{p.PID}) {
		t.Errorf("without shells the family of %d is %v, %v", p.PID, alone, err)
	}
	if pss, err := PSS(pids); err != nil || pss < 64<<10 || pss > 64<<20 {
		t.Errorf("two shells use %d bytes, %v", pss, err)
	}
}

func TestDocumentAndRequestsAgree(t *testing.T) {
	doc, err := Document("x", "127.0.0.1:1", 3, true)
	if err != nil {
		t.Fatal(err)
	}
	var read struct {
		Paths map[string]map[string]struct{ Security []map[string][]string }
	}
	if err := json.Unmarshal(doc, &read); err != nil {
		t.Fatal(err)
	}
	if len(read.Paths) != 6 {
		t.Errorf("%d paths, want 6", len(read.Paths))
	}
	keys := Keys(50)
	used := map[string]bool{}
	for _, raw := range Requests(100, "abc", 3, keys) {
		q, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
		if err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		var service, id, order int
		path := "/v1/svc%d/items/{id}"
		if n, _ := fmt.Sscanf(q.URL.Path, "/prod/v1/svc%d/items/%d/orders/%d", &service, &id, &order); n == 3 {
			path += "/orders/{oid}"
		} else if n != 2 {
			t.Fatalf("path %q", q.URL.Path)
		}
		if read.Paths[fmt.Sprintf(path, service)]["get"].Security == nil {
			t.Errorf("%s is not in the document, or needs no key", q.URL.Path)
		}
		if key := q.Header.Get("x-api-key"); !slices.Contains(keys, key) {
			t.Errorf("key %q is none of those", key)
		} else {
			used[key] = true
		}
		if q.Host != "abc.execute-api.localhost" {
			t.Errorf("host %q", q.Host)
		}
	}
	if len(used) != len(keys) {
		t.Errorf("%d of %d keys are used", len(used), len(keys))
	}
}
