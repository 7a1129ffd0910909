package billing_test

import (
	"context"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tollgate/billing"
	"tollgate/billing/intake"
	"tollgate/billing/rate"
	"tollgate/billing/rate/ratetest"
	"tollgate/migrations/pgtest"
	"tollgate/model"
)

var (
	march = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	april = time.Date(2026, 4, 5, 0, 0, 0, 0, time.UTC)
	by    = billing.By{Member: "m", Name: "ada@example.com", Role: "owner"}
)

// books is a database with a tenant whose developer has an app.
type books struct {
	T *testing.T
	*billing.Billing
	ctx       context.Context
	pool      *pgxpool.Pool
	in        *intake.Intake
	now       time.Time
	taken     time.Time // the latest that usage was handed in of
	tenant    uint32
	developer string
	seq       uint64
	boot      model.BootID
}

func newBooks(t *testing.T) *books {
	t.Helper()
	b := &books{T: t, ctx: t.Context(), pool: pgtest.New(t), now: april, boot: model.BootID{1}}
	b.Billing = billing.New(billing.Options{Pool: b.pool, Now: func() time.Time { return b.now }})
	b.in = intake.New(intake.Options{Pool: b.pool, Now: func() time.Time {
		if b.taken.After(b.now) {
			return b.taken
		}
		return b.now
	}})
	b.tenant = b.newTenant("111111111111")
	b.developer = b.newDeveloper(b.tenant, "dev1")
	return b
}

func (b *books) must(err error) {
	b.T.Helper()
	if err != nil {
		b.T.Fatal(err)
	}
}

func (b *books) exec(sql string, args ...any) {
	b.T.Helper()
	b.must(pgx.BeginFunc(b.ctx, b.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(b.ctx, `select set_config('tollgate.tenant', '*', true)`); err != nil {
			return err
		}
		_, err := tx.Exec(b.ctx, sql, args...)
		return err
	}))
}

func one[T any](b *books, sql string, args ...any) (v T) {
	b.T.Helper()
	b.must(pgx.BeginFunc(b.ctx, b.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(b.ctx, `select set_config('tollgate.tenant', '*', true)`); err != nil {
			return err
		}
		return tx.QueryRow(b.ctx, sql, args...).Scan(&v)
	}))
	return v
}

func (b *books) newTenant(account string) uint32 {
	return one[uint32](b, `insert into tenant (account_id, name, email, gateway_id, created_at) values ($1, 'Tenant ' || $1, $1 || '@example.com', 1, '2026-01-01') returning tenant_id`, account)
}

func (b *books) newDeveloper(tenant uint32, id string) string {
	b.exec(`insert into developer (tenant_id, developer_id, email, password_hash) values ($1, $2, $2 || '@example.com', '')`, tenant, id)
	b.exec(`insert into app (tenant_id, app_id, developer_id, name) values ($1, 'app-' || $2, $2, 'App')`, tenant, id)
	return id
}

// subscribe gives a developer's app a subscription to a plan of its own.
func (b *books) subscribe(tenant uint32, developer string, sheet model.PriceSheet, since time.Time) uint64 {
	b.T.Helper()
	plan := model.NewID(6)
	b.exec(`insert into plan (tenant_id, plan_id, name) values ($1, $2, 'Plan')`, tenant, plan)
	num := one[uint32](b, `insert into price_sheet (tenant_id, plan_id, version, sheet, created_by) values ($1, $2, 1, $3, 'x') returning sheet_num`, tenant, plan, sheet)
	return one[uint64](b, `insert into subscription (tenant_id, plan_id, app_id, terms, started_at) values ($1, $2, 'app-' || $3, $4, $5) returning subscription_id`,
		tenant, plan, developer, num, since)
}

// use hands in calls of a subscription in an hour.
func (b *books) use(tenant uint32, sub uint64, at time.Time, calls uint64, flags uint16) {
	b.T.Helper()
	b.seq++
	if at.After(b.taken) {
		b.taken = at
	}
	batch := &model.Batch{Boot: b.boot, Seq: b.seq, First: at.UnixMicro(), Last: at.UnixMicro(), Watermark: at.UnixMicro(),
		Lines: []model.UsageLine{{Hour: at.Unix() / 3600, Tenant: tenant, Subscription: sub, Status: 200, Flags: flags, Calls: calls, BytesOut: calls / 2}}}
	_, err := b.in.Ingest(b.ctx, 1, 0, batch.Encode())
	b.must(err)
}

