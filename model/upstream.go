package model

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Upstream is the target of an HTTP_PROXY integration, split so that a gateway
// can build a request target by appending bytes.
type Upstream struct {
	Scheme  string // http or https
	Host    string // as in the Host header; a port only if the URI had one
	Address string // host:port to dial
	Path    []UpstreamPart
	Query   string // of the URI, without "?"; the client's is appended
	// QueryParts are the URI's query where it has variables; nil: Query is all of it. The
	// variables are Parameters.
	QueryParts []UpstreamPart
	Insecure   bool   // do not verify the certificate
	Method     string // "" when the client's verb is used
}

// UpstreamPart is a literal piece of the upstream path, the value of one of the
// method's path variables, or that of a request parameter.
type UpstreamPart struct {
	Literal   string
	Variable  string
	Parameter string // integration.request.path.Parameter, whose value is from elsewhere
}

// PlainParameters says that the integration's request parameters, if any, only put
// the method's path variables into the path of its URI.
func (g *Integration) PlainParameters() bool {
	if g.QueryVariables() {
		return false
	}
	for to, from := range g.RequestParameters {
		if !strings.HasPrefix(to, "integration.request.path.") || !strings.HasPrefix(from, "method.request.path.") {
			return false
		}
	}
	return true
}

// QueryVariables says that the query of the integration's URI has variables, apart from a
// stage's.
func (g *Integration) QueryVariables() bool {
	_, query, _ := strings.Cut(stageVariable.ReplaceAllLiteralString(g.URI, ""), "?")
	return strings.Contains(query, "{")
}

var stageVariable = regexp.MustCompile(`\$\{stageVariables\.([a-zA-Z0-9_]{1,64})\}`)

// UsesVariables reports that the integration's URI, its credentials or the name of its
// link have stage variables.
func (g *Integration) UsesVariables() bool {
	return stageVariable.MatchString(g.URI) || stageVariable.MatchString(g.Credentials) || stageVariable.MatchString(g.ConnectionID)
}

// OnStage is the integration with a stage's variables put into its URI, its credentials
// and the name of its link; false: one of them is not set.
func (g *Integration) OnStage(vars map[string]string) (*Integration, bool) {
	set := true
	out := *g
	value := func(ref string) string {
		v := vars[stageVariable.FindStringSubmatch(ref)[1]]
		set = set && v != ""
		return v
	}
	out.URI, out.Credentials = stageVariable.ReplaceAllStringFunc(g.URI, value), stageVariable.ReplaceAllStringFunc(g.Credentials, value)
	out.ConnectionID = stageVariable.ReplaceAllStringFunc(g.ConnectionID, value)
	return &out, set
}

// OnTrial is the integration with something in place of stage variables that could be
// a host, a port, a path or a name in an ARN.
func (g *Integration) OnTrial() *Integration {
	out := *g
	out.URI = stageVariable.ReplaceAllLiteralString(g.URI, "1")
	out.Credentials = stageVariable.ReplaceAllLiteralString(g.Credentials, "123456789012")
	return &out
}

// CheckUpstream says whether ParseUpstream can read the integration once a stage's
// variables are in it.
func CheckUpstream(g *Integration, path string) error {
	parse := func(g *Integration) error {
		_, err := ParseUpstream(g, path)
		if g.Type == IntegrationHTTP {
			_, err = ParseEndpoint(g)
		}
		return err
	}
	if !g.UsesVariables() {
		return parse(g)
	}
	trial := g.OnTrial()
	if err := parse(trial); err != nil {
		return Errorf(KindOf(err), "%s", strings.ReplaceAll(MessageOf(err), strconv.Quote(trial.URI), strconv.Quote(g.URI)))
	}
	return nil
}

// ParseUpstream reads an HTTP_PROXY integration on the resource at path.
// "{name}" in the URI stands for integration.request.path.name, which a request
// parameter must map. What else parameters map is no part of the target.
func ParseUpstream(g *Integration, path string) (*Upstream, error) {
	if strings.Contains(g.URI, "${") {
		return nil, Errorf(Invalid, "integration uri %q uses ${…} for something else than stage variables, which is not served yet", g.URI)
	}
	segs, err := Segments(path)
	if err != nil {
		return nil, err
	}
	has := map[string]bool{}
	for _, s := range segs {
		if s.Variable {
			has[s.Name()] = true
		}
	}
	vars := map[string]UpstreamPart{}
	for _, k := range sortedNames(g.RequestParameters) {
		name, ok := strings.CutPrefix(k, "integration.request.path.")
		if !ok {
			continue
		}
		from, ok := strings.CutPrefix(g.RequestParameters[k], "method.request.path.")
		if ok && !has[from] {
			return nil, Errorf(Invalid, "request parameter %s reads path variable %q, which %s does not have", k, from, path)
		}
		if ok {
			vars[name] = UpstreamPart{Variable: from}
		} else {
			vars[name] = UpstreamPart{Parameter: name}
		}
	}
	return parseTarget(g, func(name string) (UpstreamPart, error) {
		if from, ok := vars[name]; ok {
			return from, nil
		}
		return UpstreamPart{}, Errorf(Invalid, "integration uri %q uses {%s}, but no request parameter maps integration.request.path.%s", g.URI, name, name)
	})
}

