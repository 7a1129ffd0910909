package aws

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tollgate/awsapi/sigv4"
)

func TestParseRefuses(t *testing.T) {
	for uri, why := range map[string]string{
		"":                                                                     "it is not arn:aws",
		"https://example.com/":                                                 "it is not arn:aws",
		"arn:aws:lambda:us-east-1:1:x":                                         "it is not arn:aws",
		"arn:aws:apigateway:us-east-1:sqs":                                     "it is not arn:aws",
		"arn:aws:apigateway::sqs:path/":                                        "names no region",
		"arn:mars:apigateway:x:sqs:path/":                                      "partition",
		"arn:aws:apigateway:us-east-1::path/x":                                 "is no service",
		"arn:aws:apigateway:us-east-1:a..b:path/x":                             "is no service",
		"arn:aws:apigateway:us-east-1:a/b:path/x":                              "is no service",
		"arn:aws:apigateway:us-east-1:sqs:sheep/x":                             "AWS ARN for integration must contain path or action",
		"arn:aws:apigateway:us-east-1:sqs:path":                                "AWS ARN for integration must contain path or action",
		"arn:aws:apigateway:us-east-1:sqs:action/":                             "is no action",
		"arn:aws:apigateway:us-east-1:sqs:action/Send-It":                      "is no action",
		"arn:aws:apigateway:us-east-1:lambda:action/Invoke":                    "no actions that can be asked for by name",
		"arn:aws:apigateway:us-east-1:s3:action/GetObject":                     "needs &Bucket",
		"arn:aws:apigateway:us-east-1:s3:action/GetObject&Bucket=b":            "needs &Key",
		"arn:aws:apigateway:us-east-1:s3:action/PutBucketAcl&Bucket=b":         "not known by name",
		"arn:aws:apigateway:us-east-1:s3:path/{a":                              "open brace",
		"arn:aws:apigateway:us-east-1:s3:path/a}":                              "closing brace",
		"arn:aws:apigateway:us-east-1:s3:path/{}":                              "is no variable",
		"arn:aws:apigateway:us-east-1:s3:path/a/../b":                          "dot segment",
		"arn:aws:apigateway:us-east-1:s3:path/a#b":                             "fragment",
		"arn:aws:apigateway:us-east-1:s3:path/a b":                             "no URI has",
		"arn:aws:apigateway:us-east-1:s3:path/${context.x}":                    "${…}",
		"arn:aws:apigateway:us-east-1:sqs:action/X&=1":                         "is no parameter",
		"arn:aws:apigateway:us-east-1:sqs:path/" + strings.Repeat("x", maxURI): "bytes",
	} {
		if _, err := Parse(uri); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%.80s: %v, want %q", uri, err, why)
		}
	}
}

// want is a request as it leaves, without the headers that are not looked at.
type want struct {
	host, line, body string
	headers          map[string]string
	scope            string // region/service that it is signed for
}

