package control

import (
	"context"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// ClientCertificateStages are the stages that show a client certificate to their back
// ends.
func (p *Plane) ClientCertificateStages(ctx context.Context, actor Actor, id string) (out []StageName, err error) {
	err = p.readAs(ctx, actor, func(tx pgx.Tx) error {
		if _, err := readCertificate(ctx, tx, actor.Tenant, id); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			select a.api_id, a.name, s.name from stage s join api a using (tenant_id, api_id)
			where s.tenant_id = $1 and s.deleted_at is null and s.settings->>'clientCertificateId' = $2 order by a.name, a.api_id, s.name limit 10000`, actor.Tenant, id)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (n StageName, err error) { return n, r.Scan(&n.APIID, &n.API, &n.Stage) })
		return err
	})
	return out, err
}

// ReplaceClientCertificate makes every stage that shows one client certificate show
// another, all at once, and waits for the nodes. It returns how many stages these are.
func (p *Plane) ReplaceClientCertificate(ctx context.Context, actor Actor, id, with string) (stages int, receipts []model.NodeReceipt, err error) {
	rev, err := p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		for _, c := range []string{id, with} {
			if _, err := readCertificate(ctx, w, w.tenant, c); err != nil {
				return err
			}
		}
		rows, err := w.Query(ctx, `
			update stage set settings = jsonb_set(settings, '{clientCertificateId}', to_jsonb($3::text)), updated_at = now()
			where tenant_id = $1 and deleted_at is null and settings->>'clientCertificateId' = $2 returning stage_num`, w.tenant, id, with)
		if err != nil {
			return err
		}
		nums, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return err
		}
		for _, n := range nums {
			w.changed(kindStage, n)
		}
		stages = len(nums)
		return w.audit(ctx, "client-certificate.replace", id, map[string]any{"with": with, "stages": stages})
	})
	if err != nil || rev == 0 {
		return stages, nil, err
	}
	receipts, err = p.Await(ctx, actor, rev)
	return stages, receipts, err
}
