package control_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/billing"
	"tollgate/billing/intake"
	"tollgate/billing/rate"
	"tollgate/billing/rate/ratetest"
	"tollgate/control"
	"tollgate/model"
)

// moneyed is a world whose control plane knows what money reaches for, by its books.
func moneyed(t testing.TB) (w *world, books *billing.Billing) {
	t.Helper()
	w = newWorldWith(t, control.Options{AckTimeout: 50 * time.Millisecond,
		Afford: func(ctx context.Context, all []model.SpendWindow) error { return books.Afford(ctx, all) }})
	books = billing.New(billing.Options{Pool: w.pool})
	return w, books
}

// spendPlan is a plan at a price with a cap.
func (w *world) spendPlan(a control.Actor, d control.Deployed, sheet model.PriceSheet, spend model.Spending) control.Plan {
	w.Helper()
	p, err := w.CreatePlan(w.ctx, a, control.PlanSpec{Name: "Paid " + model.NewID(4), Price: &sheet, Spending: spend,
		Stages: []model.PlanStage{{APIID: d.Stage.APIID, Stage: d.Stage.Name}}})
	w.must(err)
	return p
}

// capped are prices with caps that reach for so many calls, by every way of charging.
var capped = []struct {
	calls int64
	cap   model.Decimal
	what  string
	sheet model.PriceSheet
}{
	{1, "5.99", "a fee and 0.50 a call", model.PriceSheet{Currency: "USD", MonthlyFee: "5", Tiers: []model.PriceTier{{Price: "0.5"}}}},
	{10, "0.45", "4 included, then 0.10, from the 4th on 0.05", model.PriceSheet{Currency: "USD", Included: 4, Tiers: []model.PriceTier{{UpTo: 3, Price: "0.1"}, {Price: "0.05"}}}},
	{1000, "15", "0.01 for each of up to 1,000, else 0.02 for each", model.PriceSheet{Currency: "USD", Model: model.Volume, Tiers: []model.PriceTier{{UpTo: 1000, Price: "0.01"}, {Price: "0.02"}}}},
	{10_000, "50", "0.50 for 100 begun, 20 at least", model.PriceSheet{Currency: "EUR", Model: model.Package, Minimum: "20", Tiers: []model.PriceTier{{Price: "0.5", Per: 100}}}},
}

// twoMonthsAgo begins the second month before this one: months since have their fees whole,
// whatever day it is.
func twoMonthsAgo() time.Time {
	month, _ := rate.Month(time.Now())
	return month.AddDate(0, -2, 0)
}

// spendRuns uses caps up on one gateway by calls that its nodes get as balancing says.
func (w *world) spendRuns(in *intake.Intake, count int, balancing string) []*quotaRun {
	a := w.tenant()
	d := w.deployed(a, "prod")
	first := twoMonthsAgo()
	var runs []*quotaRun
	for _, c := range capped {
		p := w.spendPlan(a, d, c.sheet, model.Spending{SpendCap: c.cap})
		s, err := control.SubscribeApp(w.ctx, w.Plane, a, w.app(a, model.NewID(6)+"@example.com"), p.ID)
		w.must(err)
		w.exec(`update subscription set started_at = $2 where subscription_id = $1`, s.ID, first)
		most, err := rate.Floor(c.cap, c.sheet.Currency)
		w.must(err)
		u := rate.Use{Month: time.Now(), First: first, Since: first, Calls: c.calls}
		one := u
		one.Calls++
		if ratetest.Cost(&c.sheet, u, false).Total > most || ratetest.Cost(&c.sheet, one, false).Total <= most {
			w.Fatalf("%s reaches not for %d calls of %s", c.cap, c.calls, c.what)
		}
		runs = append(runs, &quotaRun{nodes: count, limit: c.calls, balancing: balancing,
			req: model.LeaseRequest{Tenant: a.Tenant, Subscription: s.ID, Kind: model.LedgerSpend}})
	}
	nodes := w.cluster(strings.ReplaceAll(fmt.Sprint("caps of ", count, " ", balancing), " ", "-"), a, count)
	lost, rest := nodes[0], nodes[1:]
	if balancing != killed {
		rest = nodes
	}
	for _, r := range runs {
		w.use(r, nodes, map[bool]int64{true: max(1, r.limit/2), false: r.limit}[balancing == killed])
	}
	if balancing == killed {
		lost.kill()
		if len(rest) == 0 { // it comes back under its name
			rest = append(rest, w.limitNode(lost.id))
		}
		for _, r := range runs {
			r.waiting = w.outstanding(r, lost)
			w.use(r, rest, r.limit-r.waiting)
			w.noMore(r, rest)
		}
		w.journal(in, lost, runs)
		for _, r := range runs {
			w.use(r, rest, r.limit)
		}
		_ = lost.leaser.Stop(w.ctx)
	}
	for _, r := range runs {
		w.noMore(r, rest)
	}
	for _, n := range rest {
		n.stop(w.ctx)
	}
	return runs
}

