package control_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"tollgate/control"
	"tollgate/model"
)

// app is an app of a developer on the portal, made with the developer.
func (w *world) app(a control.Actor, email string) string {
	w.Helper()
	id := "d" + model.NewID(9)
	w.exec(`insert into developer (tenant_id, developer_id, email, name, password_hash) values ($1, $2, $3, 'Dev', '!')`, a.Tenant, id, email)
	return w.appOf(a, id)
}

func (w *world) appOf(a control.Actor, developer string) string {
	w.Helper()
	id := "a" + model.NewID(9)
	w.exec(`insert into app (tenant_id, app_id, developer_id, name) values ($1, $2, $3, 'An app')`, a.Tenant, id, developer)
	return id
}

// An app's subscription is one thing that its keys share: keys come and go, the
// subscription stays, and ending it ends them all.
func TestAppSubscriptions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tenant()
	prod, dev := w.deployed(a, "prod"), w.deployed(a, "dev")
	gold, silver, other := w.plan(a, prod, nil), w.plan(a, prod, nil), w.plan(a, dev, nil)
	app := w.app(a, "dev@example.com")
	n := control.SharedNode("n1")
	var node shadow

	s, err := control.SubscribeApp(w.ctx, w.Plane, a, app, gold.ID)
	w.must(err)
	_, err = control.SubscribeApp(w.ctx, w.Plane, a, app, gold.ID)
	w.refused(err, model.Conflict, "already")
	_, err = control.SubscribeApp(w.ctx, w.Plane, a, "nosuch", gold.ID)
	w.refused(err, model.NotFound, "nosuch")
	_, err = control.SubscribeApp(w.ctx, w.Plane, a, app, "nosuch")
	w.refused(err, model.NotFound, "nosuch")
	w.refused(w.DeletePlan(w.ctx, a, gold.ID), model.Conflict, "1 developers' apps")

	k1, err := control.AddAppKey(w.ctx, w.Plane, a, s)
	w.must(err)
	k2, err := control.AddAppKey(w.ctx, w.Plane, a, s)
	w.must(err)
	w.follow(&node, n)
	subs := func(k control.CreatedKey) []model.SubscriptionConfig { return node.keys[k.Num].Subscriptions }
	if len(subs(k1)) != 1 || subs(k1)[0] != subs(k2)[0] || subs(k1)[0].ID != s.ID {
		t.Errorf("keys of one app: %+v, %+v", subs(k1), subs(k2))
	}
	w.refused(w.Unsubscribe(w.ctx, a, k1.ID, gold.ID), model.Conflict, "app")
	_, err = w.MoveKey(w.ctx, a, k1.ID, gold.ID, silver.ID)
	w.refused(err, model.Conflict, "app")
	_, err = w.Subscribe(w.ctx, a, k1.ID, silver.ID)
	w.refused(err, model.Conflict, "two plans")

	// A key goes; the other and the subscription stay.
	w.must(w.DeleteKey(w.ctx, a, k1.ID))
	w.follow(&node, n)
	if _, there := node.keys[k1.Num]; there || len(subs(k2)) != 1 {
		t.Errorf("after deleting one of two keys: %+v", node.keys)
	}
	p, err := w.Plan(w.ctx, a, gold.ID)
	w.must(err)
	if p.Keys != 1 || p.Subscriptions != 1 {
		t.Errorf("plan %+v", p)
	}

	// Another plan: the same key, a subscription of its own number.
	moved, err := control.SwitchPlan(w.ctx, w.Plane, a, s.ID, silver.ID)
	w.must(err)
	w.follow(&node, n)
	w.same(&node, n)
	if moved.ID == s.ID || len(subs(k2)) != 1 || subs(k2)[0] != (model.SubscriptionConfig{ID: moved.ID, PlanID: silver.ID}) {
		t.Errorf("after the change of plan: %+v, %+v", moved, subs(k2))
	}
	_, err = control.SwitchPlan(w.ctx, w.Plane, a, s.ID, gold.ID)
	w.refused(err, model.NotFound, "no running")
	_, err = control.SwitchPlan(w.ctx, w.Plane, a, moved.ID, silver.ID)
	w.refused(err, model.Conflict, "already")
	own := w.key(a, other.ID)
	_, err = control.SwitchPlan(w.ctx, w.Plane, a, own.Plans[0].Subscription, gold.ID)
	w.refused(err, model.Conflict, "key's own")
	w.refused(w.EndSubscription(w.ctx, a, own.Plans[0].Subscription), model.NotFound, "of an app")

	// A switch that would give a key two plans for a stage changes nothing.
	both, err := control.SubscribeApp(w.ctx, w.Plane, a, app, other.ID)
	w.must(err)
	_, err = w.UpdatePlan(w.ctx, a, gold.ID, func(spec *control.PlanSpec) error {
		spec.Stages = append(spec.Stages, model.PlanStage{APIID: dev.Stage.APIID, Stage: "dev"})
		return nil
	})
	w.must(err)
	k3, err := control.AddAppKey(w.ctx, w.Plane, a, both)
	w.must(err)
	w.exec(`insert into subscription_key (tenant_id, subscription_id, key_num) values ($1, $2, $3)`, a.Tenant, int64(both.ID), k2.Num)
	before := w.dump(a)
	_, err = control.SwitchPlan(w.ctx, w.Plane, a, moved.ID, gold.ID)
	w.refused(err, model.Conflict, "two plans")
	if w.dump(a) != before {
		t.Error("a refused change of plan left something")
	}
	w.must(w.EndSubscription(w.ctx, a, both.ID))

	w.must(w.EndSubscription(w.ctx, a, moved.ID))
	w.refused(w.EndSubscription(w.ctx, a, moved.ID), model.NotFound, "no running")
	w.follow(&node, n)
	w.same(&node, n)
	if len(subs(k2)) != 0 || len(subs(k3)) != 0 {
		t.Errorf("after the end: %+v, %+v", subs(k2), subs(k3))
	}
}

