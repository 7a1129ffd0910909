package http1

import "bytes"

// Chunked decodes a chunked body without I/O: feed it bytes, get views of data.
// It refuses everything two decoders could read differently: bare LF, signs,
// blanks around sizes, overlong lines, surplus bytes after a chunk.
type Chunked struct {
	state   chunkState
	left    int64  // bytes of the current chunk still to come
	Trailer []byte // checked trailer lines, each with CRLF; kept until Reset
	scanned int    // trailer bytes seen, dropped ones included
}

type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkData
	chunkEnd
	chunkTrailer
	chunkDone
)

const (
	maxChunkLine = 256
	maxTrailer   = 4096
)

var (
	errChunk   = &ParseError{400, "malformed chunk"}
	errTrailer = &ParseError{400, "malformed trailer"}
)

// Reset makes the decoder ready for another body.
func (c *Chunked) Reset() { *c = Chunked{Trailer: c.Trailer[:0]} }

// Done reports that the last chunk and the trailer have been read.
func (c *Chunked) Done() bool { return c.state == chunkDone }

// Next reads from src. It returns a view of body data (possibly empty) and how
// much of src is used up. When nothing was used, it needs more bytes than src
// holds, unless Done.
func (c *Chunked) Next(src []byte) (data []byte, used int, err *ParseError) {
	for used < len(src) || c.state == chunkDone {
		b := src[used:]
		switch c.state {
		case chunkDone:
			return nil, used, nil
		case chunkData:
			n := int64(len(b))
			if n > c.left {
				n = c.left
			}
			c.left -= n
			if c.left == 0 {
				c.state = chunkEnd
			}
			return b[:n], used + int(n), nil
		case chunkEnd:
			if b[0] != '\r' || (len(b) > 1 && b[1] != '\n') {
				return nil, used, errChunk
			}
			if len(b) == 1 {
				return nil, used, nil
			}
			used += 2
			c.state = chunkSize
		case chunkSize:
			n, e := c.size(b)
			if e != nil || n == 0 {
				return nil, used, e
			}
			used += n
		case chunkTrailer:
			n, e := c.trailer(b)
			if e != nil || n == 0 {
				return nil, used, e
			}
			used += n
		}
	}
	return nil, used, nil
}

// gather decodes as much of w as it can and puts the data together at w's start.
func (c *Chunked) gather(w []byte) (n, used int, err *ParseError) {
	for !c.Done() {
		data, k, e := c.Next(w[used:])
		if e != nil {
			return 0, 0, e
		}
		if k == 0 {
			break
		}
		n += copy(w[n:], data)
		used += k
	}
	return n, used, nil
}

// size reads a chunk's first line; 0 used means more bytes are needed.
func (c *Chunked) size(b []byte) (int, *ParseError) {
	nl := bytes.IndexByte(b, '\n')
	if nl < 0 {
		if len(b) > maxChunkLine {
			return 0, errChunk
		}
		return 0, nil
	}
	if nl < 2 || nl > maxChunkLine || b[nl-1] != '\r' {
		return 0, errChunk
	}
	line := b[:nl-1]
	var n int64
	i := 0
	for i < len(line) {
		d, ok := unhex(line[i])
		if !ok {
			break
		}
		if i == 15 {
			return 0, errChunk
		}
		n = n<<4 | int64(d)
		i++
	}
	if i == 0 || !extensions(line[i:]) {
		return 0, errChunk
	}
	c.left = n
	c.state = chunkData
	if n == 0 {
		c.state = chunkTrailer
	}
	return nl + 1, nil
}

// extensions checks what follows a size. It is ignored, as RFC 9112 §7.1.1 asks,
// but has to be *(";" token ["=" (token / quoted string)]), without blanks.
func extensions(b []byte) bool {
	for len(b) > 0 {
		n := 1
		for n < len(b) && class[b[n]]&isToken != 0 {
			n++
		}
		if b[0] != ';' || n == 1 {
			return false
		}
		if b = b[n:]; len(b) == 0 || b[0] != '=' {
			continue
		}
		b = b[1:]
		n = 0
		if len(b) > 0 && b[0] == '"' {
			n = quoted(b)
		} else {
			for n < len(b) && class[b[n]]&isToken != 0 {
				n++
			}
		}
		if n == 0 {
			return false
		}
		b = b[n:]
	}
	return true
}

// quoted is the length of the quoted string at the start of b, 0 if there is none.
func quoted(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch {
		case class[b[i]]&isValue == 0:
			return 0
		case b[i] == '"':
			return i + 1
		case b[i] == '\\':
			if i++; i == len(b) || class[b[i]]&isValue == 0 {
				return 0
			}
		}
	}
	return 0
}

// trailer reads one trailer line; 0 used means more bytes are needed.
func (c *Chunked) trailer(b []byte) (int, *ParseError) {
	end, e := lineEnd(b, 0)
	if e == ErrMore {
		if len(b) > maxTrailer {
			return 0, errTrailer
		}
		return 0, nil
	}
	if e != nil {
		return 0, errTrailer
	}
	if end == 0 {
		c.state = chunkDone
		return 2, nil
	}
	c.scanned += end + 2
	if c.scanned > maxTrailer {
		return 0, errTrailer
	}
	var f Field
	if parseField(b, 0, end, &f) != nil {
		return 0, errTrailer
	}
	if trailerAllowed(f.Name.Of(b)) {
		c.Trailer = append(c.Trailer, b[:end+2]...)
	}
	return end + 2, nil
}

// trailerAllowed refuses fields that a receiver might act on as if they had been
// in the head (RFC 9110 §6.5.1): framing, routing, authentication, content.
func trailerAllowed(name []byte) bool {
	switch len(name) {
	case 2:
		return !EqualFold(name, "te")
	case 4:
		return !EqualFold(name, "host")
	case 6:
		return !EqualFold(name, "cookie") && !EqualFold(name, "expect")
	case 7:
		return !EqualFold(name, "trailer") && !EqualFold(name, "upgrade")
	case 9:
		return !EqualFold(name, "x-api-key")
	case 10:
		return !EqualFold(name, "connection") && !EqualFold(name, "set-cookie") && !EqualFold(name, "keep-alive")
	case 12:
		return !EqualFold(name, "content-type")
	case 13:
		return !EqualFold(name, "authorization") && !EqualFold(name, "cache-control") && !EqualFold(name, "content-range")
	case 14:
		return !EqualFold(name, "content-length")
	case 15:
		return !EqualFold(name, "x-forwarded-for")
	case 16:
		return !EqualFold(name, "content-encoding") && !EqualFold(name, "proxy-connection")
	case 17:
		return !EqualFold(name, "transfer-encoding") && !EqualFold(name, "x-forwarded-proto")
	}
	return true
}

func unhex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// appendChunkHead appends the size line of a chunk of n bytes.
func appendChunkHead(dst []byte, n int) []byte {
	const digits = "0123456789abcdef"
	var t [16]byte
	i := len(t)
	for {
		i--
		t[i] = digits[n&15]
		n >>= 4
		if n == 0 {
			break
		}
	}
	dst = append(dst, t[i:]...)
	return append(dst, '\r', '\n')
}

func appendInt(dst []byte, v int64) []byte {
	var t [20]byte
	i := len(t)
	for {
		i--
		t[i] = byte('0' + v%10)
		v /= 10
		if v == 0 {
			return append(dst, t[i:]...)
		}
	}
}
