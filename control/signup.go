package control

import (
	"context"
	"crypto/subtle"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// SignUp asks for a person's first account.
type SignUp struct {
	Email, Password string
	Account, Name   string // may be empty
	Browser         string // a secret that the browser keeps until it opens the mail's link; may be empty
	Invitation      string // token of the operator's invitation, needed where sign-up is closed
}

// pending is what a sign-up's ticket holds until its address is confirmed: no
// person and no account exist before.
type pending struct {
	PasswordHash, Account, Name string
	Browser                     []byte // hash of the browser's secret
}

func (in SignUp) browserHash() []byte {
	if in.Browser == "" {
		return nil
	}
	return tokenHash(in.Browser)
}

// Confirmation is what opens an account: the token of a sign-up's link, with
// proof that who opens the link is who signed up. Else a stranger who signed up
// with somebody's address would know the password of the account that its owner
// confirms.
type Confirmation struct {
	Token    string
	Browser  string // as in SignUp
	Password string // asked for in another browser
}

// SignUp answers in the same way and time whether the address is known or not:
// what differs is in the mail.
func (p *Plane) SignUp(ctx context.Context, source string, in SignUp) error {
	if err := checkEmail(in.Email); err != nil {
		return err
	}
	if in.Account == "" {
		in.Account, _, _ = strings.Cut(in.Email, "@")
	}
	if err := checkName("an account", in.Account, 128); err != nil {
		return err
	}
	if in.Name != "" {
		if err := checkName("a person", in.Name, 128); err != nil {
			return err
		}
	}
	if err := checkPassword(in.Password); err != nil {
		return err
	}
	if err := p.attempt(ctx, try{mailFromAddress, source}, try{mailToAddress, in.Email}); err != nil {
		return err
	}
	hash, err := p.hashPassword(ctx, in.Password)
	if err != nil {
		return err
	}
	return p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		var open, known, invited bool
		err := tx.QueryRow(ctx, `
			select sign_up = 'open', exists (select from person where lower(email) = lower($1)),
				exists (select from ticket where kind = 'invitation' and tenant_id is null and token_hash = $3 and lower(email) = lower($1) and expires_at > $2)
			from installation`, in.Email, p.now(), tokenHash(in.Invitation)).Scan(&open, &known, &invited)
		if err != nil {
			return err
		}
		if !open && !invited {
			return errClosed
		}
		if known {
			return p.post(ctx, tx, 0, in.Email, "sign-up", "You have a Tollgate account already", fmt.Sprintf(
				"Somebody, probably you, wanted to sign up with this address, which has an account already.\n\nSign in: %s\nForgot the password? %s\n\nIf it was not you, there is nothing to do.\n",
				p.link("/sign-in"), p.link("/forgot")))
		}
		d := pending{PasswordHash: hash, Account: in.Account, Name: in.Name, Browser: in.browserHash()}
		token, err := p.issue(ctx, tx, ticket{kind: ticketSignUp, email: in.Email, payload: d}, signUpLife)
		if err != nil {
			return err
		}
		return p.post(ctx, tx, 0, in.Email, "sign-up", "Confirm your e-mail address", fmt.Sprintf(
			"Welcome to Tollgate. Confirm that this address is yours to open your account:\n\n%s\n\nThe link works once, for a day. If you did not sign up, there is nothing to do.\n",
			p.link("/verify/"+token)))
	})
}

var errClosed = model.Errorf(model.Denied, "sign-up is by invitation here; ask the operator of this installation for one")

// SignUpOpen reports that anybody may sign up.
func (p *Plane) SignUpOpen(ctx context.Context) (open bool, err error) {
	err = p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `select sign_up = 'open' from installation`).Scan(&open)
	})
	return open, err
}

// PendingSignUp is what a sign-up's link is for: the address, and whether this
// browser has to give the password that was chosen.
func (p *Plane) PendingSignUp(ctx context.Context, source string, c Confirmation) (email string, ask bool, err error) {
	return p.pending(ctx, everyTenant, ticketSignUp, source, c)
}

