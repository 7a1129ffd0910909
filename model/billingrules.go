package model

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// BillingRules are what a seller decides about its invoices: when they are due, what
// happens where they are not paid, and the tax on them.
type BillingRules struct {
	TermDays  int       `json:"termDays"`  // from the invoice to the day it is due
	Mail      bool      `json:"mail"`      // invoices and credit notes are sent to who pays
	Reminders []int     `json:"reminders"` // days after the due date, rising
	GraceDays int       `json:"graceDays"` // after the due date, until Unpaid applies
	Unpaid    string    `json:"unpaid"`    // KeepAccess or SuspendAccess
	Taxes     []TaxRate `json:"taxes"`     // empty: none is charged
	TopUps    bool      `json:"topUps"`    // who pays may buy prepaid credit
}

// What becomes of a developer's keys when an invoice stays unpaid.
const (
	KeepAccess    = "keep"
	SuspendAccess = "suspend"
)

// TaxRate is one tax that is charged where the payer is. All of the same country and
// region are charged side by side, each on the net amount.
type TaxRate struct {
	Country string  `json:"country"`          // ISO 3166, two letters
	Region  string  `json:"region,omitempty"` // such as CA; empty: where no other rate names the payer's
	Name    string  `json:"name"`             // as it is printed
	Percent Decimal `json:"percent"`
}

// DefaultBillingRules are those of a seller who has set none. The operator's differ:
// what its tenants run is theirs, and is stopped by nobody but a person.
func DefaultBillingRules() BillingRules {
	return BillingRules{TermDays: 14, Mail: true, Reminders: []int{3, 7, 14}, GraceDays: 14, Unpaid: SuspendAccess, Taxes: []TaxRate{}}
}

// ReadBillingRules reads stored rules: what they do not say is as by default.
func ReadBillingRules(doc []byte) (BillingRules, error) {
	r := DefaultBillingRules()
	err := json.Unmarshal(doc, &r)
	return r, err
}

// RemindersBy is how many reminders of an invoice are due by now.
func (r *BillingRules) RemindersBy(due, now time.Time) (n int) {
	for _, d := range r.Reminders {
		if !due.AddDate(0, 0, d).After(now) {
			n++
		}
	}
	return n
}

var taxRegion = regexp.MustCompile(`^[A-Z0-9]{1,3}$`)

// Check reports the first rule that cannot be, by its name in JSON.
func (r *BillingRules) Check() (field string, err error) {
	switch {
	case r.TermDays < 0 || r.TermDays > 365:
		return "termDays", Errorf(Invalid, "a term of payment of %d days is not between 0 and 365", r.TermDays)
	case r.GraceDays < 0 || r.GraceDays > 365:
		return "graceDays", Errorf(Invalid, "%d days of grace are not between 0 and 365", r.GraceDays)
	case r.Unpaid != KeepAccess && r.Unpaid != SuspendAccess:
		return "unpaid", Errorf(Invalid, "access without payment is to %s or to %s, not to %q", KeepAccess, SuspendAccess, r.Unpaid)
	case len(r.Reminders) > 10:
		return "reminders", Errorf(Invalid, "there are %d reminders; at most 10 are sent", len(r.Reminders))
	case len(r.Taxes) > 200:
		return "taxes", Errorf(Invalid, "there are %d tax rates; at most 200 are kept", len(r.Taxes))
	}
	for i, d := range r.Reminders {
		if d < 0 || d > 365 || i > 0 && d <= r.Reminders[i-1] {
			return "reminders", Errorf(Invalid, "reminders are sent on rising days from 0 to 365 after the due date, such as 3, 7, 14; %d does not fit", d)
		}
	}
	for i, t := range r.Taxes {
		if err := t.validate(); err != nil {
			return "taxes", err
		}
		if slices.ContainsFunc(r.Taxes[:i], func(o TaxRate) bool { return o.Country == t.Country && o.Region == t.Region && o.Name == t.Name }) {
			return "taxes", Errorf(Invalid, "%s of %s is there twice", t.Name, strings.TrimRight(t.Country+" "+t.Region, " "))
		}
	}
	return "", nil
}

func (t *TaxRate) validate() error {
	switch {
	case !IsCountry(t.Country):
		return Errorf(Invalid, "%q is not a country's code such as DE (ISO 3166)", t.Country)
	case t.Region != "" && !taxRegion.MatchString(t.Region):
		return Errorf(Invalid, "%q is not a region's code such as CA", t.Region)
	case t.Name == "" || utf8.RuneCountInString(t.Name) > 40 || strings.ContainsFunc(t.Name, func(r rune) bool { return r < ' ' || r == utf8.RuneError }):
		return Errorf(Invalid, "a tax has a name of 1 to 40 characters, such as VAT, not %.60q", t.Name)
	case t.Percent == "" || t.Percent.Validate() != nil || t.Percent.more("100"):
		return Errorf(Invalid, "%q is not a percentage from 0 to 100", string(t.Percent))
	}
	return nil
}

// countries are the codes of ISO 3166-1, two letters each.
const countries = " AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW "

// IsCountry reports that a code is one of a country.
func IsCountry(code string) bool {
	return len(code) == 2 && !strings.Contains(code, " ") && strings.Contains(countries, " "+code+" ")
}

// vatIDs are the forms of VAT numbers in the European Union, behind the prefix, which
// is the country's code but in Greece.
var vatIDs = map[string]string{
	"AT": `U\d{8}`, "BE": `[01]\d{9}`, "BG": `\d{9,10}`, "CY": `\d{8}[A-Z]`, "CZ": `\d{8,10}`, "DE": `\d{9}`, "DK": `\d{8}`, "EE": `\d{9}`,
	"GR": `\d{9}`, "ES": `[A-Z0-9]\d{7}[A-Z0-9]`, "FI": `\d{8}`, "FR": `[A-HJ-NP-Z0-9]{2}\d{9}`, "HR": `\d{11}`, "HU": `\d{8}`,
	"IE": `\d[A-Z0-9+*]\d{5}[A-Z]{1,2}`, "IT": `\d{11}`, "LT": `(\d{9}|\d{12})`, "LU": `\d{8}`, "LV": `\d{11}`, "MT": `\d{8}`,
	"NL": `[A-Z0-9+*]{10}\d{2}`, "PL": `\d{10}`, "PT": `\d{9}`, "RO": `\d{2,10}`, "SE": `\d{12}`, "SI": `\d{8}`, "SK": `\d{10}`,
}

// InEU reports that a country is in the European Union.
func InEU(country string) bool { return vatIDs[country] != "" }

// IsVATID reports that a tax number has the form of a VAT number of a country of the
// European Union. Whether it was given out only that country knows.
func IsVATID(country, id string) bool {
	form, ok := vatIDs[country]
	if !ok {
		return false
	}
	prefix := country
	if country == "GR" {
		prefix = "EL"
	}
	bare := strings.ToUpper(strings.NewReplacer(" ", "", ".", "", "-", "").Replace(id))
	return regexp.MustCompile(`^` + prefix + form + `$`).MatchString(bare)
}
