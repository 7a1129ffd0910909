package awsapi_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"tollgate/model"
)

// newAPI makes an API and gives its path.
func (f *face) newAPI() (id, path string) {
	f.Helper()
	id = f.call("POST", "/restapis", map[string]any{"name": "Pets"}).want(201).field("id")
	return id, "/restapis/" + id
}

// method gives the API one at a path.
func (f *face) method(api, path, verb string, m model.Method) {
	f.Helper()
	_, err := f.UpdateDefinition(f.Context(), f.owner.Actor, api, 0, func(d *model.Definition) error {
		if m.AuthorizationType == "" {
			m.AuthorizationType = model.AuthNone
		}
		for i := range d.Resources {
			if r := &d.Resources[i]; r.Path == path {
				if r.Methods == nil {
					r.Methods = map[string]model.Method{}
				}
				r.Methods[verb] = m
				return nil
			}
		}
		d.Resources = append(d.Resources, model.Resource{ID: model.NewID(6), Path: path, Methods: map[string]model.Method{verb: m}})
		return nil
	})
	f.must(err)
}

type steps []map[string]any

func (s steps) body() any { return map[string]any{"patchOperations": s} }

func step(op, path string, value any) map[string]any {
	return map[string]any{"op": op, "path": path, "value": value}
}

// wantJSON ends the test unless the answer is this document.
func (r *reply) wantJSON(status int, want string) *reply {
	r.Helper()
	r.want(status)
	var a, b any
	r.into(&a)
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		r.Fatal(err)
	}
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	if string(x) != string(y) {
		r.Errorf("%s:\n%s\ninstead of\n%s", r.call, x, y)
	}
	return r
}

const noPatchPath = "Invalid patch path  '%s' specified for op '%s'. Must be one of: [%s]"

