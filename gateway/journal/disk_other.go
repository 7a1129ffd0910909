//go:build unix && !linux

package journal

import (
	"os"

	"golang.org/x/sys/unix"
)

func allocate(f *os.File, size int64) error { return writeZeros(f, size) }

func populate([]byte) {}

func syncData(f *os.File, mem []byte) error {
	if len(mem) > 0 {
		if err := unix.Msync(mem, unix.MS_SYNC); err != nil {
			return os.NewSyscallError("msync", err)
		}
	}
	return f.Sync()
}
