package openapi

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"tollgate/model"
)

// models makes a model of every schema that the document names. A model's name has
// letters and digits alone, as on Amazon API Gateway.
func (im *importer) models() {
	im.modelNames, im.inline, im.kept = map[string]string{}, map[*node]string{}, map[string]string{}
	taken := map[string]bool{}
	type named struct {
		loc
		ref string
	}
	var all []named
	for _, f := range im.root.get("definitions").fields() {
		all = append(all, named{f, "#/definitions/" + f.name()})
	}
	for _, f := range im.root.get("components").get("schemas").fields() {
		all = append(all, named{f, "#/components/schemas/" + f.name()})
	}
	for _, plain := range []bool{true, false} { // names that need no change have the first choice
		for _, s := range all {
			name := alphanumeric(s.name())
			if (name == s.name()) != plain || im.modelNames[s.ref] != "" {
				continue
			}
			name = unusedName(cmp.Or(name, "Model"), taken)
			taken[name] = true
			im.modelNames[s.ref] = name
		}
	}
	done := map[string]bool{}
	for _, s := range all {
		name := im.modelNames[s.ref]
		if !s.is(mapping) || done[name] {
			continue
		}
		done[name] = true
		im.addModel(name, s.loc)
		if im.weight < 0 {
			return
		}
	}
}

func alphanumeric(s string) string {
	return truncate(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s), 200, 200)
}

func unusedName(name string, taken map[string]bool) string {
	out := name
	for i := 2; taken[out]; i++ {
		out = name + strconv.Itoa(i)
	}
	return out
}

// addModel keeps a schema under a name. false: it cannot be kept, which was told.
func (im *importer) addModel(name string, s loc) bool {
	w := s.node.weightOf()
	if im.weight -= w; im.weight < 0 {
		return false
	}
	text := im.schema(nil, s.node)
	if len(text) > model.MaxSchemaBytes || len(im.definition.Models) >= model.MaxModels {
		im.say(model.SeverityError, s, "schema %s is not kept as a model: there are at most %d, of at most %d bytes", quote(name), model.MaxModels, model.MaxSchemaBytes)
		return false
	}
	m := model.Schema{ID: partID("model", name), Name: name, ContentType: "application/json", Schema: string(text)}
	m.Description = truncate(s.get("description").text(), 125_000, 125_000)
	im.definition.Models = append(im.definition.Models, m)
	im.kept[name] = m.Schema
	return true
}

// partID is the id of a part by its kind and name: the same each time.
func partID(kind, name string) string {
	const base36 = "abcdefghijklmnopqrstuvwxyz0123456789"
	sum := sha256.Sum256([]byte(kind + "\x00" + name))
	var id [10]byte
	for j := range id {
		id[j] = base36[sum[j]%36]
	}
	return string(id[:])
}

// modelOf is the name of the model for a schema in use; empty: it asks for nothing
// that a model could say.
func (im *importer) modelOf(s loc) string {
	if ref := s.get("$ref"); ref.is(scalar) {
		if name := im.modelNames[localRef(ref.text())]; im.kept[name] != "" {
			return name
		}
		var ok bool
		if s, ok = im.follow(s); !ok {
			return ""
		}
	}
	if !s.is(mapping) || !structured(s) {
		return ""
	}
	if name, ok := im.inline[s.node]; ok {
		return name
	}
	im.inline[s.node] = ""
	if im.weight -= s.node.weightOf(); im.weight < 0 {
		return ""
	}
	text := string(im.schema(nil, s.node))
	sum := sha256.Sum256([]byte(text))
	digest := hex.EncodeToString(sum[:])
	for n := 6; ; n += 2 {
		name := "MODEL" + digest[:n]
		known := im.kept[name]
		if known != "" && known != text && n+2 <= len(digest) {
			continue
		}
		if known != "" || im.addModel(name, s) {
			im.inline[s.node] = name
		}
		return im.inline[s.node]
	}
}

// structured says whether a schema describes more than one plain value.
func structured(s loc) bool {
	for _, f := range s.fields() {
		switch f.name() {
		case "properties", "items", "allOf", "anyOf", "oneOf", "additionalProperties", "not":
			return true
		case "type":
			if t := f.text(); t == "object" || t == "array" {
				return true
			}
		}
	}
	return false
}

// localRef is a reference in the form in which models are known.
func localRef(ref string) string {
	if u, err := url.PathUnescape(ref); err == nil {
		ref = u
	}
	return pointerUnescaper.Replace(ref)
}

// modelRef rewrites a reference to a schema of the document into one to its model.
func (im *importer) modelRef(ref string) string {
	for _, prefix := range []string{"#/definitions/", "#/components/schemas/"} {
		rest, ok := strings.CutPrefix(ref, prefix)
		if !ok {
			continue
		}
		name, below, deeper := strings.Cut(rest, "/")
		if m := im.modelNames[localRef(prefix+name)]; m != "" {
			if deeper {
				return model.ModelBase + m + "#/" + below
			}
			return model.ModelBase + m
		}
	}
	return ref
}

// schema writes a value as JSON with references to models.
func (im *importer) schema(b []byte, n *node) []byte { return writeJSON(b, n, im.modelRef) }

// writeJSON writes a value in its author's order, with references rewritten. Lists
// of required names are sorted, as Amazon API Gateway has them.
func writeJSON(b []byte, n *node, ref func(string) string) []byte {
	switch n.kind {
	case null:
		return append(b, "null"...)
	case mapping:
		b = append(b, '{')
		first, skip := true, overruled(n)
		for i, e := range n.entries {
			if skip[i] {
				continue
			}
			if !first {
				b = append(b, ',')
			}
			first = false
			b = append(appendString(b, e.key.value), ':')
			switch {
			case e.key.value == "$ref" && e.val.kind == scalar:
				b = appendString(b, ref(e.val.value))
			case e.key.value == "required" && e.val.kind == sequence:
				items := slices.Clone(e.val.items)
				slices.SortStableFunc(items, func(x, y *node) int { return strings.Compare(x.value, y.value) })
				b = writeJSON(b, &node{kind: sequence, items: items}, ref)
			default:
				b = writeJSON(b, e.val, ref)
			}
		}
		return append(b, '}')
	case sequence:
		b = append(b, '[')
		for i, item := range n.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = writeJSON(b, item, ref)
		}
		return append(b, ']')
	}
	if n.bare && json.Valid([]byte(n.value)) {
		return append(b, n.value...)
	}
	return appendString(b, n.value)
}

// overruled are the entries whose key is written again, in which case the later counts.
func overruled(n *node) map[int]bool {
	var out map[int]bool
	seen := make(map[string]bool, len(n.entries))
	for i := len(n.entries) - 1; i >= 0; i-- {
		if key := n.entries[i].key.value; seen[key] {
			if out == nil {
				out = map[int]bool{}
			}
			out[i] = true
		} else {
			seen[key] = true
		}
	}
	return out
}

func appendString(b []byte, s string) []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	_ = e.Encode(s)
	return append(b, bytes.TrimSuffix(out.Bytes(), []byte("\n"))...)
}
