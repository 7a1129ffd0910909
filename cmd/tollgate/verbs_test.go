package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tollgate/billing/intake"
	"tollgate/control"
	"tollgate/control/changes"
	"tollgate/gateway"
	"tollgate/model"
)

const document = `openapi: 3.0.3
info: {title: Pets, version: "1"}
servers: [{url: %q}]
paths:
  /pets/{id}:
    get:
      parameters: [{name: id, in: path, required: true, schema: {type: string}}]
      responses: {"200": {description: ok}}
`

type imported struct {
	ID         string
	Operations int
}

type deployed struct {
	Deployment control.Deployment
	Receipts   []model.NodeReceipt
	InvokeURL  string
	PathURL    string
}

// From a document to a limited, keyed call, with nothing but the command line.
func TestVerbs(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "upstream saw %s", r.URL.Path)
	}))
	defer upstream.Close()
	file := filepath.Join(t.TempDir(), "pets.yaml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, document, upstream.URL), 0o600))
	docs := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(file))))
	defer docs.Close()

	env := environ(newDir(t))
	p := start(t, env, "up")
	cli(t, env, "api", "list").refusal(t, "tenant create")
	ada := cliJSON[control.TenantCredentials](t, env, "tenant", "create", "--email", "ada@example.com", "--name", "Ada")
	nodeTokens(t, env, ada.AccountID)

	// Open API: file, deploy, call.
	first := cliJSON[imported](t, env, "api", "import", file)
	if first.Operations != 1 {
		t.Errorf("imported %+v", first)
	}
	d1 := cliJSON[deployed](t, env, "api", "deploy", "Pets", "--stage", "dev")
	if len(d1.Receipts) != 1 || !d1.Receipts[0].Applied {
		t.Errorf("deploy returned before its node had applied it: %+v", d1.Receipts)
	}
	if !strings.HasPrefix(d1.PathURL, strings.Replace(p.gateway, "127.0.0.1", "localhost", 1)+"/_aws/execute-api/"+first.ID+"/dev/") {
		t.Errorf("the URL to call is %s", d1.PathURL)
	}
	call := p.gateway + "/_aws/execute-api/" + first.ID + "/dev/pets/7"
	if code, body := get(t, call); code != 200 || body != "upstream saw /pets/7" {
		t.Errorf("GET %s: %d %s", call, code, body)
	}
	clientCalls(t, env)

	// Keyed: the same API again by URL, with a plan.
	again := cliJSON[imported](t, env, "api", "import", docs.URL+"/pets.yaml", "--api", "Pets", "--require-key")
	if again.ID != first.ID {
		t.Errorf("--api made another API: %s", again.ID)
	}
	d2 := cliJSON[deployed](t, env, "api", "deploy", first.ID, "--stage", "dev", "--description", "keyed")
	if code, _ := get(t, call); code != 403 {
		t.Errorf("without a key: %d", code)
	}
	plan := cliJSON[control.Plan](t, env, "plan", "create", "--name", "gold", "--rate", "1000", "--quota", "1000000", "--period", "day", "--stage", "Pets:dev")
	if plan.Throttle == nil || plan.Throttle.Burst != 1000 || plan.Quota == nil || plan.Quota.Period != model.Day {
		t.Errorf("plan %+v", plan)
	}
	key := cliJSON[control.CreatedKey](t, env, "key", "create", "--name", "k1", "--plan", "gold")
	eventually(t, call, key.Value, 200)
	cliJSON[control.Key](t, env, "key", "disable", "k1")
	eventually(t, call, key.Value, 403)
	cliJSON[control.Key](t, env, "key", "enable", key.ID)
	eventually(t, call, key.Value, 200)
	// Calls that were let in while the node had not heard of the key's state counted: only
	// now may the quota be small.
	cliJSON[control.Plan](t, env, "plan", "update", "gold", "--quota", "3", "--period", "day")
	eventually(t, call, key.Value, 429)
	changed := cliJSON[control.Plan](t, env, "plan", "update", "gold", "--no-quota", "--burst", "9")
	if changed.Quota != nil || changed.Throttle.Rate != 1000 || changed.Throttle.Burst != 9 || len(changed.Stages) != 1 {
		t.Errorf("the plan has become %+v", changed)
	}
	eventually(t, call, key.Value, 200)

	// A price is for those who come; the others are moved to it.
	sold := cliJSON[control.Plan](t, env, "plan", "update", "gold", "--currency", "eur", "--monthly-fee", "9.90", "--included", "100",
		"--tier", "1000:0.002", "--tier", ":1.5/1000", "--published")
	if sold.Version != 1 || !sold.Published || sold.OtherPrice != 1 || sold.Price == nil || sold.Price.Currency != "EUR" ||
		sold.Price.MonthlyFee != "9.9" || sold.Price.Included != 100 || len(sold.Price.Tiers) != 2 || sold.Price.Tiers[1].Per != 1000 {
		t.Errorf("with a price %+v %+v", sold, sold.Price)
	}
	if moved := cliJSON[struct{ Moved int }](t, env, "plan", "reprice", "gold"); moved.Moved != 1 {
		t.Errorf("moved %+v", moved)
	}
	eventually(t, call, key.Value, 200)
	if kept := cliJSON[control.Plan](t, env, "plan", "update", "gold", "--monthly-fee", "8"); kept.Version != 2 || len(kept.Price.Tiers) != 2 || !kept.Published {
		t.Errorf("with another fee %+v %+v", kept, kept.Price)
	}
	if free := cliJSON[control.Plan](t, env, "plan", "update", "gold", "--no-price", "--published=false"); free.Price != nil || free.OtherPrice != 1 || free.Published {
		t.Errorf("without a price %+v", free)
	}
	// A used quota stays used when its subscription goes on at another price.
	cliJSON[control.Plan](t, env, "plan", "create", "--name", "bronze", "--quota", "2", "--stage", "Pets:dev")
	spent := cliJSON[control.CreatedKey](t, env, "key", "create", "--name", "k2", "--plan", "bronze")
	eventually(t, call, spent.Value, 200)
	eventually(t, call, spent.Value, 429)
	cliJSON[control.Plan](t, env, "plan", "update", "bronze", "--currency", "EUR", "--monthly-fee", "1")
	cliJSON[struct{ Moved int }](t, env, "plan", "reprice", "bronze")
	later := cliJSON[control.CreatedKey](t, env, "key", "create", "--name", "k3", "--plan", "gold")
	eventually(t, call, later.Value, 200) // the node has applied what came before
	for range 20 {
		if code := answer(t, call, spent.Value); code != 429 {
			t.Fatalf("after the move a used quota answers %d", code)
		}
	}
	cliJSON[any](t, env, "key", "delete", "k3")
	for flag, args := range map[string][]string{
		"--currency": {"--monthly-fee", "1"}, "--tier": {"--currency", "EUR", "--tier", "0.1"}, "last tier": {"--currency", "EUR", "--tier", "5:0.1"},
		"not an amount": {"--currency", "EUR", "--monthly-fee", "1,50"}, "not a currency": {"--currency", "euro"},
	} {
		cli(t, env, append([]string{"plan", "create", "--name", "x"}, args...)...).refusal(t, flag)
	}

	// Every call of above is in the usage, by what it was answered.
	usage := func(args ...string) map[int]int64 {
		sum := map[int]int64{}
		for _, r := range cliJSON[items[intake.Row]](t, env, append([]string{"usage", "--api", "Pets"}, args...)...).Items {
			sum[r.Status] += r.Calls
		}
		return sum
	}
	until(t, "the calls to be in the usage", func() bool {
		u := usage()
		return u[200] >= 4 && u[403] >= 2 && u[429] >= 1
	})
	if u := usage("--from", "2h", "--by", "hour", "--stage", "dev", "--key", "k1", "--path", "/pets/{id}", "--verb", "GET"); u[200] < 3 || u[429] < 1 {
		t.Errorf("usage of key k1: %v", u)
	}
	if u := usage("--to", "2h"); len(u) != 0 {
		t.Errorf("usage of before there was any: %v", u)
	}
	cli(t, env, "usage", "--from", "yesterday").refusal(t, "--from")
	cli(t, env, "usage", "--by", "minute").refusal(t, "by hour")

	// Import and move keys.
	other := cliJSON[control.Plan](t, env, "plan", "create", "--name", "silver")
	csv := filepath.Join(t.TempDir(), "keys.csv")
	must(t, os.WriteFile(csv, []byte("Name,key,description,Enabled,usageplanIds\nours,abcdef1234ghijklmnop8901234567,mine,TRUE,\""+other.ID+"\"\n"), 0o600))
	cliJSON[any](t, env, "key", "import", csv)
	cliJSON[control.Subscription](t, env, "key", "move", "ours", "--to", "gold")
	keys := cliJSON[items[control.Key]](t, env, "key", "list", "--plan", "gold").Items
	if len(keys) != 2 || !slices.ContainsFunc(keys, func(k control.Key) bool { return k.Name == "ours" && k.Description == "mine" }) {
		t.Errorf("in plan gold: %+v", keys)
	}
	eventually(t, call, "abcdef1234ghijklmnop8901234567", 200)

	// What changed for callers, between deployments and to a document.
	diff := cliJSON[items[changes.Change]](t, env, "api", "diff", "Pets", "--from", d1.Deployment.ID, "--to", "dev").Items
	if changes.Worst(diff) != changes.Error || diff[0].Rule != "api-key-required" {
		t.Errorf("from the open deployment to the keyed one: %+v", diff)
	}
	if diff := cliJSON[items[changes.Change]](t, env, "api", "diff", "Pets", "--from", "dev").Items; len(diff) != 0 {
		t.Errorf("what is deployed differs from the definition: %+v", diff)
	}
	cli(t, env, "api", "diff", "Pets", "--from", d1.Deployment.ID, "--to", "dev", "--fail-on", "error").refusal(t, "break callers")
	cli(t, env, "api", "diff", "Pets", "--from", "none").refusal(t, "no deployment")
	exported := filepath.Join(t.TempDir(), "pets.yaml")
	cliJSON[any](t, env, "api", "export", "Pets", "--stage", "dev", "--extensions", "apigateway", "--yaml", "--out", exported)
	if diff := cliJSON[items[changes.Change]](t, env, "api", "diff", "Pets", "--from", "dev", "--to", exported).Items; len(diff) != 0 {
		t.Errorf("what is exported differs: %+v", diff)
	}
	cli(t, env, "api", "export", "Pets", "--stage", "dev", "--extensions", "x").refusal(t, "Invalid extension")

	// Back to the open deployment, and away.
	back := cliJSON[deployed](t, env, "deployment", "rollback", "Pets", "--stage", "dev")
	if back.Deployment.ID != d1.Deployment.ID {
		t.Errorf("rolled back to %s; deployments were %s, %s", back.Deployment.ID, d1.Deployment.ID, d2.Deployment.ID)
	}
	if code, _ := get(t, call); code != 200 {
		t.Errorf("after the rollback, without a key: %d", code)
	}
	cli(t, env, "api", "deploy", "Pets", "--stage", "dev", "--fail-on", "error").refusal(t, "nothing was deployed")
	if l := cliJSON[items[control.Deployment]](t, env, "deployment", "list", "Pets").Items; len(l) != 2 || l[0].Description != "keyed" {
		t.Errorf("deployments: %+v", l)
	}
	cli(t, env, "api", "delete", "Pets").refusal(t, "dev")
	cliJSON[any](t, env, "key", "delete", "ours")
	cliJSON[any](t, env, "api", "delete", "Pets", "--force")
	cli(t, env, "api", "show", "Pets").refusal(t, `no API "Pets"`)

	// Stopped, a deploy has no node to wait for.
	p.end(t, syscall.SIGINT)
	second := cliJSON[imported](t, env, "api", "import", file, "--name", "Later")
	if d := cliJSON[deployed](t, env, "api", "deploy", "Later", "--stage", "dev"); len(d.Receipts) != 0 {
		t.Errorf("stopped, these nodes have answered: %+v", d.Receipts)
	}
	p = start(t, env, "up")
	if code, _ := get(t, p.gateway+"/_aws/execute-api/"+second.ID+"/dev/pets/1"); code != 200 {
		t.Errorf("what was deployed while it was stopped answers %d", code)
	}
}

