package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// start makes the new boot's directory and first segments, recovers the boots
// before it and sets the background work going.
func (j *Journal) start() error {
	if err := j.makeBootDir(); err != nil {
		return err
	}
	if err := j.firstSegments(); err != nil {
		return err
	}
	l, err := openLedger(j.bootDir, j.boot)
	if err != nil {
		return err
	}
	j.ledger = l
	j.boots = append(j.boots, l)
	if err := syncDir(j.dir); err != nil {
		return err
	}
	j.keepReserve()
	j.recoverBoots()
	j.archive.prune()
	j.sealer = newSealer(j)

	j.ctx, j.cancel = context.WithCancel(context.Background())
	if j.opt.Known != nil && j.opt.Ship != nil && j.opt.KeepBatches > 0 {
		j.wg.Add(1)
		go j.rewindLoop()
	}
	j.wg.Add(3)
	go j.prepareLoop()
	go j.syncLoop()
	go j.sealLoop()
	var ctx context.Context
	ctx, j.stopShip = context.WithCancel(context.Background())
	if j.opt.Ship == nil {
		close(j.shipped)
	} else {
		go j.shipLoop(ctx)
	}
	return nil
}

// Close refuses further records, seals what there is as this boot's last batch
// and hands in what it can until ctx ends; the next Open hands in the rest.
func (j *Journal) Close(ctx context.Context) error {
	j.closeOnce.Do(func() { j.closeErr = j.close(ctx) })
	return j.closeErr
}

func (j *Journal) close(ctx context.Context) error {
	for _, s := range j.shards {
		s.close()
	}
	j.cancel()
	j.wg.Wait()
	for _, s := range j.shards {
		s.sync()
	}
	err := j.seal(true)
	if err != nil {
		err = fmt.Errorf("journal: the last records stay unsealed until the next start: %w", err)
	}
	j.dropSegments()
	close(j.sealedAll)
	select {
	case <-j.shipped:
	case <-ctx.Done():
	}
	j.stopShip()
	<-j.shipped
	err = errors.Join(err, j.unmap())
	if j.ledger.done() {
		j.finish(j.ledger)
	}
	return errors.Join(err, j.release())
}

// unmap lets go of all segments of this boot and deletes those never used.
func (j *Journal) unmap() error {
	j.releaseRetired()
	var err error
	for _, s := range j.shards {
		for _, g := range append(s.history, s.cur) {
			err = errors.Join(err, g.release())
		}
		if g := s.ready.Load(); g != nil {
			err = errors.Join(err, g.release(), os.Remove(g.path))
		}
	}
	return err
}

// release gives the directory back. After a start that failed it also removes
// what that had made.
func (j *Journal) release() error {
	var err error
	if j.sealer == nil {
		err = errors.Join(j.unmap(), os.RemoveAll(j.bootDir))
	}
	j.bootsMu.Lock()
	defer j.bootsMu.Unlock()
	for _, l := range j.boots {
		err = errors.Join(err, l.close())
	}
	return errors.Join(err, j.lock.Close())
}

// retire keeps a replaced segment's mapping until nobody can be reading it.
func (j *Journal) retire(g *segment) {
	j.retiredMu.Lock()
	j.retired = append(j.retired, g)
	j.retiredMu.Unlock()
}

func (j *Journal) releaseRetired() {
	j.retiredMu.Lock()
	defer j.retiredMu.Unlock()
	for _, g := range j.retired {
		if err := g.release(); err != nil {
			j.log.Warn("journal: replaced segment not released", "segment", g.path, "error", err)
		}
	}
	j.retired = nil
}

// Stats are a journal's figures, for metrics. Records are raw ones: a call of
// more than 4 GiB has two, a long call one for each step.
type Stats struct {
	Appended, Sealed, Acked uint64        // records of this boot
	BacklogBytes            int64         // sealed, not acknowledged, of all boots
	Oldest                  time.Duration // age of the oldest record not acknowledged; 0: none
	ShipFailures            uint64        // hand-ins that failed and were or will be repeated
	SetAside                uint64        // batches that can never be taken
	Recovered               uint64        // records of earlier boots found unsealed
	Damaged                 uint64        // records of earlier boots lost to damage on disk
	Headroom                int64
}

// Stats takes no lock that a call would wait for longer than for another call.
func (j *Journal) Stats() Stats {
	st := Stats{
		ShipFailures: j.shipFailures.Load(), SetAside: j.setAsideN.Load(),
		Recovered: j.recoveredN.Load(), Damaged: j.damagedN.Load(), Headroom: j.Headroom(),
	}
	for _, s := range j.shards {
		st.Appended += s.position()
	}
	var oldest int64
	older := func(at int64) {
		if at != 0 && (oldest == 0 || at < oldest) {
			oldest = at
		}
	}
	j.bootsMu.Lock()
	for _, l := range j.boots {
		size, at := l.backlog()
		st.BacklogBytes += size
		older(at)
	}
	j.bootsMu.Unlock()
	var watermark int64
	st.Sealed, st.Acked, watermark = j.ledger.counts()
	if st.Appended > st.Sealed {
		older(watermark)
	}
	if oldest != 0 {
		st.Oldest = max(0, j.opt.Now().Sub(time.UnixMicro(oldest)))
	}
	return st
}

// makeBootDir makes the directory of this boot, on a full disk in the room kept back for
// sealing.
func (j *Journal) makeBootDir() error {
	err := os.Mkdir(j.bootDir, 0o700)
	if errors.Is(err, syscall.ENOSPC) && os.Remove(j.reservePath()) == nil {
		err = os.Mkdir(j.bootDir, 0o700)
	}
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("journal: no room in %s for a directory: make room and start again: %w", j.dir, err)
	case err != nil:
		return fmt.Errorf("journal: boot id %s was used before or cannot be created: %w", j.boot, err)
	}
	return nil
}

// firstSegments makes the shards. On a disk too full for them it takes smaller
// segments, and at last the room kept back for sealing: only a node that runs can
// hand in what it holds and so free the disk.
func (j *Journal) firstSegments() error {
	const least = 256 << 10
	for {
		err := j.makeShards()
		if err == nil || !errors.Is(err, syscall.ENOSPC) {
			return err
		}
		for _, s := range j.shards {
			err = errors.Join(err, s.cur.release(), os.Remove(s.cur.path))
		}
		j.shards = nil
		switch {
		case j.segmentBytes/4 >= least:
			j.segmentBytes = j.segmentBytes / 4 / slotSize * slotSize
			j.log.Warn("journal: the disk is nearly full; taking smaller segments", "dir", j.dir, "bytes", j.segmentBytes, "free", diskFree(j.dir))
		case os.Remove(j.reservePath()) == nil:
		default:
			_ = os.Remove(j.bootDir)
			return fmt.Errorf("journal: no room in %s for %d segments of %d bytes (%d free): make room and start again: %w",
				j.dir, j.opt.Shards, j.segmentBytes, diskFree(j.dir), syscall.ENOSPC)
		}
	}
}

func (j *Journal) makeShards() error {
	for i := range j.opt.Shards {
		s, err := newShard(j, i, j.boot)
		if err != nil {
			return err
		}
		j.shards = append(j.shards, s)
	}
	return nil
}
