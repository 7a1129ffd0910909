package rig

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of CPU times in /proc, the same on every Linux platform.
const tick = 10 * time.Millisecond

type stat struct {
	pid, parent  int
	name         string
	user, system time.Duration
}

func readStat(pid int) (stat, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	// The name is in brackets and may hold anything, brackets too.
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	f := strings.Fields(string(b[end+1:]))
	if open < 0 || end < open || len(f) < 13 {
		return stat{}, fmt.Errorf("/proc/%d/stat is not in the form known", pid)
	}
	s := stat{pid: pid, name: string(b[open+1 : end])}
	s.parent, _ = strconv.Atoi(f[1])
	u, err1 := strconv.ParseInt(f[11], 10, 64)
	k, err2 := strconv.ParseInt(f[12], 10, 64)
	if err1 != nil || err2 != nil {
		return stat{}, fmt.Errorf("/proc/%d/stat holds no CPU times", pid)
	}
	s.user, s.system = time.Duration(u)*tick, time.Duration(k)*tick
	return s, nil
}

// Family is a process and all its descendants but those with one of the names.
func Family(pid int, without ...string) ([]int, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	children := map[int][]stat{}
	for _, d := range dirs {
		id, err := strconv.Atoi(filepath.Base(d))
		if err != nil {
			continue
		}
		s, err := readStat(id)
		if err != nil {
			continue // ended meanwhile
		}
		children[s.parent] = append(children[s.parent], s)
	}
	out := []int{pid}
	for i := 0; i < len(out); i++ {
	next:
		for _, c := range children[out[i]] {
			for _, w := range without {
				if c.name == w {
					continue next
				}
			}
			out = append(out, c.pid)
		}
	}
	return out, nil
}

// CPU is the processor time the processes have used, in user and kernel mode.
func CPU(pids []int) (user, system time.Duration, err error) {
	for _, pid := range pids {
		s, err := readStat(pid)
		if err != nil {
			return 0, 0, err
		}
		user += s.user
		system += s.system
	}
	return user, system, nil
}

// PSS is the memory of the processes in bytes, pages shared with others counted
// in proportion.
func PSS(pids []int) (int64, error) {
	var sum int64
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return 0, err
		}
		_, rest, ok := strings.Cut(string(b), "\nPss:")
		f := strings.Fields(rest)
		if !ok || len(f) == 0 {
			return 0, fmt.Errorf("/proc/%d/smaps_rollup has no Pss", pid)
		}
		kb, err := strconv.ParseInt(f[0], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += kb << 10
	}
	return sum, nil
}

// Busy is the time a core has not been idle since the machine started, whoever
// used it.
func Busy(cpu int) (time.Duration, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(b), fmt.Sprintf("\ncpu%d ", cpu))
	line, _, _ := strings.Cut(rest, "\n")
	f := strings.Fields(line)
	if !ok || len(f) < 8 {
		return 0, fmt.Errorf("/proc/stat has no core %d", cpu)
	}
	var sum int64
	for i, v := range f[:8] {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return 0, err
		}
		if i != 3 && i != 4 { // idle, waiting for a disk
			sum += n
		}
	}
	return time.Duration(sum) * tick, nil
}
