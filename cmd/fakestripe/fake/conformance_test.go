package fake_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v79"
	"github.com/stripe/stripe-go/v79/client"

	"tollgate/cmd/fakestripe/fake"
)

// The suite below is written against stripe-go alone. It runs against the fake always, and
// against Stripe's test mode where TOLLGATE_STRIPE_TEST_KEY holds a key for it, so that the fake
// cannot drift from what it imitates without being seen.

// bed is what a case runs against.
type bed struct {
	*testing.T
	api  *client.API
	fake *fake.Server // nil: Stripe itself
	run  string       // makes idempotency keys of this run unlike those of others
	url  string       // of the fake
}

func TestConformance(t *testing.T) {
	t.Run("fake", func(t *testing.T) {
		for name, do := range cases {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s, url := start(t, fake.Options{})
				do(bed{t, connect(t, url), s, t.Name(), url})
			})
		}
	})
	t.Run("stripe", func(t *testing.T) {
		key := os.Getenv("TOLLGATE_STRIPE_TEST_KEY")
		if key == "" {
			t.Skip("NOT compared with Stripe itself: set TOLLGATE_STRIPE_TEST_KEY to a key of Stripe's test mode (sk_test_...) to do it")
		}
		if !strings.HasPrefix(key, "sk_test_") {
			t.Fatal("TOLLGATE_STRIPE_TEST_KEY must begin with sk_test_: the suite makes customers and charges")
		}
		for name, do := range cases {
			t.Run(name, func(t *testing.T) {
				do(bed{t, client.New(key, nil), nil, t.Name() + time.Now().Format(time.RFC3339Nano), ""})
			})
		}
	})
}

// must fails the test on an error and otherwise returns the value.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// refused checks that a call failed with a status and, unless empty, a code.
func refused(t testing.TB, err error, status int, code stripe.ErrorCode) *stripe.Error {
	t.Helper()
	se, ok := errors.AsType[*stripe.Error](err)
	if !ok {
		t.Fatalf("got %v, want an error of Stripe's with status %d", err, status)
	}
	if se.HTTPStatusCode != status || code != "" && se.Code != code {
		t.Fatalf("got %d %s (%s), want %d %s", se.HTTPStatusCode, se.Code, se.Msg, status, code)
	}
	return se
}

// eventually waits for what Stripe does by itself.
func (b bed) eventually(what string, done func() bool) {
	b.Helper()
	if b.fake != nil {
		if err := b.fake.Settle(b.Context()); err != nil {
			b.Fatal(err)
		}
		if !done() {
			b.Fatalf("%s: not after everything due was done", what)
		}
		return
	}
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for end := time.After(2 * time.Minute); !done(); {
		select {
		case <-tick.C:
		case <-end:
			b.Fatalf("%s: not within two minutes", what)
		}
	}
}

// customer makes a customer, with a saved and default card unless that is empty.
func (b bed) customer(card string) *stripe.Customer {
	b.Helper()
	c := must(b.api.Customers.New(&stripe.CustomerParams{Name: stripe.String("Ada Lovelace"), Email: stripe.String("ada@example.com")}))(b)
	if card != "" {
		pm := must(b.api.PaymentMethods.Attach(card, &stripe.PaymentMethodAttachParams{Customer: &c.ID}))(b)
		c = must(b.api.Customers.Update(c.ID, &stripe.CustomerParams{
			InvoiceSettings: &stripe.CustomerInvoiceSettingsParams{DefaultPaymentMethod: &pm.ID}}))(b)
	}
	return c
}

// invoice makes a draft with lines of those amounts.
func (b bed) invoice(c *stripe.Customer, amounts ...int64) *stripe.Invoice {
	b.Helper()
	inv := must(b.api.Invoices.New(&stripe.InvoiceParams{Customer: &c.ID, Currency: stripe.String("eur"), AutoAdvance: stripe.Bool(false),
		PendingInvoiceItemsBehavior: stripe.String("exclude"), Metadata: map[string]string{"local_id": b.run}}))(b)
	if len(amounts) == 0 {
		return inv
	}
	p := &stripe.InvoiceAddLinesParams{}
	for _, a := range amounts {
		p.Lines = append(p.Lines, &stripe.InvoiceAddLinesLineParams{Amount: stripe.Int64(a), Description: stripe.String("calls"), Metadata: map[string]string{"line_key": "k"}})
	}
	return must(b.api.Invoices.AddLines(inv.ID, p))(b)
}

func (b bed) paid(c *stripe.Customer, amounts ...int64) *stripe.Invoice {
	b.Helper()
	inv := b.invoice(c, amounts...)
	must(b.api.Invoices.FinalizeInvoice(inv.ID, nil))(b)
	return must(b.api.Invoices.Pay(inv.ID, nil))(b)
}

