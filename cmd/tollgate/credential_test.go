package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tollgate/bench/rig"
	"tollgate/control"
)

const queues = `openapi: 3.0.3
info: {title: Queues, version: "1"}
paths:
  /queues:
    get:
      responses: {"200": {description: ok}}
      x-amazon-apigateway-integration:
        type: aws
        httpMethod: POST
        uri: arn:aws:apigateway:us-east-1:sqs:action/ListQueues
        credentials: arn:aws:iam::123456789012:role/api
        requestTemplates: {application/json: "{}"}
        responses: {default: {statusCode: "200"}}
`

// A document that calls an AWS service, by a server of moto: refused for want of
// credentials, served from the call after they are stored, with nothing but the command
// line.
func TestServiceCredentialVerbs(t *testing.T) {
	t.Parallel()
	moto, err := exec.LookPath("moto_server")
	if err != nil {
		t.Skip("moto_server IS NOT ON THIS MACHINE, so no AWS service was called")
	}
	addr, err := rig.FreeAddr() // which nobody else gets before the server listens
	must(t, err)
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(moto, "-H", "127.0.0.1", "-p", port)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })

	dir := t.TempDir()
	file, secret := filepath.Join(dir, "queues.yaml"), filepath.Join(dir, "secret")
	must(t, os.WriteFile(file, []byte(queues), 0o600))
	must(t, os.WriteFile(secret, []byte("s3cret/key\n"), 0o600))
	env := append(environ(newDir(t)), "TOLLGATE_AWS_ENDPOINTS=*=http://"+addr)
	start(t, env, "up")
	cliJSON[control.TenantCredentials](t, env, "tenant", "create", "--email", "ada@example.com", "--name", "Ada")
	cliJSON[imported](t, env, "import", file)
	d := cliJSON[deployed](t, env, "deploy", "Queues", "--stage", "prod")
	r := cli(t, env, "deploy", "Queues", "--stage", "prod")
	if r.code != 0 || !strings.Contains(r.stdout, "warning: GET /queues: calls will fail until credentials are stored for arn:aws:iam::123456789012:role/api") {
		t.Fatalf("%+v", r)
	}
	until := func(want int) string {
		t.Helper()
		deadline := time.Now().Add(60 * time.Second) // nodes follow, and the server starts
		for {
			res, err := http.Get(d.PathURL + "queues")
			must(t, err)
			b, err := io.ReadAll(res.Body)
			_ = res.Body.Close()
			must(t, err)
			if res.StatusCode == want {
				return string(b)
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d %s", res.StatusCode, b)
			}
			<-time.After(20 * time.Millisecond)
		}
	}
	until(500)
	if r := cli(t, env, "credential", "put", "arn:aws:iam::123456789012:role/api", "--access-key-id", "AKIAEXAMPLE", "--secret-file", secret, "--service", "dynamodb"); r.code != 0 || strings.Contains(r.stdout, "s3cret") {
		t.Fatalf("%+v", r)
	}
	c := cliJSON[control.ServiceCredential](t, env, "credential", "put", "arn:aws:iam::123456789012:role/api", "--access-key-id", "AKIAEXAMPLE", "--secret-file", secret, "--service", "sqs")
	if c.Name != "arn:aws:iam::123456789012:role/api" || fmt.Sprint(c.Services) != "[sqs]" {
		t.Errorf("%+v", c)
	}
	if body := until(200); !strings.HasPrefix(strings.TrimSpace(body), "{") {
		t.Error(body)
	}
	if r := cli(t, env, "credentials", "list"); r.code != 0 || !strings.Contains(r.stdout, "AKIAEXAMPLE") || strings.Contains(r.stdout, "s3cret") {
		t.Errorf("%+v", r)
	}
	if r := cli(t, env, "deploy", "Queues", "--stage", "prod"); r.code != 0 || strings.Contains(r.stdout, "warning") {
		t.Errorf("%+v", r)
	}
	if r := cli(t, env, "credential", "delete", "api"); r.code == 0 {
		t.Errorf("another's was deleted: %+v", r)
	}
	if r := cli(t, env, "credential", "put", "api", "--access-key-id", "AKIAEXAMPLE", "--secret-file", filepath.Join(dir, "none")); r.code == 0 {
		t.Errorf("%+v", r)
	}
	if r := cli(t, env, "credential", "delete", c.Name); r.code != 0 {
		t.Errorf("%+v", r)
	}
	until(500)
}
