package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// declined are the cases of the suite's optional folder that are answered otherwise,
// with the reason. Of the required ones none may be here.
var declined = map[string]string{
	"optional/format/date-time.json | validation of date-time strings | a valid date-time with a leap second, UTC":               jodaTime,
	"optional/format/date-time.json | validation of date-time strings | a valid date-time with a leap second, with minus offset": jodaTime,
	"optional/format/date-time.json | validation of date-time strings | a second fraction of fifteen nines is valid":             jodaTime,

	"optional/format/hostname.json | validation of host names | a host name containing illegal characters": guava,
	"optional/format/hostname.json | validation of host names | contains underscore":                       guava,
	"optional/format/hostname.json | validation of host names | trailing dot":                              guava,
	"optional/format/hostname.json | validation of host names | IDN label separator":                       guava,
	"optional/format/hostname.json | validation of host names | invalid non-ASCII KELVIN SIGN (U+212A)":    guava,
	"optional/format/uri.json | validation of URIs | an invalid protocol-relative URI Reference":           javaURI,
	"optional/format/uri.json | validation of URIs | an invalid relative URI Reference":                    javaURI,
	"optional/format/uri.json | validation of URIs | an invalid URI though valid URI reference":            javaURI,
	"optional/format/uri.json | validation of URIs | unescaped non US-ASCII characters":                    javaURI,
}

const (
	jodaTime = "the service's library reads dates with Joda-Time, which knows no leap second and 12 digits of a second"
	guava    = "the service's library uses Guava's InternetDomainName, which takes underscores, a trailing dot and letters of any script"
	javaURI  = "the service's library uses java.net.URI, which takes relative references and letters beyond ASCII"
)

// TestConformanceSchemas runs the official draft-4 test suite.
func TestConformanceSchemas(t *testing.T) {
	dir := os.Getenv("TOLLGATE_CONFORMANCE")
	if dir == "" {
		t.Skip("TOLLGATE_CONFORMANCE does not name the folder of conformance data")
	}
	dir = filepath.Join(dir, "json-schema-draft4")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no json-schema-draft4 in %s", filepath.Dir(dir))
	}
	texts := map[string]string{draft4URI: string(draft4)}
	walk(t, filepath.Join(dir, "remotes"), func(name, text string) { texts["http://localhost:1234/"+name] = text })
	seen, passed := 0, map[bool]int{}
	walk(t, filepath.Join(dir, "draft4"), func(name, text string) {
		var groups []struct {
			Description string
			Schema      json.RawMessage
			Tests       []struct {
				Description string
				Data        json.RawMessage
				Valid       bool
			}
		}
		if err := json.Unmarshal([]byte(text), &groups); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		optional := strings.HasPrefix(name, "optional/")
		for _, g := range groups {
			texts["test:model"] = string(g.Schema)
			s, err := compile(nil, texts, "test:model")
			for _, c := range g.Tests {
				id := name + " | " + g.Description + " | " + c.Description
				seen++
				got := err == nil
				if got {
					err := s.Validate(c.Data)
					if _, isFailure := errors.AsType[*Failure](err); err != nil && !isFailure {
						t.Errorf("%s: %v", id, err)
					}
					got = err == nil
				}
				ok := err == nil && got == c.Valid
				reason, expected := declined[id]
				switch {
				case ok && expected:
					t.Errorf("%s: passes, though it is listed as declined", id)
				case ok:
					passed[optional]++
				case optional && expected && reason != "":
				default:
					t.Errorf("%s: valid %v, want %v (%v)", id, got, c.Valid, err)
				}
			}
		}
	})
	all := passed[false] + passed[true]
	fmt.Printf("conformance schemas cases %d pass %d fail %d\n", seen, all, seen-all)
	if seen < 900 {
		t.Errorf("only %d cases in %s", seen, dir)
	}
}

func walk(t *testing.T, dir string, f func(name, text string)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		f(filepath.ToSlash(name), string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
