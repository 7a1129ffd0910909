package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/billing"
	"tollgate/billing/intake"
	"tollgate/gateway/journal"
	"tollgate/migrations/pgtest"
	"tollgate/model"
	"tollgate/ui/money"
)

// The journals of nodes are enough to make every invoice again, byte for byte: once as in
// production, from batches that come twice and are rolled up in between, and once from the
// bare records, each a line of its own, in other batches, of other starts, in any order,
// into a database that knows nothing.
func TestJournalsMakeTheSameInvoices(t *testing.T) {
	t.Parallel()
	month := time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC) // with a leap day
	rnd := rand.New(rand.NewPCG(6, 3))
	first, second := newLedger(t, month), newLedger(t, month)
	if !slices.Equal(first.subs, second.subs) || first.tenant != second.tenant {
		t.Fatal("the two databases give other numbers")
	}

	// What two nodes write in a month, one of them started three times.
	var dirs []string
	for range 2 {
		dirs = append(dirs, t.TempDir())
	}
	var clock atomic.Int64                         // the journals' own goroutines read it, too
	clock.Store(month.Add(-time.Hour).UnixMicro()) // the month before, too
	now := func() time.Time { return time.UnixMicro(clock.Load()).UTC() }
	var made int
	for start := range 4 {
		j, err := journal.Open(journal.Options{Dir: dirs[start/3], SealEvery: time.Millisecond, Now: now, Log: slog.New(slog.DiscardHandler)})
		must(t, err)
		for range 3000 {
			r := journal.Record{Time: clock.Add(rnd.Int64N(int64(8 * time.Minute / time.Microsecond))), Tenant: first.tenant, Stage: 1 + rnd.Uint32N(2), Method: 1 + rnd.Uint32N(5), Key: 1 + rnd.Uint32N(9),
				Subscription: first.subs[rnd.IntN(len(first.subs))], Status: 200, Flags: uint8(model.FlagBillable | model.FlagKeyed),
				BytesIn: rnd.Uint64N(2000), BytesOut: rnd.Uint64N(9_000_000), Duration: rnd.Uint32N(50_000)}
			if rnd.IntN(9) == 0 {
				r.Status, r.Flags = 429, uint8(model.FlagKeyed) // refused: costs nothing
			}
			must(t, j.Append(j.Begin(rnd.Uint32()), &r))
			made++
		}
		must(t, j.Close(t.Context()))
	}
	var records []journal.Record
	for _, dir := range dirs {
		must(t, journal.Scan(dir, func(_ model.BootID, r journal.Record) error { records = append(records, r); return nil }))
	}
	if len(records) != made {
		t.Fatalf("the journals have %d records of %d", len(records), made)
	}

	for _, dir := range dirs { // as in production
		j, err := journal.Open(journal.Options{Dir: dir, Now: now, Log: slog.New(slog.DiscardHandler), Ship: func(ctx context.Context, encoded []byte) (model.BatchReceipt, error) {
			if _, err := first.in.Ingest(ctx, 1, 0, encoded); err != nil {
				return model.BatchReceipt{}, err
			}
			return first.in.Ingest(ctx, 1, 0, encoded)
		}})
		must(t, err)
		must(t, j.Close(t.Context()))
		_, err = first.in.Compact(t.Context())
		must(t, err)
	}

	rnd.Shuffle(len(records), func(i, k int) { records[i], records[k] = records[k], records[i] })
	for boot := 0; len(records) > 0; boot++ {
		seq := uint64(0)
		for part := min(len(records), 1000+rnd.IntN(3000)); part > 0; {
			n := min(part, 1+rnd.IntN(700))
			seq++
			b := &model.Batch{Boot: model.BootID{1, 2, 3, 6: 0x70, 8: 0x80, 15: byte(boot)}, Seq: seq, Watermark: clock.Load(), Final: n == part}
			for i, r := range records[:n] {
				b.Lines = append(b.Lines, model.UsageLine{Hour: r.Time / 3_600_000_000, Tenant: r.Tenant, Stage: r.Stage, Method: r.Method, Key: r.Key, Subscription: r.Subscription,
					Status: r.Status, Flags: uint16(r.Flags), Calls: 1, BytesIn: r.BytesIn, BytesOut: r.BytesOut, Micros: uint64(r.Duration)})
				if i == 0 || r.Time < b.First {
					b.First = r.Time
				}
				b.Last = max(b.Last, r.Time)
			}
			_, err := second.in.Ingest(t.Context(), 1, 0, b.Encode())
			must(t, err)
			records, part = records[n:], part-n
			if rnd.IntN(5) == 0 {
				_, err := second.in.Compact(t.Context())
				must(t, err)
			}
		}
	}
	for _, l := range []*ledger{first, second} {
		x, err := l.in.Reconcile(t.Context())
		must(t, err)
		if !x.Exact() || x.Calls != int64(made) {
			t.Fatalf("%+v, of %d calls", x, made)
		}
	}

	one, other := first.invoices(t, month), second.invoices(t, month)
	if len(one) == 0 || len(one) != len(other) {
		t.Fatalf("%d invoices and %d", len(one), len(other))
	}
	for i := range one {
		for what, want := range one[i] {
			if got := other[i][what]; !bytes.Equal(got, want) {
				t.Errorf("invoice %d as %s is\n%.2000s\nand from the records\n%.2000s", i, what, want, got)
			}
		}
	}
}

