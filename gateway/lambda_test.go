package gateway

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/awsapi/sigv4"
	"tollgate/gateway/aws"
	"tollgate/model"
)

// functions is what of Lambda a gateway needs: a function's process behind Invoke. It
// speaks the Runtime API to the process, which is on Amazon's own client.
type functions struct {
	t       testing.TB
	url     string
	secret  atomic.Value // that requests must be signed with; "": none
	calls   sync.Map
	queue   chan *invocation
	answers sync.Map // invocations by id
	n       atomic.Int64
	status  atomic.Int64 // that Invoke answers with, in place of asking; 0: none
	began   chan struct{}
}

// invocation is one that the process works on.
type invocation struct {
	id, name string
	event    []byte
	done     chan struct{}
	gone     <-chan struct{} // closed once nobody waits
	stream   chan []byte
	payload  []byte
	failed   bool
	async    bool // nobody waits for the answer
}

var buildFunction = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "function")
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "function")
	cmd := exec.Command("go", "build", "-o", program, ".")
	cmd.Dir = "lambda/function"
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return program, nil
})

func newFunctions(t testing.TB) *functions {
	t.Helper()
	program, err := buildFunction()
	if err != nil {
		t.Fatal(err)
	}
	f := &functions{t: t, queue: make(chan *invocation, 100), began: make(chan struct{}, 100)}
	invoke := httptest.NewServer(http.HandlerFunc(f.invoke))
	runtime := httptest.NewServer(http.HandlerFunc(f.runtime))
	f.url = invoke.URL
	for range 3 { // concurrency
		cmd := exec.CommandContext(t.Context(), program)
		cmd.Env = append(os.Environ(), "AWS_LAMBDA_RUNTIME_API="+strings.TrimPrefix(runtime.URL, "http://"))
		cmd.Stderr = io.Discard
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	}
	t.Cleanup(func() {
		invoke.CloseClientConnections()
		invoke.Close()
		runtime.CloseClientConnections()
		runtime.Close()
	})
	return f
}

// asked is how often a function was.
func (f *functions) asked(name string) int64 {
	n, _ := f.calls.LoadOrStore(name, &atomic.Int64{})
	return n.(*atomic.Int64).Load()
}

func (f *functions) invoke(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if secret, _ := f.secret.Load().(string); secret != "" {
		s, err := sigv4.ParseHTTP(r)
		if err == nil {
			err = s.Verify(secret, sigv4.HashBody(body), time.Now())
		}
		if err != nil {
			w.WriteHeader(http.StatusForbidden)
			_ = json.NewEncoder(w).Encode(map[string]string{"Message": err.Error()})
			return
		}
	}
	_, rest, _ := strings.Cut(r.URL.Path, "/functions/")
	arn, what, _ := strings.Cut(rest, "/")
	in := &invocation{id: fmt.Sprint("id-", f.n.Add(1)), name: arn, event: body, done: make(chan struct{}), gone: r.Context().Done(), stream: make(chan []byte), async: r.Header.Get("X-Amz-Invocation-Type") == "Event"}
	n, _ := f.calls.LoadOrStore(strings.Split(arn+":::::::", ":")[6], &atomic.Int64{})
	n.(*atomic.Int64).Add(1)
	w.Header().Set("X-Amzn-Requestid", in.id)
	f.began <- struct{}{}
	if s := f.status.Load(); s != 0 {
		w.WriteHeader(int(s))
		fmt.Fprint(w, `{"Message": "no"}`)
		return
	}
	f.answers.Store(in.id, in)
	f.queue <- in
	if in.async {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	if what == "response-streaming-invocations" {
		f.streams(w, r, in)
		return
	}
	for {
		select {
		case p := <-in.stream:
			in.payload = append(in.payload, p...)
			continue
		case <-in.done:
		case <-r.Context().Done():
			return
		}
		break
	}
	if in.failed {
		w.Header().Set("X-Amz-Function-Error", "Unhandled")
	}
	_, _ = w.Write(in.payload)
}

// streams frames a function's output in messages of the event stream encoding.
func (f *functions) streams(w http.ResponseWriter, r *http.Request, in *invocation) {
	w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
	send := func(kind string, payload []byte) {
		_, _ = w.Write(eventMessage(kind, payload))
		_ = http.NewResponseController(w).Flush()
	}
	for {
		select {
		case p := <-in.stream:
			send("PayloadChunk", p)
			continue
		case <-in.done:
			end := `{"ErrorCode": null, "ErrorDetails": null, "LogResult": null}`
			if in.failed {
				end = `{"ErrorCode": "Unhandled", "ErrorDetails": "x", "LogResult": null}`
			}
			send("InvokeComplete", []byte(end))
		case <-r.Context().Done():
		}
		return
	}
}

func eventMessage(kind string, payload []byte) []byte {
	var h []byte
	for _, p := range [][2]string{{":message-type", "event"}, {":event-type", kind}} {
		h = append(append(h, byte(len(p[0]))), p[0]...)
		h = append(binary.BigEndian.AppendUint16(append(h, 7), uint16(len(p[1]))), p[1]...)
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(16+len(h)+len(payload)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(h)))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	b = append(append(b, h...), payload...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

// runtime is the Runtime API.
func (f *functions) runtime(w http.ResponseWriter, r *http.Request) {
	rest := strings.TrimPrefix(r.URL.Path, "/2018-06-01/runtime/invocation/")
	if rest == "next" {
		select {
		case in := <-f.queue:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", in.id)
			w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(2*time.Second).UnixMilli()))
			w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", in.name)
			_, _ = w.Write(in.event)
		case <-r.Context().Done():
		}
		return
	}
	id, what, _ := strings.Cut(rest, "/")
	v, ok := f.answers.LoadAndDelete(id)
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	in := v.(*invocation)
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Body.Read(buf)
		if n > 0 && !in.async {
			select {
			case in.stream <- bytes.Clone(buf[:n]):
			case <-in.gone:
			}
		}
		if err != nil {
			break
		}
	}
	in.failed = what == "error" || r.Trailer.Get("Lambda-Runtime-Function-Error-Type") != ""
	close(in.done)
	w.WriteHeader(http.StatusAccepted)
}

