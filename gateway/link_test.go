package gateway

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/model"
)

// through publishes API abc with these integrations, and a tenant's links.
func (r *rig) through(links []model.LinkConfig, identity *model.Identity, vars map[string]string, integrations map[string]string) {
	r.t.Helper()
	r.integrate(vars, integrations)
	st := model.StageConfig{Num: 70, Tenant: tenantNum, APIID: "abc", Stage: "prod", DeploymentID: "d1", Variables: vars, Links: links, Identity: identity}
	r.p.tell(r.t, model.Changes{Stages: []model.StageConfig{st}})
}

// named is an upstream that answers with its name.
func named(t testing.TB, name string) *httptest.Server {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.Copy(io.Discard, q.Body)
		fmt.Fprint(w, name, " ", q.Host)
	}))
	_ = s.Listener.Close()
	s.Listener = listenApart(t) // one that goes away comes back to its address
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func address(s *httptest.Server) string { return s.Listener.Addr().String() }

// A link's targets share the calls, one that goes away is left out with no call lost but
// those under way, one that is back is used again, and changes are live.
func TestLink(t *testing.T) {
	one, two := named(t, "one"), named(t, "two")
	r := newRig(t)
	const balancer = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/"
	links := []model.LinkConfig{{ID: "l1", ARN: balancer + "a", Targets: []string{address(one), address(two)}}, {ID: "l0"}}
	meant := func(arn string) string {
		return `{"type": "HTTP_PROXY", "httpMethod": "GET", "connectionType": "VPC_LINK", "connectionId": "l1", "integrationTarget": "` + arn + `", "uri": "http://inside.example/"}`
	}
	r.through(links, nil, map[string]string{"link": "l1"}, map[string]string{
		"ANY /a":    `{"type": "HTTP_PROXY", "httpMethod": "ANY", "connectionType": "VPC_LINK", "connectionId": "l1", "uri": "http://inside.example/x"}`,
		"GET /http": `{"type": "HTTP", "httpMethod": "GET", "connectionType": "VPC_LINK", "connectionId": "${stageVariables.link}", "uri": "http://inside.example:8080/", "integrationResponses": {"default": {"statusCode": "200"}}}`,
		"GET /none": `{"type": "HTTP_PROXY", "httpMethod": "GET", "connectionType": "VPC_LINK", "connectionId": "l0", "uri": "http://inside.example/"}`,
		"GET /for":  meant(balancer + "a"), "GET /other": meant(balancer + "b"),
		"GET /nolink": `{"type": "HTTP_PROXY", "httpMethod": "GET", "connectionType": "VPC_LINK", "connectionId": "other", "uri": "http://inside.example/"}`,
	})
	seen := map[string]int{}
	for range 200 {
		status, _, body := r.send("GET", "/a", "")
		if status != 200 {
			t.Fatal(status, body)
		}
		seen[body]++
	}
	if seen["one inside.example"] < 40 || seen["two inside.example"] < 40 {
		t.Errorf("%v", seen)
	}
	if status, _, body := r.send("GET", "/http", ""); status != 200 || !strings.HasSuffix(body, " inside.example:8080") {
		t.Errorf("%d %s", status, body)
	}
	if status, _, body := r.send("GET", "/for", ""); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	for _, path := range []string{"/none", "/nolink", "/other"} {
		if status, _, _ := r.send("GET", path, ""); status != 500 {
			t.Errorf("%s: %d", path, status)
		}
	}
	// Killed under load: POSTs too, none of which is made twice.
	var lost, done atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for ctx.Err() == nil {
				req, _ := http.NewRequest("POST", r.base+"/_aws/execute-api/abc/prod/a", strings.NewReader("body"))
				res, err := r.httpc.Do(req)
				if err != nil {
					lost.Add(1)
					continue
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				if done.Add(1); res.StatusCode != 200 {
					lost.Add(1)
				}
			}
		}()
	}
	until(t, "calls", func() bool { return done.Load() > 200 })
	where := address(two)
	two.CloseClientConnections()
	two.Listener.Close()
	two.CloseClientConnections()
	at := done.Load()
	until(t, "more calls", func() bool { return done.Load() > at+500 })
	stop()
	wg.Wait()
	if n := lost.Load(); n > 16 { // at most those under way, twice over
		t.Errorf("%d of %d calls were lost", n, done.Load())
	}
	down := func() bool {
		for _, x := range r.g.targets() {
			if x.address == where {
				return x.down.Load()
			}
		}
		return false
	}
	until(t, "the check to find the target gone", down)
	until(t, "the control plane to be told", func() bool { s := r.p.target(where); return !s.Up && s.Reason == faults[faultRefused] })
	if s := r.p.target(where); s.Tenant != tenantNum || s.Link != "l1" || time.Since(s.Since) > time.Minute {
		t.Errorf("it was told %+v", s)
	}
	until(t, "the control plane to be told", func() bool { s := r.p.target(address(one)); return s.Up && s.Reason == "" && s.Since.Unix() > 0 })
	for range 50 {
		if status, _, body := r.send("POST", "/a", "x"); status != 200 || !strings.HasPrefix(body, "one") {
			t.Fatal(status, body)
		}
	}
	l, err := net.Listen("tcp", where)
	if err != nil {
		t.Fatal(err)
	}
	back := &http.Server{Handler: two.Config.Handler}
	go func() { _ = back.Serve(l) }()
	defer back.Close()
	until(t, "the target to be used again", func() bool { _, _, body := r.send("GET", "/a", ""); return strings.HasPrefix(body, "two") })
	until(t, "the control plane to be told", func() bool { s := r.p.target(where); return s.Up && s.Reason == faults[faultRefused] })
	for _, x := range r.g.targets() {
		until(t, "calls to end", func() bool { return x.inFlight.Load() == 0 })
	}
	// A change of the link takes effect with no deployment.
	three := named(t, "three")
	r.p.tell(t, model.Changes{Stages: []model.StageConfig{{Num: 70, Tenant: tenantNum, APIID: "abc", Stage: "prod", DeploymentID: "d1", Variables: map[string]string{"link": "l1"}, Links: []model.LinkConfig{{ID: "l1", Targets: []string{address(three)}}}}}})
	for range 20 {
		if _, _, body := r.send("GET", "/a", ""); body != "three inside.example" {
			t.Fatal(body)
		}
	}
}

