package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"tollgate/migrations/pgtest"
	"tollgate/model"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world is a database with two tenants on the shared gateway (1) and one alone on
// a dedicated one.
type world struct {
	t         testing.TB
	pool      *pgxpool.Pool
	in        *Intake
	log       *bytes.Buffer
	ann, bob  uint32
	lone      uint32
	dedicated int32
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, pool: pgtest.New(t), log: &bytes.Buffer{}}
	w.in = New(Options{Pool: w.pool, Log: slog.New(slog.NewTextHandler(w.log, nil)), Now: func() time.Time { return noon }})
	w.ann, w.bob, w.lone = w.tenant("111111111111"), w.tenant("222222222222"), w.tenant("333333333333")
	w.exec(`insert into gateway (name, kind, tenant_id) values ('lone', 'dedicated', $1)`, w.lone)
	w.exec(`update tenant set gateway_id = (select gateway_id from gateway where name = 'lone') where tenant_id = $1`, w.lone)
	w.dedicated = scan[int32](w, `select gateway_id from gateway where name = 'lone'`)
	return w
}

func (w *world) tenant(account string) uint32 {
	w.exec(`insert into tenant (account_id, name, email, gateway_id) values ($1, $1, $1 || '@example.com', 1)`, account)
	return scan[uint32](w, `select tenant_id from tenant where account_id = $1`, account)
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	err := w.in.asEveryone(w.t.Context(), func(tx pgx.Tx) error {
		_, err := tx.Exec(w.t.Context(), sql, args...)
		return err
	})
	if err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
}

