package sdk

import (
	"fmt"
	"go/format"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"tollgate/model"
)

var goParameters = []Parameter{{Name: "module", Label: "Module", About: "path of the Go module; the API's name if not given"}}

var goModule = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._~-]*(/[A-Za-z0-9][A-Za-z0-9._~-]*)*$`)

// golang writes a module of one package.
func golang(c *client, f *files) error {
	pkg := strings.ReplaceAll(c.slug, "-", "")
	if goWords[pkg] {
		pkg += "client"
	}
	module := c.parameters["module"]
	switch {
	case module == "":
		module = pkg
	case len(module) > 200 || !goModule.MatchString(module):
		return model.Errorf(model.Invalid, "%.100q is no path of a Go module: it has letters, digits, dots and dashes between slashes, such as example.com/pets", module)
	}
	add := func(name string, w *writer) error {
		if w.Len() > MaxBytes { // as it is: it is refused
			f.add(name, w)
			return nil
		}
		b, err := format.Source(w.Bytes())
		if err != nil {
			return fmt.Errorf("sdk: %s of a Go client: %w", name, err)
		}
		f.text(name, string(b))
		return nil
	}
	head := func() *writer {
		w := &writer{}
		w.p("// Code generated from an API's deployment. DO NOT EDIT.")
		w.p("")
		return w
	}
	w := head()
	w.p("// Package %s is a client of %s.", pkg, c.title)
	w.p("package %s", pkg)
	w.p("")
	w.WriteString(shared("client.go.txt"))
	w.p("")
	w.p("const baseURL = %s", strconv.QuoteToASCII(c.url))
	if err := add("client.go", w); err != nil {
		return err
	}
	if len(c.types) > 0 {
		w = head()
		w.p("package %s", pkg)
		for _, d := range c.types {
			w.goType(d)
		}
		if err := add("models.go", w); err != nil {
			return err
		}
	}
	names := maps.Clone(c.names)
	if len(c.operations) > 0 {
		w = head()
		w.p("package %s", pkg)
		w.p("")
		w.p("import (")
		w.p("\"context\"")
		w.p("\"net/http\"")
		w.p(")")
		for _, op := range c.operations {
			w.goMethod(op, names)
		}
		if err := add("operations.go", w); err != nil {
			return err
		}
	}
	f.text("go.mod", "module "+module+"\n\ngo 1.22\n")
	call := ""
	if op := c.easiest(); op != nil {
		var args []string
		if op.any() {
			args = append(args, `Method: "GET"`)
		}
		for _, p := range op.parameters {
			if p.required {
				args = append(args, goName(p.name)+`: "…"`)
			}
		}
		in := ""
		if !op.takesNothing() {
			in = ", " + pkg + "." + maps.Clone(c.names).typeName([]string{goName(op.name), "Input"}) + "{" + strings.Join(args, ", ") + "}"
		}
		call = "answer, err := client." + goName(op.name) + "(ctx" + in + ")\n"
	}
	f.text("README.md", readme(c, "Needs Go 1.22 or later; nothing else.", "go", fmt.Sprintf(`client := &%[1]s.Client{APIKey: os.Getenv("API_KEY")}
%[2]sfmt.Println(answer, err)
var e *%[1]s.APIError
if errors.As(err, &e) {
	log.Print(e.Status, e.RequestID, string(e.Body))
}
`, pkg, call)))
	return nil
}

var goWords = set(`break case chan const continue default defer else fallthrough for func go goto if import interface map package range return
	select struct switch type var main test internal vendor bytes context json errors fmt io http url strings time init any string error
	bool int int64 float64 append len nil true false`)

// goInitials are written in capitals in names.
var goInitials = set("api html http https id ip json sql uri url uuid xml")

func goName(ws []string) string {
	out := make([]string, len(ws))
	for i, w := range ws {
		if out[i] = w; goInitials[w] {
			out[i] = strings.ToUpper(w)
		}
	}
	return pascal(out)
}

func (w *writer) goDoc(about string) { w.comment("", "//", about) }

// goTag says that a name can be one of a field's: encoding/json passes over others.
func goTag(wire string) bool {
	return wire != "" && wire != "-" && strings.IndexFunc(wire, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", r)
	}) < 0
}

func (w *writer) goType(d *declared) {
	w.p("")
	w.p("// %s is a model of the API.", d.name)
	if about := prose(d.about); len(about) > 0 {
		w.p("//")
		w.goDoc(d.about)
	}
	for _, f := range d.fields {
		if !goTag(f.wire) {
			w.p("//")
			w.p("// It is a map: %s cannot be the name of a field.", strconv.QuoteToASCII(f.wire))
			w.p("type %s map[string]any", d.name)
			return
		}
	}
	w.p("type %s struct {", d.name)
	names := taken{"marshaljson": true, "unmarshaljson": true, "extra": true}
	for _, f := range d.fields {
		w.goDoc(f.about)
		w.goEnum(f.schema)
		t := goType(f.schema)
		optional := ""
		if !f.required {
			optional = ",omitempty"
		}
		if f.schema.kind == objectKind || (!f.required || f.schema.nullable) && f.schema.scalar() {
			t = "*" + t
		}
		w.p("%s %s `json:\"%s%s\"`", goName(names.unused(words(f.wire), "field")), t, f.wire, optional)
	}
	if d.open == nil {
		w.p("}")
		return
	}
	w.p("")
	w.p("// Extra are the properties that are not declared.")
	w.p("Extra map[string]any `json:\"-\"`")
	w.p("}")
	var known []string
	for _, f := range d.fields {
		known = append(known, strconv.QuoteToASCII(f.wire))
	}
	w.p("")
	w.p("// MarshalJSON writes the extra properties beside the others.")
	w.p("func (v %[1]s) MarshalJSON() ([]byte, error) {\ntype plain %[1]s\nreturn marshalOpen(plain(v), v.Extra)\n}", d.name)
	w.p("")
	w.p("// UnmarshalJSON keeps the properties that are not declared.")
	w.p("func (v *%[1]s) UnmarshalJSON(b []byte) (err error) {\ntype plain %[1]s\nv.Extra, err = unmarshalOpen(b, (*plain)(v), %[2]s)\nreturn err\n}", d.name, strings.Join(known, ", "))
}

