package web

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tollgate/billing"
	"tollgate/billing/rate"
	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/money"
)

func (s *Server) billingRoutes() []route {
	return append(settleRoutes("/billing", mayBill), []route{
		{method: "GET", pattern: "/billing", who: mayBill, handle: (*visit).billing},
		{method: "POST", pattern: "/billing/run", who: mayBill, handle: (*visit).runBilling},
		{method: "GET", pattern: "/billing/finalize", who: mayBill, handle: (*visit).confirmFinalize},
		{method: "POST", pattern: "/billing/finalize", who: mayBill, handle: (*visit).finalize},
		{method: "GET", pattern: "/billing/account", who: mayBill, handle: (*visit).ourBill},
		{method: "POST", pattern: "/billing/account/alert", who: mayBill, handle: (*visit).setSpendAlert},
		{method: "GET", pattern: "/billing/seller", who: mayBill, handle: (*visit).seller},
		{method: "POST", pattern: "/billing/seller", who: mayBill, handle: (*visit).saveSeller},
		{method: "GET", pattern: "/billing/invoices/{invoice}", who: mayBill, handle: (*visit).invoice},
		{method: "GET", pattern: "/billing/invoices/{invoice}/pdf", who: mayBill, handle: (*visit).invoicePDF},
		{method: "GET", pattern: "/billing/invoices/{invoice}/csv", who: mayBill, handle: (*visit).invoiceCSV},
		{method: "GET", pattern: "/billing/invoices/{invoice}/lines/{line}", who: mayBill, handle: (*visit).invoiceHours},
		{method: "GET", pattern: "/billing/invoices/{invoice}/lines/{line}/csv", who: mayBill, handle: (*visit).invoiceHoursCSV},
	}...)
}

// books are the visitor's: the account's, or the operator's.
func (v *visit) books() billing.Scope { return billing.Scope{Tenant: v.actor().Tenant} }

// sells is who the invoices are from that the visitor makes.
func (v *visit) sells() string {
	if v.realm == control.RealmOperator {
		return billing.ByOperator
	}
	return billing.BySeller
}

// issuer is who they are from: as it is said now, whatever a draft says.
func (v *visit) issuer() (model.Party, error) {
	if v.realm == control.RealmOperator {
		in, err := v.Plane.Installation(v.ctx(), v.actor())
		return in.Seller, err
	}
	return v.Billing.Seller(v.ctx(), v.books())
}

// booksURL is the page of the visitor's books; below it are the same pages in the
// console and in the operator's area.
func (v *visit) booksURL() string {
	if v.realm == control.RealmOperator {
		return "/operator/billing"
	}
	return "/billing"
}

func (v *visit) monthURL(month time.Time) string {
	return v.booksURL() + "?month=" + month.Format("2006-01")
}

func (v *visit) invoiceURL(id string) string {
	return v.booksURL() + "/invoices/" + url.PathEscape(id)
}

// by is the visitor, for the audit trail.
func (v *visit) by() billing.By {
	a := v.actor()
	return billing.By{Member: a.Member, Name: a.Name, Source: a.Source, Role: string(a.Role)}
}

// monthCrumbs lead from the books to a month of them.
func (v *visit) monthCrumbs(month time.Time) []ui.Crumb {
	return []ui.Crumb{{Label: "Billing", URL: v.booksURL()}, {Label: billing.MonthText(month), URL: v.monthURL(month)}}
}

func billingTabs(current string) []ui.Tab {
	out := []ui.Tab{{Label: "Developers", URL: "/billing"}, {Label: "Getting paid", URL: "/billing/payments"}, {Label: "Your own bill", URL: "/billing/account"}, {Label: "Coupons", URL: "/billing/coupons"}, {Label: "Terms and tax", URL: "/billing/terms"}, {Label: "Seller details", URL: "/billing/seller"}}
	for i := range out {
		out[i].Current = out[i].URL == current
	}
	return out
}

