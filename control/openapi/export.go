package openapi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"tollgate/model"
)

// ExportOptions say what a definition is written as.
type ExportOptions struct {
	Swagger bool `json:"swagger,omitempty"` // 2.0 instead of OpenAPI 3.0
	YAML    bool `json:"yaml,omitempty"`    // instead of JSON

	// Amazon API Gateway's extensions for them, and all of its extensions.
	Integrations bool `json:"integrations,omitempty"`
	Authorizers  bool `json:"authorizers,omitempty"`
	All          bool `json:"all,omitempty"`

	Host   string `json:"host,omitempty"`   // where it is served
	Scheme string `json:"scheme,omitempty"` // of that; "": https

	// What follows is the stage's, not asked for.
	Stage string    `json:"-"`
	Made  time.Time `json:"-"` // instead of a version, for an API that has none

	Documentation        []model.DocumentationPart `json:"-"`
	DocumentationVersion string                    `json:"-"`
	Tags                 map[string]string         `json:"-"`
}

// Extensions takes the names of extensions to write, separated by commas.
func (o *ExportOptions) Extensions(names string) error {
	for _, e := range strings.Split(names, ",") {
		switch strings.TrimSpace(e) {
		case "", "postman":
		case "integrations":
			o.Integrations = true
		case "authorizers":
			o.Authorizers = true
		case "apigateway":
			o.All = true
		default:
			return model.Errorf(model.Invalid, "Invalid extension specified: %.100s. Must be one of: [integrations, authorizers, apigateway, postman]", e)
		}
	}
	return nil
}

// Version is what an exported document calls the API's version.
func (o *ExportOptions) Version(d *model.Definition) string {
	return cmp.Or(d.Version, o.Made.UTC().Format(time.RFC3339))
}

// Export writes a definition as an OpenAPI document. The same definition and options
// always give the same bytes.
func Export(d *model.Definition, o ExportOptions) ([]byte, error) {
	x := &exporter{ExportOptions: o, d: d, words: map[model.DocumentationLocation]json.RawMessage{}, schemes: map[string]string{}}
	for _, p := range o.Documentation {
		x.words[p.Location.Full()] = json.RawMessage(p.Properties)
	}
	doc, err := json.Marshal(x.document())
	if err != nil {
		return nil, err
	}
	n, _, err := decodeJSON(doc)
	if err != nil {
		return nil, err
	}
	if o.YAML {
		return yaml.Marshal(asYAML(n))
	}
	var out bytes.Buffer
	if err := json.Indent(&out, doc, "", "  "); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// object is a JSON object in the order in which it was made.
type object []member

type member struct {
	key   string
	value any
}

func (o *object) set(key string, value any) { *o = append(*o, member{key, value}) }

// text sets what is not empty.
func (o *object) text(key, value string) {
	if value != "" {
		o.set(key, value)
	}
}

func (o *object) texts(key string, values map[string]string) {
	if len(values) > 0 {
		o.set(key, values)
	}
}

// MarshalJSON keeps the order.
func (o object) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			b = append(b, ',')
		}
		v, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		b = append(append(appendString(b, m.key), ':'), v...)
	}
	return append(b, '}'), nil
}

type exporter struct {
	ExportOptions
	d       *model.Definition
	words   map[model.DocumentationLocation]json.RawMessage
	schemes map[string]string // name of a security scheme, by authorizer's id
	used    []string          // ids of those in use
}

const (
	keyScheme = "\x00key"
	iamScheme = "\x00iam"
)

