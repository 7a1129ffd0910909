package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/gateway/http1"
	"tollgate/gateway/token/issuertest"
	"tollgate/model"
)

const poolARN = "arn:aws:cognito-idp:us-east-1:123412341234:userpool/us-east-1_pool"

// trusting makes the node trust the certificate of an issuer. Nothing was fetched yet.
func (r *rig) trusting(issuers ...*issuertest.Issuer) {
	roots := x509.NewCertPool()
	for _, i := range issuers {
		if c := i.Server.Certificate(); c != nil {
			roots.AddCert(c)
		}
	}
	r.trustingPool(roots)
}

func (r *rig) trustingPool(roots *x509.CertPool) {
	r.g.outward.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: roots}
}

// protect deploys methods with an authorizer; a method may have scopes: "GET /a read write".
func (r *rig) protect(id, upstream string, a model.Authorizer, methods ...string) {
	r.t.Helper()
	a.ID, a.Name = "auth", "callers"
	var plain []string
	scopes := map[string][]string{}
	for _, m := range methods {
		f := strings.Fields(m)
		plain = append(plain, f[0]+" "+f[1])
		scopes[f[0]+" "+f[1]] = f[2:]
	}
	st := r.content(id, upstream, plain...)
	r.p.mu.Lock()
	d := &r.p.deployments[id].Definition
	d.Authorizers = []model.Authorizer{a}
	for i := range d.Resources {
		for verb, m := range d.Resources[i].Methods {
			m.AuthorizationType, m.AuthorizerID, m.AuthorizationScopes = a.Type, a.ID, scopes[verb+" "+d.Resources[i].Path]
			if strings.HasPrefix(d.Resources[i].Path, "/said") {
				m.Integration = said()
			}
			if strings.HasPrefix(d.Resources[i].Path, "/function") {
				m.Integration = &model.Integration{Type: model.IntegrationAWSProxy, HTTPMethod: "POST", URI: functionURI("echo")}
			}
			d.Resources[i].Methods[verb] = m
		}
	}
	if p := Check(d, testARN); len(p) > 0 {
		r.t.Fatal(p)
	}
	r.p.mu.Unlock()
	r.p.tell(r.t, model.Changes{Tenants: []model.TenantConfig{{Num: tenantNum, AccountID: "123456789012"}}, Stages: []model.StageConfig{st}})
}

// said answers with what is known of the caller.
func said() *model.Integration {
	g := &model.Integration{Type: model.IntegrationMock, RequestTemplates: map[string]string{"application/json": `#set($x = $context.authorizer.claims.put("sub", "nobody")){"statusCode": 200}`}}
	g.Responses = map[string]model.IntegrationResponse{"default": {StatusCode: "200", ResponseTemplates: map[string]string{
		"application/json": `$context.authorizer.claims.sub|$context.authorizer.claims.email_verified|$context.authorizer.claims.exp|$context.authorizer.claims['cognito:groups']|$context.authorizer.principalId|$context.authorizer.scopes|$context.authorizer.claims.name`}}}
	return g
}

func jwtAuthorizer(issuers ...model.JWTIssuer) model.Authorizer {
	b, _ := json.Marshal(model.JWTConfiguration{Algorithms: []string{"RS256", "ES256"}, Issuers: issuers})
	return model.Authorizer{Type: model.AuthJWT, JWT: b}
}

