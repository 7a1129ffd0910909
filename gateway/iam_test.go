package gateway

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/awsapi/sigv4"
	"tollgate/gateway/http1"
	"tollgate/model"
)

const (
	signRegion = "us-east-1"
	keyID      = "AKIAEXAMPLE000000001"
	keySecret  = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

var credentials = sigv4.Credentials{AccessKeyID: keyID, Secret: keySecret}

// signerOf is an access key as the control plane tells it on a day.
func signerOf(id, secret string, day time.Time, change ...func(*model.SignerConfig)) model.SignerConfig {
	first := day.UTC().AddDate(0, 0, -model.SignerDaysBack)
	s := model.SignerConfig{ID: id, Member: "m0000000001", Name: "ada@example.com", Role: "admin", Invokes: true, FirstDay: first.Format("20060102")}
	for i := range model.SignerDaysBack + 1 + model.SignerDaysAhead {
		k := sigv4.Scope{Day: first.AddDate(0, 0, i).Format("20060102"), Region: signRegion, Service: "execute-api"}.Key(secret)
		s.DayKeys = append(s.DayKeys, k[:])
	}
	for _, f := range change {
		f(&s)
	}
	return s
}

func (r *rig) signers(tenant uint32, keys ...model.SignerConfig) {
	r.t.Helper()
	r.p.tell(r.t, model.Changes{Tenants: []model.TenantConfig{{Num: tenant, AccountID: account(tenant)}},
		Signers: []model.SignersConfig{{Tenant: tenant, Keys: keys, Deleted: len(keys) == 0}}})
}

func account(tenant uint32) string {
	if tenant == tenantNum {
		return "123456789012"
	}
	return fmt.Sprintf("%012d", tenant)
}

// signed publishes methods with AWS_IAM that an upstream answers, or a mock where there is
// none, behind a resource policy or none.
func (r *rig) signed(id, upstream, policy string, methods ...string) {
	r.t.Helper()
	var st model.StageConfig
	if upstream == "" {
		st = r.mocked(id, "in", methods...)
	} else {
		st = r.content(id, upstream, methods...)
	}
	r.p.mu.Lock()
	d := r.p.deployments[id]
	d.Definition.Policy = policy
	for i := range d.Definition.Resources {
		for v, m := range d.Definition.Resources[i].Methods {
			m.AuthorizationType = model.AuthIAM
			d.Definition.Resources[i].Methods[v] = m
		}
	}
	r.p.mu.Unlock()
	r.serve(st)
}

// request is one of abc:prod by path; body nil: none.
func (r *rig) request(verb, path string, body []byte) *http.Request {
	r.t.Helper()
	req, err := http.NewRequest(verb, r.base+"/_aws/execute-api/abc/prod"+path, bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	return req
}

// sign signs a request now, as a client does.
func sign(req *http.Request, body []byte) *http.Request {
	sigv4.SignHTTP(req, credentials, signRegion, "execute-api", sigv4.HashBody(body), time.Now())
	return req
}

func TestSignedCalls(t *testing.T) {
	r := newRig(t)
	var mu sync.Mutex
	var seen http.Header
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		b, _ := io.ReadAll(q.Body)
		mu.Lock()
		seen = q.Header
		mu.Unlock()
		fmt.Fprintf(w, "%s %s %s", q.Method, q.URL.RequestURI(), b)
	}))
	t.Cleanup(up.Close)
	r.signed("d1", up.Listener.Addr().String(), "", "GET /a/{id}", "POST /a", "GET /")
	r.signers(tenantNum, signerOf(keyID, keySecret, time.Now()))

	status, kind, body := r.do(sign(r.request("GET", "/a/1?x=1&y=%20z&y=a", nil), nil))
	if status != 200 || body != "GET /a/1?x=1&y=%20z&y=a " {
		t.Errorf("%d %s %s", status, kind, body)
	}
	mu.Lock()
	if seen.Get("Authorization") != "" || seen.Get("X-Amz-Date") == "" {
		t.Errorf("the upstream saw %v", seen)
	}
	mu.Unlock()
	large := bytes.Repeat([]byte("0123456789"), 100_000)
	for _, payload := range [][]byte{[]byte("hello"), large, {}} {
		if status, kind, body = r.do(sign(r.request("POST", "/a", payload), payload)); status != 200 || body != "POST /a "+string(payload) {
			t.Errorf("a body of %d: %d %s %.100s", len(payload), status, kind, body)
		}
		// With the hash in a header, which may come before the body.
		req := r.request("POST", "/a", payload)
		req.Header.Set("X-Amz-Content-Sha256", sigv4.HashBody(payload))
		if status, kind, body = r.do(sign(req, payload)); status != 200 || body != "POST /a "+string(payload) {
			t.Errorf("a body of %d, hashed: %d %s %.100s", len(payload), status, kind, body)
		}
		// In chunks, without a length.
		req = r.request("POST", "/a", nil)
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(payload)), -1
		if status, kind, body = r.do(sign(req, payload)); status != 200 || body != "POST /a "+string(payload) {
			t.Errorf("a body of %d, in chunks: %d %s %.100s", len(payload), status, kind, body)
		}
	}
	// By host, over TLS and HTTP/2.
	req := r.request("POST", "/a", []byte("hello"))
	req.URL.Scheme, req.URL.Host, req.URL.Path = "https", r.g.TLSAddr(), "/prod/a"
	req.Host = "abc.execute-api.us-east-1.example.com"
	h2 := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	defer h2.CloseIdleConnections()
	resp, err := h2.Do(sign(req, []byte("hello")))
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != 200 || resp.ProtoMajor != 2 || string(b) != "POST /a hello" {
		t.Errorf("HTTP/%d: %d %s", resp.ProtoMajor, resp.StatusCode, b)
	}
	// The signature names the content length, as some SDKs have it, which HTTP/2 keeps
	// apart.
	req = req.Clone(t.Context())
	req.Body = io.NopCloser(strings.NewReader("hello"))
	q := sigv4.FromHTTP(req)
	q.Header = []sigv4.Field{{Name: "Content-Length", Value: "5"}}
	for _, f := range q.Sign(credentials, signRegion, "execute-api", sigv4.HashBody([]byte("hello")), time.Now()) {
		req.Header.Set(f.Name, f.Value)
	}
	if resp, err = h2.Do(req); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("with a signed length: %d", resp.StatusCode)
	}
}

