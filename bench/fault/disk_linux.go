package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// disk is a file system of its own for one gateway, which can be filled.
type disk struct{ dir string }

// diskBytes is more than a long run's journals need; the image takes the room only that is
// written to.
const diskBytes = 32 << 30

// newDisk mounts one at dir. It takes the right to mount.
func newDisk(dir, image string) (*disk, error) {
	f, err := os.Create(image)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Truncate(diskBytes), f.Close(), os.MkdirAll(dir, 0o700)); err != nil {
		return nil, err
	}
	mkfs := "mkfs.ext4"
	if _, err := exec.LookPath(mkfs); err != nil {
		mkfs = "/usr/sbin/mkfs.ext4"
	}
	for _, c := range [][]string{{mkfs, "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1", image}, {"mount", "-o", "loop", image, dir}} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s: %w %s", strings.Join(c, " "), err, out)
		}
	}
	return &disk{dir}, nil
}

func (d *disk) close() { _ = syscall.Unmount(d.dir, syscall.MNT_DETACH) }

func (d *disk) ballast() string { return filepath.Join(d.dir, "ballast") }

// fill takes all the room there is.
func (d *disk) fill() error {
	f, err := os.Create(d.ballast())
	if err != nil {
		return err
	}
	defer f.Close()
	for size, step := int64(0), int64(1<<30); step >= 4<<10; {
		switch err := unix.Fallocate(int(f.Fd()), 0, size, step); {
		case err == nil:
			size += step
		case errors.Is(err, unix.ENOSPC):
			step /= 2
		default:
			return err
		}
	}
	return nil
}

// free gives the room back.
func (d *disk) free() error { return os.Remove(d.ballast()) }
