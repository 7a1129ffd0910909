package limit

import (
	"math"
	"math/big"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"tollgate/model"
)

// allowed is burst + rate*d tokens plus one, rounded down: what a bucket may
// admit at most in any d nanoseconds.
func allowed(t model.Throttle, d int64) int64 {
	r := new(big.Rat).SetFloat64(t.Rate)
	r.Mul(r, big.NewRat(d, 1e9))
	n := new(big.Int).Quo(r.Num(), r.Denom()).Int64()
	return int64(t.Burst) + n + 1
}

func throttles() *rapid.Generator[model.Throttle] {
	return rapid.Custom(func(t *rapid.T) model.Throttle {
		rate := rapid.OneOf(
			rapid.SampledFrom([]float64{0, 0.0001, 1.0 / 3, 1, 7, 1000, 3e8, 1e9}),
			rapid.Float64Range(0, 1e9),
			rapid.Float64Range(0, 10),
		).Draw(t, "rate")
		burst := rapid.OneOf(rapid.IntRange(0, 5), rapid.IntRange(0, 1_000_000_000)).Draw(t, "burst")
		return model.Throttle{Rate: rate, Burst: burst}
	})
}

// In every window of time the bucket admits no more than burst + rate*window
// (within one token), and a call that finds a whole token is not refused,
// although the clock may go backwards.
func TestBucketBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		th := throttles().Draw(t, "throttle")
		th.Burst = min(th.Burst, 50)
		start := rapid.Int64Range(0, 1<<50).Draw(t, "start")
		b := NewBucket(th, start)
		interval := int64(1e9)
		if th.Rate > 0 {
			interval = max(1, int64(min(1e9/th.Rate, 1e14)))
		}
		now, latest := start, start
		tokens := new(big.Rat).SetInt64(int64(th.Burst)) // exact model
		perNano := new(big.Rat).Mul(new(big.Rat).SetFloat64(th.Rate), big.NewRat(1, 1e9))
		slack := big.NewRat(1, 1)
		var taken []int64 // times of admission on the forward clock
		for range rapid.IntRange(1, 200).Draw(t, "calls") {
			step := rapid.OneOf(rapid.Int64Range(0, 3), rapid.Int64Range(-interval, 2*interval)).Draw(t, "step")
			now += step
			if now > latest {
				add := new(big.Rat).Mul(perNano, big.NewRat(now-latest, 1))
				tokens.Add(tokens, add)
				if full := new(big.Rat).SetInt64(int64(th.Burst)); tokens.Cmp(full) > 0 {
					tokens = full
				}
				latest = now
			}
			ok := b.Take(now)
			if ok {
				tokens.Sub(tokens, big.NewRat(1, 1))
				taken = append(taken, latest)
			} else if now == latest && tokens.Cmp(slack.SetFrac64(2, 1)) >= 0 {
				t.Fatalf("refused with %s tokens", tokens.FloatString(9))
			}
			if tokens.Cmp(big.NewRat(-1, 1)) <= 0 {
				t.Fatalf("admitted with %s tokens left", tokens.FloatString(9))
			}
		}
		for i := range taken {
			for j := i; j < len(taken); j++ {
				if n := int64(j - i + 1); n > allowed(th, taken[j]-taken[i]) {
					t.Fatalf("%d admitted in %d ns, at most %d allowed", n, taken[j]-taken[i], allowed(th, taken[j]-taken[i]))
				}
			}
		}
	})
}

// After years of refilling, what was poured in is still rate times time, to the
// token, at every rate.
func TestBucketDoesNotDrift(t *testing.T) {
	for _, rate := range []float64{0.0001, 1.0 / 3, 7, 1000, 1e6 / 7, 3e8, 1e9} {
		f := newFill(model.Throttle{Rate: rate, Burst: 1}, 0)
		for _, d := range []int64{1, 1e9, 3600e9, 30 * 86400e9, 10 * 365 * 86400e9} {
			want := new(big.Rat).Mul(new(big.Rat).SetFloat64(rate), big.NewRat(d, 1e9))
			got := big.NewRat(f.poured(d), f.token)
			diff, _ := new(big.Rat).Sub(want, got).Float64()
			if diff < 0 || diff >= 1.01 {
				t.Errorf("rate %v after %d ns: %v tokens short", rate, d, diff)
			}
		}
	}
}

