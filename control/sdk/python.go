package sdk

import (
	"fmt"
	"strings"
)

// python writes a package of one module.
func python(c *client, f *files) error {
	pkg := strings.ReplaceAll(c.slug, "-", "_") + "_client"
	w := &writer{}
	w.p(`"""Client of an API. Generated from its deployment: changes are lost."""`)
	w.p("")
	w.WriteString(shared("client.py"))
	w.p("")
	w.p("")
	w.p("_BASE_URL = %s", quotePython(c.url))
	for _, d := range c.types {
		w.pythonType(d)
	}
	w.p("")
	w.p("")
	w.p("class Client(_Base):")
	w.p(`    """The operations of %s."""`, pythonDoc.Replace(c.title))
	for _, op := range c.operations {
		w.p("")
		w.pythonMethod(op)
	}
	f.add(pkg+"/__init__.py", w)
	f.text(pkg+"/py.typed", "")
	f.text("pyproject.toml", fmt.Sprintf(`[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = %q
version = %q
description = %s
readme = "README.md"
requires-python = ">=3.11"
dependencies = []

[tool.setuptools]
packages = [%q]

[tool.setuptools.package-data]
%s = ["py.typed"]
`, c.slug+"-client", semver(c.version), quotePython("Client of "+c.title), pkg, pkg))
	call := ""
	if op := c.easiest(); op != nil {
		var args []string
		if op.any() {
			args = append(args, `"GET"`)
		}
		for _, p := range op.parameters {
			if p.required {
				args = append(args, pythonName(p.name)+`="…"`)
			}
		}
		call = "answer = client." + pythonName(op.name) + "(" + strings.Join(args, ", ") + ")"
	} else {
		call = "pass"
	}
	f.text("README.md", readme(c, "Needs Python 3.11 or later; nothing else.", "python", fmt.Sprintf(`import os

from %s import ApiError, Client

client = Client(api_key=os.environ["API_KEY"])
try:
    %s
except ApiError as e:
    print(e.status, e.request_id, e.body)
`, pkg, call)))
	return nil
}

// easiest is the operation for an example: one that needs nothing, if there is one.
func (c *client) easiest() *operation {
	for _, op := range c.operations {
		if !op.needs() {
			return op
		}
	}
	if len(c.operations) > 0 {
		return c.operations[0]
	}
	return nil
}

