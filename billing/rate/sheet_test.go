package rate_test

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"tollgate/billing/rate"
	"tollgate/billing/rate/ratetest"
	"tollgate/model"
)

var february = time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC) // it has 29 days

// everything is a sheet that has a bit of all.
var everything = model.PriceSheet{Currency: "USD", MonthlyFee: "29", Included: 1000, FreeTier: &model.FreeTier{Units: 500, Months: 12},
	Tiers: []model.PriceTier{{UpTo: 10_000, Price: "0.01", Flat: "1"}, {UpTo: 100_000, Price: "0.005"}, {Price: "0.001"}},
	Meters: []model.MeterPrice{{Meter: model.MeterBytesOut, Model: model.Package, Included: model.Gigabyte,
		Tiers: []model.PriceTier{{Price: "0.09", Per: model.Gigabyte}}}},
	Minimum: "50", Maximum: "500", Discount: "10", Coupon: &model.Coupon{Amount: "20", Months: 3}, TrialDays: 14}

// Worked examples of each model, figured by hand.
func TestModels(t *testing.T) {
	t.Parallel()
	volume := []model.PriceTier{{UpTo: 100, Price: "0.10"}, {UpTo: 1000, Price: "0.05", Flat: "2"}, {Price: "0.01"}}
	long := february.AddDate(-1, 0, 0)
	for name, c := range map[string]struct {
		sheet model.PriceSheet
		use   rate.Use
		want  map[string]int64 // minor units; of USD
	}{
		"volume, first tier":         {model.PriceSheet{Model: model.Volume, Tiers: volume}, rate.Use{Calls: 100}, map[string]int64{"calls": 1000}},
		"volume, all at the second":  {model.PriceSheet{Model: model.Volume, Tiers: volume}, rate.Use{Calls: 101}, map[string]int64{"calls": 200 + 505}},
		"volume, none":               {model.PriceSheet{Model: model.Volume, Tiers: volume}, rate.Use{}, map[string]int64{"calls": 0}},
		"volume beyond the included": {model.PriceSheet{Model: model.Volume, Included: 900, Tiers: volume}, rate.Use{Calls: 1000}, map[string]int64{"calls": 1000}},
		"a tier's flat fee": {model.PriceSheet{Tiers: []model.PriceTier{{UpTo: 10, Price: "0", Flat: "5"}, {Price: "0", Flat: "7"}}}, rate.Use{Calls: 10},
			map[string]int64{"calls": 500}},
		"both tiers' flat fees": {model.PriceSheet{Tiers: []model.PriceTier{{UpTo: 10, Price: "0", Flat: "5"}, {Price: "0", Flat: "7"}}}, rate.Use{Calls: 11},
			map[string]int64{"calls": 1200}},
		"a begun package": {model.PriceSheet{Model: model.Package, Tiers: []model.PriceTier{{Price: "2.5", Per: 1000}}}, rate.Use{Calls: 1001},
			map[string]int64{"calls": 500}},
		"whole packages": {model.PriceSheet{Model: model.Package, Included: 1, Tiers: []model.PriceTier{{Price: "2.5", Per: 1000}}}, rate.Use{Calls: 1001},
			map[string]int64{"calls": 250}},
		"packages in tiers": {model.PriceSheet{Model: model.Package, Tiers: []model.PriceTier{{UpTo: 2000, Price: "3", Per: 1000}, {Price: "2", Per: 500}}},
			rate.Use{Calls: 2501}, map[string]int64{"calls": 600 + 400}},
		"bytes by the gigabyte": {model.PriceSheet{Meters: []model.MeterPrice{{Meter: "bytes-out", Tiers: []model.PriceTier{{Price: "0.09", Per: model.Gigabyte}}}}},
			rate.Use{BytesOut: 15_500_000_000}, map[string]int64{"calls": 0, "bytes-out": 140}},
		"topped up to the minimum": {model.PriceSheet{MonthlyFee: "10", Minimum: "50"}, rate.Use{}, map[string]int64{"fee": 1000, "calls": 0, "minimum": 4000}},
		"nothing to top up":        {model.PriceSheet{MonthlyFee: "60", Minimum: "50"}, rate.Use{}, map[string]int64{"fee": 6000, "calls": 0, "minimum": 0}},
		"half a month's minimum": {model.PriceSheet{Minimum: "58"}, rate.Use{Since: february.Add(29 * 12 * time.Hour)},
			map[string]int64{"calls": 0, "minimum": 2900}},
		"taken down to the maximum": {model.PriceSheet{Maximum: "5", Tiers: []model.PriceTier{{Price: "0.01"}}}, rate.Use{Calls: 1000},
			map[string]int64{"calls": 1000, "maximum": -500}},
		"at most nothing": {model.PriceSheet{Maximum: "0", Tiers: []model.PriceTier{{Price: "0.01"}}}, rate.Use{Calls: 1000},
			map[string]int64{"calls": 1000, "maximum": -1000}},
		"calls after the end have their price": {model.PriceSheet{Maximum: "5", Tiers: []model.PriceTier{{Price: "0.01"}}}, rate.Use{Calls: 1, Until: february},
			map[string]int64{"calls": 1, "maximum": 0}},
		"a discount": {model.PriceSheet{MonthlyFee: "9.99", Discount: "12.5"}, rate.Use{}, map[string]int64{"fee": 999, "calls": 0, "discount": -125}},
		"a coupon's amount": {model.PriceSheet{MonthlyFee: "30", Coupon: &model.Coupon{Amount: "20", Months: 1}}, rate.Use{First: february, Since: february},
			map[string]int64{"fee": 3000, "calls": 0, "coupon": -2000}},
		"at most what it costs": {model.PriceSheet{MonthlyFee: "15", Coupon: &model.Coupon{Amount: "20", Months: 1}}, rate.Use{First: february, Since: february},
			map[string]int64{"fee": 1500, "calls": 0, "coupon": -1500}},
		"once": {model.PriceSheet{MonthlyFee: "30", Coupon: &model.Coupon{Amount: "20", Months: 1}}, rate.Use{First: february.AddDate(0, 0, -1)},
			map[string]int64{"fee": 3000, "calls": 0, "coupon": 0}},
		"a coupon after the discount": {model.PriceSheet{MonthlyFee: "100", Discount: "10", Coupon: &model.Coupon{Percent: "50", Months: 2}}, rate.Use{First: february.AddDate(0, -1, 5)},
			map[string]int64{"fee": 10000, "calls": 0, "discount": -1000, "coupon": -4500}},
		"a trial": {model.PriceSheet{MonthlyFee: "29", Tiers: []model.PriceTier{{Price: "1"}}, TrialDays: 14}, // to the end of the 15th
			rate.Use{First: february.Add(time.Hour), Since: february.Add(time.Hour), Calls: 12, Trial: rate.Trial{Calls: 10}},
			map[string]int64{"fee": 1400, "calls": 200}},
		"a trial that is over": {model.PriceSheet{MonthlyFee: "29", Tiers: []model.PriceTier{{Price: "1"}}, TrialDays: 14}, rate.Use{First: long, Calls: 12},
			map[string]int64{"fee": 2900, "calls": 1200}},
		"a free tier's last month": {model.PriceSheet{Included: 5, FreeTier: &model.FreeTier{Units: 10, Months: 13}, Tiers: []model.PriceTier{{Price: "1"}}}, rate.Use{First: long, Calls: 16},
			map[string]int64{"calls": 100}},
		"and the month after": {model.PriceSheet{Included: 5, FreeTier: &model.FreeTier{Units: 10, Months: 12}, Tiers: []model.PriceTier{{Price: "1"}}}, rate.Use{First: long, Calls: 16},
			map[string]int64{"calls": 1100}},
	} {
		c.sheet.Currency, c.use.Month = "USD", february
		lines, err := rate.Lines(&c.sheet, c.use)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := map[string]int64{}
		for _, l := range lines {
			got[l.Meter] = l.Amount
		}
		if text(got) != text(c.want) {
			t.Errorf("%s: %s, want %s", name, text(got), text(c.want))
		}
		c.use.Trial.Calls = min(c.use.Trial.Calls, c.use.Calls)
		if want := ratetest.Cost(&c.sheet, c.use, c.use.BytesOut == 0).Total; rate.Total(lines) != want {
			t.Errorf("%s: %d, the oracle says %d", name, rate.Total(lines), want)
		}
	}
}

