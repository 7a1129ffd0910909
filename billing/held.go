package billing

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/billing/rate"
	"tollgate/model"
)

// held is what a tenant had from an instant to another, by meter. A cache counts in each
// hour (UTC) that it was there for a part of, once for each size it had; a domain counts
// once in the month, however often it came and went.
func held(ctx context.Context, tx pgx.Tx, tenant uint32, from, to time.Time) (map[string]int64, error) {
	rows, err := tx.Query(ctx, `
		with there as (
			select kind, resource, size, greatest(valid_from, $2) as a, least(coalesce(valid_to, $3), $3) as z from resource_interval
			where tenant_id = $1 and valid_from < $3 and (valid_to is null or valid_to > $2))
		select size, sum(extract(epoch from upper(r) - lower(r)) / 3600)::bigint from (
			select size, unnest(range_agg(tstzrange(date_trunc('hour', a, 'UTC'), date_trunc('hour', z + interval '1 hour' - interval '1 microsecond', 'UTC')))) as r
			from there where kind = 'cache' group by resource, size) hours
		group by size
		union all
		select '', count(distinct resource) from there where kind = 'domain' having count(*) > 0`, tenant, from, to)
	if err != nil {
		return nil, err
	}
	out := map[string]int64{}
	var size string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&size, &n}, func() error {
		if size == "" {
			out[model.MeterDomains] = n
		} else {
			out[model.MeterCache(size)] = n
		}
		return nil
	})
	return out, err
}

// had fills in what a tenant had in the month, as of the question's time.
func had(ctx context.Context, tx pgx.Tx, q question, u *use) error {
	begin, end := rate.Month(q.month)
	if q.asOf.Before(end) {
		end = q.asOf
	}
	if !end.After(begin) {
		return nil
	}
	all, err := held(ctx, tx, q.tenant, begin, end)
	if err != nil || len(all) == 0 {
		return err
	}
	u.Held = map[string]rate.Held{}
	for m, n := range all {
		u.Held[m] = rate.Held{Units: n}
	}
	if u.sheet == nil || u.sheet.TrialDays == 0 {
		return nil
	}
	t := u.sheet.TrialEnd(u.First)
	if !t.After(begin) {
		return nil
	}
	if t.After(end) {
		t = end
	}
	tried, err := held(ctx, tx, q.tenant, begin, t)
	for m, n := range tried {
		u.Held[m] = rate.Held{Units: all[m], Trial: n}
	}
	return err
}
