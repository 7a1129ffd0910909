package web_test

import (
	"encoding/csv"
	"fmt"
	"strings"
	"testing"
	"time"

	"tollgate/billing"
	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	chromium "tollgate/ui/browser"
)

// calls puts usage of a key into the books as a node would have handed it in.
func (s *site) calls(a control.Actor, k control.Key, stage control.StageName, path string, at time.Time, status int, calls int64) {
	s.Helper()
	flags := 1
	if status == 429 || status == 403 {
		flags = 0
	}
	s.exec(`
		insert into usage_line (tenant_id, hour, stage_num, method_num, subscription_id, key_num, terms, status, flags, gen, calls, bytes_in, bytes_out, micros, boot, seq)
		select $1, $2, (select stage_num from stage where api_id = $3 and name = $4 and deleted_at is null), (select method_num from api_method where api_id = $3 and path = $5),
			$6, $7, 0, $8, $9, 0, $10::bigint, $10 * 120, $10 * 2048, $10 * 23000, gen_random_uuid(), 1`,
		a.Tenant, at.Truncate(time.Hour), stage.APIID, stage.Stage, path, int64(k.Plans[0].Subscription), k.Num, status, flags, calls)
}

// seller is an account with a priced plan, a developer and calls of this month and
// the last one.
type seller struct {
	*site
	owner     control.Actor
	prod      control.StageName
	own       control.CreatedKey
	theirs    control.CreatedKey
	developer string
	last      time.Time // begin of the last month
}

func newSeller(t testing.TB) *seller {
	s := &seller{site: newSite(t)}
	s.owner = s.tenant()
	s.exec(`update tenant set name = 'Pets Inc.', created_at = created_at - interval '100 days' where tenant_id = $1`, s.owner.Tenant)
	s.prod = s.deployed(s.owner, "prod")
	gold := s.plan(s.owner, "Gold", &model.PriceSheet{Currency: "EUR", MonthlyFee: "29", Included: 100, Tiers: []model.PriceTier{{UpTo: 1000, Price: "0.02"}, {Price: "5", Per: 1000}}}, s.prod)
	var err error
	s.own, err = s.CreateKey(s.Context(), s.owner, control.NewKey{Name: "Monitoring", Enabled: true, PlanIDs: []string{s.plan(s.owner, "Free", nil, s.prod).ID}})
	s.must(err)
	s.developer, s.theirs = s.customer(s.owner, "bea@ships.example", gold)
	now := time.Now().UTC()
	s.last = time.Date(now.Year(), now.Month()-1, 1, 0, 0, 0, 0, time.UTC)
	s.exec(`update subscription set started_at = $2 where tenant_id = $1`, s.owner.Tenant, s.last.AddDate(0, -1, 0))
	s.calls(s.owner, s.theirs.Key, s.prod, "/pets", s.last.Add(30*time.Hour), 200, 1000)
	s.calls(s.owner, s.theirs.Key, s.prod, "/pets/{id}", s.last.Add(31*time.Hour), 404, 400)
	s.calls(s.owner, s.theirs.Key, s.prod, "/pets", s.last.Add(300*time.Hour), 429, 77)
	s.calls(s.owner, s.own.Key, s.prod, "/pets", s.last.Add(400*time.Hour), 200, 5)
	s.calls(s.owner, s.theirs.Key, s.prod, "/pets", now, 200, 40)
	ago := func(d time.Duration) time.Time { // of this month still
		t, first := now.Add(-d), s.last.AddDate(0, 1, 0)
		if t.Before(first) {
			return first
		}
		return t
	}
	s.calls(s.owner, s.theirs.Key, s.prod, "/pets/{id}", ago(2*time.Hour), 503, 2)
	s.calls(s.owner, s.own.Key, s.prod, "/pets/{id}", ago(time.Hour), 429, 8)
	return s
}

