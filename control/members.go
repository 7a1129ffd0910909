package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// MaxMembers is how many an account may have, with those who are invited.
const MaxMembers = 500

// Member is a person who works on the account.
type Member struct {
	ID         string    `json:"id"`
	Email      string    `json:"email"`
	Name       string    `json:"name,omitempty"`
	Role       Role      `json:"role"`
	AccessKeys int       `json:"accessKeys"`
	CreatedAt  time.Time `json:"createdAt"`
	SeenAt     time.Time `json:"seenAt,omitzero"` // last used a browser; zero: never, or signed out
}

// Invitation is somebody who was asked to join.
type Invitation struct {
	ID        string    `json:"id"`
	Email     string    `json:"email"`
	Role      Role      `json:"role"`
	By        string    `json:"by"`
	CreatedAt time.Time `json:"createdAt"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// People is who works on the account and who was asked to.
type People struct {
	Members     []Member
	Invitations []Invitation
}

type asked struct {
	Role Role
	By   string
}

// Members lists who works on the account, and the invitations that are open.
func (p *Plane) Members(ctx context.Context, actor Actor) (out People, err error) {
	err = p.readAs(ctx, actor, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select m.member_id, p.email, p.name, m.role,
				(select count(*) from access_key k where k.tenant_id = m.tenant_id and k.member_id = m.member_id)::integer, m.created_at,
				coalesce((select max(s.seen_at) from session s where s.realm = 'console' and s.subject = p.person_id), '0001-01-01')
			from member m join person p using (person_id) where m.tenant_id = $1 order by lower(p.email)`, actor.Tenant)
		if err != nil {
			return err
		}
		if out.Members, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Member]); err != nil {
			return err
		}
		if rows, err = tx.Query(ctx, `
			select ticket_id, email, payload->>'Role', payload->>'By', created_at, expires_at from ticket
			where kind = 'invitation' and tenant_id = $1 and expires_at > $2 order by lower(email)`, actor.Tenant, p.now()); err != nil {
			return err
		}
		out.Invitations, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Invitation])
		return err
	})
	return out, err
}

func checkRole(actor Actor, role Role) error {
	if !slices.Contains(MemberRoles, role) {
		return model.Errorf(model.Invalid, "%q is not a role; use one of %s", role, rolesText(MemberRoles))
	}
	if role == RoleOwner && actor.Role != RoleOwner {
		return model.Errorf(model.Denied, "only an owner can make an owner")
	}
	return nil
}

// Invite mails somebody a link to join the account in a role. Asking again sends
// a new link; the old one is void.
func (p *Plane) Invite(ctx context.Context, actor Actor, email string, role Role) error {
	if err := actor.May(ToManage); err != nil {
		return err
	}
	if err := checkEmail(email); err != nil {
		return err
	}
	if err := checkRole(actor, role); err != nil {
		return err
	}
	if err := p.attempt(ctx, try{mailFromAddress, "account " + actor.AccountID}, try{mailToAddress, "invite " + actor.AccountID + email}); err != nil {
		return err
	}
	_, err := p.writeAs(ctx, actor, ToManage, func(w *write) error {
		var member, account string
		var there int
		err := w.QueryRow(ctx, `
			select (select count(*) from member m where m.tenant_id = t.tenant_id)
				+ (select count(*) from ticket i where i.tenant_id = t.tenant_id and i.kind = 'invitation' and i.expires_at > $3 and lower(i.email) <> lower($2)),
				coalesce((select m.member_id from member m join person p using (person_id) where m.tenant_id = t.tenant_id and lower(p.email) = lower($2)), ''), t.name
			from tenant t where t.tenant_id = $1`, w.tenant, email, p.now()).Scan(&there, &member, &account)
		if err != nil {
			return err
		}
		if member != "" {
			return model.Errorf(model.Conflict, "%s is a member already", email)
		}
		if there >= MaxMembers {
			return model.Errorf(model.Limit, "the account has %d members and invitations, the most there may be; remove one first", there)
		}
		if _, err := w.Exec(ctx, `delete from ticket where kind = 'invitation' and tenant_id = $1 and lower(email) = lower($2)`, w.tenant, email); err != nil {
			return err
		}
		token, err := p.issue(ctx, w, ticket{kind: ticketInvitation, tenant: w.tenant, email: email, payload: asked{role, actor.Name}}, invitationLife)
		if err != nil {
			return err
		}
		if err := p.post(ctx, w, w.tenant, email, "invitation", "Join "+account+" on Tollgate", fmt.Sprintf(
			"%s invites you to work on the account %q on Tollgate, as %s.\n\nJoin here:\n\n%s\n\nThe link works once, for seven days.\n", actor.Name, account, role, p.link("/invitations/"+token))); err != nil {
			return err
		}
		return w.audit(ctx, "member.invite", email, map[string]any{"role": role})
	})
	return err
}

