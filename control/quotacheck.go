package control

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// QuotaBalance compares the quotas, and what months' money reaches for, of windows of the last 33 days with what journals show
// of them: the calls that drew on a lease are never more than it has, nor all leases more
// than the quota.
type QuotaBalance struct {
	Windows int64
	Leased  int64 // units given out and not returned
	Used    int64 // of these, by calls in journals
	Lost    int64 // of these, held by nodes that are not running, until their journals are in
	// Wrong are windows whose leases are not what was given out of them, and leases, of
	// one start of a node for one subscription, with more calls than units. It is 0 but for
	// soft quotas and journals that were given up and came in after all.
	Wrong int64
}

const quotaBalance = `
	with l as materialized (
		select tenant_id, subscription_id, kind, window_start, boot, gateway_id, granted - returned as net, used, held
		from quota_lease where window_start > now() - interval '33 days'),
	w as (
		select w.granted, coalesce(sum(l.net), 0) as net, coalesce(sum(l.used), 0) as used,
			coalesce(sum(l.net - l.used) filter (where l.net > l.used and not exists (
				select from node n where n.gateway_id = l.gateway_id and n.boot = l.boot and ` + liveNode + `)), 0) as lost
		from quota_window w left join l using (tenant_id, subscription_id, kind, window_start)
		where w.window_start > now() - interval '33 days' group by w.tenant_id, w.subscription_id, w.kind, w.window_start),
	over as (
		-- over all windows: a call that began in one and ended in the next counts in that
		select from l group by tenant_id, subscription_id, kind, boot having sum(used) > sum(net) and bool_and(used is not null))
	select count(*), coalesce(sum(net), 0)::bigint, coalesce(sum(used), 0)::bigint, coalesce(sum(lost), 0)::bigint,
		count(*) filter (where granted <> net) + (select count(*) from over) from w`

func (q *QuotaBalance) scan(r pgx.Row) error {
	return r.Scan(&q.Windows, &q.Leased, &q.Used, &q.Lost, &q.Wrong)
}

// checkQuotas tells the operator of quotas that do not add up.
func (p *Plane) checkQuotas(ctx context.Context) error {
	var q QuotaBalance
	err := p.read(ctx, everyTenant, func(tx pgx.Tx) error { return q.scan(tx.QueryRow(ctx, quotaBalance)) })
	if err == nil && q.Wrong > 0 {
		p.log.Error("quotas do not add up", "wrong", q.Wrong, "windows", q.Windows, "leased", q.Leased, "used", q.Used)
	}
	return err
}
