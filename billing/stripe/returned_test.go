package stripe_test

import (
	"net/url"
	"testing"

	"tollgate/billing"
	"tollgate/model"
)

// All of what went back of a payment is booked, where a part of it was owed back already
// and the rest was not.
func TestMoreWentBackThanWasOwed(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	tenant := r.newTenant("111111111111")
	seller := billing.Scope{Tenant: tenant}
	account := r.connect(tenant)
	dev := r.newDeveloper(tenant, "dev1")
	r.pay(dev, "4242424242424242")
	id := r.bill(dev, "25", "USD")
	r.settle()
	charge := r.at(account, "/v1/charges")["data"].([]any)[0].(map[string]any)
	_, err := r.books.Credit(r.ctx, seller, by, billing.Credit{Invoice: id, Reference: "1", Reason: "A day without service", Amount: 500})
	r.must(err)
	r.refund(account, charge["id"].(string), "700") // before the credit is at Stripe
	r.settle()
	if i := r.invoice(seller, id); i.Due != 1800 || i.Paid != 1800 || len(i.Credits) != 2 || i.Credits[1].Amount != 200 {
		t.Errorf("after a credit of 500 and 700 that went back: %+v, %+v, %+v", i.Collection, i.Payments, i.Credits)
	}
	if charge = r.at(account, "/v1/charges")["data"].([]any)[0].(map[string]any); charge["amount_refunded"] != 700.0 {
		t.Errorf("%v went back", charge["amount_refunded"])
	}

	// So it is with a dispute that is lost.
	dev = r.newDeveloper(tenant, "dev2")
	r.pay(dev, "4000000000000259")
	id = r.bill(dev, "25", "USD")
	r.settle()
	inv := r.invoice(seller, id)
	if inv.Disputed != 2500 {
		t.Fatalf("disputed: %+v", inv.Collection)
	}
	_, err = r.books.Credit(r.ctx, seller, by, billing.Credit{Invoice: id, Reference: "1", Reason: "A day without service", Amount: 500})
	r.must(err)
	r.post(account, "/v1/disputes/"+inv.Disputes[0].ID, url.Values{"evidence[uncategorized_text]": {"none"}, "submit": {"true"}})
	r.persist()
	if inv = r.invoice(seller, id); inv.Due != 0 || inv.Paid != 0 || inv.Disputes[0].State != model.DisputeLost {
		t.Errorf("all was lost: %+v, %+v, %+v", inv.Collection, inv.Payments, inv.Credits)
	}
}
