package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"tollgate/awsapi/sigv4"
	"tollgate/gateway/http1"
	"tollgate/gateway/mapping"
	"tollgate/gateway/schema"
	"tollgate/model"
)

// validator checks a call before its integration: that the parameters it must have are
// there, and that its body fits the model of its content type.
type validator struct {
	params []required
	models map[string]string         // names by content type; nil: bodies are not checked
	of     map[string]*schema.Schema // by name
}

// required is a parameter that a call must have.
type required struct{ kind, name string } // path, querystring or header

// compileValidator is a method's; nil: it asks for none.
func compileValidator(d *model.Definition, m *model.Method, models map[string]*schema.Schema) (*validator, error) {
	if m.RequestValidatorID == "" {
		return nil, nil
	}
	r := d.RequestValidator(m.RequestValidatorID)
	if r == nil {
		return nil, fmt.Errorf("there is no request validator %q", m.RequestValidatorID)
	}
	v := &validator{}
	if r.Parameters {
		for _, p := range slices.Sorted(maps.Keys(m.RequestParameters)) {
			kind, name, ok := strings.Cut(strings.TrimPrefix(p, "method.request."), ".")
			kind = strings.TrimPrefix(kind, "multivalue")
			if ok && m.RequestParameters[p] {
				v.params = append(v.params, required{kind, name})
			}
		}
	}
	if r.Body && len(m.RequestModels) > 0 {
		v.models, v.of = m.RequestModels, map[string]*schema.Schema{}
		for _, kind := range slices.Sorted(maps.Keys(m.RequestModels)) {
			name := m.RequestModels[kind]
			if models[name] == nil {
				s, err := compileModel(d, name)
				if err != nil {
					return nil, err
				}
				models[name] = s
			}
			v.of[name] = models[name]
		}
	}
	if v.params == nil && v.models == nil {
		return nil, nil
	}
	return v, nil
}

func compileModel(d *model.Definition, name string) (*schema.Schema, error) {
	texts := make(map[string]string, len(d.Models))
	for i := range d.Models {
		texts[d.Models[i].Name] = d.Models[i].Schema
	}
	if _, ok := texts[name]; !ok {
		return nil, fmt.Errorf("there is no model %q", name)
	}
	s, err := schema.Compile(texts, name)
	if err != nil {
		return nil, fmt.Errorf("request model %w", err)
	}
	return s, nil
}

// Check says what of a definition no node could compile, with its place: the control
// plane asks before it deploys. arn is what policies name the API by.
func Check(d *model.Definition, arn string) []model.Problem {
	var out []model.Problem
	if _, err := compileResponses(d); err != nil {
		out = append(out, model.Problem{Severity: model.SeverityError, Pointer: "gatewayResponses", Message: err.Error()})
	}
	if _, err := compilePolicy(d, arn); err != nil {
		out = append(out, model.Problem{Severity: model.SeverityError, Pointer: "policy", Message: err.Error()})
	}
	models, tokens := map[string]*schema.Schema{}, map[string]*tokenAuth{}
	for i := range d.Resources {
		r := &d.Resources[i]
		for _, verb := range slices.Sorted(maps.Keys(r.Methods)) {
			m := r.Methods[verb]
			no := func(err error) {
				if err != nil {
					out = append(out, model.Problem{Severity: model.SeverityError, Pointer: verb + " " + r.Path, Message: err.Error()})
				}
			}
			if m.Integration != nil && m.Integration.Mapped() {
				no(mapping.Check(m.Integration))
			}
			if m.Integration != nil && m.Integration.Type == model.IntegrationHTTPProxy {
				_, err := mapping.CompileOver(m.Integration)
				no(err)
			}
			if g := m.Integration; g != nil && g.Type == model.IntegrationAWSProxy {
				no(checkProxy(g.OnTrial()))
				if g.HTTPMethod != "POST" {
					out = append(out, model.Problem{Severity: model.SeverityWarning, Pointer: verb + " " + r.Path, Message: "integrations of type AWS_PROXY must be called with POST; with " + strconv.Quote(g.HTTPMethod) + " each call is answered with 500"})
				}
			}
			if m.AuthorizationType == model.AuthCustom {
				no(checkLambdaAuth(d, &m))
			} else {
				_, err := compileAuth(d, &m, tokens)
				no(err)
			}
			if m.Integration != nil && m.Integration.Type == model.IntegrationAWS {
				no(checkService(m.Integration))
			}
			_, err := compileValidator(d, &m, models)
			no(err)
			if m.Integration != nil {
				_, err = compileCacheKey(m.Integration, r.ID)
				no(err)
			}
		}
	}
	return out
}