// RevokeInvitation makes an open invitation's link void.
func (p *Plane) RevokeInvitation(ctx context.Context, actor Actor, id string) error {
	_, err := p.writeAs(ctx, actor, ToManage, func(w *write) error {
		var email string
		err := w.QueryRow(ctx, `delete from ticket where kind = 'invitation' and tenant_id = $1 and ticket_id = $2 returning email`, w.tenant, id).Scan(&email)
		if err != nil {
			return missing(err, "there is no open invitation %q", id)
		}
		return w.audit(ctx, "member.uninvite", email, nil)
	})
	return err
}

// Offer is what an invitation's link offers.
type Offer struct {
	Account string
	Email   string
	Role    Role
	By      string
	Known   bool // the address has a person, who joins after signing in
}

// Offer shows what an invitation's link is for.
func (p *Plane) Offer(ctx context.Context, source, token string) (o Offer, err error) {
	if err := p.attempt(ctx, try{tokenByAddress, source}); err != nil {
		return o, err
	}
	err = p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		var a asked
		t, err := p.look(ctx, tx, ticketInvitation, token, &a)
		if err != nil {
			return err
		}
		o = Offer{Email: t.email, Role: a.Role, By: a.By}
		return tx.QueryRow(ctx, `
			select coalesce((select name from tenant where tenant_id = $1), ''), exists (select from person where lower(email) = lower($2))`,
			t.tenant, t.email).Scan(&o.Account, &o.Known)
	})
	return o, err
}

// Join takes an invitation up: personID is who is signed in, whose address must be
// the invited one; empty: a new person with this name and password. It returns the
// person and the number of the account joined.
func (p *Plane) Join(ctx context.Context, source, token, personID, name, password string) (Person, uint32, error) {
	if err := p.attempt(ctx, try{tokenByAddress, source}); err != nil {
		return Person{}, 0, err
	}
	hash := ""
	if personID == "" {
		if err := checkPassword(password); err != nil {
			return Person{}, 0, err
		}
		if name != "" {
			if err := checkName("a person", name, 128); err != nil {
				return Person{}, 0, err
			}
		}
		var err error
		if hash, err = p.hashPassword(ctx, password); err != nil {
			return Person{}, 0, err
		}
	}
	var who Person
	var tenant uint32
	err := p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		var a asked
		t, err := p.take(ctx, tx, ticketInvitation, token, &a)
		if err != nil {
			return err
		}
		if t.tenant == 0 {
			return model.Errorf(model.NotFound, "this link is for signing up; open it from the mail")
		}
		tenant = t.tenant
		if personID == "" {
			who = Person{ID: model.NewID(10), Email: t.email, Name: name}
			if _, err := tx.Exec(ctx, `insert into person (person_id, email, name, password_hash) values ($1, $2, $3, $4)`, who.ID, who.Email, name, hash); err != nil {
				return err
			}
		} else if err := tx.QueryRow(ctx, `select person_id, email, name from person where person_id = $1 and lower(email) = lower($2)`, personID, t.email).
			Scan(&who.ID, &who.Email, &who.Name); err != nil {
			return missing(err, "the invitation is for %s; sign in with that address to take it up", t.email)
		}
		member := model.NewID(10)
		if _, err := tx.Exec(ctx, `insert into member (tenant_id, member_id, person_id, role) values ($1, $2, $3, $4)`, tenant, member, who.ID, a.Role); err != nil {
			return err
		}
		return audit(ctx, tx, Actor{Member: member, Name: who.Email, Source: source, Role: a.Role}, &tenant, "member.join", who.Email, map[string]any{"role": a.Role, "by": a.By})
	})
	return who, tenant, err
}

