package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

func model(t testing.TB, text string) *Schema {
	t.Helper()
	s, err := Compile(map[string]string{"M": text}, "M")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// detail validates and gives the failure's detail, "" if the body fits.
func detail(t testing.TB, s *Schema, body string) string {
	t.Helper()
	err := s.Validate([]byte(body))
	if err == nil {
		return ""
	}
	f, ok := errors.AsType[*Failure](err)
	if !ok {
		t.Fatalf("%.100s: %v", body, err)
	}
	if f.Message != "Invalid request body" {
		t.Errorf("message %q", f.Message)
	}
	return f.Detail
}

const orders = `{
	"$schema": "http://json-schema.org/draft-04/schema#", "title": "Create Orders Schema", "type": "array", "minItems": 1,
	"items": {
		"type": "object", "required": ["account-id", "type", "symbol", "shares", "order-date", "details"],
		"properties": {
			"account_id": {"type": "string", "pattern": "[A-Za-z]{6}[0-9]{6}"},
			"type": {"type": "string", "enum": ["STOCK", "BOND", "CASH"]},
			"symbol": {"type": "string", "minLength": 1, "maxLength": 4},
			"shares": {"type": "number", "minimum": 1, "maximum": 1000},
			"order-date": {"type": "string", "pattern": "^\\d{4}\\-(0[1-9]|1[012])\\-(0[1-9]|[12][0-9]|3[01])$"},
			"details": {"type": "object", "required": ["limit"], "properties": {"limit": {"type": "number"}}}
		}
	}
}`

// Answers of the service that were quoted in public, with the models and bodies they
// were got with (or the smallest that lead there).
func TestQuotedAnswers(t *testing.T) {
	const coordinates = `{"type":"object","properties":{
		"lat":{"type":"number","format":"double","minimum":-90,"maximum":90},
		"lon":{"type":"number","format":"double","minimum":-180,"maximum":180}}}`
	for _, c := range []struct{ model, body, want string }{
		{orders, `[{"account-id":"abcdef123456sss","type":"WOW","symbol":"AMZN","shares":10000000,"order-date":"2018-01-28","details":{"limit":1000}}]`,
			`[instance value ("WOW") not found in enum (possible values: ["STOCK","BOND","CASH"]), numeric instance is greater than the required maximum (maximum: 1000, found: 10000000)]`},
		{orders, `[{"account-id":"abcdef123456","type":"foobar","symbol":"thisstringistoolong","shares":999999,"order-date":"2018-1-2","details":{"limit":1000}}]`,
			`[ECMA 262 regex "^\d{4}\-(0[1-9]|1[012])\-(0[1-9]|[12][0-9]|3[01])$" does not match input string "2018-1-2", numeric instance is greater than the required maximum (maximum: 1000, found: 999999), string "thisstringistoolong" is too long (length: 19, maximum allowed: 4), instance value ("foobar") not found in enum (possible values: ["STOCK","BOND","CASH"])]`},
		{`{"required":["bar"],"properties":{"bar":{}},"additionalProperties":false}`, `{"foo":"bar"}`,
			`[object has missing required properties (["bar"]), object instance has properties which are not allowed by the schema: ["foo"]]`},
		{`{"properties":{"question":{"minLength":3},"top_k":{"maximum":10}}}`, `{"question":"hi","top_k":99}`,
			`[string "hi" is too short (length: 2, required minimum: 3), numeric instance is greater than the required maximum (maximum: 10, found: 99)]`},
		{coordinates, `{"lat":null,"lon":null}`,
			`[instance type (null) does not match any allowed primitive type (allowed: ["integer","number"]), format attribute "double" not supported]`},
		{coordinates, `{"lat":"north"}`,
			`[format attribute "double" not supported, instance type (string) does not match any allowed primitive type (allowed: ["integer","number"])]`},
		{`{"type":"object","required":["firstName","lastName","email","password","repeatPassword"]}`, `{"firstName":"A","lastName":"S"}`,
			`[object has missing required properties (["email","password","repeatPassword"])]`},
		{`{"enum":["typed","attachment"]}`, `""`, `[instance value ("") not found in enum (possible values: ["typed","attachment"])]`},
		{`{"pattern":"[A-Za-z0-9]{4,10}"}`, `"n@me!!"`, `[ECMA 262 regex "[A-Za-z0-9]{4,10}" does not match input string "n@me!!"]`},
		{`{"oneOf":[{"type":"string"},{"type":"null"}]}`, `1`, `[instance failed to match exactly one schema (matched 0 out of 2)]`},
		{`{"minimum":1262300400000}`, `1`, `[numeric instance is lower than the required minimum (minimum: 1262300400000, found: 1)]`},
		{`{"type":"object"}`, ``, `[Unknown error parsing request body]`},
		{`{"type":"object"}`, `{"a":`, `[Unknown error parsing request body]`},
	} {
		if got := detail(t, model(t, c.model), c.body); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.body, got, c.want)
		}
	}
}

