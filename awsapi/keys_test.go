package awsapi_test

import (
	"strings"
	"testing"
	"time"

	"tollgate/control"
	"tollgate/model"
)

// A key's value is told again to who may make keys, and to nobody else; what the
// database holds of it is of no use without the installation's secret.
func TestKeyValues(t *testing.T) {
	f := newFace(t)
	r := f.call("POST", "/apikeys", map[string]any{"name": "Shop", "enabled": true, "customerId": "c-1", "tags": map[string]string{"team": "web"}}).want(201)
	id, value := r.field("id"), r.field("value")
	if got := f.call("GET", "/apikeys/"+id+"?includeValue=true", nil).want(200); got.field("value") != value || got.field("tags.team") != "web" || got.field("customerId") != "c-1" {
		t.Errorf("%s", got.Body)
	}
	if got := f.call("GET", "/apikeys/"+id, nil).want(200); strings.Contains(string(got.Body), value) {
		t.Error("the value is told though nobody asked for it")
	}
	if got := f.call("GET", "/apikeys?includeValues=true", nil).want(200); !strings.Contains(string(got.Body), value) {
		t.Errorf("the list does not tell the value: %s", got.Body)
	}
	viewer := f.account("Eve")
	f.send(viewer, "GET", "/apikeys/"+id+"?includeValue=true", nil).want(404)
	f.exec(`update member set role = 'viewer' where tenant_id = $1`, f.owner.Tenant)
	f.call("GET", "/apikeys/"+id, nil).want(200)
	f.call("GET", "/apikeys/"+id+"?includeValue=true", nil).want(403)
	f.exec(`update member set role = 'owner' where tenant_id = $1`, f.owner.Tenant)

	// One that was made in the console is told to nobody.
	k, err := f.CreateKey(t.Context(), f.owner.Actor, control.NewKey{Name: "Console"})
	f.must(err)
	if got := f.call("GET", "/apikeys/"+k.ID+"?includeValue=true", nil).want(200); strings.Contains(string(got.Body), `"value"`) {
		t.Errorf("%s", got.Body)
	}
	f.call("DELETE", "/apikeys/"+id, nil).want(202)
	f.call("GET", "/apikeys/"+id, nil).wantError(404, "NotFoundException", "Invalid API Key identifier specified")
}

func TestImportKeys(t *testing.T) {
	f := newFace(t)
	file := "Name,key,description,Enabled,usageplanIds\nOne,aaaaaaaaaaaaaaaaaaaaaaaa,x,true,\nTwo,bbbbbbbbbbbbbbbbbbbbbbbb,y,false,\nThree,aaaaaaaaaaaaaaaaaaaaaaaa,z,true,\n"
	var out struct{ IDs, Warnings []string }
	f.call("POST", "/apikeys?mode=import&format=csv&failonwarnings=true", file).want(409)
	f.call("POST", "/apikeys?mode=import&format=csv&failonwarnings=true", strings.Replace(file, "description", "colour", 1)).want(400)
	f.call("POST", "/apikeys?mode=import&format=csv", file).want(201).into(&out)
	if len(out.IDs) != 2 || len(out.Warnings) == 0 || !strings.Contains(strings.Join(out.Warnings, "\n"), "key 3: this key value is in use already") {
		t.Errorf("%+v", out)
	}
	f.call("POST", "/apikeys?mode=import&format=xml", file).want(400)
	f.call("POST", "/apikeys?mode=import&format=csv", "nonsense").want(400)
}

