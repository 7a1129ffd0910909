package model

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// DomainSettings are what a custom domain name decides besides its certificate and
// what answers on it. Fields and values are Amazon API Gateway's.
type DomainSettings struct {
	EndpointType       string     `json:"endpointType"` // EDGE or REGIONAL: served alike; PRIVATE: not served
	IPAddressType      string     `json:"ipAddressType,omitempty"`
	SecurityPolicy     string     `json:"securityPolicy,omitempty"`
	EndpointAccessMode string     `json:"endpointAccessMode,omitempty"`
	RoutingMode        string     `json:"routingMode,omitempty"`
	MutualTLS          *MutualTLS `json:"mutualTls,omitempty"`
	// OwnershipCertificateARN is kept and shown; names are proved by DNS here.
	OwnershipCertificateARN string `json:"ownershipVerificationCertificateArn,omitempty"`
	// Policies of private names, JSON as their author wrote it: who may call, and who
	// may associate a network.
	Policy           string `json:"policy,omitempty"`
	ManagementPolicy string `json:"managementPolicy,omitempty"`
}

// Private names are kept and not served: resource policies and networks, which decide
// who reaches one, are not acted on yet.
func (d *DomainSettings) Private() bool { return d.EndpointType == EndpointPrivate }

// MutualTLS lets in only clients with a certificate that leads to one in Truststore.
type MutualTLS struct {
	TruststoreURI     string `json:"truststoreUri"`
	TruststoreVersion string `json:"truststoreVersion,omitempty"`
	Truststore        string `json:"truststore"` // PEM
}

// Ways in which a domain finds the stage for a call.
const (
	RouteByMapping         = "BASE_PATH_MAPPING_ONLY"
	RouteByRule            = "ROUTING_RULE_ONLY"
	RouteByRuleThenMapping = "ROUTING_RULE_THEN_BASE_PATH_MAPPING"
)

// Limits of domains; those of rules and mappings are Amazon's.
const (
	MaxDomainName        = 253
	MaxBasePath          = 300
	MaxMappingsPerDomain = 200
	MaxDomainPolicyBytes = 8192
	MaxRulesPerDomain    = 50
	MaxRulePriority      = 1_000_000
	MaxTruststoreBytes   = 512 << 10
	MaxTruststoreCerts   = 1000
	MaxChainBytes        = 128 << 10
	// MaxClientChain is how many certificates a client may show, its own included.
	MaxClientChain = 4
)

// Endpoint access modes: whether connections must be made for the name that is called.
const (
	AccessBasic  = "BASIC"
	AccessStrict = "STRICT"
)

// TLSPolicy is what a named security policy asks of connections.
type TLSPolicy struct {
	MinVersion uint16
	FIPS       bool // only what FIPS 140-3 has approved: refused
	Mode       bool // goes with an endpoint access mode
}

// SecurityPolicies are the names a domain's policy can have.
var SecurityPolicies = map[string]TLSPolicy{
	"TLS_1_0":                                      {MinVersion: tls.VersionTLS10},
	"TLS_1_2":                                      {MinVersion: tls.VersionTLS12},
	"SecurityPolicy_TLS13_1_3_2025_09":             {tls.VersionTLS13, false, true},
	"SecurityPolicy_TLS13_1_3_FIPS_2025_09":        {tls.VersionTLS13, true, true},
	"SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09":      {tls.VersionTLS12, false, true},
	"SecurityPolicy_TLS13_1_2_FIPS_PQ_2025_09":     {tls.VersionTLS12, true, true},
	"SecurityPolicy_TLS13_1_2_FIPS_PFS_PQ_2025_09": {tls.VersionTLS12, true, true},
	"SecurityPolicy_TLS13_1_2_PQ_2025_09":          {tls.VersionTLS12, false, true},
	"SecurityPolicy_TLS13_1_2_2021_06":             {tls.VersionTLS12, false, true},
	"SecurityPolicy_TLS13_2025_EDGE":               {tls.VersionTLS13, false, true},
	"SecurityPolicy_TLS12_PFS_2025_EDGE":           {tls.VersionTLS12, false, true},
	"SecurityPolicy_TLS12_2018_EDGE":               {tls.VersionTLS12, false, true},
}