// billingMonth is a month of the account's books.
type billingMonth struct {
	Month   time.Time
	Over    bool // the month has ended
	Months  []ui.Option
	State   string
	Balance billing.Balance
	Unpaid  billing.Unpaid
	Seller  model.Party
	Items   []billing.Invoice
	Drafts  int
	Next    string
}

// monthOf is the month that the URL or the form names; the present one if none.
func (v *visit) monthOf(name string) (time.Time, error) {
	if name == "" {
		m, _ := rate.Month(v.Now())
		return m, nil
	}
	return billing.ParseMonth(name)
}

func (v *visit) billing() error {
	month, err := v.monthOf(v.query("month"))
	if err != nil {
		return err
	}
	if month.After(v.Now()) {
		return model.Errorf(model.Invalid, "%s has not begun; there is nothing to bill", billing.MonthText(month))
	}
	b := billingMonth{Month: month, Over: !month.AddDate(0, 1, 0).After(v.Now()), State: v.query("state"), Months: monthOptions(v.Now(), month)}
	if b.Balance, err = v.Billing.Balance(v.ctx(), v.books(), month); err != nil {
		return err
	}
	if b.Unpaid, err = v.Billing.Unpaid(v.ctx(), v.books()); err != nil {
		return err
	}
	if b.Seller, err = v.Billing.Seller(v.ctx(), v.books()); err != nil {
		return err
	}
	var next string
	b.Items, next, err = v.Billing.Invoices(v.ctx(), v.books(), billing.Filter{Seller: billing.BySeller, State: b.State, Month: listedMonth(b.State, month), After: v.query("after")})
	if err != nil {
		return err
	}
	b.Next = v.next(next)
	return v.render(billingPage(v.page("Billing"), &b))
}

// monthOptions are the last two years, and the month that is looked at.
func monthOptions(now, chosen time.Time) []ui.Option {
	m, _ := rate.Month(now)
	var out []ui.Option
	found := false
	for range 24 {
		out = append(out, ui.Option{Value: m.Format("2006-01"), Label: billing.MonthText(m)})
		found = found || m.Equal(chosen)
		m = m.AddDate(0, -1, 0)
	}
	if !found {
		out = append(out, ui.Option{Value: chosen.Format("2006-01"), Label: billing.MonthText(chosen)})
	}
	return out
}

func (v *visit) runBilling() error {
	month, err := v.monthOf(v.value("month"))
	if err != nil {
		return err
	}
	n, err := v.Billing.Run(v.ctx(), v.books(), v.by(), month)
	message := "Nobody owes anything for " + billing.MonthText(month) + " beyond what was invoiced: there are no drafts."
	if n > 0 {
		message = ui.Plural(n, "draft is", "drafts are") + " made for " + billing.MonthText(month) + ", of usage up to now. Look at them, then make them final."
	}
	return v.outcome(err, message, v.monthURL(month))
}

// finalizing is what is about to be made final: one draft, or all of a month.
type finalizing struct {
	URL       string // of the form
	Unnamed   bool   // nobody said who the invoices are from
	SellerURL string // where that is said
	Back      string // the page it was come from
	Month     time.Time
	Invoice   string // its id, where it is one
	Drafts    []billing.Invoice
	Over      bool
	Problem   string // usage that is still out
}

func (v *visit) toFinalize(invoice, month string) (*finalizing, error) {
	f := &finalizing{URL: v.booksURL() + "/finalize", SellerURL: "/billing/seller", Invoice: invoice}
	if v.realm == control.RealmOperator {
		f.SellerURL = "/operator/settings"
	}
	issuer, err := v.issuer()
	if err != nil {
		return nil, err
	}
	f.Unnamed = issuer.Name == ""
	if invoice != "" {
		inv, err := v.Billing.Invoice(v.ctx(), v.books(), invoice)
		switch {
		case err != nil:
			return nil, err
		case inv.Seller != v.sells():
			return nil, model.Errorf(model.NotFound, "there is no draft %q", invoice)
		case inv.Final:
			return nil, model.Errorf(model.Conflict, "invoice %s is final already", inv.Number)
		}
		f.Month, f.Drafts, f.Back = inv.Begin, []billing.Invoice{inv.Invoice}, v.invoiceURL(invoice)
	} else {
		m, err := v.monthOf(month)
		if err != nil {
			return nil, err
		}
		f.Month, f.Back = m, v.monthURL(m)
		if f.Drafts, err = v.Billing.Drafts(v.ctx(), v.books(), m); err != nil {
			return nil, err
		}
	}
	f.Over = !f.Month.AddDate(0, 1, 0).After(v.Now())
	return f, nil
}

