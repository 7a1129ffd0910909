package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"tollgate/bench/rig"
	"tollgate/bench/velocity/order"
)

// Rows, in the order of the report.
const (
	nginxPlain    = "nginx"
	nginxGateway  = "nginx-gw"
	haproxy       = "haproxy"
	caddy         = "caddy"
	tollgatePlain = "tollgate-plain"
	tollgateAll   = "tollgate-all"
)

var rowNames = []string{nginxPlain, nginxGateway, haproxy, caddy, tollgatePlain, tollgateAll,
	nginxToken, tollgateToken, tollgateJWT, tollgateCached, nginxPost, tollgatePost, tollgateVTL, tollgateValidated}

// How to get what is missing.
const (
	nginxHint   = "apt-get install nginx-light"
	wrkHint     = "apt-get install wrk"
	haproxyHint = "apt-get install haproxy"
	caddyHint   = "GOBIN=~/.cache/tollgate-bench go install github.com/caddyserver/caddy/v2/cmd/caddy@v2.11.9 (some minutes)"
)

// requestCount is how many different requests the load consists of.
const requestCount = 4096

//go:embed peers
var peers embed.FS

// row is one proxy under test.
type row struct {
	name    string
	addr    string
	calls   string // file of requests
	first   []string
	answer  []byte // that every call must have; nil: what the upstream answers a GET
	process *rig.Process
	missing string // why there is no such row
}

type stage struct {
	rig                 *rig.Rig
	o                   options
	log                 func(format string, a ...any)
	proxyCore, loadCore int

	wrk      string
	upstream string
	api      string // id of the API with all routes
	keys     []string
	rows     []*row
	plain    *row   // the first that nginx without a gateway's work runs for
	stepAPI  string // id of the API with a method for each step
	issuer   *issuer
	tollgate *rig.Tollgate
	control  *rig.Process
	node     *rig.Node
	gateway  *rig.Process
}

func (s *stage) wants(name string) bool {
	return len(s.o.only) == 0 || slices.Contains(s.o.only, name)
}

// setUp starts the upstream and every proxy that is wanted and installed.
func (s *stage) setUp(ctx context.Context) error {
	var err error
	if s.wrk, err = rig.Tool("wrk", wrkHint); err != nil {
		return err
	}
	if err := s.write("document.json", order.Document); err != nil {
		return err
	}
	if s.upstream, err = s.rig.StartUpstream(ctx, s.loadCore, "-post", s.rig.Path("document.json")); err != nil {
		return err
	}
	s.keys = rig.Keys(s.o.keys)
	s.api = "benchmarks" // unless Tollgate gives it an id
	s.stepAPI = s.api
	plainAPI := s.api
	if slices.ContainsFunc(rowNames, func(name string) bool { return s.wants(name) && ofTollgate(name) }) {
		if plainAPI, err = s.setUpTollgate(ctx); err != nil {
			return err
		}
	}
	all := rig.Requests(requestCount, s.api, s.services(), s.keys)
	plain := rig.Requests(requestCount, plainAPI, 1, s.keys)
	token := "none"
	if s.issuer != nil {
		if token, err = s.issuer.token(); err != nil {
			return err
		}
	}
	if err := s.write("calls.lua", peer("calls.lua")); err != nil {
		return err
	}
	for _, name := range rowNames {
		if !s.wants(name) {
			continue
		}
		r := &row{name: name, calls: s.rig.Path("calls-" + name), first: all}
		switch {
		case name == tollgatePlain:
			r.first = plain
		case r.isStep():
			r.first = stepRequests(name, s.stepAPI, token)
			if r.answer, err = stepAnswer(name); err != nil {
				return err
			}
		}
		if err := s.write("calls-"+name, strings.Join(r.first, "\x1e")); err != nil {
			return err
		}
		if err := s.start(ctx, r); err != nil {
			return err
		}
		s.rows = append(s.rows, r)
	}
	return nil
}

func ofTollgate(name string) bool { return strings.HasPrefix(name, "tollgate-") }

func (s *stage) services() int { return (s.o.routes + 1) / 2 }

// setUpTollgate publishes three APIs: one of all routes with keys, one of a single
// service without, one with a method for each step. It gives the second one's id.
func (s *stage) setUpTollgate(ctx context.Context) (plainAPI string, err error) {
	if s.tollgate, err = s.rig.NewTollgate(ctx); err != nil {
		return "", err
	}
	t := s.tollgate
	pids, err := rig.Family(t.Postgres.Pid())
	if err != nil {
		return "", err
	}
	if err := rig.Pin(pids, s.loadCore); err != nil {
		return "", err
	}
	if s.control, err = t.StartControl(ctx, s.loadCore); err != nil {
		return "", err
	}
	if err := t.CreateTenant(ctx); err != nil {
		return "", err
	}
	doc, err := rig.Document("bench", s.upstream, s.services(), true)
	if err != nil {
		return "", err
	}
	if s.api, err = t.Publish(ctx, "bench", doc); err != nil {
		return "", err
	}
	if doc, err = rig.Document("plain", s.upstream, 1, false); err != nil {
		return "", err
	}
	if plainAPI, err = t.Publish(ctx, "plain", doc); err != nil {
		return "", err
	}
	if err := s.setUpSteps(ctx); err != nil {
		return "", err
	}
	s.log("tollgate: importing %d keys", len(s.keys))
	if err := t.Plan(ctx, s.api, s.keys); err != nil {
		return "", err
	}
	if s.node, err = t.NewNode(ctx, "bench", t.Control, s.proxyCore, "TOLLGATE_USER_POOLS="+userPool+"="+s.issuer.url); err != nil {
		return "", err
	}
	s.gateway, err = s.node.Start(ctx)
	return plainAPI, err
}

