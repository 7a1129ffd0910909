package web

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tollgate/billing"
	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/money"
)

// invoiceAct is something that is done to a final invoice, on a page of its own.
type invoiceAct struct {
	name   string // in the URL
	title  string
	button string
	about  string
	danger bool
	amount string // label of its amount; empty: it has none
	dated  bool   // with a day and a reference
	reason string // label of its reason; empty: it has none
	lines  bool   // amounts may be said by line
	// fits says why it cannot be done now; empty: it can.
	fits func(*billing.InvoiceDetail) string
	// offer is the amount that the form begins with.
	offer func(*billing.InvoiceDetail) int64
}

var invoiceActs = []invoiceAct{
	{name: "pay", title: "Book a payment", button: "Book the payment", about: "Money that came by bank transfer. A part may be paid; what is more than open is owed back.",
		amount: "Amount", dated: true, fits: func(i *billing.InvoiceDetail) string {
			if i.State == model.StateVoid {
				return "The invoice is void: nothing is to be paid for it."
			}
			return ""
		}, offer: func(i *billing.InvoiceDetail) int64 { return i.Open() }},
	{name: "credit", title: "Credit", button: "Make the credit note", about: "A credit note takes an amount off the invoice: off what is open first; what was paid beyond that is owed back. It gets the next number of its series and cannot be changed.",
		amount: "Amount with tax", reason: "Reason, printed on the credit note", lines: true, fits: func(i *billing.InvoiceDetail) string {
			if i.Due == 0 {
				return "All of the invoice is credited already."
			}
			return ""
		}, offer: func(i *billing.InvoiceDetail) int64 { return 0 }},
	{name: "refund", title: "Pay back", button: "Book it as paid back", about: "Money that you returned. What is not owed back already is credited with it.",
		amount: "Amount", dated: true, reason: "Reason, printed on the credit note", fits: func(i *billing.InvoiceDetail) string {
			if i.Paid == fromWallet(i) {
				return "No money was paid: none can be paid back."
			}
			return ""
		}, offer: func(i *billing.InvoiceDetail) int64 { return i.Surplus() }},
	{name: "void", title: "Void", button: "Make it void", danger: true, about: "As if it had not been made: a credit note takes off all of it. Its number stays, and what it was for is not billed again.",
		reason: "Reason, printed on the credit note", fits: func(i *billing.InvoiceDetail) string {
			switch {
			case i.Paid > fromWallet(i):
				return "Money was paid for it. Credit it, and pay that back."
			case i.Due == 0:
				return "Nothing of it is open: there is nothing to take back."
			}
			return ""
		}},
	{name: "give-up", title: "Give up", button: "Give it up", danger: true, about: "It stays owed, but is reminded of no more, and its developer's keys are let in again. Money that comes all the same is booked as ever.",
		reason: "Reason, for the audit trail", fits: func(i *billing.InvoiceDetail) string {
			if i.State != model.StateOpen && i.State != model.StatePastDue {
				return "Nothing of it is open: there is nothing to give up."
			}
			return ""
		}},
}

// fromWallet is what of an invoice prepaid credit paid.
func fromWallet(i *billing.InvoiceDetail) (n int64) {
	for _, p := range i.Payments {
		if p.Kind == model.PaidByWallet {
			n += p.Amount
		}
	}
	return n
}

// settleRoutes are the acts' pages below the pages of an invoice.
func settleRoutes(base string, who access) (out []route) {
	at := base + "/invoices/{invoice}/"
	for _, a := range invoiceActs {
		out = append(out,
			route{method: "GET", pattern: at + a.name, who: who, handle: func(v *visit) error { return v.settlePage(a) }},
			route{method: "POST", pattern: at + a.name, who: who, handle: func(v *visit) error { return v.settle(a) }})
	}
	return append(append(out, couponRoutes(base, who)...),
		route{method: "GET", pattern: at + "credits/{note}/pdf", who: who, handle: (*visit).creditPDF},
		route{method: "GET", pattern: base + "/terms", who: who, handle: (*visit).terms},
		route{method: "POST", pattern: base + "/terms", who: who, handle: (*visit).saveTerms})
}

// settling is an act as it is filled in.
type settling struct {
	invoiceAct
	problems
	Inv       *billing.InvoiceDetail
	URL, Back string
	Once      string // known again when the form is sent twice
	Amount    string
	Date      string
	Reference string
	Reason    string
	Lines     []string // amounts by line
	Not       string   // why it cannot be done
}

// ours is the final invoice that the path names, of the visitor's own books.
func (v *visit) ours() (billing.InvoiceDetail, error) {
	inv, err := v.Billing.Invoice(v.ctx(), v.books(), v.path("invoice"))
	if err == nil && (inv.Seller != v.sells() || inv.State == "") {
		err = model.Errorf(model.NotFound, "there is no final invoice %q", v.path("invoice"))
	}
	return inv, err
}

