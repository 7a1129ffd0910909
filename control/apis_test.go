package control_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/control"
	"tollgate/model"
)

func TestImportKeepsTheAuthorsBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tenant()
	in, err := w.ImportAPI(w.ctx, a, control.ImportAPI{Source: []byte(petsDocument), SourceName: "pets.yaml"})
	w.must(err)
	if in.Operations != 3 || in.API.Methods != 3 || in.API.Name != "Pets" || in.API.Revision != 1 || len(in.API.ID) != 10 {
		t.Errorf("imported %+v", in)
	}
	s, err := w.Source(w.ctx, a, in.API.ID)
	w.must(err)
	sum := sha256.Sum256([]byte(petsDocument))
	if string(s.Bytes) != petsDocument || s.SHA256 != hex.EncodeToString(sum[:]) || s.Name != "pets.yaml" {
		t.Errorf("source %+v", s)
	}
	d, err := w.API(w.ctx, a, in.API.ID)
	w.must(err)
	if d.Definition.MethodCount() != 3 || d.Definition.Hash() != d.Hash {
		t.Errorf("definition %+v", d)
	}

	// Importing again replaces the definition and the source, or neither.
	again := strings.ReplaceAll(petsDocument, "/pets/{id}", "/cats/{id}")
	in, err = w.ImportAPI(w.ctx, a, control.ImportAPI{Source: []byte(again), APIID: d.ID, RequireKey: true})
	w.must(err)
	if in.API.ID != d.ID || in.API.Revision != 2 || in.API.Hash == d.Hash {
		t.Errorf("replaced %+v", in.API)
	}
	_, err = w.ImportAPI(w.ctx, a, control.ImportAPI{Source: []byte("not a document: ["), APIID: d.ID})
	w.refused(err, model.Invalid, "")
	_, err = w.ImportAPI(w.ctx, a, control.ImportAPI{Source: make([]byte, control.MaxSourceBytes+1)})
	w.refused(err, model.Limit, "bytes")
	s, err = w.Source(w.ctx, a, d.ID)
	w.must(err)
	if string(s.Bytes) != again {
		t.Error("a refused import changed the source")
	}
	l, err := w.APIs(w.ctx, a, control.Page{Match: "pet"})
	w.must(err)
	if len(l.Items) != 1 || l.Items[0].Revision != 2 {
		t.Errorf("list %+v", l)
	}
}

func TestUpdateDefinitionIsAllOrNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tenant()
	api := w.api(a)
	rename := func(d *model.Definition) error { d.Name = "Animals"; return nil }
	d, err := w.UpdateDefinition(w.ctx, a, api.ID, 1, rename)
	w.must(err)
	if d.Revision != 2 || d.Name != "Animals" || d.Hash == api.Hash {
		t.Errorf("updated %+v", d.API)
	}
	_, err = w.UpdateDefinition(w.ctx, a, api.ID, 1, rename)
	w.refused(err, model.Conflict, "revision 2")
	_, err = w.UpdateDefinition(w.ctx, a, api.ID, 0, func(d *model.Definition) error {
		d.Resources = append(d.Resources, model.Resource{ID: "x", Path: "no slash"})
		return nil
	})
	w.refused(err, model.Invalid, "no slash")
	_, err = w.UpdateDefinition(w.ctx, a, api.ID, 0, func(d *model.Definition) error { d.Name = "a\x00b"; return nil })
	w.refused(err, model.Invalid, "NUL")
	now, err := w.API(w.ctx, a, api.ID)
	w.must(err)
	if now.Revision != 2 {
		t.Errorf("a refused edit left revision %d", now.Revision)
	}

	// Edits at the same time are one after the other.
	var wg sync.WaitGroup
	errs := make(chan error, 8)
	for range cap(errs) {
		wg.Go(func() {
			_, err := w.UpdateDefinition(w.ctx, a, api.ID, 0, func(d *model.Definition) error { d.Description += "x"; return nil })
			errs <- err
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		w.must(err)
	}
	now, err = w.API(w.ctx, a, api.ID)
	w.must(err)
	if now.Definition.Description != "xxxxxxxx" || now.Revision != 10 {
		t.Errorf("after 8 edits: %q at revision %d", now.Definition.Description, now.Revision)
	}
}

func TestDeployRollbackDelete(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tenant()
	throttle := &model.Throttle{Rate: 5, Burst: 2}
	api := w.api(a)
	first, err := w.Deploy(w.ctx, a, control.Deploy{APIID: api.ID, Stage: "prod", Description: "one", StageThrottle: throttle})
	w.must(err)
	if first.Stage.DeploymentID != first.Deployment.ID || *first.Stage.Throttle != *throttle || first.Revision == 0 ||
		len(first.Receipts) != 0 || first.Deployment.Hash != api.Hash || len(first.Deployment.Stages) != 1 {
		t.Errorf("deployed %+v", first)
	}
	_, err = w.UpdateDefinition(w.ctx, a, api.ID, 0, func(d *model.Definition) error { d.Description = "changed"; return nil })
	w.must(err)
	second, err := w.Deploy(w.ctx, a, control.Deploy{APIID: api.ID, Stage: "prod"})
	w.must(err)
	if second.Stage.Num != first.Stage.Num || second.Deployment.Hash == first.Deployment.Hash || second.Stage.Throttle == nil {
		t.Errorf("deployed %+v over %+v", second, first)
	}
	other, err := w.Deploy(w.ctx, a, control.Deploy{APIID: api.ID, Stage: "dev"})
	w.must(err)

	back, err := w.Rollback(w.ctx, a, api.ID, "prod", "")
	w.must(err)
	if back.Deployment.ID != first.Deployment.ID || back.Revision <= second.Revision {
		t.Errorf("rolled back to %+v", back)
	}
	_, err = w.Rollback(w.ctx, a, api.ID, "prod", "")
	w.refused(err, model.NotFound, "nothing to roll back to")
	there, err := w.Rollback(w.ctx, a, api.ID, "prod", other.Deployment.ID)
	w.must(err)
	if there.Stage.DeploymentID != other.Deployment.ID {
		t.Errorf("pointed at %+v", there.Stage)
	}
	_, err = w.Rollback(w.ctx, a, api.ID, "prod", "nosuch")
	w.refused(err, model.NotFound, "nosuch")
	_, err = w.Rollback(w.ctx, a, api.ID, "nosuch", "")
	w.refused(err, model.NotFound, "nosuch")

	list, err := w.Deployments(w.ctx, a, api.ID, control.Page{Limit: 2})
	w.must(err)
	rest, err := w.Deployments(w.ctx, a, api.ID, control.Page{Limit: 2, After: list.Next})
	w.must(err)
	if len(list.Items) != 2 || len(rest.Items) != 1 || rest.Next != "" || list.Items[0].ID != other.Deployment.ID ||
		rest.Items[0].ID != first.Deployment.ID || len(list.Items[0].Stages) != 2 {
		t.Errorf("deployments %+v, then %+v", list, rest)
	}

	w.refused(w.DeleteAPI(w.ctx, a, api.ID, false), model.Conflict, "dev, prod")
	w.must(w.DeleteStage(w.ctx, a, api.ID, "dev"))
	w.refused(w.DeleteStage(w.ctx, a, api.ID, "dev"), model.NotFound, "dev")
	n := control.SharedNode("n1")
	at := w.changes(n, hello(0)).Revision
	w.must(w.DeleteAPI(w.ctx, a, api.ID, true))
	c := w.changes(n, hello(at))
	if len(c.Stages) != 1 || !c.Stages[0].Deleted || c.Stages[0].Num != first.Stage.Num {
		t.Errorf("nodes were told %+v", c)
	}
	_, err = w.API(w.ctx, a, api.ID)
	w.refused(err, model.NotFound, api.ID)
	_, err = w.Source(w.ctx, a, api.ID)
	w.refused(err, model.NotFound, api.ID)
	_, err = w.Deployment(w.ctx, n, first.Deployment.ID)
	w.refused(err, model.NotFound, "deployment")
}

func TestDeployRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tenant()
	api := w.api(a)
	deploy := func(stage string, edit func(*model.Definition)) error {
		_, err := w.UpdateDefinition(w.ctx, a, api.ID, 0, func(d *model.Definition) error { edit(d); return nil })
		w.must(err)
		_, err = w.Deploy(w.ctx, a, control.Deploy{APIID: api.ID, Stage: stage})
		return err
	}
	same := func(*model.Definition) {}
	w.refused(deploy("no spaces", same), model.Invalid, "stage name")
	w.refused(deploy(strings.Repeat("s", 129), same), model.Invalid, "stage name")
	_, err := w.Deploy(w.ctx, a, control.Deploy{APIID: api.ID, Stage: "s", StageThrottle: &model.Throttle{Rate: -1}})
	w.refused(err, model.Invalid, "rate limit")
	w.refused(deploy("prod", func(d *model.Definition) {
		d.Endpoint = &model.Endpoint{Types: []string{model.EndpointPrivate}}
	}), model.Invalid, "policy: Private REST API doesn't have a resource policy")
	w.refused(deploy("prod", func(d *model.Definition) {
		for i := range d.Resources {
			d.Resources[i].Methods = nil
		}
	}), model.Invalid, "no methods")
	stages, err := w.Stages(w.ctx, a, api.ID)
	w.must(err)
	if len(stages) != 0 {
		t.Errorf("a refused deploy left %+v", stages)
	}
}

