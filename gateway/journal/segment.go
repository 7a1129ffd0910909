package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"tollgate/model"
)

const (
	headerSize    = 4096
	headerMagic   = "tgjseg1\n"
	heartbeatAt   = 64 // apart from the checksummed part: it changes each second
	headerSummed  = 8 + 4 + 4 + 16 + 4 + 4 + 8
	minSegment    = headerSize + slotSize*64
	defaultSize   = 64 << 20
	segmentGlob   = "seg-*"
	segmentFormat = "seg-%02x-%08x"
)

// segment is one mapped file of a shard. It holds the positions from base to
// base+slots; a slot never crosses a page, because 64 divides 4096.
type segment struct {
	path   string
	file   *os.File
	mem    []byte
	number uint32
	base   uint64
	slots  uint64

	use sync.Mutex // held by whoever reads the mapping or uses the file, but not by appends
}

func (s *segment) end() uint64 { return s.base + s.slots }

// near is where the end is so near that, without a next segment, no more calls
// should be taken on: those under way need what is left.
func (s *segment) near() uint64 { return s.end() - min(8192, s.slots/4) }

// slot is the memory of a position inside the segment.
func (s *segment) slot(pos uint64) []byte {
	off := headerSize + (pos-s.base)*slotSize
	return s.mem[off : off+slotSize : off+slotSize]
}

func segmentName(shard int, number uint32) string {
	return fmt.Sprintf(segmentFormat, shard, number)
}

// createSegment preallocates and maps segment number of a shard under a name.
func createSegment(path string, boot model.BootID, shard int, number uint32, size int64) (*segment, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	undo := func(err error) (*segment, error) {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	if err := allocate(f, size); err != nil {
		return undo(err)
	}
	// The header goes in by write, which can still say that there is no room.
	if _, err := f.WriteAt(segmentHeader(boot, shard, number, size), 0); err != nil {
		return undo(err)
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return undo(os.NewSyscallError("mmap", err))
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		_ = unix.Munmap(mem)
		return undo(err)
	}
	slots := uint64(size-headerSize) / slotSize
	return &segment{path: path, file: f, mem: mem, number: number, base: uint64(number) * slots, slots: slots}, nil
}

func segmentHeader(boot model.BootID, shard int, number uint32, size int64) []byte {
	h := make([]byte, 0, headerSize)
	le := binary.LittleEndian
	h = append(h, headerMagic...)
	h = le.AppendUint32(h, 1)
	h = le.AppendUint32(h, slotSize)
	h = append(h, boot[:]...)
	h = le.AppendUint32(h, uint32(shard))
	h = le.AppendUint32(h, number)
	h = le.AppendUint64(h, uint64(size))
	h = le.AppendUint32(h, crc32.Checksum(h, castagnoli))
	return h[:headerSize]
}

// headerOf reads a header: the segment's size and last heartbeat. Not ok: the
// header is damaged, and what the file's name says must do.
func headerOf(h []byte, boot model.BootID, shard int, number uint32) (size, heartbeat int64, ok bool) {
	if len(h) < headerSize {
		return 0, 0, false
	}
	size = int64(binary.LittleEndian.Uint64(h[headerSummed-8:]))
	want := segmentHeader(boot, shard, number, size)
	if string(h[:headerSummed+4]) != string(want[:headerSummed+4]) || size < headerSize || size%slotSize != 0 {
		return 0, 0, false
	}
	return size, int64(binary.LittleEndian.Uint64(h[heartbeatAt:])), true
}

// beat notes in the header that the process lived at a time (unix microseconds).
func (s *segment) beat(at int64) {
	atomic.StoreInt64((*int64)(unsafe.Pointer(&s.mem[heartbeatAt])), at)
}

// sync has the segment on disk, unless it was released: then it is no longer needed.
func (s *segment) sync(do func(*os.File, []byte) error) error {
	s.use.Lock()
	defer s.use.Unlock()
	if s.mem == nil {
		return nil
	}
	return do(s.file, s.mem)
}

// release unmaps and closes the segment; its file stays. No append may use it any more.
func (s *segment) release() error {
	s.use.Lock()
	defer s.use.Unlock()
	if s.mem == nil {
		return nil
	}
	err := unix.Munmap(s.mem)
	s.mem = nil
	return errors.Join(os.NewSyscallError("munmap", err), s.file.Close())
}

// populate readies the pages between two positions for writing, as far as they are whole.
func (s *segment) populate(from, upTo uint64) {
	s.use.Lock()
	defer s.use.Unlock()
	if a, b := s.pages(from, upTo); s.mem != nil && a < b {
		populate(s.mem[a:b])
	}
}

// pages is what of the mapping is between two positions, in whole pages from the first's on.
func (s *segment) pages(from, upTo uint64) (a, b uint64) {
	page := uint64(os.Getpagesize())
	return (headerSize + (from-s.base)*slotSize) / page * page, (headerSize + (upTo-s.base)*slotSize) / page * page
}

// forget drops the pages between two positions from this process's memory; they
// stay in the page cache, and in the file.
func (s *segment) forget(from, upTo uint64) {
	if a, b := s.pages(from, upTo); b > a {
		_ = unix.Madvise(s.mem[a:b], unix.MADV_DONTNEED)
	}
}
