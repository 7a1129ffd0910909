package billing_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"tollgate/billing"
	"tollgate/billing/rate/ratetest"
	"tollgate/model"
)

func (b *books) coupon(s billing.Scope, c model.CustomerCoupon) string {
	b.T.Helper()
	id, err := b.CreateCoupon(b.ctx, s, by, c)
	b.must(err)
	return id
}

func (b *books) useCoupon(p billing.Payer, code string) model.CouponUse {
	b.T.Helper()
	b.now = b.now.Add(time.Second)
	u, err := b.UseCoupon(b.ctx, billing.Scope(p), by, p, code)
	b.must(err)
	return u
}

// couponLines are an invoice's lines of coupons, as texts.
func couponLines(d billing.InvoiceDetail) (out []string) {
	for _, l := range d.Lines {
		if strings.HasPrefix(l.Title, "Code ") {
			out = append(out, fmt.Sprintf("%s %d after %d", l.Title, l.Amount, l.Invoiced))
		}
	}
	return out
}

func TestCoupons(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	p, own := b.payer(), billing.Scope{Tenant: b.tenant, Developer: b.developer}
	b.now = march.AddDate(0, 0, 10)
	sub := b.subscribe(b.tenant, b.developer, model.PriceSheet{Currency: "EUR", MonthlyFee: "10.01", Tiers: []model.PriceTier{{Price: "0.01"}}}, march)
	other := b.subscribe(b.tenant, b.developer, model.PriceSheet{Currency: "EUR", MonthlyFee: "0.05"}, march)
	plan := one[string](b, `select plan_id from subscription where subscription_id = $1`, sub)
	b.coupon(b.scope(), model.CustomerCoupon{Code: " spring-20", Percent: "20", Months: 2})
	b.coupon(b.scope(), model.CustomerCoupon{Code: "FIVE", Amount: "5", Currency: "EUR", PlanID: plan, Most: 1})
	b.coupon(b.scope(), model.CustomerCoupon{Code: "USD", Amount: "5", Currency: "USD"})
	b.coupon(billing.Operator, model.CustomerCoupon{Code: "SPRING-20", Percent: "50"})
	b.use(b.tenant, sub, march, 49, model.FlagBillable)

	// 10.01 + 0.49 and 0.05: 20% of 10.55 are 2.11, then 5.00 off what that left of the plan.
	b.useCoupon(p, "spring-20 ")
	b.useCoupon(p, "five")
	b.useCoupon(p, "USD")
	preview, err := b.Preview(b.ctx, own, march)
	b.must(err)
	b.run()
	draft := b.detail(b.list(b.scope(), billing.Filter{State: "draft"})[0].ID)
	b.must(b.SetRules(b.ctx, b.scope(), by, rulesOf(model.TaxRate{Country: "DE", Name: "VAT", Percent: "19"})))
	b.must(b.SetSeller(b.ctx, b.scope(), by, model.Party{Name: "Seller GmbH", Country: "DE"}))
	first := b.detail(b.finalize()[0])
	want := []string{"Code SPRING-20 -211 after 0", "Code FIVE, off Plan -500 after 0"}
	for name, d := range map[string]billing.InvoiceDetail{"the preview": preview[0], "the draft": draft, "the invoice": first} {
		if got := couponLines(d); !slices.Equal(got, want) || d.Total-d.Tax != 344 {
			t.Errorf("%s has %q and comes to %d", name, got, d.Total)
		}
	}
	if first.Tax != 65 { // of what is left
		t.Errorf("tax %d", first.Tax)
	}
	// More of the month: each is of all that is known, less what was invoiced.
	b.use(b.tenant, sub, march.Add(time.Hour), 3, model.FlagBillable)
	b.run()
	late := b.detail(b.finalize()[0])
	if got := couponLines(late); !slices.Equal(got, []string{"Code SPRING-20 -1 after -211"}) || late.Total-late.Tax != 2 {
		t.Errorf("late usage: %q, %d", got, late.Total)
	}
	// Taken away: with the end of the month, since invoices have it; another, at once.
	uses, err := b.CouponUses(b.ctx, own, p)
	b.must(err)
	b.must(b.EndCoupon(b.ctx, b.scope(), by, p, uses[1].ID))
	b.must(b.EndCoupon(b.ctx, b.scope(), by, p, uses[0].ID))
	uses, err = b.CouponUses(b.ctx, b.scope(), p)
	b.must(err)
	if u := uses[1]; u.Code != "FIVE" || !u.Until.Equal(march.AddDate(0, 1, 0)) || u.Plan != "Plan" {
		t.Errorf("ended: %+v", u)
	}
	if u := uses[0]; u.Code != "USD" || !u.Until.Equal(march) {
		t.Errorf("ended before it was on any invoice: %+v", u)
	}
	b.use(b.tenant, sub, march.Add(2*time.Hour), 100, model.FlagBillable)
	b.use(b.tenant, sub, march.AddDate(0, 1, 1), 100, model.FlagBillable)
	b.now = april.AddDate(0, 1, 0)
	b.run()
	if got := couponLines(b.detail(b.finalize()[0])); !slices.Equal(got, []string{"Code SPRING-20 -20 after -212"}) {
		t.Errorf("in the month it ended with: %q", got)
	}
	_, err = b.Run(b.ctx, b.scope(), by, march.AddDate(0, 1, 0))
	b.must(err)
	if got := couponLines(b.detail(b.finalize()[0])); !slices.Equal(got, []string{"Code SPRING-20 -221 after 0"}) { // 10.01 + 1.00 + 0.05
		t.Errorf("its second month: %q", got)
	}
	_, err = b.Run(b.ctx, b.scope(), by, march.AddDate(0, 2, 0))
	b.must(err)
	if got := couponLines(b.detail(b.finalize()[0])); len(got) != 0 {
		t.Errorf("its third month: %q", got)
	}
	_ = other

	// Who may enter what.
	for says, try := range map[string]func() error{
		"entered already":  func() error { _, err := b.UseCoupon(b.ctx, own, by, p, "SPRING-20"); return err },
		"there is no code": func() error { _, err := b.UseCoupon(b.ctx, own, by, p, "NO-SUCH"); return err },
		"used up": func() error {
			p := billing.Payer{Tenant: b.tenant, Developer: b.newDeveloper(b.tenant, "dev2")}
			_, err := b.UseCoupon(b.ctx, b.scope(), by, p, "FIVE")
			return err
		},
		"no developer": func() error {
			_, err := b.UseCoupon(b.ctx, b.scope(), by, billing.Payer{Tenant: 9, Developer: b.developer}, "SPRING-20")
			return err
		},
		"does not keep the books": func() error { return b.EndCoupon(b.ctx, own, by, p, uses[2].ID) },
		"makes no coupons": func() error {
			_, err := b.CreateCoupon(b.ctx, own, by, model.CustomerCoupon{Code: "XXX", Percent: "1"})
			return err
		},
		"is a coupon USD already": func() error {
			_, err := b.CreateCoupon(b.ctx, b.scope(), by, model.CustomerCoupon{Code: "usd", Percent: "1"})
			return err
		},
		"3 to 40 letters": func() error {
			_, err := b.CreateCoupon(b.ctx, b.scope(), by, model.CustomerCoupon{Code: "a", Percent: "1"})
			return err
		},
		"one of the two": func() error {
			_, err := b.CreateCoupon(b.ctx, b.scope(), by, model.CustomerCoupon{Code: "AAA"})
			return err
		},
		"0 to 100": func() error {
			_, err := b.CreateCoupon(b.ctx, b.scope(), by, model.CustomerCoupon{Code: "AAA", Percent: "101"})
			return err
		},
		"takes something off": func() error {
			_, err := b.CreateCoupon(b.ctx, b.scope(), by, model.CustomerCoupon{Code: "AAA", Percent: "0"})
			return err
		},
		"there is no plan": func() error {
			_, err := b.CreateCoupon(b.ctx, b.scope(), by, model.CustomerCoupon{Code: "AAA", Percent: "1", PlanID: "x"})
			return err
		},
	} {
		if err := try(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want %q: %v", says, err)
		}
	}
	all, err := b.Coupons(b.ctx, b.scope())
	b.must(err)
	if len(all) != 3 || all[2].Used+all[1].Used+all[0].Used != 3 {
		t.Errorf("coupons %+v", all)
	}
	b.must(b.WithdrawCoupon(b.ctx, b.scope(), by, all[0].ID))
	if err := b.WithdrawCoupon(b.ctx, billing.Operator, by, all[1].ID); model.KindOf(err) != model.NotFound {
		t.Errorf("the operator withdrew a tenant's coupon: %v", err)
	}
	for range 12 {
		_, err = b.UseCoupon(b.ctx, own, by, p, "GUESS")
	}
	if model.KindOf(err) != model.Limit {
		t.Errorf("after many guesses: %v", err)
	}
	us := billing.Payer{Tenant: b.tenant}
	if u, err := b.UseCoupon(b.ctx, b.scope(), by, us, "SPRING-20"); err != nil || u.Percent != "50" {
		t.Errorf("the operator's code: %+v, %v", u, err)
	}
	if wrong := b.replayed(); len(wrong) > 0 {
		t.Errorf("rated anew by their cuts: %q", wrong)
	}
	if names := b.broken(); names != "" {
		t.Errorf("%s do not hold", names)
	}
}

