package portal_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"tollgate/control"
	"tollgate/model"
	"tollgate/portal"
)

// Documents that nobody here wrote, as pages of a portal.
func TestConformancePortal(t *testing.T) {
	dir := os.Getenv("TOLLGATE_CONFORMANCE")
	if dir == "" {
		t.Skip("TOLLGATE_CONFORMANCE does not name the folder with the documents")
	}
	files, err := filepath.Glob(filepath.Join(dir, "openapi", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no documents in %s: %v", dir, err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		if name == "aws-extensions-bodies.json" { // a list of bodies, not a document
			continue
		}
		t.Run(name, func(t *testing.T) {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			visitLarge(t, src, name, 1, "creat mesage", "get", "zzzzzzzz")
		})
	}
}

// The same with a document that needs no folder: 1,500 operations with schemas
// that name each other.
func TestLargeDocument(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("takes some seconds, and minutes under the race detector")
	}
	type object = map[string]any
	paths, schemas := object{}, object{}
	text := "What it is for, when to use it, and what it does not do, said at the length that authors of large documents say such things."
	for i := range 375 {
		ref := func(n int) object { return object{"$ref": fmt.Sprintf("#/components/schemas/Thing%d", n%375)} }
		properties := object{"next": ref(i + 1), "others": object{"type": "array", "items": ref(i * 7)}}
		for j := range 20 {
			properties[fmt.Sprintf("field%d", j)] = object{"type": "string", "description": text}
		}
		schemas[fmt.Sprintf("Thing%d", i)] = object{"type": "object", "description": text, "properties": properties}
		body := object{"content": object{"application/json": object{"schema": ref(i)}}}
		answer := object{"200": object{"description": text, "content": object{"application/json": object{"schema": ref(i)}}}}
		id := []any{object{"name": "id", "in": "path", "required": true, "schema": object{"type": "string"}}}
		paths[fmt.Sprintf("/things%d", i)] = object{
			"get":  object{"operationId": fmt.Sprintf("listThing%d", i), "summary": fmt.Sprintf("List thing %d", i), "description": text, "responses": answer},
			"post": object{"operationId": fmt.Sprintf("createThing%d", i), "summary": fmt.Sprintf("Create thing %d", i), "requestBody": body, "responses": answer},
		}
		paths[fmt.Sprintf("/things%d/{id}", i)] = object{
			"get": object{"operationId": fmt.Sprintf("getThing%d", i), "summary": fmt.Sprintf("Get thing %d", i), "parameters": id, "responses": answer},
			"put": object{"operationId": fmt.Sprintf("putThing%d", i), "summary": fmt.Sprintf("Put thing %d", i), "parameters": id, "requestBody": body, "responses": answer},
		}
	}
	src, err := json.Marshal(object{"openapi": "3.0.3", "info": object{"title": "Things", "version": "1", "description": text},
		"servers": []any{object{"url": "https://upstream.example.com"}}, "paths": paths, "components": object{"schemas": schemas}})
	if err != nil {
		t.Fatal(err)
	}
	visitLarge(t, src, "things.json", 5, "creat thnig 299", "list", "zzzzzzzz")
}

// A reference is read once for a deployment, and a large one before anybody asks.
func TestShelf(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	source := func(size int) control.ImportAPI {
		return control.ImportAPI{Source: []byte(petsDocument + "x-filler: '" + strings.Repeat("x", size) + "'\n"), Upstream: "https://upstream.example.com"}
	}
	publish := func(in control.ImportAPI) (api, deployment string) {
		i, err := w.ImportAPI(t.Context(), w.owner, in)
		w.must(err)
		d, err := w.Deploy(t.Context(), w.owner, control.Deploy{APIID: i.API.ID, Stage: "prod"})
		w.must(err)
		w.must(w.PublishAPI(t.Context(), w.owner, i.API.ID, "prod", ""))
		return i.API.ID, d.Stage.DeploymentID
	}
	small, _ := publish(source(0))
	large, first := publish(source(portal.LargeDocument))
	shelved := func(api string) string { return w.server.Shelved(w.owner.Tenant, api) }
	w.server.Warm(t.Context())
	if shelved(small) != "" || shelved(large) != first {
		t.Errorf("on the shelf before anybody asked: small %q, large %q", shelved(small), shelved(large))
	}
	b := w.browser()
	b.get("apis/" + small).want(200)
	if shelved(small) == "" {
		t.Error("what was asked for is not kept")
	}
	_, err := w.UpdateDefinition(t.Context(), w.owner, large, 0, func(d *model.Definition) error { d.Description = "Anew"; return nil })
	w.must(err)
	d, err := w.Deploy(t.Context(), w.owner, control.Deploy{APIID: large, Stage: "prod"})
	w.must(err)
	b.get("apis/"+large).want(200, "List all pets")
	if shelved(large) != d.Stage.DeploymentID || d.Stage.DeploymentID == first {
		t.Error("the deployment that was replaced is shown")
	}
	// A portal that was taken down has nothing read for it.
	_, err = w.UpsertPortal(t.Context(), w.owner, func(p *control.PortalSpec) error { p.Published = false; return nil })
	w.must(err)
	if l, err := w.LargeDocuments(t.Context(), 1); err != nil || slices.ContainsFunc(l, func(d control.PortalDocument) bool { return d.Tenant == w.owner.Tenant }) {
		t.Errorf("%+v, %v", l, err)
	}
}

