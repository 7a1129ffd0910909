package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tollgate/control"
)

// conformance is the folder with what was recorded from the service; the test is
// skipped without it, or without the clients and servers that play it.
func conformance(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("TOLLGATE_CONFORMANCE")
	if dir == "" {
		t.Skip("TOLLGATE_CONFORMANCE does not name the folder with the recordings")
	}
	if err := exec.Command("python3", "-c", "import boto3, moto.server").Run(); err != nil {
		t.Skip("python3 with boto3 and moto's server (pip install 'moto[server]') is not on this machine: the recordings are not played")
	}
	return dir
}

// playedCase is one comparison of an answer with the recorded one.
type playedCase struct{ Suite, Sequence, Case, Why string }

func (c playedCase) name() string { return c.Sequence + ": " + c.Case }

// The recorded sequences are played against the running program: calls of the control
// API by boto3, calls of the deployed APIs over HTTP, with functions that run as they
// did, and moto's server for the services behind. What differs is in divergences.md
// with its reason, and nothing else is.
func TestConformanceRecorded(t *testing.T) {
	t.Parallel()
	dir := conformance(t)
	player := exec.CommandContext(t.Context(), "python3", "testdata/conformance.py", filepath.Join(dir, "control-plane-recorded.json"))
	player.Stderr = t.Output()
	in, err := player.StdinPipe()
	must(t, err)
	out, err := player.StdoutPipe()
	must(t, err)
	must(t, player.Start())
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	if !lines.Scan() {
		t.Fatalf("the player says nothing: %v", player.Wait())
	}
	var services struct{ Endpoints string }
	must(t, json.Unmarshal(lines.Bytes(), &services))
	env := environ(newDir(t))
	p := start(t, env, "up")
	a := cliJSON[control.TenantCredentials](t, env, "tenant", "create", "--email", "ada@example.com", "--name", "Ada")
	must(t, json.NewEncoder(in).Encode(map[string]string{"control": p.console, "gateway": p.gateway, "key": a.AccessKeyID, "secret": a.SecretAccessKey}))

	differs := notEqual(t)
	cases, failed := map[string]int{}, map[string]int{}
	for lines.Scan() {
		var c playedCase
		must(t, json.Unmarshal(lines.Bytes(), &c))
		cases[c.Suite]++
		_, known := differs[c.name()]
		switch {
		case c.Why != "":
			failed[c.Suite]++
			if !known {
				t.Errorf("%s\n\t%s", c.name(), c.Why)
			}
		case known:
			t.Errorf("%s: is as recorded, but divergences.md says that it is not", c.name())
		}
		delete(differs, c.name())
	}
	must(t, lines.Err())
	must(t, player.Wait())
	for _, left := range slices.Sorted(maps.Keys(differs)) {
		t.Errorf("%s: in divergences.md, but there is no such case", left)
	}
	for _, suite := range slices.Sorted(maps.Keys(cases)) {
		fmt.Printf("conformance %s cases %d pass %d fail %d\n", suite, cases[suite], cases[suite]-failed[suite], failed[suite])
	}
	if n := cases["answers"]; n < 469 || failed["answers"]*100 > 2*n {
		t.Errorf("%d of %d recorded answers differ: more than 2 in 100, or answers are missing", failed["answers"], n)
	}
}

// notEqual reads from divergences.md which recorded cases are not answered as recorded,
// each with the reason.
func notEqual(t *testing.T) map[string]string {
	t.Helper()
	b, err := os.ReadFile("../../awsapi/divergences.md")
	must(t, err)
	_, section, ok := strings.Cut(string(b), "\n## Recorded answers that are not equal\n")
	if !ok {
		t.Fatal("divergences.md has no section of recorded answers that are not equal")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	code := regexp.MustCompile("`([^`]+)`")
	out := map[string]string{}
	for _, l := range strings.Split(section, "\n") {
		cells := strings.Split(strings.Trim(l, "|"), " | ")
		if !strings.HasPrefix(l, "| `") {
			continue
		}
		if len(cells) != 3 || len(strings.TrimSpace(cells[2])) < 10 {
			t.Fatalf("divergences.md: %q has no sequence, cases and reason", l)
		}
		sequence := code.FindStringSubmatch(cells[0])
		for _, c := range code.FindAllStringSubmatch(cells[1], -1) {
			out[sequence[1]+": "+c[1]] = cells[2]
		}
	}
	return out
}
