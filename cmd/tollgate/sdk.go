package main

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"tollgate/control/sdk"
	"tollgate/model"
)

func apiSDKCommand() *cobra.Command {
	var stage, language, dir, address string
	var parameters map[string]string
	var force bool
	ids := make([]string, len(sdk.Languages))
	for i, l := range sdk.Languages {
		ids[i] = l.ID
	}
	cmd := &cobra.Command{
		Use: "sdk API --stage S --language L --out DIR", Short: "Write a client library of what a stage serves", Args: cobra.ExactArgs(1),
		Long: "Write a client library of what a stage serves: " + sdk.IDs() + ".\n" +
			"It is typed by the API's models, documented by its documentation parts, and needs nothing but the language.\n\n" +
			"Parameters of languages:\n" + parameterHelp(),
		RunE: anywhere(func(v *verb, args []string) error {
			l, err := sdk.ByID(language)
			if err != nil {
				return err
			}
			id, err := v.api(args[0])
			if err != nil {
				return err
			}
			if err := emptyDir(dir, force); err != nil {
				return err
			}
			detail, err := v.plane.API(v.ctx, v.actor, id)
			if err != nil {
				return err
			}
			o := sdk.Options{Language: language, BaseURL: address, Parameters: map[string]string{}}
			for name, value := range l.Defaults(detail.Name) {
				o.Parameters[name] = value
			}
			for name, value := range parameters {
				if err := knownParameter(l, name); err != nil {
					return err
				}
				o.Parameters[name] = value
			}
			if o.BaseURL == "" {
				gateway, err := v.gateway()
				if err != nil {
					return err
				}
				o.BaseURL = pathURL(gateway, id, stage)
			} else if !isURL(o.BaseURL) {
				return model.Errorf(model.Invalid, "--url %s is not an address such as https://api.example.com/v1", o.BaseURL)
			}
			got, err := v.plane.StageClient(v.ctx, v.actor, id, stage, o)
			if err != nil {
				return err
			}
			names, err := writeClient(dir, got.Files)
			if err != nil {
				return err
			}
			out := struct {
				Language string   `json:"language"`
				BaseURL  string   `json:"baseUrl"`
				Dir      string   `json:"dir"`
				Files    []string `json:"files"`
			}{language, o.BaseURL, dir, names}
			return show(v.cmd, out, func(w io.Writer) {
				fmt.Fprintf(w, "wrote a client in %s to %s: %d files; it calls %s\n", l.Name, cell(dir), len(names), o.BaseURL)
			})
		}),
	}
	f := cmd.Flags()
	f.StringVar(&stage, "stage", "", "name of the stage")
	f.StringVar(&language, "language", "", "one of "+strings.Join(ids, ", "))
	f.StringVar(&dir, "out", "", "directory to write to; new or empty")
	f.StringVar(&address, "url", "", "address that the client calls, such as one of a domain of yours (default: the gateway's, by path)")
	f.StringToStringVar(&parameters, "param", nil, "a parameter of the language, as name=value; may be given several times")
	f.BoolVar(&force, "force", false, "write also to a directory that is not empty")
	for _, name := range []string{"stage", "language", "out"} {
		_ = cmd.MarkFlagRequired(name)
	}
	_ = cmd.RegisterFlagCompletionFunc("language", cobra.FixedCompletions(ids, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func parameterHelp() string {
	var b strings.Builder
	for _, l := range sdk.Languages {
		for _, p := range l.Parameters {
			fmt.Fprintf(&b, "  %-6s %-20s %s\n", l.ID, p.Name, p.About)
		}
	}
	return b.String()
}

func knownParameter(l sdk.Language, name string) error {
	var names []string
	for _, p := range l.Parameters {
		if p.Name == name {
			return nil
		}
		names = append(names, p.Name)
	}
	if len(names) == 0 {
		return model.Errorf(model.Invalid, "a client in %s has no parameters", l.Name)
	}
	return model.Errorf(model.Invalid, "a client in %s has no parameter %q; it has %s", l.Name, name, strings.Join(names, ", "))
}

// pathURL is a stage's address by path, which every client resolves.
func pathURL(gateway *url.URL, api, stage string) string {
	return gateway.String() + "/_aws/execute-api/" + api + "/" + stage
}

// emptyDir makes a directory, which has to be empty unless forced.
func emptyDir(dir string, force bool) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return model.Errorf(model.Invalid, "%s cannot be made: %v", dir, err)
	}
	there, err := os.ReadDir(dir)
	if err != nil {
		return model.Errorf(model.Invalid, "%s cannot be read: %v", dir, err)
	}
	if len(there) > 0 && !force {
		return model.Errorf(model.Conflict, "%s is not empty; give a new directory, or --force to write over what is there", dir)
	}
	return nil
}

// writeClient writes the files below a directory and nowhere else.
func writeClient(dir string, files []sdk.File) ([]string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, model.Errorf(model.Invalid, "%s cannot be opened: %v", dir, err)
	}
	defer func() { _ = root.Close() }()
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = f.Name
		name := filepath.FromSlash(f.Name)
		if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return nil, model.Errorf(model.Invalid, "%s cannot be written: %v", f.Name, err)
		}
		if err := root.WriteFile(name, f.Body, 0o644); err != nil {
			return nil, model.Errorf(model.Invalid, "%s cannot be written: %v", f.Name, err)
		}
	}
	return names, nil
}
