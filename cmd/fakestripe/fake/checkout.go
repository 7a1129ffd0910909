package fake

import "strings"

// sessionLife is how long a Checkout session can be completed.
const sessionLife = 24 * 3600 // seconds

func createCheckout(c *call) (object, *apiError) {
	mode := str(c.p, "mode")
	switch {
	case mode == "subscription":
		return nil, unsupported("mode", "Checkout for subscriptions")
	case mode == "":
		return nil, invalid("parameter_missing", "mode", "Missing required param: mode.")
	case str(c.p, "ui_mode") == "embedded":
		return nil, unsupported("ui_mode", "embedded Checkout")
	case str(c.p, "success_url") == "":
		return nil, invalid("parameter_missing", "success_url", "Missing required param: success_url.")
	case mode == "setup" && str(c.p, "currency") == "" && len(list(c.p, "payment_method_types")) == 0:
		return nil, invalid("parameter_missing", "currency", "You must provide either `currency` or `payment_method_types` in setup mode.")
	case mode == "payment" && len(list(c.p, "line_items")) == 0:
		return nil, invalid("parameter_missing", "line_items", "You must provide `line_items` in payment mode.")
	case mode == "setup" && len(list(c.p, "line_items")) > 0:
		return nil, invalid("", "line_items", "You can not pass `line_items` in setup mode.")
	case str(c.p, "customer") != "" && str(c.p, "customer_email") != "":
		return nil, invalid("parameters_exclusive", "", "You may only specify one of these parameters: customer, customer_email.")
	case flag(sub(c.p, "automatic_tax"), "enabled"):
		return nil, unsupported("automatic_tax[enabled]", "Stripe Tax")
	}
	if err := c.ownCustomer(); err != nil {
		return nil, err
	}
	for _, p := range []string{"success_url", "cancel_url"} {
		if u := str(c.p, p); u != "" {
			if err := checkURL(u, p); err != nil {
				return nil, err
			}
		}
	}
	o := c.create("checkout.session", "cs_test")
	o["payment_status"] = "no_payment_required"
	items, total := []any{}, int64(0)
	if mode == "payment" {
		o["payment_status"] = "unpaid"
		currency := str(c.p, "currency")
		for i, p := range list(c.p, "line_items") {
			p := p.(object)
			at := path("line_items[%d]", i)
			if currency == "" {
				currency = str(sub(p, "price_data"), "currency")
			}
			amount, price, err := c.priced(p, currency, at)
			if err != nil {
				return nil, err
			}
			total += amount
			items = append(items, object{"id": c.st.newID("li"), "object": "item", "amount_subtotal": amount, "amount_total": amount, "amount_discount": int64(0),
				"amount_tax": int64(0), "currency": currency, "description": str(sub(sub(p, "price_data"), "product_data"), "name"), "price": price, "quantity": p["quantity"]})
		}
		if total < minimum(currency) {
			return nil, invalid("amount_too_small", "", "The Checkout Session's total amount must convert to at least %d %s.", minimum(currency), currency)
		}
		fee := num(sub(c.p, "payment_intent_data"), "application_fee_amount")
		if fee > 0 && !c.connected() || fee > total || fee < 0 {
			return nil, invalid("", "payment_intent_data[application_fee_amount]", "An application fee needs the Stripe-Account header, and must not be larger than the total.")
		}
		merge(o, object{"amount_subtotal": total, "amount_total": total, "total_details": object{"amount_discount": int64(0), "amount_shipping": int64(0), "amount_tax": int64(0)}})
		c.p["currency"] = currency
	}
	c.take(o, "mode", "success_url", "cancel_url", "client_reference_id", "customer", "customer_email", "locale", "currency", "payment_method_types", "customer_creation",
		"billing_address_collection", "submit_type")
	c.setMetadata(o)
	merge(o, object{"url": c.s.url + "/c/pay/" + c.acct.ID + "/" + id(o), "expires_at": c.now() + sessionLife, "status": "open",
		"_items": items, "_payment": clone(sub(c.p, "payment_intent_data")), "_setup": clone(sub(c.p, "setup_intent_data"))})
	if e, ok := c.p["expires_at"].(int64); ok {
		if e < c.now()+1800 || e > c.now()+sessionLife {
			return nil, invalid("", "expires_at", "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation.")
		}
		o["expires_at"] = e
	}
	if mode == "setup" {
		si := c.newSetup(o["customer"])
		mergeMetadata(si, sub(c.p, "setup_intent_data")["metadata"])
		si["_session"] = id(o)
		c.acct.add(si)
		o["setup_intent"] = id(si)
		c.emit("setup_intent.created", si)
	}
	c.acct.add(o)
	c.later(jobExpire, id(o), num(o, "expires_at"))
	return o, nil
}