func TestJWTAuthorizer(t *testing.T) {
	first, second := issuertest.NewTLS(t, "RS256"), issuertest.NewTLS(t, "ES256")
	r := newRig(t)
	r.trusting(first, second)
	a := jwtAuthorizer(model.JWTIssuer{Issuer: first.URL, Audiences: []string{"pets", "cats"}},
		model.JWTIssuer{Issuer: second.URL, Audiences: []string{"dogs"}, Claims: []model.JWTClaim{{Name: "org", Values: []string{"acme"}, Format: "SINGLE_STRING", Required: true}}})
	r.protect("d1", echo(t), a, "GET /open", "GET /read read admin", "POST /said")
	good := first.Token("cats", map[string]any{"scope": "read"})
	for name, c := range map[string]struct {
		path, token, want string
		status            int
		challenge         string
	}{
		"good":            {path: "/open", token: good, status: 200, want: "GET /open"},
		"Bearer":          {path: "/open", token: "Bearer " + good, status: 200, want: "GET /open"},
		"bearer":          {path: "/open", token: "bearer   " + good, status: 200, want: "GET /open"},
		"Basic":           {path: "/open", token: "Basic " + good, status: 401, challenge: "the token is malformed"},
		"none":            {path: "/open", status: 401, challenge: "the call has no token"},
		"only Bearer":     {path: "/open", token: "Bearer ", status: 401, challenge: "the token is malformed"},
		"second":          {path: "/open", token: second.Token("dogs", map[string]any{"org": "acme"}), status: 200, want: "GET /open"},
		"second, claim":   {path: "/open", token: second.Token("dogs", nil), status: 401, challenge: "the token does not have a claim that is required"},
		"first's for it":  {path: "/open", token: second.Token("pets", map[string]any{"org": "acme"}), status: 401, challenge: "the token does not have a valid audience"},
		"signed by other": {path: "/open", token: second.Token("pets", map[string]any{"iss": first.URL}), status: 401, challenge: "the token's signing key is unknown"},
		"expired":         {path: "/open", token: first.Token("pets", map[string]any{"exp": 1}), status: 401, challenge: "the token has expired"},
		"scope":           {path: "/read", token: good, status: 200, want: "GET /read"},
		"other scope":     {path: "/read", token: first.Token("pets", map[string]any{"scp": []string{"write", "admin"}}), status: 200, want: "GET /read"},
		"no scope":        {path: "/read", token: first.Token("pets", nil), status: 403, challenge: "the token does not have a scope that is required"},
	} {
		for range 2 { // the second time the token may be known
			status, h, body := r.send("GET", c.path, "", "Authorization", c.token)
			want := c.want
			challenge := ""
			switch c.status {
			case 401:
				want, challenge = `{"message":"Unauthorized"}`, `Bearer scope="" error="invalid_token" error_description="`+c.challenge+`"`
			case 403:
				want, challenge = `{"message":"Forbidden"}`, `Bearer scope="read admin" error="insufficient_scope" error_description="`+c.challenge+`"`
			}
			if status != c.status || body != want || h.Get("www-authenticate") != challenge {
				t.Errorf("%s: %d %s %v", name, status, body, h)
			}
		}
	}
	if n := first.Fetches.Load() + second.Fetches.Load(); n != 3 { // one for the key that is unknown, but too soon after the first
		t.Logf("%d fetches", n)
	}

	// Claims are JSON, whatever a template did with those of another call.
	text := first.Token("pets", map[string]any{"email_verified": true, "exp": 4102444800, "cognito:groups": []string{"a", "é\U0001F600"}, "scope": "x y", "name": `Doe, "Jane"`})
	for range 2 {
		if status, _, body := r.send("POST", "/said", `{}`, "Authorization", text); status != 200 || body != `nobody|true|4102444800|["a","\u00E9\uD83D\uDE00"]|somebody|["x","y"]|"Doe, \"Jane\""` {
			t.Errorf("%d %s", status, body)
		}
	}
	until(t, "the calls to be metered", func() bool { return r.p.metered(200) == 14 && r.p.metered(403) == 2 })
}

