package control

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// ServiceCredential is what integrations sign requests to AWS services with. Its secret
// is sealed in the database and shown to nobody: nodes that serve the account get it.
type ServiceCredential struct {
	Name        string    `json:"name"` // ARN of the role or user that integrations name; or model.DefaultCredential
	AccessKeyID string    `json:"accessKeyId"`
	Session     bool      `json:"session,omitempty"`  // it has a session token, and ends by itself
	Services    []string  `json:"services,omitempty"` // that it may be used for, as signatures name them; none: all
	Regions     []string  `json:"regions,omitempty"`  // likewise
	CreatedAt   time.Time `json:"createdAt"`
	UpdatedAt   time.Time `json:"updatedAt"` // when its secret was put last
}

// NewServiceCredential is what is stored of one.
type NewServiceCredential struct {
	Name                              string // a role's or user's ARN; a role's name: of the account; or model.DefaultCredential
	AccessKeyID, Secret, SessionToken string
	Services, Regions                 []string
}

// Limits of an account's credentials.
const (
	MaxServiceCredentials = 100
	maxCredentialScope    = 50
	maxSessionToken       = 8192
)

var (
	roleName      = regexp.MustCompile(`^[\w+=,.@-]{1,64}$`)
	keyID         = regexp.MustCompile(`^[\w+=,.@-]{3,128}$`)
	visible       = regexp.MustCompile(`^[!-~]+$`)
	credentialFor = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$`)
)

// credentialName is the name that a credential is kept under.
func credentialName(actor Actor, name string) (string, error) {
	name = strings.TrimSpace(name)
	switch {
	case name == model.DefaultCredential, model.PrincipalARN(name):
		return name, nil
	case roleName.MatchString(name):
		return "arn:aws:iam::" + actor.AccountID + ":role/" + name, nil
	}
	return "", model.Errorf(model.Invalid, "%.200q is not the ARN of a role or user such as arn:aws:iam::123456789012:role/name, a role's name, or %s", name, model.DefaultCredential)
}

func (in *NewServiceCredential) check() error {
	if !keyID.MatchString(in.AccessKeyID) {
		return model.Errorf(model.Invalid, "the access key id is not 3 to 128 letters, digits and +=,.@-")
	}
	if !visible.MatchString(in.Secret) || len(in.Secret) > 256 {
		return model.Errorf(model.Invalid, "the secret access key is not 1 to 256 visible characters without blanks")
	}
	if in.SessionToken != "" && !visible.MatchString(in.SessionToken) || len(in.SessionToken) > maxSessionToken {
		return model.Errorf(model.Invalid, "the session token is not visible characters without blanks, at most %d", maxSessionToken)
	}
	for _, l := range []struct {
		what string
		list *[]string
	}{{"service", &in.Services}, {"region", &in.Regions}} {
		all := make([]string, 0, len(*l.list))
		for _, s := range *l.list {
			if s = strings.TrimSpace(s); s == "" {
				continue
			}
			if !credentialFor.MatchString(s) {
				return model.Errorf(model.Invalid, "%.100q is not the name of a %s", s, l.what)
			}
			all = append(all, s)
		}
		slices.Sort(all)
		if all = slices.Compact(all); len(all) > maxCredentialScope {
			return model.Errorf(model.Limit, "a credential may be kept to at most %d names of a %s", maxCredentialScope, l.what)
		}
		*l.list = all
	}
	return nil
}

const credentialColumns = `c.name, c.access_key_id, c.session, c.services, c.regions, c.created_at, c.updated_at`

// ServiceCredentials lists the account's by name, without their secrets.
func (p *Plane) ServiceCredentials(ctx context.Context, actor Actor) (out []ServiceCredential, err error) {
	err = p.readAs(ctx, actor, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select `+credentialColumns+` from service_credential c where c.tenant_id = $1 and c.deleted_at is null order by c.name`, actor.Tenant)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, pgx.RowToStructByPos[ServiceCredential])
		return err
	})
	return out, err
}

// PutServiceCredential stores a credential, or puts it in the place of the one with its
// name: nodes sign with it from the next call on.
func (p *Plane) PutServiceCredential(ctx context.Context, actor Actor, in NewServiceCredential) (out ServiceCredential, err error) {
	if err := actor.May(ToManage); err != nil {
		return out, err
	}
	name, err := credentialName(actor, in.Name)
	if err != nil {
		return out, err
	}
	if err := in.check(); err != nil {
		return out, err
	}
	_, err = p.writeAs(ctx, actor, ToManage, func(w *write) error {
		var others int
		if err := w.QueryRow(ctx, `
			select count(*) from service_credential where tenant_id = $1 and name <> $2 and deleted_at is null`, w.tenant, name).Scan(&others); err != nil {
			return err
		}
		if others >= MaxServiceCredentials {
			return model.Errorf(model.Limit, "the account has %d service credentials, the most it may have; delete one first", others)
		}
		var num int64
		err := w.QueryRow(ctx, `
			insert into service_credential as c (tenant_id, name, access_key_id, secret, session, services, regions) values ($1, $2, $3, $4, $5, $6, $7)
			on conflict (tenant_id, name) do update set access_key_id = excluded.access_key_id, secret = excluded.secret, session = excluded.session,
				services = excluded.services, regions = excluded.regions, updated_at = now(), deleted_at = null,
				created_at = case when c.deleted_at is null then c.created_at else now() end
			returning credential_num, `+credentialColumns,
			w.tenant, name, in.AccessKeyID, p.sealCredential(w.tenant, name, in), in.SessionToken != "", in.Services, in.Regions).
			Scan(&num, &out.Name, &out.AccessKeyID, &out.Session, &out.Services, &out.Regions, &out.CreatedAt, &out.UpdatedAt)
		if err != nil {
			return err
		}
		w.changed(kindCredential, num)
		return w.audit(ctx, "service-credential.put", name, map[string]any{"key": in.AccessKeyID, "services": in.Services, "regions": in.Regions})
	})
	return out, err
}

