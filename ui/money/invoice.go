// Package money is what console and portal show of usage and invoices alike: on
// the page, on paper, as PDF and as CSV. It calculates nothing: every figure is
// what it was given.
package money

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tollgate/model"
	"tollgate/ui"
)

// What a row of an invoice's table is.
const (
	rowHead = "head" // what the lines below are of: a plan and an app
	rowLine = "line" // one amount
	rowStep = "step" // a part of the line above
)

// row is one row of an invoice as it is shown, on the page and in the PDF.
type row struct {
	kind                          string
	text, quantity, price, amount string
	line                          int // of calls: its hours can be looked at
}

// at is the price behind the quantity, where both stand in one line.
func (r row) at() string {
	if r.quantity != "" && r.price != "" && '0' <= r.price[0] && r.price[0] <= '9' {
		return " at " + r.price
	}
	if r.quantity != "" && r.price != "" {
		return " " + r.price
	}
	return r.price
}

// rows is an invoice's table. Amounts have no currency: the head of the table
// says it.
func rows(inv *model.InvoiceDetail) []row {
	var out []row
	title := ""
	for i := range inv.Lines {
		l := &inv.Lines[i]
		if i == 0 || l.Title != title {
			title = l.Title
			out = append(out, row{kind: rowHead, text: title})
		}
		out = append(out, lineRows(inv, l)...)
	}
	return out
}

// names are what lines that are not of calls are called.
var names = map[string]string{
	model.MeterFee: "Monthly fee", model.MeterCalls: "Calls", model.MeterBytesOut: "Data out, bytes", model.MeterMinimum: "Up to the minimum of the month",
	model.MeterMaximum: "Beyond the maximum of the month", model.MeterDiscount: "Discount", model.MeterCoupon: "Coupon", model.MeterTopUp: "Top-up",
	model.MeterDomains: "Custom domains, months",
}

// LineName is what a line is called.
func LineName(l *model.InvoiceLine) string {
	if size := model.CacheOf(l.Meter); size != "" {
		return "Cache of " + size + " GB, hours"
	}
	return names[l.Meter]
}

func lineRows(inv *model.InvoiceDetail, l *model.InvoiceLine) []row {
	head := row{kind: rowLine, text: LineName(l), amount: bare(l.Amount, &inv.Invoice)}
	if model.Used(l.Meter) {
		head.quantity = ui.Quantity(l.Quantity)
	}
	if model.Used(l.Meter) {
		head.line = l.Line
	}
	var steps []row
	for _, s := range l.Steps {
		steps = append(steps, stepRow(l.Meter, s, inv.Currency))
	}
	if l.Invoiced == 0 {
		if len(steps) == 1 { // one row says all
			switch {
			case l.Meter == model.MeterCalls:
				head.text = steps[0].text
			case l.Meter == model.MeterFee && l.Steps[0].Part != "":
				head.text += ", " + strings.ToLower(steps[0].text[:1]) + steps[0].text[1:]
			}
			head.price = steps[0].price
			return []row{head}
		}
		return append([]row{head}, steps...)
	}
	out := append([]row{head}, steps...)
	return append(out,
		row{kind: rowStep, text: "Of the month so far", amount: bare(l.Amount+l.Invoiced, &inv.Invoice)},
		row{kind: rowStep, text: "On earlier invoices", amount: bare(-l.Invoiced, &inv.Invoice)})
}

// stepRow is how a part of a line comes about.
func stepRow(meter string, s model.PriceStep, currency string) row {
	r := row{kind: rowStep, amount: exact(s.Exact, currency)}
	part := ""
	if s.Part != "" {
		part = ", for " + share(s.Part)
	}
	switch s.Kind {
	case model.StepMinimum:
		r.text, r.price = "The month costs at least"+part, exact(string(s.Price), currency)
	case model.StepMaximum:
		r.text, r.price = "The month costs at most"+part, exact(string(s.Price), currency)
	case model.StepSum:
		r.text = "The lines above"
	case model.StepPercent:
		r.text, r.price = "Of them", string(s.Price.Canonical())+"%"
	case model.StepOff:
		r.text, r.price = "At most"+part, exact(string(s.Price), currency)
	case model.StepFlat:
		r.text, r.price = "For reaching "+first(meter)+" "+ui.Quantity(s.From), exact(string(s.Price), currency)
	default:
		if meter == model.MeterFee {
			r.text = "Whole month"
			if part != "" {
				r.text = "For " + share(s.Part)
			}
		} else {
			r.text, r.quantity = units(meter, s), ui.Quantity(s.Quantity)
		}
		r.price = priceOf(meter, s, currency)
	}
	return r
}