func TestUserPools(t *testing.T) {
	issuer := issuertest.New(t, "RS256")
	r := newRig(t, func(o *Options) { o.UserPools = model.UserPools{"us-east-1_pool": issuer.URL} })
	a := model.Authorizer{Type: model.AuthCognito, ProviderARNs: []string{poolARN}, IdentitySource: "method.request.header.X-Token", IdentityValidationExpression: "app[0-9]"}
	r.protect("d1", echo(t), a, "GET /id", "GET /scoped pets/read", "POST /said")
	id := map[string]any{"token_use": "id", "email_verified": true, "exp": 4102444800, "cognito:groups": []string{"a", "b"}, "name": `Doe, "Jané"`}
	access := map[string]any{"token_use": "access", "aud": nil, "client_id": "app1", "scope": "openid pets/read"}
	for name, c := range map[string]struct {
		path, token string
		status      int
		want        string
	}{
		"id":                 {"/id", issuer.Token("app1", id), 200, "GET /id"},
		"id for scopes":      {"/scoped", issuer.Token("app1", id), 401, "Unauthorized"},
		"access":             {"/scoped", issuer.Token("", access), 200, "GET /scoped"},
		"access, no scopes":  {"/id", issuer.Token("", access), 401, "Unauthorized"},
		"access, other":      {"/scoped", issuer.Token("", map[string]any{"token_use": "access", "aud": nil, "client_id": "app1", "scope": "pets/readx"}), 403, "Forbidden"},
		"neither":            {"/id", issuer.Token("app1", nil), 200, "GET /id"},
		"other app":          {"/id", issuer.Token("app11", id), 401, "Unauthorized"},
		"expired":            {"/id", issuer.Token("app1", map[string]any{"token_use": "id", "exp": time.Now().Unix() - 1}), 401, "The incoming token has expired"},
		"none":               {"/id", "", 401, "Unauthorized"},
		"not a token at all": {"/id", "x", 401, "Unauthorized"},
	} {
		status, h, body := r.send("GET", c.path, "", "X-Token", c.token)
		if c.status != 200 {
			c.want = `{"message":"` + c.want + `"}`
		}
		if status != c.status || body != c.want || h.Get("www-authenticate") != "" || status == 401 && h.Get("x-amzn-ErrorType") != "UnauthorizedException" {
			t.Errorf("%s: %d %s %v", name, status, body, h)
		}
	}
	for range 2 {
		if status, _, body := r.send("POST", "/said", `{}`, "X-Token", issuer.Token("app1", id)); status != 200 || body != `nobody|true|Fri Jan 01 00:00:00 UTC 2100|a,b|somebody||Doe, "Jané"` {
			t.Errorf("%d %s", status, body)
		}
	}
}

// Without keys nobody is let in: a call fails, and once they can be had it goes on. A
// deployment does not ask for them again.
func TestIssuerDown(t *testing.T) {
	issuer := issuertest.New(t, "ES256")
	issuer.Down(true)
	r := newRig(t, func(o *Options) { o.UserPools = model.UserPools{poolARN: issuer.URL} })
	a := model.Authorizer{Type: model.AuthCognito, ProviderARNs: []string{poolARN}, IdentitySource: "method.request.header.Authorization"}
	r.protect("d1", echo(t), a, "GET /")
	get := func() (int, string) {
		status, _, body := r.send("GET", "/", "", "Authorization", issuer.Token("x", map[string]any{"n": time.Now().UnixNano()}))
		return status, body
	}
	began := time.Now()
	for range 3 {
		if status, body := get(); status != 500 || body != `{"message":null}` {
			t.Fatalf("%d %s", status, body)
		}
	}
	if n, took := issuer.Lookups.Load(), time.Since(began); n < 1 || n > 1+int64(took/time.Second) {
		t.Errorf("%d look-ups within %v", n, took)
	}
	issuer.Down(false)
	until(t, "the keys to be had", func() bool { status, _ := get(); return status == 200 })
	issuer.Down(true)
	for i := range 3 {
		r.protect(fmt.Sprint("d", i+2), echo(t), a, "GET /")
		if status, body := get(); status != 200 {
			t.Fatalf("after a deployment: %d %s", status, body)
		}
	}
	if n := issuer.Fetches.Load(); n != 1 {
		t.Errorf("%d fetches of the keys", n)
	}
	// Without an authorizer there is nothing to keep.
	r.deploy("plain", echo(t), "GET /")
	if s, _, _ := r.call("GET", "/", ""); s != 200 {
		t.Error(s)
	}
}

