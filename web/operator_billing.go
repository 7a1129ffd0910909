package web

import (
	"strconv"
	"time"

	"tollgate/billing"
	"tollgate/billing/rate"
	"tollgate/model"
	"tollgate/ui"
)

func (s *Server) operatorBillingRoutes() []route {
	return append(settleRoutes("/operator/billing", theOperator), []route{
		{method: "GET", pattern: "/operator/prices", who: theOperator, handle: (*visit).operatorPrices},
		{method: "POST", pattern: "/operator/prices", who: theOperator, handle: (*visit).addOperatorPrice},
		{method: "POST", pattern: "/operator/prices/pays", who: theOperator, handle: (*visit).operatorPays},
		{method: "GET", pattern: "/operator/billing", who: theOperator, handle: (*visit).operatorBilling},
		{method: "POST", pattern: "/operator/billing/run", who: theOperator, handle: (*visit).runBilling},
		{method: "GET", pattern: "/operator/billing/finalize", who: theOperator, handle: (*visit).confirmFinalize},
		{method: "POST", pattern: "/operator/billing/finalize", who: theOperator, handle: (*visit).finalize},
		{method: "GET", pattern: "/operator/billing/invoices/{invoice}", who: theOperator, handle: (*visit).invoice},
		{method: "GET", pattern: "/operator/billing/invoices/{invoice}/pdf", who: theOperator, handle: (*visit).invoicePDF},
		{method: "GET", pattern: "/operator/billing/invoices/{invoice}/csv", who: theOperator, handle: (*visit).invoiceCSV},
		{method: "GET", pattern: "/operator/billing/invoices/{invoice}/lines/{line}", who: theOperator, handle: (*visit).invoiceHours},
		{method: "GET", pattern: "/operator/billing/invoices/{invoice}/lines/{line}/csv", who: theOperator, handle: (*visit).invoiceHoursCSV},
	}...)
}

// pricesPage is what tenants are billed by, and a version to be added.
type pricesPage struct {
	Sheets []billing.SheetVersion
	Now    int // index of the one that this month is billed by; -1: none
	From   string
	Months []ui.Option
	*planForm
}

// tenantCalls are the months for which it is shown what a tenant pays.
var tenantCalls = []int64{1_000_000, 10_000_000, 100_000_000, 1_000_000_000, 25_000_000_000}

func (v *visit) operatorPrices() error {
	f := &planForm{priceForm: emptyPrice()}
	f.samples, f.Held = tenantCalls, heldFields(nil)
	sheets, err := v.Billing.OperatorSheets(v.ctx())
	if err != nil {
		return err
	}
	month, next := rate.Month(v.Now())
	from, start := month, billing.AmazonSheet()
	if len(sheets) > 0 {
		from, start = next, sheets[0].Sheet
	}
	f.priced(&start)
	f.pays()
	f.spare()
	return v.pricesWith(200, sheets, from.Format("2006-01"), f)
}

func (v *visit) pricesWith(status int, sheets []billing.SheetVersion, from string, f *planForm) error {
	month, _ := rate.Month(v.Now())
	p := pricesPage{Sheets: sheets, Now: -1, From: from, planForm: f}
	for i, s := range sheets {
		if !s.From.After(month) && (p.Now < 0 || s.From.After(sheets[p.Now].From)) {
			p.Now = i
		}
	}
	for n := -3; n <= 12; n++ {
		m := month.AddDate(0, n, 0)
		p.Months = append(p.Months, ui.Option{Value: m.Format("2006-01"), Label: billing.MonthText(m)})
	}
	return v.renderAs(status, pricesView(v.page("Prices"), p))
}

// operatorPriceForm is a price for tenants as it was sent.
func (v *visit) operatorPriceForm() *planForm {
	f := &planForm{priceForm: v.readPrice()}
	f.samples, f.Held = tenantCalls, heldFields(v.value)
	return f
}

// operatorPays is what tenants would pay by the price in the form, as it is being
// typed.
func (v *visit) operatorPays() error {
	f := v.operatorPriceForm()
	f.pays()
	return v.render(paysTable(f))
}

func (v *visit) addOperatorPrice() error {
	f, from := v.operatorPriceForm(), v.value("from")
	status := 200
	if v.value("act") == "" {
		status = 422
		sheet := f.price()
		if sheet == nil && len(f.Problems) == 0 {
			f.wrong("currency", "Prices need a currency; to charge nothing, leave fee and tiers empty")
		}
		month, err := billing.ParseMonth(from)
		f.refused("from", err)
		if len(f.Problems) == 0 {
			err := v.Billing.AddOperatorSheet(v.ctx(), v.by(), *sheet, month)
			if err == nil {
				return v.done("Tenants are billed by the new prices from "+billing.MonthText(month)+" on.", "/operator/prices")
			}
			if !invalid(err) {
				return err
			}
			field := ""
			if model.KindOf(err) == model.Conflict {
				field = "from"
			}
			f.refused(field, err)
		}
	}
	sheets, err := v.Billing.OperatorSheets(v.ctx())
	if err != nil {
		return err
	}
	f.pays()
	f.spare()
	return v.pricesWith(status, sheets, from, f)
}

// operatorMonth is a month of the operator's books.
type operatorMonth struct {
	Month         time.Time
	Months        []ui.Option
	Over          bool
	State         string
	Items         []billing.Invoice
	Drafts, Final []billing.Sum
	Unpaid        billing.Unpaid
	Next          string
	Priced        bool   // there is a price for it
	Seller        string // who the invoices are from; empty: not said yet
}

func (v *visit) operatorBilling() error {
	month, err := v.monthOf(v.query("month"))
	if err != nil {
		return err
	}
	if month.After(v.Now()) {
		return model.Errorf(model.Invalid, "%s has not begun; there is nothing to bill", billing.MonthText(month))
	}
	b := operatorMonth{Month: month, Months: monthOptions(v.Now(), month), Over: !month.AddDate(0, 1, 0).After(v.Now()), State: v.query("state")}
	var next string
	b.Items, next, err = v.Billing.Invoices(v.ctx(), v.books(), billing.Filter{Seller: v.sells(), State: b.State, Month: listedMonth(b.State, month), After: v.query("after")})
	if err != nil {
		return err
	}
	b.Next = v.next(next)
	if b.Drafts, b.Final, err = v.Billing.OperatorSums(v.ctx(), month); err != nil {
		return err
	}
	if b.Unpaid, err = v.Billing.Unpaid(v.ctx(), v.books()); err != nil {
		return err
	}
	sheets, err := v.Billing.OperatorSheets(v.ctx())
	if err != nil {
		return err
	}
	for _, s := range sheets {
		b.Priced = b.Priced || !s.From.After(month)
	}
	issuer, err := v.issuer()
	if err != nil {
		return err
	}
	b.Seller = issuer.Name
	return v.render(operatorBillingView(v.page("Billing"), &b))
}

func versionText(s billing.SheetVersion) string { return "Version " + strconv.Itoa(s.Version) }
