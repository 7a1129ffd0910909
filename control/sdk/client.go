package sdk

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"tollgate/model"
)

// client is what is written, before it is known in which language.
type client struct {
	title, version, about string
	slug                  string
	url                   string
	operations            []*operation
	types                 []*declared
	names                 taken // of types
	parameters            map[string]string
}

// operation is one method of an API.
type operation struct {
	name       []string
	verb, path string
	segments   []model.Segment
	summary    string
	about      string
	notes      []string // what a caller has to know about keys and authorization
	parameters []*parameter
	body       *body   // nil: it has none
	result     *schema // nil: nothing is said of the answer
	resultAs   string  // what the documentation says of it
}

// any says that the caller chooses the verb.
func (o *operation) any() bool { return o.verb == "ANY" }

// takesNothing says that there is nothing to pass but options.
func (o *operation) takesNothing() bool { return !o.any() && len(o.parameters) == 0 && o.body == nil }

// needs says that something must be passed.
func (o *operation) needs() bool {
	return o.any() || slices.ContainsFunc(o.parameters, func(p *parameter) bool { return p.required })
}

// parameter is one of the path, the query or a header.
type parameter struct {
	in       string // path, querystring or header
	wire     string
	name     []string
	about    string
	required bool
	greedy   bool
}

// body is what is sent.
type body struct {
	contentType string // empty: what the value asks for
	schema      *schema
	name        []string
	about       string
}

// reader makes a client of a definition.
type reader struct {
	*client
	d     *model.Definition
	words map[model.DocumentationLocation]map[string]any
	schemas
}

func read(d *model.Definition, o Options) (*client, error) {
	c := &client{title: cmp.Or(oneLine(d.Name, 200), "API"), version: oneLine(d.Version, 60), url: strings.TrimSuffix(o.BaseURL, "/"), names: taken{}, parameters: o.Parameters}
	c.slug = cmp.Or(strings.Trim(cutTo(strings.Join(words(d.Name), "-"), 60), "-"), "api")
	if c.slug[0] >= '0' && c.slug[0] <= '9' {
		c.slug = "api-" + c.slug
	}
	r := &reader{client: c, d: d, words: map[model.DocumentationLocation]map[string]any{}}
	parts := d.Documentation
	if o.Documentation != nil {
		parts = o.Documentation
	}
	for i := range parts {
		var text map[string]any
		if json.Unmarshal([]byte(parts[i].Properties), &text) == nil {
			r.words[parts[i].Location.Full()] = text
		}
	}
	summary, about := r.documented(model.DocumentationLocation{Type: "API"})
	c.about = cmp.Or(about, summary, d.Description)
	r.schemas.init(r)
	if err := r.readOperations(); err != nil {
		return nil, err
	}
	if r.budget < 0 {
		return nil, model.Errorf(model.Limit, "the API's models have more than %d properties in all, the most that a client may have", maxFields)
	}
	return c, nil
}

func cutTo(s string, n int) string { return s[:min(n, len(s))] }

// readOperations makes one of every method, those with a name of their own first:
// they have the first choice. A preflight answer that nobody named is for browsers.
func (r *reader) readOperations() error {
	type place struct {
		resource *model.Resource
		verb     string
	}
	var all []place
	for i := range r.d.Resources {
		res := &r.d.Resources[i]
		for _, verb := range sorted(res.Methods) {
			if verb == "OPTIONS" && res.Methods[verb].OperationName == "" {
				continue
			}
			all = append(all, place{res, verb})
		}
	}
	if len(all) > MaxOperations {
		return model.Errorf(model.Limit, "the API has %d methods; a client is made of at most %d", len(all), MaxOperations)
	}
	slices.SortFunc(all, func(a, b place) int {
		return cmp.Or(strings.Compare(a.resource.Path, b.resource.Path), strings.Compare(a.verb, b.verb))
	})
	names := taken{}
	for name := range reservedOperations {
		names[name] = true
	}
	chosen := make([][]string, len(all))
	for _, own := range []bool{true, false} {
		for i, p := range all {
			ws := words(p.resource.Methods[p.verb].OperationName)
			if own == (len(ws) > 0) {
				if !own {
					ws = append([]string{strings.ToLower(p.verb)}, pathWords(p.resource.Path)...)
				}
				chosen[i] = names.unused(ws, "call")
			}
		}
	}
	for i, p := range all {
		m := p.resource.Methods[p.verb]
		op := &operation{name: chosen[i], verb: p.verb, path: p.resource.Path}
		if err := r.operation(op, &m); err != nil {
			return err
		}
		r.operations = append(r.operations, op)
	}
	return nil
}

