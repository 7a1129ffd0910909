package openapi

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"tollgate/model"
)

const aws = "x-amazon-apigateway-"

// apiExtensions reads Amazon API Gateway's settings of the whole API.
func (im *importer) apiExtensions() {
	for _, f := range im.root.fields() {
		short, ok := strings.CutPrefix(f.name(), aws)
		if !ok || f.is(null) {
			continue
		}
		known := true
		switch short {
		case "api-key-source":
			im.apiKeySource(f)
		case "binary-media-types":
			for _, t := range f.items() {
				im.definition.BinaryMediaTypes = append(im.definition.BinaryMediaTypes, im.str(t))
			}
			if !f.is(sequence) {
				im.say(model.SeverityError, f, "binary media types are a list of strings; they are left out")
			}
		case "request-validator":
			im.validator = f
		case "request-validators":
			im.requestValidators(f)
		case "policy":
			im.policy(f)
		case "endpoint-configuration":
			im.endpointConfiguration(f)
		case "security-policy":
			im.definition.SecurityPolicy = im.str(f)
		case "endpoint-access-mode":
			im.definition.EndpointAccessMode = im.str(f)
		case "gateway-responses":
			im.gatewayResponses(f)
		case "cors":
			im.say(model.SeverityWarning, f, "CORS settings are not served yet: browsers of other origins are answered as the upstream answers them")
		case "minimum-compression-size":
			im.compression(f)
		case "documentation":
			im.documentation(f)
		case "importexport-version":
			im.say(model.SeverityInfo, f, "the version of the export format makes no difference")
		default:
			known = false
		}
		if known {
			im.handled[f.node] = true
		}
	}
}

func (im *importer) apiKeySource(f loc) {
	switch s := strings.ToUpper(f.text()); s {
	case "HEADER", "AUTHORIZER":
		im.definition.APIKeySource = s
	default:
		im.unserved(f, "API key source "+quote(f.text())+" is not HEADER or AUTHORIZER")
	}
}

func (im *importer) endpointConfiguration(f loc) {
	e := &model.Endpoint{}
	for _, t := range f.get("types").items() {
		switch t := strings.ToUpper(t.text()); t {
		case model.EndpointEdge, model.EndpointRegional, model.EndpointPrivate:
			e.Types = append(e.Types, t)
		default:
			im.unserved(f, "endpoint type "+quote(t)+" is not REGIONAL, EDGE or PRIVATE")
		}
	}
	if t := f.get("types"); t.there() && !t.is(sequence) || !f.is(mapping) || len(e.Types) > 1 {
		im.unserved(f, "an endpoint configuration is an object with a list of one type")
	}
	e.IPAddressType = f.get("ipAddressType").text()
	for _, v := range f.get("vpcEndpointIds").items() {
		e.VPCEndpointIDs = append(e.VPCEndpointIDs, im.str(v))
	}
	if d := f.get("disableExecuteApiEndpoint"); d.there() && d.text() != "false" {
		im.definition.DisableDefaultEndpoint = true
	}
	if e.Types == nil && e.VPCEndpointIDs == nil {
		return
	}
	if e.Types == nil {
		e.Types = []string{model.EndpointEdge}
	}
	if e.IPAddressType == "" {
		e.IPAddressType = "ipv4"
		if e.Types[0] == model.EndpointPrivate {
			e.IPAddressType = "dualstack"
		}
	}
	im.definition.Endpoint = e
}

// unserved reports what a definition cannot hold though callers rely on it, and
// keeps the API from being deployed without it.
func (im *importer) unserved(at loc, reason string) {
	if !im.once(at.at + "\x00" + reason) {
		return
	}
	im.say(model.SeverityError, at, "%s; this keeps the API from being deployed", reason)
	name := at.at
	if strings.HasPrefix(at.name(), aws) {
		name = at.name()
	}
	u := model.Unserved{Name: name, Reason: reason}
	if len(im.definition.Unserved) < maxProblems && !slices.Contains(im.definition.Unserved, u) {
		im.definition.Unserved = append(im.definition.Unserved, u)
		im.weight -= len(name) + len(reason)
	}
}

// requestValidator is the id of the validator of an operation.
func (im *importer) requestValidator(op loc) string {
	own := op.get(aws + "request-validator")
	if own.there() {
		im.handled[own.node] = true
	} else if own = im.validator; !own.there() {
		return ""
	}
	name := im.str(own)
	id := partID("validator", name)
	if name != "" && im.definition.RequestValidator(id) == nil && im.once("\x00validator "+name) {
		im.unserved(own, "request validator "+quote(name)+" is not defined")
	}
	if name == "" {
		return ""
	}
	return id
}