// A slow issuer holds up the calls that need its keys, and no others.
func TestSlowIssuer(t *testing.T) {
	issuer := issuertest.New(t, "ES256")
	issuer.Hold()
	r := newRig(t, func(o *Options) { o.UserPools = model.UserPools{poolARN: issuer.URL} })
	a := model.Authorizer{Type: model.AuthCognito, ProviderARNs: []string{poolARN}, IdentitySource: "method.request.header.Authorization"}
	r.protect("d1", echo(t), a, "GET /")
	var wg sync.WaitGroup
	var good atomic.Int64
	for range 40 {
		wg.Go(func() {
			if status, _, _ := r.send("GET", "/", "", "Authorization", issuer.Token("x", nil)); status == 200 {
				good.Add(1)
			}
		})
	}
	until(t, "the issuer to be asked", func() bool { return issuer.Lookups.Load() == 1 })
	for range 20 {
		if status, _, _ := r.send("GET", "/", ""); status != 401 {
			t.Error(status)
		}
	}
	issuer.Release()
	wg.Wait()
	if good.Load() != 40 || issuer.Fetches.Load() != 1 || issuer.Lookups.Load() != 1 {
		t.Errorf("%d calls of 40, %d fetches", good.Load(), issuer.Fetches.Load())
	}
}

// Keys rotate under load, among tokens with made-up key ids: no good token is refused
// whose key was shown before it was used, and the issuer is asked little.
func TestRotationUnderLoad(t *testing.T) {
	issuer := issuertest.New(t, "ES256")
	r := newRig(t, func(o *Options) { o.UserPools = model.UserPools{poolARN: issuer.URL} })
	a := model.Authorizer{Type: model.AuthCognito, ProviderARNs: []string{poolARN}, IdentitySource: "method.request.header.Authorization"}
	r.protect("d1", echo(t), a, "GET /")
	old := issuer.Token("x", nil)
	if status, _, _ := r.send("GET", "/", "", "Authorization", old); status != 200 {
		t.Fatal(status)
	}
	stop := make(chan struct{})
	var calls, wrong, made atomic.Int64
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				want, text := 200, old
				if n%2 == 1 {
					k := issuer.Key()
					want, text = 401, k.Sign(map[string]any{"alg": k.Alg, "kid": fmt.Sprint("x", n, i)}, issuer.Claims("x", nil))
					made.Add(1)
				}
				if status, _, _ := r.send("GET", "/", "", "Authorization", text); status != want {
					wrong.Add(1)
				}
				calls.Add(1)
			}
		})
	}
	until(t, "calls", func() bool { return calls.Load() > 200 })
	issuer.Rotate(t, "ES256", 1)
	next := issuer.Token("x", nil)
	until(t, "the new key to be known", func() bool {
		status, _, _ := r.send("GET", "/", "", "Authorization", next)
		return status == 200
	})
	close(stop)
	wg.Wait()
	if wrong.Load() > 0 || made.Load() < 50 || issuer.Fetches.Load() > 3 {
		t.Errorf("%d of %d calls were answered wrongly; %d fetches for %d made-up keys", wrong.Load(), calls.Load(), issuer.Fetches.Load(), made.Load())
	}
}

