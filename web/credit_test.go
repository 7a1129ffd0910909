package web_test

import (
	"net/http"
	"testing"

	"tollgate/billing"
	"tollgate/control"
	"tollgate/model"
)

// Credit is granted, bought and used, and coupons are made, given and taken away, by
// forms alone: by the account for a developer, and by the operator for the account.
func TestCreditPages(t *testing.T) {
	t.Parallel()
	s := newSeller(t)
	b := s.as(s.owner)
	b.get("/billing/coupons").want(200, "No coupons yet").link("Make a coupon").want(200, "Gold").
		press("Make the coupon", "code", "x", "amount", "20", "months", "some").want(422, "is not a whole number").
		press("Make the coupon", "code", "x", "months", "3").want(422, "3 to 40 letters").
		press("Make the coupon", "code", "spring-20", "kind", "amount", "amount", "5").want(422, "is not a currency").
		press("Make the coupon", "currency", "EUR", "most", "1").want(200, "The coupon is made", "SPRING-20", "5.00 EUR a month off all plans", "for 3 months", "0 of 1", "Can be entered")

	p := b.get("/developers/"+s.developer).want(200, "Prepaid credit None").link("Credit, top-ups and coupons").want(200, "There is no prepaid credit yet")
	p = p.press("Grant", "grant-amount", "much", "grant-priority", "first", "grant-expires", "soon").want(422, "4 things", "is not an amount above zero such as 12.50", "Say why")
	p = p.press("Grant", "grant-amount", "25", "grant-reason", "For the outage", "grant-expires", "", "grant-priority", "").want(200, "25.00 EUR are granted", "For the outage", "Granted", "+25.00 EUR")
	p.press("Grant", "grant-amount", "10", "grant-reason", "Welcome", "grant-priority", "10").want(200, "10.00 EUR are granted", "priority 10", "35.00 EUR")
	p = p.press("Give it", "code", "nosuch").want(422, "There is no code \"NOSUCH\"")
	p = p.press("Give it", "code", "spring-20").want(200, "Code SPRING-20: 5.00 EUR a month off all plans")
	p.press("Save", "refill-below", "5", "refill-by", "20").want(422, "not sold here")
	b.get("/billing/coupons").want(200, "1 of 1", "Used up")

	// A month that is owed: 50.50 less nothing, since the code is of this month on; 35.00 of credit pay the first part.
	b.get("/billing?month="+s.last.Format("2006-01")).press("Make drafts").link("Make 1 draft final").press("Make it final").want(200, "1 invoice is final")
	inv := b.get("/billing?month="+s.last.Format("2006-01")).link("INV-000001").want(200, "Paid in part", "Paid from prepaid credit", "From credit", "Open 15.50 EUR")
	inv.link("Void").want(200, "a credit note takes off all of it").press("Make it void", "reason", "made twice").want(200, "is void", "Given back to prepaid credit", "CN-000001")
	p = b.get("/developers/"+s.developer+"/credit").want(200, "35.00 EUR", "Used for an invoice INV-000001", "Given back of an invoice INV-000001")
	p.link("Take back").want(200, "are left of").press("Take it back", "reason", "").want(422, "Say why").
		press("Take it back", "reason", "by mistake").want(200, "is taken back", "25.00 EUR").without("35.00 EUR of")
	p.link("Take away").want(200, "cannot enter it again").press("Take it away").want(200, "The coupon is taken away", "taken away before it was used")
	b.get("/billing/coupons").link("Withdraw").want(200, "keep it for its months").press("Withdraw it").want(200, "is withdrawn", "Withdrawn")

	top := b.get("/developers/"+s.developer+"/credit").press("Invoice a top-up", "topup-amount", "0").want(422, "is not an amount above zero").
		press("Invoice a top-up", "topup-amount", "100").want(200, "The invoice of the top-up is made", "Top-up TOP-000001", "No tax is charged on prepaid credit", "Open 100.00 EUR")
	top.link("Book a payment").press("Book the payment", "reference", "transfer 1").want(200, "100.00 EUR is booked as paid")
	b.get("/developers/"+s.developer+"/credit").want(200, "Paid with TOP-000001", "125.00 EUR")
	b.get("/billing/terms").press("Save", "topUps", "1").want(200, "Saved")
	b.get("/developers/"+s.developer+"/credit").press("Save", "refill-below", "5", "refill-by", "20").want(200, "Topped up by 20.00 EUR when less than 5.00 EUR is left")

	// The operator for the account, which sees it on its own bill.
	s.exec(`insert into price_sheet (version, sheet, from_month, created_by) values (1, '{"currency":"EUR"}', '2026-01-01', 'x')`)
	o := s.operator()
	at := "/operator/tenants/" + s.owner.AccountID
	o.get(at).link("Credit, top-ups and coupons").press("Grant", "grant-amount", "7", "grant-reason", "Welcome").want(200, "7.00 EUR are granted")
	o.get("/operator/billing/coupons").link("Make a coupon").press("Make the coupon", "code", "OPEN", "amount", "10", "months", "").want(200, "10% off", "for ever")
	b.get("/billing/account").want(200, "Prepaid credit 7.00 EUR").link("Credit, top-ups and coupons").want(200, "Welcome", "+7.00 EUR").without("Grant credit", "Top up").
		press("Enter the code", "code", "open").want(200, "Code OPEN: 10% off")
	s.must(s.web.Billing.SetRules(s.Context(), billing.Operator, billing.By{}, model.BillingRules{TopUps: true, Unpaid: model.KeepAccess}))
	b.get("/billing/account/credit").press("Top up", "topup-amount", "30").want(200, "Top-up TOP-000001", "30.00 EUR")
	if p := s.as(s.member(s.owner, control.RoleDeveloper)).get("/developers/" + s.developer); p.status != http.StatusOK {
		t.Errorf("who may not bill gets %d", p.status)
	} else {
		p.without("Prepaid credit")
	}
}
