package model

import (
	"encoding/json"
	"slices"
	"strings"
)

// The parts of a definition beside its resources. Fields are those of Amazon API
// Gateway's resources of the same names; ids are unique within the definition.

// Endpoint types of an API or a domain.
const (
	EndpointEdge     = "EDGE"
	EndpointRegional = "REGIONAL"
	EndpointPrivate  = "PRIVATE"
)

// Endpoint says from where an API can be reached. Edge and regional are the same
// here: where nodes run is the operator's choice.
type Endpoint struct {
	Types          []string `json:"types"`
	IPAddressType  string   `json:"ipAddressType,omitempty"` // ipv4 or dualstack
	VPCEndpointIDs []string `json:"vpcEndpointIds,omitempty"`
}

// Types of authorizers that are Lambda functions.
const (
	AuthorizerToken   = "TOKEN"
	AuthorizerRequest = "REQUEST"
)

// Authorizer decides who may call the methods that name it.
type Authorizer struct {
	ID                           string          `json:"id"`
	Name                         string          `json:"name"`
	Type                         string          `json:"type"` // TOKEN, REQUEST, COGNITO_USER_POOLS or JWT
	ProviderARNs                 []string        `json:"providerARNs,omitempty"`
	AuthType                     string          `json:"authType,omitempty"` // what an exported document calls it
	AuthorizerURI                string          `json:"authorizerUri,omitempty"`
	AuthorizerCredentials        string          `json:"authorizerCredentials,omitempty"`
	IdentitySource               string          `json:"identitySource,omitempty"` // comma separated
	IdentityValidationExpression string          `json:"identityValidationExpression,omitempty"`
	ResultTTLSeconds             *int            `json:"authorizerResultTtlInSeconds,omitempty"` // nil: 300
	JWT                          json.RawMessage `json:"jwtConfiguration,omitempty"`
}

// Schema is a model of Amazon API Gateway: a JSON Schema, draft 4, with a name.
type Schema struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	ContentType string `json:"contentType"`
	Schema      string `json:"schema,omitempty"` // JSON, as its author wrote it
}

// RequestValidator says what is checked of a call before its integration.
type RequestValidator struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Body       bool   `json:"validateRequestBody,omitempty"`
	Parameters bool   `json:"validateRequestParameters,omitempty"`
}

// GatewayResponse is what the gateway answers by itself in one kind of case.
type GatewayResponse struct {
	StatusCode string            `json:"statusCode,omitempty"` // empty: the kind's own
	Parameters map[string]string `json:"responseParameters,omitempty"`
	Templates  map[string]string `json:"responseTemplates,omitempty"`
}

// DocumentationPart describes one place of an API in words.
type DocumentationPart struct {
	ID         string                `json:"id"`
	Location   DocumentationLocation `json:"location"`
	Properties string                `json:"properties"` // a JSON object, as its author wrote it
}

// DocumentationLocation is the place that a DocumentationPart is about. Fields
// that its type does not have are empty.
type DocumentationLocation struct {
	Type       string `json:"type"`
	Path       string `json:"path,omitempty"`
	Method     string `json:"method,omitempty"`
	StatusCode string `json:"statusCode,omitempty"`
	Name       string `json:"name,omitempty"`
}

func (a Authorizer) id() string       { return a.ID }
func (s Schema) id() string           { return s.ID }
func (v RequestValidator) id() string { return v.ID }

// Limits of the parts of one definition.
const (
	MaxAuthorizers        = 1_000
	MaxModels             = 10_000
	MaxRequestValidators  = 1_000
	MaxDocumentationParts = 20_000
	MaxPolicyBytes        = 64 << 10
	MaxSchemaBytes        = 400 << 10
)

// Authorizer finds one by id; nil: there is none.
func (d *Definition) Authorizer(id string) *Authorizer { return find(d.Authorizers, id) }

// RequestValidator finds one by id; nil: there is none.
func (d *Definition) RequestValidator(id string) *RequestValidator {
	return find(d.RequestValidators, id)
}

