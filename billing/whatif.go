package billing

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/billing/rate"
	"tollgate/model"
)

// WhatIf is what a month that was would have cost the customers of a plan by
// another price, next to what it did cost. Amounts are in minor units.
type WhatIf struct {
	Month      time.Time
	Currency   string
	Digits     int
	Was, Would int64
	Customers  []WhatIfCustomer // the greatest difference first
}

// WhatIfCustomer is one developer with all its subscriptions to the plan.
type WhatIfCustomer struct {
	DeveloperID, Name string
	Was, Would        int64
	Lines             []InvoiceLine // by the other price
}

// WhatIf rates what a plan's customers really used in a month by a candidate sheet,
// as if it had been in force all along. Whatever price each of them had is what it
// is compared with; nothing is stored.
func (b *Billing) WhatIf(ctx context.Context, s Scope, plan string, candidate *model.PriceSheet, month time.Time) (WhatIf, error) {
	if s.Tenant == 0 || s.Developer != "" {
		return WhatIf{}, model.Errorf(model.Invalid, "a price is tried out on the plans of one account")
	}
	if candidate == nil {
		return WhatIf{}, model.Errorf(model.Invalid, "there is no price to try out")
	}
	if err := candidate.Validate(); err != nil {
		return WhatIf{}, err
	}
	begin, _ := rate.Month(month)
	out := WhatIf{Month: begin, Currency: candidate.Currency}
	out.Digits, _ = model.MinorDigits(candidate.Currency)
	q := question{tenant: s.Tenant, seller: BySeller, month: begin, gen: everything, free: true}
	var was, would []use
	err := b.read(ctx, s, func(tx pgx.Tx) (err error) {
		if was, err = uses(ctx, tx, q); err != nil {
			return err
		}
		was = slices.DeleteFunc(was, func(u use) bool { return u.plan != plan })
		for _, u := range was {
			u.sheet = candidate
			would = append(would, u)
		}
		if err := tried(ctx, tx, q, was); err != nil {
			return err
		}
		return tried(ctx, tx, q, would)
	})
	if err != nil {
		return WhatIf{}, err
	}
	for i := range was {
		if n := len(out.Customers); n == 0 || out.Customers[n-1].DeveloperID != was[i].developer {
			out.Customers = append(out.Customers, WhatIfCustomer{DeveloperID: was[i].developer, Name: was[i].to.Name})
		}
		c := &out.Customers[len(out.Customers)-1]
		if err := c.compare(&was[i], &would[i]); err != nil {
			return WhatIf{}, err
		}
	}
	for i := range out.Customers {
		out.Was, out.Would = out.Was+out.Customers[i].Was, out.Would+out.Customers[i].Would
	}
	slices.SortStableFunc(out.Customers, func(a, b WhatIfCustomer) int { return cmp.Compare(distance(b), distance(a)) })
	return out, nil
}

func distance(c WhatIfCustomer) int64 { return max(c.Would-c.Was, c.Was-c.Would) }

// compare adds one subscription, by its own price and by the other.
func (c *WhatIfCustomer) compare(was, would *use) error {
	if was.sheet != nil {
		if was.sheet.Currency != would.sheet.Currency {
			return model.Errorf(model.Invalid, "%s pays in %s: a price in %s cannot be compared with that", c.Name, was.sheet.Currency, would.sheet.Currency)
		}
		lines, err := rate.Lines(was.sheet, was.Use)
		if err != nil {
			return fmt.Errorf("subscription %d: %w", was.subscription, err)
		}
		c.Was += rate.Total(lines)
	}
	lines, err := rate.Lines(would.sheet, would.Use)
	if err != nil {
		return fmt.Errorf("subscription %d: %w", was.subscription, err)
	}
	c.Would += rate.Total(lines)
	for _, l := range lines {
		if bl := (billLine{Line: l, title: was.title}); bl.news() {
			c.Lines = append(c.Lines, bl.shown(len(c.Lines)+1))
		}
	}
	return nil
}

// PreviewChange is what a developer owes for the month as of now if a running
// subscription of it went on by another price from an instant of the month on; nil:
// without a price. It is made as the invoice will be made: where nothing else
// happens until the change is, the two are the same to the last digit.
func (b *Billing) PreviewChange(ctx context.Context, s Scope, subscription uint64, sheet *model.PriceSheet, at time.Time) ([]InvoiceDetail, error) {
	if s.Tenant == 0 {
		return nil, model.Errorf(model.Invalid, "a preview is of one account")
	}
	if err := sheet.Validate(); err != nil {
		return nil, err
	}
	month, _ := rate.Month(at)
	q := question{tenant: s.Tenant, seller: BySeller, developer: s.Developer, month: month, gen: everything, free: true}
	var all []use
	var off []couponUse
	var r model.BillingRules
	err := b.read(ctx, s, func(tx pgx.Tx) (err error) {
		if r, err = rules(ctx, tx, q.tenant, q.seller); err != nil {
			return err
		}
		if off, err = coupons(ctx, tx, q); err != nil {
			return err
		}
		if all, err = uses(ctx, tx, q); err != nil {
			return err
		}
		return tried(ctx, tx, q, all)
	})
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(u use) bool { return u.subscription == subscription })
	if i < 0 {
		return nil, model.Errorf(model.NotFound, "there is no running subscription %d", subscription)
	}
	if all[i].ended || at.Before(all[i].Since) {
		return nil, model.Errorf(model.Conflict, "subscription %d does not run at %s", subscription, at.UTC().Format(time.RFC3339))
	}
	next := all[i]
	all[i].Until = at
	next.subscription, next.sheet, next.was = 0, sheet, nil
	next.Since, next.Calls, next.BytesOut, next.Trial = at, 0, 0, rate.Trial{}
	all = slices.Insert(all, i+1, next)
	all = slices.DeleteFunc(all, func(u use) bool { return u.developer != next.developer || u.sheet == nil })
	slices.SortStableFunc(all, func(a, b use) int { return cmp.Compare(a.sheet.Currency, b.sheet.Currency) })
	out, err := bills(s.Tenant, all, off)
	if err != nil {
		return nil, err
	}
	for i := range out {
		out[i].tax(r.Taxes)
	}
	return b.details(out, BySeller, month), nil
}
