package main

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// A file is served, again when it changes, and still when it is broken.
func TestDev(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "upstream saw %s", r.URL.Path) }))
	t.Cleanup(upstream.Close)
	file, temp := filepath.Join(t.TempDir(), "openapi.yaml"), newDir(t)
	must(t, os.MkdirAll(temp, 0o711))
	must(t, os.Chmod(temp, 0o711))
	write := func(paths string) {
		must(t, os.WriteFile(file+".new", []byte("openapi: 3.0.3\ninfo: {title: Pets, version: '1'}\nservers: [{url: '"+upstream.URL+"'}]\npaths:\n"+paths), 0o600))
		must(t, os.Rename(file+".new", file))
	}
	const ok = "{get: {responses: {'200': {description: ok}}}}"
	write("  /pets/{id}: {get: {parameters: [{name: id, in: path, required: true, schema: {type: string}}], responses: {'200': {description: ok}}}}\n")
	cmd := exec.Command(built, "dev", file, "--addr", "127.0.0.1:0")
	cmd.Env = append(environ("/nowhere"), "TMPDIR="+temp)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	var mu sync.Mutex
	var said strings.Builder
	done := make(chan struct{})
	go func() {
		defer close(done)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			mu.Lock()
			said.WriteString(lines.Text() + "\n")
			mu.Unlock()
		}
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-done; _ = cmd.Wait() })
	says := func() string { mu.Lock(); defer mu.Unlock(); return said.String() }
	waits := func(text string) {
		t.Helper()
		until(t, "it to say "+text+" after "+says(), func() bool { return strings.Contains(says(), text) })
	}
	waits("curl")
	url := regexp.MustCompile(`curl '([^']+)'`).FindStringSubmatch(says())[1]
	if code, body := get(t, url); code != 200 || body != "upstream saw /pets/id" {
		t.Errorf("%s: %d %s", url, code, body)
	}
	write("  /cats: " + ok + "\n")
	waits("The operation is removed")
	if code, body := get(t, strings.Replace(url, "/pets/id", "/cats", 1)); code != 200 || body != "upstream saw /cats" {
		t.Errorf("the changed file: %d %s", code, body)
	}
	write("  /cats: [\n")
	waits("stays")
	if !regexp.MustCompile(`openapi\.yaml: .*line \d+`).MatchString(says()) {
		t.Errorf("a broken file is told so: %s", says())
	}
	if code, _ := get(t, strings.Replace(url, "/pets/id", "/cats", 1)); code != 200 {
		t.Errorf("with the file broken: %d", code)
	}
	must(t, cmd.Process.Signal(syscall.SIGINT))
	<-done
	if err := cmd.Wait(); err != nil {
		t.Errorf("Ctrl-C: %v", err)
	}
	if left, _ := os.ReadDir(temp); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