// ParseEndpoint reads the target of an HTTP integration, where variables of the URI get
// their values from the mapping: the parts' are named as in the URI.
func ParseEndpoint(g *Integration) (*Upstream, error) {
	if strings.Contains(g.URI, "${") {
		return nil, Errorf(Invalid, "integration uri %q uses ${…} for something else than stage variables, which is not served yet", g.URI)
	}
	return parseTarget(g, func(name string) (UpstreamPart, error) { return UpstreamPart{Variable: name}, nil })
}

// parseTarget splits the URI of an integration; variable says what each of its
// variables stands for.
func parseTarget(g *Integration, variable func(name string) (UpstreamPart, error)) (*Upstream, error) {
	scheme, rest, ok := strings.Cut(g.URI, "://")
	scheme = strings.ToLower(scheme)
	if !ok || (scheme != "http" && scheme != "https") {
		return nil, Errorf(Invalid, "integration uri %q is not an http or https URL", g.URI)
	}
	rest, _, _ = strings.Cut(rest, "#")
	i := strings.IndexAny(rest, "/?")
	if i < 0 {
		i = len(rest)
	}
	host, tail := rest[:i], rest[i:]
	// url.Parse knows the grammar of an authority; the path is ours, for its braces.
	u, err := url.Parse(scheme + "://" + host)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.ContainsAny(host, "{}") {
		return nil, Errorf(Invalid, "integration uri %q has no usable host", g.URI)
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[scheme]
	}
	h := u.Hostname()
	addr := h + ":" + port
	if strings.Contains(h, ":") {
		addr = "[" + h + "]:" + port
	}
	up := &Upstream{Scheme: scheme, Host: u.Host, Address: addr, Insecure: g.InsecureSkipVerify}
	p, q, _ := strings.Cut(tail, "?")
	if up.Query = q; strings.Contains(q, "{") {
		up.Query = ""
		if up.QueryParts, err = splitVariables(g.URI, q, func(name string) (UpstreamPart, error) {
			_, err := variable(name)
			return UpstreamPart{Parameter: name}, err
		}); err != nil {
			return nil, err
		}
	}
	if p == "" {
		p = "/"
	}
	if up.Path, err = splitVariables(g.URI, p, variable); err != nil {
		return nil, err
	}
	for _, part := range up.Path {
		for i := 0; i < len(part.Literal); i++ {
			if b := part.Literal[i]; b <= ' ' || b == 0x7f {
				return nil, Errorf(Invalid, "integration uri %q has a space or control character in its path", g.URI)
			}
		}
	}
	for i := 0; i < len(q); i++ {
		if b := q[i]; b <= ' ' || b == 0x7f {
			return nil, Errorf(Invalid, "integration uri %q has a space or control character in its query", g.URI)
		}
	}
	if g.HTTPMethod != "" && g.HTTPMethod != "ANY" {
		up.Method = strings.ToUpper(g.HTTPMethod)
		for i := 0; i < len(up.Method); i++ {
			if b := up.Method[i]; b < 'A' || b > 'Z' {
				return nil, Errorf(Invalid, "integration httpMethod %q is not a verb", g.HTTPMethod)
			}
		}
	}
	return up, nil
}

// splitVariables splits a part of a URI at its {variables}.
func splitVariables(uri, s string, variable func(name string) (UpstreamPart, error)) ([]UpstreamPart, error) {
	var out []UpstreamPart
	for s != "" {
		o := strings.IndexByte(s, '{')
		if o < 0 {
			return append(out, UpstreamPart{Literal: s}), nil
		}
		c := strings.IndexByte(s[o:], '}')
		if c < 0 {
			return nil, Errorf(Invalid, "integration uri %q has an open brace", uri)
		}
		if o > 0 {
			out = append(out, UpstreamPart{Literal: s[:o]})
		}
		part, err := variable(strings.TrimSuffix(s[o+1:o+c], "+"))
		if err != nil {
			return nil, err
		}
		out = append(out, part)
		s = s[o+c+1:]
	}
	return out, nil
}
