package control

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// Realms are the three places to sign in to; a session of one is worth nothing
// in another.
const (
	RealmConsole  = "console"
	RealmOperator = "operator"
	RealmPortal   = "portal"
)

// How long a session lives without being used, and at most.
const (
	SessionIdle = 14 * 24 * time.Hour
	SessionLife = 60 * 24 * time.Hour
)

// Session is a browser that is signed in. Its id is in the browser's cookie and
// nowhere else: the methods take the id's SHA-256.
type Session struct {
	Realm     string            `json:"realm"`
	Subject   string            `json:"subject"` // person, operator or developer
	Tenant    uint32            `json:"tenant"`  // the account worked on, or the portal's; 0: none
	Data      map[string]string `json:"data"`    // what the pages keep between requests
	CreatedAt time.Time         `json:"createdAt"`
	SeenAt    time.Time         `json:"seenAt"`
	ExpiresAt time.Time         `json:"expiresAt"`
}

// Visitor is who a session stands for, as of now: a role that was taken away, a
// developer who was disabled is so at the next request.
type Visitor struct {
	Session Session
	ID      string // person, operator or developer
	Email   string
	Name    string
	// Actor may do what the visitor may; without an account it may do nothing.
	Actor Actor
	// Of the console:
	Account    Account   // worked on
	Accounts   []Account // all that the person is a member of, by name
	Undeployed int       // APIs of the account whose definition is not what a stage serves
	// Of a portal: an invoice is unpaid beyond the days of grace.
	Overdue bool
}

// Account is a tenant as one of its members sees it in a list.
type Account struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Role      Role   `json:"role"`
	Suspended bool   `json:"suspended"`
	Reason    string `json:"reason,omitempty"` // of the suspension; of the account worked on only
}

// who a session stands for, by realm; a row without a person has lost it.
var visitorSQL = map[string]string{
	RealmConsole: `
		with s as (
			select * from session where id_hash = $1 and realm = 'console' and expires_at > $2),
		accounts as (
			select m.tenant_id, m.member_id, m.role, t.account_id, t.name, t.suspended, t.suspended_reason
			from s join member m on m.person_id = s.subject join tenant t on t.tenant_id = m.tenant_id),
		here as (
			select a.* from s, accounts a order by a.tenant_id <> coalesce(s.tenant_id, 0), a.name, a.tenant_id limit 1)
		select s.subject, coalesce(s.tenant_id, 0), s.data, s.created_at, s.seen_at, s.expires_at, p.email, p.name,
			coalesce(h.tenant_id, 0), coalesce(h.account_id, ''), coalesce(h.member_id, ''), coalesce(h.role, ''), coalesce(h.name, ''), coalesce(h.suspended, false), coalesce(h.suspended_reason, ''),
			coalesce((select jsonb_agg(jsonb_build_object('id', a.account_id, 'name', a.name, 'role', a.role, 'suspended', a.suspended) order by a.name, a.account_id) from accounts a), '[]'),
			(select count(*) from api a where a.tenant_id = h.tenant_id and a.deleted_at is null and exists (
				select from stage st join deployment d using (tenant_id, deployment_id)
				where st.tenant_id = a.tenant_id and st.api_id = a.api_id and st.deleted_at is null and d.hash <> a.hash)), false
		from s join person p on p.person_id = s.subject left join here h on true`,
	RealmOperator: `
		select s.subject, 0, s.data, s.created_at, s.seen_at, s.expires_at, o.email, o.name, 0, '', o.operator_id, 'operator', '', false, '', '[]'::jsonb, 0, false
		from session s join operator o on o.operator_id = s.subject
		where s.id_hash = $1 and s.realm = 'operator' and s.expires_at > $2`,
	RealmPortal: `
		select s.subject, s.tenant_id, s.data, s.created_at, s.seen_at, s.expires_at, d.email, d.name,
			s.tenant_id, t.account_id, d.developer_id, 'customer', t.name, t.suspended, '', '[]'::jsonb, 0, d.overdue_at is not null
		from session s join developer d on d.tenant_id = s.tenant_id and d.developer_id = s.subject and not d.disabled
			join tenant t on t.tenant_id = s.tenant_id
		where s.id_hash = $1 and s.realm = 'portal' and s.expires_at > $2`,
}

