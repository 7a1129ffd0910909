package control

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

const deploymentColumns = `d.deployment_id, d.api_id, d.hash, d.description, d.methods,
	coalesce((select p.email from member m join person p using (person_id) where m.tenant_id = d.tenant_id and m.member_id = d.created_by), d.created_by), d.created_at,
	array(select s.name from stage s where (s.tenant_id, s.api_id, s.deployment_id) = (d.tenant_id, d.api_id, d.deployment_id) order by 1)`

// fields are where deploymentColumns are read to.
func (d *Deployment) fields() []any {
	return []any{&d.ID, &d.APIID, &d.Hash, &d.Description, &d.Methods, &d.CreatedBy, &d.CreatedAt, &d.Stages}
}

// Deploy copies an API's definition into an immutable deployment, points the
// stage at it (making the stage if need be) and waits until every live node of
// the tenant's gateway serves it. It refuses a definition that holds anything the
// gateway does not act on yet. A receipt that is not Applied does not undo it.
func (p *Plane) Deploy(ctx context.Context, actor Actor, in Deploy) (Deployed, error) {
	if err := checkStageName(in.Stage); err != nil {
		return Deployed{}, err
	}
	if err := in.StageThrottle.Validate(); err != nil {
		return Deployed{}, err
	}
	var out Deployed
	rev, err := p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		api, err := readAPI(ctx, w, w.tenant, in.APIID)
		if err != nil {
			return err
		}
		if err := deployable(&api.Definition); err != nil {
			return err
		}
		id := model.NewID(6)
		if _, err := w.Exec(ctx, `
			insert into deployment (tenant_id, deployment_id, api_id, hash, description, definition, methods, source_sha256, created_by)
			select tenant_id, $3, api_id, hash, $4, definition, methods, source_sha256, $5 from api where tenant_id = $1 and api_id = $2`,
			w.tenant, in.APIID, id, in.Description, actor.Member); err != nil {
			return err
		}
		if err := w.numberMethods(ctx, in.APIID, &api.Definition); err != nil {
			return err
		}
		if err := w.point(ctx, in.APIID, in.Stage, id, in.StageThrottle, true); err != nil {
			return err
		}
		if out, err = readDeployed(ctx, w, w.tenant, in.APIID, in.Stage); err != nil {
			return err
		}
		return w.audit(ctx, "api.deploy", in.APIID, map[string]any{"stage": in.Stage, "deployment": id, "hash": api.Hash})
	})
	if err != nil {
		return Deployed{}, err
	}
	out.Revision = rev
	out.Receipts, err = p.Await(ctx, actor, rev)
	return out, err
}

