package fake

import (
	"math/big"
)

// maxLines is how many lines an invoice may have.
const maxLines = 250

func createInvoice(c *call) (object, *apiError) {
	cus, err := c.find("customer", str(c.p, "customer"), "customer")
	if err != nil {
		return nil, err
	}
	inv := c.create("invoice", "in")
	currency := str(c.p, "currency")
	if currency == "" {
		currency = str(cus, "currency")
	}
	if currency == "" {
		currency = "usd"
	}
	if len(currency) != 3 {
		return nil, invalid("", "currency", "Invalid currency: %s.", clip(currency))
	}
	merge(inv, object{"currency": currency, "customer": id(cus), "collection_method": "charge_automatically", "auto_advance": false,
		"period_start": c.now(), "period_end": c.now(), "_lines": []any{}})
	if err := c.writeInvoice(inv); err != nil {
		return nil, err
	}
	c.snapshotCustomer(inv, cus)
	c.acct.add(inv)
	if str(c.p, "pending_invoice_items_behavior") == "include" {
		pending := c.acct.all("invoiceitem", func(o object) bool {
			return o["invoice"] == nil && o["customer"] == inv["customer"] && o["currency"] == inv["currency"]
		})
		for _, item := range pending[:min(len(pending), maxLines)] {
			item["_pending"] = true
			c.lineOf(inv, item, "il")
		}
	}
	c.total(inv)
	c.scheduleFinalize(inv)
	c.emit("invoice.created", inv)
	return inv, nil
}

// writeInvoice sets what a draft's parameters say, all or nothing.
func (c *call) writeInvoice(inv object) *apiError {
	method := str(c.p, "collection_method")
	if method == "" {
		method = str(inv, "collection_method")
	}
	days, hasDays := c.p["days_until_due"].(int64)
	due, hasDue := c.p["due_date"].(int64)
	fee, hasFee := c.p["application_fee_amount"].(int64)
	switch {
	case flag(sub(c.p, "automatic_tax"), "enabled"):
		return unsupported("automatic_tax[enabled]", "Stripe Tax")
	case method == "charge_automatically" && (hasDays || hasDue):
		return invalid("", "days_until_due", "You can only specify `days_until_due` or `due_date` if invoice's collection method is 'send_invoice'.")
	case method == "send_invoice" && !hasDays && !hasDue && inv["due_date"] == nil && inv["_days"] == nil:
		return invalid("parameter_missing", "days_until_due", "If invoice's collection method is 'send_invoice', you must specify either `due_date` or `days_until_due`.")
	case hasDays && hasDue:
		return invalid("parameters_exclusive", "", "You may only specify one of these parameters: due_date, days_until_due.")
	case hasDays && (days < 0 || days > 3650), hasDue && due < c.now():
		return invalid("", "due_date", "The due date must not be in the past.")
	case hasFee && !c.connected():
		return invalid("", "application_fee_amount", "Can only apply an application_fee_amount when the request is made on behalf of another account (using an OAuth key, the Stripe-Account header, or the on_behalf_of parameter).")
	case hasFee && fee < 0:
		return invalid("parameter_invalid_integer", "application_fee_amount", "This value must be greater than or equal to 0.")
	}
	if n := str(c.p, "number"); n != "" {
		taken := c.acct.all("invoice", func(o object) bool { return o["number"] == n && id(o) != id(inv) })
		if len(taken) > 0 {
			return invalid("resource_already_exists", "number", "The invoice number '%s' is already used.", clip(n))
		}
	}
	if name := str(c.p, "default_payment_method"); name != "" {
		pm, err := c.find("payment_method", name, "default_payment_method")
		if err != nil {
			return err
		}
		if pm["customer"] != inv["customer"] {
			return invalid("", "default_payment_method", "The customer does not have a payment method with the ID %s.", name)
		}
	}
	inv["collection_method"] = method
	if hasDays {
		inv["_days"], inv["due_date"] = days, c.now()+days*86400
	}
	if hasDue {
		inv["due_date"] = due
	}
	c.take(inv, "auto_advance", "application_fee_amount", "custom_fields", "default_payment_method", "description", "effective_at", "footer",
		"number", "statement_descriptor", "account_tax_ids")
	for k, v := range sub(c.p, "payment_settings") {
		sub(inv, "payment_settings")[k] = unset(v)
	}
	if c.p["auto_advance"] == "" {
		inv["auto_advance"] = false
	}
	c.setMetadata(inv)
	return nil
}

