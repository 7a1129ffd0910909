package journal

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"tollgate/model"
)

// A node that starts on a nearly full disk takes smaller segments: it must run to
// hand in what it holds. Where not even those fit, it says where and how much.
func TestOpenOnAFullDisk(t *testing.T) {
	for size, says := range map[string]string{"size=4m": "", "size=128k": "no room in "} {
		dir := t.TempDir()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, size); err != nil {
			t.Skipf("a small disk cannot be mounted: %v", err)
		}
		t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
		j, err := Open(Options{Dir: dir, Shards: 2})
		if says != "" {
			if err == nil || !strings.Contains(err.Error(), says+dir) {
				t.Errorf("%s: %v", size, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", size, err)
		}
		for range 5000 {
			if err := j.Append(j.Begin(0), &Record{Status: 200}); err != nil {
				t.Fatal(err)
			}
		}
		if err := j.Close(t.Context()); err != nil {
			t.Error(err)
		}
		n := 0
		if err := Scan(dir, func(_ model.BootID, _ Record) error { n++; return nil }); err != nil || n != 5000 {
			t.Errorf("%s: %d records, %v", size, n, err)
		}
	}
}

// A disk that has no room for as much as a directory says so, and not that something was
// there before.
func TestOpenWithoutAnyRoom(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=16m,nr_inodes=40"); err != nil {
		t.Skipf("a small disk cannot be mounted: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	j, err := Open(Options{Dir: dir, Shards: 1, SegmentBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	var more []string
	for err == nil {
		more = append(more, filepath.Join(dir, strconv.Itoa(len(more))))
		err = os.WriteFile(more[len(more)-1], nil, 0o600)
	}
	if _, err := Open(Options{Dir: dir, Shards: 1, SegmentBytes: 64 << 10}); err == nil || !strings.Contains(err.Error(), "no room in "+dir) {
		t.Errorf("without any room: %v", err)
	}
	for _, f := range more {
		_ = os.Remove(f)
	}
	if j, err = Open(Options{Dir: dir, Shards: 1, SegmentBytes: 64 << 10}); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