// quotePython is a string in ASCII; TOML reads it the same.
func quotePython(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r >= ' ' && r <= '~':
			b.WriteRune(r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// pythonDoc makes a line part of a string between three quotation marks.
var pythonDoc = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// pythonWords cannot be names, or are what annotations say.
var pythonWords = set(`and as assert async await break class continue def del elif else except finally for from global if import in is
	lambda nonlocal not or pass raise return try while with yield none true false str int float bool list dict self print exec`)

func pythonName(ws []string) string {
	n := snake(ws)
	if pythonWords[n] {
		n += "_"
	}
	return n
}

func (w *writer) comment(indent, mark, s string) {
	for _, l := range prose(s) {
		w.p("%s", strings.TrimRight(indent+mark+" "+l, " "))
	}
}

func (w *writer) pythonType(d *declared) {
	w.p("")
	w.p("")
	w.comment("", "#", d.about)
	if d.open != nil {
		w.p("# It may have other properties too.")
	}
	w.p("%s = TypedDict(", d.name)
	w.p("    %s,", quotePython(d.name))
	w.p("    {")
	for _, f := range d.fields {
		w.comment("        ", "#", f.about)
		t := pythonType(f.schema)
		if !f.required {
			t = "NotRequired[" + t + "]"
		}
		w.p("        %s: %s,", quotePython(f.wire), quotePython(t))
	}
	w.p("    },")
	w.p(")")
}

func pythonType(s *schema) string {
	t := "Any"
	switch s.kind {
	case anyKind:
		return t
	case rawKind:
		return "str | bytes"
	case stringKind:
		t = "str"
		if len(s.enum) > 0 {
			all := make([]string, len(s.enum))
			for i, v := range s.enum {
				all[i] = quotePython(v)
			}
			t = "Literal[" + strings.Join(all, ", ") + "]"
		}
	case integerKind:
		t = "int"
	case numberKind:
		t = "float"
	case booleanKind:
		t = "bool"
	case listKind:
		t = "list[" + pythonType(s.elem) + "]"
	case mapKind:
		t = "dict[str, " + pythonType(s.elem) + "]"
	case objectKind:
		t = s.object.name
	}
	if s.nullable {
		t += " | None"
	}
	return t
}

func (w *writer) pythonMethod(op *operation) {
	result := "Any"
	if op.result != nil {
		result = pythonType(op.result)
	}
	w.p("    def %s(", pythonName(op.name))
	w.p("        self,")
	if op.any() {
		w.p("        method: str,")
	}
	star := false
	for _, p := range op.parameters {
		t := "Value"
		if p.in == "path" {
			t = "str | int"
		}
		if p.required {
			w.p("        %s: %s,", pythonName(p.name), t)
			continue
		}
		if !star {
			star = true
			w.p("        *,")
		}
		w.p("        %s: %s | None = None,", pythonName(p.name), t)
	}
	if !star {
		w.p("        *,")
	}
	if b := op.body; b != nil {
		t := pythonType(b.schema)
		if t != "Any" && !strings.HasSuffix(t, " | None") {
			t += " | None"
		}
		w.p("        %s: %s = None,", pythonName(b.name), t)
	}
	w.p("        options: RequestOptions | None = None,")
	w.p("    ) -> %s:", result)
	var lines []string
	for _, s := range op.paragraphs() {
		if l := prose(s); len(l) > 0 {
			if len(lines) > 0 {
				lines = append(lines, "")
			}
			lines = append(lines, l...)
		}
	}
	for _, p := range op.parameters {
		if l := oneLine(p.about, 500); l != "" {
			lines = append(lines, pythonName(p.name)+": "+l)
		}
	}
	if op.body != nil {
		if l := oneLine(op.body.about, 500); l != "" {
			lines = append(lines, pythonName(op.body.name)+": "+l)
		}
	}
	for i, l := range lines {
		l = pythonDoc.Replace(l)
		if i == 0 {
			l = `"""` + l
		}
		if len(lines) == 1 {
			l += `"""`
		}
		w.p("%s", strings.TrimRight("        "+l, " "))
	}
	if len(lines) > 1 {
		w.p(`        """`)
	}
	verb := quotePython(op.verb)
	if op.any() {
		verb = "method.upper()"
	}
	var path []string
	for _, x := range op.pieces() {
		if x.of == nil {
			path = append(path, quotePython(x.text))
			continue
		}
		greedy := ""
		if x.of.greedy {
			greedy = ", True"
		}
		n := pythonName(x.of.name)
		path = append(path, fmt.Sprintf("_segment(%s, %s%s)", quotePython(n), n, greedy))
	}
	w.p("        return self.send(")
	w.p("            %s,", verb)
	w.p("            %s,", strings.Join(path, " + "))
	for _, in := range []struct{ where, as string }{{"querystring", "query"}, {"header", "header"}} {
		var all []string
		for _, p := range op.parameters {
			if p.in == in.where {
				need := "False"
				if p.required {
					need = "True"
				}
				all = append(all, fmt.Sprintf("(%s, %s, %s)", quotePython(p.wire), pythonName(p.name), need))
			}
		}
		if len(all) > 0 {
			w.p("            %s=[%s],", in.as, strings.Join(all, ", "))
		}
	}
	if b := op.body; b != nil {
		as := "data"
		if b.contentType != "" && b.schema.kind != rawKind {
			as = "json"
		}
		w.p("            %s=%s,", as, pythonName(b.name))
		if b.contentType != "" {
			w.p("            content_type=%s,", quotePython(b.contentType))
		}
	}
	w.p("            options=options,")
	w.p("        ).body")
}
