package control

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// AccessKeyInfo is an access key without its secret, which signs requests to the
// AWS face.
type AccessKeyInfo struct {
	ID        string    `json:"id"`
	MemberID  string    `json:"memberId"`
	Email     string    `json:"email"`
	Role      Role      `json:"role"`
	Enabled   bool      `json:"enabled"`
	Policy    string    `json:"policy,omitempty"` // of what it may call; empty: its member's role says
	CreatedAt time.Time `json:"createdAt"`
}

// MaxKeyPolicyBytes is how long an access key's policy may be, as a managed policy on
// Amazon.
const MaxKeyPolicyBytes = 6144

// maxAccessKeys is how many a member may have, as on Amazon: one to use and one to
// change over to.
const maxAccessKeys = 2

// AccessKeys lists the actor's own access keys, and, for who manages members,
// everybody's.
func (p *Plane) AccessKeys(ctx context.Context, actor Actor) (out []AccessKeyInfo, err error) {
	all := actor.May(ToManage) == nil
	err = p.readAs(ctx, actor, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select k.access_key_id, k.member_id, p.email, m.role, k.enabled, coalesce(k.policy, ''), k.created_at
			from access_key k join member m using (tenant_id, member_id) join person p using (person_id)
			where k.tenant_id = $1 and ($2 or k.member_id = $3) order by k.member_id <> $3, lower(p.email), k.created_at`, actor.Tenant, all, actor.Member)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, pgx.RowToStructByPos[AccessKeyInfo])
		return err
	})
	return out, err
}

// CreateAccessKey makes an access key of the actor's own. The secret is in the
// answer and never shown again.
func (p *Plane) CreateAccessKey(ctx context.Context, actor Actor) (id, secret string, err error) {
	_, err = p.writeAs(ctx, actor, ToRead, func(w *write) error {
		if _, _, err := w.member(ctx, actor.Member); err != nil {
			return err
		}
		var n int
		if err := w.QueryRow(ctx, `select count(*) from access_key where tenant_id = $1 and member_id = $2`, w.tenant, actor.Member).Scan(&n); err != nil {
			return err
		}
		if n >= maxAccessKeys {
			return model.Errorf(model.Limit, "you have %d access keys, the most a member may have; delete one first", n)
		}
		id, secret = newAccessKey()
		if _, err := w.Exec(ctx, `
			insert into access_key (tenant_id, access_key_id, member_id, secret) values ($1, $2, $3, $4)`,
			w.tenant, id, actor.Member, p.sealSecret(id, secret)); err != nil {
			return err
		}
		w.changedSigners()
		return w.audit(ctx, "access-key.create", id, nil)
	})
	if err != nil {
		return "", "", err
	}
	return id, secret, nil
}

// SetAccessKeyEnabled lets an access key sign, or not.
func (p *Plane) SetAccessKeyEnabled(ctx context.Context, actor Actor, id string, enabled bool) error {
	return p.onAccessKey(ctx, actor, id, map[bool]string{true: "access-key.enable", false: "access-key.disable"}[enabled],
		`update access_key set enabled = $3 where tenant_id = $1 and access_key_id = $2`, enabled)
}

// DeleteAccessKey ends an access key for ever.
func (p *Plane) DeleteAccessKey(ctx context.Context, actor Actor, id string) error {
	return p.onAccessKey(ctx, actor, id, "access-key.delete", `delete from access_key where tenant_id = $1 and access_key_id = $2 and $3::boolean`, true)
}

func (p *Plane) onAccessKey(ctx context.Context, actor Actor, id, action, sql string, arg bool) error {
	_, err := p.writeAs(ctx, actor, ToRead, func(w *write) error {
		var owner string
		err := w.QueryRow(ctx, `select member_id from access_key where tenant_id = $1 and access_key_id = $2`, w.tenant, id).Scan(&owner)
		if err != nil {
			return missing(err, "there is no access key %q", id)
		}
		if owner != actor.Member {
			if err := actor.May(ToManage); err != nil {
				return err
			}
		}
		if _, err := w.Exec(ctx, sql, w.tenant, id, arg); err != nil {
			return err
		}
		w.changedSigners()
		return w.audit(ctx, action, id, nil)
	})
	return err
}

// SetAccessKeyPolicy says, by a policy document in the language of IAM, which of the
// APIs' methods an access key may call. Empty: its member's role says. It holds for
// calls of APIs alone, and takes who may manage members: nobody widens their own rights.
func (p *Plane) SetAccessKeyPolicy(ctx context.Context, actor Actor, id, policy string) error {
	policy = strings.TrimSpace(policy)
	if policy != "" {
		if err := p.checkKeyPolicy(policy); err != nil {
			return err
		}
	}
	_, err := p.writeAs(ctx, actor, ToManage, func(w *write) error {
		n, err := w.Exec(ctx, `update access_key set policy = nullif($3, '') where tenant_id = $1 and access_key_id = $2`, w.tenant, id, policy)
		if err != nil {
			return err
		}
		if n.RowsAffected() == 0 {
			return model.Errorf(model.NotFound, "there is no access key %q", id)
		}
		w.changedSigners()
		return w.audit(ctx, "access-key.policy", id, map[string]any{"policy": policy})
	})
	return err
}

func (p *Plane) checkKeyPolicy(policy string) error {
	if len(policy) > MaxKeyPolicyBytes {
		return model.Errorf(model.Limit, "the policy has %d bytes; at most %d are allowed", len(policy), MaxKeyPolicyBytes)
	}
	if p.policy == nil {
		if !json.Valid([]byte(policy)) {
			return model.Errorf(model.Invalid, "the policy is no JSON document")
		}
		return nil
	}
	if err := p.policy(policy); err != nil {
		return model.Errorf(model.Invalid, "the policy cannot be acted on: %v", err)
	}
	return nil
}
