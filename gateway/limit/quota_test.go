package limit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"tollgate/model"
)

// ledger grants units of subscriptions' windows to boots, and fails the test
// when more is out than the limit or a boot returns what it does not hold.
type ledger struct {
	t     testing.TB
	quota model.Quota
	delay time.Duration // of an answer
	down  atomic.Bool
	free  atomic.Bool // the plan has no quota
	half  bool        // grant at most half of what is left, so that no node hoards

	mu    sync.Mutex
	out   map[window]int64
	held  map[string]int64 // by boot and window
	calls int
	asked int
	told  map[string]bool // of going on with another's, by boot and window
	over  map[string]bool // boots whose journal is in
	most  int             // requests in one call
	busy  map[string]int  // calls under way, by boot
}

type window struct {
	subscription uint64
	start        time.Time
}

func newLedger(t testing.TB, limit int64, period string, delay time.Duration) *ledger {
	return &ledger{t: t, quota: model.Quota{Limit: limit, Period: period}, delay: delay, out: map[window]int64{}, held: map[string]int64{}, busy: map[string]int{}, told: map[string]bool{}, over: map[string]bool{}}
}

// settle takes back what a boot has not used of a window, as its journal shows.
func (g *ledger) settle(boot string, w window, used int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	mine := fmt.Sprint(boot, w)
	if unused := g.held[mine] - used; unused < 0 {
		g.t.Errorf("%s used %d units of %d", boot, used, g.held[mine])
	} else {
		g.out[w] -= unused
	}
	g.held[mine] = 0
	g.over[boot] = true
}

