package money

import (
	"io"
	"strings"
	"sync"
	"time"

	"github.com/go-pdf/fpdf"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"

	"tollgate/model"
	"tollgate/ui"
)

// The page: A4, in millimetres.
const (
	pdfMargin = 20.0
	pdfWidth  = 210 - 2*pdfMargin
	pdfBottom = 24.0
	pdfLine   = 5.0
)

// pdfColumns are the widths of the table's columns: text, quantity, price, amount.
var pdfColumns = [4]float64{80, 28, 34, 28}

// missing stands for a character that the font does not have.
const missing = '□'

// sheet is what is printed, of an invoice or of a credit note.
type sheet struct {
	title    string
	from, to model.Party
	draft    bool
	facts    [][2]string
	heads    [4]string
	rows     []row
	sums     [][2]string
	total    string
	notes    []string
}

// PDF writes an invoice as a PDF file: the same bytes for the same invoice, whatever
// became of it. Its font has Latin, Greek and Cyrillic letters; what it does not have
// is shown as a box, and a note at the end says so.
func PDF(w io.Writer, inv *model.InvoiceDetail) error {
	made := inv.CreatedAt
	if inv.Final {
		made = inv.FinalizedAt
	}
	return write(w, made, &sheet{
		title: Title(&inv.Invoice), from: inv.From, to: inv.To, draft: !inv.Final, facts: printed(inv), heads: heads(inv), rows: rows(inv),
		sums: sums(inv), total: Total(&inv.Invoice), notes: notes(inv),
	})
}

// printed are an invoice's facts, and by when it is to be paid.
func printed(inv *model.InvoiceDetail) [][2]string {
	out := facts(inv)
	if inv.State != "" && inv.Total > 0 {
		out = append(out, [2]string{"To be paid by", ui.Date(inv.DueAt)})
	}
	return out
}

// CreditPDF writes a credit note to an invoice as a PDF file.
func CreditPDF(w io.Writer, inv *model.InvoiceDetail, c *model.CreditNote) error {
	s := &sheet{
		title: "Credit note " + c.Number, from: inv.From, to: inv.To, total: Minor(c.Amount, &inv.Invoice),
		facts: [][2]string{{"Number", c.Number}, {"Date", ui.Date(c.CreatedAt)}, {"To invoice", c.InvoiceNumber + " of " + ui.Date(inv.FinalizedAt)}, {"Reason", c.Reason}},
		heads: [4]string{"What is credited", "", "", "Amount in " + inv.Currency},
	}
	title := ""
	for _, l := range c.Lines {
		if l.Line < 1 || l.Line > len(inv.Lines) {
			continue
		}
		of := &inv.Lines[l.Line-1]
		if of.Title != title {
			title = of.Title
			s.rows = append(s.rows, row{kind: rowHead, text: title})
		}
		s.rows = append(s.rows, row{kind: rowLine, text: names[of.Meter], amount: bare(l.Net, &inv.Invoice)})
	}
	if len(inv.Taxes) > 0 {
		s.sums = [][2]string{{"Without tax", bare(c.Amount-c.Tax, &inv.Invoice)}, {"Tax, as on the invoice", bare(c.Tax, &inv.Invoice)}}
	}
	for _, t := range inv.Taxes {
		if t.Note != "" {
			s.notes = append(s.notes, t.Note+".")
		}
	}
	return write(w, c.CreatedAt, s)
}

func write(w io.Writer, made time.Time, s *sheet) error {
	p := &paper{Fpdf: fpdf.New("P", "mm", "A4", ""), sheet: s}
	p.SetCreationDate(made.UTC())
	p.SetModificationDate(made.UTC())
	p.SetCatalogSort(true)
	p.SetTitle(s.title, true)
	p.SetAuthor(s.from.Name, true)
	p.SetCreator("Tollgate", true)
	p.SetLang("en")
	p.AddUTF8FontFromBytes("go", "", goregular.TTF)
	p.AddUTF8FontFromBytes("go", "B", gobold.TTF)
	p.SetMargins(pdfMargin, pdfMargin, pdfMargin)
	p.SetAutoPageBreak(false, pdfBottom)
	p.AliasNbPages("{pages}")
	p.SetFooterFunc(func() {
		p.SetY(-16)
		p.font("", 8)
		p.SetTextColor(80, 80, 80)
		p.CellFormat(pdfWidth, pdfLine, p.text(s.title)+" · page "+ui.Quantity(p.PageNo())+" of {pages}", "", 0, "L", false, 0, "")
	})
	p.AddPage()
	p.head()
	p.tableHead()
	for _, r := range s.rows {
		p.row(r)
	}
	p.total()
	p.ends()
	return p.Output(w)
}

