package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/gateway/http1"
	"tollgate/gateway/policy"
	"tollgate/model"
)

// guard has every method of the definition guarded by an authorizer.
func guarded(a model.Authorizer) func(*model.Definition) {
	return func(d *model.Definition) {
		a.ID, a.Name = "auth1", "guard"
		d.Authorizers = []model.Authorizer{a}
		for i := range d.Resources {
			for verb, m := range d.Resources[i].Methods {
				m.AuthorizationType, m.AuthorizerID = model.AuthCustom, "auth1"
				d.Resources[i].Methods[verb] = m
			}
		}
	}
}

func seconds(n int) *int { return &n }

const mockAuthorizer = `{"type": "MOCK", "requestTemplates": {"application/json": "{\"statusCode\": 200}"}, "integrationResponses": {"default": {"statusCode": "200",
	"responseTemplates": {"application/json": "$context.authorizer.principalId $context.authorizer.text $context.authorizer.number $context.authorizer.flag#set($context.authorizer.text = 'spoilt')"}}}}`

func TestTokenAuthorizer(t *testing.T) {
	f := newFunctions(t)
	r := lambdaRig(t, f)
	r.define(guarded(model.Authorizer{Type: model.AuthorizerToken, AuthorizerURI: functionURI("token"), IdentitySource: "method.request.header.Authorization", IdentityValidationExpression: "[A-Za-z]+( .*)?"}), nil,
		map[string]string{"GET /a": mockAuthorizer, "GET /b": mockAuthorizer, "GET /event": lambdaProxy("echo")})
	for _, c := range []struct {
		path, token string
		status      int
		body, kind  string
		asked       int64 // in all
	}{
		{"/a", "", 401, `{"message":"Unauthorized"}`, "UnauthorizedException", 0},
		{"/a", "0", 401, `{"message":"Unauthorized"}`, "UnauthorizedException", 0},
		{"/a", "Allow", 200, "TOKEN-caller a 42 true", "", 1},
		{"/a", "Allow", 200, "TOKEN-caller a 42 true", "", 1},                                                            // kept, and not what a template made of it
		{"/b", "Allow", 403, `{"Message":"User is not authorized to access this resource"}`, "AccessDeniedException", 1}, // the policy is of /a
		{"/a", "Allow *", 200, "TOKEN-caller a 42 true", "", 2},
		{"/b", "Allow *", 200, "TOKEN-caller a 42 true", "", 2},
		{"/a", "Deny *", 403, `{"Message":"User is not authorized to access this resource with an explicit deny"}`, "AccessDeniedException", 3},
		{"/b", "Deny *", 403, `{"Message":"User is not authorized to access this resource with an explicit deny"}`, "AccessDeniedException", 3},
		{"/a", "Silent", 403, `{"Message":"User is not authorized to access this resource"}`, "AccessDeniedException", 4},
		{"/a", "Unauthorized", 401, `{"message":"Unauthorized"}`, "UnauthorizedException", 5},
		{"/a", "Unauthorized", 401, `{"message":"Unauthorized"}`, "UnauthorizedException", 6}, // failures are not kept
		{"/a", "Wrong", 500, `{"message":null}`, "AuthorizerFailureException", 7},
		{"/a", "Broken", 500, `{"message":null}`, "AuthorizerConfigurationException", 8},
		{"/a", "Allow " + strings.Repeat("x", 513), 500, `{"message":null}`, "AuthorizerConfigurationException", 9},
		{"/a", "Allow nonsense", 500, `{"message":null}`, "AuthorizerConfigurationException", 10},
	} {
		status, h, body := r.send("GET", c.path, "", "Authorization", c.token)
		if status != c.status || body != c.body || h.Get("x-amzn-ErrorType") != c.kind || f.asked("token") != c.asked {
			t.Errorf("%s %.30q: %d %s %s, asked %d times", c.path, c.token, status, body, h.Get("x-amzn-ErrorType"), f.asked("token"))
		}
	}
	_, _, body := r.send("GET", "/event", "", "Authorization", "Allow *")
	var e struct {
		RequestContext struct{ Authorizer map[string]any }
	}
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		t.Fatal(err)
	}
	a := e.RequestContext.Authorizer
	if a["principalId"] != "TOKEN-caller" || a["number"] != "42" || a["flag"] != "true" || a["text"] != "a" {
		t.Errorf("%s", body)
	}
	if _, ok := a["integrationLatency"].(float64); !ok {
		t.Errorf("%v", a)
	}
	for status, want := range map[int64]string{403: "AuthorizerConfigurationException", 500: "AuthorizerFailureException"} {
		f.status.Store(status)
		if status, h, body := r.send("GET", "/a", "", "Authorization", "Allow new"); status != 500 || body != `{"message":null}` || h.Get("x-amzn-ErrorType") != want {
			t.Errorf("%d %v %s", status, h, body)
		}
	}
	f.status.Store(0)
	asked := f.asked("token")
	r.p.mu.Lock()
	st := model.StageConfig{Num: 70, Tenant: tenantNum, APIID: "abc", Stage: "prod", DeploymentID: "d1", AuthorizerFlushes: 1}
	r.p.mu.Unlock()
	r.p.tell(t, model.Changes{Stages: []model.StageConfig{st}})
	if status, _, _ := r.send("GET", "/a", "", "Authorization", "Allow *"); status != 200 || f.asked("token") != asked+1 {
		t.Errorf("%d, asked %d times after a flush", status, f.asked("token")-asked)
	}
}

