package billing

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/billing/rate"
	"tollgate/model"
)

// noticesArgs asks for the letters about prices that were announced.
type noticesArgs struct{}

// Kind names the job in the queue.
func (noticesArgs) Kind() string { return "billing_price_notices" }

// notice is an announced price whose customers were not written to yet.
type notice struct {
	tenant     uint32
	plan, name string
	at         time.Time
	sheet      *model.PriceSheet
}

// Announce writes to the customers of every plan whose price changes for them what the
// last month would have cost them by the new one. Each change is told once.
func (b *Billing) Announce(ctx context.Context) error {
	if b.mail == nil {
		return nil
	}
	var all []notice
	err := b.read(ctx, Operator, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select c.tenant_id, c.plan_id, p.name, c.at, ps.sheet from price_change c join plan p using (tenant_id, plan_id)
			join price_sheet ps on (ps.tenant_id, ps.sheet_num) = (c.tenant_id, c.sheet_num)
			where c.told_at is null and c.move order by c.asked_at limit 100`)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (n notice, err error) {
			return n, r.Scan(&n.tenant, &n.plan, &n.name, &n.at, &n.sheet)
		})
		return err
	})
	if err != nil {
		return err
	}
	var troubles error
	for i := range all {
		if err := b.announcePrice(ctx, &all[i]); err != nil {
			troubles = errors.Join(troubles, fmt.Errorf("tell of the price of plan %s, tenant %d: %w", all[i].plan, all[i].tenant, err))
		}
	}
	return troubles
}

func (b *Billing) announcePrice(ctx context.Context, n *notice) error {
	s := Scope{Tenant: n.tenant}
	begin, _ := rate.Month(b.now())
	last := begin.AddDate(0, -1, 0)
	w, err := b.WhatIf(ctx, s, n.plan, n.sheet, last)
	if err != nil && model.KindOf(err) != model.Invalid { // two currencies: it is told without figures
		return err
	}
	compared := map[string]*WhatIfCustomer{}
	for i := range w.Customers {
		compared[w.Customers[i].DeveloperID] = &w.Customers[i]
	}
	return b.in(ctx, s, pgx.TxOptions{}, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `update price_change set told_at = $3 where tenant_id = $1 and plan_id = $2 and told_at is null`, n.tenant, n.plan, b.now())
		if err != nil || tag.RowsAffected() == 0 {
			return err // told, or taken back meanwhile
		}
		// Those who are subscribed, and those who will be when it takes effect.
		rows, err := tx.Query(ctx, `
			select distinct d.developer_id, coalesce(nullif(d.billing->>'email', ''), d.email), coalesce(nullif(t.seller->>'name', ''), t.name), coalesce(p.slug, '')
			from developer d join tenant t using (tenant_id) left join portal p using (tenant_id)
			join app a using (tenant_id, developer_id) join subscription s using (tenant_id, app_id)
			left join plan_change c on (c.tenant_id, c.subscription_id) = (s.tenant_id, s.subscription_id) and c.problem = ''
			where d.tenant_id = $1 and s.ended_at is null and (s.plan_id = $2 or c.plan_id = $2) order by 1`, n.tenant, n.plan)
		if err != nil {
			return err
		}
		type customer struct{ id, email, seller, slug string }
		all, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (c customer, err error) {
			return c, r.Scan(&c.id, &c.email, &c.seller, &c.slug)
		})
		if err != nil {
			return err
		}
		day := n.at.UTC().Format("2 January 2006")
		for _, c := range all {
			text := []string{
				fmt.Sprintf("%s changes the price of plan %s with %s, 00:00 UTC. From then on it is: %s.", c.seller, n.name, day, priceWords(n.sheet)),
				"What you use until then is charged by the price you have. The month of the change is billed in two parts: each price's fee for its share of the month, and each price's included calls and tiers for its own calls.",
			}
			if x := compared[c.id]; x != nil {
				text = append(text, fmt.Sprintf("By what you used in %s, a month would cost %s instead of %s.", MonthText(last), amountText(x.Would, w.Currency), amountText(x.Was, w.Currency)))
			}
			text = append(text, "Until then you can change to another plan or end the subscription in the portal.")
			l := Letter{Tenant: n.tenant, To: c.email, Purpose: "price", Subject: fmt.Sprintf("The price of %s changes with %s", n.name, day), Text: strings.Join(text, "\n\n") + "\n"}
			if err := b.mail(ctx, tx, l); err != nil {
				return err
			}
		}
		return nil
	})
}

// priceWords is a price in a sentence.
func priceWords(s *model.PriceSheet) string {
	var out []string
	if !s.MonthlyFee.Zero() {
		out = append(out, fmt.Sprintf("%s %s a month", s.MonthlyFee, s.Currency))
	}
	for _, m := range s.Metered() {
		if m.Included > 0 {
			out = append(out, fmt.Sprintf("%d %s included", m.Included, model.Units(m.Meter, m.Included)))
		}
		for _, t := range m.Tiers {
			per := "a " + model.Units(m.Meter, 1)
			if t.Per > 1 {
				per = fmt.Sprintf("for %d %s", t.Per, model.Units(m.Meter, t.Per))
			}
			part := fmt.Sprintf("%s %s %s", t.Price, s.Currency, per)
			if !t.Flat.Zero() {
				part += fmt.Sprintf(" and %s %s once", t.Flat, s.Currency)
			}
			if t.UpTo > 0 {
				part += fmt.Sprintf(" up to %d", t.UpTo)
			}
			out = append(out, part)
		}
	}
	for _, x := range []struct{ word, amount string }{{"at least", string(s.Minimum)}, {"at most", string(s.Maximum)}} {
		if x.amount != "" {
			out = append(out, fmt.Sprintf("%s %s %s a month", x.word, x.amount, s.Currency))
		}
	}
	if !s.Discount.Zero() {
		out = append(out, fmt.Sprintf("less %s %%", s.Discount))
	}
	if len(out) == 0 {
		return "free of charge"
	}
	return strings.Join(out, "; ")
}
