package journal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"tollgate/model"
)

const (
	shipTimeout = 30 * time.Second
	firstDelay  = 50 * time.Millisecond
	lastDelay   = 5 * time.Second
)

// shipLoop hands batches in, boot by boot and in order, until the journal closes
// and nothing is left, or until its context ends.
func (j *Journal) shipLoop(ctx context.Context) {
	defer close(j.shipped)
	delay := firstDelay
	for {
		l := j.nextLedger()
		if l == nil {
			select {
			case <-j.ship:
				continue
			case <-j.sealedAll:
				if j.nextLedger() == nil {
					return
				}
				continue
			case <-ctx.Done():
				return
			}
		}
		err := j.shipOne(ctx, l)
		if err == nil {
			delay = firstDelay
			continue
		}
		if ctx.Err() != nil {
			return
		}
		j.shipFailures.Add(1)
		j.log.Warn("journal: a batch could not be handed in; it is kept and tried again",
			"boot", l.boot, "error", err, "in", delay)
		select {
		case <-time.After(delay/2 + rand.N(delay)):
		case <-ctx.Done():
			return
		}
		delay = min(2*delay, lastDelay)
	}
}

// nextLedger is the oldest boot that has a batch to hand in.
func (j *Journal) nextLedger() *ledger {
	j.bootsMu.Lock()
	defer j.bootsMu.Unlock()
	for _, l := range j.boots {
		if l.waiting() {
			return l
		}
	}
	return nil
}

// shipOne hands in the oldest batch of a boot and records the receipt.
func (j *Journal) shipOne(ctx context.Context, l *ledger) error {
	seq, content, err := l.nextBatch()
	switch {
	case errors.Is(err, errDamagedBatch), errors.Is(err, os.ErrNotExist):
		return j.setAside(l, seq, content, err)
	case err != nil:
		return err
	}
	c, cancel := context.WithTimeout(ctx, shipTimeout)
	defer cancel()
	_, err = j.opt.Ship(c, content)
	switch model.KindOf(err) {
	case model.Conflict, model.Denied, model.Invalid:
		return j.setAside(l, seq, content, err)
	}
	if err != nil {
		return fmt.Errorf("batch %d: %w", seq, err)
	}
	j.sent.put(l.boot, seq, content) // before its file goes
	return j.acknowledge(l, seq)
}

func (j *Journal) acknowledge(l *ledger, seq uint64) error {
	if err := l.ack(seq); err != nil {
		return fmt.Errorf("batch %d was taken, but the receipt cannot be written down: %w", seq, err)
	}
	if l != j.ledger && l.done() {
		j.finish(l)
	}
	return nil
}

// finish lets go of a boot that is closed and wholly acknowledged.
func (j *Journal) finish(l *ledger) {
	j.bootsMu.Lock()
	for i := range j.boots {
		if j.boots[i] == l {
			j.boots = append(j.boots[:i:i], j.boots[i+1:]...)
			break
		}
	}
	j.bootsMu.Unlock()
	if err := l.close(); err != nil {
		j.log.Warn("journal: ledger not closed", "boot", l.boot, "error", err)
	}
	j.archive.finish(l.dir)
	j.log.Info("journal: boot closed, everything handed in", "boot", l.boot)
}

// setAside keeps a batch that can never be taken, with the records it came from,
// for a person to look at, and lets the following ones pass.
func (j *Journal) setAside(l *ledger, seq uint64, content []byte, why error) error {
	dir := filepath.Join(j.dir, quarantineDir, l.boot.String())
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if content != nil {
		if err := writeDurable(filepath.Join(dir, blockName(seq)), content); err != nil {
			return err
		}
	}
	if err := j.quarantine(l.dir); err != nil {
		return err
	}
	j.setAsideN.Add(1)
	j.log.Error("journal: a batch was set aside and is not billed; its bytes and records are kept for inspection",
		"boot", l.boot, "seq", seq, "bytes", len(content), "why", why, "dir", dir)
	return j.acknowledge(l, seq)
}

func (j *Journal) wakeShipper() {
	select {
	case j.ship <- struct{}{}:
	default:
	}
}
