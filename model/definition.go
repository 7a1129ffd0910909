package model

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
)

// Verbs a method may be declared for; ANY matches whatever no other method of
// the resource declares.
var Verbs = []string{"ANY", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}

// Authorization types of a method.
const (
	AuthNone    = "NONE"
	AuthIAM     = "AWS_IAM"
	AuthCustom  = "CUSTOM"
	AuthCognito = "COGNITO_USER_POOLS"
	AuthJWT     = "JWT"
)

// KeySourceAuthorizer is the source of API keys that Lambda authorizers give.
const KeySourceAuthorizer = "AUTHORIZER"

// Integration types.
const (
	IntegrationHTTP      = "HTTP"
	IntegrationHTTPProxy = "HTTP_PROXY"
	IntegrationAWS       = "AWS"
	IntegrationAWSProxy  = "AWS_PROXY"
	IntegrationMock      = "MOCK"
)

// ConnectionVPCLink is the connection type of integrations that are reached through a
// VPC link.
const ConnectionVPCLink = "VPC_LINK"

// DefaultTimeoutMillis is the integration timeout when none is declared, as on
// Amazon API Gateway.
const DefaultTimeoutMillis = 29000

// Limits of one definition. They bound what one tenant can make a node hold.
const (
	MaxResources       = 10_000
	MaxDefinitionBytes = 32 << 20
	MinTimeoutMillis   = 50
	MaxTimeoutMillis   = 15 * 60 * 1000
)

// Definition is one API's whole description: one document, edited and validated
// as a whole, copied into a Deployment when it is deployed.
type Definition struct {
	Name                   string                     `json:"name"`
	Description            string                     `json:"description,omitempty"`
	Version                string                     `json:"version,omitempty"`
	APIKeySource           string                     `json:"apiKeySource,omitempty"` // HEADER (default) or AUTHORIZER
	BinaryMediaTypes       []string                   `json:"binaryMediaTypes,omitempty"`
	MinimumCompressionSize *int                       `json:"minimumCompressionSize,omitempty"` // bytes; nil: never compress
	Policy                 string                     `json:"policy,omitempty"`                 // resource policy, JSON as its author wrote it
	DisableDefaultEndpoint bool                       `json:"disableExecuteApiEndpoint,omitempty"`
	Endpoint               *Endpoint                  `json:"endpointConfiguration,omitempty"` // nil: EDGE, ipv4
	SecurityPolicy         string                     `json:"securityPolicy,omitempty"`
	EndpointAccessMode     string                     `json:"endpointAccessMode,omitempty"`
	Resources              []Resource                 `json:"resources"` // sorted by Path; "/" is always there
	Authorizers            []Authorizer               `json:"authorizers,omitempty"`
	Models                 []Schema                   `json:"models,omitempty"`
	RequestValidators      []RequestValidator         `json:"requestValidators,omitempty"`
	GatewayResponses       map[string]GatewayResponse `json:"gatewayResponses,omitempty"` // by type; only those that are not the default
	Documentation          []DocumentationPart        `json:"documentationParts,omitempty"`
	Unserved               []Unserved                 `json:"unserved,omitempty"`
}

// Unserved is something the author asked of the whole API that a definition
// cannot hold yet and that callers rely on, such as a resource policy. It keeps
// the API from being deployed as if it had never been asked for.
type Unserved struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// Resource is one path of an API. Path starts with "/", has no trailing slash
// but for the root, and its segments are literals, "{name}", one variable with
// literal text around it ("{name}.json", "v{name}"), or a last "{name+}".
type Resource struct {
	ID      string            `json:"id"`
	Path    string            `json:"path"`
	Methods map[string]Method `json:"resourceMethods,omitempty"` // by verb
}

// Method is what a client may call: a verb on a resource.
type Method struct {
	AuthorizationType   string                    `json:"authorizationType"`
	AuthorizerID        string                    `json:"authorizerId,omitempty"` // when the type needs one
	AuthorizationScopes []string                  `json:"authorizationScopes,omitempty"`
	APIKeyRequired      bool                      `json:"apiKeyRequired,omitempty"`
	OperationName       string                    `json:"operationName,omitempty"`
	RequestValidatorID  string                    `json:"requestValidatorId,omitempty"`
	RequestParameters   map[string]bool           `json:"requestParameters,omitempty"` // "method.request.path.id": required
	RequestModels       map[string]string         `json:"requestModels,omitempty"`     // name of a model, by content type
	Responses           map[string]MethodResponse `json:"methodResponses,omitempty"`   // by status code
	Integration         *Integration              `json:"methodIntegration,omitempty"`
}