func (f *finalizing) problems() []ui.Problem {
	if f.Problem == "" {
		return nil
	}
	return []ui.Problem{{Text: f.Problem}}
}

func (f *finalizing) becoming() string {
	if len(f.Drafts) == 1 {
		return "1 draft becomes an invoice"
	}
	return ui.Quantity(len(f.Drafts)) + " drafts become invoices"
}

// sums are the drafts' amounts by currency.
func (f *finalizing) sums() string {
	var all []billing.Sum
	for _, d := range f.Drafts {
		all = addSum(all, d)
	}
	return sumText(all)
}

func addSum(all []billing.Sum, i billing.Invoice) []billing.Sum {
	for n := range all {
		if all[n].Currency == i.Currency {
			all[n].Minor += i.Total
			all[n].Invoices++
			return all
		}
	}
	return append(all, billing.Sum{Currency: i.Currency, Digits: i.Digits, Minor: i.Total, Invoices: 1})
}

// stateOptions are what of the books may be looked at alone.
func stateOptions() []ui.Option {
	return []ui.Option{{Label: "Drafts and invoices"}, {Value: "draft", Label: "Drafts"}, {Value: "final", Label: "Invoices"}, {Value: model.StateOpen, Label: "Open"},
		{Value: model.StatePastDue, Label: "Past due"}, {Value: model.StatePaid, Label: "Paid"}, {Value: model.StateVoid, Label: "Void"}, {Value: model.StateUncollectible, Label: "Given up"}}
}

// listedMonth is the month that a list of invoices is of: what is open is looked at over
// all months, by the zero time.
func listedMonth(state string, month time.Time) time.Time {
	if state == model.StateOpen || state == model.StatePastDue {
		return time.Time{}
	}
	return month
}

// listOf is what a list of invoices is called.
func listOf(state string, month time.Time) string {
	switch {
	case state == model.StatePastDue:
		return "Past due, of all months"
	case listedMonth(state, month).IsZero():
		return "Open, of all months"
	}
	return billing.MonthText(month)
}

// unpaidNote says how much of what is open is past due.
func unpaidNote(u billing.Unpaid) string {
	if n := sumCount(u.PastDue); n > 0 {
		return sumText(u.PastDue) + " of it past due, on " + ui.Plural(n, "invoice", "invoices")
	}
	return "of all months, none past due"
}

// sumText writes amounts of several currencies.
func sumText(all []billing.Sum) string {
	if len(all) == 0 {
		return "0"
	}
	var out []string
	for _, s := range all {
		out = append(out, ui.Money(s.Minor, s.Currency, s.Digits))
	}
	return strings.Join(out, " + ")
}

func sumCount(all []billing.Sum) (n int) {
	for _, s := range all {
		n += s.Invoices
	}
	return n
}

func (v *visit) finalizePage(f *finalizing) ui.Page {
	p := v.page("Make invoices final")
	p.Crumbs = v.monthCrumbs(f.Month)
	return p
}

func (v *visit) confirmFinalize() error {
	f, err := v.toFinalize(v.query("invoice"), v.query("month"))
	if model.KindOf(err) == model.Conflict {
		return v.outcome(err, "", v.invoiceURL(v.query("invoice")))
	}
	if err != nil {
		return err
	}
	return v.render(finalizeView(v.finalizePage(f), f))
}