// Never one call over a spend cap, on any number of nodes, however calls are charged and
// balanced; and to the last call it reaches for, but for what a killed node holds until its
// journal is in. docs/limits.md has the figures: TOLLGATE_WRITE=1 writes them anew.
func TestSpendAccuracy(t *testing.T) {
	t.Parallel()
	w, _ := moneyed(t)
	w.started()
	in := intake.New(intake.Options{Pool: w.pool, Log: slog.New(slog.DiscardHandler)})
	var done [6][]*quotaRun
	var wg sync.WaitGroup
	for i := range done {
		wg.Go(func() {
			done[i] = w.spendRuns(in, []int{1, 3, 7}[i/2], []string{"most reach one", killed}[i%2])
		})
	}
	wg.Wait()
	var table bytes.Buffer
	fmt.Fprintln(&table, "| Nodes | Calls reach them | Price | Cap | Calls it reaches for | Let in | Over the cap | A killed node holds back at most |\n|--:|---|---|--:|--:|--:|--:|--:|")
	for i, r := range slices.Concat(done[:]...) {
		c := capped[i%len(capped)]
		if r.used != r.limit {
			t.Errorf("%d nodes, %s: %d of %d calls were let in", r.nodes, r.balancing, r.used, r.limit)
		}
		if r.waiting > r.bound() {
			t.Errorf("%d nodes, cap for %d calls: the killed node held %d, more than %d", r.nodes, r.limit, r.waiting, r.bound())
		}
		fmt.Fprintf(&table, "| %d | %s | %s | %s | %d | %d | %d | %d |\n", r.nodes, r.balancing, c.what, c.cap, r.limit, r.used, r.used-r.limit, r.bound())
	}
	compareDoc(t, "caps", table.String())
}

// bought is a running subscription of an app at a price, from two months ago on.
func (w *world) bought(a control.Actor, p control.Plan) model.LeaseRequest {
	w.Helper()
	s, err := control.SubscribeApp(w.ctx, w.Plane, a, w.app(a, model.NewID(6)+"@example.com"), p.ID)
	w.must(err)
	w.exec(`update subscription set started_at = $2 where subscription_id = $1`, s.ID, twoMonthsAgo())
	return model.LeaseRequest{Boot: "boot-1", Tenant: a.Tenant, Subscription: s.ID, Kind: model.LedgerSpend, At: time.Now(), Want: 1}
}

// drain takes all that is left, one after the other.
func (w *world) drain(r model.LeaseRequest) (sum int64) {
	w.Helper()
	w.exec(`update quota_window set computed_at = null`)
	for {
		l := w.lease(r)[0]
		if l.Unlimited || l.Granted == 0 {
			return sum
		}
		sum += l.Granted
	}
}

// handIn hands in calls of a subscription.
func (w *world) handIn(in *intake.Intake, r model.LeaseRequest, flags uint16, calls, bytesOut uint64) {
	w.Helper()
	now := time.Now()
	var boot model.BootID
	copy(boot[:], model.NewID(16))
	b := model.Batch{Boot: boot, Seq: 1, First: now.UnixMicro(), Last: now.UnixMicro(), Watermark: now.UnixMicro(), Final: true,
		Lines: []model.UsageLine{{Hour: now.Unix() / 3600, Tenant: r.Tenant, Subscription: r.Subscription, Status: 200, Flags: flags, Calls: calls, BytesOut: bytesOut}}}
	_, err := in.Ingest(w.ctx, control.SharedNode("n1").Gateway, 0, b.Encode())
	w.must(err)
}

