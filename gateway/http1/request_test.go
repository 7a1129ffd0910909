package http1

import (
	"fmt"
	"strings"
	"testing"
)

var testLimits = Limits{Target: 1000, Headers: 2000}

// head is a request with the given request line and header lines, LF for CRLF.
func head(lines string) []byte {
	return []byte(strings.ReplaceAll(lines, "\n", "\r\n") + "\r\n")
}

// Requests that two parsers could read differently, and what we answer.
var refusedRequests = []struct {
	name   string
	head   []byte
	status int
}{
	// request line
	{"HTTP/0.9", head("GET /\n"), 400},
	{"no version", head("GET / \nHost: a\n"), 400},
	{"HTTP/1.2", head("GET / HTTP/1.2\nHost: a\n"), 505},
	{"HTTP/2.0", head("GET / HTTP/2.0\nHost: a\n"), 505},
	{"HTTP/0.9 spelled", head("GET / HTTP/0.9\nHost: a\n"), 505},
	{"lower-case version", head("GET / http/1.1\nHost: a\n"), 400},
	{"version with more digits", head("GET / HTTP/1.10\nHost: a\n"), 400},
	{"HTTP/2 preface out of place", head("PRI * HTTP/2.0\n"), 505},
	{"empty line first", head("\nGET / HTTP/1.1\nHost: a\n"), 400},
	{"blank first", head(" GET / HTTP/1.1\nHost: a\n"), 400},
	{"no method", head(" / HTTP/1.1\nHost: a\n"), 400},
	{"method is no token", head("G(T / HTTP/1.1\nHost: a\n"), 400},
	{"method with NUL", head("G\x00T / HTTP/1.1\nHost: a\n"), 400},
	{"method too long", head(strings.Repeat("A", 25) + " / HTTP/1.1\nHost: a\n"), 400},
	{"tab between", head("GET\t/ HTTP/1.1\nHost: a\n"), 400},
	{"two blanks before the target", head("GET  / HTTP/1.1\nHost: a\n"), 400},
	{"two blanks after the target", head("GET /  HTTP/1.1\nHost: a\n"), 400},
	{"blank at the end", head("GET / HTTP/1.1 \nHost: a\n"), 400},
	{"bare LF", []byte("GET / HTTP/1.1\nHost: a\r\n\r\n"), 400},
	{"bare CR", []byte("GET / HTTP/1.1\rHost: a\r\n\r\n"), 400},
	// target
	{"blank in the target", head("GET /a b HTTP/1.1\nHost: a\n"), 400},
	{"NUL in the target", head("GET /a\x00b HTTP/1.1\nHost: a\n"), 400},
	{"NUL in the query", head("GET /a?\x00b HTTP/1.1\nHost: a\n"), 400},
	{"CR in the target", head("GET /a\rb HTTP/1.1\nHost: a\n"), 400},
	{"DEL in the target", head("GET /a\x7f HTTP/1.1\nHost: a\n"), 400},
	{"raw UTF-8 in the target", head("GET /é HTTP/1.1\nHost: a\n"), 400},
	{"fragment", head("GET /a#b HTTP/1.1\nHost: a\n"), 400},
	{"backslash", head("GET /a\\b HTTP/1.1\nHost: a\n"), 400},
	{"half an escape", head("GET /a%2 HTTP/1.1\nHost: a\n"), 400},
	{"no escape", head("GET /a%zz HTTP/1.1\nHost: a\n"), 400},
	{"asterisk form", head("OPTIONS * HTTP/1.1\nHost: a\n"), 400},
	{"authority form", head("CONNECT a:80 HTTP/1.1\nHost: a:80\n"), 400},
	{"relative", head("GET a HTTP/1.1\nHost: a\n"), 400},
	{"absolute, other scheme", head("GET ftp://a/ HTTP/1.1\nHost: a\n"), 400},
	{"absolute without host", head("GET http:///x HTTP/1.1\nHost: a\n"), 400},
	{"absolute without path", head("GET http://a HTTP/1.1\nHost: a\n"), 400},
	{"absolute with query only", head("GET http://a?x HTTP/1.1\nHost: a\n"), 400},
	{"absolute with user", head("GET http://u@a/ HTTP/1.1\nHost: u@a\n"), 400},
	{"absolute with user, HTTP/1.0", head("GET http://u@a/ HTTP/1.0\n"), 400},
	{"absolute, other host", head("GET http://a/ HTTP/1.1\nHost: b\n"), 400},
	{"absolute, other port", head("GET http://a:1/ HTTP/1.1\nHost: a:2\n"), 400},
	{"target too long", head("GET /" + strings.Repeat("a", 1000) + " HTTP/1.1\nHost: a\n"), 414},
	{"target too long and unfinished", []byte("GET /" + strings.Repeat("a", 1100)), 414},
	// Host
	{"no Host", head("GET / HTTP/1.1\nAccept: x\n"), 400},
	{"no field at all", head("GET / HTTP/1.1\n"), 400},
	{"two Hosts", head("GET / HTTP/1.1\nHost: a\nHost: b\n"), 400},
	{"two equal Hosts", head("GET / HTTP/1.1\nHost: a\nhost: a\n"), 400},
	{"two Hosts, HTTP/1.0", head("GET / HTTP/1.0\nHost: a\nHost: a\n"), 400},
	{"empty Host", head("GET / HTTP/1.1\nHost:\n"), 400},
	{"empty Host, then one", head("GET / HTTP/1.1\nHost:\nHost: a\n"), 400},
	{"Host list", head("GET / HTTP/1.1\nHost: a, b\n"), 400},
	{"Host with user", head("GET / HTTP/1.1\nHost: u@a\n"), 400},
	{"Host with path", head("GET / HTTP/1.1\nHost: a/b\n"), 400},
	{"Host with blank", head("GET / HTTP/1.1\nHost: a b\n"), 400},
	{"Host with two ports", head("GET / HTTP/1.1\nHost: a:1:2\n"), 400},
	{"Host with port only", head("GET / HTTP/1.1\nHost: :80\n"), 400},
	{"Host with odd port", head("GET / HTTP/1.1\nHost: a:8x\n"), 400},
	{"Host with open bracket", head("GET / HTTP/1.1\nHost: [::1\n"), 400},
	{"Host with text after bracket", head("GET / HTTP/1.1\nHost: [::1]a\n"), 400},
	{"Host with escape", head("GET / HTTP/1.1\nHost: a%41\n"), 400},
	{"Host with non-ASCII", head("GET / HTTP/1.1\nHost: \u212a\n"), 400},
	{"Host too long", head("GET / HTTP/1.1\nHost: " + strings.Repeat("a", 256) + "\n"), 400},
	// fields
	{"folded line", head("GET / HTTP/1.1\nHost: a\nA: b\n c\n"), 400},
	{"folded by tab", head("GET / HTTP/1.1\nHost: a\nA: b\n\tc\n"), 400},
	{"folded first line", head("GET / HTTP/1.1\n Host: a\n"), 400},
	{"blank before the colon", head("GET / HTTP/1.1\nHost: a\nA : b\n"), 400},
	{"tab before the colon", head("GET / HTTP/1.1\nHost: a\nContent-Length\t: 1\n"), 400},
	{"no colon", head("GET / HTTP/1.1\nHost: a\nA b\n"), 400},
	{"no name", head("GET / HTTP/1.1\nHost: a\n: b\n"), 400},
	{"NUL in a name", head("GET / HTTP/1.1\nHost: a\nA\x00: b\n"), 400},
	{"control in a name", head("GET / HTTP/1.1\nHost: a\n\x01A: b\n"), 400},
	{"non-ASCII in a name", head("GET / HTTP/1.1\nHost: a\nTransfer-Encod\u0131ng: chunked\n"), 400},
	{"NUL in a value", head("GET / HTTP/1.1\nHost: a\nA: b\x00c\n"), 400},
	{"control in a value", head("GET / HTTP/1.1\nHost: a\nA: b\x0bc\n"), 400},
	{"DEL in a value", head("GET / HTTP/1.1\nHost: a\nA: b\x7fc\n"), 400},
	{"bare CR in a value", head("GET / HTTP/1.1\nHost: a\nA: b\rContent-Length: 5\n"), 400},
	{"CR before CRLF", head("GET / HTTP/1.1\nHost: a\nA: b\r\n"), 400},
	{"bare LF in a value", []byte("GET / HTTP/1.1\r\nHost: a\r\nA: b\nC: d\r\n\r\n"), 400},
	{"bare LF at the end", []byte("GET / HTTP/1.1\r\nHost: a\r\n\n"), 400},
	{"head too large", head("GET / HTTP/1.1\nHost: a\nA: " + strings.Repeat("b", 2000) + "\n"), 431},
	{"head too large and unfinished", []byte("GET / HTTP/1.1\r\nHost: a\r\nA: " + strings.Repeat("b", 2000)), 431},
	{"too many fields", head("GET / HTTP/1.1\nHost: a\n" + strings.Repeat("a: b\n", MaxFields)), 431},
	// lengths
	{"signed length", head("POST / HTTP/1.1\nHost: a\nContent-Length: +5\n"), 400},
	{"negative length", head("POST / HTTP/1.1\nHost: a\nContent-Length: -5\n"), 400},
	{"length list", head("POST / HTTP/1.1\nHost: a\nContent-Length: 5,5\n"), 400},
	{"length list with blank", head("POST / HTTP/1.1\nHost: a\nContent-Length: 5, 5\n"), 400},
	{"no length", head("POST / HTTP/1.1\nHost: a\nContent-Length:\n"), 400},
	{"hexadecimal length", head("POST / HTTP/1.1\nHost: a\nContent-Length: 0x5\n"), 400},
	{"length with a blank", head("POST / HTTP/1.1\nHost: a\nContent-Length: 1 0\n"), 400},
	{"length with no-break space", head("POST / HTTP/1.1\nHost: a\nContent-Length: 5\xa0\n"), 400},
	{"huge length", head("POST / HTTP/1.1\nHost: a\nContent-Length: 99999999999999999999\n"), 400},
	{"length just too long", head("POST / HTTP/1.1\nHost: a\nContent-Length: 1000000000000000\n"), 400},
	{"two lengths", head("POST / HTTP/1.1\nHost: a\nContent-Length: 5\nContent-Length: 6\n"), 400},
	{"two equal lengths", head("POST / HTTP/1.1\nHost: a\nContent-Length: 5\nContent-Length: 5\n"), 400},
	// transfer codings
	{"length and chunked", head("POST / HTTP/1.1\nHost: a\nContent-Length: 5\nTransfer-Encoding: chunked\n"), 400},
	{"chunked and length", head("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nContent-Length: 5\n"), 400},
	{"chunked and length 0", head("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nContent-Length: 0\n"), 400},
	{"chunked twice", head("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked, chunked\n"), 400},
	{"chunked twice, two lines", head("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked\n"), 400},
	{"coding in two lines", head("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: gzip\nTransfer-Encoding: chunked\n"), 400},
	{"chunked not last", head("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked, gzip\n"), 400},
	{"chunked, then nothing", head("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked,\n"), 400},
	{"nothing, then chunked", head("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: , chunked\n"), 501},
	{"not chunked", head("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: gzip\n"), 400},
	{"identity", head("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: identity\n"), 400},
	{"no coding", head("POST / HTTP/1.1\nHost: a\nTransfer-Encoding:\n"), 501},
	{"unknown coding", head("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: br, chunked\n"), 501},
	{"xchunked", head("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: xchunked\n"), 501},
	{"chunk", head("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunk\n"), 501},
	{"quoted", head("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: \"chunked\"\n"), 501},
	{"quote in a parameter", head("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked;a=\"b\"\n"), 400},
	{"vertical tab", head("POST / HTTP/1.1\nHost: a\nTransfer-Encoding:\x0bchunked\n"), 400},
	{"no-break space", head("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\xa0\n"), 501},
	{"Kelvin's k", head("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chun\u212aed\n"), 501},
	{"chunked by HTTP/1.0", head("POST / HTTP/1.0\nHost: a\nTransfer-Encoding: chunked\n"), 400},
	// the rest
	{"unknown expectation", head("POST / HTTP/1.1\nHost: a\nExpect: 200-ok\nContent-Length: 5\n"), 417},
	{"Connection is no list of tokens", head("GET / HTTP/1.1\nHost: a\nConnection: cl ose\n"), 400},
}

