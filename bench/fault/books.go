package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tollgate/bench/rig"
	"tollgate/billing"
	"tollgate/billing/intake"
	"tollgate/model"
)

// books bill the operator's tenants again and again while calls are made, so that most
// usage of the month is late for some invoice.
type books struct {
	billing *billing.Billing
	pool    *pgxpool.Pool
	month   time.Time
	final   atomic.Int64
	log     func(format string, a ...any)
}

// The price of a call is no whole number of cents, and of the first million another.
var sheet = model.PriceSheet{Currency: "USD", MonthlyFee: "9.90", Included: 1000, Tiers: []model.PriceTier{
	{UpTo: 100_000, Price: "3.57", Per: 1_000_000}, {UpTo: 1_000_000, Price: "0.000001001"}, {Price: "0.0000003"}}}

var biller = billing.By{Name: "fault", Role: "operator", Source: "fault"}

func openBooks(ctx context.Context, url string, log func(string, ...any)) (*books, error) {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return nil, err
	}
	b := &books{billing: billing.New(billing.Options{Pool: pool}), pool: pool, month: time.Now().UTC(), log: log}
	return b, b.billing.AddOperatorSheet(ctx, biller, sheet, b.month)
}

func (b *books) close() { b.pool.Close() }

func (b *books) made() int64 { return b.final.Load() }

// bill makes invoices final while usage comes in. What fails because the database is
// away is done again.
func (b *books) bill(ctx context.Context, rnd *rand.Rand) error {
	for pause(ctx, random(rnd, 3*time.Second)) {
		if n, err := b.once(ctx); err == nil {
			b.final.Add(int64(n))
		}
	}
	return nil
}

// once makes the month's drafts and makes them final, and says how many there were.
func (b *books) once(ctx context.Context) (int, error) {
	if _, err := b.billing.Run(ctx, billing.Operator, biller, b.month); err != nil {
		return 0, err
	}
	drafts, err := b.billing.Drafts(ctx, billing.Operator, b.month)
	if err != nil {
		return 0, err
	}
	var ids []string
	for _, d := range drafts {
		ids = append(ids, d.ID)
	}
	done, err := b.billing.Finalize(ctx, billing.Operator, biller, ids, true)
	return len(done), err
}

// reconcile bills what is left, and counts for good.
func (b *books) reconcile(ctx context.Context, t *tally) error {
	if _, err := b.once(ctx); err != nil {
		return err
	}
	again, err := b.once(ctx) // nothing is left
	if err != nil {
		return err
	}
	t.rebilled = int64(again)
	// Roll-up changes nothing of what was billed; a worker may be at it too.
	in := intake.New(intake.Options{Pool: b.pool})
	err = rig.Poll(ctx, nil, "usage to be rolled up", func() bool {
		var left bool
		_, err := in.Compact(ctx)
		if err == nil {
			err = b.look(ctx, func(tx pgx.Tx) error { return tx.QueryRow(ctx, `select exists (select from usage_line)`).Scan(&left) })
		}
		return err == nil && !left
	})
	if err != nil {
		return err
	}
	if t.replayed, err = b.replay(ctx); err != nil {
		return err
	}
	return b.look(ctx, func(tx pgx.Tx) error { return t.ask(ctx, tx) })
}

// look reads the rows of all tenants, as of one instant.
func (b *books) look(ctx context.Context, f func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, b.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `select set_config('tollgate.tenant', '*', true)`); err != nil {
			return err
		}
		return f(tx)
	})
}

// ask asks Postgres for what it holds.
func (t *tally) ask(ctx context.Context, tx pgx.Tx) error {
	for _, q := range []struct {
		into []any
		sql  string
	}{
		{[]any{&t.boots, &t.gaps}, `
			select count(*), count(*) filter (where contiguous_seq <> batches or last_seq is not null and last_seq <> contiguous_seq) from usage_boot`},
		{[]any{&t.hours, &t.days}, `
			select coalesce((select sum(calls) from usage_hour), 0)::bigint, coalesce((select sum(calls) from usage_day), 0)::bigint`},
		{[]any{&t.unrated}, `
			select coalesce(sum(calls), 0)::bigint from (
				select subscription_id, calls from usage_line where flags & 1 = 1 union all select subscription_id, calls from usage_hour where flags & 1 = 1) u
			where not exists (select from subscription s where s.subscription_id = u.subscription_id)`},
		{[]any{&t.billable}, `
			select (coalesce((select sum(calls) from usage_line where flags & 1 = 1), 0) + coalesce((select sum(calls) from usage_hour where flags & 1 = 1), 0))::bigint`},
		{[]any{&t.invoices, &t.serials}, `select count(*), coalesce(max(serial), 0) from invoice where seller = 'operator' and state = 'final'`},
		{[]any{&t.drafts}, `select count(*) from invoice where state = 'draft'`},
		{[]any{&t.rated}, `
			select coalesce((select l.quantity::bigint from invoice i join invoice_line l using (tenant_id, invoice_id)
				where i.seller = 'operator' and i.state = 'final' and l.meter = 'calls' order by i.serial desc limit 1), 0)`},
		{[]any{&t.unbalanced}, `
			select count(*) from (select i.total - sum(l.amount) as off from invoice i join invoice_line l using (tenant_id, invoice_id) group by i.tenant_id, i.invoice_id, i.total) x
			where off <> 0`},
		{[]any{&t.granted, &t.overGranted}, `
			select coalesce(sum(w.granted) filter (where p.name = 'limited'), 0)::bigint, count(*) filter (where w.granted > p.quota_limit + w.extension)
			from quota_window w join subscription s on (s.tenant_id, s.ledger_id) = (w.tenant_id, w.subscription_id) and w.kind = 0
				join plan p on (p.tenant_id, p.plan_id) = (s.tenant_id, s.plan_id)`},
		{[]any{&t.limitedJournaled}, `
			select coalesce(sum(u.calls), 0)::bigint from (
				select tenant_id, subscription_id, calls from usage_line where flags & 1 = 1 union all select tenant_id, subscription_id, calls from usage_hour where flags & 1 = 1) u
			join subscription s using (tenant_id, subscription_id) join plan p using (tenant_id, plan_id) where p.name = 'limited'`},
	} {
		if err := tx.QueryRow(ctx, q.sql).Scan(q.into...); err != nil {
			return fmt.Errorf("%w in %s", err, q.sql)
		}
	}
	return nil
}

// replay counts the lines of final invoices that are not what their cut gives today.
func (b *books) replay(ctx context.Context) (different int64, err error) {
	items, _, err := b.billing.Invoices(ctx, billing.Operator, billing.Filter{Seller: billing.ByOperator, State: "final", Limit: 500})
	if err != nil {
		return 0, err
	}
	for _, i := range items {
		wrong, err := b.billing.Replay(ctx, billing.Operator, i.ID)
		if err != nil {
			return 0, err
		}
		for _, w := range wrong {
			b.log("%s: %s", i.Number, w)
			different++
		}
	}
	return different, nil
}
