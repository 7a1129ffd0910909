//go:build linux

package gateway

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"

	"tollgate/gateway/journal"
)

// smallDisk is a file system of its own; it takes root.
func smallDisk(t *testing.T, options string) string {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("a small disk cannot be mounted: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// On a full disk a call is refused before its upstream is asked; the node says
// that it is not ready; and a node that starts on a full disk still hands in what
// it holds.
func TestFullDisk(t *testing.T) {
	segments := 64 * min(8, runtime.GOMAXPROCS(0))               // MiB, one for each shard
	disk := smallDisk(t, fmt.Sprintf("size=%dm", 2*segments+64)) // and the next ones, once the ballast is gone
	var asked atomic.Int64
	up := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer up.Close()
	r := newRig(t, func(o *Options) { o.DataDir = disk })
	r.deploy("d1", up.Listener.Addr().String(), "GET /x")
	ballast := filepath.Join(disk, "ballast")
	fill(t, ballast)
	served := int64(0)
	for {
		status, _, _ := r.call("GET", "/x", "")
		if status == 503 {
			break
		}
		if served++; served > 10 {
			t.Fatal("the disk never fills")
		}
		if served == 1 { // the rest without the network: records of refused calls
			for shard := range uint32(64) {
				for id := r.g.journal.Begin(shard); !r.g.journal.Low(id); {
					if err := r.g.journal.Append(id, &journal.Record{Status: 403}); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	if asked.Load() != served {
		t.Errorf("the upstream was asked %d times for %d calls served", asked.Load(), served)
	}
	if r.g.Ready() {
		t.Error("ready with no room for calls")
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	until(t, "calls to be served again", func() bool {
		status, _, _ := r.call("GET", "/x", "")
		return status == 200
	})
	until(t, "the node to be ready again", r.g.Ready)
}

// fill takes all the room a file system has.
func fill(t *testing.T, path string) {
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 64<<10)
	for {
		if _, err := f.Write(block); err != nil {
			return
		}
	}
}
