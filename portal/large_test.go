package portal_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"tollgate/control"
	"tollgate/model"
)

// The largest documents there are, as pages of a portal.
func TestConformancePortal(t *testing.T) {
	dir := os.Getenv("TOLLGATE_CONFORMANCE")
	if dir == "" {
		t.Skip("TOLLGATE_CONFORMANCE does not name the folder with the documents")
	}
	for _, file := range []string{"openai-3.1.yaml", "discord-3.1.json", "twilio-3.0.json"} {
		t.Run(file, func(t *testing.T) {
			src, err := os.ReadFile(filepath.Join(dir, "openapi", file))
			if err != nil {
				t.Fatal(err)
			}
			visitLarge(t, src, file, "creat mesage")
		})
	}
}

// The same with a document that needs no folder: 1,200 operations with schemas
// that name each other.
func TestLargeDocument(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("takes some seconds, and minutes under the race detector")
	}
	type object = map[string]any
	paths, schemas := object{}, object{}
	text := "What it is for, when to use it, and what it does not do, said at the length that authors of large documents say such things."
	for i := range 300 {
		ref := func(n int) object { return object{"$ref": fmt.Sprintf("#/components/schemas/Thing%d", n%300)} }
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
	visitLarge(t, src, "things.json", "creat thnig 299")
}

// visitLarge publishes a document and visits every operation of it. Each page has
// its time (50 ms, a search 100 ms) from the first one after the reference was
// read; of three visits the quickest counts, because other tests run beside.
func visitLarge(t *testing.T, src []byte, name, search string) {
	w := newWorld(t)
	in, err := w.ImportAPI(t.Context(), w.owner, control.ImportAPI{Source: src, SourceName: name, Upstream: "https://upstream.example.com"})
	w.must(err)
	if _, err := w.Deploy(t.Context(), w.owner, control.Deploy{APIID: in.API.ID, Stage: "prod"}); model.KindOf(err) == model.Invalid {
		t.Skipf("it cannot be deployed: %v", err)
	} else {
		w.must(err)
	}
	w.must(w.PublishAPI(t.Context(), w.owner, in.API.ID, "prod", name))
	b := w.browser()
	begun := time.Now()
	front := b.get("apis/" + in.API.ID).want(200).body
	first := time.Since(begun)
	var links []string
	for _, l := range regexp.MustCompile(`/apis/`+in.API.ID+`/([A-Za-z0-9_-]+)"`).FindAllStringSubmatch(front, -1) {
		links = append(links, l[1])
	}
	slices.Sort(links)
	links = slices.DeleteFunc(slices.Compact(links), func(l string) bool { return l == "openapi" })
	if len(links) != in.API.Methods {
		t.Errorf("%d operations are linked, of %d", len(links), in.API.Methods)
	}
	visit := func(path string) time.Duration {
		quickest := time.Hour
		for range 3 {
			begun := time.Now()
			b.get(path).want(200)
			if quickest = min(quickest, time.Since(begun)); quickest < 20*time.Millisecond {
				break
			}
		}
		return quickest
	}
	var slowest time.Duration
	worst := ""
	for _, l := range links {
		if d := visit("apis/" + in.API.ID + "/" + l); d > slowest {
			slowest, worst = d, l
		}
	}
	found := visit("search?q=" + regexp.MustCompile(` `).ReplaceAllString(search, "+"))
	t.Logf("%d KiB, %d operations: first page %v, slowest operation %v (%s), search %v", len(src)>>10, in.Operations,
		first.Round(time.Millisecond), slowest.Round(time.Millisecond), worst, found.Round(time.Millisecond))
	if !raceDetector && (slowest > 50*time.Millisecond || found > 100*time.Millisecond) {
		t.Error("a page takes more than 50 ms, or a search more than 100 ms")
	}
}