func TestModels(t *testing.T) {
	f := newFace(t)
	api, at := f.newAPI()
	pet := map[string]any{"name": "Pet", "contentType": "application/json", "description": "A pet",
		"schema": `{"type":"object","properties":{"name":{"type":"string"},"owner":{"$ref":"https://apigateway.amazonaws.com/restapis/` + api + `/models/Owner"}}}`}
	m := f.call("POST", at+"/models", pet).want(201)
	if m.field("name") != "Pet" || m.field("description") != "A pet" || m.field("schema") != pet["schema"] {
		t.Errorf("created %s", m.Body)
	}
	f.call("POST", at+"/models", pet).wantError(409, "ConflictException", "Model name already exists for this REST API")
	f.call("POST", at+"/models", map[string]any{"name": "Owner", "contentType": "application/json",
		"schema": `{"type":"object","properties":{"age":{"type":"integer"},"pets":{"type":"array","items":{"$ref":"https://apigateway.amazonaws.com/restapis/x/models/Pet"}}}}`}).want(201)
	var all struct{ Item []struct{ Name string } }
	f.call("GET", at+"/models", nil).want(200).into(&all)
	if s := fmt.Sprint(all.Item); s != "[{Empty} {Error} {Owner} {Pet}]" {
		t.Errorf("models are %s", s)
	}
	f.call("GET", at+"/models/Pet?flatten=true", nil).want(200)
	flat := f.call("GET", at+"/models/Pet?flatten=true", nil).want(200).field("schema")
	var s struct {
		Properties struct {
			Owner struct {
				Ref string `json:"$ref"`
			}
		}
		Definitions struct {
			Owner struct {
				Properties struct {
					Pets struct {
						Items struct {
							Ref string `json:"$ref"`
						}
					}
				}
			}
		}
	}
	f.must(json.Unmarshal([]byte(flat), &s))
	if s.Properties.Owner.Ref != "#/definitions/Owner" || s.Definitions.Owner.Properties.Pets.Items.Ref != "#" {
		t.Errorf("flat: %s", flat)
	}
	f.call("GET", at+"/models/Empty/default_template", nil).wantJSON(200, `{"value":"#set($inputRoot = $input.path('$'))\n{ }"}`)
	if v := f.call("GET", at+"/models/Pet/default_template", nil).want(200).field("value"); !strings.Contains(v, `"name" : "foo"`) || !strings.Contains(v, `"age" : 42`) {
		t.Errorf("template %s", v)
	}

	// What is wrong with it is said in the service's words.
	for _, c := range []struct {
		in   map[string]any
		want string
	}{
		{map[string]any{"name": "", "contentType": "application/json", "schema": "{}"}, "Model name must be non-empty"},
		{map[string]any{"name": "a b", "contentType": "application/json", "schema": "{}"}, "Model name must be alphanumeric: a b"},
		{map[string]any{"name": "M", "contentType": "application/xml"}, "Model schema must have at least 1 property or array items defined"},
		{map[string]any{"name": "M", "contentType": "application/json", "schema": "[]"}, "Invalid model specified: Validation Result: warnings : [], errors : [Invalid model schema specified]"},
		{map[string]any{"name": "M", "contentType": "application/json", "schema": `{"$ref":"Pet"}`}, "Invalid model specified: Validation Result: warnings : [], errors : [Model reference must be in canonical form]"},
	} {
		f.call("POST", at+"/models", c.in).wantError(400, "BadRequestException", c.want)
	}
	f.call("POST", at+"/models", map[string]any{"name": "M"}).wantError(400, "ValidationException",
		"1 validation error detected: Value null at 'createModelInput.contentType' failed to satisfy constraint: Member must not be null")
	f.call("POST", "/restapis/abcde0/models", pet).wantError(404, "NotFoundException", "Invalid API identifier specified "+f.owner.AccountID+":abcde0")
	f.call("GET", "/restapis/abcde0/models/Pet", nil).wantError(404, "NotFoundException", "Invalid model name specified: Pet")
	f.call("DELETE", "/restapis/abcde0/models/Pet", nil).wantError(404, "NotFoundException", "Invalid model name specified: Pet")

	// A PATCH with one wrong step changes nothing.
	f.call("PATCH", at+"/models/Pet", steps{step("replace", "/description", "x"), step("replace", "/name", "Cat")}.body()).
		wantError(400, "BadRequestException", fmt.Sprintf(noPatchPath, "/name", "replace", "/description, /schema"))
	if d := f.call("GET", at+"/models/Pet", nil).field("description"); d != "A pet" {
		t.Errorf("description is %q", d)
	}
	if d := f.call("PATCH", at+"/models/Pet", steps{step("replace", "/description", "x")}.body()).want(200).field("description"); d != "x" {
		t.Errorf("description is %q", d)
	}

	// What is in use stays.
	f.call("DELETE", at+"/models/Pet", nil).wantError(409, "ConflictException", "Cannot delete model 'Pet', is referenced in model: Owner")
	f.method(api, "/", "ANY", model.Method{RequestModels: map[string]string{"application/json": "Owner"}})
	f.call("DELETE", at+"/models/Owner", nil).wantError(409, "ConflictException", "Cannot delete model 'Owner', is referenced in method request: //ANY")
	f.method(api, "/", "ANY", model.Method{Responses: map[string]model.MethodResponse{"200": {Models: map[string]string{"application/json": "Owner"}}}})
	f.call("DELETE", at+"/models/Owner", nil).wantError(409, "ConflictException", "Cannot delete model 'Owner', is referenced in method response: //ANY")
	f.call("DELETE", at+"/models/Empty", nil).want(202)
	f.call("DELETE", at+"/models/Empty", nil).want(404)
}

// References that lead back and forth, or stand for more than can be written.
func TestModelsThatRefer(t *testing.T) {
	f := newFace(t)
	_, at := f.newAPI()
	ref := func(to string) string {
		return `{"$ref":"https://apigateway.amazonaws.com/restapis/x/models/` + to + `"}`
	}
	for i := range 20 {
		next := ref(fmt.Sprintf("M%d", i+1))
		f.call("POST", at+"/models", map[string]any{"name": fmt.Sprintf("M%d", i), "contentType": "application/json",
			"schema": `{"properties":{"a":` + next + `,"b":` + next + `,"c":{"$ref":"#/definitions/M1"}},"definitions":{"M1":{"$ref":"#"}}}`}).want(201)
	}
	f.call("GET", at+"/models/M0/default_template", nil).wantError(400, "BadRequestException", "The template of model M0 has more than 307200 bytes")
	var flat struct {
		Properties map[string]struct {
			Ref string `json:"$ref"`
		}
		Definitions map[string]any
	}
	f.must(json.Unmarshal([]byte(f.call("GET", at+"/models/M0?flatten=true", nil).want(200).field("schema")), &flat))
	// Its own definition M1 is not the model M1.
	if len(flat.Definitions) != 20 || flat.Properties["a"].Ref != "#/definitions/M1_2" || flat.Properties["c"].Ref != "#/definitions/M1" {
		t.Errorf("flat: %+v", flat)
	}
}

