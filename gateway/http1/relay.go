package http1

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// relay is the way back: x.Up[:n] holds the answer's head and the first of its
// body.
func (x *Exchange) relay(c *upConn, n int, extra []byte, timeout time.Duration) Failure {
	r := &x.Response
	if x.Heard != nil {
		x.Heard()
	}
	if x.Without != "" {
		r.without(x.Up, x.Without)
	}
	d := download{x: x, c: c, timeout: timeout, off: r.HeadLen, end: n}
	if x.Most > 0 {
		d.timeout, d.until = x.Idle, x.Begun+int64(x.Most)
	}
	asGet := []byte("GET")
	unasked := bodiless(x.Request.Method.Of(x.In), r.Code) // the client gets no body
	unsent := bodiless(asGet, r.Code) || x.upHead          // the upstream sends none
	d.empty = unsent && !unasked
	switch {
	case unasked || unsent:
		d.mode = bodyNone
	case r.Chunked:
		d.mode = bodyChunked
	case r.ContentLength >= 0:
		d.mode, d.left = bodyLength, r.ContentLength
	default:
		d.mode = bodyEOF
	}
	p, done, err := d.first()
	if err != nil {
		x.dropUpstream()
		return NoAnswer
	}
	d.unasked, d.unsent = unasked, unsent
	if x.l != nil && !done {
		x.ask.down, x.ask.piece, x.parked = d, p, relaying
		return Parked
	}
	return d.answer(p, done, extra)
}

// answer sends what came and what is still to come of the answer.
func (d *download) answer(p []byte, done bool, extra []byte) Failure {
	x, r, c := d.x, &d.x.Response, d.c
	var err error
	x.shut = x.shut || x.s.draining.Load() || x.Request.Close || !x.body.done
	x.sent = true
	if x.h2 != nil {
		err = d.runH2(extra, p, done)
	} else {
		err = d.runH1(extra, p, done)
	}
	if err == nil && d.mode != bodyEOF && !r.Close && d.off == d.end && x.body.done && (d.unsent || !d.unasked) {
		x.up = nil
		if x.Ended == 0 {
			x.Ended = Now()
		}
		c.pool.put(c, x.Ended)
	} else {
		x.dropUpstream()
	}
	switch {
	case err == nil:
		return None
	case errors.Is(err, errUnrecorded):
		x.sent = false
		return Unrecorded
	}
	x.shut, x.broken = true, true
	return Broken
}

var errUnrecorded = errors.New("http1: call could not be recorded")

// download moves an answer's body to the client in pieces of at most one buffer,
// reading on only when the last piece was taken: the client's pace is the
// upstream's.
type download struct {
	x        *Exchange
	c        *upConn
	timeout  time.Duration
	until    int64 // the whole has to be there; 0: whenever it is
	mode     bodyMode
	chunked  Chunked
	off, end int   // unread bytes in x.Up
	left     int64 // bodyLength: bytes still to come
	out      int64 // bytes handed to the client
	noted    int64 // out at the last Progress
	unasked  bool  // the client gets no body
	unsent   bool  // the upstream sends none
	empty    bool  // the upstream was asked for less than the client: the body is empty
}

func (d *download) runH1(extra, first []byte, done bool) error {
	x := d.x
	out := d.head(x.Out[:0], extra, first, done)
	if !done {
		return d.stream(out, first)
	}
	out = append(out, first...)
	x.Out = out
	if d.record(Whole, int64(len(out))) != nil {
		return errUnrecorded
	}
	return x.c.write(out)
}

// first takes what came with the head. A chunked body that is complete already
// is put together in place and sent on with its length.
func (d *download) first() (p []byte, done bool, err error) {
	x := d.x
	switch d.mode {
	case bodyNone:
		return nil, true, nil
	case bodyLength:
		p = x.Up[d.off:d.end]
		if int64(len(p)) > d.left {
			p = p[:d.left]
		}
		d.off += len(p)
		d.left -= int64(len(p))
		return p, d.left == 0, nil
	case bodyChunked:
		if p, err = d.gather(); err != nil {
			return nil, false, err
		}
		return p, d.chunked.Done() && len(d.chunked.Trailer) == 0, nil
	}
	p = x.Up[d.off:d.end]
	d.off = d.end
	return p, false, nil
}

