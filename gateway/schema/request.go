package schema

import (
	"maps"
	"slices"
	"strings"
)

// ModelFor picks the model a body is checked against from a method's request models
// (names by content type). Parameters of the content type do not count; no content
// type means application/json; "$default" stands for every type without a model of its
// own. Without a model there is nothing to check: ok is false and the body passes.
func ModelFor(models map[string]string, contentType string) (name string, ok bool) {
	mediaType, _, _ := strings.Cut(contentType, ";")
	if mediaType = strings.TrimSpace(mediaType); mediaType == "" {
		mediaType = "application/json"
	}
	if name, ok = models[mediaType]; ok {
		return name, true
	}
	for _, key := range slices.Sorted(maps.Keys(models)) {
		t, _, _ := strings.Cut(key, ";")
		if strings.EqualFold(strings.TrimSpace(t), mediaType) {
			return models[key], true
		}
	}
	name, ok = models["$default"]
	return name, ok
}

// Present tells whether a required parameter with this value counts as given: the
// service wants it "included and not blank".
func Present(value string) bool { return strings.TrimSpace(value) != "" }

// Missing is the message for required parameters that a request lacks, by their names
// without location; "" if there are none. They are listed in a Java HashSet's order,
// as validation messages are (the few lists quoted in public have it; unverified).
func Missing(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "Missing required request parameters: [" + strings.Join(hashSetOrder(names), ", ") + "]"
}
