package web_test

import (
	"strings"
	"testing"

	"tollgate/control"
	"tollgate/model"
)

// definition is an API's as control has it.
func (s *site) definition(owner control.Actor, api string) *model.Definition {
	s.Helper()
	a, err := s.API(s.Context(), owner, api)
	s.must(err)
	return &a.Definition
}

// Authorizers, models, validators and gateway responses are made, changed and deleted by
// plain forms; what refers to them is safe.
func TestAPIParts(t *testing.T) {
	t.Parallel()
	s := newSite(t, withGateway)
	owner := s.tenant()
	api := s.workshop(owner)
	b := s.as(owner)
	at := "/apis/" + api

	// Authorizers.
	n := b.get(at+"/authorizers").want(200, "Staff", "Cognito").link("Make an authorizer")
	n.press("Save authorizer", "name", "Gate", "type", "TOKEN", "function", "gate").want(422, "is not the ARN of a Lambda function")
	n.press("Save authorizer", "name", "Staff", "type", "TOKEN", "function", "arn:aws:lambda:us-east-1:123456789012:function:gate").want(422, "There is an authorizer")
	n.press("Save authorizer", "name", "Gate", "type", "TOKEN", "function", "arn:aws:lambda:us-east-1:123456789012:function:gate", "source-name", "X-Gate", "ttl", "4000").want(422, "between 0 and 3600")
	n.press("Save authorizer", "name", "Gate", "type", "TOKEN", "function", "arn:aws:lambda:us-east-1:123456789012:function:gate", "source-name", "X-Gate", "pattern", "g-.+", "ttl", "60").want(200, "Saved", "Gate")
	b.get(at+"/authorizers/new").press("Save authorizer", "name", "Open", "type", "JWT").want(422, "needs a jwtConfiguration with issuers")
	b.get(at+"/authorizers/new").press("Save authorizer", "name", "Open", "type", "JWT", "issuer-url", "http://x", "issuer-audiences", "a").want(422, "https address without query")
	d := s.definition(owner, api)
	gate := d.Authorizers[1]
	if gate.Type != "TOKEN" || gate.AuthorizerURI != "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:gate/invocations" ||
		gate.IdentitySource != "method.request.header.X-Gate" || *gate.ResultTTLSeconds != 60 || gate.IdentityValidationExpression != "g-.+" {
		t.Errorf("the authorizer is %+v", gate)
	}
	ask := b.get(at + "/authorizers/" + gate.ID)
	ask.press("Ask it", "header-name", "X Gate", "header-value", "g-1").want(422, "A header's name has no blanks")
	ask.press("Ask it", "header-name", "X-Gate", "header-value", "no").want(200, "401 in") // it does not match
	b.get(at+"/method?path=/tools&verb=GET&edit=request").press("Save method request", "authorization", "authorizer:"+gate.ID).want(200, "Gate")
	e := b.get(at+"/authorizers/"+gate.ID).want(200, "GET /tools")
	if e.field("ttl") != "60" || e.field("source-name") != "X-Gate" {
		t.Error("the form does not have what is set")
	}
	e.press("Save authorizer", "type", "REQUEST", "source-in", "method.request.querystring.", "source-name", "who", "ttl", "0").want(200, "Saved")
	b.get(at+"/authorizers/"+gate.ID+"/delete").want(200, "guards GET /tools").press("Delete authorizer").want(200, "give them another one first")
	b.get(at+"/authorizers/auth01/delete").press("Delete authorizer").want(200, "is deleted")
	b.get(at + "/authorizers/auth01").want(404)

	// Models, tried against an example by the gateway's own steps.
	m := b.get(at + "/models/new")
	m.press("Save model", "name", "A b").want(422, "letters and digits")
	m.press("Save model", "name", "Pet", "schema", "{\n  \"type\": oops}").want(422, "line 2, column")
	m.press("Check the example", "name", "Pet", "example", `{"age": -1}`).want(200, "does not fit")
	m.press("Check the example", "name", "Pet", "example", `{"name": "Rex"}`).want(200, "The example fits")
	m.press("Check the example", "name", "Pet", "schema", `{"type": "nonsense"}`).want(200, "could not be deployed")
	m.press("Save model", "name", "Pet").want(200, "Saved", "Pet")
	if ex := b.get(at+"/models/Tool").want(200, "POST /tools/{tool}").field("example"); !strings.Contains(ex, `"name": "text"`) {
		t.Errorf("the example is %s", ex)
	}
	b.get(at+"/models/Tool").press("Save model", "description", "A tool").want(200, "A tool")
	b.get(at+"/models/Tool/delete").want(200, "named by").press("Delete model").want(200, "take it out there first")
	b.get(at+"/models/Pet/delete").press("Delete model").want(200, "is deleted")

	// Request validators.
	b.get(at+"/validators/new").press("Save validator", "name", "bodies", "parameters", "").want(200, "Saved", "bodies")
	v := s.definition(owner, api).RequestValidators[1]
	if !v.Body || v.Parameters {
		t.Errorf("the validator is %+v", v)
	}
	b.get(at+"/validators/"+v.ID).press("Save validator", "name", "").want(422, "needs a name")
	b.get(at+"/validators/val001/delete").press("Delete validator").want(200, "choose another there first")
	b.get(at+"/validators/"+v.ID+"/delete").press("Delete validator").want(200, "is deleted")

	// Gateway responses: all kinds, what is inherited, and the way back.
	b.get(at+"/responses").want(200, "THROTTLED", "WAF_FILTERED", "default").without("as DEFAULT_4XX")
	r := b.get(at + "/responses/DEFAULT_4XX").want(200)
	r.press("Save response", "status", "9").want(422, "not a number between")
	r.press("Save response", "headers-name", "X-Why", "headers-from", "because").want(422, "What it is filled from")
	r.press("Save response", "headers-name", "Access-Control-Allow-Origin", "headers-from", "'*'").want(200, "as DEFAULT_4XX")
	b.get(at+"/responses/THROTTLED").want(200).press("Save response", "status", "420", "templates-type", "application/json", "templates-long", `{"slow": $context.error.messageString}`).want(200, "420")
	if g := s.definition(owner, api).GatewayResponses["THROTTLED"]; g.StatusCode != "420" || g.Parameters["gatewayresponse.header.Access-Control-Allow-Origin"] != "'*'" {
		t.Errorf("the response is %+v", g)
	}
	b.get(at+"/responses/THROTTLED/reset").press("Reset it").want(200, "is as it was at first")
	b.get(at + "/responses/NOTHING").want(404)
}

