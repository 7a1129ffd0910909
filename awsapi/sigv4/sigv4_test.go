package sigv4_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"tollgate/awsapi/sigv4"
)

const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

var (
	now  = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	cred = sigv4.Credentials{AccessKeyID: "AKIDEXAMPLE", Secret: secret}
)

// request is a signed call as a client of the control API makes it.
func request(body string) *sigv4.Request {
	r := &sigv4.Request{Method: "POST", Path: "/restapis/abc/resources/x%2Fy", Query: "limit=25&embed=methods&a=b+c",
		Host: "127.0.0.1:8080", Header: []sigv4.Field{
			{Name: "Content-Type", Value: "application/json"}, {Name: "X-Amz-Meta", Value: "m"}, {Name: "User-Agent", Value: "ua"}}}
	r.Header = append(r.Header, r.Sign(cred, "eu-west-1", "apigateway", sigv4.HashBody([]byte(body)), now)...)
	return r
}

func presigned(body string, expires time.Duration) *sigv4.Request {
	r := &sigv4.Request{Method: "GET", Path: "/prod/pets", Query: "b=2&a=1", Host: "abc.execute-api.localhost:8081"}
	c := cred
	c.SessionToken = "session/token=="
	r.Query = r.Presign(c, "eu-west-1", "execute-api", sigv4.HashBody([]byte(body)), expires, now)
	return r
}

func verify(r *sigv4.Request, body string, at time.Time) error {
	s, err := sigv4.Parse(r)
	if err != nil {
		return err
	}
	key := secret
	if s.AccessKeyID != cred.AccessKeyID && s.AccessKeyID != "AK" { // as a caller looks it up
		key = ""
	}
	return s.Verify(key, sigv4.HashBody([]byte(body)), at)
}

// want checks kind and message; a message ending in … is a beginning.
func want(t *testing.T, what string, err error, kind sigv4.Kind, message string) {
	t.Helper()
	e, ok := errors.AsType[*sigv4.Error](err)
	if !ok || e.Kind != kind {
		t.Errorf("%s: %v (%+v), want kind %d", what, err, e, kind)
		return
	}
	begin, isBegin := strings.CutSuffix(message, "…")
	if e.Message != message && !(isBegin && strings.HasPrefix(e.Message, begin)) {
		t.Errorf("%s: message %q, want %q", what, e.Message, message)
	}
}

func TestRoundTrip(t *testing.T) {
	for _, service := range []string{"apigateway", "execute-api", "s3"} {
		for _, path := range []string{"", "/", "/a%20b/%2F/c", "/a//b/../c/", "/tags/arn%3Aaws:x", "/%E1%88%B4"} {
			for _, token := range []string{"", "t/+="} {
				r := httptest.NewRequest("PUT", "http://example.com"+path+"?x=1&x=0&y=%2B+%20&z", strings.NewReader("body"))
				r.Header["X-Multi"] = []string{" b ", "a   a"}
				r.Header.Set("Traceparent", "00-x")
				hash := sigv4.HashBody([]byte("body"))
				c := cred
				c.SessionToken = token
				sigv4.SignHTTP(r, c, "eu-west-1", service, hash, now)
				s, err := sigv4.ParseHTTP(r)
				if err != nil {
					t.Fatalf("%s %s: %v", service, path, err)
				}
				if err := s.Verify(secret, hash, now); err != nil {
					t.Errorf("%s %s: %v", service, path, err)
				}
				if s.AccessKeyID != "AKIDEXAMPLE" || s.Scope.String() != "20260304/eu-west-1/"+service+"/aws4_request" || !s.Date.Equal(now) ||
					s.SessionToken != token || s.Presigned || s.Expires != 0 || !slices.Contains(s.SignedHeaders, "traceparent") {
					t.Errorf("parsed %+v", s)
				}
				if got, ok := sigv4.ScopeService(r.Header.Get("Authorization"), r.URL.RawQuery); !ok || got != service {
					t.Errorf("ScopeService %q %v", got, ok)
				}

				r = httptest.NewRequest("GET", "http://example.com"+path+"?x=1&x=0", nil)
				hash = sigv4.HashBody(nil)
				sigv4.PresignHTTP(r, c, "eu-west-1", service, hash, time.Hour, now)
				if s, err = sigv4.ParseHTTP(r); err != nil {
					t.Fatalf("presigned %s %s: %v", service, path, err)
				}
				if err := s.Verify(secret, hash, now.Add(time.Hour)); err != nil {
					t.Errorf("presigned %s %s: %v", service, path, err)
				}
				if !s.Presigned || s.Expires != time.Hour || s.SessionToken != token {
					t.Errorf("parsed %+v", s)
				}
				if got, ok := sigv4.ScopeService("", r.URL.RawQuery); !ok || got != service {
					t.Errorf("ScopeService of presigned %q %v", got, ok)
				}
			}
		}
	}
}