// gather decodes the chunks that are in x.Up.
func (d *download) gather() ([]byte, error) {
	w := d.x.Up[d.off:d.end]
	n, used, err := d.chunked.gather(w)
	if err != nil {
		return nil, err
	}
	d.off += used
	return w[:n], nil
}

// head appends the answer's head. Framing is ours: a length when it is known,
// chunks for HTTP/1.1, the end of the connection for HTTP/1.0.
func (d *download) head(out, extra, first []byte, done bool) []byte {
	x, r := d.x, &d.x.Response
	out = append(out, "HTTP/1.1"...)
	line := x.Up[8:r.HeadLen]
	i := 0
	for line[i] != '\n' {
		i++
	}
	out = append(out, line[:i+1]...)
	out = appendFields(out, x.Up, r.Fields[:r.N])
	if r.Remapped {
		out = r.appendRemapped(out, x.Up)
	}
	out = append(out, *x.s.sweep.date.Load()...)
	out = append(out, extra...)
	switch {
	case d.empty && r.Code != 204 && r.Code != 304:
		out = append(out, "Content-Length: 0\r\n"...)
	case d.mode == bodyNone:
		if r.ContentLength >= 0 && r.Code != 204 { // what a GET would have had
			out = append(out, "Content-Length: "...)
			out = appendInt(out, r.ContentLength)
			out = append(out, '\r', '\n')
		}
	case d.mode == bodyLength || done:
		out = append(out, "Content-Length: "...)
		out = appendInt(out, d.left+int64(len(first)))
		out = append(out, '\r', '\n')
	case x.Request.HTTP10:
		x.shut = true
	default:
		out = append(out, "Transfer-Encoding: chunked\r\n"...)
	}
	if x.shut {
		out = append(out, "Connection: close\r\n"...)
	}
	return append(out, '\r', '\n')
}

func (d *download) record(ph Phase, out int64) error {
	if d.x.Rec == nil {
		return nil
	}
	return d.x.Rec.Record(d.x, ph, d.x.Response.Code, out)
}

// stream sends head and body piece by piece.
func (d *download) stream(out, p []byte) error {
	x := d.x
	framed := d.mode != bodyLength && !x.Request.HTTP10
	d.out = int64(len(out) + len(p))
	x.Out = out // the Recorder may look at the head
	if d.record(First, d.out) != nil {
		return errUnrecorded
	}
	done := false
	for {
		out = d.piece(out, p, framed)
		if done {
			if framed {
				out = append(out, "0\r\n"...)
				out = append(out, d.chunked.Trailer...)
				out = append(out, '\r', '\n')
			}
			if err := d.record(Last, d.out); err != nil {
				return err
			}
		} else if d.out-d.noted >= progressEvery {
			d.noted = d.out
			if err := d.record(Progress, d.out); err != nil {
				return err
			}
		}
		if len(out) > 0 {
			if err := x.c.write(out); err != nil {
				if !done { // else it is on record already
					_ = d.record(Last, d.out)
				}
				return err
			}
		}
		out = out[:0]
		x.Out = out
		if done {
			return nil
		}
		var err error
		if p, done, err = d.more(); err != nil {
			return d.fail(err)
		}
		d.out += int64(len(p))
	}
}

func (d *download) piece(out, p []byte, framed bool) []byte {
	if len(p) == 0 {
		return out
	}
	if framed {
		out = appendChunkHead(out, len(p))
		out = append(out, p...)
		return append(out, '\r', '\n')
	}
	return append(out, p...)
}

// fail ends a call whose answer cannot be completed. What was sent was sent: it
// is recorded as such.
func (d *download) fail(err error) error {
	_ = d.record(Last, d.out)
	return err
}