// lambdaRig is a rig whose Lambda is f.
func lambdaRig(t testing.TB, f *functions, change ...func(*Options)) *rig {
	t.Helper()
	at, err := aws.ParseEndpoints("lambda=" + f.url + ",firehose=" + f.url)
	if err != nil {
		t.Fatal(err)
	}
	return newRig(t, append(change, func(o *Options) { o.Endpoints = at })...)
}

func functionURI(name string) string {
	return "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-west-1:123456789012:function:" + name + "/invocations"
}

func lambdaProxy(name string, more ...string) string {
	return `{"type": "AWS_PROXY", "httpMethod": "POST", "uri": "` + functionURI(name) + `"` + strings.Join(more, "") + `}`
}

// streamProxy is lambdaProxy for an answer that streams.
func streamProxy(name string) string {
	return strings.NewReplacer("2015-03-31", "2021-11-15", "/invocations", "/response-streaming-invocations").Replace(lambdaProxy(name, `, "responseTransferMode": "STREAM"`))
}

// A function gets the proxy event, and its answer is the caller's.
func TestLambdaProxy(t *testing.T) {
	f := newFunctions(t)
	r := lambdaRig(t, f)
	r.integrate(map[string]string{"fn": "echo", "color": "blue"}, map[string]string{
		"ANY /pets/{proxy+}": lambdaProxy("${stageVariables.fn}"), "GET /": lambdaProxy("echo:live"), "GET /fails": lambdaProxy("fails"), "POST /raw": lambdaProxy("raw"),
		"GET /gone": lambdaProxy("${stageVariables.gone}"), "GET /slow": lambdaProxy("hangs", `, "timeoutInMillis": 100`),
		"GET /verb":   strings.Replace(lambdaProxy("echo"), "POST", "GET", 1),
		"POST /event": lambdaProxy("echo", `, "requestParameters": {"integration.request.header.X-Amz-Invocation-Type": "'Event'"}`),
		"POST /maybe": lambdaProxy("echo", `, "requestParameters": {"integration.request.header.X-Amz-Invocation-Type": "method.request.header.InvocationType", "integration.request.header.X-Added": "'more'"}`),
	})
	status, h, body := r.send("PUT", "/pets/a%20b/c/?q=x&q=y%2Bz", "hi", "User-Agent", "test", "X-Two", "2", "Connection", "close")
	var e struct {
		Resource, Path, HTTPMethod      string
		Headers                         map[string]string
		MultiValueHeaders               map[string][]string
		QueryStringParameters           map[string]string
		MultiValueQueryStringParameters map[string][]string
		PathParameters, StageVariables  map[string]string
		Body                            *string
		IsBase64Encoded                 bool
		RequestContext                  map[string]any
	}
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		t.Fatalf("%v: %d %s", err, status, body)
	}
	if status != 201 || h.Get("X-Verb") != "PUT" || len(h["Set-Cookie"]) != 2 || h.Get("Content-Type") != "application/json" || h.Get("X-Amzn-Trace-Id") == "" {
		t.Errorf("%d %v", status, h)
	}
	if e.Resource != "/pets/{proxy+}" || e.Path != "/pets/a%20b/c/" || e.HTTPMethod != "PUT" || e.PathParameters["proxy"] != "a b/c" || e.QueryStringParameters["q"] != "y+z" ||
		len(e.MultiValueQueryStringParameters["q"]) != 2 || e.StageVariables["color"] != "blue" || e.Body == nil || *e.Body != "hi" || e.IsBase64Encoded {
		t.Errorf("%s", body)
	}
	for name, want := range map[string]string{"X-Two": "2", "User-Agent": "test", "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Amzn-Trace-Id": h.Get("X-Amzn-Trace-Id"), "Connection": "", "Content-Length": "", "X-Forwarded-Port": r.base[strings.LastIndexByte(r.base, ':')+1:]} {
		if e.Headers[name] != want {
			t.Errorf("%s: %q", name, e.Headers[name])
		}
	}
	c := e.RequestContext
	if c["accountId"] != "123456789012" || c["apiId"] != "abc" || c["stage"] != "prod" || c["path"] != "/prod/pets/a%20b/c/" || c["resourcePath"] != "/pets/{proxy+}" || c["requestId"] != h.Get("X-Amzn-RequestId") || len(h.Get("x-amz-apigw-id")) != 16 || c["extendedRequestId"] != h.Get("x-amz-apigw-id") || c["deploymentId"] != "d1" || c["authorizer"] != nil {
		t.Errorf("%v", c)
	}
	for _, c := range []struct {
		verb, path, in string
		status         int
		body           string
	}{
		{"POST", "/raw", `{}`, 200, ""},
		{"POST", "/raw", `{"statusCode": "404", "body": "no"}`, 404, "no"},
		{"POST", "/raw", `{"statusCode": 200, "wrong": 1}`, 502, `{"message":"Internal server error"}`},
		{"POST", "/raw", `{"body": {"a": 1}}`, 502, `{"message":"Internal server error"}`},
		{"POST", "/raw", `{"headers": {"a": ` + strings.Repeat(`[`, 9000) + strings.Repeat(`]`, 9000) + `}}`, 502, `{"message":"Internal server error"}`},
		{"POST", "/raw", `"text"`, 502, `{"message":"Internal server error"}`},
		{"GET", "/fails", "", 502, `{"message":"Internal server error"}`},
		{"GET", "/verb", "", 500, `{"message":"Internal server error"}`},
		{"GET", "/gone", "", 500, `{"message":"Internal server error"}`},
		{"GET", "/slow", "", 504, `{"message":"Endpoint request timed out"}`},
		{"POST", "/event", "{}", 200, ""},
	} {
		status, h, body := r.send(c.verb, c.path, c.in)
		if status != c.status || body != c.body {
			t.Errorf("%s %.40s: %d %s", c.path, c.in, status, body)
		}
		if status == 502 && h.Get("x-amzn-ErrorType") != "InternalServerErrorException" {
			t.Errorf("%v", h)
		}
	}
	if status, _, body := r.send("GET", "/", ""); status != 201 || !strings.Contains(body, `"pathParameters":null`) || !strings.Contains(body, `"body":null`) {
		t.Errorf("%d %s", status, body)
	}
	if status, _, body := r.send("POST", "/maybe", "x", "InvocationType", "Event"); status != 200 || body != "" {
		t.Errorf("%d %s", status, body)
	}
	if status, _, body := r.send("POST", "/maybe", "x"); status != 201 || !strings.Contains(body, `"X-Added":"more"`) {
		t.Errorf("%d %s", status, body)
	}
	for endpoint, want := range map[int64]int{403: 500, 404: 500, 429: 500, 413: 500, 500: 502, 503: 502} {
		f.status.Store(endpoint)
		if status, _, body := r.send("GET", "/", ""); status != want || body != `{"message":"Internal server error"}` {
			t.Errorf("%d: %d %s", endpoint, status, body)
		}
	}
}

