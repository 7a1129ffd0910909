package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"tollgate/control"
	"tollgate/model"
)

// The files are read as the AWS CLI reads them.
func TestAWSFiles(t *testing.T) {
	t.Parallel()
	const config = "# mine\r\n[default]\r\nregion = eu-central-1\r\n" + `
  ; indented comment
[profile  work]
Region=us-west-2
endpoint_url : https://tollgate.example.com/?a=b#c
services = all of them
s3 =
  max_concurrent_requests = 7
  # not an option
  endpoint_url = https://s3.example.com
output = json ; not a comment

[profile "with blank"]
  region = eu-north-1
  output = text
[services all of them]
api_gateway =
    endpoint_url = https://gateway.example.com

s3 =
    endpoint_url = https://s3.example.com
[work]
region = of-no-profile
`
	dir := t.TempDir()
	file := filepath.Join(dir, "config")
	must(t, os.WriteFile(file, []byte(config), 0o600))
	f, err := readAWSFile(func(string) string { return file }, "AWS_CONFIG_FILE", "config")
	must(t, err)
	for _, c := range []struct{ profile, option, want string }{
		{"default", "region", "eu-central-1"},
		{"work", "region", "us-west-2"},
		{"work", "endpoint_url", "https://tollgate.example.com/?a=b#c"},
		{"work", "output", "json ; not a comment"},
		{"work", "services", "all of them"},
		{"work", "absent", ""},
		{"with blank", "region", "eu-north-1"},
		{"with blank", "output", "text"},
	} {
		if got := f.profile(c.profile)[c.option]; got != c.want {
			t.Errorf("%s of profile %s is %q, want %q", c.option, c.profile, got, c.want)
		}
		if _, err := exec.LookPath("aws"); err != nil {
			t.Log("THE AWS CLI IS NOT ON THIS MACHINE: its reading was not compared")
			continue
		}
		cmd := exec.CommandContext(t.Context(), "aws", "configure", "get", c.option, "--profile", c.profile)
		cmd.Env = append(environ(dir), "AWS_CONFIG_FILE="+file)
		out, _ := cmd.Output() // 1 where there is none
		if got := strings.TrimSpace(string(out)); got != c.want {
			t.Errorf("the AWS CLI says that %s of profile %s is %q, want %q", c.option, c.profile, got, c.want)
		}
	}
	for section, want := range map[string]string{"api_gateway": "https://gateway.example.com", "s3": "https://s3.example.com", "x": ""} {
		if got := nested(f.sections["services all of them"][section], "endpoint_url"); got != want {
			t.Errorf("%s's endpoint is %q", section, got)
		}
	}
	for text, says := range map[string]string{
		"region = x":                      "config:1: this is in no section",
		"[default]\nnonsense":             "config:2: this is not an option",
		"[default]\n= x":                  "config:2: this is not an option",
		"[default]\n[default]":            "config:2: there is a section [default] already",
		"[profile a]\n[profile \"a\"]":    "there is a section [profile a] already",
		"[default]\na = 1\nA = 2":         "config:3: a is there already",
		"[default\nregion = x":            "config:1: a section's name ends with ]",
		strings.Repeat(" ", maxAWSFile+1): "larger than the 1 MB",
	} {
		must(t, os.WriteFile(file, []byte(text), 0o600))
		_, err := readAWSFile(func(string) string { return file }, "AWS_CONFIG_FILE", "config")
		if model.KindOf(err) == "" || !strings.Contains(err.Error(), says) {
			t.Errorf("%.40q: %v, want %q", text, err, says)
		}
	}
	if f, err := readAWSFile(func(name string) string { return map[string]string{"HOME": dir}[name] }, "AWS_CONFIG_FILE", "config"); err != nil || f.path != filepath.Join(dir, ".aws", "config") {
		t.Errorf("without a file: %v %v", f, err)
	}
}

func FuzzAWSFile(f *testing.F) {
	f.Add("[default]\nregion = x\n[profile a]\nb =\n  c = d\n")
	f.Add("[profile \"]\n [\n]\n=\n\t\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseAWSFile("config", text)
		if (err == nil) == (got == nil) || err != nil && model.KindOf(err) != model.Invalid {
			t.Fatalf("%v %v", got, err)
		}
	})
}

// seen is what a server saw of the last call.
type seen struct {
	mu          sync.Mutex
	key, region string
}

var credential = regexp.MustCompile(`Credential=([^/]+)/\d+/([^/]+)/`)

func (s *seen) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := credential.FindStringSubmatch(r.Header.Get("Authorization")); m != nil {
		s.key, s.region = m[1], m[2]
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, "{}")
}

func (s *seen) take() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.key, s.region = "", "" }()
	return strings.TrimSpace(s.key + " " + s.region)
}

