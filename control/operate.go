package control

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// TenantDetail is an account as the operator sees it: figures of what it has,
// never what is in it. Definitions, documents, keys and people's secrets are the
// tenant's own.
type TenantDetail struct {
	Tenant
	Members       int64  `json:"members"`
	APIs          int64  `json:"apis"`
	Stages        int64  `json:"stages"` // served
	Plans         int64  `json:"plans"`
	Keys          int64  `json:"keys"`
	EnabledKeys   int64  `json:"enabledKeys"`
	Developers    int64  `json:"developers"`
	CallsToday    int64  `json:"callsToday"` // since midnight UTC
	CallsMonth    int64  `json:"callsMonth"` // since the first of the month UTC
	BillableMonth int64  `json:"billableMonth"`
	Portal        string `json:"portal,omitempty"` // slug; empty: none, or not published
	// Gateways are where it may be served, with its present one.
	Gateways []GatewayChoice `json:"gateways"`
}

// GatewayChoice is a gateway that may serve a tenant.
type GatewayChoice struct {
	Name  string `json:"name"`
	Kind  string `json:"kind"`
	Nodes int64  `json:"nodes"` // live now
}

// used is what tenant t's calls were counted as since $2, the begin of a day at
// most a month ago: lines just handed in, and sums of days.
const used = `(
		select hour, flags, calls::numeric from usage_line where tenant_id = t.tenant_id and hour >= $2
		union all
		select day, flags, calls from usage_day where tenant_id = t.tenant_id and day >= $2) used`

// bounded keeps an absurd sum from hiding the rest.
func bounded(sum string) string {
	return `least(coalesce(` + sum + `, 0), 9223372036854775807)::bigint`
}

