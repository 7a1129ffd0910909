package web_test

import (
	"encoding/json"
	"strings"
	"testing"

	"tollgate/control"
	"tollgate/model"
	chromium "tollgate/ui/browser"
)

// The editors look right to everybody, on a desk and on a phone.
func TestEditorPagesInBrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t, withGateway)
	owner := s.tenant()
	api := s.workshop(owner)
	_, err := s.UpdateDefinition(s.Context(), owner, api, 0, func(d *model.Definition) error {
		d.GatewayResponses = map[string]model.GatewayResponse{"THROTTLED": {StatusCode: "420", Parameters: map[string]string{"gatewayresponse.header.Retry-After": "'1'"}}}
		m := *d.Method("/tools/{tool}", "POST")
		g := *m.Integration
		g.RequestParameters = map[string]string{"integration.request.header.X-Tool": "method.request.path.tool", "integration.request.querystring.unit": "method.request.querystring.unit"}
		g.CacheKeyParameters = []string{"method.request.querystring.unit"}
		m.Integration = &g
		return d.SetMethod("/tools/{tool}", "POST", m)
	})
	s.must(err)
	first, err := s.Deploy(s.Context(), owner, control.Deploy{APIID: api, Stage: "prod", Description: "first"})
	s.must(err)
	_, err = s.UpdateStage(s.Context(), owner, api, "prod", func(e *control.StageEdit) error {
		e.Canary = &model.CanarySettings{PercentTraffic: 12.5, DeploymentID: first.Deployment.ID, Overrides: map[string]string{"base": "v2"}}
		e.Variables = map[string]string{"base": "v1", "table": "tools-prod"}
		e.Set(model.EveryMethod, model.DefaultMethodSetting())
		own := model.DefaultMethodSetting()
		own.CachingEnabled, own.LoggingLevel, own.DataTraceEnabled = true, "INFO", true
		e.Set("~1tools~1{tool}/POST", own)
		e.CacheClusterEnabled, e.CacheClusterSize = true, "0.5"
		return nil
	})
	s.must(err)
	_, err = s.UpdateDefinition(s.Context(), owner, api, 0, func(d *model.Definition) error {
		m := *d.Method("/tools/{tool}", "POST")
		g := *m.Integration
		g.RequestTemplates = map[string]string{"application/json": "#set($tool = $input.path('$'))\n{\"statusCode\": 200}\n#if($tool.name"}
		m.Integration = &g
		return d.SetMethod("/tools/{tool}", "POST", m)
	})
	s.must(err)
	p := chromium.Start(t).Visitor(t)
	s.as(owner).in(p)
	at := "/apis/" + api
	method, stage := at+"/method?path=/tools/{tool}&verb=POST", at+"/stages/prod"
	for name, path := range map[string]string{
		"pipeline": method, "pipeline-request": method + "&edit=request", "pipeline-mapping": method + "&edit=mapping", "pipeline-integration": method + "&edit=integration", "pipeline-answer": method + "&edit=answer&key=200",
		"pipeline-response": method + "&edit=response&key=200", "pipeline-remove": at + "/method/answer/remove?path=/tools/{tool}&verb=POST&key=200", "authorizers": at + "/authorizers", "authorizer-new": at + "/authorizers/new", "authorizer": at + "/authorizers/auth01", "authorizer-delete": at + "/authorizers/auth01/delete",
		"models": at + "/models", "model-new": at + "/models/new", "model": at + "/models/Tool", "model-delete": at + "/models/Tool/delete", "validator": at + "/validators/val001", "validator-delete": at + "/validators/val001/delete",
		"gateway-responses": at + "/responses", "gateway-response": at + "/responses/THROTTLED", "gateway-response-reset": at + "/responses/THROTTLED/reset", "cors": at + "/cors?path=/tools/{tool}", "policy": at + "/policy?template=allow&of=203.0.113.0/24", "editor-settings": at + "/settings",
		"stage-settings": stage + "/settings", "stage-methods": stage + "/methods", "stage-method": stage + "/methods/edit", "stage-method-remove": stage + "/methods/remove?key=*/*", "stage-cors": stage + "/cors", "stage-canary": stage + "/canary", "stage-canary-end": stage + "/canary/end", "stage-cache": stage + "/cache", "stage-flush": stage + "/cache/flush", "stage-logs": stage + "/logs?preset=json",
	} {
		p.Goto(s.url + path)
		if p.Status() != 200 {
			t.Fatalf("%s: status %d", path, p.Status())
		}
		p.Sound(name)
	}
	p.Goto(s.url + at + "/cors?path=/tools/{tool}")
	p.Click("See what changes")
	p.Sound("cors-preview")
}

