package sdk_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tollgate/control/sdk"
	"tollgate/model"
)

// hostile are texts that end a comment or a string in one of the languages, or mean
// something to its compiler.
var hostile = []string{
	`*/ throw 1; /*`, `"""`, `'''`, "`", `\`, `\\`, `"); throw 1; ("`, `\u002a\u002f throw 1;`, `\u0022 + $boom() + \u0022`, `\u000a $boom();`, "\u2028$boom()", "\u2029$boom()",
	"\n$boom()\n", "\r\n$boom()", "\x00", "\x1b[31m", "\u202eboom\u2066", "${$boom()}", "#{$boom()}", "%s%d%v", "{@link boom}", "<script>$boom()</script>", "//go:embed x", "+build ignore",
	"coding: latin-1", "# -*- coding: utf-16 -*-", "\xff\xfe", "\U0001F436", "]]>", "-->", "*\\/", "* /", "/", "*", "a*/b", "class", "import", "__proto__", "constructor", "0", "",
	"ﬀ", "İ", "ß", "ٳ", "then", "await", "Object", "String", "Error", "con", "json:\"x\"", "a,b", "-", "é",
}

// defined is an API in which every text that a tenant chooses is one of some.
func defined(at func() string) *model.Definition {
	properties, _ := json.Marshal(map[string]string{"description": at(), "summary": at()})
	schema, _ := json.Marshal(map[string]any{
		"type": "object", "description": at(), "required": []string{at()}, "additionalProperties": true,
		"properties": map[string]any{
			at():  map[string]any{"type": "string", "description": at(), "enum": []string{at(), at()}},
			at():  map[string]any{"type": "object", "description": at(), "properties": map[string]any{at(): map[string]any{"type": "integer"}}},
			at():  map[string]any{"type": "array", "items": map[string]any{"$ref": model.ModelBase + at()}},
			"id":  map[string]any{"type": []string{"integer", "null"}},
			"Id":  map[string]any{"type": "number"},
			"i-d": map[string]any{"$ref": model.ModelBase + "Pet"},
		},
	})
	d := &model.Definition{Name: at(), Description: at(), Version: at(), Resources: []model.Resource{{ID: "r", Path: "/"}}}
	d.Models = []model.Schema{{ID: "1", Name: "Pet", Schema: string(schema)}, {ID: "2", Name: at(), Description: at(), Schema: string(schema)}}
	path := "/" + strings.NewReplacer("/", "", "{", "", "}", "", "+", "").Replace(at()) + "x"
	if v := strings.NewReplacer("/", "", "{", "", "}", "", "+", "", " ", "").Replace(at()); v != "" {
		path += "/{" + v + "}"
	}
	method := func() model.Method {
		return model.Method{
			OperationName: at(), APIKeyRequired: true,
			RequestParameters: map[string]bool{"method.request.querystring." + at(): true, "method.request.header." + at(): false, "method.request.multivaluequerystring." + at(): false},
			RequestModels:     map[string]string{"application/json": "Pet", at(): "Pet", "text/" + at(): d.Models[1].Name},
			Responses:         map[string]model.MethodResponse{"200": {Models: map[string]string{"application/json": "Pet"}}, at(): {}},
		}
	}
	d.Resources = append(d.Resources, model.Resource{ID: "x", Path: path, Methods: map[string]model.Method{"GET": method(), "POST": method(), "ANY": method()}})
	for _, l := range []model.DocumentationLocation{{Type: "API"}, {Type: "METHOD", Path: path}, {Type: "MODEL", Name: "Pet"}, {Type: "REQUEST_BODY", Path: path}, {Type: "QUERY_PARAMETER", Path: path, Name: at()}, {Type: "PATH_PARAMETER", Path: path, Name: at()}} {
		d.Documentation = append(d.Documentation, model.DocumentationPart{Location: l, Properties: string(properties)})
	}
	return d
}

// chosen picks the texts by the bytes of a seed, with one of its own among them.
func chosen(seed []byte, own string) func() string {
	i := 0
	return func() string {
		if len(seed) == 0 {
			return own
		}
		n := int(seed[i%len(seed)]) + 7*i
		i++
		if n%3 == 0 {
			return own
		}
		return hostile[n%len(hostile)]
	}
}

// No text of a tenant becomes code: the Go client is the syntax it is meant to be
// (which is checked when it is written), and the others lex as nothing but what
// their writers wrote.
func FuzzGenerate(f *testing.F) {
	for i, h := range hostile {
		f.Add([]byte{byte(i), byte(3 * i), byte(5 * i), 0, 1, 2}, h)
	}
	f.Fuzz(func(t *testing.T, seed []byte, own string) {
		if len(seed) > 64 || len(own) > 1000 {
			return
		}
		for _, l := range sdk.Languages {
			c, err := sdk.Generate(defined(chosen(seed, own)), sdk.Options{Language: l.ID, BaseURL: "https://api.example/" + own, Parameters: l.Defaults(own)})
			if err != nil {
				t.Fatalf("%s: %v", l.ID, err)
			}
			for _, file := range c.Files {
				check(t, l.ID, file)
			}
		}
	})
}

func check(t *testing.T, language string, f sdk.File) {
	t.Helper()
	for _, r := range string(f.Body) {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r >= 0x7f && filepath.Ext(f.Name) == ".java" {
			t.Fatalf("%s has the character %U", f.Name, r)
		}
	}
	text := string(f.Body)
	var left string
	switch filepath.Ext(f.Name) {
	case ".go":
		tree, err := parser.ParseFile(token.NewFileSet(), f.Name, text, 0)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if id, ok := call.Fun.(*ast.Ident); ok && id.Name == "boom" {
					t.Fatalf("%s: %s is code", f.Name, id.Name)
				}
			}
			return true
		})
		return
	case ".js", ".ts":
		left = withoutText(text, "//", true, "`")
	case ".java":
		for i := 0; i+1 < len(text); i++ { // an escape outside of a string's own would be read as what it stands for
			if text[i] == '\\' {
				if text[i+1] == 'u' && text[i+2] < '0' || text[i+1] == 'u' && text[i+2:i+4] == "00" && text[i+4] < '8' {
					t.Fatalf("%s has an escape that Java reads early: %.20s", f.Name, text[i:])
				}
				i++
			}
		}
		left = withoutText(text, "//", true, "")
	case ".py":
		for _, l := range strings.SplitN(text, "\n", 3)[:2] { // where a comment can change what the rest is read as
			if strings.Contains(l, "coding") {
				t.Fatalf("%s begins with %s", f.Name, l)
			}
		}
		left = withoutText(text, "#", false, "")
	default:
		return
	}
	for _, word := range []string{"$boom()", "<without an end>", "throw 1", "<script>"} {
		if strings.Contains(left, word) {
			t.Fatalf("%s: %s is code\n%s", f.Name, word, text)
		}
	}
}

