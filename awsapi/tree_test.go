package awsapi_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// Ten clients make 300 resources with a method each: none is lost, none fails, and
// pages of the list that are read meanwhile stay in order.
func TestParallelClients(t *testing.T) {
	f := newFace(t)
	r := f.call("POST", "/restapis", map[string]any{"name": "Wide"}).want(201)
	api, root := r.field("id"), r.field("rootResourceId")
	var wg sync.WaitGroup
	made := make(chan bool, 300)
	took := make([]time.Duration, 300)
	for client := range 10 {
		wg.Go(func() {
			for i := range 30 {
				part := fmt.Sprintf("c%dr%d", client, i)
				start := time.Now()
				r := f.call("POST", "/restapis/"+api+"/resources/"+root, map[string]any{"pathPart": part})
				took[30*client+i] = time.Since(start)
				if r.Status != 201 {
					t.Errorf("%s: %d %s", part, r.Status, r.Body)
					return
				}
				r = f.call("PUT", "/restapis/"+api+"/resources/"+r.field("id")+"/methods/GET", map[string]any{"authorizationType": "NONE"})
				if r.Status != 201 {
					t.Errorf("GET of %s: %d %s", part, r.Status, r.Body)
				}
				if i%10 == 0 {
					made <- true
				}
			}
		})
	}
	go func() { wg.Wait(); close(made) }()
	for range made { // a list for every tenth, while others go on
		if paths := f.paths(api); !slices.IsSorted(paths) || len(slices.Compact(slices.Clone(paths))) != len(paths) {
			t.Fatalf("a list that is read while it grows is out of order: %v", paths)
		}
	}
	if n := len(f.paths(api)); n != 301 {
		t.Errorf("%d resources instead of 301", n)
	}
	slices.Sort(took)
	t.Logf("a resource is made in %s, of twenty all but one in %s", took[len(took)/2], took[len(took)*19/20])
}

// paths lists an API's resources, page by page.
func (f *face) paths(api string) (out []string) {
	f.Helper()
	for position := ""; ; {
		var page struct {
			Position string
			Item     []struct{ Path string }
		}
		f.call("GET", "/restapis/"+api+"/resources?limit=50&position="+position, nil).want(200).into(&page)
		for _, r := range page.Item {
			out = append(out, r.Path)
		}
		if position = page.Position; position == "" {
			return out
		}
	}
}

// The tree keeps its rules: one variable among siblings, nothing below a greedy
// one, no name twice; what moves takes along what is below it.
func TestTree(t *testing.T) {
	f := newFace(t)
	r := f.call("POST", "/restapis", map[string]any{"name": "Tree"}).want(201)
	at, root := "/restapis/"+r.field("id"), r.field("rootResourceId")
	add := func(parent, part string) *reply {
		return f.call("POST", at+"/resources/"+parent, map[string]any{"pathPart": part})
	}
	pets := add(root, "pets").want(201).field("id")
	one := add(pets, "{petId}").want(201).field("id")
	add(root, "pets").wantError(409, "ConflictException", "Another resource with the same parent already has this name: pets")
	add(pets, "{name}").wantError(400, "BadRequestException", "A sibling ({petId}) of this resource already has a variable path part -- only one is allowed")
	greedy := add(one, "{proxy+}").want(201).field("id")
	add(greedy, "below").wantError(400, "BadRequestException", "Cannot create a child of a resource with a greedy path variable: {proxy+}")
	for _, bad := range []string{"", "a/b", "a b", "{", "{}", "ä\n"} {
		add(root, bad).want(400)
	}
	patch := func(id, path, value string) *reply {
		return f.call("PATCH", at+"/resources/"+id, map[string]any{"patchOperations": []any{map[string]any{"op": "replace", "path": path, "value": value}}})
	}
	patch(pets, "/parentId", one).wantError(400, "BadRequestException", "Resources cannot be cyclical.")
	patch(pets, "/colour", "red").wantError(400, "BadRequestException", "Invalid patch path  '/colour' specified for op 'replace'. Must be one of: [/pathPart, /parentId]")
	shop := add(root, "shop").want(201).field("id")
	if p := patch(pets, "/parentId", shop).want(200).field("path"); p != "/shop/pets" {
		t.Errorf("moved to %s", p)
	}
	if p := f.call("GET", at+"/resources/"+greedy, nil).want(200).field("path"); p != "/shop/pets/{petId}/{proxy+}" {
		t.Errorf("what was below is at %s", p)
	}
	f.call("DELETE", at+"/resources/"+root, nil).want(400)
	f.call("DELETE", at+"/resources/"+shop, nil).want(202)
	if p := f.paths(at[len("/restapis/"):]); !slices.Equal(p, []string{"/"}) {
		t.Errorf("left: %v", p)
	}
}

// A PATCH of which one step fails changes nothing.
func TestPatchIsAllOrNothing(t *testing.T) {
	f := newFace(t)
	at := "/restapis/" + f.call("POST", "/restapis", map[string]any{"name": "Before", "description": "As it was"}).want(201).field("id")
	f.call("PATCH", at, map[string]any{"patchOperations": []any{
		map[string]any{"op": "replace", "path": "/name", "value": "After"},
		map[string]any{"op": "replace", "path": "/minimumCompressionSize", "value": "-1"},
	}}).wantError(400, "BadRequestException", "Invalid minimum compression size, must be between 0 and 10485760")
	if n := f.call("GET", at, nil).want(200).field("name"); n != "Before" {
		t.Errorf("the name is %s", n)
	}
	f.call("PATCH", at, map[string]any{"patchOperations": []any{map[string]any{"op": "replace", "path": "/name", "value": "After"}}}).want(200)
	f.call("PATCH", at, `{"patchOperations": [{"op": "replace"}]}`).want(400)
	f.call("PATCH", at, `{"patchOperations": null}`).want(200)
}

