package cache

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"
)

func key(n int) (k Key) {
	binary.BigEndian.PutUint64(k[1:], uint64(n)) // all in one shard
	return k
}

func entry(n int) *Entry { return &Entry{Status: 200, Body: make([]byte, n), Expires: 100} }

func TestEntriesEnd(t *testing.T) {
	t.Parallel()
	s := NewStore(shards*10_000, nil)
	s.Put(key(1), entry(10))
	if s.Get(key(1), 99) == nil || s.Get(key(2), 99) != nil {
		t.Error("an entry is found by its key until its time")
	}
	if s.Get(key(1), 100) != nil || s.Bytes() != 0 {
		t.Error("an entry was given out after its time, or kept")
	}
	s.Put(key(1), entry(10))
	s.Drop(key(1))
	s.Drop(key(1))
	if s.Get(key(1), 0) != nil {
		t.Error("a dropped entry was given out")
	}
}

// The one used longest ago goes, bytes never exceed what is allowed, and what is
// released can be had by others.
func TestBounds(t *testing.T) {
	t.Parallel()
	node := NewBudget(5_000, nil)
	tenant := NewBudget(3_000, node)
	a, b := NewStore(shards*2_000, tenant), NewStore(shards*2_000, tenant)
	for i := range 3 {
		a.Put(key(i), entry(500)) // 756 with what it takes beside
	}
	if a.Get(key(0), 0) != nil || a.Get(key(1), 0) == nil || a.Get(key(2), 0) == nil {
		t.Error("two of three fit, those used last")
	}
	a.Get(key(1), 0)
	a.Put(key(3), entry(500))
	if a.Get(key(1), 0) == nil || a.Get(key(2), 0) != nil {
		t.Error("the one used longest ago goes")
	}
	a.Put(key(9), entry(3_000))
	if a.Get(key(9), 0) != nil {
		t.Error("an entry larger than the store was kept")
	}
	b.Put(key(1), entry(500))
	b.Put(key(2), entry(500))
	if b.Get(key(1), 0) != nil || b.Get(key(2), 0) == nil || tenant.Used() != 3*756 || node.Used() != 3*756 {
		t.Errorf("the tenant's budget has room for three: %d, %d", tenant.Used(), node.Used())
	}
	a.Close()
	a.Put(key(1), entry(10))
	if b.Put(key(1), entry(500)); tenant.Used() != 2*756 || node.Used() != tenant.Used() || a.Bytes() != 0 {
		t.Errorf("a closed store holds %d bytes of the tenant", tenant.Used())
	}
	c := NewStore(1<<30, nil)
	if c.Put(key(1), entry(MaxEntry+1)); c.Get(key(1), 0) != nil {
		t.Error("an entry beyond the largest was kept")
	}
}

func TestSealed(t *testing.T) {
	t.Parallel()
	s, other := NewStore(shards*10_000, nil), NewStore(shards*10_000, nil)
	e := &Entry{Body: []byte("a secret of the caller"), Expires: 1}
	s.Seal(key(1), e)
	if !e.Sealed || bytes.Contains(e.Body, []byte("secret")) {
		t.Error("the body lies open")
	}
	if b, ok := s.Body(key(1), e); !ok || string(b) != "a secret of the caller" {
		t.Error("the body is not had again")
	}
	if _, ok := s.Body(key(2), e); ok {
		t.Error("it was opened under another key")
	}
	if _, ok := other.Body(key(1), e); ok {
		t.Error("another store opened it")
	}
}

// Of many who ask for one key at once one asks; the others get what it got.
func TestFlight(t *testing.T) {
	t.Parallel()
	s := NewStore(shards*10_000, nil)
	f, first := s.Begin(key(1))
	if !first {
		t.Fatal("the first is not the first")
	}
	var wg sync.WaitGroup
	for range 50 {
		g, first := s.Begin(key(1))
		if first || g != f {
			t.Fatal("two ask for one key")
		}
		wg.Go(func() {
			if <-g.Done(); g.Entry() == nil || g.Entry().Status != 200 {
				t.Error("what came of it is not had by those who waited")
			}
		})
	}
	s.End(key(1), f, entry(1))
	wg.Wait()
	if s.Get(key(1), 0) == nil {
		t.Error("what came of it is not kept")
	}
	f, first = s.Begin(key(1))
	if !first {
		t.Error("an ended flight goes on")
	}
	s.End(key(1), f, nil)
}

// Whatever is done at once, the bytes counted are those held.
func TestCounts(t *testing.T) {
	t.Parallel()
	budget := NewBudget(200_000, nil)
	stores := []*Store{NewStore(150_000, budget), NewStore(150_000, budget)}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(g)))
			for range 5_000 {
				s, k := stores[r.IntN(2)], Key{byte(r.IntN(64)), byte(r.IntN(8))}
				switch r.IntN(4) {
				case 0:
					s.Drop(k)
				case 1:
					s.Get(k, int64(r.IntN(200)))
				default:
					s.Put(k, entry(r.IntN(3_000)))
				}
				if budget.Used() > 210_000 { // one entry of each at work may be counted before it is refused
					t.Error("more than the budget")
				}
			}
		})
	}
	wg.Wait()
	if held := stores[0].Bytes() + stores[1].Bytes(); held != budget.Used() {
		t.Errorf("%d bytes held, %d counted", held, budget.Used())
	}
	stores[0].Close()
	stores[1].Close()
	if budget.Used() != 0 {
		t.Errorf("%d bytes are left", budget.Used())
	}
}

func TestKeysDiffer(t *testing.T) {
	t.Parallel()
	var m KeyMaker
	make := func(parts ...string) Key {
		m.Start()
		for _, p := range parts {
			m.Add([]byte(p), p != "-")
		}
		return m.Key()
	}
	seen := map[Key]bool{}
	for _, parts := range [][]string{{}, {""}, {"-"}, {"a"}, {"a", ""}, {"", "a"}, {"a", "-"}, {"ab"}, {"a", "b"}, {"ab", ""}} {
		if k := make(parts...); seen[k] {
			t.Errorf("%q has the key of others", parts)
		} else {
			seen[k] = true
		}
	}
}

func BenchmarkGet(b *testing.B) {
	s := NewStore(1<<30, NewBudget(1<<30, nil))
	for i := range 1000 {
		s.Put(Key{byte(i), byte(i >> 8)}, entry(1000))
	}
	b.ReportAllocs()
	var m KeyMaker
	i := 0
	for b.Loop() {
		m.Start()
		m.Add([]byte("GET /pets"), true)
		m.Add([]byte("kind=dog"), true)
		m.Key()
		i++
		s.Get(Key{byte(i), byte(i>>8) & 3}, 0)
	}
}
