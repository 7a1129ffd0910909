package openapi

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"tollgate/model"
)

var update = flag.Bool("update", false, "write the expected results in testdata anew; read the difference")

// TestImport reads every document of testdata. NAME.options.json holds the
// options, NAME.want what comes of it.
func TestImport(t *testing.T) {
	docs, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(docs) == 0 {
		t.Fatalf("no documents: %v", err)
	}
	for _, more := range []string{"testdata/*.doc.json"} {
		m, err := filepath.Glob(more)
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, m...)
	}
	for _, doc := range docs {
		name, _, _ := strings.Cut(filepath.Base(doc), ".")
		t.Run(name, func(t *testing.T) {
			src, err := os.ReadFile(doc)
			if err != nil {
				t.Fatal(err)
			}
			var o Options
			if b, err := os.ReadFile("testdata/" + name + ".options.json"); err == nil {
				if err := json.Unmarshal(b, &o); err != nil {
					t.Fatal(err)
				}
			}
			r, err := Import(src, o)
			if err != nil {
				t.Fatal(err)
			}
			complete(t, src, r)
			golden(t, "testdata/"+name+".want", render(t, r))
			again, err := Import(src, o)
			if err != nil || !reflect.DeepEqual(r, again) {
				t.Errorf("a second import gives something else: %v", err)
			}
		})
	}
}

func render(t *testing.T, r *Result) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(r.Definition); err != nil {
		t.Fatal(err)
	}
	out := fmt.Sprintf("%s, %d operations\n\n", r.Format, r.Operations)
	for _, p := range r.Problems {
		out += p.String() + "\n"
	}
	out += "\nkept from deployment by\n"
	for _, p := range r.Definition.Undeployable() {
		out += p.Pointer + ": " + p.Message + "\n"
	}
	return out + "\n" + b.String()
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (- want, + got):\n%s", file, d)
	}
}

// plain is a path with its variables blanked and its escapes resolved.
func plain(path string) string {
	path = blanked.ReplaceAllString(path, "{}")
	if u, err := url.PathUnescape(path); err == nil {
		return u
	}
	return path
}

var blanked = regexp.MustCompile(`\{[^/]*\}`)

// failer is a test, or one of a property's many.
type failer interface {
	Helper()
	Errorf(format string, a ...any)
	Fatal(a ...any)
}

// complete checks, by a reading of the document that shares nothing with the
// importer's, that every operation is a method or has an error that says why not.
func complete(t failer, src []byte, r *Result) {
	t.Helper()
	if err := r.Definition.Validate(); err != nil {
		t.Errorf("the definition is not valid: %v", err)
	}
	methods := map[string]bool{}
	for _, res := range r.Definition.Resources {
		for verb := range res.Methods {
			methods[verb+" "+plain(res.Path)] = true
		}
	}
	failed := map[string]bool{}
	for _, p := range r.Problems {
		if p.Severity == model.SeverityError && strings.Contains(p.Message, "missing") {
			failed[p.Pointer] = true
		}
	}
	var doc struct {
		Paths map[string]any
	}
	read := yaml.Unmarshal
	if bytes.HasPrefix(src, []byte("{")) {
		read = json.Unmarshal // the YAML package refuses surrogate pairs
	}
	if err := read(src, &doc); err != nil {
		t.Fatal(err)
	}
	count := 0
	for path, value := range doc.Paths {
		item, ok := value.(map[string]any)
		if !ok || strings.HasPrefix(path, "x-") {
			continue
		}
		route := path
		if i := strings.IndexAny(route, "?#"); i >= 0 {
			route = route[:i]
		}
		route = "/" + strings.TrimPrefix(route, "/")
		if path == "$default" || path == "/$default" {
			route = "/{proxy+}"
		}
		if len(route) > 1 {
			route = strings.TrimSuffix(route, "/")
		}
		at := "/paths/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(path)
		for field := range item {
			verb := strings.ToUpper(field)
			if field == "x-amazon-apigateway-any-method" {
				verb = "ANY"
			}
			if !strings.Contains(" GET PUT POST DELETE OPTIONS HEAD PATCH TRACE QUERY ANY ", " "+verb+" ") || field == "any" {
				continue
			}
			count++
			if !methods[verb+" "+plain(route)] && !failed[at] && !failed[at+"/"+field] {
				t.Errorf("%s %s is neither a method nor reported missing", verb, path)
			}
		}
	}
	if r.Operations < count {
		t.Errorf("%d operations were counted; the document has %d of its own", r.Operations, count)
	}
}

