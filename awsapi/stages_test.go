package awsapi_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"tollgate/awsapi"
	"tollgate/model"
)

// mockAPI is an API that can be deployed.
func (f *face) mockAPI() string {
	f.Helper()
	id := f.call("POST", "/restapis", map[string]any{"name": "Pets"}).want(201).field("id")
	_, err := f.UpdateDefinition(f.Context(), f.owner.Actor, id, 0, func(d *model.Definition) error {
		for i := range d.Resources {
			d.Resources[i].Methods = map[string]model.Method{"GET": {AuthorizationType: model.AuthNone, Integration: model.FixedMock(200, "text/plain", "hello")}}
		}
		return nil
	})
	f.must(err)
	return id
}

type op map[string]any

func patching(ops ...op) map[string]any { return map[string]any{"patchOperations": ops} }

func replacing(path, value string) map[string]any {
	return patching(op{"op": "replace", "path": path, "value": value})
}

// like ends the test unless the answer is this JSON, but for times.
func (r *reply) like(status int, want string) {
	r.Helper()
	var got, expected any
	r.want(status).into(&got)
	if err := json.Unmarshal([]byte(want), &expected); err != nil {
		r.Fatal(err)
	}
	if m, ok := got.(map[string]any); ok {
		for _, k := range []string{"createdDate", "lastUpdatedDate"} {
			if n, ok := m[k].(float64); ok && n > 1.7e9 {
				delete(m, k)
			}
		}
	}
	if !reflect.DeepEqual(got, expected) {
		r.Errorf("%s: %s\ninstead of %s", r.call, r.Body, want)
	}
}

