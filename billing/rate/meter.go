package rate

import (
	"fmt"
	"math/big"

	"tollgate/model"
)

// meter adds the line of what was used of a meter. Its units are numbered as the
// month goes on: those of the trial come first, then the free tier's, then the
// included ones, and the tiers count the rest from 1.
func (m *month) meter(p *model.MeterPrice) error {
	n, trial := m.use.of(p.Meter)
	if n < 0 || trial < 0 {
		return fmt.Errorf("rate: %d %s, %d of them in the trial", n, model.Units(p.Meter, n), trial)
	}
	t := tally{line: Line{Meter: p.Meter, Quantity: n}, exact: new(big.Rat)}
	if !m.trialEnd.After(m.begin) {
		trial = 0
	}
	t.free(model.StepTrial, trial)
	if f := p.FreeTier; f != nil && m.within(f.Months) {
		t.free(model.StepFreeTier, f.Units)
	}
	included := "" // where it is the first step, that says it
	if t.done > 0 {
		included = model.StepIncluded
	}
	t.free(included, p.Included)
	var err error
	switch p.Model {
	case model.Volume:
		err = t.volume(p.Tiers)
	default:
		err = t.graduated(p.Tiers, p.Model == model.Package)
	}
	if err != nil {
		return err
	}
	t.free("", n) // beyond what costs nothing, and no tiers: free
	return m.add(t.line, t.exact)
}

// tally is a meter's line as it is made: of its units, done have a step.
type tally struct {
	line  Line
	done  int64
	exact *big.Rat
}

func (t *tally) left() int64 { return t.line.Quantity - t.done }

// free makes a step of up to n units that cost nothing.
func (t *tally) free(kind string, n int64) {
	if n = min(n, t.left()); n > 0 {
		t.step(Step{Kind: kind, Quantity: n, Price: "0", Per: 1}, new(big.Rat))
	}
}

// step appends one that is for the next units.
func (t *tally) step(s Step, exact *big.Rat) {
	s.From, s.To = t.done+1, t.done+s.Quantity
	s.Exact = shown(exact)
	t.line.Steps = append(t.line.Steps, s)
	t.exact.Add(t.exact, exact)
	t.done = s.To
}

// flat charges what reaching a tier costs, in front of the tier's units.
func (t *tally) flat(tier *model.PriceTier) error {
	if tier.Flat.Zero() {
		return nil
	}
	exact, err := fraction(tier.Flat)
	if err != nil {
		return err
	}
	t.line.Steps = append(t.line.Steps, Step{Kind: model.StepFlat, From: t.done + 1, To: t.done + 1, Price: tier.Flat, Per: 1, Exact: shown(exact)})
	t.exact.Add(t.exact, exact)
	return nil
}

// graduated charges each unit at the price of the tier it falls into. In packages,
// each one that is begun is charged whole; no tier ends within one.
func (t *tally) graduated(tiers []model.PriceTier, packages bool) error {
	begin := t.done
	for i := range tiers {
		tier := &tiers[i]
		n := t.left()
		if tier.UpTo != 0 {
			n = min(n, tier.UpTo-(t.done-begin))
		}
		if n <= 0 {
			return nil
		}
		if err := t.flat(tier); err != nil {
			return err
		}
		exact, err := fraction(tier.Price)
		if err != nil {
			return err
		}
		per := max(tier.Per, 1)
		s := Step{Quantity: n, Price: tier.Price, Per: per}
		if packages {
			s.Kind, s.Packages = model.StepPackage, n/per
			if n%per != 0 {
				s.Packages++
			}
			exact.Mul(exact, new(big.Rat).SetInt64(s.Packages))
		} else {
			// A price is for Per units, and a unit is the Per-th part of it: nothing is
			// rounded up to whole packages.
			exact.Mul(exact, big.NewRat(n, per))
		}
		t.step(s, exact)
	}
	return nil
}

// volume charges all units at the price of the tier that their number reaches.
func (t *tally) volume(tiers []model.PriceTier) error {
	n := t.left()
	if n == 0 {
		return nil
	}
	for i := range tiers {
		tier := &tiers[i]
		if tier.UpTo != 0 && n > tier.UpTo {
			continue
		}
		if err := t.flat(tier); err != nil {
			return err
		}
		exact, err := fraction(tier.Price)
		if err != nil {
			return err
		}
		per := max(tier.Per, 1)
		t.step(Step{Kind: model.StepVolume, Quantity: n, Price: tier.Price, Per: per}, exact.Mul(exact, big.NewRat(n, per)))
		return nil
	}
	return nil
}
