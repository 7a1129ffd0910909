package control

import (
	"context"
	"crypto/sha256"

	"tollgate/control/openapi"
	"tollgate/model"
)

// MaxSourceBytes bounds an imported document.
const MaxSourceBytes = 32 << 20

// ImportAPI makes an API from a document, or replaces an API's definition by it,
// all or nothing. The author's bytes are kept. What the document says and the
// definition cannot hold is in Problems.
func (p *Plane) ImportAPI(ctx context.Context, actor Actor, in ImportAPI) (Imported, error) {
	if err := actor.May(ToBuild); err != nil { // before work is spent on it
		return Imported{}, err
	}
	if len(in.Source) > MaxSourceBytes {
		return Imported{}, model.Errorf(model.Limit, "the document has %d bytes; at most %d are allowed", len(in.Source), MaxSourceBytes)
	}
	doc, err := openapi.Import(in.Source, openapi.Options{
		RequireKey: in.RequireKey, Upstream: in.Upstream, BaseURL: in.BaseURL, Name: in.Name})
	if err != nil {
		return Imported{}, err
	}
	out := Imported{Operations: doc.Operations, Problems: doc.Problems}
	if out.Problems == nil {
		out.Problems = []model.Problem{}
	}
	sum := sha256.Sum256(in.Source)
	_, err = p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		var err error
		if in.APIID == "" {
			out.API, err = w.createAPI(ctx, &doc.Definition)
		} else {
			out.API, err = w.replaceDefinition(ctx, in.APIID, &doc.Definition)
		}
		if err != nil {
			return err
		}
		if _, err := w.Exec(ctx, `
			insert into api_source (tenant_id, api_id, name, format, sha256, bytes, problems) values ($1, $2, $3, $4, $5, $6, $7)
			on conflict (tenant_id, api_id, sha256) do update set name = excluded.name, format = excluded.format, problems = excluded.problems, imported_at = now()`,
			w.tenant, out.API.ID, in.SourceName, doc.Format, sum[:], in.Source, out.Problems); err != nil {
			return err
		}
		// The document before is kept while a deployment was made from it.
		if _, err := w.Exec(ctx, `
			with now as (
				update api set source_sha256 = $3 where tenant_id = $1 and api_id = $2)
			delete from api_source s where s.tenant_id = $1 and s.api_id = $2 and s.sha256 <> $3
				and not exists (select from deployment d where (d.tenant_id, d.api_id, d.source_sha256) = (s.tenant_id, s.api_id, s.sha256))`,
			w.tenant, out.API.ID, sum[:]); err != nil {
			return err
		}
		return w.audit(ctx, "api.import", out.API.ID, map[string]any{"name": out.API.Name, "source": in.SourceName,
			"format": doc.Format, "revision": out.API.Revision, "operations": doc.Operations, "problems": len(doc.Problems)})
	})
	if err != nil {
		return Imported{}, err
	}
	return out, nil
}
