package main

import (
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"tollgate/control"
	"tollgate/migrations/pgserver"
	"tollgate/migrations/pgtest"
)

func TestUp(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	env := environ(dir)
	p := start(t, env, "up")
	if !strings.HasPrefix(p.console, "http://127.0.0.1:") || !strings.HasPrefix(p.gateway, "http://127.0.0.1:") {
		t.Errorf("the ready line names console %q and gateway %q", p.console, p.gateway)
	}
	for _, next := range []string{"tenant create", "tollgate import", "127.0.0.0/8"} {
		until(t, "it to mention "+next, func() bool { return strings.Contains(p.said(), next) })
	}
	admin := p.admin(t)
	for _, page := range []string{admin + "/livez", admin + "/readyz", admin + "/metrics"} {
		if code, body := get(t, page); code != 200 {
			t.Errorf("%s: %d %s", page, code, body)
		}
	}
	for name, mode := range map[string]os.FileMode{"up.json": 0o600, "secret.key": 0o600, "postgres/tollgate.password": 0o600, "postgres/data": 0o700} {
		fi, err := os.Stat(filepath.Join(dir, name))
		must(t, err)
		if fi.Mode().Perm() != mode {
			t.Errorf("%s has mode %o, want %o", name, fi.Mode().Perm(), mode)
		}
	}
	c := cliJSON[control.TenantCredentials](t, env, "tenant", "create", "--email", "ada@example.com", "--name", "Ada")
	if len(c.AccountID) != 12 || c.Email != "ada@example.com" || c.Password == "" || c.AccessKeyID == "" || c.SecretAccessKey == "" {
		t.Errorf("tenant create printed %+v", c)
	}

	// A second one on the same directory is refused and disturbs nothing.
	cli(t, env, "up").refusal(t, "already runs on "+dir)
	if code, _ := get(t, admin+"/readyz"); code != 200 {
		t.Errorf("after a refused second start, ready: %d", code)
	}

	if r := p.end(t, syscall.SIGINT); r.code != 0 || r.stderr != "" && strings.Contains(r.stderr, "tollgate: ") {
		t.Errorf("Ctrl-C: exit code %d, %s", r.code, r.stderr)
	}
	noPostgres(t, dir)
	if _, err := os.Stat(filepath.Join(dir, "up.json")); !os.IsNotExist(err) {
		t.Errorf("up.json is left: %v", err)
	}

	// Stopped, the same verbs work, and leave nothing running.
	if got := tenants(t, env); got != c.AccountID {
		t.Errorf("stopped, the accounts are %q", got)
	}
	noPostgres(t, dir)

	p = start(t, env, "up")
	if got := tenants(t, env); got != c.AccountID {
		t.Errorf("after a restart the accounts are %q", got)
	}
	if r := p.end(t, syscall.SIGTERM); r.code != 0 {
		t.Errorf("SIGTERM: exit code %d, %s", r.code, r.stderr)
	}
}

func tenants(t *testing.T, env []string) string {
	t.Helper()
	var ids []string
	for _, x := range cliJSON[items[control.Tenant]](t, env, "tenant", "list").Items {
		ids = append(ids, x.AccountID)
	}
	return strings.Join(ids, " ")
}

func TestKillLeavesNoPostgres(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	env := environ(dir)
	p := start(t, env, "up")
	if pids, _ := pgserver.Processes(filepath.Join(dir, "postgres", "data")); len(pids) == 0 {
		t.Fatal("no Postgres process is seen while it runs")
	}
	p.end(t, syscall.SIGKILL)
	noPostgres(t, dir)
	// What a killed program left behind must mislead neither a verb nor a start.
	if got := tenants(t, env); got != "" {
		t.Errorf("accounts %q", got)
	}
	start(t, env, "up")
}

func TestPostgresDies(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	p := start(t, environ(dir, "TOLLGATE_LOG=json"), "up")
	b, err := os.ReadFile(filepath.Join(dir, "postgres", "data", "postmaster.pid"))
	must(t, err)
	must(t, syscall.Kill(atoi(t, strings.SplitN(string(b), "\n", 2)[0]), syscall.SIGQUIT))
	r := p.ended(t)
	if r.code != exitFailed || !strings.Contains(r.stderr, "\ntollgate: the embedded Postgres ended unexpectedly") &&
		!strings.HasPrefix(r.stderr, "tollgate: the embedded Postgres ended unexpectedly") {
		t.Errorf("exit code %d, %s", r.code, r.stderr)
	}
}

