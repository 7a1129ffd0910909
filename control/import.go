package control

import (
	"context"
	"crypto/sha256"
	"encoding/json"

	"tollgate/control/changes"
	"tollgate/control/openapi"
	"tollgate/model"
)

// MaxSourceBytes bounds an imported document.
const MaxSourceBytes = 32 << 20

// ImportAPI makes an API from a document, or replaces an API's definition by it,
// all or nothing. The author's bytes are kept. What the document says and the
// definition cannot hold is in Problems.
func (p *Plane) ImportAPI(ctx context.Context, actor Actor, in ImportAPI) (Imported, error) {
	doc, err := readDocument(actor, in)
	if err != nil {
		return Imported{}, err
	}
	out := Imported{Operations: doc.Operations, Problems: doc.Problems}
	if out.Problems == nil {
		out.Problems = []model.Problem{}
	}
	_, err = p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		var err error
		switch {
		case in.APIID == "":
			out.API, err = w.createAPI(ctx, &doc.Definition)
		case in.Merge:
			var a APIDetail
			if a, err = readAPI(ctx, w, w.tenant, in.APIID); err == nil {
				openapi.Merge(&a.Definition, &doc.Definition, false)
				out.API, err = w.replaceDefinition(ctx, in.APIID, &a.Definition)
			}
		default:
			out.API, err = w.replaceDefinition(ctx, in.APIID, &doc.Definition)
		}
		if err != nil {
			return err
		}
		if in.APIID == "" || !in.Merge { // a merged document is a part of the API
			if err := w.keepDocument(ctx, out.API.ID, &Document{in.SourceName, doc.Format, in.Source, out.Problems}); err != nil {
				return err
			}
		}
		return w.audit(ctx, "api.import", out.API.ID, map[string]any{"name": out.API.Name, "source": in.SourceName,
			"format": doc.Format, "revision": out.API.Revision, "operations": doc.Operations, "problems": len(doc.Problems)})
	})
	if err != nil {
		return Imported{}, err
	}
	return out, nil
}

// readDocument reads what is to be imported.
func readDocument(actor Actor, in ImportAPI) (*openapi.Result, error) {
	if err := actor.May(ToBuild); err != nil { // before work is spent on it
		return nil, err
	}
	if len(in.Source) > MaxSourceBytes {
		return nil, model.Errorf(model.Limit, "the document has %d bytes; at most %d are allowed", len(in.Source), MaxSourceBytes)
	}
	return openapi.Import(in.Source, openapi.Options{RequireKey: in.RequireKey, Upstream: in.Upstream, BaseURL: in.BaseURL, Name: in.Name})
}

// Checked is what an import would come to.
type Checked struct {
	Name, Format string
	Operations   int
	Methods      int // of the API
	Problems     []model.Problem
	Stops        []model.Problem     // what would keep the API from being deployed
	Changes      []model.RouteChange // of the API that is there
	Effects      []changes.Change    // for callers, against the API that is there
}

// CheckImport says what ImportAPI would do, and changes nothing.
func (p *Plane) CheckImport(ctx context.Context, actor Actor, in ImportAPI) (Checked, error) {
	doc, err := readDocument(actor, in)
	if err != nil {
		return Checked{}, err
	}
	now := &doc.Definition
	out := Checked{Name: now.Name, Format: doc.Format, Operations: doc.Operations, Problems: doc.Problems}
	if in.APIID != "" {
		a, err := p.API(ctx, actor, in.APIID)
		if err != nil {
			return Checked{}, err
		}
		was := a.Definition
		if in.Merge {
			// What is joined must not reach into what it is compared with.
			kept, _, err := encodeDefinition(&was)
			if err != nil {
				return Checked{}, err
			}
			joined := &model.Definition{}
			if err := json.Unmarshal(kept, joined); err != nil {
				return Checked{}, err
			}
			openapi.Merge(joined, now, false)
			now = joined
		}
		out.Changes, out.Effects = model.Compare(&was, now), changes.Compare(changes.State{Definition: &was}, changes.State{Definition: now})
	}
	if _, _, err := encodeDefinition(now); err != nil { // as it would be refused
		return Checked{}, err
	}
	out.Methods = now.MethodCount()
	out.Stops, _ = p.Undeployable(actor, in.APIID, now)
	return out, nil
}

// Document is what a definition was read from, byte for byte.
type Document struct {
	Name     string // of the file or URL
	Format   string // "openapi 3.0.3"
	Source   []byte
	Problems []model.Problem // of reading it
}

// keepDocument makes a document the API's present one.
func (w *write) keepDocument(ctx context.Context, apiID string, doc *Document) error {
	sum := sha256.Sum256(doc.Source)
	problems := doc.Problems
	if problems == nil {
		problems = []model.Problem{}
	}
	if _, err := w.Exec(ctx, `
		insert into api_source (tenant_id, api_id, name, format, sha256, bytes, problems) values ($1, $2, $3, $4, $5, $6, $7)
		on conflict (tenant_id, api_id, sha256) do update set name = excluded.name, format = excluded.format, problems = excluded.problems, imported_at = now()`,
		w.tenant, apiID, doc.Name, doc.Format, sum[:], doc.Source, problems); err != nil {
		return err
	}
	// The document before is kept while a deployment was made from it.
	_, err := w.Exec(ctx, `
		with now as (
			update api set source_sha256 = $3 where tenant_id = $1 and api_id = $2)
		delete from api_source s where s.tenant_id = $1 and s.api_id = $2 and s.sha256 <> $3
			and not exists (select from deployment d where (d.tenant_id, d.api_id, d.source_sha256) = (s.tenant_id, s.api_id, s.sha256))`,
		w.tenant, apiID, sum[:])
	return err
}

// PutDocument takes a document into an API that is there: edit makes the definition
// that it comes to, and its tags join those of the API. The document becomes the API's
// own when it is all that the API is made of; nil: it is a part.
func (p *Plane) PutDocument(ctx context.Context, actor Actor, id string, doc *Document, tags map[string]string, edit func(*model.Definition) error) (APIDetail, error) {
	var out APIDetail
	_, err := p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		var err error
		if out, err = readAPI(ctx, w, w.tenant, id); err != nil {
			return err
		}
		if err := edit(&out.Definition); err != nil {
			return err
		}
		if out.API, err = w.replaceDefinition(ctx, id, &out.Definition); err != nil {
			return err
		}
		if err := w.tag(ctx, "/restapis/"+id, tags, nil); err != nil {
			return err
		}
		if doc != nil {
			if err := w.keepDocument(ctx, id, doc); err != nil {
				return err
			}
		}
		err = w.QueryRow(ctx, `select coalesce((select tags from tag where tenant_id = $1 and resource = '/restapis/' || $2), '{}')`, w.tenant, id).Scan(&out.API.Tags)
		if err != nil {
			return err
		}
		return w.audit(ctx, "api.import", id, map[string]any{"revision": out.Revision, "hash": out.Hash})
	})
	if err != nil {
		return APIDetail{}, err
	}
	return out, nil
}
