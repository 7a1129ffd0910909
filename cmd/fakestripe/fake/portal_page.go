package fake

import (
	"net/http"
	"net/mail"
	"slices"
	"strings"
)

// portalPage is the billing portal: what the configuration allows of cards, details, tax ids and
// the history of invoices.
func portalPage(c *call, r *http.Request) (view, string) {
	o := c.acct.get("billing_portal.session", r.PathValue("id"))
	cus := c.acct.get("customer", str(o, "customer"))
	if cus == nil {
		return view{}, ""
	}
	used := max(num(o, "created"), num(o, "_used"))
	if c.now() > used+portalLife {
		return view{Error: "Your session has expired. Go back to where you came from and open the portal again."}, ""
	}
	o["_used"] = c.now()
	features := sub(c.acct.get("billing_portal.configuration", str(o, "configuration")), "features")
	may := map[string]bool{}
	for _, f := range []string{"customer_update", "invoice_history", "payment_method_update"} {
		may[f] = flag(sub(features, f), "enabled")
	}
	allowed := list(sub(features, "customer_update"), "allowed_updates")
	for _, u := range []string{"name", "email", "address", "tax_id"} {
		may[u] = may["customer_update"] && slices.Contains(allowed, any(u))
	}
	v := view{Title: "Billing", Object: o, Customer: cus, Features: may, Back: str(o, "return_url")}
	if r.Method == http.MethodPost {
		done, wrong := c.portalDo(cus, may, r)
		if v.Notice, v.Error = done, wrong; wrong == "" && strings.HasPrefix(done, "http") {
			return v, done // the bank wants to be asked
		}
		if to := str(sub(sub(sub(o, "flow"), "after_completion"), "redirect"), "return_url"); wrong == "" && to != "" && r.PostFormValue("do") == "card" {
			return v, to
		}
		v.Typed = r.PostFormValue("number")
	}
	v.Cards = c.acct.all("payment_method", func(pm object) bool { return pm["customer"] == cus["id"] })
	v.TaxIDs = c.ownedBy("tax_id", id(cus))
	v.Invoices = c.acct.all("invoice", func(i object) bool { return i["customer"] == cus["id"] && str(i, "status") != "draft" })
	return v, ""
}

// portalDo does what one of the portal's forms asks. done is what to tell, or where to go.
func (c *call) portalDo(cus object, may map[string]bool, r *http.Request) (done, wrong string) {
	mine := func() object {
		if pm := c.acct.get("payment_method", r.PostFormValue("card")); pm != nil && pm["customer"] == cus["id"] {
			return pm
		}
		return nil
	}
	switch do := r.PostFormValue("do"); {
	case do == "card" && may["payment_method_update"]:
		k, wrong := cardTyped(r)
		if k == nil {
			return "", wrong
		}
		si := c.newSetup(cus["id"])
		si["_return"], si["_default"] = c.s.url+r.URL.Path, true
		c.acct.add(si)
		c.emit("setup_intent.created", si)
		if err := c.trySetup(si, c.newCard(k)); err != nil {
			return "", err.message
		}
		if str(si, "status") == "requires_action" {
			return str(sub(sub(si, "next_action"), "redirect_to_url"), "url"), ""
		}
		return "The card was saved and will pay your invoices.", ""
	case do == "default" && may["payment_method_update"]:
		pm := mine()
		if pm == nil {
			return "", "That card is no longer there."
		}
		c.setDefault(cus, id(pm))
		return "That card will pay your invoices.", ""
	case do == "remove" && may["payment_method_update"]:
		pm := mine()
		if pm == nil {
			return "", "That card is no longer there."
		}
		c.detach(pm, cus)
		return "The card was removed.", ""
	case do == "details" && may["customer_update"]:
		return c.portalDetails(cus, may, r)
	case do == "tax_id" && may["tax_id"]:
		if _, err := c.addTaxID(cus, object{"type": "eu_vat", "value": strings.ToUpper(strings.ReplaceAll(r.PostFormValue("value"), " ", ""))}); err != nil {
			return "", err.message
		}
		return "The tax ID was added.", ""
	}
	return "", "The settings of this portal do not allow that."
}

func (c *call) portalDetails(cus object, may map[string]bool, r *http.Request) (done, wrong string) {
	before := clone(cus).(object)
	if e := strings.TrimSpace(r.PostFormValue("email")); may["email"] {
		if _, err := mail.ParseAddress(e); err != nil || len(e) > 512 {
			return "", "That is no e-mail address."
		}
		cus["email"] = e
	}
	if may["name"] {
		cus["name"] = orNil(strings.TrimSpace(r.PostFormValue("name")))
	}
	if may["address"] {
		a := object{}
		for _, k := range []string{"line1", "line2", "postal_code", "city", "state", "country"} {
			a[k] = orNil(strings.TrimSpace(r.PostFormValue(k)))
		}
		if country := str(a, "country"); country != "" && len(country) != 2 {
			cus["email"], cus["name"] = before["email"], before["name"]
			return "", "Write the country as its two letters, for instance DE."
		}
		cus["address"] = a
	}
	c.emit("customer.updated", cus, changed(before, cus))
	return "Your details were saved.", ""
}

func (c *call) setDefault(cus object, card string) {
	settings := sub(cus, "invoice_settings")
	before := settings["default_payment_method"]
	settings["default_payment_method"] = card
	c.emit("customer.updated", cus, object{"invoice_settings": object{"default_payment_method": before}})
}
