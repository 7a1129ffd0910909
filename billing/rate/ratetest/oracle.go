// Package ratetest is a second, slow way to say what a month costs, and any price
// sheet to try it with. It shares no calculation with package rate: it is for tests
// alone, which hold the two against each other.
package ratetest

import (
	"math/big"
	"time"

	"tollgate/billing/rate"
	"tollgate/model"
)

// Month is what a month costs, in minor units.
type Month struct {
	Meters map[string]int64 // fee, and what was used
	Total  int64
}

// Cost is what a use costs. It walks along the units one by one where they are few
// (slow), or else tier by tier.
func Cost(s *model.PriceSheet, u rate.Use, slow bool) Month {
	digits, _ := model.MinorDigits(s.Currency)
	out := Month{Meters: map[string]int64{}}
	begin := time.Date(u.Month.UTC().Year(), u.Month.UTC().Month(), 1, 0, 0, 0, 0, time.UTC)
	days := daysIn(begin)
	whole := int64(days) * 86400
	trial := trialSeconds(s, u, begin, days)
	charged := overlap(u, begin, days, trial)

	put := func(meter string, exact *big.Rat) {
		out.Meters[meter] = Round(exact, digits)
		out.Total += out.Meters[meter]
	}
	if s.MonthlyFee != "" {
		put(rate.Fee, part(number(s.MonthlyFee), charged, whole))
	}
	months := 0 // of the customer, with this one
	if !u.First.IsZero() {
		for at := begin; !at.Before(monthOf(u.First)); at = at.AddDate(0, -1, 0) {
			months++
		}
	}
	all := append([]model.MeterPrice{{Meter: rate.Calls, Included: s.Included, FreeTier: s.FreeTier, Model: s.Model, Tiers: s.Tiers}}, s.Meters...)
	for _, m := range all {
		n, free := u.Calls, u.Trial.Calls
		if m.Meter == rate.BytesOut {
			n, free = u.BytesOut, u.Trial.BytesOut
		}
		if trial == 0 {
			free = 0
		}
		free = min(free, n)
		if m.FreeTier != nil && months >= 1 && months <= m.FreeTier.Months {
			free += m.FreeTier.Units
		}
		free += m.Included
		if slow {
			put(m.Meter, unitByUnit(m, n-free))
		} else {
			put(m.Meter, byTier(m, n-free))
		}
	}
	bound := func(d model.Decimal) int64 { return Round(part(number(d), charged, whole), digits) }
	if s.Minimum != "" {
		out.Total = max(out.Total, bound(s.Minimum))
	}
	if s.Maximum != "" && charged > 0 {
		out.Total = min(out.Total, bound(s.Maximum))
	}
	percentOff := func(d model.Decimal) {
		off := number(d)
		off.Mul(off, big.NewRat(out.Total, 100)) // of minor units
		out.Total -= Round(off, 0)
	}
	if s.Discount != "" {
		percentOff(s.Discount)
	}
	if c := s.Coupon; c != nil && months >= 1 && months <= c.Months {
		if c.Percent != "" {
			percentOff(c.Percent)
		} else {
			first := max(u.First.Unix(), begin.Unix()) - begin.Unix()
			there := overlap(u, begin, days, first)
			out.Total -= min(out.Total, Round(part(number(c.Amount), min(there, whole-first), whole-first), digits))
		}
	}
	return out
}

func monthOf(t time.Time) time.Time {
	t = t.UTC()
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

func daysIn(begin time.Time) int {
	y := begin.Year()
	switch begin.Month() {
	case time.February:
		if y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			return 29
		}
		return 28
	case time.April, time.June, time.September, time.November:
		return 30
	}
	return 31
}