// A bucket that is used for weeks moves its base time and again: then too it holds its
// burst and no more, and a token comes when it is due.
func TestBucketRebase(t *testing.T) {
	for _, th := range []model.Throttle{{Rate: 1e9, Burst: 3}, {Rate: 8, Burst: 40}, {Rate: 0.5, Burst: 1}, {Rate: 2, Burst: 20_000}} {
		b := NewBucket(th, 0)
		b.Take(0)
		const slack = 4 // ns: units that a nanosecond is no multiple of
		token := int64(1e9 / th.Rate)
		for now := int64(1e15); now < 3e15; now += 5 * 3600e9 {
			n := 0
			for n <= th.Burst && b.Take(now) {
				n++
			}
			if n != th.Burst || b.Take(now-token) || b.Take(now+token-slack) || !b.Take(now+token+slack) {
				t.Fatalf("%+v: %d tokens at %d, or the next was not on time", th, n, now)
			}
		}
		if v := b.level.Load() >> levelBits; v < 10 {
			t.Errorf("%+v: %d versions in three weeks", th, v)
		}
	}
}

// Many callers see the base move, and limits change to and fro: nobody draws by one fill
// from another.
func TestBucketVersions(t *testing.T) {
	b := NewBucket(model.Throttle{Burst: 1}, 0)
	const hour = 3600e9
	small, large := model.Throttle{Rate: 1e9, Burst: 1000}, model.Throttle{Rate: 1, Burst: 1000}
	b.Set(small, hour) // refills the bucket wholly from one round to the next
	for round := range int64(200) {
		now := (round + 1) * 6 * hour
		var n atomic.Int64
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				for i := range 500 {
					if b.Take(now) {
						n.Add(1)
					}
					if g == 0 && i%50 == 0 {
						b.Set([]model.Throttle{large, small}[i/50%2], now)
					}
				}
			})
		}
		wg.Wait()
		if round > 0 && n.Load() != 1000 {
			t.Fatalf("round %d: admitted %d of 1000", round, n.Load())
		}
	}
}

// What model.Throttle would refuse neither overflows nor opens the bucket.
func TestBucketOutOfBounds(t *testing.T) {
	for _, th := range []model.Throttle{{Rate: math.NaN()}, {Rate: -1}, {Burst: -5}, {Rate: 1, Burst: math.MinInt}} {
		if b := NewBucket(th, 0); b.Take(1e9) {
			t.Errorf("%+v admits", th)
		}
	}
	b := NewBucket(model.Throttle{Rate: math.Inf(1), Burst: math.MaxInt}, 0)
	if f := b.fill(); !b.Take(1e18) || f.poured(horizon) <= 0 || f.capacity != 2e9 {
		t.Errorf("an endless throttle: %+v", f)
	}
}

func TestBucketRateZero(t *testing.T) {
	b := NewBucket(model.Throttle{Burst: 3}, 0)
	for i := range 5 {
		if got := b.Take(int64(i) * 1e18); got != (i < 3) {
			t.Errorf("call %d: %v", i, got)
		}
	}
}

// At 10 a second with a burst of 1, tokens come exactly every 100 ms.
func TestBucketExactTimes(t *testing.T) {
	b := NewBucket(model.Throttle{Rate: 10, Burst: 1}, 7)
	for i := range int64(100) {
		at := 7 + i*100e6
		if i > 0 && b.Take(at-1) {
			t.Fatalf("admitted 1 ns before token %d", i)
		}
		if !b.Take(at) {
			t.Fatalf("token %d is not there on time", i)
		}
	}
}

