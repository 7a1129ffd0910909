package control_test

import (
	"errors"
	"strings"
	"testing"

	"tollgate/control"
	"tollgate/model"
)

// Settings and canary of a stage change as a whole or not at all, and nodes are
// told at once.
func TestStageSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tenant()
	api := w.api(a)
	first, err := w.CreateDeployment(w.ctx, a, control.NewDeployment{APIID: api.ID, Description: "one"})
	w.must(err)
	if first.Revision != 0 || first.Stage.Name != "" || first.Deployment.Description != "one" || len(first.Deployment.Stages) != 0 {
		t.Errorf("a deployment without a stage: %+v", first)
	}
	n := control.SharedNode("n1")
	made, err := w.CreateStage(w.ctx, a, control.NewStage{APIID: api.ID, Name: "prod", Tags: map[string]string{"a": "b"},
		StageEdit: control.StageEdit{DeploymentID: first.Deployment.ID, StageSettings: model.StageSettings{Variables: map[string]string{"v": "1"}}}})
	w.must(err)
	if made.Revision == 0 || made.Stage.DeploymentID != first.Deployment.ID || made.Stage.Settings.Variables["v"] != "1" || made.Stage.Tags["a"] != "b" {
		t.Errorf("made %+v", made)
	}
	_, err = w.CreateStage(w.ctx, a, control.NewStage{APIID: api.ID, Name: "prod", StageEdit: control.StageEdit{DeploymentID: first.Deployment.ID}})
	w.refused(err, model.Conflict, "already exists")

	second, err := w.CreateDeployment(w.ctx, a, control.NewDeployment{APIID: api.ID, Stage: "prod", Canary: &model.CanarySettings{PercentTraffic: 10}})
	w.must(err)
	if second.Stage.DeploymentID != first.Deployment.ID || second.Deployment.ID == first.Deployment.ID || second.Stage.Settings.Canary.DeploymentID != second.Deployment.ID {
		t.Errorf("a canary: %+v", second)
	}
	_, err = w.SetStageThrottle(w.ctx, a, api.ID, "prod", &model.Throttle{Rate: 5, Burst: 2})
	w.must(err)
	at := w.changes(n, hello(0)).Revision
	_, err = w.UpdateStage(w.ctx, a, api.ID, "prod", func(e *control.StageEdit) error {
		own := e.Setting("~1pets/GET")
		own.ThrottlingRateLimit = 9
		e.Set("~1pets/GET", own)
		return nil
	})
	w.must(err)
	c := w.changes(n, hello(at))
	if len(c.Stages) != 1 {
		t.Fatalf("nodes were told %+v", c)
	}
	s := c.Stages[0]
	if s.DeploymentID != first.Deployment.ID || *s.Throttle != (model.Throttle{Rate: 5, Burst: 2}) || *s.Throttles["/pets/GET"] != (model.Throttle{Rate: 9, Burst: 2}) ||
		s.Canary.DeploymentID != second.Deployment.ID || s.Canary.Percent != 10 || s.Variables["v"] != "1" {
		t.Errorf("nodes were told %+v", s)
	}

	// What is refused leaves everything as it was.
	for want, edit := range map[string]func(*control.StageEdit) error{
		"no deployment":     func(e *control.StageEdit) error { e.DeploymentID = "nosuch"; return nil },
		"has no deployment": func(e *control.StageEdit) error { e.Canary = &model.CanarySettings{DeploymentID: "nosuch"}; return nil },
		"percent traffic":   func(e *control.StageEdit) error { e.Description, e.Canary.PercentTraffic = "x", 101; return nil },
		"not now":           func(e *control.StageEdit) error { e.Description = "x"; return errors.New("not now") },
	} {
		_, err := w.UpdateStage(w.ctx, a, api.ID, "prod", edit)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v instead of %q", err, want)
		}
	}
	now, err := w.Stage(w.ctx, a, api.ID, "prod")
	w.must(err)
	if now.DeploymentID != first.Deployment.ID || now.Settings.Description != "" || now.Settings.Canary.PercentTraffic != 10 || now.Throttle.Burst != 2 {
		t.Errorf("after refusals: %+v", now)
	}

	// Neither deployment can be deleted while it is served; the throttle outlives a deploy.
	for _, d := range []control.Deployed{first, second} {
		w.refused(w.DeleteDeployment(w.ctx, a, api.ID, d.Deployment.ID), model.Invalid, "Active stages")
	}
	third, err := w.Deploy(w.ctx, a, control.Deploy{APIID: api.ID, Stage: "prod"})
	w.must(err)
	if third.Stage.DeploymentID != third.Deployment.ID || third.Stage.Throttle.Rate != 5 || third.Stage.Settings.Canary == nil {
		t.Errorf("deployed beside a canary: %+v", third)
	}
	w.must(w.DeleteDeployment(w.ctx, a, api.ID, first.Deployment.ID))
	w.refused(w.DeleteDeployment(w.ctx, a, api.ID, first.Deployment.ID), model.NotFound, first.Deployment.ID)
	described, err := w.DescribeDeployment(w.ctx, a, api.ID, third.Deployment.ID, "now with words")
	w.must(err)
	if described.Description != "now with words" || described.Hash != third.Deployment.Hash {
		t.Errorf("described %+v", described)
	}
	methods, err := w.DeployedMethods(w.ctx, a, api.ID, []string{third.Deployment.ID, "nosuch"})
	w.must(err)
	if got := methods[third.Deployment.ID]; len(got) != 2 || got["/pets"]["POST"] != (control.MethodSummary{AuthorizationType: "NONE"}) || len(methods["nosuch"]) != 0 {
		t.Errorf("methods %+v", methods)
	}

	// A stage made anew under the name of one that was deleted has nothing of it.
	w.must(w.DeleteStage(w.ctx, a, api.ID, "prod"))
	w.must(w.DeleteDeployment(w.ctx, a, api.ID, second.Deployment.ID))
	again, err := w.Deploy(w.ctx, a, control.Deploy{APIID: api.ID, Stage: "prod"})
	w.must(err)
	if again.Stage.Num == made.Stage.Num || len(again.Stage.Tags) != 0 || again.Stage.Throttle != nil || again.Stage.Settings.Canary != nil {
		t.Errorf("made anew: %+v", again.Stage)
	}
}

