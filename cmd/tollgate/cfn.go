package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"tollgate/control"
	"tollgate/control/cfn"
	"tollgate/model"
)

func importCFNCommand() *cobra.Command {
	var stack string
	var parameters map[string]string
	var dry, strict bool
	cmd := &cobra.Command{
		Use: "import-cfn TEMPLATE", Short: "Make the APIs, stages, keys and plans of a CloudFormation or SAM template", Args: cobra.ExactArgs(1),
		Long: "Make the APIs, stages, keys and plans that a CloudFormation or SAM template describes (AWS::ApiGateway::*,\n" +
			"AWS::Serverless::Api and the Api events of functions), with its parameters, conditions, mappings and functions\n" +
			"worked out. What cannot be taken is listed with line and column. Run again, it changes what differs and leaves\n" +
			"the rest; things are known by the stack's name. With --fail-on-unsupported nothing is made, and the exit code\n" +
			"is 2, when something of API Gateway cannot be taken.",
		Example: "  tollgate import-cfn template.yaml --stack pets --parameter Env=prod\n  tollgate import-cfn template.yaml --stack pets --dry-run --output json",
		RunE: asOwner(func(v *localVerb, args []string) error {
			src, err := readSource(v.ctx, v.cmd.InOrStdin(), args[0])
			if err != nil {
				return err
			}
			if stack == "" {
				base := filepath.Base(args[0])
				stack = strings.TrimSuffix(base, filepath.Ext(base))
			}
			beside := ""
			if !isURL(args[0]) && args[0] != "-" {
				beside = filepath.Dir(args[0])
			}
			plan, err := cfn.Read(src, cfn.Options{Stack: stack, Parameters: parameters, Region: v.cfg.Region, AccountID: v.actor.AccountID, Open: filesIn(beside)})
			if err != nil {
				return err
			}
			left := 0
			for _, p := range plan.Problems {
				if p.Severity == model.SeverityError {
					left++
				}
			}
			if strict && left > 0 {
				if err := show(v.cmd, plan, func(w io.Writer) { writeProblems(w, args[0], plan.Problems) }); err != nil {
					return err
				}
				return &unsupported{model.Errorf(model.Invalid, "%d parts of the template cannot be taken; nothing was made", left)}
			}
			if dry {
				return show(v.cmd, plan, func(w io.Writer) {
					writeProblems(w, args[0], plan.Problems)
					for _, a := range plan.APIs {
						fmt.Fprintf(w, "API %s: %d methods\n", cell(a.Definition.Name), a.Definition.MethodCount())
						for _, s := range a.Stages {
							fmt.Fprintf(w, "  stage %s\n", cell(s.Name))
						}
					}
					for _, k := range plan.Keys {
						fmt.Fprintf(w, "key %s\n", cell(k.Name))
					}
					for _, p := range plan.Plans {
						fmt.Fprintf(w, "plan %s\n", cell(p.Name))
					}
				})
			}
			got, err := v.plane.TakeStack(v.ctx, v.actor, plan)
			if err != nil {
				return err
			}
			out := struct {
				control.StackTaken
				Problems []model.Problem `json:"problems"`
			}{got, plan.Problems}
			return show(v.cmd, out, func(w io.Writer) {
				writeProblems(w, args[0], plan.Problems)
				for _, t := range got.Things {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", t.Done, t.Kind, cell(t.Name), t.ID, cell(t.Why+t.Value))
				}
			})
		}),
	}
	f := cmd.Flags()
	f.StringVar(&stack, "stack", "", "name of the stack (default: the file's, without its ending)")
	f.StringToStringVar(&parameters, "parameter", nil, "a parameter of the template, as name=value; may be given several times")
	f.BoolVar(&dry, "dry-run", false, "say what would be made, and make nothing")
	f.BoolVar(&strict, "fail-on-unsupported", false, "make nothing when a part of the template cannot be taken")
	f.String("tenant", "", "account id to act for (default: the only tenant)")
	outputFlag(cmd)
	return cmd
}

// unsupported has an exit code of its own.
type unsupported struct{ error }

func (u *unsupported) Unwrap() error { return u.error }

func writeProblems(w io.Writer, file string, all []model.Problem) {
	for _, p := range all {
		fmt.Fprintf(w, "%s:%d:%d: %s: %s: %s\n", cell(file), p.Line, p.Column, p.Severity, cell(p.Pointer), cell(p.Message))
	}
}

// filesIn opens files in a directory and below; nil when there is none.
func filesIn(dir string) func(string) ([]byte, error) {
	if dir == "" {
		return nil
	}
	return func(name string) ([]byte, error) {
		root, err := os.OpenRoot(dir)
		if err != nil {
			return nil, model.Errorf(model.Unavailable, "%v", err)
		}
		defer func() { _ = root.Close() }()
		f, err := root.Open(filepath.Clean(name))
		if err != nil {
			return nil, model.Errorf(model.NotFound, "%v", err)
		}
		defer func() { _ = f.Close() }()
		return readBounded(f, name, model.MaxDefinitionBytes)
	}
}