func TestRequests(t *testing.T) {
	named, err := ParseEndpoints("sqs=http://127.0.0.1:9324/base/, abc.appsync-api=https://graph.internal, *=http://[::1]:5000")
	if err != nil {
		t.Fatal(err)
	}
	named2, _ := ParseEndpoints("s3=http://127.0.0.1:9000")
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	for name, c := range map[string]struct {
		uri    string
		at     Endpoints
		mapped Mapped
		want   want
	}{
		"json action": {"arn:aws:apigateway:us-east-1:dynamodb:action/PutItem", nil, Mapped{Verb: "POST", ContentType: "application/json", Body: `{"a":1}`},
			want{"dynamodb.us-east-1.amazonaws.com", "POST /", `{"a":1}`, map[string]string{"X-Amz-Target": "DynamoDB_20120810.PutItem", "Content-Type": "application/x-amz-json-1.0"}, "us-east-1/dynamodb"}},
		"mapped headers win": {"arn:aws:apigateway:eu-west-1:events:action/PutEvents", nil,
			Mapped{Verb: "POST", Header: []Field{{Name: "x-amz-target", Value: "AWSEvents.Other"}, {Name: "content-type", Value: "application/x-amz-json-1.1; charset=utf-8"}}, Body: "{}"},
			want{"events.eu-west-1.amazonaws.com", "POST /", "{}", map[string]string{"x-amz-target": "AWSEvents.Other", "content-type": "application/x-amz-json-1.1; charset=utf-8"}, "eu-west-1/events"}},
		"query action": {"arn:aws:apigateway:us-east-1:sns:action/Publish&Subject=a%20b", nil,
			Mapped{Verb: "POST", Query: []Field{{Name: "Message", Value: "x+y z&"}}, Body: `{"ignored":1}`, ContentType: "application/json"},
			want{"sns.us-east-1.amazonaws.com", "POST /", "Action=Publish&Version=2010-03-31&Subject=a%20b&Message=x%2By%20z%26", form, "us-east-1/sns"}},
		"query action by GET": {"arn:aws:apigateway:us-east-1:sns:action/ListTopics", nil, Mapped{Verb: "GET"},
			want{"sns.us-east-1.amazonaws.com", "GET /?Action=ListTopics&Version=2010-03-31", "", nil, "us-east-1/sns"}},
		"form of the template": {"arn:aws:apigateway:us-east-1:sqs:action/SendMessage", nil, Mapped{Verb: "POST", Header: []Field{{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}}, Body: "Action=SendMessage&MessageBody=x"},
			want{"sqs.us-east-1.amazonaws.com", "POST /", "Action=SendMessage&Version=2012-11-05&MessageBody=x", form, "us-east-1/sqs"}},
		"form that asks for another action": {"arn:aws:apigateway:us-east-1:sqs:action/SendMessage", nil, Mapped{Verb: "POST", Body: "Action=PurgeQueue&QueueUrl=q&%41ction=DeleteQueue&MessageBody=x"},
			want{"sqs.us-east-1.amazonaws.com", "POST /", "Action=SendMessage&Version=2012-11-05&QueueUrl=q&MessageBody=x", form, "us-east-1/sqs"}},
		"form without its content type": {"arn:aws:apigateway:us-east-1:sqs:action/SendMessage", nil, Mapped{Verb: "POST", ContentType: "application/json", Body: "Action=SendMessage&Version=2012-11-05&MessageBody=x"},
			want{"sqs.us-east-1.amazonaws.com", "POST /", "Action=SendMessage&Version=2012-11-05&MessageBody=x", form, "us-east-1/sqs"}},
		"of both the one that is mapped": {"arn:aws:apigateway:us-east-1:sqs:action/SendMessage", named, Mapped{Verb: "POST", Body: ` {"QueueUrl":"q"}`},
			want{"127.0.0.1:9324", "POST /base/", ` {"QueueUrl":"q"}`, map[string]string{"X-Amz-Target": "AmazonSQS.SendMessage", "Content-Type": "application/x-amz-json-1.0"}, "us-east-1/sqs"}},
		"unknown query service": {"arn:aws:apigateway:us-east-1:newthing:action/Do&Version=2030-01-01", nil, Mapped{Verb: "POST"},
			want{"newthing.us-east-1.amazonaws.com", "POST /", "Action=Do&Version=2030-01-01", form, "us-east-1/newthing"}},
		"path": {"arn:aws:apigateway:us-east-1:s3:path/{bucket}/pre/{key+}?versionId=3", nil,
			Mapped{Verb: "GET", Path: map[string]string{"bucket": "b", "key": "a b/c%2F?d"}, Query: []Field{{Name: "x", Value: "ü"}}},
			want{"s3.us-east-1.amazonaws.com", "GET /b/pre/a%20b/c%252F%3Fd?versionId=3&x=%C3%BC", "", nil, "us-east-1/s3"}},
		"bucket in the host":   {"arn:aws:apigateway:us-east-1:my-b.s3:path/k", nil, Mapped{Verb: "PUT", Body: "x"}, want{"my-b.s3.us-east-1.amazonaws.com", "PUT /k", "x", nil, "us-east-1/s3"}},
		"bucket at an address": {"arn:aws:apigateway:us-east-1:my-b.s3:path/k", named2, Mapped{Verb: "GET"}, want{"127.0.0.1:9000", "GET /my-b/k", "", nil, "us-east-1/s3"}},
		"object by action":     {"arn:aws:apigateway:us-west-2:s3:action/PutObject&Bucket={bucket}&Key=a/{key}", nil, Mapped{Verb: "POST", Path: map[string]string{"bucket": "b", "key": "k"}}, want{"s3.us-west-2.amazonaws.com", "PUT /b/a/k", "", nil, "us-west-2/s3"}},
		"list by action":       {"arn:aws:apigateway:us-west-2:s3:action/ListObjectsV2&Bucket=b&prefix=p", nil, Mapped{Verb: "POST"}, want{"s3.us-west-2.amazonaws.com", "GET /b?list-type=2&prefix=p", "", nil, "us-west-2/s3"}},
		"subdomain":            {"arn:aws:apigateway:us-east-1:ab12.appsync-api:path/graphql", nil, Mapped{Verb: "POST"}, want{"ab12.appsync-api.us-east-1.amazonaws.com", "POST /graphql", "", nil, "us-east-1/appsync"}},
		"subdomain of its own": {"arn:aws:apigateway:us-east-1:abc.appsync-api:path/graphql", named, Mapped{Verb: "POST"}, want{"graph.internal", "POST /graphql", "", nil, "us-east-1/appsync"}},
		"name with dots":       {"arn:aws:apigateway:us-east-1:runtime.sagemaker:path/endpoints/x/invocations", nil, Mapped{Verb: "POST"}, want{"runtime.sagemaker.us-east-1.amazonaws.com", "POST /endpoints/x/invocations", "", nil, "us-east-1/sagemaker"}},
		"things":               {"arn:aws:apigateway:us-east-1:abc-ats.iotdata:path/topics/t", nil, Mapped{Verb: "POST"}, want{"abc-ats.iot.us-east-1.amazonaws.com", "POST /topics/t", "", nil, "us-east-1/iotdata"}},
		"one endpoint of all":  {"arn:aws:apigateway:eu-west-1:iam:action/ListUsers", nil, Mapped{Verb: "GET"}, want{"iam.amazonaws.com", "GET /?Action=ListUsers&Version=2010-05-08", "", nil, "us-east-1/iam"}},
		"China":                {"arn:aws-cn:apigateway:cn-north-1:kinesis:action/PutRecord", nil, Mapped{Verb: "POST", Body: "{}"}, want{"kinesis.cn-north-1.amazonaws.com.cn", "POST /", "{}", map[string]string{"X-Amz-Target": "Kinesis_20131202.PutRecord"}, "cn-north-1/kinesis"}},
		"all others":           {"arn:aws:apigateway:us-east-1:states:action/StartExecution", named, Mapped{Verb: "POST", Body: "{}"}, want{"[::1]:5000", "POST /", "{}", map[string]string{"X-Amz-Target": "AWSStepFunctions.StartExecution"}, "us-east-1/states"}},
		"function":             {"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:f:live/invocations", nil, Mapped{Verb: "POST", ContentType: "application/json", Body: "{}"}, want{"lambda.us-east-1.amazonaws.com", "POST /2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:f:live/invocations", "{}", map[string]string{"Content-Type": "application/json"}, "us-east-1/lambda"}},
		"what a caller signed by": {"arn:aws:apigateway:us-east-1:logs:action/PutLogEvents", nil, Mapped{Verb: "POST", Header: []Field{{Name: "authorization", Value: "AWS4 stolen"}, {Name: "X-Amz-Security-Token", Value: "old"}}, Body: "{}"},
			want{"logs.us-east-1.amazonaws.com", "POST /", "{}", map[string]string{"X-Amz-Security-Token": "tok"}, "us-east-1/logs"}},
	} {
		t.Run(name, func(t *testing.T) {
			target, err := Parse(c.uri)
			if err != nil {
				t.Fatal(err)
			}
			r, err := target.Request(c.at.Of(target), &c.mapped)
			if err != nil {
				t.Fatal(err)
			}
			now := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
			r.Sign(sigv4.Credentials{AccessKeyID: "AKID", Secret: "secret", SessionToken: "tok"}, now)
			line := r.Method + " " + r.Path
			if r.Query != "" {
				line += "?" + r.Query
			}
			if r.Endpoint.Host != c.want.host || line != c.want.line || r.Body != c.want.body {
				t.Errorf("%s %q %q", r.Endpoint.Host, line, r.Body)
			}
			for n, v := range c.want.headers {
				if !slices.Contains(r.Header, Field{Name: n, Value: v}) {
					t.Errorf("%s: %q is not in %v", n, v, r.Header)
				}
			}
			wire := string(r.Append(nil))
			if !strings.Contains(wire, "Credential=AKID/20260801/"+c.want.scope+"/aws4_request") || strings.Count(strings.ToLower(wire), "\r\nauthorization:") != 1 || strings.Count(wire, "Content-Length: ") != 1 {
				t.Errorf("signed as %s", wire)
			}
			verify(t, r, now)
			if s3 := strings.HasSuffix(c.want.scope, "/s3"); s3 != (r.get("X-Amz-Content-Sha256") != "") {
				t.Errorf("x-amz-content-sha256 %q", r.get("X-Amz-Content-Sha256"))
			}
		})
	}
}

