package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

type nodeKind uint8

const (
	scalar nodeKind = iota // string, number or boolean, as text
	array
	object
	null
)

// node is a JSON value. Members keep their order, so that the first mistake is the one
// that is told.
type node struct {
	kind    nodeKind
	text    string
	items   []node
	members []member
}

type member struct {
	name string
	node
}

const (
	// MaxBytes is how large a document may be.
	MaxBytes = 64 << 10
	maxDepth = 8 // Condition values are the deepest, at 6
)

// readJSON reads a document. A name that comes twice in an object is an error: readers
// differ on which of them counts.
func readJSON(b []byte) (*node, error) {
	if len(b) > MaxBytes {
		return nil, fmt.Errorf("the policy has %d bytes; at most %d are taken", len(b), MaxBytes)
	}
	if !utf8.Valid(b) {
		return nil, errors.New("the policy is not valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var n node
	if err := readNode(d, &n, 0); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("the policy has something behind its end, at byte %d", d.InputOffset())
	}
	return &n, nil
}

func readNode(d *json.Decoder, n *node, depth int) error {
	t, err := d.Token()
	if err != nil {
		return fmt.Errorf("the policy is no JSON: %w", err)
	}
	if depth > maxDepth {
		return fmt.Errorf("the policy is nested deeper than %d levels, at byte %d", maxDepth, d.InputOffset())
	}
	switch t := t.(type) {
	case string:
		n.text = t
	case json.Number:
		n.text = t.String()
	case bool:
		n.text = fmt.Sprint(t)
	case nil:
		n.kind = null
	case json.Delim:
		if t == '[' {
			n.kind = array
			for d.More() {
				n.items = append(n.items, node{})
				if err := readNode(d, &n.items[len(n.items)-1], depth+1); err != nil {
					return err
				}
			}
		} else {
			n.kind = object
			if err := readMembers(d, n, depth); err != nil {
				return err
			}
		}
		if _, err := d.Token(); err != nil { // the closing one
			return fmt.Errorf("the policy is no JSON: %w", err)
		}
	}
	return nil
}

func readMembers(d *json.Decoder, n *node, depth int) error {
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return fmt.Errorf("the policy is no JSON: %w", err)
		}
		name, _ := t.(string)
		if seen[name] {
			return fmt.Errorf("the policy names %q twice, at byte %d", name, d.InputOffset())
		}
		seen[name] = true
		n.members = append(n.members, member{name: name})
		if err := readNode(d, &n.members[len(n.members)-1].node, depth+1); err != nil {
			return err
		}
	}
	return nil
}
