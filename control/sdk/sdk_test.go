package sdk_test

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/control/openapi"
	"tollgate/control/sdk"
	"tollgate/model"
)

// definition reads a document.
func definition(t testing.TB, src []byte) *model.Definition {
	t.Helper()
	res, err := openapi.Import(src, openapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	res.Definition.OwnModels("abcdef1234")
	return &res.Definition
}

func pets(t testing.TB) *model.Definition {
	t.Helper()
	src, err := os.ReadFile("testdata/pets.json")
	if err != nil {
		t.Fatal(err)
	}
	return definition(t, src)
}

// written is a client on disk, in a folder of its own.
func written(t testing.TB, d *model.Definition, o sdk.Options) string {
	t.Helper()
	c, err := sdk.Generate(d, o)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, f := range c.Files {
		name := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Body, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// api is a server that answers as the API of testdata/pets.json, and keeps what it
// was asked.
type api struct {
	*httptest.Server
	mu    sync.Mutex
	calls []string
}

func newAPI(t testing.TB) *api {
	a := &api{}
	mux := http.NewServeMux()
	const pet = `{"id":7,"name":"Rex","owner":{"name":"Ada","since":9007199254740991},"next":{"id":8,"name":"Tom"},"extra":"kept"}`
	answer := func(contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			_, _ = io.WriteString(w, body)
		}
	}
	mux.HandleFunc("GET /v1/{$}", answer("text/plain; charset=utf-8", "up"))
	mux.HandleFunc("GET /v1/pets", answer("application/json", "["+pet+`,{"id":8,"name":"Tom"}]`))
	mux.HandleFunc("POST /v1/pets", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, pet)
	})
	mux.HandleFunc("GET /v1/pets/{id}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.PathValue("id") == "missing" {
			w.Header().Set("X-Amzn-RequestId", "req-1")
			w.Header().Set("X-Why", "none")
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"message":"no such pet"}`)
			return
		}
		_, _ = io.WriteString(w, pet)
	})
	mux.HandleFunc("DELETE /v1/pets/{id}", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("PUT /v1/photos/{id}", answer("text/plain", "seen"))
	mux.HandleFunc("GET /v1/files/{path...}", answer("text/plain", "hello"))
	mux.HandleFunc("/v1/proxy", func(w http.ResponseWriter, r *http.Request) {
		answer("application/json", fmt.Sprintf(`{"verb":%q}`, r.Method))(w, r)
	})
	mux.HandleFunc("GET /v1/slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("GET /v1/moved", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/v1/elsewhere")
		w.WriteHeader(http.StatusFound)
	})
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var b strings.Builder
		fmt.Fprintf(&b, "%s %s", r.Method, r.RequestURI)
		for _, h := range []string{"X-Api-Key", "Authorization", "X-Client"} {
			if r.Header.Get(h) == "" {
				fmt.Fprintf(&b, " without %s", h)
			}
		}
		if v := r.Header.Get("X-Trace"); v != "" {
			fmt.Fprintf(&b, " trace %s", v)
		}
		if len(body) > 0 {
			fmt.Fprintf(&b, " %s %q", r.Header.Get("Content-Type"), body)
		}
		a.mu.Lock()
		a.calls = append(a.calls, b.String())
		a.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(a.Close)
	return a
}

// What every language's driver prints, and what the API is asked meanwhile.
const transcript = `status up
pets 2 Rex,Tom
created 7 Rex Ada Tom kept
got Rex
error true 404 req-1 none no such pet
refused true
refused true
deleted true
photo seen
file hello
refused true
any PUT
timeout true
moved 302 /v1/elsewhere
`

var asked = []string{
	"GET /v1/",
	"GET /v1/pets?limit=2&tag=a+b%26%C3%BC trace t1",
	`POST /v1/pets application/json {"class":"mammal","name":"Rex 🐶","notes":{"a":"b"},"owner":{"name":"Ada","since":9007199254740991},"pet-kind":"a\"b\\c"}`,
	"GET /v1/pets/7%2F8%20%3F%23%25",
	"GET /v1/pets/missing",
	"DELETE /v1/pets/7",
	`PUT /v1/photos/7.jpg image/jpeg "\xff\xd8"`,
	"GET /v1/files/a/b%20c.txt",
	`PUT /v1/proxy application/json {"x":[1,2]}`,
	"GET /v1/slow",
	"GET /v1/moved",
}

// drive runs a program against the API, and compares what both saw.
func drive(t *testing.T, dir string, program string, args ...string) {
	t.Helper()
	a := newAPI(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append(args, a.URL+"/v1/")...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != transcript {
		t.Errorf("%v\n%s\nwant\n%s", err, out, transcript)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, c := range a.calls {
		a.calls[i] = normal(c)
	}
	if !slices.Equal(a.calls, asked) {
		t.Errorf("asked\n%s\nwant\n%s", strings.Join(a.calls, "\n"), strings.Join(asked, "\n"))
	}
}

// have finds a program, or ends the test with what was not tried.
func have(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("%s is not on this machine: this client is generated, but neither compiled nor run", program)
	}
	return path
}

func copied(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestJavaScript(t *testing.T) {
	t.Parallel()
	node := have(t, "node")
	dir := written(t, pets(t), sdk.Options{Language: "javascript", BaseURL: "http://localhost:1/none"})
	copied(t, "testdata/driver.mjs", filepath.Join(dir, "driver.mjs"))
	drive(t, dir, node, "driver.mjs")
}

func TestTypeScript(t *testing.T) {
	t.Parallel()
	dir := written(t, pets(t), sdk.Options{Language: "typescript", BaseURL: "http://localhost:1/none"})
	tsc, node := have(t, "tsc"), have(t, "node")
	if out, err := command(t, dir, tsc, "-p", "."); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	copied(t, "testdata/driver.mjs", filepath.Join(dir, "dist", "driver.mjs"))
	drive(t, dir, node, "dist/driver.mjs")
}

func command(t *testing.T, dir, program string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestPython(t *testing.T) {
	t.Parallel()
	py := have(t, "python3")
	dir := written(t, pets(t), sdk.Options{Language: "python", BaseURL: "http://localhost:1/none"})
	copied(t, "testdata/driver.py", filepath.Join(dir, "driver.py"))
	drive(t, dir, py, "-X", "utf8", "-W", "error", "driver.py")
	if mypy, err := exec.LookPath("mypy"); err == nil {
		if out, err := command(t, dir, mypy, "--strict", "."); err != nil && !strings.Contains(out, "driver.py") {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

func TestGo(t *testing.T) {
	t.Parallel()
	goTool := have(t, "go")
	dir := written(t, pets(t), sdk.Options{Language: "go", BaseURL: "http://localhost:1/none"})
	if err := os.Mkdir(filepath.Join(dir, "driver"), 0o755); err != nil {
		t.Fatal(err)
	}
	copied(t, "testdata/driver_go/main.go", filepath.Join(dir, "driver", "main.go"))
	if out, err := command(t, dir, goTool, "vet", "./..."); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	drive(t, dir, goTool, "run", "./driver")
}

func TestJava(t *testing.T) {
	t.Parallel()
	javac, java := have(t, "javac"), have(t, "java")
	dir := written(t, pets(t), sdk.Options{Language: "java", BaseURL: "http://localhost:1/none",
		Parameters: map[string]string{"serviceName": "Pets", "javaPackageName": "com.example.pets"}})
	copied(t, "testdata/Driver.java", filepath.Join(dir, "Driver.java"))
	sources, err := filepath.Glob(filepath.Join(dir, "src/main/java/com/example/pets/*.java"))
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"--release", "17", "-Xlint:all", "-Werror", "-d", filepath.Join(dir, "classes"), "Driver.java"}, sources...)
	if out, err := command(t, dir, javac, args...); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	drive(t, dir, java, "-cp", "classes", "Driver")
}

// The same deployment gives the same archive, with everything in one folder.
func TestZip(t *testing.T) {
	t.Parallel()
	d := pets(t)
	made := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, l := range sdk.Languages {
		var archives [2][]byte
		for i := range archives {
			c, err := sdk.Generate(d, sdk.Options{Language: l.ID, Parameters: parameters(l)})
			if err != nil {
				t.Fatal(err)
			}
			if archives[i], err = c.Zip(made); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(archives[0], archives[1]) {
			t.Errorf("%s: two archives of one deployment differ", l.ID)
		}
		z, err := zip.NewReader(bytes.NewReader(archives[0]), int64(len(archives[0])))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range z.File {
			if !strings.HasPrefix(f.Name, "pets-x-u000a-ltd-"+l.ID+"/") || !f.Modified.Equal(made) {
				t.Errorf("%s: %s of %s", l.ID, f.Name, f.Modified)
			}
		}
	}
}

// parameters are some for a language that needs them.
func parameters(l sdk.Language) map[string]string {
	out := map[string]string{}
	for _, p := range l.Parameters {
		out[p.Name] = p.Default
		if p.Default == "" {
			out[p.Name] = "Pets"
		}
	}
	return out
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	_, err := sdk.Generate(pets(t), sdk.Options{Language: "cobol"})
	if model.KindOf(err) != model.Invalid || !strings.Contains(model.MessageOf(err), "javascript") {
		t.Errorf("cobol: %v", err)
	}
	many := &model.Definition{Name: "Many", Resources: []model.Resource{{Path: "/", ID: "root"}}}
	for i := range sdk.MaxOperations + 1 {
		many.Resources = append(many.Resources, model.Resource{Path: fmt.Sprintf("/r%d", i), ID: fmt.Sprint(i), Methods: map[string]model.Method{"GET": {}}})
	}
	if _, err := sdk.Generate(many, sdk.Options{Language: "javascript"}); model.KindOf(err) != model.Limit {
		t.Errorf("too many: %v", err)
	}
}
