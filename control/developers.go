package control

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// Developers sign up and in on a tenant's portal. The same address on two portals
// is two developers.

// DeveloperSignUp answers in the same way and time whether the address is known on
// the portal or not. portalURL is what links in its mail begin with.
func (p *Plane) DeveloperSignUp(ctx context.Context, source string, site Site, portalURL string, in SignUp) error {
	if !site.OpenSignUp {
		return model.Errorf(model.Denied, "%s does not take new developers by itself; write to %s", site.Title, or(site.SupportEmail, "whoever runs it"))
	}
	if err := checkEmail(in.Email); err != nil {
		return err
	}
	if in.Name != "" {
		if err := checkName("a developer", in.Name, 128); err != nil {
			return err
		}
	}
	if err := checkPassword(in.Password); err != nil {
		return err
	}
	if err := p.attempt(ctx, try{mailFromAddress, source}, try{mailToAddress, site.Slug + " " + in.Email}); err != nil {
		return err
	}
	hash, err := p.hashPassword(ctx, in.Password)
	if err != nil {
		return err
	}
	return p.in(ctx, site.scope(), pgx.TxOptions{}, func(tx pgx.Tx) error {
		var known bool
		err := tx.QueryRow(ctx, `select exists (select from developer where tenant_id = $1 and lower(email) = lower($2))`, site.Tenant, in.Email).Scan(&known)
		if err != nil {
			return err
		}
		if known {
			return p.post(ctx, tx, site.Tenant, in.Email, "developer-sign-up", "You have an account at "+site.Title, fmt.Sprintf(
				"Somebody, probably you, wanted to sign up at %s with this address, which has an account already.\n\nSign in: %s\nForgot the password? %s\n\nIf it was not you, there is nothing to do.\n",
				site.Title, portalURL+"/sign-in", portalURL+"/forgot"))
		}
		token, err := p.issue(ctx, tx, ticket{kind: ticketDeveloperSignUp, tenant: site.Tenant, email: in.Email, payload: pending{PasswordHash: hash, Name: in.Name, Browser: in.browserHash()}}, signUpLife)
		if err != nil {
			return err
		}
		return p.post(ctx, tx, site.Tenant, in.Email, "developer-sign-up", "Confirm your e-mail address", fmt.Sprintf(
			"Welcome to %s. Confirm that this address is yours:\n\n%s\n\nThe link works once, for a day. If you did not sign up, there is nothing to do.\n", site.Title, portalURL+"/verify/"+token))
	})
}

func (s *Site) scope() scope { return Actor{Tenant: s.Tenant}.scope() }

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// customer is the actor that a developer is.
func (s *Site) customer(who Person, source string) Actor {
	return Actor{Tenant: s.Tenant, AccountID: s.AccountID, Member: who.ID, Name: who.Email, Source: source, Role: RoleCustomer}
}

// PendingDeveloper is PendingSignUp for a portal.
func (p *Plane) PendingDeveloper(ctx context.Context, source string, site Site, c Confirmation) (email string, ask bool, err error) {
	return p.pending(ctx, site.scope(), ticketDeveloperSignUp, source, c)
}

// ConfirmDeveloper opens the developer's account that a sign-up asked for.
func (p *Plane) ConfirmDeveloper(ctx context.Context, source string, site Site, c Confirmation) (Person, error) {
	if err := p.attempt(ctx, try{tokenByAddress, source}); err != nil {
		return Person{}, err
	}
	if err := p.confirms(ctx, site.scope(), ticketDeveloperSignUp, c); err != nil {
		return Person{}, err
	}
	var who Person
	err := p.in(ctx, site.scope(), pgx.TxOptions{}, func(tx pgx.Tx) error {
		var d pending
		t, err := p.take(ctx, tx, ticketDeveloperSignUp, c.Token, &d)
		if err != nil {
			return err
		}
		who = Person{ID: model.NewID(10), Email: t.email, Name: d.Name}
		if _, err := tx.Exec(ctx, `insert into developer (tenant_id, developer_id, email, name, password_hash) values ($1, $2, $3, $4, $5)`,
			site.Tenant, who.ID, who.Email, who.Name, d.PasswordHash); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `delete from ticket where kind = $1 and tenant_id = $2 and lower(email) = lower($3)`, ticketDeveloperSignUp, site.Tenant, who.Email); err != nil {
			return err
		}
		return audit(ctx, tx, site.customer(who, source), &site.Tenant, "developer.sign-up", who.Email, nil)
	})
	return who, err
}

