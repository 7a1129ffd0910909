package control

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"

	"tollgate/control/changes"
	"tollgate/model"
)

// Version names one state of an API: what a stage serves, what a deployment holds, or,
// when it names neither, the definition as it is now.
type Version struct {
	Stage      string `json:"stage,omitempty"`
	Deployment string `json:"deployment,omitempty"`
	// Document is a state that is not kept: a definition read from a file.
	Document *model.Definition `json:"document,omitempty"`
}

// CompareVersions compares two states of an API as its callers see them. What stages admit is
// compared between two stages alone, where both are known.
func (p *Plane) CompareVersions(ctx context.Context, actor Actor, apiID string, from, to Version) ([]changes.Change, error) {
	var a, b changes.State
	err := p.readAs(ctx, actor, func(tx pgx.Tx) error {
		var err error
		if a, err = readVersion(ctx, tx, actor.Tenant, apiID, from); err != nil {
			return err
		}
		b, err = readVersion(ctx, tx, actor.Tenant, apiID, to)
		return err
	})
	if err != nil {
		return nil, err
	}
	return changes.Compare(a, b), nil
}

func readVersion(ctx context.Context, tx pgx.Tx, tenant uint32, apiID string, v Version) (out changes.State, err error) {
	var doc []byte
	if v.Stage != "" {
		s, err := readStage(ctx, tx, tenant, apiID, v.Stage)
		if err != nil {
			return out, err
		}
		v.Deployment, out.Settings = s.DeploymentID, &s.Settings
	}
	err = tx.QueryRow(ctx, `select definition from api where tenant_id = $1 and api_id = $2 and deleted_at is null`, tenant, apiID).Scan(&doc)
	if err != nil {
		return out, missing(err, "there is no API %q", apiID)
	}
	if v.Document != nil {
		out.Definition = v.Document
		return out, v.Document.Validate()
	}
	if v.Deployment != "" {
		err = tx.QueryRow(ctx, `select definition from deployment where tenant_id = $1 and api_id = $2 and deployment_id = $3`, tenant, apiID, v.Deployment).Scan(&doc)
		if err != nil {
			return out, missing(err, "API %s has no deployment %q", apiID, v.Deployment)
		}
	}
	out.Definition = &model.Definition{}
	return out, json.Unmarshal(doc, out.Definition)
}
