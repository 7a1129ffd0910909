package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync"

	"tollgate/model"
)

// seal is one cut through all shards: records up to ends are in the batches from
// first on. The batches of a cut are sealed together or not at all.
type seal struct {
	first     uint64
	final     bool
	watermark int64
	records   uint64 // raw records behind it
	ends      []uint64
	batches   []sealed
}

type sealed struct {
	hash [32]byte
	size int64
	time int64 // unix microseconds of its earliest record; its watermark if it has none
}

func (s *seal) last() uint64 { return s.first + uint64(len(s.batches)) - 1 }

// ledger is a boot's durable account: which records are in which batch and which
// batches are acknowledged. A batch file is on disk before the ledger names it,
// and the ledger is on disk before the batch may travel.
type ledger struct {
	dir  string
	boot model.BootID

	mu        sync.Mutex
	file      *os.File
	size      int64
	suspect   bool // a write failed: rewrite the file before relying on it
	sealedSeq uint64
	ackedSeq  uint64
	ends      []uint64 // sealed up to here, by shard
	ackedEnds []uint64 // acknowledged up to here, by shard
	watermark int64
	final     bool
	pending   []seal // not wholly acknowledged, oldest first
	damaged   int    // entries lost to damage in the middle of the file
	sealedN   uint64 // raw records sealed and acknowledged since it was opened
	ackedN    uint64
}

const (
	ledgerName    = "ledger"
	ledgerMagic   = "tgle"
	entrySeal     = 1
	entryAck      = 2
	entryOverhead = 4 + 4 + 4
	maxEntry      = 1 << 20
	compactAt     = 1 << 20
	maxGap        = 1 << 12
)

func blockName(seq uint64) string { return fmt.Sprintf("batch-%016x", seq) }

// openLedger reads a boot's ledger and makes it ready to be added to.
func openLedger(dir string, boot model.BootID) (*ledger, error) {
	l := &ledger{dir: dir, boot: boot}
	path := filepath.Join(dir, ledgerName)
	content, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l.replay(content)
	// What a torn write left behind the last entry must not stay before the next
	// one, and whether what was read is on disk is not known: write it anew.
	if err := l.rewrite(); err != nil {
		return nil, err
	}
	return l, nil
}

// replay applies all entries of a ledger file, skipping over damage.
func (l *ledger) replay(p []byte) {
	for len(p) >= entryOverhead {
		n := int64(binary.LittleEndian.Uint32(p[4:]))
		if string(p[:4]) == ledgerMagic && n <= maxEntry && int64(len(p)) >= entryOverhead+n {
			body := p[entryOverhead : entryOverhead+n]
			if entrySum(l.boot, body) == binary.LittleEndian.Uint32(p[8:]) && l.apply(body) {
				p = p[entryOverhead+n:]
				continue
			}
		}
		i := bytes.Index(p[1:], []byte(ledgerMagic))
		if i < 0 {
			return
		}
		l.damaged++
		p = p[1+i:]
	}
}

func entrySum(boot model.BootID, body []byte) uint32 {
	return crc32.Update(crc32.Checksum(boot[:], castagnoli), castagnoli, body)
}

// apply takes one entry in; false: it makes no sense.
func (l *ledger) apply(p []byte) bool {
	le := binary.LittleEndian
	switch {
	case len(p) == 9 && p[0] == entryAck:
		return l.acknowledge(le.Uint64(p[1:]))
	case len(p) >= 38 && p[0] == entrySeal:
		s := seal{final: p[1] == 1, first: le.Uint64(p[2:]), watermark: int64(le.Uint64(p[10:])), records: le.Uint64(p[18:])}
		shards, batches := le.Uint32(p[26:]), le.Uint32(p[30:])
		p = p[34:]
		if shards > 256 || batches > maxEntry/48 || len(p) != int(shards)*8+int(batches)*48+4 || s.first == 0 {
			return false
		}
		for range shards {
			s.ends = append(s.ends, le.Uint64(p))
			p = p[8:]
		}
		for range batches {
			b := sealed{size: int64(le.Uint64(p[32:])), time: int64(le.Uint64(p[40:]))}
			copy(b.hash[:], p)
			s.batches = append(s.batches, b)
			p = p[48:]
		}
		if s.first <= l.sealedSeq {
			return false
		}
		l.take(s)
		return true
	}
	return false
}

