package web

import (
	"net/http"
	"strings"

	"tollgate/billing/stripe"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/money"
	"tollgate/ui/serve"
)

func (s *Server) paymentRoutes() []route {
	return []route{
		{method: "GET", pattern: "/billing/payments", who: mayBill, handle: (*visit).payments},
		{method: "POST", pattern: "/billing/payments/connect", who: mayBill, handle: (*visit).connectStripe},
		{method: "GET", pattern: "/billing/payments/back", who: mayBill, handle: (*visit).stripeBack},
		{method: "GET", pattern: "/billing/payments/again", who: mayBill, handle: (*visit).stripeAgain},
		{method: "POST", pattern: "/billing/payments/refresh", who: mayBill, handle: (*visit).stripeRefresh},
		{method: "POST", pattern: "/billing/account/card", who: mayBill, handle: (*visit).addCard},
		{method: "GET", pattern: "/billing/account/card/done", who: mayBill, handle: (*visit).cardDone},
		{method: "GET", pattern: "/billing/account/card/remove", who: mayBill, handle: (*visit).confirmRemoveCard},
		{method: "POST", pattern: "/billing/account/card/remove", who: mayBill, handle: (*visit).removeCard},
		{method: "POST", pattern: "/billing/account/card/portal", who: mayBill, handle: (*visit).cardPortal},
		{method: "GET", pattern: "/operator/payments", who: theOperator, handle: (*visit).operatorPayments},
		{method: "POST", pattern: "/operator/payments/retry", who: theOperator, handle: (*visit).retryPayment},
	}
}

// noStripe is what an act says where there is no way to Stripe.
var noStripe = model.Errorf(model.Conflict, "payments through Stripe are not set up on this installation; invoices are paid by bank transfer")

// away sends a form's visitor to Stripe, or says why that cannot be on the page it
// came from.
func (v *visit) away(url string, err error, back string) error {
	if model.KindOf(err) == model.Unavailable {
		v.Log.Warn("Stripe", "error", err)
		v.say("danger", sentence(model.MessageOf(err)))
		return v.redirect(back)
	}
	if err != nil {
		return v.outcome(err, "", back)
	}
	if err := v.keep(); err != nil {
		return err
	}
	http.Redirect(v.w, v.r, url, http.StatusSeeOther)
	return nil
}

// toStripe lets the page's forms lead there.
func (v *visit) toStripe() {
	if v.Stripe != nil {
		serve.LetFormsGo(v.w, v.Stripe.Origins())
	}
}

func (v *visit) absolute(path string) string {
	return strings.TrimSuffix(v.Console.String(), "/") + path
}

// gettingPaid is how an account gets its developers' money.
type gettingPaid struct {
	On      bool // the installation has a way to Stripe
	Mode    string
	Account stripe.Account
	Fee     string // percentage that is the operator's; empty: none
}

func (v *visit) payments() error {
	g := gettingPaid{}
	if v.Stripe != nil {
		var err error
		g.On, g.Mode, g.Fee = true, v.Stripe.Mode(), v.Stripe.FeePercent()
		if g.Account, err = v.Stripe.Account(v.ctx(), v.books()); err != nil {
			return err
		}
	}
	v.toStripe()
	return v.render(paymentsView(v.page("Getting paid"), &g))
}

const paymentsURL = "/billing/payments"

func (v *visit) connectStripe() error {
	if v.Stripe == nil {
		return v.outcome(noStripe, "", paymentsURL)
	}
	url, err := v.Stripe.Connect(v.ctx(), v.books(), v.by(), v.absolute(paymentsURL+"/back"), v.absolute(paymentsURL+"/again"))
	return v.away(url, err, paymentsURL)
}

// stripeBack is where a browser comes from Stripe's questions, answered or not.
func (v *visit) stripeBack() error { return v.synced() }

func (v *visit) stripeRefresh() error { return v.synced() }

func (v *visit) synced() error {
	if v.Stripe == nil {
		return v.outcome(noStripe, "", paymentsURL)
	}
	a, err := v.Stripe.SyncAccount(v.ctx(), v.books())
	switch {
	case err != nil:
		return v.away("", err, paymentsURL)
	case a.ID == "":
		return v.redirect(paymentsURL)
	case a.Charges:
		return v.done("Your Stripe account takes payments.", paymentsURL)
	case !a.Disconnected.IsZero():
		return v.redirect(paymentsURL)
	}
	v.say("info", "Stripe does not let the account take payments yet.")
	return v.redirect(paymentsURL)
}