// reservedOperations would mean something else to a language or to a client.
var reservedOperations = set(`constructor then catch finally call send request close init new client api equals getclass hashcode notify notifyall
	tostring wait clone finalize baseurl apikey bearertoken header headers timeout httpclient`)

// pathWords are a path as words: /pets/{petId} is pets by pet id.
func pathWords(path string) []string {
	segments, _ := model.Segments(path)
	var out []string
	for _, s := range segments {
		if s.Variable {
			out = append(out, words(s.Prefix)...)
			out = append(append(out, "by"), words(s.Name())...)
			out = append(out, words(s.Suffix)...)
			continue
		}
		out = append(out, words(s.Text)...)
	}
	if len(out) == 0 {
		return []string{"root"}
	}
	return out
}

func (r *reader) operation(op *operation, m *model.Method) error {
	var err error
	if op.segments, err = model.Segments(op.path); err != nil {
		return err
	}
	at := func(kind, name string) model.DocumentationLocation {
		return model.DocumentationLocation{Type: kind, Path: op.path, Method: op.verb, Name: name}
	}
	op.summary, op.about = r.documented(at("METHOD", ""))
	if op.summary = strings.TrimSpace(op.summary); op.summary != "" && !strings.HasSuffix(op.summary, ".") {
		op.summary += "." // a sentence: some languages take a line without an end for a heading
	}
	if strings.TrimSuffix(op.summary, ".") == strings.TrimSuffix(strings.TrimSpace(op.about), ".") {
		op.about = ""
	}
	op.notes = r.notes(m)
	names := taken{}
	for name := range reservedParameters {
		names[name] = true
	}
	for _, s := range op.segments {
		if s.Variable {
			p := &parameter{in: "path", wire: s.Name(), required: true, greedy: s.Greedy}
			p.name = names.unused(words(p.wire), "value")
			op.parameters = append(op.parameters, p)
		}
	}
	var optional []*parameter
	for _, source := range sorted(m.RequestParameters) {
		in, wire, _ := strings.Cut(strings.TrimPrefix(source, "method.request."), ".")
		in = strings.TrimPrefix(in, "multivalue")
		if wire == "" || in != "querystring" && in != "header" || in == "header" && ownHeaders[strings.ToLower(wire)] {
			continue
		}
		p := &parameter{in: in, wire: wire, required: m.RequestParameters[source]}
		// The client may send these by itself.
		if in == "header" && (strings.EqualFold(wire, "x-api-key") || strings.EqualFold(wire, "authorization")) {
			p.required = false
		}
		ws := words(wire)
		if names[key(ws)] {
			ws = append(ws, map[string]string{"querystring": "query", "header": "header"}[in])
		}
		p.name = names.unused(ws, "value")
		if p.required {
			op.parameters = append(op.parameters, p)
		} else {
			optional = append(optional, p)
		}
	}
	op.parameters = append(op.parameters, optional...)
	kinds := map[string]string{"path": "PATH_PARAMETER", "querystring": "QUERY_PARAMETER", "header": "REQUEST_HEADER"}
	for _, p := range op.parameters {
		summary, about := r.documented(at(kinds[p.in], p.wire))
		p.about = cmp.Or(about, summary)
	}
	name := pascal(op.name)
	if contentType, uses := preferred(m.RequestModels); uses != "" {
		op.body = &body{contentType: contentType, schema: &schema{kind: anyKind}}
		if isJSON(contentType) {
			op.body.schema = r.model(uses)
		} else {
			op.body.schema.kind = rawKind
		}
	} else if op.verb == "POST" || op.verb == "PUT" || op.verb == "PATCH" || op.any() {
		op.body = &body{schema: &schema{kind: anyKind}}
	}
	if op.body != nil {
		op.body.name = names.unused([]string{"body"}, "body")
		summary, about := r.documented(at("REQUEST_BODY", ""))
		op.body.about = cmp.Or(about, summary)
	}
	r.result(op, m, name)
	return nil
}

// reservedParameters are what a client passes beside an operation's own.
var reservedParameters = set("self options method ctx edit timeout class")

// ownHeaders are made by the client's HTTP library, or from what is passed.
var ownHeaders = set("host content-length connection transfer-encoding content-type accept-encoding upgrade te trailer expect keep-alive")

