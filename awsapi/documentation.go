package awsapi

import (
	"context"
	"errors"
	"slices"
	"strings"

	"tollgate/control"
	"tollgate/control/openapi"
	"tollgate/model"
)

var documentation = handlers{
	"CreateDocumentationPart":    (*call).createPart,
	"GetDocumentationPart":       (*call).getPart,
	"GetDocumentationParts":      (*call).getParts,
	"UpdateDocumentationPart":    (*call).updatePart,
	"DeleteDocumentationPart":    (*call).deletePart,
	"ImportDocumentationParts":   (*call).importParts,
	"CreateDocumentationVersion": (*call).createDocVersion,
	"GetDocumentationVersion":    (*call).getDocVersion,
	"GetDocumentationVersions":   (*call).getDocVersions,
	"UpdateDocumentationVersion": (*call).updateDocVersion,
	"DeleteDocumentationVersion": (*call).deleteDocVersion,
}

// documentationPart is a part's shape. A place without documentation has only its
// location.
type documentationPart struct {
	ID         string                      `json:"id,omitempty"`
	Location   model.DocumentationLocation `json:"location"`
	Properties string                      `json:"properties,omitempty"`
}

func asPart(p model.DocumentationPart) any { return documentationPart(p) }

var errNoPart = notFound("Invalid Documentation part identifier specified")

// checkType says whether a place's type is one of the service model's.
func checkType(kind, at string) []constraint {
	if kind == "" || slices.Contains(model.DocumentationTypes, kind) {
		return nil
	}
	return []constraint{{kind, at, oneOf(model.DocumentationTypes...)}}
}

