package http1

import (
	"bytes"
	"errors"
	"io"
	"time"
)

// ReadBody appends the whole request body, of at most most bytes, to dst. It waits, so
// MayBlock must say that it may.
func (x *Exchange) ReadBody(dst []byte, most int64) ([]byte, Failure) {
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
		dst = append(dst, p...)
	}
}

// Fetch sends a request of the handler's own, head and body in one, and reads the
// answer's body, which may have most bytes, into dst. head is called once x.Response is
// there, whose spans are of x.Up, and may refuse the answer before its body is read. The
// request's own body was read before, or is left unread. Fetch waits: see MayBlock.
func (x *Exchange) Fetch(p *Pool, req, dst []byte, most int64, timeout time.Duration, head func() bool) ([]byte, Failure) {
	f := x.Pull(p, req, timeout, timeout, head, func(piece []byte) bool {
		if int64(len(dst)+len(piece)) > most {
			return false
		}
		dst = append(dst, piece...)
		return true
	})
	return dst, f
}

// Pull is Fetch for an answer that is not kept: take gets its body piece by piece, each
// good until it returns, and may refuse the rest. The next piece is read when take has
// returned. timeout bounds the wait for the head, idle each wait for more of the body.
func (x *Exchange) Pull(p *Pool, req []byte, timeout, idle time.Duration, head func() bool, take func(piece []byte) bool) Failure {
	method, _, _ := bytes.Cut(req, []byte{' '})
	x.upHead, x.upAgain = string(method) == "HEAD", idempotent(method)
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
	d := download{x: x, c: c, timeout: idle, off: r.HeadLen, end: n}
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
		late := c.watch.due()
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
