package control_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"tollgate/control"
	"tollgate/model"
)

const otherDomain = "theirs.example.com"

// serverCertificate is one that signs itself.
func serverCertificate(t testing.TB, names ...string) *model.ServerCertificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: names[0]},
		DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 1, 0)},
		&x509.Certificate{Subject: pkix.Name{CommonName: names[0]}}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	k, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := model.ParseServerCertificate(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: k})), "")
	if err != nil {
		t.Fatal(err)
	}
	return &c
}

// zone is a DNS server whose TXT records a test sets.
type zone struct {
	mu   sync.Mutex
	txt  map[string][]string
	addr string
}

func newZone(t testing.TB) *zone {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	z := &zone{txt: map[string][]string{}, addr: c.LocalAddr().String()}
	t.Cleanup(func() { c.Close() })
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

func (z *zone) answer(q []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(q) != nil || len(m.Questions) != 1 {
		return nil
	}
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	z.mu.Lock()
	values, ok := z.txt[m.Questions[0].Name.String()]
	z.mu.Unlock()
	if !ok {
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, v := range values {
		m.Answers = append(m.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 1}, Body: &dnsmessage.TXTResource{TXT: []string{v}}})
	}
	b, err := m.Pack()
	if err != nil {
		return nil
	}
	return b
}

func (z *zone) set(p control.Proof, values ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.txt[p.Record+"."] = values
}

func names(list []model.DomainConfig) string {
	var out []string
	for _, d := range list {
		if !d.Deleted {
			out = append(out, d.Name)
		}
	}
	return strings.Join(out, " ")
}

