package awsapi_test

import (
	"fmt"
	"strings"
	"testing"

	"tollgate/control"
	"tollgate/model"
)

func TestDocumentationParts(t *testing.T) {
	f := newFace(t)
	_, at := f.newAPI()
	parts := at + "/documentation/parts"
	made := f.call("POST", parts, map[string]any{"location": map[string]any{"type": "API"}, "properties": `{"foo": "bar"}`}).want(201)
	id := made.field("id")
	want := `{"id":"` + id + `","location":{"type":"API"},"properties":"{\"foo\": \"bar\"}"}`
	made.wantJSON(201, want)
	f.call("GET", parts+"/"+id, nil).wantJSON(200, want)
	f.call("GET", parts, nil).wantJSON(200, `{"item":[`+want+`]}`)
	f.call("POST", parts, map[string]any{"location": map[string]any{"type": "API"}, "properties": `{}`}).
		wantError(409, "ConflictException", "Documentation part already exists for the specified location: type 'API'")
	for want, in := range map[string]map[string]any{
		"1 validation error detected: Value null at 'createDocumentationPartInput.location' failed to satisfy constraint: Member must not be null": {"properties": "{}"},
		"1 validation error detected: Value 'TOY' at 'createDocumentationPartInput.location.type' failed to satisfy constraint: Member must satisfy enum value set: [" +
			strings.Join(model.DocumentationTypes, ", ") + "]": {"location": map[string]any{"type": "TOY"}, "properties": "{}"},
		"Documentation part properties must be non-empty":             {"location": map[string]any{"type": "RESOURCE"}},
		"Documentation part properties must be a JSON object":         {"location": map[string]any{"type": "RESOURCE"}, "properties": "[1]"},
		"Invalid documentation location: type RESOURCE has no method": {"location": map[string]any{"type": "RESOURCE", "method": "GET"}, "properties": "{}"},
		"Invalid documentation location: type MODEL needs a name":     {"location": map[string]any{"type": "MODEL"}, "properties": "{}"},
	} {
		code := "BadRequestException"
		if strings.Contains(want, "validation error") {
			code = "ValidationException"
		}
		f.call("POST", parts, in).wantError(400, code, want)
	}
	f.call("PATCH", parts+"/"+id, steps{step("replace", "/properties", `{"a":1}`), step("replace", "/properties", "")}.body()).
		wantError(400, "BadRequestException", "Documentation part properties must be non-empty")
	f.call("PATCH", parts+"/"+id, steps{step("add", "/properties", "{}")}.body()).
		wantError(400, "BadRequestException", "Invalid patch path  '/properties' specified for op 'add'. Please choose supported operations")
	f.call("PATCH", parts+"/"+id, steps{step("replace", "/properties", `{"a":1}`)}.body()).
		wantJSON(200, `{"id":"`+id+`","location":{"type":"API"},"properties":"{\"a\":1}"}`)
	gone := "Invalid Documentation part identifier specified"
	f.call("GET", "/restapis/api_id/documentation/parts/"+id, nil).wantError(404, "NotFoundException", gone)
	f.call("PATCH", "/restapis/api_id/documentation/parts/"+id, steps{step("replace", "/properties", "{}")}.body()).wantError(404, "NotFoundException", gone)
	f.call("DELETE", "/restapis/api_id/documentation/parts/"+id, nil).wantError(404, "NotFoundException", "Invalid API identifier specified "+f.owner.AccountID+":api_id")
	f.call("DELETE", parts+"/"+id, nil).want(202)
	f.call("DELETE", parts+"/"+id, nil).wantError(404, "NotFoundException", gone)
}

