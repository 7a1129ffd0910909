package journal

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tollgate/model"
)

const quarantineDir = "quarantine"

// recoverBoots seals what earlier boots left unsealed and queues their batches. A
// boot that cannot be recovered now stays as it is and is tried again.
func (j *Journal) recoverBoots() {
	names, err := bootDirs(j.dir)
	if err != nil {
		j.log.Error("journal: earlier boots cannot be listed", "dir", j.dir, "error", err)
		return
	}
	for _, b := range names {
		if b == j.boot || j.recovered[b] {
			continue
		}
		l, err := j.recoverBoot(b)
		if j.freeReserve(err) {
			l, err = j.recoverBoot(b)
		}
		if err != nil {
			j.log.Error("journal: an earlier boot cannot be recovered now; nothing of it is lost, it is tried again",
				"boot", b, "error", err)
			continue
		}
		j.recovered[b] = true
		if l == nil {
			continue
		}
		if l.done() {
			if err := l.close(); err != nil {
				j.log.Warn("journal: ledger not closed", "boot", b, "error", err)
			}
			j.archive.finish(l.dir)
			continue
		}
		j.bootsMu.Lock()
		own := len(j.boots) - 1
		j.boots = slices.Insert(j.boots, max(own, 0), l)
		j.bootsMu.Unlock()
		j.wakeShipper()
	}
}

// recoverBoot brings one earlier boot to its final seal; nil: it held nothing.
// What was sealed stays as it was; doing it again after a crash gives the same bytes.
func (j *Journal) recoverBoot(b model.BootID) (*ledger, error) {
	dir := filepath.Join(j.dir, b.String())
	l, err := openLedger(dir, b)
	if err != nil {
		return nil, err
	}
	if l.damaged > 0 {
		j.log.Error("journal: the ledger of an earlier boot is damaged; its batches are checked one by one",
			"boot", b, "damaged", l.damaged)
	}
	if l.final {
		return l, nil
	}
	w, err := readBoot(dir, b, l.ends)
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	if w.damaged > 0 {
		j.damagedN.Add(w.damaged)
		j.log.Error("journal: records of an earlier boot are damaged: whole ones behind them are billed, the files are kept for inspection",
			"boot", b, "damaged", w.damaged, "whole", w.records, "dir", filepath.Join(j.dir, quarantineDir))
		if err := j.quarantine(dir); err != nil {
			return nil, errors.Join(err, l.close())
		}
	}
	if l.sealedSeq == 0 && w.records == 0 {
		return nil, errors.Join(l.close(), os.RemoveAll(dir))
	}
	open := len(w.tally.open)
	w.tally.abandon(l.watermark)
	s := seal{final: true, watermark: max(w.heartbeat, w.tally.last), records: w.records, ends: w.ends}
	if err := l.commit(s, w.tally.sorted(), w.tally.first, w.tally.last); err != nil {
		return nil, errors.Join(err, l.close())
	}
	j.recoveredN.Add(w.records)
	j.log.Info("journal: earlier boot recovered", "boot", b, "records", w.records, "aborted", open, "torn", w.torn)
	return l, nil
}

// remains is what a boot's segments hold beyond what was sealed.
type remains struct {
	tally     *tally
	records   uint64
	damaged   uint64 // slots before a whole record that hold none
	torn      uint64 // slots behind the last whole record that hold something else
	ends      []uint64
	heartbeat int64
}

// readBoot reads a boot's segments. Records before the sealed ends count only for
// what they tell about long calls.
func readBoot(dir string, b model.BootID, sealed []uint64) (*remains, error) {
	files, err := segmentFiles(dir)
	if err != nil {
		return nil, err
	}
	w := &remains{tally: newTally()}
	w.ends = append(w.ends, sealed...)
	for len(files) > 0 {
		shard, n := files[0].shard, 0
		for n < len(files) && files[n].shard == shard {
			n++
		}
		for len(w.ends) <= shard {
			w.ends = append(w.ends, 0)
		}
		if err := w.readShard(b, shard, files[:n]); err != nil {
			return nil, err
		}
		files = files[n:]
	}
	return w, nil
}

func (w *remains) readShard(b model.BootID, shard int, files []segmentFile) error {
	from := w.ends[shard]
	expect := from // position of the next record, if none is missing
	var odd uint64 // slots since the last whole record that are neither whole nor empty
	join := joiner{emit: func(pos uint64, r *Record) {
		if w.tally.note(shard, pos, r) && pos >= from {
			w.tally.call(r)
		}
	}}
	var r Record
	for _, f := range files {
		beat, err := readSegment(f, b, func(pos uint64, p []byte, whole bool) {
			switch {
			case whole:
				if pos >= from {
					w.damaged += pos - expect
					expect, odd = pos+1, 0
					w.records++
				}
				getSlot(p, &r)
				join.add(pos, &r)
			case pos >= from && !empty(p):
				odd++
			}
		})
		if err != nil {
			return err
		}
		w.heartbeat = max(w.heartbeat, beat)
	}
	join.flush()
	w.torn += odd
	w.ends[shard] = expect
	return nil
}