var domainLabel = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)

// DomainName is a host name in the form it is kept in: lower case, ASCII, perhaps
// with "*" for its first label.
func DomainName(s string) (string, error) {
	name := strings.ToLower(strings.TrimSuffix(s, "."))
	labels := strings.Split(strings.TrimPrefix(name, "*."), ".")
	last := labels[len(labels)-1]
	switch {
	case len(name) > MaxDomainName || len(labels) < 2 || slices.ContainsFunc(labels, func(l string) bool { return !domainLabel.MatchString(l) }) ||
		strings.Trim(last, "0123456789") == "": // an IP address
		return "", Errorf(Invalid, "%.300q is not a domain name such as api.example.com or *.example.com", s)
	case len(labels) > 1 && labels[1] == "execute-api" || labels[0] == "execute-api":
		return "", Errorf(Invalid, "%s is among the gateway's own names", name)
	}
	return name, nil
}

// LocalName says that only this machine can resolve the name.
func LocalName(name string) bool { return strings.HasSuffix(name, ".localhost") }

// Validate reports the first thing that settings cannot be.
func (d *DomainSettings) Validate() error {
	switch d.EndpointType {
	case "EDGE", "REGIONAL":
		if d.Policy != "" || d.ManagementPolicy != "" {
			return Errorf(Invalid, "policies are only supported for private domain names")
		}
	case EndpointPrivate:
		return d.validatePrivate()
	default:
		return Errorf(Invalid, "endpoint type %.50q is not EDGE, REGIONAL or PRIVATE", d.EndpointType)
	}
	switch d.IPAddressType {
	case "", "ipv4", "dualstack":
	default:
		return Errorf(Invalid, "IP address type %.50q is not ipv4 or dualstack", d.IPAddressType)
	}
	if err := d.validateRouting(); err != nil {
		return err
	}
	p, ok := SecurityPolicies[d.SecurityPolicy]
	if !ok && d.SecurityPolicy != "" {
		return Errorf(Invalid, "security policy %.80q is not one of %s", d.SecurityPolicy, strings.Join(sortedNames(SecurityPolicies), ", "))
	}
	if p.FIPS {
		return Errorf(Invalid, "security policy %s is not served: connections cannot be held to what FIPS 140-3 approves", d.SecurityPolicy)
	}
	switch d.EndpointAccessMode {
	case "":
	case "BASIC", "STRICT":
		if !p.Mode {
			return Errorf(Invalid, "an endpoint access mode goes with a security policy whose name begins with SecurityPolicy_")
		}
	default:
		return Errorf(Invalid, "endpoint access mode %.50q is not BASIC or STRICT", d.EndpointAccessMode)
	}
	if d.MutualTLS != nil {
		if _, err := ParseTruststore(d.MutualTLS.Truststore); err != nil {
			return err
		}
	}
	return nil
}

func (d *DomainSettings) validateRouting() error {
	switch d.RoutingMode {
	case "", RouteByMapping, RouteByRule, RouteByRuleThenMapping:
		return nil
	}
	return Errorf(Invalid, "routing mode %.50q is not one of %s, %s and %s", d.RoutingMode, RouteByMapping, RouteByRule, RouteByRuleThenMapping)
}

