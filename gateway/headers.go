package gateway

import "strings"

// unseen are headers of requests that end at the gateway: no template, parameter or
// integration sees them (recorded from Amazon API Gateway).
var unseen = map[string]bool{"Connection": true, "Content-Length": true, "Content-Md5": true, "Expect": true, "Keep-Alive": true, "Max-Forwards": true,
	"Proxy-Authenticate": true, "Proxy-Connection": true, "Server": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true, "Www-Authenticate": true}

// notForwarded are headers of requests to integrations that a mapping sets in vain: those
// of the connection to them.
var notForwarded = map[string]bool{"Connection": true, "Expect": true, "Keep-Alive": true, "Proxy-Authenticate": true, "Proxy-Connection": true, "Te": true, "Via": true}

// hostHeader says whether s can be the value of a Host header.
func hostHeader(s string) bool {
	return s != "" && len(s) <= 255 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("/?#@,\\", r) })
}

// notMapped are headers that no parameter of a proxy sets, in lower case: those of the
// connection, and the framing.
var notMapped = map[string]bool{"connection": true, "content-length": true, "expect": true, "keep-alive": true, "proxy-authenticate": true,
	"proxy-authorization": true, "proxy-connection": true, "te": true, "transfer-encoding": true, "via": true}

func appendLine(dst []byte, name, value string) []byte {
	return append(append(append(append(dst, name...), ": "...), value...), '\r', '\n')
}
