// Package rate is what a month costs: a price sheet and what was used, to lines
// of an invoice. It is pure and exact: decimals only, rounded once per line.
package rate

import (
	"fmt"
	"math/big"
	"time"

	"github.com/shopspring/decimal"

	"tollgate/model"
)

// Meters of a line.
const (
	Fee   = model.MeterFee
	Calls = model.MeterCalls
)

// Use is what one subscription did in one calendar month (UTC).
type Use struct {
	Month time.Time // its first instant
	Since time.Time // begin of the subscription: a fee is for what is left of its first month
	Until time.Time // where another price went on, or the end where that was before the month; zero: the month is charged to its end
	Calls int64     // billable
}

// Line is one amount with how it comes about.
type Line struct {
	Meter    string
	Quantity int64 // calls; 1 month of a fee
	Steps    []Step
	Exact    decimal.Decimal // major units
	Amount   int64           // minor units: Exact, rounded half away from zero
}

// Step is the part of a line that one price is for.
type Step = model.PriceStep

// Month is the calendar month (UTC) that t falls into: begin inclusive, end exclusive.
func Month(t time.Time) (begin, end time.Time) {
	y, m, _ := t.UTC().Date()
	begin = time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
	return begin, begin.AddDate(0, 1, 0)
}

// Lines is what a use costs by a sheet: a line for the fee if it has one, then one
// for the calls, always, so that an invoice says what was used. Tiers count the
// calls of the month beyond the included ones.
func Lines(sheet *model.PriceSheet, u Use) ([]Line, error) {
	if err := sheet.Validate(); err != nil {
		return nil, err
	}
	if u.Calls < 0 {
		return nil, fmt.Errorf("rate: %d calls", u.Calls)
	}
	digits, _ := model.MinorDigits(sheet.Currency)
	var out []Line
	if !sheet.MonthlyFee.Zero() {
		l, err := fee(sheet, u)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	l, err := calls(sheet, u.Calls)
	if err != nil {
		return nil, err
	}
	out = append(out, l)
	for i := range out {
		if out[i].Amount, err = minor(out[i].Exact, digits); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// exactDigits is how many places a division that does not end is taken to. An
// amount is a fraction whose denominator is below 10^22, so what is left out is
// far too little to lie between the amount and half a minor unit: rounding once
// more changes nothing.
const exactDigits = 40

// ShownDigits is how many places of the major unit are stored and shown.
const ShownDigits = 12

// fee is the monthly fee, for the seconds of the month from the subscription's
// begin: what was begun is not paid back, unless another price went on.
func fee(sheet *model.PriceSheet, u Use) (Line, error) {
	price, err := decimal.NewFromString(string(sheet.MonthlyFee))
	if err != nil {
		return Line{}, err
	}
	begin, end := Month(u.Month)
	step := Step{From: 1, To: 1, Quantity: 1, Price: sheet.MonthlyFee, Per: 1}
	exact := price
	from, to := begin, end
	if u.Since.After(begin) {
		from = u.Since
	}
	if !u.Until.IsZero() && u.Until.Before(end) {
		to = u.Until
	}
	if left, whole := max(to.Unix()-from.Unix(), 0), end.Unix()-begin.Unix(); left < whole {
		exact = price.Mul(decimal.NewFromInt(left)).DivRound(decimal.NewFromInt(whole), exactDigits)
		step.Part = fmt.Sprintf("%d of %d seconds", left, whole)
	}
	step.Exact = exact.Round(ShownDigits).String()
	return Line{Meter: Fee, Quantity: 1, Steps: []Step{step}, Exact: exact}, nil
}

func calls(sheet *model.PriceSheet, n int64) (Line, error) {
	l := Line{Meter: Calls, Quantity: n, Exact: decimal.Zero}
	done := min(n, sheet.Included)
	if done > 0 {
		l.Steps = append(l.Steps, Step{From: 1, To: done, Quantity: done, Price: "0", Per: 1, Exact: "0"})
	}
	for _, t := range sheet.Tiers {
		end := n
		if t.UpTo != 0 {
			end = min(n, sheet.Included+t.UpTo)
		}
		if end <= done {
			continue
		}
		price, err := decimal.NewFromString(string(t.Price))
		if err != nil {
			return Line{}, err
		}
		per := max(t.Per, 1)
		// A price is for Per calls, and a call is Per-th of it: nothing is rounded up
		// to whole packages.
		exact := price.Mul(decimal.NewFromInt(end-done)).DivRound(decimal.NewFromInt(per), exactDigits)
		l.Steps = append(l.Steps, Step{From: done + 1, To: end, Quantity: end - done, Price: t.Price, Per: per, Exact: exact.Round(ShownDigits).String()})
		l.Exact = l.Exact.Add(exact)
		done = end
	}
	if done < n { // beyond the included ones, and no tiers: free
		l.Steps = append(l.Steps, Step{From: done + 1, To: n, Quantity: n - done, Price: "0", Per: 1, Exact: "0"})
	}
	return l, nil
}

// minor is an amount in minor units, rounded half away from zero.
func minor(exact decimal.Decimal, digits int) (int64, error) {
	v := exact.Shift(int32(digits)).Round(0).BigInt()
	if !v.IsInt64() || v.CmpAbs(big.NewInt(1<<53)) > 0 {
		return 0, model.Errorf(model.Limit, "an amount of %s is more than can be invoiced", exact)
	}
	return v.Int64(), nil
}