func TestDeployments(t *testing.T) {
	f := newFace(t)
	empty := f.call("POST", "/restapis", map[string]any{"name": "Empty"}).want(201).field("id")
	f.call("POST", "/restapis/"+empty+"/deployments", nil).wantError(400, "BadRequestException", "The REST API doesn't contain any methods")
	f.call("POST", "/restapis/nosuch/deployments", nil).wantError(404, "NotFoundException", "Invalid API identifier specified "+f.owner.AccountID+":nosuch")

	api := f.mockAPI()
	all := "/restapis/" + api + "/deployments"
	first := f.call("POST", all, op{"description": "one"}).want(201).field("id")
	f.call("GET", all+"/"+first, nil).like(200, `{"id": "`+first+`", "description": "one"}`)
	f.call("GET", all+"/"+first+"?embed=apisummary", nil).like(200,
		`{"id": "`+first+`", "description": "one", "apiSummary": {"/": {"GET": {"authorizationType": "NONE", "apiKeyRequired": false}}}}`)
	f.call("GET", all+"/nosuch", nil).wantError(404, "NotFoundException", "Invalid Deployment identifier specified")

	f.call("PATCH", all+"/"+first, replacing("/description", "new")).like(200, `{"id": "`+first+`", "description": "new"}`)
	f.call("PATCH", all+"/"+first, replacing("/stage", "x")).wantError(400, "BadRequestException",
		"Invalid patch path  '/stage' specified for op 'replace'. Must be one of: [/description]")
	f.call("PATCH", all+"/"+first, patching(op{"op": "replace", "path": "/description", "value": "newer"}, op{"op": "add", "path": "/description"})).want(400)
	f.call("GET", all+"/"+first, nil).like(200, `{"id": "`+first+`", "description": "new"}`)
	f.call("PATCH", all+"/nosuch", replacing("/description", "new")).want(404)

	second := f.call("POST", all, op{"stageName": "dev", "stageDescription": "for trying", "variables": op{"a": "b"}, "tracingEnabled": true,
		"cacheClusterEnabled": true, "cacheClusterSize": "1.6"}).want(201).field("id")
	dev := "/restapis/" + api + "/stages/dev"
	f.call("GET", dev, nil).like(200, `{"deploymentId": "`+second+`", "stageName": "dev", "description": "for trying", "variables": {"a": "b"}, "tracingEnabled": true,
		"cacheClusterEnabled": true, "cacheClusterSize": "1.6", "cacheClusterStatus": "AVAILABLE", "methodSettings": {}}`)
	f.call("POST", all, op{"stageName": "dev", "cacheClusterSize": "2"}).wantError(400, "ValidationException", "1 validation error detected: Value '2' at "+
		"'createDeploymentInput.cacheClusterSize' failed to satisfy constraint: Member must satisfy enum value set: [0.5, 1.6, 6.1, 13.5, 28.4, 58.2, 118, 237]")

	// A canary leaves what the stage serves, and is in the way of its deletion as well.
	third := f.call("POST", all, op{"stageName": "dev", "canarySettings": op{"percentTraffic": 50, "stageVariableOverrides": op{"a": "c"}}}).want(201).field("id")
	r := f.call("GET", dev, nil)
	if r.field("deploymentId") != second || r.field("canarySettings") != `{"deploymentId":"`+third+`","percentTraffic":50,"stageVariableOverrides":{"a":"c"},"useStageCache":false}` {
		t.Errorf("a canary: %s", r.Body)
	}
	f.call("POST", all, op{"stageName": "other", "canarySettings": op{"percentTraffic": 50}}).wantError(404, "NotFoundException", "Invalid stage identifier specified")
	f.call("POST", all, op{"canarySettings": op{"percentTraffic": 50}}).want(400)
	for _, id := range []string{second, third} {
		f.call("DELETE", all+"/"+id, nil).wantError(400, "BadRequestException", "Active stages pointing to this deployment must be moved or deleted")
	}
	if r := f.call("DELETE", all+"/"+first, nil).want(202); len(r.Body) != 0 {
		t.Errorf("a deletion answers %s", r.Body)
	}
	f.call("DELETE", all+"/"+first, nil).wantError(404, "NotFoundException", "Invalid Deployment identifier specified")

	var page struct {
		Position string
		Item     []struct{ ID string }
	}
	f.call("GET", all+"?limit=1", nil).want(200).into(&page)
	if len(page.Item) != 1 || page.Item[0].ID != third || page.Position == "" {
		t.Errorf("a page: %+v", page)
	}
	f.call("GET", all+"?limit=1&position="+page.Position+"&embed=apisummary", nil).want(200).into(&page)
	if len(page.Item) != 1 || page.Item[0].ID != second {
		t.Errorf("the next page: %+v", page)
	}

	// What the gateway does not act on is not put on a stage.
	_, err := f.UpdateDefinition(t.Context(), f.owner.Actor, api, 0, func(d *model.Definition) error {
		d.Endpoint = &model.Endpoint{Types: []string{model.EndpointPrivate}}
		return nil
	})
	f.must(err)
	if r := f.call("POST", all, op{"stageName": "dev"}).want(400); !strings.Contains(string(r.Body), "doesn't have a resource policy") {
		t.Errorf("a private endpoint: %s", r.Body)
	}
	held := f.call("POST", all, nil).want(201).field("id")
	f.call("PATCH", dev, replacing("/deploymentId", held)).want(400)
	f.call("POST", "/restapis/"+api+"/stages", op{"stageName": "held", "deploymentId": held}).want(400)
}

