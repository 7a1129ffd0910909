package awsapi

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"tollgate/model"
)

var gatewayResponses = handlers{
	"PutGatewayResponse":    (*call).putGatewayResponse,
	"GetGatewayResponse":    (*call).getGatewayResponse,
	"GetGatewayResponses":   (*call).getGatewayResponses,
	"UpdateGatewayResponse": (*call).updateGatewayResponse,
	"DeleteGatewayResponse": (*call).deleteGatewayResponse,
}

// gatewayResponse is the shape of one.
type gatewayResponse struct {
	Type       string            `json:"responseType"`
	StatusCode string            `json:"statusCode,omitempty"`
	Parameters map[string]string `json:"responseParameters"`
	Templates  map[string]string `json:"responseTemplates"`
	Default    bool              `json:"defaultResponse"`
}

// responseStatus is the status that the gateway answers with in each kind of case.
var responseStatus = func() map[string]string {
	out := map[string]string{}
	for _, r := range model.Refusals {
		out[r.Type] = r.Status
	}
	return out
}()

// What holds for all types of its class that are not changed themselves.
const (
	default4xx = model.Default4XX
	default5xx = model.Default5XX
)

const defaultTemplate = `{"message":$context.error.messageString}`

// theResponse is what holds for a type: its own, else the default of its class.
func theResponse(d *model.Definition, kind string) gatewayResponse {
	own, changed := d.GatewayResponses[kind]
	out := gatewayResponse{Type: kind, StatusCode: own.StatusCode, Parameters: own.Parameters, Templates: own.Templates, Default: !changed}
	if !changed {
		class := default4xx
		if strings.HasPrefix(responseStatus[kind], "5") || kind == default5xx {
			class = default5xx
		}
		of := d.GatewayResponses[class]
		out.StatusCode, out.Parameters, out.Templates = of.StatusCode, of.Parameters, of.Templates
	}
	if out.StatusCode == "" {
		out.StatusCode = responseStatus[kind]
	}
	if out.Parameters == nil {
		out.Parameters = map[string]string{}
	}
	if len(out.Templates) == 0 {
		out.Templates = map[string]string{"application/json": defaultTemplate}
	}
	return out
}

const statusRule = `Member must satisfy regular expression pattern: [1-5]\d\d`

// responseType is the type that the path names.
func (c *call) responseType() (string, error) {
	kind := c.args["response_type"]
	if _, ok := responseStatus[kind]; !ok {
		return "", invalid(constraint{kind, "responseType", oneOf(slices.Sorted(maps.Keys(responseStatus))...)})
	}
	return kind, nil
}

func (c *call) getGatewayResponse() (any, error) {
	kind, err := c.responseType()
	if err != nil {
		return nil, err
	}
	a, err := c.api()
	if err != nil {
		return nil, err
	}
	return theResponse(&a.Definition, kind), nil
}

// getGatewayResponses lists all types: the service does not page them.
func (c *call) getGatewayResponses() (any, error) {
	a, err := c.api()
	if err != nil {
		return nil, err
	}
	out := make([]gatewayResponse, 0, len(responseStatus))
	for _, kind := range slices.Sorted(maps.Keys(responseStatus)) {
		out = append(out, theResponse(&a.Definition, kind))
	}
	return list{Item: out}, nil
}

func (c *call) putGatewayResponse() (any, error) {
	kind, err := c.responseType()
	if err != nil {
		return nil, err
	}
	var in gatewayResponse
	if err := c.in(&in); err != nil {
		return nil, err
	}
	if in.StatusCode != "" && !model.ValidStatus(in.StatusCode) {
		return nil, invalid(constraint{in.StatusCode, c.input("statusCode"), statusRule})
	}
	r := model.GatewayResponse{StatusCode: in.StatusCode, Parameters: in.Parameters, Templates: in.Templates}
	return c.setGatewayResponse(kind, func(*model.Definition) (model.GatewayResponse, error) { return r, nil })
}

