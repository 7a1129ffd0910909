package model

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func TestDecimal(t *testing.T) {
	t.Parallel()
	for in, want := range map[Decimal]Decimal{
		"": "0", "0": "0", "000.000": "0", "12.50": "12.5", "012.500": "12.5", "0.0035": "0.0035", "100": "100", "100.0": "100",
		"999999999999.999999999999": "999999999999.999999999999",
	} {
		if err := in.Validate(); err != nil {
			t.Errorf("%q: %v", in, err)
		}
		if got := in.Canonical(); got != want || got.Canonical() != got || got.Zero() != (want == "0") || in.Zero() != got.Zero() {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
	for _, in := range []Decimal{"-1", "+1", "1e3", ".5", "5.", "1,5", " 1", "1234567890123", "0.1234567890123", "0x1", "١"} {
		if in.Validate() == nil {
			t.Errorf("%q was accepted", in)
		}
	}
}

func TestPriceSheet(t *testing.T) {
	t.Parallel()
	tier := func(upTo int64, price Decimal) PriceTier { return PriceTier{UpTo: upTo, Price: price} }
	for text, s := range map[string]*PriceSheet{
		"":                 {Currency: "USD", MonthlyFee: "9", Included: 10, Tiers: []PriceTier{tier(5, "1"), tier(6, "2"), tier(0, "3")}},
		"not a currency":   {Currency: "usd"},
		"12 digits":        {Currency: "USD", MonthlyFee: "1.x"},
		"included calls":   {Currency: "USD", Included: -1},
		"no price":         {Currency: "USD", Tiers: []PriceTier{{}}},
		"last tier":        {Currency: "USD", Tiers: []PriceTier{tier(5, "1")}},
		"after 5":          {Currency: "USD", Tiers: []PriceTier{tier(5, "1"), tier(5, "1"), tier(0, "1")}},
		"tier 1 ends at 0": {Currency: "USD", Tiers: []PriceTier{tier(0, "1"), tier(0, "1")}},
		"for 1 to":         {Currency: "USD", Tiers: []PriceTier{{Price: "1", Per: MaxTierPer + 1}}},
		"at most 20":       {Currency: "USD", Tiers: make([]PriceTier, 21)},
	} {
		err := s.Validate()
		if text == "" && err != nil || text != "" && (KindOf(err) != Invalid || !strings.Contains(MessageOf(err), text)) {
			t.Errorf("want %q, got %v", text, err)
		}
	}
	if (*PriceSheet)(nil).Validate() != nil || !(*PriceSheet)(nil).Free() {
		t.Error("no price is no fault, and free")
	}
	for want, s := range map[bool]*PriceSheet{
		true:  {Currency: "USD", MonthlyFee: "0.00", Tiers: []PriceTier{tier(5, "0"), tier(0, "0.0")}},
		false: {Currency: "USD", Tiers: []PriceTier{tier(5, "0"), tier(0, "0.000000000001")}},
	} {
		if s.Free() != want {
			t.Errorf("%+v is free: %v", s, !want)
		}
	}
	s := PriceSheet{Currency: "USD", MonthlyFee: "0.0", Tiers: []PriceTier{{UpTo: 5, Price: "01.0", Per: 1}, {Price: "2", Per: 1000}}}
	if got, err := json.Marshal(s.Canonical()); err != nil || string(got) != `{"currency":"USD","tiers":[{"upTo":5,"price":"1"},{"price":"2","per":1000}]}` || s.Tiers[0].Per != 1 {
		t.Errorf("canonical %s, %v; the sheet itself is now %+v", got, err, s)
	}
}

// The ratios are those of the formula's own examples and of common checkers.
func TestContrastWithWhite(t *testing.T) {
	t.Parallel()
	for color, want := range map[string]float64{
		"#ffffff": 1, "#000000": 21, "#767676": 4.54, "#777777": 4.48, "#0000ff": 8.59, "#ff0000": 4.00, "#ffcc00": 1.51,
		"": 0, "red": 0, "#fff": 0, "#gggggg": 0, "0b6b5e7": 0, "#-12345": 0,
	} {
		if got := ContrastWithWhite(color); math.Abs(got-want) > 0.006 {
			t.Errorf("%q: %.3f, want %.2f", color, got, want)
		}
	}
}
