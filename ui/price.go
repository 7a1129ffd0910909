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
	meters := s.Metered()
	if calls := &meters[0]; calls.Free() {
		out = joined(out, "calls are free")
	} else {
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
		out += meterText(calls, s.Currency)
	}
	for i := range meters[1:] {
		if m := &meters[1+i]; !m.Free() {
			out = joined(out, meterText(m, s.Currency))
		}
	}
	for _, t := range terms(s) {
		out = joined(out, t)
	}
	return strings.ToUpper(out[:1]) + out[1:]
}

func joined(a, b string) string {
	if a == "" {
		return b
	}
	return a + ", " + b
}

// meterText writes what a meter's first tier costs, and that there are others.
func meterText(m *model.MeterPrice, currency string) string {
	out := tierPrice(m, 0, currency)
	if n := len(m.Tiers); n > 1 {
		out += fmt.Sprintf(" (the first of %d tiers", n)
		if m.Model == model.Volume {
			out += " by volume"
		}
		out += ")"
	}
	return out
}

// terms are what holds for a month as a whole, each in a few words.
func terms(s *model.PriceSheet) (out []string) {
	if !s.Minimum.Zero() {
		out = append(out, "at least "+Amount(s.Minimum, s.Currency)+" a month")
	}
	if s.Maximum != "" {
		out = append(out, "at most "+Amount(s.Maximum, s.Currency)+" a month")
	}
	if !s.Discount.Zero() {
		out = append(out, string(s.Discount.Canonical())+"% off")
	}
	if c := s.Coupon; c != nil {
		off := string(c.Percent.Canonical()) + "%"
		if c.Percent == "" {
			off = Amount(c.Amount, s.Currency)
		}
		out = append(out, off+" off "+firstMonths(c.Months))
	}
	if s.TrialDays > 0 {
		out = append(out, Plural(int64(s.TrialDays), "day", "days")+" of trial")
	}
	return out
}

func firstMonths(n int) string {
	if n == 1 {
		return "the first month"
	}
	return "the first " + Quantity(n) + " months"
}

// tierPrice writes what a tier's units cost.
func tierPrice(m *model.MeterPrice, i int, currency string) string {
	t := m.Tiers[i]
	out := "nothing"
	if !t.Price.Zero() {
		out = Amount(t.Price, currency) + " " + PerText(m.Meter, m.Model, t.Per)
	}
	if !t.Flat.Zero() {
		if t.Price.Zero() {
			return Amount(t.Flat, currency) + " in all"
		}
		out = Amount(t.Flat, currency) + " and " + out
	}
	return out
}

// PerText writes what a price is for: "a call", "per begun 1,000 calls", "a GB".
func PerText(meter, kind string, per int64) string {
	begun := ""
	if kind == model.Package && per > 1 {
		begun = "begun "
	}
	a := "a "
	if begun != "" {
		a = "per begun "
	}
	switch {
	case meter == model.MeterBytesOut && per == model.Gigabyte:
		return a + "GB"
	case meter == model.MeterBytesOut && per == model.Gibibyte:
		return a + "GiB"
	case per <= 1 && model.CacheOf(meter) != "":
		return "an hour"
	case per <= 1 && meter == model.MeterDomains:
		return "a month"
	case per <= 1:
		return a + model.Units(meter, 1)
	case per == 1_000_000:
		return a + "million " + model.Units(meter, per)
	}
	return "per " + begun + Quantity(per) + " " + model.Units(meter, per)
}

// unitText writes a number of a meter's units: bytes as gigabytes where they are
// whole ones.
func unitText(meter string, n int64) string {
	if meter == model.MeterBytesOut {
		for _, u := range []struct {
			size int64
			name string
		}{{model.Gigabyte, "GB"}, {model.Gibibyte, "GiB"}} {
			if n >= u.size && n%u.size == 0 {
				return Quantity(n/u.size) + " " + u.name
			}
		}
		return Plural(n, "byte", "bytes")
	}
	return Quantity(n)
}

// PriceRow is a line of what a price sheet says.
type PriceRow struct{ What, Price string }