// CORS is shown before it is applied, and is what AWS makes of it.
func TestCORS(t *testing.T) {
	t.Parallel()
	s := newSite(t, withGateway)
	owner := s.tenant()
	api := s.workshop(owner)
	b := s.as(owner)
	b.get("/apis/"+api+"/routes").want(200, "CORS")
	p := b.get("/apis/"+api+"/cors?path=/tools/{tool}").want(200, "See what changes")
	p.press("See what changes", "origin", "*", "credentials", "1").want(422, "name one")
	p.press("See what changes", "origin", "example.com").want(422, "neither * nor one origin")
	p = p.press("See what changes", "origin", "https://www.example.com", "max-age", "600", "failures", model.Default4XX).want(200, "What changes", "Added OPTIONS", "Access-Control-Max-Age", "gateway response DEFAULT_4XX")
	if s.definition(owner, api).Method("/tools/{tool}", "OPTIONS") != nil {
		t.Fatal("it was applied before it was shown")
	}
	p.press("Enable CORS").want(200, "CORS is enabled", "Method request")
	d := s.definition(owner, api)
	m := d.Method("/tools/{tool}", "OPTIONS")
	if m == nil || m.Integration.Type != model.IntegrationMock || m.AuthorizationType != model.AuthNone {
		t.Fatalf("the preflight is %+v", m)
	}
	got := m.Integration.Responses["200"].ResponseParameters
	for name, want := range map[string]string{"Access-Control-Allow-Origin": "'https://www.example.com'", "Access-Control-Allow-Methods": "'OPTIONS,POST'", "Access-Control-Max-Age": "'600'",
		"Access-Control-Allow-Headers": "'Content-Type,X-Amz-Date,Authorization,X-Api-Key,X-Amz-Security-Token'"} {
		if got["method.response.header."+name] != want {
			t.Errorf("%s is %s", name, got["method.response.header."+name])
		}
		if _, ok := m.Responses["200"].Parameters["method.response.header."+name]; !ok {
			t.Errorf("%s is not declared", name)
		}
	}
	post := d.Method("/tools/{tool}", "POST")
	if post.Integration.Responses["200"].ResponseParameters["method.response.header.Access-Control-Allow-Origin"] != "'https://www.example.com'" {
		t.Errorf("the method answers %+v", post.Integration.Responses)
	}
	if _, ok := d.GatewayResponses[model.Default5XX]; ok || d.GatewayResponses[model.Default4XX].Parameters["gatewayresponse.header.Access-Control-Allow-Origin"] == "" {
		t.Errorf("the gateway responses are %+v", d.GatewayResponses)
	}
	// The preflight answers.
	b.get("/apis/"+api+"/method?path=/tools/{tool}&verb=OPTIONS").press("Test it").want(200, "200 in", "Access-Control-Allow-Origin: https://www.example.com")
}