func TestRequestAuthorizer(t *testing.T) {
	f := newFunctions(t)
	r := lambdaRig(t, f)
	r.define(guarded(model.Authorizer{Type: model.AuthorizerRequest, AuthorizerURI: functionURI("${stageVariables.fn}"), IdentitySource: "method.request.header.X-Who, method.request.querystring.who,stageVariables.fn,context.httpMethod"}),
		map[string]string{"fn": "request"}, map[string]string{"GET /a/{id}": mockAuthorizer, "PUT /a/{id}": mockAuthorizer})
	for _, c := range []struct {
		verb, query, header string
		status              int
		asked               int64
	}{
		{"GET", "", "Allow", 401, 0}, {"GET", "?who=", "Allow", 401, 0}, {"GET", "?who=%20*", "", 401, 0},
		{"GET", "?who=%20*", "Allow", 200, 1}, {"GET", "?who=%20*", "Allow", 200, 1}, {"PUT", "?who=%20*", "Allow", 200, 2}, {"GET", "?x=1&who=%20*", "Deny", 403, 3},
		{"GET", "?who=low%20*", "Al", 200, 4},                                                                                                 // of the same letters, and another identity
		{"GET", "?who=a&who=%20*", "Allow", 200, 5}, {"GET", "?who=a&who=%20*", "Allow", 200, 5}, {"GET", "?who=b&who=%20*", "Allow", 200, 6}, // the function sees all values
	} {
		if status, _, body := r.send(c.verb, "/a/1"+c.query, "", "X-Who", c.header); status != c.status || f.asked("request") != c.asked {
			t.Errorf("%+v: %d %s, asked %d times", c, status, body, f.asked("request"))
		}
	}
	for i, values := range [][]string{{"a", "Allow"}, {"b", "Allow"}, {"b", "Allow"}, {"Allow"}} {
		req := r.request("GET", "/a/1?who=%20*", nil)
		req.Header["X-Who"] = values
		if status, _, body := r.do(req); status != 200 || f.asked("request") != min(7+int64(i), 8) {
			t.Errorf("%q: %d %s, asked %d times", values, status, body, f.asked("request"))
		}
	}
	r = lambdaRig(t, f)
	r.define(guarded(model.Authorizer{Type: model.AuthorizerRequest, AuthorizerURI: functionURI("request"), ResultTTLSeconds: seconds(0)}), nil, map[string]string{"GET /a": mockAuthorizer})
	was := f.asked("request")
	for range 3 {
		if status, _, body := r.send("GET", "/a", "", "X-Who", "Allow"); status != 200 {
			t.Errorf("%d %s", status, body)
		}
	}
	if n := f.asked("request") - was; n != 3 {
		t.Errorf("asked %d times where nothing is kept", n)
	}
}

