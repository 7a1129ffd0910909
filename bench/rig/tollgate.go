package rig

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"tollgate/migrations/pgserver"
)

// Tollgate is an installation under test: where its programs and data are.
type Tollgate struct {
	rig *Rig
	bin string // the whole program
	gw  string // the data plane alone
	url string // of the database, the same after every crash
	key string // seals what the database keeps; of all control planes and workers

	Data     string // data directory of the control plane
	Control  string // address of console and feed
	Admin    string // address of the control plane's admin listener
	Postgres *pgserver.Server
	Env      []string // settings of every control plane, worker and command, beside what they need
}

// NewTollgate builds the programs, chooses addresses, starts a Postgres and
// makes the schema. flags are for the build of the data plane.
func (r *Rig) NewTollgate(ctx context.Context, flags ...string) (*Tollgate, error) {
	var key [32]byte
	_, _ = rand.Read(key[:])
	t := &Tollgate{rig: r, Data: r.Path("control"), key: hex.EncodeToString(key[:])}
	var err error
	if t.bin, err = r.Build(ctx, "tollgate/cmd/tollgate"); err != nil {
		return nil, err
	}
	if t.gw, err = r.Build(ctx, "tollgate/cmd/tollgate-gateway", flags...); err != nil {
		return nil, err
	}
	if t.Control, err = FreeAddr(); err != nil {
		return nil, err
	}
	if t.Admin, err = FreeAddr(); err != nil {
		return nil, err
	}
	r.OnClose(func() {
		if t.Postgres != nil {
			_ = t.Postgres.Crash() // its folder goes next
		}
	})
	if err := t.StartPostgres(ctx); err != nil {
		return nil, err
	}
	t.url = t.Postgres.URL()
	_, err = t.run(ctx, "migrate")
	return t, err
}

// StartPostgres starts the Postgres server, also again after a crash.
func (t *Tollgate) StartPostgres(ctx context.Context) error {
	pg, err := pgserver.Start(ctx, pgserver.Options{Dir: t.rig.Path("postgres")})
	if err != nil {
		return err
	}
	if t.url != "" && t.url != pg.URL() {
		_ = pg.Crash()
		return errors.New("came back at another address, where the control plane will not look: Postgres")
	}
	t.Postgres = pg
	return nil
}

// Backup copies the files of a Postgres that does not run, and Restore puts the copy in
// their place.
func (t *Tollgate) Backup() error { return t.copyFiles("postgres", "backup") }

// Restore puts the backup in the place of what a Postgres that does not run has now.
func (t *Tollgate) Restore() error { return t.copyFiles("backup", "postgres") }

func (t *Tollgate) copyFiles(from, to string) error {
	if err := os.RemoveAll(t.rig.Path(to)); err != nil {
		return err
	}
	if out, err := exec.Command("cp", "-a", t.rig.Path(from), t.rig.Path(to)).CombinedOutput(); err != nil {
		return fmt.Errorf("copy the database's files: %w\n%s", err, out)
	}
	return nil
}

func (t *Tollgate) env(more ...string) []string {
	own := append([]string{
		"TOLLGATE_DATA_DIR=" + t.Data,
		"TOLLGATE_CONTROL_ADDR=" + t.Control,
		"TOLLGATE_ADMIN_ADDR=" + t.Admin,
		"TOLLGATE_UPSTREAM_ALLOW=127.0.0.0/8",
		"TOLLGATE_SECRET_KEY=" + t.key,
	}, t.Env...)
	return append(own, more...)
}

func (t *Tollgate) database() string { return "DATABASE_URL=" + t.url }

// StartControl starts the control plane and waits until it answers.
func (t *Tollgate) StartControl(ctx context.Context, cpu int) (*Process, error) {
	p, err := t.rig.Start(Command{Name: "control", Args: []string{t.bin, "control"}, Env: t.env(t.database()), CPU: cpu})
	if err != nil {
		return nil, err
	}
	return p, t.rig.Ready(ctx, p, t.Admin)
}

// Part is one of several control planes, or a worker, that share the installation's
// database: its addresses and data directory are its own.
type Part struct {
	Name, Addr, Admin string

	t       *Tollgate
	command string
	env     []string
}

