package fake

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// spec says what one parameter may be: a field with a type, a list of such, or an object.
type spec struct {
	name     string
	kind     string // str, int, bool, num, time, map, any, range
	enum     []string
	required bool
	list     bool
	fields   map[string]*spec // of an object
	order    []string
}

// parseSpec reads the little language of the route table: names separated by spaces, each with
// ! (required), [] (list), {fields} (object) or :kind, where any other kind lists the values, with | between.
// A mistake panics when the table is built, so that no request can meet it.
func parseSpec(s string) *spec {
	root := &spec{}
	rest := parseFields(root, s)
	if rest != "" {
		panic("spec: unexpected " + rest)
	}
	return root
}

func parseFields(into *spec, s string) string {
	into.fields = map[string]*spec{}
	for {
		s = strings.TrimLeft(s, " \t\n")
		if s == "" || s[0] == '}' {
			return s
		}
		end := strings.IndexAny(s, " \t\n!:[{}")
		if end < 0 {
			end = len(s)
		}
		f := &spec{name: s[:end], kind: "str"}
		s = s[end:]
		for s != "" {
			switch {
			case s[0] == '!':
				f.required, s = true, s[1:]
				continue
			case strings.HasPrefix(s, "[]"):
				f.list, s = true, s[2:]
				continue
			case s[0] == '{':
				f.kind = ""
				if s = parseFields(f, s[1:]); s == "" {
					panic("spec: " + f.name + " is not closed")
				}
				s = s[1:]
				continue
			case s[0] == ':':
				end := strings.IndexAny(s, " \t\n!}")
				if end < 0 {
					end = len(s)
				}
				if f.kind = s[1:end]; !slices.Contains([]string{"bool", "int", "map", "num", "range", "time"}, f.kind) {
					f.kind, f.enum = "str", strings.Split(f.kind, "|")
				}
				s = s[end:]
				continue
			}
			break
		}
		into.fields[f.name] = f
		into.order = append(into.order, f.name)
	}
}

// read checks the parameters against the spec and gives them their types. An empty value, which
// in Stripe's API unsets a field, is "" whatever the kind.
func (s *spec) read(n *node, at string) (object, *apiError) {
	out := object{}
	for _, name := range n.order {
		f := s.fields[name]
		where := name
		if at != "" {
			where = at + "[" + name + "]"
		}
		if f == nil {
			return nil, invalid("parameter_unknown", where, "Received unknown parameter: %s", where)
		}
		v, err := f.value(n.kids[name], where)
		if err != nil {
			return nil, err
		}
		out[name] = v
	}
	for _, name := range s.order {
		if f := s.fields[name]; f.required && (out[name] == nil || out[name] == "") {
			where := name
			if at != "" {
				where = at + "[" + name + "]"
			}
			return nil, invalid("parameter_missing", where, "Missing required param: %s.", where)
		}
	}
	return out, nil
}

func (s *spec) value(n *node, at string) (any, *apiError) {
	if s.list {
		if len(n.kids) == 0 {
			if n.value == "" {
				return "", nil
			}
			return nil, invalid("", at, "Invalid array")
		}
		names, ok := n.items()
		if !ok {
			return nil, invalid("", at, "Invalid array")
		}
		one := *s
		one.list = false
		out := make([]any, 0, len(names))
		for i, name := range names {
			v, err := one.value(n.kids[name], at+"["+strconv.Itoa(i)+"]")
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	}
	switch {
	case s.fields != nil:
		if len(n.kids) == 0 {
			if n.value == "" {
				return "", nil
			}
			return nil, invalid("", at, "Invalid object")
		}
		return s.read(n, at)
	case s.kind == "map":
		if len(n.kids) == 0 && n.value == "" {
			return "", nil
		}
		return readMetadata(n, at)
	case s.kind == "range" && len(n.kids) > 0:
		return rangeSpec.read(n, at)
	case len(n.kids) > 0:
		return nil, invalid("", at, "Invalid string: {...}")
	}
	v := n.value
	if v == "" {
		return "", nil
	}
	switch s.kind {
	case "int", "time", "range":
		i, err := strconv.ParseInt(v, 10, 64)
		// Amounts have at most twelve digits at Stripe; sums of lines then fit easily.
		if err != nil || i > 1e13 || i < -1e13 {
			return nil, invalid("parameter_invalid_integer", at, "Invalid integer: %s", clip(v))
		}
		return i, nil
	case "num":
		f, err := strconv.ParseFloat(v, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, invalid("", at, "Invalid decimal: %s", clip(v))
		}
		return f, nil
	case "bool":
		if v != "true" && v != "false" {
			return nil, invalid("", at, "Invalid boolean: %s", clip(v))
		}
		return v == "true", nil
	}
	if s.enum != nil && !slices.Contains(s.enum, v) {
		return nil, invalid("", at, "Invalid %s: must be one of %s", at, strings.Join(s.enum, ", "))
	}
	if len(v) > 5000 {
		return nil, invalid("", at, "Invalid string: %s; must be at most 5000 characters", clip(v))
	}
	return v, nil
}

var rangeSpec = parseSpec("gt:int gte:int lt:int lte:int")

// Bounds of metadata, Stripe's.
const (
	maxMetadata      = 50
	maxMetadataKey   = 40
	maxMetadataValue = 500
)

func readMetadata(n *node, at string) (any, *apiError) {
	if len(n.kids) == 0 {
		return nil, invalid("", at, "Invalid hash")
	}
	out := object{}
	for _, k := range n.order {
		v := n.kids[k]
		switch {
		case len(v.kids) > 0 || strings.HasPrefix(k, "#"):
			return nil, invalid("", at, "Invalid metadata: values must be strings")
		case len(k) > maxMetadataKey:
			return nil, invalid("", at, "Metadata keys can have up to %d characters. %q is longer.", maxMetadataKey, clip(k))
		case len(v.value) > maxMetadataValue:
			return nil, invalid("", at, "Metadata values can have up to %d characters, but you passed in a value that is %d characters.", maxMetadataValue, len(v.value))
		}
		out[k] = v.value
	}
	if len(out) > maxMetadata {
		return nil, invalid("", at, "Metadata can have at most %d keys.", maxMetadata)
	}
	return out, nil
}

func clip(s string) string { return s[:min(len(s), 60)] }
