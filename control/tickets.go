package control

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// Kinds of tickets: what a link in a mail stands for.
const (
	ticketSignUp          = "sign-up"
	ticketReset           = "reset"
	ticketInvitation      = "invitation"
	ticketDeveloperSignUp = "developer-sign-up"
	ticketDeveloperReset  = "developer-reset"
)

// How long a link in a mail is good for.
const (
	signUpLife     = 24 * time.Hour
	resetLife      = time.Hour
	invitationLife = 7 * 24 * time.Hour
)

// ticket is what stands behind a link.
type ticket struct {
	id      string
	kind    string
	tenant  uint32 // 0: none
	subject string
	email   string
	payload any
	expires time.Time
}

// newToken is the secret part of a link.
func newToken() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// issue stores a ticket and returns the token for its link, which is not stored.
func (p *Plane) issue(ctx context.Context, tx pgx.Tx, t ticket, life time.Duration) (token string, err error) {
	token = newToken()
	doc, err := json.Marshal(t.payload)
	if err != nil {
		return "", err
	}
	if t.payload == nil {
		doc = []byte("{}")
	}
	_, err = tx.Exec(ctx, `
		insert into ticket (token_hash, kind, tenant_id, ticket_id, subject, email, payload, created_at, expires_at)
		values ($1, $2, nullif($3, 0), $4, nullif($5, ''), $6, $7, $8, $9)`,
		tokenHash(token), t.kind, t.tenant, model.NewID(12), t.subject, t.email, doc, p.now(), p.now().Add(life))
	return token, err
}

// look reads a ticket without using it up.
func (p *Plane) look(ctx context.Context, tx pgx.Tx, kind, token string, payload any) (ticket, error) {
	return p.ticket(ctx, tx, `select ticket_id, coalesce(tenant_id, 0), coalesce(subject, ''), email, payload, expires_at from ticket
		where token_hash = $1 and kind = $2 and expires_at > $3`, kind, token, payload)
}

// take uses a ticket up.
func (p *Plane) take(ctx context.Context, tx pgx.Tx, kind, token string, payload any) (ticket, error) {
	return p.ticket(ctx, tx, `delete from ticket where token_hash = $1 and kind = $2 and expires_at > $3
		returning ticket_id, coalesce(tenant_id, 0), coalesce(subject, ''), email, payload, expires_at`, kind, token, payload)
}

func (p *Plane) ticket(ctx context.Context, tx pgx.Tx, sql, kind, token string, payload any) (ticket, error) {
	t := ticket{kind: kind}
	var doc []byte
	err := tx.QueryRow(ctx, sql, tokenHash(token), kind, p.now()).Scan(&t.id, &t.tenant, &t.subject, &t.email, &doc, &t.expires)
	if err == pgx.ErrNoRows {
		return t, model.Errorf(model.NotFound, "this link has been used already or is too old; ask for a new one")
	}
	if err == nil && payload != nil {
		err = json.Unmarshal(doc, payload)
	}
	return t, err
}
