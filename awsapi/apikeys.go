package awsapi

import (
	"slices"
	"strings"

	"tollgate/control"
	"tollgate/model"
)

var apiKeys = handlers{
	"CreateApiKey":  (*call).createAPIKey,
	"GetApiKey":     (*call).getAPIKey,
	"GetApiKeys":    (*call).getAPIKeys,
	"UpdateApiKey":  (*call).updateAPIKey,
	"DeleteApiKey":  (*call).deleteAPIKey,
	"ImportApiKeys": (*call).importAPIKeys,
}

// apiKey is a key's shape.
type apiKey struct {
	ID              string            `json:"id"`
	Value           string            `json:"value,omitempty"`
	Name            string            `json:"name,omitempty"`
	CustomerID      string            `json:"customerId,omitempty"`
	Description     string            `json:"description,omitempty"`
	Enabled         bool              `json:"enabled"`
	CreatedDate     stamp             `json:"createdDate"`
	LastUpdatedDate stamp             `json:"lastUpdatedDate"`
	StageKeys       []string          `json:"stageKeys"`
	Tags            map[string]string `json:"tags,omitempty"`
}

func asAPIKey(k *control.Key) apiKey {
	return apiKey{
		ID: k.ID, Name: k.Name, CustomerID: k.CustomerID, Description: k.Description, Enabled: k.Enabled,
		CreatedDate: stamp(k.CreatedAt), LastUpdatedDate: stamp(k.UpdatedAt), StageKeys: k.StageKeys, Tags: k.Tags,
	}
}

// readAPIKey is a key as reads and changes show it: with its tags, even none.
func readAPIKey(k apiKey) any {
	tags := k.Tags
	if tags == nil {
		tags = map[string]string{}
	}
	return struct {
		apiKey
		Tags map[string]string `json:"tags"`
	}{k, tags}
}

var errNoKey = notFound("Invalid API Key identifier specified")

// maxKeyDescription is in bytes, of which the service takes as many.
const maxKeyDescription = 10_000

func checkKeyText(s *control.KeySpec) error {
	if len(s.Description) > maxKeyDescription {
		return badRequest("Invalid API Key description specified.")
	}
	if len(s.Name) > 1024 {
		return badRequest("Invalid API Key name specified.")
	}
	if len(s.CustomerID) > maxKeyDescription {
		return badRequest("Invalid customer identifier specified.")
	}
	return nil
}

func (c *call) createAPIKey() (any, error) {
	var in struct {
		Name               string
		Description        string
		Enabled            bool
		GenerateDistinctID bool
		Value              string
		StageKeys          []struct{ RestAPIID, StageName string }
		CustomerID         string
		Tags               map[string]string
	}
	if err := c.in(&in); err != nil {
		return nil, err
	}
	n := control.NewKey{Name: in.Name, Enabled: in.Enabled, Value: in.Value, Tags: in.Tags, Readable: true,
		KeySpec: control.KeySpec{Name: in.Name, Description: in.Description, CustomerID: in.CustomerID}}
	for _, s := range in.StageKeys {
		if s.RestAPIID != "" {
			n.StageKeys = append(n.StageKeys, s.RestAPIID+"/"+s.StageName)
		}
	}
	if err := checkKeyText(&n.KeySpec); err != nil {
		return nil, err
	}
	switch {
	case len(in.Value) > 128:
		return nil, badRequest("API Key value exceeds maximum size of 128 characters")
	case in.Value != "" && len(in.Value) < 20:
		return nil, badRequest("API Key value should be at least 20 characters")
	}
	k, err := c.Plane.CreateKey(c.ctx, c.actor, n)
	if model.KindOf(err) == model.Conflict {
		return nil, conflict("API Key already exists")
	}
	if err != nil {
		return nil, err
	}
	out := asAPIKey(&k.Key)
	out.Value = k.Value
	return out, nil
}

// withValues adds the values of the keys that still have one.
func (c *call) withValues(keys []apiKey) error {
	ids := make([]string, len(keys))
	for i := range keys {
		ids[i] = keys[i].ID
	}
	values, err := c.Plane.KeyValues(c.ctx, c.actor, ids)
	for i := range keys {
		keys[i].Value = values[keys[i].ID]
	}
	return err
}

