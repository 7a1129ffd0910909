package awsapi

import (
	"errors"

	"tollgate/control"
	"tollgate/model"
)

var deployments = handlers{
	"CreateDeployment": (*call).createDeployment,
	"GetDeployment":    (*call).getDeployment,
	"GetDeployments":   (*call).getDeployments,
	"UpdateDeployment": (*call).updateDeployment,
	"DeleteDeployment": (*call).deleteDeployment,
}

// deployment is a deployment's shape.
type deployment struct {
	ID          string                                      `json:"id"`
	Description string                                      `json:"description,omitempty"`
	CreatedDate stamp                                       `json:"createdDate"`
	APISummary  map[string]map[string]control.MethodSummary `json:"apiSummary,omitempty"`
}

func asDeployment(d *control.Deployment) deployment {
	return deployment{ID: d.ID, Description: d.Description, CreatedDate: stamp(d.CreatedAt)}
}

// notDeployed gives control's refusals around deployments and stages the service's
// words.
func (c *call) notDeployed(err error) error {
	switch {
	case errors.Is(err, control.ErrNoStage):
		return notFound("Invalid stage identifier specified")
	case errors.Is(err, control.ErrNoDeployment) && c.args["deployment_id"] != "":
		return notFound("Invalid Deployment identifier specified")
	case errors.Is(err, control.ErrNoDeployment):
		return badRequest("Deployment id does not exist")
	case errors.Is(err, control.ErrNoMethods):
		return badRequest("The REST API doesn't contain any methods")
	}
	return c.noAPI(err)
}

func (c *call) createDeployment() (any, error) {
	var in struct {
		StageName, StageDescription string
		Description                 string
		CacheClusterEnabled         *bool
		CacheClusterSize            string
		Variables                   map[string]string
		CanarySettings              *model.CanarySettings
		TracingEnabled              *bool
	}
	if err := c.in(&in); err != nil {
		return nil, err
	}
	if err := cacheSize("createDeploymentInput.cacheClusterSize", in.CacheClusterSize); err != nil {
		return nil, err
	}
	if in.CanarySettings != nil && in.StageName == "" {
		return nil, badRequest("A canary deployment needs the name of the stage whose canary it is to be")
	}
	d, err := c.Plane.CreateDeployment(c.ctx, c.actor, control.NewDeployment{
		APIID: c.args["restapi_id"], Stage: in.StageName, Description: in.Description, Canary: in.CanarySettings,
		Settings: func(s *model.StageSettings) error {
			if in.StageDescription != "" {
				s.Description = in.StageDescription
			}
			if in.Variables != nil {
				s.Variables = in.Variables
			}
			if in.TracingEnabled != nil {
				s.TracingEnabled = *in.TracingEnabled
			}
			setCache(s, in.CacheClusterEnabled, in.CacheClusterSize)
			return nil
		},
	})
	if err != nil {
		return nil, c.notDeployed(err)
	}
	return asDeployment(&d.Deployment), nil
}

// summarise adds what embed=apisummary asks for.
func (c *call) summarise(all []deployment) error {
	asked := false
	for _, v := range c.query["embed"] {
		asked = asked || v == "apisummary"
	}
	if !asked || len(all) == 0 {
		return nil
	}
	ids := make([]string, len(all))
	for i := range all {
		ids[i] = all[i].ID
	}
	methods, err := c.Plane.DeployedMethods(c.ctx, c.actor, c.args["restapi_id"], ids)
	if err != nil {
		return err
	}
	for i := range all {
		all[i].APISummary = methods[all[i].ID]
	}
	return nil
}

func (c *call) getDeployment() (any, error) {
	d, err := c.Plane.APIDeployment(c.ctx, c.actor, c.args["restapi_id"], c.args["deployment_id"])
	if err != nil {
		return nil, c.notDeployed(err)
	}
	out := []deployment{asDeployment(&d)}
	if err := c.summarise(out); err != nil {
		return nil, err
	}
	return out[0], nil
}

func (c *call) getDeployments() (any, error) {
	n, err := c.limit()
	if err != nil {
		return nil, err
	}
	after, err := c.position()
	if err != nil {
		return nil, err
	}
	all, err := c.Plane.Deployments(c.ctx, c.actor, c.args["restapi_id"], control.Page{After: after, Limit: n})
	if err != nil {
		return nil, c.noAPI(err)
	}
	out := make([]deployment, len(all.Items))
	for i := range all.Items {
		out[i] = asDeployment(&all.Items[i])
	}
	if err := c.summarise(out); err != nil {
		return nil, err
	}
	return list{Position: next(all.Next), Item: out}, nil
}

func (c *call) updateDeployment() (any, error) {
	steps, err := c.patches()
	if err != nil {
		return nil, err
	}
	d, err := c.Plane.APIDeployment(c.ctx, c.actor, c.args["restapi_id"], c.args["deployment_id"])
	if err != nil {
		return nil, c.notDeployed(err)
	}
	was := d.Description
	err = patch(steps, []patchRule{{ops: "replace", pattern: "/description", apply: func(p *patchOp, _ []string) error {
		d.Description = p.value()
		return nil
	}}})
	if err != nil {
		return nil, err
	}
	if d.Description != was {
		d, err = c.Plane.DescribeDeployment(c.ctx, c.actor, c.args["restapi_id"], d.ID, d.Description)
	} else {
		err = c.actor.May(control.ToBuild)
	}
	if err != nil {
		return nil, c.notDeployed(err)
	}
	return asDeployment(&d), nil
}

func (c *call) deleteDeployment() (any, error) {
	return nil, c.notDeployed(c.Plane.DeleteDeployment(c.ctx, c.actor, c.args["restapi_id"], c.args["deployment_id"]))
}