func TestRequestRefused(t *testing.T) {
	var r Request
	for _, c := range refusedRequests {
		e := r.Parse(c.head, testLimits)
		switch {
		case e == nil:
			t.Errorf("%s: accepted, want %d", c.name, c.status)
		case e.Status != c.status:
			t.Errorf("%s: %d %s, want %d", c.name, e.Status, e.Reason, c.status)
		}
	}
}

// describe is everything a parsed head says, for comparing with a line of text.
func describe(r *Request, buf []byte) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s %s", r.Method.Of(buf), r.Path.Of(buf))
	if r.Query.Len() > 0 {
		fmt.Fprintf(&s, "?%s", r.Query.Of(buf))
	}
	fmt.Fprintf(&s, " host=%s length=%d", r.Host.Of(buf), r.ContentLength)
	for _, f := range []struct {
		is   bool
		name string
	}{{r.Chunked, "chunked"}, {r.HTTP10, "1.0"}, {r.Close, "close"}, {r.Expect, "expect"}, {r.WebSocket, "websocket"}} {
		if f.is {
			s.WriteString(" " + f.name)
		}
	}
	for i := range r.Fields[:r.N] {
		if f := &r.Fields[i]; !f.Hop {
			fmt.Fprintf(&s, " [%s=%s]", f.Name.Of(buf), f.Value.Of(buf))
		}
	}
	return s.String()
}

