package web

import (
	"strconv"
	"strings"
	"time"

	"tollgate/billing"
	"tollgate/billing/rate"
	"tollgate/model"
	"tollgate/ui"
)

// paysRow is what one customer pays for a whole month of so many calls.
type paysRow struct {
	Calls, Total string
	Parts        string // the fee, what was used, and what is added or taken off, where there is more than one
	First        string // what the customer's first month costs, where that is something else
}

// sampleCalls are shown for every price, behind the number that the visitor asks for.
var sampleCalls = []int64{1_000, 10_000, 100_000, 1_000_000, 10_000_000}

// pays fills in what customers would pay by the price in the form, as the invoice
// would have it. What is wrong with the price is for saving to say.
func (f *priceForm) pays() {
	f.Pays, f.PaysNote = nil, "Nothing: the plan is free of charge."
	quiet := *f
	quiet.Problems = nil
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
	data := quiet.count("data", f.Data, model.Gigabyte, "GB")
	if len(quiet.Problems) > 0 {
		f.PaysNote = quiet.Problems[0].Text + "."
		return
	}
	for _, n := range calls {
		row, err := paid(s, n, data)
		if err != nil {
			f.Pays, f.PaysNote = nil, sentence(model.MessageOf(err))+"."
			return
		}
		f.Pays = append(f.Pays, row)
	}
}

// sampleMonth is any of 31 days.
var sampleMonth = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func paid(s *model.PriceSheet, calls, data int64) (paysRow, error) {
	u := rate.Use{Month: sampleMonth, Calls: calls, BytesOut: data}
	lines, err := rate.Lines(s, u)
	if err != nil {
		return paysRow{}, err
	}
	// The first month, of who begins with it and uses as much on every day.
	u.First, u.Since = sampleMonth, sampleMonth
	days := int64(min(s.TrialDays, 31))
	u.Trial = rate.Trial{Calls: calls / 31 * days, BytesOut: data / 31 * days}
	first, err := rate.Lines(s, u)
	if err != nil {
		return paysRow{}, err
	}
	digits, _ := model.MinorDigits(s.Currency)
	money := func(minor int64) string { return ui.Money(minor, s.Currency, digits) }
	row := paysRow{Calls: ui.Quantity(calls), Total: money(rate.Total(lines))}
	if a, b := rate.Total(first), rate.Total(lines); a != b {
		row.First = money(a)
	}
	var parts []string
	for i := range lines {
		if l := &lines[i]; l.Amount != 0 {
			amount := strings.TrimSuffix(money(max(l.Amount, -l.Amount)), " "+s.Currency)
			if word := partWords[l.Meter]; word != "" {
				amount += " " + word
			}
			switch {
			case l.Amount < 0:
				amount = "− " + amount
			case len(parts) > 0:
				amount = "+ " + amount
			}
			parts = append(parts, amount)
		}
	}
	if len(parts) > 1 {
		row.Parts = strings.Join(parts, " ")
	}
	return row, nil
}

// partWords name the parts of a month; calls need no word.
var partWords = map[string]string{
	model.MeterFee: "fee", model.MeterBytesOut: "data", model.MeterMinimum: "up to the minimum", model.MeterMaximum: "beyond the maximum",
	model.MeterDiscount: "discount", model.MeterCoupon: "coupon",
}

// tryOut works out what the plan's customers would have paid in the last month by
// the price in the form.
func (v *visit) tryOut(f *planForm) error {
	quiet := *f
	quiet.Problems = nil
	sheet := quiet.price()
	if sheet == nil || f.ID == "" {
		f.Problems = append(f.Problems, quiet.Problems...)
		return nil
	}
	month, _ := rate.Month(v.Now())
	w, err := v.Billing.WhatIf(v.ctx(), v.books(), f.ID, sheet, month.AddDate(0, -1, 0))
	if err != nil {
		if !invalid(err) {
			return err
		}
		f.refused("currency", err)
		return nil
	}
	f.Tried = &w
	return nil
}

// difference writes how much more or less somebody would pay.
func difference(minor int64, w *billing.WhatIf) string {
	if minor == 0 {
		return "the same"
	}
	out := ui.Money(minor, w.Currency, w.Digits)
	if minor > 0 {
		out = "+" + out
	}
	return out
}
