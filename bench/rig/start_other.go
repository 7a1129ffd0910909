//go:build !linux

package rig

import (
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
)

var errNoPinning = fmt.Errorf("pinning to a core needs Linux, this is %s", runtime.GOOS)

func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func startOn(cmd *exec.Cmd, cpu int) error {
	if cpu != AnyCPU {
		return errNoPinning
	}
	return cmd.Start()
}

// Pin moves running processes to a core, with all that they start from now on.
func Pin([]int, int) error { return errNoPinning }

// Cores lists the cores this process may use.
func Cores() ([]int, error) {
	return nil, errNoPinning
}