// One message each: the texts of the library's message bundle.
func TestMessages(t *testing.T) {
	for _, c := range []struct{ model, body, want string }{
		{`{"items":[{},{}],"additionalItems":false}`, `[1,2,3]`, `schema only allows 2 elements in array but instance has 3 elements`},
		{`{"minItems":2}`, `[1]`, `array is too short: must have at least 2 elements but instance has 1 elements`},
		{`{"maxItems":0}`, `[1]`, `array is too long: must have at most 0 elements but instance has 1 elements`},
		{`{"uniqueItems":true}`, `[{"a":1,"b":[2]},{"b":[2.0],"a":1}]`, `array must not contain duplicate elements`},
		{`{"minimum":1.50}`, `1.25`, `numeric instance is lower than the required minimum (minimum: 1.5, found: 1.25)`},
		{`{"minimum":2.0,"exclusiveMinimum":true}`, `2`, `numeric instance is not strictly greater than the required minimum 2`},
		{`{"maximum":1e2}`, `101.10`, `numeric instance is greater than the required maximum (maximum: 100, found: 101.1)`},
		{`{"maximum":5,"exclusiveMaximum":true}`, `5.0`, `numeric instance is not strictly lower than the required maximum 5`},
		{`{"maximum":1}`, `12300000000000000000000000`, `numeric instance is greater than the required maximum (maximum: 1, found: 12300000000000000000000000)`},
		{`{"maximum":1}`, `10.0`, `numeric instance is greater than the required maximum (maximum: 1, found: 1E+1)`},
		{`{"multipleOf":0.01}`, `0.005`, `remainder of division is not zero (0.005 / 0.01)`},
		{`{"multipleOf":7}`, `-8`, `remainder of division is not zero (-8 / 7)`},
		{`{"properties":{"a":{}},"patternProperties":{"^x":{}},"additionalProperties":false}`, `{"z":1,"a":1,"x1":1,"b\"":2}`, `object instance has properties which are not allowed by the schema: ["b\"","z"]`},
		{`{"minLength":2}`, `"\uD83D\uDCA9"`, `string "💩" is too short (length: 1, required minimum: 2)`},
		{`{"maxLength":1}`, `"\"\n"`, "string \"\"\n\" is too long (length: 2, maximum allowed: 1)"},
		{`{"pattern":"^a/b\\/$"}`, `"x"`, `ECMA 262 regex "^a/b\/$" does not match input string "x"`},
		{`{"enum":[1,1.50,"a\n",null,{"b":[true]}]}`, `{"b" : [ false ]}`, `instance value ({"b":[false]}) not found in enum (possible values: [1,1.5,"a\n",null,{"b":[true]}])`},
		{`{"minProperties":2}`, `{"a":1}`, `object has too few properties (found 1 but schema requires at least 2)`},
		{`{"maxProperties":1}`, `{"a":1,"b":2}`, `object has too many properties (found 2 but schema requires at most 1)`},
		{`{"required":["b","c","a"]}`, `{"b":1}`, `object has missing required properties (["a","c"])`},
		{`{"dependencies":{"a":["d","c","b"]}}`, `{"a":1,"c":2}`, `property "a" of object has missing property dependencies (schema requires ["b","c","d"]; missing: ["b","d"])`},
		{`{"type":["string","number"]}`, `true`, `instance type (boolean) does not match any allowed primitive type (allowed: ["integer","number","string"])`},
		{`{"type":"integer"}`, `1.0`, `instance type (number) does not match any allowed primitive type (allowed: ["integer"])`},
		{`{"anyOf":[{"type":"string"},{"minimum":2}]}`, `1`, `instance failed to match at least one required schema among 2`},
		{`{"allOf":[{"maximum":3},{"minimum":2},{"type":"null"}]}`, `1`, `instance failed to match all required schemas (matched only 1 out of 3)`},
		{`{"oneOf":[{"maximum":3},{"minimum":0},{"type":"null"}]}`, `1`, `instance failed to match exactly one schema (matched 2 out of 3)`},
		{`{"not":{}}`, `1`, `instance matched a schema which it should not have`},
		{`{"format":"date-time"}`, `"2018-02-30T00:00:00Z"`, `string "2018-02-30T00:00:00Z" is invalid against requested date format(s) [yyyy-MM-dd'T'HH:mm:ssZ, yyyy-MM-dd'T'HH:mm:ss.[0-9]{1,12}Z]`},
		{`{"format":"email"}`, `"a@"`, `string "a@" is not a valid email address`},
		{`{"format":"hostname"}`, `"-a"`, `string "-a" is not a valid hostname`},
		{`{"format":"ipv4"}`, `"1.2.3"`, `string "1.2.3" is not a valid IPv4 address`},
		{`{"format":"ipv6"}`, `":"`, `string ":" is not a valid IPv6 address`},
		{`{"format":"regex"}`, `"(a"`, `string "(a" is not a valid ECMA 262 regular expression`},
		{`{"format":"uri"}`, `"a b"`, `string "a b" is not a valid URI`},
		{`{"format":"uuid"}`, `"1"`, `input string "1" is not a valid UUID`},
		{`{"format":"mac"}`, `"1"`, `input string "1" is not a valid MAC address`},
		{`{"format":"json-pointer"}`, `"a"`, `input string "a" is not a valid JSON Pointer`},
		{`{"format":"base64"}`, `"abc"`, `input has illegal length (must be a multiple of 4, found 3)`},
		{`{"format":"base64"}`, `"ab-c"`, `illegal character "-" at index 2 (not in Base64 alphabet)`},
		{`{"format":"md5"}`, `"00"`, `input string has incorrect length (2, expected 32)`},
		{`{"format":"sha1"}`, `"000000000000000000000000000000000000000g"`, `illegal character "g" in input at index 39`},
	} {
		if got := detail(t, model(t, c.model), c.body); got != "["+c.want+"]" {
			t.Errorf("%s %s\n got %s\nwant [%s]", c.model, c.body, got, c.want)
		}
	}
}

