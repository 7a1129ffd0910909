package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/serve"
)

func (s *Server) modelRoutes() []route {
	return []route{
		{method: "GET", pattern: "/apis/{api}/models", who: mayRead, handle: (*visit).models},
		{method: "GET", pattern: "/apis/{api}/models/new", who: mayBuild, handle: (*visit).newModel},
		{method: "POST", pattern: "/apis/{api}/models/new", who: mayBuild, handle: (*visit).saveModel, form: 2 << 20},
		{method: "GET", pattern: "/apis/{api}/models/{model}", who: mayRead, handle: (*visit).model},
		{method: "POST", pattern: "/apis/{api}/models/{model}", who: mayBuild, handle: (*visit).saveModel, form: 2 << 20},
		{method: "GET", pattern: "/apis/{api}/models/{model}/delete", who: mayBuild, handle: (*visit).confirmDeleteModel},
		{method: "POST", pattern: "/apis/{api}/models/{model}/delete", who: mayBuild, handle: (*visit).deleteModel},
		{method: "GET", pattern: "/apis/{api}/validators/new", who: mayBuild, handle: (*visit).newValidator},
		{method: "POST", pattern: "/apis/{api}/validators/new", who: mayBuild, handle: (*visit).saveValidator},
		{method: "GET", pattern: "/apis/{api}/validators/{validator}", who: mayRead, handle: (*visit).validator},
		{method: "POST", pattern: "/apis/{api}/validators/{validator}", who: mayBuild, handle: (*visit).saveValidator},
		{method: "GET", pattern: "/apis/{api}/validators/{validator}/delete", who: mayBuild, handle: (*visit).confirmDeleteValidator},
		{method: "POST", pattern: "/apis/{api}/validators/{validator}/delete", who: mayBuild, handle: (*visit).deleteValidator},
	}
}

// modelForm is a model as it is edited.
type modelForm struct {
	Was                             string // its name; empty: new
	Name, Type, Description, Schema string
	Example                         string
	Verdict, Kind                   string // of the example; its kind is a banner's
	Wrong                           string // what the gateway says of the schema
	Methods                         []string
	Revision                        int64
	problems
}

var modelName = regexp.MustCompile(`^[A-Za-z0-9]{1,256}$`)

const sampleSchema = "{\n  \"$schema\": \"http://json-schema.org/draft-04/schema#\",\n  \"title\": \"Pet\",\n  \"type\": \"object\",\n  \"required\": [\"name\"],\n  \"properties\": {\n    \"name\": {\"type\": \"string\"},\n    \"age\": {\"type\": \"integer\", \"minimum\": 0}\n  }\n}"

func (f *modelForm) show(d *model.Definition, m *model.Schema) {
	f.Was, f.Name, f.Type, f.Description, f.Schema = m.Name, m.Name, m.ContentType, m.Description, m.Schema
	f.Methods = modelUsers(d, m.Name)
	f.Example = exampleOf(d, m.Schema)
}

// modelUsers are the methods that name a model.
func modelUsers(d *model.Definition, name string) []string {
	return usedBy(d, func(m *model.Method) bool {
		for _, n := range m.RequestModels {
			if n == name {
				return true
			}
		}
		for _, r := range m.Responses {
			for _, n := range r.Models {
				if n == name {
					return true
				}
			}
		}
		return false
	})
}

func (f *modelForm) read(v *visit) {
	f.Name, f.Type, f.Description, f.Schema, f.Example = v.value("name"), v.value("type"), v.text("description"), v.text("schema"), v.text("example")
	f.Revision, _ = strconv.ParseInt(v.value("revision"), 10, 64)
	if f.Was != "" {
		f.Name = f.Was
	}
}

// check says what no model may be.
func (f *modelForm) check(d *model.Definition) problems {
	p := &f.problems
	if f.Was == "" {
		switch {
		case !modelName.MatchString(f.Name):
			p.say("name", "A model's name is letters and digits, at most 256")
		case d.Model(f.Name) != nil:
			p.say("name", "There is a model %s already", f.Name)
		}
	}
	if kind, sub, ok := strings.Cut(f.Type, "/"); !ok || kind == "" || sub == "" || len(f.Type) > 256 {
		p.say("type", "%q is not a content type such as application/json", f.Type)
	}
	if len(f.Description) > 125_000 {
		p.say("description", "A description has at most 125,000 characters")
	}
	if len(f.Schema) > model.MaxSchemaBytes {
		p.say("schema", "A schema has at most 400 KiB")
	}
	var object map[string]any
	if err := json.Unmarshal([]byte(f.Schema), &object); err != nil || object == nil {
		why := "it is not an object"
		if e, ok := err.(*json.SyntaxError); ok {
			line, column := lineOf(f.Schema, int(e.Offset))
			why = fmt.Sprintf("line %d, column %d: %v", line, column, e)
		}
		p.say("schema", "The schema is not a JSON Schema, draft 4: %s", why)
	}
	return f.problems
}

