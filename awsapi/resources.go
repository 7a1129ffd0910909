package awsapi

import (
	"regexp"
	"sort"
	"strings"

	"tollgate/control"
	"tollgate/model"
)

var resources = handlers{
	"GetResources":   (*call).getResources,
	"GetResource":    (*call).getResource,
	"CreateResource": (*call).createResource,
	"UpdateResource": (*call).updateResource,
	"DeleteResource": (*call).deleteResource,
}

// resource is a path's shape.
type resource struct {
	ID       string         `json:"id"`
	ParentID string         `json:"parentId,omitempty"`
	PathPart string         `json:"pathPart,omitempty"`
	Path     string         `json:"path"`
	Methods  map[string]any `json:"resourceMethods,omitempty"`
}

// asResource is a path as it is read: its methods' names, or all of them.
func asResource(d *model.Definition, r *model.Resource, whole bool) resource {
	out := resource{ID: r.ID, Path: r.Path}
	if r.Path != "/" {
		out.PathPart = r.Path[strings.LastIndexByte(r.Path, '/')+1:]
		if p := d.ByPath(model.Parent(r.Path)); p != nil {
			out.ParentID = p.ID
		}
	}
	for verb, m := range r.Methods {
		if out.Methods == nil {
			out.Methods = map[string]any{}
		}
		out.Methods[verb] = struct{}{}
		if whole {
			out.Methods[verb] = asMethod(r, verb, &m)
		}
	}
	return out
}

// errNoResource is what the service says of an unknown API too, below one.
var errNoResource = notFound("Invalid Resource identifier specified")

// below reads the API that a call is about something below of.
func (c *call) below() (control.APIDetail, error) {
	a, err := c.Plane.API(c.ctx, c.actor, c.args["restapi_id"])
	if model.KindOf(err) == model.NotFound {
		return a, errNoResource
	}
	return a, err
}

// change edits the definition of the call's API.
func (c *call) change(edit func(*model.Definition) error) (control.APIDetail, error) {
	a, err := c.Plane.UpdateDefinition(c.ctx, c.actor, c.args["restapi_id"], 0, edit)
	if model.KindOf(err) == model.NotFound {
		return a, c.noAPI(err)
	}
	return a, err
}

// changeBelow is change, for what is below a resource.
func (c *call) changeBelow(edit func(*model.Definition, *model.Resource) error) (control.APIDetail, error) {
	a, err := c.Plane.UpdateDefinition(c.ctx, c.actor, c.args["restapi_id"], 0, func(d *model.Definition) error {
		r := d.ByID(c.args["resource_id"])
		if r == nil {
			return errNoResource
		}
		return edit(d, r)
	})
	if model.KindOf(err) == model.NotFound {
		return a, errNoResource
	}
	return a, err
}

// embeds reports that the client asks for more than the default.
func (c *call) embeds(what string) bool {
	for _, e := range c.query["embed"] {
		if e == what {
			return true
		}
	}
	return false
}

func (c *call) getResources() (any, error) {
	a, err := c.Plane.API(c.ctx, c.actor, c.args["restapi_id"])
	if err != nil {
		return nil, c.noAPI(err)
	}
	d := &a.Definition
	all := make([]*model.Resource, len(d.Resources))
	for i := range d.Resources {
		all[i] = &d.Resources[i]
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Path < all[j].Path })
	whole := c.embeds("methods")
	paths := d.Paths()
	return paged(c, all, func(r *model.Resource) string { return r.Path }, func(r *model.Resource) any {
		out := asResource(&model.Definition{}, r, whole)
		if p := paths[model.Parent(r.Path)]; p != nil && r.Path != "/" {
			out.ParentID = p.ID
		}
		return out
	})
}

func (c *call) getResource() (any, error) {
	a, err := c.below()
	if err != nil {
		return nil, err
	}
	r := a.Definition.ByID(c.args["resource_id"])
	if r == nil {
		return nil, errNoResource
	}
	return asResource(&a.Definition, r, c.embeds("methods")), nil
}

