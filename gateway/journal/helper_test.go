package journal

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"tollgate/model"
)

const never = 1000 * time.Hour

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
	tb.Cleanup(func() { _ = j.Close(stopped()) })
	return j
}

// stopped is a context that has ended: Close with it hands nothing more in.
func stopped() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func sample(at time.Time) Record {
	return Record{
		Time: at.UnixMicro(), Tenant: 1, Stage: 2, Method: 3, Status: 200, Flags: uint8(model.FlagBillable), Subscription: 4,
		Key: 5, Terms: 6, BytesIn: 312, BytesOut: 9001, Duration: 1234,
	}
}

func appendN(tb testing.TB, j *Journal, n int) {
	tb.Helper()
	r := sample(j.opt.Now())
	for i := range n {
		r.Stage = uint32(i % 7)
		if err := j.Append(j.Begin(uint32(i)), &r); err != nil {
			tb.Fatal(err)
		}
	}
}

// sink takes batches in as the intake does: once per name, and a name with other
// content is a failure of the test.
type sink struct {
	tb      testing.TB
	mu      sync.Mutex
	batches map[model.BootID]map[uint64][]byte
	final   map[model.BootID]bool
	calls   uint64
	fail    func(b *model.Batch) error // before (taken false) each hand-in
	lose    func(b *model.Batch) error // after it was taken: the receipt is lost
	gaps    bool                       // batches may be missing
	changed chan struct{}
}

func newSink(tb testing.TB) *sink {
	return &sink{tb: tb, batches: map[model.BootID]map[uint64][]byte{}, final: map[model.BootID]bool{}, changed: make(chan struct{}, 1)}
}

func (s *sink) ship(_ context.Context, p []byte) (r model.BatchReceipt, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() {
		select {
		case s.changed <- struct{}{}:
		default:
		}
	}()
	b, err := model.DecodeBatch(p)
	if err != nil {
		s.tb.Errorf("a batch that is none: %v", err)
		return r, err
	}
	if s.fail != nil {
		if err := s.fail(b); err != nil {
			return r, err
		}
	}
	of := s.batches[b.Boot]
	if of == nil {
		of = map[uint64][]byte{}
		s.batches[b.Boot] = of
	}
	if old, ok := of[b.Seq]; ok {
		if string(old) != string(p) {
			s.tb.Errorf("batch %s/%d came with two contents", b.Boot, b.Seq)
		}
		return model.BatchReceipt{Duplicate: true}, nil
	}
	if b.Seq != uint64(len(of))+1 && !s.gaps {
		s.tb.Errorf("batch %s/%d came after %d others", b.Boot, b.Seq, len(of))
	}
	if s.final[b.Boot] {
		s.tb.Errorf("batch %s/%d came after the final one", b.Boot, b.Seq)
	}
	of[b.Seq] = p
	s.final[b.Boot] = b.Final
	s.calls += b.Calls()
	if s.lose != nil {
		return r, s.lose(b)
	}
	return r, nil
}

func (s *sink) total() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// lines gives all usage lines taken.
func (s *sink) lines() (out []model.UsageLine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, of := range s.batches {
		for seq := uint64(1); seq <= uint64(len(of)); seq++ {
			b, err := model.DecodeBatch(of[seq])
			if err != nil {
				s.tb.Fatal(err)
			}
			out = append(out, b.Lines...)
		}
	}
	return out
}

// waitFor waits until the sink satisfies a condition.
func (s *sink) waitFor(what string, ok func() bool) {
	s.tb.Helper()
	limit := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-s.changed:
		case <-limit:
			s.tb.Fatalf("30 s went by without: %s", what)
		}
	}
}

var errDown = errors.New("the intake is down")

// snapshot copies a journal directory as a kill -9 would leave it.
func snapshot(tb testing.TB, dir string) string {
	tb.Helper()
	to := tb.TempDir()
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		content, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), content, 0o600)
	})
	if err != nil {
		tb.Fatal(err)
	}
	return to
}

// boots lists the boots that have a directory.
func boots(tb testing.TB, dir string) []model.BootID {
	tb.Helper()
	b, err := bootDirs(dir)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// segmentsOf lists the segment files of the only boot in a directory.
func segmentsOf(tb testing.TB, dir string) []segmentFile {
	tb.Helper()
	b := boots(tb, dir)
	if len(b) != 1 {
		tb.Fatalf("%d boots in %s, want 1", len(b), dir)
	}
	files, err := segmentFiles(filepath.Join(dir, b[0].String()))
	if err != nil || len(files) == 0 {
		tb.Fatalf("segments: %v, %v", files, err)
	}
	return files
}
