package web_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"tollgate/control"
	"tollgate/model"
)

// workshop is an API of an account with an authorizer, a model, a validator, and a
// method of each kind.
func (s *site) workshop(owner control.Actor) (api string) {
	s.Helper()
	made, err := s.CreateAPI(s.Context(), owner, "Workshop", "")
	s.must(err)
	_, err = s.UpdateDefinition(s.Context(), owner, made.ID, 0, func(d *model.Definition) error {
		d.Authorizers = []model.Authorizer{{ID: "auth01", Name: "Staff", Type: "COGNITO_USER_POOLS", ProviderARNs: []string{"arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_abc"}, IdentitySource: "method.request.header.Authorization"}}
		d.Models = []model.Schema{{ID: "mod001", Name: "Tool", ContentType: "application/json", Schema: `{"type":"object","required":["name"],"properties":{"name":{"type":"string"}}}`}}
		d.RequestValidators = []model.RequestValidator{{ID: "val001", Name: "all", Body: true, Parameters: true}}
		if err := d.AddResource("/tools/{tool}"); err != nil {
			return err
		}
		if err := d.SetMethod("/tools", "GET", model.Method{AuthorizationType: model.AuthNone, Integration: model.FixedMock(200, "application/json", `[]`)}); err != nil {
			return err
		}
		return d.SetMethod("/tools/{tool}", "POST", model.Method{AuthorizationType: model.AuthNone, RequestValidatorID: "val001", RequestModels: map[string]string{"application/json": "Tool"},
			RequestParameters: map[string]bool{"method.request.querystring.unit": true}, Responses: map[string]model.MethodResponse{"200": {}},
			Integration: &model.Integration{Type: model.IntegrationMock, RequestTemplates: map[string]string{"application/json": `{"statusCode": 200}`},
				Responses: map[string]model.IntegrationResponse{"200": {StatusCode: "200", ResponseTemplates: map[string]string{"application/json": "{\"tool\": \"$context.resourcePath\"}"}}}}})
	})
	s.must(err)
	return made.ID
}

// method is a method of an API as control has it.
func (s *site) method(owner control.Actor, api, path, verb string) *model.Method {
	s.Helper()
	a, err := s.API(s.Context(), owner, api)
	s.must(err)
	m := a.Definition.Method(path, verb)
	if m == nil {
		s.Fatalf("there is no %s %s", verb, path)
	}
	return m
}

// field is the first form control of the page with a name.
func (p *page) control(name string) *html.Node {
	p.Helper()
	n := find(p.root, func(n *html.Node) bool { return attr(n, "name") == name && n.Data != "button" })
	if n == nil {
		p.Fatalf("%s has no field %q", p.path, name)
	}
	return n
}

// Each station of a method's pipeline is edited in its place, by plain forms.
// What can be deployed, but surely not as it was meant, is said where it is edited and
// where it is deployed, and stops nobody.
func TestMethodDoubts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	owner := s.tenant()
	made, err := s.CreateAPI(s.Context(), owner, "Workshop", "")
	s.must(err)
	_, err = s.UpdateDefinition(s.Context(), owner, made.ID, 0, func(d *model.Definition) error {
		if err := d.AddResource("/tools"); err != nil {
			return err
		}
		return d.SetMethod("/tools", "GET", model.Method{AuthorizationType: model.AuthNone, Integration: &model.Integration{Type: model.IntegrationAWSProxy, HTTPMethod: "GET",
			URI: "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:tools/invocations"}})
	})
	s.must(err)
	b := s.as(owner)
	const doubt = "must be called with POST"
	b.get("/apis/"+made.ID+"/method?path=/tools&verb=GET").want(200, "surely not as it is meant", doubt)
	b.get("/apis/"+made.ID+"/deploy").want(200, "surely not as it is meant", doubt).press("Deploy", "stage", "prod").want(200, "prod")
}

