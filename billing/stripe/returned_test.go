package stripe_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"tollgate/billing"
	"tollgate/cmd/fakestripe/fake"
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

// What waited for an invoice that is paid another way before it is at Stripe, all of it or
// so much that the rest is too small, waits for the next one.
func TestWhatWaitedIsCarriedOn(t *testing.T) {
	t.Parallel()
	paid := func(amount int64) func(*rig, billing.Scope, string) error {
		return func(r *rig, s billing.Scope, id string) error {
			_, err := r.books.Paid(r.ctx, s, by, billing.Receipt{Invoice: id, Kind: model.PaidByHand, Amount: amount, Reference: "transfer"})
			return err
		}
	}
	for i, c := range []struct {
		end   func(*rig, billing.Scope, string) error
		want  string
		state string
	}{
		{paid(2000), "paid 4030 paid 4030 lines 2", model.StatePaid},
		{paid(1985), "paid 4045 paid 4045 lines 3", model.StatePaid},
		{func(r *rig, s billing.Scope, id string) error { return r.books.GiveUp(r.ctx, s, by, id, "Gone") }, "paid 4030 paid 4030 lines 2", model.StateUncollectible},
	} {
		for _, far := range []string{"decided", "asked", "draft"} { // how far it was at Stripe
			if far == "draft" && c.state == model.StateUncollectible {
				continue
			}
			t.Run(fmt.Sprint(i, far), func(t *testing.T) {
				t.Parallel()
				r := newRig(t, "")
				tenant := r.newTenant("111111111111")
				dev, seller := r.newDeveloper(tenant, "dev1"), billing.Scope{Tenant: tenant}
				account := r.connect(tenant)
				r.pay(dev, "4242424242424242")
				small := r.bill(dev, "0.30", "USD")
				r.settle()
				path := "/v1/invoices"
				if far == "draft" {
					path = "/v1/invoices/*/finalize"
				}
				r.must(r.fake.AddFault(fake.Fault{Path: path, Kind: fake.FaultServerError, Account: account}))
				large := r.bill(dev, "20", "USD")
				if len(r.jobs()) == 0 {
					t.Fatal("the call did not fail")
				}
				if far == "decided" { // and then there was a crash
					r.exec(`update psp_object set asked_at = null where local_id = $1`, large)
				}
				r.must(c.end(r, seller, large))
				r.settle()
				if i := r.invoice(seller, small); i.DueAt.Before(r.now().AddDate(1, 0, 0)) {
					t.Errorf("what waits is due on %s", i.DueAt)
				}
				next := r.bill(dev, "40", "USD")
				r.settle()
				if got := r.invoices(account); got != c.want {
					t.Errorf("Stripe has %s, want %s", got, c.want)
				}
				for id, want := range map[string]string{small: model.StatePaid, large: c.state, next: model.StatePaid} {
					if i := r.invoice(seller, id); i.State != want || i.Surplus() != 0 {
						t.Errorf("%s: %+v", i.Number, i.Collection)
					}
				}
			})
		}
	}
}

// A refund that fails after a day is owed again, and not tried on the card again; paid back
// by hand, it is settled.
func TestRefundFails(t *testing.T) {
	t.Parallel()
	for _, there := range []bool{false, true} { // made at Stripe by a person
		r := newRig(t, "")
		tenant := r.newTenant("111111111111")
		seller := billing.Scope{Tenant: tenant}
		account := r.connect(tenant)
		dev := r.newDeveloper(tenant, "dev1")
		r.pay(dev, "4000000000005126")
		id := r.bill(dev, "25", "USD")
		r.settle()
		credit := func(reference string) {
			t.Helper()
			_, err := r.books.Credit(r.ctx, seller, by, billing.Credit{Invoice: id, Reference: reference, Reason: "A day without service", Amount: 500})
			r.must(err)
		}
		if there {
			r.refund(account, r.at(account, "/v1/charges")["data"].([]any)[0].(map[string]any)["id"].(string), "500")
		} else {
			credit("1")
		}
		r.settle()
		if i := r.invoice(seller, id); i.Due != 2000 || i.Paid != 2000 {
			t.Errorf("paid back: %+v", i.Collection)
		}
		r.advance(25 * time.Hour)
		r.must(r.Sweep(r.ctx))
		r.settle()
		if i := r.invoice(seller, id); i.Due != 2000 || i.Paid != 2500 || i.Surplus() != 500 || i.State != model.StatePaid {
			t.Errorf("the refund failed: %+v, %+v", i.Collection, i.Payments)
		}
		_, err := r.books.PaidBack(r.ctx, seller, by, billing.Receipt{Invoice: id, Amount: 500, Reference: "transfer"})
		r.must(err)
		credit("2") // of which the card is tried
		r.settle()
		if i := r.invoice(seller, id); i.Due != 1500 || i.Paid != 1500 || len(i.Payments) != 5 {
			t.Errorf("paid back by hand, and another part by Stripe: %+v, %+v", i.Collection, i.Payments)
		}
	}
}

