package journal

import (
	"errors"
	"fmt"
	"time"
)

const (
	sealRecords    = 50_000 // unsealed records that do not wait for the next tick
	watermarkEvery = 10 * time.Second
)

// sealer turns the live boot's records into batches. Its goroutine alone uses it,
// and Close after that has ended.
type sealer struct {
	j     *Journal
	tally *tally
	read  []uint64 // tallied up to here, by shard
	carry bool     // the tally holds lines that could not be committed
	last  time.Time
	quiet bool // the last seal held no calls: the watermark has travelled
	fed   joiner
	shard int
}

func newSealer(j *Journal) *sealer {
	s := &sealer{j: j, tally: newTally(), read: make([]uint64, len(j.shards)), last: j.opt.Now(), quiet: true}
	s.fed.emit = func(pos uint64, r *Record) {
		if s.tally.note(s.shard, pos, r) {
			s.tally.call(r)
		}
	}
	return s
}

// sealLoop seals on every tick, and at once when many records wait.
func (j *Journal) sealLoop() {
	defer j.wg.Done()
	tick := time.NewTicker(j.opt.SealEvery)
	defer tick.Stop()
	retry := time.NewTicker(watermarkEvery)
	defer retry.Stop()
	var said time.Time // when a failure was last told of
	failing := false
	for {
		select {
		case <-j.ctx.Done():
			return
		case <-tick.C:
		case <-j.sealNow:
			if failing {
				continue // the next tick is soon enough
			}
		case <-retry.C:
			j.recoverBoots()
			continue
		}
		err := j.seal(false)
		if failing = err != nil; failing && time.Since(said) > 10*time.Second {
			said = time.Now()
			j.log.Error("journal: records could not be sealed; they stay in their segments and are tried again",
				"error", err, "dir", j.bootDir, "free", diskFree(j.dir))
		}
		j.dropSegments()
		j.keepReserve()
	}
}

// seal seals, if need be in the room kept for it on a full disk.
func (j *Journal) seal(final bool) error {
	err := j.sealer.seal(final)
	if j.freeReserve(err) {
		err = j.sealer.seal(final)
	}
	return err
}

// seal cuts all shards and commits what lies before the cut. A final seal counts
// long calls still open as aborted. After an error the next seal holds it all.
func (s *sealer) seal(final bool) error {
	j, l := s.j, s.j.ledger
	j.releaseRetired()
	if !s.carry {
		s.tally.reset()
	}
	now := j.opt.Now()
	promised, sealed := l.position()
	cut := seal{final: final, watermark: max(now.UnixMicro(), promised)}
	for i, sh := range j.shards {
		if !s.carry {
			s.read[i] = endOf(sealed, i)
		}
		pos, segs := sh.cut(cut.watermark, s.read[i])
		cut.ends = append(cut.ends, pos)
		cut.records += pos - endOf(sealed, i)
		if err := s.readShard(i, pos, segs); err != nil {
			return err
		}
	}
	if final {
		s.tally.abandon(promised)
	}
	lines := s.tally.sorted()
	if cut.records == 0 && !final && !s.watermarkDue(now) {
		return nil
	}
	s.carry = true
	if err := l.commit(cut, lines, s.tally.first, s.tally.last); err != nil {
		return err
	}
	s.carry, s.last, s.quiet = false, now, len(lines) == 0
	j.wakeShipper()
	return nil
}

// watermarkDue says whether an empty batch is worth sending: once after calls
// ceased, and when an hour has ended, which only a watermark can prove.
func (s *sealer) watermarkDue(now time.Time) bool {
	if now.Sub(s.last) < watermarkEvery {
		return false
	}
	return !s.quiet || !now.Truncate(time.Hour).Equal(s.last.Truncate(time.Hour))
}

// readShard tallies a shard's records up to a position.
func (s *sealer) readShard(shard int, upTo uint64, segs []*segment) error {
	s.shard = shard
	for _, g := range segs {
		if s.read[shard] >= upTo {
			break
		}
		if err := s.readSegment(g, shard, min(upTo, g.end())); err != nil {
			return err
		}
	}
	s.fed.flush()
	if s.read[shard] != upTo {
		return fmt.Errorf("journal: shard %d ends at %d, not %d", shard, s.read[shard], upTo)
	}
	return nil
}

func (s *sealer) readSegment(g *segment, shard int, upTo uint64) error {
	g.use.Lock()
	defer g.use.Unlock()
	if g.mem == nil {
		return errors.New("journal: a segment was released before it was sealed")
	}
	from := s.read[shard]
	var r Record
	for pos := from; pos < upTo; pos++ {
		getSlot(g.slot(pos), &r)
		s.fed.add(pos, &r)
	}
	s.read[shard] = upTo
	g.forget(from, upTo)
	return nil
}

func endOf(ends []uint64, shard int) uint64 {
	if shard < len(ends) {
		return ends[shard]
	}
	return 0
}

// dropSegments unmaps what is sealed and lets go of the files of what is acknowledged.
func (j *Journal) dropSegments() {
	_, sealed := j.ledger.position()
	acked := j.ledger.acknowledged()
	for i, s := range j.shards {
		for _, g := range s.leave(endOf(sealed, i)) {
			if err := g.release(); err != nil {
				j.log.Warn("journal: segment not released", "segment", g.path, "error", err)
			}
			s.left = append(s.left, g)
		}
		free := min(endOf(acked, i), j.sealer.tally.pinned(i))
		for len(s.left) > 0 && s.left[0].end() <= free {
			g := s.left[0]
			s.left = s.left[1:]
			j.archive.add(g.path, int64(headerSize+g.slots*slotSize))
		}
	}
	j.archive.prune()
}
