package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"tollgate/control"
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
				return in.plane.Tenants(cmd.Context(), control.Operator(), p)
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
	tenant.AddCommand(create, list)
	return tenant
}
