package billing

import (
	"cmp"
	"context"
	"errors"
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

// errUndo undoes what was tried.
var errUndo = errors.New("billing: undone")

// PreviewChange is what the scope's developer owes for a month as of now, if something
// were changed: change does it in a transaction that sees it and is undone. So the
// preview is made as the invoice will be made, and where nothing else happens until the
// change is, the two are the same to the last digit.
func (b *Billing) PreviewChange(ctx context.Context, s Scope, month time.Time, change func(context.Context, pgx.Tx) error) ([]InvoiceDetail, error) {
	if s.Tenant == 0 || s.Developer == "" {
		return nil, model.Errorf(model.Invalid, "a preview of a change is of one developer")
	}
	begin, _ := rate.Month(month)
	var out []bill
	err := b.in(ctx, s, pgx.TxOptions{}, func(tx pgx.Tx) (err error) {
		if err := change(ctx, tx); err != nil {
			return err
		}
		out, err = compute(ctx, tx, question{tenant: s.Tenant, seller: BySeller, developer: s.Developer, month: begin, gen: everything})
		if err == nil {
			err = errUndo
		}
		return err
	})
	if !errors.Is(err, errUndo) {
		return nil, err
	}
	return b.details(out, BySeller, begin), nil
}