// paper is a PDF that is being written.
type paper struct {
	*fpdf.Fpdf
	*sheet
	lacked bool // a character was replaced
}

func (p *paper) font(style string, size float64) {
	p.SetFont("go", style, size)
	p.SetTextColor(0, 0, 0)
}

// glyphs is the font's table of characters.
var glyphs = sync.OnceValue(func() *sfnt.Font {
	f, err := sfnt.Parse(goregular.TTF)
	if err != nil {
		panic(err) // the font is part of the program
	}
	return f
})

// text replaces what the font cannot show.
func (p *paper) text(s string) string {
	var buf sfnt.Buffer
	return strings.Map(func(r rune) rune {
		if r == '\n' {
			return r
		}
		if i, err := glyphs().GlyphIndex(&buf, r); err != nil || i == 0 || r > 0xFFFF {
			p.lacked = true
			return missing
		}
		return r
	}, s)
}

// room makes sure that so much fits on the page, on a new one if it has to.
func (p *paper) room(h float64) bool {
	if p.GetY()+h <= 297-pdfBottom {
		return false
	}
	p.AddPage()
	return true
}

// lines writes text that may take several lines, and goes on below it.
func (p *paper) lines(w float64, text string) {
	x := p.GetX()
	for _, l := range p.SplitText(p.text(text), w) {
		p.SetX(x)
		p.CellFormat(w, pdfLine, l, "", 2, "L", false, 0, "")
	}
	p.SetX(x)
}

func (p *paper) head() {
	p.font("B", 18)
	p.CellFormat(pdfWidth, 9, p.text(p.title), "", 1, "L", false, 0, "")
	p.font("", 10)
	if p.draft {
		p.CellFormat(pdfWidth, 6, "This is a draft: it has no number, and its amounts change until it is final.", "", 1, "L", false, 0, "")
	}
	p.Ln(4)
	top := p.GetY()
	p.party("From", p.from, pdfMargin)
	y := p.GetY()
	p.SetY(top)
	p.party("To", p.to, pdfMargin+pdfWidth/2)
	p.SetY(max(y, p.GetY()) + 4)
	for _, f := range p.facts {
		p.font("", 10)
		p.SetTextColor(80, 80, 80)
		p.CellFormat(34, pdfLine, f[0], "", 0, "L", false, 0, "")
		p.font("", 10)
		p.lines(pdfWidth-34, f[1])
		p.SetX(pdfMargin)
	}
	p.Ln(6)
}

func (p *paper) party(word string, q model.Party, x float64) {
	p.SetX(x)
	p.font("", 8)
	p.SetTextColor(80, 80, 80)
	p.CellFormat(pdfWidth/2-4, pdfLine, word, "", 2, "L", false, 0, "")
	p.font("B", 10)
	p.lines(pdfWidth/2-4, q.Name)
	p.font("", 10)
	for _, l := range partyLines(q) {
		p.lines(pdfWidth/2-4, l)
	}
}

func (p *paper) tableHead() {
	p.font("", 8)
	p.SetTextColor(80, 80, 80)
	for i, h := range p.heads {
		align := "R"
		if i == 0 {
			align = "L"
		}
		p.CellFormat(pdfColumns[i], 6, h, "B", 0, align, false, 0, "")
	}
	p.Ln(7)
}

