package control_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"tollgate/control"
	"tollgate/migrations/pgtest"
	"tollgate/model"
)

// shadow is what a node has after applying changes.
type shadow struct {
	rev     uint64
	stamp   string
	tenants map[uint32]model.TenantConfig
	stages  map[uint32]model.StageConfig
	plans   map[string]model.PlanConfig
	keys    map[uint32]model.KeyConfig
	signers map[uint32]model.SignersConfig
}

func (s *shadow) apply(c *model.Changes) {
	if c.Full || s.tenants == nil {
		*s = shadow{tenants: map[uint32]model.TenantConfig{}, stages: map[uint32]model.StageConfig{},
			plans: map[string]model.PlanConfig{}, keys: map[uint32]model.KeyConfig{}, signers: map[uint32]model.SignersConfig{}}
	}
	s.rev, s.stamp = c.Revision, c.Stamp
	put(s.tenants, c.Tenants, func(t model.TenantConfig) (uint32, bool) { return t.Num, t.Deleted })
	put(s.stages, c.Stages, func(t model.StageConfig) (uint32, bool) { return t.Num, t.Deleted })
	put(s.plans, c.Plans, func(t model.PlanConfig) (string, bool) { return t.ID, t.Deleted })
	put(s.keys, c.Keys, func(t model.KeyConfig) (uint32, bool) { return t.Num, t.Deleted })
	put(s.signers, c.Signers, func(t model.SignersConfig) (uint32, bool) { return t.Tenant, t.Deleted })
}

func put[K comparable, V any](m map[K]V, vs []V, key func(V) (K, bool)) {
	for _, v := range vs {
		if k, deleted := key(v); deleted {
			delete(m, k)
		} else {
			m[k] = v
		}
	}
}

// follow brings a shadow up to date.
func (w *world) follow(s *shadow, n control.NodeIdentity) *model.Changes {
	w.Helper()
	h := hello(s.rev)
	h.Stamp = s.stamp
	c := w.changes(n, h)
	s.apply(c)
	return c
}

// same checks that following in steps led to what a fresh node is told.
func (w *world) same(s *shadow, n control.NodeIdentity) {
	w.Helper()
	var fresh shadow
	fresh.apply(w.changes(n, hello(0)))
	if d := cmp.Diff(fresh, *s, cmp.AllowUnexported(shadow{})); d != "" {
		w.Errorf("a fresh node (-) and one that followed (+) differ:\n%s", d)
	}
}

func TestChangesLeadToWhatAFreshNodeIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := control.SharedNode("n1")
	var s shadow
	if c := w.follow(&s, n); !c.Full || c.Revision == 0 {
		t.Errorf("first answer %+v", c)
	}
	a := w.tenant()
	d := w.deployed(a, "prod")
	p := w.plan(a, d, &model.Quota{Limit: 10, Period: model.Day})
	k := w.key(a, p.ID)
	c := w.follow(&s, n)
	if c.Full || len(c.Tenants) != 1 || len(c.Stages) != 1 || len(c.Plans) != 1 || len(c.Keys) != 1 {
		t.Fatalf("changes %+v", c)
	}
	hash := model.KeyHash(k.Value)
	if string(c.Keys[0].Hash) != string(hash[:]) || c.Keys[0].Subscriptions[0].ID != k.Plans[0].Subscription ||
		c.Plans[0].Quota.Limit != 10 || c.Plans[0].Stages[0].Stage != "prod" || c.Stages[0].DeploymentID != d.Deployment.ID ||
		c.Tenants[0].AccountID != a.AccountID {
		t.Errorf("changes %+v", c)
	}
	w.same(&s, n)
	if c = w.follow(&s, n); !c.Empty() {
		t.Errorf("nothing changed, but %+v", c)
	}
	for _, do := range []func(){
		func() { w.must(w.SetKeyEnabled(w.ctx, a, k.ID, false)) },
		func() {
			_, err := w.SetStageThrottle(w.ctx, a, d.Stage.APIID, "prod", &model.Throttle{Rate: 1})
			w.must(err)
		},
		func() { w.must(w.Unsubscribe(w.ctx, a, k.ID, p.ID)) },
		func() { w.must(w.DeleteKey(w.ctx, a, k.ID)) },
		func() { w.must(w.DeletePlan(w.ctx, a, p.ID)) },
		func() { w.must(w.DeleteStage(w.ctx, a, d.Stage.APIID, "prod")) },
	} {
		do()
		if c := w.follow(&s, n); c.Empty() || c.Full {
			t.Errorf("changes %+v", c)
		}
		w.same(&s, n)
	}
	// A revision that was never given out (a restored database): all anew.
	if c := w.changes(n, hello(1<<40)); !c.Full {
		t.Errorf("from the future: %+v", c)
	}
}

