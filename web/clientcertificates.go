package web

import (
	"net/url"
	"strings"

	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/serve"
)

func (s *Server) clientCertificateRoutes() []route {
	return []route{
		{method: "GET", pattern: "/client-certificates", who: mayRead, handle: (*visit).clientCertificates},
		{method: "GET", pattern: "/client-certificates/new", who: mayBuild, handle: (*visit).newClientCertificate},
		{method: "POST", pattern: "/client-certificates/new", who: mayBuild, handle: (*visit).generateClientCertificate},
		{method: "GET", pattern: "/client-certificates/{certificate}", who: mayRead, handle: (*visit).clientCertificate},
		{method: "POST", pattern: "/client-certificates/{certificate}", who: mayBuild, handle: (*visit).describeClientCertificate},
		{method: "GET", pattern: "/client-certificates/{certificate}/rotate", who: mayBuild, handle: (*visit).rotatePage},
		{method: "POST", pattern: "/client-certificates/{certificate}/rotate", who: mayBuild, handle: (*visit).rotate},
		{method: "GET", pattern: "/client-certificates/{certificate}/delete", who: mayBuild, handle: (*visit).confirmDeleteClientCertificate},
		{method: "POST", pattern: "/client-certificates/{certificate}/delete", who: mayBuild, handle: (*visit).deleteClientCertificate},
	}
}

var certificateCrumbs = []ui.Crumb{{Label: "Client certificates", URL: "/client-certificates"}}

func certificateURL(id string, more ...string) string {
	return "/client-certificates/" + url.PathEscape(id) + strings.Join(append([]string{""}, more...), "/")
}

// certificatePage is a client certificate with who shows it.
type certificatePage struct {
	control.ClientCertificate
	Stages []control.StageName
	With   string // what is rotated to
	Others []ui.Option
	Build  bool
	problems
}

// certificateName is a certificate as lists to choose from call it.
func certificateName(c *control.ClientCertificate) string {
	name := c.ID
	if c.Description != "" {
		name += ": " + cutText(c.Description, 60)
	}
	return name + ", until " + ui.Date(c.ExpiresAt)
}

// allCertificates are the account's, as many as it may have.
func (v *visit) allCertificates() ([]control.ClientCertificate, error) {
	l, err := v.Plane.ClientCertificates(v.ctx(), v.actor(), control.Page{Limit: control.MaxClientCertificates})
	return l.Items, err
}

func (v *visit) clientCertificates() error {
	l, err := v.allCertificates()
	if err != nil {
		return err
	}
	stages, err := v.Plane.Stages(v.ctx(), v.actor(), "")
	if err != nil {
		return err
	}
	shown := map[string]int{}
	for _, s := range stages {
		shown[s.Settings.ClientCertificateID]++
	}
	return v.render(clientCertificatesView(v.page("Client certificates"), l, shown, v.may(control.ToBuild), v.Now()))
}

func (v *visit) newClientCertificate() error { return v.newClientCertificateWith(200, "", nil) }

func (v *visit) newClientCertificateWith(status int, description string, found problems) error {
	p := v.page("Generate a client certificate")
	p.Crumbs = certificateCrumbs
	return v.renderAs(status, newClientCertificateView(p, description, found))
}

func (v *visit) generateClientCertificate() error {
	c, err := v.Plane.GenerateClientCertificate(v.ctx(), v.actor(), v.value("description"), nil)
	if invalid(err) {
		return v.newClientCertificateWith(serve.Status(err), v.value("description"), problems(nil).with("description", err))
	}
	if err != nil {
		return err
	}
	return v.done("The certificate is there. Let back ends trust it, then choose it in a stage's settings.", certificateURL(c.ID))
}

func (v *visit) certificateHere() (certificatePage, error) {
	c, err := v.Plane.ClientCertificate(v.ctx(), v.actor(), v.path("certificate"))
	if err != nil {
		return certificatePage{}, err
	}
	p := certificatePage{ClientCertificate: c, Build: v.may(control.ToBuild)}
	p.Stages, err = v.Plane.ClientCertificateStages(v.ctx(), v.actor(), c.ID)
	return p, err
}

func (v *visit) clientCertificate() error { return v.clientCertificateWith(200, nil) }

func (v *visit) clientCertificateWith(status int, found problems) error {
	c, err := v.certificateHere()
	if err != nil {
		return err
	}
	if c.problems = found; len(found) > 0 {
		c.Description = v.value("description")
	}
	p := v.page("Client certificate " + c.ID)
	p.Crumbs = certificateCrumbs
	return v.renderAs(status, clientCertificateView(p, c, v.Now()))
}

