package fake

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
)

// invoicePDF is the document behind invoice_pdf: one page of text, enough to be opened.
func (s *Server) invoicePDF(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	var lines []string
	name := ""
	if a := s.st.Accounts[r.PathValue("account")]; a != nil {
		if inv := a.get("invoice", r.PathValue("id")); inv != nil && str(inv, "status") != "draft" {
			c := &call{s: s, st: s.st, acct: a}
			name = str(inv, "number")
			lines = append(lines, "Invoice "+name, c.merchant(), "for "+str(inv, "customer_name")+" "+str(inv, "customer_email"), "")
			all := list(inv, "_lines")
			for _, l := range all[:min(len(all), 40)] {
				lines = append(lines, str(l.(object), "description")+"   "+money(l.(object)["amount"], inv["currency"]))
			}
			if len(all) > 40 {
				lines = append(lines, fmt.Sprintf("and %d more lines", len(all)-40))
			}
			lines = append(lines, "", "Total   "+money(inv["total"], inv["currency"]), "Paid   "+money(inv["amount_paid"], inv["currency"]))
		}
	}
	s.mu.Unlock()
	if lines == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/pdf")
	w.Header().Set("Content-Disposition", fmt.Sprintf("inline; filename=%q", "invoice-"+plain(name)+".pdf"))
	w.Write(pdf(lines)) //nolint:errcheck // the browser has gone
}

// plain keeps the printable ASCII of a text: the built-in font has no more.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

// pdf sets lines of text on one A4 page.
func pdf(lines []string) []byte {
	var text bytes.Buffer
	text.WriteString("BT /F1 11 Tf 16 TL 56 780 Td\n")
	for _, l := range lines {
		l = plain(l)
		l = strings.NewReplacer(`\`, `\\`, `(`, `\(`, `)`, `\)`).Replace(l[:min(len(l), 90)])
		fmt.Fprintf(&text, "(%s) Tj T*\n", l)
	}
	text.WriteString("ET\n")
	objects := []string{
		"<< /Type /Catalog /Pages 2 0 R >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
		fmt.Sprintf("<< /Length %d >>\nstream\n%sendstream", text.Len(), text.String()),
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
	}
	var b bytes.Buffer
	b.WriteString("%PDF-1.4\n")
	var at []int
	for i, o := range objects {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	xref := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, n := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", n)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, xref)
	return b.Bytes()
}