// start brings a row's proxy up and lets it answer some requests.
func (s *stage) start(ctx context.Context, r *row) error {
	var err error
	switch {
	case ofTollgate(r.name):
		r.addr, r.process = s.node.Addr, s.gateway
	case s.plain != nil && (r.name == nginxToken || r.name == nginxPost):
		r.addr, r.process = s.plain.addr, s.plain.process
	default:
		err = s.startPeer(ctx, r)
	}
	switch {
	case errors.Is(err, rig.ErrMissing) && (r.name == haproxy || r.name == caddy):
		r.missing = err.Error()
		s.log("%s: left out: %v", r.name, err)
		return nil
	case err != nil:
		return err
	}
	return check(ctx, r)
}

func (s *stage) startPeer(ctx context.Context, r *row) error {
	var err error
	if r.addr, err = rig.FreeAddr(); err != nil {
		return err
	}
	var args []string
	switch r.name {
	case nginxPlain, nginxGateway, nginxToken, nginxPost:
		args, err = s.nginx(r)
	case haproxy:
		var bin, conf string
		if bin, err = rig.Tool("haproxy", haproxyHint); err == nil {
			conf, err = s.configure(r, "haproxy.cfg")
			args = []string{bin, "-f", conf}
		}
	case caddy:
		var bin, conf string
		if bin, err = findCaddy(); err == nil {
			conf, err = s.configure(r, "Caddyfile")
			args = []string{bin, "run", "--config", conf, "--adapter", "caddyfile"}
		}
	}
	if err != nil {
		return err
	}
	env := []string{"XDG_DATA_HOME=" + s.rig.Dir, "XDG_CONFIG_HOME=" + s.rig.Dir}
	r.process, err = s.rig.Start(rig.Command{Name: r.name, Args: args, Env: env, CPU: s.proxyCore})
	if err != nil {
		return err
	}
	return rig.WaitPort(ctx, r.process, r.addr)
}

func (s *stage) nginx(r *row) ([]string, error) {
	bin, err := rig.Tool("nginx", nginxHint)
	if err != nil {
		return nil, err
	}
	if r.name == nginxGateway {
		var keys, locations strings.Builder
		for i, k := range s.keys {
			fmt.Fprintf(&keys, "\"%s\" \"c%d\";\n", k, i)
		}
		for i := range s.o.routes {
			fmt.Fprintf(&locations, "location /prod/v1/svc%d/items/ { if ($client = \"\") { return 403; } limit_req zone=keys burst=100000 nodelay; proxy_pass http://up; }\n", i)
		}
		if err := errors.Join(s.write("keymap.conf", keys.String()), s.write("locations.conf", locations.String())); err != nil {
			return nil, err
		}
	}
	of := r.name
	if of != nginxGateway {
		of, s.plain = nginxPlain, r
	}
	conf, err := s.configure(r, of+".conf")
	return []string{bin, "-c", conf, "-e", s.rig.Path(of + ".err")}, err
}

// findCaddy looks where the hint puts it as well as in the path.
func findCaddy() (string, error) {
	var dirs []string
	if c, err := os.UserCacheDir(); err == nil {
		dirs = append(dirs, filepath.Join(c, "tollgate-bench"))
	}
	if b, err := exec.Command("go", "env", "GOPATH").Output(); err == nil {
		dirs = append(dirs, filepath.Join(strings.TrimSpace(string(b)), "bin"))
	}
	return rig.Tool("caddy", caddyHint, dirs...)
}

// accessLog is where nginx-gw logs; it is emptied between runs.
func (s *stage) accessLog() string { return s.rig.Path("nginx-gw-access.log") }

// configure writes a peer's configuration, its template filled, and names it.
func (s *stage) configure(r *row, file string) (string, error) {
	t, err := template.ParseFS(peers, "peers/nginx-common", "peers/"+file)
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(r.addr)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.ExecuteTemplate(&b, file, map[string]string{
		"Dir": s.rig.Dir, "Addr": r.addr, "Port": port, "Upstream": s.upstream, "Host": rig.Host(s.api), "Log": s.accessLog(),
	})
	if err != nil {
		return "", err
	}
	return s.rig.Path(file), s.write(file, b.String())
}

func (s *stage) write(name, content string) error {
	return os.WriteFile(s.rig.Path(name), []byte(content), 0o644)
}

func peer(name string) string {
	b, err := peers.ReadFile("peers/" + name)
	if err != nil {
		panic(err) // it is compiled in
	}
	return string(b)
}
