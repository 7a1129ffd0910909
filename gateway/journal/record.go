package journal

import (
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"math"
	"strings"

	"tollgate/model"
)

// Kind says what a record is in the life of its call.
type Kind uint8

const (
	Call     Kind = iota // a whole call
	Start                // a long call began to be answered
	Progress             // its totals so far
	End                  // its totals at the end
	ext                  // what did not fit into the byte counts of the record before
)

// Record is one call, or one step of a long call. Byte counts and duration of
// PROGRESS and END are totals since the call's start.
type Record struct {
	Call         uint64 // shard<<56 | number; set by the journal
	Time         int64  // unix microseconds; raised to the watermark if it is behind
	Subscription uint64 // 0: none
	BytesIn      uint64
	BytesOut     uint64
	Tenant       uint32 // 0: no tenant was reached
	Stage        uint32 // 0: no stage was reached
	Method       uint32 // 0: no method was matched
	Key          uint32 // 0: none
	Terms        uint32 // price sheet version; 0: none
	Duration     uint32 // microseconds, math.MaxUint32 and above as that
	Status       uint16
	Flags        uint8 // model.Flag…
	Kind         Kind  // set by the journal
}

// CallID is a call's name in answers and logs, unique over all nodes and boots:
// the last half of the boot id and the call's number.
type CallID [16]byte

// Number is the call's number within its boot, as records carry it.
func (id CallID) Number() uint64 { return binary.BigEndian.Uint64(id[8:]) }

// AppendText appends the id in its 36-character form.
func (id CallID) AppendText(dst []byte) []byte {
	dst = hex.AppendEncode(dst, id[0:4])
	dst = append(dst, '-')
	dst = hex.AppendEncode(dst, id[4:6])
	dst = append(dst, '-')
	dst = hex.AppendEncode(dst, id[6:8])
	dst = append(dst, '-')
	dst = hex.AppendEncode(dst, id[8:10])
	dst = append(dst, '-')
	return hex.AppendEncode(dst, id[10:16])
}

func (id CallID) String() string { return string(id.AppendText(nil)) }

// ParseCallID reads what AppendText writes; false: text is something else.
func ParseCallID(text string) (id CallID, ok bool) {
	b, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	copy(id[:], b)
	return id, err == nil && len(b) == len(id)
}

// callID names call number n of a boot.
func callID(boot model.BootID, n uint64) (id CallID) {
	copy(id[:8], boot[8:])
	binary.BigEndian.PutUint64(id[8:], n)
	return id
}

// IDOf names the call that a record of a boot belongs to.
func IDOf(boot model.BootID, r *Record) CallID { return callID(boot, r.Call) }

const slotSize = 64

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// shardSeed starts the checksums of one shard of one boot.
func shardSeed(boot model.BootID, shard int) uint32 {
	var b [17]byte
	copy(b[:], boot[:])
	b[16] = byte(shard)
	return crc32.Checksum(b[:], castagnoli)
}

// slotSum is the checksum of a slot's first 60 bytes at a position. The position
// goes in by a bijection, so the same bytes in another slot never pass.
func slotSum(seed uint32, pos uint64, p []byte) uint32 {
	return crc32.Update(seed^uint32(pos)*0x9e3779b1^uint32(pos>>32), castagnoli, p[:60])
}

func saturate(v uint64) uint32 {
	if v > math.MaxUint32 {
		return math.MaxUint32
	}
	return uint32(v)
}

// putSlot writes a record into a slot, checksum last.
func putSlot(p []byte, seed uint32, pos uint64, call uint64, at int64, k Kind, r *Record) {
	_ = p[63]
	le := binary.LittleEndian
	le.PutUint64(p[0:], call)
	le.PutUint64(p[8:], uint64(at))
	le.PutUint32(p[16:], r.Tenant)
	le.PutUint32(p[20:], r.Stage)
	le.PutUint32(p[24:], r.Method)
	le.PutUint16(p[28:], r.Status)
	le.PutUint16(p[30:], uint16(r.Flags)|uint16(k)<<8)
	le.PutUint64(p[32:], r.Subscription)
	le.PutUint32(p[40:], r.Key)
	le.PutUint32(p[44:], r.Terms)
	le.PutUint32(p[48:], saturate(r.BytesIn))
	le.PutUint32(p[52:], saturate(r.BytesOut))
	le.PutUint32(p[56:], r.Duration)
	le.PutUint32(p[60:], slotSum(seed, pos, p))
}

// putExt writes the part of the byte counts that the record before has no room for.
func putExt(p []byte, seed uint32, pos uint64, call uint64, at int64, r *Record) {
	_ = p[63]
	le := binary.LittleEndian
	clear(p[16:60])
	le.PutUint64(p[0:], call)
	le.PutUint64(p[8:], uint64(at))
	le.PutUint16(p[30:], uint16(ext)<<8)
	le.PutUint64(p[32:], r.BytesIn-uint64(saturate(r.BytesIn)))
	le.PutUint64(p[40:], r.BytesOut-uint64(saturate(r.BytesOut)))
	le.PutUint32(p[60:], slotSum(seed, pos, p))
}

// getSlot reads a slot whose checksum is known to be right.
func getSlot(p []byte, r *Record) {
	_ = p[63]
	le := binary.LittleEndian
	r.Call = le.Uint64(p[0:])
	r.Time = int64(le.Uint64(p[8:]))
	r.Tenant = le.Uint32(p[16:])
	r.Stage = le.Uint32(p[20:])
	r.Method = le.Uint32(p[24:])
	r.Status = le.Uint16(p[28:])
	f := le.Uint16(p[30:])
	r.Flags, r.Kind = uint8(f), Kind(f>>8)
	r.Duration = le.Uint32(p[56:])
	if r.Kind == ext {
		r.BytesIn, r.BytesOut = le.Uint64(p[32:]), le.Uint64(p[40:])
		r.Subscription, r.Key, r.Terms = 0, 0, 0
		return
	}
	r.Subscription = le.Uint64(p[32:])
	r.Key = le.Uint32(p[40:])
	r.Terms = le.Uint32(p[44:])
	r.BytesIn = uint64(le.Uint32(p[48:]))
	r.BytesOut = uint64(le.Uint32(p[52:]))
}

// validSlot reports whether a slot holds a record appended at this position.
func validSlot(p []byte, seed uint32, pos uint64) bool {
	le := binary.LittleEndian
	return le.Uint64(p) != 0 && p[31] <= byte(ext) && slotSum(seed, pos, p) == le.Uint32(p[60:])
}

// joiner puts ext records back into the record they follow and passes whole ones
// on, with their positions.
type joiner struct {
	emit func(pos uint64, r *Record)
	r    Record
	pos  uint64
	held bool
}

func (j *joiner) add(pos uint64, r *Record) {
	if r.Kind == ext {
		if j.held && j.r.Call == r.Call && j.pos+1 == pos {
			j.r.BytesIn += r.BytesIn
			j.r.BytesOut += r.BytesOut
		}
		return
	}
	j.flush()
	j.r, j.pos, j.held = *r, pos, true
}

func (j *joiner) flush() {
	if j.held {
		j.held = false
		j.emit(j.pos, &j.r)
	}
}
