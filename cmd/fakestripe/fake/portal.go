package fake

// portalLife is how long a portal session can be opened after it was made or last used.
const portalLife = 3600 // seconds

func createPortalConfig(c *call) (object, *apiError) {
	o := c.create("billing_portal.configuration", "bpc")
	o["is_default"] = len(c.acct.Order["billing_portal.configuration"]) == 0
	o["updated"] = c.now()
	c.writePortalConfig(o)
	c.acct.add(o)
	c.emit("billing_portal.configuration.created", o)
	return o, nil
}

func updatePortalConfig(c *call) (object, *apiError) {
	o, err := c.find("billing_portal.configuration", c.id("id"), "")
	if err != nil {
		return nil, err
	}
	c.writePortalConfig(o)
	o["updated"] = c.now()
	c.emit("billing_portal.configuration.updated", o)
	return o, nil
}

func (c *call) writePortalConfig(o object) {
	for k, v := range sub(c.p, "business_profile") {
		sub(o, "business_profile")[k] = unset(v)
	}
	for name, v := range sub(c.p, "features") {
		if f, ok := v.(object); ok {
			merge(sub(sub(o, "features"), name), clone(f).(object))
		}
	}
	c.take(o, "default_return_url", "active")
	c.setMetadata(o)
}

func createPortalSession(c *call) (object, *apiError) {
	if err := c.ownCustomer(); err != nil {
		return nil, err
	}
	if flow := str(sub(c.p, "flow_data"), "type"); flow != "" && flow != "payment_method_update" {
		return nil, unsupported("flow_data[type]", "portal flows about subscriptions")
	}
	config := str(c.p, "configuration")
	if config == "" {
		all := c.acct.all("billing_portal.configuration", func(o object) bool { return flag(o, "is_default") })
		if len(all) == 0 {
			return nil, invalid("", "", "You can't create a portal session in test mode until you save your customer portal settings in test mode: create a billing_portal configuration first.")
		}
		config = id(all[0])
	} else if _, err := c.find("billing_portal.configuration", config, "configuration"); err != nil {
		return nil, err
	}
	o := c.create("billing_portal.session", "bps")
	c.take(o, "customer", "return_url", "locale")
	merge(o, object{"configuration": config, "url": c.s.url + "/p/session/" + c.acct.ID + "/" + id(o)})
	if flow := str(sub(c.p, "flow_data"), "type"); flow != "" {
		o["flow"] = object{"type": flow, "after_completion": object{"type": "portal_homepage", "redirect": nil, "hosted_confirmation": nil}}
		if to := str(sub(sub(sub(c.p, "flow_data"), "after_completion"), "redirect"), "return_url"); to != "" {
			o["flow"] = object{"type": flow, "after_completion": object{"type": "redirect", "redirect": object{"return_url": to}, "hosted_confirmation": nil}}
		}
	}
	c.acct.add(o)
	c.emit("billing_portal.session.created", o)
	return o, nil
}
