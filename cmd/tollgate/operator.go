package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"tollgate/control"
)

func operatorCommand() *cobra.Command {
	var email, name, password string
	create := &cobra.Command{
		Use: "create --email E", Short: "Make somebody who runs the installation; the password is shown once", Args: cobra.NoArgs,
		RunE: onInstallation(func(cmd *cobra.Command, in *installation, _ []string) error {
			c, err := in.plane.CreateOperator(cmd.Context(), control.Operator(), email, name, password)
			if err != nil {
				return err
			}
			return show(cmd, c, func(w io.Writer) {
				fmt.Fprintf(w, "email\t%s\npassword\t%s\nsign in at\t/operator of the console\n", cell(c.Email), c.Password)
			})
		}),
	}
	create.Flags().StringVar(&email, "email", "", "address to sign in with")
	create.Flags().StringVar(&name, "name", "", "name")
	create.Flags().StringVar(&password, "password", "", "password (default: one is made)")
	_ = create.MarkFlagRequired("email")

	operator := &cobra.Command{Use: "operator", Short: "Operators, who run the installation in the browser", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	outputFlag(operator)
	operator.AddCommand(create)
	return operator
}
