package gateway

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"tollgate/model"
)

// do makes a call whose certificate is not looked at, and returns status, error type
// and body.
func (r *rig) do(req *http.Request) (int, string, string) {
	r.t.Helper()
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	resp, err := c.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("x-amzn-ErrorType"), string(b)
}

// guarded publishes mocks behind a resource policy and returns the stage.
func (r *rig) guarded(id, policy string, methods ...string) {
	r.t.Helper()
	st := r.mocked(id, "in", methods...)
	r.p.mu.Lock()
	r.p.deployments[id].Definition.Policy = policy
	r.p.mu.Unlock()
	r.serve(st)
}

const testARN = "arn:aws:execute-api:us-east-1:123456789012:abc" // of the rig's API

func statement(effect, more string) string {
	return `{"Effect":"` + effect + `","Principal":"*","Action":"execute-api:Invoke",` + more + `}`
}

// A resource policy decides over methods without authorization: it must allow
// explicitly, and what it denies is denied.
func TestResourcePolicy(t *testing.T) {
	r := newRig(t)
	const all = `"Resource":"execute-api:/*"`
	allow := statement("Allow", all)
	for i, c := range []struct {
		name       string
		statements []string
		verb, path string
		header     [2]string
		tls        bool
		status     int
		suffix     string
	}{
		{"allowed", []string{allow}, "GET", "/a/1", [2]string{}, false, 200, ""},
		{"silent", []string{statement("Allow", `"Resource":"execute-api:/prod/POST/*"`)}, "GET", "/a/1", [2]string{}, false, 403, ""},
		{"denied", []string{allow, statement("Deny", `"Resource":"execute-api:/prod/GET/a/*"`)}, "GET", "/a/1", [2]string{}, false, 403, " with an explicit deny"},
		{"another path", []string{allow, statement("Deny", `"Resource":"execute-api:/prod/GET/b/*"`)}, "GET", "/a/1", [2]string{}, false, 200, ""},
		{"an escape does not get round it", []string{allow, statement("Deny", `"Resource":"execute-api:/prod/GET/a/*"`)}, "GET", "/%61/1", [2]string{}, false, 403, " with an explicit deny"},
		{"nor a slash at the end", []string{allow, statement("Deny", `"Resource":"execute-api:/prod/GET/a/1"`)}, "GET", "/a/1/", [2]string{}, false, 403, " with an explicit deny"},
		{"an escaped slash separates nothing", []string{statement("Allow", `"Resource":"execute-api:/prod/GET/a/1/2"`)}, "GET", "/a/1%2f2", [2]string{}, false, 403, ""},
		{"by address", []string{statement("Allow", all+`,"Condition":{"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}}`)}, "GET", "/a/1", [2]string{}, false, 200, ""},
		{"by another address", []string{statement("Allow", all+`,"Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`)}, "GET", "/a/1", [2]string{}, false, 403, ""},
		{"no address by header", []string{statement("Allow", all+`,"Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`)}, "GET", "/a/1", [2]string{"X-Forwarded-For", "10.0.0.1"}, false, 403, ""},
		{"plain", []string{statement("Allow", all+`,"Condition":{"Bool":{"aws:SecureTransport":"true"}}`)}, "GET", "/a/1", [2]string{}, false, 403, ""},
		{"secure", []string{statement("Allow", all+`,"Condition":{"Bool":{"aws:SecureTransport":"true"}}`)}, "GET", "/a/1", [2]string{}, true, 200, ""},
		{"by referer", []string{statement("Allow", all+`,"Condition":{"StringLike":{"aws:Referer":"https://example.com/*"}}`)}, "GET", "/a/1", [2]string{"Referer", "https://example.com/x"}, false, 200, ""},
		{"without referer", []string{statement("Allow", all+`,"Condition":{"StringLike":{"aws:Referer":"https://example.com/*"}}`)}, "GET", "/a/1", [2]string{}, false, 403, ""},
		{"by user agent", []string{allow, statement("Deny", all+`,"Condition":{"StringLike":{"aws:UserAgent":"Go-*"}}`)}, "GET", "/a/1", [2]string{}, false, 403, " with an explicit deny"},
		{"by time", []string{statement("Allow", all+`,"Condition":{"DateGreaterThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"},"NumericGreaterThan":{"aws:EpochTime":"1577836800"}}`)}, "GET", "/a/1", [2]string{}, false, 200, ""},
		{"never from a VPC", []string{allow, statement("Deny", all+`,"Condition":{"StringNotEquals":{"aws:SourceVpce":"vpce-1"}}`)}, "GET", "/a/1", [2]string{}, false, 403, " with an explicit deny"},
		{"of users, and none signs", []string{`{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"execute-api:Invoke",` + all + `}`}, "GET", "/a/1", [2]string{}, false, 403, ""},
		{"the root", []string{statement("Allow", `"Resource":"execute-api:/prod/GET/"`)}, "GET", "/", [2]string{}, false, 200, ""},
		{"the API's own ARN", []string{statement("Allow", `"Resource":"arn:aws:execute-api:us-east-1:123456789012:abc/prod/GET/*"`)}, "GET", "/a/1", [2]string{}, false, 200, ""},
		{"another region's beside a wider one", []string{statement("Allow", `"Resource":["arn:aws:execute-api:eu-west-1:123456789012:abc/prod/GET/*","execute-api:/prod/POST/*"]`)}, "GET", "/a/1", [2]string{}, false, 403, ""},
	} {
		r.guarded(fmt.Sprint("d", i), `{"Version":"2012-10-17","Statement":[`+strings.Join(c.statements, ",")+`]}`, "GET /", "GET /a/{id}")
		base := r.base
		if c.tls {
			base = "https://" + r.g.TLSAddr()
		}
		req, _ := http.NewRequest(c.verb, base+"/_aws/execute-api/abc/prod"+c.path, nil)
		if c.header[0] != "" {
			req.Header.Set(c.header[0], c.header[1])
		}
		status, kind, body := r.do(req)
		if status != c.status {
			t.Errorf("%s: %d %s", c.name, status, body)
		}
		if c.status == 200 {
			continue
		}
		path := strings.Replace(strings.TrimSuffix(c.path, "/"), "%61", "a", 1)
		path = strings.Replace(path, "%2f", "%2F", 1)
		want := `{"Message":"User: anonymous is not authorized to perform: execute-api:Invoke on resource: arn:aws:execute-api:us-east-1:********9012:abc/prod/GET` + path + c.suffix + `"}`
		if kind != "AccessDeniedException" || body != want {
			t.Errorf("%s: %s %s\nwant %s", c.name, kind, body, want)
		}
	}
}

