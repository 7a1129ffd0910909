package rate

import (
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tollgate/model"
)

var march = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// Worked examples, figured by hand.
func TestLines(t *testing.T) {
	t.Parallel()
	aws := &model.PriceSheet{Currency: "USD", Tiers: []model.PriceTier{
		{UpTo: 333_000_000, Price: "3.50", Per: 1_000_000}, {UpTo: 1_000_000_000, Price: "2.80", Per: 1_000_000},
		{UpTo: 20_000_000_000, Price: "2.38", Per: 1_000_000}, {Price: "1.51", Per: 1_000_000}}}
	for name, c := range map[string]struct {
		sheet *model.PriceSheet
		use   Use
		want  []int64 // minor units
	}{
		"nothing used":             {&model.PriceSheet{Currency: "EUR"}, Use{Month: march}, []int64{0}},
		"half a cent is rounded":   {&model.PriceSheet{Currency: "EUR", Tiers: []model.PriceTier{{Price: "0.005"}}}, Use{Month: march, Calls: 1}, []int64{1}},
		"below half is not":        {&model.PriceSheet{Currency: "EUR", Tiers: []model.PriceTier{{Price: "0.0049"}}}, Use{Month: march, Calls: 1}, []int64{0}},
		"rounded once":             {&model.PriceSheet{Currency: "EUR", Tiers: []model.PriceTier{{UpTo: 1, Price: "0.004"}, {Price: "0.004"}}}, Use{Month: march, Calls: 2}, []int64{1}},
		"included calls are free":  {&model.PriceSheet{Currency: "USD", MonthlyFee: "29", Included: 1000, Tiers: []model.PriceTier{{Price: "0.01"}}}, Use{Month: march, Calls: 1000}, []int64{2900, 0}},
		"and the next is not":      {&model.PriceSheet{Currency: "USD", MonthlyFee: "29", Included: 1000, Tiers: []model.PriceTier{{Price: "0.01"}}}, Use{Month: march, Calls: 1001}, []int64{2900, 1}},
		"graduated":                {&model.PriceSheet{Currency: "USD", Tiers: []model.PriceTier{{UpTo: 100, Price: "0.10"}, {UpTo: 200, Price: "0.05"}, {Price: "0.01"}}}, Use{Month: march, Calls: 350}, []int64{1000 + 500 + 150}},
		"no tiers, no price":       {&model.PriceSheet{Currency: "USD", Included: 10}, Use{Month: march, Calls: 1e12}, []int64{0}},
		"a yen has no parts":       {&model.PriceSheet{Currency: "JPY", Tiers: []model.PriceTier{{Price: "0.5"}}}, Use{Month: march, Calls: 3}, []int64{2}},
		"a dinar has a thousand":   {&model.PriceSheet{Currency: "KWD", Tiers: []model.PriceTier{{Price: "0.0005"}}}, Use{Month: march, Calls: 3}, []int64{2}},
		"half a month's fee":       {&model.PriceSheet{Currency: "USD", MonthlyFee: "31"}, Use{Month: march, Since: time.Date(2026, 3, 16, 12, 0, 0, 0, time.UTC)}, []int64{1550, 0}},
		"a fee from before":        {&model.PriceSheet{Currency: "USD", MonthlyFee: "31"}, Use{Month: march, Since: time.Date(2026, 2, 16, 12, 0, 0, 0, time.UTC)}, []int64{3100, 0}},
		"until another went on":    {&model.PriceSheet{Currency: "USD", MonthlyFee: "31"}, Use{Month: march, Until: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)}, []int64{100, 0}},
		"Amazon's example tiers":   {aws, Use{Month: march, Calls: 500_000_000}, []int64{116550 + 46760}},
		"Amazon's, every tier":     {aws, Use{Month: march, Calls: 21_000_000_000}, []int64{116550 + 186760 + 4522000 + 151000}},
		"Amazon's, a single call":  {aws, Use{Month: march, Calls: 1}, []int64{0}},
		"Amazon's, 1,429 make one": {aws, Use{Month: march, Calls: 1429}, []int64{1}},
	} {
		got, err := Lines(c.sheet, c.use)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var sums []int64
		for _, l := range got {
			sums = append(sums, l.Amount)
			var n int64
			for _, s := range l.Steps {
				n += s.Quantity
			}
			if n != l.Quantity {
				t.Errorf("%s: the steps of the %s have %d, the line %d", name, l.Meter, n, l.Quantity)
			}
		}
		if len(sums) != len(c.want) {
			t.Errorf("%s: %d lines, want %d", name, len(sums), len(c.want))
			continue
		}
		for i := range sums {
			if sums[i] != c.want[i] {
				t.Errorf("%s: line %d is %d, want %d", name, i, sums[i], c.want[i])
			}
		}
	}
}