// What a cap reaches for follows the cap, and what was used beside it.
func TestSpendCaps(t *testing.T) {
	t.Parallel()
	w, _ := moneyed(t)
	in := intake.New(intake.Options{Pool: w.pool, Log: slog.New(slog.DiscardHandler)})
	a := w.tenant()
	d := w.deployed(a, "prod")
	cents := model.PriceSheet{Currency: "USD", Tiers: []model.PriceTier{{Price: "0.01"}}}
	plan := w.spendPlan(a, d, cents, model.Spending{SpendCap: "1", SpendMax: "3"})
	r := w.bought(a, plan)
	reaches := func(what string, r model.LeaseRequest, want int64) {
		t.Helper()
		if n := w.drain(r); n != want {
			t.Errorf("%s: %d calls were granted, want %d", what, n, want)
		}
	}
	reaches("1.00 at 0.01", r, 100)
	if l := w.lease(model.LeaseRequest{Boot: "boot-1", Tenant: a.Tenant, Subscription: r.Subscription, Kind: model.LedgerSpend, At: r.At, Want: 1, Return: 30})[0]; l.Granted != 1 {
		t.Errorf("after 30 came back: %+v", l)
	}
	reaches("the rest of those", r, 29)
	// Set for itself, by the tenant and by the developer.
	dev := control.Actor{Tenant: a.Tenant, AccountID: a.AccountID, Role: control.RoleCustomer}
	w.all(fmt.Sprintf(`select developer_id from subscription join app using (tenant_id, app_id) where subscription_id = %d`, r.Subscription), &dev.Member)
	w.must(w.SetAppSpendLimit(w.ctx, dev, r.Subscription, control.SpendLimit{Cap: "1.505"}))
	reaches("raised to 1.505", r, 50)
	w.refused(w.SetAppSpendLimit(w.ctx, dev, r.Subscription, control.SpendLimit{Cap: "3.01"}), model.Invalid, "at most 3")
	w.refused(w.SetSpendLimit(w.ctx, a, r.Subscription, control.SpendLimit{Cap: "0.0"}), model.Invalid, "0 makes no sense")
	w.refused(w.SetSpendLimit(w.ctx, a, r.Subscription, control.SpendLimit{Alert: "-1"}), model.Invalid, "not an amount")
	w.must(w.SetSpendLimit(w.ctx, a, r.Subscription, control.SpendLimit{Cap: "4"}))
	reaches("raised to 4 by the tenant", r, 250)
	// Of what was drawn, 20 were found to cost nothing, and what nobody granted counts.
	w.handIn(in, r, model.FlagSpend, 20, 0)
	reaches("20 that cost nothing", r, 20)
	w.must(w.SetSpendLimit(w.ctx, a, r.Subscription, control.SpendLimit{Cap: "5"}))
	w.handIn(in, r, model.FlagBillable, 60, 0)
	w.handIn(in, r, model.FlagSpend|model.FlagBillable, 300, 0)
	reaches("raised by 1.00, with 60 calls from before", r, 40)
	// Lowered, nothing more; the month after has its own.
	w.must(w.SetSpendLimit(w.ctx, a, r.Subscription, control.SpendLimit{}))
	reaches("the plan's again", r, 0)
	// The price changes: what was used costs what it cost, and what is still out is taken
	// to cost what calls cost now, until it is in.
	w.must(w.SetSpendLimit(w.ctx, a, r.Subscription, control.SpendLimit{Cap: "10"}))
	w.reprice(a, plan.ID, &model.PriceSheet{Currency: "USD", Tiers: []model.PriceTier{{Price: "0.1"}}})
	_, err := w.MoveToCurrentPrice(w.ctx, a, plan.ID)
	w.must(err)
	reaches("a new price, with 140 calls out", r, 0)
	w.handIn(in, r, model.FlagSpend|model.FlagBillable, 140, 0)
	reaches("5.00 of 10 used at the old price", r, 50)

	// A window is the calendar month in UTC.
	l := w.lease(r)[0]
	if from, to := rate.Month(r.At); !l.WindowStart.Equal(from) || !l.WindowEnd.Equal(to) {
		t.Errorf("the window is from %s to %s", l.WindowStart, l.WindowEnd)
	}

	// Bytes have a price: calls are reckoned with more than they turn out to have.
	bytesToo := cents
	bytesToo.Meters = []model.MeterPrice{{Meter: model.MeterBytesOut, Tiers: []model.PriceTier{{Price: "0.99", Per: 16384}}}}
	b := w.bought(a, w.spendPlan(a, d, bytesToo, model.Spending{SpendCap: "100"}))
	reaches("1.00 a call, reckoned with 16 KiB", b, 100)
	w.handIn(in, b, model.FlagSpend|model.FlagBillable, 100, 100*8192)
	reaches("half of that was used, and answers are of 8 KiB", b, 49)
}

