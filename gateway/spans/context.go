// Package spans takes the gateway's part in distributed traces: the trace contexts of
// W3C and of Amazon X-Ray in headers, which calls are sampled, and the export of their
// spans by OTLP over HTTP to the operator's collector.
//
// The OpenTelemetry SDK with its exporter would add 6 MB to a node, gRPC among them, and
// allocates for every span it starts. What a gateway needs of both is here: a call that
// is not sampled costs a few copies.
package spans

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
)

type (
	TraceID [16]byte
	SpanID  [8]byte
)

// Context is a place in a trace, as headers have it.
type Context struct {
	Trace   TraceID
	Span    SpanID // zero: the trace has no span yet
	Sampled bool
	Decided bool // Sampled says something: whoever began the trace has decided
}

const parentLen = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")

// ParseTraceparent reads a value of the W3C recommendation's version 00, or what of a
// later version is the same. false: it is to be taken for none.
func ParseTraceparent(v []byte) (c Context, ok bool) {
	if len(v) < parentLen || v[2] != '-' || v[35] != '-' || v[52] != '-' {
		return Context{}, false
	}
	var version, flags [1]byte
	if !lowerHex(version[:], v[:2]) || version[0] == 0xff || version[0] == 0 && len(v) > parentLen || len(v) > parentLen && v[parentLen] != '-' ||
		!lowerHex(c.Trace[:], v[3:35]) || !lowerHex(c.Span[:], v[36:52]) || !lowerHex(flags[:], v[53:55]) ||
		c.Trace == (TraceID{}) || c.Span == (SpanID{}) {
		return Context{}, false
	}
	c.Sampled, c.Decided = flags[0]&1 != 0, true
	return c, true
}

// AppendTraceparent appends the header's value. Of flags it knows sampled only.
func (c *Context) AppendTraceparent(dst []byte) []byte {
	dst = hex.AppendEncode(append(dst, "00-"...), c.Trace[:])
	dst = hex.AppendEncode(append(dst, '-'), c.Span[:])
	if c.Sampled {
		return append(dst, "-01"...)
	}
	return append(dst, "-00"...)
}

// ParseAmazon reads the value of an X-Amzn-Trace-Id: Root, and Parent and Sampled where
// they are. false: it has no root, and no trace can be continued.
func ParseAmazon(v []byte) (c Context, ok bool) {
	for len(v) > 0 {
		var name, value []byte
		name, value, v = nextPair(v)
		switch string(name) {
		case "Root":
			if len(value) != 35 || value[0] != '1' || value[1] != '-' || value[10] != '-' ||
				!lowerHex(c.Trace[:4], value[2:10]) || !lowerHex(c.Trace[4:], value[11:]) || c.Trace == (TraceID{}) {
				return Context{}, false
			}
			ok = true
		case "Parent":
			if len(value) != 16 || !lowerHex(c.Span[:], value) {
				c.Span = SpanID{}
			}
		case "Sampled": // "?" leaves it to those who come after
			c.Sampled, c.Decided = string(value) == "1", string(value) == "1" || string(value) == "0"
		}
	}
	if !ok {
		return Context{}, false
	}
	return c, true
}

// maxCarried bounds, in bytes, what of a caller's X-Amzn-Trace-Id goes on besides its
// place in the trace.
const maxCarried = 256

// AppendAmazon appends the header's value for the same place in the trace; what else is
// in one that came, nil for none, goes on.
func (c *Context) AppendAmazon(dst, came []byte) []byte {
	dst = hex.AppendEncode(append(dst, "Root=1-"...), c.Trace[:4])
	dst = hex.AppendEncode(append(dst, '-'), c.Trace[4:])
	if c.Span != (SpanID{}) {
		dst = hex.AppendEncode(append(dst, ";Parent="...), c.Span[:])
	}
	if c.Sampled {
		dst = append(dst, ";Sampled=1"...)
	} else {
		dst = append(dst, ";Sampled=0"...)
	}
	for most := len(dst) + maxCarried; len(came) > 0; {
		var name, value []byte
		name, value, came = nextPair(came)
		switch string(name) {
		case "", "Root", "Parent", "Sampled", "Self":
			continue
		}
		if len(dst)+len(name)+len(value)+2 > most {
			break
		}
		dst = append(append(append(append(dst, ';'), name...), '='), value...)
	}
	return dst
}

// nextPair splits the first name=value off a list with semicolons.
func nextPair(v []byte) (name, value, rest []byte) {
	pair := v
	if i := bytes.IndexByte(v, ';'); i >= 0 {
		pair, rest = v[:i], v[i+1:]
	}
	name, value, _ = bytes.Cut(bytes.Trim(pair, " \t"), []byte{'='})
	return name, value, rest
}

// lowerHex decodes src, of twice dst's length, which may have no capitals.
func lowerHex(dst, src []byte) bool {
	for i := range dst {
		hi, lo := nibble(src[2*i]), nibble(src[2*i+1])
		if hi > 15 || lo > 15 {
			return false
		}
		dst[i] = hi<<4 | lo
	}
	return true
}

func nibble(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

// NewTraceID begins a trace. Like X-Ray's its first four bytes are the time, in seconds
// since 1970.
func NewTraceID(unix int64) (id TraceID) {
	binary.BigEndian.PutUint32(id[:], uint32(unix))
	binary.BigEndian.PutUint32(id[4:], rand.Uint32())
	binary.BigEndian.PutUint64(id[8:], rand.Uint64())
	return id
}

// NewSpanID is the id of a call's first span, of three that NewSpanID has room for.
func NewSpanID() (id SpanID) {
	binary.BigEndian.PutUint64(id[:], rand.Uint64()&^3|1)
	return id
}

// Next is the id of the call's nth span after this, its first; n is 1 or 2.
func (id SpanID) Next(n byte) SpanID {
	id[7] += n
	return id
}
