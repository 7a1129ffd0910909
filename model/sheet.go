package model

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// PriceSheet is what a calendar month (UTC) costs. Lines are made of it in this
// order: the fee, then each meter (trial, free tier and included units cost
// nothing, the units beyond them what their tiers say), then what tops the sum up
// to the minimum or takes it down to the maximum, then the discount, then the
// coupon. Those after the meters are of the rounded amounts above them.
//
// A part of a month has its share of fee, minimum and maximum, by the second.
// Included units, free tier and tiers are of each price on its own and whole.
type PriceSheet struct {
	Currency   string       `json:"currency"`             // ISO 4217
	MonthlyFee Decimal      `json:"monthlyFee,omitempty"` // for the first month, the share of it that is left
	Included   int64        `json:"included,omitempty"`   // calls a month
	FreeTier   *FreeTier    `json:"freeTier,omitempty"`   // of calls, on top of the included ones
	Model      string       `json:"model,omitempty"`      // how Tiers price calls; empty: graduated
	Tiers      []PriceTier  `json:"tiers,omitempty"`      // of the calls beyond; none: they are free
	Meters     []MeterPrice `json:"meters,omitempty"`     // what else costs something
	Minimum    Decimal      `json:"minimum,omitempty"`    // of a month: what is missing is charged too
	Maximum    Decimal      `json:"maximum,omitempty"`    // of a month: what is beyond is not charged; empty: no end
	Discount   Decimal      `json:"discount,omitempty"`   // percent of the month, always
	Coupon     *Coupon      `json:"coupon,omitempty"`     // taken off the first months
	TrialDays  int          `json:"trialDays,omitempty"`  // from the subscription's begin to the end of a day (UTC)
}

// MeterPrice is the price of another meter than calls.
type MeterPrice struct {
	Meter    string      `json:"meter"`
	Included int64       `json:"included,omitempty"` // units a month
	FreeTier *FreeTier   `json:"freeTier,omitempty"`
	Model    string      `json:"model,omitempty"`
	Tiers    []PriceTier `json:"tiers,omitempty"`
}

// PriceTier prices the units up to a count.
type PriceTier struct {
	UpTo  int64   `json:"upTo,omitempty"` // units of the month beyond those that cost nothing; 0: no end, in the last tier only
	Price Decimal `json:"price"`          // of Per units
	Per   int64   `json:"per,omitempty"`  // 0 or 1: one unit; 1,000,000: a million, as Amazon prices calls
	Flat  Decimal `json:"flat,omitempty"` // charged once a month, as soon as the tier is reached
}

// Models of a meter's price.
const (
	Graduated = "graduated" // each unit at the price of the tier it falls into
	Volume    = "volume"    // all units at the price of the tier that their number reaches
	Package   = "package"   // graduated, in whole packages of Per units, each begun one counts
)

// FreeTier is units a month that cost nothing in the first months of a customer.
type FreeTier struct {
	Units  int64 `json:"units"`
	Months int   `json:"months"` // calendar months, that of the begin included
}

// Coupon takes something off the first months of a customer.
type Coupon struct {
	Amount  Decimal `json:"amount,omitempty"`  // of each month, at most what it costs; what is not used up lapses
	Percent Decimal `json:"percent,omitempty"` // instead of an amount
	Months  int     `json:"months"`            // calendar months, that of the begin included; 1: once
}

// Meters that are counted, with what their units are called, next to those of caches. A
// sheet can price no others.
var meterUnits = map[string][2]string{
	MeterCalls:    {"call", "calls"},
	MeterBytesOut: {"byte", "bytes"},
	MeterDomains:  {"domain-month", "domain-months"},
}

// unitsOf are the words for one unit of a meter and for several; ok is false where there
// is no such meter.
func unitsOf(meter string) (u [2]string, ok bool) {
	if u, ok = meterUnits[meter]; !ok && slices.Contains(CacheClusterSizes, CacheOf(meter)) {
		return [2]string{"hour", "hours"}, true
	}
	return u, ok
}

// Gigabyte is what bytes are priced by: 10^9 of them. Amazon's GB is a Gibibyte.
const (
	Gigabyte = 1_000_000_000
	Gibibyte = 1 << 30
)

// Bounds of a price sheet.
const (
	MaxTiers       = 20
	MaxTierPer     = 1_000_000_000
	MaxTierPerByte = 1 << 40
	MaxSheetCalls  = 1_000_000_000_000_000 // and bytes
	MaxMonths      = 120                   // of a coupon or a free tier
	MaxTrialDays   = 366
)

// Metered are the sheet's meters in the order of their lines: calls first, always.
func (s *PriceSheet) Metered() []MeterPrice {
	out := make([]MeterPrice, 0, 1+len(s.Meters))
	out = append(out, MeterPrice{Meter: MeterCalls, Included: s.Included, FreeTier: s.FreeTier, Model: s.Model, Tiers: s.Tiers})
	return append(out, s.Meters...)
}

