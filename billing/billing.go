// Package billing turns usage into invoices: of a tenant to the developers of its
// portal, and of the operator to its tenants.
//
// An invoice is of one payer, one calendar month (UTC) and one currency. A draft
// is made anew as often as one likes. Finalizing cuts the month: what came in
// before the cut is in the invoice, what comes later is billed as the difference
// to it. So a month can be billed as often as one likes, and every call is on one
// invoice. What is final is never changed: what becomes of it, its payments and
// credit notes, stands beside it (collect.go, credit.go), and what happens when it is
// not paid is in dunning.go.
package billing

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"tollgate/model"
)

// Options says where the books are.
type Options struct {
	Pool *pgxpool.Pool
	Log  *slog.Logger     // default: none
	Now  func() time.Time // default time.Now
	// Changed is told, in the transaction that does it, that an invoice became final
	// (opened) or stands otherwise than before; nil: nobody is.
	Changed func(ctx context.Context, tx pgx.Tx, tenant uint32, invoice string, opened bool) error
	// TaxAsked is told, in the transaction that does it, that Stripe Tax is to be asked a
	// question; nil: nobody asks it.
	TaxAsked func(ctx context.Context, tx pgx.Tx, tenant uint32, hash string) error
	// Mail puts a letter on its way with the transaction. Nil: none are written.
	Mail func(context.Context, pgx.Tx, Letter) error
	// Link is where an invoice is looked at: on the portal of the slug, or, without
	// one, in the console. Nil, or an empty answer: letters have no link.
	Link func(slug, invoice string) string
	// SetOverdue makes gateways refuse a developer's keys, or take them again, as its
	// plans say of one who does not pay. Nil: nobody's are refused.
	SetOverdue func(ctx context.Context, tenant uint32, developer string, overdue bool) error
}

// Billing makes and shows invoices.
type Billing struct {
	pool *pgxpool.Pool
	log  *slog.Logger
	now  func() time.Time

	changed func(ctx context.Context, tx pgx.Tx, tenant uint32, invoice string, opened bool) error
	mail    func(context.Context, pgx.Tx, Letter) error
	link    func(slug, invoice string) string

	taxAsked func(ctx context.Context, tx pgx.Tx, tenant uint32, hash string) error

	setOverdue func(ctx context.Context, tenant uint32, developer string, overdue bool) error
}

// New makes the books on a migrated database.
func New(o Options) *Billing {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Changed == nil {
		o.Changed = func(context.Context, pgx.Tx, uint32, string, bool) error { return nil }
	}
	return &Billing{pool: o.Pool, log: o.Log, now: o.Now, mail: o.Mail, link: o.Link, setOverdue: o.SetOverdue, changed: o.Changed, taxAsked: o.TaxAsked}
}

// Scope is whose books are asked for. Whoever makes one has checked that the
// asker may.
type Scope struct {
	Tenant    uint32 // 0: the operator's books, of all tenants
	Developer string // only what this developer pays; it sees no drafts
}

// Operator is the scope of the operator's own books.
var Operator = Scope{}

// By is who does something, for the audit trail.
type By struct{ Member, Name, Source, Role string }

// Sellers.
const (
	BySeller   = "tenant"   // a tenant bills its developers
	ByOperator = "operator" // the operator bills its tenants
)

// sells is who the invoices are from that the scope makes.
func (s Scope) sells() string {
	if s.Tenant == 0 {
		return ByOperator
	}
	return BySeller
}

func (s Scope) rows() string {
	if s.Tenant == 0 {
		return "*"
	}
	return strconv.FormatUint(uint64(s.Tenant), 10)
}

// in runs a transaction that sees the rows of the scope's tenant only, again where
// the database asks for that.
func (b *Billing) in(ctx context.Context, s Scope, o pgx.TxOptions, f func(pgx.Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := pgx.BeginTxFunc(ctx, b.pool, o, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `select set_config('tollgate.tenant', $1, true)`, s.rows()); err != nil {
				return err
			}
			return f(tx)
		})
		pg, ok := errors.AsType[*pgconn.PgError](err)
		if ok && (pg.Code == "40001" || pg.Code == "40P01") && attempt < 5 && ctx.Err() == nil {
			continue
		}
		return err
	}
}

// read runs a transaction whose figures are all of one instant.
func (b *Billing) read(ctx context.Context, s Scope, f func(pgx.Tx) error) error {
	return b.in(ctx, s, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, f)
}

func audit(ctx context.Context, tx pgx.Tx, tenant uint32, by By, action, target string, detail map[string]any) error {
	d, err := json.Marshal(detail)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		insert into audit (tenant_id, actor, actor_name, source, role, action, target, detail) values (nullif($1, 0), $2, $3, $4, $5, $6, $7, $8)`,
		tenant, by.Member, by.Name, by.Source, by.Role, action, target, d)
	return err
}

// ParseMonth reads "2026-03".
func ParseMonth(s string) (time.Time, error) {
	t, err := time.Parse("2006-01", s)
	if err != nil || t.Year() < 2000 || t.Year() > 2200 {
		return time.Time{}, model.Errorf(model.Invalid, "%q is not a month such as 2026-03", s)
	}
	return t, nil
}

// MonthText writes it: "March 2026".
func MonthText(t time.Time) string { return t.UTC().Format("January 2006") }