func TestBucketSet(t *testing.T) {
	count := func(b *Bucket, now int64) (n int) {
		for n < 1000 && b.Take(now) {
			n++
		}
		return n
	}
	b := NewBucket(model.Throttle{Rate: 1, Burst: 10}, 0)
	for range 4 {
		b.Take(0)
	}
	b.Set(model.Throttle{Rate: 3, Burst: 100}, 0)
	b.Set(model.Throttle{Rate: 3, Burst: 100}, 0)
	if n := count(b, 0); n != 6 {
		t.Errorf("a raised limit holds %d, want the 6 from before", n)
	}
	b.Set(model.Throttle{Rate: 1e9, Burst: 5}, 0)
	if n := count(b, 1e9); n != 5 {
		t.Errorf("a lowered burst holds %d, want 5", n)
	}
	b.Set(model.Throttle{Rate: 0.0001, Burst: 1_000_000_000}, 1e9)
	if n := count(b, 1e9); n != 0 {
		t.Errorf("an empty bucket holds %d after Set", n)
	}
	b.Lift()
	if n := count(b, 1e9); n != 1000 || !b.Unlimited() {
		t.Errorf("an unlimited bucket admitted %d of 1000", n)
	}
	b.Set(model.Throttle{Burst: 2}, 1e9)
	if n := count(b, 1e9); n != 2 || b.Unlimited() {
		t.Errorf("a newly limited bucket holds %d, want 2", n)
	}
	b = NewBucket(model.Throttle{Rate: 1e9, Burst: 1_000_000_000}, 0)
	b.Set(model.Throttle{Rate: 0.0001, Burst: 1_000_000_000}, 0)
	if taken := b.level.Load() & levelMask; taken != 0 {
		t.Errorf("a full bucket is not full after Set: %d of %d units taken", taken, b.fill().capacity)
	}
}

// Set never adds what was not there: its holding before and after agree to a token.
func TestBucketSetKeepsFill(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, c := throttles().Draw(t, "old"), throttles().Draw(t, "new")
		b := NewBucket(a, 0)
		b.level.Store(uint64(rapid.Int64Range(0, b.fill().capacity).Draw(t, "taken")))
		now := rapid.Int64Range(0, 1e12).Draw(t, "now")
		held := func() float64 {
			f := b.fill()
			in := f.poured(now)
			return float64(in+f.capacity-max(in, int64(b.level.Load()&levelMask))) / float64(f.token)
		}
		was := held()
		b.Set(c, now)
		if got, want := held(), math.Min(was, float64(c.Burst)); math.Abs(got-want) > 1+want*1e-9 || got > want*(1+1e-9)+1e-9 {
			t.Fatalf("%v tokens before, %v after, burst %d", was, got, c.Burst)
		}
	})
}

// A refund with the same clock undoes a take, whatever the level.
func TestRefundUndoesTake(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		th := throttles().Draw(t, "throttle")
		b := NewBucket(th, 0)
		f := b.fill()
		now := rapid.Int64Range(0, 1e12).Draw(t, "now")
		b.level.Store(uint64(rapid.Int64Range(0, f.poured(now)+f.capacity).Draw(t, "taken")))
		level := func() int64 { return max(int64(b.level.Load()&levelMask), f.poured(now)) }
		before := level()
		if b.Take(now) {
			b.Refund(now)
		}
		if got := level(); got != before {
			t.Fatalf("level %d before, %d after", before, got)
		}
	})
}

func TestBucketConcurrent(t *testing.T) {
	for _, set := range []bool{false, true} {
		b := NewBucket(model.Throttle{Burst: 10_000}, 0)
		var n atomic.Int64
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := range 5_000 {
					if b.Take(0) {
						n.Add(1)
					}
					if set && g == 0 && i%100 == 0 {
						b.Set(model.Throttle{Burst: 10_000 + i%200}, 0)
					}
				}
			})
		}
		wg.Wait()
		if n.Load() != 10_000 {
			t.Errorf("admitted %d of 10,000", n.Load())
		}
	}
}

