package http1

import (
	"bytes"
)

// Span is a piece of a message's buffer. Spans, unlike slices, stay right when
// the buffer grows and cost the garbage collector nothing.
type Span struct{ Start, End int32 }

// Of is the span's bytes in buf.
func (s Span) Of(buf []byte) []byte { return buf[s.Start:s.End] }

// Len in bytes.
func (s Span) Len() int { return int(s.End - s.Start) }

// Field is one header field. Line spans the whole line with its CRLF.
type Field struct {
	Name, Value Span
	Hop         bool // never forwarded as it is: framing, hop-by-hop, nominated in Connection, or the gateway's own
	Remap       bool // of an answer, and Hop: goes on under another name, see appendRemapped
}

// Line is the field's whole line, CRLF included.
func (f *Field) Line(buf []byte) []byte { return buf[f.Name.Start : f.lineEnd(buf)+2] }

func (f *Field) lineEnd(buf []byte) int32 {
	e := f.Value.End
	for buf[e] != '\r' { // trailing blanks were trimmed from the value
		e++
	}
	return e
}

// MaxFields in one message; more are refused with 431.
const MaxFields = 100

// Limits of a request head, in bytes.
type Limits struct {
	Target  int // request target; beyond it 414
	Headers int // all header lines; beyond it 431
}

// HeadMax is the largest head the limits allow.
func (l Limits) HeadMax() int { return l.Target + l.Headers + 64 }

// ParseError is a refusal of a message: the status to answer before closing.
type ParseError struct {
	Status int
	Reason string
}

func (e *ParseError) Error() string { return e.Reason }

// ErrMore says that the head is not complete yet.
var ErrMore = &ParseError{0, "incomplete head"}

var (
	errLine        = &ParseError{400, "malformed request line"}
	errMethod      = &ParseError{400, "the method is not a token"}
	errTarget      = &ParseError{400, "the request target has a character that must be escaped, or is in no known form"}
	errTargetLong  = &ParseError{414, "the request target is too long"}
	errVersion     = &ParseError{505, "only HTTP/1.1 and HTTP/1.0 are spoken here"}
	errBareLF      = &ParseError{400, "a line ends without CR"}
	errField       = &ParseError{400, "malformed header field"}
	errFold        = &ParseError{400, "folded header lines are refused"}
	errHeaders     = &ParseError{431, "the header fields are too large"}
	errFields      = &ParseError{431, "too many header fields"}
	errHost        = &ParseError{400, "exactly one valid Host is needed"}
	errLength      = &ParseError{400, "a content length must be one plain number"}
	errLengthTE    = &ParseError{400, "Content-Length and Transfer-Encoding exclude each other"}
	errTE          = &ParseError{501, "this transfer coding is not understood"}
	errTEForm      = &ParseError{400, "the last transfer coding must be chunked, once"}
	errTEVersion   = &ParseError{400, "Transfer-Encoding needs HTTP/1.1"}
	errConnection  = &ParseError{400, "malformed Connection field"}
	errExpectation = &ParseError{417, "only the expectation 100-continue is known"}
)

// Request is a parsed request head: spans into the buffer it was parsed from.
type Request struct {
	Head
	Fields [MaxFields]Field // the first N are in use
}

// Head is what a request says besides the list of its fields.
type Head struct {
	Method    Span
	Target    Span // as sent
	Path      Span // starts with "/"
	Query     Span // without "?"
	Host      Span // Host field, or the authority of an absolute target
	APIKey    Span // last x-api-key
	Forwarded Span // last X-Forwarded-For
	Trace     Span // last X-Amzn-Trace-Id
	Type      Span // last Content-Type
	Codings   Span // Transfer-Encoding, when there is more in it than chunked
	Override  Span // last X-HTTP-Method-Override that is a token

	N             int   // fields
	HeadLen       int   // bytes, the empty line included
	ContentLength int64 // 0 when there is no body; -1 when Chunked
	Chunked       bool
	HTTP10        bool
	Close         bool // the client closes after this call
	Expect        bool // the client waits for 100 Continue
	WebSocket     bool // the client asks to upgrade to WebSocket
}

