package limit

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"tollgate/model"
)

// What quota and throttle cost a call together with 100,000 keys: on a node alone and on
// one of three, where 4,096 of them call, as in the comparison with nginx, and where all do
// in no order. There memory is most of it: "memory" reads as many lines, of as many keys,
// and does nothing with them.
func BenchmarkQuotaAndThrottle(b *testing.B) {
	const keys = 100_000
	unbounded := func(_ context.Context, rs []model.LeaseRequest) ([]model.Lease, error) {
		out := make([]model.Lease, len(rs))
		for i, r := range rs {
			out[i] = model.Lease{Granted: 1 << 40, WindowStart: r.At.Add(-time.Hour), WindowEnd: r.At.Add(1000 * time.Hour), Limit: 1 << 60}
		}
		return out, nil
	}
	order := make([]uint32, 1<<20)
	for i := range order {
		order[i] = uint32(rand.IntN(keys))
	}
	b.Run("memory", func(b *testing.B) {
		type block struct {
			bucket, quota [8]int
			_             [16]int
		}
		blocks := make([]*block, keys)
		for i := range blocks {
			blocks[i] = &block{}
		}
		i := 0
		for b.Loop() {
			k := blocks[order[i&(1<<20-1)]]
			i += 1 + k.bucket[0] + k.quota[0] // as calls do, the next one waits for this
		}
	})
	for _, c := range []struct{ nodes, calling int }{{1, 4096}, {3, 4096}, {1, keys}, {3, keys}} {
		b.Run(fmt.Sprint(c.nodes, "nodes/", c.calling), func(b *testing.B) {
			l := NewLeaser("a", unbounded)
			l.Start(b.Context())
			defer func() { _ = l.Stop(b.Context()) }()
			s := NewShares()
			s.SetNodes(c.nodes)
			subs := make([]*Account, keys) // as subscriptions have them
			for i := range subs {
				a := &Account{}
				subs[i] = a
				l.Open(&a.Quota, 1, uint64(i))
				a.Bucket.Share(s, uint64(i))
				a.Bucket.Set(model.Throttle{Rate: 1e6, Burst: 1e6}, 0)
				if _, r := a.Quota.Take(b.Context(), time.Now()); r != Admitted {
					b.Fatal(r)
				}
				a.Bucket.Take(0)
			}
			now, at := time.Now(), int64(time.Hour)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				k := subs[int(order[i&(1<<20-1)])*c.calling/keys*(keys/c.calling)]
				i++
				k.Quota.Warm(&k.Bucket)
				if _, r, _ := k.Quota.Try(now); r != Admitted {
					b.Fatal(r)
				}
				if !k.Bucket.Take(at) {
					b.Fatal("throttled")
				}
			}
		})
	}
}

// What it costs a call that most of a lease is in the stash: of a key with few calls, whose
// leases are small, and of one with many.
func BenchmarkStash(b *testing.B) {
	for _, lease := range []int64{16, 256, 1 << 20} {
		b.Run(fmt.Sprint("leases of ", lease), func(b *testing.B) {
			grant := func(_ context.Context, rs []model.LeaseRequest) ([]model.Lease, error) {
				out := make([]model.Lease, len(rs))
				for i, r := range rs {
					out[i] = model.Lease{Granted: lease, WindowStart: r.At.Add(-time.Hour), WindowEnd: r.At.Add(1000 * time.Hour), Limit: 1 << 60}
				}
				return out, nil
			}
			for _, stashed := range []bool{false, true} {
				b.Run(map[bool]string{false: "in memory", true: "stashed"}[stashed], func(b *testing.B) {
					l := NewLeaser("a", grant)
					if stashed {
						s, err := OpenStash(filepath.Join(b.TempDir(), "leases"))
						if err != nil || s == nil {
							b.Skip("no stash here: ", err)
						}
						defer s.Close()
						if l, err = NewStashLeaser(boot(0), grant, s); err != nil {
							b.Fatal(err)
						}
					}
					l.Start(b.Context())
					defer func() { _ = l.Stop(b.Context()) }()
					q, now := l.Quota(1, 1), time.Now()
					for b.Loop() {
						if _, r := q.Take(b.Context(), now); r != Admitted {
							b.Fatal(r)
						}
					}
				})
			}
		})
	}
}