func (p *Plane) pending(ctx context.Context, s scope, kind, source string, c Confirmation) (email string, ask bool, err error) {
	if err := p.attempt(ctx, try{tokenByAddress, source}); err != nil {
		return "", false, err
	}
	err = p.read(ctx, s, func(tx pgx.Tx) error {
		var d pending
		t, err := p.look(ctx, tx, kind, c.Token, &d)
		email, ask = t.email, !d.fromBrowser(c.Browser)
		return err
	})
	return email, ask, err
}

func (d *pending) fromBrowser(secret string) bool {
	return secret != "" && subtle.ConstantTimeCompare(d.Browser, tokenHash(secret)) == 1
}

// confirms checks that who opens a sign-up's link is who signed up.
func (p *Plane) confirms(ctx context.Context, s scope, kind string, c Confirmation) error {
	var d pending
	err := p.read(ctx, s, func(tx pgx.Tx) error {
		_, err := p.look(ctx, tx, kind, c.Token, &d)
		return err
	})
	if err != nil || d.fromBrowser(c.Browser) {
		return err
	}
	if c.Password == "" || len(c.Password) > maxPassword {
		return model.Errorf(model.Invalid, "type the password that was chosen at the sign-up")
	}
	if err := p.attempt(ctx, try{signInByAccount, "confirm " + c.Token}); err != nil {
		return err
	}
	ok, err := p.checkPassword(ctx, d.PasswordHash, c.Password)
	if err == nil && !ok {
		err = model.Errorf(model.Invalid, "this is not the password that was chosen at the sign-up; if you did not sign up yourself, sign up now with a password of your own")
	}
	return err
}

// ConfirmSignUp opens the account that a sign-up asked for: a person, its account
// on the shared gateway, and it as the owner.
func (p *Plane) ConfirmSignUp(ctx context.Context, source string, c Confirmation) (Person, Actor, error) {
	if err := p.attempt(ctx, try{tokenByAddress, source}); err != nil {
		return Person{}, Actor{}, err
	}
	if err := p.confirms(ctx, everyTenant, ticketSignUp, c); err != nil {
		return Person{}, Actor{}, err
	}
	var who Person
	var a Actor
	err := p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		var d pending
		t, err := p.take(ctx, tx, ticketSignUp, c.Token, &d)
		if err != nil {
			return err
		}
		who = Person{ID: model.NewID(10), Email: t.email, Name: d.Name}
		if _, err := tx.Exec(ctx, `insert into person (person_id, email, name, password_hash) values ($1, $2, $3, $4)`,
			who.ID, who.Email, who.Name, d.PasswordHash); err != nil {
			return err
		}
		a = Actor{Member: model.NewID(10), Name: who.Email, Source: source, Role: RoleOwner, AccountID: model.NewAccountID()}
		w := &write{Tx: tx, actor: a}
		if err := tx.QueryRow(ctx, `
			insert into tenant (account_id, name, email, gateway_id)
			values ($1, $2, $3, (select gateway_id from gateway where name = 'shared'))
			returning tenant_id, gateway_id`, a.AccountID, d.Account, who.Email).Scan(&w.tenant, &w.gateway); err != nil {
			return err
		}
		a.Tenant, w.actor.Tenant = w.tenant, w.tenant
		if _, err := tx.Exec(ctx, `insert into member (tenant_id, member_id, person_id, role) values ($1, $2, $3, 'owner')`,
			w.tenant, a.Member, who.ID); err != nil {
			return err
		}
		// Other sign-ups of the address, and the operator's invitation of it, are done with.
		if _, err := tx.Exec(ctx, `
			delete from ticket where lower(email) = lower($1) and (kind = 'sign-up' or kind = 'invitation' and tenant_id is null)`, who.Email); err != nil {
			return err
		}
		if err := w.audit(ctx, "tenant.sign-up", a.AccountID, map[string]any{"name": d.Account}); err != nil {
			return err
		}
		w.changed(kindTenant, int64(w.tenant))
		return w.publish(ctx)
	})
	if err != nil {
		return Person{}, Actor{}, err
	}
	return who, a, nil
}

