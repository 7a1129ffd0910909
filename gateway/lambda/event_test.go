package lambda

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func fields(pairs ...string) []Field {
	var out []Field
	for i := 0; i+1 < len(pairs); i += 2 {
		out = append(out, Field{[]byte(pairs[i]), []byte(pairs[i+1])})
	}
	return out
}

func sample() *Call {
	return &Call{
		Resource: "/pets/{proxy+}", Path: []byte("/pets/a%20b"), Method: []byte("POST"), Query: []byte("q=x&q=y%2Bz&e&n=a+b;m=1&bad=%zz"),
		Header:         fields("Host", "abc.execute-api.eu-west-1.example.com", "User-Agent", "test/1", "X-Two", "one", "x-two", "two", "tEsT", "\"\x01\xff"),
		PathParameters: fields("proxy", "a b"), StageVariables: map[string]string{"b": "2", "a": "1"}, Body: []byte("{\"n\": 1}\n"),
		Context: Context{AccountID: "123456789012", APIID: "abc", DeploymentID: "d1", Stage: "prod", ResourceID: "r1", Domain: []byte("abc.execute-api.eu-west-1.example.com"), RequestID: "id-1", ExtendedRequestID: "short-1",
			Path: []byte("/prod/pets/a%20b"), Protocol: "HTTP/1.1", Time: "01/Jan/2026:00:00:00 +0000", TimeEpoch: 1767225600000, SourceIP: "203.0.113.9"},
	}
}

const wantContext = `{"accountId": "123456789012", "apiId": "abc", "deploymentId": "d1", "domainName": "abc.execute-api.eu-west-1.example.com", "domainPrefix": "abc", "extendedRequestId": "short-1",
	"httpMethod": "POST", "identity": {"accessKey": null, "accountId": null, "caller": null, "cognitoAuthenticationProvider": null, "cognitoAuthenticationType": null, "cognitoIdentityId": null,
	"cognitoIdentityPoolId": null, "principalOrgId": null, "sourceIp": "203.0.113.9", "user": null, "userAgent": "test/1", "userArn": null},
	"path": "/prod/pets/a%20b", "protocol": "HTTP/1.1", "requestId": "id-1", "requestTime": "01/Jan/2026:00:00:00 +0000", "requestTimeEpoch": 1767225600000, "resourceId": "r1", "resourcePath": "/pets/{proxy+}", "stage": "prod"}`

func same(t *testing.T, have []byte, want string) {
	t.Helper()
	var h, w any
	if err := json.Unmarshal(have, &h); err != nil {
		t.Fatalf("%v\n%s", err, have)
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatalf("%v\n%s", err, want)
	}
	if !reflect.DeepEqual(h, w) {
		t.Errorf("\n%s\nis not\n%s", have, want)
	}
}

// The proxy event is the service's, to the name.
func TestProxyEvent(t *testing.T) {
	c := sample()
	request := `"path": "/pets/a%20b", "httpMethod": "POST",
		"headers": {"Host": "abc.execute-api.eu-west-1.example.com", "User-Agent": "test/1", "X-Two": "two", "tEsT": "\"\u0001\ufffd"},
		"multiValueHeaders": {"Host": ["abc.execute-api.eu-west-1.example.com"], "User-Agent": ["test/1"], "X-Two": ["one", "two"], "tEsT": ["\"\u0001\ufffd"]},
		"queryStringParameters": {"q": "y+z", "e": "", "n": "a b", "m": "1", "bad": "%zz"},
		"multiValueQueryStringParameters": {"q": ["x", "y+z"], "e": [""], "n": ["a b"], "m": ["1"], "bad": ["%zz"]},
		"pathParameters": {"proxy": "a b"}, "stageVariables": {"a": "1", "b": "2"}, "requestContext": ` + wantContext
	same(t, c.AppendProxy(nil), `{"resource": "/pets/{proxy+}", `+request+`, "body": "{\"n\": 1}\n", "isBase64Encoded": false}`)
	same(t, c.AppendRequest(nil, "arn:aws:execute-api:eu-west-1:123456789012:abc/prod/POST/pets/a b"),
		`{"type": "REQUEST", "methodArn": "arn:aws:execute-api:eu-west-1:123456789012:abc/prod/POST/pets/a b", "resource": "/pets/{proxy+}", `+request+`}`)
	same(t, AppendToken(nil, "arn:x", "a\"b"), `{"type": "TOKEN", "methodArn": "arn:x", "authorizationToken": "a\"b"}`)
}

// Maps without names are null for a function, and empty for an authorizer.
func TestEmptyEvent(t *testing.T) {
	c := sample()
	c.Header, c.Query, c.PathParameters, c.StageVariables, c.Body = nil, nil, nil, nil, nil
	canary := true
	c.Context.Canary, c.Context.OperationName, c.Context.Identity = &canary, "createPet", [][2]string{{"apiKey", "k"}, {"caller", "AIDA"}, {"user", ""}}
	c.Context.AppendAuthorizer = func(dst []byte) []byte { return append(dst, `{"principalId":"me"}`...) }
	context := strings.NewReplacer(`"userAgent": "test/1"`, `"userAgent": null`, `"caller": null`, `"caller": "AIDA"`, `"userArn": null`, `"userArn": null, "apiKey": "k"`,
		`"path": "/prod`, `"authorizer": {"principalId": "me"}, "isCanaryRequest": true, "operationName": "createPet", "path": "/prod`).Replace(wantContext)
	for empty, have := range map[string][]byte{"null": c.AppendProxy(nil), "{}": c.AppendRequest(nil, "arn")} {
		more := `"type": "REQUEST", "methodArn": "arn",`
		if empty == "null" {
			more = `"body": null, "isBase64Encoded": false,`
		}
		same(t, have, `{`+more+`"resource": "/pets/{proxy+}", "path": "/pets/a%20b", "httpMethod": "POST", "headers": `+empty+`, "multiValueHeaders": `+empty+`, "queryStringParameters": `+empty+
			`, "multiValueQueryStringParameters": `+empty+`, "pathParameters": `+empty+`, "stageVariables": `+empty+`, "requestContext": `+context+`}`)
	}
}

