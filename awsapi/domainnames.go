package awsapi

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"tollgate/control"
	"tollgate/model"
)

var domainNames = handlers{
	"CreateDomainName":      (*call).createDomainName,
	"GetDomainName":         (*call).getDomainName,
	"GetDomainNames":        (*call).getDomainNames,
	"UpdateDomainName":      (*call).updateDomainName,
	"DeleteDomainName":      (*call).deleteDomainName,
	"CreateBasePathMapping": (*call).createBasePathMapping,
	"GetBasePathMapping":    (*call).getBasePathMapping,
	"GetBasePathMappings":   (*call).getBasePathMappings,
	"UpdateBasePathMapping": (*call).updateBasePathMapping,
	"DeleteBasePathMapping": (*call).deleteBasePathMapping,
}

// domainName is a domain's shape. Hosted zones are of Route 53 and left out.
type domainName struct {
	DomainName                          string            `json:"domainName"`
	DomainNameID                        string            `json:"domainNameId"`
	DomainNameARN                       string            `json:"domainNameArn"`
	CertificateName                     string            `json:"certificateName,omitempty"`
	CertificateARN                      string            `json:"certificateArn,omitempty"`
	CertificateUploadDate               *stamp            `json:"certificateUploadDate,omitempty"`
	RegionalDomainName                  string            `json:"regionalDomainName,omitempty"`
	RegionalCertificateName             string            `json:"regionalCertificateName,omitempty"`
	RegionalCertificateARN              string            `json:"regionalCertificateArn,omitempty"`
	DistributionDomainName              string            `json:"distributionDomainName,omitempty"`
	EndpointConfiguration               endpoint          `json:"endpointConfiguration"`
	DomainNameStatus                    string            `json:"domainNameStatus"`
	DomainNameStatusMessage             string            `json:"domainNameStatusMessage,omitempty"`
	SecurityPolicy                      string            `json:"securityPolicy"`
	EndpointAccessMode                  string            `json:"endpointAccessMode,omitempty"`
	Tags                                map[string]string `json:"tags,omitempty"`
	MutualTLSAuthentication             *mutualTLS        `json:"mutualTlsAuthentication,omitempty"`
	OwnershipVerificationCertificateARN string            `json:"ownershipVerificationCertificateArn,omitempty"`
	RoutingMode                         string            `json:"routingMode"`
	Policy                              string            `json:"policy,omitempty"`
	ManagementPolicy                    string            `json:"managementPolicy,omitempty"`
}

type mutualTLS struct {
	TruststoreURI      string   `json:"truststoreUri"`
	TruststoreVersion  string   `json:"truststoreVersion,omitempty"`
	TruststoreWarnings []string `json:"truststoreWarnings,omitempty"`
}

func (c *call) asDomainName(d control.Domain) domainName {
	s := &d.Settings
	out := domainName{
		DomainName: d.Name, DomainNameID: d.ID, DomainNameARN: c.domainARN(d.Key()),
		EndpointConfiguration: endpoint{Types: []string{s.EndpointType}, IPAddressType: s.IPAddressType},
		SecurityPolicy:        s.SecurityPolicy, EndpointAccessMode: s.EndpointAccessMode, RoutingMode: s.RoutingMode, Tags: d.Tags,
		OwnershipVerificationCertificateARN: s.OwnershipCertificateARN,
		Policy:                              s.Policy, ManagementPolicy: s.ManagementPolicy, // as they were sent, unlike those of APIs
	}
	out.DomainNameStatus, out.DomainNameStatusMessage = d.Status()
	arn := ""
	if d.Certificate != nil && !d.Certificate.Owned {
		arn = c.certificateARN(d.CertificateID)
	}
	target := "d-" + d.ID + ".execute-api." + c.gatewayHost()
	switch s.EndpointType {
	case model.EndpointPrivate: // no public host leads to it
		out.CertificateName, out.CertificateARN = d.CertificateName, arn
	case model.EndpointEdge:
		out.CertificateName, out.CertificateARN, out.DistributionDomainName = d.CertificateName, arn, target
	default:
		out.RegionalCertificateName, out.RegionalCertificateARN, out.RegionalDomainName = d.CertificateName, arn, target
	}
	if d.Certificate != nil && d.Certificate.IssuedAt != nil {
		at := stamp(*d.Certificate.IssuedAt)
		out.CertificateUploadDate = &at
	}
	if m := s.MutualTLS; m != nil {
		out.MutualTLSAuthentication = &mutualTLS{TruststoreURI: m.TruststoreURI, TruststoreVersion: m.TruststoreVersion}
	}
	return out
}

