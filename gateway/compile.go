package gateway

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"
	"unique"

	"tollgate/gateway/aws"
	"tollgate/gateway/http1"
	"tollgate/gateway/mapping"
	"tollgate/gateway/policy"
	"tollgate/gateway/route"
	"tollgate/gateway/schema"
	"tollgate/model"
)

// program is a deployment, compiled: immutable, shared by the stages that point
// at it.
type program struct {
	tree    *route.Tree
	methods []method
	// resources by index of their routes
	resources []resource
	responses *[kinds]*mapping.GatewayResponse // nil: the gateway's own
	secrets   map[string]bool                  // see secretsOf
	id, api   string
	arn       string         // of the API, where calls are what is allowed
	policy    *policy.Policy // of the API; nil: none
	tenant    uint32
	// noDefault: it is reached by custom domains only.
	noDefault bool
	tls       *model.TLSPolicy // of the default endpoint; nil: any connection will do
	strict    bool             // the default endpoint's connections must be made for the name that is called
	private   bool             // it is called from the operator's networks only
	compress  int              // answers of that many bytes and more; never
	shown     string           // the name of the identity
	shows     bool             // an upstream is asked over TLS, so that an identity is shown
	// authorizerKeys: API keys are what authorizers say.
	authorizerKeys bool
	key            string                // among the node's programs: see programKey
	tokens         map[string]*tokenAuth // authorizers of tokens that methods have, by id
}

// resource is what mappings know of a route.
type resource struct{ id, path string }

// method is one compiled method, what a call reads first.
type method struct {
	num         uint32 // in journals
	keyed       bool   // an API key is required
	streams     bool   // answers stream, whatever else the API asks for
	traced      bool   // the caller is told the call's X-Amzn-Trace-Id
	greedy      bool   // the path ends in {name+}
	timeout     time.Duration
	out         upstream
	special     *special                              // how out is asked; nil: as it is
	over        *mapping.Over                         // what goes over what the client sent to out; nil: nothing does
	mock        *mock                                 // answers instead of out
	whole       whole                                 // answers instead of sending the call on; nil: out does, or mock
	mapped      *mapped                               // how the integration's request and answer are made; nil: neither is
	service     *service                              // that the integration asks; nil: none of AWS
	proxy       *proxy                                // the function that whole or stream calls; nil: none
	stream      func(c *call, x *http1.Exchange) kind // answers while the answer comes; nil: see whole
	auth        authorize                             // nil: everybody may call it
	authorizer  *lambdaAuth                           // whose auth it is; nil: none
	operation   string                                // operationName
	signed      bool                                  // auth is AWS_IAM's
	judges      bool                                  // auth decides by a policy of its own, with permits
	validator   *validator
	throttleKey string
	cacheKey    cacheKey
}

// mock is an answer that is always the same.
type mock struct {
	status int    // 0: there is no answer
	why    string // there is none
	head   []byte // lines with CRLF
	body   []byte
}

// upstream is an HTTP_PROXY integration ready for its bytes to be appended.
type upstream struct {
	pool   *http1.Pool
	isSame bool   // the path is same and then the call's own
	same   string //
	host   string
	verb   string // "": the client's
	query  string
	asked  []model.UpstreamPart // the query where it has variables; nil: query is all of it
	parts  []part
	key    http1.PoolKey
}

// part is a literal piece of the upstream path, the value of the path variable with
// that index, or that of a request parameter.
type part struct {
	literal   string
	variable  int // -1: none
	greedy    bool
	parameter string // "": none
}

// programKey names a deployment's program on stages with these variables. One that
// uses no variables is named by the deployment alone, and shared by all its stages.
func programKey(id string, vars map[string]string) string {
	b := append([]byte(id), 0) // apart from the deployment's own name, even without any
	for _, k := range slices.Sorted(maps.Keys(vars)) {
		b = append(append(append(append(b, 0), k...), 0), vars[k]...)
	}
	return string(b)
}

// outward is what programs reach their upstreams by.
type outward struct {
	pools    *http1.Upstreams
	link     func(id string) *linkRef // nil: there are no links here
	identity *identity                // nil: none is shown
	arn      string                   // the API's
	at       aws.Endpoints            // where AWS services are
}

