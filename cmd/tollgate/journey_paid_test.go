package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"tollgate/control"
	"tollgate/ui/browser"
)

// The way of the money, on the imitation of Stripe that a newcomer has: the tenant
// connects its account, a developer saves a card, and the month's invoice is paid with
// it; a refund becomes a credit note. Then a card that fails, until keys are refused,
// and paying lets them in again.
func TestJourneyPaid(t *testing.T) {
	chromium := browser.Start(t)
	j, upstream := setOut(t, "TOLLGATE_STRIPE=fake", "TOLLGATE_STRIPE_URL=http://127.0.0.1:0", "TOLLGATE_STRIPE_FEE_PERCENT=10")
	if !strings.Contains(j.p.said(), "PAYMENTS ARE NOT REAL") {
		t.Errorf("nobody is told that payments are not real: %s", j.p.said())
	}
	j.plain = true // but for the pages of payments, other journeys judge the rest
	ada, dev := chromium.Visitor(t), chromium.Visitor(t)
	api := j.begin(ada, upstream)
	j.sell(ada, api, "Gold")
	j.plain = false
	ada.Goto(j.p.console + "/billing/payments")
	j.look(ada, "payments")
	ada.Click("Connect with Stripe")
	ada.Check("agree", "yes", true)
	ada.Click("Start taking payments")
	if !ada.Says("Your Stripe account takes payments") || !ada.Says("10 % of each payment") {
		t.Fatalf("connected: %s", ada.Text("main"))
	}
	j.look(ada, "payments-connected")
	j.open(ada, "/billing/account", "billing-account-card")
	j.plain = true
	portal := j.publish(ada, api)
	key := j.join(dev, portal)
	j.plain = false
	dev.Goto(portal + "/payment")
	j.look(dev, "portal-payment")
	stripe := j.card(dev, portal, "Add a card", "4242 4242 4242 4242")
	j.look(dev, "portal-payment-card")

	const calls = 20
	base := j.spend(api, key, calls)
	j.final(ada, dev, portal, calls)
	j.holds("the invoice to be paid", `state = 'paid' and amount_paid = 60 and by = 'stripe'`)

	// A refund that the tenant makes in Stripe's dashboard.
	var account, remote string
	j.db(`select account, remote_id from psp_object where kind = 'invoice'`, &account, &remote)
	charge := j.stripe("GET", stripe+"/v1/invoices/"+remote, account, nil)["charge"].(string)
	j.stripe("POST", stripe+"/v1/refunds", account, url.Values{"charge": {charge}, "amount": {"25"}})
	j.holds("the refund to be a credit note", `amount_due = 35 and amount_paid = 35 and exists (select from credit_note n where n.invoice_id = collection.invoice_id and n.amount = 25)`)

	// What does not go on is the operator's to see.
	c := cliJSON[control.OperatorCredentials](t, j.env, "operator", "create", "--email", "op@example.com", "--name", "Op")
	op := chromium.Visitor(t)
	op.Goto(j.p.console + "/operator/payments")
	op.Fill("email", c.Email)
	op.Fill("password", c.Password)
	op.Click("Sign in")
	until(t, "the operator to see it", func() bool { // events on their way would clear it
		j.exec(`update psp_object set problem = 'Made up' where kind = 'invoice'`)
		op.Goto(j.p.console + "/operator/payments")
		return op.Says("Made up") && stat(op, "Events at work") == "0"
	})
	j.look(op, "operator-payments")
	op.ClickOn("main tbody form button")
	if !op.Says("It is tried again now") {
		t.Errorf("tried again: %s", op.Text("main"))
	}
	until(t, "it to go on", func() bool {
		op.Goto(j.p.console + "/operator/payments")
		return op.Says("Nothing: every event")
	})

	// A card that fails.
	j.card(dev, portal, "Replace it", "4000 0000 0000 0341")
	j.spend(api, key, calls)
	j.final(ada, dev, portal, 2*calls)
	j.holds("the card to fail", `state = 'open' and attempts = 1`)
	j.exec(`update collection set due_at = now() - interval '20 days' where state = 'open'`)
	j.exec(`insert into river_job (kind, args, max_attempts, queue, state) values ('billing_dunning', '{}', 3, 'default', 'available')`)
	until(t, "the keys to be refused", func() bool { return j.call(base, "/pets", key) == 403 })
	j.holds("the invoice to be past due", `state = 'past_due'`)
	dev.Goto(portal + "/invoices")
	dev.Click("INV-000002")
	dev.Click("Pay 0.60 USD")
	dev.Fill("number", "4242 4242 4242 4242")
	dev.Click("Pay 0.60 USD")
	j.holds("the invoice to be paid on Stripe's page", `state = 'paid' and amount_paid = 60 and invoice_id = (select invoice_id from invoice where number = 'INV-000002')`)
	until(t, "the keys to be let in again", func() bool { return j.call(base, "/pets", key) == 200 })
	j.leave(ada, dev, op)
	if j.problems > 0 {
		t.Errorf("%d problems", j.problems)
	}
}

