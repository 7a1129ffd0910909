package awsapi_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tollgate/model"
)

// A method is tried as it is written, deployed or not: its upstream is asked, its
// mock answers, and the log says what happened.
func TestInvokeMethod(t *testing.T) {
	f := newFace(t)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Add("X-Two", "1")
		w.Header().Add("X-Two", "2")
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.URL.RequestURI(), r.Header.Get("X-Mine"), b)
	}))
	defer upstream.Close()
	integration := func(uri string) *model.Integration {
		return &model.Integration{Type: model.IntegrationHTTPProxy, URI: uri, HTTPMethod: "ANY",
			RequestParameters: map[string]string{"integration.request.path.id": "method.request.path.id"}}
	}
	method := func(g *model.Integration) model.Method {
		return model.Method{AuthorizationType: model.AuthNone, APIKeyRequired: true, Integration: g}
	}
	a, err := f.AddAPI(f.Context(), f.owner.Actor, &model.Definition{Name: "Tried", Resources: []model.Resource{
		{ID: "root000001", Path: "/", Methods: map[string]model.Method{"GET": method(&model.Integration{Type: "HTTP_PROXY", URI: "http://${stageVariables.host}/x", HTTPMethod: "GET"})}},
		{ID: "pets000001", Path: "/pets/{id}", Methods: map[string]model.Method{"ANY": method(integration(upstream.URL + "/animals/{id}?kind=dog")),
			"GET": method(model.FixedMock(201, "text/plain", "a mock"))}},
		{ID: "meta000001", Path: "/meta", Methods: map[string]model.Method{"GET": method(&model.Integration{Type: "HTTP_PROXY", URI: "http://169.254.169.254/latest", HTTPMethod: "GET"})}},
	}}, nil, nil)
	f.must(err)
	type answer struct {
		Status            int
		Body              string
		Headers           map[string]string
		MultiValueHeaders map[string][]string
		Log               string
		Latency           *int
	}
	try := func(resource, verb string, body any) (out answer) {
		t.Helper()
		f.send(f.owner, "POST", "/restapis/"+a.ID+"/resources/"+resource+"/methods/"+verb, body).want(200).into(&out)
		return out
	}
	got := try("pets000001", "POST", map[string]any{"pathWithQueryString": "/pets/7%20a?q=1", "body": "hello", "headers": map[string]string{"x-mine": "yes", "Host": "elsewhere", "Connection": "close"}})
	if got.Status != 202 || got.Body != "POST /animals/7%20a?kind=dog&q=1 yes hello" || len(got.MultiValueHeaders["X-Two"]) != 2 || got.Headers["X-Two"] != "2" || got.Latency == nil {
		t.Errorf("the upstream's answer came back as %+v", got)
	}
	for _, line := range []string{"Execution log for request ", "HTTP Method: POST, Resource Path: /pets/{id}", "Method request path: {id=7%20a}", "Method request query string: {q=1}",
		"Endpoint request URI: " + upstream.URL + "/animals/7%20a?kind=dog&q=1", "Received response. Status: 202", "Successfully completed execution", "Method completed with status: 202"} {
		if !strings.Contains(got.Log, line) {
			t.Errorf("the log has no %q:\n%s", line, got.Log)
		}
	}
	if got = try("pets000001", "GET", nil); got.Status != 201 || got.Body != "a mock" || got.Headers["Content-Type"] != "text/plain" {
		t.Errorf("a mock: %+v", got)
	}
	if got = try("root000001", "GET", nil); got.Status != 500 || got.Headers["x-amzn-ErrorType"] != "InternalServerErrorException" ||
		!strings.Contains(got.Log, "Execution failed due to configuration error: Invalid endpoint address\n") {
		t.Errorf("without its stage variable: %+v", got)
	}
	if got = try("root000001", "GET", map[string]any{"stageVariables": map[string]string{"host": upstream.Listener.Addr().String()}}); got.Status != 202 {
		t.Errorf("with its stage variable: %+v", got)
	}
	if got = try("meta000001", "GET", nil); got.Status != 500 || !strings.Contains(got.Log, "network that the gateway may not reach") {
		t.Errorf("an address inside the network: %+v", got)
	}
	refused := func(who account, path string, body any, status int, code string) {
		t.Helper()
		r := f.send(who, "POST", path, body)
		if r.Status != status || r.Header.Get("X-Amzn-Errortype") != code {
			t.Errorf("%s: %d %s %s", path, r.Status, r.Header.Get("X-Amzn-Errortype"), r.Body)
		}
	}
	base := "/restapis/" + a.ID + "/resources/"
	refused(f.owner, base+"none/methods/GET", nil, 404, "NotFoundException")
	refused(f.owner, base+"meta000001/methods/POST", nil, 404, "NotFoundException")
	refused(f.owner, base+"pets000001/methods/FETCH", nil, 404, "NotFoundException")
	refused(f.owner, base+"pets000001/methods/GET", map[string]any{"pathWithQueryString": "pets"}, 400, "BadRequestException")
	refused(f.account("Eve"), base+"pets000001/methods/GET", nil, 404, "NotFoundException")
	refused(f.owner, "/restapis/"+a.ID+"/authorizers/none", nil, 404, "NotFoundException")
	_, err = f.UpdateDefinition(f.Context(), f.owner.Actor, a.ID, 0, func(d *model.Definition) error {
		d.Authorizers = []model.Authorizer{{ID: "auth01", Name: "pool", Type: "COGNITO_USER_POOLS", ProviderARNs: []string{"arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_abc"}, IdentitySource: "method.request.header.Authorization"}}
		return nil
	})
	f.must(err)
	var asked struct{ ClientStatus int }
	f.send(f.owner, "POST", "/restapis/"+a.ID+"/authorizers/auth01", map[string]any{}).want(200).into(&asked)
	if asked.ClientStatus != 401 {
		t.Errorf("a user pool's authorizer, without a token: %d", asked.ClientStatus)
	}
	f.exec(`update member set role = 'viewer' where tenant_id = $1`, f.owner.Tenant)
	refused(f.owner, base+"pets000001/methods/GET", nil, 403, "AccessDeniedException")
}
