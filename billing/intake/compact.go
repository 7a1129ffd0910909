package intake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	compactLock = 0x746f6c6c02
	keepBatches = 30 * 24 * time.Hour
	daysAhead   = 3
)

// Compact moves the lines there are into hourly sums and adds them to their day's,
// an hour per transaction, and returns how many it moved. It runs beside ingest; what arrives meanwhile
// waits for the next run. Two at once: one does the work.
func (in *Intake) Compact(ctx context.Context) (moved int64, err error) {
	var hours []time.Time
	err = in.asEveryone(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select distinct hour from usage_line order by 1`)
		if err != nil {
			return err
		}
		hours, err = pgx.CollectRows(rows, pgx.RowTo[time.Time])
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, h := range hours {
		for _, t := range []string{"usage_hour", "usage_day"} {
			if err := in.ensurePartition(ctx, t, month(h)); err != nil {
				return moved, err
			}
		}
		n, err := in.compactHour(ctx, h)
		moved += n
		if err != nil {
			return moved, fmt.Errorf("compacting usage of %s: %w", h.UTC().Format(time.RFC3339), err)
		}
	}
	return moved, nil
}

func (in *Intake) compactHour(ctx context.Context, hour time.Time) (moved int64, err error) {
	err = in.asEveryone(ctx, func(tx pgx.Tx) error {
		var mine bool
		if err := tx.QueryRow(ctx, `select pg_try_advisory_xact_lock($1)`, int64(compactLock)).Scan(&mine); err != nil || !mine {
			return err
		}
		return tx.QueryRow(ctx, `
			with moved as (
				delete from usage_line where hour = $1 returning *
			), sums as (
				select tenant_id, hour, stage_num, method_num, subscription_id, key_num, terms, status, flags, gen,
					sum(calls) as calls, sum(bytes_in) as bytes_in, sum(bytes_out) as bytes_out, sum(micros) as micros
				from moved group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
				order by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
			), hours as (
				insert into usage_hour select * from sums
				on conflict (tenant_id, hour, stage_num, method_num, subscription_id, key_num, terms, status, flags, gen) do update set
					calls = usage_hour.calls + excluded.calls, bytes_in = usage_hour.bytes_in + excluded.bytes_in,
					bytes_out = usage_hour.bytes_out + excluded.bytes_out, micros = usage_hour.micros + excluded.micros
			), days as (
				insert into usage_day
				select tenant_id, date_trunc('day', hour, 'UTC'), stage_num, method_num, subscription_id, key_num, terms, status, flags, gen,
					calls, bytes_in, bytes_out, micros from sums
				on conflict (tenant_id, day, stage_num, method_num, subscription_id, key_num, terms, status, flags, gen) do update set
					calls = usage_day.calls + excluded.calls, bytes_in = usage_day.bytes_in + excluded.bytes_in,
					bytes_out = usage_day.bytes_out + excluded.bytes_out, micros = usage_day.micros + excluded.micros
			)
			select count(*) from moved`, hour).Scan(&moved)
	})
	return moved, err
}

// Maintain makes the partitions of the days to come, drops empty ones of the past
// and forgets batches whose names the boot's account covers.
func (in *Intake) Maintain(ctx context.Context) error {
	today := in.now().UTC().Truncate(24 * time.Hour)
	for d := -1; d <= daysAhead; d++ {
		if err := in.ensurePartition(ctx, "usage_line", day(today.AddDate(0, 0, d))); err != nil {
			return err
		}
	}
	for m := range 2 {
		for _, t := range []string{"usage_hour", "usage_day"} {
			if err := in.ensurePartition(ctx, t, month(today.AddDate(0, m, 1-today.Day()))); err != nil {
				return err
			}
		}
	}
	if err := in.dropEmpty(ctx, today.AddDate(0, 0, -3)); err != nil {
		return err
	}
	_, err := in.pool.Exec(ctx, `
		delete from usage_batch b using usage_boot u
		where u.boot = b.boot and b.seq < u.contiguous_seq and b.received_at < $1`, in.now().Add(-keepBatches))
	return err
}

// span is a partition's range of hours.
type span struct {
	suffix   string
	from, to time.Time
}

func day(t time.Time) span {
	t = t.UTC().Truncate(24 * time.Hour)
	return span{t.Format("20060102"), t, t.AddDate(0, 0, 1)}
}

func month(t time.Time) span {
	t = time.Date(t.UTC().Year(), t.UTC().Month(), 1, 0, 0, 0, 0, time.UTC)
	return span{t.Format("200601"), t, t.AddDate(0, 1, 0)}
}

// ensurePartition makes a partition if it is missing. Rows of its range that the
// default partition holds already stay there: then it is not made.
func (in *Intake) ensurePartition(ctx context.Context, table string, s span) error {
	name := table + "_" + s.suffix
	var there bool
	if err := in.pool.QueryRow(ctx, `select to_regclass($1) is not null`, name).Scan(&there); err != nil || there {
		return err
	}
	err := in.asEveryone(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, fmt.Sprintf(`create table %s partition of %s for values from ('%s') to ('%s')`,
			name, table, s.from.Format(time.RFC3339), s.to.Format(time.RFC3339)))
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `select usage_fence($1::regclass)`, name)
		return err
	})
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pe.Code {
		case "42P07", "23505": // another process just made it
			return nil
		case "23514": // the default partition holds rows of it
			in.log.Debug("usage partition not made: its rows are in the default one", "partition", name)
			return nil
		}
	}
	return err
}

// dropEmpty drops daily line partitions that end before a time and are empty.
func (in *Intake) dropEmpty(ctx context.Context, before time.Time) error {
	rows, err := in.pool.Query(ctx, `
		select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid
		where i.inhparent = 'usage_line'::regclass and c.relname ~ '^usage_line_[0-9]{8}$' order by 1`)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, n := range names {
		if n >= "usage_line_"+before.Format("20060102") {
			break
		}
		err := in.asEveryone(ctx, func(tx pgx.Tx) error {
			// The lock comes first: a late batch could put a row in meanwhile.
			if _, err := tx.Exec(ctx, `lock table usage_line in access exclusive mode`); err != nil {
				return err
			}
			var used bool
			if err := tx.QueryRow(ctx, `select exists (select from `+n+`)`).Scan(&used); err != nil || used {
				return err
			}
			_, err := tx.Exec(ctx, `drop table `+n)
			return err
		})
		if err != nil {
			return fmt.Errorf("dropping %s: %w", n, err)
		}
	}
	return nil
}