func TestTokenEvents(t *testing.T) {
	issuer := issuertest.New(t, "EdDSA")
	r := newRig(t, func(o *Options) { o.UserPools = model.UserPools{poolARN: issuer.URL} })
	a, err := newTokenAuth(&model.Authorizer{Type: model.AuthCognito, ProviderARNs: []string{poolARN}, IdentitySource: "method.request.header.A"})
	if err != nil {
		t.Fatal(err)
	}
	v, err := a.verifier(r.g, tenantNum)
	if err != nil {
		t.Fatal(err)
	}
	text := issuer.Token("x", map[string]any{"iss": issuer.URL, "iat": 1e9, "exp": 4102444800, "n": []any{1, "é"}, "o": map[string]any{"x": nil}, "scope": "a b"})
	tok, err := v.Verify([]byte(text), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w := caller{token: tok}
	want := `{"claims":{"aud":"x","exp":"Fri Jan 01 00:00:00 UTC 2100","iat":"Sun Sep 09 01:46:40 UTC 2001","iss":"` + issuer.URL + `","n":"[1,\"é\"]","o":"{\"x\":null}","scope":"a b","sub":"somebody"}}`
	if got := string(w.appendTokenEvent(nil)); got != want {
		t.Error(got)
	}
	w.typed = true
	want = `{"claims":{"aud":"x","exp":4102444800,"iat":1000000000,"iss":"` + issuer.URL + `","n":[1,"é"],"o":{"x":null},"scope":"a b","sub":"somebody"},"scopes":["a","b"]}`
	if got := string(w.appendTokenEvent(nil)); got != want {
		t.Error(got)
	}
}

// What cannot be compiled keeps an API from being deployed, with its reason.
func TestTokenAuthorizersChecked(t *testing.T) {
	good := model.Authorizer{Type: model.AuthCognito, ProviderARNs: []string{poolARN}, IdentitySource: "method.request.header.Authorization"}
	jwt := jwtAuthorizer(model.JWTIssuer{Issuer: "https://example.com", Audiences: []string{"a"}})
	for _, c := range []struct {
		a      model.Authorizer
		method model.Method
		want   string
	}{
		{good, model.Method{AuthorizationType: model.AuthCognito, AuthorizerID: "a"}, ""},
		{jwt, model.Method{AuthorizationType: model.AuthJWT, AuthorizerID: "a"}, ""},
		{good, model.Method{AuthorizationType: model.AuthCognito}, `there is no authorizer ""`},
		{good, model.Method{AuthorizationType: model.AuthJWT, AuthorizerID: "a"}, "authorization JWT takes an authorizer of that type"},
		{model.Authorizer{Type: "TOKEN", IdentitySource: "method.request.header.A"}, model.Method{AuthorizationType: model.AuthCognito, AuthorizerID: "a"}, "its type TOKEN takes no tokens"},
		{model.Authorizer{Type: model.AuthCognito, ProviderARNs: []string{poolARN}}, model.Method{AuthorizationType: model.AuthCognito, AuthorizerID: "a"}, `its identity source "" is no header`},
		{model.Authorizer{Type: model.AuthCognito, ProviderARNs: []string{poolARN}, IdentitySource: "method.request.header.A,method.request.header.B"}, model.Method{AuthorizationType: model.AuthCognito, AuthorizerID: "a"}, "is no header"},
		{model.Authorizer{Type: model.AuthCognito, ProviderARNs: []string{"http://example.com"}, IdentitySource: "method.request.header.A"}, model.Method{AuthorizationType: model.AuthCognito, AuthorizerID: "a"}, "Invalid Cognito User Pool ARN"},
		{model.Authorizer{Type: model.AuthCognito, IdentitySource: "method.request.header.A"}, model.Method{AuthorizationType: model.AuthCognito, AuthorizerID: "a"}, "it has 0 user pools"},
		{model.Authorizer{Type: model.AuthCognito, ProviderARNs: []string{poolARN}, IdentitySource: "method.request.header.A", IdentityValidationExpression: "(?=x)"}, model.Method{AuthorizationType: model.AuthCognito, AuthorizerID: "a"}, "its identity validation expression"},
		{model.Authorizer{Type: model.AuthJWT, JWT: json.RawMessage(`{"issuers":[]}`)}, model.Method{AuthorizationType: model.AuthJWT, AuthorizerID: "a"}, "a jwtConfiguration with issuers"},
	} {
		c.a.ID, c.a.Name = "a", "callers"
		c.method.Integration = model.FixedMock(200, "text/plain", "x")
		d := &model.Definition{Name: "x", Authorizers: []model.Authorizer{c.a}, Resources: []model.Resource{{ID: "r", Path: "/", Methods: map[string]model.Method{"GET": c.method}}}}
		p := append(d.Undeployable(), Check(d, testARN)...)
		_, err := compile(&model.DeploymentContent{ID: "d", Definition: *d, Methods: []model.MethodNumber{{Path: "/", Verb: "GET", Num: 1}}}, nil, outward{})
		if c.want == "" {
			if len(p) > 0 || err != nil {
				t.Errorf("%v %v", p, err)
			}
			continue
		}
		if len(p) != 1 || p[0].Pointer != "GET /" || !strings.Contains(p[0].Message, c.want) || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, %v instead of %s", p, err, c.want)
		}
	}
}

