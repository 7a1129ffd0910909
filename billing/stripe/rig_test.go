package stripe_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tollgate/billing"
	"tollgate/billing/stripe"
	"tollgate/cmd/fakestripe/fake"
	"tollgate/migrations/pgtest"
	"tollgate/model"
)

var by = billing.By{Member: "m", Name: "ada@example.com", Role: "owner"}

// rig is the rail between a database and an imitation of Stripe, over real HTTP both
// ways. Nothing runs by itself: settle does what is due on both sides.
type rig struct {
	*testing.T
	*stripe.Rail
	ctx   context.Context
	books *billing.Billing
	pool  *pgxpool.Pool
	fake  *fake.Server
	url   string // of the fake
	hooks string // of the webhooks
	o     stripe.Options
	begun time.Time
	mu    sync.Mutex
	moved time.Duration
	seen  map[int64]bool
}

func newRig(t *testing.T, fee string) *rig {
	t.Helper()
	r := &rig{T: t, ctx: t.Context(), pool: pgtest.New(t), begun: time.Now(), seen: map[int64]bool{}}
	var err error
	r.fake, err = fake.New(fake.Options{})
	r.must(err)
	api := httptest.NewServer(r.fake)
	t.Cleanup(api.Close)
	r.fake.SetURL(api.URL)
	r.url = api.URL
	hooks := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { r.Webhooks().ServeHTTP(w, req) }))
	t.Cleanup(hooks.Close)
	r.hooks = hooks.URL
	r.books = billing.New(billing.Options{Pool: r.pool, Now: r.now, Changed: func(ctx context.Context, tx pgx.Tx, tenant uint32, invoice string, opened bool) error {
		return r.Changed(ctx, tx, tenant, invoice, opened)
	}, TaxAsked: func(ctx context.Context, tx pgx.Tx, tenant uint32, hash string) error {
		return r.TaxAsked(ctx, tx, tenant, hash)
	}})
	r.o = stripe.Options{Pool: r.pool, Billing: r.books, Key: "sk_test_x", URL: api.URL, Fake: true, FeePercent: fee, Now: r.now}
	r.o.WebhookSecret, r.o.ConnectSecret, err = stripe.Register(r.ctx, r.o, r.hooks)
	r.must(err)
	r.Rail, err = stripe.New(r.o)
	r.must(err)
	return r
}

// now is the time of both sides.
func (r *rig) now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Add(r.moved)
}

// advance moves both clocks, and does what falls due.
func (r *rig) advance(d time.Duration) {
	r.Helper()
	r.mu.Lock()
	r.moved += d
	r.mu.Unlock()
	r.must(r.fake.Advance(r.ctx, d))
	r.settle()
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) exec(sql string, args ...any) {
	r.Helper()
	r.must(pgx.BeginFunc(r.ctx, r.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(r.ctx, `select set_config('tollgate.tenant', '*', true)`); err != nil {
			return err
		}
		_, err := tx.Exec(r.ctx, sql, args...)
		return err
	}))
}

func one[T any](r *rig, sql string, args ...any) (v T) {
	r.Helper()
	r.must(pgx.BeginFunc(r.ctx, r.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(r.ctx, `select set_config('tollgate.tenant', '*', true)`); err != nil {
			return err
		}
		return tx.QueryRow(r.ctx, sql, args...).Scan(&v)
	}))
	return v
}

// jobs does every job that waits, once each, and returns what went wrong by kind.
func (r *rig) jobs() (failed []error) {
	r.Helper()
	type job struct {
		ID   int64
		Kind string
		Args []byte
	}
	rows, err := r.pool.Query(r.ctx, `select id, kind, args from river_job where state = 'available' and queue = 'stripe' order by id`)
	r.must(err)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[job])
	r.must(err)
	for _, j := range all {
		err := r.RunJob(r.ctx, j.Kind, j.Args)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s %s: %w", j.Kind, j.Args, err))
			continue
		}
		_, err = r.pool.Exec(r.ctx, `delete from river_job where id = $1`, j.ID)
		r.must(err)
	}
	return failed
}

// settle does what is due on both sides until nothing is.
func (r *rig) settle() {
	r.Helper()
	for range 20 {
		r.must(r.fake.Settle(r.ctx))
		if one[int](r, `select count(*) from river_job where state = 'available' and queue = 'stripe'`) == 0 {
			return
		}
		if failed := r.jobs(); len(failed) > 0 {
			r.Fatal(failed)
		}
	}
	r.Fatal("there is no end to the jobs")
}

func (r *rig) newTenant(account string) uint32 {
	return one[uint32](r, `insert into tenant (account_id, name, email, gateway_id, created_at) values ($1, 'Tenant ' || $1, $1 || '@example.com', 1, '2026-01-01') returning tenant_id`, account)
}

func (r *rig) newDeveloper(tenant uint32, id string) billing.Scope {
	r.exec(`insert into developer (tenant_id, developer_id, email, password_hash) values ($1, $2, $2 || '@example.com', '')`, tenant, id)
	r.exec(`insert into app (tenant_id, app_id, developer_id, name) values ($1, 'app-' || $2, $2, 'App')`, tenant, id)
	return billing.Scope{Tenant: tenant, Developer: id}
}

// connect gives a tenant an account at Stripe that takes payments.
func (r *rig) connect(tenant uint32) string {
	r.Helper()
	link, err := r.Connect(r.ctx, billing.Scope{Tenant: tenant}, by, "http://console/back", "http://console/again")
	r.must(err)
	if !strings.HasPrefix(link, r.url+"/setup/") {
		r.Fatalf("the link to Stripe's questions is %s", link)
	}
	a, err := r.Account(r.ctx, billing.Scope{Tenant: tenant})
	r.must(err)
	r.steer("/_fake/accounts/"+a.ID+"/onboard", nil)
	r.settle()
	return a.ID
}

