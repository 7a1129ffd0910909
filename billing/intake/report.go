package intake

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// Bounds of a report.
const (
	mostTimes  = 800 // hours of a month, days of two years
	mostGroups = 100
	mostNames  = 500
)

// group is how a report tells calls apart. num is the number that usage has for
// it; key, with keyJoin to u, is what that belongs to; names, with join to g, are
// the fields of a row that it fills, in the order of named.
type group struct{ num, key, keyJoin, join, names string }

func named(r *model.UsageRow) []any {
	return []any{&r.APIID, &r.APIName, &r.Stage, &r.Path, &r.Verb, &r.KeyID, &r.KeyName, &r.AppID, &r.AppName, &r.DeveloperID, &r.Developer, &r.Status}
}

var groups = map[string]group{
	"": {num: "0", key: "u.num", names: "'', '', '', '', '', '', '', '', '', '', '', 0"},
	"api": {
		num: "stage_num", key: "coalesce(s.api_id, '')", keyJoin: "left join stage s on s.tenant_id = $1 and s.stage_num = u.num",
		join:  "left join api a on a.tenant_id = $1 and a.api_id = g.key",
		names: "coalesce(g.key, ''), coalesce(a.name, ''), '', '', '', '', '', '', '', '', '', 0",
	},
	"stage": {
		num: "stage_num", key: "coalesce(s.api_id || '/' || s.name, '')", keyJoin: "left join stage s on s.tenant_id = $1 and s.stage_num = u.num",
		join:  "left join api a on a.tenant_id = $1 and a.api_id = split_part(g.key, '/', 1)",
		names: "coalesce(split_part(g.key, '/', 1), ''), coalesce(a.name, ''), coalesce(split_part(g.key, '/', 2), ''), '', '', '', '', '', '', '', '', 0",
	},
	"method": {
		num: "method_num", key: "u.num",
		join:  "left join api_method m on m.tenant_id = $1 and m.method_num = g.key left join api a on a.tenant_id = $1 and a.api_id = m.api_id",
		names: "coalesce(m.api_id, ''), coalesce(a.name, ''), '', coalesce(m.path, case when g.key <> 0 then '#' || g.key end, ''), coalesce(m.verb, ''), '', '', '', '', '', '', 0",
	},
	"key": {
		num: "key_num", key: "u.num",
		join:  "left join api_key k on k.tenant_id = $1 and k.key_num = g.key",
		names: "'', '', '', '', '', coalesce(k.key_id, case when g.key <> 0 then '#' || g.key end, ''), coalesce(k.name, ''), '', '', '', '', 0",
	},
	"status": {num: "status", key: "u.num", names: "'', '', '', '', '', '', '', '', '', '', '', coalesce(g.key, 0)"},
	"app": {
		num: "subscription_id", key: "coalesce(b.app_id, '')", keyJoin: "left join subscription b on b.tenant_id = $1 and b.subscription_id = u.num",
		join: "left join app p on p.tenant_id = $1 and p.app_id = g.key " +
			"left join developer d on d.tenant_id = $1 and d.developer_id = p.developer_id",
		names: "'', '', '', '', '', '', '', coalesce(g.key, ''), coalesce(p.name, ''), coalesce(d.developer_id, ''), coalesce(d.email, ''), 0",
	},
	"developer": {
		num: "subscription_id", key: "coalesce(p.developer_id, '')",
		keyJoin: "left join subscription b on b.tenant_id = $1 and b.subscription_id = u.num left join app p on p.tenant_id = $1 and p.app_id = b.app_id",
		join:    "left join developer d on d.tenant_id = $1 and d.developer_id = g.key",
		names:   "'', '', '', '', '', '', '', '', '', coalesce(g.key, ''), coalesce(d.email, ''), 0",
	},
}

// reportSQL answers every hour or day (kind 1), every group up to a limit (2) and
// the total (3) by one pass over the usage.
const reportSQL = `
	with u as (%[1]s group by 1, 2, 3, 4),
	k as (select u.*, %[2]s as key from u %[3]s),
	g as (
		select grouping(k.at, k.key) as kind, k.at, k.key, %[4]s,
			row_number() over (partition by grouping(k.at, k.key) order by sum(k.calls) desc, k.key) as n,
			count(*) over (partition by grouping(k.at, k.key)) as of
		from k group by grouping sets ((k.at), (k.key), ()))
	select g.kind, g.at, g.of, g.calls, g.billable, g.failed4, g.failed5, g.bytes_in, g.bytes_out, g.avg, %[5]s
	from g %[6]s where g.kind <> 2 or g.n <= %[7]s
	order by g.kind, g.n`

