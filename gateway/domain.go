package gateway

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"strings"

	"tollgate/gateway/http1"
	"tollgate/model"
)

// domain is a custom domain name: how connections for it are secured, and what
// answers on it.
type domain struct {
	name     string
	num      uint32
	tenant   uint32
	tls      *tls.Config
	strict   bool
	mutual   bool              // only clients with a certificate that leads to one of roots
	roots    map[[32]byte]bool // by SHA-256
	rules    []rule            // by priority; nil: none, or not asked
	mappings []baseMapping     // longest base path first; nil: none, or not asked
	answers  map[string]string // to a certificate authority's questions
}

// baseMapping sends what is below a base path to a stage.
type baseMapping struct {
	base  string // "" or "/a/b"
	api   []byte
	stage []byte // empty: the next segment
}

// rule sends what fits to a stage.
type rule struct {
	headers [][]model.HeaderIs // names in lower case
	bases   []string           // "/a/b"; nil: any
	api     []byte
	stage   []byte
	strip   bool
}

// applyDomain puts a domain in place of what was there.
func (g *Gateway) applyDomain(cfg *model.DomainConfig) {
	if cfg.Deleted {
		return
	}
	d := &domain{name: cfg.Name, num: cfg.Num, tenant: cfg.Tenant, strict: cfg.Strict, answers: cfg.Challenges}
	if err := d.secure(cfg, g.own); err != nil {
		// Fail closed: connections for it would not be guarded as they should be.
		g.log.Error("a domain is not served", "domain", cfg.Name, "error", err)
		delete(g.reg.domains, cfg.Num)
		return
	}
	if cfg.RoutingMode != model.RouteByRule {
		for _, m := range cfg.Mappings {
			d.mappings = append(d.mappings, baseMapping{base: base(m.BasePath), api: []byte(m.APIID), stage: []byte(m.Stage)})
		}
		slices.SortStableFunc(d.mappings, func(a, b baseMapping) int { return len(b.base) - len(a.base) })
	}
	if cfg.RoutingMode == model.RouteByRule || cfg.RoutingMode == model.RouteByRuleThenMapping {
		rules := slices.Clone(cfg.Rules)
		slices.SortStableFunc(rules, func(a, b model.RoutingRule) int { return a.Priority - b.Priority })
		for _, r := range rules {
			out := rule{api: []byte(r.Invoke.APIID), stage: []byte(r.Invoke.Stage), strip: r.Invoke.StripBasePath}
			for _, any := range r.Headers {
				any = slices.Clone(any)
				for i := range any {
					any[i].Header = strings.ToLower(any[i].Header)
				}
				out.headers = append(out.headers, any)
			}
			for _, p := range r.BasePaths {
				out.bases = append(out.bases, base(p))
			}
			d.rules = append(d.rules, out)
		}
	}
	g.reg.domains[cfg.Num] = d
}

func base(path string) string {
	if path = strings.Trim(path, "/"); path == "" {
		return ""
	}
	return "/" + path
}

// secure makes the configuration of connections for the domain.
func (d *domain) secure(cfg *model.DomainConfig, own tls.Certificate) error {
	policy, ok := model.SecurityPolicies[cfg.SecurityPolicy]
	if !ok {
		policy = model.SecurityPolicies["TLS_1_2"]
	}
	d.tls = &tls.Config{MinVersion: policy.MinVersion, NextProtos: protocols, Certificates: []tls.Certificate{own}}
	if cfg.Certificate != "" {
		pair, err := tls.X509KeyPair([]byte(cfg.Certificate), []byte(cfg.PrivateKey))
		if err != nil {
			return err
		}
		d.tls.Certificates[0] = pair
	}
	if cfg.ClientCAs == "" {
		return nil
	}
	certs, err := model.ParseTruststore(cfg.ClientCAs)
	if err != nil {
		return err
	}
	d.mutual, d.roots = true, make(map[[32]byte]bool, len(certs))
	pool := x509.NewCertPool()
	for _, c := range certs {
		pool.AddCert(c)
		d.roots[sha256.Sum256(c.Raw)] = true
	}
	d.tls.ClientAuth, d.tls.ClientCAs = tls.RequireAndVerifyClientCert, pool
	d.tls.VerifyConnection = checkClient
	// A session of another domain must not stand for a certificate here.
	d.tls.SessionTicketsDisabled = true
	return nil
}

var protocols = []string{"h2", "http/1.1"}

// checkClient refuses chains that are too long or too weak, as on Amazon API Gateway.
func checkClient(s tls.ConnectionState) error {
	for _, chain := range s.VerifiedChains {
		ok := len(chain) <= model.MaxClientChain
		for _, c := range chain {
			ok = ok && model.WeakCertificate(c) == ""
		}
		if ok {
			return nil
		}
	}
	return errors.New("the client's certificate chain is too long or too weak")
}