// Validate reports the first thing that makes the sheet impossible to charge by.
func (s *PriceSheet) Validate() error {
	if s == nil {
		return nil
	}
	if _, ok := MinorDigits(s.Currency); !ok {
		return Errorf(Invalid, "%q is not a currency that can be charged; use a code such as USD or EUR", s.Currency)
	}
	for _, d := range []Decimal{s.MonthlyFee, s.Minimum, s.Maximum} {
		if err := d.Validate(); err != nil {
			return err
		}
	}
	if s.Maximum != "" && s.Minimum.More(s.Maximum) {
		return Errorf(Invalid, "a month costs at least %s and at most %s; the minimum cannot be more than the maximum", s.Minimum, s.Maximum)
	}
	if err := percent("discount", s.Discount); err != nil {
		return err
	}
	if err := s.Coupon.validate(); err != nil {
		return err
	}
	if s.TrialDays < 0 || s.TrialDays > MaxTrialDays {
		return Errorf(Invalid, "a trial of %d days is not between 0 and %d", s.TrialDays, MaxTrialDays)
	}
	var seen []string
	for i, m := range s.Metered() {
		if _, ok := unitsOf(m.Meter); !ok {
			return Errorf(Invalid, "%q is not a meter; a sheet prices calls, and under meters %s, %s, and %s%s by size: %s", m.Meter, MeterBytesOut, MeterDomains, meterCache, CacheClusterSizes[0], strings.Join(CacheClusterSizes, ", "))
		}
		if i > 0 && m.Meter == MeterCalls {
			return Errorf(Invalid, "calls are priced by the sheet's own tiers, not under meters")
		}
		if slices.Contains(seen, m.Meter) {
			return Errorf(Invalid, "%s has two prices; leave one", m.Meter)
		}
		seen = append(seen, m.Meter)
		if err := m.validate(); err != nil {
			if i == 0 {
				return err
			}
			return Errorf(Invalid, "%s: %s", m.Meter, MessageOf(err))
		}
	}
	return nil
}

func (m *MeterPrice) validate() error {
	words, _ := unitsOf(m.Meter)
	units := words[1]
	if m.Included < 0 || m.Included > MaxSheetCalls {
		return Errorf(Invalid, "%d included %s are not between 0 and %d", m.Included, units, int64(MaxSheetCalls))
	}
	if f := m.FreeTier; f != nil {
		if f.Units < 0 || f.Units > MaxSheetCalls {
			return Errorf(Invalid, "a free tier of %d %s is not between 0 and %d", f.Units, units, int64(MaxSheetCalls))
		}
		if f.Months < 1 || f.Months > MaxMonths {
			return Errorf(Invalid, "a free tier is for 1 to %d months, not %d", MaxMonths, f.Months)
		}
	}
	switch m.Model {
	case "", Graduated, Volume, Package:
	default:
		return Errorf(Invalid, "%q is not a price model; use %s, %s or %s", m.Model, Graduated, Volume, Package)
	}
	if len(m.Tiers) > MaxTiers {
		return Errorf(Invalid, "the price has %d tiers; at most %d are allowed", len(m.Tiers), MaxTiers)
	}
	maxPer := int64(MaxTierPer)
	if m.Meter == MeterBytesOut {
		maxPer = MaxTierPerByte
	}
	var before int64
	for i, t := range m.Tiers {
		if t.Price == "" {
			return Errorf(Invalid, "tier %d has no price; write 0 if its %s are free", i+1, units)
		}
		if err := t.Price.Validate(); err != nil {
			return err
		}
		if err := t.Flat.Validate(); err != nil {
			return err
		}
		if t.Per < 0 || t.Per > maxPer {
			return Errorf(Invalid, "tier %d: a price is for 1 to %d %s, not %d", i+1, maxPer, units, t.Per)
		}
		if t.Per == 0 && m.Meter == MeterBytesOut {
			return Errorf(Invalid, "tier %d does not say of how many bytes its price is: %d for a gigabyte, %d for a gibibyte", i+1, int64(Gigabyte), int64(Gibibyte))
		}
		last := i == len(m.Tiers)-1
		switch {
		case last && t.UpTo != 0:
			return Errorf(Invalid, "the last tier has no end, so that every %s has a price; leave its end out", words[0])
		case !last && t.UpTo <= before:
			return Errorf(Invalid, "tier %d ends at %d %s, but must end after %d", i+1, t.UpTo, units, before)
		case t.UpTo > MaxSheetCalls:
			return Errorf(Invalid, "tier %d ends at %d %s; at most %d are allowed", i+1, t.UpTo, units, int64(MaxSheetCalls))
		case !last && m.Model == Package && (t.UpTo-before)%max(t.Per, 1) != 0:
			return Errorf(Invalid, "tier %d has %d %s, which are not whole packages of %d; move its end", i+1, t.UpTo-before, units, t.Per)
		}
		before = t.UpTo
	}
	return nil
}

func percent(what string, d Decimal) error {
	if err := d.Validate(); err != nil || d.More("100") {
		return Errorf(Invalid, "a %s of %q is not a percentage from 0 to 100, such as 12.5", what, string(d))
	}
	return nil
}

