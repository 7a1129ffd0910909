package fake

import "strings"

// The moves of an invoice: draft to open, open to paid, void or uncollectible, uncollectible to
// paid or void. Nothing else changes a status.

// finalizeAfter is how long a draft with auto_advance stays one.
const finalizeAfter = 3600 // seconds

// retryAfter is how long after each failed payment the next one is tried; then no more. Stripe
// chooses the days by a model; these are the ones its older fixed schedule proposes.
var retryAfter = []int64{3 * 86400, 5 * 86400, 7 * 86400}

// minimum is the smallest amount Stripe charges, in minor units.
func minimum(currency string) int64 {
	switch currency {
	case "gbp":
		return 30
	case "jpy":
		return 50
	case "chf", "usd", "eur", "cad", "aud", "nzd", "sgd", "brl":
		return 50
	case "sek", "nok":
		return 300
	case "dkk":
		return 250
	case "mxn":
		return 1000
	case "huf":
		return 17500
	case "pln":
		return 200
	}
	return 50
}

func (c *call) scheduleFinalize(inv object) {
	c.cancel(jobFinalize, id(inv))
	inv["automatically_finalizes_at"] = nil
	if flag(inv, "auto_advance") {
		at := num(inv, "created") + finalizeAfter
		inv["automatically_finalizes_at"] = at
		c.later(jobFinalize, id(inv), max(at, c.now()))
	}
}

func finalizeInvoice(c *call) (object, *apiError) {
	inv, err := c.find("invoice", c.id("id"), "")
	if err != nil {
		return nil, err
	}
	before := inv["auto_advance"]
	if a, ok := c.p["auto_advance"].(bool); ok {
		inv["auto_advance"] = a
	}
	if err := c.finalize(inv); err != nil {
		inv["auto_advance"] = before
		return nil, err
	}
	return inv, nil
}

// finalize moves a draft to open, or straight to paid where nothing is to be paid.
func (c *call) finalize(inv object) *apiError {
	if str(inv, "status") != "draft" {
		return invalid("", "", "This invoice is already finalized, you can't re-finalize a non-draft invoice.")
	}
	cus := c.acct.get("customer", str(inv, "customer"))
	if cus == nil {
		return invalid("resource_missing", "customer", "The invoice's customer has been deleted.")
	}
	total := num(inv, "total")
	if fee := num(inv, "application_fee_amount"); fee > max(0, total) {
		return invalid("", "application_fee_amount", "The application fee amount (%d) must not be larger than the invoice's total (%d).", fee, total)
	}
	c.cancel(jobFinalize, id(inv))
	c.snapshotCustomer(inv, cus)
	c.total(inv)
	due := c.settleBalance(inv, cus)
	merge(inv, object{"status": "open", "amount_due": due, "amount_remaining": due, "automatically_finalizes_at": nil,
		"hosted_invoice_url": c.s.url + "/i/" + c.acct.ID + "/" + id(inv), "invoice_pdf": c.s.url + "/i/" + c.acct.ID + "/" + id(inv) + "/pdf"})
	if inv["number"] == nil {
		n := num(cus, "next_invoice_sequence")
		inv["number"] = path("%s-%04d", strings.ToUpper(str(cus, "invoice_prefix")), n)
		cus["next_invoice_sequence"] = n + 1
	}
	if inv["effective_at"] == nil {
		inv["effective_at"] = c.now()
	}
	if days, ok := inv["_days"].(int64); ok {
		inv["due_date"] = c.now() + days*86400
	}
	sub(inv, "status_transitions")["finalized_at"] = c.now()
	if due == 0 {
		c.emit("invoice.finalized", inv)
		c.markPaid(inv)
		return nil
	}
	pi := c.newPayment(due, str(inv, "currency"), inv["customer"])
	merge(pi, object{"invoice": id(inv), "description": "Payment for Invoice", "application_fee_amount": inv["application_fee_amount"]})
	inv["payment_intent"] = id(pi)
	c.emit("payment_intent.created", pi)
	if str(inv, "collection_method") == "send_invoice" {
		c.later(jobOverdue, id(inv), num(inv, "due_date"))
		c.emit("invoice.finalized", inv)
		if flag(inv, "auto_advance") {
			c.emit("invoice.sent", inv)
		}
		return nil
	}
	if flag(inv, "auto_advance") {
		c.attemptAt(inv, c.now())
	}
	c.emit("invoice.finalized", inv)
	return nil
}

