package sdk_test

import (
	"encoding/json"
	"strconv"
	"strings"
)

// normal is a call as it is compared: the query in the order of its names, a space
// in it as a plus, JSON by the order of its names.
func normal(call string) string {
	head, rest, hasBody := strings.Cut(call, " application/json ")
	verb, more, _ := strings.Cut(head, " ")
	target, more, _ := strings.Cut(more, " ")
	if path, query, ok := strings.Cut(target, "?"); ok {
		parts := strings.Split(strings.ReplaceAll(query, "%20", "+"), "&")
		// Parameters come in whatever order a language sends them.
		for i := range parts {
			for j := i + 1; j < len(parts); j++ {
				if parts[j] < parts[i] {
					parts[i], parts[j] = parts[j], parts[i]
				}
			}
		}
		target = path + "?" + strings.Join(parts, "&")
	}
	out := verb + " " + target
	if more != "" {
		out += " " + more
	}
	if hasBody {
		text, _ := strconv.Unquote(rest)
		var v any
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		if d.Decode(&v) == nil {
			var b strings.Builder
			e := json.NewEncoder(&b)
			e.SetEscapeHTML(false)
			_ = e.Encode(v)
			text = strings.TrimSuffix(b.String(), "\n")
		}
		out += " application/json " + text
	}
	return out
}
