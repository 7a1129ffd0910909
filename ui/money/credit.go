package money

import (
	"strconv"
	"strings"
	"time"

	"tollgate/model"
	"tollgate/ui"
)

// Credit is what somebody who pays has beside invoices, prepaid credit and coupons, on
// the page where they are changed.
type Credit struct {
	At         string // the page; below it are the acts
	Invoice    string // of an invoice, in front of its id
	Keeps      bool   // who looks keeps the books of it
	Buys       bool   // top-ups are sold to who looks, or by it
	Wallets    []model.Wallet
	Uses       []model.CouponUse
	Currency   string // whose history is shown
	History    []model.WalletChange
	Older      string // where the history goes on; empty: it does not
	Currencies []ui.Option
	Now        time.Time
	Once       string // known again when a form is sent twice
	Typed      map[string]string
	Problems   []ui.Problem
}

func (c *Credit) at(field string) string {
	for _, p := range c.Problems {
		if p.Name == field {
			return p.Text
		}
	}
	return ""
}

// Suggest fills fields in that nobody typed into: the refill is the wallet's.
func (c *Credit) Suggest() {
	if c.Typed != nil || len(c.Wallets) == 0 {
		return
	}
	w := &c.Wallets[0]
	c.Typed = map[string]string{"refill-currency": w.Currency, "topup-currency": w.Currency, "grant-currency": w.Currency}
	if w.Refill.By > 0 {
		c.Typed["refill-below"], c.Typed["refill-by"] = PlainAmount(w.Refill.Below, w.Digits), PlainAmount(w.Refill.By, w.Digits)
	}
}

// Refuse notes what is wrong with a field; an empty name is the whole form's.
func (c *Credit) Refuse(field, text string) {
	c.Problems = append(c.Problems, ui.Problem{Name: field, Text: text})
}

// Amount reads what was typed into a field as an amount of a currency, in minor units.
func (c *Credit) Amount(field, currency string) int64 {
	n, ok := ReadAmount(c.Typed[field], currency)
	if !ok {
		digits, _ := model.MinorDigits(currency)
		c.Refuse(field, strconv.Quote(cut(c.Typed[field]))+" is not an amount above zero such as "+PlainAmount(1250, digits))
	}
	return n
}

func cut(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}

// ReadAmount reads an amount above zero of a currency, in minor units.
func ReadAmount(s, currency string) (int64, bool) {
	digits, ok := model.MinorDigits(currency)
	whole, places, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole+places+strings.Repeat("0", max(digits-len(places), 0)), 10, 64)
	return n, ok && err == nil && model.Decimal(s).Validate() == nil && len(places) <= digits && n > 0
}

// PlainAmount is an amount as it is typed: 12.50.
func PlainAmount(minor int64, digits int) string {
	s := strconv.FormatInt(minor, 10)
	if digits == 0 {
		return s
	}
	s = strings.Repeat("0", max(digits+1-len(s), 0)) + s
	return s[:len(s)-digits] + "." + s[len(s)-digits:]
}

// happened is what is said of a change of a wallet.
var happened = map[string]string{
	model.WalletTopUp: "Paid in", model.WalletTakeBack: "Payment went back", model.WalletGrant: "Granted", model.WalletRevoke: "Taken back",
	model.WalletSpend: "Used for an invoice", model.WalletGiveBack: "Given back of an invoice", model.WalletExpire: "Expired",
}

// refill says when a wallet is topped up by itself.
func refill(w *model.Wallet) string {
	if w.Refill == (model.Refill{}) {
		return "Not topped up by itself"
	}
	return "Topped up by " + ui.Money(w.Refill.By, w.Currency, w.Digits) + " when less than " + ui.Money(w.Refill.Below, w.Currency, w.Digits) + " is left"
}

func grantName(g *model.CreditGrant) string {
	if g.Kind == model.CreditPaid {
		return "Paid with " + g.InvoiceNumber
	}
	return g.Reason
}

func until(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return ui.Date(t)
}

// Off is what a coupon takes off: of a plan, or of all.
func Off(percent, amount model.Decimal, currency, plan string) string {
	if plan == "" {
		plan = "all plans"
	}
	if percent != "" {
		return string(percent) + "% off " + plan
	}
	return ui.Amount(amount, currency) + " a month off " + plan
}

// For is for how long a coupon is.
func For(months int) string {
	switch months {
	case 0:
		return "for ever"
	case 1:
		return "once, for the month in which it is entered"
	}
	return "for " + strconv.Itoa(months) + " months, from the one in which it is entered"
}

// usedFor is the months of a coupon that somebody has.
func usedFor(u *model.CouponUse) string {
	from := u.From.Format("January 2006")
	switch {
	case u.Until.IsZero():
		return "from " + from + " on"
	case !u.Until.After(u.From):
		return "taken away before it was used"
	case u.Until.Equal(u.From.AddDate(0, 1, 0)):
		return "in " + from
	}
	return from + " to " + u.Until.AddDate(0, -1, 0).Format("January 2006")
}

func running(u *model.CouponUse, now time.Time) bool { return u.Until.IsZero() || u.Until.After(now) }

// signed writes a change with its sign; nothing for none.
func signed(minor int64, currency string) string {
	digits, _ := model.MinorDigits(currency)
	switch {
	case minor == 0:
		return "–"
	case minor > 0:
		return "+" + ui.Money(minor, currency, digits)
	}
	return ui.Money(minor, currency, digits)
}

func owedText(h *model.WalletChange, currency string) string {
	digits, _ := model.MinorDigits(currency)
	if h.Owed > 0 {
		return ui.Money(h.Owed, currency, digits) + " more is owed"
	}
	return ui.Money(-h.Owed, currency, digits) + " of what was owed is filled"
}
