package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"tollgate/model"
)

// What a gateway response says of a call that was refused before it was matched has
// nothing of an earlier call, which may have been another API's: its buffers are used
// again.
func TestRefusalKnowsNoEarlierCall(t *testing.T) {
	r := newRig(t, func(o *Options) {
		var err error
		if o.EndpointNetworks, err = model.ParseEndpointNetworks("vpce-1=10.0.0.0/8"); err != nil {
			t.Fatal(err)
		}
	})
	const mock = `{"type": "MOCK", "requestTemplates": {"application/json": "{\"statusCode\": 200}"}, "integrationResponses": {"default": {"statusCode": "200"}}}`
	open := r.defined(nil, nil, map[string]string{"GET /long/path/{id}": mock})
	r.p.mu.Lock()
	d := *r.p.deployments["d1"]
	d.ID, d.APIID = "d2", "def"
	d.Definition.Endpoint = &model.Endpoint{Types: []string{model.EndpointPrivate}}
	d.Definition.Policy = `{"Version":"2012-10-17","Statement":` + statement("Allow", `"Resource":"execute-api:/*"`) + `}`
	d.Definition.GatewayResponses = map[string]model.GatewayResponse{"DEFAULT_4XX": {Templates: map[string]string{"application/json": `{"id":"$method.request.path.id","at":"$context.resourcePath"}`}}}
	r.p.deployments["d2"] = &d
	r.p.mu.Unlock()
	r.p.tell(t, model.Changes{Tenants: []model.TenantConfig{{Num: tenantNum, AccountID: "123456789012"}},
		Stages: []model.StageConfig{open, {Num: 71, Tenant: tenantNum, APIID: "def", Stage: "prod", DeploymentID: "d2"}}})
	c, err := net.Dial("tcp", r.g.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	br := bufio.NewReader(c)
	ask := func(path string) (int, string) {
		if _, err := fmt.Fprintf(c, "GET /_aws/execute-api/%s HTTP/1.1\r\nHost: x\r\n\r\n", path); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(b)
	}
	if status, body := ask("abc/prod/long/path/" + strings.Repeat("secret", 20)); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	if status, body := ask("def/prod/x"); status != 403 || body != `{"id":"","at":""}` {
		t.Errorf("%d %s", status, body)
	}
}