func TestRequestAccepted(t *testing.T) {
	var r Request
	for _, c := range []struct{ head, want string }{
		{"GET / HTTP/1.1\nHost: a\n", "GET / host=a length=0"},
		{"GET  HTTP/1.1\nHost: a\n", "GET / host=a length=0"},
		{"GET /a?b HTTP/1.1\nHost: a:80\nA: b\nAccept:\t*/* \t\n", "GET /a?b host=a:80 length=0 [A=b] [Accept=*/*]"},
		{"GET /?a=<\"#\\%zz HTTP/1.1\nHost: a\n", "GET /?a=<\"#\\%zz host=a length=0"},
		{"GET /%41%0a%00?? HTTP/1.1\nHost: a\n", "GET /%41%0a%00?? host=a length=0"},
		{"GET //b/../c HTTP/1.1\nHost: a\n", "GET //b/../c host=a length=0"},
		{"GET / HTTP/1.1\nHost: [::1]:80\n", "GET / host=[::1]:80 length=0"},
		{"GET http://a:1/x?y HTTP/1.1\nHost: A:1\n", "GET /x?y host=A:1 length=0"},
		{"GET HTTPS://a/x HTTP/1.1\nHost: a\n", "GET /x host=a length=0"},
		{"GET / HTTP/1.0\n", "GET / host= length=0 1.0 close"},
		{"GET http://a/ HTTP/1.0\n", "GET / host=a length=0 1.0 close"},
		{"GET / HTTP/1.0\nConnection: keep-alive\n", "GET / host= length=0 1.0 close"},
		{"M-SEARCH / HTTP/1.1\nHost: a\n", "M-SEARCH / host=a length=0"},
		{"GET / HTTP/1.1\nHost: a\nConnection: Close\n", "GET / host=a length=0 close"},
		{"GET / HTTP/1.1\nHost: a\nConnection: keep-alive,, x ,CLOSE\nX: 1\nY: 2\n", "GET / host=a length=0 close [Y=2]"},
		{"POST / HTTP/1.1\nHost: a\nContent-Length: 007\n", "POST / host=a length=7"},
		{"POST / HTTP/1.1\nHost: a\nContent-Length: 999999999999999\n", "POST / host=a length=999999999999999"},
		{"POST / HTTP/1.1\nHost: a\nTransfer-Encoding:  Chunked\t\n", "POST / host=a length=-1 chunked"},
		{"POST / HTTP/1.1\nHost: a\nTransfer-Encoding: \t\tchunked;a;\t\n", "POST / host=a length=-1 chunked"},
		{"POST / HTTP/1.1\nHost: a\nTransfer-Encoding: gzip , deflate,\tidentity\t, compress, chunked\n", "POST / host=a length=-1 chunked"},
		{"POST / HTTP/1.1\nHost: a\nContent-Length: 5\nExpect: 100-Continue\n", "POST / host=a length=5 expect"},
		{"POST / HTTP/1.0\nHost: a\nContent-Length: 5\nExpect: 100-continue\n", "POST / host=a length=5 1.0 close"},
		{"GET / HTTP/1.1\nHost: a\nExpect: 100-continue\n", "GET / host=a length=0"},
		{"GET / HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: WebSocket\nSec-WebSocket-Key: x\n", "GET / host=a length=0 websocket [Sec-WebSocket-Key=x]"},
		{"GET / HTTP/1.1\nHost: a\nConnection: x\nUpgrade: websocket\n", "GET / host=a length=0"},
		{"GET / HTTP/1.1\nHost: a\nUpgrade: websocket\n", "GET / host=a length=0"},
		{"GET / HTTP/1.1\nHost: a\nConnection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AA\n", "GET / host=a length=0"},
		// What decides framing and routing cannot be nominated away.
		{"POST / HTTP/1.1\nHost: a\nConnection: host, content-length, x-api-key\nContent-Length: 3\nX-Api-Key: k\n", "POST / host=a length=3"},
		{"POST / HTTP/1.1\nConnection: transfer-encoding\nHost: a\nTransfer-Encoding: chunked\n", "POST / host=a length=-1 chunked"},
		// Hop-by-hop and rebuilt fields stay here.
		{"GET / HTTP/1.1\nHost: a\nTE: trailers\nTrailer: x\nKeep-Alive: 5\nProxy-Connection: close\nProxy-Authorization: x\nProxy-Authenticate: y\nUpgrade: x\nMax-Forwards: 1\nX-Forwarded-For: 1.2.3.4\nX-Forwarded-Proto: https\n", "GET / host=a length=0"},
		{"GET / HTTP/1.1\nHost: a\nTransfer_Encoding: chunked\nA: b\xe9\tc\n", "GET / host=a length=0 [Transfer_Encoding=chunked] [A=b\xe9\tc]"},
	} {
		buf := head(c.head)
		if e := r.Parse(buf, testLimits); e != nil {
			t.Errorf("%q: %v", c.head, e)
			continue
		}
		if got := describe(&r, buf); got != c.want {
			t.Errorf("%q:\ngot  %s\nwant %s", c.head, got, c.want)
		}
		if r.HeadLen != len(buf) {
			t.Errorf("%q: head of %d bytes, want %d", c.head, r.HeadLen, len(buf))
		}
		// Any beginning of a good head is incomplete, never refused.
		for n := range buf {
			if e := r.Parse(buf[:n], testLimits); e != ErrMore {
				t.Errorf("%q: first %d bytes: %v, want ErrMore", c.head, n, e)
				break
			}
		}
	}
}