// ledger is a database with a tenant whose developers pay by all kinds of prices.
type ledger struct {
	books  *billing.Billing
	in     *intake.Intake
	tenant uint32
	subs   []uint64
}

func newLedger(t *testing.T, month time.Time) *ledger {
	t.Helper()
	pool := pgtest.New(t)
	now := func() time.Time { return month.AddDate(0, 1, 1) }
	l := &ledger{books: billing.New(billing.Options{Pool: pool, Now: now}), in: intake.New(intake.Options{Pool: pool, Now: now})}
	tiers := []model.PriceTier{{UpTo: 200, Price: "0.0123"}, {UpTo: 900, Price: "9.99", Per: 1000}, {Price: "0.00071"}}
	sheets := []model.PriceSheet{
		{Currency: "USD", MonthlyFee: "9.90", Included: 77, Tiers: tiers, Meters: []model.MeterPrice{{Meter: model.MeterBytesOut, Included: 1 << 30, Tiers: []model.PriceTier{{Price: "0.085", Per: model.Gibibyte}}}}},
		{Currency: "USD", Model: model.Volume, Tiers: []model.PriceTier{{UpTo: 1000, Price: "0.02"}, {Price: "0.013"}}, Minimum: "3"},
		{Currency: "JPY", Model: model.Package, Tiers: []model.PriceTier{{Price: "7", Per: 30}}, Discount: "12.5"},
		{Currency: "KWD", Tiers: tiers, Maximum: "4.321", TrialDays: 9},
	}
	must(t, pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `select set_config('tollgate.tenant', '*', true)`)
		must(t, err)
		must(t, tx.QueryRow(t.Context(), `insert into tenant (account_id, name, email, gateway_id, created_at) values ('111111111111', 'Acme', 'a@example.com', 1, $1) returning tenant_id`,
			month.AddDate(-1, 0, 0)).Scan(&l.tenant))
		for i, sheet := range sheets {
			var id uint64
			must(t, tx.QueryRow(t.Context(), `
				with d as (insert into developer (tenant_id, developer_id, email, password_hash) values ($1, $2, $2 || '@example.com', '') returning developer_id),
				a as (insert into app (tenant_id, app_id, developer_id, name) select $1, 'app-' || developer_id, developer_id, 'App' from d returning app_id),
				p as (insert into plan (tenant_id, plan_id, name) values ($1, 'plan-' || $2, 'Plan ' || $2) returning plan_id),
				s as (insert into price_sheet (tenant_id, plan_id, version, sheet, created_by) select $1, plan_id, 1, $3, 'x' from p returning plan_id, sheet_num)
				insert into subscription (tenant_id, plan_id, app_id, terms, started_at) select $1, plan_id, app_id, sheet_num, $4 from s, a returning subscription_id`,
				l.tenant, fmt.Sprint("dev", i), sheet, month.AddDate(0, -i, 3*i)).Scan(&id))
			l.subs = append(l.subs, id)
		}
		return nil
	}))
	return l
}

// invoices are those of the month in every form that they have, but for the random ids.
func (l *ledger) invoices(t *testing.T, month time.Time) (out []map[string][]byte) {
	t.Helper()
	s, by := billing.Scope{Tenant: l.tenant}, billing.By{Name: "replay", Role: "owner"}
	_, err := l.books.Run(t.Context(), s, by, month)
	must(t, err)
	drafts, err := l.books.Drafts(t.Context(), s, month)
	must(t, err)
	slices.SortFunc(drafts, func(a, b billing.Invoice) int { return cmp.Compare(a.To.Email, b.To.Email) })
	for _, d := range drafts {
		_, err := l.books.Finalize(t.Context(), s, by, []string{d.ID}, true)
		must(t, err)
		inv, err := l.books.Invoice(t.Context(), s, d.ID)
		must(t, err)
		forms := map[string][]byte{}
		keep := func(name string, write func(io.Writer) error) {
			var b bytes.Buffer
			must(t, write(&b))
			if b.Len() < 50 {
				t.Errorf("%s has %d bytes", name, b.Len())
			}
			forms[name] = b.Bytes()
		}
		for _, line := range inv.Lines {
			if model.Used(line.Meter) {
				_, use, err := l.books.Behind(t.Context(), s, d.ID, line.Line)
				must(t, err)
				keep(fmt.Sprint("hours of line ", line.Line), func(w io.Writer) error { return money.HoursCSV(w, &inv, &use) })
			}
		}
		inv.ID = ""
		keep("CSV", func(w io.Writer) error { return money.CSV(w, &inv) })
		keep("PDF", func(w io.Writer) error { return money.PDF(w, &inv) })
		keep("JSON", func(w io.Writer) error { return json.NewEncoder(w).Encode(&inv) })
		out = append(out, forms)
	}
	return out
}