// What a resource policy and a Lambda authorizer say is joined: a denial of either ends
// it, an allowance of either is enough.
func TestAuthorizerWithResourcePolicy(t *testing.T) {
	f := newFunctions(t)
	guard := guarded(model.Authorizer{Type: model.AuthorizerToken, AuthorizerURI: functionURI("token"), IdentitySource: "method.request.header.Authorization"})
	for policy, statuses := range map[string][3]int{
		statement("Allow", `"Resource":"execute-api:/*"`):            {200, 200, 403},
		statement("Allow", `"Resource":"execute-api:/prod/PUT/*"`):   {200, 403, 403},
		statement("Deny", `"Resource":"execute-api:/prod/GET/a"`):    {403, 403, 403},
		statement("Deny", `"NotResource":"execute-api:/prod/GET/*"`): {200, 403, 403},
	} {
		r := lambdaRig(t, f)
		r.define(func(d *model.Definition) {
			guard(d)
			d.Policy = `{"Version":"2012-10-17","Statement":` + policy + `}`
		}, nil, map[string]string{"GET /a": mockAuthorizer})
		for i, token := range []string{"Allow", "Silent", "Deny"} {
			asked := f.asked("token")
			status, _, body := r.send("GET", "/a", "", "Authorization", token)
			if status != statuses[i] {
				t.Errorf("%s, the authorizer says %s: %d %s", policy, token, status, body)
			}
			if denied := strings.Contains(policy, `"Deny","Principal":"*","Action":"execute-api:Invoke","Resource"`); denied != (f.asked("token") == asked) {
				t.Errorf("%s: the authorizer was asked %d times", policy, f.asked("token")-asked)
			}
		}
		if status, _, _ := r.send("GET", "/a", ""); status == 200 {
			t.Errorf("%s: in without a token", policy)
		}
	}
}

// Calls that come together with one identity ask once, and whoever waits gets the answer.
func TestAuthorizerOnce(t *testing.T) {
	f := newFunctions(t)
	r := lambdaRig(t, f)
	r.define(guarded(model.Authorizer{Type: model.AuthorizerToken, AuthorizerURI: functionURI("token"), IdentitySource: "method.request.header.Authorization"}), nil, map[string]string{"GET /a": mockAuthorizer})
	var wg sync.WaitGroup
	var good atomic.Int64
	for range 50 {
		wg.Go(func() {
			if status, _, _ := r.send("GET", "/a", "", "Authorization", "Allow *"); status == 200 {
				good.Add(1)
			}
		})
	}
	wg.Wait()
	if good.Load() != 50 || f.asked("token") != 1 {
		t.Errorf("%d of 50 were let in, and the function was asked %d times", good.Load(), f.asked("token"))
	}
}

// An authorizer may say the API key, under which the call is metered.
func TestAuthorizerKey(t *testing.T) {
	f := newFunctions(t)
	r := lambdaRig(t, f)
	guard := guarded(model.Authorizer{Type: model.AuthorizerToken, AuthorizerURI: functionURI("token"), IdentitySource: "method.request.header.Authorization"})
	r.define(func(d *model.Definition) { guard(d); d.APIKeySource = model.KeySourceAuthorizer }, nil, map[string]string{"!GET /a": strings.Replace(mockAuthorizer, "$context.authorizer.text", "$context.identity.apiKey $context.identity.apiKeyId", 1), "!GET /event": lambdaProxy("echo")})
	key := r.key(9, model.PlanConfig{ID: "p"})
	if status, _, body := r.send("GET", "/a", "", "Authorization", "Allow - "+key); status != 200 || !strings.Contains(body, key+" key-9") {
		t.Errorf("%d %s", status, body)
	}
	if status, _, body := r.send("GET", "/event", "", "Authorization", "Allow * "+key); status != 201 || !strings.Contains(body, `"apiKey":"`+key+`"`) || !strings.Contains(body, `"apiKeyId":"key-9"`) {
		t.Errorf("%d %s", status, body)
	}
	for _, token := range []string{"Allow", "Allow - wrong"} { // the caller's own is not asked for
		if status, _, body := r.send("GET", "/a", "", "Authorization", token, "x-api-key", key); status != 403 || body != `{"message":"Forbidden"}` {
			t.Errorf("%d %s", status, body)
		}
	}
}

