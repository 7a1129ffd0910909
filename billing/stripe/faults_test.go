package stripe_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stripe/stripe-go/v79/webhook"

	"tollgate/billing"
	"tollgate/billing/stripe"
	"tollgate/cmd/fakestripe/fake"
	"tollgate/model"
)

// persist does jobs until none is left, as River would: what fails is tried again
// later.
func (r *rig) persist() (tries int) {
	r.Helper()
	var failed []error
	for range 12 {
		r.must(r.fake.Settle(r.ctx))
		if one[int](r, `select count(*) from river_job where state = 'available' and queue = 'stripe'`) == 0 {
			return tries
		}
		if failed = r.jobs(); len(failed) > 0 {
			tries++
			r.mu.Lock()
			r.moved += 3 * time.Minute
			r.mu.Unlock()
			r.must(r.fake.Advance(r.ctx, 3*time.Minute))
		}
	}
	r.Fatalf("it does not come to an end: %v; %s", failed, one[string](r, `select coalesce(string_agg(local_id || ' ' || problem, ', '), '') from psp_object where problem <> ''`))
	return tries
}

// Whatever goes wrong with whichever call: there is one invoice at Stripe, with the
// lines and the total of ours, and it is paid once.
func TestCrashMatrix(t *testing.T) {
	t.Parallel()
	r := newRig(t, "2.5")
	tenant := r.newTenant("111111111111")
	seller := billing.Scope{Tenant: tenant}
	account := r.connect(tenant)
	n, tried := 0, 0
	for _, path := range []string{"/v1/customers", "/v1/invoices", "/v1/invoices/*/add_lines", "/v1/invoices/*/finalize", "/v1/invoices/*", "/v1/invoices/*/lines"} {
		for _, f := range []fake.Fault{
			{Kind: fake.FaultDrop}, {Kind: fake.FaultServerError}, {Kind: fake.FaultServerError, After: true}, {Kind: fake.FaultRateLimit},
			{Kind: fake.FaultLockTimeout}, {Kind: fake.FaultConflict}, {Kind: fake.FaultOutage}, {Kind: fake.FaultDrop, Times: 3}, {Kind: fake.FaultDrop, Skip: 1},
		} {
			n++
			dev := r.newDeveloper(tenant, fmt.Sprintf("dev%d", n))
			if n%2 == 0 && path != "/v1/customers" {
				r.pay(dev, "4242424242424242")
			}
			id := r.bill(dev, "12.34", "USD")
			f.Path, f.Account = path, account
			r.must(r.fake.AddFault(f))
			tried += r.persist()
			if n%8 == 0 { // keys are forgotten between attempts
				r.advance(25 * time.Hour)
			}
			r.fake.ClearFaults()
			inv := r.invoice(seller, id)
			there := r.at(account, "/v1/invoices?limit=100")["data"].([]any)
			if len(there) > n {
				t.Fatalf("%s %+v: %d invoices at Stripe for %d of ours: %s", path, f, len(there), n, r.invoices(account))
			}
			first := there[0].(map[string]any)
			state, want := model.StatePaid, "paid"
			if n%2 != 0 || path == "/v1/customers" { // nobody gave a card
				state, want = model.StateOpen, "open"
			}
			if inv.State != state || first["status"] != want || first["total"] != 1234.0 || first["metadata"].(map[string]any)["local_id"] != id ||
				first["application_fee_amount"] != 30.0 || first["lines"].(map[string]any)["total_count"] != 1.0 {
				t.Errorf("%s %+v: ours is %s, Stripe's %s %v", path, f, inv.State, first["status"], first["total"])
			}
		}
	}
	if tried < 20 {
		t.Errorf("only %d attempts failed: the test shows little", tried)
	}
	if c := one[int](r, `select count(*) from stripe_customer`); c != n {
		t.Errorf("%d customers, want %d", c, n)
	}
	customers := 0
	for after := ""; ; {
		l := r.at(account, "/v1/customers?limit=100"+after)
		page := l["data"].([]any)
		customers += len(page)
		if l["has_more"] != true {
			break
		}
		after = "&starting_after=" + page[len(page)-1].(map[string]any)["id"].(string)
	}
	if customers != n {
		t.Errorf("%d customers at Stripe for %d developers", customers, n)
	}
	if calls := r.fake.Calls(); len(calls) == 0 {
		t.Error("nobody called")
	} else {
		for _, c := range calls {
			if c.Method == "POST" && c.Key == "" && strings.HasPrefix(c.Path, "/v1/invoices") {
				t.Errorf("%s %s was sent without a key", c.Method, c.Path)
			}
		}
	}
}

