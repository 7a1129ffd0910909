package http1

import (
	"bytes"
	"errors"
	"io"
	"time"
)

// ReadBody appends the whole request body, of at most most bytes, to dst. more is asked for
// the memory that dst does not have, as the body comes; where it says no, the body is
// TooLarge. It waits, so MayBlock must say that it may.
func (x *Exchange) ReadBody(dst []byte, most int64, more func(n int64) bool) ([]byte, Failure) {
	if x.Request.ContentLength > most {
		return dst, TooLarge
	}
	for {
		p, err := x.NextBody()
		switch {
		case err == io.EOF:
			return dst, None
		case errors.Is(err, ErrTooLarge):
			return dst, TooLarge
		case errors.Is(err, errBody):
			return dst, BadBody
		case err != nil:
			return dst, ClientWent
		}
		if int64(len(dst)+len(p)) > most {
			return dst, TooLarge
		}
		var ok bool
		if dst, ok = grow(dst, len(p), more); !ok {
			return dst, TooLarge
		}
		dst = append(dst, p...)
	}
}

// grow makes room in b for n bytes, of memory that is asked for.
func grow(b []byte, n int, more func(n int64) bool) ([]byte, bool) {
	if len(b)+n <= cap(b) {
		return b, true
	}
	room := max(2*cap(b), len(b)+n)
	if !more(int64(room)) {
		return b, false
	}
	return append(make([]byte, 0, room), b...), true
}

// Fetch sends a request of the handler's own, head and body in one, and reads the
// answer's body, which may have most bytes, into dst. head is called once x.Response is
// there, whose spans are of x.Up, and may refuse the answer before its body is read. The
// request's own body was read before, or is left unread. more is asked for the memory that
// dst does not have, as the answer comes; where it says no, the rest is refused. The whole
// answer has to be there within timeout. Fetch waits: see MayBlock.
func (x *Exchange) Fetch(p *Pool, req, dst []byte, most int64, timeout time.Duration, head func() bool, more func(n int64) bool) ([]byte, Failure) {
	f := x.pull(p, req, timeout, timeout, Now()+int64(timeout), head, func(piece []byte) bool {
		if int64(len(dst)+len(piece)) > most {
			return false
		}
		var ok bool
		if dst, ok = grow(dst, len(piece), more); ok {
			dst = append(dst, piece...)
		}
		return ok
	})
	return dst, f
}

// Pull is Fetch for an answer that is not kept: take gets its body piece by piece, each
// good until it returns, and may refuse the rest. The next piece is read when take has
// returned. timeout bounds the wait for the head, idle each wait for more of the body.
func (x *Exchange) Pull(p *Pool, req []byte, timeout, idle time.Duration, head func() bool, take func(piece []byte) bool) Failure {
	return x.pull(p, req, timeout, idle, 0, head, take)
}

// pull is Pull for an answer that has to be there until a point in time; 0: whenever it is.
func (x *Exchange) pull(p *Pool, req []byte, timeout, idle time.Duration, until int64, head func() bool, take func(piece []byte) bool) Failure {
	method, _, _ := bytes.Cut(req, []byte{' '})
	x.upHead, x.upAgain = string(method) == "HEAD", idempotent(method)
	x.Asked, x.Got = Now(), 0
	defer func() { x.Got = Now() }()
	c, n, f := x.exchange(p, req, false, timeout)
	if f != None {
		return f
	}
	if x.rejects() {
		return Rejected
	}
	r := &x.Response
	if !head() {
		x.dropUpstream()
		return NoAnswer
	}
	d := download{x: x, c: c, timeout: idle, until: until, off: r.HeadLen, end: n}
	switch {
	case bodiless([]byte("GET"), r.Code) || x.upHead:
		d.mode = bodyNone
	case r.Chunked:
		d.mode = bodyChunked
	case r.ContentLength >= 0:
		d.mode, d.left = bodyLength, r.ContentLength
	default:
		d.mode = bodyEOF
	}
	piece, done, err := d.first()
	if err == nil && d.mode == bodyChunked {
		done = d.chunked.Done()
	}
	for err == nil {
		if len(piece) > 0 && !take(piece) {
			x.dropUpstream()
			return NoAnswer
		}
		if done {
			break
		}
		piece, done, err = d.more()
	}
	if err != nil {
		late := c.watch.due() || until != 0 && Now() >= until
		x.dropUpstream()
		if late {
			return Timeout
		}
		return NoAnswer
	}
	if d.mode != bodyEOF && !r.Close && d.off == d.end {
		x.up = nil
		c.used, c.since, c.x, c.req = true, Now(), nil, nil
		c.watch.deadline.Store(0)
		c.pool.rest(c) // where the next Fetch looks, not with a loop
	} else {
		x.dropUpstream()
	}
	return None
}