func TestCustomers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tenant()
	p, err := w.CreatePlan(w.ctx, a, control.PlanSpec{Name: "Gold", Price: priced("10", "0.002"),
		Stages: []model.PlanStage{{APIID: w.deployed(a, "prod").Stage.APIID, Stage: "prod"}}})
	w.must(err)
	app := w.app(a, "Bea@example.com")
	w.app(a, "cid@example.com")
	w.app(a, "al@example.com")
	s, err := control.SubscribeApp(w.ctx, w.Plane, a, app, p.ID)
	w.must(err)
	k, err := control.AddAppKey(w.ctx, w.Plane, a, s)
	w.must(err)

	var emails []string
	for pg := (control.Page{Limit: 1}); ; {
		l, err := w.Customers(w.ctx, a, pg)
		w.must(err)
		for _, c := range l.Items {
			emails = append(emails, c.Email)
		}
		if pg.After = l.Next; l.Next == "" {
			break
		}
	}
	if got := strings.Join(emails, " "); got != "al@example.com Bea@example.com cid@example.com" {
		t.Errorf("by pages of one: %s", got)
	}
	l, err := w.Customers(w.ctx, a, control.Page{Match: "bea@"})
	w.must(err)
	if len(l.Items) != 1 || l.Items[0].Apps != 1 || l.Items[0].Subscriptions != 1 || l.Items[0].Keys != 1 || l.Items[0].Disabled {
		t.Fatalf("found %+v", l.Items)
	}
	bea := l.Items[0]
	w.reprice(a, p.ID, priced("11", "0.002"))
	c, err := w.Customer(w.ctx, a, bea.ID)
	w.must(err)
	if c.Customer != bea || len(c.Held) != 1 || len(c.Held[0].Subscriptions) != 1 || len(c.Held[0].Loose) != 0 {
		t.Fatalf("developer %+v", c)
	}
	if u := c.Held[0].Subscriptions[0]; u.ID != s.ID || u.Plan != "Gold" || u.Version != 1 || u.Current || u.Price.MonthlyFee != "10" ||
		len(u.Keys) != 1 || u.Keys[0].ID != k.ID || !u.Keys[0].Enabled {
		t.Errorf("subscription %+v", u)
	}
	if got, err := w.Key(w.ctx, a, k.ID); err != nil || got.Holder == nil || got.Holder.Developer != "Bea@example.com" || got.Holder.App != "An app" {
		t.Errorf("key %+v, %v", got, err)
	}

	// Disabled: signed out, and no key is let in, on all nodes; and back.
	n := control.SharedNode("n1")
	var node shadow
	w.follow(&node, n)
	session := func(of string) []byte {
		h := sha256.Sum256([]byte(of))
		w.must(w.SaveSession(w.ctx, h[:], control.Session{Realm: control.RealmPortal, Subject: of, Tenant: a.Tenant}))
		return h[:]
	}
	mine := session(bea.ID)
	_, err = w.Visitor(w.ctx, control.RealmPortal, mine)
	w.must(err)
	w.must(w.SetCustomerDisabled(w.ctx, a, bea.ID, true))
	if c := w.follow(&node, n); len(c.Keys) != 1 || c.Keys[0].Enabled {
		t.Errorf("nodes were told %+v", c)
	}
	w.same(&node, n)
	_, err = w.Visitor(w.ctx, control.RealmPortal, mine)
	w.refused(err, model.Unauthenticated, "sign in")
	if got, err := w.KeyDetail(w.ctx, a, k.ID); err != nil || !got.Holder.Disabled || !got.Enabled {
		t.Errorf("key %+v, %v", got, err)
	}
	_, err = control.SubscribeApp(w.ctx, w.Plane, a, w.appOf(a, bea.ID), p.ID)
	w.refused(err, model.Conflict, "disabled")
	w.must(w.SetCustomerDisabled(w.ctx, a, bea.ID, false))
	if c := w.follow(&node, n); len(c.Keys) != 1 || !c.Keys[0].Enabled {
		t.Errorf("nodes were told %+v", c)
	}
	w.refused(w.SetCustomerDisabled(w.ctx, a, "nosuch", true), model.NotFound, "nosuch")

	// Overdue, keys open nothing, but where the plan or the seller lets them go on.
	opens := func(want int) {
		t.Helper()
		if c := w.follow(&node, n); len(c.Keys) != 1 || len(c.Keys[0].Subscriptions) != want || !c.Keys[0].Enabled {
			t.Errorf("nodes were told %+v, want %d subscriptions", c, want)
		}
		w.same(&node, n)
	}
	w.must(w.SetOverdue(w.ctx, a.Tenant, bea.ID, true))
	opens(0)
	unpaid := func(rule string) {
		t.Helper()
		_, err := w.UpdatePlan(w.ctx, a, p.ID, func(s *control.PlanSpec) error { s.Unpaid = rule; return nil })
		w.must(err)
	}
	unpaid(model.KeepAccess)
	opens(1)
	unpaid("")
	opens(0)
	w.exec(`update tenant set billing_rules = '{"unpaid":"keep"}'`)
	w.must(w.SetOverdue(w.ctx, a.Tenant, bea.ID, true))
	opens(1)
	unpaid(model.SuspendAccess)
	opens(0)
	_, err = w.UpdatePlan(w.ctx, a, p.ID, func(s *control.PlanSpec) error { s.Unpaid = "x"; return nil })
	w.refused(err, model.Invalid, "access without payment")
	if c, err := w.Customer(w.ctx, a, bea.ID); err != nil || c.OverdueAt.IsZero() {
		t.Errorf("customer %+v, %v", c.Customer, err)
	}
	w.must(w.SetOverdue(w.ctx, a.Tenant, bea.ID, false))
	opens(1)
	w.refused(w.SetOverdue(w.ctx, a.Tenant, "nosuch", true), model.NotFound, "nosuch")
	_, err = w.Customer(w.ctx, a, "nosuch")
	w.refused(err, model.NotFound, "nosuch")

	// Its subscription ended, a key opens nothing and is listed as such.
	w.must(w.EndSubscription(w.ctx, a, s.ID))
	c, err = w.Customer(w.ctx, a, bea.ID)
	w.must(err)
	for _, h := range c.Held {
		if h.ID == app && (len(h.Subscriptions) != 0 || len(h.Loose) != 1 || h.Loose[0].ID != k.ID) {
			t.Errorf("app %+v", h)
		}
	}
}

