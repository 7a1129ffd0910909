package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"tollgate/model"
)

type syntaxError struct {
	line, col int
	message   string
}

func (e *syntaxError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.line, e.col, e.message)
}

// jsonReader is a JSON decoder that keeps places. Numbers stay text.
type jsonReader struct {
	src    []byte
	pos    int
	line   int // of pos
	start  int // of the line
	depth  int
	values int
	found  []finding
}

func decodeJSON(src []byte) (*node, []finding, error) {
	r := &jsonReader{src: src, line: 1}
	n, err := r.read()
	if err != nil {
		return nil, nil, err
	}
	r.space()
	if r.pos < len(r.src) {
		return nil, nil, r.fail("there is more after the document's end")
	}
	return n, r.found, nil
}

func (r *jsonReader) fail(format string, a ...any) error {
	col := utf8.RuneCount(r.src[r.start:min(r.pos, len(r.src))]) + 1
	return &syntaxError{r.line, col, fmt.Sprintf(format, a...)}
}

func (r *jsonReader) refuse(format string, a ...any) error {
	return model.Errorf(model.Invalid, "line %d, column %d: %s", r.line, r.pos-r.start+1, fmt.Sprintf(format, a...))
}

func (r *jsonReader) space() {
	for r.pos < len(r.src) {
		switch r.src[r.pos] {
		case '\n':
			r.line++
			r.start = r.pos + 1
		case ' ', '\t', '\r':
		default:
			return
		}
		r.pos++
	}
}

func (r *jsonReader) peek() byte {
	r.space()
	if r.pos < len(r.src) {
		return r.src[r.pos]
	}
	return 0
}

func (r *jsonReader) node() *node {
	return &node{line: int32(r.line), col: int32(r.pos - r.start + 1)}
}

func (r *jsonReader) read() (*node, error) {
	c := r.peek()
	if r.values++; r.values > maxValues {
		return nil, r.refuse("the document has more than %d values", maxValues)
	}
	n := r.node()
	switch {
	case c == '{' || c == '[':
		if r.depth++; r.depth > maxDepth {
			return nil, r.refuse("the document is nested deeper than %d levels", maxDepth)
		}
		r.pos++
		var err error
		if c == '{' {
			err = r.object(n)
		} else {
			err = r.array(n)
		}
		r.depth--
		n.weigh()
		return n, err
	case c == '"':
		var err error
		n.kind = scalar
		n.value, err = r.str()
		return n, err
	case c == '-' || c >= '0' && c <= '9':
		n.kind, n.bare = scalar, true
		n.value = string(r.word())
		if !json.Valid([]byte(n.value)) {
			return nil, r.fail("%s is not a number", quote(n.value))
		}
		return n, nil
	case r.pos >= len(r.src):
		return nil, r.fail("the document ends in the middle of a value")
	}
	at := *r
	switch w := string(r.word()); w {
	case "null":
		return n, nil
	case "true", "false":
		n.kind, n.value, n.bare = scalar, w, true
		return n, nil
	}
	return nil, at.fail("a value cannot start with %q", rune(c))
}

// word is a number or a name: everything up to the next mark or space.
func (r *jsonReader) word() []byte {
	i := bytes.IndexAny(r.src[r.pos:], " \t\r\n,:]}[{\"")
	if i < 0 {
		i = len(r.src) - r.pos
	}
	w := r.src[r.pos : r.pos+i]
	r.pos += i
	return w
}

func (r *jsonReader) object(n *node) error {
	n.kind = mapping
	for first := true; ; first = false {
		switch c := r.peek(); {
		case c == '}' && first:
			r.pos++
			return nil
		case c != '"':
			return r.fail("an object's key must be a string in double quotes")
		}
		if r.values++; r.values > maxValues {
			return r.refuse("the document has more than %d values", maxValues)
		}
		key := r.node()
		key.kind = scalar
		var err error
		if key.value, err = r.str(); err != nil {
			return err
		}
		if r.peek() != ':' {
			return r.fail("a colon must follow key %s", quote(key.value))
		}
		r.pos++
		val, err := r.read()
		if err != nil {
			return err
		}
		n.entries = append(n.entries, entry{key, val})
		switch r.peek() {
		case ',':
			r.pos++
		case '}':
			r.pos++
			r.found = repeated(n, r.found)
			return nil
		default:
			return r.fail("a comma or a closing brace must follow the value of %s", quote(key.value))
		}
	}
}

func (r *jsonReader) array(n *node) error {
	n.kind = sequence
	if r.peek() == ']' {
		r.pos++
		return nil
	}
	for {
		v, err := r.read()
		if err != nil {
			return err
		}
		n.items = append(n.items, v)
		switch r.peek() {
		case ',':
			r.pos++
		case ']':
			r.pos++
			return nil
		default:
			return r.fail("a comma or a closing bracket must follow a value")
		}
	}
}

func (r *jsonReader) str() (string, error) {
	r.pos++
	i := bytes.IndexAny(r.src[r.pos:], "\"\\\n")
	if i >= 0 && r.src[r.pos+i] == '"' {
		s := string(r.src[r.pos : r.pos+i])
		r.pos += i + 1
		return s, nil
	}
	var out []byte
	for r.pos < len(r.src) {
		c := r.src[r.pos]
		switch {
		case c == '"':
			r.pos++
			return string(out), nil
		case c == '\n':
			return "", r.fail("a string ends with its line; write a line break as \\n")
		case c != '\\':
			out = append(out, c)
			r.pos++
		default:
			var err error
			if out, err = r.escaped(out); err != nil {
				return "", err
			}
		}
	}
	return "", r.fail("a string has no closing quote")
}

func (r *jsonReader) escaped(out []byte) ([]byte, error) {
	if r.pos+1 >= len(r.src) {
		return nil, r.fail("a string has no closing quote")
	}
	c := r.src[r.pos+1]
	if i := bytes.IndexByte([]byte(`"\/bfnrt`), c); i >= 0 {
		r.pos += 2
		return append(out, "\"\\/\b\f\n\r\t"[i]), nil
	}
	if c != 'u' {
		return nil, r.fail("a string has the unknown escape \\%c", c)
	}
	u, err := r.hex()
	if err != nil {
		return nil, err
	}
	if u == 0 {
		return nil, r.refuse("a string has a NUL character (\\u0000), which cannot be stored")
	}
	if utf16.IsSurrogate(u) {
		low := rune(utf8.RuneError)
		if bytes.HasPrefix(r.src[r.pos:], []byte(`\u`)) {
			back := r.pos
			if low, err = r.hex(); err != nil {
				return nil, err
			}
			if utf16.DecodeRune(u, low) == utf8.RuneError {
				r.pos = back
			}
		}
		u = utf16.DecodeRune(u, low)
	}
	return utf8.AppendRune(out, u), nil
}

func (r *jsonReader) hex() (rune, error) {
	if r.pos+6 > len(r.src) {
		return 0, r.fail("a string has no closing quote")
	}
	u, err := strconv.ParseUint(string(r.src[r.pos+2:r.pos+6]), 16, 32)
	if err != nil {
		return 0, r.fail("\\u must be followed by four hexadecimal digits")
	}
	r.pos += 6
	return rune(u), nil
}
