package changes

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"tollgate/model"
)

// direction tells what callers send from what they get: what narrows one widens the other.
type direction int

const (
	request direction = iota
	response
)

func (d direction) rule(name string) string {
	if d == request {
		return "request-" + name
	}
	return "response-" + name
}

// pair is two schemas that are being compared, or were, under a direction.
type pair struct {
	d    direction
	a, b place
	of   string // which operation's, as it is told for each
}

// place is a schema in a model.
type place struct{ model, pointer string }

// side is one of the two definitions, with its models read.
type side struct {
	d     *model.Definition
	roots map[string]any
}

func (s *side) root(name string) any {
	v, ok := s.roots[name]
	if !ok {
		if m := s.d.Model(name); m != nil {
			v = parse(m.Schema)
		}
		s.roots[name] = v
	}
	return v
}

// resolve follows references to the schema at a place; nil where there is none.
func (s *side) resolve(p place) (place, map[string]any) {
	for range 50 { // a reference that ends at itself says nothing
		v := s.root(p.model)
		for _, t := range strings.Split(p.pointer, "/")[1:] {
			t = strings.NewReplacer("~1", "/", "~0", "~").Replace(t)
			switch x := v.(type) {
			case map[string]any:
				v = x[t]
			case []any:
				i, err := strconv.Atoi(t)
				if err != nil || i < 0 || i >= len(x) {
					return p, nil
				}
				v = x[i]
			default:
				return p, nil
			}
		}
		m, _ := v.(map[string]any)
		ref, ok := m["$ref"].(string)
		if !ok {
			return p, m
		}
		to, pointer, _ := strings.Cut(ref, "#")
		if to != "" { // https://apigateway.amazonaws.com/restapis/{id}/models/{name}
			p.model = to[strings.LastIndexByte(to, '/')+1:]
			if name, err := url.PathUnescape(p.model); err == nil {
				p.model = name
			}
		}
		if pointer, err := url.PathUnescape(pointer); err == nil && strings.HasPrefix(pointer, "/") {
			p.pointer = pointer
		} else {
			p.pointer = ""
		}
	}
	return p, nil
}

func (p place) in(path ...string) place {
	for _, t := range path {
		p.pointer += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(t)
	}
	return p
}

func (c *comparison) models(d direction, of, a, b string) {
	if c.seen == nil {
		c.seen = map[pair]bool{}
		c.before, c.after = &side{c.from, map[string]any{}}, &side{c.to, map[string]any{}}
	}
	c.schema(d, of, "", place{model: a}, place{model: b}, 0)
}

// maxDepth bounds how deeply schemas are compared within each other.
const maxDepth = 100

