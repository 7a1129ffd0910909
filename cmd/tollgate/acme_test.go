package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"tollgate/bench/rig"
	"tollgate/control"
)

const pebbleModule = "github.com/letsencrypt/pebble/v2/cmd/pebble@v2.10.1"

// zone is a DNS server: every name is this machine, and TXT records are a test's.
type zone struct {
	mu   sync.Mutex
	txt  map[string]string
	addr string
}

func newZone(t *testing.T) *zone {
	t.Helper()
	var c net.PacketConn
	var l net.Listener
	var err error
	for range 20 { // what is free for UDP need not be for TCP
		c, err = net.ListenPacket("udp", "127.0.0.1:0")
		must(t, err)
		if l, err = net.Listen("tcp", c.LocalAddr().String()); err == nil {
			break
		}
		_ = c.Close()
	}
	must(t, err)
	z := &zone{txt: map[string]string{}, addr: c.LocalAddr().String()}
	t.Cleanup(func() { c.Close(); l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go z.talk(conn)
		}
	}()
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			if b := z.answer(buf[:n]); b != nil {
				_, _ = c.WriteTo(b, from)
			}
		}
	}()
	return z
}

// talk answers questions that come by TCP, each behind its length.
func (z *zone) talk(conn net.Conn) {
	defer conn.Close()
	for {
		var n uint16
		if binary.Read(conn, binary.BigEndian, &n) != nil {
			return
		}
		q := make([]byte, n)
		if _, err := io.ReadFull(conn, q); err != nil {
			return
		}
		b := z.answer(q)
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)); err != nil {
			return
		}
	}
}

func (z *zone) answer(q []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(q) != nil || len(m.Questions) != 1 {
		return nil
	}
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	head := dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 1}
	z.mu.Lock()
	txt := z.txt[head.Name.String()]
	z.mu.Unlock()
	switch {
	case m.Questions[0].Type == dnsmessage.TypeA:
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}})
	case m.Questions[0].Type == dnsmessage.TypeTXT && txt != "":
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.TXTResource{TXT: []string{txt}}})
	}
	b, err := m.Pack()
	if err != nil {
		return nil
	}
	return b
}

// pebble is Let's Encrypt's own certificate authority for tests, built once and
// kept in the user's cache.
func pebble(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	must(t, err)
	dir := filepath.Join(cache, "tollgate-tests", strings.ReplaceAll(pebbleModule[strings.LastIndex(pebbleModule, "@")+1:], ".", "_"))
	bin := filepath.Join(dir, "pebble")
	if _, err := os.Stat(bin); err == nil {
		return bin
	}
	must(t, os.MkdirAll(dir, 0o755))
	cmd := exec.Command("go", "install", pebbleModule)
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: certificates by ACME, because the ACME server could not be installed: %v\n%s", err, out)
	}
	return bin
}

