package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

const apiColumns = `a.api_id, a.name, a.revision, a.methods, a.hash, a.created_at, a.updated_at, a.about,
	coalesce((select tags from tag g where g.tenant_id = a.tenant_id and g.resource = '/restapis/' || a.api_id), '{}'),
	coalesce((select jsonb_agg(jsonb_build_object('name', s.name, 'deploymentId', s.deployment_id, 'behind', d.hash <> a.hash) order by s.name)
		from stage s join deployment d using (tenant_id, api_id, deployment_id)
		where s.tenant_id = a.tenant_id and s.api_id = a.api_id and s.deleted_at is null), '[]')`

// fields are where apiColumns are read to.
func (a *API) fields() []any {
	return []any{&a.ID, &a.Name, &a.Revision, &a.Methods, &a.Hash, &a.CreatedAt, &a.UpdatedAt, &a.About, &a.Tags, &a.Stages}
}

// APIs lists the tenant's APIs by name.
func (p *Plane) APIs(ctx context.Context, actor Actor, pg Page) (List[API], error) {
	from, limit, err := pg.bounds()
	if err != nil {
		return List[API]{}, err
	}
	order := `a.name`
	if pg.Oldest { // as text that sorts as the times do
		order = `to_char(a.created_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')`
	}
	var out List[API]
	err = p.readAs(ctx, actor, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select `+apiColumns+` from api a
			where a.tenant_id = $1 and a.deleted_at is null and (`+order+`, a.api_id) > ($2, $3)
			  and ($4 = '' or position(lower($4) in lower(a.name)) > 0)
			order by `+order+`, a.api_id limit $5`, actor.Tenant, from.Name, from.ID, pg.Match, limit+1)
		if err != nil {
			return err
		}
		items, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (a API, err error) {
			return a, r.Scan(a.fields()...)
		})
		out = page(items, limit, func(a *API) after {
			if pg.Oldest {
				return after{a.CreatedAt.UTC().Format("2006-01-02 15:04:05.000000"), a.ID}
			}
			return after{a.Name, a.ID}
		})
		return err
	})
	return out, err
}

// API is one API with its definition.
func (p *Plane) API(ctx context.Context, actor Actor, id string) (APIDetail, error) {
	var out APIDetail
	err := p.readAs(ctx, actor, func(tx pgx.Tx) error {
		var err error
		out, err = readAPI(ctx, tx, actor.Tenant, id)
		return err
	})
	return out, err
}

func readAPI(ctx context.Context, tx pgx.Tx, tenant uint32, id string) (APIDetail, error) {
	var d APIDetail
	b := &pgx.Batch{}
	queueAPI(b, tenant, id, &d)
	return d, tx.SendBatch(ctx, b).Close()
}

// queueAPI is readAPI in a batch.
func queueAPI(b *pgx.Batch, tenant uint32, id string, into *APIDetail) {
	var doc []byte
	queueDocument(b, tenant, id, &into.API, &doc, func() error {
		into.Definition = model.Definition{}
		return json.Unmarshal(doc, &into.Definition)
	})
}

// queueDocument reads an API with its definition in its stored form, in a batch; then
// runs then.
func queueDocument(b *pgx.Batch, tenant uint32, id string, into *API, doc *[]byte, then func() error) {
	b.Queue(`
		select `+apiColumns+`, a.definition from api a
		where a.tenant_id = $1 and a.api_id = $2 and a.deleted_at is null`, tenant, id).QueryRow(func(r pgx.Row) error {
		*into = API{}
		if err := r.Scan(append(into.fields(), doc)...); err != nil {
			return missing(err, "there is no API %q", id)
		}
		return then()
	})
}

// Source is the document the API was last imported from.
func (p *Plane) Source(ctx context.Context, actor Actor, id string) (Source, error) {
	var s Source
	err := p.readAs(ctx, actor, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			select s.name, s.format, encode(s.sha256, 'hex'), s.imported_at, s.problems, s.bytes
			from api a join api_source s on (s.tenant_id, s.api_id, s.sha256) = (a.tenant_id, a.api_id, a.source_sha256)
			where a.tenant_id = $1 and a.api_id = $2`, actor.Tenant, id).
			Scan(&s.Name, &s.Format, &s.SHA256, &s.ImportedAt, &s.Problems, &s.Bytes)
		return missing(err, "there is no API %q that was imported from a document", id)
	})
	if err != nil {
		return Source{}, err
	}
	return s, nil
}

