package awsapi

import (
	"regexp"
)

// Access associations open private domain names to networks. There are no private
// domain names here, so no association can be made or found.
var accessAssociations = handlers{
	"CreateDomainNameAccessAssociation": (*call).createAssociation,
	"GetDomainNameAccessAssociations":   (*call).getAssociations,
	"DeleteDomainNameAccessAssociation": (*call).deleteAssociation,
	"RejectDomainNameAccessAssociation": (*call).rejectAssociation,
}

var (
	privateDomainARN = regexp.MustCompile(`^arn:aws[a-z-]*:apigateway:[a-z0-9-]+:\d{12}:/domainnames/[^/+\s]{1,512}\+[A-Za-z0-9]+$`)
	associationARN   = regexp.MustCompile(`^arn:aws[a-z-]*:apigateway:[a-z0-9-]+:\d{12}:/domainnameaccessassociations/domainname/[^/\s]{1,512}/vpcesource/vpce-[A-Za-z0-9]+$`)
	endpointID       = regexp.MustCompile(`^vpce-[A-Za-z0-9]{1,64}$`)
	errNoAssociation = notFound("Invalid domain name access association identifier specified")
)

func (c *call) createAssociation() (any, error) {
	var in struct{ DomainNameARN, AccessAssociationSourceType, AccessAssociationSource string }
	if err := c.in(&in); err != nil {
		return nil, err
	}
	bad := c.required("domainNameArn", in.DomainNameARN, "accessAssociationSourceType", in.AccessAssociationSourceType, "accessAssociationSource", in.AccessAssociationSource)
	if t := in.AccessAssociationSourceType; t != "" && t != "VPCE" {
		bad = append(bad, constraint{t, c.input("accessAssociationSourceType"), oneOf("VPCE")})
	}
	switch {
	case len(bad) > 0:
		return nil, invalid(bad...)
	case !privateDomainARN.MatchString(in.DomainNameARN):
		return nil, badRequest("Invalid ARN specified in the request: %.200s is not the ARN of a private domain name", in.DomainNameARN)
	case !endpointID.MatchString(in.AccessAssociationSource):
		return nil, badRequest("Invalid VPC endpoint specified: %.200s", in.AccessAssociationSource)
	}
	// The service's model has no NotFoundException here.
	return nil, badRequest("Invalid domain name identifier specified")
}

func (c *call) getAssociations() (any, error) {
	switch o := c.query.Get("resourceOwner"); o {
	case "", "SELF", "OTHER_ACCOUNTS":
	default:
		return nil, invalid(constraint{o, "resourceOwner", oneOf("SELF", "OTHER_ACCOUNTS")})
	}
	return paged(c, nil, func(s string) string { return s }, func(s string) any { return s })
}

func (c *call) deleteAssociation() (any, error) {
	arn := c.args["domain_name_access_association_arn"]
	if !associationARN.MatchString(arn) {
		return nil, badRequest("Invalid ARN specified in the request: %.200s is not the ARN of a domain name access association", arn)
	}
	return nil, errNoAssociation
}

func (c *call) rejectAssociation() (any, error) {
	arn, domain := c.query.Get("domainNameAccessAssociationArn"), c.query.Get("domainNameArn")
	switch {
	case !associationARN.MatchString(arn):
		return nil, badRequest("Invalid ARN specified in the request: %.200s is not the ARN of a domain name access association", arn)
	case !privateDomainARN.MatchString(domain):
		return nil, badRequest("Invalid ARN specified in the request: %.200s is not the ARN of a private domain name", domain)
	}
	return nil, errNoAssociation
}
