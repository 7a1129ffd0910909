package control

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// leaseDry looks after requests that found a window's units all given out: units of nodes
// that are lost come back where it is known how many, and live nodes are asked for what
// they hold unused. What came back at once is granted; for the rest the answer says that
// asking again may help. A node that still holds something starves nobody: it waits.
func (p *Plane) leaseDry(ctx context.Context, n NodeIdentity, reqs []model.LeaseRequest, turn []int, out []model.Lease) error {
	var dry []int
	for _, i := range turn {
		if r, l := &reqs[i], &out[i]; r.Want > 0 && r.Held <= 0 && l.Granted == 0 && !l.Unlimited && !l.WindowStart.IsZero() {
			dry = append(dry, i)
		}
	}
	if len(dry) == 0 {
		return nil
	}
	var tenants []uint32
	var subs []int64
	var starts []time.Time
	var boots []string
	var kinds []int16
	for _, i := range dry {
		tenants, subs, boots = append(tenants, reqs[i].Tenant), append(subs, int64(reqs[i].Subscription)), append(boots, reqs[i].Boot)
		starts, kinds = append(starts, out[i].WindowStart), append(kinds, int16(reqs[i].Kind))
	}
	var found map[int]int // what of dry has units again, by its index
	err := retry(ctx, func() error {
		found = map[int]int{}
		for _, i := range dry {
			out[i].Recalling = false
		}
		b := &pgx.Batch{}
		b.Queue(setScope, string(everyTenant))
		b.Queue(settleLost, tenants, subs, starts, boots, kinds).Query(func(rows pgx.Rows) error {
			var ord int
			_, err := pgx.ForEachRow(rows, []any{&ord}, func() error { found[dry[ord-1]]++; return nil })
			return err
		})
		b.Queue(recallHeld, tenants, subs, starts, boots, kinds).Query(func(rows pgx.Rows) error {
			var ord, told int
			_, err := pgx.ForEachRow(rows, []any{&ord, &told}, func() error { out[dry[ord-1]].Recalling = true; return nil })
			return err
		})
		return p.pool.SendBatch(ctx, b).Close()
	})
	if err != nil || len(found) == 0 {
		return err
	}
	again := make([]int, 0, len(found))
	for _, i := range turn { // in the order of locks
		if found[i] > 0 {
			reqs[i].Return = 0 // that is back already
			again = append(again, i)
		}
	}
	return p.lease(ctx, n, reqs, again, out)
}

// askedDry is the windows that ran dry, in the order of locks.
const askedDry = `
	with asked as materialized (
		select * from unnest($1::integer[], $2::bigint[], $3::timestamptz[], $4::text[], $5::smallint[]) with ordinality
			as a(tenant_id, subscription_id, window_start, boot, kind, ord)
		order by tenant_id, subscription_id, kind, window_start)`