// first is the word for one unit of a meter.
func first(meter string) string { return model.Units(meter, 1) }

// units names the units of the month that a step is for, by their numbers.
func units(meter string, s model.PriceStep) string {
	one, many := first(meter), model.Units(meter, 2)
	out := strings.ToUpper(many[:1]) + many[1:] + " " + ui.Quantity(s.From) + " to " + ui.Quantity(s.To)
	if s.From == s.To {
		out = strings.ToUpper(one[:1]) + one[1:] + " " + ui.Quantity(s.From)
	}
	switch s.Kind {
	case model.StepVolume:
		out += ", all at the price of the tier that they reach"
	case model.StepPackage:
		out += ", " + ui.Plural(s.Packages, "begun package", "begun packages")
	}
	return out
}

// share writes "1339200 of 2678400 seconds" with its digits in groups.
func share(part string) string {
	var a, b int64
	if n, err := fmt.Sscanf(part, "%d of %d seconds", &a, &b); n != 2 || err != nil {
		return part
	}
	return ui.Quantity(a) + " of the month's " + ui.Quantity(b) + " seconds"
}

func priceOf(meter string, s model.PriceStep, currency string) string {
	switch {
	case s.Kind == model.StepTrial:
		return "trial"
	case s.Kind == model.StepFreeTier:
		return "free tier"
	case s.Kind == model.StepIncluded || s.Price.Zero() && s.From == 1:
		return "included"
	case s.Price.Zero():
		return "free"
	}
	p := strings.TrimSuffix(ui.Amount(s.Price, currency), " "+currency)
	switch {
	case meter == model.MeterBytesOut && s.Per == model.Gigabyte:
		return p + " a GB"
	case meter == model.MeterBytesOut && s.Per == model.Gibibyte:
		return p + " a GiB"
	case s.Per <= 1:
		return p
	case s.Per == 1_000_000:
		return p + " a million"
	}
	return p + " per " + ui.Quantity(s.Per)
}

// bare is an amount in minor units without its currency.
func bare(minor int64, i *model.Invoice) string {
	return strings.TrimSuffix(ui.Money(minor, i.Currency, i.Digits), " "+i.Currency)
}

func exact(major, currency string) string {
	return strings.TrimSuffix(ui.Amount(model.Decimal(major), currency), " "+currency)
}

// Title is what an invoice is called.
func Title(i *model.Invoice) string {
	if !i.Final {
		return "Draft for " + i.Begin.UTC().Format("January 2006")
	}
	if i.Adjustment {
		return "Adjustment " + i.Number
	}
	if i.TopUp {
		return "Top-up " + i.Number
	}
	if i.Total < 0 { // made before there were adjustments
		return "Credit note " + i.Number
	}
	return "Invoice " + i.Number
}

// Period is the time that an invoice is of: whole days, or up to the moment at
// which it was made where the month went on.
func Period(i *model.Invoice) string {
	from := ui.Date(i.Begin)
	if i.Final && i.FinalizedAt.Before(i.End) {
		return from + " to " + ui.Stamp(i.FinalizedAt)
	}
	return from + " to " + ui.Date(i.End.Add(-time.Second))
}

// Total is an invoice's amount with its currency.
func Total(i *model.Invoice) string { return ui.Money(i.Total, i.Currency, i.Digits) }

