package sdk

import (
	"encoding/json"
	"fmt"
	"strings"
)

// javaScript writes a module for browsers and Node with its types beside it.
func javaScript(c *client, f *files) error {
	w := &writer{}
	w.jsHead(c, "const BASE_URL = %s;")
	w.WriteString(shared("client.js"))
	w.jsClient(c, false)
	f.add("index.js", w)

	t := &writer{}
	t.jsHead(c, "")
	t.WriteString(shared("client.d.ts"))
	t.jsTypes(c)
	t.p("")
	t.block("", "The API's operations.")
	t.p("export declare class Client extends Base {")
	t.p("  constructor(options?: Options);")
	for _, op := range c.operations {
		t.p("")
		t.jsDoc(op)
		t.p("  %s;", jsSignature(op, false))
	}
	t.p("}")
	f.add("index.d.ts", t)
	jsPackage(c, f, map[string]any{
		"main": "./index.js", "types": "./index.d.ts", "exports": map[string]any{".": map[string]string{"types": "./index.d.ts", "default": "./index.js"}},
		"files": []string{"index.js", "index.d.ts"},
	})
	return nil
}

// typeScript writes the same as source.
func typeScript(c *client, f *files) error {
	w := &writer{}
	w.jsHead(c, "const BASE_URL = %s;")
	w.WriteString(shared("client.ts"))
	w.jsTypes(c)
	w.jsClient(c, true)
	f.add("src/index.ts", w)
	f.text("tsconfig.json", `{
  "compilerOptions": {
    "target": "ES2022",
    "module": "NodeNext",
    "moduleResolution": "NodeNext",
    "lib": ["ES2022", "ESNext.Disposable", "DOM", "DOM.Iterable"],
    "types": [],
    "strict": true,
    "noUncheckedIndexedAccess": true,
    "declaration": true,
    "outDir": "dist",
    "rootDir": "src"
  },
  "include": ["src"]
}
`)
	jsPackage(c, f, map[string]any{
		"main": "./dist/index.js", "types": "./dist/index.d.ts",
		"exports": map[string]any{".": map[string]string{"types": "./dist/index.d.ts", "default": "./dist/index.js"}},
		"files":   []string{"dist"}, "scripts": map[string]string{"build": "tsc", "prepare": "tsc"},
		"devDependencies": map[string]string{"typescript": "^5.5.0"},
	})
	return nil
}

// jsPackage adds what says how the package is used.
func jsPackage(c *client, f *files, more map[string]any) {
	p := map[string]any{
		"name": c.slug + "-client", "version": semver(c.version), "description": "Client of " + c.title, "private": true, "type": "module",
		"sideEffects": false, "engines": map[string]string{"node": ">=20.3"},
	}
	for k, v := range more {
		p[k] = v
	}
	b, _ := json.MarshalIndent(p, "", "  ") // of strings alone
	f.text("package.json", string(b)+"\n")
	example := ""
	for _, op := range c.operations {
		if !op.needs() {
			example = "const answer = await client." + camel(op.name) + "();\n"
			break
		}
	}
	if example == "" && len(c.operations) > 0 {
		op := c.operations[0]
		var args []string
		if op.any() {
			args = append(args, `method: "GET"`)
		}
		for _, p := range op.parameters {
			if p.required {
				args = append(args, camel(p.name)+`: "…"`)
			}
		}
		example = "const answer = await client." + camel(op.name) + "({ " + strings.Join(args, ", ") + " });\n"
	}
	f.text("README.md", readme(c, "Needs Node 20.3 or later, or a browser of 2024 or later; nothing else.", "js", fmt.Sprintf(`import { Client, ApiError } from %q;

const client = new Client({ apiKey: process.env.API_KEY });
try {
%s} catch (e) {
  if (e instanceof ApiError) console.error(e.status, e.requestId, e.body);
  else throw e; // no answer: the network, or the timeout
}
`, c.slug+"-client", indent("  ", example))))
}

func indent(by, s string) string {
	if s == "" {
		return ""
	}
	return by + strings.ReplaceAll(strings.TrimSuffix(s, "\n"), "\n", "\n"+by) + "\n"
}

// readme is the page that comes with a client in every language.
func readme(c *client, needs, fence, example string) string {
	w := &writer{}
	w.p("# Client of %s\n", markdown(c.title))
	if about := markdown(c.about); about != "" {
		w.p("%s\n", about)
	}
	w.p("%s\n", needs)
	w.p("```%s\n%s```\n", fence, example)
	w.p("A call that is not answered with a status of 200 to 299 fails with an error that has the status, the")
	w.p("request's id, the headers and the body of the answer. Redirections are not followed: they are such")
	w.p("errors too, so that a key is never sent elsewhere.")
	return w.String()
}

// semver is a version as package managers want it: 0.0.0 where it is none.
func semver(v string) string {
	parts := strings.SplitN(strings.TrimPrefix(v, "v"), ".", 3)
	for i, p := range parts {
		n := strings.TrimLeft(p, "0123456789")
		if p = p[:len(p)-len(n)]; p == "" || len(p) > 9 || n != "" && i < 2 {
			return "0.0.0"
		}
		if p = strings.TrimLeft(p, "0"); p == "" {
			p = "0"
		}
		parts[i] = p
	}
	for len(parts) < 3 {
		parts = append(parts, "0")
	}
	return strings.Join(parts, ".")
}

func (w *writer) jsHead(c *client, base string) {
	w.p("// Client of %s. Generated from its deployment: changes are lost.", c.title)
	w.p("")
	if base != "" {
		w.p(base, quoteJS(c.url))
		w.p("")
	}
}

