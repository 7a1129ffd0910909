package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"tollgate/control"
	"tollgate/control/changes"
	"tollgate/gateway/process"
	"tollgate/model"
)

func devCommand() *cobra.Command {
	var d devServer
	cmd := &cobra.Command{
		Use: "dev FILE", Short: "Serve an OpenAPI file on this machine and again whenever it changes", Args: cobra.ExactArgs(1),
		Long: "Serve an OpenAPI or Swagger file on this machine, with curl lines for its operations, and again whenever it\n" +
			"changes. What is wrong with it is told with line and column, and what was served last stays. Everything is in\n" +
			"one process and a directory that is removed at the end: no installation is touched. Ctrl-C ends it.",
		Example: "  tollgate dev openapi.yaml\n  tollgate dev openapi.yaml --upstream http://localhost:3000 --addr 127.0.0.1:9000",
		RunE: work(func(cmd *cobra.Command, args []string) error {
			d.file, d.out = args[0], cmd.OutOrStdout()
			return d.run(cmd)
		}),
	}
	cmd.Flags().StringVar(&d.addr, "addr", "127.0.0.1:8070", "where the gateway takes calls")
	cmd.Flags().StringVar(&d.upstream, "upstream", "", "where calls go, instead of the document's servers")
	cmd.Flags().BoolVar(&d.requireKey, "require-key", false, "every operation requires an API key; one is made")
	return cmd
}

// devServer serves one file.
type devServer struct {
	file, addr, upstream string
	requireKey           bool
	out                  io.Writer

	plane   *control.Plane
	actor   control.Actor
	base    string // of the gateway
	api     string // "" until the file could be read once
	key     string // value of the one that is made when a method wants it
	sum     [32]byte
	served  *model.Definition
	problem string // that was told last
}

const devStage = "dev"

func (d *devServer) run(cmd *cobra.Command) (err error) {
	if _, err := os.Stat(d.file); err != nil {
		return model.Errorf(model.NotFound, "%s cannot be read: %v", d.file, errors.Unwrap(err))
	}
	dir, err := os.MkdirTemp("", "tollgate-dev-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if os.Geteuid() == 0 {
		if err := os.Chmod(dir, 0o711); err != nil { // the embedded Postgres' own account passes through
			return err
		}
	}
	// The settings that name an installation are not this one's.
	environ := append(os.Environ(), "TOLLGATE_DATA_DIR="+filepath.Join(dir, "data"), "DATABASE_URL=", "DATABASE_URL_FILE=",
		"TOLLGATE_GATEWAY_ADDR="+d.addr, "TOLLGATE_GATEWAY_TLS_ADDR=127.0.0.1:0", "TOLLGATE_CONTROL_ADDR=127.0.0.1:0", "TOLLGATE_ADMIN_ADDR=127.0.0.1:0",
		"TOLLGATE_CONSOLE_URL=", "TOLLGATE_GATEWAY_URL=", "TOLLGATE_PORTAL_DOMAIN=", "TOLLGATE_ACME_EMAIL=")
	cfg, err := loadConfig(environ)
	if err != nil {
		return err
	}
	ctx, end := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer end()
	p := &program{shape: shape{faces: true, jobs: true, gateway: true, embedded: true, migrate: true}, cfg: cfg, out: io.Discard, log: logger(cfg, io.Discard),
		dir: &dataDir{path: cfg.DataDir}, metrics: process.NewRegistry(version), failed: make(chan error, 4), drainLimit: time.Second}
	defer func() { err = errors.Join(err, p.stop()) }()
	if err := p.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	d.plane = p.plane
	account, err := d.plane.CreateTenant(ctx, control.Operator(), control.NewTenant{Email: "dev@localhost.example", Name: "dev"})
	if err == nil {
		d.actor, err = d.plane.Owner(ctx, account.AccountID)
	}
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(p.gateway.Addr())
	d.base = "http://localhost:" + port
	changed := time.NewTicker(300 * time.Millisecond)
	defer changed.Stop()
	for {
		if err := d.look(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-p.pgDied:
			return model.Errorf(model.Unavailable, "the embedded Postgres ended unexpectedly")
		case err := <-p.failed:
			return err
		case <-changed.C:
		}
	}
}

// look serves the file when it is another than before. What is wrong with the file is
// told, and is no error of the command.
func (d *devServer) look(ctx context.Context) error {
	src, err := readSource(ctx, nil, d.file)
	if err != nil {
		d.tell(model.MessageOf(err))
		return nil
	}
	sum := sha256.Sum256(src)
	if sum == d.sum {
		return nil
	}
	d.sum, d.problem = sum, ""
	if err := d.serve(ctx, src); err != nil && ctx.Err() == nil {
		if model.KindOf(err) == "" {
			return err
		}
		d.tell(d.file + ": " + model.MessageOf(err))
		if d.served != nil {
			fmt.Fprintln(d.out, "  what was served before stays; save the file again")
		}
	}
	return nil
}

