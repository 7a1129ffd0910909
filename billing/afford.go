package billing

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/billing/rate"
	"tollgate/model"
)

// What a month's money reaches for is a number of calls, which the control plane grants to
// nodes in parts as it does with a quota. It is worked out here, by the price that the
// invoice will have, from what is known to have been used and from what was granted:
//
//   - A call that was granted counts as one to be paid, until it is known that it was not.
//   - Calls from before there was a cap were granted by nobody: they count once they are in.
//   - Of a call that is not in, it is not known how many bytes its answer has. Where those
//     have a price, reserve bytes are reckoned with.
//
// So no grant takes a subscription beyond its cap, but for bytes beyond the reserve of calls
// that nodes have made and not handed in.

// How long what was worked out is believed: cheap to renew, and calls that nobody granted
// come in meanwhile. Where all is granted, others may have been found to cost nothing.
const (
	reckonedFor = 2 * time.Second
	spentFor    = 400 * time.Millisecond
)

// bound is what money bounds one ledger's calls.
type bound struct {
	ledger   uint64
	cap      model.Decimal // empty: none
	prepaid  bool
	granted  int64    // net of what came back
	money    int64    // the greatest cap it was ever reckoned by; 0: none
	running  uint64   // the subscription that calls are made under; 0: none
	subs     []uint64 // of the ledger, in the month
	billable map[uint64]int64
	free     int64 // granted calls that are in and cost nothing
}

// payerMonth is a month of who pays.
type payerMonth struct {
	tenant    uint32
	developer string
	month     time.Time
}

// Afford brings what the money of months reaches for up to date in the ledger, where it is
// not known well enough. Windows of subscriptions that no money bounds are left alone.
func (b *Billing) Afford(ctx context.Context, all []model.SpendWindow) error {
	var tenants, ledgers []int64
	var months []time.Time
	for _, w := range all {
		month, _ := rate.Month(w.At)
		tenants, ledgers, months = append(tenants, int64(w.Tenant)), append(ledgers, int64(w.Ledger)), append(months, month)
	}
	asked := map[payerMonth][]int64{}
	err := b.read(ctx, Operator, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select a.developer_id, x.tenant_id, x.month, array_agg(distinct x.ledger order by x.ledger)
			from unnest($1::integer[], $2::bigint[], $3::timestamptz[]) x (tenant_id, ledger, month)
			join subscription s on (s.tenant_id, s.ledger_id) = (x.tenant_id, x.ledger) and s.ended_at is null and s.terms <> 0
			join app a on (a.tenant_id, a.app_id) = (s.tenant_id, s.app_id)
			left join quota_window w on (w.tenant_id, w.subscription_id, w.kind, w.window_start) = (x.tenant_id, x.ledger, 1, x.month)
			where coalesce(w.computed_at < clock_timestamp() - case when w.granted < w.most then $4::bigint else $5::bigint end * interval '1 microsecond', true)
			group by 1, 2, 3`, tenants, ledgers, months, reckonedFor.Microseconds(), spentFor.Microseconds())
		if err != nil {
			return err
		}
		var p payerMonth
		var of []int64
		_, err = pgx.ForEachRow(rows, []any{&p.developer, &p.tenant, &p.month, &of}, func() error {
			p.month = p.month.UTC()
			asked[p], of = of, nil
			return nil
		})
		return err
	})
	if err != nil {
		return err
	}
	for p, of := range asked {
		err := b.in(ctx, Scope{Tenant: p.tenant}, pgx.TxOptions{}, func(tx pgx.Tx) error { return b.afford(ctx, tx, p, of) })
		if err == nil {
			continue
		}
		// Others' leases are in the same question: they do not wait for this one's trouble.
		b.log.Error("what a developer can afford could not be worked out: no more calls are let in by it", "tenant", p.tenant, "developer", p.developer, "err", err)
		if err := b.stop(ctx, p, of); err != nil {
			return fmt.Errorf("what developer %s can afford: %w", p.developer, err)
		}
	}
	return nil
}

// stop keeps more from being granted of ledgers than was.
func (b *Billing) stop(ctx context.Context, p payerMonth, ledgers []int64) error {
	return b.in(ctx, Scope{Tenant: p.tenant}, pgx.TxOptions{}, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			with locked as materialized (
				select subscription_id from quota_window where tenant_id = $1 and subscription_id = any($2) and kind = 1 and window_start = $3
				order by subscription_id for no key update)
			update quota_window w set most = granted, computed_at = null from locked l
			where w.tenant_id = $1 and w.subscription_id = l.subscription_id and w.kind = 1 and w.window_start = $3`, p.tenant, ledgers, p.month)
		return err
	})
}