// TenantDetail is one account with its figures, in one round trip.
func (p *Plane) TenantDetail(ctx context.Context, operator Actor, accountID string) (TenantDetail, error) {
	if err := operator.May(ToOperate); err != nil {
		return TenantDetail{}, err
	}
	today := p.now().UTC().Truncate(24 * time.Hour)
	month := today.AddDate(0, 0, 1-today.Day())
	var d TenantDetail
	t := &d.Tenant
	err := p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			select `+tenantColumns+`,
				(select count(*) from member m where m.tenant_id = t.tenant_id),
				(select count(*) from api a where a.tenant_id = t.tenant_id and a.deleted_at is null),
				(select count(*) from stage s where s.tenant_id = t.tenant_id and s.deleted_at is null),
				(select count(*) from plan p where p.tenant_id = t.tenant_id and p.deleted_at is null),
				(select count(*) from api_key k where k.tenant_id = t.tenant_id and k.deleted_at is null),
				(select count(*) from api_key k where k.tenant_id = t.tenant_id and k.deleted_at is null and k.enabled),
				(select count(*) from developer d where d.tenant_id = t.tenant_id),
				u.today, u.month, u.billable,
				coalesce((select o.slug from portal o where o.tenant_id = t.tenant_id and o.published), ''),
				(select jsonb_agg(jsonb_build_object('name', c.name, 'kind', c.kind,
						'nodes', (select count(*) from node n where n.gateway_id = c.gateway_id and `+liveNode+`)) order by c.name)
					from gateway c where c.tenant_id is null or c.tenant_id = t.tenant_id)
			from tenant t join gateway g using (gateway_id), lateral (
				select `+bounded(`sum(calls) filter (where hour >= $3)`)+` as today, `+bounded(`sum(calls)`)+` as month,
					`+bounded(`sum(calls) filter (where flags & 1 = 1)`)+` as billable
				from `+used+`) u
			where t.account_id = $1`, accountID, month, today).
			Scan(&t.Num, &t.AccountID, &t.Name, &t.Email, &t.Gateway, &t.Suspended, &t.SuspendedAt, &t.SuspendedReason, &t.Caps, &t.CreatedAt,
				&d.Members, &d.APIs, &d.Stages, &d.Plans, &d.Keys, &d.EnabledKeys, &d.Developers,
				&d.CallsToday, &d.CallsMonth, &d.BillableMonth, &d.Portal, &d.Gateways)
		return missing(err, "there is no account %s", accountID)
	})
	if err != nil {
		return TenantDetail{}, err
	}
	return d, nil
}

// DataPlane is what the gateways' nodes say and have handed in.
type DataPlane struct {
	Revision uint64 // the newest
	Gateways []GatewayNodes
	// Journals are those that are not closed: of running nodes, and what nodes that
	// went away left open.
	Journals []Journal
	// Quarantined are the newest batches that can never be taken.
	Quarantined      []QuarantinedBatch
	QuarantinedCount int64
	Quotas           QuotaBalance
}

// GatewayNodes is a gateway with its nodes.
type GatewayNodes struct {
	Gateway
	Tenants int64
	Nodes   []Node
	Tokens  []NodeToken
}

// NodeState is how a node was last seen.
type NodeState string

// The states of a node.
const (
	NodeLive     NodeState = "live"     // it follows
	NodeDraining NodeState = "draining" // it is going
	NodeSilent   NodeState = "silent"   // its connection stands, but it says nothing
	NodeGone     NodeState = "gone"     // its connection ended
)

// Node is one gateway node. It goes on serving what it has in every state.
type Node struct {
	Name     string
	Boot     string
	State    NodeState
	Applied  uint64 // revision in effect
	SeenAt   time.Time
	Behind   *time.Time // of the oldest change it has not applied; nil: it has all
	Failures []NodeFailure
}

// NodeFailure is a stage that a node could not bring up to date.
type NodeFailure struct {
	AccountID string `json:"accountId"`
	Reason    string `json:"reason"`
}

// NodeToken says that tokens exist, never what they are.
type NodeToken struct {
	Node      string
	Count     int64
	CreatedAt time.Time // the newest
}

// Journal is one start of a node, as far as its usage has come in.
type Journal struct {
	Boot      string
	Gateway   string
	Node      string     // that runs with it; empty: none that is known
	Running   bool       // that node's connection stands
	Watermark *time.Time // every call before it is in; nil: nothing came yet
	StartedAt time.Time
	SeenAt    time.Time
	Batches   int64
	Calls     int64
	Gaps      int64 // batches that wait for an earlier one
	GivenUp   bool  // nobody waits for the rest of it
}

// Late reports that calls of the hour before are still to come. A node without
// calls proves an hour's end only when the next one has begun.
func (j *Journal) Late(now time.Time) bool {
	hour := now.UTC().Truncate(time.Hour)
	if now.Sub(hour) < 2*time.Minute {
		hour = hour.Add(-time.Hour)
	}
	return j.Watermark == nil || j.Watermark.Before(hour)
}

// QuarantinedBatch is a batch that was set aside: it is not billed.
type QuarantinedBatch struct {
	Gateway    string
	Boot       string
	Seq        int64
	Reason     string
	Bytes      int64
	ReceivedAt time.Time
}

// mostQuarantined is how many batches set aside are listed.
const mostQuarantined = 20

// DataPlane is every gateway with its nodes, and the usage they have handed in,
// in one round trip.
func (p *Plane) DataPlane(ctx context.Context, operator Actor) (DataPlane, error) {
	if err := operator.May(ToOperate); err != nil {
		return DataPlane{}, err
	}
	var d DataPlane
	o := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := p.in(ctx, everyTenant, o, func(tx pgx.Tx) error {
		d = DataPlane{}
		at := map[string]*GatewayNodes{}
		b := &pgx.Batch{}
		b.Queue(`select rev from feed_head`).QueryRow(func(r pgx.Row) error { return r.Scan(&d.Revision) })
		b.Queue(`
			select ` + gatewayColumns + `, (select count(*) from tenant o where o.gateway_id = g.gateway_id)
			from gateway g left join tenant t on t.tenant_id = g.tenant_id order by g.name`).Query(func(rows pgx.Rows) error {
			var err error
			d.Gateways, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (g GatewayNodes, err error) {
				err = r.Scan(append(g.fields(), &g.Tenants)...)
				return g, err
			})
			for i := range d.Gateways {
				at[d.Gateways[i].Name] = &d.Gateways[i]
			}
			return err
		})
		b.Queue(`
			select g.name, n.name, n.boot, n.applied_rev, n.seen_at,
				case when not n.connected then 'gone' when n.seen_at < now() - interval '` + liveFor + `' then 'silent'
					when n.draining then 'draining' else 'live' end,
				coalesce((select c.at from feed_change c where c.gateway_id = n.gateway_id and c.rev > n.applied_rev order by c.rev limit 1),
					case when n.applied_rev < (select pruned from feed_head) then n.seen_at end),
				coalesce((select jsonb_agg(jsonb_build_object('accountId', coalesce(t.account_id, ''), 'reason', f->>'reason'))
					from jsonb_array_elements(n.failures) f left join tenant t on t.tenant_id::bigint = (f->>'tenant')::bigint), '[]')
			from node n join gateway g using (gateway_id) order by n.name`).Query(func(rows pgx.Rows) error {
			var gateway string
			var n Node
			_, err := pgx.ForEachRow(rows, []any{&gateway, &n.Name, &n.Boot, &n.Applied, &n.SeenAt, &n.State, &n.Behind, &n.Failures}, func() error {
				at[gateway].Nodes = append(at[gateway].Nodes, n)
				n = Node{} // pointers and slices must not be shared
				return nil
			})
			return err
		})
		b.Queue(`
			select g.name, k.node, count(*), max(k.created_at) from node_token k join gateway g using (gateway_id)
			group by g.name, k.node order by k.node`).Query(func(rows pgx.Rows) error {
			var gateway string
			var k NodeToken
			_, err := pgx.ForEachRow(rows, []any{&gateway, &k.Node, &k.Count, &k.CreatedAt}, func() error {
				at[gateway].Tokens = append(at[gateway].Tokens, k)
				return nil
			})
			return err
		})
		b.Queue(`
			select u.boot::text, g.name, coalesce(n.name, ''), coalesce(n.connected and n.seen_at > now() - interval '` + liveFor + `', false),
				u.watermark, u.started_at, u.seen_at, u.batches, u.calls,
				(select count(*) from usage_batch b where b.boot = u.boot and b.seq > u.contiguous_seq),
				u.state = 'abandoned'
			from usage_boot u join gateway g using (gateway_id)
			left join node n on n.gateway_id = u.gateway_id and n.boot = u.boot::text
			where u.state = 'live' or u.state = 'abandoned' and u.seen_at > now() - interval '90 days'
			order by u.state desc, u.watermark nulls first, u.boot`).Query(func(rows pgx.Rows) error {
			var err error
			d.Journals, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Journal])
			return err
		})
		b.Queue(`
			select g.name, coalesce(q.boot::text, ''), coalesce(q.seq, 0), q.reason, octet_length(q.encoded)::bigint, q.received_at
			from usage_quarantine q join gateway g using (gateway_id) order by q.received_at desc, q.hash limit $1`, mostQuarantined).
			Query(func(rows pgx.Rows) error {
				var err error
				d.Quarantined, err = pgx.CollectRows(rows, pgx.RowToStructByPos[QuarantinedBatch])
				return err
			})
		b.Queue(quotaBalance).QueryRow(d.Quotas.scan)
		b.Queue(`select count(*) from usage_quarantine`).QueryRow(func(r pgx.Row) error { return r.Scan(&d.QuarantinedCount) })
		return tx.SendBatch(ctx, b).Close()
	})
	if err != nil {
		return DataPlane{}, err
	}
	return d, nil
}

// GiveUpJournal lets invoices be made without the usage that a start of a node
// has not handed in: its disk is gone, say. Should it come after all, it is taken
// and billed as a difference.
func (p *Plane) GiveUpJournal(ctx context.Context, operator Actor, boot string) error {
	if err := operator.May(ToOperate); err != nil {
		return err
	}
	return p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		var state, gateway string
		var calls int64
		var running bool
		err := tx.QueryRow(ctx, `
			select u.state, g.name, u.calls,
				exists (select from node n where n.gateway_id = u.gateway_id and n.boot = u.boot::text and n.connected and n.seen_at > now() - interval '`+liveFor+`')
			from usage_boot u join gateway g using (gateway_id) where u.boot::text = $1 for update of u`, boot).Scan(&state, &gateway, &calls, &running)
		switch {
		case err != nil:
			return missing(err, "there is no journal %.40q", boot)
		case state == "closed":
			return model.Errorf(model.Conflict, "all of journal %s has come in; there is nothing to give up", boot)
		case state == "abandoned":
			return nil
		case running:
			return model.Errorf(model.Conflict, "the node of journal %s runs and hands in what it has; stop it first", boot)
		}
		if _, err := tx.Exec(ctx, `update usage_boot set state = 'abandoned' where boot::text = $1`, boot); err != nil {
			return err
		}
		return audit(ctx, tx, operator, nil, "journal.give-up", boot, map[string]any{"gateway": gateway, "calls": calls})
	})
}

// OperatorOverview is the operator's first page: the installation in figures, and what
// needs a look.
type OperatorOverview struct {
	Installation
	Tenants, Suspended, NewTenants int64 // new: in the last 7 days
	// Calls since midnight UTC, on the whole day before, and whose today's are.
	CallsToday, CallsYesterday int64
	Busiest                    []TenantCalls
	Nodes, LiveNodes           int64
	BehindNodes                int64      // live, and more than 10 s behind a change
	FailingNodes               int64      // with a stage that could not be brought up to date
	OpenJournals               int64      // left by nodes that are not running
	Quarantined                int64      // batches
	MailsWaiting, MailsFailing int64      // failing: tried at least once
	Drafts                     int64      // invoices to tenants
	Finals                     int64      // of those made final since the first of the month
	PricesFrom                 *time.Time // first month of the newest price sheet for tenants; nil: there is none
	MailSet                    bool       // an SMTP server is set
}

// TenantCalls is a tenant with calls of the day.
type TenantCalls struct {
	AccountID string `json:"accountId"`
	Name      string `json:"name"`
	Calls     int64  `json:"calls"`
}

// OperatorOverview is the installation in figures, in one round trip.
func (p *Plane) OperatorOverview(ctx context.Context, operator Actor) (OperatorOverview, error) {
	if err := operator.May(ToOperate); err != nil {
		return OperatorOverview{}, err
	}
	today := p.now().UTC().Truncate(24 * time.Hour)
	month := today.AddDate(0, 0, 1-today.Day())
	var o OperatorOverview
	in := &o.Installation
	err := p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			with used as (
				select tenant_id, hour, calls::numeric from usage_line where hour >= $1::timestamptz - interval '1 day'
				union all
				select tenant_id, day, calls from usage_day where day >= $1::timestamptz - interval '1 day'),
			today as (select tenant_id, sum(calls) as calls from used where hour >= $1 and tenant_id <> 0 group by 1),
			live as (select n.*, (select min(c.at) from feed_change c where c.gateway_id = n.gateway_id and c.rev > n.applied_rev) as behind
				from node n where `+liveNode+`)
			select i.sign_up, i.seller, i.updated_at, coalesce(i.smtp->>'host', '') <> '',
				(select count(*) from tenant), (select count(*) from tenant where suspended),
				(select count(*) from tenant where created_at > now() - interval '7 days'),
				(select `+bounded(`sum(calls)`)+` from used where hour >= $1),
				(select `+bounded(`sum(calls)`)+` from used where hour < $1),
				coalesce((select jsonb_agg(jsonb_build_object('accountId', account_id, 'name', name, 'calls', calls) order by calls desc, name) from (
					select t.account_id, t.name, least(d.calls, 9223372036854775807)::bigint as calls
					from today d join tenant t using (tenant_id) order by d.calls desc, t.name limit 5) top), '[]'),
				(select count(*) from node where not draining or connected), (select count(*) from live),
				(select count(*) from live where behind < now() - interval '10 seconds'),
				(select count(*) from live where failures <> '[]'),
				(select count(*) from usage_boot u where u.state = 'live' and not exists (
					select from node n where n.boot = u.boot::text and n.connected)),
				(select count(*) from usage_quarantine),
				(select count(*) from mail where sent_at is null and attempts = 0),
				(select count(*) from mail where sent_at is null and attempts > 0),
				(select count(*) from invoice where seller = 'operator' and state = 'draft'),
				(select count(*) from invoice where seller = 'operator' and state = 'final' and finalized_at >= $2),
				(select max(from_month) from price_sheet where tenant_id is null)
			from installation i`, today, month).
			Scan(&in.SignUp, &in.Seller, &in.UpdatedAt, &o.MailSet, &o.Tenants, &o.Suspended, &o.NewTenants,
				&o.CallsToday, &o.CallsYesterday, &o.Busiest, &o.Nodes, &o.LiveNodes, &o.BehindNodes, &o.FailingNodes, &o.OpenJournals,
				&o.Quarantined, &o.MailsWaiting, &o.MailsFailing, &o.Drafts, &o.Finals, &o.PricesFrom)
	})
	if err != nil {
		return OperatorOverview{}, err
	}
	return o, nil
}
