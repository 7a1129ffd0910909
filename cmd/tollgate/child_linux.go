package main

import "syscall"

// childAttr has a child in a group of its own, so that Ctrl-C is for us, who end it in
// order; the kernel ends it when we are killed.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
