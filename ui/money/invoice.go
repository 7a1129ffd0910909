// Package money is what console and portal show of usage and invoices alike: on
// the page, on paper, as PDF and as CSV. It calculates nothing: every figure is
// what it was given.
package money

import (
	"fmt"
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
	if r.quantity != "" && r.price != "" && r.price != "included" && r.price != "free" {
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

func lineRows(inv *model.InvoiceDetail, l *model.InvoiceLine) []row {
	head := row{kind: rowLine, text: "Calls", quantity: ui.Quantity(l.Quantity), amount: bare(l.Amount, &inv.Invoice)}
	if l.Meter == model.MeterFee {
		head.text, head.quantity = "Monthly fee", ""
	} else {
		head.line = l.Line
	}
	var steps []row
	for _, s := range l.Steps {
		r := row{kind: rowStep, quantity: ui.Quantity(s.Quantity), price: priceOf(s, inv.Currency), amount: exact(s.Exact, inv.Currency)}
		if l.Meter == model.MeterFee {
			r.quantity = ""
			r.text = "Whole month"
			if s.Part != "" {
				r.text = "For " + share(s.Part)
			}
		} else {
			r.text = calls(s)
		}
		steps = append(steps, r)
	}
	if l.Invoiced == 0 {
		if len(steps) == 1 { // one row says all
			switch {
			case l.Meter == model.MeterCalls:
				head.text = steps[0].text
			case l.Steps[0].Part != "":
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

// calls names the calls of the month that a step is for, by their numbers.
func calls(s model.PriceStep) string {
	if s.From == s.To {
		return "Call " + ui.Quantity(s.From)
	}
	return "Calls " + ui.Quantity(s.From) + " to " + ui.Quantity(s.To)
}

// share writes "1339200 of 2678400 seconds" with its digits in groups.
func share(part string) string {
	var a, b int64
	if n, err := fmt.Sscanf(part, "%d of %d seconds", &a, &b); n != 2 || err != nil {
		return part
	}
	return ui.Quantity(a) + " of the month's " + ui.Quantity(b) + " seconds"
}

func priceOf(s model.PriceStep, currency string) string {
	switch {
	case s.Price.Zero() && s.From == 1:
		return "included"
	case s.Price.Zero():
		return "free"
	}
	p := strings.TrimSuffix(ui.Amount(s.Price, currency), " "+currency)
	switch {
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
	if i.Total < 0 {
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

// notes is what has to be said of the figures.
func notes(inv *model.InvoiceDetail) []string {
	out := []string{"All times are UTC. Each amount is calculated exactly, call by call, and rounded once."}
	for i := range inv.Lines {
		if inv.Lines[i].Invoiced != 0 {
			out = append(out, "Part of this month was invoiced before: what is charged here is the difference.")
			break
		}
	}
	if inv.Final && inv.FinalizedAt.Before(inv.End) {
		out = append(out, "The month was not over when this was made: what was used after it is on a later invoice.")
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

// days sums hours up for a chart.
func days(inv *model.InvoiceDetail, hours []model.InvoiceHour) ui.Bars {
	b := ui.Bars{Title: "Billable calls by day", Unit: "calls"}
	var values []int64
	begin := inv.Begin.UTC()
	for d := begin; d.Before(inv.End); d = d.AddDate(0, 0, 1) {
		b.Labels = append(b.Labels, d.Format("2 Jan"))
		values = append(values, 0)
	}
	for _, h := range hours {
		if i := int(h.Hour.Sub(begin) / (24 * time.Hour)); i >= 0 && i < len(values) {
			values[i] += h.Calls
		}
	}
	b.Series = []ui.Series{{Label: "Calls", Class: "s0", Values: values}}
	return b
}

func sum(hours []model.InvoiceHour) (n int64) {
	for _, h := range hours {
		n += h.Calls
	}
	return n
}
