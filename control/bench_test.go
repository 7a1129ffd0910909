package control_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"tollgate/control"
	"tollgate/model"
)

// A node's lease round for 1,000 busy subscriptions.
func BenchmarkLeases(b *testing.B) {
	w := newWorldWith(b, control.Options{AckTimeout: time.Millisecond})
	a := w.tenant()
	p := w.plan(a, w.deployed(a, "prod"), &model.Quota{Limit: 1e12, Period: model.Month})
	keys := make([]control.NewKey, 1000)
	for i := range keys {
		keys[i] = control.NewKey{Value: fmt.Sprintf("bulk-key-value-%012d", i), Enabled: true}
	}
	_, err := w.ImportKeys(w.ctx, a, p.ID, keys)
	w.must(err)
	n := control.SharedNode("n1")
	c := w.changes(n, hello(0))
	reqs := make([]model.LeaseRequest, len(c.Keys))
	for i, k := range c.Keys {
		reqs[i] = model.LeaseRequest{Boot: "b", Tenant: k.Tenant, Subscription: k.Subscriptions[0].ID, At: time.Now(), Want: 100}
	}
	for b.Loop() {
		w.lease(reqs...)
	}
}

// From the call of Deploy to the receipt of a node that follows in this process
// and fetches what it was told of.
func BenchmarkDeployAcknowledged(b *testing.B) {
	w := newWorldWith(b, control.Options{AckTimeout: 10 * time.Second}).started()
	a := w.tenant()
	api := w.api(a)
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan struct{})
	n := control.SharedNode("n1")
	applied := w.changes(n, hello(0)).Revision
	go func() {
		defer close(done)
		for {
			c, err := w.Changes(ctx, n, model.NodeHello{Boot: "boot-1", Applied: applied, Wait: 20 * time.Second})
			if err != nil {
				return
			}
			for _, s := range c.Stages {
				if _, err := w.Deployment(ctx, n, s.DeploymentID); err != nil {
					b.Error(err)
				}
			}
			applied = c.Revision
		}
	}()
	for b.Loop() {
		d, err := w.Deploy(w.ctx, a, control.Deploy{APIID: api.ID, Stage: "prod"})
		w.must(err)
		if len(d.Receipts) != 1 || !d.Receipts[0].Applied {
			b.Fatalf("receipts %+v", d.Receipts)
		}
	}
	cancel()
	<-done
}