func TestRequestValidators(t *testing.T) {
	f := newFace(t)
	api, at := f.newAPI()
	v := f.call("POST", at+"/requestvalidators", map[string]any{"name": "body"}).want(201)
	id := v.field("id")
	v.wantJSON(201, `{"id":"`+id+`","name":"body","validateRequestBody":false,"validateRequestParameters":false}`)
	one := at + "/requestvalidators/" + id
	f.call("PATCH", one, steps{step("replace", "/validateRequestBody", "true"), step("replace", "/name", "b")}.body()).
		wantJSON(200, `{"id":"`+id+`","name":"b","validateRequestBody":true,"validateRequestParameters":false}`)
	f.call("PATCH", one, steps{step("add", "/validateRequestBody", "true")}.body()).
		wantError(400, "BadRequestException", "Invalid patch path  '/validateRequestBody' specified for op 'add'. Please choose supported operations")
	f.call("PATCH", one, steps{step("replace", "/name", nil)}.body()).wantError(400, "BadRequestException", "Request Validator name cannot be blank")
	f.call("PATCH", one, steps{step("replace", "/x", "y")}.body()).
		wantError(400, "BadRequestException", fmt.Sprintf(noPatchPath, "/x", "replace", "/name, /validateRequestParameters, /validateRequestBody"))
	f.call("GET", at+"/requestvalidators", nil).wantJSON(200, `{"item":[{"id":"`+id+`","name":"b","validateRequestBody":true,"validateRequestParameters":false}]}`)
	f.call("GET", "/restapis/api_id/requestvalidators/"+id, nil).wantError(404, "NotFoundException", "Invalid Request Validator identifier specified")
	f.call("POST", "/restapis/api_id/requestvalidators", map[string]any{"name": "x"}).wantError(400, "BadRequestException", "Invalid REST API identifier specified")
	f.method(api, "/pets", "GET", model.Method{RequestValidatorID: id})
	f.call("DELETE", one, nil).wantError(409, "ConflictException", "Cannot delete request validator 'b', is referenced in method: GET//pets")
	f.method(api, "/pets", "GET", model.Method{})
	f.call("DELETE", one, nil).want(202)
	f.call("GET", one, nil).want(404)
}

const lambdaURI = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:auth/invocations"

