package control_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"tollgate/control"
	"tollgate/model"
)

// private is a private domain with one of the account's certificates.
func private(name, certificate string) control.NewDomain {
	return control.NewDomain{Name: name, DomainEdit: control.DomainEdit{CertificateID: certificate, Settings: model.DomainSettings{EndpointType: model.EndpointPrivate}}}
}

// Private names are kept with what leads from them, many of one name, and no node ever
// hears of one; nor do they stand in the way of who owns a name in public.
func TestPrivateDomainsAreNotServed(t *testing.T) {
	z := newZone(t)
	w := newWorldWith(t, control.Options{Names: control.Names{DNS: z.addr}})
	one, two := w.tenant(), w.tenant()
	d := w.deployed(one, "prod")
	cert := func(a control.Actor) string {
		t.Helper()
		c, err := w.ImportCertificate(w.ctx, a, "", serverCertificate(t, "*.example.com"), nil)
		w.must(err)
		return c.ID
	}
	c1, c2 := cert(one), cert(two)
	create := func(a control.Actor, in control.NewDomain) control.Domain {
		t.Helper()
		d, err := w.CreateDomain(w.ctx, a, in)
		w.must(err)
		return d
	}
	node := control.SharedNode("n1")
	rev := w.changes(node, hello(0)).Revision
	p1, p2, p3 := create(one, private("Api.example.com", c1)), create(one, private("api.example.com", c1)), create(two, private("api.example.com", c2))
	if p1.Key() == p2.Key() || !strings.HasPrefix(p1.Key(), "api.example.com+") || p1.Proof.Record != "" || p1.Settings.IPAddressType != "dualstack" || p1.Settings.SecurityPolicy != "TLS_1_2" {
		t.Errorf("made %+v and %+v", p1, p2)
	}
	if status, why := p1.Status(); status != control.DomainAvailable || why != control.Unserved {
		t.Errorf("it is %s: %s", status, why)
	}
	// All that can be done with one, after which nodes have heard nothing.
	_, err := w.CreateMapping(w.ctx, one, p1.Key(), model.Mapping{BasePath: "v1", APIID: d.Stage.APIID, Stage: "prod"})
	w.must(err)
	_, err = w.UpdateMapping(w.ctx, one, p1.Key(), "v1", func(m *model.Mapping) error { m.BasePath = ""; return nil })
	w.must(err)
	r, err := w.CreateRoutingRule(w.ctx, one, p1.Key(), model.RoutingRule{Priority: 1, Invoke: model.InvokeAPI{APIID: d.Stage.APIID, Stage: "prod"}})
	w.must(err)
	_, err = w.UpdateDomain(w.ctx, one, p1.Key(), func(e *control.DomainEdit) error {
		e.Settings.Policy, e.Settings.ManagementPolicy = `{"Version":"2012-10-17"}`, `{}`
		return nil
	})
	w.must(err)
	_, err = w.ImportCertificate(w.ctx, one, c1, serverCertificate(t, "*.example.com"), nil)
	w.must(err)
	w.must(w.DeleteDomain(w.ctx, one, p2.Key()))
	w.must(w.CheckNames(w.ctx))
	if c := w.changes(node, hello(rev)); c.Revision != rev || len(c.Domains) != 0 {
		t.Errorf("nodes are told of %+v", c.Domains)
	}
	if got := w.changes(node, hello(0)).Domains; len(got) != 0 {
		t.Errorf("a new node is told of %+v", got)
	}
	var owned int
	w.all(`select count(*) from owned_name`, &owned)
	if owned != 0 {
		t.Errorf("%d names are claimed by private domains", owned)
	}
	w.refused(second(w.CheckName(w.ctx, one, "api.example.com")), model.NotFound, "no claim")
	// The name in public is its own thing: another account proves it and serves it, and a
	// private namesake of the same account changes nothing in what nodes have.
	pub := create(two, control.NewDomain{Name: "api.example.com"})
	z.set(pub.Proof, pub.Proof.Value)
	if p, err := w.CheckName(w.ctx, two, "api.example.com"); err != nil || p.VerifiedAt == nil {
		t.Fatalf("another's private name stands in the way: %+v, %v", p, err)
	}
	if got := w.changes(node, hello(0)).Domains; len(got) != 1 || got[0].Tenant != two.Tenant || got[0].Num != pub.Num || len(got[0].Mappings) != 0 || got[0].PrivateKey != "" {
		t.Errorf("nodes have %+v", got)
	}
	if got, err := w.Domain(w.ctx, two, "api.example.com"); err != nil || got.ID != pub.ID {
		t.Errorf("without an id it is %+v, %v", got, err)
	}
	if got, err := w.Domain(w.ctx, two, "api.example.com+"+pub.ID); err != nil || got.ID != pub.ID {
		t.Errorf("with its own id it is %+v, %v", got, err)
	}
	w.refused(second(w.Domain(w.ctx, one, "api.example.com")), model.NotFound, "no domain")
	w.refused(second(w.Domain(w.ctx, one, p3.Key())), model.NotFound, "no domain")
	w.must(w.DeleteDomain(w.ctx, two, p3.Key()))
	if got := names(w.changes(node, hello(0)).Domains); got != "api.example.com" {
		t.Errorf("after its private namesake went, nodes serve %q", got)
	}
	// A public name that was given up is not looked for because of a private one.
	late := create(one, control.NewDomain{Name: "late.example.com"})
	create(one, private("late.example.com", c1))
	w.must(w.DeleteDomain(w.ctx, one, "late.example.com"))
	z.set(late.Proof, late.Proof.Value)
	if _, err := w.pool.Exec(w.ctx, `update owned_name set checked_at = null where name = 'late.example.com'`); err != nil {
		t.Fatal(err)
	}
	w.must(w.CheckNames(w.ctx))
	var proved int
	w.all(`select count(*) from owned_name where name = 'late.example.com' and verified_at is not null`, &proved)
	if proved != 0 {
		t.Error("a name is proved for a private domain")
	}
	if again := create(one, control.NewDomain{Name: "late.example.com"}); again.Proof.VerifiedAt != nil {
		t.Error("a public name is taken for proved because of its private namesake")
	}
	// An API stays while a private name leads to it.
	w.refused(w.DeleteAPI(w.ctx, one, d.Stage.APIID, true), model.Invalid, p1.Key())
	w.must(w.DeleteRoutingRule(w.ctx, one, p1.Key(), r.ID))
	w.must(w.DeleteMapping(w.ctx, one, p1.Key(), ""))
	w.must(w.DeleteDomain(w.ctx, one, p1.Key()))
	w.must(w.DeleteAPI(w.ctx, one, d.Stage.APIID, true))
}