func (v *visit) describeClientCertificate() error {
	_, err := v.Plane.DescribeClientCertificate(v.ctx(), v.actor(), v.path("certificate"), v.value("description"))
	if invalid(err) {
		return v.clientCertificateWith(serve.Status(err), problems(nil).with("description", err))
	}
	if err != nil {
		return err
	}
	return v.done("Saved.", certificateURL(v.path("certificate")))
}

// rotateWith asks which certificate the stages go over to: one that back ends trust
// already, or a new one that they have to be told of first.
func (v *visit) rotateWith(status int, c certificatePage) error {
	all, err := v.allCertificates()
	if err != nil {
		return err
	}
	for _, o := range all {
		if o.ID != c.ID {
			c.Others = append(c.Others, ui.Option{Value: o.ID, Label: certificateName(&o)})
		}
	}
	p := v.page("Rotate client certificate " + c.ID)
	p.Crumbs = append(certificateCrumbs[:1:1], ui.Crumb{Label: c.ID, URL: certificateURL(c.ID)})
	return v.renderAs(status, rotateView(p, c))
}

func (v *visit) rotatePage() error {
	c, err := v.certificateHere()
	if err != nil {
		return err
	}
	return v.rotateWith(200, c)
}

func (v *visit) rotate() error {
	c, err := v.certificateHere()
	if err != nil {
		return err
	}
	if c.With = v.value("with"); c.With == "" || c.With == c.ID {
		c.say("with", "Choose another certificate; generate one first if there is none")
		return v.rotateWith(422, c)
	}
	n, receipts, err := v.Plane.ReplaceClientCertificate(v.ctx(), v.actor(), c.ID, c.With)
	if model.KindOf(err) == model.NotFound {
		c.say("with", "%s", sentence(model.MessageOf(err)))
		return v.rotateWith(422, c)
	}
	if err != nil {
		return err
	}
	v.sayReceipts(ui.Plural(n, "stage shows", "stages show")+" "+c.With+" now", receipts)
	return v.redirect(certificateURL(c.With))
}

func (v *visit) confirmDeleteClientCertificate() error {
	c, err := v.certificateHere()
	if err != nil {
		return err
	}
	p := v.page("Delete client certificate " + c.ID)
	p.Crumbs = append(certificateCrumbs[:1:1], ui.Crumb{Label: c.ID, URL: certificateURL(c.ID)})
	return v.render(deleteClientCertificateView(p, c))
}

func (v *visit) deleteClientCertificate() error {
	err := v.Plane.DeleteClientCertificate(v.ctx(), v.actor(), v.path("certificate"))
	if invalid(err) {
		return v.outcome(err, "", certificateURL(v.path("certificate")))
	}
	return v.outcome(err, "The client certificate is deleted.", "/client-certificates")
}

func certificateAct(description string) act {
	description = ui.Typed("description", description, "")
	return act{op: "generate-client-certificate", verb: "POST", path: "/clientcertificates", in: map[string]any{"description": description},
		terraform: "resource \"aws_api_gateway_client_certificate\" \"certificate\" {\n  description = " + hcl(description) + "\n}"}
}

func describeCertificateAct(c *control.ClientCertificate) act {
	return act{op: "update-client-certificate", verb: "PATCH", path: "/clientcertificates/" + url.PathEscape(c.ID), ids: map[string]any{"clientCertificateId": c.ID},
		in: patchAct("replace", "/description", ui.Typed("description", c.Description, ""))}
}

// rotateActs change one stage after the other.
func rotateActs(c *certificatePage) (out []act) {
	for _, s := range c.Stages[:min(len(c.Stages), 20)] {
		out = append(out, act{op: "update-stage", verb: "PATCH", path: "/restapis/" + url.PathEscape(s.APIID) + "/stages/" + url.PathEscape(s.Stage), ids: map[string]any{"restApiId": s.APIID, "stageName": s.Stage},
			in: patchAct("replace", "/clientCertificateId", ui.Typed("with", orFirst(c.With, c.Others), "CERTIFICATE"))})
	}
	return out
}

func orFirst(value string, options []ui.Option) string {
	if value == "" && len(options) > 0 {
		return options[0].Value
	}
	return value
}

func deleteCertificateAct(id string) act {
	return act{op: "delete-client-certificate", verb: "DELETE", path: "/clientcertificates/" + url.PathEscape(id), ids: map[string]any{"clientCertificateId": id}}
}