// Which of several messages are listed.
func TestWhatIsReported(t *testing.T) {
	for _, c := range []struct{ name, model, body, want string }{
		{"every keyword of one schema", `{"type":"string","enum":["a"],"minimum":3}`, `1`,
			`[instance type (integer) does not match any allowed primitive type (allowed: ["string"]), numeric instance is lower than the required minimum (minimum: 3, found: 1), instance value (1) not found in enum (possible values: ["a"])]`},
		{"members only if the object itself is right", `{"required":["b"],"properties":{"a":{"type":"null"}}}`, `{"a":1}`,
			`[object has missing required properties (["b"])]`},
		{"below a failure, keywords but not what they contain", `{"items":{"properties":{"a":{"type":"null"}},"maxProperties":1}}`, `[{"a":1},{"a":2,"b":3},{"a":"x"}]`,
			`[instance type (integer) does not match any allowed primitive type (allowed: ["null"]), object has too many properties (found 2 but schema requires at most 1)]`},
		{"each message once", `{"items":{"type":"null"}}`, `[1,2,3]`,
			`[instance type (integer) does not match any allowed primitive type (allowed: ["null"])]`},
		{"nothing from inside a combination", `{"anyOf":[{"required":["a"]},{"format":"unheard"}],"allOf":[{"not":{}}]}`, `{}`,
			`[instance failed to match all required schemas (matched only 0 out of 1)]`},
		{"a dependency's schema reports for itself", `{"dependencies":{"a":{"required":["b"]}}}`, `{"a":1}`,
			`[object has missing required properties (["b"])]`},
		{"an unknown format fails nothing", `{"format":"int32"}`, `"x"`, ``},
		{"the last of two members counts", `{"properties":{"a":{"type":"null"}},"maxProperties":1}`, `{"a":1,"\u0061":null}`, ``},
	} {
		if got := detail(t, model(t, c.model), c.body); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// Order and growth as java.util.HashSet has them: the lists are what Java 17 prints.
func TestHashSetOrder(t *testing.T) {
	for n, want := range map[int]string{
		3:  "a0 k2 f1",
		12: "j7 a0 c3 d11 e6 g9 b8 k2 l10 m5 f1 h4",
		13: "j7 a0 c3 d11 e6 g9 i12 k2 m5 f1 h4 b8 l10",
		30: "j7 a26 d24 c29 g22 j20 b21 f1 h4 m18 e19 h17 l10 k15 a0 a13 c3 d11 e6 f14 g9 i12 c16 k2 m5 l23 b8 f27 i25 k28",
	} {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf("é💩 %c%d", 'a'+i*5%13, i))
		}
		if got := strings.ReplaceAll(strings.Join(hashSetOrder(list), " "), "é💩 ", ""); got != want {
			t.Errorf("%d strings:\n got %s\nwant %s", n, got, want)
		}
	}
	// "Aa" and "BB" have one hash: they stay in the order they came in.
	if got := hashSetOrder([]string{"BB", "Aa"}); got[0] != "BB" || got[1] != "Aa" {
		t.Errorf("%q", got)
	}
}

