package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/awsapi/sigv4"
	"tollgate/control"
	"tollgate/control/remote"
	"tollgate/model"
)

// shapeOf is a value with its numbers and texts left out: what scripts rely on.
func shapeOf(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, x := range v {
			out[name] = shapeOf(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = shapeOf(x)
		}
		return out
	}
	return fmt.Sprintf("%T", v)
}

// From another machine, with an access key and nothing else, the same verbs do the same.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "upstream saw %s", r.URL.Path) }))
	t.Cleanup(upstream.Close)
	work := t.TempDir()
	file := filepath.Join(work, "pets.yaml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, document, upstream.URL), 0o600))
	broken := filepath.Join(work, "broken.yaml")
	must(t, os.WriteFile(broken, []byte("openapi: 3.0.3\ninfo: ["), 0o600))

	local := environ(newDir(t))
	p := start(t, local, "up")
	account := func(name string) control.TenantCredentials {
		return cliJSON[control.TenantCredentials](t, local, "tenant", "create", "--email", name+"@example.com", "--name", name)
	}
	ada, bob := account("ada"), account("bob")
	config, secrets := filepath.Join(work, "config"), filepath.Join(work, "credentials")
	must(t, os.WriteFile(config, fmt.Appendf(nil, "[profile ada]\nregion = eu-west-1\nendpoint_url = %s\n", p.console), 0o600))
	must(t, os.WriteFile(secrets, fmt.Appendf(nil, "[ada]\naws_access_key_id = %s\naws_secret_access_key = %s\n", ada.AccessKeyID, ada.SecretAccessKey), 0o600))
	nowhere := environ(filepath.Join(work, "none")) // there is no installation on that machine
	remotely := append(slices.Clone(nowhere), "AWS_CONFIG_FILE="+config, "AWS_SHARED_CREDENTIALS_FILE="+secrets, "AWS_PROFILE=ada")
	signedBy := func(id, secret string) []string {
		return append(slices.Clone(nowhere), "TOLLGATE_ENDPOINT_URL="+p.console, "AWS_ACCESS_KEY_ID="+id, "AWS_SECRET_ACCESS_KEY="+secret)
	}

	// The same acts of two accounts, one here and one from elsewhere, print the same but for ids and times.
	saved := map[string]map[string]string{ada.AccountID: {}, bob.AccountID: {}}
	both := func(save string, args ...string) {
		t.Helper()
		var out [2]any
		for i, side := range []struct {
			account string
			env     []string
			more    []string
		}{{bob.AccountID, local, []string{"--tenant", bob.AccountID}}, {ada.AccountID, remotely, nil}} {
			line := slices.Clone(args)
			for j := range line {
				for name, id := range saved[side.account] {
					line[j] = strings.ReplaceAll(line[j], "$"+name, id)
				}
			}
			out[i] = cliJSON[any](t, side.env, append(line, side.more...)...)
			if m, ok := out[i].(map[string]any); ok && save != "" {
				id, _ := m["id"].(string)
				if d, ok := m["deployment"].(map[string]any); ok {
					id, _ = d["id"].(string)
				}
				saved[side.account][save] = id
			}
		}
		if a, b := shapeOf(out[0]), shapeOf(out[1]); !reflect.DeepEqual(a, b) {
			x, _ := json.Marshal(out[0])
			y, _ := json.Marshal(out[1])
			t.Errorf("%v prints %s here and %s from elsewhere", args, x, y)
		}
	}
	export := filepath.Join(work, "export.yaml")
	both("api", "import", file)
	both("first", "deploy", "Pets", "--stage", "dev", "--description", "open")
	call := func(id string) string { return p.gateway + "/_aws/execute-api/" + id + "/dev/pets/7" }
	api := saved[ada.AccountID]["api"]
	if code, body := get(t, call(api)); code != 200 || body != "upstream saw /pets/7" {
		t.Errorf("what was deployed from elsewhere answers %d %s", code, body)
	}
	both("", "api", "import", file, "--api", "$api", "--require-key")
	both("", "diff", "Pets", "--from", "dev")
	both("", "diff", "Pets", "--from", "dev", "--to", file)
	both("second", "deploy", "$api", "--stage", "dev", "--rate", "100")
	if code, _ := get(t, call(api)); code != 403 {
		t.Errorf("without a key: %d", code)
	}
	for _, a := range []control.TenantCredentials{ada, bob} {
		cliJSON[control.Plan](t, local, "plan", "create", "--name", "gold", "--stage", "Pets:dev", "--tenant", a.AccountID)
	}
	both("key", "keys", "create", "--name", "k1", "--plan", "gold")
	made := cliJSON[control.CreatedKey](t, remotely, "keys", "create", "--name", "k2", "--plan", "gold")
	eventually(t, call(api), made.Value, 200)
	both("", "keys", "disable", "k1")
	both("", "keys", "enable", "$key")
	both("", "api", "export", "Pets", "--stage", "dev", "--extensions", "apigateway", "--yaml", "--out", export)
	both("", "api", "sdk", "Pets", "--stage", "dev", "--language", "python", "--out", filepath.Join(work, "client"), "--force")
	both("", "rollback", "Pets", "--stage", "dev")
	if code, _ := get(t, call(api)); code != 200 {
		t.Errorf("after the rollback, without a key: %d", code)
	}
	both("", "rollback", "Pets", "--stage", "dev", "--to", "$second")
	shown := cliJSON[deployed](t, remotely, "rollback", "Pets", "--stage", "dev")
	if want := strings.Replace(p.gateway, "127.0.0.1", "localhost", 1) + "/_aws/execute-api/" + api + "/dev/"; shown.PathURL != want || len(shown.Receipts) != 1 || !shown.Receipts[0].Applied {
		t.Errorf("from elsewhere the stage is said to be at %s, not %s, with %+v", shown.PathURL, want, shown.Receipts)
	}

	// What is looked at, and what is refused, is the same to the letter.
	for i, args := range [][]string{
		{"api", "list"}, {"api", "show", "Pets"}, {"stage", "list"}, {"stage", "list", "Pets"}, {"stage", "show", "Pets", "dev"}, {"key", "show", "k1"}, {"stage", "show", "Pets", "none"}, {"keys", "show", "none"}, {"key", "show", "k2"}, {"stage", "show", "Pets", "dev"}, {"deployment", "list", "Pets"}, {"key", "list"}, {"key", "list", "--plan", "gold", "--match", "k"},
		{"plan", "list"}, {"diff", "Pets", "--from", "dev"}, {"diff", "Pets", "--from", saved[ada.AccountID]["first"], "--to", "definition"}, {"diff", "Pets", "--from", "dev", "--to", export},
		{"api", "export", "Pets", "--stage", "dev"}, {"api", "export", "Pets", "--stage", "dev", "--type", "swagger", "--yaml", "--extensions", "integrations"},
		{"api", "show", "none"}, {"import", broken}, {"import", file, "--api", "none"}, {"import", file, "--upstream", "nonsense"}, {"deploy", "none", "--stage", "dev"}, {"deploy", "Pets", "--stage", "d e v"},
		{"deploy", "Pets", "--stage", "dev", "--rate", "-1"}, {"deploy", "Pets", "--stage", "dev", "--fail-on", "error"}, {"diff", "Pets", "--from", "none"},
		{"diff", "Pets", "--from", "dev", "--fail-on", "error"}, {"diff", "Pets", "--from", broken}, {"diff", "Pets"}, {"rollback", "Pets", "--stage", "none"}, {"rollback", "Pets", "--stage", "dev"},
		{"rollback", "Pets", "--stage", "dev", "--to", "none"}, {"key", "create", "--name", "k", "--value", "short"}, {"key", "create", "--name", "k", "--value", made.Value}, {"key", "create", "--name", "k", "--plan", "none"},
		{"key", "enable", "none"}, {"key", "delete", "none"}, {"api", "delete", "Pets"}, {"api", "export", "Pets", "--stage", "none"}, {"api", "sdk", "Pets", "--stage", "none", "--language", "go", "--out", filepath.Join(work, "x")},
	} {
		format := [...]string{"text", "json"}[i%2]
		a := cli(t, local, append(slices.Clone(args), "--tenant", ada.AccountID, "--output", format)...)
		b := cli(t, remotely, append(slices.Clone(args), "--output", format)...)
		if a != b || a.stdout+a.stderr == "" {
			t.Errorf("%v prints here %+v\nand from elsewhere %+v", args, a, b)
		}
	}

	// Whose key signs is who acts.
	eve := account("eve")
	evil := signedBy(eve.AccessKeyID, eve.SecretAccessKey)
	for _, args := range [][]string{{"api", "show", api}, {"deploy", api, "--stage", "dev"}, {"rollback", api, "--stage", "dev"}, {"api", "delete", api, "--force"}, {"keys", "delete", made.ID}} {
		cli(t, evil, args...).refusal(t, "there is no")
	}
	cli(t, signedBy(ada.AccessKeyID, eve.SecretAccessKey), "api", "list").refusal(t, "the secret access key")
	cli(t, signedBy("AKIAAAAAAAAAAAAAAAAA", "x"), "api", "list").refusal(t, "not known here")
	role(t, p, eve.Email, control.RoleViewer)
	cli(t, evil, "import", file).refusal(t, `the role "viewer" may not change APIs`)
	cli(t, evil, "keys", "create", "--name", "k").refusal(t, `the role "viewer" may not`)
	if l := cliJSON[items[control.API]](t, evil, "api", "list").Items; len(l) != 0 {
		t.Errorf("a viewer sees %v", l)
	}
	address, err := url.Parse(p.console)
	must(t, err)
	for _, off := range []time.Duration{-10 * time.Minute, 10 * time.Minute} {
		c := remote.New(remote.Options{Endpoint: address, Credentials: sigv4.Credentials{AccessKeyID: ada.AccessKeyID, Secret: ada.SecretAccessKey}, Now: func() time.Time { return time.Now().Add(off) }})
		if _, err := c.APIs(t.Context(), control.Actor{}, control.Page{}); model.KindOf(err) != model.Unauthenticated || !strings.Contains(err.Error(), "the clocks") {
			t.Errorf("with a clock that is %s off: %v", off, err)
		}
	}

	// A document larger than anything that Amazon's own face takes.
	large := filepath.Join(work, "large.yaml")
	must(t, os.WriteFile(large, append(fmt.Appendf(nil, document, upstream.URL), []byte(strings.Repeat("# "+strings.Repeat("x", 1000)+"\n", 17_000))...), 0o600))
	if got := cliJSON[imported](t, remotely, "import", large, "--name", "Large"); got.Operations != 1 {
		t.Errorf("of a large document %+v", got)
	}
	must(t, os.WriteFile(large, make([]byte, model.MaxDefinitionBytes+1), 0o600))
	cli(t, remotely, "import", large).refusal(t, "larger than the 32 MB")

	cli(t, remotely, "api", "delete", "Pets").refusal(t, "dev")
	both("", "keys", "delete", "$key")
	both("", "api", "delete", "Pets", "--force")
}

