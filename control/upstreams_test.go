package control_test

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/control"
	"tollgate/model"
)

// What reaches back ends comes to nodes with the stages: the certificate that a stage
// shows, with its key, and the account's links. Changes of either are told at once, and
// to nobody else's nodes' stages.
func TestUpstreamsOfStages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.tenant(), w.tenant()
	n := control.SharedNode("n1")
	d, other := w.deployed(a, "prod"), w.deployed(b, "prod")
	stages := func(rev uint64) map[uint32]model.StageConfig {
		t.Helper()
		out := map[uint32]model.StageConfig{}
		for _, s := range w.changes(n, hello(rev)).Stages {
			out[s.Num] = s
		}
		return out
	}
	cert, err := w.GenerateClientCertificate(w.ctx, a, "", nil)
	w.must(err)
	show := func(id string) error {
		_, err := w.UpdateStage(w.ctx, a, d.Stage.APIID, "prod", func(e *control.StageEdit) error {
			e.ClientCertificateID = id
			return nil
		})
		return err
	}
	foreign, err := w.GenerateClientCertificate(w.ctx, b, "", nil)
	w.must(err)
	w.refused(show(foreign.ID), model.Invalid, "Invalid Client Certificate identifier specified")
	rev := w.changes(n, hello(0)).Revision
	w.must(show(cert.ID))
	told := stages(rev)
	s := told[d.Stage.Num]
	if len(told) != 1 || s.Identity == nil || s.Identity.Certificate != cert.PEM {
		t.Fatalf("nodes were told %+v", told)
	}
	if _, err := tls.X509KeyPair([]byte(s.Identity.Certificate), []byte(s.Identity.PrivateKey)); err != nil {
		t.Error(err)
	}
	w.refused(w.DeleteClientCertificate(w.ctx, a, cert.ID), model.Conflict, "is referenced in stage")

	const arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/a/b"
	rev = w.changes(n, hello(0)).Revision
	link, err := w.CreateVPCLink(w.ctx, a, control.VPCLink{Name: "inside", TargetARNs: []string{arn, "10.0.0.1:80"}})
	w.must(err)
	if diff := cmp.Diff([]model.LinkConfig{{ID: link.ID, ARN: arn, Targets: []string{"10.0.0.1:80"}}}, stages(rev)[d.Stage.Num].Links); diff != "" {
		t.Error(diff)
	}
	rev = w.changes(n, hello(0)).Revision
	_, err = w.UpdateVPCLink(w.ctx, a, link.ID, func(l *control.VPCLink) error {
		l.SetTargets([]string{"10.0.0.2:80", "inside.example:443"})
		return nil
	})
	w.must(err)
	told = stages(rev)
	if diff := cmp.Diff([]string{"10.0.0.2:80", "inside.example:443"}, told[d.Stage.Num].Links[0].Targets); diff != "" || len(told) != 1 {
		t.Errorf("%s %+v", diff, told)
	}
	for _, bad := range []string{"10.0.0.1", "10.0.0.1:0", "10.0.0.1:70000", "a/b:1", "user@host:1"} {
		_, err := w.UpdateVPCLink(w.ctx, a, link.ID, func(l *control.VPCLink) error { l.SetTargets([]string{bad}); return nil })
		w.refused(err, model.Invalid, "")
	}
	if s := stages(0)[other.Stage.Num]; len(s.Links) != 0 || s.Identity != nil {
		t.Errorf("another account's stage has %+v", s)
	}
	w.must(show(""))
	w.must(w.DeleteClientCertificate(w.ctx, a, cert.ID))
	w.must(w.DeleteVPCLink(w.ctx, a, link.ID))
	if s := stages(0)[d.Stage.Num]; len(s.Links) != 0 || s.Identity != nil {
		t.Errorf("it has %+v still", s)
	}
}

