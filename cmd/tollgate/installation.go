package main

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"tollgate/control"
	"tollgate/control/pool"
	"tollgate/gateway"
	"tollgate/migrations"
	"tollgate/migrations/pgserver"
	"tollgate/model"
)

// installation is what a verb works on: the control plane over the database of a
// running program, of DATABASE_URL, or of a stopped program, whose embedded
// Postgres then runs for as long as the verb does.
type installation struct {
	cfg   *Config
	plane *control.Plane
	pool  *pgxpool.Pool
	up    *running // nil: stopped, or elsewhere
	close func()
}

// openInstallation finds the installation of the environment's settings.
func openInstallation(ctx context.Context) (*installation, error) {
	cfg, err := loadConfig(os.Environ())
	if err != nil {
		return nil, err
	}
	dir := &dataDir{path: cfg.DataDir}
	in := &installation{cfg: cfg, close: func() {}}
	url, err := in.database(ctx, dir)
	if err == nil {
		err = in.connect(ctx, dir, url)
	}
	if err != nil {
		in.close()
		return nil, err
	}
	return in, nil
}

func (in *installation) database(ctx context.Context, dir *dataDir) (string, error) {
	if in.cfg.DatabaseURL != "" {
		return in.cfg.DatabaseURL, migrations.Check(ctx, in.cfg.DatabaseURL)
	}
	if _, err := os.Stat(dir.path); errors.Is(err, os.ErrNotExist) {
		return "", notHere(dir)
	}
	r, err := dir.await(ctx, 30*time.Second)
	if err != nil {
		return "", err
	}
	if r != nil {
		in.up = r
		return r.DatabaseURL, migrations.Check(ctx, r.DatabaseURL)
	}
	in.close = dir.unlock
	if _, err := os.Stat(filepath.Join(dir.postgres(), "data")); err != nil {
		return "", notHere(dir)
	}
	pg, err := pgserver.Start(ctx, pgserver.Options{Dir: dir.postgres(), Bin: in.cfg.PGBin})
	if err != nil {
		return "", err
	}
	in.close = func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		_ = pg.Stop(stop)
		dir.unlock()
	}
	return pg.URL(), migrations.Up(ctx, pg.URL())
}

func notHere(dir *dataDir) error {
	return model.Errorf(model.NotFound, "there is no installation in %s: start one with `tollgate up`, or say where it is with TOLLGATE_DATA_DIR or DATABASE_URL", dir.path)
}

func (in *installation) connect(ctx context.Context, dir *dataDir, url string) error {
	key, err := dir.secretKey(in.cfg)
	if err != nil {
		return err
	}
	in.pool, err = pool.Open(ctx, url)
	if err != nil {
		return err
	}
	before := in.close
	in.close = func() { in.pool.Close(); before() }
	in.plane, err = control.New(control.Options{Pool: in.pool, SecretKey: key, Names: in.cfg.names(), CallLogDays: in.cfg.CallLogDays, HardLimits: in.cfg.RedisURL != "", Check: gateway.Check,
		CheckPolicy: gateway.CheckIdentityPolicy, Region: in.cfg.Region})
	return err
}

// gatewayAddr is where calls go: for the URLs that verbs print.
func (in *installation) gatewayAddr() string {
	if in.up != nil && in.up.GatewayAddr != "" {
		return in.up.GatewayAddr
	}
	return in.cfg.GatewayAddr
}

// onInstallation is the body of a verb of the operator.
func onInstallation(f func(cmd *cobra.Command, in *installation, args []string) error) func(*cobra.Command, []string) error {
	return work(func(cmd *cobra.Command, args []string) error {
		in, err := openInstallation(cmd.Context())
		if err != nil {
			return err
		}
		defer in.close()
		return f(cmd, in, args)
	})
}

// gatewayURL is the public address of the gateway.
func (in *installation) gatewayURL() *url.URL {
	if in.cfg.gateway != nil {
		return in.cfg.gateway
	}
	_, port, _ := net.SplitHostPort(in.gatewayAddr())
	return &url.URL{Scheme: "http", Host: "localhost:" + port}
}

// asOwner is the body of a verb of a tenant, done as its owner on the installation's
// own machine.
func asOwner(f func(v *localVerb, args []string) error) func(*cobra.Command, []string) error {
	return work(func(cmd *cobra.Command, args []string) error {
		if err := notElsewhere(cmd); err != nil {
			return err
		}
		return here(cmd, func(v *localVerb) error { return f(v, args) })
	})
}

// here does a verb on this machine's installation, as the tenant's owner.
func here(cmd *cobra.Command, f func(v *localVerb) error) error {
	in, err := openInstallation(cmd.Context())
	if err != nil {
		return err
	}
	defer in.close()
	account, err := cmd.Flags().GetString("tenant")
	if err != nil {
		return err
	}
	actor, err := in.plane.Owner(cmd.Context(), account)
	if err != nil {
		return err
	}
	v := &verb{cmd: cmd, ctx: cmd.Context(), actor: actor, plane: in.plane, gateway: func() (*url.URL, error) { return in.gatewayURL(), nil }}
	return f(&localVerb{verb: v, installation: in, plane: in.plane})
}

// verb is one run of a tenant's command.
type verb struct {
	cmd     *cobra.Command
	ctx     context.Context
	actor   control.Actor // of the machine's own installation; elsewhere the access key says who acts
	plane   plane
	gateway func() (*url.URL, error) // its public address
}

// localVerb is one on the installation's own machine.
type localVerb struct {
	*verb
	*installation
	plane *control.Plane // all of it
}

// tenantVerbs gives a group of commands the flags all verbs of a tenant have.
func tenantVerbs(parent *cobra.Command, children ...*cobra.Command) *cobra.Command {
	parent.Args = cobra.NoArgs
	parent.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	parent.AddCommand(children...)
	return tenantFlags(parent)
}

func tenantFlags(cmd *cobra.Command) *cobra.Command {
	cmd.PersistentFlags().String("tenant", "", "account id to act for (default: the only tenant)")
	elsewhereFlags(cmd.PersistentFlags())
	outputFlag(cmd)
	return cmd
}
