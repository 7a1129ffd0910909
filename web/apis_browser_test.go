package web_test

import (
	"strings"
	"testing"
	"time"

	"tollgate/control"
	"tollgate/model"
	chromium "tollgate/ui/browser"
)

// shipsDocument has upstreams, a mock, things that are not served yet, and things
// to know of.
const shipsDocument = `openapi: 3.0.3
info: {title: Ships, version: "2.1", description: "Where the ships are, and what they carry.\n\nPositions are a minute old at most."}
servers: [{url: "https://ships.example.com/v2"}]
paths:
  /ships:
    get: {summary: All ships, parameters: [{name: flag, in: query, schema: {type: string}}], responses: {"200": {description: ok}}}
    post: {summary: A new ship, responses: {"201": {description: made}}, security: [{sso: []}]}
  /ships/{id}:
    get: {summary: One ship, responses: {"200": {description: ok}}}
    delete: {summary: Scrap it, responses: {"204": {description: gone}}}
  /ships/{id}/cargo/{containerNumber}:
    put: {summary: Load it, responses: {"200": {description: ok}}}
    patch: {summary: Change it, responses: {"200": {description: ok}}}
  /health:
    get:
      responses: {"200": {description: ok}}
      x-amazon-apigateway-integration:
        type: mock
        requestTemplates: {application/json: '{"statusCode": 200}'}
        responses:
          default:
            statusCode: "200"
            responseParameters: {method.response.header.Cache-Control: "'no-store'"}
            responseTemplates: {application/json: '{"ok": true}'}
components: {securitySchemes: {sso: {type: oauth2, flows: {clientCredentials: {tokenUrl: "https://sso.example.com/token", scopes: {}}}}}}
`

// harbour is an account with APIs in every state, and their pages.
func (s *site) harbour() (owner control.Actor, pages map[string]string) {
	s.Helper()
	owner = s.tenant()
	ctx := s.Context()
	s.exec(`update tenant set name = 'Harbour Ltd.' where tenant_id = $1`, owner.Tenant)
	in, err := s.ImportAPI(ctx, owner, control.ImportAPI{Source: []byte(shipsDocument), SourceName: "https://ships.example.com/openapi.yaml", RequireKey: true})
	s.must(err)
	stopped, err := s.ImportAPI(ctx, owner, control.ImportAPI{Source: []byte(shipsDocument), SourceName: "ships.yaml", Name: "Ships, as imported"})
	s.must(err)
	empty, err := s.CreateAPI(ctx, owner, "Lighthouses", "")
	s.must(err)
	id := in.API.ID
	edit := func(f func(d *model.Definition) error) {
		_, err := s.UpdateDefinition(ctx, owner, id, 0, f)
		s.must(err)
	}
	edit(func(d *model.Definition) error {
		d.Resources = append([]model.Resource{}, d.Resources...)
		for i := range d.Resources {
			for verb, m := range d.Resources[i].Methods {
				if m.AuthorizationType != model.AuthNone {
					m.AuthorizationType, m.AuthorizerID = model.AuthNone, ""
					if err := d.SetMethod(d.Resources[i].Path, verb, m); err != nil {
						return err
					}
				}
			}
		}
		return nil
	})
	deploy := func(stage, note string) control.Deployed {
		d, err := s.Deploy(ctx, owner, control.Deploy{APIID: id, Stage: stage, Description: note})
		s.must(err)
		return d
	}
	first := deploy("dev", "First deployment")
	edit(func(d *model.Definition) error { return d.RemoveMethod("/ships/{id}", "DELETE") })
	second := deploy("prod", "Nobody scraps ships any more")
	deploy("dev", "")
	edit(func(d *model.Definition) error {
		m := d.Method("/ships/{id}", "GET")
		m.APIKeyRequired = false
		g := *m.Integration
		g.URI, g.TimeoutMillis, m.Integration = "https://ships.example.com/v3/ships/{id}", 5000, &g
		if err := d.AddResource("/ports/{port}"); err != nil {
			return err
		}
		if err := d.SetMethod("/ports/{port}", "GET", model.Method{AuthorizationType: model.AuthNone, Integration: model.FixedMock(200, "application/json", `{"port": "Kiel"}`)}); err != nil {
			return err
		}
		return d.SetMethod("/ships/{id}", "GET", *m)
	})
	_, err = s.SetStageThrottle(ctx, owner, id, "prod", &model.Throttle{Rate: 100, Burst: 200})
	s.must(err)
	for h := range 30 {
		for _, c := range []struct{ status, calls int }{{200, 900 + h*h*3}, {404, 20 + h}, {502, 1 + h%7}} {
			s.exec(`insert into usage_line (tenant_id, hour, stage_num, method_num, subscription_id, key_num, terms, status, flags, gen, calls, bytes_in, bytes_out, micros, boot, seq)
				values ($1, $2, $3, (select method_num from api_method where tenant_id = $1 and path = '/ships' and verb = 'GET' limit 1), 0, 0, 0, $4, 1, 0, $5::bigint, 100, 1000, $5::bigint * 12000, gen_random_uuid(), 1)`,
				owner.Tenant, time.Now().Truncate(time.Hour).Add(-time.Duration(h)*time.Hour), second.Stage.Num, c.status, c.calls)
		}
	}
	for i, words := range []string{`{"summary": "All ships", "description": "Every ship of the **harbour**, the newest first.\n\n| flag | country |\n|---|---|\n| de | Germany |\n\n- one\n- two\n", "tags": ["ships"]}`, `{"description": "Problems of any kind."}`} {
		at := []model.DocumentationLocation{{Type: "METHOD", Path: "/ships", Method: "GET"}, {Type: "RESPONSE", Path: "/", Method: "*", StatusCode: "*"}}[i]
		edit(func(d *model.Definition) error {
			if p := d.DocumentedAt(at); p != nil {
				p.Properties = words
				return nil
			}
			d.Documentation = append(d.Documentation, model.DocumentationPart{ID: model.NewID(6), Location: at, Properties: words})
			return nil
		})
	}
	_, err = s.CreateDocumentationVersion(ctx, owner, control.NewDocumentationVersion{APIID: id, Version: "2026-11", Description: "For the autumn release", Stage: "prod"})
	s.must(err)
	api := "/apis/" + id
	return owner, map[string]string{
		"overview": "/overview", "apis": "/apis", "apis-none": "/apis?q=nothing", "api-new": "/apis/new", "api": api, "api-start": "/apis/" + stopped.API.ID + "/start", "api-start-ok": api + "/start",
		"routes": api + "/routes", "routes-empty": "/apis/" + empty.ID + "/routes", "api-empty": "/apis/" + empty.ID,
		"method": api + "/method?path=/ships/{id}&verb=GET", "method-mock": api + "/method?path=/health&verb=GET", "method-new": api + "/method?path=/ships&verb=PUT",
		"method-stops": "/apis/" + stopped.API.ID + "/method?path=/ships&verb=POST", "method-delete": api + "/method/delete?path=/ships&verb=GET", "resource-delete": api + "/resource/delete?path=/ships",
		"stages": api + "/stages", "stages-empty": "/apis/" + empty.ID + "/stages", "stage": api + "/stages/prod", "stage-delete": api + "/stages/prod/delete",
		"deploy": api + "/deploy?stage=prod", "deploy-stopped": "/apis/" + stopped.API.ID + "/deploy", "deployments": api + "/deployments", "deployments-empty": "/apis/" + empty.ID + "/deployments",
		"compare": api + "/compare?from=" + first.Deployment.ID + "&to=", "rollback": api + "/rollback?stage=prod&to=" + first.Deployment.ID,
		"documentation": api + "/documentation", "documentation-empty": "/apis/" + empty.ID + "/documentation", "documentation-none": api + "/documentation?q=nothing",
		"part": api + "/documentation/part?type=METHOD&path=/ships&method=GET", "part-inherits": api + "/documentation/part?type=RESPONSE&path=/ships&method=POST&status=201",
		"part-wide": api + "/documentation/part?type=RESPONSE&path=/&method=*&status=*", "version": api + "/documentation/versions/2026-11", "version-delete": api + "/documentation/versions/2026-11/delete",
		"import": api + "/import", "api-settings": api + "/settings", "api-settings-empty": "/apis/" + empty.ID + "/settings", "api-delete": api + "/delete", "try": api + "/try", "first-call": api + "/first-call", "first-call-none": "/apis/" + empty.ID + "/first-call",
	}
}

