package fake

// draftNote computes a credit note without any effect, for create and preview.
func (c *call) draftNote() (note, inv object, err *apiError) {
	if inv, err = c.find("invoice", str(c.p, "invoice"), "invoice"); err != nil {
		return nil, nil, err
	}
	status := str(inv, "status")
	if status != "open" && status != "paid" && status != "uncollectible" {
		return nil, nil, invalid("", "invoice", "You can only create a credit note for an open, paid or uncollectible invoice. This invoice's status is %s.", status)
	}
	note = c.create("credit_note", "cn")
	lines, subtotal, taxes, exclusive, err := c.noteLines(inv)
	if err != nil {
		return nil, nil, err
	}
	total := subtotal + exclusive
	if a, ok := c.p["amount"].(int64); ok {
		if len(lines) > 0 && a != total {
			return nil, nil, invalid("", "amount", "The amount (%d) must equal the total of the lines (%d).", a, total)
		}
		total = a
		if len(lines) == 0 {
			subtotal = a
			l := c.noteLine(str(c.p, "memo"), a, nil, "custom_line_item")
			lines = append(lines, l)
		}
	}
	if total < 1 {
		return nil, nil, invalid("parameter_invalid_integer", "amount", "The credit note's total must be at least 1.")
	}
	refund, credit, outside := num(c.p, "refund_amount"), num(c.p, "credit_amount"), num(c.p, "out_of_band_amount")
	if refund < 0 || credit < 0 || outside < 0 {
		return nil, nil, invalid("parameter_invalid_integer", "refund_amount", "Amounts must not be negative.")
	}
	if name := str(c.p, "refund"); name != "" {
		re, err := c.find("refund", name, "refund")
		if err != nil {
			return nil, nil, err
		}
		if re["charge"] != inv["charge"] {
			return nil, nil, invalid("", "refund", "The refund %s is not of a charge of this invoice.", name)
		}
		refund = num(re, "amount")
	}
	kind := "pre_payment"
	if status == "paid" {
		kind = "post_payment"
		if refund+credit+outside != total {
			return nil, nil, invalid("", "", "The sum of refund_amount, credit_amount and out_of_band_amount (%d) must equal the credit note's amount (%d).", refund+credit+outside, total)
		}
		if left := num(inv, "amount_paid") - num(inv, "post_payment_credit_notes_amount"); total > left {
			return nil, nil, invalid("", "amount", "The credit note's amount (%d) is larger than what can still be credited (%d).", total, left)
		}
		if refund > 0 && inv["charge"] == nil {
			return nil, nil, invalid("", "refund_amount", "The invoice was not paid by a charge that could be refunded.")
		}
	} else {
		if refund+credit+outside != 0 {
			return nil, nil, invalid("", "refund_amount", "refund_amount, credit_amount and out_of_band_amount are for paid invoices only.")
		}
		if left := num(inv, "amount_remaining"); total > left {
			return nil, nil, invalid("", "amount", "The credit note's amount (%d) is larger than the invoice's amount_remaining (%d).", total, left)
		}
	}
	merge(note, object{"invoice": id(inv), "customer": inv["customer"], "currency": inv["currency"], "status": "issued", "type": kind,
		"amount": total, "total": total, "subtotal": subtotal, "subtotal_excluding_tax": subtotal, "total_excluding_tax": total - exclusive, "tax_amounts": taxes,
		"memo": orNil(str(c.p, "memo")), "reason": orNil(str(c.p, "reason")), "out_of_band_amount": orZero(outside), "effective_at": c.now(),
		"number": path("%s-CN-%02d", str(inv, "number"), num(inv, "_notes")+1),
		"lines":  listOf("/v1/credit_notes/"+id(note)+"/lines", lines, false), "_refund": refund, "_credit": credit})
	if e, ok := c.p["effective_at"].(int64); ok {
		note["effective_at"] = e
	}
	note["pdf"] = c.s.url + "/cn/" + c.acct.ID + "/" + id(note)
	c.setMetadata(note)
	return note, inv, nil
}