func TestCompileErrors(t *testing.T) {
	const remote = ` is outside this API: a reference may point into the model (#/definitions/…) or to another one (https://apigateway.amazonaws.com/restapis/{api-id}/models/{name}); nothing is fetched`
	for _, c := range []struct{ model, want string }{
		{`{"type":`, `model M, at #: not valid JSON: unexpected end of the JSON text (byte 8)`},
		{`[]`, `model M, at #: a schema must be a JSON object, not of type array`},
		{`{"properties":{"a/b~":true}}`, `model M, at #/properties/a~1b~0: a schema must be a JSON object, not of type boolean`},
		{`{"type":"any"}`, `model M, at #/type: "any" is not one of the types array, boolean, integer, null, number, object, string`},
		{`{"type":[]}`, `model M, at #/type: must have at least 1 element`},
		{`{"required":true}`, `model M, at #/required: must be of type array, not boolean`},
		{`{"required":[]}`, `model M, at #/required: must have at least 1 element`},
		{`{"required":["a","a"]}`, `model M, at #/required: must not contain duplicate elements`},
		{`{"minLength":-1}`, `model M, at #/minLength: must be from 0 to 2147483647`},
		{`{"maxItems":1.5}`, `model M, at #/maxItems: must be of type integer, not number`},
		{`{"exclusiveMinimum":true}`, `model M, at #/exclusiveMinimum: must be paired with minimum`},
		{`{"exclusiveMaximum":5}`, `model M, at #/exclusiveMaximum: must be of type boolean, not integer`},
		{`{"multipleOf":0}`, `model M, at #/multipleOf: must be greater than 0`},
		{`{"minimum":"1"}`, `model M, at #/minimum: must be a number, not of type string`},
		{`{"anyOf":[]}`, `model M, at #/anyOf: must have at least 1 element`},
		{`{"items":{"$ref":5}}`, `model M, at #/items/$ref: a reference must be a string`},
		{`{"not":{"$ref":"#/definitions/x"}}`, `model M, at #/not/$ref: "#/definitions/x" leads to nothing`},
		{`{"$ref":"#name"}`, `model M, at #/$ref: there is no schema with the id "#name"`},
		{`{"$ref":"http://example.com/x.json"}`, `model M, at #/$ref: "http://example.com/x.json"` + remote},
		{`{"$ref":"file:///etc/passwd"}`, `model M, at #/$ref: "file:///etc/passwd"` + remote},
		{`{"$ref":"https://apigateway.amazonaws.com/restapis/abc/models/Nope"}`, `model M, at #/$ref: there is no model "Nope"`},
		{`{"items":{"$ref":"https://apigateway.amazonaws.com/restapis/abc/models/Broken"}}`, `model Broken, at #/properties/x/pattern: pattern "(": not a valid regular expression: missing closing ): "("`},
		{`{"$ref":"#"}`, `model M, at #: the reference leads back to itself`},
		{`{"anyOf":[{"$ref":"#"},{"type":"string"}]}`, `model M, at #: the schema applies itself to the same value again, without end`},
		{`{"pattern":"^(?=.*x)a$"}`, `model M, at #/pattern: pattern "^(?=.*x)a$": look-ahead ("(?=") is not supported: patterns are matched in linear time (RE2 syntax), without look-ahead, look-behind and back references`},
		{`{"pattern":"(a)\\1"}`, `model M, at #/pattern: pattern "(a)\\1": a back reference ("\\1") is not supported: patterns are matched in linear time (RE2 syntax), without look-ahead, look-behind and back references`},
		{`{"pattern":"^.{1,4000}$"}`, `model M, at #/pattern: pattern "^.{1,4000}$": "{1,4000}" repeats too often: at most 1000 times, nested repetitions multiplied; minLength and maxLength have no such limit`},
		{`{"pattern":"` + strings.Repeat("[a-z]{1000}", 200) + `"}`, `the model's patterns take more than 20000 steps together; use smaller repetition counts`},
		{`{"pattern":"` + strings.Repeat("a", 5000) + `"}`, `the pattern is longer than 4096 bytes`},
		{strings.Repeat(`{"not":`, 300) + `{}` + strings.Repeat(`}`, 300), `model M, at #: not valid JSON: nested deeper than 256 levels (byte 1792)`},
		{strings.Repeat(`{"not":`, 200) + `{}` + strings.Repeat(`}`, 200), `more than 128 schemas inside each other for one value`},
		{`{"items":[` + strings.Repeat(`{},`, 20_000) + `{}]}`, `model M, at #/items/19999: more than 20000 schemas`},
		{`{"title":"` + strings.Repeat("x", 400<<10) + `"}`, `model M, at #: a model may have 400 KB, and the models it refers to 4096 KB together`},
	} {
		_, err := Compile(map[string]string{"M": c.model, "Broken": `{"properties":{"x":{"pattern":"("}}}`}, "M")
		if err == nil || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%.80s\n got %v\nwant %s", c.model, err, c.want)
		} else if _, ok := errors.AsType[*Error](err); !ok {
			t.Errorf("%.80s: %T", c.model, err)
		}
	}
	if _, err := Compile(nil, "M"); err == nil || err.Error() != "model M, at #: there is no such model" {
		t.Error(err)
	}
}

