package gateway

import (
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"strings"
	"time"

	"tollgate/gateway/lambda"
	"tollgate/gateway/vtl"
)

// certText is a client's certificate in the texts of Amazon API Gateway's events and of
// $context.identity.clientCert: names as in RFC 2253, times as OpenSSL prints them.
func certText(c *x509.Certificate) *lambda.ClientCert {
	at := func(t time.Time) string { return t.UTC().Format("Jan _2 15:04:05 2006 GMT") }
	serial := c.SerialNumber.Bytes()
	if len(serial) == 0 {
		serial = []byte{0}
	}
	var number strings.Builder
	for i := range serial {
		if i > 0 {
			number.WriteByte(':')
		}
		number.WriteString(hex.EncodeToString(serial[i : i+1]))
	}
	return &lambda.ClientCert{
		PEM:       string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})),
		SubjectDN: c.Subject.String(), IssuerDN: c.Issuer.String(), SerialNumber: number.String(),
		NotBefore: at(c.NotBefore), NotAfter: at(c.NotAfter),
	}
}

// certMap is the same for templates.
func certMap(t *lambda.ClientCert) *vtl.Map {
	out, validity := vtl.NewObject(), vtl.NewObject()
	for _, f := range [][2]string{{"clientCertPem", t.PEM}, {"subjectDN", t.SubjectDN}, {"issuerDN", t.IssuerDN}, {"serialNumber", t.SerialNumber}} {
		out.Set(f[0], f[1])
	}
	validity.Set("notBefore", t.NotBefore)
	validity.Set("notAfter", t.NotAfter)
	out.Set("validity", validity)
	return out
}