// Parse reads a request head at the start of buf. It returns nil when the head
// is whole and right, ErrMore when more bytes are needed, and otherwise the
// refusal. buf is not kept.
func (r *Request) Parse(buf []byte, lim Limits) *ParseError {
	r.Head = Head{}
	pos, err := r.parseLine(buf, lim)
	if err != nil {
		return err
	}
	var f framing
	start := pos
	for {
		end, e := lineEnd(buf, pos)
		if e != nil {
			if e == ErrMore && len(buf)-start > lim.Headers {
				return errHeaders
			}
			return e
		}
		if end == pos {
			pos += 2
			break
		}
		if end+2-start > lim.Headers {
			return errHeaders
		}
		if r.N == MaxFields {
			return errFields
		}
		fd := &r.Fields[r.N]
		if e := parseField(buf, pos, end, fd); e != nil {
			return e
		}
		r.N++
		if e := r.known(buf, fd, &f); e != nil {
			return e
		}
		pos = end + 2
	}
	r.HeadLen = pos
	return r.settle(buf, &f)
}

// parseLine reads the request line and returns where the fields start.
func (r *Request) parseLine(buf []byte, lim Limits) (int, *ParseError) {
	end, e := lineEnd(buf, 0)
	if e != nil {
		if e == ErrMore && len(buf) > lim.Target+32 {
			return 0, errTargetLong
		}
		return 0, e
	}
	line := buf[:end]
	sp := bytes.IndexByte(line, ' ')
	if sp <= 0 || sp > 24 || len(line) < sp+10 {
		return 0, errLine
	}
	if !all(line[:sp], isToken) {
		return 0, errMethod
	}
	r.Method = Span{0, int32(sp)}
	tail := line[len(line)-9:]
	if tail[0] != ' ' || string(tail[1:6]) != "HTTP/" {
		return 0, errLine
	}
	switch string(tail[6:]) {
	case "1.1":
	case "1.0":
		r.HTTP10, r.Close = true, true
	default:
		return 0, errVersion
	}
	t := Span{int32(sp + 1), int32(len(line) - 9)}
	if t.Len() > lim.Target {
		return 0, errTargetLong
	}
	r.Target = t
	return end + 2, r.splitTarget(buf, t)
}

func (r *Request) splitTarget(buf []byte, t Span) *ParseError {
	b := t.Of(buf)
	if len(b) == 0 { // some clients mean the root; its slash is the one of "HTTP/1.1"
		r.Path = Span{t.End + 5, t.End + 6}
		return nil
	}
	if b[0] != '/' { // absolute form; the asterisk and authority forms are not for a gateway
		i := 0
		switch {
		case len(b) > 7 && EqualFold(b[:7], "http://"):
			i = 7
		case len(b) > 8 && EqualFold(b[:8], "https://"):
			i = 8
		default:
			return errTarget
		}
		j := bytes.IndexAny(b[i:], "/?")
		if j <= 0 {
			return errTarget
		}
		r.Host = Span{t.Start + int32(i), t.Start + int32(i+j)}
		if !validHost(r.Host.Of(buf)) {
			return errHost
		}
		t.Start += int32(i + j)
		b = t.Of(buf)
		if b[0] != '/' {
			return errTarget
		}
	}
	r.Path = t
	if q := bytes.IndexByte(b, '?'); q >= 0 {
		r.Path.End = t.Start + int32(q)
		r.Query = Span{t.Start + int32(q) + 1, t.End}
	}
	if !validPath(r.Path.Of(buf)) || !all(r.Query.Of(buf), isQuery) {
		return errTarget
	}
	return nil
}

// validPath refuses what a router and an upstream could take for different
// paths: quotes, a fragment, a "%" that escapes nothing. A query is opaque.
func validPath(p []byte) bool {
	if !all(p, isPath) {
		return false
	}
	for {
		i := bytes.IndexByte(p, '%')
		if i < 0 {
			return true
		}
		if len(p) < i+3 {
			return false
		}
		_, ok := unhex(p[i+1])
		_, ok2 := unhex(p[i+2])
		if !ok || !ok2 {
			return false
		}
		p = p[i+3:]
	}
}

// lineEnd finds the CR of the CRLF that ends the line at pos.
func lineEnd(buf []byte, pos int) (int, *ParseError) {
	nl := bytes.IndexByte(buf[pos:], '\n')
	if nl < 0 {
		return 0, ErrMore
	}
	if nl == 0 || buf[pos+nl-1] != '\r' {
		return 0, errBareLF
	}
	return pos + nl - 1, nil
}