// DeleteServiceCredential forgets a credential. Integrations that need it fail from the
// next call on.
func (p *Plane) DeleteServiceCredential(ctx context.Context, actor Actor, name string) error {
	name, err := credentialName(actor, name)
	if err != nil {
		return err
	}
	_, err = p.writeAs(ctx, actor, ToManage, func(w *write) error {
		var num int64
		err := w.QueryRow(ctx, `
			update service_credential set secret = null, access_key_id = '', deleted_at = now()
			where tenant_id = $1 and name = $2 and deleted_at is null returning credential_num`, w.tenant, name).Scan(&num)
		if err != nil {
			return missing(err, "there is no service credential %.300q", name)
		}
		w.changed(kindCredential, num)
		return w.audit(ctx, "service-credential.delete", name, nil)
	})
	return err
}

// MissingCredentials are those that methods of a definition name and the account has
// not stored: their calls fail. Where stage variables make the name nobody can tell.
func (p *Plane) MissingCredentials(ctx context.Context, actor Actor, d *model.Definition) (out []model.Problem, err error) {
	err = p.readAs(ctx, actor, func(tx pgx.Tx) error {
		out, err = missingCredentials(ctx, tx, actor.Tenant, d)
		return err
	})
	return out, err
}

func missingCredentials(ctx context.Context, tx pgx.Tx, tenant uint32, d *model.Definition) ([]model.Problem, error) {
	needed := d.CredentialNames()
	if len(needed) == 0 {
		return nil, nil
	}
	var stored []string
	if err := tx.QueryRow(ctx, `
		select coalesce(array_agg(name), '{}') from service_credential where tenant_id = $1 and deleted_at is null`, tenant).Scan(&stored); err != nil {
		return nil, err
	}
	var out []model.Problem
	for _, n := range needed {
		if !slices.Contains(stored, n.Credentials) {
			out = append(out, model.Problem{Severity: model.SeverityWarning, Pointer: n.Method,
				Message: fmt.Sprintf("calls will fail until credentials are stored for %s: service credentials in the console, or tollgate credential put", n.Credentials)})
		}
	}
	return out, nil
}

// TrialCredentials are an account's with their secrets, for the process's own trials of
// methods: whoever asks for one may build the account's APIs.
func (p *Plane) TrialCredentials(ctx context.Context, accountID string) ([]model.CredentialConfig, error) {
	var c model.Changes
	err := p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select c.credential_num, c.tenant_id, c.name, c.access_key_id, c.secret, c.services, c.regions, false
			from service_credential c join tenant t using (tenant_id) where t.account_id = $1 and c.deleted_at is null`, accountID)
		if err != nil {
			return err
		}
		c = model.Changes{}
		return p.credentialsOf(rows, &c)
	})
	return slices.DeleteFunc(c.Credentials, func(k model.CredentialConfig) bool { return k.Deleted }), err
}

// sealedCredential is what of a credential is sealed.
type sealedCredential struct {
	Secret string `json:"secret"`
	Token  string `json:"token,omitempty"`
}

// credentialLabel binds a sealed secret to its row.
func credentialLabel(tenant uint32, name string) string {
	return fmt.Sprintf("service-credential/%d/%s", tenant, name)
}

func (p *Plane) sealCredential(tenant uint32, name string, in NewServiceCredential) []byte {
	b, _ := json.Marshal(sealedCredential{in.Secret, in.SessionToken}) // of strings
	return p.sealSecret(credentialLabel(tenant, name), string(b))
}

const credentialRows = `select c.credential_num, c.tenant_id, c.name, c.access_key_id, c.secret, c.services, c.regions,
		c.deleted_at is not null or t.gateway_id <> $1
	from service_credential c join tenant t using (tenant_id)`

// credentialsOf reads what a gateway signs with, for Changes.
func (p *Plane) credentialsOf(rows pgx.Rows, c *model.Changes) error {
	var k model.CredentialConfig
	var sealed []byte
	_, err := pgx.ForEachRow(rows, []any{&k.Num, &k.Tenant, &k.Name, &k.AccessKeyID, &sealed, &k.Services, &k.Regions, &k.Deleted}, func() error {
		if !k.Deleted {
			var s sealedCredential
			text, err := p.openSecret(credentialLabel(k.Tenant, k.Name), sealed)
			if err == nil {
				err = json.Unmarshal([]byte(text), &s)
			}
			if err != nil {
				p.log.Error("a service credential cannot be used until it is stored anew", "name", k.Name, "error", fmt.Sprint(err))
				k.Deleted = true
			}
			k.Secret, k.SessionToken = s.Secret, s.Token
		}
		if k.Deleted {
			k = model.CredentialConfig{Num: k.Num, Tenant: k.Tenant, Deleted: true}
		}
		c.Credentials = append(c.Credentials, k)
		k, sealed = model.CredentialConfig{}, nil // slices must not be shared
		return nil
	})
	return err
}