// What the gateway does not act on can be deployed, but not be put on a stage in
// any way.
func TestUnservedIsKeptOffStages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tenant()
	good := w.deployed(a, "prod")
	id := good.Stage.APIID
	_, err := w.UpdateDefinition(w.ctx, a, id, 0, func(d *model.Definition) error {
		d.Endpoint = &model.Endpoint{Types: []string{model.EndpointPrivate}}
		return nil
	})
	w.must(err)
	bad, err := w.CreateDeployment(w.ctx, a, control.NewDeployment{APIID: id})
	w.must(err)
	const why = "doesn't have a resource policy"
	_, err = w.CreateStage(w.ctx, a, control.NewStage{APIID: id, Name: "dev", StageEdit: control.StageEdit{DeploymentID: bad.Deployment.ID}})
	w.refused(err, model.Invalid, why)
	for _, edit := range []func(*control.StageEdit) error{
		func(e *control.StageEdit) error { e.DeploymentID = bad.Deployment.ID; return nil },
		func(e *control.StageEdit) error {
			e.Canary = &model.CanarySettings{DeploymentID: bad.Deployment.ID}
			return nil
		},
	} {
		_, err = w.UpdateStage(w.ctx, a, id, "prod", edit)
		w.refused(err, model.Invalid, why)
	}
	_, err = w.Rollback(w.ctx, a, id, "prod", bad.Deployment.ID)
	w.refused(err, model.Invalid, why)
	_, err = w.CreateDeployment(w.ctx, a, control.NewDeployment{APIID: id, Stage: "prod", Canary: &model.CanarySettings{}})
	w.refused(err, model.Invalid, why)
	// Another API's deployment is none of this one's.
	other := w.deployed(a, "prod")
	_, err = w.UpdateStage(w.ctx, a, id, "prod", func(e *control.StageEdit) error { e.DeploymentID = other.Deployment.ID; return nil })
	w.refused(err, model.NotFound, other.Deployment.ID)
	stages, err := w.Stages(w.ctx, a, id)
	w.must(err)
	if len(stages) != 1 || stages[0].DeploymentID != good.Deployment.ID {
		t.Errorf("stages %+v", stages)
	}
}

// Caches and domains are known by the time they are there, whatever changes them.
func TestCachesAndDomainsAreKnown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tenant()
	d := w.deployed(a, "prod")
	known := func() (out string) {
		w.all(`select coalesce(string_agg(kind || ' ' || size || case when valid_to is null then '' else ' ended' end, ', ' order by valid_from, size), '') from resource_interval`, &out)
		return out
	}
	set := func(on bool, size string) {
		_, err := w.UpdateStage(w.ctx, a, d.Stage.APIID, "prod", func(s *control.StageEdit) error { s.CacheClusterEnabled, s.CacheClusterSize = on, size; return nil })
		w.must(err)
	}
	for _, c := range []struct {
		on         bool
		size, want string
	}{{false, "", ""}, {true, "0.5", "cache 0.5"}, {true, "0.5", "cache 0.5"}, {true, "6.1", "cache 0.5 ended, cache 6.1"}, {false, "6.1", "cache 0.5 ended, cache 6.1 ended"}} {
		if set(c.on, c.size); known() != c.want {
			t.Errorf("%v %s: %s, want %s", c.on, c.size, known(), c.want)
		}
	}
	set(true, "0.5")
	w.must(w.DeleteStage(w.ctx, a, d.Stage.APIID, "prod"))
	w.exec(`delete from resource_interval`)
	s, err := w.ImportCertificate(w.ctx, a, "", serverCertificate(t, otherDomain), nil)
	w.must(err)
	_, err = w.CreateDomain(w.ctx, a, control.NewDomain{Name: otherDomain, DomainEdit: control.DomainEdit{CertificateID: s.ID}})
	w.must(err)
	if known() != "domain " {
		t.Error(known())
	}
	w.must(w.DeleteDomain(w.ctx, a, otherDomain))
	if known() != "domain  ended" {
		t.Error(known())
	}
}
