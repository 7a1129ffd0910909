package billing_test

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"tollgate/billing"
	"tollgate/billing/rate/ratetest"
	"tollgate/model"
)

func lines(invoices []billing.InvoiceDetail) string {
	var all []billing.InvoiceLine
	for _, i := range invoices {
		all = append(all, i.Lines...)
	}
	b, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// What a preview says is what the invoice says, byte for byte: of a month as it
// is, and of a change of price, whatever the two prices are.
func TestPreviewsAreInvoices(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 3))
	b := newBooks(t)
	for range 12 {
		dev := b.newDeveloper(b.tenant, model.NewID(6))
		scope := billing.Scope{Tenant: b.tenant, Developer: dev}
		sub := b.subscribe(b.tenant, dev, ratetest.Sheet(r.IntN), march.Add(time.Duration(r.Int64N(60)-50)*17*time.Hour))
		at := march.AddDate(0, 0, 10).Add(time.Duration(r.IntN(10*86400)) * time.Second)
		b.now = at
		b.use(b.tenant, sub, march.Add(time.Duration(r.IntN(200))*time.Hour), uint64(1+r.IntN(6000)), model.FlagBillable)
		for _, c := range []model.CustomerCoupon{{Percent: "12.5"}, {Amount: "3.33", Currency: "EUR"}}[r.IntN(3)%2:] {
			c.Code = "P-" + strings.ToUpper(model.NewID(8))
			b.coupon(b.scope(), c)
			_, err := b.UseCoupon(b.ctx, b.scope(), by, billing.Payer{Tenant: b.tenant, Developer: dev}, c.Code)
			b.must(err)
		}
		now, err := b.Preview(b.ctx, scope, march)
		b.must(err)
		if n, err := b.Run(b.ctx, b.scope(), by, march); err != nil || n < len(now) {
			t.Fatal(n, err)
		}
		var drafts []billing.InvoiceDetail
		for _, i := range b.list(b.scope(), billing.Filter{Developer: dev, Month: march}) {
			drafts = append(drafts, b.detail(i.ID))
		}
		if lines(now) != lines(drafts) {
			t.Fatalf("seed %d: the preview is\n%s\nthe draft\n%s", seed, lines(now), lines(drafts))
		}
		next := ratetest.Sheet(r.IntN)
		was := one[string](b, `select sheet->>'currency' from price_sheet p join subscription s on s.terms = p.sheet_num where s.subscription_id = $1`, sub)
		next.Currency = was
		preview, err := b.PreviewChange(b.ctx, scope, sub, &next, at)
		b.must(err)
		b.exec(`update subscription set ended_at = $2 where subscription_id = $1`, sub, at)
		b.follow(sub, next, at)
		b.now = april
		b.run()
		drafts = nil
		for _, i := range b.list(b.scope(), billing.Filter{Developer: dev, Month: march}) {
			drafts = append(drafts, b.detail(i.ID))
		}
		if lines(preview) != lines(drafts) {
			t.Fatalf("seed %d: the preview of the change is\n%s\nthe invoice\n%s", seed, lines(preview), lines(drafts))
		}
		if _, err := b.PreviewChange(b.ctx, scope, sub, nil, at); model.KindOf(err) != model.Conflict {
			t.Fatalf("a subscription that ended was changed: %v", err)
		}
	}
	other := billing.Scope{Tenant: b.newTenant("333333333333")}
	if _, err := b.PreviewChange(b.ctx, other, 1, nil, march); model.KindOf(err) != model.NotFound {
		t.Errorf("another account's subscription: %v", err)
	}
}