// A name serves when its owner has shown that it is theirs, and for one account at
// a time; it goes over to another when the DNS does.
func TestDomainOwnership(t *testing.T) {
	z := newZone(t)
	w := newWorldWith(t, control.Options{Names: control.Names{DNS: z.addr, Reserved: []string{"tollgate.example.net"},
		Trusted: model.LocalName}})
	one, two := w.tenant(), w.tenant()
	create := func(a control.Actor, name string) control.Domain {
		t.Helper()
		d, err := w.CreateDomain(w.ctx, a, control.NewDomain{Name: name})
		w.must(err)
		return d
	}
	d1, d2 := create(one, "Api.Example.com"), create(two, "api.example.com")
	if d1.Name != "api.example.com" || d1.Proof.Value == d2.Proof.Value || d1.Proof.Record != d2.Proof.Record {
		t.Fatalf("got %+v and %+v", d1, d2)
	}
	if status, why := d1.Status(); status != control.DomainPendingOwnership || !strings.Contains(why, d1.Proof.Value) {
		t.Errorf("a name nobody has proved is %s: %s", status, why)
	}
	node := control.SharedNode("n1")
	if got := names(w.changes(node, hello(0)).Domains); got != "" {
		t.Errorf("nodes serve %q, which nobody has proved", got)
	}
	p, err := w.CheckName(w.ctx, one, "api.example.com")
	w.must(err)
	if p.VerifiedAt != nil || p.Message != "there is no such record" {
		t.Errorf("without a record: %+v", p)
	}
	z.set(d1.Proof, "v=spf1", d2.Proof.Value)
	p, err = w.CheckName(w.ctx, one, "api.example.com")
	w.must(err)
	if p.VerifiedAt != nil || p.Message != "the record has other values only" {
		t.Errorf("with another's record: %+v", p)
	}
	z.set(d1.Proof, d1.Proof.Value, d2.Proof.Value)
	p, err = w.CheckName(w.ctx, one, "api.example.com")
	w.must(err)
	if p.VerifiedAt == nil {
		t.Fatalf("with its record: %+v", p)
	}
	c := w.changes(node, hello(0))
	if got := names(c.Domains); got != "api.example.com" || c.Domains[0].Tenant != one.Tenant {
		t.Errorf("nodes serve %q of tenant %d", got, c.Domains[0].Tenant)
	}
	// The other's record is there as well, but it is the first's until its own is gone.
	p, err = w.CheckName(w.ctx, two, "api.example.com")
	w.must(err)
	if p.VerifiedAt != nil || !strings.Contains(p.Message, "another account serves the name") {
		t.Errorf("a name with two records: %+v", p)
	}
	z.set(d1.Proof, d2.Proof.Value)
	w.must(w.CheckNames(w.ctx)) // looked for a moment ago: not again so soon
	p, err = w.CheckName(w.ctx, two, "api.example.com")
	w.must(err)
	if p.VerifiedAt == nil {
		t.Fatalf("a name that went over: %+v", p)
	}
	if c = w.changes(node, hello(0)); names(c.Domains) != "api.example.com" || c.Domains[0].Tenant != two.Tenant {
		t.Errorf("after it went over nodes have %+v", c.Domains)
	}
	d1, err = w.Domain(w.ctx, one, "api.example.com")
	w.must(err)
	if d1.Proof.VerifiedAt != nil || !strings.Contains(d1.Proof.Message, "another account") {
		t.Errorf("the one who lost it reads %+v", d1.Proof)
	}
	// A deleted domain's claim ends with it.
	w.must(w.DeleteDomain(w.ctx, two, "api.example.com"))
	if got := names(w.changes(node, hello(0)).Domains); got != "" {
		t.Errorf("a deleted domain is served: %s", got)
	}
	if again := create(two, "api.example.com"); again.Proof.VerifiedAt != nil || again.Proof.Value != d2.Proof.Value {
		t.Errorf("made again it is %+v", again.Proof)
	}
	w.must(w.CheckNames(w.ctx))
	if d, err := w.Domain(w.ctx, two, "api.example.com"); err != nil || d.Proof.VerifiedAt == nil {
		t.Errorf("the background look found %+v, %v", d.Proof, err)
	}
	if d := create(one, "shop.localhost"); d.Proof.VerifiedAt == nil {
		t.Error("a name of this machine alone needs no proof")
	}
	_, err = w.CreateDomain(w.ctx, two, control.NewDomain{Name: "shop.localhost"})
	w.refused(err, model.Conflict, "another account")
	for _, name := range []string{"tollgate.example.net", "a.tollgate.example.net", "*.example.net", "abc.execute-api.example.com", "localhost", "10.0.0.1", "a..b", "", "ü.example.com", strings.Repeat("a", 64) + ".com"} {
		if _, err := w.CreateDomain(w.ctx, one, control.NewDomain{Name: name}); model.KindOf(err) != model.Invalid {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// A domain's certificate must fit it, follows its renewal, and cannot go while it
// is used; its key never leaves but to the nodes of its own gateway.
func TestDomainCertificates(t *testing.T) {
	w := newWorldWith(t, control.Options{Names: control.Names{Trusted: func(string) bool { return true }}})
	a := w.tenant()
	d := w.deployed(a, "prod")
	good := serverCertificate(t, "api.example.com", "other.example.com")
	c, err := w.ImportCertificate(w.ctx, a, "", good, map[string]string{"team": "a"})
	w.must(err)
	if c.Name != "api.example.com" || len(c.Others) != 1 || c.Chain != good.Chain {
		t.Errorf("imported as %+v", c)
	}
	_, err = w.CreateDomain(w.ctx, a, control.NewDomain{Name: "no.example.com", DomainEdit: control.DomainEdit{CertificateID: c.ID}})
	w.refused(err, model.Invalid, "not for no.example.com")
	_, err = w.CreateDomain(w.ctx, a, control.NewDomain{Name: "no.example.com", DomainEdit: control.DomainEdit{CertificateID: "missing"}})
	w.refused(err, model.NotFound, "no certificate")
	created, err := w.CreateDomain(w.ctx, a, control.NewDomain{Name: "api.example.com", DomainEdit: control.DomainEdit{CertificateID: c.ID}})
	w.must(err)
	if status, why := created.Status(); status != control.DomainAvailable {
		t.Errorf("it is %s: %s", status, why)
	}
	_, err = w.CreateMapping(w.ctx, a, "api.example.com", model.Mapping{BasePath: "/v1/", APIID: d.Stage.APIID, Stage: "prod"})
	w.must(err)
	_, err = w.CreateMapping(w.ctx, a, "api.example.com", model.Mapping{BasePath: "v1", APIID: d.Stage.APIID, Stage: "prod"})
	w.refused(err, model.Conflict, "Base path already exists")
	_, err = w.CreateMapping(w.ctx, a, "api.example.com", model.Mapping{APIID: d.Stage.APIID, Stage: "none"})
	w.refused(err, model.Invalid, "Invalid stage identifier")
	_, err = w.CreateMapping(w.ctx, a, "api.example.com", model.Mapping{BasePath: "a b", APIID: d.Stage.APIID})
	w.refused(err, model.Invalid, "Base path should not contain")
	got := w.changes(control.SharedNode("n1"), hello(0)).Domains
	if len(got) != 1 || got[0].PrivateKey != good.Key || got[0].Certificate != good.Chain || len(got[0].Mappings) != 1 || got[0].Mappings[0].BasePath != "v1" {
		t.Fatalf("nodes have %+v", got)
	}
	rev := w.changes(control.SharedNode("n1"), hello(0)).Revision
	renewed := serverCertificate(t, "api.example.com")
	_, err = w.ImportCertificate(w.ctx, a, c.ID, serverCertificate(t, "else.example.com"), nil)
	w.refused(err, model.Invalid, "not for api.example.com")
	_, err = w.ImportCertificate(w.ctx, a, c.ID, renewed, nil)
	w.must(err)
	if ch := w.changes(control.SharedNode("n1"), hello(rev)); len(ch.Domains) != 1 || ch.Domains[0].Certificate != renewed.Chain {
		t.Errorf("after the renewal nodes are told %+v", ch.Domains)
	}
	w.refused(w.DeleteCertificate(w.ctx, a, c.ID), model.Conflict, "in use")
	w.refused(w.DeleteStage(w.ctx, a, d.Stage.APIID, "prod"), model.Invalid, "Please remove all base path mappings related to the stage")
	w.refused(w.DeleteAPI(w.ctx, a, d.Stage.APIID, true), model.Invalid, "Please remove all base path mappings related to the API")
	// A certificate that comes with the domain replaces it and goes with it.
	up, err := w.UpdateDomain(w.ctx, a, "api.example.com", func(e *control.DomainEdit) error {
		e.Upload = serverCertificate(t, "*.example.com")
		return nil
	})
	w.must(err)
	w.must(w.DeleteCertificate(w.ctx, a, c.ID))
	if l, err := w.Certificates(w.ctx, a, control.Page{}); err != nil || len(l.Items) != 0 {
		t.Errorf("left are %+v, %v", l.Items, err)
	}
	if _, err := w.Certificate(w.ctx, a, up.CertificateID); model.KindOf(err) != model.NotFound {
		t.Errorf("a domain's own certificate is shown: %v", err)
	}
	moved, err := w.UpdateMapping(w.ctx, a, "api.example.com", "v1", func(m *model.Mapping) error { m.BasePath = ""; return nil })
	w.must(err)
	if _, err := w.Mapping(w.ctx, a, "api.example.com", "v1"); moved.BasePath != "" || model.KindOf(err) != model.NotFound {
		t.Errorf("moved to %+v, was %v", moved, err)
	}
	w.must(w.DeleteDomain(w.ctx, a, "api.example.com"))
	w.must(w.DeleteStage(w.ctx, a, d.Stage.APIID, "prod"))
	var n int
	w.all(`select count(*) from certificate`, &n)
	if n != 0 {
		t.Errorf("%d certificates are left", n)
	}
}

// Rules have priorities of their own and lead to stages there are.
func TestRoutingRules(t *testing.T) {
	w := newWorldWith(t, control.Options{Names: control.Names{Trusted: func(string) bool { return true }}})
	a := w.tenant()
	d := w.deployed(a, "prod")
	_, err := w.CreateDomain(w.ctx, a, control.NewDomain{Name: "api.example.com", DomainEdit: control.DomainEdit{Settings: model.DomainSettings{RoutingMode: model.RouteByRule}}})
	w.must(err)
	to := model.InvokeAPI{APIID: d.Stage.APIID, Stage: "prod"}
	r, err := w.CreateRoutingRule(w.ctx, a, "api.example.com", model.RoutingRule{Priority: 10, Invoke: to})
	w.must(err)
	for _, c := range []struct {
		rule model.RoutingRule
		kind model.Kind
		text string
	}{
		{model.RoutingRule{Priority: 10, Invoke: to}, model.Conflict, "priority 10"},
		{model.RoutingRule{Priority: 0, Invoke: to}, model.Invalid, "priority"},
		{model.RoutingRule{Priority: 1, Invoke: model.InvokeAPI{APIID: d.Stage.APIID, Stage: "none"}}, model.Invalid, "Invalid stage"},
		{model.RoutingRule{Priority: 1, Invoke: model.InvokeAPI{APIID: "none", Stage: "prod"}}, model.Invalid, "Invalid REST API"},
		{model.RoutingRule{Priority: 1, Invoke: model.InvokeAPI{APIID: d.Stage.APIID, Stage: "prod", StripBasePath: true}}, model.Invalid, "strip"},
		{model.RoutingRule{Priority: 1, Invoke: to, Headers: [][]model.HeaderIs{{{Header: "a b", Glob: "x"}}}}, model.Invalid, "not a header"},
		{model.RoutingRule{Priority: 1, Invoke: to, Headers: [][]model.HeaderIs{{{Header: "a", Glob: "x*y"}}}}, model.Invalid, "at its ends only"},
		{model.RoutingRule{Priority: 1, Invoke: to, BasePaths: []string{"/a/"}}, model.Invalid, "base path"},
	} {
		_, err := w.CreateRoutingRule(w.ctx, a, "api.example.com", c.rule)
		w.refused(err, c.kind, c.text)
	}
	r.Priority, r.BasePaths, r.Invoke.StripBasePath = 30, []string{"v1/orders"}, true
	w.must(w.PutRoutingRule(w.ctx, a, "api.example.com", r))
	_, err = w.CreateRoutingRule(w.ctx, a, "api.example.com", model.RoutingRule{Priority: 20, Invoke: to})
	w.must(err)
	got := w.changes(control.SharedNode("n1"), hello(0)).Domains
	if len(got) != 1 || len(got[0].Rules) != 2 || got[0].Rules[1].Priority != 30 || got[0].Rules[1].BasePaths[0] != "v1/orders" {
		t.Errorf("nodes have %+v", got)
	}
	w.must(w.DeleteRoutingRule(w.ctx, a, "api.example.com", r.ID))
	w.refused(w.DeleteRoutingRule(w.ctx, a, "api.example.com", r.ID), model.NotFound, "no routing rule")
	_, err = w.UpdateDomain(w.ctx, a, "api.example.com", func(e *control.DomainEdit) error {
		e.Settings.SecurityPolicy = "SecurityPolicy_TLS13_1_3_FIPS_2025_09"
		return nil
	})
	w.refused(err, model.Invalid, "FIPS")
}