func (v *visit) settleForm(a invoiceAct) (*settling, error) {
	inv, err := v.ours()
	if err != nil {
		return nil, err
	}
	back := v.invoiceURL(inv.ID)
	return &settling{invoiceAct: a, Inv: &inv, URL: back + "/" + a.name, Back: back, Not: a.fits(&inv), Lines: make([]string, len(inv.Lines))}, nil
}

func (v *visit) settlePageOf(f *settling) ui.Page {
	p := v.invoicePage(f.Inv)
	p.Crumbs = append(p.Crumbs, ui.Crumb{Label: money.Title(&f.Inv.Invoice), URL: f.Back})
	p.Title = f.title
	return p
}

func (v *visit) settlePage(a invoiceAct) error {
	f, err := v.settleForm(a)
	if err != nil {
		return err
	}
	f.Once, f.Date = model.NewID(12), v.Now().UTC().Format(time.DateOnly)
	if a.offer != nil {
		if n := a.offer(f.Inv); n > 0 {
			f.Amount = money.PlainAmount(n, f.Inv.Digits)
		}
	}
	return v.render(settleView(v.settlePageOf(f), f))
}

func (v *visit) settle(a invoiceAct) error {
	f, err := v.settleForm(a)
	if err != nil {
		return err
	}
	f.Once, f.Amount, f.Date, f.Reference, f.Reason = v.value("once"), v.value("amount"), v.value("date"), v.value("reference"), v.value("reason")
	var parts []billing.CreditPart
	for i := range f.Lines {
		name := "line" + strconv.Itoa(i+1)
		if f.Lines[i] = v.value(name); !a.lines || f.Lines[i] == "" {
			continue
		}
		if n := f.money(name, f.Lines[i]); n > 0 {
			parts = append(parts, billing.CreditPart{Line: i + 1, Net: n})
		}
	}
	var amount int64
	if a.amount != "" && len(parts) == 0 {
		amount = f.money("amount", f.Amount)
	}
	if len(parts) > 0 && f.Amount != "" {
		f.say("amount", "Say one amount for all, or amounts by line, not both")
	}
	var at time.Time
	if a.dated {
		if at, err = time.Parse(time.DateOnly, f.Date); err != nil {
			f.say("date", "%q is not a day such as 2026-03-31", f.Date)
		}
		if f.Reference == "" {
			f.say("reference", "A reference tells this payment from others, such as the one on the bank statement")
		}
	}
	if a.reason != "" && f.Reason == "" {
		f.say("reason", "Say why: who reads it later wants to know")
	}
	if len(f.problems) > 0 {
		return v.renderAs(http.StatusUnprocessableEntity, settleView(v.settlePageOf(f), f))
	}
	id, s, by := f.Inv.ID, v.books(), v.by()
	message := ""
	switch a.name {
	case "pay":
		var booked bool
		booked, err = v.Billing.Paid(v.ctx(), s, by, billing.Receipt{Invoice: id, Kind: model.PaidByHand, Amount: amount, Reference: f.Reference, At: at})
		message = money.Minor(amount, &f.Inv.Invoice) + " is booked as paid."
		if !booked {
			message = "A payment with this reference is booked already: nothing has changed."
		}
	case "refund":
		var booked bool
		booked, err = v.Billing.PaidBack(v.ctx(), s, by, billing.Receipt{Invoice: id, Amount: amount, Reference: f.Reference, Note: f.Reason, At: at})
		message = money.Minor(amount, &f.Inv.Invoice) + " is booked as paid back."
		if !booked {
			message = "Money paid back with this reference is booked already: nothing has changed."
		}
	case "credit":
		var n model.CreditNote
		n, err = v.Billing.Credit(v.ctx(), s, by, billing.Credit{Invoice: id, Reference: named(f.Once, model.NewID(12)), Reason: f.Reason, Amount: amount, Lines: parts})
		message = "Credit note " + n.Number + " of " + money.Minor(n.Amount, &f.Inv.Invoice) + " is made."
	case "void":
		err = v.Billing.Void(v.ctx(), s, by, id, f.Reason)
		message = "Invoice " + f.Inv.Number + " is void."
	case "give-up":
		err = v.Billing.GiveUp(v.ctx(), s, by, id, f.Reason)
		message = "Invoice " + f.Inv.Number + " is given up."
	}
	if invalid(err) {
		f.add("", err)
		return v.renderAs(http.StatusUnprocessableEntity, settleView(v.settlePageOf(f), f))
	}
	if err != nil {
		return err
	}
	return v.done(message, f.Back)
}

// money reads an amount above zero in minor units.
func (f *settling) money(field, s string) int64 {
	n, ok := money.ReadAmount(s, f.Inv.Currency)
	if !ok {
		f.say(field, "%.40q is not an amount above zero such as %s", s, money.PlainAmount(1250, f.Inv.Digits))
		return 0
	}
	return n
}

