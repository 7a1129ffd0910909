package awsapi

import (
	"tollgate/control"
	"tollgate/model"
)

// Parts of a definition are read and changed through these. One step of a change
// that is refused leaves the definition as it was.

// api reads the API that the path names.
func (c *call) api() (*control.APIDetail, error) {
	a, err := c.Plane.API(c.ctx, c.actor, c.args["restapi_id"])
	if err != nil {
		return nil, c.noAPI(err)
	}
	return &a, nil
}

// apiOr reads the definition of the API that the path names, where the service
// names the part, not the API, if the API is not there either.
func (c *call) apiOr(gone error) (*model.Definition, error) {
	a, err := c.Plane.API(c.ctx, c.actor, c.args["restapi_id"])
	if model.KindOf(err) == model.NotFound {
		return nil, gone
	}
	return &a.Definition, err
}

// edit changes the definition of the API that the path names.
func (c *call) edit(change func(*model.Definition) error) error {
	_, err := c.Plane.UpdateDefinition(c.ctx, c.actor, c.args["restapi_id"], 0, change)
	return c.noAPI(err)
}

// editPart is edit as apiOr is api.
func (c *call) editPart(gone error, change func(*model.Definition) error) error {
	_, err := c.Plane.UpdateDefinition(c.ctx, c.actor, c.args["restapi_id"], 0, change)
	if model.KindOf(err) == model.NotFound {
		return gone
	}
	return err
}

// methodUsing is the path and verb of the first method for which uses holds; ok is
// false without one. Which is first is the same every time.
func methodUsing(d *model.Definition, uses func(*model.Method) bool) (path, verb string, ok bool) {
	for i := range d.Resources {
		for _, v := range model.Verbs {
			if m, there := d.Resources[i].Methods[v]; there && uses(&m) {
				return d.Resources[i].Path, v, true
			}
		}
	}
	return "", "", false
}
