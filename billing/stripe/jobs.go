package stripe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	stripe "github.com/stripe/stripe-go/v79"

	"tollgate/model"
)

type (
	// settleArgs asks to bring an invoice and what is at Stripe of it in line.
	settleArgs struct {
		Tenant  uint32 `json:"tenant"`
		Invoice string `json:"invoice"`
	}
	// collectArgs asks to pay with a card what is open of its owner.
	collectArgs struct {
		Tenant   uint32 `json:"tenant"`
		Account  string `json:"account"`
		Customer string `json:"customer"`
		Method   string `json:"method"`
	}
	// eventArgs asks to work on an event.
	eventArgs struct {
		Account string `json:"account"`
		Event   string `json:"event"`
	}
	// sweepArgs asks to look for what was lost: events, and invoices out of line.
	sweepArgs struct{}
	// mirrorsArgs asks to mirror usage to the meters of all accounts, mirrorArgs to those
	// of one.
	mirrorsArgs struct{}
	mirrorArgs  struct {
		Account string `json:"account"`
	}
)

// Kind names the job in the queue.
func (settleArgs) Kind() string  { return "stripe_settle" }
func (collectArgs) Kind() string { return "stripe_collect" }
func (eventArgs) Kind() string   { return "stripe_event" }
func (sweepArgs) Kind() string   { return "stripe_sweep" }
func (mirrorsArgs) Kind() string { return "stripe_mirrors" }
func (mirrorArgs) Kind() string  { return "stripe_mirror" }

// Queue is the rail's own: each of its workers holds a connection to the database
// while it waits for Stripe.
const Queue = "stripe"

// attempts is how often a job is tried, over about two days; what fails then is
// parked, and shown to the operator.
const attempts = 14

// enqueue puts a job into the queue, once while it waits.
func (r *Rail) enqueue(ctx context.Context, tx pgx.Tx, args river.JobArgs) error {
	_, err := r.jobs.InsertTx(ctx, tx, args, insertOpts())
	return err
}

// insertNow is for a job that is wanted whatever is in the queue.
func insertNow() *river.InsertOpts { return &river.InsertOpts{Queue: Queue, MaxAttempts: attempts} }

func insertOpts() *river.InsertOpts {
	return &river.InsertOpts{Queue: Queue, MaxAttempts: attempts, UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: []rivertype.JobState{
		rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRunning, rivertype.JobStateRetryable, rivertype.JobStateScheduled}}}
}

// AddWorkers makes a River client able to do the rail's work.
func (r *Rail) AddWorkers(w *river.Workers) {
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, j *river.Job[settleArgs]) error {
		err := r.settle(ctx, j.Args.Tenant, j.Args.Invoice)
		if err == nil || busy(err) {
			return err
		}
		return errors.Join(err, r.park(ctx, j.Args, err))
	}))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, j *river.Job[taxArgs]) error { return r.askTax(ctx, j.Args) }))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, j *river.Job[collectArgs]) error { return r.collect(ctx, j.Args) }))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, j *river.Job[eventArgs]) error {
		err := r.work(ctx, j.Args.Account, j.Args.Event)
		if err != nil && !busy(err) && j.Attempt >= j.MaxAttempts {
			return errors.Join(err, r.note(ctx, j.Args.Account, j.Args.Event, "parked", plain(err)))
		}
		return err
	}))
	river.AddWorker(w, &sweeper{rail: r})
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, _ *river.Job[mirrorsArgs]) error { return r.mirrorSoon(ctx) }))
	river.AddWorker(w, &mirrorer{rail: r})
}

// mirrorer works on one account's meters.
type mirrorer struct {
	river.WorkerDefaults[mirrorArgs]
	rail *Rail
}

// Work does one pass, and comes back where there is more to do: others have their turn
// meanwhile.
func (m *mirrorer) Work(ctx context.Context, j *river.Job[mirrorArgs]) error {
	more, err := m.rail.Mirror(ctx, j.Args.Account)
	if err == nil && more {
		return river.JobSnooze(time.Second)
	}
	return err
}

// Timeout is for a pass with a Stripe that is slow.
func (m *mirrorer) Timeout(*river.Job[mirrorArgs]) time.Duration { return 15 * time.Minute }

// mirrorSoon has the meters of every account with customers brought in line.
func (r *Rail) mirrorSoon(ctx context.Context) error {
	if !r.mirrors {
		return nil
	}
	return r.in(ctx, 0, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select distinct c.account from stripe_customer c
			where c.account = '' or exists (select from stripe_account a where a.account = c.account and a.disconnected_at is null) order by 1`)
		if err != nil {
			return err
		}
		all, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, a := range all {
			if err := r.enqueue(ctx, tx, mirrorArgs{a}); err != nil {
				return err
			}
		}
		return nil
	})
}

// sweeper asks about every account, which takes its time.
type sweeper struct {
	river.WorkerDefaults[sweepArgs]
	rail *Rail
}

// Work looks for what was lost.
func (s *sweeper) Work(ctx context.Context, _ *river.Job[sweepArgs]) error { return s.rail.Sweep(ctx) }

// Timeout is for all accounts together.
func (s *sweeper) Timeout(*river.Job[sweepArgs]) time.Duration { return 30 * time.Minute }

// Periodic is when is looked for what was lost, and for usage to be mirrored; at a start
// too.
func (r *Rail) Periodic() []*river.PeriodicJob {
	often := func(args river.JobArgs) *river.PeriodicJob {
		return river.NewPeriodicJob(river.PeriodicInterval(10*time.Minute), func() (river.JobArgs, *river.InsertOpts) {
			o := insertOpts()
			o.MaxAttempts = 1
			return args, o
		}, &river.PeriodicJobOpts{RunOnStart: true})
	}
	out := []*river.PeriodicJob{often(sweepArgs{})}
	if r.mirrors {
		out = append(out, often(mirrorsArgs{}))
	}
	return out
}

// busy reports that another works on the same, and the job waits.
func busy(err error) bool {
	_, ok := errors.AsType[*river.JobSnoozeError](err)
	return ok
}

// park says on an invoice why it does not go on.
func (r *Rail) park(ctx context.Context, a settleArgs, problem error) error {
	text := model.MessageOf(problem)
	if model.KindOf(problem) == "" {
		text = problem.Error()
	}
	return r.in(context.WithoutCancel(ctx), a.Tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			update psp_object set problem = left($3, 500), updated_at = $4 where tenant_id = $1 and kind = 'invoice' and local_id = $2`, a.Tenant, a.Invoice, text, r.now())
		return err
	})
}

