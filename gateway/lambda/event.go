package lambda

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Call is a call of an API as events tell of it. Byte slices are only read.
type Call struct {
	Resource       string // the path of the method's resource, a template
	Path           []byte // without the stage
	Method         []byte
	Header         []Field // as they came; what is not forwarded is left out already
	Query          []byte  // as it came, without "?"
	PathParameters []Field // decoded
	StageVariables map[string]string
	Body           []byte
	BinaryBody     bool // the body goes as base64
	Context        Context
}

// Field is a name with a value.
type Field struct{ Name, Value []byte }

// Context is what events have of a call's requestContext.
type Context struct {
	AccountID, APIID, DeploymentID, Stage string
	ResourceID, OperationName             string
	Domain                                []byte // the host, without its port
	RequestID, ExtendedRequestID          string
	Path                                  []byte // as it came, with the stage or the base path
	Protocol                              string
	Time                                  string // 02/Jan/2006:15:04:05 +0000
	TimeEpoch                             int64  // milliseconds
	SourceIP                              string
	Identity                              [][2]string // further fields of identity that have a value
	ClientCert                            *ClientCert // nil: the domain has no mutual TLS
	Canary                                *bool       // nil: the stage has none
	// AppendAuthorizer appends what an authorizer has said, as a JSON object; nil: none was
	// asked.
	AppendAuthorizer func(dst []byte) []byte
}

// ClientCert is the certificate that a client showed, in the texts that events have.
type ClientCert struct {
	PEM, SubjectDN, IssuerDN string
	SerialNumber             string // bytes in hexadecimal, separated by colons
	NotBefore, NotAfter      string // Jan _2 15:04:05 2006 GMT
}

// AppendProxy appends the event that a proxy integration gives to its function, in
// payload format 1.0.
func (c *Call) AppendProxy(dst []byte) []byte {
	dst = append(dst, `{"resource":`...)
	dst = c.appendRequest(dst, "null")
	dst = append(dst, `,"body":`...)
	base64ed := false
	switch {
	case len(c.Body) == 0:
		dst = append(dst, "null"...)
	case c.BinaryBody || !utf8.Valid(c.Body):
		base64ed = true
		dst = append(dst, '"')
		dst = append(base64.StdEncoding.AppendEncode(dst, c.Body), '"')
	default:
		dst = appendString(dst, c.Body)
	}
	dst = strconv.AppendBool(append(dst, `,"isBase64Encoded":`...), base64ed)
	return append(dst, '}')
}

// AppendRequest appends the event that an authorizer of type REQUEST gets.
func (c *Call) AppendRequest(dst []byte, methodARN string) []byte {
	dst = appendString(append(dst, `{"type":"REQUEST","methodArn":`...), methodARN)
	dst = append(dst, `,"resource":`...)
	return append(c.appendRequest(dst, "{}"), '}')
}

// AppendToken appends the event that an authorizer of type TOKEN gets.
func AppendToken(dst []byte, methodARN, token string) []byte {
	dst = appendString(append(dst, `{"type":"TOKEN","methodArn":`...), methodARN)
	return append(appendString(append(dst, `,"authorizationToken":`...), token), '}')
}

// appendRequest appends what both events have of the request, from the resource on.
// empty is what stands for a map without names.
func (c *Call) appendRequest(dst []byte, empty string) []byte {
	dst = appendString(dst, c.Resource)
	dst = appendString(append(dst, `,"path":`...), c.Path)
	dst = appendString(append(dst, `,"httpMethod":`...), c.Method)
	dst = appendFields(dst, "headers", "multiValueHeaders", empty, header(c.Header))
	dst = appendFields(dst, "queryStringParameters", "multiValueQueryStringParameters", empty, query(c.Query))
	dst = append(dst, `,"pathParameters":`...)
	if len(c.PathParameters) == 0 {
		dst = append(dst, empty...)
	} else {
		for i := range c.PathParameters {
			p := &c.PathParameters[i]
			dst = appendMember(dst, i, p.Name, p.Value)
		}
		dst = append(dst, '}')
	}
	dst = append(dst, `,"stageVariables":`...)
	if len(c.StageVariables) == 0 {
		dst = append(dst, empty...)
	} else {
		var room [16]string
		names := room[:0]
		for name := range c.StageVariables {
			names = append(names, name)
		}
		slices.Sort(names)
		for i, name := range names {
			dst = appendMember(dst, i, name, c.StageVariables[name])
		}
		dst = append(dst, '}')
	}
	return c.Context.append(append(dst, `,"requestContext":`...), c)
}

