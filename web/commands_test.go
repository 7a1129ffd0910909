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
	if raceDetector {
		t.Skip("other programs, one at a time: the plain run has it, in a third of the time")
	}
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
	s.must(os.WriteFile(filepath.Join(dir, "keys.csv"), []byte("Name,Key\nfrom a file,abcdefghij0123456789xyzw\n"), 0o600))
	s.must(os.WriteFile(filepath.Join(dir, "openapi.yaml"), []byte("openapi: 3.0.3\ninfo: {title: From a file, version: '1'}\npaths:\n  /f:\n    get:\n      responses: {'200': {description: ok}}\n      x-amazon-apigateway-integration: {type: http_proxy, httpMethod: GET, uri: 'https://f.example.com'}\n"), 0o600))
	b := s.as(owner)
	command := func(page, name string, label int) string {
		t.Helper()
		m := regexp.MustCompile(`(?s)<code id="` + regexp.QuoteMeta(name) + `-` + string(rune('0'+label)) + `">(.*?)</code>`).FindStringSubmatch(b.get(page).want(200, "Show as command").body)
		if m == nil {
			t.Fatalf("%s shows no command %s", page, name)
		}
		return html.UnescapeString(regexp.MustCompile(`</?span[^>]*>`).ReplaceAllString(m[1], ""))
	}
	one := func(page, name string, label int, replace ...string) {
		t.Helper()
		text, tool := command(page, name, label), []string{"aws", "curl"}[label]
		if !strings.HasPrefix(text, tool+" ") {
			t.Fatalf("%s: %s", page, text)
		}
		text = "set -e\n" + strings.NewReplacer(append(replace, s.url, wire.URL)...).Replace(text)
		if tool == "curl" {
			text = strings.ReplaceAll(text, "curl --aws", "curl --fail-with-body --silent --aws")
		}
		c := exec.CommandContext(t.Context(), "bash", "-c", text)
		c.Dir = dir
		c.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+id, "AWS_SECRET_ACCESS_KEY="+secret, "AWS_DEFAULT_REGION=us-east-1", "AWS_PAGER=", "AWS_MAX_ATTEMPTS=1",
			"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s\n%v\n%s", text, err, out)
		}
	}
	run := func(page, name string) {
		t.Helper()
		one(page, name, 0)
		if name != "c-delete" { // it is gone already
			one(page, name, 1)
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
	run(at+"/import", "c-import")
	if d, err := s.API(s.Context(), owner, api); err != nil || d.Definition.Method("/f", "GET") == nil {
		t.Errorf("%+v %v", d.Definition, err)
	}
	definition := func() *model.Definition {
		t.Helper()
		d, err := s.API(s.Context(), owner, api)
		s.must(err)
		return &d.Definition
	}
	one(at+"/routes", "c-route", 0, "PART", "by-cli")
	one(at+"/routes", "c-route", 1, "PART", "by-curl")
	for label, path := range []string{"/by-cli", "/by-curl"} {
		method := at + "/method?verb=POST&path=" + path
		one(method, "c-method", label) // anew
		m := definition().Method(path, "POST")
		if m == nil || !m.APIKeyRequired || m.Integration == nil || m.Integration.URI != "https://backend.example.com" {
			t.Fatalf("%s: %+v", path, m)
		}
		method += "&edit=simple"
		one(method, "c-method", label) // over what is there
		// A fixed answer, as the form shows it after it was refused.
		b.get(method).press("Save method", "kind", model.IntegrationMock, "mock-status", "202", "mock-body", "it's \"taken\"")
		form := definition().Method(path, "POST")
		one(method, "c-method", label)
		m = definition().Method(path, "POST")
		if was, _ := model.ParseMock(form.Integration); was == nil {
			t.Fatal("the form made no fixed answer")
		} else if now, err := model.ParseMock(m.Integration); err != nil || now.Status != was.Status || now.Body != was.Body {
			t.Errorf("%s: %+v, %v; the form made %+v", path, now, err, was)
		}
	}
	// The editors of a method's stations, and of what it can name.
	method := at + "/method?verb=POST&path=/by-cli"
	run(method+"&edit=request", "c-request")
	one(method+"&edit=mapping", "c-mapping", 0)
	one(method+"&edit=integration", "c-integration", 1)
	run(method+"&edit=answer&key=202", "c-answer")
	one(method+"&edit=response", "c-response", 0)
	if m := definition().Method("/by-cli", "POST"); len(m.Responses) != 2 || m.Integration.Type != model.IntegrationMock || len(m.Integration.Responses) == 0 {
		t.Errorf("%+v %+v", m, m.Integration)
	}
	for label, name := range []string{"ByCLI", "ByCurl"} {
		one(at+"/authorizers/new", "c-authorizer", label, "NAME", name)
		one(at+"/models/new", "c-model", label, "NAME", name)
		one(at+"/validators/new", "c-validator", label, "NAME", name)
	}
	parts := definition()
	if len(parts.Authorizers) != 2 || parts.Model("ByCLI") == nil || parts.Model("ByCurl") == nil || len(parts.RequestValidators) != 2 || !parts.RequestValidators[0].Body {
		t.Fatalf("%+v", parts)
	}
	one(at+"/authorizers/"+parts.Authorizers[0].ID, "c-authorizer", 0)
	one(at+"/models/ByCLI", "c-model", 1)
	one(at+"/validators/"+parts.RequestValidators[0].ID, "c-validator", 0)
	one(at+"/authorizers/"+parts.Authorizers[0].ID+"/delete", "c-delete", 0)
	one(at+"/models/ByCLI/delete", "c-delete", 1)
	one(at+"/validators/"+parts.RequestValidators[0].ID+"/delete", "c-delete", 0)
	run(at+"/responses/DEFAULT_4XX", "c-response")
	one(at+"/responses/DEFAULT_4XX/reset", "c-delete", 0)
	one(at+"/settings", "c-calls", 0)
	one(at+"/policy?template=allow&of=203.0.113.0/24", "c-policy", 0)
	if !strings.Contains(definition().Policy, "203.0.113.0/24") {
		t.Errorf("the policy is %s", definition().Policy)
	}
	one(at+"/policy", "c-policy", 1, "203.0.113.0/24", "0.0.0.0/0") // so that it can be deployed and called
	one(at+"/cors?path=/by-curl", "c-cors", 0)
	if m := definition().Method("/by-curl", "OPTIONS"); m == nil || m.Integration.Responses["200"].ResponseParameters["method.response.header.Access-Control-Allow-Origin"] != "'*'" {
		t.Errorf("the preflight is %+v", m)
	}
	b.get(at+"/policy").press("Save policy", "policy", "")
	words := at + "/documentation/part?type=METHOD&method=POST&path="
	one(words+"/by-cli", "c-part", 0)
	one(words+"/by-curl", "c-part", 1)
	run(words+"/by-cli", "c-part")
	for _, path := range []string{"/by-cli", "/by-curl"} {
		if p := definition().DocumentedAt(model.DocumentationLocation{Type: "METHOD", Path: path, Method: "POST"}); p == nil || p.Properties != `{"description":"WORDS"}` {
			t.Errorf("%s: %+v", path, p)
		}
	}
	one(at+"/documentation", "c-version", 0, "VERSION", "1")
	one(at+"/documentation", "c-version", 1, "VERSION", "2")
	run(at+"/documentation/versions/1/delete", "c-delete")
	if l, err := s.DocumentationVersions(s.Context(), owner, api, control.Page{}); err != nil || len(l.Items) != 1 {
		t.Errorf("%+v %v", l, err)
	}
	run(at+"/method/delete?verb=POST&path=/by-cli", "c-delete")
	run(at+"/resource/delete?path=/by-curl", "c-delete")
	if d := definition(); d.Method("/by-cli", "POST") != nil || d.ByPath("/by-curl") != nil {
		t.Error("they are not removed")
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
	stage := at + "/stages/prod"
	one(stage+"/settings", "c-stage", 0)
	one(stage+"/methods/edit?key=*/*", "c-setting", 0)
	one(stage+"/methods/remove?key=*/*", "c-delete", 1)
	one(stage+"/cache", "c-cache", 0)
	one(stage+"/cache/flush", "c-flush", 1)
	one(stage+"/logs?preset=clf", "c-log", 0)
	one(stage+"/canary", "c-canary", 0)
	if x, err := s.Stage(s.Context(), owner, api, "prod"); err != nil || x.Settings.Canary == nil || x.Settings.AccessLog == nil || len(x.Settings.MethodSettings) != 0 {
		t.Errorf("%+v %v", x, err)
	}
	one(stage+"/canary/promote", "c-end", 0)
	_, err = s.UpdateStage(s.Context(), owner, api, "prod", func(e *control.StageEdit) error {
		e.CORS = &model.CORS{AllowOrigins: []string{"https://a.example.com"}, MaxAge: 60}
		return nil
	})
	s.must(err)
	one(stage+"/cors", "c-stage-cors", 1, "https://a.example.com", "https://b.example.com")
	if x, err := s.Stage(s.Context(), owner, api, "prod"); err != nil || x.Settings.CORS.AllowOrigins[0] != "https://b.example.com" || x.Settings.CORS.MaxAge != 60 {
		t.Errorf("%+v %v", x.Settings.CORS, err)
	}
	// What reaches back ends.
	run("/vpc-links/new", "c-link")
	links, err := s.Plane.VPCLinks(s.Context(), owner, control.Page{})
	s.must(err)
	run("/client-certificates/new", "c-certificate")
	certificates, err := s.Plane.ClientCertificates(s.Context(), owner, control.Page{})
	s.must(err)
	if len(links.Items) != 2 || len(certificates.Items) != 2 {
		t.Fatalf("%d links and %d certificates were made", len(links.Items), len(certificates.Items))
	}
	link, certificate := "/vpc-links/"+links.Items[0].ID, "/client-certificates/"+certificates.Items[0].ID
	run(link, "c-link")
	one(link+"/delete", "c-delete", 0)
	run(certificate, "c-describe")
	_, err = s.UpdateStage(s.Context(), owner, api, "prod", func(e *control.StageEdit) error {
		e.ClientCertificateID = certificates.Items[0].ID
		return nil
	})
	s.must(err)
	one(certificate+"/rotate", "c-rotate", 0)
	if x, err := s.Stage(s.Context(), owner, api, "prod"); err != nil || x.Settings.ClientCertificateID != certificates.Items[1].ID {
		t.Errorf("%s is shown, %v", x.Settings.ClientCertificateID, err)
	}
	one(certificate+"/delete", "c-delete", 1)
	history, err := s.Deployments(s.Context(), owner, api, control.Page{})
	s.must(err)
	first := history.Items[len(history.Items)-1].ID
	run(at+"/rollback?stage=prod&to="+first, "c-rollback")
	if d, err := s.API(s.Context(), owner, api); err != nil || d.Stages[0].DeploymentID != first {
		t.Errorf("%+v %v", d.Stages, err)
	}
	run("/plans/new", "c-plan")
	plans, err := s.Plans(s.Context(), owner, control.Page{Match: "NAME"})
	s.must(err)
	if len(plans.Items) != 2 {
		t.Fatalf("%d plans were made", len(plans.Items))
	}
	plan := "/plans/" + plans.Items[0].ID
	b.get(plan+"/edit").press("Save plan", "name", "Gold", "rate", "2.5", "quota", "1,000", "period", model.Week)
	gold, err := s.Plan(s.Context(), owner, plans.Items[0].ID)
	s.must(err)
	run(plan+"/edit", "c-plan")
	if now, err := s.Plan(s.Context(), owner, gold.ID); err != nil || now.Name != "Gold" || *now.Throttle != *gold.Throttle || *now.Quota != *gold.Quota {
		t.Errorf("%+v instead of %+v, %v", now, gold, err)
	}
	run("/keys/new", "c-key")
	keys, err := s.Keys(s.Context(), owner, control.KeyFilter{})
	s.must(err)
	if len(keys.Items) != 2 {
		t.Errorf("%d keys were made", len(keys.Items))
	}
	one("/keys/"+keys.Items[0].ID, "c-join", 0)
	one("/keys/"+keys.Items[1].ID, "c-join", 1)
	for label, k := range keys.Items {
		d, err := s.Key(s.Context(), owner, k.ID)
		s.must(err)
		if len(d.Plans) != 1 {
			t.Fatalf("the key has %d plans", len(d.Plans))
		}
		one("/keys/"+k.ID, "c-leave-"+d.Plans[0].PlanID, label)
		if d, err = s.Key(s.Context(), owner, k.ID); err != nil || len(d.Plans) != 0 {
			t.Errorf("the key has %d plans, %v", len(d.Plans), err)
		}
	}
	one("/keys/import", "c-keys", 0)
	s.must(os.WriteFile(filepath.Join(dir, "keys.csv"), []byte("Name,Key\nfrom a file,abcdefghij0123456789xyzx\n"), 0o600))
	one("/keys/import", "c-keys", 1)
	run(plan+"/delete", "c-delete")
	_, err = s.CreateDomain(s.Context(), owner, control.NewDomain{Name: "ours.example.com"})
	s.must(err)
	for _, label := range []int{0, 1} { // it can be made once
		one("/domains/new", "c-domain", label, "api.your-company.com", []string{"a", "b"}[label]+".example.com")
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
