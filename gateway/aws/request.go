package aws

import (
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tollgate/awsapi/sigv4"
)

// What a request can fail with.
var (
	// ErrPath: a value from the caller would lead to another path than the author's.
	ErrPath = errors.New("a path parameter has a dot segment")
	// ErrVariable: the URI has a variable that nothing gives a value.
	ErrVariable = errors.New("a variable of the integration uri has no value")
)

// Field is a name with a value: a header, or a parameter of a query.
type Field = sigv4.Field

// Mapped is a request as the integration's mapping has made it.
type Mapped struct {
	Verb        string            // what the service is asked by
	Path        map[string]string // values of the URI's variables
	Query       []Field
	Header      []Field // without those of the connection and the framing
	ContentType string  // where Header says none
	Body        string
}

// Request is one to a service.
type Request struct {
	Endpoint        Endpoint
	Region, Service string // that it is signed for
	Method          string
	Path, Query     string // as on the wire, without "?"
	Header          []Field
	Body            string
}

// Request makes the request that asks the target's service at e for what was mapped.
func (t *Target) Request(e Endpoint, m *Mapped) (*Request, error) {
	r := &Request{Endpoint: e, Region: t.Region, Service: t.Service, Method: m.Verb, Body: m.Body}
	if t.of.signing != "" {
		r.Service = t.of.signing
	}
	if t.of.region != "" && t.Partition == "aws" {
		r.Region = t.of.region
	}
	if v := t.verb(); v != "" {
		r.Method = v
	}
	r.Header = append(make([]Field, 0, len(m.Header)+8), m.Header...)
	path := append(make([]byte, 0, 64), e.Path...)
	path = append(path, '/')
	for _, p := range t.path {
		if p.variable == "" {
			path = append(path, p.literal...)
			continue
		}
		v, ok := m.Path[p.variable]
		if !ok {
			return nil, ErrVariable
		}
		path = appendPath(path, v)
	}
	r.Path = string(path)
	if dotted(r.Path[len(e.Path):]) {
		return nil, ErrPath
	}
	params := make([]Field, 0, len(t.params)+len(m.Query)+2)
	for i := range t.params {
		var v strings.Builder
		for _, p := range t.params[i].value {
			s, ok := p.literal, true
			if p.variable != "" {
				s, ok = m.Path[p.variable]
			}
			if !ok {
				return nil, ErrVariable
			}
			v.WriteString(s)
		}
		params = append(params, Field{Name: t.params[i].name, Value: v.String()})
	}
	params = append(params, m.Query...)
	if t.Action != "" && t.Service != "s3" {
		t.ask(r, params, m.ContentType)
		return r, nil
	}
	r.Query = string(appendQuery(nil, params))
	r.missing("Content-Type", m.ContentType)
	return r, nil
}

// ask makes the request that names an action, by the protocol of the service.
func (t *Target) ask(r *Request, params []Field, contentType string) {
	form := strings.HasPrefix(strings.ToLower(r.get("Content-Type")), query) || strings.HasPrefix(r.Body, "Action=")
	json := t.of.target != ""
	if json && t.of.version != "" { // it speaks both: what was mapped says which
		json = !form && len(params) == 0 && strings.HasPrefix(strings.TrimLeft(r.Body, " \t\r\n"), "{")
	}
	if json {
		r.missing("X-Amz-Target", t.of.target+"."+t.Action)
		r.missing("Content-Type", t.of.protocol)
		r.Query = string(appendQuery(nil, params))
		return
	}
	has := func(name string) bool {
		for i := range params {
			if params[i].Name == name {
				return true
			}
		}
		return form && (strings.HasPrefix(r.Body, name+"=") || strings.Contains(r.Body, "&"+name+"="))
	}
	if !has("Version") && t.of.version != "" {
		params = append([]Field{{Name: "Version", Value: t.of.version}}, params...)
	}
	// The action is the author's: a body that is passed on as it came asks for no other.
	if form {
		r.Body = withoutParameter(r.Body, "Action")
	}
	params = slices.DeleteFunc(params, func(f Field) bool { return f.Name == "Action" })
	params = append([]Field{{Name: "Action", Value: t.Action}}, params...)
	if r.Method != "POST" {
		r.Query = string(appendQuery(nil, params))
		if r.Body != "" {
			r.missing("Content-Type", contentType)
		}
		return
	}
	// Parameters go where clients of the protocol put them. A body that is no form means
	// nothing to it.
	body := appendQuery(nil, params)
	if form && r.Body != "" {
		if len(body) > 0 {
			body = append(body, '&')
		}
		body = append(body, r.Body...)
	}
	r.Body = string(body)
	r.set("Content-Type", query)
}