// Whatever stages serve and editors hold is found by the link that it goes through, and
// by the certificate that it shows, which all of its stages change at once.
func TestUsesOfUpstreams(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tenant()
	link, err := w.CreateVPCLink(w.ctx, a, control.VPCLink{Name: "inside", TargetARNs: []string{"10.0.0.1:80"}})
	w.must(err)
	api, err := w.CreateAPI(w.ctx, a, "Pets", "")
	w.must(err)
	through := func(path, id string) {
		t.Helper()
		_, err := w.UpdateDefinition(w.ctx, a, api.ID, 0, func(d *model.Definition) error {
			if err := d.AddResource(path); err != nil && d.ByPath(path) == nil {
				return err
			}
			return d.SetMethod(path, "GET", model.Method{AuthorizationType: model.AuthNone, Integration: &model.Integration{Type: model.IntegrationHTTPProxy, HTTPMethod: "GET", URI: "http://inside.example", ConnectionType: model.ConnectionVPCLink, ConnectionID: id}})
		})
		w.must(err)
	}
	uses := func() (out []string) {
		t.Helper()
		all, err := w.VPCLinkUses(w.ctx, a, link.ID)
		w.must(err)
		for _, u := range all {
			out = append(out, fmt.Sprint(u.API, u.Verb, u.Path, u.Stages, u.Edited))
		}
		return out
	}
	through("/plain", link.ID)
	through("/variable", "${stageVariables.link}")
	for _, stage := range []string{"next", "prod"} {
		_, err := w.Deploy(w.ctx, a, control.Deploy{APIID: api.ID, Stage: stage})
		w.must(err)
	}
	first, err := w.Stage(w.ctx, a, api.ID, "prod")
	w.must(err)
	set := func(stage string, edit func(*control.StageEdit)) {
		t.Helper()
		_, err := w.UpdateStage(w.ctx, a, api.ID, stage, func(e *control.StageEdit) error { edit(e); return nil })
		w.must(err)
	}
	set("next", func(e *control.StageEdit) {
		e.Canary = &model.CanarySettings{PercentTraffic: 1, DeploymentID: first.DeploymentID, Overrides: map[string]string{"link": link.ID}}
	})
	if diff := cmp.Diff([]string{"PetsGET/plain[next prod] true", "PetsGET/variable[next] false"}, uses()); diff != "" {
		t.Error(diff)
	}
	through("/plain", "other1")
	if diff := cmp.Diff([]string{"PetsGET/plain[next prod] false", "PetsGET/variable[next] false"}, uses()); diff != "" {
		t.Error(diff)
	}
	w.refused(w.DeleteVPCLink(w.ctx, a, link.ID), model.Invalid, ":next, "+api.ID+":GET:")

	one, err := w.GenerateClientCertificate(w.ctx, a, "", nil)
	w.must(err)
	two, err := w.GenerateClientCertificate(w.ctx, a, "", nil)
	w.must(err)
	foreign, err := w.GenerateClientCertificate(w.ctx, w.tenant(), "", nil)
	w.must(err)
	set("next", func(e *control.StageEdit) { e.ClientCertificateID = one.ID })
	set("prod", func(e *control.StageEdit) { e.ClientCertificateID = one.ID })
	_, _, err = w.ReplaceClientCertificate(w.ctx, a, one.ID, foreign.ID)
	w.refused(err, model.NotFound, "")
	if n, _, err := w.ReplaceClientCertificate(w.ctx, a, one.ID, two.ID); err != nil || n != 2 {
		t.Errorf("%d stages, %v", n, err)
	}
	stages, err := w.ClientCertificateStages(w.ctx, a, two.ID)
	if diff := cmp.Diff([]control.StageName{{APIID: api.ID, API: "Pets", Stage: "next"}, {APIID: api.ID, API: "Pets", Stage: "prod"}}, stages); diff != "" || err != nil {
		t.Errorf("%s %v", diff, err)
	}
	for _, s := range w.changes(control.SharedNode("n1"), hello(0)).Stages {
		if s.APIID == api.ID && (s.Identity == nil || s.Identity.Certificate != two.PEM) {
			t.Errorf("nodes show something else on %s", s.Stage)
		}
	}
	w.must(w.DeleteClientCertificate(w.ctx, a, one.ID))
}