// MethodResponse declares what a method may answer with one status code.
type MethodResponse struct {
	Parameters map[string]bool   `json:"responseParameters,omitempty"` // "method.response.header.Name": required
	Models     map[string]string `json:"responseModels,omitempty"`     // name of a model, by content type
}

// Integration says what answers a method. All fields of the AWS resource are
// held; Undeployable says which of them the gateway does not act on yet.
type Integration struct {
	Type                 string                         `json:"type"`
	HTTPMethod           string                         `json:"httpMethod,omitempty"` // ANY: the client's verb
	URI                  string                         `json:"uri,omitempty"`
	ConnectionType       string                         `json:"connectionType,omitempty"`
	ConnectionID         string                         `json:"connectionId,omitempty"`
	Credentials          string                         `json:"credentials,omitempty"`
	RequestParameters    map[string]string              `json:"requestParameters,omitempty"`
	RequestTemplates     map[string]string              `json:"requestTemplates,omitempty"`
	PassthroughBehavior  string                         `json:"passthroughBehavior,omitempty"`
	ContentHandling      string                         `json:"contentHandling,omitempty"`
	TimeoutMillis        int                            `json:"timeoutInMillis,omitempty"` // 0: DefaultTimeoutMillis
	CacheNamespace       string                         `json:"cacheNamespace,omitempty"`
	CacheKeyParameters   []string                       `json:"cacheKeyParameters,omitempty"`
	InsecureSkipVerify   bool                           `json:"insecureSkipVerification,omitempty"`
	ResponseTransferMode string                         `json:"responseTransferMode,omitempty"`
	IntegrationTarget    string                         `json:"integrationTarget,omitempty"`    // ARN of a load balancer
	Responses            map[string]IntegrationResponse `json:"integrationResponses,omitempty"` // by status or "default"
	Upstream             *UpstreamPolicy                `json:"x-tollgate-upstream,omitempty"`
}

// IntegrationResponse maps one kind of back-end answer to a method answer.
type IntegrationResponse struct {
	StatusCode         string            `json:"statusCode"`
	SelectionPattern   *string           `json:"selectionPattern,omitempty"` // none and an empty one are the default
	ResponseParameters map[string]string `json:"responseParameters,omitempty"`
	ResponseTemplates  map[string]string `json:"responseTemplates,omitzero"`
	ContentHandling    string            `json:"contentHandling,omitempty"`
}

// Pattern selects the response; empty: it is the default.
func (r *IntegrationResponse) Pattern() string {
	if r.SelectionPattern == nil {
		return ""
	}
	return *r.SelectionPattern
}

// String is for Compare.
func (r IntegrationResponse) String() string {
	b, _ := json.Marshal(r)
	return string(b)
}

// Timeout in milliseconds, the default where none is declared.
func (i *Integration) Timeout() int {
	if i.TimeoutMillis == 0 {
		return DefaultTimeoutMillis
	}
	return i.TimeoutMillis
}

