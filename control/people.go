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

// Person is who signs in to the console.
type Person struct {
	ID    string `json:"id"`
	Email string `json:"email"`
	Name  string `json:"name"`
}

// CheckEmail and CheckPassword say what is wrong with what was typed, for forms
// that list all that is wrong at once.
func CheckEmail(email string) error { return checkEmail(email) }

// CheckPassword is beside CheckEmail.
func CheckPassword(password string) error { return checkPassword(password) }

func checkEmail(email string) error { return mail.CheckAddress(email) }

func checkPassword(password string) error {
	if l := len(password); l < minPassword || l > maxPassword {
		return model.Errorf(model.Invalid, "a password has %d to %d characters; this one has %d", minPassword, maxPassword, l)
	}
	return nil
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
	if !strings.HasPrefix(hash, argonPrefix) {
		p.rehash(ctx, who.ID, hash, password)
	}
	return who, nil
}

// rehash keeps a password, right now known, by the present parameters.
func (p *Plane) rehash(ctx context.Context, id, old, password string) {
	hash, err := p.hashPassword(ctx, password)
	if err == nil {
		err = p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `
				with p as (update person set password_hash = $3 where person_id = $1 and password_hash = $2),
					o as (update operator set password_hash = $3 where operator_id = $1 and password_hash = $2)
				update developer set password_hash = $3 where developer_id = $1 and password_hash = $2`, id, old, hash)
			return err
		})
	}
	if err != nil { // the sign-in is good all the same
		p.log.Warn("a password could not be hashed by the present parameters", "id", id, "error", err)
	}
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

// PendingReset is the address that a reset's link is for.
func (p *Plane) PendingReset(ctx context.Context, source, token string) (email string, err error) {
	if err := p.attempt(ctx, try{tokenByAddress, source}); err != nil {
		return "", err
	}
	err = p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		t, err := p.look(ctx, tx, ticketReset, token, nil)
		email = t.email
		return err
	})
	return email, err
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
		if err := p.tellPasswordChanged(ctx, tx, who, source); err != nil {
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

// tellPasswordChanged warns the owner of an address of what somebody else may
// have done.
func (p *Plane) tellPasswordChanged(ctx context.Context, tx pgx.Tx, who Person, source string) error {
	return p.post(ctx, tx, 0, who.Email, "notice", "Your password was changed", fmt.Sprintf(
		"The password of your Tollgate sign-in was changed on %s from %s. Other browsers were signed out.\n\nIf it was not you, set a new one at once:\n\n%s\n",
		p.now().UTC().Format("2 Jan 2006 15:04 UTC"), source, p.link("/forgot")))
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
		if err := p.tellPasswordChanged(ctx, tx, who, source); err != nil {
			return err
		}
		return auditPerson(ctx, tx, who, source, "person.password")
	})
}

// OtherSession is a browser that a subject is signed in with.
type OtherSession struct {
	CreatedAt time.Time
	SeenAt    time.Time
	Here      bool
	Browser   string // what the sign-in's session kept under SessionBrowser
	Source    string // and under SessionSource
}

// What a session's data tells its owner of the browser that signed in.
const (
	SessionBrowser = "browser" // such as "Firefox on Linux"
	SessionSource  = "source"  // network address
)

// SessionsOf lists the browsers that a subject is signed in with.
func (p *Plane) SessionsOf(ctx context.Context, realm, subject string, here []byte) (out []OtherSession, err error) {
	err = p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select created_at, seen_at, coalesce(id_hash = $3, false), coalesce(data->>'browser', ''), coalesce(data->>'source', '') from session where realm = $1 and subject = $2 and expires_at > $4
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
