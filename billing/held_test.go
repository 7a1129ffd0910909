package billing_test

import (
	"testing"
	"time"

	"tollgate/billing"
	"tollgate/model"
)

// What a tenant has by the hour is on its bill for each hour begun, a domain for each month
// begun, also where a month is cut while it goes on; what was billed is found again.
func TestWhatIsHeldIsBilled(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	sheet := model.PriceSheet{Currency: "USD", Meters: []model.MeterPrice{
		{Meter: model.MeterCache("0.5"), Included: 1, Tiers: []model.PriceTier{{Price: "0.02"}}}, {Meter: model.MeterCache("6.1"), Tiers: []model.PriceTier{{Price: "0.2"}}},
		{Meter: model.MeterDomains, Tiers: []model.PriceTier{{Price: "3"}}}}}
	b.must(b.AddOperatorSheet(b.ctx, by, sheet, march.AddDate(0, -1, 0)))
	there := func(kind, resource, size string, from, to time.Time) {
		b.exec(`insert into resource_interval (tenant_id, kind, resource, size, valid_from, valid_to) values ($1, $2, $3, $4, $5, nullif($6, '0001-01-01 00:00:00+00'::timestamptz))`,
			b.tenant, kind, resource, size, from, to)
	}
	at := func(day, hour, minute int) time.Time {
		return march.AddDate(0, 0, day-1).Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute)
	}
	there("cache", "1", "0.5", at(3, 10, 59), at(3, 11, 1))           // hours 10 and 11
	there("cache", "1", "0.5", at(3, 11, 30), at(3, 12, 0))           // 11 again
	there("cache", "1", "6.1", at(3, 12, 0), at(3, 12, 1))            // 12, of another size
	there("cache", "2", "0.5", at(3, 11, 0), at(3, 11, 1))            // of another stage
	there("cache", "3", "6.1", march.AddDate(0, -1, 27), at(1, 1, 0)) // from the month before
	there("cache", "4", "6.1", at(31, 22, 30), time.Time{})           // and on
	there("domain", "a.example", "", march.AddDate(0, -1, 0), at(1, 0, 1))
	there("domain", "a.example", "", at(9, 0, 0), at(9, 0, 1))
	there("domain", "b.example", "", at(20, 0, 0), time.Time{})
	there("domain", "c.example", "", march.AddDate(0, 1, 0), time.Time{}) // April's
	other := b.newTenant("222222222222")
	b.exec(`insert into resource_interval (tenant_id, kind, resource, size, valid_from) values ($1, 'domain', 'x.example', '', $2)`, other, at(5, 0, 0))

	run := func(want int64) string {
		b.T.Helper()
		if _, err := b.Run(b.ctx, billing.Operator, by, march); err != nil {
			t.Fatal(err)
		}
		drafts, _, err := b.Invoices(b.ctx, billing.Operator, billing.Filter{Account: "111111111111", State: "draft"})
		b.must(err)
		if len(drafts) != 1 || drafts[0].Total != want {
			t.Fatalf("%+v, want a draft of %d", drafts, want)
		}
		done, err := b.Finalize(b.ctx, billing.Operator, by, []string{drafts[0].ID}, true)
		b.must(err)
		return done[0]
	}
	// Until the 10th: 2 + 1 hours of 0.5 GB less the included one, 1 + 1 of 6.1, one domain.
	b.now = at(10, 0, 0)
	first := run(4 + 40 + 300)
	b.now = april
	forecast, err := b.Forecast(b.ctx, b.scope())
	b.must(err)
	if len(forecast) != 1 || forecast[0].Total != 30*24*20+2*300 {
		t.Errorf("the forecast of April is %+v", forecast)
	}
	second := run(2*20 + 300)
	lines := 0
	for _, id := range []string{first, second} {
		inv, err := b.Invoice(b.ctx, billing.Operator, id)
		b.must(err)
		for _, l := range inv.Lines {
			b.addsUp(billing.Operator, id, l)
			lines++
		}
		if d, err := b.Replay(b.ctx, billing.Operator, id); err != nil || len(d) > 0 {
			t.Errorf("%v, %v", d, err)
		}
	}
	if lines < 5 {
		t.Errorf("there were %d lines with something behind them", lines)
	}
	b.exec(`update resource_interval set valid_to = $2 where tenant_id = $1 and resource = '4'`, b.tenant, april)
	if d, err := b.Replay(b.ctx, billing.Operator, second); err != nil || len(d) > 0 {
		t.Errorf("what ended later changes the invoice: %v, %v", d, err)
	}
}

// What falls out of the books has a value beside it, or the reason why there is none.
func TestWhatIsNotBilledHasAValue(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	sub := b.subscribe(b.tenant, b.developer, cents, march)
	b.must(b.AddOperatorSheet(b.ctx, by, model.PriceSheet{Currency: "EUR", Tiers: []model.PriceTier{{Price: "0.1"}}}, march))
	own := one[uint64](b, `insert into subscription (tenant_id, plan_id, terms, started_at) select tenant_id, plan_id, terms, $2 from subscription where subscription_id = $1 returning subscription_id`, sub, march)
	free := one[uint64](b, `insert into subscription (tenant_id, plan_id, terms, started_at) select tenant_id, plan_id, 0, $2 from subscription where subscription_id = $1 returning subscription_id`, sub, march)
	b.use(b.tenant, sub, march, 5, model.FlagBillable)
	b.use(b.tenant, own, march, 134, model.FlagBillable)
	b.use(b.tenant, free, march, 7, model.FlagBillable)
	b.use(b.tenant, 0, march, 3, model.FlagBillable)
	bal, err := b.Balance(b.ctx, b.scope(), march)
	b.must(err)
	if len(bal.Unbilled) != 3 || bal.Unbilled[0].Calls != 134 || len(bal.Unbilled[0].Worth) != 1 || bal.Unbilled[0].Worth[0].Minor != 124 ||
		bal.Unbilled[1].Calls != 7 || bal.Unbilled[1].Why == "" || bal.Unbilled[2].Calls != 3 || bal.Unbilled[2].Why == "" {
		t.Errorf("%+v", bal.Unbilled)
	}
	// 5 of the included 10 are left: of 25 set aside, 20 would have been charged.
	batch := &model.Batch{Boot: model.BootID{9}, Seq: 1, Lines: []model.UsageLine{
		{Hour: march.Unix() / 3600, Tenant: b.tenant, Subscription: sub, Status: 200, Flags: model.FlagBillable, Calls: 25},
		{Hour: march.Unix() / 3600, Tenant: b.tenant, Subscription: sub, Status: 429, Calls: 1000}}}
	for i, encoded := range [][]byte{batch.Encode(), []byte("no batch")} {
		b.exec(`insert into usage_quarantine (hash, gateway_id, reason, encoded) values (decode(repeat($1, 32), 'hex'), 1, 'x', $2)`, []string{"00", "01"}[i], encoded)
	}
	b.must(b.Check(b.ctx))
	all, err := b.Checks(b.ctx)
	b.must(err)
	figures := map[string]int64{}
	for _, f := range all[0].Figures {
		figures[f.Name] = f.N
	}
	for name, want := range map[string]int64{"set aside": 2, "calls set aside": 25, "set aside that cannot be read, so without a value": 1,
		"minor units of EUR that they are worth to the operator": 250, "minor units of USD that they are worth to tenants": 20} {
		if figures[name] != want {
			t.Errorf("%s: %d, want %d; %v", name, figures[name], want, figures)
		}
	}
}