// eventually calls with a key until the answer is the one wanted: a change of
// keys or plans may take a second to reach the node.
func eventually(t *testing.T, url, key string, want int) {
	t.Helper()
	until(t, fmt.Sprintf("GET %s to answer %d", url, want), func() bool { return answer(t, url, key) == want })
}

// answer is the status that a call with a key gets.
func answer(t *testing.T, url, key string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	must(t, err)
	req.Header.Set("X-Api-Key", key)
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	_ = res.Body.Close()
	return res.StatusCode
}

// until asks again and again, for as long as a machine may need that does other things:
// what must come about sooner is measured.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(2 * time.Minute); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestDownload(t *testing.T) {
	mux := http.NewServeMux()
	s := httptest.NewServer(mux)
	defer s.Close()
	mux.HandleFunc("/good", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "openapi") })
	mux.Handle("/moved", http.RedirectHandler("/good", http.StatusFound))
	mux.Handle("/loop", http.RedirectHandler("/loop", http.StatusFound))
	mux.Handle("/local", http.RedirectHandler("file:///etc/passwd", http.StatusFound))
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) {
		chunk := make([]byte, 1<<20)
		for range model.MaxDefinitionBytes>>20 + 1 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	for _, path := range []string{"/good", "/moved"} {
		b, err := readSource(t.Context(), nil, s.URL+path)
		if err != nil || string(b) != "openapi" {
			t.Errorf("%s: %q, %v", path, b, err)
		}
	}
	for path, kind := range map[string]model.Kind{"/loop": model.Unavailable, "/local": model.Unavailable, "/none": model.Unavailable, "/large": model.Limit} {
		if _, err := readSource(t.Context(), nil, s.URL+path); model.KindOf(err) != kind || !strings.Contains(err.Error(), s.URL) {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, from := range []string{"ftp://example.com/x", "file:///etc/passwd", filepath.Join(t.TempDir(), "none"), t.TempDir()} {
		if _, err := readSource(t.Context(), nil, from); model.KindOf(err) == "" {
			t.Errorf("%s: %v", from, err)
		}
	}
	if b, err := readSource(t.Context(), strings.NewReader("typed"), "-"); err != nil || string(b) != "typed" {
		t.Errorf("standard input: %q, %v", b, err)
	}
}

// A visitor who has a document fetched learns nothing of the network that the console
// is in; whoever sits at the machine sees what went wrong.
func TestDownloadHidesAddresses(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("openapi"))
		w.(http.Flusher).Flush()
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		_ = c.(*net.TCPConn).SetLinger(0) // the client's read is reset
		_ = c.Close()
	}))
	defer s.Close()
	const shut = 1 // of the system's own ports, which no test listens on
	port := s.Listener.Addr().(*net.TCPAddr).Port
	local := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for _, c := range []struct {
		allow []netip.Prefix
		port  int
		says  string
	}{
		{nil, port, "cannot be fetched: it is in a network that the operator has not opened"},
		{local, shut, "cannot be fetched: the connection is refused"},
		{local, port, "read: connection reset"},
	} {
		rt := &http.Transport{DialContext: gateway.Dialer(c.allow).DialContext}
		_, err := download(t.Context(), rt, fmt.Sprintf("http://localhost:%d/x", c.port))
		if model.KindOf(err) != model.Unavailable || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "127.0.0.1") || strings.Contains(err.Error(), "::1") {
			t.Errorf("%v instead of %q", err, c.says)
		}
	}
	if _, err := download(t.Context(), nil, fmt.Sprintf("http://localhost:%d/x", shut)); err == nil || !strings.Contains(err.Error(), "dial tcp") {
		t.Errorf("at the machine: %v", err)
	}
}

