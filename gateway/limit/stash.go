package limit

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"sync"
	"syscall"

	"tollgate/model"
)

// Stash is a file of the units that a node holds and has not begun to use, so that the
// process which follows one that was killed goes on with them where the ledger cannot be
// asked. A quota takes its units from it in parts: what is in the file was drawn by no
// call, whatever moment the process ended at.
//
// Units outlive processes and not the machine: they are not forced to the disk, and those
// in a file of another run of the system are not believed. Nor are those in a copy, which
// would have them twice: a file is known by its device, its number there and when it was
// made. One that was written over with an older copy of itself is not told from it. What the ledger has to be told outlives the machine, too: calls
// may have been let in by it, and their records do.
type Stash struct {
	file *os.File
	left []stashed // by processes that ended

	mu    sync.Mutex // of all that is stashed, too
	units int64      // of this process, in all
	free  []int32    // slots
	slots int32      // that the file has, the header among them
	most  int32      // that it may have
	next  [slotSize]byte
}

// stashed is a slot of the file.
type stashed struct {
	slot       int32 // 0: none yet
	tenant     uint32
	ledger     ledgerKey
	start, end int64        // of the window
	units      int64        // that nobody has begun to use
	limit      int64        // of the window
	owner      model.BootID // whose lease they are of
	// Where from is not empty, the ledger may not know yet that the owner went on with
	// taken units of that boot's. It has to before either one's journal is all in.
	from  model.BootID
	taken int64
	turn  uint32 // in which processes said so, one after the other
}

const (
	slotSize   = 128 // a part of a page: it is written whole or not at all
	maxSlots   = 1 << 20
	stashMagic = "tollgate stash 1"
)

var errSlots = fmt.Errorf("the stash has %d slots, as many as it may", maxSlots)

// OpenStash opens the file, or makes it. Units that it had of another run of the system are
// gone from it. It is nil where the system does not say which run it is, as only Linux does, and
// where there is no room for a new one.
func OpenStash(path string) (*Stash, error) {
	run, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	s := &Stash{file: f, slots: 1, most: maxSlots}
	if err = s.read(bytes.TrimSpace(run)); err == nil {
		return s, nil
	}
	_ = f.Close()
	if errors.Is(err, errNew) { // there is nothing in it, and no room for more
		return nil, os.Remove(path)
	}
	return nil, err
}

// errNew is that a stash without anything in it could not be written.
var errNew = errors.New("a new stash could not be written")

// read takes the file in, and makes it one of this run of the system.
func (s *Stash) read(run []byte) error {
	content, err := io.ReadAll(io.LimitReader(s.file, maxSlots*slotSize))
	if err != nil {
		return err
	}
	of, err := s.file.Stat()
	if err != nil {
		return err
	}
	head := make([]byte, slotSize)
	copy(head, fmt.Sprintf("%s %s", stashMagic, run))
	if sys, ok := of.Sys().(*syscall.Stat_t); ok {
		binary.LittleEndian.PutUint64(head[slotSize-12:], sys.Ino)
		binary.LittleEndian.PutUint64(head[slotSize-20:], uint64(sys.Dev)) // an int32 on Darwin
	}
	binary.LittleEndian.PutUint64(head[slotSize-28:], uint64(birth(s.file)))
	seal(head)
	believed := len(content) >= slotSize && bytes.Equal(content[:slotSize], head)
	for at := slotSize; at+slotSize <= len(content); at += slotSize {
		e, ok := parseSlot(content[at : at+slotSize])
		e.slot = s.slots
		s.slots++
		if !believed {
			e.units = 0
			if err := s.write(&e); err != nil {
				return err
			}
			ok = ok && e.from != (model.BootID{})
		} else if !ok {
			s.free = append(s.free, e.slot)
		}
		if ok {
			s.left = append(s.left, e)
		}
	}
	if believed {
		return nil
	}
	// Last: until then it is not believed, and read like this again.
	if _, err := s.file.WriteAt(head, 0); err != nil {
		if len(s.left) == 0 {
			err = errors.Join(errNew, err)
		}
		return err
	}
	return nil
}