// A part about a path, any method or any status is one about what is below it.
func TestUndocumented(t *testing.T) {
	f := newFace(t)
	api, at := f.newAPI()
	f.method(api, "/pets/{id}", "GET", model.Method{RequestParameters: map[string]bool{"method.request.path.id": true},
		Responses: map[string]model.MethodResponse{"200": {}, "404": {Parameters: map[string]bool{"method.response.header.X": true}}}})
	f.method(api, "/toys", "POST", model.Method{RequestModels: map[string]string{"application/json": "Empty"}})
	list := func(query string) string {
		var out struct {
			Item []struct{ Location model.DocumentationLocation }
		}
		f.call("GET", at+"/documentation/parts"+query, nil).want(200).into(&out)
		var places []string
		for _, p := range out.Item {
			places = append(places, strings.Join(strings.Fields(strings.Trim(fmt.Sprint(p.Location), "{}")), " "))
		}
		return strings.Join(places, ", ")
	}
	if got, want := list("?locationStatus=UNDOCUMENTED"), "API, METHOD /pets/{id} GET, METHOD /toys POST, MODEL Empty, MODEL Error, PATH_PARAMETER /pets/{id} GET id, REQUEST_BODY /toys POST, "+
		"RESOURCE /, RESOURCE /pets, RESOURCE /pets/{id}, RESOURCE /toys, RESPONSE /pets/{id} GET 200, RESPONSE /pets/{id} GET 404, RESPONSE_HEADER /pets/{id} GET 404 X"; got != want {
		t.Errorf("undocumented: %s\ninstead of     %s", got, want)
	}
	for _, l := range []map[string]any{{"type": "METHOD", "path": "/pets"}, {"type": "RESPONSE", "method": "GET", "statusCode": "404"}, {"type": "RESOURCE", "path": "/toys"}, {"type": "MODEL", "name": "Empty"}} {
		f.call("POST", at+"/documentation/parts", map[string]any{"location": l, "properties": "{}"}).want(201)
	}
	if got, want := list("?locationStatus=UNDOCUMENTED&type=METHOD"), "METHOD /toys POST"; got != want {
		t.Errorf("undocumented methods: %s", got)
	}
	if got, want := list("?locationStatus=UNDOCUMENTED&path=/pets/%7Bid%7D"), "PATH_PARAMETER /pets/{id} GET id, RESOURCE /pets/{id}, RESPONSE /pets/{id} GET 200, RESPONSE_HEADER /pets/{id} GET 404 X"; got != want {
		t.Errorf("undocumented at a path: %s", got)
	}
	if got := list("?locationStatus=DOCUMENTED&name=Empty"); got != "MODEL Empty" {
		t.Errorf("documented by name: %s", got)
	}
	if got := list("?path=/pets"); got != "METHOD /pets" {
		t.Errorf("documented at a path: %s", got)
	}
	f.call("GET", at+"/documentation/parts?locationStatus=x", nil).want(400)
}

func TestImportDocumentation(t *testing.T) {
	f := newFace(t)
	api, at := f.newAPI()
	parts := at + "/documentation/parts"
	doc := `{"swagger":"2.0","x-amazon-apigateway-documentation":{"documentationParts":[
		{"location":{"type":"API"},"properties":{"description":"Pets"}},{"location":{"type":"METHOD","path":"/","method":"GET"},"properties":{"summary":"All"}}]}}`
	var first, again struct{ IDs, Warnings []string }
	f.call("PUT", parts, doc).want(200).into(&first)
	f.call("PUT", parts+"?mode=merge", doc).want(200).into(&again)
	if len(first.IDs) != 2 || fmt.Sprint(first) != fmt.Sprint(again) {
		t.Errorf("merged %v, then %v", first, again)
	}
	f.call("GET", parts+"/"+first.IDs[0], nil).wantJSON(200, `{"id":"`+first.IDs[0]+`","location":{"type":"API"},"properties":"{\"description\":\"Pets\"}"}`)
	bad := `{"documentationParts":[{"location":{"type":"TOY"},"properties":{}},{"location":{"type":"API"},"properties":{"a":1}},{"location":{"type":"API"},"properties":{"a":2}}]}`
	r := f.call("PUT", parts+"?mode=overwrite&failonwarnings=true", bad).want(400)
	if !strings.HasPrefix(r.field("message"), "Warnings found during import:\n\t") {
		t.Errorf("refused with %s", r.Body)
	}
	if d, err := f.API(t.Context(), f.owner.Actor, api); err != nil || len(d.Definition.Documentation) != 2 {
		t.Errorf("changed by an import that failed: %+v %v", d.Definition.Documentation, err)
	}
	f.call("PUT", parts+"?mode=overwrite", bad).want(200).into(&again)
	if len(again.IDs) != 1 || len(again.Warnings) != 2 {
		t.Errorf("overwritten: %+v", again)
	}
	f.call("GET", parts, nil).wantJSON(200, `{"item":[{"id":"`+again.IDs[0]+`","location":{"type":"API"},"properties":"{\"a\":2}"}]}`)
	for _, body := range []string{"test:\n    value:\n        - \"value ... \"escaped\": $var, \"dt\": $(var +\"%a\")}\"\n        ", "{'key:value}", ""} {
		f.call("PUT", parts+"?mode=overwrite", body).wantError(400, "BadRequestException", "Unable to build importer with provided input.")
	}
	f.call("PUT", parts+"?mode=add", doc).want(400)
}

