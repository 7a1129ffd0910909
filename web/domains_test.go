package web_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"tollgate/control"
	"tollgate/model"
	chromium "tollgate/ui/browser"
)

// A domain from its name to what answers on it.
func TestDomainPages(t *testing.T) {
	t.Parallel()
	s := newSite(t, withGateway)
	owner := s.tenant()
	stage := s.deployed(owner, "prod")
	b := s.as(owner)
	b.get("/domains").want(200, "No domains yet").link("Add a domain").
		press("Add", "name", "nonsense name").want(422, "nonsense name")
	p := b.get("/domains/new").press("Add", "name", "Api.Example.com").want(200, "Waits for its DNS record", "TXT", "Look now", "CNAME", "Nothing yet")
	d, err := s.Domain(s.Context(), owner, "api.example.com")
	s.must(err)
	p.want(200, d.Proof.Record, d.Proof.Value, "d-"+d.ID+".execute-api.localhost")
	b.get("/domains/new").press("Add", "name", "api.example.com").want(409, "already")
	p.press("Look now").want(200, "Not yet", "Waits for its DNS record")

	b.get("/domains/new").press("Add", "name", "ours.example.com").want(200, "Serves", "Proved on")
	at := "/domains/ours.example.com"
	p = b.get(at)
	p.press("Map", "path", "a b", "stage", stage.APIID+"/prod").want(422, "should not contain")
	p.press("Map", "path", "v1", "stage", stage.APIID+"/prod").want(200, "/v1", stage.API+" · prod")
	b.get(at).press("Map", "path", "v1", "stage", stage.APIID+"/prod").want(409, "already exists")
	b.post(at+"/unmap", formOf("path", "v1")).want(200, "Nothing yet")
	p.press("Use it", "certificate", "x", "key", "y").want(422, "PEM")
	certificate, key := certificateFor(t, "ours.example.com")
	if got := p.press("Use it", "certificate", certificate, "key", key).want(200, "in use", "until"); strings.Contains(got.body, "PRIVATE KEY-----\n") {
		t.Error("the page shows the private key")
	}
	other, otherKey := certificateFor(t, "other.example.com")
	p.press("Use it", "certificate", other, "key", otherKey).want(422)
	b.get("/domains").want(200, "api.example.com", "ours.example.com", "Serves")
	b.get(at+"/delete").want(200, "stops answering").press("Delete domain", "confirm", "x").want(422, "not its name")
	b.get(at+"/delete").press("Delete domain", "confirm", "ours.example.com").want(200, "is deleted")
	b.get(at).want(404)

	viewer := s.as(s.member(owner, control.RoleViewer))
	viewer.get("/domains/api.example.com").want(200).without("Look now").without("Upload a certificate")
	viewer.post("/domains/api.example.com/check", nil).want(403)
	if _, err := s.CreateMapping(s.Context(), owner, "api.example.com", model.Mapping{APIID: stage.APIID}); err != nil {
		t.Fatal(err)
	}
	viewer.get("/domains/api.example.com").want(200, "the stage that the next segment names")
}

// A private name is listed for what it is, and its page offers nothing that needs it
// to be served.
func TestPrivateDomainPages(t *testing.T) {
	t.Parallel()
	s := newSite(t, withGateway)
	owner := s.tenant()
	stage := s.deployed(owner, "prod")
	d := s.private(owner, stage)
	b := s.as(owner)
	b.get("/domains").want(200, "in.example.com", "Kept, not served", d.ID).without("DNS record</").link("in.example.com").
		want(200, "Kept, not served", "Kept, and not served yet", d.ID, "vpce-1", "/v1", stage.API+" · prod", "2012-10-17", "delete-domain-name-access-association").
		without("Look now").without("CNAME").without("Upload a certificate").without("Map</button>").without("Delete domain").without("It is yours")
	s.must(s.Dissociate(s.Context(), owner, d.Key(), "vpce-1"))
	at := "/domains/" + d.Key()
	b.post(at+"/unmap", formOf("path", "v1")).want(200, "Nothing yet")
	p := b.get(at).want(200, "so nothing stops").link("Delete domain").want(200, "is forgotten", "delete-domain-name", "domainNameId")
	p.press("Delete domain", "confirm", d.Name).want(422, "not its name")
	p.press("Delete domain", "confirm", d.Key()).want(200, "is deleted")
	b.get(at).want(404)
}

// private is a private domain with a path, a policy and an association.
func (s *site) private(owner control.Actor, stage control.StageName) control.Domain {
	s.Helper()
	certificate, key := certificateFor(s, "in.example.com")
	up, err := model.ParseServerCertificate(certificate, key, "")
	s.must(err)
	d, err := s.CreateDomain(s.Context(), owner, control.NewDomain{Name: "in.example.com", DomainEdit: control.DomainEdit{Upload: &up,
		Settings: model.DomainSettings{EndpointType: model.EndpointPrivate, Policy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"execute-api:Invoke","Resource":"execute-api:/*"}]}`}}})
	s.must(err)
	_, err = s.CreateMapping(s.Context(), owner, d.Key(), model.Mapping{BasePath: "v1", APIID: stage.APIID, Stage: "prod"})
	s.must(err)
	_, err = s.Associate(s.Context(), owner, d.Key(), "vpce-1", nil)
	s.must(err)
	return d
}

// The pages of domains look right to everybody, on a desk and on a phone.
func TestDomainPagesInBrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t, withGateway)
	owner := s.tenant()
	stage := s.deployed(owner, "prod")
	p := chromium.Start(t).Visitor(t)
	s.as(owner).in(p)
	p.Goto(s.url + "/domains")
	p.Sound("domains-none")
	for _, name := range []string{"api.a-rather-long-name-of-a-company.example.com", "ours.example.com"} {
		_, err := s.CreateDomain(s.Context(), owner, control.NewDomain{Name: name})
		s.must(err)
	}
	for _, path := range []string{"", "v1/orders"} {
		_, err := s.CreateMapping(s.Context(), owner, "ours.example.com", model.Mapping{BasePath: path, APIID: stage.APIID, Stage: "prod"})
		s.must(err)
	}
	private := s.private(owner, stage)
	for name, path := range map[string]string{"domain-private": "/domains/" + private.Key(), "domains": "/domains", "domain-new": "/domains/new", "domain-waits": "/domains/api.a-rather-long-name-of-a-company.example.com",
		"domain": "/domains/ours.example.com", "domain-delete": "/domains/ours.example.com/delete"} {
		p.Goto(s.url + path)
		if p.Status() != 200 {
			t.Fatalf("%s: status %d", path, p.Status())
		}
		p.Sound(name)
	}
}

// certificateFor is one that signs itself, and its key, in PEM.
func certificateFor(t testing.TB, name string) (certificate, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 1, 0)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	pk, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pk}))
}
