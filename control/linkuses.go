package control

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// LinkUse is a method whose integration goes through a VPC link.
type LinkUse struct {
	APIID    string   `json:"apiId"`
	API      string   `json:"api"` // its name
	Path     string   `json:"path"`
	Verb     string   `json:"verb"`
	Resource string   `json:"resource"` // id
	Stages   []string `json:"stages"`   // that serve it so
	Edited   bool     `json:"edited"`   // it is so in the API as it is now, deployed or not
}

// maxLinkUses are looked at for one link.
const maxLinkUses = 10_000

// VPCLinkUses are the methods that go through a link, by API, path and verb.
func (p *Plane) VPCLinkUses(ctx context.Context, actor Actor, id string) (out []LinkUse, err error) {
	err = p.readAs(ctx, actor, func(tx pgx.Tx) error {
		if _, err := readLink(ctx, tx, actor.Tenant, id); err != nil {
			return err
		}
		out, err = linkUses(ctx, tx, actor.Tenant, id)
		return err
	})
	return out, err
}

// linkUses looks for a link's id in what stages serve, where it may be a stage variable,
// and in what is edited.
func linkUses(ctx context.Context, tx pgx.Tx, tenant uint32, id string) ([]LinkUse, error) {
	rows, err := tx.Query(ctx, `
		with method as (
			select a.api_id, a.name as api, r->>'path' as path, r->>'id' as resource, m.key as verb, m.value #>> '{methodIntegration,connectionId}' as link, null as stage, '{}'::jsonb as variables
			from api a, jsonb_array_elements(a.definition->'resources') r, jsonb_each(r->'resourceMethods') m
			where a.tenant_id = $1 and a.deleted_at is null
			union all
			select a.api_id, a.name, r->>'path', r->>'id', m.key, m.value #>> '{methodIntegration,connectionId}', s.name, t.variables
			from stage s join api a using (tenant_id, api_id)
				cross join lateral (values
					(s.deployment_id, coalesce(s.settings->'variables', '{}')),
					(s.canary_deployment_id, coalesce(s.settings->'variables', '{}') || coalesce(s.settings #> '{canarySettings,stageVariableOverrides}', '{}'))) t (deployment_id, variables)
				join deployment d on (d.tenant_id, d.api_id, d.deployment_id) = (s.tenant_id, s.api_id, t.deployment_id),
				jsonb_array_elements(d.definition->'resources') r, jsonb_each(r->'resourceMethods') m
			where s.tenant_id = $1 and s.deleted_at is null)
		select api_id, api, path, resource, verb, link, coalesce(stage, ''), variables from method
		where link = $2 or link like '%${stageVariables.%'
		order by api, api_id, path, verb, stage limit $3`, tenant, id, maxLinkUses)
	if err != nil {
		return nil, err
	}
	out := []LinkUse{}
	var u LinkUse
	var link, stage string
	var variables map[string]string
	_, err = pgx.ForEachRow(rows, []any{&u.APIID, &u.API, &u.Path, &u.Resource, &u.Verb, &link, &stage, &variables}, func() error {
		g, set := (&model.Integration{ConnectionID: link}).OnStage(variables)
		variables = nil
		if !set || g.ConnectionID != id {
			return nil
		}
		i := slices.IndexFunc(out, func(o LinkUse) bool { return o.APIID == u.APIID && o.Path == u.Path && o.Verb == u.Verb })
		if i < 0 {
			i = len(out)
			out = append(out, u)
		}
		if o := &out[i]; stage == "" {
			o.Edited = true
		} else if !slices.Contains(o.Stages, stage) {
			o.Stages = append(o.Stages, stage)
		}
		return nil
	})
	return out, err
}

// served are the uses that stages serve, as the service names them.
func served(uses []LinkUse) string {
	var out []string
	for _, u := range uses {
		for _, s := range u.Stages {
			out = append(out, fmt.Sprintf("%s:%s:%s:%s", u.APIID, u.Verb, u.Resource, s))
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}