func atoi(t *testing.T, s string) int {
	t.Helper()
	n := 0
	for _, d := range strings.TrimSpace(s) {
		if d < '0' || d > '9' {
			t.Fatalf("%q is not a number", s)
		}
		n = n*10 + int(d-'0')
	}
	return n
}

func TestStartRefusals(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = taken.Close() }()
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	const nowhere = "DATABASE_URL=postgres://someone:sesame@127.0.0.1:1/nowhere"
	type c struct {
		name     string
		command  string
		settings []string
		says     []string
	}
	cases := []c{
		{"unwritable data directory", "up", []string{"TOLLGATE_DATA_DIR=" + file + "/data"}, []string{file, "TOLLGATE_DATA_DIR"}},
		{"no Postgres binaries", "up", []string{"TOLLGATE_PG_BIN=/nonexistent"}, []string{"TOLLGATE_PG_BIN"}},
		{"Postgres unreachable", "up", []string{nowhere, "TOLLGATE_DATABASE_WAIT=0s"}, []string{"127.0.0.1:1", "cannot be reached"}},
		{"Postgres unreachable from control", "control", []string{nowhere, "TOLLGATE_DATABASE_WAIT=0s"}, []string{"cannot be reached"}},
		{"Postgres that refuses", "control", []string{"DATABASE_URL=" + strings.Replace(pgtest.Empty(t), "/tollgate_test", "/not_tollgate_test", 1)}, []string{"does not exist"}},
		{"Postgres unreachable from a verb", "tenant list", []string{nowhere}, []string{"cannot be reached"}},
		{"schema newer", "up", []string{"DATABASE_URL=" + newer(t)}, []string{"newer than this program"}},
		{"schema newer for a verb", "tenant list", []string{"DATABASE_URL=" + newer(t)}, []string{"newer than this program"}},
		{"schema older for control", "control", []string{"DATABASE_URL=" + pgtest.Empty(t)}, []string{"tollgate migrate"}},
		{"control without a database", "control", nil, []string{"DATABASE_URL"}},
		{"gateway without a feed", "gateway", nil, []string{"TOLLGATE_FEED_URL", "TOLLGATE_NODE_TOKEN"}},
		{"migrate without a database", "migrate", nil, []string{"DATABASE_URL"}},
		{"no installation", "tenant list", nil, []string{"no installation", "tollgate up"}},
		{"wrong setting", "up", []string{"TOLLGATE_REGION=Here"}, []string{"TOLLGATE_REGION"}},
	}
	for _, a := range []string{"CONTROL", "GATEWAY", "GATEWAY_TLS", "ADMIN"} {
		name := "TOLLGATE_" + a + "_ADDR"
		cases = append(cases, c{"taken " + name, "up", []string{name + "=" + taken.Addr().String()}, []string{name, taken.Addr().String(), "taken"}})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := newDir(t)
			r := cli(t, environ(dir, c.settings...), strings.Fields(c.command)...)
			r.refusal(t, c.says...)
			if strings.Contains(r.stderr, "sesame") {
				t.Errorf("it gives the password away: %s", r.stderr)
			}
			noPostgres(t, dir)
		})
	}
}

// newer is the URL of a database that a later version has migrated.
func newer(t *testing.T) string {
	t.Helper()
	url := pgtest.URL(t)
	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	_, err = conn.Exec(t.Context(), `UPDATE schema_migrations SET version = 99999`)
	must(t, err)
	return url
}