// Webhooks that come late, twice, in any order or not at all leave the books as Stripe
// says; those that Stripe did not send leave them alone.
func TestWebhooks(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	tenant := r.newTenant("111111111111")
	seller := billing.Scope{Tenant: tenant}
	account := r.connect(tenant)
	r.must(r.fake.SetChaos(fake.Chaos{Duplicate: 50, Shuffle: 3600, Lose: 30, Seed: 7}))
	var ids []string
	for n := range 8 {
		dev := r.newDeveloper(tenant, fmt.Sprintf("dev%d", n))
		r.pay(dev, []string{"4242424242424242", "4000000000000341"}[n%2])
		ids = append(ids, r.bill(dev, "10", "USD"))
	}
	r.settle()
	r.advance(2 * time.Hour)
	r.must(r.Sweep(r.ctx))
	r.settle()
	for n, id := range ids {
		inv := r.invoice(seller, id)
		if n%2 == 0 && (inv.State != model.StatePaid || inv.Paid != 1000) || n%2 == 1 && (inv.State != model.StateOpen || inv.Attempts != 1) {
			t.Errorf("invoice %d: %+v", n, inv.Collection)
		}
	}
	if n := one[int](r, `select count(*) from webhook_event where swept`); n == 0 {
		t.Error("the sweep found nothing that was lost")
	}
	if n := one[int](r, `select count(*) from webhook_event where state not in ('done', 'ignored')`); n != 0 {
		t.Errorf("%d events are not done", n)
	}

	// What is not from Stripe, or not for this endpoint, is refused.
	before := one[int](r, `select count(*) from webhook_event`)
	event := func(account, kind, object string) []byte {
		return fmt.Appendf(nil, `{"id": "evt_%s", "object": "event", "type": %q, "account": %q, "created": %d, "api_version": "2030-01-01", "data": {"object": %s}}`, model.NewID(8), kind, account, time.Now().Unix(), object)
	}
	send := func(path string, body []byte, secret string, at time.Time) int {
		t.Helper()
		s := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: body, Secret: secret, Timestamp: at})
		req, err := http.NewRequest("POST", r.hooks+path, bytes.NewReader(body))
		r.must(err)
		if secret != "" {
			req.Header.Set("Stripe-Signature", s.Header)
		}
		resp, err := http.DefaultClient.Do(req)
		r.must(err)
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		return resp.StatusCode
	}
	platform, connect := r.o.WebhookSecret, r.o.ConnectSecret
	ours := event(account, "invoice.paid", `{"id": "in_forged", "object": "invoice", "status": "paid"}`)
	now := time.Now()
	for name, got := range map[string]int{
		"wrong secret":            send("/webhooks/stripe/connect", ours, "whsec_wrong", now),
		"the other's secret":      send("/webhooks/stripe/connect", ours, platform, now),
		"no signature":            send("/webhooks/stripe/connect", ours, "", now),
		"old":                     send("/webhooks/stripe/connect", ours, connect, now.Add(-time.Hour)),
		"of another endpoint":     send("/webhooks/stripe", ours, platform, now),
		"not JSON":                send("/webhooks/stripe", []byte("x"), platform, now),
		"no account, for Connect": send("/webhooks/stripe/connect", event("", "invoice.paid", `{}`), connect, now),
	} {
		if got != 400 {
			t.Errorf("%s: %d", name, got)
		}
	}
	if got := send("/webhooks/stripe", bytes.Repeat([]byte(" "), 600<<10), platform, now); got != 413 {
		t.Errorf("600 KB: %d", got)
	}
	late := httptest.NewRecorder()
	r.Webhooks().ServeHTTP(late, httptest.NewRequest("POST", stripe.PlatformPath, iotest.ErrReader(os.ErrDeadlineExceeded)))
	if late.Code != 408 {
		t.Errorf("an event that stalls: %d", late.Code)
	}
	if n := one[int](r, `select count(*) from webhook_event`); n != before {
		t.Errorf("%d of them were kept", n-before)
	}

	// What Stripe signed and is nothing of ours is ignored: an invoice that is not
	// there, an account that nobody connected, a kind that nobody heard of, and one of a
	// version to come.
	for _, body := range [][]byte{ours, event("acct_foreign", "invoice.paid", `{"id": "in_x", "object": "invoice"}`), event(account, "new.thing", `{"id": "nt_1", "object": "thing"}`)} {
		if got := send("/webhooks/stripe/connect", body, connect, now); got != 200 {
			t.Errorf("%s: %d", body, got)
		}
	}
	r.settle()
	if n := one[int](r, `select count(*) from webhook_event where state = 'ignored' and (object_id in ('in_forged', 'in_x') or kind = 'new.thing')`); n != 3 {
		t.Errorf("%d of 3 are ignored", n)
	}
}