// To give up a small invoice that went with a large one leaves the large one to Stripe.
func TestOnlyTheSmallOneIsGivenUp(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	tenant := r.newTenant("111111111111")
	dev, seller := r.newDeveloper(tenant, "dev1"), billing.Scope{Tenant: tenant}
	account := r.connect(tenant)
	r.pay(dev, "4000000000000341")
	small := r.bill(dev, "0.30", "USD")
	r.settle()
	large := r.bill(dev, "20", "USD")
	r.settle()
	r.must(r.books.GiveUp(r.ctx, seller, by, small, "Too old"))
	r.settle()
	if i := r.invoice(seller, large); r.invoices(account) != "open 2030 paid 0 lines 2" || i.State != model.StateOpen || i.By != model.PaidByStripe {
		t.Fatalf("Stripe has %s, the large one is %+v", r.invoices(account), i.Collection)
	}
	r.pay(dev, "4242424242424242")
	if i, j := r.invoice(seller, small), r.invoice(seller, large); i.State != model.StateUncollectible || i.Paid != 0 || j.State != model.StatePaid || j.Paid != 2000 {
		t.Errorf("after the large one is paid: %+v, %+v", i.Collection, j.Collection)
	}
	// Both given up, it is so at Stripe.
	small = r.bill(dev, "0.20", "USD")
	r.settle()
	r.pay(dev, "4000000000000341")
	large = r.bill(dev, "10", "USD")
	r.settle()
	for _, id := range []string{small, large} {
		r.must(r.books.GiveUp(r.ctx, seller, by, id, "Gone"))
	}
	r.settle()
	if got := r.invoices(account); !strings.HasPrefix(got, "uncollectible 1020 paid 0") {
		t.Errorf("Stripe has %s", got)
	}
}

// What is open on an account that is taken away is its seller's to collect, what waited
// there too, which is due again.
func TestOpenOnADisconnectedAccount(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	tenant := r.newTenant("111111111111")
	dev, seller := r.newDeveloper(tenant, "dev1"), billing.Scope{Tenant: tenant}
	account := r.connect(tenant)
	r.pay(dev, "4000000000000341")
	var all []string
	for _, fee := range []model.Decimal{"0.30", "20", "0.40"} { // the first goes with the second, the third waits
		all = append(all, r.bill(dev, fee, "USD"))
		r.settle()
	}
	if got := r.invoices(account); got != "open 2030 paid 0 lines 2" {
		t.Fatalf("Stripe has %s", got)
	}
	r.steer("/_fake/accounts/"+account+"/deauthorize", nil)
	r.persist()
	r.must(r.Sweep(r.ctx))
	r.persist()
	for _, id := range all {
		if i := r.invoice(seller, id); i.By != model.PaidByHand || i.State != model.StateOpen || i.DueAt.After(r.now().AddDate(0, 0, 30)) {
			t.Errorf("%s: %+v", i.Number, i.Collection)
		}
	}
}

// An answer of Stripe's that stays with its key does not keep the operator's share from
// going back, nor what comes after it from being done.
func TestShareGoesBackAfterAnError(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		r := newRig(t, "10")
		tenant := r.newTenant("111111111111")
		dev, seller := r.newDeveloper(tenant, "dev1"), billing.Scope{Tenant: tenant}
		r.connect(tenant)
		r.pay(dev, "4242424242424242")
		id := r.bill(dev, "25", "USD")
		r.settle()
		r.must(r.fake.AddFault(fake.Fault{Path: "/v1/application_fees/*/refunds", Kind: fake.FaultServerError, After: after}))
		_, err := r.books.Credit(r.ctx, seller, by, billing.Credit{Invoice: id, Reference: "1", Reason: "A day without service", Amount: 500})
		r.must(err)
		if r.persist() == 0 {
			t.Error("nothing failed")
		}
		if i := r.invoice(seller, id); i.Paid != 2000 {
			t.Errorf("%+v", i.Collection)
		}
		if fee := r.at("", "/v1/application_fees")["data"].([]any)[0].(map[string]any); fee["amount_refunded"] != 50.0 {
			t.Errorf("of the operator's share went back %v", fee["amount_refunded"])
		}
	}
}

// What is given up while it is a draft at Stripe is not charged there.
func TestGivenUpAsADraft(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	tenant := r.newTenant("111111111111")
	dev, seller := r.newDeveloper(tenant, "dev1"), billing.Scope{Tenant: tenant}
	account := r.connect(tenant)
	r.pay(dev, "4242424242424242")
	r.must(r.fake.AddFault(fake.Fault{Path: "/v1/invoices/*/finalize", Kind: fake.FaultServerError, Account: account}))
	id := r.bill(dev, "20", "USD")
	if len(r.jobs()) == 0 {
		t.Fatal("the call did not fail")
	}
	r.must(r.books.GiveUp(r.ctx, seller, by, id, "Gone"))
	r.settle()
	if i := r.invoice(seller, id); i.State != model.StateUncollectible || r.invoices(account) != "" {
		t.Errorf("Stripe has %q of what is %+v", r.invoices(account), i.Collection)
	}
}
