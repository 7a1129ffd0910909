// Package rate is what a month costs: a price sheet and what was used, to lines
// of an invoice. It is pure and exact: fractions only, rounded once per line.
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
	Fee      = model.MeterFee
	Calls    = model.MeterCalls
	BytesOut = model.MeterBytesOut
)

// Use is what one subscription did in one calendar month (UTC).
type Use struct {
	Month    time.Time // its first instant
	First    time.Time // begin of the customer: trial, free tier and coupon run from it; zero: long ago
	Since    time.Time // begin of the subscription: a fee is for what is left of its first month
	Until    time.Time // where another price went on, or the end where that was before the month; zero: the month is charged to its end
	Calls    int64     // billable
	BytesOut int64     // of their answers
	Trial    Trial     // the part of them before the trial's end
	// Held is what a tenant had by the hour or the month, by meter; others have none.
	Held map[string]Held
}

// Held is units of what was there, and the part of them before the trial's end.
type Held struct{ Units, Trial int64 }

// Trial is what was used before the end of a trial.
type Trial struct{ Calls, BytesOut int64 }

// of is how much of a meter was used, and how much of that in the trial.
func (u *Use) of(meter string) (n, trial int64) {
	switch meter {
	case Calls:
		n, trial = u.Calls, u.Trial.Calls
	case BytesOut:
		n, trial = u.BytesOut, u.Trial.BytesOut
	default:
		n, trial = u.Held[meter].Units, u.Held[meter].Trial
	}
	return n, min(trial, n)
}

// Line is one amount with how it comes about.
type Line struct {
	Meter    string
	Quantity int64 // units of a meter that was used; 1 of others
	Steps    []Step
	Exact    decimal.Decimal // major units
	Amount   int64           // minor units: the exact amount, rounded half away from zero
}

// Step is a part of a line.
type Step = model.PriceStep

// Month is the calendar month (UTC) that t falls into: begin inclusive, end exclusive.
func Month(t time.Time) (begin, end time.Time) {
	y, m, _ := t.UTC().Date()
	begin = time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
	return begin, begin.AddDate(0, 1, 0)
}

// Lines is what a use costs by a sheet, in the order that PriceSheet tells: a line
// for each part that the sheet has, whatever it comes to, and always one for the
// calls, so that an invoice says what was used and a later one can be the
// difference to it. The same sheet and use always make the same lines.
func Lines(sheet *model.PriceSheet, u Use) ([]Line, error) {
	if err := sheet.Validate(); err != nil {
		return nil, err
	}
	m := newMonth(sheet, &u)
	if !sheet.MonthlyFee.Zero() {
		if err := m.fee(); err != nil {
			return nil, err
		}
	}
	for _, p := range sheet.Metered() {
		if err := m.meter(&p); err != nil {
			return nil, err
		}
	}
	if err := m.adjust(); err != nil {
		return nil, err
	}
	return m.lines, nil
}

// Total is the sum of lines, in minor units.
func Total(lines []Line) (sum int64) {
	for i := range lines {
		sum += lines[i].Amount
	}
	return sum
}

// ShownDigits is how many places of the major unit are stored and shown. Rounding
// to minor units is of the fraction itself, not of what is shown.
const ShownDigits = 12

// month is one month's lines as they are made.
type month struct {
	sheet      *model.PriceSheet
	use        *Use
	digits     int // of the currency's minor unit
	begin, end time.Time
	trialEnd   time.Time
	lines      []Line
}

func newMonth(sheet *model.PriceSheet, u *Use) *month {
	m := &month{sheet: sheet, use: u}
	m.digits, _ = model.MinorDigits(sheet.Currency)
	m.begin, m.end = Month(u.Month)
	if !u.First.IsZero() {
		m.trialEnd = sheet.TrialEnd(u.First)
	}
	return m
}

// within reports that the month is one of the customer's first so many.
func (m *month) within(months int) bool {
	n := model.MonthOf(m.use.First, m.begin)
	return !m.use.First.IsZero() && n >= 1 && n <= months
}

// span is the part of the month in which the subscription ran from an instant on,
// in seconds.
func (m *month) span(from time.Time) int64 {
	to := m.end
	for _, t := range []time.Time{m.begin, m.use.Since} {
		if t.After(from) {
			from = t
		}
	}
	if !m.use.Until.IsZero() && m.use.Until.Before(to) {
		to = m.use.Until
	}
	return max(to.Unix()-from.Unix(), 0)
}

// share is an amount of a month for the part of it that is charged: from the
// subscription's begin or the trial's end on. What was begun is not paid back,
// unless another price went on.
func (m *month) share(of model.Decimal) (exact *big.Rat, part string, err error) {
	return m.shareOf(of, m.span(m.trialEnd), m.end.Unix()-m.begin.Unix(), "seconds")
}

func (m *month) shareOf(of model.Decimal, left, whole int64, unit string) (exact *big.Rat, part string, err error) {
	exact, err = fraction(of)
	if err == nil && left < whole {
		exact.Mul(exact, big.NewRat(left, whole))
		part = fmt.Sprintf("%d of %d %s", left, whole, unit)
	}
	return exact, part, err
}

func (m *month) fee() error {
	exact, part, err := m.share(m.sheet.MonthlyFee)
	if err != nil {
		return err
	}
	return m.add(Line{Meter: Fee, Quantity: 1, Steps: []Step{{From: 1, To: 1, Quantity: 1, Price: m.sheet.MonthlyFee, Per: 1, Exact: shown(exact), Part: part}}}, exact)
}

// add rounds a line, once, and appends it.
func (m *month) add(l Line, exact *big.Rat) (err error) {
	l.Exact = decimal.NewFromBigRat(exact, ShownDigits)
	l.Amount, err = minor(exact, m.digits)
	m.lines = append(m.lines, l)
	return err
}

// fraction is an amount of a sheet; the empty one is nothing.
func fraction(d model.Decimal) (*big.Rat, error) {
	if d == "" {
		return new(big.Rat), nil
	}
	r, ok := new(big.Rat).SetString(string(d))
	if !ok {
		return nil, fmt.Errorf("rate: %q is not an amount", string(d))
	}
	return r, nil
}

func shown(r *big.Rat) string { return decimal.NewFromBigRat(r, ShownDigits).String() }

// minor is an amount in minor units, rounded half away from zero.
func minor(exact *big.Rat, digits int) (int64, error) {
	v := new(big.Int).Mul(exact.Num(), pow10(digits))
	negative := v.Sign() < 0
	v.Abs(v).Lsh(v, 1).Add(v, exact.Denom())
	v.Quo(v, new(big.Int).Lsh(exact.Denom(), 1))
	if v.CmpAbs(mostMinor) > 0 {
		return 0, model.Errorf(model.Limit, "an amount of %s is more than can be invoiced", shown(exact))
	}
	if negative {
		return -v.Int64(), nil
	}
	return v.Int64(), nil
}

// mostMinor is what every program that reads an invoice still counts exactly.
var mostMinor = big.NewInt(1 << 53)

func pow10(digits int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)
}

// major is an amount in minor units as a fraction of major ones.
func major(amount int64, digits int) *big.Rat {
	return new(big.Rat).SetFrac(big.NewInt(amount), pow10(digits))
}
