package http1

// Response is a parsed response head from an upstream.
type Response struct {
	Status
	Fields [MaxFields]Field // the first N are in use
}

// Status is what a response says besides the list of its fields.
type Status struct {
	Code          int
	N             int   // fields
	HeadLen       int   // bytes, the empty line included
	ContentLength int64 // -1: not given
	Chunked       bool
	Close         bool // the upstream closes after this answer
	Remapped      bool // some field is: see Field.Remap
}

var (
	errStatusLine = &ParseError{502, "malformed status line"}
	errTEUpstream = &ParseError{502, "transfer coding not understood"}
	errFraming    = &ParseError{502, "contradictory message framing"}
)

// Parse reads a response head at the start of buf; as Request.Parse. maxHead
// bounds the head in bytes.
func (r *Response) Parse(buf []byte, maxHead int) *ParseError {
	r.Status = Status{ContentLength: -1}
	end, e := lineEnd(buf, 0)
	if e != nil {
		return more(e, len(buf), maxHead)
	}
	if end < 12 || string(buf[:7]) != "HTTP/1." || (end > 12 && buf[12] != ' ') || !all(buf[12:end], isValue) {
		return errStatusLine
	}
	switch buf[7] {
	case '1':
	case '0':
		r.Close = true
	default:
		return errStatusLine
	}
	for _, c := range buf[9:12] {
		if c < '0' || c > '9' {
			return errStatusLine
		}
		r.Code = r.Code*10 + int(c-'0')
	}
	if buf[8] != ' ' || r.Code < 100 {
		return errStatusLine
	}
	pos := end + 2
	nominated := false
	for {
		end, e := lineEnd(buf, pos)
		if e != nil {
			return more(e, len(buf), maxHead)
		}
		if end == pos {
			r.HeadLen = pos + 2
			break
		}
		if end > maxHead || r.N == MaxFields {
			return errFraming
		}
		f := &r.Fields[r.N]
		if e := parseField(buf, pos, end, f); e != nil {
			return e
		}
		r.N++
		if e := r.known(buf, f, &nominated); e != nil {
			return e
		}
		pos = end + 2
	}
	if r.Chunked && (r.ContentLength >= 0 || buf[7] == '0') {
		return errFraming // an upstream that sends both, or chunks by HTTP/1.0, is not to be believed
	}
	if nominated {
		r.dropNominated(buf)
	}
	return nil
}

func more(e *ParseError, have, maxHead int) *ParseError {
	if e == ErrMore && have > maxHead {
		return errFraming
	}
	return e
}

func (r *Response) known(buf []byte, f *Field, nominated *bool) *ParseError {
	name := f.Name.Of(buf)
	switch len(name) {
	case 4:
		f.Remap = EqualFold(name, "date")
	case 6:
		f.Remap = EqualFold(name, "server")
	case 7:
		f.Hop = EqualFold(name, "upgrade") || EqualFold(name, "trailer")
	case 10:
		if EqualFold(name, "connection") {
			f.Hop, f.Remap, r.Remapped = true, true, true
			if EqualFold(f.Value.Of(buf), "keep-alive") {
				return nil
			}
			eachListItem(f.Value.Of(buf), func(tok []byte) {
				switch {
				case EqualFold(tok, "close"):
					r.Close = true
				case EqualFold(tok, "keep-alive"):
				default:
					*nominated = true
				}
			})
		} else {
			f.Hop = EqualFold(name, "keep-alive")
		}
	case 14:
		f.Hop = EqualFold(name, "x-amz-apigw-id")
		if EqualFold(name, "content-length") {
			f.Remap = true
			n, ok := parseLength(f.Value.Of(buf))
			if !ok || r.ContentLength >= 0 {
				return errFraming
			}
			r.ContentLength = n
		} else {
			f.Hop = EqualFold(name, "x-amz-apigw-id")
		}
	case 16:
		f.Hop = EqualFold(name, "proxy-connection") || EqualFold(name, "x-amzn-requestid")
	case 17:
		if EqualFold(name, "transfer-encoding") {
			f.Hop = true
			if r.Chunked || !EqualFold(f.Value.Of(buf), "chunked") {
				return errTEUpstream
			}
			r.Chunked = true
		}
	case 18:
		f.Hop = EqualFold(name, "proxy-authenticate")
	}
	if f.Remap {
		f.Hop, r.Remapped = true, true
	}
	return nil
}

// without keeps back the fields whose names begin with a prefix in lower case.
func (r *Response) without(buf []byte, prefix string) {
	for i := range r.Fields[:r.N] {
		f := &r.Fields[i]
		if name := f.Name.Of(buf); len(name) > len(prefix) && EqualFold(name[:len(prefix)], prefix) {
			f.Hop = true
		}
	}
}

// Remapped begins the names under which those fields go on.
const Remapped = "x-amzn-Remapped-"

// appendRemapped copies what the gateway has fields of its own for: Amazon API Gateway
// passes an upstream's on under these names.
func (r *Response) appendRemapped(dst, buf []byte) []byte {
	for i := range r.Fields[:r.N] {
		if f := &r.Fields[i]; f.Remap {
			dst = append(append(dst, Remapped...), f.Line(buf)...)
		}
	}
	return dst
}

func (r *Response) dropNominated(buf []byte) {
	for i := 0; i < r.N; i++ {
		f := &r.Fields[i]
		if !EqualFold(f.Name.Of(buf), "connection") {
			continue
		}
		eachListItem(f.Value.Of(buf), func(tok []byte) {
			for j := 0; j < r.N; j++ {
				if g := &r.Fields[j]; g.Name.Len() == len(tok) && foldEqual(g.Name.Of(buf), tok) {
					g.Hop = true
				}
			}
		})
	}
}

func foldEqual(a, b []byte) bool {
	for i := range a {
		x, y := a[i], b[i]
		if x >= 'A' && x <= 'Z' {
			x |= 0x20
		}
		if y >= 'A' && y <= 'Z' {
			y |= 0x20
		}
		if x != y {
			return false
		}
	}
	return true
}

// bodiless reports that an answer to the method with this status has no body,
// whatever its fields say.
func bodiless(method []byte, status int) bool {
	return status == 204 || status == 304 || (status >= 100 && status < 200) || string(method) == "HEAD"
}