func (g *ledger) lease(ctx context.Context, rs []model.LeaseRequest) ([]model.Lease, error) {
	g.mu.Lock()
	g.calls++
	g.asked += len(rs)
	g.most = max(g.most, len(rs))
	boot := rs[0].Boot
	g.busy[boot]++
	if g.busy[boot] > 1 {
		g.t.Errorf("%s: %d calls to the ledger at once", boot, g.busy[boot])
	}
	g.mu.Unlock()
	defer func() { g.mu.Lock(); g.busy[boot]--; g.mu.Unlock() }()
	select {
	case <-time.After(g.delay):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if g.down.Load() {
		return nil, errors.New("the ledger is down")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make([]model.Lease, len(rs))
	for i, r := range rs {
		if g.free.Load() {
			out[i] = model.Lease{Unlimited: true}
			continue
		}
		start, end := g.quota.Window(r.At)
		w := window{r.Subscription, start}
		mine := fmt.Sprint(r.Boot, w)
		if os.Getenv("DBG") != "" {
			fmt.Printf("  ledger %s from %s taken %d want %d return %d held %d out %d\n", r.Boot[34:], r.From, r.Taken, r.Want, r.Return, g.held[mine], g.out[w])
		}
		if r.From != "" {
			theirs := fmt.Sprint(r.From, w)
			if !g.told[mine] {
				g.told[mine] = true
				if g.over[r.From] {
					g.t.Errorf("%s goes on with units of %s, whose journal is in", r.Boot, r.From)
				}
				if g.held[theirs] < r.Taken {
					g.t.Errorf("%s goes on with %d units of %s, which has %d", r.Boot, r.Taken, r.From, g.held[theirs])
				}
				g.held[theirs] -= r.Taken
				g.held[mine] += r.Taken
			}
			continue
		}
		if r.Return > g.held[mine] {
			g.t.Errorf("%s returns %d units of %v but holds %d", r.Boot, r.Return, w, g.held[mine])
		}
		g.out[w] -= r.Return
		left := g.quota.Limit - g.out[w]
		n := max(0, min(r.Want, left))
		if g.half {
			n = min(n, max(1, left/2))
		}
		g.out[w] += n
		g.held[mine] += n - r.Return
		out[i] = model.Lease{Granted: n, WindowStart: start, WindowEnd: end}
	}
	return out, nil
}

func (g *ledger) raise(limit int64) {
	g.mu.Lock()
	g.quota.Limit = limit
	g.mu.Unlock()
}

func (g *ledger) counts() (calls, asked int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls, g.asked
}

func start(t testing.TB, boot string, g *ledger) *Leaser {
	l := NewLeaser(boot, g.lease)
	l.Start(t.Context())
	return l
}

func stop(t testing.TB, l *Leaser) {
	t.Helper()
	if err := l.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func take(t testing.TB, q *Quota) Result {
	_, r := q.Take(t.Context(), time.Now())
	return r
}

// drain takes until the quota says no and returns how many passed.
func drain(t testing.TB, q *Quota) (n int, last Result) {
	for {
		if last = take(t, q); last != Admitted {
			return n, last
		}
		n++
	}
}

// advance lets fake time pass inside a synctest bubble.
func advance(d time.Duration) { time.Sleep(d); synctest.Wait() }

// A quota of 1,000 hit by 64 clients admits exactly 1,000, and every refusal
// says Exceeded, however slow the ledger is.
func TestQuotaExact(t *testing.T) {
	cases := []struct {
		delay time.Duration
		half  bool
		calls int // to the ledger, at most
	}{
		{0, false, 10},
		{40 * time.Millisecond, false, 10},
		{300 * time.Millisecond, false, 10},
		{0, true, 25},
		{20 * time.Millisecond, true, 25},
	}
	for _, c := range cases {
		synctest.Test(t, func(t *testing.T) {
			g := newLedger(t, 1000, model.Month, c.delay)
			g.half = c.half
			l := start(t, "a", g)
			q := l.Quota(1, 1)
			var admitted atomic.Int64
			var wg sync.WaitGroup
			for range 64 {
				wg.Go(func() {
					n, last := drain(t, q)
					admitted.Add(int64(n))
					if last != Exceeded {
						t.Errorf("refused with %d", last)
					}
				})
			}
			wg.Wait()
			if admitted.Load() != 1000 {
				t.Errorf("%+v: admitted %d of 1000", c, admitted.Load())
			}
			if calls, _ := g.counts(); calls > c.calls {
				t.Errorf("%+v: %d calls to the ledger", c, calls)
			}
			stop(t, l)
		})
	}
}

// The same with real threads and real time.
func TestQuotaExactParallel(t *testing.T) {
	g := newLedger(t, 1000, model.Month, time.Millisecond)
	l := start(t, "a", g)
	defer stop(t, l)
	q := l.Quota(1, 1)
	var admitted atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range 200 {
				u, r := q.Take(t.Context(), time.Now())
				switch {
				case r == Unavailable:
					t.Error("unavailable while the ledger answers")
				case r == Admitted && admitted.Add(1)%7 == 0:
					admitted.Add(-1) // refused by a later step
					q.Refund(u)
				}
			}
		})
	}
	wg.Wait()
	for {
		_, r := q.Take(t.Context(), time.Now())
		if r != Admitted {
			break
		}
		admitted.Add(1)
	}
	if admitted.Load() != 1000 {
		t.Errorf("admitted %d of 1000", admitted.Load())
	}
}

// Several nodes on one ledger never admit more than the limit; what a node that
// leaves has not used, another can use.
func TestQuotaNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newLedger(t, 5000, model.Month, 5*time.Millisecond)
		var total atomic.Int64
		var wg sync.WaitGroup
		var qs []*Quota
		var ls []*Leaser
		for i := range 5 {
			l := start(t, fmt.Sprint("node", i), g)
			q := l.Quota(1, 1)
			qs, ls = append(qs, q), append(ls, l)
			for range 8 {
				wg.Go(func() {
					for range 10 + i*40 {
						if take(t, q) == Admitted {
							total.Add(1)
						}
						advanceABit()
					}
				})
			}
		}
		wg.Wait()
		for i := range 4 {
			qs[i].Close()
			stop(t, ls[i])
		}
		advance(2 * recheck) // the fifth may have heard that there is no more
		n, last := drain(t, qs[4])
		if got := total.Load() + int64(n); got != 5000 || last != Exceeded {
			t.Errorf("admitted %d of 5000, then %d", got, last)
		}
		stop(t, ls[4])
	})
}

func advanceABit() { <-time.After(time.Millisecond) }

