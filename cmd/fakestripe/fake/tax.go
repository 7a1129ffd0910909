package fake

import "strconv"

// taxRates are what Stripe Tax would say, in whole percent: enough to see each kind of answer.
var taxRates = map[string]struct {
	kind    string
	percent int64
}{"DE": {"vat", 19}, "FR": {"vat", 20}, "AT": {"vat", 20}, "GB": {"vat", 20}, "US": {"sales_tax", 8}}

// createCalculation works out the tax of lines by where the customer is. A country without
// a rate is one where no tax is collected; a business with a VAT number accounts for it itself.
func createCalculation(c *call) (object, *apiError) {
	details := sub(c.p, "customer_details")
	address := sub(details, "address")
	country := str(address, "country")
	if country == "" {
		return nil, invalid("customer_tax_location_invalid", "customer_details[address]", "The customer's location isn't recognized. Set a valid customer address in order to calculate tax.")
	}
	if country == "US" && str(address, "postal_code") == "" {
		return nil, invalid("customer_tax_location_invalid", "customer_details[address]", "The customer's location isn't recognized. A postal code is needed for addresses in the United States.")
	}
	var net int64
	for _, l := range list(c.p, "line_items") {
		l := l.(object)
		if str(l, "tax_behavior") == "inclusive" {
			return nil, invalid("", "line_items", "This imitation works out tax on top only.")
		}
		net += num(l, "amount")
	}
	rate, known := taxRates[country]
	reason, taxable, percent := "standard_rated", net, rate.percent
	switch {
	case !known:
		reason, taxable, percent = "not_collecting", 0, 0
	case len(list(details, "tax_ids")) > 0:
		reason, taxable, percent = "reverse_charge", 0, 0
	}
	tax := (taxable*percent*2 + 100) / 200
	b := object{"amount": tax, "inclusive": false, "taxability_reason": reason, "taxable_amount": taxable,
		"tax_rate_details": object{"country": country, "percentage_decimal": strconv.FormatInt(percent, 10) + ".0", "state": orNil(str(address, "state")), "tax_type": orNil(rate.kind)}}
	o := c.create("tax.calculation", "taxcalc")
	delete(o, "created")
	merge(o, object{"amount_total": net + tax, "currency": str(c.p, "currency"), "tax_amount_exclusive": tax, "tax_amount_inclusive": int64(0),
		"tax_breakdown": []any{b}, "tax_date": c.now(), "expires_at": c.now() + 90*86400,
		"customer_details": object{"address": address, "address_source": orNil(str(details, "address_source")), "ip_address": nil, "tax_ids": append([]any{}, list(details, "tax_ids")...), "taxability_override": "none"}})
	c.acct.add(o)
	return o, nil
}