var cases = map[string]func(bed){
	"tax is worked out by where the customer is": func(b bed) {
		ask := func(country, vat string) (*stripe.TaxCalculation, error) {
			p := &stripe.TaxCalculationParams{Currency: stripe.String("eur"), CustomerDetails: &stripe.TaxCalculationCustomerDetailsParams{AddressSource: stripe.String("billing"),
				Address: &stripe.AddressParams{Country: &country}}, LineItems: []*stripe.TaxCalculationLineItemParams{{Amount: stripe.Int64(1000), Reference: stripe.String("net"), TaxBehavior: stripe.String("exclusive")}}}
			if vat != "" {
				p.CustomerDetails.TaxIDs = []*stripe.TaxCalculationCustomerDetailsTaxIDParams{{Type: stripe.String("eu_vat"), Value: &vat}}
			}
			return b.api.TaxCalculations.New(p)
		}
		c := must(ask("DE", ""))(b)
		if len(c.TaxBreakdown) == 0 || c.AmountTotal != 1000+c.TaxAmountExclusive {
			b.Errorf("got %+v", c)
		}
		must(ask("FR", "FR12345678901"))(b)
		if _, err := ask("US", ""); err == nil {
			b.Error("tax was worked out for an address without a postal code")
		}
	},
	"customers keep what they are told": func(b bed) {
		c := must(b.api.Customers.New(&stripe.CustomerParams{Name: stripe.String("Ada"), Metadata: map[string]string{"tenant": "t1", "drop": "x"},
			Address: &stripe.AddressParams{Country: stripe.String("DE"), City: stripe.String("Berlin")}}))(b)
		c = must(b.api.Customers.Update(c.ID, &stripe.CustomerParams{Metadata: map[string]string{"drop": "", "more": "y"}}))(b)
		if c.Metadata["tenant"] != "t1" || c.Metadata["more"] != "y" || len(c.Metadata) != 2 || c.Address.City != "Berlin" {
			b.Errorf("got %v %+v", c.Metadata, c.Address)
		}
		id := must(b.api.TaxIDs.New(&stripe.TaxIDParams{Customer: &c.ID, Type: stripe.String("eu_vat"), Value: stripe.String("DE123456789")}))(b)
		if id.Country != "DE" || id.Customer.ID != c.ID {
			b.Errorf("tax id %+v", id)
		}
		must(b.api.TaxIDs.Del(id.ID, &stripe.TaxIDParams{Customer: &c.ID}))(b)
		if d := must(b.api.Customers.Del(c.ID, nil))(b); !d.Deleted {
			b.Error("the customer does not say it is deleted")
		}
	},
	"what is wrong is refused as Stripe does": func(b bed) {
		p := &stripe.CustomerParams{}
		p.AddExtra("nonsense", "1")
		_, err := b.api.Customers.New(p)
		if e := refused(b, err, 400, stripe.ErrorCodeParameterUnknown); e.Param != "nonsense" || e.Type != stripe.ErrorTypeInvalidRequest || e.RequestID == "" {
			b.Errorf("got %+v", e)
		}
		_, err = b.api.Customers.Get("cus_none", nil)
		refused(b, err, 404, stripe.ErrorCodeResourceMissing)
		_, err = b.api.Invoices.New(&stripe.InvoiceParams{Customer: stripe.String("cus_none")})
		if e := refused(b, err, 400, stripe.ErrorCodeResourceMissing); e.Param != "customer" {
			b.Errorf("param %q", e.Param)
		}
		_, err = b.api.CheckoutSessions.New(&stripe.CheckoutSessionParams{Mode: stripe.String("upside_down"), SuccessURL: stripe.String("https://example.com/")})
		refused(b, err, 400, "")
		_, err = b.api.AccountLinks.New(&stripe.AccountLinkParams{Type: stripe.String("account_onboarding")})
		if e := refused(b, err, 400, stripe.ErrorCodeParameterMissing); e.Param != "account" {
			b.Errorf("param %q", e.Param)
		}
	},
	"a key makes a call once": func(b bed) {
		p := func(name string) *stripe.CustomerParams {
			p := &stripe.CustomerParams{Name: &name}
			p.SetIdempotencyKey(b.run + ":customer:1")
			return p
		}
		first := must(b.api.Customers.New(p("Ada")))(b)
		again := must(b.api.Customers.New(p("Ada")))(b)
		if first.ID != again.ID || again.LastResponse.Header.Get("Idempotent-Replayed") != "true" {
			b.Errorf("%s then %s, replayed %q", first.ID, again.ID, again.LastResponse.Header.Get("Idempotent-Replayed"))
		}
		_, err := b.api.Customers.New(p("Grace"))
		if e := refused(b, err, 400, ""); e.Type != stripe.ErrorTypeIdempotency {
			b.Errorf("type %s", e.Type)
		}
	},
	"cards are saved or declined": func(b bed) {
		c := b.customer("pm_card_visa")
		l := b.api.PaymentMethods.List(&stripe.PaymentMethodListParams{Customer: &c.ID, Type: stripe.String("card")})
		if !l.Next() || l.PaymentMethod().Card.Last4 != "4242" || l.PaymentMethod().ID != c.InvoiceSettings.DefaultPaymentMethod.ID {
			b.Errorf("list %+v %v", l.PaymentMethod(), l.Err())
		}
		_, err := b.api.PaymentMethods.Attach("pm_card_visa_chargeDeclined", &stripe.PaymentMethodAttachParams{Customer: &c.ID})
		if e := refused(b, err, 402, stripe.ErrorCodeCardDeclined); e.DeclineCode != stripe.DeclineCodeGenericDecline || e.Type != stripe.ErrorTypeCard {
			b.Errorf("got %+v", e)
		}
		si := must(b.api.SetupIntents.New(&stripe.SetupIntentParams{Customer: &c.ID, PaymentMethod: stripe.String("pm_card_mastercard"), Confirm: stripe.Bool(true),
			PaymentMethodTypes: stripe.StringSlice([]string{"card"})}))(b)
		if si.Status != stripe.SetupIntentStatusSucceeded || si.PaymentMethod == nil {
			b.Errorf("set-up %s", si.Status)
		}
		pm := must(b.api.PaymentMethods.Detach(si.PaymentMethod.ID, nil))(b)
		if pm.Customer != nil {
			b.Error("a detached card still has a customer")
		}
	},
	"an invoice goes from draft to paid": func(b bed) {
		c := b.customer("pm_card_visa")
		inv := b.invoice(c, 1000, 250, 1)
		if inv.Status != "draft" || inv.Total != 1251 || inv.Subtotal != 1251 || len(inv.Lines.Data) != 3 || inv.Lines.Data[0].Metadata["line_key"] != "k" || inv.Number != "" {
			b.Fatalf("draft: %s total %d lines %d number %q", inv.Status, inv.Total, len(inv.Lines.Data), inv.Number)
		}
		if inv.Metadata["local_id"] != b.run {
			b.Errorf("metadata %v", inv.Metadata)
		}
		inv = must(b.api.Invoices.RemoveLines(inv.ID, &stripe.InvoiceRemoveLinesParams{Lines: []*stripe.InvoiceRemoveLinesLineParams{
			{ID: &inv.Lines.Data[2].ID, Behavior: stripe.String("delete")}}}))(b)
		inv = must(b.api.Invoices.UpdateLines(inv.ID, &stripe.InvoiceUpdateLinesParams{Lines: []*stripe.InvoiceUpdateLinesLineParams{
			{ID: &inv.Lines.Data[1].ID, Amount: stripe.Int64(300)}}}))(b)
		if inv.Total != 1300 {
			b.Fatalf("total %d after changes", inv.Total)
		}
		inv = must(b.api.Invoices.FinalizeInvoice(inv.ID, nil))(b)
		if inv.Status != "open" || inv.Number == "" || inv.PaymentIntent == nil || inv.AmountRemaining != 1300 || inv.HostedInvoiceURL == "" || inv.StatusTransitions.FinalizedAt == 0 {
			b.Fatalf("open: %s number %q remaining %d", inv.Status, inv.Number, inv.AmountRemaining)
		}
		_, err := b.api.Invoices.AddLines(inv.ID, &stripe.InvoiceAddLinesParams{Lines: []*stripe.InvoiceAddLinesLineParams{{Amount: stripe.Int64(1)}}})
		refused(b, err, 400, "")
		_, err = b.api.Invoices.FinalizeInvoice(inv.ID, nil)
		refused(b, err, 400, "")
		_, err = b.api.Invoices.Del(inv.ID, nil)
		refused(b, err, 400, "")
		inv = must(b.api.Invoices.Pay(inv.ID, nil))(b)
		if inv.Status != "paid" || !inv.Paid || inv.AmountPaid != 1300 || inv.AmountRemaining != 0 || inv.Charge == nil || inv.StatusTransitions.PaidAt == 0 {
			b.Fatalf("paid: %s %d", inv.Status, inv.AmountPaid)
		}
		for _, move := range []func() error{
			func() error { _, err := b.api.Invoices.Pay(inv.ID, nil); return err },
			func() error { _, err := b.api.Invoices.VoidInvoice(inv.ID, nil); return err },
			func() error { _, err := b.api.Invoices.MarkUncollectible(inv.ID, nil); return err },
		} {
			refused(b, move(), 400, "")
		}
	},
	"Stripe collects by itself": func(b bed) {
		c := b.customer("pm_card_visa")
		inv := b.invoice(c, 700)
		must(b.api.Invoices.FinalizeInvoice(inv.ID, &stripe.InvoiceFinalizeInvoiceParams{AutoAdvance: stripe.Bool(true)}))(b)
		if b.fake == nil {
			b.Skip("when Stripe charges it is its own affair")
		}
		b.eventually("paid", func() bool { return must(b.api.Invoices.Get(inv.ID, nil))(b).Status == "paid" })
	},
	"taxes add up": func(b bed) {
		inv := b.invoice(b.customer(""))
		tax := func(inclusive bool, amount int64) []*stripe.InvoiceAddLinesLineTaxAmountParams {
			return []*stripe.InvoiceAddLinesLineTaxAmountParams{{Amount: stripe.Int64(amount), TaxableAmount: stripe.Int64(1000), TaxRateData: &stripe.InvoiceAddLinesLineTaxAmountTaxRateDataParams{
				DisplayName: stripe.String("VAT"), Inclusive: &inclusive, Percentage: stripe.Float64(19), Country: stripe.String("DE"), TaxType: stripe.String("vat")}}}
		}
		inv = must(b.api.Invoices.AddLines(inv.ID, &stripe.InvoiceAddLinesParams{Lines: []*stripe.InvoiceAddLinesLineParams{
			{Amount: stripe.Int64(1000), TaxAmounts: tax(false, 190)}, {Amount: stripe.Int64(1000), TaxAmounts: tax(false, 190)}}}))(b)
		if inv.Subtotal != 2000 || inv.Tax != 380 || inv.Total != 2380 || inv.TotalExcludingTax != 2000 || len(inv.TotalTaxAmounts) != 1 || inv.TotalTaxAmounts[0].Amount != 380 {
			b.Errorf("subtotal %d tax %d total %d without %d, %d taxes", inv.Subtotal, inv.Tax, inv.Total, inv.TotalExcludingTax, len(inv.TotalTaxAmounts))
		}
	},
	"nothing to pay is paid": func(b bed) {
		inv := must(b.api.Invoices.FinalizeInvoice(b.invoice(b.customer(""), 0).ID, nil))(b)
		if inv.Status != "paid" || inv.PaymentIntent != nil || inv.Number == "" {
			b.Errorf("%s", inv.Status)
		}
	},
	"a declined card leaves it open": func(b bed) {
		c := b.customer("pm_card_chargeCustomerFail")
		inv := must(b.api.Invoices.FinalizeInvoice(b.invoice(c, 900).ID, nil))(b)
		_, err := b.api.Invoices.Pay(inv.ID, nil)
		refused(b, err, 402, stripe.ErrorCodeCardDeclined)
		p := &stripe.InvoiceParams{}
		p.AddExpand("payment_intent")
		inv = must(b.api.Invoices.Get(inv.ID, p))(b)
		if inv.Status != "open" || !inv.Attempted || inv.AttemptCount != 1 || inv.PaymentIntent.Status != stripe.PaymentIntentStatusRequiresPaymentMethod ||
			inv.PaymentIntent.LastPaymentError.Code != stripe.ErrorCodeCardDeclined {
			b.Errorf("%s attempts %d intent %s", inv.Status, inv.AttemptCount, inv.PaymentIntent.Status)
		}
		pm := must(b.api.PaymentMethods.Attach("pm_card_visa", &stripe.PaymentMethodAttachParams{Customer: &c.ID}))(b)
		if inv = must(b.api.Invoices.Pay(inv.ID, &stripe.InvoicePayParams{PaymentMethod: &pm.ID}))(b); inv.Status != "paid" {
			b.Errorf("%s with another card", inv.Status)
		}
	},
	"a holder who must be asked": func(b bed) {
		inv := must(b.api.Invoices.FinalizeInvoice(b.invoice(b.customer("pm_card_authenticationRequired"), 900).ID, nil))(b)
		_, err := b.api.Invoices.Pay(inv.ID, nil)
		refused(b, err, 402, "")
		if inv = must(b.api.Invoices.Get(inv.ID, nil))(b); inv.Status != "open" {
			b.Errorf("%s", inv.Status)
		}
	},
	"an invoice ends void, uncollectible or deleted": func(b bed) {
		c := b.customer("")
		open := func() string {
			return must(b.api.Invoices.FinalizeInvoice(b.invoice(c, 500).ID, nil))(b).ID
		}
		if inv := must(b.api.Invoices.VoidInvoice(open(), nil))(b); inv.Status != "void" {
			b.Errorf("%s", inv.Status)
		}
		inv := must(b.api.Invoices.MarkUncollectible(open(), nil))(b)
		if inv.Status != "uncollectible" {
			b.Errorf("%s", inv.Status)
		}
		if inv = must(b.api.Invoices.Pay(inv.ID, &stripe.InvoicePayParams{PaidOutOfBand: stripe.Bool(true)}))(b); inv.Status != "paid" || !inv.PaidOutOfBand {
			b.Errorf("%s", inv.Status)
		}
		draft := b.invoice(c, 500)
		must(b.api.Invoices.Del(draft.ID, nil))(b)
		_, err := b.api.Invoices.Get(draft.ID, nil)
		refused(b, err, 404, stripe.ErrorCodeResourceMissing)
		_, err = b.api.Invoices.VoidInvoice(b.invoice(c, 500).ID, nil)
		refused(b, err, 400, "")
	},
	"invoices are sent and marked paid by hand": func(b bed) {
		c := b.customer("")
		_, err := b.api.Invoices.New(&stripe.InvoiceParams{Customer: &c.ID, CollectionMethod: stripe.String("send_invoice")})
		refused(b, err, 400, "")
		inv := must(b.api.Invoices.New(&stripe.InvoiceParams{Customer: &c.ID, Currency: stripe.String("eur"), CollectionMethod: stripe.String("send_invoice"), DaysUntilDue: stripe.Int64(14)}))(b)
		must(b.api.Invoices.AddLines(inv.ID, &stripe.InvoiceAddLinesParams{Lines: []*stripe.InvoiceAddLinesLineParams{{Amount: stripe.Int64(5000)}}}))(b)
		inv = must(b.api.Invoices.SendInvoice(inv.ID, nil))(b)
		if inv.Status != "open" || inv.DueDate == 0 {
			b.Errorf("%s due %d", inv.Status, inv.DueDate)
		}
		inv = must(b.api.Invoices.Pay(inv.ID, &stripe.InvoicePayParams{PaidOutOfBand: stripe.Bool(true)}))(b)
		if inv.Status != "paid" || inv.Charge != nil {
			b.Errorf("%s", inv.Status)
		}
	},
	"credit notes of open and paid invoices": func(b bed) {
		c := b.customer("pm_card_visa")
		inv := must(b.api.Invoices.FinalizeInvoice(b.invoice(c, 1000).ID, nil))(b)
		cn := must(b.api.CreditNotes.New(&stripe.CreditNoteParams{Invoice: &inv.ID, Amount: stripe.Int64(400), Reason: stripe.String("order_change")}))(b)
		if cn.Total != 400 || cn.Type != stripe.CreditNoteTypePrePayment {
			b.Errorf("%d %s", cn.Total, cn.Type)
		}
		inv = must(b.api.Invoices.Pay(inv.ID, nil))(b)
		if inv.Total != inv.AmountPaid+inv.AmountRemaining+inv.PrePaymentCreditNotesAmount || inv.AmountPaid != 600 {
			b.Errorf("total %d paid %d remaining %d credited %d", inv.Total, inv.AmountPaid, inv.AmountRemaining, inv.PrePaymentCreditNotesAmount)
		}
		_, err := b.api.CreditNotes.New(&stripe.CreditNoteParams{Invoice: &inv.ID, Amount: stripe.Int64(100)})
		refused(b, err, 400, "")
		_, err = b.api.CreditNotes.New(&stripe.CreditNoteParams{Invoice: &inv.ID, Amount: stripe.Int64(601), RefundAmount: stripe.Int64(601)})
		refused(b, err, 400, "")
		cn = must(b.api.CreditNotes.New(&stripe.CreditNoteParams{Invoice: &inv.ID, Lines: []*stripe.CreditNoteLineParams{
			{Type: stripe.String("invoice_line_item"), InvoiceLineItem: &inv.Lines.Data[0].ID, Amount: stripe.Int64(300)}},
			RefundAmount: stripe.Int64(100), CreditAmount: stripe.Int64(150), OutOfBandAmount: stripe.Int64(50)}))(b)
		if cn.Total != 300 || cn.Refund == nil || cn.Type != stripe.CreditNoteTypePostPayment || cn.CustomerBalanceTransaction == nil || cn.OutOfBandAmount != 50 {
			b.Errorf("%+v", cn)
		}
		if c = must(b.api.Customers.Get(c.ID, nil))(b); c.Balance != -150 {
			b.Errorf("balance %d", c.Balance)
		}
		// What is credited pays the next invoice.
		next := must(b.api.Invoices.FinalizeInvoice(b.invoice(c, 1000).ID, nil))(b)
		if next.AmountDue != 850 || next.StartingBalance != -150 || next.EndingBalance != 0 {
			b.Errorf("due %d from %d to %d", next.AmountDue, next.StartingBalance, next.EndingBalance)
		}
	},
	"refunds give back at most what was paid": func(b bed) {
		inv := b.paid(b.customer("pm_card_visa"), 1000)
		r := must(b.api.Refunds.New(&stripe.RefundParams{Charge: &inv.Charge.ID, Amount: stripe.Int64(300)}))(b)
		if r.Status != stripe.RefundStatusSucceeded || r.Amount != 300 {
			b.Errorf("%+v", r)
		}
		_, err := b.api.Refunds.New(&stripe.RefundParams{PaymentIntent: &inv.PaymentIntent.ID, Amount: stripe.Int64(701)})
		refused(b, err, 400, "")
		must(b.api.Refunds.New(&stripe.RefundParams{PaymentIntent: &inv.PaymentIntent.ID}))(b)
		_, err = b.api.Refunds.New(&stripe.RefundParams{Charge: &inv.Charge.ID})
		refused(b, err, 400, stripe.ErrorCodeChargeAlreadyRefunded)
		ch := must(b.api.Charges.Get(inv.Charge.ID, nil))(b)
		if !ch.Refunded || ch.AmountRefunded != 1000 {
			b.Errorf("refunded %v %d", ch.Refunded, ch.AmountRefunded)
		}
	},
	"lists page, filter and expand": func(b bed) {
		c := b.customer("")
		var ids []string
		for range 5 {
			ids = append(ids, b.invoice(c, 100).ID)
		}
		p := &stripe.InvoiceListParams{Customer: &c.ID}
		p.Limit = stripe.Int64(2)
		p.AddExpand("data.customer")
		n := 0
		for it := b.api.Invoices.List(p); it.Next(); n++ {
			if inv := it.Invoice(); n >= 5 || inv.ID != ids[4-n] || inv.Customer.Email != "ada@example.com" {
				b.Fatalf("invoice %d is %s of %q", n, inv.ID, inv.Customer.Email)
			}
		}
		if n != 5 {
			b.Errorf("%d invoices", n)
		}
		p = &stripe.InvoiceListParams{Customer: &c.ID, CreatedRange: &stripe.RangeQueryParams{GreaterThan: time.Now().Unix() + 1000}}
		if it := b.api.Invoices.List(p); it.Next() || it.Err() != nil {
			b.Errorf("invoices of the future: %v", it.Err())
		}
		nonsense := &stripe.InvoiceParams{}
		nonsense.AddExpand("nonsense")
		_, err := b.api.Invoices.Get(ids[0], nonsense)
		refused(b, err, 400, "")
	},
	"lines up to 250": func(b bed) {
		inv := b.invoice(b.customer(""))
		for range 5 {
			p := &stripe.InvoiceAddLinesParams{}
			for range 50 {
				p.Lines = append(p.Lines, &stripe.InvoiceAddLinesLineParams{Amount: stripe.Int64(2), Description: stripe.String("calls")})
			}
			inv = must(b.api.Invoices.AddLines(inv.ID, p))(b)
		}
		if inv.Total != 500 || !inv.Lines.HasMore {
			b.Errorf("total %d, more %v", inv.Total, inv.Lines.HasMore)
		}
		p := &stripe.InvoiceListLinesParams{Invoice: &inv.ID}
		p.Limit = stripe.Int64(100)
		n := 0
		for it := b.api.Invoices.ListLines(p); it.Next(); n++ {
		}
		if n != 250 {
			b.Errorf("%d lines", n)
		}
		_, err := b.api.Invoices.AddLines(inv.ID, &stripe.InvoiceAddLinesParams{Lines: []*stripe.InvoiceAddLinesLineParams{{Amount: stripe.Int64(1)}}})
		refused(b, err, 400, "")
	},
	"pending items wait for an invoice": func(b bed) {
		c := b.customer("")
		it := must(b.api.InvoiceItems.New(&stripe.InvoiceItemParams{Customer: &c.ID, Amount: stripe.Int64(800), Currency: stripe.String("eur"), Description: stripe.String("set-up")}))(b)
		if inv := b.invoice(c); inv.Total != 0 {
			b.Errorf("total %d although pending items are excluded", inv.Total)
		}
		inv := must(b.api.Invoices.New(&stripe.InvoiceParams{Customer: &c.ID, Currency: stripe.String("eur"), PendingInvoiceItemsBehavior: stripe.String("include")}))(b)
		if inv.Total != 800 || inv.Lines.Data[0].InvoiceItem.ID != it.ID {
			b.Errorf("total %d", inv.Total)
		}
	},
	"Checkout, portal and webhook endpoints can be made": func(b bed) {
		c := b.customer("")
		cs := must(b.api.CheckoutSessions.New(&stripe.CheckoutSessionParams{Mode: stripe.String("setup"), Currency: stripe.String("eur"), Customer: &c.ID,
			SuccessURL: stripe.String("https://example.com/done?s={CHECKOUT_SESSION_ID}"), CancelURL: stripe.String("https://example.com/back"),
			Metadata: map[string]string{"tenant": "t1"}}))(b)
		if cs.Status != stripe.CheckoutSessionStatusOpen || cs.URL == "" || cs.SetupIntent == nil || cs.PaymentStatus != stripe.CheckoutSessionPaymentStatusNoPaymentRequired {
			b.Errorf("%+v", cs)
		}
		cs = must(b.api.CheckoutSessions.Expire(cs.ID, nil))(b)
		if cs.Status != stripe.CheckoutSessionStatusExpired {
			b.Errorf("%s", cs.Status)
		}
		cfg := must(b.api.BillingPortalConfigurations.New(&stripe.BillingPortalConfigurationParams{
			BusinessProfile: &stripe.BillingPortalConfigurationBusinessProfileParams{Headline: stripe.String("Tollgate")},
			Features: &stripe.BillingPortalConfigurationFeaturesParams{InvoiceHistory: &stripe.BillingPortalConfigurationFeaturesInvoiceHistoryParams{Enabled: stripe.Bool(true)},
				PaymentMethodUpdate: &stripe.BillingPortalConfigurationFeaturesPaymentMethodUpdateParams{Enabled: stripe.Bool(true)}}}))(b)
		ps := must(b.api.BillingPortalSessions.New(&stripe.BillingPortalSessionParams{Customer: &c.ID, Configuration: &cfg.ID, ReturnURL: stripe.String("https://example.com/")}))(b)
		if ps.URL == "" {
			b.Error("the portal session has no address")
		}
		we := must(b.api.WebhookEndpoints.New(&stripe.WebhookEndpointParams{URL: stripe.String("https://example.com/hook"), APIVersion: stripe.String(stripe.APIVersion),
			EnabledEvents: stripe.StringSlice([]string{"invoice.paid"}), Connect: stripe.Bool(true)}))(b)
		if !strings.HasPrefix(we.Secret, "whsec_") {
			b.Errorf("secret %q", we.Secret)
		}
		if we = must(b.api.WebhookEndpoints.Get(we.ID, nil))(b); we.Secret != "" {
			b.Error("the secret is shown twice")
		}
		must(b.api.WebhookEndpoints.Del(we.ID, nil))(b)
	},
	"of an hour's meter events the last counts": func(b bed) {
		c, name := b.customer(""), fmt.Sprintf("calls_%x", sha256.Sum256([]byte(b.run)))[:40]
		p := &stripe.BillingMeterParams{DisplayName: stripe.String("Calls"), EventName: &name, EventTimeWindow: stripe.String("hour"),
			DefaultAggregation: &stripe.BillingMeterDefaultAggregationParams{Formula: stripe.String("sum")},
			CustomerMapping:    &stripe.BillingMeterCustomerMappingParams{Type: stripe.String("by_id"), EventPayloadKey: stripe.String("stripe_customer_id")},
			ValueSettings:      &stripe.BillingMeterValueSettingsParams{EventPayloadKey: stripe.String("value")}}
		m := must(b.api.BillingMeters.New(p))(b)
		if m.Status != stripe.BillingMeterStatusActive || m.EventTimeWindow != stripe.BillingMeterEventTimeWindowHour || m.DefaultAggregation.Formula != "sum" || m.ValueSettings.EventPayloadKey != "value" {
			b.Errorf("%+v", m)
		}
		_, err := b.api.BillingMeters.New(p)
		refused(b, err, 400, "")
		found := false
		l := &stripe.BillingMeterListParams{Status: stripe.String("active")}
		for it := b.api.BillingMeters.List(l); it.Next() && !found; {
			found = it.BillingMeter().ID == m.ID
		}
		if !found {
			b.Error("the meter is not listed")
		}
		shortened := name[:20] + "-"
		hour := time.Now().Add(-50 * time.Hour).Truncate(time.Hour)
		send := func(identifier, value string, at time.Time) error {
			_, err := b.api.BillingMeterEvents.New(&stripe.BillingMeterEventParams{EventName: &name, Identifier: stripe.String(shortened + identifier), Timestamp: stripe.Int64(at.Unix()),
				Payload: map[string]string{"stripe_customer_id": c.ID, "value": value}})
			return err
		}
		for _, e := range []struct {
			identifier, value string
			at                time.Time
		}{{"a", "7", hour}, {"b", "12", hour.Add(59 * time.Minute)}, {"c", "9", hour}, {"d", "4", hour.Add(2 * time.Hour)}} {
			if err := send(e.identifier, e.value, e.at); err != nil {
				b.Fatal(err)
			}
		}
		if e := refused(b, send("b", "12", hour), 400, ""); !strings.Contains(e.Msg, "already exists with identifier") {
			b.Errorf("the same identifier again: %s", e.Msg)
		}
		if err := send("x", "5", hour.Add(3*time.Hour)); err != nil {
			b.Fatal(err)
		}
		cancel := func(identifier string) error {
			_, err := b.api.BillingMeterEventAdjustments.New(&stripe.BillingMeterEventAdjustmentParams{EventName: &name, Type: stripe.String("cancel"),
				Cancel: &stripe.BillingMeterEventAdjustmentCancelParams{Identifier: stripe.String(shortened + identifier)}})
			return err
		}
		if err := cancel("x"); err != nil {
			b.Error(err)
		}
		refused(b, cancel("none"), 400, "")
		refused(b, send("e", "1", time.Now().Add(-36*24*time.Hour)), 400, "")
		refused(b, send("f", "1", time.Now().Add(time.Hour)), 400, "")
		refused(b, send("g", "many", hour), 400, "")
		if b.fake != nil {
			if err := b.fake.Advance(b.Context(), 2*time.Minute); err != nil {
				b.Fatal(err)
			}
		}
		b.eventually("the hours are added up", func() bool {
			got := map[int64]float64{}
			it := b.api.BillingMeterEventSummaries.List(&stripe.BillingMeterEventSummaryListParams{ID: &m.ID, Customer: &c.ID, ValueGroupingWindow: stripe.String("hour"),
				StartTime: stripe.Int64(hour.Add(-time.Hour).Unix()), EndTime: stripe.Int64(hour.Add(5 * time.Hour).Unix())})
			for it.Next() {
				s := it.BillingMeterEventSummary()
				if s.AggregatedValue != 0 {
					got[(s.StartTime-hour.Unix())/3600] = s.AggregatedValue
				}
			}
			return it.Err() == nil && maps.Equal(got, map[int64]float64{0: 9, 2: 4})
		})
		it := b.api.BillingMeterEventSummaries.List(&stripe.BillingMeterEventSummaryListParams{ID: &m.ID, Customer: &c.ID, ValueGroupingWindow: stripe.String("hour"),
			StartTime: stripe.Int64(hour.Unix() + 60), EndTime: stripe.Int64(hour.Add(time.Hour).Unix())})
		if it.Next() {
			b.Error("summaries by the hour begin between hours")
		}
		refused(b, it.Err(), 400, "")
		m = must(b.api.BillingMeters.Deactivate(m.ID, nil))(b)
		if m.Status != stripe.BillingMeterStatusInactive || m.StatusTransitions.DeactivatedAt == 0 {
			b.Errorf("%+v", m)
		}
		refused(b, send("h", "1", hour), 400, "")
	},
	"a connected account is asked to introduce itself": func(b bed) {
		a := must(b.api.Accounts.New(&stripe.AccountParams{Country: stripe.String("DE"), Email: stripe.String("tenant@example.com"), Controller: &stripe.AccountControllerParams{
			Fees: &stripe.AccountControllerFeesParams{Payer: stripe.String("account")}, Losses: &stripe.AccountControllerLossesParams{Payments: stripe.String("stripe")},
			StripeDashboard: &stripe.AccountControllerStripeDashboardParams{Type: stripe.String("full")}}}))(b)
		if a.ChargesEnabled || a.DetailsSubmitted || a.Controller.StripeDashboard.Type != "full" {
			b.Errorf("%+v", a)
		}
		l := must(b.api.AccountLinks.New(&stripe.AccountLinkParams{Account: &a.ID, Type: stripe.String("account_onboarding"), RefreshURL: stripe.String("https://example.com/again"), ReturnURL: stripe.String("https://example.com/done")}))(b)
		if l.URL == "" {
			b.Error("no address")
		}
		// What the account makes is its own.
		p := &stripe.CustomerParams{}
		p.SetStripeAccount(a.ID)
		c := must(b.api.Customers.New(p))(b)
		_, err := b.api.Customers.Get(c.ID, nil)
		refused(b, err, 404, stripe.ErrorCodeResourceMissing)
		p = &stripe.CustomerParams{}
		p.SetStripeAccount("acct_none")
		_, err = b.api.Customers.New(p)
		refused(b, err, 403, stripe.ErrorCodeAccountInvalid)
		must(b.api.Accounts.Del(a.ID, nil))(b)
	},
}
