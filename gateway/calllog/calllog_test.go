package calllog

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/model"
)

// taker is a control plane's end: it takes batches, or refuses them.
type taker struct {
	mu      sync.Mutex
	entries map[uint32]int // by stage
	left    map[uint32]uint64
	lines   map[uint32]uint64
	seqs    []uint64
	refuse  func(n int) error
	asked   int
}

func (k *taker) take(_ context.Context, p []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked++
	if k.refuse != nil {
		if err := k.refuse(k.asked); err != nil {
			return err
		}
	}
	b, err := model.DecodeCallBatch(p)
	if err != nil {
		return err
	}
	k.seqs = append(k.seqs, b.Seq)
	for i := range b.Calls {
		k.entries[b.Calls[i].Stage]++
	}
	for _, l := range b.Left {
		k.left[l.Stage] += l.Calls
		k.lines[l.Stage] += l.Lines
	}
	return nil
}

func newTaker() *taker {
	return &taker{entries: map[uint32]int{}, left: map[uint32]uint64{}, lines: map[uint32]uint64{}}
}

var quiet = slog.New(slog.DiscardHandler)

// call is admitted and appended, or left out.
func call(l *Log, at uint32, s *Stage, e *model.CallEntry, failed bool, now int64) {
	if l.Admit(s, failed, now) {
		l.Append(at, s, e)
	}
}

// A flood of one tenant costs another no entry, and what has an entry and what was left
// out add up to the calls.
func TestFlood(t *testing.T) {
	l, k := New(100), newTaker()
	loud, calm := l.Tenant(0), l.Tenant(0)
	a, b := l.Stage(loud, 1, 10), l.Stage(calm, 2, 20)
	s := l.Ship(model.BootID{1}, k.take, quiet)
	const flood, few = 50_000, 150
	var wg sync.WaitGroup
	var clock atomic.Int64
	for w := range 4 {
		wg.Go(func() {
			for i := range flood / 4 {
				call(l, uint32(w), a, &model.CallEntry{Tenant: 1, Stage: 10, Status: 200, Path: []byte("/flood")}, i%100 == 0, clock.Add(1000))
			}
		})
	}
	wg.Go(func() {
		for range few {
			call(l, 3, b, &model.CallEntry{Tenant: 2, Stage: 20, Status: 200, Path: []byte("/few")}, false, clock.Add(1000))
		}
	})
	a.Line(7)
	wg.Wait()
	s.Stop(t.Context())
	if k.entries[20] != few || k.left[20] != 0 {
		t.Errorf("the quiet tenant has %d entries and %d left out of %d calls", k.entries[20], k.left[20], few)
	}
	if got := uint64(k.entries[10]) + k.left[10]; got != flood || k.entries[10] < 200 || k.entries[10] > 500 {
		t.Errorf("of %d calls %d have an entry and %d were left out", flood, k.entries[10], k.left[10])
	}
	if k.lines[10] != 7 {
		t.Errorf("%d lines were not written, 7 were", k.lines[10])
	}
	for i, n := range k.seqs {
		if n != uint64(i+1) {
			t.Fatalf("batches are numbered %v", k.seqs)
		}
	}
}

// A control plane that is away does not make calls wait: the room fills, the rest is
// counted; and a batch that is refused for good is counted too.
func TestAway(t *testing.T) {
	l, k := New(1_000_000), newTaker()
	st := l.Stage(l.Tenant(0), 1, 10)
	away := make(chan struct{})
	k.refuse = func(n int) error {
		select {
		case <-away:
		default:
			return model.Errorf(model.Unavailable, "away")
		}
		if n%2 == 0 {
			return model.Errorf(model.Denied, "no")
		}
		return nil
	}
	s := l.Ship(model.BootID{1}, k.take, quiet)
	const calls = 40_000
	began := time.Now()
	for i := range calls {
		call(l, uint32(i), st, &model.CallEntry{Tenant: 1, Stage: 10, Path: make([]byte, 400)}, false, int64(i)*1000)
	}
	if d := time.Since(began); d > time.Minute { // who waits for a control plane that is away waits for ever
		t.Errorf("%d calls took %v", calls, d)
	}
	close(away)
	total := func() uint64 {
		k.mu.Lock()
		defer k.mu.Unlock()
		return uint64(k.entries[10]) + k.left[10]
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); total() != calls; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("of %d calls %d are accounted for", calls, total())
		}
		l.awake()
	}
	s.Stop(t.Context())
	if k.left[10] == 0 || k.entries[10] == 0 {
		t.Errorf("%d entries, %d left out", k.entries[10], k.left[10])
	}
}

// A stage that is gone is forgotten, once its counts were told.
func TestKeep(t *testing.T) {
	l := New(0)
	st := l.Stage(l.Tenant(0), 1, 10)
	call(l, 0, st, &model.CallEntry{Tenant: 1, Stage: 10}, true, 0)
	l.Keep(func(uint32) bool { return false })
	var parts [shards][]byte
	left, some := l.take(&parts, nil)
	if !some || len(left) != 1 || left[0].Calls != 1 {
		t.Errorf("%v %v", left, some)
	}
	for range linger + 1 {
		l.take(&parts, nil)
	}
	if len(l.stages) != 0 {
		t.Errorf("%d stages are kept", len(l.stages))
	}
}

func BenchmarkAppend(b *testing.B) {
	l := New(1_000_000_000)
	st := l.Stage(l.Tenant(0), 1, 10)
	e := model.CallEntry{Tenant: 1, Stage: 10, Status: 200, Verb: []byte("GET"), Path: []byte("/pets/1234567/owners"), IP: "203.0.113.77", Agent: []byte("curl/8.5.0 (x86_64-pc-linux-gnu)")}
	var parts [shards][]byte
	for i := range parts {
		parts[i] = make([]byte, 0, shardBytes)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		call(l, 0, st, &e, false, int64(i)*1_000_000)
		if i++; i%1000 == 0 {
			l.take(&parts, nil)
		}
	}
	if n := st.left.Load(); n > 0 {
		b.Fatalf("%d were left out", n)
	}
}

func BenchmarkLeftOut(b *testing.B) {
	l := New(1)
	st := l.Stage(l.Tenant(0), 1, 10)
	var e model.CallEntry
	b.ReportAllocs()
	for b.Loop() {
		call(l, 0, st, &e, false, 0)
	}
}
