package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var commandLine = regexp.MustCompile(`(?m)(?:^|&& |- |run: |bin/)(tollgate (?:[a-z][a-z-]* ?)+)[^\n]*`)

// The commands in examples and documents are those that there are, with their flags.
func TestExamples(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../deploy/examples/*/*.y*ml")
	must(t, err)
	if len(files) < 2 {
		t.Fatalf("examples are %v", files)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		must(t, err)
		var doc map[string]any
		if err := yaml.Unmarshal(b, &doc); err != nil || len(doc) < 3 {
			t.Errorf("%s: %v", f, err)
		}
	}
	n := 0
	for _, f := range append(files, "../../docs/iac.md", "../../README.md") {
		b, err := os.ReadFile(f)
		must(t, err)
		for _, m := range commandLine.FindAllStringSubmatch(string(b), -1) {
			n++
			args := strings.Fields(m[1])[1:]
			c, rest, err := rootCommand().Find(args)
			if err != nil || c.Name() == "tollgate" {
				t.Errorf("%s: there is no command %s (%v)", f, m[1], rest)
				continue
			}
			for _, flag := range regexp.MustCompile(`(?:^| )--([a-z-]+)`).FindAllStringSubmatch(m[0], -1) {
				if c.Flag(flag[1]) == nil && c.InheritedFlags().Lookup(flag[1]) == nil {
					t.Errorf("%s: %s has no flag --%s", f, c.CommandPath(), flag[1])
				}
			}
		}
	}
	if n < 12 {
		t.Errorf("only %d command lines were found", n)
	}
}