// Hash is the hex SHA-256 of the definition's canonical JSON: equal definitions
// have equal hashes, whatever order they were written in.
func (d *Definition) Hash() string {
	c := *d
	c.Sort()
	b, err := json.Marshal(&c)
	if err != nil { // a Definition holds only strings, numbers, maps and slices
		panic(err)
	}
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// Sort puts resources into their canonical order, by path.
func (d *Definition) Sort() {
	rs := append([]Resource(nil), d.Resources...)
	sort.Slice(rs, func(i, j int) bool { return rs[i].Path < rs[j].Path })
	d.Resources = rs
}

// MethodCount is the number of methods declared.
func (d *Definition) MethodCount() int {
	n := 0
	for i := range d.Resources {
		n += len(d.Resources[i].Methods)
	}
	return n
}

// Validate reports the first thing that makes the definition impossible: a bad
// path, two variables at one place, an unknown verb, a timeout out of bounds.
// It does not say whether the gateway can serve it: see Undeployable.
func (d *Definition) Validate() error {
	if strings.TrimSpace(d.Name) == "" {
		return Errorf(Invalid, "an API needs a name")
	}
	if len(d.Name) > 1024 {
		return Errorf(Invalid, "the API's name has %d characters; at most 1024 are allowed", len(d.Name))
	}
	switch d.APIKeySource {
	case "", "HEADER", KeySourceAuthorizer:
	default:
		return Errorf(Invalid, "API key source %q is not HEADER or AUTHORIZER", d.APIKeySource)
	}
	if len(d.Resources) > MaxResources {
		return Errorf(Invalid, "the API has %d resources; at most %d are allowed", len(d.Resources), MaxResources)
	}
	root := false
	seen := map[string]bool{}
	variable := map[string]string{} // parent path and shape -> variable segment
	for i := range d.Resources {
		r := &d.Resources[i]
		if r.Path == "/" {
			root = true
		}
		if seen[r.Path] {
			return Errorf(Invalid, "path %q is declared twice", r.Path)
		}
		seen[r.Path] = true
		segs, err := Segments(r.Path)
		if err != nil {
			return err
		}
		parent := ""
		for _, s := range segs {
			if s.Variable {
				// Whole-part variables share one shape; those with text around
				// them are told apart by that text.
				at := parent + "/" + s.Prefix + "{}" + s.Suffix
				if v, ok := variable[at]; ok && v != s.Text {
					return Errorf(Invalid, "path %q: a sibling (%s) of this resource already has a variable path part -- only one is allowed", r.Path, v)
				}
				variable[at] = s.Text
			}
			parent += "/" + s.Text
		}
		for verb, m := range r.Methods {
			if err := m.validate(r.Path, verb); err != nil {
				return err
			}
		}
	}
	if !root {
		return Errorf(Invalid, "the root resource %q is missing", "/")
	}
	return d.validateParts()
}

func (m *Method) validate(path, verb string) error {
	at := verb + " " + path
	i := sort.SearchStrings(Verbs, verb)
	if i == len(Verbs) || Verbs[i] != verb {
		return Errorf(Invalid, "%s: %q is not one of %s", at, verb, strings.Join(Verbs, ", "))
	}
	g := m.Integration
	if g == nil {
		return nil
	}
	switch g.Type {
	case IntegrationHTTP, IntegrationHTTPProxy, IntegrationAWS, IntegrationAWSProxy, IntegrationMock:
	default:
		return Errorf(Invalid, "%s: integration type %q is not one of HTTP, HTTP_PROXY, AWS, AWS_PROXY, MOCK", at, g.Type)
	}
	if g.TimeoutMillis != 0 && (g.TimeoutMillis < MinTimeoutMillis || g.TimeoutMillis > MaxTimeoutMillis) {
		return Errorf(Invalid, "%s: timeoutInMillis %d is not between %d and %d", at, g.TimeoutMillis, MinTimeoutMillis, MaxTimeoutMillis)
	}
	if g.Upstream != nil {
		if err := g.Upstream.Validate(); err != nil {
			return Errorf(Invalid, "%s: %s", at, MessageOf(err))
		}
	}
	return nil
}

// Severity of a Problem.
const (
	SeverityError   = "error"   // the thing is missing from the result
	SeverityWarning = "warning" // kept, or represented only in part
	SeverityInfo    = "info"    // worth knowing
)

// Problem is one message about a place in a document or a definition.
type Problem struct {
	Severity string `json:"severity"`
	Line     int    `json:"line,omitempty"`   // from 1; 0 when there is no document
	Column   int    `json:"column,omitempty"` // from 1
	Pointer  string `json:"pointer,omitempty"`
	Message  string `json:"message"`
}

func (p Problem) String() string {
	at := p.Pointer
	if p.Line > 0 {
		at = fmt.Sprintf("%d:%d %s", p.Line, p.Column, p.Pointer)
	}
	return fmt.Sprintf("%s: %s: %s", p.Severity, at, p.Message)
}

// Private says that the API is called from the operator's own networks only.
func (d *Definition) Private() bool {
	return d.Endpoint != nil && slices.Contains(d.Endpoint.Types, EndpointPrivate)
}

// Undeployable lists every part of the definition that the gateway does not act
// on yet. A deployment with any of them is refused: a method is never served
// without a step its author asked for.
func (d *Definition) Undeployable() []Problem {
	var out []Problem
	for i := range d.Resources {
		r := &d.Resources[i]
		verbs := make([]string, 0, len(r.Methods))
		for v := range r.Methods {
			verbs = append(verbs, v)
		}
		sort.Strings(verbs)
		for _, v := range verbs {
			m := r.Methods[v]
			for _, why := range m.Undeployable(r.Path) {
				out = append(out, Problem{Severity: SeverityError, Pointer: v + " " + r.Path, Message: why})
			}
		}
	}
	no := func(what, why string) {
		out = append(out, Problem{Severity: SeverityError, Pointer: what, Message: why})
	}
	if d.Private() && d.Policy == "" {
		no("policy", "Private REST API doesn't have a resource policy attached to it: it says by which VPC endpoints the API may be called")
	}
	p, ok := SecurityPolicies[d.SecurityPolicy]
	switch {
	case d.SecurityPolicy != "" && !ok:
		no("securityPolicy", "security policy "+d.SecurityPolicy+" is not one of "+strings.Join(sortedNames(SecurityPolicies), ", "))
	case p.FIPS:
		no("securityPolicy", "security policy "+d.SecurityPolicy+" is not served: connections cannot be held to what FIPS 140-3 approves")
	}
	switch m := d.EndpointAccessMode; {
	case m != "" && m != AccessBasic && m != AccessStrict:
		no("endpointAccessMode", "endpoint access mode "+m+" is not BASIC or STRICT")
	case m == AccessStrict && !p.Mode:
		no("endpointAccessMode", "an endpoint access mode goes with a security policy whose name begins with SecurityPolicy_")
	}
	for _, u := range d.Unserved {
		out = append(out, Problem{Severity: SeverityError, Pointer: u.Name, Message: u.Reason})
	}
	return out
}

// Mapped says that the integration's answer is made for each call by templates and
// parameters: HTTP's, that of an AWS service, and that of a mock which is not always the same.
func (g *Integration) Mapped() bool {
	if g.Type != IntegrationMock {
		return g.Type == IntegrationHTTP || g.Type == IntegrationAWS
	}
	_, err := ParseMock(g)
	return err != nil && !errors.Is(err, ErrUnanswered)
}

// unmappable is what of a mapping is not acted upon.
func (g *Integration) unmappable(no func(format string, a ...any)) {
	if g.ResponseTransferMode == "STREAM" {
		no("an integration with a mapping cannot stream its answer")
	}
}

// Undeployable is what of the method on path the gateway does not act on.
func (m *Method) Undeployable(path string) []string {
	var out []string
	no := func(format string, a ...any) { out = append(out, fmt.Sprintf(format, a...)) }
	switch m.AuthorizationType {
	case "", AuthNone, AuthIAM, AuthCustom, AuthCognito, AuthJWT:
	default:
		no("authorization %s is not served yet", m.AuthorizationType)
	}
	g := m.Integration
	if g == nil {
		no("the method has no integration")
		return out
	}
	if g.Type == IntegrationMock {
		if g.Mapped() {
			g.unmappable(no)
		}
		return out
	}
	if g.Type == IntegrationAWSProxy { // the gateway's own check reads its URI
		if g.ConnectionType != "" && g.ConnectionType != "INTERNET" {
			no("connection type %s is not served yet", g.ConnectionType)
		}
		return out
	}
	if g.Mapped() {
		g.unmappable(no)
	}
	switch {
	case g.ConnectionType == ConnectionVPCLink && g.ConnectionID == "":
		no("connection type VPC_LINK needs the id of a VPC link in connectionId")
	case g.ConnectionType == ConnectionVPCLink && strings.Contains(stageVariable.ReplaceAllLiteralString(g.ConnectionID, ""), "${"):
		no("connectionId %q uses ${…} for something else than stage variables", g.ConnectionID)
	case g.ConnectionType != "" && g.ConnectionType != "INTERNET" && g.ConnectionType != ConnectionVPCLink:
		no("connection type %s is not served yet", g.ConnectionType)
	}
	if g.Credentials != "" && g.Type != IntegrationAWS {
		no("integration credentials are not served yet")
	}
	if g.ContentHandling != "" && !g.Mapped() {
		no("contentHandling is not served yet")
	}
	if g.Type == IntegrationAWS { // the gateway's own check reads its URI
		return out
	}
	if err := CheckUpstream(g, path); err != nil {
		no("%s", MessageOf(err))
	}
	return out
}