// setGatewayResponse writes what from says of a type.
func (c *call) setGatewayResponse(kind string, from func(*model.Definition) (model.GatewayResponse, error)) (any, error) {
	var out gatewayResponse
	err := c.edit(func(d *model.Definition) error {
		r, err := from(d)
		if err != nil {
			return err
		}
		if err := checkResponse(&r); err != nil {
			return err
		}
		if d.GatewayResponses == nil {
			d.GatewayResponses = map[string]model.GatewayResponse{}
		}
		d.GatewayResponses[kind] = r
		out = theResponse(d, kind)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

var (
	responseParameter = regexp.MustCompile(`^gatewayresponse\.header\.[A-Za-z0-9!#$%&'*+.^_|~-]+$`)
	parameterSource   = regexp.MustCompile(`^('[^']*'|method\.request\.(header|multivalueheader|querystring|multivaluequerystring|path)\.\S+|method\.request\.body(\.\S+)?|context\.\S+|stageVariables\.\S+)$`)
)

// Limits of one gateway response.
const (
	maxResponseEntries = 100
	maxResponseValue   = 64 << 10
)

// checkResponse reports what no gateway response may be.
func checkResponse(r *model.GatewayResponse) error {
	if len(r.Parameters) > maxResponseEntries || len(r.Templates) > maxResponseEntries {
		return badRequest("A gateway response has at most %d parameters and %d templates", maxResponseEntries, maxResponseEntries)
	}
	for name, value := range r.Parameters {
		switch {
		case !responseParameter.MatchString(name) || len(name) > maxName:
			return badRequest("Invalid mapping expression parameter specified: %.200s", name)
		case value == "":
			return badRequest("Invalid null or empty value in responseParameters")
		case !parameterSource.MatchString(value) || len(value) > maxResponseValue || strings.ContainsAny(value, "\r\n"):
			return badRequest("Invalid mapping expression specified: Validation Result: warnings : [], errors : [Invalid mapping expression specified: %.200s]", value)
		}
	}
	for contentType, text := range r.Templates {
		switch {
		case contentType == "" || len(contentType) > maxName:
			return badRequest("Invalid content type specified: %.200s", contentType)
		case text == "":
			return badRequest("Invalid null or empty value in responseTemplates")
		case len(text) > maxResponseValue:
			return badRequest("A response template has at most %d bytes", maxResponseValue)
		}
	}
	return nil
}

func (c *call) updateGatewayResponse() (any, error) {
	kind, err := c.responseType()
	if err != nil {
		return nil, err
	}
	steps, err := c.patches()
	if err != nil {
		return nil, err
	}
	return c.setGatewayResponse(kind, func(d *model.Definition) (model.GatewayResponse, error) {
		shown := theResponse(d, kind)
		own := d.GatewayResponses[kind]
		r := model.GatewayResponse{StatusCode: own.StatusCode, Parameters: maps.Clone(shown.Parameters), Templates: maps.Clone(shown.Templates)}
		if shown.Default && shown.StatusCode != responseStatus[kind] {
			r.StatusCode = shown.StatusCode // of its class: it stays as it was shown
		}
		return r, patchResponse(steps, &r)
	})
}

// patchResponse applies steps. The service's refusals of them are its own here.
func patchResponse(steps []patchOp, r *model.GatewayResponse) error {
	rules := []patchRule{
		{ops: "replace", pattern: "/statusCode", apply: func(p *patchOp, _ []string) error {
			if !model.ValidStatus(p.value()) {
				return badRequest("Invalid status code specified: %.200s", p.value())
			}
			r.StatusCode = p.value()
			return nil
		}},
		{ops: "add replace remove", pattern: "/responseParameters/{name}", apply: patchEntry(r.Parameters, "responseParameters", "parameter")},
		{ops: "add replace remove", pattern: "/responseTemplates/{type}", apply: patchEntry(r.Templates, "responseTemplates", "template")},
	}
	for i := range steps {
		rule, args := match(&steps[i], rules)
		if rule == nil {
			return badRequest("Invalid patch path %s", steps[i].path())
		}
		if err := rule.apply(&steps[i], args); err != nil {
			return err
		}
	}
	return nil
}

// patchEntry adds, replaces and removes entries of a map.
func patchEntry(m map[string]string, field, what string) func(*patchOp, []string) error {
	return func(p *patchOp, args []string) error {
		_, there := m[args[0]]
		switch {
		case p.Op != "add" && !there:
			return notFound("Invalid %s name specified", what)
		case p.Op == "remove":
			delete(m, args[0])
		case p.value() == "":
			return badRequest("Invalid null or empty value in %s", field)
		default:
			m[args[0]] = p.value()
		}
		return nil
	}
}

func (c *call) deleteGatewayResponse() (any, error) {
	kind, err := c.responseType()
	if err != nil {
		return nil, err
	}
	return nil, c.edit(func(d *model.Definition) error {
		if _, changed := d.GatewayResponses[kind]; !changed {
			return notFound("Gateway response type not defined on api")
		}
		delete(d.GatewayResponses, kind)
		return nil
	})
}
