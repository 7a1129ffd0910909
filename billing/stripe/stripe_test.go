package stripe_test

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tollgate/billing"
	"tollgate/billing/stripe"
	"tollgate/model"
)

// The way of the money: a tenant connects its account, its developer saves a card, the
// month's invoice is paid with it; a credit goes back to the card, and a refund that
// was made at Stripe becomes a credit note. The operator has its share of all that.
func TestPaid(t *testing.T) {
	t.Parallel()
	r := newRig(t, "10")
	tenant := r.newTenant("111111111111")
	dev := r.newDeveloper(tenant, "dev1")
	seller := billing.Scope{Tenant: tenant}
	if ok, err := r.Ready(r.ctx, dev); ok || err != nil {
		t.Fatalf("ready without an account: %v %v", ok, err)
	}
	if _, err := r.AddCard(r.ctx, dev, "http://x", "http://x"); model.KindOf(err) != model.Conflict {
		t.Fatalf("a card without an account: %v", err)
	}
	account := r.connect(tenant)
	if a, err := r.Account(r.ctx, seller); err != nil || a.ID != account || !a.Charges || !a.Submitted {
		t.Fatalf("the account is %+v, %v", a, err)
	}
	r.pay(dev, "4242424242424242")
	if c, err := r.Card(r.ctx, dev); err != nil || c.Brand != "visa" || c.Last4 != "4242" || c.ExpMonth != 12 {
		t.Fatalf("the card is %+v, %v", c, err)
	}

	id := r.bill(dev, "25", "USD")
	if i := r.invoice(seller, id); i.By != "stripe" || i.State != model.StateOpen {
		t.Fatalf("before the job: %+v", i.Collection)
	}
	r.settle()
	i := r.invoice(seller, id)
	if i.State != model.StatePaid || i.Paid != 2500 || len(i.Payments) != 1 || i.Payments[0].Kind != model.PaidByStripe {
		t.Errorf("after it: %+v, payments %+v; Stripe has %s", i.Collection, i.Payments, r.invoices(account))
	}
	if got := r.invoices(account); got != "paid 2500 paid 2500 lines 1" {
		t.Errorf("Stripe has %s", got)
	}
	fees := r.at("", "/v1/application_fees")["data"].([]any)
	if len(fees) != 1 || fees[0].(map[string]any)["amount"] != 250.0 {
		t.Errorf("the operator's share is %v", fees)
	}

	// A credit of a part: it goes back to the card.
	_, err := r.books.Credit(r.ctx, seller, by, billing.Credit{Invoice: id, Reference: "1", Reason: "A day without service", Amount: 500})
	r.must(err)
	r.settle()
	i = r.invoice(seller, id)
	if i.Due != 2000 || i.Paid != 2000 || i.State != model.StatePaid || len(i.Credits) != 1 {
		t.Errorf("after the credit: %+v, payments %+v, credits %+v", i.Collection, i.Payments, i.Credits)
	}
	if fee := r.at("", "/v1/application_fees")["data"].([]any)[0].(map[string]any); fee["amount_refunded"] != 50.0 {
		t.Errorf("of the operator's share went back %v", fee["amount_refunded"])
	}

	// A refund made at Stripe.
	charge := r.at(account, "/v1/charges")["data"].([]any)[0].(map[string]any)
	r.refund(account, charge["id"].(string), "700")
	r.settle()
	i = r.invoice(seller, id)
	if i.Due != 1300 || i.Paid != 1300 || len(i.Credits) != 2 || i.Credits[1].Kind != "refund" || i.Credits[1].Amount != 700 {
		t.Errorf("after the refund: %+v, credits %+v", i.Collection, i.Credits)
	}

	// Nothing of that again, however often it is looked at.
	before := one[string](r, `select string_agg(invoice_id || state || amount_due || ' ' || amount_paid, ',') || (select count(*) from payment) || (select count(*) from credit_note) from collection`)
	r.exec(`update webhook_event set state = 'new', received_at = now() - interval '2 days'`)
	r.must(r.Sweep(r.ctx))
	r.settle()
	if after := one[string](r, `select string_agg(invoice_id || state || amount_due || ' ' || amount_paid, ',') || (select count(*) from payment) || (select count(*) from credit_note) from collection`); after != before {
		t.Errorf("looked at again, the books say %s, not %s", after, before)
	}
	if n := len(r.at(account, "/v1/customers")["data"].([]any)); n != 1 {
		t.Errorf("%d customers", n)
	}
}

