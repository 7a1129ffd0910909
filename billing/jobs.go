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

// draftsArgs asks for the drafts of a month that is over, and of what came in late of
// months before it.
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
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, _ *river.Job[noticesArgs]) error { return b.Announce(ctx) }))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, _ *river.Job[dunningArgs]) error { return b.Dun(ctx) }))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, _ *river.Job[calendarArgs]) error { return b.Calendar(ctx) }))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, j *river.Job[accessArgs]) error { return b.access(ctx, j.Args) }))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, _ *river.Job[spendArgs]) error { return b.Alert(ctx) }))
}

// draftAll makes the drafts of a month that is over in all books of which none was made
// since, and of it and months before where usage came in after a cut. One tenant's trouble does
// not keep the others from theirs.
func (b *Billing) draftAll(ctx context.Context, month time.Time) error {
	var all error
	for _, seller := range []string{BySeller, ByOperator} {
		books, err := b.undrafted(ctx, seller, month)
		if err != nil {
			return err
		}
		for _, g := range books {
			if _, err := b.run(ctx, g.tenant, seller, clockwork, g.month); err != nil {
				all = errors.Join(all, fmt.Errorf("drafts of %s, tenant %d: %w", g.month.Format("2006-01"), g.tenant, err))
			}
		}
	}
	return all
}

// lateMonths is for how many months before the last it is looked whether usage came in late.
const lateMonths = 12

// undrafted are the books of a month of which nothing was made since it is over, of
// tenants who have priced subscriptions of developers, or whom the operator charges:
// drafts that were made while it went on lack those who came after, and what was made
// final then lacks the rest. So are those of the month and of months before it where usage
// came in after a cut, whoever of the payers it is of, and those of developers who used
// something and have no draft nor invoice of it: it came in between the drafts and the cut.
func (b *Billing) undrafted(ctx context.Context, seller string, month time.Time) (out []group, err error) {
	charged := `exists (select from subscription s where s.tenant_id = t.tenant_id and s.app_id is not null and s.terms <> 0)`
	if seller == ByOperator {
		charged = `exists (select from price_sheet p where p.tenant_id is null and p.from_month <= (m.month at time zone 'UTC')::date)`
	}
	_, end := rate.Month(month)
	err = b.read(ctx, Operator, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select t.tenant_id, m.month from tenant t cross join (select $2::timestamptz as month) m
			where not exists (select from invoice i where i.tenant_id = t.tenant_id and i.seller = $1 and i.period_start = m.month and i.kind <> 'top-up' and i.created_at >= $3)
				and `+charged+`
			union
			select t.tenant_id, m.month from tenant t join (select tenant_id, period_start as month from period_close where period_start >= $4 and period_start <= $2) m using (tenant_id)
			where (exists (select from usage_day u where u.tenant_id = t.tenant_id and u.day >= m.month and u.day < m.month + interval '1 month' and u.gen > 0 and u.flags & 1 = 1)
					or exists (select from usage_line u where u.tenant_id = t.tenant_id and u.hour >= m.month and u.hour < m.month + interval '1 month' and u.gen > 0 and u.flags & 1 = 1))
				and `+charged+`
			union
			select s.tenant_id, $2::timestamptz from (
				select tenant_id, subscription_id from usage_day where day >= $2 and day < $2::timestamptz + interval '1 month' and flags & 1 = 1
				union select tenant_id, subscription_id from usage_line where hour >= $2 and hour < $2::timestamptz + interval '1 month' and flags & 1 = 1) u
			join subscription s using (tenant_id, subscription_id) join app a using (tenant_id, app_id)
			join price_sheet ps on (ps.tenant_id, ps.sheet_num) = (s.tenant_id, s.terms)
			where $1 = 'tenant' and not exists (select from invoice i where (i.tenant_id, i.developer_id, i.period_start) = (s.tenant_id, a.developer_id, $2)
				and i.currency = ps.sheet->>'currency' and i.kind <> 'top-up')
			order by 1, 2`, seller, month, end.Add(settling), month.AddDate(0, -lateMonths, 0))
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (g group, err error) {
			err = r.Scan(&g.tenant, &g.month)
			g.month = g.month.UTC()
			return g, err
		})
		return err
	})
	return out, err
}

// Periodic is when drafts are made: of a month once it is over and usage had time to come
// in, of what came late every day; at a start too, in case nobody was there at that hour.
// They stay drafts until somebody makes them final. Every hour it is looked at what is past
// due and what becomes of wallets, and the books are checked.
func (b *Billing) Periodic() []*river.PeriodicJob {
	drafts := river.NewPeriodicJob(daily{}, func() (river.JobArgs, *river.InsertOpts) {
		last, _ := rate.Month(b.now())
		return draftsArgs{Month: last.AddDate(0, -1, 0).Format("2006-01")}, &river.InsertOpts{MaxAttempts: 10, UniqueOpts: river.UniqueOpts{ByArgs: true, ByPeriod: time.Hour}}
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
	notices := river.NewPeriodicJob(river.PeriodicInterval(time.Minute), func() (river.JobArgs, *river.InsertOpts) {
		return noticesArgs{}, &river.InsertOpts{MaxAttempts: 1, UniqueOpts: river.UniqueOpts{ByPeriod: time.Minute}}
	}, &river.PeriodicJobOpts{RunOnStart: true})
	return []*river.PeriodicJob{drafts, dunning, checks, notices, spent, wallets}
}

// settling is how long after a month's end its drafts are made: an hour after the last
// usage of it can be expected to be in.
const settling = 2 * time.Hour

// daily is every day at that hour, UTC.
type daily struct{}

// Next is the first such time after t.
func (daily) Next(t time.Time) time.Time {
	next := t.UTC().Truncate(24 * time.Hour).Add(settling)
	if !next.After(t) {
		next = next.Add(24 * time.Hour)
	}
	return next
}
