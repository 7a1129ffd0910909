package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"tollgate/billing"
	"tollgate/billing/intake"
	"tollgate/control"
	"tollgate/gateway"
	"tollgate/gateway/follow"
	"tollgate/gateway/limit/counter"
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
		Known: func(ctx context.Context, boots []model.BootID) (map[model.BootID]uint64, error) {
			return p.intake.Known(ctx, me.Gateway, boots)
		},
		Calls: func(ctx context.Context, encoded []byte) error { return p.plane.TakeCalls(ctx, me, encoded) },
	}
	var err error
	// The node outlives the signal that ends the command: Drain ends it.
	p.gateway, err = gateway.Start(context.WithoutCancel(ctx), gateway.Options{
		Addr: p.cfg.GatewayAddr, TLSAddr: p.cfg.GatewayTLSAddr, DataDir: p.dir.gateway(), Node: p.cfg.Node, Region: p.cfg.Region,
		Feed: feed, Allow: p.cfg.allow, Endpoints: p.cfg.endpoints, UserPools: p.cfg.pools, EndpointNetworks: p.cfg.vpc, MaxBody: p.cfg.MaxBody, MaxTarget: p.cfg.MaxTarget, MaxHeaders: p.cfg.MaxHeaders,
		CacheMemory: p.cfg.CacheMemory, JournalKeep: p.cfg.JournalKeep, BatchKeep: p.cfg.BatchKeep, Counters: p.cfg.RedisURL, Log: p.log,
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
	var gatewayName, name, file string
	create := &cobra.Command{
		Use: "create --name NAME", Short: "Let a gateway node in by a token: a new one, shown once, or that of a file", Args: cobra.NoArgs,
		Long: `Let a gateway node in by a token.

Without --token-file a new token is printed, once. With it the token in the file is let in; where
there is no such file, it is written with a new token for its owner alone. Running it again with
the same file changes nothing.`,
		RunE: onInstallation(func(cmd *cobra.Command, in *installation, _ []string) error {
			v := struct {
				Gateway string `json:"gateway"`
				Node    string `json:"node"`
				Token   string `json:"token,omitempty"`
				File    string `json:"tokenFile,omitempty"`
			}{Gateway: gatewayName, Node: name, File: file}
			var err error
			said := file
			if file != "" {
				err = admitTokenFile(cmd.Context(), in.plane, gatewayName, name, file)
			} else {
				v.Token, err = in.plane.CreateNodeToken(cmd.Context(), control.Operator(), gatewayName, name)
				said = v.Token
			}
			if err != nil {
				return err
			}
			return show(cmd, v, func(w io.Writer) {
				fmt.Fprintln(w, said)
			})
		}),
	}
	create.Flags().StringVar(&gatewayName, "gateway", "shared", "gateway the node belongs to")
	create.Flags().StringVar(&name, "name", "", "name of the node, unique in its gateway")
	create.Flags().StringVar(&file, "token-file", "", "file of the token; made with a new one where it is missing")
	_ = create.MarkFlagRequired("name")
	node := &cobra.Command{Use: "node", Short: "Gateways and their nodes", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	outputFlag(node)
	node.AddCommand(create, gatewayGroupCommand(), takeInCommand())
	return node
}

func takeInCommand() *cobra.Command {
	return &cobra.Command{
		Use: "take-in [START/NUMBER]", Short: "Take in usage batches that were set aside, now that the cause is mended", Args: cobra.MaximumNArgs(1),
		Long: `Take in usage batches that were set aside, now that the cause is mended: all of them, or the one that the
page Nodes names START/NUMBER. Their calls are billed then, as a difference where a month is final. Calls of
an account count however long after it left the gateway they were made. What is still refused stays set aside.`,
		RunE: onInstallation(func(cmd *cobra.Command, in *installation, args []string) error {
			only := ""
			if len(args) > 0 {
				only = args[0]
			}
			who := control.Operator()
			all, err := billing.New(billing.Options{Pool: in.pool}).TakeIn(cmd.Context(), billing.Operator, billing.By{Member: who.Member, Name: who.Name, Source: who.Source, Role: string(who.Role)}, only)
			if err != nil {
				return err
			}
			return showList(cmd, all, "no batch is set aside", []string{"BATCH", "GATEWAY", "CALLS", "TAKEN IN", "WHY NOT"}, func(a intake.Aside) []any {
				return []any{first(a.Batch, "not readable"), a.Gateway, a.Calls, a.Taken, a.Reason}
			})
		}),
	}
}

// admitTokenFile lets a node in by the token of a file, which is made where it is
// missing. The file is written first: a token that was let in and never written
// would be lost, one that was written is let in by the next run.
func admitTokenFile(ctx context.Context, plane *control.Plane, gateway, node, file string) error {
	token := control.NewNodeToken()
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	switch {
	case err == nil:
		_, err = f.WriteString(token + "\n")
		if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
			return model.Errorf(model.Unavailable, "the token cannot be written: %v", errors.Join(err, os.Remove(file)))
		}
	case errors.Is(err, os.ErrExist):
		f, err := os.Open(file)
		if err != nil {
			return model.Errorf(model.Unavailable, "the token cannot be read: %v", err)
		}
		b, err := io.ReadAll(io.LimitReader(f, 1024))
		if err = errors.Join(err, f.Close()); err != nil {
			return model.Errorf(model.Unavailable, "the token cannot be read: %v", err)
		}
		token = strings.TrimSpace(string(b))
	default:
		return model.Errorf(model.Unavailable, "the token cannot be written (%v): the directory must exist and be writable", err)
	}
	return plane.AdmitNodeToken(ctx, control.Operator(), gateway, node, token)
}

func gatewayGroupCommand() *cobra.Command {
	var name, account string
	var place control.Place
	create := &cobra.Command{
		Use: "create --name NAME [--account ACCOUNT] [--run-at ADDRESS] [--url URL]", Short: "Make a gateway dedicated to an account, or a further shared one", Args: cobra.NoArgs,
		Long: `Make a gateway dedicated to an account, or a further shared one without --account. Where there is
such a gateway already, nothing changes. The operator's page of the tenant moves it there. With --run-at,
` + "`tollgate up`" + ` runs a node of it beside itself, in a process of its own; otherwise make a token and start one.`,
		RunE: onInstallation(func(cmd *cobra.Command, in *installation, _ []string) error {
			g, err := ensureGateway(cmd.Context(), in.plane, name, account)
			if err != nil {
				return err
			}
			for _, flag := range []string{"run-at", "run-tls-at", "url"} {
				if cmd.Flags().Changed(flag) {
					if err := in.plane.PlaceGateway(cmd.Context(), control.Operator(), name, place); err != nil {
						return err
					}
					g.Place = place
					break
				}
			}
			v := struct {
				Name    string        `json:"name"`
				Kind    string        `json:"kind"`
				Account string        `json:"account,omitempty"`
				Place   control.Place `json:"place"`
			}{g.Name, g.Kind, g.AccountID, g.Place}
			return show(cmd, v, func(w io.Writer) {
				fmt.Fprintln(w, g.Name)
			})
		}),
	}
	create.Flags().StringVar(&name, "name", "", "name of the gateway")
	create.Flags().StringVar(&account, "account", "", "account that the gateway is for alone")
	create.Flags().StringVar(&place.Addr, "run-at", "", "address and port where tollgate up runs a node of it")
	create.Flags().StringVar(&place.TLSAddr, "run-tls-at", "", "the same for TLS")
	create.Flags().StringVar(&place.URL, "url", "", "public address of the gateway, as callers name it")
	_ = create.MarkFlagRequired("name")
	group := &cobra.Command{Use: "gateway", Short: "Gateways: groups of nodes that serve the same", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	group.AddCommand(create, gatewayCountersCommand())
	return group
}

func gatewayCountersCommand() *cobra.Command {
	var name string
	c := &cobra.Command{
		Use: "counters --name NAME", Short: "Let the nodes of a dedicated gateway keep hard throttles in Redis or Valkey", Args: cobra.NoArgs,
		Long: `Make a user of the server at TOLLGATE_REDIS_URL who reaches the throttles of the gateway's account
and nothing else, with a new password, and print the address to give to its nodes as their
TOLLGATE_REDIS_URL. The address that was printed before works no longer. A server that was
restarted forgets the user: run it again then. What ` + "`tollgate up`" + ` runs beside itself needs none of this.`,
		RunE: onInstallation(func(cmd *cobra.Command, in *installation, _ []string) error {
			if in.cfg.RedisURL == "" {
				return model.Errorf(model.Invalid, "TOLLGATE_REDIS_URL is not set: there is no server that keeps hard throttles")
			}
			all, err := in.plane.Gateways(cmd.Context(), control.Operator())
			if err != nil {
				return err
			}
			for _, g := range all {
				switch {
				case g.Name != name:
					continue
				case g.Kind != control.KindDedicated:
					return model.Errorf(model.Invalid, "gateway %s is not dedicated to an account: give its nodes the TOLLGATE_REDIS_URL that the control plane has", name)
				}
				v := struct {
					Address string `json:"address"`
				}{}
				if v.Address, err = shareCounters(cmd.Context(), in.cfg.RedisURL, g, rand.Text()); err != nil {
					return err
				}
				return show(cmd, v, func(w io.Writer) { fmt.Fprintln(w, v.Address) })
			}
			return model.Errorf(model.NotFound, "there is no gateway %s", name)
		}),
	}
	c.Flags().StringVar(&name, "name", "", "name of the gateway")
	_ = c.MarkFlagRequired("name")
	return c
}

// shareCounters makes the user as whom a dedicated gateway asks for hard throttles.
func shareCounters(ctx context.Context, address string, g control.Gateway, password string) (string, error) {
	return counter.Share(ctx, address, "tollgate-"+g.Name, password, g.Tenant)
}

// ensureGateway is the gateway of a name, made where there is none.
func ensureGateway(ctx context.Context, plane *control.Plane, name, account string) (control.Gateway, error) {
	made, err := plane.CreateGateway(ctx, control.Operator(), name, account)
	if model.KindOf(err) != model.Conflict {
		return made, err
	}
	all, lerr := plane.Gateways(ctx, control.Operator())
	if lerr != nil {
		return made, lerr
	}
	for _, g := range all {
		if g.Name == name && g.AccountID == account {
			return g, nil
		}
	}
	return made, err
}