// A backup that is restored gives out once more the revisions that came after it. A node
// that has those of before takes all anew, wherever the new ones have come to meanwhile.
func TestRestoredDatabaseIsTakenAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := control.SharedNode("n1")
	a := w.tenant()
	w.key(a, w.plan(a, w.deployed(a, "prod"), nil).ID)
	const forgotten = 3 // revisions that the backup does not know
	cases := []int{0, forgotten - 1, forgotten, forgotten + 2}
	nodes, backups := make([]shadow, len(cases)), make([]*pgxpool.Pool, len(cases))
	for i := range cases {
		w.follow(&nodes[i], n)
		backups[i] = pgtest.Copy(t, w.pool)
	}
	for range forgotten {
		w.key(a)
	}
	for i, since := range cases {
		node := &nodes[i]
		before := node.rev
		if c := w.follow(node, n); c.Full || node.rev != before+forgotten {
			t.Fatalf("from revision %d to %d, all of it: %v", before, node.rev, c.Full)
		}
		restored := newWorldWith(t, control.Options{Pool: backups[i]})
		for range since {
			restored.key(a)
		}
		if c := restored.follow(node, n); !c.Full || node.rev != before+uint64(since) {
			t.Errorf("%d revisions after the backup: at %d, all of it: %v", since, node.rev, c.Full)
		}
		restored.same(node, n)
		restored.key(a)
		if c := restored.follow(node, n); c.Full || len(c.Keys) != 1 {
			t.Errorf("one change later: %d keys, all of it: %v", len(c.Keys), c.Full)
		}
		restored.same(node, n)
	}
}

func TestPrunedChangesAreSentInFull(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tenant()
	n := control.SharedNode("n1")
	at := w.changes(n, hello(0)).Revision
	w.key(a)
	tx, err := w.pool.Begin(w.ctx)
	w.must(err)
	_, err = tx.Exec(w.ctx, `select set_config('tollgate.tenant', '*', true)`)
	w.must(err)
	_, err = tx.Exec(w.ctx, `update feed_change set at = at - interval '2 days'`)
	w.must(err)
	w.must(tx.Commit(w.ctx))
	w.must(w.Prune(w.ctx))
	if c := w.changes(n, hello(at)); !c.Full || len(c.Keys) != 1 {
		t.Errorf("behind the pruned changes: %+v", c)
	}
	w.key(a)
	if c := w.changes(n, hello(at+1)); c.Full || len(c.Keys) != 1 {
		t.Errorf("not behind the pruned changes: %+v", c)
	}
}

// wokenWithin is less than the ten seconds after which those who were not woken look again
// where notifications come in, and more than a busy machine takes to wake them.
const wokenWithin = 8 * time.Second

// A change wakes those who wait for it, with the listener and (more slowly)
// without it.
func TestChangesWake(t *testing.T) {
	t.Parallel()
	for _, listening := range []bool{true, false} {
		t.Run(fmt.Sprintf("listening=%v", listening), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if listening {
				w.started()
			}
			a := w.tenant()
			k := w.key(a)
			n := control.SharedNode("n1")
			at := w.changes(n, hello(0)).Revision
			for i := range 5 {
				got := make(chan *model.Changes, 1)
				go func() {
					c, err := w.Changes(w.ctx, n, model.NodeHello{Boot: "boot-1", Applied: at, Wait: 20 * time.Second})
					if err != nil {
						t.Error(err)
					}
					got <- c
				}()
				w.must(w.SetKeyEnabled(w.ctx, a, k.ID, i%2 == 0))
				began := time.Now()
				c := <-got
				if took := time.Since(began); took > wokenWithin {
					t.Errorf("woken after %v", took)
				}
				if len(c.Keys) != 1 || c.Keys[0].Enabled != (i%2 == 0) {
					t.Errorf("woken with %+v", c)
				}
				at = c.Revision
			}
		})
	}
}

// The listener's connection is lost: nodes still hear of changes, and it comes back.
func TestListenerComesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t).started()
	a := w.tenant()
	n := control.SharedNode("n1")
	at := w.changes(n, hello(0)).Revision
	for range 3 {
		_, err := w.pool.Exec(w.ctx, `select pg_terminate_backend(pid) from pg_stat_activity
			where datname = current_database() and query like 'listen %' and pid <> pg_backend_pid()`)
		w.must(err)
		w.key(a)
		c, err := w.Changes(w.ctx, n, model.NodeHello{Boot: "boot-1", Applied: at, Wait: 20 * time.Second})
		w.must(err)
		if len(c.Keys) != 1 {
			t.Errorf("told %+v", c)
		}
		at = c.Revision
		for listening := 0; listening == 0; {
			w.must(w.pool.QueryRow(w.ctx, `select count(*) from pg_stat_activity
				where datname = current_database() and query like 'listen %' and pid <> pg_backend_pid()`).Scan(&listening))
		}
	}
}

func TestNothingNewAnswersAfterTheWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := control.SharedNode("n1")
	at := w.changes(n, hello(0)).Revision
	c, err := w.Changes(w.ctx, n, model.NodeHello{Boot: "boot-1", Applied: at, Wait: time.Millisecond})
	w.must(err)
	if !c.Empty() || c.Revision < at {
		t.Errorf("answer %+v", c)
	}
	_, err = w.Changes(w.ctx, n, model.NodeHello{})
	w.refused(err, model.Invalid, "boot")
	_, err = w.Changes(w.ctx, n, model.NodeHello{Boot: "b", Node: "../x"})
	w.refused(err, model.Invalid, "node name")
}

// Revisions become visible in their order: a node that follows while many write
// ends up with what a fresh one is told.
func TestFollowingConcurrentWritersMissesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t).started()
	n := control.SharedNode("n1")
	const writers, writes = 8, 30
	var wg sync.WaitGroup
	for range writers {
		a := w.tenant()
		wg.Go(func() {
			var keys []control.CreatedKey
			for range writes {
				switch r := rand.IntN(10); {
				case r < 5 || len(keys) == 0:
					k, err := w.CreateKey(w.ctx, a, control.NewKey{Name: "k", Enabled: true})
					if err != nil {
						t.Error(err)
						return
					}
					keys = append(keys, k)
				case r < 8:
					if err := w.SetKeyEnabled(w.ctx, a, keys[rand.IntN(len(keys))].ID, r == 7); err != nil {
						t.Error(err)
					}
				default:
					if err := w.DeleteKey(w.ctx, a, keys[0].ID); err != nil {
						t.Error(err)
					}
					keys = keys[1:]
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	var s shadow
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		before := s.rev
		w.follow(&s, n)
		if s.rev < before {
			t.Fatalf("revision went from %d to %d", before, s.rev)
		}
	}
	w.same(&s, n)
}

// The feed gives a node nothing it may not have.
func TestGatewaysSeeOnlyWhatTheyServe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	op := control.Operator()
	a, b := w.tenant(), w.tenant()
	quota := &model.Quota{Limit: 10, Period: model.Day}
	da, db := w.deployed(a, "prod"), w.deployed(b, "prod")
	ka, kb := w.key(a, w.plan(a, da, quota).ID), w.key(b, w.plan(b, db, quota).ID)
	_, err := w.CreateGateway(w.ctx, op, "own-a", a.AccountID)
	w.must(err)
	_, err = w.CreateGateway(w.ctx, op, "shared-2", "")
	w.must(err)
	token, err := w.CreateNodeToken(w.ctx, op, "own-a", "n1")
	w.must(err)
	own, err := w.AuthenticateNode(w.ctx, token)
	w.must(err)
	if own.Tenant != a.Tenant || own.GatewayName != "own-a" || own.Node != "n1" {
		t.Errorf("identity %+v", own)
	}
	token, err = w.CreateNodeToken(w.ctx, op, "shared-2", "n1")
	w.must(err)
	second, err := w.AuthenticateNode(w.ctx, token)
	w.must(err)
	first := control.SharedNode("n1")
	w.refused(w.MoveTenant(w.ctx, op, b.AccountID, "own-a"), model.Conflict, "dedicated to another")
	w.refused(w.MoveTenant(w.ctx, op, b.AccountID, "nosuch"), model.NotFound, "nosuch")

	lease := func(n control.NodeIdentity, a control.Actor, k control.CreatedKey) int64 {
		l, err := w.Leases(w.ctx, n, []model.LeaseRequest{{Boot: "x", Tenant: a.Tenant, Subscription: k.Plans[0].Subscription, At: time.Now(), Want: 1}})
		w.must(err)
		return l[0].Granted
	}
	shadows := map[control.NodeIdentity]*shadow{first: {}, second: {}, own: {}}
	check := func(when string, n control.NodeIdentity, hasA, hasB bool) {
		t.Helper()
		s := shadows[n]
		w.follow(s, n)
		w.same(s, n)
		for _, x := range []struct {
			a   control.Actor
			d   control.Deployed
			k   control.CreatedKey
			has bool
		}{{a, da, ka, hasA}, {b, db, kb, hasB}} {
			_, tenant := s.tenants[x.a.Tenant]
			_, stage := s.stages[x.d.Stage.Num]
			known, key := s.keys[x.k.Num]
			if key && known.ID != x.k.ID {
				t.Errorf("%s: key %s is known as %q", when, x.k.ID, known.ID)
			}
			_, plan := s.plans[x.k.Plans[0].PlanID]
			_, signers := s.signers[x.a.Tenant]
			_, err := w.Deployment(w.ctx, n, x.d.Deployment.ID)
			if err != nil {
				w.refused(err, model.NotFound, "deployment")
			}
			for what, has := range map[string]bool{"tenant": tenant, "stage": stage, "key": key, "plan": plan, "access keys": signers,
				"deployment": err == nil, "lease": lease(n, x.a, x.k) > 0} {
				if has != x.has {
					t.Errorf("%s: gateway %s has tenant %d's %s: %v, want %v", when, n.GatewayName, x.a.Tenant, what, has, x.has)
				}
			}
		}
	}
	check("at first", first, true, true)
	check("at first", second, false, false)
	check("at first", own, false, false)
	w.must(w.MoveTenant(w.ctx, op, a.AccountID, "own-a"))
	w.must(w.MoveTenant(w.ctx, op, b.AccountID, "shared-2"))
	w.key(a) // made after the move: the old gateway hears nothing of it
	c := w.changes(first, hello(shadows[first].rev))
	for _, k := range c.Keys {
		if !k.Deleted || k.Hash != nil || len(k.Subscriptions) != 0 {
			t.Errorf("the old gateway was told %+v", k)
		}
	}
	check("moved", first, false, false)
	check("moved", second, false, true)
	check("moved", own, true, false)
	w.must(w.MoveTenant(w.ctx, op, a.AccountID, "shared"))
	check("back", first, true, false)
	check("back", own, false, false)

	w.must(w.RevokeNodeTokens(w.ctx, op, "shared-2", "n1"))
	_, err = w.AuthenticateNode(w.ctx, token)
	w.refused(err, model.Unauthenticated, "revoked")
	w.refused(w.RevokeNodeTokens(w.ctx, op, "shared-2", "n1"), model.NotFound, "no token")
	_, err = w.CreateNodeToken(w.ctx, op, "nosuch", "n1")
	w.refused(err, model.NotFound, "nosuch")
	_, err = w.CreateNodeToken(w.ctx, op, "shared", "a b")
	w.refused(err, model.Invalid, "node name")
	made := control.NewNodeToken()
	w.must(w.AdmitNodeToken(w.ctx, op, "own-a", "n2", made))
	w.must(w.AdmitNodeToken(w.ctx, op, "own-a", "n2", made))
	if n, err := w.AuthenticateNode(w.ctx, made); err != nil || n.Node != "n2" || n.Tenant != a.Tenant {
		t.Errorf("admitted %+v, %v", n, err)
	}
	w.refused(w.AdmitNodeToken(w.ctx, op, "own-a", "n3", made), model.Conflict, "another node")
	w.refused(w.AdmitNodeToken(w.ctx, op, "shared", "n2", made), model.Conflict, "another node")
	w.refused(w.AdmitNodeToken(w.ctx, op, "own-a", "n2", "tgn_short"), model.Invalid, "40 to 128")
	w.refused(w.AdmitNodeToken(w.ctx, op, "nosuch", "n2", made), model.NotFound, "nosuch")
	w.refused(w.AdmitNodeToken(w.ctx, a, "own-a", "n2", made), model.Denied, "")
	_, err = w.CreateGateway(w.ctx, op, "shared", "")
	w.refused(err, model.Conflict, "this name")
	_, err = w.CreateGateway(w.ctx, op, "No", "")
	w.refused(err, model.Invalid, "lower-case")
	gs, err := w.Gateways(w.ctx, op)
	w.must(err)
	if len(gs) != 3 || gs[0].AccountID != a.AccountID || gs[0].Kind != "dedicated" {
		t.Errorf("gateways %+v", gs)
	}
}

// 100,000 keys: in by one import, out to a node in one answer.
func TestManyKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tenant()
	p := w.plan(a, w.deployed(a, "prod"), nil)
	keys := make([]control.NewKey, 100_000)
	for i := range keys {
		keys[i] = control.NewKey{Name: "bulk", Value: fmt.Sprintf("bulk-key-value-%012d", i), Enabled: true}
	}
	began := time.Now()
	_, err := w.ImportKeys(w.ctx, a, p.ID, keys)
	w.must(err)
	imported := time.Since(began)
	n := control.SharedNode("n1")
	began = time.Now()
	c := w.changes(n, hello(0))
	full := time.Since(began)
	if len(c.Keys) != len(keys) || len(c.Keys[99_999].Subscriptions) != 1 {
		t.Fatalf("a fresh node has %d keys", len(c.Keys))
	}
	l, err := w.Keys(w.ctx, a, control.KeyFilter{Page: control.Page{Limit: 1}})
	w.must(err)
	w.must(w.SetKeyEnabled(w.ctx, a, l.Items[0].ID, false))
	began = time.Now()
	c = w.changes(n, hello(c.Revision))
	if len(c.Keys) != 1 {
		t.Errorf("one change told %d keys", len(c.Keys))
	}
	t.Logf("100,000 keys: import %v, full snapshot %v, one change %v", imported, full, time.Since(began))
}
