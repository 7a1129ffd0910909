package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"tollgate/control"
	"tollgate/gateway"
	"tollgate/gateway/follow"
	"tollgate/model"
)

func gatewayCommand() *cobra.Command {
	return &cobra.Command{
		Use: "gateway", Short: "Run a gateway node that follows a control plane elsewhere",
		Long: "Run a gateway node. It follows TOLLGATE_FEED_URL with the token in TOLLGATE_NODE_TOKEN,\nwhich `tollgate node create` prints, and serves its last snapshot while the control plane is away.\n\n" + settingsHelp(),
		Args: cobra.NoArgs,
		RunE: work(runNode),
	}
}

func runNode(cmd *cobra.Command, _ []string) (err error) {
	cfg, err := loadConfig(os.Environ())
	if err != nil {
		return err
	}
	if cfg.FeedURL == "" || cfg.NodeToken == "" {
		return model.Errorf(model.Invalid, "a gateway node needs TOLLGATE_FEED_URL and TOLLGATE_NODE_TOKEN: `tollgate node create` on the control plane makes a token")
	}
	ctx, log, reg := cmd.Context(), logger(cfg, cmd.ErrOrStderr()), newRegistry()
	for _, name := range cfg.unknown {
		log.Warn("unknown setting: it has no effect", "name", name)
	}
	dir := &dataDir{path: cfg.DataDir}
	if err := dir.make(); err != nil {
		return err
	}
	if err := dir.hold(ctx); err != nil {
		return err
	}
	defer dir.unlock()
	l, err := listen("TOLLGATE_ADMIN_ADDR", cfg.AdminAddr)
	if err != nil {
		return err
	}
	a := startAdmin(l, reg)
	defer func() { err = errors.Join(err, a.stop(context.WithoutCancel(ctx))) }()
	if err := tryGatewayAddresses(cfg); err != nil {
		return err
	}
	g, err := startNode(ctx, cfg, dir.gateway(), follow.HTTP(cfg.FeedURL, cfg.NodeToken), log, reg)
	if err != nil {
		return err
	}
	a.require("gateway", readiness(g))
	a.ready()
	fmt.Fprintf(cmd.OutOrStdout(), "tollgate ready gateway=http://%s\n", g.Addr())
	<-ctx.Done()
	a.unready()
	fmt.Fprintln(cmd.OutOrStdout(), "tollgate stopping; Ctrl-C again ends it at once")
	return drain(context.WithoutCancel(ctx), g, cfg)
}

func startNode(ctx context.Context, cfg *Config, dir string, feed follow.Feed, log *slog.Logger, reg prometheus.Registerer) (*gateway.Gateway, error) {
	// The node outlives the signal that ends the command: Drain ends it.
	g, err := gateway.Start(context.WithoutCancel(ctx), gateway.Options{
		Addr: cfg.GatewayAddr, TLSAddr: cfg.GatewayTLSAddr, DataDir: dir,
		Node: cfg.Node, Feed: feed, Allow: cfg.allow, Log: log,
	})
	if err != nil {
		return nil, err
	}
	g.Register(reg)
	return g, nil
}

func readiness(g *gateway.Gateway) func(context.Context) error {
	return func(context.Context) error {
		if !g.Ready() {
			return errors.New("no configuration yet")
		}
		return nil
	}
}

func awaitReady(ctx context.Context, g *gateway.Gateway) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for !g.Ready() {
		select {
		case <-ctx.Done():
			return model.Errorf(model.Unavailable, "the gateway got no configuration from the control plane in time")
		case <-time.After(2 * time.Millisecond):
		}
	}
	return nil
}

func drain(ctx context.Context, g *gateway.Gateway, cfg *Config) error {
	ctx, cancel := context.WithTimeout(ctx, cfg.DrainTimeout)
	defer cancel()
	return g.Drain(ctx)
}

func nodeCommand() *cobra.Command {
	var gatewayName, name string
	create := &cobra.Command{
		Use: "create --name NAME", Short: "Make a token for a gateway node; it is shown once", Args: cobra.NoArgs,
		RunE: onInstallation(func(cmd *cobra.Command, in *installation, _ []string) error {
			token, err := in.plane.CreateNodeToken(cmd.Context(), control.Operator(), gatewayName, name)
			if err != nil {
				return err
			}
			v := struct {
				Gateway string `json:"gateway"`
				Node    string `json:"node"`
				Token   string `json:"token"`
			}{gatewayName, name, token}
			return show(cmd, v, func(w io.Writer) {
				fmt.Fprintln(w, token)
			})
		}),
	}
	create.Flags().StringVar(&gatewayName, "gateway", "shared", "gateway the node belongs to")
	create.Flags().StringVar(&name, "name", "", "name of the node, unique in its gateway")
	_ = create.MarkFlagRequired("name")
	node := &cobra.Command{Use: "node", Short: "Gateway nodes", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	outputFlag(node)
	node.AddCommand(create)
	return node
}