func TestMethodPipeline(t *testing.T) {
	t.Parallel()
	s := newSite(t, withGateway)
	owner := s.tenant()
	api := s.workshop(owner)
	b := s.as(owner)
	at := "/apis/" + api + "/method?path=/tools/{tool}&verb=POST"
	edit := func(part string) *page { return b.get(at+"&edit="+part).want(200, "Cancel") }

	b.get(at).want(200, "Method request", "all (body and parameters)", "querystring.unit", "Tool", "Integration response", "for all answers that no other is for", "Nothing of the API is deployed yet")

	// The method request.
	r := edit("request")
	if r.field("authorization") != "NONE" || r.field("validator") != "val001" || r.field("params-name") != "unit" || r.field("params-must") != "true" {
		t.Errorf("the form does not have what is set: %s", r.body)
	}
	wrong := r.press("Save method request", "params-in", "header", "params-name", "X Odd", "params-must", "").want(422, "X Odd: A header's name has no blanks")
	if attr(wrong.control("params-name"), "aria-invalid") != "true" || wrong.field("params-name") != "X Odd" {
		t.Error("the field is not marked, or what was typed is lost")
	}
	r.press("Save method request", "params-in", "path", "params-name", "nothing", "params-must", "true").want(422, "no variable of this name")
	r.press("Save method request", "models-type", "application/json", "models-model", "").want(422, "Choose a model")
	more := r.press("Add a row", "params-in", "header", "params-in", "header", "params-name", "X-Unit", "params-name", "X-More", "params-must", "", "params-must", "true").want(200)
	if n := strings.Count(more.body, `name="params-name"`); n != 3 {
		t.Errorf("%d rows after one more was asked for", n)
	}
	more.press("Save method request", "authorization", "authorizer:auth01", "scopes", "tools/read, tools/write", "key", "1", "operation", "makeTool").want(200, "Saved", "Staff", "tools/read tools/write", "needed", "header.X-More")
	m := s.method(owner, api, "/tools/{tool}", "POST")
	if m.AuthorizationType != model.AuthCognito || m.AuthorizerID != "auth01" || len(m.AuthorizationScopes) != 2 || !m.APIKeyRequired || m.OperationName != "makeTool" ||
		len(m.RequestParameters) != 2 || !m.RequestParameters["method.request.header.X-More"] || m.RequestModels["application/json"] != "Tool" {
		t.Errorf("the method became %+v", m)
	}
	edit("request").press("Save method request", "authorization", "NONE", "scopes", "", "key", "").want(200, "Saved")
	if m := s.method(owner, api, "/tools/{tool}", "POST"); m.AuthorizationType != model.AuthNone || m.AuthorizerID != "" || m.APIKeyRequired {
		t.Errorf("the method became %+v", m)
	}

	// The integration request.
	edit("mapping").press("Save integration request", "params-in", "header", "params-name", "X-Tool", "params-from", "method.request.tool").want(422, "What it is filled from")
	edit("mapping").press("Save integration request", "params-in", "header", "params-name", "X-Tool", "params-from", "method.request.path.tool",
		"templates-type", "application/json", "templates-long", "{\"statusCode\": 200,\r\n \"tool\": $input.json('$.name')}", "passthrough", "NEVER", "cache-name", "page").want(422, "A cache key is a parameter")
	edit("mapping").press("Save integration request", "params-in", "header", "params-name", "X-Tool", "params-from", "method.request.path.tool",
		"templates-type", "application/json", "templates-long", "{\"statusCode\": 200,\r\n \"tool\": $input.json('$.name')}", "passthrough", "NEVER").want(200, "Saved", "refused with 415", "from method.request.path.tool")
	g := s.method(owner, api, "/tools/{tool}", "POST").Integration
	if g.RequestTemplates["application/json"] != "{\"statusCode\": 200,\n \"tool\": $input.json('$.name')}" || g.PassthroughBehavior != "NEVER" || g.RequestParameters["integration.request.header.X-Tool"] == "" {
		t.Errorf("the integration became %+v", g)
	}
	// What cannot be deployed is said where it is edited, with its place.
	edit("mapping").press("Save integration request", "templates-type", "application/json", "templates-long", "{\"statusCode\": 200}\n#if(").want(200, "Saved", "keeps the API from being deployed", "request template")
	edit("mapping").press("Save integration request", "templates-type", "application/json", "templates-long", "{\"statusCode\": 200}").want(200).without("keeps the API")

	// The integration response, and the method response that it declares.
	edit("answer&key=200").press("Save integration response", "status", "20").want(422, "not a number between")
	edit("answer").press("Save integration response", "status", "404", "pattern", "").want(422, "is the default already")
	edit("answer").press("Save integration response", "status", "404", "pattern", "40(").want(422, "no regular expression")
	edit("answer").press("Save integration response", "status", "404", "pattern", "404", "params-in", "header", "params-name", "X-Why", "params-from", "'gone'", "templates-type", "application/json", "templates-long", `{"no": true}`).
		want(200, "for answers that match 404", "X-Why")
	m = s.method(owner, api, "/tools/{tool}", "POST")
	if x := m.Integration.Responses["404"]; x.StatusCode != "404" || x.Pattern() != "404" || x.ResponseParameters["method.response.header.X-Why"] != "'gone'" {
		t.Errorf("the integration response is %+v", m.Integration.Responses)
	}
	if _, ok := m.Responses["404"].Parameters["method.response.header.X-Why"]; !ok {
		t.Errorf("the method responses are %+v", m.Responses)
	}
	edit("response&key=404").press("Save method response", "status", "410", "models-type", "application/json", "models-model", "Tool").want(200, "410", "Tool as application/json")
	b.get(at).link("Remove") // of the whole method
	b.get("/apis/"+api+"/method/answer/remove?path=/tools/{tool}&verb=POST&key=404").want(200, "integration response leaves POST").press("Remove it").want(200, "is removed")
	b.get("/apis/"+api+"/method/response/remove?path=/tools/{tool}&verb=POST&key=410").press("Remove it").want(200, "is removed")
	b.get("/apis/" + api + "/method/response/remove?path=/tools/{tool}&verb=POST&key=410").want(404)
	b.get(at + "&edit=nothing").want(404)

	// The integration itself.
	edit("integration").press("Save integration", "type", "HTTP", "uri", "backend").want(422, "is not an address")
	edit("integration").press("Save integration", "type", "HTTP", "uri", "https://backend.example.com/${stageVariables.base}/{tool}", "upstream-verb", "PUT", "timeout", "10").want(422, "Timeout should be between 50 ms and", `it is "10"`)
	edit("integration").press("Save integration", "type", "HTTP", "uri", "https://backend.example.com/{tool}", "upstream-verb", "PUT", "timeout", "5000").want(200, "PUT", "5,000 ms")
	edit("integration").press("Save integration", "type", "AWS_PROXY", "uri", "arn:aws:lambda:us-east-1:123456789012:function:tools", "upstream-verb", "GET").want(422, "Lambda is invoked by POST")
	edit("integration").press("Save integration", "type", "AWS_PROXY", "uri", "arn:aws:lambda:us-east-1:123456789012:function:tools", "upstream-verb", "POST").want(200, "function gets the whole call")
	if g := s.method(owner, api, "/tools/{tool}", "POST").Integration; g.URI != "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:tools/invocations" || len(g.RequestTemplates) != 1 {
		t.Errorf("the integration became %+v", g)
	}

	// An edit that another has overtaken is refused, with what was typed.
	stale := edit("request")
	edit("request").press("Save method request", "operation", "first").want(200)
	late := stale.press("Save method request", "operation", "second").want(409)
	if late.field("operation") != "second" {
		t.Error("what was typed is lost")
	}

	// Who may only look sees it all and is offered nothing.
	v := s.as(s.member(owner, control.RoleViewer)).get(at+"&edit=request").want(200, "Method request")
	if find(v.root, func(n *html.Node) bool { return textOf(n) == "Edit" }) != nil || strings.Contains(v.body, "method/request") {
		t.Error("a viewer is offered to edit")
	}
}

