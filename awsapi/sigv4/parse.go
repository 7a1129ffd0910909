package sigv4

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// Skew is how far a request's date may be from now, either way.
	Skew = 5 * time.Minute
	// MaxExpires is the longest a presigned request can be good for.
	MaxExpires = 7 * 24 * time.Hour

	// UnsignedPayload stands in place of the body's hash where the client did not
	// sign the body. Verify refuses it unless it is given it.
	UnsignedPayload = "UNSIGNED-PAYLOAD"

	stampFormat = "20060102T150405Z"
	// More signed headers than any client has, and few enough to look each up.
	maxSigned = 100
)

// The parameters of a presigned request.
const (
	paramAlgorithm  = "X-Amz-Algorithm"
	paramCredential = "X-Amz-Credential"
	paramDate       = "X-Amz-Date"
	paramExpires    = "X-Amz-Expires"
	paramHeaders    = "X-Amz-SignedHeaders"
	paramSignature  = "X-Amz-Signature"
	paramToken      = "X-Amz-Security-Token"
	paramHash       = "X-Amz-Content-Sha256"
)

// Scope is where and on what day a signature holds.
type Scope struct{ Day, Region, Service string } // Day as 20060102, in UTC

func (s Scope) append(b []byte) []byte {
	b = append(append(b, s.Day...), '/')
	b = append(append(b, s.Region...), '/')
	b = append(append(b, s.Service...), '/')
	return append(b, terminator...)
}

func (s Scope) String() string { return string(s.append(nil)) }

// Signed is a request with a signature that can be read, and nothing checked yet but
// its form and what it must cover.
type Signed struct {
	AccessKeyID   string
	Scope         Scope
	Date          time.Time
	SignedHeaders []string // lower case, sorted
	SessionToken  string
	Presigned     bool
	Expires       time.Duration // of a presigned request; 0 where it does not say, and then Skew holds
	PayloadHash   string        // what the client says the body's hash is, or UnsignedPayload; "" where it does not say

	signature string
	list      string // SignedHeaders as sent
	stamp     string // Date as signed
	req       *Request
}

// ParseHTTP is Parse of FromHTTP.
func ParseHTTP(r *http.Request) (*Signed, error) { return Parse(FromHTTP(r)) }

