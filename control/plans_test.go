package control_test

import (
	"strings"
	"testing"

	"tollgate/control"
	"tollgate/model"
)

func TestPlans(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tenant()
	d := w.deployed(a, "prod")
	ref := model.PlanStage{APIID: d.Stage.APIID, Stage: "prod", Throttle: map[string]model.Throttle{"/pets/GET": {Rate: 1, Burst: 1}}}
	p, err := w.CreatePlan(w.ctx, a, control.PlanSpec{Name: "Gold", Description: "the best",
		Throttle: &model.Throttle{Rate: 10, Burst: 20}, Quota: &model.Quota{Limit: 1000, Period: model.Month, Offset: 3},
		Stages: []model.PlanStage{ref}})
	w.must(err)
	got, err := w.Plan(w.ctx, a, p.ID)
	w.must(err)
	if got.Name != "Gold" || *got.Throttle != (model.Throttle{Rate: 10, Burst: 20}) || *got.Quota != (model.Quota{Limit: 1000, Period: "MONTH", Offset: 3}) ||
		len(got.Stages) != 1 || got.Stages[0].Throttle["/pets/GET"].Burst != 1 {
		t.Errorf("plan %+v", got)
	}
	_, err = w.UpdatePlan(w.ctx, a, p.ID, func(s *control.PlanSpec) error { s.Quota, s.Stages = nil, nil; return nil })
	w.must(err)
	l, err := w.Plans(w.ctx, a, control.Page{Match: "gOl"})
	w.must(err)
	if len(l.Items) != 1 || l.Items[0].Quota != nil || len(l.Items[0].Stages) != 0 || l.Items[0].Throttle == nil {
		t.Errorf("plans %+v", l)
	}

	for text, spec := range map[string]control.PlanSpec{
		"needs a name": {},
		"period":       {Name: "P", Quota: &model.Quota{Limit: 1, Period: "YEAR"}},
		"rate limit":   {Name: "P", Throttle: &model.Throttle{Rate: -1}},
		"twice":        {Name: "P", Stages: []model.PlanStage{ref, ref}},
		"/pets/{id}/GET": {Name: "P", Stages: []model.PlanStage{{APIID: ref.APIID, Stage: "prod",
			Throttle: map[string]model.Throttle{"pets": {}}}}},
	} {
		_, err := w.CreatePlan(w.ctx, a, spec)
		w.refused(err, model.Invalid, text)
	}
	_, err = w.CreatePlan(w.ctx, a, control.PlanSpec{Name: "P", Stages: []model.PlanStage{{APIID: ref.APIID, Stage: "nosuch"}}})
	w.refused(err, model.NotFound, "deploy it first")

	k := w.key(a, p.ID)
	w.refused(w.DeletePlan(w.ctx, a, p.ID), model.Conflict, "1 keys")
	w.must(w.Unsubscribe(w.ctx, a, k.ID, p.ID))
	w.must(w.DeletePlan(w.ctx, a, p.ID))
	_, err = w.Plan(w.ctx, a, p.ID)
	w.refused(err, model.NotFound, p.ID)
}

// A call is counted by one plan: no way of arranging plans and keys leads to two.
func TestOnePlanPerKeyAndStage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tenant()
	prod, dev := w.deployed(a, "prod"), w.deployed(a, "dev")
	gold, silver, other := w.plan(a, prod, nil), w.plan(a, prod, nil), w.plan(a, dev, nil)
	k := w.key(a, gold.ID, other.ID)

	_, err := w.Subscribe(w.ctx, a, k.ID, silver.ID)
	w.refused(err, model.Conflict, "two plans for stage prod")
	_, err = w.CreateKey(w.ctx, a, control.NewKey{Name: "both", PlanIDs: []string{gold.ID, silver.ID}})
	w.refused(err, model.Conflict, "two plans")
	_, err = w.UpdatePlan(w.ctx, a, other.ID, func(s *control.PlanSpec) error {
		s.Stages = append(s.Stages, model.PlanStage{APIID: prod.Stage.APIID, Stage: "prod"})
		return nil
	})
	w.refused(err, model.Conflict, "two plans")
	_, err = w.Subscribe(w.ctx, a, k.ID, gold.ID)
	w.refused(err, model.Conflict, "already")

	moved, err := w.MoveKey(w.ctx, a, k.ID, gold.ID, silver.ID)
	w.must(err)
	_, err = w.MoveKey(w.ctx, a, k.ID, gold.ID, silver.ID)
	w.refused(err, model.NotFound, "not subscribed")
	_, err = w.MoveKey(w.ctx, a, k.ID, silver.ID, silver.ID)
	w.refused(err, model.Invalid, "itself")
	again, err := w.MoveKey(w.ctx, a, k.ID, silver.ID, gold.ID)
	w.must(err)
	if again.ID == moved.ID || again.ID == k.Plans[0].Subscription || again.ID == k.Plans[1].Subscription {
		t.Errorf("a subscription's number came back: %+v, %+v, %+v", k.Plans, moved, again)
	}
	w.must(w.DeleteStage(w.ctx, a, prod.Stage.APIID, "prod"))
	_, err = w.Subscribe(w.ctx, a, k.ID, silver.ID)
	w.must(err) // neither plan has the stage any more
}

func TestKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tenant()
	p := w.plan(a, w.deployed(a, "prod"), nil)
	k := w.key(a, p.ID)
	if !strings.HasPrefix(k.Value, "tg_live_") || model.CheckKeyValue(k.Value) != nil || k.Prefix != "tg_live_" ||
		k.Last4 != k.Value[len(k.Value)-4:] || len(k.Plans) != 1 || k.Plans[0].Plan != "Gold" || !k.Enabled {
		t.Errorf("key %+v", k)
	}
	test, err := w.CreateKey(w.ctx, a, control.NewKey{Name: "test", Test: true})
	w.must(err)
	if !strings.HasPrefix(test.Value, "tg_test_") || test.Enabled {
		t.Errorf("test key %+v", test)
	}
	own, err := w.CreateKey(w.ctx, a, control.NewKey{Value: "aws-style-value-0123456789"})
	w.must(err)
	_, err = w.CreateKey(w.ctx, a, control.NewKey{Value: own.Value})
	w.refused(err, model.Conflict, "in use already")
	_, err = w.CreateKey(w.ctx, w.tenant(), control.NewKey{Value: own.Value})
	w.must(err) // another tenant's key may have the same value
	_, err = w.CreateKey(w.ctx, a, control.NewKey{Value: "short"})
	w.refused(err, model.Invalid, "20 to 128")
	_, err = w.CreateKey(w.ctx, a, control.NewKey{Value: k.Value[:45] + "!"})
	w.refused(err, model.Invalid, "checksum")
	_, err = w.CreateKey(w.ctx, a, control.NewKey{PlanIDs: []string{"nosuch"}})
	w.refused(err, model.NotFound, "nosuch")

	for match, want := range map[string]int{"": 3, "a KEY": 1, k.Value: 1, own.Last4: 1, "nothing": 0} {
		l, err := w.Keys(w.ctx, a, control.KeyFilter{Page: control.Page{Match: match}})
		w.must(err)
		if len(l.Items) != want {
			t.Errorf("match %q gives %d keys, want %d", match, len(l.Items), want)
		}
	}
	l, err := w.Keys(w.ctx, a, control.KeyFilter{PlanID: p.ID})
	w.must(err)
	if len(l.Items) != 1 || l.Items[0].ID != k.ID {
		t.Errorf("keys of the plan: %+v", l)
	}

	w.must(w.SetKeyEnabled(w.ctx, a, k.ID, false))
	got, err := w.Key(w.ctx, a, k.ID)
	w.must(err)
	if got.Enabled {
		t.Error("still enabled")
	}
	w.must(w.DeleteKey(w.ctx, a, own.ID))
	_, err = w.Key(w.ctx, a, own.ID)
	w.refused(err, model.NotFound, own.ID)
	again, err := w.CreateKey(w.ctx, a, control.NewKey{Value: own.Value})
	w.must(err)
	if again.Num == own.Num {
		t.Error("a deleted key's number was given out again")
	}
	// No value is anywhere in the database.
	var rows string
	w.all(`select string_agg(k::text, ' ') from api_key k`, &rows)
	if strings.Contains(rows, k.Value) || strings.Contains(rows, own.Value) {
		t.Error("a key's value is stored")
	}
}

func TestImportKeysAllOrNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tenant()
	p := w.plan(a, w.deployed(a, "prod"), nil)
	old := w.key(a)
	n := control.SharedNode("n1")
	at := w.changes(n, hello(0)).Revision
	fresh := control.NewKey{Name: "fresh", Value: model.NewKeyValue(true), Enabled: true}

	_, err := w.ImportKeys(w.ctx, a, p.ID, []control.NewKey{fresh, {Value: old.Value}})
	w.refused(err, model.Conflict, "in use already")
	_, err = w.ImportKeys(w.ctx, a, p.ID, []control.NewKey{fresh, fresh})
	w.refused(err, model.Conflict, "keys 1 and 2")
	_, err = w.ImportKeys(w.ctx, a, p.ID, []control.NewKey{{}})
	w.refused(err, model.Invalid, "key 1")
	_, err = w.ImportKeys(w.ctx, a, p.ID, []control.NewKey{{Value: fresh.Value, PlanIDs: []string{p.ID}}})
	w.refused(err, model.Invalid, "one plan")
	_, err = w.ImportKeys(w.ctx, a, "nosuch", []control.NewKey{fresh})
	w.refused(err, model.NotFound, "nosuch")
	if c := w.changes(n, hello(at)); !c.Empty() {
		t.Errorf("refused imports told nodes %+v", c)
	}

	count, err := w.ImportKeys(w.ctx, a, p.ID, []control.NewKey{fresh, {Value: model.NewKeyValue(true)}})
	w.must(err)
	c := w.changes(n, hello(at))
	if count != 2 || len(c.Keys) != 2 || len(c.Keys[0].Subscriptions) != 1 || c.Keys[0].Subscriptions[0].PlanID != p.ID || !c.Keys[0].Enabled || c.Keys[1].Enabled {
		t.Errorf("%d imported; nodes were told %+v", count, c)
	}
	count, err = w.ImportKeys(w.ctx, a, "", nil)
	w.must(err)
	if count != 0 {
		t.Errorf("imported %d of nothing", count)
	}
}