func (c *call) noteLine(description string, amount int64, of any, kind string) object {
	l := blank("credit_note_line_item")
	merge(l, object{"id": c.st.newID("cnli"), "amount": amount, "amount_excluding_tax": amount, "description": orNil(description), "invoice_line_item": of,
		"type": kind, "quantity": nil, "unit_amount": nil, "unit_amount_decimal": nil, "unit_amount_excluding_tax": nil, "tax_amounts": []any{}})
	if of == nil {
		delete(l, "invoice_line_item")
	}
	return l
}

// noteLines reads the parameter lines.
func (c *call) noteLines(inv object) (lines []any, subtotal int64, taxes []any, exclusive int64, err *apiError) {
	taxes = []any{}
	given := list(c.p, "lines")
	if len(given) > maxLines {
		return nil, 0, nil, 0, tooManyLines()
	}
	for i, p := range given {
		p := p.(object)
		at := path("lines[%d]", i)
		amount, hasAmount := p["amount"].(int64)
		quantity := int64(1)
		if q, ok := p["quantity"].(int64); ok {
			quantity = q
		}
		if quantity < 1 || quantity > 1e9 {
			return nil, 0, nil, 0, invalid("", at+"[quantity]", "Invalid quantity: %d", quantity)
		}
		var l object
		if str(p, "type") == "invoice_line_item" {
			of, err := line(inv, str(p, "invoice_line_item"), at+"[invoice_line_item]")
			if err != nil {
				return nil, 0, nil, 0, err
			}
			if !hasAmount {
				amount = num(of, "amount") * min(quantity, num(of, "quantity")) / max(1, num(of, "quantity"))
				if _, given := p["quantity"]; !given {
					amount = num(of, "amount")
				}
			}
			if left := num(of, "amount") - num(of, "_credited"); amount > left {
				return nil, 0, nil, 0, invalid("", at+"[amount]", "The amount (%d) is larger than what can still be credited of the line (%d).", amount, left)
			}
			l = c.noteLine(str(of, "description"), amount, id(of), "invoice_line_item")
		} else {
			if !hasAmount {
				unit, ok := p["unit_amount"].(int64)
				if !ok {
					return nil, 0, nil, 0, invalid("parameter_missing", at+"[unit_amount]", "Missing required param: %s[unit_amount].", at)
				}
				if amount = unit * quantity; unit > 1e9 {
					return nil, 0, nil, 0, invalid("amount_too_large", at+"[unit_amount]", "The amount is too large.")
				}
			}
			l = c.noteLine(str(p, "description"), amount, nil, "custom_line_item")
		}
		if amount < 0 {
			return nil, 0, nil, 0, invalid("", at+"[amount]", "The amount must not be negative.")
		}
		for j, t := range list(p, "tax_amounts") {
			t := t.(object)
			rate, err := c.find("tax_rate", str(t, "tax_rate"), path("%s[tax_amounts][%d][tax_rate]", at, j))
			if err != nil {
				return nil, 0, nil, 0, err
			}
			entry := object{"amount": num(t, "amount"), "taxable_amount": num(t, "taxable_amount"), "inclusive": rate["inclusive"], "tax_rate": id(rate), "taxability_reason": nil}
			l["tax_amounts"] = append(list(l, "tax_amounts"), entry)
			taxes = append(taxes, clone(entry))
			if !flag(rate, "inclusive") {
				exclusive += num(t, "amount")
			}
		}
		if p["tax_rates"] != nil && p["tax_rates"] != "" {
			return nil, 0, nil, 0, unsupported(at+"[tax_rates]", "tax rates on lines; use tax_amounts")
		}
		if str(p, "description") != "" {
			l["description"] = p["description"]
		}
		l["quantity"] = quantity
		lines = append(lines, l)
		subtotal += amount
	}
	return lines, subtotal, taxes, exclusive, nil
}

func previewNote(c *call) (object, *apiError) {
	note, _, err := c.draftNote()
	return note, err
}