// PriceRows are what a sheet says, line by line, in the order in which a month is
// made of it.
func PriceRows(s *model.PriceSheet) (out []PriceRow) {
	add := func(what, price string) { out = append(out, PriceRow{what, price}) }
	if s.TrialDays > 0 {
		add("Trial: "+Plural(int64(s.TrialDays), "day", "days")+", to the end of the last", "nothing")
	}
	if !s.MonthlyFee.Zero() {
		add("Fee", Amount(s.MonthlyFee, s.Currency))
	}
	for _, m := range s.Metered() {
		meterRows(&m, s.Currency, add)
	}
	if !s.Minimum.Zero() {
		add("A month costs at least", Amount(s.Minimum, s.Currency))
	}
	if s.Maximum != "" {
		add("A month costs at most", Amount(s.Maximum, s.Currency))
	}
	if !s.Discount.Zero() {
		add("Discount", string(s.Discount.Canonical())+"% off")
	}
	if c := s.Coupon; c != nil {
		off := Amount(c.Amount, s.Currency)
		if c.Percent != "" {
			off = string(c.Percent.Canonical()) + "%"
		}
		months := firstMonths(c.Months)
		add(strings.ToUpper(months[:1])+months[1:], off+" off")
	}
	return out
}

func meterRows(m *model.MeterPrice, currency string, add func(what, price string)) {
	if f := m.FreeTier; f != nil && f.Units > 0 {
		what := "Free tier: " + unitText(m.Meter, f.Units)
		if m.Meter == model.MeterCalls {
			what += " " + model.Units(m.Meter, f.Units)
		}
		add(what+" a month more, in "+firstMonths(f.Months), "included")
	}
	if m.Included > 0 {
		if m.Meter == model.MeterCalls {
			add("Calls 1 to "+Quantity(m.Included), "included")
		} else {
			add(meterName(m.Meter)+" up to "+unitText(m.Meter, m.Included), "included")
		}
	}
	for i := range m.Tiers {
		add(tierRange(m, i), tierPrice(m, i, currency))
	}
	if len(m.Tiers) == 0 {
		what := "Calls"
		if m.Meter != model.MeterCalls {
			what = meterName(m.Meter)
		}
		if m.Included > 0 {
			what = "Further " + lowerFirst(what)
		}
		add(what, "nothing")
	}
}

// meterName is what else than calls is priced.
func meterName(meter string) string {
	switch size := model.CacheOf(meter); {
	case size != "":
		return "Cache of " + size + " GB"
	case meter == model.MeterDomains:
		return "Custom domain"
	}
	return "Data out"
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// tierRange writes which units of a month a tier is for, by their numbers.
func tierRange(m *model.MeterPrice, i int) string {
	var below int64
	if i > 0 {
		below = m.Tiers[i-1].UpTo
	}
	up, calls := m.Tiers[i].UpTo, m.Meter == model.MeterCalls
	if m.Model == model.Volume {
		beyond := ""
		if m.Included > 0 {
			beyond = " beyond the included"
		}
		all := "All calls" + beyond + ", where they are "
		if !calls {
			all = "All " + lowerFirst(meterName(m.Meter)) + beyond + ", where it is "
		}
		if up == 0 {
			return all + "more than " + unitText(m.Meter, below)
		}
		return all + "up to " + unitText(m.Meter, up)
	}
	if !calls {
		switch {
		case up == 0 && m.Included+below == 0:
			if model.Held(m.Meter) {
				return meterName(m.Meter)
			}
			return "All " + lowerFirst(meterName(m.Meter))
		case up == 0:
			return meterName(m.Meter) + " beyond " + unitText(m.Meter, m.Included+below)
		}
		return meterName(m.Meter) + " up to " + unitText(m.Meter, m.Included+up)
	}
	from := m.Included + below + 1
	if up == 0 {
		if from == 1 {
			return "Every call"
		}
		return "From call " + Quantity(from)
	}
	return "Calls " + Quantity(from) + " to " + Quantity(m.Included+up)
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
	calls := "calls"
	if t.Rate == 1 {
		calls = "call"
	}
	return fmt.Sprintf("%s %s a second, %s at once", rate, calls, Quantity(t.Burst))
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