// A server reads what a client sent: what net/http changes on the way must not count.
func TestOverHTTP(t *testing.T) {
	got := make(chan error, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s, err := sigv4.ParseHTTP(r)
		if err == nil {
			err = s.Verify(secret, sigv4.HashBody([]byte("hello")), now)
		}
		got <- err
	}))
	defer srv.Close()
	for _, path := range []string{"/", "/tags/arn%3Aaws%2Fx", "/a b/é", "/@:$&'()*+,;=!"} {
		r, err := http.NewRequest("POST", srv.URL, strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Path = path
		r.URL.RawQuery = "q=a;b&r=%C3%A9"
		r.Header.Set("Content-Type", "text/plain")
		sigv4.SignHTTP(r, cred, "us-east-1", "apigateway", sigv4.HashBody([]byte("hello")), now)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if err := <-got; err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Every byte of what is signed counts.
func TestMutations(t *testing.T) {
	const body = `{"name":"pets"}`
	clone := func(r *sigv4.Request) *sigv4.Request {
		c := *r
		c.Header = slices.Clone(r.Header)
		return &c
	}
	n := 0
	each := func(s string, set func(string)) {
		for i := range len(s) {
			for _, x := range []byte{1, 0x20, 0x80} {
				b := []byte(s)
				b[i] ^= x
				set(string(b))
				n++
			}
			set(s[:i] + s[i+1:])
			n++
		}
		set(s + "x")
	}
	for name, r := range map[string]*sigv4.Request{"header": request(body), "presigned": presigned(body, time.Hour)} {
		if err := verify(clone(r), body, now); err != nil {
			t.Fatal(err)
		}
		try := func(what string, change func(*sigv4.Request)) {
			c := clone(r)
			change(c)
			if verify(c, body, now) == nil {
				t.Errorf("%s: %s changed and verified: %+v", name, what, c)
			}
		}
		each(r.Method, func(v string) { try("method", func(c *sigv4.Request) { c.Method = v }) })
		each(r.Path, func(v string) {
			try("path", func(c *sigv4.Request) { c.Path = v })
		})
		each(r.Query, func(v string) {
			// An escape's hex digits may be in either case.
			if strings.EqualFold(v, r.Query) && sameEscapes(v, r.Query) {
				return
			}
			try("query", func(c *sigv4.Request) { c.Query = v })
		})
		each(r.Host, func(v string) { try("host", func(c *sigv4.Request) { c.Host = v }) })
		for i, f := range r.Header {
			if f.Name == "User-Agent" {
				continue
			}
			each(f.Value, func(v string) {
				if f.Name == "Authorization" && blanksOnly(v, f.Value) {
					return
				}
				try(f.Name+" "+v, func(c *sigv4.Request) { c.Header[i].Value = v })
			})
			each(f.Name, func(v string) {
				if strings.EqualFold(v, f.Name) {
					return
				}
				try("name "+f.Name, func(c *sigv4.Request) { c.Header[i].Name = v })
			})
			try("without "+f.Name, func(c *sigv4.Request) { c.Header = slices.Delete(c.Header, i, i+1) })
			if f.Name != "Authorization" {
				try("twice "+f.Name, func(c *sigv4.Request) { c.Header = append(c.Header, f) })
			}
		}
		try("another x-amz header", func(c *sigv4.Request) { c.Header = append(c.Header, sigv4.Field{Name: "X-Amz-Extra"}) })
		each(body, func(v string) {
			if verify(clone(r), v, now) == nil {
				t.Errorf("%s: body changed and verified", name)
			}
		})
	}
	t.Logf("%d changes refused", n)
}

// sameEscapes says that two queries equal but for case differ only inside escapes.
func sameEscapes(a, b string) bool {
	for i := range len(a) {
		if a[i] != b[i] && !(i > 0 && a[i-1] == '%' || i > 1 && a[i-2] == '%') {
			return false
		}
	}
	return true
}

// blanksOnly says that two Authorization headers differ in blanks alone.
func blanksOnly(a, b string) bool {
	blanks := strings.NewReplacer(", ", ",")
	return blanks.Replace(a) == blanks.Replace(b)
}

func TestTime(t *testing.T) {
	for _, c := range []struct {
		r       *sigv4.Request
		off     time.Duration
		message string
	}{
		{request(""), sigv4.Skew, ""},
		{request(""), sigv4.Skew + 999*time.Millisecond, ""},
		{request(""), -sigv4.Skew, ""},
		{request(""), sigv4.Skew + time.Second, "Signature expired: 20260304T050607Z is now earlier than 20260304T050608Z (20260304T051108Z - 5 min.)"},
		{request(""), -sigv4.Skew - time.Second, "Signature not yet current: 20260304T050607Z is still later than 20260304T050606Z (20260304T050106Z + 5 min.)"},
		{presigned("", time.Hour), time.Hour, ""},
		{presigned("", time.Hour), time.Hour + time.Second, "Signature expired: 20260304T050607Z is now earlier than 20260304T050608Z (20260304T060608Z - 60 min.)"},
		{presigned("", 90*time.Second), 91 * time.Second, "Signature expired: 20260304T050607Z is now earlier than 20260304T050608Z (20260304T050738Z - 90 sec.)"},
		{presigned("", time.Second), -sigv4.Skew, ""},
		{presigned("", time.Hour), -sigv4.Skew - time.Second, "Signature not yet current: …"},
		{presigned("", sigv4.MaxExpires), sigv4.MaxExpires, ""},
		{presigned("", sigv4.MaxExpires), sigv4.MaxExpires + time.Second, "Signature expired: …"},
	} {
		err := verify(c.r, "", now.Add(c.off))
		if c.message == "" {
			if err != nil {
				t.Errorf("%v: %v", c.off, err)
			}
			continue
		}
		want(t, c.off.String(), err, sigv4.Expired, c.message)
	}
	for _, expires := range []time.Duration{0, -time.Second, sigv4.MaxExpires + time.Second} {
		want(t, "expires", verify(presigned("", expires), "", now), sigv4.Incomplete, "X-Amz-Expires must be a number of seconds from 1 to 604800.")
	}
	// Without X-Amz-Expires a presigned request is as good as any other.
	r := &sigv4.Request{Method: "GET", Path: "/", Host: "h", Query: "X-Amz-Expires="}
	r.Query = strings.ReplaceAll(r.Presign(cred, "r", "s", sigv4.HashBody(nil), time.Minute, now), "X-Amz-Expires=", "Q")
	s, err := sigv4.Parse(r)
	if err != nil || s.Expires != 0 {
		t.Fatalf("%+v %v", s, err)
	}
	want(t, "no expiry", s.Verify(secret, sigv4.HashBody(nil), now.Add(6*time.Minute)), sigv4.Expired, "Signature expired: …")
}

func TestDateHeader(t *testing.T) {
	hash := sigv4.HashBody(nil)
	for _, date := range []string{"20260304T050607Z", "Wed, 04 Mar 2026 05:06:07 GMT"} {
		// A client that dates by Date signs it in place of x-amz-date.
		r := &sigv4.Request{Method: "GET", Path: "/", Host: "h", Header: []sigv4.Field{{Name: "Date", Value: date}}}
		s, err := sigv4.Parse(dated(r, "date;host"))
		if err != nil {
			t.Fatal(err)
		}
		canonical, sts := s.Explain(hash)
		if !s.Date.Equal(now) || !strings.Contains(sts, "\n20260304T050607Z\n") || !strings.Contains(canonical, "\ndate:"+date+"\n") {
			t.Errorf("%v\n%s\n%s", s.Date, canonical, sts)
		}
	}
}

func dated(r *sigv4.Request, signed string) *sigv4.Request {
	r.Header = append(r.Header, sigv4.Field{Name: "Authorization",
		Value: "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260304/r/s/aws4_request, SignedHeaders=" + signed + ", Signature=00"})
	return r
}

func TestRefusals(t *testing.T) {
	const (
		good     = "AWS4-HMAC-SHA256 Credential=AK/20260304/r/s/aws4_request, SignedHeaders=host;x-amz-date, Signature=00"
		date     = "20260304T050607Z"
		requires = "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. "
	)
	for _, c := range []struct {
		auth, date, query string
		kind              sigv4.Kind
		message           string
	}{
		{"", "", "", sigv4.MissingToken, "Missing Authentication Token"},
		{"", "", "%zz", sigv4.MissingToken, "Missing Authentication Token"},
		{"Bearer secret", "", "", sigv4.Incomplete, "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded with Base64): 'v/3iBBM0e3oA4TY94/l8pp5BncCupV9KSnUBj6s6Do4='."},
		{"Bearer a=b", "", "", sigv4.Incomplete, requires + "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. (Hashed with SHA-256 and encoded with Base64) Authorization=…"},
		{"Basic Credential=AK/20260304/r/s/aws4_request, SignedHeaders=host;x-amz-date, Signature=00", date, "", sigv4.Incomplete, requires + "(Hashed …"},
		{"AWS4-HMAC-SHA256", date, "", sigv4.Incomplete, "Invalid key=value pair…"},
		{"AWS4-ECDSA-P256-SHA256 Credential=a", date, "", sigv4.Incomplete, "Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256'. "},
		{"AWS4-HMAC-SHA256 Credential=AK/20260304/r/s/aws4_request, SignedHeaders=host;x-amz-date", date, "", sigv4.Incomplete, "Authorization header requires 'Signature' parameter. (Hashed …"},
		{good + ", Signature=00", date, "", sigv4.Incomplete, "Authorization header must have only one 'Signature' parameter."},
		{good, "", "", sigv4.Incomplete, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. (Hashed …"},
		{good, "2026-03-04T05:06:07Z", "", sigv4.Incomplete, "Date must be in ISO-8601 'basic format'. Got '2026-03-04T05:06:07Z'. See http://en.wikipedia.org/wiki/ISO_8601 "},
		{good, "20260304T050607.5Z", "", sigv4.Incomplete, "Date must be …"},
		{good, "20261304T050607Z", "", sigv4.Incomplete, "Date must be …"},
		{strings.Replace(good, "AK/", "", 1), date, "", sigv4.Incomplete, "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '20260304/r/s/aws4_request'"},
		{strings.Replace(good, "AK/", "A/K/", 1), date, "", sigv4.Incomplete, "Credential must have …"},
		{strings.Replace(good, "/r/", "//", 1), date, "", sigv4.Incomplete, "Credential must have …"},
		{strings.Replace(good, "aws4_request", "aws4", 1), date, "", sigv4.Invalid, "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws4'. "},
		{strings.Replace(good, "0304", "0305", 1), date, "", sigv4.Invalid, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20260305' != '20260304', from '20260304T050607Z'."},
		{strings.Replace(good, "host;x-amz-date", "x-amz-date", 1), date, "", sigv4.Invalid, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."},
		{strings.Replace(good, "host;x-amz-date", "host", 1), date, "", sigv4.Invalid, "There were headers present in the request which were not signed: x-amz-date"},
		{strings.Replace(good, "host;x-amz-date", "x-amz-date;host", 1), date, "", sigv4.Invalid, "SignedHeaders must …"},
		{strings.Replace(good, "host;x-amz-date", "host;host;x-amz-date", 1), date, "", sigv4.Invalid, "SignedHeaders must …"},
		{strings.Replace(good, "host;x-amz-date", "Host;x-amz-date", 1), date, "", sigv4.Invalid, "SignedHeaders must …"},
		{strings.Replace(good, "host;x-amz-date", "", 1), date, "", sigv4.Invalid, "SignedHeaders must …"},
		{strings.Replace(good, "host;", "host;"+strings.Repeat("a;", 100), 1), date, "", sigv4.Invalid, "Too many SignedHeaders."},
		{strings.Replace(good, "host;", "host;lost;", 1), date, "", sigv4.Invalid, "The request signature we calculated does not match…"},
		{good, date, "", sigv4.Invalid, "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."},
		{good, date, "a=%", sigv4.Invalid, "The query string holds an incomplete escape."},
		{good, date, "X-Amz-Signature=1", sigv4.Incomplete, "Only one of …"},
		{"", "", "X-Amz-Signature=1", sigv4.Incomplete, "AWS query-string parameters must include 'X-Amz-Algorithm'. AWS query-string parameters must include 'X-Amz-Credential'. AWS query-string parameters must include 'X-Amz-SignedHeaders'. AWS query-string parameters must include 'X-Amz-Date'. Re-examine the query-string parameters."},
		{"Bearer kept", "", "X-Amz-Credential=1", sigv4.Incomplete, "AWS query-string parameters must …"},
		{"", "", "X-Amz-Signature=1&X-Amz-Signature=2", sigv4.Incomplete, "AWS query-string parameters must include 'X-Amz-Signature' only once."},
		{"", "", "X-Amz-Algorithm=AWS4-HMAC-SHA1&X-Amz-Credential=a&X-Amz-SignedHeaders=host&X-Amz-Date=" + date + "&X%2DAmz-Signature=1", sigv4.Incomplete, "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA1'. "},
		{"", "", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK/20260304/r%0Ar/s/aws4_request&X-Amz-SignedHeaders=host&X-Amz-Date=" + date + "&X-Amz-Signature=1", sigv4.Incomplete, "Credential must have …"},
		{"", "", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK/20260304/r/s/aws4_request&X-Amz-SignedHeaders=host&X-Amz-Date=" + date + "&X-Amz-Signature=1&X-Amz-Expires=1e3", sigv4.Incomplete, "X-Amz-Expires must …"},
	} {
		r := &sigv4.Request{Method: "GET", Path: "/", Host: "h", Query: c.query}
		if c.auth != "" {
			r.Header = append(r.Header, sigv4.Field{Name: "authorization", Value: c.auth})
		}
		if c.date != "" {
			r.Header = append(r.Header, sigv4.Field{Name: "x-amz-date", Value: c.date})
		}
		want(t, fmt.Sprintf("%s %s %s", c.auth, c.date, c.query), verify(r, "", now), c.kind, c.message)
	}
}

func TestSecretsAndPayloads(t *testing.T) {
	s, err := sigv4.Parse(request("b"))
	if err != nil {
		t.Fatal(err)
	}
	hash := sigv4.HashBody([]byte("b"))
	// Whoever looks a key up and gets nothing must not let in who signed with nothing.
	want(t, "no secret", s.Verify("", hash, now), sigv4.UnknownKey, sigv4.ErrUnknownKey.Message)
	want(t, "no key", s.VerifyKey(sigv4.Key{}, hash, now), sigv4.UnknownKey, sigv4.ErrUnknownKey.Message)
	if err := s.VerifyKey(s.Scope.Key(secret), hash, now); err != nil {
		t.Error(err)
	}
	want(t, "service", s.CheckService("execute-api"), sigv4.Invalid, "Credential should be scoped to correct service: 'execute-api'. ")
	if err := s.CheckService("execute-api", "apigateway"); err != nil {
		t.Error(err)
	}

	r := &sigv4.Request{Method: "POST", Path: "/", Host: "h"}
	r.Header = r.Sign(cred, "r", "execute-api", sigv4.UnsignedPayload, now)
	if s, err = sigv4.Parse(r); err != nil || s.PayloadHash != sigv4.UnsignedPayload {
		t.Fatal(err)
	}
	if s.Verify(secret, hash, now) == nil {
		t.Error("an unsigned body is accepted by who did not ask for it")
	}
	if err := s.Verify(secret, s.PayloadHash, now); err != nil {
		t.Error(err)
	}
	// A claimed hash that is signed, of another body.
	r.Header = []sigv4.Field{{Name: "X-Amz-Content-Sha256"}}
	r.Header = r.Sign(cred, "r", "execute-api", hash, now)
	if err := verify(r, "b", now); err != nil {
		t.Error(err)
	}
	want(t, "another body", verify(r, "c", now), sigv4.Invalid, "The request signature we calculated…")
}

func TestCodes(t *testing.T) {
	for kind, code := range map[sigv4.Kind]string{
		sigv4.MissingToken: "MissingAuthenticationTokenException", sigv4.Incomplete: "IncompleteSignatureException",
		sigv4.Invalid: "InvalidSignatureException", sigv4.Expired: "InvalidSignatureException",
		sigv4.UnknownKey: "UnrecognizedClientException", sigv4.ExpiredToken: "ExpiredTokenException",
	} {
		if kind.Code() != code {
			t.Errorf("%d: %s", kind, kind.Code())
		}
	}
}

func TestCanonicalForms(t *testing.T) {
	hash := sigv4.HashBody(nil)
	explain := func(r *sigv4.Request, scope string) []string {
		r.Method, r.Host = "GET", "h"
		r.Header = append(r.Header, sigv4.Field{Name: "X-Amz-Date", Value: "20260304T050607Z"}, sigv4.Field{Name: "Authorization",
			Value: "AWS4-HMAC-SHA256 Credential=AK/20260304/r/" + scope + "/aws4_request, SignedHeaders=host;x-amz-date;x-v, Signature=00"},
			sigv4.Field{Name: "X-V", Value: "1"})
		s, err := sigv4.Parse(r)
		if err != nil {
			t.Fatal(err)
		}
		c, _ := s.Explain(hash)
		return strings.Split(c, "\n")
	}
	for _, c := range []struct {
		path, normal, keep, s3 string
	}{
		{"", "/", "/", "/"},
		{"/", "/", "/", "/"},
		{"/a%20b", "/a%2520b", "/a%2520b", "/a%20b"},
		{"/a%2fb", "/a%252fb", "/a%252fb", "/a%2Fb"},
		{"/a//b/./c/../d/", "/a/b/d/", "/a//b/./c/../d/", "/a//b/./c/../d/"},
		{"/../..", "/", "/../..", "/../.."},
		{"/a+b:c*~", "/a%2Bb%3Ac%2A~", "/a%2Bb%3Ac%2A~", "/a%2Bb%3Ac%2A~"},
		{"/%", "/%25", "/%25", "/%25"},
	} {
		if got := explain(&sigv4.Request{Path: c.path}, "s")[1]; got != c.normal {
			t.Errorf("%q: %s, want %s", c.path, got, c.normal)
		}
		if got := explain(&sigv4.Request{Path: c.path, Style: sigv4.PathKeep}, "s")[1]; got != c.keep {
			t.Errorf("%q kept: %s, want %s", c.path, got, c.keep)
		}
		if got := explain(&sigv4.Request{Path: c.path}, "s3")[1]; got != c.s3 {
			t.Errorf("%q for S3: %s, want %s", c.path, got, c.s3)
		}
	}
	for query, canonical := range map[string]string{
		"b=1&a=2&a=10&a=": "a=&a=10&a=2&b=1",
		"a-b=1&a=2&a":     "a=&a=2&a-b=1", // by name, not by "a=2" and "a-b=1"
		"a=b+c&d=%2B%20":  "a=b%20c&d=%2B%20",
		"&&=v&x=1=2":      "=v&x=1%3D2",
		"k=a;b/c":         "k=a%3Bb%2Fc",
		"%61=%c3%A9":      "a=%C3%A9",
	} {
		if got := explain(&sigv4.Request{Path: "/", Query: query}, "s")[2]; got != canonical {
			t.Errorf("%q: %s, want %s", query, got, canonical)
		}
	}
	// No header's value may pass for another line.
	lines := explain(&sigv4.Request{Path: "/", Header: []sigv4.Field{{Name: "x-v", Value: "\t a \r\n  b\nhost:evil "}}}, "s")
	if lines[5] != "x-v:a b host:evil,1" {
		t.Errorf("%q", lines)
	}
	for path, normal := range map[string]bool{
		"": true, "/": true, "/a": true, "/a/": true, "/a/b.c/...": true, "/%2E%2E": true,
		"//": false, "/a//b": false, "/./a": false, "/a/..": false, "/a/.": false, "a": false, "*": false,
	} {
		if sigv4.IsNormalPath(path) != normal {
			t.Errorf("IsNormalPath(%q) is not %v", path, normal)
		}
	}
}

func TestScopeService(t *testing.T) {
	for _, c := range []struct {
		auth, query, service string
		ok                   bool
	}{
		{"", "", "", false},
		{"Bearer x", "", "", false},
		{"AWS4-HMAC-SHA256 Credential=AK/20260304/r/apigateway/aws4_request,SignedHeaders=a", "", "apigateway", true},
		{"AWS4-HMAC-SHA256 SignedHeaders=a, Signature=b, Credential=AK/20260304/r/execute-api/aws4_request", "", "execute-api", true},
		{"AWS4-HMAC-SHA256 Credential=AK/r/apigateway/aws4_request, Signature=b", "", "apigateway", false},
		{"AWS4-HMAC-SHA256", "", "", false},
		{"", "a=b&X-Amz-Credential=AK%2F1%2Fr%2Fexecute-api%2Faws4_request&c", "execute-api", true},
		{"", "X-Amz-Credential=AK/1/r/execute-api/aws4_request", "execute-api", true},
		{"", "X-Amz-Credential=%zz", "", false},
		{"Bearer x", "X-Amz-Credential=AK/1/r/execute-api/aws4_request", "execute-api", true},
		{"", "NotX-Amz-Credential=AK/1/r/execute-api/aws4_request", "", false},
	} {
		service, ok := sigv4.ScopeService(c.auth, c.query)
		if ok != c.ok || ok && service != c.service {
			t.Errorf("%q %q: %q %v", c.auth, c.query, service, ok)
		}
	}
}

// Requests AWS's own client library signed, so that a clone without it knows some.
func TestClientVectors(t *testing.T) {
	const scope = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260304/eu-west-1/"
	for _, c := range []struct {
		method, url, body string
		header            map[string]string
	}{
		{"GET", "http://127.0.0.1:8080/restapis?limit=25&embed=methods&embed=a", "", map[string]string{"Accept": "application/json",
			"Authorization": scope + "apigateway/aws4_request, SignedHeaders=accept;host;x-amz-date, Signature=9725742cde0067cd58122f47038bb1a48b856cc76f79877433775b98ea439d6e"}},
		{"POST", "http://127.0.0.1:8080/restapis", `{"name":"pets"}`, map[string]string{"Accept": "application/json", "Content-Type": "application/json", "X-Amz-Security-Token": "session/token==",
			"Authorization": scope + "apigateway/aws4_request, SignedHeaders=accept;content-type;host;x-amz-date;x-amz-security-token, Signature=6447c2aa121b29b67b53ea89ad162d1c9e9fbc9890718021bbac92b3ccee0808"}},
		{"PUT", "http://localhost:8080/tags/arn%3Aaws%3Aapigateway%3Aus-east-1%3A%3A%2Frestapis%2Fabc", "{}", map[string]string{"X-Amz-Meta": " a   b ",
			"Authorization": scope + "apigateway/aws4_request, SignedHeaders=host;x-amz-date;x-amz-meta, Signature=434c26cdddba8ed98e596d4ff6912b2e0631e2b0d5fb97f2f2a7a5d228fce553"}},
		{"GET", "https://bucket.s3.eu-west-1.amazonaws.com/a//b/../c%20d", "", map[string]string{"X-Amz-Content-Sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
			"Authorization": scope + "s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=bf2a0fe2c82eeacd8e7c8b88078b15d78612ac7eca68dc8161c55eaa4853b0dd"}},
		{"GET", "https://abc.execute-api.eu-west-1.amazonaws.com/prod//a/./b/../c%20d/?q=%2B%20%2F&Q=&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20260304%2Feu-west-1%2Fexecute-api%2Faws4_request&X-Amz-Date=20260304T050607Z&X-Amz-Expires=300&X-Amz-SignedHeaders=host&X-Amz-Signature=df055b44b5ccfd863c697b40895923a628c84b2f5f19d0402d4df337be7f8bd8", "", nil},
	} {
		r := httptest.NewRequest(c.method, c.url, nil)
		for name, v := range c.header {
			r.Header.Set(name, v)
		}
		if c.header != nil {
			r.Header.Set("X-Amz-Date", "20260304T050607Z")
		}
		if err := verify(sigv4.FromHTTP(r), c.body, now); err != nil {
			t.Errorf("%s %s: %v", c.method, c.url, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, r := range []*sigv4.Request{request("b"), presigned("b", time.Hour)} {
		auth, date := "", ""
		for _, h := range r.Header {
			switch h.Name {
			case "Authorization":
				auth = h.Value
			case "X-Amz-Date":
				date = h.Value
			}
		}
		f.Add(r.Method, r.Path, r.Query, r.Host, auth, date, "X-Amz-Meta", "m")
	}
	f.Add("GET", "/..//%", "%&=+;X-Amz-Signature", "", "AWS4-HMAC-SHA256 Credential=////aws4_request,SignedHeaders=;;,Signature=", "20260304T050607.Z", "date", "\n")
	f.Fuzz(func(t *testing.T, method, path, query, host, auth, date, name, value string) {
		r := &sigv4.Request{Method: method, Path: path, Query: query, Host: host,
			Header: []sigv4.Field{{Name: "Authorization", Value: auth}, {Name: "X-Amz-Date", Value: date}, {Name: name, Value: value}}}
		sigv4.ScopeService(auth, query)
		sigv4.IsNormalPath(path)
		check := func(what string, r *sigv4.Request, wantOK bool) {
			s, err := sigv4.Parse(r)
			if err != nil {
				if e, ok := errors.AsType[*sigv4.Error](err); !ok || e.Message == "" || e.Kind < sigv4.MissingToken || e.Kind > sigv4.Invalid {
					t.Fatalf("%s: %#v", what, err)
				}
				if s != nil {
					t.Fatal("both a result and an error")
				}
				return
			}
			canonical, _ := s.Explain("hash")
			// Whatever is in a request, it fills its own lines and no others.
			lines := 6 + len(s.SignedHeaders)
			if n := strings.Count(canonical, "\n") + 1; n != lines && !strings.Contains(method, "\n") {
				if !strings.Contains(s.PayloadHash, "\n") {
					t.Fatalf("%s: %d lines for %d headers: %q", what, n, len(s.SignedHeaders), canonical)
				}
			}
			if err := s.Verify("another secret", "hash", s.Date); err == nil {
				t.Fatalf("%s verified with a secret nobody signed with", what)
			}
			if err := s.Verify(secret, "hash", s.Date); wantOK && err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
		check("parsed", r, false)
		r.Header = []sigv4.Field{{Name: "X-Field", Value: value}}
		r.Header = append(r.Header, r.Sign(cred, "r", "s", "hash", now)...)
		check("signed", r, true)
		r.Header = nil
		r.Query = r.Presign(cred, "r", "s", "hash", time.Hour, now)
		check("presigned", r, true)
	})
}

func BenchmarkVerify(b *testing.B) {
	r := request("body")
	hash := sigv4.HashBody([]byte("body"))
	s, err := sigv4.Parse(r)
	if err != nil {
		b.Fatal(err)
	}
	run := func(name string, f func() error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("parse", func() error { _, err := sigv4.Parse(r); return err })
	run("verify", func() error { return s.Verify(secret, hash, now) })
	key := s.Scope.Key(secret)
	run("verify-kept-key", func() error { return s.VerifyKey(key, hash, now) })
	run("whole", func() error {
		s, err := sigv4.Parse(r)
		if err != nil {
			return err
		}
		return s.Verify(secret, hash, now)
	})
	auth := r.Header[len(r.Header)-1].Value
	run("scope-service", func() error {
		if _, ok := sigv4.ScopeService(auth, r.Query); !ok {
			return errors.New("not found")
		}
		return nil
	})
	p := presigned("body", time.Hour)
	run("presigned-whole", func() error { return verify(p, "body", now) })
	plain := request("body")
	plain.Header = plain.Header[:3]
	run("sign", func() error { plain.Sign(cred, "eu-west-1", "apigateway", hash, now); return nil })
}
