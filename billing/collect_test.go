package billing_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/billing"
	"tollgate/model"
)

// owed makes final invoices of a fee each, to a developer each.
func (b *books) owed(fees ...string) (ids []string) {
	b.T.Helper()
	for _, fee := range fees {
		dev := b.newDeveloper(b.tenant, "payer"+model.NewID(6))
		b.subscribe(b.tenant, dev, model.PriceSheet{Currency: "EUR", MonthlyFee: model.Decimal(fee)}, march)
		b.run()
		ids = append(ids, b.finalize()...)
	}
	if len(ids) != len(fees) {
		b.T.Fatalf("%d invoices of %d fees", len(ids), len(fees))
	}
	return ids
}

func (b *books) stands(id, want string) {
	b.T.Helper()
	d := b.detail(id)
	if got := fmt.Sprintf("%s due %d paid %d open %d surplus %d", d.State, d.Due, d.Paid, d.Open(), d.Surplus()); got != want {
		b.T.Errorf("%s stands at %q, want %q", d.Number, got, want)
	}
}

func TestPayments(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	s := b.scope()
	ids := b.owed("100", "100", "100", "100")
	d := b.detail(ids[0])
	if d.State != model.StateOpen || !d.DueAt.Equal(april.AddDate(0, 0, 14)) || d.By != "hand" {
		t.Errorf("a new invoice stands at %+v", d.Collection)
	}
	hand := func(id string, amount int64, ref string) (bool, error) {
		return b.Paid(b.ctx, s, by, billing.Receipt{Invoice: id, Kind: model.PaidByHand, Amount: amount, Reference: ref, At: april})
	}
	// In parts, again, and more than is owed.
	for range 2 {
		_, err := hand(ids[0], 4000, "transfer 1")
		b.must(err)
		b.stands(ids[0], "open due 10000 paid 4000 open 6000 surplus 0")
	}
	if _, err := hand(ids[0], 4001, "transfer 1"); model.KindOf(err) != model.Conflict {
		t.Errorf("the same transfer with another amount: %v", err)
	}
	if err := b.Void(b.ctx, s, by, ids[0], "wrong"); model.KindOf(err) != model.Conflict {
		t.Errorf("void with money paid: %v", err)
	}
	if new, err := hand(ids[0], 7000, "transfer 2"); err != nil || !new {
		t.Errorf("the rest: %v, %v", new, err)
	}
	b.stands(ids[0], "paid due 10000 paid 11000 open 0 surplus 1000")
	back := func(id string, amount int64, ref string) (bool, error) {
		return b.PaidBack(b.ctx, s, by, billing.Receipt{Invoice: id, Amount: amount, Reference: ref, Note: "was not used"})
	}
	// What is owed back needs no credit note; what is beyond it does.
	_, err := back(ids[0], 1000, "back 1")
	b.must(err)
	if n := len(b.detail(ids[0]).Credits); n != 0 {
		t.Errorf("paying back a surplus made %d credit notes", n)
	}
	for range 2 {
		_, err = back(ids[0], 2500, "back 2")
		b.must(err)
	}
	b.stands(ids[0], "paid due 7500 paid 7500 open 0 surplus 0")
	if _, err = back(ids[0], 7501, "back 3"); model.KindOf(err) != model.Conflict {
		t.Errorf("more back than was paid: %v", err)
	}
	d = b.detail(ids[0])
	if len(d.Credits) != 1 || d.Credits[0].Number != "CN-000001" || d.Credits[0].Amount != 2500 || len(d.Payments) != 4 ||
		!slices.ContainsFunc(d.Payments, func(p model.Payment) bool {
			return p.Kind == model.PaidBack && p.Amount == -1000 && p.Reference == "back 1"
		}) {
		t.Errorf("in the end %+v, %+v", d.Credits, d.Payments)
	}

	// Failed attempts, before and after it is paid.
	fail := billing.Receipt{Invoice: ids[1], Reference: "pi_1", Note: "card declined"}
	for range 2 {
		_, err = b.Failed(b.ctx, s, by, fail)
		b.must(err)
	}
	if d = b.detail(ids[1]); d.Attempts != 1 || d.LastError != "card declined" || d.State != model.StateOpen {
		t.Errorf("after a failed attempt %+v", d.Collection)
	}
	b.must(b.GiveUp(b.ctx, s, by, ids[1], "gone out of business"))
	b.must(b.GiveUp(b.ctx, s, by, ids[1], "again"))
	b.stands(ids[1], "uncollectible due 10000 paid 0 open 10000 surplus 0")
	_, err = b.Paid(b.ctx, s, by, billing.Receipt{Invoice: ids[1], Kind: model.PaidByStripe, Amount: 10000, Reference: "pi_2"})
	b.must(err)
	b.stands(ids[1], "paid due 10000 paid 10000 open 0 surplus 0")
	fail.Reference = "pi_0"
	_, err = b.Failed(b.ctx, s, by, fail)
	b.must(err)
	if d = b.detail(ids[1]); d.Attempts != 2 || d.LastError != "" || d.State != model.StatePaid {
		t.Errorf("a late failure left %+v", d.Collection)
	}

	// Void: all of it is credited; the number stays.
	b.must(b.Void(b.ctx, s, by, ids[2], "made twice"))
	b.must(b.Void(b.ctx, s, by, ids[2], "made twice"))
	b.stands(ids[2], "void due 0 paid 0 open 0 surplus 0")
	if d = b.detail(ids[2]); d.Number != "INV-000003" || len(d.Credits) != 1 || d.Credits[0].Amount != 10000 || d.Credits[0].Kind != "void" {
		t.Errorf("void: %+v", d)
	}
	if _, err = hand(ids[2], 1, "x"); model.KindOf(err) != model.Conflict {
		t.Errorf("a transfer for a void invoice: %v", err)
	}
	_, err = b.Paid(b.ctx, s, by, billing.Receipt{Invoice: ids[2], Kind: model.PaidByStripe, Amount: 10000, Reference: "pi_9"})
	b.must(err)
	b.stands(ids[2], "void due 0 paid 10000 open 0 surplus 10000")
	if err = b.GiveUp(b.ctx, s, by, ids[2], "x"); model.KindOf(err) != model.Conflict {
		t.Errorf("giving up a void one: %v", err)
	}

	// Crediting what is open leaves less of it; all of it settles the invoice.
	credit := func(amount int64, ref string) (model.CreditNote, error) {
		return b.Credit(b.ctx, s, by, billing.Credit{Invoice: ids[3], Reference: ref, Reason: "an outage", Amount: amount})
	}
	for range 2 {
		n, err := credit(3000, "c1")
		if err != nil || n.Amount != 3000 {
			t.Fatalf("%+v, %v", n, err)
		}
	}
	if _, err = credit(2999, "c1"); model.KindOf(err) != model.Conflict {
		t.Errorf("another credit by the same reference: %v", err)
	}
	b.stands(ids[3], "open due 7000 paid 0 open 7000 surplus 0")
	for net, want := range map[int64]model.Kind{3000: "", 2999: model.Conflict} {
		_, err := b.Credit(b.ctx, s, by, billing.Credit{Invoice: ids[3], Reference: "c1", Reason: "an outage", Lines: []billing.CreditPart{{Line: 1, Net: net}}})
		if model.KindOf(err) != want || want == "" && err != nil {
			t.Errorf("the same reference, %d of a line: %v", net, err)
		}
	}
	if _, err = credit(7001, "c2"); model.KindOf(err) != model.Invalid {
		t.Errorf("more than is left: %v", err)
	}
	_, err = credit(7000, "c3")
	b.must(err)
	b.stands(ids[3], "paid due 0 paid 0 open 0 surplus 0")

	// Not theirs.
	other := billing.Scope{Tenant: b.newTenant("222222222222")}
	for name, s := range map[string]billing.Scope{"another tenant": other, "the operator": billing.Operator, "who pays": {Tenant: b.tenant, Developer: "dev1"}} {
		if _, err := b.Paid(b.ctx, s, by, billing.Receipt{Invoice: ids[3], Kind: model.PaidByHand, Amount: 1, Reference: "x"}); model.KindOf(err) != model.NotFound && model.KindOf(err) != model.Denied {
			t.Errorf("%s booked a payment: %v", name, err)
		}
		if err := b.Void(b.ctx, s, by, ids[3], "x"); model.KindOf(err) != model.NotFound && model.KindOf(err) != model.Denied {
			t.Errorf("%s: void: %v", name, err)
		}
	}
	for name, r := range map[string]billing.Receipt{
		"the reference is missing": {Amount: 1}, "at most 200": {Reference: strings.Repeat("x", 201), Amount: 1}, "above zero": {Reference: "x", Amount: -1},
		"has not come": {Reference: "x", Amount: 1, At: b.now.AddDate(0, 0, 2)},
	} {
		r.Invoice, r.Kind = ids[3], model.PaidByHand
		if _, err := b.Paid(b.ctx, s, by, r); model.KindOf(err) != model.Invalid || !strings.Contains(err.Error(), name) {
			t.Errorf("want %q: %v", name, err)
		}
	}
	for _, sql := range []string{`update payment set amount = 1`, `delete from payment`, `update credit_note set reason = ''`, `delete from credit_note`} {
		err := pgx.BeginFunc(b.ctx, b.pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(b.ctx, `select set_config('tollgate.tenant', '*', true)`); err != nil {
				return err
			}
			_, err := tx.Exec(b.ctx, sql)
			return err
		})
		if err == nil || !strings.Contains(err.Error(), "never changed") {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

// Whatever happens to an invoice, in any order and as often as it likes, ends in the
// same figures as each happening once; the state never goes back; credit notes have
// no gap and never more than was invoiced.
func TestEventsInAnyOrder(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 2))
	t.Logf("seed %d", seed)
	b.must(b.SetRules(b.ctx, b.scope(), by, rulesOf(model.TaxRate{Country: "DE", Name: "VAT", Percent: "19"}, model.TaxRate{Country: "DE", Name: "Levy", Percent: "0.333"})))
	b.exec(`update tenant set seller = '{"name":"Seller","country":"DE"}'`)
	rank := map[string]int{model.StateOpen: 0, model.StatePastDue: 1, model.StateUncollectible: 2, model.StatePaid: 3, model.StateVoid: 3}
	fees := make([]string, 12)
	for i := range fees {
		fees[i] = fmt.Sprintf("%d.%02d", 1+rnd.IntN(99), rnd.IntN(100))
	}
	for _, id := range b.owed(fees...) {
		total := b.detail(id).Total
		part := func(of int64) int64 { return 1 + rnd.Int64N(max(of, 1)) }
		type event struct {
			name string
			do   func() error
		}
		var events []event
		add := func(name string, do func() error) { events = append(events, event{name, do}) }
		receipt := func(kind string, amount int64) billing.Receipt {
			return billing.Receipt{Invoice: id, Kind: kind, Amount: amount, Reference: fmt.Sprintf("r%d", len(events))}
		}
		for range 1 + rnd.IntN(3) {
			r := receipt(model.PaidByStripe, part(total))
			add(fmt.Sprint("paid ", r.Amount), func() error { _, err := b.Paid(b.ctx, b.scope(), by, r); return err })
		}
		for range rnd.IntN(3) {
			r := receipt("", 0)
			add("failed", func() error { _, err := b.Failed(b.ctx, b.scope(), by, r); return err })
		}
		for range rnd.IntN(2) {
			r := receipt("", part(total/3))
			add(fmt.Sprint("back ", r.Amount), func() error { _, err := b.PaidBack(b.ctx, b.scope(), by, r); return err })
		}
		for range rnd.IntN(3) {
			c := billing.Credit{Invoice: id, Reference: fmt.Sprint(len(events)), Reason: "r", Amount: part(total / 2)}
			add(fmt.Sprint("credit ", c.Amount), func() error { _, err := b.Credit(b.ctx, b.scope(), by, c); return err })
		}
		switch rnd.IntN(4) {
		case 0:
			add("void", func() error { return b.Void(b.ctx, b.scope(), by, id, "r") })
		case 1:
			add("give up", func() error { return b.GiveUp(b.ctx, b.scope(), by, id, "r") })
		}
		for range len(events) { // some come again
			events = append(events, events[rnd.IntN(len(events))])
		}
		rnd.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		was := b.detail(id)
		for _, e := range events {
			err := e.do()
			if k := model.KindOf(err); err != nil && k != model.Conflict && k != model.Invalid {
				t.Fatalf("%s: %v", e.name, err)
			}
			is := b.detail(id)
			if rank[is.State] < rank[was.State] {
				t.Errorf("%s took it from %s to %s", e.name, was.State, is.State)
			}
			if err != nil && (is.Collection != was.Collection || len(is.Payments) != len(was.Payments) || len(is.Credits) != len(was.Credits)) {
				t.Errorf("%s was refused (%v) and changed %+v to %+v", e.name, err, was.Collection, is.Collection)
			}
			var paid, credited, tax int64
			for _, p := range is.Payments {
				paid += p.Amount
			}
			for _, c := range is.Credits {
				credited, tax = credited+c.Amount, tax+c.Tax
				var net, lineTax int64
				for _, l := range c.Lines {
					net, lineTax = net+l.Net, lineTax+l.Tax
				}
				if net+c.Tax != c.Amount || lineTax != c.Tax {
					t.Errorf("%s: lines of %d and tax of %d in a note of %d with %d", c.Number, net, lineTax, c.Amount, c.Tax)
				}
			}
			if paid != is.Paid || is.Total-credited != is.Due || credited > is.Total || tax > is.Tax || credited == is.Total && tax != is.Tax {
				t.Errorf("%s: paid %d of %+v, credited %d with tax %d of %d", e.name, paid, is.Collection, credited, tax, is.Tax)
			}
			was = is
		}
	}
	if gap := one[int64](b, `select coalesce(max(serial) - count(*), 0) from credit_note`); gap != 0 {
		t.Errorf("%d numbers of credit notes are missing", gap)
	}
}

