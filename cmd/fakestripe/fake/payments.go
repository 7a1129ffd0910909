package fake

// tryPayment charges a card for a PaymentIntent. A refusal changes the intent too, so callers
// keep what was changed when they get an error. A holder who must be asked is no refusal: the
// intent is then requires_action.
func (c *call) tryPayment(pi, pm object) *apiError {
	pi["payment_method"] = id(pm)
	does := str(pm, "_does")
	switch does {
	case payAuthAlways, payAuthUnlessSetUp:
		if does == payAuthUnlessSetUp && flag(pm, "_setup") {
			break
		}
		c.askHolder(pi, "payment_intent.requires_action")
		return nil
	case payDeclined, payDeclinedLater, payInsufficient, payInsufficientLater, payExpired:
		return c.refuse(pi, pm, c.decline(does))
	case payInsufficientOnce:
		if !flag(pm, "_refused") {
			pm["_refused"] = true
			return c.refuse(pi, pm, c.decline(does))
		}
	}
	c.succeed(pi, pm)
	return nil
}

// askHolder sends the holder of a card to the page that stands for the bank's.
func (c *call) askHolder(intent object, event string) {
	intent["status"] = "requires_action"
	intent["next_action"] = object{"type": "redirect_to_url", "redirect_to_url": object{
		"url": c.s.url + "/3ds/" + c.acct.ID + "/" + id(intent), "return_url": orNil(str(intent, "_return"))}}
	c.emit(event, intent)
}

func (c *call) refuse(pi, pm object, why *apiError) *apiError {
	ch := c.newCharge(pi, pm)
	merge(ch, object{"status": "failed", "paid": false, "failure_code": why.code, "failure_message": why.message,
		"outcome": object{"network_status": "declined_by_network", "reason": why.decline, "risk_level": "normal", "seller_message": "The bank did not return any further details with this decline.", "type": "issuer_declined"}})
	c.emit("charge.failed", ch)
	e := why.body()["error"].(object)
	e["payment_method"] = shown(pm)
	e["charge"] = id(ch)
	merge(pi, object{"status": "requires_payment_method", "last_payment_error": e, "next_action": nil, "payment_method": nil, "latest_charge": id(ch)})
	c.emit("payment_intent.payment_failed", pi)
	why.with = object{"payment_intent": shown(pi), "payment_method": shown(pm), "charge": id(ch)}
	return why
}

func (c *call) newCharge(pi, pm object) object {
	ch := c.create("charge", "ch")
	card := clone(sub(pm, "card")).(object)
	delete(card, "display_brand")
	merge(ch, object{"amount": num(pi, "amount"), "currency": pi["currency"], "customer": pi["customer"], "invoice": pi["invoice"],
		"description": pi["description"], "payment_intent": id(pi), "payment_method": id(pm), "metadata": clone(pi["metadata"]),
		"payment_method_details": object{"type": "card", "card": object{"brand": card["brand"], "last4": card["last4"], "exp_month": card["exp_month"],
			"exp_year": card["exp_year"], "funding": card["funding"], "country": card["country"], "fingerprint": card["fingerprint"], "network": card["brand"]}},
		"billing_details": clone(pm["billing_details"])})
	c.acct.add(ch)
	return ch
}

