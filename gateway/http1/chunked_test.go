package http1

import (
	"strings"
	"testing"
)

// decodeChunked feeds src in pieces of n bytes, as a socket might, and returns the
// data, the checked trailer and what was left over.
func decodeChunked(src []byte, n int) (data, trailer, rest string, done bool, err *ParseError) {
	var c Chunked
	var d, window []byte
	for {
		p, used, e := c.Next(window)
		d = append(d, p...)
		window = window[used:]
		if e != nil {
			return string(d), "", "", false, e
		}
		if c.Done() {
			return string(d), string(c.Trailer), string(window) + string(src), true, nil
		}
		if used == 0 {
			if len(src) == 0 {
				return string(d), "", string(window), false, nil
			}
			k := min(n, len(src))
			window = append(window[:len(window):len(window)], src[:k]...)
			src = src[k:]
		}
	}
}

func TestChunkedRefused(t *testing.T) {
	for _, c := range []struct{ name, src string }{
		{"no size", "\r\nabc\r\n0\r\n\r\n"},
		{"not hexadecimal", "g\r\nabc"},
		{"signed", "+3\r\nabc\r\n0\r\n\r\n"},
		{"negative", "-3\r\nabc\r\n0\r\n\r\n"},
		{"0x", "0x3\r\nabc\r\n0\r\n\r\n"},
		{"blank before", " 3\r\nabc\r\n0\r\n\r\n"},
		{"blank after", "3 \r\nabc\r\n0\r\n\r\n"},
		{"tab after", "3\t\r\nabc\r\n0\r\n\r\n"},
		{"underscore", "1_0\r\nabc"},
		{"too many digits", "0000000000000003\r\nabc\r\n0\r\n\r\n"},
		{"overflow", "fffffffffffffffff\r\nabc"},
		{"bare LF after the size", "3\nabc\r\n0\r\n\r\n"},
		{"bare CR after the size", "3\rabc\r\n0\r\n\r\n"},
		{"CR CR LF", "3\r\r\nabc\r\n0\r\n\r\n"},
		{"bare LF after the data", "3\r\nabc\n0\r\n\r\n"},
		{"CR and other after the data", "3\r\nabc\rx0\r\n\r\n"},
		{"surplus data", "3\r\nabcd\r\n0\r\n\r\n"},
		{"NUL in an extension", "3;a\x00b\r\nabc\r\n0\r\n\r\n"},
		{"bare CR in an extension", "3;a\rb\r\nabc\r\n0\r\n\r\n"},
		{"bare LF in an extension", "3;a\nabc\r\n0\r\n\r\n"},
		{"escaped CR in an extension", "3;a=\"\\\r\"\r\nabc\r\n0\r\n\r\n"},
		{"empty extension", "3;\r\nabc\r\n0\r\n\r\n"},
		{"blank before an extension", "3 ;a\r\nabc\r\n0\r\n\r\n"},
		{"blank in an extension", "3; a\r\nabc\r\n0\r\n\r\n"},
		{"extension without a value", "3;a=\r\nabc\r\n0\r\n\r\n"},
		{"open quote in an extension", "3;a=\"b\r\nabc\r\n0\r\n\r\n"},
		{"long extension", "3;" + strings.Repeat("a", maxChunkLine) + "\r\nabc\r\n0\r\n\r\n"},
		{"long and unfinished extension", "3;" + strings.Repeat("a", maxChunkLine)},
		{"bare LF at the end", "0\r\n\n"},
		{"folded trailer", "0\r\nA: b\r\n c\r\n\r\n"},
		{"bad trailer", "0\r\nA b\r\n\r\n"},
		{"control in the trailer", "0\r\nA: \x01\r\n\r\n"},
		{"blank before the colon", "0\r\nA : b\r\n\r\n"},
		{"bare LF in the trailer", "0\r\nA: b\n\r\n"},
		{"long trailer", "0\r\nA: " + strings.Repeat("b", maxTrailer) + "\r\n\r\n"},
		{"long and unfinished trailer", "0\r\nA: " + strings.Repeat("b", maxTrailer)},
		{"many trailers", "0\r\n" + strings.Repeat("Content-Length: 1\r\n", 300) + "\r\n"},
	} {
		for n := 1; n <= len(c.src); n += 1 + n/4 {
			if _, _, _, _, err := decodeChunked([]byte(c.src), n); err == nil {
				t.Errorf("%s: accepted in pieces of %d", c.name, n)
				break
			}
		}
	}
}

func TestChunkedAccepted(t *testing.T) {
	for _, c := range []struct{ src, data, trailer, rest string }{
		{"0\r\n\r\n", "", "", ""},
		{"000\r\n\r\nGET /", "", "", "GET /"},
		{"3\r\nabc\r\n0\r\n\r\n", "abc", "", ""},
		{"003\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\nx", "abc0123456789", "", "x"},
		{"3;a\r\na\r\n\r\n0;b=c;d=\"e\\\";f\"\r\n\r\n", "a\r\n", "", ""},
		{"0\r\nA: b\r\nX-Sum:  1 \r\n\r\n0", "", "A: b\r\nX-Sum:  1 \r\n", "0"},
		// Fields that would be acted upon in a head are dropped from a trailer.
		{"0\r\nContent-Length: 5\r\nA: b\r\nTransfer-Encoding: chunked\r\nHost: x\r\nAuthorization: y\r\nX-Api-Key: k\r\nTE: t\r\nCookie: c\r\nTrailer: t\r\nConnection: c\r\nContent-Type: c\r\nX-Forwarded-For: f\r\nContent-Encoding: e\r\n\r\n", "", "A: b\r\n", ""},
	} {
		for n := 1; n <= len(c.src); n++ {
			data, trailer, rest, done, err := decodeChunked([]byte(c.src), n)
			if err != nil || !done || data != c.data || trailer != c.trailer || rest != c.rest {
				t.Errorf("%q in pieces of %d: %q %q %q %v %v", c.src, n, data, trailer, rest, done, err)
				break
			}
		}
	}
}
