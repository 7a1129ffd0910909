package rate

import (
	"math/big"
	"slices"

	"tollgate/model"
)

// MostCalls is how far Reach looks: nobody makes as many in a month.
const MostCalls int64 = 1e15

// mostBytes bounds the bytes that Reach reckons with.
const mostBytes int64 = 4e18

// Reach is how many calls the month can have in all, those of the use included, and
// cost no more than most minor units however many of them are made: where all units
// have the price of the tier that their number reaches, more can cost less, and what
// lies behind a number that costs too much is not reached. Each further call is
// reckoned with perCall bytes of answer, and none is in the trial. A use that costs
// more than most already reaches no further. It is exact: the price of one call more
// is worked out as an invoice is.
func Reach(sheet *model.PriceSheet, u Use, perCall, most int64) (int64, error) {
	if err := sheet.Validate(); err != nil {
		return 0, err
	}
	base := u
	perCall = min(max(perCall, 0), mostBytes)
	fits := func(calls int64) bool {
		at := base
		at.Calls, at.BytesOut = calls, base.BytesOut+(calls-base.Calls)*perCall
		lines, err := Lines(sheet, at)
		return err == nil && Total(lines) <= most // an amount that cannot be invoiced is too much
	}
	if !fits(u.Calls) {
		_, err := Lines(sheet, u)
		return u.Calls, err
	}
	last := max(MostCalls, u.Calls)
	if perCall > 0 {
		last = min(last, u.Calls+(mostBytes-min(u.BytesOut, mostBytes))/perCall)
	}
	good := u.Calls
	for _, end := range turns(sheet, &base, perCall, last) {
		if end <= good {
			continue
		}
		if fits(end) { // the price only rises up to there
			good = end
			continue
		}
		for bad := end; bad-good > 1; {
			if mid := good + (bad-good)/2; fits(mid) {
				good = mid
			} else {
				bad = mid
			}
		}
		return good, nil
	}
	return good, nil
}

// Worst is the most that the month costs with any number of calls from those of the use
// up to so many, in minor units; each further one is reckoned as Reach does.
func Worst(sheet *model.PriceSheet, u Use, perCall, calls int64) (int64, error) {
	most := int64(0)
	for _, n := range append(turns(sheet, &u, perCall, max(calls, u.Calls)), u.Calls) {
		at := u
		at.Calls, at.BytesOut = n, u.BytesOut+(n-u.Calls)*perCall
		lines, err := Lines(sheet, at)
		if err != nil {
			return 0, err
		}
		most = max(most, Total(lines))
	}
	return most, nil
}

// turns are the numbers of calls behind which a month can cost less, up to the last:
// ends of the tiers of meters that all units have one price of.
func turns(sheet *model.PriceSheet, u *Use, perCall, last int64) []int64 {
	m := newMonth(sheet, u)
	out := []int64{last}
	for _, p := range sheet.Metered() {
		if p.Model != model.Volume {
			continue
		}
		n, free := u.of(p.Meter)
		if !m.trialEnd.After(m.begin) {
			free = 0
		}
		if f := p.FreeTier; f != nil && m.within(f.Months) {
			free += f.Units
		}
		free += p.Included
		for _, t := range p.Tiers {
			if t.UpTo == 0 {
				continue
			}
			end := new(big.Int).Add(big.NewInt(free), big.NewInt(t.UpTo))
			if p.Meter == BytesOut {
				if perCall == 0 {
					continue
				}
				end.Sub(end, big.NewInt(n)).Div(end, big.NewInt(perCall)).Add(end, big.NewInt(u.Calls))
			}
			if end.IsInt64() && end.Int64() < last && end.Int64() > u.Calls {
				out = append(out, end.Int64())
			}
		}
	}
	slices.Sort(out)
	return out
}

// Floor is an amount in minor units of a currency, what is less than one left off; at
// most what an invoice can be of.
func Floor(amount model.Decimal, currency string) (int64, error) {
	exact, err := fraction(amount)
	if err != nil {
		return 0, err
	}
	digits, _ := model.MinorDigits(currency)
	v := new(big.Int).Mul(exact.Num(), pow10(digits))
	if v.Quo(v, exact.Denom()); v.Cmp(mostMinor) > 0 {
		v = mostMinor
	}
	return v.Int64(), nil
}