// compile turns a deployment into a program, on stages with these variables. It
// refuses whatever it does not act on: nothing is served without a step its author
// asked for.
func compile(d *model.DeploymentContent, vars map[string]string, o outward) (*program, error) {
	if un := d.Definition.Undeployable(); len(un) > 0 {
		return nil, fmt.Errorf("%s: %s", un[0].Pointer, un[0].Message)
	}
	nums := make(map[[2]string]uint32, len(d.Methods))
	for _, m := range d.Methods {
		nums[[2]string{m.Path, m.Verb}] = m.Num
	}
	p := &program{id: d.ID, api: d.APIID, arn: o.arn, tenant: d.Tenant, key: d.ID, noDefault: d.Definition.DisableDefaultEndpoint, private: d.Definition.Private(), strict: d.Definition.EndpointAccessMode == model.AccessStrict,
		authorizerKeys: d.Definition.APIKeySource == model.KeySourceAuthorizer, secrets: secretsOf(&d.Definition), tokens: map[string]*tokenAuth{}}
	if p.compress = never; d.Definition.MinimumCompressionSize != nil {
		p.compress = *d.Definition.MinimumCompressionSize
	}
	models := map[string]*schema.Schema{}
	routes := make([]route.Route, 0, len(d.Definition.Resources))
	for i := range d.Definition.Resources {
		r := &d.Definition.Resources[i]
		verbs := make([]string, 0, len(r.Methods))
		for v := range r.Methods {
			verbs = append(verbs, v)
		}
		sort.Strings(verbs)
		rt := route.Route{Path: r.Path, Methods: make(map[string]int32, len(verbs))}
		for _, v := range verbs {
			num := nums[[2]string{r.Path, v}]
			if num == 0 {
				return nil, fmt.Errorf("%s %s has no number to be metered under", v, r.Path)
			}
			def := r.Methods[v]
			if g := def.Integration; g.Type != model.IntegrationMock && g.UsesVariables() {
				p.key = programKey(d.ID, vars)
				def.Integration = onStage(g, r.Path, vars)
			}
			m, err := compileMethod(r.Path, v, num, &def, d.Definition.BinaryMediaTypes, o)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", v, r.Path, err)
			}
			if m.validator, err = compileValidator(&d.Definition, &def, models); err != nil {
				return nil, fmt.Errorf("%s %s: %w", v, r.Path, err)
			}
			if def.AuthorizationType == model.AuthCustom {
				var variables bool
				m.authorizer, variables, err = compileLambdaAuth(&d.Definition, &def, vars, o.at, o.pools)
				if variables {
					p.key = programKey(d.ID, vars)
				}
				if m.authorizer != nil {
					m.auth, m.judges = m.authorizer.authorize, true
				}
			} else {
				m.auth, err = compileAuth(&d.Definition, &def, p.tokens)
			}
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", v, r.Path, err)
			}
			if m.cacheKey, err = compileCacheKey(def.Integration, r.ID); err != nil {
				return nil, fmt.Errorf("%s %s: %w", v, r.Path, err)
			}
			m.judges = m.judges || m.signed
			if m.mapped != nil {
				m.mapped.api = d.APIID
			}
			p.shows = p.shows || m.out.key.TLS
			rt.Methods[v] = int32(len(p.methods))
			p.methods = append(p.methods, m)
		}
		routes = append(routes, rt)
		p.resources = append(p.resources, resource{r.ID, r.Path})
	}
	var err error
	if s, ok := model.SecurityPolicies[d.Definition.SecurityPolicy]; ok && s.Mode {
		p.tls = &s
	}
	if p.policy, err = compilePolicy(&d.Definition, o.arn); err != nil {
		return nil, err
	}
	if p.responses, err = compileResponses(&d.Definition); err != nil {
		return nil, err
	}
	if p.tree, err = route.New(routes); err != nil {
		return nil, err
	}
	if p.shows && o.identity != nil {
		p.key, p.shown = withIdentity(p.key, o.identity), o.identity.name
	}
	return p, nil
}

