package rate_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"tollgate/billing/rate"
	"tollgate/billing/rate/ratetest"
	"tollgate/model"
)

// Reach is what trying one call after the other finds, by the oracle's prices: of any
// sheet, in any month of the customer, with any use so far.
func TestReachIsTheFirstCallTooMany(t *testing.T) {
	t.Parallel()
	begin := time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC)
	stopped := 0
	rapid.Check(t, func(t *rapid.T) {
		s := ratetest.Sheet(drawn(t))
		first := begin.AddDate(0, 0, rapid.IntRange(-100, 28).Draw(t, "first"))
		u := rate.Use{Month: begin, First: first, Since: first, Calls: rapid.Int64Range(0, 400).Draw(t, "calls"), BytesOut: rapid.Int64Range(0, 3000).Draw(t, "bytes")}
		u.Trial.Calls, u.Trial.BytesOut = rapid.Int64Range(0, u.Calls).Draw(t, "trial calls"), rapid.Int64Range(0, u.BytesOut).Draw(t, "trial bytes")
		perCall := rapid.Int64Range(0, 9).Draw(t, "bytes a call")
		cost := func(calls int64) int64 {
			at := u
			at.Calls, at.BytesOut = calls, u.BytesOut+(calls-u.Calls)*perCall
			return ratetest.Cost(&s, at, false).Total
		}
		most := max(0, cost(u.Calls+rapid.Int64Range(0, 900).Draw(t, "near"))+rapid.Int64Range(-2, 2).Draw(t, "off"))
		got, err := rate.Reach(&s, u, perCall, most)
		if err != nil {
			t.Fatal(err)
		}
		const walked = 1200
		want := u.Calls
		for want < u.Calls+walked && cost(want) <= most && cost(want+1) <= most {
			want++
		}
		if min(got, u.Calls+walked) != want {
			t.Fatalf("%d minor units reach for %d calls of %s, one by one for %d; %+v, %d bytes a call", most, got, text(&s), want, u, perCall)
		}
		if want < u.Calls+walked {
			stopped++
		}
	})
	if stopped < 20 {
		t.Errorf("only %d of the sheets had an end to reach", stopped)
	}
}

// The ends of what can be asked for.
func TestReachBounds(t *testing.T) {
	t.Parallel()
	begin := time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC)
	priced := model.PriceSheet{Currency: "USD", MonthlyFee: "10", Tiers: []model.PriceTier{{Price: "0.01"}}}
	for name, c := range map[string]struct {
		sheet         model.PriceSheet
		use           rate.Use
		perCall, most int64
		want          int64
	}{
		"free":                  {sheet: model.PriceSheet{Currency: "USD"}, want: rate.MostCalls},
		"the fee is the cap":    {sheet: priced, most: 1000, want: 0},
		"less than the fee":     {sheet: priced, most: 999, want: 0},
		"five calls":            {sheet: priced, most: 1005, want: 5},
		"more than that so far": {sheet: priced, use: rate.Use{Calls: 9}, most: 1005, want: 9},
		"a maximum below it":    {sheet: model.PriceSheet{Currency: "USD", Tiers: []model.PriceTier{{UpTo: 1e6, Price: "0.001"}, {Price: "0"}}, Maximum: "5"}, most: 500, want: rate.MostCalls},
		"rounded down to none":  {sheet: model.PriceSheet{Currency: "JPY", Tiers: []model.PriceTier{{Price: "0.1"}}}, most: 0, want: 4},
		"bytes": {sheet: model.PriceSheet{Currency: "USD", Meters: []model.MeterPrice{{Meter: model.MeterBytesOut, Tiers: []model.PriceTier{{Price: "1", Per: 1000}}}}},
			use: rate.Use{Calls: 3, BytesOut: 500}, perCall: 100, most: 100, want: 8},
		"a dearer tier in front of a cheaper": {sheet: model.PriceSheet{Currency: "USD", Model: model.Volume, Tiers: []model.PriceTier{{UpTo: 100, Price: "1"}, {Price: "0.5"}}}, most: 6000, want: 60},
		"beyond it already":                   {sheet: model.PriceSheet{Currency: "USD", Model: model.Volume, Tiers: []model.PriceTier{{UpTo: 100, Price: "1"}, {Price: "0.5"}}}, use: rate.Use{Calls: 101}, most: 6000, want: 120},
	} {
		c.use.Month = begin
		if got, err := rate.Reach(&c.sheet, c.use, c.perCall, c.most); err != nil || got != c.want {
			t.Errorf("%s: reaches %d, want %d; %v", name, got, c.want, err)
		}
	}
}
