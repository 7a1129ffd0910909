package http1

import (
	"syscall"
	"unsafe"
)

// rawIO: reads and writes go straight to the non-blocking descriptor. They run
// inside RawConn.Read, which holds the descriptor open, and they never block, so
// the scheduler needs no notice of them. Knowing from a short read that a socket
// is drained, the caller waits for the next edge without asking again: that saves
// one system call in three.
const rawIO = true

func readFD(fd uintptr, b []byte) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	return int(n), e
}

func writeFD(fd uintptr, b []byte) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	return int(n), e
}