// written is what a document calls its operations, by "GET /path".
func written(t *testing.T, src []byte) map[string]string {
	var doc struct {
		Paths map[string]map[string]any
	}
	read := yaml.Unmarshal
	if src[0] == '{' {
		read = json.Unmarshal // not all of JSON is YAML
	}
	if err := read(src, &doc); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for path, item := range doc.Paths {
		for verb, op := range item {
			op, ok := op.(map[string]any)
			if !ok || !slices.Contains([]string{"get", "post", "put", "patch", "delete", "head", "options"}, verb) {
				continue
			}
			call := strings.ToUpper(verb) + " " + path
			out[call] = call
			for _, key := range []string{"operationId", "summary"} {
				if s, _ := op[key].(string); strings.TrimSpace(s) != "" {
					out[call] = strings.TrimSpace(s)
				}
			}
		}
	}
	return out
}

var (
	opRow  = regexp.MustCompile(`(?s)<tr data-href>.*?href="[^"]*/apis/[^/"]+/([A-Za-z0-9_-]+)".*?class="method[^>]*>([A-Z]+)</span>\s*<code>(.*?)</code>`)
	opHead = regexp.MustCompile(`(?s)<h1>(.*?)</h1>.*?class="method[^>]*>([A-Z]+)</span>\s*<code>(.*?)</code>`)
)

// visitLarge publishes a document and visits its operations (each, every fifth, …),
// and those that took longest again: an operation's page has 50 ms, a search 100 ms.
func visitLarge(t *testing.T, src []byte, name string, every int, searches ...string) {
	w := newWorld(t)
	in, err := w.ImportAPI(t.Context(), w.owner, control.ImportAPI{Source: src, SourceName: name, Upstream: "https://upstream.example.com"})
	w.must(err)
	_, err = w.Deploy(t.Context(), w.owner, control.Deploy{APIID: in.API.ID, Stage: "prod"})
	w.must(err)
	w.must(w.PublishAPI(t.Context(), w.owner, in.API.ID, "prod", name))
	b := w.browser()
	begun := time.Now()
	w.server.Warm(t.Context())
	warmed := time.Since(begun)
	begun = time.Now()
	front := b.get("apis/" + in.API.ID).want(200).body
	first := time.Since(begun)
	links := map[string]string{}
	for _, m := range opRow.FindAllStringSubmatch(front, -1) {
		links[m[2]+" "+html.UnescapeString(m[3])] = m[1]
	}
	visit := func(path string) (string, time.Duration) {
		begun := time.Now()
		body := b.get(path).want(200).body
		return body, time.Since(begun)
	}
	// quickest judges by the quickest of three visits. Other tests run beside, so it
	// goes on where that was slow, and a page that takes no work tells how slow
	// everything is now.
	quickest := func(path string, limit time.Duration) time.Duration {
		page, least := time.Hour, time.Hour
		for i := 0; i < 3 || i < 20 && page > limit; i++ {
			_, took := visit(path)
			page = min(page, took)
			_, took = visit("robots.txt")
			least = min(least, took)
		}
		if page > limit && page > 10*least && !raceDetector {
			t.Errorf("%s takes %v, more than %v; a page without work takes %v", path, page, limit, least)
		}
		return page
	}
	operations := written(t, src)
	if len(operations) != in.Operations || len(links) != len(operations) {
		t.Errorf("%d operations are linked and %d were imported, of %d", len(links), in.Operations, len(operations))
	}
	type timed struct {
		path, call string
		took       time.Duration
	}
	var visited []timed
	if raceDetector { // which takes ten times as long
		every *= 10
	}
	nth := 0
	for call, called := range operations {
		if links[call] == "" {
			t.Errorf("%s is not on the API's page", call)
			continue
		}
		if nth++; nth%every != 0 && len(operations) > 20 {
			continue
		}
		path := "apis/" + in.API.ID + "/" + links[call]
		body, took := visit(path)
		visited = append(visited, timed{path, call, took})
		if m := opHead.FindStringSubmatch(body); m == nil || html.UnescapeString(m[1]) != called || m[2]+" "+html.UnescapeString(m[3]) != call {
			t.Errorf("the page of %s %q is headed %q", call, called, m)
		}
	}
	slices.SortFunc(visited, func(a, b timed) int { return cmp.Compare(b.took, a.took) })
	var slowest, search time.Duration
	worst := ""
	for _, v := range visited[:min(len(visited), 20)] {
		if took := quickest(v.path, 50*time.Millisecond); took > slowest {
			slowest, worst = took, v.call
		}
	}
	for _, q := range searches {
		search = max(search, quickest("search?q="+url.QueryEscape(q), 100*time.Millisecond))
	}
	t.Logf("%d KiB, %d operations: read in %v, first page %v, slowest operation %v (%s), slowest search %v", len(src)>>10, len(operations),
		warmed.Round(time.Millisecond), first.Round(time.Millisecond), slowest.Round(time.Millisecond), worst, search.Round(time.Millisecond))
}
