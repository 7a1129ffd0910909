package awsapi

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"tollgate/model"
)

var integrations = handlers{
	"PutIntegration":            (*call).putIntegration,
	"GetIntegration":            (*call).getIntegration,
	"UpdateIntegration":         (*call).updateIntegration,
	"DeleteIntegration":         (*call).deleteIntegration,
	"PutIntegrationResponse":    (*call).putIntegrationResponse,
	"GetIntegrationResponse":    (*call).getIntegrationResponse,
	"UpdateIntegrationResponse": (*call).updateIntegrationResponse,
	"DeleteIntegrationResponse": (*call).deleteIntegrationResponse,
}

// integration is an integration's shape.
type integration struct {
	Type                 string                         `json:"type"`
	HTTPMethod           string                         `json:"httpMethod,omitempty"`
	URI                  string                         `json:"uri,omitempty"`
	ConnectionType       string                         `json:"connectionType,omitempty"`
	ConnectionID         string                         `json:"connectionId,omitempty"`
	Credentials          string                         `json:"credentials,omitempty"`
	RequestParameters    map[string]string              `json:"requestParameters,omitempty"`
	RequestTemplates     map[string]string              `json:"requestTemplates,omitempty"`
	PassthroughBehavior  string                         `json:"passthroughBehavior"`
	ContentHandling      string                         `json:"contentHandling,omitempty"`
	TimeoutInMillis      int                            `json:"timeoutInMillis"`
	CacheNamespace       string                         `json:"cacheNamespace"`
	CacheKeyParameters   []string                       `json:"cacheKeyParameters"`
	IntegrationResponses map[string]integrationResponse `json:"integrationResponses,omitempty"`
	TLSConfig            *tlsConfig                     `json:"tlsConfig,omitempty"`
	ResponseTransferMode string                         `json:"responseTransferMode,omitempty"`
	IntegrationTarget    string                         `json:"integrationTarget,omitempty"`
	Upstream             *model.UpstreamPolicy          `json:"x-tollgate-upstream,omitempty"` // what the service has none of
}

type tlsConfig struct {
	InsecureSkipVerification bool `json:"insecureSkipVerification"`
}

// integrationResponse is an integration response's shape. A template that is null
// passes the answer on, and is null again when read.
type integrationResponse struct {
	StatusCode         string             `json:"statusCode"`
	SelectionPattern   *string            `json:"selectionPattern,omitempty"`
	ResponseParameters map[string]string  `json:"responseParameters,omitempty"`
	ResponseTemplates  map[string]*string `json:"responseTemplates,omitzero"` // empty where it was set to nothing
	ContentHandling    string             `json:"contentHandling,omitempty"`
}

func asIntegration(r *model.Resource, g *model.Integration) integration {
	out := integration{
		Type: g.Type, HTTPMethod: g.HTTPMethod, URI: g.URI, ConnectionType: g.ConnectionType, ConnectionID: g.ConnectionID,
		Credentials: g.Credentials, RequestParameters: g.RequestParameters, RequestTemplates: g.RequestTemplates,
		PassthroughBehavior: g.PassthroughBehavior, ContentHandling: g.ContentHandling, TimeoutInMillis: g.Timeout(),
		CacheNamespace: g.CacheNamespace, CacheKeyParameters: g.CacheKeyParameters,
		ResponseTransferMode: g.ResponseTransferMode, IntegrationTarget: g.IntegrationTarget, Upstream: g.Upstream,
	}
	if out.PassthroughBehavior == "" {
		out.PassthroughBehavior = "WHEN_NO_MATCH"
	}
	if out.CacheNamespace == "" {
		out.CacheNamespace = r.ID
	}
	if out.CacheKeyParameters == nil {
		out.CacheKeyParameters = []string{}
	}
	if out.ConnectionType == "" && (g.Type == model.IntegrationHTTP || g.Type == model.IntegrationHTTPProxy) {
		out.ConnectionType = "INTERNET"
	}
	if g.InsecureSkipVerify {
		out.TLSConfig = &tlsConfig{true}
	}
	for key, x := range g.Responses {
		if out.IntegrationResponses == nil {
			out.IntegrationResponses = map[string]integrationResponse{}
		}
		if x.StatusCode != "" {
			key = x.StatusCode
		}
		out.IntegrationResponses[key] = asIntegrationResponse(x)
	}
	return out
}

func asIntegrationResponse(r model.IntegrationResponse) integrationResponse {
	out := integrationResponse{StatusCode: r.StatusCode, SelectionPattern: r.SelectionPattern, ResponseParameters: r.ResponseParameters, ContentHandling: r.ContentHandling}
	if r.ResponseTemplates != nil {
		out.ResponseTemplates = map[string]*string{}
	}
	for kind, t := range r.ResponseTemplates {
		out.ResponseTemplates[kind] = nil
		if t != "" {
			out.ResponseTemplates[kind] = &t
		}
	}
	return out
}

