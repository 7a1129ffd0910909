// Package countertest gives a test a Redis or Valkey of its own.
package countertest

import (
	"net"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Server says the address of a real server and how to run it. It must not be skipped
// where there is none: what hard throttles promise would not be tested.
func Server(t testing.TB) (url string, run func() *exec.Cmd) {
	t.Helper()
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		if bin, err = exec.LookPath("valkey-server"); err != nil {
			t.Fatal("neither redis-server nor valkey-server is here, and what hard throttles promise cannot be tested without: apt-get install redis-server")
		}
	}
	dir := t.TempDir()
	sock := filepath.Join(dir, "s")
	return "unix://" + sock, func() *exec.Cmd {
		cmd := exec.Command(bin, "--port", "0", "--unixsocket", sock, "--dir", dir, "--save", "")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		for range 1000 {
			if c, err := net.Dial("unix", sock); err == nil {
				_ = c.Close()
				return cmd
			}
			<-time.After(10 * time.Millisecond)
		}
		t.Fatal("the server does not answer")
		return nil
	}
}
