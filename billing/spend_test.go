package billing_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/billing"
	"tollgate/model"
)

// Who spends is told once at each threshold of a month, of a cap, of an amount that was
// set, and of a tenant's own bill; and a month beyond its cap is found.
func TestSpendAlerts(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	var letters []string
	b.Billing = billing.New(billing.Options{Pool: b.pool, Now: func() time.Time { return b.now },
		Mail: func(_ context.Context, _ pgx.Tx, l billing.Letter) error {
			letters = append(letters, l.To+": "+l.Subject+"\n"+l.Text)
			return nil
		}})
	now := time.Now() // windows are reckoned by the database's clock
	b.now = time.Date(now.Year(), now.Month(), 1, 12, 0, 0, 0, time.UTC)
	sub := b.subscribe(b.tenant, b.developer, cents, march)
	b.exec(`update plan set spend_cap = 2`)
	told := func(what string, want ...string) {
		t.Helper()
		b.must(b.Alert(b.ctx))
		b.must(b.Alert(b.ctx))
		if len(letters) != len(want) {
			t.Fatalf("%s: letters %q, want %d", what, letters, len(want))
		}
		for i, w := range want {
			if l := letters[i]; len(l) < len(w) || l[:len(w)] != w {
				t.Errorf("%s: letter %q, want %q", what, l, w)
			}
		}
		letters = nil
	}
	spend := func() billing.Spend {
		t.Helper()
		all, err := b.Spends(b.ctx, billing.Scope{Tenant: b.tenant, Developer: b.developer})
		b.must(err)
		if len(all) != 1 || all[0].Subscription != sub || all[0].Currency != "USD" {
			t.Fatalf("spends %+v", all)
		}
		return all[0]
	}
	b.use(b.tenant, sub, b.now, 109, model.FlagBillable)
	told("0.99 of 2.00")
	b.use(b.tenant, sub, b.now, 1, model.FlagBillable)
	told("1.00 of 2.00", "dev1@example.com: 50 % of the spend cap is spent on Plan at Tenant 111111111111\nPlan of App has cost 1.00 USD in "+billing.MonthText(b.now)+", before tax: 50 % of the spend cap, 2.00 USD.")
	if s := spend(); s.Spent != 100 || s.Percent() != 50 || s.Cap != 200 || s.Reached {
		t.Errorf("%+v", s)
	}
	// What the cap reaches for is granted and used: 100 calls.
	window := model.SpendWindow{Tenant: b.tenant, Ledger: sub, At: b.now}
	b.must(b.Afford(b.ctx, []model.SpendWindow{window}))
	if n := one[int64](b, `select most from quota_window where kind = 1`); n != 100 {
		t.Fatalf("2.00 reaches for %d calls more", n)
	}
	b.exec(`update quota_window set granted = 100 where kind = 1`)
	b.exec(`insert into quota_lease (tenant_id, subscription_id, kind, window_start, boot, gateway_id, granted) select tenant_id, subscription_id, 1, window_start, $1, 1, 100 from quota_window`, b.boot.String())
	b.use(b.tenant, sub, b.now, 100, model.FlagBillable|model.FlagSpend)
	told("all of it at once", "dev1@example.com: 100 % of the spend cap is spent on Plan")
	if s := spend(); !s.Reached || s.Percent() != 100 {
		t.Errorf("%+v", s)
	}
	if names := b.broken(); names != "" {
		t.Errorf("%s do not hold of a cap that was kept", names)
	}
	// An amount of its own, and of the next month.
	b.exec(`insert into spend_limit (tenant_id, subscription_id, cap, alert) values ($1, $2, 100, 8)`, b.tenant, sub)
	b.exec(`delete from spend_alert`)
	told("2.00 of 8.00")
	b.use(b.tenant, sub, b.now, 450, model.FlagBillable)
	told("6.50 of 8.00", "dev1@example.com: 75 % of 8.00 USD is spent on Plan")
	// The tenant's own bill.
	b.exec(`insert into price_sheet (tenant_id, version, sheet, created_by, from_month) values (null, 1, $1, 'x', '2026-01-01')`, model.PriceSheet{Currency: "EUR", MonthlyFee: "30"})
	b.exec(`update tenant set spend_alert = 40`)
	told("30 of 40", "111111111111@example.com: 75 % of the amount you wanted to be told of is spent\nYour account has cost 30.00 EUR")
	// A cap that was not kept: more was granted than it reaches for.
	b.exec(`update quota_window set granted = 400 where kind = 1`)
	b.use(b.tenant, sub, b.now, 300, model.FlagBillable|model.FlagSpend)
	b.exec(`delete from usage_line where flags = 1`)
	if names := b.broken(); !strings.Contains(names, "I17 ") || !strings.Contains(names, "I12 ") {
		t.Errorf("%q do not hold where a cap was not kept", names)
	}
	// A quota: what breaks each of its three rules, and what does not.
	b.exec(`delete from quota_lease`)
	b.exec(`delete from quota_window`)
	b.exec(`update plan set quota_limit = 10, quota_period = 'DAY', quota_offset = 0, updated_at = now() - interval '9 days'`)
	b.exec(`update subscription set started_at = now() - interval '9 days'`)
	b.exec(`insert into quota_window (tenant_id, subscription_id, window_start, granted) values ($1, $2, date_trunc('day', now()), 10)`, b.tenant, sub)
	b.exec(`insert into quota_lease (tenant_id, subscription_id, window_start, boot, gateway_id, granted, used) values ($1, $2, date_trunc('day', now()), 'n', 1, 10, 10)`, b.tenant, sub)
	for _, c := range []struct {
		sql   string
		holds bool
	}{
		{`select`, true},
		{`update quota_lease set used = 11`, false},
		{`update quota_lease set used = 10, granted = 9`, false},
		{`update quota_lease set granted = 12`, false},
		{`update quota_window set granted = 12`, false},
		{`update quota_window set extension = 2`, true},
		{`update quota_window set extension = 0`, false},
		{`update plan set updated_at = now()`, true}, // it was lowered meanwhile
		{`update quota_lease set used = 13, settled_at = now()`, false},
		{`update plan set soft_quota = true`, true},
	} {
		b.exec(c.sql)
		if names := b.broken(); strings.Contains(names, "I12 ") == c.holds {
			t.Errorf("after %s %q do not hold", c.sql, names)
		}
	}
}