var errNoIntegration = notFound("Invalid Integration identifier specified")

// changeIntegration edits the call's integration, which is there.
func (c *call) changeIntegration(edit func(*model.Method, *model.Integration) error) (*model.Resource, *model.Integration, error) {
	r, m, err := c.changeMethod(func(_ *model.Definition, _ *model.Resource, m *model.Method) error {
		if m.Integration == nil {
			return errNoIntegration
		}
		return edit(m, m.Integration)
	})
	if err != nil {
		return nil, nil, err
	}
	return r, m.Integration, nil
}

func (c *call) readIntegration() (*model.Resource, *model.Integration, error) {
	r, m, err := c.readMethod()
	if err == nil && m.Integration == nil {
		err = errNoIntegration
	}
	if err != nil {
		return nil, nil, err
	}
	return r, m.Integration, nil
}

// checkIntegration refuses an integration that can never work.
func checkIntegration(g *model.Integration) error {
	if f := g.Faults(); len(f) > 0 {
		return badRequest("%s", f[0].Text)
	}
	return nil
}

// checkIntegrationResponse refuses an answer that maps what a method does not answer with.
func checkIntegrationResponse(x *model.IntegrationResponse) error {
	for _, name := range slices.Sorted(maps.Keys(x.ResponseParameters)) {
		if !methodHeader.MatchString(name) {
			return errMapping(name)
		}
	}
	return nil
}

var errPassthrough = badRequest("Invalid passthrough behavior specified. Must be one of: [WHEN_NO_MATCH, WHEN_NO_TEMPLATES, NEVER]")