// The life of a stage, as the service was recorded.
func TestStages(t *testing.T) {
	f := newFace(t)
	api := f.mockAPI()
	stages := "/restapis/" + api + "/stages"
	first := f.call("POST", "/restapis/"+api+"/deployments", nil).want(201).field("id")
	second := f.call("POST", "/restapis/"+api+"/deployments", nil).want(201).field("id")
	const rest = `"cacheClusterEnabled": false, "cacheClusterStatus": "NOT_AVAILABLE"`
	f.call("POST", stages, op{"stageName": "s1", "deploymentId": first, "description": "my stage", "documentationVersion": "v123", "tags": op{"k": "v"}}).
		like(201, `{"deploymentId": "`+first+`", "description": "my stage", "documentationVersion": "v123", "methodSettings": {}, "stageName": "s1", "tracingEnabled": false,
			"tags": {"k": "v"}, `+rest+`}`)
	f.call("POST", stages, op{"stageName": "s1", "deploymentId": first}).wantError(409, "ConflictException", "Stage already exists")
	f.call("POST", stages, op{"stageName": "s2", "deploymentId": "nosuch"}).wantError(400, "BadRequestException", "Deployment id does not exist")
	f.call("POST", stages, op{"stageName": "no good", "deploymentId": first}).want(400)

	s1 := stages + "/s1"
	f.call("PATCH", s1, patching(
		op{"op": "replace", "path": "/description", "value": "stage new"}, op{"op": "replace", "path": "/variables/var1", "value": "test"},
		op{"op": "replace", "path": "/variables/var2", "value": "test2"}, op{"op": "replace", "path": "/*/*/throttling/burstLimit", "value": "123"},
		op{"op": "replace", "path": "/*/*/caching/enabled", "value": "true"}, op{"op": "replace", "path": "/tracingEnabled", "value": "true"},
		op{"op": "replace", "path": "/test/GET/throttling/burstLimit", "value": "124"})).want(200)
	setting := func(burst string) string {
		return `{"cacheDataEncrypted": false, "cacheTtlInSeconds": 300, "cachingEnabled": true, "dataTraceEnabled": false, "metricsEnabled": false,
			"requireAuthorizationForCacheControl": true, "throttlingBurstLimit": ` + burst + `, "throttlingRateLimit": 10000, "unauthorizedCacheControlHeaderStrategy": "SUCCEED_WITH_RESPONSE_HEADER"}`
	}
	f.call("PATCH", s1, replacing("/*/*/throttling/burstLimit", "100")).like(200, `{"deploymentId": "`+first+`", "description": "stage new", "documentationVersion": "v123",
		"methodSettings": {"*/*": `+setting("100")+`, "test/GET": `+setting("124")+`}, "stageName": "s1", "tracingEnabled": true, "variables": {"var1": "test", "var2": "test2"},
		"tags": {"k": "v"}, `+rest+`}`)
	// The console's throttle is the same.
	s, err := f.Stage(t.Context(), f.owner.Actor, api, "s1")
	f.must(err)
	if *s.Throttle != (model.Throttle{Rate: 10000, Burst: 100}) {
		t.Errorf("throttle %+v", s.Throttle)
	}
	if r := f.call("PATCH", s1, replacing("/~1pets~1{id}/GET/logging/loglevel", "INFO")).want(200); !strings.Contains(string(r.Body), `"~1pets~1{id}/GET":{"metricsEnabled":false,"loggingLevel":"INFO"`) {
		t.Errorf("a nested path: %s", r.Body)
	}
	f.call("PATCH", s1, patching(op{"op": "remove", "path": "/test/GET"}, op{"op": "remove", "path": "/~1pets~1{id}/GET"}, op{"op": "remove", "path": "/*/*"},
		op{"op": "remove", "path": "/variables/var1"}, op{"op": "replace", "path": "/tracingEnabled", "value": "false"})).
		like(200, `{"deploymentId": "`+first+`", "description": "stage new", "documentationVersion": "v123", "methodSettings": {}, "stageName": "s1", "tracingEnabled": false,
			"variables": {"var2": "test2"}, "tags": {"k": "v"}, `+rest+`}`)

	f.call("POST", stages, op{"stageName": "a", "deploymentId": second}).want(201)
	var l struct{ Item []struct{ StageName string } }
	f.call("GET", stages, nil).want(200).into(&l)
	if len(l.Item) != 2 || l.Item[0].StageName != "a" {
		t.Errorf("stages %+v", l)
	}
	f.call("GET", stages+"?deploymentId="+first, nil).want(200).into(&l)
	if len(l.Item) != 1 || l.Item[0].StageName != "s1" {
		t.Errorf("stages of one deployment %+v", l)
	}
	for _, cache := range []string{"data", "authorizers"} {
		f.call("DELETE", s1+"/cache/"+cache, nil).want(202)
		f.call("DELETE", stages+"/nosuch/cache/"+cache, nil).wantError(404, "NotFoundException", "Invalid stage identifier specified")
	}
	if r := f.call("DELETE", s1, nil).want(202); len(r.Body) != 0 {
		t.Errorf("a deletion answers %s", r.Body)
	}
	for _, verb := range []string{"GET", "DELETE"} {
		f.call(verb, s1, nil).wantError(404, "NotFoundException", "Invalid stage identifier specified")
	}
	f.call("PATCH", s1, replacing("/description", "x")).wantError(404, "NotFoundException", "Invalid stage identifier specified")
	f.call("GET", "/restapis/nosuch/stages", nil).want(404)
	if r := f.call("POST", stages, op{"stageName": "s1", "deploymentId": first}).want(201); strings.Contains(string(r.Body), `"tags"`) {
		t.Errorf("a stage made anew has the tags of the old: %s", r.Body)
	}
}