// tokenCall is a raw client with a token for one keep-alive connection, and the bytes of
// its call.
func tokenCall(t testing.TB, r *rig, path, text string) (func(), []byte) {
	c, err := net.Dial("tcp", r.g.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	req := []byte("GET /_aws/execute-api/abc/prod" + path + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + text + "\r\n\r\n")
	buf := make([]byte, 4096)
	return func() {
		if _, err := c.Write(req); err != nil {
			t.Fatal(err)
		}
		n, err := c.Read(buf)
		if err != nil || string(buf[9:12]) != "200" {
			t.Fatalf("%v %s", err, buf[:n])
		}
	}, req
}

func tokenRig(t testing.TB) (*rig, string) {
	issuer := issuertest.New(t, "RS256")
	r := newRig(t, func(o *Options) {
		o.SealEvery = time.Minute
		o.UserPools = model.UserPools{poolARN: issuer.URL}
		o.Feed.Calls = func(context.Context, []byte) error { return nil } // reading entries allocates
	})
	a := model.Authorizer{Type: model.AuthCognito, ProviderARNs: []string{poolARN}, IdentitySource: "method.request.header.Authorization"}
	r.protect("d1", rawUpstream(t), a, "GET /token", "GET /plain")
	r.p.mu.Lock()
	d := r.p.deployments["d1"]
	r.p.mu.Unlock()
	c := *d
	c.ID, c.Definition.Resources = "d2", nil
	for _, res := range d.Definition.Resources {
		m := res.Methods["GET"]
		if res.Path == "/plain" {
			m.AuthorizationType, m.AuthorizerID = model.AuthNone, ""
		}
		res.Methods = map[string]model.Method{"GET": m}
		c.Definition.Resources = append(c.Definition.Resources, res)
	}
	r.p.mu.Lock()
	r.p.deployments["d2"] = &c
	r.p.mu.Unlock()
	r.p.tell(t, model.Changes{Tenants: []model.TenantConfig{{Num: tenantNum, AccountID: "123456789012", Caps: model.Caps{Rate: 1e9, Burst: 1e9}}},
		Stages: []model.StageConfig{{Num: 70, Tenant: tenantNum, APIID: "abc", Stage: "prod", DeploymentID: "d2", TraceOneIn: -1}}})
	return r, issuer.Token("app1", map[string]any{"token_use": "id", "email": "somebody@example.com", "email_verified": true, "cognito:username": "somebody", "auth_time": 1, "jti": "0123456789abcdef0123456789abcdef"})
}

// A call with a token that is known allocates nothing, as one without does.
func TestTokenAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("pools forget on purpose under the race detector; the plain run measures")
	}
	r, text := tokenRig(t)
	call, _ := tokenCall(t, r, "/token", text)
	for range 2000 {
		call()
	}
	const calls = 10000
	var a, b runtime.MemStats
	runtime.ReadMemStats(&a)
	began := time.Now()
	for range calls {
		call()
	}
	runtime.ReadMemStats(&b)
	if n := b.Mallocs - a.Mallocs; n > calls/20+background(began) {
		t.Errorf("%d allocations over %d calls", n, calls)
	}
}

