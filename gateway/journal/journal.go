package journal

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/model"
)

// Options says where a journal lives and who takes its batches.
type Options struct {
	Dir          string        // one process at a time; created if missing
	Boot         model.BootID  // zero: a new one. Never give the same one twice
	Shards       int           // 1 to 64; default: as many as CPUs, at most 8
	SegmentBytes int64         // default 64 MiB; a multiple of 64
	SealEvery    time.Duration // default 1 s
	SyncEvery    time.Duration // what a power cut may take; default 15 ms

	// Ship hands one encoded batch in. A Conflict, Denied or Invalid error is a
	// verdict on that batch, which is then set aside; after any other error the
	// same bytes come again. nil: batches wait on disk.
	Ship func(ctx context.Context, encoded []byte) (model.BatchReceipt, error)

	// Known says up to which batch the control plane has all of a boot's; boots that it
	// does not know are left out. Where it has less than it took, its database was
	// restored from a backup, and what is kept is handed in again. nil: that is not asked.
	Known       func(ctx context.Context, boots []model.BootID) (map[model.BootID]uint64, error)
	KeepBatches int64         // bytes of batches to keep for that, of the last 7 days
	RewindEvery time.Duration // how often it is asked; default a minute

	Keep int64            // bytes of acknowledged segments to leave on disk for audits
	Log  *slog.Logger     // default slog.Default()
	Now  func() time.Time // default time.Now
}

// Journal is the record of one boot, and the way out for those before it.
type Journal struct {
	opt          Options
	log          *slog.Logger
	dir, bootDir string
	boot         model.BootID
	segmentBytes int64
	shards       []*shard
	lock         *os.File
	syncData     func(*os.File, []byte) error

	ledger    *ledger
	sealer    *sealer
	archive   *archive
	sent      *sent
	rewound   map[model.BootID]uint64 // what the control plane had after it was handed in again; only rewind uses it
	recovered map[model.BootID]bool   // only Open and then the seal goroutine use it

	bootsMu sync.Mutex
	boots   []*ledger // those with something to hand in, oldest first, this one last

	prepare   chan struct{} // a shard wants its next segment
	sealNow   chan struct{} // many records wait
	ship      chan struct{} // a batch waits
	sealedAll chan struct{} // closed: no batch will be added
	shipped   chan struct{} // closed: the ship goroutine has ended
	ctx       context.Context
	cancel    context.CancelFunc
	stopShip  context.CancelFunc
	wg        sync.WaitGroup // all goroutines but the shipping one

	shipFailures, setAsideN, recoveredN, damagedN atomic.Uint64

	retiredMu sync.Mutex
	retired   []*segment

	closeOnce sync.Once
	closeErr  error
}

// Open takes the directory, brings the batches of earlier boots into shape to be
// handed in, and starts a new boot.
func Open(o Options) (*Journal, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("journal directory: %w", err)
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	j := &Journal{
		opt: o, log: o.Log, dir: o.Dir, boot: o.Boot, lock: lock, segmentBytes: o.SegmentBytes,
		bootDir:  filepath.Join(o.Dir, o.Boot.String()),
		syncData: syncData,
		prepare:  make(chan struct{}, 1), sealNow: make(chan struct{}, 1), ship: make(chan struct{}, 1),
		sealedAll: make(chan struct{}), shipped: make(chan struct{}),
		recovered: map[model.BootID]bool{},
		archive:   &archive{keep: o.Keep, log: o.Log, done: map[string]bool{}},
		sent:      openSent(o.Dir, o.KeepBatches, o.Log, o.Now),
		rewound:   map[model.BootID]uint64{},
	}
	if err := j.start(); err != nil {
		return nil, errors.Join(err, j.release())
	}
	return j, nil
}

func (o *Options) complete() error {
	if o.Dir == "" {
		return errors.New("journal: no directory given")
	}
	if o.Shards == 0 {
		o.Shards = min(8, runtime.GOMAXPROCS(0))
	}
	if o.Shards < 1 || o.Shards > 64 {
		return fmt.Errorf("journal: %d shards; give 1 to 64", o.Shards)
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = defaultSize
	}
	if o.SegmentBytes%slotSize != 0 || o.SegmentBytes < minSegment {
		return fmt.Errorf("journal: segments of %d bytes; give a multiple of %d, at least %d", o.SegmentBytes, slotSize, minSegment)
	}
	if o.SealEvery <= 0 {
		o.SealEvery = time.Second
	}
	if o.SyncEvery <= 0 {
		o.SyncEvery = 15 * time.Millisecond
	}
	if o.RewindEvery <= 0 {
		o.RewindEvery = time.Minute
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Boot == (model.BootID{}) {
		o.Boot = newBoot(o.Now())
	}
	return nil
}

// newBoot makes a UUIDv7.
func newBoot(now time.Time) (b model.BootID) {
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(now.UnixMilli()))
	copy(b[:6], ms[2:])
	b[6] = b[6]&0x0f | 0x70
	b[8] = b[8]&0x3f | 0x80
	return b
}

// Boot names this start of the process.
func (j *Journal) Boot() model.BootID { return j.boot }

// Begin gives a call its number at its start. Any number will do for shard; calls
// of one connection should give the same, different connections different ones.
func (j *Journal) Begin(shard uint32) CallID {
	i := shard % uint32(len(j.shards))
	n := j.shards[i].next.Add(1)
	return callID(j.boot, uint64(i)<<56|n)
}

// Append records a whole call. The answer's last byte may leave only after it
// returned nil; any error means that the call must not be served.
func (j *Journal) Append(id CallID, r *Record) error { return j.append(id, Call, r) }

// Start records, before its first byte leaves, that a long call is answered.
func (j *Journal) Start(id CallID, r *Record) error { return j.append(id, Start, r) }

// Progress records a long call's totals so far: what it is billed at if the node
// dies before its End.
func (j *Journal) Progress(id CallID, r *Record) error { return j.append(id, Progress, r) }

// End records a long call's totals, once, after Start.
func (j *Journal) End(id CallID, r *Record) error { return j.append(id, End, r) }

func (j *Journal) append(id CallID, k Kind, r *Record) error {
	n := id.Number()
	i := n >> 56
	if i >= uint64(len(j.shards)) {
		return fmt.Errorf("journal: call %s was not begun here", id)
	}
	return j.shards[i].append(n, k, r)
}

// Low says that there may be no room for the record of a call that is begun now:
// it must not be sent to an upstream.
func (j *Journal) Low(id CallID) bool {
	i := id.Number() >> 56
	return i < uint64(len(j.shards)) && j.shards[i].low.Load()
}

// Full says that calls are being refused for want of room.
func (j *Journal) Full() bool {
	for _, s := range j.shards {
		if s.low.Load() {
			return true
		}
	}
	return false
}

// Headroom is the number of bytes of records that can still be taken: room
// prepared in the tightest shard and what the file system has left.
func (j *Journal) Headroom() int64 {
	least := ^uint64(0)
	for _, s := range j.shards {
		least = min(least, s.room())
	}
	return int64(least)*slotSize + diskFree(j.dir)
}

func (j *Journal) wakePreparer() {
	select {
	case j.prepare <- struct{}{}:
	default:
	}
}