func TestUsagePage(t *testing.T) {
	t.Parallel()
	s := newSeller(t)
	b := s.as(s.owner)
	p := b.get("/usage").want(200, "Calls 50", "42 billable", "20.0 %", "8 of the client, 2 of the server", "Pets", "Download CSV")
	// Every step down narrows by the URL, and back.
	p = p.link("Pets").want(200, "GET /pets/{id}", "GET /pets")
	p = p.link("GET /pets/{id}").want(200, "Method: GET /pets/{id}", "Monitoring", "Server").without("GET /pets ")
	p = p.link("Monitoring").want(200, "Key: Monitoring", "Calls 8", "0 billable")
	p.link("Status").want(200, "429", "Over a rate or a quota")
	p.link("Key: Monitoring Do not narrow to it").want(200, "Calls 10")
	p.link("Clear").want(200, "Calls 50").without("Key: Monitoring")
	b.get("/usage?by=app").link("Routing").want(200, "App: Routing", "Calls 42")
	b.get("/usage?by=developer").want(200, "bea@ships.example", "Not from a developer").link("bea@ships.example").want(200, "Developer: bea@ships.example", "Calls 42")
	b.get("/usage").press("Show", "status", "5xx").want(200, "Calls 2", "100.0 %")
	b.get("/usage").press("Show", "range", "last-month").want(200, "Calls 1,482")
	p = b.get("/usage").press("Show", "range", "days").want(200)
	p.press("Show", "from", s.last.Format(time.DateOnly), "to", s.last.AddDate(0, 0, 1).Format(time.DateOnly)).want(200, "Calls 1,400", "06:00")
	p.press("Show", "from", "2026-13-01", "to", "yesterday").want(422, "2 things have to be put right", `"yesterday" is not a day`)
	p.press("Show", "from", "2026-02-02", "to", "2026-02-01").want(422, "is before the first")
	b.get("/usage?range=last-month&api="+s.prod.APIID+"&stage=dev").want(200, "No calls in this time")
	b.get("/usage?status=teapot&by=colour&range=long").want(422, "3 things", "teapot")
	b.get("/usage?key=nosuch").want(404, `There is no key "nosuch"`)

	file := b.get("/usage.csv?range=last-month&status=4xx")
	rows, err := csv.NewReader(strings.NewReader(file.body)).ReadAll()
	if err != nil || len(rows) != 3 || file.header.Get("Content-Type") != "text/csv; charset=utf-8" || !strings.HasPrefix(file.header.Get("Content-Disposition"), "attachment; filename=\"usage-") {
		t.Errorf("%q, %v, %v", rows, err, file.header)
	}
	if got := strings.Join(rows[2][2:13], ","); got != "Pets,prod,GET,/pets/{id},"+s.theirs.ID+",Server,"+rows[2][8]+",Routing,bea@ships.example,404,400" {
		t.Errorf("a row is %s", got)
	}
	b.get("/usage.csv?range=days&from=never").want(422)
	// Another account sees nothing of it, whatever it asks for.
	other := s.as(s.tenant())
	other.get("/usage").want(200, "Calls 0", "No calls in this time").without("Pets")
	for _, q := range []string{"api=" + s.prod.APIID, "key=" + s.own.ID, "developer=" + s.developer} {
		other.get("/usage?"+q).want(404).without("Pets", "Monitoring", "bea")
	}
	if c := other.get("/usage.csv?range=last-month"); strings.Count(c.body, "\n") != 1 {
		t.Errorf("%s", c.body)
	}
	s.as(s.member(s.owner, control.RoleViewer)).get("/usage").want(200, "Calls 50")
}