// Parse finds the signature of a request. The request must not change before it is
// verified. Every error is an *Error of kind MissingToken, Incomplete or Invalid.
func Parse(r *Request) (*Signed, error) {
	auth, n := r.get("authorization")
	if n > 1 {
		return nil, &Error{Incomplete, "Authorization header must appear only once."}
	}
	auth = strings.Trim(auth, " \t")
	var q params
	q.read(r.Query)
	s := &Signed{req: r}
	var err error
	switch {
	case r.Path != "" && r.Path[0] != '/':
		err = &Error{Invalid, "The path must begin with a slash."} // * would be signed as /* is
	case q.malformed && (q.present() || isV4(auth)):
		// Programs differ in what they read there, so the signature would cover
		// something other than what is then acted on.
		err = &Error{Invalid, "The query string holds an incomplete escape."}
	case q.present() && isV4(auth):
		err = &Error{Incomplete, "Only one of Authorization header and query-string authentication is allowed."}
	case q.present():
		err = s.fromQuery(&q)
	case auth != "":
		err = s.fromHeader(auth)
	default:
		err = errMissing
	}
	if err == nil {
		err = s.checkCover()
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

func isV4(auth string) bool { return strings.HasPrefix(auth, "AWS4-") }

// ScopeService names the service of a call's credential scope, from its Authorization
// header and raw query. It tells an AWS client's call from others and checks nothing.
func ScopeService(authorization, query string) (service string, ok bool) {
	credential := ""
	if isV4(authorization) {
		_, credential, _ = strings.Cut(authorization, "Credential=")
		if i := strings.IndexAny(credential, ", \t"); i >= 0 {
			credential = credential[:i]
		}
	} else if i := strings.Index(query, paramCredential+"="); i == 0 || i > 0 && query[i-1] == '&' {
		credential, _, _ = strings.Cut(query[i+len(paramCredential)+1:], "&")
		var err error
		if credential, err = url.QueryUnescape(credential); err != nil {
			return "", false
		}
	}
	rest, found := strings.CutSuffix(credential, "/"+terminator)
	if !found {
		return "", false
	}
	service = rest[strings.LastIndexByte(rest, '/')+1:]
	return service, service != "" && strings.Count(rest, "/") == 3
}

// In the order AWS complains of them.
var headerParams = [3]string{"Credential", "Signature", "SignedHeaders"}

func (s *Signed) fromHeader(auth string) error {
	name, rest, _ := strings.Cut(auth, " ")
	if isV4(auth) && name != algorithm {
		return &Error{Incomplete, fmt.Sprintf("Unsupported AWS 'algorithm': '%s'. ", printable(name))}
	}
	var values [3]string
	var have [3]bool
	for part := range strings.SplitSeq(rest, ",") {
		key, value, ok := strings.Cut(strings.Trim(part, " \t"), "=")
		if !ok {
			return &Error{Incomplete, "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded with Base64): '" + hashed(auth) + "'."}
		}
		i := slices.Index(headerParams[:], key)
		if i < 0 {
			continue
		}
		if have[i] {
			return &Error{Incomplete, "Authorization header must have only one '" + key + "' parameter."}
		}
		values[i], have[i] = value, true
	}
	s.signature, s.list = values[1], values[2]
	stamp, err := s.readDate()
	if err != nil {
		return err
	}
	var lacks strings.Builder
	for i, key := range headerParams {
		if !have[i] || name != algorithm {
			fmt.Fprintf(&lacks, "Authorization header requires '%s' parameter. ", key)
		}
	}
	if stamp == "" {
		lacks.WriteString("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ")
	}
	if lacks.Len() > 0 {
		return &Error{Incomplete, lacks.String() + "(Hashed with SHA-256 and encoded with Base64) Authorization=" + hashed(auth)}
	}
	s.SessionToken, _ = s.req.get("x-amz-security-token")
	s.PayloadHash, _ = s.req.get("x-amz-content-sha256")
	return s.readCredential(values[0])
}

// readDate takes the request's time from X-Amz-Date, or else Date, and returns it as
// it is signed; "" when there is neither.
func (s *Signed) readDate() (string, error) {
	for _, name := range [...]string{"x-amz-date", "date"} {
		v, n := s.req.get(name)
		if n == 0 {
			continue
		}
		if n > 1 {
			return "", &Error{Incomplete, "Header '" + name + "' must appear only once."}
		}
		v = strings.Trim(v, " \t")
		if name == "date" {
			if t, err := http.ParseTime(v); err == nil {
				v = t.UTC().Format(stampFormat)
			}
		}
		return v, s.readStamp(v)
	}
	return "", nil
}

func (s *Signed) readStamp(v string) (err error) {
	// The length is checked as time.Parse would take fractions of seconds, too.
	if s.Date, err = time.Parse(stampFormat, v); err != nil || len(v) != len(stampFormat) {
		return &Error{Incomplete, fmt.Sprintf("Date must be in ISO-8601 'basic format'. Got '%s'. See http://en.wikipedia.org/wiki/ISO_8601 ", printable(v))}
	}
	s.stamp = v
	return nil
}

func (s *Signed) readCredential(credential string) error {
	parts := strings.SplitN(credential, "/", 6)
	ok := len(parts) == 5
	for _, p := range parts {
		ok = ok && p != "" && p == printable(p) && len(p) <= 256
	}
	if !ok {
		return &Error{Incomplete, fmt.Sprintf("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '%s'", printable(credential))}
	}
	s.AccessKeyID, s.Scope = parts[0], Scope{parts[1], parts[2], parts[3]}
	if parts[4] != terminator {
		return &Error{Invalid, fmt.Sprintf("Credential should be scoped with a valid terminator: '%s', not '%s'. ", terminator, parts[4])}
	}
	if day := s.stamp[:8]; s.Scope.Day != day {
		return &Error{Invalid, fmt.Sprintf("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s', from '%s'.", s.Scope.Day, day, s.stamp)}
	}
	return nil
}

// checkCover reads the list of signed headers and refuses one that leaves out what
// every signature must cover. X-Amz-Security-Token may be left out: AWS's test suite
// knows services that add it after signing, and another token is another session.
func (s *Signed) checkCover() error {
	if strings.Count(s.list, ";") >= maxSigned {
		return &Error{Invalid, "Too many SignedHeaders."}
	}
	s.SignedHeaders = strings.Split(s.list, ";")
	last := ""
	for _, name := range s.SignedHeaders {
		if name <= last || !isLowerToken(name) {
			return &Error{Invalid, "SignedHeaders must be lower-case header names in order, each once."}
		}
		last = name
	}
	if !slices.Contains(s.SignedHeaders, "host") {
		return errHost
	}
	for i := range s.req.Header {
		name := s.req.Header[i].Name
		if len(name) < 6 || !is(name[:6], "x-amz-") || is(name, "x-amz-security-token") {
			continue
		}
		if lower := strings.ToLower(name); !slices.Contains(s.SignedHeaders, lower) {
			return &Error{Invalid, "There were headers present in the request which were not signed: " + lower}
		}
	}
	return nil
}

func isLowerToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || 'A' <= c && c <= 'Z' || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// printable is s where it is short plain text, and otherwise its beginning without
// the characters that are not: it goes into messages, and a scope into what is signed.
func printable(s string) string {
	s = s[:min(len(s), 512)]
	return strings.Map(func(c rune) rune {
		if c <= ' ' || c >= 0x7f {
			return -1
		}
		return c
	}, s)
}

// params is what a query holds of a presigned request.
type params struct {
	values    [8]string
	have      [8]bool
	repeated  string // a parameter that is there twice
	malformed bool   // an escape somewhere in the query is none
}

var paramNames = [8]string{paramAlgorithm, paramCredential, paramDate, paramExpires, paramHeaders, paramSignature, paramToken, paramHash}

func (p *params) read(query string) {
	for i := 0; i < len(query); i++ {
		if query[i] == '%' && (i+2 >= len(query) || !isHex(query[i+1]) || !isHex(query[i+2])) {
			p.malformed = true
			return
		}
	}
	for raw := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(raw, "=")
		name, _ = url.QueryUnescape(name) // copies only what is escaped
		if !strings.HasPrefix(name, "X-Amz-") {
			continue
		}
		for i := range paramNames {
			if name != paramNames[i] {
				continue
			}
			if p.have[i] {
				p.repeated = name
			}
			p.have[i] = true
			p.values[i], _ = url.QueryUnescape(value)
		}
	}
}

// present says that the query means to be a presigned one.
func (p *params) present() bool { return p.have[0] || p.have[1] || p.have[5] }

func (s *Signed) fromQuery(p *params) error {
	if p.repeated != "" {
		return &Error{Incomplete, "AWS query-string parameters must include '" + p.repeated + "' only once."}
	}
	lacks := ""
	for _, i := range [...]int{0, 1, 4, 2, 5} {
		if !p.have[i] {
			lacks += "AWS query-string parameters must include '" + paramNames[i] + "'. "
		}
	}
	if lacks != "" {
		return &Error{Incomplete, lacks + "Re-examine the query-string parameters."}
	}
	if p.values[0] != algorithm {
		return &Error{Incomplete, fmt.Sprintf("Unsupported AWS 'algorithm': '%s'. ", printable(p.values[0]))}
	}
	if err := s.readStamp(p.values[2]); err != nil {
		return err
	}
	if p.have[3] {
		n, err := strconv.ParseUint(p.values[3], 10, 32)
		if err != nil || n == 0 || n > uint64(MaxExpires/time.Second) {
			return &Error{Incomplete, "X-Amz-Expires must be a number of seconds from 1 to 604800."}
		}
		s.Expires = time.Duration(n) * time.Second
	}
	s.Presigned = true
	s.list, s.signature, s.SessionToken, s.PayloadHash = p.values[4], p.values[5], p.values[6], p.values[7]
	if hash, n := s.req.get("x-amz-content-sha256"); n > 0 {
		s.PayloadHash = hash
	}
	return s.readCredential(p.values[1])
}