// NewPart is a part that runs a command of the program; env may name another way to the
// database than the straight one.
func (t *Tollgate) NewPart(name, command string, env ...string) (*Part, error) {
	p := &Part{Name: name, t: t, command: command}
	var err error
	if p.Addr, err = FreeAddr(); err != nil {
		return nil, err
	}
	if p.Admin, err = FreeAddr(); err != nil {
		return nil, err
	}
	p.env = append(t.env(t.database(), "TOLLGATE_DATA_DIR="+t.rig.Path(name), "TOLLGATE_CONTROL_ADDR="+p.Addr, "TOLLGATE_ADMIN_ADDR="+p.Admin), env...)
	return p, nil
}

// Launch starts the part and does not wait for it.
func (p *Part) Launch() (*Process, error) {
	return p.t.rig.Start(Command{Name: p.Name, Args: []string{p.t.bin, p.command}, Env: p.env, CPU: AnyCPU})
}

// Ready waits until the part's process serves.
func (p *Part) Ready(ctx context.Context, q *Process) error { return p.t.rig.Ready(ctx, q, p.Admin) }

// Up is a `tollgate up`: control, worker and gateway in one process, on the data
// directory and database of the installation, or on an empty data directory with
// a Postgres in it.
type Up struct {
	Process *Process
	Gateway string // address
}

// StartUp starts `tollgate up` and does not wait for it.
func (t *Tollgate) StartUp(empty bool) (*Up, error) {
	u := &Up{}
	var err error
	if u.Gateway, err = FreeAddr(); err != nil {
		return nil, err
	}
	env := t.env("TOLLGATE_GATEWAY_ADDR="+u.Gateway, anyTLSAddr)
	if empty {
		env = append(env, "TOLLGATE_DATA_DIR="+t.rig.Path("empty"))
	} else {
		env = append(env, t.database())
	}
	u.Process, err = t.rig.Start(Command{Name: "up", Args: []string{t.bin, "up"}, CPU: AnyCPU, Env: env})
	return u, err
}

// anyTLSAddr keeps the TLS listener, which no load uses, out of the way.
const anyTLSAddr = "TOLLGATE_GATEWAY_TLS_ADDR=127.0.0.1:0"

// Node is a gateway process: its credentials, data directory and addresses.
type Node struct {
	Data, Addr, Admin string

	name string
	rig  *Rig
	bin  string
	env  []string
	cpu  int
}

// NewNode registers a node. Its feed is read at feedAddr, which may be a relay
// in front of the control plane.
func (t *Tollgate) NewNode(ctx context.Context, name, feedAddr string, cpu int, env ...string) (*Node, error) {
	var made struct {
		Token string `json:"token"`
	}
	if err := t.CLI(ctx, &made, "node", "create", "--gateway", "shared", "--name", name); err != nil {
		return nil, err
	}
	n := &Node{Data: t.rig.Path("node-" + name), name: name, rig: t.rig, bin: t.gw, cpu: cpu}
	var err error
	if n.Addr, err = FreeAddr(); err != nil {
		return nil, err
	}
	if n.Admin, err = FreeAddr(); err != nil {
		return nil, err
	}
	n.env = append([]string{
		"TOLLGATE_FEED_URL=http://" + feedAddr,
		"TOLLGATE_NODE_TOKEN=" + made.Token,
		"TOLLGATE_DATA_DIR=" + n.Data,
		"TOLLGATE_GATEWAY_ADDR=" + n.Addr,
		"TOLLGATE_ADMIN_ADDR=" + n.Admin,
		"TOLLGATE_UPSTREAM_ALLOW=127.0.0.0/8",
	}, env...)
	return n, nil
}

// Keep has the node keep its data in another directory than the rig's.
func (n *Node) Keep(dir string) {
	n.Data = dir
	n.env = append(n.env, "TOLLGATE_DATA_DIR="+dir)
}

// Launch starts the gateway process and does not wait for it.
func (n *Node) Launch() (*Process, error) {
	return n.rig.Start(Command{Name: "gateway-" + n.name, Args: []string{n.bin}, Env: n.env, CPU: n.cpu})
}

// Start starts the gateway process and waits until it is ready to serve.
func (n *Node) Start(ctx context.Context) (*Process, error) {
	p, err := n.Launch()
	if err != nil {
		return nil, err
	}
	return p, n.Ready(ctx, p)
}

// Ready waits until the gateway process serves.
func (n *Node) Ready(ctx context.Context, p *Process) error { return n.rig.Ready(ctx, p, n.Admin) }

// Ready waits until an admin listener says that its process serves.
func (r *Rig) Ready(ctx context.Context, p *Process, admin string) error {
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	return Poll(ctx, p, p.Name+" to be ready", func() bool {
		_, err := Get(ctx, "http://"+admin+"/readyz")
		return err == nil
	})
}