// snapshotCustomer copies the customer's data, which the invoice keeps from then on.
func (c *call) snapshotCustomer(inv, cus object) {
	ids := []any{}
	for _, t := range c.ownedBy("tax_id", id(cus)) {
		ids = append(ids, object{"type": t.(object)["type"], "value": t.(object)["value"]})
	}
	merge(inv, object{"customer_address": clone(cus["address"]), "customer_email": cus["email"], "customer_name": cus["name"], "customer_phone": cus["phone"],
		"customer_shipping": clone(cus["shipping"]), "customer_tax_exempt": cus["tax_exempt"], "customer_tax_ids": ids})
	if cus["currency"] == nil {
		cus["currency"] = inv["currency"]
	}
}

// afterFinalize are the parameters that may still change once an invoice is finalized.
var afterFinalize = map[string]bool{"metadata": true, "auto_advance": true, "default_payment_method": true, "description": true,
	"payment_settings": true, "expand": true}

func updateInvoice(c *call) (object, *apiError) {
	inv, err := c.find("invoice", c.id("id"), "")
	if err != nil {
		return nil, err
	}
	draft := str(inv, "status") == "draft"
	for k := range c.p {
		if !draft && !afterFinalize[k] {
			return nil, invalid("invoice_not_editable", k, "Finalized invoices can't be updated in this way")
		}
	}
	before := clone(inv).(object)
	if err := c.writeInvoice(inv); err != nil {
		return nil, err
	}
	if draft {
		c.total(inv)
		c.scheduleFinalize(inv)
	} else if str(inv, "status") == "open" && has(c.p, "auto_advance") {
		c.cancel(jobCollect, id(inv))
		if inv["next_payment_attempt"] = nil; flag(inv, "auto_advance") && str(inv, "collection_method") == "charge_automatically" {
			c.attemptAt(inv, c.now())
		}
	}
	c.emit("invoice.updated", inv, changed(before, inv))
	return inv, nil
}

func deleteInvoice(c *call) (object, *apiError) {
	inv, err := c.draft()
	if err != nil {
		return nil, err
	}
	for _, l := range list(inv, "_lines") {
		c.dropLine(l.(object), false)
	}
	c.cancel(jobFinalize, id(inv))
	c.emit("invoice.deleted", inv)
	c.acct.remove(inv)
	return deleted(inv), nil
}

// draft finds the invoice of the path, which must still be editable.
func (c *call) draft() (object, *apiError) {
	inv, err := c.find("invoice", c.id("id"), "")
	if err != nil {
		return nil, err
	}
	if s := str(inv, "status"); s != "draft" {
		return nil, invalid("invoice_not_editable", "", "This invoice is no longer editable: its status is %s.", s)
	}
	return inv, nil
}

