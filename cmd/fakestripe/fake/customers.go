package fake

import (
	"fmt"
	"net/mail"
	"strings"
)

func createCustomer(c *call) (object, *apiError) {
	if err := c.checkCustomer(); err != nil {
		return nil, err
	}
	pm := str(c.p, "payment_method")
	if pm != "" {
		m, err := c.paymentMethod(pm, "payment_method")
		if err == nil {
			err = c.attachable(m, "")
		}
		if err != nil {
			return nil, err
		}
		pm = id(m)
	}
	o := c.create("customer", "cus")
	o["invoice_prefix"] = strings.ToUpper(fmt.Sprintf("%08x", uint32(c.st.Seq*2654435761)))
	c.writeCustomer(o)
	o["balance"] = num(c.p, "balance")
	c.acct.add(o)
	if pm != "" {
		c.attach(c.acct.get("payment_method", pm), id(o))
	}
	for _, t := range list(c.p, "tax_id_data") {
		c.addTaxID(o, t.(object))
	}
	c.emit("customer.created", o)
	return o, nil
}

func updateCustomer(c *call) (object, *apiError) {
	o, err := c.find("customer", c.id("id"), "")
	if err != nil {
		return nil, err
	}
	if err := c.checkCustomer(); err != nil {
		return nil, err
	}
	if def := str(sub(c.p, "invoice_settings"), "default_payment_method"); def != "" {
		pm, err := c.find("payment_method", def, "invoice_settings[default_payment_method]")
		if err != nil {
			return nil, err
		}
		if pm["customer"] != o["id"] {
			return nil, invalid("resource_missing", "invoice_settings[default_payment_method]",
				"The customer does not have a payment method with the ID %s. The payment method must be attached to the customer.", def)
		}
	}
	before := clone(o).(object)
	c.writeCustomer(o)
	if b, ok := c.p["balance"].(int64); ok && b != num(o, "balance") {
		c.moveBalance(o, b-num(o, "balance"), "adjustment", nil)
	}
	c.emit("customer.updated", o, changed(before, o))
	return o, nil
}

// changed are the old values of the fields that differ, as events show them.
func changed(before, after object) object {
	out := object{}
	for k, v := range before {
		if !strings.HasPrefix(k, "_") && string(encode(v)) != string(encode(after[k])) {
			out[k] = shown(v)
		}
	}
	return out
}

func (c *call) checkCustomer() *apiError {
	if e := str(c.p, "email"); e != "" {
		if _, err := mail.ParseAddress(e); err != nil || len(e) > 512 {
			return invalid("email_invalid", "email", "Invalid email address: %s", clip(e))
		}
	}
	return nil
}

func (c *call) writeCustomer(o object) {
	c.take(o, "name", "email", "description", "phone", "address", "shipping", "tax_exempt", "preferred_locales", "invoice_prefix", "next_invoice_sequence")
	if o["tax_exempt"] == nil {
		o["tax_exempt"] = "none"
	}
	for _, part := range []string{"address", "shipping"} {
		if a := sub(o, part); a != nil {
			if part == "shipping" {
				a = sub(a, "address")
			}
			for _, k := range []string{"city", "country", "line1", "line2", "postal_code", "state"} {
				if a != nil && !has(a, k) {
					a[k] = nil
				}
			}
		}
	}
	for k, v := range sub(c.p, "invoice_settings") {
		sub(o, "invoice_settings")[k] = unset(v)
	}
	c.setMetadata(o)
}

func deleteCustomer(c *call) (object, *apiError) {
	o, err := c.find("customer", c.id("id"), "")
	if err != nil {
		return nil, err
	}
	for _, pm := range c.ownedBy("payment_method", id(o)) {
		pm.(object)["customer"] = nil
	}
	c.emit("customer.deleted", o)
	c.acct.remove(o)
	return deleted(o), nil
}

func deleted(o object) object {
	return object{"id": id(o), "object": o["object"], "deleted": true}
}

// ownCustomer checks that the parameter customer, if given, is one of this account.
func (c *call) ownCustomer() *apiError {
	if cus := str(c.p, "customer"); cus != "" {
		_, err := c.find("customer", cus, "customer")
		return err
	}
	return nil
}

// moveBalance changes what Stripe owes a customer (negative) or is owed.
func (c *call) moveBalance(cus object, by int64, kind string, about object) {
	cus["balance"] = num(cus, "balance") + by
	t := c.create("customer_balance_transaction", "cbtxn")
	merge(t, object{"amount": by, "customer": id(cus), "ending_balance": cus["balance"], "type": kind, "currency": cus["currency"], "description": nil})
	merge(t, about)
	c.acct.add(t)
}

func createBalanceTransaction(c *call) (object, *apiError) {
	cus, err := c.find("customer", c.id("id"), "")
	if err != nil {
		return nil, err
	}
	c.moveBalance(cus, num(c.p, "amount"), "adjustment", object{"currency": c.p["currency"], "description": unset(c.p["description"])})
	t := c.acct.all("customer_balance_transaction", nil)[0]
	c.setMetadata(t)
	c.emit("customer.updated", cus)
	return t, nil
}

