package web

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/serve"
)

func (s *Server) apiSettingsRoutes() []route {
	return []route{
		{method: "POST", pattern: "/apis/{api}/settings/calls", who: mayBuild, handle: (*visit).saveCallSettings},
		{method: "GET", pattern: "/apis/{api}/policy", who: mayRead, handle: (*visit).policyPage},
		{method: "POST", pattern: "/apis/{api}/policy", who: mayBuild, handle: (*visit).savePolicy},
	}
}

// callForm is how an API takes all of its calls.
type callForm struct {
	Binary              []ui.RowValues
	Compression, Source string
	Closed              bool // the default endpoint is switched off
	Version             string
	problems
}

var (
	binaryColumns    = []ui.Column{{Name: "type", Label: "Media type", List: []string{"application/octet-stream", "application/pdf", "image/png", "image/jpeg", "multipart/form-data", "*/*"}}}
	keySourceOptions = []ui.Option{{Value: "HEADER", Label: "The header x-api-key"}, {Value: "AUTHORIZER", Label: "What an authorizer says"}}
)

// maxCompression is the largest of the smallest answers that are compressed.
const maxCompression = 10 << 20

func (f *callForm) show(d *model.Definition) {
	for _, t := range d.BinaryMediaTypes {
		f.Binary = append(f.Binary, ui.RowValues{Cells: []string{t}})
	}
	if d.MinimumCompressionSize != nil {
		f.Compression = strconv.Itoa(*d.MinimumCompressionSize)
	}
	f.Source, f.Closed, f.Version = orName(d.APIKeySource, "HEADER"), d.DisableDefaultEndpoint, d.Version
}

func (f *callForm) apply(d *model.Definition) error {
	p := &f.problems
	d.BinaryMediaTypes = nil
	for i := range f.Binary {
		t := f.Binary[i].Cells[0]
		if kind, sub, ok := strings.Cut(t, "/"); !ok || kind == "" || sub == "" || len(t) > 256 || strings.ContainsAny(t, " ,") {
			f.Binary[i].Error = "A media type is such as image/png"
			p.say("binary", "%q is not a media type such as image/png", t)
		}
		d.BinaryMediaTypes = append(d.BinaryMediaTypes, t)
	}
	d.MinimumCompressionSize = nil
	if f.Compression != "" {
		n, err := strconv.Atoi(f.Compression)
		if err != nil || n < 0 || n > maxCompression {
			p.say("compression", "%q is not a number of bytes between 0 and 10,485,760", f.Compression)
		}
		d.MinimumCompressionSize = &n
	}
	if !among(f.Source, keySourceOptions) {
		p.say("key-source", "Choose where keys come from")
	}
	if d.APIKeySource != "" || f.Source != "HEADER" {
		d.APIKeySource = f.Source
	}
	if len(f.Version) > 64 {
		p.say("version", "A version has at most 64 characters")
	}
	d.DisableDefaultEndpoint, d.Version = f.Closed, f.Version
	return p.err()
}

func (v *visit) saveCallSettings() error {
	f := callForm{Binary: v.rows("binary", binaryColumns), Compression: v.value("compression"), Source: v.value("key-source"), Closed: v.checked("closed"), Version: v.value("version")}
	if v.more() {
		return v.apiSettingsOf(200, &f, nil)
	}
	_, err := v.Plane.UpdateDefinition(v.ctx(), v.actor(), v.path("api"), 0, f.apply)
	if invalid(err) {
		f.problems = f.with("binary", err)
		return v.apiSettingsOf(serve.Status(err), &f, nil)
	}
	if err != nil {
		return err
	}
	return v.done("Saved. Deploy to bring it to a stage.", apiURL(v.path("api"), "settings"))
}

func callsAct(api string, d *model.Definition) act {
	steps := []string{"replace", "/apiKeySource", orName(d.APIKeySource, "HEADER"), "replace", "/disableExecuteApiEndpoint", fmt.Sprint(d.DisableDefaultEndpoint)}
	size := ""
	if d.MinimumCompressionSize != nil {
		size = strconv.Itoa(*d.MinimumCompressionSize)
	}
	steps = append(steps, "replace", "/minimumCompressionSize", size)
	for _, t := range d.BinaryMediaTypes {
		steps = append(steps, "add", "/binaryMediaTypes/"+segment(t), "")
	}
	return act{op: "update-rest-api", verb: "PATCH", path: "/restapis/" + url.PathEscape(api), ids: map[string]any{"restApiId": api}, in: patchAct(steps...),
		terraform: block("aws_api_gateway_rest_api", "api", map[string]any{"name": d.Name, "api_key_source": orName(d.APIKeySource, "HEADER"), "disable_execute_api_endpoint": d.DisableDefaultEndpoint,
			"minimum_compression_size": size, "binary_media_types": d.BinaryMediaTypes})}
}