// priced finds amount, unit and price of a line's or item's parameters.
func (c *call) priced(p object, currency, at string) (amount int64, price any, err *apiError) {
	for _, refused := range []string{"discounts", "tax_rates", "price"} {
		if v := p[refused]; v != nil && v != "" {
			return 0, nil, unsupported(at+refused, refused)
		}
	}
	quantity := int64(1)
	if q, ok := p["quantity"].(int64); ok {
		quantity = q
	}
	if quantity < 0 || quantity > 1e12 {
		return 0, nil, invalid("parameter_invalid_integer", at+"quantity", "Invalid quantity: %d", quantity)
	}
	data := sub(p, "price_data")
	a, hasAmount := p["amount"].(int64)
	unit, decimal := p["unit_amount"], str(p, "unit_amount_decimal")
	if data != nil {
		unit, decimal = data["unit_amount"], str(data, "unit_amount_decimal")
	}
	switch {
	case hasAmount && (data != nil || unit != nil || decimal != ""):
		return 0, nil, invalid("parameters_exclusive", at+"amount", "You may only specify one of these parameters: amount, unit_amount, unit_amount_decimal, price_data.")
	case hasAmount:
		return a, nil, nil
	case data != nil && str(data, "currency") != currency:
		return 0, nil, invalid("", at+"price_data[currency]", "The currency of the price (%s) must be that of the invoice (%s).", str(data, "currency"), currency)
	}
	exact := new(big.Rat)
	if u, ok := unit.(int64); ok {
		exact.SetInt64(u)
	} else if len(decimal) > 40 || !plainDecimal(decimal) {
		return 0, nil, invalid("parameter_missing", at+"amount", "Missing required param: %samount.", at)
	} else {
		exact.SetString(decimal)
	}
	total := new(big.Rat).Mul(exact, new(big.Rat).SetInt64(quantity))
	amount, ok := roundHalfUp(total)
	if !ok {
		return 0, nil, invalid("amount_too_large", at+"amount", "The amount is too large.")
	}
	pr := object{"id": c.st.newID("price"), "object": "price", "active": false, "billing_scheme": "per_unit", "created": c.now(), "currency": currency,
		"custom_unit_amount": nil, "livemode": false, "lookup_key": nil, "metadata": object{}, "nickname": nil, "product": orNil(str(data, "product")),
		"recurring": nil, "tax_behavior": "unspecified", "tiers_mode": nil, "transform_quantity": nil, "type": "one_time",
		"unit_amount": nil, "unit_amount_decimal": exact.FloatString(12)}
	if exact.IsInt() && exact.Num().IsInt64() {
		pr["unit_amount"], pr["unit_amount_decimal"] = exact.Num().Int64(), exact.Num().String()
	}
	if pr["product"] == nil {
		pr["product"] = c.st.newID("prod")
	}
	return amount, pr, nil
}

// plainDecimal says whether s is digits with at most one point and a sign, without exponents
// that would make a number of any size.
func plainDecimal(s string) bool {
	digits, points := 0, 0
	for i, r := range s {
		switch {
		case r == '-' && i == 0:
		case r == '.' && points == 0:
			points++
		case r >= '0' && r <= '9':
			digits++
		default:
			return false
		}
	}
	return digits > 0
}

// roundHalfUp rounds to a whole number, halves away from zero.
func roundHalfUp(r *big.Rat) (int64, bool) {
	half := big.NewRat(1, 2)
	if r.Sign() < 0 {
		half.Neg(half)
	}
	sum := new(big.Rat).Add(r, half)
	q := new(big.Int).Quo(sum.Num(), sum.Denom())
	return q.Int64(), q.IsInt64() && q.BitLen() < 44
}

func createItem(c *call) (object, *apiError) {
	cus, err := c.find("customer", str(c.p, "customer"), "customer")
	if err != nil {
		return nil, err
	}
	currency := str(c.p, "currency")
	var inv object
	if name := str(c.p, "invoice"); name != "" {
		if inv, err = c.find("invoice", name, "invoice"); err != nil {
			return nil, err
		}
		switch {
		case inv["customer"] != cus["id"]:
			return nil, invalid("", "invoice", "The invoice %s does not belong to customer %s.", name, id(cus))
		case str(inv, "status") != "draft":
			return nil, invalid("invoice_not_editable", "invoice", "The invoice %s is no longer editable.", name)
		case len(list(inv, "_lines")) >= maxLines:
			return nil, tooManyLines()
		}
		if currency == "" {
			currency = str(inv, "currency")
		}
		if currency != str(inv, "currency") {
			return nil, invalid("", "currency", "The currency of the invoice item (%s) must be that of the invoice (%s).", currency, str(inv, "currency"))
		}
	}
	if currency == "" {
		currency = str(sub(c.p, "price_data"), "currency")
	}
	if currency == "" {
		return nil, invalid("parameter_missing", "currency", "Missing required param: currency.")
	}
	item, err := c.newItem(id(cus), currency, c.p, "")
	if err != nil {
		return nil, err
	}
	if inv != nil {
		c.lineOf(inv, item, "il")
		c.total(inv)
		c.emit("invoice.updated", inv)
	}
	c.emit("invoiceitem.created", item)
	return item, nil
}

// newItem makes and stores an invoice item; at goes before the names of wrong parameters.
func (c *call) newItem(customer, currency string, p object, at string) (object, *apiError) {
	amount, price, err := c.priced(p, currency, at)
	if err != nil {
		return nil, err
	}
	item := c.create("invoiceitem", "ii")
	delete(item, "created")
	merge(item, object{"customer": customer, "currency": currency, "date": c.now(), "period": object{"start": c.now(), "end": c.now()}, "quantity": int64(1)})
	if err := c.writeItem(item, p, amount, price, at); err != nil {
		return nil, err
	}
	c.acct.add(item)
	return item, nil
}

