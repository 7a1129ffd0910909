package awsapi

import (
	"slices"
	"strings"

	"tollgate/model"
)

var validators = handlers{
	"CreateRequestValidator": (*call).createValidator,
	"GetRequestValidator":    (*call).getValidator,
	"GetRequestValidators":   (*call).getValidators,
	"UpdateRequestValidator": (*call).updateValidator,
	"DeleteRequestValidator": (*call).deleteValidator,
}

// validator is a request validator's shape.
type validator struct {
	ID         string `json:"id"`
	Name       string `json:"name,omitempty"`
	Body       bool   `json:"validateRequestBody"`
	Parameters bool   `json:"validateRequestParameters"`
}

func asValidator(v model.RequestValidator) any { return validator(v) }

var noValidator = notFound("Invalid Request Validator identifier specified")

func (c *call) createValidator() (any, error) {
	var in validator
	if err := c.in(&in); err != nil {
		return nil, err
	}
	v := model.RequestValidator(in)
	v.ID = model.NewID(6)
	if len(v.Name) > maxName {
		return nil, badRequest("Request Validator name exceeds maximum size of %d characters", maxName)
	}
	err := c.editPart(badRequest("Invalid REST API identifier specified"), func(d *model.Definition) error {
		d.RequestValidators = append(d.RequestValidators, v)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return asValidator(v), nil
}

func (c *call) getValidator() (any, error) {
	d, err := c.apiOr(noValidator)
	if err != nil {
		return nil, err
	}
	v := d.RequestValidator(c.args["requestvalidator_id"])
	if v == nil {
		return nil, noValidator
	}
	return asValidator(*v), nil
}

func (c *call) getValidators() (any, error) {
	a, err := c.api()
	if err != nil {
		return nil, err
	}
	key := func(v model.RequestValidator) string { return v.ID }
	all := slices.SortedFunc(slices.Values(a.Definition.RequestValidators), func(x, y model.RequestValidator) int { return strings.Compare(x.ID, y.ID) })
	return paged(c, all, key, asValidator)
}

// setBool is a patch of a yes or no, which is text on this wire.
func setBool(to *bool) func(*patchOp, []string) error {
	return func(p *patchOp, _ []string) error {
		switch strings.ToLower(p.value()) {
		case "true":
			*to = true
		case "false", "":
			*to = false
		default:
			return badRequest("Invalid boolean value specified for %s: %.200s", p.path(), p.value())
		}
		return nil
	}
}

func (c *call) updateValidator() (any, error) {
	steps, err := c.patches()
	if err != nil {
		return nil, err
	}
	var out model.RequestValidator
	err = c.editPart(noValidator, func(d *model.Definition) error {
		v := d.RequestValidator(c.args["requestvalidator_id"])
		if v == nil {
			return noValidator
		}
		err := patch(steps, []patchRule{
			{ops: "replace", pattern: "/name", apply: func(p *patchOp, _ []string) error {
				v.Name = p.value()
				switch {
				case strings.TrimSpace(v.Name) == "":
					return badRequest("Request Validator name cannot be blank")
				case len(v.Name) > maxName:
					return badRequest("Request Validator name exceeds maximum size of %d characters", maxName)
				}
				return nil
			}},
			{ops: "replace", pattern: "/validateRequestParameters", apply: setBool(&v.Parameters)},
			{ops: "replace", pattern: "/validateRequestBody", apply: setBool(&v.Body)},
		})
		out = *v
		return err
	})
	if err != nil {
		return nil, err
	}
	return asValidator(out), nil
}

func (c *call) deleteValidator() (any, error) {
	id := c.args["requestvalidator_id"]
	return nil, c.editPart(noValidator, func(d *model.Definition) error {
		i := slices.IndexFunc(d.RequestValidators, func(v model.RequestValidator) bool { return v.ID == id })
		if i < 0 {
			return noValidator
		}
		if path, verb, used := methodUsing(d, func(m *model.Method) bool { return m.RequestValidatorID == id }); used {
			return conflict("Cannot delete request validator '%s', is referenced in method: %s/%s", d.RequestValidators[i].Name, verb, path)
		}
		d.RequestValidators = slices.Delete(d.RequestValidators, i, i+1)
		return nil
	})
}
