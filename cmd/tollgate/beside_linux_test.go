package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tollgate/bench/rig"
	"tollgate/billing/intake"
	"tollgate/control"
	"tollgate/gateway/limit/counter/countertest"
)

// A gateway that is dedicated to an account runs beside `up`, in a process that has neither
// the database nor the installation's key: it serves that account and no other, is started
// again when it is killed, loses no call then, and goes when up does or when it is told to.
func TestDedicatedBeside(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }))
	defer upstream.Close()
	file := filepath.Join(t.TempDir(), "pets.yaml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, document, upstream.URL), 0o600))
	dir := newDir(t)
	redis, run := countertest.Server(t)
	run()
	env := environ(dir, "STRIPE_API_KEY=not-its-business", "TOLLGATE_REDIS_URL="+redis)
	p := start(t, env, "up")
	ada := cliJSON[control.TenantCredentials](t, env, "tenant", "create", "--email", "ada@example.com", "--name", "Ada")
	bob := cliJSON[control.TenantCredentials](t, env, "tenant", "create", "--email", "bob@example.com", "--name", "Bob")
	deploy := func(account string) string {
		api := cliJSON[imported](t, env, "api", "import", file, "--tenant", account)
		cliJSON[deployed](t, env, "api", "deploy", api.ID, "--stage", "dev", "--tenant", account)
		return "/_aws/execute-api/" + api.ID + "/dev/pets/7"
	}
	hers, his := deploy(ada.AccountID), deploy(bob.AccountID)
	addr, err := rig.FreeAddr()
	must(t, err)
	own := "http://" + addr
	cliJSON[control.Gateway](t, env, "node", "gateway", "create", "--name", "acme", "--account", ada.AccountID, "--run-at", addr, "--url", own)
	if r := cli(t, env, "node", "gateway", "counters", "--name", "shared"); r.code == 0 || !strings.Contains(r.stderr, "not dedicated") {
		t.Errorf("counters for a shared gateway: %d %s", r.code, r.stderr)
	}
	if r := cli(t, env, "node", "gateway", "counters", "--name", "acme"); r.code != 0 || !strings.HasPrefix(r.stdout, "unix://tollgate-acme:") {
		t.Errorf("counters for the dedicated gateway: %d %s%s", r.code, r.stdout, r.stderr)
	}
	if r := cli(t, env, "tenant", "move", ada.AccountID, "--gateway", "acme"); r.code != 0 {
		t.Fatal(r.stderr)
	}
	serves(t, own+hers)
	eventually(t, p.gateway+hers, "", 403)
	eventually(t, p.gateway+his, "", 200)
	if code, _ := get(t, own+his); code != 403 {
		t.Errorf("another account's API on a dedicated gateway: %d", code)
	}

	runs := func() (pid int) {
		for _, at := range glob(t, "/proc/[0-9]*/environ") {
			b, _ := os.ReadFile(at)
			if strings.Contains(string(b), "TOLLGATE_GATEWAY_ADDR="+addr+"\x00") {
				pid = atoi(t, strings.Split(at, "/")[2])
				for _, secret := range []string{"DATABASE_URL", "SECRET_KEY", "STRIPE"} {
					if strings.Contains(string(b), secret) {
						t.Errorf("the gateway's process is given %s", secret)
					}
				}
				if !strings.Contains(string(b), "\x00TOLLGATE_REDIS_URL=unix://tollgate-acme:") {
					t.Error("the gateway's process is not a user of its own where hard throttles are kept")
				}
			}
		}
		return pid
	}
	first := runs()
	if first == 0 {
		t.Fatal("no process serves the dedicated gateway")
	}
	const calls = 20
	for range calls {
		if code, body := get(t, own+hers); code != 200 {
			t.Fatalf("%d %s", code, body)
		}
	}
	must(t, syscall.Kill(first, syscall.SIGKILL))
	until(t, "another process", func() bool { pid := runs(); return pid != 0 && pid != first })
	serves(t, own+hers)
	until(t, "the killed process's calls in the usage", func() bool {
		var n int64
		for _, r := range cliJSON[items[intake.Row]](t, env, "usage", "--tenant", ada.AccountID).Items {
			n += r.Calls
		}
		return n >= calls+2
	})

	// Told to be elsewhere, it goes; told to be here again, it comes; and goes with up.
	gone := func() bool { return runs() == 0 }
	place := func(at string) {
		cliJSON[control.Gateway](t, env, "node", "gateway", "create", "--name", "acme", "--account", ada.AccountID, "--run-at", at, "--url", own)
	}
	place("")
	until(t, "the process to go", gone)
	place(addr)
	serves(t, own+hers)
	if r := p.end(t, syscall.SIGTERM); r.code != 0 {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
	if !gone() {
		t.Error("the dedicated gateway's process outlives up")
	}
	p = start(t, env, "up")
	serves(t, own+hers)
	p.end(t, syscall.SIGKILL)
	until(t, "the process to go with a killed up", gone)
}

// serves waits until somebody listens and answers 200.
func serves(t *testing.T, url string) {
	t.Helper()
	until(t, url+" to be served", func() bool {
		res, err := http.Get(url)
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == 200
	})
}

func glob(t *testing.T, pattern string) []string {
	out, err := filepath.Glob(pattern)
	must(t, err)
	return out
}