func (c *call) createPart() (any, error) {
	var in struct {
		Location   *model.DocumentationLocation
		Properties string
	}
	if err := c.in(&in); err != nil {
		return nil, err
	}
	if in.Location == nil {
		return nil, invalid(c.required("location", "")...)
	}
	if bad := append(c.required("location.type", in.Location.Type), checkType(in.Location.Type, c.input("location.type"))...); len(bad) > 0 {
		return nil, invalid(bad...)
	}
	p := model.DocumentationPart{ID: model.NewID(6), Location: *in.Location, Properties: in.Properties}
	if err := p.Check(); err != nil {
		return nil, err
	}
	err := c.edit(func(d *model.Definition) error {
		if d.DocumentedAt(p.Location) != nil {
			return conflict("Documentation part already exists for the specified location: %s", locationText(p.Location))
		}
		d.Documentation = append(d.Documentation, p)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return asPart(p), nil
}

func locationText(l model.DocumentationLocation) string {
	parts := []string{"type '" + l.Type + "'"}
	for _, f := range [][2]string{{"path", l.Path}, {"method", l.Method}, {"statusCode", l.StatusCode}, {"name", l.Name}} {
		if f[1] != "" {
			parts = append(parts, f[0]+" '"+f[1]+"'")
		}
	}
	return strings.Join(parts, ", ")
}

func (c *call) getPart() (any, error) {
	d, err := c.apiOr(errNoPart)
	if err != nil {
		return nil, err
	}
	p := d.DocumentationPart(c.args["part_id"])
	if p == nil {
		return nil, errNoPart
	}
	return asPart(*p), nil
}

func (c *call) getParts() (any, error) {
	kind, status := c.query.Get("type"), c.query.Get("locationStatus")
	bad := checkType(kind, "type")
	switch status {
	case "", "DOCUMENTED", "UNDOCUMENTED":
	default:
		bad = append(bad, constraint{status, "locationStatus", oneOf("DOCUMENTED", "UNDOCUMENTED")})
	}
	if len(bad) > 0 {
		return nil, invalid(bad...)
	}
	a, err := c.api()
	if err != nil {
		return nil, err
	}
	all := a.Definition.Documentation
	key := func(p model.DocumentationPart) string { return p.ID }
	if status == "UNDOCUMENTED" {
		all = nil
		for _, l := range a.Definition.Undocumented() {
			all = append(all, model.DocumentationPart{Location: l})
		}
		key = func(p model.DocumentationPart) string {
			l := p.Location
			return strings.Join([]string{l.Type, l.Path, l.Method, l.StatusCode, l.Name}, "\x00")
		}
	}
	path, name := c.query.Get("path"), c.query.Get("name")
	var some []model.DocumentationPart
	for _, p := range all {
		l := p.Location.Full()
		if (kind == "" || l.Type == kind) && (path == "" || l.Path == path) && (name == "" || l.Name == name) {
			some = append(some, p)
		}
	}
	slices.SortFunc(some, func(x, y model.DocumentationPart) int { return strings.Compare(key(x), key(y)) })
	return paged(c, some, key, asPart)
}

func (c *call) updatePart() (any, error) {
	steps, err := c.patches()
	if err != nil {
		return nil, err
	}
	var out model.DocumentationPart
	err = c.editPart(errNoPart, func(d *model.Definition) error {
		p := d.DocumentationPart(c.args["part_id"])
		if p == nil {
			return errNoPart
		}
		if err := patch(steps, []patchRule{{ops: "replace", pattern: "/properties", apply: setText(&p.Properties)}}); err != nil {
			return err
		}
		out = *p
		return p.Check()
	})
	if err != nil {
		return nil, err
	}
	return asPart(out), nil
}

func (c *call) deletePart() (any, error) {
	return nil, c.edit(func(d *model.Definition) error {
		i := slices.IndexFunc(d.Documentation, func(p model.DocumentationPart) bool { return p.ID == c.args["part_id"] })
		if i < 0 {
			return errNoPart
		}
		d.Documentation = slices.Delete(d.Documentation, i, i+1)
		return nil
	})
}

// importParts takes parts from a document: in mode overwrite they become all there
// are, else they replace those about the same place.
func (c *call) importParts() (any, error) {
	mode := c.query.Get("mode")
	switch mode {
	case "", "merge", "overwrite":
	default:
		return nil, invalid(constraint{mode, "mode", oneOf("overwrite", "merge")})
	}
	parts, outside, err := openapi.Documentation(c.body)
	if err != nil {
		return nil, badRequest("Unable to build importer with provided input.")
	}
	ids, warnings := make([]string, 0, len(parts)), []string(nil)
	err = c.edit(func(d *model.Definition) error {
		if mode == "overwrite" {
			d.Documentation = nil
		}
		at := make(map[model.DocumentationLocation]int, len(d.Documentation))
		for i := range d.Documentation {
			at[d.Documentation[i].Location.Full()] = i
		}
		seen := map[model.DocumentationLocation]bool{}
		ids, warnings = ids[:0], slices.Clone(outside)
		for _, p := range parts {
			place := p.Location.Full()
			if seen[place] {
				warnings = append(warnings, "There are several documentation parts for one location, of which the last is kept: "+locationText(p.Location))
			}
			i, there := at[place]
			if !there {
				p.ID, i = model.NewID(6), len(d.Documentation)
				at[place] = i
				d.Documentation = append(d.Documentation, p)
			}
			d.Documentation[i].Properties = p.Properties
			if !seen[place] {
				ids = append(ids, d.Documentation[i].ID)
			}
			seen[place] = true
		}
		if len(warnings) > 0 && c.query.Get("failonwarnings") == "true" {
			return badRequest("Warnings found during import:\n\t%s", strings.Join(warnings, "\n\t"))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return struct {
		IDs      []string `json:"ids"`
		Warnings []string `json:"warnings,omitempty"`
	}{ids, warnings}, nil
}

// docVersion is a documentation version's shape.
type docVersion struct {
	Version     string `json:"version"`
	Created     stamp  `json:"createdDate"`
	Description string `json:"description,omitempty"`
}

func asDocVersion(v control.DocumentationVersion) any {
	return docVersion{v.Version, stamp(v.CreatedAt), v.Description}
}

func noDocVersion(err error) error {
	return missing(err, "Invalid Documentation version specified")
}

func (c *call) createDocVersion() (any, error) {
	var in struct{ DocumentationVersion, StageName, Description string }
	if err := c.in(&in); err != nil {
		return nil, err
	}
	if in.DocumentationVersion == "" {
		return nil, invalid(c.required("documentationVersion", "")...)
	}
	v, err := c.Plane.CreateDocumentationVersion(c.ctx, c.actor, control.NewDocumentationVersion{
		APIID: c.args["restapi_id"], Version: in.DocumentationVersion, Description: in.Description, Stage: in.StageName})
	if errors.Is(err, control.ErrNoStage) {
		return nil, notFound("Invalid stage identifier specified")
	}
	if err != nil {
		return nil, c.noAPI(err)
	}
	return asDocVersion(v), nil
}

func (c *call) getDocVersion() (any, error) {
	v, err := c.Plane.DocumentationVersion(c.ctx, c.actor, c.args["restapi_id"], c.args["doc_version"])
	if err != nil {
		return nil, noDocVersion(err)
	}
	return asDocVersion(v), nil
}

func (c *call) getDocVersions() (any, error) {
	out, err := readList(c, func(ctx context.Context, a control.Actor, p control.Page) (control.List[control.DocumentationVersion], error) {
		return c.Plane.DocumentationVersions(ctx, a, c.args["restapi_id"], p)
	}, asDocVersion)
	return out, c.noAPI(err)
}

func (c *call) updateDocVersion() (any, error) {
	steps, err := c.patches()
	if err != nil {
		return nil, err
	}
	v, err := c.Plane.DocumentationVersion(c.ctx, c.actor, c.args["restapi_id"], c.args["doc_version"])
	if err != nil {
		return nil, noDocVersion(err)
	}
	if err := patch(steps, []patchRule{{ops: "replace", pattern: "/description", apply: setText(&v.Description)}}); err != nil {
		return nil, err
	}
	v, err = c.Plane.DescribeDocumentationVersion(c.ctx, c.actor, c.args["restapi_id"], v.Version, v.Description)
	if err != nil {
		return nil, noDocVersion(err)
	}
	return asDocVersion(v), nil
}

func (c *call) deleteDocVersion() (any, error) {
	return nil, noDocVersion(c.Plane.DeleteDocumentationVersion(c.ctx, c.actor, c.args["restapi_id"], c.args["doc_version"]))
}