// DeveloperSignIn is the portal's developer with this address and password.
func (p *Plane) DeveloperSignIn(ctx context.Context, source string, site Site, email, password string) (Person, error) {
	if len(email) > 254 || len(password) > maxPassword {
		return Person{}, errSignIn
	}
	if err := p.attempt(ctx, try{signInByAddress, source}, try{signInByAccount, "developer " + site.AccountID + " " + email}); err != nil {
		return Person{}, err
	}
	return p.authenticate(ctx, email, password, `
		select developer_id, email, name, password_hash from developer where tenant_id = $1 and lower(email) = lower($2) and not disabled`, site.Tenant, email)
}

// RequestDeveloperReset mails a link to set a new password, if the address is known.
func (p *Plane) RequestDeveloperReset(ctx context.Context, source string, site Site, portalURL, email string) error {
	if err := checkEmail(email); err != nil {
		return err
	}
	if err := p.attempt(ctx, try{mailFromAddress, source}, try{mailToAddress, site.Slug + " " + email}); err != nil {
		return err
	}
	return p.in(ctx, site.scope(), pgx.TxOptions{}, func(tx pgx.Tx) error {
		var id string
		err := tx.QueryRow(ctx, `select developer_id, email from developer where tenant_id = $1 and lower(email) = lower($2)`, site.Tenant, email).Scan(&id, &email)
		if err == pgx.ErrNoRows {
			return p.post(ctx, tx, site.Tenant, email, "developer-reset", "No account with this address", fmt.Sprintf(
				"Somebody, probably you, asked %s for a new password for this address, which has no account there.\n", site.Title))
		}
		if err != nil {
			return err
		}
		token, err := p.issue(ctx, tx, ticket{kind: ticketDeveloperReset, tenant: site.Tenant, subject: id, email: email}, resetLife)
		if err != nil {
			return err
		}
		return p.post(ctx, tx, site.Tenant, email, "developer-reset", "Set a new password", fmt.Sprintf(
			"Set a new password for %s here:\n\n%s\n\nThe link works once, for an hour. If you did not ask for it, there is nothing to do.\n", site.Title, portalURL+"/reset/"+token))
	})
}

// ResetDeveloperPassword sets the password that a reset's link asks for, and signs
// the developer out everywhere.
func (p *Plane) ResetDeveloperPassword(ctx context.Context, source string, site Site, token, password string) (Person, error) {
	if err := checkPassword(password); err != nil {
		return Person{}, err
	}
	if err := p.attempt(ctx, try{tokenByAddress, source}); err != nil {
		return Person{}, err
	}
	hash, err := p.hashPassword(ctx, password)
	if err != nil {
		return Person{}, err
	}
	var who Person
	err = p.in(ctx, site.scope(), pgx.TxOptions{}, func(tx pgx.Tx) error {
		t, err := p.take(ctx, tx, ticketDeveloperReset, token, nil)
		if err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `update developer set password_hash = $3 where tenant_id = $1 and developer_id = $2 and not disabled returning developer_id, email, name`,
			site.Tenant, t.subject, hash).Scan(&who.ID, &who.Email, &who.Name); err != nil {
			return missing(err, "this account cannot sign in; write to %s", or(site.SupportEmail, site.Title))
		}
		if _, err := tx.Exec(ctx, `delete from ticket where kind = $1 and tenant_id = $2 and subject = $3`, ticketDeveloperReset, site.Tenant, who.ID); err != nil {
			return err
		}
		if _, err := endSessions(ctx, tx, RealmPortal, who.ID, nil); err != nil {
			return err
		}
		return audit(ctx, tx, site.customer(who, source), &site.Tenant, "developer.password", who.Email, nil)
	})
	return who, err
}

