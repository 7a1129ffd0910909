package intake

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// Query says which usage is asked for.
type Query = model.UsageQuery

// Row is the usage of one method of one stage with one key and one answer status,
// in one span of time.
type Row = model.UsageRow

const (
	mostRows     = 10_000
	mostStreamed = 1_000_000
)

var buckets = map[string]string{
	"":      "null::timestamptz",
	"total": "null::timestamptz",
	"hour":  "at",
	"day":   "date_trunc('day', at, 'UTC')",
}

// Usage answers what a tenant's APIs were used for, newest first: lines just taken
// in and their sums together. It sees no other tenant's.
func (in *Intake) Usage(ctx context.Context, tenant uint32, q Query) ([]Row, error) {
	if q.Limit < 0 || q.Limit > mostRows {
		return nil, model.Errorf(model.Limit, "usage is shown in at most %d rows; ask for a shorter time or for fewer", mostRows)
	}
	if q.Limit == 0 {
		q.Limit = mostRows
	}
	out := []Row{}
	err := in.each(ctx, tenant, q, func(r *Row) error {
		out = append(out, *r)
		return nil
	})
	return out, err
}

// EachUsage passes on the rows that Usage would answer, as they come from the
// database, without its limit; beyond a million it stops with an error of kind
// Limit.
func (in *Intake) EachUsage(ctx context.Context, tenant uint32, q Query, f func(*Row) error) error {
	q.Limit = mostStreamed + 1
	n := 0
	return in.each(ctx, tenant, q, func(r *Row) error {
		if n++; n > mostStreamed {
			return model.Errorf(model.Limit, "there are more than %d rows; ask for a shorter time or for fewer", mostStreamed)
		}
		return f(r)
	})
}

