package gateway

import (
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tollgate/model"
)

// Requests to S3 as MinIO's code verifies them, with the path as it was sent: keys with
// blanks, escapes and letters of any alphabet are signed as they must be.
func TestS3VerifiesSignatures(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "s3server")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = "aws/s3server"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const id, secret = "AKIDOFBOX00000000001", "secret-of-the-box"
	at3 := startProgram(t, program, func(port string) []string { return []string{"127.0.0.1:" + port, "box", id, secret} })
	r := at(t, "s3="+at3)
	const answers = `"integrationResponses": {"default": {"statusCode": "200", "responseParameters": {"method.response.header.Content-Type": "integration.response.header.Content-Type", "method.response.header.x-by": "integration.response.header.x-amz-meta-by"}},
		"denied": {"statusCode": "403", "selectionPattern": "40[03]"}, "gone": {"statusCode": "404", "selectionPattern": "404"}}}`
	object := func(verb, role string) string {
		return `{"type": "AWS", "httpMethod": "` + verb + `", "credentials": "` + role + `", "uri": "arn:aws:apigateway:us-east-1:s3:path/box/{key}", "requestParameters": {"integration.request.path.key": "method.request.path.key",
			"integration.request.header.Content-Type": "method.request.header.Content-Type", "integration.request.header.x-amz-meta-by": "'one  two'"}, ` + answers
	}
	r.integrate(nil, map[string]string{
		"PUT /o/{key+}": object("PUT", apiRole), "GET /o/{key+}": object("GET", apiRole), "DELETE /o/{key+}": object("DELETE", apiRole),
		"GET /wrong/{key+}": object("GET", wideRole),
		"GET /list":         `{"type": "AWS", "httpMethod": "GET", "credentials": "` + apiRole + `", "uri": "arn:aws:apigateway:us-east-1:s3:path/box?list-type=2", "requestParameters": {"integration.request.querystring.prefix": "method.request.querystring.p", "integration.request.querystring.max-keys": "'5'"}, ` + answers,
	})
	as := func(secret string) func(*model.CredentialConfig) {
		return func(c *model.CredentialConfig) { c.AccessKeyID, c.Secret = id, secret }
	}
	r.p.tell(t, model.Changes{Credentials: []model.CredentialConfig{stored(1, apiRole, as(secret)), stored(2, wideRole, as("another"))}})
	large := strings.Repeat("0123456789", 100_000)
	for _, key := range []string{"plain", "dir/a b", "dir/ü/日本", "a+b=c&d", "x~y'(z)*!", "100%25", "semi;colon:at@"} {
		path := "/o/" + (&url.URL{Path: key}).EscapedPath()
		body := "body of " + key
		if key == "plain" {
			body = large
		}
		if status, _, out := r.send("PUT", path, body, "Content-Type", "text/x-mine"); status != 200 {
			t.Errorf("%q: %d %s", key, status, out)
			continue
		}
		status, h, got := r.send("GET", path, "")
		if status != 200 || got != body || h.Get("Content-Type") != "text/x-mine" {
			t.Errorf("%q: %d %v %.200s", key, status, h, got)
		}
		if status, _, out := r.send("GET", "/list?p="+url.QueryEscape(key), ""); status != 200 || !strings.Contains(out, "<KeyCount>1</KeyCount>") {
			t.Errorf("%q: %d %s", key, status, out)
		}
		if status, _, out := r.send("GET", strings.Replace(path, "/o/", "/wrong/", 1), ""); status != 403 || !strings.Contains(out, "SignatureDoesNotMatch") {
			t.Errorf("%q signed with another secret: %d %.300s", key, status, out)
		}
		if status, _, out := r.send("DELETE", path, ""); status != 200 {
			t.Errorf("%q: %d %s", key, status, out)
		}
		if status, _, _ := r.send("GET", path, ""); status != 404 {
			t.Errorf("%q is there: %d", key, status)
		}
	}
	// It does verify: a request that is not signed gets nothing.
	res, err := http.Get(at3 + "/box/plain")
	if err != nil || res.StatusCode == 200 {
		t.Errorf("%v %v", res, err)
	}
}