func TestWhatIf(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	sub := b.subscribe(b.tenant, b.developer, cents, march.AddDate(0, -1, 0))
	plan := one[string](b, `select plan_id from subscription where subscription_id = $1`, sub)
	// A second customer of the plan, on trial until the end of the 15th; and one whose
	// plan is another.
	dev2 := b.newDeveloper(b.tenant, "dev2")
	sub2 := one[uint64](b, `insert into subscription (tenant_id, plan_id, app_id, terms, started_at)
		select tenant_id, plan_id, 'app-dev2', 0, $2 from subscription where subscription_id = $1 returning subscription_id`, sub, march.Add(time.Hour))
	b.use(b.tenant, b.subscribe(b.tenant, b.newDeveloper(b.tenant, "dev3"), cents, march), march, 1000, model.FlagBillable)
	b.use(b.tenant, sub, march.Add(time.Hour), 110, model.FlagBillable)
	b.use(b.tenant, sub2, march.AddDate(0, 0, 2), 500, model.FlagBillable)
	b.use(b.tenant, sub2, march.AddDate(0, 0, 16), 300, model.FlagBillable)
	candidate := &model.PriceSheet{Currency: "USD", Model: model.Volume, Tiers: []model.PriceTier{{UpTo: 200, Price: "0.05"}, {Price: "0.02"}}, TrialDays: 14}
	got, err := b.WhatIf(b.ctx, b.scope(), plan, candidate, march)
	b.must(err)
	if len(got.Customers) != 2 || got.Was != 100 || got.Would != 550+600 || got.Currency != "USD" || got.Digits != 2 {
		t.Fatalf("%+v", got)
	}
	if c := got.Customers[0]; c.DeveloperID != dev2 || c.Was != 0 || c.Would != 600 || len(c.Lines) != 1 || len(c.Lines[0].Steps) != 2 {
		t.Errorf("the one without a price: %+v", c)
	}
	if c := got.Customers[1]; c.DeveloperID != b.developer || c.Was != 100 || c.Would != 550 {
		t.Errorf("the one with a price: %+v", c)
	}
	if n := one[int](b, `select count(*) from invoice`); n != 0 {
		t.Errorf("%d invoices were made", n)
	}
	if _, err := b.WhatIf(b.ctx, b.scope(), plan, &model.PriceSheet{Currency: "EUR", MonthlyFee: "1"}, march); model.KindOf(err) != model.Invalid {
		t.Errorf("two currencies were compared: %v", err)
	}
	if _, err := b.WhatIf(b.ctx, b.scope(), plan, &model.PriceSheet{Currency: "USD", Meters: []model.MeterPrice{{Meter: "cache-hours"}}}, march); model.KindOf(err) != model.Invalid {
		t.Errorf("a meter that nobody counts was tried out: %v", err)
	}
	if got, err := b.WhatIf(b.ctx, billing.Scope{Tenant: b.newTenant("444444444444")}, plan, candidate, march); err != nil || len(got.Customers) != 0 {
		t.Errorf("another account sees %+v, %v", got, err)
	}
}

// More use can cost less by volume, and takes away what a minimum added: late usage
// is then a credit, and months agree in the end.
func TestLateUsageThatCostsLess(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	sub := b.subscribe(b.tenant, b.developer, model.PriceSheet{Currency: "USD", Model: model.Volume, Minimum: "4",
		Tiers: []model.PriceTier{{UpTo: 100, Price: "0.10"}, {Price: "0.05"}}, Maximum: "8"}, march.AddDate(0, -1, 0))
	for _, c := range []struct {
		calls uint64
		total int64 // of the invoice
		lines int
	}{
		{10, 400, 2},  // 1.00 and what is missing to 4.00
		{90, 400, 3},  // 10.00, at most 8.00; no minimum any more
		{1, -295, 2},  // 5.05
		{200, 295, 2}, // 15.05, at most 8.00
	} {
		b.use(b.tenant, sub, march, c.calls, model.FlagBillable)
		if n := b.run(); n != 1 {
			t.Fatalf("%d more calls made %d drafts", c.calls, n)
		}
		d := b.detail(b.finalize()[0])
		if d.Total != c.total || len(d.Lines) != c.lines {
			t.Errorf("%d more calls cost %d, want %d: %+v", c.calls, d.Total, c.total, d.Lines)
		}
	}
}
