package control

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

const stageColumns = `s.stage_num, s.api_id, s.name, s.deployment_id, s.settings, s.created_at, s.updated_at,
	coalesce((select tags from tag g where g.tenant_id = s.tenant_id and g.resource = '/restapis/' || s.api_id || '/stages/' || s.name), '{}')`

// fields are where stageColumns are read to; complete follows.
func (s *Stage) fields() []any {
	return []any{&s.Num, &s.APIID, &s.Name, &s.DeploymentID, &s.Settings, &s.CreatedAt, &s.UpdatedAt, &s.Tags}
}

// complete fills in what follows from the settings.
func (s *Stage) complete() { s.Throttle = s.Settings.Throttle() }

func (s *Stage) tagPath() string { return "/restapis/" + s.APIID + "/stages/" + s.Name }

// ErrNoStage and ErrNoDeployment are in the refusals that say so.
var (
	ErrNoStage      = errors.New("no such stage")
	ErrNoDeployment = errors.New("no such deployment")
)

// absent is a refusal that says, to errors.Is, what is not there.
type absent struct {
	error
	what error
}

func (a absent) Unwrap() []error { return []error{a.error, a.what} }

func noStage(err error, apiID, stage string) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return absent{model.Errorf(model.NotFound, "API %q has no stage %.140q", apiID, stage), ErrNoStage}
	}
	return err
}

func noDeployment(err error, apiID, id string) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return absent{model.Errorf(model.NotFound, "API %q has no deployment %.140q", apiID, id), ErrNoDeployment}
	}
	return err
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
		err = r.Scan(s.fields()...)
		s.complete()
		return s, err
	})
	if out == nil {
		out = []Stage{}
	}
	return out, err
}

// Stage is one stage of an API.
func (p *Plane) Stage(ctx context.Context, actor Actor, apiID, name string) (Stage, error) {
	var out Stage
	err := p.readAs(ctx, actor, func(tx pgx.Tx) error {
		if err := apiExists(ctx, tx, actor.Tenant, apiID); err != nil {
			return err
		}
		var err error
		out, err = readStage(ctx, tx, actor.Tenant, apiID, name)
		return err
	})
	return out, err
}

func readStage(ctx context.Context, tx pgx.Tx, tenant uint32, apiID, name string) (Stage, error) {
	var s Stage
	err := tx.QueryRow(ctx, `
		select `+stageColumns+` from stage s
		where s.tenant_id = $1 and s.api_id = $2 and s.name = $3 and s.deleted_at is null`, tenant, apiID, name).Scan(s.fields()...)
	if err != nil {
		return Stage{}, noStage(err, apiID, name)
	}
	s.complete()
	return s, nil
}

// CreateStage makes a stage that serves a deployment, and waits until every live
// node of the tenant's gateway serves it.
func (p *Plane) CreateStage(ctx context.Context, actor Actor, in NewStage) (Deployed, error) {
	if err := checkStageName(in.Name); err != nil {
		return Deployed{}, err
	}
	return p.changeStage(ctx, actor, func(w *write) (Deployed, error) {
		if err := apiExists(ctx, w, w.tenant, in.APIID); err != nil {
			return Deployed{}, err
		}
		if _, err := readStage(ctx, w, w.tenant, in.APIID, in.Name); err == nil {
			return Deployed{}, model.Errorf(model.Conflict, "Stage already exists")
		} else if !errors.Is(err, ErrNoStage) {
			return Deployed{}, err
		}
		if err := p.place(ctx, w, in.APIID, in.Name, in.StageEdit); err != nil {
			return Deployed{}, err
		}
		s := Stage{APIID: in.APIID, Name: in.Name}
		if err := w.tag(ctx, s.tagPath(), in.Tags, nil); err != nil {
			return Deployed{}, err
		}
		out, err := readDeployed(ctx, w, w.tenant, in.APIID, in.Name)
		if err != nil {
			return out, err
		}
		return out, w.audit(ctx, "stage.create", in.APIID, map[string]any{"stage": in.Name, "deployment": in.DeploymentID})
	})
}

// UpdateStage changes what a stage serves and its settings: edit gets them as they
// are, and all of what it leaves is checked and takes effect, or nothing. It waits
// for the nodes as Deploy does.
func (p *Plane) UpdateStage(ctx context.Context, actor Actor, apiID, name string, edit func(*StageEdit) error) (Deployed, error) {
	return p.changeStage(ctx, actor, func(w *write) (Deployed, error) {
		if err := apiExists(ctx, w, w.tenant, apiID); err != nil {
			return Deployed{}, err
		}
		s, err := readStage(ctx, w, w.tenant, apiID, name)
		if err != nil {
			return Deployed{}, err
		}
		e := StageEdit{s.DeploymentID, s.Settings}
		served := e.deployments()
		if err := edit(&e); err != nil {
			return Deployed{}, err
		}
		if err := p.place(ctx, w, apiID, name, e, served...); err != nil {
			return Deployed{}, err
		}
		out, err := readDeployed(ctx, w, w.tenant, apiID, name)
		if err != nil {
			return out, err
		}
		return out, w.audit(ctx, "stage.update", apiID, map[string]any{"stage": name, "deployments": e.deployments()})
	})
}

// FlushStageCache empties the caches of a stage on all nodes, its canary's too, and waits
// for them.
func (p *Plane) FlushStageCache(ctx context.Context, actor Actor, apiID, name string) error {
	_, err := p.UpdateStage(ctx, actor, apiID, name, func(e *StageEdit) error {
		e.CacheFlushes++
		return nil
	})
	return err
}

// FlushStageAuthorizers forgets on all nodes what a stage's Lambda authorizers said, and
// waits for them.
func (p *Plane) FlushStageAuthorizers(ctx context.Context, actor Actor, apiID, name string) error {
	_, err := p.UpdateStage(ctx, actor, apiID, name, func(e *StageEdit) error {
		e.AuthorizerFlushes++
		return nil
	})
	return err
}

