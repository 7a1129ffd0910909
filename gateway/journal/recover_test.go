package journal

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/model"
)

// lockedBuffer lets goroutines log into one buffer.
type lockedBuffer struct {
	mu sync.Mutex
	b  *bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func logTo(b *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(&lockedBuffer{b: b}, nil))
}

func TestUnsealedRecordsAreRecovered(t *testing.T) {
	j := open(t, Options{SealEvery: never, SyncEvery: never, Shards: 3, SegmentBytes: headerSize + 128*slotSize})
	appendN(t, j, 1000)
	dir := snapshot(t, j.dir)

	s := newSink(t)
	again := open(t, Options{Dir: dir, Ship: s.ship, SealEvery: never})
	s.waitFor("the old boot's end", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.final[j.Boot()] })
	if s.total() != 1000 || again.Stats().Recovered != 1000 {
		t.Errorf("%d calls, recovered %d, want 1000", s.total(), again.Stats().Recovered)
	}
	if err := again.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b := boots(t, dir); len(b) != 0 {
		t.Errorf("left on disk: %v", b)
	}
}

// A start that dies at any point, with receipts lost on the way, is followed by
// one that hands in the same bytes under the same names, and nothing twice.
func TestRecoveryCanDieAnywhere(t *testing.T) {
	j := open(t, Options{SealEvery: never, SyncEvery: never, Shards: 2})
	sl := j.sealer
	var want uint64
	for range 3 {
		appendN(t, j, 100)
		want += 100
		if err := sl.seal(false); err != nil {
			t.Fatal(err)
		}
	}
	appendN(t, j, 50) // never sealed by the boot itself
	want += 50

	s := newSink(t)
	var dirs []string
	dirs = append(dirs, snapshot(t, j.dir))
	for attempt := 0; !s.final[j.Boot()] || attempt < 12; attempt++ {
		dir := dirs[len(dirs)-1]
		n := 0
		lost := make(chan struct{})
		s.mu.Lock()
		s.lose = func(*model.Batch) error {
			if n++; n == 1+attempt%2 { // taken, but the receipt never arrives
				close(lost)
			}
			if n >= 1+attempt%2 {
				return errDown
			}
			return nil
		}
		s.mu.Unlock()
		again := open(t, Options{Dir: dir, Ship: s.ship, SealEvery: never})
		select {
		case <-lost:
		case <-again.shippedAll():
		}
		if err := again.Close(stopped()); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, snapshot(t, dir))
		if attempt > 40 {
			t.Fatal("no end of it")
		}
	}
	// Every state ever on disk, from the first, gives nothing new.
	s.lose = nil
	for _, dir := range dirs {
		again := open(t, Options{Dir: dir, Ship: s.ship, SealEvery: never})
		if err := again.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if s.total() != want {
		t.Errorf("%d calls, want %d", s.total(), want)
	}
}