func TestImportRefuses(t *testing.T) {
	deep := strings.Repeat("[", 300) + strings.Repeat("]", 300)
	for _, c := range []struct {
		name, src, err string
		options        Options
	}{
		{name: "nothing", src: " \n", err: "empty"},
		{name: "text", src: "hello", err: "not an OpenAPI document"},
		{name: "a list", src: "[1]", err: "not an OpenAPI document"},
		{name: "other object", src: `{"a":1}`, err: `neither an "openapi" nor a "swagger"`},
		{name: "unknown version", src: "openapi: 4.0.0\npaths: {}", err: "line 1, column 1: openapi version \"4.0.0\""},
		{name: "a version that starts alike", src: "openapi: 3.10.0\npaths: {}", err: `openapi version "3.10.0"`},
		{name: "swagger 1.2", src: `{"swagger":"1.2","paths":{}}`, err: `swagger version "1.2" is not 2.0`},
		{name: "no paths", src: "openapi: 3.1.0\nwebhooks: {}", err: `no "paths"`},
		{name: "paths a list", src: "openapi: 3.1.0\npaths: []", err: `line 2, column 1: "paths" is not an object`},
		{name: "broken JSON", src: "{\"openapi\": \"3.0.0\",\n  \"paths\": {]}", err: "line 2, column 13: an object's key must be a string"},
		{name: "cut JSON", src: `{"openapi": "3.0`, err: "no closing quote"},
		{name: "JSON and more", src: `{"openapi":"3.0.0","paths":{}} x`, err: "more after the document's end"},
		{name: "bad number", src: `{"openapi":"3.0.0","x":01x,"paths":{]}`, err: "is not a number"},
		{name: "not UTF-8", src: "{\"a\":\"\xff\"}", err: "UTF-8"},
		{name: "NUL", src: `{"openapi":"3.0.0","info":{"title":"a\u0000"},"paths":{}}`, err: "NUL"},
		{name: "NUL in YAML", src: "openapi: 3.0.0\ninfo: {title: \"\\0\"}\npaths: {}", err: "line 2, column 15: a string has a NUL"},
		{name: "broken YAML", src: "openapi: 3.0.0\npaths:\n\t/a: 1", err: "line 3: the document is not valid YAML"},
		{name: "deep JSON", src: `{"openapi":"3.0.0","paths":{},"x":` + deep + `}`, err: "nested deeper than 250"},
		{name: "deep YAML", src: "openapi: 3.0.0\npaths: {}\nx: " + deep, err: "nested deeper than 250"},
		{name: "alias to itself", src: "openapi: 3.0.0\npaths: &p {a: *p}", err: "alias *p contains itself"},
		{name: "alias bomb", src: bomb(), err: "larger than 67108864 bytes with its aliases written out"},
		{name: "too large", src: strings.Repeat(" ", maxSource+1), err: "at most 33554432 are read"},
		{name: "too many values", src: `{"x":[` + strings.Repeat("0,", maxValues) + `0]}`, err: "more than 2097152 values"},
		{name: "too many lines", src: "x:\n" + strings.Repeat("-\n", maxYAMLMarks), err: "more than 1048576 lines"},
		{name: "too many paths", src: manyPaths(), err: "has 10001 paths; at most 10000"},
		{name: "references multiply", src: multiplied(), err: "too large with its references written out"},
		{name: "one verb again and again", src: `{"openapi":"3.0.0","paths":{"/a":{` + strings.Repeat(`"get":{},`, 50000) + `"put":{}}}}`, err: "too large with its references written out"},
		{name: "upstream", src: `{"openapi":"3.0.0","paths":{}}`, options: Options{Upstream: "ftp://x"}, err: `upstream "ftp://x" cannot be used`},
		{name: "upstream with a query", src: `{"openapi":"3.0.0","paths":{}}`, options: Options{Upstream: "http://x/?a=b"}, err: "more than a scheme, a host and a path"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Import([]byte(c.src), c.options)
			if err == nil {
				t.Fatalf("no error; %+v", r.Problems)
			}
			if model.KindOf(err) != model.Invalid || !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %q of kind %q, want one with %q", err, model.KindOf(err), c.err)
			}
		})
	}
}

// bomb is the billion laughs.
func bomb() string {
	b := "openapi: 3.0.0\na0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n"
	for i := 1; i < 12; i++ {
		b += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	return b + "paths: {}\n"
}

func manyPaths() string {
	var b strings.Builder
	b.WriteString("openapi: 3.0.0\npaths:\n")
	for i := range model.MaxResources + 1 {
		fmt.Fprintf(&b, "  /p%d: {}\n", i)
	}
	return b.String()
}

// multiplied is a small document whose paths all reference one with many
// parameters.
func multiplied() string {
	var b strings.Builder
	b.WriteString("openapi: 3.0.0\npaths:\n  /a:\n    parameters:\n")
	for i := range 2000 {
		fmt.Fprintf(&b, "    - {name: p%d, in: query}\n", i)
	}
	b.WriteString("    get: {}\n")
	for i := range 9000 {
		fmt.Fprintf(&b, "  /p%d: {$ref: '#/paths/~1a'}\n", i)
	}
	return b.String()
}