// tryModel asks the gateway's own steps of the schema and the example: it is what they would
// say of a call.
func (v *visit) tryModel(d *model.Definition, f *modelForm) {
	t := model.Definition{Name: "model", Models: slices.Clone(d.Models), RequestValidators: []model.RequestValidator{{ID: "body", Body: true}},
		GatewayResponses: map[string]model.GatewayResponse{"BAD_REQUEST_BODY": {Templates: map[string]string{"application/json": "$context.error.validationErrorString"}}},
		Resources: []model.Resource{{ID: "root", Path: "/", Methods: map[string]model.Method{"POST": {AuthorizationType: model.AuthNone, RequestValidatorID: "body", RequestModels: map[string]string{"application/json": f.Name},
			Integration: model.FixedMock(200, "text/plain", "")}}}}}
	if i := slices.IndexFunc(t.Models, func(m model.Schema) bool { return m.Name == f.Name }); i >= 0 {
		t.Models[i].Schema = f.Schema
	} else {
		t.Models = append(t.Models, model.Schema{ID: "new", Name: f.Name, ContentType: f.Type, Schema: f.Schema})
	}
	stops, _ := v.Plane.Undeployable(v.actor(), "", &t)
	for _, x := range stops {
		f.Wrong = x.Message
		return
	}
	if strings.TrimSpace(f.Example) == "" || v.Try == nil {
		return
	}
	ctx, cancel := context.WithTimeout(v.ctx(), 5*time.Second)
	defer cancel()
	a, err := v.Try(ctx, model.TrialCall{ID: model.NewRequestID(), AccountID: v.actor().AccountID, APIID: v.path("api"), Definition: &t, Path: "/", Verb: "POST", Target: "/", Headers: http.Header{"Content-Type": {"application/json"}}, Body: []byte(f.Example)})
	switch {
	case err != nil:
		f.Kind, f.Verdict = "danger", sentence(model.MessageOf(err))
	case a.Status == 200:
		f.Kind, f.Verdict = "ok", "The example fits the model."
	default:
		f.Kind, f.Verdict = "warn", "The example does not fit: "+strings.ToValidUTF8(string(a.Body), "�")
	}
}

func (v *visit) models() error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	slices.SortFunc(a.Definition.Models, func(x, y model.Schema) int { return strings.Compare(x.Name, y.Name) })
	return v.render(modelsView(v.apiPage(a.API), a, v.may(control.ToBuild)))
}

func (v *visit) modelWith(status int, a control.APIDetail, f modelForm) error {
	title := "New model"
	if f.Was != "" {
		title = "Model " + f.Was
		f.Methods = modelUsers(&a.Definition, f.Was)
	}
	f.Revision = a.Revision
	return v.renderAs(status, modelView(v.below(a.API, title, "models"), a.API, f, v.may(control.ToBuild)))
}

func (v *visit) newModel() error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	return v.modelWith(200, a, modelForm{Type: "application/json", Schema: sampleSchema, Example: "{\"name\": \"Rex\", \"age\": 3}"})
}

var noModel = model.Errorf(model.NotFound, "the API has no such model")

func (v *visit) model() error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	m := a.Definition.Model(v.path("model"))
	if m == nil {
		return noModel
	}
	f := modelForm{}
	f.show(&a.Definition, m)
	example := f.Example
	f.Example = "" // it is asked of the schema alone
	v.tryModel(&a.Definition, &f)
	f.Example = example
	return v.modelWith(200, a, f)
}

func (v *visit) saveModel() error {
	f := modelForm{Was: v.path("model")}
	f.read(v)
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	if f.Was != "" && a.Definition.Model(f.Was) == nil {
		return noModel
	}
	if v.checked("check") {
		if len(f.check(&a.Definition)) > 0 {
			return v.modelWith(422, a, f)
		}
		v.tryModel(&a.Definition, &f)
		return v.modelWith(200, a, f)
	}
	_, err = v.Plane.UpdateDefinition(v.ctx(), v.actor(), a.ID, f.Revision, func(d *model.Definition) error {
		if err := f.check(d).err(); err != nil {
			return err
		}
		if f.Was == "" {
			d.Models = append(d.Models, model.Schema{ID: model.NewID(6), Name: f.Name})
		}
		m := d.Model(f.Name)
		if m == nil {
			return noModel
		}
		m.ContentType, m.Description, m.Schema = f.Type, f.Description, f.Schema
		return nil
	})
	if invalid(err) {
		status := serve.Status(err)
		f.problems = f.with("name", err)
		if a, err = v.Plane.API(v.ctx(), v.actor(), v.path("api")); err != nil {
			return err
		}
		return v.modelWith(status, a, f)
	}
	if err != nil {
		return err
	}
	return v.done("Saved. Bodies are checked against it once it is deployed.", apiURL(a.ID, "models"))
}