func (b *books) scope() billing.Scope { return billing.Scope{Tenant: b.tenant} }

func (b *books) run() int {
	b.T.Helper()
	n, err := b.Run(b.ctx, b.scope(), by, march)
	b.must(err)
	return n
}

func (b *books) list(s billing.Scope, f billing.Filter) []billing.Invoice {
	b.T.Helper()
	l, _, err := b.Invoices(b.ctx, s, f)
	b.must(err)
	return l
}

// finalize makes every draft final.
func (b *books) finalize() []string {
	b.T.Helper()
	var ids []string
	for _, i := range b.list(b.scope(), billing.Filter{State: "draft"}) {
		ids = append(ids, i.ID)
	}
	done, err := b.Finalize(b.ctx, b.scope(), by, ids, true)
	b.must(err)
	return done
}

func (b *books) detail(id string) billing.InvoiceDetail {
	b.T.Helper()
	d, err := b.Invoice(b.ctx, b.scope(), id)
	b.must(err)
	return d
}

var cents = model.PriceSheet{Currency: "USD", Included: 10, Tiers: []model.PriceTier{{Price: "0.01"}}}

func TestInvoice(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	sub := b.subscribe(b.tenant, b.developer, model.PriceSheet{Currency: "USD", MonthlyFee: "5", Included: 10, Tiers: []model.PriceTier{{Price: "0.01"}}}, march.AddDate(0, -1, 0))
	b.use(b.tenant, sub, march.Add(2*time.Hour), 100, model.FlagBillable)
	b.use(b.tenant, sub, march.Add(3*time.Hour), 50, 0) // refused: costs nothing
	if _, err := b.in.Compact(b.ctx); err != nil {
		t.Fatal(err)
	}
	b.use(b.tenant, sub, march.Add(4*time.Hour), 34, model.FlagBillable)
	b.use(b.tenant, sub, april, 1000, model.FlagBillable) // another month

	for range 2 { // as often as one likes
		if n := b.run(); n != 1 {
			t.Fatalf("%d drafts", n)
		}
	}
	draft := b.list(b.scope(), billing.Filter{})[0]
	if draft.Final || draft.Number != "" || draft.Total != 500+124 || draft.To.Email != "dev1@example.com" {
		t.Errorf("draft %+v", draft)
	}
	if l := b.list(billing.Scope{Tenant: b.tenant, Developer: b.developer}, billing.Filter{}); len(l) != 0 {
		t.Errorf("the developer sees %d drafts", len(l))
	}
	if done := b.finalize(); len(done) != 1 || done[0] != draft.ID {
		t.Fatalf("final became %v", done)
	}
	d := b.detail(draft.ID)
	if !d.Final || d.Number != "INV-000001" || d.Total != 624 || len(d.Lines) != 2 || d.Lines[1].Quantity != 134 || len(d.Lines[1].Steps) != 2 {
		t.Errorf("invoice %+v", d)
	}
	_, use, err := b.Behind(b.ctx, b.scope(), draft.ID, 2)
	b.must(err)
	if hours := use.Hours; len(hours) != 2 || hours[0].Units != 100 || hours[1].Units != 34 || use.Subscription != sub || !hours[0].Hour.Equal(march.Add(2*time.Hour)) {
		t.Errorf("behind it %+v", use)
	}

	// Again: nothing.
	if n := b.run(); n != 0 {
		t.Errorf("a second run made %d drafts", n)
	}
	// Late usage is billed as the difference; the first invoice stands, hours and all.
	b.use(b.tenant, sub, march.Add(5*time.Hour), 6, model.FlagBillable)
	if n := b.run(); n != 1 {
		t.Fatalf("late usage made %d drafts", n)
	}
	done := b.finalize()
	late := b.detail(done[0])
	if late.Number != "INV-000002" || late.Total != 6 || late.Lines[0].Invoiced != 124 || late.Lines[0].Quantity != 140 {
		t.Errorf("difference %+v", late)
	}
	if again := b.detail(draft.ID); again.Total != 624 || again.Lines[1].Quantity != 134 {
		t.Errorf("the first invoice became %+v", again)
	}
	if _, use, err = b.Behind(b.ctx, b.scope(), draft.ID, 2); err != nil || len(use.Hours) != 2 {
		t.Errorf("the first invoice has %d hours now, %v", len(use.Hours), err)
	}
	bal, err := b.Balance(b.ctx, b.scope(), march)
	b.must(err)
	if bal.Calls != 190 || bal.Billable != 140 || bal.Priced != 140 || bal.Invoiced != 140 || bal.Drafts != 0 || bal.Sums[0].Minor != 630 {
		t.Errorf("balance %+v", bal)
	}
}

