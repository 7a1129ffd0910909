package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tollgate/control"
	"tollgate/control/cfn"
	"tollgate/model"
)

// A template is taken, runs, is taken again without a change, and changes what differs.
func TestImportCFN(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("upstream saw " + r.URL.Path)) }))
	t.Cleanup(upstream.Close)
	env := environ(newDir(t))
	p := start(t, env, "up")
	cliJSON[control.TenantCredentials](t, env, "tenant", "create", "--email", "ada@example.com", "--name", "Ada")
	src, err := os.ReadFile("../../control/cfn/testdata/pets.yaml")
	must(t, err)
	file := filepath.Join(t.TempDir(), "shop.yaml")
	must(t, os.WriteFile(file, src, 0o600))
	type taken struct {
		control.StackTaken
		Problems []model.Problem
	}
	take := func(more ...string) (taken, map[string]control.StackThing) {
		t.Helper()
		got := cliJSON[taken](t, env, append([]string{"import-cfn", file, "--parameter", "Backend=" + upstream.URL}, more...)...)
		by := map[string]control.StackThing{}
		for _, x := range got.Things {
			by[x.Kind] = x
		}
		return got, by
	}
	r := cli(t, env, "import-cfn", file, "--fail-on-unsupported")
	if r.code != exitUnsupported || !strings.Contains(r.stdout, "shop.yaml:") || !strings.Contains(r.stdout, "Resources.Link") {
		t.Errorf("with a part that cannot be taken: %d %s%s", r.code, r.stdout, r.stderr)
	}
	plan := cliJSON[cfn.Plan](t, env, "import-cfn", file, "--dry-run")
	if len(plan.APIs) != 1 || len(plan.Problems) != 2 || len(cliJSON[items[control.API]](t, env, "api", "list").Items) != 0 {
		t.Errorf("a dry run: %+v", plan)
	}
	_, first := take()
	for _, kind := range []string{"API", "stage", "key", "plan"} {
		if first[kind].Done != "made" {
			t.Errorf("the first run: %s %+v", kind, first[kind])
		}
	}
	call := p.gateway + "/_aws/execute-api/" + first["API"].ID + "/dev/pets/7"
	until(t, "the stage to serve with the key", func() bool {
		req, err := http.NewRequest("GET", call, nil)
		must(t, err)
		req.Header.Set("X-Api-Key", first["key"].Value)
		res, err := http.DefaultClient.Do(req)
		must(t, err)
		_ = res.Body.Close()
		return res.StatusCode == 200
	})
	if code, _ := get(t, call); code != 403 {
		t.Errorf("without the key: %d", code)
	}
	_, again := take()
	for kind, x := range again {
		if x.Done != "same" || x.ID != first[kind].ID {
			t.Errorf("the second run: %s %+v", kind, x)
		}
	}
	if n := len(cliJSON[items[control.Deployment]](t, env, "deployment", "list", first["API"].ID).Items); n != 1 {
		t.Errorf("%d deployments", n)
	}
	must(t, os.WriteFile(file, []byte(strings.Replace(string(src), "{RateLimit: 10, BurstLimit: 20}", "{RateLimit: 11, BurstLimit: 20}", 1)+"# more\n"), 0o600))
	_, changed := take()
	if changed["plan"].Done != "changed" || changed["API"].Done != "same" || changed["stage"].Done != "same" {
		t.Errorf("a changed plan: %+v", changed)
	}
	must(t, os.WriteFile(file, []byte(strings.Replace(string(src), "TimeoutInMillis: 3000", "TimeoutInMillis: 4000", 1)), 0o600))
	_, changed = take()
	if changed["API"].Done != "changed" || changed["stage"].Done != "changed" || changed["API"].ID != first["API"].ID {
		t.Errorf("a changed method: %+v", changed)
	}
	// What the gateway does not act on is kept, and not served.
	must(t, os.WriteFile(file, []byte(strings.Replace(string(src), "Type: HTTP_PROXY", "Type: AWS", 1)), 0o600))
	_, changed = take()
	if changed["API"].Done != "changed" || changed["stage"].Done != "refused" || !strings.Contains(changed["stage"].Why, "it is not arn:aws:apigateway:") {
		t.Errorf("with what is not served: %+v", changed)
	}
	cli(t, env, "import-cfn", filepath.Join(t.TempDir(), "none.yaml")).refusal(t, "none.yaml")
}