func TestPresignedCalls(t *testing.T) {
	r := newRig(t)
	r.signed("d1", "", "", "GET /a")
	r.signers(tenantNum, signerOf(keyID, keySecret, time.Now()))
	presigned := func(lives time.Duration, ago time.Duration) *http.Request {
		req := r.request("GET", "/a?x=1", nil)
		sigv4.PresignHTTP(req, credentials, signRegion, "execute-api", sigv4.HashBody(nil), lives, time.Now().Add(-ago))
		return req
	}
	for _, c := range []struct {
		lives, ago time.Duration
		status     int
	}{
		{time.Hour, 0, 200},
		{time.Hour, 59 * time.Minute, 200},
		{time.Hour, 61 * time.Minute, 403},
		{7 * 24 * time.Hour, 7*24*time.Hour - time.Minute, 200}, // as long as any
		{7 * 24 * time.Hour, 7*24*time.Hour + time.Minute, 403},
		{time.Second, -10 * time.Minute, 403},
	} {
		if status, kind, body := r.do(presigned(c.lives, c.ago)); status != c.status || status == 403 && kind != "InvalidSignatureException" {
			t.Errorf("%v after %v: %d %s %s", c.lives, c.ago, status, kind, body)
		}
	}
	tampered := presigned(time.Hour, 0)
	tampered.URL.RawQuery = strings.Replace(tampered.URL.RawQuery, "Expires=3600", "Expires=7200", 1)
	if status, _, _ := r.do(tampered); status != 403 {
		t.Errorf("a longer life: %d", status)
	}
}

