package gateway

import (
	"crypto/tls"
	"strings"

	"tollgate/gateway/http1"
)

// secured holds a call of an API's default endpoint to the API's security policy. Custom
// domains have their own.
func (c *call) secured(x *http1.Exchange, p *program) kind {
	switch {
	case x.Peer == nil:
		c.why = "the API's security policy asks for TLS"
	case x.Peer.Version < p.tls.MinVersion:
		c.why = "the API's security policy asks for " + tlsVersion(p.tls.MinVersion) + ", and the connection has " + tlsVersion(x.Peer.Version)
	case p.strict && !strings.EqualFold(x.Peer.ServerName, hostName(x.Request.Host.Of(x.In))):
		c.why = "the API's endpoint access mode is STRICT, and the connection was made for another name than is called"
	default:
		return proceed
	}
	return forbidden
}

// hostName is a Host without its port.
func hostName(host []byte) string {
	name, _, _ := strings.Cut(string(host), ":")
	return name
}

// tlsVersion is a version as Amazon API Gateway logs it.
func tlsVersion(v uint16) string {
	switch v {
	case tls.VersionTLS12:
		return "TLSv1.2"
	case tls.VersionTLS13:
		return "TLSv1.3"
	}
	return ""
}

// cipherNames are OpenSSL's names of the suites of TLS 1.2 that are served, by which logs
// have them.
var cipherNames = map[uint16]string{
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:         "ECDHE-RSA-AES128-GCM-SHA256",
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384:         "ECDHE-RSA-AES256-GCM-SHA384",
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256:   "ECDHE-RSA-CHACHA20-POLY1305",
	tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA:            "ECDHE-RSA-AES128-SHA",
	tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA:            "ECDHE-RSA-AES256-SHA",
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256:       "ECDHE-ECDSA-AES128-GCM-SHA256",
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384:       "ECDHE-ECDSA-AES256-GCM-SHA384",
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-ECDSA-CHACHA20-POLY1305",
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA:          "ECDHE-ECDSA-AES128-SHA",
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA:          "ECDHE-ECDSA-AES256-SHA",
}

func cipherSuite(id uint16) string {
	if name := cipherNames[id]; name != "" {
		return name
	}
	return tls.CipherSuiteName(id)
}