// A method is edited where it stands: the editor opens in its box with the focus in it,
// what is wrong is said there, and the test runs beside it.
func TestMethodEditedInBrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t, withGateway)
	owner := s.tenant()
	api := s.workshop(owner)
	p := chromium.Start(t).Visitor(t)
	s.as(owner).in(p)
	p.Goto(s.url + "/apis/" + api + "/method?path=/tools/{tool}&verb=POST")
	p.Tap("Edit integration request")
	p.Until(`!!document.querySelector("#mapping form")`)
	p.Until(`!!document.activeElement?.closest("#mapping form")`)
	if !strings.Contains(p.URL(), "edit=mapping") {
		t.Errorf("the address is %s", p.URL())
	}
	p.Eval(`(e => { e.value = "{\"statusCode\": 200, \"n\": 1}"; e.dispatchEvent(new Event("input", {bubbles: true})); })(document.querySelector("#mapping textarea[name=templates-long]"))`, nil)
	p.TapOn(`#mapping fieldset#f-templates [data-add-row]`)
	if n := p.Count(`#mapping textarea[name="templates-long"]`); n != 3 {
		t.Errorf("%d rows", n)
	}
	p.Click("Save integration request")
	p.Await("Saved. It is served once it is deployed.")
	if g := s.method(owner, api, "/tools/{tool}", "POST").Integration; g.RequestTemplates["application/json"] != `{"statusCode": 200, "n": 1}` {
		t.Errorf("the integration is %+v", g)
	}
	p.Fill("var-tool", "saw")
	p.Fill("query", "unit=m")
	p.Fill("body", `{"name": "saw"}`)
	before := p.URL()
	p.Tap("Test it")
	p.Await("Successfully completed execution")
	p.Await("200 in")
	if p.URL() != before {
		t.Errorf("the test went to %s", p.URL())
	}
	p.Sound("pipeline-tested")
	p.Fill("body", `{"no": 1}`)
	p.Tap("Test it")
	p.Await("400 in")
	if f := p.Faults(); len(f) > 0 {
		t.Errorf("%v", f)
	}
}

// The same without JavaScript.
func TestMethodEditedWithoutJavaScript(t *testing.T) {
	t.Parallel()
	s := newSite(t, withGateway)
	owner := s.tenant()
	api := s.workshop(owner)
	p := chromium.Start(t).Visitor(t, chromium.NoJS)
	s.as(owner).in(p)
	p.Goto(s.url + "/apis/" + api + "/method?path=/tools&verb=GET")
	p.Click("Edit integration")
	p.Choose("type", model.IntegrationHTTPProxy)
	p.Fill("uri", "backend")
	p.Click("Save integration")
	if p.Status() != 422 || !p.Says("is not an address such as https://") || p.Count(`#f-uri[aria-invalid="true"]`) != 1 {
		t.Fatalf("what is wrong is not said: %d", p.Status())
	}
	p.Fill("uri", "https://tools.example.com/v1")
	p.Click("Save integration")
	if !p.Says("Saved") || s.method(owner, api, "/tools", "GET").Integration.URI != "https://tools.example.com/v1" {
		t.Error("it is not saved")
	}
	p.Goto(s.url + "/apis/" + api + "/method?path=/tools/{tool}&verb=POST")
	p.Fill("query", "unit=m")
	p.Fill("body", `{"name": "saw"}`)
	p.Click("Test it")
	if !p.Says("200 in") || !p.Says("Execution log for request") {
		t.Errorf("it is not tried: %s", p.Text("main"))
	}
}