func appendMember[T string | []byte](dst []byte, i int, name, value T) []byte {
	sep := byte(',')
	if i == 0 {
		sep = '{'
	}
	return appendString(append(appendString(append(dst, sep), name), ':'), value)
}

// groups are fields by name: each holds the next of its name, and the first the last.
type groups struct {
	fields []Field
	links  []link
}

type link struct {
	next, last int32 // next -1: none; last -1: it is not the first of its name
}

// few is up to how many fields they are compared with each other.
const few = 24

// group finds fields of equal names.
func group(fields []Field, fold bool) groups {
	g := groups{fields, make([]link, len(fields))}
	var at map[string]int32
	if len(fields) > few {
		at = make(map[string]int32, len(fields))
	}
	for i := range fields {
		first := int32(-1)
		if at != nil {
			name := string(fields[i].Name)
			if fold {
				name = strings.ToLower(name)
			}
			if j, ok := at[name]; ok {
				first = j
			} else {
				at[name] = int32(i)
			}
		} else {
			for j := range i {
				if g.links[j].last >= 0 && sameName(fields[j].Name, fields[i].Name, fold) {
					first = int32(j)
					break
				}
			}
		}
		if first < 0 {
			g.links[i] = link{-1, int32(i)}
			continue
		}
		g.links[i] = link{-1, -1}
		g.links[g.links[first].last].next = int32(i)
		g.links[first].last = int32(i)
	}
	return g
}

func sameName(a, b []byte, fold bool) bool {
	if !fold {
		return string(a) == string(b)
	}
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c |= 0x20
	}
	return c
}

func header(fields []Field) groups { return group(fields, true) }

// query splits a query at & and ;, and decodes its parameters.
func query(q []byte) groups {
	n := 1
	for _, c := range q {
		if c == '&' || c == ';' {
			n++
		}
	}
	fields := make([]Field, 0, n)
	for len(q) > 0 {
		end := 0
		for end < len(q) && q[end] != '&' && q[end] != ';' {
			end++
		}
		part := q[:end]
		q = q[min(end+1, len(q)):]
		if len(part) == 0 {
			continue
		}
		eq := 0
		for eq < len(part) && part[eq] != '=' {
			eq++
		}
		fields = append(fields, Field{unescape(part[:eq]), unescape(part[min(eq+1, len(part)):])})
	}
	return group(fields, false)
}

// unescape decodes a name or a value of a query; one that has a broken escape is left
// as it is.
func unescape(s []byte) []byte {
	for _, c := range s {
		if c == '%' || c == '+' {
			if t, err := url.QueryUnescape(string(s)); err == nil {
				return []byte(t)
			}
			return s
		}
	}
	return s
}

