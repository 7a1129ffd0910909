package openapi

import (
	"reflect"
	"slices"
	"strings"

	"tollgate/model"
)

const anyMethod = "x-amazon-apigateway-any-method"

// verbOf is the verb a path item's field declares. served: a method can have it.
func verbOf(field string) (verb string, served bool) {
	switch field {
	case "get", "put", "post", "delete", "options", "head", "patch":
		return strings.ToUpper(field), true
	case anyMethod:
		return "ANY", true
	case "trace", "query":
		return strings.ToUpper(field), false
	}
	return "", false
}

func (im *importer) paths() error {
	paths := im.root.get("paths")
	if paths.size() == 0 {
		im.say(model.SeverityError, paths, "the document has no paths: there is nothing to call")
	}
	if n := paths.size(); n > model.MaxResources {
		return im.refuse(paths, "the document has %d paths; at most %d are allowed", n, model.MaxResources)
	}
	if err := im.basePath(); err != nil {
		return err
	}
	var fallbacks []loc
	for _, item := range paths.fields() {
		switch name := item.name(); {
		case strings.HasPrefix(name, "x-"):
		case name == "$default", name == "/$default":
			fallbacks = append(fallbacks, item)
		default:
			im.pathItem(item)
		}
		if im.work < 0 || im.weight < 0 {
			break
		}
	}
	// Last, so that the routes before them have named their variables and verbs.
	for _, item := range fallbacks {
		im.fallback(item)
	}
	if im.work < 0 || im.weight < 0 {
		return im.refuse(paths, "the document is too large with its references written out")
	}
	return nil
}

// operation is one verb of a path item.
type operation struct {
	loc
	verb string
}

func (im *importer) pathItem(item loc) {
	layers, ops := im.operations(item)
	if len(ops) == 0 {
		return
	}
	t, ok := im.parseTemplate(item)
	if !ok {
		return
	}
	r, ok := im.route(t, item)
	if !ok {
		return
	}
	for _, op := range ops {
		if im.work < 0 || im.weight < 0 {
			return
		}
		if m := im.method(r, layers, op); m != nil {
			im.put(r.path, op, m)
		}
	}
}

// fallback imports an HTTP API's $default route, which answers what no other
// route does.
func (im *importer) fallback(item loc) {
	layers, ops := im.operations(item)
	if len(ops) == 0 {
		return
	}
	im.say(model.SeverityWarning, item, "$default is imported as /{proxy+} and /: it answers the paths that no other route matches")
	all := template{parts: []part{{variable: true, greedy: true, name: "proxy", from: "proxy"}}}
	for _, t := range []template{all, {}} {
		r, ok := im.route(t, item)
		if !ok {
			continue
		}
		for _, op := range ops {
			if im.work < 0 || im.weight < 0 {
				return
			}
			if taken := im.resources[r.path]; r.path == "/" && taken != nil && taken.methods[op.verb] != nil {
				continue
			}
			if m := im.method(r, layers, op); m != nil {
				im.put(r.path, op, m)
			}
		}
	}
}

// operations lists a path item's operations and the objects it is made of: itself
// and what it references. Every operation is counted; those that no method can
// stand for are reported and not returned.
func (im *importer) operations(item loc) (layers []loc, ops []operation) {
	before, lost := im.res.Operations, false
	for l := item; ; {
		if !l.is(mapping) {
			if !l.is(null) {
				im.say(model.SeverityError, item, "path %s is not an object; its operations are missing", quote(item.name()))
				return nil, nil
			}
			break
		}
		for _, seen := range layers {
			if seen.node == l.node {
				im.refProblem(layers[len(layers)-1].get("$ref"), "this reference goes round in a circle")
				lost = true
			}
		}
		if lost {
			break
		}
		layers = append(layers, l)
		ops = im.layer(l, ops)
		ref := l.get("$ref")
		if !ref.is(scalar) {
			break
		}
		if im.work--; im.work < 0 {
			break
		}
		next, ok := im.target(ref)
		if !ok {
			lost = true
			break
		}
		l = next
	}
	if lost {
		im.say(model.SeverityError, item, "the operations that path %s has by reference are missing", quote(item.name()))
	} else if im.res.Operations == before {
		im.say(model.SeverityInfo, item, "path %s has no operations; it is no route", quote(item.name()))
	}
	return layers, ops
}

// layer adds one object's operations, those of an object that references it going
// before.
func (im *importer) layer(l loc, ops []operation) []operation {
	outer := len(ops)
	for _, f := range l.fields() {
		im.work--
		name := f.name()
		verb, served := verbOf(name)
		if verb == "" {
			if verb, served = verbOf(strings.ToLower(name)); verb != "" {
				im.say(model.SeverityWarning, f, "field %s is read as %s: verbs are lower case", quote(name), quote(strings.ToLower(name)))
			}
		}
		switch {
		case served:
			if !has(ops[:outer], verb) {
				ops = append(ops, operation{f, verb})
				im.handled[f.node] = true
				im.res.Operations++
			}
		case verb != "":
			im.res.Operations++
			im.say(model.SeverityError, f, "the gateway has no %s method, as Amazon API Gateway has none; this operation is missing", verb)
		case name == "additionalOperations":
			for _, extra := range f.fields() {
				im.res.Operations++
				im.say(model.SeverityError, extra, "the gateway has no %s method, as Amazon API Gateway has none; this operation is missing", quote(extra.name()))
			}
		case name == "parameters", name == "servers", name == "summary", name == "description", name == "$ref", strings.HasPrefix(name, "x-"):
		default:
			im.say(model.SeverityWarning, f, "field %s of a path is neither a verb nor anything else that is known", quote(name))
		}
	}
	return ops
}

