package openapi

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"tollgate/model"
)

const integrationField = "x-amazon-apigateway-integration"

// integrate gives the method what answers it: the document's own integration, or
// else the operation's server.
func (im *importer) integrate(m *method, r route, verb string, layers []loc, op loc) {
	if x := op.get(integrationField); x.there() && !x.is(null) {
		im.handled[x.node] = true
		m.Integration = im.integration(x, r)
		return
	}
	if im.options.Wire {
		return
	}
	s := im.upstream(layers, op)
	if s.why != "" {
		im.tally(model.SeverityError, s.at, strings.ReplaceAll(s.why, "%", "%%")+
			"; methods without an integration for it: %d; say where calls go with --upstream URL, or put an absolute server URL into the document")
		return
	}
	m.upstream = s.url
	m.Integration = &model.Integration{Type: model.IntegrationHTTPProxy, HTTPMethod: verb, URI: s.url + r.uri}
	for _, n := range r.names {
		mapPath(m.Integration, n, n)
	}
	im.weight -= len(m.Integration.URI)
}

// integration reads x-amazon-apigateway-integration; nil: it cannot be used, and
// that has been reported.
func (im *importer) integration(at loc, r route) *model.Integration {
	x, ok := im.follow(at)
	if !ok {
		im.say(model.SeverityError, at, "the integration is a reference that leads nowhere; the method has none")
		return nil
	}
	if !x.is(mapping) {
		im.say(model.SeverityError, at, "the integration is not an object; the method has none")
		return nil
	}
	im.work -= x.size()
	im.weight -= x.node.weightOf()
	g := &model.Integration{}
	for _, f := range x.fields() {
		im.integrationField(g, f, r)
	}
	switch g.Type {
	case model.IntegrationHTTP, model.IntegrationHTTPProxy, model.IntegrationAWS, model.IntegrationAWSProxy, model.IntegrationMock:
	default:
		im.say(model.SeverityError, at, "integration type %s is not one of http, http_proxy, aws, aws_proxy, mock; the method has no integration", quote(g.Type))
		return nil
	}
	if g.Type == model.IntegrationMock {
		g.HTTPMethod, g.URI = "", "" // it calls nothing
	}
	if x.get("payloadFormatVersion").there() && g.Type == model.IntegrationHTTPProxy {
		implicitPath(g, r)
	}
	if len(r.renamed) > 0 && len(g.RequestTemplates) > 0 {
		im.say(model.SeverityWarning, x.get("requestTemplates"), "a path variable has another name here than in the document; templates that read it must use the new one")
	}
	return g
}

// implicitPath maps the path variables that an HTTP API's integration uses in its
// URI without saying so.
func implicitPath(g *model.Integration, r route) {
	old := map[string]string{}
	for from, to := range r.renamed {
		old[to] = from
	}
	for _, name := range r.names {
		as := name
		if from, ok := old[name]; ok {
			as = from
		}
		if strings.Contains(g.URI, "{"+as+"}") && g.RequestParameters["integration.request.path."+as] == "" {
			mapPath(g, as, name)
		}
	}
}

func mapPath(g *model.Integration, to, from string) {
	if g.RequestParameters == nil {
		g.RequestParameters = map[string]string{}
	}
	g.RequestParameters["integration.request.path."+to] = "method.request.path." + from
}

func (im *importer) integrationField(g *model.Integration, f loc, r route) {
	upper := func() string { return strings.ToUpper(im.str(f)) }
	switch name := f.name(); name {
	case "type":
		g.Type = upper()
	case "httpMethod":
		g.HTTPMethod = upper()
	case "uri":
		g.URI = im.str(f)
	case "connectionType":
		g.ConnectionType = upper()
	case "connectionId":
		g.ConnectionID = im.str(f)
	case "credentials":
		g.Credentials = im.str(f)
	case "passthroughBehavior":
		g.PassthroughBehavior = upper()
	case "contentHandling":
		g.ContentHandling = upper()
	case "cacheNamespace":
		g.CacheNamespace = im.str(f)
	case "integrationTarget":
		g.IntegrationTarget = im.str(f)
	case "responseTransferMode":
		g.ResponseTransferMode = upper()
	case "timeoutInMillis":
		g.TimeoutMillis = im.timeout(f)
	case "requestParameters":
		g.RequestParameters = im.texts(f)
		for k, v := range g.RequestParameters {
			g.RequestParameters[k] = rename(v, r)
		}
	case "requestTemplates":
		g.RequestTemplates = im.strs(f)
	case "cacheKeyParameters":
		for _, item := range f.items() {
			g.CacheKeyParameters = append(g.CacheKeyParameters, rename(im.str(item), r))
		}
	case "x-tollgate-upstream":
		u := &model.UpstreamPolicy{}
		d := json.NewDecoder(bytes.NewReader(writeJSON(nil, f.node, func(s string) string { return s })))
		d.DisallowUnknownFields()
		if err := d.Decode(u); err != nil {
			im.unserved(f, "x-tollgate-upstream must be an object with retries, circuitBreaker and http2")
			return
		}
		if err := u.Validate(); err != nil {
			im.unserved(f, "x-tollgate-upstream: "+model.MessageOf(err))
			return
		}
		g.Upstream = u
	case "tlsConfig":
		im.tlsConfig(g, f)
	case "responses":
		im.integrationResponses(g, f)
	case "payloadFormatVersion":
		im.tally(model.SeverityInfo, f, "payloadFormatVersion (integrations: %d) is not kept in the definition; it matters to Lambda functions only, which are not served yet")
	case "$ref":
	default:
		im.say(model.SeverityWarning, f, "integration field %s is not kept in the definition", quote(name))
	}
}