// trialSeconds is how much of the month's beginning is in the trial: the rest of
// the customer's first day, then whole days.
func trialSeconds(s *model.PriceSheet, u rate.Use, begin time.Time, days int) int64 {
	if s.TrialDays == 0 || u.First.IsZero() {
		return 0
	}
	midnight := time.Date(u.First.UTC().Year(), u.First.UTC().Month(), u.First.UTC().Day(), 0, 0, 0, 0, time.UTC)
	if !midnight.Equal(u.First) {
		midnight = midnight.Add(24 * time.Hour)
	}
	var seconds int64
	for range s.TrialDays {
		midnight = midnight.Add(24 * time.Hour)
	}
	for day := range days {
		if begin.Add(time.Duration(day) * 24 * time.Hour).Before(midnight) {
			seconds += 86400
		}
	}
	return seconds
}

// overlap is the seconds of the month from an offset on in which it ran.
func overlap(u rate.Use, begin time.Time, days int, from int64) int64 {
	to := int64(days) * 86400
	if !u.Until.IsZero() {
		to = min(to, u.Until.Unix()-begin.Unix())
	}
	if !u.Since.IsZero() {
		from = max(from, u.Since.Unix()-begin.Unix())
	}
	if to < from {
		return 0
	}
	return to - from
}

func part(r *big.Rat, n, of int64) *big.Rat {
	if n >= of {
		return r
	}
	return r.Mul(r, new(big.Rat).SetFrac(big.NewInt(n), big.NewInt(of)))
}

func number(d model.Decimal) *big.Rat {
	r := new(big.Rat)
	if d != "" {
		r.SetString(string(d))
	}
	return r
}

// one is what one unit of a tier costs, or one package.
func one(t model.PriceTier, whole bool) *big.Rat {
	r := number(t.Price)
	if !whole {
		r.Quo(r, new(big.Rat).SetInt64(max(t.Per, 1)))
	}
	return r
}

// unitByUnit prices n units one after the other.
func unitByUnit(m model.MeterPrice, n int64) *big.Rat {
	sum := new(big.Rat)
	tier, in := 0, int64(0) // the tier of this unit, and its number in the tier
	for i := int64(1); i <= n && len(m.Tiers) > 0; i++ {
		in++
		if up := m.Tiers[tier].UpTo; up != 0 && i > up {
			tier, in = tier+1, 1
		}
		t := m.Tiers[tier]
		switch m.Model {
		case model.Volume:
			if i == n { // the last one decides for all
				for range n {
					sum.Add(sum, one(t, false))
				}
				sum.Add(sum, number(t.Flat))
			}
			continue
		case model.Package:
			if (in-1)%max(t.Per, 1) == 0 {
				sum.Add(sum, one(t, true))
			}
		default:
			sum.Add(sum, one(t, false))
		}
		if in == 1 {
			sum.Add(sum, number(t.Flat))
		}
	}
	return sum
}

// byTier prices n units tier by tier, from the last.
func byTier(m model.MeterPrice, n int64) *big.Rat {
	sum := new(big.Rat)
	for i := len(m.Tiers) - 1; i >= 0 && n > 0; i-- {
		t, below := m.Tiers[i], int64(0)
		if i > 0 {
			below = m.Tiers[i-1].UpTo
		}
		if n <= below {
			continue
		}
		units := new(big.Rat).SetInt64(n - below)
		switch m.Model {
		case model.Volume:
			sum.Mul(new(big.Rat).SetInt64(n), one(t, false))
			return sum.Add(sum, number(t.Flat))
		case model.Package:
			packages := new(big.Int).SetInt64(n - below)
			packages.Add(packages, big.NewInt(max(t.Per, 1)-1)).Quo(packages, big.NewInt(max(t.Per, 1)))
			units = new(big.Rat).SetInt(packages)
		}
		sum.Add(sum, units.Mul(units, one(t, m.Model == model.Package)))
		sum.Add(sum, number(t.Flat))
		n = below
	}
	return sum
}

// Round is an amount in minor units, half away from zero, by the school's method.
func Round(r *big.Rat, digits int) int64 {
	r = new(big.Rat).Set(r)
	for range digits {
		r.Mul(r, big.NewRat(10, 1))
	}
	if r.Sign() < 0 {
		return -Round(r.Neg(r), 0)
	}
	r.Add(r, big.NewRat(1, 2))
	return new(big.Int).Div(r.Num(), r.Denom()).Int64()
}