// Stripe Tax says the tax of a draft before it can be final; what Stripe then charges is
// the same to the minor unit. What is missing for it is said on the draft.
func TestStripeTax(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	tenant := r.newTenant("111111111111")
	seller := billing.Scope{Tenant: tenant}
	account := r.connect(tenant)
	rules := model.DefaultBillingRules()
	rules.StripeTax = true
	r.must(r.books.SetRules(r.ctx, seller, by, rules))
	for i, c := range []struct {
		payer      string
		tax        int64 // below zero: the draft cannot be final
		note, name string
	}{
		{`{"name": "Dev GmbH", "country": "DE"}`, 475, "", "VAT"},
		{`{"name": "Dev GmbH", "country": "FR", "taxId": "FR12345678901"}`, 0, "Reverse charge", "VAT"},
		{`{"name": "Dev", "country": "NO"}`, 0, "No tax is collected in NO", "Tax"},
		{`{"name": "Dev", "country": "US", "region": "CA", "address": "1 Street\nSpringfield, CA 90210"}`, 200, "", "Sales tax (CA)"},
		{`{"name": "Dev", "country": "US"}`, -1, "postal code", "Tax"},
		{`{}`, -1, "has not said it yet", "Tax"},
	} {
		dev := r.newDeveloper(tenant, "dev"+strconv.Itoa(i))
		r.exec(`update developer set billing = $2 where developer_id = $1`, dev.Developer, c.payer)
		r.pay(dev, "4242424242424242")
		r.subscribe(dev, "25", "USD")
		draft := func() billing.InvoiceDetail {
			drafts, err := r.books.Drafts(r.ctx, seller, r.month())
			r.must(err)
			for _, d := range drafts {
				if d.DeveloperID == dev.Developer {
					return r.invoice(seller, d.ID)
				}
			}
			t.Fatal("there is no draft")
			return billing.InvoiceDetail{}
		}
		_, err := r.books.Run(r.ctx, seller, by, r.month())
		r.must(err)
		if _, err := r.books.Finalize(r.ctx, seller, by, []string{draft().ID}, true); model.KindOf(err) != model.Unavailable {
			t.Fatalf("%s: final without its tax: %v", c.payer, err)
		}
		r.settle()
		d := draft()
		if len(d.Taxes) != 1 || d.Taxes[0].Name != c.name || !strings.Contains(d.Taxes[0].Note, c.note) || d.Tax != max(c.tax, 0) {
			t.Errorf("%s: %+v", c.payer, d.Taxes)
		}
		done, err := r.books.Finalize(r.ctx, seller, by, []string{d.ID}, true)
		if c.tax < 0 {
			if model.KindOf(err) != model.Unavailable {
				t.Errorf("%s: %v", c.payer, err)
			}
			continue
		}
		r.must(err)
		r.settle()
		if inv := r.invoice(seller, done[0]); inv.State != model.StatePaid || inv.Total != 2500+c.tax || inv.Paid != inv.Total {
			t.Errorf("%s: %+v", c.payer, inv.Collection)
		}
	}
	if got := r.invoices(account); strings.Count(got, "paid 2975 paid 2975") != 1 || strings.Count(got, "paid 2500 paid 2500") != 2 || strings.Count(got, "paid 2700 paid 2700") != 1 {
		t.Errorf("at Stripe: %s", got)
	}
}

