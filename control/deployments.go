package control

import (
	"cmp"
	"context"
	"errors"
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
	d := NewDeployment{APIID: in.APIID, Stage: in.Stage, Description: in.Description}
	if in.StageThrottle != nil {
		d.Settings = func(s *model.StageSettings) error {
			s.SetThrottle(in.StageThrottle)
			return nil
		}
	}
	return p.CreateDeployment(ctx, actor, d)
}

// CreateDeployment does what Deploy does, or copies the definition and no more:
// a deployment that no stage points at may hold what the gateway does not act on.
func (p *Plane) CreateDeployment(ctx context.Context, actor Actor, in NewDeployment) (Deployed, error) {
	if len(in.Description) > maxDeploymentText {
		return Deployed{}, model.Errorf(model.Invalid, "the deployment's description has %d bytes; at most %d are allowed", len(in.Description), maxDeploymentText)
	}
	if in.Stage != "" {
		if err := checkStageName(in.Stage); err != nil {
			return Deployed{}, err
		}
	}
	return p.changeStage(ctx, actor, func(w *write) (out Deployed, err error) {
		api, err := readAPI(ctx, w, w.tenant, in.APIID)
		if err != nil {
			return out, err
		}
		if in.Stage == "" {
			err = complete(&api.Definition)
		} else {
			err = p.deployable(actor, in.APIID, &api.Definition)
		}
		if err != nil {
			return out, err
		}
		id := model.NewID(6)
		if _, err := w.Exec(ctx, `
			insert into deployment (tenant_id, deployment_id, api_id, hash, description, definition, methods, source_sha256, created_by)
			select tenant_id, $3, api_id, hash, $4, definition, methods, source_sha256, $5 from api where tenant_id = $1 and api_id = $2`,
			w.tenant, in.APIID, id, in.Description, actor.Member); err != nil {
			return out, err
		}
		if err := w.numberMethods(ctx, in.APIID, &api.Definition); err != nil {
			return out, err
		}
		if in.Stage == "" {
			if out.Deployment, err = readDeployment(ctx, w, w.tenant, in.APIID, id); err != nil {
				return out, err
			}
			return out, w.audit(ctx, "deployment.create", in.APIID, map[string]any{"deployment": id, "hash": api.Hash})
		}
		out.Deployment.ID = id
		if err := p.putOn(ctx, w, in, &out.Deployment); err != nil {
			return out, err
		}
		if out, err = readDeployed(ctx, w, w.tenant, in.APIID, in.Stage); err != nil {
			return out, err
		}
		if out.Deployment, err = readDeployment(ctx, w, w.tenant, in.APIID, id); err != nil { // the canary's, perhaps
			return out, err
		}
		if out.Warnings, err = missingCredentials(ctx, w, w.tenant, &api.Definition); err != nil {
			return out, err
		}
		return out, w.audit(ctx, "api.deploy", in.APIID, map[string]any{"stage": in.Stage, "deployment": id, "hash": api.Hash, "canary": in.Canary != nil})
	})
}

const maxDeploymentText = 4096

// putOn points a stage, or its canary, at a deployment just made.
func (p *Plane) putOn(ctx context.Context, w *write, in NewDeployment, d *Deployment) error {
	s, err := readStage(ctx, w, w.tenant, in.APIID, in.Stage)
	if errors.Is(err, ErrNoStage) && in.Canary == nil {
		err = nil
	}
	if err != nil {
		return err
	}
	e := StageEdit{s.DeploymentID, s.Settings}
	served := e.deployments()
	if in.Settings != nil {
		if err := in.Settings(&e.StageSettings); err != nil {
			return err
		}
	}
	if in.Canary == nil {
		e.DeploymentID = d.ID
	} else {
		k := *in.Canary
		k.DeploymentID = d.ID
		e.Canary = &k
	}
	return p.place(ctx, w, in.APIID, in.Stage, e, append(served, d.ID)...)
}

// ErrNoMethods is in the refusal that says so.
var ErrNoMethods = errors.New("no methods")

// complete refuses a definition of which there is nothing to deploy.
func complete(d *model.Definition) error {
	if d.MethodCount() == 0 {
		return fmt.Errorf("%w (%w)", model.Errorf(model.Invalid, "the API has no methods; there is nothing to deploy"), ErrNoMethods)
	}
	return nil
}

// Undeployable is what of an API's definition the gateways do not act on, or cannot, and
// what they can, but surely not as it was meant. An API that is not there yet has no id.
func (p *Plane) Undeployable(actor Actor, apiID string, d *model.Definition) (stops, doubts []model.Problem) {
	stops = d.Undeployable()
	if p.check == nil {
		return stops, nil
	}
	arn := "arn:aws:execute-api:" + p.region + ":" + actor.AccountID + ":" + cmp.Or(apiID, "NEW")
	for _, x := range p.check(d, arn) {
		if x.Severity == model.SeverityError {
			stops = append(stops, x)
		} else {
			doubts = append(doubts, x)
		}
	}
	return stops, doubts
}