// validate checks the call. A body is read whole for it, so that is done where waiting
// is allowed.
func (c *call) validate(x *http1.Exchange) kind {
	v := c.run.m.validator
	var missing []string
	for _, p := range v.params {
		if !c.present(x, p) {
			missing = append(missing, p.name)
		}
	}
	if len(missing) > 0 {
		c.message = schema.Missing(missing)
		return badRequestParameters
	}
	if v.models == nil {
		return proceed
	}
	name, ok := schema.ModelFor(v.models, string(x.Request.Type.Of(x.In)))
	if !ok {
		return proceed
	}
	if !x.MayBlock() {
		x.Block()
		return later
	}
	if k := c.readBody(x); k != proceed {
		return k
	}
	var err error
	if !c.heavily(len(c.body), func() { err = v.of[name].Validate(c.body) }) {
		return unavailable
	}
	switch {
	case err == nil:
		return proceed
	case errors.Is(err, schema.ErrTooLarge):
		c.why = err.Error()
		return tooLarge
	case errors.Is(err, schema.ErrTooCostly):
		c.why = err.Error()
		return configurationError
	}
	c.why = "the body does not fit the model " + name
	if f, ok := errors.AsType[*schema.Failure](err); ok {
		c.detail = f.Detail
		c.why += ": " + f.Detail
	}
	return badRequestBody
}

func (c *call) present(x *http1.Exchange, p required) bool {
	switch p.kind {
	case "header":
		return schema.Present(string(header(x, p.name)))
	case "querystring":
		for part := range strings.FieldsFuncSeq(string(x.Request.Query.Of(x.In)), func(r rune) bool { return r == '&' || r == ';' }) {
			name, value, _ := strings.Cut(part, "=")
			if unescapeQuery(name) == p.name && schema.Present(unescapeQuery(value)) {
				return true
			}
		}
		return false
	}
	for _, v := range c.match.Vars[:c.match.N] {
		if v.Name == p.name {
			text := string(c.path[v.Start:v.End])
			if s, err := url.PathUnescape(text); err == nil {
				text = s
			}
			return schema.Present(text)
		}
	}
	return false
}

// maxWholeBody bounds a request body that a step must read whole, whatever the operator
// lets stream through.
const maxWholeBody = 10 << 20

// readBody reads the whole body, once. What follows sends it on with its length.
func (c *call) readBody(x *http1.Exchange) kind {
	if c.body != nil {
		return proceed
	}
	n := x.Request.ContentLength
	if x.Request.Chunked {
		n = min(c.g.o.MaxBody, maxWholeBody)
	}
	if n > maxWholeBody {
		c.why = c.tooLong(n, maxWholeBody)
		return tooLarge
	}
	var f http1.Failure
	coded, held := c.coded(x), true
	// What is not here yet is not counted: whoever says that much will come, and does not
	// send it, takes nobody's room.
	c.body, f = x.ReadBody(make([]byte, 0, min(n, 64<<10)), maxWholeBody, func(n int64) bool {
		held = c.hold(n)
		return held
	})
	if held && f == http1.None {
		held = c.hold(int64(len(c.body))) // texts are made of it
	}
	if !held {
		c.why = whyHeld
		return throttled
	}
	if f != http1.None {
		return c.proxied(f)
	}
	if c.run.m.signed {
		c.hash = sigv4.HashBody(c.body)
	}
	if coded {
		return c.decode(x)
	}
	return proceed
}

// tooLong says by how much a body is.
func (c *call) tooLong(n, most int64) string {
	return fmt.Sprintf("the request's body has %d bytes; at most %d are taken", n, most)
}

// jsonText is a text as a JSON string.
func jsonText(s string) []byte {
	b, _ := json.Marshal(s) // of a string
	return b
}