// Visitor is who the session with this id hash stands for in a realm, in one
// round trip. Unauthenticated: there is no such session, or not any more.
func (p *Plane) Visitor(ctx context.Context, realm string, idHash []byte) (Visitor, error) {
	sql, ok := visitorSQL[realm]
	if !ok {
		return Visitor{}, model.Errorf(model.Invalid, "there is no realm %q", realm)
	}
	now := p.now()
	v := Visitor{Session: Session{Realm: realm}}
	s, a := &v.Session, &v.Actor
	err := p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, sql, idHash, now).Scan(
			&s.Subject, &s.Tenant, &s.Data, &s.CreatedAt, &s.SeenAt, &s.ExpiresAt, &v.Email, &v.Name,
			&a.Tenant, &a.AccountID, &a.Member, &a.Role, &v.Account.Name, &v.Account.Suspended, &v.Account.Reason, &v.Accounts, &v.Undeployed, &v.Overdue)
	})
	if model.KindOf(err) == model.NotFound {
		return Visitor{}, model.Errorf(model.Unauthenticated, "sign in first")
	}
	if err != nil {
		return Visitor{}, err
	}
	v.ID, a.Name = s.Subject, v.Email
	v.Account.ID, v.Account.Role = a.AccountID, a.Role
	// Written at most once a minute, so that looking at pages costs no writes.
	if now.Sub(s.SeenAt) > time.Minute {
		p.touch(ctx, idHash, s, now)
	}
	return v, nil
}

func (p *Plane) touch(ctx context.Context, idHash []byte, s *Session, now time.Time) {
	expires := now.Add(SessionIdle)
	if end := s.CreatedAt.Add(SessionLife); expires.After(end) {
		expires = end
	}
	err := p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `update session set seen_at = $2, expires_at = $3 where id_hash = $1`, idHash, now, expires)
		return err
	})
	if err != nil {
		p.log.Warn("a session's last use could not be recorded", "error", err)
	}
}

// MaxSessionData bounds what pages keep in one session, in bytes.
const MaxSessionData = 16 << 10

// SaveSession makes a session, or changes what it holds. Whoever calls it has
// checked who the subject is.
func (p *Plane) SaveSession(ctx context.Context, idHash []byte, s Session) error {
	size := 0
	for k, v := range s.Data {
		size += len(k) + len(v)
	}
	if size > MaxSessionData {
		return model.Errorf(model.Limit, "a session holds at most %d bytes", MaxSessionData)
	}
	if s.Data == nil {
		s.Data = map[string]string{}
	}
	now := p.now()
	return p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			insert into session as s (id_hash, realm, subject, tenant_id, data, created_at, seen_at, expires_at)
			values ($1, $2, $3, nullif($4, 0), $5, $6, $6, $7)
			on conflict (id_hash) do update set tenant_id = excluded.tenant_id, data = excluded.data
			where s.realm = excluded.realm and s.subject = excluded.subject`,
			idHash, s.Realm, s.Subject, s.Tenant, s.Data, now, now.Add(SessionIdle))
		return err
	})
}

// EndSession signs one browser out.
func (p *Plane) EndSession(ctx context.Context, idHash []byte) error {
	return p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `delete from session where id_hash = $1`, idHash)
		return err
	})
}

// endSessions signs a subject out everywhere, but for one browser (nil: none).
func endSessions(ctx context.Context, tx pgx.Tx, realm, subject string, except []byte) (int, error) {
	tag, err := tx.Exec(ctx, `
		delete from session where realm = $1 and subject = $2 and ($3::bytea is null or id_hash <> $3)`, realm, subject, except)
	return int(tag.RowsAffected()), err
}

// SwitchAccount is the number of an account that the person is a member of, for
// its session to go on with.
func (p *Plane) SwitchAccount(ctx context.Context, personID, accountID string) (tenant uint32, err error) {
	err = p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			select t.tenant_id from member m join tenant t using (tenant_id)
			where m.person_id = $1 and t.account_id = $2`, personID, accountID).Scan(&tenant)
		return missing(err, "you are not a member of account %s", accountID)
	})
	return tenant, err
}
