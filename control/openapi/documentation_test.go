package openapi

import (
	"fmt"
	"strings"
	"testing"
)

func TestDocumentation(t *testing.T) {
	for _, c := range []struct{ name, src, want string }{
		{"a document in JSON", `{"swagger":"2.0","x-amazon-apigateway-documentation":{"version":"1","documentationParts":[
			{"location":{"type":"API"},"properties":{"info":{"description":"Pets"}}},
			{"location":{"type":"METHOD","path":"/pets","method":"GET"},"properties":"{\"a\": 1}"}]}}`,
			`[{ {API    } {"info":{"description":"Pets"}}} { {METHOD /pets GET  } {"a": 1}}] []`},
		{"the parts alone", `{"documentationParts":[{"location":{"type":"MODEL","name":"Pet"},"properties":{"x":[1,true,null]}}]}`,
			`[{ {MODEL    Pet} {"x":[1,true,null]}}] []`},
		{"YAML", "openapi: 3.0.1\nx-amazon-apigateway-documentation:\n  documentationParts:\n    - location: {type: RESPONSE, path: /pets, method: GET, statusCode: 200}\n" +
			"      properties: &p {description: \"200\", n: 1.5, ok: yes, t: true, d: 2020-01-01, none: ~}\n    - location: {type: RESPONSE, path: /pets, statusCode: '404'}\n      properties: *p\n",
			strings.ReplaceAll(`[{ {RESPONSE /pets GET 200 } @} { {RESPONSE /pets  404 } @}] []`, "@", `{"description":"200","n":1.5,"ok":"yes","t":true,"d":"2020-01-01","none":null}`)},
		{"what is no part", `{"documentationParts":[{"location":{"type":"TOY"},"properties":{}},{"location":{"type":"API","path":"/"},"properties":{}},{"location":{"type":"API"},"properties":"x"}]}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			parts, warnings, err := Documentation([]byte(c.src))
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(parts, " ", warnings); c.want != "" && got != c.want {
				t.Errorf("got %s\ninstead of %s", got, c.want)
			} else if c.want == "" && (len(parts) > 0 || len(warnings) != 3) {
				t.Errorf("got %s", got)
			}
		})
	}
	for _, src := range []string{"", "{'key:value}", "swagger: '2.0'", "- 1", "a: &a [*a]", `{"documentationParts":7}`, strings.Repeat("[", 1000)} {
		if _, _, err := Documentation([]byte(src)); err == nil {
			t.Errorf("%.40q is read", src)
		}
	}
}
