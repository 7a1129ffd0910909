package control

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// MaxLeaseRequests bounds one Leases.
const MaxLeaseRequests = 10_000

// Bounds of the instant a lease is for: a node's clock may be a little ahead, and
// calls of a window may be counted for a while after its end.
const (
	leaseAhead  = 5 * time.Minute
	leaseBehind = 24 * time.Hour
)

// Leases grants units of quota windows, in the order of the requests. What is
// granted of a window and not given back never exceeds its limit. A subscription
// that has ended, or is not served by the node's gateway, is granted nothing. One
// that continues another at a new price draws on the other's windows, so that the
// move gives nobody a fresh quota; what nodes held under the old one comes back.
func (p *Plane) Leases(ctx context.Context, n NodeIdentity, reqs []model.LeaseRequest) ([]model.Lease, error) {
	if len(reqs) > MaxLeaseRequests {
		return nil, model.Errorf(model.Limit, "%d lease requests at once are too many; at most %d are allowed", len(reqs), MaxLeaseRequests)
	}
	out := make([]model.Lease, len(reqs))
	var told, asked []int
	for i := range reqs {
		if reqs[i].From != "" {
			told = append(told, i)
		} else {
			asked = append(asked, i)
		}
	}
	for _, turn := range leaseTurns(reqs, told) { // first: units may be given back that a node says to have gone on with
		if err := p.goOn(ctx, n, reqs, turn); err != nil {
			return nil, err
		}
	}
	for _, turn := range leaseTurns(reqs, asked) {
		if err := p.lease(ctx, n, reqs, turn, out); err != nil {
			return nil, err
		}
		if err := p.leaseAgain(ctx, n, reqs, turn, out); err != nil {
			return nil, err
		}
		if err := p.leaseDry(ctx, n, reqs, turn, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// leaseAgain asks once more for what was refused because a wallet's money had just been
// promised to another subscription.
func (p *Plane) leaseAgain(ctx context.Context, n NodeIdentity, reqs []model.LeaseRequest, turn []int, out []model.Lease) error {
	var again []int
	for _, i := range turn {
		if r, l := &reqs[i], &out[i]; r.Kind == model.LedgerSpend && r.Want > 0 && l.Granted == 0 && !l.Unlimited && !l.WindowStart.IsZero() {
			r.Return = 0 // that is back already
			again = append(again, i)
		}
	}
	if len(again) == 0 {
		return nil
	}
	return p.lease(ctx, n, reqs, again, out)
}

// leaseTurns puts some of the requests into lists of which each names a subscription
// once, because a statement can change a row only once. There is one list unless
// a node asks twice for the same thing.
func leaseTurns(reqs []model.LeaseRequest, which []int) [][]int {
	type of struct {
		tenant       uint32
		subscription uint64
		kind         uint8
	}
	var turns [][]int
	times := make(map[of]int, len(reqs))
	for _, i := range which {
		key := of{reqs[i].Tenant, reqs[i].Subscription, reqs[i].Kind}
		t := times[key]
		times[key]++
		if t == len(turns) {
			turns = append(turns, nil)
		}
		turns[t] = append(turns[t], i)
	}
	// Every transaction takes its locks in one order.
	for _, turn := range turns {
		slices.SortFunc(turn, func(a, b int) int {
			return cmp.Or(cmp.Compare(reqs[a].Tenant, reqs[b].Tenant), cmp.Compare(reqs[a].Subscription, reqs[b].Subscription), cmp.Compare(reqs[a].Kind, reqs[b].Kind))
		})
	}
	return turns
}

// askedFor is the requests that may be answered, each with its quota and window:
// model.Quota.Window in SQL. A month's money has the calendar month; without a window
// there is no limit.
const askedFor = `
	with asked as (
		select r.ord, r.tenant_id, r.subscription_id, r.kind, r.boot, greatest(r.want, 0) as want, greatest(r.back, 0) as back, r.back_of, greatest(r.held, 0) as held,
			p.quota_limit, p.quota_period, case r.kind when 0 then q.start at time zone 'UTC' when 1 then m.start at time zone 'UTC' end as window_start,
			case when r.kind = 1 then (m.start + interval '1 month') at time zone 'UTC' else (q.start + case p.quota_period
				when 'DAY' then interval '1 day' when 'WEEK' then interval '7 days' else
				-- the month's length is that of the month before the offset
				((q.start - q.shift) + interval '1 month') - (q.start - q.shift) end) at time zone 'UTC' end as window_end
		from unnest($2::bigint[], $3::integer[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[], $8::timestamptz[], $9::bigint[], $10::smallint[], $11::timestamptz[])
			as r(ord, tenant_id, subscription_id, boot, want, back, at, held, kind, back_of)
		join subscription s on (s.tenant_id, s.ledger_id) = (r.tenant_id, r.subscription_id)
		join plan p on (p.tenant_id, p.plan_id) = (s.tenant_id, s.plan_id)
		join tenant t on t.tenant_id = s.tenant_id
		left join lateral (select i.shift, i.shift + case p.quota_period
				when 'DAY' then date_trunc('day', i.moved)
				when 'WEEK' then date_trunc('week', i.moved + interval '1 day') - interval '1 day'
				else date_trunc('month', i.moved) end as start
			from (select make_interval(days => p.quota_offset) as shift,
				r.at at time zone 'UTC' - make_interval(days => p.quota_offset) as moved) i) q on p.quota_limit is not null
		left join lateral (select date_trunc('month', r.at at time zone 'UTC') as start where ` + moneyBound + `) m on r.kind = 1
		where s.ended_at is null and t.gateway_id = $1)`

// Rows first exist, then are locked: what the second statement reads under the
// lock is the latest. The lock is the kind that foreign keys do not wait for, or
// two leases of one window would wait for each other.
const leaseRows = askedFor + `,
	windows as (
		insert into quota_window (tenant_id, subscription_id, kind, window_start)
		select tenant_id, subscription_id, kind, window_start from asked where window_start is not null
		order by tenant_id, subscription_id, kind
		on conflict do nothing)
	insert into quota_lease (tenant_id, subscription_id, kind, window_start, boot, gateway_id)
	select tenant_id, subscription_id, kind, window_start, boot, $1 from asked where window_start is not null
	order by tenant_id, subscription_id, kind
	on conflict do nothing`

// A node gives back at most what its boot holds of the window that it says, before it is
// granted anew, and nothing of what was taken for lost: that came back already. It gets at
// most its share of half of what is left, so that none hoards; the last units go one by one.
const leaseGrant = askedFor + `,
	nodes as materialized (select greatest(count(*), 1) as live from node where gateway_id = $1 and ` + liveNode + `),
	locked as (
		select a.*, w.granted, case a.kind when 0 then a.quota_limit + w.extension else coalesce(w.most, 0) end as limit_, case when l.settled_at is null and (a.back_of is null or a.back_of = a.window_start) then least(a.back, l.granted - l.returned) else 0 end as comes_back, l.granted - l.returned as out
		from asked a
		join quota_window w using (tenant_id, subscription_id, kind, window_start)
		join quota_lease l using (tenant_id, subscription_id, kind, window_start, boot)
		order by tenant_id, subscription_id, kind
		for no key update of w, l),
	computed as (
		select locked.*, left_, greatest(0, least(case when want > 0 then greatest(want, left_ / 1000) else 0 end, greatest(1, left_ / (2 * live)), left_)) as grant_
		from locked, nodes, lateral (select limit_ - (granted - comes_back) as left_) x),
	windows as (
		update quota_window w set granted = c.granted - c.comes_back + c.grant_ from computed c
		where (w.tenant_id, w.subscription_id, w.kind, w.window_start) = (c.tenant_id, c.subscription_id, c.kind, c.window_start)),
	leases as (
		update quota_lease l set granted = l.granted + c.grant_, returned = l.returned + c.comes_back, updated_at = now(),
			held = least(c.held, c.out - c.comes_back) + c.grant_, recalled_at = null
		from computed c
		where (l.tenant_id, l.subscription_id, l.kind, l.window_start, l.boot) = (c.tenant_id, c.subscription_id, c.kind, c.window_start, c.boot))
	select a.ord, coalesce(c.grant_, 0), a.window_start, a.window_end, a.window_start is null, coalesce(c.limit_, 0),
		coalesce(greatest(c.left_, 0) - c.grant_ + (select coalesce(sum(o.held), 0)::bigint from quota_lease o
			where (o.tenant_id, o.subscription_id, o.kind, o.window_start) = (c.tenant_id, c.subscription_id, c.kind, c.window_start) and o.boot <> c.boot), 0)
	from asked a left join computed c using (ord)`

// lease answers one turn in one round trip: a pipelined batch is one transaction.
func (p *Plane) lease(ctx context.Context, n NodeIdentity, reqs []model.LeaseRequest, turn []int, out []model.Lease) error {
	var ord, subs, want, back, held []int64
	var tenants []uint32
	var boots []string
	var at []time.Time
	var of []*time.Time
	var kinds []int16
	var money []model.SpendWindow
	now := p.now()
	for _, i := range turn {
		r := &reqs[i]
		foreign := n.Tenant != 0 && r.Tenant != n.Tenant
		wrong := r.Boot == "" || len(r.Boot) > 64 || r.Subscription > 1<<62 || r.Tenant > 1<<31-1 || r.Kind > model.LedgerSpend
		early, late := r.At.After(now.Add(leaseAhead)), r.At.Before(now.Add(-leaseBehind))
		if foreign || wrong || early || late {
			continue
		}
		ord, subs, tenants = append(ord, int64(i)), append(subs, int64(r.Subscription)), append(tenants, r.Tenant)
		want, back, boots, at = append(want, r.Want), append(back, r.Return), append(boots, r.Boot), append(at, r.At)
		held, kinds, of = append(held, r.Held), append(kinds, int16(r.Kind)), append(of, nil)
		if !r.ReturnOf.IsZero() {
			of[len(of)-1] = &r.ReturnOf
		}
		if r.Kind == model.LedgerSpend && r.Want > 0 {
			money = append(money, model.SpendWindow{Tenant: r.Tenant, Ledger: r.Subscription, At: r.At})
		}
	}
	if len(ord) == 0 {
		return nil
	}
	if len(money) > 0 && p.afford != nil {
		if err := p.afford(ctx, money); err != nil {
			return err
		}
	}
	args := []any{n.Gateway, ord, tenants, subs, boots, want, back, at, held, kinds, of}
	return retry(ctx, func() error {
		b := &pgx.Batch{}
		b.Queue(setScope, string(everyTenant))
		b.Queue(leaseRows, args...)
		b.Queue(leaseGrant, args...).Query(func(rows pgx.Rows) error {
			var i int
			var granted, limit, elsewhere int64
			var start, end *time.Time
			var unlimited bool
			_, err := pgx.ForEachRow(rows, []any{&i, &granted, &start, &end, &unlimited, &limit, &elsewhere}, func() error {
				out[i] = model.Lease{Granted: granted, Unlimited: unlimited, Limit: limit, Elsewhere: elsewhere}
				if start != nil {
					out[i].WindowStart, out[i].WindowEnd = start.UTC(), end.UTC()
				}
				return nil
			})
			return err
		})
		return p.pool.SendBatch(ctx, b).Close()
	})
}

// takenOver moves units of a lease of a node's start to the start after it, once. What
// the first has not any more, because it was given up or taken for lost, is granted beyond
// what there is: calls may have drawn it already.
const takenOver = `
	with asked as materialized (
		select * from unnest($2::integer[], $3::bigint[], $4::smallint[], $5::timestamptz[], $6::text[], $7::text[], $8::bigint[])
			as a(tenant_id, subscription_id, kind, window_start, boot, was, n)),
	windows as materialized (
		select a.* from asked a join quota_window w using (tenant_id, subscription_id, kind, window_start)
		order by tenant_id, subscription_id, kind, window_start for no key update of w),
	source as materialized (
		select a.tenant_id, a.subscription_id, a.kind, a.window_start, a.boot, a.was, least(a.n, l.granted) as n,
			case when l.settled_at is null then least(a.n, l.granted - l.returned) else 0 end as moves
		from windows a join quota_lease l on (l.tenant_id, l.subscription_id, l.kind, l.window_start, l.boot) = (a.tenant_id, a.subscription_id, a.kind, a.window_start, a.was)
		where l.gateway_id = $1 and a.boot <> a.was
		order by a.tenant_id, a.subscription_id, a.kind, a.window_start for no key update of l),
	heirs as (
		insert into quota_lease as l (tenant_id, subscription_id, kind, window_start, boot, gateway_id, granted, held, taken)
		select tenant_id, subscription_id, kind, window_start, boot, $1, n, n, n from source
		order by tenant_id, subscription_id, kind, window_start
		on conflict (tenant_id, subscription_id, kind, window_start, boot) do update
			set granted = l.granted + excluded.granted, held = l.held + excluded.held, taken = excluded.taken, updated_at = now()
			where l.taken = 0 and l.gateway_id = $1
		returning tenant_id, subscription_id, kind, window_start),
	moved as (
		update quota_lease l set returned = l.returned + s.moves, held = greatest(l.held - s.moves, 0)
		from source s join heirs using (tenant_id, subscription_id, kind, window_start)
		where (l.tenant_id, l.subscription_id, l.kind, l.window_start, l.boot) = (s.tenant_id, s.subscription_id, s.kind, s.window_start, s.was))
	update quota_window w set granted = w.granted + s.n - s.moves
	from source s join heirs using (tenant_id, subscription_id, kind, window_start)
	where s.n > s.moves and (w.tenant_id, w.subscription_id, w.kind, w.window_start) = (s.tenant_id, s.subscription_id, s.kind, s.window_start)`

// goOn notes that starts of the node went on with units of those before them. It is told
// before the journal of either is in.
func (p *Plane) goOn(ctx context.Context, n NodeIdentity, reqs []model.LeaseRequest, turn []int) error {
	var tenants []uint32
	var subs, taken []int64
	var kinds []int16
	var starts []time.Time
	var boots, from []string
	for _, i := range turn {
		r := &reqs[i]
		foreign := n.Tenant != 0 && r.Tenant != n.Tenant
		wrong := r.Boot == "" || len(r.Boot) > 64 || len(r.From) > 64 || r.Subscription > 1<<62 || r.Tenant > 1<<31-1 || r.Kind > model.LedgerSpend || r.Taken <= 0
		if foreign || wrong {
			continue
		}
		tenants, subs, kinds, taken = append(tenants, r.Tenant), append(subs, int64(r.Subscription)), append(kinds, int16(r.Kind)), append(taken, r.Taken)
		starts, boots, from = append(starts, r.At), append(boots, r.Boot), append(from, r.From)
	}
	if len(tenants) == 0 {
		return nil
	}
	return retry(ctx, func() error {
		b := &pgx.Batch{}
		b.Queue(setScope, string(everyTenant))
		b.Queue(takenOver, n.Gateway, tenants, subs, kinds, starts, boots, from, taken)
		return p.pool.SendBatch(ctx, b).Close()
	})
}

// QuotaExtension is what was added to the running window of a key's quota in a plan.
func (p *Plane) QuotaExtension(ctx context.Context, actor Actor, planID, keyID string) (extension int64, err error) {
	err = p.readAs(ctx, actor, func(tx pgx.Tx) error {
		subscription, start, err := p.runningWindow(ctx, tx, actor.Tenant, planID, keyID)
		if err != nil {
			return err
		}
		err = tx.QueryRow(ctx, `
			select extension from quota_window where tenant_id = $1 and subscription_id = $2 and kind = 0 and window_start = $3`,
			actor.Tenant, subscription, start).Scan(&extension)
		if err == pgx.ErrNoRows {
			return nil
		}
		return err
	})
	return extension, err
}

// ExtendQuota sets how many units the running window of a key's quota in a plan has
// beyond the plan's limit; a negative number takes some away. Nodes keep what they
// hold already. The next window has the plan's limit again.
func (p *Plane) ExtendQuota(ctx context.Context, actor Actor, planID, keyID string, extension int64) error {
	if extension < -1e15 || extension > 1e15 {
		return model.Errorf(model.Invalid, "a quota cannot be extended by %d calls", extension)
	}
	_, err := p.writeAs(ctx, actor, ToSell, func(w *write) error {
		subscription, start, err := p.runningWindow(ctx, w, w.tenant, planID, keyID)
		if err != nil {
			return err
		}
		if _, err := w.Exec(ctx, `
			insert into quota_window (tenant_id, subscription_id, window_start, extension) values ($1, $2, $3, $4)
			on conflict (tenant_id, subscription_id, kind, window_start) do update set extension = excluded.extension`,
			w.tenant, subscription, start, extension); err != nil {
			return err
		}
		return w.audit(ctx, "key.extend", keyID, map[string]any{"plan": planID, "extension": extension, "window": start})
	})
	return err
}

// runningWindow is the ledger of a key's running subscription to a plan, and when
// its present window began.
func (p *Plane) runningWindow(ctx context.Context, tx pgx.Tx, tenant uint32, planID, keyID string) (subscription uint64, start time.Time, err error) {
	var limit *int64
	var period *string
	var offset *int
	err = tx.QueryRow(ctx, `
		select s.ledger_id, p.quota_limit, p.quota_period, p.quota_offset
		from api_key k join subscription_key sk using (tenant_id, key_num) join subscription s using (tenant_id, subscription_id) join plan p using (tenant_id, plan_id)
		where k.tenant_id = $1 and k.key_id = $3 and p.plan_id = $2 and s.ended_at is null and k.deleted_at is null`, tenant, planID, keyID).
		Scan(&subscription, &limit, &period, &offset)
	if err != nil {
		return 0, start, missing(err, "key %q is not subscribed to plan %q", keyID, planID)
	}
	q := quotaOf(limit, period, offset)
	if q == nil {
		return 0, start, model.Errorf(model.Invalid, "plan %s has no quota", planID)
	}
	start, _ = q.Window(p.now())
	return subscription, start, nil
}
