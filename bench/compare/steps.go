package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tollgate/bench/rig"
	"tollgate/bench/velocity/order"
	"tollgate/gateway/vtl"
)

// What a call can be asked for beside being passed on, each as a row, measured with
// what does none of it and gets the same bytes.
const (
	nginxToken        = "nginx-token" // GET with a token, which nginx passes on
	tollgateToken     = "tollgate-token"
	tollgateJWT       = "tollgate-jwt"
	tollgateCached    = "tollgate-cached"
	nginxPost         = "nginx-post" // POST of 1 KB of JSON, answered with as much
	tollgatePost      = "tollgate-post"
	tollgateVTL       = "tollgate-vtl"
	tollgateValidated = "tollgate-validated"
)

// step is a row with the rows it is compared with.
type step struct{ label, row, nginx, without string }

var steps = []step{
	{"jwt", tollgateJWT, nginxToken, tollgateToken},
	{"cached", tollgateCached, nginxToken, tollgateToken},
	{"vtl", tollgateVTL, nginxPost, tollgatePost},
	{"validated", tollgateValidated, nginxPost, tollgatePost},
}

// resources are the path parts under /v1 of the rows' methods. All are as long, so that
// the requests are.
var resources = map[string]string{
	nginxToken: "plain", tollgateToken: "plain", tollgateJWT: "token", tollgateCached: "cache",
	nginxPost: "plain", tollgatePost: "plain", tollgateVTL: "remap", tollgateValidated: "valid",
}

func (r *row) isStep() bool { return resources[r.name] != "" }

// posts says whether a row's calls have a body.
func posts(name string) bool {
	return name == nginxPost || name == tollgatePost || name == tollgateVTL || name == tollgateValidated
}

// userPool is the name that Tollgate's operator gives the benchmark's issuer.
const userPool = "us-east-1_Benchmark"

//go:embed steps/schema.json
var schema []byte

// stepTemplate is the CloudFormation template of an API with a method for every row: a
// plain one for each verb, and one for each step.
func stepTemplate(upstream string) ([]byte, error) {
	type object = map[string]any
	integration := func(kind, verb string) object {
		return object{"type": kind, "httpMethod": verb, "uri": "http://" + upstream + "/v1/{id}", "passthroughBehavior": "when_no_match",
			"requestParameters": object{"integration.request.path.id": "method.request.path.id"}}
	}
	method := func(g object, more object) object {
		out := object{"parameters": []object{{"name": "id", "in": "path", "required": true, "type": "string"}},
			"responses": object{"200": object{"description": "the thing"}}, "x-amazon-apigateway-integration": g}
		for k, v := range more {
			out[k] = v
		}
		return out
	}
	cached := integration("http_proxy", "GET")
	cached["cacheKeyParameters"] = []string{"method.request.path.id"}
	mapped := integration("http", "POST")
	templates := object{"application/json": order.Template}
	mapped["requestTemplates"] = templates
	mapped["responses"] = object{"default": object{"statusCode": "200", "responseTemplates": templates}}
	valid := method(integration("http_proxy", "POST"), object{"x-amazon-apigateway-request-validator": "all", "consumes": []string{"application/json"}})
	valid["parameters"] = append(valid["parameters"].([]object), object{"name": "Order", "in": "body", "required": true, "schema": object{"$ref": "#/definitions/Order"}})
	api := object{
		"swagger": "2.0",
		"info":    object{"title": "steps", "version": "1"},
		"paths": object{
			"/v1/plain/{id}": object{"get": method(integration("http_proxy", "GET"), nil), "post": method(integration("http_proxy", "POST"), nil)},
			"/v1/token/{id}": object{"get": method(integration("http_proxy", "GET"), object{"security": []object{{"pool": []string{}}}})},
			"/v1/cache/{id}": object{"get": method(cached, nil)},
			"/v1/remap/{id}": object{"post": method(mapped, nil)},
			"/v1/valid/{id}": object{"post": valid},
		},
		"definitions":                            object{"Order": json.RawMessage(schema)},
		"x-amazon-apigateway-request-validators": object{"all": object{"validateRequestBody": true, "validateRequestParameters": true}},
		"securityDefinitions": object{"pool": object{"type": "apiKey", "name": "Authorization", "in": "header", "x-amazon-apigateway-authtype": "cognito_user_pools",
			"x-amazon-apigateway-authorizer": object{"type": "cognito_user_pools", "providerARNs": []string{"arn:aws:cognito-idp:us-east-1:123456789012:userpool/" + userPool}}}},
	}
	ref := object{"Ref": "Api"}
	return json.Marshal(object{"Resources": object{
		"Api":        object{"Type": "AWS::ApiGateway::RestApi", "Properties": object{"Name": "steps", "Body": api}},
		"Deployment": object{"Type": "AWS::ApiGateway::Deployment", "Properties": object{"RestApiId": ref}},
		"Stage": object{"Type": "AWS::ApiGateway::Stage", "Properties": object{"RestApiId": ref, "DeploymentId": object{"Ref": "Deployment"}, "StageName": "prod",
			"CacheClusterEnabled": true, "CacheClusterSize": "0.5",
			"MethodSettings": []object{{"ResourcePath": "/*", "HttpMethod": "*", "CachingEnabled": false, "ThrottlingRateLimit": -1, "ThrottlingBurstLimit": -1},
				{"ResourcePath": "/~1v1~1cache~1{id}", "HttpMethod": "GET", "CachingEnabled": true, "CacheTtlInSeconds": 3600, "ThrottlingRateLimit": -1, "ThrottlingBurstLimit": -1}}}},
	}})
}

