package journal

import (
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
