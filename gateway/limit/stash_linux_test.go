package limit

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// On a full disk a node starts, without a stash. What there is no room for in one that
// there is, TestStashTells has.
func TestStashOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8k"); err != nil {
		t.Skipf("a small disk cannot be mounted: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	if err := os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 8192), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "leases")
	if s, err := OpenStash(path); s != nil || err != nil {
		t.Errorf("a stash was made where there is no room, or not left out: %v", err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the file is left: %v", err)
	}
}
