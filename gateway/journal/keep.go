package journal

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// prepareLoop creates segments ahead of need, so that an append waits for none.
func (j *Journal) prepareLoop() {
	defer j.wg.Done()
	retry := time.NewTicker(retryCreate)
	defer retry.Stop()
	var said time.Time
	for {
		select {
		case <-j.ctx.Done():
			return
		case <-j.prepare:
		case <-retry.C: // room may have been made; calls are refused until it is found
			if !j.Full() {
				continue
			}
		}
		for _, s := range j.shards {
			if !s.wantsNext() {
				continue
			}
			_, err := s.prepare()
			if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
				j.sent.makeRoom()
				_, err = s.prepare()
			}
			if err != nil && time.Since(said) > 10*time.Second {
				said = time.Now()
				j.log.Warn("journal: the next segment cannot be prepared; calls will be refused when the present one is full",
					"shard", s.index, "error", err, "left", s.room())
			}
		}
	}
}

// syncLoop bounds what a power cut can take, and leaves a heartbeat.
func (j *Journal) syncLoop() {
	defer j.wg.Done()
	tick := time.NewTicker(j.opt.SyncEvery)
	defer tick.Stop()
	var beat time.Time
	for {
		select {
		case <-j.ctx.Done():
			return
		case <-tick.C:
		}
		var appended uint64
		for _, s := range j.shards {
			was := s.durable
			appended += s.sync()
			s.ahead(s.durable - was)
		}
		if int64(appended-j.ledger.sealedRecords()) >= sealRecords {
			select {
			case j.sealNow <- struct{}{}:
			default:
			}
		}
		if now := j.opt.Now(); now.Sub(beat).Abs() >= time.Second {
			beat = now
			for _, s := range j.shards {
				s.beat(now.UnixMicro())
			}
			j.wakePreparer() // again, if the disk had no room the last time
		}
	}
}