func (l *ledger) take(s seal) {
	if gap := s.first - l.sealedSeq - 1; gap > 0 && gap <= maxGap && len(s.batches) > 0 {
		// Damage took entries, but their batches may be there: they name themselves.
		l.pending = append(l.pending, seal{first: l.sealedSeq + 1, ends: l.ends, batches: make([]sealed, gap)})
	}
	l.sealedSeq = s.last()
	l.ends = s.ends
	l.watermark = max(l.watermark, s.watermark)
	l.final = l.final || s.final
	if len(s.batches) == 0 {
		l.ackedSeq, l.ackedEnds = s.last(), s.ends
		return
	}
	l.pending = append(l.pending, s)
}

func (l *ledger) acknowledge(seq uint64) bool {
	if seq > l.sealedSeq {
		return false
	}
	l.ackedSeq = max(l.ackedSeq, seq)
	for len(l.pending) > 0 && l.pending[0].last() <= l.ackedSeq {
		l.ackedEnds = l.pending[0].ends
		l.ackedN += l.pending[0].records
		l.pending = l.pending[1:]
	}
	return true
}

func appendEntry(dst []byte, boot model.BootID, body []byte) []byte {
	dst = append(dst, ledgerMagic...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(body)))
	dst = binary.LittleEndian.AppendUint32(dst, entrySum(boot, body))
	return append(dst, body...)
}

func (s *seal) entry() []byte {
	le := binary.LittleEndian
	p := []byte{entrySeal, 0}
	if s.final {
		p[1] = 1
	}
	p = le.AppendUint64(p, s.first)
	p = le.AppendUint64(p, uint64(s.watermark))
	p = le.AppendUint64(p, s.records)
	p = le.AppendUint32(p, uint32(len(s.ends)))
	p = le.AppendUint32(p, uint32(len(s.batches)))
	for _, e := range s.ends {
		p = le.AppendUint64(p, e)
	}
	for _, b := range s.batches {
		p = append(p, b.hash[:]...)
		p = le.AppendUint64(p, uint64(b.size))
		p = le.AppendUint64(p, uint64(b.time))
	}
	return le.AppendUint32(p, 0)
}

func ackEntry(seq uint64) []byte {
	return binary.LittleEndian.AppendUint64([]byte{entryAck}, seq)
}

// rewrite writes the ledger's state to a fresh file and puts it in place.
func (l *ledger) rewrite() error {
	var out []byte
	if l.sealedSeq > 0 {
		base := seal{first: l.sealedSeq + 1, watermark: l.watermark, ends: l.ends, final: l.final}
		if len(l.pending) > 0 {
			base.first, base.ends, base.final = l.pending[0].first, l.ackedEnds, false
		}
		out = appendEntry(out, l.boot, base.entry())
		for i := range l.pending {
			out = appendEntry(out, l.boot, l.pending[i].entry())
		}
		if len(l.pending) > 0 && l.ackedSeq >= l.pending[0].first {
			out = appendEntry(out, l.boot, ackEntry(l.ackedSeq))
		}
	}
	path := filepath.Join(l.dir, ledgerName)
	if err := writeDurable(path+".new", out); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	if err := syncDir(l.dir); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if l.file != nil {
		_ = l.file.Close()
	}
	l.file, l.size, l.suspect = f, int64(len(out)), false
	return nil
}