// Over random prices, coupons that come and go, and usage before and after cuts: what
// was invoiced of a month is what its lines come to less the coupons in their turn, and
// every invoice comes out the same when it is made anew.
func TestCouponsAgreeWithTheLines(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 3))
	t.Logf("seed %d", seed)
	b := newBooks(t)
	b.now = march.AddDate(0, 0, 20)
	var subs []uint64
	var plans, codes []string
	sheet := func() model.PriceSheet { s := ratetest.Sheet(rnd.IntN); s.Currency = "EUR"; return s }
	for i := range 3 {
		p := b.payer()
		p.Developer = b.newDeveloper(b.tenant, fmt.Sprintf("c%d", i))
		for range 2 {
			subs = append(subs, b.subscribe(b.tenant, p.Developer, sheet(), march.Add(time.Duration(rnd.IntN(20*24))*time.Hour)))
			plans = append(plans, one[string](b, `select plan_id from subscription where subscription_id = $1`, subs[len(subs)-1]))
		}
	}
	for i := range 8 {
		c := model.CustomerCoupon{Code: fmt.Sprintf("C-%d", i)}
		if rnd.IntN(2) == 0 {
			c.Percent = model.Decimal(fmt.Sprintf("%d.%02d", rnd.IntN(60), 1+rnd.IntN(99)))
		} else {
			c.Amount, c.Currency = model.Decimal(fmt.Sprintf("%d.%03d", rnd.IntN(30), 1+rnd.IntN(999))), "EUR"
		}
		if rnd.IntN(2) == 0 {
			c.PlanID = plans[rnd.IntN(len(plans))]
		}
		b.coupon(b.scope(), c)
		codes = append(codes, c.Code)
	}
	for range 5 {
		for range 20 {
			b.use(b.tenant, subs[rnd.IntN(len(subs))], march.Add(time.Duration(rnd.IntN(20*24))*time.Hour), uint64(1+rnd.IntN(100_000)), model.FlagBillable)
		}
		for range 2 {
			b.now = b.now.Add(time.Second)
			p := billing.Payer{Tenant: b.tenant, Developer: fmt.Sprintf("c%d", rnd.IntN(3))}
			if _, err := b.UseCoupon(b.ctx, b.scope(), by, p, codes[rnd.IntN(len(codes))]); err != nil && model.KindOf(err) != model.Conflict && model.KindOf(err) != model.Limit {
				t.Fatal(err)
			}
		}
		b.run()
		b.finalize()
		if n := b.run(); n != 0 {
			t.Errorf("a second run made %d drafts", n)
		}
		if wrong := b.replayed(); len(wrong) > 0 {
			t.Fatalf("made anew: %q", wrong)
		}
	}
	below := one[int64](b, `select count(*) from (select developer_id from invoice where state = 'final' group by 1 having sum(total) < 0) x`)
	if below != 0 {
		t.Errorf("%d customers were given more than they owed", below)
	}
	if names := b.broken(); names != "" {
		t.Errorf("%s do not hold", names)
	}
}