// withoutText is a source without its comments and strings.
func withoutText(s, line string, blocks bool, template string) string {
	var out strings.Builder
	for i := 0; i < len(s); {
		rest := s[i:]
		switch {
		case strings.HasPrefix(rest, line):
			n := strings.IndexByte(rest, '\n')
			if n < 0 {
				return out.String()
			}
			i += n
		case blocks && strings.HasPrefix(rest, "/*"):
			n := strings.Index(rest[2:], "*/")
			if n < 0 {
				return out.String() + "<without an end>"
			}
			i += n + 4
		case !blocks && strings.HasPrefix(rest, `"""`):
			n := 3
			for n < len(rest) && !strings.HasPrefix(rest[n:], `"""`) {
				if rest[n] == '\\' {
					n++
				}
				n++
			}
			if n >= len(rest) {
				return out.String() + "<without an end>"
			}
			i += n + 3
		case blocks && strings.HasPrefix(rest, `/\`), blocks && strings.HasPrefix(rest, `/^`): // a regular expression of the shared part
			i += strings.IndexByte(rest[1:], '/') + 2
		case rest[0] == '"' || template != "" && rest[0] == template[0] || blocks && template == "" && rest[0] == '\'':
			n := 1
			for n < len(rest) && rest[n] != rest[0] {
				if rest[n] == '\\' {
					n++
				}
				if n < len(rest) && rest[n] == '\n' && rest[0] != '`' {
					return out.String() + "<without an end>"
				}
				n++
			}
			i += n + 1
		default:
			out.WriteByte(rest[0])
			i++
		}
	}
	return out.String()
}

// The languages' own compilers find nothing in a client full of hostile texts.
func TestHostileTexts(t *testing.T) {
	t.Parallel()
	for i := range 2 {
		d := func() *model.Definition {
			return defined(chosen([]byte{byte(i * 17), byte(i + 5), 3, 8, byte(11 * i), 2, 250, 99}, hostile[i]))
		}
		for _, l := range sdk.Languages {
			dir := written(t, d(), sdk.Options{Language: l.ID, BaseURL: "https://api.example/v1", Parameters: l.Defaults("Pets")})
			compile(t, l.ID, dir)
		}
	}
}

// compile has a client compiled, as far as there is what compiles it.
func compile(t *testing.T, language, dir string) {
	t.Helper()
	var program string
	var args []string
	switch language {
	case "javascript":
		program, args = "node", []string{"--input-type=module", "-e", `import "./index.js"`}
	case "typescript":
		program, args = "tsc", []string{"-p", "."}
	case "python":
		program, args = "python3", []string{"-W", "error", "-c", `
import glob, importlib, typing
m = importlib.import_module(glob.glob("*_client")[0])
for v in list(vars(m).values()):
    if hasattr(v, "__required_keys__"):
        typing.get_type_hints(v, vars(m))
`}
	case "go":
		program, args = "go", []string{"vet", "./..."}
	case "java":
		var sources []string
		for at := "src/main/java"; len(sources) == 0; at += "/*" {
			sources, _ = filepath.Glob(filepath.Join(dir, at, "*.java"))
		}
		program, args = "javac", append([]string{"--release", "17", "-Xlint:all", "-Werror", "-d", filepath.Join(dir, "classes")}, sources...)
	}
	path, err := exec.LookPath(program)
	if err != nil {
		t.Logf("%s is not on this machine: the client in %s is not compiled", program, language)
		return
	}
	if out, err := command(t, dir, path, args...); err != nil {
		t.Errorf("%s: %v\n%s", language, err, out)
	}
}