func TestPick(t *testing.T) {
	list := [][2]string{{"id1", "a"}, {"id2", "b"}, {"id3", "b"}, {"a", "id2"}}
	of := func(x [2]string) (string, string) { return x[0], x[1] }
	for ref, want := range map[string]string{"id1": "id1", "a": "a", "id2": "id2"} {
		if got, err := pick("thing", ref, list, of); err != nil || got != want {
			t.Errorf("%s: %s, %v; an id goes before a name", ref, got, err)
		}
	}
	if _, err := pick("thing", "b", list, of); model.KindOf(err) != model.Conflict || !strings.Contains(err.Error(), "id2, id3") {
		t.Errorf("two of one name: %v", err)
	}
	if _, err := pick("thing", "c", list, of); model.KindOf(err) != model.NotFound {
		t.Errorf("none: %v", err)
	}
}

// An operator caps, suspends and resumes an account, and its calls feel it.
func TestTenantSwitches(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }))
	defer upstream.Close()
	file := filepath.Join(t.TempDir(), "pets.yaml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, document, upstream.URL), 0o600))
	env := environ(newDir(t))
	p := start(t, env, "up")
	c := cliJSON[control.TenantCredentials](t, env, "tenant", "create", "--email", "ada@example.com", "--name", "Ada")
	api := cliJSON[imported](t, env, "api", "import", file)
	cliJSON[deployed](t, env, "api", "deploy", api.ID, "--stage", "dev")
	url := p.gateway + "/_aws/execute-api/" + api.ID + "/dev/pets/7"
	eventually(t, url, "", 200)
	cliJSON[any](t, env, "tenant", "suspend", c.AccountID, "--reason", "unpaid since May")
	eventually(t, url, "", 403)
	cliJSON[any](t, env, "tenant", "resume", c.AccountID)
	eventually(t, url, "", 200)
	cliJSON[any](t, env, "tenant", "caps", c.AccountID, "--rate", "0.001", "--burst", "1")
	eventually(t, url, "", 429)
	cli(t, env, "tenant", "caps", c.AccountID, "--rate", "-1").refusal(t, "negative")
	cli(t, env, "tenant", "suspend", "000000000000", "--reason", "r").refusal(t, "000000000000")

	op := cliJSON[control.OperatorCredentials](t, env, "operator", "create", "--email", "op@example.com")
	again := cliJSON[control.OperatorCredentials](t, env, "operator", "password", "--email", "op@example.com")
	if op.Email != "op@example.com" || len(op.Password) != 24 || len(again.Password) != 24 || op.Password == again.Password {
		t.Errorf("operator %+v, then %+v", op, again)
	}
	cli(t, env, "operator", "create", "--email", "op@example.com").refusal(t, "already")
	cli(t, env, "operator", "password", "--email", "nobody@example.com").refusal(t, "nobody@example.com")
}

