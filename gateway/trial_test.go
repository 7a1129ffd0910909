package gateway

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"tollgate/model"
)

// A trial runs the steps of every call: validators and mappings act, gateway responses
// are the author's, and the log says each step.
func TestTrial(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", r.Header.Get("X-Mapped"))
		w.WriteHeader(201)
		_, _ = w.Write([]byte(`{"got":` + string(b) + `}`))
	}))
	defer upstream.Close()
	trials := NewTrials([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, nil, nil, nil)
	defer func() { _ = trials.Close(context.Background()) }()
	pattern := `2\d\d`
	d := &model.Definition{Name: "Tried", Policy: `{"Statement":[]}`,
		RequestValidators: []model.RequestValidator{{ID: "all", Name: "all", Body: true, Parameters: true}},
		Models:            []model.Schema{{ID: "m1", Name: "Pet", ContentType: "application/json", Schema: `{"type":"object","required":["name"]}`}},
		GatewayResponses:  map[string]model.GatewayResponse{"BAD_REQUEST_BODY": {StatusCode: "422", Templates: map[string]string{"application/json": `{"why":"$context.error.validationErrorString"}`}}},
		Resources: []model.Resource{{ID: "pets000001", Path: "/pets/{id}", Methods: map[string]model.Method{
			"POST": {AuthorizationType: model.AuthIAM, APIKeyRequired: true, RequestValidatorID: "all", RequestModels: map[string]string{"application/json": "Pet"},
				RequestParameters: map[string]bool{"method.request.querystring.kind": true},
				Integration: &model.Integration{Type: model.IntegrationHTTP, HTTPMethod: "POST", URI: upstream.URL + "/a/{id}",
					RequestParameters: map[string]string{"integration.request.path.id": "method.request.path.id", "integration.request.header.X-Mapped": "context.stage"},
					RequestTemplates:  map[string]string{"application/json": `{"id":"$input.params('id')","name":$input.json('$.name'),"account":"$context.accountId"}`},
					Responses:         map[string]model.IntegrationResponse{"200": {StatusCode: "200", SelectionPattern: &pattern, ResponseTemplates: map[string]string{"application/json": `$input.json('$.got.name')`}}}}},
			"PUT":     {Integration: &model.Integration{Type: model.IntegrationHTTP, HTTPMethod: "POST", URI: upstream.URL, Responses: map[string]model.IntegrationResponse{"500": {StatusCode: "200", SelectionPattern: new("5..")}}}},
			"GET":     {Integration: &model.Integration{Type: model.IntegrationHTTPProxy, HTTPMethod: "POST", URI: "http://inside.example/", ConnectionType: model.ConnectionVPCLink, ConnectionID: "l1"}},
			"OPTIONS": {Integration: &model.Integration{Type: model.IntegrationHTTPProxy, HTTPMethod: "POST", URI: "http://inside.example/", ConnectionType: model.ConnectionVPCLink, ConnectionID: "none"}},
			"DELETE":  {Integration: &model.Integration{Type: model.IntegrationHTTP, HTTPMethod: "POST", URI: upstream.URL, RequestTemplates: map[string]string{"application/json": "#set($x = )"}}},
		}}}}
	for _, c := range []struct {
		verb, target, body string
		status             int
		want               string
		log                []string
	}{
		{"POST", "/pets/7?kind=dog", `{"name":"Rex"}`, 200, `"Rex"`, []string{
			"Method request path: {id=7}", "Endpoint request URI: " + upstream.URL + "/a/7", "X-Mapped=test-invoke-stage",
			`Endpoint request body after transformations: {"id":"7","name":"Rex","account":"123456789012"}`, "Received response. Status: 201",
			`Endpoint response body before transformations: {"got":{"id":"7"`, `Method response body after transformations: "Rex"`, "Method completed with status: 200"}},
		{"POST", "/pets/7", `{"name":"Rex"}`, 400, `{"message":"Missing required request parameters: [kind]"}`, []string{"Execution failed: Missing required request parameters: [kind]"}},
		{"POST", "/pets/7?kind=dog", `{}`, 422, `{"why":"[object has missing required properties ([\"name\"])]"}`, []string{"Execution failed: the body does not fit the model Pet: [object has missing"}},
		{"PUT", "", "", 500, `{"message":"Internal server error"}`, []string{"Method request path: {}", "Endpoint request URI: " + upstream.URL + "/", "No match for output mapping and no default output mapping configured. Endpoint Response Status Code: 201"}},
		{"GET", "/pets/7", "7", 201, `{"got":7}`, []string{"Endpoint request URI: http://inside.example/"}},
		{"OPTIONS", "/pets/7", "", 500, `{"message":"Internal server error"}`, []string{"there is no VPC link of that id"}},
		{"DELETE", "", "", 500, `{"message":"Internal server error"}`, []string{"Execution failed due to configuration error: request template for application/json: line 1, column"}},
	} {
		a, err := trials.Try(t.Context(), model.TrialCall{ID: model.NewRequestID(), AccountID: "123456789012", APIID: "api1", Definition: d, Path: "/pets/{id}", Verb: c.verb, Target: c.target,
			Headers: map[string][]string{"Content-Type": {"application/json"}}, Body: []byte(c.body),
			Links: []model.LinkConfig{{ID: "l1", Targets: []string{"10.0.0.9:80", address(upstream)}}}})
		if err != nil {
			t.Fatal(err)
		}
		if got := string(a.Body); a.Status != c.status || got != c.want {
			t.Errorf("%s %s: %d %s, want %d %s\n%s", c.verb, c.target, a.Status, got, c.status, c.want, a.Log)
		}
		for _, line := range c.log {
			if !strings.Contains(a.Log, line) {
				t.Errorf("%s %s: the log has no %q:\n%s", c.verb, c.target, line, a.Log)
			}
		}
	}
}