// A control plane, a worker and a node in processes of their own, on a Postgres that is
// not ours to start.
func TestControlWorkerAndGateway(t *testing.T) {
	t.Parallel()
	database := pgtest.Empty(t)
	env := environ(newDir(t), "DATABASE_URL="+database)
	if r := cli(t, env, "migrate"); r.code != 0 {
		t.Fatalf("migrate: %s", r.stderr)
	}
	p := start(t, append(env, "TOLLGATE_JOBS=false"), "control")
	if p.gateway != "" {
		t.Errorf("control runs a gateway: %s", p.said())
	}
	token := cliJSON[struct{ Token string }](t, env, "node", "create", "--name", "n1").Token
	secret := filepath.Join(t.TempDir(), "token")
	must(t, os.WriteFile(secret, []byte(token+"\n"), 0o600))
	g := start(t, environ(newDir(t), "TOLLGATE_FEED_URL="+p.console, "TOLLGATE_NODE_TOKEN_FILE="+secret, "TOLLGATE_NODE=n1"), "gateway")
	if r := g.end(t, syscall.SIGTERM); r.code != 0 {
		t.Errorf("the gateway's exit code is %d: %s", r.code, r.stderr)
	}

	conn, err := pgx.Connect(t.Context(), database)
	must(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	jobs := func() (known, done int) {
		must(t, conn.QueryRow(t.Context(), `select count(*), count(*) filter (where state = 'completed') from river_job`).Scan(&known, &done))
		return known, done
	}
	if known, _ := jobs(); known != 0 {
		t.Errorf("a control plane that was told to leave jobs alone made %d", known)
	}
	w := start(t, environ(newDir(t), "DATABASE_URL="+database, "TOLLGATE_SECRET_KEY_FILE="+filepath.Join(p.dir, "secret.key")), "worker")
	if w.console != "" || w.gateway != "" {
		t.Errorf("a worker is more than that: %s", w.said())
	}
	until(t, "the worker's first job", func() bool { _, done := jobs(); return done > 0 })
	_, probes, _ := strings.Cut(w.said(), "probes=")
	until(t, "the checks of the books", func() bool {
		_, page := get(t, strings.TrimSpace(probes)+"/metrics")
		return strings.Contains(page, `tollgate_check_wrong{check="I2"} 0`) && strings.Contains(page, `tollgate_check_figure{check="I5",figure="payers and months"} 0`)
	})
	for name, p := range map[string]*daemon{"worker": w, "control plane": p} {
		if r := p.end(t, syscall.SIGTERM); r.code != 0 {
			t.Errorf("the %s's exit code is %d: %s", name, r.code, r.stderr)
		}
	}
}

// A Postgres that cuts the lines of a control plane while it starts is waited for.
func TestPostgresCutsTheStart(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(pgtest.URL(t))
	must(t, err)
	behind := u.Host
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = l.Close() }()
	u.Host = l.Addr().String()
	go func() {
		for n := 1; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				if n == 1 || n == 3 || n == 5 { // the check of the schema, then what comes after it
					return
				}
				to, err := net.Dial("tcp", behind)
				if err != nil {
					return
				}
				defer func() { _ = to.Close() }()
				go func() { _, _ = io.Copy(to, c) }()
				_, _ = io.Copy(c, to)
			}()
		}
	}()
	p := start(t, environ(newDir(t), "DATABASE_URL="+u.String()), "control")
	if r := p.end(t, syscall.SIGTERM); r.code != 0 || strings.Count(r.stderr, "it is waited for") < 2 {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
	_ = l.Close() // nobody is there any more
	r := cli(t, environ(newDir(t), "DATABASE_URL="+u.String(), "TOLLGATE_DATABASE_WAIT=1ms"), "control")
	if r.code == 0 || !strings.Contains(r.stderr, "cannot be reached") || !strings.Contains(r.stderr, "start Postgres or correct DATABASE_URL") {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	env := environ(newDir(t))
	for _, args := range []string{"nonsense", "api nonsense", "api list --nonsense", "api list --output xml", "tenant create --name N", "api deploy", "up more"} {
		r := cli(t, env, strings.Fields(args)...)
		if r.code != exitUsage || strings.Count(r.stderr, "\n") != 1 || r.stdout != "" {
			t.Errorf("tollgate %s: exit code %d, %q, %q", args, r.code, r.stdout, r.stderr)
		}
	}
	help := cli(t, env, "up", "--help")
	for _, s := range settings() {
		if !strings.Contains(help.stdout, s.name) || s.help == "" {
			t.Errorf("up --help does not explain %s", s.name)
		}
	}
	if r := cli(t, env, "completion", "bash"); r.code != 0 || !strings.Contains(r.stdout, "complete") {
		t.Errorf("no completion: %s", r.stderr)
	}
}