const mappedDocument = `openapi: 3.0.3
info: {title: Mapped, version: "1"}
x-amazon-apigateway-request-validators: {all: {validateRequestBody: true, validateRequestParameters: true}}
components: {schemas: {Order: {type: object, required: [what], properties: {what: {type: object}}}}}
paths:
  /orders/{id}:
    post:
      parameters: [{name: id, in: path, required: true, schema: {type: string}}]
      responses: {"200": {description: ok}, "400": {description: no}}
      requestBody: {content: {application/json: {schema: {$ref: "#/components/schemas/Order"}}}}
      x-amazon-apigateway-request-validator: all
      x-amazon-apigateway-integration:
        type: http
        httpMethod: PUT
        uri: %[1]s/things/{thing}
        requestParameters: {integration.request.path.thing: method.request.path.id, integration.request.header.X-Stage: context.stage}
        requestTemplates:
          application/json: |-
            {"item": $input.json('$.what'),
             "by": "$context.identity.sourceIp"}
        responses:
          default: {statusCode: "200", responseTemplates: {application/json: '{"got": $input.json(''$.body.item''), "path": "$input.path(''$.path'')", "stage": "$input.path(''$.stage'')"}'}}
          4\d\d: {statusCode: "400", responseTemplates: {application/json: '{"no": "$context.httpMethod"}'}}
  /orders:
    options:
      responses: {"204": {description: preflight, headers: {Access-Control-Allow-Origin: {schema: {type: string}}}}}
      x-amazon-apigateway-integration:
        type: mock
        requestTemplates: {application/json: '#if($input.params(''origin'') == "https://ours.example"){"statusCode": 204}#{else}{"statusCode": 403}#end'}
        responses:
          "204": {statusCode: "204", responseParameters: {method.response.header.Access-Control-Allow-Origin: method.request.header.origin}}
          "403": {statusCode: "403", responseTemplates: {application/json: "%[2]s"}}
`