// How an API takes its calls, and who may make them.
func TestAPISettings(t *testing.T) {
	t.Parallel()
	s := newSite(t, withGateway)
	owner := s.tenant()
	api := s.workshop(owner)
	b := s.as(owner)
	p := b.get("/apis/" + api + "/settings")
	p.press("Save settings", "binary-type", "png").want(422, "is not a media type")
	p.press("Save settings", "compression", "x").want(422, "not a number of bytes")
	p.press("Save settings", "binary-type", "image/png", "compression", "1024", "closed", "1").want(200, "Saved")
	d := s.definition(owner, api)
	if len(d.BinaryMediaTypes) != 1 || d.MinimumCompressionSize == nil || *d.MinimumCompressionSize != 1024 || !d.DisableDefaultEndpoint || d.APIKeySource != "" {
		t.Errorf("the definition is %+v", d)
	}
	b.get("/apis/"+api+"/settings").press("Save settings", "compression", "", "closed", "").want(200)
	policy := b.get("/apis/" + api + "/policy")
	policy.press("Write the policy", "template", "allow", "of", "300.1.1.1").want(422, "neither an address nor a range")
	written := policy.press("Write the policy", "template", "allow", "of", "203.0.113.0/24 198.51.100.7").want(200, "NotIpAddress", "203.0.113.0/24")
	if s.definition(owner, api).Policy != "" {
		t.Fatal("it was saved before anybody asked")
	}
	written.press("Save policy").want(200, "Saved", "There is one")
	if text := s.definition(owner, api).Policy; !strings.Contains(text, "198.51.100.7") {
		t.Errorf("the policy is %s", text)
	}
	policy.press("Write the policy", "template", "account", "of", "12").want(422, "12 digits")
	b.get("/apis/"+api+"/policy").press("Save policy", "policy", "{").want(422, "not JSON")
	b.get("/apis/"+api+"/policy").press("Save policy", "policy", "").want(200, "is removed")
}

