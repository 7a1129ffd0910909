package portal

import (
	"net/http"
	"net/url"
	"strconv"

	"tollgate/billing"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/money"
)

func (s *Server) creditRoutes() []route {
	return []route{
		{"GET", "/credit", customer, (*visit).credit},
		{"POST", "/credit/top-up", customer, (*visit).topUp},
		{"POST", "/credit/refill", customer, (*visit).setRefill},
		{"POST", "/credit/code", customer, (*visit).enterCode},
	}
}

const creditURL = "/credit"

// payer is the visitor, as its credit and coupons are kept.
func (v *visit) payer() billing.Payer {
	return billing.Payer{Tenant: v.site.Tenant, Developer: v.visitor.ID}
}

// by is the visitor, for the audit trail.
func (v *visit) by() billing.By {
	return billing.By{Member: v.visitor.ID, Name: v.visitor.Email, Source: v.actor().Source, Role: "developer"}
}

func (v *visit) credit() error { return v.creditWith(&money.Credit{}) }

// creditWith shows the page with what was typed and what is wrong with it.
func (v *visit) creditWith(c *money.Credit) error {
	if v.Billing == nil {
		return model.Errorf(model.Unavailable, "no invoices are made here")
	}
	c.At, c.Invoice, c.Now, c.Once = v.link(creditURL), v.link("/invoices/"), v.Now(), billing.NewTopUpID()
	var err error
	if c.Wallets, err = v.Billing.Wallets(v.ctx(), v.books(), v.payer()); err != nil {
		return err
	}
	if c.Uses, err = v.Billing.CouponUses(v.ctx(), v.books(), v.payer()); err != nil {
		return err
	}
	names, err := v.Billing.Currencies(v.ctx(), v.books(), v.payer())
	if err != nil {
		return err
	}
	for _, n := range names {
		c.Currencies = append(c.Currencies, ui.Option{Value: n, Label: n})
	}
	r, err := v.Billing.RulesOf(v.ctx(), v.payer())
	if err != nil {
		return err
	}
	c.Buys = r.TopUps
	if c.Currency = v.query("currency"); c.Currency == "" && len(c.Wallets) > 0 {
		c.Currency = c.Wallets[0].Currency
	}
	if c.Currency != "" {
		before, err := strconv.ParseInt("0"+v.query("before"), 10, 64)
		if err != nil {
			return model.Errorf(model.Invalid, "the page position is not one that we gave; start from the first page")
		}
		var next int64
		if c.History, next, err = v.Billing.History(v.ctx(), v.books(), v.payer(), c.Currency, before); err != nil {
			return err
		}
		if next > 0 {
			c.Older = c.At + "?" + url.Values{"currency": {c.Currency}, "before": {strconv.FormatInt(next, 10)}}.Encode() + "#history"
		}
	}
	c.Suggest()
	status := http.StatusOK
	if len(c.Problems) > 0 {
		status = http.StatusUnprocessableEntity
	}
	return v.renderAs(status, creditView(v.page("Credit"), c))
}

// typed is what was typed into fields.
func (v *visit) typed(fields ...string) *money.Credit {
	c := &money.Credit{Typed: map[string]string{}}
	for _, f := range fields {
		c.Typed[f] = v.value(f)
	}
	return c
}

// creditDone shows what came of an act, or the page again with what is wrong.
func (v *visit) creditDone(c *money.Credit, field string, err error, message, to string) error {
	if invalid(err) || model.KindOf(err) == model.Denied {
		c.Refuse(field, sentence(model.MessageOf(err)))
	} else if err != nil {
		return err
	}
	if len(c.Problems) > 0 {
		return v.creditWith(c)
	}
	return v.done(message, to)
}

// noBooks is what is said where no invoices are made.
var noBooks = model.Errorf(model.Conflict, "no invoices are made here, and no credit is kept")

func (v *visit) topUp() error {
	c := v.typed("topup-amount", "topup-currency")
	currency := c.Typed["topup-currency"]
	n := c.Amount("topup-amount", currency)
	id, err := "", error(nil)
	switch {
	case v.Billing == nil:
		err = noBooks
	case len(c.Problems) == 0:
		id, err = v.Billing.TopUp(v.ctx(), v.books(), v.by(), billing.TopUp{Payer: v.payer(), Currency: currency, Amount: n, ID: v.value("once")})
	}
	return v.creditDone(c, "topup-amount", err, "The invoice of your top-up is made. Your credit is there when it is paid.", "/invoices/"+id)
}

func (v *visit) setRefill() error {
	c := v.typed("refill-below", "refill-by", "refill-currency")
	currency := c.Typed["refill-currency"]
	var r model.Refill
	if c.Typed["refill-below"] != "" || c.Typed["refill-by"] != "" {
		r = model.Refill{Below: c.Amount("refill-below", currency), By: c.Amount("refill-by", currency)}
	}
	var err error
	switch {
	case v.Billing == nil:
		err = noBooks
	case len(c.Problems) == 0:
		err = v.Billing.SetRefill(v.ctx(), v.books(), v.by(), v.payer(), currency, r)
	}
	message := "Your credit in " + currency + " is topped up by itself from now on."
	if r == (model.Refill{}) {
		message = "Your credit in " + currency + " is not topped up by itself."
	}
	return v.creditDone(c, "refill-below", err, message, creditURL)
}

func (v *visit) enterCode() error {
	c := v.typed("code")
	var u model.CouponUse
	err := error(noBooks)
	if v.Billing != nil {
		u, err = v.Billing.UseCoupon(v.ctx(), v.books(), v.by(), v.payer(), c.Typed["code"])
	}
	return v.creditDone(c, "code", err, "Code "+u.Code+": "+money.Off(u.Percent, u.Amount, u.Currency, u.Plan)+", from this month on.", creditURL)
}
