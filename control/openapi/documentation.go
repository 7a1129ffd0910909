package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"tollgate/model"
)

// Documentation reads the documentation parts of a document, or a document that has
// nothing else: the value of x-amazon-apigateway-documentation by itself. Parts
// have no ids. What is no part is left out and told, by its place in the list.
func Documentation(src []byte) ([]model.DocumentationPart, []string, error) {
	if _, _, err := decode(src); err != nil { // its bounds hold for what follows
		return nil, nil, err
	}
	text := bytes.TrimPrefix(src, []byte("\xef\xbb\xbf"))
	if !json.Valid(text) {
		var doc yaml.Node
		if err := yaml.Unmarshal(text, &doc); err != nil {
			return nil, nil, yamlError(err)
		}
		var err error
		if text, err = appendJSON(nil, &doc); err != nil {
			return nil, nil, err
		}
	}
	type content struct {
		Parts *[]json.RawMessage `json:"documentationParts"`
	}
	var doc struct {
		content
		Documentation *content `json:"x-amazon-apigateway-documentation"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, nil, model.Errorf(model.Invalid, "the documentation cannot be read: %s", err)
	}
	parts := doc.Parts
	if doc.Documentation != nil {
		parts = doc.Documentation.Parts
	}
	if parts == nil {
		return nil, nil, model.Errorf(model.Invalid, "the document has no documentation parts")
	}
	var out []model.DocumentationPart
	var warnings []string
	for i, raw := range *parts {
		p, err := documentationPart(raw)
		if err != nil {
			if len(warnings) < maxProblems {
				warnings = append(warnings, fmt.Sprintf("documentationParts/%d: %s", i, model.MessageOf(err)))
			}
			continue
		}
		out = append(out, p)
	}
	return out, warnings, nil
}

func documentationPart(raw json.RawMessage) (model.DocumentationPart, error) {
	var in struct {
		Location   struct{ Type, Path, Method, StatusCode, Name loose } `json:"location"`
		Properties json.RawMessage                                      `json:"properties"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return model.DocumentationPart{}, model.Errorf(model.Invalid, "not a documentation part: %s", err)
	}
	l := in.Location
	p := model.DocumentationPart{Properties: string(in.Properties), Location: model.DocumentationLocation{
		Type: string(l.Type), Path: string(l.Path), Method: string(l.Method), StatusCode: string(l.StatusCode), Name: string(l.Name)}}
	var inner string
	if json.Unmarshal(in.Properties, &inner) == nil { // JSON in a string, as the API has it
		p.Properties = inner
	}
	return p, p.Check()
}

// loose is a text that may be written as a number, as YAML's status codes are.
type loose string

// UnmarshalJSON reads either.
func (l *loose) UnmarshalJSON(b []byte) error {
	if n := json.Number(""); json.Unmarshal(b, &n) == nil && b[0] != '"' {
		*l = loose(n)
		return nil
	}
	return json.Unmarshal(b, (*string)(l))
}

// appendJSON writes YAML as JSON. Keys are texts; what JSON cannot say is text too.
func appendJSON(b []byte, y *yaml.Node) ([]byte, error) {
	var err error
	switch y.Kind {
	case yaml.AliasNode:
		return appendJSON(b, y.Alias)
	case yaml.DocumentNode:
		return appendJSON(b, y.Content[0])
	case yaml.MappingNode:
		b = append(b, '{')
		for i := 0; i+1 < len(y.Content); i += 2 {
			if i > 0 {
				b = append(b, ',')
			}
			key, _ := json.Marshal(y.Content[i].Value)
			if b, err = appendJSON(append(append(b, key...), ':'), y.Content[i+1]); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	case yaml.SequenceNode:
		b = append(b, '[')
		for i, item := range y.Content {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendJSON(b, item); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	}
	if len(b) > maxExpanded {
		return nil, model.Errorf(model.Invalid, "the document is larger than %d bytes as JSON", maxExpanded)
	}
	switch y.ShortTag() {
	case "!!null":
		return append(b, "null"...), nil
	case "!!bool":
		if v, err := strconv.ParseBool(strings.ToLower(y.Value)); err == nil {
			return strconv.AppendBool(b, v), nil
		}
	case "!!int", "!!float":
		if json.Valid([]byte(y.Value)) {
			return append(b, y.Value...), nil
		}
	}
	value, err := json.Marshal(y.Value)
	return append(b, value...), err
}
