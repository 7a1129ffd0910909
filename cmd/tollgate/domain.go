package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"tollgate/control"
	"tollgate/model"
)

func domainCommand() *cobra.Command {
	return tenantVerbs(&cobra.Command{Use: "domain", Short: "Custom domain names: whose they are, their certificates, what answers on them"},
		domainCreateCommand(), domainListCommand(), domainShowCommand(), domainCheckCommand(), domainMapCommand(), domainUnmapCommand(), domainDeleteCommand())
}

// shownDomain is a domain with what is said of it.
type shownDomain struct {
	control.Domain
	Status   string          `json:"status"`
	Message  string          `json:"message,omitempty"`
	Mappings []model.Mapping `json:"mappings"`
}

func (v *localVerb) shownDomain(d control.Domain) (shownDomain, error) {
	s := shownDomain{Domain: d}
	s.Status, s.Message = d.Status()
	l, err := v.plane.Mappings(v.ctx, v.actor, d.Key(), control.Page{Limit: model.MaxMappingsPerDomain})
	s.Mappings = l.Items
	return s, err
}

func (v *localVerb) showDomain(d control.Domain) error {
	s, err := v.shownDomain(d)
	if err != nil {
		return err
	}
	return show(v.cmd, s, func(w io.Writer) {
		fmt.Fprintf(w, "name\t%s\nstatus\t%s\n", s.Key(), s.Status)
		if s.Message != "" {
			fmt.Fprintf(w, "\t%s\n", cell(s.Message))
		}
		switch {
		case s.Certificate == nil:
			fmt.Fprintln(w, "certificate\tthe nodes' own")
		case s.Certificate.NotAfter != nil:
			fmt.Fprintf(w, "certificate\t%s, until %s\n", s.Certificate.Kind, cell(*s.Certificate.NotAfter))
		}
		if s.Settings.MutualTLS != nil {
			fmt.Fprintln(w, "clients\tonly with a certificate of the truststore")
		}
		for _, m := range s.Mappings {
			fmt.Fprintf(w, "/%s\t%s\n", m.BasePath, strings.TrimSuffix(m.APIID+" "+m.Stage, " "))
		}
	})
}

func domainCreateCommand() *cobra.Command {
	var cert, key, chain, clients, policy string
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Add a domain name; it serves once its DNS record is there", Args: cobra.ExactArgs(1),
		RunE: asOwner(func(v *localVerb, args []string) error {
			in := control.NewDomain{Name: args[0]}
			in.Settings.SecurityPolicy = policy
			if (cert == "") != (key == "") {
				return model.Errorf(model.Invalid, "--certificate and --key go together")
			}
			files := map[string]string{cert: "", key: "", chain: "", clients: ""}
			for name := range files {
				if name == "" {
					continue
				}
				b, err := os.ReadFile(name)
				if err != nil {
					return model.Errorf(model.Invalid, "%v", err)
				}
				files[name] = string(b)
			}
			if cert != "" {
				c, err := model.ParseServerCertificate(files[cert], files[key], files[chain])
				if err != nil {
					return err
				}
				in.Upload = &c
			}
			if clients != "" {
				in.Settings.MutualTLS = &model.MutualTLS{TruststoreURI: "file:" + clients, Truststore: files[clients]}
			}
			d, err := v.plane.CreateDomain(v.ctx, v.actor, in)
			if err != nil {
				return err
			}
			return v.showDomain(d)
		}),
	}
	cmd.Flags().StringVar(&cert, "certificate", "", "file of the certificate, its chain behind it (PEM)")
	cmd.Flags().StringVar(&key, "key", "", "file of its private key (PEM)")
	cmd.Flags().StringVar(&chain, "chain", "", "file of the certificates between it and a root, where they are apart (PEM)")
	cmd.Flags().StringVar(&clients, "client-ca", "", "let in only clients whose certificate leads to one in this file (PEM)")
	cmd.Flags().StringVar(&policy, "security-policy", "", "what connections must be, such as TLS_1_2")
	return cmd
}

func domainListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the domain names", Args: cobra.NoArgs,
		RunE: asOwner(func(v *localVerb, _ []string) error {
			var all []shownDomain
			for pg := (control.Page{}); ; {
				l, err := v.plane.Domains(v.ctx, v.actor, pg)
				if err != nil {
					return err
				}
				for _, d := range l.Items {
					s, err := v.shownDomain(d)
					if err != nil {
						return err
					}
					all = append(all, s)
				}
				if pg.After = l.Next; l.Next == "" {
					break
				}
			}
			return showList(v.cmd, all, "There is no domain name yet: tollgate domain create NAME", []string{"NAME", "STATUS", "MAPPINGS"},
				func(s shownDomain) []any { return []any{s.Key(), s.Status, len(s.Mappings)} })
		}),
	}
}

func domainShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a domain name, and what it waits for", Args: cobra.ExactArgs(1),
		RunE: asOwner(func(v *localVerb, args []string) error {
			d, err := v.plane.Domain(v.ctx, v.actor, args[0])
			if err != nil {
				return err
			}
			return v.showDomain(d)
		}),
	}
}

func domainCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use: "check NAME", Short: "Look for the name's DNS record now", Args: cobra.ExactArgs(1),
		RunE: asOwner(func(v *localVerb, args []string) error {
			if _, err := v.plane.CheckName(v.ctx, v.actor, args[0]); err != nil {
				return err
			}
			d, err := v.plane.Domain(v.ctx, v.actor, args[0])
			if err != nil {
				return err
			}
			return v.showDomain(d)
		}),
	}
}

func domainMapCommand() *cobra.Command {
	var base string
	cmd := &cobra.Command{
		Use: "map NAME API [STAGE]", Short: "Let a domain name, or a path below it, lead to a stage", Args: cobra.RangeArgs(2, 3),
		Long: "Let a domain name, or with --path a path below it, lead to a stage. Without STAGE the path's next segment names it.",
		RunE: asOwner(func(v *localVerb, args []string) error {
			id, err := v.api(args[1])
			if err != nil {
				return err
			}
			m := model.Mapping{BasePath: base, APIID: id}
			if len(args) == 3 {
				m.Stage = args[2]
			}
			if _, err := v.plane.CreateMapping(v.ctx, v.actor, args[0], m); err != nil {
				return err
			}
			d, err := v.plane.Domain(v.ctx, v.actor, args[0])
			if err != nil {
				return err
			}
			return v.showDomain(d)
		}),
	}
	cmd.Flags().StringVar(&base, "path", "", "base path, such as v1 (default: all that no other base path takes)")
	return cmd
}

func domainUnmapCommand() *cobra.Command {
	var base string
	cmd := &cobra.Command{
		Use: "unmap NAME", Short: "End what a base path of a domain name leads to", Args: cobra.ExactArgs(1),
		RunE: asOwner(func(v *localVerb, args []string) error {
			return v.plane.DeleteMapping(v.ctx, v.actor, args[0], strings.Trim(base, "/"))
		}),
	}
	cmd.Flags().StringVar(&base, "path", "", "base path")
	return cmd
}

func domainDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Short: "Take a domain name away, with what it leads to", Args: cobra.ExactArgs(1),
		RunE: asOwner(func(v *localVerb, args []string) error { return v.plane.DeleteDomain(v.ctx, v.actor, args[0]) }),
	}
}
