package intake

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// Query says which usage is asked for. Empty fields do not restrict.
type Query struct {
	From, To time.Time // hours that begin at From or later and before To; zero: open
	APIID    string
	Stage    string
	Path     string
	Verb     string
	KeyID    string
	By       string // "hour", "day" or "total" (default): one row per that time
	Limit    int    // rows; default and most 10,000
}

// Row is the usage of one method of one stage with one key and one answer status,
// in one span of time. Names are empty for what was not reached.
type Row struct {
	Time      time.Time `json:"time,omitzero"` // begin of the hour or day; zero for a total
	APIID     string    `json:"apiId,omitempty"`
	APIName   string    `json:"apiName,omitempty"`
	Stage     string    `json:"stage,omitempty"`
	Path      string    `json:"path,omitempty"`
	Verb      string    `json:"verb,omitempty"`
	KeyID     string    `json:"keyId,omitempty"`
	KeyName   string    `json:"keyName,omitempty"`
	Status    int       `json:"status"`
	Calls     int64     `json:"calls"`
	Billable  int64     `json:"billable"`
	BytesIn   int64     `json:"bytesIn"`
	BytesOut  int64     `json:"bytesOut"`
	AvgMicros int64     `json:"avgMicros"`
}

const mostRows = 10_000

var buckets = map[string]string{
	"":      "null::timestamptz",
	"total": "null::timestamptz",
	"hour":  "u.hour",
	"day":   "date_trunc('day', u.hour, 'UTC')",
}

// Usage answers what a tenant's APIs were used for, newest first: lines just taken
// in and hourly sums together. It sees no other tenant's.
func (in *Intake) Usage(ctx context.Context, tenant uint32, q Query) (out []Row, err error) {
	bucket, ok := buckets[q.By]
	if !ok {
		return nil, model.Errorf(model.Invalid, "usage can be shown by hour, by day or as a total, not by %q", q.By)
	}
	if q.Limit < 0 || q.Limit > mostRows {
		return nil, model.Errorf(model.Limit, "usage is shown in at most %d rows; ask for a shorter time or for fewer", mostRows)
	}
	if q.Limit == 0 {
		q.Limit = mostRows
	}
	if tenant == 0 || tenant > math.MaxInt32 {
		return nil, model.Errorf(model.NotFound, "there is no such account")
	}
	var from, to *time.Time
	if !q.From.IsZero() {
		from = &q.From
	}
	if !q.To.IsZero() {
		to = &q.To
	}
	err = in.as(ctx, fmt.Sprint(tenant), func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, fmt.Sprintf(usageSQL, bucket), int32(tenant), from, to,
			q.APIID, q.Stage, q.Path, q.Verb, q.KeyID, q.Limit)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (w Row, err error) {
			var at *time.Time
			err = r.Scan(&at, &w.APIID, &w.APIName, &w.Stage, &w.Path, &w.Verb, &w.KeyID, &w.KeyName,
				&w.Status, &w.Calls, &w.Billable, &w.BytesIn, &w.BytesOut, &w.AvgMicros)
			if at != nil {
				w.Time = at.UTC()
			}
			return w, err
		})
		return err
	})
	return out, err
}

// Sums are numeric and cut to bigint's range: an absurd count must not hide the rest.
const usageSQL = `
	with used as (
		select hour, stage_num, method_num, key_num, status, flags, calls::numeric, bytes_in::numeric, bytes_out::numeric, micros::numeric
		from usage_line
		where tenant_id = $1 and ($2::timestamptz is null or hour >= $2) and ($3::timestamptz is null or hour < $3)
		union all
		select hour, stage_num, method_num, key_num, status, flags, calls, bytes_in, bytes_out, micros
		from usage_hour
		where tenant_id = $1 and ($2::timestamptz is null or hour >= $2) and ($3::timestamptz is null or hour < $3)
	)
	select %s as at,
		coalesce(s.api_id, ''), coalesce(a.name, ''), coalesce(s.name, case when u.stage_num = 0 then '' else '#' || u.stage_num end),
		coalesce(m.path, case when u.method_num = 0 then '' else '#' || u.method_num end), coalesce(m.verb, ''),
		coalesce(k.key_id, case when u.key_num = 0 then '' else '#' || u.key_num end), coalesce(k.name, ''), u.status,
		least(sum(u.calls), 9223372036854775807)::bigint as calls,
		least(coalesce(sum(u.calls) filter (where u.flags & 1 = 1), 0), 9223372036854775807)::bigint,
		least(sum(u.bytes_in), 9223372036854775807)::bigint,
		least(sum(u.bytes_out), 9223372036854775807)::bigint,
		least(div(sum(u.micros), sum(u.calls)), 9223372036854775807)::bigint
	from used u
	left join stage s on s.tenant_id = $1 and s.stage_num = u.stage_num
	left join api a on a.tenant_id = $1 and a.api_id = s.api_id
	left join api_method m on m.tenant_id = $1 and m.method_num = u.method_num
	left join api_key k on k.tenant_id = $1 and k.key_num = u.key_num
	where ($4 = '' or s.api_id = $4) and ($5 = '' or s.name = $5) and ($6 = '' or m.path = $6)
		and ($7 = '' or m.verb = $7) and ($8 = '' or k.key_id = $8)
	group by at, u.stage_num, s.api_id, a.name, s.name, u.method_num, m.path, m.verb, u.key_num, k.key_id, k.name, u.status
	order by at desc nulls last, calls desc, s.api_id, s.name, m.path, m.verb, k.key_id, u.status
	limit $9`
