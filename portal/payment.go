package portal

import (
	"net/http"
	"strings"

	"tollgate/billing"
	"tollgate/billing/stripe"
	"tollgate/model"
	"tollgate/ui/money"
	"tollgate/ui/serve"
)

func (s *Server) paymentRoutes() []route {
	return []route{
		{"GET", "/payment", customer, (*visit).payment},
		{"POST", "/payment/card", customer, (*visit).addCard},
		{"GET", "/payment/card/done", customer, (*visit).cardDone},
		{"GET", "/payment/card/remove", customer, (*visit).confirmRemoveCard},
		{"POST", "/payment/card/remove", customer, (*visit).removeCard},
		{"POST", "/payment/card/portal", customer, (*visit).cardPortal},
	}
}

const paymentURL = "/payment"

// noCards is what is said where the portal's seller takes none.
var noCards = model.Errorf(model.Conflict, "cards are not taken here; invoices are paid by bank transfer")

// absolute is a path of the portal as others reach it, at the host that the visitor
// is signed in at.
func (v *visit) absolute(path string) string {
	if v.base != "" {
		return strings.TrimSuffix(v.Console.String(), "/") + v.base + path
	}
	return v.URL(v.site.Slug) + path
}

// toStripe sends a form's visitor to Stripe, or says why that cannot be.
func (v *visit) toStripe(url string, err error) error {
	switch {
	case invalid(err) || model.KindOf(err) == model.Unavailable:
		v.Log.Warn("Stripe", "error", err)
		v.say("danger", sentence(model.MessageOf(err)))
		return v.redirect(paymentURL)
	case err != nil:
		return err
	}
	if err := v.keep(); err != nil {
		return err
	}
	http.Redirect(v.w, v.r, url, http.StatusSeeOther)
	return nil
}

// paying is how the visitor pays.
func (v *visit) paying() (p money.Paying, err error) {
	p.At = v.link(paymentURL)
	off := sentence(model.MessageOf(noCards)) + "."
	if v.Stripe == nil {
		p.Off = off
		return p, nil
	}
	ready, err := v.Stripe.Ready(v.ctx(), v.books())
	if err != nil {
		return p, err
	}
	if !ready {
		p.Off = off
		return p, nil
	}
	p.Mode = v.Stripe.Mode()
	serve.LetFormsGo(v.w, v.Stripe.Origins())
	c, err := v.Stripe.Card(v.ctx(), v.books())
	p.Brand, p.Last4, p.Expires = c.Brand, c.Last4, money.Expires(c.ExpMonth, c.ExpYear)
	return p, err
}

func (v *visit) payment() error {
	p, err := v.paying()
	if err != nil {
		return err
	}
	return v.render(paymentView(v.page("Payment"), p))
}

func (v *visit) addCard() error {
	if v.Stripe == nil {
		return v.toStripe("", noCards)
	}
	url, err := v.Stripe.AddCard(v.ctx(), v.books(), v.absolute(paymentURL+"/card/done?session="+stripe.SessionMark), v.absolute(paymentURL))
	return v.toStripe(url, err)
}

func (v *visit) cardDone() error {
	if v.Stripe == nil {
		return v.toStripe("", noCards)
	}
	c, err := v.Stripe.CardAdded(v.ctx(), v.books(), v.query("session"))
	if err != nil && model.KindOf(err) != model.NotFound {
		return v.toStripe("", err)
	}
	if err != nil || c.Method == "" {
		v.say("danger", "No card was saved.")
		return v.redirect(paymentURL)
	}
	return v.done("Invoices are paid with the card ending in "+c.Last4+" from now on.", paymentURL)
}

func (v *visit) confirmRemoveCard() error {
	p, err := v.paying()
	if err != nil {
		return err
	}
	if p.Brand == "" {
		return v.redirect(paymentURL)
	}
	return v.render(removeCardView(v.page("Remove the card"), p))
}

func (v *visit) removeCard() error {
	if v.Stripe == nil {
		return v.toStripe("", noCards)
	}
	err := v.Stripe.RemoveCard(v.ctx(), v.books(), billing.By{Member: v.visitor.ID, Name: v.visitor.Email, Source: v.actor().Source, Role: "developer"})
	if err != nil && model.KindOf(err) != model.NotFound {
		return v.toStripe("", err)
	}
	return v.done("The card is removed.", paymentURL)
}

func (v *visit) cardPortal() error {
	if v.Stripe == nil {
		return v.toStripe("", noCards)
	}
	url, err := v.Stripe.Portal(v.ctx(), v.books(), v.absolute(paymentURL))
	return v.toStripe(url, err)
}

// payURL is where an open invoice is paid; empty: not at Stripe.
func (v *visit) payURL(i *billing.InvoiceDetail) (string, error) {
	if v.Stripe == nil || i.Open() == 0 {
		return "", nil
	}
	return v.Stripe.PayURL(v.ctx(), v.books(), i.ID)
}
