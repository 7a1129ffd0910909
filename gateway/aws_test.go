package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	neturl "net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"tollgate/awsapi/sigv4"
	"tollgate/gateway/aws"
	"tollgate/model"
)

const (
	apiRole  = "arn:aws:iam::123456789012:role/api"
	wideRole = "arn:aws:iam::123456789012:role/team/wide"
)

// stored is a credential of the rig's tenant.
func stored(num uint32, name string, change ...func(*model.CredentialConfig)) model.CredentialConfig {
	c := model.CredentialConfig{Num: num, Tenant: tenantNum, Name: name, AccessKeyID: "AKIDEXAMPLE", Secret: "secret"}
	for _, f := range change {
		f(&c)
	}
	return c
}

// at is a rig whose AWS services are where text says.
func at(t testing.TB, text string, change ...func(*Options)) *rig {
	t.Helper()
	all, err := aws.ParseEndpoints(text)
	if err != nil {
		t.Fatal(err)
	}
	return newRig(t, append(change, func(o *Options) { o.Allow, o.Endpoints = nil, all })...)
}

// startProgram starts a server that is no part of this repository and waits until it takes
// connections. Where it is not on this machine the test says so and ends.
func startProgram(t testing.TB, name string, args func(port string) []string) (url string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("THIS SERVER IS NOT ON THIS MACHINE, so nothing was tried against it: %s", name)
	}
	addr := freePort(t)
	_, port, _ := net.SplitHostPort(addr)
	var log bytes.Buffer
	cmd := exec.Command(path, args(port)...)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("%s said:\n%.8000s", name, log.String())
		}
	})
	deadline := time.Now().Add(90 * time.Second)
	for {
		select {
		case <-ended:
			t.Fatalf("%s ended: %s", name, log.String())
		default:
		}
		if c, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			_ = c.Close()
			return "http://" + addr
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s did not listen", name)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// services is a server of DynamoDB, SQS and others, asked directly.
type services struct {
	testing.TB
	url string
}

// ask makes a request of the JSON protocol and reads the answer into out.
func (s services) ask(service, target, body string, out any) {
	s.Helper()
	b := s.send("POST", service, "/", body, "X-Amz-Target", target, "Content-Type", "application/x-amz-json-1.1")
	if out != nil {
		if err := json.Unmarshal([]byte(b), out); err != nil {
			s.Fatalf("%s: %v in %s", target, err, b)
		}
	}
}

// form makes a request of the query protocol.
func (s services) form(service, body string) string {
	s.Helper()
	return s.send("POST", service, "/", body, "Content-Type", "application/x-www-form-urlencoded")
}

func (s services) send(verb, service, path, body string, header ...string) string {
	s.Helper()
	req, err := http.NewRequest(verb, s.url+path, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	sigv4.SignHTTP(req, sigv4.Credentials{AccessKeyID: "AKIDEXAMPLE", Secret: "secret"}, "us-east-1", service, sigv4.HashBody([]byte(body)), time.Now())
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		s.Fatalf("%s %s: %v %d %s", verb, path, err, res.StatusCode, b)
	}
	return string(b)
}

// DynamoDB, SQS, SNS, Step Functions, EventBridge, Kinesis, Secrets Manager, Systems
// Manager and CloudWatch Logs by a server of moto, as their users integrate with them.
func TestServicesOfMoto(t *testing.T) {
	t.Parallel()
	url := startProgram(t, "moto_server", func(port string) []string { return []string{"-H", "127.0.0.1", "-p", port} })
	moto := services{t, url}
	r := at(t, "*="+url)

	var queue, all struct{ QueueUrl string }
	moto.ask("dynamodb", "DynamoDB_20120810.CreateTable", `{"TableName":"pets","AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],"BillingMode":"PAY_PER_REQUEST"}`, nil)
	moto.send("PUT", "s3", "/box", "")
	moto.ask("sqs", "AmazonSQS.CreateQueue", `{"QueueName":"work"}`, &queue)
	moto.ask("sqs", "AmazonSQS.CreateQueue", `{"QueueName":"all"}`, &all)
	moto.ask("kinesis", "Kinesis_20131202.CreateStream", `{"StreamName":"clicks","ShardCount":1}`, nil)
	moto.ask("logs", "Logs_20140328.CreateLogGroup", `{"logGroupName":"g"}`, nil)
	moto.ask("secretsmanager", "secretsmanager.CreateSecret", `{"Name":"pin","SecretString":"1234"}`, nil)
	moto.ask("ssm", "AmazonSSM.PutParameter", `{"Name":"colour","Value":"red","Type":"String"}`, nil)
	var machine struct {
		StateMachineArn string `json:"stateMachineArn"`
	}
	moto.ask("states", "AWSStepFunctions.CreateStateMachine", `{"name":"m","roleArn":"`+apiRole+`","definition":"{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Pass\",\"End\":true}}}"}`, &machine)
	moto.ask("events", "AWSEvents.PutRule", `{"Name":"r","EventPattern":"{\"source\":[\"shop\"]}"}`, nil)
	moto.ask("events", "AWSEvents.PutTargets", `{"Rule":"r","Targets":[{"Id":"1","Arn":"arn:aws:sqs:us-east-1:123456789012:all"}]}`, nil)

	integration := func(uri, rest string) string {
		return `{"type": "AWS", "httpMethod": "POST", "credentials": "` + apiRole + `", "uri": "arn:aws:apigateway:us-east-1:` + uri + `"` + rest + `}`
	}
	const asIs = `"integrationResponses": {"default": {"statusCode": "200"}, "400": {"statusCode": "422", "selectionPattern": "4\\d\\d", "responseTemplates": {"application/json": "{\"is\": \"$input.path('$.__type')\"}"}}}`
	r.p.tell(t, model.Changes{})
	r.integrate(map[string]string{"table": "pets", "role": "api"}, map[string]string{
		"PUT /pets/{id}": integration("dynamodb:action/PutItem", `, "requestTemplates": {"application/json": "{\"TableName\": \"$stageVariables.table\", \"Item\": {\"id\": {\"S\": \"$input.params('id')\"}, \"name\": {\"S\": $input.json('$.name')}}}"}, `+asIs),
		"GET /pets/{id}": `{"type": "AWS", "httpMethod": "POST", "credentials": "arn:aws:iam::123456789012:role/${stageVariables.role}", "uri": "arn:aws:apigateway:us-east-1:dynamodb:action/GetItem",
			"requestTemplates": {"application/json": "{\"TableName\": \"pets\", \"Key\": {\"id\": {\"S\": \"$input.params('id')\"}}}"},
			"integrationResponses": {"default": {"statusCode": "200", "responseParameters": {"method.response.header.X-Service-Id": "integration.response.header.x-amzn-RequestId"},
				"responseTemplates": {"application/json": "#set($item = $input.path('$.Item')){\"name\": \"$util.escapeJavaScript($item.name.S)\", \"asked\": \"$context.awsEndpointRequestId\"}"}}}}`,
		"GET /nowhere": integration("dynamodb:action/GetItem", `, "requestTemplates": {"application/json": "{\"TableName\": \"gone\", \"Key\": {\"id\": {\"S\": \"1\"}}}"}, `+asIs),
		// SQS in the four ways that are in use.
		"POST /sqs/query": integration("sqs:action/SendMessage", `, "requestParameters": {"integration.request.querystring.QueueUrl": "'`+queue.QueueUrl+`'", "integration.request.querystring.MessageBody": "method.request.body"}, `+asIs),
		"POST /sqs/form":  integration("sqs:path/123456789012/work", `, "requestParameters": {"integration.request.header.Content-Type": "'application/x-www-form-urlencoded'"}, "requestTemplates": {"application/json": "Action=SendMessage&MessageBody=$util.urlEncode($input.body)"}, `+asIs),
		"POST /sqs/json":  integration("sqs:action/SendMessage", `, "requestTemplates": {"application/json": "{\"QueueUrl\": \"`+queue.QueueUrl+`\", \"MessageBody\": \"$util.escapeJavaScript($input.body)\"}"}, `+asIs),
		"POST /sqs/mixed": integration("sqs:action/SendMessage&QueueUrl={queue}", `, "requestParameters": {"integration.request.header.Content-Type": "'application/x-www-form-urlencoded'", "integration.request.path.queue": "'`+queue.QueueUrl+`'"}, "requestTemplates": {"application/json": "Action=SendMessage&MessageBody=$util.urlEncode($input.body)"}, `+asIs),
		"POST /sns":       integration("sns:action/CreateTopic", `, "requestParameters": {"integration.request.querystring.Name": "method.request.querystring.name"}, `+asIs),
		"GET /topics":     `{"type": "AWS", "httpMethod": "GET", "credentials": "` + apiRole + `", "uri": "arn:aws:apigateway:us-east-1:sns:action/ListTopics", ` + asIs + `}`,
		"POST /start":     integration("states:action/StartExecution", `, "requestTemplates": {"application/json": "{\"stateMachineArn\": \"`+machine.StateMachineArn+`\", \"input\": \"$util.escapeJavaScript($input.body)\"}"}, `+asIs),
		"POST /events":    integration("events:action/PutEvents", `, "requestParameters": {"integration.request.header.X-Amz-Target": "'AWSEvents.PutEvents'", "integration.request.header.Content-Type": "'application/x-amz-json-1.1'"}, "requestTemplates": {"application/json": "{\"Entries\": [{\"Source\": \"shop\", \"DetailType\": \"sale\", \"Detail\": \"$util.escapeJavaScript($input.body)\"}]}"}, `+asIs),
		"POST /clicks":    integration("kinesis:action/PutRecord", `, "requestTemplates": {"application/json": "{\"StreamName\": \"clicks\", \"PartitionKey\": \"1\", \"Data\": \"$util.base64Encode($input.body)\"}"}, `+asIs),
		"POST /groups":    integration("logs:action/DescribeLogGroups", `, `+asIs),
		"POST /secret":    integration("secretsmanager:action/GetSecretValue", `, "requestTemplates": {"application/json": "{\"SecretId\": \"pin\"}"}, `+asIs),
		"PUT /o/{key+}":   `{"type": "AWS", "httpMethod": "PUT", "credentials": "` + apiRole + `", "uri": "arn:aws:apigateway:us-east-1:s3:path/box/{key}", "requestParameters": {"integration.request.path.key": "method.request.path.key"}, ` + asIs + `}`,
		"GET /o":          `{"type": "AWS", "httpMethod": "GET", "credentials": "` + apiRole + `", "uri": "arn:aws:apigateway:us-east-1:s3:path/box/{key}", "requestParameters": {"integration.request.path.key": "method.request.querystring.k"}, ` + asIs + `}`,
		"POST /parameter": integration("ssm:action/GetParameter", `, "requestTemplates": {"application/json": "{\"Name\": \"colour\"}"}, `+asIs),
	})
	r.p.tell(t, model.Changes{Credentials: []model.CredentialConfig{stored(1, apiRole)}})

	for _, c := range []struct{ verb, path, body, has string }{
		{"PUT", "/pets/1", `{"name": "Ada \"x\""}`, "{}"},
		{"PUT", "/o/dir/a%20b%26%C3%BC+~%252F", "an object", ""}, {"GET", "/o?k=dir/a%20b%26%C3%BC%2B~%252F", "", "an object"},
		{"POST", "/sqs/query", `{"m": "a&b=c ü"}`, "MessageId"}, {"POST", "/sqs/form", "form", "MessageId"}, {"POST", "/sqs/json", "js\"on", "MessageId"}, {"POST", "/sqs/mixed", "mixed", "MessageId"},
		{"POST", "/sns?name=news", "", "arn:aws:sns:us-east-1:123456789012:news"}, {"GET", "/topics", "", ":news"},
		{"POST", "/start", `{"a": 1}`, "executionArn"}, {"POST", "/events", `{"sale": 7}`, `"FailedEntryCount": 0`}, {"POST", "/clicks", "click", "SequenceNumber"},
		{"POST", "/groups", "{}", `"logGroupName": "g"`}, {"POST", "/secret", "", `"SecretString": "1234"`}, {"POST", "/parameter", "", `"Value": "red"`},
	} {
		if status, h, body := r.send(c.verb, c.path, c.body); status != 200 || !strings.Contains(body, c.has) || !strings.HasPrefix(h.Get("X-Amzn-Trace-Id"), "Root=1-") {
			t.Errorf("%s %s: %d %s %v", c.verb, c.path, status, body, h)
		}
	}
	status, h, body := r.send("GET", "/pets/1", "")
	var got struct{ Name, Asked string }
	if err := json.Unmarshal([]byte(body), &got); err != nil || status != 200 || got.Name != `Ada "x"` || got.Asked == "" || h.Get("X-Service-Id") != got.Asked {
		t.Errorf("%d %s %v %v", status, body, h, err)
	}
	if status, _, body := r.send("GET", "/nowhere", ""); status != 422 || !strings.Contains(body, "ResourceNotFoundException") {
		t.Errorf("%d %s", status, body)
	}
	if status, _, body := r.send("GET", "/o?k=x/../../other/x", ""); status != 400 {
		t.Errorf("a key led out of its bucket: %d %s", status, body)
	}
	// What arrived is what was sent.
	if list := moto.send("GET", "s3", "/box?list-type=2", ""); !strings.Contains(list, "<Key>dir/a b&amp;ü+~%2F</Key>") {
		t.Errorf("the bucket has %s", list)
	}
	var item struct {
		Item struct{ Name, ID struct{ S string } }
	}
	moto.ask("dynamodb", "DynamoDB_20120810.GetItem", `{"TableName":"pets","Key":{"id":{"S":"1"}}}`, &item)
	if item.Item.Name.S != `Ada "x"` {
		t.Errorf("%+v", item)
	}
	read := func(queue string) string {
		var out struct{ Messages []struct{ Body string } }
		moto.ask("sqs", "AmazonSQS.ReceiveMessage", `{"QueueUrl":"`+queue+`","MaxNumberOfMessages":10}`, &out)
		return fmt.Sprint(out.Messages)
	}
	if got := read(queue.QueueUrl); got != `[{{"m": "a&b=c ü"}} {form} {js"on} {mixed}]` {
		t.Errorf("the queue has %s", got)
	}
	if got := read(all.QueueUrl); !strings.Contains(got, `"sale"`) {
		t.Errorf("the bus delivered %s", got)
	}
}

// Signatures as moto verifies them, with its users' keys and policies, for JSON, query
// and S3's requests.
func TestSignaturesAreVerified(t *testing.T) {
	t.Parallel()
	url := startProgram(t, "moto_server", func(port string) []string { return []string{"-H", "127.0.0.1", "-p", port} })
	moto := services{t, url}
	moto.form("iam", "Action=CreateUser&UserName=gateway")
	key := moto.form("iam", "Action=CreateAccessKey&UserName=gateway")
	id, secret := between(key, "<AccessKeyId>", "<"), between(key, "<SecretAccessKey>", "<")
	moto.form("iam", "Action=PutUserPolicy&UserName=gateway&PolicyName=p&PolicyDocument="+neturl.QueryEscape(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*", "sqs:*", "dynamodb:*"], "Resource": "*"}]}`))
	moto.ask("dynamodb", "DynamoDB_20120810.CreateTable", `{"TableName":"pets","AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],"BillingMode":"PAY_PER_REQUEST"}`, nil)
	moto.ask("sqs", "AmazonSQS.CreateQueue", `{"QueueName":"work"}`, nil)
	for _, path := range []string{"/box", "/moto-api/reset-auth"} { // from here on everybody must sign
		if path == "/box" {
			moto.send("PUT", "s3", path, "")
		} else {
			moto.send("POST", "s3", path, "0")
		}
	}
	r := at(t, "*="+url)
	const answers = `"integrationResponses": {"default": {"statusCode": "200", "responseParameters": {"method.response.header.Content-Type": "integration.response.header.Content-Type", "method.response.header.ETag": "integration.response.header.ETag"}},
		"denied": {"statusCode": "403", "selectionPattern": "40[03]"}, "gone": {"statusCode": "404", "selectionPattern": "404"}}}`
	object := func(verb, uri, rest string) string {
		return `{"type": "AWS", "httpMethod": "` + verb + `", "credentials": "` + apiRole + `", "uri": "arn:aws:apigateway:us-east-1:` + uri + `", "requestParameters": {"integration.request.path.key": "method.request.path.key"` + rest + `}, ` + answers
	}
	item := func(role string) string {
		return `{"type": "AWS", "httpMethod": "POST", "credentials": "` + role + `", "uri": "arn:aws:apigateway:us-east-1:dynamodb:action/GetItem", "requestTemplates": {"application/json": "{\"TableName\": \"pets\", \"Key\": {\"id\": {\"S\": \"1\"}}}"}, ` + answers
	}
	r.p.tell(t, model.Changes{})
	r.integrate(nil, map[string]string{
		"PUT /o/{key+}":    object("PUT", "s3:path/box/{key}", `, "integration.request.header.Content-Type": "method.request.header.Content-Type", "integration.request.header.x-amz-meta-by": "context.accountId"`),
		"GET /o/{key+}":    object("GET", "s3:path/box/{key}", ""),
		"DELETE /o/{key+}": object("DELETE", "s3:path/box/{key}", ""),
		"GET /a/{key}":     object("POST", "s3:action/GetObject&Bucket=box&Key=dir/{key}", ""),
		"GET /h/{key}":     object("GET", "box.s3:path/dir/{key}", ""),
		"GET /list":        `{"type": "AWS", "httpMethod": "GET", "credentials": "` + apiRole + `", "uri": "arn:aws:apigateway:us-east-1:s3:path/box?list-type=2", "requestParameters": {"integration.request.querystring.prefix": "method.request.querystring.p"}, ` + answers,
		"GET /wrong/{key}": strings.ReplaceAll(object("GET", "s3:path/box/{key}", ""), apiRole, wideRole),
		"GET /item":        item(apiRole), "GET /wrongitem": item(wideRole),
		"POST /queue": `{"type": "AWS", "httpMethod": "POST", "credentials": "` + apiRole + `", "uri": "arn:aws:apigateway:us-east-1:sqs:action/SendMessage", "requestParameters": {"integration.request.querystring.QueueUrl": "'` + url + `/123456789012/work'", "integration.request.querystring.MessageBody": "method.request.body"}, ` + answers,
	})
	as := func(id, secret string) func(*model.CredentialConfig) {
		return func(c *model.CredentialConfig) { c.AccessKeyID, c.Secret = id, secret }
	}
	r.p.tell(t, model.Changes{Credentials: []model.CredentialConfig{stored(1, apiRole, as(id, secret)), stored(2, wideRole, as(id, "wrong"))}})
	const name = "dir/a~b" // escapes in paths, and blanks in forms, moto decodes before it verifies
	if status, h, body := r.send("PUT", "/o/"+name, "héllo", "Content-Type", "text/x-mine"); status != 200 || h.Get("ETag") == "" {
		t.Errorf("%d %s %v", status, body, h)
	}
	for path, want := range map[string]string{
		"/o/" + name: "héllo", "/a/a~b": "héllo", "/h/a~b": "héllo", "/list?p=dir": "<Key>dir/a~b</Key>", "/list?p=none": "<KeyCount>0</KeyCount>", "/item": "{}",
	} {
		if status, _, body := r.send("GET", path, ""); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, _, body := r.send("POST", "/queue", "hello"); status != 200 || !strings.Contains(body, "MessageId") {
		t.Errorf("%d %s", status, body)
	}
	for _, path := range []string{"/wrong/x", "/wrongitem"} {
		if status, _, body := r.send("GET", path, ""); status != 403 || !strings.Contains(body, "SignatureDoesNotMatch") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, _, body := r.send("GET", "/o/none", ""); status != 404 || !strings.Contains(body, "NoSuchKey") {
		t.Errorf("%d %s", status, body)
	}
	if status, _, _ := r.send("DELETE", "/o/"+name, ""); status != 200 {
		t.Error(status)
	}
	if status, _, _ := r.send("GET", "/o/"+name, ""); status != 404 {
		t.Error(status)
	}
	// What is stored anew holds from the next call on, and what is deleted too.
	r.p.tell(t, model.Changes{Credentials: []model.CredentialConfig{stored(2, wideRole, as(id, secret))}})
	if status, _, _ := r.send("GET", "/wrong/x", ""); status != 404 {
		t.Error(status)
	}
	r.p.tell(t, model.Changes{Credentials: []model.CredentialConfig{{Num: 2, Tenant: tenantNum, Deleted: true}}})
	if status, _, body := r.send("GET", "/wrong/x", ""); status != 500 || body != `{"message":"Internal server error"}` {
		t.Errorf("%d %s", status, body)
	}
}

func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}