// A stage's settings hold at once, each on its page.
func TestStageSettings(t *testing.T) {
	t.Parallel()
	s := newSite(t, withGateway)
	owner := s.tenant()
	api := s.workshop(owner)
	_, err := s.UpdateDefinition(s.Context(), owner, api, 0, func(d *model.Definition) error { d.Authorizers = nil; return nil })
	s.must(err)
	first, err := s.Deploy(s.Context(), owner, control.Deploy{APIID: api, Stage: "prod", Description: "first"})
	s.must(err)
	second, err := s.Deploy(s.Context(), owner, control.Deploy{APIID: api, Stage: "next", Description: "second"})
	s.must(err)
	b := s.as(owner)
	at := "/apis/" + api + "/stages/prod"
	stage := func() control.Stage {
		t.Helper()
		x, err := s.Stage(s.Context(), owner, api, "prod")
		s.must(err)
		return x
	}
	p := b.get(at).link("Settings").want(200, "Variables")
	p.press("Save settings", "variable-name", "a b", "variable-value", "x").want(422, "Stage variable name")
	p.press("Save settings", "description", "For all", "tracing", "1", "variable-name", "base", "variable-value", "v1").want(200, "Saved")
	if x := stage().Settings; x.Description != "For all" || !x.TracingEnabled || x.Variables["base"] != "v1" {
		t.Errorf("the settings are %+v", x)
	}

	b.get(at+"/settings").press("Save settings", "one-in", "x").want(422, "is not a number of calls")
	b.get(at+"/settings").press("Save settings", "one-in", "50", "not-found", "1", "rate-limit", "1").want(200, "Saved", "/tollgate/rateLimitHeaders")
	if x := stage().Settings; x.TraceOneIn != 50 || !x.RouteNotFound || !x.RateLimitHeaders || !x.TracingEnabled {
		t.Errorf("the settings are %+v", x)
	}
	b.get(at+"/settings").press("Save settings", "one-in", "0").want(200)
	if n := b.get(at + "/settings").field("one-in"); n != "0" || stage().Settings.TraceOneIn != -1 {
		t.Errorf("one in %s is %d", n, stage().Settings.TraceOneIn)
	}
	k := b.get(at+"/settings").link("CORS").want(200, "Allowed origins")
	k.press("Save CORS", "on", "1", "origins", "example.com").want(422, "cannot be among the origins")
	k.press("Save CORS", "on", "1", "origins", "*", "credentials", "1").want(422, "that allow credentials name their origins")
	k.press("Save CORS", "on", "1", "origins", "https://a.example.com\nhttps://*.b.example.com", "methods", "get, post", "max-age", "600").want(200, "Saved")
	if c := stage().Settings.CORS; c == nil || len(c.AllowOrigins) != 2 || c.AllowMethods[0] != "GET" || c.MaxAge != 600 {
		t.Errorf("CORS is %+v", c)
	}
	b.get(at+"/cors").press("Save CORS", "on", "").want(200, "Saved")
	if stage().Settings.CORS != nil {
		t.Error("CORS is still there")
	}

	b.get(at+"/methods").want(200, "Nothing is set").link("Set it for every method").press("Save settings", "rate", "fast").want(422, "is not a number of calls a second")
	b.get(at+"/methods/edit?key=*/*").want(200, "Every other method").press("Save settings", "rate", "10", "burst", "20", "level", "INFO", "metrics", "1").want(200, "INFO")
	b.get(at+"/methods/edit").want(200, "POST /tools/{tool}").press("Save settings", "key", "~1tools~1{tool}/POST", "rate", "", "burst", "", "cached", "1", "ttl", "60").want(200, "POST /tools/{tool}", "60 seconds")
	if x := stage().Settings; x.Setting("~1tools~1{tool}/POST").CacheTTLSeconds != 60 || x.Throttle().Rate != 10 || x.Setting("~1tools~1{tool}/POST").ThrottlingRateLimit != -1 {
		t.Errorf("the settings are %+v", x.MethodSettings)
	}
	b.get(at+"/methods/remove?key=~1tools~1{tool}/POST").want(200, "POST /tools/{tool}").press("Remove settings").want(200).without("POST /tools")
	b.get(at + "/methods/edit?key=nothing").want(404)

	c := b.get(at+"/canary").want(200, "Start the canary")
	c.press("Start the canary", "share", "200").want(422, "between 0 and 100")
	c.press("Start the canary", "share", "12.5", "deployment", second.Deployment.ID, "override-name", "base", "override-value", "v2").want(200, "12.5 %", second.Deployment.ID)
	if k := stage().Settings.Canary; k == nil || k.UseStageCache || k.Overrides["base"] != "v2" {
		t.Errorf("the canary is %+v", k)
	}
	b.get(at+"/canary/end").want(200, first.Deployment.ID).press("End the canary").want(200, "is ended")
	b.get(at+"/canary").press("Start the canary", "deployment", second.Deployment.ID, "override-name", "base", "override-value", "v2").want(200)
	b.get(at + "/canary").link("Promote it").press("Promote the canary").want(200)
	if x := stage(); x.DeploymentID != second.Deployment.ID || x.Settings.Canary != nil || x.Settings.Variables["base"] != "v2" {
		t.Errorf("the stage is %+v", x)
	}
	b.get(at + "/canary/promote").want(404)

	b.get(at+"/cache").press("Save cache", "on", "1", "size", "1.6").want(200, "Empty it")
	b.get(at+"/cache/flush").want(200, "gone on every node").press("Empty the cache").want(200, "is empty on every node")
	if x := stage().Settings; !x.CacheClusterEnabled || x.CacheClusterSize != "1.6" {
		t.Errorf("the cache is %+v", x)
	}
	l := b.get(at+"/logs?preset=json").want(200, "$context.integrationLatency")
	if !strings.HasPrefix(l.field("format"), `{"requestId"`) {
		t.Errorf("the preset is %s", l.field("format"))
	}
	l.press("Save access log", "destination", "arn:aws:logs:us-east-1:123456789012:log-group:calls", "format", "$context.status").want(422, "A line needs $context.requestId")
	l.press("Save access log", "destination", "").want(422, "Say where the log goes")
	l.press("Save access log", "destination", "arn:aws:logs:us-east-1:123456789012:log-group:calls").want(200)
	if x := stage().Settings.AccessLog; x == nil || x.DestinationARN == "" {
		t.Errorf("the access log is %+v", x)
	}
	b.get(at+"/logs").press("Save access log", "destination", "", "format", "").want(200)
	if stage().Settings.AccessLog != nil {
		t.Error("the access log is still there")
	}
}
