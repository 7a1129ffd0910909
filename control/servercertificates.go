package control

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// Certificate is one that domains are served with. Its private key is sealed in
// the database and shown to nobody.
type Certificate struct {
	ID        string            `json:"id"`
	Kind      string            `json:"kind"` // CertificateImported or CertificateACME
	Name      string            `json:"name"`
	Others    []string          `json:"others,omitempty"`
	Chain     string            `json:"chain,omitempty"` // PEM, the leaf first; "": not issued yet
	NotBefore *time.Time        `json:"notBefore,omitempty"`
	NotAfter  *time.Time        `json:"notAfter,omitempty"` // nil: not issued yet
	Message   string            `json:"message,omitempty"`  // why not
	CreatedAt time.Time         `json:"createdAt"`
	IssuedAt  *time.Time        `json:"issuedAt,omitempty"` // or imported
	Domains   []string          `json:"domains,omitempty"`  // that are served with it
	Owned     bool              `json:"owned,omitempty"`    // by one domain, with which it comes and goes
	Proof     *Proof            `json:"proof,omitempty"`    // of the name of one to be issued
	Tags      map[string]string `json:"tags,omitempty"`
}

// Where a certificate comes from.
const (
	CertificateImported = "imported"
	CertificateACME     = "acme" // issued, and renewed, by a certificate authority
)

// Names are those that the certificate is for.
func (c *Certificate) Names() []string { return append([]string{c.Name}, c.Others...) }

const certificateFields = `c.certificate_id, c.kind, c.name, c.others, c.chain, c.not_before, c.not_after, c.message, c.created_at, c.issued_at, c.owned`

// certificateRow is a row of a certificate that may not be there.
type certificateRow struct {
	id, kind, name, chain, message *string
	others                         []string
	before, after, created, issued *time.Time
	owned                          *bool
}

func (r *certificateRow) fields() []any {
	return []any{&r.id, &r.kind, &r.name, &r.others, &r.chain, &r.before, &r.after, &r.message, &r.created, &r.issued, &r.owned}
}

func (r *certificateRow) certificate() Certificate {
	c := Certificate{ID: *r.id, Kind: *r.kind, Name: *r.name, Others: r.others, NotBefore: r.before, NotAfter: r.after,
		Message: *r.message, CreatedAt: *r.created, IssuedAt: r.issued, Owned: *r.owned}
	if r.chain != nil {
		c.Chain = *r.chain
	}
	return c
}

const certificateQuery = `select ` + certificateFields + `,
	coalesce((select array_agg(d.key order by d.name, d.domain_num) from domain d where d.tenant_id = c.tenant_id and d.certificate_id = c.certificate_id), '{}'),
	coalesce((select tags from tag g where g.tenant_id = c.tenant_id and g.resource = '/certificates/' || c.certificate_id), '{}')
	from certificate c where c.tenant_id = $1 and not c.owned`

func scanCertificate(r pgx.CollectableRow) (Certificate, error) {
	var row certificateRow
	var domains []string
	var tags map[string]string
	if err := r.Scan(append(row.fields(), &domains, &tags)...); err != nil {
		return Certificate{}, err
	}
	c := row.certificate()
	c.Domains, c.Tags = domains, tags
	return c, nil
}

// Certificates lists those of the account that can be chosen for a domain, by id.
func (p *Plane) Certificates(ctx context.Context, actor Actor, pg Page) (List[Certificate], error) {
	from, limit, err := pg.bounds()
	if err != nil {
		return List[Certificate]{}, err
	}
	var out List[Certificate]
	err = p.readAs(ctx, actor, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, certificateQuery+` and c.certificate_id > $2 order by c.certificate_id limit $3`, actor.Tenant, from.ID, limit+1)
		if err != nil {
			return err
		}
		items, err := pgx.CollectRows(rows, scanCertificate)
		out = page(items, limit, func(c *Certificate) after { return after{ID: c.ID} })
		return err
	})
	return out, err
}

