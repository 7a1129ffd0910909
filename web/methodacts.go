package web

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/a-h/templ"

	"tollgate/model"
)

func (f *requestPart) form(p *methodPage) templ.Component { return requestFields(f, p.Problems) }
func (f *mappingPart) form(p *methodPage) templ.Component { return mappingFields(f, p.Problems) }
func (f *integrationPart) form(p *methodPage) templ.Component {
	return integrationFields(f, p.Problems)
}
func (f *answerPart) form(p *methodPage) templ.Component   { return answerFields(f, p.Problems) }
func (f *responsePart) form(p *methodPage) templ.Component { return responseFields(f, p.Problems) }

// methodAct is a call about the method, or below it.
func methodAct(p *methodPage, op, verb, below string, in map[string]any) act {
	return act{op: op, verb: verb, path: "/restapis/" + url.PathEscape(p.API.ID) + "/resources/" + url.PathEscape(p.Resource) + "/methods/" + url.PathEscape(p.Verb) + below,
		ids: map[string]any{"restApiId": p.API.ID, "resourceId": p.Resource, "httpMethod": p.Verb}, in: in}
}

// patchAct is the body of a change in steps: op, path and value by turns.
func patchAct(steps ...string) map[string]any {
	var out []map[string]string
	for i := 0; i+2 < len(steps); i += 3 {
		out = append(out, map[string]string{"op": steps[i], "path": steps[i+1], "value": steps[i+2]})
	}
	return map[string]any{"patchOperations": out}
}

// segment is a name in the path of a step.
func segment(s string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(s) }

// block is a resource of Terraform, its arguments in order of their names: texts,
// numbers, yes or no, lists of texts, maps of texts, and blocks of their own. A reference
// is one that hclRef made.
func block(kind, name string, arguments map[string]any) string {
	return "resource " + hcl(kind) + " " + hcl(name) + " {\n" + blockBody("  ", arguments) + "}"
}

type hclRef string

func blockBody(indent string, arguments map[string]any) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(arguments)) {
		switch v := arguments[k].(type) {
		case string:
			if v != "" {
				fmt.Fprintf(&b, "%s%s = %s\n", indent, k, hcl(v))
			}
		case hclRef:
			fmt.Fprintf(&b, "%s%s = %s\n", indent, k, string(v))
		case map[string]string:
			if len(v) > 0 {
				fmt.Fprintf(&b, "%s%s = {\n", indent, k)
				for _, n := range slices.Sorted(maps.Keys(v)) {
					fmt.Fprintf(&b, "%s  %s = %s\n", indent, hcl(n), hcl(v[n]))
				}
				fmt.Fprintf(&b, "%s}\n", indent)
			}
		case map[string]bool:
			if len(v) > 0 {
				fmt.Fprintf(&b, "%s%s = {\n", indent, k)
				for _, n := range slices.Sorted(maps.Keys(v)) {
					fmt.Fprintf(&b, "%s  %s = %t\n", indent, hcl(n), v[n])
				}
				fmt.Fprintf(&b, "%s}\n", indent)
			}
		case []string:
			if len(v) > 0 {
				fmt.Fprintf(&b, "%s%s = %s\n", indent, k, hcl2(v))
			}
		case map[string]any:
			fmt.Fprintf(&b, "%s%s {\n%s%s}\n", indent, k, blockBody(indent+"  ", v), indent)
		default:
			fmt.Fprintf(&b, "%s%s = %v\n", indent, k, v)
		}
	}
	return b.String()
}