func TestAuthorizers(t *testing.T) {
	f := newFace(t)
	api, at := f.newAPI()
	token := map[string]any{"name": "token", "type": "TOKEN", "authorizerUri": lambdaURI, "identitySource": "method.request.header.Authorization"}
	a := f.call("POST", at+"/authorizers", token).want(201)
	id := a.field("id")
	want := `{"id":"` + id + `","name":"token","type":"TOKEN","authType":"custom","authorizerUri":"` + lambdaURI + `","identitySource":"method.request.header.Authorization","authorizerResultTtlInSeconds":300}`
	a.wantJSON(201, want)
	one := at + "/authorizers/" + id
	f.call("GET", one, nil).wantJSON(200, want)
	f.call("GET", at+"/authorizers", nil).wantJSON(200, `{"item":[`+want+`]}`)
	f.call("POST", at+"/authorizers", token).wantError(400, "BadRequestException", "Authorizer name must be unique. Authorizer token already exists in this RestApi.")
	f.call("POST", "/restapis/nowhere/authorizers", token).wantError(409, "ConflictException", "Unable to complete operation due to concurrent modification. Please try again later.")
	f.call("GET", "/restapis/nowhere/authorizers", nil).wantError(404, "NotFoundException", "Invalid API identifier specified "+f.owner.AccountID+":nowhere")
	pool := "arn:aws:cognito-idp:us-east-1:123412341234:userpool/us-east-1_aWcZeQbuD"
	cognito := f.call("POST", at+"/authorizers", map[string]any{"name": "cognito", "type": "COGNITO_USER_POOLS", "providerARNs": []string{pool},
		"identitySource": "method.request.header.Authorization"}).want(201)
	if cognito.field("authType") != "cognito_user_pools" || strings.Contains(string(cognito.Body), "Ttl") {
		t.Errorf("created %s", cognito.Body)
	}
	jwt := f.call("POST", at+"/authorizers", map[string]any{"name": "jwt", "type": "JWT", "jwtConfiguration": map[string]any{
		"issuers": []any{map[string]any{"issuer": "https://id.example.com/", "audiences": []string{"pets"}}}}}).want(201)
	byJWT := at + "/authorizers/" + jwt.field("id")
	next := `{"defaultAlgorithms":["ES256"],"issuers":[{"issuer":"https://id.example.com","audiences":["cats"],"additionalClaims":[{"claimName":"org","expectedValues":["a"],"format":"SINGLE_STRING","required":true}]}]}`
	f.call("PATCH", byJWT, steps{step("replace", "/jwtConfiguration", next)}.body()).wantJSON(200,
		`{"id":"`+jwt.field("id")+`","name":"jwt","type":"JWT","authType":"jwt","jwtConfiguration":`+next+`}`)
	f.call("PATCH", byJWT, steps{step("replace", "/jwtConfiguration", strings.Replace(next, "https:", "http:", 1))}.body()).wantError(400, "BadRequestException",
		`Each issuer of a JWT authorizer has an https address without query or fragment, and audiences; "http://id.example.com" has not`)
	f.call("PATCH", byJWT, steps{step("replace", "/identitySource", "method.request.header.A,method.request.header.B")}.body()).want(400)

	with := func(change map[string]any) map[string]any {
		in := map[string]any{}
		for k, v := range token {
			in[k] = v
		}
		in["name"] = "other"
		for k, v := range change {
			in[k] = v
		}
		return in
	}
	for _, c := range []struct {
		in   map[string]any
		code string
		want string
	}{
		{with(map[string]any{"authorizerUri": "arn:x"}), "BadRequestException", "Invalid Authorizer URI: arn:x. Authorizer URI should be a valid API Gateway ARN that represents a Lambda function invocation."},
		{with(map[string]any{"type": "MAGIC"}), "ValidationException", "1 validation error detected: Value 'MAGIC' at 'createAuthorizerInput.type' failed to satisfy constraint: Member must satisfy enum value set: [REQUEST, TOKEN, COGNITO_USER_POOLS]"},
		{with(map[string]any{"name": ""}), "ValidationException", "1 validation error detected: Value null at 'createAuthorizerInput.name' failed to satisfy constraint: Member must not be null"},
		{with(map[string]any{"authorizerResultTtlInSeconds": 3601}), "BadRequestException", "Invalid authorizer result TTL specified: 3601. It must be between 0 and 3600 seconds."},
		{with(map[string]any{"identitySource": ""}), "BadRequestException", "An identity source is required for authorizers of type TOKEN"},
		{with(map[string]any{"type": "REQUEST", "identitySource": ""}), "BadRequestException", "An identity source is required for authorizers of type REQUEST whose results are cached"},
		{with(map[string]any{"type": "REQUEST", "identitySource": "header.x"}), "BadRequestException", "Invalid mapping expression specified: header.x"},
		{with(map[string]any{"type": "COGNITO_USER_POOLS"}), "BadRequestException", "A COGNITO_USER_POOLS authorizer needs 1 to 1000 provider ARNs, not 0"},
		{with(map[string]any{"type": "JWT"}), "BadRequestException", "A JWT authorizer needs a jwtConfiguration with issuers"},
	} {
		f.call("POST", at+"/authorizers", c.in).wantError(400, c.code, c.want)
	}

	changed := f.call("PATCH", one, steps{step("replace", "/type", "REQUEST"), step("add", "/identitySource", "context.accountId"),
		step("replace", "/authorizerResultTtlInSeconds", "0"), step("replace", "/authorizerCredentials", "arn:aws:iam::123456789012:role/x")}.body()).want(200)
	if changed.field("identitySource") != "method.request.header.Authorization,context.accountId" || changed.field("authorizerResultTtlInSeconds") != "0" {
		t.Errorf("changed: %s", changed.Body)
	}
	f.call("PATCH", one, steps{step("remove", "/identitySource", "context.accountId"), step("replace", "/authorizerUri", "x")}.body()).want(400)
	if s := f.call("GET", one, nil).field("identitySource"); s != "method.request.header.Authorization,context.accountId" {
		t.Errorf("half a PATCH was kept: %s", s)
	}
	second := "arn:aws:cognito-idp:us-east-1:123412341234:userpool/us-east-1_second"
	f.call("PATCH", at+"/authorizers/"+cognito.field("id"), steps{step("add", "/providerARNs", second), step("remove", "/providerARNs", pool)}.body()).want(200)
	if s := f.call("GET", at+"/authorizers/"+cognito.field("id"), nil).field("providerARNs"); s != `["`+second+`"]` {
		t.Errorf("pools are %s", s)
	}

	f.method(api, "/test", "GET", model.Method{AuthorizationType: model.AuthCustom, AuthorizerID: id})
	f.call("DELETE", one, nil).wantError(409, "ConflictException", "Cannot delete authorizer 'token', is referenced in method: GET//test")
	f.method(api, "/test", "GET", model.Method{})
	f.call("DELETE", one, nil).want(202)
	f.call("DELETE", one, nil).wantError(404, "NotFoundException", "Invalid Authorizer identifier specified")
}

