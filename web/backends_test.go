package web_test

import (
	"strings"
	"testing"
	"time"

	"tollgate/control"
	"tollgate/model"
	chromium "tollgate/ui/browser"
)

// A VPC link is made, found by what uses it, changed, and deleted when nothing is served
// through it.
func TestVPCLinks(t *testing.T) {
	t.Parallel()
	s := newSite(t, withGateway)
	owner := s.tenant()
	api := s.workshop(owner)
	p := chromium.Start(t).Visitor(t)
	s.as(owner).in(p)
	p.Goto(s.url + "/vpc-links")
	if !p.Says("No VPC links yet") {
		t.Fatal(p.Text("main"))
	}
	p.Sound("vpc-links-none")
	p.Click("Make a VPC link")
	p.Fill("Name", "Warehouse")
	p.Fill("target-address", "10.0.0.5")
	p.Click("Make the link")
	if p.Status() != 422 || p.Count(`#f-target`) != 1 || !p.Says("Invalid ARN") && !p.Says("is neither an ARN nor an address") {
		t.Fatalf("%d %s", p.Status(), p.Text("main"))
	}
	p.Sound("vpc-link-refused")
	p.Fill("target-address", "10.0.0.5:8080")
	p.Click("Make the link")
	p.Await("The VPC link is made")
	l, err := s.Plane.VPCLinks(s.Context(), owner, control.Page{})
	s.must(err)
	if len(l.Items) != 1 || l.Items[0].Name != "Warehouse" || len(l.Items[0].Targets()) != 1 {
		t.Fatalf("%+v", l.Items)
	}
	id := l.Items[0].ID
	p.Sound("vpc-links")
	// It is chosen in a method's integration.
	p.Goto(s.url + "/apis/" + api + "/method?path=/tools&verb=GET&edit=integration")
	p.Choose("type", model.IntegrationHTTPProxy)
	p.Fill("uri", "http://warehouse.internal/tools")
	p.Choose("connection", id)
	p.Click("Save integration")
	p.Await("Saved")
	if g := s.method(owner, api, "/tools", "GET").Integration; g.ConnectionType != model.ConnectionVPCLink || g.ConnectionID != id {
		t.Fatalf("%+v", g)
	}
	if !p.Says("VPC link Warehouse") {
		t.Errorf("the pipeline says %s", p.Text("#integration"))
	}
	_, err = s.UpdateDefinition(s.Context(), owner, api, 0, func(d *model.Definition) error { d.Authorizers = nil; return nil })
	s.must(err)
	_, err = s.Deploy(s.Context(), owner, control.Deploy{APIID: api, Stage: "prod"})
	s.must(err)
	p.Goto(s.url + "/vpc-links")
	p.Click("Warehouse")
	if !p.Says("GET /tools of Workshop on prod") {
		t.Errorf("it says %s", p.Text("main"))
	}
	p.TapOn(`#f-target [data-add-row]`)
	p.Eval(`(e => { e.value = "10.0.0.6:8080"; })([...document.querySelectorAll("[name=target-address]")].at(-1))`, nil)
	p.Click("Save link")
	p.Await("Saved. Calls go to these addresses")
	if !p.Says("No gateway node is connected") {
		t.Errorf("before there is a node: %s", p.Text("main"))
	}
	says := func(node string, states ...model.TargetState) {
		t.Helper()
		for i := range states {
			states[i].Tenant, states[i].Link, states[i].Since = owner.Tenant, id, time.Date(2026, 3, 1, 12, 5, 0, 0, time.UTC)
		}
		s.must(second(s.Plane.Changes(s.Context(), control.SharedNode(node), model.NodeHello{Boot: "b", Targets: states})))
	}
	says("edge-1")
	b := s.as(owner)
	b.get("/vpc-links/"+id).want(200, "Not checked yet")
	says("edge-1", model.TargetState{Target: "10.0.0.5:8080", Up: true}, model.TargetState{Target: "10.0.0.6:8080", Reason: "the connection is refused, nothing listens there"})
	b.get("/vpc-links/"+id+"/addresses").want(200, "Answers", "Does not answer", "1 Mar 2026 12:05 UTC", "nothing listens there", "Seen by 1 node").without("edge-1")
	p.Await("Does not answer")
	p.Sound("vpc-link")
	says("edge-2", model.TargetState{Target: "10.0.0.6:8080", Up: true, Reason: "no connection in time"})
	b.get("/vpc-links").want(200, "Answers some nodes").link("Warehouse").want(200, "Seen by 1 of 2 nodes", "Does not answer 1 of 2 nodes since", "before that it did not: no connection in time")
	p.Goto(s.url + "/vpc-links/" + id)
	p.Sound("vpc-link-split")
	p.Goto(s.url + "/vpc-links")
	p.Sound("vpc-links-found")
	if l, err := s.Plane.VPCLink(s.Context(), owner, id); err != nil || len(l.Targets()) != 2 {
		t.Errorf("%+v %v", l, err)
	}
	p.Goto(s.url + "/vpc-links/" + id + "/delete")
	p.Sound("vpc-link-delete")
	p.Click("Delete VPC link")
	p.Await("Stages serve GET /tools of Workshop on prod through the link")
	s.must(s.DeleteStage(s.Context(), owner, api, "prod"))
	p.Tap("Delete")
	p.Await("No stage serves a method through it")
	p.Click("Delete VPC link")
	p.Await("The VPC link is deleted")
	if f := p.Faults(); len(f) > 0 {
		t.Errorf("%v", f)
	}
	// Who may only read sees all of it and changes nothing.
	s.must(second(s.Plane.CreateVPCLink(s.Context(), owner, control.VPCLink{Name: "Other", TargetARNs: []string{"10.0.0.7:80"}})))
	b = s.as(s.member(owner, control.RoleViewer))
	b.get("/vpc-links").want(200, "Other").without("Make a VPC link").link("Other").want(200, "10.0.0.7:80").without("Save link")
	b.get("/vpc-links/new").want(403)
}

