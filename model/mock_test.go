package model

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseMock(t *testing.T) {
	t.Parallel()
	ok := map[string]string{"application/json": ` { "statusCode" : 200 } `}
	for name, c := range map[string]struct {
		in   Integration
		want *Mock
		text string
	}{
		"made by hand": {*FixedMock(201, "text/plain", "hello $5 #1"), &Mock{201, [][2]string{{"Content-Type", "text/plain"}}, "hello $5 #1"}, ""},
		"no body":      {*FixedMock(204, "", ""), &Mock{204, [][2]string{{"Content-Type", "application/json"}}, ""}, ""},
		"the response for the code": {Integration{RequestTemplates: map[string]string{"application/json": `{"statusCode": 404}`}, Responses: map[string]IntegrationResponse{
			"default": {StatusCode: "200"}, "4\\d{2}": {StatusCode: "410", SelectionPattern: new("4\\d{2}")}}}, &Mock{410, [][2]string{{"Content-Type", "application/json"}}, ""}, ""},
		"headers": {Integration{RequestTemplates: ok, Responses: map[string]IntegrationResponse{"default": {StatusCode: "200",
			ResponseParameters: map[string]string{"method.response.header.X-A": "'1'", "method.response.header.Access-Control-Allow-Origin": "'*'"}}}},
			&Mock{200, [][2]string{{"Access-Control-Allow-Origin", "*"}, {"Content-Type", "application/json"}, {"X-A", "1"}}, ""}, ""},
		"no template":       {Integration{Responses: map[string]IntegrationResponse{"default": {StatusCode: "200"}}}, nil, "needs a request template"},
		"no code":           {Integration{RequestTemplates: map[string]string{"application/json": `{}`}}, nil, "does not name a status code"},
		"a computed code":   {Integration{RequestTemplates: map[string]string{"application/json": `{"statusCode": $input.params('s')}`}}, nil, "template language"},
		"no response":       {Integration{RequestTemplates: ok}, nil, "no integration response for status code 200"},
		"a computed body":   {Integration{RequestTemplates: ok, Responses: map[string]IntegrationResponse{"default": {StatusCode: "200", ResponseTemplates: map[string]string{"a/b": "#set($x=1)"}}}}, nil, "template language"},
		"a computed header": {Integration{RequestTemplates: ok, Responses: map[string]IntegrationResponse{"default": {StatusCode: "200", ResponseParameters: map[string]string{"method.response.header.X": "integration.response.header.Y"}}}}, nil, "is not fixed"},
		"a header smuggled": {Integration{RequestTemplates: ok, Responses: map[string]IntegrationResponse{"default": {StatusCode: "200", ResponseParameters: map[string]string{"method.response.header.X": "'a\r\nSet-Cookie: x'"}}}}, nil, "cannot be sent"},
		"framing":           {Integration{RequestTemplates: ok, Responses: map[string]IntegrationResponse{"default": {StatusCode: "200", ResponseParameters: map[string]string{"method.response.header.Content-Length": "'5'"}}}}, nil, "under another name"},
		"unquoted":          {Integration{RequestTemplates: map[string]string{"application/json": "{ statusCode: 204 }"}, Responses: map[string]IntegrationResponse{"default": {StatusCode: "204"}}}, &Mock{204, [][2]string{{"Content-Type", "application/json"}}, ""}, ""},
		"a bad pattern":     {Integration{RequestTemplates: ok, Responses: map[string]IntegrationResponse{"(": {StatusCode: "200", SelectionPattern: new("(")}}}, nil, "not a regular expression"},
		"a bad status":      {Integration{RequestTemplates: ok, Responses: map[string]IntegrationResponse{"default": {StatusCode: "99"}}}, nil, "not between 200 and 599"},
	} {
		got, err := ParseMock(&c.in)
		if c.text != "" {
			if err == nil || !strings.Contains(MessageOf(err), c.text) {
				t.Errorf("%s: %v, want %q", name, err, c.text)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
