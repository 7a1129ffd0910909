package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// clientCalls writes a client of the API Pets and calls the gateway with it.
func clientCalls(t *testing.T, env []string) {
	t.Helper()
	type written struct {
		BaseURL string
		Files   []string
	}
	at := filepath.Join(t.TempDir(), "a", "client")
	got := cliJSON[written](t, env, "api", "sdk", "Pets", "--stage", "dev", "--language", "python", "--out", at)
	if !slices.Contains(got.Files, "pets_client/__init__.py") {
		t.Errorf("wrote %+v", got)
	}
	cli(t, env, "api", "sdk", "Pets", "--stage", "dev", "--language", "python", "--out", at).refusal(t, "--force")
	cli(t, env, "api", "sdk", "Pets", "--stage", "dev", "--language", "cobol", "--out", t.TempDir()).refusal(t, "cobol", "python")
	cli(t, env, "api", "sdk", "Pets", "--stage", "none", "--language", "go", "--out", t.TempDir()).refusal(t, "none")
	cli(t, env, "api", "sdk", "Pets", "--stage", "dev", "--language", "java", "--out", t.TempDir(), "--param", "javaPackageName=a-b").refusal(t, "javaPackageName")
	cli(t, env, "api", "sdk", "Pets", "--stage", "dev", "--language", "go", "--out", t.TempDir(), "--param", "color=red").refusal(t, "module")
	other := cliJSON[written](t, env, "api", "sdk", "Pets", "--stage", "dev", "--language", "java", "--out", at, "--force", "--url", "https://pets.example/v1")
	if other.BaseURL != "https://pets.example/v1" {
		t.Errorf("wrote %+v", other)
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Log("python3 is not on this machine: the client is written, and not run")
		return
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", "from pets_client import Client; print(Client().get_pets_by_id(\"7 8\"), end=\"\")")
	cmd.Dir, cmd.Env = at, os.Environ()
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "upstream saw /pets/7 8" {
		t.Errorf("%v %s", err, out)
	}
}
