package web

import (
	"net/url"
	"strings"

	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/serve"
)

func (s *Server) credentialRoutes() []route {
	return []route{
		{method: "GET", pattern: "/service-credentials", who: mayRead, handle: (*visit).credentials},
		{method: "GET", pattern: "/service-credentials/new", who: mayManage, handle: (*visit).newCredential},
		{method: "POST", pattern: "/service-credentials/new", who: mayManage, handle: (*visit).putCredential},
		{method: "GET", pattern: "/service-credentials/{credential}/rotate", who: mayManage, handle: (*visit).rotateCredential},
		{method: "GET", pattern: "/service-credentials/{credential}/delete", who: mayManage, handle: (*visit).confirmDeleteCredential},
		{method: "POST", pattern: "/service-credentials/{credential}/delete", who: mayManage, handle: (*visit).deleteCredential},
	}
}

var credentialCrumbs = []ui.Crumb{{Label: "Service credentials", URL: "/service-credentials"}}

// credentialURL is a page of one; names are ARNs.
func credentialURL(name, page string) string {
	return "/service-credentials/" + url.PathEscape(name) + "/" + page
}

// credentialForm is what is typed of a credential, but for its secrets.
type credentialForm struct {
	Name, AccessKeyID, Services, Regions string
	Rotate                               bool // it is there already
	Problems                             []ui.Problem
}

func (v *visit) credentials() error {
	l, err := v.Plane.ServiceCredentials(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	return v.render(credentialsView(v.page("Service credentials"), l, v.may(control.ToManage), v.Now()))
}

// credential is the one that the path names.
func (v *visit) credential() (control.ServiceCredential, error) {
	l, err := v.Plane.ServiceCredentials(v.ctx(), v.actor())
	if err != nil {
		return control.ServiceCredential{}, err
	}
	for _, c := range l {
		if c.Name == v.path("credential") {
			return c, nil
		}
	}
	return control.ServiceCredential{}, model.Errorf(model.NotFound, "there is no such service credential")
}

func (v *visit) newCredential() error {
	return v.credentialWith(200, credentialForm{Name: v.query("name")})
}

func (v *visit) rotateCredential() error {
	c, err := v.credential()
	if err != nil {
		return err
	}
	return v.credentialWith(200, credentialForm{Name: c.Name, AccessKeyID: c.AccessKeyID, Services: strings.Join(c.Services, ", "), Regions: strings.Join(c.Regions, ", "), Rotate: true})
}

func (v *visit) credentialWith(status int, f credentialForm) error {
	title := "Add service credentials"
	if f.Rotate {
		title = "Replace service credentials"
	}
	p := v.page(title)
	p.Crumbs = credentialCrumbs
	return v.renderAs(status, credentialView(p, f))
}

func (v *visit) putCredential() error {
	f := credentialForm{Name: strings.TrimSpace(v.value("name")), AccessKeyID: strings.TrimSpace(v.value("access-key-id")), Services: v.value("services"), Regions: v.value("regions"), Rotate: v.value("rotate") != ""}
	c, err := v.Plane.PutServiceCredential(v.ctx(), v.actor(), control.NewServiceCredential{Name: f.Name, AccessKeyID: f.AccessKeyID, Secret: strings.TrimSpace(v.value("secret")),
		SessionToken: strings.TrimSpace(v.value("session-token")), Services: strings.Split(f.Services, ","), Regions: strings.Split(f.Regions, ",")})
	if invalid(err) {
		f.Problems = []ui.Problem{{Name: "name", Text: sentence(model.MessageOf(err))}}
		return v.credentialWith(serve.Status(err), f)
	}
	if err != nil {
		return err
	}
	v.say("ok", "Integrations sign with the credentials of "+c.Name+" from now on.")
	return v.redirect("/service-credentials")
}

func (v *visit) confirmDeleteCredential() error {
	c, err := v.credential()
	if err != nil {
		return err
	}
	p := v.page("Delete service credentials")
	p.Crumbs = credentialCrumbs
	return v.render(deleteCredentialView(p, c))
}

func (v *visit) deleteCredential() error {
	return v.outcome(v.Plane.DeleteServiceCredential(v.ctx(), v.actor(), v.path("credential")), "The credentials are deleted.", "/service-credentials")
}

func orAll(l []string) string {
	if len(l) == 0 {
		return "All"
	}
	return strings.Join(l, ", ")
}