func (x *exporter) document() object {
	d := x.d
	x.nameSchemes()
	var doc object
	info := object{{"title", d.Name}}
	info.text("description", d.Description)
	info.set("version", x.Version(d))
	if x.Swagger {
		doc = object{{"swagger", "2.0"}, {"info", info}, {"host", x.Host}, {"basePath", "/" + x.Stage}, {"schemes", []string{cmp.Or(x.Scheme, "https")}}}
	} else {
		server := object{{"url", cmp.Or(x.Scheme, "https") + "://" + x.Host + "/{basePath}"}, {"variables", object{{"basePath", object{{"default", x.Stage}}}}}}
		doc = object{{"openapi", "3.0.1"}, {"info", info}, {"servers", []any{server}}}
	}
	if x.All && len(x.Tags) > 0 {
		var tags []object
		for _, k := range slices.Sorted(maps.Keys(x.Tags)) {
			tags = append(tags, object{{"name", k}, {aws + "tag-value", x.Tags[k]}})
		}
		doc.set("tags", tags)
	}
	paths := object{}
	for i := range d.Resources {
		r := &d.Resources[i]
		item := object{}
		for _, verb := range slices.Sorted(maps.Keys(r.Methods)) {
			m := r.Methods[verb]
			field := strings.ToLower(verb)
			if verb == "ANY" {
				field = anyMethod
			}
			item.set(field, x.operation(r, verb, &m))
		}
		if len(item) > 0 {
			paths.set(r.Path, item)
		}
	}
	doc.set("paths", paths)
	schemas := x.schemas()
	security := x.securitySchemes()
	if x.Swagger {
		if len(security) > 0 {
			doc.set("securityDefinitions", security)
		}
		if len(schemas) > 0 {
			doc.set("definitions", schemas)
		}
	} else {
		components := object{}
		if len(schemas) > 0 {
			components.set("schemas", schemas)
		}
		if len(security) > 0 {
			components.set("securitySchemes", security)
		}
		doc.set("components", components)
	}
	if x.All {
		x.settings(&doc)
	}
	return doc
}

// settings are the extensions of the whole API.
func (x *exporter) settings(doc *object) {
	d := x.d
	doc.text(aws+"api-key-source", d.APIKeySource)
	if len(d.BinaryMediaTypes) > 0 {
		doc.set(aws+"binary-media-types", d.BinaryMediaTypes)
	}
	if d.MinimumCompressionSize != nil {
		doc.set(aws+"minimum-compression-size", *d.MinimumCompressionSize)
	}
	if json.Valid([]byte(d.Policy)) {
		doc.set(aws+"policy", json.RawMessage(d.Policy))
	}
	if d.Endpoint != nil || d.DisableDefaultEndpoint {
		e := object{}
		if d.DisableDefaultEndpoint {
			e.set("disableExecuteApiEndpoint", true)
		}
		if d.Endpoint != nil {
			e.set("types", d.Endpoint.Types)
			e.text("ipAddressType", d.Endpoint.IPAddressType)
			if len(d.Endpoint.VPCEndpointIDs) > 0 {
				e.set("vpcEndpointIds", d.Endpoint.VPCEndpointIDs)
			}
		}
		doc.set(aws+"endpoint-configuration", e)
	}
	doc.text(aws+"security-policy", d.SecurityPolicy)
	doc.text(aws+"endpoint-access-mode", d.EndpointAccessMode)
	if len(d.RequestValidators) > 0 {
		all := object{}
		for _, v := range d.RequestValidators {
			all.set(v.Name, object{{"validateRequestBody", v.Body}, {"validateRequestParameters", v.Parameters}})
		}
		doc.set(aws+"request-validators", all)
	}
	if len(d.GatewayResponses) > 0 {
		all := object{}
		for _, kind := range slices.Sorted(maps.Keys(d.GatewayResponses)) {
			g := d.GatewayResponses[kind]
			r := object{}
			if n, err := strconv.Atoi(g.StatusCode); err == nil {
				r.set("statusCode", n)
			}
			r.texts("responseParameters", g.Parameters)
			r.texts("responseTemplates", g.Templates)
			all.set(kind, r)
		}
		doc.set(aws+"gateway-responses", all)
	}
	if len(x.Documentation) > 0 {
		parts := []object{}
		for _, p := range x.Documentation {
			if json.Valid([]byte(p.Properties)) {
				parts = append(parts, object{{"location", p.Location}, {"properties", json.RawMessage(p.Properties)}})
			}
		}
		all := object{}
		all.text("version", x.DocumentationVersion)
		all.set("documentationParts", parts)
		doc.set(aws+"documentation", all)
	}
}