// Across the ends of windows under load, no call draws on a window that its time
// is not in, and every window admits exactly its limit.
func TestQuotaRollover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newLedger(t, 3000, model.Day, 7*time.Millisecond)
		l := start(t, "a", g)
		q := l.Quota(1, 1)
		advance(24*time.Hour - 20*time.Millisecond)
		var mu sync.Mutex
		admitted := map[int64]int{}
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() {
				for range 200 {
					now := time.Now()
					u, r := q.Take(t.Context(), now)
					if r == Unavailable {
						t.Error("unavailable while the ledger answers")
					}
					if r == Admitted {
						if now.UnixNano() >= u.end {
							t.Errorf("a call at %v drew on the window until %v", now, time.Unix(0, u.end))
						}
						mu.Lock()
						admitted[u.end]++
						mu.Unlock()
					}
					<-time.After(time.Duration(100+i) * time.Microsecond)
				}
			})
		}
		wg.Wait()
		n, _ := drain(t, q)
		_, end := g.quota.Window(time.Now())
		admitted[end.UnixNano()] += n
		if len(admitted) != 2 {
			t.Errorf("%d windows, want 2: %v", len(admitted), admitted)
		}
		for _, n := range admitted {
			if n > 3000 {
				t.Errorf("a window of 3000 admitted %d", n)
			}
		}
		if admitted[end.UnixNano()] != 3000 {
			t.Errorf("the last window admitted %d of 3000", admitted[end.UnixNano()])
		}
		stop(t, l)
	})
}

func TestQuotaWindowEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newLedger(t, 10, model.Day, 0)
		l := start(t, "a", g)
		q := l.Quota(1, 1)
		u, _ := q.Take(t.Context(), time.Now())
		g.down.Store(true)
		_, end := g.quota.Window(time.Now())
		advance(time.Until(end) - 1)
		if r := take(t, q); r != Admitted {
			t.Errorf("the last nanosecond of the window: %d", r)
		}
		advance(1)
		if r := take(t, q); r != Unavailable {
			t.Errorf("yesterday's units after midnight: %d", r)
		}
		g.down.Store(false)
		advance(time.Second)
		n, last := drain(t, q)
		q.Refund(u) // of yesterday: it is not today's
		if again := take(t, q); n != 10 || last != Exceeded || again != Exceeded {
			t.Errorf("today %d, then %d, then %d", n, last, again)
		}
		stop(t, l)
	})
}

// With the ledger down, what is held is served, then calls are refused at once;
// when it is back, so are they.
func TestQuotaLedgerDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newLedger(t, 1000, model.Month, 0)
		l := start(t, "a", g)
		q := l.Quota(1, 1)
		take(t, q)
		synctest.Wait()
		g.down.Store(true)
		n, last := drain(t, q)
		if n != firstWant-1 || last != Unavailable {
			t.Errorf("served %d of %d held, then %d", n, firstWant-1, last)
		}
		for range 10_000 {
			advanceABit()
			if r := take(t, q); r != Unavailable {
				t.Fatalf("got %d while the ledger is down", r)
			}
		}
		if calls, _ := g.counts(); calls > 20 {
			t.Errorf("%d calls to a ledger that was down for 10 s", calls)
		}
		g.down.Store(false)
		advance(lastBackoff)
		if n, last := drain(t, q); n != 1000-firstWant || last != Exceeded {
			t.Errorf("after: served %d, then %d", n, last)
		}
		g.down.Store(true)
		advance(time.Minute)
		if r := take(t, q); r != Exceeded && r != Unavailable {
			t.Errorf("an exhausted quota without ledger: %d", r)
		}
		stop(t, l)
	})
}

// A ledger that hangs costs the first call a second and the others nothing.
func TestQuotaLedgerHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newLedger(t, 1000, model.Month, time.Hour)
		l := start(t, "a", g)
		q := l.Quota(1, 1)
		began := time.Now()
		for range 5 {
			if r := take(t, q); r != Unavailable {
				t.Errorf("got %d", r)
			}
		}
		if d := time.Since(began); d != patience {
			t.Errorf("five calls waited %v", d)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		other := l.Quota(1, 2)
		if _, r := other.Take(ctx, time.Now()); r != Unavailable || time.Since(began) != patience {
			t.Errorf("a cancelled call got %d", r)
		}
		if err := l.Stop(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("stop: %v", err)
		}
		if r := take(t, l.Quota(1, 3)); r != Unavailable {
			t.Errorf("after stop: %d", r)
		}
	})
}