func second[T any](_ T, err error) error { return err }

// A client certificate is generated, shown by a stage, rotated and deleted.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	s := newSite(t, withGateway)
	owner := s.tenant()
	stage := s.deployed(owner, "prod")
	p := chromium.Start(t).Visitor(t)
	s.as(owner).in(p)
	p.Goto(s.url + "/client-certificates")
	p.Sound("client-certificates-none")
	p.Click("Generate a certificate")
	p.Sound("client-certificate-new")
	p.Fill("description", "payments")
	p.Click("Generate it")
	p.Await("BEGIN CERTIFICATE")
	p.Sound("client-certificate")
	old := p.Text("#certificate-id")
	p.Goto(s.url + "/apis/" + stage.APIID + "/stages/prod/settings")
	p.Choose("certificate", old)
	p.Click("Save settings")
	p.Await("Saved")
	shows := func() string {
		x, err := s.Stage(s.Context(), owner, stage.APIID, "prod")
		s.must(err)
		return x.Settings.ClientCertificateID
	}
	if shows() != old {
		t.Fatalf("the stage shows %q", shows())
	}
	p.Goto(s.url + "/client-certificates/" + old + "/delete")
	p.Sound("client-certificate-delete")
	p.Click("Delete client certificate")
	p.Await("is referenced in stage")
	p.Click("Rotate")
	p.Await("There is no other one yet")
	p.Click("Generate a certificate")
	p.Click("Generate it")
	next := p.Text("#certificate-id")
	p.Goto(s.url + "/client-certificates/" + old)
	p.Click("Rotate")
	p.Sound("client-certificate-rotate")
	p.Click("Show it on 1 stage")
	if shows() != next || !strings.HasSuffix(p.URL(), next) || !p.Says("stage prod") {
		t.Errorf("the stage shows %q at %s", shows(), p.URL())
	}
	p.Goto(s.url + "/client-certificates/" + old)
	p.Fill("description", "gone soon")
	p.Click("Save description")
	p.Await("Saved.")
	p.Goto(s.url + "/client-certificates")
	p.Sound("client-certificates")
	if !p.Says("gone soon") {
		t.Error("the description is not there")
	}
	p.Goto(s.url + "/client-certificates/" + old + "/delete")
	p.Click("Delete client certificate")
	p.Await("The client certificate is deleted")
	b := s.as(s.member(owner, control.RoleViewer))
	b.get("/client-certificates/"+next).want(200, "BEGIN CERTIFICATE", "stage prod").without("Delete", "Rotate", "Save description")
	b.post("/client-certificates/"+next+"/delete", nil).want(403)
}
