//go:build !linux

package main

import "syscall"

// childAttr has a child in a group of its own, so that Ctrl-C is for us, who end it in
// order. Where we are killed it goes on, and keeps its journal and its ports.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