// seal puts a checksum at the end of a slot.
func seal(p []byte) {
	binary.LittleEndian.PutUint32(p[slotSize-4:], crc32.Checksum(p[:slotSize-4], castagnoli))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// parseSlot reads a slot; false: there is nothing in it, or it was not written whole.
func parseSlot(p []byte) (e stashed, ok bool) {
	le := binary.LittleEndian
	if le.Uint32(p[slotSize-4:]) != crc32.Checksum(p[:slotSize-4], castagnoli) {
		return e, false
	}
	e = stashed{tenant: le.Uint32(p), ledger: ledgerKey{le.Uint64(p[4:]), p[12]},
		start: int64(le.Uint64(p[13:])), end: int64(le.Uint64(p[21:])), units: int64(le.Uint64(p[29:])), limit: int64(le.Uint64(p[37:])), taken: int64(le.Uint64(p[45:])),
		owner: model.BootID(p[53:69]), from: model.BootID(p[69:85]), turn: le.Uint32(p[85:])}
	return e, e.owner != model.BootID{}
}

// fill makes p, a slot of zeros, e's.
func (e *stashed) fill(p []byte) {
	le := binary.LittleEndian
	le.PutUint32(p, e.tenant)
	le.PutUint64(p[4:], e.ledger.subscription)
	p[12] = e.ledger.kind
	for i, n := range []int64{e.start, e.end, e.units, e.limit, e.taken} {
		le.PutUint64(p[13+8*i:], uint64(n))
	}
	copy(p[53:], e.owner[:])
	copy(p[69:], e.from[:])
	le.PutUint32(p[85:], e.turn)
	seal(p)
}

// write brings e's slot, which it is given with the first units, to what it is; with
// neither units nor anything to tell, it loses it. s.mu is held.
func (s *Stash) write(e *stashed) error {
	slot, idle := e.slot, e.units == 0 && e.from == (model.BootID{})
	s.next = [slotSize]byte{}
	if !idle {
		e.fill(s.next[:])
	}
	switch {
	case idle && slot == 0:
		return nil
	case idle:
	case slot == 0 && len(s.free) > 0:
		slot = s.free[len(s.free)-1]
		s.free = s.free[:len(s.free)-1]
	case slot == 0 && s.slots >= s.most:
		return errSlots
	case slot == 0:
		slot = s.slots
		s.slots++
	}
	if _, err := s.file.WriteAt(s.next[:], int64(slot)*slotSize); err != nil {
		if e.slot == 0 {
			s.free = append(s.free, slot) // what is in it has no checksum
		}
		return err
	}
	if e.slot = slot; idle {
		s.free, e.slot = append(s.free, slot), 0
	}
	return nil
}

// change gives e more units, or fewer, and says by how many: by none if that cannot be
// written down, and never below none.
func (s *Stash) change(e *stashed, by int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	by = max(by, -e.units)
	if by == 0 {
		return 0
	}
	e.units += by
	if err := s.write(e); err != nil {
		e.units -= by
		return 0
	}
	s.units += by
	return by
}

// keeps says that units of this process's leases are left to the next.
func (s *Stash) keeps() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.units > 0
}

// take takes up to n units out.
func (s *Stash) take(e *stashed, n int64) int64 { return -s.change(e, -n) }

// told notes that the ledger knows whose e's units are.
func (s *Stash) told(e *stashed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.from = model.BootID{}
	_ = s.write(e) // else it is told again by the next process, which the ledger knows
}

// inherit gives boot what processes before it left, and makes it the owner of what is of a
// window that has not ended. tell is what the ledger has to be told, in this order.
func (s *Stash) inherit(boot model.BootID, now int64) (units, tell []*stashed, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	type window struct {
		of    ledgerKey
		start int64
	}
	seen := map[window]bool{}
	turn := uint32(1)
	for _, e := range s.left {
		turn = max(turn, e.turn+1)
	}
	for _, e := range s.left {
		w := window{e.ledger, e.start}
		goesOn := e.units > 0 && now < e.end && !seen[w] // a boot goes on with another's once
		if e.from != (model.BootID{}) {
			was := e
			was.units = 0
			if goesOn {
				was.slot = 0                  // written first: the slot is about to say the next thing
				goesOn = s.write(&was) == nil // else there is no room to say both
			}
			if !goesOn {
				was.slot = e.slot
				if err := s.write(&was); err != nil {
					return nil, nil, err
				}
			}
			tell = append(tell, &was)
		}
		switch {
		case goesOn:
			seen[w] = true
			e.owner, e.from, e.taken, e.turn = boot, e.owner, e.units, turn
			if err := s.write(&e); err != nil {
				return nil, nil, err
			}
			units = append(units, &e)
			s.units += e.units
		case e.from == model.BootID{}:
			e.units = 0
			if err := s.write(&e); err != nil {
				return nil, nil, err
			}
		}
	}
	s.left = nil
	if len(units) > 0 {
		if err := s.file.Sync(); err != nil { // before any of them is used
			return nil, nil, err
		}
	}
	slices.SortStableFunc(tell, func(a, b *stashed) int { return cmp.Compare(a.turn, b.turn) })
	return units, append(tell, units...), nil
}

// Close closes the file and leaves it to the next process.
func (s *Stash) Close() error { return s.file.Close() }