// said is one property of the documentation of a place; nil: nothing.
func (x *exporter) said(property string, l model.DocumentationLocation) any {
	for _, verb := range []string{l.Method, "*"} {
		for _, status := range []string{l.StatusCode, "*"} {
			at := l
			at.Method, at.StatusCode = verb, status
			if l.StatusCode == "" {
				at.StatusCode = ""
			}
			var all map[string]json.RawMessage
			if json.Unmarshal(x.words[at], &all) == nil && all[property] != nil {
				return all[property]
			}
		}
	}
	return nil
}

var places = []struct{ in, short, kind string }{
	{"path", "path", "PATH_PARAMETER"}, {"query", "querystring", "QUERY_PARAMETER"}, {"header", "header", "REQUEST_HEADER"}}

func (x *exporter) operation(r *model.Resource, verb string, m *model.Method) object {
	op := object{}
	at := func(kind, status, name string) model.DocumentationLocation {
		return model.DocumentationLocation{Type: kind, Path: r.Path, Method: verb, StatusCode: status, Name: name}
	}
	for _, property := range []string{"tags", "summary", "description"} {
		if v := x.said(property, at("METHOD", "", "")); v != nil {
			op.set(property, v)
		}
	}
	op.text("operationId", m.OperationName)
	parameters := []object{}
	for _, place := range places {
		prefix := "method.request." + place.short + "."
		for _, name := range slices.Backward(slices.Sorted(maps.Keys(m.RequestParameters))) {
			short, ok := strings.CutPrefix(name, prefix)
			if !ok {
				continue
			}
			p := object{{"name", short}, {"in", place.in}}
			if v := x.said("description", at(place.kind, "", short)); v != nil {
				p.set("description", v)
			}
			if m.RequestParameters[name] || place.in == "path" {
				p.set("required", true)
			}
			if x.Swagger {
				p.set("type", "string")
			} else {
				p.set("schema", object{{"type", "string"}})
			}
			parameters = append(parameters, p)
		}
	}
	x.bodies(&op, parameters, m, at)
	x.secured(&op, m)
	if v := x.d.RequestValidator(m.RequestValidatorID); v != nil && x.All {
		op.set(aws+"request-validator", v.Name)
	}
	if m.Integration != nil && (x.All || x.Integrations) {
		op.set(integrationField, exportIntegration(r, m.Integration))
	}
	return op
}

// bodies writes what goes in and what comes out.
func (x *exporter) bodies(op *object, parameters []object, m *model.Method, at func(kind, status, name string) model.DocumentationLocation) {
	kinds := slices.Sorted(maps.Keys(m.RequestModels))
	if x.Swagger {
		if len(kinds) > 0 {
			op.set("consumes", kinds)
			name := m.RequestModels[kinds[0]]
			parameters = append(parameters, object{{"in", "body"}, {"name", name}, {"required", true}, {"schema", x.modelRef(name)}})
		}
		var produces []string
		for _, a := range m.Responses {
			produces = slices.AppendSeq(produces, maps.Keys(a.Models))
		}
		slices.Sort(produces)
		if produces = slices.Compact(produces); len(produces) > 0 {
			op.set("produces", produces)
		}
	}
	if len(parameters) > 0 {
		op.set("parameters", parameters)
	}
	if !x.Swagger && len(kinds) > 0 {
		body := object{}
		if v := x.said("description", at("REQUEST_BODY", "", "")); v != nil {
			body.set("description", v)
		}
		body.set("content", x.content(m.RequestModels))
		body.set("required", true)
		op.set("requestBody", body)
	}
	responses := object{}
	for _, status := range slices.Sorted(maps.Keys(m.Responses)) {
		a := m.Responses[status]
		out := object{{"description", status + " response"}}
		if v := x.said("description", at("RESPONSE", status, "")); v != nil {
			out[0].value = v
		}
		headers := object{}
		for _, name := range slices.Sorted(maps.Keys(a.Parameters)) {
			short := strings.TrimPrefix(name, "method.response.header.")
			h := object{}
			if v := x.said("description", at("RESPONSE_HEADER", status, short)); v != nil {
				h.set("description", v)
			}
			if x.Swagger {
				h.set("type", "string")
			} else {
				h.set("schema", object{{"type", "string"}})
			}
			headers.set(short, h)
		}
		if len(headers) > 0 {
			out.set("headers", headers)
		}
		if !x.Swagger {
			out.set("content", x.content(a.Models))
		} else if kinds := slices.Sorted(maps.Keys(a.Models)); len(kinds) > 0 {
			out.set("schema", x.modelRef(a.Models[kinds[0]]))
		}
		responses.set(status, out)
	}
	if len(responses) == 0 {
		responses.set("default", object{{"description", "Default response"}})
	}
	op.set("responses", responses)
}

