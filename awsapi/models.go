package awsapi

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"tollgate/model"
)

var models = handlers{
	"CreateModel":      (*call).createModel,
	"GetModel":         (*call).getModel,
	"GetModels":        (*call).getModels,
	"UpdateModel":      (*call).updateModel,
	"DeleteModel":      (*call).deleteModel,
	"GetModelTemplate": (*call).getModelTemplate,
}

// schema is a model's shape.
type schema struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Schema      string `json:"schema,omitempty"`
	ContentType string `json:"contentType"`
}

func asSchema(m model.Schema) any {
	return schema{m.ID, m.Name, m.Description, m.Schema, m.ContentType}
}

func (c *call) noModel() error {
	return notFound("Invalid model name specified: %s", c.args["model_name"])
}

var modelName = regexp.MustCompile(`^[A-Za-z0-9]+$`)

// Limits of what describes a part, in bytes.
const (
	maxName        = 1024
	maxDescription = 125_000
)

func (c *call) createModel() (any, error) {
	var in schema
	if err := c.in(&in); err != nil {
		return nil, err
	}
	switch {
	case in.ContentType == "":
		return nil, invalid(c.required("contentType", "")...)
	case in.Name == "":
		return nil, badRequest("Model name must be non-empty")
	case !modelName.MatchString(in.Name):
		return nil, badRequest("Model name must be alphanumeric: %.200s", in.Name)
	case len(in.Name) > maxName:
		return nil, badRequest("Model name exceeds maximum size of %d characters", maxName)
	}
	if err := checkModel(in.Description, in.ContentType, in.Schema); err != nil {
		return nil, err
	}
	m := model.Schema{ID: model.NewID(6), Name: in.Name, Description: in.Description, ContentType: in.ContentType, Schema: in.Schema}
	err := c.edit(func(d *model.Definition) error {
		if d.Model(m.Name) != nil {
			return conflict("Model name already exists for this REST API")
		}
		d.Models = append(d.Models, m)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return asSchema(m), nil
}

// checkModel reports what no model may be. References to models that are not there
// are allowed until a deployment.
func checkModel(description, contentType, text string) error {
	switch {
	case len(description) > maxDescription:
		return badRequest("Invalid model description specified.")
	case len(contentType) > maxName:
		return badRequest("Invalid content type specified: %.200s", contentType)
	case len(text) > model.MaxSchemaBytes:
		return badRequest("Model schema exceeds maximum size of %d bytes", model.MaxSchemaBytes)
	case strings.TrimSpace(text) == "":
		return badRequest("Model schema must have at least 1 property or array items defined")
	}
	if !isJSON(contentType) {
		return nil
	}
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return badModel("Invalid content specified for model: " + err.Error())
	}
	o, ok := v.(map[string]any)
	if !ok {
		return badModel("Invalid model schema specified")
	}
	bad := false
	eachRef(o, func(ref string) string {
		bad = bad || !strings.HasPrefix(ref, "#") && modelRef(ref) == ""
		return ref
	})
	if bad {
		return badModel("Model reference must be in canonical form")
	}
	return nil
}

func badModel(why string) error {
	return badRequest("Invalid model specified: Validation Result: warnings : [], errors : [%s]", why)
}

func isJSON(contentType string) bool {
	contentType, _, _ = strings.Cut(contentType, ";")
	contentType = strings.ToLower(strings.TrimSpace(contentType))
	return contentType == "application/json" || strings.HasSuffix(contentType, "+json")
}

func (c *call) getModels() (any, error) {
	a, err := c.api()
	if err != nil {
		return nil, err
	}
	all := slices.SortedFunc(slices.Values(a.Definition.Models), func(x, y model.Schema) int { return strings.Compare(x.Name, y.Name) })
	return paged(c, all, func(m model.Schema) string { return m.Name }, asSchema)
}

// theModel reads the API and its model that the path names.
func (c *call) theModel() (*model.Definition, *model.Schema, error) {
	d, err := c.apiOr(c.noModel())
	if err != nil {
		return nil, nil, err
	}
	m := d.Model(c.args["model_name"])
	if m == nil {
		return nil, nil, c.noModel()
	}
	return d, m, nil
}

func (c *call) getModel() (any, error) {
	d, m, err := c.theModel()
	if err != nil {
		return nil, err
	}
	if c.query.Get("flatten") == "true" && isJSON(m.ContentType) {
		flat := *m
		if flat.Schema, err = flatten(d, m); err != nil {
			return nil, err
		}
		m = &flat
	}
	return asSchema(*m), nil
}

func (c *call) getModelTemplate() (any, error) {
	d, m, err := c.theModel()
	if err != nil {
		return nil, err
	}
	if !isJSON(m.ContentType) {
		return nil, badRequest("There are no templates for models of content type %.200s", m.ContentType)
	}
	text, err := sampleTemplate(d, m)
	if err != nil {
		return nil, err
	}
	return struct {
		Value string `json:"value"`
	}{text}, nil
}

func (c *call) updateModel() (any, error) {
	steps, err := c.patches()
	if err != nil {
		return nil, err
	}
	var out model.Schema
	err = c.editPart(c.noModel(), func(d *model.Definition) error {
		m := d.Model(c.args["model_name"])
		if m == nil {
			return c.noModel()
		}
		err := patch(steps, []patchRule{
			{ops: "replace", pattern: "/description", apply: setText(&m.Description)},
			{ops: "replace", pattern: "/schema", apply: setText(&m.Schema)},
		})
		if err != nil {
			return err
		}
		out = *m
		return checkModel(m.Description, m.ContentType, m.Schema)
	})
	if err != nil {
		return nil, err
	}
	return asSchema(out), nil
}

func (c *call) deleteModel() (any, error) {
	name := c.args["model_name"]
	return nil, c.editPart(c.noModel(), func(d *model.Definition) error {
		i := slices.IndexFunc(d.Models, func(m model.Schema) bool { return m.Name == name })
		if i < 0 {
			return c.noModel()
		}
		if err := modelUnused(d, name); err != nil {
			return err
		}
		d.Models = slices.Delete(d.Models, i, i+1)
		return nil
	})
}

// modelUnused refuses to let go of a model that something refers to.
func modelUnused(d *model.Definition, name string) error {
	names := func(models map[string]string) bool {
		for _, n := range models {
			if n == name {
				return true
			}
		}
		return false
	}
	if path, verb, used := methodUsing(d, func(m *model.Method) bool { return names(m.RequestModels) }); used {
		return conflict("Cannot delete model '%s', is referenced in method request: %s/%s", name, path, verb)
	}
	path, verb, used := methodUsing(d, func(m *model.Method) bool {
		for _, r := range m.Responses {
			if names(r.Models) {
				return true
			}
		}
		return false
	})
	if used {
		return conflict("Cannot delete model '%s', is referenced in method response: %s/%s", name, path, verb)
	}
	for i := range d.Models {
		if m := &d.Models[i]; m.Name != name && strings.Contains(m.Schema, "/models/"+name) && refersTo(m, name) {
			return conflict("Cannot delete model '%s', is referenced in model: %s", name, m.Name)
		}
	}
	return nil
}
