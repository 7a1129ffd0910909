package journal

import (
	"errors"
	"fmt"
	"os"
)

// beat notes the time in the current segment's header.
func (s *shard) beat(at int64) {
	s.mu.Lock()
	if s.cur.mem != nil {
		s.cur.beat(at)
	}
	s.mu.Unlock()
}

// sync brings the records appended since the last sync to the disk and returns
// how many there are in all.
func (s *shard) sync() uint64 {
	s.mu.Lock()
	pos := s.pos
	if pos == s.durable {
		s.mu.Unlock()
		return pos
	}
	var dirty []*segment
	for _, g := range s.history {
		if g.end() > s.durable {
			dirty = append(dirty, g)
		}
	}
	dirty = append(dirty, s.cur)
	s.mu.Unlock()
	for _, g := range dirty {
		if err := g.sync(s.journal.syncData); err != nil {
			s.journal.log.Error("journal: the disk failed to take records; they are written again to a new file",
				"shard", s.index, "segment", g.path, "from", s.durable, "to", pos, "error", err)
			if err := s.rewrite(g, pos); err != nil {
				s.journal.log.Error("journal: rewriting failed; the records are in memory only and will be tried again",
					"shard", s.index, "segment", g.path, "error", err)
				return pos
			}
		}
	}
	s.durable = pos
	return pos
}

// mostAhead bounds the records that pages are readied for at once: half a million calls a
// second. What comes faster for a while would have many readied in vain.
const mostAhead = 1 << 13

// ahead readies the pages that the next records go to, for as many as came since the last
// sync. Else one call in 64 waits until the kernel has given it a page, at times until a
// transaction of the file system is over, and the calls of its shard wait behind it. Pages
// ready before they are needed would be written in vain, and taken away again, by the next
// sync: where few calls come, nothing is done.
func (s *shard) ahead(records uint64) {
	s.mu.Lock()
	g, from := s.cur, s.pos
	s.mu.Unlock()
	g.populate(from, min(from+min(records, mostAhead), g.end()))
}

// rewrite replaces a segment whose pages the disk refused: after a failed sync
// the kernel may count them clean, so a second sync of the same file proves
// nothing. The mapping still holds every record.
func (s *shard) rewrite(g *segment, upTo uint64) error {
	g.use.Lock() // the sealer must not unmap it meanwhile
	defer g.use.Unlock()
	if g.mem == nil {
		return nil // sealed: its batch is on disk
	}
	tmp := g.path + ".new"
	n, err := createSegment(tmp, s.journal.boot, s.index, g.number, int64(len(g.mem)))
	if err != nil {
		return err
	}
	used := headerSize + (min(upTo, g.end())-g.base)*slotSize
	copy(n.mem[headerSize:used], g.mem[headerSize:used])
	if err := s.journal.syncData(n.file, n.mem); err != nil {
		return errors.Join(fmt.Errorf("new file: %w", err), n.release(), os.Remove(tmp))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := &s.cur
	for i := range s.history {
		if s.history[i] == g {
			at = &s.history[i]
		}
	}
	if *at != g { // sealed meanwhile
		return errors.Join(n.release(), os.Remove(tmp))
	}
	// What was appended meanwhile, and from the rename on only the new file counts.
	copy(n.mem[used:], g.mem[used:])
	if err := os.Rename(tmp, g.path); err != nil {
		return errors.Join(err, n.release(), os.Remove(tmp))
	}
	n.path = g.path
	*at = n
	s.journal.retire(g)
	return nil
}