// leftovers reports what the passes before had no use for, each thing once.
func (im *importer) leftovers() {
	if w := im.root.get("webhooks"); w.size() > 0 {
		im.say(model.SeverityInfo, w, "webhooks are calls the API makes; the gateway takes no part in them")
	}
	for _, owner := range []loc{im.root, im.root.get("components")} {
		for _, name := range []string{"definitions", "parameters", "responses", "schemas", "requestBodies", "headers", "examples", "links"} {
			if c := owner.get(name); c.size() > 0 {
				im.described(c)
			}
		}
	}
	im.unknown(im.root, "the document", "openapi swagger $self info jsonSchemaDialect servers paths webhooks components security tags externalDocs host basePath schemes consumes produces definitions parameters responses securityDefinitions")
	im.schemesLeft()
	w := &walker{importer: im, seen: map[*node]bool{}, external: map[string]*note{}}
	w.walk(im.root.node, nil)
	for _, doc := range slices.Sorted(maps.Keys(w.external)) {
		n := w.external[doc]
		im.say(model.SeverityWarning, n.first, "%d references lead to another document (%s); they are not followed", n.count, quote(doc))
	}
}

// unknown warns of fields that nothing reads: a misspelt "security" must not go
// unnoticed.
func (im *importer) unknown(l loc, owner, known string) {
	fields := strings.Fields(known)
	for _, f := range l.fields() {
		if im.full {
			return
		}
		if !strings.HasPrefix(f.name(), "x-") && !slices.Contains(fields, f.name()) {
			im.warnOnce(f, "%s has a field %s, which means nothing there", owner, quote(f.name()))
		}
	}
}

// walker visits every value of a document once, for extensions and references
// that stand where nothing reads them.
type walker struct {
	*importer
	seen     map[*node]bool
	external map[string]*note // by document
}

// trail is a pointer in the making: most values have nothing to report.
type trail struct {
	up    *trail
	key   string
	index int // in a sequence, where key is ""
}

func (t *trail) pointer() string {
	var parts []string
	for ; t != nil; t = t.up {
		if t.key == "" {
			parts = append(parts, "/"+strconv.Itoa(t.index))
			continue
		}
		parts = append(parts, "/"+escape(t.key))
	}
	slices.Reverse(parts)
	return strings.Join(parts, "")
}

func (w *walker) walk(n *node, t *trail) {
	if n.kind != mapping && n.kind != sequence || w.seen[n] {
		return
	}
	w.seen[n] = true
	for i, c := range n.items {
		w.walk(c, &trail{up: t, index: i})
	}
	for _, e := range n.entries {
		key := e.key.value
		here := &trail{up: t, key: key}
		switch {
		case strings.HasPrefix(key, aws) && !w.handled[e.val]:
			w.extension(loc{node: e.val, key: e.key, at: here.pointer()})
		case key == "$ref" && e.val.kind == scalar && !strings.HasPrefix(e.val.value, "#"):
			w.reference(loc{node: e.val, key: e.key, at: here.pointer()})
		}
		if key == "example" || key == "examples" || strings.HasPrefix(key, "x-") && key != anyMethod {
			continue
		}
		w.walk(e.val, here)
	}
}

func (w *walker) reference(at loc) {
	doc, _, _ := strings.Cut(at.text(), "#")
	if w.told[at.at] {
		return
	}
	n := w.external[doc]
	if n == nil {
		n = &note{first: at}
		w.external[doc] = n
	}
	n.count++
}

func (w *walker) extension(at loc) {
	switch strings.TrimPrefix(at.name(), aws) {
	case "any-method", "integration", "auth", "authtype", "authorizer", "request-validator",
		"request-validators", "binary-media-types", "api-key-source", "documentation", "importexport-version",
		"minimum-compression-size", "gateway-responses", "cors":
		if !at.is(null) {
			w.say(model.SeverityWarning, at, "%s is not read here", at.name())
		}
	case "tag-value":
		w.tally(model.SeverityInfo, at, "tags (%d) are not kept in the definition")
	case "integrations": // read where they are referenced
	default:
		if !at.is(null) {
			w.unserved(at, quote(at.name())+" is not known here, and may say who can call")
		}
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