// What is told is bounded, what did not change is told again in turn, and what was not
// heard is told again. Metrics have room for so many.
func TestLinkReports(t *testing.T) {
	r := newRig(t)
	r.g.checks.end()
	r.g.follower.Stop() // whose reporter keeps its notes at the targets too
	const tenants, each = 4, 600
	r.g.mu.Lock()
	for i := range tenants {
		var cfgs []model.LinkConfig
		for l := range each / 30 {
			cfg := model.LinkConfig{ID: fmt.Sprint("l", i, "-", l)}
			for a := range 30 {
				cfg.Targets = append(cfg.Targets, fmt.Sprintf("10.0.%d.%d:80", l, a))
			}
			cfgs = append(cfgs, cfg)
		}
		r.g.reg.applyLinks(uint32(1000+i), cfgs)
	}
	r.g.mu.Unlock()
	k := linkReporter{g: r.g}
	if out, _, soon := k.report(); len(out) != 0 || !soon {
		t.Fatalf("%d told of what nobody looked at, soon %v", len(out), soon)
	}
	all := r.g.targets()
	for i, x := range all {
		if x.back(); i%2 == 0 {
			for range ejectAfter {
				x.fail(faultName)
			}
		}
	}
	_, _, _ = k.report() // is not heard
	for range len(all) / model.MaxTargetStates {
		out, heard, _ := k.report()
		if len(out) != model.MaxTargetStates {
			t.Fatal(len(out))
		}
		heard()
	}
	for _, x := range all {
		if x.told != x.state() {
			t.Fatalf("%s of %s was not told", x.address, x.link)
		}
	}
	seen := map[string]bool{}
	for range len(all) / inTurn {
		out, heard, soon := k.report()
		for _, s := range out {
			seen[fmt.Sprint(s.Tenant, s.Link, s.Target)] = true
		}
		if heard(); len(out) != inTurn || soon {
			t.Fatal(len(out), soon)
		}
	}
	if len(seen) != len(all) {
		t.Errorf("%d of %d were told again", len(seen), len(all))
	}
	all[0].back()
	if out, _, _ := k.report(); len(out) != 1+inTurn || !out[0].Up || out[0].Reason != faults[faultName] {
		t.Errorf("a change was told as %+v", out)
	}
	m := r.scrape()
	if n, left := len(m["tollgate_gateway_link_target_up"].Metric), valued(m["tollgate_gateway_link_targets_unmeasured"])[""]; n != measuredTargets || left != float64(len(all)-n) {
		t.Errorf("%d have metrics, %v are left out", n, left)
	}
}

