package stripe

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	stripe "github.com/stripe/stripe-go/v79"

	"tollgate/billing"
	"tollgate/model"
)

// taxArgs asks Stripe Tax about a bill.
type taxArgs struct {
	Tenant uint32 `json:"tenant"`
	Hash   string `json:"hash"`
}

// Kind names the job in the queue.
func (taxArgs) Kind() string { return "stripe_tax" }

// TaxAsked has Stripe Tax asked about a bill.
func (r *Rail) TaxAsked(ctx context.Context, tx pgx.Tx, tenant uint32, hash string) error {
	return r.enqueue(ctx, tx, taxArgs{tenant, hash})
}

// askTax asks Stripe Tax what a bill's tax is, on the account that it is paid on. Asking
// makes nothing that anybody owes, and the same question has the same key.
func (r *Rail) askTax(ctx context.Context, a taxArgs) error {
	q, err := r.books.TaxQuestion(ctx, a.Tenant, a.Hash)
	if err != nil || q == nil {
		return err
	}
	p, err := r.payer(ctx, billing.Scope{Tenant: a.Tenant, Developer: q.Developer})
	if model.KindOf(err) == model.Conflict {
		return r.books.AnswerTax(ctx, a.Tenant, a.Hash, nil, "No Stripe account is connected, so that Stripe Tax cannot be asked")
	}
	if err != nil {
		return err
	}
	amount, err := toStripe(q.Currency, q.Net)
	if err != nil {
		return r.books.AnswerTax(ctx, a.Tenant, a.Hash, nil, model.MessageOf(err))
	}
	if q.To.Country == "" {
		return r.books.AnswerTax(ctx, a.Tenant, a.Hash, nil, "Stripe Tax needs the country of who pays, who has not said it yet")
	}
	params := &stripe.TaxCalculationParams{Params: on(ctx, p.account, anew), Currency: stripe.String(strings.ToLower(q.Currency)),
		CustomerDetails: &stripe.TaxCalculationCustomerDetailsParams{AddressSource: stripe.String("billing"), Address: addressOf(&q.To)},
		LineItems:       []*stripe.TaxCalculationLineItemParams{{Amount: &amount, Reference: stripe.String("net"), TaxBehavior: stripe.String("exclusive")}}}
	if model.IsVATID(q.To.Country, q.To.TaxID) {
		params.CustomerDetails.TaxIDs = []*stripe.TaxCalculationCustomerDetailsTaxIDParams{{Type: stripe.String("eu_vat"), Value: &q.To.TaxID}}
	}
	c, err := r.api.TaxCalculations.New(params)
	if e := answered(err); e != nil && e.HTTPStatusCode == 400 { // it says what is missing of the address
		return r.books.AnswerTax(ctx, a.Tenant, a.Hash, nil, "Stripe Tax: "+e.Msg)
	}
	if err != nil {
		return plain(err)
	}
	taxes, err := taxesOf(q, c)
	if err != nil {
		return r.books.AnswerTax(ctx, a.Tenant, a.Hash, nil, model.MessageOf(err))
	}
	return r.books.AnswerTax(ctx, a.Tenant, a.Hash, taxes, "")
}

// taxesOf are the lines of tax of an answer; they come to what it says in all.
func taxesOf(q *billing.TaxQuestion, c *stripe.TaxCalculation) ([]model.TaxLine, error) {
	out := []model.TaxLine{}
	var sum int64
	for _, b := range c.TaxBreakdown {
		amount, ok := fromStripe(q.Currency, b.Amount)
		base, okBase := fromStripe(q.Currency, b.TaxableAmount)
		if !ok || !okBase || b.Inclusive {
			return nil, model.Errorf(model.Conflict, "Stripe Tax answered %d %s, which is no whole amount of tax on top", b.Amount, q.Currency)
		}
		t := model.TaxLine{Name: "Tax", Percent: "0", Base: base, Amount: amount}
		if d := b.TaxRateDetails; d != nil {
			t.Name = taxName(string(d.TaxType), d.State)
			if d.PercentageDecimal != "" && model.Decimal(d.PercentageDecimal).Validate() == nil {
				t.Percent = model.Decimal(d.PercentageDecimal).Canonical()
			}
		}
		switch b.TaxabilityReason {
		case stripe.TaxCalculationTaxBreakdownTaxabilityReasonReverseCharge:
			t.Base, t.Note = q.Net, "Reverse charge: the recipient accounts for the tax"
		case stripe.TaxCalculationTaxBreakdownTaxabilityReasonNotCollecting:
			t.Base, t.Note = q.Net, "No tax is collected in "+q.To.Country
		}
		sum += amount
		out = append(out, t)
	}
	if all, ok := fromStripe(q.Currency, c.TaxAmountExclusive); !ok || all != sum || c.TaxAmountInclusive != 0 {
		return nil, model.Errorf(model.Conflict, "Stripe Tax answered parts that are not its whole: %d of %d", sum, c.TaxAmountExclusive)
	}
	return out, nil
}

var taxNames = map[string]string{"vat": "VAT", "gst": "GST", "hst": "HST", "pst": "PST", "qst": "QST", "rst": "RST", "jct": "JCT", "sales_tax": "Sales tax"}

func taxName(kind, state string) string {
	name := taxNames[kind]
	if name == "" {
		name = "Tax"
	}
	if state != "" {
		name = fmt.Sprintf("%s (%s)", name, state)
	}
	return name
}

// postalCodes are how they look where Stripe Tax goes by them.
var postalCodes = map[string]*regexp.Regexp{"US": regexp.MustCompile(`\b\d{5}(-\d{4})?\b`), "CA": regexp.MustCompile(`\b[A-Za-z]\d[A-Za-z] ?\d[A-Za-z]\d\b`)}

// addressOf is an address as Stripe Tax takes it. Of what was written in lines, the last
// that looks like a postal code is one.
func addressOf(p *model.Party) *stripe.AddressParams {
	out := &stripe.AddressParams{Country: &p.Country}
	if p.Region != "" {
		out.State = &p.Region
	}
	if form := postalCodes[p.Country]; form != nil {
		if all := form.FindAllString(p.Address, -1); len(all) > 0 {
			out.PostalCode = &all[len(all)-1]
		}
	}
	return out
}