// more reads the next piece of the body; done with the last one.
func (d *download) more() (p []byte, done bool, err error) {
	x := d.x
	for {
		if d.mode == bodyChunked {
			if d.chunked.Done() {
				return nil, true, nil
			}
			if p, err = d.gather(); err != nil {
				return nil, false, err
			}
			if d.chunked.Done() || len(p) > 0 {
				return p, d.chunked.Done(), nil
			}
		}
		if len(x.Up) < upstreamBuffer {
			up := make([]byte, upstreamBuffer)
			copy(up, x.Up[d.off:d.end])
			x.Up = up
			d.off, d.end = 0, d.end-d.off
		} else {
			d.end = copy(x.Up, x.Up[d.off:d.end])
			d.off = 0
		}
		now, wait := Now(), d.timeout
		if d.until != 0 {
			if wait = min(wait, time.Duration(d.until-now)); wait <= 0 {
				return nil, false, errUpstream
			}
		}
		d.c.arm(now, wait)
		room := x.Up[d.end:]
		if d.mode == bodyLength && int64(len(room)) > d.left {
			room = room[:d.left]
		}
		n, err := d.c.read(room)
		if n == 0 {
			if err == io.EOF && d.mode == bodyEOF {
				return nil, true, nil
			}
			return nil, false, errUpstream
		}
		d.end += n
		switch d.mode {
		case bodyLength:
			d.left -= int64(n)
			p = x.Up[:d.end]
			d.off = d.end
			return p, d.left == 0, nil
		case bodyEOF:
			d.off = d.end
			return x.Up[:d.end], false, nil
		}
	}
}

// runH2 sends the answer through net/http.
func (d *download) runH2(extra, p []byte, done bool) error {
	x, r, w := d.x, &d.x.Response, d.x.h2.w
	for i := range r.Fields[:r.N] {
		switch f := &r.Fields[i]; {
		case f.Remap:
			w.Header().Add(Remapped+string(f.Name.Of(x.Up)), string(f.Value.Of(x.Up)))
		case !f.Hop:
			w.Header().Add(string(f.Name.Of(x.Up)), string(f.Value.Of(x.Up)))
		}
	}
	x.h2.setLines(extra)
	switch {
	case d.empty:
	case r.ContentLength >= 0 && r.Code != 204:
		w.Header().Set("Content-Length", string(appendInt(nil, r.ContentLength)))
	}
	d.out = int64(r.HeadLen + len(p))
	ph := First
	if done {
		ph = Whole
	}
	if d.record(ph, d.out) != nil {
		clear(w.Header())
		return errUnrecorded
	}
	w.WriteHeader(r.Code)
	for {
		_ = x.h2.rc.SetWriteDeadline(time.Now().Add(x.s.o.BodyTimeout))
		if len(p) > 0 {
			if _, err := w.Write(p); err != nil {
				if ph == First && !done {
					_ = d.record(Last, d.out)
				}
				return err
			}
		}
		if done {
			return nil
		}
		_ = x.h2.rc.Flush()
		var err error
		if p, done, err = d.more(); err != nil {
			return d.fail(err)
		}
		d.out += int64(len(p))
		switch {
		case done:
			err = d.record(Last, d.out)
			x.h2.trailers(d.chunked.Trailer)
		case d.out-d.noted >= progressEvery:
			d.noted = d.out
			err = d.record(Progress, d.out)
		}
		if err != nil {
			return err
		}
	}
}

// trailers become HTTP/2 trailers, which net/http takes by prefix.
func (h *h2call) trailers(lines []byte) {
	var r Response
	lines = append(append([]byte("HTTP/1.1 200 \r\n"), lines...), '\r', '\n')
	if r.Parse(lines, len(lines)) != nil {
		return
	}
	for _, f := range r.Fields[:r.N] {
		h.w.Header().Add(http.TrailerPrefix+string(f.Name.Of(lines)), string(f.Value.Of(lines)))
	}
}