func has(ops []operation, verb string) bool {
	for _, o := range ops {
		if o.verb == verb {
			return true
		}
	}
	return false
}

// method reads one operation; nil: it is missing, and that has been reported.
func (im *importer) method(r route, layers []loc, op operation) *method {
	if op.is(null) {
		im.say(model.SeverityWarning, op.loc, "this operation is empty; it is imported without a description")
	}
	l, ok := im.follow(op.loc)
	if !ok {
		im.say(model.SeverityError, op.loc, "this operation is a reference that leads nowhere; it is missing")
		return nil
	}
	if !l.is(mapping) && !l.is(null) {
		im.say(model.SeverityError, op.loc, "this operation is not an object; it is missing")
		return nil
	}
	im.work -= 1 + l.size()
	for _, layer := range layers {
		im.work -= layer.size()
	}
	m := &method{from: op.loc}
	m.AuthorizationType = model.AuthNone
	if id := l.get("operationId"); id.text() != "" {
		m.OperationName = truncate(id.text(), maxText, maxText)
		if first, ok := im.operationIDs[m.OperationName]; !ok {
			im.operationIDs[m.OperationName] = id
		} else if first.node != id.node {
			line, _ := first.place()
			im.say(model.SeverityWarning, id, "operationId %s is taken by the operation at line %d", quote(m.OperationName), line)
		}
	}
	im.weight -= len(m.OperationName) + len(r.path) + len(r.uri) + 200
	im.parameters(m, r, layers, l)
	im.secure(m, l)
	m.RequestValidatorID = im.requestValidator(l)
	im.bodies(m, layers, l)
	im.words(r.path, op.verb, layers, l)
	im.place = "of resource '" + r.path + "' and method '" + op.verb + "'"
	im.integrate(m, r, op.verb, layers, l)
	for _, f := range []string{"requestBody", "responses"} {
		if x := l.get(f); x.size() > 0 {
			im.described(x)
		}
	}
	im.unknown(l, "an operation", "tags summary description externalDocs operationId parameters requestBody responses callbacks deprecated security servers consumes produces schemes isDefaultRoute $ref")
	if c := l.get("callbacks"); c.size() > 0 {
		im.tally(model.SeverityInfo, c, "callbacks are calls the API makes; the gateway takes no part in them (operations with callbacks: %d)")
	}
	return m
}

// described counts what the document says of calls and the gateway holds none to.
func (im *importer) described(l loc) {
	im.tally(model.SeverityInfo, l, "schemas, parameters, bodies, responses, examples and links (places: %d) are kept in the author's bytes as a description; calls are not checked against them")
}

// parameters notes the method's path variables and the query and header
// parameters the document declares.
func (im *importer) parameters(m *method, r route, layers []loc, op loc) {
	set := func(name string, required bool) {
		if m.RequestParameters == nil {
			m.RequestParameters = map[string]bool{}
		}
		m.RequestParameters["method.request."+name] = required
		im.weight -= len(name) + 30
	}
	for i := len(layers) - 1; i >= -1; i-- {
		owner := op
		if i >= 0 {
			owner = layers[i]
		}
		for _, p := range owner.get("parameters").items() {
			if im.work--; im.work < 0 {
				return
			}
			p, ok := im.follow(p)
			if !ok {
				continue
			}
			im.described(p)
			name := p.get("name").text()
			switch in := p.get("in").text(); {
			case name == "":
			case in == "query":
				set("querystring."+name, p.get("required").isTrue())
			case in == "header":
				set("header."+name, p.get("required").isTrue())
			case !slices.Contains([]string{"path", "cookie", "body", "formData"}, in):
				im.warnOnce(p, "parameter %s is left out: \"in\" is %s, and not path, query, header or cookie", quote(name), quote(in))
			}
		}
	}
	for _, n := range r.names {
		set("path."+n, true)
	}
}

// put enters a method. Where the route has one already, a call cannot tell the
// two apart; that is no loss where both would go to the same upstream.
func (im *importer) put(path string, op operation, m *method) {
	r := im.resources[path]
	if r == nil {
		r = &resource{path: path, methods: map[string]*method{}}
		im.resources[path] = r
	}
	old := r.methods[op.verb]
	if old == nil {
		r.methods[op.verb] = m
		return
	}
	line, _ := old.from.place()
	if old.upstream != m.upstream || old.upstream == "" && !reflect.DeepEqual(old.Integration, m.Integration) {
		im.say(model.SeverityError, op.loc, "this operation is missing: %s %s is also the route of the operation at line %d, which goes elsewhere", op.verb, path, line)
		return
	}
	im.aloud(op.loc, "%s %s is also the route of the operation at line %d; one method answers both, from the same upstream, and asks for what either asks for", op.verb, path, line)
	old.APIKeyRequired = old.APIKeyRequired || m.APIKeyRequired
	if old.AuthorizationType == model.AuthNone {
		old.AuthorizationType, old.AuthorizerID = m.AuthorizationType, m.AuthorizerID
	}
	if old.RequestValidatorID == "" {
		old.RequestValidatorID = m.RequestValidatorID
	}
	// A parameter is required where every one of the operations requires it.
	for name := range old.RequestParameters {
		old.RequestParameters[name] = old.RequestParameters[name] && m.RequestParameters[name]
	}
	for name := range m.RequestParameters {
		if _, ok := old.RequestParameters[name]; ok {
			continue
		}
		if old.RequestParameters == nil {
			old.RequestParameters = map[string]bool{}
		}
		old.RequestParameters[name] = false
	}
}