// rename gives a mapping's source the path variable's final name.
func rename(source string, r route) string {
	for _, prefix := range []string{"method.request.path.", "request.path.", "$request.path."} {
		if name, ok := strings.CutPrefix(source, prefix); ok && r.renamed[name] != "" {
			return prefix + r.renamed[name]
		}
	}
	return source
}

// str is a field's text. One that has none, such as a CloudFormation function,
// keeps the API from being deployed without what its author asked for.
func (im *importer) str(f loc) string {
	if f.is(mapping) || f.is(sequence) {
		im.unserved(f, "this must be a string; an object here, such as a CloudFormation function, has no value outside its template")
	}
	return f.text()
}

func (im *importer) strs(f loc) map[string]string {
	if f.is(null) || f.is(mapping) && f.size() == 0 {
		return nil
	}
	if !f.is(mapping) {
		im.unserved(f, "this must be an object of strings")
		return nil
	}
	out := make(map[string]string, f.size())
	for _, e := range f.fields() {
		im.work--
		out[e.name()] = im.str(e)
	}
	return out
}

// texts is strs for parameters, whose values are expressions: what is none is left
// out and told, as Amazon API Gateway does.
func (im *importer) texts(f loc) map[string]string {
	out := im.strs(f)
	for _, e := range f.fields() {
		if e.is(scalar) && e.node.bare {
			delete(out, e.name())
			im.aloud(e, "Invalid format for '%s'. Expected type string for property '%s' %s but got '%s'", f.name(), truncate(e.name(), 200, 200), im.place, truncate(e.text(), 200, 200))
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func (im *importer) timeout(f loc) int {
	ms, err := strconv.Atoi(f.text())
	if err != nil || ms < model.MinTimeoutMillis || ms > model.MaxTimeoutMillis {
		im.say(model.SeverityError, f, "the timeout %s is not a number of milliseconds between %d and %d; the default of %d is used",
			quote(f.text()), model.MinTimeoutMillis, model.MaxTimeoutMillis, model.DefaultTimeoutMillis)
		return 0
	}
	return ms
}

func (im *importer) tlsConfig(g *model.Integration, f loc) {
	for _, e := range f.fields() {
		if e.name() == "insecureSkipVerification" {
			g.InsecureSkipVerify = e.isTrue()
			continue
		}
		im.say(model.SeverityWarning, e, "TLS setting %s is not kept in the definition; the certificate is checked against the host in the URI", quote(e.name()))
	}
}

// integrationResponses are keyed by pattern in a document, by status in a
// definition.
func (im *importer) integrationResponses(g *model.Integration, f loc) {
	for _, e := range f.fields() {
		e, ok := im.follow(e)
		if !ok {
			continue
		}
		im.work -= 1 + e.size()
		a := model.IntegrationResponse{
			StatusCode:         im.str(e.get("statusCode")),
			ResponseParameters: im.strs(orNull(e.get("responseParameters"))),
			ResponseTemplates:  im.strs(orNull(e.get("responseTemplates"))),
			ContentHandling:    strings.ToUpper(im.str(e.get("contentHandling"))),
		}
		if e.name() != "default" {
			pattern := e.name()
			a.SelectionPattern = &pattern
		}
		key := a.StatusCode
		if key == "" {
			key = "default"
		}
		if _, taken := g.Responses[key]; taken {
			im.say(model.SeverityWarning, e, "two integration responses have status %s; this one is not kept", quote(key))
			continue
		}
		if g.Responses == nil {
			g.Responses = map[string]model.IntegrationResponse{}
		}
		g.Responses[key] = a
	}
}

func orNull(l loc) loc {
	if !l.there() {
		l.node = &node{}
	}
	return l
}