// namesSQL is the names of what a query asks for by its id, and what else may be
// asked for. Unless the tenant itself
// asks ($6), a developer ($5) is told of its own and of what the portal offers.
const namesSQL = `select
	(select a.name from api a where a.tenant_id = $1 and a.api_id = $2
		and ($6 or exists (select from portal_api o where o.tenant_id = $1 and o.api_id = a.api_id))),
	(select k.name from api_key k left join app p using (tenant_id, app_id)
		where k.tenant_id = $1 and k.key_id = $3 and ($6 or p.developer_id = $5)),
	(select p.name from app p where p.tenant_id = $1 and p.app_id = $4 and ($6 or p.developer_id = $5)),
	(select d.email from developer d where d.tenant_id = $1 and d.developer_id = $5),
	case when $6 then (select jsonb_agg(x order by x.name, x.id) from (
		select a.api_id as id, a.name, (
			select coalesce(jsonb_agg(s.name order by s.name), '[]') from stage s where s.tenant_id = $1 and s.api_id = a.api_id and s.deleted_at is null) as stages
		from api a where a.tenant_id = $1 and a.deleted_at is null order by a.name, a.api_id limit $7) x) end,
	case when not $6 then (select jsonb_agg(x order by x.name, x.id) from (
		select p.app_id as id, p.name from app p where p.tenant_id = $1 and p.developer_id = $5 order by p.name, p.app_id limit $7) x) end`

// Report is a tenant's usage in figures over time, and by one of model.UsageGroups
// (empty: by none), with the names to ask for more. From, To and By ("hour" or
// "day") are needed. ForDeveloper says that a developer of the portal asks, about
// what is its own: then the query has to name it.
func (in *Intake) Report(ctx context.Context, tenant uint32, q Query, by string, forDeveloper bool) (model.UsageReport, error) {
	var out model.UsageReport
	how, ok := groups[by]
	if !ok {
		return out, model.Errorf(model.Invalid, "usage can be shown by api, stage, method, key, status, app or developer, not by %q", by)
	}
	if forDeveloper && q.DeveloperID == "" {
		return out, model.Errorf(model.NotFound, "there is no such developer")
	}
	at, err := times(&out, q)
	if err != nil {
		return out, err
	}
	s, err := selectUsage(tenant, q, buckets[q.By]+" as at, "+how.num+` as num, status, billable,
		sum(calls) as calls, sum(bytes_in) as bytes_in, sum(bytes_out) as bytes_out, sum(micros) as micros`)
	if err != nil {
		return out, err
	}
	sql := fmt.Sprintf(reportSQL, s.sql, how.key, how.keyJoin, sums("k"), how.names, how.join, s.arg(mostGroups))
	err = in.as(ctx, fmt.Sprint(tenant), func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		b.Queue(sql, s.args...).Query(func(rows pgx.Rows) error { return collect(rows, &out, at, by != "") })
		b.Queue(namesSQL, int32(tenant), q.APIID, q.KeyID, q.AppID, q.DeveloperID, !forDeveloper, mostNames).
			QueryRow(func(row pgx.Row) error { return names(row, &out, q, forDeveloper) })
		return tx.SendBatch(ctx, b).Close()
	})
	return out, err
}

// times fills in the hours or days of a report and says where each one is.
func times(out *model.UsageReport, q Query) (map[int64]int, error) {
	step := map[string]time.Duration{"hour": time.Hour, "day": 24 * time.Hour}[q.By]
	if step == 0 || q.From.IsZero() || !q.From.Before(q.To) {
		return nil, model.Errorf(model.Invalid, "a report needs a time that begins before it ends, by hour or by day")
	}
	at := map[int64]int{}
	for t := q.From.UTC().Truncate(step); t.Before(q.To); t = t.Add(step) {
		if len(out.Times) == mostTimes {
			return nil, model.Errorf(model.Invalid, "from %s to %s there are more than %d %ss; ask for a shorter time",
				q.From.UTC().Format(time.DateOnly), q.To.UTC().Format(time.DateOnly), mostTimes, q.By)
		}
		at[t.Unix()] = len(out.Times)
		out.Times = append(out.Times, t)
	}
	out.Series = make([]model.UsageSum, len(out.Times))
	return at, nil
}

func collect(rows pgx.Rows, out *model.UsageReport, at map[int64]int, grouped bool) error {
	for rows.Next() {
		var kind, of int
		var when *time.Time
		var r model.UsageRow
		if err := rows.Scan(append(append([]any{&kind, &when, &of}, measures(&r.UsageSum)...), named(&r)...)...); err != nil {
			return err
		}
		switch {
		case kind == 3:
			out.Total = r.UsageSum
		case kind == 1:
			if i, ok := at[when.Unix()]; ok {
				out.Series[i] = r.UsageSum
			}
		case grouped:
			out.Groups = append(out.Groups, r)
			out.More = of - len(out.Groups)
		}
	}
	return rows.Err()
}

func names(row pgx.Row, out *model.UsageReport, q Query, forDeveloper bool) error {
	var api, key, app, developer *string
	if err := row.Scan(&api, &key, &app, &developer, &out.APIs, &out.Apps); err != nil {
		return err
	}
	for _, n := range []struct {
		what, id string
		name     *string
		into     *string
	}{{"API", q.APIID, api, &out.APIName}, {"key", q.KeyID, key, &out.KeyName}, {"app", q.AppID, app, &out.AppName}, {"developer", q.DeveloperID, developer, &out.Developer}} {
		switch {
		case n.name != nil:
			*n.into = *n.name
		case n.id != "":
			return model.Errorf(model.NotFound, "there is no %s %q", n.what, n.id)
		}
	}
	return nil
}
