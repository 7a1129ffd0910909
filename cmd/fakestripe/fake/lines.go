package fake

import "slices"

// lineOf puts an item on a draft as its last line.
func (c *call) lineOf(inv, item object, prefix string) object {
	l := c.create("line_item", prefix)
	delete(l, "created")
	item["invoice"] = id(inv)
	merge(l, object{"invoice": id(inv), "invoice_item": id(item), "currency": inv["currency"]})
	c.fillLine(l, item)
	inv["_lines"] = append(list(inv, "_lines"), l)
	return l
}

func (c *call) fillLine(l, item object) {
	merge(l, object{"amount": num(item, "amount"), "description": item["description"], "period": clone(item["period"]), "price": clone(item["price"]),
		"quantity": item["quantity"], "discountable": item["discountable"], "metadata": clone(item["metadata"]), "tax_amounts": []any{}})
	if t := list(item, "_taxes"); t != nil {
		l["tax_amounts"] = clone(t)
	}
	net := num(l, "amount")
	for _, t := range list(l, "tax_amounts") {
		if t := t.(object); flag(t, "inclusive") {
			net -= num(t, "amount")
		}
	}
	l["amount_excluding_tax"] = net
	l["unit_amount_excluding_tax"] = nil
}

// total recomputes a draft from its lines.
func (c *call) total(inv object) {
	var subtotal, inclusive, exclusive int64
	totals := []any{}
	for _, l := range list(inv, "_lines") {
		l := l.(object)
		subtotal += num(l, "amount")
		for _, t := range list(l, "tax_amounts") {
			t := t.(object)
			if flag(t, "inclusive") {
				inclusive += num(t, "amount")
			} else {
				exclusive += num(t, "amount")
			}
			i := slices.IndexFunc(totals, func(have any) bool { return have.(object)["tax_rate"] == t["tax_rate"] })
			if i < 0 {
				totals = append(totals, clone(t))
				continue
			}
			have := totals[i].(object)
			have["amount"] = num(have, "amount") + num(t, "amount")
			have["taxable_amount"] = num(have, "taxable_amount") + num(t, "taxable_amount")
		}
	}
	total := subtotal + exclusive
	merge(inv, object{"subtotal": subtotal, "subtotal_excluding_tax": subtotal - inclusive, "total": total, "total_excluding_tax": total - inclusive - exclusive,
		"tax": nil, "total_tax_amounts": totals, "amount_due": max(0, total), "amount_remaining": max(0, total)})
	if len(totals) > 0 {
		inv["tax"] = inclusive + exclusive
	}
	inv["lines"] = shownLines(inv)
}

// shownLines is the list inside an invoice: the first ten lines.
func shownLines(inv object) object {
	all := list(inv, "_lines")
	n := min(len(all), 10)
	l := listOf("/v1/invoices/"+id(inv)+"/lines", slices.Clone(all[:n]), len(all) > n)
	l["total_count"] = int64(len(all))
	return l
}

func listLines(c *call) (object, *apiError) {
	inv, err := c.find("invoice", c.id("id"), "")
	if err != nil {
		return nil, err
	}
	var all []object
	for _, l := range list(inv, "_lines") {
		all = append(all, l.(object))
	}
	return c.page("/v1/invoices/"+id(inv)+"/lines", all)
}

func tooManyLines() *apiError {
	return invalid("", "lines", "An invoice can have at most %d line items.", maxLines)
}

// addLines is all or nothing: the items are made before the first line is.
func addLines(c *call) (object, *apiError) {
	inv, err := c.draft()
	if err != nil {
		return nil, err
	}
	given := list(c.p, "lines")
	if len(list(inv, "_lines"))+len(given) > maxLines {
		return nil, tooManyLines()
	}
	type entry struct {
		item object
		made bool
	}
	var items []entry
	undo := func() {
		for _, e := range items {
			if e.made {
				c.acct.remove(e.item)
			}
		}
	}
	for i, l := range given {
		p := l.(object)
		at := path("lines[%d]", i)
		if name := str(p, "invoice_item"); name != "" {
			item, err := c.find("invoiceitem", name, at+"[invoice_item]")
			if err == nil && (item["invoice"] != nil || item["customer"] != inv["customer"] || item["currency"] != inv["currency"]) {
				err = invalid("", at+"[invoice_item]", "The invoice item %s must be pending, of the invoice's customer and currency.", name)
			}
			if err != nil {
				undo()
				return nil, err
			}
			item["_pending"] = true
			items = append(items, entry{item, false})
			continue
		}
		item, err := c.newItem(str(inv, "customer"), str(inv, "currency"), p, at)
		if err != nil {
			undo()
			return nil, err
		}
		items = append(items, entry{item, true})
	}
	for _, e := range items {
		c.lineOf(inv, e.item, "il")
	}
	return c.linesChanged(inv), nil
}

func (c *call) linesChanged(inv object) object {
	mergeMetadata(inv, c.p["invoice_metadata"])
	c.total(inv)
	c.emit("invoice.updated", inv)
	return inv
}

// line finds a line of a draft.
func line(inv object, name, param string) (object, *apiError) {
	for _, l := range list(inv, "_lines") {
		if l := l.(object); id(l) == name {
			return l, nil
		}
	}
	return nil, missing(noun("line_item"), name, param)
}

func updateLines(c *call) (object, *apiError) {
	inv, err := c.draft()
	if err != nil {
		return nil, err
	}
	for i, p := range list(c.p, "lines") {
		if _, err := line(inv, str(p.(object), "id"), path("lines[%d][id]", i)); err != nil {
			return nil, err
		}
	}
	for i, p := range list(c.p, "lines") {
		l, _ := line(inv, str(p.(object), "id"), "")
		item := c.acct.get("invoiceitem", str(l, "invoice_item"))
		if err := c.changeItem(item, p.(object), path("lines[%d]", i)); err != nil {
			return nil, err
		}
	}
	return c.linesChanged(inv), nil
}

func updateLine(c *call) (object, *apiError) {
	inv, err := c.draft()
	if err != nil {
		return nil, err
	}
	l, err := line(inv, c.id("line"), "")
	if err != nil {
		return nil, err
	}
	if err := c.changeItem(c.acct.get("invoiceitem", str(l, "invoice_item")), c.p, ""); err != nil {
		return nil, err
	}
	c.linesChanged(inv)
	return l, nil
}

func removeLines(c *call) (object, *apiError) {
	inv, err := c.draft()
	if err != nil {
		return nil, err
	}
	for i, p := range list(c.p, "lines") {
		if _, err := line(inv, str(p.(object), "id"), path("lines[%d][id]", i)); err != nil {
			return nil, err
		}
	}
	for _, p := range list(c.p, "lines") {
		if l, err := line(inv, str(p.(object), "id"), ""); err == nil {
			c.unline(inv, id(l), "id")
			c.dropLine(l, str(p.(object), "behavior") == "unassign")
		}
	}
	return c.linesChanged(inv), nil
}

// unline takes the line away whose field is so.
func (c *call) unline(inv object, value, field string) {
	inv["_lines"] = slices.DeleteFunc(slices.Clone(list(inv, "_lines")), func(l any) bool { return l.(object)[field] == value })
}

// dropLine deals with the item of a line that is gone: it is pending again if it was before or
// is to be, and deleted otherwise.
func (c *call) dropLine(l object, keep bool) {
	item := c.acct.get("invoiceitem", str(l, "invoice_item"))
	if item == nil {
		return
	}
	item["invoice"] = nil
	if !keep && !flag(item, "_pending") {
		c.acct.remove(item)
	}
}