// domainARN is of the domain with a key. That of a private one has the account's id.
func (c *call) domainARN(key string) string {
	account := ""
	if strings.Contains(key, "+") {
		account = c.actor.AccountID
	}
	return fmt.Sprintf("arn:aws:apigateway:%s:%s:/domainnames/%s", c.Region, account, key)
}

// gateway is the public address that the account's calls go to; nil: it is not known.
func (c *call) gateway() *url.URL { return c.Plane.GatewayURL(c.ctx, c.actor.Tenant, c.Gateway) }

// gatewayHost is the name that the gateway's hosts end in.
func (c *call) gatewayHost() string {
	at := c.gateway()
	if at == nil {
		return "localhost"
	}
	return at.Hostname()
}

func (c *call) certificateARN(id string) string {
	return fmt.Sprintf("arn:aws:acm:%s:%s:certificate/%s", c.Region, c.actor.AccountID, id)
}

var certificateARN = regexp.MustCompile(`^arn:aws[a-z-]*:acm:[a-z0-9-]+:(\d{12}):certificate/([0-9a-f-]{36})$`)

// certificateID is the id in the ARN of one of the account's certificates.
func (c *call) certificateID(arn string) (string, error) {
	m := certificateARN.FindStringSubmatch(arn)
	if m == nil {
		return "", badRequest("Invalid certificate ARN: %.200s", arn)
	}
	if m[1] != c.actor.AccountID {
		return "", badRequest("Unable to get certificate. Check that the certificate exists and belongs to account %s: %s", c.actor.AccountID, arn)
	}
	return m[2], nil
}

func noDomain(err error) error { return missing(err, "Invalid domain name identifier specified") }

func (c *call) createDomainName() (any, error) {
	var in struct {
		DomainName                                              string
		CertificateName, CertificateBody, CertificatePrivateKey string
		CertificateChain, CertificateARN                        string
		RegionalCertificateName, RegionalCertificateARN         string
		EndpointConfiguration                                   *endpoint
		Tags                                                    map[string]string
		SecurityPolicy, EndpointAccessMode, RoutingMode, Policy string
		MutualTLSAuthentication                                 *mutualTLS
		OwnershipVerificationCertificateARN                     string
	}
	if err := c.in(&in); err != nil {
		return nil, err
	}
	if in.DomainName == "" {
		return nil, invalid(c.required("domainName", in.DomainName)...)
	}
	n := control.NewDomain{Name: in.DomainName, Tags: in.Tags}
	s := &n.Settings
	s.SecurityPolicy, s.EndpointAccessMode, s.RoutingMode = in.SecurityPolicy, in.EndpointAccessMode, in.RoutingMode
	s.OwnershipCertificateARN, s.Policy = in.OwnershipVerificationCertificateARN, in.Policy
	if e := in.EndpointConfiguration; e != nil {
		if len(e.Types) > 1 {
			return nil, badRequest("Only one endpoint type is allowed per domain name")
		}
		if len(e.Types) == 1 {
			s.EndpointType = e.Types[0]
		}
		if len(e.VPCEndpointIDs) > 0 {
			return nil, badRequest("VPC endpoints are not set for a domain name: associate them with a private one")
		}
		s.IPAddressType = e.IPAddressType
	}
	if m := in.MutualTLSAuthentication; m != nil && m.TruststoreURI != "" {
		text, err := model.TruststoreAt(m.TruststoreURI)
		if err != nil {
			return nil, err
		}
		s.MutualTLS = &model.MutualTLS{TruststoreURI: m.TruststoreURI, TruststoreVersion: m.TruststoreVersion, Truststore: text}
	}
	if in.CertificateARN != "" && in.RegionalCertificateARN != "" {
		return nil, badRequest("Only one of certificateArn and regionalCertificateArn can be given: a domain name has one endpoint")
	}
	if s.Private() && in.RegionalCertificateARN+in.RegionalCertificateName != "" {
		return nil, badRequest("A private domain name has no regional certificate: use certificateArn")
	}
	if arn := in.CertificateARN + in.RegionalCertificateARN; arn != "" {
		var err error
		if n.CertificateID, err = c.certificateID(arn); err != nil {
			return nil, err
		}
	}
	n.CertificateName = in.CertificateName
	if in.RegionalCertificateName != "" {
		n.CertificateName = in.RegionalCertificateName
	}
	if in.CertificateBody != "" || in.CertificatePrivateKey != "" {
		if n.CertificateID != "" {
			return nil, badRequest("A certificate is given by its ARN or by its body and key, not by both")
		}
		up, err := model.ParseServerCertificate(in.CertificateBody, in.CertificatePrivateKey, in.CertificateChain)
		if err != nil {
			return nil, err
		}
		n.Upload = &up
	}
	d, err := c.Plane.CreateDomain(c.ctx, c.actor, n)
	switch model.KindOf(err) {
	case model.NotFound:
		return nil, badRequest("Unable to get certificate. Check that the certificate exists and belongs to account %s", c.actor.AccountID)
	case model.Conflict:
		return nil, badRequest("%s", model.MessageOf(err))
	}
	if err != nil {
		return nil, err
	}
	return c.asDomainName(d), nil
}

