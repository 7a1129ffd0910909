package awsapi

import (
	"strings"

	"tollgate/control"
)

var vpcLinks = handlers{
	"CreateVpcLink": (*call).createVPCLink,
	"GetVpcLink":    (*call).getVPCLink,
	"GetVpcLinks":   (*call).getVPCLinks,
	"UpdateVpcLink": (*call).updateVPCLink,
	"DeleteVpcLink": (*call).deleteVPCLink,
}

// vpcLink is a link's shape.
type vpcLink struct {
	ID            string            `json:"id"`
	Name          string            `json:"name"`
	Description   string            `json:"description,omitempty"`
	TargetARNs    []string          `json:"targetArns"`
	Status        string            `json:"status"`
	StatusMessage string            `json:"statusMessage,omitempty"`
	Tags          map[string]string `json:"tags,omitempty"`
	Targets       []string          `json:"x-tollgate-targets,omitempty"` // addresses, which the service has none of
}

// asVPCLink is a link as reads show it: nothing has to be set up for it to be there.
func asVPCLink(l control.VPCLink) any {
	return vpcLink{l.ID, l.Name, l.Description, l.ARNs(), "AVAILABLE", "Your vpc link is ready for use", l.Tags, l.Targets()}
}

func noVPCLink(err error) error { return missing(err, "Invalid Vpc Link identifier specified") }

func (c *call) createVPCLink() (any, error) {
	var in vpcLink
	if err := c.in(&in); err != nil {
		return nil, err
	}
	l, err := c.Plane.CreateVPCLink(c.ctx, c.actor, control.VPCLink{Name: in.Name, Description: in.Description, TargetARNs: in.TargetARNs, Tags: in.Tags})
	if err != nil {
		return nil, err
	}
	// Tools wait for a link; the service answers the creation so.
	return vpcLink{ID: l.ID, Name: l.Name, Description: l.Description, TargetARNs: l.ARNs(), Status: "PENDING", Tags: l.Tags, Targets: l.Targets()}, nil
}

func (c *call) getVPCLink() (any, error) {
	l, err := c.Plane.VPCLink(c.ctx, c.actor, c.args["vpclink_id"])
	if err != nil {
		return nil, noVPCLink(err)
	}
	return asVPCLink(l), nil
}

func (c *call) getVPCLinks() (any, error) { return readList(c, c.Plane.VPCLinks, asVPCLink) }

func (c *call) updateVPCLink() (any, error) {
	steps, err := c.patches()
	if err != nil {
		return nil, err
	}
	l, err := c.Plane.UpdateVPCLink(c.ctx, c.actor, c.args["vpclink_id"], func(l *control.VPCLink) error {
		return patch(steps, []patchRule{
			{ops: "replace", pattern: "/name", apply: setText(&l.Name)},
			{ops: "replace", pattern: "/description", apply: setText(&l.Description)},
			{ops: "replace", pattern: "/tollgate/targets", hidden: true, apply: func(p *patchOp, _ []string) error {
				l.SetTargets(strings.FieldsFunc(p.value(), func(r rune) bool { return r == ',' || r == ' ' }))
				return nil
			}},
			{ops: "add replace remove", pattern: "/targetArns", hidden: true, apply: func(*patchOp, []string) error {
				return badRequest("Target arns are not allowed to be changed/added.")
			}},
		})
	})
	if err != nil {
		return nil, noVPCLink(err)
	}
	return asVPCLink(l), nil
}

func (c *call) deleteVPCLink() (any, error) {
	return nil, noVPCLink(c.Plane.DeleteVPCLink(c.ctx, c.actor, c.args["vpclink_id"]))
}