func TestStageCanary(t *testing.T) {
	f := newFace(t)
	api := f.mockAPI()
	dev := "/restapis/" + api + "/stages/dev"
	first := f.call("POST", "/restapis/"+api+"/deployments", op{"stageName": "dev", "variables": op{"a": "1", "b": "1"}}).want(201).field("id")
	second := f.call("POST", "/restapis/"+api+"/deployments", nil).want(201).field("id")
	promote := patching(op{"op": "copy", "path": "/variables", "from": "/canarySettings/stageVariableOverrides"},
		op{"op": "copy", "path": "/deploymentId", "from": "/canarySettings/deploymentId"}, op{"op": "remove", "path": "/canarySettings"})
	f.call("PATCH", dev, promote).wantError(400, "BadRequestException", "Promotion not available. Canary does not exist.")
	canary := func(want string, ops ...op) {
		t.Helper()
		r := f.call("PATCH", dev, patching(ops...)).want(200)
		if got := r.field("canarySettings"); got != want || r.field("deploymentId") != first {
			t.Errorf("%v: %s", ops, r.Body)
		}
	}
	canary(`{"deploymentId":"`+first+`","percentTraffic":50,"useStageCache":false}`, op{"op": "replace", "path": "/canarySettings/percentTraffic", "value": "50"})
	canary(`{"deploymentId":"`+second+`","percentTraffic":0,"stageVariableOverrides":{"a":"2"},"useStageCache":true}`,
		op{"op": "replace", "path": "/canarySettings/percentTraffic", "value": "0.0"}, op{"op": "replace", "path": "/canarySettings/deploymentId", "value": second},
		op{"op": "replace", "path": "/canarySettings/stageVariableOverrides/a", "value": "2"}, op{"op": "replace", "path": "/canarySettings/stageVariableOverrides/c", "value": "2"},
		op{"op": "remove", "path": "/canarySettings/stageVariableOverrides/c"}, op{"op": "replace", "path": "/canarySettings/useStageCache", "value": "true"})
	r := f.call("PATCH", dev, promote).want(200)
	if r.field("deploymentId") != second || r.field("variables") != `{"a":"2","b":"1"}` || strings.Contains(string(r.Body), "canary") {
		t.Errorf("promoted: %s", r.Body)
	}
}