// addsUp compares a line of usage with the hours behind it.
func (b *books) addsUp(s billing.Scope, invoice string, l model.InvoiceLine) {
	b.T.Helper()
	if !model.Used(l.Meter) {
		return
	}
	_, use, err := b.Behind(b.ctx, s, invoice, l.Line)
	b.must(err)
	var n int64
	for _, h := range use.Hours {
		n += h.Units
	}
	if n != l.Quantity {
		b.T.Fatalf("invoice %s line %d: %d %s, its hours have %d: %+v", invoice, l.Line, l.Quantity, l.Meter, n, use.Hours)
	}
}

// Nobody sees another's books, and what is final cannot be changed by any SQL.
func TestWhoSeesWhat(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	other := b.newDeveloper(b.tenant, "dev2")
	stranger := b.newTenant("222222222222")
	sub := b.subscribe(b.tenant, b.developer, cents, march)
	b.use(b.tenant, sub, march, 100, model.FlagBillable)
	b.run()
	id := b.finalize()[0]
	for name, s := range map[string]billing.Scope{
		"another developer": {Tenant: b.tenant, Developer: other}, "another tenant": {Tenant: stranger},
		"another tenant's developer": {Tenant: stranger, Developer: b.developer}, "the operator": billing.Operator,
	} {
		if _, err := b.Invoice(b.ctx, s, id); model.KindOf(err) != model.NotFound {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := b.Behind(b.ctx, s, id, 1); model.KindOf(err) != model.NotFound {
			t.Errorf("%s, hours: %v", name, err)
		}
		if l := b.list(s, billing.Filter{}); len(l) != 0 {
			t.Errorf("%s sees %d invoices", name, len(l))
		}
		if _, err := b.Finalize(b.ctx, s, by, []string{id}, true); err == nil {
			t.Errorf("%s finalized it", name)
		}
	}
	for _, sql := range []string{`update invoice set total = 0`, `delete from invoice`, `update invoice_line set amount = 0`, `delete from invoice_line`, `update price_sheet set sheet = '{}'`} {
		err := pgx.BeginFunc(b.ctx, b.pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(b.ctx, `select set_config('tollgate.tenant', '*', true)`); err != nil {
				return err
			}
			_, err := tx.Exec(b.ctx, sql)
			return err
		})
		if err == nil || !strings.Contains(err.Error(), "never changed") {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

// Every amount is re-derived from the usage rows in the database, in fractions:
// over random prices, begins, ends and moves to another price, with usage of two
// months before and after each cut.
func TestInvoicesAgreeWithTheUsage(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d", seed)
	b := newBooks(t)
	february := march.AddDate(0, -1, 0)
	anyTime := func() time.Time { return february.Add(time.Duration(rnd.IntN(59*24*60)) * time.Minute) }
	var subs []*oracleSub
	for i := range 12 {
		dev := b.newDeveloper(b.tenant, fmt.Sprintf("d%02d", i))
		for range 1 + rnd.IntN(2) {
			s := &oracleSub{sheet: ratetest.Sheet(rnd.IntN), since: anyTime().AddDate(0, -rnd.IntN(2), 0)}
			s.first = s.since
			s.id = b.subscribe(b.tenant, dev, s.sheet, s.since)
			subs = append(subs, s)
		}
	}
	for round := range 4 {
		for range 80 {
			s := subs[rnd.IntN(len(subs))]
			n := 1 + rnd.IntN(400)
			if rnd.IntN(20) == 0 {
				n = 1 + rnd.IntN(3_000_000_000)
			}
			flags := model.FlagBillable
			if rnd.IntN(5) == 0 {
				flags = 0
			}
			b.use(b.tenant, s.id, anyTime().Truncate(time.Hour), uint64(n), flags)
		}
		switch s := subs[rnd.IntN(len(subs))]; rnd.IntN(6) {
		case 0: // it ends: what was begun is paid
			if s.until.IsZero() && s.ended.IsZero() {
				s.ended = s.since.Add(time.Duration(rnd.IntN(40*24)) * time.Hour)
				b.exec(`update subscription set ended_at = $2 where subscription_id = $1`, s.id, s.ended)
			}
		case 1: // another price goes on
			if s.until.IsZero() && s.ended.IsZero() {
				s.until = s.since.Add(time.Duration(rnd.IntN(40*24*3600)) * time.Second)
				b.exec(`update subscription set ended_at = $2 where subscription_id = $1`, s.id, s.until)
				next := &oracleSub{sheet: ratetest.Sheet(rnd.IntN), first: s.first, since: s.until}
				next.id = b.follow(s.id, next.sheet, s.until)
				subs = append(subs, next)
			}
		case 3, 4: // another plan takes its place, with a ledger of its own; the fee to its end, or whole
			if s.until.IsZero() && s.ended.IsZero() {
				at, whole := s.since.Add(time.Duration(rnd.IntN(40*24*3600))*time.Second), rnd.IntN(2) == 0
				if s.until = at; whole {
					s.until, s.ended = time.Time{}, at
				}
				b.exec(`update subscription set ended_at = $2, whole_fee = $3 where subscription_id = $1`, s.id, at, whole)
				next := &oracleSub{sheet: ratetest.Sheet(rnd.IntN), first: s.first, since: at}
				next.id = b.follow(s.id, next.sheet, at)
				b.exec(`update subscription set origin_id = null, follows_id = $2, first_at = $3 where subscription_id = $1`, next.id, s.id, s.first)
				subs = append(subs, next)
			}
		case 2: // it ends, and what is left of its quota is taken over later: no continuation
			if s.until.IsZero() && s.ended.IsZero() {
				s.ended = s.since.Add(time.Duration(rnd.IntN(40*24)) * time.Hour)
				b.exec(`update subscription set ended_at = $2 where subscription_id = $1`, s.id, s.ended)
				next := &oracleSub{sheet: ratetest.Sheet(rnd.IntN), first: s.first, since: s.ended.Add(time.Duration(1+rnd.IntN(20*24*3600)) * time.Second)}
				next.id = b.follow(s.id, next.sheet, next.since)
				subs = append(subs, next)
			}
		}
		if rnd.IntN(2) == 0 {
			_, err := b.in.Compact(b.ctx)
			b.must(err)
		}
		months := []time.Time{february, march}
		for _, m := range months {
			_, err := b.Run(b.ctx, b.scope(), by, m)
			b.must(err)
		}
		b.finalize()
		b.agree(subs, months)
		for _, m := range months {
			if n, err := b.Run(b.ctx, b.scope(), by, m); err != nil || n != 0 {
				t.Fatalf("round %d: a second run of %s made %d drafts, %v", round, billing.MonthText(m), n, err)
			}
		}
	}
	if gap := one[int64](b, `select sum(gap)::bigint from (select max(serial) - count(*) as gap from invoice where state = 'final' group by series) s`); gap != 0 {
		t.Errorf("%d numbers are missing", gap)
	}
	if wrong := b.replayed(); len(wrong) > 0 {
		t.Errorf("rated anew by their cuts: %q", wrong)
	}
	if names := b.broken(); names != "" {
		t.Errorf("%s do not hold", names)
	}
}

// replayed is what is different on final invoices that are rated anew by their cuts.
func (b *books) replayed() (wrong []string) {
	for _, i := range b.list(b.scope(), billing.Filter{State: "final", Limit: 500}) {
		d, err := b.Replay(b.ctx, b.scope(), i.ID)
		b.must(err)
		wrong = append(wrong, d...)
	}
	return wrong
}

// broken are the names of the checks that do not hold; all must run.
func (b *books) broken() (names string) {
	b.T.Helper()
	b.must(b.Check(b.ctx))
	all, err := b.Checks(b.ctx)
	b.must(err)
	for _, c := range all {
		if c.RanAt.IsZero() || len(c.Figures) == 0 {
			b.T.Errorf("%s did not run", c.Name)
		}
		if c.Wrong > 0 {
			names += c.Name + " "
			b.T.Logf("%s: %q", c.Name, c.Problems)
		}
	}
	return names
}

type oracleSub struct {
	id           uint64
	sheet        model.PriceSheet
	first, since time.Time // begin of the customer, and of this price
	until, ended time.Time // moved to another price; ended
}

// follow begins a subscription that goes on with the ledger of an ended one.
func (b *books) follow(sub uint64, sheet model.PriceSheet, at time.Time) uint64 {
	b.T.Helper()
	num := one[uint32](b, `insert into price_sheet (tenant_id, plan_id, version, sheet, created_by)
		select tenant_id, plan_id, 1 + (select max(version) from price_sheet p where (p.tenant_id, p.plan_id) = (s.tenant_id, s.plan_id)), $2, 'x'
		from subscription s where subscription_id = $1 returning sheet_num`, sub, sheet)
	return one[uint64](b, `insert into subscription (tenant_id, plan_id, app_id, terms, started_at, origin_id)
		select tenant_id, plan_id, app_id, $2, $3, coalesce(origin_id, subscription_id) from subscription where subscription_id = $1
		returning subscription_id`, sub, num, at)
}

// agree compares what is on final invoices with what an oracle makes of the rows
// of usage, and each invoice with its lines and their hours.
func (b *books) agree(subs []*oracleSub, months []time.Time) {
	b.T.Helper()
	want := map[string]*big.Int{}
	for _, m := range months {
		for _, s := range subs {
			u := rate.Use{Month: m, First: s.first, Since: s.since, Until: s.until}
			if !s.ended.IsZero() && !s.ended.After(m) {
				u.Until = s.ended
			}
			used := func(to time.Time) (n rate.Trial) {
				both := one[[]int64](b, `select array[coalesce(sum(calls), 0)::bigint, coalesce(sum(bytes_out), 0)::bigint] from (
					select subscription_id, hour, flags, calls::numeric, bytes_out::numeric from usage_line
					union all select subscription_id, hour, flags, calls, bytes_out from usage_hour) u
					where subscription_id = $1 and hour >= $2 and hour < $3 and flags & 1 = 1`, s.id, m, to)
				return rate.Trial{Calls: both[0], BytesOut: both[1]}
			}
			all := used(m.AddDate(0, 1, 0))
			u.Calls, u.BytesOut = all.Calls, all.BytesOut
			if t := s.sheet.TrialEnd(s.first); t.After(m) {
				if u.Trial = all; t.Before(m.AddDate(0, 1, 0)) {
					u.Trial = used(t)
				}
			}
			addTo(want, s.sheet.Currency, ratetest.Cost(&s.sheet, u, false).Total)
		}
	}
	got := map[string]*big.Int{}
	for _, s := range subs { // a currency of which nothing is owed is there on both sides
		addTo(got, s.sheet.Currency, 0)
	}
	for _, i := range b.list(b.scope(), billing.Filter{State: "final", Limit: 500}) {
		addTo(got, i.Currency, i.Total)
		var sum int64
		for _, l := range b.detail(i.ID).Lines {
			sum += l.Amount
			b.addsUp(b.scope(), i.ID, l)
		}
		if sum != i.Total {
			b.T.Fatalf("invoice %s: its lines sum up to %d, not %d", i.Number, sum, i.Total)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		b.T.Fatalf("invoiced %v, the oracle says %v", got, want)
	}
}

func addTo(m map[string]*big.Int, currency string, n int64) {
	if m[currency] == nil {
		m[currency] = new(big.Int)
	}
	m[currency].Add(m[currency], big.NewInt(n))
}

// Usage goes on coming in while invoices are made final, from several sides at
// once: every call is on one of them, once, and no number is left out.
func TestFinalizeWhileUsageComesIn(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	perCall := model.PriceSheet{Currency: "USD", Tiers: []model.PriceTier{{Price: "0.01"}}}
	var subs []uint64
	for i := range 6 {
		subs = append(subs, b.subscribe(b.tenant, b.newDeveloper(b.tenant, fmt.Sprintf("d%d", i)), perCall, march))
	}
	var wg sync.WaitGroup
	for node := range 3 {
		wg.Go(func() {
			boot := model.BootID{9, byte(node)}
			for seq := uint64(1); seq <= 60; seq++ {
				at := march.Add(time.Duration(seq) * time.Hour)
				batch := &model.Batch{Boot: boot, Seq: seq, First: at.UnixMicro(), Last: at.UnixMicro(), Watermark: at.UnixMicro()}
				for _, s := range subs {
					batch.Lines = append(batch.Lines, model.UsageLine{Hour: at.Unix() / 3600, Tenant: b.tenant, Subscription: s, Status: 200, Flags: model.FlagBillable, Calls: seq})
				}
				if _, err := b.in.Ingest(b.ctx, 1, 0, batch.Encode()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			for range 8 {
				if _, err := b.Run(b.ctx, b.scope(), by, march); err != nil {
					t.Error(err)
					return
				}
				for _, i := range b.list(b.scope(), billing.Filter{State: "draft"}) {
					_, err := b.Finalize(b.ctx, b.scope(), by, []string{i.ID}, true)
					if k := model.KindOf(err); err != nil && k != model.NotFound && k != model.Conflict { // the other was faster
						t.Error(err)
						return
					}
				}
				if _, err := b.in.Compact(b.ctx); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.run()
	b.finalize()
	const each = 3 * 60 * 61 / 2
	if got := one[int64](b, `select sum(total)::bigint from invoice where state = 'final'`); got != 6*each {
		t.Errorf("%d cents were invoiced, want %d", got, 6*each)
	}
	if gap := one[int64](b, `select sum(gap)::bigint from (select max(serial) - count(*) as gap from invoice where state = 'final' group by series) s`); gap != 0 {
		t.Errorf("%d numbers are missing", gap)
	}
	if wrong, names := b.replayed(), b.broken(); len(wrong) > 0 || names != "" {
		t.Errorf("rated anew by their cuts: %q; %s do not hold", wrong, names)
	}
	b.exec(`
		update usage_day set calls = calls - 1 where (tenant_id, day, subscription_id, gen) = (select tenant_id, day, subscription_id, gen from usage_day where gen = 0 limit 1);
		alter table invoice disable trigger user;
		update invoice set total = total + 1 where serial = 1;
		alter table invoice_line disable trigger user;
		delete from invoice_line where invoice_id in (select invoice_id from invoice where serial = 2);
		delete from collection where invoice_id in (select invoice_id from invoice where serial = 2);
		delete from invoice where serial = 2;
		insert into usage_line (tenant_id, hour, stage_num, method_num, subscription_id, key_num, terms, status, flags, gen, calls, bytes_in, bytes_out, micros, boot, seq)
			select tenant_id, hour, stage_num, method_num, 99999, key_num, terms, status, flags, 1, 1, 0, 0, 0, gen_random_uuid(), 1 from usage_hour limit 1`)
	if wrong := b.replayed(); len(wrong) == 0 || !strings.Contains(wrong[0], " calls for ") {
		t.Errorf("usage was taken away, and nothing is different: %q", wrong)
	}
	if names := b.broken(); names != "I3 I4 I5 I6 I7 I9 I13 " {
		t.Errorf("only %s are seen not to hold", names)
	}
}

// Sums that agree do not hide that an account's calls are on another's days; and what waits
// on drafts of months that are over has a value.
func TestRollupsOfEachAccount(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	other := b.newTenant("222222222222")
	sub := b.subscribe(b.tenant, b.developer, cents, march)
	b.use(b.tenant, sub, march, 60, model.FlagBillable)
	b.use(other, 0, march, 70, model.FlagBillable)
	b.run()
	b.finalize()
	b.use(b.tenant, sub, march, 5, model.FlagBillable)
	b.run()
	if _, err := b.in.Compact(b.ctx); err != nil {
		t.Fatal(err)
	}
	look := func(name string) (c model.Check, figures string) {
		b.must(b.Check(b.ctx))
		all, err := b.Checks(b.ctx)
		b.must(err)
		c = all[slices.IndexFunc(all, func(c model.Check) bool { return c.Name == name })]
		for _, f := range c.Figures {
			figures += fmt.Sprintf("%s %d; ", f.Name, f.N)
		}
		return c, figures
	}
	if c, figures := look("I5"); c.Wrong != 0 || !strings.HasSuffix(figures, "drafts of months that are over 1; of them for what came in late, after the payer's invoice 1; minor units of USD on those drafts 5; ") {
		t.Errorf("%+v %s", c, figures)
	}
	if c, _ := look("I4"); c.Wrong != 0 {
		t.Errorf("%+v", c)
	}
	b.exec(`update usage_day set calls = calls + case tenant_id when $1 then 1 else -1 end where gen = 0`, b.tenant)
	if c, _ := look("I4"); c.Wrong != 2 || len(c.Problems) != 2 || !strings.Contains(strings.Join(c.Problems, " "), "account 222222222222 on 2026-03-01: 70 calls by hour, 69 by day") {
		t.Errorf("%+v", c)
	}
}

func TestOperatorBillsTenants(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	if n, err := b.Run(b.ctx, billing.Operator, by, march); err != nil || n != 0 {
		t.Errorf("without prices: %d, %v", n, err)
	}
	b.must(b.AddOperatorSheet(b.ctx, by, billing.AmazonSheet(), march.AddDate(0, -1, 0)))
	b.must(b.AddOperatorSheet(b.ctx, by, model.PriceSheet{Currency: "EUR", Tiers: []model.PriceTier{{Price: "1"}}}, march.AddDate(0, 1, 0)))
	b.use(b.tenant, 0, march, 2_000_000, model.FlagBillable)
	b.use(b.newTenant("222222222222"), 0, march, 1_000_000, model.FlagBillable)
	if n, err := b.Run(b.ctx, billing.Operator, by, march); err != nil || n != 2 {
		t.Fatalf("%d drafts, %v", n, err)
	}
	// A tenant's own invoices, and other months, are none of the operator's sums.
	b.use(b.tenant, b.subscribe(b.tenant, b.developer, cents, march), march, 100, model.FlagBillable)
	b.run()
	b.finalize()
	sums := func(what string, month time.Time, drafts, final []billing.Sum) {
		t.Helper()
		d, f, err := b.OperatorSums(b.ctx, month)
		if err != nil || !slices.Equal(d, drafts) || !slices.Equal(f, final) {
			t.Errorf("%s: drafts %+v, final %+v, %v", what, d, f, err)
		}
	}
	sums("drafts", march.AddDate(0, 0, 20), []billing.Sum{{Currency: "USD", Digits: 2, Minor: 1050, Invoices: 2}}, nil)
	sums("the month before", march.AddDate(0, -1, 0), nil, nil)
	var ids []string
	for _, i := range b.list(billing.Operator, billing.Filter{}) {
		ids = append(ids, i.ID)
	}
	done, err := b.Finalize(b.ctx, billing.Operator, by, ids[:1], true)
	if err != nil || len(done) != 1 {
		t.Fatalf("%v, %v", done, err)
	}
	one, other := int64(700), int64(350)
	if b.detail(done[0]).Total == other {
		one, other = other, one
	}
	sums("half final", march, []billing.Sum{{Currency: "USD", Digits: 2, Minor: other, Invoices: 1}}, []billing.Sum{{Currency: "USD", Digits: 2, Minor: one, Invoices: 1}})
	done, err = b.Finalize(b.ctx, billing.Operator, by, ids[1:], true)
	if err != nil || len(done) != 1 {
		t.Fatalf("%v, %v", done, err)
	}
	sums("all final", march, nil, []billing.Sum{{Currency: "USD", Digits: 2, Minor: 1050, Invoices: 2}})
	mine := b.list(b.scope(), billing.Filter{Seller: billing.ByOperator})
	if len(mine) != 1 || mine[0].Total != 700 || mine[0].Currency != "USD" || !mine[0].Final {
		t.Errorf("the tenant sees %+v", mine)
	}
	if _, err := b.Finalize(b.ctx, b.scope(), by, ids, true); model.KindOf(err) != model.NotFound {
		t.Errorf("a tenant finalized the operator's invoice: %v", err)
	}
	err = b.AddOperatorSheet(b.ctx, by, billing.AmazonSheet(), march)
	if model.KindOf(err) != model.Conflict {
		t.Errorf("a billed month got another price: %v", err)
	}
	if sheets, err := b.OperatorSheets(b.ctx); err != nil || len(sheets) != 2 || sheets[0].Sheet.Currency != "EUR" {
		t.Errorf("%+v, %v", sheets, err)
	}
	p, err := b.Preview(b.ctx, b.scope(), march.AddDate(0, 1, 0))
	if err != nil || len(p) != 0 {
		t.Errorf("a month without use is previewed as %+v, %v", p, err)
	}
}

// While a node still has usage of a month that is over, nothing is final unless
// somebody says so.
func TestUsageThatIsOut(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	sub := b.subscribe(b.tenant, b.developer, cents, march)
	const boot = `'00000000-0000-0000-0000-000000000077'`
	b.exec(`insert into usage_boot (boot, gateway_id, started_at) values (` + boot + `, 1, '2026-03-10')`)
	b.exec(`insert into gateway (name, kind) values ('elsewhere', 'shared')`)
	draft := func() string {
		t.Helper()
		b.use(b.tenant, sub, march, 100, model.FlagBillable)
		if n := b.run(); n != 1 {
			t.Fatalf("%d drafts", n)
		}
		return b.list(b.scope(), billing.Filter{State: "draft"})[0].ID
	}
	refused := func(id, behind string) {
		t.Helper()
		if _, err := b.Finalize(b.ctx, b.scope(), by, []string{id}, false); model.KindOf(err) != model.Unavailable || !strings.Contains(model.MessageOf(err), behind) {
			t.Errorf("got %v, want %q to be behind", err, behind)
		}
	}
	final := func(id string) {
		t.Helper()
		if done, err := b.Finalize(b.ctx, b.scope(), by, []string{id}, false); err != nil || len(done) != 1 {
			t.Errorf("%v, %v", done, err)
		}
	}
	id := draft()
	refused(id, "shared since 10 Mar")
	if gen := one[int](b, `select count(*) from period_close`); gen != 0 {
		t.Error("the refusal cut the month")
	}
	b.now = march.AddDate(0, 0, 15) // the month goes on: it can be billed up to now
	final(id)
	b.now = april
	// A node of a gateway that never served the tenant holds nothing of it; one that
	// served it in the month may.
	b.exec(`update usage_boot set gateway_id = (select gateway_id from gateway where name = 'elsewhere') where boot = ` + boot)
	final(draft())
	b.exec(`insert into tenant_left (tenant_id, gateway_id, left_at) select $1, gateway_id, '2026-03-11' from gateway where name = 'elsewhere'`, b.tenant)
	id = draft()
	refused(id, "elsewhere since 10 Mar")
	// What was given up is not waited for, nor what has come past the month's end.
	b.exec(`update usage_boot set state = 'abandoned' where boot = ` + boot)
	final(id)
	b.exec(`update usage_boot set state = 'live', watermark = '2026-03-31 23:59:59Z' where boot = ` + boot)
	id = draft()
	refused(id, "elsewhere")
	b.exec(`update usage_boot set watermark = '2026-04-01Z' where boot = ` + boot)
	final(id)
}
