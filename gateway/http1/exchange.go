package http1

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// Phase says how much of an answer is about to leave when it is recorded.
type Phase uint8

const (
	Whole    Phase = iota // everything, in one piece
	First                 // the first piece of an answer of unknown or large size
	Progress              // a large answer goes on: out counts what has left so far
	Last                  // the last piece
)

// progressEvery is how many bytes of a long answer pass between two Progress
// records: what a crash can make unaccounted for is bounded by it.
const progressEvery = 16 << 20

// Recorder writes a call down. It is called before the bytes in question are
// handed to the kernel; when it fails, they are not.
type Recorder interface {
	Record(x *Exchange, phase Phase, status int, out int64) error
}

// Exchange carries one call: its parsed head, its buffers, and the way back to
// the client. It is reused; nothing of it may be kept after the handler returns.
type Exchange struct {
	Request  Request
	Response Response
	App      any // the handler's own state, made once per Exchange by Server.NewApp

	In  []byte // the request head is In[:Request.HeadLen]; read bytes are In[:have]
	Out []byte // scratch for building heads
	Up  []byte // upstream bytes

	Wall     time.Time // when the head was complete
	Begun    int64     // the same as Now()
	Ended    int64     // Now() when the answer was recorded; set by the Recorder
	Asked    int64     // Now() when an upstream was asked, by Fetch or as its caller says; 0: none was
	Got      int64     // Now() when its answer was there, by Fetch
	BytesIn  int64     // head and body bytes received
	Shard    uint32    // spreads calls over journal shards: the connection's number
	RemoteIP string    // client address, without port
	TLS      bool      //
	Peer     *Peer     // of the TLS connection; nil without TLS
	H2       bool      // came in by HTTP/2
	Since    int64     // Now() when the upstream is asked again; 0: for the first time. Set by the handler
	// Reject, where the handler sets it, says by its status that an answer is not passed
	// on: Proxy and Fetch end with Rejected.
	Reject  func(status int) bool
	Without string        // an upstream's fields whose names begin so, in lower case, do not go on; set by the handler
	Rec     Recorder      // set by the handler before it answers
	Heard   func()        // set by the handler to look at Response before its body is relayed; nil: nobody does
	Pace    time.Duration // how long the connection rests after this call; set by the handler
	// Idle and Most, where the handler sets them, bound an answer that Proxy relays, in the
	// place of its timeout: each wait for more of the body, and the call as a whole.
	Idle, Most time.Duration

	c       *conn   // nil for HTTP/2
	l       *loop   // nil: the handler may block
	parked  parking // why the handler returned without an answer
	ask     asking  // what to go on with then
	up      *upConn // while the upstream's answer is awaited or relayed
	h2      *h2call
	s       *Server
	upHead  bool // the upstream is asked by HEAD
	upAgain bool // and may be asked twice
	waited  bool // the handler may have waited: the time since Begun is not the upstream's
	out     outgoing
	have    int
	body    body
	sent    bool // an answer has begun
	shut    bool // the connection must close after this call
	broken  bool // the answer cannot be completed
}

// Peer is what a TLS handshake told of the client.
type Peer struct {
	ServerName string // asked for
	Version    uint16 // of TLS
	Cipher     uint16 // suite
	// Roots are the SHA-256 fingerprints of the certificates in the truststore that
	// the client's own was verified by; none: it showed none.
	Roots [][32]byte
	// Client is the client's own certificate, verified; nil: it showed none.
	Client *x509.Certificate
}

func peerOf(s *tls.ConnectionState) *Peer {
	p := &Peer{ServerName: s.ServerName, Version: s.Version, Cipher: s.CipherSuite}
	for _, chain := range s.VerifiedChains {
		p.Roots = append(p.Roots, sha256.Sum256(chain[len(chain)-1].Raw))
		p.Client = chain[0]
	}
	return p
}

// parking says why a handler in an event loop returned before its call was over.
type parking uint8

const (
	running  parking = iota
	asked            // the upstream was asked; its answer is an event
	block            // the handler must wait for something: it is resumed in a goroutine
	proxy            // asking the upstream needs waiting: that is done in a goroutine
	relaying         // the answer does not come in one piece: relayed by a goroutine
)

