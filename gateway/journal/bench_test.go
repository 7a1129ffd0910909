package journal

import (
	"log/slog"
	"testing"
	"time"
)

// open starts a journal for a test and closes it at the end.
func open(tb testing.TB, o Options) *Journal {
	tb.Helper()
	if o.Dir == "" {
		o.Dir = tb.TempDir()
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = 1 << 20
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	j, err := Open(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = j.Close(tb.Context()) })
	return j
}

func sample(at time.Time) Record {
	return Record{
		Time: at.UnixMicro(), Tenant: 1, Stage: 2, Method: 3, Status: 200, Flags: 3, Subscription: 4,
		Key: 5, Terms: 6, BytesIn: 312, BytesOut: 9001, Duration: 1234,
	}
}

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
