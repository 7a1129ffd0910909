package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"tollgate/billing"
	"tollgate/billing/intake"
	"tollgate/billing/stripe"
	"tollgate/control"
	"tollgate/control/pool"
	"tollgate/gateway"
	"tollgate/gateway/process"
	"tollgate/migrations"
	"tollgate/migrations/pgserver"
	"tollgate/model"
)

func upCommand() *cobra.Command {
	return &cobra.Command{
		Use: "up", Short: "Run everything on this machine: control plane, worker, gateway and, without DATABASE_URL, Postgres",
		Long: "Run control plane, worker and gateway in one process, and, without DATABASE_URL, a Postgres of its own\nin the data directory. Ctrl-C stops everything in order.\n\n" + settingsHelp(),
		Args: cobra.NoArgs,
		RunE: work(func(cmd *cobra.Command, _ []string) error {
			return serve(cmd, shape{faces: true, jobs: true, gateway: true, embedded: true, migrate: true})
		}),
	}
}

func controlCommand() *cobra.Command {
	return &cobra.Command{
		Use: "control", Short: "Run a control plane, and background jobs, without a gateway; needs DATABASE_URL",
		Long: "Run a control plane on the Postgres in DATABASE_URL, whose schema `tollgate migrate` has made. Several share one database\nand TOLLGATE_SECRET_KEY. It runs background jobs too, unless TOLLGATE_JOBS=false. Gateway nodes follow it with `tollgate gateway`.\n\n" + settingsHelp(),
		Args: cobra.NoArgs,
		RunE: work(func(cmd *cobra.Command, _ []string) error {
			return serve(cmd, shape{faces: true, jobs: true})
		}),
	}
}

func workerCommand() *cobra.Command {
	return &cobra.Command{
		Use: "worker", Short: "Run background jobs alone: roll-ups, invoices, mail, certificates; needs DATABASE_URL",
		Long: "Run background jobs on the Postgres in DATABASE_URL, beside control planes with TOLLGATE_JOBS=false, whose TOLLGATE_SECRET_KEY\nand TOLLGATE_CONSOLE_URL it needs. Several share the work; each job is done once.\n\n" + settingsHelp(),
		Args: cobra.NoArgs,
		RunE: work(func(cmd *cobra.Command, _ []string) error {
			return serve(cmd, shape{jobs: true})
		}),
	}
}

func migrateCommand() *cobra.Command {
	var restored bool
	c := &cobra.Command{
		Use: "migrate", Short: "Bring the schema of the database in DATABASE_URL to this version", Args: cobra.NoArgs,
		Long: `Bring the schema of the database in DATABASE_URL to this version. With --restored, after the database
was restored from a backup, pass over the numbers that it gave out since: usage of that time that
nodes still hand in is then nobody else's.`,
		RunE: work(func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(os.Environ())
			if err != nil {
				return err
			}
			if cfg.DatabaseURL == "" {
				return model.Errorf(model.Invalid, "set DATABASE_URL to the database to migrate; `tollgate up` migrates its embedded one by itself")
			}
			up := func(ctx context.Context) error {
				if err := migrations.Up(ctx, cfg.DatabaseURL); err != nil || !restored {
					return err
				}
				return migrations.Restored(ctx, cfg.DatabaseURL)
			}
			if err := whenUp(cmd.Context(), cfg, logger(cfg, cmd.ErrOrStderr()), up); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "the schema is up to date")
			return err
		}),
	}
	c.Flags().BoolVar(&restored, "restored", false, "the database was restored from a backup: give out no number again")
	return c
}

// shape says which parts a process has.
type shape struct {
	faces    bool // console, portals, APIs and the feed
	jobs     bool // background jobs, unless TOLLGATE_JOBS says that others run them
	gateway  bool // a gateway node in this process
	embedded bool // Postgres in the data directory when there is no DATABASE_URL
	migrate  bool // bring the schema to this version by itself
}

// program is the parts of a running process. Each part's stop is pushed when it
// has started, and they run in reverse order.
type program struct {
	shape
	cfg     *Config
	log     *slog.Logger
	out     io.Writer
	dir     *dataDir
	stops   []func(context.Context) error
	url     string
	pgDied  <-chan struct{}
	pool    *pgxpool.Pool
	plane   *control.Plane
	intake  *intake.Intake
	billing *billing.Billing
	stripe  *stripe.Rail                                      // nil: invoices are paid by bank transfer
	links   atomic.Pointer[func(slug, invoice string) string] // where invoices are looked at
	gateway *gateway.Gateway
	admin   *process.Admin
	control net.Listener
	metrics *prometheus.Registry
	failed  chan error // a server of ours ended by itself

	drainLimit time.Duration
}

