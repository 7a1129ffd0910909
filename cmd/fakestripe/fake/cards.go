package fake

import "strings"

// What a card does when it is saved and when it is charged.
const (
	payOK                = "ok"
	payDeclined          = "declined"            // cannot be saved either
	payDeclinedLater     = "declined_later"      // is saved, then every charge is declined
	payInsufficient      = "insufficient"        // cannot be saved either
	payInsufficientLater = "insufficient_later"  // is saved, then every charge lacks funds
	payInsufficientOnce  = "insufficient_once"   // is saved, the first charge lacks funds, later ones succeed
	payExpired           = "expired"             // cannot be saved either
	payAuthAlways        = "authenticate_always" // the holder must confirm each charge
	payAuthUnlessSetUp   = "authenticate_once"   // the holder confirms when it is set up, then never again
	payDispute           = "dispute"             // is charged, then the holder disputes it
	payRefundFails       = "refund_fails"        // is charged; what is paid back to it comes back a day later
)

// card is a test card of Stripe's, or of the fake where own is true.
type card struct {
	number string
	token  string // the test payment method's name
	does   string
	brand  string
	own    bool
	Says   string
}

var cards = []card{
	{"4242424242424242", "pm_card_visa", payOK, "visa", false, "Pays."},
	{"5555555555554444", "pm_card_mastercard", payOK, "mastercard", false, "Pays."},
	{"378282246310005", "pm_card_amex", payOK, "amex", false, "Pays."},
	{"4000000000000002", "pm_card_visa_chargeDeclined", payDeclined, "visa", false, "Is declined, when it is saved too."},
	{"4000000000009995", "pm_card_visa_chargeDeclinedInsufficientFunds", payInsufficient, "visa", false, "Lacks funds, when it is saved too."},
	{"4000000000000069", "pm_card_chargeDeclinedExpiredCard", payExpired, "visa", false, "Has expired."},
	{"4000000000000341", "pm_card_chargeCustomerFail", payDeclinedLater, "visa", false, "Is saved; each charge is declined."},
	{"4000002760003184", "pm_card_authenticationRequired", payAuthAlways, "visa", false, "Asks the holder at each charge."},
	{"4000002500003155", "pm_card_authenticationRequiredOnSetup", payAuthUnlessSetUp, "visa", false, "Asks the holder when it is saved, then pays."},
	{"4000000000000259", "pm_card_createDispute", payDispute, "visa", false, "Pays; then the holder disputes it."},
	{"4000000000005126", "pm_card_refundFail", payRefundFails, "visa", false, "Pays; a refund fails a day later."},
	{"4000000000099950", "pm_card_fake_insufficientFunds", payInsufficientLater, "visa", true, "Is saved; each charge lacks funds."},
	{"4000000000099968", "pm_card_fake_insufficientFundsThenSuccess", payInsufficientOnce, "visa", true, "Is saved; the first charge lacks funds, later ones pay."},
}

func cardByToken(token string) *card {
	for i := range cards {
		if cards[i].token == token || token == "pm_card_chargeDeclined" && cards[i].does == payDeclined {
			return &cards[i]
		}
	}
	return nil
}

// cardByNumber finds a card by what a person typed.
func cardByNumber(typed string) *card {
	digits := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, typed)
	for i := range cards {
		if cards[i].number == digits {
			return &cards[i]
		}
	}
	return nil
}

// decline is how a card is refused: Stripe's code and reason.
func (c *call) decline(does string) *apiError {
	e := &apiError{status: 402, kind: "card_error", code: "card_declined", param: ""}
	switch does {
	case payInsufficient, payInsufficientLater, payInsufficientOnce:
		e.decline, e.message = "insufficient_funds", "Your card has insufficient funds."
	case payExpired:
		e.code, e.decline, e.message = "expired_card", "expired_card", "Your card has expired."
	default:
		e.decline, e.message = "generic_decline", "Your card was declined."
	}
	return e
}

// newCard makes a payment method from a test card.
func (c *call) newCard(k *card) object {
	o := c.create("payment_method", "pm")
	o["type"] = "card"
	cd := sub(o, "card")
	merge(cd, object{"brand": k.brand, "display_brand": k.brand, "last4": k.number[len(k.number)-4:], "exp_month": int64(12),
		"exp_year": int64(c.s.now().Year() + 4), "fingerprint": "fake" + k.number[len(k.number)-8:],
		"networks": object{"available": []any{k.brand}, "preferred": nil}})
	o["_does"] = k.does
	c.acct.add(o)
	return o
}

// paymentMethod is what a parameter names: a saved one, or a test token, of which each use
// makes a new one.
func (c *call) paymentMethod(name, param string) (object, *apiError) {
	if k := cardByToken(name); k != nil {
		return c.newCard(k), nil
	}
	return c.find("payment_method", name, param)
}