// Payloads that are no text go as base64, and come back as bytes to those who accept them.
func TestLambdaBinary(t *testing.T) {
	f := newFunctions(t)
	r := lambdaRig(t, f)
	r.define(func(d *model.Definition) { d.BinaryMediaTypes = []string{"image/png"} }, nil, map[string]string{"POST /raw": lambdaProxy("raw"), "POST /echo": lambdaProxy("echo")})
	_, _, body := r.send("POST", "/echo", "text", "Content-Type", "image/png")
	if !strings.Contains(body, `"body":"dGV4dA=="`) || !strings.Contains(body, `"isBase64Encoded":true`) {
		t.Error(body)
	}
	answer := `{"isBase64Encoded": true, "body": "iVBORw==", "headers": {"Content-Type": "image/png"}}`
	if _, _, body := r.send("POST", "/raw", answer, "Accept", "image/png"); body != "\x89PNG" {
		t.Errorf("%q", body)
	}
	if _, _, body := r.send("POST", "/raw", answer, "Accept", "text/html, image/png"); body != "iVBORw==" {
		t.Errorf("%q", body)
	}
	if status, _, _ := r.send("POST", "/raw", `{"isBase64Encoded": true, "body": "?"}`, "Accept", "image/png"); status != 500 {
		t.Errorf("%d", status)
	}
}