// A document with mappings is imported, deployed and called; a template that cannot be
// compiled is refused with its place.
func TestMappings(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		if r.Method != http.MethodPut || json.NewDecoder(r.Body).Decode(&body) != nil || body["by"] == "" || r.URL.Path == "/things/refused" {
			http.Error(w, "no", http.StatusTeapot)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"body": body, "path": r.URL.Path, "stage": r.Header.Get("X-Stage")})
	}))
	defer upstream.Close()
	env := environ(newDir(t))
	p := start(t, env, "up")
	cliJSON[control.TenantCredentials](t, env, "tenant", "create", "--email", "ada@example.com", "--name", "Ada")
	file := filepath.Join(t.TempDir(), "mapped.yaml")
	write := func(template string) {
		text := fmt.Sprintf(mappedDocument, upstream.URL, template)
		must(t, os.WriteFile(file, []byte(strings.Replace(text, "responseParameters: {method.response.header.Access-Control-Allow-Origin: method.request.header.origin}", "responseParameters: {method.response.header.Access-Control-Allow-Origin: \"'https://ours.example'\"}", 1)), 0o600))
	}
	write(`no #if($x`)
	api := cliJSON[imported](t, env, "import", file)
	cli(t, env, "deploy", api.ID, "--stage", "dev").refusal(t, "OPTIONS /orders: integration response 403: response template for application/json: line 1")
	write("{}")
	cliJSON[imported](t, env, "import", file, "--api", api.ID)
	cliJSON[deployed](t, env, "deploy", api.ID, "--stage", "dev")
	at := p.gateway + "/_aws/execute-api/" + api.ID + "/dev"
	send := func(verb, path, body, origin string) (int, http.Header, string) {
		t.Helper()
		req, err := http.NewRequest(verb, at+path, strings.NewReader(body))
		must(t, err)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Origin", origin)
		res, err := http.DefaultClient.Do(req)
		must(t, err)
		defer func() { _ = res.Body.Close() }()
		b, err := io.ReadAll(res.Body)
		must(t, err)
		return res.StatusCode, res.Header, string(b)
	}
	if code, _, body := send("POST", "/orders/a%20b", `{"what": {"kind": "ship"}}`, ""); code != 200 || body != `{"got": {"kind":"ship"}, "path": "/things/a b", "stage": "dev"}` {
		t.Errorf("%d %s", code, body)
	}
	if code, _, body := send("POST", "/orders/1", `{"what": "a text"}`, ""); code != 400 || body != `{"message":"Invalid request body"}` {
		t.Errorf("%d %s", code, body)
	}
	if code, _, body := send("POST", "/orders/1", `not JSON`, ""); code != 400 || body != `{"message":"Invalid request body"}` {
		t.Errorf("%d %s", code, body)
	}
	if code, _, body := send("POST", "/orders/refused", `{"what": {}}`, ""); code != 400 || body != `{"no": "POST"}` {
		t.Errorf("%d %s", code, body)
	}
	if code, h, _ := send("OPTIONS", "/orders", "", "https://ours.example"); code != 204 || h.Get("Access-Control-Allow-Origin") != "https://ours.example" {
		t.Errorf("%d %v", code, h)
	}
	if code, _, body := send("OPTIONS", "/orders", "", "https://theirs.example"); code != 403 || body != "{}" {
		t.Errorf("%d %s", code, body)
	}
}

