package gateway

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"strings"
	"sync"

	"tollgate/gateway/http1"
	"tollgate/gateway/mapping"
)

// Content codings that are undone in requests and made in answers, where the API has a
// minimum compression size.
const (
	codingGzip    = "gzip"
	codingDeflate = "deflate"
)

// never is the minimum compression size of an API that has none.
const never = -1

// codingOf is the coding that a list names first of those that are known; "": none.
func codingOf(list []byte) string {
	for part := range bytes.SplitSeq(list, []byte{','}) {
		name, params, _ := bytes.Cut(part, []byte{';'})
		name, params = bytes.TrimSpace(name), bytes.TrimSpace(params)
		if q, ok := bytes.CutPrefix(params, []byte("q=0")); ok && len(bytes.Trim(q, ".0")) == 0 {
			continue // refused
		}
		switch {
		case http1.EqualFold(name, codingGzip), string(name) == "*":
			return codingGzip
		case http1.EqualFold(name, codingDeflate):
			return codingDeflate
		}
	}
	return ""
}

// coded says whether the request's body is to be decoded before anything reads it.
func (c *call) coded(x *http1.Exchange) bool {
	return c.variant != nil && c.variant.prog.compress != never && c.body == nil && !c.decoded && codingOf(header(x, "Content-Encoding")) != ""
}

// decode undoes the coding of a body that was read whole: one that does not grow beyond
// what any body may be.
func (c *call) decode(x *http1.Exchange) kind {
	coding := header(x, "Content-Encoding")
	if bytes.IndexByte(coding, ',') >= 0 {
		c.why = "the request's body has several codings"
		return badRequest
	}
	var r io.Reader
	var err error
	if codingOf(coding) == codingGzip {
		r, err = gzip.NewReader(bytes.NewReader(c.body))
	} else if r, err = zlib.NewReader(bytes.NewReader(c.body)); errors.Is(err, zlib.ErrHeader) {
		r, err = flate.NewReader(bytes.NewReader(c.body)), nil // as some clients have it
	}
	out := []byte{}
	for err == nil {
		if len(out) == cap(out) {
			more := min(max(2*cap(out), 64<<10), maxWholeBody+1)
			if more == cap(out) {
				return tooLarge
			}
			if !c.hold(int64(more)) {
				c.why = whyHeld
				return throttled
			}
			out = append(make([]byte, 0, more), out...)
		}
		var n int
		n, err = r.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
	}
	if err != io.EOF {
		c.why = "the request's body is not coded as it says"
		return badRequest
	}
	if len(out) > maxWholeBody {
		return tooLarge
	}
	c.body, c.decoded = out, true
	return proceed
}

func isCoding(name []byte) bool { return http1.EqualFold(name, "content-encoding") }

// packs says with which coding an answer of so many bytes is sent; "": as it is.
func (c *call) packs(x *http1.Exchange, n int) string {
	if c.variant == nil || c.variant.prog.compress == never || n == 0 || n < c.variant.prog.compress {
		return ""
	}
	return codingOf(header(x, "Accept-Encoding"))
}

// packed is what is sent of an answer's header and body.
func (c *call) packed(x *http1.Exchange, body []byte, has func(name string) bool) []byte {
	coding := c.packs(x, len(body))
	if coding == "" || has("Content-Encoding") {
		return body
	}
	var out []byte
	if !c.hold(int64(len(body))) || !c.heavily(len(body), func() { out = pack(coding, body) }) || out == nil {
		return body
	}
	c.head = appendLine(appendLine(c.head, "Content-Encoding", coding), "Vary", "Accept-Encoding")
	return out
}

var gzips = sync.Pool{New: func() any { return gzip.NewWriter(io.Discard) }}
var deflates = sync.Pool{New: func() any { return zlib.NewWriter(io.Discard) }}

// pack compresses.
func pack(coding string, body []byte) []byte {
	var out bytes.Buffer
	var err error
	if coding == codingGzip {
		w := gzips.Get().(*gzip.Writer)
		defer gzips.Put(w)
		w.Reset(&out)
		_, err = w.Write(body)
		err = errors.Join(err, w.Close())
	} else {
		w := deflates.Get().(*zlib.Writer)
		defer deflates.Put(w)
		w.Reset(&out)
		_, err = w.Write(body)
		err = errors.Join(err, w.Close())
	}
	if err != nil {
		return nil
	}
	return out.Bytes()
}

// hasHeader looks for a name among pairs.
func hasHeader(all []mapping.Pair) func(name string) bool {
	return func(name string) bool {
		for _, h := range all {
			if strings.EqualFold(h.Name, name) {
				return true
			}
		}
		return false
	}
}

// hasLine looks for a name among lines.
func hasLine(lines []byte) func(name string) bool {
	return func(name string) bool {
		for line := range bytes.SplitSeq(lines, []byte("\r\n")) {
			if n, _, ok := bytes.Cut(line, []byte{':'}); ok && strings.EqualFold(string(n), name) {
				return true
			}
		}
		return false
	}
}