func hcl2(list []string) string {
	var out []string
	for _, s := range list {
		out = append(out, hcl(s))
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// about are the arguments that say which method a block is about.
func about(p *methodPage, more map[string]any) map[string]any {
	out := map[string]any{"rest_api_id": p.API.ID, "resource_id": p.Resource, "http_method": p.Verb}
	maps.Copy(out, more)
	return out
}

func (f *requestPart) acts(p *methodPage, d *model.Definition) []act {
	m := p.Method
	steps := []string{"replace", "/apiKeyRequired", fmt.Sprint(m.APIKeyRequired), "replace", "/authorizationType", orName(m.AuthorizationType, model.AuthNone)}
	if m.AuthorizerID != "" {
		steps = append(steps, "replace", "/authorizerId", m.AuthorizerID)
	}
	steps = append(steps, "replace", "/requestValidatorId", m.RequestValidatorID, "replace", "/operationName", m.OperationName)
	for _, s := range m.AuthorizationScopes {
		steps = append(steps, "add", "/authorizationScopes", s)
	}
	for _, k := range sortedKeys(m.RequestParameters) {
		steps = append(steps, "add", "/requestParameters/"+segment(k), fmt.Sprint(m.RequestParameters[k]))
	}
	for _, k := range sortedKeys(m.RequestModels) {
		steps = append(steps, "add", "/requestModels/"+segment(k), m.RequestModels[k])
	}
	a := methodAct(p, "update-method", "PATCH", "", patchAct(steps...))
	a.terraform = block("aws_api_gateway_method", "method", about(p, map[string]any{"authorization": orName(m.AuthorizationType, model.AuthNone), "authorizer_id": m.AuthorizerID, "authorization_scopes": m.AuthorizationScopes,
		"api_key_required": m.APIKeyRequired, "request_validator_id": m.RequestValidatorID, "operation_name": m.OperationName, "request_parameters": m.RequestParameters, "request_models": m.RequestModels}))
	return []act{a}
}

// putIntegration is a method's integration as it is, to be put, and what of it the
// service's own clients do not know, to be set after that.
func putIntegration(p *methodPage, g *model.Integration) []act {
	in := map[string]any{"type": g.Type}
	tf := map[string]any{"type": g.Type}
	set := func(wire, argument, value string) {
		if value != "" {
			in[wire], tf[argument] = value, value
		}
	}
	set("httpMethod", "integration_http_method", g.HTTPMethod)
	set("uri", "uri", g.URI)
	set("connectionType", "connection_type", g.ConnectionType)
	set("connectionId", "connection_id", g.ConnectionID)
	set("credentials", "credentials", g.Credentials)
	set("passthroughBehavior", "passthrough_behavior", g.PassthroughBehavior)
	set("contentHandling", "content_handling", g.ContentHandling)
	set("cacheNamespace", "cache_namespace", g.CacheNamespace)
	set("responseTransferMode", "response_transfer_mode", g.ResponseTransferMode)
	set("integrationTarget", "integration_target", g.IntegrationTarget)
	for _, x := range []struct {
		wire, argument string
		value          map[string]string
	}{{"requestParameters", "request_parameters", g.RequestParameters}, {"requestTemplates", "request_templates", g.RequestTemplates}} {
		if len(x.value) > 0 {
			in[x.wire], tf[x.argument] = x.value, x.value
		}
	}
	if len(g.CacheKeyParameters) > 0 {
		in["cacheKeyParameters"], tf["cache_key_parameters"] = g.CacheKeyParameters, g.CacheKeyParameters
	}
	if g.TimeoutMillis != 0 {
		in["timeoutInMillis"], tf["timeout_milliseconds"] = g.TimeoutMillis, g.TimeoutMillis
	}
	if g.InsecureSkipVerify {
		in["tlsConfig"], tf["tls_config"] = map[string]any{"insecureSkipVerification": true}, map[string]any{"insecure_skip_verification": true}
	}
	a := methodAct(p, "put-integration", "PUT", "/integration", in)
	if g.HTTPMethod != "" {
		a.renamed = map[string]string{"httpMethod": "integrationHttpMethod"}
	}
	a.terraform = block("aws_api_gateway_integration", "integration", about(p, tf))
	if g.Upstream == nil {
		return []act{a}
	}
	return []act{a, methodAct(p, "update-integration", "PATCH", "/integration", patchAct("replace", "/tollgate/upstream", g.Upstream.String()))}
}

func (f *mappingPart) acts(p *methodPage, _ *model.Definition) []act {
	if p.Method.Integration == nil {
		return nil
	}
	return putIntegration(p, p.Method.Integration)
}

func (f *integrationPart) acts(p *methodPage, _ *model.Definition) []act {
	g := p.Method.Integration
	if g == nil {
		g = &model.Integration{Type: model.IntegrationHTTPProxy, HTTPMethod: "ANY", URI: "https://backend.example.com"}
	}
	return putIntegration(p, g)
}

func (f *answerPart) acts(p *methodPage, _ *model.Definition) []act {
	if p.Method.Integration == nil {
		return nil
	}
	x, ok := p.Method.Integration.Responses[f.Key]
	status := orName(x.StatusCode, f.Key)
	if !ok {
		status = "200"
	}
	in, tf := map[string]any{}, map[string]any{"status_code": status, "response_parameters": x.ResponseParameters, "response_templates": x.ResponseTemplates, "content_handling": x.ContentHandling, "selection_pattern": x.Pattern()}
	if x.SelectionPattern != nil {
		in["selectionPattern"] = *x.SelectionPattern
	}
	if len(x.ResponseParameters) > 0 {
		in["responseParameters"] = x.ResponseParameters
	}
	if len(x.ResponseTemplates) > 0 {
		in["responseTemplates"] = x.ResponseTemplates
	}
	if x.ContentHandling != "" {
		in["contentHandling"] = x.ContentHandling
	}
	a := methodAct(p, "put-integration-response", "PUT", "/integration/responses/"+url.PathEscape(status), in)
	a.ids["statusCode"] = status
	a.terraform = block("aws_api_gateway_integration_response", "answer", about(p, tf))
	if _, declared := p.Method.Responses[status]; declared {
		return []act{a}
	}
	return []act{putResponse(p, status, model.MethodResponse{}), a}
}

func putResponse(p *methodPage, status string, r model.MethodResponse) act {
	in := map[string]any{}
	if len(r.Parameters) > 0 {
		in["responseParameters"] = r.Parameters
	}
	if len(r.Models) > 0 {
		in["responseModels"] = r.Models
	}
	a := methodAct(p, "put-method-response", "PUT", "/responses/"+url.PathEscape(status), in)
	a.ids["statusCode"] = status
	a.terraform = block("aws_api_gateway_method_response", "response", about(p, map[string]any{"status_code": status, "response_parameters": r.Parameters, "response_models": r.Models}))
	return a
}

func (f *responsePart) acts(p *methodPage, _ *model.Definition) []act {
	r, ok := p.Method.Responses[f.Key]
	if !ok {
		return []act{putResponse(p, "404", model.MethodResponse{})}
	}
	var steps []string
	for _, k := range sortedKeys(r.Parameters) {
		steps = append(steps, "add", "/responseParameters/"+segment(k), fmt.Sprint(r.Parameters[k]))
	}
	for _, k := range sortedKeys(r.Models) {
		steps = append(steps, "add", "/responseModels/"+segment(k), r.Models[k])
	}
	if len(steps) == 0 {
		return nil
	}
	a := methodAct(p, "update-method-response", "PATCH", "/responses/"+url.PathEscape(f.Key), patchAct(steps...))
	a.ids["statusCode"] = f.Key
	a.terraform = putResponse(p, f.Key, r).terraform
	return []act{a}
}

func removePartAct(p *methodPage) act {
	op, below, status := "delete-method-response", "/responses/", p.Key
	if p.Edit == "answer" {
		op, below = "delete-integration-response", "/integration/responses/"
		status = orName(p.Method.Integration.Responses[p.Key].StatusCode, p.Key)
	}
	a := methodAct(p, op, "DELETE", below+url.PathEscape(status), nil)
	a.ids["statusCode"] = status
	return a
}

// testAct tries the method as the panel would.
func testAct(p *methodPage) act {
	in := map[string]any{"pathWithQueryString": p.Trial.target(p.Path)}
	if p.Trial.Body != "" {
		in["body"] = p.Trial.Body
	}
	return methodAct(p, "test-invoke-method", "POST", "", in)
}
