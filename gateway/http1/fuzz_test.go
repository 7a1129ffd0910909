package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"slices"
	"strings"
	"testing"
)

// multimap renders fields by canonical name, values of one name in their order.
func multimap(h http.Header, without ...string) string {
	var names []string
	for k := range h {
		if !slices.Contains(without, k) {
			names = append(names, k)
		}
	}
	slices.Sort(names)
	var s strings.Builder
	for _, k := range names {
		fmt.Fprintf(&s, "%q=%q;", k, h[k])
	}
	return s.String()
}

func fieldMap(buf []byte, fields []Field) http.Header {
	h := http.Header{}
	for i := range fields {
		k := textproto.CanonicalMIMEHeaderKey(string(fields[i].Name.Of(buf)))
		h[k] = append(h[k], string(fields[i].Value.Of(buf)))
	}
	return h
}

// Fields that net/http takes out of a header once it has acted on them.
var takenOut = []string{"Host", "Content-Length", "Transfer-Encoding", "Connection", "Trailer", "Pragma", "Cache-Control"}

// justified names the requests that we accept and net/http refuses, each for a
// reason; anything else that only we accept is a finding.
func justified(r *Request, buf []byte, err error) bool {
	msg := err.Error()
	switch {
	case r.Target.Len() == 0: // an empty target is the root, see splitTarget
		return true
	case r.Codings.Len() > 0 && strings.Contains(msg, "transfer encoding"): // codings below chunked are relabelled
		return true
	case strings.Contains(msg, "Trailer key"): // net/http refuses to be promised some trailers; we drop the promise and them
		return true
	case r.Target.Of(buf)[0] != '/' && bytes.HasPrefix(r.Host.Of(buf), []byte("[")):
		return true // net/netip is stricter about the inside of the brackets; nobody resolves it
	}
	return false
}

func FuzzRequest(f *testing.F) {
	for _, c := range refusedRequests {
		f.Add(c.head)
	}
	for _, s := range []string{
		"GET /a?b=c HTTP/1.1\nHost: a\nAccept: x\nAccept: y\n\n",
		"GET http://a:1/x HTTP/1.1\nHost: a:1\n\n",
		"POST / HTTP/1.1\nHost: a\nContent-Length: 3\n\nabcGET",
		"POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n3;x=y\nabc\n0\nA: b\n\nGET",
		"POST / HTTP/1.1\nHost: a\nTransfer-Encoding: gzip, chunked\n\n0\n\n",
		"POST / HTTP/1.0\nContent-Length: 3\nConnection: keep-alive, x\nX: y\n\nabc",
		"GET / HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: websocket\n\n",
	} {
		f.Add([]byte(strings.ReplaceAll(s, "\n", "\r\n")))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var r Request
		if r.Parse(in, Limits{Target: 10240, Headers: 10240}) != nil {
			return
		}
		want, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(in)))
		if err != nil {
			if !justified(&r, in, err) {
				t.Fatalf("only we accept %q: %v", in, err)
			}
			return
		}
		if got := string(r.Method.Of(in)); got != want.Method {
			t.Errorf("method %q, net/http %q", got, want.Method)
		}
		if got := string(r.Target.Of(in)); got != want.RequestURI {
			t.Errorf("target %q, net/http %q", got, want.RequestURI)
		}
		// net/http believes an absolute target over Host; we want them equal.
		if got := string(r.Host.Of(in)); !strings.EqualFold(got, want.Host) {
			t.Errorf("host %q, net/http %q", got, want.Host)
		}
		if got := string(r.Path.Of(in)); r.Target.Of(in)[0] == '/' && got != want.URL.EscapedPath() && got != rawPath(want.RequestURI) {
			t.Errorf("path %q, net/http %q", got, want.URL.EscapedPath())
		}
		if got := string(r.Query.Of(in)); got != want.URL.RawQuery {
			t.Errorf("query %q, net/http %q", got, want.URL.RawQuery)
		}
		if got := multimap(fieldMap(in, r.Fields[:r.N]), takenOut...); got != multimap(want.Header, takenOut...) {
			t.Errorf("fields %s\nnet/http %s", got, multimap(want.Header, takenOut...))
		}
		if r.ContentLength != want.ContentLength {
			t.Errorf("length %d, net/http %d", r.ContentLength, want.ContentLength)
		}
		if r.HTTP10 != (want.ProtoMinor == 0) || !r.Close && want.Close {
			t.Errorf("HTTP/1.0 %v, close %v; net/http %s, %v", r.HTTP10, r.Close, want.Proto, want.Close)
		}
		compareBody(t, in[r.HeadLen:], r.ContentLength, r.Chunked, want.Body)
	})
}

func rawPath(uri string) string { p, _, _ := strings.Cut(uri, "?"); return p }