// withIdentity names a program whose upstreams are shown an identity.
func withIdentity(key string, i *identity) string { return key + "\x00identity\x00" + i.name }

// identity is a client certificate with a name that is no other's.
type identity struct {
	tls.Certificate
	name string
}

// newIdentity reads what a stage shows to its upstreams; nil: nothing.
func newIdentity(m *model.Identity) (*identity, error) {
	if m == nil {
		return nil, nil
	}
	pair, err := tls.X509KeyPair([]byte(m.Certificate), []byte(m.PrivateKey))
	if err != nil {
		return nil, fmt.Errorf("its client certificate: %w", err)
	}
	sum := sha256.Sum256([]byte(m.Certificate + "\x00" + m.PrivateKey))
	return &identity{pair, hex.EncodeToString(sum[:])}, nil
}

// compileSpecial is how an integration's upstream is asked; nil: as it is.
func compileSpecial(g *model.Integration, key http1.PoolKey, client *tls.Certificate, o outward) *special {
	s := &special{key: key, client: client, pools: o.pools}
	s.budget.left.Store(budgetStart * budgetPrice)
	if g.ConnectionType == model.ConnectionVPCLink {
		s.link = &linkRef{}
		if o.link != nil {
			s.link = o.link(g.ConnectionID)
		}
		s.balancer = g.IntegrationTarget
	}
	if u := g.Upstream; u != nil {
		s.retries = u.Retries
		if u.Breaker != nil {
			s.breaker = newBreaker(u.Breaker)
		}
	}
	if s.link == nil && s.retries == nil && s.breaker == nil {
		return nil
	}
	return s
}

// onStage is an integration with a stage's variables. Where one is missing, or they
// make no address, the method is closed: what else the stage serves goes on.
func onStage(g *model.Integration, path string, vars map[string]string) *model.Integration {
	out, ok := g.OnStage(vars)
	switch {
	case !ok:
	case g.Type == model.IntegrationAWSProxy:
		ok = checkProxy(out) == nil
	case g.Type == model.IntegrationAWS:
		_, err := parseService(out)
		ok = err == nil
	default:
		ok = model.CheckUpstream(out, path) == nil
	}
	if !ok {
		return noEndpoint
	}
	return out
}

// noEndpoint is a mock without an answer.
var noEndpoint = &model.Integration{Type: model.IntegrationMock}