func (v *visit) finalize() error {
	f, err := v.toFinalize(v.value("invoice"), v.value("month"))
	if model.KindOf(err) == model.Conflict {
		return v.outcome(err, "", v.invoiceURL(v.value("invoice")))
	}
	if err != nil {
		return err
	}
	if len(f.Drafts) == 0 {
		return v.outcome(model.Errorf(model.Conflict, "there are no drafts for %s; make them first", billing.MonthText(f.Month)), "", f.Back)
	}
	var ids []string
	for _, d := range f.Drafts {
		ids = append(ids, d.ID)
	}
	done, err := v.Billing.Finalize(v.ctx(), v.books(), v.by(), ids, v.checked("on"))
	switch model.KindOf(err) {
	case model.Unavailable:
		f.Problem = sentence(model.MessageOf(err))
		return v.renderAs(http.StatusUnprocessableEntity, finalizeView(v.finalizePage(f), f))
	case model.NotFound: // somebody else was faster
		return v.outcome(model.Errorf(model.Conflict, "the drafts changed meanwhile; look at them again"), "", v.monthURL(f.Month))
	}
	if len(done) == 0 && err == nil {
		return v.done("Nothing was owed any more: there is no invoice.", v.monthURL(f.Month))
	}
	return v.outcome(err, ui.Plural(len(done), "invoice is", "invoices are")+" final.", f.Back)
}

func (v *visit) invoicePage(inv *billing.InvoiceDetail) ui.Page {
	p := v.page(money.Title(&inv.Invoice))
	p.Crumbs = v.monthCrumbs(inv.Begin)
	if inv.Seller != v.sells() {
		p.Crumbs[1] = ui.Crumb{Label: "Your own bill", URL: "/billing/account"}
	}
	return p
}

func (v *visit) invoice() error {
	inv, err := v.Billing.Invoice(v.ctx(), v.books(), v.path("invoice"))
	if err != nil {
		return err
	}
	return v.render(invoiceView(v.invoicePage(&inv), &inv, v.invoiceURL(inv.ID), v.toDo(&inv)))
}

// action is something to do about what a page shows, on another page.
type action struct {
	Label, URL string
	Main       bool
}

// toDo is what the visitor can do about an invoice beside reading it.
func (v *visit) toDo(inv *billing.InvoiceDetail) (out []action) {
	if v.realm == control.RealmOperator {
		out = append(out, action{Label: "The tenant", URL: tenantURL(inv.AccountID)})
	}
	if !inv.Final && inv.Seller == v.sells() {
		out = append(out, action{"Make it final", v.booksURL() + "/finalize?invoice=" + url.QueryEscape(inv.ID), true})
	}
	if v.realm == control.RealmOperator && inv.State == model.StatePastDue {
		out = append(out, action{Label: "Suspend the tenant", URL: tenantURL(inv.AccountID) + "/suspend"})
	}
	return append(out, v.toSettle(inv)...)
}

// invoicePDF is written whole before it is sent: what cannot be is a page's error.
func (v *visit) invoicePDF() error {
	inv, err := v.Billing.Invoice(v.ctx(), v.books(), v.path("invoice"))
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := money.PDF(&b, &inv); err != nil {
		return err
	}
	return v.send("application/pdf", money.FileName(&inv.Invoice, "pdf"), func(w io.Writer) error {
		_, err := w.Write(b.Bytes())
		return err
	})
}

func (v *visit) invoiceCSV() error {
	inv, err := v.Billing.Invoice(v.ctx(), v.books(), v.path("invoice"))
	if err != nil {
		return err
	}
	return v.send("text/csv; charset=utf-8", money.FileName(&inv.Invoice, "csv"), func(w io.Writer) error { return money.CSV(w, &inv) })
}

// behind is the line that the path names, with the usage behind it.
func (v *visit) behind() (inv billing.InvoiceDetail, use billing.Use, err error) {
	line, err := strconv.Atoi(v.path("line"))
	if err != nil {
		return inv, use, model.Errorf(model.NotFound, "there is no line %q", v.path("line"))
	}
	return v.Billing.Behind(v.ctx(), v.books(), v.path("invoice"), line)
}