// Whatever is changed of a signed call, it is refused, and its maker is told why.
func TestTamperedCalls(t *testing.T) {
	r := newRig(t)
	r.signed("d1", "", "", "GET /a", "GET /b", "POST /a", "GET /p/{proxy+}")
	r.signers(tenantNum, signerOf(keyID, keySecret, time.Now()))
	const invalid, mismatch = "InvalidSignatureException", "The request signature we calculated does not match"
	body := []byte(`{"a":1}`)
	swap := func(from, to string) func(*http.Request) {
		return func(q *http.Request) {
			a := q.Header.Get("Authorization")
			if !strings.Contains(a, from) {
				t.Fatalf("%q is not in %q", from, a)
			}
			q.Header.Set("Authorization", strings.Replace(a, from, to, 1))
		}
	}
	at := func(by time.Duration) func(*http.Request) {
		return func(q *http.Request) {
			q.Header.Del("Authorization")
			sigv4.SignHTTP(q, credentials, signRegion, "execute-api", sigv4.HashBody(nil), time.Now().Add(by))
		}
	}
	scope := func(region, service string) func(*http.Request) {
		return func(q *http.Request) {
			q.Header.Del("Authorization")
			sigv4.SignHTTP(q, credentials, region, service, sigv4.HashBody(nil), time.Now())
		}
	}
	for _, c := range []struct {
		name, verb string
		tamper     func(*http.Request)
		kind       string
		says       string
	}{
		{"unsigned", "GET", func(q *http.Request) { q.Header.Del("Authorization") }, "MissingAuthenticationTokenException", "Missing Authentication Token"},
		{"another scheme", "GET", func(q *http.Request) { q.Header.Set("Authorization", "Bearer x") }, "IncompleteSignatureException", "Authorization header"},
		{"path", "GET", func(q *http.Request) { q.URL.Path = strings.Replace(q.URL.Path, "prod/a", "prod/b", 1) }, invalid, mismatch},
		{"a doubled slash", "GET", func(q *http.Request) {
			q.URL.Path = strings.Replace(q.URL.Path, "/prod/a", "/prod/p/x//y", 1)
			sign(q, nil)
		}, invalid, "doubled slashes"},
		{"query", "GET", func(q *http.Request) { q.URL.RawQuery = "x=2" }, invalid, mismatch},
		{"more query", "GET", func(q *http.Request) { q.URL.RawQuery += "&y=2" }, invalid, mismatch},
		{"verb", "POST", func(q *http.Request) { q.Method = "GET" }, invalid, mismatch},
		{"body", "POST", func(q *http.Request) { q.Body = io.NopCloser(strings.NewReader(`{"a":2}`)) }, invalid, mismatch},
		{"body with its hash", "POST", func(q *http.Request) {
			q.Header.Set("X-Amz-Content-Sha256", sigv4.HashBody(body))
			sign(q, body)
			q.Body = io.NopCloser(strings.NewReader(`{"a":2}`))
		}, invalid, mismatch},
		{"no body", "POST", func(q *http.Request) { q.Body, q.ContentLength = http.NoBody, 0 }, invalid, mismatch},
		{"unsigned body", "POST", func(q *http.Request) {
			sigv4.SignHTTP(q, credentials, signRegion, "execute-api", sigv4.UnsignedPayload, time.Now())
		}, invalid, mismatch},
		{"streamed body", "POST", func(q *http.Request) {
			q.Header.Set("X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
			sigv4.SignHTTP(q, credentials, signRegion, "execute-api", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", time.Now())
		}, invalid, mismatch},
		{"host", "GET", func(q *http.Request) { q.Host = "abc.execute-api.elsewhere.example.com"; q.URL.Path = "/prod/a" }, invalid, mismatch},
		{"signed header", "GET", func(q *http.Request) { q.Header.Set("X-Own", "other") }, invalid, mismatch},
		{"lost header", "GET", func(q *http.Request) { q.Header.Del("X-Own") }, invalid, mismatch},
		{"added header", "GET", func(q *http.Request) { q.Header.Set("X-Amz-New", "1") }, invalid, "were not signed: x-amz-new"},
		{"date", "GET", func(q *http.Request) {
			q.Header.Set("X-Amz-Date", time.Now().UTC().Add(time.Second).Format("20060102T150405Z"))
		}, invalid, ""},
		{"signature", "GET", swap("Signature=", "Signature=0"), invalid, mismatch},
		{"no signature", "GET", swap("Signature=", "Sig="), "IncompleteSignatureException", "'Signature'"},
		{"unknown key", "GET", swap(keyID, "AKIAEXAMPLE000000002"), "UnrecognizedClientException", "The security token included in the request is invalid."},
		{"session", "GET", func(q *http.Request) {
			sigv4.SignHTTP(q, sigv4.Credentials{AccessKeyID: keyID, Secret: keySecret, SessionToken: "t"}, signRegion, "execute-api", sigv4.HashBody(nil), time.Now())
		}, "UnrecognizedClientException", "The security token included in the request is invalid."},
		{"region", "GET", scope("eu-west-1", "execute-api"), invalid, "valid region, not 'eu-west-1'"},
		{"service", "GET", scope(signRegion, "apigateway"), invalid, "scoped to correct service: 'execute-api'"},
		{"region of the scope alone", "GET", swap("/"+signRegion+"/", "/eu-west-1/"), invalid, "valid region"},
		{"old", "GET", at(-6 * time.Minute), invalid, "Signature expired"},
		{"early", "GET", at(6 * time.Minute), invalid, "Signature not yet current"},
		{"very old", "GET", at(-30 * 24 * time.Hour), invalid, "Signature expired"},
		{"twice", "GET", func(q *http.Request) { q.Header.Add("Authorization", q.Header.Get("Authorization")) }, "IncompleteSignatureException", "only once"},
	} {
		payload := []byte(nil)
		if c.verb == "POST" {
			payload = body
		}
		q := r.request(c.verb, "/a?x=1", payload)
		q.Header.Set("X-Own", "mine")
		sign(q, payload)
		c.tamper(q)
		status, kind, answer := r.do(q)
		if status != 403 || kind != c.kind || !strings.Contains(answer, c.says) || !strings.HasPrefix(answer, `{"message":"`) {
			t.Errorf("%s: %d %s %s", c.name, status, kind, answer)
		}
		if strings.Contains(answer, keySecret) {
			t.Errorf("%s tells the secret", c.name)
		}
		if c.says == mismatch && !strings.Contains(answer, "The Canonical String for this request should have been") {
			t.Errorf("%s does not say what should have been signed: %s", c.name, answer)
		}
	}
	if status, _, _ := r.do(sign(r.request("GET", "/p/x/y", nil), nil)); status != 200 {
		t.Errorf("what is not tampered with: %d", status)
	}
}

// The key's policy and the API's decide together.
func TestWhoMayCall(t *testing.T) {
	r := newRig(t)
	const (
		arn     = "arn:aws:execute-api:us-east-1:123456789012:abc/prod/GET/a"
		all     = `"Resource":"execute-api:/*"`
		ada     = "arn:aws:iam::123456789012:user/ada@example.com"
		other   = uint32(8)
		foreign = "arn:aws:iam::000000000008:user/ada@example.com"
	)
	doc := func(statements ...string) string {
		return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
	}
	own := func(effect, resource string) string {
		return doc(`{"Effect":"` + effect + `","Action":"execute-api:Invoke","Resource":"` + resource + `"}`)
	}
	api := func(effect, who string) string {
		return doc(`{"Effect":"` + effect + `","Principal":{"AWS":"` + who + `"},"Action":"execute-api:Invoke",` + all + `}`)
	}
	mayInvoke := func(yes bool) func(*model.SignerConfig) {
		return func(s *model.SignerConfig) { s.Invokes = yes }
	}
	with := func(policy string) func(*model.SignerConfig) {
		return func(s *model.SignerConfig) { s.Policy = policy }
	}
	n := 0
	for _, c := range []struct {
		name   string
		tenant uint32
		key    func(*model.SignerConfig)
		policy string
		want   string // "": in; otherwise the message's end
	}{
		{"by role", tenantNum, mayInvoke(true), "", ""},
		{"not by role", tenantNum, mayInvoke(false), "", arn},
		{"by its policy", tenantNum, with(own("Allow", "arn:aws:execute-api:us-east-1:123456789012:abc/*/GET/a")), "", ""},
		{"its policy instead of its role", tenantNum, with(own("Allow", "arn:aws:execute-api:us-east-1:123456789012:abc/*/POST/a")), "", arn},
		{"its policy's deny", tenantNum, with(own("Deny", "*")), api("Allow", "*"), arn + " with an explicit deny"},
		{"its policy's variable", tenantNum, with(doc(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:username":"ada@example.com","aws:PrincipalTag/role":"admin","aws:userid":"m0000000001","aws:PrincipalAccount":"123456789012"}}}`)), "", ""},
		{"a policy that cannot be read", tenantNum, with("{"), api("Allow", "*"), arn + " with an explicit deny"},
		{"by the API's policy alone", tenantNum, mayInvoke(false), api("Allow", ada), ""},
		{"by its account", tenantNum, mayInvoke(false), api("Allow", "123456789012"), ""},
		{"the API's policy is silent", tenantNum, mayInvoke(true), api("Allow", "arn:aws:iam::123456789012:user/bob"), ""},
		{"the API's policy is silent, and so is the key's", tenantNum, mayInvoke(false), api("Allow", "arn:aws:iam::123456789012:user/bob"), arn},
		{"the API's policy denies", tenantNum, mayInvoke(true), api("Deny", ada), arn + " with an explicit deny"},
		{"foreign", other, with(own("Allow", "*")), "", arn},
		{"foreign and silent", other, with(own("Allow", "*")), api("Allow", "123456789012"), arn},
		{"foreign and denied", other, with(own("Allow", "*")), api("Deny", foreign), arn + " with an explicit deny"},
		{"foreign, by role", other, mayInvoke(true), api("Allow", "*"), arn},
		{"foreign and allowed by both", other, with(own("Allow", arn)), api("Allow", foreign), ""},
		{"foreign, by account", other, with(own("Allow", arn)), api("Allow", "arn:aws:iam::000000000008:root"), ""},
	} {
		n++
		r.signed(fmt.Sprint("d", n), "", c.policy, "GET /a")
		r.signers(tenantNum)
		r.signers(other)
		r.signers(c.tenant, signerOf(keyID, keySecret, time.Now(), c.key))
		status, kind, body := r.do(sign(r.request("GET", "/a", nil), nil))
		if c.want == "" {
			if status != 200 {
				t.Errorf("%s: %d %s %s", c.name, status, kind, body)
			}
			continue
		}
		who := ada
		if c.tenant == other {
			who = foreign
		}
		want := `{"Message":"User: ` + who + ` is not authorized to perform: execute-api:Invoke on resource: ` + strings.Replace(c.want, "123456789012", "********9012", 1) + `"}`
		if status != 403 || kind != "AccessDeniedException" || body != want {
			t.Errorf("%s: %d %s %s\nwant %s", c.name, status, kind, body, want)
		}
	}
	// Of a suspended account no key opens anything.
	r.p.tell(t, model.Changes{Tenants: []model.TenantConfig{{Num: other, AccountID: account(other), Suspended: true}}})
	if status, kind, _ := r.do(sign(r.request("GET", "/a", nil), nil)); status != 403 || kind != "UnrecognizedClientException" {
		t.Errorf("of a suspended account: %d %s", status, kind)
	}
}

// Templates know who signed.
func TestSignersIdentity(t *testing.T) {
	r := newRig(t)
	st := r.mocked("d1", "", "GET /a")
	r.p.mu.Lock()
	m := r.p.deployments["d1"].Definition.Resources[0].Methods["GET"]
	m.AuthorizationType, m.Integration = model.AuthIAM, &model.Integration{}
	if err := json.Unmarshal([]byte(`{"type": "MOCK", "requestTemplates": {"application/json": "{\"statusCode\": 200}"}, "integrationResponses": {"default": {"statusCode": "200", "responseTemplates": {
		"application/json": "$context.identity.accessKey $context.identity.accountId $context.identity.caller $context.identity.user $context.identity.userArn"}}}}`), m.Integration); err != nil {
		t.Fatal(err)
	}
	r.p.deployments["d1"].Definition.Resources[0].Methods["GET"] = m
	r.p.mu.Unlock()
	r.serve(st)
	r.signers(tenantNum, signerOf(keyID, keySecret, time.Now()))
	want := keyID + " 123456789012 m0000000001 m0000000001 arn:aws:iam::123456789012:user/ada@example.com"
	if status, _, body := r.do(sign(r.request("GET", "/a", nil), nil)); status != 200 || body != want {
		t.Errorf("%d %q, want %q", status, body, want)
	}
}

// Who signs may ask for a fresh answer in place of a cached one if their policy lets them.
func TestSignersInvalidateCaches(t *testing.T) {
	u := newCounting(t, nil)
	r := newRig(t)
	st := r.cachedStage(u.s.URL, model.CacheSetting{Enabled: true, TTLSeconds: 300, Guarded: true, Strategy: "FAIL_WITH_403"}, "GET /a")
	r.p.mu.Lock()
	m := r.p.deployments["d1"].Definition.Resources[0].Methods["GET"]
	m.AuthorizationType = model.AuthIAM
	r.p.deployments["d1"].Definition.Resources[0].Methods["GET"] = m
	r.p.mu.Unlock()
	r.serve(st)
	for actions, want := range map[string]int{`"execute-api:Invoke"`: 403, `["execute-api:Invoke","execute-api:InvalidateCache"]`: 200} {
		r.signers(tenantNum, signerOf(keyID, keySecret, time.Now(), func(s *model.SignerConfig) {
			s.Policy = `{"Statement":{"Effect":"Allow","Action":` + actions + `,"Resource":"*"}}`
		}))
		req := r.request("GET", "/a", nil)
		req.Header.Set("Cache-Control", "max-age=0")
		if status, _, body := r.do(sign(req, nil)); status != want {
			t.Errorf("with %s: %d %s", actions, status, body)
		}
	}
}

// A node knows keys until they are taken away, over a restart without a control plane,
// and at most for as long as it was given signing keys.
func TestSignersComeAndGo(t *testing.T) {
	var log lines
	r := newRig(t, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	r.signed("d1", "", "", "GET /a")
	try := func(what string, want int, wantKind string) {
		t.Helper()
		if status, kind, body := r.do(sign(r.request("GET", "/a", nil), nil)); status != want || kind != wantKind {
			t.Errorf("%s: %d %s %s", what, status, kind, body)
		}
	}
	const unknown = "UnrecognizedClientException"
	try("before it is known", 403, unknown)
	r.signers(tenantNum, signerOf(keyID, keySecret, time.Now()))
	try("known", 200, "")
	r.signers(tenantNum, signerOf("AKIAEXAMPLE000000003", "other", time.Now()))
	try("taken away", 403, unknown)
	r.signers(tenantNum, signerOf(keyID, "another secret", time.Now()))
	try("with another secret", 403, "InvalidSignatureException")
	// What was told eight days ago ended yesterday.
	r.signers(tenantNum, signerOf(keyID, keySecret, time.Now().AddDate(0, 0, -8)))
	try("cut off for a week", 503, "ServiceUnavailableException")
	if s := log.String(); !strings.Contains(s, "signing keys it gave are over") {
		t.Errorf("the log says %s", s)
	}
	r.signers(tenantNum, signerOf(keyID, keySecret, time.Now().AddDate(0, 0, -7)))
	try("cut off for almost a week", 200, "")

	r.p.mu.Lock()
	r.p.down = true
	r.p.mu.Unlock()
	second := &rig{t: t, p: r.p, dir: r.dir}
	if err := r.g.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	g, err := Start(t.Context(), Options{Addr: "127.0.0.1:0", TLSAddr: "127.0.0.1:0", DataDir: r.dir, Node: "test", Feed: r.p.feed(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Drain(t.Context()) })
	second.g, second.base = g, "http://"+g.Addr()
	r = second
	try("from the disk", 200, "")
	files, _ := filepath.Glob(filepath.Join(r.dir, "feed", "*"))
	for _, f := range files {
		if out, _ := exec.Command("grep", "-c", keySecret, f).Output(); strings.TrimSpace(string(out)) != "0" && len(out) > 0 {
			t.Errorf("the secret is in %s", f)
		}
	}
}

// lines is a log that may be written from anywhere.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// curl signs by itself, with nothing of ours in it.
func TestSignedByCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not on this machine: nothing was signed by it")
	}
	r := newRig(t)
	r.signed("d1", echo(t), "", "GET /a/{id}", "POST /a")
	r.signers(tenantNum, signerOf(keyID, keySecret, time.Now()))
	run := func(secret string, more ...string) string {
		out, err := exec.CommandContext(t.Context(), curl, append([]string{"-s", "-w", " %{http_code}", "--aws-sigv4", "aws:amz:us-east-1:execute-api", "--user", keyID + ":" + secret}, more...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	base := r.base + "/_aws/execute-api/abc/prod"
	if got := run(keySecret, base+"/a/1?x=1"); got != "GET /a/1?x=1 200" {
		t.Error(got)
	}
	if got := run(keySecret, "-H", "Content-Type: application/json", "-d", `{"a":1}`, base+"/a"); got != "POST /a 200" {
		t.Error(got)
	}
	if got := run("wrong", base+"/a/1"); !strings.HasSuffix(got, " 403") {
		t.Error(got)
	}
}

func BenchmarkSigned(b *testing.B) {
	r := newRig(b)
	r.signed("d1", "", `{"Version":"2012-10-17","Statement":[`+statement("Allow", `"Resource":"execute-api:/*","Condition":{"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}}`)+`]}`, "GET /a")
	r.signers(tenantNum, signerOf(keyID, keySecret, time.Now()))
	q := sign(r.request("GET", "/a?x=1", nil), nil)
	var head bytes.Buffer
	if err := q.Write(&head); err != nil {
		b.Fatal(err)
	}
	x := &http1.Exchange{In: head.Bytes(), RemoteIP: "127.0.0.1"}
	if err := x.Request.Parse(x.In, http1.Limits{Target: maxTarget, Headers: maxHeaders}); err != nil {
		b.Fatal(err)
	}
	c := &call{g: r.g, now: time.Now()}
	if k := c.find(x); k != proceed {
		b.Fatal(k)
	}
	b.ReportAllocs()
	for b.Loop() {
		if k := c.access(x); k != proceed {
			b.Fatal(k, c.why, c.message)
		}
	}
}

// Whatever is sent as a signature, nothing but the right one is let in.
func FuzzAuthorization(f *testing.F) {
	r := newRig(f)
	r.signed("d1", "", "", "GET /a")
	r.signers(tenantNum, signerOf(keyID, keySecret, time.Now()))
	q := sign(r.request("GET", "/a", nil), nil)
	f.Add(q.Header.Get("Authorization")[1:], q.Header.Get("X-Amz-Date"), "")
	f.Add("", "", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="+keyID+"%2F20260101%2Fus-east-1%2Fexecute-api%2Faws4_request&X-Amz-Signature=0")
	f.Fuzz(func(t *testing.T, authorization, date, query string) {
		q, err := http.NewRequest("GET", r.base+"/_aws/execute-api/abc/prod/a", nil)
		if err != nil {
			return
		}
		q.URL.RawQuery = query
		q.Header.Set("Authorization", authorization)
		q.Header.Set("X-Amz-Date", date)
		resp, err := r.httpc.Do(q)
		if err != nil {
			return // the client does not send it
		}
		resp.Body.Close()
		if resp.StatusCode < 400 {
			t.Fatalf("%q %q %q: %d", authorization, date, query, resp.StatusCode)
		}
	})
}

// A body that is decoded on its way was signed as it was sent.
func TestSignedCompressedBody(t *testing.T) {
	r := newRig(t)
	r.signers(tenantNum, signerOf(keyID, keySecret, time.Now()))
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		b, _ := io.ReadAll(q.Body)
		fmt.Fprintf(w, "%s%s", q.Header.Get("Content-Encoding"), b)
	}))
	t.Cleanup(up.Close)
	st := r.content("d1", up.Listener.Addr().String(), "POST /a")
	r.p.mu.Lock()
	d := &r.p.deployments["d1"].Definition
	d.MinimumCompressionSize = new(int)
	m := d.Resources[0].Methods["POST"]
	m.AuthorizationType = model.AuthIAM
	d.Resources[0].Methods["POST"] = m
	r.p.mu.Unlock()
	r.serve(st)
	sent := squeeze(t, "gzip", "hello")
	for _, c := range []struct {
		name   string
		signed []byte
		hash   bool
		status int
	}{{"as sent", sent, false, 200}, {"as sent, with its hash", sent, true, 200}, {"as it was before", []byte("hello"), false, 403}} {
		req := r.request("POST", "/a", sent)
		req.Header.Set("Content-Encoding", "gzip")
		if c.hash {
			req.Header.Set("X-Amz-Content-Sha256", sigv4.HashBody(sent))
		}
		if status, kind, body := r.do(sign(req, c.signed)); status != c.status || status == 200 && body != "hello" {
			t.Errorf("%s: %d %s %.200s", c.name, status, kind, body)
		}
	}
}
