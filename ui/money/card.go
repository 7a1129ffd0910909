package money

import (
	"fmt"

	"tollgate/model"
	"tollgate/ui"
)

// Paying is how somebody's invoices are paid, on the page where that is changed.
type Paying struct {
	Mode    string // "fake" or "test": no real money moves
	Off     string // why there are no cards; empty: there are
	Brand   string // of the card that pays; empty: none does
	Last4   string
	Expires string // 12/2040
	At      string // below it are the acts: /card, /card/remove, /card/portal
}

// Expires writes a card's last month.
func Expires(month, year int) string {
	if month == 0 {
		return ""
	}
	return fmt.Sprintf("%02d/%d", month, year)
}

// brands are what is printed on cards, by Stripe's word.
var brands = map[string]string{"visa": "Visa", "mastercard": "Mastercard", "amex": "American Express", "diners": "Diners Club", "discover": "Discover",
	"jcb": "JCB", "unionpay": "UnionPay", "card": "Card", "sepa_debit": "SEPA direct debit", "link": "Link"}

func (p *Paying) brand() string {
	if b := brands[p.Brand]; b != "" {
		return b
	}
	return p.Brand
}

// Open writes what is to be paid still.
func Open(i *model.Invoice) string { return ui.Money(i.Open(), i.Currency, i.Digits) }