// Certificate is one of the account's.
func (p *Plane) Certificate(ctx context.Context, actor Actor, id string) (out Certificate, err error) {
	err = p.readAs(ctx, actor, func(tx pgx.Tx) error {
		if out, err = readServerCertificate(ctx, tx, actor.Tenant, id); err != nil || out.Kind != CertificateACME {
			return err
		}
		out.Proof = &Proof{Name: out.Name}
		out.Proof.Record, out.Proof.Value = p.proofRecord(actor.AccountID, out.Name)
		err := tx.QueryRow(ctx, `
			select verified_at, checked_at, message from owned_name where tenant_id = $1 and name = $2`, actor.Tenant, out.Name).
			Scan(&out.Proof.VerifiedAt, &out.Proof.CheckedAt, &out.Proof.Message)
		if err == pgx.ErrNoRows {
			return nil
		}
		return err
	})
	return out, err
}

func readServerCertificate(ctx context.Context, tx pgx.Tx, tenant uint32, id string) (Certificate, error) {
	rows, err := tx.Query(ctx, certificateQuery+` and c.certificate_id = $2`, tenant, id)
	if err != nil {
		return Certificate{}, err
	}
	c, err := pgx.CollectExactlyOneRow(rows, scanCertificate)
	return c, missing(err, "there is no certificate %.60q", id)
}

// ImportCertificate keeps a certificate with its key, or puts it in the place of the
// imported one with that id: what is served with that one follows at once.
func (p *Plane) ImportCertificate(ctx context.Context, actor Actor, id string, in *model.ServerCertificate, tags map[string]string) (out Certificate, err error) {
	if p.now().After(in.Leaf.NotAfter) {
		return out, model.Errorf(model.Invalid, "the certificate ended on %s", in.Leaf.NotAfter.UTC().Format(time.DateOnly))
	}
	if len(in.Leaf.DNSNames) == 0 {
		return out, model.Errorf(model.Invalid, "the certificate names no host (subject alternative name)")
	}
	_, err = p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		id := id
		if id == "" {
			id = model.NewRequestID()
			if err := w.roomForCertificate(ctx); err != nil {
				return err
			}
		} else {
			old, err := readServerCertificate(ctx, w, w.tenant, id)
			if err != nil {
				return err
			}
			if old.Kind != CertificateImported {
				return model.Errorf(model.Invalid, "certificate %s is issued and renewed by itself; only an imported one can be imported anew", id)
			}
			for _, key := range old.Domains {
				name, _, private := strings.Cut(key, "+")
				if private {
					if err := model.FitsPrivate(in.Leaf); err != nil {
						return err
					}
				}
				if err := model.CertificateFits(in.Leaf, name, p.now()); err != nil {
					return err
				}
			}
		}
		if err := p.putCertificate(ctx, w, id, in, false); err != nil {
			return err
		}
		if err := w.tag(ctx, "/certificates/"+id, tags, nil); err != nil {
			return err
		}
		if err := w.changedDomains(ctx, `select domain_num from domain where tenant_id = $1 and certificate_id = $2 and not private`, w.tenant, id); err != nil {
			return err
		}
		if out, err = readServerCertificate(ctx, w, w.tenant, id); err != nil {
			return err
		}
		return w.audit(ctx, "certificate.import", id, map[string]any{"name": out.Name, "until": out.NotAfter})
	})
	return out, err
}

func (w *write) roomForCertificate(ctx context.Context) error {
	var n int
	if err := w.QueryRow(ctx, `select count(*) from certificate where tenant_id = $1`, w.tenant).Scan(&n); err != nil {
		return err
	}
	if n >= MaxCertificates {
		return model.Errorf(model.Limit, "the account has %d certificates, the most it may have; delete one first", n)
	}
	return nil
}