// Sweep looks for what was lost on the way: events that were not delivered, events
// whose work ended, and invoices whose state here is not the one at Stripe. What fails
// for one account does not keep the others from it.
func (r *Rail) Sweep(ctx context.Context) error {
	var accounts []string
	err := r.in(ctx, 0, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select account from stripe_account where disconnected_at is null union all select '' order by 1`)
		if err != nil {
			return err
		}
		accounts, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil {
		return err
	}
	var all error
	for _, a := range accounts {
		if err := r.sweepEvents(ctx, a); err != nil {
			all = errors.Join(all, fmt.Errorf("events of account %q: %w", a, err))
		}
	}
	return errors.Join(all, r.sweepBooks(ctx), r.prune(ctx))
}

const (
	// overlap is how far a sweep looks back behind the last one: events show up late.
	overlap = time.Hour
	// eventLife is for how long Stripe lists events.
	eventLife = 30 * 24 * time.Hour
)

// sweepEvents keeps the events of an account that were not delivered.
func (r *Rail) sweepEvents(ctx context.Context, account string) error {
	began := r.now()
	var since time.Time
	err := r.in(ctx, 0, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `select coalesce((select swept_to from stripe_cursor where account = $1), $2)`, account, began.Add(-24*time.Hour)).Scan(&since)
	})
	if err != nil {
		return err
	}
	if oldest := began.Add(-eventLife); since.Before(oldest) {
		since = oldest
	}
	lost := 0
	for part := range slices.Chunk(EventTypes, 20) { // as many as Stripe takes at once
		p := &stripe.EventListParams{ListParams: list(ctx, account), Types: stripe.StringSlice(part), CreatedRange: &stripe.RangeQueryParams{GreaterThanOrEqual: since.Add(-overlap).Unix()}}
		it := r.api.Events.List(p)
		for it.Next() {
			ev := it.Event()
			e := envelope{ID: ev.ID, Type: string(ev.Type), Account: account, Created: ev.Created}
			if err := json.Unmarshal(ev.Data.Raw, &e.Data.Object); err != nil {
				return err
			}
			if c, ok := ev.Data.PreviousAttributes["customer"].(string); ok {
				e.Data.Previous.Customer = c
			}
			if err := r.keep(ctx, &e, true); err != nil {
				return err
			}
			lost++
		}
		if locked(it.Err()) && account != "" {
			return r.syncAccount(ctx, account)
		}
		if it.Err() != nil {
			return it.Err()
		}
	}
	return r.in(ctx, 0, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			insert into stripe_cursor (account, tenant_id, swept_to) values ($1, (select tenant_id from stripe_account where account = $1), $2)
			on conflict (account) do update set swept_to = excluded.swept_to`, account, began)
		return err
	})
}

// sweepBooks asks anew for what is out of line: invoices that are not at Stripe yet,
// that ended here and not there, or that were credited.
func (r *Rail) sweepBooks(ctx context.Context) error {
	return r.in(ctx, 0, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select c.tenant_id, c.invoice_id from collection c
			left join psp_object p on p.tenant_id = c.tenant_id and p.kind = 'invoice' and p.local_id = c.invoice_id
			where c.by = 'stripe' and (
				c.state in ('open', 'past_due') and (p.local_id is null or p.head is null and p.state in ('', 'draft'))
				or c.state in ('paid', 'void', 'uncollectible') and p.state in ('draft', 'open')
				or c.amount_paid > c.amount_due and p.state = 'paid')
			order by c.updated_at limit 5000`)
		if err != nil {
			return err
		}
		all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[settleArgs])
		if err != nil {
			return err
		}
		for _, a := range all {
			if err := r.enqueue(ctx, tx, a); err != nil {
				return err
			}
		}
		rows, err = tx.Query(ctx, `select account, event_id from webhook_event where state = 'new' and received_at < $1 order by received_at limit 5000`, r.now().Add(-time.Hour))
		if err != nil {
			return err
		}
		events, err := pgx.CollectRows(rows, pgx.RowToStructByPos[eventArgs])
		if err != nil {
			return err
		}
		for _, e := range events {
			if err := r.enqueue(ctx, tx, e); err != nil {
				return err
			}
		}
		return nil
	})
}

// prune forgets events that were worked on, once Stripe does not send them any more, and
// hours that it does not take any more; all of them where the mirror is off.
func (r *Rail) prune(ctx context.Context) error {
	return r.in(ctx, 0, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `delete from webhook_event where state in ('done', 'ignored') and received_at < $1`, r.now().Add(-90*24*time.Hour))
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `delete from stripe_hour where hour < $1 or not $2`, r.now().Add(-reach), r.mirrors); err != nil || r.mirrors {
			return err
		}
		_, err = tx.Exec(ctx, `delete from stripe_meter`)
		return err
	})
}
