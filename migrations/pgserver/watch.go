package pgserver

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// watchPipe lets a shell end process pid when this program goes, however it
// goes: the shell reads from a pipe whose other end only we hold. It is for
// systems without a parent-death signal.
func watchPipe(pid int, died <-chan struct{}) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd := exec.Command("/bin/sh", "-c", `read _; kill -QUIT "$1" 2>/dev/null`, "sh", strconv.Itoa(pid))
	cmd.Stdin = r
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = cmd.Start()
	_ = r.Close()
	if err != nil {
		_ = w.Close()
		return err
	}
	go func() {
		<-died
		// Before the number can be another process's: never signal a stranger.
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = w.Close()
	}()
	return nil
}
