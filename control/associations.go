package control

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// AccessAssociation opens a private domain to calls through a VPC endpoint. It is kept:
// private domains are not served yet.
type AccessAssociation struct {
	Domain    string            `json:"domain"` // key
	Source    string            `json:"source"` // the endpoint's id
	CreatedAt time.Time         `json:"createdAt"`
	Tags      map[string]string `json:"tags"`
}

// MaxAccessAssociations of an account, as on Amazon.
const MaxAccessAssociations = 100

// Path is the association's in its ARN.
func (a *AccessAssociation) Path() string {
	return "/domainnameaccessassociations/domainname/" + a.Domain + "/vpcesource/" + a.Source
}

const associationRows = `
	select d.key, a.source, a.created_at,
		coalesce((select tags from tag g where g.tenant_id = a.tenant_id
			and g.resource = '/domainnameaccessassociations/domainname/' || d.key || '/vpcesource/' || a.source), '{}')
	from access_association a join domain d using (tenant_id, domain_num) where a.tenant_id = $1`

func readAssociation(ctx context.Context, tx pgx.Tx, tenant uint32, domain, source string) (AccessAssociation, error) {
	rows, err := tx.Query(ctx, associationRows+` and d.key = lower($2) and a.source = $3`, tenant, domain, source)
	if err != nil {
		return AccessAssociation{}, err
	}
	a, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[AccessAssociation])
	return a, missing(err, "there is no association of %.280q with %.80q", domain, source)
}

// AccessAssociations lists the account's, by domain and endpoint.
func (p *Plane) AccessAssociations(ctx context.Context, actor Actor, pg Page) (List[AccessAssociation], error) {
	from, limit, err := pg.bounds()
	if err != nil {
		return List[AccessAssociation]{}, err
	}
	var out List[AccessAssociation]
	err = p.readAs(ctx, actor, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, associationRows+` and (d.key, a.source) > ($2, $3) order by d.key, a.source limit $4`, actor.Tenant, from.Name, from.ID, limit+1)
		if err != nil {
			return err
		}
		items, err := pgx.CollectRows(rows, pgx.RowToStructByPos[AccessAssociation])
		out = page(items, limit, func(a *AccessAssociation) after { return after{Name: a.Domain, ID: a.Source} })
		return err
	})
	return out, err
}

// Associate opens a private domain of the account to a VPC endpoint, which leads to one
// domain of a name.
func (p *Plane) Associate(ctx context.Context, actor Actor, domain, source string, tags map[string]string) (out AccessAssociation, err error) {
	if !model.VPCEndpoint(source) {
		return out, model.Errorf(model.Invalid, "Invalid VPC endpoint specified: %.200s", source)
	}
	_, err = p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		d, err := p.readDomain(ctx, w, actor, domain)
		if err != nil {
			return err
		}
		if !d.Settings.Private() {
			return model.Errorf(model.Invalid, "%s is a public domain name; only private ones are associated with VPC endpoints", d.Name)
		}
		var n int
		var taken *string
		err = w.QueryRow(ctx, `
			select count(*), min(d.key) filter (where a.name = $2 and a.source = $3)
			from access_association a join domain d using (tenant_id, domain_num) where a.tenant_id = $1`, w.tenant, d.Name, source).Scan(&n, &taken)
		switch {
		case err != nil:
			return err
		case taken != nil && *taken == d.Key():
			return model.Errorf(model.Conflict, "The domain name access association already exists.")
		case taken != nil:
			return model.Errorf(model.Conflict, "VPC endpoint %s is associated with %s already: an endpoint leads to one private domain of a name", source, *taken)
		case n >= MaxAccessAssociations:
			return model.Errorf(model.Limit, "the account has %d domain name access associations, the most it may have; delete one first", n)
		}
		if _, err := w.Exec(ctx, `
			insert into access_association (tenant_id, domain_num, name, source) values ($1, $2, $3, $4)`, w.tenant, d.Num, d.Name, source); err != nil {
			return err
		}
		a := AccessAssociation{Domain: d.Key(), Source: source}
		if err := w.tag(ctx, a.Path(), tags, nil); err != nil {
			return err
		}
		if out, err = readAssociation(ctx, w, w.tenant, a.Domain, source); err != nil {
			return err
		}
		return w.audit(ctx, "domain.associate", a.Domain, map[string]any{"source": source})
	})
	return out, err
}

// Dissociate ends an association.
func (p *Plane) Dissociate(ctx context.Context, actor Actor, domain, source string) error {
	_, err := p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		a, err := readAssociation(ctx, w, w.tenant, domain, source)
		if err != nil {
			return err
		}
		if _, err := w.Exec(ctx, `
			delete from access_association a using domain d
			where a.tenant_id = $1 and (d.tenant_id, d.domain_num) = (a.tenant_id, a.domain_num) and d.key = $2 and a.source = $3`, w.tenant, a.Domain, source); err != nil {
			return err
		}
		if err := w.untag(ctx, a.Path()); err != nil {
			return err
		}
		return w.audit(ctx, "domain.dissociate", a.Domain, map[string]any{"source": source})
	})
	return err
}

// RejectAssociation is how the owner of a private domain shuts out another account's
// endpoint. No other account can associate one yet, and one's own is deleted instead.
func (p *Plane) RejectAssociation(ctx context.Context, actor Actor, domain, source string) error {
	_, err := p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		if _, err := readAssociation(ctx, w, w.tenant, domain, source); err != nil {
			return err
		}
		return model.Errorf(model.Invalid, "You can't reject a domain name access association in your own account. Delete it instead.")
	})
	return err
}

// noAssociations refuses to take a domain away from endpoints that lead to it.
func (w *write) noAssociations(ctx context.Context, d Domain) error {
	var sources []string
	err := w.QueryRow(ctx, `
		select coalesce(array_agg(source order by source), '{}') from access_association where tenant_id = $1 and domain_num = $2`, w.tenant, d.Num).Scan(&sources)
	if err != nil || len(sources) == 0 {
		return err
	}
	return model.Errorf(model.Invalid, "Please remove all domain name access associations of the domain name first: %.500s", strings.Join(sources, ", "))
}