// tlsFor is the configuration for a connection: that of the domain it asks for, or
// nil, the node's own.
func (g *Gateway) tlsFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if d := g.view.Load().domain([]byte(hello.ServerName)); d != nil {
		return d.tls, nil
	}
	return nil, nil
}

// domain finds a custom domain by a Host, without allocating: the name itself, else
// the wildcard that covers it.
func (v *view) domain(host []byte) *domain {
	var low [model.MaxDomainName]byte
	n, dot := 0, 0
	for _, b := range host {
		if b == ':' {
			break
		}
		if n == len(low) {
			return nil
		}
		if b >= 'A' && b <= 'Z' {
			b |= 0x20
		}
		if b == '.' && dot == 0 {
			dot = n
		}
		low[n] = b
		n++
	}
	if d := v.domains[string(low[:n])]; d != nil || dot == 0 {
		return d
	}
	low[dot-1] = '*'
	return v.domains[string(low[dot-1:n])]
}

const challengePath = "/.well-known/acme-challenge/"

// findByDomain resolves a call whose host is not one of the gateway's own.
func (c *call) findByDomain(x *http1.Exchange, path []byte) kind {
	host := x.Request.Host.Of(x.In)
	v := c.g.view.Load()
	d := v.domain(host)
	if d == nil {
		return forbidden
	}
	if len(d.answers) > 0 && len(path) > len(challengePath) && string(path[:len(challengePath)]) == challengePath {
		if a, ok := d.answers[string(path[len(challengePath):])]; ok {
			x.Rec = nil // no call of the tenant's
			c.head = c.appendID(append(c.head[:0], "Content-Type: application/octet-stream\r\n"...))
			_ = x.Reply(200, c.head, []byte(a))
			return answered
		}
	}
	if !d.lets(x.Peer, host) {
		return forbidden
	}
	if d.mutual {
		c.client = x.Peer.Client
	}
	for i := range d.rules {
		r := &d.rules[i]
		rest, ok := r.fits(x, path)
		if !ok {
			continue
		}
		return c.enterOf(x, v, d, r.api, r.stage, rest)
	}
	for i := range d.mappings {
		m := &d.mappings[i]
		if rest, ok := below(path, m.base); ok {
			return c.enterOf(x, v, d, m.api, m.stage, rest)
		}
	}
	return forbidden
}

// enterOf enters a stage of the domain's own tenant.
func (c *call) enterOf(x *http1.Exchange, v *view, d *domain, api, stage, path []byte) kind {
	if len(stage) == 0 {
		if len(path) < 2 {
			return forbidden
		}
		stage, path = segment(path)
	}
	st := v.stage(api, stage)
	if st == nil || st.tenant.num != d.tenant {
		return forbidden
	}
	return c.enter(x, st, path, false)
}

// lets says whether the connection is one the domain takes calls from: that it was
// made for another name, before the domain asked for certificates or by a
// truststore of the past does not count.
func (d *domain) lets(p *http1.Peer, host []byte) bool {
	if !d.mutual && !d.strict {
		return true
	}
	if p == nil {
		return false
	}
	if !strings.EqualFold(p.ServerName, hostName(host)) {
		return false
	}
	if !d.mutual {
		return true
	}
	for _, r := range p.Roots {
		if d.roots[r] {
			return true
		}
	}
	return false
}

// below is what follows a base path in a path.
func below(path []byte, base string) ([]byte, bool) {
	if len(path) < len(base) || string(path[:len(base)]) != base || len(path) > len(base) && path[len(base)] != '/' {
		return nil, false
	}
	return path[len(base):], true
}

// fits says whether a rule is for a call, and with which path it goes on.
func (r *rule) fits(x *http1.Exchange, path []byte) ([]byte, bool) {
	for _, any := range r.headers {
		if !hasOne(x, any) {
			return nil, false
		}
	}
	if r.bases == nil {
		return path, true
	}
	for _, b := range r.bases {
		if rest, ok := below(path, b); ok {
			if r.strip {
				return rest, true
			}
			return path, true
		}
	}
	return nil, false
}

func hasOne(x *http1.Exchange, any []model.HeaderIs) bool {
	r := &x.Request
	for i := range r.Fields[:r.N] {
		f := &r.Fields[i]
		for j := range any {
			if http1.EqualFold(f.Name.Of(x.In), any[j].Header) && glob(any[j].Glob, f.Value.Of(x.In)) {
				return true
			}
		}
	}
	return false
}

// glob compares a value with a pattern that may begin and end with "*".
func glob(pattern string, value []byte) bool {
	head, tail := strings.HasPrefix(pattern, "*"), strings.HasSuffix(pattern, "*")
	text := strings.TrimSuffix(strings.TrimPrefix(pattern, "*"), "*")
	switch {
	case head && tail:
		return strings.Contains(string(value), text)
	case head:
		return strings.HasSuffix(string(value), text)
	case tail:
		return strings.HasPrefix(string(value), text)
	}
	return string(value) == text
}
