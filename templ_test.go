package tollgate_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// templ writes the second expression of `{ a }. Then { b }` twice and the first
// not at all; the compiler and most tests do not see it.
func TestTemplExpressionsBeforeAFullStop(t *testing.T) {
	twice := regexp.MustCompile(`\}\.[^\n{]*\{ `)
	seen := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".templ") {
			return nil
		}
		seen++
		b, err := os.ReadFile(path)
		for i, line := range strings.Split(string(b), "\n") {
			if twice.MatchString(line) {
				t.Errorf("%s:%d: write the line as one expression: templ would print the one behind the full stop twice", path, i+1)
			}
		}
		return err
	})
	if err != nil || seen == 0 {
		t.Fatalf("%d templ files were read: %v", seen, err)
	}
}