// BenchmarkTokenCall is a whole call with a token that is known, beside one that needs
// none; BenchmarkTokenSteps is the gateway's own work for both.
func BenchmarkTokenCall(b *testing.B) {
	r, text := tokenRig(b)
	for _, path := range []string{"/plain", "/token"} {
		b.Run(path[1:], func(b *testing.B) {
			call, _ := tokenCall(b, r, path, text)
			call()
			b.ReportAllocs()
			for b.Loop() {
				call()
			}
		})
	}
}

func BenchmarkTokenSteps(b *testing.B) {
	r, text := tokenRig(b)
	for _, path := range []string{"/plain", "/token"} {
		b.Run(path[1:], func(b *testing.B) {
			ask, req := tokenCall(b, r, path, text)
			ask()
			x := &http1.Exchange{In: req}
			if e := x.Request.Parse(x.In, http1.Limits{Target: maxTarget, Headers: maxHeaders}); e != nil {
				b.Fatal(e)
			}
			c := &call{g: r.g}
			b.ReportAllocs()
			for b.Loop() {
				c.now, x.Begun, c.flags = time.Now(), http1.Now(), 0
				k := c.find(x)
				for _, s := range c.run.steps[:len(c.run.steps)-1] {
					if k == proceed {
						k = s(c, x)
					}
				}
				if k != proceed {
					b.Fatal(answers[k].name)
				}
				c.tenant.inFlight.Release(c.counts[0])
				c.tenant.buffered.Release(c.counts[1])
			}
		})
	}
}

// An authorizer can be tried before a method is guarded by it; a function gets the claims.
func TestTryTokenAuthorizer(t *testing.T) {
	issuer := issuertest.New(t, "RS256")
	pools := model.UserPools{poolARN: issuer.URL}
	s := NewTrials([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, nil, pools, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { _ = s.Close(t.Context()) })
	d := &model.Definition{Authorizers: []model.Authorizer{{ID: "a", Name: "callers", Type: model.AuthCognito, ProviderARNs: []string{poolARN}, IdentitySource: "method.request.header.Authorization"}}}
	for _, c := range []struct {
		token  string
		status int
		log    string
	}{
		{issuer.Token("x", map[string]any{"exp": 4102444800}), 0, "takes the token of somebody"},
		{"", 401, "the call has no token"},
		{issuer.Token("x", map[string]any{"token_use": "access"}), 401, "it takes ID tokens"},
		{issuer.Token("x", map[string]any{"exp": 1}), 401, "the token has expired"},
	} {
		out, err := s.TryAuthorizer(t.Context(), model.AuthorizerTrial{ID: model.NewRequestID(), AccountID: "123456789012", APIID: "abc", Definition: d, AuthorizerID: "a", Headers: map[string][]string{"Authorization": {c.token}}})
		if err != nil || out.Status != c.status || !strings.Contains(out.Log, c.log) {
			t.Errorf("%+v %v", out, err)
		}
		if c.status == 0 && (out.Principal != "somebody" || out.Claims["exp"] != "Fri Jan 01 00:00:00 UTC 2100" || out.Claims["aud"] != "x") {
			t.Errorf("%+v", out)
		}
	}
}

func TestTokenForFunction(t *testing.T) {
	issuer := issuertest.New(t, "ES256")
	r := lambdaRig(t, newFunctions(t), func(o *Options) { o.UserPools = model.UserPools{poolARN: issuer.URL} })
	r.protect("d1", echo(t), model.Authorizer{Type: model.AuthCognito, ProviderARNs: []string{poolARN}, IdentitySource: "method.request.header.Authorization"}, "GET /function")
	status, _, body := r.send("GET", "/function", "", "Authorization", issuer.Token("x", map[string]any{"cognito:groups": []string{"a", "b"}}))
	if status != 201 || !strings.Contains(body, `"authorizer":{"claims":{"aud":"x","cognito:groups":"a,b","exp":"`) {
		t.Errorf("%d %s", status, body)
	}
}
