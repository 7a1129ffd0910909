package model

import (
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// resource finds a path's resource; nil: there is none.
func (d *Definition) resource(path string) *Resource {
	for i := range d.Resources {
		if d.Resources[i].Path == path {
			return &d.Resources[i]
		}
	}
	return nil
}

// Method finds a method; nil: there is none.
func (d *Definition) Method(path, verb string) *Method {
	if r := d.resource(path); r != nil {
		if m, ok := r.Methods[verb]; ok {
			return &m
		}
	}
	return nil
}

// AddResource adds a path, with the paths above it that are not there yet.
func (d *Definition) AddResource(path string) error {
	if path != "/" {
		path = strings.TrimSuffix(path, "/")
	}
	if !strings.HasPrefix(path, "/") {
		return Errorf(Invalid, "%q does not begin with a slash; write a path such as /pets/{petId}", path)
	}
	if d.resource(path) != nil {
		return Errorf(Conflict, "there is a resource %s already", path)
	}
	if _, err := Segments(path); err != nil {
		return err
	}
	add := func(p string) {
		if d.resource(p) == nil {
			d.Resources = append(d.Resources, Resource{ID: NewID(6), Path: p})
		}
	}
	add("/")
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i := range parts {
		if path != "/" {
			add("/" + strings.Join(parts[:i+1], "/"))
		}
	}
	return d.Validate()
}

// RemoveResource takes a path away, with everything below it. The root stays.
func (d *Definition) RemoveResource(path string) error {
	if d.resource(path) == nil {
		return Errorf(NotFound, "there is no resource %s", path)
	}
	if path == "/" {
		return Errorf(Invalid, "the root resource stays; remove its methods instead")
	}
	d.Resources = slices.DeleteFunc(slices.Clone(d.Resources), func(r Resource) bool {
		return r.Path == path || strings.HasPrefix(r.Path, path+"/")
	})
	return nil
}

// Clone is the definition for another API, whose resources have ids of their own.
func (d *Definition) Clone() *Definition {
	out := *d
	out.Resources = slices.Clone(d.Resources)
	for i := range out.Resources {
		r := &out.Resources[i]
		was := r.ID
		r.ID, r.Methods = NewID(6), maps.Clone(r.Methods)
		for verb, m := range r.Methods {
			if g := m.Integration; g != nil && g.CacheNamespace == was { // its default
				own := *g
				own.CacheNamespace = ""
				m.Integration = &own
				r.Methods[verb] = m
			}
		}
	}
	return &out
}

// Below is the number of resources and methods at a path and below it.
func (d *Definition) Below(path string) (resources, methods int) {
	for i := range d.Resources {
		if r := &d.Resources[i]; r.Path == path || strings.HasPrefix(r.Path, strings.TrimSuffix(path, "/")+"/") {
			resources++
			methods += len(r.Methods)
		}
	}
	return resources, methods
}

// SetMethod declares a method on a path that is there, or changes it.
func (d *Definition) SetMethod(path, verb string, m Method) error {
	d.Resources = slices.Clone(d.Resources) // what was copied from d stays as it was
	r := d.resource(path)
	if r == nil {
		return Errorf(NotFound, "there is no resource %s; add it first", path)
	}
	if err := m.validate(path, verb); err != nil {
		return err
	}
	methods := maps.Clone(r.Methods)
	if methods == nil {
		methods = map[string]Method{}
	}
	methods[verb] = m
	r.Methods = methods
	return nil
}

// RemoveMethod takes a method away.
func (d *Definition) RemoveMethod(path, verb string) error {
	d.Resources = slices.Clone(d.Resources)
	r := d.resource(path)
	if r == nil || d.Method(path, verb) == nil {
		return Errorf(NotFound, "there is no method %s %s", verb, path)
	}
	r.Methods = maps.Clone(r.Methods)
	delete(r.Methods, verb)
	return nil
}

// Kinds of a RouteChange.
const (
	Added   = "added"
	Removed = "removed"
	Changed = "changed"
)

// RouteChange is a method that differs between two definitions.
type RouteChange struct {
	Kind  string       `json:"kind"`
	Verb  string       `json:"verb,omitempty"` // empty: of the whole API
	Path  string       `json:"path,omitempty"`
	Parts []Difference `json:"parts,omitempty"` // of one that changed
}

// Difference is one thing of two that is not alike. What is more than a word or a number
// is a text of several lines, as documents write it.
type Difference struct {
	What string `json:"what"`
	From string `json:"from,omitempty"` // empty: it was not there
	To   string `json:"to,omitempty"`   // empty: it is not there any more
}

// Compare lists what is different in now, by path and verb.
func Compare(was, now *Definition) []RouteChange {
	var out []RouteChange
	whole := RouteChange{Kind: Changed}
	differ(&whole.Parts, "name", was.Name, now.Name)
	differ(&whole.Parts, "description", was.Description, now.Description)
	differ(&whole.Parts, "version", was.Version, now.Version)
	differ(&whole.Parts, "compressed from, in bytes", pointed(was.MinimumCompressionSize), pointed(now.MinimumCompressionSize))
	differ(&whole.Parts, "endpoint", was.Endpoint, now.Endpoint)
	differ(&whole.Parts, "security policy", was.SecurityPolicy, now.SecurityPolicy)
	differ(&whole.Parts, "API key source", was.APIKeySource, now.APIKeySource)
	differ(&whole.Parts, "binary media types", strings.Join(was.BinaryMediaTypes, ", "), strings.Join(now.BinaryMediaTypes, ", "))
	differ(&whole.Parts, "resource policy", was.Policy, now.Policy)
	differ(&whole.Parts, "default endpoint switched off", was.DisableDefaultEndpoint, now.DisableDefaultEndpoint)
	differ(&whole.Parts, "authorizers", byID(was.Authorizers), byID(now.Authorizers))
	differ(&whole.Parts, "models", byID(was.Models), byID(now.Models))
	differ(&whole.Parts, "request validators", byID(was.RequestValidators), byID(now.RequestValidators))
	differ(&whole.Parts, "gateway responses", was.GatewayResponses, now.GatewayResponses)
	if len(whole.Parts) > 0 {
		out = append(out, whole)
	}
	old, young := was.byRoute(), now.byRoute()
	routes := slices.Collect(maps.Keys(young))
	for r := range old {
		if _, ok := young[r]; !ok {
			routes = append(routes, r)
		}
	}
	sort.Slice(routes, func(i, j int) bool {
		if routes[i][0] != routes[j][0] {
			return routes[i][0] < routes[j][0]
		}
		return routes[i][1] < routes[j][1]
	})
	for _, r := range routes {
		a, before := old[r]
		b, after := young[r]
		switch c := (RouteChange{Path: r[0], Verb: r[1]}); {
		case !before:
			c.Kind = Added
			out = append(out, c)
		case !after:
			c.Kind = Removed
			out = append(out, c)
		default:
			if c.Kind, c.Parts = Changed, a.differences(b); len(c.Parts) > 0 {
				out = append(out, c)
			}
		}
	}
	return out
}

func (d *Definition) byRoute() map[[2]string]*Method {
	out := map[[2]string]*Method{}
	for i := range d.Resources {
		for verb, m := range d.Resources[i].Methods {
			out[[2]string{d.Resources[i].Path, verb}] = &m
		}
	}
	return out
}

func (m *Method) differences(n *Method) (out []Difference) {
	differ(&out, "API key required", m.APIKeyRequired, n.APIKeyRequired)
	differ(&out, "authorization", or(m.AuthorizationType, AuthNone), or(n.AuthorizationType, AuthNone))
	differ(&out, "authorizer", m.AuthorizerID, n.AuthorizerID)
	differ(&out, "authorization scopes", strings.Join(m.AuthorizationScopes, ", "), strings.Join(n.AuthorizationScopes, ", "))
	differ(&out, "operation name", m.OperationName, n.OperationName)
	differ(&out, "request validator", m.RequestValidatorID, n.RequestValidatorID)
	differ(&out, "request parameters", m.RequestParameters, n.RequestParameters)
	differ(&out, "request models", m.RequestModels, n.RequestModels)
	differ(&out, "method responses", m.Responses, n.Responses)
	a, b := m.Integration, n.Integration
	if a == nil || b == nil {
		differ(&out, "integration", a != nil, b != nil)
		return out
	}
	differ(&out, "integration", a.Type, b.Type)
	differ(&out, "upstream", a.URI, b.URI)
	differ(&out, "upstream method", a.HTTPMethod, b.HTTPMethod)
	differ(&out, "timeout in ms", a.Timeout(), b.Timeout())
	differ(&out, "mapped parameters", a.RequestParameters, b.RequestParameters)
	differ(&out, "request templates", a.RequestTemplates, b.RequestTemplates)
	differ(&out, "responses", a.Responses, b.Responses)
	differ(&out, "certificate checks off", a.InsecureSkipVerify, b.InsecureSkipVerify)
	differ(&out, "passthrough", a.PassthroughBehavior, b.PassthroughBehavior)
	differ(&out, "content handling", a.ContentHandling, b.ContentHandling)
	differ(&out, "connection", strings.TrimSpace(a.ConnectionType+" "+a.ConnectionID), strings.TrimSpace(b.ConnectionType+" "+b.ConnectionID))
	differ(&out, "load balancer", a.IntegrationTarget, b.IntegrationTarget)
	differ(&out, "upstream policy", a.Upstream, b.Upstream)
	differ(&out, "answers are sent on", or(a.ResponseTransferMode, "BUFFERED"), or(b.ResponseTransferMode, "BUFFERED"))
	differ(&out, "cache namespace", a.CacheNamespace, b.CacheNamespace)
	differ(&out, "credentials", a.Credentials, b.Credentials)
	differ(&out, "cache keys", strings.Join(a.CacheKeyParameters, ", "), strings.Join(b.CacheKeyParameters, ", "))
	return out
}

// differ notes a difference.
func differ(out *[]Difference, what string, a, b any) {
	if x, y := written(a), written(b); x != y {
		*out = append(*out, Difference{what, x, y})
	}
}

func pointed(n *int) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(*n)
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// byID is a list as differ prints it: whatever its order, and nothing when empty.
func byID[T interface{ id() string }](list []T) map[string]T {
	out := map[string]T{}
	for _, v := range list {
		out[v.id()] = v
	}
	return out
}
