package billing

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"tollgate/billing/rate"
	"tollgate/model"
)

// Replay rates the month of a final invoice anew, by the usage that was in when it was
// cut, and says where its lines of usage and of customers' coupons are not what comes
// out: none, unless usage that was billed has changed or the rating has. Fees are left
// out: they follow subscriptions that may have ended since.
func (b *Billing) Replay(ctx context.Context, s Scope, id string) (differences []string, err error) {
	inv, err := b.Invoice(ctx, s, id)
	if err != nil {
		return nil, err
	}
	if !inv.Final {
		return nil, model.Errorf(model.Invalid, "invoice %s is a draft: only what is final can be compared", id)
	}
	return b.replay(ctx, id)
}

// replay is Replay of an invoice that is final.
func (b *Billing) replay(ctx context.Context, id string) (differences []string, err error) {
	type line struct {
		subscription uint64
		sheet        uint32
		meter        string
	}
	again := map[line]rate.Line{}
	err = b.read(ctx, Operator, func(tx pgx.Tx) error {
		var q question
		var currency string
		if err := tx.QueryRow(ctx, `select tenant_id, seller, coalesce(developer_id, ''), period_start, cut, currency from invoice where invoice_id = $1`, id).
			Scan(&q.tenant, &q.seller, &q.developer, &q.month, &q.gen, &currency); err != nil {
			return err
		}
		q.month = q.month.UTC()
		all, err := uses(ctx, tx, q)
		if err != nil {
			return err
		}
		if err := tried(ctx, tx, q, all); err != nil {
			return err
		}
		for _, u := range all {
			if u.sheet == nil {
				continue
			}
			lines, err := rate.Lines(u.sheet, u.Use)
			if err != nil {
				return fmt.Errorf("subscription %d: %w", u.subscription, err)
			}
			for _, l := range lines {
				again[line{u.subscription, u.num, l.Meter}] = l
			}
		}
		coupons, err := couponsAgain(ctx, tx, q, currency)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			select line, subscription_id, coalesce(sheet_num, 0), meter, quantity::bigint, exact::text, invoiced + amount, coalesce(use_id, '')
			from invoice_line where tenant_id = $1 and invoice_id = $2 order by line`, q.tenant, id)
		if err != nil {
			return err
		}
		var n int
		var of line
		var quantity, amount int64
		var exact, use string
		_, err = pgx.ForEachRow(rows, []any{&n, &of.subscription, &of.sheet, &of.meter, &quantity, &exact, &amount, &use}, func() error {
			if !model.Used(of.meter) && use == "" {
				return nil
			}
			was, err := decimal.NewFromString(exact)
			if err != nil {
				return err
			}
			l, ok := again[of]
			if use != "" {
				l, ok = coupons[use]
			}
			if !ok || l.Quantity != quantity || l.Amount != amount || !l.Exact.Round(rate.ShownDigits).Equal(was) {
				differences = append(differences, fmt.Sprintf("line %d says %d %s for %s (%d minor units), and now it is %d for %s (%d)",
					n, quantity, of.meter, was, amount, l.Quantity, l.Exact, l.Amount))
			}
			return nil
		})
		return err
	})
	return differences, err
}
