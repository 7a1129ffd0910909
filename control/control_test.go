package control_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/control"
	"tollgate/migrations/pgtest"
	"tollgate/model"

	"github.com/jackc/pgx/v5/pgxpool"
)

// world is a plane on a database of its own, with tenants in it.
type world struct {
	testing.TB
	*control.Plane
	pool *pgxpool.Pool
	ctx  context.Context
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldWith(t, control.Options{AckTimeout: 50 * time.Millisecond})
}

func newWorldWith(t testing.TB, o control.Options) *world {
	t.Helper()
	if o.Pool == nil {
		o.Pool = pgtest.New(t)
	}
	o.SecretKey = bytes.Repeat([]byte{7}, 32)
	p, err := control.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return &world{t, p, o.Pool, t.Context()}
}

// started runs the plane's listener for the length of the test.
func (w *world) started() *world {
	w.Helper()
	w.must(w.Start(w.ctx))
	w.Cleanup(w.Stop)
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// wants that err is a refusal of a kind whose message holds text.
func (w *world) refused(err error, kind model.Kind, text string) {
	w.Helper()
	if model.KindOf(err) != kind || !strings.Contains(model.MessageOf(err), text) {
		w.Fatalf("got %v (kind %q), want kind %q with %q", err, model.KindOf(err), kind, text)
	}
}

var people atomic.Int64

// tenant is the owner of a new account.
func (w *world) tenant() control.Actor {
	w.Helper()
	n := people.Add(1)
	c, err := w.CreateTenant(w.ctx, control.Operator(), control.NewTenant{
		Email: fmt.Sprintf("owner%d@example.com", n), Name: fmt.Sprintf("Tenant %d", n)})
	w.must(err)
	a, err := w.Owner(w.ctx, c.AccountID)
	w.must(err)
	return a
}

const petsDocument = `openapi: 3.0.3
info: {title: Pets, version: "1"}
servers: [{url: "https://pets.example.com/v1"}]
paths:
  /pets:
    get: {responses: {"200": {description: ok}}}
    post: {responses: {"201": {description: made}}}
  /pets/{id}:
    get:
      parameters: [{name: id, in: path, required: true, schema: {type: string}}]
      responses: {"200": {description: ok}}
`

// api imports a small API.
func (w *world) api(a control.Actor) control.API {
	w.Helper()
	in, err := w.ImportAPI(w.ctx, a, control.ImportAPI{Source: []byte(petsDocument), SourceName: "pets.yaml"})
	w.must(err)
	return in.API
}

// deployed is an API on a stage.
func (w *world) deployed(a control.Actor, stage string) control.Deployed {
	w.Helper()
	d, err := w.Deploy(w.ctx, a, control.Deploy{APIID: w.api(a).ID, Stage: stage})
	w.must(err)
	return d
}

// plan is a usage plan for a stage.
func (w *world) plan(a control.Actor, d control.Deployed, quota *model.Quota) control.Plan {
	w.Helper()
	p, err := w.CreatePlan(w.ctx, a, control.PlanSpec{Name: "Gold", Quota: quota,
		Stages: []model.PlanStage{{APIID: d.Stage.APIID, Stage: d.Stage.Name}}})
	w.must(err)
	return p
}

func (w *world) key(a control.Actor, plans ...string) control.CreatedKey {
	w.Helper()
	k, err := w.CreateKey(w.ctx, a, control.NewKey{Name: "A key", Enabled: true, PlanIDs: plans})
	w.must(err)
	return k
}

// hello is a first or later question of a node that does not wait.
func hello(applied uint64) model.NodeHello { return model.NodeHello{Boot: "boot-1", Applied: applied} }

func (w *world) changes(n control.NodeIdentity, h model.NodeHello) *model.Changes {
	w.Helper()
	c, err := w.Changes(w.ctx, n, h)
	w.must(err)
	return c
}

// all reads one row as the operator does, past row-level security.
func (w *world) all(sql string, into ...any) {
	w.Helper()
	tx, err := w.pool.Begin(w.ctx)
	w.must(err)
	defer tx.Rollback(w.ctx)
	_, err = tx.Exec(w.ctx, `select set_config('tollgate.tenant', '*', true)`)
	w.must(err)
	w.must(tx.QueryRow(w.ctx, sql).Scan(into...))
}

// contextUntil ends with done.
func contextUntil(ctx context.Context, done <-chan struct{}) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() { <-done; cancel() }()
	return ctx
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	if _, err := control.New(control.Options{}); err == nil {
		t.Error("no pool was accepted")
	}
	if _, err := control.New(control.Options{Pool: new(pgxpool.Pool), SecretKey: []byte("short")}); err == nil {
		t.Error("a short key was accepted")
	}
}

// The start and stop contract: any order, any number of times, from anywhere.
func TestStartStopStress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Stop()
	done := make(chan error, 8)
	for range cap(done) {
		go func() {
			var err error
			for range 5 {
				err = errors.Join(err, w.Start(w.ctx))
				w.Stop()
			}
			done <- err
		}()
	}
	for range cap(done) {
		w.must(<-done)
	}
	listening := -1 // a backend takes a moment to see that its client has gone
	for deadline := time.Now().Add(15 * time.Second); listening != 0 && time.Now().Before(deadline); {
		w.must(w.pool.QueryRow(w.ctx, `select count(*) from pg_stat_activity where datname = current_database() and query like 'listen %' and pid <> pg_backend_pid()`).Scan(&listening))
	}
	if listening != 0 {
		t.Errorf("%d connections still listen", listening)
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(w.ctx)
	w.must(w.Start(ctx))
	cancel()
	w.Stop()
	w.started()
}
