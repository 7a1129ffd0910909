package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"tollgate/control"
	"tollgate/model"
)

func tenantCommand() *cobra.Command {
	var n control.NewTenant
	create := &cobra.Command{
		Use: "create --email E --name N", Short: "Make an account; its password and secret key are shown once", Args: cobra.NoArgs,
		RunE: onInstallation(func(cmd *cobra.Command, in *installation, _ []string) error {
			c, err := in.plane.CreateTenant(cmd.Context(), control.Operator(), n)
			if err != nil {
				return err
			}
			return show(cmd, c, func(w io.Writer) {
				fmt.Fprintf(w, "account id\t%s\nemail\t%s\npassword\t%s\naccess key id\t%s\nsecret access key\t%s\n",
					c.AccountID, cell(c.Email), c.Password, c.AccessKeyID, c.SecretAccessKey)
			})
		}),
	}
	create.Flags().StringVar(&n.Email, "email", "", "the owner's address, to sign in with")
	create.Flags().StringVar(&n.Name, "name", "", "name of the account")
	_ = create.MarkFlagRequired("email")
	_ = create.MarkFlagRequired("name")

	list := &cobra.Command{
		Use: "list", Short: "List accounts", Args: cobra.NoArgs,
		RunE: onInstallation(func(cmd *cobra.Command, in *installation, _ []string) error {
			l, err := all(func(p control.Page) (control.List[control.Tenant], error) {
				return in.plane.Tenants(cmd.Context(), control.Operator(), control.TenantFilter{Page: p})
			})
			if err != nil {
				return err
			}
			return showList(cmd, l, "no accounts yet", []string{"ACCOUNT", "NAME", "EMAIL", "GATEWAY", "SUSPENDED", "CREATED"}, func(t control.Tenant) []any {
				return []any{t.AccountID, t.Name, t.Email, t.Gateway, t.Suspended, t.CreatedAt}
			})
		}),
	}
	tenant := &cobra.Command{Use: "tenant", Short: "Accounts", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	outputFlag(tenant)
	tenant.AddCommand(create, list, tenantCapsCommand(),
		tenantSuspendCommand(), tenantMoveCommand(),
		tenantSwitch("resume", "End a suspension", (*control.Plane).ResumeTenant))
	return tenant
}

// tenantCapsCommand sets what one account may take of each shared node.
func tenantCapsCommand() *cobra.Command {
	var c model.Caps
	cmd := &cobra.Command{
		Use: "caps ACCOUNT", Short: "Set what an account may take of each gateway node; what is not given becomes the node's default", Args: cobra.ExactArgs(1),
		RunE: onInstallation(func(cmd *cobra.Command, in *installation, args []string) error {
			if err := in.plane.SetTenantCaps(cmd.Context(), control.Operator(), args[0], c); err != nil {
				return err
			}
			return show(cmd, c, func(w io.Writer) {
				fmt.Fprintf(w, "rate\t%v\nburst\t%d\nin flight\t%d\nbuffered bytes\t%d\n", c.Rate, c.Burst, c.InFlight, c.BufferedBytes)
			})
		}),
	}
	d := model.DefaultCaps
	cmd.Flags().Float64Var(&c.Rate, "rate", 0, fmt.Sprintf("calls a second (default %.0f)", d.Rate))
	cmd.Flags().IntVar(&c.Burst, "burst", 0, fmt.Sprintf("calls at once after a pause (default %d, or the rate where one is given)", d.Burst))
	cmd.Flags().IntVar(&c.InFlight, "in-flight", 0, fmt.Sprintf("calls under way at the same time (default %d)", d.InFlight))
	cmd.Flags().Int64Var(&c.BufferedBytes, "buffered", 0, fmt.Sprintf("bytes of memory held for its calls (default %d)", d.BufferedBytes))
	return cmd
}

func tenantSuspendCommand() *cobra.Command {
	var reason string
	cmd := tenantSwitch("suspend", "Refuse an account's calls and changes, at once on every node",
		func(p *control.Plane, ctx context.Context, operator control.Actor, account string) error {
			return p.SuspendTenant(ctx, operator, account, reason)
		})
	cmd.Use = "suspend ACCOUNT --reason R"
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the account's members and the audit log")
	_ = cmd.MarkFlagRequired("reason")
	return cmd
}

func tenantMoveCommand() *cobra.Command {
	var gateway string
	cmd := tenantSwitch("move", "Give an account to the nodes of another gateway",
		func(p *control.Plane, ctx context.Context, operator control.Actor, account string) error {
			return p.MoveTenant(ctx, operator, account, gateway)
		})
	cmd.Use = "move ACCOUNT --gateway G"
	cmd.Flags().StringVar(&gateway, "gateway", "", "name of the gateway")
	_ = cmd.MarkFlagRequired("gateway")
	return cmd
}

func tenantSwitch(name, short string, do func(*control.Plane, context.Context, control.Actor, string) error) *cobra.Command {
	return &cobra.Command{
		Use: name + " ACCOUNT", Short: short, Args: cobra.ExactArgs(1),
		RunE: onInstallation(func(cmd *cobra.Command, in *installation, args []string) error {
			if err := do(in.plane, cmd.Context(), control.Operator(), args[0]); err != nil {
				return err
			}
			return show(cmd, map[string]string{"accountId": args[0], "done": name}, func(w io.Writer) {
				fmt.Fprintf(w, "%s %s: done\n", name, args[0])
			})
		}),
	}
}
