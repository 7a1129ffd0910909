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
			return showOperator(cmd, c)
		}),
	}

	reset := &cobra.Command{
		Use: "password --email E", Short: "Give an operator who forgot it a new password, which is shown once; signs out everywhere", Args: cobra.NoArgs,
		RunE: onInstallation(func(cmd *cobra.Command, in *installation, _ []string) error {
			c, err := in.plane.ResetOperatorPassword(cmd.Context(), control.Operator(), email, password)
			if err != nil {
				return err
			}
			return showOperator(cmd, c)
		}),
	}
	for _, c := range []*cobra.Command{create, reset} {
		c.Flags().StringVar(&email, "email", "", "address to sign in with")
		c.Flags().StringVar(&password, "password", "", "password (default: one is made)")
		_ = c.MarkFlagRequired("email")
	}
	create.Flags().StringVar(&name, "name", "", "name")

	operator := &cobra.Command{Use: "operator", Short: "Operators, who run the installation in the browser", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	outputFlag(operator)
	operator.AddCommand(create, reset)
	return operator
}

func showOperator(cmd *cobra.Command, c control.OperatorCredentials) error {
	return show(cmd, c, func(w io.Writer) {
		fmt.Fprintf(w, "email\t%s\npassword\t%s\nsign in at\t/operator of the console\n", cell(c.Email), c.Password)
	})
}
