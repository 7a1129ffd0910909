package control

import (
	"context"
	"maps"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// Limits of the tags of one thing, as on Amazon.
const (
	MaxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
)

// Tags are those of a thing that is there, by the path in its ARN
// ("/restapis/abcdef1234").
func (p *Plane) Tags(ctx context.Context, actor Actor, resource string) (map[string]string, error) {
	resource = tagged(resource)
	tags := map[string]string{}
	err := p.readAs(ctx, actor, func(tx pgx.Tx) error {
		if err := taggable(ctx, tx, actor.Tenant, resource); err != nil {
			return err
		}
		err := tx.QueryRow(ctx, `select tags from tag where tenant_id = $1 and resource = $2`, actor.Tenant, resource).Scan(&tags)
		if err == pgx.ErrNoRows {
			return nil
		}
		return err
	})
	return tags, err
}

// SetTags adds tags to a thing that is there, and takes some away.
func (p *Plane) SetTags(ctx context.Context, actor Actor, resource string, add map[string]string, remove []string) error {
	resource = tagged(resource)
	_, err := p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		if err := taggable(ctx, w, w.tenant, resource); err != nil {
			return err
		}
		if err := w.tag(ctx, resource, add, remove); err != nil {
			return err
		}
		return w.audit(ctx, "tags.change", resource, map[string]any{"add": add, "remove": remove})
	})
	return err
}

// tagged is a path in the form that tags are kept under: case does not matter in
// host names.
func tagged(resource string) string {
	if strings.HasPrefix(resource, "/domainnames/") || strings.HasPrefix(resource, "/domainnameaccessassociations/") {
		return strings.ToLower(resource)
	}
	return resource
}

// taggable says whether there is a thing at a path.
func taggable(ctx context.Context, tx pgx.Tx, tenant uint32, resource string) error {
	parts := strings.Split(strings.Trim(resource, "/"), "/")
	there := false
	var err error
	switch {
	case len(parts) == 2 && parts[0] == "restapis":
		err = tx.QueryRow(ctx, `select exists (select from api where tenant_id = $1 and api_id = $2 and deleted_at is null)`, tenant, parts[1]).Scan(&there)
	case len(parts) == 4 && parts[0] == "restapis" && parts[2] == "stages":
		err = tx.QueryRow(ctx, `select exists (select from stage where tenant_id = $1 and api_id = $2 and name = $3 and deleted_at is null)`, tenant, parts[1], parts[3]).Scan(&there)
	case len(parts) == 2 && parts[0] == "apikeys":
		err = tx.QueryRow(ctx, `select exists (select from api_key where tenant_id = $1 and key_id = $2 and deleted_at is null)`, tenant, parts[1]).Scan(&there)
	case len(parts) == 2 && parts[0] == "usageplans":
		err = tx.QueryRow(ctx, `select exists (select from plan where tenant_id = $1 and plan_id = $2 and deleted_at is null)`, tenant, parts[1]).Scan(&there)
	case len(parts) == 2 && parts[0] == "clientcertificates":
		err = tx.QueryRow(ctx, `select exists (select from client_certificate where tenant_id = $1 and certificate_id = $2)`, tenant, parts[1]).Scan(&there)
	case len(parts) == 2 && parts[0] == "vpclinks":
		err = tx.QueryRow(ctx, `select exists (select from vpc_link where tenant_id = $1 and link_id = $2)`, tenant, parts[1]).Scan(&there)
	case len(parts) == 2 && parts[0] == "domainnames":
		err = tx.QueryRow(ctx, `select exists (select from domain where tenant_id = $1 and key = $2)`, tenant, parts[1]).Scan(&there)
	case len(parts) == 5 && parts[0] == "domainnameaccessassociations" && parts[1] == "domainname" && parts[3] == "vpcesource":
		err = tx.QueryRow(ctx, `
			select exists (select from access_association a join domain d using (tenant_id, domain_num)
				where a.tenant_id = $1 and d.key = $2 and a.source = $3)`, tenant, parts[2], parts[4]).Scan(&there)
	case len(parts) == 2 && parts[0] == "certificates":
		err = tx.QueryRow(ctx, `select exists (select from certificate where tenant_id = $1 and certificate_id = $2 and not owned)`, tenant, parts[1]).Scan(&there)
	}
	if err == nil && !there {
		err = model.Errorf(model.NotFound, "there is nothing to tag at %.200q", resource)
	}
	return err
}

// tag changes the tags of a thing that is there.
func (w *write) tag(ctx context.Context, resource string, add map[string]string, remove []string) error {
	if len(add) == 0 && len(remove) == 0 {
		return nil
	}
	for k, v := range add {
		if k == "" || utf8.RuneCountInString(k) > maxTagKey || utf8.RuneCountInString(v) > maxTagValue || strings.HasPrefix(strings.ToLower(k), "aws:") {
			return model.Errorf(model.Invalid, "tag %.140q: a key has 1 to %d characters and does not begin with aws:, a value has at most %d", k, maxTagKey, maxTagValue)
		}
	}
	tags := map[string]string{}
	err := w.QueryRow(ctx, `select tags from tag where tenant_id = $1 and resource = $2 for update`, w.tenant, resource).Scan(&tags)
	if err != nil && err != pgx.ErrNoRows {
		return err
	}
	maps.Copy(tags, add)
	for _, k := range remove {
		delete(tags, k)
	}
	if len(tags) > MaxTags {
		return model.Errorf(model.Limit, "a thing has at most %d tags, not %d", MaxTags, len(tags))
	}
	_, err = w.Exec(ctx, `
		insert into tag (tenant_id, resource, tags) values ($1, $2, $3)
		on conflict (tenant_id, resource) do update set tags = excluded.tags`, w.tenant, resource, tags)
	return err
}

// untag forgets the tags of a thing that is deleted, and of what was below it.
func (w *write) untag(ctx context.Context, resource string) error {
	_, err := w.Exec(ctx, `delete from tag where tenant_id = $1 and (resource = $2 or starts_with(resource, $2 || '/'))`, w.tenant, resource)
	return err
}
