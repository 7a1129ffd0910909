package control

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// A node is live while its connection stands, or for this long after it was last
// heard of: longer than it may wait for news, and than it takes to compile them.
const liveFor = "45 seconds"

const liveNode = `connected and not draining and seen_at > now() - interval '` + liveFor + `'`

// Await waits until every live node of the actor's gateway has put revision
// (which a write returned) into effect or has said what of it it could not, at most for the plane's AckTimeout, and
// says which did. No live node: no receipts.
func (p *Plane) Await(ctx context.Context, actor Actor, revision uint64) ([]model.NodeReceipt, error) {
	var gateway int32
	err := p.readAs(ctx, actor, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `select gateway_id from tenant where tenant_id = $1`, actor.Tenant).Scan(&gateway)
		return missing(err, "there is no account %s", actor.AccountID)
	})
	if err != nil {
		return nil, err
	}
	return p.await(ctx, gateway, actor.Tenant, revision)
}

func (p *Plane) await(ctx context.Context, gateway int32, tenant uint32, revision uint64) ([]model.NodeReceipt, error) {
	var receipts []model.NodeReceipt
	err := p.wake.until(ctx, channelAck, gateway, p.ackTimeout, 0, func() (bool, error) {
		var waiting bool
		var err error
		receipts, waiting, err = p.receipts(ctx, gateway, tenant, revision)
		return !waiting, err
	})
	return receipts, err
}

// receipts is what the live nodes say of a revision, of the tenant's own stages,
// and whether one has not said anything yet.
func (p *Plane) receipts(ctx context.Context, gateway int32, tenant uint32, revision uint64) ([]model.NodeReceipt, bool, error) {
	out := []model.NodeReceipt{}
	waiting := false
	err := p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select g.name, n.name, n.applied_rev >= $2, coalesce((
				select string_agg(f->>'reason', '; ') from jsonb_array_elements(n.failures) f where (f->>'tenant')::bigint = $3), '')
			from node n join gateway g using (gateway_id) where n.gateway_id = $1 and `+liveNode+`
			order by n.name`, gateway, revision, int64(tenant))
		if err != nil {
			return err
		}
		var r model.NodeReceipt
		var failed string
		_, err = pgx.ForEachRow(rows, []any{&r.Gateway, &r.Node, &r.Applied, &failed}, func() error {
			r.Error = failed
			if !r.Applied {
				waiting = true
				r.Error = fmt.Sprintf("the node has not answered within %v; until it does, it serves what it had", p.ackTimeout)
			}
			r.Applied = r.Error == ""
			out = append(out, r)
			return nil
		})
		return err
	})
	return out, waiting, err
}
