package reference

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tollgate/control/openapi"
	"tollgate/model"
)

// read makes a Doc of a document as an import would have it deployed.
func read(t testing.TB, source string) *Doc {
	t.Helper()
	in, err := openapi.Import([]byte(source), openapi.Options{Upstream: "https://upstream.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	d, err := New([]byte(source), &in.Definition)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

const pets = `openapi: 3.0.3
info: {title: Pets, version: "2", description: "All **pets** <script>alert(1)</script> [x](javascript:alert(1))"}
servers: [{url: "https://pets.example.com"}]
tags: [{name: animals, description: Those there are}]
paths:
  /pets:
    get:
      operationId: listPets
      tags: [animals]
      summary: List all pets
      parameters:
        - {name: limit, in: query, required: true, schema: {type: integer, minimum: 1, maximum: 100}}
      responses:
        200: {description: ok, content: {application/json: {schema: {type: array, items: {$ref: "#/components/schemas/Pet"}}}}}
    post:
      operationId: createPet
      tags: [animals]
      requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}
      responses: {"201": {description: made}}
  /pets/{petId}:
    parameters: [{name: petId, in: path, required: true, schema: {type: string}}]
    get: {summary: One pet, responses: {"200": {description: ok}, "404": {description: none}}}
components:
  schemas:
    Pet:
      type: object
      required: [name]
      properties:
        name: {type: string, minLength: 1, example: Rex}
        kind: {type: string, enum: [dog, cat]}
        parent: {$ref: "#/components/schemas/Pet"}
        tags: {type: object, additionalProperties: {type: string}}
`

func TestPage(t *testing.T) {
	t.Parallel()
	d := read(t, pets)
	if d.Title != "Pets" || d.Version != "2" || len(d.Operations) != 3 || len(d.Tags) != 2 || d.Tags[0].Name != "animals" {
		t.Fatalf("%+v", d)
	}
	if strings.Contains(d.Description, "script") || !strings.Contains(d.Description, "<strong>pets</strong>") {
		t.Errorf("description %q", d.Description)
	}
	p := d.Page(d.Operation("createPet"), "https://gw.example.com/prod")
	s := p.Body.Contents[0].Schema
	if s.Name != "Pet" || len(s.Properties) != 4 || !s.Properties[0].Required || s.Properties[1].Schema.Facts[0] != "one of dog, cat" ||
		!s.Properties[2].Schema.Cut || s.Properties[3].Schema.Values.Type != "string" {
		t.Errorf("schema %+v", s)
	}
	if e := p.Body.Contents[0].Examples[0].Text; !strings.Contains(e, `"name": "Rex"`) || !strings.Contains(e, `"kind": "dog"`) {
		t.Errorf("example %s", e)
	}
	if c := p.Samples[0].Code; !strings.HasPrefix(c, "curl -X POST 'https://gw.example.com/prod/pets'") || !strings.Contains(c, "-d '{") {
		t.Errorf("curl %s", c)
	}
	p = d.Page(d.Operation("listPets"), "")
	if len(p.Parameters) != 1 || p.Parameters[0].Schema.Facts[1] != "at most 100" || p.Responses[0].Contents[0].Schema.Items.Name != "Pet" || !strings.Contains(p.Samples[1].Code, "/pets?limit=1") {
		t.Errorf("%+v", p)
	}
	p = d.Page(d.Operation("GET-pets-petId"), "")
	if p.Parameters[0].In != "path" || p.Responses[1].Status != "404" {
		t.Errorf("%+v", p)
	}
}

// What is not deployed is not shown; what is deployed without a document is.
func TestOnlyWhatIsServed(t *testing.T) {
	t.Parallel()
	def := &model.Definition{Name: "Pets", Resources: []model.Resource{{Path: "/pets", Methods: map[string]model.Method{"GET": {APIKeyRequired: true}}},
		{Path: "/hand/{id}", Methods: map[string]model.Method{"PUT": {}}}}}
	d, err := New([]byte(pets), def)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Operations) != 2 || d.Operations[0].Slug != "listPets" || !d.Operations[0].KeyRequired || d.Operations[1].Slug != "PUT-hand-id" {
		t.Errorf("%+v", d.Operations)
	}
	if p := d.Page(d.Operations[1], ""); len(p.Parameters) != 1 || p.Parameters[0].Name != "id" {
		t.Errorf("%+v", p)
	}
	if d, err = New(nil, def); err != nil || len(d.Operations) != 2 {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	d := read(t, pets)
	for query, want := range map[string]string{
		"list pets": "listPets", "crea": "createPet", "creatPet": "createPet", "lsit": "listPets", "petId": "GET-pets-petId", "404": "GET-pets-petId",
		"animals list": "listPets", "nothing like it": "", "": "",
	} {
		got := ""
		if f := d.Search(query, 5); len(f) > 0 {
			got = f[0].Slug
		}
		if got != want {
			t.Errorf("%q finds %q, want %q", query, got, want)
		}
	}
}

func TestSwagger(t *testing.T) {
	t.Parallel()
	d := read(t, `{"swagger": "2.0", "info": {"title": "Old", "version": "1"}, "host": "x.example.com", "schemes": ["https"], "paths": {"/a": {"post": {
		"consumes": ["application/json"], "produces": ["application/json"],
		"parameters": [{"name": "b", "in": "body", "schema": {"$ref": "#/definitions/B"}}, {"name": "q", "in": "query", "type": "integer", "maximum": 5}],
		"responses": {"200": {"description": "ok", "schema": {"$ref": "#/definitions/B"}, "examples": {"application/json": {"x": 1}}}}}}},
		"definitions": {"B": {"type": "object", "properties": {"x": {"type": "integer"}}}}}`)
	p := d.Page(d.Operations[0], "")
	if p.Body == nil || p.Body.Contents[0].Schema.Name != "B" || p.Parameters[0].Schema.Type != "integer" || p.Responses[0].Contents[0].Examples[0].Text != "{\n  \"x\": 1\n}" {
		t.Errorf("%+v", p)
	}
}

// Operations that share a route, told apart by a query in their paths, are all
// shown; one that is called as the document's own address is has another.
func TestSharedRoutes(t *testing.T) {
	t.Parallel()
	d := read(t, `{"openapi": "3.0.3", "info": {"title": "Shared", "version": "1"}, "servers": [{"url": "https://x.example.com"}], "paths": {
		"/a?beta=true": {"get": {"operationId": "betaA", "parameters": [{"name": "q", "in": "query", "required": true, "schema": {"type": "integer"}}], "responses": {"200": {"description": "ok"}}}},
		"/a": {"get": {"operationId": "openapi", "responses": {"200": {"description": "ok"}}}},
		"/b#only": {"get": {"operationId": "b", "responses": {"200": {"description": "ok"}}}}}}`)
	var got []string
	for _, op := range d.Operations {
		got = append(got, op.Slug+" "+op.Path)
	}
	if want := []string{"betaA /a?beta=true", "openapi-2 /a", "b /b#only"}; !slices.Equal(got, want) {
		t.Fatalf("%q, want %q", got, want)
	}
	if code := d.Page(d.Operations[0], "https://gw").Samples[0].Code; !strings.Contains(code, "'https://gw/a?beta=true&q=1'") {
		t.Error(code)
	}
}

// Every operation of the largest documents has a page, at once.
func TestConformanceReference(t *testing.T) {
	dir := os.Getenv("TOLLGATE_CONFORMANCE")
	if dir == "" {
		t.Skip("TOLLGATE_CONFORMANCE does not name the folder with the documents")
	}
	files, err := filepath.Glob(filepath.Join(dir, "openapi", "*"))
	if err != nil || len(files) < 5 {
		t.Fatalf("%d documents, %v", len(files), err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil || len(b) < 1000 {
			continue
		}
		in, err := openapi.Import(b, openapi.Options{Upstream: "https://upstream.example.com"})
		if err != nil {
			continue
		}
		begun := time.Now()
		d, err := New(b, &in.Definition)
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		read := time.Since(begun)
		var worst, find time.Duration
		for _, op := range d.Operations {
			begun = time.Now()
			d.Page(op, "https://gw.example.com/prod")
			worst = max(worst, time.Since(begun))
		}
		for _, q := range []string{"create", "lsit members", "webhook mesage", "zzzzzzzzzz", "get user by id"} {
			begun = time.Now()
			d.Search(q, 50)
			find = max(find, time.Since(begun))
		}
		t.Logf("%-28s %5d KiB %5d operations: read in %v, slowest page %v, slowest search %v", filepath.Base(f), len(b)>>10, len(d.Operations), read.Round(time.Millisecond), worst.Round(10*time.Microsecond), find.Round(10*time.Microsecond))
		if len(d.Operations) == 0 && in.Operations > 0 {
			t.Errorf("%s: no operations of %d", f, in.Operations)
		}
	}
}

func TestSearchOverThousands(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("openapi: 3.0.3\ninfo: {title: Many, version: '1'}\nservers: [{url: 'https://x.example.com'}]\npaths:\n")
	for i := range 5000 {
		fmt.Fprintf(&b, "  /things%d-part%d: {get: {operationId: getThing%dOfPart, summary: 'Reads the %d. thing of %d', responses: {'200': {description: ok}}}}\n", i, i%97, i, i, i*7919%5000)
	}
	d := read(t, b.String())
	if f := d.Search("thing4711", 5); len(f) == 0 || f[0].ID != "getThing4711OfPart" {
		t.Errorf("found %+v", f)
	}
}

func BenchmarkSearch(b *testing.B) {
	var s strings.Builder
	s.WriteString("openapi: 3.0.3\ninfo: {title: Many, version: '1'}\nservers: [{url: 'https://x.example.com'}]\npaths:\n")
	for i := range 5000 {
		fmt.Fprintf(&s, "  /things%d-part%d: {get: {operationId: getThing%dOfPart, summary: 'Reads the %d. thing', responses: {'200': {description: ok}}}}\n", i, i%97, i, i)
	}
	d := read(b, s.String())
	for b.Loop() {
		d.Search("thnig partt", 20)
	}
}

// Whatever a document says, reading it ends and does not fail.
func FuzzNew(f *testing.F) {
	f.Add([]byte(pets))
	f.Add([]byte(`{"swagger":"2.0","paths":{"/a":{"$ref":"#/paths/~1a"}}}`))
	f.Add([]byte("a: &a [*a]"))
	def := &model.Definition{Name: "F", Resources: []model.Resource{{Path: "/pets", Methods: map[string]model.Method{"GET": {}, "POST": {}}}, {Path: "/a", Methods: map[string]model.Method{"GET": {}}}}}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := New(b, def)
		if err != nil {
			return
		}
		for _, op := range d.Operations {
			d.Page(op, "https://x")
		}
		d.Search(string(b[:min(len(b), 50)]), 10)
	})
}