// validatePrivate holds a private name to what Amazon API Gateway lets it be.
func (d *DomainSettings) validatePrivate() error {
	switch {
	case d.IPAddressType != "" && d.IPAddressType != "dualstack":
		return Errorf(Invalid, "the IP address type of a private domain name is dualstack, not %.50q", d.IPAddressType)
	case d.SecurityPolicy != "" && d.SecurityPolicy != "TLS_1_2":
		return Errorf(Invalid, "the security policy of a private domain name is TLS_1_2, not %.80q", d.SecurityPolicy)
	case d.EndpointAccessMode != "":
		return Errorf(Invalid, "a private domain name has no endpoint access mode")
	case d.MutualTLS != nil:
		return Errorf(Invalid, "mutual TLS is not supported for private domain names")
	}
	for _, p := range []struct{ name, text string }{{"policy", d.Policy}, {"managementPolicy", d.ManagementPolicy}} {
		var document map[string]any
		switch {
		case len(p.text) > MaxDomainPolicyBytes:
			return Errorf(Invalid, "the %s has %d bytes; at most %d are taken", p.name, len(p.text), MaxDomainPolicyBytes)
		case p.text != "" && (json.Unmarshal([]byte(p.text), &document) != nil || document == nil):
			return Errorf(Invalid, "Invalid policy document. Please check the policy syntax and ensure that Principals are valid.")
		}
	}
	return d.validateRouting()
}

// FitsPrivate says why a certificate's key is not one that private names are served
// with; nil: it is.
func FitsPrivate(leaf *x509.Certificate) error {
	switch k := leaf.PublicKey.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() == 2048 {
			return nil
		}
	case *ecdsa.PublicKey:
		if bits := k.Curve.Params().BitSize; bits == 256 || bits == 384 {
			return nil
		}
	}
	return Errorf(Invalid, "the certificate of a private domain name has an RSA key of 2048 bits, or an ECDSA key of 256 or 384")
}

var vpcEndpoint = regexp.MustCompile(`^vpce-[a-z0-9]{1,64}$`)

// VPCEndpoint says whether s is the id of a VPC endpoint.
func VPCEndpoint(s string) bool { return vpcEndpoint.MatchString(s) }

// ParseTruststore reads the certificates that clients' must lead to. Keys too weak
// to be believed are refused, as on Amazon API Gateway.
func ParseTruststore(text string) ([]*x509.Certificate, error) {
	if len(text) > MaxTruststoreBytes {
		return nil, Errorf(Limit, "the truststore has %d bytes; at most %d are taken", len(text), MaxTruststoreBytes)
	}
	certs, err := parseCertificates("the truststore", text)
	if err != nil {
		return nil, err
	}
	if len(certs) > MaxTruststoreCerts {
		return nil, Errorf(Limit, "the truststore has %d certificates; at most %d are taken", len(certs), MaxTruststoreCerts)
	}
	for i, c := range certs {
		if weak := WeakCertificate(c); weak != "" {
			return nil, Errorf(Invalid, "certificate %d of the truststore (%s): %s", i+1, c.Subject, weak)
		}
	}
	return certs, nil
}

// TruststoreAt reads the truststore that a URI holds. Only data: URIs hold one:
// nothing is fetched for a tenant.
func TruststoreAt(uri string) (string, error) {
	rest, ok := strings.CutPrefix(uri, "data:")
	if !ok {
		return "", Errorf(Invalid, "the truststore's URI is not read from %.60q: send the certificates themselves, as data:application/x-pem-file;base64,…", uri)
	}
	if len(rest) > 2*MaxTruststoreBytes {
		return "", Errorf(Limit, "the truststore has more than the %d bytes that are taken", MaxTruststoreBytes)
	}
	kind, data, ok := strings.Cut(rest, ",")
	if !ok {
		return "", Errorf(Invalid, "a data: URI has a comma before its data")
	}
	text, err := url.PathUnescape(data)
	if err == nil && strings.HasSuffix(kind, ";base64") {
		var b []byte
		b, err = base64.StdEncoding.DecodeString(text)
		text = string(b)
	}
	if err != nil {
		return "", Errorf(Invalid, "the data of the truststore's URI cannot be read: %v", err)
	}
	_, err = ParseTruststore(text)
	return text, err
}

