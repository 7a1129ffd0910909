package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestDoctor(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	env := environ(dir)
	state := func(env []string, code int) map[string]finding {
		t.Helper()
		r := cli(t, env, "doctor", "--output", "json")
		if r.code != code {
			t.Errorf("exit code %d instead of %d: %s%s", r.code, code, r.stdout, r.stderr)
		}
		var parsed items[finding]
		must(t, json.Unmarshal([]byte(r.stdout), &parsed))
		out := map[string]finding{}
		for _, f := range parsed.Items {
			if f.State != fine && f.Advice == "" {
				t.Errorf("%+v does not say what to do", f)
			}
			out[f.Check] = f
		}
		return out
	}
	if got := state(env, exitOK); got["data directory"].State != fine || got["Postgres"].State != fine || len(got) < 9 {
		t.Errorf("before a first start: %+v", got)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the data directory was made")
	}
	start(t, env, "up")
	if got := state(env, exitOK); got["schema"].State != fine || got["clock"].State != fine {
		t.Errorf("of one that runs: %+v", got)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	other := environ(newDir(t), "TOLLGATE_GATEWAY_ADDR="+l.Addr().String(), "TOLLGATE_GATWAY_ADDR=x")
	if got := state(other, exitFailed); got["TOLLGATE_GATEWAY_ADDR"].State != failing || got["settings"].State != warned {
		t.Errorf("with an address that is taken: %+v", got)
	}
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	if got := state(environ(filepath.Join(file, "data")), exitFailed); got["data directory"].State != failing {
		t.Errorf("with a directory that cannot be: %+v", got)
	}
	if got := state(environ(newDir(t), "DATABASE_URL=postgres://nobody@127.0.0.1:1/none"), exitFailed); got["Postgres"].State != failing {
		t.Errorf("without the database: %+v", got)
	}
	if got := state(environ(newDir(t), "TOLLGATE_LOG=loud"), exitFailed); got["settings"].State != failing {
		t.Errorf("with a wrong setting: %+v", got)
	}
}

// Every command has a manual page, and every shell completions.
func TestManualAndCompletions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if r := cli(t, os.Environ(), "man", "--dir", dir); r.code != 0 {
		t.Fatal(r.stderr)
	}
	var check func(c *cobra.Command, name string)
	check = func(c *cobra.Command, name string) {
		b, err := os.ReadFile(filepath.Join(dir, name+".1"))
		if err != nil || !strings.Contains(string(b), ".SH NAME") {
			t.Errorf("%s: %v", name, err)
		}
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() && sub.Name() != "help" {
				check(sub, name+"-"+sub.Name())
			}
		}
	}
	check(rootCommand(), "tollgate")
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if r := cli(t, os.Environ(), "completion", shell); r.code != 0 || len(r.stdout) < 1000 {
			t.Errorf("%s: %s", shell, r.stderr)
		}
	}
}