func (v *visit) invoiceHours() error {
	inv, use, err := v.behind()
	if err != nil {
		return err
	}
	p := v.invoicePage(&inv)
	p.Crumbs = append(p.Crumbs, ui.Crumb{Label: money.Title(&inv.Invoice), URL: v.invoiceURL(inv.ID)})
	p.Title = "Hours behind line " + strconv.Itoa(use.Line)
	calls := ""
	if v.realm != control.RealmOperator && (inv.Lines[use.Line-1].Meter == model.MeterCalls || inv.Lines[use.Line-1].Meter == model.MeterBytesOut) {
		calls = "/calls?hour="
		if use.Subscription != 0 {
			calls = "/calls?subscription=" + strconv.FormatUint(use.Subscription, 10) + "&hour="
		}
	}
	return v.render(hoursView(p, &inv, &use, calls, v.Plane.CallsSince()))
}

func (v *visit) invoiceHoursCSV() error {
	inv, use, err := v.behind()
	if err != nil {
		return err
	}
	name := money.FileName(&inv.Invoice, fmt.Sprintf("line-%d.csv", use.Line))
	return v.send("text/csv; charset=utf-8", name, func(w io.Writer) error { return money.HoursCSV(w, &inv, &use) })
}

// ourBill is what the operator bills the account.
func (v *visit) ourBill() error {
	month, _ := rate.Month(v.Now())
	now, err := v.Billing.Preview(v.ctx(), v.books(), month)
	if err != nil {
		return err
	}
	ahead, err := v.Billing.Forecast(v.ctx(), v.books())
	if err != nil {
		return err
	}
	l, next, err := v.Billing.Invoices(v.ctx(), v.books(), billing.Filter{Seller: billing.ByOperator, After: v.query("after")})
	if err != nil {
		return err
	}
	pay, err := v.paying()
	if err != nil {
		return err
	}
	wallets, err := v.Billing.Wallets(v.ctx(), v.books(), billing.Payer{Tenant: v.books().Tenant})
	if err != nil {
		return err
	}
	alert, err := v.Plane.SpendAlert(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	return v.render(ourBillView(v.page("Your own bill"), month, now, ahead, l, v.next(next), pay, creditLine(wallets), alert))
}

// sellerForm is who invoices are from, as it is edited.
type sellerForm struct {
	model.Party
	Problems []ui.Problem
}

func (f *sellerForm) at(name string) string {
	for _, p := range f.Problems {
		if p.Name == name {
			return p.Text
		}
	}
	return ""
}

func (v *visit) seller() error {
	p, err := v.Billing.Seller(v.ctx(), v.books())
	if err != nil {
		return err
	}
	return v.render(sellerView(v.page("Seller details"), &sellerForm{Party: p}))
}

func (v *visit) saveSeller() error {
	f := &sellerForm{Party: v.party()}
	if field, err := f.Check(); err != nil {
		f.Problems = []ui.Problem{{Name: field, Text: sentence(model.MessageOf(err))}}
		return v.renderAs(http.StatusUnprocessableEntity, sellerView(v.page("Seller details"), f))
	}
	if err := v.Billing.SetSeller(v.ctx(), v.books(), v.by(), f.Party); err != nil {
		return err
	}
	return v.done("Saved. Invoices that become final from now on are from "+named(f.Name, "your account's name")+".", "/billing/seller")
}

// party reads the fields of who an invoice is from or to.
func (v *visit) party() model.Party {
	return model.Party{Name: v.value("name"), Address: strings.ReplaceAll(v.value("address"), "\r\n", "\n"), TaxID: v.value("taxId"), Email: v.value("email"),
		Country: strings.ToUpper(v.value("country")), Region: strings.ToUpper(v.value("region"))}
}

func named(name, fallback string) string {
	if name == "" {
		return fallback
	}
	return name
}
