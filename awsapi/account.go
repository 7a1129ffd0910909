package awsapi

import (
	"tollgate/control"
)

var account = handlers{
	"GetAccount":    (*call).getAccount,
	"UpdateAccount": (*call).updateAccount,
}

// usagePlansFeature is the one feature of an account that can be named.
const usagePlansFeature = "UsagePlans"

func asAccount(s control.AccountSettings) any {
	type throttle struct {
		Burst int     `json:"burstLimit"`
		Rate  float64 `json:"rateLimit"`
	}
	return struct {
		LogRole       string   `json:"cloudwatchRoleArn,omitempty"`
		Throttle      throttle `json:"throttleSettings"`
		Features      []string `json:"features"`
		APIKeyVersion string   `json:"apiKeyVersion"`
	}{s.LogRoleARN, throttle{s.Caps.Burst, s.Caps.Rate}, []string{usagePlansFeature}, "4"}
}

func (c *call) getAccount() (any, error) {
	s, err := c.Plane.AccountSettings(c.ctx, c.actor)
	if err != nil {
		return nil, err
	}
	return asAccount(s), nil
}

func (c *call) updateAccount() (any, error) {
	steps, err := c.patches()
	if err != nil {
		return nil, err
	}
	var role *string
	err = patch(steps, []patchRule{
		{ops: "replace", pattern: "/cloudwatchRoleArn", apply: func(p *patchOp, _ []string) error {
			v := p.value()
			role = &v
			return nil
		}},
		{ops: "add", pattern: "/features", apply: func(p *patchOp, _ []string) error {
			if p.value() != usagePlansFeature {
				return badRequest("Invalid feature specified: %.200s. Must be one of: [%s]", p.value(), usagePlansFeature)
			}
			return nil
		}},
		{ops: "remove", pattern: "/features", hidden: true, apply: func(*patchOp, []string) error {
			return badRequest("Usage Plans cannot be disabled once enabled")
		}},
	})
	if err != nil {
		return nil, err
	}
	if role != nil {
		if err := c.Plane.SetLogRole(c.ctx, c.actor, *role); err != nil {
			return nil, err
		}
	}
	return c.getAccount()
}