func parseField(buf []byte, pos, end int, f *Field) *ParseError {
	c := buf[pos]
	if c == ' ' || c == '\t' {
		return errFold
	}
	line := buf[pos:end]
	i := 0
	for i < len(line) && class[line[i]]&isToken != 0 {
		i++
	}
	if i == 0 || i == len(line) || line[i] != ':' {
		return errField // also a blank before the colon
	}
	if !plainValue(line[i+1:]) {
		return errField
	}
	f.Name = Span{int32(pos), int32(pos + i)}
	f.Value = trimOWS(buf, Span{int32(pos + i + 1), int32(end)})
	f.Hop, f.Remap = false, false
	return nil
}

// framing gathers what decides where the message ends.
type framing struct {
	hosts, lengths, codings int
	connection              bool // has tokens other than close and keep-alive
	upgrade                 Span // protocols offered
	upgrading               bool // Connection says so, too
}

// known acts on the fields the gateway itself needs, by length and then name.
func (r *Request) known(buf []byte, f *Field, fr *framing) *ParseError {
	name := f.Name.Of(buf)
	switch len(name) {
	case 2:
		f.Hop = EqualFold(name, "te")
	case 3:
		f.Hop = EqualFold(name, "via")
	case 4:
		if EqualFold(name, "host") {
			f.Hop = true
			fr.hosts++
			if r.Host.Len() != 0 && !bytes.EqualFold(r.Host.Of(buf), f.Value.Of(buf)) {
				return errHost // an absolute target that names another host, or two hosts
			}
			r.Host = f.Value
		}
	case 6:
		if EqualFold(name, "expect") {
			f.Hop = true
			if !EqualFold(f.Value.Of(buf), "100-continue") {
				return errExpectation
			}
			r.Expect = true
		} else {
			f.Hop = EqualFold(name, "server")
		}
	case 7:
		if EqualFold(name, "upgrade") {
			f.Hop = true
			fr.upgrade = f.Value
		} else if EqualFold(name, "trailer") {
			f.Hop = true
		}
	case 9:
		if EqualFold(name, "x-api-key") {
			r.APIKey = f.Value
		}
	case 10:
		if EqualFold(name, "connection") {
			f.Hop = true
			return r.connection(buf, f.Value.Of(buf), fr)
		}
		f.Hop = EqualFold(name, "keep-alive")
	case 11:
		f.Hop = EqualFold(name, "content-md5")
	case 12:
		if EqualFold(name, "content-type") {
			r.Type = f.Value
		} else {
			f.Hop = EqualFold(name, "max-forwards")
		}
	case 13:
		// A signature is the gateway's to check, and fits no other host.
		f.Hop = EqualFold(name, "authorization") && bytes.HasPrefix(f.Value.Of(buf), awsSignature)
	case 14:
		if EqualFold(name, "content-length") {
			f.Hop = true
			fr.lengths++
			n, ok := parseLength(f.Value.Of(buf))
			if !ok || fr.lengths > 1 {
				return errLength
			}
			r.ContentLength = n
		}
	case 15:
		if EqualFold(name, "x-forwarded-for") {
			f.Hop = true // rebuilt with this hop added
			r.Forwarded = f.Value
		} else if EqualFold(name, "x-amzn-trace-id") {
			r.Trace = f.Value
		}
	case 16:
		f.Hop = EqualFold(name, "proxy-connection") || EqualFold(name, "www-authenticate")
	case 17:
		if EqualFold(name, "transfer-encoding") {
			f.Hop = true
			fr.codings++
			if fr.codings > 1 {
				return errTEForm
			}
			r.Chunked = true
			r.ContentLength = -1
			if !EqualFold(f.Value.Of(buf), "chunked") {
				r.Codings = f.Value
				return transferCodings(f.Value.Of(buf))
			}
		} else {
			f.Hop = EqualFold(name, "x-forwarded-proto")
		}
	case 18:
		f.Hop = EqualFold(name, "proxy-authenticate")
	case 19:
		f.Hop = EqualFold(name, "proxy-authorization")
	case 22:
		if v := f.Value.Of(buf); EqualFold(name, "x-http-method-override") && len(v) > 0 && len(v) <= 24 && all(v, isToken) {
			r.Override = f.Value
		}
	}
	return nil
}

var awsSignature = []byte("AWS4-")

