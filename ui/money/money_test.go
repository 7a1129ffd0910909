package money

import (
	"bytes"
	"compress/zlib"
	"encoding/csv"
	"errors"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"tollgate/billing/rate"
	"tollgate/model"
)

var march = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// some is an invoice with everything on it.
func some() *model.InvoiceDetail {
	return &model.InvoiceDetail{
		Invoice: model.Invoice{ID: "inv1", Seller: "tenant", Number: "INV-000042", Final: true, Begin: march, End: march.AddDate(0, 1, 0), Currency: "EUR", Digits: 2, Total: 6074, Tax: 970,
			Collection: model.Collection{State: "past_due", Due: 3774, Paid: 1000, DueAt: time.Date(2026, 4, 16, 0, 0, 0, 0, time.UTC), LastError: "card declined"},
			From:       model.Party{Name: "Pet Shop GmbH", Address: "Hauptstraße 1\n10115 Berlin\nGermany", TaxID: "DE123456789", Email: "billing@pets.example"},
			To:         model.Party{Name: "Łukasz Żółć", Address: "ul. Piękna 7\nWarszawa", Email: "lukasz@example.com"},
			CreatedAt:  march.AddDate(0, 1, 0), FinalizedAt: time.Date(2026, 4, 2, 9, 30, 0, 0, time.UTC)},
		Lines: []model.InvoiceLine{
			{Line: 1, Meter: "fee", Title: "Gold · Shop app", Quantity: 1, Exact: "29", Amount: 2900, Steps: []model.PriceStep{{From: 1, To: 1, Quantity: 1, Price: "29", Per: 1, Exact: "29"}}},
			{Line: 2, Meter: "calls", Title: "Gold · Shop app", Quantity: 6100, Exact: "21.1", Amount: 2110, Steps: []model.PriceStep{
				{From: 1, To: 1000, Quantity: 1000, Price: "0", Per: 1, Exact: "0"},
				{From: 1001, To: 6000, Quantity: 5000, Price: "0.004", Per: 1, Exact: "20"},
				{From: 6001, To: 6100, Quantity: 100, Price: "11", Per: 1000, Exact: "1.1"}}},
			{Line: 3, Meter: "fee", Title: "Silver · =cmd()", Quantity: 1, Exact: "0.5", Amount: 50, Steps: []model.PriceStep{{From: 1, To: 1, Quantity: 1, Price: "1", Per: 1, Exact: "0.5", Part: "1339200 of 2678400 seconds"}}},
			{Line: 4, Meter: "calls", Title: "Silver · =cmd()", Quantity: 14, Exact: "0.54", Invoiced: 10, Amount: 44, Tax: 8, Steps: []model.PriceStep{{From: 1, To: 14, Quantity: 14, Price: "38571.428571", Per: 1_000_000, Exact: "0.54"}}},
		},
		Taxes:    []model.TaxLine{{Name: "VAT", Percent: "19", Base: 5104, Amount: 970}},
		Payments: []model.Payment{{Kind: "hand", Amount: 1000, Reference: "transfer 7", At: march}, {Kind: "failed", Reference: "pi_1", Note: "card declined", At: march}},
		Credits: []model.CreditNote{{ID: "cn1", Number: "CN-000003", Kind: "credit", InvoiceID: "inv1", InvoiceNumber: "INV-000042", Reason: "An outage on 3 March", Amount: 2300, Tax: 367,
			Lines: []model.CreditLine{{Line: 1, Net: 1900, Tax: 361}, {Line: 4, Net: 33, Tax: 6}}, CreatedAt: time.Date(2026, 4, 3, 0, 0, 0, 0, time.UTC)}},
	}
}

