package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tollgate/awsapi/sigv4"
	"tollgate/control"
)

// signedCall is what a client signs and sends.
type signedCall struct {
	Method, URL, Body string
	Presign           bool
}

// Calls of methods with AWS_IAM, signed by clients that nobody here wrote: an account's
// own key is let in, with what it may call; others are not.
func TestSignedByOthers(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		_, _ = w.Write([]byte(r.Method + " " + r.URL.Path + " " + string(b)))
	}))
	t.Cleanup(upstream.Close)
	env := environ(newDir(t), "TOLLGATE_REGION=eu-west-1")
	p := start(t, env, "up")
	account := func(name string) control.TenantCredentials {
		return cliJSON[control.TenantCredentials](t, env, "tenant", "create", "--email", name+"@example.com", "--name", name)
	}
	ask := func(a control.TenantCredentials, method, path string, in any) (out struct{ ID string }) {
		t.Helper()
		b, err := json.Marshal(in)
		must(t, err)
		req, err := http.NewRequestWithContext(t.Context(), method, p.console+path, bytes.NewReader(b))
		must(t, err)
		req.Header.Set("Accept", "application/json")
		sigv4.SignHTTP(req, sigv4.Credentials{AccessKeyID: a.AccessKeyID, Secret: a.SecretAccessKey}, "eu-west-1", "apigateway", sigv4.HashBody(b), time.Now())
		resp, err := http.DefaultClient.Do(req)
		must(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		must(t, err)
		if resp.StatusCode >= 300 {
			t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, body)
		}
		must(t, json.Unmarshal(body, &out))
		return out
	}
	ada, eve := account("ada"), account("eve")
	operation := func(verb string) map[string]any {
		return map[string]any{"x-amazon-apigateway-auth": map[string]any{"type": "AWS_IAM"}, "responses": map[string]any{},
			"parameters":                      []any{map[string]any{"name": "id", "in": "path", "required": true, "type": "string"}},
			"x-amazon-apigateway-integration": map[string]any{"type": "http_proxy", "httpMethod": verb, "uri": upstream.URL + "/pets/{id}", "requestParameters": map[string]string{"integration.request.path.id": "method.request.path.id"}}}
	}
	document := map[string]any{"swagger": "2.0", "info": map[string]any{"title": "Signed", "version": "1"}, "paths": map[string]any{
		"/pets/{id}": map[string]any{"get": operation("GET"), "post": operation("POST")}},
		"x-amazon-apigateway-policy": map[string]any{"Version": "2012-10-17", "Statement": []any{
			map[string]any{"Effect": "Deny", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/prod/GET/pets/secret"}}}}
	api := ask(ada, "POST", "/restapis?mode=import", document).ID
	ask(ada, "POST", "/restapis/"+api+"/deployments", map[string]string{"stageName": "prod"})
	base := p.gateway + "/_aws/execute-api/" + api + "/prod/pets/"

	signers := func(program []string) func(a control.TenantCredentials, c signedCall) (int, string) {
		return func(a control.TenantCredentials, c signedCall) (int, string) {
			t.Helper()
			in, err := json.Marshal(c)
			must(t, err)
			cmd := exec.CommandContext(t.Context(), program[0], program[1:]...)
			cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+a.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+a.SecretAccessKey, "AWS_REGION=eu-west-1")
			cmd.Stdin, cmd.Stderr = bytes.NewReader(in), t.Output()
			out, err := cmd.Output()
			must(t, err)
			var answer struct {
				Status int
				Body   string
			}
			must(t, json.Unmarshal(out, &answer))
			return answer.Status, answer.Body
		}
	}
	curl := func(a control.TenantCredentials, c signedCall) (int, string) {
		t.Helper()
		args := []string{"-s", "-X", c.Method, "-o", "-", "-w", "\n%{http_code}", "--aws-sigv4", "aws:amz:eu-west-1:execute-api", "--user", a.AccessKeyID + ":" + a.SecretAccessKey}
		if c.Body != "" {
			args = append(args, "-d", c.Body)
		}
		out, err := exec.CommandContext(t.Context(), "curl", append(args, c.URL)...).Output()
		must(t, err)
		i := bytes.LastIndexByte(out, '\n')
		code := 0
		must(t, json.Unmarshal(out[i+1:], &code))
		return code, string(out[:i])
	}
	for _, client := range []struct {
		name     string
		ready    func() func(control.TenantCredentials, signedCall) (int, string)
		presigns bool
		query    string // curl before version 8 signs it in the order it has
	}{
		{"go", func() func(control.TenantCredentials, signedCall) (int, string) {
			program := filepath.Join(t.TempDir(), "sign")
			cmd := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./sign")
			cmd.Dir = "../../awsapi/clients/go"
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			return signers([]string{program})
		}, true, "?b=2&a=1&a=%20"},
		{"botocore", func() func(control.TenantCredentials, signedCall) (int, string) {
			if exec.Command("python3", "-c", "import botocore").Run() != nil {
				return nil
			}
			return signers([]string{"python3", "../../awsapi/clients/python/sign.py"})
		}, true, "?b=2&a=1&a=%20"},
		{"curl", func() func(control.TenantCredentials, signedCall) (int, string) {
			if exec.Command("curl", "--version").Run() != nil {
				return nil
			}
			return curl
		}, false, "?a=1&b=2"},
	} {
		t.Run(client.name, func(t *testing.T) {
			send := client.ready()
			if send == nil {
				t.Skipf("THIS CLIENT IS NOT ON THIS MACHINE: nothing was signed with %s", client.name)
			}
			for _, presign := range []bool{false, true} {
				if presign && !client.presigns {
					continue
				}
				if code, body := send(ada, signedCall{"GET", base + "7" + client.query, "", presign}); code != 200 || body != "GET /pets/7 " {
					t.Errorf("presigned %v: %d %s", presign, code, body)
				}
				if code, body := send(ada, signedCall{"GET", base + "secret", "", presign}); code != 403 || !strings.Contains(body, "arn:aws:execute-api:eu-west-1:********"+ada.AccountID[8:]+":"+api+"/prod/GET/pets/secret with an explicit deny") {
					t.Errorf("presigned %v, denied: %d %s", presign, code, body)
				}
				if code, body := send(eve, signedCall{"GET", base + "7", "", presign}); code != 403 || !strings.Contains(body, "User: arn:aws:iam::"+eve.AccountID+":user/eve@example.com is not authorized") {
					t.Errorf("presigned %v, of another account: %d %s", presign, code, body)
				}
				thief := ada
				thief.SecretAccessKey = eve.SecretAccessKey
				if code, body := send(thief, signedCall{"GET", base + "7", "", presign}); code != 403 || !strings.Contains(body, "does not match the signature you provided") {
					t.Errorf("presigned %v, with another's secret: %d %s", presign, code, body)
				}
			}
			if code, body := send(ada, signedCall{"POST", base + "7", `{"name":"é"}`, false}); code != 200 || body != `POST /pets/7 {"name":"é"}` {
				t.Errorf("a body: %d %s", code, body)
			}
		})
	}
}