// From calls to an invoice, by buttons alone.
func TestBillingPages(t *testing.T) {
	t.Parallel()
	s := newSeller(t)
	b := s.as(s.owner)
	month := "/billing?month=" + s.last.Format("2006-01")
	name := s.last.Format("January 2006")
	// 29.00, 900 calls... of 1,400: 100 are included, 1,000 cost 20.00, 300 cost 1.50.
	p := b.get(month).want(200, "Not invoiced yet 50.50 EUR", "1 invoice to make", "No drafts yet", "Answered 1,482", "Billable 1,405", "Under a price 1,400", "On invoices 0", "only your account's name")
	p = p.press("Make drafts").want(200, "1 draft is made for "+name, "Ships Ltd.", "50.50 EUR", "Make 1 draft final")
	p.press("Make drafts for "+name).want(200, "1 draft is made")
	draft := p.link("Draft").want(200, "Draft for "+name, "Pets Inc.", "Ships Ltd.", "Quay 1", "Gold · Routing", "Calls 101 to 1,100", "5.00 per 1,000", "Total 50.50 EUR", "A draft has no number")
	// The seller's details are on it once they are there.
	b.get("/billing/seller").press("Save", "address", "Street 1").want(422, "An invoice needs the name")
	b.get("/billing/seller").press("Save", "name", "Pets GmbH", "address", strings.Repeat("line\n", 9), "email", "x").want(422, "The address has 9 lines")
	b.get("/billing/seller").press("Save", "name", "Pets GmbH", "address", "Street 1\r\nTown", "taxId", "DE1", "email", "money@pets.example").want(200, "are from Pets GmbH")
	confirm := draft.link("Make it final").want(200, "The draft for Ships Ltd. of 50.50 EUR becomes an invoice", "never be changed")
	inv := confirm.press("Make it final").want(200, "1 invoice is final", "Invoice INV-000001", "Pets GmbH", "Street 1", "Tax number DE1", "Total 50.50 EUR", "Open 50.50 EUR", "Due").without("Make it final")
	confirm.press("Make it final").want(200, "Invoice INV-000001 is final already", "Total 50.50 EUR")

	hours := inv.link("1,400").want(200, "1,400 billable calls", "of Gold · Routing, as on invoice INV-000001, in 2 hours", "In all 1,400")
	if c := hours.link("Download CSV"); !strings.Contains(c.body, "INV-000001,2,"+s.last.Add(31*time.Hour).Format(time.RFC3339)+",,400,billable calls\n") {
		t.Errorf("hours: %s", c.body)
	}
	if c := inv.link("CSV"); !strings.Contains(c.body, ",50.50") && !strings.Contains(c.body, ",21.50,EUR") {
		t.Errorf("csv: %s", c.body)
	}
	if f := inv.link("PDF"); !strings.HasPrefix(f.body, "%PDF-") || f.header.Get("Content-Type") != "application/pdf" || f.header.Get("Content-Disposition") != `attachment; filename="INV-000001.pdf"` {
		t.Errorf("pdf: %v", f.header)
	}
	b.get(month).want(200, "Not invoiced yet 0", "Invoiced 50.50 EUR", "On invoices 1,400", "every call is on an invoice", "INV-000001").
		press("Make drafts for "+name).want(200, "Nobody owes anything for "+name)

	s.settled(b, inv.path)
	// This month goes on: what is final now is up to now.
	p = b.get("/billing").want(200, "so far, of 1 developer").press("Make drafts").want(200)
	p = p.link("Make 1 draft final").want(200, "1 draft becomes an invoice", "is not over").press("Make it final").want(200, "1 invoice is final", "INV-000002")
	p.link("INV-000002").want(200, "The month was not over when this was made")
	b.get("/billing?state=draft").want(200, "There are none")
	b.get(month).want(200, "From invoices to money", "Invoiced 50.50 EUR", "Credited 10.50 EUR", "Paid 40.00 EUR")
	// It is not paid for long: past due, then overdue.
	s.exec(`update collection set due_at = now() - interval '40 days' where state = 'open'`)
	s.exec(`update tenant set billing_rules = '{}'`)
	books := billing.New(billing.Options{Pool: s.pool, SetOverdue: s.SetOverdue})
	s.must(books.Dun(t.Context()))
	_, err := books.Grant(t.Context(), billing.Scope{Tenant: s.owner.Tenant}, billing.By{Member: "x", Name: "x", Role: "owner"}, billing.Grant{Payer: billing.Payer{Tenant: s.owner.Tenant, Developer: s.developer}, Currency: "EUR", Amount: 1250, Reason: "Sorry", Reference: "1"})
	s.must(err)
	b.get("/billing").want(200, "Prepaid money", "On wallets before the month 0.00 EUR", "Granted, less what was revoked 12.50 EUR", "Left on wallets, less what is owed on them 12.50 EUR")
	b.get(month+"&state=past_due").want(200, "Past due, of all months", "INV-000002")
	b.get("/billing").want(200, "of it past due, on 1 invoice")
	b.get("/developers/"+s.developer).want(200, "Overdue since")
	b.get("/billing/finalize?month="+s.last.Format("2006-01")).want(200, "There are no drafts")
	b.get("/billing?month=2026-13").want(422, "is not a month")
	b.get("/billing?month=2199-01").want(422, "has not begun")
	b.get("/billing?month="+s.last.AddDate(0, -4, 0).Format("2006-01")).want(200, "Nothing to bill")

	// Who may not, and whose it is not.
	dev := s.as(s.member(s.owner, control.RoleDeveloper))
	for _, path := range []string{"/billing", "/billing/account", "/billing/seller", strings.Split(inv.path, "?")[0]} {
		dev.get(path).want(403).without("INV-")
	}
	dev.post("/billing/run", nil).want(403)
	other := s.as(s.tenant())
	for _, path := range []string{"", "/pdf", "/csv", "/lines/2", "/lines/2/csv"} {
		other.get(inv.path+path).want(404).without("Ships", "Gold")
	}
	other.get("/billing/finalize?invoice=" + strings.TrimPrefix(inv.path, "/billing/invoices/")).want(404).without("Ships")
	for _, line := range []string{"0", "1", "3", "x", "-1"} {
		b.get(inv.path + "/lines/" + line).want(404)
	}
	s.as(s.member(s.owner, control.RoleBilling)).get("/billing").want(200, "Make drafts for")
	var audited []string
	l, err := s.Audit(t.Context(), s.owner, control.AuditFilter{})
	s.must(err)
	for _, e := range l.Items {
		audited = append(audited, e.Action+" by "+e.Actor)
	}
	for _, want := range []string{"billing.run by " + s.owner.Name, "invoice.finalize by " + s.owner.Name, "billing.seller by " + s.owner.Name} {
		if !strings.Contains(strings.Join(audited, "\n"), want) {
			t.Errorf("the audit trail lacks %q: %q", want, audited)
		}
	}
}

