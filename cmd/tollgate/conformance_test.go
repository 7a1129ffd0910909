package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
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

// The recorded sequences are played against the running program: calls of the control
// API by boto3, calls of the deployed APIs over HTTP, with functions that run as they
// did, and moto's server for the services behind. What differs is in divergences.md
// with its reason, and nothing else is.
func TestConformanceRecorded(t *testing.T) {
	t.Parallel()
	p := newCasePlayer(t, "testdata/conformance.py", filepath.Join(conformance(t), "control-plane-recorded.json"))
	var services struct{ Endpoints string }
	p.read(t, &services)
	secret := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(secret, []byte("recorded"), 0o600))
	env := environ(newDir(t), "TOLLGATE_AWS_ENDPOINTS="+services.Endpoints)
	failed, cases := p.play(t, env, func() { // the role of the integrations, and what functions are invoked with that name none
		for _, name := range []string{"arn:aws:iam::000000000000:role/recorded", "default"} {
			if r := cli(t, env, "credential", "put", name, "--access-key-id", "recorded", "--secret-file", secret); r.code != 0 {
				t.Fatal(r.stderr)
			}
		}
	})
	if n := cases["answers"]; n < 469 || failed["answers"]*100 > 2*n {
		t.Errorf("%d of %d recorded answers differ: more than 2 in 100, or answers are missing", failed["answers"], n)
	}
}

// The documented examples of the AWS CLI are run with the AWS CLI.
func TestConformanceExamples(t *testing.T) {
	t.Parallel()
	dir := conformance(t)
	if err := exec.Command("python3", "-c", "import awscli, cryptography").Run(); err != nil {
		t.Skip("the AWS CLI is not on this machine as a Python package: its examples are not run")
	}
	p := newCasePlayer(t, "testdata/examples.py", filepath.Join(dir, "aws-cli-examples.json"))
	p.play(t, environ(newDir(t), "TOLLGATE_DOMAIN_OWNERSHIP=trust"), func() {})
}

// casePlayer is a program that plays cases against a running Tollgate.
type casePlayer struct {
	*exec.Cmd
	in    io.Writer
	lines *bufio.Scanner
}

func newCasePlayer(t *testing.T, script, cases string) *casePlayer {
	t.Helper()
	p := &casePlayer{Cmd: exec.CommandContext(t.Context(), "python3", script, cases)}
	p.Stderr = t.Output()
	var err error
	p.in, err = p.StdinPipe()
	must(t, err)
	out, err := p.StdoutPipe()
	must(t, err)
	p.lines = bufio.NewScanner(out)
	p.lines.Buffer(nil, 1<<20)
	must(t, p.Start())
	return p
}

// read is the next thing that the player says; false: it has said all.
func (p *casePlayer) read(t *testing.T, v any) bool {
	t.Helper()
	if !p.lines.Scan() {
		must(t, p.lines.Err())
		return false
	}
	must(t, json.Unmarshal(p.lines.Bytes(), v))
	return true
}

// play runs Tollgate with an account, which prepare may do more to, lets the player play,
// and counts its cases by suite. What fails is in divergences.md, and what is there fails.
func (p *casePlayer) play(t *testing.T, env []string, prepare func()) (failed, cases map[string]int) {
	t.Helper()
	d := start(t, env, "up")
	a := cliJSON[control.TenantCredentials](t, env, "tenant", "create", "--email", "ada@example.com", "--name", "Ada")
	prepare()
	must(t, json.NewEncoder(p.in).Encode(map[string]string{"control": d.console, "gateway": d.gateway, "key": a.AccessKeyID, "secret": a.SecretAccessKey}))
	differs := notEqual(t)
	failed, cases = map[string]int{}, map[string]int{}
	suites := map[string]bool{}
	for c := (playedCase{}); p.read(t, &c); c = (playedCase{}) {
		suites[c.Suite] = true
		cases[c.Suite]++
		r := differs.find(c)
		switch {
		case c.Why != "":
			failed[c.Suite]++
			if r == nil {
				t.Errorf("%s: %s\n\t%s", c.Sequence, c.Case, c.Why)
			}
		case r != nil && !r.any:
			t.Errorf("%s: %s: is as it should be, but divergences.md says that it is not", c.Sequence, c.Case)
		}
		if r != nil {
			r.seen = true
		}
	}
	must(t, p.Wait())
	for _, r := range differs {
		if suites[r.suite] && !r.seen {
			t.Errorf("%s: %s: in divergences.md, but there is no such case", r.sequence, r.name)
		}
	}
	for _, suite := range slices.Sorted(maps.Keys(cases)) {
		fmt.Printf("conformance %s cases %d pass %d fail %d\n", suite, cases[suite], cases[suite]-failed[suite], failed[suite])
	}
	return failed, cases
}

// difference is a case of a suite that is not answered as it should be.
type difference struct {
	suite, sequence, name string
	any                   bool // all cases that begin with name, or sequences where that is empty
	seen                  bool
}

type differences []*difference

func (all differences) find(c playedCase) *difference {
	for _, d := range all {
		if d.suite == c.Suite && (d.sequence == c.Sequence && (d.name == c.Case || d.any) || d.any && strings.HasSuffix(d.sequence, "*") && strings.HasPrefix(c.Sequence, strings.TrimSuffix(d.sequence, "*"))) {
			return d
		}
	}
	return nil
}

// notEqual reads from divergences.md which cases are not answered as they should be,
// each with the reason.
func notEqual(t *testing.T) (out differences) {
	t.Helper()
	b, err := os.ReadFile("../../awsapi/divergences.md")
	must(t, err)
	_, section, ok := strings.Cut(string(b), "\n## Recorded answers that are not equal\n")
	if !ok {
		t.Fatal("divergences.md has no section of recorded answers that are not equal")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	code := regexp.MustCompile("`([^`]+)`")
	for l := range strings.SplitSeq(section, "\n") {
		cells := strings.Split(strings.Trim(l, "|"), " | ")
		if !strings.HasPrefix(l, "| ") || strings.HasPrefix(l, "| Suite") {
			continue
		}
		if len(cells) != 4 || len(strings.TrimSpace(cells[3])) < 10 {
			t.Fatalf("divergences.md: %q has no suite, sequence, cases and reason", l)
		}
		for _, sequence := range code.FindAllStringSubmatch(cells[1], -1) {
			for _, c := range code.FindAllStringSubmatch(cells[2], -1) {
				out = append(out, &difference{suite: strings.TrimSpace(cells[0]), sequence: sequence[1], name: c[1], any: c[1] == "*"})
			}
		}
	}
	return out
}
