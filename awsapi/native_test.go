package awsapi_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"tollgate/awsapi/sigv4"
	"tollgate/control"
	"tollgate/control/remote"
	"tollgate/model"
)

// native signs and sends a call of a method of Tollgate's own.
func (f *face) native(a account, method string, body any, change ...func(*http.Request)) *reply {
	f.Helper()
	b, ok := body.(string)
	if !ok {
		j, err := json.Marshal(body)
		f.must(err)
		b = string(j)
	}
	req, err := http.NewRequest("POST", f.url+remote.Path+method, strings.NewReader(b))
	f.must(err)
	hash := sigv4.HashBody([]byte(b))
	req.Header.Set("X-Amz-Content-Sha256", hash)
	sigv4.SignHTTP(req, a.key, "us-east-1", remote.Service, hash, time.Now())
	for _, c := range change {
		c(req)
	}
	return f.do(req)
}

// wantProblem checks that an answer is a refusal of this kind, whole and in no shape of
// Amazon's.
func (r *reply) wantProblem(status int, kind, says string) {
	r.Helper()
	var p remote.Problem
	d := json.NewDecoder(bytes.NewReader(r.Body))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		r.Errorf("%s: %d %s is no problem: %v", r.call, r.Status, r.Body, err)
		return
	}
	if r.Status != status || p.Kind != kind || !strings.Contains(p.Detail, says) {
		r.Errorf("%s: %d %s %q\ninstead of %d %s %q", r.call, r.Status, p.Kind, p.Detail, status, kind, says)
	}
	if p.Type != "about:blank" || p.Title != http.StatusText(r.Status) || p.Status != r.Status || p.RequestID == "" || r.Header.Get("Content-Type") != "application/problem+json" {
		r.Errorf("%s: %s %s", r.call, r.Header, r.Body)
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Amzn") {
			r.Errorf("%s: a header of Amazon's: %s", r.call, r.Header)
		}
	}
	if r.Header.Get("X-Request-Id") != p.RequestID {
		r.Errorf("%s: %s names another request than %s", r.call, r.Body, r.Header)
	}
}

// nativeCalls are arguments of every method, with ids of the furnished things; what
// writes is marked.
func (f *furnished) nativeCalls() map[string]struct {
	in     any
	writes bool
} {
	api, stage, key := f.ids["restapi_id"], f.ids["stage_name"], f.ids["api_Key"]
	type c = struct {
		in     any
		writes bool
	}
	return map[string]c{
		"Gateway":         {op{}, false},
		"ImportAPI":       {op{"source": []byte(`{"openapi":"3.0.1","info":{"title":"x","version":"1"},"servers":[{"url":"https://upstream.example"}],"paths":{"/x":{"get":{}}}}`), "apiId": api}, true},
		"APIs":            {op{"limit": 10}, false},
		"API":             {op{"id": api}, false},
		"DeleteAPI":       {op{"id": api, "force": true}, true},
		"Deploy":          {op{"apiId": api, "stage": stage}, true},
		"CompareVersions": {op{"apiId": api, "from": op{"stage": stage}, "to": op{}}, false},
		"Rollback":        {op{"apiId": api, "stage": stage, "deploymentId": f.ids["deployment_id"]}, true},
		"Stage":           {op{"apiId": api, "stage": stage}, false},
		"Stages":          {op{"apiId": api}, false},
		"Deployments":     {op{"apiId": api, "limit": 10}, false},
		"ExportStage":     {op{"apiId": api, "stage": stage, "yaml": true, "all": true}, false},
		"StageClient":     {op{"apiId": api, "stage": stage, "language": "python", "baseUrl": "https://api.example.com", "parameters": op{}}, false},
		"Calls":           {op{"limit": 10}, false},
		"Call":            {op{"id": f.logged(api, stage)}, false},
		"FollowCalls":     {op{"since": "1", "wait": 1}, false},
		"Plans":           {op{}, false},
		"CreateKey":       {op{"name": "x", "enabled": true, "planIds": []string{f.ids["usageplanId"]}}, true},
		"Keys":            {op{"planId": f.ids["usageplanId"]}, false},
		"Key":             {op{"id": key}, false},
		"SetKeyEnabled":   {op{"id": key, "enabled": false}, true},
		"DeleteKey":       {op{"id": key}, true},
	}
}

