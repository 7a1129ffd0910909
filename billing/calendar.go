package billing

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tollgate/billing/rate"
	"tollgate/model"
)

// calendarArgs asks for what the calendar does to wallets.
type calendarArgs struct{}

// Kind names the job in the queue.
func (calendarArgs) Kind() string { return "billing_wallets" }

// Calendar does what is due by now in all wallets: credit expires, top-ups that nobody
// paid lapse, and wallets that run low are topped up where that was asked for. One
// wallet's trouble does not keep the others from theirs.
func (b *Billing) Calendar(ctx context.Context) error {
	return errors.Join(b.expireAll(ctx), b.lapseAll(ctx), b.refillAll(ctx))
}

// each runs f on every row that a statement finds, and gathers what went wrong.
func each[T any](ctx context.Context, b *Billing, f func(T) error, sql string, args ...any) error {
	var all []T
	err := b.read(ctx, Operator, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[T])
		return err
	})
	for _, x := range all {
		if e := f(x); e != nil {
			err = errors.Join(err, fmt.Errorf("%+v: %w", x, e))
		}
	}
	return err
}

func (b *Billing) expireAll(ctx context.Context) error {
	type due struct {
		Payer
		Currency string
	}
	return each(ctx, b, func(d due) error {
		return b.in(ctx, d.rows(), pgx.TxOptions{}, func(tx pgx.Tx) error {
			_, err := b.lockWallet(ctx, tx, d.Payer, d.Currency) // which books it
			return err
		})
	}, `
		select distinct w.tenant_id, coalesce(w.developer_id, ''), w.currency from credit_grant g join wallet w using (tenant_id, wallet_id)
		where g.remaining > 0 and g.expires_at <= $1`, b.now())
}

// lapseAll takes back what is open of top-ups that were not paid in time.
func (b *Billing) lapseAll(ctx context.Context) error {
	type due struct {
		Tenant          uint32
		Seller, Invoice string
	}
	return each(ctx, b, func(d due) error {
		s := group{tenant: d.Tenant, seller: d.Seller}.scope()
		return b.change(ctx, s, d.Invoice, func(tx pgx.Tx, c *standing) error {
			if c.Open() == 0 || c.DueAt.After(b.now()) {
				return nil // paid meanwhile
			}
			n := note{kind: "void", reference: "void", reason: "Not paid in time"}
			if c.Paid > 0 {
				n.kind = "credit"
			}
			if _, err := b.credit(ctx, tx, c, clock, n, gross(c.Open())); err != nil {
				return err
			}
			if c.Paid == 0 {
				c.State, c.LastError = model.StateVoid, ""
			}
			return audit(ctx, tx, c.tenant, clock, "credit.lapse", c.invoice, map[string]any{"number": c.number})
		})
	}, `
		select i.tenant_id, i.seller, i.invoice_id from collection c join invoice i using (tenant_id, invoice_id)
		where i.kind = 'top-up' and c.state in ('open', 'past_due') and c.due_at <= $1 order by c.due_at`, b.now())
}

// SetRefill has a payer's wallet topped up by itself, or no more: by the zero value.
// Who pays decides on it where top-ups are sold, and whoever sells.
func (b *Billing) SetRefill(ctx context.Context, s Scope, by By, p Payer, currency string, r model.Refill) error {
	if err := s.sees(p); err != nil {
		return err
	}
	if r != (model.Refill{}) {
		if err := errors.Join(checkCredit(currency, r.Below), checkCredit(currency, r.By)); err != nil {
			return model.Errorf(model.Invalid, "a wallet is topped up by an amount when less than an amount is left: both are above zero and at most %s", amountText(mostCredit, currency))
		}
	} else if err := checkCredit(currency, 1); err != nil {
		return err
	}
	return b.in(ctx, p.rows(), pgx.TxOptions{}, func(tx pgx.Tx) error {
		if err := p.there(ctx, tx); err != nil {
			return err
		}
		rules, err := rules(ctx, tx, p.Tenant, p.sells())
		if err != nil {
			return err
		}
		if !rules.TopUps && r != (model.Refill{}) {
			return model.Errorf(model.Conflict, "prepaid credit is not sold here: terms of payment say whether it is")
		}
		w, err := b.openWallet(ctx, tx, p, currency)
		if err != nil || w.refill == r {
			return err
		}
		_, err = tx.Exec(ctx, `update wallet set refill_below = nullif($3, 0), refill_by = nullif($4, 0) where tenant_id = $1 and wallet_id = $2`, p.Tenant, w.id, r.Below, r.By)
		if err != nil {
			return err
		}
		return audit(ctx, tx, p.Tenant, by, "credit.refill", p.target(), map[string]any{"currency": currency, "below": r.Below, "by": r.By})
	})
}

// refillAll tops up the wallets that run low, by what they hold and what was used and is
// not invoiced yet, of this month and the last. One top-up at a time: while it is not
// paid, there is no other.
func (b *Billing) refillAll(ctx context.Context) error {
	type low struct {
		Payer
		Currency string
	}
	return each(ctx, b, func(l low) error {
		month, _ := rate.Month(b.now())
		return b.in(ctx, l.rows(), pgx.TxOptions{}, func(tx pgx.Tx) error {
			r, err := rules(ctx, tx, l.Tenant, l.sells())
			if err != nil || !r.TopUps {
				return err
			}
			// It is locked before: what an invoice takes meanwhile would count twice.
			w, err := b.lockWallet(ctx, tx, l.Payer, l.Currency)
			if err != nil || w == nil || w.refill.By == 0 {
				return err
			}
			var used int64
			for _, m := range []int{0, -1} {
				bills, err := compute(ctx, tx, question{tenant: l.Tenant, seller: l.sells(), developer: l.Developer, month: month.AddDate(0, m, 0), gen: everything, asOf: b.now()})
				if err != nil {
					return err
				}
				for i := range bills {
					if bills[i].currency == l.Currency {
						used += max(bills[i].total(), 0)
					}
				}
			}
			if w.balance-w.owed-used >= w.refill.Below {
				return nil
			}
			var waits bool
			err = tx.QueryRow(ctx, `
				select exists (select from invoice i join collection c using (tenant_id, invoice_id)
					where i.tenant_id = $1 and i.developer_id is not distinct from nullif($2, '') and i.kind = 'top-up' and i.currency = $3 and c.state = 'open')`,
				l.Tenant, l.Developer, l.Currency).Scan(&waits)
			if err != nil || waits {
				return err
			}
			return b.topUp(ctx, tx, clock, TopUp{Payer: l.Payer, Currency: l.Currency, Amount: w.refill.By, ID: NewTopUpID()}, &r)
		})
	}, `
		select tenant_id, coalesce(developer_id, ''), currency from wallet w where refill_by is not null
			and not exists (select from invoice i join collection c using (tenant_id, invoice_id)
				where i.tenant_id = w.tenant_id and i.developer_id is not distinct from w.developer_id and i.kind = 'top-up' and i.currency = w.currency and c.state = 'open')`)
}
