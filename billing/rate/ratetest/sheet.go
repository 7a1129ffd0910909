package ratetest

import (
	"fmt"

	"tollgate/model"
)

// Random gives numbers from 0 up to n, n excluded: of a property test, which
// shrinks them, or of a seeded source.
type Random func(n int) int

// Sheet is any valid price sheet. Its tiers end within some thousand units.
func Sheet(r Random) model.PriceSheet {
	some := func() bool { return r(3) == 0 }
	price := func() model.Decimal {
		d := model.Decimal(fmt.Sprint(r(4)))
		if places := r(13); places > 0 {
			d += "."
			for range places {
				d += model.Decimal(fmt.Sprint(r(10)))
			}
		}
		return d
	}
	percent := func() model.Decimal { return model.Decimal(fmt.Sprintf("%d.%d", r(100), r(100))) }
	free := func() *model.FreeTier {
		if !some() {
			return nil
		}
		return &model.FreeTier{Units: int64(r(2000)), Months: 1 + r(14)}
	}
	kinds := []string{"", model.Graduated, model.Volume, model.Package}
	s := model.PriceSheet{Currency: []string{"USD", "JPY", "KWD"}[r(3)], Included: int64(r(3) * r(1000)), FreeTier: free(), Model: kinds[r(4)]}
	s.Tiers = tiers(r, s.Model, []int64{0, 1, 3, 100, 1000}, price)
	if some() {
		m := model.MeterPrice{Meter: model.MeterBytesOut, Included: int64(r(3) * r(1000)), FreeTier: free(), Model: kinds[r(4)]}
		m.Tiers = tiers(r, m.Model, []int64{1, 7, 1000, 1024}, price)
		s.Meters = append(s.Meters, m)
	}
	if r(2) == 0 {
		s.MonthlyFee = price()
	}
	if some() {
		s.Minimum = model.Decimal(fmt.Sprintf("%d.%03d", r(20), r(1000)))
	}
	if some() {
		s.Maximum = model.Decimal(fmt.Sprintf("%d.%03d", 20+r(200), r(1000)))
	}
	if some() {
		s.Discount = percent()
	}
	if some() {
		s.Coupon = &model.Coupon{Months: 1 + r(5)}
		if r(2) == 0 {
			s.Coupon.Percent = percent()
		} else {
			s.Coupon.Amount = model.Decimal(fmt.Sprintf("%d.%d", r(30), r(1000)))
		}
	}
	if some() {
		s.TrialDays = r(70)
	}
	return s
}

func tiers(r Random, kind string, pers []int64, price func() model.Decimal) (out []model.PriceTier) {
	var up int64
	n := r(5)
	for i := range n {
		t := model.PriceTier{Price: price(), Per: pers[r(len(pers))]}
		if r(3) == 0 {
			t.Flat = price()
		}
		width := int64(1 + r(2000))
		if kind == model.Package { // no package is split between tiers
			width *= max(t.Per, 1)
		}
		if up += width; i < n-1 {
			t.UpTo = up
		}
		out = append(out, t)
	}
	return out
}
