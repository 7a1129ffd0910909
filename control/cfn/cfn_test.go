package cfn_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"tollgate/control/cfn"
	"tollgate/model"
)

func read(t *testing.T, src string, parameters map[string]string) *cfn.Plan {
	t.Helper()
	p, err := cfn.Read([]byte(src), cfn.Options{Stack: "shop", Parameters: parameters, Region: "eu-west-1", AccountID: "123456789012", Open: func(name string) ([]byte, error) {
		if name != "openapi.yaml" {
			return nil, model.Errorf(model.NotFound, "there is no %s", name)
		}
		return []byte(`{openapi: 3.0.3, info: {title: From a file, version: "1"}, paths: {/f: {get: {responses: {"200": {description: ok}}, x-amazon-apigateway-integration: {type: mock}}}}}`), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func methods(a cfn.API) (out []string) {
	for _, r := range a.Definition.Resources {
		for v := range r.Methods {
			out = append(out, v+" "+r.Path)
		}
	}
	return out
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("testdata/pets.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p := read(t, string(src), nil)
	if len(p.APIs) != 1 || len(p.Keys) != 1 || len(p.Plans) != 1 {
		t.Fatalf("%+v", p)
	}
	a := p.APIs[0]
	d := a.Definition
	if d.Name != "shop-dev" || a.Tags["team"] != "shop" || d.Endpoint.Types[0] != "REGIONAL" || len(d.Resources) != 3 || d.Model("Pet") == nil {
		t.Errorf("%+v", a)
	}
	m := d.Resources[2].Methods["GET"]
	if d.Resources[2].Path != "/pets/{id}" || !m.APIKeyRequired || m.OperationName != "getPet" || !m.RequestParameters["method.request.path.id"] || m.Integration.URI != "https://backend.example/pets/{id}" ||
		m.Integration.TimeoutMillis != 3000 || m.Responses["200"].Models["application/json"] != "Pet" {
		t.Errorf("%+v", m)
	}
	if s := a.Stages; len(s) != 1 || s[0].Name != "dev" || s[0].Settings.Throttle().Rate != 5 || s[0].Settings.Throttle().Burst != 20 || s[0].Settings.Variables["color"] != "blue" {
		t.Errorf("%+v", s)
	}
	if u := p.Plans[0]; u.Name != "gold" || u.Throttle.Rate != 10 || u.Quota.Limit != 1000 || u.Stages[0].APIID != "Api" || u.Stages[0].Stage != "dev" || u.Keys[0] != "Key" {
		t.Errorf("%+v", u)
	}
	var told []string
	for _, x := range p.Problems {
		told = append(told, fmt.Sprintf("%s %d %s", x.Severity, x.Line, x.Pointer))
	}
	lines := strings.Split(string(src), "\n")
	if len(told) != 2 || !strings.HasPrefix(told[0], "error") || !strings.Contains(lines[p.Problems[0].Line-1], "Link:") || !strings.Contains(p.Problems[1].Message, "DynamoDB") {
		t.Errorf("%v", p.Problems)
	}
	if reason := d.Undeployable(); len(reason) != 0 {
		t.Errorf("%v", reason)
	}
	again := read(t, string(src), nil)
	if again.APIs[0].Definition.Hash() != d.Hash() {
		t.Error("read twice, the definitions differ")
	}
	prod := read(t, string(src), map[string]string{"Env": "prod"})
	if len(prod.APIs[0].Definition.Resources) != 4 || prod.APIs[0].Stages[0].Settings.Throttle().Rate != 100 {
		t.Errorf("with another parameter: %+v", prod.APIs[0])
	}
}

func TestServerless(t *testing.T) {
	t.Parallel()
	p := read(t, `
Transform: AWS::Serverless-2016-10-31
Globals: {Api: {TracingEnabled: true}}
Resources:
  FromFile:
    Type: AWS::Serverless::Api
    Properties: {StageName: prod, DefinitionUri: openapi.yaml, Variables: {a: b}}
  Inline:
    Type: AWS::Serverless::Api
    Properties:
      StageName: v1
      Auth: {DefaultAuthorizer: AWS_IAM}
      DefinitionBody: {swagger: "2.0", info: {title: Inline, version: "1"}, paths: {/x: {get: {responses: {}, x-amazon-apigateway-integration: {type: aws_proxy, httpMethod: POST, uri: !Sub "arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Fn.Arn}/invocations"}}}}}
  Fn:
    Type: AWS::Serverless::Function
    Properties:
      Handler: a.b
      Events:
        Implicit: {Type: Api, Properties: {Path: '/hello/{who}', Method: post}}
        Explicit: {Type: Api, Properties: {Path: /more, Method: any, RestApiId: !Ref FromFile, Auth: {ApiKeyRequired: true}}}
        Timer: {Type: Schedule, Properties: {Schedule: rate(1 day)}}
`, nil)
	if len(p.APIs) != 3 {
		t.Fatalf("%+v", p)
	}
	file, inline, implicit := p.APIs[0], p.APIs[1], p.APIs[2]
	if got := strings.Join(methods(file), ","); len(methods(file)) != 2 || !strings.Contains(got, "GET /f") || !strings.Contains(got, "ANY /more") || file.Stages[0].Name != "prod" || !file.Stages[0].Settings.TracingEnabled {
		t.Errorf("%v %+v", got, file.Stages)
	}
	for _, r := range file.Definition.Resources {
		if m, ok := r.Methods["ANY"]; ok && !m.APIKeyRequired {
			t.Error("the key that the event asks for is lost")
		}
	}
	if u := inline.Definition.Resources[1].Methods["GET"].Integration.URI; u != "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-west-1:123456789012:function:shop-Fn/invocations" {
		t.Error(u)
	}
	if len(inline.Definition.Unserved) == 0 {
		t.Error("authorization that was not taken does not keep the API from being deployed")
	}
	if got := methods(implicit); len(got) != 1 || got[0] != "POST /hello/{who}" || implicit.Stages[0].Name != "Prod" {
		t.Errorf("%v %+v", got, implicit.Stages)
	}
}

// What is not known, or not taken, never opens what its author closed.
func TestNotTaken(t *testing.T) {
	t.Parallel()
	const head = "Resources:\n  Api: {Type: AWS::ApiGateway::RestApi, Properties: {Name: a%s}}\n"
	method := func(more string) string {
		return fmt.Sprintf(head, "") + "  M: {Type: AWS::ApiGateway::Method, Properties: {RestApiId: !Ref Api, ResourceId: !GetAtt Api.RootResourceId, HttpMethod: GET, " + more + "}}\n"
	}
	const mock = "Integration: {Type: MOCK}"
	for _, c := range []struct {
		src     string
		methods int
		closed  bool // the API cannot be deployed
		says    string
	}{
		{method("AuthorizationType: NONE, " + mock), 1, false, ""},
		{method("AuthorizationType: !ImportValue auth, " + mock), 0, false, "Fn::ImportValue"},
		{method("AuthorizationType: CUSTOM, AuthorizerId: !Ref Nobody, " + mock), 0, false, "authorizer is not taken"},
		{method("AuthorizationType: CUSTOM, AuthorizerId: !Ref A, "+mock) + "  A: {Type: AWS::ApiGateway::Authorizer, Properties: {RestApiId: !Ref Api, Name: x, Type: TOKEN, AuthorizerUri: !ImportValue f}}\n", 0, false, "authorizer is not taken"},
		{method("RequestValidatorId: !Ref Nobody, " + mock), 0, false, "validator is not taken"},
		{method("Integration: {Type: HTTP_PROXY, Uri: !Sub 'https://${Api}.example'}"), 0, false, "id of Api is not known"},
		{method("Integration: {Type: HTTP_PROXY, ConnectionType: VPC_LINK, ConnectionId: x}"), 0, false, "VPC links"},
		{fmt.Sprintf(head, ", Policy: {Statement: !ImportValue x}"), 0, true, "Fn::ImportValue"},
		{fmt.Sprintf(head, ", DisableExecuteApiEndpoint: !ImportValue x"), 0, true, "Fn::ImportValue"},
		{fmt.Sprintf(head, ", BodyS3Location: {Bucket: b, Key: s3://elsewhere}"), 0, true, "not a file"},
		{fmt.Sprintf(head, "") + "  R: {Type: AWS::ApiGateway::Resource, Properties: {RestApiId: !Ref Api, ParentId: !Ref S, PathPart: r}}\n  S: {Type: AWS::ApiGateway::Resource, Properties: {RestApiId: !Ref Api, ParentId: !Ref R, PathPart: s}}\n", 0, false, "each other's parents"},
		{"Transform: [AWS::LanguageExtensions]\n" + fmt.Sprintf(head, ""), 0, false, "is not applied"},
	} {
		p := read(t, c.src, nil)
		if len(p.APIs) != 1 || len(methods(p.APIs[0])) != c.methods || (len(p.APIs[0].Definition.Unserved) > 0) != c.closed {
			t.Errorf("%s\n%+v", c.src, p)
		}
		said, _ := json.Marshal(p.Problems)
		if c.says == "" && len(p.Problems) > 0 || !strings.Contains(string(said), c.says) {
			t.Errorf("%s\nsays %s", c.src, said)
		}
	}
}

func TestRefusedTemplates(t *testing.T) {
	t.Parallel()
	bomb := "Resources: {A: {Type: T, Properties: {x: !Sub ['${a}', {a: y}]}}}\n"
	for src, says := range map[string]string{
		"": "empty", "{": "cannot be read", "a: 1": "no Resources", "Resources: &a {X: *a}": "aliases", "Resources: {A: 1, A: 2}": "twice",
		"Parameters: {P: {Type: String}}\nResources: {}":                                 "--parameter P=",
		"Parameters: {P: {Type: String, Default: x, AllowedValues: [y]}}\nResources: {}": "allowed values",
		"Resources: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000):            "",
		"Resources:\n  A: " + strings.Repeat("{a: ", 200) + strings.Repeat("}", 200):     "nests deeper",
		bomb + strings.Repeat("# ", cfn.MaxBytes):                                        "at most",
	} {
		_, err := cfn.Read([]byte(src), cfn.Options{Stack: "s"})
		if err == nil || !strings.Contains(err.Error(), says) || model.KindOf(err) == "" {
			t.Errorf("%.60q: %v", src, err)
		}
	}
	if _, err := cfn.Read([]byte("Resources: {}"), cfn.Options{Stack: "s", Parameters: map[string]string{"Q": "1"}}); err == nil || !strings.Contains(err.Error(), "no parameter Q") {
		t.Errorf("%v", err)
	}
}

// Whatever a template says, it is worked out within bounds or refused.
func FuzzRead(f *testing.F) {
	src, err := os.ReadFile("testdata/pets.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(src))
	f.Add("Conditions: {A: !Condition B, B: !Not [!Condition A]}\nResources: {R: {Type: AWS::ApiGateway::RestApi, Condition: A, Properties: {Name: !Select [1, !Split [',', 'a,b']]}}}")
	f.Add("Parameters: {P: {Type: CommaDelimitedList, Default: 'a,b'}}\nResources: {R: {Type: AWS::ApiGateway::RestApi, Properties: {Name: !Join ['-', !Ref P], Description: !ToJsonString {a: !Length [1]}, Policy: {\"Fn::Base64\": x}}}}")
	f.Fuzz(func(t *testing.T, src string) {
		p, err := cfn.Read([]byte(src), cfn.Options{Stack: "s", Region: "r", AccountID: "1"})
		if err != nil {
			if model.KindOf(err) == "" {
				t.Fatalf("%q: %v", src, err)
			}
			return
		}
		for i := range p.APIs {
			if err := p.APIs[i].Definition.Validate(); err != nil {
				t.Fatalf("%q: %v", src, err)
			}
		}
		if _, err := json.Marshal(p); err != nil {
			t.Fatal(err)
		}
	})
}