// compareBody reads the body as we do and as net/http does. Where we find it
// whole, it must find the same; where it is cut off or bad, both only need to say so.
func compareBody(t *testing.T, rest []byte, length int64, chunked bool, body io.Reader) {
	t.Helper()
	want, err := io.ReadAll(body)
	if chunked {
		data, _, _, done, e := decodeChunked(rest, 7)
		switch {
		case e == nil && done && err != nil:
			t.Errorf("only we accept the chunks %q: %v", rest, err)
		case e == nil && done && data != string(want):
			t.Errorf("chunks of %q: %q, net/http %q", rest, data, want)
		case e == nil && !done && err == nil:
			t.Errorf("net/http finds an end of %q, we do not", rest)
		}
		return
	}
	if length >= 0 && int64(len(rest)) >= length && (err != nil || string(want) != string(rest[:length])) {
		t.Errorf("body of %q by length %d: net/http %q %v", rest, length, want, err)
	}
}

func FuzzResponse(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\nContent-Length: 3\nA: b\nA: c\n\nabcd",
		"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3\nabc\n0\nA: b\n\nx",
		"HTTP/1.0 404 Not Found\n\nabc",
		"HTTP/1.1 204 No Content\nContent-Length: 5\n\nabcde",
		"HTTP/1.1 304 Not Modified\nTransfer-Encoding: chunked\n\n",
		"HTTP/1.1 100 Continue\n\nHTTP/1.1 200\n\n",
		"HTTP/1.1 200 OK\nContent-Length: 3\nTransfer-Encoding: chunked\n\n",
		"HTTP/1.1 200 OK\nConnection: close, x\nX: y\n\n",
	} {
		f.Add([]byte(strings.ReplaceAll(s, "\n", "\r\n")))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var r Response
		if r.Parse(in, upstreamHeadMax) != nil {
			return
		}
		want, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(in)), nil)
		if err != nil {
			if strings.Contains(err.Error(), "Trailer key") { // as in justified
				return
			}
			t.Fatalf("only we accept %q: %v", in, err)
		}
		if r.Code != want.StatusCode {
			t.Errorf("status %d, net/http %d", r.Code, want.StatusCode)
		}
		if got := multimap(fieldMap(in, r.Fields[:r.N]), takenOut...); got != multimap(want.Header, takenOut...) {
			t.Errorf("fields %s\nnet/http %s", got, multimap(want.Header, takenOut...))
		}
		if bodiless([]byte("GET"), r.Code) {
			return
		}
		if r.ContentLength != want.ContentLength {
			t.Errorf("length %d, net/http %d", r.ContentLength, want.ContentLength)
		}
		if !r.Close && want.Close && (r.ContentLength >= 0 || r.Chunked) {
			t.Errorf("close %v, net/http %v", r.Close, want.Close)
		}
		compareBody(t, in[r.HeadLen:], r.ContentLength, r.Chunked, want.Body)
	})
}

func FuzzChunked(f *testing.F) {
	for _, s := range []string{
		"0\n\n", "3\nabc\n0\n\n", "3;a=b\nabc\nA\n0123456789\n0\nA: b\n\nrest", "3\nabcd\n0\n\n", "3 \nabc\n0\n\n", "-1\n\n",
	} {
		f.Add([]byte(strings.ReplaceAll(s, "\n", "\r\n")), 1)
		f.Add([]byte(strings.ReplaceAll(s, "\n", "\r\n")), 5)
		f.Add([]byte(s), 2)
	}
	f.Fuzz(func(t *testing.T, in []byte, n int) {
		whole, trailer, rest, done, e := decodeChunked(in, len(in)+1)
		data2, trailer2, rest2, done2, e2 := decodeChunked(in, 1+(n&0xff))
		if (e == nil) != (e2 == nil) || done != done2 || e == nil && (whole != data2 || trailer != trailer2 || done && rest != rest2) {
			t.Fatalf("%q whole: %q %q %q %v %v; in pieces of %d: %q %q %q %v %v", in, whole, trailer, rest, done, e, 1+(n&0xff), data2, trailer2, rest2, done2, e2)
		}
		if e != nil {
			return
		}
		want, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(in)))
		switch {
		case done && err != nil && !strings.Contains(err.Error(), "too much overhead"):
			// net/http limits how many bytes may be spent on how little data; we bound
			// each line, and Server bounds the time.
			t.Errorf("only we accept %q: %v", in, err)
		case err == nil && done && string(want) != whole:
			t.Errorf("%q: %q, net/http %q", in, whole, want)
		case !done && !strings.HasPrefix(string(want), whole) && err == nil:
			t.Errorf("%q: started %q, net/http %q", in, whole, want)
		}
	})
}