func empty(p []byte) bool {
	for _, c := range p {
		if c != 0 {
			return false
		}
	}
	return true
}

// segmentFile is a segment as found on disk.
type segmentFile struct {
	path   string
	shard  int
	number uint32
	size   int64
}

// segmentFiles lists a boot's segments by shard and number.
func segmentFiles(dir string) ([]segmentFile, error) {
	entries, err := os.ReadDir(dir) // sorted by name: shard, then number
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []segmentFile
	for _, e := range entries {
		f := segmentFile{path: filepath.Join(dir, e.Name())}
		if _, err := fmt.Sscanf(e.Name(), segmentFormat, &f.shard, &f.number); err != nil || e.Name() != segmentName(f.shard, f.number) {
			continue
		}
		if f.shard > 255 {
			continue
		}
		if i, err := e.Info(); err == nil {
			f.size = i.Size()
		}
		out = append(out, f)
	}
	return out, nil
}

// readSegment passes each slot of a segment file on, whole or not, and returns the
// heartbeat. It reads by read(2): a file cut short must not become a SIGBUS.
func readSegment(sf segmentFile, b model.BootID, fn func(pos uint64, p []byte, whole bool)) (heartbeat int64, err error) {
	f, err := os.Open(sf.path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	buf := make([]byte, 256<<10)
	n, err := io.ReadFull(f, buf[:headerSize])
	if err != nil {
		return 0, ignoreEOF(err)
	}
	size, heartbeat, ok := headerOf(buf[:n], b, sf.shard, sf.number)
	if !ok {
		size = sf.size // the header is damaged; the name and the file say the same
	}
	slots := uint64(max(size-headerSize, 0)) / slotSize
	pos := uint64(sf.number) * slots
	end := pos + slots
	seed := shardSeed(b, sf.shard)
	for pos < end {
		n, err := io.ReadFull(f, buf)
		for p := buf[:n]; len(p) >= slotSize && pos < end; p = p[slotSize:] {
			fn(pos, p[:slotSize], validSlot(p[:slotSize], seed, pos))
			pos++
		}
		if err != nil {
			return heartbeat, ignoreEOF(err)
		}
	}
	return heartbeat, nil
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// bootDirs lists the boots that have a directory, oldest first.
func bootDirs(dir string) ([]model.BootID, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []model.BootID
	for _, e := range entries {
		if b, ok := parseBoot(e.Name()); ok && e.IsDir() {
			out = append(out, b)
		}
	}
	return out, nil
}

func parseBoot(s string) (b model.BootID, ok bool) {
	if len(s) != 36 {
		return b, false
	}
	p, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	copy(b[:], p)
	return b, err == nil && b.String() == s
}

// quarantine keeps a boot's segments and ledger under another name, so that
// their deletion here does not lose them.
func (j *Journal) quarantine(bootDir string) error {
	to := filepath.Join(j.dir, quarantineDir, filepath.Base(bootDir))
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	files, err := segmentFiles(bootDir)
	if err != nil {
		return err
	}
	for _, f := range files {
		err := os.Link(f.path, filepath.Join(to, filepath.Base(f.path)))
		if err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return syncDir(to)
}

// Scan reads every record under a journal directory, also of a journal in use,
// and changes nothing. Records of one shard come in the order of their appending.
func Scan(dir string, fn func(boot model.BootID, r Record) error) error {
	boots, err := bootDirs(dir)
	if err != nil {
		return err
	}
	for _, b := range boots {
		files, err := segmentFiles(filepath.Join(dir, b.String()))
		if err != nil {
			return err
		}
		if err := scanFiles(b, files, fn); err != nil {
			return err
		}
	}
	return nil
}

func scanFiles(b model.BootID, files []segmentFile, fn func(model.BootID, Record) error) error {
	var failed error
	join := joiner{emit: func(_ uint64, r *Record) {
		if failed == nil {
			failed = fn(b, *r)
		}
	}}
	var r Record
	for i, f := range files {
		if i > 0 && f.shard != files[i-1].shard {
			join.flush()
		}
		_, err := readSegment(f, b, func(pos uint64, p []byte, whole bool) {
			if whole && failed == nil {
				getSlot(p, &r)
				join.add(pos, &r)
			}
		})
		if err != nil && !errors.Is(err, os.ErrNotExist) { // acknowledged meanwhile
			return err
		}
		if failed != nil {
			return failed
		}
	}
	join.flush()
	return failed
}