// settleLost takes back what lost nodes hold of windows. Once a start's journal is in, or
// given up, the units that no call in it drew are unused: how many it drew is what it drew
// of this window and, should the window have been another for a while, of later ones. A
// soft plan does not wait for the journal, but for as long as a live node may be silent.
const settleLost = askedDry + `,
	windows as materialized (
		select a.ord, w.tenant_id, w.subscription_id, w.kind, w.window_start from asked a
		join quota_window w using (tenant_id, subscription_id, kind, window_start)
		order by w.tenant_id, w.subscription_id, w.kind, w.window_start for no key update of w),
	lost as materialized (
		select w.ord, l.tenant_id, l.subscription_id, l.kind, l.window_start, l.boot, l.granted - l.returned - (
				select sum(u.used) from quota_lease u
				where (u.tenant_id, u.subscription_id, u.kind, u.boot) = (l.tenant_id, l.subscription_id, l.kind, l.boot) and u.window_start >= l.window_start
				having bool_and(u.used is not null)) as unused
		from windows w join quota_lease l using (tenant_id, subscription_id, kind, window_start)
		cross join lateral (
			select bool_and(p.soft_quota) as soft from subscription s join plan p using (tenant_id, plan_id)
			where (s.tenant_id, s.ledger_id) = (l.tenant_id, l.subscription_id) and s.ended_at is null) p
		left join usage_boot b on b.boot = case when l.boot ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then l.boot::uuid end
		where l.granted > l.returned and (
			b.state in ('closed', 'abandoned')
			or p.soft and l.kind = 0 and l.held > 0 and l.updated_at < now() - interval '` + liveFor + `' and not exists (
				select from node n where n.gateway_id = l.gateway_id and n.boot = l.boot and n.seen_at > now() - interval '` + liveFor + `'))
		order by l.tenant_id, l.subscription_id, l.kind, l.window_start, l.boot for no key update of l),
	leases as (
		update quota_lease l set returned = l.returned + o.unused, held = 0, recalled_at = null, settled_at = now()
		from lost o where o.unused > 0
			and (l.tenant_id, l.subscription_id, l.kind, l.window_start, l.boot) = (o.tenant_id, o.subscription_id, o.kind, o.window_start, o.boot)),
	back as (
		update quota_window w set granted = w.granted - o.unused
		from (select tenant_id, subscription_id, kind, window_start, sum(unused) as unused from lost where unused > 0 group by 1, 2, 3, 4) o
		where (w.tenant_id, w.subscription_id, w.kind, w.window_start) = (o.tenant_id, o.subscription_id, o.kind, o.window_start))
	select distinct ord from lost where unused > 0`

// liveBoot says that the node which holds lease l follows.
const liveBoot = `exists (select from node n where n.gateway_id = l.gateway_id and n.boot = l.boot and ` + liveNode + `)`

// recallHeld asks the live nodes that hold something of a window for it, and says for
// which windows there is somebody to wait for.
const recallHeld = askedDry + `,
	holders as materialized (
		select a.ord, l.tenant_id, l.subscription_id, l.kind, l.window_start, l.boot from asked a
		join quota_lease l using (tenant_id, subscription_id, kind, window_start)
		where l.boot <> a.boot and l.held > 0 and ` + liveBoot + `
		order by l.tenant_id, l.subscription_id, l.kind, l.window_start, l.boot for no key update of l),
	recalled as (
		update quota_lease l set recalled_at = now() from holders h
		where (l.tenant_id, l.subscription_id, l.kind, l.window_start, l.boot) = (h.tenant_id, h.subscription_id, h.kind, h.window_start, h.boot)
			and (l.recalled_at is null or l.recalled_at < now() - interval '1 second')
		returning l.gateway_id),
	told as materialized (
		select pg_notify('` + channelLimits + `', gateway_id::text) from (select distinct gateway_id from recalled) g)
	select distinct ord, (select count(*) from told) from holders`

// MaxRecalls are told to a node at a time; the next question brings the rest.
const maxRecalls = 1000

// Limits answers a node about the limits that its gateway's nodes keep together: at once
// with its shares of the throttles that it reports, or, with r.Wait, when it is to give
// back quota or the number of nodes is not what it believes.
func (p *Plane) Limits(ctx context.Context, n NodeIdentity, r model.LimitReport) (model.LimitAnswer, error) {
	if r.Boot == "" || len(r.Boot) > 64 {
		return model.LimitAnswer{}, model.Errorf(model.Invalid, "a node says its boot id, of at most 64 characters")
	}
	if len(r.Buckets) > model.MaxBuckets {
		return model.LimitAnswer{}, model.Errorf(model.Limit, "%d throttles at once are too many; at most %d are allowed", len(r.Buckets), model.MaxBuckets)
	}
	if r.Wait <= 0 {
		return p.shares(ctx, n, r)
	}
	var a model.LimitAnswer
	err := p.wake.until(ctx, channelLimits, n.Gateway, min(r.Wait, maxWait), 0, func() (bool, error) {
		var err error
		a, err = p.recalls(ctx, n, r.Boot)
		return len(a.Recalls) > 0 || a.Nodes != r.Nodes, err
	})
	return a, err
}

// nodesOf counts the live nodes of gateway $1; the one that asks is one.
const nodesOf = `(select greatest(count(*), 1) from node where gateway_id = $1 and ` + liveNode + `)`

