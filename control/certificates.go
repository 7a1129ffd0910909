package control

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// ClientCertificate is what a gateway shows to back ends. Its private key is sealed
// in the database and shown to nobody.
type ClientCertificate struct {
	ID          string            `json:"id"`
	Description string            `json:"description,omitempty"`
	PEM         string            `json:"pem"`
	CreatedAt   time.Time         `json:"createdAt"`
	ExpiresAt   time.Time         `json:"expiresAt"`
	Tags        map[string]string `json:"tags"`
}

const certificateColumns = `c.certificate_id, c.description, c.certificate, c.created_at, c.expires_at,
	coalesce((select tags from tag g where g.tenant_id = c.tenant_id and g.resource = '/clientcertificates/' || c.certificate_id), '{}')`

func (c *ClientCertificate) fields() []any {
	return []any{&c.ID, &c.Description, &c.PEM, &c.CreatedAt, &c.ExpiresAt, &c.Tags}
}

// Limits of an account's client certificates and of one's description.
const (
	MaxClientCertificates = 60
	maxThingDescription   = 1024
)

const certificateYears = 1

func checkDescription(s string) error {
	if n := utf8.RuneCountInString(s); n > maxThingDescription {
		return model.Errorf(model.Invalid, "the description has %d characters; at most %d are kept", n, maxThingDescription)
	}
	return nil
}

// GenerateClientCertificate makes a key and a certificate that it signs itself.
func (p *Plane) GenerateClientCertificate(ctx context.Context, actor Actor, description string, tags map[string]string) (ClientCertificate, error) {
	var out ClientCertificate
	if err := checkDescription(description); err != nil {
		return out, err
	}
	if err := actor.May(ToBuild); err != nil { // before work is spent on it
		return out, err
	}
	id := model.NewID(6)
	certificate, key, expires, err := selfSigned(id, p.now())
	if err != nil {
		return out, err
	}
	_, err = p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		var n int
		if err := w.QueryRow(ctx, `select count(*) from client_certificate where tenant_id = $1`, w.tenant).Scan(&n); err != nil {
			return err
		}
		if n >= MaxClientCertificates {
			return model.Errorf(model.Limit, "the account has %d client certificates, the most it may have; delete one first", n)
		}
		if _, err := w.Exec(ctx, `
			insert into client_certificate (tenant_id, certificate_id, description, certificate, private_key, expires_at) values ($1, $2, $3, $4, $5, $6)`,
			w.tenant, id, description, certificate, p.sealSecret("clientcertificate/"+id, string(key)), expires); err != nil {
			return err
		}
		if err := w.tag(ctx, "/clientcertificates/"+id, tags, nil); err != nil {
			return err
		}
		if out, err = readCertificate(ctx, w, w.tenant, id); err != nil {
			return err
		}
		return w.audit(ctx, "client-certificate.create", id, map[string]any{"description": description})
	})
	return out, err
}

// selfSigned makes an RSA key of 2048 bits, which is what back ends' trust stores
// know from Amazon's service, and a certificate for a TLS client.
func selfSigned(id string, now time.Time) (certificate string, key []byte, expires time.Time, err error) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", nil, expires, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return "", nil, expires, err
	}
	expires = now.AddDate(certificateYears, 0, 0).Truncate(time.Second)
	t := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)), Subject: pkix.Name{CommonName: "ApiGateway", Organization: []string{"Tollgate"}, SerialNumber: id},
		NotBefore: now.Add(-5 * time.Minute), NotAfter: expires, // clocks of back ends may be a little behind
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &private.PublicKey, private)
	if err != nil {
		return "", nil, expires, err
	}
	key, err = x509.MarshalPKCS8PrivateKey(private)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), key, expires, err
}

// identify puts into a stage's configuration what it shows to its back ends.
func (p *Plane) identify(s *model.StageConfig, id, chain string, sealed []byte) error {
	der, err := p.openSecret("clientcertificate/"+id, sealed)
	if err != nil {
		return err
	}
	s.Identity = &model.Identity{Certificate: chain, PrivateKey: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte(der)}))}
	return nil
}

// ClientCertificates lists the account's by id.
func (p *Plane) ClientCertificates(ctx context.Context, actor Actor, pg Page) (List[ClientCertificate], error) {
	from, limit, err := pg.bounds()
	if err != nil {
		return List[ClientCertificate]{}, err
	}
	var out List[ClientCertificate]
	err = p.readAs(ctx, actor, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select `+certificateColumns+` from client_certificate c
			where c.tenant_id = $1 and c.certificate_id > $2 order by c.certificate_id limit $3`, actor.Tenant, from.ID, limit+1)
		if err != nil {
			return err
		}
		items, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (c ClientCertificate, err error) { return c, r.Scan(c.fields()...) })
		out = page(items, limit, func(c *ClientCertificate) after { return after{ID: c.ID} })
		return err
	})
	return out, err
}

// ClientCertificate is one of the account's.
func (p *Plane) ClientCertificate(ctx context.Context, actor Actor, id string) (out ClientCertificate, err error) {
	err = p.readAs(ctx, actor, func(tx pgx.Tx) error {
		out, err = readCertificate(ctx, tx, actor.Tenant, id)
		return err
	})
	return out, err
}

func readCertificate(ctx context.Context, tx pgx.Tx, tenant uint32, id string) (c ClientCertificate, err error) {
	err = tx.QueryRow(ctx, `select `+certificateColumns+` from client_certificate c where c.tenant_id = $1 and c.certificate_id = $2`, tenant, id).Scan(c.fields()...)
	return c, missing(err, "there is no client certificate %.100q", id)
}

// DescribeClientCertificate changes a certificate's description.
func (p *Plane) DescribeClientCertificate(ctx context.Context, actor Actor, id, description string) (out ClientCertificate, err error) {
	if err := checkDescription(description); err != nil {
		return out, err
	}
	_, err = p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		if _, err := w.Exec(ctx, `update client_certificate set description = $3 where tenant_id = $1 and certificate_id = $2`, w.tenant, id, description); err != nil {
			return err
		}
		if out, err = readCertificate(ctx, w, w.tenant, id); err != nil {
			return err
		}
		return w.audit(ctx, "client-certificate.describe", id, nil)
	})
	return out, err
}

// DeleteClientCertificate forgets a certificate, and its key, that no stage uses.
func (p *Plane) DeleteClientCertificate(ctx context.Context, actor Actor, id string) error {
	_, err := p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		if _, err := readCertificate(ctx, w, w.tenant, id); err != nil {
			return err
		}
		var stage *string
		err := w.QueryRow(ctx, `
			select min(api_id || '/' || name) from stage where tenant_id = $1 and deleted_at is null and settings->>'clientCertificateId' = $2`, w.tenant, id).Scan(&stage)
		if err != nil {
			return err
		}
		if stage != nil {
			return model.Errorf(model.Conflict, "Cannot delete client certificate '%s', is referenced in stage: %s", id, *stage)
		}
		if err := w.untag(ctx, "/clientcertificates/"+id); err != nil {
			return err
		}
		if _, err := w.Exec(ctx, `delete from client_certificate where tenant_id = $1 and certificate_id = $2`, w.tenant, id); err != nil {
			return err
		}
		return w.audit(ctx, "client-certificate.delete", id, nil)
	})
	return err
}
