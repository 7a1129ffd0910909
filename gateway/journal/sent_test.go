package journal

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tollgate/model"
)

// known answers as the intake does: up to where a boot's batches are in without a gap.
func (s *sink) known(_ context.Context, boots []model.BootID) (map[model.BootID]uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[model.BootID]uint64{}
	for _, b := range boots {
		for n := uint64(1); s.batches[b][n] != nil; n++ {
			out[b] = n
		}
	}
	return out, nil
}

// restore puts the sink back to where it was when of each boot so many batches were in.
func (s *sink) restore(upTo map[model.BootID]uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = 0
	for b, of := range s.batches {
		for n, p := range of {
			if n > upTo[b] {
				delete(of, n)
				continue
			}
			d, err := model.DecodeBatch(p)
			if err != nil {
				s.tb.Fatal(err)
			}
			s.calls += d.Calls()
		}
		s.final[b] = false
	}
}

func (s *sink) position() map[model.BootID]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[model.BootID]uint64{}
	for b, of := range s.batches {
		out[b] = uint64(len(of))
	}
	return out
}

// A database that is restored from a backup gets again what it took since, of boots that
// run and of those that ended, as often as it is restored.
func TestRewind(t *testing.T) {
	s := newSink(t)
	o := Options{Dir: t.TempDir(), Shards: 2, SealEvery: never, SegmentBytes: minSegment, Ship: s.ship, Known: s.known, KeepBatches: 1 << 20, RewindEvery: never}
	seal := func(j *Journal, n int) {
		t.Helper()
		appendN(t, j, n)
		if err := j.seal(false); err != nil {
			t.Fatal(err)
		}
		for tick := time.NewTicker(time.Millisecond); j.ledger.waiting(); {
			select {
			case <-tick.C:
			case <-t.Context().Done():
			}
		}
	}
	j := open(t, o)
	seal(j, 10)
	seal(j, 20)
	backup := s.position()
	seal(j, 30)
	if err := j.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	j = open(t, o)
	seal(j, 40)
	if s.calls != 100 {
		t.Fatalf("%d calls were handed in, want 100", s.calls)
	}
	for range 2 { // restored twice from the same backup
		s.restore(backup)
		if s.calls != 30 {
			t.Fatalf("the backup has %d calls, want 30", s.calls)
		}
		if err := j.rewind(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s.calls != 100 {
			t.Errorf("%d calls are in after the rewind, want 100", s.calls)
		}
		if err := j.rewind(t.Context()); err != nil { // nothing is missing now
			t.Fatal(err)
		}
	}
	seal(j, 5)
	if s.calls != 105 {
		t.Errorf("%d calls are in, want 105", s.calls)
	}
	// A line that fails ends it; the next time it goes on.
	s.restore(nil)
	broken := fmt.Errorf("no line")
	s.fail = func(b *model.Batch) error {
		if b.Seq == 2 {
			return broken
		}
		return nil
	}
	if err := j.rewind(t.Context()); err == nil {
		t.Error("a batch did not get through, and nobody says so")
	}
	s.fail = nil
	if err := j.rewind(t.Context()); err != nil || s.calls != 105 {
		t.Errorf("%d calls are in, want 105; %v", s.calls, err)
	}
	// One that is refused leaves a gap for good, and is not sent for ever.
	s.restore(backup)
	refused := 0
	s.fail = func(b *model.Batch) error {
		if b.Seq == 3 && b.Boot != j.boot {
			refused++
			return model.Errorf(model.Denied, "not any more")
		}
		return nil
	}
	s.gaps = true
	for range 3 {
		if err := j.rewind(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if refused != 1 {
		t.Errorf("a batch that is refused was handed in %d times", refused)
	}
}

// What is kept is bounded in bytes and in age, and nothing that is torn is handed in.
func TestSentIsBounded(t *testing.T) {
	dir := t.TempDir()
	clock := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	now := func() time.Time { return clock }
	boot := model.BootID{1}
	batch := func(seq uint64) []byte {
		return (&model.Batch{Boot: boot, Seq: seq, Lines: make([]model.UsageLine, 10)}).Encode()
	}
	size := int64(len(batch(1)) + 4)
	log := slog.New(slog.DiscardHandler)
	s := openSent(dir, 10*size, log, now)
	held := func(s *sent) (out []uint64) {
		_ = s.each(boot, 0, func(seq uint64, content []byte) error {
			if _, err := model.DecodeBatch(content); err != nil {
				t.Error(err)
			}
			out = append(out, seq)
			return nil
		})
		return out
	}
	for seq := range uint64(30) {
		s.put(boot, seq+1, batch(seq+1))
		clock = clock.Add(20 * time.Minute) // three batches an hour
	}
	if got := held(s); len(got) < 6 || len(got) > 10 || got[len(got)-1] != 30 || s.size > 10*size {
		t.Errorf("%d of 30 batches are kept in %d bytes, where there is room for 10: %v", len(got), s.size, got)
	}
	if high := s.highest()[boot]; high != 30 {
		t.Errorf("the highest is %d", high)
	}
	s.closeFile()
	last := filepath.Join(dir, sentDir, s.files[len(s.files)-1].name)
	if err := os.Truncate(last, s.files[len(s.files)-1].size-7); err != nil {
		t.Fatal(err)
	}
	s = openSent(dir, 10*size, log, now)
	if high := s.highest()[boot]; high != 29 {
		t.Errorf("the last is torn, and the highest is %d", high)
	}
	s.put(boot, 30, batch(30)) // it was not acknowledged, and comes again
	if got := held(s); got[len(got)-1] != 30 || got[len(got)-2] != 29 {
		t.Errorf("kept are %v", got)
	}
	clock = clock.Add(sentFor + 2*time.Hour)
	s.put(boot, 31, batch(31))
	if got := held(s); len(got) != 1 || got[0] != 31 {
		t.Errorf("a week later %v are kept", got)
	}
	s.makeRoom()
	if got, high := held(s), s.highest(); len(got) != 0 || len(high) != 0 || s.size != 0 {
		t.Errorf("after room was made %v are kept, %v", got, high)
	}
	s.put(boot, 32, batch(32))
	if got := held(s); len(got) != 1 {
		t.Errorf("then %v", got)
	}
	none := openSent(t.TempDir(), 0, log, now)
	none.put(boot, 1, batch(1))
	if len(none.highest()) != 0 {
		t.Error("something is kept where nothing is to be")
	}
}