// An integration's upstream policy is off at first; what is wrong with one is said at its
// field, and what the pipeline says of it can be read.
func TestUpstreamPolicyInBrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t, withGateway)
	owner := s.tenant()
	api := s.workshop(owner)
	p := chromium.Start(t).Visitor(t)
	s.as(owner).in(p)
	at := s.url + "/apis/" + api + "/method?path=/tools&verb=GET"
	p.Goto(at + "&edit=integration")
	p.Choose("type", model.IntegrationHTTPProxy)
	p.Fill("uri", "https://tools.example.com/v1")
	p.Click("Save integration")
	p.Await("Saved")
	if g := s.method(owner, api, "/tools", "GET").Integration; g.Upstream != nil {
		t.Fatalf("a policy came by itself: %s", g.Upstream)
	}
	p.Goto(at + "&edit=integration")
	p.Tap("Retries, circuit breaker, HTTP/2")
	p.Check("retry", "", true)
	p.Fill("attempts", "9")
	p.Fill("on-status", "404")
	p.Check("breaker", "", true)
	p.Click("Save integration")
	if p.Status() != 422 || !p.Says("is between 2 and 5") || !p.Says("only failures, 500 to 599") || !p.Says("needs consecutiveFailures or failureRatio") || p.Count(`#policy[open] [aria-invalid="true"]`) != 3 {
		t.Fatalf("%d %s", p.Status(), p.Text("main"))
	}
	p.Sound("policy-refused")
	p.Fill("attempts", "3")
	p.Fill("on-status", "500, 503")
	p.Fill("consecutive", "5")
	p.Fill("ratio", "50")
	p.Check("http2", "", true)
	p.Click("Save integration")
	p.Await("Saved")
	if got, want := s.method(owner, api, "/tools", "GET").Integration.Upstream.String(), `{"retries":{"attempts":3,"onStatus":[500,503]},"circuitBreaker":{"consecutiveFailures":5,"failureRatio":0.5},"http2":true}`; got != want {
		t.Errorf("the policy is %s", got)
	}
	if !p.Says("asked up to 3 times") || !p.Says("5 failures in a row, or 50 % of calls failed") {
		t.Errorf("the pipeline says %s", p.Text("#integration"))
	}
	p.Goto(at + "&edit=integration")
	p.Sound("policy")
	p.Check("retry", "", false)
	p.Check("breaker", "", false)
	p.Check("http2", "", false)
	p.Click("Save integration")
	p.Await("Saved")
	if g := s.method(owner, api, "/tools", "GET").Integration; g.Upstream != nil {
		t.Errorf("the policy is still %s", g.Upstream)
	}
}

