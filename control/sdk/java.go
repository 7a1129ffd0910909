package sdk

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"unicode/utf16"

	"tollgate/model"
)

var javaParameters = []Parameter{
	{Name: "serviceName", Label: "Service name", About: "what the client's class is named after, such as Pets", Required: true, Also: "service.name"},
	{Name: "javaPackageName", Label: "Package", About: "Java package of the code, such as com.example.pets", Required: true, Also: "java.package-name"},
	{Name: "javaBuildSystem", Label: "Build system", About: "gradle or maven", Default: "gradle", Also: "java.build-system"},
	{Name: "javaGroupId", Label: "Group ID", About: "group of the library; the package if not given", Also: "java.group-id"},
	{Name: "javaArtifactId", Label: "Artifact ID", About: "name of the library; that of the API if not given", Also: "java.artifact-id"},
	{Name: "javaArtifactVersion", Label: "Version", About: "version of the library; that of the API if not given", Also: "java.artifact-version"},
}

var (
	javaService = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]{0,79}$`)
	javaPackage = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$`)
	javaID      = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$`)
)

// javaWords cannot be names.
var javaWords = set(`abstract assert boolean break byte case catch char class const continue default do double else enum extends final finally float
	for goto if implements import instanceof int interface long native new package private protected public return short static strictfp super
	switch synchronized this throw throws transient try void volatile while true false null _ var yield record sealed permits`)

type javaWriter struct {
	*client
	pkg, folder string
	f           *files
	names       taken // of types
}

// java writes a library of one package, with a class for each model and for what each
// operation is called with.
func java(c *client, f *files) error {
	p := c.parameters
	j := &javaWriter{client: c, pkg: p["javaPackageName"], f: f, names: maps.Clone(c.names)}
	refuse := func(name, want string) error {
		return model.Errorf(model.Invalid, "%s %.100q is not %s", name, p[name], want)
	}
	if !javaService.MatchString(p["serviceName"]) {
		return refuse("serviceName", "a name of letters and digits, such as Pets")
	}
	if len(j.pkg) > 200 || !javaPackage.MatchString(j.pkg) {
		return refuse("javaPackageName", "the name of a Java package, such as com.example.pets")
	}
	for part := range strings.SplitSeq(j.pkg, ".") {
		if javaWords[part] {
			return refuse("javaPackageName", "the name of a Java package: "+part+" is a word of the language")
		}
	}
	group, artifact, version := cmp.Or(p["javaGroupId"], j.pkg), cmp.Or(p["javaArtifactId"], c.slug+"-client"), cmp.Or(p["javaArtifactVersion"], semver(c.version))
	for _, name := range []string{"javaGroupId", "javaArtifactId", "javaArtifactVersion"} {
		if p[name] != "" && !javaID.MatchString(p[name]) {
			return refuse(name, "made of letters, digits, dots and dashes")
		}
	}
	j.folder = "src/main/java/" + strings.ReplaceAll(j.pkg, ".", "/") + "/"
	for _, name := range []string{"ApiBase", "ApiException", "ApiOptions", "ApiRequest", "ApiResponse", "Json", "JsonObject"} {
		w := j.head()
		w.WriteString(shared("java/" + name + ".java"))
		f.add(j.folder+name+".java", w)
	}
	class := j.names.typeName([]string{capital(p["serviceName"]), "Client"})
	for _, d := range c.types {
		j.model(d)
	}
	w := j.head()
	w.p("")
	w.p("import java.util.List;")
	w.p("import java.util.Map;")
	w.p("")
	w.javaDoc("", "The operations of "+c.title+".")
	w.p("public final class %s extends ApiBase {", class)
	w.p("    private static final String BASE_URL = %s;", quoteJava(c.url))
	w.p("")
	w.p("    public %s(ApiOptions options) {", class)
	w.p("        super(BASE_URL, options);")
	w.p("    }")
	example := ""
	easy := c.easiest()
	for _, op := range c.operations {
		request := j.names.typeName([]string{pascal(op.name), "Request"})
		j.request(op, request)
		w.javaMethod(op, request)
		if op == easy {
			example = "var answer = client." + javaName(op.name) + "(" + javaExample(op, request) + ");"
		}
	}
	w.p("}")
	f.add(j.folder+class+".java", w)

	switch cmp.Or(p["javaBuildSystem"], "gradle") {
	case "gradle":
		f.text("settings.gradle", fmt.Sprintf("rootProject.name = '%s'\n", artifact))
		f.text("build.gradle", fmt.Sprintf(`plugins {
    id 'java-library'
}