// WeakCertificate says why a certificate of a client's chain is not believed; "":
// it may be. Keys: RSA from 2048 bits, ECDSA from 256, Ed25519; hashes: SHA-256 or
// longer.
func WeakCertificate(c *x509.Certificate) string {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < 2048 {
			return "RSA keys have at least 2048 bits"
		}
	case *ecdsa.PublicKey:
		if k.Curve.Params().BitSize < 256 {
			return "ECDSA keys have at least 256 bits"
		}
	case ed25519.PublicKey:
	default:
		return "the key is neither RSA nor ECDSA nor Ed25519"
	}
	switch c.SignatureAlgorithm {
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1, x509.DSAWithSHA256, x509.UnknownSignatureAlgorithm:
		return "its signature is by " + c.SignatureAlgorithm.String() + ", not by SHA-256 or longer"
	}
	return ""
}

func parseCertificates(what, text string) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	rest := []byte(text)
	for {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		if b.Type != "CERTIFICATE" {
			return nil, Errorf(Invalid, "%s holds a %.40q block; only CERTIFICATE belongs there", what, b.Type)
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, Errorf(Invalid, "certificate %d of %s cannot be read: %v", len(out)+1, what, err)
		}
		out = append(out, c)
	}
	if len(out) == 0 || strings.TrimSpace(string(rest)) != "" {
		return nil, Errorf(Invalid, "%s is not certificates in PEM form (-----BEGIN CERTIFICATE-----)", what)
	}
	return out, nil
}

// ServerCertificate is a certificate with its chain and key, read and checked.
type ServerCertificate struct {
	Chain string // PEM, the leaf first
	Key   string // PEM
	Leaf  *x509.Certificate
}

// ParseServerCertificate reads a leaf, its private key and the certificates between
// it and a root; chain may be empty.
func ParseServerCertificate(leaf, key, chain string) (ServerCertificate, error) {
	var out ServerCertificate
	if len(leaf)+len(chain) > MaxChainBytes || len(key) > MaxChainBytes {
		return out, Errorf(Limit, "certificate and chain may have %d bytes together, and the key as many", MaxChainBytes)
	}
	certs, err := parseCertificates("the certificate", leaf)
	if err != nil {
		return out, err
	}
	if strings.TrimSpace(chain) != "" {
		more, err := parseCertificates("the certificate chain", chain)
		if err != nil {
			return out, err
		}
		certs = append(certs, more...)
	}
	var b strings.Builder
	for _, c := range certs {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	out = ServerCertificate{Chain: b.String(), Key: strings.TrimSpace(key) + "\n", Leaf: certs[0]}
	if _, err := tls.X509KeyPair([]byte(out.Chain), []byte(out.Key)); err != nil {
		return out, Errorf(Invalid, "the private key is not an unencrypted PEM key of this certificate: %v", err)
	}
	for i, c := range certs[:len(certs)-1] {
		if err := c.CheckSignatureFrom(certs[i+1]); err != nil {
			return out, Errorf(Invalid, "certificate %d of the chain (%s) is not signed by the one after it (%s): put them in order, the leaf first", i+1, c.Subject, certs[i+1].Subject)
		}
	}
	return out, nil
}

// CertificateFits says why a certificate does not serve a domain name; nil: it does.
func CertificateFits(leaf *x509.Certificate, name string, now time.Time) error {
	if now.After(leaf.NotAfter) {
		return Errorf(Invalid, "the certificate ended on %s", leaf.NotAfter.UTC().Format(time.DateOnly))
	}
	if covers(leaf, name) {
		return nil
	}
	return Errorf(Invalid, "the certificate is for %s, not for %s", strings.Join(leaf.DNSNames, ", "), name)
}

// LeafOf is the first certificate of a chain that was checked before.
func LeafOf(chain string) (*x509.Certificate, error) {
	b, _ := pem.Decode([]byte(chain))
	if b == nil {
		return nil, errors.New("model: a kept certificate is not PEM")
	}
	return x509.ParseCertificate(b.Bytes)
}

// covers compares a name, which may have a wildcard itself.
func covers(leaf *x509.Certificate, name string) bool {
	if strings.HasPrefix(name, "*.") {
		return slices.ContainsFunc(leaf.DNSNames, func(n string) bool { return strings.EqualFold(n, name) })
	}
	return leaf.VerifyHostname(name) == nil
}

// Mapping sends the calls of a domain below a base path to a stage.
type Mapping struct {
	BasePath string `json:"basePath"` // without slashes at its ends; "": every other path
	APIID    string `json:"apiId"`
	Stage    string `json:"stage,omitempty"` // "": the path's next segment names it
}

var basePathSegment = regexp.MustCompile(`^[A-Za-z0-9$_.+!*'()-]+$`)

// Validate reports what a mapping's path cannot be.
func (m *Mapping) Validate() error {
	if m.BasePath == "" {
		return nil
	}
	if len(m.BasePath) > MaxBasePath {
		return Errorf(Invalid, "a base path has at most %d characters", MaxBasePath)
	}
	for s := range strings.SplitSeq(m.BasePath, "/") {
		if !basePathSegment.MatchString(s) || s == "." || s == ".." {
			return Errorf(Invalid, "Base path should not contain characters except letters, numbers, and the following characters: $-_.+!*'()/")
		}
	}
	return nil
}

// RoutingRule sends the calls of a domain that fit its conditions to a stage. All
// conditions must hold; without any it fits every call.
type RoutingRule struct {
	ID        string       `json:"id"`
	Priority  int          `json:"priority"`            // the lowest is tried first
	Headers   [][]HeaderIs `json:"headers,omitempty"`   // of each list one must match
	BasePaths []string     `json:"basePaths,omitempty"` // one must match
	Invoke    InvokeAPI    `json:"invoke"`
}

// HeaderIs compares one header's value, which may begin and end with "*".
type HeaderIs struct {
	Header string `json:"header"`
	Glob   string `json:"valueGlob"`
}

// InvokeAPI is what a rule does.
type InvokeAPI struct {
	APIID         string `json:"apiId"`
	Stage         string `json:"stage"`
	StripBasePath bool   `json:"stripBasePath,omitempty"`
}

var ruleHeader = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,40}$")