// Tax ids.

func createTaxID(c *call) (object, *apiError) {
	cus, err := c.find("customer", c.id("id"), "")
	if err != nil {
		return nil, err
	}
	return c.addTaxID(cus, c.p)
}

func (c *call) addTaxID(cus, p object) (object, *apiError) {
	if len(c.ownedBy("tax_id", id(cus))) >= 5 {
		return nil, invalid("", "", "Customers can have up to 5 tax IDs.")
	}
	kind, value := str(p, "type"), str(p, "value")
	if kind == "eu_vat" && (len(value) < 4 || len(value) > 14 || strings.ToUpper(value[:2]) != value[:2]) {
		return nil, invalid("tax_id_invalid", "value", "Invalid value for eu_vat.")
	}
	o := c.create("tax_id", "txi")
	merge(o, object{"type": kind, "value": value, "customer": id(cus), "owner": object{"type": "customer", "customer": id(cus)}, "country": nil})
	if kind == "eu_vat" {
		o["country"] = value[:2]
	}
	c.acct.add(o)
	c.emit("customer.tax_id.created", o)
	return o, nil
}

// ofCustomer finds an object of a type that belongs to the customer in the path.
func (c *call) ofCustomer(kind, param string) (object, *apiError) {
	if _, err := c.find("customer", c.id("id"), ""); err != nil {
		return nil, err
	}
	o, err := c.find(kind, c.id(param), "")
	if err == nil && str(o, "customer") != c.id("id") {
		return nil, missing(noun(kind), c.id(param), "")
	}
	return o, err
}

func deleteTaxID(c *call) (object, *apiError) {
	o, err := c.ofCustomer("tax_id", "sub")
	if err != nil {
		return nil, err
	}
	c.acct.remove(o)
	c.emit("customer.tax_id.deleted", o)
	return deleted(o), nil
}

// Payment methods.

func createPaymentMethod(c *call) (object, *apiError) {
	if t := str(c.p, "type"); t != "card" {
		return nil, unsupported("type", "payment methods other than cards")
	}
	k := cardByNumber(str(sub(c.p, "card"), "number"))
	if t := str(sub(c.p, "card"), "token"); t != "" {
		k = cardByToken("pm_card_" + strings.TrimPrefix(t, "tok_"))
	}
	if k == nil {
		return nil, &apiError{status: 402, kind: "card_error", code: "incorrect_number", param: "number", message: "Your card number is incorrect."}
	}
	o := c.newCard(k)
	for k, v := range sub(c.p, "billing_details") {
		sub(o, "billing_details")[k] = unset(v)
	}
	c.setMetadata(o)
	return o, nil
}

// attachable says why a card cannot be saved for a customer.
func (c *call) attachable(pm object, customer string) *apiError {
	if owner := str(pm, "customer"); owner != "" && owner != customer {
		return invalid("", "", "The payment method you provided has already been attached to a customer.")
	}
	switch does := str(pm, "_does"); does {
	case payDeclined, payInsufficient, payExpired:
		return c.decline(does)
	}
	return nil
}

func attachPaymentMethod(c *call) (object, *apiError) {
	cus := str(c.p, "customer")
	if err := c.ownCustomer(); err != nil {
		return nil, err
	}
	pm, err := c.paymentMethod(c.id("id"), "")
	if err != nil {
		return nil, err
	}
	if err := c.attachable(pm, cus); err != nil {
		return nil, err
	}
	if str(pm, "customer") != cus {
		c.attach(pm, cus)
	}
	return pm, nil
}

func detachPaymentMethod(c *call) (object, *apiError) {
	pm, err := c.find("payment_method", c.id("id"), "")
	if err != nil {
		return nil, err
	}
	cus := c.acct.get("customer", str(pm, "customer"))
	if cus == nil {
		return nil, invalid("", "", "The payment method you provided is not attached to a customer so detachment is impossible.")
	}
	c.detach(pm, cus)
	return pm, nil
}

func (c *call) detach(pm, cus object) {
	pm["customer"] = nil
	if set := sub(cus, "invoice_settings"); set["default_payment_method"] == pm["id"] {
		set["default_payment_method"] = nil
		c.emit("customer.updated", cus, object{"invoice_settings": object{"default_payment_method": id(pm)}})
	}
	c.emit("payment_method.detached", pm, object{"customer": id(cus)})
}

func updatePaymentMethod(c *call) (object, *apiError) {
	pm, err := c.find("payment_method", c.id("id"), "")
	if err != nil {
		return nil, err
	}
	if pm["customer"] == nil {
		return nil, invalid("", "", "You must save this PaymentMethod to a customer before you can update it.")
	}
	for k, v := range sub(c.p, "billing_details") {
		sub(pm, "billing_details")[k] = unset(v)
	}
	merge(sub(pm, "card"), sub(c.p, "card"))
	c.setMetadata(pm)
	c.emit("payment_method.updated", pm)
	return pm, nil
}
