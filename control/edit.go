package control

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"

	"tollgate/control/changes"
	"tollgate/model"
)

// APIStage is a stage of an API in a list.
type APIStage struct {
	Name         string `json:"name"`
	DeploymentID string `json:"deploymentId"`
	Behind       bool   `json:"behind"` // the API's definition is not what it serves
}

// CreateAPI makes an API with nothing but its root, to be edited by hand.
func (p *Plane) CreateAPI(ctx context.Context, actor Actor, name, description string) (API, error) {
	return p.AddAPI(ctx, actor, &model.Definition{Name: name, Description: description}, nil, nil)
}

// AddAPI makes an API with a definition, and keeps the document that it was read from,
// if it was.
func (p *Plane) AddAPI(ctx context.Context, actor Actor, d *model.Definition, tags map[string]string, doc *Document) (API, error) {
	if err := checkName("an API", d.Name, 1024); err != nil {
		return API{}, err
	}
	var out API
	_, err := p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		var err error
		if out, err = w.createAPI(ctx, d); err != nil {
			return err
		}
		if err := w.tag(ctx, "/restapis/"+out.ID, tags, nil); err != nil {
			return err
		}
		out.Tags = tags
		if doc != nil {
			if err := w.keepDocument(ctx, out.ID, doc); err != nil {
				return err
			}
		}
		return w.audit(ctx, "api.create", out.ID, map[string]any{"name": d.Name})
	})
	return out, err
}

// Comparison is what is different between two definitions of an API.
type Comparison struct {
	API     API                 `json:"api"`
	From    string              `json:"from"` // a deployment's id; empty: nothing yet
	To      string              `json:"to"`   // empty: the API as it is now
	Changes []model.RouteChange `json:"changes"`
	Effects []changes.Change    `json:"effects"` // for callers
}

// Compare says what a definition of an API has that an earlier one has not: each
// is a deployment's, or, with an empty id, the API's as it is now. A From of
// "none" is an API without methods.
func (p *Plane) Compare(ctx context.Context, actor Actor, apiID, from, to string) (Comparison, error) {
	out := Comparison{From: from, To: to}
	err := p.readAs(ctx, actor, func(tx pgx.Tx) error {
		api, err := readAPI(ctx, tx, actor.Tenant, apiID)
		if err != nil {
			return err
		}
		out.API = api.API
		was, err := definitionOf(ctx, tx, actor.Tenant, &api, from)
		if err != nil {
			return err
		}
		now, err := definitionOf(ctx, tx, actor.Tenant, &api, to)
		if err != nil {
			return err
		}
		out.Changes, out.Effects = model.Compare(was, now), changes.Compare(changes.State{Definition: was}, changes.State{Definition: now})
		return nil
	})
	if err != nil {
		return Comparison{}, err
	}
	return out, nil
}

func definitionOf(ctx context.Context, tx pgx.Tx, tenant uint32, api *APIDetail, id string) (*model.Definition, error) {
	switch id {
	case "":
		return &api.Definition, nil
	case "none":
		d := api.Definition
		d.Resources = nil
		return &d, nil
	}
	var doc []byte
	err := tx.QueryRow(ctx, `
		select definition from deployment where tenant_id = $1 and api_id = $2 and deployment_id = $3`, tenant, api.ID, id).Scan(&doc)
	if err != nil {
		return nil, missing(err, "API %s has no deployment %q", api.ID, id)
	}
	d := &model.Definition{}
	return d, json.Unmarshal(doc, d)
}

// SetUp is how far an account is on its way to its first paid call.
type SetUp struct {
	APIs       int  `json:"apis"`
	Deployed   bool `json:"deployed"`
	Keys       int  `json:"keys"`
	Plans      int  `json:"plans"`
	Priced     bool `json:"priced"`
	Called     bool `json:"called"`
	Portal     bool `json:"portal"` // published, with an API on it
	Members    int  `json:"members"`
	Developers int  `json:"developers"`
	FirstAPI   string
	Latest     []Deployment `json:"latest"` // deployments, the newest first
	LatestAPIs []string     `json:"latestApis"`
}

// SetUp reads it in one round trip.
func (p *Plane) SetUp(ctx context.Context, actor Actor) (out SetUp, err error) {
	err = p.readAs(ctx, actor, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		b.Queue(`
			select (select count(*) from api where tenant_id = $1 and deleted_at is null),
				exists (select from stage where tenant_id = $1 and deleted_at is null),
				(select count(*) from api_key where tenant_id = $1 and deleted_at is null),
				(select count(*) from plan where tenant_id = $1 and deleted_at is null),
				exists (select from plan where tenant_id = $1 and deleted_at is null and sheet_num is not null),
				exists (select from usage_line where tenant_id = $1) or exists (select from usage_hour where tenant_id = $1),
				exists (select from portal o join portal_api a using (tenant_id) where o.tenant_id = $1 and o.published),
				(select count(*) from member where tenant_id = $1), (select count(*) from developer where tenant_id = $1),
				coalesce((select api_id from api where tenant_id = $1 and deleted_at is null order by created_at desc limit 1), '')`, actor.Tenant).
			QueryRow(func(r pgx.Row) error {
				return r.Scan(&out.APIs, &out.Deployed, &out.Keys, &out.Plans, &out.Priced, &out.Called, &out.Portal, &out.Members, &out.Developers, &out.FirstAPI)
			})
		b.Queue(`
			select a.name, `+deploymentColumns+` from deployment d join api a using (tenant_id, api_id)
			where d.tenant_id = $1 order by d.deployment_num desc limit 5`, actor.Tenant).
			Query(func(rows pgx.Rows) error {
				_, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (struct{}, error) {
					var d Deployment
					var name string
					if err := r.Scan(append([]any{&name}, d.fields()...)...); err != nil {
						return struct{}{}, err
					}
					out.Latest, out.LatestAPIs = append(out.Latest, d), append(out.LatestAPIs, name)
					return struct{}{}, nil
				})
				return err
			})
		return tx.SendBatch(ctx, b).Close()
	})
	return out, err
}