func (p *Plane) putCertificate(ctx context.Context, w *write, id string, in *model.ServerCertificate, owned bool) error {
	names := in.Leaf.DNSNames
	_, err := w.Exec(ctx, `
		insert into certificate (tenant_id, certificate_id, kind, name, others, owned, chain, private_key, not_before, not_after, issued_at)
		values ($1, $2, 'imported', $3, $4, $5, $6, $7, $8, $9, now())
		on conflict (tenant_id, certificate_id) do update set name = excluded.name, others = excluded.others, chain = excluded.chain,
			private_key = excluded.private_key, not_before = excluded.not_before, not_after = excluded.not_after, issued_at = now()`,
		w.tenant, id, names[0], names[1:], owned, in.Chain, p.sealSecret("certificate/"+id, in.Key), in.Leaf.NotBefore, in.Leaf.NotAfter)
	return err
}

// RequestCertificate asks for a certificate that is issued, and renewed, once the
// ownership of its name is proved. Names with a wildcard cannot be had: a
// certificate authority would have to be shown control of the whole zone.
func (p *Plane) RequestCertificate(ctx context.Context, actor Actor, name string, tags map[string]string) (out Certificate, err error) {
	if err := actor.May(ToBuild); err != nil {
		return out, err
	}
	if !p.names.acme {
		return out, model.Errorf(model.Invalid, "this installation gets no certificates: its operator sets TOLLGATE_ACME_EMAIL; import one instead")
	}
	if name, err = model.DomainName(name); err != nil {
		return out, err
	}
	if err := p.names.free(name); err != nil {
		return out, err
	}
	if name[0] == '*' || model.LocalName(name) {
		return out, model.Errorf(model.Invalid, "no certificate is issued for %s: names with a wildcard and those of one machine need an imported one", name)
	}
	_, err = p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		if err := w.roomForCertificate(ctx); err != nil {
			return err
		}
		if err := w.claim(ctx, p, name); err != nil {
			return err
		}
		id, err := w.requestCertificate(ctx, name, false)
		if err != nil {
			return err
		}
		if err := w.tag(ctx, "/certificates/"+id, tags, nil); err != nil {
			return err
		}
		if out, err = readServerCertificate(ctx, w, w.tenant, id); err != nil {
			return err
		}
		return w.audit(ctx, "certificate.request", id, map[string]any{"name": name})
	})
	if err != nil {
		return out, err
	}
	return p.Certificate(ctx, actor, out.ID)
}

func (w *write) requestCertificate(ctx context.Context, name string, owned bool) (id string, err error) {
	id = model.NewRequestID()
	_, err = w.Exec(ctx, `
		insert into certificate (tenant_id, certificate_id, kind, name, owned) values ($1, $2, 'acme', $3, $4)`, w.tenant, id, name, owned)
	return id, err
}

// DeleteCertificate forgets a certificate that no domain is served with.
func (p *Plane) DeleteCertificate(ctx context.Context, actor Actor, id string) error {
	_, err := p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		c, err := readServerCertificate(ctx, w, w.tenant, id)
		if err != nil {
			return err
		}
		if len(c.Domains) > 0 {
			return model.Errorf(model.Conflict, "Certificate %s is in use by %d domain names, %s among them", id, len(c.Domains), c.Domains[0])
		}
		if _, err := w.Exec(ctx, `delete from certificate where tenant_id = $1 and certificate_id = $2`, w.tenant, id); err != nil {
			return err
		}
		if err := w.untag(ctx, "/certificates/"+id); err != nil {
			return err
		}
		return w.audit(ctx, "certificate.delete", id, map[string]any{"name": c.Name})
	})
	return err
}

// dropOwned deletes a certificate that a domain had for itself.
func (w *write) dropOwned(ctx context.Context, id string) error {
	_, err := w.Exec(ctx, `delete from certificate where tenant_id = $1 and certificate_id = $2 and owned`, w.tenant, id)
	return err
}