// changeStage runs fn in a transaction and waits for the nodes.
func (p *Plane) changeStage(ctx context.Context, actor Actor, fn func(*write) (Deployed, error)) (Deployed, error) {
	var out Deployed
	rev, err := p.writeAs(ctx, actor, ToBuild, func(w *write) (err error) {
		out, err = fn(w)
		return err
	})
	if err != nil {
		return Deployed{}, err
	}
	if out.Revision = rev; rev > 0 {
		out.Receipts, err = p.Await(ctx, actor, rev)
	}
	return out, err
}

// deployments are the stage's own and its canary's.
func (e *StageEdit) deployments() []string {
	if e.Canary == nil {
		return []string{e.DeploymentID}
	}
	return []string{e.DeploymentID, e.Canary.DeploymentID}
}

// place makes a stage what e says, and makes the stage if there is none. What it
// is pointed at must be there and servable, but for deployments known to be.
func (p *Plane) place(ctx context.Context, w *write, apiID, name string, e StageEdit, known ...string) error {
	if err := e.Validate(); err != nil {
		return err
	}
	if id := e.ClientCertificateID; id != "" {
		if _, err := readCertificate(ctx, w, w.tenant, id); err != nil {
			if model.KindOf(err) == model.NotFound {
				return model.Errorf(model.Invalid, "Invalid Client Certificate identifier specified")
			}
			return err
		}
	}
	for _, id := range e.deployments() {
		if slices.Contains(known, id) {
			continue
		}
		var doc []byte
		if err := w.QueryRow(ctx, `
			select definition from deployment where tenant_id = $1 and api_id = $2 and deployment_id = $3`, w.tenant, apiID, id).Scan(&doc); err != nil {
			return noDeployment(err, apiID, id)
		}
		d := &model.Definition{}
		if err := json.Unmarshal(doc, d); err != nil {
			return err
		}
		if err := p.deployable(w.actor, apiID, d); err != nil {
			return err
		}
	}
	var num uint32
	err := w.QueryRow(ctx, `
		update stage set deployment_id = $4, settings = $5, throttle = $6, updated_at = now()
		where tenant_id = $1 and api_id = $2 and name = $3 and deleted_at is null
		returning stage_num`, w.tenant, apiID, name, e.DeploymentID, e.StageSettings, e.Throttle()).Scan(&num)
	if errors.Is(err, pgx.ErrNoRows) {
		err = w.QueryRow(ctx, `
			insert into stage (tenant_id, api_id, name, deployment_id, settings, throttle) values ($1, $2, $3, $4, $5, $6)
			returning stage_num`, w.tenant, apiID, name, e.DeploymentID, e.StageSettings, e.Throttle()).Scan(&num)
	}
	if err != nil {
		return err
	}
	if _, err := w.Exec(ctx, `
		insert into stage_deployment (tenant_id, stage_num, deployment_id) values ($1, $2, $3)
		on conflict do nothing`, w.tenant, num, e.DeploymentID); err != nil {
		return err
	}
	w.changed(kindStage, int64(num))
	_, err = w.Exec(ctx, `
		select pg_notify($3, '0') where exists (select 1 from portal_api where tenant_id = $1 and stage_num = $2)`, w.tenant, num, channelPortal)
	return err
}

// SetStageThrottle changes the throttle that each method of a stage has, at once,
// but for methods with settings of their own; nil removes it.
func (p *Plane) SetStageThrottle(ctx context.Context, actor Actor, apiID, stage string, t *model.Throttle) (Stage, error) {
	if err := t.Validate(); err != nil {
		return Stage{}, err
	}
	var out Stage
	_, err := p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		s, err := readStage(ctx, w, w.tenant, apiID, stage)
		if err != nil {
			return err
		}
		s.Settings.SetThrottle(t)
		err = w.QueryRow(ctx, `
			update stage s set settings = $4, throttle = $5, updated_at = now()
			where s.tenant_id = $1 and s.api_id = $2 and s.name = $3 and s.deleted_at is null
			returning `+stageColumns, w.tenant, apiID, stage, s.Settings, t).Scan(out.fields()...)
		if err != nil {
			return err
		}
		out.complete()
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
		if err := apiExists(ctx, w, w.tenant, apiID); err != nil {
			return err
		}
		s, err := readStage(ctx, w, w.tenant, apiID, stage)
		if err != nil {
			return err
		}
		if err := w.unmapped(ctx, apiID, stage); err != nil {
			return err
		}
		if err := w.dropStage(ctx, s.Num); err != nil {
			return err
		}
		if err := w.untag(ctx, s.tagPath()); err != nil {
			return err
		}
		return w.audit(ctx, "stage.delete", apiID, map[string]any{"stage": stage, "num": s.Num})
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
		update stage set deployment_id = null, settings = '{}', deleted_at = now(), updated_at = now()
		where tenant_id = $1 and stage_num = $2`, w.tenant, num); err != nil {
		return err
	}
	w.changed(kindStage, int64(num))
	return nil
}

// StageNames are all stages of the account, with the names of their APIs.
func (p *Plane) StageNames(ctx context.Context, actor Actor) ([]StageName, error) {
	var out []StageName
	err := p.readAs(ctx, actor, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select a.api_id, a.name, s.name from stage s join api a using (tenant_id, api_id)
			where s.tenant_id = $1 and s.deleted_at is null and a.deleted_at is null order by a.name, a.api_id, s.name limit 10000`, actor.Tenant)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (n StageName, err error) { return n, r.Scan(&n.APIID, &n.API, &n.Stage) })
		return err
	})
	return out, err
}