func (c *call) getAPIKey() (any, error) {
	k, err := c.Plane.Key(c.ctx, c.actor, c.args["api_Key"])
	if model.KindOf(err) == model.NotFound {
		return nil, errNoKey
	}
	if err != nil {
		return nil, err
	}
	out := []apiKey{asAPIKey(&k)}
	if isTrue(c.query.Get("includeValue")) {
		if err := c.withValues(out); err != nil {
			return nil, err
		}
	}
	return readAPIKey(out[0]), nil
}

func (c *call) getAPIKeys() (any, error) {
	n, err := c.limit()
	if err != nil {
		return nil, err
	}
	after, err := c.position()
	if err != nil {
		return nil, err
	}
	l, err := c.Plane.Keys(c.ctx, c.actor, control.KeyFilter{Page: control.Page{After: after, Limit: n}, Newest: true,
		Prefix: c.query.Get("name"), CustomerID: c.query.Get("customerId")})
	if err != nil {
		return nil, err
	}
	out := make([]apiKey, len(l.Items))
	for i := range l.Items {
		out[i] = asAPIKey(&l.Items[i])
	}
	if isTrue(c.query.Get("includeValues")) {
		if err := c.withValues(out); err != nil {
			return nil, err
		}
	}
	return list{Position: next(l.Next), Item: out}, nil
}

func (c *call) updateAPIKey() (any, error) {
	steps, err := c.patches()
	if err != nil {
		return nil, err
	}
	k, err := c.Plane.UpdateKey(c.ctx, c.actor, c.args["api_Key"], func(s *control.KeySpec) error {
		text := func(at *string) func(*patchOp, []string) error {
			return func(p *patchOp, _ []string) error { *at = p.value(); return nil }
		}
		err := patch(steps, []patchRule{
			{ops: "replace", pattern: "/description", apply: text(&s.Description)},
			{ops: "replace", pattern: "/enabled", apply: func(p *patchOp, _ []string) error { s.Enabled = isTrue(p.value()); return nil }},
			{ops: "replace", pattern: "/name", apply: text(&s.Name)},
			{ops: "replace", pattern: "/customerId", apply: text(&s.CustomerID)},
			{ops: "add remove", pattern: "/stages", hidden: true, apply: func(p *patchOp, _ []string) error {
				s.StageKeys = slices.DeleteFunc(s.StageKeys, func(k string) bool { return k == p.value() })
				if p.Op == "add" {
					s.StageKeys = append(s.StageKeys, p.value())
				}
				return nil
			}},
			{ops: "add remove", pattern: "/labels", hidden: true, apply: func(*patchOp, []string) error { return nil }},
		})
		if err != nil {
			return err
		}
		return checkKeyText(s)
	})
	if model.KindOf(err) == model.NotFound {
		return nil, errNoKey
	}
	if err != nil {
		return nil, err
	}
	return readAPIKey(asAPIKey(&k)), nil
}

func (c *call) deleteAPIKey() (any, error) {
	err := c.Plane.DeleteKey(c.ctx, c.actor, c.args["api_Key"])
	if model.KindOf(err) == model.NotFound {
		return nil, errNoKey
	}
	return nil, err
}

func (c *call) importAPIKeys() (any, error) {
	if f := c.query.Get("format"); f != "csv" {
		return nil, invalid(constraint{f, "importApiKeysInput.format", oneOf("csv")})
	}
	keys, ignored, err := control.ParseKeys(c.body)
	if err != nil {
		return nil, badRequest("%s", model.MessageOf(err))
	}
	for i := range keys {
		keys[i].Readable = true
		if err := checkKeyText(&keys[i].KeySpec); err != nil {
			return nil, err
		}
	}
	fail := isTrue(c.query.Get("failonwarnings"))
	if fail && len(ignored) > 0 {
		return nil, badRequest("Columns that are not known: %s", strings.Join(ignored, ", "))
	}
	ids, warnings, err := c.Plane.CreateKeys(c.ctx, c.actor, keys, fail)
	if err != nil {
		return nil, err
	}
	for _, name := range ignored {
		warnings = append(warnings, "column "+name+" is not known and is left out")
	}
	return struct {
		IDs      []string `json:"ids"`
		Warnings []string `json:"warnings"`
	}{notNil(ids), notNil(warnings)}, nil
}

func notNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
