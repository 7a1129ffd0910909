package rate

import (
	"math/big"

	"tollgate/model"
)

// Coupon is the line of a customer's coupon, which takes a percentage or an amount off
// what lines come to in minor units: it is of their rounded amounts, and never takes
// more than there is.
func Coupon(base int64, percent, amount model.Decimal, digits int) (Line, error) {
	m := &month{digits: digits}
	base = max(base, 0)
	exact := major(base, digits)
	sum := Step{Kind: model.StepSum, Price: "0", Per: 1, Exact: shown(exact)}
	of, step := percent, model.StepPercent
	if percent == "" {
		of, step = amount, model.StepOff
	}
	off, err := fraction(of)
	if err != nil {
		return Line{}, err
	}
	if percent != "" {
		off.Mul(off.Quo(off, big.NewRat(100, 1)), exact)
	}
	steps := []Step{sum, {Kind: step, Price: of, Per: 1, Exact: shown(off)}}
	if off.Cmp(exact) > 0 {
		off = exact // the rest of it lapses
	}
	err = m.add(Line{Meter: model.MeterCoupon, Quantity: 1, Steps: steps}, new(big.Rat).Neg(off))
	if err != nil {
		return Line{}, err
	}
	return m.lines[0], nil
}