// Validate reports the first thing a rule cannot be.
func (r *RoutingRule) Validate() error {
	switch {
	case r.Priority < 1 || r.Priority > MaxRulePriority:
		return Errorf(Invalid, "a rule's priority is 1 to %d, not %d", MaxRulePriority, r.Priority)
	case len(r.Headers) > 2:
		return Errorf(Invalid, "a rule has at most 2 conditions on headers")
	case len(r.BasePaths) > 5:
		return Errorf(Invalid, "a rule's condition has at most 5 base paths")
	case r.Invoke.StripBasePath && len(r.BasePaths) == 0:
		return Errorf(Invalid, "only a rule with a condition on base paths can strip one")
	}
	for _, any := range r.Headers {
		if len(any) == 0 || len(any) > 5 {
			return Errorf(Invalid, "a condition names 1 to 5 headers")
		}
		for _, h := range any {
			if !ruleHeader.MatchString(h.Header) {
				return Errorf(Invalid, "%.60q is not a header's name of at most 40 characters", h.Header)
			}
			inner := strings.TrimSuffix(strings.TrimPrefix(h.Glob, "*"), "*")
			if h.Glob == "" || len(h.Glob) > 128 || strings.Contains(inner, "*") {
				return Errorf(Invalid, "the value %.140q of header %s is not 1 to 128 characters with * at its ends only", h.Glob, h.Header)
			}
		}
	}
	for _, p := range r.BasePaths {
		if m := (Mapping{BasePath: p}); p == "" || m.Validate() != nil || path.Clean(p) != p {
			return Errorf(Invalid, "%.100q is not a base path such as orders or v1/orders", p)
		}
	}
	return nil
}