// jsTypes writes the models.
func (w *writer) jsTypes(c *client) {
	for _, d := range c.types {
		w.p("")
		w.block("", d.about)
		w.p("export interface %s {", d.name)
		optional := false
		for _, f := range d.fields {
			w.block("  ", f.about)
			mark := ""
			if !f.required {
				mark, optional = "?", true
			}
			w.p("  %s%s: %s;", jsProperty(f.wire), mark, tsType(f.schema))
		}
		if d.open != nil {
			t := "unknown"
			if len(d.fields) > 0 { // an index has to fit what is declared
				if d.open.kind != anyKind {
					t = tsType(d.open)
					for _, f := range d.fields {
						t += " | " + tsType(f.schema)
					}
					if optional {
						t += " | undefined"
					}
				}
			} else {
				t = tsType(d.open)
			}
			w.p("  [name: string]: %s;", t)
		}
		w.p("}")
	}
}

func jsProperty(s string) string {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '_' && c != '$' && (i == 0 || c < '0' || c > '9') {
			return quoteJS(s)
		}
	}
	if s == "" || s == "constructor" || s == "new" {
		return quoteJS(s)
	}
	return s
}

func tsType(s *schema) string {
	t := "unknown"
	switch s.kind {
	case anyKind:
		return t
	case rawKind:
		return "string | Uint8Array | ArrayBuffer | Blob | FormData | URLSearchParams"
	case stringKind:
		t = "string"
		if len(s.enum) > 0 {
			all := make([]string, len(s.enum))
			for i, v := range s.enum {
				all[i] = quoteJS(v)
			}
			t = strings.Join(all, " | ")
		}
	case integerKind, numberKind:
		t = "number"
	case booleanKind:
		t = "boolean"
	case listKind:
		t = "Array<" + tsType(s.elem) + ">"
	case mapKind:
		t = "Record<string, " + tsType(s.elem) + ">"
	case objectKind:
		t = s.object.name
	}
	if s.nullable {
		t += " | null"
	}
	return t
}

// jsDoc documents a method and what is passed to it.
func (w *writer) jsDoc(op *operation) { w.block("  ", op.paragraphs()...) }

// jsSignature is a method as it is declared, or as it is defined.
func jsSignature(op *operation, defined bool) string {
	name := camel(op.name)
	result := "any"
	if op.result != nil {
		result = tsType(op.result)
	}
	if op.takesNothing() {
		return fmt.Sprintf("%s(options?: RequestOptions): Promise<%s>", name, result)
	}
	mark, otherwise := "?", ""
	if defined {
		mark, otherwise = "", " = {}"
	}
	if op.needs() {
		mark, otherwise = "", ""
	}
	return fmt.Sprintf("%s(params%s: {\n%s  }%s, options?: RequestOptions): Promise<%s>", name, mark, jsParameters(op), otherwise, result)
}

func jsParameters(op *operation) string {
	w := &writer{}
	if op.any() {
		w.p("    method: string;")
	}
	for _, p := range op.parameters {
		w.block("    ", p.about)
		mark, t := "?", "Value"
		if p.required {
			mark = ""
		}
		if p.in == "path" {
			t = "string | number"
		}
		w.p("    %s%s: %s;", camel(p.name), mark, t)
	}
	if op.body != nil {
		w.block("    ", op.body.about)
		w.p("    %s?: %s;", camel(op.body.name), tsType(op.body.schema))
	}
	return w.String()
}

// jsClient writes the class with a method for each operation.
func (w *writer) jsClient(c *client, typed bool) {
	w.p("")
	w.block("", "The API's operations.")
	w.p("export class Client extends Base {")
	if typed {
		w.p("  constructor(options: Options = {}) {")
	} else {
		w.p("  constructor(options = {}) {")
	}
	w.p("    super(options);")
	w.p("  }")
	for _, op := range c.operations {
		w.p("")
		w.jsDoc(op)
		switch {
		case typed:
			w.p("  async %s {", jsSignature(op, true))
		case op.takesNothing():
			w.p("  async %s(options) {", camel(op.name))
		default:
			w.p("  async %s(params = {}, options) {", camel(op.name))
		}
		w.jsCall(op)
		w.p("  }")
	}
	w.p("}")
}

func (w *writer) jsCall(op *operation) {
	verb := quoteJS(op.verb)
	if op.any() {
		verb = "String(params.method).toUpperCase()"
	}
	var path []string
	for _, x := range op.pieces() {
		if x.of == nil {
			path = append(path, quoteJS(x.text))
			continue
		}
		greedy := ""
		if x.of.greedy {
			greedy = ", true"
		}
		path = append(path, fmt.Sprintf("segment(%s, params.%s%s)", quoteJS(camel(x.of.name)), camel(x.of.name), greedy))
	}
	var call []string
	for _, in := range []struct{ where, as string }{{"querystring", "query"}, {"header", "headers"}} {
		var all []string
		for _, p := range op.parameters {
			if p.in == in.where {
				need := ""
				if p.required {
					need = ", true"
				}
				all = append(all, fmt.Sprintf("[%s, params.%s%s]", quoteJS(p.wire), camel(p.name), need))
			}
		}
		if len(all) > 0 {
			call = append(call, in.as+": ["+strings.Join(all, ", ")+"]")
		}
	}
	if b := op.body; b != nil {
		as := "data"
		if b.contentType != "" && b.schema.kind != rawKind {
			as = "json"
		}
		call = append(call, as+": params."+camel(b.name))
		if b.contentType != "" {
			call = append(call, "contentType: "+quoteJS(b.contentType))
		}
	}
	arg := "{}"
	if len(call) > 0 {
		arg = "{ " + strings.Join(call, ", ") + " }"
	}
	w.p("    return (await this.send(%s, %s, %s, options)).body;", verb, strings.Join(path, " + "), arg)
}