// A payment that is disputed is shown so; won, it stands; lost, it is paid back and
// credited, once.
func TestDisputes(t *testing.T) {
	t.Parallel()
	r := newRig(t, "10")
	tenant := r.newTenant("111111111111")
	seller := billing.Scope{Tenant: tenant}
	account := r.connect(tenant)
	for i, c := range []struct {
		evidence, state string
		paid            int64
	}{{"winning_evidence", model.DisputeWon, 2500}, {"none", model.DisputeLost, 0}} {
		dev := r.newDeveloper(tenant, "dev"+strconv.Itoa(i))
		r.pay(dev, "4000000000000259")
		id := r.bill(dev, "25", "USD")
		r.settle()
		inv := r.invoice(seller, id)
		if inv.State != model.StatePaid || inv.Disputed != 2500 || len(inv.Disputes) != 1 || inv.Disputes[0].State != model.DisputeOpen || inv.Disputes[0].AnswerBy.IsZero() {
			t.Fatalf("disputed: %+v, %+v", inv.Collection, inv.Disputes)
		}
		r.post(account, "/v1/disputes/"+inv.Disputes[0].ID, url.Values{"evidence[uncategorized_text]": {c.evidence}, "submit": {"true"}})
		r.settle()
		r.exec(`update webhook_event set state = 'new', received_at = now() - interval '2 days'`)
		r.must(r.Sweep(r.ctx))
		r.settle()
		inv = r.invoice(seller, id)
		if inv.Disputed != 0 || inv.Disputes[0].State != c.state || inv.Paid != c.paid || inv.Due != c.paid || inv.State != model.StatePaid || len(inv.Credits) != i {
			t.Errorf("%s: %+v, %+v, %+v", c.state, inv.Collection, inv.Disputes, inv.Credits)
		}
		if again, err := r.books.Dispute(r.ctx, seller, by, id, model.Dispute{ID: inv.Disputes[0].ID, Amount: 2500, State: model.DisputeOpen, At: r.now()}); again || err != nil {
			t.Errorf("what ended is open again: %v, %v", again, err)
		}
	}
	// Of what was lost the operator gives its share back, once, however often it is looked at.
	var left []float64
	for _, f := range r.at("", "/v1/application_fees")["data"].([]any) {
		fee := f.(map[string]any)
		left = append(left, fee["amount"].(float64)-fee["amount_refunded"].(float64))
	}
	if slices.Sort(left); !slices.Equal(left, []float64{0, 250}) {
		t.Errorf("of the operator's shares of the one that was lost and of the one that was won are left %v", left)
	}
}

// A card that fails: the attempt is booked, another card pays at once, and the card
// that failed is gone.
func TestCardThatFails(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	tenant := r.newTenant("111111111111")
	dev, seller := r.newDeveloper(tenant, "dev1"), billing.Scope{Tenant: tenant}
	account := r.connect(tenant)
	r.pay(dev, "4000000000000341")
	id := r.bill(dev, "25", "USD")
	r.settle()
	i := r.invoice(seller, id)
	if i.State != model.StateOpen || i.Attempts != 1 || i.LastError != "Your card was declined." {
		t.Fatalf("%+v", i.Collection)
	}
	r.advance(4 * 24 * time.Hour) // Stripe tries again
	if i = r.invoice(seller, id); i.Attempts != 2 {
		t.Errorf("after Stripe's second attempt: %+v", i.Collection)
	}
	r.pay(dev, "5555555555554444")
	if i = r.invoice(seller, id); i.State != model.StatePaid || i.Paid != 2500 || i.LastError != "" {
		t.Errorf("with another card: %+v, Stripe has %s", i.Collection, r.invoices(account))
	}
	if n := len(r.at(account, "/v1/payment_methods?type=card&customer="+one[string](r, `select customer from stripe_customer`))["data"].([]any)); n != 1 {
		t.Errorf("%d cards are kept", n)
	}
	r.must(r.RemoveCard(r.ctx, dev, by))
	if c, err := r.Card(r.ctx, dev); err != nil || c.Method != "" {
		t.Errorf("after it was removed: %+v %v", c, err)
	}
}

// What Stripe gives up stays owed, and keeps out who did not pay: the seller decides. The
// money that comes at Stripe all the same is booked.
func TestGivenUpAtStripe(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	tenant := r.newTenant("111111111111")
	dev, seller := r.newDeveloper(tenant, "dev1"), billing.Scope{Tenant: tenant}
	account := r.connect(tenant)
	r.pay(dev, "4000000000000341")
	first, second := r.bill(dev, "25", "USD"), r.bill(dev, "20", "USD")
	r.settle()
	for _, id := range []string{first, second} {
		r.post(account, "/v1/invoices/"+one[string](r, `select remote_id from psp_object where kind = 'invoice' and local_id = $1`, id)+"/mark_uncollectible", nil)
	}
	r.settle()
	for _, id := range []string{first, second} {
		if i := r.invoice(seller, id); i.State != model.StateOpen || i.By != model.PaidByHand || !strings.Contains(i.LastError, "Stripe gave it up") {
			t.Errorf("given up at Stripe: %+v", i.Collection)
		}
	}
	r.must(r.books.GiveUp(r.ctx, seller, by, first, "Gone"))
	r.post(account, "/v1/invoices/"+one[string](r, `select remote_id from psp_object where kind = 'invoice' and local_id = $1`, second)+"/pay", url.Values{"paid_out_of_band": {"true"}})
	r.settle()
	if i := r.invoice(seller, first); i.State != model.StateUncollectible {
		t.Errorf("given up here, too: %+v", i.Collection)
	}
	if i := r.invoice(seller, second); i.State != model.StatePaid || i.Paid != 2000 {
		t.Errorf("paid after all: %+v", i.Collection)
	}
}

