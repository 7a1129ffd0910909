package auth

import (
	"bytes"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"tollgate/model"
)

func key(tenant uint32, value string, to int) Key[int] {
	return Key[int]{ID: ID{tenant, model.KeyHash(value)}, Value: &to}
}

func TestLookup(t *testing.T) {
	k := New[int]()
	live, test := model.NewKeyValue(true), model.NewKeyValue(false)
	const own = "a-key-of-the-caller's-choice"
	if k.Lookup(1, []byte(live)) != nil {
		t.Error("found in an empty table")
	}
	k.Apply([]Key[int]{key(1, live, 1), key(1, test, 2), key(2, live, 3), key(1, own, 4)}, nil)
	cases := []struct {
		tenant uint32
		value  string
		want   int // 0: none
	}{
		{1, live, 1}, {1, test, 2}, {2, live, 3}, {1, own, 4},
		{2, test, 0}, {3, live, 0}, {2, own, 0}, {1, own + "x", 0}, {1, "", 0},
		{1, live[:45], 0}, {1, live + "x", 0}, {1, model.NewKeyValue(true), 0},
	}
	for _, c := range cases {
		got := k.Lookup(c.tenant, []byte(c.value))
		if c.want == 0 && got != nil || c.want != 0 && (got == nil || *got != c.want) {
			t.Errorf("tenant %d: want %d, got %v", c.tenant, c.want, got)
		}
	}
	k.Apply([]Key[int]{key(1, own, 5), key(1, test, 6)}, []ID{key(1, live, 0).ID, key(1, test, 0).ID, key(9, live, 0).ID})
	for value, want := range map[string]int{own: 5, test: 6} {
		if got := k.Lookup(1, []byte(value)); got == nil || *got != want {
			t.Errorf("after Apply: want %d, got %v", want, got)
		}
	}
	if k.Lookup(1, []byte(live)) != nil || k.Lookup(2, []byte(live)) == nil || k.Len() != 3 {
		t.Errorf("a deleted key is there, or another is not; %d keys", k.Len())
	}
	k.Replace([]Key[int]{key(1, live, 7), key(1, live, 8)})
	if got := k.Lookup(1, []byte(live)); got == nil || *got != 8 || k.Len() != 1 {
		t.Errorf("after Replace: got %v of %d keys", got, k.Len())
	}
}

// The table does what a map does, whatever the order of changes.
func TestAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := New[int]()
		want := map[ID]*int{}
		id := rapid.Custom(func(t *rapid.T) ID {
			// Few hashes, so that changes meet; some agree in all but one byte.
			id := ID{Tenant: rapid.Uint32Range(0, 2).Draw(t, "tenant")}
			id.Hash[rapid.IntRange(0, 31).Draw(t, "byte")] = rapid.ByteRange(0, 9).Draw(t, "value")
			return id
		})
		for range rapid.IntRange(1, 20).Draw(t, "changes") {
			var ups []Key[int]
			for _, i := range rapid.SliceOfN(id, 0, 60).Draw(t, "upserts") {
				ups = append(ups, Key[int]{i, new(int)})
			}
			dels := rapid.SliceOfN(id, 0, 30).Draw(t, "deletes")
			if rapid.IntRange(0, 5).Draw(t, "replace") == 0 {
				clear(want)
				k.Replace(ups)
			} else {
				for _, d := range dels {
					delete(want, d)
				}
				k.Apply(ups, dels)
			}
			for _, u := range ups {
				want[u.ID] = u.Value
			}
		}
		if k.Len() != len(want) {
			t.Fatalf("%d keys, want %d", k.Len(), len(want))
		}
		for i, v := range want {
			if k.Find(i.Tenant, &i.Hash) != v {
				t.Fatalf("%v is not what was put in", i)
			}
		}
		i := id.Draw(t, "other")
		if k.Find(i.Tenant, &i.Hash) != want[i] {
			t.Fatalf("%v", i)
		}
	})
}

func FuzzPlausible(f *testing.F) {
	v := model.NewKeyValue(true)
	f.Add([]byte(v))
	f.Add([]byte(v[:45] + "!"))
	f.Add([]byte("a key with spaces in it"))
	f.Add(bytes.Repeat([]byte("x"), 129))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, want := Plausible(b), model.CheckKeyValue(string(b)) == nil; got != want {
			t.Errorf("%q: %v, model says %v", b, got, want)
		}
	})
}