// asking is a Proxy that was parked.
type asking struct {
	pool    *Pool
	extra   []byte
	timeout time.Duration
	down    download
	piece   []byte
}

// MayBlock says whether the handler may wait for something now. If not it calls
// Block and returns at once; it is called again through Options.Resume with Again,
// on a goroutine where it may.
func (x *Exchange) MayBlock() bool {
	x.waited = x.l == nil
	return x.waited
}

// Waited says whether the handler may have waited for something since Begun.
func (x *Exchange) Waited() bool { return x.waited }

// Block parks the call for the reason MayBlock gives.
func (x *Exchange) Block() { x.parked = block }

type bodyMode uint8

const (
	bodyNone bodyMode = iota
	bodyLength
	bodyChunked
	bodyEOF // HTTP/2 without a length
)

// body is the state of reading the request's body out of In's window, the part
// behind the head.
type body struct {
	mode    bodyMode
	off     int   // next unread byte in In
	left    int64 // bodyLength: bytes still to be handed out
	total   int64 // decoded bytes handed out
	done    bool
	asked   bool          // 100 Continue was sent
	read    int64         // bytes that were waited for
	waited  time.Duration // for them, so far
	chunked Chunked
}

// bodyPace is the least that a client's body comes by, in bytes a second, once it was
// waited for twice BodyTimeout: one that drips in holds no call for ever. What an upstream
// takes its time for is not counted.
const bodyPace = 4 << 10

var (
	// ErrTooLarge: the body exceeds Options.MaxBody.
	ErrTooLarge = errors.New("http1: request body too large")
	errClient   = errors.New("http1: client went away")
	errBody     = errors.New("http1: malformed request body")
)

// start notes the time, with one look at the clock.
func (x *Exchange) start() {
	x.Wall = time.Now()
	x.Begun, x.Ended, x.Asked, x.Got, x.Since, x.Reject, x.waited = int64(x.Wall.Sub(started)), 0, 0, 0, 0, nil, false
}

// startBody sets up body reading once the head is parsed.
func (x *Exchange) startBody() {
	r := &x.Request
	b := &x.body
	b.off, b.total, b.left, b.done, b.asked, b.read, b.waited = r.HeadLen, 0, 0, false, false, 0, 0
	b.chunked.Reset() // also where it is not decoded: its trailer is another call's
	x.BytesIn = int64(r.HeadLen)
	switch {
	case r.Chunked && x.h2 != nil:
		b.mode = bodyEOF
	case r.Chunked:
		b.mode = bodyChunked
	case r.ContentLength > 0:
		b.mode, b.left = bodyLength, r.ContentLength
	default:
		b.mode, b.done = bodyNone, true
	}
}

// buffered reports that the whole body is in In already.
func (x *Exchange) buffered() bool {
	return x.body.done || (x.body.mode == bodyLength && int64(x.have-x.body.off) >= x.body.left)
}

// NextBody returns the next piece of the decoded request body, a view that is
// good until the next call, or io.EOF at its end.
func (x *Exchange) NextBody() ([]byte, error) {
	b := &x.body
	if x.oversized() {
		return nil, ErrTooLarge
	}
	for {
		if b.done {
			return nil, io.EOF
		}
		if p, err := x.decode(); err != nil || len(p) > 0 {
			return p, err
		}
		if b.done {
			return nil, io.EOF
		}
		if err := x.fill(); err != nil {
			return nil, err
		}
	}
}

// oversized: the length alone says that the body is too large.
func (x *Exchange) oversized() bool {
	return x.body.mode == bodyLength && x.Request.ContentLength > x.s.o.MaxBody
}

// decode takes what it can from the window. Chunks are put together in place, so
// that many small ones cost no more than a large one.
func (x *Exchange) decode() ([]byte, error) {
	b := &x.body
	w := x.In[b.off:x.have]
	var p []byte
	switch b.mode {
	case bodyLength:
		if int64(len(w)) > b.left {
			w = w[:b.left]
		}
		p = w
		b.off += len(w)
		b.left -= int64(len(w))
		b.done = b.left == 0
	case bodyChunked:
		n, used, err := b.chunked.gather(w)
		if err != nil {
			return nil, errBody
		}
		b.off += used
		x.BytesIn += int64(used)
		b.done = b.chunked.Done()
		p = w[:n]
	case bodyEOF:
		p = w
		b.off += len(w)
	}
	b.total += int64(len(p))
	if b.total > x.s.o.MaxBody {
		return nil, ErrTooLarge
	}
	return p, nil
}