// What is credited before anything was paid is nothing that the operator has a share of,
// even where the share of the whole would be more than what is left to pay.
func TestShareOfWhatWasCreditedBefore(t *testing.T) {
	t.Parallel()
	r := newRig(t, "10")
	tenant := r.newTenant("111111111111")
	dev, seller := r.newDeveloper(tenant, "dev1"), billing.Scope{Tenant: tenant}
	r.connect(tenant)
	r.pay(dev, "4000000000000341")
	id := r.bill(dev, "25", "USD")
	r.settle()
	_, err := r.books.Credit(r.ctx, seller, by, billing.Credit{Invoice: id, Reference: "1", Reason: "A month without service", Amount: 2400})
	r.must(err)
	r.settle()
	left := func() float64 {
		fee := r.at("", "/v1/application_fees")["data"].([]any)[0].(map[string]any)
		return fee["amount"].(float64) - fee["amount_refunded"].(float64)
	}
	r.pay(dev, "4242424242424242")
	r.settle()
	if i := r.invoice(seller, id); i.State != model.StatePaid || i.Paid != 100 || left() != 10 {
		t.Errorf("of %d paid the operator has %v: %+v", i.Paid, left(), i.Collection)
	}
	_, err = r.books.Credit(r.ctx, seller, by, billing.Credit{Invoice: id, Reference: "2", Reason: "Nor the rest", Amount: 50})
	r.must(err)
	r.settle()
	if i := r.invoice(seller, id); i.Paid != 50 || left() != 5 {
		t.Errorf("of %d that stay paid the operator has %v: %+v", i.Paid, left(), i.Collection)
	}
}

// What Stripe would not charge for alone waits for the next invoice, is not due
// meanwhile, and is paid with it.
func TestTooSmall(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	tenant := r.newTenant("111111111111")
	dev, seller := r.newDeveloper(tenant, "dev1"), billing.Scope{Tenant: tenant}
	account := r.connect(tenant)
	r.pay(dev, "4242424242424242")
	first := r.bill(dev, "0.30", "USD")
	r.settle()
	if i := r.invoice(seller, first); i.State != model.StateOpen || i.DueAt.Before(r.now().AddDate(1, 0, 0)) || r.invoices(account) != "" {
		t.Fatalf("the first is %+v, Stripe has %q", i.Collection, r.invoices(account))
	}
	r.must(r.Sweep(r.ctx))
	r.settle()
	second := r.bill(dev, "0.45", "USD")
	r.settle()
	if got := r.invoices(account); got != "paid 75 paid 75 lines 2" {
		t.Errorf("Stripe has %s", got)
	}
	for id, want := range map[string]int64{first: 30, second: 45} {
		if i := r.invoice(seller, id); i.State != model.StatePaid || i.Paid != want {
			t.Errorf("%s: %+v", i.Number, i.Collection)
		}
	}
	// What is credited of the small one goes back, and is booked there.
	_, err := r.books.Credit(r.ctx, seller, by, billing.Credit{Invoice: first, Reference: "1", Reason: "Sorry", Amount: 10})
	r.must(err)
	r.settle()
	if i, j := r.invoice(seller, first), r.invoice(seller, second); i.Paid != 20 || i.Due != 20 || j.Paid != 45 {
		t.Errorf("after a credit: %+v, %+v", i.Collection, j.Collection)
	}
}

