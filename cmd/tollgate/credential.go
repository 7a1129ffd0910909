package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"tollgate/control"
	"tollgate/model"
)

// maxSecretFile bounds a file with a secret or a session token.
const maxSecretFile = 1 << 20

func credentialCommand() *cobra.Command {
	return tenantVerbs(&cobra.Command{Use: "credential", Aliases: []string{"credentials"}, Short: "Service credentials: what integrations sign requests to AWS services with"},
		credentialPutCommand(), credentialListCommand(), credentialDeleteCommand())
}

func credentialPutCommand() *cobra.Command {
	var in control.NewServiceCredential
	var secret, token string
	cmd := &cobra.Command{
		Use: "put ROLE --access-key-id ID --secret-file FILE", Short: "Store credentials under a role, or put them in the place of those there", Args: cobra.ExactArgs(1),
		Long: "Store credentials of AWS, or of what speaks its protocols, under the ARN of the role or user that integrations\nname; the name of a role of this account; or " + model.DefaultCredential +
			", which Lambda functions are invoked with where an\nintegration names no credentials. Nodes sign with them from the next call on. The secret is not shown again.",
		RunE: asOwner(func(v *localVerb, args []string) error {
			in.Name = args[0]
			if secret == "-" && token == "-" {
				return model.Errorf(model.Invalid, "only one of --secret-file and --session-token-file can be standard input")
			}
			for _, f := range []struct {
				name string
				into *string
			}{{secret, &in.Secret}, {token, &in.SessionToken}} {
				b, err := []byte(nil), error(nil)
				switch f.name {
				case "":
					continue
				case "-":
					b, err = readBounded(v.cmd.InOrStdin(), "standard input", maxSecretFile)
				default:
					b, err = readFile(f.name, maxSecretFile)
				}
				if err != nil {
					return err
				}
				*f.into = strings.TrimSpace(string(b))
			}
			c, err := v.plane.PutServiceCredential(v.ctx, v.actor, in)
			if err != nil {
				return err
			}
			return show(v.cmd, c, func(w io.Writer) {
				fmt.Fprintf(w, "name\t%s\naccess key\t%s\nsession\t%s\nservices\t%s\nregions\t%s\n", c.Name, cell(c.AccessKeyID), cell(c.Session), cell(orAll(c.Services)), cell(orAll(c.Regions)))
			})
		}),
	}
	cmd.Flags().StringVar(&in.AccessKeyID, "access-key-id", "", "access key id")
	cmd.Flags().StringVar(&secret, "secret-file", "", "file of the secret access key (- for standard input)")
	cmd.Flags().StringVar(&token, "session-token-file", "", "file of the session token, for credentials that end by themselves (- for standard input)")
	cmd.Flags().StringArrayVar(&in.Services, "service", nil, "sign for this service alone, such as dynamodb; repeated (default: all)")
	cmd.Flags().StringArrayVar(&in.Regions, "region", nil, "sign for this region alone, such as us-east-1; repeated (default: all)")
	_ = cmd.MarkFlagRequired("access-key-id")
	_ = cmd.MarkFlagRequired("secret-file")
	return cmd
}

func orAll(l []string) string {
	if len(l) == 0 {
		return "all"
	}
	return strings.Join(l, ", ")
}

func credentialListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the service credentials, without their secrets", Args: cobra.NoArgs,
		RunE: asOwner(func(v *localVerb, _ []string) error {
			l, err := v.plane.ServiceCredentials(v.ctx, v.actor)
			if err != nil {
				return err
			}
			return showList(v.cmd, l, "There is no service credential yet: tollgate credential put ROLE", []string{"NAME", "ACCESS KEY", "SERVICES", "REGIONS", "STORED"}, func(c control.ServiceCredential) []any {
				return []any{c.Name, c.AccessKeyID, orAll(c.Services), orAll(c.Regions), c.UpdatedAt}
			})
		}),
	}
}

func credentialDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use: "delete ROLE", Short: "Forget credentials; integrations that need them fail from then on", Args: cobra.ExactArgs(1),
		RunE: asOwner(func(v *localVerb, args []string) error {
			if err := v.plane.DeleteServiceCredential(v.ctx, v.actor, args[0]); err != nil {
				return err
			}
			return show(v.cmd, map[string]string{"deleted": args[0]}, func(w io.Writer) { fmt.Fprintln(w, "deleted", args[0]) })
		}),
	}
}
