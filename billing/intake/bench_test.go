package intake

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tollgate/model"
)

// bulk is a batch of 20 methods of n/20 keys each.
func (w *world) bulk(n int) *model.Batch {
	b := batch(boot(1), 0, w.ann, 1)
	one := b.Lines[0]
	b.Lines = b.Lines[:0]
	for i := range n {
		l := one
		l.Method, l.Key, l.Subscription = uint32(i%20), uint32(i/20), uint64(1_000_000+i/20)
		b.Lines = append(b.Lines, l)
	}
	return b
}

// ingested hands in the next batch and says how long that took.
func (w *world) ingested(b *model.Batch) time.Duration {
	b.Seq++
	b.Watermark = noon.Add(time.Duration(b.Seq) * time.Second).UnixMicro()
	encoded := b.Encode()
	begin := time.Now()
	if r, err := w.in.Ingest(w.t.Context(), 1, 0, encoded); err != nil || r.Duplicate {
		w.t.Fatalf("%+v, %v", r, err)
	}
	return time.Since(begin)
}

// Usage lines a second that go in by batches, from their encoded bytes to the commit,
// beside what COPY alone does in the same run: the same lines, as the same bytes, into a
// table of the same columns, checks, partitions and indexes, without a fence, a name for the
// batch or an account. "of_copy" is the one through the other, of the medians; "best_of_copy"
// of the quickest of each, for machines that do something else beside it.
func BenchmarkIngest(b *testing.B) {
	const lines = 20_000
	w := newWorld(b)
	if err := w.in.Maintain(b.Context()); err != nil {
		b.Fatal(err)
	}
	w.exec(`create table bare (like usage_line including all) partition by range (hour)`)
	w.exec(`create table bare_default partition of bare default`)
	for d := -1; d <= daysAhead; d++ {
		s := day(noon.AddDate(0, 0, d))
		w.exec(`create table bare_` + s.suffix + ` partition of bare for values from ('` + s.from.Format(time.RFC3339) + `') to ('` + s.to.Format(time.RFC3339) + `')`)
	}
	usage := w.bulk(lines)
	var took, copied []time.Duration
	for b.Loop() {
		took = append(took, w.ingested(usage))

		conn, err := w.pool.Acquire(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		begin := time.Now()
		tag, err := conn.Conn().PgConn().CopyFrom(b.Context(), newLineReader(usage, nil), strings.Replace(copyLines, "usage_intake", "bare", 1))
		copied = append(copied, time.Since(begin))
		conn.Release()
		if err != nil || tag.RowsAffected() != lines {
			b.Fatalf("COPY took %d lines: %v", tag.RowsAffected(), err)
		}
	}
	if got := scan[int64](w, `select sum(calls)::bigint from usage_line`); got != int64(lines*len(took)) {
		b.Fatalf("%d calls are in the usage instead of %d", got, lines*len(took))
	}
	slices.Sort(took)
	slices.Sort(copied)
	mine, theirs := took[len(took)/2].Seconds(), copied[len(copied)/2].Seconds()
	b.ReportMetric(lines/mine, "lines/s")
	b.ReportMetric(lines/theirs, "copied/s")
	b.ReportMetric(theirs/mine, "of_copy")
	b.ReportMetric(lines/took[0].Seconds(), "best_lines/s")
	b.ReportMetric(copied[0].Seconds()/took[0].Seconds(), "best_of_copy")
	b.ReportMetric(0, "ns/op")
}

// What a node with little traffic waits for: a batch of ten lines, committed.
func BenchmarkIngestSmall(b *testing.B) {
	w := newWorld(b)
	usage := w.bulk(10)
	var took []time.Duration
	for b.Loop() {
		took = append(took, w.ingested(usage))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "us")
	b.ReportMetric(float64(took[0].Microseconds()), "best_us")
	b.ReportMetric(0, "ns/op")
}
