package billing_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"tollgate/billing"
	"tollgate/model"
)

// The job makes drafts of the last month at its start, in a real River client, and
// leaves those alone that are there.
func TestDraftsByTheCalendar(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	sub := b.subscribe(b.tenant, b.developer, cents, march.AddDate(0, -2, 0))
	other := b.newTenant("222222222222")
	b.subscribe(other, b.newDeveloper(other, "dev9"), model.PriceSheet{Currency: "EUR", MonthlyFee: "3"}, march)
	b.newTenant("333333333333") // sells nothing
	b.use(b.tenant, sub, march, 110, model.FlagBillable)
	b.use(b.tenant, sub, april, 999, model.FlagBillable)
	b.must(b.AddOperatorSheet(b.ctx, by, billing.AmazonSheet(), march.AddDate(0, -1, 0)))

	b.calendar()
	drafts := func() string {
		return one[string](b, `select coalesce(string_agg(seller || ' ' || tenant_id || ' ' || total || ' ' || state || ' ' || to_char(period_start at time zone 'UTC', 'MM'), ', ' order by seller, tenant_id, total), '') from invoice`)
	}
	want := fmt.Sprintf("operator %d 0 draft 03, tenant %d 100 draft 03, tenant %d 300 draft 03", b.tenant, b.tenant, other)
	if got := drafts(); got != want {
		t.Errorf("made %q, want %q", got, want)
	}
	if n := one[int](b, `select count(*) from audit where role = 'system' and action = 'billing.run'`); n != 3 {
		t.Errorf("%d runs are in the audit trail, want one for each that changed something", n)
	}
}

// calendar lets the day's drafts be made, in a real River client.
func (b *books) calendar() {
	b.T.Helper()
	b.exec(`delete from river_job`)
	workers := river.NewWorkers()
	b.AddWorkers(workers)
	client, err := river.NewClient(riverpgxv5.New(b.pool), &river.Config{
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 2}}, Workers: workers, PeriodicJobs: b.Periodic(),
	})
	b.must(err)
	done, stop := client.Subscribe(river.EventKindJobCompleted, river.EventKindJobFailed)
	defer stop()
	b.must(client.Start(b.ctx))
	for late := time.After(2 * time.Minute); ; { // dunning comes between
		select {
		case e := <-done:
			if e.Kind != river.EventKindJobCompleted {
				b.T.Errorf("the job failed: %v", e.Job.Errors)
			}
			if e.Job.Kind != "billing_drafts" {
				continue
			}
		case <-late:
			b.T.Fatal("no job ran within two minutes")
		}
		break
	}
	b.must(client.Stop(b.ctx))
}

// Drafts that were made while the month went on lack those who came after, what was made
// final then lacks the rest of the month, and usage comes in late when all is final: the
// calendar makes drafts of each, without anybody having to look at an old month, and says
// so once.
func TestDraftsOfWhatCameLater(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	sheet := model.PriceSheet{Currency: "USD", Tiers: []model.PriceTier{{Price: "1"}}}
	early := b.subscribe(b.tenant, b.developer, sheet, march)
	later := b.subscribe(b.tenant, b.newDeveloper(b.tenant, "dev2"), sheet, march.AddDate(0, 0, 5))
	b.now = march.AddDate(0, 0, 4)
	b.use(b.tenant, early, march.Add(time.Hour), 10, model.FlagBillable)
	b.run()
	b.now = march.AddDate(0, 0, 20)
	b.use(b.tenant, later, march.AddDate(0, 0, 19), 20, model.FlagBillable)
	b.now = march.AddDate(0, 1, 0).Add(3 * time.Hour)
	state := func() string {
		return one[string](b, `select coalesce(string_agg(developer_id || ' ' || total || ' ' || state, ', ' order by developer_id, state desc, total), '') from invoice`)
	}
	expect := func(when, want string) {
		t.Helper()
		if got := state(); got != want {
			t.Errorf("%s there are %q, want %q", when, got, want)
		}
	}
	runs := func() int {
		return one[int](b, `select count(*) from audit where role = 'system' and action = 'billing.run'`)
	}
	b.calendar()
	expect("after the month", "dev1 1000 draft, dev2 2000 draft")
	b.finalize()
	b.calendar()
	expect("when all is final", "dev1 1000 final, dev2 2000 final")
	b.use(b.tenant, early, march.Add(2*time.Hour), 3, model.FlagBillable)
	was := runs()
	for range 2 {
		b.calendar()
		expect("when usage came in late", "dev1 1000 final, dev1 300 draft, dev2 2000 final")
	}
	if n := runs() - was; n != 1 {
		t.Errorf("%d runs are in the audit trail, want the one that found something", n)
	}
	b.finalize()
	b.now = march.AddDate(0, 3, 0) // weeks after
	if _, err := b.in.Compact(b.ctx); err != nil {
		t.Fatal(err)
	}
	b.use(b.tenant, later, march.AddDate(0, 0, 19), 4, model.FlagBillable)
	b.calendar()
	expect("months after", "dev1 300 final, dev1 1000 final, dev2 2000 final, dev2 400 draft")

	// What is made final while the month goes on lacks the rest.
	june := march.AddDate(0, 3, 0)
	b.use(b.tenant, early, june.Add(time.Hour), 1, model.FlagBillable)
	if _, err := b.Run(b.ctx, b.scope(), by, june); err != nil {
		t.Fatal(err)
	}
	b.finalize()
	b.use(b.tenant, early, june.AddDate(0, 0, 1), 5, model.FlagBillable)
	b.now = june.AddDate(0, 1, 2)
	b.calendar()
	if got := one[string](b, `select string_agg(total || ' ' || state, ', ' order by state desc, total) from invoice where period_start = $1 and developer_id = 'dev1'`, june); got != "100 final, 500 draft" {
		t.Errorf("of June there are %q", got)
	}
}