// A slow target gets less.
func TestLinkBalancesByLoad(t *testing.T) {
	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		select {
		case <-release:
		case <-q.Context().Done():
		}
		fmt.Fprint(w, "slow")
	}))
	defer slow.Close()
	defer close(release)
	fast := named(t, "fast")
	r := newRig(t)
	r.through([]model.LinkConfig{{ID: "l1", Targets: []string{address(slow), address(fast)}}}, nil, nil, map[string]string{
		"GET /a": `{"type": "HTTP_PROXY", "httpMethod": "GET", "connectionType": "VPC_LINK", "connectionId": "l1", "uri": "http://inside.example/"}`})
	var slowly atomic.Int64
	done := make(chan string, 100)
	for range 20 {
		go func() {
			slowly.Add(1)
			res, err := r.httpc.Get(r.base + "/_aws/execute-api/abc/prod/a")
			slowly.Add(-1)
			if err == nil {
				b, _ := io.ReadAll(res.Body)
				_ = res.Body.Close()
				done <- string(b)
			}
		}()
	}
	load := map[string]*atomic.Int64{}
	for _, x := range r.g.targets() {
		load[x.address] = &x.inFlight
	}
	until(t, "the fast ones", func() bool {
		n := load[address(slow)].Load()
		return n > 0 && n == slowly.Load() && int(n)+len(done) == 20
	})
	if n := len(done); n < 8 {
		t.Errorf("the fast target got %d of 20 calls", n)
	}
	for range 50 {
		until(t, "the fast target to have nothing to do", func() bool { return load[address(fast)].Load() == 0 })
		if _, _, body := r.send("GET", "/a", ""); body != "fast inside.example" {
			t.Fatal(body)
		}
	}
}

// clientPair is a client certificate as the control plane makes them.
func clientPair(t testing.TB, name string) (*model.Identity, *x509.Certificate) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pk, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &model.Identity{Certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), PrivateKey: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pk}))}, cert
}

// A back end that asks for a certificate gets the stage's, which can be exchanged live.
func TestClientCertificate(t *testing.T) {
	first, cert := clientPair(t, "first")
	second, other := clientPair(t, "second")
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	pool.AddCert(other)
	up := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		fmt.Fprint(w, q.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	up.Config.ErrorLog = nil
	up.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	up.StartTLS()
	defer up.Close()
	r := newRig(t)
	integrations := map[string]string{
		"GET /a":    `{"type": "HTTP_PROXY", "httpMethod": "GET", "uri": "` + up.URL + `/", "insecureSkipVerification": true}`,
		"GET /http": `{"type": "HTTP", "httpMethod": "GET", "uri": "` + up.URL + `/", "insecureSkipVerification": true, "integrationResponses": {"default": {"statusCode": "200"}}}`,
		"GET /link": `{"type": "HTTP_PROXY", "httpMethod": "GET", "connectionType": "VPC_LINK", "connectionId": "l1", "uri": "https://inside.example/", "insecureSkipVerification": true}`,
	}
	links := []model.LinkConfig{{ID: "l1", Targets: []string{address(up)}}}
	r.integrate(nil, integrations)
	if status, _, _ := r.send("GET", "/a", ""); status != 504 {
		t.Errorf("without a certificate: %d", status)
	}
	tell := func(i *model.Identity) {
		r.p.tell(t, model.Changes{Stages: []model.StageConfig{{Num: 70, Tenant: tenantNum, APIID: "abc", Stage: "prod", DeploymentID: "d1", Links: links, Identity: i}}})
	}
	for want, i := range map[string]*model.Identity{"first": first, "second": second} {
		tell(i)
		for path := range integrations {
			if status, _, body := r.send("GET", strings.TrimPrefix(path, "GET "), ""); status != 200 || body != want {
				t.Errorf("%s: %d %s, not %s", path, status, body, want)
			}
		}
	}
	tell(nil)
	if status, _, body := r.send("GET", "/a", ""); status != 504 {
		t.Errorf("the certificate was taken away: %d %s", status, body)
	}
}
