package reference

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"go.yaml.in/yaml/v3"
)

// node is a value of a document with the order its author gave it.
type node struct {
	kind   kind
	text   string // of a scalar
	keys   []string
	values []*node // of an object, by key, or of an array
}

type kind uint8

const (
	null kind = iota
	scalar
	number
	boolean
	object
	array
)

// none is what is not there.
var none = &node{}

const (
	maxDepth = 200
	maxNodes = 5_000_000
)

var errDeep = errors.New("reference: the document is nested too deep or too large")

// parse reads JSON or YAML.
func parse(b []byte) (*node, error) {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	if t := bytes.TrimSpace(b); len(t) > 0 && t[0] == '{' {
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		left := maxNodes
		n, err := fromJSON(d, 0, &left)
		if err == nil {
			return n, nil
		}
		// A flow mapping of YAML begins like JSON.
	}
	var y yaml.Node
	if err := yaml.Unmarshal(b, &y); err != nil {
		return nil, err
	}
	left := maxNodes
	return fromYAML(&y, 0, &left)
}

func fromJSON(d *json.Decoder, depth int, left *int) (*node, error) {
	if *left--; *left < 0 || depth > maxDepth {
		return nil, errDeep
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Delim:
		n := &node{kind: object}
		if t == '[' {
			n.kind = array
		}
		for d.More() {
			if n.kind == object {
				k, err := d.Token()
				if err != nil {
					return nil, err
				}
				n.keys = append(n.keys, k.(string))
			}
			v, err := fromJSON(d, depth+1, left)
			if err != nil {
				return nil, err
			}
			n.values = append(n.values, v)
		}
		_, err := d.Token()
		return n, err
	case string:
		return &node{kind: scalar, text: t}, nil
	case json.Number:
		return &node{kind: number, text: t.String()}, nil
	case bool:
		if t {
			return &node{kind: boolean, text: "true"}, nil
		}
		return &node{kind: boolean, text: "false"}, nil
	}
	return none, nil
}

func fromYAML(y *yaml.Node, depth int, left *int) (*node, error) {
	if *left--; *left < 0 || depth > maxDepth {
		return nil, errDeep
	}
	switch y.Kind {
	case yaml.DocumentNode:
		if len(y.Content) == 0 {
			return none, nil
		}
		return fromYAML(y.Content[0], depth+1, left)
	case yaml.AliasNode:
		return fromYAML(y.Alias, depth+1, left)
	case yaml.MappingNode:
		n := &node{kind: object}
		for i := 0; i+1 < len(y.Content); i += 2 {
			v, err := fromYAML(y.Content[i+1], depth+1, left)
			if err != nil {
				return nil, err
			}
			if y.Content[i].Tag == "!!merge" {
				n.keys, n.values = append(n.keys, v.keys...), append(n.values, v.values[:len(v.keys)]...)
				continue
			}
			n.keys, n.values = append(n.keys, y.Content[i].Value), append(n.values, v)
		}
		return n, nil
	case yaml.SequenceNode:
		n := &node{kind: array}
		for _, c := range y.Content {
			v, err := fromYAML(c, depth+1, left)
			if err != nil {
				return nil, err
			}
			n.values = append(n.values, v)
		}
		return n, nil
	case yaml.ScalarNode:
		switch y.ShortTag() {
		case "!!null":
			return none, nil
		case "!!bool":
			return &node{kind: boolean, text: strings.ToLower(y.Value)}, nil
		case "!!int", "!!float":
			return &node{kind: number, text: y.Value}, nil
		}
		return &node{kind: scalar, text: y.Value}, nil
	}
	return none, nil
}

// get is an object's field, or none.
func (n *node) get(key string) *node {
	if n.kind == object {
		for i, k := range n.keys {
			if k == key {
				return n.values[i]
			}
		}
	}
	return none
}

func (n *node) there() bool { return n.kind != null }

// str is a scalar's text; anything else is "".
func (n *node) str() string {
	if n.kind == scalar || n.kind == number || n.kind == boolean {
		return n.text
	}
	return ""
}

func (n *node) yes() bool { return n.kind == boolean && n.text == "true" }

// items are an array's.
func (n *node) items() []*node {
	if n.kind == array {
		return n.values
	}
	return nil
}

// at follows a JSON pointer without its "#".
func (n *node) at(pointer string) *node {
	for _, part := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		part = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
		if i := strings.IndexByte(part, '%'); i >= 0 {
			part = unescape(part)
		}
		if n = n.get(part); !n.there() {
			return none
		}
	}
	return n
}

func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi >= 0 && lo >= 0 {
				b.WriteByte(byte(hi<<4 | lo))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// write gives a node as indented JSON, cut at most bytes.
func (n *node) write(b *bytes.Buffer, indent string, most int) {
	if b.Len() > most {
		return
	}
	quote := func(s string) {
		e := json.NewEncoder(b)
		e.SetEscapeHTML(false)
		_ = e.Encode(s)
		b.Truncate(b.Len() - 1)
	}
	switch n.kind {
	case null:
		b.WriteString("null")
	case scalar:
		quote(n.text)
	case number, boolean:
		b.WriteString(n.text)
	case object, array:
		open, shut := byte('{'), byte('}')
		if n.kind == array {
			open, shut = '[', ']'
		}
		b.WriteByte(open)
		for i, v := range n.values {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString("\n" + indent + "  ")
			if n.kind == object {
				quote(n.keys[i])
				b.WriteString(": ")
			}
			v.write(b, indent+"  ", most)
		}
		if len(n.values) > 0 {
			b.WriteString("\n" + indent)
		}
		b.WriteByte(shut)
	}
}

// maxExample bounds an example that is shown.
const maxExample = 16 << 10

func (n *node) json() string {
	var b bytes.Buffer
	n.write(&b, "", maxExample)
	if b.Len() > maxExample {
		return strings.ToValidUTF8(b.String()[:maxExample], "") + "\n…"
	}
	return b.String()
}
