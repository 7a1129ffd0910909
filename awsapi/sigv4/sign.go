package sigv4

import (
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Credentials are what requests are signed with. SessionToken is empty for keys that last.
type Credentials struct{ AccessKeyID, Secret, SessionToken string }

// Sign returns the header fields that make the request a signed one: X-Amz-Date,
// Authorization, and where needed X-Amz-Security-Token and X-Amz-Content-Sha256. They
// replace fields of the same name. All other fields are signed, except those that
// proxies change, so r.Header must hold what is sent. hash is HashBody of the body or
// UnsignedPayload.
func (r *Request) Sign(c Credentials, region, service, hash string, now time.Time) []Field {
	stamp := now.UTC().Format(stampFormat)
	scope := Scope{stamp[:8], region, service}
	add := make([]Field, 0, 4)
	add = append(add, Field{"X-Amz-Date", stamp})
	if c.SessionToken != "" {
		add = append(add, Field{"X-Amz-Security-Token", c.SessionToken})
	}
	// Only S3 asks for it; elsewhere it says that the body is not signed.
	if _, n := r.get("x-amz-content-sha256"); n > 0 || service == "s3" || hash == UnsignedPayload {
		add = append(add, Field{"X-Amz-Content-Sha256", hash})
	}
	signed := *r
	signed.Header = make([]Field, 0, len(r.Header)+len(add))
	for _, f := range r.Header {
		switch strings.ToLower(f.Name) {
		case "x-amz-date", "x-amz-security-token", "x-amz-content-sha256":
		default:
			signed.Header = append(signed.Header, f)
		}
	}
	signed.Header = append(signed.Header, add...)
	names := signed.signable()
	list := strings.Join(names, ";")
	sig := signed.signature(c.Secret, stamp, scope, names, list, hash)
	return append(add, Field{"Authorization", algorithm + " Credential=" + c.AccessKeyID + "/" + scope.String() +
		", SignedHeaders=" + list + ", Signature=" + sig})
}

// Presign returns the raw query with which the request is a signed one until expires,
// which is cut to whole seconds. Whoever sends it must send the fields of r.Header.
func (r *Request) Presign(c Credentials, region, service, hash string, expires time.Duration, now time.Time) string {
	stamp := now.UTC().Format(stampFormat)
	scope := Scope{stamp[:8], region, service}
	names := r.signable()
	list := strings.Join(names, ";")
	b := []byte(r.Query)
	for _, p := range [...]Field{
		{paramAlgorithm, algorithm},
		{paramCredential, c.AccessKeyID + "/" + scope.String()},
		{paramDate, stamp},
		{paramExpires, strconv.FormatInt(int64(expires/time.Second), 10)},
		{paramToken, c.SessionToken},
		{paramHeaders, list},
	} {
		if p.Value == "" {
			continue
		}
		if len(b) > 0 {
			b = append(b, '&')
		}
		b = appendEscaped(append(append(b, p.Name...), '='), p.Value, false)
	}
	signed := *r
	signed.Query = string(b)
	return signed.Query + "&" + paramSignature + "=" + signed.signature(c.Secret, stamp, scope, names, list, hash)
}

// SignHTTP signs a request a client is to send, in its headers.
func SignHTTP(r *http.Request, c Credentials, region, service, hash string, now time.Time) {
	for _, f := range clientRequest(r).Sign(c, region, service, hash, now) {
		r.Header.Set(f.Name, f.Value)
	}
}

// PresignHTTP signs a request's URL, for whoever is to send it with its headers.
func PresignHTTP(r *http.Request, c Credentials, region, service, hash string, expires time.Duration, now time.Time) {
	r.URL.RawQuery = clientRequest(r).Presign(c, region, service, hash, expires, now)
}

func clientRequest(r *http.Request) *Request {
	if r.Header == nil {
		r.Header = http.Header{}
	}
	q := FromHTTP(r)
	// net/http's client sends its own, whatever the header says.
	q.Header = slices.DeleteFunc(q.Header, func(f Field) bool { return is(f.Name, "content-length") })
	return q
}

// signable lists the names of host and the fields to sign, in order.
func (r *Request) signable() []string {
	names := make([]string, 1, len(r.Header)+1)
	names[0] = "host"
	for _, f := range r.Header {
		name := strings.ToLower(f.Name)
		switch name {
		// Proxies add, remove or rewrite these, and AWS's own signers leave them out.
		case "authorization", "connection", "expect", "transfer-encoding", "user-agent", "x-amzn-trace-id":
		default:
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (r *Request) signature(secret, stamp string, scope Scope, names []string, list, hash string) string {
	canonical, _ := r.appendCanonical(nil, r.style(scope.Service), names, list, hash)
	key := scope.Key(secret)
	sum := mac(key[:], appendStringToSign(nil, stamp, scope, canonical))
	return hex.EncodeToString(sum[:])
}