// settled takes an invoice of 50.50 EUR through all that can become of it by hand.
func (s *seller) settled(b *browser, at string) {
	s.Helper()
	p := b.get(at).link("Book a payment").want(200, "50.50 EUR is open")
	p.press("Book the payment", "amount", "x", "date", "yesterday").want(422, "3 things have to be put right", "is not an amount above zero", "is not a day", "tells this payment from others")
	p = p.press("Book the payment", "amount", "20.5", "reference", "statement 7").want(200, "20.50 EUR is booked as paid", "Paid in part", "Open 30.00 EUR", "statement 7", "Paid by transfer")
	p.link("Book a payment").press("Book the payment", "amount", "20.50", "reference", "statement 7").want(200, "booked already: nothing has changed", "Open 30.00 EUR")
	b.get(strings.Split(at, "?")[0]+"/void").want(200, "Money was paid for it")
	form := p.link("Credit").want(200, "Gold · Routing: Calls", "Of 21.50 EUR")
	form.press("Make the credit note", "amount", "1").want(422, "Say why")
	form.press("Make the credit note", "line2", "21.51", "reason", "an outage").want(422, "No more than what is left of line 2")
	form.press("Make the credit note", "line2", "1.50", "amount", "2", "reason", "an outage").want(422, "not both")
	form.press("Make the credit note", "line2", "1.50", "reason", "an outage").want(200, "Credit note CN-000001 of 1.50 EUR is made", "Open 28.50 EUR")
	form.press("Make the credit note", "line2", "1.50", "reason", "an outage").want(200, "CN-000001 of 1.50 EUR") // sent twice
	p = b.get(at).want(200, "an outage", "Credited 1.50 EUR").without("CN-000002")
	if f := p.link("CN-000001"); !strings.HasPrefix(f.body, "%PDF-") || f.header.Get("Content-Disposition") != `attachment; filename="CN-000001.pdf"` {
		s.Errorf("pdf: %v", f.header)
	}
	p = p.link("Give up").press("Give it up", "reason", "gone").want(200, "is given up", "Given up")
	p = p.link("Book a payment").press("Book the payment", "reference", "statement 9").want(200, "28.50 EUR is booked as paid", "Paid 49.00 EUR").without("Book a payment")
	p = p.link("Pay back").press("Book it as paid back", "amount", "9", "reference", "back", "reason", "was too slow").want(200, "9.00 EUR is booked as paid back", "Credited 10.50 EUR", "CN-000002")
	p.link("Pay back").press("Book it as paid back", "amount", "41", "reference", "back 2", "reason", "x").want(422, "no more than that can be paid back")

	// What a seller decides holds from then on.
	p = b.get("/billing/terms").want(200, "Refuse the developer's keys")
	p.press("Save", "termDays", "x", "reminders", "7, 3").want(422, "is not a number of days")
	p.press("Save", "reminders", "7, 3").want(422, "Reminders are sent on rising days")
	p.press("Save", "termDays", "30", "reminders", "", "unpaid", "keep", "taxes-country", "de", "taxes-name", "VAT", "taxes-percent", "19%").want(200, "Saved", "Your own country is not known yet")
	r, err := billing.New(billing.Options{Pool: s.pool}).Rules(s.Context(), billing.Scope{Tenant: s.owner.Tenant})
	if s.must(err); r.TermDays != 30 || len(r.Reminders) != 0 || r.Unpaid != model.KeepAccess || len(r.Taxes) != 1 || r.Taxes[0] != (model.TaxRate{Country: "DE", Name: "VAT", Percent: "19"}) {
		s.Errorf("rules %+v", r)
	}
	b.get("/billing/seller").press("Save", "country", "Germany").want(422, "is not a country's code")
	b.get("/billing/seller").press("Save", "country", "de").want(200, "are from Pets GmbH")
}