// stripeAgain is where a link leads that ran out or was used.
func (v *visit) stripeAgain() error {
	v.say("info", "The link to Stripe had run out. Go on here.")
	return v.redirect(paymentsURL)
}

const ourBillURL = "/billing/account"

// paying is how the account pays the operator.
func (v *visit) paying() (p money.Paying, err error) {
	p.At = ourBillURL
	if v.Stripe == nil {
		p.Off = "The operator of this installation takes no cards: invoices are paid by bank transfer."
		return p, nil
	}
	p.Mode = v.Stripe.Mode()
	v.toStripe()
	c, err := v.Stripe.Card(v.ctx(), v.books())
	p.Brand, p.Last4, p.Expires = c.Brand, c.Last4, money.Expires(c.ExpMonth, c.ExpYear)
	return p, err
}

func (v *visit) addCard() error {
	if v.Stripe == nil {
		return v.outcome(noStripe, "", ourBillURL)
	}
	url, err := v.Stripe.AddCard(v.ctx(), v.books(), v.absolute(ourBillURL+"/card/done?session="+stripe.SessionMark), v.absolute(ourBillURL))
	return v.away(url, err, ourBillURL)
}

func (v *visit) cardDone() error {
	if v.Stripe == nil {
		return v.outcome(noStripe, "", ourBillURL)
	}
	c, err := v.Stripe.CardAdded(v.ctx(), v.books(), v.query("session"))
	if err != nil && model.KindOf(err) != model.NotFound {
		return v.away("", err, ourBillURL)
	}
	if err != nil || c.Method == "" {
		v.say("danger", "No card was saved.")
		return v.redirect(ourBillURL)
	}
	return v.done("Invoices are paid with the card ending in "+c.Last4+" from now on.", ourBillURL)
}

func (v *visit) confirmRemoveCard() error {
	p, err := v.paying()
	if err != nil {
		return err
	}
	if p.Brand == "" {
		return v.redirect(ourBillURL)
	}
	page := v.page("Remove the card")
	page.Crumbs = []ui.Crumb{{Label: "Billing", URL: "/billing"}, {Label: "Your own bill", URL: ourBillURL}}
	return v.render(removeCardView(page, p))
}

func (v *visit) removeCard() error {
	if v.Stripe == nil {
		return v.outcome(noStripe, "", ourBillURL)
	}
	err := v.Stripe.RemoveCard(v.ctx(), v.books(), v.by())
	if err != nil && model.KindOf(err) != model.NotFound {
		return v.away("", err, ourBillURL)
	}
	return v.done("The card is removed.", ourBillURL)
}

func (v *visit) cardPortal() error {
	if v.Stripe == nil {
		return v.outcome(noStripe, "", ourBillURL)
	}
	url, err := v.Stripe.Portal(v.ctx(), v.books(), v.absolute(ourBillURL))
	return v.away(url, err, ourBillURL)
}

// railPage is how the way to Stripe is, for the operator.
type railPage struct {
	On                bool
	Mode              string
	Platform, Connect bool // events are taken
	Hooks             [2]string
	Fee               string
	stripe.Overview
}

func (v *visit) operatorPayments() error {
	r := railPage{Hooks: [2]string{v.absolute(stripe.PlatformPath), v.absolute(stripe.ConnectPath)}}
	if v.Stripe != nil {
		r.On, r.Mode, r.Fee = true, v.Stripe.Mode(), v.Stripe.FeePercent()
		r.Platform, r.Connect = v.Stripe.Takes()
		var err error
		if r.Overview, err = v.Stripe.Overview(v.ctx()); err != nil {
			return err
		}
	}
	return v.render(operatorPaymentsView(v.page("Payments"), &r, v.Now()))
}

func (v *visit) retryPayment() error {
	if v.Stripe == nil {
		return v.outcome(noStripe, "", "/operator/payments")
	}
	err := v.Stripe.Retry(v.ctx(), v.by(), v.value("account"), v.value("event"), v.value("invoice"))
	if model.KindOf(err) == model.NotFound {
		err = model.Errorf(model.Conflict, "it went on meanwhile")
	}
	return v.outcome(err, "It is tried again now.", "/operator/payments")
}

// parkedWhat names what does not go on.
func parkedWhat(p stripe.Parked) string {
	if p.Event != "" {
		return "Event " + p.What
	}
	return "Invoice " + p.What
}
