package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tollgate/awsapi/sigv4"
	"tollgate/gateway/aws"
	"tollgate/gateway/http1"
	"tollgate/gateway/vtl"
	"tollgate/model"
)

// What a service answers, and what it fails with, as the caller sees it.
func TestServiceAnswers(t *testing.T) {
	t.Parallel()
	forever := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("x-amzn-RequestId", "id-of-the-service")
		switch r.URL.Path {
		case "/fn/functions/ok/invocations":
			fmt.Fprint(w, `{"fine":true}`)
		case "/fn/functions/raises/invocations":
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
			fmt.Fprint(w, `{"errorMessage":"Malformed input\nof a pet","errorType":"E"}`)
		case "/fn/functions/says/invocations":
			fmt.Fprint(w, `{"errorMessage":"Malformed: said"}`)
		case "/fn/functions/dies/invocations":
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
			fmt.Fprint(w, `RequestId: 1 Process exited before completing request`)
		case "/fn/functions/async/invocations":
			if r.Header.Get("X-Amz-Invocation-Type") == "Event" {
				w.WriteHeader(202)
			}
		case "/fn/functions/denied/invocations":
			w.WriteHeader(403)
			fmt.Fprint(w, `{"Message":"no"}`)
		case "/fn/functions/busy/invocations":
			w.WriteHeader(429)
			fmt.Fprint(w, `{"Reason":"slow down"}`)
		case "/slow":
			select {
			case <-forever:
			case <-r.Context().Done():
			}
		case "/broken":
			w.WriteHeader(500)
			fmt.Fprint(w, `{"__type":"InternalServerError"}`)
		case "/huge":
			_, _ = io.Copy(w, io.LimitReader(endless{}, maxMappedAnswer+1))
		case "/cut":
			c, _, _ := http.NewResponseController(w).Hijack()
			_ = c.Close()
		default:
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"signed":%q,"host":%q,"target":%q,"token":%q,"agent":%q,"kind":%q,"trace":%q,"body":%q}`, between(r.Header.Get("Authorization"), "Credential=", ", "), r.Host,
				r.Header.Get("X-Amz-Target"), r.Header.Get("X-Amz-Security-Token"), r.UserAgent(), r.Header.Get("Content-Type"), r.Header.Get("X-Amzn-Trace-Id"), body)
		}
	}))
	t.Cleanup(func() { close(forever); s.Close() })
	r := at(t, "*="+s.URL+",down=http://"+deadPort(t))
	of := func(service, path, credentials, rest string) string {
		return `{"type": "AWS", "httpMethod": "POST", "credentials": "` + credentials + `", "uri": "arn:aws:apigateway:us-east-1:` + service + `:` + path + `"` + rest + `}`
	}
	const asIs = `, "integrationResponses": {"default": {"statusCode": "200"}}`
	const errors = `, "integrationResponses": {"default": {"statusCode": "200"}, "m": {"statusCode": "400", "selectionPattern": "Malformed:.*", "responseTemplates": {"application/json": "{\"why\": \"$util.escapeJavaScript($input.path('$.errorMessage'))\"}"}}, "x": {"statusCode": "502", "selectionPattern": "(\\n|.)+"}}`
	fn := func(name, rest string) string {
		return of("lambda", "path/fn/functions/"+name+"/invocations", "", rest)
	}
	r.p.tell(t, model.Changes{})
	r.integrate(map[string]string{"role": "api"}, map[string]string{
		"GET /signed":    of("dynamodb", "action/GetItem", "arn:aws:iam::123456789012:role/${stageVariables.role}", asIs),
		"GET /unsigned":  of("dynamodb", "action/GetItem", "", asIs),
		"GET /missing":   of("dynamodb", "action/GetItem", "arn:aws:iam::123456789012:role/none", asIs),
		"GET /kept":      of("dynamodb", "action/GetItem", wideRole, asIs),
		"GET /kept/sqs":  of("sqs", "action/ListQueues", wideRole, asIs),
		"GET /caller":    of("dynamodb", "action/GetItem", model.CallersCredentials, asIs),
		"GET /variable":  of("dynamodb", "action/GetItem", "arn:aws:iam::123456789012:role/${stageVariables.gone}", asIs),
		"GET /none":      of("dynamodb", "action/GetItem", apiRole, ""),
		"GET /down":      of("down", "path/x", "", asIs),
		"GET /slow":      of("s3", "path/slow", "", `, "timeoutInMillis": 400`+asIs), // the others answer, however slow the machine is
		"GET /broken":    of("s3", "path/broken", "", `, "integrationResponses": {"default": {"statusCode": "200"}, "e": {"statusCode": "503", "selectionPattern": "5\\d\\d"}}`),
		"GET /huge":      of("s3", "path/huge", "", asIs),
		"GET /cut":       of("s3", "path/cut", "", asIs),
		"GET /variables": of("s3", "path/{x}", "", `, "requestTemplates": {"application/json": "{}"}`+asIs),
		"POST /media":    of("dynamodb", "action/PutItem", apiRole, `, "passthroughBehavior": "NEVER"`+asIs),
		"GET /ok":        fn("ok", errors), "GET /raises": fn("raises", errors), "GET /says": fn("says", errors), "GET /dies": fn("dies", errors), "GET /denied": fn("denied", errors), "GET /busy": fn("busy", errors), "GET /fn": fn("echo", errors),
		"GET /async": fn("async", `, "requestParameters": {"integration.request.header.X-Amz-Invocation-Type": "'Event'"}`+errors),
		"GET /reach": `{"type": "HTTP_PROXY", "uri": "` + s.URL + `/x"}`,
	})
	r.p.tell(t, model.Changes{Credentials: []model.CredentialConfig{
		stored(1, apiRole, func(c *model.CredentialConfig) { c.SessionToken = "token" }),
		stored(2, wideRole, func(c *model.CredentialConfig) { c.Services, c.Regions = []string{"dynamodb"}, []string{"us-east-1"} }),
		{Num: 3, Tenant: tenantNum + 1, Name: "arn:aws:iam::123456789012:role/none", AccessKeyID: "AKIDOTHER", Secret: "x"}, // another's
	}})
	signed := `"signed":"AKIDEXAMPLE/` + time.Now().UTC().Format("20060102") + `/us-east-1/dynamodb/aws4_request"`
	for _, c := range []struct {
		path   string
		status int
		has    string
	}{
		{"/signed", 200, signed}, {"/signed", 200, `"token":"token"`}, {"/signed", 200, `"kind":"application/x-amz-json-1.0"`}, {"/signed", 200, `"agent":"AmazonAPIGateway_abc"`}, {"/signed", 200, `"trace":"Root=1-`},
		{"/unsigned", 200, `"signed":""`}, {"/missing", 500, ""}, {"/kept", 200, signed}, {"/kept/sqs", 500, ""}, {"/caller", 500, ""}, {"/variable", 500, ""}, {"/none", 500, ""},
		{"/down", 504, "Network error"}, {"/slow", 504, "timed out"}, {"/broken", 503, "InternalServerError"}, {"/huge", 504, ""}, {"/cut", 504, ""}, {"/variables", 500, ""},
		{"/fn", 200, `"signed":""`}, {"/ok", 200, "fine"}, {"/raises", 502, "of a pet"}, {"/says", 400, `{"why": "Malformed: said"}`}, {"/dies", 502, "exited"}, {"/denied", 500, ""}, {"/busy", 502, "slow down"}, {"/async", 200, ""},
		{"/reach", 500, ""}, // what the operator names is for services alone
	} {
		if status, h, body := r.send("GET", c.path, ""); status != c.status || !strings.Contains(body, c.has) || status == 200 && h.Get("X-Amzn-Trace-Id") == "" {
			t.Errorf("%s: %d %.300s %v", c.path, status, body, h)
		}
	}
	if status, _, body := r.send("POST", "/media", "x", "Content-Type", "text/plain"); status != 415 {
		t.Errorf("%d %s", status, body)
	}
	if status, h, _ := r.send("GET", "/signed", "", "X-Amzn-Trace-Id", "Root=1-5759e988-bd862e3fe1be46a994272793"); status != 200 || h.Get("X-Amzn-Trace-Id") != "Root=1-5759e988-bd862e3fe1be46a994272793" {
		t.Error(status, h)
	}
	// A function is called with the account's own where there are some.
	r.p.tell(t, model.Changes{Credentials: []model.CredentialConfig{stored(4, model.DefaultCredential)}})
	if status, _, body := r.send("GET", "/fn", ""); status != 200 || !strings.Contains(body, "/us-east-1/lambda/aws4_request") {
		t.Errorf("%d %s", status, body)
	}
	if status, _, body := r.send("GET", "/unsigned", ""); status != 200 || !strings.Contains(body, `"signed":""`) {
		t.Errorf("%d %s", status, body)
	}
	// A node that begins anew has what it was told.
	full := model.Changes{Full: true, Tenants: []model.TenantConfig{{Num: tenantNum, AccountID: "123456789012"}}}
	if out := r.g.reg.complete(&full); len(out.Credentials) != 4 || !out.Credentials[0].Deleted {
		t.Errorf("%+v", out.Credentials)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// The caller's own credentials are those stored under the user that signed, and nobody
// else's: whoever else an authorizer says it is has none.
func TestCallersCredentials(t *testing.T) {
	own := "arn:aws:iam::123456789012:user/ada"
	set := serviceCredentials([]model.CredentialConfig{stored(1, own), stored(2, apiRole)})
	c := &call{tenant: &tenant{}, run: &run{m: &method{signed: true}}}
	c.tenant.credentials.Store(&set)
	s, err := parseService(&model.Integration{Type: model.IntegrationAWS, URI: "arn:aws:apigateway:us-east-1:sqs:action/ListQueues", Credentials: model.CallersCredentials})
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.target.Request(s.endpoint, &serviceAsk)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []struct {
		iam    bool
		caller *caller
		ok     bool
	}{
		{true, nil, false}, {true, &caller{identity: [][2]string{{"userArn", own}}}, true},
		{true, &caller{identity: [][2]string{{"userArn", "arn:aws:iam::123456789012:user/bob"}}}, false},
		{false, &caller{identity: [][2]string{{"userArn", own}}, authorizer: vtl.NewMap()}, false},
	} {
		c.run.m.signed, c.caller = w.iam, w.caller
		keys, why := c.signer(s, r)
		if (keys != nil) != w.ok || (why == "") != w.ok {
			t.Errorf("%+v: %v %q", w.caller, keys, why)
		}
	}
}

func TestCheckServices(t *testing.T) {
	for _, c := range []struct{ integration, why string }{
		{`"uri": "arn:aws:apigateway:us-east-1:sqs:sheep/x"`, "AWS ARN for integration must contain path or action"},
		{`"uri": "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/${stageVariables.fn}/invocations"`, ""},
		{`"uri": "arn:aws:apigateway:${stageVariables.region}:sqs:path/{queue}"`, "${stageVariables.region}:sqs:path/{queue}\" uses {queue}"},
		{`"uri": "arn:aws:apigateway:us-east-1:sqs:path/{queue}", "requestParameters": {"integration.request.path.queue": "'x'"}`, ""},
		{`"uri": "arn:aws:apigateway:us-east-1:sqs:path/x", "credentials": "arn:aws:iam::${stageVariables.account}:role/x"`, ""},
		{`"uri": "arn:aws:apigateway:us-east-1:sqs:path/x", "credentials": "role"`, "are not the ARN of a role"},
		{`"uri": "arn:aws:apigateway:us-east-1:sqs:path/x", "httpMethod": "PO ST"`, "is not a verb"},
		{`"uri": "arn:aws:apigateway:us-east-1:sqs:path/x", "requestTemplates": {"application/json": "#if("}`, "request template"},
		{`"uri": "arn:aws:apigateway:us-east-1:sqs:path/x", "responseTransferMode": "STREAM"`, "cannot stream"},
		{`"uri": "https://example.com/"`, "it is not arn:aws"},
	} {
		g := decoded(t, `{"type": "AWS", `+c.integration+`}`)
		d := &model.Definition{Name: "x", Resources: []model.Resource{{Path: "/a", Methods: map[string]model.Method{"POST": {Integration: g}}}}}
		problems := append(d.Undeployable(), Check(d, testARN)...)
		if c.why == "" {
			if len(problems) > 0 {
				t.Errorf("%s: %v", c.integration, problems)
			}
			continue
		}
		if len(problems) != 1 || problems[0].Pointer != "POST /a" || !strings.Contains(problems[0].Message, c.why) {
			t.Errorf("%s: %v", c.integration, problems)
		}
	}
}

// What a trial shows of a signed request leaves out what proves who signed it, and says
// why a call failed.
func TestServiceTrial(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"queues":[]}`) }))
	t.Cleanup(s.Close)
	all := at(t, "*="+s.URL).g.o.Endpoints
	trials := NewTrials(nil, all, nil, nil)
	t.Cleanup(func() { _ = trials.Close(t.Context()) })
	g := decoded(t, `{"type": "AWS", "httpMethod": "POST", "credentials": "`+apiRole+`", "uri": "arn:aws:apigateway:us-east-1:sqs:action/ListQueues", "integrationResponses": {"default": {"statusCode": "200"}}}`)
	d := &model.Definition{Name: "x", Resources: []model.Resource{{Path: "/a", Methods: map[string]model.Method{"GET": {Integration: g}}}}}
	call := model.TrialCall{ID: model.NewRequestID(), AccountID: "123456789012", APIID: "abc", Definition: d, Path: "/a", Verb: "GET",
		Credentials: []model.CredentialConfig{stored(1, apiRole, func(c *model.CredentialConfig) { c.SessionToken = "sessiontoken" })}}
	a, err := trials.Try(t.Context(), call)
	if err != nil || a.Status != 200 || !strings.Contains(string(a.Body), "queues") {
		t.Fatalf("%v %+v", err, a)
	}
	for _, want := range []string{"Endpoint request URI: " + s.URL, "Action=ListQueues", "Authorization=****", "X-Amz-Security-Token=****", "Received response. Status: 200"} {
		if !strings.Contains(a.Log, want) {
			t.Errorf("%q is not in\n%s", want, a.Log)
		}
	}
	if strings.Contains(a.Log, "sessiontoken") || strings.Contains(a.Log, "Signature=") {
		t.Errorf("shown:\n%s", a.Log)
	}
	call.Credentials = nil
	if a, err = trials.Try(t.Context(), call); err != nil || a.Status != 500 || !strings.Contains(a.Log, "configuration error: no credentials are stored for "+apiRole) {
		t.Errorf("%v %+v", err, a)
	}
}

// Addresses that the operator names are reached by integrations with services, and by
// nothing else.
func TestOnlyNamedAddresses(t *testing.T) {
	dial := only([]string{"127.0.0.1:1"})
	if _, err := dial(t.Context(), "tcp", "127.0.0.1:2"); err == nil || !strings.Contains(err.Error(), http1.ErrForbidden.Error()) {
		t.Error(err)
	}
	if _, err := dial(t.Context(), "tcp", "127.0.0.1:1"); err == nil || strings.Contains(err.Error(), http1.ErrForbidden.Error()) {
		t.Error(err)
	}
}

// Signing is what an integration with a service costs beside its mapping.
func BenchmarkSign(b *testing.B) {
	s, err := parseService(&model.Integration{Type: model.IntegrationAWS, URI: "arn:aws:apigateway:us-east-1:dynamodb:action/PutItem"})
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		r, err := s.target.Request(s.endpoint, &serviceAsk)
		if err != nil {
			b.Fatal(err)
		}
		r.Sign(sigv4.Credentials{AccessKeyID: "AKIDEXAMPLE", Secret: "secret"}, now)
	}
}

var serviceAsk = aws.Mapped{Verb: "POST", ContentType: "application/json", Body: `{"a":1}`}

func decoded(t testing.TB, text string) *model.Integration {
	t.Helper()
	g := &model.Integration{}
	if err := json.Unmarshal([]byte(text), g); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return g
}

// An answer that is needed whole has to be there within the integration's time: one that
// drips in, each piece in time, does not hold the call for ever.
func TestDrippingAnswer(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			if _, err := w.Write([]byte("x")); err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
			select {
			case <-tick.C:
			case <-r.Context().Done():
				return
			}
		}
	}))
	t.Cleanup(up.Close)
	r := newRig(t)
	r.define(nil, nil, map[string]string{"GET /a": `{"type":"HTTP","httpMethod":"GET","uri":"` + up.URL + `/","timeoutInMillis":300,"integrationResponses":{"default":{"statusCode":"200"}}}`})
	if status, _, body := r.send("GET", "/a", ""); status != 504 || body != `{"message":"Endpoint request timed out"}` {
		t.Errorf("%d %.200s", status, body)
	}
}
