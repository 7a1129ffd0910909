package billing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"tollgate/billing/rate"
)

// draftsArgs asks for the drafts of a month.
type draftsArgs struct {
	Month string `json:"month"` // 2026-03
}

// Kind names the job in the queue.
func (draftsArgs) Kind() string { return "billing_drafts" }

// checkArgs asks for the checks of the books.
type checkArgs struct{}

// Kind names the job in the queue.
func (checkArgs) Kind() string { return "billing_check" }

// clockwork is who makes drafts by the calendar.
var clockwork = By{Member: "billing", Name: "monthly run", Role: "system"}

// AddWorkers makes a River client able to do the books' background work.
func (b *Billing) AddWorkers(w *river.Workers) {
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, j *river.Job[draftsArgs]) error {
		month, err := ParseMonth(j.Args.Month)
		if err != nil {
			return river.JobCancel(err)
		}
		return b.draftAll(ctx, month)
	}))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, _ *river.Job[checkArgs]) error { return b.Check(ctx) }))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, _ *river.Job[dunningArgs]) error { return b.Dun(ctx) }))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, _ *river.Job[calendarArgs]) error { return b.Calendar(ctx) }))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, j *river.Job[accessArgs]) error { return b.access(ctx, j.Args) }))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, _ *river.Job[spendArgs]) error { return b.Alert(ctx) }))
}

// draftAll makes the drafts of a month in all books that have none of it yet. One
// tenant's trouble does not keep the others from theirs.
func (b *Billing) draftAll(ctx context.Context, month time.Time) error {
	var all error
	for _, seller := range []string{BySeller, ByOperator} {
		tenants, err := b.undrafted(ctx, seller, month)
		if err != nil {
			return err
		}
		for _, t := range tenants {
			if _, err := b.run(ctx, t, seller, clockwork, month); err != nil {
				all = errors.Join(all, fmt.Errorf("drafts of %s, tenant %d: %w", month.Format("2006-01"), t, err))
			}
		}
	}
	return all
}

// undrafted are the tenants who have priced subscriptions of developers, or whom
// the operator charges, and of whom there is no invoice of the month.
func (b *Billing) undrafted(ctx context.Context, seller string, month time.Time) (out []uint32, err error) {
	charged := `exists (select from subscription s where s.tenant_id = t.tenant_id and s.app_id is not null and s.terms <> 0)`
	if seller == ByOperator {
		charged = `exists (select from price_sheet p where p.tenant_id is null and p.from_month <= ($2 at time zone 'UTC')::date)`
	}
	err = b.read(ctx, Operator, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select t.tenant_id from tenant t
			where not exists (select from invoice i where i.tenant_id = t.tenant_id and i.seller = $1 and i.period_start = $2::timestamptz and i.kind <> 'top-up') and `+charged+`
			order by 1`, seller, month)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, pgx.RowTo[uint32])
		return err
	})
	return out, err
}

// Periodic is when the drafts of a month are made: once it is over, and usage had
// time to come in; at a start too, in case nobody was there at that hour. They stay
// drafts until somebody makes them final. Every hour it is looked at what is past
// due and what becomes of wallets, and the books are checked.
func (b *Billing) Periodic() []*river.PeriodicJob {
	drafts := river.NewPeriodicJob(monthly{}, func() (river.JobArgs, *river.InsertOpts) {
		last, _ := rate.Month(b.now())
		return draftsArgs{Month: last.AddDate(0, -1, 0).Format("2006-01")}, &river.InsertOpts{MaxAttempts: 10, UniqueOpts: river.UniqueOpts{ByArgs: true}}
	}, &river.PeriodicJobOpts{RunOnStart: true})
	dunning := river.NewPeriodicJob(river.PeriodicInterval(time.Hour), func() (river.JobArgs, *river.InsertOpts) {
		return dunningArgs{}, &river.InsertOpts{MaxAttempts: 3, UniqueOpts: river.UniqueOpts{ByPeriod: time.Hour}}
	}, &river.PeriodicJobOpts{RunOnStart: true})
	checks := river.NewPeriodicJob(river.PeriodicInterval(time.Hour), func() (river.JobArgs, *river.InsertOpts) {
		return checkArgs{}, &river.InsertOpts{MaxAttempts: 1, UniqueOpts: river.UniqueOpts{ByPeriod: time.Hour}}
	}, &river.PeriodicJobOpts{RunOnStart: true})
	wallets := river.NewPeriodicJob(river.PeriodicInterval(time.Hour), func() (river.JobArgs, *river.InsertOpts) {
		return calendarArgs{}, &river.InsertOpts{MaxAttempts: 3, UniqueOpts: river.UniqueOpts{ByPeriod: time.Hour}}
	}, &river.PeriodicJobOpts{RunOnStart: true})
	const often = 5 * time.Minute
	spent := river.NewPeriodicJob(river.PeriodicInterval(often), func() (river.JobArgs, *river.InsertOpts) {
		return spendArgs{}, &river.InsertOpts{MaxAttempts: 1, UniqueOpts: river.UniqueOpts{ByPeriod: often}}
	}, &river.PeriodicJobOpts{RunOnStart: true})
	return []*river.PeriodicJob{drafts, dunning, checks, spent, wallets}
}

// monthly is the first of each month, 02:00 UTC: an hour after the last usage of
// the month can be expected to be in.
type monthly struct{}

// Next is the first such time after t.
func (monthly) Next(t time.Time) time.Time {
	begin, end := rate.Month(t)
	if first := begin.Add(2 * time.Hour); first.After(t) {
		return first
	}
	return end.Add(2 * time.Hour)
}
