package sigv4

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Request is what of a request enters a signature. It holds strings only, so that a
// server without net/http can be verified and a client without it can sign.
type Request struct {
	Method string
	Path   string // as on the wire: escaped, without the query
	Query  string // as on the wire, without "?"
	Host   string
	Header []Field // Host is ignored in it
	Style  PathStyle
}

// Field is one header line; the name is in any case.
type Field struct{ Name, Value string }

// PathStyle says how the path enters the signature.
type PathStyle uint8

const (
	// PathNormal removes dot segments and doubled slashes and encodes what is left,
	// escapes once more included: every service but S3.
	PathNormal PathStyle = iota
	// PathKeep only encodes: some clients' signers never normalise.
	PathKeep
	// PathS3 takes the path as it is, with each escape in its usual form. It is chosen
	// by the service "s3" whatever the request says.
	PathS3
)

// FromHTTP takes a request as a server has read it or as a client is to send it.
func FromHTTP(r *http.Request) *Request {
	q := &Request{Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Host: r.Host}
	if q.Method == "" {
		q.Method = http.MethodGet
	}
	if q.Host == "" {
		q.Host = r.URL.Host
	}
	// A server's path may hold bytes that should have been escaped. The client
	// signed those, and EscapedPath would escape them.
	if r.RequestURI != "" && r.URL.RawPath != "" {
		if p, err := url.PathUnescape(r.URL.RawPath); err == nil && p == r.URL.Path {
			q.Path = r.URL.RawPath
		}
	}
	q.Header = make([]Field, 0, len(r.Header)+4) // room for what Sign adds
	for name, values := range r.Header {
		for _, v := range values {
			q.Header = append(q.Header, Field{name, v})
		}
	}
	return q
}

// get returns the first field of that name and how many there are.
func (r *Request) get(name string) (value string, n int) {
	for i := range r.Header {
		if is(r.Header[i].Name, name) {
			if n++; n == 1 {
				value = r.Header[i].Value
			}
		}
	}
	return value, n
}

// is compares a header's name with a lower-case one.
func is(name, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
)

// appendCanonical appends the canonical request. It is not whole when one of the names
// is not in the request: a signed header that got lost must not pass as an empty one.
func (r *Request) appendCanonical(b []byte, style PathStyle, names []string, list, payload string) (_ []byte, whole bool) {
	whole = true
	b = append(append(b, r.Method...), '\n')
	b = append(appendPath(b, r.Path, style), '\n')
	b = append(appendQuery(b, r.Query), '\n')
	for _, name := range names {
		b = append(append(b, name...), ':')
		if name == "host" {
			b = append(appendTrimmed(b, r.Host), '\n')
			continue
		}
		n := 0
		for i := range r.Header {
			if !is(r.Header[i].Name, name) {
				continue
			}
			if n++; n > 1 {
				b = append(b, ',')
			}
			b = appendTrimmed(b, r.Header[i].Value)
		}
		whole = whole && n > 0
		b = append(b, '\n')
	}
	b = append(append(b, '\n'), list...)
	return append(append(b, '\n'), payload...), whole
}

// appendStringToSign appends what the key signs.
func appendStringToSign(b []byte, stamp string, scope Scope, canonical []byte) []byte {
	sum := sha256.Sum256(canonical)
	b = append(append(append(b, algorithm...), '\n'), stamp...)
	b = append(scope.append(append(b, '\n')), '\n')
	return hex.AppendEncode(b, sum[:])
}

// style is S3's for S3, and the request's own otherwise.
func (r *Request) style(service string) PathStyle {
	if service == "s3" {
		return PathS3
	}
	return r.Style
}

func appendPath(b []byte, path string, style PathStyle) []byte {
	if path == "" {
		return append(b, '/')
	}
	switch style {
	case PathKeep:
		return appendEscaped(b, path, true)
	case PathS3:
		for i := 0; i < len(path); i++ {
			c := path[i]
			if c == '%' && i+2 < len(path) && isHex(path[i+1]) && isHex(path[i+2]) {
				c = unhex(path[i+1])<<4 | unhex(path[i+2])
				i += 2
				if c == '/' { // an escaped slash separates nothing
					b = append(b, "%2F"...)
					continue
				}
			}
			b = appendByte(b, c, true)
		}
		return b
	}
	start := len(b)
	for seg := range strings.SplitSeq(path, "/") {
		switch seg {
		case "", ".":
		case "..":
			if i := bytes.LastIndexByte(b[start:], '/'); i >= 0 {
				b = b[:start+i]
			}
		default:
			b = appendEscaped(append(b, '/'), seg, false)
		}
	}
	if len(b) == start || strings.HasSuffix(path, "/") {
		b = append(b, '/')
	}
	return b
}

// IsNormalPath says whether a path is the only one its signature fits: it has no dot
// segment and no doubled slash.
func IsNormalPath(path string) bool {
	if path == "" || path[0] != '/' {
		return path == ""
	}
	for rest := path[1:]; rest != ""; {
		seg, after, more := strings.Cut(rest, "/")
		if seg == "" || seg == "." || seg == ".." {
			return false
		}
		if !more {
			break
		}
		rest = after
	}
	return true
}

// appendQuery appends the parameters in canonical form: decoded and encoded anew, in
// the order of their names and then values. X-Amz-Signature is left out, as it cannot
// sign itself.
func appendQuery(b []byte, query string) []byte {
	if query == "" {
		return b
	}
	type pair struct{ start, eq, end int }
	var few [16]pair
	var scratch [512]byte
	pairs, s := few[:0], scratch[:0]
	for raw := range strings.SplitSeq(query, "&") {
		if raw == "" {
			continue
		}
		name, value, _ := strings.Cut(raw, "=")
		p := pair{start: len(s)}
		s = appendRecoded(s, name)
		p.eq = len(s)
		if string(s[p.start:]) == paramSignature {
			s = s[:p.start]
			continue
		}
		s = appendRecoded(append(s, '='), value)
		p.end = len(s)
		pairs = append(pairs, p)
	}
	slices.SortFunc(pairs, func(x, y pair) int {
		if c := bytes.Compare(s[x.start:x.eq], s[y.start:y.eq]); c != 0 {
			return c
		}
		return bytes.Compare(s[x.eq:x.end], s[y.eq:y.end])
	})
	for i, p := range pairs {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(b, s[p.start:p.end]...)
	}
	return b
}

// appendRecoded decodes a name or value of a query and encodes it in the one form
// signatures know. + is a blank: AWS's test suite signs it as %20.
func appendRecoded(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			c = unhex(s[i+1])<<4 | unhex(s[i+2])
			i += 2
		}
		b = appendByte(b, c, false)
	}
	return b
}

func appendEscaped(b []byte, s string, slash bool) []byte {
	for i := range len(s) {
		b = appendByte(b, s[i], slash)
	}
	return b
}

// appendByte appends a byte, escaped unless it is unreserved or an allowed slash.
func appendByte(b []byte, c byte, slash bool) []byte {
	if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~' || slash && c == '/' {
		return append(b, c)
	}
	const digits = "0123456789ABCDEF"
	return append(b, '%', digits[c>>4], digits[c&15])
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

// appendTrimmed appends a header's value without blanks around it and with one where
// several were. Line ends are blanks too, so no value can pass for another line.
func appendTrimmed(b []byte, v string) []byte {
	start, blank := len(b), false
	for i := range len(v) {
		switch c := v[i]; c {
		case ' ', '\t', '\r', '\n':
			blank = true
		default:
			if blank && len(b) > start {
				b = append(b, ' ')
			}
			blank = false
			b = append(b, c)
		}
	}
	return b
}