// card saves one on Stripe's page, and returns where that is.
func (j *journey) card(dev *browser.Page, portal, button, number string) (stripe string) {
	j.Helper()
	dev.Goto(portal + "/payment")
	dev.Click(button)
	u, err := url.Parse(dev.URL())
	must(j.T, err)
	dev.Fill("number", number)
	dev.Click("Save card")
	if last := number[len(number)-4:]; !dev.Says("ending in " + last) {
		j.Fatalf("after the card was saved: %s", dev.Text("main"))
	}
	return u.Scheme + "://" + u.Host
}

// final makes the month's invoice final, once the calls are in.
func (j *journey) final(ada, dev *browser.Page, portal string, calls int) {
	j.Helper()
	until(j.T, "the usage to be in", func() bool {
		dev.Goto(portal + "/usage")
		return stat(dev, "Calls") == fmt.Sprint(calls)
	})
	ada.Goto(j.p.console + "/billing")
	ada.Click("Make drafts for ")
	ada.Click("Make 1 draft final")
	ada.Click("Make it final")
}

func (j *journey) connect() *pgx.Conn {
	j.Helper()
	b, err := os.ReadFile(filepath.Join(j.p.dir, "up.json"))
	must(j.T, err)
	var r running
	must(j.T, json.Unmarshal(b, &r))
	c, err := pgx.Connect(j.Context(), r.DatabaseURL)
	must(j.T, err)
	_, err = c.Exec(j.Context(), `select set_config('tollgate.tenant', '*', false)`)
	must(j.T, err)
	return c
}

func (j *journey) db(sql string, into ...any) {
	j.Helper()
	c := j.connect()
	defer c.Close(j.Context()) //nolint:errcheck // it was read from
	must(j.T, c.QueryRow(j.Context(), sql).Scan(into...))
}

func (j *journey) exec(sql string) {
	j.Helper()
	c := j.connect()
	defer c.Close(j.Context()) //nolint:errcheck // the statement said what became of it
	_, err := c.Exec(j.Context(), sql)
	must(j.T, err)
}

// holds waits until an invoice stands so.
func (j *journey) holds(what, where string) {
	j.Helper()
	until(j.T, what, func() bool {
		var yes bool
		j.db(`select exists (select from collection where `+where+`)`, &yes)
		return yes
	})
}

// stripe asks the imitation of Stripe as the tenant's dashboard does.
func (j *journey) stripe(method, address, account string, form url.Values) map[string]any {
	j.Helper()
	req, err := http.NewRequest(method, address, strings.NewReader(form.Encode()))
	must(j.T, err)
	req.Header.Set("Authorization", "Bearer sk_test_journey")
	req.Header.Set("Stripe-Account", account)
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := http.DefaultClient.Do(req)
	must(j.T, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(j.T, err)
	var v map[string]any
	must(j.T, json.Unmarshal(b, &v))
	if resp.StatusCode != 200 {
		j.Fatalf("%s %s: %d %s", method, address, resp.StatusCode, b)
	}
	return v
}
