// Package cfn reads CloudFormation and SAM templates: what they say of API Gateway
// becomes definitions, stages, plans and keys; all else is reported with its place. It
// is pure and bounded, as templates come from anybody.
package cfn

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"tollgate/model"
)

// Limits of a template. Amazon's is 1 MB.
const (
	MaxBytes     = 1 << 20
	maxDepth     = 100
	maxNodes     = 200_000
	maxEvaluated = 2_000_000 // values that intrinsics may make of them
	maxText      = 8 << 20   // bytes that Fn::Sub and Fn::Join may make in all
)

// place is where something stands, from 1.
type place struct{ line, column int }

type kind int

const (
	null kind = iota
	scalar
	list
	object
)

// value is one of the template, before or after its intrinsics were worked out.
type value struct {
	kind   kind
	text   string
	plain  any // of a scalar: string, bool, int64, float64
	items  []*value
	fields []field // in the order of the template
	at     place

	ref     string // the resource whose name or id it is
	unknown string // why it is not known; "" when it is
}

type field struct {
	name  string
	value *value
	at    place
}

func (v *value) get(name string) *value {
	if v == nil {
		return nil
	}
	for i := range v.fields {
		if v.fields[i].name == name {
			return v.fields[i].value
		}
	}
	return nil
}

func text(s string, at place) *value { return &value{kind: scalar, text: s, plain: s, at: at} }

// read parses a template, which is YAML or JSON.
func read(src []byte) (v *value, err error) {
	if len(src) > MaxBytes {
		return nil, model.Errorf(model.Limit, "the template has %d bytes; at most %d are allowed", len(src), MaxBytes)
	}
	defer func() { // the parser panics inside
		if p := recover(); p != nil {
			v, err = nil, model.Errorf(model.Invalid, "the template cannot be read: %v", p)
		}
	}()
	var doc yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(src)).Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, model.Errorf(model.Invalid, "the template is empty")
		}
		return nil, model.Errorf(model.Invalid, "the template cannot be read: %v", err)
	}
	if len(doc.Content) == 0 {
		return nil, model.Errorf(model.Invalid, "the template is empty")
	}
	r := reader{}
	return r.convert(doc.Content[0], 0)
}

type reader struct{ nodes int }

// short are tags that stand for functions; "!X" is Fn::X but for two.
func function(tag string) string {
	switch name := strings.TrimPrefix(tag, "!"); name {
	case "Ref", "Condition":
		return name
	default:
		return "Fn::" + name
	}
}

func (r *reader) convert(n *yaml.Node, depth int) (*value, error) {
	at := place{n.Line, n.Column}
	if r.nodes++; r.nodes > maxNodes || depth > maxDepth {
		return nil, model.Errorf(model.Limit, "line %d: the template has more than %d values or nests deeper than %d", n.Line, maxNodes, maxDepth)
	}
	v := &value{at: at}
	switch n.Kind {
	case yaml.AliasNode:
		return nil, model.Errorf(model.Invalid, "line %d: aliases (*%s) are not part of templates", n.Line, n.Value)
	case yaml.ScalarNode:
		v.kind, v.text = scalar, n.Value
		switch n.ShortTag() {
		case "!!null":
			v.kind = null
		case "!!bool", "!!int", "!!float":
			var p any
			if err := n.Decode(&p); err == nil {
				v.plain = p
			}
		}
		if v.kind == scalar && v.plain == nil {
			v.plain = n.Value
		}
	case yaml.SequenceNode:
		v.kind = list
		for _, c := range n.Content {
			x, err := r.convert(c, depth+1)
			if err != nil {
				return nil, err
			}
			v.items = append(v.items, x)
		}
	case yaml.MappingNode:
		v.kind = object
		seen := map[string]bool{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i]
			if k.Kind != yaml.ScalarNode || k.Value == "<<" {
				return nil, model.Errorf(model.Invalid, "line %d: a name was expected; merges are not part of templates", k.Line)
			}
			if seen[k.Value] {
				return nil, model.Errorf(model.Invalid, "line %d: %s is there twice", k.Line, k.Value)
			}
			seen[k.Value] = true
			x, err := r.convert(n.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			v.fields = append(v.fields, field{k.Value, x, place{k.Line, k.Column}})
		}
	}
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		arg := *v
		if name := function(n.Tag); name == "Fn::GetAtt" && arg.kind == scalar {
			a, b, _ := strings.Cut(arg.text, ".")
			v = &value{kind: object, at: at, fields: []field{{name, &value{kind: list, at: at, items: []*value{text(a, at), text(b, at)}}, at}}}
		} else {
			v = &value{kind: object, at: at, fields: []field{{name, &arg, at}}}
		}
	}
	return v, nil
}

