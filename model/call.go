package model

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// CallEntry is one call in the call log: what people read of it. It is never counted
// from; that is what usage lines are for. The texts of an entry that a node writes are
// views of its buffers.
type CallEntry struct {
	ID           [16]byte
	Time         int64  // unix microseconds of the call's end
	Tenant       uint32 //
	Stage        uint32 //
	Method       uint32 // 0: no method was matched
	Key          uint32 // 0: none
	Subscription uint64 // 0: none
	BytesIn      uint64
	BytesOut     uint64
	Latency      uint32 // microseconds
	Integration  uint32 // microseconds that the integration took, plus one; 0: none was asked
	Status       uint16
	Flags        uint8 // FlagBillable and so on
	Canary       bool
	Kind         string // gateway-response type, where the gateway itself answered
	Step         string // that ended the call, where the gateway itself answered
	Why          string // for those who run the API
	Verb         []byte
	Path         []byte // relative to the stage, without the query
	IP           string
	Agent        []byte
	Principal    string
	Trace        []byte
}

// Bounds of an entry's texts, in bytes: longer ones are cut.
const (
	MaxCallName      = 64 // kind, step and verb
	MaxCallWhy       = 512
	MaxCallPath      = 512
	MaxCallAgent     = 200
	MaxCallPrincipal = 200
	MaxCallTrace     = 16 << 10
	// MaxCallEntry is the size of the largest encoded entry.
	MaxCallEntry = callFixed + 9*2 + 3*MaxCallName + MaxCallWhy + MaxCallPath + MaxCallName + MaxCallAgent + MaxCallPrincipal + MaxCallTrace
	// MaxCallBatchBytes is the size of the largest encoded batch.
	MaxCallBatchBytes = 4 << 20
)

const (
	callFixed = 16 + 8 + 4*4 + 3*8 + 2*4 + 2 + 2
	callBatch = 4 + 16 + 8 + 4
	callLeft  = 4 + 4 + 8 + 8
	callMagic = "tgc1"
)

// AppendCall appends an entry's encoded form, its texts cut to their bounds. It
// allocates nothing where dst has room.
func AppendCall(dst []byte, e *CallEntry) []byte {
	le := binary.LittleEndian
	n := len(dst)
	dst = slices.Grow(dst, callFixed)[:n+callFixed]
	p := dst[n:]
	_ = p[callFixed-1]
	copy(p, e.ID[:])
	le.PutUint64(p[16:], uint64(e.Time))
	le.PutUint32(p[24:], e.Tenant)
	le.PutUint32(p[28:], e.Stage)
	le.PutUint32(p[32:], e.Method)
	le.PutUint32(p[36:], e.Key)
	le.PutUint64(p[40:], e.Subscription)
	le.PutUint64(p[48:], e.BytesIn)
	le.PutUint64(p[56:], e.BytesOut)
	le.PutUint32(p[64:], e.Latency)
	le.PutUint32(p[68:], e.Integration)
	le.PutUint16(p[72:], e.Status)
	p[74], p[75] = e.Flags, 0
	if e.Canary {
		p[75] = 1
	}
	dst = appendText(dst, e.Kind, MaxCallName)
	dst = appendText(dst, e.Step, MaxCallName)
	dst = appendText(dst, e.Why, MaxCallWhy)
	dst = appendText(dst, e.Verb, MaxCallName)
	dst = appendText(dst, e.Path, MaxCallPath)
	dst = appendText(dst, e.IP, MaxCallName)
	dst = appendText(dst, e.Agent, MaxCallAgent)
	dst = appendText(dst, e.Principal, MaxCallPrincipal)
	return appendText(dst, e.Trace, MaxCallTrace)
}

func appendText[T string | []byte](dst []byte, s T, most int) []byte {
	if len(s) > most {
		s = s[:most]
	}
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(s)))
	return append(dst, s...)
}

// CallsLeft counts what is not in the call log, of a stage.
type CallsLeft struct {
	Tenant uint32
	Stage  uint32
	Calls  uint64 // that have no entry
	Lines  uint64 // of the stage's access log that were not written
}

