package control

import (
	"context"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// checkName refuses what cannot be shown in one line.
func checkName(what, name string, max int) error {
	switch {
	case strings.TrimSpace(name) == "":
		return model.Errorf(model.Invalid, "%s needs a name", what)
	case utf8.RuneCountInString(name) > max:
		return model.Errorf(model.Invalid, "the name has %d characters; %s may have %d", utf8.RuneCountInString(name), what, max)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return model.Errorf(model.Invalid, "the name of %s has characters that cannot be shown", what)
	}
	return nil
}

func (n *NewTenant) check() error {
	if err := checkEmail(n.Email); err != nil {
		return err
	}
	if err := checkName("an account", n.Name, 128); err != nil {
		return err
	}
	return checkPassword(n.Password)
}

// CreateTenant opens an account on the shared gateway, with its owner and a first
// access key. What it returns is shown once.
func (p *Plane) CreateTenant(ctx context.Context, operator Actor, n NewTenant) (TenantCredentials, error) {
	if err := operator.May(ToOperate); err != nil {
		return TenantCredentials{}, err
	}
	if n.Password == "" {
		n.Password = model.NewSecret(24)
	}
	if err := n.check(); err != nil {
		return TenantCredentials{}, err
	}
	hash, err := p.hashPassword(ctx, n.Password)
	if err != nil {
		return TenantCredentials{}, err
	}
	out := TenantCredentials{Email: n.Email, Password: n.Password}
	err = p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		w := &write{Tx: tx, actor: operator}
		out.AccountID = model.NewAccountID()
		out.AccessKeyID, out.SecretAccessKey = newAccessKey()
		err := tx.QueryRow(ctx, `
			insert into tenant (account_id, name, email, gateway_id)
			values ($1, $2, $3, (select gateway_id from gateway where name = 'shared'))
			returning tenant_id, gateway_id`, out.AccountID, n.Name, n.Email).Scan(&w.tenant, &w.gateway)
		if err != nil {
			return err
		}
		person, member := model.NewID(10), model.NewID(10)
		if _, err := tx.Exec(ctx, `insert into person (person_id, email, password_hash) values ($1, $2, $3)`, person, n.Email, hash); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			insert into member (tenant_id, member_id, person_id, role) values ($1, $2, $3, 'owner')`, w.tenant, member, person); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			insert into access_key (tenant_id, access_key_id, member_id, secret) values ($1, $2, $3, $4)`,
			w.tenant, out.AccessKeyID, member, p.sealSecret(out.AccessKeyID, out.SecretAccessKey)); err != nil {
			return err
		}
		if err := w.audit(ctx, "tenant.create", out.AccountID, map[string]any{"email": n.Email, "name": n.Name}); err != nil {
			return err
		}
		w.changed(kindTenant, int64(w.tenant))
		w.changedSigners()
		return w.publish(ctx)
	})
	if err != nil {
		return TenantCredentials{}, err
	}
	return out, nil
}

// TenantFilter asks for accounts; Page.Match looks at name, e-mail address and
// account id.
type TenantFilter struct {
	Page
	State   string // "active" or "suspended"; empty: both
	Gateway string // name of the gateway that serves them; empty: any
}