// A clone has what guards the API that it is made from, and resources of its own:
// what is not sent is not given up.
func TestCloneKeepsGuards(t *testing.T) {
	f := newFace(t)
	const policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"execute-api:Invoke","Resource":"*"}]}`
	r := f.call("POST", "/restapis", map[string]any{
		"name": "Guarded", "description": "Keep out", "policy": policy, "apiKeySource": "AUTHORIZER", "disableExecuteApiEndpoint": true,
		"endpointConfiguration": map[string]any{"types": []string{"PRIVATE"}}, "binaryMediaTypes": []string{"image/png"},
	}).want(201)
	id, root := r.field("id"), r.field("rootResourceId")
	f.call("PUT", "/restapis/"+id+"/resources/"+root+"/methods/GET", map[string]any{"authorizationType": "AWS_IAM", "apiKeyRequired": true}).want(201)
	f.call("PUT", "/restapis/"+id+"/resources/"+root+"/methods/GET/integration", map[string]any{"type": "MOCK", "cacheNamespace": root}).want(201)
	clone := f.call("POST", "/restapis", map[string]any{"name": "Twin", "cloneFrom": id}).want(201)
	for _, name := range []string{"policy", "description", "apiKeySource", "disableExecuteApiEndpoint", "endpointConfiguration", "binaryMediaTypes"} {
		if was, is := r.field(name), clone.field(name); was != is {
			t.Errorf("%s is %s instead of %s", name, is, was)
		}
	}
	own := clone.field("rootResourceId")
	if own == root {
		t.Error("both have the same root")
	}
	m := f.call("GET", "/restapis/"+clone.field("id")+"/resources/"+own+"/methods/GET", nil).want(200)
	if a, k, n := m.field("authorizationType"), m.field("apiKeyRequired"), m.field("methodIntegration.cacheNamespace"); a != "AWS_IAM" || k != "true" || n != own {
		t.Errorf("the method has %s %s %s", a, k, n)
	}
	f.call("GET", "/restapis/"+id+"/resources/"+own, nil).want(404)
	f.call("GET", "/restapis/"+clone.field("id")+"/resources/"+root, nil).want(404)
	if n := f.call("POST", "/restapis", map[string]any{"name": "Open", "cloneFrom": id, "apiKeySource": "HEADER"}).want(201).field("apiKeySource"); n != "HEADER" {
		t.Errorf("what is sent is %s", n)
	}
}

// What can never work is refused when it is sent, in the service's words where they
// are known, and never in those of the program.
func TestNonsenseIsRefused(t *testing.T) {
	f := newFace(t)
	r := f.call("POST", "/restapis", map[string]any{"name": "Nonsense"}).want(201)
	api := "/restapis/" + r.field("id")
	get := api + "/resources/" + r.field("rootResourceId") + "/methods/GET"
	f.call("PUT", get, map[string]any{"authorizationType": "NONE"}).want(201)
	f.call("PUT", get+"/integration", map[string]any{"type": "MOCK"}).want(201)
	mapping := func(name string) string {
		return "Invalid mapping expression specified: Validation Result: warnings : [], errors : [Invalid mapping expression parameter specified: " + name + "]"
	}
	replace := func(path, value string) any {
		return map[string]any{"patchOperations": []any{map[string]any{"op": "replace", "path": path, "value": value}}}
	}
	type body = map[string]any
	for _, c := range []struct {
		verb, path    string
		body          any
		code, message string
	}{
		{"PUT", get + "/integration", body{}, "ValidationException", "1 validation error detected: Value null at 'putIntegrationInput.type' failed to satisfy constraint: Member must not be null"},
		{"PUT", get + "/integration", body{"type": "MOCK", "timeoutInMillis": 1}, "BadRequestException", "Timeout should be between 50 ms and 900000 ms"},
		{"PUT", get + "/integration", body{"type": "MOCK", "requestParameters": body{"x": "y"}}, "BadRequestException", mapping("x")},
		{"PUT", get + "/integration/responses/200", body{"responseParameters": body{"x": "y"}}, "BadRequestException", mapping("x")},
		{"PUT", get + "/responses/200", body{"responseParameters": body{"x": true}}, "BadRequestException", mapping("x")},
		{"PUT", get + "/responses/200", body{"responseParameters": body{"x": "y"}}, "SerializationException", "responseParameters is of the wrong type: string"},
		{"PUT", get + "/responses/200", []any{}, "SerializationException", "the body is of the wrong type: array"},
		{"PATCH", get + "/integration", replace("/timeoutInMillis", "-5"), "BadRequestException", "Timeout should be between 50 ms and 900000 ms"},
		{"PATCH", api, replace("/policy", "5"), "BadRequestException", "Invalid policy document. Please check the policy syntax and ensure that Principals are valid."},
		{"PATCH", api, replace("/endpointAccessMode", "OPEN"), "BadRequestException", "Invalid endpoint access mode specified: OPEN. Must be one of: [BASIC, STRICT]"},
		{"PATCH", api, body{"patchOperations": body{}}, "SerializationException", "patchOperations is of the wrong type: object"},
	} {
		f.call(c.verb, c.path, c.body).wantError(400, c.code, c.message)
	}
	f.call("PATCH", api, replace("/securityPolicy", "none")).want(400)
	f.call("PATCH", api, replace("/securityPolicy", "TLS_1_2")).want(200)
}
