package stripe_test

import (
	"testing"

	"tollgate/billing"
	"tollgate/model"
)

// A top-up is charged to the card; what the credit covers is not. Money that goes back
// at Stripe takes credit with it, and a credit note returns each part where it came from.
func TestTopUp(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	tenant := r.newTenant("111111111111")
	dev := r.newDeveloper(tenant, "dev1")
	seller, p := billing.Scope{Tenant: tenant}, billing.Payer{Tenant: tenant, Developer: "dev1"}
	account := r.connect(tenant)
	r.pay(dev, "4242424242424242")
	wallet := func(balance, owed int64) {
		t.Helper()
		if a, err := r.books.Available(r.ctx, p, "USD"); err != nil || a.Balance != balance || a.Owed != owed {
			t.Errorf("the wallet has %+v, %v; want %d, %d owed", a, err, balance, owed)
		}
	}
	stripe := func(want string) {
		t.Helper()
		if got := r.invoices(account); got != want {
			t.Errorf("Stripe has %s, want %s", got, want)
		}
	}
	top, err := r.books.TopUp(r.ctx, seller, by, billing.TopUp{Payer: p, Currency: "USD", Amount: 5000})
	r.must(err)
	wallet(0, 0)
	r.settle()
	wallet(5000, 0)
	stripe("paid 5000 paid 5000 lines 2")
	first := r.bill(dev, "30", "USD")
	r.settle()
	wallet(2000, 0)
	stripe("paid 5000 paid 5000 lines 2")
	if i := r.invoice(seller, first); i.State != model.StatePaid || i.By != model.PaidByHand {
		t.Errorf("what credit paid: %+v", i.Collection)
	}
	second := r.bill(dev, "40", "USD")
	r.settle()
	wallet(0, 0)
	if i := r.invoice(seller, second); i.State != model.StatePaid || i.Paid != 4000 || len(i.Payments) != 2 {
		t.Errorf("what credit and card paid: %+v, %+v", i.Collection, i.Payments)
	}
	stripe("paid 2000 paid 2000 lines 2; paid 5000 paid 5000 lines 2")

	for _, c := range r.at(account, "/v1/charges")["data"].([]any) {
		if c := c.(map[string]any); c["amount"] == 5000.0 {
			r.refund(account, c["id"].(string), "1000")
		}
	}
	r.settle()
	wallet(0, 1000)
	if i := r.invoice(seller, top); i.Due != 4000 || i.Paid != 4000 || len(i.Credits) != 1 || i.Credits[0].Number != "CN-000001" {
		t.Errorf("a top-up of which some went back: %+v, %+v", i.Collection, i.Credits)
	}
	_, err = r.books.Credit(r.ctx, seller, by, billing.Credit{Invoice: second, Reference: "1", Reason: "an outage", Amount: 2500})
	r.must(err)
	r.settle()
	wallet(1000, 0)
	if i := r.invoice(seller, second); i.Due != 1500 || i.Paid != 1500 || i.Surplus() != 0 {
		t.Errorf("after the credit: %+v, %+v", i.Collection, i.Payments)
	}
	var back float64
	for _, c := range r.at(account, "/v1/charges")["data"].([]any) {
		back += c.(map[string]any)["amount_refunded"].(float64)
	}
	if back != 1500 {
		t.Errorf("%v went back to the card, of the top-up and of what the card paid", back)
	}
	// One that nobody pays lapses there too.
	r.must(r.RemoveCard(r.ctx, dev, by))
	_, err = r.books.TopUp(r.ctx, seller, by, billing.TopUp{Payer: p, Currency: "USD", Amount: 700})
	r.must(err)
	r.settle()
	r.advance(20 * 24 * 3600 * 1e9)
	r.must(r.books.Calendar(r.ctx))
	r.settle()
	wallet(1000, 0)
	stripe("void 700 paid 0 lines 2; paid 2000 paid 2000 lines 2; paid 5000 paid 5000 lines 2")
	r.must(r.books.Check(r.ctx))
	if wrong := one[string](r, `select coalesce(string_agg(name || ' ' || problems::text, ', '), '') from book_check where wrong > 0`); wrong != "" {
		t.Errorf("checks: %s", wrong)
	}
}