// notes tell what a caller needs.
func (r *reader) notes(m *model.Method) []string {
	var out []string
	if m.APIKeyRequired {
		out = append(out, "Needs an API key.")
	}
	switch m.AuthorizationType {
	case "", model.AuthNone:
	case model.AuthIAM:
		out = append(out, "Needs a call signed with AWS Signature Version 4, which this client does not make: add the signature's headers yourself.")
	default:
		header := "Authorization"
		if a := r.d.Authorizer(m.AuthorizerID); a != nil {
			source, _, _ := strings.Cut(a.IdentitySource, ",")
			if h, ok := strings.CutPrefix(source, "method.request.header."); ok && h != "" {
				header = oneLine(h, 100)
			}
		}
		note := "Needs authorization in the header " + header + "."
		if strings.EqualFold(header, "authorization") {
			note = "Needs authorization: pass a bearer token, or the header Authorization."
		}
		out = append(out, note)
	}
	return out
}

// preferred is the content type that is sent or read, with its model: JSON before
// others.
func preferred(models map[string]string) (contentType, name string) {
	for _, json := range []bool{true, false} {
		for _, t := range sorted(models) {
			if isJSON(t) == json && headerSafe(t) {
				return t, models[t]
			}
		}
	}
	return "", ""
}

func isJSON(contentType string) bool {
	t, _, _ := strings.Cut(contentType, ";")
	t = strings.ToLower(strings.TrimSpace(t))
	return t == "application/json" || t == "text/json" || strings.HasSuffix(t, "+json")
}

// headerSafe says that a text can be a content type that is sent.
func headerSafe(t string) bool {
	return len(t) < 200 && strings.Contains(t, "/") && !strings.Contains(t, "*") && strings.IndexFunc(t, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}

// result is the model of the success answers, if they have one in common.
func (r *reader) result(op *operation, m *model.Method, _ string) {
	uses := ""
	for _, status := range sorted(m.Responses) {
		if status == "" || status[0] != '2' {
			continue
		}
		t, name := preferred(m.Responses[status].Models)
		if name == "" || !isJSON(t) {
			continue
		}
		if uses != "" && uses != name {
			return
		}
		uses = name
		l := model.DocumentationLocation{Type: "RESPONSE", Path: op.path, Method: op.verb, StatusCode: status}
		summary, about := r.documented(l)
		if op.resultAs == "" {
			op.resultAs = cmp.Or(about, summary)
		}
	}
	if uses != "" {
		if s := r.model(uses); s.kind != anyKind {
			op.result = s
		}
	}
}

// documented are the words about a place: its own, or those it inherits from any
// method and any status, and from the paths above.
func (r *reader) documented(l model.DocumentationLocation) (summary, about string) {
	l = l.Full()
	paths, verbs, statuses := []string{l.Path}, []string{l.Method}, []string{l.StatusCode}
	if l.Method != "" {
		verbs = append(verbs, "*")
		// What is said of a method says nothing of those below it.
		for p := l.Path; p != "/" && l.Type != "METHOD"; {
			p = model.Parent(p)
			paths = append(paths, p)
		}
	}
	if l.StatusCode != "" {
		statuses = append(statuses, "*")
	}
	for _, path := range paths {
		for _, verb := range verbs {
			for _, status := range statuses {
				if w := r.words[model.DocumentationLocation{Type: l.Type, Path: path, Method: verb, StatusCode: status, Name: l.Name}]; w != nil {
					summary, _ = w["summary"].(string)
					about, _ = w["description"].(string)
					if about == "" {
						about, _ = w["info"].(string)
					}
					return summary, about
				}
			}
		}
	}
	return "", ""
}

// paragraphs are an operation's documentation.
func (o *operation) paragraphs() []string {
	verb := o.verb
	if o.any() {
		verb = "Any verb on"
	}
	return []string{o.summary, o.about, strings.Join(append([]string{fmt.Sprintf("%s %s", verb, oneLine(o.path, 500))}, o.notes...), "\n")}
}

// literal is a part of a path as it is sent.
func literal(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~!$&'()*+,;=:@", c) >= 0:
			b.WriteByte(c)
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// piece is a part of a path: text, or the value of a parameter.
type piece struct {
	text string
	of   *parameter
}

// pieces are the path as it is put together.
func (o *operation) pieces() []piece {
	if len(o.segments) == 0 {
		return []piece{{text: "/"}}
	}
	var out []piece
	text, n := "", 0
	for _, s := range o.segments {
		text += "/"
		if !s.Variable {
			text += literal(s.Text)
			continue
		}
		out = append(out, piece{text: text + literal(s.Prefix)}, piece{of: o.parameters[n]})
		text = literal(s.Suffix)
		n++
	}
	if text != "" {
		out = append(out, piece{text: text})
	}
	return out
}