// add makes one entry durable.
func (l *ledger) add(body []byte) error {
	if l.suspect || l.size > compactAt {
		if err := l.rewrite(); err != nil {
			return err
		}
	}
	e := appendEntry(nil, l.boot, body)
	_, err := l.file.Write(e)
	if err == nil {
		err = syncData(l.file, nil)
	}
	if err != nil {
		l.suspect = true
		return err
	}
	l.size += int64(len(e))
	return nil
}

// commit makes batches durable under the next sequence numbers, all or none. At
// least one is made, empty if there are no lines.
func (l *ledger) commit(s seal, lines []model.UsageLine, first, last int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.first = l.sealedSeq + 1
	s.watermark = max(s.watermark, l.watermark)
	for done := false; !done; {
		n := min(len(lines), model.MaxBatchLines)
		b := model.Batch{
			Boot: l.boot, Seq: s.first + uint64(len(s.batches)), First: first, Last: last,
			Watermark: l.watermark, Lines: lines[:n],
		}
		lines, done = lines[n:], n == len(lines)
		if done { // until the cut is in whole, only what held before it holds
			b.Watermark, b.Final = s.watermark, s.final
		}
		encoded := b.Encode()
		if err := writeDurable(filepath.Join(l.dir, blockName(b.Seq)), encoded); err != nil {
			return err
		}
		at := first
		if n == 0 {
			at = s.watermark
		}
		s.batches = append(s.batches, sealed{hash: model.BatchHash(encoded), size: int64(len(encoded)), time: at})
	}
	if err := l.add(s.entry()); err != nil {
		return err
	}
	l.take(s)
	l.sealedN += s.records
	return nil
}

// nextBatch is the oldest batch not acknowledged; nil: there is none.
func (l *ledger) nextBatch() (seq uint64, content []byte, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ackedSeq >= l.sealedSeq {
		return 0, nil, nil
	}
	seq = l.ackedSeq + 1
	content, err = os.ReadFile(filepath.Join(l.dir, blockName(seq)))
	if err != nil {
		return seq, nil, err
	}
	for i := range l.pending {
		s := &l.pending[i]
		if seq < s.first || seq > s.last() {
			continue
		}
		if want := s.batches[seq-s.first].hash; want != ([32]byte{}) {
			if model.BatchHash(content) != want {
				return seq, content, errDamagedBatch
			}
			return seq, content, nil
		}
	}
	if b, err := model.DecodeBatch(content); err != nil || b.Boot != l.boot || b.Seq != seq {
		return seq, content, errDamagedBatch
	}
	return seq, content, nil
}

var errDamagedBatch = errors.New("the batch on disk is not what was sealed")

// ack notes that a batch was taken and only then deletes it.
func (l *ledger) ack(seq uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.add(ackEntry(seq)); err != nil {
		return err
	}
	l.acknowledge(seq)
	err := os.Remove(filepath.Join(l.dir, blockName(seq)))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// done reports that the boot is closed and everything of it was taken.
func (l *ledger) done() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.final && l.ackedSeq == l.sealedSeq
}

// backlog is what waits to be acknowledged: bytes, and the time of its earliest
// record (0: nothing waits).
func (l *ledger) backlog() (size, oldest int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.pending {
		for k, b := range l.pending[i].batches {
			if l.pending[i].first+uint64(k) <= l.ackedSeq {
				continue
			}
			size += b.size
			if oldest == 0 || b.time < oldest {
				oldest = b.time
			}
		}
	}
	return size, oldest
}

// position is the watermark promised and up to where each shard is sealed.
func (l *ledger) position() (watermark int64, ends []uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.watermark, l.ends
}

// acknowledged is up to where each shard is acknowledged.
func (l *ledger) acknowledged() []uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ackedEnds
}

// waiting reports that a batch is not acknowledged.
func (l *ledger) waiting() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ackedSeq < l.sealedSeq
}

func (l *ledger) sealedRecords() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sealedN
}

func (l *ledger) counts() (sealed, acked uint64, watermark int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sealedN, l.ackedN, l.watermark
}

func (l *ledger) close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}
