package gateway

import (
	"net/url"
	"strings"

	"tollgate/gateway/http1"
	"tollgate/gateway/mapping"
)

// forwardOver is forward with what the integration's parameters put over the call. The
// bodies stream, as they do without parameters, unless one reads the request's.
func (c *call) forwardOver(x *http1.Exchange) ([]byte, kind) {
	m := c.run.m
	if m.over.ReadsBody() {
		if !x.MayBlock() {
			x.Block()
			return nil, later
		}
		if k := c.readBody(x); k != proceed {
			return nil, k
		}
	}
	in := c.mappingCall(x, string(c.body))
	var over mapping.Request
	if !c.heavily(len(c.body), func() { over = m.over.Request(in) }) {
		return nil, unavailable
	}
	if climbs(over.Path) {
		c.why = whyClimbs
		return nil, badRequest
	}
	req := c.appendOverTarget(x.Out[:0], x, &over)
	if c.body != nil {
		x.Request.Chunked, x.Request.ContentLength = false, int64(len(c.body))
	}
	req = c.appendOverHead(req, x, over.Header)
	return append(req, c.body...), proceed
}

const whyClimbs = "a value for the integration's path has a dot segment"

// appendOverHead appends everything of a request behind its first line.
func (c *call) appendOverHead(dst []byte, x *http1.Exchange, header []mapping.Pair) []byte {
	var trace [traceLine]byte
	host := c.run.m.out.host
	var lines []byte
	replaced := make([]string, 0, len(header))
	traced, parented := false, false
	for _, h := range header {
		name := strings.ToLower(h.Name)
		switch {
		case name == "host":
			if hostHeader(h.Value) {
				host = h.Value
			}
			continue
		case name == "x-forwarded-for" || name == "x-forwarded-proto" || notMapped[name]:
			continue // the gateway's own
		}
		traced, parented = traced || name == "x-amzn-trace-id", parented || name == "traceparent"
		replaced = append(replaced, name)
		lines = append(append(append(append(lines, h.Name...), ": "...), h.Value...), '\r', '\n')
	}
	if c.decoded {
		replaced = append(replaced, "content-encoding")
	}
	var own []byte
	switch {
	case !traced && !parented:
		own = c.appendTrace(trace[:0], x)
	case !traced:
		own = append(c.appendTraceID(append(trace[:0], "X-Amzn-Trace-Id: "...), x, true), '\r', '\n')
	case !parented:
		own = c.appendParent(trace[:0])
	}
	return x.AppendOver(dst, host, lines, func(name []byte) bool {
		for _, r := range replaced {
			if http1.EqualFold(name, r) {
				return true
			}
		}
		return false
	}, own)
}

// appendOverTarget appends the request line. A parameter's value is put in escaped: it
// must not become a segment or a parameter of its own.
func (c *call) appendOverTarget(dst []byte, x *http1.Exchange, over *mapping.Request) []byte {
	r, up := &x.Request, &c.run.m.out
	if up.verb != "" {
		dst = append(dst, up.verb...)
	} else {
		dst = append(dst, c.verb(x)...)
	}
	dst = append(dst, ' ')
	for i := range up.parts {
		if p := &up.parts[i]; p.parameter != "" {
			dst = append(dst, escapePath(over.Path[p.parameter])...)
		} else {
			dst = c.appendPart(dst, p)
		}
	}
	dst = appendOverQuery(dst, up.ownQuery(over.Path), string(r.Query.Of(x.In)), over.Query)
	return append(dst, " HTTP/1.1\r\n"...)
}

// appendOverQuery appends the integration's own query, what the client sent, and the
// parameters, which go over the client's of the same names.
func appendOverQuery(dst []byte, own, sent string, over []mapping.Pair) []byte {
	sep := byte('?')
	if own != "" {
		dst = append(append(dst, sep), own...)
		sep = '&'
	}
	for item := range strings.FieldsFuncSeq(sent, func(r rune) bool { return r == '&' || r == ';' }) {
		name, _, _ := strings.Cut(item, "=")
		if !hasPair(over, unescapeQuery(name)) {
			dst = append(append(dst, sep), item...)
			sep = '&'
		}
	}
	for _, q := range over {
		dst = append(append(append(append(dst, sep), url.QueryEscape(q.Name)...), '='), url.QueryEscape(q.Value)...)
		sep = '&'
	}
	return dst
}

func hasPair(all []mapping.Pair, name string) bool {
	for _, p := range all {
		if p.Name == name {
			return true
		}
	}
	return false
}

// escapePath escapes a value for a path; its slashes stay, as those of a greedy variable
// do.
func escapePath(s string) string {
	if !strings.Contains(s, "/") {
		return url.PathEscape(s)
	}
	parts := strings.Split(s, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}

// climbs says that a value for a path has a dot segment, by which it could leave the
// place that the author gave it. None of a call's own path has one: see route.Match.
func climbs(values map[string]string) bool {
	for _, v := range values {
		if !strings.Contains(v, ".") {
			continue
		}
		for part := range strings.FieldsFuncSeq(v, func(r rune) bool { return r == '/' || r == '\\' }) {
			if part == "." || part == ".." { // an escape of them would be escaped itself
				return true
			}
		}
	}
	return false
}