// logged puts a call into the call log, and returns its request id.
func (f *furnished) logged(api, stage string) string {
	f.Helper()
	s, err := f.Plane.Stage(f.Context(), f.owner.Actor, api, stage)
	if err != nil {
		f.Fatal(err)
	}
	e := model.CallEntry{ID: [16]byte{1}, Time: time.Now().UnixMicro(), Tenant: f.owner.Tenant, Stage: s.Num, Status: 200, Path: []byte("/" + mark)}
	b := model.CallBatch{Seq: 1, Calls: []model.CallEntry{e}}
	if err := f.Plane.TakeCalls(f.Context(), control.SharedNode("n1"), b.Encode(nil)); err != nil {
		f.Fatal(err)
	}
	return model.BootID(e.ID).String()
}

// Every method works for who has the role and the things; with another account's ids
// there is no such thing, and nothing is shown or changed; who may look only, looks.
func TestNative(t *testing.T) {
	t.Parallel()
	f := furnish(t)
	calls := f.nativeCalls()
	for _, name := range remote.Names() {
		if _, ok := calls[name]; !ok {
			t.Errorf("method %s is not called here", name)
		}
	}
	eve := f.account("Eve")
	before := f.rows()
	own := []string{"Gateway", "APIs", "Plans", "Calls", "FollowCalls"} // name no other thing
	for name, c := range calls {
		r := f.native(eve, name, c.in)
		if strings.Contains(string(r.Body), mark) {
			t.Errorf("%s shows what is another's: %s", name, r.Body)
		}
		if slices.Contains(own, name) {
			r.want(200)
			continue
		}
		r.wantProblem(404, "not_found", "")
	}
	// Another's deployment, named beside an API of one's own.
	var mine struct{ API struct{ ID string } }
	f.native(eve, "ImportAPI", op{"source": []byte(`{"openapi":"3.0.1","info":{"title":"x","version":"1"},"servers":[{"url":"https://upstream.example"}],"paths":{"/x":{"get":{}}}}`)}).want(200).into(&mine)
	f.native(eve, "Deploy", op{"apiId": mine.API.ID, "stage": "dev"}).want(200)
	f.native(eve, "Rollback", op{"apiId": mine.API.ID, "stage": "dev", "deploymentId": f.ids["deployment_id"]}).wantProblem(404, "not_found", "deployment")
	f.native(eve, "CompareVersions", op{"apiId": mine.API.ID, "from": op{"deployment": f.ids["deployment_id"]}, "to": op{}}).wantProblem(404, "not_found", "deployment")
	if after := f.rows(); after != before {
		t.Errorf("another account changed what is Ada's:\n%s\n\n%s", before, after)
	}
	// A viewer's key.
	f.exec(`update member set role = 'viewer' where tenant_id = $1`, f.owner.Tenant)
	before = f.rows()
	for name, c := range calls {
		if r := f.native(f.owner, name, c.in); c.writes {
			r.wantProblem(403, "denied", `the role "viewer" may not`)
		} else if r.Status != 200 {
			t.Errorf("a viewer's %s: %d %s", name, r.Status, r.Body)
		}
	}
	if f.rows() != before {
		t.Error("a viewer changed something")
	}
	// The owner's. Last those after which there is nothing to call any more.
	f.exec(`update member set role = 'owner' where tenant_id = $1`, f.owner.Tenant)
	f.call("DELETE", "/v2/domainnames/"+f.ids["domain_name"]+"/routingrules/"+f.ids["rule_id"], nil)
	f.call("DELETE", "/domainnames/"+f.ids["domain_name"]+"/basepathmappings/"+f.ids["base_path"], nil).want(202)
	order := []string{"ImportAPI", "Deploy", "Rollback", "CreateKey", "SetKeyEnabled", "DeleteKey", "DeleteAPI"}
	for _, name := range order {
		f.native(f.owner, name, calls[name].in).want(200)
	}
	f.native(f.owner, "API", calls["API"].in).wantProblem(404, "not_found", f.ids["restapi_id"])
	f.native(f.owner, "Key", calls["Key"].in).wantProblem(404, "not_found", f.ids["api_Key"])
	n := 0
	for _, c := range calls {
		if c.writes {
			n++
		}
	}
	if n != len(order) {
		t.Errorf("%d of %d methods that write were called", len(order), n)
	}
}

