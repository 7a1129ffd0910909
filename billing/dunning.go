package billing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"tollgate/model"
)

// An invoice that is not paid by its due date is past due: who pays is reminded on
// the days that the seller's rules name, and after the days of grace a developer is
// overdue: what that means for its keys, its plans say. Tenants of the operator are
// reminded alike, but nothing stops what they run: that is a person's decision.

// dunningArgs asks for all that is due by now.
type dunningArgs struct{}

// Kind names the job in the queue.
func (dunningArgs) Kind() string { return "billing_dunning" }

// accessArgs asks whether a developer is overdue still.
type accessArgs struct {
	Tenant    uint32 `json:"tenant"`
	Developer string `json:"developer"`
	Again     bool   `json:"again,omitempty"` // what that means has changed: nodes are told anyway
}

// Kind names the job in the queue.
func (accessArgs) Kind() string { return "billing_access" }

// dunner is who does what the calendar says, for the audit trail.
var dunner = By{Member: "billing", Name: "dunning", Role: "system"}

// later puts a job into the queue with the transaction.
func later(ctx context.Context, tx pgx.Tx, args river.JobArgs) error {
	jobs, err := river.NewClient(riverpgxv5.New(nil), &river.Config{})
	if err != nil {
		return err
	}
	_, err = jobs.InsertTx(ctx, tx, args, &river.InsertOpts{MaxAttempts: 20})
	return err
}

// unpaid is an invoice whose due date has passed.
type unpaid struct {
	id        string
	state     string
	dueAt     time.Time
	reminders int
}

// Dun does what is due by now in all books. One tenant's trouble does not keep the
// others from theirs.
func (b *Billing) Dun(ctx context.Context) error {
	if err := b.openAll(ctx); err != nil {
		return err
	}
	type books struct {
		tenant uint32
		seller string
	}
	var all []books
	err := b.read(ctx, Operator, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select distinct c.tenant_id, i.seller from collection c join invoice i using (tenant_id, invoice_id)
			where c.state in ('open', 'past_due') and c.due_at <= $1 and i.kind <> 'top-up'
			union select tenant_id, 'tenant' from developer where overdue_at is not null order by 1, 2`, b.now())
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (k books, err error) { return k, r.Scan(&k.tenant, &k.seller) })
		return err
	})
	if err != nil {
		return err
	}
	var troubles error
	for _, k := range all {
		if err := b.dunOf(ctx, k.tenant, k.seller); err != nil {
			troubles = errors.Join(troubles, fmt.Errorf("dunning of tenant %d, invoices of the %s: %w", k.tenant, k.seller, err))
		}
	}
	return troubles
}

// openAll opens what a program that kept no payments has made final.
func (b *Billing) openAll(ctx context.Context) error {
	return b.in(ctx, Operator, pgx.TxOptions{}, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			insert into collection (tenant_id, invoice_id, state, due_at, amount_due, updated_at)
			select tenant_id, invoice_id, case when total > 0 then 'open' else 'paid' end, $1::timestamptz + interval '14 days', greatest(total, 0), $1
			from invoice i where state = 'final' and kind = 'invoice'
				and not exists (select from collection c where (c.tenant_id, c.invoice_id) = (i.tenant_id, i.invoice_id))
			on conflict do nothing`, b.now())
		return err
	})
}