// stepRequests are a row's: with one token for all, or with the document.
func stepRequests(name, api, token string) []string {
	out := make([]string, requestCount)
	for i := range out {
		path := fmt.Sprintf("/prod/v1/%s/%d", resources[name], 10000+i)
		if posts(name) {
			out[i] = "POST " + path + " HTTP/1.1\r\nHost: " + rig.Host(api) + "\r\nUser-Agent: wrk\r\nAccept: application/json\r\n" +
				"Content-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(order.Document)) + "\r\n\r\n" + order.Document
		} else {
			out[i] = "GET " + path + " HTTP/1.1\r\nHost: " + rig.Host(api) + "\r\nAuthorization: Bearer " + token + "\r\nUser-Agent: wrk\r\nAccept: application/json\r\n\r\n"
		}
	}
	return out
}

// stepAnswer is what a row's calls must be answered with; nil: with what the upstream
// answers a GET.
func stepAnswer(name string) ([]byte, error) {
	if !posts(name) {
		return nil, nil
	}
	if name != tollgateVTL {
		return []byte(order.Document), nil
	}
	t, err := vtl.Parse(order.Template)
	if err != nil {
		return nil, err
	}
	out, err := t.Render(nil, &vtl.Input{Body: order.Document})
	return bytes.TrimSpace(out), err
}

// issuer is an OpenID Connect issuer with one key: a node reads that once.
type issuer struct {
	url   string
	key   *rsa.PrivateKey
	serve *http.Server
}

func startIssuer() (*issuer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	i := &issuer{url: "http://" + l.Addr().String(), key: key}
	number := func(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
	pages := map[string]any{
		"/.well-known/openid-configuration": map[string]string{"issuer": i.url, "jwks_uri": i.url + "/keys"},
		"/keys": map[string]any{"keys": []map[string]string{{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "bench",
			"n": number(key.N.Bytes()), "e": number(big.NewInt(int64(key.E)).Bytes())}}},
	}
	pages["/.well-known/jwks.json"] = pages["/keys"]
	i.serve = &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, ok := pages[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(page)
	})}
	go func() { _ = i.serve.Serve(l) }()
	return i, nil
}

// token is one as user pools issue them, with the claims they commonly have.
func (i *issuer) token() (string, error) {
	claims, err := json.Marshal(map[string]any{"iss": i.url, "aud": "app1", "sub": "8f2b1c9e-7d4a-4f0e-9c11-5a3be8d20f47", "token_use": "id",
		"email": "somebody@example.com", "email_verified": true, "cognito:username": "somebody", "auth_time": 1700000000, "iat": 1700000000, "exp": 4102444800, "jti": "0123456789abcdef0123456789abcdef"})
	if err != nil {
		return "", err
	}
	enc := base64.RawURLEncoding
	text := enc.EncodeToString([]byte(`{"alg":"RS256","kid":"bench","typ":"JWT"}`)) + "." + enc.EncodeToString(claims)
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, sum[:])
	return text + "." + enc.EncodeToString(sig), err
}

// setUpSteps publishes the API of the steps' rows and starts the issuer that its methods
// trust.
func (s *stage) setUpSteps(ctx context.Context) error {
	var err error
	if s.issuer, err = startIssuer(); err != nil {
		return err
	}
	s.rig.OnClose(func() { _ = s.issuer.serve.Close() })
	template, err := stepTemplate(s.upstream)
	if err != nil {
		return err
	}
	s.stepAPI, err = s.tollgate.Stack(ctx, "steps", template)
	return err
}

// cachesAnswer says whether the calls of the cached row were answered from the cache: an
// upstream that always says the same does not tell. Each request is missed once.
func (s *stage) cachesAnswer(ctx context.Context) error {
	page, err := rig.Get(ctx, "http://"+s.node.Admin+"/metrics")
	if err != nil {
		return err
	}
	hits, misses := 0.0, 0.0
	for line := range strings.Lines(page) {
		_, _ = fmt.Sscanf(line, `tollgate_gateway_cache_lookups_total{result="hit"} %g`, &hits)
		_, _ = fmt.Sscanf(line, `tollgate_gateway_cache_lookups_total{result="miss"} %g`, &misses)
	}
	if hits == 0 || misses > requestCount {
		return fmt.Errorf("%s: of look-ups in the cache %.0f were hits and %.0f misses, of %d different requests", tollgateCached, hits, misses, requestCount)
	}
	return nil
}