// serve runs the parts until the command's context ends, which is a clean end, or
// a part fails, which is not.
func serve(cmd *cobra.Command, s shape) error {
	cfg, err := loadConfig(os.Environ())
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	p := &program{
		shape: s, cfg: cfg, out: cmd.OutOrStdout(), log: logger(cfg, cmd.ErrOrStderr()),
		dir: &dataDir{path: cfg.DataDir}, metrics: process.NewRegistry(version), failed: make(chan error, 4),
		drainLimit: cfg.DrainTimeout,
	}
	for _, name := range cfg.unknown {
		p.log.Warn("unknown setting: it has no effect", "name", name)
	}
	err = p.start(ctx)
	if err == nil {
		err = p.wait(ctx)
	}
	if ctx.Err() != nil {
		// However far the start had come: the end was asked for.
		err = nil
	}
	return errors.Join(err, p.stop())
}

// start brings the parts up, the cheap and likely to be refused first: each step
// needs those before it.
func (p *program) start(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		p.takeDataDir, p.listen, p.startDatabase, p.startControl, p.startIntake, p.startStripe, p.startWorker,
		p.startGateway, p.startFaces, p.startBeside, p.announce,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (p *program) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		fmt.Fprintln(p.out, "tollgate stopping; Ctrl-C again ends it at once")
		return nil
	case <-p.pgDied:
		// Usage cannot be handed in now; the journal keeps it for the next start.
		p.drainLimit = min(p.drainLimit, 3*time.Second)
		return model.Errorf(model.Unavailable, "the embedded Postgres ended unexpectedly: see %s/server.log, then start tollgate again", p.dir.postgres())
	case err := <-p.failed:
		return err
	}
}

// stop ends the parts in reverse order, and all of them, whatever one says.
func (p *program) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), p.cfg.DrainTimeout+15*time.Second)
	defer cancel()
	var errs []error
	for i := len(p.stops) - 1; i >= 0; i-- {
		errs = append(errs, p.stops[i](ctx))
	}
	return errors.Join(errs...)
}

func (p *program) onStop(f func(context.Context) error) { p.stops = append(p.stops, f) }

func (p *program) takeDataDir(ctx context.Context) error {
	if err := p.dir.make(); err != nil {
		return err
	}
	if err := p.dir.hold(ctx); err != nil {
		return err
	}
	p.onStop(func(context.Context) error { p.dir.unlock(); return nil })
	return nil
}

// listen takes the addresses, so that a taken one is told before anything starts.
func (p *program) listen(context.Context) error {
	var err error
	if p.shape.faces {
		if p.control, err = listen("TOLLGATE_CONTROL_ADDR", p.cfg.ControlAddr); err != nil {
			return err
		}
		p.onStop(func(context.Context) error { _ = p.control.Close(); return nil })
	}
	try := [][2]string{{"TOLLGATE_ADMIN_ADDR", p.cfg.AdminAddr}}
	if p.shape.gateway {
		try = append(try, [2]string{"TOLLGATE_GATEWAY_ADDR", p.cfg.GatewayAddr}, [2]string{"TOLLGATE_GATEWAY_TLS_ADDR", p.cfg.GatewayTLSAddr})
	}
	if err := tryAddresses(try...); err != nil {
		return err
	}
	if p.admin, err = process.StartAdmin(p.cfg.AdminAddr, p.metrics); err != nil {
		return err
	}
	p.onStop(func(context.Context) error { p.admin.Stop(); return nil })
	return nil
}

func (p *program) startDatabase(ctx context.Context) error {
	p.url = p.cfg.DatabaseURL
	switch {
	case p.url != "":
	case !p.embedded:
		return model.Errorf(model.Invalid, "set DATABASE_URL to a Postgres 15 or newer; only `tollgate up` runs one of its own")
	default:
		pg, err := pgserver.Start(ctx, pgserver.Options{Dir: p.dir.postgres(), Bin: p.cfg.PGBin})
		if err != nil {
			return err
		}
		p.onStop(pg.Stop)
		p.url, p.pgDied = pg.URL(), pg.Died()
	}
	check := migrations.Check
	if p.migrate {
		check = migrations.Up
	}
	if err := p.whenUp(ctx, func(ctx context.Context) error { return check(ctx, p.url) }); err != nil {
		return err
	}
	var err error
	if p.pool, err = pool.Open(ctx, p.url); err != nil {
		return err
	}
	p.onStop(func(context.Context) error { p.pool.Close(); return nil })
	return nil
}

func (p *program) whenUp(ctx context.Context, f func(context.Context) error) error {
	return whenUp(ctx, p.cfg, p.log, f)
}