// domainKey is of the domain that the path names: of private ones, which may share a
// name, domainNameId says which.
func (c *call) domainKey() string {
	name, id := c.args["domain_name"], c.query.Get("domainNameId")
	switch {
	case strings.Contains(name, "+"): // a key is no name
		return ""
	case id != "":
		return name + "+" + id
	}
	return name
}

func (c *call) domain() (control.Domain, error) {
	d, err := c.Plane.Domain(c.ctx, c.actor, c.domainKey())
	return d, noDomain(err)
}

func (c *call) getDomainName() (any, error) {
	d, err := c.domain()
	if err != nil {
		return nil, err
	}
	return c.asDomainName(d), nil
}

func (c *call) getDomainNames() (any, error) {
	switch owner := c.query.Get("resourceOwner"); owner {
	case "", "SELF":
	case "OTHER_ACCOUNTS": // private names are not shared with other accounts yet
		return list{Item: []any{}}, nil
	default:
		return nil, invalid(constraint{owner, c.input("resourceOwner"), oneOf("SELF", "OTHER_ACCOUNTS")})
	}
	return readList(c, c.Plane.Domains, func(d control.Domain) any { return c.asDomainName(d) })
}

func (c *call) updateDomainName() (any, error) {
	steps, err := c.patches()
	if err != nil {
		return nil, err
	}
	d, err := c.domain()
	if err != nil {
		return nil, err
	}
	d, err = c.Plane.UpdateDomain(c.ctx, c.actor, d.Key(), func(e *control.DomainEdit) error {
		return patch(steps, c.domainRules(e))
	})
	if err != nil {
		return nil, noDomain(err)
	}
	return c.asDomainName(d), nil
}

func (c *call) domainRules(e *control.DomainEdit) []patchRule {
	s := &e.Settings
	certificate := func(p *patchOp, _ []string) (err error) {
		e.CertificateID, err = c.certificateID(p.value())
		return err
	}
	endpointType := func(p *patchOp, _ []string) error { s.EndpointType = p.value(); return nil }
	return []patchRule{
		{ops: "replace", pattern: "/certificateArn", apply: certificate},
		{ops: "replace", pattern: "/regionalCertificateArn", apply: certificate},
		{ops: "replace", pattern: "/certificateName", apply: setText(&e.CertificateName)},
		{ops: "replace", pattern: "/regionalCertificateName", apply: setText(&e.CertificateName)},
		{ops: "add replace", pattern: "/endpointConfiguration/types", apply: endpointType},
		{ops: "replace", pattern: "/endpointConfiguration/types/{which}", apply: endpointType},
		{ops: "remove", pattern: "/endpointConfiguration/types", hidden: true, apply: func(*patchOp, []string) error {
			return nil // the one there is follows from what is added
		}},
		{ops: "replace", pattern: "/endpointConfiguration/ipAddressType", apply: setText(&s.IPAddressType)},
		{ops: "replace", pattern: "/securityPolicy", apply: setText(&s.SecurityPolicy)},
		{ops: "replace", pattern: "/endpointAccessMode", apply: setText(&s.EndpointAccessMode)},
		{ops: "replace", pattern: "/routingMode", apply: setText(&s.RoutingMode)},
		{ops: "replace", pattern: "/ownershipVerificationCertificateArn", apply: setText(&s.OwnershipCertificateARN)},
		{ops: "add replace", pattern: "/mutualTlsAuthentication/truststoreUri", apply: func(p *patchOp, _ []string) error {
			if p.value() == "" { // which is how it is ended
				s.MutualTLS = nil
				return nil
			}
			text, err := model.TruststoreAt(p.value())
			if err != nil {
				return err
			}
			version := ""
			if s.MutualTLS != nil {
				version = s.MutualTLS.TruststoreVersion
			}
			s.MutualTLS = &model.MutualTLS{TruststoreURI: p.value(), TruststoreVersion: version, Truststore: text}
			return nil
		}},
		{ops: "remove", pattern: "/mutualTlsAuthentication/truststoreUri", hidden: true, apply: func(*patchOp, []string) error { s.MutualTLS = nil; return nil }},
		{ops: "add replace", pattern: "/mutualTlsAuthentication/truststoreVersion", apply: func(p *patchOp, _ []string) error {
			if s.MutualTLS == nil {
				return badRequest("A truststore version needs a truststore: replace /mutualTlsAuthentication/truststoreUri first")
			}
			s.MutualTLS.TruststoreVersion = p.value()
			return nil
		}},
		{ops: "replace", pattern: "/policy", apply: setText(&s.Policy)},
		{ops: "replace", pattern: "/managementPolicy", apply: setText(&s.ManagementPolicy)},
	}
}

