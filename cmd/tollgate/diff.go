package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tollgate/control"
	"tollgate/control/changes"
	"tollgate/control/openapi"
	"tollgate/model"
)

// failOn is the value of --fail-on: cobra refuses others as a usage error.
type failOn changes.Level

func (f *failOn) String() string { return string(*f) }
func (f *failOn) Type() string   { return "error|warning|info" }
func (f *failOn) Set(v string) error {
	if !slices.Contains(changes.Levels, changes.Level(v)) {
		return fmt.Errorf("%q is not error, warning or info", v)
	}
	*f = failOn(v)
	return nil
}

// refuse fails when a change is as grave as the flag says, or graver.
func (f failOn) refuse(all []changes.Change, what string) error {
	n := 0
	for _, c := range all {
		if f != "" && slices.Index(changes.Levels, c.Level) <= slices.Index(changes.Levels, changes.Level(f)) {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	if f == "error" {
		return model.Errorf(model.Invalid, "%d changes break callers: %s", n, what)
	}
	return model.Errorf(model.Invalid, "%d changes are of level %s or graver: %s", n, string(f), what)
}

func apiDiffCommand() *cobra.Command {
	var from, to string
	var fail failOn
	cmd := &cobra.Command{
		Use: "diff API --from STATE [--to STATE]", Short: "List what changes for callers between two states of an API", Args: cobra.ExactArgs(1),
		Long: "List what changes for callers between two states of an API: error is what breaks them, warning what some may\n" +
			"notice, info the rest. A state is the name of a stage, the id of a deployment, the word definition, or the\n" +
			"name of an OpenAPI file (with a dot or a slash in it), which is compared as if it had been imported.\n" +
			"With --fail-on the exit code is 1 when there is a change of that level or a graver one.",
		Example: "  tollgate diff Pets --from prod\n  tollgate diff Pets --from prod --to ./openapi.yaml --fail-on error",
		RunE: anywhere(func(v *verb, args []string) error {
			id, err := v.api(args[0])
			if err != nil {
				return err
			}
			a, err := v.version(id, from)
			if err != nil {
				return err
			}
			b, err := v.version(id, to)
			if err != nil {
				return err
			}
			got, err := v.plane.CompareVersions(v.ctx, v.actor, id, a, b)
			if err != nil {
				return err
			}
			if err := showChanges(v.cmd, got); err != nil {
				return err
			}
			return fail.refuse(got, "from "+from+" to "+to)
		}),
	}
	cmd.Flags().StringVar(&from, "from", "", "the state before: a stage, a deployment's id, definition, or a file")
	cmd.Flags().StringVar(&to, "to", "definition", "the state after")
	cmd.Flags().Var(&fail, "fail-on", "fail when a change is of this level or a graver one")
	_ = cmd.MarkFlagRequired("from")
	return cmd
}

// version finds the state of an API that a word names.
func (v *verb) version(api, word string) (control.Version, error) {
	switch {
	case word == "definition":
		return control.Version{}, nil
	case isURL(word) || strings.ContainsAny(word, "./\\") || word == "-":
		src, err := readSource(v.ctx, v.cmd.InOrStdin(), word)
		if err != nil {
			return control.Version{}, err
		}
		doc, err := openapi.Import(src, openapi.Options{BaseURL: word})
		if err != nil {
			return control.Version{}, err
		}
		return control.Version{Document: &doc.Definition}, nil
	}
	stages, err := v.plane.Stages(v.ctx, v.actor, api)
	if err != nil {
		return control.Version{}, err
	}
	for _, s := range stages {
		if s.Name == word {
			return control.Version{Stage: word}, nil
		}
	}
	return control.Version{Deployment: word}, nil
}

func showChanges(cmd *cobra.Command, all []changes.Change) error {
	if all == nil {
		all = []changes.Change{}
	}
	return show(cmd, items[changes.Change]{all}, func(w io.Writer) { writeChanges(w, all) })
}

func writeChanges(w io.Writer, all []changes.Change) {
	if len(all) == 0 {
		fmt.Fprintln(w, "nothing changes for callers")
		return
	}
	fmt.Fprintln(w, "LEVEL\tWHERE\tCHANGE\tRULE")
	for _, c := range all {
		where := strings.TrimSpace(c.Method + " " + c.Path)
		if where == "" {
			where = "the API"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.Level, cell(where), cell(c.Text), c.Rule)
	}
}

func apiExportCommand() *cobra.Command {
	var stage, kind, file, extensions string
	var yaml bool
	cmd := &cobra.Command{
		Use: "export API --stage S", Short: "Write what a stage serves as an OpenAPI document", Args: cobra.ExactArgs(1),
		Long: "Write what a stage serves as an OpenAPI 3.0 or Swagger 2.0 document, as Amazon API Gateway exports it.\n" +
			"With --extensions apigateway it holds all that an import needs to make the same API again.",
		Example: "  tollgate api export Pets --stage prod --extensions apigateway --yaml --out pets.yaml",
		RunE: anywhere(func(v *verb, args []string) error {
			if kind != "oas30" && kind != "swagger" {
				return model.Errorf(model.Invalid, "--type %q is not oas30 or swagger", kind)
			}
			id, err := v.api(args[0])
			if err != nil {
				return err
			}
			o := openapi.ExportOptions{Swagger: kind == "swagger", YAML: yaml}
			if err := o.Extensions(extensions); err != nil {
				return err
			}
			gateway, err := v.gateway()
			if err != nil {
				return err
			}
			o.Host, o.Scheme = id+".execute-api."+gateway.Host, gateway.Scheme
			got, err := v.plane.ExportStage(v.ctx, v.actor, id, stage, o)
			if err != nil {
				return err
			}
			body := got.Body
			if file == "" || file == "-" {
				_, err = v.cmd.OutOrStdout().Write(body)
				return err
			}
			if err := os.WriteFile(file, body, 0o644); err != nil {
				return model.Errorf(model.Unavailable, "the document cannot be written: %v", err)
			}
			return show(v.cmd, map[string]any{"file": file, "bytes": len(body)}, func(w io.Writer) { fmt.Fprintf(w, "wrote %s: %d bytes\n", cell(file), len(body)) })
		}),
	}
	f := cmd.Flags()
	f.StringVar(&stage, "stage", "", "name of the stage")
	f.StringVar(&kind, "type", "oas30", "oas30 or swagger")
	f.StringVar(&extensions, "extensions", "", "with extensions: integrations, authorizers, apigateway (all); several with commas")
	f.BoolVar(&yaml, "yaml", false, "as YAML instead of JSON")
	f.StringVar(&file, "out", "", "file to write to (default: standard output)")
	_ = cmd.MarkFlagRequired("stage")
	return cmd
}
