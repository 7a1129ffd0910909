package mapping

import (
	"strings"

	"tollgate/model"
)

// Over is what a proxy integration's request parameters put over what the client sent,
// compiled.
type Over struct {
	params    []parameter
	readsBody bool
}

// CompileOver compiles the request parameters of a proxy integration; nil: all they do
// is put path variables into its URI as they were sent.
func CompileOver(g *model.Integration) (*Over, error) {
	if g.PlainParameters() {
		return nil, nil
	}
	all, err := compileParameters(g.RequestParameters, "integration.request.", requestTargets, requestSources)
	if err != nil {
		return nil, err
	}
	o := &Over{}
	for _, p := range all {
		if p.kind == "path" && p.source == fromPath && !g.QueryVariables() {
			continue // goes on as it was sent
		}
		o.params = append(o.params, p)
		o.readsBody = o.readsBody || p.source == fromRequestBody
	}
	return o, nil
}

// ReadsBody says whether the request's body can matter.
func (o *Over) ReadsBody() bool { return o.readsBody }

// Request is what is put over a call's own path, query and header; what has no value in
// this call is left out, and what the client sent under its name stays.
func (o *Over) Request(c *Call) Request {
	out := Request{Path: map[string]string{}}
	for i := range o.params {
		p := &o.params[i]
		v, ok := p.value(c, nil)
		if !ok {
			continue
		}
		switch p.kind {
		case "path":
			out.Path[p.name] = v
		case "querystring":
			out.Query = set(out.Query, p.name, v, false)
		case "header":
			out.Header = header(out.Header, p.name, v)
		}
	}
	return out
}

// framingHeaders cannot be mapped: the service answers every call of such a method with
// 500, as recorded.
var framingHeaders = []string{"integration.request.header.content-length", "integration.request.header.transfer-encoding"}

// Framed says that the integration's parameters set the framing of its request, so that
// it has no answer to any call.
func Framed(g *model.Integration) bool {
	for to := range g.RequestParameters {
		for _, name := range framingHeaders {
			if strings.EqualFold(to, name) {
				return true
			}
		}
	}
	return false
}
