package mapping

import (
	"fmt"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tollgate/gateway/vtl"
	"tollgate/model"
)

// GatewayResponse is what the gateway answers by itself in one kind of case, compiled.
// Its templates are texts in which references are replaced; they are not of the template
// language, as on Amazon API Gateway.
type GatewayResponse struct {
	status    int // 0: the kind's own
	params    []parameter
	templates []text
}

type text struct{ kind, text string }

// CompileGatewayResponse compiles one; what it refuses no deployment may have.
func CompileGatewayResponse(r model.GatewayResponse) (*GatewayResponse, error) {
	out := &GatewayResponse{}
	if r.StatusCode != "" {
		var err error
		if out.status, err = strconv.Atoi(r.StatusCode); err != nil || out.status < 100 || out.status > 599 {
			return nil, fmt.Errorf("status code %q is not between 100 and 599", r.StatusCode)
		}
	}
	var err error
	if out.params, err = compileParameters(r.Parameters, "gatewayresponse.", responseTargets, refusalSources); err != nil {
		return nil, err
	}
	for kind, t := range r.Templates {
		if kind == "" || !clean(kind) {
			return nil, fmt.Errorf("response template for %q: that is no content type", kind)
		}
		out.templates = append(out.templates, text{strings.ToLower(kind), t})
	}
	slices.SortFunc(out.templates, func(a, b text) int { return strings.Compare(a.kind, b.kind) })
	return out, nil
}

var refusalSources = map[string]source{
	"method.request.path.": fromPath, "method.request.querystring.": fromQuery, "method.request.multivaluequerystring.": fromQueries,
	"method.request.header.": fromHeader, "method.request.multivalueheader.": fromHeaders, "stageVariables.": fromStage, "context.": fromContext,
}

// Reply is the answer in place of one with a status and a body, which it keeps where it
// has none of its own. The call's context has the error.
func (g *GatewayResponse) Reply(c *Call, status int, body string) Reply {
	out := Reply{Status: status, Body: body}
	if g.status >= 200 { // an interim one would be no answer
		out.Status = g.status
	}
	kind := "application/json"
	if t := g.accepted(c); t != nil {
		kind, out.Body = t.kind, c.substitute(t.text)
	}
	out.Header = []Pair{{"Content-Type", kind}}
	for i := range g.params {
		if v, ok := g.params[i].value(c, nil); ok && !model.OwnHeader(g.params[i].name) {
			out.Header = header(out.Header, g.params[i].name, v)
		}
	}
	return out
}

func (g *GatewayResponse) accepted(c *Call) *text {
	for part := range strings.SplitSeq(one(c.Headers, "Accept"), ",") {
		for i := range g.templates {
			if g.templates[i].kind == mediaType(part) {
				return &g.templates[i]
			}
		}
	}
	for i := range g.templates {
		if g.templates[i].kind == "application/json" {
			return &g.templates[i]
		}
	}
	if len(g.templates) > 0 {
		return &g.templates[0]
	}
	return nil
}

var reference = regexp.MustCompile(`\$(context|stageVariables|method\.request\.(?:path|querystring|header))\.([A-Za-z0-9_\-]+(?:\.[A-Za-z0-9_\-]+)*)`)

// substitute puts values in the places of references; what is not known is nothing.
func (c *Call) substitute(t string) string {
	return reference.ReplaceAllStringFunc(t, func(ref string) string {
		m := reference.FindStringSubmatch(ref)
		switch m[1] {
		case "context":
			return from(c.Context, m[2])
		case "stageVariables":
			return from(c.StageVariables, m[2])
		case "method.request.path":
			return c.Path[m[2]]
		case "method.request.querystring":
			return c.Query[m[2]]
		}
		return one(c.Headers, textproto.CanonicalMIMEHeaderKey(m[2]))
	})
}

func from(m *vtl.Map, name string) string {
	v, _ := Lookup(m, name)
	return v
}
