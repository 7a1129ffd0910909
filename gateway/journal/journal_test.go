package journal

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tollgate/model"
)

func TestEveryCallIsInOneBatch(t *testing.T) {
	s := newSink(t)
	j := open(t, Options{Ship: s.ship, SealEvery: time.Millisecond, SegmentBytes: 64 << 10, Shards: 3})
	const workers, each = 8, 5000
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			r := sample(time.Now())
			for i := range each {
				r.Method = uint32(i % 11)
				if err := j.Append(j.Begin(uint32(w)), &r); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := j.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.total(); got != workers*each {
		t.Errorf("%d calls handed in, %d appended", got, workers*each)
	}
	var in, micros uint64
	for _, l := range s.lines() {
		in += l.BytesIn
		micros += l.Micros
	}
	if in != workers*each*312 || micros != workers*each*1234 {
		t.Errorf("sums: %d bytes in, %d µs", in, micros)
	}
	if !s.final[j.Boot()] {
		t.Error("the boot was not closed")
	}
	if b := boots(t, j.dir); len(b) != 0 {
		t.Errorf("left on disk after everything was acknowledged: %v", b)
	}
	if err := j.Append(j.Begin(0), &Record{}); err != ErrClosed {
		t.Errorf("append after Close: %v", err)
	}
}

func TestCallIDs(t *testing.T) {
	j := open(t, Options{Shards: 2})
	seen := map[CallID]bool{}
	for i := range uint32(1000) {
		id := j.Begin(i % 5)
		if seen[id] {
			t.Fatalf("%s twice", id)
		}
		seen[id] = true
		if s := id.String(); len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
			t.Fatalf("form %q", s)
		}
		if IDOf(j.Boot(), &Record{Call: id.Number()}) != id {
			t.Fatal("a record does not name its call")
		}
	}
	var alien CallID
	alien[8] = 77
	if j.Append(alien, &Record{}) == nil {
		t.Error("a call of no shard was accepted")
	}
}

