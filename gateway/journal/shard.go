package journal

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/model"
)

// ErrClosed answers an append to a journal that is closed or closing.
var ErrClosed = errors.New("journal: closed")

// retryCreate keeps a full disk from being asked anew by every call.
const retryCreate = 100 * time.Millisecond

// shard is a mutex and the segment its calls go to. Everything below mu is
// guarded by it.
type shard struct {
	next atomic.Uint64 // last call number given out
	low  atomic.Bool   // the end is near and there is no next segment
	_    [52]byte      // Begin must not contend with mu

	mu      sync.Mutex
	pos     uint64 // next position to write
	prepAt  uint64 // ask for the next segment here; at the segment's end once asked
	floor   int64  // no record may be earlier: a watermark was promised
	seed    uint32
	closed  bool
	cur     *segment
	failed  time.Time // when a segment could last not be had
	history []*segment

	prepMu sync.Mutex // creation of segments; taken after mu, never before it
	ready  atomic.Pointer[segment]
	number uint32 // of the last segment created; guarded by prepMu

	left    []*segment // sealed, unmapped, not yet acknowledged; only the sealer uses it
	durable uint64     // on disk for certain up to here; only the sync goroutine uses it
	index   int
	journal *Journal
	_       [64]byte
}

// append writes one record, or two if its byte counts need an ext record.
func (s *shard) append(call uint64, k Kind, r *Record) error {
	if r.BytesIn > math.MaxUint32 || r.BytesOut > math.MaxUint32 {
		return s.appendLarge(call, k, r)
	}
	s.mu.Lock()
	if s.pos >= s.prepAt {
		if err := s.advance(); err != nil {
			s.mu.Unlock()
			return err
		}
	}
	putSlot(s.cur.slot(s.pos), s.seed, s.pos, call, max(r.Time, s.floor), k, r)
	s.pos++
	s.mu.Unlock()
	return nil
}

// appendLarge writes a record and its ext record, or neither: no cut and no
// other record comes between them.
func (s *shard) appendLarge(call uint64, k Kind, r *Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pos >= s.prepAt {
		if err := s.advance(); err != nil {
			return err
		}
	}
	if s.pos+1 == s.cur.end() {
		if _, err := s.prepare(); err != nil {
			return errNoRoom
		}
	}
	at := max(r.Time, s.floor)
	putSlot(s.cur.slot(s.pos), s.seed, s.pos, call, at, k, r)
	s.pos++
	if s.pos >= s.prepAt {
		if err := s.advance(); err != nil {
			return err
		}
	}
	putExt(s.cur.slot(s.pos), s.seed, s.pos, call, at, r)
	s.pos++
	return nil
}

// advance is the slow path of append: ask for the next segment half way through
// this one, and move on to it at the end. Called with mu held.
func (s *shard) advance() error {
	if s.closed {
		return ErrClosed
	}
	if s.pos < s.cur.near() {
		s.prepAt = s.cur.near()
		s.journal.wakePreparer()
		return nil
	}
	if s.pos < s.cur.end() {
		s.prepAt = s.cur.end()
		if s.ready.Load() == nil {
			s.low.Store(true)
			s.journal.wakePreparer()
		}
		return nil
	}
	if s.ready.Load() == nil && time.Since(s.failed) < retryCreate {
		return errNoRoom
	}
	next, err := s.prepare()
	if err != nil {
		s.failed = time.Now()
		s.journal.log.Error("journal: no room for the next segment; calls are refused until there is",
			"shard", s.index, "error", err, "dir", s.journal.dir)
		return errNoRoom
	}
	s.ready.Store(nil)
	s.history = append(s.history, s.cur)
	s.enter(next)
	return nil
}

var errNoRoom = errors.New("journal: the disk has no room for another record")

// enter makes a segment the current one. Called with mu held.
func (s *shard) enter(g *segment) {
	s.cur = g
	s.prepAt = g.base + g.slots/2
	s.low.Store(false)
}

// prepare returns the segment to follow the current one, creating it if there is
// none; it stays in ready until advance takes it.
func (s *shard) prepare() (*segment, error) {
	s.prepMu.Lock()
	defer s.prepMu.Unlock()
	if g := s.ready.Load(); g != nil {
		return g, nil
	}
	n := s.number + 1
	g, err := createSegment(filepath.Join(s.journal.bootDir, segmentName(s.index, n)), s.journal.boot, s.index, n, s.journal.segmentBytes)
	if err != nil {
		return nil, err
	}
	s.number = n
	s.ready.Store(g)
	s.low.Store(false)
	return g, nil
}

// wantsNext reports that the current segment is past its middle and nothing is ready.
func (s *shard) wantsNext() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.closed && s.prepAt > s.cur.base+s.cur.slots/2 && s.ready.Load() == nil
}

// cut promises that no later record is earlier than the watermark, and says up
// to which position records precede the promise.
// The segments are those that hold positions from one on.
func (s *shard) cut(watermark int64, from uint64) (pos uint64, segs []*segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.floor = max(s.floor, watermark)
	for _, g := range s.history {
		if g.end() > from {
			segs = append(segs, g)
		}
	}
	return s.pos, append(segs, s.cur)
}

// leave takes the full segments out that are sealed to their end.
func (s *shard) leave(sealed uint64) []*segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for n < len(s.history) && s.history[n].end() <= sealed {
		n++
	}
	out := s.history[:n:n]
	s.history = s.history[n:]
	return out
}

// position is how many records were appended.
func (s *shard) position() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pos
}

// close refuses all later records.
func (s *shard) close() {
	s.mu.Lock()
	s.closed = true
	s.prepAt = 0
	s.mu.Unlock()
}

// room is the number of records that fit without asking the disk for more.
func (s *shard) room() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.cur.end() - s.pos
	if g := s.ready.Load(); g != nil {
		n += g.slots
	}
	return n
}

func newShard(j *Journal, index int, boot model.BootID) (*shard, error) {
	s := &shard{index: index, journal: j, seed: shardSeed(boot, index)}
	g, err := createSegment(filepath.Join(j.bootDir, segmentName(index, 0)), boot, index, 0, j.segmentBytes)
	if err != nil {
		return nil, fmt.Errorf("journal: first segment of shard %d: %w", index, err)
	}
	s.enter(g)
	return s, nil
}