// An account adds a name, proves it by a DNS record, and calls come in over TLS with
// a certificate that a real ACME server issued, having asked the gateway.
func TestACME(t *testing.T) {
	t.Parallel()
	bin := pebble(t)
	dir := newDir(t)
	z := newZone(t)
	// The authority's own server certificate.
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pebble"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}, &x509.Certificate{Subject: pkix.Name{CommonName: "pebble"}}, key.Public(), key)
	must(t, err)
	pk, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	scratch := t.TempDir()
	rootFile, keyFile := filepath.Join(scratch, "ca.pem"), filepath.Join(scratch, "ca.key")
	must(t, os.WriteFile(rootFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pk}), 0o600))
	acmeAddr, err := rig.FreeAddr()
	must(t, err)
	manage, err := rig.FreeAddr()
	must(t, err)
	_, acmePort, _ := net.SplitHostPort(acmeAddr)
	env := environ(dir, "TOLLGATE_DNS="+z.addr, "TOLLGATE_ACME_EMAIL=ops@example.com", "TOLLGATE_ACME_DIRECTORY=https://localhost:"+acmePort+"/dir", "TOLLGATE_ACME_ROOTS="+rootFile)
	p := start(t, env, "up")
	gatewayURL, err := url.Parse(p.gateway)
	must(t, err)

	var port int
	_, err = fmt.Sscan(gatewayURL.Port(), &port)
	must(t, err)
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{"listenAddress": acmeAddr, "managementListenAddress": manage,
		"certificate": rootFile, "privateKey": keyFile, "httpPort": port, "tlsPort": 1}})
	must(t, err)
	configFile := filepath.Join(scratch, "pebble.json")
	must(t, os.WriteFile(configFile, config, 0o600))
	ca := exec.Command(bin, "-config", configFile, "-dnsserver", z.addr)
	ca.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=20")
	var said strings.Builder
	ca.Stdout, ca.Stderr = &said, &said
	must(t, ca.Start())
	t.Cleanup(func() {
		_ = ca.Process.Kill()
		_ = ca.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	})

	cliJSON[control.TenantCredentials](t, env, "tenant", "create", "--email", "ada@example.com", "--name", "Ada")
	doc := filepath.Join(scratch, "api.yaml")
	must(t, os.WriteFile(doc, []byte(mockDocument), 0o600))
	if r := cli(t, env, "api", "import", doc); r.code != 0 {
		t.Fatal(r.stderr)
	}
	if r := cli(t, env, "api", "deploy", "Mocked", "--stage", "prod"); r.code != 0 {
		t.Fatal(r.stderr)
	}
	const name = "api.example.test"
	d := cliJSON[shownDomain](t, env, "domain", "create", name)
	if d.Status != control.DomainPendingOwnership || d.Proof.Record != "_tollgate."+name {
		t.Fatalf("created as %+v", d)
	}
	cliJSON[shownDomain](t, env, "domain", "map", name, "Mocked", "prod")
	z.mu.Lock()
	z.txt[d.Proof.Record+"."] = d.Proof.Value
	z.mu.Unlock()
	if d = cliJSON[shownDomain](t, env, "domain", "check", name); d.Proof.VerifiedAt == nil {
		t.Fatalf("with its record it is %s: %s", d.Status, d.Message)
	}
	until(t, "the certificate", func() bool {
		d = cliJSON[shownDomain](t, env, "domain", "show", name)
		return d.Certificate != nil && d.Certificate.NotAfter != nil
	})
	if d.Status != control.DomainAvailable || d.Certificate.Kind != control.CertificateACME || d.Certificate.IssuedAt == nil {
		t.Errorf("with its certificate it is %+v", d)
	}
	roots := x509.NewCertPool()
	if _, body := getWith(t, insecure(), "https://"+manage+"/roots/0"); !roots.AppendCertsFromPEM([]byte(body)) {
		t.Fatal("the authority tells no root")
	}
	var r running
	b, err := os.ReadFile(filepath.Join(dir, "up.json"))
	must(t, err)
	must(t, json.Unmarshal(b, &r))
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, r.GatewayTLSAddr)
	}}
	defer tr.CloseIdleConnections()
	until(t, "the nodes to show it", func() bool {
		resp, err := (&http.Client{Transport: tr, Timeout: 5 * time.Second}).Get("https://" + name + "/hello")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return err == nil && resp.StatusCode == 200 && string(body) == "hello"
	})
	if code, _ := getHost(t, p.gateway+"/.well-known/acme-challenge/x", name); code != 403 {
		t.Errorf("after it all a question is answered %d", code)
	}
	if r := cli(t, env, "domain", "delete", name); r.code != 0 {
		t.Error(r.stderr)
	}
}

func insecure() *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
}

func getWith(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	resp, err := c.Get(url)
	must(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, string(b)
}

func getHost(t *testing.T, url, host string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	must(t, err)
	req.Host = host
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, string(b)
}

const mockDocument = `openapi: 3.0.1
info: {title: Mocked, version: "1"}
paths:
  /hello:
    get:
      responses: {"200": {description: ok}}
      x-amazon-apigateway-integration:
        type: mock
        requestTemplates: {application/json: '{"statusCode": 200}'}
        responses:
          default:
            statusCode: "200"
            responseTemplates: {text/plain: hello}
`