// Options are what a template is read with.
type Options struct {
	Stack      string            // its name: things are known by it on a second run
	Parameters map[string]string // instead of the template's defaults
	Region     string
	AccountID  string
	// Open reads a file that the template names; nil: there are none.
	Open func(name string) ([]byte, error)
}

// template works out intrinsics.
type template struct {
	o          Options
	root       *value
	parameters map[string]*value
	conditions map[string]*bool // nil: being worked out
	resources  map[string]*value
	budget     int // values
	bytes      int // of text that was made
	problems   []model.Problem
	told       map[string]bool
}

func (t *template) report(severity string, at place, pointer, format string, a ...any) {
	p := model.Problem{Severity: severity, Line: at.line, Column: at.column, Pointer: pointer, Message: fmt.Sprintf(format, a...)}
	if id := p.String(); !t.told[id] && len(t.problems) < 1000 {
		t.told[id] = true
		t.problems = append(t.problems, p)
	}
}

func (t *template) prepare() error {
	if t.root.kind != object || t.root.get("Resources") == nil {
		return model.Errorf(model.Invalid, "this is no CloudFormation template: it has no Resources")
	}
	if tr := t.root.get("Transform"); tr != nil {
		for _, m := range append(tr.items, tr) {
			if m.kind == scalar && m.text != "AWS::Serverless-2016-10-31" {
				t.report(model.SeverityError, m.at, "Transform", "the macro %.100s is not applied: expand the template first", m.text)
			}
		}
	}
	declared := t.root.get("Parameters")
	for name := range t.o.Parameters {
		if declared.get(name) == nil {
			return model.Errorf(model.Invalid, "the template has no parameter %s", name)
		}
	}
	if declared != nil {
		for _, f := range declared.fields {
			v := f.value.get("Default")
			if given, ok := t.o.Parameters[f.name]; ok {
				v = text(given, f.at)
			}
			if v == nil {
				return model.Errorf(model.Invalid, "line %d: parameter %s has no default: give it with --parameter %s=…", f.at.line, f.name, f.name)
			}
			kind := f.value.get("Type")
			if kind != nil && (kind.text == "CommaDelimitedList" || strings.HasPrefix(kind.text, "List<")) {
				l := &value{kind: list, at: v.at}
				for _, s := range strings.Split(v.text, ",") {
					l.items = append(l.items, text(strings.TrimSpace(s), v.at))
				}
				v = l
			} else if v.kind == scalar {
				v = text(v.text, v.at)
			}
			if allowed := f.value.get("AllowedValues"); allowed != nil {
				ok := false
				for _, a := range allowed.items {
					ok = ok || a.text == v.text
				}
				if !ok {
					return model.Errorf(model.Invalid, "line %d: parameter %s is %q, which is none of its allowed values", f.at.line, f.name, v.text)
				}
			}
			t.parameters[f.name] = v
		}
	}
	for _, f := range t.root.get("Resources").fields {
		t.resources[f.name] = f.value
	}
	return nil
}

// pseudo are the parameters that every template has.
func (t *template) pseudo(name string) (string, bool) {
	switch name {
	case "AWS::Region":
		return t.o.Region, true
	case "AWS::AccountId":
		return t.o.AccountID, true
	case "AWS::StackName":
		return t.o.Stack, true
	case "AWS::StackId":
		return "arn:aws:cloudformation:" + t.o.Region + ":" + t.o.AccountID + ":stack/" + t.o.Stack, true
	case "AWS::Partition":
		return "aws", true
	case "AWS::URLSuffix":
		return "amazonaws.com", true
	}
	return "", false
}

