package control

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// LinkHealth is how the nodes of the account's gateway find the addresses behind its VPC
// links.
type LinkHealth struct {
	Nodes   int // that are live, whether they said anything or not
	Targets []TargetHealth
}

// TargetHealth is how live nodes find one address. Those that have not looked at it yet
// are in neither number.
type TargetHealth struct {
	Link, Target string
	Up, Down     int       // nodes that reach it, and that do not
	UpSince      time.Time // zero: no node reaches it
	DownSince    time.Time // when the first of those that do not noticed; zero: all do
	Reason       string    // why those do not
	Before       string    // why nodes that reach it left it out before; "": they never did
}

// Of returns what is known of an address of a link.
func (h *LinkHealth) Of(link, target string) TargetHealth {
	for i := range h.Targets {
		if t := &h.Targets[i]; t.Link == link && t.Target == target {
			return *t
		}
	}
	return TargetHealth{Link: link, Target: target}
}

// VPCLinkHealth is that of one of the account's links, or with an empty id of all.
func (p *Plane) VPCLinkHealth(ctx context.Context, actor Actor, id string) (out LinkHealth, err error) {
	err = p.readAs(ctx, actor, func(tx pgx.Tx) error {
		out = LinkHealth{}
		if id != "" {
			if _, err := readLink(ctx, tx, actor.Tenant, id); err != nil {
				return err
			}
		}
		err := tx.QueryRow(ctx, `
			select count(*) from node n join tenant t using (gateway_id) where t.tenant_id = $1 and `+liveNode, actor.Tenant).Scan(&out.Nodes)
		if err != nil {
			return err
		}
		// Up since the last of them has it back, or, if none ever missed it, since the first
		// looked: a node that starts does not make it younger.
		rows, err := tx.Query(ctx, `
			select s.link_id, s.target, count(*) filter (where s.up), count(*) filter (where not s.up),
				coalesce(max(s.since) filter (where s.up and s.reason <> ''), min(s.since) filter (where s.up)), min(s.since) filter (where not s.up),
				coalesce((array_agg(s.reason order by s.since) filter (where not s.up))[1], ''),
				coalesce((array_agg(s.reason order by s.since desc) filter (where s.up and s.reason <> ''))[1], '')
			from link_target s
				join tenant t using (tenant_id, gateway_id)
				join vpc_link l on (l.tenant_id, l.link_id) = (s.tenant_id, s.link_id) and s.target = any(l.target_arns)
				join node n on (n.gateway_id, n.name, n.boot) = (s.gateway_id, s.node, s.boot) and `+liveNode+`
			where s.tenant_id = $1 and $2 in ('', s.link_id)
			group by s.link_id, s.target order by s.link_id, s.target`, actor.Tenant, id)
		if err != nil {
			return err
		}
		var h TargetHealth
		var up, down *time.Time
		_, err = pgx.ForEachRow(rows, []any{&h.Link, &h.Target, &h.Up, &h.Down, &up, &down, &h.Reason, &h.Before}, func() error {
			if up != nil {
				h.UpSince = *up
			}
			if down != nil {
				h.DownSince = *down
			}
			out.Targets = append(out.Targets, h)
			h.UpSince, h.DownSince = time.Time{}, time.Time{}
			return nil
		})
		return err
	})
	return out, err
}

// tookTargets keeps what a node says of addresses of its gateway's accounts; of others, and
// of what is no address of a link any more, it keeps nothing.
func tookTargets(ctx context.Context, tx pgx.Tx, gateway int32, node string, h model.NodeHello) error {
	said := make([]model.TargetState, 0, len(h.Targets))
	for _, t := range h.Targets[:min(len(h.Targets), model.MaxTargetStates)] {
		same := func(o model.TargetState) bool {
			return o.Tenant == t.Tenant && o.Link == t.Link && o.Target == t.Target
		}
		if t.Reason = reasonOf(t.Reason); t.Since.Year() > 2000 && t.Since.Year() < 9999 && !slices.ContainsFunc(said, same) {
			said = append(said, t)
		}
	}
	// Links are locked first, so that one that is changed meanwhile is waited for. What is
	// the same is not written again.
	_, err := tx.Exec(ctx, `
		with x as (
			select l.tenant_id, l.link_id, x.target, x.up, least(x.since, now()) as since, coalesce(x.reason, '') as reason
			from jsonb_to_recordset($4) x (tenant bigint, link text, target text, up boolean, since timestamptz, reason text)
				join vpc_link l on (l.tenant_id, l.link_id) = (x.tenant, x.link) and x.target = any(l.target_arns)
				join tenant t on t.tenant_id = l.tenant_id and t.gateway_id = $1
			where not exists (
				select from link_target o where (o.tenant_id, o.link_id, o.target, o.gateway_id, o.node) = (l.tenant_id, l.link_id, x.target, $1, $2)
					and (o.boot, o.up, o.since, o.reason) = ($3, x.up, least(x.since, now()), coalesce(x.reason, '')))
			order by l.tenant_id, l.link_id for share of l)
		insert into link_target (tenant_id, link_id, target, gateway_id, node, boot, up, since, reason)
		select x.tenant_id, x.link_id, x.target, $1, $2, $3, x.up, x.since, x.reason from x
		on conflict (tenant_id, link_id, target, gateway_id, node) do update set
			boot = excluded.boot, up = excluded.up, since = excluded.since, reason = excluded.reason`, gateway, node, h.Boot, said)
	return err
}
