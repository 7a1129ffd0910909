package web_test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"tollgate/control"
	"tollgate/model"
	"tollgate/web"
)

// withGateway stands in for the gateway's listener: it says what it was asked.
func withGateway(o *web.Options) {
	o.GatewayAddr = "gateway.test"
	o.Call = func(r *http.Request) (*http.Response, error) {
		body := fmt.Sprintf("asked %s %s key=%s", r.Method, r.URL.RequestURI(), r.Header.Get("x-api-key"))
		return &http.Response{StatusCode: 200, Header: http.Header{"X-Amzn-Requestid": {"r1"}}, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

var mintedKey = regexp.MustCompile(`tg_live_[0-9A-Za-z]{30,}`)

// The way to the first call: a document, one button, a key, a call.
func TestFirstRun(t *testing.T) {
	t.Parallel()
	s := newSite(t, withGateway)
	a := s.tenant()
	b := s.as(a)
	b.get("/overview").want(200, "Make an API", "None in the last 24 hours")
	b.get("/apis").want(200, "No APIs yet")
	b.get("/apis/new").press("Import", "document", "").want(422, "Nothing to import")
	b.get("/apis/new").press("Import", "document", "openapi: 3.0.3\npaths: [").want(422)
	p := b.get("/apis/new").press("Use a sample instead").want(200, "Sample pets", "/pets/{petId}", "a fixed answer, 200", "Deploy and get a key")
	p.press("Deploy and get a key", "stage", "no good").want(422)
	p = p.press("Deploy and get a key").want(200, "Shown once", "curl", "x-api-key")
	key := mintedKey.FindString(p.body)
	if key == "" || !strings.Contains(p.body, "/_aws/execute-api/") {
		t.Fatalf("no key or no address: %s", p.text())
	}
	p.press("Run it here").want(200, "200 in", "asked GET /_aws/execute-api/", "/dev/pets key="+key)
	p.link("Look now").want(200, "No call yet")
	b.get("/overview").want(200, "Sample pets")
	b.get("/plans").want(200, "Starter for Sample pets")
	b.get("/keys").want(200, "First key").without(key)
}

// An API by hand: routes, a method's integration, what is not deployed yet, a
// stage's throttle, history and the way back.
func TestAPIByHand(t *testing.T) {
	t.Parallel()
	s := newSite(t, withGateway)
	a := s.tenant()
	b := s.as(a)
	p := b.get("/apis/new").press("Create API", "name", "Ships").want(200, "Add a route")
	api := strings.Split(p.path, "/")[2]
	p.press("Add route", "verb", "GET", "path", "ships").want(422, "begin with a slash")
	m := p.press("Add route", "verb", "GET", "path", "/ships/{id}").want(200, "Callers need an API key")
	m.press("Save method", "kind", "HTTP_PROXY", "uri", "ftp://x").want(422)
	m.press("Save method", "kind", "HTTP_PROXY", "uri", "https://ships.example.com/v1/{id}", "key", "").want(200, "Saved GET /ships/{id}")
	b.get("/apis/"+api+"/routes").press("Add route", "verb", "POST", "path", "/ships").want(200).
		press("Save method", "kind", "MOCK", "mock-status", "201", "mock-body", `{"made": true}`).want(200, "Saved POST /ships")
	b.get("/apis/"+api+"/deploy").want(200, "2 changes", "Added").press("Deploy", "stage", "prod", "note", "first").want(200, "prod", "first")
	d, err := s.API(s.Context(), a, api)
	s.must(err)
	if g := d.Definition.Method("/ships/{id}", "GET").Integration; g.URI != "https://ships.example.com/v1/{id}" || g.RequestParameters["integration.request.path.id"] != "method.request.path.id" {
		t.Errorf("the method became %+v", g)
	}
	b.get("/apis/"+api+"/method?path=/ships&verb=POST&edit=simple").want(200).press("Save method", "mock-status", "202").want(200)
	b.get("/apis/"+api).want(200, "has changes that this stage does not serve")
	b.get("/overview").want(200)
	b.get("/apis/"+api+"/deploy?stage=prod").want(200, "1 change", "Responses", "Nothing here breaks").press("Deploy", "stage", "prod", "note", "second")
	h := b.get("/apis/"+api+"/deployments").want(200, "first", "second", a.Name)
	h.link("Changes").want(200, "1 change")
	b.get("/apis/"+api+"/method?path=/ships/{id}&verb=GET&edit=simple").want(200).press("Save method", "key", "true").want(200)
	b.get("/apis/"+api+"/deploy?stage=prod").want(200, "1 change breaks who calls it already", "An API key is required")
	stage := b.get("/apis/"+api+"/stages/prod").want(200, "Document")
	if doc := stage.press("Download", "as", "swagger.yaml", "extensions", "apigateway"); doc.status != 200 || doc.header.Get("Content-Type") != "application/yaml" ||
		!strings.Contains(doc.body, `swagger: "2.0"`) || !strings.Contains(doc.body, "https://ships.example.com/v1/{id}") {
		t.Errorf("the stage's document: %d %s %s", doc.status, doc.header, doc.body)
	}
	if doc := b.get("/apis/" + api + "/stages/prod/export"); doc.status != 200 || strings.Contains(doc.body, "ships.example.com") || !strings.Contains(doc.body, `"openapi"`) {
		t.Errorf("the stage's document without extensions: %d %s", doc.status, doc.body)
	}
	b.get("/apis/" + api + "/stages/prod/export?as=odt.xml").want(422)
	b.get("/apis/" + api + "/stages/prod/export?extensions=x").want(422)
	b.get("/apis/" + api + "/stages/none/export").want(404)
	h.link("Serve on prod").want(200, "1 difference").press(regexp.MustCompile(`Serve \w+ on prod`).FindString(h.link("Serve on prod").text())).want(200)
	b.get("/apis/"+api+"/stages").want(200, "prod", "has changed since").link("prod").
		press("Save", "rate", "x", "burst", "1").want(422, "both numbers").press("Save", "rate", "5", "burst", "10").want(200, "holds on every node")
	b.get("/apis/"+api+"/routes").link("remove").want(200, "Remove /ships").press("Remove /ships").want(200, "is removed")
	b.get("/apis/"+api+"/settings").press("Save", "name", "Boats").want(200, "Saved")
	b.get("/apis/"+api+"/import").press("Import", "document", pastedDocument).want(200, "Imported: 1 operation")
	if src := b.get("/apis/" + api + "/source"); src.body != pastedDocument {
		t.Errorf("the document came back as %q", src.body)
	}
	b.get("/apis/"+api+"/stages/prod/delete").press("Delete stage", "confirm", "no").want(422, "not its name").press("Delete stage", "confirm", "prod").want(200, "is deleted")
	b.get("/apis/"+api+"/delete").press("Delete API", "confirm", "Pets").want(200, "is deleted")
	b.get("/apis/" + api).want(404)
}

const pastedDocument = "openapi: 3.0.3\r\ninfo: {title: Pets, version: '1'}\r\nservers: [{url: 'https://pets.example.com'}]\r\npaths: {/pets: {get: {responses: {'200': {description: ok}}}}}"

// Everything is sent on with one URL.
func TestProxyEverything(t *testing.T) {
	t.Parallel()
	s := newSite(t, withGateway)
	b := s.as(s.tenant())
	b.get("/apis/new").press("Create API", "name", "All", "proxy", "nothing").want(422)
	b.get("/apis/new").press("Create API", "name", "All", "proxy", "https://backend.example.com/").want(200, "https://backend.example.com/{proxy}").
		press("Deploy and get a key").want(200, "Shown once")
}

// What a role may not do is not offered, and refused when it is tried.
func TestAPIRoles(t *testing.T) {
	t.Parallel()
	s := newSite(t, withGateway)
	owner := s.tenant()
	in, err := s.ImportAPI(s.Context(), owner, control.ImportAPI{Source: []byte(pastedDocument)})
	s.must(err)
	viewer := s.as(s.member(owner, control.RoleViewer))
	viewer.get("/apis").want(200, "Pets").without("Make an API")
	if p := viewer.get("/apis/"+in.API.ID).want(200, "Pets"); strings.Contains(p.body, `/deploy"`) {
		t.Error("a viewer is offered to deploy")
	}
	viewer.get("/apis/new").want(403)
	viewer.post("/apis/"+in.API.ID+"/deploy", map[string][]string{"stage": {"prod"}}).want(403)
	stranger := s.as(s.tenant())
	for _, tail := range []string{"", "/routes", "/start", "/settings", "/source", "/deploy", "/deployments", "/stages", "/compare", "/try", "/delete", "/first-call"} {
		stranger.get("/apis/" + in.API.ID + tail).want(404)
	}
	if _, err := s.API(s.Context(), owner, in.API.ID); model.KindOf(err) != "" {
		t.Error(err)
	}
}
