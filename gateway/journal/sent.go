package journal

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"tollgate/model"
)

const (
	sentDir = "sent"
	// sentFor is for how long a batch is kept after it was handed in.
	sentFor = 7 * 24 * time.Hour
)

// sent keeps batches that were handed in, so that they can be again when the database
// that took them was restored from an older backup. Losing it loses nothing else: what
// cannot be kept is not, and it is the first to go where the disk is full.
//
// A file holds the batches of one boot and hour as they were acknowledged, each behind
// its length. A file is never added to by a later process.
type sent struct {
	dir  string
	most int64 // bytes; 0: nothing is kept
	log  *slog.Logger
	now  func() time.Time

	mu     sync.Mutex
	files  []sentFile // oldest first, the one that is written last
	file   *os.File   // nil: none is written
	size   int64
	high   map[model.BootID]uint64 // the highest batch kept, of boots whose files were looked at
	unread map[model.BootID]bool   // boots with files of earlier processes
	said   time.Time
}

// sentFile is named by the hour since 1970, the boot, and the first batch in it.
type sentFile struct {
	name string
	hour int64
	boot model.BootID
	size int64
}

func openSent(dir string, most int64, log *slog.Logger, now func() time.Time) *sent {
	s := &sent{dir: filepath.Join(dir, sentDir), most: most, log: log, now: now, high: map[model.BootID]uint64{}, unread: map[model.BootID]bool{}}
	entries, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		log.Warn("journal: batches kept for a restored database cannot be listed", "dir", s.dir, "error", err)
	}
	for _, e := range entries {
		f, ok := parseSent(e.Name())
		i, err := e.Info()
		if !ok || err != nil {
			continue
		}
		f.size = i.Size()
		s.files, s.size, s.unread[f.boot] = append(s.files, f), s.size+f.size, true
	}
	slices.SortFunc(s.files, func(a, b sentFile) int { return cmp.Compare(a.name, b.name) })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prune()
	return s
}

func parseSent(name string) (f sentFile, ok bool) {
	part := strings.Split(name, "-") // hour-boot-seq-n
	if len(part) != 4 || len(part[1]) != 32 {
		return f, false
	}
	hour, err := strconv.ParseInt(part[0], 16, 64)
	if err != nil {
		return f, false
	}
	_, err = hex.Decode(f.boot[:], []byte(part[1]))
	f.name, f.hour = name, hour
	return f, err == nil
}

// put keeps a batch that is acknowledged.
func (s *sent) put(boot model.BootID, seq uint64, content []byte) {
	if s == nil || s.most == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	hour := s.now().Unix() / 3600
	if n := len(s.files); s.file == nil || s.files[n-1].hour != hour || s.files[n-1].boot != boot {
		s.closeFile()
		if err := s.newFile(hour, boot, seq); err != nil {
			s.failed(err)
			return
		}
	}
	entry := append(binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(content)), uint32(len(content))), content...)
	n, err := s.file.Write(entry)
	s.files[len(s.files)-1].size += int64(n)
	s.size += int64(n)
	if err != nil {
		s.closeFile() // what is torn stays at a file's end
		s.failed(err)
		return
	}
	s.high[boot] = max(s.high[boot], seq)
	if s.size > s.most {
		s.prune()
	}
}

func (s *sent) newFile(hour int64, boot model.BootID, seq uint64) error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	s.prune() // once an hour is enough for what is too old
	for n := 0; ; n++ {
		name := fmt.Sprintf("%010x-%x-%016x-%d", hour, boot[:], seq, n)
		f, err := os.OpenFile(filepath.Join(s.dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
		if errors.Is(err, os.ErrExist) && n < 1000 {
			continue
		}
		if err == nil {
			s.file = f
			s.files = append(s.files, sentFile{name: name, hour: hour, boot: boot})
		}
		return err
	}
}

func (s *sent) closeFile() {
	if s.file != nil {
		_ = s.file.Close()
		s.file = nil
	}
}

// failed says that batches are not kept, and makes room where that is the reason.
func (s *sent) failed(err error) {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		s.drop(0)
	}
	if s.now().Sub(s.said).Abs() > time.Minute {
		s.said = s.now()
		s.log.Warn("journal: batches that were handed in are not kept: a restored database would not get them again", "error", err)
	}
}

// makeRoom gives up everything that is kept, for what matters more.
func (s *sent) makeRoom() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size > 0 {
		s.log.Error("journal: the disk is full; batches that were handed in are not kept any more", "bytes", s.size)
	}
	s.drop(0)
}

// prune deletes what is too old, and the oldest of what is too much.
func (s *sent) prune() {
	oldest := s.now().Add(-sentFor).Unix() / 3600
	for len(s.files) > 0 && s.files[0].hour < oldest {
		s.dropOldest()
	}
	s.drop(s.most)
}

func (s *sent) drop(most int64) {
	for s.size > most && len(s.files) > 0 {
		s.dropOldest()
	}
}