// succeed takes the money: charge, balance transaction, application fee; and marks an invoice
// paid that the payment is for.
func (c *call) succeed(pi, pm object) {
	ch := c.newCharge(pi, pm)
	amount := num(pi, "amount")
	merge(ch, object{"status": "succeeded", "paid": true, "captured": true, "amount_captured": amount,
		"outcome":     object{"network_status": "approved_by_network", "reason": nil, "risk_level": "normal", "seller_message": "Payment complete.", "type": "authorized"},
		"receipt_url": c.s.url + "/receipts/" + id(ch)})
	details := []any{object{"amount": stripeFee(amount), "application": nil, "currency": pi["currency"], "description": "Stripe processing fees", "type": "stripe_fee"}}
	fee := stripeFee(amount)
	if share := num(pi, "application_fee_amount"); share > 0 && c.connected() {
		ch["application_fee_amount"] = share
		share = min(share, amount) // asked for more, Stripe takes no more than there is
		ch["application"] = applicationID
		ch["application_fee"] = c.takeFee(ch, share)
		details = append(details, object{"amount": share, "application": applicationID, "currency": pi["currency"], "description": "Tollgate application fee", "type": "application_fee"})
		fee += share
	}
	txn := c.balance("charge", id(ch), amount, str(pi, "currency"))
	merge(txn, object{"fee": fee, "fee_details": details, "net": amount - fee})
	ch["balance_transaction"] = id(txn)
	merge(pi, object{"status": "succeeded", "amount_received": amount, "latest_charge": id(ch), "next_action": nil, "last_payment_error": nil, "payment_method": id(pm)})
	c.emit("charge.succeeded", ch)
	c.emit("payment_intent.succeeded", pi)
	if inv := c.acct.get("invoice", str(pi, "invoice")); inv != nil {
		inv["charge"] = id(ch)
		c.markPaid(inv)
	}
	if str(pm, "_does") == payDispute {
		c.dispute(ch)
	}
}

// stripeFee is what Stripe keeps of a card payment: 2.9 % and 30.
func stripeFee(amount int64) int64 { return (amount*29+500)/1000 + 30 }

func (c *call) balance(kind, source string, amount int64, currency string) object {
	t := c.create("balance_transaction", "txn")
	merge(t, object{"type": kind, "reporting_category": kind, "source": source, "amount": amount, "net": amount, "currency": currency,
		"available_on": c.now() + 2*86400, "status": "pending", "description": nil})
	c.acct.add(t)
	return t
}

// takeFee books the platform's share of a payment to the platform's own account.
func (c *call) takeFee(ch object, share int64) string {
	p := c.on(PlatformID)
	f := p.create("application_fee", "fee")
	merge(f, object{"account": c.acct.ID, "amount": share, "charge": id(ch), "currency": ch["currency"], "application": applicationID,
		"fee_source": object{"type": "charge", "charge": id(ch)}, "refunds": listOf("/v1/application_fees/"+id(f)+"/refunds", nil, false)})
	f["balance_transaction"] = id(p.balance("application_fee", id(f), share, str(ch, "currency")))
	p.acct.add(f)
	p.emit("application_fee.created", f)
	return id(f)
}

// on is the same call in another account: what Stripe itself does across accounts.
func (c *call) on(account string) *call {
	other := *c
	other.acct = c.st.account(account)
	return &other
}

// refundFee gives back part of the platform's share; the caller has checked the amount.
func (c *call) refundFee(f object, amount int64) object {
	p := c.on(PlatformID)
	r := p.create("fee_refund", "fr")
	merge(r, object{"amount": amount, "currency": f["currency"], "fee": id(f), "balance_transaction": nil})
	p.acct.add(r)
	f["amount_refunded"] = num(f, "amount_refunded") + amount
	f["refunded"] = num(f, "amount_refunded") == num(f, "amount")
	all := sub(f, "refunds")
	all["data"] = append([]any{r}, list(all, "data")...)
	p.emit("application_fee.refunded", f)
	return r
}

func createFeeRefund(c *call) (object, *apiError) {
	f, err := c.find("application_fee", c.id("id"), "")
	if err != nil {
		return nil, err
	}
	left := num(f, "amount") - num(f, "amount_refunded")
	amount := left
	if a, ok := c.p["amount"].(int64); ok {
		amount = a
	}
	if amount < 1 || amount > left {
		return nil, invalid("", "amount", "Refund amount is greater than unrefunded amount on application fee (%d).", left)
	}
	r := c.refundFee(f, amount)
	c.setMetadata(r)
	return r, nil
}