// role makes a member another.
func role(t *testing.T, p *daemon, email string, to control.Role) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(p.dir, "up.json"))
	must(t, err)
	var r running
	must(t, json.Unmarshal(b, &r))
	c, err := pgx.Connect(t.Context(), r.DatabaseURL)
	must(t, err)
	defer func() { _ = c.Close(t.Context()) }()
	must(t, pgx.BeginFunc(t.Context(), c, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `select set_config('tollgate.tenant', '*', true)`); err != nil {
			return err
		}
		tag, err := tx.Exec(t.Context(), `update member set role = $2 where person_id = (select person_id from person where email = $1)`, email, to)
		if err == nil && tag.RowsAffected() != 1 {
			err = fmt.Errorf("%s is %d members", email, tag.RowsAffected())
		}
		return err
	}))
}

// What is no installation is not believed, and leads nowhere else.
func TestNoInstallationElsewhere(t *testing.T) {
	t.Parallel()
	followed := make(chan string, 10)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { followed <- r.URL.Path }))
	t.Cleanup(other.Close)
	answers := map[string]struct {
		do   http.HandlerFunc
		says string
	}{
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+"/stolen", http.StatusTemporaryRedirect)
		}, "is not followed"},
		"page":  {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>hello") }, "answered 200 OK: is that the address of a Tollgate console?"},
		"error": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "gone", http.StatusBadGateway) }, "answered 502 Bad Gateway"},
		"JSON of its own": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"items": "none"}`)
		}, "cannot be read"},
		"problem of its own": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusTeapot)
			fmt.Fprint(w, `{"detail": "short and stout", "kind": "teapot"}`)
		}, "short and stout"},
		"broken off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, `{`)
		}, "broke off"},
	}
	for _, name := range slices.Sorted(maps.Keys(answers)) {
		s := httptest.NewServer(answers[name].do)
		env := append(environ(filepath.Join(t.TempDir(), "none")), "AWS_ACCESS_KEY_ID=AKIA", "AWS_SECRET_ACCESS_KEY=very-secret", "AWS_ENDPOINT_URL="+s.URL)
		r := cli(t, env, "api", "list")
		r.refusal(t, answers[name].says)
		if strings.Contains(r.stderr, "very-secret") {
			t.Errorf("%s: the secret is told: %s", name, r.stderr)
		}
		s.Close()
	}
	select {
	case path := <-followed:
		t.Errorf("a redirect was followed to %s", path)
	default:
	}
}

// README's section for other machines is followed to the letter, but for the address
// and the key.
func TestFromAnotherMachine(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../README.md")
	must(t, err)
	_, section, _ := strings.Cut(string(b), "\n## From another machine\n")
	section, _, _ = strings.Cut(section, "\n## ")
	local := environ(newDir(t))
	p := start(t, local, "up")
	ada := cliJSON[control.TenantCredentials](t, local, "tenant", "create", "--email", "ada@example.com", "--name", "Ada")
	home := t.TempDir()
	must(t, os.Mkdir(filepath.Join(home, ".aws"), 0o700))
	must(t, os.WriteFile(filepath.Join(home, "openapi.yaml"), fmt.Appendf(nil, document, "https://upstream.example.com"), 0o600))
	files, script := 0, ""
	for i, block := range strings.Split(section, "```\n") {
		name, isFile := strings.CutPrefix(block, "# ~/.aws/")
		switch {
		case i%2 == 0: // between blocks
		case isFile:
			name, _, _ = strings.Cut(name, "\n")
			for from, to := range map[string]string{"https://tollgate.example.com": p.console, "AKIAEXAMPLE": ada.AccessKeyID, "SECRET": ada.SecretAccessKey} {
				block = strings.ReplaceAll(block, from, to)
			}
			must(t, os.WriteFile(filepath.Join(home, ".aws", name), []byte(block), 0o600))
			files++
		default:
			script += block
		}
	}
	if files != 2 || strings.Count(script, "\ntollgate ") < 6 {
		t.Fatalf("the section has %d files and the commands %q", files, script)
	}
	if _, err := exec.LookPath("aws"); err != nil {
		t.Log("THE AWS CLI IS NOT ON THIS MACHINE: its line was left out")
		script = regexp.MustCompile(`(?m)^aws .*$`).ReplaceAllString(script, "")
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-e", "-c", script)
	cmd.Dir = home
	cmd.Env = append(slices.DeleteFunc(environ(filepath.Join(home, "none")), func(e string) bool { return strings.HasPrefix(e, "AWS_") }),
		"HOME="+home, "PATH="+filepath.Dir(built)+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, says := range []string{"imported Pets as", "serves deployment", "nothing changes for callers", "tg_live_"} {
		if !strings.Contains(string(out), says) {
			t.Errorf("there is no %q in\n%s", says, out)
		}
	}
}
