package control_test

import (
	"crypto/tls"
	"testing"

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
	if diff := cmp.Diff([]model.LinkConfig{{ID: link.ID, Targets: []string{"10.0.0.1:80"}}}, stages(rev)[d.Stage.Num].Links); diff != "" {
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
