package http1

import "time"

// outgoing is an answer that the handler sends piece by piece.
type outgoing struct {
	status int
	sent   int64 // bytes of head and body
	noted  int64 // sent at the last Progress
	mute   bool  // the client gets no body
	framed bool  // pieces are chunks
}

// Begin answers the call with a body that is not there yet: Push sends each piece, and
// Finish ends it. head is as in Reply. When the call cannot be recorded, nothing is sent
// and Reply may be called. After any other error the answer is over.
func (x *Exchange) Begin(status int, head []byte) error {
	o := &x.out
	*o = outgoing{status: status, mute: bodiless(x.Request.Method.Of(x.In), status)}
	x.sent = true
	if x.h2 != nil {
		return x.h2.begin(x, head)
	}
	out := appendStatus(x.Out[:0], status)
	out = append(out, *x.s.sweep.date.Load()...)
	out = append(out, head...)
	o.framed = !o.mute && !x.Request.HTTP10
	if o.framed {
		out = append(out, "Transfer-Encoding: chunked\r\n"...)
	}
	if !x.rest() || x.Request.Close || x.shut || x.s.draining.Load() || !o.mute && !o.framed {
		out = append(out, "Connection: close\r\n"...)
		x.shut = true
	}
	out = append(out, '\r', '\n')
	x.Out = out
	o.sent = int64(len(out))
	if err := x.note(First); err != nil {
		x.sent = false
		return err
	}
	return x.written(x.c.write(out))
}

// Push sends a piece of the body that Begin has begun. It returns when the client has
// taken it, or as much of it as its connection holds.
func (x *Exchange) Push(p []byte) error {
	o := &x.out
	if o.mute || len(p) == 0 {
		return nil
	}
	o.sent += int64(len(p))
	if o.sent-o.noted >= progressEvery {
		o.noted = o.sent
		if err := x.note(Progress); err != nil {
			return x.written(err)
		}
	}
	if x.h2 != nil {
		return x.written(x.h2.push(p))
	}
	out := x.Out[:0]
	if o.framed {
		out = append(append(appendChunkHead(out, len(p)), p...), '\r', '\n')
	} else {
		out = append(out, p...)
	}
	x.Out = out
	return x.written(x.c.write(out))
}

// Finish ends the answer that Begin has begun.
func (x *Exchange) Finish() error {
	err := x.note(Last)
	if err == nil && x.out.framed {
		err = x.c.write([]byte("0\r\n\r\n"))
	}
	if err != nil {
		x.shut, x.broken = true, true // on record already, or not to be
	}
	return err
}

// Abort ends the answer that Begin has begun so that the client can tell that it is not
// whole.
func (x *Exchange) Abort() {
	if !x.broken {
		x.shut, x.broken = true, true
		_ = x.note(Last)
	}
}

// written ends the answer where a piece could not be sent. What was sent was sent: it is
// recorded as such.
func (x *Exchange) written(err error) error {
	if err != nil {
		x.Abort()
	}
	return err
}

func (x *Exchange) note(ph Phase) error {
	if x.Rec == nil {
		return nil
	}
	return x.Rec.Record(x, ph, x.out.status, x.out.sent)
}

func (h *h2call) begin(x *Exchange, head []byte) error {
	x.out.sent = int64(len(head))
	if err := x.note(First); err != nil {
		x.sent = false
		return err
	}
	h.setLines(head)
	_ = h.rc.SetWriteDeadline(time.Now().Add(h.wait))
	h.w.WriteHeader(x.out.status)
	_ = h.rc.Flush()
	return nil
}

func (h *h2call) push(p []byte) error {
	_ = h.rc.SetWriteDeadline(time.Now().Add(h.wait))
	if _, err := h.w.Write(p); err != nil {
		return err
	}
	return h.rc.Flush()
}