func (c *call) putIntegration() (any, error) {
	var in struct {
		Type                 string
		HTTPMethod           string // of the back end, as the CLI's older models name it
		IntegrationMethod    string `json:"integrationHttpMethod"`
		URI                  string
		ConnectionType       string
		ConnectionID         string
		Credentials          string
		RequestParameters    map[string]string
		RequestTemplates     map[string]string
		PassthroughBehavior  string
		CacheNamespace       string
		CacheKeyParameters   []string
		ContentHandling      string
		TimeoutInMillis      int
		TLSConfig            *tlsConfig
		ResponseTransferMode string
		IntegrationTarget    string
		Upstream             *model.UpstreamPolicy `json:"x-tollgate-upstream"`
	}
	if err := c.in(&in); err != nil {
		return nil, err
	}
	var bad []constraint
	enum := func(value, name string, all []string) {
		if value != "" && !slices.Contains(all, value) {
			bad = append(bad, constraint{value, "putIntegrationInput." + name, oneOf(all...)})
		}
	}
	if in.Type == "" {
		bad = c.required("type", in.Type)
	} else if !slices.Contains(model.IntegrationTypes, in.Type) {
		bad = append(bad, constraint{in.Type, "putIntegrationInput.type", oneOf(model.IntegrationTypes...)})
	}
	enum(in.ContentHandling, "contentHandling", model.ContentHandlings)
	enum(in.ConnectionType, "connectionType", model.ConnectionTypes)
	enum(in.ResponseTransferMode, "responseTransferMode", model.TransferModes)
	if len(bad) > 0 {
		return nil, invalid(bad...)
	}
	r, m, err := c.changeMethod(func(_ *model.Definition, r *model.Resource, m *model.Method) error {
		g := &model.Integration{
			Type: in.Type, HTTPMethod: strings.ToUpper(in.IntegrationMethod), URI: in.URI, ConnectionType: in.ConnectionType,
			ConnectionID: in.ConnectionID, Credentials: in.Credentials, RequestParameters: in.RequestParameters,
			RequestTemplates: in.RequestTemplates, PassthroughBehavior: strings.ToUpper(in.PassthroughBehavior),
			ContentHandling: in.ContentHandling, TimeoutMillis: in.TimeoutInMillis, CacheNamespace: in.CacheNamespace,
			CacheKeyParameters: in.CacheKeyParameters, ResponseTransferMode: in.ResponseTransferMode, IntegrationTarget: in.IntegrationTarget,
			InsecureSkipVerify: in.TLSConfig != nil && in.TLSConfig.InsecureSkipVerification, Upstream: in.Upstream,
		}
		if g.HTTPMethod == "" {
			g.HTTPMethod = strings.ToUpper(in.HTTPMethod)
		}
		if g.PassthroughBehavior != "" && !slices.Contains(model.Passthroughs, g.PassthroughBehavior) {
			return errPassthrough
		}
		if g.Type == model.IntegrationMock {
			g.HTTPMethod, g.URI, g.ConnectionType, g.ConnectionID = "", "", "", "" // there is nothing behind it
		}
		if err := checkIntegration(g); err != nil {
			return err
		}
		if m.Integration != nil { // what is put anew keeps its answers
			g.Responses = m.Integration.Responses
		}
		m.Integration = g
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := asIntegration(r, m.Integration)
	return out, nil
}

func (c *call) getIntegration() (any, error) {
	r, g, err := c.readIntegration()
	if err != nil {
		return nil, err
	}
	return asIntegration(r, g), nil
}

func (c *call) deleteIntegration() (any, error) {
	_, _, err := c.changeMethod(func(_ *model.Definition, _ *model.Resource, m *model.Method) error {
		if m.Integration == nil {
			return errNoIntegration
		}
		m.Integration = nil
		return nil
	})
	return nil, err
}

func (c *call) updateIntegration() (any, error) {
	steps, err := c.patches()
	if err != nil {
		return nil, err
	}
	r, g, err := c.changeIntegration(func(_ *model.Method, g *model.Integration) error {
		text := func(at *string) func(*patchOp, []string) error {
			return func(p *patchOp, _ []string) error { *at = p.value(); return nil }
		}
		upper := func(at *string, all []string) func(*patchOp, []string) error {
			return func(p *patchOp, _ []string) error {
				v := strings.ToUpper(p.value())
				if v != "" && !slices.Contains(all, v) {
					return badRequest("Invalid value for %s. Must be one of: [%s]", strings.TrimPrefix(p.path(), "/"), strings.Join(all, ", "))
				}
				*at = v
				return nil
			}
		}
		err := patchMethod(steps, []patchRule{
			{ops: "replace", pattern: "/uri", apply: text(&g.URI)},
			{ops: "replace", pattern: "/httpMethod", apply: upper(&g.HTTPMethod, model.Verbs)},
			{ops: "replace", pattern: "/credentials", apply: text(&g.Credentials)},
			{ops: "replace", pattern: "/connectionType", apply: upper(&g.ConnectionType, model.ConnectionTypes)},
			{ops: "replace", pattern: "/connectionId", apply: text(&g.ConnectionID)},
			{ops: "replace", pattern: "/contentHandling", apply: upper(&g.ContentHandling, model.ContentHandlings)},
			{ops: "replace", pattern: "/cacheNamespace", apply: text(&g.CacheNamespace)},
			{ops: "replace", pattern: "/passthroughBehavior", apply: upper(&g.PassthroughBehavior, model.Passthroughs)},
			{ops: "replace", pattern: "/responseTransferMode", apply: upper(&g.ResponseTransferMode, model.TransferModes)},
			{ops: "replace", pattern: "/integrationTarget", apply: text(&g.IntegrationTarget)},
			{ops: "replace", pattern: "/timeoutInMillis", apply: func(p *patchOp, _ []string) error {
				n, err := strconv.Atoi(p.value())
				if err != nil || n == 0 {
					return badRequest(model.BadTimeout, model.MinTimeoutMillis, model.MaxTimeoutMillis)
				}
				g.TimeoutMillis = n
				return nil
			}},
			{ops: "replace", pattern: "/tlsConfig/insecureSkipVerification", apply: func(p *patchOp, _ []string) error {
				g.InsecureSkipVerify = isTrue(p.value())
				return nil
			}},
			{ops: "add replace remove", pattern: "/tollgate/upstream", hidden: true, apply: func(p *patchOp, _ []string) error {
				g.Upstream = nil
				if p.Op == "remove" {
					return nil
				}
				g.Upstream = &model.UpstreamPolicy{}
				d := json.NewDecoder(strings.NewReader(p.value()))
				d.DisallowUnknownFields()
				if err := d.Decode(g.Upstream); err != nil {
					return badRequest("Invalid value for /tollgate/upstream: it is a JSON object with retries, circuitBreaker and http2")
				}
				return nil
			}},
			{ops: "add remove", pattern: "/cacheKeyParameters/{name}", apply: func(p *patchOp, a []string) error {
				g.CacheKeyParameters = slices.DeleteFunc(g.CacheKeyParameters, func(s string) bool { return s == a[0] })
				if p.Op == "add" {
					g.CacheKeyParameters = append(g.CacheKeyParameters, a[0])
				}
				return nil
			}},
			{ops: "add replace remove", pattern: "/requestParameters/{name}", apply: inMap(&g.RequestParameters, "Invalid parameter name specified")},
			{ops: "add replace remove", pattern: "/requestTemplates/{type}", apply: inMap(&g.RequestTemplates, "Content-Type specified was not found")},
		})
		if err != nil {
			return err
		}
		return checkIntegration(g)
	})
	if err != nil {
		return nil, err
	}
	return asIntegration(r, g), nil
}

// inMap adds, replaces or removes a text under a name.
func inMap(m *map[string]string, unknown string) func(*patchOp, []string) error {
	return func(p *patchOp, a []string) error {
		if _, ok := (*m)[a[0]]; !ok && p.Op != "add" {
			return notFound("%s", unknown)
		}
		if p.Op == "remove" {
			delete(*m, a[0])
			return nil
		}
		set(m, a[0], p.value())
		return nil
	}
}

func (c *call) putIntegrationResponse() (any, error) {
	status, err := c.status()
	if err != nil {
		return nil, err
	}
	var in struct {
		SelectionPattern   *string
		ResponseParameters map[string]string
		ResponseTemplates  map[string]*string
		ContentHandling    string
	}
	if err := c.in(&in); err != nil {
		return nil, err
	}
	if in.ContentHandling != "" && !slices.Contains(model.ContentHandlings, in.ContentHandling) {
		return nil, invalid(constraint{in.ContentHandling, "putIntegrationResponseInput.contentHandling", oneOf(model.ContentHandlings...)})
	}
	x := model.IntegrationResponse{StatusCode: status, SelectionPattern: in.SelectionPattern, ResponseParameters: in.ResponseParameters, ContentHandling: in.ContentHandling}
	if in.ResponseTemplates != nil {
		x.ResponseTemplates = map[string]string{}
	}
	for kind, t := range in.ResponseTemplates {
		text := ""
		if t != nil {
			text = *t
		}
		set(&x.ResponseTemplates, kind, text)
	}
	if _, _, err = c.changeIntegration(func(_ *model.Method, g *model.Integration) error {
		if err := checkIntegrationResponse(&x); err != nil {
			return err
		}
		if key, ok := responseKey(g, status); ok {
			delete(g.Responses, key)
		}
		set(&g.Responses, status, x)
		return nil
	}); err != nil {
		return nil, err
	}
	return asIntegrationResponse(x), nil
}

// responseKey is where an integration holds its response for a status: an imported
// document names its responses by pattern.
func responseKey(g *model.Integration, status string) (string, bool) {
	if _, ok := g.Responses[status]; ok {
		return status, true
	}
	keys := make([]string, 0, len(g.Responses))
	for k, r := range g.Responses {
		if r.StatusCode == status {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return "", false
	}
	return slices.Min(keys), true
}

func (c *call) getIntegrationResponse() (any, error) {
	status, err := c.status()
	if err != nil {
		return nil, err
	}
	_, g, err := c.readIntegration()
	if err != nil {
		return nil, err
	}
	key, ok := responseKey(g, status)
	if !ok {
		return nil, errNoResponse
	}
	return asIntegrationResponse(g.Responses[key]), nil
}

func (c *call) updateIntegrationResponse() (any, error) {
	status, err := c.status()
	if err != nil {
		return nil, err
	}
	steps, err := c.patches()
	if err != nil {
		return nil, err
	}
	var out integrationResponse
	_, _, err = c.changeIntegration(func(_ *model.Method, g *model.Integration) error {
		key, ok := responseKey(g, status)
		if !ok {
			return errNoResponse
		}
		x := g.Responses[key]
		err := patchMethod(steps, []patchRule{
			{ops: "replace", pattern: "/selectionPattern", apply: func(p *patchOp, _ []string) error { x.SelectionPattern = new(p.value()); return nil }},
			{ops: "replace", pattern: "/contentHandling", apply: func(p *patchOp, _ []string) error {
				if v := p.value(); v != "" && !slices.Contains(model.ContentHandlings, v) {
					return badRequest("Invalid value for contentHandling. Must be one of: [%s]", strings.Join(model.ContentHandlings, ", "))
				}
				x.ContentHandling = p.value()
				return nil
			}},
			{ops: "add replace remove", pattern: "/responseParameters/{name}", apply: inMap(&x.ResponseParameters, "Invalid parameter name specified")},
			{ops: "add replace remove", pattern: "/responseTemplates/{type}", apply: inMap(&x.ResponseTemplates, "Content-Type specified was not found")},
		})
		if err == nil {
			err = checkIntegrationResponse(&x)
		}
		if err != nil {
			return err
		}
		g.Responses[key] = x
		out = asIntegrationResponse(x)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (c *call) deleteIntegrationResponse() (any, error) {
	status, err := c.status()
	if err != nil {
		return nil, err
	}
	_, _, err = c.changeIntegration(func(_ *model.Method, g *model.Integration) error {
		key, ok := responseKey(g, status)
		if !ok {
			return errNoResponse
		}
		delete(g.Responses, key)
		return nil
	})
	return nil, err
}