func TestPlausible(t *testing.T) {
	for range 1000 {
		v := []byte(model.NewKeyValue(true))
		if !Plausible(v) {
			t.Fatalf("a minted key is not plausible: %s", v)
		}
		v[20] ^= 1
		if got, want := Plausible(v), model.CheckKeyValue(string(v)) == nil; got != want || got {
			t.Fatalf("a mistyped key %s: %v, model says %v", v, got, want)
		}
	}
}

// Readers always find a key that is never deleted, with a value that was put in,
// while writers change and replace everything around it.
func TestReadersAndWriters(t *testing.T) {
	k := New[int]()
	steady := []byte(model.NewKeyValue(true))
	var others [][]byte
	var all []Key[int]
	for i := range 500 {
		v := model.NewKeyValue(true)
		others = append(others, []byte(v))
		all = append(all, key(1, v, i))
	}
	base := key(1, string(steady), -1)
	k.Replace([]Key[int]{base})
	done := make(chan struct{})
	var readers, writers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				if got := k.Lookup(1, steady); got == nil || *got != -1 {
					t.Errorf("lost the steady key: %v", got)
					return
				}
				i := n % len(others)
				if got := k.Lookup(1, others[i]); got != nil && *got != i {
					t.Errorf("key %d gave %d", i, *got)
					return
				}
			}
		})
	}
	writers.Go(func() {
		for range 20 {
			for i := range all {
				k.Apply(all[i:i+1], []ID{all[(i+250)%500].ID})
			}
		}
	})
	writers.Go(func() {
		for i := range 50 {
			k.Replace(append([]Key[int]{base}, all[:i*10]...))
		}
	})
	writers.Wait()
	close(done)
	readers.Wait()
}

func filled(n int) (*Keys[int], [][]byte) {
	k := New[int]()
	var all []Key[int]
	values := make([][]byte, n)
	one := 1
	for i := range values {
		values[i] = []byte(model.NewKeyValue(true))
		all = append(all, Key[int]{ID{7, model.KeyHash(string(values[i]))}, &one})
	}
	k.Replace(all)
	return k, values
}

func TestAllocations(t *testing.T) {
	k, values := filled(1000)
	miss := []byte(model.NewKeyValue(true))
	bad := bytes.Repeat([]byte("y"), 200)
	i := 0
	if n := testing.AllocsPerRun(1000, func() {
		k.Lookup(7, values[i%len(values)])
		k.Lookup(7, miss)
		k.Lookup(7, bad)
		i++
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestMemory(t *testing.T) {
	const n = 100_000
	all := make([]Key[int], n)
	one := 1
	for i := range all {
		all[i] = key(uint32(i), fmt.Sprint(i), 0)
		all[i].Value = &one
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	k := New[int]()
	k.Replace(all)
	per := float64(heap()-before) / n
	t.Logf("%.1f bytes a key", per)
	if per > 150 {
		t.Errorf("%.0f bytes a key, more than 150", per)
	}
	if k.Len() != n {
		t.Errorf("%d keys", k.Len())
	}
	runtime.KeepAlive(all)
}

func BenchmarkKeys(b *testing.B) {
	k, values := filled(100_000)
	b.Run("hit", func(b *testing.B) {
		b.ReportAllocs()
		// The values lie in a row, as a request's bytes are in the cache; their
		// places in the table are random.
		row := bytes.Join(values, nil)
		i := 0
		for b.Loop() {
			if k.Lookup(7, row[i:i+46]) == nil {
				b.Fatal("not found")
			}
			if i += 46; i == len(row) {
				i = 0
			}
		}
	})
	b.Run("hit-hot", func(b *testing.B) {
		for b.Loop() {
			k.Lookup(7, values[1])
		}
	})
	b.Run("miss", func(b *testing.B) {
		miss := []byte(model.NewKeyValue(true))
		for b.Loop() {
			k.Lookup(7, miss)
		}
	})
	b.Run("mistyped", func(b *testing.B) {
		bad := []byte(model.NewKeyValue(true))
		bad[20] ^= 1
		for b.Loop() {
			k.Lookup(7, bad)
		}
	})
	b.Run("sha256", func(b *testing.B) {
		for b.Loop() {
			model.KeyHash("tg_live_0123456789abcdefghijklmnopqrstuvwxyzabc")
		}
	})
	b.Run("apply", func(b *testing.B) {
		one := 1
		i := 0
		for b.Loop() {
			k.Apply([]Key[int]{{ID{7, model.KeyHash(string(values[i]))}, &one}}, nil)
			i = (i + 1) % len(values)
		}
	})
}
