package lambda

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Stream reads what InvokeWithResponseStream answers: messages of the event stream
// encoding, whose payloads together are the function's output, and a last one that says
// how it ended. The encoding is that of Smithy's specification, "Amazon Event Stream".
// A Stream holds one message's headers at most; payloads pass through it.
type Stream struct {
	state   streamState
	held    []byte // of a prelude, of headers or of a final checksum
	want    int    // bytes of held
	left    int    // of the message's payload
	crc     uint32
	isChunk bool
	last    bool
	ending  []byte // the payload of the last message
	err     error
}

type streamState uint8

const (
	atPrelude streamState = iota
	atHeaders
	atPayload
	atChecksum
	atEnd
)

// Bounds of a message. Payloads are not held, but for that of the last.
const (
	maxMessage       = 24 << 20 // as the specification has it
	maxStreamHeaders = 16 << 10
	maxEnding        = 64 << 10
)

// What a stream can fail with.
var (
	errEncoding = errors.New("the function's stream is not in the event stream encoding")
	errCut      = errors.New("the function's stream has ended before its last message")
	// ErrFunction: the function failed while it answered.
	ErrFunction = errors.New("the function has failed")
)

const preludeLen = 12

// Next takes bytes of the stream and gives the next piece of the function's output in
// them, a view of p; it is empty when more bytes are needed. used bytes of p are done
// with. What comes behind an error is the same error.
func (s *Stream) Next(p []byte) (piece []byte, used int, err error) {
	for s.err == nil && used < len(p) {
		in := p[used:]
		switch s.state {
		case atEnd:
			s.err = errEncoding
		case atPayload:
			n := min(len(in), s.left)
			s.crc = crc32.Update(s.crc, crc32.IEEETable, in[:n])
			s.left -= n
			used += n
			if s.left == 0 {
				s.state, s.want = atChecksum, 4
			}
			if s.isChunk {
				if n > 0 {
					return in[:n], used, nil
				}
			} else if len(s.ending)+n <= maxEnding {
				s.ending = append(s.ending, in[:n]...)
			}
		default:
			if s.want == 0 {
				s.want = preludeLen
			}
			n := min(len(in), s.want-len(s.held))
			s.held = append(s.held, in[:n]...)
			used += n
			if len(s.held) == s.want {
				s.whole()
			}
		}
	}
	return nil, used, s.err
}

// whole goes on with a part of a message that is complete.
func (s *Stream) whole() {
	b := s.held
	s.held, s.want = s.held[:0], 0
	switch s.state {
	case atPrelude:
		total, headers := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
		if crc32.ChecksumIEEE(b[:8]) != binary.BigEndian.Uint32(b[8:]) || total > maxMessage || headers > maxStreamHeaders || uint64(total) < uint64(headers)+preludeLen+4 {
			s.err = errEncoding
			return
		}
		s.crc = crc32.ChecksumIEEE(b)
		s.left = int(total - headers - preludeLen - 4)
		s.state, s.want = atHeaders, int(headers)
		if headers == 0 {
			s.err = errEncoding // a message says what it is
		}
	case atHeaders:
		s.crc = crc32.Update(s.crc, crc32.IEEETable, b)
		s.begin(b)
		s.state = atPayload
		if s.left == 0 {
			s.state, s.want = atChecksum, 4
		}
	case atChecksum:
		if binary.BigEndian.Uint32(b) != s.crc {
			s.err = errEncoding
			return
		}
		s.state = atPrelude
		if s.last {
			s.state = atEnd
			s.ended()
		}
	}
}

// begin reads a message's headers: what it is.
func (s *Stream) begin(b []byte) {
	var kind, event, exception string
	for len(b) > 0 {
		n := int(b[0])
		if len(b) < n+2 {
			s.err = errEncoding
			return
		}
		name, typ := string(b[1:1+n]), b[1+n]
		b = b[2+n:]
		size := 0
		switch typ {
		case 0, 1: // true and false
		case 2:
			size = 1
		case 3:
			size = 2
		case 4:
			size = 4
		case 5, 8:
			size = 8
		case 9:
			size = 16
		case 6, 7: // bytes and text
			if len(b) < 2 {
				s.err = errEncoding
				return
			}
			size = int(binary.BigEndian.Uint16(b))
			b = b[2:]
		default:
			s.err = errEncoding
			return
		}
		if len(b) < size {
			s.err = errEncoding
			return
		}
		v := string(b[:size])
		b = b[size:]
		switch name {
		case ":message-type":
			kind = v
		case ":event-type":
			event = v
		case ":exception-type", ":error-code":
			exception = v
		}
	}
	s.isChunk = kind == "event" && event == "PayloadChunk"
	s.last = kind == "event" && event == "InvokeComplete"
	switch {
	case kind == "exception" || kind == "error":
		s.err = fmt.Errorf("%w: %.100q", ErrFunction, exception)
	case kind != "event":
		s.err = errEncoding
	}
	s.ending = s.ending[:0] // an event that is not known here is passed over
}

// ended reads how the function ended.
func (s *Stream) ended() {
	r := reader{in: s.ending}
	code := ""
	ok := len(s.ending) == 0 || r.object(func(name string) bool {
		v, _, ok := r.scalar()
		if name == "ErrorCode" {
			code = string(v)
		}
		return ok
	}) && r.end()
	switch {
	case !ok:
		s.err = errEncoding
	case code != "":
		s.err = fmt.Errorf("%w: %.100q", ErrFunction, code)
	}
}

// Close says whether the stream was complete when no more came.
func (s *Stream) Close() error {
	switch {
	case s.err != nil:
		return s.err
	case s.state != atEnd:
		return errCut
	}
	return nil
}

// MaxPrelude bounds what comes before the body in a function's streamed output, in bytes.
const MaxPrelude = 16 << 10

// Prelude gathers what comes before the body in a function's streamed output: the answer
// as JSON, and eight zero bytes.
type Prelude struct {
	held []byte
	Done bool
}

var delimiter = make([]byte, 8)

// Next takes a piece of the output and gives what of it is the body's. Reply is there
// once Done is true.
func (l *Prelude) Next(piece []byte) (reply Reply, body []byte, err error) {
	from := max(len(l.held)-len(delimiter)+1, 0)
	have := len(l.held)
	l.held = append(l.held, piece[:min(len(piece), MaxPrelude+len(delimiter)-have)]...)
	i := bytes.Index(l.held[from:], delimiter)
	if i < 0 {
		if len(l.held) == MaxPrelude+len(delimiter) {
			return Reply{}, nil, fmt.Errorf("%w: no eight zero bytes end its first %d bytes", ErrMalformed, MaxPrelude)
		}
		return Reply{}, nil, nil
	}
	i += from
	p := parser{reader: reader{in: l.held[:i]}}
	if reply, err = p.parse(true); err != nil {
		return Reply{}, nil, err
	}
	l.Done = true
	return reply, piece[i+len(delimiter)-have:], nil
}
