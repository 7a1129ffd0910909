package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tollgate/awsapi/sigv4"
	"tollgate/control"
)

// A private domain name is kept with what leads from it, and no call with it as host is
// answered by that; another account serves the same name in public as if it were alone.
func TestPrivateNamesAreNotServed(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	env := environ(dir)
	p := start(t, env, "up")
	type made struct{ ID, DomainNameID, DomainNameARN, DomainNameStatusMessage string }
	account := func(name, says string) (func(method, path string, in any) made, string) {
		a := cliJSON[control.TenantCredentials](t, env, "tenant", "create", "--email", name+"@example.com", "--name", name)
		ask := func(method, path string, in any) (out made) {
			t.Helper()
			b, ok := in.([]byte)
			if !ok {
				var err error
				b, err = json.Marshal(in)
				must(t, err)
			}
			req, err := http.NewRequestWithContext(t.Context(), method, p.console+path, bytes.NewReader(b))
			must(t, err)
			req.Header.Set("Accept", "application/json")
			sigv4.SignHTTP(req, sigv4.Credentials{AccessKeyID: a.AccessKeyID, Secret: a.SecretAccessKey}, "us-east-1", "apigateway", sigv4.HashBody(b), time.Now())
			resp, err := http.DefaultClient.Do(req)
			must(t, err)
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			must(t, err)
			if resp.StatusCode >= 300 {
				t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, body)
			}
			if len(body) > 0 {
				must(t, json.Unmarshal(body, &out))
			}
			return out
		}
		api := ask("POST", "/restapis?mode=import", []byte(strings.ReplaceAll(mockDocument, "hello}", says+"}"))).ID
		ask("POST", "/restapis/"+api+"/deployments", map[string]string{"stageName": "prod"})
		return ask, api
	}
	const name = "in.localhost" // which needs no proof in public
	ada, adas := account("ada", "of ada")
	certificate, key := selfSigned(t, name)
	private := ada("POST", "/domainnames", map[string]any{"domainName": name, "certificateBody": certificate, "certificatePrivateKey": key,
		"endpointConfiguration": map[string]any{"types": []string{"PRIVATE"}}})
	if !strings.Contains(private.DomainNameStatusMessage, "not served yet") {
		t.Errorf("made as %+v", private)
	}
	of := "?domainNameId=" + private.DomainNameID
	ada("POST", "/domainnames/"+name+"/basepathmappings"+of, map[string]string{"restApiId": adas, "stage": "prod"})
	ada("POST", "/v2/domainnames/"+name+"/routingrules"+of, map[string]any{"priority": 1, "conditions": []any{}, "actions": []any{map[string]any{"invokeApi": map[string]string{"apiId": adas, "stage": "prod"}}}})
	ada("PATCH", "/domainnames/"+name+of, map[string]any{"patchOperations": []map[string]string{{"op": "replace", "path": "/routingMode", "value": "ROUTING_RULE_THEN_BASE_PATH_MAPPING"}}})
	ada("POST", "/domainnameaccessassociations", map[string]string{"domainNameArn": private.DomainNameARN, "accessAssociationSourceType": "VPCE", "accessAssociationSource": "vpce-1"})

	var r running
	b, err := os.ReadFile(filepath.Join(dir, "up.json"))
	must(t, err)
	must(t, json.Unmarshal(b, &r))
	presented := ""
	tr := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error {
		presented = strings.Join(s.PeerCertificates[0].DNSNames, " ")
		return nil
	}}, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, r.GatewayTLSAddr)
	}}
	secure := func() (int, string) {
		t.Helper()
		return getWith(t, &http.Client{Transport: tr, Timeout: 10 * time.Second}, "https://"+name+"/hello")
	}
	settled := func() { // a deployment is awaited: nodes have what was before it
		t.Helper()
		ada("POST", "/restapis/"+adas+"/deployments", map[string]string{"stageName": "prod"})
	}
	settled()
	unknown, unknownBody := getHost(t, p.gateway+"/hello", "nobody.localhost")
	if code, body := getHost(t, p.gateway+"/hello", name); code != unknown || body != unknownBody || code == 200 {
		t.Errorf("a private name answers %d %s; one nobody has, %d %s", code, body, unknown, unknownBody)
	}
	if code, body := secure(); code == 200 || strings.Contains(body, "of ada") || presented == name {
		t.Errorf("over TLS a private name answers %d %s with the certificate for %s", code, body, presented)
	}

	bob, bobs := account("bob", "of bob")
	bob("POST", "/domainnames", map[string]string{"domainName": name})
	bob("POST", "/domainnames/"+name+"/basepathmappings", map[string]string{"restApiId": bobs, "stage": "prod"})
	until(t, "the public name to be served", func() bool {
		code, body := secure()
		return code == 200 && body == "of bob"
	})
	ada("PATCH", "/domainnames/"+name+of, map[string]any{"patchOperations": []map[string]string{{"op": "replace", "path": "/routingMode", "value": "ROUTING_RULE_ONLY"}}})
	settled()
	if code, body := secure(); code != 200 || body != "of bob" || presented == name {
		t.Errorf("after its private namesake was changed it answers %d %s with the certificate for %s", code, body, presented)
	}
}