group = '%s'
version = '%s'

java {
    sourceCompatibility = JavaVersion.VERSION_17
    targetCompatibility = JavaVersion.VERSION_17
}

tasks.withType(JavaCompile).configureEach {
    options.encoding = 'UTF-8'
}
`, group, version))
	case "maven":
		f.text("pom.xml", fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>%s</groupId>
  <artifactId>%s</artifactId>
  <version>%s</version>
  <properties>
    <maven.compiler.release>17</maven.compiler.release>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
</project>
`, group, artifact, version))
	default:
		return refuse("javaBuildSystem", "gradle or maven")
	}
	f.text("README.md", readme(c, "Needs Java 17 or later; nothing else.", "java", fmt.Sprintf(`var client = new %s(new ApiOptions().apiKey(System.getenv("API_KEY")));
try {
    %s
} catch (ApiException e) {
    System.err.println(e.status() + " " + e.requestId() + " " + e.response().text());
}
`, class, example)))
	return nil
}

func (j *javaWriter) head() *writer {
	w := &writer{}
	w.p("// Generated from an API's deployment: changes are lost.")
	w.p("package %s;", j.pkg)
	return w
}

// quoteJava is a string in ASCII. What is below the space is octal: Java reads
// Unicode escapes before it sees strings.
func quoteJava(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r >= ' ' && r <= '~':
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\%03o`, r)
		default:
			for _, u := range utf16.AppendRune(nil, r) {
				fmt.Fprintf(&b, `\u%04x`, u)
			}
		}
	}
	b.WriteByte('"')
	return b.String()
}

// javaProse is a line for a documentation comment, in ASCII, without a backslash:
// Java reads Unicode escapes in comments too, even one that ends them.
func javaProse(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r >= ' ' && r <= '~' && !strings.ContainsRune(`\<>&@*{}`, r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "&#%d;", r)
		}
	}
	return b.String()
}

func (w *writer) javaDoc(indent string, paragraphs ...string) {
	var all []string
	for _, s := range paragraphs {
		if l := prose(s); len(l) > 0 {
			if len(all) > 0 {
				all = append(all, "", "<p>"+javaProse(l[0]))
				l = l[1:]
			}
			for _, x := range l {
				all = append(all, javaProse(x))
			}
		}
	}
	switch len(all) {
	case 0:
	case 1:
		w.p("%s/** %s */", indent, all[0])
	default:
		w.p("%s/**", indent)
		for _, l := range all {
			w.p("%s", strings.TrimRight(indent+" * "+l, " "))
		}
		w.p("%s */", indent)
	}
}

func javaName(ws []string) string {
	n := camel(ws)
	if javaWords[n] {
		n += "_"
	}
	return n
}

func javaType(s *schema) string {
	switch s.kind {
	case stringKind:
		return "String"
	case integerKind:
		return "Long"
	case numberKind:
		return "Double"
	case booleanKind:
		return "Boolean"
	case listKind:
		return "List<" + javaType(s.elem) + ">"
	case mapKind:
		return "Map<String, " + javaType(s.elem) + ">"
	case objectKind:
		return s.object.name
	}
	return "Object"
}

// javaRead is an expression for the typed value of one of JSON.
func javaRead(s *schema, value string, depth int) string {
	v := fmt.Sprintf("v%d", depth)
	switch s.kind {
	case stringKind:
		return "Json.string(" + value + ")"
	case integerKind:
		return "Json.integer(" + value + ")"
	case numberKind:
		return "Json.number(" + value + ")"
	case booleanKind:
		return "Json.bool(" + value + ")"
	case listKind:
		return "Json.list(" + value + ", " + v + " -> " + javaRead(s.elem, v, depth+1) + ")"
	case mapKind:
		return "Json.map(" + value + ", " + v + " -> " + javaRead(s.elem, v, depth+1) + ")"
	case objectKind:
		return "Json.object(" + value + ", " + s.object.name + "::new)"
	}
	return value
}

func (j *javaWriter) model(d *declared) {
	w := j.head()
	w.p("")
	w.p("import java.util.List;")
	w.p("import java.util.Map;")
	w.p("")
	w.javaDoc("", cmp.Or(d.about, "A model of the API."))
	w.p("public final class %s extends JsonObject {", d.name)
	w.p("    public %s() {", d.name)
	w.p("    }")
	w.p("")
	w.p("    /** Stands for an object that was read. */")
	w.p("    public %s(Map<String, Object> properties) {", d.name)
	w.p("        super(properties);")
	w.p("    }")
	names := taken{}
	for _, f := range d.fields {
		ws := names.unused(words(f.wire), "field")
		name := pascal(ws)
		if name == "Class" { // every object has a getClass
			name = "Class_"
		}
		about := f.about
		if len(f.schema.enum) > 0 {
			about = strings.TrimSpace(about + "\nOne of " + strings.Join(f.schema.enum, ", ") + ".")
		}
		w.p("")
		w.javaDoc("    ", about)
		w.p("    public %s get%s() {", javaType(f.schema), name)
		w.p("        return %s;", javaRead(f.schema, "value("+quoteJava(f.wire)+")", 0))
		w.p("    }")
		w.p("")
		w.javaDoc("    ", about)
		w.p("    public %s set%s(%s value) {", d.name, name, javaType(f.schema))
		w.p("        put(%s, value);", quoteJava(f.wire))
		w.p("        return this;")
		w.p("    }")
	}
	w.p("}")
	j.f.add(j.folder+d.name+".java", w)
}

// request writes what an operation is called with.
func (j *javaWriter) request(op *operation, name string) {
	w := j.head()
	w.p("")
	w.p("import java.util.List;")
	w.p("import java.util.Map;")
	w.p("")
	w.javaDoc("", "What "+javaName(op.name)+" is called with.")
	w.p("public final class %[1]s extends ApiRequest<%[1]s> {", name)
	set := func(about, setter, kind, call string) {
		w.p("")
		w.javaDoc("    ", about)
		w.p("    public %s %s(%s value) {", name, setter, kind)
		w.p("        return %s;", call)
		w.p("    }")
	}
	if op.any() {
		set("The verb to call with, such as GET.", "method", "String", "withVerb(value)")
	}
	for _, p := range op.parameters {
		how := map[string]string{"path": "withPath", "querystring": "withQuery", "header": "withHeader"}[p.in]
		about := p.about
		if p.required {
			about = strings.TrimSpace(about + "\nIt is needed.")
		}
		set(about, javaName(p.name), "String", how+"("+quoteJava(p.wire)+", value)")
	}
	if b := op.body; b != nil {
		t := quoteJava(cmp.Or(b.contentType, "application/json"))
		if b.schema.kind == rawKind {
			set(b.about, javaName(b.name), "byte[]", "withContent("+t+", value)")
		} else {
			set(b.about, javaName(b.name), javaType(b.schema), "withJson("+t+", value)")
		}
	}
	w.p("}")
	j.f.add(j.folder+name+".java", w)
}

func (w *writer) javaMethod(op *operation, request string) {
	name := javaName(op.name)
	result := "ApiResponse"
	if op.result != nil {
		result = javaType(op.result)
	}
	if !op.needs() {
		w.p("")
		w.javaDoc("    ", op.paragraphs()...)
		w.p("    public %s %s() {", result, name)
		w.p("        return %s(new %s());", name, request)
		w.p("    }")
	}
	w.p("")
	w.javaDoc("    ", op.paragraphs()...)
	w.p("    public %s %s(%s request) {", result, name, request)
	for _, p := range op.parameters {
		if p.required && p.in != "path" {
			w.p("        request.%s(%s);", map[string]string{"querystring": "requireQuery", "header": "requireHeader"}[p.in], quoteJava(p.wire))
		}
	}
	verb := quoteJava(op.verb)
	if op.any() {
		verb = "request.verb()"
	}
	var path []string
	for _, x := range op.pieces() {
		if x.of == nil {
			path = append(path, quoteJava(x.text))
		} else {
			path = append(path, fmt.Sprintf("request.segment(%s, %t)", quoteJava(x.of.wire), x.of.greedy))
		}
	}
	send := fmt.Sprintf("send(%s, %s, request)", verb, strings.Join(path, " + "))
	if op.result != nil {
		send = "read(" + send + ", v -> " + javaRead(op.result, "v", 0) + ")"
	}
	w.p("        return %s;", send)
	w.p("    }")
}

func javaExample(op *operation, request string) string {
	if !op.needs() {
		return ""
	}
	out := "new " + request + "()"
	if op.any() {
		out += `.method("GET")`
	}
	for _, p := range op.parameters {
		if p.required {
			out += "." + javaName(p.name) + `("…")`
		}
	}
	return out
}
