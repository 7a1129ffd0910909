package billing

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/billing/rate"
	"tollgate/model"
)

// checkCaps rates the newest months that caps bound, and compares them with the most that
// each was ever reckoned by. Three things can be beyond a cap, and are not held against it:
// calls that nobody granted, from before there was one; calls that were let in at the end
// of a month and ended in the next, and so more than were granted of it; and bytes beyond
// what is reckoned with: where they have a price, only calls are looked at. A month in which the price changed is left
// out: what a price before cost is a part of it then that the new one's cap did not bound.
func checkCaps(ctx context.Context, b *Billing, c *model.Check) error {
	var months, apart int64
	err := b.read(ctx, Operator, func(tx pgx.Tx) error {
		from, _ := rate.Month(b.now())
		rows, err := tx.Query(ctx, `
			select w.tenant_id, a.developer_id, w.window_start from quota_window w
			join subscription s on (s.tenant_id, s.subscription_id) = (w.tenant_id, w.subscription_id) join app a on (a.tenant_id, a.app_id) = (s.tenant_id, s.app_id)
			where w.kind = 1 and w.money > 0 and w.window_start >= $1
			group by 1, 2, 3 order by max(w.computed_at) desc nulls last limit $2`, from.AddDate(0, 1-checkedMonths, 0), checkedPayers)
		if err != nil {
			return err
		}
		all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct {
			Tenant    uint32
			Developer string
			Month     time.Time
		}])
		if err != nil {
			return err
		}
		for _, m := range all {
			n, a, err := checkCapsOf(ctx, tx, c, payerMonth{m.Tenant, m.Developer, m.Month.UTC()})
			if err != nil {
				return err
			}
			months, apart = months+n, apart+a
		}
		return nil
	})
	figure(c, "months with a cap", months)
	figure(c, "with changed prices", apart)
	return err
}

func checkCapsOf(ctx context.Context, tx pgx.Tx, c *model.Check, p payerMonth) (months, apart int64, err error) {
	bounds, err := boundsOf(ctx, tx, p, false)
	if err != nil {
		return 0, 0, err
	}
	q := question{tenant: p.tenant, seller: BySeller, developer: p.developer, month: p.month, gen: everything}
	used, err := uses(ctx, tx, q)
	if err != nil {
		return 0, 0, err
	}
	if err := tried(ctx, tx, q, used); err != nil {
		return 0, 0, err
	}
	for _, bd := range bounds {
		if bd.money <= 0 {
			continue
		}
		months++
		mine := slices.DeleteFunc(slices.Clone(used), func(u use) bool { return !slices.Contains(bd.subs, u.subscription) })
		if len(mine) != 1 {
			apart++
			continue
		}
		cost, err := bd.bounded(&mine[0])
		if err != nil {
			return 0, 0, err
		}
		if cost > bd.money {
			wrong(c, "account %d, %s, subscription %d: what was granted of it has cost %d minor units, and its cap was %d",
				p.tenant, MonthText(p.month), mine[0].subscription, cost, bd.money)
		}
	}
	return months, apart, nil
}

// bounded is what the part of a month costs that a cap bounds.
func (bd *bound) bounded(u *use) (int64, error) {
	in := bd.billable[u.subscription]
	beyond := u.Calls - in + max(0, in+bd.free-bd.granted)
	lines, err := rate.Lines(u.sheet, u.Use)
	if err != nil || beyond == 0 && reserve(u) == 0 {
		return rate.Total(lines), err
	}
	// The least that it can cost without them: where more calls can cost less, too.
	part := u.Use
	part.Calls -= min(beyond, part.Calls)
	part.Trial.Calls = min(part.Trial.Calls, part.Calls)
	if reserve(u) > 0 {
		part.BytesOut, part.Trial.BytesOut = 0, 0
	}
	less, err := rate.Lines(u.sheet, part)
	return min(rate.Total(lines), rate.Total(less)), err
}