func (c *Coupon) validate() error {
	if c == nil {
		return nil
	}
	if c.Months < 1 || c.Months > MaxMonths {
		return Errorf(Invalid, "a coupon is for 1 to %d months, not %d", MaxMonths, c.Months)
	}
	if (c.Amount == "") == (c.Percent == "") {
		return Errorf(Invalid, "a coupon takes off an amount or a percentage, one of the two")
	}
	if err := c.Amount.Validate(); err != nil {
		return err
	}
	return percent("coupon", c.Percent)
}

// OfCalls refuses meters of what a tenant has: a plan is sold to developers, who have none
// of it.
func (s *PriceSheet) OfCalls() error {
	if s != nil {
		for _, m := range s.Meters {
			if Held(m.Meter) {
				return Errorf(Invalid, "%s are charged by the operator to tenants; a plan is for calls", m.Meter)
			}
		}
	}
	return nil
}

// Canonical is the sheet in its one form: two that charge alike are then alike,
// but for tiers of the same price in a row.
func (s *PriceSheet) Canonical() PriceSheet {
	out := *s
	out.MonthlyFee, out.Minimum, out.Discount = s.MonthlyFee.orNone(), s.Minimum.orNone(), s.Discount.orNone()
	if s.Maximum != "" {
		out.Maximum = s.Maximum.Canonical() // 0 is not the same as none
	}
	calls := MeterPrice{Included: s.Included, FreeTier: s.FreeTier, Model: s.Model, Tiers: s.Tiers}.canonical()
	out.FreeTier, out.Model, out.Tiers = calls.FreeTier, calls.Model, calls.Tiers
	out.Meters = nil
	for _, m := range s.Meters {
		out.Meters = append(out.Meters, m.canonical())
	}
	slices.SortFunc(out.Meters, func(a, b MeterPrice) int {
		if a.Meter < b.Meter {
			return -1
		}
		return 1
	})
	out.Coupon = nil
	if c := s.Coupon; c != nil && !(c.Amount.Zero() && c.Percent.Zero()) {
		out.Coupon = &Coupon{Amount: c.Amount.orNone(), Percent: c.Percent.orNone(), Months: c.Months}
	}
	return out
}

func (m MeterPrice) canonical() MeterPrice {
	if m.FreeTier != nil && m.FreeTier.Units == 0 {
		m.FreeTier = nil
	}
	if m.Model == Graduated || len(m.Tiers) == 0 {
		m.Model = ""
	}
	tiers := make([]PriceTier, 0, len(m.Tiers))
	for _, t := range m.Tiers {
		t.Price, t.Flat = t.Price.Canonical(), t.Flat.orNone()
		if t.Per == 1 && m.Meter != MeterBytesOut {
			t.Per = 0
		}
		tiers = append(tiers, t)
	}
	m.Tiers = tiers
	return m
}

// Free reports that nothing is ever charged by the sheet; no sheet is free.
func (s *PriceSheet) Free() bool {
	if s == nil {
		return true
	}
	for _, m := range s.Metered() {
		if !m.Free() {
			return false
		}
	}
	return s.MonthlyFee.Zero() && s.Minimum.Zero()
}

// Plain reports that the sheet has a fee, included calls and graduated tiers, and
// nothing else.
func (s *PriceSheet) Plain() bool {
	c := s.Canonical()
	return c.FreeTier == nil && c.Model == "" && len(c.Meters) == 0 && c.Minimum == "" && c.Maximum == "" && c.Discount == "" && c.Coupon == nil && c.TrialDays == 0 &&
		!slices.ContainsFunc(c.Tiers, func(t PriceTier) bool { return t.Flat != "" })
}

// Free reports that no unit of the meter costs anything.
func (m *MeterPrice) Free() bool {
	return !slices.ContainsFunc(m.Tiers, func(t PriceTier) bool { return !t.Price.Zero() || !t.Flat.Zero() })
}

// TrialEnd is when the trial of a customer ends that began at first: after the
// days that the sheet gives, at the end of that day (UTC), so that whole days of
// usage are in it or not. Without a trial it is the zero time.
func (s *PriceSheet) TrialEnd(first time.Time) time.Time {
	if s.TrialDays == 0 {
		return time.Time{}
	}
	y, m, d := first.UTC().Add(-time.Nanosecond).Date()
	return time.Date(y, m, d+s.TrialDays+1, 0, 0, 0, 0, time.UTC)
}

// MonthOf counts the calendar months (UTC) of a customer that began at first:
// that of its begin is 1.
func MonthOf(first, month time.Time) int {
	a, b := first.UTC(), month.UTC()
	return (b.Year()-a.Year())*12 + int(b.Month()) - int(a.Month()) + 1
}

// Units names a number of a meter's units.
func Units(meter string, n int64) string {
	u, ok := unitsOf(meter)
	if !ok {
		return fmt.Sprint(n)
	}
	if n == 1 {
		return u[0]
	}
	return u[1]
}