// whenUp repeats f while the database is away, so that nothing has to be started in any
// order: for no longer than it may, then it says what to do.
func whenUp(ctx context.Context, cfg *Config, log *slog.Logger, f func(context.Context) error) error {
	for begun := time.Now(); ; {
		err := f(ctx)
		if err == nil || !migrations.Away(err) || cfg.DatabaseWait == 0 || ctx.Err() != nil {
			return err
		}
		passed := time.Since(begun).Round(time.Second)
		if passed >= cfg.DatabaseWait {
			return model.Errorf(model.Unavailable, "%v; it was waited for for %v: start Postgres or correct DATABASE_URL, then start this again (TOLLGATE_DATABASE_WAIT is how long it waits)", err, cfg.DatabaseWait)
		}
		log.Warn("Postgres cannot be used yet; it is waited for", "err", err, "passed", passed, "most", cfg.DatabaseWait)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Second):
		}
	}
}

func (p *program) startControl(ctx context.Context) error {
	key, err := p.dir.secretKey(p.cfg)
	if err != nil {
		return err
	}
	p.plane, err = control.New(control.Options{Pool: p.pool, SecretKey: key, Log: p.log, Names: p.cfg.names(), CallLogDays: p.cfg.CallLogDays, HardLimits: p.cfg.RedisURL != "", Check: gateway.Check,
		CheckPolicy: gateway.CheckIdentityPolicy, Region: p.cfg.Region, Afford: billing.New(billing.Options{Pool: p.pool, Log: p.log}).Afford})
	if err != nil {
		return err
	}
	if err := p.whenUp(ctx, p.plane.Start); err != nil {
		return err
	}
	p.onStop(func(context.Context) error { p.plane.Stop(); return nil })
	return nil
}

func (p *program) announce(context.Context) error {
	r := running{
		PID: os.Getpid(), Version: version, StartedAt: time.Now().UTC(), DatabaseURL: p.url,
		AdminAddr: p.admin.Addr(),
	}
	if p.control != nil {
		r.ControlAddr = p.control.Addr().String()
	}
	if p.gateway != nil {
		r.GatewayAddr, r.GatewayTLSAddr = p.gateway.Addr(), p.gateway.TLSAddr()
	}
	if err := p.dir.announce(r); err != nil {
		return err
	}
	p.admin.Open()
	// Stopping begins with readiness, before anything is taken away.
	p.onStop(func(context.Context) error { p.admin.Close(); return nil })
	fmt.Fprint(p.out, readyText(r, p.cfg))
	return nil
}

func readyText(r running, cfg *Config) string {
	var b strings.Builder
	if r.ControlAddr == "" {
		fmt.Fprintf(&b, "tollgate ready probes=http://%s\n", r.AdminAddr)
		return b.String()
	}
	if r.GatewayAddr == "" {
		fmt.Fprintf(&b, "tollgate ready console=http://%s\n", r.ControlAddr)
		return b.String()
	}
	fmt.Fprintf(&b, "tollgate ready console=http://%s gateway=http://%s\n", r.ControlAddr, r.GatewayAddr)
	if cfg.Stripe == "fake" {
		fmt.Fprintf(&b, "\n  PAYMENTS ARE NOT REAL: an imitation of Stripe at %s takes test cards, and no money moves\n", cfg.stripe)
	}
	fmt.Fprintf(&b, "\n  data         %s\n  gateway TLS  https://%s\n  probes       http://%s/readyz, /metrics\n", cfg.DataDir, r.GatewayTLSAddr, r.AdminAddr)
	allow := strings.ReplaceAll(joined(cfg), ",", ", ")
	switch {
	case cfg.UpstreamAllow == "" && allow != "":
		fmt.Fprintf(&b, "  upstreams    public addresses and, as this gateway is local, %s (TOLLGATE_UPSTREAM_ALLOW)\n", allow)
	case allow != "":
		fmt.Fprintf(&b, "  upstreams    public addresses and %s\n", allow)
	default:
		fmt.Fprintf(&b, "  upstreams    public addresses only\n")
	}
	b.WriteString(nextSteps(cfg, r.GatewayAddr))
	return b.String()
}

// nextSteps are commands to copy, with the data directory where it is not the default.
func nextSteps(cfg *Config, gatewayAddr string) string {
	me := "tollgate"
	if exe, err := os.Executable(); err == nil {
		me = exe
	}
	if cfg.DatabaseURL == "" && cfg.DataDir != defaultDataDir() {
		me = "TOLLGATE_DATA_DIR=" + cfg.DataDir + " " + me
	}
	_, port, _ := net.SplitHostPort(gatewayAddr)
	return fmt.Sprintf(`
Next, in another terminal:
  %[1]s tenant create --email you@example.com --name You
  %[1]s import openapi.yaml
  %[1]s deploy API --stage dev
  curl http://localhost:%[2]s/_aws/execute-api/API/dev/
`, me, port)
}

func logger(cfg *Config, w io.Writer) *slog.Logger {
	if cfg.Log == "json" {
		return slog.New(slog.NewJSONHandler(w, nil))
	}
	return slog.New(slog.NewTextHandler(w, nil))
}
