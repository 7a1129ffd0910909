package openapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"tollgate/model"
)

// maxYAMLMarks bounds what begins a node, and so the nodes a YAML parser builds
// before anything of ours can count them.
const maxYAMLMarks = 1 << 20

var yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)

func decodeYAML(src []byte) (n *node, found []finding, err error) {
	marks := 0
	for _, m := range []string{"\n", "\r", ",", "[", "{", "- ", "? "} {
		marks += bytes.Count(src, []byte(m))
	}
	if marks > maxYAMLMarks {
		return nil, nil, model.Errorf(model.Invalid, "the document has more than %d lines or values, too many for YAML; as JSON it may have twice as many", maxYAMLMarks)
	}
	// The parser reports by panicking inside; what escapes it on a stranger's
	// bytes must not take the control plane down.
	defer func() {
		if p := recover(); p != nil {
			n, found, err = nil, nil, model.Errorf(model.Invalid, "the document cannot be read as YAML: %v", p)
		}
	}()
	d := yaml.NewDecoder(bytes.NewReader(src))
	var doc yaml.Node
	if err := d.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil, model.Errorf(model.Invalid, "the document is empty")
		}
		return nil, nil, yamlError(err)
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 {
		return nil, nil, model.Errorf(model.Invalid, "the document is empty")
	}
	y := &yamlReader{known: map[*yaml.Node]*node{}}
	if n, err = y.convert(doc.Content[0], 0); err != nil {
		return nil, nil, err
	}
	var more yaml.Node
	if err := d.Decode(&more); err == nil {
		y.found = append(y.found, finding{more.Line, more.Column, "only the first of several YAML documents is read"})
	} else if !errors.Is(err, io.EOF) {
		return nil, nil, yamlError(err)
	}
	return n, y.found, nil
}

func yamlError(err error) error {
	text := err.Error()
	m := yamlLine.FindStringSubmatch(text)
	text = text[len(m[0]):]
	if m[1] != "" {
		return model.Errorf(model.Invalid, "line %s: the document is not valid YAML: %s", m[1], text)
	}
	return model.Errorf(model.Invalid, "the document is not valid YAML: %s", text)
}

type yamlReader struct {
	known  map[*yaml.Node]*node // nil while being converted: an alias to it is a circle
	found  []finding
	merged int
}

func refuseAt(y *yaml.Node, format string, a ...any) error {
	return model.Errorf(model.Invalid, "line %d, column %d: %s", y.Line, y.Column, fmt.Sprintf(format, a...))
}

func (r *yamlReader) convert(y *yaml.Node, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, refuseAt(y, "the document is nested deeper than %d levels", maxDepth)
	}
	if y.Kind == yaml.AliasNode {
		n, ok := r.known[y.Alias]
		if !ok || n == nil {
			return nil, refuseAt(y, "alias *%s contains itself", y.Value)
		}
		return n, nil
	}
	if y.Anchor != "" {
		r.known[y] = nil
	}
	n := &node{line: int32(y.Line), col: int32(y.Column)}
	var err error
	switch y.Kind {
	case yaml.MappingNode:
		err = r.mapping(n, y, depth)
	case yaml.SequenceNode:
		n.kind = sequence
		for _, c := range y.Content {
			var item *node
			if item, err = r.convert(c, depth+1); err != nil {
				break
			}
			n.items = append(n.items, item)
		}
	default:
		err = r.scalar(n, y)
	}
	if err != nil {
		return nil, err
	}
	n.weigh()
	if n.weight > maxExpanded {
		return nil, refuseAt(y, "the document is larger than %d bytes with its aliases written out", maxExpanded)
	}
	if y.Anchor != "" {
		r.known[y] = n
	}
	return n, nil
}

func (r *yamlReader) scalar(n *node, y *yaml.Node) error {
	if strings.IndexByte(y.Value, 0) >= 0 {
		return refuseAt(y, "a string has a NUL character, which cannot be stored")
	}
	n.kind, n.value = scalar, y.Value
	switch y.ShortTag() {
	case "!!null":
		n.kind, n.value = null, ""
	case "!!bool":
		// YAML's True and TRUE are JSON's true.
		n.value, n.bare = strings.ToLower(y.Value), true
	case "!!int", "!!float":
		n.bare = true
	}
	return nil
}

func (r *yamlReader) mapping(n *node, y *yaml.Node, depth int) error {
	n.kind = mapping
	var merges []*node
	for i := 0; i+1 < len(y.Content); i += 2 {
		k, v := y.Content[i], y.Content[i+1]
		val, err := r.convert(v, depth+1)
		if err != nil {
			return err
		}
		if k.Kind == yaml.ScalarNode && k.ShortTag() == "!!merge" {
			merges = append(merges, val)
			continue
		}
		key, err := r.convert(k, depth+1)
		if err != nil {
			return err
		}
		if key.kind == mapping || key.kind == sequence {
			return refuseAt(k, "a key must be a string, not a mapping or a sequence")
		}
		if key.kind == null {
			key = &node{kind: scalar, line: int32(k.Line), col: int32(k.Column), value: k.Value}
		}
		n.entries = append(n.entries, entry{key, val})
	}
	r.found = repeated(n, r.found)
	return r.merge(n, y, merges)
}

// merge adds the entries of "<<" mappings that n does not have itself.
func (r *yamlReader) merge(n *node, y *yaml.Node, merges []*node) error {
	if len(merges) == 0 {
		return nil
	}
	has := map[string]bool{}
	for _, e := range n.entries {
		has[e.key.value] = true
	}
	for _, m := range merges {
		from := []*node{m}
		if m.kind == sequence {
			from = m.items
		}
		for _, f := range from {
			if f.kind != mapping {
				return refuseAt(y, "<< takes a mapping or a sequence of mappings")
			}
			if r.merged += len(f.entries); r.merged > maxValues {
				return refuseAt(y, "the document has more than %d values with its merge keys written out", maxValues)
			}
			for _, e := range f.entries {
				if !has[e.key.value] {
					has[e.key.value] = true
					n.entries = append(n.entries, e)
				}
			}
		}
	}
	return nil
}

func quote(s string) string {
	if len(s) > 80 {
		s = strings.ToValidUTF8(s[:80], "") + "…"
	}
	return strconv.Quote(s)
}
