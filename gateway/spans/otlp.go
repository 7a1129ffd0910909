package spans

import (
	"encoding/binary"
	"strings"
)

// Kind is who began a span's work, numbered as in OTLP.
type Kind uint8

const (
	Internal Kind = 1
	Server   Kind = 2
	Client   Kind = 3
)

// Span is one that has ended.
type Span struct {
	Trace      TraceID
	ID, Parent SpanID // no Parent: it is the trace's first
	Remote     bool   // Parent is another process's
	Name       string
	Kind       Kind
	Start, End int64 // nanoseconds since 1970
	Failed     bool
	Attributes []Attribute
}

// Attribute is a text, or a number where that is empty.
type Attribute struct {
	Key, Text string
	Number    int64
}

// maxText bounds a text in a span, in bytes.
const maxText = 1024

// The request is protobuf as opentelemetry/proto/trace/v1/trace.proto has it: fields
// with their numbers, messages and texts behind their lengths.
const (
	varint  = 0
	fixed64 = 1
	bytesOf = 2
	fixed32 = 5
)

func tag(dst []byte, field, wire int) []byte {
	return binary.AppendUvarint(dst, uint64(field)<<3|uint64(wire))
}

func appendBytes(dst []byte, field int, v []byte) []byte {
	return append(binary.AppendUvarint(tag(dst, field, bytesOf), uint64(len(v))), v...)
}

func appendText(dst []byte, field int, v string) []byte {
	if len(v) > maxText {
		v = v[:maxText]
	}
	v = strings.ToValidUTF8(v, "\uFFFD")
	return append(binary.AppendUvarint(tag(dst, field, bytesOf), uint64(len(v))), v...)
}

// message appends what body appends, as a field that is a message.
func message(dst []byte, field int, body func([]byte) []byte) []byte {
	return appendBytes(dst, field, body(nil))
}

func appendAttribute(dst []byte, field int, a *Attribute) []byte {
	return message(dst, field, func(b []byte) []byte {
		b = appendText(b, 1, a.Key)
		return message(b, 2, func(v []byte) []byte {
			if a.Text != "" {
				return appendText(v, 1, a.Text)
			}
			return binary.AppendUvarint(tag(v, 3, varint), uint64(a.Number))
		})
	})
}

// Flags of a span: sampled, as none else is sent, and whether its parent is remote, which
// is known.
const (
	flagsLocal  = 0x001 | 0x100
	flagsRemote = flagsLocal | 0x200
)

func (s *Span) append(dst []byte) []byte {
	return message(dst, 2, func(b []byte) []byte {
		b = appendBytes(b, 1, s.Trace[:])
		b = appendBytes(b, 2, s.ID[:])
		if s.Parent != (SpanID{}) {
			b = appendBytes(b, 4, s.Parent[:])
		}
		b = appendText(b, 5, s.Name)
		b = binary.AppendUvarint(tag(b, 6, varint), uint64(s.Kind))
		b = binary.LittleEndian.AppendUint64(tag(b, 7, fixed64), uint64(s.Start))
		b = binary.LittleEndian.AppendUint64(tag(b, 8, fixed64), uint64(max(s.End, s.Start)))
		for i := range s.Attributes {
			b = appendAttribute(b, 9, &s.Attributes[i])
		}
		if s.Failed {
			b = message(b, 15, func(v []byte) []byte { return binary.AppendUvarint(tag(v, 3, varint), 2) })
		}
		flags := uint32(flagsLocal)
		if s.Remote {
			flags = flagsRemote
		}
		return binary.LittleEndian.AppendUint32(tag(b, 16, fixed32), flags)
	})
}

// request is the body of one export: everything is of one resource and one scope.
func request(resource []Attribute, version string, calls [][]Span) []byte {
	return message(nil, 1, func(b []byte) []byte {
		b = message(b, 1, func(r []byte) []byte {
			for i := range resource {
				r = appendAttribute(r, 1, &resource[i])
			}
			return r
		})
		return message(b, 2, func(s []byte) []byte {
			s = message(s, 1, func(scope []byte) []byte {
				return appendText(appendText(scope, 1, "tollgate/gateway"), 2, version)
			})
			for _, c := range calls {
				for i := range c {
					s = c[i].append(s)
				}
			}
			return s
		})
	})
}

// rejected is how many spans a collector says that it did not take, in the body of an
// answer with status 200.
func rejected(body []byte) uint64 {
	partial, _ := field(body, 1)
	_, n := field(partial, 1)
	return n
}

// field finds a message's first field of that number: its bytes, or its varint. What is
// no protobuf has none.
func field(b []byte, number uint64) ([]byte, uint64) {
	for len(b) > 0 {
		key, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, 0
		}
		b = b[n:]
		var v uint64
		var bytes []byte
		switch key & 7 {
		case varint, bytesOf:
			if v, n = binary.Uvarint(b); n <= 0 {
				return nil, 0
			}
			if b = b[n:]; key&7 == bytesOf {
				if v > uint64(len(b)) {
					return nil, 0
				}
				bytes, b = b[:v], b[v:]
			}
		case fixed64, fixed32:
			size := map[uint64]int{fixed64: 8, fixed32: 4}[key&7]
			if len(b) < size {
				return nil, 0
			}
			b = b[size:]
		default:
			return nil, 0
		}
		if key>>3 == number {
			return bytes, v
		}
	}
	return nil, 0
}
