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
	"tollgate/billing/stripe"
	"tollgate/model"
)

// books bill the operator's tenants again and again while calls are made, so that most
// usage of the month is late for some invoice.
type books struct {
	billing *billing.Billing
	pool    *pgxpool.Pool
	rail    atomic.Pointer[stripe.Rail] // nil: nobody brings invoices to Stripe yet
	sellers []uint32                    // who bill developers, beside the operator
	months  []time.Time                 // that the run may take part in
	final   atomic.Int64
	log     func(format string, a ...any)
}

// The price of a call is no whole number of cents, and of the first million another. It is
// more than a cent, so that not even the last call is left off for being worth nothing.
var sheet = model.PriceSheet{Currency: "USD", MonthlyFee: "9.90", Included: 1000, Tiers: []model.PriceTier{
	{UpTo: 100_000, Price: "13.57", Per: 1000}, {UpTo: 1_000_000, Price: "0.010010001"}, {Price: "0.0123"}}}

var biller = billing.By{Name: "fault", Role: "operator", Source: "fault"}

func openBooks(ctx context.Context, url string, log func(string, ...any)) (*books, error) {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return nil, err
	}
	b := &books{pool: pool, log: log}
	b.billing = billing.New(billing.Options{Pool: pool, Changed: func(ctx context.Context, tx pgx.Tx, tenant uint32, invoice string, opened bool) error {
		if r := b.rail.Load(); r != nil {
			return r.Changed(ctx, tx, tenant, invoice, opened)
		}
		return nil
	}})
	// Clocks are wrong by up to an hour, and a run may see a month end.
	for _, at := range []time.Duration{-2 * time.Hour, 12 * time.Hour} {
		y, m, _ := time.Now().UTC().Add(at).Date()
		if month := time.Date(y, m, 1, 0, 0, 0, 0, time.UTC); len(b.months) == 0 || b.months[0] != month {
			b.months = append(b.months, month)
		}
	}
	return b, b.billing.AddOperatorSheet(ctx, biller, sheet, b.months[0])
}

func (b *books) close() { b.pool.Close() }

func (b *books) made() int64 { return b.final.Load() }

// bill makes invoices final while usage comes in. What fails because the database is
// away is done again.
func (b *books) bill(ctx context.Context, rnd *rand.Rand) error {
	for pause(ctx, random(rnd, 3*time.Second)) {
		n, _ := b.once(ctx)
		b.final.Add(int64(n))
	}
	return nil
}

// month is the one that it is.
func (b *books) month() time.Time {
	last := b.months[len(b.months)-1]
	if last.After(time.Now()) {
		return b.months[0]
	}
	return last
}

// once makes the drafts of all books and makes them final, and says how many there were.
func (b *books) once(ctx context.Context) (n int, err error) {
	scopes := []billing.Scope{billing.Operator}
	for _, s := range b.sellers {
		scopes = append(scopes, billing.Scope{Tenant: s})
	}
	for _, month := range b.months {
		if month.After(time.Now()) {
			continue
		}
		for _, s := range scopes {
			done, err := b.of(ctx, s, month)
			n += done
			if err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

func (b *books) of(ctx context.Context, s billing.Scope, month time.Time) (int, error) {
	if _, err := b.billing.Run(ctx, s, biller, month); err != nil {
		return 0, err
	}
	drafts, err := b.billing.Drafts(ctx, s, month)
	if err != nil {
		return 0, err
	}
	var ids []string
	for _, d := range drafts {
		ids = append(ids, d.ID)
	}
	done, err := b.billing.Finalize(ctx, s, biller, ids, true)
	return len(done), err
}

// change runs a transaction that sees and may write the rows of all tenants.
func (b *books) change(ctx context.Context, f func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, b.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `select set_config('tollgate.tenant', '*', true)`); err != nil {
			return err
		}
		return f(tx)
	})
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

// check runs all checks that run in production every hour.
func (b *books) check(ctx context.Context, t *tally) (err error) {
	if err := b.billing.Check(ctx); err != nil {
		return err
	}
	t.checks, err = b.billing.Checks(ctx)
	return err
}

// age makes all batches six weeks old: what was handed in once is known for ever.
func (b *books) age(ctx context.Context) error {
	return b.change(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `update usage_batch set received_at = received_at - interval '6 weeks'`)
		return err
	})
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
			select coalesce(sum(quantity), 0)::bigint from (
				select distinct on (i.tenant_id, i.period_start) l.quantity from invoice i join invoice_line l using (tenant_id, invoice_id)
				where i.seller = 'operator' and i.state = 'final' and l.meter = 'calls' order by i.tenant_id, i.period_start, i.serial desc) x`},
		{[]any{&t.unbalanced}, `
			select count(*) from (select i.total - i.tax - sum(l.amount) as off from invoice i join invoice_line l using (tenant_id, invoice_id) group by i.tenant_id, i.invoice_id, i.total, i.tax) x
			where off <> 0`},
		{[]any{&t.granted, &t.windows, &t.overGranted}, `
			select coalesce(sum(w.granted) filter (where p.name = 'limited'), 0)::bigint, count(*) filter (where p.name = 'limited'), count(*) filter (where w.granted > p.quota_limit + w.extension)
			from quota_window w join subscription s on (s.tenant_id, s.ledger_id) = (w.tenant_id, w.subscription_id) and w.kind = 0
				join plan p on (p.tenant_id, p.plan_id) = (s.tenant_id, s.plan_id)`},
		{[]any{&t.limitedJournaled, &t.hardJournaled}, `
			select coalesce(sum(u.calls) filter (where p.name = 'limited'), 0)::bigint, coalesce(sum(u.calls) filter (where p.name = 'hard'), 0)::bigint from (
				select tenant_id, subscription_id, calls from usage_line where flags & 1 = 1 union all select tenant_id, subscription_id, calls from usage_hour where flags & 1 = 1) u
			join subscription s using (tenant_id, subscription_id) join plan p using (tenant_id, plan_id)`},
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