func (r *Request) connection(buf, v []byte, fr *framing) *ParseError {
	if EqualFold(v, "keep-alive") && !r.HTTP10 {
		return nil // what nearly everybody sends
	}
	bad := false
	eachListItem(v, func(tok []byte) {
		switch {
		case !all(tok, isToken):
			bad = true
		case EqualFold(tok, "close"):
			r.Close = true
		case EqualFold(tok, "keep-alive"):
			if r.HTTP10 {
				// HTTP/1.0 keep-alive is answered by closing: correct, and rare
				// enough not to be worth a second framing.
				r.Close = true
			}
		default:
			fr.connection = true
			fr.upgrading = fr.upgrading || EqualFold(tok, "upgrade")
		}
	})
	if bad {
		return errConnection
	}
	return nil
}

// settle checks what only the whole head can tell.
func (r *Request) settle(buf []byte, fr *framing) *ParseError {
	if fr.hosts > 1 || (fr.hosts == 0 && !r.HTTP10) || (fr.hosts == 1 && !validHost(r.Host.Of(buf))) {
		return errHost
	}
	if fr.codings > 0 {
		if fr.lengths > 0 {
			return errLengthTE
		}
		if r.HTTP10 {
			return errTEVersion
		}
	}
	if fr.connection {
		r.nominated(buf)
		r.WebSocket = fr.upgrading && EqualFold(fr.upgrade.Of(buf), "websocket")
	}
	if r.ContentLength == 0 || r.HTTP10 {
		r.Expect = false
	}
	return nil
}

// transferCodings checks a list of codings. Chunked must be the last and only
// there. The codings below it are compressions, which AppendForward relabels.
func transferCodings(v []byte) *ParseError {
	for last := false; !last; {
		i := bytes.IndexByte(v, ',')
		if i < 0 {
			i, last = len(v), true
		}
		name, params, _ := bytes.Cut(v[:i], []byte{';'})
		name = bytes.Trim(name, " \t")
		if !last {
			v = v[i+1:]
		}
		switch {
		case EqualFold(name, "chunked"):
			if !last || bytes.IndexByte(params, '"') >= 0 {
				return errTEForm
			}
		case len(params) > 0 || !isCompression(name) && !EqualFold(name, "identity"):
			return errTE
		case last:
			return errTEForm
		}
	}
	return nil
}

func isCompression(coding []byte) bool {
	return EqualFold(coding, "gzip") || EqualFold(coding, "deflate") || EqualFold(coding, "compress") ||
		EqualFold(coding, "x-gzip") || EqualFold(coding, "x-compress")
}

// nominated marks every field named in a Connection field as hop-by-hop. The
// ones the gateway decides by cannot be nominated away: they are Hop already or
// are looked at before.
func (r *Request) nominated(buf []byte) {
	for i := 0; i < r.N; i++ {
		f := &r.Fields[i]
		if !EqualFold(f.Name.Of(buf), "connection") {
			continue
		}
		eachListItem(f.Value.Of(buf), func(tok []byte) {
			for j := 0; j < r.N; j++ {
				if bytes.EqualFold(r.Fields[j].Name.Of(buf), tok) {
					r.Fields[j].Hop = true
				}
			}
		})
	}
}

// parseLength reads 1*DIGIT below 10^15: no sign, no blanks, no list.
func parseLength(v []byte) (int64, bool) {
	if len(v) == 0 || len(v) > 15 {
		return 0, false
	}
	var n int64
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// validHost reads a name, an IPv4 address or a bracketed IPv6 address, and an
// optional port, so that nobody behind us can find another host in it.
func validHost(h []byte) bool {
	if len(h) == 0 || len(h) > 255 {
		return false
	}
	name, port := h, []byte(nil)
	if h[0] == '[' {
		i := bytes.IndexByte(h, ']')
		if i < 3 {
			return false
		}
		for _, c := range h[1:i] {
			if _, ok := unhex(c); !ok && c != ':' && c != '.' {
				return false
			}
		}
		name, port = nil, h[i+1:]
	} else if i := bytes.IndexByte(h, ':'); i >= 0 {
		name, port = h[:i], h[i:]
		if i == 0 {
			return false
		}
	}
	if !all(name, isHost) {
		return false
	}
	if len(port) == 0 {
		return true
	}
	if port[0] != ':' || len(port) > 6 {
		return false
	}
	for _, c := range port[1:] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