func unknown(at place, format string, a ...any) *value {
	return &value{kind: scalar, at: at, plain: "", unknown: fmt.Sprintf(format, a...)}
}

// name of a thing that other resources refer to: those that are not made here have
// the name that the template gives them, or that CloudFormation's would begin with.
func (t *template) nameOf(logical string) string {
	props := t.resources[logical].get("Properties")
	for _, p := range []string{"FunctionName", "RoleName", "Name"} {
		if v := props.get(p); v != nil && v.kind == scalar {
			return v.text
		}
	}
	return t.o.Stack + "-" + logical
}

func (t *template) ref(name string, at place) *value {
	if s, ok := t.pseudo(name); ok {
		return text(s, at)
	}
	if name == "AWS::NoValue" {
		return nil
	}
	if p := t.parameters[name]; p != nil {
		return p
	}
	r := t.resources[name]
	if r == nil {
		return unknown(at, "there is no parameter or resource %s", name)
	}
	v := text(t.nameOf(name), at)
	v.ref = name
	if k := r.get("Type"); k != nil && strings.HasPrefix(k.text, "AWS::ApiGateway::") || k != nil && k.text == "AWS::Serverless::Api" {
		v.unknown = "the id of " + name + " is not known before it is made"
	}
	return v
}

func (t *template) attribute(name, attribute string, at place) *value {
	r := t.resources[name]
	if r == nil {
		return unknown(at, "there is no resource %s", name)
	}
	kind := ""
	if k := r.get("Type"); k != nil {
		kind = k.text
	}
	arn := func(service, rest string) *value {
		region := t.o.Region
		if service == "iam" {
			region = ""
		}
		v := text("arn:aws:"+service+":"+region+":"+t.o.AccountID+":"+rest+t.nameOf(name), at)
		v.ref = name
		return v
	}
	switch {
	case attribute == "Arn" && (kind == "AWS::Lambda::Function" || kind == "AWS::Serverless::Function"):
		return arn("lambda", "function:")
	case attribute == "Arn" && kind == "AWS::IAM::Role":
		return arn("iam", "role/")
	}
	v := unknown(at, "%s of %s (%s) is not known here", attribute, name, kind)
	v.ref = name
	return v
}

var substitution = regexp.MustCompile(`\$\{(!?)([^}]*)\}`)

// spend counts what is made.
func (t *template) spend(bytes int) bool {
	t.budget--
	t.bytes += bytes
	return t.budget >= 0 && t.bytes <= maxText
}

// eval works out the intrinsics in a value; nil is AWS::NoValue.
func (t *template) eval(v *value, depth int) *value {
	if v == nil {
		return nil
	}
	if !t.spend(0) || depth > 2*maxDepth {
		return unknown(v.at, "the template makes more than %d values or %d bytes", maxEvaluated, maxText)
	}
	switch v.kind {
	case list:
		out := &value{kind: list, at: v.at}
		for _, x := range v.items {
			if e := t.eval(x, depth+1); e != nil {
				out.items = append(out.items, e)
			}
		}
		return out
	case object:
		if len(v.fields) == 1 {
			if name := v.fields[0].name; name == "Ref" || strings.HasPrefix(name, "Fn::") {
				return t.call(name, v.fields[0].value, v.at, depth+1)
			}
		}
		out := &value{kind: object, at: v.at}
		for _, f := range v.fields {
			if e := t.eval(f.value, depth+1); e != nil {
				out.fields = append(out.fields, field{f.name, e, f.at})
			}
		}
		return out
	}
	return v
}

