package intake

import (
	"context"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// Balance says whether what was handed in is what is there.
type Balance struct {
	Boots       int64 // starts of nodes
	Open        int64 // of which not every batch is in and final
	Batches     int64
	Calls       int64 // by the boots' accounts
	Ahead       int64 // of them, reported of a time to come
	Lines       int64 // calls in usage_line
	Hours       int64 // calls in usage_hour
	Days        int64 // calls in usage_day
	Quarantined int64 // batches
	Gaps        []Gap
	Wrong       []string // boots whose account is not the sum of their batches
}

// Gap is usage known to be missing: Boot's batches after Contiguous up to Highest
// are not all in.
type Gap struct {
	Boot       model.BootID
	Contiguous int64
	Highest    int64
	Calls      int64 // in what is missing, by the average of the boot's batches that are in
}

// Exact reports that every call handed in is in the usage, once, and nothing is missing.
func (b *Balance) Exact() bool {
	return b.Calls == b.Lines+b.Hours && b.Hours == b.Days && len(b.Gaps) == 0 && len(b.Wrong) == 0
}

// Reconcile compares boots, batches, lines and hourly sums at one instant.
func (in *Intake) Reconcile(ctx context.Context) (b Balance, err error) {
	err = pgx.BeginTxFunc(ctx, in.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `select set_config('tollgate.tenant', '*', true)`); err != nil {
			return err
		}
		err := tx.QueryRow(ctx, `
			select count(*), count(*) filter (where state = 'live'), coalesce(sum(batches), 0)::bigint, coalesce(sum(calls), 0)::bigint, coalesce(sum(ahead), 0)::bigint,
				(select coalesce(sum(calls), 0)::bigint from usage_line),
				(select coalesce(sum(calls), 0)::bigint from usage_hour),
				(select coalesce(sum(calls), 0)::bigint from usage_day),
				(select count(*) from usage_quarantine)
			from usage_boot`).Scan(&b.Boots, &b.Open, &b.Batches, &b.Calls, &b.Ahead, &b.Lines, &b.Hours, &b.Days, &b.Quarantined)
		if err != nil {
			return err
		}
		if err := gaps(ctx, tx, &b); err != nil {
			return err
		}
		// Pruned batches are no longer there to be summed: boots that have all of theirs.
		rows, err := tx.Query(ctx, `
			select u.boot::text from usage_boot u left join lateral (
				select count(*) as n, coalesce(sum(calls), 0) as calls, min(seq) as first from usage_batch b where b.boot = u.boot) b on true
			where b.first = 1 and (b.n <> u.batches or b.calls <> u.calls)
				or b.n > u.batches or b.calls > u.calls or u.batches < u.contiguous_seq
			order by 1`)
		if err != nil {
			return err
		}
		b.Wrong, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	return b, err
}

func gaps(ctx context.Context, tx pgx.Tx, b *Balance) error {
	rows, err := tx.Query(ctx, `
		select u.boot, u.contiguous_seq, greatest(u.last_seq, max(b.seq)),
			((greatest(u.last_seq, max(b.seq)) - max(u.batches)) * max(u.calls)::numeric / greatest(max(u.batches), 1))::bigint
		from usage_boot u join usage_batch b on b.boot = u.boot
		group by u.boot having greatest(u.last_seq, max(b.seq)) > u.contiguous_seq order by 1`)
	if err != nil {
		return err
	}
	b.Gaps, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (g Gap, err error) {
		err = r.Scan((*[16]byte)(&g.Boot), &g.Contiguous, &g.Highest, &g.Calls)
		return g, err
	})
	return err
}