// schema compares two. at is the property, from the body's own.
func (c *comparison) schema(d direction, of, at string, pa, pb place, depth int) {
	pa, a := c.before.resolve(pa)
	pb, b := c.after.resolve(pb)
	p := pair{d, pa, pb, c.method + " " + c.path + " " + of}
	c.budget--
	if c.seen[p] || c.budget < 0 || depth > maxDepth {
		return
	}
	c.seen[p] = true
	if reflect.DeepEqual(a, b) && !refers(a) {
		return
	}
	what := "The " + of
	if at != "" {
		what = "Property " + at + " of the " + of
	}
	// narrowed is worse for what is sent, widened for what is got.
	level := func(narrowed bool, whenResponse Level) Level {
		switch {
		case d == request && narrowed:
			return Error
		case d == response && !narrowed:
			return whenResponse
		}
		return Info
	}
	c.types(d, what, a, b)
	c.enums(d, what, a, b, level)
	for _, k := range []struct {
		name  string
		lower bool // a larger number narrows
	}{{"minimum", true}, {"minLength", true}, {"minItems", true}, {"minProperties", true}, {"maximum", false}, {"maxLength", false}, {"maxItems", false}, {"maxProperties", false}} {
		x, had := a[k.name].(float64)
		y, there := b[k.name].(float64)
		if had == there && x == y {
			continue
		}
		narrowed := there && (!had || (y > x) == k.lower)
		c.add(level(narrowed, Warning), d.rule("property-bound-changed"), "%s has %s %s", what, k.name, changed(a[k.name], b[k.name]))
	}
	for _, k := range []string{"pattern", "format", "multipleOf", "exclusiveMinimum", "exclusiveMaximum", "not"} {
		if !reflect.DeepEqual(a[k], b[k]) {
			l := Warning
			if b[k] == nil || d == response {
				l = Info
			}
			c.add(l, d.rule("property-"+strings.ToLower(k)+"-changed"), "%s has %s %s", what, k, changed(a[k], b[k]))
		}
	}
	if x, y := a["uniqueItems"] == true, b["uniqueItems"] == true; x != y {
		c.add(level(y, Warning), d.rule("property-unique-items-changed"), "%s must have members that differ: %v instead of %v", what, y, x)
	}
	if x, y := a["additionalProperties"] == false, b["additionalProperties"] == false; x != y {
		c.add(level(y, Info), d.rule("additional-properties-changed"), "%s may have other properties than those described: %v instead of %v", what, !y, !x)
	}
	c.properties(d, of, at, what, a, b, pa, pb, depth)
	if x, _ := a["items"].(map[string]any); x != nil {
		if y, _ := b["items"].(map[string]any); y != nil {
			c.schema(d, of, join(at, "[]"), pa.in("items"), pb.in("items"), depth+1)
		}
	}
	if x, _ := a["additionalProperties"].(map[string]any); x != nil {
		if y, _ := b["additionalProperties"].(map[string]any); y != nil {
			c.schema(d, of, join(at, "*"), pa.in("additionalProperties"), pb.in("additionalProperties"), depth+1)
		}
	}
	for _, k := range []string{"allOf", "anyOf", "oneOf"} {
		x, _ := a[k].([]any)
		y, _ := b[k].([]any)
		for i := range min(len(x), len(y)) {
			c.schema(d, of, at, pa.in(k, strconv.Itoa(i)), pb.in(k, strconv.Itoa(i)), depth+1)
		}
		if len(x) != len(y) {
			narrowed := (len(y) < len(x)) != (k == "allOf") || len(x) == 0
			c.add(level(narrowed, Warning), d.rule("property-"+strings.ToLower(k)+"-changed"), "%s has %d schemas in %s instead of %d", what, len(y), k, len(x))
		}
	}
}

func refers(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		if _, ok := v["$ref"]; ok {
			return true
		}
		for _, x := range v {
			if refers(x) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, refers)
	}
	return false
}

func join(at, name string) string {
	if at == "" || name == "[]" {
		return at + name
	}
	return at + "." + name
}

func changed(a, b any) string {
	text := func(v any) string {
		s := fmt.Sprint(v)
		if len(s) > 60 {
			s = s[:60] + "…"
		}
		return s
	}
	switch {
	case a == nil:
		return text(b) + ", and had none"
	case b == nil:
		return "no more: it was " + text(a)
	}
	return text(b) + " instead of " + text(a)
}

// typesOf are a schema's types; nil: any.
func typesOf(s map[string]any) (out []string) {
	switch t := s["type"].(type) {
	case string:
		out = []string{t}
	case []any:
		for _, x := range t {
			if n, ok := x.(string); ok {
				out = append(out, n)
			}
		}
	}
	if len(out) > 0 && (s["nullable"] == true || s["x-nullable"] == true) && !slices.Contains(out, "null") {
		out = append(out, "null")
	}
	slices.Sort(out)
	return out
}

// within says whether every value of types a is one of types b.
func within(a, b []string) bool {
	if b == nil {
		return true
	}
	if a == nil {
		return false
	}
	for _, t := range a {
		if !slices.Contains(b, t) && (t != "integer" || !slices.Contains(b, "number")) {
			return false
		}
	}
	return true
}

