package control

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// Role is what an actor may do.
type Role string

// The roles of members of a tenant. An operator belongs to the installation, a
// customer to a tenant's portal.
const (
	RoleOwner     Role = "owner"
	RoleAdmin     Role = "admin"
	RoleDeveloper Role = "developer"
	RoleBilling   Role = "billing"
	RoleViewer    Role = "viewer"
	RoleOperator  Role = "operator"
	RoleCustomer  Role = "customer"

	roleSystem Role = "system" // the program itself, by the calendar
)

// MemberRoles are those a member of a tenant can have, the mightiest first.
var MemberRoles = []Role{RoleOwner, RoleAdmin, RoleDeveloper, RoleBilling, RoleViewer}

// Actor is who asks.
type Actor struct {
	Tenant    uint32 // 0 for the operator
	AccountID string
	Member    string // id of the member, the operator or the portal's developer
	Name      string // e-mail address, for the audit trail
	Source    string // network address asked from; empty on the machine itself
	Role      Role
}

// Operator is the actor that runs the installation: the command line on the
// machine itself, never a request from the network without its own check.
func Operator() Actor { return Actor{Member: "operator", Role: RoleOperator} }

// Permission groups methods by what they risk.
type Permission int

// The permissions.
const (
	ToRead    Permission = iota // look
	ToBuild                     // APIs, deployments, stages
	ToSell                      // plans, keys, subscriptions, the portal
	ToBill                      // invoices, prices, seller details
	ToManage                    // members, their access keys, the account
	ToAudit                     // who did what
	ToOperate                   // tenants, gateways, nodes, the installation
	ToBuy                       // a portal customer's own apps, keys, invoices
)

var (
	permissions = map[Permission][]Role{
		ToRead:    MemberRoles,
		ToBuild:   {RoleOwner, RoleAdmin, RoleDeveloper},
		ToSell:    {RoleOwner, RoleAdmin, RoleDeveloper, RoleBilling},
		ToBill:    {RoleOwner, RoleAdmin, RoleBilling},
		ToManage:  {RoleOwner, RoleAdmin},
		ToAudit:   {RoleOwner, RoleAdmin},
		ToOperate: {RoleOperator},
		ToBuy:     {RoleCustomer},
	}
	permissionNames = map[Permission]string{
		ToRead:    "read this account",
		ToBuild:   "change APIs, stages and deployments",
		ToSell:    "change plans, keys and the portal",
		ToBill:    "see invoices or change prices",
		ToManage:  "manage members and the account",
		ToAudit:   "read the audit trail",
		ToOperate: "manage tenants, gateways and nodes",
		ToBuy:     "act as a customer of the portal",
	}
)

// May is nil, or says who may do this instead.
func (a Actor) May(p Permission) error {
	if p != ToOperate && a.Role != RoleOperator && a.Tenant == 0 {
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
			select t.tenant_id, t.account_id, m.member_id, pe.email, t.name
			from tenant t join member m on m.tenant_id = t.tenant_id and m.role = 'owner' join person pe using (person_id)
			where $1 = '' or t.account_id = $1
			order by t.tenant_id, m.created_at, m.member_id`, accountID)
		if err != nil {
			return err
		}
		var names []string
		found := 0
		var num uint32
		var account, member, email, name string
		_, err = pgx.ForEachRow(rows, []any{&num, &account, &member, &email, &name}, func() error {
			if num == a.Tenant { // a second owner of the same account
				return nil
			}
			if found++; found == 1 {
				a.AccountID, a.Member, a.Name = account, member, email
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