// Every byte at every place of values of every length up to some words.
func TestRequestValueBytes(t *testing.T) {
	var r Request
	for c := range 256 {
		for n := 1; n <= 20; n++ {
			for at := range n {
				value := []byte(strings.Repeat("a", n))
				value[at] = byte(c)
				e := r.Parse(fmt.Appendf(nil, "GET / HTTP/1.1\r\nHost: a\r\nA:%s\r\n\r\n", value), testLimits)
				if want := c == '\t' || c >= ' ' && c != 0x7f; (e == nil) != want {
					t.Fatalf("value %q: %v", value, e)
				}
			}
		}
	}
}

func TestRequestKnownFields(t *testing.T) {
	buf := head("GET / HTTP/1.1\nHost: a\nx-API-key: k1\nX-Api-Key: k2\nX-Forwarded-For: 1.1.1.1\nX-Amzn-Trace-Id: t\nContent-Type: c\n")
	var r Request
	if e := r.Parse(buf, testLimits); e != nil {
		t.Fatal(e)
	}
	got := fmt.Sprintf("%s %s %s %s", r.APIKey.Of(buf), r.Forwarded.Of(buf), r.Trace.Of(buf), r.Type.Of(buf))
	if want := "k2 1.1.1.1 t c"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAppendForward(t *testing.T) {
	for _, c := range []struct{ head, want string }{
		{"GET / HTTP/1.1\nHost: a\nA: b\nTE: x\nC:  d \nE: f\n",
			"Host: up\nA: b\nC:  d \nE: f\nX-Forwarded-For: 9.9.9.9\nX-Forwarded-Proto: http\nT: 1\n\n"},
		{"POST / HTTP/1.1\nHost: a\nX-Forwarded-For: 1.1.1.1\nX-Amzn-Trace-Id: t\n",
			"Host: up\nX-Amzn-Trace-Id: t\nX-Forwarded-For: 1.1.1.1, 9.9.9.9\nX-Forwarded-Proto: http\nContent-Length: 0\n\n"},
		{"POST / HTTP/1.1\nHost: a\nContent-Length: 0012\nContent-Encoding: br\n",
			"Host: up\nContent-Encoding: br\nX-Forwarded-For: 9.9.9.9\nX-Forwarded-Proto: http\nT: 1\nContent-Length: 12\n\n"},
		{"POST / HTTP/1.1\nHost: a\nContent-Encoding: br\nTransfer-Encoding: gzip , deflate,identity,  chunked;x\n",
			"Host: up\nContent-Encoding: br\nX-Forwarded-For: 9.9.9.9\nX-Forwarded-Proto: http\nT: 1\nContent-Encoding: gzip\nContent-Encoding: deflate\nTransfer-Encoding: chunked\n\n"},
	} {
		x := &Exchange{In: head(c.head), RemoteIP: "9.9.9.9"}
		if e := x.Request.Parse(x.In, testLimits); e != nil {
			t.Fatal(c.head, e)
		}
		got := string(x.AppendForward(nil, "up", []byte("T: 1\r\n")))
		if want := strings.ReplaceAll(c.want, "\n", "\r\n"); got != want {
			t.Errorf("%q:\ngot  %q\nwant %q", c.head, got, want)
		}
	}
}

func BenchmarkParseRequest(b *testing.B) {
	buf := head("GET /orders/8421/items?limit=50 HTTP/1.1\nHost: a1b2c3d4e5.execute-api.localhost:8081\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\nAccept: application/json\nAccept-Encoding: gzip, deflate, br\nx-api-key: tg_live_0123456789abcdefghijklmnopqrstuv\nConnection: keep-alive\n")
	var r Request
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if e := r.Parse(buf, Limits{Target: 10240, Headers: 10240}); e != nil {
			b.Fatal(e)
		}
	}
}