// Model finds one by name; nil: there is none.
func (d *Definition) Model(name string) *Schema {
	for i := range d.Models {
		if d.Models[i].Name == name {
			return &d.Models[i]
		}
	}
	return nil
}

// ByID finds a resource by its id; nil: there is none.
func (d *Definition) ByID(id string) *Resource {
	for i := range d.Resources {
		if d.Resources[i].ID == id {
			return &d.Resources[i]
		}
	}
	return nil
}

// ByPath finds a resource by its path; nil: there is none.
func (d *Definition) ByPath(path string) *Resource { return d.resource(path) }

// Paths are all resources, by path.
func (d *Definition) Paths() map[string]*Resource {
	out := make(map[string]*Resource, len(d.Resources))
	for i := range d.Resources {
		out[d.Resources[i].Path] = &d.Resources[i]
	}
	return out
}

func find[T interface{ id() string }](list []T, id string) *T {
	for i := range list {
		if list[i].id() == id {
			return &list[i]
		}
	}
	return nil
}

// Complete adds the resources above those that there are, so that every resource
// but the root has a parent.
func (d *Definition) Complete() {
	there := make(map[string]bool, len(d.Resources))
	for i := range d.Resources {
		there[d.Resources[i].Path] = true
	}
	add := func(path string) {
		if !there[path] {
			there[path] = true
			d.Resources = append(slices.Clip(d.Resources), Resource{ID: NewID(6), Path: path})
		}
	}
	for _, r := range d.Resources {
		for path := r.Path; path != "/"; path = Parent(path) {
			add(path)
		}
	}
	add("/")
}

// About is the definition with nothing of what can be large: its only resource is
// the root, without methods.
func (d *Definition) About() *Definition {
	out := *d
	out.Resources, out.Authorizers, out.Models, out.RequestValidators, out.GatewayResponses, out.Documentation, out.Unserved = nil, nil, nil, nil, nil, nil, nil
	for _, r := range d.Resources {
		if r.Path == "/" {
			out.Resources = []Resource{{ID: r.ID, Path: r.Path}}
		}
	}
	return &out
}

// Parent is the path above another; the root's is the root.
func Parent(path string) string {
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		return path[:i]
	}
	return "/"
}

// validateParts reports the first part that is impossible by itself. What refers
// to what is not there keeps an API from being deployed, not from being edited.
func (d *Definition) validateParts() error {
	for _, c := range []struct {
		what      string
		have, max int
	}{
		{"authorizers", len(d.Authorizers), MaxAuthorizers}, {"models", len(d.Models), MaxModels},
		{"request validators", len(d.RequestValidators), MaxRequestValidators}, {"documentation parts", len(d.Documentation), MaxDocumentationParts},
	} {
		if c.have > c.max {
			return Errorf(Limit, "the API has %d %s; at most %d are allowed", c.have, c.what, c.max)
		}
	}
	if len(d.Policy) > MaxPolicyBytes {
		return Errorf(Limit, "the resource policy has %d bytes; at most %d are allowed", len(d.Policy), MaxPolicyBytes)
	}
	names := make(map[string]bool, len(d.Models))
	for i := range d.Models {
		m := &d.Models[i]
		switch {
		case m.Name == "" || m.ID == "":
			return Errorf(Invalid, "a model needs a name")
		case names[m.Name]:
			return Errorf(Conflict, "there are two models %q", m.Name)
		case len(m.Schema) > MaxSchemaBytes:
			return Errorf(Limit, "model %q has %d bytes; at most %d are allowed", m.Name, len(m.Schema), MaxSchemaBytes)
		}
		names[m.Name] = true
	}
	for i := range d.Authorizers {
		if a := &d.Authorizers[i]; a.ID == "" || a.Name == "" {
			return Errorf(Invalid, "an authorizer needs a name")
		}
	}
	for i := range d.RequestValidators {
		if d.RequestValidators[i].ID == "" {
			return Errorf(Invalid, "a request validator needs an id")
		}
	}
	return nil
}
