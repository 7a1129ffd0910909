package model

import (
	"maps"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Decimal is an amount of money in major units, or a price, as it is written:
// up to 12 digits, then up to 12 places. It is never a binary float.
type Decimal string

var decimal = regexp.MustCompile(`^[0-9]{1,12}(\.[0-9]{1,12})?$`)

// Validate checks the form; the empty Decimal is zero.
func (d Decimal) Validate() error {
	if d != "" && !decimal.MatchString(string(d)) {
		return Errorf(Invalid, "%q is not an amount such as 12 or 0.0035: at most 12 digits before and 12 after the point, without a sign", string(d))
	}
	return nil
}

// Canonical is the same amount in its one shortest form: "12.50" is "12.5".
func (d Decimal) Canonical() Decimal {
	whole, places, _ := strings.Cut(string(d), ".")
	whole, places = strings.TrimLeft(whole, "0"), strings.TrimRight(places, "0")
	if whole == "" {
		whole = "0"
	}
	if places != "" {
		whole += "." + places
	}
	return Decimal(whole)
}

// Zero reports that the amount is nothing.
func (d Decimal) Zero() bool { return strings.Trim(string(d), "0.") == "" }

// PriceSheet is what a calendar month (UTC) costs: a fee, and a price for each
// billable call beyond the included ones.
type PriceSheet struct {
	Currency   string      `json:"currency"`             // ISO 4217
	MonthlyFee Decimal     `json:"monthlyFee,omitempty"` // for the first month, the share of it that is left
	Included   int64       `json:"included,omitempty"`   // calls a month
	Tiers      []PriceTier `json:"tiers,omitempty"`      // of the calls beyond; none: they are free
}

// PriceTier prices the calls up to a count: graduated, each call at the price of
// the tier it falls into.
type PriceTier struct {
	UpTo  int64   `json:"upTo,omitempty"` // calls of the month beyond the included ones; 0: no end, in the last tier only
	Price Decimal `json:"price"`          // of Per calls
	Per   int64   `json:"per,omitempty"`  // 0 or 1: one call; 1,000,000: a million, as Amazon prices them
}

// Bounds of a price sheet.
const (
	MaxTiers      = 20
	MaxTierPer    = 1_000_000_000
	MaxSheetCalls = 1_000_000_000_000_000
)

// minorDigits are the currencies that can be charged, with the digits of their
// minor unit where that is not 2 (ISO 4217).
var minorDigits = map[string]int{
	"USD": 2, "EUR": 2, "GBP": 2, "CHF": 2, "CAD": 2, "AUD": 2, "NZD": 2, "SEK": 2, "NOK": 2, "DKK": 2, "PLN": 2, "CZK": 2,
	"HUF": 2, "RON": 2, "BGN": 2, "TRY": 2, "INR": 2, "BRL": 2, "MXN": 2, "SGD": 2, "HKD": 2, "ZAR": 2, "ILS": 2, "AED": 2,
	"SAR": 2, "THB": 2, "PHP": 2, "IDR": 2, "MYR": 2, "CNY": 2, "JPY": 0, "KRW": 0, "CLP": 0, "VND": 0, "ISK": 0,
	"KWD": 3, "BHD": 3, "OMR": 3, "JOD": 3, "TND": 3,
}

// MinorDigits is how many digits a currency's minor unit has, and whether it can
// be charged at all.
func MinorDigits(currency string) (int, bool) {
	n, ok := minorDigits[currency]
	return n, ok
}

// Currencies are all that can be charged, by their codes.
func Currencies() []string { return slices.Sorted(maps.Keys(minorDigits)) }

// Validate reports the first thing that makes the sheet impossible to charge by.
func (s *PriceSheet) Validate() error {
	if s == nil {
		return nil
	}
	if _, ok := MinorDigits(s.Currency); !ok {
		return Errorf(Invalid, "%q is not a currency that can be charged; use a code such as USD or EUR", s.Currency)
	}
	if err := s.MonthlyFee.Validate(); err != nil {
		return err
	}
	if s.Included < 0 || s.Included > MaxSheetCalls {
		return Errorf(Invalid, "%d included calls are not between 0 and %d", s.Included, int64(MaxSheetCalls))
	}
	if len(s.Tiers) > MaxTiers {
		return Errorf(Invalid, "the price has %d tiers; at most %d are allowed", len(s.Tiers), MaxTiers)
	}
	var before int64
	for i, t := range s.Tiers {
		if t.Price == "" {
			return Errorf(Invalid, "tier %d has no price; write 0 if its calls are free", i+1)
		}
		if err := t.Price.Validate(); err != nil {
			return err
		}
		if t.Per < 0 || t.Per > MaxTierPer {
			return Errorf(Invalid, "tier %d: a price is for 1 to %d calls, not %d", i+1, int64(MaxTierPer), t.Per)
		}
		last := i == len(s.Tiers)-1
		switch {
		case last && t.UpTo != 0:
			return Errorf(Invalid, "the last tier has no end, so that every call has a price; leave its end out")
		case !last && t.UpTo <= before:
			return Errorf(Invalid, "tier %d ends at %d calls, but must end after %d", i+1, t.UpTo, before)
		case t.UpTo > MaxSheetCalls:
			return Errorf(Invalid, "tier %d ends at %d calls; at most %d are allowed", i+1, t.UpTo, int64(MaxSheetCalls))
		}
		before = t.UpTo
	}
	return nil
}

// Canonical is the sheet in its one form: two that charge alike are then alike,
// but for tiers of the same price in a row.
func (s *PriceSheet) Canonical() PriceSheet {
	out := *s
	if out.MonthlyFee = s.MonthlyFee.Canonical(); out.MonthlyFee.Zero() {
		out.MonthlyFee = ""
	}
	out.Tiers = make([]PriceTier, 0, len(s.Tiers))
	for _, t := range s.Tiers {
		if t.Price = t.Price.Canonical(); t.Per == 1 {
			t.Per = 0
		}
		out.Tiers = append(out.Tiers, t)
	}
	return out
}

// Free reports that nothing is ever charged by the sheet; no sheet is free.
func (s *PriceSheet) Free() bool {
	if s == nil {
		return true
	}
	for _, t := range s.Tiers {
		if !t.Price.Zero() {
			return false
		}
	}
	return s.MonthlyFee.Zero()
}

// Party is who an invoice is from or to, as it stood when the invoice was made.
type Party struct {
	Name    string `json:"name"`
	Address string `json:"address,omitempty"` // lines
	TaxID   string `json:"taxId,omitempty"`
	Email   string `json:"email,omitempty"`
}

// Validate reports the first thing that does not fit on an invoice. A party
// without any detail is valid: it is not known yet.
func (p *Party) Validate() error {
	_, err := p.Check()
	return err
}

// Check is Validate that says which field is meant, by its name in JSON.
func (p *Party) Check() (field string, err error) {
	for _, f := range []struct {
		field, what, text string
		max               int
		lines             bool
	}{{"name", "name", p.Name, 200, false}, {"address", "address", p.Address, 1000, true}, {"taxId", "tax number", p.TaxID, 64, false}, {"email", "e-mail address", p.Email, 254, false}} {
		n := utf8.RuneCountInString(f.text)
		switch {
		case n > f.max:
			return f.field, Errorf(Invalid, "the %s has %d characters; an invoice has room for %d", f.what, n, f.max)
		case !utf8.ValidString(f.text) || strings.ContainsFunc(f.text, func(r rune) bool { return unicode.IsControl(r) && !(f.lines && r == '\n') }):
			return f.field, Errorf(Invalid, "the %s has characters that cannot be printed", f.what)
		}
	}
	if strings.Count(p.Address, "\n") > 7 {
		return "address", Errorf(Invalid, "the address has %d lines; an invoice has room for 8", strings.Count(p.Address, "\n")+1)
	}
	if p.Email != "" {
		if a, err := mail.ParseAddress(p.Email); err != nil || a.Address != p.Email {
			return "email", Errorf(Invalid, "%q is not an e-mail address", p.Email)
		}
	}
	if p.Name == "" && (p.Address != "" || p.TaxID != "" || p.Email != "") {
		return "name", Errorf(Invalid, "an invoice needs the name of who it is from or to; the address alone does not say it")
	}
	return "", nil
}
