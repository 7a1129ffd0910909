package limit

import (
	"os"

	"golang.org/x/sys/unix"
)

// birth is when a file was made, in nanoseconds; 0 where the file system does not say. A
// number of a file may be given out again, and a copy may get the number of the original.
func birth(f *os.File) int64 {
	var s unix.Statx_t
	if err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &s); err != nil || s.Mask&unix.STATX_BTIME == 0 {
		return 0
	}
	return s.Btime.Sec*1e9 + int64(s.Btime.Nsec)
}