func (s *sent) dropOldest() {
	f := s.files[0]
	if len(s.files) == 1 {
		s.closeFile()
	}
	if err := os.Remove(filepath.Join(s.dir, f.name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		s.log.Warn("journal: a file of kept batches was not deleted", "file", f.name, "error", err)
	}
	s.files, s.size = s.files[1:], s.size-f.size
	if !slices.ContainsFunc(s.files, func(o sentFile) bool { return o.boot == f.boot }) {
		delete(s.high, f.boot)
		delete(s.unread, f.boot)
	}
}

// highest is the highest batch that is kept of each boot.
func (s *sent) highest() map[model.BootID]uint64 {
	s.mu.Lock()
	var unread []model.BootID
	for b := range s.unread {
		unread = append(unread, b)
	}
	s.mu.Unlock()
	for _, b := range unread {
		var high uint64
		_ = s.each(b, 0, func(seq uint64, _ []byte) error { high = max(high, seq); return nil }) // what cannot be read cannot be sent
		s.mu.Lock()
		if s.unread[b] { // else it was pruned meanwhile
			delete(s.unread, b)
			s.high[b] = max(s.high[b], high)
		}
		s.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[model.BootID]uint64, len(s.high))
	for b, n := range s.high {
		out[b] = n
	}
	return out
}

// each gives the kept batches of a boot beyond a number, in the order in which they were
// acknowledged.
func (s *sent) each(boot model.BootID, beyond uint64, f func(seq uint64, content []byte) error) error {
	s.mu.Lock()
	var names []string
	for _, x := range s.files {
		if x.boot == boot {
			names = append(names, x.name)
		}
	}
	s.mu.Unlock()
	for _, name := range names {
		if err := s.eachOf(name, boot, beyond, f); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// seqAt is where an encoded batch has its number.
const seqAt = 4 + 16

func (s *sent) eachOf(name string, boot model.BootID, beyond uint64, f func(seq uint64, content []byte) error) error {
	file, err := os.Open(filepath.Join(s.dir, name))
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	r := bufio.NewReaderSize(file, 64<<10)
	for {
		var n [4]byte
		if _, err := io.ReadFull(r, n[:]); err != nil {
			return nil // its end, or torn
		}
		size := int(binary.LittleEndian.Uint32(n[:]))
		head, err := r.Peek(min(size, seqAt+8))
		if err != nil || size > model.MaxBatchBytes || len(head) < seqAt+8 || !strings.HasPrefix(string(head[4:]), string(boot[:])) {
			return nil
		}
		seq := binary.LittleEndian.Uint64(head[seqAt:])
		if seq <= beyond {
			if _, err := r.Discard(size); err != nil {
				return nil
			}
			continue
		}
		content := make([]byte, size)
		if _, err := io.ReadFull(r, content); err != nil {
			return nil
		}
		if err := f(seq, content); err != nil {
			return err
		}
	}
}

// rewindLoop asks now and then whether the control plane still has what it took.
func (j *Journal) rewindLoop() {
	defer j.wg.Done()
	tick := time.NewTicker(j.opt.RewindEvery)
	defer tick.Stop()
	for {
		select {
		case <-j.ctx.Done():
			return
		case <-tick.C:
		}
		if err := j.rewind(j.ctx); err != nil && j.ctx.Err() == nil {
			j.log.Warn("journal: whether the control plane has what it took could not be asked; trying again later", "error", err)
		}
	}
}

// rewind hands in again what the control plane does not know any more: its database was
// restored from a backup. What it knows is a duplicate there.
func (j *Journal) rewind(ctx context.Context) error {
	high := j.sent.highest()
	if len(high) == 0 {
		return nil
	}
	boots := make([]model.BootID, 0, len(high))
	for b := range high {
		boots = append(boots, b)
	}
	slices.SortFunc(boots, func(a, b model.BootID) int { return slices.Compare(a[:], b[:]) }) // by their age
	known, err := j.known(ctx, boots)
	if err != nil {
		return err
	}
	for _, b := range boots {
		at := known[b]
		if left, tried := j.rewound[b]; at >= high[b] || tried && left == at {
			continue // a batch that was set aside leaves a gap for good
		}
		j.log.Error("journal: the control plane has forgotten usage that it took, as after a restored backup; it is handed in again",
			"boot", b, "has", at, "took", high[b])
		var n int
		err := j.sent.each(b, at, func(seq uint64, content []byte) error {
			c, cancel := context.WithTimeout(ctx, shipTimeout)
			defer cancel()
			_, err := j.opt.Ship(c, content)
			switch model.KindOf(err) {
			case model.Conflict, model.Denied, model.Invalid: // it is set aside there
				j.log.Error("journal: a batch that was handed in again is refused", "boot", b, "seq", seq, "error", err)
				return nil
			}
			if err != nil {
				return fmt.Errorf("batch %d of boot %s: %w", seq, b, err)
			}
			n++
			return nil
		})
		if err != nil {
			return err
		}
		now, err := j.known(ctx, []model.BootID{b})
		if err != nil {
			return err
		}
		j.rewound[b] = now[b]
		j.log.Info("journal: usage was handed in again", "boot", b, "batches", n, "has", now[b])
	}
	return nil
}

// maxKnown is how many boots are asked for at once.
const maxKnown = 1000

func (j *Journal) known(ctx context.Context, boots []model.BootID) (map[model.BootID]uint64, error) {
	out := map[model.BootID]uint64{}
	for part := range slices.Chunk(boots, maxKnown) {
		c, cancel := context.WithTimeout(ctx, shipTimeout)
		known, err := j.opt.Known(c, part)
		cancel()
		if err != nil {
			return nil, err
		}
		for b, n := range known {
			out[b] = n
		}
	}
	return out, nil
}