// Profile is what a developer decides of itself.
type Profile struct {
	Name    string
	Billing model.Party // on its invoices
}

// DeveloperProfile is the actor's own.
func (p *Plane) DeveloperProfile(ctx context.Context, actor Actor) (out Profile, err error) {
	if err := actor.May(ToBuy); err != nil {
		return out, err
	}
	err = p.read(ctx, actor.scope(), func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `select name, billing from developer where tenant_id = $1 and developer_id = $2`, actor.Tenant, actor.Member).Scan(&out.Name, &out.Billing)
		return missing(err, "there is no such developer")
	})
	return out, err
}

// SetDeveloperProfile changes it. Final invoices keep what they say.
func (p *Plane) SetDeveloperProfile(ctx context.Context, actor Actor, in Profile) error {
	if in.Name != "" {
		if err := checkName("a developer", in.Name, 128); err != nil {
			return err
		}
	}
	in.Billing.Address = strings.ReplaceAll(in.Billing.Address, "\r\n", "\n")
	if err := in.Billing.Validate(); err != nil {
		return err
	}
	return p.buy(ctx, actor, func(w *write) error {
		if _, err := w.Exec(ctx, `update developer set name = $3, billing = $4 where tenant_id = $1 and developer_id = $2`, w.tenant, actor.Member, in.Name, in.Billing); err != nil {
			return err
		}
		return w.audit(ctx, "developer.update", actor.Name, nil)
	})
}

// ChangeDeveloperPassword is for who knows the old one; every other browser is
// signed out.
func (p *Plane) ChangeDeveloperPassword(ctx context.Context, actor Actor, old, password string, here []byte) error {
	if err := actor.May(ToBuy); err != nil {
		return err
	}
	if err := checkPassword(password); err != nil {
		return err
	}
	if err := p.attempt(ctx, try{signInByAccount, "change " + actor.Member}); err != nil {
		return err
	}
	_, err := p.authenticate(ctx, "", old, `select developer_id, email, name, password_hash from developer where tenant_id = $1 and developer_id = $2`, actor.Tenant, actor.Member)
	if model.KindOf(err) == model.Unauthenticated {
		return model.Errorf(model.Invalid, "the present password is wrong")
	}
	if err != nil {
		return err
	}
	hash, err := p.hashPassword(ctx, password)
	if err != nil {
		return err
	}
	return p.buy(ctx, actor, func(w *write) error {
		if _, err := w.Exec(ctx, `update developer set password_hash = $3 where tenant_id = $1 and developer_id = $2`, w.tenant, actor.Member, hash); err != nil {
			return err
		}
		if _, err := endSessions(ctx, w, RealmPortal, actor.Member, here); err != nil {
			return err
		}
		return w.audit(ctx, "developer.password", actor.Name, nil)
	})
}

// buy runs fn for a developer, who is there and not disabled.
func (p *Plane) buy(ctx context.Context, actor Actor, fn func(*write) error) error {
	_, err := p.writeAs(ctx, actor, ToBuy, func(w *write) error {
		var disabled bool
		err := w.QueryRow(ctx, `select disabled from developer where tenant_id = $1 and developer_id = $2`, w.tenant, actor.Member).Scan(&disabled)
		if err != nil {
			return missing(err, "there is no such developer")
		}
		if disabled {
			return model.Errorf(model.Denied, "this account is disabled; write to whoever runs the portal")
		}
		return fn(w)
	})
	return err
}