// settleBalance applies the customer's balance to a draft and returns what is left to pay: a
// credit lowers it, a debt raises it, and what is too little to charge waits in the balance.
func (c *call) settleBalance(inv, cus object) int64 {
	start := num(cus, "balance")
	due := num(inv, "total") + start
	end := int64(0)
	if due <= 0 || due < minimum(str(inv, "currency")) && str(inv, "collection_method") == "charge_automatically" {
		end, due = due, 0
	}
	inv["starting_balance"], inv["ending_balance"] = start, end
	if end != start {
		c.moveBalance(cus, end-start, "applied_to_invoice", object{"invoice": id(inv), "currency": inv["currency"]})
	}
	return due
}

func (c *call) attemptAt(inv object, at int64) {
	inv["next_payment_attempt"] = at
	c.cancel(jobCollect, id(inv))
	c.later(jobCollect, id(inv), at)
}

// collect is the automatic payment of an open invoice.
func (c *call) collect(inv object) {
	if str(inv, "status") != "open" || !flag(inv, "auto_advance") || str(inv, "collection_method") != "charge_automatically" {
		return
	}
	inv["attempt_count"] = num(inv, "attempt_count") + 1
	if err := c.charge(inv, "", true); err != nil || str(inv, "status") == "open" {
		if n := num(inv, "attempt_count"); n <= int64(len(retryAfter)) {
			c.attemptAt(inv, c.now()+retryAfter[n-1])
		} else {
			inv["next_payment_attempt"] = nil
		}
		c.paymentFailed(inv)
	}
}

// paymentFailed tells of a payment that was refused or waits for the holder.
func (c *call) paymentFailed(inv object) {
	c.emit("invoice.payment_failed", inv)
	if pi := c.acct.get("payment_intent", str(inv, "payment_intent")); str(pi, "status") == "requires_action" {
		c.emit("invoice.payment_action_required", inv)
	}
	c.emit("invoice.updated", inv)
}

// charge tries to pay an invoice with a card: the named one, the invoice's or the customer's.
func (c *call) charge(inv object, card string, offSession bool) *apiError {
	cus := c.acct.get("customer", str(inv, "customer"))
	if card == "" {
		card = str(inv, "default_payment_method")
	}
	if card == "" {
		card = str(sub(cus, "invoice_settings"), "default_payment_method")
	}
	inv["attempted"] = true
	if card == "" {
		return invalid("", "", "There is no `default_payment_method` set on this Customer or Invoice. Please set a `default_payment_method` or provide a `payment_method` to pay.")
	}
	pm, err := c.paymentMethod(card, "payment_method")
	if err != nil {
		return err
	}
	if pm["customer"] == nil && cardByToken(card) != nil {
		c.attach(pm, str(inv, "customer"))
	}
	if pm["customer"] != inv["customer"] {
		return invalid("", "payment_method", "The payment method %s does not belong to the invoice's customer.", id(pm))
	}
	pi := c.acct.get("payment_intent", str(inv, "payment_intent"))
	if pi == nil {
		return invalid("", "", "The invoice has nothing to pay.")
	}
	pi["amount"] = num(inv, "amount_remaining")
	return c.tryPayment(pi, pm)
}

func payInvoice(c *call) (object, *apiError) {
	inv, err := c.find("invoice", c.id("id"), "")
	if err != nil {
		return nil, err
	}
	switch s := str(inv, "status"); s {
	case "paid":
		return nil, invalid("", "", "Invoice is already paid")
	case "void":
		return nil, invalid("", "", "Voided invoices cannot be paid.")
	case "draft":
		if err := c.finalize(inv); err != nil {
			return nil, err
		}
		if str(inv, "status") == "paid" {
			return inv, nil
		}
	}
	if flag(c.p, "paid_out_of_band") {
		inv["paid_out_of_band"] = true
		c.cancelPayment(inv)
		c.markPaid(inv)
		return inv, nil
	}
	if num(inv, "attempt_count") == 0 {
		inv["attempt_count"] = int64(1)
	}
	off := true
	if o, ok := c.p["off_session"].(bool); ok {
		off = o
	}
	if err := c.charge(inv, str(c.p, "payment_method"), off); err != nil {
		c.paymentFailed(inv)
		return nil, err
	}
	if str(inv, "status") == "open" || str(inv, "status") == "uncollectible" {
		c.paymentFailed(inv)
		pi := c.acct.get("payment_intent", str(inv, "payment_intent"))
		return nil, &apiError{status: 402, kind: "invalid_request_error", code: "invoice_payment_intent_requires_action",
			message: "Invoice payment intent requires action. Please follow the instructions on the hosted invoice page.", with: object{"payment_intent": shown(pi)}}
	}
	return inv, nil
}