// afford works out the asked ledgers of one payer. Its windows are locked meanwhile, so
// that nothing is granted of what is being counted.
func (b *Billing) afford(ctx context.Context, tx pgx.Tx, p payerMonth, asked []int64) error {
	if _, err := tx.Exec(ctx, `
		insert into quota_window (tenant_id, subscription_id, kind, window_start)
		select $1, l, 1, $3 from unnest($2::bigint[]) l order by l on conflict do nothing`, p.tenant, asked, p.month); err != nil {
		return err
	}
	bounds, err := boundsOf(ctx, tx, p, true)
	if err != nil {
		return err
	}
	q := question{tenant: p.tenant, seller: BySeller, developer: p.developer, month: p.month, gen: everything}
	used, err := uses(ctx, tx, q)
	if err != nil {
		return err
	}
	if err := tried(ctx, tx, q, used); err != nil {
		return err
	}
	for _, l := range asked {
		bd := bounds[uint64(l)]
		if bd == nil {
			continue
		}
		if err := b.reckon(ctx, tx, p, bd, used, bounds); err != nil {
			return err
		}
	}
	return nil
}

// boundsOf reads the windows of a payer's month, which it may lock, what bounds them and
// what of their grants is in.
func boundsOf(ctx context.Context, tx pgx.Tx, p payerMonth, lock bool) (map[uint64]*bound, error) {
	out := map[uint64]*bound{}
	locked := ""
	if lock {
		locked = " for no key update of w"
	}
	rows, err := tx.Query(ctx, `
		select w.subscription_id, w.granted, coalesce(w.money, 0) from quota_window w
		where w.tenant_id = $1 and w.kind = 1 and w.window_start = $3 and w.subscription_id in (
			select s.ledger_id from subscription s join app a using (tenant_id, app_id) where s.tenant_id = $1 and a.developer_id = $2)
		order by w.subscription_id`+locked, p.tenant, p.developer, p.month)
	if err != nil {
		return nil, err
	}
	var ledger uint64
	var granted, money int64
	if _, err := pgx.ForEachRow(rows, []any{&ledger, &granted, &money}, func() error {
		out[ledger] = &bound{ledger: ledger, granted: granted, money: money, billable: map[uint64]int64{}}
		return nil
	}); err != nil {
		return nil, err
	}
	rows, err = tx.Query(ctx, `
		with granted as (
			select subscription_id, sum(calls) filter (where flags & 1 = 1) as billable, sum(calls) filter (where flags & 1 = 0) as free from (
				select subscription_id, calls::numeric, flags from usage_line where tenant_id = $1 and hour >= $3 and hour < $4 and flags & 16 = 16
				union all
				select subscription_id, calls, flags from usage_day where tenant_id = $1 and day >= $3 and day < $4 and flags & 16 = 16
					and subscription_id in (select s.subscription_id from subscription s join app a using (tenant_id, app_id) where s.tenant_id = $1 and a.developer_id = $2)) u
			group by 1)
		select s.ledger_id, s.subscription_id, s.ended_at is null, coalesce(trim_scale(coalesce(l.cap, p.spend_cap, p.spend_max))::text, ''), p.prepaid,
			coalesce(g.billable, 0)::bigint, coalesce(g.free, 0)::bigint
		from subscription s join app a using (tenant_id, app_id) join plan p using (tenant_id, plan_id)
		left join spend_limit l on (l.tenant_id, l.subscription_id) = (s.tenant_id, s.ledger_id)
		left join granted g on g.subscription_id = s.subscription_id
		where s.tenant_id = $1 and a.developer_id = $2 and s.started_at < $4 and (s.ended_at is null or s.ended_at > $3 or g.billable > 0 or g.free > 0)
		order by 1, 2`, p.tenant, p.developer, p.month, p.month.AddDate(0, 1, 0))
	if err != nil {
		return nil, err
	}
	var sub uint64
	var running, prepaid bool
	var limit model.Decimal
	var billable, free int64
	_, err = pgx.ForEachRow(rows, []any{&ledger, &sub, &running, &limit, &prepaid, &billable, &free}, func() error {
		bd := out[ledger]
		if bd == nil {
			return nil
		}
		bd.subs, bd.billable[sub], bd.free = append(bd.subs, sub), billable, bd.free+free
		if running {
			bd.running, bd.cap, bd.prepaid = sub, limit, prepaid
		}
		return nil
	})
	return out, err
}

