package fake

func createSetupIntent(c *call) (object, *apiError) {
	if err := c.ownCustomer(); err != nil {
		return nil, err
	}
	si := c.newSetup(orNil(str(c.p, "customer")))
	c.take(si, "description", "usage", "payment_method_types")
	c.setMetadata(si)
	si["_return"] = str(c.p, "return_url")
	if pm := str(c.p, "payment_method"); pm != "" {
		m, err := c.paymentMethod(pm, "payment_method")
		if err != nil {
			return nil, err
		}
		si["payment_method"], si["status"] = id(m), "requires_confirmation"
	}
	c.acct.add(si)
	c.emit("setup_intent.created", si)
	if flag(c.p, "confirm") {
		return c.confirmSetup(si)
	}
	return si, nil
}

// newSetup starts a SetupIntent; the caller adds it.
func (c *call) newSetup(customer any) object {
	si := c.create("setup_intent", "seti")
	merge(si, object{"customer": customer, "client_secret": id(si) + "_secret_fake", "usage": "off_session"})
	return si
}

func confirmSetupCall(c *call) (object, *apiError) {
	si, err := c.find("setup_intent", c.id("id"), "")
	if err != nil {
		return nil, err
	}
	if r := str(c.p, "return_url"); r != "" {
		si["_return"] = r
	}
	if name := str(c.p, "payment_method"); name != "" {
		pm, err := c.paymentMethod(name, "payment_method")
		if err != nil {
			return nil, err
		}
		si["payment_method"] = id(pm)
	}
	return c.confirmSetup(si)
}

func (c *call) confirmSetup(si object) (object, *apiError) {
	if s := str(si, "status"); s == "succeeded" || s == "canceled" || s == "requires_action" {
		return nil, invalid("setup_intent_unexpected_state", "", "You cannot confirm this SetupIntent because it has a status of %s.", s)
	}
	pm := c.acct.get("payment_method", str(si, "payment_method"))
	if pm == nil {
		return nil, invalid("parameter_missing", "payment_method", "You cannot confirm this SetupIntent because it's missing a payment method.")
	}
	return si, c.trySetup(si, pm)
}

// trySetup saves a card for later; like tryPayment it changes the intent on a refusal too.
func (c *call) trySetup(si, pm object) *apiError {
	si["payment_method"] = id(pm)
	if owner := str(pm, "customer"); owner != "" && owner != str(si, "customer") {
		return invalid("", "payment_method", "The PaymentMethod provided (%s) is already attached to another Customer.", id(pm))
	}
	switch does := str(pm, "_does"); does {
	case payDeclined, payInsufficient, payExpired:
		e := c.decline(does)
		c.failSetup(si, pm, e)
		e.with = object{"setup_intent": shown(si), "payment_method": shown(pm)}
		return e
	case payAuthAlways, payAuthUnlessSetUp:
		c.askHolder(si, "setup_intent.requires_action")
		return nil
	}
	c.finishSetup(si, pm)
	return nil
}

func (c *call) failSetup(si, pm object, why *apiError) {
	e := why.body()["error"].(object)
	e["payment_method"] = shown(pm)
	merge(si, object{"status": "requires_payment_method", "last_setup_error": e, "next_action": nil, "payment_method": nil})
	c.emit("setup_intent.setup_failed", si)
}

func (c *call) finishSetup(si, pm object) {
	pm["_setup"] = true
	merge(si, object{"status": "succeeded", "last_setup_error": nil, "next_action": nil, "payment_method": id(pm)})
	if cus := str(si, "customer"); cus != "" && pm["customer"] == nil {
		c.attach(pm, cus)
	}
	c.emit("setup_intent.succeeded", si)
	// A card given in the portal pays from then on; one given in Checkout waits for the API.
	if cus := c.acct.get("customer", str(si, "customer")); cus != nil && flag(si, "_default") {
		c.setDefault(cus, id(pm))
	}
}

func (c *call) attach(pm object, customer string) {
	pm["customer"] = customer
	c.emit("payment_method.attached", pm)
}

func cancelSetup(c *call) (object, *apiError) {
	si, err := c.find("setup_intent", c.id("id"), "")
	if err != nil {
		return nil, err
	}
	if s := str(si, "status"); s == "succeeded" || s == "canceled" {
		return nil, invalid("setup_intent_unexpected_state", "", "You cannot cancel this SetupIntent because it has a status of %s.", s)
	}
	si["status"], si["next_action"], si["cancellation_reason"] = "canceled", nil, c.p["cancellation_reason"]
	c.emit("setup_intent.canceled", si)
	return si, nil
}
