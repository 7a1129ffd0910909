package awsapi

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"tollgate/model"
)

var methods = handlers{
	"PutMethod":            (*call).putMethod,
	"GetMethod":            (*call).getMethod,
	"UpdateMethod":         (*call).updateMethod,
	"DeleteMethod":         (*call).deleteMethod,
	"PutMethodResponse":    (*call).putMethodResponse,
	"GetMethodResponse":    (*call).getMethodResponse,
	"UpdateMethodResponse": (*call).updateMethodResponse,
	"DeleteMethodResponse": (*call).deleteMethodResponse,
}

// method is a method's shape.
type method struct {
	HTTPMethod          string                    `json:"httpMethod"`
	AuthorizationType   string                    `json:"authorizationType"`
	AuthorizerID        string                    `json:"authorizerId,omitempty"`
	APIKeyRequired      bool                      `json:"apiKeyRequired"`
	RequestValidatorID  string                    `json:"requestValidatorId,omitempty"`
	OperationName       string                    `json:"operationName,omitempty"`
	RequestParameters   map[string]bool           `json:"requestParameters,omitempty"`
	RequestModels       map[string]string         `json:"requestModels,omitempty"`
	MethodResponses     map[string]methodResponse `json:"methodResponses,omitempty"`
	MethodIntegration   *integration              `json:"methodIntegration,omitempty"`
	AuthorizationScopes []string                  `json:"authorizationScopes,omitempty"`
}

// methodResponse is a method response's shape.
type methodResponse struct {
	StatusCode         string            `json:"statusCode"`
	ResponseParameters map[string]bool   `json:"responseParameters,omitempty"`
	ResponseModels     map[string]string `json:"responseModels,omitempty"`
}

func asMethodResponse(status string, r model.MethodResponse) methodResponse {
	return methodResponse{status, r.Parameters, r.Models}
}

func asMethod(r *model.Resource, verb string, m *model.Method) method {
	out := method{
		HTTPMethod: verb, AuthorizationType: m.AuthorizationType, APIKeyRequired: m.APIKeyRequired,
		RequestValidatorID: m.RequestValidatorID, OperationName: m.OperationName, RequestParameters: m.RequestParameters,
		RequestModels: m.RequestModels, AuthorizationScopes: m.AuthorizationScopes,
	}
	if authorized(m.AuthorizationType) {
		out.AuthorizerID = m.AuthorizerID
	}
	for status, x := range m.Responses {
		if out.MethodResponses == nil {
			out.MethodResponses = map[string]methodResponse{}
		}
		out.MethodResponses[status] = asMethodResponse(status, x)
	}
	if m.Integration != nil {
		g := asIntegration(r, m.Integration)
		out.MethodIntegration = &g
	}
	return out
}

// authorized reports a type of authorization that takes an authorizer.
func authorized(kind string) bool {
	return kind == model.AuthCustom || kind == model.AuthCognito || kind == model.AuthJWT
}

var errNoMethod = notFound("Invalid Method identifier specified")

