package web

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"tollgate/control"
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
	terraform  string
}

// shown are an act's forms for those who have a command line instead of this page.
func shown(endpoint string, a act) []ui.Shown {
	all := map[string]any{}
	for _, m := range []map[string]any{a.ids, a.params, a.in} {
		for k, v := range m {
			all[k] = v
		}
	}
	cli := "aws --endpoint-url " + quote(endpoint) + " apigateway " + a.op
	curl := `curl --aws-sigv4 aws:amz:us-east-1:apigateway --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \` + "\n  -X " + a.verb + " " + quote(endpoint+a.path+a.query)
	switch {
	case a.file != "":
		for k, v := range all {
			cli += fmt.Sprintf(" --%s %s", k, quote(fmt.Sprint(v)))
		}
		cli += " \\\n  --body fileb://" + a.file
		curl += " \\\n  --data-binary @" + a.file
	case len(all) > 0:
		cli += " \\\n  --cli-input-json " + quote(jsonText(all))
	}
	if a.in != nil && a.file == "" {
		curl += " \\\n  -d " + quote(jsonText(a.in))
	}
	out := []ui.Shown{{Label: "AWS CLI", Text: cli}, {Label: "curl", Text: curl}}
	if a.terraform != "" {
		out = append(out, ui.Shown{Label: "Terraform", Text: a.terraform})
	}
	return out
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
	name = orName(name, "NAME")
	return act{op: "create-rest-api", verb: "POST", path: "/restapis", in: map[string]any{"name": name},
		terraform: "resource \"aws_api_gateway_rest_api\" \"api\" {\n  name = " + hcl(name) + "\n}"}
}

func importAct() act {
	return act{op: "import-rest-api", verb: "POST", path: "/restapis", query: "?mode=import", file: "openapi.yaml",
		terraform: "resource \"aws_api_gateway_rest_api\" \"api\" {\n  name = \"NAME\"\n  body = file(\"openapi.yaml\")\n}"}
}

func putDocumentAct(api string) act {
	return act{op: "put-rest-api", verb: "PUT", path: "/restapis/" + url.PathEscape(api), query: "?mode=overwrite",
		ids: map[string]any{"rest-api-id": api}, params: map[string]any{"mode": "overwrite"}, file: "openapi.yaml"}
}

func updateAPIAct(api, name, description string) act {
	return act{op: "update-rest-api", verb: "PATCH", path: "/restapis/" + url.PathEscape(api), ids: map[string]any{"restApiId": api},
		in: map[string]any{"patchOperations": []map[string]string{{"op": "replace", "path": "/name", "value": name}, {"op": "replace", "path": "/description", "value": description}}}}
}

func deleteAPIAct(api string) act {
	return act{op: "delete-rest-api", verb: "DELETE", path: "/restapis/" + url.PathEscape(api), ids: map[string]any{"restApiId": api}}
}

func deployAct(api, stage, note string) act {
	in := map[string]any{"stageName": orName(stage, "STAGE")}
	tf := "resource \"aws_api_gateway_deployment\" \"now\" {\n  rest_api_id = " + hcl(api) + "\n}\n\nresource \"aws_api_gateway_stage\" \"stage\" {\n  rest_api_id   = " + hcl(api) +
		"\n  stage_name    = " + hcl(orName(stage, "STAGE")) + "\n  deployment_id = aws_api_gateway_deployment.now.id\n}"
	if note != "" {
		in["description"] = note
	}
	return act{op: "create-deployment", verb: "POST", path: "/restapis/" + url.PathEscape(api) + "/deployments", ids: map[string]any{"restApiId": api}, in: in, terraform: tf}
}

// throttleAct sets a stage's throttle; without a rate, as without one here, none.
func throttleAct(api, stage, rate, burst string) act {
	if rate == "" && burst == "" {
		rate, burst = "-1", "-1"
	}
	return act{op: "update-stage", verb: "PATCH", path: "/restapis/" + url.PathEscape(api) + "/stages/" + url.PathEscape(stage), ids: map[string]any{"restApiId": api, "stageName": stage},
		in: map[string]any{"patchOperations": []map[string]string{{"op": "replace", "path": "/*/*/throttling/rateLimit", "value": rate}, {"op": "replace", "path": "/*/*/throttling/burstLimit", "value": burst}}},
		terraform: "resource \"aws_api_gateway_method_settings\" \"all\" {\n  rest_api_id = " + hcl(api) + "\n  stage_name  = " + hcl(stage) +
			"\n  method_path = \"*/*\"\n  settings {\n    throttling_rate_limit  = " + rate + "\n    throttling_burst_limit = " + burst + "\n  }\n}"}
}

func deleteStageAct(api, stage string) act {
	return act{op: "delete-stage", verb: "DELETE", path: "/restapis/" + url.PathEscape(api) + "/stages/" + url.PathEscape(stage), ids: map[string]any{"restApiId": api, "stageName": stage}}
}

func createKeyAct(name string, enabled bool) act {
	name = orName(name, "NAME")
	return act{op: "create-api-key", verb: "POST", path: "/apikeys", in: map[string]any{"name": name, "enabled": enabled},
		terraform: fmt.Sprintf("resource \"aws_api_gateway_api_key\" \"key\" {\n  name    = %s\n  enabled = %t\n}", hcl(name), enabled)}
}

func deleteKeyAct(id string) act {
	return act{op: "delete-api-key", verb: "DELETE", path: "/apikeys/" + url.PathEscape(id), ids: map[string]any{"apiKey": id}}
}

func createDomainAct(name string) act {
	name = orName(name, "api.your-company.com")
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
