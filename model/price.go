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

// orNone is the canonical form, or nothing where the amount is nothing.
func (d Decimal) orNone() Decimal {
	if d.Zero() {
		return ""
	}
	return d.Canonical()
}

// More reports that the amount is more than another; both are valid.
func (d Decimal) More(than Decimal) bool {
	a, aPlaces, _ := strings.Cut(string(d.Canonical()), ".")
	b, bPlaces, _ := strings.Cut(string(than.Canonical()), ".")
	return len(a) > len(b) || len(a) == len(b) && (a > b || a == b && aPlaces > bPlaces)
}

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

// Party is who an invoice is from or to, as it stood when the invoice was made.
type Party struct {
	Name    string `json:"name"`
	Address string `json:"address,omitempty"` // lines
	TaxID   string `json:"taxId,omitempty"`
	Email   string `json:"email,omitempty"`
	Country string `json:"country,omitempty"` // ISO 3166, two letters: what tax goes by
	Region  string `json:"region,omitempty"`  // of it, where tax asks for that
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
	if p.Country != "" && !IsCountry(p.Country) {
		return "country", Errorf(Invalid, "%.20q is not a country's code such as DE (ISO 3166)", p.Country)
	}
	if p.Region != "" && (p.Country == "" || !taxRegion.MatchString(p.Region)) {
		return "region", Errorf(Invalid, "%.20q is not the code of a region of a country, such as CA", p.Region)
	}
	if p.Name == "" && (p.Address != "" || p.TaxID != "" || p.Email != "") {
		return "name", Errorf(Invalid, "an invoice needs the name of who it is from or to; the address alone does not say it")
	}
	return "", nil
}