// SetRole gives a member another role, at once. There is always an owner.
func (p *Plane) SetRole(ctx context.Context, actor Actor, memberID string, role Role) error {
	if err := checkRole(actor, role); err != nil {
		return err
	}
	_, err := p.writeAs(ctx, actor, ToManage, func(w *write) error {
		email, was, err := w.member(ctx, memberID)
		if err != nil {
			return err
		}
		if was == RoleOwner && actor.Role != RoleOwner {
			return model.Errorf(model.Denied, "only an owner can change an owner's role")
		}
		if was == role {
			return nil
		}
		if _, err := w.Exec(ctx, `update member set role = $3 where tenant_id = $1 and member_id = $2`, w.tenant, memberID, role); err != nil {
			return err
		}
		if err := w.hasOwner(ctx); err != nil {
			return err
		}
		w.changedSigners()
		return w.audit(ctx, "member.role", email, map[string]any{"from": was, "to": role})
	})
	return err
}

// RemoveMember takes a member, with its access keys, off the account. Anybody may
// leave; there is always an owner.
func (p *Plane) RemoveMember(ctx context.Context, actor Actor, memberID string) error {
	need := ToManage
	if memberID == actor.Member {
		need = ToRead
	}
	_, err := p.writeAs(ctx, actor, need, func(w *write) error {
		email, was, err := w.member(ctx, memberID)
		if err != nil {
			return err
		}
		if was == RoleOwner && actor.Role != RoleOwner {
			return model.Errorf(model.Denied, "only an owner can remove an owner")
		}
		if _, err := w.Exec(ctx, `delete from member where tenant_id = $1 and member_id = $2`, w.tenant, memberID); err != nil {
			return err
		}
		if err := w.hasOwner(ctx); err != nil {
			return err
		}
		w.changedSigners()
		return w.audit(ctx, "member.remove", email, map[string]any{"role": was})
	})
	return err
}

func (w *write) member(ctx context.Context, id string) (email string, role Role, err error) {
	err = w.QueryRow(ctx, `
		select p.email, m.role from member m join person p using (person_id) where m.tenant_id = $1 and m.member_id = $2`, w.tenant, id).Scan(&email, &role)
	return email, role, missing(err, "there is no member %q", id)
}

func (w *write) hasOwner(ctx context.Context) error {
	var n int
	err := w.QueryRow(ctx, `select count(*) from member where tenant_id = $1 and role = 'owner'`, w.tenant).Scan(&n)
	if err == nil && n == 0 {
		return model.Errorf(model.Conflict, "the account would have no owner; make another member an owner first")
	}
	return err
}

// RenameAccount gives the account another name.
func (p *Plane) RenameAccount(ctx context.Context, actor Actor, name string) error {
	if err := checkName("an account", name, 128); err != nil {
		return err
	}
	_, err := p.writeAs(ctx, actor, ToManage, func(w *write) error {
		if _, err := w.Exec(ctx, `update tenant set name = $2 where tenant_id = $1`, w.tenant, name); err != nil {
			return err
		}
		return w.audit(ctx, "account.rename", actor.AccountID, map[string]any{"name": name})
	})
	return err
}