func (c *comparison) types(d direction, what string, a, b map[string]any) {
	x, y := typesOf(a), typesOf(b)
	if slices.Equal(x, y) {
		return
	}
	name := func(t []string) string {
		if t == nil {
			return "of any type"
		}
		return strings.Join(t, " or ")
	}
	l := Info
	switch {
	case d == request && !within(x, y):
		l = Error
	case d == response && !within(y, x):
		l = Error
	}
	c.add(l, d.rule("property-type-changed"), "%s is %s instead of %s", what, name(y), name(x))
}

func (c *comparison) enums(d direction, what string, a, b map[string]any, level func(bool, Level) Level) {
	x, had := a["enum"].([]any)
	y, there := b["enum"].([]any)
	switch {
	case !had && !there:
		return
	case !had:
		c.add(level(true, Info), d.rule("property-became-enum"), "%s is one of a list of values", what)
		return
	case !there:
		c.add(level(false, Warning), d.rule("property-enum-removed"), "%s is not one of a list of values any more", what)
		return
	}
	list := func(v any) string { return fmt.Sprintf("%.60v", v) }
	in := func(l []any, v any) bool {
		return slices.ContainsFunc(l, func(w any) bool { return reflect.DeepEqual(v, w) })
	}
	for i, v := range x {
		if i < 500 && !in(y, v) {
			c.add(level(true, Info), d.rule("property-enum-value-removed"), "%s is never %s any more", what, list(v))
		}
	}
	for i, v := range y {
		if i < 500 && !in(x, v) {
			c.add(level(false, Warning), d.rule("property-enum-value-added"), "%s may be %s", what, list(v))
		}
	}
}

func requires(s map[string]any) map[string]bool {
	out := map[string]bool{}
	l, _ := s["required"].([]any)
	for _, v := range l {
		if n, ok := v.(string); ok {
			out[n] = true
		}
	}
	return out
}

func (c *comparison) properties(d direction, of, at, what string, a, b map[string]any, pa, pb place, depth int) {
	x, _ := a["properties"].(map[string]any)
	y, _ := b["properties"].(map[string]any)
	must, musts := requires(a), requires(b)
	for _, n := range union(x, y) {
		_, had := x[n]
		_, there := y[n]
		full := join(at, n)
		switch {
		case !had && d == request && musts[n]:
			c.add(Error, "new-required-request-property", "The %s must have a new property %s", of, full)
		case !had && d == request:
			c.add(Info, "new-optional-request-property", "The %s may have a new property %s", of, full)
		case !had:
			c.add(Info, "response-property-added", "The %s has a new property %s", of, full)
		case !there && d == request:
			c.add(Warning, "request-property-removed", "Property %s of the %s is removed", full, of)
		case !there && must[n]:
			c.add(Error, "response-required-property-removed", "Property %s of the %s is removed", full, of)
		case !there:
			c.add(Warning, "response-optional-property-removed", "Property %s of the %s is removed", full, of)
		default:
			if must[n] != musts[n] {
				switch {
				case d == request && musts[n]:
					c.add(Error, "request-property-became-required", "Property %s of the %s became required", full, of)
				case d == request:
					c.add(Info, "request-property-became-optional", "Property %s of the %s became optional", full, of)
				case musts[n]:
					c.add(Info, "response-property-became-required", "Property %s of the %s is always there", full, of)
				default:
					c.add(Error, "response-property-became-optional", "Property %s of the %s may be missing", full, of)
				}
			}
			c.schema(d, of, full, pa.in("properties", n), pb.in("properties", n), depth+1)
		}
	}
	for n := range musts { // required without being described
		if _, described := y[n]; !described && !must[n] && d == request {
			c.add(Error, "request-property-became-required", "%s must have the property %s", what, n)
		}
	}
}