// shippedAll is closed once nothing waits.
func (j *Journal) shippedAll() chan struct{} {
	c := make(chan struct{})
	go func() {
		defer close(c)
		for j.nextLedger() != nil {
			select {
			case <-j.shipped:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	return c
}

func TestTornTail(t *testing.T) {
	j := open(t, Options{SealEvery: never, SyncEvery: never, Shards: 1})
	appendN(t, j, 100)
	for _, torn := range []int{1, 8, 30, 59, 63} {
		t.Run(fmt.Sprint(torn), func(t *testing.T) {
			dir := snapshot(t, j.dir)
			edit(t, segmentsOf(t, dir)[0].path, func(p []byte) []byte {
				clear(p[headerSize+99*slotSize+torn : headerSize+100*slotSize])
				return p
			})
			expectRecovered(t, dir, 99, 0)
		})
	}
	t.Run("file cut", func(t *testing.T) {
		dir := snapshot(t, j.dir)
		edit(t, segmentsOf(t, dir)[0].path, func(p []byte) []byte { return p[:headerSize+70*slotSize+13] })
		expectRecovered(t, dir, 70, 0)
	})
	t.Run("header lost", func(t *testing.T) {
		dir := snapshot(t, j.dir)
		edit(t, segmentsOf(t, dir)[0].path, func(p []byte) []byte { clear(p[:headerSize]); return p })
		expectRecovered(t, dir, 100, 0)
	})
}

func TestDamageInTheMiddle(t *testing.T) {
	j := open(t, Options{SealEvery: never, SyncEvery: never, Shards: 1, SegmentBytes: headerSize + 64*slotSize})
	appendN(t, j, 200)
	t.Run("one bit", func(t *testing.T) {
		dir := snapshot(t, j.dir)
		edit(t, segmentsOf(t, dir)[0].path, func(p []byte) []byte { p[headerSize+10*slotSize+20] ^= 4; return p })
		expectRecovered(t, dir, 199, 1)
	})
	t.Run("a page of zeros", func(t *testing.T) {
		dir := snapshot(t, j.dir)
		edit(t, segmentsOf(t, dir)[1].path, func(p []byte) []byte { clear(p[headerSize+3*slotSize : headerSize+9*slotSize]); return p })
		expectRecovered(t, dir, 194, 6)
	})
	t.Run("a slot in another's place", func(t *testing.T) {
		dir := snapshot(t, j.dir)
		edit(t, segmentsOf(t, dir)[0].path, func(p []byte) []byte {
			copy(p[headerSize+5*slotSize:headerSize+6*slotSize], p[headerSize+6*slotSize:])
			return p
		})
		expectRecovered(t, dir, 199, 1)
	})
	t.Run("a segment twice", func(t *testing.T) {
		dir := snapshot(t, j.dir)
		files := segmentsOf(t, dir)
		p, err := os.ReadFile(files[0].path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(files[2].path, p, 0o600); err != nil {
			t.Fatal(err)
		}
		expectRecovered(t, dir, 200-64, 64)
	})
	t.Run("a segment gone", func(t *testing.T) {
		dir := snapshot(t, j.dir)
		if err := os.Remove(segmentsOf(t, dir)[1].path); err != nil {
			t.Fatal(err)
		}
		expectRecovered(t, dir, 200-64, 64)
	})
}

func edit(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	p, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(p), 0o600); err != nil {
		t.Fatal(err)
	}
}

// expectRecovered opens a directory and says how many calls it hands in, and how
// many it says are damaged, with the files kept if there are any.
func expectRecovered(t *testing.T, dir string, calls, damaged uint64) {
	t.Helper()
	boot := boots(t, dir)[0]
	var said bytes.Buffer
	s := newSink(t)
	j := open(t, Options{Dir: dir, Ship: s.ship, SealEvery: never, Log: logTo(&said)})
	if err := j.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.total() != calls || j.Stats().Damaged != damaged {
		t.Errorf("%d calls, %d damaged; want %d and %d", s.total(), j.Stats().Damaged, calls, damaged)
	}
	kept, err := segmentFiles(filepath.Join(dir, quarantineDir, boot.String()))
	if err != nil || len(kept) > 0 != (damaged > 0) {
		t.Errorf("kept for inspection: %v, %v", kept, err)
	}
	if strings.Contains(said.String(), "are damaged") != (damaged > 0) {
		t.Errorf("log: %s", said.String())
	}
}

func TestDamagedLedger(t *testing.T) {
	j := open(t, Options{SealEvery: never, SyncEvery: never, Shards: 2})
	sl := j.sealer
	for range 5 {
		appendN(t, j, 10)
		if err := sl.seal(false); err != nil {
			t.Fatal(err)
		}
	}
	appendN(t, j, 10)
	clean, err := os.ReadFile(filepath.Join(snapshot(t, j.dir), j.Boot().String(), ledgerName))
	if err != nil {
		t.Fatal(err)
	}
	reference := newSink(t) // took every batch before the damage
	first := open(t, Options{Dir: snapshot(t, j.dir), Ship: reference.ship, SealEvery: never})
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	entry := len(clean) / 5
	for at := 0; at < len(clean)-entry; at += 7 {
		dir := snapshot(t, j.dir)
		edit(t, filepath.Join(dir, j.Boot().String(), ledgerName), func(p []byte) []byte { p[at] ^= 0x55; return p })
		again := open(t, Options{Dir: dir, Ship: reference.ship, SealEvery: never})
		if err := again.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if reference.total() != 60 {
			t.Fatalf("damage at %d: %d calls, want 60", at, reference.total())
		}
	}
}

func TestDamagedBatchIsNotSent(t *testing.T) {
	j := open(t, Options{SealEvery: never, SyncEvery: never, Shards: 1})
	sl := j.sealer
	appendN(t, j, 10)
	if err := sl.seal(false); err != nil {
		t.Fatal(err)
	}
	appendN(t, j, 5)
	dir := snapshot(t, j.dir)
	edit(t, filepath.Join(dir, j.Boot().String(), blockName(1)), func(p []byte) []byte { p[70]++; return p })
	var seqs []uint64
	again := open(t, Options{Dir: dir, SealEvery: never, Ship: func(_ context.Context, p []byte) (r model.BatchReceipt, err error) {
		b, err := model.DecodeBatch(p)
		if err == nil && b.Boot == j.Boot() {
			seqs = append(seqs, b.Seq)
		}
		return r, err
	}})
	if err := again.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(seqs) != 1 || seqs[0] != 2 || again.Stats().SetAside != 1 {
		t.Errorf("handed in %v, set aside %d", seqs, again.Stats().SetAside)
	}
}

func TestLongCalls(t *testing.T) {
	s := newSink(t)
	j := open(t, Options{Ship: s.ship, SealEvery: never, Shards: 2, SegmentBytes: headerSize + 64*slotSize})
	step := func(do func(CallID, *Record) error, id CallID, bytes uint64) {
		t.Helper()
		r := sample(j.opt.Now())
		r.BytesIn, r.BytesOut = bytes, 0
		if err := do(id, &r); err != nil {
			t.Fatal(err)
		}
	}
	ended, orphan, fresh := j.Begin(0), j.Begin(0), j.Begin(1)
	step(j.Start, ended, 0)
	step(j.Start, orphan, 0)
	step(j.Start, fresh, 0)
	step(j.Progress, ended, 100)
	step(j.Progress, orphan, 5<<32)
	sl := j.sealer
	if err := sl.seal(false); err != nil {
		t.Fatal(err)
	}
	step(j.End, ended, 150)
	appendN(t, j, 500) // several segments behind the open calls
	if err := sl.seal(false); err != nil {
		t.Fatal(err)
	}
	// Taken by the sink is not yet acknowledged here, and an acknowledged batch is deleted: copied at
	// that moment the directory would be none that a kill can leave.
	for limit := time.After(30 * time.Second); j.Stats().BacklogBytes > 0; {
		select {
		case <-time.After(time.Millisecond):
		case <-limit:
			t.Fatal("30 s went by and what is sealed is not acknowledged")
		}
	}
	dir := snapshot(t, j.dir)

	check := func(s *sink) {
		t.Helper()
		var aborted, in uint64
		for _, l := range s.lines() {
			if l.Flags&model.FlagAborted != 0 {
				aborted += l.Calls
				in += l.BytesIn
			}
		}
		if s.total() != 503 || aborted != 2 || in != 5<<32 {
			t.Errorf("%d calls, %d aborted with %d bytes; want 503, 2, %d", s.total(), aborted, in, uint64(5)<<32)
		}
	}
	after := newSink(t)
	after.batches[j.Boot()], after.calls = clone(s.batches[j.Boot()]), s.total()
	again := open(t, Options{Dir: dir, Ship: after.ship, SealEvery: never})
	if err := again.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(after)
	// A clean end while calls are open does the same.
	if err := j.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(s)
}

func clone(m map[uint64][]byte) map[uint64][]byte {
	out := map[uint64][]byte{}
	for k, v := range m {
		out[k] = v
	}
	return out
}

// The segment with an open call's last step stays, whatever is acknowledged.
func TestOpenCallPinsItsSegment(t *testing.T) {
	s := newSink(t)
	j := open(t, Options{Ship: s.ship, SealEvery: time.Millisecond, Shards: 1, SegmentBytes: headerSize + 64*slotSize})
	r := sample(time.Now())
	id := j.Begin(0)
	if err := j.Start(id, &r); err != nil {
		t.Fatal(err)
	}
	appendN(t, j, 640)
	s.waitFor("640 calls", func() bool { return s.total() == 640 })
	found := false
	if err := Scan(j.dir, func(_ model.BootID, r Record) error { found = found || r.Call == id.Number(); return nil }); err != nil || !found {
		t.Errorf("the open call's record is gone (%v)", err)
	}
	if err := j.End(id, &r); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(t.Context()); err != nil || s.total() != 641 {
		t.Errorf("%d calls (%v), want 641", s.total(), err)
	}
}