// A slow function is not waited for longer than the upstream's own time.
func TestAuthorizerWaits(t *testing.T) {
	up := echo(t)
	f := newFunctions(t)
	r := lambdaRig(t, f)
	guard := guarded(model.Authorizer{Type: model.AuthorizerToken, AuthorizerURI: functionURI("token"), IdentitySource: "method.request.header.Authorization"})
	r.define(guard, nil, map[string]string{"GET /a": `{"type": "HTTP_PROXY", "httpMethod": "GET", "uri": "http://` + up + `/up"}`, "POST /a": `{"type": "HTTP_PROXY", "httpMethod": "POST", "uri": "http://` + up + `/up"}`})
	for _, verb := range []string{"GET", "POST"} {
		if status, _, body := r.send(verb, "/a", strings.Repeat("x", 100_000), "Authorization", "Allow *"); status != 200 || body != verb+" /up" {
			t.Errorf("%d %s", status, body)
		}
	}
	res, err := http.Get("http://" + r.g.Addr() + "/_aws/execute-api/abc/prod/a")
	if err != nil || res.StatusCode != 401 {
		t.Errorf("%v %v", res, err)
	}
	_ = res.Body.Close()
}

func TestAuthCache(t *testing.T) {
	var c authCache
	var node atomic.Int64
	p, err := policy.Parse([]byte(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}`), policy.Authorizer, "")
	if err != nil {
		t.Fatal(err)
	}
	key := func(n int) *authKey { return &authKey{byte(n), byte(n >> 8), byte(n >> 16)} }
	put := func(n int, size int64, now, until int64) {
		_, f, own := c.join(key(n), now)
		if !own {
			t.Fatalf("%d is there already", n)
		}
		c.land(key(n), f, &authorization{policy: p, size: size}, now, until, &node)
	}
	put(1, 10, 0, 100)
	if c.get(key(1), 99) == nil || c.get(key(1), 100) != nil || c.get(key(2), 0) != nil {
		t.Error("it is kept until its time is over")
	}
	_, f, own := c.join(key(2), 0)
	if _, g, other := c.join(key(2), 0); !own || other || f != g {
		t.Error("one asks, the others wait for it")
	}
	c.land(key(2), f, &authorization{kind: authorizerFailure}, 0, 100, &node)
	if _, _, own := c.join(key(2), 0); !own || f.value.kind != authorizerFailure {
		t.Error("failures are not kept")
	}
	put(1, 10, 100, 200) // anew, while the old one is in its row
	if c.get(key(1), 150) == nil || node.Load() != 10 {
		t.Errorf("%d bytes", node.Load())
	}
	for i := 3; i < 5000; i++ {
		put(i, 64<<10, 200, 300)
	}
	if n := node.Load(); n > maxTenantAuth || n < maxTenantAuth/2 {
		t.Errorf("%d bytes are kept", n)
	}
	if c.get(key(4999), 250) == nil || c.get(key(16), 250) != nil {
		t.Error("the oldest give way")
	}
	c.close(&node)
	if node.Load() != 0 {
		t.Errorf("%d bytes are left", node.Load())
	}
}

// What cannot be asked keeps an API from being deployed.
func TestCheckLambda(t *testing.T) {
	method := func(integration, auth string) *model.Definition {
		g, a := &model.Integration{}, model.Authorizer{ID: "a", Name: "a"}
		for text, to := range map[string]any{integration: g, auth: &a} {
			if err := json.Unmarshal([]byte(text), to); err != nil {
				t.Fatal(err)
			}
		}
		m := model.Method{AuthorizationType: model.AuthNone, Integration: g}
		if auth != "{}" {
			m.AuthorizationType, m.AuthorizerID = model.AuthCustom, a.ID
		}
		return &model.Definition{Name: "n", Resources: []model.Resource{{ID: "r", Path: "/", Methods: map[string]model.Method{"GET": m}}}, Authorizers: []model.Authorizer{a}}
	}
	auth := `{"type": "TOKEN", "authorizerUri": "` + functionURI("f") + `", "identitySource": "method.request.header.A"}`
	for _, c := range []struct{ integration, auth, want string }{
		{lambdaProxy("f"), "{}", ""}, {lambdaProxy("${stageVariables.f}"), auth, ""},
		{`{"type": "AWS_PROXY", "httpMethod": "POST", "uri": "arn:aws:apigateway:eu-west-1:firehose:action/PutRecord"}`, "{}", ""},
		{strings.Replace(lambdaProxy("f"), "POST", "GET", 1), "{}", "POST"},
		{`{"type": "AWS_PROXY", "httpMethod": "POST", "uri": "arn:aws:apigateway:eu-west-1:sqs:action/SendMessage"}`, "{}", "call a Lambda function"},
		{lambdaProxy("f", `, "responseTransferMode": "STREAM"`), "{}", "need each other"},
		{lambdaProxy("f", `, "requestParameters": {"integration.request.header.a b": "'x'"}`), "{}", "header"},
		{lambdaProxy("f"), strings.Replace(auth, "TOKEN", "JWT", 1), "type JWT"},
		{lambdaProxy("f"), strings.Replace(auth, "method.request.header.A", "body", 1), "identity source"},
		{lambdaProxy("f"), strings.Replace(auth, `.A"`, `.A", "identityValidationExpression": "(?=a)"`, 1), "regular expression"},
		{lambdaProxy("f"), strings.Replace(strings.Replace(auth, "TOKEN", "REQUEST", 1), "method.request.header.A", "", 1), "TTL"},
		{lambdaProxy("f"), strings.Replace(auth, "/invocations", "/x", 1), "Lambda function"},
	} {
		have := fmt.Sprint(Check(method(c.integration, c.auth), testARN))
		if c.want == "" && have != "[]" || !strings.Contains(have, c.want) {
			t.Errorf("%s %s: %s", c.integration, c.auth, have)
		}
	}
}

func BenchmarkAuthorizerHit(b *testing.B) {
	f := newFunctions(b)
	r := lambdaRig(b, f)
	r.define(guarded(model.Authorizer{Type: model.AuthorizerToken, AuthorizerURI: functionURI("token"), IdentitySource: "method.request.header.Authorization"}), nil, map[string]string{"GET /a": `{"type": "MOCK", "requestTemplates": {"application/json": "{\"statusCode\": 200}"}, "integrationResponses": {"default": {"statusCode": "200"}}}`})
	if status, _, body := r.send("GET", "/a", "", "Authorization", "Allow *"); status != 200 {
		b.Fatal(status, body)
	}
	a := r.g.reg.stages[70].variant.prog.methods[0].authorizer
	req, err := http.NewRequest("GET", "/prod/a", nil)
	if err != nil {
		b.Fatal(err)
	}
	req.RequestURI, req.Host, req.RemoteAddr = "/prod/a", "abc.execute-api.test", "127.0.0.1:1"
	req.Header.Set("Authorization", "Allow *")
	r.g.server.Play(discard{}, req, func(x *http1.Exchange) {
		c := x.App.(*call)
		c.begin(x, r.g.journal.Begin(x.Shard))
		if k := c.find(x); k != proceed {
			b.Fatal(k)
		}
		b.ReportAllocs()
		for b.Loop() {
			if k := a.authorize(c, x); k != proceed {
				b.Fatal(k)
			}
		}
		_ = x.Reply(200, nil, nil)
	})
}

type discard struct{}

func (discard) Header() http.Header              { return http.Header{} }
func (discard) Write(p []byte) (int, error)      { return len(p), nil }
func (discard) WriteHeader(int)                  {}
func (discard) SetWriteDeadline(time.Time) error { return nil }