// Whatever is sent is refused as a problem, and changes nothing.
func TestNativeNonsense(t *testing.T) {
	if raceDetector {
		t.Skip("one client at a time: the plain run has it, in a third of the time")
	}
	t.Parallel()
	f := furnish(t)
	calls := f.nativeCalls() // which also furnish
	before := f.rows()
	for name, c := range calls {
		for _, body := range []string{`{`, `{"id":`, `{"id":"a"} {}`, "\xff\xfe", `{"nonsense":1}`, strings.Repeat(`{"a":`, 20_000), strings.Repeat("[", 100_000)} {
			f.native(f.owner, name, body).wantProblem(400, "invalid", "the body")
		}
		f.native(f.owner, name, `[]`).wantProblem(400, "invalid", "JSON array")
		members, _ := c.in.(op)
		for member, v := range members {
			broken := op{}
			for k, v := range members {
				broken[k] = v
			}
			for _, bad := range []any{[]any{7}, "\x00", -1, 1e300, strings.Repeat("x", 1<<20), nil, op{"stage": op{}}, []any{nil}} {
				if bad == nil && c.writes { // as if it were not there, which may do
					continue
				}
				broken[member] = bad
				r := f.native(f.owner, name, broken)
				if r.Status == 200 {
					if c.writes {
						t.Errorf("%s with %s of %.40v: %s", name, member, bad, r.Body)
					}
					continue
				}
				if r.Status >= 500 {
					t.Errorf("%s with %s of %.40v instead of %.40v: %d %s", name, member, bad, v, r.Status, r.Body)
					continue
				}
				var p remote.Problem
				r.into(&p)
				r.wantProblem(r.Status, p.Kind, "")
				if model.Kind(p.Kind) == "" || p.Kind == "internal" {
					t.Errorf("%s with %s of %.40v: %s", name, member, bad, r.Body)
				}
			}
		}
	}
	f.native(f.owner, "CompareVersions", op{"apiId": f.ids["restapi_id"], "from": op{}, "to": op{"document": op{"name": "x", "resources": []op{{"path": "nowhere"}}}}}).
		wantProblem(400, "invalid", "nowhere")
	if after := f.rows(); after != before {
		t.Errorf("nonsense changed something:\n%s\n\n%s", before, after)
	}

	f.native(f.owner, "DropEverything", op{}).wantProblem(404, "not_found", `no method "DropEverything"`)
	f.native(f.owner, "", op{}).wantProblem(404, "not_found", "there are Gateway, ")
	f.native(f.owner, "x/../APIs", op{}).wantProblem(404, "not_found", "no method")
	f.native(f.owner, "APIs?limit=1", op{}).wantProblem(400, "invalid", "no query")

	// As large as documents are, from who has proved who they are; and no larger.
	large := op{"source": bytes.Repeat([]byte(" "), 17<<20)}
	f.native(f.owner, "ImportAPI", large).wantProblem(400, "invalid", "")
	f.native(f.owner, "ImportAPI", strings.Repeat(" ", remote.MaxBody+1)).wantProblem(413, "limit", "more than")
	plain := func(a account, body string) *reply {
		req, err := http.NewRequest("POST", f.url+remote.Path+"APIs", strings.NewReader(body))
		f.must(err)
		sigv4.SignHTTP(req, a.key, "us-east-1", remote.Service, sigv4.HashBody([]byte(body)), time.Now())
		return f.do(req)
	}
	plain(f.owner, "").want(200)
	plain(f.owner, strings.Repeat(" ", 17<<20)).wantProblem(413, "limit", "more than")

	// Signatures.
	req, err := http.NewRequest("POST", f.url+remote.Path+"APIs", nil)
	f.must(err)
	r := f.do(req)
	r.wantProblem(401, "unauthenticated", "not signed")
	if r.Header.Get("Www-Authenticate") == "" {
		t.Errorf("an unsigned call is not told how: %s", r.Header)
	}
	wrong := f.owner
	wrong.key.Secret = "x"
	f.native(wrong, "APIs", op{}).wantProblem(401, "unauthenticated", "the secret access key")
	plain(wrong, "").wantProblem(401, "unauthenticated", "the secret access key")
	wrong = f.owner
	wrong.key.AccessKeyID = "AKIAAAAAAAAAAAAAAAAA"
	f.native(wrong, "APIs", op{}).wantProblem(401, "unauthenticated", "not known here")
	wrong = f.owner
	wrong.key.SessionToken = "x"
	f.native(wrong, "APIs", op{}).wantProblem(401, "unauthenticated", "session tokens")
	resigned := func(service string, at time.Time) func(*http.Request) {
		return func(r *http.Request) {
			sigv4.SignHTTP(r, f.owner.key, "us-east-1", service, sigv4.HashBody([]byte("{}")), at)
		}
	}
	for _, minutes := range []time.Duration{-6, 6} {
		f.native(f.owner, "APIs", op{}, resigned(remote.Service, time.Now().Add(minutes*time.Minute))).wantProblem(401, "unauthenticated", "clocks")
	}
	f.native(f.owner, "APIs", op{}, resigned("apigateway", time.Now())).wantProblem(401, "unauthenticated", `"apigateway"`)
	f.native(f.owner, "APIs", op{}, func(r *http.Request) { r.Method = "PUT"; resigned(remote.Service, time.Now())(r) }).wantProblem(405, "invalid", "POST")
	f.native(f.owner, "APIs", op{}, func(r *http.Request) { r.URL.Path = "/restapis"; resigned(remote.Service, time.Now())(r) }).wantProblem(404, "not_found", remote.Path)
	f.native(f.owner, "APIs", op{}, func(r *http.Request) { r.URL.Path = remote.Path + "Plans" }).wantProblem(401, "unauthenticated", "signature")
}

