package stripe

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/billing"
	"tollgate/model"
)

// PayURL is the page at Stripe on which a payer pays its open invoice; empty: there is
// none.
func (r *Rail) PayURL(ctx context.Context, s billing.Scope, invoice string) (url string, err error) {
	err = r.in(ctx, s.Tenant, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			select p.url from psp_object p
			join invoice i on i.tenant_id = p.tenant_id and i.invoice_id = p.local_id
			join collection c on c.tenant_id = p.tenant_id and c.invoice_id = p.local_id
			where p.tenant_id = $1 and p.kind = 'invoice' and p.local_id = $3 and p.state = 'open' and c.by = 'stripe' and c.state <> 'paid'
				and i.developer_id is not distinct from nullif($2, '')`, s.Tenant, s.Developer, invoice).Scan(&url)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return url, err
}

// Parked is an event, or an invoice, that does not go on by itself.
type Parked struct {
	Account  string // acct_…; empty: the operator's own
	Tenant   string // its account id; empty: none
	What     string // an event's kind, or an invoice's number
	Event    string // its id; empty: it is an invoice
	Invoice  string
	Attempts int
	Problem  string
	Since    time.Time
}

// Overview is how the rail is, for the operator.
type Overview struct {
	Accounts     int // that are connected
	Charging     int // that take payments
	Waiting      int // invoices that are too small to be charged
	Open         int // invoices at Stripe that are not paid
	New          int // events that are worked on
	LastEvent    time.Time
	LastSweep    time.Time
	Parked       []Parked // at most 100, the newest first
	TenantsAlone bool     // nothing is set that takes the events of tenants' accounts
}

// Overview is for the operator.
func (r *Rail) Overview(ctx context.Context) (o Overview, err error) {
	o.TenantsAlone = r.secrets[1] == ""
	err = r.in(ctx, 0, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			select (select count(*) from stripe_account where disconnected_at is null), (select count(*) from stripe_account where disconnected_at is null and charges_enabled),
				(select count(*) from psp_object where kind = 'invoice' and state = 'waiting'), (select count(*) from psp_object where kind = 'invoice' and state = 'open'),
				(select count(*) from webhook_event where state = 'new'), coalesce((select max(received_at) from webhook_event where not swept), '0001-01-01'),
				coalesce((select max(swept_to) from stripe_cursor), '0001-01-01')`).
			Scan(&o.Accounts, &o.Charging, &o.Waiting, &o.Open, &o.New, &o.LastEvent, &o.LastSweep)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			select e.account, coalesce(t.account_id, ''), e.kind, e.event_id, '', e.attempts, e.problem, e.received_at
			from webhook_event e left join tenant t using (tenant_id) where e.state = 'parked'
			union all
			select p.account, t.account_id, coalesce(i.number, ''), '', p.local_id, 0, p.problem, p.updated_at
			from psp_object p join tenant t using (tenant_id) left join invoice i on i.tenant_id = p.tenant_id and i.invoice_id = p.local_id
			where p.problem <> '' and p.kind = 'invoice'
			order by 8 desc limit 100`)
		if err != nil {
			return err
		}
		o.Parked, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Parked])
		return err
	})
	return o, err
}

// Retry works on a parked event, or an invoice that does not go on, once more.
func (r *Rail) Retry(ctx context.Context, by billing.By, account, event, invoice string) error {
	return r.in(ctx, 0, func(tx pgx.Tx) error {
		var tenant uint32
		if event != "" {
			t, err := tx.Exec(ctx, `update webhook_event set state = 'new' where account = $1 and event_id = $2 and state = 'parked'`, account, event)
			if err != nil {
				return err
			}
			if t.RowsAffected() == 0 {
				return model.Errorf(model.NotFound, "there is no parked event %q", event)
			}
			return r.enqueue(ctx, tx, eventArgs{account, event})
		}
		err := tx.QueryRow(ctx, `select tenant_id from psp_object where kind = 'invoice' and local_id = $1 and problem <> ''`, invoice).Scan(&tenant)
		if errors.Is(err, pgx.ErrNoRows) {
			return model.Errorf(model.NotFound, "there is no invoice %q that does not go on", invoice)
		}
		if err != nil {
			return err
		}
		if err := audit(ctx, tx, tenant, by, "stripe.retry", invoice, nil); err != nil {
			return err
		}
		_, err = r.jobs.InsertTx(ctx, tx, settleArgs{tenant, invoice}, insertNow())
		return err
	})
}
