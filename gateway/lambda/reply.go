package lambda

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrMalformed is what no function may answer; errors that wrap it say why.
var ErrMalformed = errors.New("malformed Lambda proxy response")

// Bounds of an answer's headers.
const (
	maxReplyHeaders = 64 << 10 // bytes, names and values
	maxReplyFields  = 500
)

// Reply is a function's answer to a proxy event.
type Reply struct {
	Status int
	Header []Field // in the order they are sent, not yet remapped: see Sent
	Body   []byte
	Base64 bool // Body is base64 of what is meant
}

// ParseReply reads what a function has answered. Views of payload are kept.
func ParseReply(payload []byte) (Reply, error) {
	p := parser{reader: reader{in: payload}}
	r, err := p.parse(false)
	return r, err
}

type parser struct {
	reader
	one, many []Field
	cookies   [][]byte
	size      int
	why       error
}

// parse reads an answer; of a stream it is the part before the body.
func (p *parser) parse(stream bool) (Reply, error) {
	out := Reply{Status: 200}
	ok := p.object(func(name string) bool {
		switch {
		case name == "statusCode":
			return p.status(&out.Status)
		case name == "headers":
			p.one = p.one[:0]
			return p.headers(func(name []byte) bool {
				v, there, ok := p.scalar()
				return ok && (!there || p.add(&p.one, name, v))
			})
		case name == "multiValueHeaders":
			p.many = p.many[:0]
			return p.headers(func(name []byte) bool {
				return p.list(func(v []byte) bool { return p.add(&p.many, name, v) })
			})
		case name == "body" && !stream:
			v, ok := p.nullOr()
			out.Body = v
			return ok
		case name == "isBase64Encoded" && !stream:
			v, there, ok := p.scalar()
			out.Base64 = string(v) == "true"
			return ok && (!there || out.Base64 || string(v) == "false")
		case name == "cookies" && stream:
			p.cookies = p.cookies[:0]
			return p.list(func(v []byte) bool {
				p.cookies = append(p.cookies, v)
				return p.counts(len(v)) && value(v)
			})
		}
		return p.no("the field %.50q is not one of an answer", name)
	})
	switch {
	case p.why != nil:
		return Reply{}, p.why
	case !ok || !p.end():
		return Reply{}, fmt.Errorf("%w: at byte %d it is not the JSON of an answer", ErrMalformed, p.pos)
	}
	out.Header = merge(p.one, p.many)
	for _, v := range p.cookies {
		out.Header = append(out.Header, Field{[]byte("Set-Cookie"), v})
	}
	return out, nil
}

// no notes what is wrong, unless something was already.
func (p *parser) no(format string, a ...any) bool {
	if p.why == nil {
		p.why = fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, a...))
	}
	return false
}

func (p *parser) status(to *int) bool {
	v, there, ok := p.scalar()
	if !ok {
		return false
	}
	if !there {
		*to = 200
		return true
	}
	n, err := strconv.Atoi(string(v))
	if err != nil || n < 200 || n > 599 {
		return p.no("the statusCode %.20q is no whole number from 200 to 599", v)
	}
	*to = n
	return true
}

// nullOr reads a text or null.
func (p *parser) nullOr() ([]byte, bool) {
	if p.word("null") {
		return nil, true
	}
	if p.peek() != '"' {
		return nil, p.no("the body is not a text")
	}
	return p.text()
}

func (p *parser) headers(member func(name []byte) bool) bool {
	if p.word("null") {
		return true
	}
	return p.object(func(name string) bool {
		if !token(name) {
			return p.no("%.50q is not the name of a header", name)
		}
		return member([]byte(name))
	})
}

// list reads a list of scalars; null is an empty one.
func (p *parser) list(each func(v []byte) bool) bool {
	if p.word("null") {
		return true
	}
	if !p.take('[') {
		return false
	}
	if p.take(']') {
		return true
	}
	for {
		v, there, ok := p.scalar()
		if !ok || there && !each(v) {
			return false
		}
		if p.take(']') {
			return true
		}
		if !p.take(',') {
			return false
		}
	}
}