// A method's number in journals is its for ever, whatever is deployed in between.
func TestMethodNumbersStay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tenant()
	n := control.SharedNode("n1")
	api := w.api(a)
	numbers := func() map[string]uint32 {
		d, err := w.Deploy(w.ctx, a, control.Deploy{APIID: api.ID, Stage: "prod"})
		w.must(err)
		c, err := w.Deployment(w.ctx, n, d.Deployment.ID)
		w.must(err)
		if len(c.Methods) != c.Definition.MethodCount() || c.Hash != c.Definition.Hash() {
			t.Errorf("content %+v", c)
		}
		out := map[string]uint32{}
		for _, m := range c.Methods {
			out[m.Verb+" "+m.Path] = m.Num
		}
		return out
	}
	first := numbers()
	var taken model.Method
	_, err := w.UpdateDefinition(w.ctx, a, api.ID, 0, func(d *model.Definition) error {
		for i := range d.Resources {
			if d.Resources[i].Path == "/pets" {
				taken = d.Resources[i].Methods["POST"]
				delete(d.Resources[i].Methods, "POST")
				d.Resources[i].Methods["PUT"] = taken
			}
		}
		return nil
	})
	w.must(err)
	second := numbers()
	if _, there := second["POST /pets"]; there || second["PUT /pets"] == 0 || second["PUT /pets"] == first["POST /pets"] {
		t.Errorf("first %v, then %v", first, second)
	}
	_, err = w.UpdateDefinition(w.ctx, a, api.ID, 0, func(d *model.Definition) error {
		for i := range d.Resources {
			if d.Resources[i].Path == "/pets" {
				d.Resources[i].Methods["POST"] = taken
			}
		}
		return nil
	})
	w.must(err)
	third := numbers()
	for k, v := range first {
		if third[k] != v {
			t.Errorf("%s was %d and is %d", k, v, third[k])
		}
	}
	var last uint32
	w.must(w.pool.QueryRow(w.ctx, `select last_value from api_method_method_num_seq`).Scan(&last))
	if last != 4 {
		t.Errorf("4 methods used up %d numbers", last)
	}
}

// A node that acknowledges, one that fails, one that is away and one that drains:
// deploy waits for those that can answer, and says what they said.
func TestDeployWaitsForTheNodes(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, control.Options{AckTimeout: 30 * time.Second}).started()
	a := w.tenant()
	w.deployed(a, "warm-up")
	good, bad := control.SharedNode("good"), control.SharedNode("bad")
	w.changes(control.SharedNode("drains"), model.NodeHello{Boot: "d", Draining: true})
	var wg sync.WaitGroup
	defer wg.Wait()
	ready := make(chan struct{}, 2)
	follow := func(n control.NodeIdentity, failed string) {
		h := model.NodeHello{Boot: "b-" + n.Node}
		for first := true; ; first = false {
			c, err := w.Changes(w.ctx, n, h)
			if err != nil {
				return // the test is over
			}
			h.Applied = c.Revision
			if !first && failed != "" {
				h.Failures = []model.StageFailure{{Tenant: a.Tenant, Reason: failed}, {Tenant: a.Tenant + 1, Reason: "somebody else's"}}
			}
			h.Wait = 20 * time.Second
			if first {
				ready <- struct{}{}
			}
		}
	}
	ctx := w.ctx
	stop := make(chan struct{})
	defer close(stop)
	w.ctx = contextUntil(ctx, stop)
	wg.Go(func() { follow(good, "") })
	wg.Go(func() { follow(bad, "cannot compile") })
	<-ready
	<-ready
	api := w.api(a)
	began := time.Now()
	d, err := w.Deploy(ctx, a, control.Deploy{APIID: api.ID, Stage: "prod"})
	w.must(err)
	want := []model.NodeReceipt{
		{Gateway: "shared", Node: "bad", Error: "cannot compile"},
		{Gateway: "shared", Node: "good", Applied: true},
	}
	if len(d.Receipts) != 2 || d.Receipts[0] != want[0] || d.Receipts[1] != want[1] {
		t.Errorf("receipts %+v", d.Receipts)
	}
	if took := time.Since(began); took > wokenWithin {
		t.Errorf("acknowledged only after %v", took)
	}
}

// A node whose connection ended is not waited for; one that is silent is named.
func TestDeployNamesTheSilentNode(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, control.Options{AckTimeout: 300 * time.Millisecond}).started()
	a := w.tenant()
	w.changes(control.SharedNode("silent"), hello(0))
	gone := make(chan struct{})
	ctx := contextUntil(w.ctx, gone)
	at := w.changes(control.SharedNode("left"), hello(0)).Revision
	ended := make(chan error, 1)
	go func() {
		_, err := w.Changes(ctx, control.SharedNode("left"), model.NodeHello{Boot: "boot-1", Applied: at, Wait: time.Minute})
		ended <- err
	}()
	for visits := 0; visits < 2; { // until its question is known
		w.all(`select visit from node where name = 'left'`, &visits)
	}
	close(gone)
	if err := <-ended; err == nil {
		t.Fatal("an ended context was answered")
	}
	d := w.deployed(a, "prod")
	if len(d.Receipts) != 1 || d.Receipts[0].Node != "silent" || d.Receipts[0].Applied || !strings.Contains(d.Receipts[0].Error, "not answered") {
		t.Errorf("receipts %+v", d.Receipts)
	}
}