func createRefund(c *call) (object, *apiError) {
	name, param := str(c.p, "charge"), "charge"
	if pi := str(c.p, "payment_intent"); pi != "" {
		if name != "" {
			return nil, invalid("parameters_exclusive", "", "You may only specify one of these parameters: charge, payment_intent.")
		}
		o, err := c.find("payment_intent", pi, "payment_intent")
		if err != nil {
			return nil, err
		}
		name, param = str(o, "latest_charge"), "payment_intent"
	}
	if name == "" {
		return nil, invalid("parameter_missing", "charge", "One of the following params should be provided for this request: payment_intent or charge.")
	}
	ch, err := c.find("charge", name, param)
	if err != nil {
		return nil, err
	}
	amount := num(ch, "amount") - num(ch, "amount_refunded")
	if a, ok := c.p["amount"].(int64); ok {
		amount = a
	}
	return c.refund(ch, amount, str(c.p, "reason"), flag(c.p, "refund_application_fee"), c.p["metadata"])
}

// refund gives money of a charge back, and of the application fee the same share where asked.
func (c *call) refund(ch object, amount int64, reason string, withFee bool, metadata any) (object, *apiError) {
	left := num(ch, "amount_captured") - num(ch, "amount_refunded")
	switch {
	case str(ch, "status") != "succeeded":
		return nil, invalid("", "charge", "Charge %s has not succeeded and cannot be refunded.", id(ch))
	case left == 0:
		return nil, invalid("charge_already_refunded", "", "Charge %s has already been refunded.", id(ch))
	case amount < 1:
		return nil, invalid("parameter_invalid_integer", "amount", "This value must be greater than or equal to 1.")
	case amount > left:
		return nil, invalid("", "amount", "Refund amount (%d) is greater than unrefunded amount on charge (%d)", amount, left)
	case flag(ch, "disputed"):
		return nil, invalid("charge_disputed", "", "Charge %s has been charged back; cannot issue a refund.", id(ch))
	}
	r := c.create("refund", "re")
	merge(r, object{"amount": amount, "charge": id(ch), "currency": ch["currency"], "payment_intent": ch["payment_intent"], "reason": orNil(reason), "status": "succeeded"})
	mergeMetadata(r, metadata)
	r["balance_transaction"] = id(c.balance("refund", id(r), -amount, str(ch, "currency")))
	c.acct.add(r)
	before := num(ch, "amount_refunded")
	ch["amount_refunded"] = before + amount
	ch["refunded"] = num(ch, "amount_refunded") == num(ch, "amount")
	if fee := str(ch, "application_fee"); withFee && fee != "" {
		f := c.on(PlatformID).acct.get("application_fee", fee)
		share := num(f, "amount")*num(ch, "amount_refunded")/num(ch, "amount") - num(f, "amount")*before/num(ch, "amount")
		if share = min(share, num(f, "amount")-num(f, "amount_refunded")); share > 0 {
			c.refundFee(f, share)
		}
	}
	c.emit("charge.refunded", ch, object{"amount_refunded": before})
	c.emit("refund.created", r)
	if str(c.acct.get("payment_method", str(ch, "payment_method")), "_does") == payRefundFails {
		c.later(jobRefund, id(r), c.now()+86400)
	}
	return r, nil
}

// failRefund is for a refund that did not arrive: its money is back.
func (c *call) failRefund(r object) {
	ch := c.acct.get("charge", str(r, "charge"))
	t := c.balance("refund_failure", id(r), num(r, "amount"), str(r, "currency"))
	merge(r, object{"status": "failed", "failure_reason": "expired_or_canceled_card", "failure_balance_transaction": id(t)})
	ch["amount_refunded"], ch["refunded"] = num(ch, "amount_refunded")-num(r, "amount"), false
	c.emit("charge.refund.updated", r, object{"status": "succeeded"})
	c.emit("refund.updated", r, object{"status": "succeeded"})
}

