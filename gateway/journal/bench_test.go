package journal

import (
	"slices"
	"testing"
	"time"
)

func BenchmarkAppend(b *testing.B) {
	j := open(b, Options{SegmentBytes: 64 << 20})
	r := sample(time.Now())
	b.ReportAllocs()
	for b.Loop() {
		if err := j.Append(j.Begin(0), &r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAppendPaced is what an append costs as calls come, 50,000 a second: then every
// page is written to disk, and taken away until it is written to again, while it fills.
func BenchmarkAppendPaced(b *testing.B) {
	j := open(b, Options{SegmentBytes: 64 << 20, Shards: 1})
	r := sample(time.Now())
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	var took []time.Duration
	for b.Loop() {
		<-tick.C
		began := time.Now()
		for range 50 {
			if err := j.Append(j.Begin(0), &r); err != nil {
				b.Fatal(err)
			}
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2])/50, "ns/record")
}

func BenchmarkAppendParallel(b *testing.B) {
	j := open(b, Options{SegmentBytes: 64 << 20})
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		r := sample(time.Now())
		for p.Next() {
			if err := j.Append(j.Begin(1), &r); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkBegin(b *testing.B) {
	j := open(b, Options{})
	b.ReportAllocs()
	for b.Loop() {
		j.Begin(7)
	}
}

// TestAppendAllocatesNothing also covers the move to the next segment.
func TestAppendAllocatesNothing(t *testing.T) {
	j := open(t, Options{SegmentBytes: 4096 + 1<<20})
	r := sample(time.Now())
	if n := testing.AllocsPerRun(10_000, func() {
		if err := j.Append(j.Begin(0), &r); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("Begin and Append allocate %v times a call, want 0", n)
	}
}

// BenchmarkSeal is what a call costs in sealing, batches of a million.
func BenchmarkSeal(b *testing.B) {
	const records = 1_000_000
	j := open(b, Options{SegmentBytes: 64 << 20, SealEvery: never, SyncEvery: never, Shards: 2})
	s := j.sealer
	r := sample(time.Now())
	b.ReportAllocs()
	for range b.N {
		b.StopTimer()
		for i := range records {
			r.Stage, r.Method, r.Key = uint32(i%5), uint32(i%300), uint32(i%1000)
			if err := j.Append(j.Begin(uint32(i>>4)), &r); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		if err := s.seal(false); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/records, "ns/record")
}