func rulesOf(rates ...model.TaxRate) model.BillingRules {
	r := model.DefaultBillingRules()
	r.Taxes = rates
	return r
}

// Tax by where the payer is, rounded once for each rate, in parts of the lines; a
// credit note takes its share, to the last cent.
func TestTax(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.must(b.SetRules(b.ctx, b.scope(), by, rulesOf(
		model.TaxRate{Country: "DE", Name: "VAT", Percent: "19.0"}, model.TaxRate{Country: "FR", Name: "TVA", Percent: "20"},
		model.TaxRate{Country: "CA", Region: "BC", Name: "GST", Percent: "5"}, model.TaxRate{Country: "CA", Region: "BC", Name: "PST", Percent: "7"},
		model.TaxRate{Country: "CA", Name: "GST", Percent: "5"})))
	b.must(b.SetSeller(b.ctx, b.scope(), by, model.Party{Name: "Seller GmbH", Country: "DE", TaxID: "DE123456789"}))
	for i, c := range []struct {
		payer string
		want  string
	}{
		{`{}`, "VAT 19 640"}, // nobody said where: as at home
		{`{"name":"x","country":"DE","taxId":"DE987654321"}`, "VAT 19 640"},
		{`{"name":"x","country":"FR"}`, "TVA 20 674"},
		{`{"name":"x","country":"FR","taxId":"FR12345"}`, "TVA 20 674"},
		{`{"name":"x","country":"FR","taxId":"FR 12 345678901"}`, "VAT 0 0 Reverse charge: the recipient accounts for the VAT (Art. 196, Directive 2006/112/EC)"},
		{`{"name":"x","country":"CA","region":"BC"}`, "GST 5 169, PST 7 236"}, // 168.5, 235.9
		{`{"name":"x","country":"CA","region":"ON"}`, "GST 5 169"},
		{`{"name":"x","country":"US"}`, "Tax 0 0 No tax is charged in US"},
	} {
		dev := b.newDeveloper(b.tenant, fmt.Sprintf("tax%d", i))
		b.exec(`update developer set billing = $2 where developer_id = $1`, dev, []byte(c.payer))
		sub := b.subscribe(b.tenant, dev, model.PriceSheet{Currency: "EUR", MonthlyFee: "33.33", Tiers: []model.PriceTier{{Price: "0.01"}}}, march)
		b.use(b.tenant, sub, march, 37, model.FlagBillable)
		b.run()
		d := b.detail(b.finalize()[0])
		var got []string
		var tax, parts int64
		for _, l := range d.Taxes {
			got, tax = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %d %s", l.Name, l.Percent, l.Amount, l.Note))), tax+l.Amount
		}
		for _, l := range d.Lines {
			parts += l.Tax
		}
		if s := strings.Join(got, ", "); s != c.want || tax != d.Tax || parts != d.Tax || d.Total != 3370+tax || d.Due != d.Total {
			t.Errorf("%s: %s, %+v", c.payer, s, d)
		}
		if i != 1 {
			continue
		}
		// Line by line, then the rest.
		n, err := b.Credit(b.ctx, b.scope(), by, billing.Credit{Invoice: d.ID, Reference: "1", Reason: "r", Lines: []billing.CreditPart{{Line: 2, Net: 37}}})
		if err != nil || n.Amount != 44 || n.Tax != 7 || !slices.Equal(n.Lines, []model.CreditLine{{Line: 2, Net: 37, Tax: 7}}) {
			t.Errorf("a line: %+v, %v", n, err)
		}
		for _, wrong := range []billing.CreditPart{{Line: 2, Net: 1}, {Line: 1, Net: 3334}, {Line: 3, Net: 1}, {Line: 1, Net: -1}} {
			if _, err := b.Credit(b.ctx, b.scope(), by, billing.Credit{Invoice: d.ID, Reference: "2", Reason: "r", Lines: []billing.CreditPart{wrong}}); model.KindOf(err) != model.Invalid {
				t.Errorf("%+v: %v", wrong, err)
			}
		}
		b.must(b.Void(b.ctx, b.scope(), by, d.ID, "r"))
		d = b.detail(d.ID)
		if c := d.Credits[1]; c.Amount != 3966 || c.Tax != 633 || !slices.Equal(c.Lines, []model.CreditLine{{Line: 1, Net: 3333, Tax: 633}}) {
			t.Errorf("the rest: %+v", c)
		}
	}
	bad := rulesOf(model.TaxRate{Country: "XX", Name: "VAT", Percent: "19"})
	if err := b.SetRules(b.ctx, b.scope(), by, bad); model.KindOf(err) != model.Invalid {
		t.Errorf("a country that there is not: %v", err)
	}
}

