package portal

import (
	"bytes"
	"strconv"
	"time"

	"tollgate/billing"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/money"
)

func (s *Server) moneyRoutes() []route {
	return []route{
		{"GET", "/usage", customer, (*visit).usage},
		{"GET", "/usage.csv", customer, (*visit).usageCSV},
		{"GET", "/invoices", customer, (*visit).invoices},
		{"GET", "/invoices/{invoice}", customer, (*visit).invoice},
		{"GET", "/invoices/{invoice}/pdf", customer, (*visit).invoicePDF},
		{"GET", "/invoices/{invoice}/csv", customer, (*visit).invoiceCSV},
		{"GET", "/invoices/{invoice}/lines/{line}", customer, (*visit).invoiceHours},
	}
}

// books is the visitor's own part of the portal's.
func (v *visit) books() billing.Scope {
	return billing.Scope{Tenant: v.site.Tenant, Developer: v.visitor.ID}
}

// usageQuery is what the URL asks for, of the visitor's own calls: by default those
// of the last seven days.
func (v *visit) usageQuery() (model.UsageQuery, error) {
	now := v.Now().UTC()
	q := model.UsageQuery{DeveloperID: v.visitor.ID, APIID: v.query("api"), AppID: v.query("app"), Status: v.query("status"), By: "day",
		From: now.Truncate(24*time.Hour).AddDate(0, 0, -6), To: now.Truncate(time.Hour).Add(time.Hour)}
	for _, d := range []struct {
		name string
		into *time.Time
		days int
	}{{"from", &q.From, 0}, {"to", &q.To, 1}} {
		if text := v.query(d.name); text != "" {
			t, err := time.Parse("2006-01-02", text)
			if err != nil {
				return q, model.Errorf(model.Invalid, "%q is not a day such as 2026-03-31", text)
			}
			*d.into = t.AddDate(0, 0, d.days)
		}
	}
	if q.To.Sub(q.From) <= 72*time.Hour {
		q.By = "hour"
	}
	return q, nil
}

func (v *visit) usage() error {
	q, err := v.usageQuery()
	if err != nil {
		return err
	}
	r, err := v.Usage.Report(v.ctx(), v.site.Tenant, q, "method", true)
	if err != nil {
		return err
	}
	var owed []billing.InvoiceDetail
	if v.Billing != nil {
		if owed, err = v.Billing.Preview(v.ctx(), v.books(), v.Now()); err != nil {
			return err
		}
	}
	u := v.r.URL.Query()
	return v.render(usageView(v.page("Usage"), v, q, &r, owed, v.link("/usage.csv?"+u.Encode())))
}

func (v *visit) usageCSV() error {
	q, err := v.usageQuery()
	if err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="usage.csv"`)
	return money.UsageCSV(v.w, func(f func(*model.UsageRow) error) error {
		return v.Usage.EachUsage(v.ctx(), v.site.Tenant, q, f)
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
	owed, err := v.Billing.Preview(v.ctx(), v.books(), v.Now())
	if err != nil {
		return err
	}
	if next != "" {
		next = v.link("/invoices?after=" + next)
	}
	return v.render(invoicesView(v.page("Invoices"), v, l, next, owed))
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
	return v.render(invoiceView(p, v, &i))
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
	return v.file("application/pdf", money.FileName(&i.Invoice, "pdf"), b.Bytes())
}

func (v *visit) invoiceCSV() error {
	i, err := v.oneInvoice()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := money.CSV(&b, &i); err != nil {
		return err
	}
	return v.file("text/csv; charset=utf-8", money.FileName(&i.Invoice, "csv"), b.Bytes())
}

func (v *visit) file(kind, name string, b []byte) error {
	h := v.w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	h.Set("Content-Length", strconv.Itoa(len(b)))
	_, err := v.w.Write(b)
	return err
}

func (v *visit) invoiceHours() error {
	n, err := strconv.Atoi(v.path("line"))
	if err != nil || v.Billing == nil {
		return model.Errorf(model.NotFound, "there is no such line")
	}
	i, hours, err := v.Billing.Hours(v.ctx(), v.books(), v.path("invoice"), n)
	if err != nil {
		return err
	}
	p := v.page("Behind line " + strconv.Itoa(n))
	p.Crumbs = []ui.Crumb{{Label: "Invoices", URL: v.link("/invoices")}, {Label: money.Title(&i.Invoice), URL: v.link("/invoices/" + i.ID)}}
	return v.render(hoursView(p, v, &i, n, hours))
}

// bars is a report as a chart.
func bars(r *model.UsageReport, by string) ui.Bars {
	form := "2 Jan"
	if by == "hour" {
		form = "2 Jan 15:04"
	}
	b := ui.Bars{Title: "Your calls by " + by + " (UTC)", Unit: "calls"}
	good, bad, failed := make([]int64, len(r.Times)), make([]int64, len(r.Times)), make([]int64, len(r.Times))
	for i, t := range r.Times {
		b.Labels = append(b.Labels, t.UTC().Format(form))
		s := r.Series[i]
		good[i], bad[i], failed[i] = s.Calls-s.Failed4xx-s.Failed5xx, s.Failed4xx, s.Failed5xx
	}
	b.Series = []ui.Series{{Label: "Answered", Class: "s0", Values: good}, {Label: "Refused or wrong (4xx)", Class: "s2", Values: bad}, {Label: "Failed (5xx)", Class: "s3", Values: failed}}
	return b
}