func TestWhatCannotBeInvoiced(t *testing.T) {
	t.Parallel()
	dear := &model.PriceSheet{Currency: "USD", Tiers: []model.PriceTier{{Price: "999999999999"}}}
	if _, err := Lines(dear, Use{Month: march, Calls: 1e15}); model.KindOf(err) != model.Limit {
		t.Errorf("an amount beyond all numbers: %v", err)
	}
	if _, err := Lines(&model.PriceSheet{Currency: "XXX"}, Use{Month: march}); err == nil {
		t.Error("a currency that is none was charged in")
	}
	if _, err := Lines(dear, Use{Month: march, Calls: -1}); err == nil {
		t.Error("fewer than no calls were charged")
	}
}

// drawSheet is any valid price sheet.
func drawSheet(t *rapid.T) *model.PriceSheet {
	price := rapid.Custom(func(t *rapid.T) model.Decimal {
		return model.Decimal(rapid.StringMatching(`[0-9]{1,3}(\.[0-9]{1,12})?`).Draw(t, "price"))
	})
	s := &model.PriceSheet{
		Currency: rapid.SampledFrom([]string{"USD", "JPY", "KWD"}).Draw(t, "currency"),
		Included: rapid.Int64Range(0, 10_000).Draw(t, "included"),
	}
	if rapid.Bool().Draw(t, "has a fee") {
		s.MonthlyFee = price.Draw(t, "fee")
	}
	var up int64
	for i, n := 0, rapid.IntRange(0, 6).Draw(t, "tiers"); i < n; i++ {
		up += rapid.Int64Range(1, 5_000).Draw(t, "width")
		tier := model.PriceTier{UpTo: up, Price: price.Draw(t, "tier price"), Per: rapid.SampledFrom([]int64{0, 1, 1000, 1_000_000}).Draw(t, "per")}
		if i == n-1 {
			tier.UpTo = 0
		}
		s.Tiers = append(s.Tiers, tier)
	}
	return s
}

// oracle prices every single call in turn, in fractions.
func oracle(s *model.PriceSheet, u Use) (fee, calls *big.Rat) {
	fee, calls = new(big.Rat), new(big.Rat)
	if s.MonthlyFee != "" {
		fee.SetString(string(s.MonthlyFee))
	}
	begin := time.Date(u.Month.Year(), u.Month.Month(), 1, 0, 0, 0, 0, time.UTC)
	end := begin.AddDate(0, 1, 0)
	first, last := begin.Unix(), end.Unix()
	if s := u.Since.Unix(); !u.Since.IsZero() && s > first {
		first = s
	}
	if e := u.Until.Unix(); !u.Until.IsZero() && e < last {
		last = e
	}
	if last < first {
		last = first
	}
	fee.Mul(fee, big.NewRat(last-first, end.Unix()-begin.Unix()))
	for i := int64(1); i <= u.Calls; i++ {
		over := i - s.Included
		if over <= 0 {
			continue
		}
		for _, t := range s.Tiers {
			if t.UpTo == 0 || over <= t.UpTo {
				p, _ := new(big.Rat).SetString(string(t.Price))
				calls.Add(calls, p.Quo(p, new(big.Rat).SetInt64(max(t.Per, 1))))
				break
			}
		}
	}
	return fee, calls
}

// inMinor rounds half away from zero, by the school's method.
func inMinor(r *big.Rat, digits int) int64 {
	f := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)
	r = new(big.Rat).Mul(r, new(big.Rat).SetInt(f))
	num, den := new(big.Int).Mul(r.Num(), big.NewInt(2)), r.Denom()
	num.Add(num, den)
	return num.Div(num, new(big.Int).Mul(den, big.NewInt(2))).Int64()
}