func scan[T any](w *world, sql string, args ...any) (v T) {
	w.t.Helper()
	err := w.in.asEveryone(w.t.Context(), func(tx pgx.Tx) error { return tx.QueryRow(w.t.Context(), sql, args...).Scan(&v) })
	if err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func boot(n byte) model.BootID { return model.BootID{0: 1, 6: 0x70, 8: 0x80, 15: n} }

// batch is one of n calls of a tenant.
func batch(b model.BootID, seq uint64, tenant uint32, calls uint64) *model.Batch {
	return &model.Batch{
		Boot: b, Seq: seq, First: noon.UnixMicro(), Last: noon.UnixMicro() + 5, Watermark: noon.Add(time.Duration(seq) * time.Second).UnixMicro(),
		Lines: []model.UsageLine{{
			Hour: noon.Unix() / 3600, Tenant: tenant, Stage: 1, Method: 2, Key: 3, Subscription: 4, Status: 200,
			Flags: model.FlagBillable, Calls: calls, BytesIn: calls * 10, BytesOut: calls * 100, Micros: calls * 1000,
		}},
	}
}

func (w *world) take(gateway int32, tenant uint32, b *model.Batch) (model.BatchReceipt, error) {
	return w.in.Ingest(w.t.Context(), gateway, tenant, b.Encode())
}

func (w *world) mustTake(b *model.Batch) {
	w.t.Helper()
	if r, err := w.take(1, 0, b); err != nil || r.Duplicate {
		w.t.Fatalf("batch %d: %+v, %v", b.Seq, r, err)
	}
}

func (w *world) balance() Balance {
	w.t.Helper()
	b, err := w.in.Reconcile(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w *world) calls(tenant uint32) (n int64) {
	w.t.Helper()
	rows, err := w.in.Usage(w.t.Context(), tenant, Query{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range rows {
		n += r.Calls
	}
	return n
}

// Every batch comes three times, in any order, from several goroutines at once.
func TestEachBatchCountsOnce(t *testing.T) {
	w := newWorld(t)
	const boots, seqs = 3, 20
	var all [][]byte
	var want int64
	for b := range byte(boots) {
		for s := range uint64(seqs) {
			m := batch(boot(b+1), s+1, []uint32{w.ann, w.bob, 0}[s%3], s+1)
			m.Final = s+1 == seqs
			want += int64(s + 1)
			p := m.Encode()
			all = append(all, p, p, p)
		}
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var mu sync.Mutex
	fresh := 0
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := g; i < len(all); i += 4 {
				r, err := w.in.Ingest(t.Context(), 1, 0, all[i])
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				if !r.Duplicate {
					fresh++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	b := w.balance()
	if fresh != boots*seqs || b.Calls != want || !b.Exact() || b.Open != 0 || b.Batches != boots*seqs {
		t.Errorf("%d fresh receipts, balance %+v; want %d calls", fresh, b, want)
	}
	if n := scan[int](w, `select count(*) from usage_boot where state = 'closed' and contiguous_seq = 20 and watermark = $1`, noon.Add(seqs*time.Second)); n != boots {
		t.Errorf("%d boots closed with their last watermark, want %d", n, boots)
	}
}

func TestPrunedBatchesAreStillKnown(t *testing.T) {
	w := newWorld(t)
	for s := range uint64(3) {
		w.mustTake(batch(boot(1), s+1, w.ann, 1))
	}
	w.exec(`update usage_batch set received_at = $1`, noon.Add(-keepBatches-time.Hour))
	if err := w.in.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := scan[int](w, `select count(*) from usage_batch`); n != 1 {
		t.Errorf("%d batches left after pruning, want the last one", n)
	}
	for s := range uint64(3) {
		if r, err := w.take(1, 0, batch(boot(1), s+1, w.ann, 1)); err != nil || !r.Duplicate {
			t.Errorf("batch %d after pruning: %+v, %v", s+1, r, err)
		}
	}
	if b := w.balance(); !b.Exact() || b.Calls != 3 {
		t.Errorf("%+v", b)
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	w.mustTake(batch(boot(1), 1, w.ann, 1))
	final := batch(boot(2), 1, w.ann, 1)
	final.Final = true
	w.mustTake(final)
	change := func(f func(b *model.Batch)) *model.Batch {
		b := batch(boot(9), 1, w.ann, 1)
		f(b)
		return b
	}
	for _, c := range []struct {
		name    string
		gateway int32
		tenant  uint32
		batch   *model.Batch
		kind    model.Kind
	}{
		{"other content under a taken name", 1, 0, batch(boot(1), 1, w.ann, 2), model.Conflict},
		{"a batch after the final one", 1, 0, batch(boot(2), 2, w.ann, 1), model.Conflict},
		{"another gateway's boot", w.dedicated, w.lone, batch(boot(1), 2, w.lone, 1), model.Denied},
		{"a tenant of a dedicated gateway, by the shared one", 1, 0, batch(boot(3), 1, w.lone, 1), model.Denied},
		{"a tenant that does not exist", 1, 0, batch(boot(3), 1, 4711, 1), model.Denied},
		{"another tenant, by a dedicated gateway", w.dedicated, w.lone, batch(boot(3), 1, w.ann, 1), model.Denied},
		{"no calls", 1, 0, change(func(b *model.Batch) { b.Lines[0].Calls = 0 }), model.Invalid},
		{"calls beyond reason", 1, 0, change(func(b *model.Batch) { b.Lines[0].Calls = 1 << 63 }), model.Invalid},
		{"bytes beyond reason", 1, 0, change(func(b *model.Batch) { b.Lines[0].BytesOut = 1<<64 - 1 }), model.Invalid},
		{"a number beyond all", 1, 0, change(func(b *model.Batch) { b.Lines[0].Method = 1<<32 - 1 }), model.Invalid},
		{"a subscription beyond all", 1, 0, change(func(b *model.Batch) { b.Lines[0].Subscription = 1 << 63 }), model.Invalid},
		{"an hour before the flood", 1, 0, change(func(b *model.Batch) { b.Lines[0].Hour = -1 << 62 }), model.Invalid},
		{"a watermark of the far future", 1, 0, change(func(b *model.Batch) { b.Watermark = 1 << 62 }), model.Invalid},
		{"no number", 1, 0, change(func(b *model.Batch) { b.Seq = 0 }), model.Invalid},
		{"a number out of range", 1, 0, change(func(b *model.Batch) { b.Seq = 1 << 63 }), model.Invalid},
	} {
		before := w.balance()
		_, err := w.take(c.gateway, c.tenant, c.batch)
		if model.KindOf(err) != c.kind {
			t.Errorf("%s: %v, want kind %s", c.name, err, c.kind)
		}
		after := w.balance()
		if after.Calls != before.Calls || after.Boots != before.Boots || !after.Exact() || after.Quarantined != before.Quarantined+1 {
			t.Errorf("%s: before %+v, after %+v", c.name, before, after)
		}
		if _, err := w.take(c.gateway, c.tenant, c.batch); model.KindOf(err) != c.kind || w.balance().Quarantined != after.Quarantined {
			t.Errorf("%s, again: %v", c.name, err)
		}
	}
	if _, err := w.in.Ingest(t.Context(), 1, 0, []byte("tgb1 and nothing more")); model.KindOf(err) != model.Invalid {
		t.Errorf("garbage: %v", err)
	}
	if !strings.Contains(w.log.String(), "was refused and is not billed") {
		t.Error("refusals are not in the log")
	}
}

// A node's clock is a month ahead: its calls were made before they came in, and nothing is
// known to be in of what is to come. They count once, however often they come.
func TestClockAhead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	far := noon.AddDate(0, 1, 3)
	b := batch(boot(1), 1, w.ann, 40)
	b.First, b.Last, b.Watermark = noon.Add(-time.Minute).UnixMicro(), far.UnixMicro(), far.UnixMicro()
	for _, at := range []time.Time{far, noon.Add(4 * time.Minute), noon.Add(-2 * time.Hour)} { // far ahead, a little, and late
		l := b.Lines[0]
		l.Hour, l.Calls = at.Unix()/3600, 2
		b.Lines = append(b.Lines, l)
	}
	w.mustTake(b)
	if r, err := w.take(1, 0, b); err != nil || !r.Duplicate {
		t.Errorf("again: %+v, %v", r, err)
	}
	if got := scan[string](w, `select string_agg(to_char(hour at time zone 'UTC', 'DD HH24') || ' ' || calls, ', ' order by hour, calls) from usage_line`); got != "01 10 2, 01 12 2, 01 12 2, 01 12 40" {
		t.Errorf("the calls count as %s", got)
	}
	if at := scan[time.Time](w, `select watermark from usage_boot`); !at.Equal(noon) {
		t.Errorf("everything is in up to %s", at)
	}
	if x := w.balance(); x.Calls != 46 || x.Lines != 46 || x.Ahead != 2 {
		t.Errorf("%+v", x)
	}
}

func TestDedicatedNodeReportsItsTenant(t *testing.T) {
	w := newWorld(t)
	b := batch(boot(1), 1, w.lone, 7)
	b.Lines = append(b.Lines, model.UsageLine{Hour: b.Lines[0].Hour, Status: 403, Calls: 2}) // unknown host
	if _, err := w.take(w.dedicated, w.lone, b); err != nil {
		t.Fatal(err)
	}
	if n := w.calls(w.lone); n != 7 {
		t.Errorf("%d calls, want 7", n)
	}
	if bal := w.balance(); bal.Calls != 9 || !bal.Exact() {
		t.Errorf("%+v", bal)
	}

	// What is known of boots is told to their own gateway.
	if _, err := w.take(w.dedicated, w.lone, batch(boot(1), 3, w.lone, 1)); err != nil { // the second is missing
		t.Fatal(err)
	}
	ask := []model.BootID{boot(1), boot(2)}
	if got, err := w.in.Known(t.Context(), w.dedicated, ask); err != nil || len(got) != 1 || got[boot(1)] != 1 {
		t.Errorf("known are %v, %v", got, err)
	}
	if got, err := w.in.Known(t.Context(), 1, ask); err != nil || len(got) != 0 {
		t.Errorf("another gateway is told %v, %v", got, err)
	}
	if _, err := w.in.Known(t.Context(), 1, make([]model.BootID, MaxKnown+1)); model.KindOf(err) != model.Limit {
		t.Errorf("too many at once: %v", err)
	}
}

// What the nodes of a tenant's former gateway answered before they heard of the
// move is billed; later calls are not theirs to report.
func TestUsageOfBeforeAMove(t *testing.T) {
	w := newWorld(t)
	w.exec(`update tenant set gateway_id = $2 where tenant_id = $1`, w.bob, w.dedicated)
	if _, err := w.take(1, 0, batch(boot(1), 1, w.bob, 3)); model.KindOf(err) != model.Denied {
		t.Errorf("a gateway that never served the tenant: %v", err)
	}
	w.exec(`insert into tenant_left (tenant_id, gateway_id, left_at) values ($1, 1, $2)`, w.bob, noon)
	both := batch(boot(2), 1, w.bob, 5)
	both.Lines = append(both.Lines, batch(boot(2), 1, w.ann, 2).Lines...)
	w.mustTake(both)
	late := batch(boot(2), 2, w.bob, 7)
	late.Lines[0].Hour += lateHours
	w.mustTake(late)
	later := batch(boot(2), 3, w.bob, 11)
	later.Lines = append(later.Lines, later.Lines[0])
	later.Lines[0].Hour += lateHours + 1
	if _, err := w.take(1, 0, later); model.KindOf(err) != model.Denied {
		t.Errorf("calls of long after the move: %v", err)
	}
	if b, a := w.calls(w.bob), w.calls(w.ann); b != 12 || a != 2 {
		t.Errorf("%d and %d calls, want 12 and 2", b, a)
	}
	// An operator takes it in all the same, once, and not what was never served there.
	if _, err := w.take(1, 0, batch(boot(4), 1, w.lone, 1)); model.KindOf(err) != model.Denied {
		t.Errorf("a tenant of another gateway: %v", err)
	}
	noted := 0
	note := func(context.Context, pgx.Tx, Aside) error { noted++; return nil }
	for again := range 2 {
		all, err := w.in.TakeIn(t.Context(), "", note)
		if err != nil || noted != 2 || len(all) != 3-2*again {
			t.Fatalf("%+v, %d noted: %v", all, noted, err)
		}
		for _, a := range all {
			if left := a.Batch == boot(4).String()+"/1"; a.Gateway != "shared" || a.Taken == left || strings.Contains(a.Reason, "is not served") != left {
				t.Errorf("%+v", a)
			}
		}
		if w.calls(w.bob) != 12+3+22 || w.balance().Quarantined != 1 {
			t.Errorf("%d calls, %+v", w.calls(w.bob), w.balance())
		}
	}
	if _, err := w.in.TakeIn(t.Context(), "x/1", note); model.KindOf(err) != model.NotFound {
		t.Errorf("a batch that is not there: %v", err)
	}
	// A move says nothing about anybody else's gateway or tenant.
	w.exec(`insert into tenant_left (tenant_id, gateway_id, left_at) values ($1, 1, $2)`, w.lone, noon)
	if _, err := w.take(w.dedicated, w.lone, batch(boot(3), 1, w.bob, 1)); model.KindOf(err) != model.Denied {
		t.Errorf("a dedicated gateway's node for a tenant that is not its own: %v", err)
	}
}

func TestGapIsKnown(t *testing.T) {
	w := newWorld(t)
	for _, s := range []uint64{1, 2, 4, 5} {
		w.mustTake(batch(boot(1), s, w.ann, 1))
	}
	b := w.balance()
	if len(b.Gaps) != 1 || b.Gaps[0] != (Gap{boot(1), 2, 5, 1}) || b.Exact() {
		t.Errorf("%+v", b)
	}
	if at := scan[time.Time](w, `select watermark from usage_boot`); !at.Equal(noon.Add(2 * time.Second)) {
		t.Errorf("watermark %s passes over a missing batch", at)
	}
	w.mustTake(batch(boot(1), 3, w.ann, 1))
	if b := w.balance(); !b.Exact() || scan[int](w, `select contiguous_seq::int from usage_boot`) != 5 {
		t.Errorf("after the missing one came: %+v", b)
	}
}

// A hand-in that is cut off at any moment, and repeated until it succeeds, counts once.
func TestInterruptedIngest(t *testing.T) {
	w := newWorld(t)
	cut := 0
	for s := range uint64(30) {
		p := batch(boot(1), s+1, w.ann, 3).Encode()
		for try := 0; ; try++ {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(s*uint64(1+try))*100*time.Microsecond)
			_, err := w.in.Ingest(ctx, 1, 0, p)
			cancel()
			if err == nil {
				break
			}
			if k := model.KindOf(err); k != "" {
				t.Fatalf("interruption became the verdict %s: %v", k, err)
			}
			cut++
			if try == 20 {
				if _, err := w.in.Ingest(t.Context(), 1, 0, p); err != nil {
					t.Fatal(err)
				}
				break
			}
		}
	}
	if b := w.balance(); !b.Exact() || b.Calls != 90 || cut == 0 {
		t.Errorf("after %d interruptions: %+v", cut, b)
	}
}

func TestCompactionBesideIngest(t *testing.T) {
	w := newWorld(t)
	if err := w.in.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	const each = 25
	for g := range 3 {
		wg.Go(func() {
			for s := range uint64(each) {
				b := batch(boot(byte(g+1)), s+1, w.ann, 2)
				b.Lines[0].Hour += int64(s%4) * 500 // several hours, some of another month
				if _, err := w.take(1, 0, b); err != nil {
					t.Error(err)
				}
			}
		})
	}
	ingested := make(chan struct{})
	go func() { wg.Wait(); close(ingested) }()
	for done := false; !done; {
		select {
		case <-ingested:
			done = true
		default:
		}
		if _, err := w.in.Compact(t.Context()); err != nil {
			t.Fatal(err)
		}
		if b := w.balance(); b.Calls != b.Lines+b.Hours {
			t.Fatalf("in between: %+v", b)
		}
	}
	if b := w.balance(); b.Lines != 0 || b.Hours != 3*each*2 || !b.Exact() {
		t.Errorf("%+v", b)
	}
	if n := w.calls(w.ann); n != 3*each*2 {
		t.Errorf("%d calls, want %d", n, 3*each*2)
	}
	if n := scan[int](w, `select count(*) from usage_hour_default`); n != 0 {
		t.Errorf("%d rows fell into the default partition", n)
	}
	if err := w.in.Maintain(t.Context()); err != nil {
		t.Errorf("a second Maintain: %v", err)
	}
}

func TestEmptyPartitionsGo(t *testing.T) {
	w := newWorld(t)
	if err := w.in.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.mustTake(batch(boot(1), 1, w.ann, 1))
	later := New(Options{Pool: w.pool, Log: w.in.log, Now: func() time.Time { return noon.AddDate(0, 0, 20) }})
	if err := later.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	old := scan[string](w, `select string_agg(relname, ' ' order by relname) from pg_class where relkind = 'r' and relname ~ '^usage_line_202603(0|10)'`)
	if old != "usage_line_20260301" {
		t.Errorf("old partitions %q; want the one with a line in it", old)
	}
}

func TestUsageIsFencedByTenant(t *testing.T) {
	w := newWorld(t)
	w.mustTake(batch(boot(1), 1, w.ann, 5))
	w.mustTake(batch(boot(1), 2, w.bob, 70))
	if _, err := w.in.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.mustTake(batch(boot(1), 3, w.ann, 1))
	w.mustTake(batch(boot(1), 4, w.bob, 10))
	if a, b := w.calls(w.ann), w.calls(w.bob); a != 6 || b != 80 {
		t.Errorf("ann has %d calls, bob %d; want 6 and 80", a, b)
	}
	// The way in shows nothing, changes nothing, and takes nothing from who sees one tenant.
	const line = `insert into usage_intake select * from usage_line where tenant_id = 0`
	for _, c := range [...]struct{ scope, sql string }{
		{"*", `select from usage_intake limit 1`}, {"*", `delete from usage_intake`}, {"*", `update usage_intake set calls = 1`}, {"*", `truncate usage_intake`},
		{fmt.Sprint(w.ann), line}, {"", line},
	} {
		err := w.in.as(t.Context(), c.scope, func(tx pgx.Tx) error { _, err := tx.Exec(t.Context(), c.sql); return err })
		if pg, ok := errors.AsType[*pgconn.PgError](err); !ok || pg.Code != "42501" {
			t.Errorf("%s with scope %q: %v", c.sql, c.scope, err)
		}
	}
	// Also without a tenant in the statement, and straight at a partition.
	tables := []string{"usage_line", "usage_hour", "usage_line_default", "usage_hour_202603"}
	for _, scope := range []string{fmt.Sprint(w.ann), "", "0"} {
		err := w.in.as(t.Context(), scope, func(tx pgx.Tx) error {
			for _, table := range tables {
				var foreign int
				if err := tx.QueryRow(t.Context(), `select count(*) from `+table+` where tenant_id::text <> $1`, scope).Scan(&foreign); err != nil {
					return err
				}
				if foreign != 0 {
					t.Errorf("scope %q sees %d foreign rows of %s", scope, foreign, table)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestUsageRows(t *testing.T) {
	w := newWorld(t)
	w.exec(`insert into api (tenant_id, api_id, name, definition, hash, methods) values ($1, 'pets', 'Pets', '{}', '', 0)`, w.ann)
	w.exec(`insert into api_method (tenant_id, api_id, path, verb) values ($1, 'pets', '/pets/{id}', 'GET')`, w.ann)
	w.exec(`insert into deployment (tenant_id, deployment_id, api_id, hash, definition, methods, created_by) values ($1, 'd1', 'pets', '', '{}', 0, 'test')`, w.ann)
	w.exec(`insert into stage (tenant_id, api_id, name, deployment_id) values ($1, 'pets', 'prod', 'd1')`, w.ann)
	w.exec(`insert into api_key (tenant_id, key_id, name, hash, prefix, last4, enabled) values ($1, 'key1', 'Kim', $2, '', '', true)`, w.ann, bytes.Repeat([]byte{7}, 32))
	b := batch(boot(1), 1, w.ann, 4)
	l := &b.Lines[0]
	l.Stage, l.Method, l.Key = scan[uint32](w, `select stage_num from stage`), scan[uint32](w, `select method_num from api_method`), scan[uint32](w, `select key_num from api_key`)
	refused := *l
	refused.Status, refused.Flags, refused.Key, refused.Calls = 403, 0, 0, 2
	gone := *l
	gone.Stage, gone.Method, gone.Key, gone.Calls = 9001, 9002, 9003, 1
	later := *l
	later.Hour += 30
	b.Lines = append(b.Lines, refused, gone, later)
	w.mustTake(b)

	get := func(q Query) []Row {
		t.Helper()
		rows, err := w.in.Usage(t.Context(), w.ann, q)
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	whole := Row{APIID: "pets", APIName: "Pets", Stage: "prod", Path: "/pets/{id}", Verb: "GET", KeyID: "key1", KeyName: "Kim",
		Status: 200, UsageSum: model.UsageSum{Calls: 8, Billable: 8, BytesIn: 80, BytesOut: 800, AvgMicros: 1000}}
	for _, compacted := range []bool{false, true} {
		rows := get(Query{By: "total"})
		if len(rows) != 3 || rows[0] != whole || rows[1].Status != 403 || rows[1].Billable != 0 || rows[1].Calls != 2 ||
			rows[2].Stage != "#9001" || rows[2].Path != "#9002" || rows[2].KeyID != "#9003" {
			t.Errorf("compacted %v: total %+v", compacted, rows)
		}
		if rows := get(Query{By: "hour", KeyID: "key1"}); len(rows) != 2 || !rows[0].Time.Equal(noon.Add(30*time.Hour)) || rows[1].Calls != 4 {
			t.Errorf("by hour %+v", rows)
		}
		if rows := get(Query{By: "day", APIID: "pets", Stage: "prod", Path: "/pets/{id}", Verb: "GET", KeyID: "key1", To: noon.Add(time.Hour)}); len(rows) != 1 || !rows[0].Time.Equal(noon.Truncate(24*time.Hour)) {
			t.Errorf("by day %+v", rows)
		}
		if rows := get(Query{From: noon.Add(time.Hour)}); len(rows) != 1 || rows[0].Calls != 4 {
			t.Errorf("from %+v", rows)
		}
		if rows := get(Query{Limit: 1}); len(rows) != 1 {
			t.Errorf("limit %+v", rows)
		}
		if _, err := w.in.Compact(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, q := range []Query{{By: "fortnight"}, {Limit: -1}, {Limit: mostRows + 1}} {
		if _, err := w.in.Usage(t.Context(), w.ann, q); model.KindOf(err) == "" {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

// Every column of every line comes as it was sent, with the generation of its month,
// whatever the values and however the rows fall into what is sent at once.
func TestLinesArriveWhole(t *testing.T) {
	w := newWorld(t)
	w.exec(`insert into period_close (tenant_id, period_start, gen) values ($1, '2026-02-01', 3)`, w.ann)
	r := rand.New(rand.NewPCG(1, 2))
	b := batch(boot(9), 7, w.ann, 1)
	march := b.Lines[0].Hour
	var want []string
	b.Lines = b.Lines[:0]
	for i := range 2000 {
		l := model.UsageLine{Hour: march, Tenant: w.ann, Stage: r.Uint32N(1 << 31), Method: uint32(i), Key: r.Uint32N(1 << 31), Terms: r.Uint32N(1 << 31),
			Subscription: r.Uint64N(1 << 63), Status: uint16(r.Uint32N(1 << 16)), Flags: model.FlagBillable, Calls: 1 + r.Uint64N(mostCalls),
			BytesIn: r.Uint64N(mostMeasure + 1), BytesOut: r.Uint64N(mostMeasure + 1), Micros: r.Uint64N(mostMeasure + 1)}
		gen := 0
		switch i % 3 {
		case 1:
			l.Hour, gen = march-24*15, 3
		case 2:
			l.Hour, l.Tenant = march-24*15, []uint32{0, w.bob}[i%2]
		}
		b.Lines = append(b.Lines, l)
		want = append(want, fmt.Sprint(l.Method, l.Hour, l.Tenant, l.Stage, l.Key, l.Terms, l.Subscription, l.Status, l.Flags, l.Calls, l.BytesIn, l.BytesOut, l.Micros, gen, b.Boot, b.Seq))
	}
	w.mustTake(b)
	got := scan[[]string](w, `
		select array_agg(concat_ws(' ', method_num, extract(epoch from hour)::bigint / 3600, tenant_id, stage_num, key_num, terms, subscription_id, status, flags,
			calls, bytes_in, bytes_out, micros, gen, boot, seq) order by method_num) from usage_line`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	whole, err := io.ReadAll(newLineReader(b, nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := iotest.TestReader(newLineReader(b, nil), whole); err != nil {
		t.Error(err)
	}
}