func (x *exporter) content(models map[string]string) object {
	out := object{}
	for _, kind := range slices.Sorted(maps.Keys(models)) {
		out.set(kind, object{{"schema", x.modelRef(models[kind])}})
	}
	return out
}

func (x *exporter) modelRef(name string) object { return object{{"$ref", x.schemaBase() + name}} }

func (x *exporter) schemaBase() string {
	if x.Swagger {
		return "#/definitions/"
	}
	return "#/components/schemas/"
}

var anyModel = regexp.MustCompile(`^https?://[^/]+/restapis/[^/]+/models/([A-Za-z0-9]+)(?:#(/.*)?)?$`)

func (x *exporter) schemas() object {
	out := object{}
	for _, m := range x.d.Models {
		n, _, err := decodeJSON([]byte(m.Schema))
		if err != nil {
			continue // a model of another kind than JSON Schema has no place in the document
		}
		out.set(m.Name, json.RawMessage(writeJSON(nil, n, func(ref string) string {
			if to := anyModel.FindStringSubmatch(ref); to != nil {
				return x.schemaBase() + to[1] + to[2]
			}
			return ref
		})))
	}
	return out
}

// nameSchemes gives every authorizer its own name, and keys and signatures one that
// no authorizer has.
func (x *exporter) nameSchemes() {
	taken := map[string]bool{}
	for _, a := range x.d.Authorizers {
		x.schemes[a.ID] = a.Name
		taken[a.Name] = true
	}
	x.schemes[keyScheme] = unusedName("api_key", taken)
	x.schemes[iamScheme] = unusedName("sigv4", taken)
}

func (x *exporter) secured(op *object, m *model.Method) {
	var all []object
	use := func(id string, scopes []string) {
		if !slices.Contains(x.used, id) {
			x.used = append(x.used, id)
		}
		all = append(all, object{{x.schemes[id], append([]string{}, scopes...)}})
	}
	switch {
	case m.AuthorizationType == "" || m.AuthorizationType == model.AuthNone:
	case m.AuthorizationType == model.AuthIAM:
		use(iamScheme, nil)
	case x.d.Authorizer(m.AuthorizerID) != nil:
		use(m.AuthorizerID, m.AuthorizationScopes)
	default: // what is not there is not called open
		op.set(aws+"auth", object{{"type", m.AuthorizationType}})
	}
	if m.APIKeyRequired {
		use(keyScheme, nil)
	}
	if len(all) > 0 {
		op.set("security", all)
	}
}

func (x *exporter) securitySchemes() object {
	out := object{}
	for i := range x.d.Authorizers {
		if a := &x.d.Authorizers[i]; slices.Contains(x.used, a.ID) || x.All || x.Authorizers {
			out.set(a.Name, x.authorizer(a))
		}
	}
	for _, id := range []string{keyScheme, iamScheme} {
		if !slices.Contains(x.used, id) {
			continue
		}
		s := object{{"type", "apiKey"}, {"name", "x-api-key"}, {"in", "header"}}
		if id == iamScheme {
			s[1].value = "Authorization"
			s.set(aws+"authtype", "awsSigv4")
		}
		out.set(x.schemes[id], s)
	}
	return out
}