func (c *call) createResource() (any, error) {
	var in struct{ PathPart string }
	if err := c.in(&in); err != nil {
		return nil, err
	}
	c.args["resource_id"] = c.args["parent_id"]
	id := model.NewID(6)
	a, err := c.changeBelow(func(d *model.Definition, parent *model.Resource) error {
		path, err := childPath(d, parent.Path, in.PathPart, "")
		if err != nil {
			return err
		}
		d.Resources = append(d.Resources, model.Resource{ID: id, Path: path})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return asResource(&a.Definition, a.Definition.ByID(id), false), nil
}

// childPath is the path of a part below a parent, where the tree can have it.
// except is a path that is going to leave.
func childPath(d *model.Definition, parent, part, except string) (string, error) {
	if !pathPart.MatchString(part) {
		return "", badRequest("Resource's path part only allow a-zA-Z0-9._-: or a valid greedy path variable and curly braces at the beginning and the end.")
	}
	if strings.HasSuffix(parent, "+}") {
		return "", badRequest("Cannot create a child of a resource with a greedy path variable: %s", parent[strings.LastIndexByte(parent, '/')+1:])
	}
	path := strings.TrimSuffix(parent, "/") + "/" + part
	if _, err := model.Segments(path); err != nil {
		return "", badRequest("Resource's path part only allow a-zA-Z0-9._-: or a valid greedy path variable and curly braces at the beginning and the end.")
	}
	for i := range d.Resources {
		other := d.Resources[i].Path
		if other == "/" || other == except || model.Parent(other) != parent {
			continue
		}
		name := other[strings.LastIndexByte(other, '/')+1:]
		if name == part {
			return "", conflict("Another resource with the same parent already has this name: %s", part)
		}
		if whole(name) && whole(part) {
			return "", badRequest("A sibling (%s) of this resource already has a variable path part -- only one is allowed", name)
		}
	}
	return path, nil
}

// pathPart is what a part is made of; what it may look like is model's to say.
var pathPart = regexp.MustCompile(`^[a-zA-Z0-9._:$~{}+-]+$`)

// whole reports a path part that is one variable.
func whole(part string) bool { return strings.HasPrefix(part, "{") && strings.HasSuffix(part, "}") }

func (c *call) updateResource() (any, error) {
	steps, err := c.patches()
	if err != nil {
		return nil, err
	}
	id := c.args["resource_id"]
	a, err := c.changeBelow(func(d *model.Definition, _ *model.Resource) error {
		move := func(parent, part string) error {
			r := d.ByID(id)
			from := r.Path
			to, err := childPath(d, parent, part, from)
			if err != nil {
				return err
			}
			for i := range d.Resources {
				if p := d.Resources[i].Path; p == from || strings.HasPrefix(p, from+"/") {
					d.Resources[i].Path = to + p[len(from):]
				}
			}
			return nil
		}
		return patch(steps, []patchRule{
			{ops: "replace", pattern: "/pathPart", apply: func(p *patchOp, _ []string) error {
				r := d.ByID(id)
				if r.Path == "/" {
					return badRequest("Root resource cannot update its pathPart.")
				}
				return move(model.Parent(r.Path), p.value())
			}},
			{ops: "replace", pattern: "/parentId", apply: func(p *patchOp, _ []string) error {
				r := d.ByID(id)
				if r.Path == "/" {
					return badRequest("Root resource cannot update its parentId.")
				}
				parent := d.ByID(p.value())
				if parent == nil {
					return errNoResource
				}
				if parent.Path == r.Path || strings.HasPrefix(parent.Path, r.Path+"/") {
					return badRequest("Resources cannot be cyclical.")
				}
				return move(parent.Path, r.Path[strings.LastIndexByte(r.Path, '/')+1:])
			}},
		})
	})
	if err != nil {
		return nil, err
	}
	return asResource(&a.Definition, a.Definition.ByID(id), false), nil
}

func (c *call) deleteResource() (any, error) {
	_, err := c.changeBelow(func(d *model.Definition, r *model.Resource) error {
		if r.Path == "/" {
			return badRequest("Invalid Resource identifier specified: the root resource cannot be deleted")
		}
		return d.RemoveResource(r.Path)
	})
	return nil, err
}
