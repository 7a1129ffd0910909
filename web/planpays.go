package web

import (
	"strconv"
	"strings"
	"time"

	"tollgate/billing/rate"
	"tollgate/model"
	"tollgate/ui"
)

// paysRow is what one customer pays for a whole month of so many calls.
type paysRow struct {
	Calls, Total string
	Parts        string // the fee and what the calls cost, where there are both
}

// sampleCalls are shown for every price, behind the number that the visitor asks for.
var sampleCalls = []int64{1_000, 10_000, 100_000, 1_000_000, 10_000_000}

// pays fills in what customers would pay by the price in the form, as the invoice
// would have it. What is wrong with the price is for saving to say.
func (f *planForm) pays() {
	f.Pays, f.PaysNote = nil, "Nothing: the plan is free of charge."
	quiet := planForm{Currency: f.Currency, Fee: f.Fee, Included: f.Included, Tiers: f.Tiers}
	s := quiet.price()
	if len(quiet.Problems) > 0 {
		f.PaysNote = "The price is not complete: " + quiet.Problems[0].Text + "."
		return
	}
	if s.Free() {
		return
	}
	calls := f.samples
	if calls == nil {
		calls = sampleCalls
	}
	if f.Calls != "" {
		n, err := strconv.ParseInt(ungroup(f.Calls), 10, 64)
		if err != nil || n < 0 || n > model.MaxSheetCalls {
			f.PaysNote = strconv.Quote(f.Calls) + " is not a number of calls between 0 and " + ui.Quantity(int64(model.MaxSheetCalls)) + "."
			return
		}
		calls = append([]int64{n}, calls...)
	}
	for _, n := range calls {
		row, err := paid(s, n)
		if err != nil {
			f.Pays, f.PaysNote = nil, sentence(model.MessageOf(err))+"."
			return
		}
		f.Pays = append(f.Pays, row)
	}
}

func paid(s *model.PriceSheet, calls int64) (paysRow, error) {
	lines, err := rate.Lines(s, rate.Use{Month: time.Unix(0, 0), Calls: calls})
	if err != nil {
		return paysRow{}, err
	}
	digits, _ := model.MinorDigits(s.Currency)
	money := func(minor int64) string { return ui.Money(minor, s.Currency, digits) }
	var fee, used int64
	for _, l := range lines {
		if l.Meter == rate.Fee {
			fee += l.Amount
		} else {
			used += l.Amount
		}
	}
	row := paysRow{Calls: ui.Quantity(calls), Total: money(fee + used)}
	if fee > 0 && used > 0 {
		row.Parts = strings.TrimSuffix(money(fee), " "+s.Currency) + " fee + " + strings.TrimSuffix(money(used), " "+s.Currency)
	}
	return row, nil
}