// While a node has not handed in all of a month, nothing is final unless somebody
// says so.
func TestFinalizeWaitsForUsage(t *testing.T) {
	t.Parallel()
	s := newSeller(t)
	b := s.as(s.owner)
	s.exec(`insert into usage_boot (boot, gateway_id, started_at) values (gen_random_uuid(), 1, $1)`, s.last)
	month := s.last.Format("2006-01")
	p := b.get("/billing?month="+month).press("Make drafts").link("Make 1 draft final").press("Make it final").
		want(422, "is still out on a node of gateway shared", "Go on without it")
	b.get("/billing?month="+month).want(200, "Make 1 draft final", "Collecting")
	drafts, err := billing.New(billing.Options{Pool: s.pool}).Drafts(t.Context(), billing.Scope{Tenant: s.owner.Tenant}, s.last)
	if s.must(err); len(drafts) != 1 {
		t.Fatalf("there are %d drafts", len(drafts))
	}
	draft := "/billing/invoices/" + drafts[0].ID
	b.get(draft).want(200, "Collecting", "still out on a node of gateway shared since")
	s.exec(`update usage_boot set watermark = $1`, s.last.AddDate(0, 1, 0))
	b.get(draft).want(200, "Draft").without("Collecting", "still out")
	s.exec(`update usage_boot set watermark = null`)
	p.press("Make it final", "on", "1").want(200, "1 invoice is final")
}