func TestGatewayResponses(t *testing.T) {
	f := newFace(t)
	_, at := f.newAPI()
	at += "/gatewayresponses"
	var all struct {
		Item []struct {
			ResponseType, StatusCode string
			ResponseParameters       map[string]string
			DefaultResponse          bool
		}
	}
	f.call("GET", at, nil).want(200).into(&all)
	if len(all.Item) != 21 || !all.Item[0].DefaultResponse || all.Item[0].StatusCode != "403" {
		t.Errorf("%+v", all)
	}
	f.call("GET", at+"/DEFAULT_4XX", nil).wantJSON(200,
		`{"responseType":"DEFAULT_4XX","responseParameters":{},"responseTemplates":{"application/json":"{\"message\":$context.error.messageString}"},"defaultResponse":true}`)
	f.call("PUT", at+"/DEFAULT_5XX", map[string]any{"statusCode": "599", "responseParameters": map[string]string{"gatewayresponse.header.a": "'b'"}}).want(201)
	f.call("PUT", at+"/AUTHORIZER_FAILURE", map[string]any{"responseParameters": map[string]string{"gatewayresponse.header.foo": "'bar'"}}).
		wantJSON(201, `{"responseType":"AUTHORIZER_FAILURE","statusCode":"500","responseParameters":{"gatewayresponse.header.foo":"'bar'"},"responseTemplates":{"application/json":"{\"message\":$context.error.messageString}"},"defaultResponse":false}`)
	f.call("GET", at, nil).want(200).into(&all)
	for _, r := range all.Item {
		switch r.ResponseType {
		case "INTEGRATION_FAILURE", "API_CONFIGURATION_ERROR":
			if !r.DefaultResponse || r.StatusCode != "599" || r.ResponseParameters["gatewayresponse.header.a"] != "'b'" {
				t.Errorf("a type of the class: %+v", r)
			}
		case "ACCESS_DENIED":
			if r.StatusCode != "403" || len(r.ResponseParameters) > 0 {
				t.Errorf("a type of the other class: %+v", r)
			}
		}
	}
	f.call("PATCH", at+"/DEFAULT_4XX", steps{step("replace", "/statusCode", "444"), step("add", "/responseParameters/gatewayresponse.header.x", "'y'")}.body()).want(200)
	for _, c := range []struct {
		step map[string]any
		code int
		want string
	}{
		{step("add", "/statusCode", "444"), 400, "Invalid patch path /statusCode"},
		{step("remove", "/statusCode", nil), 400, "Invalid patch path /statusCode"},
		{step("add", "/wrongPath", "x"), 400, "Invalid patch path /wrongPath"},
		{map[string]any{"op": "add", "value": "x"}, 400, "Invalid patch path null"},
		{step("replace", "/responseParameters/gatewayresponse.header.x", nil), 400, "Invalid null or empty value in responseParameters"},
		{step("replace", "/responseTemplates/application~1json", nil), 400, "Invalid null or empty value in responseTemplates"},
		{step("replace", "/responseParameters/gatewayresponse.header.z", "'y'"), 404, "Invalid parameter name specified"},
		{step("add", "/responseParameters/header.z", "'y'"), 400, "Invalid mapping expression parameter specified: header.z"},
	} {
		f.call("PATCH", at+"/DEFAULT_4XX", steps{c.step}.body()).wantError(c.code, map[int]string{400: "BadRequestException", 404: "NotFoundException"}[c.code], c.want)
	}
	f.call("PUT", at+"/THROTTLED", map[string]any{"statusCode": "999"}).wantError(400, "ValidationException",
		`1 validation error detected: Value '999' at 'putGatewayResponseInput.statusCode' failed to satisfy constraint: Member must satisfy regular expression pattern: [1-5]\d\d`)
	f.call("GET", at+"/NEVER", nil).want(400)
	f.call("DELETE", at+"/DEFAULT_4XX", nil).want(202)
	f.call("DELETE", at+"/DEFAULT_4XX", nil).wantError(404, "NotFoundException", "Gateway response type not defined on api")
}
