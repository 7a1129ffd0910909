package gateway

import (
	"fmt"
	"net"
	"strings"
	"testing"
)

// Bodies that are said to come and do not take nobody's room: a few connections that send
// a byte each must not stop an account's calls.
func TestBodiesThatDoNotCome(t *testing.T) {
	r := newRig(t)
	r.define(nil, nil, map[string]string{"POST /a": `{"type": "MOCK", "requestTemplates": {"application/json": "#set($x = $input.body){\"statusCode\": 200}"}, "integrationResponses": {"default": {"statusCode": "200", "responseTemplates": {"application/json": "$input.body.length()"}}}}`})
	tenant := r.g.reg.tenants[tenantNum]
	const open = 40
	for i := range open {
		c, err := net.Dial("tcp", r.g.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		how := "Content-Length: 10485760\r\n\r\nx"
		if i%2 == 1 {
			how = "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
		}
		if _, err := fmt.Fprint(c, "POST /_aws/execute-api/abc/prod/a HTTP/1.1\r\nHost: x\r\n"+how); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the calls to be under way", func() bool { return tenant.inFlight.Held() == open })
	if held := tenant.buffered.Held(); held > open*(heldPlain+heldBody) {
		t.Errorf("%d calls without their bodies hold %d bytes", open, held)
	}
	if status, _, body := r.send("POST", "/a", strings.Repeat("x", 5<<20)); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	// What has come counts, and is given back.
	until(t, "the last call to end", func() bool { return tenant.inFlight.Held() == open })
	if held := tenant.buffered.Held(); held > open*(heldPlain+heldBody) {
		t.Errorf("%d bytes are held", held)
	}
}