func (x *exporter) authorizer(a *model.Authorizer) object {
	s := object{{"type", "apiKey"}}
	name, ok := strings.CutPrefix(a.IdentitySource, "method.request.header.")
	switch {
	case ok && !strings.Contains(name, ","):
		s.set("name", name)
	case a.IdentitySource != "":
		s.set("name", "Unused")
	}
	s.set("in", "header")
	if !x.All && !x.Authorizers {
		return s
	}
	s.text(aws+"authtype", a.AuthType)
	in := object{}
	in.text("authorizerUri", a.AuthorizerURI)
	in.text("authorizerCredentials", a.AuthorizerCredentials)
	if a.ResultTTLSeconds != nil {
		in.set("authorizerResultTtlInSeconds", *a.ResultTTLSeconds)
	}
	in.text("identitySource", a.IdentitySource)
	in.text("identityValidationExpression", a.IdentityValidationExpression)
	if len(a.ProviderARNs) > 0 {
		in.set("providerARNs", a.ProviderARNs)
	}
	if a.JWT != nil {
		in.set("jwtConfiguration", a.JWT)
	}
	in.set("type", strings.ToLower(a.Type))
	s.set(aws+"authorizer", in)
	return s
}

func exportIntegration(r *model.Resource, g *model.Integration) object {
	out := object{{"type", strings.ToLower(g.Type)}}
	if g.ConnectionType != "" && g.ConnectionType != "INTERNET" {
		out.set("connectionType", g.ConnectionType)
	}
	out.text("connectionId", g.ConnectionID)
	out.text("httpMethod", g.HTTPMethod)
	out.text("uri", g.URI)
	out.text("credentials", g.Credentials)
	if len(g.Responses) > 0 {
		responses, seen := object{}, map[string]bool{}
		for _, key := range slices.Sorted(maps.Keys(g.Responses)) {
			a := g.Responses[key]
			name := cmp.Or(a.Pattern(), "default")
			if seen[name] {
				continue // a call only ever gets the first
			}
			seen[name] = true
			o := object{}
			o.text("statusCode", a.StatusCode)
			o.texts("responseParameters", a.ResponseParameters)
			o.texts("responseTemplates", a.ResponseTemplates)
			o.text("contentHandling", a.ContentHandling)
			responses.set(name, o)
		}
		out.set("responses", responses)
	}
	out.texts("requestParameters", g.RequestParameters)
	out.texts("requestTemplates", g.RequestTemplates)
	out.set("passthroughBehavior", strings.ToLower(cmp.Or(g.PassthroughBehavior, "WHEN_NO_MATCH")))
	out.text("contentHandling", g.ContentHandling)
	if g.Timeout() != model.DefaultTimeoutMillis {
		out.set("timeoutInMillis", g.Timeout())
	}
	if g.CacheNamespace != r.ID {
		out.text("cacheNamespace", g.CacheNamespace)
	}
	if len(g.CacheKeyParameters) > 0 {
		out.set("cacheKeyParameters", g.CacheKeyParameters)
	}
	if g.InsecureSkipVerify {
		out.set("tlsConfig", object{{"insecureSkipVerification", true}})
	}
	out.text("responseTransferMode", g.ResponseTransferMode)
	out.text("integrationTarget", g.IntegrationTarget)
	if g.Upstream != nil {
		out.set("x-tollgate-upstream", g.Upstream)
	}
	return out
}

// asYAML keeps the order and quotes what is a string but looks like something else.
func asYAML(n *node) *yaml.Node {
	out := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: n.value}
	switch n.kind {
	case mapping:
		out = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for _, e := range n.entries {
			out.Content = append(out.Content, asYAML(e.key), asYAML(e.val))
		}
	case sequence:
		out = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, item := range n.items {
			out.Content = append(out.Content, asYAML(item))
		}
	case null:
		out.Tag, out.Value = "!!null", "null"
	default:
		if n.bare {
			out.Tag = "" // read from its text
		}
	}
	return out
}
