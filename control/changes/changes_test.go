package changes_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tollgate/control/changes"
	"tollgate/model"
)

// pets is an API with one of everything that callers see.
func pets() *model.Definition {
	pattern := "2.."
	return &model.Definition{
		Name: "Pets",
		Resources: []model.Resource{
			{ID: "r", Path: "/"},
			{ID: "p", Path: "/pets/{id}", Methods: map[string]model.Method{
				"GET": {AuthorizationType: model.AuthNone, OperationName: "getPet", RequestParameters: map[string]bool{"method.request.path.id": true, "method.request.querystring.full": false},
					Responses:   map[string]model.MethodResponse{"200": {Parameters: map[string]bool{"method.response.header.ETag": true}, Models: map[string]string{"application/json": "Pet"}}, "404": {}},
					Integration: &model.Integration{Type: model.IntegrationHTTPProxy, HTTPMethod: "GET", URI: "https://a.example/pets/{id}", Responses: map[string]model.IntegrationResponse{"200": {StatusCode: "200", SelectionPattern: &pattern}}}},
				"PUT": {AuthorizationType: model.AuthCustom, AuthorizerID: "a1", AuthorizationScopes: []string{"read", "write"}, RequestModels: map[string]string{"application/json": "Pet"},
					Integration: &model.Integration{Type: model.IntegrationMock}},
			}},
			{ID: "any", Path: "/any", Methods: map[string]model.Method{"ANY": {AuthorizationType: model.AuthNone, Integration: &model.Integration{Type: model.IntegrationMock}}}},
		},
		Authorizers:       []model.Authorizer{{ID: "a1", Name: "tokens", Type: "TOKEN", AuthorizerURI: "arn:1"}, {ID: "a2", Name: "others", Type: "TOKEN"}},
		RequestValidators: []model.RequestValidator{{ID: "v", Name: "all", Body: true, Parameters: true}},
		Models: []model.Schema{
			{Name: "Pet", ContentType: "application/json", Schema: `{"type":"object","required":["name"],"properties":{
				"name":{"type":"string","maxLength":40},"kind":{"enum":["cat","dog"]},"age":{"type":"integer","minimum":0},
				"owner":{"$ref":"https://apigateway.amazonaws.com/restapis/x/models/Owner"},"tags":{"type":"array","items":{"type":"string"}}}}`},
			{Name: "Owner", ContentType: "application/json", Schema: `{"type":"object","properties":{"pets":{"type":"array","items":{"$ref":"https://apigateway.amazonaws.com/restapis/x/models/Pet"}},"mail":{"type":"string"}}}`},
		},
	}
}

func edit(path, verb string, f func(*model.Method)) func(*model.Definition) {
	return func(d *model.Definition) {
		for i := range d.Resources {
			if d.Resources[i].Path == path {
				m := d.Resources[i].Methods[verb]
				f(&m)
				d.Resources[i].Methods[verb] = m
			}
		}
	}
}