// What a key opens, and what it does not, is told with the reason at hand.
func TestKeyDetail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tenant()
	prod, dev := w.deployed(a, "prod"), w.deployed(a, "dev")
	p := w.plan(a, prod, &model.Quota{Limit: 100, Period: model.Day})
	k := w.key(a, p.ID)
	d, err := w.KeyDetail(w.ctx, a, k.ID)
	w.must(err)
	if len(d.Uses) != 1 || len(d.Uses[0].Opens) != 1 || d.Uses[0].Opens[0].APIID != prod.Stage.APIID ||
		len(d.Closed) != 1 || d.Closed[0].APIID != dev.Stage.APIID || d.Uses[0].Given != 0 || !d.Uses[0].WindowEnd.After(d.Uses[0].WindowStart) {
		t.Errorf("detail %+v", d)
	}
	r := model.LeaseRequest{Boot: "boot-1", Tenant: a.Tenant, Subscription: d.Uses[0].Subscription, At: d.Uses[0].WindowStart, Want: 7}
	w.lease(r)
	if u := w.subscription(a, k.ID); u.Given != 7 {
		t.Errorf("given %d of the quota", u.Given)
	}
	w.must(w.Unsubscribe(w.ctx, a, k.ID, p.ID))
	d, err = w.KeyDetail(w.ctx, a, k.ID)
	w.must(err)
	if len(d.Uses) != 0 || len(d.Closed) != 2 {
		t.Errorf("without a plan %+v", d)
	}
	_, err = w.KeyDetail(w.ctx, a, "nosuch")
	w.refused(err, model.NotFound, "nosuch")
}

