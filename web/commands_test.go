package web_test

import (
	"html"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tollgate/awsapi"
	"tollgate/billing/intake"
	"tollgate/control"
	"tollgate/model"
)

// What pages show as commands does what their forms do: each is run as it stands.
func TestCommands(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"aws", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("THE COMMANDS ON PAGES ARE NOT TRIED: %s is not on this machine", tool)
		}
	}
	s := newSite(t, withGateway)
	owner := s.tenant()
	face, err := awsapi.New(awsapi.Options{Plane: s.Plane, Usage: intake.New(intake.Options{Pool: s.pool}), Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	s.must(err)
	wire := httptest.NewServer(face)
	t.Cleanup(wire.Close)
	id, secret, err := s.CreateAccessKey(s.Context(), owner)
	s.must(err)
	dir := t.TempDir()
	s.must(os.WriteFile(filepath.Join(dir, "openapi.yaml"), []byte("openapi: 3.0.3\ninfo: {title: From a file, version: '1'}\npaths:\n  /f:\n    get:\n      responses: {'200': {description: ok}}\n      x-amazon-apigateway-integration: {type: http_proxy, httpMethod: GET, uri: 'https://f.example.com'}\n"), 0o600))
	b := s.as(owner)
	command := func(page, name string, label int) string {
		t.Helper()
		m := regexp.MustCompile(`(?s)<code id="` + name + `-` + string(rune('0'+label)) + `">(.*?)</code>`).FindStringSubmatch(b.get(page).want(200, "Show as command").body)
		if m == nil {
			t.Fatalf("%s shows no command %s", page, name)
		}
		return html.UnescapeString(m[1])
	}
	run := func(page, name string) {
		t.Helper()
		for i, tool := range []string{"aws", "curl"} {
			if tool == "curl" && name == "c-delete" { // it is gone already
				continue
			}
			text := command(page, name, i)
			if !strings.HasPrefix(text, tool+" ") {
				t.Fatalf("%s: %s", page, text)
			}
			text = strings.ReplaceAll(text, s.url, wire.URL)
			if tool == "curl" {
				text += " --fail-with-body --silent"
			}
			c := exec.CommandContext(t.Context(), "bash", "-c", text)
			c.Dir = dir
			c.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+id, "AWS_SECRET_ACCESS_KEY="+secret, "AWS_DEFAULT_REGION=us-east-1", "AWS_PAGER=", "AWS_MAX_ATTEMPTS=1",
				"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true")
			if out, err := c.CombinedOutput(); err != nil {
				t.Fatalf("%s\n%v\n%s", text, err, out)
			}
		}
	}
	count := func(match string) int {
		t.Helper()
		l, err := s.APIs(s.Context(), owner, control.Page{Match: match})
		s.must(err)
		return len(l.Items)
	}
	run("/apis/new", "c-create")
	if n := count("NAME"); n != 2 {
		t.Errorf("%d APIs were made", n)
	}
	run("/apis/new", "c-import")
	if n := count("From a file"); n != 2 {
		t.Errorf("%d APIs were imported", n)
	}
	l, err := s.APIs(s.Context(), owner, control.Page{Match: "NAME"})
	s.must(err)
	api := l.Items[0].ID
	at := "/apis/" + api
	_, err = s.UpdateDefinition(s.Context(), owner, api, 0, func(d *model.Definition) error {
		d.Name, d.Description = "It's a \"name\"", "of $(ls) & <more>"
		return nil
	})
	s.must(err)
	run(at+"/settings", "c-settings")
	if d, err := s.API(s.Context(), owner, api); err != nil || d.Name != "It's a \"name\"" || d.Definition.Description != "of $(ls) & <more>" {
		t.Errorf("%+v %v", d.API, err)
	}
	run(at+"/settings", "c-import")
	if d, err := s.API(s.Context(), owner, api); err != nil || d.Definition.Method("/f", "GET") == nil {
		t.Errorf("%+v %v", d.Definition, err)
	}
	run(at+"/deploy?stage=prod", "c-deploy")
	_, err = s.SetStageThrottle(s.Context(), owner, api, "prod", &model.Throttle{Rate: 2.5, Burst: 7})
	s.must(err)
	throttle := command(at+"/stages/prod", "c-throttle", 0)
	_, err = s.SetStageThrottle(s.Context(), owner, api, "prod", nil)
	s.must(err)
	if strings.Contains(command(at+"/stages/prod", "c-throttle", 0), "2.5") || !strings.Contains(throttle, "2.5") {
		t.Errorf("the command does not have the form's values: %s", throttle)
	}
	run(at+"/stages/prod", "c-throttle")
	run("/keys/new", "c-key")
	keys, err := s.Keys(s.Context(), owner, control.KeyFilter{})
	s.must(err)
	if len(keys.Items) != 2 {
		t.Errorf("%d keys were made", len(keys.Items))
	}
	_, err = s.CreateDomain(s.Context(), owner, control.NewDomain{Name: "ours.example.com"})
	s.must(err)
	for _, label := range []int{0, 1} { // it can be made once
		text := strings.ReplaceAll(command("/domains/new", "c-domain", label), "api.your-company.com", []string{"a", "b"}[label]+".example.com")
		c := exec.CommandContext(t.Context(), "bash", "-c", strings.ReplaceAll(text, s.url, wire.URL))
		c.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+id, "AWS_SECRET_ACCESS_KEY="+secret, "AWS_DEFAULT_REGION=us-east-1", "AWS_PAGER=", "AWS_CONFIG_FILE=/dev/null")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s\n%v\n%s", text, err, out)
		}
	}
	if l, err := s.Domains(s.Context(), owner, control.Page{}); err != nil || len(l.Items) != 3 {
		t.Errorf("%d domains %v", len(l.Items), err)
	}
	if text := command("/domains/ours.example.com", "c-map", 0); !strings.Contains(text, "create-base-path-mapping") || !strings.Contains(text, api) {
		t.Errorf("a path: %s", text)
	}
	run("/domains/a.example.com/delete", "c-delete")
	run("/keys/"+keys.Items[0].ID+"/delete", "c-delete")
	run(at+"/stages/prod/delete", "c-delete")
	run(at+"/delete", "c-delete")
	if n := count("It's a"); n != 0 {
		t.Errorf("%d APIs are left", n)
	}
	// Nobody's secret is on a page, and a text stays one argument.
	if text := command("/apis/new", "c-create", 1); strings.Contains(text, secret) || strings.Contains(text, id) {
		t.Errorf("%s", text)
	}
}
