package stripe_test

import (
	"testing"
	"time"

	"tollgate/billing"
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