// deployable refuses a definition that a node would serve otherwise than its
// author asked for.
func deployable(d *model.Definition) error {
	if d.MethodCount() == 0 {
		return model.Errorf(model.Invalid, "the API has no methods; there is nothing to deploy")
	}
	problems := d.Undeployable()
	if len(problems) == 0 {
		return nil
	}
	const shown = 5
	var b strings.Builder
	for i, p := range problems {
		if i == shown {
			fmt.Fprintf(&b, "; and %d more", len(problems)-shown)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%s: %s", p.Pointer, p.Message)
	}
	return model.Errorf(model.Invalid, "the API cannot be deployed, for %d reasons: %s. Change or remove these methods and deploy again", len(problems), b.String())
}

// numberMethods gives every method of the definition that has none its number.
// A conflict clause would do, but would use up a number for each method there is.
func (w *write) numberMethods(ctx context.Context, apiID string, d *model.Definition) error {
	var paths, verbs []string
	for i := range d.Resources {
		for v := range d.Resources[i].Methods {
			paths, verbs = append(paths, d.Resources[i].Path), append(verbs, v)
		}
	}
	_, err := w.Exec(ctx, `
		insert into api_method (tenant_id, api_id, path, verb)
		select $1, $2, n.path, n.verb from unnest($3::text[], $4::text[]) n(path, verb)
		where not exists (select 1 from api_method m
			where m.tenant_id = $1 and m.api_id = $2 and m.path = n.path and m.verb = n.verb)
		order by n.path, n.verb`, w.tenant, apiID, paths, verbs)
	return err
}

func readDeployed(ctx context.Context, tx pgx.Tx, tenant uint32, apiID, stage string) (Deployed, error) {
	var out Deployed
	err := tx.QueryRow(ctx, `
		select `+stageColumns+`, `+deploymentColumns+`
		from stage s join deployment d using (tenant_id, api_id, deployment_id)
		where s.tenant_id = $1 and s.api_id = $2 and s.name = $3 and s.deleted_at is null`, tenant, apiID, stage).
		Scan(append(out.Stage.fields(), out.Deployment.fields()...)...)
	return out, missing(err, "API %q has no stage %q", apiID, stage)
}

// Deployments lists an API's deployments, the newest first.
func (p *Plane) Deployments(ctx context.Context, actor Actor, apiID string, pg Page) (List[Deployment], error) {
	from, limit, err := pg.bounds()
	if err != nil {
		return List[Deployment]{}, err
	}
	before := int64(1<<63 - 1)
	if from.ID != "" {
		if before, err = strconv.ParseInt(from.ID, 10, 64); err != nil {
			return List[Deployment]{}, model.Errorf(model.Invalid, "the page position is not one of this list")
		}
	}
	var out List[Deployment]
	err = p.readAs(ctx, actor, func(tx pgx.Tx) error {
		if err := apiExists(ctx, tx, actor.Tenant, apiID); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			select d.deployment_num, `+deploymentColumns+` from deployment d
			where d.tenant_id = $1 and d.api_id = $2 and d.deployment_num < $3
			  and ($4 = '' or position(lower($4) in lower(d.description)) > 0)
			order by d.deployment_num desc limit $5`, actor.Tenant, apiID, before, pg.Match, limit+1)
		if err != nil {
			return err
		}
		var nums []int64
		items, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (d Deployment, err error) {
			var num int64
			err = r.Scan(append([]any{&num}, d.fields()...)...)
			nums = append(nums, num)
			return d, err
		})
		out = page(items, limit, func(*Deployment) after { return after{ID: strconv.FormatInt(nums[limit-1], 10)} })
		return err
	})
	return out, err
}

func apiExists(ctx context.Context, tx pgx.Tx, tenant uint32, id string) error {
	var one int
	err := tx.QueryRow(ctx, `select 1 from api where tenant_id = $1 and api_id = $2 and deleted_at is null`, tenant, id).Scan(&one)
	return missing(err, "there is no API %q", id)
}

// Rollback points a stage at an older deployment of its API: the one named, or
// the last before the present one that the stage has served.
func (p *Plane) Rollback(ctx context.Context, actor Actor, apiID, stage, deploymentID string) (Deployed, error) {
	var out Deployed
	rev, err := p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		now, err := readDeployed(ctx, w, w.tenant, apiID, stage)
		if err != nil {
			return err
		}
		if deploymentID == "" {
			err := w.QueryRow(ctx, `
				select d.deployment_id from stage_deployment h join deployment d using (tenant_id, deployment_id)
				where h.tenant_id = $1 and h.stage_num = $2 and d.deployment_num <
					(select deployment_num from deployment where tenant_id = $1 and deployment_id = $3)
				order by d.deployment_num desc limit 1`, w.tenant, now.Stage.Num, now.Deployment.ID).Scan(&deploymentID)
			if err != nil {
				return missing(err, "stage %q has served no deployment before %s; there is nothing to roll back to", stage, now.Deployment.ID)
			}
		}
		if err := w.point(ctx, apiID, stage, deploymentID, nil, false); err != nil {
			return err
		}
		if out, err = readDeployed(ctx, w, w.tenant, apiID, stage); err != nil {
			return err
		}
		return w.audit(ctx, "stage.rollback", apiID, map[string]any{"stage": stage, "from": now.Deployment.ID, "to": deploymentID})
	})
	if err != nil {
		return Deployed{}, err
	}
	out.Revision = rev
	out.Receipts, err = p.Await(ctx, actor, rev)
	return out, err
}