// FuzzNative makes calls of methods of Tollgate's own beside another's things: none is
// the server's fault, and none shows or changes what is the other's.
func FuzzNative(f *testing.F) {
	world := furnish(f)
	eve := world.account("Eve")
	calls := world.nativeCalls() // which also furnish
	before := world.rows()
	for name, c := range calls {
		b, err := json.Marshal(c.in)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(name, string(b))
	}
	f.Add("CompareVersions", `{"apiId":"x","from":{"document":{"name":"x","resources":[{"path":"/","resourceMethods":{"GET":{"methodIntegration":null}}}]}},"to":{"stage":"a"}}`)
	f.Fuzz(func(t *testing.T, name, body string) {
		w := furnished{&face{t, world.Plane, world.pool, world.url, world.owner}, world.ids}
		if strings.ContainsFunc(name, func(r rune) bool { return r < 'A' || r > 'z' }) {
			return // it would be another path
		}
		r := w.native(eve, name, body)
		if r.Status >= 500 {
			t.Fatalf("%s %q: %d %s", name, body, r.Status, r.Body)
		}
		if r.Status != 200 {
			var p remote.Problem
			r.into(&p)
			r.wantProblem(r.Status, p.Kind, "")
		}
		if strings.Contains(string(r.Body), mark) && !strings.Contains(body, mark) {
			t.Fatalf("%s %q shows what is another's: %s", name, body, r.Body)
		}
		if r.Status == 200 && w.rows() != before {
			t.Fatalf("%s %q changed what is another's", name, body)
		}
	})
}
