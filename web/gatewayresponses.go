package web

import (
	"net/url"
	"strings"

	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/serve"
)

func (s *Server) gatewayResponseRoutes() []route {
	return []route{
		{method: "GET", pattern: "/apis/{api}/responses", who: mayRead, handle: (*visit).gatewayResponses},
		{method: "GET", pattern: "/apis/{api}/responses/{kind}", who: mayRead, handle: (*visit).gatewayResponse},
		{method: "POST", pattern: "/apis/{api}/responses/{kind}", who: mayBuild, handle: (*visit).saveGatewayResponse, form: 4 << 20},
		{method: "GET", pattern: "/apis/{api}/responses/{kind}/reset", who: mayBuild, handle: (*visit).confirmResetResponse},
		{method: "POST", pattern: "/apis/{api}/responses/{kind}/reset", who: mayBuild, handle: (*visit).resetResponse},
	}
}

// refusalTemplate is what a refusal's body is made of unless it is changed.
const refusalTemplate = `{"message":$context.error.messageString}`

// refusal is a kind of gateway response with what holds for it.
type refusal struct {
	model.Refusal
	model.GatewayResponse
	Changed   bool // it has settings of its own
	Inherited bool // those of its class hold
}

// refusals are all kinds as they hold in a definition.
func refusals(d *model.Definition) []refusal {
	var out []refusal
	for _, r := range model.Refusals {
		out = append(out, refusalIn(d, r))
	}
	return out
}

func refusalIn(d *model.Definition, r model.Refusal) refusal {
	out := refusal{Refusal: r}
	out.GatewayResponse, out.Changed = d.GatewayResponses[r.Type]
	if !out.Changed {
		out.GatewayResponse, out.Inherited = d.GatewayResponses[r.DefaultType()]
		out.Inherited = out.Inherited && r.Type != r.DefaultType()
	}
	if len(out.Templates) == 0 {
		out.Templates = map[string]string{"application/json": refusalTemplate}
	}
	return out
}

// status is what the caller gets.
func (r *refusal) status() string {
	return orName(r.StatusCode, r.Refusal.Status)
}

// responseForm is a gateway response as it is edited.
type responseForm struct {
	Kind               refusal
	Status             string
	Headers, Templates []ui.RowValues
	problems
}

var gatewayHeaderColumns = []ui.Column{{Name: "name", Label: "Header"}, {Name: "from", Label: "From"}}

func (f *responseForm) show(r refusal) {
	f.Kind, f.Status = r, r.StatusCode
	for _, k := range sortedKeys(r.Parameters) {
		f.Headers = append(f.Headers, ui.RowValues{Cells: []string{strings.TrimPrefix(k, "gatewayresponse.header."), r.Parameters[k]}})
	}
	f.Templates = textRows(r.Templates, true)
}

func (f *responseForm) apply() model.GatewayResponse {
	p := &f.problems
	if f.Status != "" && !model.ValidStatus(f.Status) {
		p.say("status", "The status %q is not a number between 100 and 599", f.Status)
	}
	out := model.GatewayResponse{StatusCode: f.Status}
	for i := range f.Headers {
		r := &f.Headers[i]
		switch {
		case !headerName.MatchString(r.Cells[0]):
			r.Error = "A header's name has no blanks"
		case !requestSource.MatchString(r.Cells[1]) || strings.HasPrefix(r.Cells[1], "method.request.body"):
			r.Error = "What it is filled from is one of 'text', method.request.header.X, context.requestId or stageVariables.name"
		}
		if r.Error != "" {
			p.say("headers", "%s: %s", orName(r.Cells[0], "A row"), r.Error)
			continue
		}
		if out.Parameters == nil {
			out.Parameters = map[string]string{}
		}
		out.Parameters["gatewayresponse.header."+r.Cells[0]] = r.Cells[1]
	}
	for i := range f.Templates {
		if strings.TrimSpace(f.Templates[i].Long) == "" {
			f.Templates[i].Error = "The template is empty"
			p.say("templates", "A template for %s is empty", f.Templates[i].Cells[0])
		}
	}
	out.Templates = orNil(byType(p, "templates", "template", f.Templates))
	return out
}

func (v *visit) gatewayResponses() error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	return v.render(gatewayResponsesView(v.apiPage(a.API), a, refusals(&a.Definition), v.about(a.ID, &a.Definition, "gatewayResponses"), v.may(control.ToBuild)))
}

