package control

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/control/sdk"
	"tollgate/model"
)

// StageClient is a client library of what a stage serves.
type StageClient struct {
	sdk.Client
	DeployedAt time.Time `json:"deployedAt"`
}

// StageClient writes a client library of what a stage serves, in the words of the
// documentation version that the stage shows, if it shows one.
func (p *Plane) StageClient(ctx context.Context, actor Actor, apiID, stage string, o sdk.Options) (StageClient, error) {
	s, err := p.StageDefinition(ctx, actor, apiID, stage)
	if err != nil {
		return StageClient{}, err
	}
	if v := s.DocumentationVersion; v != "" {
		words, err := p.DocumentationVersion(ctx, actor, apiID, v)
		if err != nil && model.KindOf(err) != model.NotFound {
			return StageClient{}, err
		}
		o.Documentation = words.Parts
	}
	c, err := sdk.Generate(&s.Definition, o)
	return StageClient{c, s.DeployedAt}, err
}

// SiteClient writes a client library of an API that is on a portal, as its stage
// serves it now.
func (p *Plane) SiteClient(ctx context.Context, site Site, apiID string, o sdk.Options) (StageClient, error) {
	var d model.Definition
	var out StageClient
	err := p.read(ctx, site.scope(), func(tx pgx.Tx) error {
		var doc, words []byte
		err := tx.QueryRow(ctx, `
			select d.definition, d.created_at, v.parts from portal_api pa
			join api a on (a.tenant_id, a.api_id) = (pa.tenant_id, pa.api_id) and a.deleted_at is null
			join stage st on (st.tenant_id, st.stage_num) = (pa.tenant_id, pa.stage_num) and st.deleted_at is null
			join deployment d on (d.tenant_id, d.deployment_id) = (st.tenant_id, st.deployment_id)
			left join documentation_version v on (v.tenant_id, v.api_id, v.version) = (pa.tenant_id, pa.api_id, st.settings->>'documentationVersion')
			where pa.tenant_id = $1 and pa.api_id = $2`, site.Tenant, apiID).Scan(&doc, &out.DeployedAt, &words)
		if err != nil {
			return missing(err, "there is no API %q here", apiID)
		}
		if words != nil {
			if err := json.Unmarshal(words, &o.Documentation); err != nil {
				return err
			}
		}
		return json.Unmarshal(doc, &d)
	})
	if err != nil {
		return out, err
	}
	out.Client, err = sdk.Generate(&d, o)
	return out, err
}