func TestReferences(t *testing.T) {
	models := map[string]string{
		"Tree": `{"type":"object","properties":{"name":{"$ref":"https://apigateway.amazonaws.com/restapis/a1b2c3/models/Name"},
			"children":{"type":"array","items":{"$ref":"#"}},"pet":{"$ref":"https://apigateway.amazonaws.com/restapis/other/models/Pet#/definitions/kind"}},"required":["name"]}`,
		"Name": `{"type":"string","minLength":1}`,
		"Pet":  `{"definitions":{"kind":{"enum":["cat"]},"owner":{"$ref":"https://apigateway.amazonaws.com/restapis/a1b2c3/models/Tree"}},"type":"object"}`,
		// Not reached from Tree, so of no concern.
		"Broken": `{"type":`,
	}
	s, err := Compile(models, "Tree")
	if err != nil {
		t.Fatal(err)
	}
	for body, want := range map[string]string{
		`{"name":"a","children":[{"name":"b","children":[]}],"pet":"cat"}`: ``,
		`{"name":"a","children":[{"name":"b","children":[{"name":""}]}]}`:  `[string "" is too short (length: 0, required minimum: 1)]`,
		`{"name":"a","pet":"dog"}`: `[instance value ("dog") not found in enum (possible values: ["cat"])]`,
	} {
		if got := detail(t, s, body); got != want {
			t.Errorf("%s: got %s, want %s", body, got, want)
		}
	}
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{`a.c`, "xabcx", true}, {`a.c`, "a\u2028c", false}, {`^\s$`, "\u00a0", true}, {`^[\s]$`, "\ufeff", true},
		{`^\S$`, "\u00a0", false}, {`^[^\S]$`, "\v", true}, {`[[]`, "[", true}, {`^[[:alpha:]]$`, "a]", true},
		{`^\u0041\x42\cJ\0$`, "AB\n\x00", true}, {`^\uD83D\uDCA9$`, "💩", true}, {`^[^]$`, "\n", true}, {`[]`, "a", false},
		{`^\A\z\Q$`, "AzQ", true}, {`^a{,2}$`, "a{,2}", true}, {`^(?<y>\d{4})$`, "2024", true}, {`^[\b]$`, "\b", true}, {`\-\_\/\@\é`, "-_/@é", true},
	} {
		re, err := compilePattern(c.pattern, maxPatternSize)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
		} else if got := re.MatchString(c.text); got != c.want {
			t.Errorf("%s on %q: %v (as %s)", c.pattern, c.text, got, re.Regexp)
		}
	}
	for _, p := range []string{`(?i)a`, `(?P<a>b)`, `a**`, `[z-a]`, `\`, `(?<!a)b`, `\k<a>`} {
		if re, err := compilePattern(p, maxPatternSize); err == nil {
			t.Errorf("%s is taken as %s", p, re.Regexp)
		}
	}
}

// What a body may be: JSON, all of it, with limits.
func TestBodies(t *testing.T) {
	s := model(t, `{}`)
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for body, want := range map[string]bool{
		` {"a":[1,-0,1e5,0.5E-3,"\u00e9\ud83d"]} `: true, `1 2`: false, `{} x`: false, `01`: false, `1.`: false, `.5`: false, `+1`: false, `1e`: false,
		`nul`: false, `"a`: false, "\"a\nb\"": false, `"\x"`: false, `"\u12"`: false, `[1,]`: false, `{"a":1,}`: false, `{a:1}`: false, `[1 2]`: false, `{"a" 1}`: false,
		`NaN`: false, "\ufeff1": false, deep(1000): true, deep(1001): false, strings.Repeat("1", 1000): true, strings.Repeat("1", 1001): false,
		`1e999999999`: true, `1e1000000000`: false, "\"\xff\"": true,
	} {
		if got := detail(t, s, body); got != "" && got != unreadable || (got == "") != want {
			t.Errorf("%.40q: %q, want it to pass: %v", body, got, want)
		}
	}
	if err := s.Validate(make([]byte, MaxBody+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v", err)
	}
}

