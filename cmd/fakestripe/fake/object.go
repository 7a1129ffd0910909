package fake

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
)

// object is a JSON object. Its numbers are int64 or float64, its lists []any, its objects
// object. Fields whose name begins with _ are the fake's own and are never shown.
type object = map[string]any

//go:embed shapes.json
var shapesJSON []byte

// shapes holds, per type of object, every field it has with the value of a new one.
var shapes = func() map[string]object {
	v, err := decodeJSON(shapesJSON)
	if err != nil {
		panic("shapes.json: " + err.Error())
	}
	m := map[string]object{}
	for k, o := range v.(object) {
		m[k] = o.(object)
	}
	return m
}()

// blank returns a new object of a type without id and created.
func blank(kind string) object { return clone(shapes[kind]).(object) }

// decodeJSON reads a value with whole numbers as int64.
func decodeJSON(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return numbers(v), nil
}

func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, _ := v.Float64()
		return f
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	}
	return v
}

// clone copies a value deeply, with the fake's own fields.
func clone(v any) any {
	switch v := v.(type) {
	case object:
		m := make(object, len(v))
		for k, e := range v {
			m[k] = clone(e)
		}
		return m
	case []any:
		l := make([]any, len(v))
		for i, e := range v {
			l[i] = clone(e)
		}
		return l
	}
	return v
}

// shown copies a value deeply without the fake's own fields.
func shown(v any) any {
	switch v := v.(type) {
	case object:
		m := make(object, len(v))
		for k, e := range v {
			if !strings.HasPrefix(k, "_") {
				m[k] = shown(e)
			}
		}
		return m
	case []any:
		l := make([]any, len(v))
		for i, e := range v {
			l[i] = shown(e)
		}
		return l
	}
	return v
}

// str, num, flag, sub and list read a field; one that is absent or null is the zero value.

func str(o object, k string) string { s, _ := o[k].(string); return s }
func num(o object, k string) int64  { n, _ := o[k].(int64); return n }
func flag(o object, k string) bool  { b, _ := o[k].(bool); return b }
func sub(o object, k string) object { m, _ := o[k].(object); return m }
func list(o object, k string) []any { l, _ := o[k].([]any); return l }
func id(o object) string            { return str(o, "id") }
func has(o object, k string) bool   { _, ok := o[k]; return ok }
func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}
func orZero(n int64) any {
	if n == 0 {
		return nil
	}
	return n
}
func path(format string, a ...any) string { return fmt.Sprintf(format, a...) }

// merge writes fields into o.
func merge(o, fields object) {
	for k, v := range fields {
		o[k] = v
	}
}

// listOf is the object Stripe puts around the items of a list.
func listOf(url string, items []any, more bool) object {
	if items == nil {
		items = []any{}
	}
	return object{"object": "list", "url": url, "has_more": more, "data": items}
}
