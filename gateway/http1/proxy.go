package http1

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// Failure says why a call got no answer from its upstream. Unless it is None or
// Broken, nothing has been sent to the client and the caller answers.
type Failure uint8

const (
	None       Failure = iota
	Forbidden          // the address may not be reached: ErrForbidden from dial
	NoHost             // the name does not resolve
	NoConn             // no connection could be made
	Timeout            // no answer in time
	NoAnswer           // the connection broke, or what came was not HTTP
	BadBody            // the client's body is malformed
	TooLarge           // the client's body is larger than allowed
	ClientWent         // the client went away before its request was complete
	Unrecorded         // the call could not be written down, so its answer was kept back
	Parked             // nothing failed: the call goes on in Options.Resume, with what came of it
	Again              // nothing failed: what had to be waited for can be waited for now
	Rejected           // the handler's Reject said so
	Broken             // the answer had begun when something broke; the connection is closed
)

// ErrForbidden is what a dial function returns for an address that is not allowed.
var ErrForbidden = errors.New("http1: upstream address is not allowed")

// Proxy sends the call to an upstream and its answer to the client. req is the
// upstream request's head, built with AppendForward in x.Out; extra holds header
// lines to add to the answer. timeout bounds the wait for a connection and the
// head together, and then each wait for more of the body, unless the call has Idle and Most.
func (x *Exchange) Proxy(p *Pool, req, extra []byte, timeout time.Duration) Failure {
	if x.oversized() {
		return TooLarge
	}
	// What the upstream is asked, not what the client asked, says how its answer is
	// framed and whether it may be asked twice.
	method, _, _ := bytes.Cut(req, []byte{' '})
	x.upHead, x.upAgain = string(method) == "HEAD", idempotent(method)
	streams := !x.body.done && !x.buffered()
	if x.body.mode == bodyChunked || x.body.mode == bodyEOF {
		streams = true
	}
	if !streams && !x.body.done {
		req = append(req, x.In[x.body.off:x.body.off+int(x.body.left)]...)
	}
	x.Out = req
	if x.l != nil {
		x.ask.pool, x.ask.extra, x.ask.timeout = p, extra, timeout
		x.parked = proxy
		if x.l.send(x) {
			x.parked = asked
		}
		return Parked
	}
	return x.proxy(p, req, extra, streams, timeout)
}

func (x *Exchange) proxy(p *Pool, req, extra []byte, streams bool, timeout time.Duration) Failure {
	c, n, f := x.exchange(p, req, streams, timeout)
	if f != None {
		return f
	}
	if x.rejects() {
		return Rejected
	}
	if !streams {
		x.skip()
	}
	return x.relay(c, n, extra, timeout)
}

// exchange gets the head of an answer, trying another connection when a pooled
// one turned out to be dead and the request can be sent again without harm.
func (x *Exchange) exchange(p *Pool, req []byte, streams bool, timeout time.Duration) (*upConn, int, Failure) {
	start := x.asked()
	if streams || x.h2 != nil || x.body.total > 0 || x.waited {
		start = Now() // the time of receiving a body, or of asking others, is not the upstream's
	}
	for fresh := false; ; {
		var c *upConn
		if !fresh {
			c = p.take()
		}
		if c == nil {
			var err error
			if c, err = p.dial(timeout - time.Duration(Now()-start)); err != nil {
				return nil, 0, dialFailure(err)
			}
		}
		x.up = c
		used := c.used
		c.arm(start, timeout)
		var n int
		var err error
		if streams {
			n, err = x.upload(c, req, timeout)
		} else {
			c.begin(x)
			n, err = c.roundTrip(req, used)
		}
		if err == nil {
			return c, n, None
		}
		late := c.watch.due()
		x.dropUpstream()
		switch {
		case errors.Is(err, errBody):
			return nil, 0, BadBody
		case errors.Is(err, ErrTooLarge):
			return nil, 0, TooLarge
		case errors.Is(err, errClient):
			return nil, 0, ClientWent
		case late || errors.Is(err, os.ErrDeadlineExceeded):
			return nil, 0, Timeout
		case used && n == 0 && x.repeatable(err, streams):
			// If it was not just that connection's time to end, it is worth one more
			// try, and not one for every connection in the pool.
			fresh = !errors.Is(err, errStale)
		default:
			return nil, 0, NoAnswer
		}
	}
}

// dropUpstream closes the connection of the call, if it has one.
func (x *Exchange) dropUpstream() {
	if x.up != nil {
		x.up.close()
		x.up = nil
	}
}

// repeatable: nothing of the request can have been acted upon, or acting twice
// is the same as once (RFC 9110 §9.2.2). A body that streamed is gone.
func (x *Exchange) repeatable(err error, streams bool) bool {
	if streams && x.body.total > 0 {
		return false
	}
	return errors.Is(err, errStale) || x.upAgain && !errors.Is(err, errUpstream)
}

func idempotent(method []byte) bool {
	switch string(method) {
	case "GET", "HEAD", "OPTIONS", "PUT", "DELETE":
		return true
	}
	return false
}

func dialFailure(err error) Failure {
	var dns *net.DNSError
	var ne net.Error
	switch {
	case errors.Is(err, ErrForbidden):
		return Forbidden
	case errors.As(err, &dns) && !dns.IsTimeout && !dns.IsTemporary:
		return NoHost
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.As(err, &ne) && ne.Timeout():
		return Timeout
	}
	return NoConn
}

// upload sends a head and a body that is still arriving, then reads the answer's
// head. An upstream that answers early is listened to, and sent no more.
func (x *Exchange) upload(c *upConn, req []byte, timeout time.Duration) (int, error) {
	if c.used && !c.silent() {
		return 0, errStale
	}
	c.begin(x)
	chunked := x.Request.Chunked
	out := req
	for {
		p, err := x.NextBody()
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, err
		}
		if chunked {
			out = appendChunkHead(out, len(p))
			out = append(out, p...)
			out = append(out, '\r', '\n')
		} else {
			out = append(out, p...)
		}
		c.arm(Now(), timeout)
		if err := c.write(out); err != nil {
			if c.watch.due() {
				return 0, err
			}
			return c.roundTrip(nil, false) // perhaps it answered and closed
		}
		if c.answered() {
			return c.n, c.err
		}
		out = out[:0]
	}
	if chunked {
		out = append(out, "0\r\n"...)
		out = append(out, x.body.chunked.Trailer...)
		out = append(out, '\r', '\n')
	}
	x.Out = out[:0]
	c.arm(Now(), timeout)
	return c.roundTrip(out, false)
}
