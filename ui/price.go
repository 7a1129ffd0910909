package ui

import (
	"fmt"
	"strconv"
	"strings"

	"tollgate/model"
)

// Amount writes an amount in major units with its currency, with at least the
// digits that the currency has: "9.9" is "9.90 EUR", "0.002" is "0.002 EUR".
func Amount(d model.Decimal, currency string) string {
	whole, places, _ := strings.Cut(string(d.Canonical()), ".")
	digits, _ := model.MinorDigits(currency)
	for len(places) < digits {
		places += "0"
	}
	n, _ := strconv.ParseInt(whole, 10, 64)
	out := Quantity(n)
	if places != "" {
		out += "." + places
	}
	return out + " " + currency
}

// PriceText writes a price in a line: "9.90 EUR a month with 1,000 calls, then
// 0.002 EUR a call".
func PriceText(s *model.PriceSheet) string {
	if s.Free() {
		return "Free"
	}
	out := ""
	if !s.MonthlyFee.Zero() {
		out = Amount(s.MonthlyFee, s.Currency) + " a month"
	}
	charged := false
	for _, t := range s.Tiers {
		charged = charged || !t.Price.Zero()
	}
	if !charged {
		return out + ", calls are free"
	}
	if s.Included > 0 {
		if out == "" {
			out = Quantity(s.Included) + " calls free"
		} else {
			out += " with " + Plural(s.Included, "call", "calls")
		}
	}
	if out != "" {
		out += ", then "
	}
	out += callPrice(s.Tiers[0], s.Currency)
	if len(s.Tiers) > 1 {
		out += fmt.Sprintf(" (the first of %d tiers)", len(s.Tiers))
	}
	return out
}

// callPrice writes what a call of a tier costs.
func callPrice(t model.PriceTier, currency string) string {
	if t.Price.Zero() {
		return "nothing"
	}
	per := "a call"
	if t.Per == 1_000_000 {
		per = "a million calls"
	} else if t.Per > 1 {
		per = "per " + Quantity(t.Per) + " calls"
	}
	return Amount(t.Price, currency) + " " + per
}

// tierRange writes which calls of a month a tier is for, by their numbers.
func tierRange(s *model.PriceSheet, i int) string {
	from := s.Included + 1
	if i > 0 {
		from = s.Included + s.Tiers[i-1].UpTo + 1
	}
	if s.Tiers[i].UpTo == 0 {
		if from == 1 {
			return "Every call"
		}
		return "From call " + Quantity(from)
	}
	return "Calls " + Quantity(from) + " to " + Quantity(s.Included+s.Tiers[i].UpTo)
}

// ThrottleText writes a throttle in a line.
func ThrottleText(t *model.Throttle) string {
	if t == nil {
		return "No rate limit"
	}
	rate := strconv.FormatFloat(t.Rate, 'f', -1, 64)
	if t.Rate >= 1000 && t.Rate == float64(int64(t.Rate)) {
		rate = Quantity(int64(t.Rate))
	}
	return fmt.Sprintf("%s calls a second, %s at once", rate, Quantity(t.Burst))
}

// QuotaText writes a quota in a line.
func QuotaText(q *model.Quota) string {
	if q == nil {
		return "No quota"
	}
	period := map[string]string{model.Day: "a day", model.Week: "a week", model.Month: "a month"}[q.Period]
	out := Plural(q.Limit, "call", "calls") + " " + period
	switch {
	case q.Offset > 0 && q.Period == model.Month:
		out += fmt.Sprintf(", from day %d", q.Offset+1)
	case q.Offset > 0 && q.Period == model.Week:
		out += ", from " + [...]string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}[q.Offset%7]
	}
	return out
}