func (t *template) call(name string, arg *value, at place, depth int) *value {
	bad := func() *value { return unknown(at, "%s has no such arguments", name) }
	args := func(n int) []*value {
		e := t.eval(arg, depth)
		if e == nil || e.kind != list || len(e.items) != n {
			return nil
		}
		return e.items
	}
	switch name {
	case "Ref":
		if arg.kind != scalar {
			return bad()
		}
		return t.ref(arg.text, at)
	case "Fn::GetAtt":
		a := args(2)
		if arg.kind == scalar { // "Name.Attribute", as JSON may have it
			x, y, _ := strings.Cut(arg.text, ".")
			a = []*value{text(x, at), text(y, at)}
		}
		if a == nil {
			return bad()
		}
		return t.attribute(a[0].text, a[1].text, at)
	case "Fn::Sub":
		return t.sub(arg, at, depth)
	case "Fn::Join":
		a := args(2)
		if a == nil || a[1].kind != list {
			if a != nil && a[1].unknown != "" {
				return unknown(at, "%s", a[1].unknown)
			}
			return bad()
		}
		var parts []string
		n := 0
		for _, x := range a[1].items {
			if x.unknown != "" {
				return unknown(at, "%s", x.unknown)
			}
			parts = append(parts, x.text)
			n += len(x.text) + len(a[0].text)
		}
		if !t.spend(n) {
			return unknown(at, "the template makes more than %d bytes of text", maxText)
		}
		return text(strings.Join(parts, a[0].text), at)
	case "Fn::Select":
		a := args(2)
		if a == nil || a[1].kind != list {
			return bad()
		}
		i, err := strconv.Atoi(a[0].text)
		if err != nil || i < 0 || i >= len(a[1].items) {
			return unknown(at, "Fn::Select asks for member %.20s of %d", a[0].text, len(a[1].items))
		}
		return a[1].items[i]
	case "Fn::Split":
		a := args(2)
		if a == nil || a[1].kind != scalar || a[0].text == "" {
			return bad()
		}
		if a[1].unknown != "" {
			return unknown(at, "%s", a[1].unknown)
		}
		out := &value{kind: list, at: at}
		for _, s := range strings.Split(a[1].text, a[0].text) {
			if !t.spend(len(s)) {
				break
			}
			out.items = append(out.items, text(s, at))
		}
		return out
	case "Fn::If":
		if arg.kind != list || len(arg.items) != 3 {
			return bad()
		}
		yes, why := t.condition(arg.items[0].text, at, 0)
		if why != "" {
			return unknown(at, "%s", why)
		}
		if yes {
			return t.eval(arg.items[1], depth)
		}
		return t.eval(arg.items[2], depth)
	case "Fn::FindInMap":
		e := t.eval(arg, depth)
		if e == nil || e.kind != list || len(e.items) < 3 {
			return bad()
		}
		found := t.root.get("Mappings").get(e.items[0].text).get(e.items[1].text).get(e.items[2].text)
		if found == nil && len(e.items) > 3 {
			found = e.items[3].get("DefaultValue")
		}
		if found == nil {
			return unknown(at, "there is no mapping %.60s, %.60s, %.60s", e.items[0].text, e.items[1].text, e.items[2].text)
		}
		return found
	case "Fn::Base64":
		e := t.eval(arg, depth)
		if e == nil || e.kind != scalar || e.unknown != "" || !t.spend(2*len(e.text)) {
			return bad()
		}
		return text(base64.StdEncoding.EncodeToString([]byte(e.text)), at)
	case "Fn::Length":
		if e := t.eval(arg, depth); e != nil && e.kind == list {
			return text(strconv.Itoa(len(e.items)), at)
		}
		return bad()
	case "Fn::ToJsonString":
		e := t.eval(arg, depth)
		b, err := e.json()
		if err != nil || !t.spend(len(b)) {
			return bad()
		}
		return text(string(b), at)
	}
	return unknown(at, "%s is not worked out here", name)
}

