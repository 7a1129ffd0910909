package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tollgate/control"
)

// What calls were answered is told here and elsewhere, and as it happens; and an access
// log is written where the operator has it.
func TestLogs(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/pets/broken" {
			w.WriteHeader(http.StatusBadGateway)
		}
		fmt.Fprint(w, "ok")
	}))
	t.Cleanup(upstream.Close)
	work := t.TempDir()
	file := filepath.Join(work, "pets.yaml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, document, upstream.URL), 0o600))
	local := environ(newDir(t))
	p := start(t, local, "up")
	ada := cliJSON[control.TenantCredentials](t, local, "tenant", "create", "--email", "ada@example.com", "--name", "Ada")
	api := cliJSON[imported](t, local, "import", file)
	cliJSON[deployed](t, local, "deploy", api.ID, "--stage", "dev")
	remotely := append(environ(filepath.Join(work, "none")), "TOLLGATE_ENDPOINT_URL="+p.console, "AWS_ACCESS_KEY_ID="+ada.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+ada.SecretAccessKey)
	base := p.gateway + "/_aws/execute-api/" + api.ID + "/dev"
	ask := func(path string) string {
		t.Helper()
		res, err := http.Get(base + path)
		must(t, err)
		_ = res.Body.Close()
		return res.Header.Get("x-amzn-RequestId")
	}
	if r := cli(t, local, "logs"); r.code != 0 || r.stdout != "no calls\n" {
		t.Errorf("before any call: %+v", r)
	}
	ids := []string{ask("/pets/1"), ask("/pets/broken"), ask("/none")}
	list := func(env []string, args ...string) []control.Call {
		return cliJSON[control.CallList](t, env, append([]string{"logs"}, args...)...).Items
	}
	until(t, "three calls in the log", func() bool { return len(list(local, "Pets")) == 3 })
	for _, env := range [][]string{local, remotely} {
		all := list(env, "Pets", "--since", "10m")
		for i, c := range all {
			if c.RequestID != ids[i] || c.API != "Pets" || c.Stage != "dev" || c.IP != "127.0.0.1" {
				t.Errorf("call %d is %+v", i, c)
			}
		}
		if l := list(env, "--status", "5xx"); len(l) != 1 || l[0].RequestID != ids[1] || l[0].Kind != "" || l[0].Resource != "/pets/{id}" {
			t.Errorf("5xx: %+v", l)
		}
		if l := list(env, "--kind", "any", "--stage", "dev"); len(l) != 1 || l[0].RequestID != ids[2] || l[0].Kind != "MISSING_AUTHENTICATION_TOKEN" {
			t.Errorf("the gateway's own: %+v", l)
		}
		if l := list(env, "--limit", "1"); len(l) != 1 || l[0].RequestID != ids[2] {
			t.Errorf("the last: %+v", l)
		}
		one := cli(t, env, "logs", "--id", ids[2])
		if one.code != 0 || !strings.Contains(one.stdout, `the gateway: MISSING_AUTHENTICATION_TOKEN, at step "match"`) || !strings.Contains(one.stdout, "no method") {
			t.Errorf("%+v", one)
		}
		cli(t, env, "logs", "--status", "x").refusal(t, "not a status")
		cli(t, env, "logs", "--id", "00000000-0000-0000-0000-000000000000").refusal(t, "keeps calls for 7 days")
		cli(t, env, "logs", "none").refusal(t, `no API "none"`)
	}
	a, b := cli(t, local, "logs", "--status", "error"), cli(t, remotely, "logs", "--status", "error")
	if a != b || !strings.Contains(a.stdout, "GET /pets/broken") {
		t.Errorf("here %+v\nand from elsewhere %+v", a, b)
	}

	// Followed, here and from elsewhere.
	for _, env := range [][]string{local, remotely} {
		cmd := exec.Command(built, "logs", "Pets", "-f", "--limit", "1", "--output", "json")
		cmd.Env = env
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		lines := make(chan control.Call, 100)
		go func() {
			defer close(lines)
			for s := bufio.NewScanner(out); s.Scan(); {
				var c control.Call
				if json.Unmarshal(s.Bytes(), &c) == nil {
					lines <- c
				}
			}
		}()
		want := []string{(<-lines).RequestID}
		for range 3 {
			want = append(want, ask("/pets/2"))
		}
		got := want[:1:1]
		for len(got) < len(want) {
			select {
			case c := <-lines:
				got = append(got, c.RequestID)
			case <-time.After(10 * time.Second):
				t.Fatalf("followed %v of %v", got, want)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("followed %v, not %v", got, want)
		}
		must(t, cmd.Process.Signal(syscall.SIGINT))
		for range lines {
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("ended by Ctrl-C: %v", err)
		}
	}
}