// deployable refuses a definition that a node would serve otherwise than its
// author asked for.
func (p *Plane) deployable(actor Actor, apiID string, d *model.Definition) error {
	if err := complete(d); err != nil {
		return err
	}
	problems, _ := p.Undeployable(actor, apiID, d)
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
	out.Stage.complete()
	return out, noStage(err, apiID, stage)
}

func readDeployment(ctx context.Context, tx pgx.Tx, tenant uint32, apiID, id string) (Deployment, error) {
	var d Deployment
	err := tx.QueryRow(ctx, `
		select `+deploymentColumns+` from deployment d
		where d.tenant_id = $1 and d.api_id = $2 and d.deployment_id = $3`, tenant, apiID, id).Scan(d.fields()...)
	return d, noDeployment(err, apiID, id)
}

// APIDeployment is one deployment of an API.
func (p *Plane) APIDeployment(ctx context.Context, actor Actor, apiID, id string) (Deployment, error) {
	var out Deployment
	err := p.readAs(ctx, actor, func(tx pgx.Tx) error {
		if err := apiExists(ctx, tx, actor.Tenant, apiID); err != nil {
			return err
		}
		var err error
		out, err = readDeployment(ctx, tx, actor.Tenant, apiID, id)
		return err
	})
	return out, err
}

// DeployedMethods are the methods of deployments of an API, by deployment, path
// and verb.
func (p *Plane) DeployedMethods(ctx context.Context, actor Actor, apiID string, ids []string) (map[string]map[string]map[string]MethodSummary, error) {
	out := make(map[string]map[string]map[string]MethodSummary, len(ids))
	for _, id := range ids {
		out[id] = map[string]map[string]MethodSummary{}
	}
	err := p.readAs(ctx, actor, func(tx pgx.Tx) error {
		if err := apiExists(ctx, tx, actor.Tenant, apiID); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			select d.deployment_id, r->>'path', m.key, coalesce(m.value->>'authorizationType', 'NONE'), coalesce((m.value->>'apiKeyRequired')::boolean, false)
			from deployment d, jsonb_array_elements(d.definition->'resources') r, jsonb_each(r->'resourceMethods') m
			where d.tenant_id = $1 and d.api_id = $2 and d.deployment_id = any($3)`, actor.Tenant, apiID, ids)
		if err != nil {
			return err
		}
		var id, path, verb string
		var m MethodSummary
		_, err = pgx.ForEachRow(rows, []any{&id, &path, &verb, &m.AuthorizationType, &m.APIKeyRequired}, func() error {
			if out[id][path] == nil {
				out[id][path] = map[string]MethodSummary{}
			}
			out[id][path][verb] = m
			return nil
		})
		return err
	})
	return out, err
}

// DescribeDeployment changes the description of a deployment, the only thing of it
// that can be changed.
func (p *Plane) DescribeDeployment(ctx context.Context, actor Actor, apiID, id, description string) (Deployment, error) {
	if len(description) > maxDeploymentText {
		return Deployment{}, model.Errorf(model.Invalid, "the deployment's description has %d bytes; at most %d are allowed", len(description), maxDeploymentText)
	}
	var out Deployment
	_, err := p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		if err := apiExists(ctx, w, w.tenant, apiID); err != nil {
			return err
		}
		if _, err := w.Exec(ctx, `
			update deployment set description = $4 where tenant_id = $1 and api_id = $2 and deployment_id = $3`, w.tenant, apiID, id, description); err != nil {
			return err
		}
		var err error
		if out, err = readDeployment(ctx, w, w.tenant, apiID, id); err != nil {
			return err
		}
		return w.audit(ctx, "deployment.update", apiID, map[string]any{"deployment": id, "description": description})
	})
	return out, err
}

// DeleteDeployment removes a deployment that no stage points at.
func (p *Plane) DeleteDeployment(ctx context.Context, actor Actor, apiID, id string) error {
	_, err := p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		if err := apiExists(ctx, w, w.tenant, apiID); err != nil {
			return err
		}
		if _, err := readDeployment(ctx, w, w.tenant, apiID, id); err != nil {
			return err
		}
		var served bool
		if err := w.QueryRow(ctx, `
			select exists (select from stage where tenant_id = $1 and api_id = $2 and $3 in (deployment_id, canary_deployment_id) and deleted_at is null)`,
			w.tenant, apiID, id).Scan(&served); err != nil {
			return err
		}
		if served {
			return model.Errorf(model.Invalid, "Active stages pointing to this deployment must be moved or deleted")
		}
		if _, err := w.Exec(ctx, `
			delete from deployment where tenant_id = $1 and api_id = $2 and deployment_id = $3`, w.tenant, apiID, id); err != nil {
			return err
		}
		return w.audit(ctx, "deployment.delete", apiID, map[string]any{"deployment": id})
	})
	return err
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
		if err := p.place(ctx, w, apiID, stage, StageEdit{deploymentID, now.Stage.Settings}); err != nil {
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
