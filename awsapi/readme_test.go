package awsapi

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of operations in README.md anew")

// refused are operations whose requests are read and checked, and then always
// refused: see divergences.md.
var refused = map[string]bool{"RejectDomainNameAccessAssociation": true}

// driven is how many calls of each operation TestEveryOperation of cmd/tollgate makes
// with each of its clients.
func driven(t *testing.T) map[string]int {
	t.Helper()
	b, err := os.ReadFile("clients/scenario.json")
	if err != nil {
		t.Fatal(err)
	}
	var calls []struct{ Op string }
	if err := json.Unmarshal(b, &calls); err != nil {
		t.Fatal(err)
	}
	n := map[string]int{}
	for _, c := range calls {
		n[c.Op]++
	}
	return n
}

// The table of operations in README.md is what is served, and each is tested.
func TestREADME(t *testing.T) {
	calls := driven(t)
	all := handlers{}
	for _, some := range nouns {
		for name, do := range some {
			if all[name] != nil {
				t.Errorf("%s is served twice", name)
			}
			all[name] = do
		}
	}
	var b strings.Builder
	served := 0
	b.WriteString("| Operation | Path | State | Calls in TestEveryOperation, with each client |\n|---|---|---|---|\n")
	for _, op := range slices.Concat(operations, ruleOperations) {
		state := "not yet: 501"
		switch {
		case refused[op.name]:
			state = "always refused"
		case all[op.name] != nil:
			state, served = "served", served+1
		}
		delete(all, op.name)
		path := op.path
		if op.query != "" {
			path += "?" + op.query
		}
		if calls[op.name] == 0 {
			t.Errorf("no client calls %s: add it to clients/scenario.json", op.name)
		}
		fmt.Fprintf(&b, "| %s | %s `%s` | %s | %d |\n", op.name, op.verb, path, state, calls[op.name])
	}
	for name := range all {
		t.Errorf("%s is no operation of the service", name)
	}
	table := fmt.Sprintf("%d of %d operations are served.\n\n%s", served, len(operations)+len(ruleOperations), b.String())
	old, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	const mark = "<!-- made by TestREADME -->\n"
	head, _, ok := strings.Cut(string(old), mark)
	if !ok {
		t.Fatal("README.md has no mark for its table")
	}
	if want := head + mark + "\n" + table; want != string(old) {
		if !*update {
			t.Fatal("the table of operations in README.md is old: go test ./awsapi -run TestREADME -update")
		}
		if err := os.WriteFile("README.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
