package web

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
)

// act is a call of the control API that does what a form does, with the values that the
// form has as the page is shown. Secrets are never in it.
type act struct {
	op         string         // as the AWS CLI names it
	verb, path string         // on the wire
	ids        map[string]any // what stands in the path, as the CLI names it
	in         map[string]any // the body; nil: none
	file       string         // a file that is sent as the body instead
	query      string         // of the path, and its parameters
	params     map[string]any
	renamed    map[string]string // what the CLI calls members of the body otherwise
	terraform  string
}

// shown are forms of acts, one after the other, for those who have a command line
// instead of this page.
func shown(endpoint string, acts ...act) []ui.Shown {
	var cli, curl, tf []string
	for _, a := range acts {
		c, u := a.commands(endpoint)
		cli, curl = append(cli, c), append(curl, u)
		if a.terraform != "" {
			tf = append(tf, a.terraform)
		}
	}
	out := []ui.Shown{{Label: "AWS CLI", Text: strings.Join(cli, "\n\n")}, {Label: "curl", Text: strings.Join(curl, "\n\n")}}
	if len(tf) > 0 {
		out = append(out, ui.Shown{Label: "Terraform", Text: strings.Join(tf, "\n\n"), HCL: true})
	}
	return out
}

func (a act) commands(endpoint string) (cli, curl string) {
	all := map[string]any{}
	for _, m := range []map[string]any{a.ids, a.params, a.in} {
		for k, v := range m {
			all[k] = v
		}
	}
	for wire, name := range a.renamed {
		all[name] = a.in[wire]
		if id, ok := a.ids[wire]; ok {
			all[wire] = id
		} else {
			delete(all, wire)
		}
	}
	cli = "aws --endpoint-url " + quote(endpoint) + " apigateway " + a.op
	curl = `curl --aws-sigv4 aws:amz:us-east-1:apigateway --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \` + "\n  -X " + a.verb + " " + quote(endpoint+a.path+a.query)
	switch {
	case a.file != "":
		for _, k := range slices.Sorted(maps.Keys(all)) {
			cli += fmt.Sprintf(" --%s %s", k, quote(fmt.Sprint(all[k])))
		}
		cli += " \\\n  --body fileb://" + a.file
		curl += " \\\n  --data-binary @" + a.file
	case len(all) > 0:
		cli += " \\\n  --cli-input-json " + quote(jsonText(all))
	}
	if a.in != nil && a.file == "" {
		curl += " \\\n  -d " + quote(jsonText(a.in))
	}
	return cli, curl
}

// quote is a text as a shell takes it whole.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func jsonText(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // of texts and numbers
	return strings.TrimSpace(b.String())
}

// hcl is a text as Terraform takes it.
func hcl(s string) string {
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(jsonText(s))
}

// orName is the value, or what stands for it while the form is empty.
func orName(v, name string) string {
	if v == "" {
		return name
	}
	return v
}

func createAPIAct(name string) act {
	name = ui.Typed("name", name, "NAME")
	return act{op: "create-rest-api", verb: "POST", path: "/restapis", in: map[string]any{"name": name},
		terraform: "resource \"aws_api_gateway_rest_api\" \"api\" {\n  name = " + hcl(name) + "\n}"}
}

func importAct() act {
	return act{op: "import-rest-api", verb: "POST", path: "/restapis", query: "?mode=import", file: "openapi.yaml",
		terraform: "resource \"aws_api_gateway_rest_api\" \"api\" {\n  name = \"NAME\"\n  body = file(\"openapi.yaml\")\n}"}
}

func putDocumentAct(api, mode string) act {
	return act{op: "put-rest-api", verb: "PUT", path: "/restapis/" + url.PathEscape(api), query: "?mode=" + mode,
		ids: map[string]any{"rest-api-id": api}, params: map[string]any{"mode": mode}, file: "openapi.yaml"}
}

func updateAPIAct(api, name, description string) act {
	return act{op: "update-rest-api", verb: "PATCH", path: "/restapis/" + url.PathEscape(api), ids: map[string]any{"restApiId": api},
		in: map[string]any{"patchOperations": []map[string]string{{"op": "replace", "path": "/name", "value": ui.Typed("name", name, "NAME")}, {"op": "replace", "path": "/description", "value": ui.Typed("description", description, "")}}}}
}

func deleteAPIAct(api string) act {
	return act{op: "delete-rest-api", verb: "DELETE", path: "/restapis/" + url.PathEscape(api), ids: map[string]any{"restApiId": api}}
}

func deployAct(api, stage, note string) act {
	stage = ui.Typed("stage", stage, "STAGE")
	in := map[string]any{"stageName": stage, "description": ui.Typed("note", note, "")}
	tf := "resource \"aws_api_gateway_deployment\" \"now\" {\n  rest_api_id = " + hcl(api) + "\n}\n\nresource \"aws_api_gateway_stage\" \"stage\" {\n  rest_api_id   = " + hcl(api) +
		"\n  stage_name    = " + hcl(stage) + "\n  deployment_id = aws_api_gateway_deployment.now.id\n}"
	return act{op: "create-deployment", verb: "POST", path: "/restapis/" + url.PathEscape(api) + "/deployments", ids: map[string]any{"restApiId": api}, in: in, terraform: tf}
}

// throttleAct sets a stage's throttle; without a rate, as without one here, none.
func throttleAct(api, stage, rate, burst string) act {
	rate, burst = ui.Typed("rate", rate, "-1"), ui.Typed("burst", burst, "-1")
	return act{op: "update-stage", verb: "PATCH", path: "/restapis/" + url.PathEscape(api) + "/stages/" + url.PathEscape(stage), ids: map[string]any{"restApiId": api, "stageName": stage},
		in: map[string]any{"patchOperations": []map[string]string{{"op": "replace", "path": "/*/*/throttling/rateLimit", "value": rate}, {"op": "replace", "path": "/*/*/throttling/burstLimit", "value": burst}}},
		terraform: "resource \"aws_api_gateway_method_settings\" \"all\" {\n  rest_api_id = " + hcl(api) + "\n  stage_name  = " + hcl(stage) +
			"\n  method_path = \"*/*\"\n  settings {\n    throttling_rate_limit  = " + rate + "\n    throttling_burst_limit = " + burst + "\n  }\n}"}
}

func deleteStageAct(api, stage string) act {
	return act{op: "delete-stage", verb: "DELETE", path: "/restapis/" + url.PathEscape(api) + "/stages/" + url.PathEscape(stage), ids: map[string]any{"restApiId": api, "stageName": stage}}
}

func createKeyAct(name string, enabled bool) act {
	name = ui.Typed("name", name, "NAME")
	return act{op: "create-api-key", verb: "POST", path: "/apikeys", in: map[string]any{"name": name, "enabled": enabled},
		terraform: fmt.Sprintf("resource \"aws_api_gateway_api_key\" \"key\" {\n  name    = %s\n  enabled = %t\n}", hcl(name), enabled)}
}

func deleteKeyAct(id string) act {
	return act{op: "delete-api-key", verb: "DELETE", path: "/apikeys/" + url.PathEscape(id), ids: map[string]any{"apiKey": id}}
}

func createDomainAct(name string) act {
	name = ui.Typed("name", name, "api.your-company.com")
	return act{op: "create-domain-name", verb: "POST", path: "/domainnames", in: map[string]any{"domainName": name, "endpointConfiguration": map[string]any{"types": []string{"REGIONAL"}}},
		terraform: "resource \"aws_api_gateway_domain_name\" \"domain\" {\n  domain_name = " + hcl(name) + "\n  endpoint_configuration {\n    types = [\"REGIONAL\"]\n  }\n}"}
}

func mapAct(domain, path, stage string) act {
	api, stage, _ := strings.Cut(stage, "/")
	in := map[string]any{"restApiId": orName(api, "API"), "stage": orName(stage, "STAGE")}
	tf := "resource \"aws_api_gateway_base_path_mapping\" \"path\" {\n  domain_name = " + hcl(domain) + "\n  api_id      = " + hcl(orName(api, "API")) + "\n  stage_name  = " + hcl(orName(stage, "STAGE"))
	if path != "" {
		in["basePath"] = path
		tf += "\n  base_path   = " + hcl(path)
	}
	return act{op: "create-base-path-mapping", verb: "POST", path: "/domainnames/" + url.PathEscape(domain) + "/basepathmappings", ids: map[string]any{"domainName": domain}, in: in, terraform: tf + "\n}"}
}

func deleteDomainAct(d control.Domain) act {
	a := act{op: "delete-domain-name", verb: "DELETE", path: "/domainnames/" + url.PathEscape(d.Name), ids: map[string]any{"domainName": d.Name}}
	if d.Settings.Private() { // which may have namesakes
		a.query, a.ids["domainNameId"] = "?domainNameId="+d.ID, d.ID
	}
	return a
}

func versionAct(api string, f versionForm) act {
	version := ui.Typed("version", f.Version, "VERSION")
	in := map[string]any{"documentationVersion": version, "description": ui.Typed("description", f.Description, "")}
	tf := "resource \"aws_api_gateway_documentation_version\" \"words\" {\n  rest_api_id = " + hcl(api) + "\n  version     = " + hcl(version) + "\n}"
	if f.Stage != "" {
		in["stageName"] = f.Stage
	}
	return act{op: "create-documentation-version", verb: "POST", path: "/restapis/" + url.PathEscape(api) + "/documentation/versions", ids: map[string]any{"restApiId": api}, in: in, terraform: tf}
}

func deleteVersionAct(api, version string) act {
	return act{op: "delete-documentation-version", verb: "DELETE", path: "/restapis/" + url.PathEscape(api) + "/documentation/versions/" + url.PathEscape(version),
		ids: map[string]any{"restApiId": api, "documentationVersion": version}}
}

// partAct writes about a place: anew, or over what is there.
func partAct(api string, f *partForm) act {
	properties, err := f.properties()
	if err != nil {
		properties = jsonText(map[string]string{"description": "WORDS"})
	}
	at := f.Place.DocumentationLocation
	if p := f.Place.Part; p != nil && !f.Place.Inherited {
		return act{op: "update-documentation-part", verb: "PATCH", path: "/restapis/" + url.PathEscape(api) + "/documentation/parts/" + url.PathEscape(p.ID),
			ids: map[string]any{"restApiId": api, "documentationPartId": p.ID},
			in:  map[string]any{"patchOperations": []map[string]string{{"op": "replace", "path": "/properties", "value": properties}}}}
	}
	tf := "resource \"aws_api_gateway_documentation_part\" \"words\" {\n  rest_api_id = " + hcl(api) + "\n  properties  = " + hcl(properties) + "\n  location {\n    type = " + hcl(at.Type)
	for _, x := range [][2]string{{"path", at.Path}, {"method", at.Method}, {"status_code", at.StatusCode}, {"name", at.Name}} {
		if x[1] != "" {
			tf += "\n    " + x[0] + " = " + hcl(x[1])
		}
	}
	return act{op: "create-documentation-part", verb: "POST", path: "/restapis/" + url.PathEscape(api) + "/documentation/parts", ids: map[string]any{"restApiId": api},
		in: map[string]any{"location": at, "properties": properties}, terraform: tf + "\n  }\n}"}
}

func deletePartAct(api, id string) act {
	return act{op: "delete-documentation-part", verb: "DELETE", path: "/restapis/" + url.PathEscape(api) + "/documentation/parts/" + url.PathEscape(id),
		ids: map[string]any{"restApiId": api, "documentationPartId": id}}
}

// routeAct makes a resource below the root; deeper ones are made below their parents.
func routeAct(d *control.APIDetail) act {
	root := "ROOT"
	if r := d.Definition.ByPath("/"); r != nil {
		root = r.ID
	}
	return act{op: "create-resource", verb: "POST", path: "/restapis/" + url.PathEscape(d.ID) + "/resources/" + url.PathEscape(root),
		ids: map[string]any{"restApiId": d.ID, "parentId": root}, in: map[string]any{"pathPart": "PART"},
		terraform: "resource \"aws_api_gateway_resource\" \"part\" {\n  rest_api_id = " + hcl(d.ID) + "\n  parent_id   = " + hcl(root) + "\n  path_part   = \"PART\"\n}"}
}

// methodActs make a method, or change it, with its integration and what that answers.
func methodActs(api, resource string, f *methodForm) []act {
	ids := func(more ...string) map[string]any {
		out := map[string]any{"restApiId": api, "resourceId": resource, "httpMethod": f.Verb}
		for i := 0; i < len(more); i += 2 {
			out[more[i]] = more[i+1]
		}
		return out
	}
	at := "/restapis/" + url.PathEscape(api) + "/resources/" + url.PathEscape(resource) + "/methods/" + url.PathEscape(f.Verb)
	tf := fmt.Sprintf("resource \"aws_api_gateway_method\" \"method\" {\n  rest_api_id      = %s\n  resource_id      = %s\n  http_method      = %s\n  authorization    = \"NONE\"\n  api_key_required = %t\n}", hcl(api), hcl(resource), hcl(f.Verb), f.Key)
	method := act{op: "put-method", verb: "PUT", path: at, ids: ids(), in: map[string]any{"authorizationType": "NONE", "apiKeyRequired": f.Key}, terraform: tf}
	if !f.New {
		method = act{op: "update-method", verb: "PATCH", path: at, ids: ids(), terraform: tf,
			in: map[string]any{"patchOperations": []map[string]string{{"op": "replace", "path": "/apiKeyRequired", "value": fmt.Sprint(f.Key)}}}}
	}
	out := []act{method}
	tf = "resource \"aws_api_gateway_integration\" \"integration\" {\n  rest_api_id = " + hcl(api) + "\n  resource_id = " + hcl(resource) + "\n  http_method = aws_api_gateway_method.method.http_method\n  type        = "
	switch f.Kind {
	case model.IntegrationHTTPProxy:
		g := &model.Integration{URI: f.URI}
		mapVariables(g, f.Path)
		uri, verb := ui.Typed("uri", f.URI, "https://backend.example.com"), f.UpstreamVerb
		in := map[string]any{"type": f.Kind, "httpMethod": verb, "uri": uri}
		tf += "\"HTTP_PROXY\"\n  integration_http_method = " + hcl(verb) + "\n  uri         = " + hcl(uri)
		if len(g.RequestParameters) > 0 {
			in["requestParameters"] = g.RequestParameters
			tf += "\n  request_parameters = " + jsonText(g.RequestParameters)
		}
		if ms, err := strconv.Atoi(f.Timeout); err == nil {
			in["timeoutInMillis"] = ms
			tf += "\n  timeout_milliseconds = " + f.Timeout
		}
		out = append(out, act{op: "put-integration", verb: "PUT", path: at + "/integration", ids: ids(), in: in,
			renamed: map[string]string{"httpMethod": "integrationHttpMethod"}, terraform: tf + "\n}"})
	case model.IntegrationMock:
		status, kind := f.MockStatus, orName(f.MockType, "application/json")
		template := `{"statusCode": ` + status + `}`
		out = append(out,
			act{op: "put-integration", verb: "PUT", path: at + "/integration", ids: ids(), in: map[string]any{"type": f.Kind, "requestTemplates": map[string]string{"application/json": template}},
				terraform: tf + "\"MOCK\"\n  request_templates = { \"application/json\" = " + hcl(template) + " }\n}"},
			act{op: "put-integration-response", verb: "PUT", path: at + "/integration/responses/" + url.PathEscape(status), ids: ids("statusCode", status),
				in: map[string]any{"responseTemplates": map[string]string{kind: ui.Typed("mock-body", f.MockBody, "")}},
				terraform: "resource \"aws_api_gateway_integration_response\" \"answer\" {\n  rest_api_id = " + hcl(api) + "\n  resource_id = " + hcl(resource) + "\n  http_method = aws_api_gateway_integration.integration.http_method\n  status_code = " +
					hcl(status) + "\n  response_templates = { " + hcl(kind) + " = " + hcl(ui.Typed("mock-body", f.MockBody, "")) + " }\n}"})
		if f.New || f.Unanswered {
			answers := act{op: "put-method-response", verb: "PUT", path: at + "/responses/" + url.PathEscape(status), ids: ids("statusCode", status), in: map[string]any{},
				terraform: "resource \"aws_api_gateway_method_response\" \"answer\" {\n  rest_api_id = " + hcl(api) + "\n  resource_id = " + hcl(resource) + "\n  http_method = aws_api_gateway_method.method.http_method\n  status_code = " + hcl(status) + "\n}"}
			out = slices.Insert(out, 1, answers)
		}
	}
	return out
}

func deleteMethodAct(api, resource, verb string) act {
	return act{op: "delete-method", verb: "DELETE", path: "/restapis/" + url.PathEscape(api) + "/resources/" + url.PathEscape(resource) + "/methods/" + url.PathEscape(verb),
		ids: map[string]any{"restApiId": api, "resourceId": resource, "httpMethod": verb}}
}

func deleteResourceAct(api, resource string) act {
	return act{op: "delete-resource", verb: "DELETE", path: "/restapis/" + url.PathEscape(api) + "/resources/" + url.PathEscape(resource), ids: map[string]any{"restApiId": api, "resourceId": resource}}
}

func rollbackAct(api, stage, deployment string) act {
	return act{op: "update-stage", verb: "PATCH", path: "/restapis/" + url.PathEscape(api) + "/stages/" + url.PathEscape(stage), ids: map[string]any{"restApiId": api, "stageName": stage},
		in: map[string]any{"patchOperations": []map[string]string{{"op": "replace", "path": "/deploymentId", "value": deployment}}}}
}

// planAct make a plan, or change it: its limits and stages, which the AWS wire has.
// Prices and the portal are set by "tollgate plan".
func planAct(f *planForm) act {
	form := *f // what is wrong with it is said elsewhere
	t, q := form.throttle(), form.quota()
	name, about := ui.Typed("name", f.Name, "NAME"), ui.Typed("description", f.Description, "")
	if f.ID != "" {
		ops := []map[string]string{{"op": "replace", "path": "/name", "value": name}, {"op": "replace", "path": "/description", "value": about}}
		set := func(path string, value any) {
			ops = append(ops, map[string]string{"op": "replace", "path": path, "value": fmt.Sprint(value)})
		}
		if t != nil {
			set("/throttle/rateLimit", t.Rate)
			set("/throttle/burstLimit", t.Burst)
		} else {
			ops = append(ops, map[string]string{"op": "remove", "path": "/throttle"})
		}
		if q != nil {
			set("/quota/limit", q.Limit)
			set("/quota/period", q.Period)
			set("/quota/offset", q.Offset)
		} else {
			ops = append(ops, map[string]string{"op": "remove", "path": "/quota"})
		}
		return act{op: "update-usage-plan", verb: "PATCH", path: "/usageplans/" + url.PathEscape(f.ID), ids: map[string]any{"usagePlanId": f.ID}, in: map[string]any{"patchOperations": ops}}
	}
	in := map[string]any{"name": name, "description": about}
	tf := "resource \"aws_api_gateway_usage_plan\" \"plan\" {\n  name        = " + hcl(name) + "\n  description = " + hcl(about)
	var stages []map[string]string
	for _, s := range f.Stages {
		if s.Checked {
			stages = append(stages, map[string]string{"apiId": s.APIID, "stage": s.Stage})
			tf += "\n  api_stages {\n    api_id = " + hcl(s.APIID) + "\n    stage  = " + hcl(s.Stage) + "\n  }"
		}
	}
	if stages != nil {
		in["apiStages"] = stages
	}
	if t != nil {
		in["throttle"] = map[string]any{"rateLimit": t.Rate, "burstLimit": t.Burst}
		tf += fmt.Sprintf("\n  throttle_settings {\n    rate_limit  = %v\n    burst_limit = %d\n  }", t.Rate, t.Burst)
	}
	if q != nil {
		in["quota"] = map[string]any{"limit": q.Limit, "period": q.Period, "offset": q.Offset}
		tf += fmt.Sprintf("\n  quota_settings {\n    limit  = %d\n    period = %s\n    offset = %d\n  }", q.Limit, hcl(q.Period), q.Offset)
	}
	return act{op: "create-usage-plan", verb: "POST", path: "/usageplans", in: in, terraform: tf + "\n}"}
}

func deletePlanAct(id string) act {
	return act{op: "delete-usage-plan", verb: "DELETE", path: "/usageplans/" + url.PathEscape(id), ids: map[string]any{"usagePlanId": id}}
}

func joinPlanAct(plan, key string) act {
	return act{op: "create-usage-plan-key", verb: "POST", path: "/usageplans/" + url.PathEscape(plan) + "/keys", ids: map[string]any{"usagePlanId": plan}, in: map[string]any{"keyId": key, "keyType": "API_KEY"},
		terraform: "resource \"aws_api_gateway_usage_plan_key\" \"key\" {\n  usage_plan_id = " + hcl(plan) + "\n  key_id        = " + hcl(key) + "\n  key_type      = \"API_KEY\"\n}"}
}

func leavePlanAct(plan, key string) act {
	return act{op: "delete-usage-plan-key", verb: "DELETE", path: "/usageplans/" + url.PathEscape(plan) + "/keys/" + url.PathEscape(key), ids: map[string]any{"usagePlanId": plan, "keyId": key}}
}

func importKeysAct() act {
	return act{op: "import-api-keys", verb: "POST", path: "/apikeys", query: "?format=csv&mode=import", params: map[string]any{"format": "csv"}, file: "keys.csv"}
}