func (s *schema) scalar() bool {
	return s.kind == stringKind || s.kind == integerKind || s.kind == numberKind || s.kind == booleanKind
}

// goEnum lists what a text may be.
func (w *writer) goEnum(s *schema) {
	if s.kind == stringKind && len(s.enum) > 0 {
		all := make([]string, len(s.enum))
		for i, v := range s.enum {
			all[i] = strconv.QuoteToASCII(v)
		}
		w.p("// One of %s.", strings.Join(all, ", "))
	}
}

func goType(s *schema) string {
	switch s.kind {
	case rawKind:
		return "[]byte"
	case stringKind:
		return "string"
	case integerKind:
		return "int64"
	case numberKind:
		return "float64"
	case booleanKind:
		return "bool"
	case listKind:
		return "[]" + goElem(s.elem)
	case mapKind:
		return "map[string]" + goElem(s.elem)
	case objectKind:
		return s.object.name
	}
	return "any"
}

// goElem is the type of what a list or a map holds.
func goElem(s *schema) string {
	if s.nullable && (s.scalar() || s.kind == objectKind) {
		return "*" + goType(s)
	}
	return goType(s)
}

func (w *writer) goMethod(op *operation, names taken) {
	name := goName(op.name)
	input := ""
	if !op.takesNothing() {
		input = names.typeName([]string{name, "Input"})
		w.p("")
		w.p("// %s is what %s is called with.", input, name)
		w.p("type %s struct {", input)
		if op.any() {
			w.p("Method string")
		}
		for _, p := range op.parameters {
			w.goDoc(p.about)
			need := "empty: left out"
			if p.required {
				need = "needed"
			}
			w.p("%s string // %s", goName(p.name), need)
		}
		if b := op.body; b != nil {
			w.goDoc(b.about)
			t := goType(b.schema)
			if b.schema.kind == objectKind || b.schema.scalar() {
				t = "*" + t
			}
			w.p("%s %s // nil: none", goName(b.name), t)
		}
		w.p("}")
	}
	w.p("")
	w.p("// %s calls %s", name, oneLine(op.verb+" "+op.path, 500)+".")
	for _, s := range []string{op.summary, op.about, strings.Join(op.notes, "\n")} {
		if len(prose(s)) > 0 {
			w.p("//")
			w.goDoc(s)
		}
	}
	result := "*Response"
	if op.result != nil {
		result = goType(op.result)
	}
	in := ""
	if input != "" {
		in = ", in " + input
	}
	w.p("func (c *Client) %s(ctx context.Context%s, edit ...func(*http.Request)) (%s, error) {", name, in, result)
	verb := strconv.Quote(op.verb)
	if op.any() {
		verb = "in.Method"
	}
	w.p("call := newCall(%s)", verb)
	for _, x := range op.pieces() {
		if x.of == nil {
			w.p("call.Path += %s", strconv.QuoteToASCII(x.text))
		} else {
			w.p("call.segment(%s, in.%s, %t)", strconv.Quote(goName(x.of.name)), goName(x.of.name), x.of.greedy)
		}
	}
	for _, p := range op.parameters {
		switch p.in {
		case "querystring":
			w.p("call.query(%s, in.%s, %t)", strconv.QuoteToASCII(p.wire), goName(p.name), p.required)
		case "header":
			w.p("call.header(%s, in.%s, %t)", strconv.QuoteToASCII(p.wire), goName(p.name), p.required)
		}
	}
	if b := op.body; b != nil {
		field := "in." + goName(b.name)
		if b.schema.kind == rawKind {
			w.p("call.Body, call.ContentType = %s, %s", field, strconv.QuoteToASCII(b.contentType))
		} else {
			t := b.contentType
			if t == "" {
				t = "application/json"
			}
			w.p("if %s != nil {", field)
			w.p("call.json(%s, %s)", strconv.QuoteToASCII(t), field)
			w.p("}")
		}
	}
	if op.result != nil {
		w.p("return read[%s](ctx, c, call, edit)", result)
	} else {
		w.p("return c.Send(ctx, call, edit...)")
	}
	w.p("}")
}