// changeMethod edits the call's method, which is there.
func (c *call) changeMethod(edit func(*model.Definition, *model.Resource, *model.Method) error) (*model.Resource, *model.Method, error) {
	verb := c.args["http_method"]
	a, err := c.changeBelow(func(d *model.Definition, r *model.Resource) error {
		m, ok := r.Methods[verb]
		if !ok {
			return errNoMethod
		}
		if err := edit(d, r, &m); err != nil {
			return err
		}
		r.Methods[verb] = m
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	r := a.Definition.ByID(c.args["resource_id"])
	m := r.Methods[verb]
	return r, &m, nil
}

// readMethod finds the call's method.
func (c *call) readMethod() (*model.Resource, *model.Method, error) {
	a, err := c.below()
	if err != nil {
		return nil, nil, err
	}
	r := a.Definition.ByID(c.args["resource_id"])
	if r == nil {
		return nil, nil, errNoResource
	}
	m, ok := r.Methods[c.args["http_method"]]
	if !ok {
		return nil, nil, errNoMethod
	}
	return r, &m, nil
}

// checkMethod refuses a method that names what is not there.
func checkMethod(d *model.Definition, m *model.Method) error {
	if authorized(m.AuthorizationType) && d.Authorizer(m.AuthorizerID) == nil {
		return badRequest("Invalid authorizer ID specified. Setting the authorization type to CUSTOM or COGNITO_USER_POOLS requires a valid authorizer.")
	}
	if m.RequestValidatorID != "" && d.RequestValidator(m.RequestValidatorID) == nil {
		return badRequest("Invalid Request Validator identifier specified")
	}
	for _, kind := range slices.Sorted(maps.Keys(m.RequestModels)) {
		if name := m.RequestModels[kind]; d.Model(name) == nil {
			return badRequest("Invalid model identifier specified: %s", name)
		}
	}
	return nil
}

var methodParameter = regexp.MustCompile(`^method\.request\.(header|path|querystring|multivalueheader|multivaluequerystring)\.[^ ]+$`)

func errMapping(name string) error {
	return badRequest(model.BadMapping, name)
}

func checkRequestParameter(name string) error {
	if !methodParameter.MatchString(name) {
		return errMapping(name)
	}
	return nil
}

var authorizationTypes = []string{model.AuthNone, model.AuthIAM, model.AuthCustom, model.AuthCognito, model.AuthJWT}

func authorizationType(s string) (string, error) {
	if t := strings.ToUpper(s); slices.Contains(authorizationTypes, t) {
		return t, nil
	}
	return "", badRequest("Invalid Authorization Type specified: %s. Must be one of: [%s]", s, strings.Join(authorizationTypes, ", "))
}

func (c *call) putMethod() (any, error) {
	var in struct {
		AuthorizationType   string
		AuthorizerID        string
		APIKeyRequired      bool
		OperationName       string
		RequestParameters   map[string]bool
		RequestModels       map[string]string
		RequestValidatorID  string
		AuthorizationScopes []string
	}
	if err := c.in(&in); err != nil {
		return nil, err
	}
	verb := c.args["http_method"]
	a, err := c.changeBelow(func(d *model.Definition, r *model.Resource) error {
		if !slices.Contains(model.Verbs, verb) {
			return badRequest("Invalid HttpMethod specified. Valid options are GET,PUT,POST,DELETE,PATCH,OPTIONS,HEAD,ANY")
		}
		if _, ok := r.Methods[verb]; ok {
			return conflict("Method already exists for this resource")
		}
		t, err := authorizationType(in.AuthorizationType)
		if err != nil {
			return err
		}
		m := model.Method{
			AuthorizationType: t, AuthorizerID: in.AuthorizerID, APIKeyRequired: in.APIKeyRequired, OperationName: in.OperationName,
			RequestParameters: in.RequestParameters, RequestModels: in.RequestModels, RequestValidatorID: in.RequestValidatorID,
			AuthorizationScopes: in.AuthorizationScopes,
		}
		for _, name := range slices.Sorted(maps.Keys(m.RequestParameters)) {
			if err := checkRequestParameter(name); err != nil {
				return err
			}
		}
		if err := checkMethod(d, &m); err != nil {
			return err
		}
		if r.Methods == nil {
			r.Methods = map[string]model.Method{}
		}
		r.Methods[verb] = m
		return nil
	})
	if err != nil {
		return nil, err
	}
	r := a.Definition.ByID(c.args["resource_id"])
	m := r.Methods[verb]
	return asMethod(r, verb, &m), nil
}

func (c *call) getMethod() (any, error) {
	r, m, err := c.readMethod()
	if err != nil {
		return nil, err
	}
	return asMethod(r, c.args["http_method"], m), nil
}

func (c *call) deleteMethod() (any, error) {
	_, err := c.changeBelow(func(_ *model.Definition, r *model.Resource) error {
		if _, ok := r.Methods[c.args["http_method"]]; !ok {
			return errNoMethod
		}
		delete(r.Methods, c.args["http_method"])
		return nil
	})
	return nil, err
}

// set gives a map of the definition a value.
func set[V any](m *map[string]V, key string, v V) {
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[key] = v
}

func (c *call) updateMethod() (any, error) {
	steps, err := c.patches()
	if err != nil {
		return nil, err
	}
	r, m, err := c.changeMethod(func(d *model.Definition, _ *model.Resource, m *model.Method) error {
		text := func(at *string) func(*patchOp, []string) error {
			return func(p *patchOp, _ []string) error { *at = p.value(); return nil }
		}
		err := patchMethod(steps, []patchRule{
			{ops: "replace", pattern: "/apiKeyRequired", apply: func(p *patchOp, _ []string) error {
				m.APIKeyRequired = isTrue(p.value())
				return nil
			}},
			{ops: "replace", pattern: "/authorizationType", apply: func(p *patchOp, _ []string) (err error) {
				m.AuthorizationType, err = authorizationType(p.value())
				return err
			}},
			{ops: "replace", pattern: "/authorizerId", apply: text(&m.AuthorizerID)},
			{ops: "replace", pattern: "/operationName", apply: text(&m.OperationName)},
			{ops: "replace", pattern: "/requestValidatorId", apply: text(&m.RequestValidatorID)},
			{ops: "add remove", pattern: "/authorizationScopes", apply: func(p *patchOp, _ []string) error {
				m.AuthorizationScopes = slices.DeleteFunc(m.AuthorizationScopes, func(s string) bool { return s == p.value() })
				if p.Op == "add" {
					m.AuthorizationScopes = append(m.AuthorizationScopes, p.value())
				}
				return nil
			}},
			{ops: "add replace remove", pattern: "/requestParameters/{name}", apply: func(p *patchOp, a []string) error {
				if _, ok := m.RequestParameters[a[0]]; !ok && p.Op != "add" {
					return notFound("Invalid parameter name specified")
				}
				if p.Op == "remove" {
					delete(m.RequestParameters, a[0])
					return nil
				}
				set(&m.RequestParameters, a[0], isTrue(p.value()))
				return checkRequestParameter(a[0])
			}},
			{ops: "add replace remove", pattern: "/requestModels/{type}", apply: func(p *patchOp, a []string) error {
				if _, ok := m.RequestModels[a[0]]; !ok && p.Op != "add" {
					return notFound("Content-Type specified was not found")
				}
				if p.Op == "remove" {
					delete(m.RequestModels, a[0])
					return nil
				}
				set(&m.RequestModels, a[0], p.value())
				return nil
			}},
		})
		if err != nil {
			return err
		}
		if !authorized(m.AuthorizationType) {
			m.AuthorizerID = ""
		}
		return checkMethod(d, m)
	})
	if err != nil {
		return nil, err
	}
	return asMethod(r, c.args["http_method"], m), nil
}

// patchMethod is patch with the words that the service has for methods and
// integrations and what is below them.
func patchMethod(steps []patchOp, rules []patchRule) error {
	for i := range steps {
		p := &steps[i]
		if rule, _ := match(p, rules); rule != nil {
			continue
		}
		for _, r := range rules {
			if _, ok := r.args(p.path()); ok {
				return badRequest("Invalid patch operation specified. Must be one of: [%s]", strings.ReplaceAll(r.ops, " ", ", "))
			}
		}
		return badRequest("Invalid patch path %s", p.path())
	}
	return patch(steps, rules)
}

// isTrue reads a boolean of a PATCH, where anything else is false.
func isTrue(s string) bool { return strings.EqualFold(s, "true") }

// status is the call's status code.
func (c *call) status() (string, error) {
	s := c.args["status_code"]
	if !model.ValidStatus(s) {
		return "", invalid(constraint{s, "statusCode", `Member must satisfy regular expression pattern: [1-5]\d\d`})
	}
	return s, nil
}

var errNoResponse = notFound("Invalid Response status code specified")

var methodHeader = regexp.MustCompile(`^method\.response\.(header|multivalueheader)\.[^ ]+$`)

func checkMethodResponse(d *model.Definition, r *model.MethodResponse) error {
	for _, name := range slices.Sorted(maps.Keys(r.Parameters)) {
		if !methodHeader.MatchString(name) {
			return errMapping(name)
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(r.Models)) {
		if name := r.Models[kind]; d.Model(name) == nil {
			return badRequest("Invalid model identifier specified: %s", name)
		}
	}
	return nil
}

func (c *call) putMethodResponse() (any, error) {
	status, err := c.status()
	if err != nil {
		return nil, err
	}
	var in struct {
		ResponseParameters map[string]bool
		ResponseModels     map[string]string
	}
	if err := c.in(&in); err != nil {
		return nil, err
	}
	out := model.MethodResponse{Parameters: in.ResponseParameters, Models: in.ResponseModels}
	_, _, err = c.changeMethod(func(d *model.Definition, _ *model.Resource, m *model.Method) error {
		if _, ok := m.Responses[status]; ok {
			return conflict("Response already exists for this resource")
		}
		if err := checkMethodResponse(d, &out); err != nil {
			return err
		}
		set(&m.Responses, status, out)
		return nil
	})
	return asMethodResponse(status, out), err
}

func (c *call) getMethodResponse() (any, error) {
	status, err := c.status()
	if err != nil {
		return nil, err
	}
	_, m, err := c.readMethod()
	if err != nil {
		return nil, err
	}
	r, ok := m.Responses[status]
	if !ok {
		return nil, errNoResponse
	}
	return asMethodResponse(status, r), nil
}

func (c *call) updateMethodResponse() (any, error) {
	status, err := c.status()
	if err != nil {
		return nil, err
	}
	steps, err := c.patches()
	if err != nil {
		return nil, err
	}
	_, m, err := c.changeMethod(func(d *model.Definition, _ *model.Resource, m *model.Method) error {
		r, ok := m.Responses[status]
		if !ok {
			return errNoResponse
		}
		err := patchMethod(steps, []patchRule{
			{ops: "add replace remove", pattern: "/responseParameters/{name}", apply: func(p *patchOp, a []string) error {
				if _, ok := r.Parameters[a[0]]; !ok && p.Op != "add" {
					return notFound("Invalid parameter name specified")
				}
				if p.Op == "remove" {
					delete(r.Parameters, a[0])
					return nil
				}
				set(&r.Parameters, a[0], isTrue(p.value()))
				return nil
			}},
			{ops: "add replace remove", pattern: "/responseModels/{type}", apply: func(p *patchOp, a []string) error {
				if _, ok := r.Models[a[0]]; !ok && p.Op != "add" {
					return notFound("Content-Type specified was not found")
				}
				if p.Op == "remove" {
					delete(r.Models, a[0])
					return nil
				}
				set(&r.Models, a[0], p.value())
				return nil
			}},
		})
		if err != nil {
			return err
		}
		if err := checkMethodResponse(d, &r); err != nil {
			return err
		}
		m.Responses[status] = r
		return nil
	})
	if err != nil {
		return nil, err
	}
	return asMethodResponse(status, m.Responses[status]), nil
}

func (c *call) deleteMethodResponse() (any, error) {
	status, err := c.status()
	if err != nil {
		return nil, err
	}
	_, _, err = c.changeMethod(func(_ *model.Definition, _ *model.Resource, m *model.Method) error {
		if _, ok := m.Responses[status]; !ok {
			return errNoResponse
		}
		delete(m.Responses, status)
		return nil
	})
	return nil, err
}
