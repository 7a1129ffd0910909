package control

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/control/openapi"
	"tollgate/model"
)

// StageDefinition is what a stage serves, to be written as a document.
type StageDefinition struct {
	Definition           model.Definition
	DeployedAt           time.Time
	DocumentationVersion string
	Tags                 map[string]string // of the API
}

// StageDefinition reads the definition of the deployment that a stage points at.
func (p *Plane) StageDefinition(ctx context.Context, actor Actor, apiID, stage string) (StageDefinition, error) {
	var out StageDefinition
	err := p.readAs(ctx, actor, func(tx pgx.Tx) error {
		s, err := readStage(ctx, tx, actor.Tenant, apiID, stage)
		if err != nil {
			return err
		}
		out.DocumentationVersion = s.Settings.DocumentationVersion
		var doc []byte
		err = tx.QueryRow(ctx, `
			select d.definition, d.created_at, (select t.tags from tag t where t.tenant_id = d.tenant_id and t.resource = '/restapis/' || d.api_id)
			from deployment d where d.tenant_id = $1 and d.api_id = $2 and d.deployment_id = $3`,
			actor.Tenant, apiID, s.DeploymentID).Scan(&doc, &out.DeployedAt, &out.Tags)
		if err != nil {
			return missing(err, "API %s has no deployment %q", apiID, s.DeploymentID)
		}
		return json.Unmarshal(doc, &out.Definition)
	})
	return out, err
}

// Exported is a stage's document.
type Exported struct {
	Body    []byte `json:"body"`
	Version string `json:"version"` // what the document calls the API's
}

// ExportStage writes what a stage serves as an OpenAPI document, in the words of the
// documentation version that it shows, if it shows one. Of the options it sets those
// that come from the stage.
func (p *Plane) ExportStage(ctx context.Context, actor Actor, apiID, stage string, o openapi.ExportOptions) (Exported, error) {
	s, err := p.StageDefinition(ctx, actor, apiID, stage)
	if err != nil {
		return Exported{}, err
	}
	o.Stage, o.Made, o.Tags = stage, s.DeployedAt, s.Tags
	if v := s.DocumentationVersion; v != "" {
		words, err := p.DocumentationVersion(ctx, actor, apiID, v)
		if err != nil && model.KindOf(err) != model.NotFound {
			return Exported{}, err
		}
		o.Documentation, o.DocumentationVersion = words.Parts, v
	}
	body, err := openapi.Export(&s.Definition, o)
	return Exported{body, o.Version(&s.Definition)}, err
}