// recalls is what the node is to give back, and how many nodes there are. Whoever still
// waits recalls again; a recall of a window that has ended meanwhile is never answered, and
// must not be asked for every few milliseconds until the node is started anew.
func (p *Plane) recalls(ctx context.Context, n NodeIdentity, boot string) (a model.LimitAnswer, err error) {
	err = p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		b.Queue(`select `+nodesOf, n.Gateway).QueryRow(func(r pgx.Row) error { return r.Scan(&a.Nodes) })
		b.Queue(`
			select tenant_id, subscription_id, kind, window_start from quota_lease
			where boot = $2 and gateway_id = $1 and recalled_at > now() - interval '10 seconds' limit $3`, n.Gateway, boot, maxRecalls).
			Query(func(rows pgx.Rows) (err error) {
				a.Recalls, err = pgx.CollectRows(rows, pgx.RowToStructByPos[model.Recall])
				return err
			})
		return tx.SendBatch(ctx, b).Close()
	})
	return a, err
}

// shares notes what a node's buckets are asked for and answers with its shares. What
// other nodes said counts for a few seconds.
func (p *Plane) shares(ctx context.Context, n NodeIdentity, r model.LimitReport) (a model.LimitAnswer, err error) {
	ids, demands := make([]int64, len(r.Buckets)), make([]float32, len(r.Buckets))
	order := make([]int, len(r.Buckets))
	for i, b := range r.Buckets {
		if !(b.Demand >= 0 && b.Demand <= 1e6) {
			return a, model.Errorf(model.Invalid, "a demand of %v is not between 0 and 1,000,000 times the limit", b.Demand)
		}
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(r.Buckets[a].ID, r.Buckets[b].ID) })
	for k, i := range order {
		ids[k], demands[k] = int64(r.Buckets[i].ID), r.Buckets[i].Demand
	}
	a.Shares = make([]float32, len(r.Buckets))
	err = p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		b.Queue(`
			insert into node_demand (gateway_id, boot, buckets, demands) values ($1, $2, $3, $4)
			on conflict (gateway_id, boot) do update set at = now(), buckets = excluded.buckets, demands = excluded.demands`,
			n.Gateway, r.Boot, ids, demands)
		b.Queue(`select `+nodesOf, n.Gateway).QueryRow(func(r pgx.Row) error { return r.Scan(&a.Nodes) })
		b.Queue(`
			with others as materialized (
				select x.bucket, sum(x.demand) as demand, count(*) as nodes
				from node_demand d, unnest(d.buckets, d.demands) x(bucket, demand)
				where d.gateway_id = $1 and d.boot <> $2 and d.at > now() - interval '5 seconds' and x.bucket = any($3)
				group by 1)
			select m.ord, coalesce(o.demand, 0)::float8, coalesce(o.nodes, 0)
			from unnest($3::bigint[]) with ordinality m(bucket, ord) left join others o using (bucket)`, n.Gateway, r.Boot, ids).
			Query(func(rows pgx.Rows) error {
				var ord, nodes int
				var others float64
				_, err := pgx.ForEachRow(rows, []any{&ord, &others, &nodes}, func() error {
					a.Shares[order[ord-1]] = float32(share(float64(demands[ord-1]), others, nodes+1, max(a.Nodes, nodes+1)))
					return nil
				})
				return err
			})
		return tx.SendBatch(ctx, b).Close()
	})
	return a, err
}

// unseen is the part of its even share that a node may be asked for without reporting it.
const unseen = 0.01

// share is a node's part of a limit, of which it is asked for own and the others of
// reporting nodes for others; demands are parts of the limit. Where the demand is less
// than the limit, each has what it is asked for, and the rest is divided evenly, so that
// there is room to grow; else each has a part of the limit as large as its part of the
// demand. What the nodes that do not report may use unseen is kept for them.
func share(own, others float64, reporting, nodes int) float64 {
	whole := 1 - unseen*float64(nodes-reporting)/float64(nodes)
	all := own + others
	if all < whole {
		return own + (whole-all)/float64(nodes)
	}
	return whole * own / all
}