// What is decided here about an invoice that is open at Stripe is done there: a part
// that was paid by bank transfer or credited, all of it, taken back, given up.
func TestDecidedHere(t *testing.T) {
	t.Parallel()
	r := newRig(t, "5")
	tenant := r.newTenant("111111111111")
	seller := billing.Scope{Tenant: tenant}
	account := r.connect(tenant)
	var ids []string
	for _, name := range []string{"hand", "void", "lost", "part", "before"} {
		ids = append(ids, r.bill(r.newDeveloper(tenant, name), "20", "EUR"))
	}
	pay := func(id string, amount int64) {
		t.Helper()
		_, err := r.books.Paid(r.ctx, seller, by, billing.Receipt{Invoice: id, Kind: model.PaidByHand, Amount: amount, Reference: "transfer"})
		r.must(err)
	}
	pay(ids[4], 500) // before it is at Stripe
	r.settle()
	if got := r.invoices(account); got != "open 1500 paid 0 lines 2; open 2000 paid 0 lines 1; open 2000 paid 0 lines 1; open 2000 paid 0 lines 1; open 2000 paid 0 lines 1" {
		t.Fatalf("Stripe has %s", got)
	}
	if url, err := r.PayURL(r.ctx, billing.Scope{Tenant: tenant, Developer: "hand"}, ids[0]); err != nil || url == "" {
		t.Errorf("where it is paid: %q %v", url, err)
	}
	if url, err := r.PayURL(r.ctx, billing.Scope{Tenant: tenant, Developer: "void"}, ids[0]); err != nil || url != "" {
		t.Errorf("where another's is paid: %q %v", url, err)
	}
	pay(ids[0], 2000)
	r.must(r.books.Void(r.ctx, seller, by, ids[1], "A mistake"))
	r.must(r.books.GiveUp(r.ctx, seller, by, ids[2], "Bankrupt"))
	pay(ids[3], 300)
	_, err := r.books.Credit(r.ctx, seller, by, billing.Credit{Invoice: ids[3], Reference: "1", Reason: "Sorry", Amount: 200})
	r.must(err)
	r.settle()
	if got := r.invoices(account); got != "open 1500 paid 0 lines 2; open 2000 paid 0 lines 1; uncollectible 2000 paid 0 lines 1; void 2000 paid 0 lines 1; paid 2000 paid 2000 lines 1" {
		t.Errorf("Stripe has %s", got)
	}
	part := r.at(account, "/v1/invoices")["data"].([]any)[1].(map[string]any)
	if part["amount_remaining"] != 1500.0 {
		t.Errorf("of the one that was paid in part %v remains", part["amount_remaining"])
	}
	r.pay(billing.Scope{Tenant: tenant, Developer: "part"}, "4242424242424242")
	if i := r.invoice(seller, ids[3]); i.State != model.StatePaid || i.Paid != 1800 || i.Due != 1800 {
		t.Errorf("the rest was paid: %+v", i.Collection)
	}
	if i := r.invoice(seller, ids[0]); i.Paid != 2000 {
		t.Errorf("paid by transfer: %+v", i.Collection)
	}
}

func TestAmounts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		currency string
		minor    int64
		want     int64
		ok       bool
	}{{"USD", 1234, 1234, true}, {"JPY", 1234, 1234, true}, {"ISK", 1234, 123400, true}, {"KWD", 1230, 1230, true}, {"KWD", 1234, 0, false}} {
		got, err := stripe.ToStripe(c.currency, c.minor)
		if (err == nil) != c.ok || got != c.want {
			t.Errorf("%d %s: %d %v", c.minor, c.currency, got, err)
		}
		if back, exact := stripe.FromStripe(c.currency, got); c.ok && (back != c.minor || !exact) {
			t.Errorf("%d %s back: %d", got, c.currency, back)
		}
	}
	for _, c := range model.Currencies() {
		if stripe.Minimum(c) <= 0 {
			t.Errorf("%s has no minimum", c)
		}
	}
	for text, want := range map[string]int64{"": 0, "0": 0, "2.5": 30, "33.3333": 411, "100": 1234} {
		share, err := stripe.ParseFee(text)
		if err != nil || stripe.ShareOf(share, 1234) != want {
			t.Errorf("%q of 1234: %d, want %d (%v)", text, stripe.ShareOf(share, 1234), want, err)
		}
	}
	share, err := stripe.ParseFee("2.5")
	if err != nil {
		t.Fatal(err)
	}
	for currency, want := range map[string]int64{"USD": 12345, "ISK": 12300, "KWD": 12340, "JPY": 12345} {
		if got := stripe.FeeOf(share, currency, 493_800); got != want {
			t.Errorf("the share of 493800 %s is %d, want %d", currency, got, want)
		}
	}
	for _, text := range []string{"-1", "101", "2.55555", "1e2", "x", " 1"} {
		if _, err := stripe.ParseFee(text); err == nil {
			t.Errorf("%q is taken as a percentage", text)
		}
	}
}