// reckon writes down how many calls a ledger's money reaches for.
func (b *Billing) reckon(ctx context.Context, tx pgx.Tx, p payerMonth, bd *bound, used []use, bounds map[uint64]*bound) error {
	i := slices.IndexFunc(used, func(u use) bool { return u.subscription == bd.running })
	if i < 0 || bd.running == 0 {
		return nil
	}
	run := &used[i]
	most := rate.MostCalls
	money := int64(0)
	if bd.cap != "" {
		limit, err := rate.Floor(bd.cap, run.sheet.Currency)
		if err != nil {
			return err
		}
		if most, err = bd.reach(run, used, limit); err != nil {
			return err
		}
		money = limit
	}
	if bd.prepaid {
		purse, err := b.purse(ctx, tx, p, bd, run, used, bounds)
		if err != nil {
			return err
		}
		calls, err := bd.reach(run, used, purse)
		if err != nil {
			return err
		}
		most = min(most, calls)
		if err := bd.alone(ctx, tx, p, bounds); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `
		update quota_window set most = $4, money = greatest(money, $5), computed_at = clock_timestamp()
		where tenant_id = $1 and subscription_id = $2 and kind = 1 and window_start = $3`, p.tenant, bd.ledger, p.month, most, money)
	return err
}

// reach is how many calls may be granted in all while the ledger's month costs no more than
// limit. What was used at a price before has its own, and counts as what it cost.
func (bd *bound) reach(run *use, used []use, limit int64) (int64, error) {
	var before int64 // granted at a price before
	for i := range used {
		u := &used[i]
		if u == run || !slices.Contains(bd.subs, u.subscription) {
			continue
		}
		lines, err := rate.Lines(u.sheet, u.Use)
		if err != nil {
			return 0, err
		}
		limit -= rate.Total(lines)
		before += bd.billable[u.subscription]
	}
	calls, err := rate.Reach(run.sheet, run.Use, reserve(run), limit)
	if err != nil {
		return 0, err
	}
	ungranted := run.Calls - bd.billable[run.subscription]
	return max(calls-ungranted+before+bd.free, 0), nil
}

// Answers whose bytes have a price and are not known yet are reckoned as twice the month's
// average; while that is of few, as no smaller than fewBytes.
const (
	fewCalls = 100
	fewBytes = 16 << 10
)

// reserve is how many bytes a call that is not in is reckoned with; 0: they cost nothing.
func reserve(u *use) int64 {
	if !slices.ContainsFunc(u.sheet.Metered(), func(m model.MeterPrice) bool { return m.Meter == model.MeterBytesOut }) {
		return 0
	}
	var n int64
	if u.Calls > 0 {
		n = (2*min(u.BytesOut, 1<<62) + u.Calls - 1) / u.Calls
	}
	if u.Calls < fewCalls {
		n = max(n, fewBytes)
	}
	return max(n, 1)
}
