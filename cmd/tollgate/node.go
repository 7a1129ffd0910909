package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"tollgate/control"
	"tollgate/gateway"
	"tollgate/gateway/follow"
	"tollgate/gateway/process"
	"tollgate/model"
)

func gatewayCommand() *cobra.Command {
	return &cobra.Command{
		Use: "gateway", Short: "Run a gateway node that follows a control plane elsewhere",
		Long: process.Help("tollgate gateway"), Args: cobra.NoArgs,
		RunE: work(func(cmd *cobra.Command, _ []string) error {
			s, err := process.Load(os.Environ())
			if err != nil {
				return err
			}
			return process.Run(cmd.Context(), s, version, cmd.OutOrStdout(), cmd.ErrOrStderr())
		}),
	}
}

// startGateway wires a node to the control plane with functions: no hop between.
func (p *program) startGateway(ctx context.Context) error {
	if !p.shape.gateway {
		p.admin.Require("database", p.pool.Ping)
		return nil
	}
	me := control.SharedNode(p.cfg.Node)
	caught := caughtUp{done: make(chan struct{})}
	feed := follow.Feed{
		Changes: caught.watch(func(ctx context.Context, h model.NodeHello) (*model.Changes, error) {
			return p.plane.Changes(ctx, me, h)
		}),
		Deployment: func(ctx context.Context, id string) (*model.DeploymentContent, error) {
			return p.plane.Deployment(ctx, me, id)
		},
		Leases: func(ctx context.Context, asked []model.LeaseRequest) ([]model.Lease, error) {
			return p.plane.Leases(ctx, me, asked)
		},
		Limits: func(ctx context.Context, r model.LimitReport) (model.LimitAnswer, error) {
			return p.plane.Limits(ctx, me, r)
		},
		Ingest: func(ctx context.Context, encoded []byte) (model.BatchReceipt, error) {
			return p.intake.Ingest(ctx, me.Gateway, me.Tenant, encoded)
		},
		Calls: func(ctx context.Context, encoded []byte) error { return p.plane.TakeCalls(ctx, me, encoded) },
	}
	var err error
	// The node outlives the signal that ends the command: Drain ends it.
	p.gateway, err = gateway.Start(context.WithoutCancel(ctx), gateway.Options{
		Addr: p.cfg.GatewayAddr, TLSAddr: p.cfg.GatewayTLSAddr, DataDir: p.dir.gateway(), Node: p.cfg.Node, Region: p.cfg.Region,
		Feed: feed, Allow: p.cfg.allow, Endpoints: p.cfg.endpoints, UserPools: p.cfg.pools, EndpointNetworks: p.cfg.vpc, MaxBody: p.cfg.MaxBody, MaxTarget: p.cfg.MaxTarget, MaxHeaders: p.cfg.MaxHeaders,
		CacheMemory: p.cfg.CacheMemory, JournalKeep: p.cfg.JournalKeep, Counters: p.cfg.RedisURL, Log: p.log,
		CallLogRate: process.CallLogRate(p.cfg.CallLogRate), AccessLogs: p.cfg.AccessLogDir, AccessLog: process.AccessLog(p.cfg.AccessLog, p.out),
		Spans: process.Spans(p.cfg.spans, version), MethodMetrics: process.MethodMetrics(p.cfg.MethodMetrics),
	})
	if err != nil {
		return err
	}
	p.onStop(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, p.drainLimit)
		defer cancel()
		return p.gateway.Drain(ctx)
	})
	if err := p.gateway.Register(p.metrics); err != nil {
		return err
	}
	p.admin.Require("gateway", func(context.Context) error {
		if !p.gateway.Ready() {
			return model.Errorf(model.Unavailable, "nothing to serve from yet, or draining")
		}
		return nil
	})
	select {
	case <-caught.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(30 * time.Second):
		return model.Errorf(model.Unavailable, "the gateway got no configuration from the control plane within 30 seconds")
	}
}

// caughtUp tells when a node in this process has put into effect what was current
// at its start. What it loads from its disk may be older: a stage deployed while
// the program was stopped must answer from the ready line on.
type caughtUp struct {
	done     chan struct{}
	answered atomic.Bool
	once     sync.Once
}

func (c *caughtUp) watch(changes func(context.Context, model.NodeHello) (*model.Changes, error)) func(context.Context, model.NodeHello) (*model.Changes, error) {
	return func(ctx context.Context, h model.NodeHello) (*model.Changes, error) {
		if c.answered.Load() { // asking again is the receipt for the first answer
			c.once.Do(func() { close(c.done) })
			return changes(ctx, h)
		}
		h.Wait = 0
		ch, err := changes(ctx, h)
		if err == nil {
			c.answered.Store(true)
		}
		return ch, err
	}
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