func TestChain(t *testing.T) {
	narrow, wide := NewBucket(model.Throttle{Burst: 5}, 0), NewBucket(model.Throttle{Burst: 2}, 0)
	c := Chain{narrow, nil, {}, wide}
	for i, want := range []int{Passed, Passed, 3, 3, 3, 3} {
		if got := c.Take(0); got != want {
			t.Errorf("call %d: %d, want %d", i, got, want)
		}
	}
	for i := range 4 { // the refused calls cost the narrow bucket nothing
		if got := narrow.Take(0); got != (i < 3) {
			t.Errorf("narrow call %d: %v", i, got)
		}
	}
	if got := c.Take(0); got != 0 {
		t.Errorf("refused by %d, want 0", got)
	}
	c.Refund(0)
	if got := c.Take(0); got != Passed {
		t.Errorf("after a refund: refused by %d", got)
	}
}

func TestGauge(t *testing.T) {
	var g Gauge
	if !g.Acquire(3, 4) || g.Acquire(2, 4) || !g.Acquire(1, 4) || g.Held() != 4 {
		t.Errorf("held %d", g.Held())
	}
	if g.Acquire(1, 2) {
		t.Error("acquired above a lowered limit")
	}
	g.Release(4)
	var wg sync.WaitGroup
	var over atomic.Int64
	for range 8 {
		wg.Go(func() {
			for range 2000 {
				if g.Acquire(2, 7) {
					if g.Held() > 7 {
						over.Add(1)
					}
					g.Release(2)
				}
			}
		})
	}
	wg.Wait()
	if g.Held() != 0 || over.Load() != 0 {
		t.Errorf("held %d at the end, %d times over", g.Held(), over.Load())
	}
}

// What a call needs of an account lies in two cache lines, one for each; and an account
// fills a size class of the allocator, which begins with a line.
func TestPadding(t *testing.T) {
	var a Account
	if b, e := unsafe.Offsetof(a.Bucket.whole), unsafe.Offsetof(a.Quota)%64+unsafe.Offsetof(a.Quota.exhausted); b > 80 || e > 64 {
		t.Errorf("hot until %d and %d", b, e)
	}
	if a, b, g := unsafe.Sizeof(a), unsafe.Sizeof(Bucket{}), unsafe.Sizeof(Gauge{}); a != 256 || b != 96 || g != 64 {
		t.Errorf("sizes %d, %d, %d", a, b, g)
	}
}

func TestBucketAllocations(t *testing.T) {
	c := Chain{NewBucket(model.Throttle{Rate: 1, Burst: 50}, 0), NewBucket(model.Throttle{Rate: 1, Burst: 20}, 0)}
	var g Gauge
	if n := testing.AllocsPerRun(100, func() { c.Take(0); g.Acquire(1, 9); g.Release(1) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkBucket(b *testing.B) {
	bucket := NewBucket(model.Throttle{Rate: 1e9, Burst: 1_000_000_000}, 0)
	b.Run("take", func(b *testing.B) {
		now := int64(0)
		for b.Loop() {
			now += 50
			bucket.Take(now)
		}
	})
	empty := NewBucket(model.Throttle{Rate: 1}, 0)
	b.Run("refuse", func(b *testing.B) {
		for b.Loop() {
			empty.Take(1)
		}
	})
	c := Chain{bucket, NewBucket(model.Throttle{Rate: 1e9, Burst: 1e9}, 0), NewBucket(model.Throttle{Rate: 1e9, Burst: 1e9}, 0), nil, nil}
	b.Run("chain3", func(b *testing.B) {
		now := int64(1e12)
		for b.Loop() {
			now += 50
			c.Take(now)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				bucket.Take(1e15)
			}
		})
	})
}
