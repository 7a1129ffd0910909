package gateway

import (
	"strings"

	"tollgate/gateway/http1"
)

// apiARN is what policies name an API by.
func (g *Gateway) apiARN(account, api string) string {
	return "arn:aws:execute-api:" + g.o.Region + ":" + account + ":" + api
}

// methodARN is what policies name a call by: API, stage, verb and the path that was
// called, in one form for all that lead to the same method.
func (c *call) methodARN(x *http1.Exchange) string {
	var room [512]byte
	b := append(append(room[:0], c.variant.prog.arn...), '/')
	b = append(append(b, c.stage.cfg.Stage...), '/')
	b = append(append(b, c.verb(x)...), '/')
	return string(appendPlainPath(b, c.path))
}

// appendPlainPath appends a path without the slashes at its ends that matching
// ignores. Escapes of characters that need none are resolved, as matching takes them
// for the characters; others stay, so that an escaped slash never becomes one.
func appendPlainPath(dst, path []byte) []byte {
	if len(path) > 0 && path[0] == '/' {
		path = path[1:]
	}
	if n := len(path); n > 0 && path[n-1] == '/' {
		path = path[:n-1]
	}
	for i := 0; i < len(path); i++ {
		b := path[i]
		if b != '%' || i+2 >= len(path) {
			dst = append(dst, b)
			continue
		}
		v := unhex(path[i+1])<<4 | unhex(path[i+2])
		if isUnreserved(v) {
			dst = append(dst, v)
		} else {
			dst = append(dst, '%', upper(path[i+1]), upper(path[i+2]))
		}
		i += 2
	}
	return dst
}

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// unhex is of a digit that matching has checked.
func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	default:
		return c&^0x20 - 'A' + 10
	}
}

func upper(c byte) byte {
	if 'a' <= c && c <= 'f' {
		c &^= 0x20
	}
	return c
}

// masked is an ARN as answers show it: of the account the last four digits.
func masked(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 || len(parts[4]) < 4 {
		return arn
	}
	parts[4] = strings.Repeat("*", 8) + parts[4][len(parts[4])-4:]
	return strings.Join(parts, ":")
}
