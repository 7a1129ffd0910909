package awsapi

import (
	"strconv"

	"tollgate/model"
)

var routingRules = handlers{
	"CreateRoutingRule": (*call).createRule,
	"GetRoutingRule":    (*call).getRule,
	"ListRoutingRules":  (*call).listRules,
	"PutRoutingRule":    (*call).putRule,
	"DeleteRoutingRule": (*call).deleteRule,
}

// routingRule is a rule's shape.
type routingRule struct {
	Actions    []ruleAction    `json:"actions"`
	Conditions []ruleCondition `json:"conditions"`
	Priority   *int            `json:"priority"`
	ARN        string          `json:"routingRuleArn,omitempty"`
	ID         string          `json:"routingRuleId,omitempty"`
}

type ruleAction struct {
	InvokeAPI *model.InvokeAPI `json:"invokeApi"`
}

// ruleCondition has one of its two members.
type ruleCondition struct {
	MatchBasePaths *matchBasePaths `json:"matchBasePaths,omitempty"`
	MatchHeaders   *matchHeaders   `json:"matchHeaders,omitempty"`
}

type matchBasePaths struct {
	AnyOf []string `json:"anyOf"`
}

type matchHeaders struct {
	AnyOf []model.HeaderIs `json:"anyOf"`
}

func (c *call) asRule(r model.RoutingRule) any {
	invoke := ruleInvoke(r.Invoke)
	out := struct {
		Actions    []any           `json:"actions"`
		Conditions []ruleCondition `json:"conditions"`
		Priority   int             `json:"priority"`
		ARN        string          `json:"routingRuleArn"`
		ID         string          `json:"routingRuleId"`
	}{[]any{map[string]any{"invokeApi": invoke}}, []ruleCondition{}, r.Priority,
		"arn:aws:apigateway:" + c.Region + ":" + c.actor.AccountID + ":/domainnames/" + c.domainKey() + "/routingrules/" + r.ID, r.ID}
	if len(r.BasePaths) > 0 {
		out.Conditions = append(out.Conditions, ruleCondition{MatchBasePaths: &matchBasePaths{r.BasePaths}})
	}
	for _, h := range r.Headers {
		out.Conditions = append(out.Conditions, ruleCondition{MatchHeaders: &matchHeaders{h}})
	}
	return out
}

// ruleInvoke shows stripBasePath when it is false too.
type ruleInvoke struct {
	APIID         string `json:"apiId"`
	Stage         string `json:"stage"`
	StripBasePath bool   `json:"stripBasePath"`
}

// ruleIn reads the rule that a client sends. What it does not say is not taken to be
// anything: an unread condition would send other calls to a stage than it names.
func (c *call) ruleIn() (out model.RoutingRule, err error) {
	var in routingRule
	if err := c.in(&in); err != nil {
		return out, err
	}
	switch {
	case in.Priority == nil:
		return out, badRequest("A routing rule has a priority from 1 to %d", model.MaxRulePriority)
	case in.Conditions == nil:
		return out, badRequest("A routing rule has conditions: [] matches every request")
	case len(in.Actions) != 1 || in.Actions[0].InvokeAPI == nil:
		return out, badRequest("A routing rule has one action, and that is invokeApi")
	}
	out.Priority, out.Invoke = *in.Priority, *in.Actions[0].InvokeAPI
	for i, cond := range in.Conditions {
		switch {
		case (cond.MatchBasePaths == nil) == (cond.MatchHeaders == nil):
			return out, badRequest("Condition %d has matchBasePaths or matchHeaders, one of them", i+1)
		case cond.MatchHeaders != nil:
			out.Headers = append(out.Headers, cond.MatchHeaders.AnyOf)
		case out.BasePaths != nil || len(cond.MatchBasePaths.AnyOf) == 0:
			return out, badRequest("A routing rule has at most one condition on base paths, which names at least one")
		default:
			out.BasePaths = cond.MatchBasePaths.AnyOf
		}
	}
	return out, nil
}

// noRule tells a domain that is not there from a rule that is not.
func (c *call) noRule(err error) error {
	if model.KindOf(err) == model.NotFound {
		if _, err := c.Plane.Domain(c.ctx, c.actor, c.domainKey()); err != nil {
			return noDomain(err)
		}
	}
	return missing(err, "Invalid routing rule identifier specified")
}

func (c *call) createRule() (any, error) {
	r, err := c.ruleIn()
	if err != nil {
		return nil, err
	}
	if r, err = c.Plane.CreateRoutingRule(c.ctx, c.actor, c.domainKey(), r); err != nil {
		return nil, noDomain(err)
	}
	return c.asRule(r), nil
}

func (c *call) putRule() (any, error) {
	r, err := c.ruleIn()
	if err != nil {
		return nil, err
	}
	r.ID = c.args["rule_id"]
	if err := c.Plane.PutRoutingRule(c.ctx, c.actor, c.domainKey(), r); err != nil {
		return nil, c.noRule(err)
	}
	return c.asRule(r), nil
}

func (c *call) getRule() (any, error) {
	r, err := c.Plane.RoutingRule(c.ctx, c.actor, c.domainKey(), c.args["rule_id"])
	if err != nil {
		return nil, c.noRule(err)
	}
	return c.asRule(r), nil
}

func (c *call) listRules() (any, error) {
	most := 100
	if s := c.query.Get("maxResults"); s != "" {
		var err error
		if most, err = strconv.Atoi(s); err != nil || most < 1 || most > 100 {
			return nil, badRequest("maxResults is 1 to 100, not %.20s", s)
		}
	}
	after := 0 // priorities are unique
	if s := c.query.Get("nextToken"); s != "" {
		var err error
		if after, err = strconv.Atoi(s); err != nil {
			return nil, badRequest("Invalid nextToken: %.50s", s)
		}
	}
	rules, err := c.Plane.RoutingRules(c.ctx, c.actor, c.domainKey())
	if err != nil {
		return nil, noDomain(err)
	}
	out := struct {
		NextToken    string `json:"nextToken,omitempty"`
		RoutingRules []any  `json:"routingRules"`
	}{"", []any{}}
	last := 0
	for _, r := range rules {
		if r.Priority <= after {
			continue
		}
		if len(out.RoutingRules) == most {
			out.NextToken = strconv.Itoa(last)
			break
		}
		out.RoutingRules, last = append(out.RoutingRules, c.asRule(r)), r.Priority
	}
	return out, nil
}

func (c *call) deleteRule() (any, error) {
	return nil, c.noRule(c.Plane.DeleteRoutingRule(c.ctx, c.actor, c.domainKey(), c.args["rule_id"]))
}
