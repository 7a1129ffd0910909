package control

import (
	"context"
	"encoding/json"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// DocumentationVersion is a copy of an API's documentation parts, made once.
type DocumentationVersion struct {
	Version     string                    `json:"version"`
	Description string                    `json:"description,omitempty"`
	CreatedAt   time.Time                 `json:"createdAt"`
	Parts       []model.DocumentationPart `json:"parts,omitempty"` // not in lists
}

// Limits of the documentation versions of one API.
const (
	MaxDocumentationVersions = 1000
	MaxVersionName           = 64
	maxVersionDescription    = 1024
)

// NewDocumentationVersion asks for a version of an API's documentation as it is.
type NewDocumentationVersion struct {
	APIID, Version, Description string
	Stage                       string // that is to show it; empty: none
}

// CreateDocumentationVersion keeps the API's documentation parts under a name.
func (p *Plane) CreateDocumentationVersion(ctx context.Context, actor Actor, in NewDocumentationVersion) (DocumentationVersion, error) {
	out := DocumentationVersion{Version: in.Version, Description: in.Description}
	if err := checkName("a documentation version", in.Version, MaxVersionName); err != nil {
		return out, err
	}
	if err := checkVersionDescription(in.Description); err != nil {
		return out, err
	}
	_, err := p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		api, err := readAPI(ctx, w, w.tenant, in.APIID)
		if err != nil {
			return err
		}
		var n int
		var there bool
		err = w.QueryRow(ctx, `
			select count(*), coalesce(bool_or(version = $3), false) from documentation_version where tenant_id = $1 and api_id = $2`,
			w.tenant, in.APIID, in.Version).Scan(&n, &there)
		switch {
		case err != nil:
			return err
		case there:
			return model.Errorf(model.Conflict, "Documentation version already exists")
		case n >= MaxDocumentationVersions:
			return model.Errorf(model.Limit, "API %s has %d documentation versions, the most there may be; delete some first", in.APIID, n)
		}
		out.Parts = api.Definition.Documentation
		if out.Parts == nil {
			out.Parts = []model.DocumentationPart{}
		}
		parts, err := json.Marshal(out.Parts)
		if err != nil {
			return err
		}
		err = w.QueryRow(ctx, `
			insert into documentation_version (tenant_id, api_id, version, description, parts) values ($1, $2, $3, $4, $5) returning created_at`,
			w.tenant, in.APIID, in.Version, in.Description, parts).Scan(&out.CreatedAt)
		if err != nil {
			return err
		}
		if in.Stage != "" {
			if _, err := readStage(ctx, w, w.tenant, in.APIID, in.Stage); err != nil {
				return err
			}
			if _, err := w.Exec(ctx, `
				update stage set settings = settings || jsonb_build_object('documentationVersion', $4::text), updated_at = now()
				where tenant_id = $1 and api_id = $2 and name = $3 and deleted_at is null`, w.tenant, in.APIID, in.Stage, in.Version); err != nil {
				return err
			}
		}
		return w.audit(ctx, "documentation.version", in.APIID, map[string]any{"version": in.Version, "parts": len(out.Parts), "stage": in.Stage})
	})
	return out, err
}

func checkVersionDescription(s string) error {
	if n := utf8.RuneCountInString(s); n > maxVersionDescription {
		return model.Errorf(model.Invalid, "the description has %d characters; at most %d are kept", n, maxVersionDescription)
	}
	return nil
}

// DocumentationVersions lists those of an API by name.
func (p *Plane) DocumentationVersions(ctx context.Context, actor Actor, apiID string, pg Page) (List[DocumentationVersion], error) {
	from, limit, err := pg.bounds()
	if err != nil {
		return List[DocumentationVersion]{}, err
	}
	var out List[DocumentationVersion]
	err = p.readAs(ctx, actor, func(tx pgx.Tx) error {
		if err := apiExists(ctx, tx, actor.Tenant, apiID); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			select version, description, created_at from documentation_version
			where tenant_id = $1 and api_id = $2 and version > $3 order by version limit $4`, actor.Tenant, apiID, from.ID, limit+1)
		if err != nil {
			return err
		}
		items, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (v DocumentationVersion, err error) {
			return v, r.Scan(&v.Version, &v.Description, &v.CreatedAt)
		})
		out = page(items, limit, func(v *DocumentationVersion) after { return after{ID: v.Version} })
		return err
	})
	return out, err
}

// DocumentationVersion is one version with its parts.
func (p *Plane) DocumentationVersion(ctx context.Context, actor Actor, apiID, version string) (DocumentationVersion, error) {
	var out DocumentationVersion
	err := p.readAs(ctx, actor, func(tx pgx.Tx) error {
		var parts []byte
		err := tx.QueryRow(ctx, `
			select v.version, v.description, v.created_at, v.parts from documentation_version v join api a using (tenant_id, api_id)
			where v.tenant_id = $1 and v.api_id = $2 and v.version = $3 and a.deleted_at is null`, actor.Tenant, apiID, version).
			Scan(&out.Version, &out.Description, &out.CreatedAt, &parts)
		if err != nil {
			return missing(err, "API %q has no documentation version %.100q", apiID, version)
		}
		return json.Unmarshal(parts, &out.Parts)
	})
	return out, err
}

// DescribeDocumentationVersion changes a version's description, the only thing of
// it that changes.
func (p *Plane) DescribeDocumentationVersion(ctx context.Context, actor Actor, apiID, version, description string) (DocumentationVersion, error) {
	var out DocumentationVersion
	if err := checkVersionDescription(description); err != nil {
		return out, err
	}
	_, err := p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		err := w.QueryRow(ctx, `
			update documentation_version set description = $4 where tenant_id = $1 and api_id = $2 and version = $3
			returning version, description, created_at`, w.tenant, apiID, version, description).Scan(&out.Version, &out.Description, &out.CreatedAt)
		if err != nil {
			return missing(err, "API %q has no documentation version %.100q", apiID, version)
		}
		return w.audit(ctx, "documentation.describe", apiID, map[string]any{"version": version})
	})
	return out, err
}

// DeleteDocumentationVersion forgets a version that no stage shows.
func (p *Plane) DeleteDocumentationVersion(ctx context.Context, actor Actor, apiID, version string) error {
	_, err := p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		var stage *string
		err := w.QueryRow(ctx, `
			select (select min(name) from stage s where s.tenant_id = $1 and s.api_id = $2 and s.deleted_at is null and s.settings->>'documentationVersion' = v.version)
			from documentation_version v where v.tenant_id = $1 and v.api_id = $2 and v.version = $3`, w.tenant, apiID, version).Scan(&stage)
		if err != nil {
			return missing(err, "API %q has no documentation version %.100q", apiID, version)
		}
		if stage != nil {
			return model.Errorf(model.Conflict, "Cannot delete documentation version '%s', is referenced in stage: %s", version, *stage)
		}
		if _, err := w.Exec(ctx, `delete from documentation_version where tenant_id = $1 and api_id = $2 and version = $3`, w.tenant, apiID, version); err != nil {
			return err
		}
		return w.audit(ctx, "documentation.delete", apiID, map[string]any{"version": version})
	})
	return err
}