// Private names are held to what Amazon API Gateway lets them be.
func TestPrivateDomainRules(t *testing.T) {
	w := newWorldWith(t, control.Options{Names: control.Names{Trusted: func(string) bool { return true }, ACME: true}})
	a := w.tenant()
	c, err := w.ImportCertificate(w.ctx, a, "", serverCertificate(t, "*.example.com"), nil)
	w.must(err)
	asked, err := w.RequestCertificate(w.ctx, a, "asked.example.com", nil)
	w.must(err)
	for _, bad := range []struct {
		text string
		edit func(*control.NewDomain)
	}{
		{"has a certificate", func(n *control.NewDomain) { n.CertificateID = "" }},
		{"not issued yet", func(n *control.NewDomain) { n.Name, n.CertificateID = "asked.example.com", asked.ID }},
		{"not for x.example.net", func(n *control.NewDomain) { n.Name = "x.example.net" }},
		{"wildcard names", func(n *control.NewDomain) { n.Name = "*.example.com" }},
		{"dualstack", func(n *control.NewDomain) { n.Settings.IPAddressType = "ipv4" }},
		{"TLS_1_2", func(n *control.NewDomain) { n.Settings.SecurityPolicy = "TLS_1_0" }},
		{"access mode", func(n *control.NewDomain) { n.Settings.EndpointAccessMode = "BASIC" }},
		{"mutual TLS", func(n *control.NewDomain) { n.Settings.MutualTLS = &model.MutualTLS{} }},
		{"routing mode", func(n *control.NewDomain) { n.Settings.RoutingMode = "x" }},
		{"Invalid policy document", func(n *control.NewDomain) { n.Settings.Policy = "{" }},
		{"Invalid policy document", func(n *control.NewDomain) { n.Settings.Policy = "null" }},
		{"Invalid policy document", func(n *control.NewDomain) { n.Settings.ManagementPolicy = "[]" }},
		{"at most 8192", func(n *control.NewDomain) {
			n.Settings.Policy = `{"a":"` + strings.Repeat("x", model.MaxDomainPolicyBytes) + `"}`
		}},
		{"only supported for private", func(n *control.NewDomain) {
			n.Settings.EndpointType, n.Settings.ManagementPolicy = "REGIONAL", "{}"
		}},
	} {
		n := private("x.example.com", c.ID)
		bad.edit(&n)
		_, err := w.CreateDomain(w.ctx, a, n)
		w.refused(err, model.Invalid, bad.text)
	}
	d, err := w.CreateDomain(w.ctx, a, private("x.example.com", c.ID))
	w.must(err)
	_, err = w.CreateDomain(w.ctx, a, control.NewDomain{Name: "x.example.com"})
	w.must(err)
	for key, to := range map[string]string{d.Key(): "REGIONAL", "x.example.com": model.EndpointPrivate} {
		_, err := w.UpdateDomain(w.ctx, a, key, func(e *control.DomainEdit) error { e.Settings.EndpointType = to; return nil })
		w.refused(err, model.Invalid, "cannot be made private")
	}
	_, err = w.CreateMapping(w.ctx, a, d.Key(), model.Mapping{BasePath: "a/b", APIID: w.deployed(a, "prod").Stage.APIID})
	w.refused(err, model.Invalid, "one segment")
	// Many of one name, up to the limit, which public names do not count for.
	for range control.MaxPrivateDomains - 1 {
		_, err := w.CreateDomain(w.ctx, a, private("x.example.com", c.ID))
		w.must(err)
	}
	_, err = w.CreateDomain(w.ctx, a, private("x.example.com", c.ID))
	w.refused(err, model.Limit, "50")
	_, err = w.CreateDomain(w.ctx, a, control.NewDomain{Name: "y.example.com"})
	w.must(err)
	seen := map[string]bool{}
	for pg := (control.Page{Limit: 7}); ; {
		l, err := w.Domains(w.ctx, a, pg)
		w.must(err)
		for _, d := range l.Items {
			if seen[d.Key()] {
				t.Errorf("%s is listed twice", d.Key())
			}
			seen[d.Key()] = true
		}
		if pg.After = l.Next; l.Next == "" {
			break
		}
	}
	if len(seen) != control.MaxPrivateDomains+2 || !seen["x.example.com"] || !seen["y.example.com"] {
		t.Errorf("%d domains are listed", len(seen))
	}
}