// Whom a JWT authorizer trusts is typed field by field, and what the API stored in its own
// words stays so until something else is said.
func TestJWTAuthorizerInBrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t, withGateway)
	owner := s.tenant()
	api := s.workshop(owner)
	p := chromium.Start(t).Visitor(t)
	s.as(owner).in(p)
	at := s.url + "/apis/" + api + "/authorizers"
	p.Goto(at + "/new")
	p.Fill("name", "Login")
	p.Choose("type", "JWT")
	p.Fill("issuer-url", "login.example.com")
	p.Fill("issuer-audiences", "app, web")
	p.Click("Save authorizer")
	if p.Status() != 422 || p.Count("#f-issuer") != 1 || !p.Says("has an https address") {
		t.Fatalf("%d %s", p.Status(), p.Text("main"))
	}
	p.Fill("issuer-url", "https://login.example.com")
	p.Fill("claim-name", "tier")
	p.Fill("claim-values", "gold, very best")
	p.Choose("claim-must", "true")
	p.Tap("Algorithms")
	p.Check("algorithm", "ES256", true)
	p.Sound("authorizer-jwt")
	p.Click("Save authorizer")
	p.Await("Saved")
	a := s.definition(owner, api).Authorizers[1]
	const want = `{"defaultAlgorithms":["RS256","ES256"],"issuers":[{"issuer":"https://login.example.com","audiences":["app","web"],"additionalClaims":[{"claimName":"tier","expectedValues":["gold","very best"],"format":"SINGLE_STRING","required":true}]}]}`
	if got := compact(t, a.JWT); got != compact(t, []byte(want)) {
		t.Errorf("it is %s", got)
	}
	const own = `{"issuer": "https://login.example.com", "audience": ["app"], "note": "kept"}`
	_, err := s.UpdateDefinition(s.Context(), owner, api, 0, func(d *model.Definition) error {
		d.Authorizers[1].JWT = []byte(own)
		m := *d.Method("/tools", "GET")
		m.AuthorizationType, m.AuthorizerID, m.AuthorizationScopes = model.AuthJWT, a.ID, []string{"tools.read"}
		return d.SetMethod("/tools", "GET", m)
	})
	s.must(err)
	p.Goto(at + "/" + a.ID)
	if !p.Says("tools.read") || p.Attr("[name=issuer-url]", "value") != "https://login.example.com" {
		t.Errorf("it says %s", p.Text("main"))
	}
	p.Fill("name", "Log in")
	p.Click("Save authorizer")
	p.Await("Saved")
	if got := s.definition(owner, api).Authorizers[1]; got.Name != "Log in" || compact(t, got.JWT) != compact(t, []byte(own)) {
		t.Errorf("it is %s %s", got.Name, got.JWT)
	}
}

// compact is JSON in one way of writing it.
func compact(t *testing.T, text []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// What a deployment changes is read line by line; what is long is folded.
func TestCompareInBrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t, withGateway)
	owner := s.tenant()
	api := s.workshop(owner)
	_, err := s.UpdateDefinition(s.Context(), owner, api, 0, func(d *model.Definition) error { d.Authorizers = nil; return nil })
	s.must(err)
	_, err = s.Deploy(s.Context(), owner, control.Deploy{APIID: api, Stage: "prod"})
	s.must(err)
	_, err = s.UpdateDefinition(s.Context(), owner, api, 0, func(d *model.Definition) error {
		m := *d.Method("/tools/{tool}", "POST")
		g := *m.Integration
		g.RequestTemplates = map[string]string{"application/json": "#set($a = 1)\n{\"statusCode\": 200}", "text/plain": strings.Repeat("## a line of a long template\n", 60)}
		m.Integration, m.APIKeyRequired = &g, true
		d.Models[0].Schema = `{"type":"object","required":["name"],"properties":{"name":{"type":"string"},"size":{"type":"integer"}}}`
		d.GatewayResponses = map[string]model.GatewayResponse{"THROTTLED": {StatusCode: "420", Parameters: map[string]string{"gatewayresponse.header.Retry-After": "'1'"}}}
		if err := d.RemoveMethod("/tools", "GET"); err != nil {
			return err
		}
		return d.SetMethod("/tools/{tool}", "POST", m)
	})
	s.must(err)
	p := chromium.Start(t).Visitor(t)
	s.as(owner).in(p)
	p.Goto(s.url + "/apis/" + api + "/deploy?stage=prod")
	if text := p.Text("main"); strings.Contains(text, "map[") || !strings.Contains(text, `"size": {`) || !p.Says("API key required from no to yes") || p.Count("details.diff:not([open])") != 1 {
		t.Errorf("it says %s", text)
	}
	p.Sound("deploy-diff")
	p.TapOn("details.diff:not([open]) > summary")
	p.Until(`!document.querySelector("details.diff:not([open])")`)
	if !p.Says("added: + ## a line of a long template") {
		t.Errorf("it says %s", p.Text("main"))
	}
	p.Sound("deploy-diff-open")
}
