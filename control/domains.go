package control

import (
	"context"
	"crypto/x509"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// Domain is a custom domain name: what serves on a host that a tenant owns.
type Domain struct {
	Num             uint32               `json:"num"`
	ID              string               `json:"id"`
	Name            string               `json:"name"`
	Settings        model.DomainSettings `json:"settings"`
	CertificateID   string               `json:"certificateId,omitempty"`
	CertificateName string               `json:"certificateName,omitempty"`
	Certificate     *Certificate         `json:"certificate,omitempty"`
	Proof           Proof                `json:"proof"`
	CreatedAt       time.Time            `json:"createdAt"`
	UpdatedAt       time.Time            `json:"updatedAt"`
	Tags            map[string]string    `json:"tags"`
}

// Key tells a domain from the account's others. A public name has no namesakes;
// private ones have their id behind it.
func (d *Domain) Key() string {
	if d.Settings.Private() {
		return d.Name + "+" + d.ID
	}
	return d.Name
}

// Unserved is what is said of private names.
const Unserved = "kept, and not served yet: no gateway answers to a private domain name until it acts on resource policies and VPC endpoints"

// The states of a domain, as Amazon API Gateway names them.
const (
	DomainAvailable        = "AVAILABLE"
	DomainPendingOwnership = "PENDING_OWNERSHIP_VERIFICATION"
	DomainPending          = "PENDING"
)

// Status is whether a domain serves, and what it waits for.
func (d *Domain) Status() (status, message string) {
	switch {
	case d.Settings.Private():
		return DomainAvailable, Unserved
	case d.Proof.VerifiedAt == nil:
		return DomainPendingOwnership, d.Proof.Advice()
	case d.Certificate != nil && d.Certificate.NotAfter == nil:
		if d.Certificate.Message != "" {
			return DomainPending, "waiting for its certificate: " + d.Certificate.Message
		}
		return DomainPending, "waiting for its certificate: the name must lead to the gateway for the certificate authority to see it"
	}
	return DomainAvailable, ""
}

// NewDomain is what CreateDomain makes one of.
type NewDomain struct {
	Name string
	DomainEdit
	Tags map[string]string
}

// DomainEdit is what of a domain can change.
type DomainEdit struct {
	Settings model.DomainSettings
	// CertificateID is one of the account's certificates; "" with no Upload: the
	// nodes' own, until one is got where the installation gets those.
	CertificateID   string
	CertificateName string // of what is uploaded; kept and shown
	// Upload is a certificate for this domain alone, in place of CertificateID.
	Upload *model.ServerCertificate
}

// Limits of an account.
const (
	MaxDomains        = 120 // that are public
	MaxPrivateDomains = 50
	MaxCertificates   = 2500
)

const domainColumns = `d.domain_num, d.domain_id, d.name, d.settings, coalesce(d.certificate_id, ''), d.certificate_name, d.created_at, d.updated_at,
	coalesce((select tags from tag g where g.tenant_id = d.tenant_id and g.resource = '/domainnames/' || d.key), '{}'),
	o.verified_at, o.checked_at, coalesce(o.message, ''), ` + certificateFields

const domainTables = ` from domain d left join owned_name o on (o.tenant_id, o.name) = (d.tenant_id, d.public_name)
	left join certificate c on (c.tenant_id, c.certificate_id) = (d.tenant_id, d.certificate_id)`

func (p *Plane) scanDomain(a Actor, row pgx.CollectableRow) (Domain, error) {
	var d Domain
	var c certificateRow
	into := append([]any{&d.Num, &d.ID, &d.Name, &d.Settings, &d.CertificateID, &d.CertificateName, &d.CreatedAt, &d.UpdatedAt, &d.Tags,
		&d.Proof.VerifiedAt, &d.Proof.CheckedAt, &d.Proof.Message}, c.fields()...)
	if err := row.Scan(into...); err != nil {
		return d, err
	}
	if d.CertificateID != "" {
		cert := c.certificate()
		d.Certificate = &cert
	}
	if !d.Settings.Private() {
		d.Proof.Record, d.Proof.Value = p.proofRecord(a.AccountID, d.Name)
	}
	return d, nil
}

// readDomain reads the one that has the key. A public name may have its id behind it.
func (p *Plane) readDomain(ctx context.Context, tx pgx.Tx, a Actor, key string) (Domain, error) {
	rows, err := tx.Query(ctx, `
		select `+domainColumns+domainTables+`
		where d.tenant_id = $1 and (d.key = lower($2) or not d.private and d.name || '+' || d.domain_id = lower($2))`, a.Tenant, key)
	if err != nil {
		return Domain{}, err
	}
	d, err := pgx.CollectExactlyOneRow(rows, func(r pgx.CollectableRow) (Domain, error) { return p.scanDomain(a, r) })
	return d, missing(err, "there is no domain %.280q", key)
}

// Domains lists the account's by key.
func (p *Plane) Domains(ctx context.Context, actor Actor, pg Page) (List[Domain], error) {
	from, limit, err := pg.bounds()
	if err != nil {
		return List[Domain]{}, err
	}
	var out List[Domain]
	err = p.readAs(ctx, actor, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select `+domainColumns+domainTables+`
			where d.tenant_id = $1 and d.key > $2 order by d.key limit $3`, actor.Tenant, from.ID, limit+1)
		if err != nil {
			return err
		}
		items, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (Domain, error) { return p.scanDomain(actor, r) })
		out = page(items, limit, func(d *Domain) after { return after{ID: d.Key()} })
		return err
	})
	return out, err
}

// Domain is one of the account's, by key.
func (p *Plane) Domain(ctx context.Context, actor Actor, key string) (out Domain, err error) {
	err = p.readAs(ctx, actor, func(tx pgx.Tx) error {
		out, err = p.readDomain(ctx, tx, actor, key)
		return err
	})
	return out, err
}

// CreateDomain keeps a domain name. It serves when its ownership is proved: by a
// DNS record that Proof names, looked for at once and from time to time. A private
// name is kept alone: nobody is asked whether it is theirs, and it never serves.
func (p *Plane) CreateDomain(ctx context.Context, actor Actor, in NewDomain) (Domain, error) {
	name, err := model.DomainName(in.Name)
	if err != nil {
		return Domain{}, err
	}
	if err := p.names.free(name); err != nil {
		return Domain{}, err
	}
	if err := in.check(name, p.now()); err != nil {
		return Domain{}, err
	}
	var out Domain
	_, err = p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		private := in.Settings.Private()
		var n int
		var exists bool
		err := w.QueryRow(ctx, `
			select count(*), coalesce(bool_or(name = $2), false) from domain where tenant_id = $1 and private = $3`, w.tenant, name, private).Scan(&n, &exists)
		if err != nil {
			return err
		}
		if exists && !private {
			return model.Errorf(model.Conflict, "The domain name you provided already exists.")
		}
		if most := map[bool]int{false: MaxDomains, true: MaxPrivateDomains}[private]; n >= most {
			return model.Errorf(model.Limit, "the account has %d such domain names, the most it may have; delete one first", n)
		}
		if !private {
			if err := w.claim(ctx, p, name); err != nil {
				return err
			}
		}
		certificate, err := p.settleCertificate(ctx, w, name, in.DomainEdit)
		if err != nil {
			return err
		}
		var num int64
		var key string
		err = w.QueryRow(ctx, `
			insert into domain (tenant_id, domain_num, domain_id, name, private, certificate_id, certificate_name, settings)
			values ($1, case when $7 then nextval('owned_name_domain_num_seq') else (select domain_num from owned_name where tenant_id = $1 and name = $3) end,
				$2, $3, $7, nullif($4, ''), $5, $6)
			returning domain_num, key`, w.tenant, model.NewID(10), name, certificate, in.CertificateName, in.Settings, private).Scan(&num, &key)
		if err != nil {
			return err
		}
		if err := w.tag(ctx, "/domainnames/"+key, in.Tags, nil); err != nil {
			return err
		}
		if out, err = p.readDomain(ctx, w, actor, key); err != nil {
			return err
		}
		w.changedDomain(&out)
		return w.audit(ctx, "domain.create", key, map[string]any{"certificate": certificate, "mutualTls": in.Settings.MutualTLS != nil, "private": private})
	})
	return out, err
}

// changedDomain notes that nodes must look at a domain. Of private ones they know nothing.
func (w *write) changedDomain(d *Domain) {
	if !d.Settings.Private() {
		w.changed(kindDomain, int64(d.Num))
	}
}

// check completes an edit and reports what it cannot be.
func (e *DomainEdit) check(name string, now time.Time) error {
	s := &e.Settings
	if s.EndpointType == "" {
		s.EndpointType = "EDGE"
	}
	if s.IPAddressType == "" {
		s.IPAddressType = "ipv4"
		if s.Private() {
			s.IPAddressType = "dualstack"
		}
	}
	if s.SecurityPolicy == "" {
		s.SecurityPolicy = "TLS_1_2"
	}
	if s.RoutingMode == "" {
		s.RoutingMode = model.RouteByMapping
	}
	if len(e.CertificateName) > 256 || len(s.OwnershipCertificateARN) > maxARN {
		return model.Errorf(model.Invalid, "a certificate's name has at most 256 characters and an ARN %d", maxARN)
	}
	if s.Private() {
		if strings.HasPrefix(name, "*.") {
			return model.Errorf(model.Invalid, "a private domain name is one name: wildcard names such as %s are not supported", name)
		}
		if e.CertificateID == "" && e.Upload == nil {
			return model.Errorf(model.Invalid, "a private domain name has a certificate: give the ARN of one that is for %s", name)
		}
	}
	if e.Upload != nil {
		if err := e.fits(e.Upload.Leaf, name, now); err != nil {
			return err
		}
	}
	return s.Validate()
}

// fits says why a certificate does not serve a domain with these settings.
func (e *DomainEdit) fits(leaf *x509.Certificate, name string, now time.Time) error {
	if e.Settings.Private() {
		if err := model.FitsPrivate(leaf); err != nil {
			return err
		}
	}
	return model.CertificateFits(leaf, name, now)
}

// settleCertificate is the id of the certificate that an edit asks for: one there
// is, one that comes with it, or one to be got.
func (p *Plane) settleCertificate(ctx context.Context, w *write, name string, e DomainEdit) (string, error) {
	switch {
	case e.Upload != nil:
		id := model.NewRequestID()
		return id, p.putCertificate(ctx, w, id, e.Upload, true)
	case e.CertificateID != "":
		c, err := readServerCertificate(ctx, w, w.tenant, e.CertificateID)
		if err != nil {
			return "", err
		}
		if c.NotAfter == nil { // asked for, and not there yet
			if e.Settings.Private() {
				return "", model.Errorf(model.Invalid, "certificate %s is not issued yet; a private domain name takes one that is", c.ID)
			}
			return c.ID, nil
		}
		leaf, err := model.LeafOf(c.Chain)
		if err != nil {
			return "", err
		}
		return c.ID, e.fits(leaf, name, p.now())
	}
	return "", nil
}

// UpdateDomain changes a domain's settings and certificate, in effect at once.
func (p *Plane) UpdateDomain(ctx context.Context, actor Actor, key string, edit func(*DomainEdit) error) (out Domain, err error) {
	_, err = p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		d, err := p.readDomain(ctx, w, actor, key)
		if err != nil {
			return err
		}
		e := DomainEdit{Settings: d.Settings, CertificateID: d.CertificateID, CertificateName: d.CertificateName}
		if err := edit(&e); err != nil {
			return err
		}
		if e.Settings.Private() != d.Settings.Private() {
			return model.Errorf(model.Invalid, "a public domain name cannot be made private, nor a private one public: make another")
		}
		if err := e.check(d.Name, p.now()); err != nil {
			return err
		}
		certificate := d.CertificateID
		if e.Upload != nil || e.CertificateID != d.CertificateID {
			if certificate, err = p.settleCertificate(ctx, w, d.Name, e); err != nil {
				return err
			}
		}
		if _, err := w.Exec(ctx, `
			update domain set settings = $3, certificate_id = nullif($4, ''), certificate_name = $5, updated_at = now()
			where tenant_id = $1 and domain_num = $2`, w.tenant, d.Num, e.Settings, certificate, e.CertificateName); err != nil {
			return err
		}
		if certificate != d.CertificateID {
			if err := w.dropOwned(ctx, d.CertificateID); err != nil {
				return err
			}
		}
		w.changedDomain(&d)
		if out, err = p.readDomain(ctx, w, actor, d.Key()); err != nil {
			return err
		}
		return w.audit(ctx, "domain.update", d.Key(), map[string]any{"certificate": certificate, "mutualTls": e.Settings.MutualTLS != nil})
	})
	return out, err
}

// DeleteDomain ends a domain with its mappings and rules, and its claim to the name.
func (p *Plane) DeleteDomain(ctx context.Context, actor Actor, key string) error {
	_, err := p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		d, err := p.readDomain(ctx, w, actor, key)
		if err != nil {
			return err
		}
		if err := w.noAssociations(ctx, d); err != nil {
			return err
		}
		if _, err := w.Exec(ctx, `delete from domain where tenant_id = $1 and domain_num = $2`, w.tenant, d.Num); err != nil {
			return err
		}
		if err := w.dropOwned(ctx, d.CertificateID); err != nil {
			return err
		}
		if !d.Settings.Private() { // the claim ends; its row stays, for the number
			if _, err := w.Exec(ctx, `
				update owned_name set verified_at = null, checked_at = now() where tenant_id = $1 and name = $2`, w.tenant, d.Name); err != nil {
				return err
			}
		}
		if err := w.untag(ctx, "/domainnames/"+d.Key()); err != nil {
			return err
		}
		w.changedDomain(&d)
		return w.audit(ctx, "domain.delete", d.Key(), nil)
	})
	return err
}

// changedDomains notes the domains for which a query has numbers.
func (w *write) changedDomains(ctx context.Context, sql string, args ...any) error {
	rows, err := w.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	nums, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	for _, n := range nums {
		w.changed(kindDomain, n)
	}
	return err
}