// The pages of APIs look right to everybody, on a desk and on a phone.
func TestAPIPagesInBrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t, withGateway)
	owner, pages := s.harbour()
	p := chromium.Start(t).Visitor(t)
	s.as(owner).in(p)
	for name, path := range pages {
		p.Goto(s.url + path)
		if p.Status() != 200 {
			t.Fatalf("%s: status %d", path, p.Status())
		}
		p.Sound(name)
	}
	// What an import would come to, and what cannot be read.
	p.Goto(s.url + pages["import"])
	p.Fill("document", strings.Replace(strings.Replace(shipsDocument, "delete: {summary: Scrap it,", "head: {summary: Is it there,", 1), "in: query,", "in: limbo,", 1))
	p.Click("See what changes")
	p.Await("Nothing is imported yet")
	p.Sound("import-checked")
	p.Fill("document", "openapi: 3.0.3\ninfo:\n  title: Ships\npaths:\n\t/ships: {get: {}}\n")
	p.Click("Check again")
	p.Await("has to be put right")
	p.Sound("import-wrong")
	none := chromium.Start(t).Visitor(t)
	s.as(s.tenant()).in(none)
	for _, path := range []string{"/overview", "/apis", "/apis/new"} {
		none.Goto(s.url + path)
		none.Sound("none" + strings.ReplaceAll(path, "/", "-"))
	}
	// The way to the first call, as it is gone.
	none.Click("Use a sample instead")
	none.Click("Deploy and get a key")
	none.Sound("started")
	none.Click("Run it here")
	none.Await("200 in")
	none.Sound("try-answer")
}

// Commands follow what is typed, quoted for where they are run, and go back to what
// stands for it.
func TestCommandsFollowInBrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t, withGateway)
	p := chromium.Start(t).Visitor(t)
	s.as(s.tenant()).in(p)
	p.Goto(s.url + "/apis/new")
	shown := func(id string) (text string) {
		p.Eval(`document.getElementById("`+id+`").textContent`, &text)
		return text
	}
	before := shown("c-create-0")
	p.Fill("name", `It's "${a}" & <b>`)
	for id, want := range map[string]string{"c-create-0": `{"name":"It'\''s \"${a}\" & <b>"}'`, "c-create-1": `-d '{"name":"It'\''s \"${a}\" & <b>"}'`, "c-create-2": `name = "It's \"$${a}\" & <b>"`} {
		if got := shown(id); !strings.Contains(got, want) {
			t.Errorf("%s: %s\nhas no %s", id, got, want)
		}
	}
	p.Fill("name", "")
	if now := shown("c-create-0"); now != before || !strings.Contains(now, `"NAME"`) {
		t.Errorf("%s\nwas %s", now, before)
	}
}
