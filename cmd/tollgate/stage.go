package main

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"tollgate/control"
	"tollgate/model"
)

func stageCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list [API]", Short: "List the stages of an API, or of all", Args: cobra.MaximumNArgs(1),
		RunE: anywhere(func(v *verb, args []string) error {
			id := ""
			if len(args) > 0 {
				var err error
				if id, err = v.api(args[0]); err != nil {
					return err
				}
			}
			l, err := v.plane.Stages(v.ctx, v.actor, id)
			if err != nil {
				return err
			}
			return showList(v.cmd, l, "no stages yet", []string{"API", "STAGE", "DEPLOYMENT", "RATE", "BURST", "UPDATED"}, func(s control.Stage) []any {
				rate, burst := limits(s.Throttle)
				return []any{s.APIID, s.Name, s.DeploymentID, rate, burst, s.UpdatedAt}
			})
		}),
	}
	return tenantVerbs(&cobra.Command{Use: "stage", Short: "Stages"}, list, stageShowCommand())
}

func stageShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show API STAGE", Short: "Show a stage; with --output json, all its settings", Args: cobra.ExactArgs(2),
		RunE: anywhere(func(v *verb, args []string) error {
			id, err := v.api(args[0])
			if err != nil {
				return err
			}
			gateway, err := v.gateway()
			if err != nil {
				return err
			}
			s, err := v.plane.Stage(v.ctx, v.actor, id, args[1])
			if err != nil {
				return err
			}
			return show(v.cmd, s, func(w io.Writer) {
				rate, burst := limits(s.Throttle)
				fmt.Fprintf(w, "api\t%s\nstage\t%s\ndeployment\t%s\nrate\t%s\nburst\t%s\ncreated\t%s\nupdated\t%s\naddress\t%s/\n",
					s.APIID, s.Name, s.DeploymentID, cell(rate), cell(burst), cell(s.CreatedAt), cell(s.UpdatedAt), pathURL(gateway, s.APIID, s.Name))
			})
		}),
	}
}

func limits(t *model.Throttle) (rate, burst any) {
	if t == nil {
		return "", ""
	}
	return t.Rate, t.Burst
}

func deploymentCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list API", Short: "List an API's deployments, newest first", Args: cobra.ExactArgs(1),
		RunE: anywhere(func(v *verb, args []string) error {
			id, err := v.api(args[0])
			if err != nil {
				return err
			}
			l, err := all(func(p control.Page) (control.List[control.Deployment], error) {
				return v.plane.Deployments(v.ctx, v.actor, id, p)
			})
			if err != nil {
				return err
			}
			return showList(v.cmd, l, "no deployments yet", []string{"DEPLOYMENT", "STAGES", "METHODS", "HASH", "DESCRIPTION", "CREATED"}, func(d control.Deployment) []any {
				return []any{d.ID, strings.Join(d.Stages, " "), d.Methods, d.Hash[:min(12, len(d.Hash))], d.Description, d.CreatedAt}
			})
		}),
	}
	return tenantVerbs(&cobra.Command{Use: "deployment", Short: "Deployments"}, list, rollbackCommand())
}

func rollbackCommand() *cobra.Command {
	var stage, to string
	cmd := &cobra.Command{
		Use: "rollback API --stage S", Short: "Point a stage at an older deployment: the one before, or --to", Args: cobra.ExactArgs(1),
		RunE: anywhere(func(v *verb, args []string) error {
			id, err := v.api(args[0])
			if err != nil {
				return err
			}
			gateway, err := v.gateway()
			if err != nil {
				return err
			}
			d, err := v.plane.Rollback(v.ctx, v.actor, id, stage, to)
			if err != nil {
				return err
			}
			return v.showDeployed(d, gateway)
		}),
	}
	cmd.Flags().StringVar(&stage, "stage", "", "name of the stage")
	cmd.Flags().StringVar(&to, "to", "", "id of the deployment (default: the one the stage served before)")
	_ = cmd.MarkFlagRequired("stage")
	return cmd
}

// throttleFlags are --rate and --burst.
type throttleFlags struct {
	rate  float64
	burst int
}

func (f *throttleFlags) add(cmd *cobra.Command, of string) {
	cmd.Flags().Float64Var(&f.rate, "rate", 0, "calls a second "+of)
	cmd.Flags().IntVar(&f.burst, "burst", 0, "calls at once "+of+" (default: the rate)")
}

// apply gives the throttle that the flags make of the one there is.
func (f *throttleFlags) apply(cmd *cobra.Command, was *model.Throttle) (*model.Throttle, error) {
	rate, burst := cmd.Flags().Changed("rate"), cmd.Flags().Changed("burst")
	if !rate && !burst {
		return was, nil
	}
	t := model.Throttle{}
	if was != nil {
		t = *was
	} else if !rate {
		return nil, model.Errorf(model.Invalid, "--burst needs --rate: a bucket that is never refilled admits nothing")
	}
	if rate {
		t.Rate = f.rate
	}
	switch {
	case burst:
		t.Burst = f.burst
	case was == nil && f.rate > 0 && f.rate <= 1e9:
		t.Burst = int(math.Ceil(f.rate))
	}
	return &t, t.Validate()
}
