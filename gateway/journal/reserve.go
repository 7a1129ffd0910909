package journal

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const largestReserve = 8 << 20

func (j *Journal) reservePath() string { return filepath.Join(j.dir, "reserve") }

// keepReserve holds some disk space back for sealing: on a full disk it is only
// by sealing and handing in that segments come free again.
func (j *Journal) keepReserve() {
	size := min(largestReserve, j.segmentBytes/8)
	if st, err := os.Stat(j.reservePath()); err == nil && st.Size() == size {
		return
	}
	if diskFree(j.dir) < 2*(size+j.segmentBytes) {
		return
	}
	f, err := os.OpenFile(j.reservePath(), os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		err = errors.Join(allocate(f, size), f.Close())
	}
	if err != nil {
		_ = os.Remove(j.reservePath())
		j.log.Warn("journal: no room can be held back for sealing on a full disk", "bytes", size, "error", err)
	}
}

// freeReserve gives the space up if that is what an error asks for.
func (j *Journal) freeReserve(err error) bool {
	if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EDQUOT) {
		return false
	}
	j.sent.makeRoom()
	if os.Remove(j.reservePath()) != nil {
		return false
	}
	j.log.Error("journal: the disk is full; the room held back for sealing is used now", "dir", j.dir)
	return true
}
