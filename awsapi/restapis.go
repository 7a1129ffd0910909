package awsapi

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"tollgate/control"
	"tollgate/model"
)

var restAPIs = handlers{
	"CreateRestApi": (*call).createRestAPI,
	"GetRestApi":    (*call).getRestAPI,
	"GetRestApis":   (*call).getRestAPIs,
	"UpdateRestApi": (*call).updateRestAPI,
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
		Name                      string
		Version, Description      *string
		CloneFrom                 string
		BinaryMediaTypes          []string
		MinimumCompressionSize    *int
		APIKeySource              *string
		EndpointConfiguration     *endpoint
		Policy                    *string
		Tags                      map[string]string
		DisableExecuteAPIEndpoint *bool
		SecurityPolicy            *string
		EndpointAccessMode        *string
	}
	if err := c.in(&in); err != nil {
		return nil, err
	}
	if in.Description != nil && *in.Description == "" && (in.EndpointConfiguration == nil || checkEndpoint("", in.EndpointConfiguration) == nil) {
		return nil, badRequest("Description cannot be an empty string")
	}
	if in.EndpointConfiguration != nil {
		if err := checkEndpoint("createRestApiInput.", in.EndpointConfiguration); err != nil {
			return nil, err
		}
	}
	d := &model.Definition{Models: defaultModels()}
	if in.CloneFrom != "" {
		from, err := c.Plane.API(c.ctx, c.actor, in.CloneFrom)
		if err != nil {
			return nil, missing(err, "Invalid API identifier specified %s:%s", c.actor.AccountID, in.CloneFrom)
		}
		d = from.Definition.Clone()
	}
	// What is not sent stays as it is in the API that is cloned: a policy that
	// guards one guards the other.
	d.Name = in.Name
	sent(&d.Version, in.Version)
	sent(&d.Description, in.Description)
	sent(&d.Policy, in.Policy)
	sent(&d.APIKeySource, in.APIKeySource)
	sent(&d.SecurityPolicy, in.SecurityPolicy)
	sent(&d.EndpointAccessMode, in.EndpointAccessMode)
	sent(&d.DisableDefaultEndpoint, in.DisableExecuteAPIEndpoint)
	if in.BinaryMediaTypes != nil {
		d.BinaryMediaTypes = in.BinaryMediaTypes
	}
	if in.MinimumCompressionSize != nil {
		d.MinimumCompressionSize = in.MinimumCompressionSize
	}
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
	if err := checkAPI(d); err != nil {
		return nil, err
	}
	a, err := c.Plane.AddAPI(c.ctx, c.actor, d, in.Tags, nil)
	if err != nil {
		return nil, err
	}
	return asRestAPI(&a), nil
}

// sent is a member's new value, where the client has sent one.
func sent[T any](at, v *T) {
	if v != nil {
		*at = *v
	}
}

// The orders are those that the service prints.
var (
	endpointTypes = []string{model.EndpointPrivate, model.EndpointEdge, model.EndpointRegional}
	addressTypes  = []string{"ipv4", "dualstack"}
)

// checkEndpoint checks what the service model says of an endpoint configuration.
func checkEndpoint(input string, e *endpoint) error {
	var bad []constraint
	for _, t := range e.Types {
		if !slices.Contains(endpointTypes, t) {
			bad = append(bad, constraint{"[" + strings.Join(e.Types, ", ") + "]", input + "endpointConfiguration.types", "Member must satisfy constraint: [" + oneOf(endpointTypes...) + "]"})
			break
		}
	}
	if e.IPAddressType != "" && !slices.Contains(addressTypes, e.IPAddressType) {
		bad = append(bad, constraint{e.IPAddressType, input + "endpointConfiguration.ipAddressType", oneOf(addressTypes...)})
	}
	if len(bad) > 0 {
		return invalid(bad...)
	}
	return nil
}

const maxCompression = 10 << 20

// securityPolicies are those that the service names.
var securityPolicies = []string{
	"TLS_1_0", "TLS_1_2", "SecurityPolicy_TLS13_1_3_2025_09", "SecurityPolicy_TLS13_1_3_FIPS_2025_09",
	"SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09", "SecurityPolicy_TLS13_1_2_FIPS_PQ_2025_09", "SecurityPolicy_TLS13_1_2_FIPS_PFS_PQ_2025_09",
	"SecurityPolicy_TLS13_1_2_PQ_2025_09", "SecurityPolicy_TLS13_1_2_2021_06", "SecurityPolicy_TLS13_2025_EDGE",
	"SecurityPolicy_TLS12_PFS_2025_EDGE", "SecurityPolicy_TLS12_2018_EDGE",
}

// checkAPI checks an API's own settings.
func checkAPI(d *model.Definition) error {
	if n := d.MinimumCompressionSize; n != nil && (*n < 0 || *n > maxCompression) {
		return badRequest("Invalid minimum compression size, must be between 0 and 10485760")
	}
	if s := d.APIKeySource; s != "" && s != "HEADER" && s != "AUTHORIZER" {
		return badRequest("Invalid API key source specified: %s. Must be one of: [HEADER, AUTHORIZER]", s)
	}
	if p := d.SecurityPolicy; p != "" && !slices.Contains(securityPolicies, p) {
		return badRequest("Invalid security policy specified: %s. Must be one of: [%s]", p, strings.Join(securityPolicies, ", "))
	}
	if m := d.EndpointAccessMode; m != "" && m != "BASIC" && m != "STRICT" {
		return badRequest("Invalid endpoint access mode specified: %s. Must be one of: [BASIC, STRICT]", m)
	}
	var policy map[string]any
	if d.Policy != "" && json.Unmarshal([]byte(d.Policy), &policy) != nil {
		return badRequest("Invalid policy document. Please check the policy syntax and ensure that Principals are valid.")
	}
	for _, t := range d.BinaryMediaTypes {
		if kind, sub, ok := strings.Cut(t, "/"); !ok || kind == "" || sub == "" {
			return badRequest("Invalid binary media type specified: %s", t)
		}
	}
	return nil
}