func schema(name, from, to string) func(*model.Definition) {
	return func(d *model.Definition) {
		m := d.Model(name)
		if !strings.Contains(m.Schema, from) {
			panic("there is no " + from)
		}
		m.Schema = strings.Replace(m.Schema, from, to, 1)
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	get := func(f func(*model.Method)) func(*model.Definition) { return edit("/pets/{id}", "GET", f) }
	put := func(f func(*model.Method)) func(*model.Definition) { return edit("/pets/{id}", "PUT", f) }
	for _, c := range []struct {
		name    string
		change  func(*model.Definition)
		forward string // "level rule method path", separated by ";"
		back    string
	}{
		{"nothing", func(*model.Definition) {}, "", ""},
		{"an operation", func(d *model.Definition) { delete(d.Resources[1].Methods, "PUT") }, "error api-removed-without-deprecation PUT /pets/{id}", "info endpoint-added PUT /pets/{id}"},
		{"ANY takes over", func(d *model.Definition) {
			d.Resources[2].Methods["GET"] = d.Resources[2].Methods["ANY"]
		}, "", ""},
		{"a variable's name", func(d *model.Definition) { d.Resources[1].Path = "/pets/{pet}" }, "info path-parameter-renamed GET /pets/{pet};info path-parameter-renamed PUT /pets/{pet}", "info path-parameter-renamed GET /pets/{id};info path-parameter-renamed PUT /pets/{id}"},
		{"a key", get(func(m *model.Method) { m.APIKeyRequired = true }), "error api-key-required GET /pets/{id}", "warning api-key-not-required GET /pets/{id}"},
		{"authorization", get(func(m *model.Method) { m.AuthorizationType, m.AuthorizerID = model.AuthCustom, "a1" }), "error authorization-added GET /pets/{id}", "warning authorization-removed GET /pets/{id}"},
		{"another authorizer", put(func(m *model.Method) { m.AuthorizerID = "a2" }), "error authorizer-replaced PUT /pets/{id}", "error authorizer-replaced PUT /pets/{id}"},
		{"the authorizer's id", func(d *model.Definition) {
			d.Authorizers[0].ID = "z"
			put(func(m *model.Method) { m.AuthorizerID = "z" })(d)
		}, "", ""},
		{"the authorizer", func(d *model.Definition) { d.Authorizers[0].AuthorizerURI = "arn:2" }, "warning authorizer-changed", "warning authorizer-changed"},
		{"a scope", put(func(m *model.Method) { m.AuthorizationScopes = []string{"read"} }), "error authorization-scope-removed PUT /pets/{id}", ""},
		{"all scopes", put(func(m *model.Method) { m.AuthorizationScopes = nil }), "warning authorization-scopes-not-required PUT /pets/{id}", "error authorization-scopes-required PUT /pets/{id}"},
		{"a validator", put(func(m *model.Method) { m.RequestValidatorID = "v" }), "warning request-validation-added PUT /pets/{id};warning request-validation-added PUT /pets/{id}", "info request-validation-removed PUT /pets/{id};info request-validation-removed PUT /pets/{id}"},
		{"a required parameter", get(func(m *model.Method) { m.RequestParameters["method.request.header.X-A"] = true }), "error new-required-request-parameter GET /pets/{id}", "warning request-parameter-removed GET /pets/{id}"},
		{"a parameter becomes required", get(func(m *model.Method) { m.RequestParameters["method.request.querystring.full"] = true }), "error request-parameter-became-required GET /pets/{id}", "info request-parameter-became-optional GET /pets/{id}"},
		{"a status", get(func(m *model.Method) { delete(m.Responses, "200") }), "error response-success-status-removed GET /pets/{id}", "info response-status-added GET /pets/{id}"},
		{"an error's status", get(func(m *model.Method) { delete(m.Responses, "404") }), "warning response-non-success-status-removed GET /pets/{id}", "info response-status-added GET /pets/{id}"},
		{"a header", get(func(m *model.Method) { delete(m.Responses["200"].Parameters, "method.response.header.ETag") }), "error required-response-header-removed GET /pets/{id}", "info response-header-added GET /pets/{id}"},
		{"a body", put(func(m *model.Method) { m.RequestModels = nil }), "error request-body-media-type-removed PUT /pets/{id}", "info request-body-media-type-added PUT /pets/{id}"},
		{"a back end", get(func(m *model.Method) { m.Integration.URI = "https://b.example/pets/{id}" }), "info integration-changed GET /pets/{id}", "info integration-changed GET /pets/{id}"},
		{"a timeout", get(func(m *model.Method) { m.Integration.TimeoutMillis = 100 }), "warning integration-timeout-lowered GET /pets/{id}", "info integration-timeout-raised GET /pets/{id}"},
		{"a policy", func(d *model.Definition) { d.Policy = "{}" }, "error resource-policy-added", "warning resource-policy-removed"},
		{"the default endpoint", func(d *model.Definition) { d.DisableDefaultEndpoint = true }, "error default-endpoint-disabled", "warning default-endpoint-enabled"},
		{"where keys are", func(d *model.Definition) { d.APIKeySource = "AUTHORIZER" }, "error api-key-source-changed", "error api-key-source-changed"},
		{"a property becomes required", schema("Pet", `["name"]`, `["name","age"]`), "error request-property-became-required PUT /pets/{id};info response-property-became-required GET /pets/{id}",
			"error response-property-became-optional GET /pets/{id};info request-property-became-optional PUT /pets/{id}"},
		{"a property of another model", schema("Owner", `,"mail":{"type":"string"}`, ``), "warning response-optional-property-removed GET /pets/{id};warning request-property-removed PUT /pets/{id}",
			"info response-property-added GET /pets/{id};info new-optional-request-property PUT /pets/{id}"},
		{"a value of a list", schema("Pet", `"cat",`, ``), "error request-property-enum-value-removed PUT /pets/{id};info response-property-enum-value-removed GET /pets/{id}",
			"warning response-property-enum-value-added GET /pets/{id};info request-property-enum-value-added PUT /pets/{id}"},
		{"a bound", schema("Pet", `"maxLength":40`, `"maxLength":20`), "error request-property-bound-changed PUT /pets/{id};info response-property-bound-changed GET /pets/{id}",
			"warning response-property-bound-changed GET /pets/{id};info request-property-bound-changed PUT /pets/{id}"},
		{"a type", schema("Pet", `"age":{"type":"integer"`, `"age":{"type":"number"`), "error response-property-type-changed GET /pets/{id};info request-property-type-changed PUT /pets/{id}",
			"error request-property-type-changed PUT /pets/{id};info response-property-type-changed GET /pets/{id}"},
		{"members", schema("Pet", `"items":{"type":"string"}`, `"items":{"type":"integer"}`), "error response-property-type-changed GET /pets/{id};error request-property-type-changed PUT /pets/{id}",
			"error response-property-type-changed GET /pets/{id};error request-property-type-changed PUT /pets/{id}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := pets(), pets()
			c.change(b)
			for _, x := range []struct {
				from, to *model.Definition
				want     string
			}{{a, b, c.forward}, {b, a, c.back}} {
				var got []string
				for _, ch := range changes.Compare(changes.State{Definition: x.from}, changes.State{Definition: x.to}) {
					got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", ch.Level, ch.Rule, ch.Method, ch.Path)))
					if ch.Text == "" {
						t.Errorf("%+v has no words", ch)
					}
				}
				want := strings.FieldsFunc(x.want, func(r rune) bool { return r == ';' })
				slices.Sort(got)
				slices.Sort(want)
				if strings.Join(got, "\n") != strings.Join(want, "\n") {
					t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
			}
		})
	}
}

func TestThrottles(t *testing.T) {
	t.Parallel()
	stage := func(rate float64) *model.StageSettings {
		var s model.StageSettings
		if rate > 0 {
			s.SetThrottle(&model.Throttle{Rate: rate, Burst: 10})
		}
		return &s
	}
	compare := func(a, b float64) []changes.Change {
		return changes.Compare(changes.State{Definition: pets(), Settings: stage(a)}, changes.State{Definition: pets(), Settings: stage(b)})
	}
	if got := compare(10, 10); len(got) != 0 {
		t.Errorf("%v", got)
	}
	if got := compare(10, 5); len(got) != 3 || got[0].Rule != "throttle-lowered" || changes.Worst(got) != changes.Warning {
		t.Errorf("%v", got)
	}
	if got := compare(10, 0); len(got) != 3 || got[0].Rule != "throttle-raised" || changes.Worst(got) != changes.Info {
		t.Errorf("%v", got)
	}
}

// A schema that refers to itself in many ways is compared once for each place.
func TestBounded(t *testing.T) {
	t.Parallel()
	make := func(kind string) *model.Definition {
		d := pets()
		d.Models = nil
		for i := range 40 {
			var p []string
			for j := range 40 {
				p = append(p, fmt.Sprintf(`"p%d":{"$ref":"https://apigateway.amazonaws.com/restapis/x/models/M%d"}`, j, j))
			}
			d.Models = append(d.Models, model.Schema{Name: fmt.Sprintf("M%d", i), Schema: `{"type":"` + kind + `","properties":{` + strings.Join(p, ",") + `}}`})
		}
		d.Models = append(d.Models, model.Schema{Name: "Pet", Schema: `{"$ref":"https://apigateway.amazonaws.com/restapis/x/models/M0"}`},
			model.Schema{Name: "Loop", Schema: `{"$ref":"#"}`})
		return d
	}
	began := time.Now()
	got := changes.Compare(changes.State{Definition: make("object")}, changes.State{Definition: make("array")})
	if len(got) == 0 || len(got) > changes.MaxChanges {
		t.Errorf("%d changes", len(got))
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}

func FuzzCompare(f *testing.F) {
	for _, m := range pets().Models {
		f.Add(m.Schema, `{"type":["string","null"],"enum":[1,{}],"allOf":[{"$ref":"#/allOf/0"}],"items":[{}]}`)
	}
	f.Fuzz(func(t *testing.T, x, y string) {
		a, b := pets(), pets()
		a.Model("Pet").Schema, b.Model("Pet").Schema = x, y
		for _, c := range changes.Compare(changes.State{Definition: a}, changes.State{Definition: b}) {
			if c.Rule == "" || c.Text == "" || !slices.Contains(changes.Levels, c.Level) {
				t.Errorf("%+v", c)
			}
		}
		if got := changes.Compare(changes.State{Definition: a}, changes.State{Definition: a}); len(got) > 0 {
			t.Errorf("equal ones differ: %v", got)
		}
		if _, err := json.Marshal(changes.Worst(nil)); err != nil {
			t.Fatal(err)
		}
	})
}