func TestNumbers(t *testing.T) {
	ordered := []string{"-1e999999999", "-10.01", "-10", "-0.1", "-1e-999999999", "0", "1e-7", "0.0000011", "0.1", "9007199254740992", "9007199254740993", "18446744073709551616", "1e999999999"}
	for i, a := range ordered {
		for j, b := range ordered {
			if got := compareNumbers([]byte(a), []byte(b)); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%s and %s: %d", a, b, got)
			}
		}
	}
	for _, same := range [][2]string{{"1", "1.0"}, {"100", "1e2"}, {"-0", "0.00"}, {"0.001", "1E-3"}, {"123456789012345678901", "123456789012345678901.000"}} {
		if compareNumbers([]byte(same[0]), []byte(same[1])) != 0 || string(canonical(nil, []byte(same[0]))) != string(canonical(nil, []byte(same[1]))) {
			t.Errorf("%s is not %s", same[0], same[1])
		}
	}
	for _, c := range []struct {
		a, b string
		want bool
	}{{"1e308", "0.5", true}, {"0.0075", "0.0001", true}, {"0.00751", "0.0001", false}, {"1e999999999", "7", false}, {"7e999999999", "7", true}, {"1", "1e999999999", false}, {"0.0", "3.7", true}, {"-9", "3", true}} {
		if got := multiple([]byte(c.a), []byte(c.b)); got != c.want {
			t.Errorf("%s of %s: %v", c.a, c.b, got)
		}
	}
	for text, want := range map[string]string{"1.50": "1.5", "-0.00012": "-0.00012", "0.0000001": "1E-7", "120.0": "1.2E+2", "1e3": "1E+3", "0.0": "0", "12345e-2": "123.45"} {
		if got := string(appendNumber(nil, []byte(text), numberKind)); got != want {
			t.Errorf("%s prints as %s, want %s", text, got, want)
		}
	}
}