// Scripts let nodes in again and again, by tokens in files.
func nodeTokens(t *testing.T, env []string, account string) {
	t.Helper()
	for range 2 {
		g := cliJSON[struct{ Name, Kind, Account string }](t, env, "node", "gateway", "create", "--name", "own", "--account", account)
		if g.Name != "own" || g.Kind != "dedicated" || g.Account != account {
			t.Errorf("gateway %+v", g)
		}
	}
	cli(t, env, "node", "gateway", "create", "--name", "own").refusal(t, "name")
	file := filepath.Join(t.TempDir(), "token")
	var first []byte
	for i := range 2 {
		cliJSON[struct{ TokenFile string }](t, env, "node", "create", "--gateway", "own", "--name", "n", "--token-file", file)
		b, err := os.ReadFile(file)
		must(t, err)
		if i == 0 {
			first = b
		}
		if string(b) != string(first) {
			t.Errorf("the token changed")
		}
	}
	if i, err := os.Stat(file); err != nil || i.Mode().Perm() != 0o600 {
		t.Errorf("token file %v, %v", i, err)
	}
	cli(t, env, "node", "create", "--name", "n", "--token-file", file).refusal(t, "another node")
	cli(t, env, "node", "create", "--name", "n", "--token-file", filepath.Join(t.TempDir(), "no", "token")).refusal(t, "directory must exist")
}
