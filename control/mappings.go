package control

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// Mappings are what base paths of a domain lead to, by base path.
func (p *Plane) Mappings(ctx context.Context, actor Actor, domain string, pg Page) (List[model.Mapping], error) {
	from, limit, err := pg.bounds()
	if err != nil {
		return List[model.Mapping]{}, err
	}
	var out List[model.Mapping]
	err = p.readAs(ctx, actor, func(tx pgx.Tx) error {
		d, err := p.readDomain(ctx, tx, actor, domain)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			select base_path, api_id, stage from base_path_mapping
			where tenant_id = $1 and domain_num = $2 and ($5 = '' or base_path > $3) order by base_path limit $4`, actor.Tenant, d.Num, from.ID, limit+1, pg.After)
		if err != nil {
			return err
		}
		items, err := pgx.CollectRows(rows, pgx.RowToStructByPos[model.Mapping])
		out = page(items, limit, func(m *model.Mapping) after { return after{ID: m.BasePath} })
		return err
	})
	return out, err
}

// Mapping is one base path's.
func (p *Plane) Mapping(ctx context.Context, actor Actor, domain, basePath string) (out model.Mapping, err error) {
	err = p.readAs(ctx, actor, func(tx pgx.Tx) error {
		d, err := p.readDomain(ctx, tx, actor, domain)
		if err != nil {
			return err
		}
		out, err = readMapping(ctx, tx, actor.Tenant, d.Num, basePath)
		return err
	})
	return out, err
}

func readMapping(ctx context.Context, tx pgx.Tx, tenant, domain uint32, basePath string) (m model.Mapping, err error) {
	err = tx.QueryRow(ctx, `
		select base_path, api_id, stage from base_path_mapping where tenant_id = $1 and domain_num = $2 and base_path = $3`, tenant, domain, basePath).
		Scan(&m.BasePath, &m.APIID, &m.Stage)
	return m, missing(err, "there is no mapping of base path %.310q", basePath)
}

// CreateMapping lets a base path of a domain lead to a stage, at once.
func (p *Plane) CreateMapping(ctx context.Context, actor Actor, domain string, m model.Mapping) (model.Mapping, error) {
	m.BasePath = strings.Trim(m.BasePath, "/")
	if err := m.Validate(); err != nil {
		return m, err
	}
	_, err := p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		d, err := p.readDomain(ctx, w, actor, domain)
		if err != nil {
			return err
		}
		var n int
		var taken bool
		err = w.QueryRow(ctx, `
			select count(*), coalesce(bool_or(base_path = $3), false) from base_path_mapping where tenant_id = $1 and domain_num = $2`, w.tenant, d.Num, m.BasePath).Scan(&n, &taken)
		if err != nil {
			return err
		}
		if taken {
			return model.Errorf(model.Conflict, "Base path already exists for this domain name")
		}
		if n >= model.MaxMappingsPerDomain {
			return model.Errorf(model.Limit, "the domain has %d base-path mappings, the most it may have", n)
		}
		return w.putMapping(ctx, d, "", m, "domain.map")
	})
	return m, err
}

// UpdateMapping changes a mapping, its base path too.
func (p *Plane) UpdateMapping(ctx context.Context, actor Actor, domain, basePath string, edit func(*model.Mapping) error) (out model.Mapping, err error) {
	_, err = p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		d, err := p.readDomain(ctx, w, actor, domain)
		if err != nil {
			return err
		}
		if out, err = readMapping(ctx, w, w.tenant, d.Num, basePath); err != nil {
			return err
		}
		old := out
		if err := edit(&out); err != nil {
			return err
		}
		out.BasePath = strings.Trim(out.BasePath, "/")
		if err := out.Validate(); err != nil {
			return err
		}
		if out.BasePath != old.BasePath {
			if _, err := readMapping(ctx, w, w.tenant, d.Num, out.BasePath); err == nil {
				return model.Errorf(model.Conflict, "Base path already exists for this domain name")
			} else if model.KindOf(err) != model.NotFound {
				return err
			}
		}
		if _, err := w.Exec(ctx, `delete from base_path_mapping where tenant_id = $1 and domain_num = $2 and base_path = $3`, w.tenant, d.Num, old.BasePath); err != nil {
			return err
		}
		return w.putMapping(ctx, d, old.BasePath, out, "domain.remap")
	})
	return out, err
}

func (w *write) putMapping(ctx context.Context, d Domain, old string, m model.Mapping, action string) error {
	if d.Settings.Private() && strings.Contains(m.BasePath, "/") {
		return model.Errorf(model.Invalid, "a base path of a private domain name has one segment; routing rules take longer ones")
	}
	if err := w.leadsTo(ctx, m.APIID, m.Stage); err != nil {
		return err
	}
	if _, err := w.Exec(ctx, `
		insert into base_path_mapping (tenant_id, domain_num, base_path, api_id, stage) values ($1, $2, $3, $4, $5)`,
		w.tenant, d.Num, m.BasePath, m.APIID, m.Stage); err != nil {
		return err
	}
	w.changedDomain(&d)
	return w.audit(ctx, action, d.Key(), map[string]any{"basePath": m.BasePath, "was": old, "api": m.APIID, "stage": m.Stage})
}

// leadsTo reports that there is no such API, or no such stage of it.
func (w *write) leadsTo(ctx context.Context, apiID, stage string) error {
	if err := apiExists(ctx, w, w.tenant, apiID); err != nil {
		return model.Errorf(model.Invalid, "Invalid REST API identifier specified")
	}
	if stage == "" {
		return nil
	}
	if _, err := readStage(ctx, w, w.tenant, apiID, stage); err != nil {
		return model.Errorf(model.Invalid, "Invalid stage identifier specified")
	}
	return nil
}

// DeleteMapping ends a mapping.
func (p *Plane) DeleteMapping(ctx context.Context, actor Actor, domain, basePath string) error {
	_, err := p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		d, err := p.readDomain(ctx, w, actor, domain)
		if err != nil {
			return err
		}
		if _, err := readMapping(ctx, w, w.tenant, d.Num, basePath); err != nil {
			return err
		}
		if _, err := w.Exec(ctx, `delete from base_path_mapping where tenant_id = $1 and domain_num = $2 and base_path = $3`, w.tenant, d.Num, basePath); err != nil {
			return err
		}
		w.changedDomain(&d)
		return w.audit(ctx, "domain.unmap", d.Key(), map[string]any{"basePath": basePath})
	})
	return err
}

// unmapped refuses to take away a stage (or with stage "", an API) while a domain
// leads to it.
func (w *write) unmapped(ctx context.Context, apiID, stage string) error {
	var names []string
	err := w.QueryRow(ctx, `
		select coalesce(array_agg(distinct d.key), '{}') from domain d
			left join base_path_mapping m using (tenant_id, domain_num) left join routing_rule r using (tenant_id, domain_num)
		where d.tenant_id = $1 and
			(m.api_id = $2 and ($3 = '' or m.stage = $3) or r.api_id = $2 and ($3 = '' or r.rule #>> '{invoke,stage}' = $3))`, w.tenant, apiID, stage).Scan(&names)
	if err != nil || len(names) == 0 {
		return err
	}
	what := "API"
	if stage != "" {
		what = "stage"
	}
	return model.Errorf(model.Invalid, "Please remove all base path mappings related to the %s in your domains: %s", what, strings.Join(names, ", "))
}

// RoutingRules are a domain's, by priority.
func (p *Plane) RoutingRules(ctx context.Context, actor Actor, domain string) (out []model.RoutingRule, err error) {
	err = p.readAs(ctx, actor, func(tx pgx.Tx) error {
		d, err := p.readDomain(ctx, tx, actor, domain)
		if err != nil {
			return err
		}
		out, err = readRules(ctx, tx, actor.Tenant, d.Num)
		return err
	})
	return out, err
}

func readRules(ctx context.Context, tx pgx.Tx, tenant, domain uint32) ([]model.RoutingRule, error) {
	rows, err := tx.Query(ctx, `select rule from routing_rule where tenant_id = $1 and domain_num = $2 order by priority`, tenant, domain)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[model.RoutingRule])
}

// RoutingRule is one of a domain's.
func (p *Plane) RoutingRule(ctx context.Context, actor Actor, domain, id string) (model.RoutingRule, error) {
	rules, err := p.RoutingRules(ctx, actor, domain)
	if err != nil {
		return model.RoutingRule{}, err
	}
	for _, r := range rules {
		if r.ID == id {
			return r, nil
		}
	}
	return model.RoutingRule{}, noRule(id)
}

func noRule(id string) error {
	return model.Errorf(model.NotFound, "there is no routing rule %.60q", id)
}

// CreateRoutingRule adds a rule to a domain, in effect at once.
func (p *Plane) CreateRoutingRule(ctx context.Context, actor Actor, domain string, r model.RoutingRule) (model.RoutingRule, error) {
	r.ID = model.NewID(10)
	return r, p.editRules(ctx, actor, domain, r, func(rules []model.RoutingRule) ([]model.RoutingRule, string, error) {
		if len(rules) >= model.MaxRulesPerDomain {
			return nil, "", model.Errorf(model.Limit, "the domain has %d routing rules, the most it may have", len(rules))
		}
		return append(rules, r), "domain.rule-create", nil
	})
}

// PutRoutingRule changes a rule as a whole.
func (p *Plane) PutRoutingRule(ctx context.Context, actor Actor, domain string, r model.RoutingRule) error {
	return p.editRules(ctx, actor, domain, r, func(rules []model.RoutingRule) ([]model.RoutingRule, string, error) {
		for i := range rules {
			if rules[i].ID == r.ID {
				rules[i] = r
				return rules, "domain.rule-change", nil
			}
		}
		return nil, "", noRule(r.ID)
	})
}

// editRules replaces a domain's rules by those edit makes of them, one of which is r.
func (p *Plane) editRules(ctx context.Context, actor Actor, domain string, r model.RoutingRule, edit func([]model.RoutingRule) ([]model.RoutingRule, string, error)) error {
	if err := r.Validate(); err != nil {
		return err
	}
	_, err := p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		d, err := p.readDomain(ctx, w, actor, domain)
		if err != nil {
			return err
		}
		rules, err := readRules(ctx, w, w.tenant, d.Num)
		if err != nil {
			return err
		}
		rules, action, err := edit(rules)
		if err != nil {
			return err
		}
		for i := range rules {
			if rules[i].ID != r.ID && rules[i].Priority == r.Priority {
				return model.Errorf(model.Conflict, "rule %s has priority %d already; every rule of a domain has its own", rules[i].ID, r.Priority)
			}
		}
		if r.Invoke.Stage == "" {
			return model.Errorf(model.Invalid, "a rule names the stage it invokes")
		}
		if err := w.leadsTo(ctx, r.Invoke.APIID, r.Invoke.Stage); err != nil {
			return err
		}
		if _, err := w.Exec(ctx, `
			insert into routing_rule (tenant_id, domain_num, rule_id, priority, rule, api_id) values ($1, $2, $3, $4, $5, $6)
			on conflict (tenant_id, domain_num, rule_id) do update set priority = excluded.priority, rule = excluded.rule, api_id = excluded.api_id`,
			w.tenant, d.Num, r.ID, r.Priority, r, r.Invoke.APIID); err != nil {
			return err
		}
		w.changedDomain(&d)
		return w.audit(ctx, action, d.Key(), map[string]any{"rule": r.ID, "priority": r.Priority, "api": r.Invoke.APIID, "stage": r.Invoke.Stage})
	})
	return err
}

// DeleteRoutingRule ends a rule.
func (p *Plane) DeleteRoutingRule(ctx context.Context, actor Actor, domain, id string) error {
	_, err := p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		d, err := p.readDomain(ctx, w, actor, domain)
		if err != nil {
			return err
		}
		tag, err := w.Exec(ctx, `delete from routing_rule where tenant_id = $1 and domain_num = $2 and rule_id = $3`, w.tenant, d.Num, id)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return noRule(id)
		}
		w.changedDomain(&d)
		return w.audit(ctx, "domain.rule-delete", d.Key(), map[string]any{"rule": id})
	})
	return err
}