// Bodies that are no text go as base64.
func TestEventBody(t *testing.T) {
	for _, b := range []struct {
		body   string
		binary bool
		base64 bool
	}{{"text", false, false}, {"text", true, true}, {"\x89PNG\xff", false, true}, {"", true, false}} {
		c := sample()
		c.Body, c.BinaryBody = []byte(b.body), b.binary
		var out struct {
			Body            *string
			IsBase64Encoded bool
		}
		if err := json.Unmarshal(c.AppendProxy(nil), &out); err != nil {
			t.Fatal(err)
		}
		text := ""
		if out.Body != nil {
			text = *out.Body
		}
		if out.IsBase64Encoded {
			plain, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				t.Fatal(err)
			}
			text = string(plain)
		}
		if text != b.body || out.IsBase64Encoded != b.base64 {
			t.Errorf("%+v: %+v", b, out)
		}
	}
}

// Many parameters take no more than their number in time: names are looked up then.
func TestManyParameters(t *testing.T) {
	c := sample()
	c.Query = []byte(strings.Repeat("a&b=1&c=2&", 1000))
	var out struct{ MultiValueQueryStringParameters map[string][]string }
	if err := json.Unmarshal(c.AppendProxy(nil), &out); err != nil {
		t.Fatal(err)
	}
	if q := out.MultiValueQueryStringParameters; len(q) != 3 || len(q["b"]) != 1000 {
		t.Errorf("%d names, %d values", len(q), len(q["b"]))
	}
}

// Whatever a caller sends, the event is JSON and says it.
func FuzzEvent(f *testing.F) {
	f.Add([]byte("/p"), []byte("a=1&b;c=%41"), "X-A", []byte("v"), []byte("body"), false)
	f.Add([]byte("\xff"), []byte("%"), "\"", []byte("\\"), []byte("\xff\x00"), true)
	f.Fuzz(func(t *testing.T, path, query []byte, name string, value, body []byte, binary bool) {
		c := sample()
		c.Path, c.Query, c.Body, c.BinaryBody = path, query, body, binary
		c.Header = []Field{{[]byte(name), value}, {[]byte(name + "2"), value}}
		var out struct {
			Path                            string
			Headers                         map[string]string
			MultiValueQueryStringParameters map[string][]string
			Body                            string
			IsBase64Encoded                 bool
		}
		if err := json.Unmarshal(c.AppendProxy(nil), &out); err != nil {
			t.Fatal(err)
		}
		if utf8.Valid(path) && out.Path != string(path) {
			t.Errorf("%q", out.Path)
		}
		if utf8.ValidString(name) && utf8.Valid(value) && out.Headers[name] != string(value) {
			t.Errorf("%q", out.Headers)
		}
		if out.IsBase64Encoded {
			b, err := base64.StdEncoding.DecodeString(out.Body)
			out.Body = string(b)
			if err != nil {
				t.Fatal(err)
			}
		}
		if out.Body != string(body) {
			t.Errorf("%q is not %q", out.Body, body)
		}
		if q, err := url.ParseQuery(string(query)); err == nil && utf8.Valid(query) && !strings.Contains(string(query), ";") {
			valid := true
			for k, vs := range q {
				valid = valid && utf8.ValidString(k) && utf8.ValidString(strings.Join(vs, ""))
			}
			if valid && len(q) > 0 && !reflect.DeepEqual(map[string][]string(q), out.MultiValueQueryStringParameters) {
				t.Errorf("%q is not %q", out.MultiValueQueryStringParameters, q)
			}
		}
	})
}

func BenchmarkProxyEvent(b *testing.B) {
	c := sample()
	c.Header = fields("Host", "abc.execute-api.eu-west-1.example.com", "User-Agent", "Mozilla/5.0 (X11; Linux x86_64)", "Accept", "application/json", "Accept-Encoding", "gzip, deflate, br",
		"Accept-Language", "en-GB,en;q=0.5", "Content-Type", "application/json", "Cookie", "session=0123456789abcdef0123456789abcdef", "X-Amzn-Trace-Id", "Root=1-67891233-abcdef012345678912345678",
		"X-Forwarded-For", "203.0.113.9", "X-Forwarded-Port", "443", "X-Forwarded-Proto", "https")
	c.Body = []byte(strings.Repeat(`{"id": 12345, "name": "some name"},`, 30))
	buf := make([]byte, 0, 16<<10)
	b.ReportAllocs()
	for b.Loop() {
		buf = c.AppendProxy(buf[:0])
	}
	b.SetBytes(int64(len(buf)))
}
