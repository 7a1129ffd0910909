package ui_test

import (
	"strings"
	"testing"

	"tollgate/model"
	"tollgate/ui"
)

func TestPriceText(t *testing.T) {
	t.Parallel()
	sheet := func(fee model.Decimal, included int64, tiers ...model.PriceTier) *model.PriceSheet {
		return &model.PriceSheet{Currency: "EUR", MonthlyFee: fee, Included: included, Tiers: tiers}
	}
	for want, s := range map[string]*model.PriceSheet{
		"Free":                             nil,
		"9.90 EUR a month, calls are free": sheet("9.9", 10),
		"9.90 EUR a month with 1,000 calls, then 0.002 EUR a call": sheet("9.90", 1000, model.PriceTier{Price: "0.002"}),
		"1,000 calls free, then 3.50 EUR a million calls":          sheet("", 1000, model.PriceTier{Price: "3.5", Per: 1e6}),
		"1.00 EUR per 1,000 calls (the first of 2 tiers)":          sheet("", 0, model.PriceTier{Price: "1", Per: 1000, UpTo: 5}, model.PriceTier{Price: "0.5"}),
		"1,234,567.00 EUR a month, then 0.01 EUR a call":           sheet("1234567", 0, model.PriceTier{Price: "0.01"}),
	} {
		if got := ui.PriceText(s); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for want, d := range map[string]model.Decimal{"0 JPY": "", "12 JPY": "12", "12.5 JPY": "12.5"} {
		if got := ui.Amount(d, "JPY"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := ui.Amount("1.5", "KWD"); got != "1.500 KWD" {
		t.Errorf("got %q", got)
	}
}

// Every model is said in words: in a line, and line by line.
func TestPriceModels(t *testing.T) {
	t.Parallel()
	gb := func(price model.Decimal, upTo int64) model.PriceTier {
		return model.PriceTier{UpTo: upTo, Price: price, Per: model.Gigabyte}
	}
	for _, c := range []struct {
		s    model.PriceSheet
		line string
		rows string
	}{
		{model.PriceSheet{Model: model.Volume, Tiers: []model.PriceTier{{UpTo: 1000, Price: "0.01"}, {Price: "0.005", Flat: "2"}}},
			"0.01 EUR a call (the first of 2 tiers by volume)",
			"All calls, where they are up to 1,000: 0.01 EUR a call | All calls, where they are more than 1,000: 2.00 EUR and 0.005 EUR a call"},
		{model.PriceSheet{Model: model.Package, Included: 100, Tiers: []model.PriceTier{{Price: "5", Per: 1000}}},
			"100 calls free, then 5.00 EUR per begun 1,000 calls", "Calls 1 to 100: included | From call 101: 5.00 EUR per begun 1,000 calls"},
		{model.PriceSheet{MonthlyFee: "9", Meters: []model.MeterPrice{{Meter: "bytes-out", Included: model.Gigabyte, Tiers: []model.PriceTier{gb("0.09", 10*model.Gigabyte), gb("0.05", 0)}}}},
			"9.00 EUR a month, calls are free, 0.09 EUR a GB (the first of 2 tiers)",
			"Fee: 9.00 EUR | Calls: nothing | Data out up to 1 GB: included | Data out up to 11 GB: 0.09 EUR a GB | Data out beyond 11 GB: 0.05 EUR a GB"},
		{model.PriceSheet{Minimum: "50", Maximum: "500", Discount: "12.50", TrialDays: 14, Coupon: &model.Coupon{Amount: "20", Months: 3}, FreeTier: &model.FreeTier{Units: 1e6, Months: 12},
			Tiers: []model.PriceTier{{Price: "1"}}},
			"1.00 EUR a call, at least 50.00 EUR a month, at most 500.00 EUR a month, 12.5% off, 20.00 EUR off the first 3 months, 14 days of trial",
			"Trial: 14 days, to the end of the last: nothing | Free tier: 1,000,000 calls a month more, in the first 12 months: included | Every call: 1.00 EUR a call | " +
				"A month costs at least: 50.00 EUR | A month costs at most: 500.00 EUR | Discount: 12.5% off | The first 3 months: 20.00 EUR off"},
		{model.PriceSheet{MonthlyFee: "9", Coupon: &model.Coupon{Percent: "50", Months: 1}}, "9.00 EUR a month, calls are free, 50% off the first month",
			"Fee: 9.00 EUR | Calls: nothing | The first month: 50% off"},
	} {
		c.s.Currency = "EUR"
		if err := c.s.Validate(); err != nil {
			t.Error(err)
		}
		if got := ui.PriceText(&c.s); got != c.line {
			t.Errorf("got  %q\nwant %q", got, c.line)
		}
		var rows []string
		for _, r := range ui.PriceRows(&c.s) {
			rows = append(rows, r.What+": "+r.Price)
		}
		if got := strings.Join(rows, " | "); got != c.rows {
			t.Errorf("got  %q\nwant %q", got, c.rows)
		}
	}
}

func TestLimitText(t *testing.T) {
	t.Parallel()
	for want, q := range map[string]*model.Quota{
		"No quota": nil, "1,000 calls a month": {Limit: 1000, Period: model.Month}, "1 call a day": {Limit: 1, Period: model.Day},
		"5 calls a month, from day 4": {Limit: 5, Period: model.Month, Offset: 3}, "5 calls a week, from Monday": {Limit: 5, Period: model.Week, Offset: 1},
	} {
		if got := ui.QuotaText(q); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for want, r := range map[string]*model.Throttle{"No rate limit": nil, "0.5 calls a second, 1 at once": {Rate: 0.5, Burst: 1},
		"10,000 calls a second, 20,000 at once": {Rate: 10000, Burst: 20000}} {
		if got := ui.ThrottleText(r); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// What tenants have by the hour is named by its size.
func TestPriceOfWhatIsHeld(t *testing.T) {
	s := &model.PriceSheet{Currency: "USD", Meters: []model.MeterPrice{{Meter: model.MeterCache("6.1"), Tiers: []model.PriceTier{{Price: "0.2"}}}, {Meter: model.MeterDomains, Tiers: []model.PriceTier{{Price: "3"}}}}}
	var b strings.Builder
	if err := ui.Price(s).Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Cache of 6.1 GB", "0.20 USD an hour", "Custom domain", "3.00 USD a month"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in %s", want, b.String())
		}
	}
}