func (c *call) dispute(ch object) {
	d := c.create("dispute", "dp")
	t := c.balance("adjustment", id(d), -num(ch, "amount"), str(ch, "currency"))
	t["fee"], t["net"] = int64(1500), -num(ch, "amount")-1500
	merge(d, object{"amount": num(ch, "amount"), "charge": id(ch), "currency": ch["currency"], "payment_intent": ch["payment_intent"],
		"status": "needs_response", "reason": "fraudulent", "balance_transactions": []any{shown(t)}})
	sub(d, "evidence_details")["due_by"] = c.now() + 7*86400
	c.acct.add(d)
	ch["disputed"] = true
	c.emit("charge.dispute.created", d)
	c.emit("charge.dispute.funds_withdrawn", d)
}

// updateDispute answers a dispute. As in Stripe's test mode the text decides who wins.
func updateDispute(c *call) (object, *apiError) {
	d, err := c.find("dispute", c.id("id"), "")
	if err != nil {
		return nil, err
	}
	if s := str(d, "status"); s != "needs_response" {
		return nil, invalid("", "", "This dispute is already %s.", s)
	}
	c.setMetadata(d)
	for k, v := range sub(c.p, "evidence") {
		sub(d, "evidence")[k] = unset(v)
	}
	details := sub(d, "evidence_details")
	details["has_evidence"] = true
	if !flag(c.p, "submit") {
		c.emit("charge.dispute.updated", d)
		return d, nil
	}
	details["submission_count"] = num(details, "submission_count") + 1
	c.closeDispute(d, str(sub(d, "evidence"), "uncategorized_text") == "winning_evidence")
	return d, nil
}

func closeDisputeCall(c *call) (object, *apiError) {
	d, err := c.find("dispute", c.id("id"), "")
	if err != nil {
		return nil, err
	}
	if s := str(d, "status"); s != "needs_response" {
		return nil, invalid("", "", "This dispute is already %s.", s)
	}
	c.closeDispute(d, false)
	return d, nil
}

func (c *call) closeDispute(d object, won bool) {
	d["status"] = "lost"
	if won {
		d["status"] = "won"
		t := c.balance("adjustment", id(d), num(d, "amount"), str(d, "currency"))
		d["balance_transactions"] = append(list(d, "balance_transactions"), shown(t))
		c.acct.get("charge", str(d, "charge"))["disputed"] = false
		c.emit("charge.dispute.funds_reinstated", d)
	}
	c.emit("charge.dispute.closed", d)
}

// newPayment starts a PaymentIntent.
func (c *call) newPayment(amount int64, currency string, customer any) object {
	pi := c.create("payment_intent", "pi")
	merge(pi, object{"amount": amount, "currency": currency, "customer": customer, "client_secret": id(pi) + "_secret_fake"})
	c.acct.add(pi)
	return pi
}

// confirmed is what the holder of a card said on the bank's page about a payment or set-up.
func (c *call) confirmed(intent object, yes bool) {
	pm := c.acct.get("payment_method", str(intent, "payment_method"))
	if str(intent, "status") != "requires_action" || pm == nil {
		return
	}
	intent["next_action"] = nil
	switch {
	case str(intent, "object") == "setup_intent":
		if yes {
			c.finishSetup(intent, pm)
			return
		}
		c.failSetup(intent, pm, &apiError{status: 402, kind: "invalid_request_error", code: "setup_intent_authentication_failure",
			message: "The latest attempt to set up the payment method has failed because authentication failed."})
	case yes:
		c.succeed(intent, pm)
	default:
		why := &apiError{status: 402, kind: "invalid_request_error", code: "payment_intent_authentication_failure",
			message: "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new PaymentMethod to attempt to fulfill this PaymentIntent again."}
		e := why.body()["error"].(object)
		e["payment_method"] = shown(pm)
		merge(intent, object{"status": "requires_payment_method", "last_payment_error": e, "payment_method": nil})
		c.emit("payment_intent.payment_failed", intent)
		if inv := c.acct.get("invoice", str(intent, "invoice")); inv != nil && str(inv, "status") == "open" {
			c.emit("invoice.payment_failed", inv)
		}
	}
}