// CallBatch is what a node hands in for the call log: numbered from 1 per boot, one
// after the other, so that one that comes twice is known by its number.
type CallBatch struct {
	Boot  BootID
	Seq   uint64
	Left  []CallsLeft
	Calls []CallEntry
}

// Encode gives the batch its byte form; entries are encoded ones, after another.
func (b *CallBatch) Encode(dst []byte, entries ...[]byte) []byte {
	le := binary.LittleEndian
	dst = append(dst, callMagic...)
	dst = append(dst, b.Boot[:]...)
	dst = le.AppendUint64(dst, b.Seq)
	dst = le.AppendUint32(dst, uint32(len(b.Left)))
	for _, l := range b.Left {
		dst = le.AppendUint32(dst, l.Tenant)
		dst = le.AppendUint32(dst, l.Stage)
		dst = le.AppendUint64(dst, l.Calls)
		dst = le.AppendUint64(dst, l.Lines)
	}
	for i := range b.Calls {
		dst = AppendCall(dst, &b.Calls[i])
	}
	for _, e := range entries {
		dst = append(dst, e...)
	}
	return dst
}

// DecodeCallBatch reads what Encode wrote and refuses anything else. The texts of its
// entries are views of p.
func DecodeCallBatch(p []byte) (*CallBatch, error) {
	if len(p) < callBatch || len(p) > MaxCallBatchBytes || string(p[:4]) != callMagic {
		return nil, fmt.Errorf("model: not a batch of the call log")
	}
	le := binary.LittleEndian
	b := &CallBatch{}
	copy(b.Boot[:], p[4:])
	b.Seq = le.Uint64(p[20:])
	n := int(le.Uint32(p[28:]))
	p = p[callBatch:]
	if n > len(p)/callLeft {
		return nil, fmt.Errorf("model: a batch of the call log does not hold its %d counts", n)
	}
	b.Left = make([]CallsLeft, n)
	for i := range b.Left {
		b.Left[i] = CallsLeft{le.Uint32(p), le.Uint32(p[4:]), le.Uint64(p[8:]), le.Uint64(p[16:])}
		p = p[callLeft:]
	}
	for len(p) > 0 {
		var e CallEntry
		var ok bool
		if p, ok = e.decode(p); !ok {
			return nil, fmt.Errorf("model: entry %d of a batch of the call log is broken", len(b.Calls)+1)
		}
		b.Calls = append(b.Calls, e)
	}
	return b, nil
}

// decode reads one entry and returns what follows it.
func (e *CallEntry) decode(p []byte) ([]byte, bool) {
	if len(p) < callFixed || p[callFixed-1] > 1 {
		return nil, false
	}
	le := binary.LittleEndian
	copy(e.ID[:], p)
	e.Time = int64(le.Uint64(p[16:]))
	e.Tenant, e.Stage, e.Method, e.Key = le.Uint32(p[24:]), le.Uint32(p[28:]), le.Uint32(p[32:]), le.Uint32(p[36:])
	e.Subscription, e.BytesIn, e.BytesOut = le.Uint64(p[40:]), le.Uint64(p[48:]), le.Uint64(p[56:])
	e.Latency, e.Integration = le.Uint32(p[64:]), le.Uint32(p[68:])
	e.Status, e.Flags, e.Canary = le.Uint16(p[72:]), p[74], p[75] == 1
	p = p[callFixed:]
	ok := true
	text := func(most int) []byte {
		if !ok || len(p) < 2 {
			ok = false
			return nil
		}
		n := int(le.Uint16(p))
		if n > most || n > len(p)-2 {
			ok = false
			return nil
		}
		s := p[2 : 2+n : 2+n]
		p = p[2+n:]
		return s
	}
	e.Kind, e.Step, e.Why = string(text(MaxCallName)), string(text(MaxCallName)), string(text(MaxCallWhy))
	e.Verb, e.Path, e.IP = text(MaxCallName), text(MaxCallPath), string(text(MaxCallName))
	e.Agent, e.Principal, e.Trace = text(MaxCallAgent), string(text(MaxCallPrincipal)), text(MaxCallTrace)
	return p, ok
}
