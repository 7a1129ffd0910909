package model

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// BootID names one start of a gateway process (UUIDv7). With a batch's sequence
// it names a batch for ever: (boot, seq) always means the same bytes.
type BootID [16]byte

func (b BootID) String() string {
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// ParseBootID reads what String writes.
func ParseBootID(s string) (b BootID, err error) {
	if len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' {
		var n int
		if n, err = hex.Decode(b[:], []byte(s[:8]+s[9:13]+s[14:18]+s[19:23]+s[24:])); err == nil && n == len(b) {
			return b, nil
		}
	}
	return BootID{}, Errorf(Invalid, "%.40q is no boot id, such as 0192f3a0-5b7c-7d1e-8f00-0123456789ab", s)
}

// Flags of a call record and of a usage line.
const (
	FlagBillable uint16 = 1 << iota // counts as a call to be paid for
	FlagKeyed                       // made with an accepted API key
	FlagQuota                       // took a unit of its plan's quota
	FlagAborted                     // the client or the node went away before the end
	FlagSpend                       // took a unit of what its subscription's money reaches for
)

// UsageLine is a sum of calls that agree in everything but their measures.
type UsageLine struct {
	Hour         int64  // hours since 1970, UTC
	Tenant       uint32 //
	Stage        uint32 // 0: no stage was reached
	Method       uint32 // 0: no method was matched
	Key          uint32 // 0: none
	Terms        uint32 // price sheet version; 0: none
	Subscription uint64 // 0: none
	Status       uint16 // HTTP status answered
	Flags        uint16
	Calls        uint64
	BytesIn      uint64
	BytesOut     uint64
	Micros       uint64 // summed duration in microseconds
}

// Batch is what a node hands in: sealed, numbered from 1 without a gap per boot.
type Batch struct {
	Boot      BootID
	Seq       uint64
	First     int64 // unix microseconds of the earliest record
	Last      int64 // unix microseconds of the latest record
	Watermark int64 // no record of this boot earlier than this is still to come
	Final     bool  // the boot is closed: no batch follows
	Lines     []UsageLine
}

// Calls is the number of records behind the batch.
func (b *Batch) Calls() uint64 {
	var n uint64
	for i := range b.Lines {
		n += b.Lines[i].Calls
	}
	return n
}

const (
	batchMagic  = "tgb1"
	batchHeader = 4 + 16 + 8 + 8 + 8 + 8 + 4 + 4
	batchLine   = 8 + 4*5 + 8 + 2 + 2 + 4*8
	// MaxBatchLines bounds a batch (about 7 MB encoded).
	MaxBatchLines = 100_000
	// MaxBatchBytes is the size of the largest encoded batch.
	MaxBatchBytes = batchHeader + MaxBatchLines*batchLine
)

// Encode gives the batch its one byte form, the one that is hashed, stored and sent.
func (b *Batch) Encode() []byte {
	out := make([]byte, 0, batchHeader+len(b.Lines)*batchLine)
	le := binary.LittleEndian
	out = append(out, batchMagic...)
	out = append(out, b.Boot[:]...)
	out = le.AppendUint64(out, b.Seq)
	out = le.AppendUint64(out, uint64(b.First))
	out = le.AppendUint64(out, uint64(b.Last))
	out = le.AppendUint64(out, uint64(b.Watermark))
	var fin uint32
	if b.Final {
		fin = 1
	}
	out = le.AppendUint32(out, fin)
	out = le.AppendUint32(out, uint32(len(b.Lines)))
	for i := range b.Lines {
		l := &b.Lines[i]
		out = le.AppendUint64(out, uint64(l.Hour))
		for _, v := range [...]uint32{l.Tenant, l.Stage, l.Method, l.Key, l.Terms} {
			out = le.AppendUint32(out, v)
		}
		out = le.AppendUint64(out, l.Subscription)
		out = le.AppendUint16(out, l.Status)
		out = le.AppendUint16(out, l.Flags)
		for _, v := range [...]uint64{l.Calls, l.BytesIn, l.BytesOut, l.Micros} {
			out = le.AppendUint64(out, v)
		}
	}
	return out
}

// DecodeBatch reads what Encode wrote and refuses anything else.
func DecodeBatch(p []byte) (*Batch, error) {
	if len(p) < batchHeader || string(p[:4]) != batchMagic {
		return nil, fmt.Errorf("model: not a usage batch")
	}
	le := binary.LittleEndian
	b := &Batch{}
	copy(b.Boot[:], p[4:])
	b.Seq = le.Uint64(p[20:])
	b.First = int64(le.Uint64(p[28:]))
	b.Last = int64(le.Uint64(p[36:]))
	b.Watermark = int64(le.Uint64(p[44:]))
	fin := le.Uint32(p[52:])
	n := le.Uint32(p[56:])
	if fin > 1 || n > MaxBatchLines || len(p) != batchHeader+int(n)*batchLine {
		return nil, fmt.Errorf("model: usage batch of %d bytes does not hold its %d lines", len(p), n)
	}
	b.Final = fin == 1
	b.Lines = make([]UsageLine, n)
	p = p[batchHeader:]
	for i := range b.Lines {
		l := &b.Lines[i]
		l.Hour = int64(le.Uint64(p))
		l.Tenant = le.Uint32(p[8:])
		l.Stage = le.Uint32(p[12:])
		l.Method = le.Uint32(p[16:])
		l.Key = le.Uint32(p[20:])
		l.Terms = le.Uint32(p[24:])
		l.Subscription = le.Uint64(p[28:])
		l.Status = le.Uint16(p[36:])
		l.Flags = le.Uint16(p[38:])
		l.Calls = le.Uint64(p[40:])
		l.BytesIn = le.Uint64(p[48:])
		l.BytesOut = le.Uint64(p[56:])
		l.Micros = le.Uint64(p[64:])
		p = p[batchLine:]
	}
	return b, nil
}

// BatchHash is the SHA-256 of an encoded batch: what tells a repeated delivery
// from a different batch under the same name.
func BatchHash(encoded []byte) [32]byte { return sha256.Sum256(encoded) }

// BatchReceipt answers a handed-in batch.
type BatchReceipt struct {
	Duplicate bool `json:"duplicate,omitempty"` // was in already, with the same content
}
