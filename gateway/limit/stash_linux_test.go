package limit

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"tollgate/model"
)

// On a full disk a node starts: without a stash, or without the units for which there is
// no room to write down both whose they were and whose they are; what the ledger has to be
// told is told.
func TestStashOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8k"); err != nil {
		t.Skipf("a small disk cannot be mounted: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	path, filler := filepath.Join(dir, "leases"), filepath.Join(dir, "filler")
	open := func() *Stash {
		t.Helper()
		s, err := OpenStash(path)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	now := time.Now()
	inherit := func(n int) (units, tell int) {
		t.Helper()
		s := open()
		defer s.Close()
		u, told, err := s.inherit(boot(n), now.UnixNano())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range told {
			if e.from == (model.BootID{}) || e.taken != 10 {
				t.Errorf("told: %+v", e)
			}
		}
		return len(u), len(told)
	}
	s := open()
	const slots = 4096/slotSize - 1 // that the first page has beside the header
	for i := range uint64(slots) {
		e := &stashed{tenant: 1, ledger: ledgerKey{i + 1, 0}, start: now.Add(-time.Hour).UnixNano(), end: now.Add(time.Hour).UnixNano(), owner: boot(0)}
		if s.change(e, 10) != 10 {
			t.Fatal("no room yet")
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filler, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	if units, tell := inherit(1); units != slots || tell != slots {
		t.Errorf("the second process has %d units and tells %d, of %d", units, tell, slots)
	}
	if units, tell := inherit(2); units != 0 || tell != slots {
		t.Errorf("the third process, without room, has %d units and tells %d, of %d", units, tell, slots)
	}
	if units, tell := inherit(3); units != 0 || tell != slots {
		t.Errorf("what was not told is told by the next process: %d units, %d told, of %d", units, tell, slots)
	}

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filler, make([]byte, 8192), 0o600); err != nil {
		t.Fatal(err)
	}
	if s := open(); s != nil {
		t.Error("a stash was made where there is no room")
	}
}
