package control

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// Role is what a member may do in its tenant.
type Role string

// The roles. An operator belongs to the installation, not to a tenant.
const (
	RoleOwner     Role = "owner"
	RoleAdmin     Role = "admin"
	RoleDeveloper Role = "developer"
	RoleBilling   Role = "billing"
	RoleViewer    Role = "viewer"
	RoleOperator  Role = "operator"
)

// Actor is who asks.
type Actor struct {
	Tenant    uint32 // 0 for the operator
	AccountID string
	Member    string
	Role      Role
}

// Operator is the actor that runs the installation: the command line on the
// machine itself, never a request from the network without its own check.
func Operator() Actor { return Actor{Member: "operator", Role: RoleOperator} }

// permission groups methods by what they risk.
type permission int

const (
	toRead    permission = iota // look
	toBuild                     // APIs, deployments, stages
	toSell                      // plans, keys, subscriptions
	toOperate                   // tenants, gateways, nodes
)

var (
	permissions = map[permission][]Role{
		toRead:    {RoleOwner, RoleAdmin, RoleDeveloper, RoleBilling, RoleViewer},
		toBuild:   {RoleOwner, RoleAdmin, RoleDeveloper},
		toSell:    {RoleOwner, RoleAdmin, RoleDeveloper, RoleBilling},
		toOperate: {RoleOperator},
	}
	permissionNames = map[permission]string{
		toRead:    "read this account",
		toBuild:   "change APIs, stages and deployments",
		toSell:    "change plans and keys",
		toOperate: "manage tenants, gateways and nodes",
	}
)

func (a Actor) may(p permission) error {
	if p != toOperate && a.Role != RoleOperator && a.Tenant == 0 {
		return model.Errorf(model.Unauthenticated, "no account: sign in first")
	}
	for _, r := range permissions[p] {
		if r == a.Role {
			return nil
		}
	}
	if a.Role == RoleOperator {
		return model.Errorf(model.Denied, "an operator does not act inside an account; act as the account's owner")
	}
	return model.Errorf(model.Denied, "the role %q may not %s; ask one of: %s", a.Role, permissionNames[p], rolesText(permissions[p]))
}

func rolesText(rs []Role) string {
	out := make([]string, len(rs))
	for i, r := range rs {
		out[i] = string(r)
	}
	return strings.Join(out, ", ")
}

// Owner is the owner of an account, for the command line on the machine itself.
// An empty accountID means the only tenant there is.
func (p *Plane) Owner(ctx context.Context, accountID string) (Actor, error) {
	a := Actor{Role: RoleOwner}
	err := p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select t.tenant_id, t.account_id, m.member_id, t.name
			from tenant t join member m on m.tenant_id = t.tenant_id and m.role = 'owner'
			where $1 = '' or t.account_id = $1
			order by t.tenant_id, m.created_at, m.member_id`, accountID)
		if err != nil {
			return err
		}
		var names []string
		found := 0
		var num uint32
		var account, member, name string
		_, err = pgx.ForEachRow(rows, []any{&num, &account, &member, &name}, func() error {
			if num == a.Tenant { // a second owner of the same account
				return nil
			}
			if found++; found == 1 {
				a.AccountID, a.Member = account, member
			}
			a.Tenant = num
			if found <= 10 {
				names = append(names, fmt.Sprintf("%s (%s)", account, name))
			}
			return nil
		})
		switch {
		case err != nil:
			return err
		case found == 0 && accountID != "":
			return model.Errorf(model.NotFound, "there is no account %s", accountID)
		case found == 0:
			return model.Errorf(model.Invalid, "there is no account yet; make one with: tollgate tenant create --email E --name N")
		case found > 1:
			if found > len(names) {
				names = append(names, "…")
			}
			return model.Errorf(model.Invalid, "there are %d accounts; say which one acts with its account id: %s", found, strings.Join(names, ", "))
		}
		return nil
	})
	if err != nil {
		return Actor{}, err
	}
	return a, nil
}
