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

// moneyed is a world whose control plane knows what money reaches for.
func moneyed(t testing.TB) *world {
	t.Helper()
	var books *billing.Billing
	w := newWorldWith(t, control.Options{AckTimeout: 50 * time.Millisecond,
		Afford: func(ctx context.Context, all []model.SpendWindow) error { return books.Afford(ctx, all) }})
	books = billing.New(billing.Options{Pool: w.pool})
	return w
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

// spendRuns uses caps up on one gateway by calls that its nodes get as balancing says.
func (w *world) spendRuns(in *intake.Intake, count int, balancing string) []*quotaRun {
	a := w.tenant()
	d := w.deployed(a, "prod")
	first := time.Now().AddDate(0, -2, 0)
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
	w := moneyed(t).started()
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
	w.exec(`update subscription set started_at = $2 where subscription_id = $1`, s.ID, time.Now().AddDate(0, -2, 0))
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
	w := moneyed(t)
	in := intake.New(intake.Options{Pool: w.pool, Log: slog.New(slog.DiscardHandler)})
	a := w.tenant()
	d := w.deployed(a, "prod")
	cents := model.PriceSheet{Currency: "USD", Tiers: []model.PriceTier{{Price: "0.01"}}}
	r := w.bought(a, w.spendPlan(a, d, cents, model.Spending{SpendCap: "1"}))
	if n := w.drain(r); n != 100 {
		t.Fatalf("1.00 reaches for %d calls at 0.01", n)
	}
	_ = in
}
