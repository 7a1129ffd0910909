package awsapi_test

import (
	"net/url"
	"strings"
	"testing"
)

// Whatever a client sends of an API's parts and an account's things, it is told
// what is wrong with it; and who may only look changes nothing.
func TestNonsenseParts(t *testing.T) {
	f := newFace(t)
	_, at := f.newAPI()
	part := f.call("POST", at+"/documentation/parts", map[string]any{"location": map[string]any{"type": "API"}, "properties": "{}"}).want(201).field("id")
	validator := f.call("POST", at+"/requestvalidators", map[string]any{"name": "v"}).want(201).field("id")
	authorizer := f.call("POST", at+"/authorizers", map[string]any{"name": "a", "type": "TOKEN", "authorizerUri": lambdaURI, "identitySource": "method.request.header.A"}).want(201).field("id")
	f.call("POST", at+"/documentation/versions", map[string]any{"documentationVersion": "1"}).want(201)
	certificate := f.call("POST", "/clientcertificates", nil).want(201).field("clientCertificateId")
	link := f.call("POST", "/vpclinks", map[string]any{"name": "l", "targetArns": []string{"arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/a/b"}}).want(202).field("id")
	tags := "/tags/" + url.PathEscape("arn:aws:apigateway:us-east-1::"+at)
	creates := []string{"POST " + at + "/models", "POST " + at + "/requestvalidators", "POST " + at + "/authorizers", "PUT " + at + "/gatewayresponses/THROTTLED",
		"POST " + at + "/documentation/parts", "PUT " + at + "/documentation/parts", "POST " + at + "/documentation/versions", "POST /vpclinks",
		"PUT " + tags, "POST /clientcertificates", "POST /domainnameaccessassociations"}
	patches := []string{at + "/models/Empty", at + "/requestvalidators/" + validator, at + "/authorizers/" + authorizer, at + "/gatewayresponses/THROTTLED",
		at + "/documentation/parts/" + part, at + "/documentation/versions/1", "/account", "/clientcertificates/" + certificate, "/vpclinks/" + link}

	nul, long := "a\x00b", strings.Repeat("x", 500_000)
	for _, create := range creates {
		method, path, _ := strings.Cut(create, " ")
		for _, body := range []any{"", "{", "[]", "7", `"x"`, "null", `{"name":7}`, `{"tags":{"a":7}}`, `{"location":7}`, `{"targetArns":{}}`, strings.Repeat("[", 20_000), "\xff\xfe",
			map[string]any{"name": nul, "type": "REQUEST", "contentType": nul, "schema": `{"title":"\u0000"}`, "description": nul, "authorizerUri": lambdaURI, "authorizerResultTtlInSeconds": 0,
				"targetArns": []string{"arn:a:b:c::" + nul}, "tags": map[string]string{nul: nul}, "documentationVersion": nul,
				"location": map[string]any{"type": "MODEL", "name": nul}, "properties": `{"a":"\u0000"}`, "responseTemplates": map[string]string{nul: nul}},
			map[string]any{"name": long, "type": "TOKEN", "contentType": long, "schema": long, "description": long, "authorizerUri": lambdaURI, "identitySource": long,
				"targetArns": []string{"arn:a:b:c::" + long}, "tags": map[string]string{long: long}, "documentationVersion": long,
				"location": map[string]any{"type": "MODEL", "name": long}, "properties": `{"a":"` + long + `"}`, "responseTemplates": map[string]string{"a/b": long}},
		} {
			if r := f.call(method, path, body); r.Status >= 500 {
				t.Errorf("%s of %.60v: %d %.300s", create, body, r.Status, r.Body)
			}
		}
	}
	for _, path := range patches {
		for _, op := range []string{"add", "replace", "remove", "x"} {
			for _, at := range []any{nil, "", "/", "/description", "/name", "/schema", "/properties", "/identitySource", "/providerARNs", "/responseParameters/a", "/responseTemplates/~1~0", "/statusCode", "/cloudwatchRoleArn"} {
				for _, value := range []any{nil, nul, 7} {
					if r := f.call("PATCH", path, steps{map[string]any{"op": op, "path": at, "value": value}}.body()); r.Status >= 500 {
						t.Errorf("PATCH %s, %s %v %q: %d %.300s", path, op, at, value, r.Status, r.Body)
					}
				}
			}
		}
		if r := f.call("PATCH", path, steps{step("replace", "/description", long)}.body()); r.Status >= 500 {
			t.Errorf("PATCH %s with a long value: %d %.300s", path, r.Status, r.Body)
		}
	}

	f.exec(`update member set role = 'viewer' where tenant_id = $1`, f.owner.Tenant)
	for _, path := range patches {
		body := steps{step("replace", "/description", "x")}
		switch {
		case strings.Contains(path, "validators"), strings.Contains(path, "authorizers"):
			body = steps{step("replace", "/name", "x")}
		case strings.Contains(path, "parts"):
			body = steps{step("replace", "/properties", "{}")}
		case strings.Contains(path, "gatewayresponses"):
			body = steps{step("replace", "/statusCode", "400")}
		case path == "/account":
			body = steps{step("replace", "/cloudwatchRoleArn", "")}
		}
		if r := f.call("PATCH", path, body.body()); r.Status != 403 || r.Header.Get("X-Amzn-Errortype") != "AccessDeniedException" {
			t.Errorf("a viewer's PATCH of %s: %d %s", path, r.Status, r.Body)
		}
		if path != "/account" {
			if r := f.call("DELETE", path, nil); r.Status != 403 {
				t.Errorf("a viewer's DELETE of %s: %d %s", path, r.Status, r.Body)
			}
		}
	}
	for create, body := range map[string]any{
		"POST " + at + "/models":                 map[string]any{"name": "M", "contentType": "application/json", "schema": "{}"},
		"POST " + at + "/requestvalidators":      map[string]any{"name": "x"},
		"POST " + at + "/authorizers":            map[string]any{"name": "x", "type": "REQUEST", "authorizerUri": lambdaURI, "authorizerResultTtlInSeconds": 0},
		"PUT " + at + "/documentation/parts":     `{"documentationParts":[]}`,
		"POST " + at + "/documentation/versions": map[string]any{"documentationVersion": "2"},
		"POST /clientcertificates":               nil, "PUT " + tags: map[string]any{"tags": map[string]string{"a": "b"}}, "DELETE " + tags + "?tagKeys=a": nil,
	} {
		method, path, _ := strings.Cut(create, " ")
		if r := f.call(method, path, body); r.Status != 403 {
			t.Errorf("a viewer's %s: %d %s", create, r.Status, r.Body)
		}
	}
}