// withoutParameter is a form without the parameters of a name.
func withoutParameter(form, name string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(form, "&") {
		n, _, _ := strings.Cut(part, "=")
		if n != name {
			if s, err := url.QueryUnescape(n); err == nil {
				n = s
			}
		}
		if n == name {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(part)
	}
	return b.String()
}

// get is a header's value.
func (r *Request) get(name string) string {
	for i := range r.Header {
		if strings.EqualFold(r.Header[i].Name, name) {
			return r.Header[i].Value
		}
	}
	return ""
}

// missing adds a header that is not there.
func (r *Request) missing(name, value string) {
	if value != "" && r.get(name) == "" {
		r.set(name, value)
	}
}

func (r *Request) set(name, value string) {
	r.drop(name)
	r.Header = append(r.Header, Field{Name: name, Value: value})
}

func (r *Request) drop(name string) {
	keep := r.Header[:0]
	for _, f := range r.Header {
		if !strings.EqualFold(f.Name, name) {
			keep = append(keep, f)
		}
	}
	r.Header = keep
}

// Sign signs the request. It must be the last change of it.
func (r *Request) Sign(c sigv4.Credentials, now time.Time) {
	for _, name := range []string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-Sha256"} {
		r.drop(name) // what a mapping or a caller brought
	}
	s := sigv4.Request{Method: r.Method, Path: r.Path, Query: r.Query, Host: r.Endpoint.Host, Header: r.Header}
	r.Header = append(r.Header, s.Sign(c, r.Region, r.Service, sigv4.HashBody([]byte(r.Body)), now)...)
}

// Append appends the request as it is sent.
func (r *Request) Append(dst []byte) []byte {
	dst = append(append(append(dst, r.Method...), ' '), r.Path...)
	if r.Query != "" {
		dst = append(append(dst, '?'), r.Query...)
	}
	dst = append(append(dst, " HTTP/1.1\r\nHost: "...), r.Endpoint.Host...)
	for i := range r.Header {
		dst = append(append(append(append(dst, "\r\n"...), r.Header[i].Name...), ": "...), r.Header[i].Value...)
	}
	dst = strconv.AppendInt(append(dst, "\r\nContent-Length: "...), int64(len(r.Body)), 10)
	return append(append(dst, "\r\n\r\n"...), r.Body...)
}

// Concealed is the signed request as it may be shown: without what proves who signed it.
func (r *Request) Concealed() []byte {
	shown := *r
	shown.Header = make([]Field, 0, len(r.Header))
	for _, f := range r.Header {
		switch strings.ToLower(f.Name) {
		case "authorization", "x-amz-security-token":
			f.Value = "****"
		}
		shown.Header = append(shown.Header, f)
	}
	return shown.Append(nil)
}

// appendPath appends a value that fills segments: its slashes separate them.
func appendPath(dst []byte, v string) []byte {
	for i := range len(v) {
		c := v[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~/", c) >= 0 {
			dst = append(dst, c)
			continue
		}
		const digits = "0123456789ABCDEF"
		dst = append(dst, '%', digits[c>>4], digits[c&15])
	}
	return dst
}

// appendQuery appends parameters as %20 and not + writes blanks: both are read, but one
// form is signed.
func appendQuery(dst []byte, params []Field) []byte {
	for i := range params {
		if i > 0 {
			dst = append(dst, '&')
		}
		dst = append(dst, strings.ReplaceAll(url.QueryEscape(params[i].Name), "+", "%20")...)
		dst = append(append(dst, '='), strings.ReplaceAll(url.QueryEscape(params[i].Value), "+", "%20")...)
	}
	return dst
}

// dotted says whether a path has a segment that leads elsewhere.
func dotted(path string) bool {
	for seg := range strings.SplitSeq(path, "/") {
		if seg == "." || seg == ".." {
			return true
		}
	}
	return false
}