func TestDocumentationVersions(t *testing.T) {
	f := newFace(t)
	api, at := f.newAPI()
	versions := at + "/documentation/versions"
	f.call("POST", at+"/documentation/parts", map[string]any{"location": map[string]any{"type": "API"}, "properties": `{"v": 1}`}).want(201)
	made := f.call("POST", versions, map[string]any{"documentationVersion": "v1"}).want(201)
	if made.field("version") != "v1" || made.field("createdDate") == "0" || strings.Contains(string(made.Body), "description") {
		t.Errorf("made %s", made.Body)
	}
	f.call("POST", versions, map[string]any{"documentationVersion": "v1"}).want(409)
	f.call("POST", versions, nil).wantError(400, "ValidationException",
		"1 validation error detected: Value null at 'createDocumentationVersionInput.documentationVersion' failed to satisfy constraint: Member must not be null")
	if d := f.call("PATCH", versions+"/v1", steps{step("replace", "/description", "new")}.body()).want(200).field("description"); d != "new" {
		t.Errorf("described as %q", d)
	}
	// It keeps what the parts were.
	f.call("PUT", at+"/documentation/parts?mode=overwrite", `{"documentationParts":[]}`).want(200)
	v, err := f.DocumentationVersion(t.Context(), f.owner.Actor, api, "v1")
	if err != nil || len(v.Parts) != 1 || v.Parts[0].Properties != `{"v": 1}` {
		t.Errorf("kept %+v, %v", v, err)
	}
	f.call("POST", versions, map[string]any{"documentationVersion": "v2", "stageName": "prod"}).wantError(404, "NotFoundException", "Invalid stage identifier specified")
	f.method(api, "/pets", "GET", model.Method{Integration: &model.Integration{Type: model.IntegrationHTTPProxy, URI: "http://127.0.0.1:9/", HTTPMethod: "GET"}})
	_, err = f.Deploy(t.Context(), f.owner.Actor, control.Deploy{APIID: api, Stage: "prod"})
	f.must(err)
	f.call("POST", versions, map[string]any{"documentationVersion": "v2", "stageName": "prod"}).want(201)
	if s, err := f.Stage(t.Context(), f.owner.Actor, api, "prod"); err != nil || s.Settings.DocumentationVersion != "v2" {
		t.Errorf("the stage shows %q, %v", s.Settings.DocumentationVersion, err)
	}
	f.call("DELETE", versions+"/v2", nil).want(409)
	var all struct{ Item []struct{ Version string } }
	f.call("GET", versions, nil).want(200).into(&all)
	if fmt.Sprint(all.Item) != "[{v1} {v2}]" {
		t.Errorf("listed %+v", all)
	}
	f.call("DELETE", versions+"/v1", nil).want(202)
	f.call("GET", versions+"/v1", nil).wantError(404, "NotFoundException", "Invalid Documentation version specified")
	f.call("GET", "/restapis/nothing/documentation/versions", nil).wantError(404, "NotFoundException", "Invalid API identifier specified "+f.owner.AccountID+":nothing")
	f.call("DELETE", at, nil).want(202) // with what is left of them
}