func TestBytesBeyond32Bits(t *testing.T) {
	s := newSink(t)
	j := open(t, Options{Ship: s.ship, SealEvery: never, SegmentBytes: headerSize + 64*slotSize, Shards: 1})
	var in, out uint64
	for i := range 200 { // over several segments, the pair also across their border
		r := sample(time.Now())
		r.BytesIn, r.BytesOut = uint64(i)<<28, math.MaxUint32+uint64(i%2)
		in, out = in+r.BytesIn, out+r.BytesOut
		if err := j.Append(j.Begin(0), &r); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	var gotIn, gotOut uint64
	for _, l := range s.lines() {
		gotIn, gotOut = gotIn+l.BytesIn, gotOut+l.BytesOut
	}
	if gotIn != in || gotOut != out || s.total() != 200 {
		t.Errorf("got %d calls, %d in, %d out; want 200, %d, %d", s.total(), gotIn, gotOut, in, out)
	}
}

// A promise that nothing earlier is to come holds whatever times callers give.
func TestWatermarkHolds(t *testing.T) {
	var clock atomic.Int64
	start := time.Date(2026, 3, 1, 11, 59, 59, 0, time.UTC)
	clock.Store(start.UnixMicro())
	j := open(t, Options{SealEvery: never, Shards: 2, Now: func() time.Time { return time.UnixMicro(clock.Load()).UTC() }})
	sl := j.sealer
	var promised int64
	for i, step := range []time.Duration{0, 2 * time.Second, -time.Hour, 3 * time.Hour, -24 * time.Hour} {
		now := start.Add(step)
		clock.Store(now.UnixMicro())
		r := sample(now.Add(-time.Second))
		if err := j.Append(j.Begin(uint32(i)), &r); err != nil {
			t.Fatal(err)
		}
		if err := sl.seal(false); err != nil {
			t.Fatal(err)
		}
		b := lastBatch(t, j)
		if b.First < promised {
			t.Errorf("step %d: a record at %d after the promise of %d", i, b.First, promised)
		}
		if b.Watermark < promised || b.Lines[0].Hour != b.First/microsPerHour {
			t.Errorf("step %d: watermark %d after %d, hour %d of %d", i, b.Watermark, promised, b.Lines[0].Hour, b.First)
		}
		promised = b.Watermark
	}
}

// lastBatch reads the newest batch from the sink-less disk or the sink's copy.
func lastBatch(t *testing.T, j *Journal) *model.Batch {
	t.Helper()
	l := j.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	p, err := os.ReadFile(filepath.Join(l.dir, blockName(l.sealedSeq)))
	if err != nil {
		t.Fatal(err)
	}
	b, err := model.DecodeBatch(p)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestIdleJournalSendsFewBatches(t *testing.T) {
	now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	j := open(t, Options{SealEvery: never, SyncEvery: never, Now: func() time.Time { return now }})
	sl := j.sealer
	seal := func() uint64 {
		t.Helper()
		if err := sl.seal(false); err != nil {
			t.Fatal(err)
		}
		return j.ledger.sealedSeq
	}
	for range 59 * 60 {
		now = now.Add(time.Second)
		seal()
	}
	if n := seal(); n != 0 {
		t.Errorf("%d batches of a journal without calls within an hour, want 0", n)
	}
	appendN(t, j, 3)
	seal()
	for range 30 {
		now = now.Add(time.Second)
		seal()
	}
	if n := seal(); n != 2 {
		t.Errorf("%d batches after calls ceased, want one with them and one with the watermark", n)
	}
	now = now.Add(time.Hour)
	if n := seal(); n != 3 {
		t.Errorf("%d batches after the hour ended, want 3", n)
	}
	if b := lastBatch(t, j); len(b.Lines) != 0 || b.Watermark != now.UnixMicro() {
		t.Errorf("empty batch: %d lines, watermark %d at %d", len(b.Lines), b.Watermark, now.UnixMicro())
	}
}

func TestLargeCutIsSplit(t *testing.T) {
	s := newSink(t)
	j := open(t, Options{Ship: s.ship, SealEvery: never, SegmentBytes: 16 << 20})
	const n = model.MaxBatchLines + 7
	r := sample(time.Now())
	for i := range n {
		r.Key = uint32(i)
		if err := j.Append(j.Begin(uint32(i)), &r); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.total() != n || len(s.lines()) != n || len(s.batches[j.Boot()]) < 2 {
		t.Errorf("%d calls in %d lines in %d batches", s.total(), len(s.lines()), len(s.batches[j.Boot()]))
	}
}

func TestOneProcessPerDirectory(t *testing.T) {
	j := open(t, Options{})
	_, err := Open(Options{Dir: j.dir})
	if err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("second Open: %v", err)
	}
}

func TestBootIDIsNotReused(t *testing.T) {
	dir := t.TempDir()
	j := open(t, Options{Dir: dir, SealEvery: never})
	appendN(t, j, 1)
	if err := j.Close(stopped()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: dir, Boot: j.Boot()}); err == nil {
		t.Error("the same boot id was accepted twice")
	}
}

func TestAcknowledgedSegmentsAreKeptForAudit(t *testing.T) {
	s := newSink(t)
	const segment = headerSize + 64*slotSize
	j := open(t, Options{Ship: s.ship, SealEvery: never, SegmentBytes: segment, Shards: 1, Keep: 3 * segment})
	appendN(t, j, 64*10+1)
	if err := j.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(segmentsOf(t, j.dir)); n != 3 {
		t.Errorf("%d segments kept, want 3", n)
	}
	again := open(t, Options{Dir: j.dir, Ship: s.ship})
	if err := again.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.total() != 64*10+1 || len(boots(t, j.dir)) != 0 {
		t.Errorf("after a start that keeps nothing: %d calls, boots %v", s.total(), boots(t, j.dir))
	}
}

func TestRefusedBatchIsSetAside(t *testing.T) {
	var said bytes.Buffer
	s := newSink(t)
	s.fail = func(*model.Batch) error { return model.Errorf(model.Conflict, "other content under this name") }
	j := open(t, Options{Log: logTo(&said), SealEvery: never, Ship: s.ship})
	appendN(t, j, 10)
	if err := j.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept, err := filepath.Glob(filepath.Join(j.dir, quarantineDir, j.Boot().String(), "*"))
	if err != nil || len(kept) < 2 {
		t.Errorf("set aside: %v, %v; want the batch and its segments", kept, err)
	}
	if !strings.Contains(said.String(), "set aside") || j.Stats().SetAside != 1 {
		t.Errorf("log: %s", said.String())
	}
}

func TestStats(t *testing.T) {
	s := newSink(t)
	s.fail = func(*model.Batch) error { return errDown }
	j := open(t, Options{Ship: s.ship, SealEvery: time.Millisecond})
	appendN(t, j, 100)
	s.waitFor("two attempts, and all that was appended to be sealed", func() bool { st := j.Stats(); return st.ShipFailures >= 2 && st.Sealed >= 100 })
	st := j.Stats()
	if st.Appended != 100 || st.Sealed != 100 || st.Acked != 0 || st.BacklogBytes == 0 || st.Oldest <= 0 || st.Headroom <= 0 {
		t.Errorf("while the intake is down: %+v", st)
	}
	s.mu.Lock()
	s.fail = nil
	s.mu.Unlock()
	s.waitFor("all calls", func() bool { return s.total() == 100 })
	if err := j.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := j.ledger; st.ackedN != 100 {
		t.Errorf("%d acknowledged, want 100", st.ackedN)
	}
}

// A failed sync proves that the file's pages may be lost: they go to a new file.
func TestSyncErrorRewritesTheSegment(t *testing.T) {
	s := newSink(t)
	j := open(t, Options{Ship: s.ship, SealEvery: never, SyncEvery: never, Shards: 1, SegmentBytes: headerSize + 64*slotSize})
	appendN(t, j, 100)
	before := inode(t, segmentsOf(t, j.dir)[0].path)
	sick := true
	j.syncData = func(f *os.File, m []byte) error {
		if sick {
			sick = false
			return unix.EIO
		}
		return syncData(f, m)
	}
	j.shards[0].sync()
	if now := inode(t, segmentsOf(t, j.dir)[0].path); now == before {
		t.Error("the segment is still the file whose sync failed")
	}
	appendN(t, j, 100)
	var n int
	if err := Scan(j.dir, func(model.BootID, Record) error { n++; return nil }); err != nil || n != 200 {
		t.Errorf("%d records on disk (%v), want 200", n, err)
	}
	if err := j.Close(t.Context()); err != nil || s.total() != 200 {
		t.Errorf("%d calls handed in (%v), want 200", s.total(), err)
	}
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return uint64(st.Ino)
}