// Standing is how an invoice stands, in a word, and what kind of word that is.
func Standing(i *model.Invoice) (kind, word string) {
	switch {
	case len(i.Awaits) > 0:
		return "info", "Collecting"
	case !i.Final:
		return "warn", "Draft"
	case i.Disputed > 0:
		return "danger", "Disputed"
	case i.State == model.StateOpen && i.Paid > 0:
		return "info", "Paid in part"
	case i.State == model.StateOpen:
		return "info", "Open"
	case i.State == model.StatePastDue:
		return "danger", "Past due"
	case i.State == model.StateVoid:
		return "warn", "Void"
	case i.State == model.StateUncollectible:
		return "warn", "Given up"
	case i.State == model.StatePaid && i.Due == 0 && i.Total > 0:
		return "ok", "Credited"
	case i.State == model.StatePaid:
		return "ok", "Paid"
	}
	return "ok", "Final"
}

// PaymentName is what a payment is called.
func PaymentName(p *model.Payment) string {
	if p.Kind == model.PaidByWallet && p.Amount < 0 {
		return "Given back to prepaid credit"
	}
	return paid[p.Kind]
}

// disputeText says how a dispute stands.
func disputeText(d *model.Dispute, i *model.Invoice) string {
	about := "of " + Minor(d.Amount, i) + ", begun on " + ui.Date(d.At) + " (" + strings.ReplaceAll(d.Reason, "_", " ") + ")"
	switch d.State {
	case model.DisputeWon:
		return "The dispute " + about + " was won: the payment stands."
	case model.DisputeLost:
		return "The dispute " + about + " was lost: the amount went back, and is credited."
	}
	out := "The holder of the card disputes the payment at the bank: a dispute " + about + ". No reminders are sent while it is open."
	if !d.AnswerBy.IsZero() {
		out += " What shows that it is wrong has to be at Stripe by " + ui.Date(d.AnswerBy) + "."
	}
	return out
}

// Minor is an amount in minor units of an invoice's currency, with it.
func Minor(minor int64, i *model.Invoice) string { return ui.Money(minor, i.Currency, i.Digits) }

// sums are what stands between the lines and the total: nothing where no tax is
// spoken of.
func sums(inv *model.InvoiceDetail) [][2]string {
	if len(inv.Taxes) == 0 {
		return nil
	}
	out := [][2]string{{"Without tax", bare(inv.Total-inv.Tax, &inv.Invoice)}}
	for _, t := range inv.Taxes {
		name := t.Name
		if !t.Percent.Zero() || t.Amount == 0 {
			name += " " + string(t.Percent) + "%"
		}
		out = append(out, [2]string{name, bare(t.Amount, &inv.Invoice)})
	}
	return out
}

// settled are the facts of how a final invoice stands.
func settled(inv *model.InvoiceDetail) [][2]string {
	if inv.State == "" {
		return nil
	}
	var out [][2]string
	add := func(name string, minor int64) {
		if minor != 0 {
			out = append(out, [2]string{name, Minor(minor, &inv.Invoice)})
		}
	}
	if inv.Open() > 0 {
		out = append(out, [2]string{"Due", ui.Date(inv.DueAt)})
		if inv.By == model.PaidByStripe {
			out = append(out, [2]string{"Collected", "through Stripe"})
		}
	}
	add("Credited", inv.Total-inv.Due)
	add("Paid", inv.Paid)
	add("Open", inv.Open())
	add("To be paid back", inv.Surplus())
	add("Disputed", inv.Disputed)
	if inv.LastError != "" {
		out = append(out, [2]string{"Last attempt to collect", inv.LastError})
	}
	return out
}

// paid are what payments are called.
var paid = map[string]string{
	model.PaidByHand: "Paid by transfer", model.PaidByStripe: "Paid through Stripe", model.PaidByWallet: "Paid from prepaid credit", model.PaidBack: "Paid back",
	model.PayFailed: "Payment failed",
}

