package fake

import "strings"

// applicationID is the platform as connected accounts see it.
const applicationID = "ca_FakeTollgate"

// accountLinkLife is how long an onboarding link can be opened.
const accountLinkLife = 300 // seconds

// seed makes the platform's own account.
func (s *Server) seed() {
	c := &call{s: s, st: s.st, acct: s.st.account(PlatformID), p: object{}}
	if c.acct.get("account", PlatformID) != nil {
		return
	}
	o := blank("account")
	merge(o, object{"id": PlatformID, "created": c.now(), "charges_enabled": true, "payouts_enabled": true, "details_submitted": true, "email": "platform@example.com",
		"capabilities": object{"card_payments": "active", "transfers": "active"}, "controller": object{"type": "account"}})
	sub(sub(o, "settings"), "dashboard")["display_name"] = "Platform"
	c.satisfied(o)
	c.acct.Objects[PlatformID] = o // in no list: GET /v1/accounts names connected accounts only
}

func (c *call) satisfied(o object) {
	for _, r := range []string{"requirements", "future_requirements"} {
		for _, k := range []string{"currently_due", "eventually_due", "past_due"} {
			sub(o, r)[k] = []any{}
		}
		sub(o, r)["disabled_reason"] = nil
	}
}

func ownAccount(c *call) (object, *apiError) {
	return c.on(PlatformID).find("account", c.acct.ID, "")
}

func createAccount(c *call) (object, *apiError) {
	if c.connected() {
		return nil, invalid("platform_account_required", "", "Only platforms can create connected accounts.")
	}
	ctl := sub(c.p, "controller")
	kind := str(c.p, "type")
	if kind != "" && ctl != nil {
		return nil, invalid("parameters_exclusive", "", "You may only specify one of these parameters: type, controller.")
	}
	if kind == "" && ctl == nil {
		kind = "standard"
	}
	full := object{"type": "application", "is_controller": true, "fees": object{"payer": "account"}, "losses": object{"payments": "stripe"},
		"requirement_collection": "stripe", "stripe_dashboard": object{"type": "full"}}
	for _, k := range []string{"fees", "losses", "stripe_dashboard"} {
		merge(sub(full, k), sub(ctl, k))
	}
	if r := str(ctl, "requirement_collection"); r != "" {
		full["requirement_collection"] = r
	}
	if str(full, "requirement_collection") != "stripe" || kind == "custom" {
		return nil, unsupported("controller[requirement_collection]", "accounts whose requirements the application collects")
	}
	o := c.create("account", "acct")
	o["id"] = strings.ReplaceAll(id(o), "_1Fake", "_1FakeConn")
	c.take(o, "country", "email", "business_type", "default_currency")
	merge(o, object{"type": kind, "controller": full, "capabilities": object{}})
	if kind == "" {
		o["type"] = "none"
		if str(sub(full, "stripe_dashboard"), "type") == "full" {
			o["type"] = "standard"
		}
	}
	o["external_accounts"] = listOf("/v1/accounts/"+id(o)+"/external_accounts", nil, false)
	for k := range sub(c.p, "capabilities") {
		sub(o, "capabilities")[k] = "inactive"
	}
	for k, v := range sub(c.p, "business_profile") {
		sub(o, "business_profile")[k] = unset(v)
	}
	sub(o, "requirements")["disabled_reason"] = "requirements.past_due"
	c.setMetadata(o)
	c.acct.add(o)
	c.st.account(id(o))
	return o, nil
}

func updateAccount(c *call) (object, *apiError) {
	o, err := c.find("account", c.id("id"), "")
	if err != nil {
		return nil, err
	}
	before := clone(o).(object)
	c.take(o, "email", "business_type", "default_currency")
	for k, v := range sub(c.p, "business_profile") {
		sub(o, "business_profile")[k] = unset(v)
	}
	c.setMetadata(o)
	c.on(id(o)).emit("account.updated", o, changed(before, o))
	return o, nil
}

func deleteAccount(c *call) (object, *apiError) {
	o, err := c.find("account", c.id("id"), "")
	if err != nil {
		return nil, err
	}
	if id(o) == PlatformID {
		return nil, invalid("", "", "The platform's own account cannot be deleted.")
	}
	c.acct.remove(o)
	delete(c.st.Accounts, id(o))
	return deleted(o), nil
}

func createAccountLink(c *call) (object, *apiError) {
	o, err := c.find("account", str(c.p, "account"), "account")
	if err != nil {
		return nil, err
	}
	for _, p := range []string{"refresh_url", "return_url"} {
		if str(c.p, p) == "" {
			return nil, invalid("parameter_missing", p, "Missing required param: %s.", p)
		}
		if err := checkURL(str(c.p, p), p); err != nil {
			return nil, err
		}
	}
	l := blank("account_link")
	token := c.st.newID("link")
	merge(l, object{"created": c.now(), "expires_at": c.now() + accountLinkLife, "url": c.s.url + "/setup/s/" + id(o) + "/" + token})
	kept := clone(l).(object)
	merge(kept, object{"id": token, "_account": id(o), "_return": str(c.p, "return_url"), "_refresh": str(c.p, "refresh_url")})
	c.acct.add(kept)
	return l, nil
}

// onboard is what a tenant does on the onboarding page: the account can then take payments.
func (c *call) onboard(o object, business string) {
	before := clone(o).(object)
	merge(o, object{"details_submitted": true, "charges_enabled": true, "payouts_enabled": true})
	if business != "" {
		sub(o, "business_profile")["name"] = business
	}
	caps := sub(o, "capabilities")
	merge(caps, object{"card_payments": "active", "transfers": "active"})
	c.satisfied(o)
	c.on(id(o)).emit("account.updated", o, changed(before, o))
}

// restrict is what Stripe does to an account it has questions about.
func (c *call) restrict(o object) {
	before := clone(o).(object)
	merge(o, object{"charges_enabled": false, "payouts_enabled": false})
	sub(o, "requirements")["disabled_reason"] = "requirements.past_due"
	sub(o, "requirements")["past_due"] = []any{"individual.verification.document"}
	sub(o, "requirements")["currently_due"] = []any{"individual.verification.document"}
	c.on(id(o)).emit("account.updated", o, changed(before, o))
}

// disconnect is a tenant that takes the platform's access away.
func (c *call) disconnect(o object) {
	other := c.on(id(o))
	app := object{"id": applicationID, "object": "application", "name": "Tollgate"}
	other.emit("account.application.deauthorized", app)
	other.acct.Disconnected = true
}
