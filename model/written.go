package model

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// written is a value as people read it: a word, or what has parts as lines, in the way of
// YAML. Nothing, and what is empty, is an empty text.
func written(v any) string {
	switch v := v.(type) {
	case bool:
		return map[bool]string{true: "yes", false: "no"}[v]
	case string:
		return strings.TrimSuffix(laidOut(v), "\n")
	}
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var tree any
	if d.Decode(&tree) != nil {
		return ""
	}
	var out strings.Builder
	lines(&out, tree, "")
	return strings.TrimSpace(out.String())
}

// laidOut is a text, with line ends where it is JSON of several members.
func laidOut(s string) string {
	if t := strings.TrimSpace(s); strings.HasPrefix(t, "{") || strings.HasPrefix(t, "[") {
		var b bytes.Buffer
		if json.Indent(&b, []byte(t), "", "  ") == nil {
			return b.String()
		}
	}
	return s
}

// lines writes what follows "name:", or a dash, at an indent.
func lines(out *strings.Builder, v any, indent string) {
	switch v := v.(type) {
	case nil:
		out.WriteByte('\n')
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		out.WriteByte('\n')
		for _, name := range names {
			out.WriteString(indent + name + ":")
			lines(out, v[name], indent+"  ")
		}
	case []any:
		out.WriteByte('\n')
		for _, x := range v {
			out.WriteString(indent + "-")
			lines(out, x, indent+"  ")
		}
	case string:
		text := strings.TrimRight(laidOut(v), "\n")
		if !strings.Contains(text, "\n") {
			out.WriteString(strings.TrimRight(" "+text, " ") + "\n")
			return
		}
		out.WriteString(" |\n")
		for line := range strings.SplitSeq(text, "\n") {
			out.WriteString(strings.TrimRight(indent+line, " \r") + "\n")
		}
	case bool:
		out.WriteString(" " + map[bool]string{true: "yes", false: "no"}[v] + "\n")
	case json.Number:
		out.WriteString(" " + v.String() + "\n")
	}
}
