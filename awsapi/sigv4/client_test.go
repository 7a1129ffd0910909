package sigv4_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"tollgate/awsapi/sigv4"
)

// clientScript signs each of a list of requests as AWS CLI and boto3 do.
const clientScript = `
import json, sys
from botocore.auth import SigV4Auth, SigV4QueryAuth, S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
out = []
for c in json.load(sys.stdin):
    r = AWSRequest(method=c["Method"], url=c["URL"], headers=c["Header"], data=c["Body"].encode())
    cred = Credentials("AKIDEXAMPLE", c["Secret"], c["Token"] or None)
    if c["Presign"]:
        SigV4QueryAuth(cred, c["Service"], "eu-west-1", expires=3600).add_auth(r)
    elif c["Service"] == "s3":
        S3SigV4Auth(cred, "s3", "eu-west-1").add_auth(r)
    else:
        SigV4Auth(cred, c["Service"], "eu-west-1").add_auth(r)
    out.append({"URL": r.url, "Header": dict(r.headers)})
json.dump(out, sys.stdout)
`

type clientCall struct {
	Method, URL, Body, Secret, Token, Service string
	Presign                                   bool
	Header                                    map[string]string
}

// What AWS's Python library signs verifies here, and is signed here alike.
func TestAgainstBotocore(t *testing.T) {
	if out, err := exec.Command("python3", "-c", "import botocore").CombinedOutput(); err != nil {
		t.Skipf("NOT COMPARED with botocore, as python3 cannot import it (TestClientVectors has a few of its requests): %v %s", err, out)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	pick := func(from ...string) string { return from[rnd.IntN(len(from))] }
	text := func() string {
		var b strings.Builder
		for range rnd.IntN(5) {
			b.WriteString(pick("a", "B", "7", "-", "_", ".", "~", "%20", "%2F", "%3A", "%25", "%C3%A9", "%2B", "%3D"))
		}
		return b.String()
	}
	var calls []clientCall
	for range 400 {
		c := clientCall{Method: pick("GET", "POST", "PUT", "PATCH", "DELETE"), Secret: secret, Service: pick("apigateway", "execute-api", "s3"),
			Token: pick("", "tok/en+=="), Presign: rnd.IntN(3) == 0, Header: map[string]string{}}
		c.Presign = c.Presign && c.Service != "s3"
		c.URL = pick("http://127.0.0.1:8080", "https://api.example.com")
		for range 1 + rnd.IntN(4) {
			c.URL += "/" + pick(text(), text(), "restapis", ".", "..", "")
		}
		sep := "?"
		for i := range rnd.IntN(4) {
			// The presigner keeps one of several equal names.
			c.URL += sep + string(rune('a'+rnd.IntN(3)*2+i)) + text() + string(rune('0'+i)) + "=" + text()
			sep = "&"
		}
		if c.Method != "GET" && !c.Presign { // the presigner would move it to the query
			c.Body = pick("", `{"name":"é"}`, "x")
		}
		if rnd.IntN(2) == 0 {
			c.Header["X-Amz-Meta"] = pick("a", "  a   b ", `"a   b"`)
			c.Header["Content-Type"] = "application/json"
			c.Header["User-Agent"] = "not signed"
		}
		calls = append(calls, c)
	}
	in, err := json.Marshal(calls)
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := exec.Command("python3", "-c", clientScript)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v %s", err, stderr.String())
	}
	var signed []struct {
		URL    string
		Header map[string]string
	}
	if err := json.Unmarshal(out, &signed); err != nil || len(signed) != len(calls) {
		t.Fatalf("%d of %d: %v", len(signed), len(calls), err)
	}
	for i, c := range calls {
		r := httptest.NewRequest(c.Method, signed[i].URL, nil)
		for name, v := range signed[i].Header {
			r.Header.Set(name, v)
		}
		s, err := sigv4.ParseHTTP(r)
		if err != nil {
			t.Errorf("%+v: %v", signed[i], err)
			continue
		}
		hash := sigv4.HashBody([]byte(c.Body))
		if err := s.Verify(secret, hash, s.Date.Add(time.Minute)); err != nil {
			canonical, sts := s.Explain(hash)
			t.Errorf("%s %+v: %v\n%s\n%s", c.Method, signed[i], err, canonical, sts)
		}
		if s.SessionToken != c.Token || s.Presigned != c.Presign {
			t.Errorf("%+v parsed as %+v", signed[i], s)
		}
		if c.Presign {
			continue
		}
		// What is signed is the same here: all but what a signer adds.
		theirs := r.Header.Get("Authorization")
		cred := sigv4.Credentials{AccessKeyID: "AKIDEXAMPLE", Secret: secret, SessionToken: c.Token}
		sigv4.SignHTTP(r, cred, "eu-west-1", c.Service, hash, s.Date)
		if got := r.Header.Get("Authorization"); got != theirs {
			t.Errorf("%+v\nsigned here %s", signed[i], got)
		}
	}
	t.Logf("%d calls compared", len(calls))
}
