package awsapi

import (
	"regexp"

	"tollgate/control"
	"tollgate/model"
)

// Access associations open private domain names to VPC endpoints. They are between
// things of one account: names are not shared with other accounts yet.
var accessAssociations = handlers{
	"CreateDomainNameAccessAssociation": (*call).createAssociation,
	"GetDomainNameAccessAssociations":   (*call).getAssociations,
	"DeleteDomainNameAccessAssociation": (*call).deleteAssociation,
	"RejectDomainNameAccessAssociation": (*call).rejectAssociation,
}

// accessAssociation is an association's shape.
type accessAssociation struct {
	ARN        string            `json:"domainNameAccessAssociationArn"`
	DomainARN  string            `json:"domainNameArn"`
	SourceType string            `json:"accessAssociationSourceType"`
	Source     string            `json:"accessAssociationSource"`
	Tags       map[string]string `json:"tags,omitempty"`
}

func (c *call) asAssociation(a control.AccessAssociation) any {
	return accessAssociation{"arn:aws:apigateway:" + c.Region + ":" + c.actor.AccountID + ":" + a.Path(), c.domainARN(a.Domain), "VPCE", a.Source, a.Tags}
}

var (
	privateDomainARN = regexp.MustCompile(`^arn:aws[a-z-]*:apigateway:[a-z0-9-]+:(\d{12}):/domainnames/([^/+\s]{1,512}\+[A-Za-z0-9]+)$`)
	associationARN   = regexp.MustCompile(`^arn:aws[a-z-]*:apigateway:[a-z0-9-]+:(\d{12}):/domainnameaccessassociations/domainname/([^/\s]{1,512})/vpcesource/(vpce-[A-Za-z0-9]+)$`)
)

const noAssociationText = "Invalid domain name access association identifier specified"

// associationOf reads the domain's key and the endpoint in an association's ARN. One of
// another account is as if it were not there.
func (c *call) associationOf(arn string) (domain, source string, err error) {
	m := associationARN.FindStringSubmatch(arn)
	switch {
	case m == nil:
		return "", "", badRequest("Invalid ARN specified in the request: %.200s is not the ARN of a domain name access association", arn)
	case m[1] != c.actor.AccountID:
		return "", "", notFound(noAssociationText)
	}
	return m[2], m[3], nil
}

func (c *call) createAssociation() (any, error) {
	var in struct {
		DomainNameARN, AccessAssociationSourceType, AccessAssociationSource string
		Tags                                                                map[string]string
	}
	if err := c.in(&in); err != nil {
		return nil, err
	}
	bad := c.required("domainNameArn", in.DomainNameARN, "accessAssociationSourceType", in.AccessAssociationSourceType, "accessAssociationSource", in.AccessAssociationSource)
	if t := in.AccessAssociationSourceType; t != "" && t != "VPCE" {
		bad = append(bad, constraint{t, c.input("accessAssociationSourceType"), oneOf("VPCE")})
	}
	if len(bad) > 0 {
		return nil, invalid(bad...)
	}
	m := privateDomainARN.FindStringSubmatch(in.DomainNameARN)
	if m == nil {
		return nil, badRequest("Invalid ARN specified in the request: %.200s is not the ARN of a private domain name", in.DomainNameARN)
	}
	// The service's model has no NotFoundException here.
	noDomain := badRequest("Invalid domain name identifier specified")
	if m[1] != c.actor.AccountID {
		return nil, noDomain
	}
	a, err := c.Plane.Associate(c.ctx, c.actor, m[2], in.AccessAssociationSource, in.Tags)
	if model.KindOf(err) == model.NotFound {
		return nil, noDomain
	}
	if err != nil {
		return nil, err
	}
	return c.asAssociation(a), nil
}

func (c *call) getAssociations() (any, error) {
	switch o := c.query.Get("resourceOwner"); o {
	case "", "SELF":
	case "OTHER_ACCOUNTS": // none of them can be made yet
		if _, err := c.limit(); err != nil {
			return nil, err
		}
		return list{Item: []any{}}, nil
	default:
		return nil, invalid(constraint{o, "resourceOwner", oneOf("SELF", "OTHER_ACCOUNTS")})
	}
	return readList(c, c.Plane.AccessAssociations, c.asAssociation)
}

func (c *call) deleteAssociation() (any, error) {
	domain, source, err := c.associationOf(c.args["domain_name_access_association_arn"])
	if err != nil {
		return nil, err
	}
	return nil, missing(c.Plane.Dissociate(c.ctx, c.actor, domain, source), noAssociationText)
}

func (c *call) rejectAssociation() (any, error) {
	arn, of := c.query.Get("domainNameAccessAssociationArn"), c.query.Get("domainNameArn")
	domain, source, err := c.associationOf(arn)
	if err != nil {
		return nil, err
	}
	switch m := privateDomainARN.FindStringSubmatch(of); {
	case m == nil:
		return nil, badRequest("Invalid ARN specified in the request: %.200s is not the ARN of a private domain name", of)
	case m[1] != c.actor.AccountID || m[2] != domain:
		return nil, notFound(noAssociationText)
	}
	return nil, missing(c.Plane.RejectAssociation(c.ctx, c.actor, domain, source), noAssociationText)
}