// markPaid moves an invoice to paid: its remaining amount has come, or there was none.
func (c *call) markPaid(inv object) {
	inv["status"], inv["paid"], inv["attempted"] = "paid", true, true
	inv["amount_paid"] = num(inv, "amount_paid") + num(inv, "amount_remaining")
	inv["amount_remaining"], inv["next_payment_attempt"] = int64(0), nil
	sub(inv, "status_transitions")["paid_at"] = c.now()
	c.cancel(jobCollect, id(inv))
	c.cancel(jobOverdue, id(inv))
	c.emit("invoice.updated", inv)
	c.emit("invoice.paid", inv)
	if !flag(inv, "paid_out_of_band") {
		c.emit("invoice.payment_succeeded", inv)
	}
}

// cancelPayment ends the PaymentIntent of an invoice that will not be paid with it.
func (c *call) cancelPayment(inv object) {
	pi := c.acct.get("payment_intent", str(inv, "payment_intent"))
	if pi == nil || str(pi, "status") == "succeeded" || str(pi, "status") == "canceled" {
		return
	}
	merge(pi, object{"status": "canceled", "canceled_at": c.now(), "cancellation_reason": "void_invoice", "next_action": nil})
	c.emit("payment_intent.canceled", pi)
}

func voidInvoice(c *call) (object, *apiError) {
	inv, err := c.find("invoice", c.id("id"), "")
	if err != nil {
		return nil, err
	}
	if s := str(inv, "status"); s != "open" && s != "uncollectible" {
		return nil, invalid("", "", "You can only pass in open or uncollectible invoices. This invoice isn't: its status is %s.", s)
	}
	inv["status"], inv["next_payment_attempt"], inv["auto_advance"] = "void", nil, false
	sub(inv, "status_transitions")["voided_at"] = c.now()
	c.cancel(jobCollect, id(inv))
	c.cancel(jobOverdue, id(inv))
	c.cancelPayment(inv)
	if used := num(inv, "ending_balance") - num(inv, "starting_balance"); used != 0 {
		if cus := c.acct.get("customer", str(inv, "customer")); cus != nil {
			c.moveBalance(cus, -used, "unapplied_from_invoice", object{"invoice": id(inv), "currency": inv["currency"]})
		}
	}
	c.emit("invoice.updated", inv)
	c.emit("invoice.voided", inv)
	return inv, nil
}

func markUncollectible(c *call) (object, *apiError) {
	inv, err := c.find("invoice", c.id("id"), "")
	if err != nil {
		return nil, err
	}
	if s := str(inv, "status"); s != "open" {
		return nil, invalid("", "", "You can only pass in open invoices. This invoice isn't: its status is %s.", s)
	}
	inv["status"], inv["next_payment_attempt"] = "uncollectible", nil
	sub(inv, "status_transitions")["marked_uncollectible_at"] = c.now()
	c.cancel(jobCollect, id(inv))
	c.cancel(jobOverdue, id(inv))
	c.emit("invoice.updated", inv)
	c.emit("invoice.marked_uncollectible", inv)
	return inv, nil
}

func sendInvoice(c *call) (object, *apiError) {
	inv, err := c.find("invoice", c.id("id"), "")
	if err != nil {
		return nil, err
	}
	if str(inv, "collection_method") != "send_invoice" {
		return nil, invalid("", "", "You can only manually send an invoice if its collection method is 'send_invoice'.")
	}
	switch s := str(inv, "status"); s {
	case "draft":
		if err := c.finalize(inv); err != nil {
			return nil, err
		}
	case "open":
	default:
		return nil, invalid("", "", "You can't send an invoice whose status is %s.", s)
	}
	c.emit("invoice.sent", inv)
	return inv, nil
}
