package pgtest

import (
	"os"
	"os/exec"
	"syscall"
)

// room is where clusters go: memory when it has a gigabyte to spare, as they are
// written a lot and kept for nothing.
func room() string {
	const shm = "/dev/shm"
	var st syscall.Statfs_t
	if err := syscall.Statfs(shm, &st); err == nil && uint64(st.Bavail)*uint64(st.Bsize) > 1<<30 {
		if f, err := os.CreateTemp(shm, "tollgate-try-"); err == nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
			return shm
		}
	}
	return os.TempDir()
}

func execute(name string, args ...string) ([]byte, error) {
	return exec.Command(name, args...).CombinedOutput()
}

// removeWithProcess has a shell remove dir when this process ends, however it
// ends: a test binary has no hook of its own that survives a panic or a kill.
// The shell reads from a pipe whose other end only we hold.
func removeWithProcess(dir string) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	// The second round catches what the dying server wrote during the first.
	cmd := exec.Command("/bin/sh", "-c", `read _; rm -rf "$1"; sleep 1; rm -rf "$1"`, "sh", dir)
	cmd.Stdin = r
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C must not take it
	if err := cmd.Start(); err != nil {
		_ = w.Close()
		return err
	}
	keepOpen = append(keepOpen, w)
	return cmd.Process.Release()
}

// keepOpen holds pipes for the life of the process; a collected file is closed.
var keepOpen []*os.File
