//go:build !linux

package rig

import (
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
)

func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func startOn(cmd *exec.Cmd, cpu int) error {
	if cpu != AnyCPU {
		return fmt.Errorf("pinning to a core needs Linux, this is %s", runtime.GOOS)
	}
	return cmd.Start()
}

// Cores lists the cores this process may use.
func Cores() ([]int, error) {
	return nil, fmt.Errorf("pinning to cores needs Linux, this is %s", runtime.GOOS)
}
