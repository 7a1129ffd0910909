package money

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"
	"time"

	"tollgate/model"
)

// cell keeps a spreadsheet from taking text for a formula.
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// major is an amount in minor units as a plain decimal number: "-12.50".
func major(minor int64, digits int) string {
	s := strconv.FormatInt(minor, 10)
	sign := ""
	if minor < 0 {
		sign, s = "-", s[1:]
	}
	for len(s) <= digits {
		s = "0" + s
	}
	if digits == 0 {
		return sign + s
	}
	return sign + s[:len(s)-digits] + "." + s[len(s)-digits:]
}

// CSV writes an invoice, a row for each step of each line; amounts are plain
// numbers in major units. A line's own amount is in its first row.
func CSV(w io.Writer, inv *model.InvoiceDetail) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"invoice", "period_begin", "period_end", "line", "title", "meter", "from", "to", "quantity", "price", "per", "step_exact",
		"month_exact", "invoiced_before", "amount", "currency", "step_kind", "tax"})
	for i := range inv.Lines {
		l := &inv.Lines[i]
		first := []string{l.Exact, major(l.Invoiced, inv.Digits), major(l.Amount, inv.Digits), major(l.Tax, inv.Digits)}
		steps := l.Steps
		if len(steps) == 0 {
			steps = []model.PriceStep{{Quantity: l.Quantity, Price: "0", Per: 1, Exact: "0"}}
		}
		for _, s := range steps {
			_ = out.Write(append(append([]string{
				cell(inv.Number), inv.Begin.UTC().Format(time.DateOnly), inv.End.UTC().Format(time.DateOnly), strconv.Itoa(l.Line), cell(l.Title), l.Meter,
				strconv.FormatInt(s.From, 10), strconv.FormatInt(s.To, 10), strconv.FormatInt(s.Quantity, 10), string(s.Price), strconv.FormatInt(max(s.Per, 1), 10), s.Exact},
				first[:3]...), inv.Currency, s.Kind, first[3]))
			first = []string{"", "", "", ""}
		}
	}
	out.Flush()
	return out.Error()
}

// HoursCSV writes the hours behind a line.
func HoursCSV(w io.Writer, inv *model.InvoiceDetail, use *model.InvoiceUse) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"invoice", "line", "hour", "what", "quantity", "unit"})
	unit := behindUnits(inv, use, 2)
	for _, h := range use.Hours {
		_ = out.Write([]string{cell(inv.Number), strconv.Itoa(use.Line), h.Hour.UTC().Format(time.RFC3339), cell(h.What), strconv.FormatInt(h.Units, 10), unit})
	}
	out.Flush()
	return out.Error()
}

// UsageCSV writes rows of usage as they come from each.
func UsageCSV(w io.Writer, each func(func(*model.UsageRow) error) error) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"time", "api_id", "api", "stage", "verb", "path", "key_id", "key", "app_id", "app", "developer", "status",
		"calls", "billable", "bytes_in", "bytes_out", "average_micros"})
	err := each(func(r *model.UsageRow) error {
		n := func(v int64) string { return strconv.FormatInt(v, 10) }
		at := ""
		if !r.Time.IsZero() {
			at = r.Time.UTC().Format(time.RFC3339)
		}
		return out.Write([]string{at, cell(r.APIID), cell(r.APIName), cell(r.Stage), cell(r.Verb), cell(r.Path), cell(r.KeyID), cell(r.KeyName),
			cell(r.AppID), cell(r.AppName), cell(r.Developer), strconv.Itoa(r.Status),
			n(r.Calls), n(r.Billable), n(r.BytesIn), n(r.BytesOut), n(r.AvgMicros)})
	})
	out.Flush()
	if err != nil {
		return err
	}
	return out.Error()
}
