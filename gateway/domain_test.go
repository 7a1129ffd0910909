package gateway

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"tollgate/model"
)

// authority is a certificate authority for tests.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  crypto.Signer
	pem  string
}

func newAuthority(t testing.TB, name string) *authority {
	a := &authority{t: t}
	a.cert, a.key = a.make(&x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil)
	a.pem = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
	return a
}

func (a *authority) make(t *x509.Certificate, by *authority) (*x509.Certificate, crypto.Signer) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	t.SerialNumber, _ = rand.Int(rand.Reader, big.NewInt(1<<62))
	t.NotBefore, t.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := t, crypto.Signer(key)
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return c, key
}

// issue is a certificate and key in PEM.
func (a *authority) issue(names ...string) (cert, key string) {
	a.t.Helper()
	c, k := a.make(&x509.Certificate{Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}, a)
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// visitor is an HTTPS client that reaches the node whatever the name.
type visitor struct {
	t  testing.TB
	tr *http.Transport
}

func (r *rig) visitor(roots *x509.CertPool, h2 bool, client ...tls.Certificate) *visitor {
	p := new(http.Protocols)
	p.SetHTTP1(!h2)
	p.SetHTTP2(h2)
	tr := &http.Transport{Protocols: p, TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: client, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, r.g.TLSAddr())
		}}
	r.t.Cleanup(tr.CloseIdleConnections)
	return &visitor{r.t, tr}
}