const bodyWindow = 32 << 10

// fill reads more bytes into the window behind the head.
func (x *Exchange) fill() error {
	b := &x.body
	h := x.Request.HeadLen
	if b.off > h { // move what is left of the window to its start
		n := copy(x.In[h:], x.In[b.off:x.have])
		b.off, x.have = h, h+n
	}
	if len(x.In) < h+bodyWindow {
		in := make([]byte, h+bodyWindow)
		copy(in, x.In[:x.have])
		x.In = in
	}
	if x.have == len(x.In) {
		return errBody // a chunk line longer than the window: cannot be, see maxChunkLine
	}
	n, err := x.readClient(x.In[x.have:])
	x.have += n
	switch b.mode { // what is behind the end belongs to the next call
	case bodyLength:
		x.BytesIn += min(int64(n), b.left)
	case bodyEOF:
		x.BytesIn += int64(n)
	}
	if n > 0 {
		return nil
	}
	if err == io.EOF && b.mode == bodyEOF {
		b.done = true
		x.h2.requestTrailer(&b.chunked)
		return nil
	}
	return errClient
}

func (x *Exchange) readClient(p []byte) (int, error) {
	if x.Request.Expect && !x.body.asked {
		x.body.asked = true
		if x.c != nil {
			if err := x.c.write([]byte("HTTP/1.1 100 Continue\r\n\r\n")); err != nil {
				return 0, err
			}
		}
	}
	b := &x.body
	most := x.s.o.BodyTimeout
	late := 2*most + time.Duration(b.read)*(time.Second/bodyPace) - b.waited
	if late <= 0 {
		return 0, os.ErrDeadlineExceeded
	}
	began := Now()
	var n int
	var err error
	if most = min(most, late); x.h2 != nil {
		n, err = x.h2.read(p, most)
	} else {
		n, err = x.c.read(p, most)
	}
	b.read, b.waited = b.read+int64(n), b.waited+time.Duration(Now()-began)
	return n, err
}

// asked is when the upstream was.
func (x *Exchange) asked() int64 { return max(x.Begun, x.Since) }

// Resendable says that nothing of the request's body was consumed: the call can be sent
// to an upstream again.
func (x *Exchange) Resendable() bool { return x.body.total == 0 }

// rejects says that the upstream's answer is not to be passed on, and lets go of it.
func (x *Exchange) rejects() bool {
	if x.Reject == nil || !x.Reject(x.Response.Code) {
		return false
	}
	x.dropUpstream()
	return true
}

// rest skips what the handler did not read of the body and is here already.
// false: its end is not, and waiting for it is not worth it; close.
func (x *Exchange) rest() bool {
	b := &x.body
	switch {
	case b.done || x.h2 != nil:
		return true
	case x.buffered():
		x.skip()
		return true
	case b.mode == bodyChunked:
		_, err := x.decode()
		return err == nil && b.done
	}
	return false
}

// skip passes over a buffered body.
func (x *Exchange) skip() {
	x.body.off += int(x.body.left)
	x.body.left, x.body.done = 0, true
}

// Reply answers the call with a body in memory. head holds further header lines,
// each with CRLF; Date, Content-Length and framing are added here. head must not
// lie in x.Out. When the call cannot be recorded, nothing is sent and Reply may be
// called again.
func (x *Exchange) Reply(status int, head, body []byte) error {
	x.sent = true
	if x.h2 != nil {
		return x.h2.reply(x, status, head, body)
	}
	out := appendStatus(x.Out[:0], status)
	out = append(out, *x.s.sweep.date.Load()...)
	out = append(out, head...)
	if status != 204 && status != 304 {
		out = append(out, "Content-Length: "...)
		out = appendInt(out, int64(len(body)))
		out = append(out, '\r', '\n')
	}
	if !x.rest() || x.Request.Close || x.shut || x.s.draining.Load() {
		out = append(out, "Connection: close\r\n"...)
		x.shut = true
	}
	out = append(out, '\r', '\n')
	if !bodiless(x.Request.Method.Of(x.In), status) {
		out = append(out, body...)
	}
	x.Out = out
	if x.Rec != nil {
		if err := x.Rec.Record(x, Whole, status, int64(len(out))); err != nil {
			x.sent = false
			return err
		}
	}
	return x.c.write(out)
}