func TestOwnBill(t *testing.T) {
	t.Parallel()
	s := newSeller(t)
	b := s.as(s.owner)
	b.get("/billing/account").want(200, "Nothing so far", "There are none yet")
	operator := billing.By{Member: "op", Role: "operator"}
	books := billing.New(billing.Options{Pool: s.pool})
	s.must(books.AddOperatorSheet(t.Context(), operator, model.PriceSheet{Currency: "USD", Tiers: []model.PriceTier{{Price: "10000", Per: 1_000_000}}}, s.last.AddDate(0, -1, 0)))
	b.get("/billing/account").want(200, "So far in", "0.42 USD", "10,000.00 a million", "is to be expected for")
	_, err := books.Run(t.Context(), billing.Operator, operator, s.last)
	s.must(err)
	drafts, err := books.Drafts(t.Context(), billing.Operator, s.last)
	s.must(err)
	if len(drafts) != 1 {
		t.Fatalf("%d drafts", len(drafts))
	}
	b.get("/billing/account").want(200, "There are none yet") // a draft is the operator's
	b.get("/billing/invoices/" + drafts[0].ID).want(404)
	_, err = books.Finalize(t.Context(), billing.Operator, operator, []string{drafts[0].ID}, true)
	s.must(err)
	b.get("/billing/account").link("INV-000001").want(200, "Invoice INV-000001", "API calls", "14.05 USD").link("1,405").want(200, "in 3 hours")
	b.get("/billing?month=" + s.last.Format("2006-01")).want(200).without("14.05 USD")
}

