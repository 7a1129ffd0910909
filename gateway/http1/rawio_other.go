//go:build !linux

package http1

import "syscall"

// Elsewhere than on Linux every connection goes through net.Conn.
const rawIO = false

func readFD(uintptr, []byte) (int, syscall.Errno)  { return 0, syscall.ENOSYS }
func writeFD(uintptr, []byte) (int, syscall.Errno) { return 0, syscall.ENOSYS }