// Whose only usage of a month came in when the drafts of the others were made, and before
// the month was cut, has a draft the next day.
func TestDraftsOfWhoHadNone(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	sheet := model.PriceSheet{Currency: "USD", Tiers: []model.PriceTier{{Price: "1"}}}
	early := b.subscribe(b.tenant, b.developer, sheet, march)
	later := b.subscribe(b.tenant, b.newDeveloper(b.tenant, "dev2"), sheet, march)
	b.newDeveloper(b.tenant, "dev3")
	b.use(b.tenant, b.subscribe(b.tenant, "dev3", cents, march), march, 5, model.FlagBillable) // for nothing
	b.use(b.tenant, early, march.Add(time.Hour), 10, model.FlagBillable)
	b.now = march.AddDate(0, 1, 0).Add(3 * time.Hour)
	expect := func(when, want string) {
		t.Helper()
		got := one[string](b, `select coalesce(string_agg(developer_id || ' ' || total || ' ' || state, ', ' order by developer_id, total), '') from invoice`)
		if got != want {
			t.Errorf("%s there are %q, want %q", when, got, want)
		}
	}
	b.calendar()
	expect("after the month", "dev1 1000 draft, dev3 0 draft")
	b.use(b.tenant, later, march.AddDate(0, 0, 19), 20, model.FlagBillable)
	b.finalize()
	b.now = b.now.AddDate(0, 0, 1)
	b.calendar()
	expect("the day after", "dev1 1000 final, dev2 2000 draft, dev3 0 final")
	runs := one[int](b, `select count(*) from audit where role = 'system' and action = 'billing.run'`)
	b.finalize()
	b.now = b.now.AddDate(0, 0, 1)
	b.calendar()
	if n := one[int](b, `select count(*) from audit where role = 'system' and action = 'billing.run'`); n != runs {
		t.Errorf("%d runs changed something when all was final", n-runs)
	}
}

// Numbers have no gap, however many are made final at once, in series of tenants
// and in the operator's that all share, and however often that fails on its way.
func TestNumbersWithoutGaps(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.must(b.AddOperatorSheet(b.ctx, by, model.PriceSheet{Currency: "USD", Tiers: []model.PriceTier{{Price: "1"}}}, march.AddDate(0, -1, 0)))
	tenants := []uint32{b.tenant, b.newTenant("222222222222"), b.newTenant("333333333333")}
	subs := map[uint32][]uint64{}
	for _, id := range tenants {
		for n := range 4 {
			subs[id] = append(subs[id], b.subscribe(id, b.newDeveloper(id, fmt.Sprintf("dev%d-%d", id, n)), model.PriceSheet{Currency: "USD", Tiers: []model.PriceTier{{Price: "0.01"}}}, march))
		}
	}
	// Half of what takes a number breaks after it was taken.
	b.exec(`create function fail_at_times() returns trigger language plpgsql as $$ begin
		if random() < 0.5 then raise exception 'a failure put in on purpose'; end if; return new; end $$`)
	b.exec(`create trigger fail_at_times after update on invoice for each row when (new.state = 'final') execute function fail_at_times()`)
	var failed int
	for round := range 3 {
		for _, id := range tenants {
			for _, s := range subs[id] {
				b.use(id, s, march.Add(time.Duration(round)*time.Hour), 100, model.FlagBillable)
			}
		}
		scopes := []billing.Scope{billing.Operator}
		for _, id := range tenants {
			scopes = append(scopes, billing.Scope{Tenant: id})
		}
		for _, s := range scopes {
			_, err := b.Run(b.ctx, s, by, march)
			b.must(err)
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		for _, s := range scopes {
			drafts, err := b.Drafts(b.ctx, s, march)
			b.must(err)
			for _, d := range drafts {
				for range 2 { // two at once want the same
					wg.Go(func() {
						for {
							_, err := b.Finalize(b.ctx, s, by, []string{d.ID}, true)
							switch k := model.KindOf(err); {
							case err == nil, k == model.NotFound, k == model.Conflict:
								return
							case k != "":
								t.Error(err)
								return
							}
							mu.Lock()
							failed++
							mu.Unlock()
						}
					})
				}
			}
		}
		wg.Wait()
	}
	if failed == 0 {
		t.Error("nothing failed: the test shows nothing")
	}
	if left := one[int](b, `select count(*) from invoice where state = 'draft'`); left != 0 {
		t.Errorf("%d drafts are left", left)
	}
	if n := one[int](b, `select count(*) from invoice where state = 'final'`); n != 3*(4*3+3) {
		t.Errorf("%d invoices, want %d", n, 3*(4*3+3))
	}
	if gaps := one[int](b, `select count(*) from (select series, serial, row_number() over (partition by series order by serial) as n from invoice where state = 'final') x where serial <> n`); gaps != 0 {
		t.Errorf("%d numbers are out of line", gaps)
	}
	if series := one[int](b, `select count(distinct series) from invoice`); series != 4 {
		t.Errorf("%d series, want one for each seller", series)
	}
	// 3 × 100 calls of 4 developers in 3 tenants, at a cent; and the same calls at a dollar.
	if sum := one[string](b, `select string_agg(seller || ' ' || total, ', ' order by seller) from (select seller, sum(total) as total from invoice group by 1) x`); sum != "operator 360000, tenant 3600" {
		t.Errorf("invoiced %s", sum)
	}
}