// A wallet is spent once, by whichever of its developer's subscriptions calls first.
func TestPrepaid(t *testing.T) {
	t.Parallel()
	w, books := moneyed(t)
	a := w.tenant()
	d, e := w.deployed(a, "prod"), w.deployed(a, "dev")
	cents := model.PriceSheet{Currency: "USD", Tiers: []model.PriceTier{{Price: "0.01"}}}
	one := w.bought(a, w.spendPlan(a, d, cents, model.Spending{Prepaid: true}))
	var developer, app string
	w.all(fmt.Sprintf(`select developer_id, app_id from subscription join app using (tenant_id, app_id) where subscription_id = %d`, one.Subscription), &developer, &app)
	cents.MonthlyFee = "0.1"
	s, err := control.SubscribeApp(w.ctx, w.Plane, a, app, w.spendPlan(a, e, cents, model.Spending{Prepaid: true, SpendCap: "0.8"}).ID)
	w.must(err)
	w.exec(`update subscription set started_at = $2 where subscription_id = $1`, s.ID, twoMonthsAgo())
	two := one
	two.Subscription = s.ID
	reaches := func(what string, r model.LeaseRequest, want int64) {
		t.Helper()
		if n := w.drain(r); n != want {
			t.Errorf("%s: %d calls were granted, want %d", what, n, want)
		}
	}
	grant := func(cents int64) {
		t.Helper()
		_, err := books.Grant(w.ctx, billing.Scope{Tenant: a.Tenant}, billing.By{Member: a.Member}, billing.Grant{
			Payer: billing.Payer{Tenant: a.Tenant, Developer: developer}, Currency: "USD", Amount: cents, Reason: "A test", Reference: model.NewID(8)})
		w.must(err)
	}
	reaches("no wallet", one, 0)
	grant(120)
	// The fee of this month and of the one before, 0.10 each, is the other's.
	reaches("1.20 less two fees", one, 100)
	reaches("nothing is left", two, 0)
	one.Return = 30
	one.Want = 0
	w.lease(one)
	one.Want, one.Return = 1, 0
	reaches("0.30 came back", two, 30)
	reaches("and is used", one, 0)
	grant(500)
	reaches("its own cap is less than the wallet has", two, 40)
	reaches("the rest", one, 460)
	// Both at once, with little: no more than there is, and all of it.
	grant(100)
	var wg sync.WaitGroup
	var got [2]int64
	for i, r := range []model.LeaseRequest{one, two} {
		wg.Go(func() { got[i] = w.drain(r) })
	}
	wg.Wait()
	if sum := got[0] + got[1] + w.drain(one); sum != 100 {
		t.Errorf("%d and %d of 1.00 were granted at once", got[0], got[1])
	}
}

// Where Stripe Tax works out the tax, a wallet keeps what that may be: the most there is
// until it was asked about the payer, then what it says of them.
func TestPrepaidUnderStripeTax(t *testing.T) {
	t.Parallel()
	w, books := moneyed(t)
	a := w.tenant()
	scope, by := billing.Scope{Tenant: a.Tenant}, billing.By{Member: a.Member}
	r := model.DefaultBillingRules()
	r.StripeTax = true
	w.must(books.SetRules(w.ctx, scope, by, r))
	sheet := model.PriceSheet{Currency: "USD", MonthlyFee: "10", Tiers: []model.PriceTier{{Price: "0.01"}}}
	one := w.bought(a, w.spendPlan(a, w.deployed(a, "prod"), sheet, model.Spending{Prepaid: true}))
	var developer string
	w.all(fmt.Sprintf(`select developer_id from subscription join app using (tenant_id, app_id) where subscription_id = %d`, one.Subscription), &developer)
	_, err := books.Grant(w.ctx, scope, by, billing.Grant{Payer: billing.Payer{Tenant: a.Tenant, Developer: developer}, Currency: "USD", Amount: 3000, Reason: "A test", Reference: "1"})
	w.must(err)
	// 10.00 of the month before and 27 % are 12.70; of 17.30 are 13.62 net, and 10.00 of them the fee.
	if n := w.drain(one); n != 362 {
		t.Errorf("before Stripe Tax was asked %d calls were granted, want 362", n)
	}
	month, _ := rate.Month(time.Now())
	_, err = books.Run(w.ctx, scope, by, month.AddDate(0, -1, 0))
	w.must(err)
	var hash string
	w.all(`select hash from tax_quote`, &hash)
	w.must(books.AnswerTax(w.ctx, a.Tenant, hash, []model.TaxLine{{Name: "VAT", Percent: "10", Base: 1000, Amount: 100}}, ""))
	// Of 19.00 are 17.25 net with 10.1 % on them: a cent of 10.00 may have been rounded off.
	if n := w.drain(one); n != 363 {
		t.Errorf("after it %d more calls were granted, want 363", n)
	}
}