// tell says something once.
func (d *devServer) tell(problem string) {
	if problem != d.problem {
		d.problem = problem
		fmt.Fprintln(d.out, problem)
	}
}

func (d *devServer) serve(ctx context.Context, src []byte) error {
	got, err := d.plane.ImportAPI(ctx, d.actor, control.ImportAPI{Source: src, SourceName: d.file, Upstream: d.upstream, RequireKey: d.requireKey, APIID: d.api})
	if err != nil {
		return err
	}
	d.api = got.API.ID
	for _, p := range got.Problems {
		at := p.Pointer
		if p.Line > 0 {
			at = fmt.Sprintf("%d:%d", p.Line, p.Column)
		}
		fmt.Fprintf(d.out, "%s:%s: %s: %s\n", d.file, at, p.Severity, cell(p.Message))
	}
	deployed, err := d.plane.Deploy(ctx, d.actor, control.Deploy{APIID: d.api, Stage: devStage})
	if err != nil {
		return err
	}
	for _, r := range deployed.Receipts {
		if !r.Applied {
			return model.Errorf(model.Unavailable, "the gateway has not taken it: %s", r.Error)
		}
	}
	now, err := d.plane.API(ctx, d.actor, d.api)
	if err != nil {
		return err
	}
	if err := d.needKey(ctx, &now.Definition); err != nil {
		return err
	}
	if d.served == nil {
		fmt.Fprintf(d.out, "%s is served: %d operations. It is watched; Ctrl-C ends.\n\n", d.file, deployed.Deployment.Methods)
		d.curls(&now.Definition)
	} else {
		all := changes.Compare(changes.State{Definition: d.served}, changes.State{Definition: &now.Definition})
		fmt.Fprintf(d.out, "%s is served again: %d operations\n", d.file, deployed.Deployment.Methods)
		for _, c := range all {
			fmt.Fprintf(d.out, "  %-8s %s\n", c.Level, cell(strings.TrimSpace(c.Method+" "+c.Path+" ")+": "+c.Text))
		}
	}
	d.served = &now.Definition
	return nil
}

// needKey makes the key that methods ask for, once one does.
func (d *devServer) needKey(ctx context.Context, def *model.Definition) error {
	wanted := false
	for _, r := range def.Resources {
		for _, m := range r.Methods {
			wanted = wanted || m.APIKeyRequired
		}
	}
	if !wanted || d.key != "" {
		return nil
	}
	plan, err := d.plane.CreatePlan(ctx, d.actor, control.PlanSpec{Name: "dev", Stages: []model.PlanStage{{APIID: d.api, Stage: devStage}}})
	if err != nil {
		return err
	}
	key, err := d.plane.CreateKey(ctx, d.actor, control.NewKey{Name: "dev", Enabled: true, PlanIDs: []string{plan.ID}})
	if err != nil {
		return err
	}
	d.key = key.Value
	return nil
}

var pathVariable = regexp.MustCompile(`\{([^}+]+)\+?\}`)

// maxCurls are printed: a document may have thousands of operations.
const maxCurls = 30

func (d *devServer) curls(def *model.Definition) {
	n := 0
	for _, r := range def.Resources {
		verbs := make([]string, 0, len(r.Methods))
		for v := range r.Methods {
			verbs = append(verbs, v)
		}
		sort.Strings(verbs)
		for _, v := range verbs {
			if n++; n > maxCurls {
				continue
			}
			m := r.Methods[v]
			var line strings.Builder
			line.WriteString("curl")
			if v == "ANY" {
				v = "GET"
			}
			if v != "GET" {
				line.WriteString(" -X " + v)
			}
			if m.APIKeyRequired {
				line.WriteString(" -H 'x-api-key: " + d.key + "'")
			}
			for media := range m.RequestModels {
				if v != "GET" && media == "application/json" {
					line.WriteString(" -H 'content-type: application/json' -d '{}'")
				}
			}
			path := pathVariable.ReplaceAllString(r.Path, "$1")
			line.WriteString(" '" + strings.ReplaceAll(d.base+"/_aws/execute-api/"+d.api+"/"+devStage+path, "'", "%27") + "'")
			fmt.Fprintln(d.out, cell(line.String()))
		}
	}
	if n > maxCurls {
		fmt.Fprintf(d.out, "… and %d more\n", n-maxCurls)
	}
}
