package openapi

import (
	"strings"
	"testing"

	"tollgate/model"
)

// Authorizers of tokens are read as REST and HTTP APIs write them, and written again.
func TestTokenAuthorizers(t *testing.T) {
	const doc = `{"openapi": "3.0.1", "info": {"title": "x", "version": "1"}, "paths": {
		"/pool": {"get": {"security": [{"pool": ["pets/read"]}], "x-amazon-apigateway-integration": {"type": "http_proxy", "httpMethod": "GET", "uri": "https://example.com"}}},
		"/jwt": {"get": {"security": [{"jwt": ["read", "write"]}], "x-amazon-apigateway-integration": {"type": "http_proxy", "httpMethod": "GET", "uri": "https://example.com"}}},
		"/http": {"get": {"security": [{"http": []}], "x-amazon-apigateway-integration": {"type": "http_proxy", "httpMethod": "GET", "uri": "https://example.com"}}}},
		"components": {"securitySchemes": {
		"pool": {"type": "apiKey", "name": "Authorization", "in": "header", "x-amazon-apigateway-authtype": "cognito_user_pools",
			"x-amazon-apigateway-authorizer": {"type": "cognito_user_pools", "providerARNs": ["arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_a"]}},
		"jwt": {"type": "apiKey", "name": "X-Token", "in": "header", "x-amazon-apigateway-authtype": "jwt",
			"x-amazon-apigateway-authorizer": {"type": "jwt", "jwtConfiguration": {"defaultAlgorithms": ["ES256"], "issuers": [{"issuer": "https://a.example.com/", "audiences": ["pets"], "additionalClaims": [{"claimName": "org", "expectedValues": ["acme"], "format": "SINGLE_STRING", "required": true}]}]}}},
		"http": {"type": "oauth2", "x-amazon-apigateway-authorizer": {"type": "jwt", "identitySource": "$request.header.Authorization", "jwtConfiguration": {"issuer": "https://b.example.com", "audience": ["cats"]}}}}}}`
	r, err := Import([]byte(doc), Options{Wire: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range append(r.Problems, r.Definition.Undeployable()...) {
		if p.Severity != model.SeverityInfo {
			t.Error(p)
		}
	}
	d := &r.Definition
	for path, want := range map[string]string{"/pool": "COGNITO_USER_POOLS method.request.header.Authorization pets/read", "/jwt": "JWT method.request.header.X-Token read,write", "/http": "JWT method.request.header.Authorization "} {
		m := d.Method(path, "GET")
		a := d.Authorizer(m.AuthorizerID)
		if a == nil {
			t.Fatalf("%s has no authorizer", path)
		}
		if got := m.AuthorizationType + " " + a.IdentitySource + " " + strings.Join(m.AuthorizationScopes, ","); got != want || a.Type != m.AuthorizationType {
			t.Errorf("%s: %s", path, got)
		}
		if a.Type == model.AuthJWT {
			if _, err := model.ParseJWT(a.JWT); err != nil {
				t.Error(err)
			}
		}
	}
	roundTrip(t, d)

	bad, err := Import([]byte(strings.Replace(doc, "https://a.example.com/", "http://a.example.com/", 1)), Options{Wire: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(bad.Problems) == 0 || !strings.Contains(bad.Problems[0].Message, "https address") {
		t.Errorf("%v", bad.Problems)
	}
}