func listCheckoutItems(c *call) (object, *apiError) {
	o, err := c.find("checkout.session", c.id("id"), "")
	if err != nil {
		return nil, err
	}
	var all []object
	for _, l := range list(o, "_items") {
		all = append(all, l.(object))
	}
	return c.page("/v1/checkout/sessions/"+id(o)+"/line_items", all)
}

func expireCheckout(c *call) (object, *apiError) {
	o, err := c.find("checkout.session", c.id("id"), "")
	if err != nil {
		return nil, err
	}
	if s := str(o, "status"); s != "open" {
		return nil, invalid("", "", "Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout Session has a status of %s.", s)
	}
	o["status"], o["url"] = "expired", nil
	c.cancel(jobExpire, id(o))
	c.emit("checkout.session.expired", o)
	return o, nil
}

// payCheckout is what a person does on the Checkout page: it tries the card. It returns where
// the browser goes next, or why the card was refused.
func (c *call) payCheckout(o object, k *card, email, name string) (next string, err *apiError) {
	if o["customer_email"] != nil && email == "" {
		email = str(o, "customer_email")
	}
	cus := c.acct.get("customer", str(o, "customer"))
	if cus != nil && email == "" {
		email = str(cus, "email")
	}
	pm := c.newCard(k)
	merge(sub(pm, "billing_details"), object{"email": orNil(email), "name": orNil(name)})
	o["customer_details"] = object{"address": nil, "email": orNil(email), "name": orNil(name), "phone": nil, "tax_exempt": "none", "tax_ids": []any{}}
	if cus == nil && str(o, "customer_creation") == "always" {
		cus = c.create("customer", "cus")
		merge(cus, object{"email": orNil(email), "name": orNil(name), "invoice_prefix": strings.ToUpper(id(cus)[len(id(cus))-8:])})
		c.acct.add(cus)
		o["customer"] = id(cus)
		c.emit("customer.created", cus)
	}
	var intent object
	if str(o, "mode") == "setup" {
		intent = c.acct.get("setup_intent", str(o, "setup_intent"))
		intent["customer"] = o["customer"]
		intent["_return"] = c.s.url + "/c/done/" + c.acct.ID + "/" + id(o)
		err = c.trySetup(intent, pm)
	} else {
		if intent = c.acct.get("payment_intent", str(o, "payment_intent")); intent == nil {
			intent = c.newPayment(num(o, "amount_total"), str(o, "currency"), o["customer"])
			data := sub(o, "_payment")
			merge(intent, object{"description": data["description"], "application_fee_amount": data["application_fee_amount"], "setup_future_usage": data["setup_future_usage"]})
			mergeMetadata(intent, data["metadata"])
			o["payment_intent"] = id(intent)
			c.emit("payment_intent.created", intent)
		}
		intent["_return"] = c.s.url + "/c/done/" + c.acct.ID + "/" + id(o)
		err = c.tryPayment(intent, pm)
	}
	if err != nil {
		return "", err
	}
	if str(intent, "status") == "requires_action" {
		return str(sub(sub(intent, "next_action"), "redirect_to_url"), "url"), nil
	}
	return c.finishCheckout(o), nil
}

// finishCheckout completes a session whose intent has succeeded, once, and returns where the
// browser goes.
func (c *call) finishCheckout(o object) string {
	back := strings.ReplaceAll(str(o, "success_url"), "{CHECKOUT_SESSION_ID}", id(o))
	if str(o, "status") != "open" {
		return back
	}
	o["status"], o["url"] = "complete", nil
	if str(o, "mode") == "payment" {
		o["payment_status"] = "paid"
		pi := c.acct.get("payment_intent", str(o, "payment_intent"))
		if pm := c.acct.get("payment_method", str(pi, "payment_method")); str(pi, "setup_future_usage") != "" && o["customer"] != nil && pm["customer"] == nil {
			pm["_setup"] = true
			c.attach(pm, str(o, "customer"))
		}
	}
	c.cancel(jobExpire, id(o))
	c.emit("checkout.session.completed", o)
	return back
}

// intentOf is what a session's page works on.
func (c *call) intentOf(o object) object {
	if str(o, "mode") == "setup" {
		return c.acct.get("setup_intent", str(o, "setup_intent"))
	}
	return c.acct.get("payment_intent", str(o, "payment_intent"))
}
