package mapping

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"tollgate/gateway/vtl"
	"tollgate/model"
)

func call() *Call {
	c := &Call{Body: `{"name":"Bo","tags":["a","b"],"n":12345678901234567890}`, Path: map[string]string{"id": "7"},
		Query: map[string]string{"q": "b"}, Queries: map[string][]string{"q": {"a", "b"}},
		Header: map[string]string{"Accept": "text/html, application/xml;q=0.9", "X-One": "2"}, Headers: map[string][]string{"Accept": {"text/html, application/xml;q=0.9"}, "X-One": {"1", "2"}},
		Context: vtl.NewMap(), StageVariables: vtl.NewMap()}
	c.StageVariables.Set("color", "blue")
	c.Context.Set("requestId", "r-1")
	identity := vtl.NewMap()
	identity.Set("sourceIp", "192.0.2.1")
	c.Context.Set("identity", identity)
	return c
}

func compile(t testing.TB, text string) *Mapping {
	t.Helper()
	g := &model.Integration{}
	if err := json.Unmarshal([]byte(text), g); err != nil {
		t.Fatal(err)
	}
	m, err := Compile(g, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestRequest(t *testing.T) {
	m := compile(t, `{"requestTemplates": {"application/json": " {\"who\": $input.json('$.name')}\n#set($context.requestOverride.header.X-Over = \"o\")#set($context.requestOverride.path.id = 9) ", "Text/Plain": "plain"},
		"requestParameters": {
			"integration.request.path.id": "method.request.path.id", "integration.request.querystring.q": "method.request.querystring.q", "integration.request.querystring.all": "method.request.multivaluequerystring.q",
			"integration.request.header.X-Last": "method.request.header.x-one", "integration.request.header.X-All": "method.request.multivalueheader.X-One",
			"integration.request.header.X-Static": "'it is'", "integration.request.header.X-None": "method.request.header.none",
			"integration.request.header.X-Name": "method.request.body.name", "integration.request.header.X-Tag": "method.request.body.tags[1]", "integration.request.header.X-Tags": "method.request.body.tags",
			"integration.request.header.X-N": "method.request.body.n", "integration.request.header.X-Gone": "method.request.body.gone",
			"integration.request.header.X-Color": "stageVariables.color", "integration.request.header.X-IP": "context.identity.sourceIp", "integration.request.header.X-Nowhere": "context.identity.nothing"}}`)
	r, err := m.Request(call())
	if err != nil {
		t.Fatal(err)
	}
	if r.Body != `{"who": "Bo"}` || r.ContentType != "application/json" || r.Path["id"] != "9" {
		t.Errorf("%+v", r)
	}
	want := map[string]string{"X-Last": "2", "X-All": "1,2", "X-Static": "it is", "X-Name": "Bo", "X-Tag": "b", "X-Tags": `["a","b"]`, "X-N": "12345678901234567890", "X-Color": "blue", "X-IP": "192.0.2.1", "X-Over": "o"}
	for _, h := range r.Header {
		if want[h.Name] != h.Value {
			t.Errorf("%s: %q", h.Name, h.Value)
		}
		delete(want, h.Name)
	}
	if len(want) > 0 || len(r.Query) != 2 {
		t.Errorf("missing %v; query %v", want, r.Query)
	}
	// Which template, and what goes without one.
	c := call()
	c.Headers["Content-Type"] = []string{"text/plain; charset=utf-8"}
	if r, err = m.Request(c); err != nil || r.Body != "plain" {
		t.Errorf("%+v %v", r, err)
	}
	c.Headers["Content-Type"] = []string{"application/xml"}
	if r, err = m.Request(c); err != nil || r.Body != c.Body {
		t.Errorf("%+v %v", r, err)
	}
	c.Body, c.Headers["Content-Type"] = "not JSON", nil
	if _, err := m.Request(c); !errors.Is(err, ErrBody) {
		t.Error(err)
	}
	for text, want := range map[string]error{
		`{"passthroughBehavior": "NEVER"}`: ErrMediaType, `{"passthroughBehavior": "WHEN_NO_TEMPLATES"}`: nil,
		`{"passthroughBehavior": "WHEN_NO_TEMPLATES", "requestTemplates": {"application/json": "{}"}}`:              ErrMediaType,
		`{"passthroughBehavior": "WHEN_NO_MATCH", "requestTemplates": {"application/json": "{}"}}`:                  nil,
		`{"passthroughBehavior": "NEVER", "requestTemplates": {"$default": "{}"}}`:                                  nil,
		`{"requestTemplates": {"application/xml": "#foreach($i in [1..1000])#foreach($j in [1..1000])$i#end#end"}}`: ErrConfiguration,
	} {
		c := call()
		c.Headers["Content-Type"] = []string{"application/xml"}
		if _, err := compile(t, text).Request(c); !errors.Is(err, want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestResponse(t *testing.T) {
	m := compile(t, `{"integrationResponses": {
		"default": {"statusCode": "200", "responseTemplates": {"application/xml": "<n>$input.path('$.n')</n>", "application/json": "{\"n\": $input.json('$.n')}"},
			"responseParameters": {"method.response.header.X-Up": "integration.response.header.x-up", "method.response.header.X-Body": "integration.response.body.n", "method.response.header.X-Id": "context.requestId"}},
		"4\\d{2}": {"statusCode": "400", "selectionPattern": "4\\d{2}", "responseTemplates": {"application/json": "bad"}},
		"201": {"statusCode": "201", "selectionPattern": "201"},
		"500": {"statusCode": "500", "selectionPattern": "5..", "responseTemplates": {"application/json": "#set($context.responseOverride.status = 418)#set($context.responseOverride.header.X-Tea = \"pot\")tea"}}}}`)
	for _, c := range []struct {
		selector, body string
		status         int
		header         map[string]string
	}{
		{"200", "<n>5</n>", 200, map[string]string{"Content-Type": "application/xml", "X-Up": "last", "X-Body": "5", "X-Id": "r-1"}},
		{"404", "bad", 400, map[string]string{"Content-Type": "application/json"}},
		{"4042", "<n>5</n>", 200, nil}, // the whole text must match
		{"201", `{"n":5}`, 201, map[string]string{"Content-Type": "application/json"}},
		{"503", "tea", 418, map[string]string{"Content-Type": "application/json", "X-Tea": "pot"}},
	} {
		r, err := m.Response(call(), c.selector, &Answer{Headers: map[string][]string{"X-Up": {"first", "last"}}, Body: `{"n":5}`})
		if err != nil || r.Body != c.body || r.Status != c.status {
			t.Errorf("%s: %+v %v", c.selector, r, err)
		}
		for _, h := range r.Header {
			if c.header != nil && c.header[h.Name] != h.Value {
				t.Errorf("%s: %s is %q", c.selector, h.Name, h.Value)
			}
		}
		if c.header != nil && len(r.Header) != len(c.header) {
			t.Errorf("%s: %v", c.selector, r.Header)
		}
	}
	if _, err := compile(t, `{"integrationResponses": {"404": {"statusCode": "404", "selectionPattern": "404"}}}`).Response(call(), "200", &Answer{}); !errors.Is(err, ErrConfiguration) {
		t.Error(err)
	}
	bad := compile(t, `{"integrationResponses": {"default": {"statusCode": "200", "responseTemplates": {"application/json": "#set($context.responseOverride.status = 99)"}}}}`)
	if r, err := bad.Response(call(), "200", &Answer{}); !errors.Is(err, ErrConfiguration) {
		t.Errorf("%+v %v", r, err)
	}
	// Nobody but the gateway sets its own headers: a mapping's have other names, or are left out.
	own := compile(t, `{"integrationResponses": {"default": {"statusCode": "200", "responseTemplates": {"application/json": "#set($context.responseOverride.header.Content-Length = 1)#set($context.responseOverride.header.Transfer-Encoding = \"chunked\")"},
		"responseParameters": {"method.response.header.Server": "'s'", "method.response.header.TE": "'t'", "method.response.header.connection": "'close'"}}}}`)
	r, err := own.Response(call(), "200", &Answer{})
	if want := []Pair{{"Content-Type", "application/json"}, {"x-amzn-Remapped-Server", "s"}, {"TE", "t"}, {"x-amzn-Remapped-connection", "close"}, {"x-amzn-Remapped-Content-Length", "1"}}; err != nil || !slices.Equal(r.Header, want) {
		t.Errorf("%v %v", r.Header, err)
	}
	// A template cannot end a header's line.
	c := call()
	m = compile(t, `{"integrationResponses": {"default": {"statusCode": "200", "responseTemplates": {"application/json": "#set($context.responseOverride.header.X-Bad = $input.path('$.bad'))#set($context.responseOverride.header['X Name'] = \"x\")"}}}}`)
	if r, err := m.Response(c, "200", &Answer{Body: `{"bad": "a\r\nSet-Cookie: x"}`}); err == nil && len(r.Header) != 1 {
		t.Errorf("%+v", r.Header)
	}
}

// The table of conversions: payload and types, unset, to binary, to text.
func TestContentHandling(t *testing.T) {
	const text, bytes = "aGk=", "hi"
	for _, row := range []struct {
		request bool
		payload string // of the content type
		accept  string
		want    [3]string
		body    string
	}{
		{true, "application/json", "", [3]string{text, bytes, text}, text},
		{true, "image/png", "", [3]string{bytes, bytes, text}, bytes},
		{false, "text/plain", "text/plain", [3]string{text, bytes, text}, text},
		{false, "text/plain", "image/png, text/plain", [3]string{bytes, bytes, text}, text},
		{false, "image/png", "text/plain, image/png", [3]string{text, bytes, text}, bytes},
		{false, "image/png", "image/png", [3]string{bytes, bytes, text}, bytes},
	} {
		for i, how := range []string{"", "CONVERT_TO_BINARY", "CONVERT_TO_TEXT"} {
			g := &model.Integration{Responses: map[string]model.IntegrationResponse{"default": {StatusCode: "200"}}}
			if r := g.Responses["default"]; row.request {
				g.ContentHandling = how
			} else {
				r.ContentHandling = how
				g.Responses["default"] = r
			}
			m, err := Compile(g, []string{"Image/PNG"})
			if err != nil {
				t.Fatal(err)
			}
			c := call()
			c.Headers["Accept"], c.Body = []string{row.accept}, row.body
			var got string
			if row.request {
				c.Headers["Content-Type"] = []string{row.payload}
				var r Request
				r, err = m.Request(c)
				got = r.Body
			} else {
				var r Reply
				r, err = m.Response(c, "200", &Answer{Headers: map[string][]string{"Content-Type": {row.payload}}, Body: row.body})
				got = r.Body
			}
			if err != nil || got != row.want[i] {
				t.Errorf("%+v %q: %q %v", row, how, got, err)
			}
		}
	}
	m, err := Compile(&model.Integration{Responses: map[string]model.IntegrationResponse{"default": {StatusCode: "200", ContentHandling: toBinary}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Response(call(), "200", &Answer{Body: "not base64!"}); !errors.Is(err, ErrConfiguration) {
		t.Error(err)
	}
}

func TestMockStatus(t *testing.T) {
	for body, want := range map[string]int{`{"statusCode": 200}`: 200, `{"statusCode": "404"}`: 404, `{statusCode: 204}`: 204,
		` { 'statusCode' : 200, text: 'it\'s "x"', e: 1e3 } `: 200, ``: 0, `{}`: 0, `{"statusCode": "x"}`: 0, `[200]`: 0, `{statusCode: }`: 0, `statusCode: 200`: 0, `{"statusCode": 200`: 0, `'`: 0} {
		if n, err := MockStatus(body); n != want || (err == nil) != (want != 0) {
			t.Errorf("%s: %d %v", body, n, err)
		}
	}
}

func TestCheck(t *testing.T) {
	for text, want := range map[string]string{
		`{"requestTemplates": {"application/json": "a\n #if("}}`:                                                    "request template for application/json: line 2",
		`{"integrationResponses": {"default": {"statusCode": "x"}}}`:                                                `status code "x"`,
		`{"integrationResponses": {"default": {"statusCode": "200", "selectionPattern": "(?=x)"}}}`:                 "selection pattern",
		`{"integrationResponses": {"default": {"statusCode": "200", "responseTemplates": {"a/b": "#foreach($x"}}}}`: "integration response default: response template for a/b",
		`{"requestParameters": {"integration.request.body.x": "'a'"}}`:                                              "is no target",
		`{"requestParameters": {"integration.request.header.x y": "'a'"}}`:                                          "is not the name of a header",
		`{"requestParameters": {"integration.request.header.x": "integration.response.header.y"}}`:                  "is no source",
		`{"requestParameters": {"integration.request.header.x": "'a\r\nb'"}}`:                                       "no header may have",
		`{"requestParameters": {"integration.request.header.x": "method.request.header."}}`:                         "is no source",
	} {
		g := &model.Integration{}
		if err := json.Unmarshal([]byte(strings.ReplaceAll(strings.ReplaceAll(text, "\n", `\n`), "\r", `\r`)), g); err != nil {
			t.Fatal(text, err)
		}
		if err := Check(g); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzMapping(f *testing.F) {
	f.Add("$input.json('$.a')", "method.request.body.a", "4..", `{"a":1}`, "x")
	f.Add("#set($context.responseOverride.status=500)", "'it'", ".*", `[]`, "text/plain")
	f.Fuzz(func(t *testing.T, template, from, pattern, body, kind string) {
		g := &model.Integration{RequestTemplates: map[string]string{kind: template}, RequestParameters: map[string]string{"integration.request.header.x": from},
			Responses: map[string]model.IntegrationResponse{"default": {StatusCode: "200", SelectionPattern: &pattern, ResponseTemplates: map[string]string{kind: template}}}}
		m, err := Compile(g, nil)
		if err != nil {
			return
		}
		c := call()
		c.Body, c.Headers["Content-Type"] = body, []string{kind}
		r, err := m.Request(c)
		for _, h := range r.Header {
			if err == nil && strings.ContainsAny(h.Value, "\r\n\x00") {
				t.Errorf("%q", h)
			}
		}
		out, err := m.Response(c, "200", &Answer{Body: body})
		for _, h := range out.Header {
			if err == nil && (strings.ContainsAny(h.Value, "\r\n\x00") || strings.ContainsAny(h.Name, "\r\n: ") || h.Name == "") {
				t.Errorf("%q", h)
			}
		}
	})
}

// A header of the framing cannot be mapped, nor those that sign a request where it is signed.
func TestUnsettable(t *testing.T) {
	for _, c := range []struct {
		kind, header string
		refused      bool
	}{{"HTTP", "content-length", true}, {"HTTP", "Transfer-Encoding", true}, {"HTTP", "Authorization", false}, {"AWS", "Authorization", true}, {"AWS", "TE", true}, {"AWS", "X-Amz-Target", false}} {
		_, err := compile(t, `{"type": "`+c.kind+`", "requestParameters": {"integration.request.header.`+c.header+`": "'0'"}}`).Request(call())
		if errors.Is(err, ErrConfiguration) != c.refused {
			t.Errorf("%s %s: %v", c.kind, c.header, err)
		}
	}
}