// Get fetches a small page; any status but 200 is an error.
func Get(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %.300s", url, res.Status, b)
	}
	return string(b), err
}

// CLI runs a command of the program with JSON output and decodes what it prints;
// out may be nil.
func (t *Tollgate) CLI(ctx context.Context, out any, args ...string) error {
	text, err := t.run(ctx, append(args, "--output", "json")...)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("tollgate %s printed no JSON: %w\n%.500s", strings.Join(args, " "), err, text)
	}
	return nil
}

func (t *Tollgate) run(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, t.bin, args...)
	cmd.Env = append(environment(), t.env(t.database())...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("tollgate %s: %w\n%s%s", strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.Bytes(), nil
}

// Publish imports a document, deploys it on stage prod and gives the API's id.
func (t *Tollgate) Publish(ctx context.Context, name string, document []byte) (api string, err error) {
	file := t.rig.Path(name + ".json")
	if err := os.WriteFile(file, document, 0o644); err != nil {
		return "", err
	}
	var made struct {
		ID string `json:"id"`
	}
	if err := t.CLI(ctx, &made, "api", "import", file); err != nil {
		return "", err
	}
	return made.ID, t.CLI(ctx, nil, "api", "deploy", made.ID, "--stage", "prod")
}

// Stack makes what a CloudFormation template describes and gives the id of its API.
func (t *Tollgate) Stack(ctx context.Context, name string, template []byte) (api string, err error) {
	file := t.rig.Path(name + ".template")
	if err := os.WriteFile(file, template, 0o644); err != nil {
		return "", err
	}
	var made struct {
		Things []struct {
			Kind, ID, Name, Done, Why string
		} `json:"things"`
	}
	if err := t.CLI(ctx, &made, "import-cfn", file, "--stack", name, "--fail-on-unsupported"); err != nil {
		return "", err
	}
	for _, x := range made.Things {
		if x.Done == "refused" {
			return "", fmt.Errorf("stack %s: the %s %s was refused: %s", name, x.Kind, x.Name, x.Why)
		}
		if x.Kind == "API" {
			api = x.ID
		}
	}
	return api, nil
}

// Plan makes a usage plan on an API's stage prod, with limits that are checked on
// every call and never reached, and keys for it.
func (t *Tollgate) Plan(ctx context.Context, api string, keys []string) error {
	return t.LimitedPlan(ctx, "bench", api, 1_000_000_000_000, keys)
}

// LimitedPlan is Plan with a quota of so many calls a month for each key.
func (t *Tollgate) LimitedPlan(ctx context.Context, name, api string, quota int64, keys []string) error {
	return t.plan(ctx, name, keys, "--rate", "10000", "--burst", "100000",
		"--quota", strconv.FormatInt(quota, 10), "--period", "MONTH", "--stage", api+":prod")
}

// HardPlan is a plan whose rate and burst all nodes keep together in Redis.
func (t *Tollgate) HardPlan(ctx context.Context, name, api string, rate, burst int, keys []string) error {
	return t.plan(ctx, name, keys, "--rate", strconv.Itoa(rate), "--burst", strconv.Itoa(burst), "--hard", "--stage", api+":prod")
}

// CentPlan is a plan with a price of a US cent a call, and with what bounds it.
func (t *Tollgate) CentPlan(ctx context.Context, name, api string, keys []string, bound ...string) error {
	return t.plan(ctx, name, keys, append(bound, "--currency", "USD", "--tier", ":0.01", "--stage", api+":prod")...)
}

func (t *Tollgate) plan(ctx context.Context, name string, keys []string, flags ...string) error {
	var plan struct {
		ID string `json:"id"`
	}
	if err := t.CLI(ctx, &plan, append([]string{"plan", "create", "--name", name}, flags...)...); err != nil {
		return err
	}
	file := t.rig.Path(name + "-keys.csv")
	if err := os.WriteFile(file, KeyFile(keys), 0o600); err != nil {
		return err
	}
	return t.CLI(ctx, nil, "key", "import", file, "--plan", plan.ID)
}

// CreateTenant makes the account that everything after it belongs to; the program
// acts for the only one there is.
func (t *Tollgate) CreateTenant(ctx context.Context) error {
	return t.CLI(ctx, nil, "tenant", "create", "--email", "bench@example.com", "--name", "bench")
}