func TestRows(t *testing.T) {
	t.Parallel()
	var got []string
	for _, r := range rows(some()) {
		got = append(got, strings.Join([]string{r.kind, r.text, r.quantity, r.price, r.amount}, "|"))
	}
	want := []string{
		"head|Gold · Shop app|||",
		"line|Monthly fee||29.00|29.00",
		"line|Calls|6,100||21.10",
		"step|Calls 1 to 1,000|1,000|included|0.00",
		"step|Calls 1,001 to 6,000|5,000|0.004|20.00",
		"step|Calls 6,001 to 6,100|100|11.00 per 1,000|1.10",
		"head|Silver · =cmd()|||",
		"line|Monthly fee, for 1,339,200 of the month's 2,678,400 seconds||1.00|0.50",
		"line|Calls|14||0.44",
		"step|Calls 1 to 14|14|38,571.428571 a million|0.54",
		"step|Of the month so far|||0.54",
		"step|On earlier invoices|||−0.10",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The steps of every model, as they are made for an invoice.
func TestRowsOfModels(t *testing.T) {
	t.Parallel()
	sheet := &model.PriceSheet{Currency: "EUR", Model: model.Volume, TrialDays: 2, Included: 10, FreeTier: &model.FreeTier{Units: 5, Months: 2},
		Tiers:   []model.PriceTier{{UpTo: 50, Price: "0.20"}, {Price: "0.10", Flat: "3"}},
		Meters:  []model.MeterPrice{{Meter: "bytes-out", Model: model.Package, Tiers: []model.PriceTier{{Price: "0.09", Per: model.Gigabyte}}}},
		Minimum: "31", Maximum: "310", Discount: "10", Coupon: &model.Coupon{Amount: "50", Months: 1}}
	lines, err := rate.Lines(sheet, rate.Use{Month: march, First: march, Since: march, Calls: 120, BytesOut: 1_500_000_000, Trial: rate.Trial{Calls: 3}})
	if err != nil {
		t.Fatal(err)
	}
	inv := &model.InvoiceDetail{Invoice: model.Invoice{Currency: "EUR", Digits: 2}}
	for i, l := range lines {
		inv.Lines = append(inv.Lines, model.InvoiceLine{Line: i + 1, Meter: l.Meter, Quantity: l.Quantity, Steps: l.Steps, Exact: l.Exact.String(), Amount: l.Amount})
	}
	var got []string
	for _, r := range rows(inv)[1:] {
		got = append(got, strings.Join([]string{r.kind, r.text, r.quantity, r.price, r.amount}, "|"))
	}
	part := ", for 2,505,600 of the month's 2,678,400 seconds"
	want := []string{
		"line|Calls|120||13.20",
		"step|Calls 1 to 3|3|trial|0.00",
		"step|Calls 4 to 8|5|free tier|0.00",
		"step|Calls 9 to 18|10|included|0.00",
		"step|For reaching call 19||3.00|3.00",
		"step|Calls 19 to 120, all at the price of the tier that they reach|102|0.10|10.20",
		"line|Data out, bytes|1,500,000,000|0.09 a GB|0.18",
		"line|Up to the minimum of the month|||15.62",
		"step|The month costs at least" + part + "||31.00|29.00",
		"step|The lines above|||13.38",
		"line|Beyond the maximum of the month|||0.00",
		"step|The month costs at most" + part + "||310.00|290.00",
		"step|The lines above|||29.00",
		"line|Discount|||−2.90",
		"step|The lines above|||29.00",
		"step|Of them||10%|2.90",
		"line|Coupon|||−26.10",
		"step|The lines above|||26.10",
		"step|At most||50.00|50.00",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestTitles(t *testing.T) {
	t.Parallel()
	inv := some().Invoice
	for _, c := range []struct {
		change        func(*model.Invoice)
		title, period string
		file          string
	}{
		{func(*model.Invoice) {}, "Invoice INV-000042", "1 Mar 2026 to 31 Mar 2026", "INV-000042.pdf"},
		{func(i *model.Invoice) { i.Adjustment = true }, "Adjustment INV-000042", "1 Mar 2026 to 31 Mar 2026", "INV-000042.pdf"},
		{func(i *model.Invoice) { i.FinalizedAt = march.Add(36 * time.Hour) }, "Invoice INV-000042", "1 Mar 2026 to 2 Mar 2026 12:00 UTC", "INV-000042.pdf"},
		{func(i *model.Invoice) { i.Final, i.Number = false, "" }, "Draft for March 2026", "1 Mar 2026 to 31 Mar 2026", "draft-2026-03-inv1.pdf"},
	} {
		i := inv
		c.change(&i)
		if Title(&i) != c.title || Period(&i) != c.period || FileName(&i, "pdf") != c.file {
			t.Errorf("%q, %q, %q; want %+v", Title(&i), Period(&i), FileName(&i, "pdf"), c)
		}
	}
}

func TestCSV(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := CSV(&b, some()); err != nil {
		t.Fatal(err)
	}
	all, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(all) != 7 {
		t.Fatalf("%d rows, %v", len(all), err)
	}
	if got := strings.Join(all[3], ","); got != "INV-000042,2026-03-01,2026-04-01,2,Gold · Shop app,calls,1001,6000,5000,0.004,1,20,,,,EUR,," {
		t.Errorf("a step is %s", got)
	}
	if got := strings.Join(all[6], ","); got != "INV-000042,2026-03-01,2026-04-01,4,Silver · =cmd(),calls,1,14,14,38571.428571,1000000,0.54,0.54,0.10,0.44,EUR,,0.08" {
		t.Errorf("a line is %s", got)
	}
	bad := some()
	bad.Lines = bad.Lines[:1]
	bad.Lines[0].Title, bad.Lines[0].Amount, bad.Digits = "=1+1", -5, 3
	b.Reset()
	if err := CSV(&b, bad); err != nil || !strings.Contains(b.String(), ",'=1+1,") || !strings.Contains(b.String(), ",-0.005,EUR,") {
		t.Errorf("%s, %v", &b, err)
	}
}

func TestUsageCSV(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	row := model.UsageRow{Time: march, APIID: "pets", APIName: "+Pets", Stage: "prod", Verb: "GET", Path: "/pets/{id}", KeyID: "k1", KeyName: "@key", Status: 200, UsageSum: model.UsageSum{Calls: 12, Billable: 11}}
	err := UsageCSV(&b, func(f func(*model.UsageRow) error) error { return f(&row) })
	if want := "\n2026-03-01T00:00:00Z,pets,'+Pets,prod,GET,/pets/{id},k1,'@key,,,,200,12,11,0,0,0\n"; err != nil || !strings.HasSuffix(b.String(), want) {
		t.Errorf("%s, %v", &b, err)
	}
	broken := errors.New("broken")
	if err := UsageCSV(io.Discard, func(func(*model.UsageRow) error) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

func TestPDF(t *testing.T) {
	t.Parallel()
	var a, b bytes.Buffer
	if err := errors.Join(PDF(&a, some()), PDF(&b, some())); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("the same invoice became two files")
	}
	if a.Len() > 200<<10 {
		t.Errorf("the file has %d bytes", a.Len())
	}
	text := pdfText(t, a.Bytes())
	for _, w := range []string{"Invoice INV-000042", "Pet Shop GmbH", "Hauptstraße 1", "Łukasz Żółć", "ul. Piękna 7", "2 Apr 2026", "1 Mar 2026 to 31 Mar 2026", "Gold · Shop app",
		"Calls 1,001 to 6,000", "38,571.428571 a million", "−0.10", "Without tax", "51.04", "VAT 19%", "9.70", "60.74 EUR", "To be paid by", "16 Apr 2026", "Invoice INV-000042 · page 1 of 1"} {
		if !strings.Contains(text, w) {
			t.Errorf("the file does not show %q:\n%s", w, text)
		}
	}
	if strings.Contains(text, "stands for a character") {
		t.Error("a character was replaced")
	}
	// What became of it is not on it: it stays the same file.
	later := some()
	later.Payments, later.Credits, later.State, later.Paid = nil, nil, "paid", 3774
	b.Reset()
	if err := PDF(&b, later); err != nil || !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Errorf("another file when it is paid, %v", err)
	}
	b.Reset()
	if err := CreditPDF(&b, some(), &some().Credits[0]); err != nil {
		t.Fatal(err)
	}
	text = pdfText(t, b.Bytes())
	for _, w := range []string{"Credit note CN-000003", "INV-000042 of 2 Apr 2026", "An outage on 3 March", "Monthly fee", "19.00", "Silver · =cmd()", "0.33", "19.33", "Tax, as on the invoice", "3.67", "23.00 EUR"} {
		if !strings.Contains(text, w) {
			t.Errorf("the credit note does not show %q:\n%s", w, text)
		}
	}
	if dir := os.Getenv("TOLLGATE_PDF"); dir != "" { // to look at
		if err := errors.Join(os.WriteFile(dir+"/invoice.pdf", a.Bytes(), 0o644), os.WriteFile(dir+"/credit.pdf", b.Bytes(), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	// What the font lacks is visible as such, and said.
	inv := some()
	inv.To.Name = "東京 Shop 😀"
	a.Reset()
	if err := PDF(&a, inv); err != nil {
		t.Fatal(err)
	}
	if text := pdfText(t, a.Bytes()); !strings.Contains(text, "□□ Shop □") || !strings.Contains(text, "□ stands for a character") {
		t.Errorf("%s", text)
	}
}

// An invoice of many lines goes on over pages, each with the table's head.
func TestPDFOfManyPages(t *testing.T) {
	t.Parallel()
	inv := some()
	line := inv.Lines[1]
	for i := range 200 {
		line.Line, line.Title = i+10, strings.Repeat("Long plan ", 30)
		inv.Lines = append(inv.Lines, line)
	}
	var a bytes.Buffer
	if err := PDF(&a, inv); err != nil {
		t.Fatal(err)
	}
	text := pdfText(t, a.Bytes())
	pages := strings.Count(text, "Amount in EUR")
	if pages < 10 || !strings.Contains(text, "page 1 of "+strconv.Itoa(pages)+"\n") || strings.Count(text, "Calls 6,001 to 6,100") != 201 {
		t.Errorf("%d pages, %d lines", pages, strings.Count(text, "Calls 6,001 to 6,100"))
	}
}

var shown = regexp.MustCompile(`(?s)\((.*?[^\\]|)\)\s*Tj`)

// pdfText is what a file shows, a line for each piece of text.
func pdfText(t *testing.T, file []byte) string {
	t.Helper()
	if !bytes.HasPrefix(file, []byte("%PDF-")) {
		t.Fatalf("no PDF: %.20q", file)
	}
	var out strings.Builder
	for rest := file; ; {
		_, after, ok := bytes.Cut(rest, []byte("stream\n"))
		if !ok {
			return out.String()
		}
		body, next, _ := bytes.Cut(after, []byte("\nendstream"))
		rest = next
		z, err := zlib.NewReader(bytes.NewReader(body))
		if err != nil {
			continue
		}
		content, err := io.ReadAll(z)
		if err != nil {
			continue
		}
		for _, m := range shown.FindAllSubmatch(content, -1) {
			s := regexp.MustCompile(`(?s)\\(.)`).ReplaceAllFunc(m[1], func(b []byte) []byte {
				switch b[1] {
				case 'r':
					return []byte{'\r'}
				case 'n':
					return []byte{'\n'}
				}
				return b[1:]
			})
			var u []uint16
			for i := 0; i+1 < len(s); i += 2 {
				u = append(u, uint16(s[i])<<8|uint16(s[i+1]))
			}
			out.WriteString(string(utf16.Decode(u)) + "\n")
		}
	}
}
