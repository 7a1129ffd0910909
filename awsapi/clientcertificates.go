package awsapi

import (
	"tollgate/control"
	"tollgate/model"
)

var clientCertificates = handlers{
	"GenerateClientCertificate": (*call).generateCertificate,
	"GetClientCertificate":      (*call).getCertificate,
	"GetClientCertificates":     (*call).getCertificates,
	"UpdateClientCertificate":   (*call).updateCertificate,
	"DeleteClientCertificate":   (*call).deleteCertificate,
}

func asCertificate(c control.ClientCertificate) any {
	return struct {
		ID          string            `json:"clientCertificateId"`
		Description string            `json:"description,omitempty"`
		PEM         string            `json:"pemEncodedCertificate"`
		Created     stamp             `json:"createdDate"`
		Expires     stamp             `json:"expirationDate"`
		Tags        map[string]string `json:"tags,omitempty"`
	}{c.ID, c.Description, c.PEM, stamp(c.CreatedAt), stamp(c.ExpiresAt), c.Tags}
}

func noCertificate(err error) error {
	return missing(err, "Invalid Client Certificate identifier specified")
}

func (c *call) generateCertificate() (any, error) {
	var in struct {
		Description string
		Tags        map[string]string
	}
	if err := c.in(&in); err != nil {
		return nil, err
	}
	out, err := c.Plane.GenerateClientCertificate(c.ctx, c.actor, in.Description, in.Tags)
	if err != nil {
		return nil, err
	}
	return asCertificate(out), nil
}

func (c *call) getCertificate() (any, error) {
	out, err := c.Plane.ClientCertificate(c.ctx, c.actor, c.args["clientcertificate_id"])
	if err != nil {
		return nil, noCertificate(err)
	}
	return asCertificate(out), nil
}

func (c *call) getCertificates() (any, error) {
	return readList(c, c.Plane.ClientCertificates, asCertificate)
}

func (c *call) updateCertificate() (any, error) {
	steps, err := c.patches()
	if err != nil {
		return nil, err
	}
	out, err := c.Plane.ClientCertificate(c.ctx, c.actor, c.args["clientcertificate_id"])
	if err != nil {
		return nil, noCertificate(err)
	}
	description := out.Description
	if err := patch(steps, []patchRule{{ops: "replace", pattern: "/description", apply: setText(&description)}}); err != nil {
		return nil, err
	}
	out, err = c.Plane.DescribeClientCertificate(c.ctx, c.actor, out.ID, description)
	if err != nil {
		return nil, noCertificate(err)
	}
	return asCertificate(out), nil
}

func (c *call) deleteCertificate() (any, error) {
	err := c.Plane.DeleteClientCertificate(c.ctx, c.actor, c.args["clientcertificate_id"])
	if model.KindOf(err) == model.Conflict { // the service has no conflict here
		return nil, badRequest("%s", model.MessageOf(err))
	}
	return nil, noCertificate(err)
}
