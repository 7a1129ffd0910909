package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tollgate/migrations/pgserver"
	"tollgate/migrations/pgtest"
)

// The tests here run the program as it is built, in processes of its own: what
// they check is starting, stopping and dying.

var built string // path of the program

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tollgate-built-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	built = filepath.Join(dir, "tollgate")
	if out, err := exec.Command("go", "build", "-o", built, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// environ is the environment of a program under test: no settings but those given.
func environ(dir string, settings ...string) []string {
	var out []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "TOLLGATE_") && !strings.HasPrefix(e, "DATABASE_URL") && !strings.HasPrefix(e, "AWS_") {
			out = append(out, e)
		}
	}
	if bin := os.Getenv("TOLLGATE_PG_BIN"); bin != "" {
		out = append(out, "TOLLGATE_PG_BIN="+bin)
	}
	out = append(out, "TOLLGATE_DATA_DIR="+dir, "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null")
	for _, a := range []string{"CONTROL", "GATEWAY", "GATEWAY_TLS", "ADMIN"} {
		out = append(out, "TOLLGATE_"+a+"_ADDR=127.0.0.1:0")
	}
	return append(out, settings...) // the last of a name counts
}

// result of a finished program.
type result struct {
	code           int
	stdout, stderr string
}

// cli runs a command to its end.
func cli(t *testing.T, env []string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, built, args...)
	cmd.Env = env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("tollgate %s does not end\n%s%s", strings.Join(args, " "), stdout.String(), stderr.String())
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// cliJSON runs a command that must succeed and decodes what it prints.
func cliJSON[T any](t *testing.T, env []string, args ...string) T {
	t.Helper()
	r := cli(t, env, append(args, "--output", "json")...)
	if r.code != 0 || r.stderr != "" {
		t.Fatalf("tollgate %s: exit code %d, %s", strings.Join(args, " "), r.code, r.stderr)
	}
	var v T
	d := json.NewDecoder(strings.NewReader(r.stdout))
	if err := d.Decode(&v); err != nil {
		t.Fatalf("tollgate %s printed no JSON: %v\n%s", strings.Join(args, " "), err, r.stdout)
	}
	if rest, _ := io.ReadAll(d.Buffered()); len(bytes.TrimSpace(rest)) > 0 {
		t.Fatalf("tollgate %s printed more than one document: %s", strings.Join(args, " "), rest)
	}
	return v
}

// refusal checks that a program ended with exit code 1 and one line that says it all.
func (r result) refusal(t *testing.T, says ...string) {
	t.Helper()
	if r.code != exitFailed {
		t.Errorf("exit code %d, want %d; it said %q", r.code, exitFailed, r.stderr)
	}
	if strings.Count(r.stderr, "\n") != 1 || !strings.HasPrefix(r.stderr, "tollgate: ") {
		t.Errorf("not one line of error: %q", r.stderr)
	}
	for _, s := range says {
		if !strings.Contains(r.stderr, s) {
			t.Errorf("%q does not say %q", r.stderr, s)
		}
	}
}

// daemon is a program that stays.
type daemon struct {
	cmd              *exec.Cmd
	dir              string
	console, gateway string // from the ready line; "" when there is none
	done             chan struct{}
	mu               sync.Mutex
	stdout           strings.Builder
	stderr           bytes.Buffer
}

// start runs a program and returns when it has said that it is ready.
func start(t *testing.T, env []string, args ...string) *daemon {
	t.Helper()
	p := &daemon{cmd: exec.Command(built, args...), done: make(chan struct{})}
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, "TOLLGATE_DATA_DIR="); ok {
			p.dir = v
		}
	}
	p.cmd.Env, p.cmd.Stderr = env, &p.stderr
	out, err := p.cmd.StdoutPipe()
	must(t, err)
	must(t, p.cmd.Start())
	ready := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.mu.Lock()
			p.stdout.WriteString(lines.Text() + "\n")
			p.mu.Unlock()
			if strings.HasPrefix(lines.Text(), "tollgate ready ") {
				ready <- lines.Text()
			}
		}
		_ = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
		noPostgres(t, p.dir)
		if t.Failed() {
			t.Logf("%s said:\n%s%s", strings.Join(args, " "), p.said(), p.stderr.String())
		}
	})
	select {
	case line := <-ready:
		for _, f := range strings.Fields(line) {
			if v, ok := strings.CutPrefix(f, "console="); ok {
				p.console = v
			}
			if v, ok := strings.CutPrefix(f, "gateway="); ok {
				p.gateway = v
			}
		}
	case <-p.done:
		t.Fatalf("it ended instead of becoming ready: %s", p.stderr.String())
	case <-time.After(90 * time.Second):
		t.Fatalf("it does not become ready")
	}
	return p
}

func (p *daemon) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stdout.String()
}

// end sends a signal and waits for the end.
func (p *daemon) end(t *testing.T, sig syscall.Signal) result {
	t.Helper()
	must(t, p.cmd.Process.Signal(sig))
	return p.ended(t)
}

func (p *daemon) ended(t *testing.T) result {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(60 * time.Second):
		t.Fatal("it does not end")
	}
	return result{p.cmd.ProcessState.ExitCode(), p.said(), p.stderr.String()}
}

// admin is the address of a process's admin listener.
func (p *daemon) admin(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(p.dir, "up.json"))
	must(t, err)
	var r running
	must(t, json.Unmarshal(b, &r))
	return "http://" + r.AdminAddr
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	must(t, err)
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	must(t, err)
	return res.StatusCode, string(b)
}

// noPostgres waits until no process works in an installation's cluster.
func noPostgres(t *testing.T, dir string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-tick.C {
		pids, known := pgserver.Processes(filepath.Join(dir, "postgres", "data"))
		if known && len(pids) == 0 {
			return
		}
		if !known {
			t.Fatal("this system does not list processes by directory")
		}
		if time.Now().After(deadline) {
			t.Fatalf("Postgres processes %v are left", pids)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newDir(t *testing.T) string { return filepath.Join(pgtest.Dir(t), "data") }