// domainsOf reads what a gateway serves of domains, for Changes.
func (p *Plane) domainsOf(rows pgx.Rows, c *model.Changes) error {
	var d model.DomainConfig
	var s model.DomainSettings
	var certificate string
	var chain *string
	var key []byte
	_, err := pgx.ForEachRow(rows, []any{&d.Num, &d.Tenant, &d.Name, &s, &certificate, &chain, &key, &d.Mappings, &d.Rules, &d.Challenges, &d.Deleted}, func() error {
		if d.Deleted {
			d = model.DomainConfig{Num: d.Num, Tenant: d.Tenant, Deleted: true}
		} else {
			d.SecurityPolicy, d.Strict, d.RoutingMode = s.SecurityPolicy, s.EndpointAccessMode == "STRICT", s.RoutingMode
			if s.MutualTLS != nil {
				d.ClientCAs = s.MutualTLS.Truststore
			}
			if chain != nil {
				if k, err := p.openSecret("certificate/"+certificate, key); err != nil {
					p.log.Error("a domain is served with the nodes' own certificate", "domain", d.Name, "error", fmt.Sprint(err))
				} else {
					d.Certificate, d.PrivateKey = *chain, k
				}
			}
		}
		c.Domains = append(c.Domains, d)
		d, s, chain, key = model.DomainConfig{}, model.DomainSettings{}, nil, nil // what is behind pointers must not be shared
		return nil
	})
	return err
}

// A name without a domain is served for the questions of certificate authorities. A
// private domain is never told of.
const domainRows = `select o.domain_num, o.tenant_id, o.name, coalesce(d.settings, '{}'), coalesce(d.certificate_id, ''), c.chain, c.private_key,
		coalesce((select jsonb_agg(jsonb_build_object('basePath', m.base_path, 'apiId', m.api_id, 'stage', m.stage) order by m.base_path)
			from base_path_mapping m where m.tenant_id = o.tenant_id and m.domain_num = o.domain_num), '[]'),
		coalesce((select jsonb_agg(r.rule order by r.priority) from routing_rule r where r.tenant_id = o.tenant_id and r.domain_num = o.domain_num), '[]'),
		coalesce((select h.answers from acme_challenge h where h.name = o.name), '{}'),
		t.gateway_id <> $1 or o.verified_at is null
	from owned_name o join tenant t using (tenant_id) left join (select * from domain where not private) d using (tenant_id, domain_num) left join certificate c using (tenant_id, certificate_id)`
