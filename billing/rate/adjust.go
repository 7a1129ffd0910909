package rate

import (
	"math/big"

	"tollgate/model"
)

// adjust adds what is of the month as a whole. Each line is of the rounded amounts
// above it, so that who reads an invoice can work it out from what is printed, and
// a minimum or a maximum is met to the minor unit. None takes the month below
// nothing.
func (m *month) adjust() error {
	s := m.sheet
	for _, f := range []struct {
		there bool
		line  func() error
	}{
		{!s.Minimum.Zero(), m.minimum},
		{s.Maximum != "", m.maximum},
		{!s.Discount.Zero(), func() error { return m.percent(model.MeterDiscount, s.Discount) }},
		{s.Coupon != nil, m.coupon},
	} {
		if !f.there {
			continue
		}
		if err := f.line(); err != nil {
			return err
		}
	}
	return nil
}

// sum is what the lines so far come to, and a step that says so.
func (m *month) sum() (int64, *big.Rat, Step) {
	n := Total(m.lines)
	exact := major(n, m.digits)
	return n, exact, Step{Kind: model.StepSum, Price: "0", Per: 1, Exact: shown(exact)}
}

// bound is the month's share of a minimum or a maximum, in minor units.
func (m *month) bound(kind string, of model.Decimal) (int64, Step, error) {
	exact, part, err := m.share(of)
	if err != nil {
		return 0, Step{}, err
	}
	n, err := minor(exact, m.digits)
	return n, Step{Kind: kind, Price: of, Per: 1, Exact: shown(exact), Part: part}, err
}

func (m *month) minimum() error {
	least, step, err := m.bound(model.StepMinimum, m.sheet.Minimum)
	if err != nil {
		return err
	}
	n, _, sum := m.sum()
	return m.add(Line{Meter: model.MeterMinimum, Quantity: 1, Steps: []Step{step, sum}}, major(max(least-n, 0), m.digits))
}

// maximum does not bind where no part of the month is charged: what was used after
// the end all the same has its price.
func (m *month) maximum() error {
	if m.span(m.trialEnd) == 0 {
		return m.add(Line{Meter: model.MeterMaximum, Quantity: 1}, new(big.Rat))
	}
	most, step, err := m.bound(model.StepMaximum, m.sheet.Maximum)
	if err != nil {
		return err
	}
	n, _, sum := m.sum()
	return m.add(Line{Meter: model.MeterMaximum, Quantity: 1, Steps: []Step{step, sum}}, major(min(most-n, 0), m.digits))
}

// percent takes a percentage off.
func (m *month) percent(meter string, of model.Decimal) error {
	off, err := fraction(of)
	if err != nil {
		return err
	}
	_, exact, sum := m.sum()
	off.Mul(off.Quo(off, big.NewRat(100, 1)), exact)
	step := Step{Kind: model.StepPercent, Price: of, Per: 1, Exact: shown(off)}
	return m.add(Line{Meter: meter, Quantity: 1, Steps: []Step{sum, step}}, off.Neg(off))
}

// coupon takes the coupon off the months it is for; in others its line is of
// nothing. A month in which prices changed has it once: each price has its share
// of the time that the customer was there, so that an amount is not taken twice.
func (m *month) coupon() error {
	c, first := m.sheet.Coupon, m.use.First
	if !m.within(c.Months) {
		return m.add(Line{Meter: model.MeterCoupon, Quantity: 1}, new(big.Rat))
	}
	if c.Percent != "" {
		return m.percent(model.MeterCoupon, c.Percent)
	}
	if first.Before(m.begin) {
		first = m.begin
	}
	there := m.end.Unix() - first.Unix()
	off, part, err := m.shareOf(c.Amount, min(m.span(first), there), there, "seconds")
	if err != nil {
		return err
	}
	_, exact, sum := m.sum()
	step := Step{Kind: model.StepOff, Price: c.Amount, Per: 1, Exact: shown(off), Part: part}
	if off.Cmp(exact) > 0 {
		off = exact // the rest of it lapses
	}
	return m.add(Line{Meter: model.MeterCoupon, Quantity: 1, Steps: []Step{sum, step}}, new(big.Rat).Neg(off))
}