// VPC endpoints are associated with private names, and with one of those that share one.
func TestAccessAssociations(t *testing.T) {
	w := newWorldWith(t, control.Options{Names: control.Names{Trusted: func(string) bool { return true }}})
	a := w.tenant()
	c, err := w.ImportCertificate(w.ctx, a, "", serverCertificate(t, "*.example.com"), nil)
	w.must(err)
	var keys []string
	for _, name := range []string{"one.example.com", "one.example.com", "two.example.com"} {
		d, err := w.CreateDomain(w.ctx, a, private(name, c.ID))
		w.must(err)
		keys = append(keys, d.Key())
	}
	_, err = w.CreateDomain(w.ctx, a, control.NewDomain{Name: "public.example.com"})
	w.must(err)
	made, err := w.Associate(w.ctx, a, keys[0], "vpce-1", map[string]string{"team": "a"})
	w.must(err)
	if made.Domain != keys[0] || made.Source != "vpce-1" || made.Tags["team"] != "a" || made.Path() != "/domainnameaccessassociations/domainname/"+keys[0]+"/vpcesource/vpce-1" {
		t.Errorf("made %+v", made)
	}
	_, err = w.Associate(w.ctx, a, keys[0], "vpce-1", nil)
	w.refused(err, model.Conflict, "already exists")
	_, err = w.Associate(w.ctx, a, keys[1], "vpce-1", nil)
	w.refused(err, model.Conflict, keys[0])
	_, err = w.Associate(w.ctx, a, "public.example.com", "vpce-1", nil)
	w.refused(err, model.Invalid, "public domain name")
	_, err = w.Associate(w.ctx, a, "none.example.com+abc", "vpce-1", nil)
	w.refused(err, model.NotFound, "no domain")
	for _, source := range []string{"", "vpc-1", "vpce-", "vpce-A", "vpce-" + strings.Repeat("a", 65)} {
		_, err = w.Associate(w.ctx, a, keys[0], source, nil)
		w.refused(err, model.Invalid, "VPC endpoint")
	}
	w.must(w.SetTags(w.ctx, a, made.Path(), map[string]string{"x": "y"}, []string{"team"}))
	w.refused(w.SetTags(w.ctx, a, made.Path()+"2", map[string]string{"x": "y"}, nil), model.NotFound, "nothing to tag")
	if tags, err := w.Tags(w.ctx, a, made.Path()); err != nil || len(tags) != 1 || tags["x"] != "y" {
		t.Errorf("its tags are %v, %v", tags, err)
	}
	w.refused(w.RejectAssociation(w.ctx, a, keys[0], "vpce-1"), model.Invalid, "can't reject")
	w.refused(w.RejectAssociation(w.ctx, a, keys[1], "vpce-1"), model.NotFound, "no association")
	w.refused(w.DeleteDomain(w.ctx, a, keys[0]), model.Invalid, "vpce-1")
	var want []string
	for i := range control.MaxAccessAssociations - 1 {
		source := fmt.Sprintf("vpce-%03d", i)
		_, err := w.Associate(w.ctx, a, keys[1+i%2], source, nil)
		w.must(err)
		want = append(want, keys[1+i%2]+" "+source)
	}
	want = append(want, keys[0]+" vpce-1")
	_, err = w.Associate(w.ctx, a, keys[0], "vpce-x", nil)
	w.refused(err, model.Limit, "100")
	var got []string
	for pg := (control.Page{Limit: 9}); ; {
		l, err := w.AccessAssociations(w.ctx, a, pg)
		w.must(err)
		for _, x := range l.Items {
			got = append(got, x.Domain+" "+x.Source)
		}
		if pg.After = l.Next; l.Next == "" {
			break
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("listed are %q, want %q", got, want)
	}
	w.must(w.Dissociate(w.ctx, a, keys[0], "vpce-1"))
	w.refused(w.Dissociate(w.ctx, a, keys[0], "vpce-1"), model.NotFound, "no association")
	w.refused(second(w.Tags(w.ctx, a, made.Path())), model.NotFound, "nothing to tag")
	w.must(w.DeleteDomain(w.ctx, a, keys[0]))
	var tags int
	w.all(`select count(*) from tag where starts_with(resource, '/domainnameaccess')`, &tags)
	if tags != 0 {
		t.Errorf("%d tags are left", tags)
	}
	var actions []string
	l, err := w.Audit(w.ctx, a, control.AuditFilter{Action: "domain.", Limit: 500})
	w.must(err)
	for _, e := range l.Items {
		actions = append(actions, e.Action)
	}
	for _, action := range []string{"domain.create", "domain.associate", "domain.dissociate", "domain.delete"} {
		if !slices.Contains(actions, action) {
			t.Errorf("the audit has no %s", action)
		}
	}
}