// What live nodes say of a link's addresses is shown to its account, in one line each, and
// of nodes that went, of earlier starts and of what is no address any more nothing.
func TestVPCLinkHealth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.tenant(), w.tenant()
	link, err := w.CreateVPCLink(w.ctx, a, control.VPCLink{Name: "inside", TargetARNs: []string{"10.0.0.1:80", "10.0.0.2:80"}})
	w.must(err)
	theirs, err := w.CreateVPCLink(w.ctx, b, control.VPCLink{Name: "inside", TargetARNs: []string{"10.0.0.1:80"}})
	w.must(err)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	state := func(who control.Actor, id, target string, up bool, minute int, reason string) model.TargetState {
		return model.TargetState{Tenant: who.Tenant, Link: id, Target: target, Up: up, Since: at.Add(time.Duration(minute) * time.Minute), Reason: reason}
	}
	says := func(n control.NodeIdentity, boot string, states ...model.TargetState) {
		t.Helper()
		w.changes(n, model.NodeHello{Boot: boot, Targets: states})
	}
	shown := func(who control.Actor, nodes int, want ...control.TargetHealth) {
		t.Helper()
		h, err := w.VPCLinkHealth(w.ctx, who, "")
		w.must(err)
		if diff := cmp.Diff(want, h.Targets); diff != "" || h.Nodes != nodes {
			t.Errorf("%d nodes, want %d\n%s", h.Nodes, nodes, diff)
		}
	}
	shown(a, 0)
	one, two := control.SharedNode("one"), control.SharedNode("two")
	first, second := state(a, link.ID, "10.0.0.1:80", true, 5, ""), state(a, link.ID, "10.0.0.2:80", false, 7, "no route")
	says(one, "b1", first, second, first, state(a, theirs.ID, "10.0.0.1:80", true, 1, ""), state(a, link.ID, "10.9.9.9:80", true, 1, ""),
		state(a, "nosuch", "10.0.0.1:80", true, 1, ""), state(b, theirs.ID, "10.0.0.1:80", false, 3, strings.Repeat("long ", 200)+"\x00"))
	up := control.TargetHealth{Link: link.ID, Target: "10.0.0.1:80", Up: 1, UpSince: first.Since}
	down := control.TargetHealth{Link: link.ID, Target: "10.0.0.2:80", Down: 1, DownSince: second.Since, Reason: "no route"}
	shown(a, 1, up, down)
	shown(b, 1, control.TargetHealth{Link: theirs.ID, Target: "10.0.0.1:80", Down: 1, DownSince: at.Add(3 * time.Minute), Reason: strings.Repeat("long ", 100)})
	// Two nodes do not see the same; one that has just started makes nothing younger.
	says(two, "b1", state(a, link.ID, "10.0.0.1:80", true, 50, ""), state(a, link.ID, "10.0.0.2:80", true, 9, "refused"))
	up.Up, down.Up, down.UpSince, down.Before = 2, 1, at.Add(9*time.Minute), "refused"
	shown(a, 2, up, down)
	// One that starts again has said nothing yet; one that drains counts no more.
	says(two, "b2")
	up.Up, down.Up, down.UpSince, down.Before = 1, 0, time.Time{}, ""
	shown(a, 2, up, down)
	says(two, "b2", state(a, link.ID, "10.0.0.2:80", false, 6, "refused"))
	down.Down, down.DownSince, down.Reason = 2, at.Add(6*time.Minute), "refused"
	shown(a, 2, up, down)
	w.changes(one, model.NodeHello{Boot: "b1", Draining: true})
	down.Down = 1
	shown(a, 1, down)
	// A node of another gateway knows nothing of this account's; an address that is taken
	// out and put in again is not known.
	_, err = w.CreateGateway(w.ctx, control.Operator(), "other", "")
	w.must(err)
	var other control.NodeIdentity
	token, err := w.CreateNodeToken(w.ctx, control.Operator(), "other", "n")
	w.must(err)
	other, err = w.AuthenticateNode(w.ctx, token)
	w.must(err)
	says(other, "b1", first)
	shown(a, 1, down)
	for _, targets := range [][]string{{"10.0.0.1:80"}, {"10.0.0.1:80", "10.0.0.2:80"}} {
		_, err = w.UpdateVPCLink(w.ctx, a, link.ID, func(l *control.VPCLink) error { l.SetTargets(targets); return nil })
		w.must(err)
		shown(a, 1)
	}
	if l, err := w.TrialLinks(w.ctx, a.AccountID); err != nil || len(l) != 1 || l[0].ID != link.ID || len(l[0].Targets) != 2 {
		t.Errorf("for trials: %+v %v", l, err)
	}
	says(two, "b2", first)
	w.must(w.DeleteVPCLink(w.ctx, a, link.ID))
	shown(a, 1)
	_, err = w.VPCLinkHealth(w.ctx, a, link.ID)
	w.refused(err, model.NotFound, "there is no VPC link")
}