func (in *Intake) each(ctx context.Context, tenant uint32, q Query, f func(*Row) error) error {
	bucket, ok := buckets[q.By]
	if !ok {
		return model.Errorf(model.Invalid, "usage can be shown by hour, by day or as a total, not by %q", q.By)
	}
	s, err := selectUsage(tenant, q, "*")
	if err != nil {
		return err
	}
	sql := fmt.Sprintf(rowsSQL, s.sql, bucket, sums("u"), s.arg(q.Limit))
	return in.as(ctx, fmt.Sprint(tenant), func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, sql, s.args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var at *time.Time
			var w Row
			if err := rows.Scan(append([]any{&at, &w.APIID, &w.APIName, &w.Stage, &w.Path, &w.Verb, &w.KeyID, &w.KeyName,
				&w.AppID, &w.AppName, &w.DeveloperID, &w.Developer, &w.Status}, measures(&w.UsageSum)...)...); err != nil {
				return err
			}
			if at != nil {
				w.Time = at.UTC()
			}
			if err := f(&w); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

func measures(s *model.UsageSum) []any {
	return []any{&s.Calls, &s.Billable, &s.Failed4xx, &s.Failed5xx, &s.BytesIn, &s.BytesOut, &s.AvgMicros}
}

// sums are the measures of a group, cut to bigint's range: an absurd count must not
// hide the rest.
func sums(t string) string {
	bounded := func(expr string) string { return "least(coalesce(" + expr + ", 0), 9223372036854775807)::bigint" }
	calls := "sum(" + t + ".calls)"
	return strings.Join([]string{
		bounded(calls) + " as calls",
		bounded(calls+" filter (where "+t+".billable)") + " as billable",
		bounded(calls+" filter (where "+t+".status between 400 and 499)") + " as failed4",
		bounded(calls+" filter (where "+t+".status >= 500)") + " as failed5",
		bounded("sum("+t+".bytes_in)") + " as bytes_in", bounded("sum("+t+".bytes_out)") + " as bytes_out",
		bounded("div(sum("+t+".micros), nullif("+calls+", 0))") + " as avg",
	}, ", ")
}

const rowsSQL = `
	with u as (%s)
	select %s as at,
		coalesce(s.api_id, ''), coalesce(a.name, ''), coalesce(s.name, case when u.stage_num = 0 then '' else '#' || u.stage_num end),
		coalesce(m.path, case when u.method_num = 0 then '' else '#' || u.method_num end), coalesce(m.verb, ''),
		coalesce(k.key_id, case when u.key_num = 0 then '' else '#' || u.key_num end), coalesce(k.name, ''),
		coalesce(p.app_id, ''), coalesce(p.name, ''), coalesce(d.developer_id, ''), coalesce(d.email, ''),
		u.status, %s
	from u
	left join stage s on s.tenant_id = $1 and s.stage_num = u.stage_num
	left join api a on a.tenant_id = $1 and a.api_id = s.api_id
	left join api_method m on m.tenant_id = $1 and m.method_num = u.method_num
	left join api_key k on k.tenant_id = $1 and k.key_num = u.key_num
	left join subscription b on b.tenant_id = $1 and b.subscription_id = u.subscription_id
	left join app p on p.tenant_id = $1 and p.app_id = b.app_id
	left join developer d on d.tenant_id = $1 and d.developer_id = p.developer_id
	group by 1, u.stage_num, s.api_id, a.name, s.name, u.method_num, m.path, m.verb, u.key_num, k.key_id, k.name,
		p.app_id, p.name, d.developer_id, d.email, u.status
	order by 1 desc nulls last, sum(u.calls) desc, s.api_id, s.name, m.path, m.verb, k.key_id, p.app_id, u.status
	limit %s`

// selection is the part of a query that every question about usage has.
type selection struct {
	sql  string
	args []any
}

func (s *selection) arg(v any) string {
	s.args = append(s.args, v)
	return "$" + strconv.Itoa(len(s.args))
}

// selectUsage is the rows of usage that a query asks for, with at (the hour, or the
// day of what was summed up to it), the numbers of what they are of, billable,
// and the measures. Days are read where only days are asked for. $1 is the tenant.
func selectUsage(tenant uint32, q Query, columns string) (*selection, error) {
	if tenant == 0 || tenant > math.MaxInt32 {
		return nil, model.Errorf(model.NotFound, "there is no such account")
	}
	s := &selection{args: []any{int32(tenant)}}
	var only []string
	where := func(format string, values ...any) {
		names := make([]any, len(values))
		for i, v := range values {
			names[i] = s.arg(v)
		}
		only = append(only, fmt.Sprintf(format, names...))
	}
	switch {
	case q.APIID != "" && q.Stage != "":
		where("stage_num in (select stage_num from stage where tenant_id = $1 and api_id = %s and name = %s)", q.APIID, q.Stage)
	case q.APIID != "":
		where("stage_num in (select stage_num from stage where tenant_id = $1 and api_id = %s)", q.APIID)
	case q.Stage != "":
		where("stage_num in (select stage_num from stage where tenant_id = $1 and name = %s)", q.Stage)
	}
	if q.Path != "" || q.Verb != "" {
		where("method_num in (select method_num from api_method where tenant_id = $1 and (%[1]s = '' or path = %[1]s) and (%[2]s = '' or verb = %[2]s))", q.Path, q.Verb)
	}
	if q.KeyID != "" {
		where("key_num in (select key_num from api_key where tenant_id = $1 and key_id = %s)", q.KeyID)
	}
	if q.AppID != "" || q.DeveloperID != "" {
		where(`subscription_id in (select b.subscription_id from subscription b join app p using (tenant_id, app_id)
			where b.tenant_id = $1 and (%[1]s = '' or b.app_id = %[1]s) and (%[2]s = '' or p.developer_id = %[2]s))`, q.AppID, q.DeveloperID)
	}
	if q.Status != "" {
		from, to, err := statuses(q.Status)
		if err != nil {
			return nil, err
		}
		where("status between %s and %s", from, to)
	}
	cond := ""
	if len(only) > 0 {
		cond = " and " + strings.Join(only, " and ")
	}
	// Whole days between the ends come from the sums of days; nothing of them from
	// the hours.
	dayFrom, dayTo := q.From, q.To
	byDay := q.By != "hour"
	if !dayFrom.IsZero() {
		if dayFrom = dayFrom.UTC().Truncate(24 * time.Hour); dayFrom.Before(q.From) {
			dayFrom = dayFrom.AddDate(0, 0, 1)
		}
	}
	if !dayTo.IsZero() {
		dayTo = dayTo.UTC().Truncate(24 * time.Hour)
	}
	span := func(column string, from, to time.Time) string {
		out := ""
		if !from.IsZero() {
			out += " and " + column + " >= " + s.arg(from)
		}
		if !to.IsZero() {
			out += " and " + column + " < " + s.arg(to)
		}
		return out
	}
	if byDay && !dayFrom.IsZero() && !dayTo.IsZero() && !dayFrom.Before(dayTo) {
		byDay = false
	}
	const cols = ` as at, stage_num, method_num, subscription_id, key_num, status, flags & 1 = 1 as billable, calls::numeric, bytes_in::numeric, bytes_out::numeric, micros::numeric
		from `
	parts := []string{"select hour" + cols + "usage_line where tenant_id = $1" + span("hour", q.From, q.To) + cond}
	if byDay {
		parts = append(parts, "select day"+cols+"usage_day where tenant_id = $1"+span("day", dayFrom, dayTo)+cond)
		if dayFrom.After(q.From) {
			parts = append(parts, "select hour"+cols+"usage_hour where tenant_id = $1"+span("hour", q.From, dayFrom)+cond)
		}
		if dayTo.Before(q.To) {
			parts = append(parts, "select hour"+cols+"usage_hour where tenant_id = $1"+span("hour", dayTo, q.To)+cond)
		}
	} else {
		parts = append(parts, "select hour"+cols+"usage_hour where tenant_id = $1"+span("hour", q.From, q.To)+cond)
	}
	s.sql = "select " + columns + " from (" + strings.Join(parts, "\n\t\tunion all\n\t\t") + ") x"
	return s, nil
}

// statuses reads "404" and "4xx".
func statuses(s string) (from, to int, err error) {
	if class, ok := strings.CutSuffix(s, "xx"); ok && len(class) == 1 && class >= "1" && class <= "5" {
		from = int(class[0]-'0') * 100
		return from, from + 99, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 100 || n > 599 {
		return 0, 0, model.Errorf(model.Invalid, "%q is not a status such as 404, or a class such as 4xx", s)
	}
	return n, n, nil
}