// However hard an exhausted key is used, the ledger hears of it about once a
// second; units that turn up are served within a second.
func TestQuotaExhaustedAndRaised(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newLedger(t, 100, model.Month, 10*time.Millisecond)
		l := start(t, "a", g)
		q := l.Quota(1, 1)
		drain(t, q)
		before, _ := g.counts()
		for range 10_000 {
			if r := take(t, q); r != Exceeded {
				t.Fatalf("got %d", r)
			}
			advanceABit()
		}
		if after, _ := g.counts(); after-before > 13 {
			t.Errorf("%d calls to the ledger in 10 s", after-before)
		}
		g.raise(200)
		raised := time.Now()
		for take(t, q) != Admitted {
			advanceABit()
		}
		if d := time.Since(raised); d > time.Second {
			t.Errorf("a raised limit took effect after %v", d)
		}
		if n, last := drain(t, q); n != 99 || last != Exceeded {
			t.Errorf("%d more, then %d", n, last)
		}
		g.raise(250)
		q.Reset()
		if n, last := drain(t, q); n != 50 || last != Exceeded {
			t.Errorf("after Reset %d, then %d", n, last)
		}
		// After a pause, the first call waits for the truth.
		g.raise(260)
		advance(5 * time.Second)
		if n, _ := drain(t, q); n != 10 {
			t.Errorf("after a pause %d of 10", n)
		}
		g.free.Store(true)
		q.Reset()
		for range 1000 {
			if r := take(t, q); r != Admitted {
				t.Fatalf("without a quota: %d", r)
			}
		}
		stop(t, l)
	})
}

// Hot quotas ask for more at a time.
func TestQuotaWantGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newLedger(t, 1e9, model.Month, time.Millisecond)
		l := start(t, "a", g)
		q := l.Quota(1, 1)
		for range 1_000_000 {
			if r := take(t, q); r != Admitted {
				t.Fatalf("got %d", r)
			}
		}
		if calls, _ := g.counts(); calls > 25 {
			t.Errorf("%d round trips for a million calls", calls)
		}
		q.Close()
		stop(t, l)
		if g.out[window{1, monthOf(g)}] != 1_000_000 {
			t.Errorf("%d units out after Close, want 1,000,000", g.out[window{1, monthOf(g)}])
		}
	})
}

func monthOf(g *ledger) time.Time { s, _ := g.quota.Window(time.Now()); return s }

// Requests of many quotas share calls, 512 at most.
func TestLeaserBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newLedger(t, 10, model.Month, 10*time.Millisecond)
		l := start(t, "a", g)
		var wg sync.WaitGroup
		for i := range 2000 {
			q := l.Quota(1, uint64(i))
			wg.Go(func() {
				if r := take(t, q); r != Admitted {
					t.Errorf("got %d", r)
				}
			})
		}
		wg.Wait()
		if g.most != 512 || g.calls > 6 {
			t.Errorf("%d calls, %d requests in the largest", g.calls, g.most)
		}
		stop(t, l)
	})
}

func TestLeaserStop(t *testing.T) {
	g := newLedger(t, 10, model.Month, 0)
	idle := NewLeaser("never started", g.lease)
	stop(t, idle)
	if r := take(t, idle.Quota(1, 1)); r != Unavailable {
		t.Errorf("never started: %d", r)
	}
	for range 200 {
		l := start(t, "a", g)
		q := l.Quota(1, 1)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 3 {
					take(t, q)
				}
			})
		}
		wg.Go(q.Reset)
		wg.Go(q.Close)
		wg.Go(func() { stop(t, l) })
		wg.Wait()
	}
}

