package gateway

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"testing"

	"tollgate/model"
)

// An API's security policy holds for its default endpoint: the version of TLS, and in
// strict mode the name that the connection was made for.
func TestSecurityPolicies(t *testing.T) {
	const host = "abc.execute-api.us-east-1.example.com"
	for _, c := range []struct {
		policy, mode string
		tls12, tls13 int
		plain, other int // over no TLS; with a connection that was made for another name
	}{
		{"", "", 200, 200, 200, 200},
		{"TLS_1_2", "", 200, 200, 200, 200},
		{"SecurityPolicy_TLS13_1_2_2021_06", "", 200, 200, 403, 200},
		{"SecurityPolicy_TLS13_1_3_2025_09", "BASIC", 403, 200, 403, 200},
		{"SecurityPolicy_TLS13_1_3_2025_09", "STRICT", 403, 200, 403, 403},
	} {
		r := newRig(t)
		r.define(func(d *model.Definition) { d.SecurityPolicy, d.EndpointAccessMode = c.policy, c.mode }, nil,
			map[string]string{"GET /a": `{"type": "MOCK", "requestTemplates": {"application/json": "{\"statusCode\": 200}"}, "integrationResponses": {"default": {"statusCode": "200"}}}`})
		ask := func(scheme, addr, name string, version uint16, h2 bool) int {
			p := new(http.Protocols)
			p.SetHTTP1(!h2)
			p.SetHTTP2(h2)
			tr := &http.Transport{Protocols: p, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: name, MinVersion: tls.VersionTLS12, MaxVersion: version},
				DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
					return (&net.Dialer{}).DialContext(ctx, network, addr)
				}}
			defer tr.CloseIdleConnections()
			req, err := http.NewRequest("GET", scheme+"://"+host+"/prod/a", nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := tr.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			return res.StatusCode
		}
		for _, h2 := range []bool{false, true} {
			got := []int{ask("https", r.g.TLSAddr(), host, tls.VersionTLS12, h2), ask("https", r.g.TLSAddr(), host, tls.VersionTLS13, h2), ask("https", r.g.TLSAddr(), "other.example.com", tls.VersionTLS13, h2)}
			if got[0] != c.tls12 || got[1] != c.tls13 || got[2] != c.other {
				t.Errorf("%s %s, HTTP/2 %v: %v", c.policy, c.mode, h2, got)
			}
		}
		if got := ask("http", strings.TrimPrefix(r.base, "http://"), host, 0, false); got != c.plain {
			t.Errorf("%s %s without TLS: %d", c.policy, c.mode, got)
		}
	}
}