// verify reads the signature as a service would.
func verify(t *testing.T, r *Request, now time.Time) {
	t.Helper()
	s, err := sigv4.Parse(&sigv4.Request{Method: r.Method, Path: r.Path, Query: r.Query, Host: r.Endpoint.Host, Header: r.Header})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Verify("secret", sigv4.HashBody([]byte(r.Body)), now); err != nil {
		t.Error(err)
	}
}

func TestPathsStayTheAuthors(t *testing.T) {
	target, err := Parse("arn:aws:apigateway:us-east-1:s3:path/mine/{a}{b}/{c}")
	if err != nil {
		t.Fatal(err)
	}
	if got := target.Variables(); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Error(got)
	}
	ask := func(a, b, c string) error {
		_, err := target.Request(Endpoints(nil).Of(target), &Mapped{Verb: "GET", Path: map[string]string{"a": a, "b": b, "c": c}})
		return err
	}
	for _, v := range [][3]string{{"..", "", "x"}, {".", ".", "x"}, {"x", "/..", "x"}, {"a", "b", "../../c"}, {"a", "b", "."}} {
		if err := ask(v[0], v[1], v[2]); err != ErrPath {
			t.Errorf("%q: %v", v, err)
		}
	}
	if err := ask("..a", "b..", "%2e%2e/x"); err != nil {
		t.Error(err)
	}
	if _, err := target.Request(Endpoint{}, &Mapped{Verb: "GET"}); err != ErrVariable {
		t.Error(err)
	}
}