// A method is tried as it is, deployed or not, with what its panel is filled with.
func TestMethodTrial(t *testing.T) {
	t.Parallel()
	s := newSite(t, withGateway)
	owner := s.tenant()
	api := s.workshop(owner)
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Back", r.Header.Get("X-Mine"))
		w.WriteHeader(201)
		_, _ = io.WriteString(w, r.Method+" "+r.URL.RequestURI()+" "+string(body))
	}))
	t.Cleanup(back.Close)
	_, err := s.UpdateDefinition(s.Context(), owner, api, 0, func(d *model.Definition) error {
		return d.SetMethod("/tools/{tool}", "ANY", model.Method{AuthorizationType: model.AuthNone, Integration: &model.Integration{Type: model.IntegrationHTTPProxy, HTTPMethod: "ANY", URI: back.URL + "/v1/{tool}",
			RequestParameters: map[string]string{"integration.request.path.tool": "method.request.path.tool"}}})
	})
	s.must(err)
	b := s.as(owner)
	p := b.get("/apis/"+api+"/method?path=/tools/{tool}&verb=ANY").want(200, "Test")
	p.press("Test it", "as", "PUT", "var-tool", "a b", "query", "x=1&y=2", "header-name", "X-Mine", "header-value", "yes", "body", "hello").
		want(200, "201 in", "PUT /v1/a%20b?x=1&y=2 hello", "X-Back: yes", "Execution log for request", "Successfully completed execution")
	p.press("Test it", "as", "PUT", "header-name", "X Mine").want(422, "A header's name has no blanks")
	p.press("Test it", "as", "PUT", "query", "a b").want(422, "A query has no blanks")
	req, err := http.NewRequest("POST", s.url+"/apis/"+api+"/method/test", strings.NewReader(formOf("path", "/tools", "verb", "GET").Encode()))
	s.must(err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	req.Header.Set("HX-Request", "true")
	if part := b.do(req); part.status != 200 || strings.Contains(part.body, "<nav") || !strings.Contains(part.body, "200 in") {
		t.Errorf("a part: %d %s", part.status, part.body)
	}
	viewer := s.as(s.member(owner, control.RoleViewer))
	viewer.post("/apis/"+api+"/method/test", formOf("path", "/tools", "verb", "GET")).want(403)
	s.as(s.tenant()).post("/apis/"+api+"/method/test", formOf("path", "/tools", "verb", "GET")).want(404)
}