// toSettle are the acts that can be done to an invoice now.
func (v *visit) toSettle(inv *billing.InvoiceDetail) (out []action) {
	if inv.State == "" || inv.Seller != v.sells() {
		return nil
	}
	for _, a := range invoiceActs {
		if a.fits(inv) == "" && (a.name != "pay" || inv.Open() > 0) {
			out = append(out, action{Label: a.title, URL: v.invoiceURL(inv.ID) + "/" + a.name, Main: a.name == "pay"})
		}
	}
	return out
}

// creditPDF is written whole before it is sent: what cannot be is a page's error.
func (v *visit) creditPDF() error {
	inv, err := v.Billing.Invoice(v.ctx(), v.books(), v.path("invoice"))
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
	return v.send("application/pdf", n.Number+".pdf", func(w io.Writer) error {
		_, err := w.Write(b.Bytes())
		return err
	})
}

// termsForm is what a seller decides about its invoices, as it is edited.
type termsForm struct {
	problems
	URL       string
	Operator  bool
	Days      string
	Mail      bool
	TopUps    bool
	Reminders string
	Grace     string
	Unpaid    string
	Taxes     []ui.RowValues
	Country   string // of the seller; empty: not said
	SellerURL string
}

var taxColumns = []ui.Column{{Name: "country", Label: "Country"}, {Name: "region", Label: "Region"}, {Name: "name", Label: "Name of the tax"}, {Name: "percent", Label: "Percent"}}

func (v *visit) termsPage(status int, f *termsForm) error {
	issuer, err := v.issuer()
	if err != nil {
		return err
	}
	f.URL, f.Operator, f.Country, f.SellerURL = v.booksURL()+"/terms", v.realm == control.RealmOperator, issuer.Country, "/billing/seller"
	if f.Operator {
		f.SellerURL = "/operator/settings"
	}
	return v.renderAs(status, termsView(v.page("Terms and tax"), f))
}

func (v *visit) terms() error {
	r, err := v.Billing.Rules(v.ctx(), v.books())
	if err != nil {
		return err
	}
	f := &termsForm{Days: strconv.Itoa(r.TermDays), Mail: r.Mail, TopUps: r.TopUps, Grace: strconv.Itoa(r.GraceDays), Unpaid: r.Unpaid}
	var days []string
	for _, d := range r.Reminders {
		days = append(days, strconv.Itoa(d))
	}
	f.Reminders = strings.Join(days, ", ")
	for _, t := range r.Taxes {
		f.Taxes = append(f.Taxes, ui.RowValues{Cells: []string{t.Country, t.Region, t.Name, string(t.Percent)}})
	}
	return v.termsPage(200, f)
}

func (v *visit) saveTerms() error {
	was, err := v.Billing.Rules(v.ctx(), v.books())
	if err != nil {
		return err
	}
	f := &termsForm{Days: v.value("termDays"), Mail: v.checked("mail"), TopUps: v.checked("topUps"), Reminders: v.value("reminders"), Grace: v.value("graceDays"), Unpaid: v.value("unpaid"), Taxes: v.rows("taxes", taxColumns)}
	if v.more() {
		return v.termsPage(200, f)
	}
	r := model.BillingRules{Mail: f.Mail, TopUps: f.TopUps, Unpaid: f.Unpaid, GraceDays: was.GraceDays, Reminders: []int{}, Taxes: []model.TaxRate{}}
	if v.realm == control.RealmOperator {
		r.Unpaid = was.Unpaid // nothing of a tenant stops by itself
	}
	number := func(field, s string) int {
		n, err := strconv.Atoi(s)
		if err != nil {
			f.say(field, "%.20q is not a number of days", s)
		}
		return n
	}
	r.TermDays = number("termDays", f.Days)
	if v.realm != control.RealmOperator {
		r.GraceDays = number("graceDays", f.Grace)
	}
	for _, w := range listed(f.Reminders) {
		r.Reminders = append(r.Reminders, number("reminders", w))
	}
	for i := range f.Taxes {
		c := f.Taxes[i].Cells
		r.Taxes = append(r.Taxes, model.TaxRate{Country: strings.ToUpper(c[0]), Region: strings.ToUpper(c[1]), Name: c[2], Percent: model.Decimal(strings.TrimSuffix(c[3], "%"))})
	}
	if len(f.problems) == 0 {
		if field, err := r.Check(); err != nil {
			f.add(field, err)
		}
	}
	if len(f.problems) > 0 {
		return v.termsPage(http.StatusUnprocessableEntity, f)
	}
	if err := v.Billing.SetRules(v.ctx(), v.books(), v.by(), r); err != nil {
		return err
	}
	return v.done("Saved. Invoices that become final from now on follow it.", v.booksURL()+"/terms")
}