// A difference below zero is no invoice: credit notes to what was invoiced of the
// month stand for it, taxed as that was.
func TestAdjustment(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.must(b.SetRules(b.ctx, b.scope(), by, rulesOf(model.TaxRate{Country: "DE", Name: "VAT", Percent: "19"})))
	b.must(b.SetSeller(b.ctx, b.scope(), by, model.Party{Name: "Seller GmbH", Country: "DE"}))
	volume := model.PriceSheet{Currency: "EUR", Model: model.Volume, Tiers: []model.PriceTier{{UpTo: 200, Price: "1"}, {Price: "0.1"}}}
	sub := b.subscribe(b.tenant, b.developer, volume, march)
	b.use(b.tenant, sub, march, 50, model.FlagBillable)
	b.run()
	first := b.finalize()[0]
	b.use(b.tenant, sub, march.Add(time.Hour), 130, model.FlagBillable)
	b.run()
	second := b.finalize()[0]
	if _, err := b.Paid(b.ctx, b.scope(), by, billing.Receipt{Invoice: second, Kind: model.PaidByHand, Amount: 15470, Reference: "t"}); err != nil {
		t.Fatal(err)
	}
	b.use(b.tenant, sub, march.Add(2*time.Hour), 70, model.FlagBillable) // 250 cost 25.00, and 180.00 are invoiced
	b.run()
	// The payer is taxed otherwise now: what is credited is not.
	b.must(b.SetRules(b.ctx, b.scope(), by, rulesOf(model.TaxRate{Country: "DE", Name: "VAT", Percent: "7"})))
	id := b.finalize()[0]
	d := b.detail(id)
	if d.Number != "ADJ-000001" || !d.Adjustment || d.Total != -18445 || d.Tax != -2945 || d.State != "" || len(d.Credits) != 2 {
		t.Errorf("adjustment %+v, %d credit notes", d.Invoice, len(d.Credits))
	}
	for i, want := range []struct {
		to     string
		amount int64
	}{{second, 15470}, {first, 2975}} {
		if c := d.Credits[i]; c.InvoiceID != want.to || c.Amount != want.amount || c.Kind != "adjustment" || c.Number != fmt.Sprintf("CN-%06d", i+1) {
			t.Errorf("credit note %d: %+v", i, c)
		}
	}
	b.stands(second, "paid due 0 paid 15470 open 0 surplus 15470")
	b.stands(first, "open due 2975 paid 0 open 2975 surplus 0")
	// The next invoice has the number after the last invoice.
	b.use(b.tenant, sub, march.Add(3*time.Hour), 1000, model.FlagBillable)
	b.run()
	if d := b.detail(b.finalize()[0]); d.Number != "INV-000003" || d.Total != 10700 {
		t.Errorf("after it: %+v", d.Invoice)
	}
	bal, err := b.Balance(b.ctx, b.scope(), march)
	if err != nil || bal.Invoiced != bal.Priced {
		t.Errorf("balance %+v, %v", bal, err)
	}
}
