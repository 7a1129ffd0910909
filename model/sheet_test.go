package model

import (
	"strings"
	"testing"
	"time"
)

// What cannot be charged by is refused with what to do about it.
func TestPriceModels(t *testing.T) {
	t.Parallel()
	end := []PriceTier{{Price: "1"}}
	meter := func(m MeterPrice) *PriceSheet { return &PriceSheet{Currency: "USD", Meters: []MeterPrice{m}} }
	for _, c := range []struct {
		want string
		s    *PriceSheet
	}{
		{"", &PriceSheet{Currency: "USD", Model: Volume, Tiers: []PriceTier{{UpTo: 5, Price: "1", Flat: "2"}, {Price: "0"}}}},
		{"", &PriceSheet{Currency: "USD", Model: Package, Tiers: []PriceTier{{UpTo: 20, Price: "1", Per: 10}, {Price: "2", Per: 7}}}},
		{"", &PriceSheet{Currency: "USD", Minimum: "9.50", Maximum: "9.5", Discount: "100", TrialDays: 366, Coupon: &Coupon{Percent: "100.0", Months: 120}}},
		{"", meter(MeterPrice{Meter: "bytes-out", Tiers: []PriceTier{{Price: "0.09", Per: Gibibyte}}, FreeTier: &FreeTier{Units: Gigabyte, Months: 1}})},
		{"cache-hours-0.5 by size", meter(MeterPrice{Meter: "cache-hours", Tiers: end})},
		{`"cache-hours-7" is not a meter`, meter(MeterPrice{Meter: MeterCache("7"), Tiers: end})},
		{`"seats" is not a meter`, meter(MeterPrice{Meter: "seats"})},
		{"sheet's own tiers", meter(MeterPrice{Meter: "calls", Tiers: end})},
		{"two prices", &PriceSheet{Currency: "USD", Meters: []MeterPrice{{Meter: "bytes-out"}, {Meter: "bytes-out"}}}},
		{"bytes-out: tier 1 does not say of how many bytes", meter(MeterPrice{Meter: "bytes-out", Tiers: end})},
		{"every byte has a price", meter(MeterPrice{Meter: "bytes-out", Tiers: []PriceTier{{Price: "1", Per: 1, UpTo: 1}}})},
		{"not a price model", &PriceSheet{Currency: "USD", Model: "stairs"}},
		{"not whole packages of 10", &PriceSheet{Currency: "USD", Model: Package, Tiers: []PriceTier{{UpTo: 25, Price: "1", Per: 10}, {Price: "2"}}}},
		{"not whole packages of 10", &PriceSheet{Currency: "USD", Model: Package, Tiers: []PriceTier{{UpTo: 20, Price: "1"}, {UpTo: 25, Price: "1", Per: 10}, {Price: "2"}}}},
		{"minimum cannot be more than the maximum", &PriceSheet{Currency: "USD", Minimum: "10", Maximum: "9.99"}},
		{"minimum cannot be more", &PriceSheet{Currency: "USD", Minimum: "0.1", Maximum: "0"}},
		{"from 0 to 100", &PriceSheet{Currency: "USD", Discount: "100.000000000001"}},
		{"from 0 to 100", &PriceSheet{Currency: "USD", Coupon: &Coupon{Percent: "-1", Months: 1}}},
		{"one of the two", &PriceSheet{Currency: "USD", Coupon: &Coupon{Percent: "1", Amount: "1", Months: 1}}},
		{"one of the two", &PriceSheet{Currency: "USD", Coupon: &Coupon{Months: 1}}},
		{"1 to 120 months", &PriceSheet{Currency: "USD", Coupon: &Coupon{Amount: "1"}}},
		{"1 to 120 months", &PriceSheet{Currency: "USD", FreeTier: &FreeTier{Units: 1}}},
		{"free tier of -1", &PriceSheet{Currency: "USD", FreeTier: &FreeTier{Units: -1, Months: 1}}},
		{"trial of 367 days", &PriceSheet{Currency: "USD", TrialDays: 367}},
		{"digits", &PriceSheet{Currency: "USD", Tiers: []PriceTier{{Price: "1", Flat: "-1"}}}},
	} {
		err := c.s.Validate()
		if c.want == "" && err != nil || c.want != "" && (KindOf(err) != Invalid || !strings.Contains(MessageOf(err), c.want)) {
			t.Errorf("want %q, got %v", c.want, err)
		}
	}
	for want, s := range map[bool]*PriceSheet{
		true:  {Currency: "USD", Maximum: "5", Discount: "5", Meters: []MeterPrice{{Meter: "bytes-out"}}},
		false: {Currency: "USD", Minimum: "0.01"},
	} {
		if s.Free() != want {
			t.Errorf("%+v is free: %v", s, !want)
		}
	}
}

func TestTrialEnd(t *testing.T) {
	t.Parallel()
	at := func(s string) time.Time {
		u, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	for first, want := range map[string]string{
		"2024-02-20T00:00:00Z":      "2024-03-05T00:00:00Z", // a leap year: 14 whole days
		"2024-02-20T00:00:01Z":      "2024-03-06T00:00:00Z", // to the end of the day
		"2024-03-10T01:00:00-05:00": "2024-03-25T00:00:00Z", // clocks are put on at 2: a day is still a day of UTC
	} {
		if got := (&PriceSheet{TrialDays: 14}).TrialEnd(at(first)); !got.Equal(at(want)) {
			t.Errorf("%s: %s, want %s", first, got, want)
		}
	}
	if !(&PriceSheet{}).TrialEnd(at("2024-02-20T00:00:00Z")).IsZero() {
		t.Error("no trial ends")
	}
	if n := MonthOf(at("2023-12-31T23:59:59Z"), at("2024-02-01T00:00:00Z")); n != 3 {
		t.Errorf("month %d", n)
	}
}