func (c *call) writeItem(item, p object, amount int64, price any, at string) *apiError {
	if period := sub(p, "period"); period != nil {
		if num(period, "end") < num(period, "start") {
			return invalid("", at+"period", "The period's end must not be before its start.")
		}
		item["period"] = clone(period)
	}
	if d, ok := p["description"]; ok {
		item["description"] = unset(d)
	}
	if d, ok := p["discountable"].(bool); ok {
		item["discountable"] = d
	}
	if q, ok := p["quantity"].(int64); ok {
		item["quantity"] = q
	}
	item["amount"], item["price"] = amount, price
	item["unit_amount"], item["unit_amount_decimal"] = amount, nil
	if pr, ok := price.(object); ok {
		item["unit_amount"], item["unit_amount_decimal"] = pr["unit_amount"], pr["unit_amount_decimal"]
	} else if num(item, "quantity") != 1 {
		item["unit_amount"] = nil
	}
	mergeMetadata(item, p["metadata"])
	if taxes, ok := p["tax_amounts"].([]any); ok {
		out := []any{}
		for _, t := range taxes {
			t := t.(object)
			rate := c.taxRate(sub(t, "tax_rate_data"))
			out = append(out, object{"amount": num(t, "amount"), "taxable_amount": num(t, "taxable_amount"), "inclusive": rate["inclusive"],
				"tax_rate": id(rate), "taxability_reason": nil})
		}
		item["_taxes"] = out
	}
	return nil
}

// taxRate finds or makes the tax rate that a line's tax amount describes.
func (c *call) taxRate(data object) object {
	want := blank("tax_rate")
	for k, v := range data {
		want[k] = unset(v)
	}
	want["active"] = false
	for _, o := range c.acct.all("tax_rate", nil) {
		have := clone(o).(object)
		delete(have, "id")
		delete(have, "created")
		if string(encode(have)) == string(encode(want)) {
			return o
		}
	}
	o := c.create("tax_rate", "txr")
	merge(o, want)
	c.acct.add(o)
	return o
}

func updateItem(c *call) (object, *apiError) {
	item, inv, err := c.editableItem(c.id("id"), "")
	if err != nil {
		return nil, err
	}
	if err := c.changeItem(item, c.p, ""); err != nil {
		return nil, err
	}
	if inv != nil {
		c.total(inv)
		c.emit("invoice.updated", inv)
	}
	return item, nil
}

// editableItem finds an item that is pending or on a draft.
func (c *call) editableItem(name, param string) (item, inv object, err *apiError) {
	if item, err = c.find("invoiceitem", name, param); err != nil {
		return nil, nil, err
	}
	if inv = c.acct.get("invoice", str(item, "invoice")); inv != nil && str(inv, "status") != "draft" {
		return nil, nil, invalid("invoice_not_editable", "", "This invoice item is attached to an invoice that is no longer editable.")
	}
	return item, inv, nil
}

func (c *call) changeItem(item, p object, at string) *apiError {
	amount, price := num(item, "amount"), item["price"]
	if has(p, "amount") || has(p, "price_data") || has(p, "unit_amount") || has(p, "unit_amount_decimal") {
		var err *apiError
		if !has(p, "quantity") {
			p["quantity"] = item["quantity"]
		}
		if amount, price, err = c.priced(p, str(item, "currency"), at); err != nil {
			return err
		}
	}
	if err := c.writeItem(item, p, amount, price, at); err != nil {
		return err
	}
	if inv := c.acct.get("invoice", str(item, "invoice")); inv != nil {
		for _, l := range list(inv, "_lines") {
			if l := l.(object); l["invoice_item"] == item["id"] {
				c.fillLine(l, item)
			}
		}
	}
	return nil
}

func deleteItem(c *call) (object, *apiError) {
	item, inv, err := c.editableItem(c.id("id"), "")
	if err != nil {
		return nil, err
	}
	if inv != nil {
		c.unline(inv, id(item), "invoice_item")
		c.total(inv)
		c.emit("invoice.updated", inv)
	}
	c.acct.remove(item)
	c.emit("invoiceitem.deleted", item)
	return deleted(item), nil
}
