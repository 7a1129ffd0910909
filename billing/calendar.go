package billing

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

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
	return errors.Join(b.expireAll(ctx), b.lapseAll(ctx))
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