// Invitee is somebody whom the operator asked to open an account.
type Invitee struct {
	ID        string    `json:"id"`
	Email     string    `json:"email"`
	CreatedAt time.Time `json:"createdAt"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// InviteToSignUp mails somebody a link to open an account, wherever sign-up is
// closed. Asking again sends a new link; the old one is void.
func (p *Plane) InviteToSignUp(ctx context.Context, operator Actor, email string) error {
	if err := operator.May(ToOperate); err != nil {
		return err
	}
	if err := checkEmail(email); err != nil {
		return err
	}
	return p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		var known bool
		if err := tx.QueryRow(ctx, `select exists (select from person where lower(email) = lower($1))`, email).Scan(&known); err != nil {
			return err
		}
		if known {
			return model.Errorf(model.Conflict, "%s has signed up already", email)
		}
		if _, err := tx.Exec(ctx, `delete from ticket where kind = 'invitation' and tenant_id is null and lower(email) = lower($1)`, email); err != nil {
			return err
		}
		token, err := p.issue(ctx, tx, ticket{kind: ticketInvitation, email: email}, invitationLife)
		if err != nil {
			return err
		}
		if err := p.post(ctx, tx, 0, email, "invitation", "Open an account on Tollgate", fmt.Sprintf(
			"You are invited to open an account on Tollgate, an API gateway to publish and sell APIs with.\n\nSign up here:\n\n%s\n\nThe link is good for seven days.\n", p.link("/invitations/"+token))); err != nil {
			return err
		}
		return audit(ctx, tx, operator, nil, "installation.invite", email, nil)
	})
}

// SignUpInvitations lists by address whom the operator asked and who did not come
// yet.
func (p *Plane) SignUpInvitations(ctx context.Context, operator Actor, f Page) (List[Invitee], error) {
	if err := operator.May(ToOperate); err != nil {
		return List[Invitee]{}, err
	}
	from, limit, err := f.bounds()
	if err != nil {
		return List[Invitee]{}, err
	}
	var out List[Invitee]
	err = p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select ticket_id, email, created_at, expires_at from ticket
			where kind = 'invitation' and tenant_id is null and expires_at > $1
			  and (lower(email), ticket_id) > (lower($2), $3) and position(lower($4) in lower(email)) > 0
			order by lower(email), ticket_id limit $5`, p.now(), from.Name, from.ID, f.Match, limit+1)
		if err != nil {
			return err
		}
		items, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Invitee])
		out = page(items, limit, func(i *Invitee) after { return after{i.Email, i.ID} })
		return err
	})
	return out, err
}

// SignUpInvitation is one of them.
func (p *Plane) SignUpInvitation(ctx context.Context, operator Actor, id string) (i Invitee, err error) {
	if err := operator.May(ToOperate); err != nil {
		return i, err
	}
	err = p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			select ticket_id, email, created_at, expires_at from ticket
			where kind = 'invitation' and tenant_id is null and expires_at > $1 and ticket_id = $2`, p.now(), id).Scan(&i.ID, &i.Email, &i.CreatedAt, &i.ExpiresAt)
		return missing(err, "there is no open invitation %q", id)
	})
	return i, err
}

// RevokeSignUpInvitation makes an open invitation's link void.
func (p *Plane) RevokeSignUpInvitation(ctx context.Context, operator Actor, id string) error {
	if err := operator.May(ToOperate); err != nil {
		return err
	}
	return p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		var email string
		err := tx.QueryRow(ctx, `delete from ticket where kind = 'invitation' and tenant_id is null and ticket_id = $1 returning email`, id).Scan(&email)
		if err != nil {
			return missing(err, "there is no open invitation %q", id)
		}
		return audit(ctx, tx, operator, nil, "installation.uninvite", email, nil)
	})
}