// Tenants lists the accounts by name.
func (p *Plane) Tenants(ctx context.Context, operator Actor, f TenantFilter) (List[Tenant], error) {
	if err := operator.May(ToOperate); err != nil {
		return List[Tenant]{}, err
	}
	from, limit, err := f.bounds()
	if err != nil {
		return List[Tenant]{}, err
	}
	if f.State != "" && f.State != "active" && f.State != "suspended" {
		return List[Tenant]{}, model.Errorf(model.Invalid, "tenants are active or suspended, not %.40q", f.State)
	}
	var out List[Tenant]
	err = p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select `+tenantColumns+` from tenant t join gateway g using (gateway_id)
			where (t.name, t.account_id) > ($1, $2)
			  and ($3 = '' or position(lower($3) in lower(t.name || ' ' || t.email || ' ' || t.account_id)) > 0)
			  and ($4 = '' or t.suspended = ($4 = 'suspended')) and ($5 = '' or g.name = $5)
			order by t.name, t.account_id limit $6`, from.Name, from.ID, f.Match, f.State, f.Gateway, limit+1)
		if err != nil {
			return err
		}
		items, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Tenant])
		out = page(items, limit, func(t *Tenant) after { return after{t.Name, t.AccountID} })
		return err
	})
	return out, err
}

// tenantColumns are those of a Tenant, of tenant t and gateway g.
const tenantColumns = `t.tenant_id, t.account_id, t.name, t.email, g.name, t.suspended, t.suspended_at, t.suspended_reason, t.caps, t.created_at`

// SetTenantCaps sets the hard limits of a tenant on each shared node.
func (p *Plane) SetTenantCaps(ctx context.Context, operator Actor, accountID string, caps model.Caps) error {
	if !(caps.Rate >= 0 && caps.Rate <= 1e9) || caps.Burst < 0 || caps.InFlight < 0 || caps.BufferedBytes < 0 {
		return model.Errorf(model.Invalid, "caps cannot be negative; 0 means the node's default")
	}
	return p.operate(ctx, operator, accountID, func(w *write) error {
		if _, err := w.Exec(ctx, `update tenant set caps = $2 where tenant_id = $1`, w.tenant, caps); err != nil {
			return err
		}
		w.changed(kindTenant, int64(w.tenant))
		return w.audit(ctx, "tenant.caps", accountID, map[string]any{"caps": caps})
	})
}

// SuspendTenant makes every node refuse the tenant's calls, and every method
// refuse its changes, until ResumeTenant. Its members are shown the reason. An
// account that is suspended already keeps its time and gets the new reason.
func (p *Plane) SuspendTenant(ctx context.Context, operator Actor, accountID, reason string) error {
	reason = strings.TrimSpace(reason)
	switch n := utf8.RuneCountInString(reason); {
	case n == 0:
		return model.Errorf(model.Invalid, "say why the account is suspended: its members see the reason, and so does the audit log")
	case n > MaxReason:
		return model.Errorf(model.Invalid, "the reason has %d characters; at most %d are kept", n, MaxReason)
	case !utf8.ValidString(reason) || strings.ContainsFunc(reason, unicode.IsControl):
		return model.Errorf(model.Invalid, "the reason has characters that cannot be shown in one line")
	}
	return p.operate(ctx, operator, accountID, func(w *write) error {
		if _, err := w.Exec(ctx, `
			update tenant set suspended = true, suspended_at = coalesce(suspended_at, now()), suspended_reason = $2 where tenant_id = $1`,
			w.tenant, reason); err != nil {
			return err
		}
		w.changed(kindTenant, int64(w.tenant))
		return w.audit(ctx, "tenant.suspend", accountID, map[string]any{"reason": reason})
	})
}

// MaxReason is how many characters the reason for a suspension may have.
const MaxReason = 300

// ResumeTenant ends a suspension.
func (p *Plane) ResumeTenant(ctx context.Context, operator Actor, accountID string) error {
	return p.operate(ctx, operator, accountID, func(w *write) error {
		tag, err := w.Exec(ctx, `
			update tenant set suspended = false, suspended_at = null, suspended_reason = '' where tenant_id = $1 and suspended`, w.tenant)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		w.changed(kindTenant, int64(w.tenant))
		return w.audit(ctx, "tenant.resume", accountID, nil)
	})
}

// MoveTenant gives a tenant to the nodes of another gateway. The old ones are
// told that it and all it has are gone; what they answered until then they may
// still hand in.
func (p *Plane) MoveTenant(ctx context.Context, operator Actor, accountID, gateway string) error {
	return p.operate(ctx, operator, accountID, func(w *write) error {
		var to int32
		var owner *uint32
		err := w.QueryRow(ctx, `select gateway_id, tenant_id from gateway where name = $1`, gateway).Scan(&to, &owner)
		if err != nil {
			return missing(err, "there is no gateway %q", gateway)
		}
		if owner != nil && *owner != w.tenant {
			return model.Errorf(model.Conflict, "gateway %q is dedicated to another account", gateway)
		}
		if to == w.gateway {
			return nil
		}
		if _, err := w.Exec(ctx, `
			with moved as (update tenant set gateway_id = $2 where tenant_id = $1)
			insert into tenant_left (tenant_id, gateway_id) values ($1, $3)
			on conflict (tenant_id, gateway_id) do update set left_at = now()`, w.tenant, to, w.gateway); err != nil {
			return err
		}
		w.changedAll(w.gateway)
		w.changedAll(to)
		return w.audit(ctx, "tenant.move", accountID, map[string]any{"gateway": gateway})
	})
}