// Whatever a sheet says, it is refused or priced as the oracle prices it: never
// below nothing, and more use never costs less, unless a model says so.
func FuzzSheet(f *testing.F) {
	for _, s := range []string{
		`{"currency":"USD","monthlyFee":"29","included":10,"tiers":[{"upTo":5,"price":"0.1"},{"price":"1.5","per":1000000}]}`,
		`{"currency":"JPY","tiers":[{"price":"0.000000000001","per":999999999}]}`,
		`{"currency":"KWD","tiers":[{"upTo":-1,"price":"-0"}]}`,
		`{"currency":"USD","model":"package","tiers":[{"upTo":2000,"price":"3","per":1000,"flat":"1"},{"price":"2","per":7}]}`,
		`{"currency":"USD","model":"volume","tiers":[{"upTo":5,"price":"2"},{"price":"1"}],"meters":[{"meter":"cache-hours"}]}`,
		text(everything),
	} {
		f.Add([]byte(s), int64(17), int64(1e10), int64(20), uint16(3))
	}
	f.Fuzz(func(t *testing.T, raw []byte, calls, bytes, trial int64, since uint16) {
		var s model.PriceSheet
		if json.Unmarshal(raw, &s) != nil {
			return
		}
		u := rate.Use{Month: february, First: february.AddDate(0, 0, int(since)%60-40), Calls: calls, BytesOut: bytes, Trial: rate.Trial{Calls: trial}}
		u.Since = u.First
		lines, err := rate.Lines(&s, u)
		if err != nil {
			return
		}
		total := rate.Total(lines)
		if want := ratetest.Cost(&s, u, false).Total; total != want || total < 0 {
			t.Fatalf("%+v by %s costs %d, the oracle says %d", u, raw, total, want)
		}
		c := s.Canonical()
		if again, err := rate.Lines(&c, u); err != nil || rate.Total(again) != total {
			t.Fatalf("%+v costs %d by %s, and %d by its canonical form, %v", u, total, raw, rate.Total(again), err)
		}
		if s.Free() && total != 0 {
			t.Fatalf("%+v by %s, which is free, costs %d", u, raw, total)
		}
		if u.Calls++; u.Calls < 0 || s.Model == model.Volume {
			return
		}
		if more, err := rate.Lines(&s, u); err == nil && rate.Total(more) < total {
			t.Fatalf("%+v by %s costs %d, one call less %d", u, raw, rate.Total(more), total)
		}
	})
}

