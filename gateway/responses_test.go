package gateway

import (
	"encoding/json"
	"strings"
	"testing"

	"tollgate/model"
)

// What the gateway answers by itself is what the API's author made of it, each kind by
// its own response or by its class's.
func TestGatewayResponses(t *testing.T) {
	r := newRig(t)
	st := r.content("d1", deadPort(t), "GET /down", "!GET /keyed", "POST /checked")
	st.Variables = map[string]string{"color": "blue"}
	r.p.mu.Lock()
	d := &r.p.deployments["d1"].Definition
	d.Models = []model.Schema{{ID: "m", Name: "Pet", ContentType: "application/json", Schema: `{"type": "object", "required": ["name"]}`}}
	d.RequestValidators = []model.RequestValidator{{ID: "v", Body: true}}
	m := d.Method("/checked", "POST")
	m.RequestValidatorID, m.RequestModels = "v", map[string]string{"application/json": "Pet"}
	if err := d.SetMethod("/checked", "POST", *m); err != nil {
		t.Fatal(err)
	}
	d.GatewayResponses = map[string]model.GatewayResponse{
		"MISSING_AUTHENTICATION_TOKEN": {StatusCode: "404", Templates: map[string]string{"application/json": `{"no": $context.error.messageString, "at": "$context.path", "color": "$stageVariables.color", "type": "$context.error.responseType", "q": "$method.request.querystring.q", "gone": "$context.nothing.at.all"}`, "text/html": "<p>none</p>"},
			Parameters: map[string]string{"gatewayresponse.header.X-Origin": "method.request.header.origin", "gatewayresponse.header.X-Fixed": "'it'"}},
		"BAD_REQUEST_BODY": {Templates: map[string]string{"application/json": `{"why": "$context.error.validationErrorString"}`}},
		"DEFAULT_4XX":      {Parameters: map[string]string{"gatewayresponse.header.Access-Control-Allow-Origin": "'*'"}},
		"DEFAULT_5XX":      {StatusCode: "502", Templates: map[string]string{"application/json": `{"down": "$context.error.message"}`}},
	}
	r.p.mu.Unlock()
	r.p.tell(t, model.Changes{Tenants: []model.TenantConfig{{Num: tenantNum, AccountID: "123456789012"}}, Stages: []model.StageConfig{st}})
	status, h, body := r.send("GET", "/none?q=a%20b", "", "Origin", "https://o.example")
	if status != 404 || body != `{"no": "Missing Authentication Token", "at": "/prod/none", "color": "blue", "type": "MISSING_AUTHENTICATION_TOKEN", "q": "a b", "gone": ""}` ||
		h.Get("X-Origin") != "https://o.example" || h.Get("X-Fixed") != "it" || h.Get("x-amzn-ErrorType") != "MissingAuthenticationTokenException" || h.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%d %v %s", status, h, body)
	}
	if status, h, body := r.send("GET", "/none", "", "Accept", "text/html"); status != 404 || body != "<p>none</p>" || h.Get("Content-Type") != "text/html" {
		t.Errorf("%d %v %s", status, h, body)
	}
	if status, h, body := r.send("GET", "/keyed", ""); status != 403 || body != `{"message":"Forbidden"}` || h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Content-Type") != "application/json" {
		t.Errorf("%d %v %s", status, h, body)
	}
	if status, _, body := r.send("GET", "/down", ""); status != 502 || body != `{"down": "Network error communicating with endpoint"}` {
		t.Errorf("%d %s", status, body)
	}
	status, _, body = r.send("POST", "/checked", `{}`, "Content-Type", "application/json")
	var why struct{ Why string }
	if err := json.Unmarshal([]byte(body), &why); err != nil || status != 400 || why.Why != `[object has missing required properties (["name"])]` {
		t.Errorf("%d %s %v", status, body, err)
	}
	until(t, "the calls to be metered", func() bool { return r.p.metered(404) == 2 && r.p.metered(502) == 1 && r.p.metered(400) == 1 })

	// One that cannot be compiled is named.
	d2 := &model.Definition{GatewayResponses: map[string]model.GatewayResponse{"THROTTLED": {Parameters: map[string]string{"gatewayresponse.header.Content-Length": "integration.response.header.x"}}}}
	if p := Check(d2, testARN); len(p) != 1 || !strings.Contains(p[0].Message, "gateway response THROTTLED: parameter gatewayresponse.header.Content-Length") {
		t.Errorf("%+v", p)
	}
}