func (t *template) sub(arg *value, at place, depth int) *value {
	src, vars := arg, (*value)(nil)
	if arg.kind == list && len(arg.items) == 2 {
		src, vars = arg.items[0], t.eval(arg.items[1], depth)
	}
	if src.kind != scalar {
		return unknown(at, "Fn::Sub has no text")
	}
	why, made := "", 0
	out := substitution.ReplaceAllStringFunc(src.text, func(m string) string {
		parts := substitution.FindStringSubmatch(m)
		if parts[1] == "!" { // ${!Literal}
			return "${" + parts[2] + "}"
		}
		name := strings.TrimSpace(parts[2])
		v := vars.get(name)
		if v == nil {
			if a, b, ok := strings.Cut(name, "."); ok {
				v = t.attribute(a, b, at)
			} else {
				v = t.ref(name, at)
			}
		}
		if v == nil || v.kind != scalar {
			v = unknown(at, "%s is no text", name)
		}
		if v.unknown != "" {
			why = v.unknown
			return ""
		}
		made += len(v.text)
		if !t.spend(len(v.text)) {
			why = fmt.Sprintf("the template makes more than %d bytes of text", maxText)
			return ""
		}
		return v.text
	})
	if why != "" {
		return unknown(at, "%s", why)
	}
	return text(out, at)
}

// condition works out a condition by its name.
func (t *template) condition(name string, at place, depth int) (yes bool, why string) {
	if known, ok := t.conditions[name]; ok {
		if known == nil {
			return false, "condition " + name + " depends on itself"
		}
		return *known, ""
	}
	c := t.root.get("Conditions").get(name)
	if c == nil {
		return false, "there is no condition " + name
	}
	t.conditions[name] = nil
	yes, why = t.test(c, depth+1)
	if why != "" {
		return false, why
	}
	t.conditions[name] = &yes
	return yes, ""
}

func (t *template) test(c *value, depth int) (yes bool, why string) {
	if depth > maxDepth || !t.spend(0) {
		return false, "the conditions nest too deeply"
	}
	if c.kind != object || len(c.fields) != 1 {
		return false, "a condition was expected"
	}
	f := c.fields[0]
	switch f.name {
	case "Condition":
		return t.condition(f.value.text, c.at, depth)
	case "Fn::Equals":
		e := t.eval(f.value, depth)
		if e == nil || e.kind != list || len(e.items) != 2 {
			return false, "Fn::Equals has two arguments"
		}
		for _, x := range e.items {
			if x.unknown != "" {
				return false, x.unknown
			}
		}
		a, errA := e.items[0].json()
		b, errB := e.items[1].json()
		if errA != nil || errB != nil {
			return false, "Fn::Equals compares what is not known"
		}
		return bytes.Equal(a, b) || e.items[0].kind == scalar && e.items[1].kind == scalar && e.items[0].text == e.items[1].text, ""
	case "Fn::Not":
		if f.value.kind != list || len(f.value.items) != 1 {
			return false, "Fn::Not has one argument"
		}
		yes, why = t.test(f.value.items[0], depth+1)
		return !yes, why
	case "Fn::And", "Fn::Or":
		if f.value.kind != list || len(f.value.items) == 0 {
			return false, f.name + " has arguments"
		}
		and := f.name == "Fn::And"
		for _, x := range f.value.items {
			yes, why := t.test(x, depth+1)
			if why != "" || yes != and {
				return yes, why
			}
		}
		return and, ""
	}
	return false, f.name + " is no condition"
}

var errUnknown = errors.New("not known")

// json is a worked-out value as JSON.
func (v *value) json() ([]byte, error) {
	x, err := v.any()
	if err != nil {
		return nil, err
	}
	return json.Marshal(x)
}

func (v *value) any() (any, error) {
	if v == nil {
		return nil, nil
	}
	if v.unknown != "" {
		return nil, fmt.Errorf("%w: %s", errUnknown, v.unknown)
	}
	switch v.kind {
	case scalar:
		return v.plain, nil
	case list:
		out := []any{}
		for _, x := range v.items {
			y, err := x.any()
			if err != nil {
				return nil, err
			}
			out = append(out, y)
		}
		return out, nil
	case object:
		out := map[string]any{}
		for _, f := range v.fields {
			y, err := f.value.any()
			if err != nil {
				return nil, err
			}
			out[f.name] = y
		}
		return out, nil
	}
	return nil, nil
}

func sortProblems(all []model.Problem) {
	sort.SliceStable(all, func(i, j int) bool {
		if all[i].Line != all[j].Line {
			return all[i].Line < all[j].Line
		}
		return all[i].Column < all[j].Column
	})
}
