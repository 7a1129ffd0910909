package awsapi

import (
	"slices"
	"strings"

	"tollgate/control"
	"tollgate/control/openapi"
	"tollgate/model"
)

var imports = handlers{
	"ImportRestApi": (*call).importRestAPI,
	"PutRestApi":    (*call).putRestAPI,
}

// document reads the body as OpenAPI.
func (c *call) document() (*openapi.Result, error) {
	base := c.query.Get("basepath")
	switch base {
	case "", "ignore", "prepend", "split":
	default:
		return nil, badRequest("Invalid value specified for basepath: %.100s. Must be one of: [ignore, prepend, split]", base)
	}
	r, err := openapi.Import(c.body, openapi.Options{Wire: true, BasePath: base, NoWords: c.query.Get("ignore") == "documentation"})
	if err != nil {
		return nil, badRequest("Invalid OpenAPI input: %s", model.MessageOf(err))
	}
	d := &r.Definition
	if c.query.Get("ignore") == "documentation" {
		d.Documentation = nil
	}
	if types := c.query["endpointConfigurationTypes"]; len(types) > 0 {
		e := endpoint{Types: strings.Split(types[0], ","), IPAddressType: "ipv4"}
		if err := checkEndpoint("", &e); err != nil {
			return nil, err
		}
		if slices.Contains(e.Types, model.EndpointPrivate) {
			e.IPAddressType = "dualstack"
		}
		d.Endpoint = (*model.Endpoint)(&e)
	}
	if err := checkAPI(d); err != nil {
		return nil, err
	}
	if len(r.Warnings) > 0 && c.query.Get("failonwarnings") == "true" {
		return nil, badRequest("Warnings found during import:\n\t%s", strings.Join(r.Warnings, "\n\t"))
	}
	return r, nil
}

// sent is the document as the client sent it.
func (c *call) sent(r *openapi.Result) *control.Document {
	return &control.Document{Name: c.op.name, Format: r.Format, Source: c.body, Problems: r.Problems}
}

func (c *call) importRestAPI() (any, error) {
	r, err := c.document()
	if err != nil {
		return nil, err
	}
	a, err := c.Plane.AddAPI(c.ctx, c.actor, &r.Definition, r.Tags, c.sent(r))
	if err != nil {
		return nil, err
	}
	out := asRestAPI(&a)
	out.Warnings = r.Warnings
	return out, nil
}

// putRestAPI takes a document into an API that is there.
func (c *call) putRestAPI() (any, error) {
	mode := c.query.Get("mode")
	switch mode {
	case "", "merge", "overwrite":
	default:
		return nil, invalid(constraint{mode, "mode", oneOf("overwrite", "merge")})
	}
	r, err := c.document()
	if err != nil {
		return nil, err
	}
	var whole *control.Document // a merged document is a part of the API
	if mode == "overwrite" {
		whole = c.sent(r)
	}
	a, err := c.Plane.PutDocument(c.ctx, c.actor, c.args["restapi_id"], whole, r.Tags, func(d *model.Definition) error {
		openapi.Merge(d, &r.Definition, mode == "overwrite")
		return checkAPI(d)
	})
	if model.KindOf(err) == model.NotFound {
		return nil, c.noAPI(err)
	}
	if err != nil {
		return nil, err
	}
	return putAnswer(&a.API, r.Warnings), nil
}

func putAnswer(a *control.API, warnings []string) any {
	out := asRestAPI(a)
	out.Warnings = warnings
	return struct {
		restAPI
		Tags map[string]string `json:"tags"`
	}{out, a.Tags}
}