// encodeDefinition completes and checks a whole definition and gives it its stored
// form, and the hash of that: what Hash gives.
func encodeDefinition(d *model.Definition) (doc []byte, hash string, err error) {
	d.Complete()
	d.Sort()
	if err := d.Validate(); err != nil {
		return nil, "", err
	}
	if doc, err = json.Marshal(d); err != nil {
		return nil, "", err
	}
	if len(doc) > model.MaxDefinitionBytes {
		return nil, "", model.Errorf(model.Limit, "the definition has %d bytes; at most %d are allowed", len(doc), model.MaxDefinitionBytes)
	}
	sum := sha256.Sum256(doc)
	return doc, hex.EncodeToString(sum[:]), nil
}

// createAPI writes a new API.
func (w *write) createAPI(ctx context.Context, d *model.Definition) (API, error) {
	var a API
	id := model.NewID(10)
	d.OwnModels(id)
	doc, hash, err := encodeDefinition(d)
	if err != nil {
		return a, err
	}
	err = w.QueryRow(ctx, `
		insert into api as a (tenant_id, api_id, name, definition, hash, methods, about) values ($1, $2, $3, $4, $5, $6, $7)
		returning `+apiColumns, w.tenant, id, d.Name, doc, hash, d.MethodCount(), d.About()).Scan(a.fields()...)
	return a, err
}

// replaceDefinition writes an API's next revision.
func (w *write) replaceDefinition(ctx context.Context, id string, d *model.Definition) (API, error) {
	var a API
	d.OwnModels(id)
	doc, hash, err := encodeDefinition(d)
	if err != nil {
		return a, err
	}
	b := &pgx.Batch{}
	w.queueDefinition(b, id, d, doc, hash, 1, &a)
	return a, w.SendBatch(ctx, b).Close()
}

// queueDefinition writes what a number of changes made of a definition, and its stored
// form with that's hash, in a batch.
func (w *write) queueDefinition(b *pgx.Batch, id string, d *model.Definition, doc []byte, hash string, changes int, into *API) {
	b.Queue(`
		update api a set name = $3, definition = $4, hash = $5, methods = $6, about = $7, revision = a.revision + $8, updated_at = now()
		where a.tenant_id = $1 and a.api_id = $2 and a.deleted_at is null
		returning `+apiColumns, w.tenant, id, d.Name, doc, hash, d.MethodCount(), d.About(), changes).QueryRow(func(r pgx.Row) error {
		return missing(r.Scan(into.fields()...), "there is no API %q", id)
	})
}

// UpdateDefinition changes an API's definition as a whole: change gets the present
// one, the result is validated and becomes the next revision. A revision other
// than 0 must be the present one. Nothing is served differently until a deploy.
// It may be made in one transaction with others that came at the same time: change may
// run in another goroutine, and again where the database asks for that.
func (p *Plane) UpdateDefinition(ctx context.Context, actor Actor, id string, revision int64, change func(*model.Definition) error) (APIDetail, error) {
	if err := actor.May(ToBuild); err != nil {
		return APIDetail{}, err
	}
	e := &edit{ctx: ctx, actor: actor, revision: revision, apply: change}
	p.change(id, e)
	return e.out, e.err
}

// DeleteAPI removes an API with its deployments. While stages serve it that needs
// force, and the nodes then stop serving them.
func (p *Plane) DeleteAPI(ctx context.Context, actor Actor, id string, force bool) error {
	_, err := p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		a, err := readAPI(ctx, w, w.tenant, id)
		if err != nil {
			return err
		}
		stages, err := listStages(ctx, w, w.tenant, id)
		if err != nil {
			return err
		}
		names := make([]string, len(stages))
		for i, s := range stages {
			names[i] = s.Name
		}
		if len(stages) > 0 && !force {
			return model.Errorf(model.Conflict, "API %s is served on %s: delete its stages first, or force the deletion", id, strings.Join(names, ", "))
		}
		if err := w.unmapped(ctx, id, ""); err != nil {
			return err
		}
		for _, s := range stages {
			if err := w.dropStage(ctx, s.Num); err != nil {
				return err
			}
		}
		if err := w.untag(ctx, "/restapis/"+id); err != nil {
			return err
		}
		for _, sql := range []string{
			`delete from deployment where tenant_id = $1 and api_id = $2`,
			`delete from documentation_version where tenant_id = $1 and api_id = $2`,
			`delete from api_source where tenant_id = $1 and api_id = $2`,
			`update api set definition = null, deleted_at = now() where tenant_id = $1 and api_id = $2`,
		} {
			if _, err := w.Exec(ctx, sql, w.tenant, id); err != nil {
				return err
			}
		}
		return w.audit(ctx, "api.delete", id, map[string]any{"name": a.Name, "stages": names})
	})
	return err
}
