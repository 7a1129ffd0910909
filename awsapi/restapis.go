package awsapi

import (
	"encoding/json"

	"tollgate/control"
	"tollgate/model"
)

var restAPIs = handlers{
	"CreateRestApi": (*call).createRestAPI,
	"GetRestApi":    (*call).getRestAPI,
	"GetRestApis":   (*call).getRestAPIs,
	"DeleteRestApi": (*call).deleteRestAPI,
}

// restAPI is an API's shape.
type restAPI struct {
	ID                        string            `json:"id"`
	Name                      string            `json:"name"`
	Description               string            `json:"description,omitempty"`
	CreatedDate               stamp             `json:"createdDate"`
	Version                   string            `json:"version,omitempty"`
	Warnings                  []string          `json:"warnings,omitempty"`
	BinaryMediaTypes          []string          `json:"binaryMediaTypes,omitempty"`
	MinimumCompressionSize    *int              `json:"minimumCompressionSize,omitempty"`
	APIKeySource              string            `json:"apiKeySource"`
	EndpointConfiguration     endpoint          `json:"endpointConfiguration"`
	Policy                    string            `json:"policy,omitempty"`
	Tags                      map[string]string `json:"tags,omitempty"`
	DisableExecuteAPIEndpoint bool              `json:"disableExecuteApiEndpoint"`
	RootResourceID            string            `json:"rootResourceId"`
	SecurityPolicy            string            `json:"securityPolicy,omitempty"`
	EndpointAccessMode        string            `json:"endpointAccessMode,omitempty"`
}

type endpoint struct {
	Types          []string `json:"types"`
	IPAddressType  string   `json:"ipAddressType,omitempty"`
	VPCEndpointIDs []string `json:"vpcEndpointIds,omitempty"`
}

// asRestAPI is an API as it is read.
func asRestAPI(a *control.API) restAPI {
	d := &a.About
	out := restAPI{
		ID: a.ID, Name: a.Name, Description: d.Description, CreatedDate: stamp(a.CreatedAt), Version: d.Version,
		BinaryMediaTypes: d.BinaryMediaTypes, MinimumCompressionSize: d.MinimumCompressionSize, APIKeySource: d.APIKeySource,
		EndpointConfiguration: endpoint{Types: []string{model.EndpointEdge}, IPAddressType: "ipv4"},
		Tags:                  a.Tags, DisableExecuteAPIEndpoint: d.DisableDefaultEndpoint,
		SecurityPolicy: d.SecurityPolicy, EndpointAccessMode: d.EndpointAccessMode,
	}
	if out.APIKeySource == "" {
		out.APIKeySource = "HEADER"
	}
	if e := d.Endpoint; e != nil {
		out.EndpointConfiguration = endpoint(*e)
	}
	if len(d.Resources) > 0 {
		out.RootResourceID = d.Resources[0].ID
	}
	if d.Policy != "" { // escaped once more than JSON asks for, as the service does
		b, _ := json.Marshal(d.Policy)
		out.Policy = string(b[1 : len(b)-1])
	}
	return out
}

// noAPI gives "not found" the service's words.
func (c *call) noAPI(err error) error {
	return missing(err, "Invalid API identifier specified %s:%s", c.actor.AccountID, c.args["restapi_id"])
}

// defaultModels are those that the service gives every new API.
func defaultModels() []model.Schema {
	return []model.Schema{
		{ID: model.NewID(6), Name: "Empty", Description: "This is a default empty schema model", ContentType: "application/json",
			Schema: "{\n  \"$schema\": \"http://json-schema.org/draft-04/schema#\",\n  \"title\" : \"Empty Schema\",\n  \"type\" : \"object\"\n}"},
		{ID: model.NewID(6), Name: "Error", Description: "This is a default error schema model", ContentType: "application/json",
			Schema: "{\n  \"$schema\" : \"http://json-schema.org/draft-04/schema#\",\n  \"title\" : \"Error Schema\",\n  \"type\" : \"object\",\n  \"properties\" : {\n    \"message\" : { \"type\" : \"string\" }\n  }\n}"},
	}
}

func (c *call) createRestAPI() (any, error) {
	var in struct {
		Name, Description, Version string
		CloneFrom                  string
		BinaryMediaTypes           []string
		MinimumCompressionSize     *int
		APIKeySource               string
		EndpointConfiguration      *endpoint
		Policy                     string
		Tags                       map[string]string
		DisableExecuteAPIEndpoint  bool
		SecurityPolicy             string
		EndpointAccessMode         string
	}
	if err := c.in(&in); err != nil {
		return nil, err
	}
	d := &model.Definition{Models: defaultModels()}
	if in.CloneFrom != "" {
		from, err := c.Plane.API(c.ctx, c.actor, in.CloneFrom)
		if err != nil {
			return nil, missing(err, "Invalid API identifier specified %s:%s", c.actor.AccountID, in.CloneFrom)
		}
		d = &from.Definition
	}
	d.Name, d.Description, d.Version, d.Policy = in.Name, in.Description, in.Version, in.Policy
	d.APIKeySource, d.BinaryMediaTypes, d.MinimumCompressionSize = in.APIKeySource, in.BinaryMediaTypes, in.MinimumCompressionSize
	d.DisableDefaultEndpoint, d.SecurityPolicy, d.EndpointAccessMode = in.DisableExecuteAPIEndpoint, in.SecurityPolicy, in.EndpointAccessMode
	if e := in.EndpointConfiguration; e != nil && len(e.Types) > 0 {
		private := e.Types[0] == model.EndpointPrivate
		if private && e.IPAddressType == "ipv4" {
			return nil, badRequest("Only dualstack ipAddressType is supported for Private APIs.")
		}
		if e.IPAddressType == "" {
			e.IPAddressType = map[bool]string{true: "dualstack", false: "ipv4"}[private]
		}
		d.Endpoint = (*model.Endpoint)(e)
	}
	a, err := c.Plane.AddAPI(c.ctx, c.actor, d, in.Tags)
	if err != nil {
		return nil, err
	}
	return asRestAPI(&a), nil
}

func (c *call) getRestAPI() (any, error) {
	a, err := c.Plane.API(c.ctx, c.actor, c.args["restapi_id"])
	if err != nil {
		return nil, c.noAPI(err)
	}
	return readRestAPI(&a.API), nil
}

// readRestAPI is an API as reads and changes show it: with its tags, even none.
func readRestAPI(a *control.API) any {
	return struct {
		restAPI
		Tags map[string]string `json:"tags"`
	}{asRestAPI(a), a.Tags}
}

func (c *call) getRestAPIs() (any, error) {
	n, err := c.limit()
	if err != nil {
		return nil, err
	}
	after, err := c.position()
	if err != nil {
		return nil, err
	}
	all, err := c.Plane.APIs(c.ctx, c.actor, control.Page{After: after, Limit: n})
	if err != nil {
		return nil, err
	}
	out := make([]restAPI, len(all.Items))
	for i := range all.Items {
		out[i] = asRestAPI(&all.Items[i])
	}
	return list{Position: next(all.Next), Item: out}, nil
}

func (c *call) deleteRestAPI() (any, error) {
	return nil, c.noAPI(c.Plane.DeleteAPI(c.ctx, c.actor, c.args["restapi_id"], true))
}