func (c *call) updateRestAPI() (any, error) {
	steps, err := c.patches()
	if err != nil {
		return nil, err
	}
	a, err := c.change(func(d *model.Definition) error {
		text := func(at *string) func(*patchOp, []string) error {
			return func(p *patchOp, _ []string) error {
				*at = p.value()
				if p.Op == "remove" {
					*at = ""
				}
				return nil
			}
		}
		ends := func() *model.Endpoint {
			if d.Endpoint == nil {
				d.Endpoint = &model.Endpoint{Types: []string{model.EndpointEdge}, IPAddressType: "ipv4"}
			}
			return d.Endpoint
		}
		err := patch(steps, []patchRule{
			{ops: "replace", pattern: "/name", apply: func(p *patchOp, _ []string) error {
				if p.value() == "" {
					return badRequest("API Name cannot be empty")
				}
				d.Name = p.value()
				return nil
			}},
			{ops: "replace remove", pattern: "/description", apply: text(&d.Description)},
			{ops: "replace remove", pattern: "/version", hidden: true, apply: text(&d.Version)},
			{ops: "replace remove", pattern: "/policy", apply: text(&d.Policy)},
			{ops: "replace", pattern: "/apiKeySource", apply: text(&d.APIKeySource)},
			{ops: "replace remove", pattern: "/minimumCompressionSize", apply: func(p *patchOp, _ []string) error {
				d.MinimumCompressionSize = nil
				if p.Op == "remove" || p.value() == "" {
					return nil
				}
				n, err := strconv.Atoi(p.value())
				if err != nil {
					return badRequest("Invalid minimum compression size, must be between 0 and 10485760")
				}
				d.MinimumCompressionSize = &n
				return nil
			}},
			{ops: "replace", pattern: "/disableExecuteApiEndpoint", apply: func(p *patchOp, _ []string) error {
				d.DisableDefaultEndpoint = isTrue(p.value())
				return nil
			}},
			{ops: "replace remove", pattern: "/securityPolicy", apply: text(&d.SecurityPolicy)},
			{ops: "replace remove", pattern: "/endpointAccessMode", apply: text(&d.EndpointAccessMode)},
			{ops: "replace", pattern: "/endpointConfiguration/types/{type}", apply: func(p *patchOp, a []string) error {
				if !slices.Contains(endpointTypes, p.value()) {
					return badRequest("Invalid endpoint type specified: %s. Must be one of: [%s]", p.value(), strings.Join(endpointTypes, ", "))
				}
				e := ends()
				e.Types = []string{p.value()} // an API has one
				if p.value() == model.EndpointPrivate {
					e.IPAddressType = "dualstack"
				}
				return nil
			}},
			{ops: "replace", pattern: "/endpointConfiguration/ipAddressType", apply: func(p *patchOp, _ []string) error {
				e := ends()
				if !slices.Contains(addressTypes, p.value()) {
					return badRequest("Invalid ipAddressType specified: %s. Must be one of: [%s]", p.value(), strings.Join(addressTypes, ", "))
				}
				if p.value() == "ipv4" && slices.Contains(e.Types, model.EndpointPrivate) {
					return badRequest("Only dualstack ipAddressType is supported for Private APIs.")
				}
				e.IPAddressType = p.value()
				return nil
			}},
			{ops: "add remove", pattern: "/endpointConfiguration/vpcEndpointIds", apply: func(p *patchOp, _ []string) error {
				e := ends()
				e.VPCEndpointIDs = slices.DeleteFunc(e.VPCEndpointIDs, func(s string) bool { return s == p.value() })
				if p.Op == "add" {
					e.VPCEndpointIDs = append(e.VPCEndpointIDs, p.value())
				}
				return nil
			}},
			{ops: "add replace remove", pattern: "/binaryMediaTypes/{type}", apply: func(p *patchOp, a []string) error {
				there := slices.Contains(d.BinaryMediaTypes, a[0])
				if !there && p.Op != "add" {
					return notFound("Invalid binary media type specified: %s", a[0])
				}
				d.BinaryMediaTypes = slices.DeleteFunc(d.BinaryMediaTypes, func(s string) bool { return s == a[0] })
				switch p.Op {
				case "add":
					d.BinaryMediaTypes = append(d.BinaryMediaTypes, a[0])
				case "replace":
					d.BinaryMediaTypes = append(d.BinaryMediaTypes, p.value())
				}
				return nil
			}},
		})
		if err != nil {
			return err
		}
		return checkAPI(d)
	})
	if err != nil {
		return nil, err
	}
	return readRestAPI(&a.API), nil
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
	all, err := c.Plane.APIs(c.ctx, c.actor, control.Page{After: after, Limit: n, Oldest: true})
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