// A database that was restored does not know what was made at Stripe since: it finds it,
// and says so.
func TestForgottenInvoices(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	tenant := r.newTenant("111111111111")
	account := r.connect(tenant)
	dev := r.newDeveloper(tenant, "dev")
	r.pay(dev, "4242424242424242")
	id := r.bill(dev, "12.34", "USD")
	r.settle()
	for _, table := range []string{"payment", "collection", "psp_object", "invoice_line", "invoice"} {
		column := map[string]string{"psp_object": "local_id"}[table]
		if column == "" {
			column = "invoice_id"
		}
		r.exec(`alter table ` + table + ` disable trigger user`)
		r.exec(`delete from `+table+` where `+column+` = $1`, id)
	}
	r.exec(`delete from webhook_event where kind like 'invoice.%' or kind like 'charge.%'`)
	r.must(r.Sweep(r.ctx))
	r.settle()
	if got := one[string](r, `select coalesce(string_agg(distinct kind || ' ' || state || ': ' || problem, '; '), '') from webhook_event where kind = 'invoice.paid'`); !strings.HasPrefix(got, "invoice.paid parked: invoice in_") || !strings.Contains(got, "restored backup") {
		t.Errorf("the invoice at Stripe that the books do not have: %q", got)
	}
	o, err := r.Overview(r.ctx)
	if r.must(err); len(o.Parked) == 0 {
		t.Error("the operator is not shown it")
	}
	if got := r.invoices(account); got != "paid 1234 paid 1234 lines 1" {
		t.Errorf("at Stripe is %s", got)
	}
}

// Ids of one account never reach another, and an account whose owner took our access
// away is asked nothing more: its invoices are paid by hand.
func TestAccountsApart(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	one1, two := r.newTenant("111111111111"), r.newTenant("222222222222")
	a, b := r.connect(one1), r.connect(two)
	devA, devB := r.newDeveloper(one1, "dev-a"), r.newDeveloper(two, "dev-b")
	r.pay(devA, "4242424242424242")
	r.pay(devB, "4242424242424242")
	session := r.at(a, "/v1/checkout/sessions")["data"].([]any)[0].(map[string]any)["id"].(string)
	if _, err := r.CardAdded(r.ctx, devB, session); model.KindOf(err) != model.NotFound {
		t.Errorf("another tenant's session: %v", err)
	}
	other := r.newDeveloper(one1, "dev-c")
	if _, err := r.CardAdded(r.ctx, other, session); model.KindOf(err) != model.NotFound {
		t.Errorf("another developer's session: %v", err)
	}
	idA, idB := r.bill(devA, "10", "USD"), r.bill(devB, "20", "EUR")
	r.settle()
	// The tenants pay the operator, on the operator's own account.
	tenant := billing.Scope{Tenant: one1}
	r.pay(tenant, "4242424242424242")
	r.must(r.books.AddOperatorSheet(r.ctx, by, model.PriceSheet{Currency: "USD", MonthlyFee: "99"}, r.month()))
	idO := r.finalize(billing.Operator, billing.Scope{})
	r.settle()
	if got := r.invoices("") + " | " + r.invoices(a) + " | " + r.invoices(b); got != "paid 9900 paid 9900 lines 1 | paid 1000 paid 1000 lines 1 | paid 2000 paid 2000 lines 1" {
		t.Errorf("the accounts have %s", got)
	}
	for scope, id := range map[billing.Scope]string{tenant: idA, {Tenant: two}: idB, billing.Operator: idO} {
		if i := r.invoice(scope, id); i.State != model.StatePaid {
			t.Errorf("%+v: %+v", scope, i.Collection)
		}
	}
	for _, c := range r.fake.Calls() {
		for account, foreign := range map[string]string{a: "dev-b", b: "dev-a"} {
			if c.Account == account && strings.Contains(c.Form, foreign) {
				t.Errorf("%s %s of account %s names %s", c.Method, c.Path, account, foreign)
			}
		}
	}

	r.steer("/_fake/accounts/"+a+"/deauthorize", nil)
	idA2 := r.bill(devA, "7", "USD") // final before we are told
	r.settle()
	if acct, err := r.Account(r.ctx, tenant); err != nil || acct.Disconnected.IsZero() || acct.Charges {
		t.Errorf("the account that was disconnected: %+v %v", acct, err)
	}
	r.persist()
	if i := r.invoice(tenant, idA2); i.By != model.PaidByHand || i.State != model.StateOpen {
		t.Errorf("its invoice: %+v", i.Collection)
	}
	if ok, err := r.Ready(r.ctx, devA); ok || err != nil {
		t.Errorf("ready without the account: %v %v", ok, err)
	}
	if c, err := r.Card(r.ctx, devA); err != nil || c.Method != "" {
		t.Errorf("the card of a disconnected account: %+v %v", c, err)
	}
	if again := r.connect(one1); again == a {
		t.Error("the account that was taken away is connected again")
	}
	r.pay(devA, "4242424242424242")
	idA3 := r.bill(devA, "8", "USD")
	r.settle()
	if i := r.invoice(tenant, idA3); i.State != model.StatePaid {
		t.Errorf("on the new account: %+v", i.Collection)
	}
}