func appendStatus(dst []byte, status int) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = appendInt(dst, int64(status))
	dst = append(dst, ' ')
	dst = append(dst, http.StatusText(status)...)
	return append(dst, '\r', '\n')
}

// appendFields copies every field that may travel on, neighbours in one go.
func appendFields(dst, buf []byte, fields []Field) []byte {
	for i := 0; i < len(fields); {
		if fields[i].Hop {
			i++
			continue
		}
		from := fields[i].Name.Start
		j := i
		for j+1 < len(fields) && !fields[j+1].Hop {
			j++
		}
		dst = append(dst, buf[from:fields[j].lineEnd(buf)+2]...)
		i = j + 1
	}
	return dst
}

// AppendForward appends to an upstream request line everything after it: Host,
// the client's fields without the hop-by-hop ones, the forwarding fields, the
// framing and the empty line.
func (x *Exchange) AppendForward(dst []byte, host string, trace []byte) []byte {
	r := &x.Request
	dst = append(dst, "Host: "...)
	dst = append(dst, host...)
	dst = append(dst, '\r', '\n')
	return x.appendForwarded(appendFields(dst, x.In, r.Fields[:r.N]), trace)
}

// AppendOver is AppendForward with header lines of the handler's own, in place of the
// client's of the same names (replaced says which).
func (x *Exchange) AppendOver(dst []byte, host string, lines []byte, replaced func(name []byte) bool, trace []byte) []byte {
	dst = append(append(append(dst, "Host: "...), host...), '\r', '\n')
	for i := range x.Request.Fields[:x.Request.N] {
		f := &x.Request.Fields[i]
		if !f.Hop && !replaced(f.Name.Of(x.In)) {
			dst = append(dst, f.Line(x.In)...)
		}
	}
	return x.appendForwarded(append(dst, lines...), trace)
}

// appendForwarded appends what follows the fields of a forwarded request.
func (x *Exchange) appendForwarded(dst, trace []byte) []byte {
	r := &x.Request
	dst = append(dst, "X-Forwarded-For: "...)
	if r.Forwarded.Len() > 0 {
		dst = append(dst, r.Forwarded.Of(x.In)...)
		dst = append(dst, ", "...)
	}
	dst = append(dst, x.RemoteIP...)
	if x.TLS {
		dst = append(dst, "\r\nX-Forwarded-Proto: https\r\n"...)
	} else {
		dst = append(dst, "\r\nX-Forwarded-Proto: http\r\n"...)
	}
	if r.Trace.Len() == 0 {
		dst = append(dst, trace...)
	}
	if r.Codings.Len() > 0 {
		dst = appendCodings(dst, r.Codings.Of(x.In))
	}
	switch {
	case r.Chunked:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	case r.ContentLength > 0 || needsLength(r.Method.Of(x.In)):
		dst = append(dst, "Content-Length: "...)
		dst = appendInt(dst, r.ContentLength)
		dst = append(dst, '\r', '\n')
	}
	return append(dst, '\r', '\n')
}

// appendCodings turns the compressions of a checked Transfer-Encoding into a
// Content-Encoding: the same statement about the same bytes, but to the one who
// reads them. An upstream never sees a framing that it might not understand.
func appendCodings(dst, v []byte) []byte {
	eachListItem(v, func(item []byte) {
		if isCompression(item) {
			dst = append(append(append(dst, "Content-Encoding: "...), item...), '\r', '\n')
		}
	})
	return dst
}

func needsLength(method []byte) bool {
	switch string(method) {
	case "POST", "PUT", "PATCH":
		return true
	}
	return false
}