func (b *Billing) dunOf(ctx context.Context, tenant uint32, seller string) error {
	var r model.BillingRules
	var all []unpaid
	var developers []string
	err := b.read(ctx, Scope{Tenant: tenant}, func(tx pgx.Tx) (err error) {
		if r, err = rules(ctx, tx, tenant, seller); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			select invoice_id, c.state, c.due_at, c.reminders from collection c join invoice i using (tenant_id, invoice_id)
			where tenant_id = $1 and i.seller = $2 and c.state in ('open', 'past_due') and c.due_at <= $3 and i.kind <> 'top-up' order by c.due_at, invoice_id`, tenant, seller, b.now())
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (u unpaid, err error) {
			return u, r.Scan(&u.id, &u.state, &u.dueAt, &u.reminders)
		})
		return err
	})
	if err != nil {
		return err
	}
	s := Scope{Tenant: tenant}
	if seller == ByOperator {
		s = Operator
	}
	for _, u := range all {
		if u.state == model.StatePastDue && r.RemindersBy(u.dueAt, b.now()) <= u.reminders {
			continue
		}
		if err := b.dunOne(ctx, s, u.id, r); err != nil {
			return err
		}
	}
	if seller == ByOperator {
		return nil
	}
	err = b.read(ctx, s, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select developer_id from developer where tenant_id = $1 and overdue_at is not null
			union select i.developer_id from collection c join invoice i using (tenant_id, invoice_id)
			where tenant_id = $1 and i.seller = 'tenant' and c.state = 'past_due' and c.due_at <= $2 order by 1`, tenant, b.now().AddDate(0, 0, -r.GraceDays))
		if err != nil {
			return err
		}
		developers, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil {
		return err
	}
	var troubles error
	for _, d := range developers {
		troubles = errors.Join(troubles, b.access(ctx, accessArgs{Tenant: tenant, Developer: d}))
	}
	return troubles
}

// dunOne makes one invoice past due and reminds of it once, however many reminders
// were missed.
func (b *Billing) dunOne(ctx context.Context, s Scope, invoice string, r model.BillingRules) error {
	return b.in(ctx, s, pgx.TxOptions{}, func(tx pgx.Tx) error {
		c, err := standingOf(ctx, tx, s, invoice)
		if err != nil {
			return err
		}
		if c.State != model.StateOpen && c.State != model.StatePastDue || c.DueAt.After(b.now()) {
			return nil // paid meanwhile
		}
		if c.State == model.StateOpen {
			c.State = model.StatePastDue
			if err := audit(ctx, tx, c.tenant, dunner, "invoice.past-due", c.invoice, map[string]any{"number": c.number, "open": c.Open()}); err != nil {
				return err
			}
		}
		if err := b.keep(ctx, tx, c); err != nil {
			return err
		}
		n := r.RemindersBy(c.DueAt, b.now())
		var sent int
		if err := tx.QueryRow(ctx, `select reminders from collection where tenant_id = $1 and invoice_id = $2`, c.tenant, c.invoice).Scan(&sent); err != nil || n <= sent {
			return err
		}
		if _, err := tx.Exec(ctx, `update collection set reminders = $3 where tenant_id = $1 and invoice_id = $2`, c.tenant, c.invoice, n); err != nil {
			return err
		}
		if err := b.remind(ctx, tx, c, r); err != nil {
			return err
		}
		return audit(ctx, tx, c.tenant, dunner, "invoice.remind", c.invoice, map[string]any{"number": c.number, "open": c.Open(), "reminder": n})
	})
}

// access sees to it that a developer is overdue where an invoice of it is past due
// beyond the days of grace, and is not where none is.
func (b *Billing) access(ctx context.Context, a accessArgs) error {
	if b.setOverdue == nil {
		return nil
	}
	for range 5 { // an invoice may be paid while nodes are told
		var want, is bool
		err := b.read(ctx, Scope{Tenant: a.Tenant}, func(tx pgx.Tx) error {
			r, err := rules(ctx, tx, a.Tenant, BySeller)
			if err != nil {
				return err
			}
			return tx.QueryRow(ctx, `
				select d.overdue_at is not null, exists (select from collection c join invoice i using (tenant_id, invoice_id)
					where i.tenant_id = d.tenant_id and i.developer_id = d.developer_id and c.state = 'past_due' and c.due_at <= $3)
				from developer d where tenant_id = $1 and developer_id = $2`, a.Tenant, a.Developer, b.now().AddDate(0, 0, -r.GraceDays)).Scan(&is, &want)
		})
		if err == pgx.ErrNoRows {
			return nil
		}
		if err != nil || want == is && !a.Again {
			return err
		}
		a.Again = false
		if err := b.setOverdue(ctx, a.Tenant, a.Developer, want); err != nil {
			return err
		}
	}
	return fmt.Errorf("whether developer %s of tenant %d is overdue changes all the time", a.Developer, a.Tenant)
}

// letIn has it looked at whether a developer whose keys are refused has paid.
func (b *Billing) letIn(ctx context.Context, tx pgx.Tx, c *standing) error {
	if c.developer == "" || c.State == model.StatePastDue || c.State == model.StateOpen {
		return nil
	}
	var is bool
	err := tx.QueryRow(ctx, `select overdue_at is not null from developer where tenant_id = $1 and developer_id = $2`, c.tenant, c.developer).Scan(&is)
	if err != nil || !is {
		return err
	}
	return later(ctx, tx, accessArgs{Tenant: c.tenant, Developer: c.developer})
}