// Where a verb goes, with which key and for which region, is where the AWS CLI goes.
func TestElsewhereIsWhereTheAWSCLIGoes(t *testing.T) {
	t.Parallel()
	var a, b seen
	at := map[string]string{}
	for name, s := range map[string]*seen{"A": &a, "B": &b} {
		server := httptest.NewServer(s)
		t.Cleanup(server.Close)
		at[name] = server.URL
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "config")
	must(t, os.WriteFile(config, fmt.Appendf(nil, `[default]
region = eu-west-1
[profile plain]
endpoint_url = %[1]s
region = eu-west-2
aws_access_key_id = PLAINOFCONFIG
aws_secret_access_key = x
[profile sectioned]
region = eu-west-3
endpoint_url = %[2]s
services = mine
[profile ignoring]
region = eu-west-4
endpoint_url = %[1]s
ignore_configured_endpoint_urls = true
[services mine]
api_gateway =
  endpoint_url = %[1]s
s3 =
  endpoint_url = %[2]s
`, at["A"], at["B"]), 0o600))
	secrets := filepath.Join(dir, "credentials")
	must(t, os.WriteFile(secrets, []byte(`[default]
aws_access_key_id = DEFAULTS
aws_secret_access_key = x
[sectioned]
aws_access_key_id = SECTIONED
aws_secret_access_key = x
[ignoring]
aws_access_key_id = IGNORING
aws_secret_access_key = x
`), 0o600))
	keys := []string{"AWS_ACCESS_KEY_ID=ENVIRON", "AWS_SECRET_ACCESS_KEY=x"}
	for _, c := range []struct {
		name string
		env  []string
		args []string
		want string // A or B with key and region; "" for this machine
	}{
		{"nothing", nil, nil, ""},
		{"keys alone", keys, nil, ""},
		{"variable", append(keys, "AWS_ENDPOINT_URL="+at["A"]), nil, "A ENVIRON eu-west-1"},
		{"its own variable first", append(keys, "AWS_ENDPOINT_URL="+at["B"], "AWS_ENDPOINT_URL_API_GATEWAY="+at["A"]), nil, "A ENVIRON eu-west-1"},
		{"flag first", append(keys, "AWS_ENDPOINT_URL_API_GATEWAY="+at["B"]), []string{"--endpoint-url", at["A"]}, "A ENVIRON eu-west-1"},
		{"default profile's key", []string{"AWS_ENDPOINT_URL=" + at["A"]}, nil, "A DEFAULTS eu-west-1"},
		{"variable's profile", []string{"AWS_PROFILE=plain"}, nil, "A PLAINOFCONFIG eu-west-2"},
		{"variable's profile, the environment's key", append(keys, "AWS_PROFILE=plain"), nil, "A ENVIRON eu-west-2"},
		{"flag's profile, its own key", keys, []string{"--profile", "plain"}, "A PLAINOFCONFIG eu-west-2"},
		{"services section", nil, []string{"--profile", "sectioned"}, "A SECTIONED eu-west-3"},
		{"region of the environment", []string{"AWS_DEFAULT_REGION=ap-east-1"}, []string{"--profile", "plain"}, "A PLAINOFCONFIG ap-east-1"},
		{"variable before profile", []string{"AWS_ENDPOINT_URL=" + at["B"]}, []string{"--profile", "plain"}, "B PLAINOFCONFIG eu-west-2"},
		{"ignored by variable", append(keys, "AWS_ENDPOINT_URL="+at["A"], "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true"), nil, ""},
		{"ignored by profile", []string{"AWS_PROFILE=ignoring"}, nil, ""},
		{"ignored, and the flag", []string{"AWS_PROFILE=ignoring"}, []string{"--endpoint-url", at["B"]}, "B IGNORING eu-west-4"},
	} {
		took := func() string {
			for name, s := range map[string]*seen{"A": &a, "B": &b} {
				if got := s.take(); got != "" {
					return name + " " + got
				}
			}
			return ""
		}
		env := append([]string{"AWS_CONFIG_FILE=" + config, "AWS_SHARED_CREDENTIALS_FILE=" + secrets}, c.env...)
		getenv := func(name string) string {
			for _, e := range env {
				if v, ok := strings.CutPrefix(e, name+"="); ok {
					return v
				}
			}
			return ""
		}
		cmd := tenantFlags(apiListCommand())
		must(t, cmd.ParseFlags(c.args))
		e, err := findElsewhere(cmd, getenv)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if e != nil {
			client, err := e.client()
			must(t, err)
			if _, err := client.APIs(t.Context(), control.Actor{}, control.Page{}); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
		if got := took(); got != c.want {
			t.Errorf("%s: it went to %q, want %q", c.name, got, c.want)
		}
		if _, err := exec.LookPath("aws"); err != nil {
			t.Log("THE AWS CLI IS NOT ON THIS MACHINE: its way was not compared")
			continue
		}
		if c.want == "" { // it would go to Amazon's
			continue
		}
		aws := exec.CommandContext(t.Context(), "aws", append([]string{"apigateway", "get-rest-apis"}, c.args...)...)
		aws.Env = append(append(environ(dir), "AWS_EC2_METADATA_DISABLED=true"), env...)
		if out, err := aws.CombinedOutput(); err != nil {
			t.Errorf("%s: the AWS CLI: %v %s", c.name, err, out)
		}
		if got := took(); got != c.want {
			t.Errorf("%s: the AWS CLI went to %q, want %q", c.name, got, c.want)
		}
	}
}

// What is missing or wrong is said with what to set.
func TestElsewhereRefusals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config, secrets := filepath.Join(dir, "config"), filepath.Join(dir, "credentials")
	must(t, os.WriteFile(config, []byte("[profile bare]\nregion = eu-west-1\n[profile lost]\nservices = none\n[profile odd]\nendpoint_url = http://127.0.0.1:1\nregion = EU West\n"), 0o600))
	must(t, os.WriteFile(secrets, []byte("[bare]\naws_access_key_id = AKIA\n[odd]\naws_access_key_id = AKIA\naws_secret_access_key = x\n[token]\naws_access_key_id = AKIA\naws_secret_access_key = x\naws_session_token = x\n"), 0o600))
	const there = "--endpoint-url=http://127.0.0.1:1"
	for _, c := range []struct {
		env  []string
		args []string
		says []string
	}{
		{nil, []string{there}, []string{"no access key", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", secrets, "http://127.0.0.1:1/access-keys"}},
		{nil, []string{"--profile=bare"}, []string{`profile "bare" has no endpoint_url`, config, "--endpoint-url"}},
		{nil, []string{"--profile=nobody"}, []string{`no profile "nobody"`, config, secrets}},
		{nil, []string{there, "--profile=nobody"}, []string{`no profile "nobody"`}},
		{nil, []string{"--profile=lost"}, []string{"[services none]"}},
		{nil, []string{there, "--profile=bare"}, []string{"aws_access_key_id and no aws_secret_access_key", secrets}},
		{nil, []string{"--profile=odd"}, []string{`region "EU West"`}},
		{nil, []string{there, "--profile=token"}, []string{"session tokens"}},
		{[]string{"AWS_ACCESS_KEY_ID=AKIA"}, []string{there}, []string{"no AWS_SECRET_ACCESS_KEY"}},
		{[]string{"AWS_SECRET_ACCESS_KEY=x"}, []string{there}, []string{"no AWS_ACCESS_KEY_ID"}},
		{[]string{"AWS_ACCESS_KEY_ID=AKIA", "AWS_SECRET_ACCESS_KEY=x", "AWS_SESSION_TOKEN=x"}, []string{there}, []string{"AWS_SESSION_TOKEN", "session tokens"}},
		{[]string{"AWS_ACCESS_KEY_ID=AK IA", "AWS_SECRET_ACCESS_KEY=x"}, []string{there}, []string{"letters and digits"}},
		{nil, []string{"--endpoint-url=ftp://x"}, []string{"--endpoint-url", "https://tollgate.example.com"}},
		{nil, []string{"--endpoint-url=http://x/y"}, []string{"--endpoint-url"}},
		{[]string{"TOLLGATE_ENDPOINT_URL=x"}, nil, []string{"TOLLGATE_ENDPOINT_URL"}},
		{[]string{"AWS_ACCESS_KEY_ID=AKIA", "AWS_SECRET_ACCESS_KEY=x"}, []string{there, "--tenant=1"}, []string{"--tenant", "the access key says"}},
		{[]string{"AWS_ACCESS_KEY_ID=AKIA", "AWS_SECRET_ACCESS_KEY=x"}, []string{there}, []string{"http://127.0.0.1:1 (--endpoint-url) cannot be reached"}},
	} {
		env := append(append(environ(filepath.Join(dir, "none")), "AWS_CONFIG_FILE="+config, "AWS_SHARED_CREDENTIALS_FILE="+secrets), c.env...)
		cli(t, env, append([]string{"api", "list"}, c.args...)...).refusal(t, c.says...)
	}
	// Verbs of the machine itself.
	env := append(environ(filepath.Join(dir, "none")), "AWS_ENDPOINT_URL=http://127.0.0.1:1")
	for _, args := range [][]string{{"key", "move", "k", "--to", "p"}, {"plan", "create", "--name", "p"}, {"domain", "list"}, {"usage"}, {"import-cfn", "x.yaml"}} {
		cli(t, env, args...).refusal(t, "`tollgate "+args[0], "installation's own machine only", "AWS_ENDPOINT_URL")
	}
	for _, args := range [][]string{{"tenant", "list"}, {"node", "list"}, {"up"}, {"import-cfn", "x.yaml"}} {
		r := cli(t, env, append(args, there)...)
		if r.code != exitUsage || !strings.Contains(r.stderr, "installation's own machine only, without --endpoint-url") {
			t.Errorf("%v: %d %s", args, r.code, r.stderr)
		}
	}
	cli(t, env, "tenant", "list").refusal(t, "there is no installation in") // it never goes elsewhere
}