// Any order of calls, refunds, resets, raised limits and failures admits no more
// than the limit in any window, and all of it once the ledger answers.
func TestQuotaProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		inBubble(t, func(outer *testing.T) {
			t := rt
			half := rapid.Bool().Draw(t, "half")
			limit := rapid.Int64Range(0, 300).Draw(t, "limit")
			g := newLedger(outer, limit, model.Day, time.Duration(rapid.IntRange(0, 50).Draw(t, "delay"))*time.Millisecond)
			l := start(outer, "a", g)
			defer stop(outer, l)
			g.half = half
			q := l.Quota(1, 1)
			admitted := map[int64]int64{}
			var held []Unit
			failed := false
			one := func() Result {
				u, r := q.Take(outer.Context(), time.Now())
				if r == Admitted {
					admitted[u.end]++
					held = append(held, u)
					if time.Now().UnixNano() >= u.end {
						t.Fatal("a unit of a window gone by")
					}
				}
				return r
			}
			for range rapid.IntRange(0, 30).Draw(t, "steps") {
				switch rapid.IntRange(0, 9).Draw(t, "step") {
				case 0:
					q.Reset()
				case 1:
					g.down.Store(!g.down.Load())
					failed = true
				case 2:
					limit += 10
					g.raise(limit)
				case 3:
					_, end := g.quota.Window(time.Now())
					advance(time.Until(end) + time.Duration(rapid.IntRange(-20, 20).Draw(t, "ms"))*time.Millisecond)
				case 4:
					advance(time.Duration(rapid.IntRange(0, 2000).Draw(t, "ms")) * time.Millisecond)
				case 5:
					for _, u := range held {
						admitted[u.end]--
						q.Refund(u)
					}
					held = nil
				default:
					for range rapid.IntRange(1, 100).Draw(t, "calls") {
						one()
					}
				}
			}
			g.down.Store(false)
			advance(time.Second)
			for one() == Admitted {
			}
			advance(time.Second)
			for one() == Admitted {
			}
			for _, n := range admitted {
				if n > limit {
					t.Fatalf("admitted %d of %d", n, limit)
				}
			}
			_, end := g.quota.Window(time.Now())
			// A failed request may have lost units it was to return, and only then
			// may some be missing.
			if n := admitted[end.UnixNano()]; n != limit && !failed {
				t.Fatalf("admitted %d of %d in the last window", n, limit)
			}
		})
	})
}

// inBubble runs f in a synctest bubble and lets its panics, by which rapid ends
// an attempt, out to the caller.
func inBubble(t *testing.T, f func(*testing.T)) {
	var panicked any
	synctest.Test(t, func(t *testing.T) {
		defer func() { panicked = recover() }()
		f(t)
	})
	if panicked != nil {
		panic(panicked)
	}
}

func TestQuotaAllocations(t *testing.T) {
	g := newLedger(t, 1e9, model.Month, 0)
	l := start(t, "a", g)
	defer stop(t, l)
	q := l.Quota(1, 1)
	for range 100_000 {
		take(t, q)
	}
	ctx, now := t.Context(), time.Now()
	if n := testing.AllocsPerRun(100, func() { u, _ := q.Take(ctx, now); q.Refund(u) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkQuota(b *testing.B) {
	g := newLedger(b, 1e15, model.Month, 0)
	l := start(b, "a", g)
	defer stop(b, l)
	q := l.Quota(1, 1)
	ctx, now := b.Context(), time.Now()
	b.Run("take", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, r := q.Take(ctx, now); r != Admitted {
				b.Fatal(r)
			}
		}
	})
	none := newLedger(b, 0, model.Month, 0)
	l2 := start(b, "b", none)
	defer stop(b, l2)
	e := l2.Quota(1, 1)
	b.Run("exceeded", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, r := e.Take(ctx, time.Now()); r != Exceeded {
				b.Fatal(r)
			}
		}
	})
}

// An answer to what was asked before the plan changed goes back unused, and the
// call that waits for it gets one of after.
func TestQuotaResetInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newLedger(t, 10, model.Month, 100*time.Millisecond)
		l := start(t, "a", g)
		q := l.Quota(1, 1)
		var wg sync.WaitGroup
		wg.Go(func() {
			if r := take(t, q); r != Admitted {
				t.Errorf("got %d", r)
			}
		})
		advance(50 * time.Millisecond)
		q.Reset()
		wg.Wait()
		if calls, _ := g.counts(); calls != 2 {
			t.Errorf("%d calls to the ledger, want one before and one after the change", calls)
		}
		if n, last := drain(t, q); n != 9 || last != Exceeded {
			t.Errorf("%d more, then %d", n, last)
		}
		stop(t, l)
	})
}