func (c *call) deleteDomainName() (any, error) {
	d, err := c.domain()
	if err != nil {
		return nil, err
	}
	return nil, noDomain(c.Plane.DeleteDomain(c.ctx, c.actor, d.Key()))
}

// basePathMapping is a mapping's shape. An empty path is called "(none)".
type basePathMapping struct {
	BasePath  string `json:"basePath"`
	RestAPIID string `json:"restApiId"`
	Stage     string `json:"stage,omitempty"`
}

const noBasePath = "(none)"

func asBasePathMapping(m model.Mapping) any {
	out := basePathMapping{m.BasePath, m.APIID, m.Stage}
	if m.BasePath == "" {
		out.BasePath = noBasePath
	}
	return out
}

// basePath is a path as it is kept.
func basePath(s string) string {
	if s == noBasePath {
		return ""
	}
	return strings.Trim(s, "/")
}

func noMapping(err error) error {
	if model.KindOf(err) == model.NotFound && strings.HasPrefix(model.MessageOf(err), "there is no domain") {
		return noDomain(err)
	}
	return missing(err, "Invalid base path mapping identifier specified")
}

func (c *call) createBasePathMapping() (any, error) {
	var in basePathMapping
	if err := c.in(&in); err != nil {
		return nil, err
	}
	if in.RestAPIID == "" {
		return nil, invalid(c.required("restApiId", in.RestAPIID)...)
	}
	d, err := c.domain()
	if err != nil {
		return nil, err
	}
	m, err := c.Plane.CreateMapping(c.ctx, c.actor, d.Key(), model.Mapping{BasePath: basePath(in.BasePath), APIID: in.RestAPIID, Stage: in.Stage})
	if err != nil {
		return nil, noMapping(err)
	}
	return asBasePathMapping(m), nil
}

func (c *call) getBasePathMapping() (any, error) {
	d, err := c.domain()
	if err != nil {
		return nil, err
	}
	m, err := c.Plane.Mapping(c.ctx, c.actor, d.Key(), basePath(c.args["base_path"]))
	if err != nil {
		return nil, noMapping(err)
	}
	return asBasePathMapping(m), nil
}

func (c *call) getBasePathMappings() (any, error) {
	d, err := c.domain()
	if err != nil {
		return nil, err
	}
	n, err := c.limit()
	if err != nil {
		return nil, err
	}
	after, err := c.position()
	if err != nil {
		return nil, err
	}
	all, err := c.Plane.Mappings(c.ctx, c.actor, d.Key(), control.Page{After: after, Limit: n})
	if err != nil {
		return nil, noMapping(err)
	}
	out := make([]any, len(all.Items))
	for i, m := range all.Items {
		out[i] = asBasePathMapping(m)
	}
	return list{Position: next(all.Next), Item: out}, nil
}

func (c *call) updateBasePathMapping() (any, error) {
	steps, err := c.patches()
	if err != nil {
		return nil, err
	}
	d, err := c.domain()
	if err != nil {
		return nil, err
	}
	m, err := c.Plane.UpdateMapping(c.ctx, c.actor, d.Key(), basePath(c.args["base_path"]), func(m *model.Mapping) error {
		return patch(steps, []patchRule{
			{ops: "replace", pattern: "/basePath", apply: func(p *patchOp, _ []string) error { m.BasePath = basePath(p.value()); return nil }},
			{ops: "replace", pattern: "/restapiId", apply: setText(&m.APIID)},
			{ops: "replace", pattern: "/restApiId", hidden: true, apply: setText(&m.APIID)},
			{ops: "replace", pattern: "/stage", apply: setText(&m.Stage)},
			{ops: "remove", pattern: "/stage", hidden: true, apply: func(*patchOp, []string) error { m.Stage = ""; return nil }},
		})
	})
	if err != nil {
		return nil, noMapping(err)
	}
	return asBasePathMapping(m), nil
}

func (c *call) deleteBasePathMapping() (any, error) {
	d, err := c.domain()
	if err != nil {
		return nil, err
	}
	return nil, noMapping(c.Plane.DeleteMapping(c.ctx, c.actor, d.Key(), basePath(c.args["base_path"])))
}