// appendFields appends the last value of each name, and then all values of each.
func appendFields(dst []byte, one, all, empty string, g groups) []byte {
	name := func(dst []byte, s string) []byte { return append(append(append(dst, `,"`...), s...), `":`...) }
	if len(g.fields) == 0 {
		dst = append(name(dst, one), empty...)
		return append(name(dst, all), empty...)
	}
	dst = name(dst, one)
	n := 0
	for i := range g.fields {
		if last := g.links[i].last; last >= 0 {
			dst = appendMember(dst, n, g.fields[i].Name, g.fields[last].Value)
			n++
		}
	}
	dst = name(append(dst, '}'), all)
	sep := byte('{')
	for i := range g.fields {
		if g.links[i].last < 0 {
			continue
		}
		dst = append(appendString(append(dst, sep), g.fields[i].Name), ':')
		sep = ','
		open := byte('[')
		for j := int32(i); j >= 0; j = g.links[j].next {
			dst = appendString(append(dst, open), g.fields[j].Value)
			open = ','
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

// identityFields are always there, null where nothing is known.
var identityFields = []string{"accessKey", "accountId", "caller", "cognitoAuthenticationProvider", "cognitoAuthenticationType", "cognitoIdentityId",
	"cognitoIdentityPoolId", "principalOrgId", "sourceIp", "user", "userAgent", "userArn"}

func (x *Context) append(dst []byte, c *Call) []byte {
	text := func(name, value string) {
		dst = appendString(append(append(dst, name...), `":`...), value)
	}
	text(`{"accountId`, x.AccountID)
	text(`,"apiId`, x.APIID)
	if x.AppendAuthorizer != nil {
		dst = x.AppendAuthorizer(append(dst, `,"authorizer":`...))
	}
	text(`,"deploymentId`, x.DeploymentID)
	dst = appendString(append(dst, `,"domainName":`...), x.Domain)
	prefix := x.Domain
	for i, b := range prefix {
		if b == '.' {
			prefix = prefix[:i]
			break
		}
	}
	dst = appendString(append(dst, `,"domainPrefix":`...), prefix)
	text(`,"extendedRequestId`, x.ExtendedRequestID)
	dst = appendString(append(dst, `,"httpMethod":`...), c.Method)
	dst = x.appendIdentity(append(dst, `,"identity":`...), c)
	if x.Canary != nil {
		dst = strconv.AppendBool(append(dst, `,"isCanaryRequest":`...), *x.Canary)
	}
	if x.OperationName != "" {
		text(`,"operationName`, x.OperationName)
	}
	dst = appendString(append(dst, `,"path":`...), x.Path)
	text(`,"protocol`, x.Protocol)
	text(`,"requestId`, x.RequestID)
	text(`,"requestTime`, x.Time)
	dst = strconv.AppendInt(append(dst, `,"requestTimeEpoch":`...), x.TimeEpoch, 10)
	text(`,"resourceId`, x.ResourceID)
	text(`,"resourcePath`, c.Resource)
	text(`,"stage`, x.Stage)
	return append(dst, '}')
}

func (x *Context) appendIdentity(dst []byte, c *Call) []byte {
	sep := byte('{')
	put := func(name, value string) {
		dst = append(append(append(dst, sep, '"'), name...), `":`...)
		dst = appendString(dst, value)
		sep = ','
	}
	for _, name := range identityFields {
		switch v := x.identity(name); {
		case name == "sourceIp":
			put(name, x.SourceIP)
		case name == "userAgent":
			dst = append(dst, `,"userAgent":`...)
			agent := lastOf(c.Header, "user-agent")
			if agent == nil {
				dst = append(dst, "null"...)
			} else {
				dst = appendString(dst, agent)
			}
		case v != "":
			put(name, v)
		default:
			dst = append(append(append(dst, sep, '"'), name...), `":null`...)
			sep = ','
		}
	}
	for _, f := range x.Identity {
		if f[1] != "" && !slices.Contains(identityFields, f[0]) {
			put(f[0], f[1])
		}
	}
	if k := x.ClientCert; k != nil {
		dst = appendString(append(dst, `,"clientCert":{"clientCertPem":`...), k.PEM)
		dst = appendString(append(dst, `,"subjectDN":`...), k.SubjectDN)
		dst = appendString(append(dst, `,"issuerDN":`...), k.IssuerDN)
		dst = appendString(append(dst, `,"serialNumber":`...), k.SerialNumber)
		dst = appendString(append(dst, `,"validity":{"notBefore":`...), k.NotBefore)
		dst = append(appendString(append(dst, `,"notAfter":`...), k.NotAfter), "}}"...)
	}
	return append(dst, '}')
}

func (x *Context) identity(name string) string {
	for _, f := range x.Identity {
		if f[0] == name {
			return f[1]
		}
	}
	return ""
}

// lastOf is the last value of a header, whose name is given in lower case.
func lastOf(fields []Field, name string) []byte {
	for i := len(fields) - 1; i >= 0; i-- {
		if sameName(fields[i].Name, []byte(name), true) {
			return fields[i].Value
		}
	}
	return nil
}