// A policy that no node could act on keeps the API from being deployed, with its place.
func TestPolicyIsChecked(t *testing.T) {
	for policy, want := range map[string]string{
		"": "",
		`{"Statement":` + statement("Allow", `"Resource":"execute-api:/prod/*"`) + `}`: "",
		`{}`: "error: policy: the resource policy cannot be acted on: Statement is missing",
		`{"Statement":[` + statement("Allow", `"Resource":"*","Condition":{"Near":{"aws:SourceIp":"10.0.0.0/8"}}`) + `]}`:                                                               "Statement[0].Condition.Near is no condition operator",
		`{"Statement":[` + statement("Allow", `"Resource":"execute-api:/*"`) + `,` + statement("Deny", `"Resource":"arn:aws:execute-api:eu-west-1:123456789012:abc/prod/GET/*"`) + `]}`: "Statement[1] names in its Resource nothing of this API, which is " + testARN + ": write execute-api:/stage/VERB/path",
		`{"Statement":[` + statement("Allow", `"Resource":"/prod/*"`) + `]}`:                                                                                                            "neither an ARN nor",
	} {
		got := ""
		for _, p := range Check(&model.Definition{Name: "a", Policy: policy}, testARN) {
			got += p.String()
		}
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", policy, got, want)
		}
	}
}

func TestPlainPath(t *testing.T) {
	for path, want := range map[string]string{"": "", "/": "", "/a": "a", "/a/": "a", "/a/b": "a/b", "/%61%2Db%2e": "a-b.", "/a%2fb": "a%2Fb", "/caf%c3%a9": "caf%C3%A9", "/a//b": "a//b", "/a%20b+c": "a%20b+c"} {
		if got := string(appendPlainPath(nil, []byte(path))); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

// A verb is the one that policies name: ANY stands for no other spelling of it, which an
// endpoint might take for it.
func TestDeniedVerbHasOneSpelling(t *testing.T) {
	r := newRig(t)
	r.guarded("d1", `{"Version":"2012-10-17","Statement":[`+statement("Allow", `"Resource":"execute-api:/*"`)+`,`+statement("Deny", `"Resource":"execute-api:/prod/POST/*"`)+`]}`, "ANY /a")
	for verb, want := range map[string]int{"GET": 200, "POST": 403, "post": 403, "Post": 403, "TRACE": 403} {
		req, err := http.NewRequest("GET", r.base+"/_aws/execute-api/abc/prod/a", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Method = verb
		if status, _, body := r.do(req); status != want {
			t.Errorf("%s: %d %s", verb, status, body)
		}
		req.Method = "GET"
		req.Header.Set("X-HTTP-Method-Override", verb)
		if status, _, body := r.do(req); status != want {
			t.Errorf("override with %s: %d %s", verb, status, body)
		}
	}
}
