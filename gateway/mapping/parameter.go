package mapping

import (
	"fmt"
	"maps"
	"net/textproto"
	"slices"
	"strings"

	"tollgate/gateway/vtl"
	"tollgate/model"
)

// parameter is one request or response parameter: a target and where its value is from.
type parameter struct {
	kind, name string // of the target: path, querystring or header
	source     source
	from       string // the name at the source, the path in a body, or the text itself
	body       *vtl.Template
}

type source uint8

const (
	static source = iota
	fromPath
	fromQuery
	fromQueries
	fromHeader
	fromHeaders
	fromRequestBody
	fromAnswerHeader
	fromAnswerHeaders
	fromAnswerBody
	fromStage
	fromContext
)

var (
	requestTargets  = map[string]bool{"path": true, "querystring": true, "header": true}
	responseTargets = map[string]bool{"header": true}
	requestSources  = map[string]source{
		"method.request.path.": fromPath, "method.request.querystring.": fromQuery, "method.request.multivaluequerystring.": fromQueries,
		"method.request.header.": fromHeader, "method.request.multivalueheader.": fromHeaders, "method.request.body": fromRequestBody,
		"stageVariables.": fromStage, "context.": fromContext,
	}
	responseSources = map[string]source{
		"integration.response.header.": fromAnswerHeader, "integration.response.multivalueheader.": fromAnswerHeaders, "integration.response.body": fromAnswerBody,
		"stageVariables.": fromStage, "context.": fromContext,
	}
)

func compileParameters(all map[string]string, prefix string, targets map[string]bool, sources map[string]source) ([]parameter, error) {
	var out []parameter
	for _, target := range slices.Sorted(maps.Keys(all)) {
		p, err := compileParameter(target, all[target], prefix, targets, sources)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

func compileParameter(target, from, prefix string, targets map[string]bool, sources map[string]source) (p parameter, err error) {
	rest, ok := strings.CutPrefix(target, prefix)
	p.kind, p.name, _ = strings.Cut(rest, ".")
	if !ok || !targets[p.kind] || p.name == "" {
		return p, fmt.Errorf("parameter %s is no target; those begin with %s and one of %s", target, prefix, strings.Join(slices.Sorted(maps.Keys(targets)), ", "))
	}
	if p.kind == "header" && !model.HeaderName(p.name) {
		return p, fmt.Errorf("parameter %s: %q is not the name of a header", target, p.name)
	}
	if prefix == "method.response." && model.OwnHeader(p.name) {
		return p, fmt.Errorf("parameter %s: the header %s is the gateway's own; leave it out", target, p.name)
	}
	if len(from) >= 2 && from[0] == '\'' && from[len(from)-1] == '\'' {
		p.from = from[1 : len(from)-1]
		if !clean(p.from) {
			return p, fmt.Errorf("parameter %s: the text has a character that no header may have", target)
		}
		return p, nil
	}
	for _, prefix := range slices.Sorted(maps.Keys(sources)) {
		name, ok := strings.CutPrefix(from, prefix)
		if !ok {
			continue
		}
		p.source, p.from = sources[prefix], name
		switch p.source {
		case fromRequestBody, fromAnswerBody:
			if name != "" && name[0] != '.' && name[0] != '[' {
				continue // another name that begins alike
			}
			if p.body, err = vtl.Parse("$input.json(\"$" + strings.ReplaceAll(strings.ReplaceAll(name, `\`, `\\`), `"`, `\"`) + "\")"); err != nil {
				return p, fmt.Errorf("parameter %s: %s: %w", target, from, err)
			}
			return p, nil
		case fromHeader, fromHeaders, fromAnswerHeader, fromAnswerHeaders:
			p.from = textproto.CanonicalMIMEHeaderKey(name)
		}
		if name != "" {
			return p, nil
		}
	}
	return p, fmt.Errorf("parameter %s: %q is no source of a value here; write a text in single quotes, or one of %s", target, from, strings.Join(slices.Sorted(maps.Keys(sources)), ", "))
}

// value is the parameter's for a call; not there: it is left out.
func (p *parameter) value(c *Call, a *Answer) (v string, ok bool) {
	switch p.source {
	case static:
		return p.from, true
	case fromPath:
		v, ok = c.Path[p.from]
	case fromQuery:
		v, ok = c.Query[p.from]
	case fromQueries:
		v, ok = strings.Join(c.Queries[p.from], ","), len(c.Queries[p.from]) > 0
	case fromHeader:
		v, ok = one(c.Headers, p.from), len(c.Headers[p.from]) > 0
	case fromHeaders:
		v, ok = strings.Join(c.Headers[p.from], ","), len(c.Headers[p.from]) > 0
	case fromRequestBody:
		v = p.inBody(c, c.Body)
		ok = v != ""
	case fromAnswerHeader:
		v, ok = one(a.Headers, p.from), len(a.Headers[p.from]) > 0
	case fromAnswerHeaders:
		v, ok = strings.Join(a.Headers[p.from], ","), len(a.Headers[p.from]) > 0
	case fromAnswerBody:
		v = p.inBody(c, a.Body)
		ok = v != ""
	case fromStage:
		v, ok = Lookup(c.StageVariables, p.from)
	case fromContext:
		v, ok = Lookup(c.Context, p.from)
	}
	return v, ok && clean(v)
}

// inBody is a place in a body: a text as it is, all else as JSON.
func (p *parameter) inBody(c *Call, body string) string {
	if p.from == "" {
		return body
	}
	text, _, err := c.render(p.body, body)
	if err != nil || text == "null" {
		return ""
	}
	if strings.HasPrefix(text, `"`) {
		if v, err := vtl.ParseJSON(text); err == nil {
			return vtl.Text(v)
		}
	}
	return text
}

// Lookup goes down a map by a dotted name.
func Lookup(m *vtl.Map, name string) (string, bool) {
	for m != nil {
		if v, ok := m.Get(name); ok {
			return vtl.Text(v), true
		}
		first, rest, more := strings.Cut(name, ".")
		v, _ := m.Get(first)
		if m, name = asMap(v), rest; !more {
			return "", false
		}
	}
	return "", false
}

func asMap(v any) *vtl.Map {
	m, _ := v.(*vtl.Map)
	return m
}

// clean says that a value can be sent in a header, whose lines it must not end.
func clean(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return len(s) <= 8192
}