// about are the reasons why a part of a definition, by its pointer, keeps it from being
// deployed.
func (v *visit) about(api string, d *model.Definition, pointers ...string) []string {
	var out []string
	stops, _ := v.Plane.Undeployable(v.actor(), api, d)
	for _, s := range stops {
		for _, p := range pointers {
			if s.Pointer == p {
				out = append(out, s.Message)
			}
		}
	}
	return out
}

// kindHere is the API and the kind that the path names.
func (v *visit) kindHere() (control.APIDetail, refusal, error) {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return a, refusal{}, err
	}
	r, ok := model.RefusalOf(v.path("kind"))
	if !ok {
		return a, refusal{}, model.Errorf(model.NotFound, "there is no gateway response %s", v.path("kind"))
	}
	return a, refusalIn(&a.Definition, r), nil
}

func (v *visit) gatewayResponse() error {
	a, r, err := v.kindHere()
	if err != nil {
		return err
	}
	f := responseForm{}
	f.show(r)
	return v.gatewayResponseWith(200, a, f)
}

func (v *visit) gatewayResponseWith(status int, a control.APIDetail, f responseForm) error {
	return v.renderAs(status, gatewayResponseView(v.below(a.API, "Gateway response "+f.Kind.Type, "responses"), a.API, f, v.about(a.ID, &a.Definition, "gatewayResponses"), v.may(control.ToBuild)))
}

func (v *visit) saveGatewayResponse() error {
	a, r, err := v.kindHere()
	if err != nil {
		return err
	}
	f := responseForm{Kind: r, Status: v.value("status"), Headers: v.rows("headers", gatewayHeaderColumns), Templates: v.rows("templates", templateColumns)}
	if v.more() {
		return v.gatewayResponseWith(200, a, f)
	}
	_, err = v.Plane.UpdateDefinition(v.ctx(), v.actor(), a.ID, 0, func(d *model.Definition) error {
		x := f.apply()
		if err := f.err(); err != nil {
			return err
		}
		if d.GatewayResponses == nil {
			d.GatewayResponses = map[string]model.GatewayResponse{}
		}
		d.GatewayResponses[r.Type] = x
		return nil
	})
	if invalid(err) {
		f.problems = f.with("status", err)
		return v.gatewayResponseWith(serve.Status(err), a, f)
	}
	if err != nil {
		return err
	}
	return v.done("Saved. It is answered once it is deployed.", apiURL(a.ID, "responses"))
}

func (v *visit) confirmResetResponse() error {
	a, r, err := v.kindHere()
	if err != nil {
		return err
	}
	return v.render(resetResponseView(v.below(a.API, "Reset "+r.Type, "responses"), a.API, r))
}

func (v *visit) resetResponse() error {
	_, r, err := v.kindHere()
	if err != nil {
		return err
	}
	_, err = v.Plane.UpdateDefinition(v.ctx(), v.actor(), v.path("api"), 0, func(d *model.Definition) error {
		delete(d.GatewayResponses, r.Type)
		return nil
	})
	return v.outcome(err, r.Type+" is as it was at first.", apiURL(v.path("api"), "responses"))
}

func gatewayResponseAct(api string, r *refusal) act {
	in := map[string]any{"responseTemplates": r.Templates}
	if s := r.status(); s != "" {
		in["statusCode"] = s
	}
	if len(r.Parameters) > 0 {
		in["responseParameters"] = r.Parameters
	}
	return act{op: "put-gateway-response", verb: "PUT", path: "/restapis/" + url.PathEscape(api) + "/gatewayresponses/" + url.PathEscape(r.Type), ids: map[string]any{"restApiId": api, "responseType": r.Type}, in: in,
		terraform: block("aws_api_gateway_gateway_response", strings.ToLower(r.Type), map[string]any{"rest_api_id": api, "response_type": r.Type, "status_code": r.status(), "response_parameters": r.Parameters, "response_templates": r.Templates})}
}

func resetResponseAct(api, kind string) act {
	return act{op: "delete-gateway-response", verb: "DELETE", path: "/restapis/" + url.PathEscape(api) + "/gatewayresponses/" + url.PathEscape(kind), ids: map[string]any{"restApiId": api, "responseType": kind}}
}
