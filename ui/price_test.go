package ui_test

import (
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