// What money is on looks right to everybody, on a desk and on a phone.
func TestMoneyPagesInBrowser(t *testing.T) {
	t.Parallel()
	s := newSeller(t)
	p := chromium.Start(t).Visitor(t)
	for i := range 40 { // something to see
		at := time.Now().UTC().Add(-time.Duration(i*17%47) * time.Hour)
		s.calls(s.owner, s.theirs.Key, s.prod, []string{"/pets", "/pets/{id}"}[i%2], at, []int{200, 200, 404, 500, 429}[i%5], int64(900-i*13))
	}
	books := billing.New(billing.Options{Pool: s.pool})
	by := billing.By{Member: "x", Name: "x", Role: "owner"}
	scope := billing.Scope{Tenant: s.owner.Tenant}
	s.must(books.SetSeller(t.Context(), scope, by, model.Party{Name: "Pets Inc.", Address: "1 Main Street\nSpringfield", TaxID: "US-12", Email: "money@pets.example"}))
	s.must(books.AddOperatorSheet(t.Context(), by, billing.AmazonSheet(), s.last))
	_, err := books.Run(t.Context(), scope, by, s.last)
	s.must(err)
	drafts, err := books.Drafts(t.Context(), scope, s.last)
	s.must(err)
	_, err = books.Finalize(t.Context(), scope, by, []string{drafts[0].ID}, true)
	s.must(err)
	_, err = books.Paid(t.Context(), scope, by, billing.Receipt{Invoice: drafts[0].ID, Kind: model.PaidByHand, Amount: 2000, Reference: "statement 7"})
	s.must(err)
	_, err = books.Credit(t.Context(), scope, by, billing.Credit{Invoice: drafts[0].ID, Reference: "1", Reason: "An outage on 3 March", Lines: []billing.CreditPart{{Line: 2, Net: 500}}})
	s.must(err)
	rules := model.DefaultBillingRules()
	rules.Taxes = []model.TaxRate{{Country: "DE", Name: "VAT", Percent: "19"}, {Country: "FR", Name: "TVA", Percent: "20"}}
	s.must(books.SetRules(t.Context(), scope, by, rules))
	_, err = books.Run(t.Context(), scope, by, time.Now())
	s.must(err)
	draft, err := books.Drafts(t.Context(), scope, time.Now())
	s.must(err)
	_, err = books.Grant(t.Context(), scope, by, billing.Grant{Payer: billing.Payer{Tenant: s.owner.Tenant, Developer: s.developer}, Currency: "EUR", Amount: 1250, Reason: "Sorry", Reference: "1"})
	s.must(err)
	// The tenant's own bill has a cache and a domain, and a node has not handed in all of the month.
	s.exec(`insert into resource_interval (tenant_id, kind, resource, size, valid_from) select $1, 'cache', stage_num::text, '0.5', $2::timestamptz from stage where tenant_id = $1
		union select $1, 'cache', '7000', '0.5', $2 union select $1, 'domain', 'api.pets.example', '', $2`, s.owner.Tenant, s.last.Add(90*time.Minute))
	_, err = books.Run(t.Context(), billing.Operator, by, s.last)
	s.must(err)
	ours, err := books.Drafts(t.Context(), billing.Operator, s.last)
	s.must(err)
	_, err = books.Finalize(t.Context(), billing.Operator, by, []string{ours[0].ID}, true)
	s.must(err)
	bill, err := books.Invoice(t.Context(), scope, ours[0].ID)
	s.must(err)
	caches := 0
	for _, l := range bill.Lines {
		if model.CacheOf(l.Meter) != "" {
			caches = l.Line
		}
	}
	each := ui.Quantity(int64(bill.End.Sub(bill.Begin).Hours()) - 1)
	s.as(s.owner).get(fmt.Sprintf("/billing/invoices/%s/lines/%d", bill.ID, caches)).want(200, "hours of caches of 0.5 GB, as on invoice "+bill.Number+".",
		"Pets / prod "+each+" "+ui.Stamp(bill.Begin.Add(time.Hour))+" "+ui.Stamp(bill.End), "a stage that is gone, no. 7000 "+each)
	s.exec(`insert into usage_boot (boot, gateway_id, started_at) values (gen_random_uuid(), 1, $1)`, s.last)
	s.calls(s.owner, s.theirs.Key, s.prod, "/pets", s.last.Add(30*time.Hour), 200, 900)
	_, err = books.Run(t.Context(), scope, by, s.last)
	s.must(err)
	late, err := books.Drafts(t.Context(), scope, s.last)
	s.must(err)
	s.as(s.owner).in(p)
	for name, path := range map[string]string{
		"bill": "/billing/invoices/" + bill.ID, "bill-hours": fmt.Sprintf("/billing/invoices/%s/lines/%d", bill.ID, caches), "invoice-collecting": "/billing/invoices/" + late[0].ID,
		"usage": "/usage", "usage-week": "/usage?range=7d&by=method", "usage-narrow": "/usage?range=days&by=status&key=" + s.theirs.ID,
		"billing": "/billing", "billing-last": "/billing?month=" + s.last.Format("2006-01"), "billing-account": "/billing/account", "billing-seller": "/billing/seller",
		"billing-finalize": "/billing/finalize?month=" + time.Now().UTC().Format("2006-01"),
		"invoice":          "/billing/invoices/" + drafts[0].ID, "invoice-draft": "/billing/invoices/" + draft[0].ID,
		"invoice-pay": "/billing/invoices/" + drafts[0].ID + "/pay", "invoice-credit": "/billing/invoices/" + drafts[0].ID + "/credit", "invoice-give-up": "/billing/invoices/" + drafts[0].ID + "/give-up",
		"billing-terms": "/billing/terms", "invoice-hours": "/billing/invoices/" + drafts[0].ID + "/lines/2",
	} {
		p.Goto(s.url + path)
		if p.Status() != 200 {
			t.Fatalf("%s: status %d", path, p.Status())
		}
		p.Sound(name)
	}
	empty := chromium.Start(t).Visitor(t)
	s.as(s.tenant()).in(empty)
	for _, path := range []string{"/usage", "/billing", "/billing/account"} {
		empty.Goto(s.url + path)
		empty.Sound("empty" + strings.ReplaceAll(path, "/", "-"))
	}
}