// Every amount is what a slow, exact calculation of every single call says.
func TestLinesAgreeWithTheOracle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := drawSheet(t)
		u := Use{Month: march, Calls: rapid.Int64Range(0, 30_000).Draw(t, "calls")}
		if rapid.Bool().Draw(t, "began in the month") {
			u.Since = march.Add(time.Duration(rapid.Int64Range(-1000, 3_000_000).Draw(t, "since")) * time.Second)
		}
		if rapid.Bool().Draw(t, "went on by another") {
			u.Until = march.Add(time.Duration(rapid.Int64Range(0, 3_000_000).Draw(t, "until")) * time.Second)
		}
		got, err := Lines(s, u)
		if err != nil {
			t.Fatal(err)
		}
		digits, _ := model.MinorDigits(s.Currency)
		fee, calls := oracle(s, u)
		for _, l := range got {
			want := inMinor(calls, digits)
			if l.Meter == Fee {
				want = inMinor(fee, digits)
			}
			if l.Amount != want {
				t.Fatalf("%s by %+v of %+v is %d, the oracle says %d", l.Meter, s, u, l.Amount, want)
			}
		}
	})
}

// tierwise prices any number of calls in fractions, tier by tier from the last.
func tierwise(s *model.PriceSheet, calls int64) *big.Rat {
	sum := new(big.Rat)
	left := calls - s.Included
	for i := len(s.Tiers) - 1; i >= 0 && left > 0; i-- {
		var below int64
		if i > 0 {
			below = s.Tiers[i-1].UpTo
		}
		if left <= below {
			continue
		}
		p, _ := new(big.Rat).SetString(string(s.Tiers[i].Price))
		p.Mul(p, new(big.Rat).SetInt64(left-below))
		sum.Add(sum, p.Quo(p, new(big.Rat).SetInt64(max(s.Tiers[i].Per, 1))))
		left = below
	}
	return sum
}

// The two oracles agree where both can be asked; beyond, the second alone is.
func TestLinesOfManyCallsAgreeWithTheOracle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := drawSheet(t)
		few := rapid.Int64Range(0, 3_000).Draw(t, "few")
		if _, one := oracle(s, Use{Month: march, Calls: few}); one.Cmp(tierwise(s, few)) != 0 {
			t.Fatalf("the oracles differ over %d calls by %+v", few, s)
		}
		s.Included *= rapid.SampledFrom([]int64{1, 1_000_000, 1_000_000_000}).Draw(t, "included times")
		wide := rapid.SampledFrom([]int64{1, 1_000_000, 1_000_000_000}).Draw(t, "tiers times")
		for i := range s.Tiers {
			s.Tiers[i].UpTo *= wide
		}
		calls := rapid.Int64Range(0, 1e15).Draw(t, "calls")
		got, err := Lines(s, Use{Month: march, Calls: calls})
		digits, _ := model.MinorDigits(s.Currency)
		exact := tierwise(s, calls)
		if model.KindOf(err) == model.Limit {
			if limit := new(big.Rat).SetInt64(1 << 52); exact.Mul(exact, new(big.Rat).SetInt64(1000)).Cmp(limit) < 0 {
				t.Fatalf("%d calls by %+v are refused: %v", calls, s, err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		l := got[len(got)-1]
		if want := inMinor(exact, digits); l.Amount != want {
			t.Fatalf("%d calls by %+v cost %d, the oracle says %d", calls, s, l.Amount, want)
		}
		var n int64
		next := int64(1)
		for _, step := range l.Steps {
			if step.From != next || step.To-step.From+1 != step.Quantity {
				t.Fatalf("the steps do not follow each other: %+v", l.Steps)
			}
			n, next = n+step.Quantity, step.To+1
		}
		if n != calls {
			t.Fatalf("the steps have %d calls of %d", n, calls)
		}
	})
}

// More calls never cost less.
func TestMonotone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := drawSheet(t)
		a := rapid.Int64Range(0, 1e12).Draw(t, "a")
		b := rapid.Int64Range(a, 2e12).Draw(t, "b")
		la, err := Lines(s, Use{Month: march, Calls: a})
		if err != nil {
			t.Skip("beyond what can be invoiced")
		}
		lb, err := Lines(s, Use{Month: march, Calls: b})
		if err != nil {
			t.Skip("beyond what can be invoiced")
		}
		if x, y := la[len(la)-1].Amount, lb[len(lb)-1].Amount; y < x {
			t.Fatalf("%d calls cost %d, %d calls %d", a, x, b, y)
		}
	})
}