// None of these may take more than moments, whatever the answer.
func TestHostile(t *testing.T) {
	var names, members, strs strings.Builder
	for i := range 700_000 {
		fmt.Fprintf(&members, `,"k%d":0`, i)
	}
	for i := range 1_000_000 {
		fmt.Fprintf(&names, ",%d", i)
	}
	for i := range 200_000 {
		fmt.Fprintf(&strs, `,"string number %d"`, i)
	}
	exponential := `{"definitions":{"d0":{"type":"null"}`
	for i := range 40 {
		exponential += fmt.Sprintf(`,"d%d":{"anyOf":[{"$ref":"#/definitions/d%d"},{"$ref":"#/definitions/d%d"}]}`, i+1, i, i)
	}
	exponential += `},"$schema":"http://json-schema.org/draft-04/schema#","not":{"$ref":"#/definitions/d40"}}`
	for _, c := range []struct {
		name, model, body string
		cost              bool
		want              string // the detail's start; "" passes
	}{
		{"many schemas for one value", exponential, `1`, true, ""},
		{"a large pattern on a large string", `{"pattern":"(x+x+)+[a-z]{900}y"}`, `"` + strings.Repeat("x", 9<<20) + `"`, true, ""},
		{"a usual pattern on a large string", `{"pattern":"^[A-Za-z0-9+/]*={0,2}$"}`, `"` + strings.Repeat("x", 9<<20) + `"`, false, ""},
		{"a backtracker's horror", `{"pattern":"^(a+)+$"}`, `"` + strings.Repeat("a", 50_000) + `!"`, false, `[ECMA 262 regex "^(a+)+$" does not match`},
		{"unique items", `{"uniqueItems":true}`, `[0` + names.String()[2:] + `]`, false, ""},
		{"unique nested items", `{"uniqueItems":true,"items":{"$ref":"#"}}`, strings.Repeat("[0,", 900) + `[0` + names.String()[2:] + `]` + strings.Repeat("]", 900), false, ""},
		{"many members", `{"additionalProperties":{"type":"integer"}}`, `{` + members.String()[1:] + `}`, false, ""},
		{"many repeated members", `{"maxProperties":1}`, `{` + strings.Repeat(`"a":1,`, 1_000_000) + `"a":2}`, false, ""},
		{"many different messages", `{"items":{"maxLength":3}}`, `[` + strs.String()[1:] + `]`, false, `[`},
		{"a large enum value", `{"enum":[1]}`, `[0` + names.String()[2:] + `]`, false, `[instance value ([0,1,2`},
		{"deep nesting", `{"items":{"$ref":"#"},"allOf":[{"items":{"type":"array"}}]}`, strings.Repeat("[", 1000) + strings.Repeat("]", 1000), false, ""},
		{"regular expressions as values", `{"items":{"format":"regex"}}`, `["` + strings.Repeat(strings.Repeat(".{1000}", 500)+`","`, 100) + `"]`, false, ""},
		{"multiples of huge exponents", `{"items":{"multipleOf":1e-999999999}}`, `[` + strings.Repeat("1e999999999,", 10_000) + `1]`, false, ""},
	} {
		s := model(t, c.model)
		start := time.Now()
		err := s.Validate([]byte(c.body))
		if d := time.Since(start); d > 20*time.Second {
			t.Errorf("%s: took %v", c.name, d)
		} else {
			t.Logf("%-40s %8d bytes %v", c.name, len(c.body), d)
		}
		f, failed := errors.AsType[*Failure](err)
		switch {
		case c.cost:
			if !errors.Is(err, ErrTooCostly) {
				t.Errorf("%s: %.200v, want ErrTooCostly", c.name, err)
			}
		case failed:
			if c.want == "" || !strings.HasPrefix(f.Detail, c.want) || len(f.Detail) > maxDetail+maxMessage+10*maxMessages {
				t.Errorf("%s: %.200s", c.name, f.Detail)
			}
		case err != nil || c.want != "":
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestConcurrent(t *testing.T) {
	s := model(t, orders)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				shares := 1000 + (i+j)%2
				body := fmt.Sprintf(`[{"account-id":"a%d","type":"BOND","symbol":"\u0041","shares":%d,"order-date":"2018-01-02","details":{"limit":%d}}]`, i, shares, j)
				if err := s.Validate([]byte(body)); (err == nil) != (shares == 1000) {
					t.Errorf("%s: %v", body, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestModelFor(t *testing.T) {
	models := map[string]string{"application/json": "J", "text/xml": "X"}
	withDefault := map[string]string{"application/json": "J", "$default": "D"}
	for _, c := range []struct {
		models            map[string]string
		contentType, want string
	}{
		{models, "", "J"}, {models, "application/json", "J"}, {models, "Application/JSON; charset=utf-8", "J"}, {models, " ;x", "J"}, {models, "text/xml", "X"},
		{models, "text/plain", ""}, {models, "$default", ""}, {withDefault, "text/plain", "D"}, {withDefault, "application/json", "J"}, {nil, "application/json", ""},
		{map[string]string{"$default": "D"}, "", "D"},
	} {
		if got, ok := ModelFor(c.models, c.contentType); got != c.want || ok != (c.want != "") {
			t.Errorf("%v %q: %q %v, want %q", c.models, c.contentType, got, ok, c.want)
		}
	}
}

func TestMissing(t *testing.T) {
	for want, names := range map[string][]string{
		"": nil,
		"Missing required request parameters: [Authorization]":      {"Authorization"},
		"Missing required request parameters: [password, username]": {"username", "password"},
		"Missing required request parameters: [di, pi]":             {"pi", "di"},
	} {
		if got := Missing(names); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if Present(" \t") || Present("") || !Present(" x") {
		t.Error("blank values do not count as given")
	}
}

func FuzzCompile(f *testing.F) {
	f.Add(orders, `[{"type":"x"}]`)
	f.Add(`{"$ref":"#/definitions/a","definitions":{"a":{"id":"#x","items":[{"$ref":"#x"}],"additionalItems":false}}}`, `[[[]]]`)
	f.Add(`{"patternProperties":{"^(a|b)*$":{"dependencies":{"a":["b"],"c":{"not":{}}}}},"uniqueItems":true}`, `{"ab":{"a":1,"c":[1,1.0]}}`)
	f.Add(string(draft4), `{"type":["string",1],"minimum":"x"}`)
	f.Fuzz(func(t *testing.T, text, body string) {
		start := time.Now()
		s, err := Compile(map[string]string{"M": text, "N": body}, "M")
		if err == nil {
			agree(t, s, body)
		}
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("took %v", d)
		}
	})
}

func FuzzValidate(f *testing.F) {
	schemas := []*Schema{model(f, orders), model(f, string(draft4)), model(f, `{"uniqueItems":true,"items":{"$ref":"#"},"additionalProperties":{"$ref":"#"},"enum":[[1],{"a":1},[],{}],"minProperties":1,"multipleOf":0.5,"maximum":3e2,"format":"date-time"}`)}
	for _, body := range []string{`[{"a":1e5,"b":"\u00e9"}]`, `{"a":1,"a":2}`, `{"1":0,"2":0,"3":0,"4":0,"5":0,"6":0,"7":0,"8":0,"9":0,"1":1}`, `{"type":["string"],"minimum":1,"exclusiveMinimum":true}`, `"2024-01-01T00:00:00Z"`} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		d := new(doc)
		if err := d.parse([]byte(body), maxBodyDepth); (err == nil) != json.Valid([]byte(body)) {
			// Only our limits make a difference.
			if e, ok := errors.AsType[*syntaxError](err); !ok || !strings.Contains(e.reason, "more than") && !strings.Contains(e.reason, "nested") && !strings.Contains(e.reason, "exponent") {
				t.Fatalf("%q: %v, encoding/json disagrees", body, err)
			}
		}
		for _, s := range schemas {
			agree(t, s, body)
		}
	})
}

// agree: the quick way and the service's way to look at a body come to one answer.
func agree(t *testing.T, s *Schema, body string) {
	d := new(doc)
	if d.parse([]byte(body), maxBodyDepth) != nil {
		return
	}
	quick := run{doc: d, budget: budget(len(body))}
	ok := quick.valid(s.root, 0)
	slow := run{doc: d, budget: budget(len(body))}
	slow.report(s.root, 0)
	if quick.budget >= 0 && slow.budget >= 0 && ok == slow.failed {
		t.Fatalf("%q: fits %v, yet %s", body, ok, slow.messages.String())
	}
	if err := s.Validate([]byte(body)); quick.budget >= 0 && slow.budget >= 0 && (err == nil) != ok {
		t.Fatalf("%q: %v", body, err)
	}
}

// benchModel and benchBody: ten properties, about 1 KB.
const benchModel = `{"type":"object","required":["id","email","name","age","tags"],"additionalProperties":false,"properties":{
	"id":{"type":"string","minLength":36,"maxLength":36},"email":{"type":"string","pattern":"^[^@ ]+@[^@ ]+$"},"name":{"type":"string","minLength":1,"maxLength":100},
	"age":{"type":"integer","minimum":0,"maximum":150},"score":{"type":"number","minimum":0},"plan":{"type":"string","enum":["free","team","business"]},
	"active":{"type":"boolean"},"tags":{"type":"array","items":{"type":"string","maxLength":20},"maxItems":20,"uniqueItems":true},
	"address":{"type":"object","required":["street","city"],"properties":{"street":{"type":"string"},"city":{"type":"string"},"zip":{"type":"string"}}},
	"notes":{"type":"string","maxLength":2000}}}`

var benchBody = `{"id":"7d444840-9dc0-11d1-b245-5ffdce74fad2","email":"someone@example.com","name":"Some One","age":42,"score":17.25,"plan":"team","active":true,
	"tags":["red","green","blue","new","old"],"address":{"street":"Main Street 1","city":"Springfield","zip":"12345"},"notes":"` + strings.Repeat("lorem ipsum ", 56) + `"}`

func BenchmarkValidate(b *testing.B) {
	s := model(b, benchModel)
	body := []byte(benchBody)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Validate(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFailure(b *testing.B) {
	s := model(b, benchModel)
	body := []byte(strings.Replace(benchBody, `"age":42`, `"age":420`, 1))
	b.ReportAllocs()
	for b.Loop() {
		if s.Validate(body) == nil {
			b.Fatal("passed")
		}
	}
}
