package gateway

import (
	"bufio"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"tollgate/model"
)

// provider is npm's oidc-provider behind TLS.
type provider struct {
	*httptest.Server
	t       *testing.T
	fetches atomic.Int64 // of the key set
	in      io.Writer
	out     *bufio.Scanner
}

// installed is a folder with the provider.
func installed(t *testing.T) string {
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("NPM IS NOT ON THIS MACHINE: tokens were tried of an issuer of our own alone")
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/oidc")); err != nil {
		t.Fatal(err)
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--silent", "--no-audit", "--no-fund")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	return dir
}

func newProvider(t *testing.T, dir, alg string) *provider {
	p := &provider{t: t}
	target := &url.URL{Scheme: "http"}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.SetXForwarded()
		r.Out.Host = r.In.Host
	}}
	p.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/jwks" {
			p.fetches.Add(1)
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(p.Close)
	cmd := exec.CommandContext(t.Context(), "node", "provider.mjs", p.URL, alg)
	cmd.Dir = dir
	var said strings.Builder
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	p.in, p.out = in, bufio.NewScanner(out)
	target.Host = "127.0.0.1:" + p.line()
	return p
}

func (p *provider) line() string {
	p.t.Helper()
	for p.out.Scan() {
		if text, ok := strings.CutPrefix(p.out.Text(), "> "); ok {
			return text
		}
	}
	p.t.Fatalf("the provider has ended: %v", p.out.Err())
	return ""
}

// rotate gives the provider a new key and tells its id. Tokens are signed by it or by
// the last one.
func (p *provider) rotate() string {
	p.t.Helper()
	if _, err := io.WriteString(p.in, "rotate\n"); err != nil {
		p.t.Fatal(err)
	}
	return p.line()
}

// tokenBy is one signed by a key.
func (p *provider) tokenBy(kid, resource, scope string) string {
	p.t.Helper()
	for range 200 {
		text := p.token(resource, scope)
		head, _, _ := strings.Cut(text, ".")
		if b, err := base64.RawURLEncoding.DecodeString(head); err == nil && strings.Contains(string(b), `"`+kid+`"`) {
			return text
		}
	}
	p.t.Fatalf("no token is signed by %s", kid)
	return ""
}

// token is got by client credentials.
func (p *provider) token(resource, scope string) string {
	p.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "resource": {resource}, "scope": {scope}}
	req, err := http.NewRequestWithContext(p.t.Context(), "POST", p.URL+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("app1", "secret")
	res, err := p.Client().Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	var out struct {
		Token string `json:"access_token"`
	}
	b, _ := io.ReadAll(res.Body)
	if err := json.Unmarshal(b, &out); err != nil || out.Token == "" {
		p.t.Fatalf("%d %s", res.StatusCode, b)
	}
	return out.Token
}

// Tokens of a provider that nobody here wrote are taken by both types of authorizers;
// so are those of its next key, as soon as the first of them comes.
func TestRealProvider(t *testing.T) {
	t.Parallel()
	dir := installed(t)
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			p := newProvider(t, dir, alg)
			r := newRig(t, func(o *Options) { o.UserPools = model.UserPools{"us-east-1_pool": p.URL} })
			roots := x509.NewCertPool()
			roots.AddCert(p.Certificate())
			r.trustingPool(roots)
			a := jwtAuthorizer(model.JWTIssuer{Issuer: p.URL, Audiences: []string{"urn:pets"},
				Claims: []model.JWTClaim{{Name: "client_id", Values: []string{"app1"}, Format: "SINGLE_STRING", Required: true}}})
			a.JWT = json.RawMessage(strings.Replace(string(a.JWT), `"RS256"`, `"`+alg+`"`, 1))
			r.protect("d1", echo(t), a, "GET /open", "GET /read read", "POST /said")
			get := func(path, token string, want int) {
				t.Helper()
				if status, h, body := r.send("GET", path, "", "Authorization", "Bearer "+token); status != want {
					t.Fatalf("%s: %d %s %v", path, status, body, h)
				}
			}
			first := p.token("urn:pets", "read")
			for range 3 {
				get("/open", first, 200)
				get("/read", first, 200)
				get("/read", p.token("urn:pets", "write"), 403)
				get("/open", p.token("urn:cats", "read"), 401)
			}
			if n := p.fetches.Load(); n != 1 {
				t.Errorf("%d fetches", n)
			}
			if status, _, body := r.send("POST", "/said", "{}", "Authorization", first); status != 200 || !strings.HasPrefix(body, `nobody||1`) || !strings.Contains(body, `app1|["read"]`) {
				t.Errorf("%d %s", status, body)
			}
			second := p.tokenBy(p.rotate(), "urn:pets", "read")
			until(t, "the new key to be asked for", func() bool {
				status, _, _ := r.send("GET", "/read", "", "Authorization", second)
				get("/read", first, 200)
				return status == 200
			})
			if n := p.fetches.Load(); n != 2 {
				t.Errorf("%d fetches", n)
			}

			// The same provider as a user pool.
			r.protect("d2", echo(t), model.Authorizer{Type: model.AuthCognito, ProviderARNs: []string{poolARN}, IdentitySource: "method.request.header.Authorization"}, "GET /open", "GET /read read")
			get("/read", second, 200)
			get("/read", p.token("urn:anything", "write"), 403)
			get("/open", second, 401) // an access token
		})
	}
}
