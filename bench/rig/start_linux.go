package rig

import (
	"errors"
	"fmt"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

func childAttr() *syscall.SysProcAttr {
	// A group of its own: Ctrl-C reaches the harness, which ends its children in order.
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// startOn starts cmd on a core by moving the calling thread there for the moment
// of the fork. The caller has locked its thread.
func startOn(cmd *exec.Cmd, cpu int) error {
	if cpu == AnyCPU {
		return cmd.Start()
	}
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	one.Set(cpu)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("pin to core %d: %w", cpu, err)
	}
	defer unix.SchedSetaffinity(0, &before) //nolint:errcheck // the set was just in force
	return cmd.Start()
}

// Pin moves running processes to a core, with all that they start from now on.
// One that has ended meanwhile needs no moving.
func Pin(pids []int, cpu int) error {
	var one unix.CPUSet
	one.Set(cpu)
	for _, pid := range pids {
		if err := unix.SchedSetaffinity(pid, &one); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("pin process %d to core %d: %w", pid, cpu, err)
		}
	}
	return nil
}

// Cores lists the cores this process may use.
func Cores() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, err
	}
	var out []int
	for i := 0; len(out) < set.Count(); i++ {
		if set.IsSet(i) {
			out = append(out, i)
		}
	}
	return out, nil
}