// A plan as Terraform and the CLI handle it, from its making to its end.
func TestUsagePlans(t *testing.T) {
	f := newFace(t)
	in, err := f.ImportAPI(t.Context(), f.owner.Actor, control.ImportAPI{Source: []byte(petsDocument), RequireKey: true})
	f.must(err)
	_, err = f.Deploy(t.Context(), f.owner.Actor, control.Deploy{APIID: in.API.ID, Stage: "prod"})
	f.must(err)
	f.call("POST", "/usageplans", map[string]any{"name": " "}).want(400)
	f.call("POST", "/usageplans", map[string]any{"name": "x", "apiStages": []any{map[string]any{"apiId": in.API.ID, "stage": "none"}}}).
		wantError(404, "NotFoundException", "Invalid API Stage specified")
	r := f.call("POST", "/usageplans", map[string]any{"name": "Gold", "quota": map[string]any{"limit": 100, "period": "MONTH"}, "throttle": map[string]any{"rateLimit": 5.5, "burstLimit": 10},
		"apiStages": []any{map[string]any{"apiId": in.API.ID, "stage": "prod"}}, "tags": map[string]string{"a": "b"}}).want(201)
	plan := r.field("id")
	step := func(op, path, value string) map[string]any {
		return map[string]any{"op": op, "path": path, "value": value}
	}
	stage := "/apiStages/" + in.API.ID + ":prod"
	r = f.call("PATCH", "/usageplans/"+plan, map[string]any{"patchOperations": []any{
		step("replace", "/name", "Silver"), step("replace", "/throttle/rateLimit", "7"), step("replace", "/quota/limit", "50"), step("add", "/productCode", "p-1"),
		step("replace", stage+"/throttle/~1pets/GET/rateLimit", "2"), step("replace", stage+"/throttle/~1pets/GET/burstLimit", "3"),
	}}).want(200)
	if got := string(r.Body); r.field("name") != "Silver" || r.field("productCode") != "p-1" || r.field("tags.a") != "b" ||
		!strings.Contains(got, `"/pets/GET":{"burstLimit":3,"rateLimit":2}`) || !strings.Contains(got, `"quota":{"limit":50,"offset":0,"period":"MONTH"}`) {
		t.Errorf("%s", got)
	}
	f.call("PATCH", "/usageplans/"+plan, map[string]any{"patchOperations": []any{step("replace", "/quota/period", "YEAR")}}).want(400)

	key := f.call("POST", "/apikeys", map[string]any{"name": "k", "enabled": true}).want(201).field("id")
	f.call("POST", "/usageplans/"+plan+"/keys", map[string]any{"keyId": key, "keyType": "PASSWORD"}).want(400)
	f.call("POST", "/usageplans/"+plan+"/keys", map[string]any{"keyId": key, "keyType": "API_KEY"}).want(201)
	f.call("POST", "/usageplans/"+plan+"/keys", map[string]any{"keyId": key, "keyType": "API_KEY"}).want(409)
	if got := f.call("GET", "/usageplans/"+plan+"/keys", nil).want(200); !strings.Contains(string(got.Body), key) {
		t.Errorf("%s", got.Body)
	}
	if got := f.call("GET", "/usageplans?keyId="+key, nil).want(200); !strings.Contains(string(got.Body), plan) {
		t.Errorf("%s", got.Body)
	}

	// What is left of the quota, and an extension of it, which nodes can lease.
	today := time.Now().UTC().Format(time.DateOnly)
	got := f.call("GET", "/usageplans/"+plan+"/usage?startDate="+today+"&endDate="+today, nil).want(200)
	if !strings.Contains(string(got.Body), `"`+key+`":[[0,50]]`) {
		t.Errorf("%s", got.Body)
	}
	f.call("PATCH", "/usageplans/"+plan+"/keys/"+key+"/usage", map[string]any{"patchOperations": []any{step("replace", "/remaining", "-1")}}).want(400)
	got = f.call("PATCH", "/usageplans/"+plan+"/keys/"+key+"/usage", map[string]any{"patchOperations": []any{step("replace", "/remaining", "80")}}).want(200)
	if !strings.Contains(string(got.Body), `"`+key+`":[[0,80]]`) {
		t.Errorf("%s", got.Body)
	}
	k, err := f.Key(t.Context(), f.owner.Actor, key)
	f.must(err)
	node := control.NodeIdentity{Gateway: 1}
	granted := int64(0)
	for range 300 {
		l, err := f.Leases(t.Context(), node, []model.LeaseRequest{{Boot: "b", Tenant: f.owner.Tenant, Subscription: k.Plans[0].Subscription, At: time.Now(), Want: 10}})
		f.must(err)
		granted += l[0].Granted
	}
	if granted != 80 {
		t.Errorf("%d units are granted instead of 80", granted)
	}

	f.call("DELETE", "/usageplans/"+plan, nil).want(400)
	f.call("PATCH", "/usageplans/"+plan, map[string]any{"patchOperations": []any{step("remove", "/apiStages", in.API.ID+":prod")}}).want(200)
	f.call("DELETE", "/usageplans/"+plan+"/keys/"+key, nil).want(202)
	f.call("GET", "/usageplans/"+plan+"/keys/"+key, nil).want(404)
	f.call("DELETE", "/usageplans/"+plan, nil).want(202)
	f.call("GET", "/usageplans/"+plan, nil).wantError(404, "NotFoundException", "Invalid Usage Plan ID specified")
}

const petsDocument = `openapi: 3.0.3
info: {title: Pets, version: "1"}
servers: [{url: "https://pets.example.com"}]
paths: {/pets: {get: {responses: {"200": {description: ok}}}}}
`
