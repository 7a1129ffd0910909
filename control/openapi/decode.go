package openapi

import (
	"bytes"
	"unicode/utf8"

	"tollgate/model"
)

// Bounds on what a document may be. A real one of 3 MB has 100,000 values and 30
// levels.
const (
	maxSource   = 32 << 20
	maxDepth    = 250
	maxValues   = 2 << 20
	maxExpanded = 64 << 20 // bytes, aliases written out
)

// finding is a problem that is known while reading, before pointers are.
type finding struct {
	line, col int
	message   string
}

// decode reads JSON or YAML. JSON is YAML in theory; in practice a YAML parser is
// slower on it and refuses surrogate pairs and long keys.
func decode(src []byte) (*node, []finding, error) {
	if len(src) > maxSource {
		return nil, nil, model.Errorf(model.Invalid, "the document has %d bytes; at most %d are read", len(src), maxSource)
	}
	text := bytes.TrimPrefix(src, []byte("\xef\xbb\xbf"))
	body := bytes.TrimLeft(text, " \t\r\n")
	if len(body) == 0 {
		return nil, nil, model.Errorf(model.Invalid, "the document is empty")
	}
	if body[0] != '{' {
		return decodeYAML(text)
	}
	if !utf8.Valid(text) {
		return nil, nil, model.Errorf(model.Invalid, "the document is not valid UTF-8")
	}
	n, found, err := decodeJSON(text)
	if _, syntax := err.(*syntaxError); syntax {
		// YAML's flow style starts with a brace too.
		if n, found, yamlErr := decodeYAML(text); yamlErr == nil {
			return n, found, nil
		}
		return nil, nil, model.Errorf(model.Invalid, "%s", err)
	}
	return n, found, err
}

// weigh sums up what a node stands for, so that aliases cannot make a small
// document endless work.
func (n *node) weigh() {
	n.weight = len(n.value) + 8
	for _, e := range n.entries {
		n.weight += e.key.weightOf() + e.val.weightOf()
	}
	for _, c := range n.items {
		n.weight += c.weightOf()
	}
}

func (n *node) weightOf() int {
	if n.kind == mapping || n.kind == sequence {
		return n.weight
	}
	return len(n.value) + 8
}

// repeated reports keys written twice in one mapping.
func repeated(n *node, found []finding) []finding {
	if len(n.entries) < 2 || len(found) > maxProblems {
		return found
	}
	if len(n.entries) <= 8 {
		for i, e := range n.entries {
			for _, f := range n.entries[:i] {
				if f.key.value == e.key.value {
					found = append(found, twice(e.key))
					break
				}
			}
		}
		return found
	}
	seen := make(map[string]bool, len(n.entries))
	for _, e := range n.entries {
		if seen[e.key.value] && len(found) <= maxProblems {
			found = append(found, twice(e.key))
		}
		seen[e.key.value] = true
	}
	return found
}

func twice(key *node) finding {
	return finding{int(key.line), int(key.col), "key " + quote(key.value) + " is written twice in one object; where one value is read, it is the later one"}
}
