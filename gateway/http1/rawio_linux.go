package http1

import (
	"syscall"
	"unsafe"
)

// rawIO: reads and writes go straight to the non-blocking socket. They run
// inside RawConn.Read, which holds the descriptor open, and they never block, so
// the scheduler needs no notice of them. Knowing from a short read that a socket
// is drained, the caller waits for the next edge without asking again: that saves
// one system call in three. recvfrom and sendto rather than read and write skip
// what the kernel does for files alone, some 5 % of a call's whole CPU.
const rawIO = true

func readFD(fd uintptr, b []byte) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0)
	return int(n), e
}

func writeFD(fd uintptr, b []byte) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), syscall.MSG_NOSIGNAL, 0, 0)
	return int(n), e
}