// Stripe keeps an answer with its idempotency key for a day, a 500 too: what failed once
// does not for that long.
func TestNoErrorStays(t *testing.T) {
	t.Parallel()
	r := newRig(t, "2.5")
	tenant := r.newTenant("111111111111")
	seller := billing.Scope{Tenant: tenant}
	account := r.connect(tenant)
	for i, path := range []string{"/v1/customers/*", "/v1/invoices/*/pay", "/v1/payment_methods/*/detach", "/v1/invoices/*/void", "/v1/invoices/*"} {
		for _, after := range []bool{false, true} {
			dev := r.newDeveloper(tenant, fmt.Sprintf("dev%d-%v", i, after))
			id := r.bill(dev, "12.34", "USD")
			fault := fake.Fault{Method: http.MethodPost, Path: path, Account: account, Kind: fake.FaultServerError, After: after}
			if strings.HasSuffix(path, "/*") && strings.Contains(path, "invoices") { // the application's fee
				r.must(r.fake.AddFault(fault))
			}
			r.persist()
			void := strings.HasSuffix(path, "/void")
			if void {
				r.must(r.fake.AddFault(fault))
				r.must(r.books.Void(r.ctx, seller, by, id, "a mistake"))
				r.persist()
			} else {
				if strings.HasSuffix(path, "/detach") {
					r.pay(dev, "4000000000000341") // is taken, and does not pay
				}
				r.must(r.fake.AddFault(fault))
				_, _ = r.CardAdded(r.ctx, dev, r.checkout(dev, "4242424242424242")) // or the event of it
				r.persist()
			}
			r.fake.ClearFaults()
			state, want := model.StatePaid, "paid"
			if void {
				state, want = model.StateVoid, "void"
			}
			there := r.at(account, "/v1/invoices?limit=100")["data"].([]any)[0].(map[string]any)
			if inv := r.invoice(seller, id); inv.State != state || there["status"] != want {
				t.Errorf("%s, after %v: here %s, at Stripe %s", path, after, inv.State, there["status"])
			}
			if strings.HasSuffix(path, "/detach") {
				r.must(r.fake.AddFault(fault))
				if err := r.RemoveCard(r.ctx, dev, by); err == nil && !after {
					t.Error("a card that could not be removed was")
				}
				_ = r.RemoveCard(r.ctx, dev, by)
				if err := r.RemoveCard(r.ctx, dev, by); model.KindOf(err) != model.NotFound {
					t.Errorf("after %v: the card is still there: %v", after, err)
				}
			}
		}
	}
}
