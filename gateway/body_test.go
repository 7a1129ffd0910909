package gateway

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"tollgate/gateway/http1"
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

// A call that panics gives back what it holds: an account must not lose its caps to it.
func TestPanicGivesBack(t *testing.T) {
	r := newRig(t)
	r.define(nil, nil, map[string]string{"GET /a": `{"type": "MOCK", "requestTemplates": {"application/json": "#set($x = 1){\"statusCode\": 200}"}, "integrationResponses": {"default": {"statusCode": "200"}}}`})
	m := &r.g.reg.tenants[tenantNum].inFlight
	r.g.mu.Lock()
	for num, st := range r.g.reg.stages {
		broken := *st
		broken.runs = slices.Clone(st.runs)
		method := *st.runs[0].m
		method.whole = func(*call, *http1.Exchange, *reply) kind { panic("a defect") }
		broken.runs[0].m = &method
		r.g.reg.stages[num] = &broken
	}
	r.g.publish()
	r.g.mu.Unlock()
	for range 3 {
		if res, err := r.httpc.Get(r.base + "/_aws/execute-api/abc/prod/a"); err == nil {
			_ = res.Body.Close()
			t.Errorf("an answer with status %d", res.StatusCode)
		}
	}
	until(t, "the calls to end", func() bool { return m.Held() == 0 && r.g.reg.tenants[tenantNum].buffered.Held() == 0 })
}