// get is the status and the body, or "" and the error's text.
func (v *visitor) get(url, host string, headers ...string) (int, string) {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), "GET", url, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	req.Host = host
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := v.tr.RoundTrip(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// A domain's calls find their stage by the longest base path, by the stage in the
// path, or by a rule; only stages of its own tenant.
func TestDomainRouting(t *testing.T) {
	r := newRig(t)
	r.deploy("d1", echo(t), "GET /x", "GET /")
	r.p.mu.Lock()
	other := *r.p.deployments["d1"]
	other.ID, other.APIID, other.Tenant = "d2", "foreign", 8
	r.p.deployments["d2"] = &other
	r.p.mu.Unlock()
	r.p.tell(t, model.Changes{Tenants: []model.TenantConfig{{Num: 8, AccountID: "223456789012"}},
		Stages: []model.StageConfig{{Num: 80, Tenant: 8, APIID: "foreign", Stage: "prod", DeploymentID: "d2"}}})
	ca := newAuthority(t, "server")
	cert, key := ca.issue("api.example.com", "*.wild.example.com")
	d := model.DomainConfig{Num: 1, Tenant: tenantNum, Name: "api.example.com", Certificate: cert, PrivateKey: key, SecurityPolicy: "TLS_1_2",
		RoutingMode: model.RouteByMapping, Mappings: []model.Mapping{{BasePath: "a", APIID: "abc"}, {BasePath: "a/b", APIID: "abc", Stage: "prod"},
			{BasePath: "foreign", APIID: "foreign", Stage: "prod"}, {BasePath: "gone", APIID: "abc", Stage: "gone"}}}
	wild := d
	wild.Num, wild.Name, wild.Mappings = 2, "*.wild.example.com", []model.Mapping{{APIID: "abc", Stage: "prod"}}
	ruled := d
	ruled.Num, ruled.Name, ruled.RoutingMode = 3, "ruled.example.com", model.RouteByRuleThenMapping
	ruled.Rules = []model.RoutingRule{
		{ID: "b", Priority: 20, BasePaths: []string{"v2"}, Invoke: model.InvokeAPI{APIID: "abc", Stage: "prod", StripBasePath: true}},
		{ID: "a", Priority: 10, Headers: [][]model.HeaderIs{{{Header: "X-Version", Glob: "beta*"}}}, BasePaths: []string{"v2"},
			Invoke: model.InvokeAPI{APIID: "abc", Stage: "none"}},
	}
	only := ruled
	only.Num, only.Name, only.RoutingMode = 4, "only.example.com", model.RouteByRule
	r.p.tell(t, model.Changes{Domains: []model.DomainConfig{d, wild, ruled, only}})
	plain := func(host, path string, headers ...string) (int, string) {
		req, err := http.NewRequest("GET", r.base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		resp, err := r.httpc.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	const forbidden = `{"message":"Forbidden"}`
	for _, c := range []struct {
		host, path string
		status     int
		body       string
		headers    []string
	}{
		{"api.example.com", "/a/b/x?q=1", 200, "GET /x?q=1", nil},
		{"API.Example.com:8443", "/a/b/x", 200, "GET /x", nil},
		{"api.example.com", "/a/b", 200, "GET /", nil},
		{"api.example.com", "/a/b/", 200, "GET /", nil},
		{"api.example.com", "/a/prod/x", 200, "GET /x", nil},
		{"api.example.com", "/a", 403, forbidden, nil},
		{"api.example.com", "/ab/prod/x", 403, forbidden, nil},
		{"api.example.com", "/foreign/x", 403, forbidden, nil},
		{"api.example.com", "/gone/x", 403, forbidden, nil},
		{"api.example.com", "/", 403, forbidden, nil},
		{"nobody.example.com", "/a/prod/x", 403, forbidden, nil},
		{"one.wild.example.com", "/x", 200, "GET /x", nil},
		{"two.one.wild.example.com", "/x", 403, forbidden, nil},
		{"wild.example.com", "/x", 403, forbidden, nil},
		{"ruled.example.com", "/v2/x", 200, "GET /x", nil},
		{"ruled.example.com", "/v2/x", 403, forbidden, []string{"X-Version", "beta-1"}},
		{"ruled.example.com", "/a/b/x", 200, "GET /x", nil},
		{"only.example.com", "/v2/x", 200, "GET /x", nil},
		{"only.example.com", "/a/b/x", 403, forbidden, nil},
	} {
		if status, body := plain(c.host, c.path, c.headers...); status != c.status || body != c.body {
			t.Errorf("%s%s %v: got %d %s, want %d %s", c.host, c.path, c.headers, status, body, c.status, c.body)
		}
	}
	// By SNI each name has its own certificate.
	v := r.visitor(ca.pool(), true)
	if status, body := v.get("https://api.example.com/a/b/x", ""); status != 200 || body != "GET /x" {
		t.Errorf("over TLS: %d %s", status, body)
	}
	if _, body := v.get("https://nobody.example.com/", ""); body == "" || body == forbidden {
		t.Error("a name that is not served was vouched for")
	}
	until(t, "calls to be metered", func() bool { return r.p.metered(200) > 5 })
	// What is gone is gone, and stays gone over a restart from the disk.
	r.p.tell(t, model.Changes{Domains: []model.DomainConfig{{Num: 1, Tenant: tenantNum, Deleted: true}}})
	if status, _ := plain("api.example.com", "/a/b/x"); status != 403 {
		t.Errorf("a deleted domain answers %d", status)
	}
}

// With mutual TLS a call comes in only by a connection that was made for the
// domain, with a certificate that leads to its present truststore.
func TestDomainMutualTLS(t *testing.T) {
	r := newRig(t)
	r.deploy("d1", echo(t), "GET /x")
	ca, mine, theirs := newAuthority(t, "server"), newAuthority(t, "mine"), newAuthority(t, "theirs")
	cert, key := ca.issue("mtls.example.com", "open.example.com")
	pair := func(a *authority) tls.Certificate {
		c, k := a.issue("client")
		p, err := tls.X509KeyPair([]byte(c), []byte(k))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	mtls := model.DomainConfig{Num: 1, Tenant: tenantNum, Name: "mtls.example.com", Certificate: cert, PrivateKey: key, ClientCAs: mine.pem,
		Mappings: []model.Mapping{{APIID: "abc", Stage: "prod"}}}
	open := mtls
	open.Num, open.Name, open.ClientCAs = 2, "open.example.com", ""
	r.p.tell(t, model.Changes{Domains: []model.DomainConfig{mtls, open}})
	for _, h2 := range []bool{false, true} {
		good := r.visitor(ca.pool(), h2, pair(mine))
		if status, body := good.get("https://mtls.example.com/x", ""); status != 200 {
			t.Errorf("h2 %v: a trusted client got %d %s", h2, status, body)
		}
		if status, _ := r.visitor(ca.pool(), h2, pair(theirs)).get("https://mtls.example.com/x", ""); status != 0 {
			t.Errorf("h2 %v: a client of another authority got %d", h2, status)
		}
		none := r.visitor(ca.pool(), h2)
		if status, _ := none.get("https://mtls.example.com/x", ""); status != 0 {
			t.Errorf("h2 %v: a client without a certificate got %d", h2, status)
		}
		if status, _ := none.get("https://open.example.com/x", "mtls.example.com"); status != 403 {
			t.Errorf("h2 %v: a connection for another name got %d", h2, status)
		}
		if status, _ := none.get("https://open.example.com/x", ""); status != 200 {
			t.Errorf("h2 %v: the open name answers %d", h2, status)
		}
		// The truststore changes under an open connection.
		changed := mtls
		changed.ClientCAs = theirs.pem
		r.p.tell(t, model.Changes{Domains: []model.DomainConfig{changed}})
		if status, _ := good.get("https://mtls.example.com/x", ""); status != 403 {
			t.Errorf("h2 %v: a client of the truststore before got %d", h2, status)
		}
		r.p.tell(t, model.Changes{Domains: []model.DomainConfig{mtls}})
		// And the open name asks for certificates from now on.
		if h2 {
			closed := open
			closed.ClientCAs = mine.pem
			r.p.tell(t, model.Changes{Domains: []model.DomainConfig{closed}})
			if status, _ := none.get("https://open.example.com/x", ""); status != 403 {
				t.Errorf("a connection from before certificates were asked for got %d", status)
			}
		}
	}
	if status := plainGet(t, r, "mtls.example.com", "/x"); status != 403 {
		t.Errorf("without TLS: %d", status)
	}
}

// What the client of a domain with mutual TLS showed is in the context, in events and in
// logs; of no other domain, over the same connection neither.
func TestClientCertIsTold(t *testing.T) {
	f := newFunctions(t)
	dir := t.TempDir()
	r := lambdaRig(t, f, func(o *Options) { o.AccessLogs = dir })
	s := r.defined(nil, nil, map[string]string{"GET /event": lambdaProxy("echo"), "GET /x": `{"type": "MOCK", "requestTemplates": {"application/json": "{\"statusCode\": 200}"},
		"integrationResponses": {"default": {"statusCode": "200", "responseTemplates": {"application/json": "#set($c = $context.identity.clientCert)$c.subjectDN|$c.issuerDN|$c.serialNumber|$c.validity.notBefore|$c.validity.notAfter|$c.clientCertPem"}}}}`})
	s.AccessLog = &model.AccessLogSettings{DestinationARN: "arn:aws:logs:us-east-1:123456789012:log-group:certs",
		Format: "$context.requestId;$context.identity.clientCert.subjectDN;$context.identity.clientCert.validity.notAfter;$context.identity.clientCert.clientCertPem"}
	r.serve(s)
	ca, mine := newAuthority(t, "server"), newAuthority(t, "mine")
	cert, key := ca.issue("mtls.example.com", "open.example.com")
	mtls := model.DomainConfig{Num: 1, Tenant: tenantNum, Name: "mtls.example.com", Certificate: cert, PrivateKey: key, ClientCAs: mine.pem,
		Mappings: []model.Mapping{{APIID: "abc", Stage: "prod"}}}
	open := mtls
	open.Num, open.Name, open.ClientCAs = 2, "open.example.com", ""
	r.p.tell(t, model.Changes{Domains: []model.DomainConfig{mtls, open}})
	c, k := mine.issue("client")
	pair, err := tls.X509KeyPair([]byte(c), []byte(k))
	if err != nil {
		t.Fatal(err)
	}
	leaf := pair.Leaf
	var number []string
	for _, b := range leaf.SerialNumber.Bytes() {
		number = append(number, fmt.Sprintf("%02x", b))
	}
	at := func(t time.Time) string { return t.UTC().Format("Jan _2 15:04:05 2006 GMT") }
	serial := strings.Join(number, ":")
	for _, h2 := range []bool{false, true} {
		v := r.visitor(ca.pool(), h2, pair)
		// A mapped body has no newline at its end.
		want := strings.Join([]string{"CN=client", "CN=mine", serial, at(leaf.NotBefore), at(leaf.NotAfter), strings.TrimSuffix(c, "\n")}, "|")
		if _, body := v.get("https://mtls.example.com/x", ""); body != want {
			t.Errorf("h2 %v: the context says %s, want %s", h2, body, want)
		}
		if _, body := v.get("https://mtls.example.com/x", "open.example.com"); strings.Contains(body, "CN=") || body == "" {
			t.Errorf("h2 %v: a domain without mutual TLS is told %s", h2, body)
		}
		_, body := v.get("https://mtls.example.com/event", "")
		var e struct {
			RequestContext struct {
				Identity struct {
					ClientCert map[string]any
				}
			}
		}
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		if got, want := e.RequestContext.Identity.ClientCert, (map[string]any{"clientCertPem": c, "subjectDN": "CN=client", "issuerDN": "CN=mine", "serialNumber": serial,
			"validity": map[string]any{"notBefore": at(leaf.NotBefore), "notAfter": at(leaf.NotAfter)}}); !reflect.DeepEqual(got, want) {
			t.Errorf("h2 %v: the event has %v, want %v", h2, got, want)
		}
		if _, body := v.get("https://mtls.example.com/event", "open.example.com"); strings.Contains(body, "clientCert") || !strings.Contains(body, "identity") {
			t.Errorf("h2 %v: the event of a domain without mutual TLS is %s", h2, body)
		}
	}
	file := filepath.Join(dir, "123456789012", "certs.log")
	until(t, "eight lines in "+file, func() bool {
		b, _ := os.ReadFile(file)
		told := strings.Count(string(b), ";CN=client;"+at(leaf.NotAfter)+";-----BEGIN CERTIFICATE-----\\n")
		return told == 4 && strings.Count(string(b), ";-;-;-\n") == 4
	})
}

// Resuming a session of one name does not open another.
func TestDomainSessions(t *testing.T) {
	r := newRig(t)
	r.deploy("d1", echo(t), "GET /x")
	ca, mine, theirs := newAuthority(t, "server"), newAuthority(t, "mine"), newAuthority(t, "theirs")
	cert, key := ca.issue("one.example.com", "two.example.com")
	one := model.DomainConfig{Num: 1, Tenant: tenantNum, Name: "one.example.com", Certificate: cert, PrivateKey: key, ClientCAs: mine.pem,
		Mappings: []model.Mapping{{APIID: "abc", Stage: "prod"}}}
	two := one
	two.Num, two.Name, two.ClientCAs = 2, "two.example.com", theirs.pem
	r.p.tell(t, model.Changes{Domains: []model.DomainConfig{one, two}})
	c, k := mine.issue("client")
	client, err := tls.X509KeyPair([]byte(c), []byte(k))
	if err != nil {
		t.Fatal(err)
	}
	sessions := oneSession{tls.NewLRUClientSessionCache(1)}
	v := r.visitor(ca.pool(), false, client)
	v.tr.TLSClientConfig.ClientSessionCache = sessions
	if status, body := v.get("https://one.example.com/x", ""); status != 200 {
		t.Fatalf("got %d %s", status, body)
	}
	v.tr.CloseIdleConnections()
	if status, _ := v.get("https://two.example.com/x", ""); status != 0 && status != 403 {
		t.Errorf("a session of another domain's let the client in: %d", status)
	}
}

// oneSession offers the last session to every name.
type oneSession struct{ tls.ClientSessionCache }

func (s oneSession) Get(string) (*tls.ClientSessionState, bool) { return s.ClientSessionCache.Get("") }
func (s oneSession) Put(_ string, session *tls.ClientSessionState) {
	s.ClientSessionCache.Put("", session)
}

// An API can be closed but for its domains; a certificate authority's questions
// are answered beside it and are no calls.
func TestDomainIsTheOnlyWay(t *testing.T) {
	r := newRig(t)
	st := r.content("d1", echo(t), "GET /x")
	r.p.mu.Lock()
	r.p.deployments["d1"].Definition.DisableDefaultEndpoint = true
	r.p.mu.Unlock()
	r.p.tell(t, model.Changes{Tenants: []model.TenantConfig{{Num: tenantNum, AccountID: "123456789012"}}, Stages: []model.StageConfig{st},
		Domains: []model.DomainConfig{{Num: 1, Tenant: tenantNum, Name: "api.example.com", Challenges: map[string]string{"token": "token.key"},
			Mappings: []model.Mapping{{APIID: "abc", Stage: "prod"}}}}})
	if status, _, _ := r.call("GET", "/x", ""); status != 403 {
		t.Errorf("by path: %d", status)
	}
	if status := plainGet(t, r, "abc.execute-api.localhost", "/prod/x"); status != 403 {
		t.Errorf("by its own name: %d", status)
	}
	for range 3 {
		if status := plainGet(t, r, "api.example.com", "/.well-known/acme-challenge/token"); status != 200 {
			t.Errorf("a known question: %d", status)
		}
	}
	if status := plainGet(t, r, "api.example.com", "/.well-known/acme-challenge/other"); status != 403 {
		t.Errorf("an unknown question: %d", status)
	}
	if status := plainGet(t, r, "api.example.com", "/x"); status != 200 {
		t.Errorf("by its domain: %d", status)
	}
	until(t, "the calls to be metered", func() bool { return r.p.metered(200) == 1 && r.p.metered(403) == 3 })
}

func plainGet(t *testing.T, r *rig, host, path string) int {
	t.Helper()
	req, err := http.NewRequest("GET", r.base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	resp, err := r.httpc.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, value string
		want           bool
	}{
		{"a", "a", true}, {"a", "A", false}, {"a*", "ab", true}, {"*a", "ba", true}, {"*a*", "bab", true}, {"*", "", true}, {"a*", "ba", false}, {"*b", "ba", false},
	} {
		if glob(c.pattern, []byte(c.value)) != c.want {
			t.Errorf("%q of %q is not %v", c.pattern, c.value, c.want)
		}
	}
}

// Looking a host up is part of every call on a domain.
func TestDomainLookupAllocatesNothing(t *testing.T) {
	v := &view{domains: map[string]*domain{"api.example.com": {}, "*.example.com": {}}}
	for _, host := range []string{"API.example.com:443", "x.example.com"} {
		h := []byte(host)
		if n := testing.AllocsPerRun(100, func() {
			if v.domain(h) == nil {
				t.Fatal(host)
			}
		}); n != 0 && !raceDetector {
			t.Errorf("%s: %v allocations", host, n)
		}
	}
}
