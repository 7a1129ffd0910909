//go:build !linux

package pgserver

import "syscall"

func dieWithParent(*syscall.SysProcAttr) {}

func watchParent(pid int, died <-chan struct{}) error { return watchPipe(pid, died) }

// Processes cannot be listed here: Postgres' own pid file has to do.
func Processes(string) (pids []int, known bool) { return nil, false }