func (p *parser) add(to *[]Field, name, v []byte) bool {
	if !value(v) {
		return p.no("the value of the header %s has a character that none may have", name)
	}
	*to = append(*to, Field{name, v})
	return p.counts(len(name) + len(v))
}

func (p *parser) counts(n int) bool {
	if p.size += n; p.size > maxReplyHeaders || len(p.one)+len(p.many)+len(p.cookies) > maxReplyFields {
		return p.no("its headers have more than %d bytes, or %d lines", maxReplyHeaders, maxReplyFields)
	}
	return true
}

// merge is the headers that a caller gets: where a name is in both, its several values
// and the one, unless that is among them.
func merge(one, many []Field) []Field {
	out := make([]Field, 0, len(one)+len(many))
	for i := range one {
		among := false
		for j := range many {
			among = among || sameName(one[i].Name, many[j].Name, true) && string(one[i].Value) == string(many[j].Value)
		}
		if !among {
			out = append(out, one[i])
		}
	}
	return append(out, many...)
}

// remapped are headers that the gateway gives itself, or that mean the connection: what
// a function says with them goes by another name. In lower case.
var remapped = map[string]bool{"authorization": true, "connection": true, "content-length": true, "content-md5": true, "date": true, "expect": true, "host": true,
	"max-forwards": true, "proxy-authenticate": true, "server": true, "trailer": true, "upgrade": true, "user-agent": true, "www-authenticate": true,
	"x-amzn-requestid": true, "x-amz-apigw-id": true}

// dropped are of one connection, or the gateway's alone.
var dropped = map[string]bool{"keep-alive": true, "proxy-connection": true, "te": true, "transfer-encoding": true, "x-amzn-trace-id": true}

// Sent calls put for each header that goes to the caller, with JSON's content type where
// the function has named none.
func (r *Reply) Sent(put func(name, value string)) {
	typed := false
	for i := range r.Header {
		f := &r.Header[i]
		var room [64]byte
		low := room[:0]
		for _, c := range f.Name {
			low = append(low, lower(c))
		}
		name := string(f.Name)
		switch {
		case dropped[string(low)]:
			continue
		case remapped[string(low)]:
			name = "x-amzn-Remapped-" + name
		case string(low) == "content-type":
			typed = true
		}
		put(name, string(f.Value))
	}
	if !typed {
		put("Content-Type", "application/json")
	}
}

// Binary is media types whose payloads are no text.
type Binary []string

// NewBinary are an API's.
func NewBinary(types []string) Binary {
	var out Binary
	for _, t := range types {
		out = append(out, mediaType(t))
	}
	return out
}

func mediaType(s string) string {
	s, _, _ = strings.Cut(s, ";")
	return strings.ToLower(strings.TrimSpace(s))
}

// Has says whether payloads of a content type are no text.
func (b Binary) Has(contentType []byte) bool {
	if len(b) == 0 {
		return false
	}
	kind := mediaType(string(contentType))
	for _, t := range b {
		if t == kind && kind != "" || t == "*/*" {
			return true
		}
	}
	return false
}

// Wanted says whether the first type that a caller accepts is one of them.
func (b Binary) Wanted(accept []byte) bool {
	first, _, _ := bytes.Cut(accept, []byte{','})
	return b.Has(first)
}

// Decode is the body that is meant: bytes where it is base64 and the caller accepts
// bytes, else the text as it is.
func (r *Reply) Decode(wanted bool) ([]byte, error) {
	if !r.Base64 || !wanted {
		return r.Body, nil
	}
	out := make([]byte, base64.StdEncoding.DecodedLen(len(r.Body)))
	n, err := base64.StdEncoding.Decode(out, r.Body)
	if err != nil {
		return nil, errors.New("the body is said to be base64, and is not")
	}
	return out[:n], nil
}

func token(s string) bool {
	if s == "" || len(s) > 256 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return true
}

// value says that a header can have this value: it ends no line.
func value(s []byte) bool {
	for _, c := range s {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