// steer asks the fake for something on its control path.
func (r *rig) steer(path string, body any) {
	r.Helper()
	b, err := json.Marshal(body)
	r.must(err)
	resp, err := http.Post(r.url+path, "application/json", bytes.NewReader(b))
	r.must(err)
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		text, _ := io.ReadAll(resp.Body)
		r.Fatalf("%s: %d %s", path, resp.StatusCode, text)
	}
}

// pay saves a card as its owner does on Stripe's page.
func (r *rig) pay(s billing.Scope, number string) {
	r.Helper()
	_, err := r.CardAdded(r.ctx, s, r.checkout(s, number))
	r.must(err)
	r.settle()
}

// checkout saves a card at Stripe, and returns the session of it.
func (r *rig) checkout(s billing.Scope, number string) string {
	r.Helper()
	page, err := r.AddCard(r.ctx, s, "http://portal/done?session="+stripe.SessionMark, "http://portal/back")
	r.must(err)
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.PostForm(page, url.Values{"number": {number}, "exp": {"12 / 40"}, "cvc": {"123"}, "name": {"Dev"}, "email": {"dev@example.com"}})
	r.must(err)
	text, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	to, err := url.Parse(resp.Header.Get("Location"))
	r.must(err)
	if to.Host != "portal" {
		r.Fatalf("Checkout answered %d to %s: %s", resp.StatusCode, to, text)
	}
	return to.Query().Get("session")
}

// bill makes a final invoice of a monthly fee, for the developer's subscription to a
// plan of its own. Jobs are not done yet.
func (r *rig) bill(s billing.Scope, fee model.Decimal, currency string) string {
	r.Helper()
	return r.finalize(billing.Scope{Tenant: s.Tenant}, r.subscribe(s, fee, currency))
}

// month is the first of the last month.
func (r *rig) month() time.Time {
	n := r.begun.UTC()
	return time.Date(n.Year(), n.Month()-1, 1, 0, 0, 0, 0, time.UTC)
}

func (r *rig) subscribe(s billing.Scope, fee model.Decimal, currency string) billing.Scope {
	r.Helper()
	plan := model.NewID(6)
	r.exec(`insert into plan (tenant_id, plan_id, name) values ($1, $2, 'Plan')`, s.Tenant, plan)
	num := one[uint32](r, `insert into price_sheet (tenant_id, plan_id, version, sheet, created_by) values ($1, $2, 1, $3, 'x') returning sheet_num`,
		s.Tenant, plan, model.PriceSheet{Currency: currency, MonthlyFee: fee})
	r.exec(`insert into subscription (tenant_id, plan_id, app_id, terms, started_at) values ($1, $2, 'app-' || $3, $4, $5)`,
		s.Tenant, plan, s.Developer, num, r.month())
	return s
}

// finalize makes the drafts of the last month final, and returns the newest invoice of
// the scope's developer.
func (r *rig) finalize(s, of billing.Scope) string {
	r.Helper()
	_, err := r.books.Run(r.ctx, s, by, r.month())
	r.must(err)
	drafts, err := r.books.Drafts(r.ctx, s, r.month())
	r.must(err)
	for _, d := range drafts {
		if d.DeveloperID == of.Developer {
			done, err := r.books.Finalize(r.ctx, s, by, []string{d.ID}, true)
			r.must(err)
			return done[0]
		}
	}
	r.Fatal("nothing is owed")
	return ""
}

func (r *rig) invoice(s billing.Scope, id string) billing.InvoiceDetail {
	r.Helper()
	inv, err := r.books.Invoice(r.ctx, s, id)
	r.must(err)
	return inv
}

// at is what the fake answers for an account.
func (r *rig) at(account, path string) map[string]any {
	r.Helper()
	req, err := http.NewRequest("GET", r.url+path, nil)
	r.must(err)
	req.Header.Set("Authorization", "Bearer sk_test_x")
	if account != "" {
		req.Header.Set("Stripe-Account", account)
	}
	resp, err := http.DefaultClient.Do(req)
	r.must(err)
	defer resp.Body.Close()
	var v map[string]any
	r.must(json.NewDecoder(resp.Body).Decode(&v))
	return v
}

// invoices are those of an account at Stripe, one a line: state, total, what was paid.
func (r *rig) invoices(account string) string {
	r.Helper()
	var out []string
	for _, i := range r.at(account, "/v1/invoices?limit=100")["data"].([]any) {
		i := i.(map[string]any)
		out = append(out, fmt.Sprintf("%s %v paid %v lines %v", i["status"], i["total"], i["amount_paid"], i["lines"].(map[string]any)["total_count"]))
	}
	return strings.Join(out, "; ")
}

// refund is one that a person makes in Stripe's dashboard.
func (r *rig) refund(account, charge, amount string) {
	r.Helper()
	r.post(account, "/v1/refunds", url.Values{"charge": {charge}, "amount": {amount}})
}

// post is what a person does in Stripe's dashboard.
func (r *rig) post(account, path string, form url.Values) {
	r.Helper()
	r.do("POST", account, path, form)
}

// del deletes something there.
func (r *rig) del(account, path string) {
	r.Helper()
	r.do("DELETE", account, path, nil)
}

func (r *rig) do(method, account, path string, form url.Values) {
	r.Helper()
	req, err := http.NewRequest(method, r.url+path, strings.NewReader(form.Encode()))
	r.must(err)
	req.Header.Set("Authorization", "Bearer sk_test_x")
	req.Header.Set("Stripe-Account", account)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	r.must(err)
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		b, _ := io.ReadAll(resp.Body)
		r.Fatalf("%s: %d %s", path, resp.StatusCode, b)
	}
}