func compileMethod(path, verb string, num uint32, def *model.Method, binary []string, o outward) (method, error) {
	m := method{num: num, keyed: def.APIKeyRequired, operation: def.OperationName, streams: def.Integration.ResponseTransferMode == "STREAM",
		traced: def.Integration.Type != model.IntegrationHTTPProxy && def.Integration.Type != model.IntegrationMock, throttleKey: model.MethodKey(path, verb),
		signed: def.AuthorizationType == model.AuthIAM, timeout: time.Duration(def.Integration.Timeout()) * time.Millisecond}
	if def.Integration.Type == model.IntegrationMock {
		a, err := model.ParseMock(def.Integration)
		if errors.Is(err, model.ErrUnanswered) {
			m.mock = &mock{why: err.Error()}
			if def.Integration == noEndpoint {
				m.mock.why = invalidEndpoint
			}
			return m, nil
		}
		if err != nil { // not always the same
			m.mapped, m.whole = &mapped{}, (*call).mockAnswer
			m.mapped.Mapping, err = mapping.Compile(def.Integration, binary)
			return m, err
		}
		if a.Status < minStatus {
			m.mock = &mock{why: whyInterim}
			return m, nil
		}
		m.mock = &mock{status: a.Status, body: []byte(a.Body)}
		for _, h := range a.Headers {
			m.mock.head = append(m.mock.head, h[0]+": "+h[1]+"\r\n"...)
		}
		return m, nil
	}
	if mapping.Framed(def.Integration) {
		m.mock = &mock{} // has no answer
		return m, nil
	}
	if def.Integration.Type == model.IntegrationAWSProxy {
		return m, compileProxy(&m, def.Integration, binary, o.at, o.pools)
	}
	if def.Integration.Type == model.IntegrationAWS {
		m.mapped, m.whole = &mapped{}, (*call).serviceAnswer
		var err error
		if m.mapped.Mapping, err = mapping.Compile(def.Integration, binary); err != nil {
			return m, err
		}
		return m, m.compileService(def.Integration, o.pools, o.at)
	}
	parse := func() (*model.Upstream, error) { return model.ParseUpstream(def.Integration, path) }
	if def.Integration.Type == model.IntegrationHTTP {
		m.mapped, m.whole = &mapped{}, (*call).httpAnswer
		var err error
		if m.mapped.Mapping, err = mapping.Compile(def.Integration, binary); err != nil {
			return m, err
		}
		parse = func() (*model.Upstream, error) { return model.ParseEndpoint(def.Integration) }
	}
	up, err := parse()
	if err != nil {
		return m, err
	}
	segs, err := model.Segments(path)
	if err != nil {
		return m, err
	}
	index := map[string]int{}
	greedy := -1
	for _, s := range segs {
		if s.Variable {
			if s.Greedy {
				greedy = len(index)
			}
			index[s.Name()] = len(index)
		}
	}
	m.out = upstream{host: unique.Make(up.Host).Value(), verb: unique.Make(up.Method).Value(), query: up.Query, asked: up.QueryParts,
		key: http1.PoolKey{Address: up.Address, TLS: up.Scheme == "https", Insecure: up.Insecure}}
	if m.out.key.TLS {
		m.out.key.ServerName = serverName(up.Address)
	}
	var client *tls.Certificate
	if o.identity != nil && m.out.key.TLS {
		m.out.key.Client, client = o.identity.name, &o.identity.Certificate
	}
	m.out.key.HTTP2 = def.Integration.Upstream != nil && def.Integration.Upstream.HTTP2
	m.special = compileSpecial(def.Integration, m.out.key, client, o)
	if m.special == nil || m.special.link == nil {
		m.out.pool = o.pools.Pool(m.out.key, client)
	}
	if m.mapped != nil {
		m.mapped.target = up.Path
		return m, nil
	}
	if m.over, err = mapping.CompileOver(def.Integration); err != nil {
		return m, err
	}
	for _, p := range up.Path {
		if p.Variable == "" {
			m.out.parts = append(m.out.parts, part{literal: p.Literal, variable: -1, parameter: p.Parameter})
			continue
		}
		i, ok := index[p.Variable]
		if !ok {
			return m, fmt.Errorf("path variable %q is not in the path", p.Variable)
		}
		m.out.parts = append(m.out.parts, part{variable: i, greedy: i == greedy})
	}
	m.greedy = greedy >= 0
	m.out.sameAs(segs)
	return m, nil
}

// sameAs finds out whether the upstream path is the resource's own behind a
// prefix, as it is for most imported documents: then one copy builds it, unless
// the client spelled something with escapes, which would go on.
func (u *upstream) sameAs(segs []model.Segment) {
	var own, up strings.Builder
	n := 0
	for _, s := range segs {
		own.WriteByte('/')
		if !s.Variable {
			if strings.Contains(s.Text, "%") {
				return
			}
			own.WriteString(s.Text)
			continue
		}
		fmt.Fprintf(&own, "%s\x00%d\x00%s", s.Prefix, n, s.Suffix)
		n++
	}
	for _, p := range u.parts {
		if p.parameter != "" {
			return
		}
		if p.variable < 0 {
			up.WriteString(p.literal)
		} else {
			fmt.Fprintf(&up, "\x00%d\x00", p.variable)
		}
	}
	if own.Len() > 0 {
		u.same, u.isSame = strings.CutSuffix(up.String(), own.String())
		u.same = unique.Make(u.same).Value() // one copy for all methods
		u.isSame = u.isSame && !strings.Contains(u.same, "\x00")
	}
}

// serverName is the address's host without port and brackets.
func serverName(address string) string {
	i := len(address) - 1
	for address[i] != ':' {
		i--
	}
	h := address[:i]
	if len(h) > 1 && h[0] == '[' {
		h = h[1 : len(h)-1]
	}
	return h
}