func (v *visit) confirmDeleteModel() error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	m := a.Definition.Model(v.path("model"))
	if m == nil {
		return noModel
	}
	return v.render(deleteModelView(v.below(a.API, "Delete model "+m.Name, "models"), a.API, m.Name, modelUsers(&a.Definition, m.Name)))
}

func (v *visit) deleteModel() error {
	name := v.path("model")
	_, err := v.Plane.UpdateDefinition(v.ctx(), v.actor(), v.path("api"), 0, func(d *model.Definition) error {
		i := slices.IndexFunc(d.Models, func(m model.Schema) bool { return m.Name == name })
		if i < 0 {
			return noModel
		}
		if by := modelUsers(d, name); len(by) > 0 {
			return model.Errorf(model.Conflict, "model %s is named by %s: take it out there first", name, someOf(by))
		}
		for _, m := range d.Models {
			if m.Name != name && regexp.MustCompile(`/models/`+regexp.QuoteMeta(name)+`["#]`).MatchString(m.Schema) {
				return model.Errorf(model.Conflict, "model %s refers to model %s: take it out there first", m.Name, name)
			}
		}
		d.Models = slices.Delete(d.Models, i, i+1)
		return nil
	})
	return v.outcome(err, "The model is deleted.", apiURL(v.path("api"), "models"))
}

// exampleOf makes a value that a schema may be about, to begin with.
func exampleOf(d *model.Definition, text string) string {
	var root map[string]any
	if json.Unmarshal([]byte(text), &root) != nil {
		return ""
	}
	b, _ := json.MarshalIndent(exampleValue(d, root, root, 0), "", "  ") // of what was read
	if len(b) > 64<<10 {
		return ""
	}
	return string(b)
}

func exampleValue(d *model.Definition, root, s map[string]any, deep int) any {
	if deep > 6 {
		return nil
	}
	if ref, ok := s["$ref"].(string); ok {
		if name, ok := strings.CutPrefix(ref, "#/definitions/"); ok {
			all, _ := root["definitions"].(map[string]any)
			at, _ := all[name].(map[string]any)
			return exampleValue(d, root, at, deep+1)
		}
		m := d.Model(ref[strings.LastIndexByte(ref, '/')+1:])
		var of map[string]any
		if m == nil || json.Unmarshal([]byte(m.Schema), &of) != nil {
			return nil
		}
		return exampleValue(d, of, of, deep+1)
	}
	for _, k := range []string{"example", "default"} {
		if v, ok := s[k]; ok {
			return v
		}
	}
	if all, ok := s["enum"].([]any); ok && len(all) > 0 {
		return all[0]
	}
	kind, _ := s["type"].(string)
	if all, ok := s["type"].([]any); ok && len(all) > 0 {
		kind, _ = all[0].(string)
	}
	switch kind {
	case "string":
		return "text"
	case "integer", "number":
		if n, ok := s["minimum"].(float64); ok {
			return n
		}
		return 1
	case "boolean":
		return true
	case "null":
		return nil
	case "array":
		items, _ := s["items"].(map[string]any)
		return []any{exampleValue(d, root, items, deep+1)}
	}
	out := map[string]any{}
	properties, _ := s["properties"].(map[string]any)
	for name, p := range properties {
		of, _ := p.(map[string]any)
		out[name] = exampleValue(d, root, of, deep+1)
	}
	return out
}

// validatorForm is a request validator as it is edited.
type validatorForm struct {
	ID, Name         string
	Body, Parameters bool
	Methods          []string
	problems
}

var noValidator = model.Errorf(model.NotFound, "the API has no such request validator")

func (v *visit) validatorWith(status int, a control.APIDetail, f validatorForm) error {
	title := "New request validator"
	if f.ID != "" {
		title = "Request validator " + orName(f.Name, f.ID)
		f.Methods = usedBy(&a.Definition, func(m *model.Method) bool { return m.RequestValidatorID == f.ID })
	}
	return v.renderAs(status, validatorView(v.below(a.API, title, "models"), a.API, f, v.may(control.ToBuild)))
}

func (v *visit) newValidator() error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	return v.validatorWith(200, a, validatorForm{Body: true, Parameters: true})
}

func (v *visit) validator() error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	x := a.Definition.RequestValidator(v.path("validator"))
	if x == nil {
		return noValidator
	}
	return v.validatorWith(200, a, validatorForm{ID: x.ID, Name: x.Name, Body: x.Body, Parameters: x.Parameters})
}