// The service's own words, as recorded, and nothing changed by a refused PATCH.
func TestStageRefusals(t *testing.T) {
	f := newFace(t)
	api := f.mockAPI()
	dev := "/restapis/" + api + "/stages/dev"
	id := f.call("POST", "/restapis/"+api+"/deployments", op{"stageName": "dev"}).want(201).field("id")
	before := f.call("GET", dev, nil).want(200)
	const accessLog = "Invalid accessLogSettings path. Must be one of : [/accessLogSettings/destinationArn, /accessLogSettings/format]"
	const list = ". Must be one of: [" + awsapi.StagePaths + "]"
	for _, c := range []struct{ op, path, value, want string }{
		{"add", "/accessLogSettings/randomValue", "updated", accessLog},
		{"replace", "/accessLogSettings/*", "updated", accessLog},
		{"replace", "/accessLogSettings", "test", accessLog},
		{"replace", "/accessLogSettings/destinationArn", "", "Access Log value must not be empty"},
		{"replace", "/accessLogSettings/format", "", "Access Log value must not be empty"},
		{"remove", "/accessLogSettings/randomValue", "updated", "Cannot remove method setting accessLogSettings/randomValue because there is no method setting for this method "},
		{"remove", "/accessLogSettings/destinationArn", "", "Cannot remove method setting accessLogSettings/destinationArn because there is no method setting for this method "},
		{"remove", "/canarySettings/stageVariableOverrides", "", "Cannot remove method setting canarySettings/stageVariableOverrides because there is no method setting for this method "},
		{"remove", "/canarySettings/badPath", "", "Cannot remove method setting canarySettings/badPath because there is no method setting for this method "},
		{"remove", "/*/*", "", "Cannot remove method setting */* because there is no method setting for this method "},
		{"replace", "/canarySettings", "test", "Invalid method setting path: /canarySettings" + list},
		{"replace", "/canarySettings/badPath", "badPath", "Invalid method setting path: /canarySettings/badPath" + list},
		{"replace", "/documentation_version", "123", "Invalid method setting path: /documentation_version" + list},
		{"replace", "/tags/tag1", "value1", "Invalid method setting path: /tags/tag1" + list},
		{"replace", "/pets/get/throttling/rateLimit", "1", "Invalid method setting path: /pets/get/throttling/rateLimit" + list},
		{"replace", "/pets/GET/throttling/other", "1", "Invalid method setting path: /pets/GET/throttling/other" + list},
		{"add", "/canarySettings/deploymentId", id, "Invalid add operation with path: /canarySettings/deploymentId"},
		{"replace", "/canarySettings/deploymentId", "deploy", "Deployment id does not exist"},
		{"replace", "/deploymentId", "deploy", "Deployment id does not exist"},
		{"copy", "/description", "", "Invalid copy operation with path: /description and from "},
		{"replace", "/*/*/throttling/burstLimit", "many", "Invalid value many for /*/*/throttling/burstLimit: it is a whole number"},
		{"replace", "/*/*/throttling/rateLimit", "NaN", "method setting */*: the rate limit NaN is neither -1 nor between 0 and 1,000,000,000 calls a second"},
		{"replace", "/tracingEnabled", "maybe", "Invalid value maybe for /tracingEnabled: it is true or false"},
		{"replace", "/clientCertificateId", "abc", "Invalid Client Certificate identifier specified"},
		{"replace", "/canarySettings/percentTraffic", "101", "percent traffic 101 of the canary is not between 0 and 100"},
	} {
		first := op{"op": "replace", "path": "/description", "value": "never kept"}
		f.call("PATCH", dev, patching(first, op{"op": c.op, "path": c.path, "value": c.value})).wantError(400, "BadRequestException", c.want)
	}
	f.call("PATCH", dev, patching(op{"op": "delete", "path": "/description"})).wantError(400, "ValidationException", "1 validation error detected: Value 'delete' at "+
		"'updateStageInput.patchOperations.1.member.op' failed to satisfy constraint: Member must satisfy enum value set: [add, remove, move, test, replace, copy]")
	f.call("PATCH", dev, patching(op{"op": "replace"})).want(400)
	if after := f.call("GET", dev, nil); string(after.Body) != string(before.Body) {
		t.Errorf("after refusals: %s\nbefore: %s", after.Body, before.Body)
	}
	f.call("PATCH", dev, patching(op{"op": "add", "path": "/accessLogSettings/destinationArn", "value": "arn:aws:logs:us-east-1:000000000000:log-group:g"},
		op{"op": "add", "path": "/accessLogSettings/format", "value": "$context.requestId"})).want(200)
	if r := f.call("PATCH", dev, patching(op{"op": "remove", "path": "/accessLogSettings"})).want(200); strings.Contains(string(r.Body), "accessLog") {
		t.Errorf("access log taken away: %s", r.Body)
	}

	other := f.account("Eve")
	f.send(other, "GET", dev, nil).want(404)
	f.send(other, "PATCH", dev, replacing("/description", "x")).want(404)
	f.send(other, "DELETE", dev, nil).want(404)
	f.exec(`update member set role = 'viewer' where tenant_id = $1`, f.owner.Tenant)
	for verb, path := range map[string]string{"POST": "/restapis/" + api + "/deployments", "PATCH": dev, "DELETE": dev + "/cache/data"} {
		if r := f.call(verb, path, nil).want(403); r.Header.Get("X-Amzn-Errortype") != "AccessDeniedException" {
			t.Errorf("a viewer's %s: %s", verb, r.Body)
		}
	}
}