// notes is what has to be said of the figures.
func notes(inv *model.InvoiceDetail) []string {
	out := []string{"All times are UTC. Each amount is calculated exactly and rounded once."}
	for i := range inv.Lines {
		if inv.Lines[i].Invoiced != 0 {
			out = append(out, "Part of this month was invoiced before: what is charged here is the difference.")
			break
		}
	}
	if inv.Final && !inv.TopUp && inv.FinalizedAt.Before(inv.End) {
		out = append(out, "The month was not over when this was made: what was used after it is on a later invoice.")
	}
	if inv.Adjustment {
		out = append(out, "Less is owed than was invoiced of this month: nothing is to be paid of this. Credit notes to those invoices stand for it.")
	}
	for _, t := range inv.Taxes {
		if t.Note != "" {
			out = append(out, t.Note+".")
		}
	}
	return out
}

// FileName is a download's name: the number, or what stands for it in a draft.
func FileName(i *model.Invoice, ext string) string {
	name := i.Number
	if name == "" {
		name = "draft-" + i.Begin.UTC().Format("2006-01") + "-" + i.ID
	}
	return name + "." + ext
}

// behindUnits are the words for a number of what is behind a line.
func behindUnits(inv *model.InvoiceDetail, use *model.InvoiceUse, n int64) string {
	meter := inv.Lines[use.Line-1].Meter
	words := model.Units(meter, n)
	switch meter {
	case model.MeterCalls:
		return "billable " + words
	case model.MeterDomains:
		if n == 1 {
			return "domain"
		}
		return "domains"
	}
	return words
}

// behindOf is what the hours behind a line are of.
func behindOf(inv *model.InvoiceDetail, use *model.InvoiceUse) string {
	l := &inv.Lines[use.Line-1]
	if size := model.CacheOf(l.Meter); size != "" {
		return "caches of " + size + " GB"
	}
	return l.Title
}

// HoursFrom is where the hours behind a line come from.
func HoursFrom(use *model.InvoiceUse) string {
	if haveNames(use) {
		return "What was there, from when it was made until it was removed."
	}
	return "Usage by the hour, as the gateway's journals have it."
}

// stop ends the sentence where nothing more is said of hours.
func stop(use *model.InvoiceUse) string {
	if haveNames(use) {
		return "."
	}
	return ","
}

func isCache(inv *model.InvoiceDetail, use *model.InvoiceUse) bool {
	return model.CacheOf(inv.Lines[use.Line-1].Meter) != ""
}

// span is hours on end of one thing.
type span struct {
	what        string
	from, until time.Time
	units       int64
}

// spans puts hours that follow each other together, of each thing, in order of their beginning.
func spans(hours []model.InvoiceHour) []span {
	var out []span
	last := map[string]int{}
	for _, h := range hours {
		if n, ok := last[h.What]; ok && out[n].until.Equal(h.Hour) {
			out[n].until = h.Hour.Add(time.Hour)
			out[n].units += h.Units
			continue
		}
		last[h.What] = len(out)
		out = append(out, span{h.What, h.Hour, h.Hour.Add(time.Hour), h.Units})
	}
	return out
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// haveNames reports that what is behind a line has names.
func haveNames(use *model.InvoiceUse) bool {
	return slices.ContainsFunc(use.Hours, func(h model.InvoiceHour) bool { return h.What != "" })
}

// days sums hours up for a chart.
func days(inv *model.InvoiceDetail, use *model.InvoiceUse) ui.Bars {
	units := behindUnits(inv, use, 2)
	b := ui.Bars{Title: capital(units) + " by day", Unit: units}
	var values []int64
	begin := inv.Begin.UTC()
	for d := begin; d.Before(inv.End); d = d.AddDate(0, 0, 1) {
		b.Labels = append(b.Labels, d.Format("2 Jan"))
		values = append(values, 0)
	}
	for _, h := range use.Hours {
		if i := int(h.Hour.Sub(begin) / (24 * time.Hour)); i >= 0 && i < len(values) {
			values[i] += h.Units
		}
	}
	b.Series = []ui.Series{{Label: capital(units), Class: "s0", Values: values}}
	return b
}

func sum(hours []model.InvoiceHour) (n int64) {
	for _, h := range hours {
		n += h.Units
	}
	return n
}
