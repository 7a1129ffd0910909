package pgserver

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// dieWithParent has the kernel stop the server when the starting thread ends,
// also by kill -9. SIGQUIT is Postgres' immediate shutdown: it takes its
// children with it, which SIGKILL would leave.
func dieWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGQUIT }

func watchParent(int, <-chan struct{}) error { return nil }

// Processes lists the processes that work in a cluster's data directory, which is
// every Postgres process of that cluster. known is false where the system
// cannot tell.
func Processes(data string) (pids []int, known bool) {
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil || len(links) == 0 {
		return nil, false
	}
	for _, l := range links {
		if at, err := os.Readlink(l); err == nil && at == data {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(l)))
			pids = append(pids, pid)
		}
	}
	return pids, true
}
