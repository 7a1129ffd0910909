package intake

import (
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Usage lines a second that go in by batches, beside what COPY alone does in the same run
// with the same lines, into a table of the same form: "of_copy" is the one through the
// other, of the medians.
func BenchmarkIngest(b *testing.B) {
	const lines = 20_000
	w := newWorld(b)
	w.exec(`create table bare (like usage_line including all)`)
	usage := batch(boot(1), 0, w.ann, 1)
	one := usage.Lines[0]
	usage.Lines = usage.Lines[:0]
	for i := range lines { // 20 methods of 1,000 keys
		l := one
		l.Method, l.Key, l.Subscription = uint32(i%20), uint32(i/20), uint64(1_000_000+i/20)
		usage.Lines = append(usage.Lines, l)
	}
	var took, copied []time.Duration
	columns := []string{"tenant_id", "hour", "stage_num", "method_num", "subscription_id", "key_num", "terms", "status", "flags", "gen", "calls", "bytes_in", "bytes_out", "micros", "boot", "seq"}
	for b.Loop() {
		usage.Seq++
		usage.Watermark = noon.Add(time.Duration(usage.Seq) * time.Second).UnixMicro()
		encoded := usage.Encode()
		begin := time.Now()
		if r, err := w.in.Ingest(b.Context(), 1, 0, encoded); err != nil || r.Duplicate {
			b.Fatalf("%+v, %v", r, err)
		}
		took = append(took, time.Since(begin))

		begin = time.Now()
		n, err := w.pool.CopyFrom(b.Context(), pgx.Identifier{"bare"}, columns, pgx.CopyFromSlice(lines, func(i int) ([]any, error) {
			l := &usage.Lines[i]
			return []any{int32(l.Tenant), time.Unix(l.Hour*3600, 0).UTC(), int32(l.Stage), int32(l.Method), int64(l.Subscription), int32(l.Key), int32(l.Terms),
				int32(l.Status), int32(l.Flags), int32(0), int64(l.Calls), int64(l.BytesIn), int64(l.BytesOut), int64(l.Micros), [16]byte(usage.Boot), int64(usage.Seq)}, nil
		}))
		if err != nil || n != lines {
			b.Fatalf("COPY took %d lines: %v", n, err)
		}
		copied = append(copied, time.Since(begin))
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
	b.ReportMetric(0, "ns/op")
}
