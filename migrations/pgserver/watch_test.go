package pgserver

import (
	"bufio"
	"os"
	"os/exec"
	"strconv"
	"testing"
)

// watchPipe is used on systems without a parent-death signal, and tested on all.
func TestWatchPipe(t *testing.T) {
	if pid, err := strconv.Atoi(os.Getenv("TOLLGATE_TEST_WATCHED")); err == nil {
		if err := watchPipe(pid, make(chan struct{})); err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("watching\n")
		select {}
	}
	watched := exec.Command("sleep", "1000")
	if err := watched.Start(); err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(os.Args[0], "-test.run=^TestWatchPipe$")
	parent.Env = append(os.Environ(), "TOLLGATE_TEST_WATCHED="+strconv.Itoa(watched.Process.Pid))
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "watching\n" {
		t.Fatalf("the parent said %q (%v)", line, err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	_ = watched.Wait() // returns only when the watcher ended it
	if watched.ProcessState.Success() {
		t.Error("the watched process ended by itself")
	}
}
