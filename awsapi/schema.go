package awsapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"tollgate/model"
)

// A model refers to others by addresses that look like web pages and are none:
// https://apigateway.amazonaws.com/restapis/{api}/models/{name}. The API in them is
// taken for the one that the model is in, so that clones and imports hold together.
var canonicalRef = regexp.MustCompile(`^https?://[^/]+/restapis/[^/]+/models/([A-Za-z0-9]+)(#.*)?$`)

// modelRef is the name of the model that a reference leads to; empty: to none.
func modelRef(ref string) string {
	if m := canonicalRef.FindStringSubmatch(ref); m != nil {
		return m[1]
	}
	return ""
}

// eachRef replaces every reference in a schema by what change makes of it.
func eachRef(v any, change func(string) string) {
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			if ref, ok := inner.(string); ok && k == "$ref" {
				v[k] = change(ref)
				continue
			}
			eachRef(inner, change)
		}
	case []any:
		for _, inner := range v {
			eachRef(inner, change)
		}
	}
}

func refersTo(m *model.Schema, name string) bool {
	found := false
	if o, err := parseSchema(m); err == nil {
		eachRef(o, func(ref string) string {
			found = found || modelRef(ref) == name
			return ref
		})
	}
	return found
}

func parseSchema(m *model.Schema) (map[string]any, error) {
	d := json.NewDecoder(strings.NewReader(m.Schema))
	d.UseNumber()
	var o map[string]any
	if err := d.Decode(&o); err != nil || o == nil {
		return nil, badRequest("Model %s is no JSON object", m.Name)
	}
	return o, nil
}

// flatten is a model's schema with the models that it refers to, and those that
// they do, in its own definitions.
func flatten(d *model.Definition, m *model.Schema) (string, error) {
	root, err := parseSchema(m)
	if err != nil {
		return "", err
	}
	definitions, _ := root["definitions"].(map[string]any)
	if definitions == nil {
		definitions = map[string]any{}
	}
	taken := map[string]bool{}
	for key := range definitions {
		taken[key] = true
	}
	keys := map[string]string{} // where a model's schema is, by its name
	byName := make(map[string]*model.Schema, len(d.Models))
	for i := range d.Models {
		byName[d.Models[i].Name] = &d.Models[i]
	}
	var pending []string
	local := func(base string) func(string) string {
		return func(ref string) string {
			if strings.HasPrefix(ref, "#") {
				return base + ref[1:]
			}
			name := modelRef(ref)
			if name == "" || byName[name] == nil {
				return ref
			}
			_, at, _ := strings.Cut(ref, "#")
			if name == m.Name {
				return "#" + at
			}
			key, ok := keys[name]
			if !ok {
				key = name
				for i := 2; taken[key]; i++ {
					key = fmt.Sprintf("%s_%d", name, i)
				}
				taken[key], keys[name] = true, key
				pending = append(pending, name)
			}
			return "#/definitions/" + key + at
		}
	}
	eachRef(root, local("#"))
	for len(pending) > 0 {
		name := pending[0]
		pending = pending[1:]
		o, err := parseSchema(byName[name])
		if err != nil {
			return "", err
		}
		eachRef(o, local("#/definitions/"+keys[name]))
		definitions[keys[name]] = o
	}
	if len(definitions) > 0 {
		root["definitions"] = definitions
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(root); err != nil {
		return "", err
	}
	return strings.TrimSpace(b.String()), nil
}

// maxTemplate bounds a sample template: references can make a small schema stand
// for a large document.
const maxTemplate = 300 << 10

// sampleTemplate is a mapping template whose result looks like the model: "foo",
// 42 and true stand for values to be filled in.
func sampleTemplate(d *model.Definition, m *model.Schema) (string, error) {
	o, err := parseSchema(m)
	if err != nil {
		return "", err
	}
	s := sampler{definition: d, within: map[string]bool{m.Name: true}}
	s.WriteString("#set($inputRoot = $input.path('$'))\n")
	s.value(o, o, "", "$inputRoot")
	if s.Len() > maxTemplate {
		return "", badRequest("The template of model %s has more than %d bytes", m.Name, maxTemplate)
	}
	return s.String(), nil
}

type sampler struct {
	strings.Builder
	definition *model.Definition
	within     map[string]bool // references that are being followed
}

// value writes a sample of v, a schema within root; source is what it would be
// filled from.
func (s *sampler) value(root, v map[string]any, indent, source string) {
	if s.Len() > maxTemplate {
		return
	}
	if ref, ok := v["$ref"].(string); ok {
		s.followed(root, ref, indent, source)
		return
	}
	properties, _ := v["properties"].(map[string]any)
	items, _ := v["items"].(map[string]any)
	switch kind := typeOf(v); {
	case kind == "array" || kind == "" && items != nil:
		fmt.Fprintf(s, "[\n%s  #foreach($elem in %s)\n%s    ", indent, source, indent)
		if items == nil {
			s.WriteString("{ }")
		} else {
			s.value(root, items, indent+"    ", "$elem")
		}
		fmt.Fprintf(s, "#if($foreach.hasNext),#end\n%s  #end\n%s]", indent, indent)
	case len(properties) > 0:
		s.WriteString("{\n")
		for i, name := range slices.Sorted(maps.Keys(properties)) {
			if i > 0 {
				s.WriteString(",\n")
			}
			key, _ := json.Marshal(name)
			fmt.Fprintf(s, "%s  %s : ", indent, key)
			p, _ := properties[name].(map[string]any)
			s.value(root, p, indent+"  ", source+"."+name)
		}
		s.WriteString("\n" + indent + "}")
	default:
		s.WriteString(samples[kind])
	}
}

var samples = map[string]string{"string": `"foo"`, "integer": "42", "number": "42", "boolean": "true", "null": "null", "object": "{ }", "": "{ }"}

func typeOf(v map[string]any) string {
	kind, _ := v["type"].(string)
	if several, ok := v["type"].([]any); ok && len(several) > 0 {
		kind, _ = several[0].(string)
	}
	if _, known := samples[kind]; !known && kind != "array" {
		return ""
	}
	return kind
}

// followed writes a sample of what a reference leads to; of one that leads back to
// where it is from, an empty object.
func (s *sampler) followed(root map[string]any, ref, indent, source string) {
	name := modelRef(ref)
	key := name
	var to map[string]any
	if name == "" {
		to, key = resolve(root, ref), fmt.Sprintf("%p %s", root, ref)
	} else if m := s.definition.Model(name); m != nil {
		to, _ = parseSchema(m)
		root = to
	}
	if to == nil || s.within[key] {
		s.WriteString("{ }")
		return
	}
	s.within[key] = true
	s.value(root, to, indent, source)
	delete(s.within, key)
}

// resolve is the schema at a local reference; nil: there is none.
func resolve(root map[string]any, ref string) map[string]any {
	at, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil
	}
	v := root
	for _, part := range strings.Split(strings.Trim(at, "/"), "/") {
		if part != "" {
			v, _ = v[unescapePatch.Replace(part)].(map[string]any)
		}
	}
	return v
}