// BenchmarkMonth rates one subscription's month: a plain sheet, and one that has
// everything.
func BenchmarkMonth(b *testing.B) {
	plain := model.PriceSheet{Currency: "USD", MonthlyFee: "29", Included: 1000, Tiers: everything.Tiers}
	u := rate.Use{Month: february, First: february, Since: february, Calls: 250_000, BytesOut: 7e9, Trial: rate.Trial{Calls: 1000}}
	for name, s := range map[string]*model.PriceSheet{"plain": &plain, "everything": &everything} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := rate.Lines(s, u); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Many sheets by chance, which is quicker than drawing them: the lines
// and the oracle agree.
func TestAnySheet(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 2))
	for range 2_000 {
		s := ratetest.Sheet(r.IntN)
		u := rate.Use{Month: february, First: february.Add(time.Duration(r.Int64N(86400*90)-86400*60) * time.Second), Calls: r.Int64N(20_000), BytesOut: r.Int64N(20_000)}
		u.Since, u.Trial = u.First, rate.Trial{Calls: r.Int64N(u.Calls + 1), BytesOut: r.Int64N(u.BytesOut + 1)}
		lines, err := rate.Lines(&s, u)
		if err != nil {
			t.Fatal(err)
		}
		if want := ratetest.Cost(&s, u, false).Total; rate.Total(lines) != want {
			t.Fatalf("seed %d: %+v by %s costs %d, the oracle says %d", seed, u, text(s), rate.Total(lines), want)
		}
	}
}