func TestFunction(t *testing.T) {
	const fn = "arn:aws:lambda:us-east-1:123456789012:function:f"
	for path, want := range map[string]struct {
		arn    string
		stream bool
	}{
		"2015-03-31/functions/" + fn + "/invocations":                                 {fn, false},
		"2015-03-31/functions/" + strings.ReplaceAll(fn, ":", "%3A") + "/invocations": {fn, false},
		"2021-11-15/functions/" + fn + "/response-streaming-invocations":              {fn, true},
		"2015-03-31/functions/" + fn:                                                  {},
		"2015-03-31/functions/{f}/invocations":                                        {},
	} {
		target, err := Parse("arn:aws:apigateway:us-east-1:lambda:path/" + path)
		if err != nil {
			t.Fatal(err)
		}
		if arn, stream := target.Function(); arn != want.arn || stream != want.stream {
			t.Errorf("%s: %q %v", path, arn, stream)
		}
	}
}

func TestEndpointsRefuse(t *testing.T) {
	for text, why := range map[string]string{
		"x": "is not a service", "=http://x": "is not a service", "a b=http://x": "is not a service", "x=ftp://y": "is not an address", "x=http://": "is not an address",
		"x=http://u:p@y": "is not an address", "x=http://y?q": "is not an address", "x=http://y:0": "no port", "x=http://y,x=http://z": "named twice",
	} {
		if _, err := ParseEndpoints(text); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", text, err)
		}
	}
	all, err := ParseEndpoints("")
	if err != nil || len(all) != 0 {
		t.Error(all, err)
	}
	all, _ = ParseEndpoints("b=http://y,a=http://x:1,c=https://x")
	if got := all.Addresses(); !slices.Equal(got, []string{"x:1", "x:443", "y:80"}) {
		t.Error(got)
	}
}

// FuzzParse: what is parsed makes one well-formed request under the author's path,
// whatever a caller's values are.
func FuzzParse(f *testing.F) {
	for _, uri := range []string{"arn:aws:apigateway:us-east-1:dynamodb:action/PutItem", "arn:aws:apigateway:us-east-1:b.s3:path/{a}/x{b+}?c={d}",
		"arn:aws:apigateway:us-east-1:s3:action/GetObject&Bucket={a}&Key={b}", "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/f/invocations", "arn:aws:apigateway:x:sns:action/A&b=%20"} {
		f.Add(uri, "v/w", "Action=x", "{}")
	}
	f.Fuzz(func(t *testing.T, uri, value, body, query string) {
		target, err := Parse(uri)
		if err != nil {
			return
		}
		m := Mapped{Verb: "POST", Path: map[string]string{}, Query: []Field{{Name: query, Value: value}}, Body: body}
		for _, v := range target.Variables() {
			m.Path[v] = value
		}
		r, err := target.Request(Endpoints(nil).Of(target), &m)
		if err != nil {
			if err != ErrPath {
				t.Fatal(err)
			}
			return
		}
		now := time.Unix(1700000000, 0)
		r.Sign(sigv4.Credentials{AccessKeyID: "A", Secret: "secret"}, now)
		head, _, _ := strings.Cut(string(r.Append(nil)), "\r\n")
		if !strings.HasPrefix(r.Path, "/") || strings.Count(head, " ") != 2 || strings.ContainsAny(head, "\r\n#") || !strings.HasSuffix(head, " HTTP/1.1") {
			t.Fatalf("%q", head)
		}
		verify(t, r, now)
	})
}

func BenchmarkRequest(b *testing.B) {
	target, _ := Parse("arn:aws:apigateway:us-east-1:dynamodb:action/PutItem")
	e := Endpoints(nil).Of(target)
	body := `{"TableName":"t","Item":{"id":{"S":"` + strings.Repeat("x", 1000) + `"}}}`
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		r, err := target.Request(e, &Mapped{Verb: "POST", Body: body})
		if err != nil {
			b.Fatal(err)
		}
		r.Sign(sigv4.Credentials{AccessKeyID: "AKID", Secret: "secret"}, now)
		_ = r.Append(nil)
	}
}