// Requests are signed with the account's credential, or with the one that the integration
// names.
func TestLambdaSigned(t *testing.T) {
	f := newFunctions(t)
	f.secret.Store("secret")
	r := lambdaRig(t, f)
	const role = "arn:aws:iam::123456789012:role/caller"
	r.integrate(nil, map[string]string{"GET /a": lambdaProxy("echo"), "GET /b": lambdaProxy("echo", `, "credentials": "`+role+`"`)})
	for _, path := range []string{"/a", "/b"} {
		if status, _, body := r.send("GET", path, ""); status != 500 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if n := f.asked("echo"); n != 0 {
		t.Errorf("%d calls got through", n)
	}
	key := model.CredentialConfig{Num: 1, Tenant: tenantNum, Name: model.DefaultCredential, AccessKeyID: "AKIA", Secret: "secret"}
	other := key
	other.Num, other.Name = 2, role
	r.p.tell(t, model.Changes{Credentials: []model.CredentialConfig{key, other}})
	for _, path := range []string{"/a", "/b"} {
		if status, _, body := r.send("GET", path, ""); status != 201 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	other.Regions = []string{"us-east-1"}
	r.p.tell(t, model.Changes{Credentials: []model.CredentialConfig{other}})
	if status, _, _ := r.send("GET", "/b", ""); status != 500 {
		t.Errorf("%d with a credential for another region", status)
	}
}

// Access logs name the request as Lambda knows it.
func TestLambdaRequestID(t *testing.T) {
	f := newFunctions(t)
	lines := make(chan string, 10)
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Header.Get("Content-Type") != "application/x-ndjson" {
			return
		}
		b, _ := io.ReadAll(q.Body)
		for line := range strings.Lines(string(b)) {
			lines <- strings.TrimSpace(line)
		}
	}))
	t.Cleanup(sink.Close)
	r := lambdaRig(t, f)
	st := r.defined(nil, nil, map[string]string{"GET /whole": lambdaProxy("echo"), "GET /stream": streamProxy("stream"), "GET /mock": `{"type": "MOCK", "requestTemplates": {"application/json": "{\"statusCode\": 200}"}, "integrationResponses": {"default": {"statusCode": "200"}}}`})
	st.AccessLog = &model.AccessLogSettings{DestinationARN: sink.URL + "/in", Format: "$context.requestId $context.integration.requestId $context.awsEndpointRequestId"}
	r.serve(st)
	for _, c := range [][2]string{{"/whole", "id-1 id-1"}, {"/stream", "id-2 id-2"}, {"/mock", "- -"}} {
		_, h, _ := r.send("GET", c[0], "")
		if got, want := <-lines, h.Get("x-amzn-RequestId")+" "+c[1]; got != want {
			t.Errorf("%s: %q, not %q", c[0], got, want)
		}
	}
}

// A streamed answer comes as the function sends it.
func TestLambdaStream(t *testing.T) {
	f := newFunctions(t)
	r := lambdaRig(t, f)
	r.integrate(nil, map[string]string{"GET /s": streamProxy("stream"), "GET /fails": streamProxy("fails"), "GET /plain": streamProxy("echo")})
	status, h, body := r.send("GET", "/s", "")
	if status != 207 || body != "one,two" || h.Get("Content-Type") != "text/plain" || h.Get("X-Path") != "/s" || h.Get("Set-Cookie") != "c=1" || h.Get("X-Amzn-Trace-Id") == "" || h.Get("x-amzn-RequestId") == "" {
		t.Errorf("%d %v %q", status, h, body)
	}
	if status, _, body := r.send("GET", "/s?then=much", ""); status != 207 || len(body) != 7+2000*1024 {
		t.Errorf("%d, %d bytes", status, len(body))
	}
	for _, path := range []string{"/fails", "/plain"} { // what is sent without the prelude is no answer
		if status, _, body := r.send("GET", path, ""); status != 502 || body != `{"message":"Internal server error"}` {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	res, err := r.httpc.Get(r.base + "/_aws/execute-api/abc/prod/s?then=fail")
	if err == nil {
		_, err = io.ReadAll(res.Body)
		_ = res.Body.Close()
	}
	if err == nil {
		t.Error("an answer that broke off looks whole")
	}
	res, err = r.httpc.Get(r.base + "/_aws/execute-api/abc/prod/s?then=wait")
	if err != nil {
		t.Fatal(err)
	}
	one := make([]byte, 4)
	if _, err := io.ReadFull(res.Body, one); err != nil || string(one) != "one," {
		t.Errorf("%q %v", one, err)
	}
	_ = res.Body.Close() // the function goes on in vain
	until(t, "the calls to be metered", func() bool { return r.p.metered(207) >= 3 && r.p.metered(502) == 2 })
}
