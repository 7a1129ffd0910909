package control

import (
	"context"
	"regexp"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

const stageColumns = `s.stage_num, s.api_id, s.name, s.deployment_id, s.throttle, s.created_at, s.updated_at`

// fields are where stageColumns are read to.
func (s *Stage) fields() []any {
	return []any{&s.Num, &s.APIID, &s.Name, &s.DeploymentID, &s.Throttle, &s.CreatedAt, &s.UpdatedAt}
}

var stageName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)

func checkStageName(name string) error {
	if !stageName.MatchString(name) {
		return model.Errorf(model.Invalid, "stage name %.140q is not 1 to 128 letters, digits, hyphens and underscores", name)
	}
	return nil
}

// Stages lists the stages of an API, or of all with an empty apiID.
func (p *Plane) Stages(ctx context.Context, actor Actor, apiID string) ([]Stage, error) {
	var out []Stage
	err := p.readAs(ctx, actor, func(tx pgx.Tx) error {
		if apiID != "" {
			if err := apiExists(ctx, tx, actor.Tenant, apiID); err != nil {
				return err
			}
		}
		var err error
		out, err = listStages(ctx, tx, actor.Tenant, apiID)
		return err
	})
	return out, err
}

func listStages(ctx context.Context, tx pgx.Tx, tenant uint32, apiID string) ([]Stage, error) {
	rows, err := tx.Query(ctx, `
		select `+stageColumns+` from stage s
		where s.tenant_id = $1 and ($2 = '' or s.api_id = $2) and s.deleted_at is null
		order by s.api_id, s.name`, tenant, apiID)
	if err != nil {
		return nil, err
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (s Stage, err error) {
		return s, r.Scan(s.fields()...)
	})
	if out == nil {
		out = []Stage{}
	}
	return out, err
}

// point makes a stage serve a deployment of its API; a nil throttle leaves it.
func (w *write) point(ctx context.Context, apiID, stage, deploymentID string, t *model.Throttle, create bool) error {
	var there bool
	if err := w.QueryRow(ctx, `
		select exists (select 1 from deployment where tenant_id = $1 and api_id = $2 and deployment_id = $3)`,
		w.tenant, apiID, deploymentID).Scan(&there); err != nil {
		return err
	}
	if !there {
		return model.Errorf(model.NotFound, "API %q has no deployment %q", apiID, deploymentID)
	}
	var num uint32
	err := w.QueryRow(ctx, `
		update stage set deployment_id = $4, throttle = coalesce($5, throttle), updated_at = now()
		where tenant_id = $1 and api_id = $2 and name = $3 and deleted_at is null
		returning stage_num`, w.tenant, apiID, stage, deploymentID, t).Scan(&num)
	if err == pgx.ErrNoRows && create {
		err = w.QueryRow(ctx, `
			insert into stage (tenant_id, api_id, name, deployment_id, throttle) values ($1, $2, $3, $4, $5)
			returning stage_num`, w.tenant, apiID, stage, deploymentID, t).Scan(&num)
	}
	if err != nil {
		return missing(err, "API %q has no stage %q", apiID, stage)
	}
	if _, err := w.Exec(ctx, `
		insert into stage_deployment (tenant_id, stage_num, deployment_id) values ($1, $2, $3)
		on conflict do nothing`, w.tenant, num, deploymentID); err != nil {
		return err
	}
	w.changed(kindStage, int64(num))
	return nil
}

// SetStageThrottle changes the throttle that each method of a stage has, at once;
// nil removes it.
func (p *Plane) SetStageThrottle(ctx context.Context, actor Actor, apiID, stage string, t *model.Throttle) (Stage, error) {
	if err := t.Validate(); err != nil {
		return Stage{}, err
	}
	var out Stage
	_, err := p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		err := w.QueryRow(ctx, `
			update stage s set throttle = $4, updated_at = now()
			where s.tenant_id = $1 and s.api_id = $2 and s.name = $3 and s.deleted_at is null
			returning `+stageColumns, w.tenant, apiID, stage, t).Scan(out.fields()...)
		if err != nil {
			return missing(err, "API %q has no stage %q", apiID, stage)
		}
		w.changed(kindStage, int64(out.Num))
		return w.audit(ctx, "stage.throttle", apiID, map[string]any{"stage": stage, "throttle": t})
	})
	if err != nil {
		return Stage{}, err
	}
	return out, nil
}

// DeleteStage stops serving a stage and takes it out of the plans that held it, and
// off the portal.
func (p *Plane) DeleteStage(ctx context.Context, actor Actor, apiID, stage string) error {
	_, err := p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		var num uint32
		err := w.QueryRow(ctx, `
			select stage_num from stage
			where tenant_id = $1 and api_id = $2 and name = $3 and deleted_at is null`, w.tenant, apiID, stage).Scan(&num)
		if err != nil {
			return missing(err, "API %q has no stage %q", apiID, stage)
		}
		if err := w.dropStage(ctx, num); err != nil {
			return err
		}
		return w.audit(ctx, "stage.delete", apiID, map[string]any{"stage": stage, "num": num})
	})
	return err
}

func (w *write) dropStage(ctx context.Context, num uint32) error {
	rows, err := w.Query(ctx, `
		with gone as (delete from plan_stage where tenant_id = $1 and stage_num = $2 returning tenant_id, plan_id)
		select plan_num from plan join gone using (tenant_id, plan_id)`, w.tenant, num)
	if err != nil {
		return err
	}
	plans, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return err
	}
	for _, n := range plans {
		w.changed(kindPlan, n)
	}
	if _, err := w.Exec(ctx, `delete from portal_api where tenant_id = $1 and stage_num = $2`, w.tenant, num); err != nil {
		return err
	}
	if _, err := w.Exec(ctx, `
		update stage set deployment_id = null, deleted_at = now(), updated_at = now()
		where tenant_id = $1 and stage_num = $2`, w.tenant, num); err != nil {
		return err
	}
	w.changed(kindStage, int64(num))
	return nil
}