func (p *paper) row(r row) {
	style, size := "", 10.0
	switch r.kind {
	case rowHead:
		style = "B"
	case rowStep:
		size = 9
	}
	p.font(style, size)
	indent := 0.0
	if r.kind == rowStep {
		indent = 4
	}
	width := pdfColumns[0] - indent
	if r.kind == rowHead {
		width = pdfWidth
	}
	texts := p.SplitText(p.text(r.text), width-2)
	if len(texts) == 0 {
		texts = []string{""}
	}
	need := float64(len(texts)) * pdfLine
	if r.kind == rowHead {
		need += 2*pdfLine + 2 // not alone at the end of a page
	}
	if p.room(need) {
		p.tableHead()
		p.font(style, size)
	}
	if r.kind == rowHead {
		p.Ln(2)
	}
	if r.kind == rowStep {
		p.SetTextColor(80, 80, 80)
	}
	for i, t := range texts {
		p.SetX(pdfMargin + indent)
		p.CellFormat(width, pdfLine, t, "", 0, "L", false, 0, "")
		if i == 0 && r.kind != rowHead {
			p.SetX(pdfMargin + pdfColumns[0])
			for i, figure := range [...]string{r.quantity, r.price, r.amount} {
				p.figure(pdfColumns[i+1], size, figure)
			}
		}
		p.Ln(pdfLine)
	}
	if r.kind == rowLine {
		p.Ln(0.5)
	}
}

// figure writes a number at the right of its column, smaller where it is long: a
// figure is never cut, nor written over another.
func (p *paper) figure(w, size float64, s string) {
	if has := p.GetStringWidth(s); has > w-3 {
		p.SetFontSize(size * (w - 3) / has)
	}
	p.CellFormat(w, pdfLine, s, "", 0, "R", false, 0, "")
	p.SetFontSize(size)
}

func (p *paper) total() {
	if p.room(14 + float64(len(p.sums))*pdfLine) {
		p.tableHead()
	}
	p.Ln(2)
	for i, s := range p.sums {
		border := ""
		if i == 0 {
			border = "T"
		}
		p.font("", 10)
		p.CellFormat(pdfWidth-60, pdfLine+1, p.text(s[0]), border, 0, "L", false, 0, "")
		p.CellFormat(60, pdfLine+1, s[1], border, 1, "R", false, 0, "")
	}
	p.font("B", 12)
	p.CellFormat(pdfWidth-60, 9, "Total", "T", 0, "L", false, 0, "")
	p.CellFormat(60, 9, p.sheet.total, "T", 1, "R", false, 0, "")
}

func (p *paper) ends() {
	p.Ln(4)
	for _, n := range p.notes {
		p.note(n)
	}
	if p.lacked {
		p.note(string(missing) + " stands for a character that this file's font does not have. The invoice's page in the browser shows it.")
	}
}

func (p *paper) note(s string) {
	p.font("", 8)
	p.SetTextColor(80, 80, 80)
	for _, l := range p.SplitText(p.text(s), pdfWidth-2) {
		p.room(4)
		p.font("", 8)
		p.SetTextColor(80, 80, 80)
		p.CellFormat(pdfWidth, 4, l, "", 1, "L", false, 0, "")
	}
}

// partyLines is a party below its name.
func partyLines(q model.Party) []string {
	var out []string
	for _, l := range strings.Split(q.Address, "\n") {
		if l = strings.TrimSpace(l); l != "" {
			out = append(out, l)
		}
	}
	if q.TaxID != "" {
		out = append(out, "Tax number "+q.TaxID)
	}
	if q.Email != "" && q.Email != q.Name {
		out = append(out, q.Email)
	}
	return out
}

// facts are an invoice's own, by name.
func facts(inv *model.InvoiceDetail) [][2]string {
	var out [][2]string
	if inv.Final {
		out = append(out, [2]string{"Number", inv.Number}, [2]string{"Date", ui.Date(inv.FinalizedAt)})
	} else {
		out = append(out, [2]string{"As of", ui.Stamp(inv.CreatedAt)})
	}
	if inv.TopUp { // of no time
		return out
	}
	return append(out, [2]string{"Period", Period(&inv.Invoice)})
}

// heads are the heads of the table's columns.
func heads(inv *model.InvoiceDetail) [4]string {
	counted := "Calls"
	for i := range inv.Lines {
		if m := inv.Lines[i].Meter; m != model.MeterCalls && model.Used(m) {
			counted = "Quantity"
		}
	}
	return [4]string{"What", counted, "Price in " + inv.Currency, "Amount in " + inv.Currency}
}