// Leaving a plan and coming back gives a developer nothing twice: not the quota,
// and within a month not the included calls either.
func TestComingBackToAPlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tenant()
	d := w.deployed(a, "prod")
	spec := control.PlanSpec{Name: "Free", Price: priced("0", "0.01"), Quota: &model.Quota{Limit: 10, Period: model.Month},
		Stages: []model.PlanStage{{APIID: d.Stage.APIID, Stage: "prod"}}}
	p, err := w.CreatePlan(w.ctx, a, spec)
	w.must(err)
	app := w.app(a, "dev@example.com")
	var developer string
	w.all("select developer_id from app where app_id = '"+app+"'", &developer)
	other := w.appOf(a, developer)
	n := control.SharedNode("n1")
	var node shadow
	subscribe := func(app string) control.Subscription {
		t.Helper()
		s, err := control.SubscribeApp(w.ctx, w.Plane, a, app, p.ID)
		w.must(err)
		return s
	}
	ledger := func(s control.Subscription) (l uint64) {
		w.all(fmt.Sprintf("select ledger_id from subscription where subscription_id = %d", s.ID), &l)
		return l
	}
	take := func(s control.Subscription) int64 {
		return w.lease(model.LeaseRequest{Boot: "boot-1", Tenant: a.Tenant, Subscription: ledger(s), At: time.Now(), Want: 10})[0].Granted
	}

	first := subscribe(app)
	k, err := control.AddAppKey(w.ctx, w.Plane, a, first)
	w.must(err)
	var used int64
	for g := take(first); g > 0; g = take(first) {
		used += g
	}
	if used != 10 {
		t.Fatalf("%d of 10 were granted", used)
	}
	w.must(w.EndSubscription(w.ctx, a, first.ID))
	w.follow(&node, n)
	if subs := node.keys[k.Num].Subscriptions; len(subs) != 0 {
		t.Errorf("the key still has %+v", subs)
	}

	// The same app in the same month: the same subscription, with its key.
	again := subscribe(app)
	w.follow(&node, n)
	w.same(&node, n)
	if again.ID != first.ID || !again.StartedAt.Equal(first.StartedAt) || len(node.keys[k.Num].Subscriptions) != 1 || take(again) != 0 {
		t.Errorf("back with %+v, was %+v; the key has %+v", again, first, node.keys[k.Num].Subscriptions)
	}

	// Another app beside it: a subscription of its own, with a quota of its own.
	beside := subscribe(other)
	if beside.ID == again.ID || ledger(beside) != beside.ID || take(beside) == 0 {
		t.Errorf("beside it %+v", beside)
	}
	w.must(w.EndSubscription(w.ctx, a, beside.ID))

	// An app that is deleted leaves its subscription to the next.
	w.must(w.EndSubscription(w.ctx, a, again.ID))
	w.exec(`update app set deleted_at = now() where app_id = $1`, app)
	next := w.appOf(a, developer)
	if s := subscribe(next); s.ID != first.ID || take(s) != 0 {
		t.Errorf("a new app in its stead has %+v", s)
	}
	// The last one free is another app's, which is there: its quota goes on, no more.
	if s := subscribe(w.appOf(a, developer)); s.ID == beside.ID || ledger(s) != beside.ID {
		t.Errorf("a third app has %+v of ledger %d", s, ledger(s))
	}
	// Nobody else's is touched.
	if s := subscribe(w.app(a, "another@example.com")); ledger(s) != s.ID || take(s) == 0 {
		t.Errorf("another developer has %+v of ledger %d", s, ledger(s))
	}

	// At another price, and in another month, it is another subscription; the quota
	// goes on as long as its window may.
	w.must(w.EndSubscription(w.ctx, a, first.ID))
	w.reprice(a, p.ID, priced("1", "0.01"))
	dearer := subscribe(next)
	if dearer.ID == first.ID || ledger(dearer) != first.ID || take(dearer) != 0 {
		t.Errorf("at another price %+v of ledger %d", dearer, ledger(dearer))
	}
	w.must(w.EndSubscription(w.ctx, a, dearer.ID))
	w.exec(`update subscription set ended_at = date_trunc('month', now(), 'UTC') - interval '1 day' where subscription_id = $1`, int64(dearer.ID))
	w.exec(`update subscription set ended_at = now() - interval '71 days' where subscription_id = $1`, int64(first.ID))
	later := subscribe(next)
	if later.ID == dearer.ID || ledger(later) != first.ID {
		t.Errorf("a month later %+v of ledger %d", later, ledger(later))
	}
	w.must(w.EndSubscription(w.ctx, a, later.ID))
	w.exec(`update subscription set ended_at = now() - interval '71 days' where ended_at is not null`)
	if s := subscribe(next); ledger(s) != s.ID || take(s) == 0 {
		t.Errorf("long after %+v of ledger %d", s, ledger(s))
	}
}
