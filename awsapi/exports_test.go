package awsapi_test

import (
	"encoding/json"
	"strings"
	"testing"
)

const exportedDocument = `{"swagger":"2.0","info":{"title":"Pets","version":"1"},"paths":{"/pets/{petId}":{"get":{
	"parameters":[{"name":"petId","in":"path","required":true,"type":"string"}],"responses":{"200":{"description":"200 response"}},
	"x-amazon-apigateway-integration":{"responses":{"default":{"statusCode":"200"}},"requestParameters":{"integration.request.path.id":"method.request.path.petId"},
	"uri":"http://pets.example/pets/{id}","passthroughBehavior":"when_no_match","httpMethod":"GET","type":"http_proxy"}}}}}`

func TestImportAndExport(t *testing.T) {
	f := newFace(t)
	id := f.call("POST", "/restapis?mode=import&failonwarnings=true", exportedDocument).want(201).field("id")
	f.call("POST", "/restapis/"+id+"/deployments", map[string]any{"stageName": "local"}).want(201)
	r := f.call("GET", "/restapis/"+id+"/stages/local/exports/oas30?extensions=integrations", nil).want(200)
	if got := r.Header.Get("Content-Disposition"); got != `attachment; filename="oas30_1.json"` {
		t.Errorf("disposition %s", got)
	}
	if !json.Valid(r.Body) || !strings.Contains(string(r.Body), "http://pets.example/pets/{id}") {
		t.Errorf("no integration in %s", r.Body)
	}
	f.call("GET", "/restapis/"+id+"/stages/local/exports/raml", nil).want(400)
	f.call("GET", "/restapis/"+id+"/stages/other/exports/oas30", nil).wantError(404, "NotFoundException", "Invalid stage identifier specified")
	f.call("PUT", "/restapis/"+id+"?mode=overwrite&basepath=split", exportedDocument).want(200)
	f.call("PUT", "/restapis/"+id+"?mode=other", exportedDocument).want(400)
	f.call("POST", "/restapis?mode=import", "{").want(400)
	bad := strings.Replace(exportedDocument, `"method.request.path.petId"}`, "true}", 1)
	f.call("POST", "/restapis?mode=import&failonwarnings=true", bad).want(400)
	var out struct{ Warnings []string }
	f.call("POST", "/restapis?mode=import", bad).want(201).into(&out)
	if len(out.Warnings) != 1 {
		t.Errorf("warnings %q", out.Warnings)
	}
}

// The bytes that a client sends are kept as they were.
func TestImportKeepsTheDocument(t *testing.T) {
	f := newFace(t)
	doc := func(title string) string {
		return "openapi: 3.0.3   # as its author wrote it\ninfo: {title: " + title + ", version: '1'}\ntags: []\npaths:\n  /a: {get: {responses: {'200': {description: ok}}, x-amazon-apigateway-integration: {type: mock}}}\n"
	}
	id := f.call("POST", "/restapis?mode=import", doc("First")).want(201).field("id")
	kept := func() string {
		t.Helper()
		s, err := f.Source(t.Context(), f.owner.Actor, id)
		f.must(err)
		return string(s.Bytes)
	}
	if got := kept(); got != doc("First") {
		t.Errorf("kept %q", got)
	}
	f.call("PUT", "/restapis/"+id+"?mode=merge", strings.Replace(doc("Part"), "/a", "/b", 1)).want(200)
	if got := kept(); got != doc("First") {
		t.Errorf("after a part was merged: %q", got)
	}
	f.call("PUT", "/restapis/"+id+"?mode=overwrite", doc("Second")).want(200)
	if got := kept(); got != doc("Second") {
		t.Errorf("after it was overwritten: %q", got)
	}
	f.call("PUT", "/restapis/none?mode=overwrite", doc("x")).wantError(404, "NotFoundException", "Invalid API identifier specified "+f.owner.AccountID+":none")
}
