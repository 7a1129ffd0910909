package portal

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"tollgate/billing"
	"tollgate/billing/rate"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/money"
	"tollgate/ui/serve"
)

func (s *Server) moneyRoutes() []route {
	return []route{
		{"GET", "/usage", customer, (*visit).usage},
		{"GET", "/usage.csv", customer, (*visit).usageCSV},
		{"GET", "/invoices", customer, (*visit).invoices},
		{"GET", "/invoices/{invoice}", customer, (*visit).invoice},
		{"GET", "/invoices/{invoice}/pdf", customer, (*visit).invoicePDF},
		{"GET", "/invoices/{invoice}/csv", customer, (*visit).invoiceCSV},
		{"GET", "/invoices/{invoice}/credits/{note}/pdf", customer, (*visit).creditPDF},
		{"GET", "/invoices/{invoice}/lines/{line}", customer, (*visit).invoiceHours},
	}
}

// books is the visitor's own part of the portal's.
func (v *visit) books() billing.Scope {
	return billing.Scope{Tenant: v.site.Tenant, Developer: v.visitor.ID}
}

// asked is what the URL asks for, of the visitor's own calls.
func (v *visit) asked() *money.Usage {
	u := money.ReadUsage(v.r.URL.Query(), v.Now(), true)
	u.Path, u.CSV = v.link("/usage"), v.link("/usage.csv")
	u.Query.DeveloperID = v.visitor.ID
	return u
}

func (v *visit) usage() error {
	u := v.asked()
	var err error
	if u.Report, err = v.Usage.Report(v.ctx(), v.site.Tenant, u.Query, u.By, true); err != nil {
		return err
	}
	var owed []billing.InvoiceDetail
	if v.Billing != nil {
		if owed, err = v.Billing.Preview(v.ctx(), v.books(), v.Now()); err != nil {
			return err
		}
	}
	spent, err := v.spends()
	if err != nil {
		return err
	}
	status := http.StatusOK
	if len(u.Problems) > 0 {
		status = http.StatusUnprocessableEntity
	}
	return v.renderAs(status, usageView(v.page("Usage"), v, u, owed, spent))
}

func (v *visit) usageCSV() error {
	u := v.asked()
	if len(u.Problems) > 0 {
		return model.Errorf(model.Invalid, "%s", u.Problems[0].Text)
	}
	return v.file("text/csv; charset=utf-8", "usage-"+u.Query.From.Format(time.DateOnly)+".csv", func(w io.Writer) error {
		return money.UsageCSV(w, func(row func(*model.UsageRow) error) error {
			return v.Usage.EachUsage(v.ctx(), v.site.Tenant, u.Query, row)
		})
	})
}

func (v *visit) invoices() error {
	if v.Billing == nil {
		return model.Errorf(model.Unavailable, "no invoices are made here")
	}
	l, next, err := v.Billing.Invoices(v.ctx(), v.books(), billing.Filter{After: v.query("after")})
	if err != nil {
		return err
	}
	month, _ := rate.Month(v.Now())
	owed, err := v.Billing.Preview(v.ctx(), v.books(), month)
	if err != nil {
		return err
	}
	before, err := v.Billing.Preview(v.ctx(), v.books(), month.AddDate(0, -1, 0)) // until it is invoiced
	if err != nil {
		return err
	}
	unpaid, err := v.Billing.Unpaid(v.ctx(), v.books())
	if err != nil {
		return err
	}
	if next != "" {
		next = v.link("/invoices?after=" + next)
	}
	return v.render(invoicesView(v.page("Invoices"), v, l, next, before, owed, unpaid))
}

func (v *visit) oneInvoice() (billing.InvoiceDetail, error) {
	if v.Billing == nil {
		return billing.InvoiceDetail{}, model.Errorf(model.NotFound, "there is no such invoice")
	}
	return v.Billing.Invoice(v.ctx(), v.books(), v.path("invoice"))
}

func (v *visit) invoice() error {
	i, err := v.oneInvoice()
	if err != nil {
		return err
	}
	p := v.page(money.Title(&i.Invoice))
	p.Crumbs = []ui.Crumb{{Label: "Invoices", URL: v.link("/invoices")}}
	pay, err := v.payURL(&i)
	if err != nil {
		return err
	}
	credit, err := v.fromCredit(&i)
	if err != nil {
		return err
	}
	return v.render(invoiceView(p, v, &i, pay, credit))
}

func (v *visit) invoicePDF() error {
	i, err := v.oneInvoice()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := money.PDF(&b, &i); err != nil {
		return err
	}
	return v.file("application/pdf", money.FileName(&i.Invoice, "pdf"), func(w io.Writer) error {
		_, err := b.WriteTo(w)
		return err
	})
}

func (v *visit) creditPDF() error {
	inv, err := v.oneInvoice()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(inv.Credits, func(c model.CreditNote) bool { return c.ID == v.path("note") })
	if i < 0 {
		return model.Errorf(model.NotFound, "invoice %s has no such credit note", inv.Number)
	}
	n := &inv.Credits[i]
	if n.InvoiceID != inv.ID { // seen from the adjustment that it stands for
		if inv, err = v.Billing.Invoice(v.ctx(), v.books(), n.InvoiceID); err != nil {
			return err
		}
	}
	var b bytes.Buffer
	if err := money.CreditPDF(&b, &inv, n); err != nil {
		return err
	}
	return v.file("application/pdf", n.Number+".pdf", func(w io.Writer) error {
		_, err := b.WriteTo(w)
		return err
	})
}

func (v *visit) invoiceCSV() error {
	i, err := v.oneInvoice()
	if err != nil {
		return err
	}
	return v.file("text/csv; charset=utf-8", money.FileName(&i.Invoice, "csv"), func(w io.Writer) error { return money.CSV(w, &i) })
}

// file answers with a file to keep.
func (v *visit) file(kind, name string, write func(io.Writer) error) error {
	if err := v.keep(); err != nil {
		return err
	}
	return serve.File(v.w, v.r, v.Log, kind, name, write)
}

func (v *visit) invoiceHours() error {
	n, err := strconv.Atoi(v.path("line"))
	if err != nil || v.Billing == nil {
		return model.Errorf(model.NotFound, "there is no such line")
	}
	i, use, err := v.Billing.Behind(v.ctx(), v.books(), v.path("invoice"), n)
	if err != nil {
		return err
	}
	p := v.page("Behind line " + strconv.Itoa(n))
	p.Crumbs = []ui.Crumb{{Label: "Invoices", URL: v.link("/invoices")}, {Label: money.Title(&i.Invoice), URL: v.link("/invoices/" + i.ID)}}
	return v.render(hoursView(p, &i, &use))
}
