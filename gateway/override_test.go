package gateway

import (
	"strings"
	"testing"
	"time"

	"tollgate/awsapi/sigv4"
	"tollgate/model"
)

const overrideHeader = "X-HTTP-Method-Override"

// A call is judged by the verb that it is matched by, however it was sent: by the API's
// policy, and by an authorizer, whose policy is kept.
func TestOverrideIsJudged(t *testing.T) {
	f := newFunctions(t)
	r := lambdaRig(t, f)
	r.define(func(d *model.Definition) {
		guarded(model.Authorizer{Type: model.AuthorizerToken, AuthorizerURI: functionURI("token"), IdentitySource: "method.request.header.Authorization"})(d)
		d.Policy = `{"Version":"2012-10-17","Statement":` + statement("Deny", `"NotResource":"execute-api:/prod/GET/*"`) + `}`
	}, nil, map[string]string{"GET /a": mockAuthorizer, "PUT /a": mockAuthorizer})
	for _, c := range []struct {
		verb, override string
		status         int
	}{{"GET", "", 200}, {"PUT", "", 403}, {"GET", "PUT", 403}, {"PUT", "GET", 200}, {"GET", "", 200}} {
		header := []string{"Authorization", "Allow"}
		if c.override != "" {
			header = append(header, overrideHeader, c.override)
		}
		if status, _, body := r.send(c.verb, "/a", "", header...); status != c.status {
			t.Errorf("%+v: %d %s", c, status, body)
		}
	}
}

// Who signs a GET has not signed a DELETE.
func TestOverrideIsSigned(t *testing.T) {
	r := newRig(t)
	r.signed("d1", "", "", "GET /a", "DELETE /a")
	r.signers(tenantNum, signerOf(keyID, keySecret, time.Now()))
	req := r.request("GET", "/a", nil)
	sigv4.PresignHTTP(req, credentials, signRegion, "execute-api", sigv4.HashBody(nil), time.Hour, time.Now())
	if status, _, body := r.do(req); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	req.Header.Set(overrideHeader, "DELETE")
	if status, kind, body := r.do(req); status != 403 || kind != "InvalidSignatureException" || !strings.Contains(body, "must be a 'SignedHeader'") {
		t.Errorf("unsigned: %d %s %s", status, kind, body)
	}
	req = r.request("GET", "/a", nil)
	req.Header.Set(overrideHeader, "DELETE")
	sigv4.SignHTTP(req, credentials, signRegion, "execute-api", sigv4.HashBody(nil), time.Now())
	if status, _, body := r.do(req); status != 200 {
		t.Errorf("signed: %d %s", status, body)
	}
}

// An answer to what a header makes of a GET is no other GET's.
func TestOverrideIsNotCached(t *testing.T) {
	u := newCounting(t, nil)
	r := newRig(t)
	st := r.cachedStage(u.s.URL, model.CacheSetting{Enabled: true, TTLSeconds: 300}, "GET /a", "POST /a")
	r.serve(st)
	for i, c := range []struct{ verb, override, want string }{
		{"GET", "POST", "/a 1"}, {"GET", "", "/a 2"}, {"GET", "", "/a 2"}, {"GET", "POST", "/a 3"}, {"POST", "GET", "/a 4"}, {"GET", "", "/a 2"},
	} {
		var header []string
		if c.override != "" {
			header = []string{overrideHeader, c.override}
		}
		if _, got := r.ask(c.verb, "/a", header...); got != c.want {
			t.Errorf("%d: %+v got %q", i, c, got)
		}
	}
}