// policyForm is a resource policy as it is edited.
type policyForm struct {
	Policy, Template, Of string
	Revision             int64
	Why                  []string
	problems
}

var policyTemplates = []ui.Option{{Value: "allow", Label: "Only these addresses may call"}, {Value: "deny", Label: "These addresses may not call"}, {Value: "account", Label: "Only this account may call, signed"}}

var accountID = regexp.MustCompile(`^\d{12}$`)

// policyFor is the policy of a common case.
func policyFor(template, of string) (string, string) {
	statement := func(effect string, principal any, condition map[string]any) map[string]any {
		s := map[string]any{"Effect": effect, "Principal": principal, "Action": "execute-api:Invoke", "Resource": "execute-api:/*"}
		if condition != nil {
			s["Condition"] = condition
		}
		return s
	}
	all := []any{statement("Allow", "*", nil)}
	switch template {
	case "allow", "deny":
		at := listed(of)
		if len(at) == 0 {
			return "", "Name the addresses, such as 203.0.113.0/24"
		}
		for _, ip := range at {
			if _, _, err := net.ParseCIDR(ip); err != nil && net.ParseIP(ip) == nil {
				return "", fmt.Sprintf("%q is neither an address nor a range of them such as 203.0.113.0/24", ip)
			}
		}
		all = append(all, statement("Deny", "*", map[string]any{map[string]string{"allow": "NotIpAddress", "deny": "IpAddress"}[template]: map[string]any{"aws:SourceIp": at}}))
	case "account":
		if !accountID.MatchString(of) {
			return "", fmt.Sprintf("%q is not the 12 digits of an account", of)
		}
		all = []any{statement("Allow", map[string]any{"AWS": []string{"arn:aws:iam::" + of + ":root"}}, nil)}
	default:
		return "", "Choose a case"
	}
	b, _ := json.MarshalIndent(map[string]any{"Version": "2012-10-17", "Statement": all}, "", "  ") // of texts
	return string(b), ""
}

func (v *visit) policyPage() error {
	f := policyForm{Template: v.query("template"), Of: v.query("of")}
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	f.Policy = pretty(a.Definition.Policy)
	if f.Template == "" {
		f.Template = "allow"
	} else if text, wrong := policyFor(f.Template, f.Of); wrong != "" {
		f.say("of", "%s", wrong)
		return v.policyWith(422, f)
	} else {
		f.Policy = text
	}
	return v.policyWith(200, f)
}

// pretty is a JSON text in lines; what is none stays as it is.
func pretty(s string) string {
	var v any
	if json.Unmarshal([]byte(s), &v) != nil {
		return s
	}
	b, _ := json.MarshalIndent(v, "", "  ") // of what was read
	return string(b)
}

func (v *visit) policyWith(status int, f policyForm) error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	f.Revision, f.Why = a.Revision, v.about(a.ID, &a.Definition, "policy")
	return v.renderAs(status, policyView(v.below(a.API, "Resource policy", "settings"), a, f, v.may(mayBuild.need)))
}

func (v *visit) savePolicy() error {
	f := policyForm{Policy: v.text("policy"), Template: "allow"}
	f.Revision, _ = strconv.ParseInt(v.value("revision"), 10, 64)
	_, err := v.Plane.UpdateDefinition(v.ctx(), v.actor(), v.path("api"), f.Revision, func(d *model.Definition) error {
		if f.Policy != "" {
			var object map[string]any
			err := json.Unmarshal([]byte(f.Policy), &object)
			if e, ok := err.(*json.SyntaxError); ok {
				line, column := lineOf(f.Policy, int(e.Offset))
				f.say("policy", "The policy is not JSON: line %d, column %d: %v", line, column, e)
			} else if err != nil || object["Statement"] == nil {
				f.say("policy", "The policy has no statements")
			}
		}
		d.Policy = f.Policy
		return f.err()
	})
	if invalid(err) {
		f.problems = f.with("policy", err)
		return v.policyWith(serve.Status(err), f)
	}
	if err != nil {
		return err
	}
	if f.Policy == "" {
		return v.done("The policy is removed. Stages keep it until you deploy.", apiURL(v.path("api"), "settings"))
	}
	return v.done("Saved. It holds once it is deployed.", apiURL(v.path("api"), "settings"))
}

func policyAct(api, policy string) act {
	step := []map[string]string{{"op": "replace", "path": "/policy", "value": policy}}
	return act{op: "update-rest-api", verb: "PATCH", path: "/restapis/" + url.PathEscape(api), ids: map[string]any{"restApiId": api}, in: map[string]any{"patchOperations": step},
		terraform: block("aws_api_gateway_rest_api_policy", "policy", map[string]any{"rest_api_id": api, "policy": policy})}
}