func createNote(c *call) (object, *apiError) {
	note, inv, err := c.draftNote()
	if err != nil {
		return nil, err
	}
	total := num(note, "total")
	switch {
	case str(c.p, "refund") != "":
		note["refund"] = c.p["refund"]
	case num(note, "_refund") > 0:
		r, err := c.refund(c.acct.get("charge", str(inv, "charge")), num(note, "_refund"), "", false, nil)
		if err != nil {
			return nil, err
		}
		note["refund"] = id(r)
	}
	if credit := num(note, "_credit"); credit > 0 {
		if cus := c.acct.get("customer", str(inv, "customer")); cus != nil {
			c.moveBalance(cus, -credit, "credit_note", object{"credit_note": id(note), "invoice": id(inv), "currency": inv["currency"]})
			note["customer_balance_transaction"] = id(c.acct.all("customer_balance_transaction", nil)[0])
		}
	}
	inv["_notes"] = num(inv, "_notes") + 1
	c.credited(note, inv, 1)
	c.acct.add(note)
	if str(note, "type") == "post_payment" {
		inv["post_payment_credit_notes_amount"] = num(inv, "post_payment_credit_notes_amount") + total
		c.emit("credit_note.created", note)
		c.emit("invoice.updated", inv)
		return note, nil
	}
	c.reduce(inv, total)
	c.emit("credit_note.created", note)
	if num(inv, "amount_remaining") == 0 {
		c.cancelPayment(inv)
		c.markPaid(inv)
	} else {
		c.emit("invoice.updated", inv)
	}
	return note, nil
}

// reduce lowers what is to be paid of an open invoice by a credit note, or raises it again.
func (c *call) reduce(inv object, by int64) {
	inv["pre_payment_credit_notes_amount"] = num(inv, "pre_payment_credit_notes_amount") + by
	inv["amount_due"] = num(inv, "amount_due") - by
	inv["amount_remaining"] = num(inv, "amount_remaining") - by
	if pi := c.acct.get("payment_intent", str(inv, "payment_intent")); pi != nil && num(inv, "amount_remaining") > 0 {
		pi["amount"] = num(inv, "amount_remaining")
	}
}

// credited notes on the invoice's lines what a note credits of them.
func (c *call) credited(note, inv object, sign int64) {
	for _, l := range list(sub(note, "lines"), "data") {
		l := l.(object)
		if of, err := line(inv, str(l, "invoice_line_item"), ""); err == nil {
			of["_credited"] = num(of, "_credited") + sign*num(l, "amount")
		}
	}
}

func updateNote(c *call) (object, *apiError) {
	n, err := c.find("credit_note", c.id("id"), "")
	if err != nil {
		return nil, err
	}
	c.take(n, "memo")
	c.setMetadata(n)
	c.emit("credit_note.updated", n)
	return n, nil
}

func voidNote(c *call) (object, *apiError) {
	n, err := c.find("credit_note", c.id("id"), "")
	if err != nil {
		return nil, err
	}
	inv := c.acct.get("invoice", str(n, "invoice"))
	switch {
	case str(n, "status") == "void":
		return nil, invalid("", "", "This credit note is already void.")
	case str(n, "type") != "pre_payment" || str(inv, "status") != "open" && str(inv, "status") != "uncollectible":
		return nil, invalid("", "", "You can only void a credit note of an open invoice.")
	}
	n["status"], n["voided_at"] = "void", c.now()
	c.credited(n, inv, -1)
	c.reduce(inv, -num(n, "total"))
	c.emit("credit_note.voided", n)
	c.emit("invoice.updated", inv)
	return n, nil
}

func listNoteLines(c *call) (object, *apiError) {
	n, err := c.find("credit_note", c.id("id"), "")
	if err != nil {
		return nil, err
	}
	var all []object
	for _, l := range list(sub(n, "lines"), "data") {
		all = append(all, l.(object))
	}
	return c.page("/v1/credit_notes/"+id(n)+"/lines", all)
}
