package control

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/control/mail"
	"tollgate/model"
)

// SignUp asks for a person's first account. Name may be empty.
type SignUp struct{ Email, Password, Account, Name string }

// Person is who signs in to the console.
type Person struct {
	ID    string `json:"id"`
	Email string `json:"email"`
	Name  string `json:"name"`
}

func checkEmail(email string) error { return mail.CheckAddress(email) }

func checkPassword(password string) error {
	if l := len(password); l < minPassword || l > maxPassword {
		return model.Errorf(model.Invalid, "a password has %d to %d characters; this one has %d", minPassword, maxPassword, l)
	}
	return nil
}

// pending is what a sign-up's ticket holds until its address is confirmed: no
// person and no account exist before.
type pending struct{ PasswordHash, Account, Name string }

// SignUp answers in the same way and time whether the address is known or not:
// what differs is in the mail. With a link from the operator (invited, a ticket of
// an address) it goes on where sign-up is closed.
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
				exists (select from ticket where kind = 'invitation' and tenant_id is null and lower(email) = lower($1) and expires_at > $2)
			from installation`, in.Email, p.now()).Scan(&open, &known, &invited)
		if err != nil {
			return err
		}
		if !open && !invited {
			return model.Errorf(model.Denied, "sign-up is by invitation here; ask the operator of this installation for one")
		}
		if known {
			return p.post(ctx, tx, 0, in.Email, "sign-up", "You have a Tollgate account already", fmt.Sprintf(
				"Somebody, probably you, wanted to sign up with this address, which has an account already.\n\nSign in: %s\nForgot the password? %s\n\nIf it was not you, there is nothing to do.\n",
				p.link("/sign-in"), p.link("/forgot")))
		}
		token, err := p.issue(ctx, tx, ticket{kind: ticketSignUp, email: in.Email, payload: pending{hash, in.Account, in.Name}}, signUpLife)
		if err != nil {
			return err
		}
		return p.post(ctx, tx, 0, in.Email, "sign-up", "Confirm your e-mail address", fmt.Sprintf(
			"Welcome to Tollgate. Confirm that this address is yours to open your account:\n\n%s\n\nThe link works once, for a day. If you did not sign up, there is nothing to do.\n",
			p.link("/verify/"+token)))
	})
}

// ConfirmSignUp opens the account that a sign-up asked for: a person, its account
// on the shared gateway, and it as the owner.
func (p *Plane) ConfirmSignUp(ctx context.Context, source, token string) (Person, Actor, error) {
	if err := p.attempt(ctx, try{tokenByAddress, source}); err != nil {
		return Person{}, Actor{}, err
	}
	var who Person
	var a Actor
	err := p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		var d pending
		t, err := p.take(ctx, tx, ticketSignUp, token, &d)
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

// SignIn is the person with this address and password. What it answers and how
// long it takes do not tell whether the address is known.
func (p *Plane) SignIn(ctx context.Context, source, email, password string) (Person, error) {
	if len(email) > 254 || len(password) > maxPassword {
		return Person{}, errSignIn
	}
	if err := p.attempt(ctx, try{signInByAddress, source}, try{signInByAccount, "person " + email}); err != nil {
		return Person{}, err
	}
	who, err := p.authenticate(ctx, email, password, `
		select person_id, email, name, password_hash from person where lower(email) = lower($1)`, email)
	return who, err
}

var errSignIn = model.Errorf(model.Unauthenticated, "the e-mail address or the password is wrong")

// authenticate checks a password against the one row that sql finds, or against
// nobody's.
func (p *Plane) authenticate(ctx context.Context, email, password, sql string, args ...any) (Person, error) {
	var who Person
	hash := nobody
	err := p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, sql, args...).Scan(&who.ID, &who.Email, &who.Name, &hash)
	})
	if err != nil && model.KindOf(err) != model.NotFound {
		return Person{}, err
	}
	ok, err := p.checkPassword(ctx, hash, password)
	if err != nil {
		return Person{}, err
	}
	if !ok || who.ID == "" {
		return Person{}, errSignIn
	}
	return who, nil
}

// RequestReset mails a link to set a new password, if the address is known. The
// answer does not tell.
func (p *Plane) RequestReset(ctx context.Context, source, email string) error {
	if err := checkEmail(email); err != nil {
		return err
	}
	if err := p.attempt(ctx, try{mailFromAddress, source}, try{mailToAddress, email}); err != nil {
		return err
	}
	return p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		var person string
		err := tx.QueryRow(ctx, `select person_id, email from person where lower(email) = lower($1)`, email).Scan(&person, &email)
		if err == pgx.ErrNoRows {
			return p.post(ctx, tx, 0, email, "reset", "No account with this address", fmt.Sprintf(
				"Somebody, probably you, asked for a new password for this address, which has no Tollgate account.\n\nSign up: %s\n", p.link("/sign-up")))
		}
		if err != nil {
			return err
		}
		token, err := p.issue(ctx, tx, ticket{kind: ticketReset, subject: person, email: email}, resetLife)
		if err != nil {
			return err
		}
		return p.post(ctx, tx, 0, email, "reset", "Set a new password", fmt.Sprintf(
			"Set a new password here:\n\n%s\n\nThe link works once, for an hour. If you did not ask for it, there is nothing to do: your password stays.\n", p.link("/reset/"+token)))
	})
}

// ResetPassword sets the password that a reset's link asks for, and signs the
// person out everywhere.
func (p *Plane) ResetPassword(ctx context.Context, source, token, password string) (Person, error) {
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
	err = p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		t, err := p.take(ctx, tx, ticketReset, token, nil)
		if err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `update person set password_hash = $2 where person_id = $1 returning person_id, email, name`, t.subject, hash).
			Scan(&who.ID, &who.Email, &who.Name); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `delete from ticket where kind = 'reset' and subject = $1`, who.ID); err != nil {
			return err
		}
		if _, err := endSessions(ctx, tx, RealmConsole, who.ID, nil); err != nil {
			return err
		}
		return auditPerson(ctx, tx, who, source, "person.reset")
	})
	return who, err
}

// auditPerson notes what a person did with its own sign-in in each of its accounts.
func auditPerson(ctx context.Context, tx pgx.Tx, who Person, source, action string) error {
	_, err := tx.Exec(ctx, `
		insert into audit (tenant_id, actor, actor_name, source, role, action, target)
		select tenant_id, member_id, $2, $3, role, $4, $2 from member where person_id = $1`, who.ID, who.Email, source, action)
	return err
}

// SetPersonName says how the person is called.
func (p *Plane) SetPersonName(ctx context.Context, personID, name string) error {
	if name != "" {
		if err := checkName("a person", name, 128); err != nil {
			return err
		}
	}
	return p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `update person set name = $2 where person_id = $1`, personID, name)
		return err
	})
}

// ChangePassword sets a new password for who knows the old one, and signs out
// every browser but this one (the hash of whose session's id is given).
func (p *Plane) ChangePassword(ctx context.Context, source, personID, old, password string, here []byte) error {
	if err := checkPassword(password); err != nil {
		return err
	}
	if err := p.attempt(ctx, try{signInByAccount, "change " + personID}); err != nil {
		return err
	}
	who, err := p.authenticate(ctx, "", old, `select person_id, email, name, password_hash from person where person_id = $1`, personID)
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
	return p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `update person set password_hash = $2 where person_id = $1`, personID, hash); err != nil {
			return err
		}
		if _, err := endSessions(ctx, tx, RealmConsole, personID, here); err != nil {
			return err
		}
		return auditPerson(ctx, tx, who, source, "person.password")
	})
}

// OtherSession is another browser that a subject is signed in with.
type OtherSession struct {
	CreatedAt time.Time
	SeenAt    time.Time
	Here      bool
}

// SessionsOf lists the browsers that a subject is signed in with.
func (p *Plane) SessionsOf(ctx context.Context, realm, subject string, here []byte) (out []OtherSession, err error) {
	err = p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select created_at, seen_at, id_hash = $3 from session where realm = $1 and subject = $2 and expires_at > $4
			order by seen_at desc limit 100`, realm, subject, here, p.now())
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, pgx.RowToStructByPos[OtherSession])
		return err
	})
	return out, err
}

// EndSessions signs a subject out everywhere but here (nil: here too).
func (p *Plane) EndSessions(ctx context.Context, realm, subject string, here []byte) (n int, err error) {
	err = p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) (err error) {
		n, err = endSessions(ctx, tx, realm, subject, here)
		return err
	})
	return n, err
}

// SameEmail reports that two addresses are one.
func SameEmail(a, b string) bool { return strings.EqualFold(a, b) }