func (v *visit) saveValidator() error {
	f := validatorForm{ID: v.path("validator"), Name: v.value("name"), Body: v.checked("body"), Parameters: v.checked("parameters")}
	_, err := v.Plane.UpdateDefinition(v.ctx(), v.actor(), v.path("api"), 0, func(d *model.Definition) error {
		if f.Name == "" || len(f.Name) > 256 {
			f.say("name", "A request validator needs a name of at most 256 characters")
			return f.err()
		}
		x := model.RequestValidator{ID: f.ID, Name: f.Name, Body: f.Body, Parameters: f.Parameters}
		if f.ID == "" {
			x.ID = model.NewID(6)
			d.RequestValidators = append(d.RequestValidators, x)
			return nil
		}
		at := d.RequestValidator(f.ID)
		if at == nil {
			return noValidator
		}
		*at = x
		return nil
	})
	if invalid(err) {
		f.problems = f.with("name", err)
		a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
		if err != nil {
			return err
		}
		return v.validatorWith(422, a, f)
	}
	if err != nil {
		return err
	}
	return v.done("Saved. It checks once it is deployed.", apiURL(v.path("api"), "models"))
}

func (v *visit) confirmDeleteValidator() error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	x := a.Definition.RequestValidator(v.path("validator"))
	if x == nil {
		return noValidator
	}
	f := validatorForm{ID: x.ID, Name: x.Name, Methods: usedBy(&a.Definition, func(m *model.Method) bool { return m.RequestValidatorID == x.ID })}
	return v.render(deleteValidatorView(v.below(a.API, "Delete request validator "+orName(x.Name, x.ID), "models"), a.API, f))
}

func (v *visit) deleteValidator() error {
	id := v.path("validator")
	_, err := v.Plane.UpdateDefinition(v.ctx(), v.actor(), v.path("api"), 0, func(d *model.Definition) error {
		i := slices.IndexFunc(d.RequestValidators, func(x model.RequestValidator) bool { return x.ID == id })
		if i < 0 {
			return noValidator
		}
		if by := usedBy(d, func(m *model.Method) bool { return m.RequestValidatorID == id }); len(by) > 0 {
			return model.Errorf(model.Conflict, "the request validator checks %s: choose another there first", someOf(by))
		}
		d.RequestValidators = slices.Delete(d.RequestValidators, i, i+1)
		return nil
	})
	return v.outcome(err, "The request validator is deleted.", apiURL(v.path("api"), "models"))
}

func modelAct(api string, f *modelForm) act {
	at := "/restapis/" + url.PathEscape(api) + "/models"
	name := orName(f.Name, "NAME")
	out := act{op: "create-model", verb: "POST", path: at, ids: map[string]any{"restApiId": api}, in: map[string]any{"name": name, "contentType": f.Type, "description": f.Description, "schema": f.Schema}}
	if f.Was != "" {
		out = act{op: "update-model", verb: "PATCH", path: at + "/" + url.PathEscape(f.Was), ids: map[string]any{"restApiId": api, "modelName": f.Was}, in: patchAct("replace", "/description", f.Description, "replace", "/schema", f.Schema)}
	}
	out.terraform = block("aws_api_gateway_model", "model", map[string]any{"rest_api_id": api, "name": name, "content_type": f.Type, "description": f.Description, "schema": f.Schema})
	return out
}

func deleteModelAct(api, name string) act {
	return act{op: "delete-model", verb: "DELETE", path: "/restapis/" + url.PathEscape(api) + "/models/" + url.PathEscape(name), ids: map[string]any{"restApiId": api, "modelName": name}}
}

func validatorAct(api string, f *validatorForm) act {
	at := "/restapis/" + url.PathEscape(api) + "/requestvalidators"
	name := ui.Typed("name", f.Name, "NAME")
	out := act{op: "create-request-validator", verb: "POST", path: at, ids: map[string]any{"restApiId": api}, in: map[string]any{"name": name, "validateRequestBody": f.Body, "validateRequestParameters": f.Parameters}}
	if f.ID != "" {
		out = act{op: "update-request-validator", verb: "PATCH", path: at + "/" + url.PathEscape(f.ID), ids: map[string]any{"restApiId": api, "requestValidatorId": f.ID},
			in: patchAct("replace", "/name", name, "replace", "/validateRequestBody", fmt.Sprint(f.Body), "replace", "/validateRequestParameters", fmt.Sprint(f.Parameters))}
	}
	out.terraform = block("aws_api_gateway_request_validator", "validator", map[string]any{"rest_api_id": api, "name": name, "validate_request_body": f.Body, "validate_request_parameters": f.Parameters})
	return out
}

func deleteValidatorAct(api, id string) act {
	return act{op: "delete-request-validator", verb: "DELETE", path: "/restapis/" + url.PathEscape(api) + "/requestvalidators/" + url.PathEscape(id), ids: map[string]any{"restApiId": api, "requestValidatorId": id}}
}
