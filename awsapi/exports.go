package awsapi

import (
	"fmt"
	"strings"

	"tollgate/control/openapi"
	"tollgate/model"
)

var exports = handlers{
	"GetExport": (*call).getExport,
}

// getExport writes what a stage serves as an OpenAPI document.
func (c *call) getExport() (any, error) {
	kind := c.args["export_type"]
	if kind != "oas30" && kind != "swagger" {
		return nil, badRequest("Invalid export type specified: %.100s. Must be one of: [oas30, swagger]", kind)
	}
	o := openapi.ExportOptions{Swagger: kind == "swagger", YAML: strings.Contains(c.r.Header.Get("Accept"), "yaml")}
	if err := o.Extensions(c.query.Get("extensions")); err != nil {
		return nil, badRequest("%s", model.MessageOf(err))
	}
	id := c.args["restapi_id"]
	o.Host = id + ".execute-api." + c.Region + ".amazonaws.com"
	if at := c.gateway(); at != nil {
		o.Host, o.Scheme = id+".execute-api."+at.Host, at.Scheme
	}
	out, err := c.Plane.ExportStage(c.ctx, c.actor, id, c.args["stage_name"], o)
	if err != nil {
		return nil, missing(err, "Invalid stage identifier specified")
	}
	ending := "json"
	if o.YAML {
		ending = "yaml"
	}
	name := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return '_'
		}
		return r
	}, fmt.Sprintf("%s_%s.%s", kind, out.Version, ending))
	return file{contentType: "application/octet-stream", disposition: `attachment; filename="` + name + `"`, body: out.Body}, nil
}
